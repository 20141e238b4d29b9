package sigma

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Correlation is what a rule asks of the matches of others: how many, of what, in
// a window of time.
type Correlation struct {
	// Type is event_count, value_count, value_sum, value_avg, value_median,
	// value_percentile, temporal or temporal_ordered.
	Type string
	// Rules are those whose matches are correlated, in the order of the document.
	Rules []*Rule
	// GroupBy names fields whose values must be the same; an alias stands for a field
	// of each rule.
	GroupBy  []string
	Timespan time.Duration
	// Generate says that the rules are to be reported by themselves, too.
	Generate bool

	aliases    map[string]map[string]string // alias, then rule's id or name, to field
	fields     []string                     // of value_…
	bounds     []bound
	percentile float64
	both       *expr // temporal: a condition over rules

	// While rules are loaded, where they are referred to.
	refs    []node
	aliasAt map[string]node
	cond    *node
}

// A bound is a part of a condition: the count stands so to a number.
type bound struct {
	cmp    string
	number number
}

var correlationTypes = []string{"event_count", "value_count", "value_sum", "value_avg", "value_median", "value_percentile", "temporal", "temporal_ordered"}

// parseCorrelation reads a document about matches of other rules.
func parseCorrelation(doc *node, _ *Options) (*Rule, error) {
	r, err := parseMeta(doc)
	if err != nil {
		return nil, err
	}
	body := doc.key("correlation")
	if body.kind != mapNode {
		return nil, faultAt(body.at, "correlation: want a map, this is %v", body)
	}
	c := &Correlation{aliases: map[string]map[string]string{}, aliasAt: map[string]node{}}
	for i := range body.keys {
		if !slices.Contains([]string{"type", "rules", "group-by", "timespan", "timeframe", "condition", "aliases", "generate"}, body.keys[i].text) {
			return nil, faultAt(body.keys[i].at, "correlation: unknown key %q", body.keys[i].text)
		}
	}
	kind := body.key("type")
	if kind == nil || !slices.Contains(correlationTypes, kind.text) {
		at := body.at
		if kind != nil {
			at = kind.at
		}
		return nil, faultAt(at, "correlation: type: want one of %s", strings.Join(correlationTypes, ", "))
	}
	c.Type = kind.text
	refs, err := texts(body, "rules")
	if err != nil {
		return nil, err
	}
	if c.refs = refs; len(refs) == 0 {
		return nil, faultAt(body.at, "correlation: rules is missing")
	}
	groups, err := texts(body, "group-by")
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		c.GroupBy = append(c.GroupBy, g.text)
	}
	span := body.key("timespan")
	if span == nil {
		span = body.key("timeframe")
	}
	if span == nil {
		return nil, faultAt(body.at, "correlation: timespan is missing")
	}
	if c.Timespan, err = parseTimespan(span.text); err != nil {
		return nil, faultAt(span.at, "correlation: %v", err)
	}
	for _, n := range []*node{body.key("generate"), doc.key("generate")} {
		if n != nil {
			generate, ok := n.value.(bool)
			if !ok {
				return nil, faultAt(n.at, "generate: want true or false, this is %v", n)
			}
			c.Generate = generate
		}
	}
	if aliases := body.key("aliases"); aliases != nil && aliases.kind != nullNode {
		if aliases.kind != mapNode {
			return nil, faultAt(aliases.at, "aliases: want a map, this is %v", aliases)
		}
		for i := range aliases.keys {
			of := aliases.items[i]
			if of.kind != mapNode {
				return nil, faultAt(of.at, "aliases: %s: want rules and their fields, this is %v", aliases.keys[i].text, &of)
			}
			fields := map[string]string{}
			for j := range of.keys {
				if of.items[j].kind != textNode {
					return nil, faultAt(of.items[j].at, "aliases: want the name of a field, this is %v", &of.items[j])
				}
				fields[of.keys[j].text] = of.items[j].text
				c.aliasAt[of.keys[j].text] = of.keys[j]
			}
			c.aliases[aliases.keys[i].text] = fields
		}
	}
	r.Correlation = c
	return r, c.parseCondition(body)
}

// texts reads a key that has a text or a list of texts.
func texts(body *node, key string) ([]node, error) {
	n := body.key(key)
	switch {
	case n == nil || n.kind == nullNode:
		return nil, nil
	case n.scalar():
		return []node{*n}, nil
	case n.kind == mapNode:
		return nil, faultAt(n.at, "%s: want texts, this is a map", key)
	}
	for i := range n.items {
		if !n.items[i].scalar() || n.items[i].kind == nullNode {
			return nil, faultAt(n.items[i].at, "%s: want a text, this is %v", key, &n.items[i])
		}
	}
	return n.items, nil
}

var comparisons = []string{"gt", "gte", "lt", "lte", "eq", "neq"}

func (c *Correlation) parseCondition(body *node) error {
	n := body.key("condition")
	temporal := strings.HasPrefix(c.Type, "temporal")
	if n == nil {
		if temporal {
			c.bounds = []bound{{"gte", number{int64(len(c.refs)), float64(len(c.refs)), true}}}
			return nil
		}
		return faultAt(body.at, "correlation: condition is missing")
	}
	c.cond = n
	if n.kind == textNode && c.Type == "temporal" {
		return nil // read when the rules are known
	}
	if n.kind != mapNode {
		return faultAt(n.at, "correlation: condition: want a map as in gte: 10, this is %v", n)
	}
	for i := range n.keys {
		key, v := &n.keys[i], &n.items[i]
		switch {
		case slices.Contains(comparisons, key.text):
			num, ok := parseNumber(v.text)
			if !ok || !v.scalar() {
				return faultAt(v.at, "condition: %s: want a number, this is %v", key.text, v)
			}
			c.bounds = append(c.bounds, bound{key.text, num})
		case key.text == "field" && strings.HasPrefix(c.Type, "value_"):
			fields, err := texts(n, "field")
			if err != nil {
				return err
			}
			for _, f := range fields {
				c.fields = append(c.fields, f.text)
			}
		case key.text == "percentile" && c.Type == "value_percentile":
			p, ok := parseNumber(v.text)
			if !ok || p.f < 0 || p.f > 100 {
				return faultAt(v.at, "condition: percentile: want a number from 0 to 100")
			}
			c.percentile = p.f
		default:
			return faultAt(key.at, "condition: %q does not go with %s", key.text, c.Type)
		}
	}
	switch {
	case len(c.bounds) == 0:
		return faultAt(n.at, "condition: want one of %s", strings.Join(comparisons, ", "))
	case strings.HasPrefix(c.Type, "value_") && len(c.fields) == 0:
		return faultAt(n.at, "condition: field is missing")
	case c.Type != "value_count" && len(c.fields) > 1:
		return faultAt(n.at, "condition: field: %s is of one field", c.Type)
	case c.Type == "value_percentile" && n.key("percentile") == nil:
		return faultAt(n.at, "condition: percentile is missing")
	case c.Type == "temporal_ordered" && (len(c.bounds) > 1 || c.bounds[0].compareAll(len(c.refs)) != nil):
		return faultAt(n.at, "condition: temporal_ordered wants all of its rules: leave the condition out")
	}
	return nil
}

// compareAll returns an error unless the bound asks for n of n.
func (b bound) compareAll(n int) error {
	all := number{int64(n), float64(n), true}
	less := number{int64(n - 1), float64(n - 1), true}
	if all.compares(b.cmp, b.number) && !less.compares(b.cmp, b.number) {
		return nil
	}
	return fmt.Errorf("not all")
}

func parseTimespan(s string) (time.Duration, error) {
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
		"M": 2629746 * time.Second, "y": 31556952 * time.Second} // of the mean Gregorian year
	if s != "" {
		n, err := strconv.ParseUint(s[:len(s)-1], 10, 31)
		unit := units[s[len(s)-1:]]
		if err == nil && n > 0 && unit > 0 && time.Duration(n) <= (1<<62)/unit {
			return time.Duration(n) * unit, nil
		}
	}
	return 0, fmt.Errorf("timespan %q: want a number and s, m, h or d, as in 90m", s)
}

// resolve finds the rules that are referred to.
func (c *Correlation) resolve(byRef map[string]*Rule) error {
	c.Rules = c.Rules[:0]
	known := map[string]bool{}
	for _, ref := range c.refs {
		r := byRef[ref.text]
		if r == nil {
			return faultAt(ref.at, "correlation: no rule that loads has the id or name %q", ref.text)
		}
		if slices.Contains(c.Rules, r) {
			return faultAt(ref.at, "correlation: %q is there twice", ref.text)
		}
		if c.cycles(r) {
			return faultAt(ref.at, "correlation: %q refers back to this rule", ref.text)
		}
		c.Rules = append(c.Rules, r)
		known[r.ID], known[r.Name] = true, true
	}
	for ref, at := range c.aliasAt {
		if !known[ref] {
			return faultAt(at.at, "aliases: %q is none of the rules", ref)
		}
	}
	if c.cond != nil && c.cond.kind == textNode {
		named := map[string]*expr{}
		var names []string
		for i, ref := range c.refs {
			named[ref.text] = &expr{op: opTest, n: i}
			names = append(names, ref.text)
		}
		both, err := parseCondition(c.cond.text, names, named)
		if err != nil {
			return faultAt(c.cond.at, "condition: %v", err)
		}
		c.both = both
	}
	return nil
}

// cycles reports whether r leads back to c by what is resolved so far.
func (c *Correlation) cycles(r *Rule) bool {
	if r.Correlation == nil {
		return false
	}
	return r.Correlation == c || slices.ContainsFunc(r.Correlation.Rules, c.cycles)
}

// fieldOf returns the field of a rule's events that a name in group-by stands for.
func (c *Correlation) fieldOf(r *Rule, name string) string {
	if of, ok := c.aliases[name]; ok {
		return cmp.Or(of[r.Name], of[r.ID], name)
	}
	return name
}

// Needs returns the fields whose values an Occurrence of a rule must carry, sorted.
// Most rules need none: no correlation is about them.
func (s *Set) Needs(rule int) []string {
	fields := map[string]bool{}
	var need func(r *Rule)
	need = func(r *Rule) {
		for _, by := range s.Rules {
			c := by.Correlation
			if c == nil || !slices.Contains(c.Rules, r) {
				continue
			}
			for _, g := range c.GroupBy {
				fields[c.fieldOf(r, g)] = true
			}
			for _, f := range c.fields {
				fields[c.fieldOf(r, f)] = true
			}
			need(by) // what it passes on
		}
	}
	need(s.Rules[rule])
	return sortedKeys(fields)
}

// Correlated reports whether a correlation is about a rule.
func (s *Set) Correlated(rule int) bool {
	return slices.ContainsFunc(s.Rules, func(r *Rule) bool {
		return r.Correlation != nil && slices.Contains(r.Correlation.Rules, s.Rules[rule])
	})
}

// An Occurrence is an event that a rule matched, as far as correlations care.
type Occurrence struct {
	Rule   int      // in Set.Rules
	Time   int64    // µs UTC
	Values []string // of the fields that Set.Needs names; "": not said
}

// A Firing is a time in which a correlation holds: from the first event of the
// first window in which it does to the last event at which it still does.
type Firing struct {
	Rule        int // in Set.Rules
	First, Last int64
	// Events is how many events the largest window had.
	Events int
	// Group has the values of the rule's GroupBy.
	Group []string
}

// Correlate returns the firings of all correlations, given all matches of the rules
// they are about, in any order. Windows end at an event and reach back by the
// timespan, both ends included. Events without a value of a field of GroupBy count
// for no group. Firings are by rule, time and group.
func (s *Set) Correlate(events []Occurrence) []Firing {
	byRule := map[*Rule][]Occurrence{}
	at := map[*Rule]int{}
	for i, r := range s.Rules {
		at[r] = i
	}
	for _, e := range events {
		r := s.Rules[e.Rule]
		byRule[r] = append(byRule[r], e)
	}
	done := map[*Rule]bool{}
	var out []Firing
	var run func(r *Rule)
	run = func(r *Rule) {
		c := r.Correlation
		if c == nil || done[r] {
			return
		}
		done[r] = true
		for _, of := range c.Rules {
			run(of)
		}
		firings, passed := s.correlate(at, r, byRule)
		out = append(out, firings...)
		byRule[r] = append(byRule[r], passed...)
	}
	for _, r := range s.Rules {
		run(r)
	}
	slices.SortStableFunc(out, func(a, b Firing) int {
		return cmp.Or(a.Rule-b.Rule, cmp.Compare(a.First, b.First), slices.Compare(a.Group, b.Group))
	})
	return out
}

// An occasion is an event in the window of a correlation.
type occasion struct {
	time   int64
	rule   int // in Correlation.Rules
	values []string
	fields []string // what values are of
	of     string   // what value_… is about, "" if not said
	said   bool
}

// correlate runs one correlation over the matches of its rules. Its firings are
// also events, which other correlations may be about.
func (s *Set) correlate(at map[*Rule]int, r *Rule, byRule map[*Rule][]Occurrence) (out []Firing, passed []Occurrence) {
	c := r.Correlation
	type group struct {
		key    []string
		events []occasion
	}
	groups := map[string]*group{}
	for i, of := range c.Rules {
		fields := s.Needs(at[of])
		index := func(name string) int { return slices.Index(fields, c.fieldOf(of, name)) }
	next:
		for _, e := range byRule[of] {
			key := make([]string, len(c.GroupBy))
			id := ""
			for j, name := range c.GroupBy {
				if key[j] = e.Values[index(name)]; key[j] == "" {
					continue next
				}
				id += strconv.Itoa(len(key[j])) + ":" + key[j] // lengths keep parts apart
			}
			o := occasion{time: e.Time, rule: i, values: e.Values, fields: fields, said: true}
			for _, name := range c.fields {
				v := e.Values[index(name)]
				o.said = o.said && v != ""
				o.of += strconv.Itoa(len(v)) + ":" + v
			}
			if len(c.fields) == 1 {
				o.of = e.Values[index(c.fields[0])]
			}
			g := groups[id]
			if g == nil {
				g = &group{key: key}
				groups[id] = g
			}
			g.events = append(g.events, o)
		}
	}
	needs := s.Needs(at[r])
	for _, id := range sortedKeys(groups) {
		g := groups[id]
		slices.SortStableFunc(g.events, func(a, b occasion) int {
			return cmp.Or(cmp.Compare(a.time, b.time), a.rule-b.rule, slices.Compare(a.values, b.values))
		})
		w := newWindow(c)
		var firing *Firing
		for i, from := 0, 0; i < len(g.events); {
			now := g.events[i].time
			for ; i < len(g.events) && g.events[i].time == now; i++ {
				w.add(&g.events[i], 1)
			}
			for now-g.events[from].time > c.Timespan.Microseconds() {
				w.add(&g.events[from], -1)
				from++
			}
			if !w.holds(now) {
				firing = nil
				continue
			}
			if firing == nil {
				out = append(out, Firing{Rule: at[r], First: g.events[from].time, Group: g.key})
				firing = &out[len(out)-1]
				// What comes after takes it for an event of the time at which it came true.
				o := Occurrence{Rule: at[r], Time: now, Values: make([]string, len(needs))}
				last := &g.events[i-1]
				for j, field := range needs {
					if k := slices.Index(c.GroupBy, field); k >= 0 {
						o.Values[j] = g.key[k]
					} else if k := slices.Index(last.fields, field); k >= 0 {
						o.Values[j] = last.values[k]
					}
				}
				passed = append(passed, o)
			}
			firing.Last = now
			firing.Events = max(firing.Events, i-from)
		}
	}
	return out, passed
}

// A window measures the events in it.
type window struct {
	c      *Correlation
	events int
	rules  []int          // how many events of each rule
	chain  []int64        // temporal_ordered: the latest start of the first rules in order
	values map[string]int // how often each value is there
	sum    big.Rat
	sorted []float64 // numbers in order
	n      int       // numbers in sum
}

func newWindow(c *Correlation) *window {
	w := &window{c: c, rules: make([]int, len(c.Rules)), chain: make([]int64, len(c.Rules)), values: map[string]int{}}
	for i := range w.chain {
		w.chain[i] = -1 << 63
	}
	return w
}

// add puts an event into the window (by is 1) or takes it out (-1).
func (w *window) add(e *occasion, by int) {
	w.events += by
	w.rules[e.rule] += by
	switch w.c.Type {
	case "temporal_ordered":
		switch {
		case by < 0:
		case e.rule == 0:
			w.chain[0] = e.time
		default:
			w.chain[e.rule] = max(w.chain[e.rule], w.chain[e.rule-1])
		}
	case "value_count":
		if e.said {
			if w.values[e.of] += by; w.values[e.of] == 0 {
				delete(w.values, e.of)
			}
		}
	case "value_sum", "value_avg":
		if num, ok := parseNumber(e.of); ok && num.f-num.f == 0 {
			// Exact, so that what was added can be taken away.
			var x big.Rat
			if num.whole {
				x.SetInt64(num.i)
			} else {
				x.SetFloat64(num.f)
			}
			if w.n += by; by > 0 {
				w.sum.Add(&w.sum, &x)
			} else {
				w.sum.Sub(&w.sum, &x)
			}
		}
	case "value_median", "value_percentile":
		if num, ok := parseNumber(e.of); ok && num.f-num.f == 0 {
			i, _ := slices.BinarySearch(w.sorted, num.f)
			if by > 0 {
				w.sorted = slices.Insert(w.sorted, i, num.f)
			} else {
				w.sorted = slices.Delete(w.sorted, i, i+1)
			}
		}
	}
}

// holds reports whether the condition holds of the window that ends now.
func (w *window) holds(now int64) bool {
	whole := func(n int) number { return number{int64(n), float64(n), true} }
	var have number
	switch w.c.Type {
	case "event_count":
		have = whole(w.events)
	case "value_count":
		have = whole(len(w.values))
	case "value_sum", "value_avg":
		if w.n == 0 {
			return false
		}
		sum := new(big.Rat).Set(&w.sum)
		if w.c.Type == "value_avg" {
			sum.Quo(sum, new(big.Rat).SetInt64(int64(w.n)))
		}
		if sum.IsInt() && sum.Num().IsInt64() {
			have = number{i: sum.Num().Int64(), whole: true}
		}
		have.f, _ = sum.Float64()
	case "value_median", "value_percentile":
		p := w.c.percentile
		if w.c.Type == "value_median" {
			p = 50
		}
		if len(w.sorted) == 0 {
			return false
		}
		// Between the two nearest, in proportion.
		at := p / 100 * float64(len(w.sorted)-1)
		low := int(at)
		have.f = w.sorted[low]
		if low+1 < len(w.sorted) {
			have.f += (at - float64(low)) * (w.sorted[low+1] - w.sorted[low])
		}
	case "temporal_ordered":
		last := w.chain[len(w.chain)-1]
		return last != -1<<63 && now-last <= w.c.Timespan.Microseconds()
	case "temporal":
		if w.c.both != nil {
			return w.both(w.c.both)
		}
		n := 0
		for _, events := range w.rules {
			if events > 0 {
				n++
			}
		}
		have = whole(n)
	}
	for _, b := range w.c.bounds {
		if !have.compares(b.cmp, b.number) {
			return false
		}
	}
	return true
}

// both decides a condition over rules.
func (w *window) both(e *expr) bool {
	n := 0
	for _, k := range e.kids {
		if w.both(k) {
			n++
		}
	}
	switch e.op {
	case opTest:
		return w.rules[e.n] > 0
	case opNot:
		return n == 0
	case opAnd:
		return n == len(e.kids)
	case opOr:
		return n > 0
	}
	return n >= e.n
}
