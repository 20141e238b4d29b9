//go:build !purego

package scan

// countBlocks counts c in the blocks of 128 bytes of p, and returns the rest of p.
func countBlocks(p []byte, c byte) (count int, rest []byte) {
	n := len(p) / 128
	if !hasAVX2 || n == 0 {
		return 0, p
	}
	return countAVX2(&p[0], n, c), p[128*n:]
}

// countBlocks2 counts c and e in the blocks of 128 bytes of p, and returns the rest of p.
func countBlocks2(p []byte, c, e byte) (cs, es int, rest []byte) {
	n := len(p) / 128
	if !hasAVX2 || n == 0 {
		return 0, 0, p
	}
	cs, es = count2AVX2(&p[0], n, c, e)
	return cs, es, p[128*n:]
}

// count2AVX2 counts c and e in n blocks of 128 bytes, n > 0.
//
//go:noescape
func count2AVX2(p *byte, n int, c, e byte) (cs, es int)

// countAVX2 counts c in n blocks of 128 bytes, n > 0.
//
//go:noescape
func countAVX2(p *byte, n int, c byte) (count int)
