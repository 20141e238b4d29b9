package logs

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// hasAVX2 reports whether markAVX2 can run here.
var hasAVX2 = cpu.X86.HasAVX2

// markAVX2 is markWords of at least one block of 64 bytes.
//
//go:noescape
func markAVX2(stops, text *byte, blocks int)

// markBlocks notes the stops of whole blocks of 64 bytes.
func markBlocks(stops, text []byte) {
	if !hasAVX2 {
		markWords(stops, text)
		return
	}
	if n := len(text) / 64; n > 0 {
		stops = stops[:8*n]
		markAVX2(unsafe.SliceData(stops), unsafe.SliceData(text), n)
	}
}
