package logs

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// A mark says of 64 bytes of text which of them are what: bit i of each bitmap
// is about byte i.
type mark struct {
	sep   uint64 // the separator of fields
	line  uint64 // a newline
	other uint64 // the third byte that is sought, such as a quote
}

// markText returns, in the memory of marks, what p holds, 64 bytes at a time.
// Bits of bytes behind the end are clear.
func markText(marks []mark, p []byte, sep, other byte) []mark {
	whole := len(p) / 64
	marks = slices.Grow(marks[:0], whole+1)[:whole]
	markBlocks(marks, p, sep, other)
	if rest := p[64*whole:]; len(rest) > 0 {
		var tail [64]byte
		copy(tail[:], rest)
		marks = marks[:whole+1]
		markBlocks(marks[whole:], tail[:], sep, other)
		m, in := &marks[whole], uint64(1)<<len(rest)-1
		m.sep, m.line, m.other = m.sep&in, m.line&in, m.other&in
	}
	return marks
}

// markWords marks as many blocks of 64 bytes of p as there are marks, on any
// machine.
func markWords(marks []mark, p []byte, sep, other byte) {
	const lf = '\n' * eachByte
	seps, others := uint64(sep)*eachByte, uint64(other)*eachByte
	for i := range marks {
		block := (*[64]byte)(p[64*i:])
		var m mark
		for k := 0; k < 64; k += 8 {
			w := binary.LittleEndian.Uint64(block[k:])
			m.sep |= equalBytes(w, seps) << k
			m.line |= equalBytes(w, lf) << k
			m.other |= equalBytes(w, others) << k
		}
		marks[i] = m
	}
}

const (
	eachByte = 0x0101010101010101
	lowBits  = 0x7f * eachByte
	highBits = 0x80 * eachByte
	// gather times a word with at most the lowest bit of each byte set has
	// those bits in its highest byte, in order.
	gather = 0x0102040810204080
)

// equalBytes returns a bitmap of the bytes in which w and v are equal.
func equalBytes(w, v uint64) uint64 {
	w ^= v
	return (^(w&lowBits + lowBits | w) & highBits >> 7) * gather >> 56
}

// placesWords is places, on any machine.
func placesWords(pos []uint32, marks []mark, at int) (count int) {
	for i := range marks {
		fields := marks[i].sep | marks[i].line
		n := count
		count += bits.OnesCount64(fields)
		for ; fields != 0; n += 4 {
			p := (*[4]uint32)(pos[n:])
			for j := range p {
				p[j] = uint32(at + bits.TrailingZeros64(fields))
				fields &= fields - 1
			}
		}
		at += 64
	}
	return count
}
