package sigma

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf16"

	"outflow/columnar/bounded"
)

// The kinds of a test.
type testKind byte

const (
	testText   testKind = iota // equals one of patterns
	testRegexp                 // contains a match of one of regexps
	testNet                    // is an address in one of nets
	testEqual                  // equals one of numbers
	testNumber                 // compares with number by cmp
	testPart                   // the part of a time equals number
	testNull                   // the field has no value
	testExists                 // the event has the field
	testField                  // compares with the field other
)

// A test asks one thing about one field of an event. For an event without the
// field, only testNull and a testExists with absent can hold.
type test struct {
	field    string // as the rule names it; "" stands for anywhere in the event
	kind     testKind
	cased    bool
	patterns []pattern // folded, unless cased
	regexps  []*bounded.Matcher
	nets     []netip.Prefix
	numbers  []number
	cmp      string // gt, gte, lt or lte
	part     string // minute, hour, day, week, month or year
	number   number
	absent   bool   // testExists: the event must not have the field
	differs  bool   // holds if a value of the field fails the test: neq
	other    string // a field
	before   bool   // testField: any text may come before what other holds
	after    bool   // or after it
}

// least returns how many bytes every text has for which the test holds.
func (t *test) least() int {
	if t.kind != testRegexp || t.differs {
		return 0
	}
	least := math.MaxInt
	for _, re := range t.regexps {
		least = min(least, re.Least())
	}
	return least
}

var timeParts = []string{"minute", "hour", "day", "week", "month", "year"}

// modifiers has every modifier that the key of an item may name.
var modifiers = append([]string{"contains", "startswith", "endswith", "all", "exists", "cased", "neq", "windash", "re", "i", "m", "s",
	"base64", "base64offset", "utf16le", "utf16be", "utf16", "wide", "lt", "lte", "gt", "gte", "cidr", "expand", "fieldref"}, timeParts...)

// A value is one value of an item, while modifiers are applied to it.
type value struct {
	node     *node
	patterns []pattern // the texts that it matches
}

// parseItem reads a key, which is a field and its modifiers, and the key's values.
func parseItem(key, values *node, o *Options) (*expr, error) {
	words := strings.Split(key.text, "|")
	field, mods := fieldName(words[0]), words[1:]
	for i, m := range mods {
		if !slices.Contains(modifiers, m) {
			return nil, faultAt(key.at, "unknown modifier %q", m)
		}
		if slices.Contains(mods[:i], m) {
			return nil, faultAt(key.at, "modifier %q appears twice", m)
		}
	}
	list := []node{*values}
	if values.kind == listNode {
		list = values.items
	}
	if len(list) == 0 {
		return nil, faultAt(key.at, "%s: the list of values is empty", key.text)
	}
	it := item{field: field, mods: mods, o: o}
	for i := range list {
		if !list[i].scalar() {
			return nil, faultAt(list[i].at, "%s: want a text, a number, true, false or null, this is %v", key.text, &list[i])
		}
		v := value{node: &list[i]}
		switch n := v.node; n.kind {
		case numberNode:
			v.patterns = []pattern{{{literal, n.text}}}
			if s := fmt.Sprint(n.value); s != n.text {
				v.patterns = append(v.patterns, pattern{{literal, s}})
			}
		case boolNode:
			v.patterns = []pattern{{{literal, n.text}}}
			if b, _ := n.value.(bool); field != "" && !slices.ContainsFunc(mods, asText) {
				v.patterns = spellings(b)
			}
		case textNode:
			v.patterns = []pattern{parsePattern(n.text)}
		}
		it.values = append(it.values, v)
	}
	return it.read(key.at)
}

// fieldName returns the name by which rules refer to a field: the field that logs
// call "Client Address" is ClientAddress.
func fieldName(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), " ", "") }

// kindOf returns the kind of test that a modifier asks for. An item can have only one such.
func kindOf(mod string) (k testKind, ok bool) {
	switch mod {
	case "re":
		return testRegexp, true
	case "cidr":
		return testNet, true
	case "lt", "lte", "gt", "gte":
		return testNumber, true
	case "exists":
		return testExists, true
	case "fieldref":
		return testField, true
	}
	return testPart, slices.Contains(timeParts, mod)
}

// asText reports whether a modifier turns a number or a boolean into its text.
func asText(mod string) bool { return !slices.Contains([]string{"all", "neq", "expand"}, mod) }

// spellings returns the texts that logs write for a boolean: true in JSON and XML,
// T in Zeek, yes in the audit log, 1 in databases.
func spellings(b bool) []pattern {
	words := []string{"false", "f", "no", "0"}
	if b {
		words = []string{"true", "t", "yes", "1"}
	}
	patterns := make([]pattern, len(words))
	for i, w := range words {
		patterns[i] = pattern{{literal, w}}
	}
	return patterns
}

// An item is a key and its values while they are parsed.
type item struct {
	field  string
	mods   []string
	values []value
	o      *Options
}

func (it *item) has(mod string) bool { return slices.Contains(it.mods, mod) }

func (it *item) read(at place) (*expr, error) {
	blank := test{field: it.field, kind: testText, cased: it.has("cased")}
	named := ""
	for _, m := range it.mods {
		k, ok := kindOf(m)
		if !ok {
			continue
		}
		if named != "" {
			return nil, faultAt(at, "modifiers %s and %s do not go together", named, m)
		}
		named, blank.kind = m, k
		blank.cmp, blank.part = m, m
	}
	if it.field == "" && blank.kind != testText && blank.kind != testRegexp {
		return nil, faultAt(at, "modifier %q needs a field", named)
	}
	if named != "" {
		goes := []string{named, "neq", "all"}
		switch blank.kind {
		case testRegexp:
			goes = append(goes, "i", "m", "s", "contains", "startswith", "endswith", "expand")
		case testField:
			goes = append(goes, "contains", "startswith", "endswith", "cased")
		case testNet:
			goes = append(goes, "expand")
		}
		for _, m := range it.mods {
			if !slices.Contains(goes, m) {
				return nil, faultAt(at, "modifiers %s and %s do not go together", named, m)
			}
		}
	} else if it.has("i") || it.has("m") || it.has("s") {
		return nil, faultAt(at, "modifiers i, m and s belong to re")
	}
	var tests []*test
	for i := range it.values {
		t, err := it.test(blank, &it.values[i])
		if err != nil {
			return nil, err
		}
		tests = append(tests, t...)
	}
	link := opOr
	if it.has("all") {
		link = opAnd
	} else {
		tests = merged(tests)
	}
	if it.has("neq") && len(tests) == 1 {
		tests[0].differs = true
	}
	kids := make([]*expr, len(tests))
	for i, t := range tests {
		kids[i] = &expr{op: opTest, test: t}
	}
	e := join(link, kids)
	if it.has("neq") && len(tests) > 1 { // of kinds that cannot be one test: the values of a list are not told apart
		e = &expr{op: opNot, kids: []*expr{e}}
	}
	return e, nil
}

// merged joins alternative tests where a single test can ask the same.
func merged(tests []*test) []*test {
	var out []*test
next:
	for _, t := range tests {
		for _, u := range out {
			if u.kind == t.kind && (t.kind == testText || t.kind == testRegexp || t.kind == testNet || t.kind == testEqual) {
				u.patterns = append(u.patterns, t.patterns...)
				u.regexps = append(u.regexps, t.regexps...)
				u.nets = append(u.nets, t.nets...)
				u.numbers = append(u.numbers, t.numbers...)
				continue next
			}
		}
		out = append(out, t)
	}
	return out
}

// test makes the tests of one value. A placeholder that stands for several values
// gives one test for each; one of them must hold.
func (it *item) test(t test, v *value) ([]*test, error) {
	n := v.node
	want := func(what string) error { return faultAt(n.at, "%s: want %s, this is %v", it.field, what, n) }
	if n.kind == nullNode && t.kind != testRegexp && t.kind != testExists {
		if it.field == "" {
			return nil, faultAt(n.at, "null needs a field")
		}
		t.kind = testNull
		return []*test{&t}, nil
	}
	switch t.kind {
	case testExists:
		b, ok := n.value.(bool)
		if !ok {
			switch strings.ToLower(n.text) {
			case "true", "yes":
				b, ok = true, true
			case "false", "no":
				ok = true
			}
		}
		if !ok {
			return nil, want("true or false")
		}
		t.absent = !b
		return []*test{&t}, nil
	case testNumber, testPart:
		num, ok := numberOf(n)
		if !ok {
			return nil, want("a number")
		}
		t.number = num
		return []*test{&t}, nil
	case testField:
		plain, ok := parsePattern(n.text).plain()
		if !ok || plain == "" {
			return nil, want("the name of a field")
		}
		t.other = fieldName(plain)
		t.before, t.after = it.has("contains") || it.has("endswith"), it.has("contains") || it.has("startswith")
		return []*test{&t}, nil
	}
	if t.kind == testRegexp || t.kind == testNet {
		texts := []string{n.text}
		if n.kind == nullNode {
			return nil, want("a text")
		}
		if it.has("expand") {
			var err error
			if texts, err = it.o.expandPlain(n, t.kind == testRegexp); err != nil {
				return nil, err
			}
		}
		for _, text := range texts {
			if err := it.add(&t, n, text); err != nil {
				return nil, err
			}
		}
		return []*test{&t}, nil
	}
	if n.kind == numberNode && it.field != "" && !slices.ContainsFunc(it.mods, asText) {
		if num, ok := numberOf(n); ok {
			t.kind, t.numbers = testEqual, []number{num}
			return []*test{&t}, nil
		}
	}
	for _, m := range it.mods {
		if err := it.modify(m, v); err != nil {
			return nil, err
		}
	}
	if it.field == "" {
		for i, p := range v.patterns {
			v.patterns[i] = p.open(true, true)
		}
	}
	for _, p := range v.patterns {
		if !t.cased {
			p = p.mapText(foldText)
		}
		t.patterns = append(t.patterns, p)
	}
	return []*test{&t}, nil
}

const (
	// maxSlowSteps is how many steps the slow expressions on one field may have, in all rules
	// together: each byte of the field may take as many times 12 to 27 ns. See bounded.Matcher.
	maxSlowSteps = bounded.MaxSteps / 4
	// The tables of all expressions may take a second to make. 400 expressions in the shape of
	// SigmaHQ's take a fifth of that, and 1 MB.
	tableWork, tableBytes = 64 << 20, 16 << 20
)

// add adds a regular expression or a network to a test.
func (it *item) add(t *test, n *node, text string) error {
	if t.kind == testNet {
		net, err := netip.ParsePrefix(text)
		if err != nil {
			addr, aerr := netip.ParseAddr(text)
			if aerr != nil {
				return faultAt(n.at, "%s: %q is not a network: want one such as 10.0.0.0/8", it.field, text)
			}
			net = netip.PrefixFrom(addr, addr.BitLen())
		}
		if addr := net.Addr(); addr.Is4In6() && net.Bits() >= 96 { // addresses in logs are compared in this form, too
			net = netip.PrefixFrom(addr.Unmap(), net.Bits()-96)
		}
		t.nets = append(t.nets, net.Masked())
		return nil
	}
	flags := ""
	for _, m := range it.mods {
		if m == "i" || m == "m" || m == "s" {
			flags += m
		}
	}
	re := text
	if it.has("startswith") {
		re = "^(?:" + re + ")"
	}
	if it.has("endswith") {
		re = "(?:" + re + ")$"
	}
	if flags != "" {
		re = "(?" + flags + ")" + re
	}
	if it.o.sound && !it.has("expand") {
		t.regexps = append(t.regexps, bounded.Later(re))
		return nil
	}
	r, err := bounded.NewMatcher(re, &it.o.tables)
	if err != nil {
		msg := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		if strings.Contains(text, "(?=") || strings.Contains(text, "(?!") || strings.Contains(text, "(?<") {
			msg += " (looking ahead or behind is not in Sigma's specification)"
		}
		return faultAt(n.at, "%s: %s", it.field, msg)
	}
	if steps := r.SlowSteps(); steps > 0 {
		if it.o.slow[it.field]+steps > maxSlowSteps {
			return faultAt(n.at, "%s: this regular expression has %d steps and is slow, as a.{20}b is, and all slow ones on a field may have %d: "+
				"shorten its repeats, above all those of a dot", it.field, steps, maxSlowSteps)
		}
		it.o.slow[it.field] += steps
	}
	t.regexps = append(t.regexps, r)
	return nil
}

// modify applies one modifier to a value that is matched as a text.
func (it *item) modify(mod string, v *value) error {
	each := func(f func(pattern) pattern) {
		for i, p := range v.patterns {
			v.patterns[i] = f(p)
		}
	}
	switch mod {
	case "contains":
		each(func(p pattern) pattern { return p.open(true, true) })
	case "startswith":
		each(func(p pattern) pattern { return p.open(false, true) })
	case "endswith":
		each(func(p pattern) pattern { return p.open(true, false) })
	case "windash":
		each(pattern.windash)
	case "expand":
		var out []pattern
		for _, p := range v.patterns {
			expanded, err := it.o.expand(v.node, p, parsePatterns)
			if err != nil {
				return err
			}
			out = append(out, expanded...)
		}
		v.patterns = out
	case "wide", "utf16le", "utf16be", "utf16":
		var order binary.AppendByteOrder = binary.LittleEndian
		if mod == "utf16be" {
			order = binary.BigEndian
		}
		return it.encode(v, func(s pattern) ([]pattern, error) {
			s = s.mapText(func(text string) string {
				var b []byte
				for _, u := range utf16.Encode([]rune(text)) {
					b = order.AppendUint16(b, u)
				}
				return string(b)
			})
			if mod == "utf16" {
				s = append(pattern{{literal, "\xff\xfe"}}, s...).joined()
			}
			return []pattern{s}, nil
		})
	case "base64", "base64offset":
		if err := it.encode(v, func(s pattern) (out []pattern, err error) {
			text, ok := s.plain()
			if !ok {
				return nil, faultAt(v.node.at, "%s: a text with wildcards cannot be encoded in Base64", it.field)
			}
			if mod == "base64" {
				return []pattern{{{literal, base64.StdEncoding.EncodeToString([]byte(text))}}}, nil
			}
			for offset := range 3 {
				if code := base64At(text, offset); code != "" {
					out = append(out, pattern{{literal, code}})
				}
			}
			return out, nil
		}); err != nil {
			return err
		}
		if len(v.patterns) == 0 {
			return faultAt(v.node.at, "%s: the text is too short to be found in Base64", it.field)
		}
	}
	return nil
}

// encode replaces each spelling of each pattern of v with the patterns that as
// returns for it.
func (it *item) encode(v *value, as func(pattern) ([]pattern, error)) error {
	var out []pattern
	for _, p := range v.patterns {
		spellings, err := it.spellings(v, p)
		if err != nil {
			return err
		}
		for _, s := range spellings {
			encoded, err := as(s)
			if err != nil {
				return err
			}
			out = append(out, encoded...)
		}
	}
	v.patterns = out
	return nil
}

// spellings returns the patterns that p stands for, so that they can be encoded.
func (it *item) spellings(v *value, p pattern) ([]pattern, error) {
	n := 0
	for _, e := range p {
		if e.kind == dash {
			n++
		}
	}
	if n > 3 {
		return nil, faultAt(v.node.at, "%s: windash before an encoding is for at most 3 dashes, this has %d", it.field, n)
	}
	return p.spellings(), nil
}

// base64At returns the Base64 characters that text alone determines if it begins at
// byte 3n+offset of the encoded data.
func base64At(text string, offset int) string {
	code := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", offset) + text))
	begin := [3]int{0, 2, 3}[offset]
	end := len(code) - [3]int{0, 3, 2}[(len(text)+offset)%3]
	return code[min(begin, end):end]
}

// joined returns p with neighbouring literals joined.
func (p pattern) joined() pattern {
	var out pattern
	for _, e := range p {
		if n := len(out); n > 0 && e.kind == literal && out[n-1].kind == literal {
			out[n-1].text += e.text
		} else {
			out = append(out, e)
		}
	}
	return out
}
