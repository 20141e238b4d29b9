package sigma

import (
	"bytes"
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"outflow/columnar"
)

// A Match is a row of a batch that a rule matches.
type Match struct {
	Row  int32
	Rule int32 // in Set.Rules
}

// A Matcher finds the rows that the rules of a Set match. It remembers results for
// the texts of dictionaries. It must not be used by several goroutines at once.
type Matcher struct {
	// Origin says whose logs the next batches are. Rules about other logs are
	// skipped.
	Origin columnar.Origin
	// Lacks has the columns that the next batches' format cannot fill. That such a
	// column is empty says nothing, so a test for '' does not hold for it.
	Lacks columnar.Cols

	set    *Set
	states [columnar.NumTables]*state
	out    []Match
}

// Matcher returns a new Matcher of the set.
func (s *Set) Matcher() *Matcher { return &Matcher{set: s} }

// Match returns the matches in a batch, ordered by row and then by rule. They are
// valid until the next call.
func (m *Matcher) Match(b *columnar.Batch) []Match {
	m.out = m.out[:0]
	planned := m.set.plans[b.Table.ID]
	if planned == nil {
		return nil
	}
	p, s := planned(), m.states[b.Table.ID]
	if s == nil {
		s = newState(p)
		m.states[b.Table.ID] = s
	}
	s.begin(b, m.Origin, m.Lacks)
	s.rows(func(row int) {
		from := len(m.out)
		for _, i := range s.hits {
			m.out = append(m.out, Match{int32(row), p.rules[i].rule})
		}
		slices.SortFunc(m.out[from:], func(a, b Match) int { return int(a.Rule - b.Rule) })
	})
	return m.out
}

// Value returns the value of a Sigma field in a row, and whether there is one. The
// text is valid until the next call.
func (m *Matcher) Value(b *columnar.Batch, row int, field string) ([]byte, bool) {
	in := input{field: field, kind: columnar.Dictionary}
	if c, ok := ColumnOf(b.Table, field); ok {
		in = input{col: c, kind: c.Kind()}
	}
	var r reader
	r.begin(b, &in, m.Lacks)
	text, said := r.text(row)
	return text, said == saidText
}

// A said tells what an event says about a field.
type said byte

const (
	saidNothing  said = iota // the event does not have the field
	saidNotKnown             // a column is empty: the field is absent, or has no text
	saidEmpty                // the event has the field, but without a text
	saidText
)

// A reader reads one input of a batch.
type reader struct {
	kind    columnar.Kind
	column  bool
	empty   said    // what an empty column means
	codes   []int32 // nil if the batch does not have the field
	dict    *columnar.Dict
	offsets []int32
	texts   []byte
	ints    []int64
	int32s  []int32
	valid   columnar.Bitmap
	scratch []byte
}

func (r *reader) begin(b *columnar.Batch, in *input, lacks columnar.Cols) {
	*r = reader{kind: in.kind, column: in.field == "", empty: saidNotKnown, scratch: r.scratch}
	if lacks.Has(in.col) {
		r.empty = saidNothing
	}
	switch {
	case in.field != "":
		r.codes, r.dict = b.Field(in.field)
	case in.kind == columnar.Dictionary:
		r.codes, r.dict = b.Codes(in.col)
	case in.kind == columnar.Text:
		r.offsets, r.texts = b.Texts(in.col)
	case in.kind == columnar.Int32:
		r.int32s, r.valid = b.Int32(in.col), b.Valid(in.col)
	default:
		r.ints = b.Int64(in.col)
		if in.kind == columnar.Int64 {
			r.valid = b.Valid(in.col)
		}
	}
}

// int returns the value of an integer column or of the time.
func (r *reader) int(row int) (int64, bool) {
	if r.valid != nil && r.valid.Bit(row) == 0 {
		return 0, false
	}
	if r.int32s != nil {
		return int64(r.int32s[row]), true
	}
	return r.ints[row], true
}

func (r *reader) ofCode(code int32) ([]byte, said) {
	text := r.dict.Text(code)
	switch {
	case len(text) > 0:
		return text, saidText
	case r.column:
		return nil, r.empty
	case code == columnar.FieldAbsent:
		return nil, saidNothing
	}
	return nil, saidEmpty
}

func (r *reader) text(row int) ([]byte, said) {
	switch r.kind {
	case columnar.Dictionary:
		if r.codes == nil {
			return nil, saidNothing
		}
		return r.ofCode(r.codes[row])
	case columnar.Text:
		if text := r.texts[r.offsets[row]:r.offsets[row+1]]; len(text) > 0 {
			return text, saidText
		}
		return nil, r.empty
	}
	i, ok := r.int(row)
	if !ok {
		return nil, r.empty
	}
	if r.kind == columnar.Timestamp {
		r.scratch = time.UnixMicro(i).UTC().AppendFormat(r.scratch[:0], "2006-01-02T15:04:05.999999Z")
	} else {
		r.scratch = strconv.AppendInt(r.scratch[:0], i, 10)
	}
	return r.scratch, saidText
}

// A state is what a Matcher remembers of one table.
type state struct {
	plan   *plan
	inputs []inputState
	has    []int32 // inputs with atoms that may hold for a row of the batch: of dozens, a log has few
	n      int     // rows of the batch
	skip   []bool  // by rule: it is about logs of another origin
	ready  bool    // skip is valid for origin
	origin columnar.Origin
	lacks  columnar.Cols

	marked []bool   // rows in which a trigger on a dictionary holds
	seen   []uint32 // by atom: the stamp of the row in which it holds
	rule   []uint32 // by rule: the stamp of the row in which it is a candidate
	row    uint32
	cands  []int32
	hits   []int32
	memo   [][]byte // by atom that is not indexed: its result by code
	folded []byte
}

// An inputState holds what is remembered about an input's texts.
type inputState struct {
	reader
	known *columnar.Dict // the dictionary whose texts are in spans
	spans []span         // by code
	atoms []int32        // the atoms that hold, by span
	hot   []bool         // by code: a rule may match
	row   []int32        // atoms of the row's text, if it has no codes

	folded []byte
	stamp  uint32
	found  []uint32 // by literal: the stamp of the text in which it was found
	holds  []uint32 // by atom of the plan: the stamp of the text for which it holds
}

type span struct{ begin, end int32 }

func newState(p *plan) *state {
	s := &state{plan: p, inputs: make([]inputState, len(p.inputs)), skip: make([]bool, len(p.rules)), marked: make([]bool, columnar.BatchRows),
		seen: make([]uint32, len(p.atoms)), rule: make([]uint32, len(p.rules)), memo: make([][]byte, len(p.atoms))}
	for i := range s.inputs {
		s.inputs[i].found = make([]uint32, len(p.inputs[i].index.literals))
		s.inputs[i].holds = make([]uint32, len(p.atoms))
	}
	return s
}

// begin starts a batch, and finds the rows in which a dictionary's text may make a
// rule match.
func (s *state) begin(b *columnar.Batch, origin columnar.Origin, lacks columnar.Cols) {
	if !s.ready || s.origin != origin {
		s.ready, s.origin = true, origin
		for i, r := range s.plan.rules {
			s.skip[i] = !origin.Fits(r.origin)
		}
	}
	if s.lacks != lacks {
		s.lacks = lacks
		for i := range s.inputs {
			s.inputs[i].known = nil
		}
	}
	s.n = b.Len()
	s.has = s.has[:0]
	clear(s.marked[:s.n])
	for i := range s.inputs {
		in := &s.inputs[i]
		in.begin(b, &s.plan.inputs[i], lacks)
		if in.codes == nil {
			if in.kind == columnar.Text && s.plan.inputs[i].decides() {
				s.has = append(s.has, int32(i))
			}
			continue
		}
		if in.known != in.dict {
			in.known, in.spans, in.atoms, in.hot = in.dict, in.spans[:0], in.atoms[:0], in.hot[:0]
			for a := range s.plan.atoms {
				if s.plan.atoms[a].in == int32(i) {
					s.memo[a] = s.memo[a][:0]
				}
			}
		}
		anyHot := false
		for code := len(in.spans); code < in.dict.Len(); code++ {
			begin := int32(len(in.atoms))
			text, what := in.ofCode(int32(code))
			in.atoms = s.holding(i, text, what, in.atoms)
			in.spans = append(in.spans, span{begin, int32(len(in.atoms))})
			in.hot = append(in.hot, s.triggered(in.atoms[begin:]))
		}
		if len(in.atoms) > 0 {
			s.has = append(s.has, int32(i))
		}
		for _, hot := range in.hot {
			anyHot = anyHot || hot
		}
		if anyHot {
			hot := in.hot
			for row, code := range in.codes {
				if hot[code] {
					s.marked[row] = true
				}
			}
		}
	}
}

// triggered reports whether one of the atoms makes a rule a candidate.
func (s *state) triggered(atoms []int32) bool {
	return slices.ContainsFunc(atoms, func(a int32) bool { return len(s.plan.atoms[a].rules) > 0 })
}

// holding appends the indexed and eager atoms that hold for a text of an input.
func (s *state) holding(i int, text []byte, what said, atoms []int32) []int32 {
	of := &s.plan.inputs[i]
	if what == saidText {
		if values, ok := of.list(text); ok {
			atoms = s.ofValues(i, values, atoms)
		} else {
			atoms = s.indexed(i, text, atoms)
		}
	}
	for _, a := range of.eager {
		if len(text) >= s.plan.atoms[a].least && s.decide(&s.plan.atoms[a], text, what) {
			atoms = append(atoms, a)
		}
	}
	return atoms
}

// ofValues appends the indexed atoms that hold for a value of a list. Note: in holding, its
// loop would have the atoms of each text allocated.
func (s *state) ofValues(i int, values iter.Seq[[]byte], atoms []int32) []int32 {
	begin := len(atoms)
	for v := range values {
		atoms = s.indexed(i, v, atoms)
	}
	slices.Sort(atoms[begin:])
	return atoms[:begin+len(slices.Compact(atoms[begin:]))]
}

// list returns the values of a field that has several.
func (in *input) list(text []byte) (iter.Seq[[]byte], bool) {
	if in.field == "" || len(text) == 0 || text[0] != columnar.ListMark {
		return nil, false
	}
	return bytes.SplitSeq(text[1:], []byte{columnar.ListMark}), true
}

// indexed appends the indexed atoms that hold for a value of an input.
func (s *state) indexed(i int, text []byte, atoms []int32) []int32 {
	in, of := &s.inputs[i], &s.plan.inputs[i]
	if in.stamp++; in.stamp == 0 {
		clear(in.found)
		clear(in.holds)
		in.stamp = 1
	}
	if of.index.mayHold(text) {
		in.folded = foldCase(in.folded[:0], text)
		of.index.scan(in.folded, func(l int32) {
			if in.found[l] == in.stamp {
				return
			}
			in.found[l] = in.stamp
			for _, ref := range of.index.literals[l].refs {
				if in.holds[ref.atom] == in.stamp {
					continue
				}
				t := s.plan.atoms[ref.atom].test
				ok := ref.sure
				switch {
				case ok:
				case t.kind == testRegexp:
					ok = t.regexps[ref.at].Match(text)
				case t.cased:
					ok = t.patterns[ref.at].match(text)
				default:
					ok = t.patterns[ref.at].match(in.folded)
				}
				if ok {
					in.holds[ref.atom] = in.stamp
					atoms = append(atoms, ref.atom)
				}
			}
		})
	}
	if len(of.numbers) > 0 {
		if n, ok := parseNumber(string(text)); ok {
			atoms = append(atoms, of.numbers[n]...)
		}
	}
	return atoms
}

// rows calls hit for the rows that rules match; s.hits has the rules.
func (s *state) rows(hit func(row int)) {
	var scanned []int32 // those that have texts of their own in each row
	for _, i := range s.has {
		if s.inputs[i].codes == nil {
			scanned = append(scanned, i)
		}
	}
	for row := range s.n {
		hot := s.marked[row] || len(s.plan.always) > 0
		for _, i := range scanned {
			in := &s.inputs[i]
			text, what := in.text(row)
			in.row = s.holding(int(i), text, what, in.row[:0])
			hot = hot || s.triggered(in.row)
		}
		if hot && s.matchRow(row) {
			hit(row)
		}
	}
}

// matchRow finds the rules that match a row.
func (s *state) matchRow(row int) bool {
	if s.row++; s.row == 0 {
		clear(s.seen)
		clear(s.rule)
		s.row = 1
	}
	s.cands = append(s.cands[:0], s.plan.always...)
	for _, i := range s.has {
		in := &s.inputs[i]
		atoms := in.row
		if in.codes != nil {
			sp := in.spans[in.codes[row]]
			atoms = in.atoms[sp.begin:sp.end]
		}
		for _, a := range atoms {
			s.seen[a] = s.row
			for _, r := range s.plan.atoms[a].rules {
				if s.rule[r] != s.row {
					s.rule[r] = s.row
					s.cands = append(s.cands, r)
				}
			}
		}
	}
	s.hits = s.hits[:0]
	for _, r := range s.cands {
		if !s.skip[r] && s.holdsIn(&s.plan.rules[r].expr, row) {
			s.hits = append(s.hits, r)
		}
	}
	return len(s.hits) > 0
}

// holdsIn reports whether an expression holds for a row.
func (s *state) holdsIn(e *asked, row int) bool {
	switch e.op {
	case opTest:
		return s.atom(e.atom, row)
	case opNot:
		return !s.holdsIn(&e.kids[0], row)
	case opAnd:
		for i := range e.kids {
			if !s.holdsIn(&e.kids[i], row) {
				return false
			}
		}
		return true
	case opOr:
		for i := range e.kids {
			if s.holdsIn(&e.kids[i], row) {
				return true
			}
		}
		return false
	}
	n := 0
	for i := range e.kids {
		if s.holdsIn(&e.kids[i], row) {
			n++
		}
	}
	return n >= e.n
}

func (s *state) atom(i int32, row int) bool {
	a := &s.plan.atoms[i]
	if a.indexed || a.eager {
		return s.seen[i] == s.row
	}
	in := &s.inputs[a.in]
	if in.codes == nil || a.test.kind == testField {
		return s.compute(a, row)
	}
	// Decide once for each distinct text.
	code := in.codes[row]
	for len(s.memo[i]) <= int(code) {
		s.memo[i] = append(s.memo[i], 0)
	}
	if s.memo[i][code] == 0 {
		s.memo[i][code] = 1
		if text, what := in.ofCode(code); s.decide(a, text, what) {
			s.memo[i][code] = 2
		}
	}
	return s.memo[i][code] == 2
}

// compute decides an atom for a row.
func (s *state) compute(a *atom, row int) bool {
	in, t := &s.inputs[a.in], a.test
	if in.kind >= columnar.Int64 || in.kind == columnar.Timestamp {
		i, ok := in.int(row)
		switch {
		case t.kind == testNumber:
			return (ok && integer(i).compares(t.cmp, t.number)) != t.differs
		case a.ints != nil:
			return (ok && slices.Contains(a.ints, i)) != t.differs
		case t.kind == testPart && in.kind == columnar.Timestamp:
			return partOf(time.UnixMicro(i).UTC(), t.part, t.number) != t.differs
		}
	}
	if t.kind == testField {
		return s.refers(a, row) != t.differs
	}
	text, what := in.text(row)
	return s.decide(a, text, what)
}

// refers decides a test that compares two fields; a list is compared as a whole.
func (s *state) refers(a *atom, row int) bool {
	t := a.test
	text, what := s.inputs[a.in].text(row)
	other, whatOther := s.inputs[a.other].text(row)
	if what != saidText || whatOther != saidText {
		return what == whatOther && what == saidEmpty
	}
	if n, ok := parseNumber(string(text)); ok && !t.before && !t.after {
		if m, ok := parseNumber(string(other)); ok {
			return n == m
		}
	}
	if !t.cased {
		s.folded = foldCase(s.folded[:0], text)
		n := len(s.folded)
		s.folded = foldCase(s.folded, other)
		text, other = s.folded[:n], s.folded[n:]
	}
	switch {
	case t.before && t.after:
		return bytes.Contains(text, other)
	case t.before:
		return bytes.HasSuffix(text, other)
	case t.after:
		return bytes.HasPrefix(text, other)
	}
	return bytes.Equal(text, other)
}

// decide decides an atom for a text. A list meets a test if one of its values does.
func (s *state) decide(a *atom, text []byte, what said) bool {
	t := a.test
	if what == saidText && t.kind != testNull && t.kind != testExists {
		if values, ok := s.plan.inputs[a.in].list(text); ok {
			for v := range values {
				if s.meets(t, v, saidText) != t.differs {
					return true
				}
			}
			return false
		}
	}
	return s.meets(t, text, what) != t.differs
}

// meets reports whether a value meets a test, whatever differs says.
func (s *state) meets(t *test, text []byte, what said) bool {
	switch t.kind {
	case testNull:
		return what != saidText
	case testExists:
		return (what == saidText || what == saidEmpty) != t.absent
	}
	switch what {
	case saidNothing:
		return false
	case saidNotKnown:
		return t.kind == testText && slices.ContainsFunc(t.patterns, func(p pattern) bool { return len(p) == 0 })
	}
	switch t.kind {
	case testText:
		if !t.cased {
			s.folded = foldCase(s.folded[:0], text)
			text = s.folded
		}
		return slices.ContainsFunc(t.patterns, func(p pattern) bool { return p.match(text) })
	case testRegexp:
		for _, re := range t.regexps {
			if re.Match(text) {
				return true
			}
		}
	case testNet:
		addr, err := netip.ParseAddr(string(bytes.TrimSpace(text)))
		if err != nil {
			return false
		}
		addr = addr.Unmap().WithZone("")
		return slices.ContainsFunc(t.nets, func(n netip.Prefix) bool { return n.Contains(addr) })
	case testEqual:
		n, ok := parseNumber(string(text))
		return ok && slices.Contains(t.numbers, n)
	case testNumber:
		n, ok := parseNumber(string(text))
		return ok && n.compares(t.cmp, t.number)
	case testPart:
		at, ok := parseTime(string(text))
		return ok && partOf(at, t.part, t.number)
	}
	return false
}

var timeLayouts = []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999", "2006-01-02"}

// parseTime reads a time as logs of events write it. Zones are not converted: the
// hour is the one that is written.
func parseTime(s string) (time.Time, bool) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func partOf(t time.Time, part string, want number) bool {
	n := 0
	switch part {
	case "minute":
		n = t.Minute()
	case "hour":
		n = t.Hour()
	case "day":
		n = t.Day()
	case "week":
		_, n = t.ISOWeek()
	case "month":
		n = int(t.Month())
	case "year":
		n = t.Year()
	}
	return integer(int64(n)) == want
}
