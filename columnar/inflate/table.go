package inflate

import "math/bits"

// An entry of a table says what the next bits of a stream stand for. The table is
// indexed with as many bits as it is wide; longer codes continue in a subtable
// after it.
//
//	bits 0–5    size: bits that this takes, with a match's extra bits
//	bits 8–11   width: bits of the (first) code; of a subtable
//	bits 12–13  number of literals
//	bits 12–15  flags
//	bits 16–31  value: the literals, the first in the lower byte; the least
//	            length or distance; where a subtable begins
type entry uint32

const (
	one        entry = 1 << 12 // with literal: there is one literal
	subtable   entry = 1 << 12 // with special: the code continues in a subtable
	endOfBlock entry = 1 << 13 // with special: the end of the block
	special    entry = 1 << 14 // neither literal nor match; alone, it is a code of no symbol
	literal    entry = 1 << 15
	long       entry = 1 << 7 // with special: a match whose value lacks its extra bits
)

func (e entry) size() uint  { return uint(e & 63) }
func (e entry) width() uint { return uint(e >> 8 & 15) }
func (e entry) value() uint { return uint(e >> 16) }

// extra returns the value plus the match's extra bits in b.
func (e entry) extra(b uint64) uint { return e.value() + uint(b&(1<<e.size()-1)>>e.width()) }

// under returns the index of the entry that b selects in a subtable.
func (e entry) under(b uint64) uint { return e.value() + uint(b&(1<<e.width()-1)) }

const (
	maxLitLen = 286 // symbols for literals, the end of a block, and lengths
	maxDist   = 30
	// The fixed codes have two more symbols, which stand for nothing.
	fixedLitLen = 288
	fixedDist   = 32

	maxWidth = 15 // of a code, in bits

	// Wider tables need subtables less often, but take longer to build, and fill
	// more of the first-level cache.
	litLenBits = 10
	distBits   = 8
	preBits    = 7

	// Room for the largest codes: 1,334 and 402 entries. With a power of two, an
	// index needs no bounds check.
	litLenSize = 2048
	distSize   = 512
)

// The entries of the symbols, without their codes.
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
	// Eight lengths have no extra bits; then four lengths each have one more.
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

// A code is a set of symbols and the bits of each. The zero value is ready for use.
// It is a type only so that building a code allocates nothing.
type code struct {
	symbols [fixedLitLen]uint16 // the symbols that have bits, the shortest code first
	bits    [fixedLitLen]uint16 // the bits of each of them, the first in the lowest
	n       int
}

// build sets c to the code whose symbols have the given numbers of bits, 0 for
// none, and fills table, which is indexed with tableBits bits. It reports whether
// there is such a code: every sequence of bits must stand for a symbol, except that
// the code may have no symbol, or one symbol of one bit.
func (c *code) build(table []entry, tableBits int, widths []uint8, entries []entry) bool {
	var count [maxWidth + 1]int
	for _, w := range widths {
		count[w&15]++
	}
	// next is, by width, the place of the next symbol when symbols are sorted by
	// width. Symbols without bits come last.
	var next [maxWidth + 1]int
	used := 0 // of the 1<<maxWidth sequences of bits
	n := 0
	for w := 1; w <= maxWidth; w++ {
		next[w] = n
		n += count[w]
		used += count[w] << (maxWidth - w)
	}
	next[0] = n
	c.n = n
	for s, w := range widths {
		at := &next[w&15]
		c.symbols[*at] = uint16(s)
		*at++
	}
	if used != 1<<maxWidth {
		for i := range table[:1<<tableBits] {
			table[i] = special
		}
		if n == 1 && count[1] == 1 {
			for i := 0; i < 1<<tableBits; i += 2 {
				table[i] = entries[c.symbols[0]] + 0x101
			}
			c.bits[0] = 0
			return true
		}
		return n == 0
	}
	// Bits are looked up with the first in the lowest, so codes count up from the
	// highest bit. The table begins with one entry, and is doubled for each further
	// bit: this copies the entries of shorter codes to every place where they
	// belong.
	bits, size, at := 0, 1, 0
	for w := 1; w <= tableBits; w++ {
		copy(table[size:2*size], table[:size])
		size *= 2
		for range count[w] {
			table[bits] = entries[c.symbols[at]] + entry(w)*0x101
			c.bits[at] = uint16(bits)
			at++
			bits = after(bits, size-1)
		}
	}
	end := size
	prefix, base := -1, 0
	for w := tableBits + 1; w <= maxWidth; w++ {
		width := w - tableBits
		for left := count[w]; left > 0; left-- {
			if p := bits & (size - 1); p != prefix {
				// Make it as wide as the longest code with this prefix.
				sub := width
				for have := left; have < 1<<sub; {
					sub++
					have = have<<1 + count[tableBits+sub]
				}
				prefix, base = p, end
				end += 1 << sub
				table[p] = special | subtable | entry(base)<<16 | entry(sub)<<8 | entry(tableBits)
			}
			e := entries[c.symbols[at]] + entry(width)*0x101
			at++
			for i := base + bits>>tableBits; i < end; i += 1 << width {
				table[i] = e
			}
			bits = after(bits, 1<<w-1)
		}
	}
	return true
}

// after returns the code that follows one whose bits are those of mask, the first
// in the lowest. After the last code it returns that code.
func after(code, mask int) int {
	bit := 1 << uint(bits.Len(uint(code^mask))-1)
	return code&(bit-1) | bit
}

// join puts two literals into one entry, and the extra bits of a length into its
// value, where the bits of both fit the width of the table. c is the table's code.
// A length whose extra bits do not fit becomes special.
func (c *code) join(table *[litLenSize]entry, widths []uint8) {
	var literals, bits [256]entry
	n := 0
	for i, s := range c.symbols[:c.n] {
		w := int(widths[s])
		if w > litLenBits {
			break
		}
		b := int(c.bits[i])
		e := litLenSymbols[s]
		switch {
		case e&literal != 0:
			literals[n&255] = e + one + entry(w)*0x101
			bits[n&255] = entry(b)
			n++
		case e&special == 0 && e.size() != 0:
			extra := int(e.size())
			size := w + extra
			if size > litLenBits {
				for ; b < 1<<litLenBits; b += 1 << w {
					table[b] |= special | long
				}
				break
			}
			e = e&^0xffff | entry(size)*0x101
			for range 1 << extra {
				for i := b; i < 1<<litLenBits; i += 1 << size {
					table[i] = e
				}
				e += 1 << 16
				b += 1 << w
			}
		}
	}
	for i, e := range literals[:n] {
		w := e.width()
		if w > litLenBits-literals[0].width() {
			break
		}
		for j, f := range literals[:n] {
			size := w + f.width()
			if size > litLenBits {
				break
			}
			both := e + f>>16&0xff<<24 + entry(f.width())
			for k := bits[i] + bits[j]<<w; k < 1<<litLenBits; k += 1 << size {
				table[k&(litLenSize-1)] = both
			}
		}
	}
}
