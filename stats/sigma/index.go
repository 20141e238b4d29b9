package sigma

import (
	"encoding/binary"
	"math/bits"
)

// An index finds which of many literals are in a text, in one pass that costs about
// as much for ten literals as for ten thousand. Each literal is looked for by the
// four of its bytes in a row that the fewest other literals have: a small bitmap
// says of almost every place of a text that none begins there.
//
// Note: an Aho-Corasick automaton of the same literals takes megabytes, and waits
// for one load after the other.
type index struct {
	literals []indexed
	words    grams // literals of 4 bytes and more, by 4 of them
	pairs    grams // shorter ones, by 2
}

// An indexed literal, and whose it is.
type indexed struct {
	text string
	refs []ref
}

// A ref is a pattern or regular expression that needs a literal.
type ref struct {
	atom int32
	at   int32 // in the test's patterns or regexps
	sure bool  // it asks for no more than the literal
}

// minLiteral is the shortest literal that an index takes, in bytes. Single bytes are
// in most texts.
const minLiteral = 2

// grams are where the literals of an index are looked for.
type grams struct {
	width int
	shift uint8    // of the hash of four bytes to its bit; two bytes are their bit
	bits  []uint64 // nil: there are no literals
	slots []gramSlot
	list  []gramEntry
}

type gramSlot struct {
	gram uint32
	head int32 // in list, from 1; 0: free
}

type gramEntry struct {
	literal, offset int32 // of the gram in the literal
	next            int32
}

func gramHash(w uint32) uint32 { return w * 0x9e3779b1 }

func gramAt(s string, i, width int) uint32 {
	if width == 2 {
		return uint32(s[i]) | uint32(s[i+1])<<8
	}
	return uint32(s[i]) | uint32(s[i+1])<<8 | uint32(s[i+2])<<16 | uint32(s[i+3])<<24
}

// seal makes the index ready after its literals are known.
func (x *index) seal() {
	x.words = x.grams(4, func(n int) bool { return n >= 4 })
	x.pairs = x.grams(2, func(n int) bool { return n < 4 })
}

func (x *index) grams(width int, takes func(size int) bool) grams {
	g := grams{width: width}
	common := map[uint32]int{} // how many literals have a gram
	n := 0
	for _, l := range x.literals {
		if !takes(len(l.text)) {
			continue
		}
		n++
		seen := map[uint32]bool{}
		for i := 0; i+width <= len(l.text); i++ {
			if w := gramAt(l.text, i, width); !seen[w] {
				seen[w] = true
				common[w]++
			}
		}
	}
	if n == 0 {
		return g
	}
	logSlots := bits.Len(uint(2 * n))
	logBits := min(max(bits.Len(uint(32*n)), 12), 19) // at most 64 KiB, of a second-level cache
	if width == 2 {
		logBits = 16
	}
	g.shift = uint8(32 - logBits)
	g.bits = make([]uint64, 1<<logBits/64)
	g.slots = make([]gramSlot, 1<<logSlots)
	for li, l := range x.literals {
		if !takes(len(l.text)) {
			continue
		}
		best := 0
		for i := 1; i+width <= len(l.text); i++ {
			if common[gramAt(l.text, i, width)] < common[gramAt(l.text, best, width)] {
				best = i
			}
		}
		w := gramAt(l.text, best, width)
		h := w
		if width == 4 {
			h = gramHash(w) >> g.shift
		}
		g.bits[h>>6] |= 1 << (h & 63)
		s := g.slot(w)
		s.gram = w
		g.list = append(g.list, gramEntry{int32(li), int32(best), s.head})
		s.head = int32(len(g.list))
	}
	return g
}

// slot returns the slot of a gram, or the free one where it would be.
func (g *grams) slot(w uint32) *gramSlot {
	mask := uint32(len(g.slots) - 1)
	for i := gramHash(w) >> 7; ; i++ {
		if s := &g.slots[i&mask]; s.head == 0 || s.gram == w {
			return s
		}
	}
}

// scan calls found with the number of each literal in a text, which is folded: once
// for each place where it is.
func (x *index) scan(text []byte, found func(literal int32)) {
	words, pairs := &x.words, &x.pairs
	if words.bits == nil {
		if pairs.bits != nil {
			x.scanPairs(text, 0, found)
		}
		return
	}
	bitmap, shift := words.bits, words.shift
	i := 0
	if pairs.bits == nil {
		for ; i+4 <= len(text); i++ {
			w := binary.LittleEndian.Uint32(text[i:])
			if h := gramHash(w) >> shift; bitmap[h>>6]>>(h&63)&1 != 0 {
				x.probe(words, w, text, i, found)
			}
		}
		return
	}
	inPairs := (*[1 << 16 / 64]uint64)(pairs.bits)
	for ; i+4 <= len(text); i++ {
		w := binary.LittleEndian.Uint32(text[i:])
		h := gramHash(w) >> shift
		inWords, inPair := bitmap[h>>6]>>(h&63)&1, inPairs[w&0xffff>>6]>>(w&63)&1
		if inWords|inPair != 0 {
			if inWords != 0 {
				x.probe(words, w, text, i, found)
			}
			if inPair != 0 {
				x.probe(pairs, w&0xffff, text, i, found)
			}
		}
	}
	x.scanPairs(text, i, found)
}

// scanPairs looks for short literals from a place on.
func (x *index) scanPairs(text []byte, from int, found func(literal int32)) {
	inPairs := (*[1 << 16 / 64]uint64)(x.pairs.bits)
	for i := from; i+2 <= len(text); i++ {
		w := uint32(binary.LittleEndian.Uint16(text[i:]))
		if inPairs[w>>6]>>(w&63)&1 != 0 {
			x.probe(&x.pairs, w, text, i, found)
		}
	}
}

func (x *index) probe(g *grams, w uint32, text []byte, i int, found func(literal int32)) {
	s := g.slot(w)
	for at := s.head; at != 0; at = g.list[at-1].next {
		e := &g.list[at-1]
		begin := i - int(e.offset)
		if begin >= 0 && hasPrefix(text[begin:], x.literals[e.literal].text) {
			found(e.literal)
		}
	}
}
