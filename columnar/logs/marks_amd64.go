//go:build !purego

package logs

import "golang.org/x/sys/cpu"

var hasAVX2 = cpu.X86.HasAVX2

// markBlocks marks as many blocks of 64 bytes of p as there are marks.
func markBlocks(marks []mark, p []byte, sep, other byte) {
	if !hasAVX2 {
		markWords(marks, p, sep, other)
	} else if len(marks) > 0 {
		p = p[:64*len(marks)]
		markAVX2(&marks[0], &p[0], len(marks), sep, other)
	}
}

// markAVX2 is markWords of n blocks, more than none.
//
//go:noescape
func markAVX2(marks *mark, p *byte, n int, sep, other byte)
