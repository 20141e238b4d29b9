//go:build !amd64 || purego

package scan

// markBlocks marks as many blocks of 64 bytes of p as there are marks.
func markBlocks(marks []Mark, p []byte, sep, other byte) { markWords(marks, p, sep, other) }

// places writes to pos where a separator or a newline is marked, plus at, and
// returns how many are. pos must have room for 64 more.
func places(pos []uint32, marks []Mark, at int) int { return placesWords(pos, marks, at) }
