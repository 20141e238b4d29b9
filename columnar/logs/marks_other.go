//go:build !amd64 || purego

package logs

// markBlocks marks as many blocks of 64 bytes of p as there are marks.
func markBlocks(marks []mark, p []byte, sep, other byte) { markWords(marks, p, sep, other) }
