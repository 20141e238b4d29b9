package bounded

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"regexp/syntax"
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"
)

// A Matcher tells whether a text contains a match of a regular expression, as
// regexp.Regexp.Match does. Goroutines may share it.
//
// Package regexp follows all ways through an expression at once: each byte of a text takes
// up to 12 ns for each step of the expression, 90 ns for (a|a)*b. A Matcher follows them
// beforehand, into a table of all sets of places at which the ways can be; each byte then
// takes one look into it. The table of an expression such as a.{20}b would have a million
// sets: such expressions are slow, and their steps must be bounded.
type Matcher struct {
	expr string
	// program is the expression compiled; it may be so when it is first asked for.
	program func() *program
}

type program struct {
	re     *regexp.Regexp
	steps  int
	prefix []byte // of every match
	least  int    // bytes that every match has
	table  *table // nil: slow
}

// A Room is what the tables of several Matchers may still take together. A Matcher that
// finds no room for its table is slow.
type Room struct {
	Work  int // places to visit, of some 10 ns each
	Bytes int
}

// NewMatcher compiles a regular expression of at most MaxSteps steps, and takes what its table
// takes from room.
func NewMatcher(expr string, room *Room) (*Matcher, error) {
	p, err := newProgram(expr, room)
	return &Matcher{expr, func() *program { return p }}, err
}

// Later returns the Matcher of an expression that is known to be neither faulty nor slow. It
// is compiled when the first text is matched, which may never come.
func Later(expr string) *Matcher {
	return &Matcher{expr, sync.OnceValue(func() *program {
		p, err := newProgram(expr, &Room{Work: maxWork, Bytes: laterBytes})
		if err != nil {
			panic(err) // it is part of the program
		}
		return p
	})}
}

// laterBytes is how large the table of an expression of Later may be.
const laterBytes = 1 << 20

func newProgram(expr string, room *Room) (*program, error) {
	re, prog, err := compile(expr)
	if err != nil {
		return nil, err
	}
	prefix, _ := re.LiteralPrefix()
	return &program{re, len(prog.Inst), []byte(prefix), leastOf(expr), newTable(prog, room)}, nil
}

// leastOf returns how many bytes every match of an expression that compiles has.
func leastOf(expr string) int {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return 0
	}
	return leastBytes(re)
}

func leastBytes(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpCapture, syntax.OpPlus:
		return leastBytes(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min * leastBytes(re.Sub[0])
	case syntax.OpConcat:
		sum := 0
		for _, sub := range re.Sub {
			sum += leastBytes(sub)
		}
		return sum
	case syntax.OpAlternate:
		least := leastBytes(re.Sub[0])
		for _, sub := range re.Sub[1:] {
			least = min(least, leastBytes(sub))
		}
		return least
	}
	return 0
}

// String returns the expression.
func (m *Matcher) String() string { return m.expr }

// Least returns how many bytes every match has, at least.
func (m *Matcher) Least() int { return leastOf(m.expr) }

// SlowSteps returns how many steps each byte of a text may take: 0 unless m is slow.
func (m *Matcher) SlowSteps() int {
	p := m.program()
	if p.table != nil {
		return 0
	}
	return p.steps
}

// Match reports whether text contains a match.
func (m *Matcher) Match(text []byte) bool {
	p := m.program()
	if len(text) < p.least {
		return false
	}
	from := 0
	if len(p.prefix) > 0 {
		if from = bytes.Index(text, p.prefix); from < 0 {
			return false
		}
	}
	if p.table == nil {
		return p.re.Match(text)
	}
	return p.table.match(text, from)
}

const (
	// maxSets is how many sets a table may have: .{1000} has 1001. With more, a rule would take
	// more memory than a night has for its rules.
	maxSets = 2048
	// maxWork is how many places may be visited to make a table: some 80 ms. .{1000} takes three
	// eighths.
	maxWork = 1 << 23
	// cutWork is how many places a limit of a range of characters, which is to be sorted, counts as. \pL has 1,300.
	cutWork = 5
	// maxClasses is how many classes of characters an expression may tell apart.
	maxClasses = 128
)

// A table says which set follows a set at a character. All characters that no place of
// the expression tells apart are one class.
type table struct {
	starts  [numBefore]uint16   // the sets before the first character, by what comes before it
	next    []uint16            // by set and class
	ends    []bool              // by set: the text may end here
	classes int                 // number of classes
	ascii   [utf8.RuneSelf]byte // classes
	bounds  []rune              // where the ranges of one class begin, ascending; the first is 0
	of      []byte              // the classes of these ranges
}

// The first sets of every table.
const (
	dead    = iota // no match can follow
	matched        // there was a match
)

// What comes before a place, as far as \A, ^ and \b ask.
type before uint8

const (
	nothing before = iota
	newline
	word
	other
	numBefore
)

// beforeRunes stand for what comes before a place.
var beforeRunes = [numBefore]rune{-1, '\n', 'a', ' '}

func beforeOf(r rune) before {
	switch {
	case r == '\n':
		return newline
	case syntax.IsWordChar(r):
		return word
	}
	return other
}

func (t *table) match(text []byte, from int) bool {
	at := nothing
	if from > 0 {
		r, _ := utf8.DecodeLastRune(text[:from])
		at = beforeOf(r)
	}
	set := t.starts[at]
	for i := from; i < len(text) && set > matched; {
		c := text[i]
		class := byte(0)
		if c < utf8.RuneSelf {
			class = t.ascii[c]
			i++
		} else {
			r, n := utf8.DecodeRune(text[i:])
			class = t.class(r)
			i += n
		}
		set = t.next[int(set)*t.classes+int(class)]
	}
	return t.ends[set]
}

func (t *table) class(r rune) byte {
	i, ok := slices.BinarySearch(t.bounds, r)
	if !ok {
		i--
	}
	return t.of[i]
}

// A tableMaker makes a table.
type tableMaker struct {
	*table
	prog    *syntax.Prog
	reps    []rune            // a character of each class
	taken   [][]bool          // by class and place: the place takes it
	sets    map[string]uint16 // by key
	todo    [][]uint32        // the places of the sets, by set
	ahead   []before          // what comes before them, by set
	work    int               // places visited
	maxWork int

	mark  []int // by place: the visit in which it was seen
	visit int
	stack []uint32
	// Buffers of follow, take and set.
	takers, after []uint32
	key           []byte
}

// newTable returns the table of a program, or nil if it would be too large.
func newTable(prog *syntax.Prog, room *Room) *table {
	m := &tableMaker{table: &table{}, prog: prog, sets: map[string]uint16{}, mark: make([]int, len(prog.Inst)), maxWork: min(maxWork, room.Work)}
	defer func() { room.Work -= m.work }()
	if !m.classify() {
		return nil
	}
	m.todo, m.ahead = make([][]uint32, 2), make([]before, 2) // dead and matched
	m.ends = []bool{dead: false, matched: true}
	m.next = make([]uint16, 2*m.classes)
	for i := range m.classes {
		m.next[m.classes+i] = matched
	}
	for at := range numBefore {
		m.starts[at] = m.set([]uint32{uint32(prog.Start)}, at)
	}
	for i := 2; i < len(m.todo); i++ {
		at := m.ahead[i]
		end := m.follow(m.todo[i], at, atEnd)
		m.ends[i] = end.match
		for c := range m.classes {
			way := end
			if end.asks {
				way = m.follow(m.todo[i], at, c)
			} else {
				m.work += end.visited
			}
			next := uint16(matched)
			if !way.match {
				next = m.set(m.take(c), beforeOf(m.reps[c]))
			}
			m.next = append(m.next, next)
			if len(m.todo) > maxSets || m.work > m.maxWork {
				return nil
			}
		}
		m.todo[i] = nil
	}
	size := 2*len(m.next) + len(m.ends)
	if size > room.Bytes {
		return nil
	}
	room.Bytes -= size
	m.bury()
	return m.table
}

// classify finds the classes. It returns false if there are too many.
func (m *tableMaker) classify() bool {
	cuts := []rune{0, '\n', '\n' + 1}
	words := false
	seen := map[*rune]bool{} // what is repeated has its ranges in one place
	for i := range m.prog.Inst {
		in := &m.prog.Inst[i]
		if len(in.Rune) > 0 {
			if seen[&in.Rune[0]] {
				continue
			}
			seen[&in.Rune[0]] = true
		}
		if m.work += cutWork * len(in.Rune); m.work > m.maxWork {
			return false
		}
		switch in.Op {
		case syntax.InstEmptyWidth:
			words = words || syntax.EmptyOp(in.Arg)&(syntax.EmptyWordBoundary|syntax.EmptyNoWordBoundary) != 0
		case syntax.InstRune, syntax.InstRune1:
			if len(in.Rune) == 1 {
				r := in.Rune[0]
				cuts = append(cuts, r, r+1)
				if syntax.Flags(in.Arg)&syntax.FoldCase != 0 {
					for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
						cuts = append(cuts, f, f+1)
					}
				}
			}
			for j := 0; j+1 < len(in.Rune); j += 2 {
				cuts = append(cuts, in.Rune[j], in.Rune[j+1]+1)
			}
		}
	}
	if words {
		cuts = append(cuts, '0', '9'+1, 'A', 'Z'+1, '_', '_'+1, 'a', 'z'+1)
	}
	slices.Sort(cuts)
	m.bounds = slices.Compact(cuts)
	// Ranges that all places treat alike are one class.
	alike := map[string]byte{}
	taken := make([]bool, len(m.prog.Inst))
	for _, r := range m.bounds {
		key := append(m.key[:0], 0)
		if r == '\n' {
			key[0] = 1
		} else if words && syntax.IsWordChar(r) {
			key[0] = 2
		}
		for i := range m.prog.Inst {
			m.work++
			if taken[i] = takes(&m.prog.Inst[i], r); taken[i] {
				key = binary.AppendUvarint(key, uint64(i))
			}
		}
		m.key = key
		if m.work > m.maxWork {
			return false
		}
		class, ok := alike[string(key)]
		if !ok {
			if len(m.reps) == maxClasses {
				return false
			}
			class = byte(len(m.reps))
			alike[string(key)] = class
			m.reps, m.taken = append(m.reps, r), append(m.taken, slices.Clone(taken))
		}
		m.of = append(m.of, class)
	}
	m.classes = len(m.reps)
	for r := range rune(utf8.RuneSelf) {
		m.ascii[r] = m.class(r)
	}
	return true
}

// takes reports whether a place takes a character.
func takes(in *syntax.Inst, r rune) bool {
	switch in.Op {
	case syntax.InstRune, syntax.InstRune1:
		return in.MatchRune(r)
	case syntax.InstRuneAny:
		return true
	case syntax.InstRuneAnyNotNL:
		return r != '\n'
	}
	return false
}

// atEnd stands for the class of what follows the text.
const atEnd = -1

// A way is what follows a set of places.
type way struct {
	match   bool // there is a match before the next character
	asks    bool // it depends on what is there
	visited int  // places
}

// follow finds, into m.takers, the places that may take a character of a class, from those of
// a set on, which follow what is at. A match may begin at every character.
func (m *tableMaker) follow(places []uint32, at before, class int) (w way) {
	m.visit++
	r := rune(-1)
	if class != atEnd {
		r = m.reps[class]
	}
	here := syntax.EmptyOpContext(beforeRunes[at], r)
	m.takers = m.takers[:0]
	m.stack = append(append(m.stack[:0], places...), uint32(m.prog.Start))
	for len(m.stack) > 0 {
		pc := m.stack[len(m.stack)-1]
		m.stack = m.stack[:len(m.stack)-1]
		if m.mark[pc] == m.visit {
			continue
		}
		m.mark[pc] = m.visit
		w.visited++
		switch in := &m.prog.Inst[pc]; in.Op {
		case syntax.InstMatch:
			w.match = true
			m.stack = m.stack[:0]
		case syntax.InstAlt, syntax.InstAltMatch:
			m.stack = append(m.stack, in.Out, in.Arg)
		case syntax.InstCapture, syntax.InstNop:
			m.stack = append(m.stack, in.Out)
		case syntax.InstEmptyWidth:
			w.asks = true
			if syntax.EmptyOp(in.Arg)&^here == 0 {
				m.stack = append(m.stack, in.Out)
			}
		default:
			m.takers = append(m.takers, pc)
		}
	}
	m.work += w.visited
	return w
}

// take returns the places after those of m.takers that take a character of a class. They are
// valid until the next call.
func (m *tableMaker) take(class int) []uint32 {
	taken := m.taken[class]
	m.after = m.after[:0]
	for _, pc := range m.takers {
		if taken[pc] {
			m.after = append(m.after, m.prog.Inst[pc].Out)
		}
	}
	return m.after
}

// set returns the set of places after what is at.
func (m *tableMaker) set(places []uint32, at before) uint16 {
	slices.Sort(places)
	places = slices.Compact(places)
	key := append(m.key[:0], byte(at))
	for _, pc := range places {
		key = binary.AppendUvarint(key, uint64(pc))
	}
	m.key = key
	m.work += len(places)
	if id, ok := m.sets[string(key)]; ok {
		return id
	}
	id := uint16(len(m.todo))
	m.sets[string(key)] = id
	m.todo, m.ahead, m.ends = append(m.todo, slices.Clone(places)), append(m.ahead, at), append(m.ends, false)
	return id
}

// bury makes every set from which no match can follow the dead one.
func (m *tableMaker) bury() {
	lives := slices.Clone(m.ends)
	for again := true; again; {
		again = false
		for s := len(lives) - 1; s > matched; s-- {
			if !lives[s] && slices.ContainsFunc(m.next[s*m.classes:(s+1)*m.classes], func(n uint16) bool { return lives[n] }) {
				lives[s], again = true, true
			}
		}
	}
	for i, s := range m.next {
		if !lives[s] {
			m.next[i] = dead
		}
	}
	for i, s := range m.starts {
		if !lives[s] {
			m.starts[i] = dead
		}
	}
}
