//go:build !amd64 || purego

package scan

// countBlocks leaves all of p to be counted.
func countBlocks(p []byte, c byte) (count int, rest []byte) { return 0, p }

// countBlocks2 leaves all of p to be counted.
func countBlocks2(p []byte, c, e byte) (cs, es int, rest []byte) { return 0, 0, p }
