package sigma

import (
	"fmt"
	"slices"
	"strconv"
	"sync"

	"outflow/columnar"
)

// A plan holds what the rules of a Set test in the rows of one table.
type plan struct {
	table  *columnar.Table
	inputs []input
	atoms  []atom
	rules  []planned
	always []int32 // rules that no atom can rule out
}

// An input is a column, or a field by name, that tests read.
type input struct {
	col   columnar.Col
	field string // "": it is a column
	kind  columnar.Kind
	// What may hold for a text: the literals and numbers of indexed atoms, and the
	// eager atoms.
	index   index
	numbers map[number][]int32
	eager   []int32
}

// decides reports whether texts of the input decide atoms.
func (in *input) decides() bool { return len(in.index.literals)+len(in.numbers)+len(in.eager) > 0 }

// An atom is one test of one input, shared by all rules with that test.
type atom struct {
	in    int32
	other int32 // testField: the input that it compares with
	test  *test
	ints  []int64 // for an integer column, if all patterns are integers: these integers
	// An indexed atom is decided by the literals of a text or by its number. An
	// eager one is decided once for each distinct text, or in each row if few texts are as long
	// as least. Any other is decided when a rule needs it.
	indexed, eager bool
	least          int // bytes that every text has for which it holds
	uses           int
	rules          []int32 // the rules that may match if the atom holds
}

// A planned is a rule on one table.
type planned struct {
	rule   int32 // in Set.Rules
	origin columnar.Origin
	expr   asked
}

// An asked is an expr over atoms.
type asked struct {
	op   op
	n    int
	atom int32
	kids []asked
}

// compile makes ready the plan of each table.
func (s *Set) compile() {
	s.need()
	for _, r := range s.Rules {
		if r.Correlation != nil {
			continue
		}
		for _, t := range r.Tables() {
			if s.plans[t.ID] == nil {
				s.plans[t.ID] = sync.OnceValue(func() *plan { return s.planOf(t) })
			}
		}
	}
}

// planOf makes the plan of a table.
func (s *Set) planOf(t *columnar.Table) *plan {
	b := &planner{plan: &plan{table: t}, inputs: map[string]int32{}, atoms: map[string]int32{}}
	each := func(use func(i int, r *Rule)) {
		for i, r := range s.Rules {
			if r.Correlation == nil && slices.Contains(r.Tables(), t) {
				use(i, r)
			}
		}
	}
	each(func(i int, r *Rule) { b.add(int32(i), r, sourceOf(r.Logsource)) })
	each(func(i int, r *Rule) {
		for _, name := range s.Needs(i) {
			b.input(name)
		}
	})
	return b.seal()
}

// A planner makes a plan.
type planner struct {
	plan   *plan
	inputs map[string]int32 // by field or column
	atoms  map[string]int32
}

// input returns the number of the input that holds a Sigma field.
func (b *planner) input(field string) int32 {
	if c, ok := ColumnOf(b.plan.table, field); ok {
		return b.column(c)
	}
	return b.number(field, input{field: field, kind: columnar.Dictionary})
}

func (b *planner) column(c columnar.Col) int32 {
	return b.number("\x00"+c.String(), input{col: c, kind: c.Kind()}) // no field has this name
}

func (b *planner) number(key string, in input) int32 {
	i, ok := b.inputs[key]
	if !ok {
		i = int32(len(b.plan.inputs))
		b.inputs[key] = i
		b.plan.inputs = append(b.plan.inputs, in)
	}
	return i
}

func (b *planner) add(i int32, r *Rule, src *source) {
	e := b.ask(r.cond)
	var kids []asked
	for _, w := range src.where {
		var patterns []pattern
		for _, v := range w.values {
			patterns = append(patterns, pattern{{literal, foldText(v)}})
		}
		kids = append(kids, asked{op: opOr, kids: []asked{
			b.leaf(b.input(w.field), &test{field: w.field, kind: testText, patterns: patterns}),
			b.leaf(b.input(w.field), &test{field: w.field, kind: testNull}),
		}})
	}
	if len(kids) > 0 {
		e = asked{op: opAnd, kids: append(kids, e)}
	}
	b.plan.rules = append(b.plan.rules, planned{rule: i, origin: r.Logsource.Origin(), expr: e})
}

func (b *planner) ask(e *expr) asked {
	if e.op != opTest {
		out := asked{op: e.op, n: e.n}
		for _, k := range e.kids {
			kid := b.ask(k)
			if kid.op == e.op && (e.op == opAnd || e.op == opOr) {
				out.kids = append(out.kids, kid.kids...)
			} else {
				out.kids = append(out.kids, kid)
			}
		}
		return out
	}
	if e.test.field != "" {
		return b.leaf(b.input(e.test.field), e.test)
	}
	// Each pattern of a keyword may be in another place.
	out := asked{op: opOr, kids: []asked{b.leaf(b.input(Message), e.test)}}
	for _, c := range textColumns(b.plan.table) {
		out.kids = append(out.kids, b.leaf(b.column(c), e.test))
	}
	return out
}

// textColumns returns the columns in which keywords are looked for.
func textColumns(t *columnar.Table) []columnar.Col {
	return slices.DeleteFunc(slices.Clone(t.Cols), func(c columnar.Col) bool {
		return c.Kind() != columnar.Dictionary && c.Kind() != columnar.Text
	})
}

// leaf returns an expression of the atom for a test of an input.
func (b *planner) leaf(in int32, t *test) asked {
	a := atom{in: in, test: t}
	input := &b.plan.inputs[in]
	if input.field == "" && t.kind == testText {
		changed := *t
		changed.patterns = nil
		for _, p := range t.patterns {
			changed.patterns = append(changed.patterns, stored(input.col, p)...)
		}
		a.test = &changed
	}
	if t.kind == testField {
		a.other = b.input(t.other)
	}
	regexps := make([]string, len(t.regexps))
	for i, re := range t.regexps {
		regexps[i] = re.String()
	}
	key := fmt.Sprintf("%d %d %t %t %t %t %t %q %q %v %v %s %s %v %d", in, t.kind, t.cased, t.absent, t.differs, t.before, t.after, a.test.patterns, regexps, t.nets,
		t.numbers, t.cmp, t.part, t.number, a.other)
	i, ok := b.atoms[key]
	if !ok {
		if k := b.plan.inputs[in].kind; k == columnar.Int64 || k == columnar.Int32 {
			a.ints = integers(a.test)
		}
		i = int32(len(b.plan.atoms))
		b.atoms[key] = i
		b.plan.atoms = append(b.plan.atoms, a)
	}
	b.plan.atoms[i].uses++
	return asked{op: opTest, atom: i}
}

// integers returns the integers that a test asks for, or nil if it asks for
// anything else.
func integers(t *test) []int64 {
	var out []int64
	switch t.kind {
	case testText:
		for _, p := range t.patterns {
			text, ok := p.plain()
			i, err := strconv.ParseInt(text, 10, 64)
			if !ok || err != nil {
				return nil
			}
			out = append(out, i)
		}
	case testEqual:
		out = []int64{} // no column has other numbers
		for _, n := range t.numbers {
			if i, ok := n.int64(); ok {
				out = append(out, i)
			}
		}
	}
	return out
}

// A needed is a literal that a text must have for a test's pattern or regular
// expression to match. If that one needs several, one of them must be there.
type needed struct {
	text string
	at   int32 // index of the pattern
}

// texts reports whether an input has texts.
func (p *plan) texts(in int32) bool {
	k := p.inputs[in].kind
	return k == columnar.Dictionary || k == columnar.Text
}

// literalsOf returns the literals that an atom's patterns need, or nil if a pattern
// needs none.
func (p *plan) literalsOf(a *atom) []needed {
	if !p.texts(a.in) || a.test.differs {
		return nil
	}
	var out []needed
	switch a.test.kind {
	case testText:
		for i, p := range a.test.patterns {
			out = append(out, needed{foldText(p.longest()), int32(i)})
		}
	case testRegexp:
		for i, re := range a.test.regexps {
			texts := required(re.String())
			if len(texts) == 0 {
				return nil
			}
			for _, text := range texts {
				out = append(out, needed{text, int32(i)})
			}
		}
	}
	if slices.ContainsFunc(out, func(n needed) bool { return len(n.text) < minLiteral }) {
		return nil
	}
	return out
}

// longText is the length in bytes of texts that few columns have often: a regular expression
// that matches no shorter one is quickly decided.
const longText = 64

// fewValues are the columns with few values, each in a large share of the rows: that one of
// them is there rules out little.
var fewValues = columnar.ColSet(columnar.Method, columnar.Action, columnar.Status, columnar.Protocol, columnar.QueryType, columnar.Rcode)

func (b *planner) seal() *plan {
	p := b.plan
	literals := make([][]needed, len(p.atoms))
	uses := map[string]float64{} // by literal of an input
	key := func(a *atom, s string) string { return fmt.Sprint(a.in, " ", s) }
	for i := range p.atoms {
		a := &p.atoms[i]
		literals[i] = p.literalsOf(a)
		numbered := a.test.kind == testEqual && p.texts(a.in) && !a.test.differs
		a.indexed = literals[i] != nil || numbered
		for _, n := range literals[i] {
			uses[key(a, n.text)] += float64(a.uses)
		}
		for _, n := range a.test.numbers {
			uses[key(a, fmt.Sprint(n.f))] += float64(a.uses)
		}
	}
	// How often an atom holds is not known. But a literal that many rules ask for
	// names a program that everybody uses, and a short literal is found by chance.
	cost := make([]float64, len(p.atoms))
	for i := range p.atoms {
		a := &p.atoms[i]
		input := &p.inputs[a.in]
		a.least = a.test.least()
		switch text := !a.test.differs && (a.test.kind == testText || a.test.kind == testRegexp || a.test.kind == testNet); {
		case a.indexed:
			for _, n := range literals[i] {
				cost[i] += uses[key(a, n.text)] / float64(min(len(n.text), 16))
			}
			for _, n := range a.test.numbers { // mostly kinds of events, and each has many events
				cost[i] += uses[key(a, fmt.Sprint(n.f))]
			}
		case text && input.kind == columnar.Dictionary:
			cost[i] = 100 + float64(a.uses)
		case text && input.kind == columnar.Text && a.least >= longText:
			cost[i] = 200 + float64(a.uses)
		default:
			cost[i] = -1 // cannot be a trigger
		}
		if cost[i] >= 0 && input.field == "" && fewValues.Has(input.col) {
			cost[i] += 1000
		}
	}
	for i := range p.rules {
		r := &p.rules[i]
		p.order(&r.expr)
		atoms, _, ok := triggers(&r.expr, cost)
		if !ok {
			p.always = append(p.always, int32(i))
			continue
		}
		for _, at := range atoms {
			a := &p.atoms[at]
			if !slices.Contains(a.rules, int32(i)) {
				a.rules = append(a.rules, int32(i))
			}
			if !a.indexed && !a.eager {
				a.eager = true
				p.inputs[a.in].eager = append(p.inputs[a.in].eager, at)
			}
		}
	}
	// Texts are searched for literals only where one of them is a trigger.
	searched := make([]bool, len(p.inputs))
	for i := range p.atoms {
		a := &p.atoms[i]
		searched[a.in] = searched[a.in] || a.indexed && len(a.rules) > 0
	}
	byText := map[string]int{}
	for i := range p.atoms {
		a := &p.atoms[i]
		if a.indexed = a.indexed && searched[a.in]; !a.indexed {
			continue
		}
		x := &p.inputs[a.in].index
		for _, need := range literals[i] {
			k := key(a, need.text)
			n, ok := byText[k]
			if !ok {
				n = len(x.literals)
				byText[k] = n
				x.literals = append(x.literals, indexed{text: need.text})
			}
			x.literals[n].refs = append(x.literals[n].refs, ref{atom: int32(i), at: need.at, sure: sure(a.test, int(need.at))})
		}
		if a.test.kind == testEqual {
			in := &p.inputs[a.in]
			if in.numbers == nil {
				in.numbers = map[number][]int32{}
			}
			for _, n := range a.test.numbers {
				in.numbers[n] = append(in.numbers[n], int32(i))
			}
		}
	}
	for i := range p.inputs {
		p.inputs[i].index.seal()
	}
	return p
}

// sure reports whether a pattern matches every text that has its literal.
func sure(t *test, i int) bool {
	if t.kind != testText || t.cased {
		return false
	}
	p := t.patterns[i]
	return len(p) == 3 && p[0].kind == star && p[1].kind == literal && p[2].kind == star
}

// order puts quick tests before costly ones, and returns the cost of e.
func (p *plan) order(e *asked) int {
	if e.op == opTest {
		a := &p.atoms[e.atom]
		switch {
		case a.indexed, a.eager:
			return 1
		case a.test.kind == testRegexp:
			return 50
		}
		return 5
	}
	costs := make([]int, len(e.kids))
	at := make([]int, len(e.kids))
	total := 0
	for i := range e.kids {
		costs[i] = p.order(&e.kids[i])
		at[i] = i
		total += costs[i]
	}
	slices.SortStableFunc(at, func(a, b int) int { return costs[a] - costs[b] })
	kids := make([]asked, len(at))
	for i, j := range at {
		kids[i] = e.kids[j]
	}
	e.kids = kids
	return total
}

// triggers returns the cheapest atoms such that one of them holds whenever e does.
func triggers(e *asked, cost []float64) (atoms []int32, sum float64, ok bool) {
	switch e.op {
	case opTest:
		return []int32{e.atom}, cost[e.atom], cost[e.atom] >= 0
	case opAnd:
		for i := range e.kids {
			if a, c, yes := triggers(&e.kids[i], cost); yes && (!ok || c < sum) {
				atoms, sum, ok = a, c, true
			}
		}
		return atoms, sum, ok
	case opOr, opCount:
		for i := range e.kids {
			a, c, yes := triggers(&e.kids[i], cost)
			if !yes {
				return nil, 0, false
			}
			atoms, sum = append(atoms, a...), sum+c
		}
		return atoms, sum, true
	}
	return nil, 0, false
}
