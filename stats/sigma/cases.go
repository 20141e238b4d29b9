package sigma

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"outflow/columnar"
)

// putField sets the value of a Sigma field in the row being built. It sets the table's
// column for the field, or a field of the event if the table has no such column.
func putField(b *columnar.Builder, t *columnar.Table, field string, text []byte) {
	field = fieldName(field)
	c, ok := ColumnOf(t, field)
	if !ok {
		b.SetField([]byte(field), text)
		return
	}
	switch c.Kind() {
	case columnar.Timestamp:
		if at, ok := parseTime(string(text)); ok {
			b.SetTime(at.UnixMicro())
		}
	case columnar.Int64, columnar.Int32:
		if n, ok := parseNumber(string(text)); ok {
			if i, ok := n.int64(); ok {
				b.SetInt(c, i)
			}
		}
	default:
		if c == columnar.Service {
			text = bytes.TrimSuffix(text, []byte(".amazonaws.com"))
		}
		b.SetText(c, text)
	}
}

// A Pair is one field of an event.
type Pair struct{ Field, Text string }

// A Case says which rules must match its events. No other rule may match them.
type Case struct {
	File   string
	Line   int
	Name   string
	Events [][]Pair
	// Match names the rules by id, name or title. All says that every rule under
	// test must match.
	Match []string
	All   bool
}

// Rules returns the name of the rule file that a file of cases tests: x.yml for
// x_test.yml. It is "" if c is not named like a file of cases.
func (c File) Rules() string {
	for _, ext := range []string{".yml", ".yaml"} {
		if base, ok := strings.CutSuffix(c.Name, "_test"+ext); ok {
			return base + ext
		}
	}
	return ""
}

// ParseCases reads a file of cases:
//
//   - name: a renamed binary
//     event: {Image: 'C:\Temp\svchost.exe', OriginalFileName: rclone.exe}
//     match: true
//
// match is true, false, or a list of rules. To test a correlation, give a list as
// events in place of event, or repeat, which is how often the events happen; {n} in a
// text is then 0, 1, 2, …. An event's time is its UtcTime or time; without one,
// events are a second apart. A map in an event stands for fields with a dot in
// their name, a list for a field with several values.
func ParseCases(f File) ([]Case, *Error) {
	cases, err := parseCases(f)
	if err != nil {
		return nil, errorIn(f, err)
	}
	return cases, nil
}

func parseCases(f File) ([]Case, error) {
	docs, err := documents(f.Text)
	if err != nil {
		return nil, err
	}
	var out []Case
	for _, doc := range docs {
		if doc.kind != listNode {
			return nil, faultAt(doc.at, "want a list of cases, this is %v", &doc)
		}
		for i := range doc.items {
			c, err := parseCase(&doc.items[i])
			if err != nil {
				return nil, err
			}
			c.File = f.Name
			out = append(out, *c)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("there is no case")
	}
	return out, nil
}

func parseCase(n *node) (*Case, error) {
	if n.kind != mapNode {
		return nil, faultAt(n.at, "a case is a map, this is %v", n)
	}
	c := &Case{Line: n.at.line}
	times := 1
	for i := range n.keys {
		key, v := &n.keys[i], &n.items[i]
		events := []node{*v}
		switch key.text {
		case "name":
			c.Name = v.text
		case "match":
			switch all, ok := v.value.(bool); {
			case ok:
				c.All = all
			case v.kind == listNode:
				names, err := texts(n, "match")
				if err != nil {
					return nil, err
				}
				for _, name := range names {
					c.Match = append(c.Match, name.text)
				}
			default:
				return nil, faultAt(v.at, "match: want true, false or a list of rules, this is %v", v)
			}
		case "repeat":
			var err error
			if times, err = strconv.Atoi(v.text); err != nil || times < 1 || times > maxRepeat {
				return nil, faultAt(v.at, "repeat: want a number from 1 to %d, this is %v", maxRepeat, v)
			}
		case "events":
			if v.kind != listNode {
				return nil, faultAt(v.at, "events: want a list, this is %v", v)
			}
			events = v.items
			fallthrough
		case "event":
			for j := range events {
				if events[j].kind != mapNode {
					return nil, faultAt(events[j].at, "an event is a map of fields, this is %v", &events[j])
				}
				pairs, err := appendPairs(nil, "", &events[j])
				if err != nil {
					return nil, err
				}
				c.Events = append(c.Events, pairs)
			}
		default:
			return nil, faultAt(key.at, "unknown key %q: want name, event, events, repeat or match", key.text)
		}
	}
	switch {
	case len(c.Events) == 0:
		return nil, faultAt(n.at, "a case needs an event")
	case n.key("match") == nil:
		return nil, faultAt(n.at, "a case needs match: true, false or a list of rules")
	}
	if n.key("repeat") != nil {
		c.Events = repeated(c.Events, times)
	}
	return c, nil
}

// maxRepeat is how often the events of a case may happen: more than a correlation's window
// examines would tell nothing.
const maxRepeat = 4096

func repeated(events [][]Pair, times int) (all [][]Pair) {
	for i := range times {
		for _, event := range events {
			pairs := slices.Clone(event)
			for j := range pairs {
				pairs[j].Text = strings.ReplaceAll(pairs[j].Text, "{n}", strconv.Itoa(i))
			}
			all = append(all, pairs)
		}
	}
	return all
}

func appendPairs(pairs []Pair, prefix string, n *node) ([]Pair, error) {
	var err error
	for i := range n.keys {
		name, v := prefix+n.keys[i].text, &n.items[i]
		switch v.kind {
		case nullNode:
		case mapNode:
			if pairs, err = appendPairs(pairs, name+".", v); err != nil {
				return nil, err
			}
		case listNode:
			var list []byte
			for j := range v.items {
				if !v.items[j].scalar() {
					return nil, faultAt(v.items[j].at, "%s: want a text, this is %v", name, &v.items[j])
				}
				list = columnar.AppendList(list, []byte(v.items[j].text))
			}
			pairs = append(pairs, Pair{name, string(list)})
		default:
			pairs = append(pairs, Pair{name, v.text})
		}
	}
	return pairs, nil
}

// try returns, in the order of the set, the rules that match one of the events and
// the correlations that fire. Every rule is asked about every event, whatever its
// log source. A column that no event fills is treated as one that the format lacks.
func (s *Set) try(events [][]Pair) []*Rule {
	hit := make([]bool, len(s.Rules))
	// An event counts once, even if it is found in several tables.
	type place struct{ rule, event int }
	found := map[place]Occurrence{}
	m := s.Matcher()
	s.batches(events, func(b *columnar.Batch, lacks columnar.Cols) {
		m.Lacks = lacks
		times := b.Int64(columnar.Time)
		for _, match := range m.Match(b) {
			rule := int(match.Rule)
			hit[rule] = true
			o := Occurrence{Rule: rule, Time: times[match.Row]}
			for _, field := range s.Needs(rule) {
				text, _ := m.Value(b, int(match.Row), field)
				o.Values = append(o.Values, string(text))
			}
			found[place{rule, int(b.First + int64(b.Record[match.Row]))}] = o
		}
	})
	var all []Occurrence
	for _, o := range found {
		all = append(all, o)
	}
	for _, f := range s.Correlate(all) {
		hit[f.Rule] = true
	}
	var rules []*Rule
	for i, r := range s.Rules {
		if hit[i] {
			rules = append(rules, r)
		}
	}
	return rules
}

// batches hands the events to a sink as rows of every table that the rules read.
// lacks has the columns that no event fills.
func (s *Set) batches(events [][]Pair, sink func(b *columnar.Batch, lacks columnar.Cols)) {
	want := s.Want()
	for _, t := range columnar.Tables {
		if s.plans[t.ID] == nil {
			continue
		}
		lacks := t.Set()
		for _, pairs := range events {
			for _, p := range pairs {
				if c, ok := ColumnOf(t, p.Field); ok {
					lacks &^= columnar.ColSet(c)
				}
			}
		}
		out := columnar.Out{Want: want.Cols, WantFields: want.Fields, Sink: func(b *columnar.Batch) { sink(b, lacks) }}
		b := out.Table(t)
		for i, pairs := range events {
			b.SetTime(timeOf(pairs, i))
			for _, p := range pairs {
				putField(b, t, p.Field, []byte(p.Text))
			}
			b.Next(int64(i + 1))
		}
		out.Flush()
	}
}

func timeOf(pairs []Pair, i int) int64 {
	for _, p := range pairs {
		if slices.Contains([]string{"UtcTime", "time", "@timestamp", "eventTime"}, p.Field) {
			if at, ok := parseTime(p.Text); ok {
				return at.UnixMicro()
			}
		}
	}
	return time.Date(2000, 1, 1, 0, 0, i, 0, time.UTC).UnixMicro()
}

// Run returns what is wrong with a case, or "" if nothing is. s holds the rules;
// the case tests those in the file named rules.
func (s *Set) Run(c *Case, rules string) string {
	is := func(r *Rule, name string) bool { return name == r.ID || name == r.Name || name == r.Title }
	matched := s.try(c.Events)
	var missing, extra []string
	about := 0
	known := map[string]bool{}
	for _, r := range s.Rules {
		if r.File != rules {
			continue
		}
		about++
		wanted := c.All
		for _, name := range c.Match {
			if is(r, name) {
				wanted, known[name] = true, true
			}
		}
		switch got := slices.Contains(matched, r); {
		case wanted && !got:
			missing = append(missing, r.Ref())
		case !wanted && got:
			extra = append(extra, r.Ref())
		}
	}
	for _, name := range c.Match {
		if !known[name] {
			return fmt.Sprintf("no rule of %s is called %q", rules, name)
		}
	}
	switch {
	case about == 0:
		return fmt.Sprintf("no rule of %s loads", rules)
	case len(missing) > 0:
		return "no match: " + strings.Join(missing, ", ")
	case len(extra) > 0:
		return "matches, but should not: " + strings.Join(extra, ", ")
	}
	return ""
}
