//go:build !purego

package scan

import "golang.org/x/sys/cpu"

// hasAVX2 says whether the functions in assembly can run on this machine.
var hasAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasBMI1 && cpu.X86.HasBMI2 && cpu.X86.HasPOPCNT

// markBlocks marks len(marks) blocks of 64 bytes of p.
func markBlocks(marks []Mark, p []byte, sep, other byte) {
	if !hasAVX2 {
		markWords(marks, p, sep, other)
	} else if len(marks) > 0 {
		p = p[:64*len(marks)]
		markAVX2(&marks[0], &p[0], len(marks), sep, other)
	}
}

// markAVX2 is markWords for n blocks, n > 0.
//
//go:noescape
func markAVX2(marks *Mark, p *byte, n int, sep, other byte)

// places writes to pos the place of every marked separator and newline, plus at,
// and returns their number. pos must have room for 64 more.
func places(pos []uint32, marks []Mark, at int) int {
	if !hasAVX2 {
		return placesWords(pos, marks, at)
	}
	if len(marks) == 0 {
		return 0
	}
	_ = pos[64*len(marks)+63]
	return placesBMI(&pos[0], &marks[0], len(marks), at)
}

// placesBMI is placesWords for n marks, n > 0.
//
//go:noescape
func placesBMI(pos *uint32, marks *Mark, n, at int) (count int)

// AVX2 reports whether this machine has AVX2, BMI1, BMI2 and POPCNT.
func AVX2() bool { return hasAVX2 }
