package scan

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// The places of the bytes that separate fields and records, 64 bytes at a time.

// A Mark says what each of 64 bytes of text is: bit i of each bitmap is about byte
// i.
type Mark struct {
	Sep   uint64 // the separator of fields
	Line  uint64 // a newline
	Other uint64 // the third byte that is looked for, such as a quote
}

// MarkText returns the marks of p, one for each 64 bytes, in the memory of marks.
// Bits beyond the end of p are 0.
func MarkText(marks []Mark, p []byte, sep, other byte) []Mark {
	whole := len(p) / 64
	marks = slices.Grow(marks[:0], whole+1)[:whole]
	markBlocks(marks, p, sep, other)
	if rest := p[64*whole:]; len(rest) > 0 {
		var tail [64]byte
		copy(tail[:], rest)
		marks = marks[:whole+1]
		markBlocks(marks[whole:], tail[:], sep, other)
		m, in := &marks[whole], uint64(1)<<len(rest)-1
		m.Sep, m.Line, m.Other = m.Sep&in, m.Line&in, m.Other&in
	}
	return marks
}

// markWords marks len(marks) blocks of 64 bytes of p. It works on any machine.
func markWords(marks []Mark, p []byte, sep, other byte) {
	const lf = '\n' * EachByte
	seps, others := uint64(sep)*EachByte, uint64(other)*EachByte
	for i := range marks {
		block := (*[64]byte)(p[64*i:])
		var m Mark
		for k := 0; k < 64; k += 8 {
			w := binary.LittleEndian.Uint64(block[k:])
			m.Sep |= EqualBytes(w, seps) << k
			m.Line |= EqualBytes(w, lf) << k
			m.Other |= EqualBytes(w, others) << k
		}
		marks[i] = m
	}
}

// A word is eight bytes, the first the lowest. EachByte times a byte has that byte
// in each of the eight places. LowBits has the lower seven bits of each byte, and
// HighBits the highest bit.
const (
	EachByte = 0x0101010101010101
	LowBits  = 0x7f * EachByte
	HighBits = 0x80 * EachByte
	// gather times a word, in which each byte has at most its lowest bit set, has
	// those bits in its highest byte, in order.
	gather = 0x0102040810204080
)

// EqualBytes returns a bitmap of the bytes in which w and v are equal.
func EqualBytes(w, v uint64) uint64 {
	w ^= v
	return (^(w&LowBits + LowBits | w) & HighBits >> 7) * gather >> 56
}

// placesWords is places for any machine.
func placesWords(pos []uint32, marks []Mark, at int) (count int) {
	for i := range marks {
		fields := marks[i].Sep | marks[i].Line
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

// MarksFrom returns 64 bits of a bitmap from at on.
func MarksFrom(marks []uint64, at int) uint64 {
	return marks[at>>6]>>(at&63) | marks[at>>6+1]<<1<<(^at&63)
}

// NextMark returns the place of the first bit that is set in a bitmap from at on.
// There must be one.
func NextMark(marks []uint64, at int) int {
	for {
		if w := MarksFrom(marks, at); w != 0 {
			return at + bits.TrailingZeros64(w)
		}
		at += 64
	}
}
