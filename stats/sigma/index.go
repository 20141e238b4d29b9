package sigma

// An index finds which of many literals are in a text, in one pass whose cost hardly
// depends on how many they are: an Aho-Corasick automaton, as a table of states by
// classes of bytes.
//
// Note: looking for the rarest four bytes of each literal by a bitmap takes less
// memory, but twice the time for the literals of a thousand rules.
type index struct {
	literals []indexed

	class [256]uint16 // of bytes; all that are in no literal are one class, 0
	width int32       // how many classes there are; 0: there are no literals
	next  []int32     // by state and class; a state is the place of its first class here
	ends  []int32     // by state/width: the first in list that ends there, from 1, or 0
	link  []int32     // by state/width: the longest other state that is its end and has such
	list  []piece
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

// A piece is the part of a literal that the automaton knows.
type piece struct {
	literal int32
	end     int32 // of the piece in the literal
	next    int32 // in list, from 1: another piece of the same text
}

const (
	// minLiteral is the shortest literal that an index takes, in bytes. Single bytes
	// are in most texts.
	minLiteral = 2
	// maxTable is how many entries of 4 bytes a table may have. Where whole literals
	// need more, as tens of thousands of hashes do, it knows only pieces of them.
	maxTable = 4 << 20
)

// seal makes the index ready after its literals are known.
func (x *index) seal() {
	if len(x.literals) == 0 {
		return
	}
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

// build makes the table of pieces of at most size bytes, and reports whether it has
// no more than most entries.
func (x *index) build(size, most int) bool {
	x.next, x.ends, x.link, x.list = nil, nil, nil, nil
	width := int(x.width)
	add := func() int32 {
		x.next = append(x.next, make([]int32, width)...)
		x.ends = append(x.ends, 0)
		return int32(len(x.next) - width)
	}
	add()
	// A trie; 0, which no literal leads to, stands for what is not there yet.
	common := map[string]int{} // how many literals have a piece
	if size < 1<<20 {
		for _, l := range x.literals {
			for i := 0; i+size <= len(l.text); i++ {
				common[l.text[i:i+size]]++
			}
		}
	}
	for li, l := range x.literals {
		begin, end := 0, len(l.text)
		if size < end {
			for i := 1; i+size <= len(l.text); i++ {
				if common[l.text[i:i+size]] < common[l.text[begin:begin+size]] {
					begin = i
				}
			}
			end = begin + size
		}
		state := int32(0)
		for i := begin; i < end; i++ {
			to := state + int32(x.class[l.text[i]])
			if x.next[to] == 0 {
				if len(x.next) >= most {
					return false
				}
				s := add()
				x.next[to] = s
			}
			state = x.next[to]
		}
		head := &x.ends[int(state)/width]
		x.list = append(x.list, piece{int32(li), int32(end), *head})
		*head = int32(len(x.list))
	}
	// Where the trie ends, go on from the longest end of what was read that it has.
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
	// A state in which something ends is known by its sign.
	for i, s := range x.next {
		if at := int(s) / width; x.ends[at] != 0 || x.link[at] != 0 {
			x.next[i] = ^s
		}
	}
	return true
}

// scan calls found with the number of each literal in a text, which is folded: once
// for each place where it is.
func (x *index) scan(text []byte, found func(literal int32)) {
	if x.width == 0 {
		return
	}
	next := x.next
	state := int32(0)
	for i, c := range text {
		if state = next[state+int32(x.class[c])]; state < 0 {
			state = ^state
			x.ending(state, text, i+1, found)
		}
	}
}

// ending calls found with the literals whose pieces end in a state, at a place of a
// text, if the rest of them is there, too.
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
