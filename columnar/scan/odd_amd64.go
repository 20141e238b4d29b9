//go:build !purego

package scan

// oddBlocks returns the first newline of p before an odd line, or -1, and how many bytes of p
// it has searched.
func oddBlocks(p []byte) (at, searched int) {
	n := (len(p) - 2) &^ 31 // two bytes behind the last block are read
	if !hasAVX2 || n <= 0 {
		return -1, 0
	}
	return oddAVX2(&p[0], n), n
}

// oddAVX2 returns the first newline before an odd line in n bytes, or -1. n is a positive
// multiple of 32, and two more bytes are read.
//
//go:noescape
func oddAVX2(p *byte, n int) (at int)
