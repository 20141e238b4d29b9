package sigma

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Correlation is the part of a rule that asks about the matches of other rules:
// how many there are, or how many values they have, in a window of time.
type Correlation struct {
	// Type is event_count, value_count, value_sum, value_avg, value_median,
	// value_percentile, temporal or temporal_ordered.
	Type string
	// Rules are the rules whose matches are correlated, in the order of the
	// document.
	Rules []*Rule
	// GroupBy names the fields whose values must be equal. An alias stands for a
	// field of each rule.
	GroupBy  []string
	Timespan time.Duration
	// Generate says that the rules are also reported on their own.
	Generate bool

	aliases    map[string]map[string]string // alias, then the rule's id or name, to field
	fields     []string                     // that value_… measures
	bounds     []bound
	percentile float64
	both       *expr // temporal: a condition over rules

	// The references to rules, while rules are loaded.
	refs    []node
	aliasAt map[string]node
	cond    *node
}

// A bound is one comparison in a condition: the operator and the number that the
// count is compared with.
type bound struct {
	cmp    string
	number number
}

var correlationTypes = []string{"event_count", "value_count", "value_sum", "value_avg", "value_median", "value_percentile", "temporal", "temporal_ordered"}

// parseCorrelation reads a document about the matches of other rules.
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
		c.GroupBy = append(c.GroupBy, fieldName(g.text))
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

// texts reads a key whose value is a text or a list of texts.
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
			c.bounds = []bound{{"gte", integer(int64(len(c.refs)))}}
			return nil
		}
		return faultAt(body.at, "correlation: condition is missing")
	}
	c.cond = n
	if n.kind == textNode && c.Type == "temporal" {
		return nil // read once the rules are known
	}
	if n.kind != mapNode {
		return faultAt(n.at, "correlation: condition: want a map as in gte: 10, this is %v", n)
	}
	for i := range n.keys {
		key, v := &n.keys[i], &n.items[i]
		switch {
		case slices.Contains(comparisons, key.text):
			num, ok := numberOf(v)
			if !ok || !v.scalar() {
				return faultAt(v.at, "condition: %s: want a number, this is %v", key.text, v)
			}
			if num.f > MaxWindow && strings.HasSuffix(c.Type, "_count") {
				return faultAt(v.at, "condition: %s: no more than %d events of a window are counted", key.text, MaxWindow)
			}
			c.bounds = append(c.bounds, bound{key.text, num})
		case key.text == "field" && strings.HasPrefix(c.Type, "value_"):
			fields, err := texts(n, "field")
			if err != nil {
				return err
			}
			for _, f := range fields {
				c.fields = append(c.fields, fieldName(f.text))
			}
		case key.text == "percentile" && c.Type == "value_percentile":
			p, ok := numberOf(v)
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
		return faultAt(n.at, "condition: field: %s takes one field", c.Type)
	case c.Type == "value_percentile" && n.key("percentile") == nil:
		return faultAt(n.at, "condition: percentile is missing")
	case c.Type == "temporal_ordered" && (len(c.bounds) > 1 || !c.bounds[0].asksForAll(len(c.refs))):
		return faultAt(n.at, "condition: temporal_ordered needs all of its rules: leave the condition out")
	}
	return nil
}

// asksForAll reports whether the bound asks for all of n rules.
func (b bound) asksForAll(n int) bool {
	return integer(int64(n)).compares(b.cmp, b.number) && !integer(int64(n-1)).compares(b.cmp, b.number)
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

// resolve finds the rules that the correlation refers to.
func (c *Correlation) resolve(byRef map[string]*Rule) error {
	c.Rules = c.Rules[:0]
	known := map[string]bool{}
	left := maxAbout
	for _, ref := range c.refs {
		r := byRef[ref.text]
		if r == nil {
			return faultAt(ref.at, "correlation: no rule that loads has the id or name %q", ref.text)
		}
		if slices.Contains(c.Rules, r) {
			return faultAt(ref.at, "correlation: %q appears twice", ref.text)
		}
		if c.cycles(r, &left) {
			return faultAt(ref.at, "correlation: %q refers back to this rule", ref.text)
		}
		if left < 0 {
			return faultAt(ref.at, "correlation: with %q it depends on more than %d correlations, counting every path to each", ref.text, maxAbout)
		}
		if of := r.Correlation; of != nil {
			// Otherwise the events of one of its groups would belong to several
			// groups of c.
			for _, name := range c.GroupBy {
				if field := c.fieldOf(r, name); !slices.Contains(of.GroupBy, field) {
					return faultAt(ref.at, "correlation: group-by: %q is not in the group-by of the correlation %q", field, ref.text)
				}
			}
		}
		c.Rules = append(c.Rules, r)
		known[r.ID], known[r.Name] = true, true
	}
	for _, ref := range slices.Sorted(maps.Keys(c.aliasAt)) {
		if !known[ref] {
			return faultAt(c.aliasAt[ref].at, "aliases: %q is not one of the rules", ref)
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

// maxAbout is how many other correlations one correlation may depend on, counting
// each path to them. All paths are followed, and each layer of pairs about pairs
// doubles their number.
const maxAbout = 256

// cycles reports whether r leads back to c through what is resolved so far. It
// subtracts from left the correlations that it meets, and stops when left is used
// up.
func (c *Correlation) cycles(r *Rule, left *int) bool {
	if r.Correlation == nil || *left < 0 {
		return false
	}
	*left--
	return r.Correlation == c || slices.ContainsFunc(r.Correlation.Rules, func(of *Rule) bool { return c.cycles(of, left) })
}

// fieldOf returns the field of a rule's events that a name in GroupBy stands for.
func (c *Correlation) fieldOf(r *Rule, name string) string {
	if of, ok := c.aliases[name]; ok {
		return cmp.Or(of[r.Name], of[r.ID], name)
	}
	return name
}

// Needs returns the fields whose values an Occurrence of a rule must carry, sorted.
// It is empty for a rule that no correlation refers to. The slice must not be
// changed.
func (s *Set) Needs(rule int) []string { return s.needs[rule] }

// NeededBy returns the correlations that group by a field of a rule's Needs, or
// measure it.
func (s *Set) NeededBy(rule int, field string) []*Rule { return s.neededBy[rule][field] }

// need computes what Needs and NeededBy return.
func (s *Set) need() {
	about := map[*Rule][]*Rule{} // by rule: the correlations that name it
	for _, by := range s.Rules {
		if by.Correlation != nil {
			for _, of := range by.Correlation.Rules {
				about[of] = append(about[of], by)
			}
		}
	}
	s.needs, s.neededBy = make([][]string, len(s.Rules)), make([]map[string][]*Rule, len(s.Rules))
	for i, r := range s.Rules {
		fields := map[string][]*Rule{}
		var need func(r *Rule, has []string)
		need = func(r *Rule, has []string) {
			for _, by := range about[r] {
				c := by.Correlation
				for _, name := range slices.Concat(c.GroupBy, c.fields) {
					if field := c.fieldOf(r, name); !slices.Contains(has, field) && !slices.Contains(fields[field], by) {
						fields[field] = append(fields[field], by)
					}
				}
				need(by, c.GroupBy) // what it passes on besides its own
			}
		}
		need(r, nil)
		s.needs[i], s.neededBy[i] = slices.Sorted(maps.Keys(fields)), fields
	}
}

// Across reports whether the correlation joins events of several feeds. One that
// asks which rules matched does, since an event that two sensors saw changes
// nothing. One that counts or adds up treats each feed on its own.
func (c *Correlation) Across() bool {
	return strings.HasPrefix(c.Type, "temporal") ||
		slices.ContainsFunc(c.Rules, func(r *Rule) bool { return r.Correlation != nil && r.Correlation.Across() })
}

// Span is the longest time between the first and the last match that can make the
// correlation hold. It is longer than Timespan for a correlation of correlations.
func (c *Correlation) Span() time.Duration {
	longest := time.Duration(0)
	for _, r := range c.Rules {
		if r.Correlation != nil {
			longest = max(longest, r.Correlation.Span())
		}
	}
	return min(c.Timespan+longest, 1<<62)
}

// Groupings returns where the values of a correlation's GroupBy stand among the
// values of a rule's Occurrences (see Needs). The correlation may refer to the rule
// directly or through other correlations, and so in several ways: each way that
// differs has an entry. There is no entry if it does not refer to the rule.
func (s *Set) Groupings(by, rule int) [][]int {
	top := s.Rules[by].Correlation
	if top == nil {
		return nil
	}
	needs := s.Needs(rule)
	var out [][]int
	var find func(c *Correlation, names []string)
	find = func(c *Correlation, names []string) {
		for _, of := range c.Rules {
			fields := make([]string, len(names))
			for i, name := range names {
				fields[i] = c.fieldOf(of, name)
			}
			switch {
			case of == s.Rules[rule]:
				at := make([]int, len(fields))
				for i, field := range fields {
					at[i] = slices.Index(needs, field)
				}
				if !slices.ContainsFunc(out, func(o []int) bool { return slices.Equal(o, at) }) {
					out = append(out, at)
				}
			case of.Correlation != nil:
				find(of.Correlation, fields)
			}
		}
	}
	find(top, top.GroupBy)
	return out
}
