//go:build !purego

package scan

import "unsafe"

// stopAVX2 is stopWords for at least one block of 64 bytes.
//
//go:noescape
func stopAVX2(stops, text *byte, blocks int)

// stopBlocks notes the stops in whole blocks of 64 bytes.
func stopBlocks(stops, text []byte) {
	if !hasAVX2 {
		stopWords(stops, text)
		return
	}
	if n := len(text) / 64; n > 0 {
		stops = stops[:8*n]
		stopAVX2(unsafe.SliceData(stops), unsafe.SliceData(text), n)
	}
}
