package detect

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"outflow/columnar"
	"outflow/stats/sigma"
)

// Correlations in rule_day: the fold writes each match that one is about under the
// correlation's group and with its time, and the merge, which has all of a group in
// the order of time, moves the window over them. So windows are exact however the
// input was divided, and what is in memory is the windows of one group. Days are
// apart: a window does not reach back over midnight, UTC.

// A correlating is one way in which a correlation is about a rule.
type correlating struct {
	by     int // in Set.Rules
	across bool
	group  []int      // where in the values of the rule's matches those of the group are
	kind   entityKind // that of the group's entity, groupEntity if it has none
	entity int        // where in group it is
	within string     // what stands for the rest of the group where there is none
}

// correlationsOf returns, by rule, what correlations that are reported are about it.
func correlationsOf(rules *sigma.Set) [][]correlating {
	out := make([][]correlating, len(rules.Rules))
	for by, r := range rules.Rules {
		if r.Correlation == nil || r.Part {
			continue
		}
		kind, entity := entityOf(rules, by)
		for i, of := range rules.Rules {
			if of.Correlation != nil {
				continue
			}
			for _, group := range rules.Groupings(by, i) {
				out[i] = append(out[i], correlating{by: by, across: r.Correlation.Across(), group: group, kind: kind, entity: entity,
					within: "within " + spanText(r.Correlation.Span())})
			}
		}
	}
	return out
}

// entityOf returns the kind of entity that a correlation groups by, and where in its
// GroupBy: one that is so in the tables of all the rules it is about.
func entityOf(rules *sigma.Set, by int) (entityKind, int) {
	for _, kind := range [...]entityKind{userEntity, addressEntity, hostEntity} {
		for at := range rules.Rules[by].Correlation.GroupBy {
			all := true
			for i, r := range rules.Rules {
				if r.Correlation != nil {
					continue
				}
				needs := rules.Needs(i)
				for _, group := range rules.Groupings(by, i) {
					for _, t := range r.Tables() {
						c, ok := sigma.ColumnOf(t, needs[group[at]])
						all = all && ok && c == entityColumns[kind]
					}
				}
			}
			if all {
				return kind, at
			}
		}
	}
	return groupEntity, -1
}

// spanText is a timespan as rules write it.
func spanText(d time.Duration) string {
	for _, u := range [...]struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d%u.of == 0 {
			return strconv.FormatInt(int64(d/u.of), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// maxRuleValue is how many bytes of a value correlations look at. Values that begin
// alike are one: with less, command lines would be; with more, whoever writes long
// ones fills the disk.
const maxRuleValue = 256

// correlate writes a match for the correlations that are about it: under the
// correlation's group. A match without a value of it is of none.
func (f *ruleFold) correlate(b *columnar.Batch, h *ruleHit) {
	f.values = f.values[:0]
	for _, field := range f.o.Rules.Needs(int(h.Rule)) {
		text, _ := f.matcher.Value(b, int(h.Row), field)
		f.values = append(f.values, bytes.Clone(text[:charEnd(text, maxRuleValue)]))
	}
	type place struct {
		by        int
		who, what uint32
	}
	var places []place
next:
	for way, c := range f.correlations[h.Rule] {
		object := append(append(f.object[:0], f.refs[c.by]...), ruleObject...)
		rest := 0
		for k, at := range c.group {
			v := f.values[at]
			if len(v) == 0 {
				continue next
			}
			if k == c.entity {
				continue
			}
			if rest++; rest > 1 {
				object = append(object, ", "...)
			}
			if bytes.HasPrefix(v, []byte(`"`)) || bytes.Contains(v, []byte(", ")) {
				object = strconv.AppendQuote(object, string(v)) // so that no two groups have the same
			} else {
				object = append(object, v...)
			}
		}
		if rest == 0 {
			object = append(object, c.within...)
		}
		f.object = object
		name := []byte(f.refs[c.by])
		if c.kind != groupEntity {
			name = f.values[c.group[c.entity]]
		}
		at := partKey{h.feed, f.o.dayOf(h.row.first)}
		if c.across {
			at.feed = AllFeeds
		}
		who := uint32(f.entities.spelt[c.kind].Code(name))<<2 | uint32(c.kind)
		if c.kind != groupEntity && entityKind(h.who&3) == c.kind {
			who = h.who // it may have an account
		}
		p := place{c.by, who, uint32(f.objects.Code(object))}
		if slices.Contains(places, p) {
			continue // it is there in another way
		}
		places = append(places, p)
		part := f.parts.of(at)
		from := len(part.arena)
		if c.kind == groupEntity {
			part.arena = f.appendMatch(part.arena, b, h, way)
		} else { // however the log spells it, it is one group
			value := &f.values[c.group[c.entity]]
			spelt := *value
			_, name := f.entities.key(who)
			*value = []byte(name)[:charEnd([]byte(name), maxRuleValue)]
			part.arena = f.appendMatch(part.arena, b, h, way)
			*value = spelt
		}
		part.matches = append(part.matches, ruleMatch{part.slot(p.who, p.what), h.row.first - int64(at.day)*dayMicros, from, len(part.arena)})
	}
}

// appendMatch appends the record of a match: whether the row is a copy, and then what
// tells copies of a row from other rows, which is all but the number of the record,
// the last 8 bytes. way is the place in f.correlations.
func (f *ruleFold) appendMatch(to []byte, b *columnar.Batch, h *ruleHit, way int) []byte {
	copied := byte(0)
	if h.copied {
		copied = 1
	}
	to = append(to, matchRecord, copied)
	for _, n := range [...]int64{int64(h.Rule), int64(way), h.row.out, h.row.in, h.row.knownOut, h.row.knownIn} {
		to = binary.AppendUvarint(to, uint64(n))
	}
	for _, v := range f.values {
		to = appendBytes(to, v)
	}
	to = appendBytes(to, []byte(h.feed))
	f.example = f.example[:0]
	if f.correlations[h.Rule][way].kind == groupEntity && h.who != 0 {
		f.example = append(append(f.example, cutText(f.entities.spelling(h.who), maxRuleWhat)...), ruleObject...)
	}
	f.example = append(f.example, appendRuleExample(nil, b, int(h.Row))...)
	to = appendBytes(to, f.example)
	to = appendBytes(to, []byte(b.Object))
	return binary.BigEndian.AppendUint64(to, uint64(b.First+int64(b.Record[h.Row])))
}

// A following follows a correlation through the matches of one group and day.
type following struct {
	rules        *sigma.Set
	correlations [][]correlating

	group []string
	watch *sigma.Watch // nil: there was no match yet
	span  int64        // µs

	// Those of one time, which runs have in any order.
	now     int64
	pending []followed
	more    int // how many there were
	events  []sigma.Occurrence

	recent []counts                 // of those that may yet be in a window that holds
	gone   int                      // recent[gone:] are
	latest map[int][]followed       // by rule: the last few, as examples
	found  ruleCell                 // what was in windows that hold
	window struct{ at, most int64 } // that with most events: its start, and how many
	cut    bool
}

// A followed is a match.
type followed struct {
	row counts
	raw []byte // of the record, after whether it is a copy
	// What is in raw.
	rule    int
	way     int
	values  []string
	feed    string
	example string
	log     string
	record  int64
	copied  bool
}

// maxAtOnce is how many matches of one time and group are looked at. Logs whose
// times are whole seconds have many of one time, but more would be in memory at once.
const maxAtOnce = 1 << 13

func (m *following) add(at int64, d *decoder) error {
	if m.correlations == nil {
		if m.rules == nil {
			return errRun
		}
		m.correlations, m.latest = correlationsOf(m.rules), map[int][]followed{}
	}
	f := followed{copied: len(d.b) > 0 && d.b[0] == 1}
	d.b = d.b[min(1, len(d.b)):]
	f.raw = bytes.Clone(d.b)
	var rule, way uint64
	rule, way = d.uvarint(), d.uvarint()
	if rule >= uint64(len(m.correlations)) || way >= uint64(len(m.correlations[rule])) {
		return errRun
	}
	f.rule, f.way = int(rule), int(way)
	f.row = counts{events: 1, out: int64(d.uvarint()), in: int64(d.uvarint()), knownOut: int64(d.uvarint()), knownIn: int64(d.uvarint()),
		first: at, last: at, hours: hourBit(at)}
	for range m.rules.Needs(f.rule) {
		f.values = append(f.values, string(d.bytes()))
	}
	f.feed, f.example, f.log = string(d.bytes()), string(d.bytes()), string(d.bytes())
	if d.bad || len(d.b) != 8 {
		return errRun
	}
	f.record = int64(binary.BigEndian.Uint64(d.b))
	if m.watch == nil {
		c := &m.correlations[f.rule][f.way]
		m.watch = m.rules.Watch(c.by)
		m.span = m.rules.Rules[c.by].Correlation.Span().Microseconds()
		m.group = nil
		for _, at := range c.group {
			m.group = append(m.group, f.values[at])
		}
		m.now = at
	}
	if at != m.now {
		m.step()
		m.now = at
	}
	m.pending = append(m.pending, f)
	if m.more++; len(m.pending) >= 2*maxAtOnce {
		m.settle()
	}
	return nil
}

// alike is what copies of a row have in common, and other rows have not.
func (f *followed) alike() []byte { return f.raw[:len(f.raw)-8] }

// settle puts the pending matches in order and leaves the first maxAtOnce. Copies go
// last among those that are alike: of which row another is the copy depends on the
// order in which they were read, how many there are does not.
func (m *following) settle() {
	slices.SortFunc(m.pending, func(a, b followed) int {
		switch c := bytes.Compare(a.alike(), b.alike()); {
		case c != 0:
			return c
		case a.copied != b.copied:
			if a.copied {
				return 1
			}
			return -1
		}
		return bytes.Compare(a.raw, b.raw)
	})
	m.pending = m.pending[:min(len(m.pending), maxAtOnce)]
}

// step takes up all matches of one time.
func (m *following) step() {
	m.settle()
	cut := m.more > maxAtOnce
	// Copies are of one row, whichever of them was seen first.
	all := m.pending
	m.pending, m.more, m.events = m.pending[:0], 0, m.events[:0]
	var last *followed
	for len(all) > 0 {
		n, rows := 0, 0
		for n < len(all) && bytes.Equal(all[n].alike(), all[0].alike()) {
			if !all[n].copied {
				rows++
			}
			n++
		}
		slices.SortFunc(all[:n], func(a, b followed) int { return bytes.Compare(a.raw, b.raw) })
		for i := range all[:rows] {
			f := &all[i]
			m.recent = append(m.recent, f.row)
			m.events = append(m.events, sigma.Occurrence{Rule: f.rule, Time: m.now, Feed: f.feed, Values: f.values})
			latest := append(m.latest[f.rule], *f)
			m.latest[f.rule] = latest[max(0, len(latest)-maxExamples):]
			last = f
		}
		all = all[n:]
	}
	if last == nil {
		return
	}
	held := m.watch.Step(m.events)
	for m.recent[m.gone].first < m.now-m.span {
		m.gone++
	}
	if m.gone > len(m.recent)/2 {
		m.recent = m.recent[:copy(m.recent, m.recent[m.gone:])]
		m.gone = 0
	}
	cut = cut || m.watch.Cut || len(m.recent)-m.gone > sigma.MaxWindow
	m.watch.Cut = false
	i := slices.IndexFunc(held, func(h sigma.Held) bool { return slices.Equal(h.Group, m.group) })
	switch {
	case cut: // what was forgotten is reported
		m.cut = true
		m.take(m.recent[m.gone].first, last)
	case i >= 0:
		if n := int64(held[i].Events); n > m.window.most {
			m.window.at, m.window.most = held[i].First, n
		}
		m.take(held[i].First, last)
	}
}

// take counts the matches since first, which are in a window that holds; last is
// one at which it does. Those from before are in no window to come.
func (m *following) take(first int64, last *followed) {
	begun := m.found.events > 0
	for i := range m.recent {
		if row := &m.recent[i]; row.first >= first {
			if m.found.events == 0 {
				m.found.counts = *row
			} else {
				m.found.merge(row)
			}
		}
	}
	m.recent, m.gone = m.recent[:0], 0
	if begun {
		return
	}
	m.found.peak = ruleRow{last.row.out, last.row.first, last.record, last.log}
	// Of each rule the last match, and then those before, in the order of their times.
	m.found.examples = nil
	for back := 1; back <= maxExamples; back++ {
		for rule := range m.rules.Rules {
			latest := m.latest[rule]
			if len(latest) < back || len(m.found.examples) == maxExamples {
				continue
			}
			if f := &latest[len(latest)-back]; f.row.first >= first {
				m.found.show(ruleExample{f.row.first, f.example})
			}
		}
	}
}

// row fills in the Summary, or returns false if the correlation never held.
func (m *following) row(r *Row) bool {
	if m.watch == nil {
		return false
	}
	m.step()
	found := m.found.events > 0
	if found {
		m.found.row(r)
		r.WindowEvents, r.WindowAt = m.window.most, m.window.at
		if m.cut {
			r.WindowEvents, r.WindowAt = sigma.MaxWindow+1, r.First
		}
	}
	m.watch, m.found, m.cut = nil, ruleCell{}, false
	m.window.at, m.window.most = 0, 0
	m.recent, m.gone = m.recent[:0], 0
	clear(m.latest)
	return found
}

// whereText says what the events of a correlation's group share.
func whereText(rule *sigma.Rule) string {
	if by := rule.Correlation.GroupBy; len(by) > 0 {
		return " with the same " + strings.Join(by, ", ")
	}
	return ""
}

// ruleNames lists the rules that a correlation is about.
func ruleNames(rule *sigma.Rule) string {
	var names []string
	for _, r := range rule.Correlation.Rules {
		names = append(names, r.Ref())
	}
	return strings.Join(names, ", ")
}
