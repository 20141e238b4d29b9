//go:build !amd64 || purego

package scan

// markBlocks marks len(marks) blocks of 64 bytes of p.
func markBlocks(marks []Mark, p []byte, sep, other byte) { markWords(marks, p, sep, other) }

// places writes to pos the place of every marked separator and newline, plus at,
// and returns their number. pos must have room for 64 more.
func places(pos []uint32, marks []Mark, at int) int { return placesWords(pos, marks, at) }
