package inflate

import "math/bits"

// An entry of a table says what the next bits of a stream stand for. A table is
// looked up with as many of them as it is wide; codes that are longer go on in a
// subtable behind it.
//
//	bits 0–5    size: how many bits this takes, with a match's extra bits
//	bits 8–11   width: of the (first) code, in bits; of a subtable
//	bits 12–13  how many literals
//	bits 12–15  flags
//	bits 16–31  value: the literals, the first in the lower byte; the least
//	            length or distance; where a subtable begins
type entry uint32

const (
	one        entry = 1 << 12 // with literal: there is one
	subtable   entry = 1 << 12 // with special
	endOfBlock entry = 1 << 13 // with special
	special    entry = 1 << 14 // neither literal nor match; alone, it stands for nothing
	literal    entry = 1 << 15
	long       entry = 1 << 7 // with special: a match whose value lacks its extra bits
)

func (e entry) size() uint  { return uint(e & 63) }
func (e entry) width() uint { return uint(e >> 8 & 15) }
func (e entry) value() uint { return uint(e >> 16) }

// extra returns the value with the extra bits that stand in b.
func (e entry) extra(b uint64) uint { return e.value() + uint(b&(1<<e.size()-1)>>e.width()) }

// under returns where the entry is that b selects in a subtable.
func (e entry) under(b uint64) uint { return e.value() + uint(b&(1<<e.width()-1)) }

const (
	maxLitLen = 286 // symbols for literals, the end of a block, and lengths
	maxDist   = 30
	// The fixed codes have two symbols more, which stand for nothing.
	fixedLitLen = 288
	fixedDist   = 32

	maxWidth = 15 // of a code, in bits

	// Wider tables need subtables less often, but take longer to build and more
	// of the first-level cache.
	litLenBits = 11
	distBits   = 8
	preBits    = 7

	// Room for the worst code: 2,342 and 402 entries. A power of two makes
	// checks of an index unnecessary.
	litLenSize = 4096
	distSize   = 512
)

// The entries of the symbols, but for their codes.
var (
	litLenSymbols = makeLitLenSymbols()
	distSymbols   = makeDistSymbols()
	preSymbols    = makePreSymbols()
)

func makeLitLenSymbols() (s [fixedLitLen]entry) {
	for i := range entry(256) {
		s[i] = literal | one | i<<16
	}
	s[256] = special | endOfBlock
	// Eight lengths without extra bits, then four with each number of them.
	length := entry(3)
	for i := range entry(28) {
		extra := max(i/4, 1) - 1
		s[257+i] = length<<16 | extra
		length += 1 << extra
	}
	s[285] = 258 << 16
	s[286], s[287] = special, special
	return s
}

func makeDistSymbols() (s [fixedDist]entry) {
	distance := entry(1)
	for i := range entry(maxDist) {
		extra := max(i/2, 1) - 1
		s[i] = distance<<16 | extra
		distance += 1 << extra
	}
	s[30], s[31] = special, special
	return s
}

func makePreSymbols() (s [19]entry) {
	for i := range entry(19) {
		s[i] = i << 16
	}
	return s
}

// build makes the table of the code whose symbols have codes of these widths, 0
// for none, and reports whether there is such a code: each sequence of bits must
// stand for something, unless there is no symbol, or one whose code is one bit.
func build(table []entry, tableBits int, widths []uint8, symbols []entry) bool {
	var count [maxWidth + 1]int
	for _, w := range widths {
		count[w&15]++
	}
	// next is where among the sorted symbols those of a width are put.
	var next [maxWidth + 2]int
	used := 0 // of the 1<<maxWidth sequences of bits
	for w, c := range count {
		next[w+1] = next[w] + c
		if w > 0 {
			used += c << (maxWidth - w)
		}
	}
	first := count[0] // that has a code
	var sorted [fixedLitLen]uint16
	for s, w := range widths {
		at := next[w&15]
		next[w&15]++
		sorted[at] = uint16(s)
	}
	if used != 1<<maxWidth {
		for i := range table[:1<<tableBits] {
			table[i] = special
		}
		if used == 0 {
			return true
		}
		for i := 0; i < 1<<tableBits; i += 2 {
			table[i] = symbols[sorted[first]] + 0x101
		}
		return count[1] == 1 && used == 1<<(maxWidth-1)
	}
	// Codes are looked up from their first bit in the lowest, so they count up
	// from the highest bit. The table begins with one entry and is doubled for
	// each bit more: entries of shorter codes are then where they belong.
	code, size := 0, 1
	at := first
	for w := 1; w <= tableBits; w++ {
		copy(table[size:2*size], table[:size])
		size *= 2
		for range count[w] {
			table[code] = symbols[sorted[at]] + entry(w)*0x101
			at++
			code = after(code, size-1)
		}
	}
	end := size
	prefix, base := -1, 0
	for w := tableBits + 1; w <= maxWidth; w++ {
		width := w - tableBits
		for left := count[w]; left > 0; left-- {
			if p := code & (size - 1); p != prefix {
				// Make it as wide as the codes that share the prefix.
				sub := width
				for room := left; room < 1<<sub; {
					sub++
					room = room<<1 + count[tableBits+sub]
				}
				prefix, base = p, end
				end += 1 << sub
				table[p] = special | subtable | entry(base)<<16 | entry(sub)<<8 | entry(tableBits)
			}
			e := symbols[sorted[at]] + entry(width)*0x101
			at++
			for i := base + code>>tableBits; i < end; i += 1 << width {
				table[i] = e
			}
			code = after(code, 1<<w-1)
		}
	}
	return true
}

// after returns the code that follows one whose bits are those of mask, the
// first lowest. The last code is returned as it is.
func after(code, mask int) int {
	bit := 1 << uint(bits.Len(uint(code^mask))-1)
	return code&(bit-1) | bit
}

// pair makes an entry of two literals where the table's width has room for both
// codes, and puts the extra bits of lengths into the value where it has room
// for them. Lengths for which it has none become special.
func pair(table *[litLenSize]entry) {
	// Downwards, since what follows the first code is looked up further up.
	for i := 1<<litLenBits - 1; i >= 0; i-- {
		e := table[i]
		switch {
		case e&literal != 0:
			f := table[i>>e.width()]
			if f&literal != 0 && e.width()+f.width() <= litLenBits {
				table[i] = e&^63 + one + f>>16&0xff<<24 + entry(e.width()+f.width())
			}
		case e&special != 0:
		case e.size() <= litLenBits:
			table[i] = entry(e.extra(uint64(i)))<<16 | entry(e.size())*0x101
		default:
			table[i] |= special | long
		}
	}
}
