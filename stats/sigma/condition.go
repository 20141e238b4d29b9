package sigma

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The operators of an expression.
type op byte

const (
	opTest  op = iota // one test
	opNot             // of one operand
	opAnd             // all operands
	opOr              // at least one
	opCount           // at least n operands
)

// An expr is a condition over tests.
type expr struct {
	op   op
	n    int // of opCount
	test *test
	kids []*expr
}

// tests returns all tests of an expression; nil has none.
func (e *expr) tests() iter.Seq[*test] {
	return func(yield func(*test) bool) { e.each(yield) }
}

// each calls yield for each test until it returns false, and reports whether it did not.
func (e *expr) each(yield func(*test) bool) bool {
	switch {
	case e == nil:
		return true
	case e.op == opTest:
		return yield(e.test)
	}
	for _, k := range e.kids {
		if !k.each(yield) {
			return false
		}
	}
	return true
}

// least returns how many bytes the text of a field has at least in every event for which an
// expression holds.
func (e *expr) least(field string) int {
	switch {
	case e.op == opTest && e.test.field == field:
		return e.test.least()
	case e.op == opTest, e.op == opNot:
		return 0
	}
	most, fewest := 0, math.MaxInt
	for _, k := range e.kids {
		n := k.least(field)
		most, fewest = max(most, n), min(fewest, n)
	}
	if e.op == opAnd {
		return most
	}
	return fewest
}

// join returns the operands under an operator, or the only one.
func join(o op, kids []*expr) *expr {
	if len(kids) == 1 {
		return kids[0]
	}
	return &expr{op: o, kids: kids}
}

// A conditionParser reads the condition of a rule.
//
//	or    = and { "or" and }
//	and   = not { "and" not }
//	not   = { "not" } operand
//	operand = "(" or ")" | ("1" | N | "any" | "all") "of" ("them" | pattern) | name
type conditionParser struct {
	words []string
	names []string // of the searches, in the order of the rule
	named map[string]*expr
	depth int
}

// parseCondition reads a condition over named searches.
func parseCondition(text string, names []string, named map[string]*expr) (*expr, error) {
	p := &conditionParser{words: conditionWords(text, names), names: names, named: named}
	if len(p.words) == 0 {
		return nil, fmt.Errorf("the condition is empty")
	}
	if slices.ContainsFunc(p.words, func(w string) bool { return strings.Contains(w, "|") && !strings.Contains(w, "*") && named[w] == nil }) {
		return nil, fmt.Errorf("aggregations (|) belong to Sigma 1: write a correlation rule")
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if len(p.words) > 0 {
		return nil, fmt.Errorf("%q is not expected here", p.words[0])
	}
	return e, nil
}

// conditionWords cuts a condition into words. The name of a search is one word even
// if it has blanks or parentheses in it; where several names fit, the longest
// counts.
func conditionWords(text string, names []string) (words []string) {
	odd := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.ContainsAny(name, " \t\n()") })
	slices.SortFunc(odd, func(a, b string) int { return len(b) - len(a) })
	const ends = " \t\r\n()"
next:
	for text = strings.TrimLeft(text, ends[:4]); text != ""; text = strings.TrimLeft(text, ends[:4]) {
		for _, name := range odd {
			if rest, ok := strings.CutPrefix(text, name); ok && (rest == "" || strings.IndexByte(ends, rest[0]) >= 0) {
				words, text = append(words, name), rest
				continue next
			}
		}
		n := strings.IndexAny(text, ends)
		switch {
		case n < 0:
			n = len(text)
		case n == 0:
			n = 1 // a parenthesis
		}
		words, text = append(words, text[:n]), text[n:]
	}
	return words
}

// next reports whether the next word is word, and takes it if so. Capitals do not
// matter, except that a search may be called AND.
func (p *conditionParser) next(word string) bool {
	if len(p.words) == 0 || !strings.EqualFold(p.words[0], word) || p.words[0] != word && p.named[p.words[0]] != nil {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *conditionParser) or() (*expr, error) {
	if p.depth++; p.depth > ruleLimits.Depth {
		return nil, fmt.Errorf("parentheses are nested more than %d deep", ruleLimits.Depth)
	}
	defer func() { p.depth-- }()
	return p.chain("or", opOr, func() (*expr, error) { return p.chain("and", opAnd, p.not) })
}

func (p *conditionParser) chain(word string, o op, operand func() (*expr, error)) (*expr, error) {
	var kids []*expr
	for {
		e, err := operand()
		if err != nil {
			return nil, err
		}
		kids = append(kids, e)
		if !p.next(word) {
			return join(o, kids), nil
		}
	}
}

func (p *conditionParser) not() (*expr, error) {
	negated := false
	for p.next("not") {
		negated = !negated
	}
	e, err := p.operand()
	if negated && err == nil {
		e = &expr{op: opNot, kids: []*expr{e}}
	}
	return e, err
}

func (p *conditionParser) operand() (*expr, error) {
	if len(p.words) == 0 {
		return nil, fmt.Errorf("the condition ends where a name is expected")
	}
	if p.next("(") {
		e, err := p.or()
		if err == nil && !p.next(")") {
			err = fmt.Errorf("a parenthesis is not closed")
		}
		return e, err
	}
	word := p.words[0]
	p.words = p.words[1:]
	if len(p.words) >= 2 && strings.EqualFold(p.words[0], "of") {
		pattern := p.words[1]
		kids := p.matching(pattern)
		if len(kids) == 0 {
			return nil, fmt.Errorf("no search matches %q", pattern)
		}
		p.words = p.words[2:]
		switch n, err := strconv.Atoi(word); {
		case strings.EqualFold(word, "all"):
			return join(opAnd, kids), nil
		case strings.EqualFold(word, "any"), n == 1:
			return join(opOr, kids), nil
		case err != nil || n < 1:
			return nil, fmt.Errorf("%q of: want 1, another number, any or all", word)
		case n > len(kids):
			return nil, fmt.Errorf("%d of %s: only %d searches match", n, pattern, len(kids))
		default:
			return &expr{op: opCount, n: n, kids: kids}, nil
		}
	}
	e := p.named[word]
	if e == nil {
		return nil, fmt.Errorf("no search is named %q", word)
	}
	return e, nil
}

// matching returns the searches whose names match a pattern with *. A name that
// begins with an underscore matches only a pattern that does so, too.
func (p *conditionParser) matching(wanted string) []*expr {
	if strings.EqualFold(wanted, "them") && p.named[wanted] == nil {
		wanted = "*"
	}
	var kids []*expr
	glob := parsePattern(strings.ReplaceAll(wanted, "?", `\?`))
	for _, name := range p.names {
		if glob.match([]byte(name)) && (name[0] != '_' || wanted[0] == '_') {
			kids = append(kids, p.named[name])
		}
	}
	return kids
}
