//go:build !amd64 || purego

package scan

// byBlocks is byMarks for whole blocks without quotes, up to one that has Other.
func (s *Fields) byBlocks(end int) {}
