package sigma

import (
	"slices"
	"unicode/utf8"
)

// An index finds which of many literals occur in a text. It reads the text once, at
// a cost that hardly depends on the number of literals: it is an Aho-Corasick
// automaton, held as a table of states by classes of bytes.
//
// Note: looking for the rarest four bytes of each literal in a bitmap takes less
// memory, but twice the time for the literals of a thousand rules.
type index struct {
	literals []indexed
	sieve    *sieve // nil: the literals are too many, or one is too short

	class [256]uint16 // class of each byte; bytes in no literal share class 0
	width int32       // number of classes; 0: there are no literals
	next  []int32     // next state, by state and class; a state is the index of its first class here
	ends  []int32     // by state/width: the first entry of list that ends there, from 1; 0: none
	link  []int32     // by state/width: the longest other state that is a suffix of it and has an entry in ends
	list  []infix
}

// An indexed is a literal and the atom that it belongs to.
type indexed struct {
	text string
	refs []ref
}

// A ref is a pattern or regular expression that needs a literal.
type ref struct {
	atom int32
	at   int32 // in the test's patterns or regexps
	sure bool  // the literal alone decides
}

// An infix is the part of a literal that the automaton knows.
type infix struct {
	literal int32
	end     int32 // where the infix ends in the literal
	next    int32 // in list, from 1: another infix of the same text
}

const (
	// minLiteral is the length in bytes of the shortest literal that an index
	// takes. Single bytes occur in most texts.
	minLiteral = 2
	// maxTable is the largest number of entries, of 4 bytes each, in a table. If
	// whole literals need more, as tens of thousands of hashes do, the table knows
	// only infixes of them.
	maxTable = 4 << 20
)

// A sieve tells of most texts that no literal is in them: it has the hash of four bytes of
// each. Texts of logs seldom have one, and the automaton waits for a table at each byte.
type sieve [sieveBits / 64]uint64

const (
	sieveBytes = 4
	sieveBits  = 1 << 14
	// maxSieve is the largest number of literals that have one. With more, too many texts pass by chance: of
	// 30 bytes and 64 literals, one in nine.
	maxSieve = 64
)

// with returns the last bytes with one more, whose case is left out.
func (*sieve) with(last uint32, c byte) uint32 { return last<<8 | uint32(c|0x20) }

func (*sieve) hash(bytes uint32) uint32 { return bytes * 0x9E3779B1 >> (32 - 14) }

// newSieve returns the sieve of the literals, or nil.
func (x *index) newSieve() *sieve {
	if len(x.literals) > maxSieve || slices.ContainsFunc(x.literals, func(l indexed) bool { return len(l.text) < sieveBytes }) {
		return nil
	}
	s := &sieve{}
	for li, begin := range x.rarest(sieveBytes) {
		last := uint32(0)
		for i := range sieveBytes {
			last = s.with(last, x.literals[li].text[begin+i])
		}
		h := s.hash(last)
		s[h/64] |= 1 << (h % 64)
	}
	return s
}

// mayHold reports whether a literal may be in a text, which is not folded. It cannot tell of texts
// that are not ASCII.
func (x *index) mayHold(text []byte) bool {
	s := x.sieve
	if s == nil {
		return x.width > 0
	}
	last, all := uint32(0), byte(0)
	for _, c := range text {
		last, all = s.with(last, c), all|c
		if h := s.hash(last); s[h/64]>>(h%64)&1 != 0 {
			return true
		}
	}
	return all >= utf8.RuneSelf
}

// seal makes the index ready once all its literals are known.
func (x *index) seal() {
	if len(x.literals) == 0 {
		return
	}
	x.sieve = x.newSieve()
	x.width = 1
	for _, l := range x.literals {
		for i := range len(l.text) {
			if c := &x.class[l.text[i]]; *c == 0 {
				*c = uint16(x.width)
				x.width++
			}
		}
	}
	for _, size := range []int{1 << 20, 16, 8, 4, 3} {
		if x.build(size, maxTable) {
			return
		}
	}
	x.build(2, 1<<30) // at most 257 states of as many bytes each
}

// build makes the table for infixes of at most size bytes. It reports whether the
// table has at most most entries.
func (x *index) build(size, most int) bool {
	width := int(x.width)
	texts, ends := make([]string, len(x.literals)), make([]int, len(x.literals))
	for li, begin := range x.rarest(size) {
		l := x.literals[li].text
		ends[li] = min(begin+size, len(l))
		texts[li] = l[begin:ends[li]]
	}
	states := prefixes(texts)
	if (states-1)*width >= most {
		return false
	}
	x.next, x.ends, x.list = make([]int32, width, states*width), make([]int32, 1, states), make([]infix, 0, len(texts))
	// First a trie. No literal leads to state 0, so 0 stands for an edge that is
	// not there yet.
	for li, text := range texts {
		state := int32(0)
		for i := range len(text) {
			to := state + int32(x.class[text[i]])
			if x.next[to] == 0 {
				x.next[to] = int32(len(x.next))
				x.next = x.next[:len(x.next)+width]
				x.ends = append(x.ends, 0)
			}
			state = x.next[to]
		}
		head := &x.ends[int(state)/width]
		x.list = append(x.list, infix{int32(li), int32(ends[li]), *head})
		*head = int32(len(x.list))
	}
	// Where the trie ends, go on from the longest suffix of the bytes read that is
	// in it.
	x.link = make([]int32, len(x.ends))
	fail := make([]int32, len(x.ends))
	var queue []int32
	for c := range width {
		if s := x.next[c]; s != 0 {
			queue = append(queue, s)
		}
	}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		back := fail[int(state)/width]
		if x.link[int(state)/width] = back; x.ends[int(back)/width] == 0 {
			x.link[int(state)/width] = x.link[int(back)/width]
		}
		for c := range width {
			to := &x.next[int(state)+c]
			if *to == 0 {
				*to = x.next[int(back)+c]
			} else {
				fail[int(*to)/width] = x.next[int(back)+c]
				queue = append(queue, *to)
			}
		}
	}
	// A state in which a literal ends is marked by a negative sign.
	for i, s := range x.next {
		if at := int(s) / width; x.ends[at] != 0 || x.link[at] != 0 {
			x.next[i] = ^s
		}
	}
	return true
}

// rarest returns where in each literal the size bytes begin that the fewest literals have; 0 in
// one that has no more.
func (x *index) rarest(size int) []int {
	common := map[string]int{} // number of literals with an infix
	for _, l := range x.literals {
		for i := 0; i+size <= len(l.text); i++ {
			common[l.text[i:i+size]]++
		}
	}
	begins := make([]int, len(x.literals))
	for li, l := range x.literals {
		for i := 1; i+size <= len(l.text); i++ {
			if common[l.text[i:i+size]] < common[l.text[begins[li]:begins[li]+size]] {
				begins[li] = i
			}
		}
	}
	return begins
}

// prefixes returns how many texts begin one of texts, "" included.
func prefixes(texts []string) int {
	n, last := 1, ""
	for _, text := range slices.Sorted(slices.Values(texts)) {
		same := 0
		for same < min(len(text), len(last)) && text[same] == last[same] {
			same++
		}
		n += len(text) - same
		last = text
	}
	return n
}

// scan calls found with the number of each literal in a text, once for each place
// where it occurs. The text is folded, and there are literals.
func (x *index) scan(text []byte, found func(literal int32)) {
	next := x.next
	state := int32(0)
	for i, c := range text {
		if state = next[state+int32(x.class[c])]; state < 0 {
			state = ^state
			x.ending(state, text, i+1, found)
		}
	}
}

// ending calls found for each literal whose infix ends in a state, at a place of
// the text, if the rest of the literal is there, too.
func (x *index) ending(state int32, text []byte, at int, found func(literal int32)) {
	for ; state != 0; state = x.link[state/x.width] {
		for i := x.ends[state/x.width]; i != 0; i = x.list[i-1].next {
			p := &x.list[i-1]
			if begin := at - int(p.end); begin >= 0 && hasPrefix(text[begin:], x.literals[p.literal].text) {
				found(p.literal)
			}
		}
	}
}
