//go:build !purego

package columnar

import "golang.org/x/sys/cpu"

var hasAVX2 = cpu.X86.HasAVX2

// find sets codes to the codes of up to 64 texts. It returns a bitmap of the texts
// that it did not find. Nearly all of these are new.
func (d *Dict) find(codes []int32, data []byte, spans []Span) (missed uint64) {
	if !hasAVX2 || len(data) < room {
		return d.findWords(codes, data, spans)
	}
	_ = codes[:len(spans)]
	return findAVX2(&codes[0], &data[0], uint64(len(data)-room), &spans[0], len(spans), &d.slots[0], len(d.slots)-1, &d.arena[:room][0])
}

// findAVX2 is find for n texts, n > 0. Each text begins at last at the latest, and
// is not longer than longest. mask is the mask for indexes in slots.
//
//go:noescape
func findAVX2(codes *int32, data *byte, last uint64, spans *Span, n int, slots *dictSlot, mask int, arena *byte) (missed uint64)
