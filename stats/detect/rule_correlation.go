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

// This file computes correlations in rule_day. The fold writes each match that a
// correlation uses under the correlation's group, with its time. The merge gets all
// matches of a group in the order of time and moves the sliding window over them. So
// windows are exact however the input was divided, and memory holds the windows of one
// group only. Days are separate: a window does not reach back over midnight, UTC.

// A ruleUse is one way in which a correlation uses a rule.
type ruleUse struct {
	by     int // index of the correlation in Set.Rules
	across bool
	group  []int      // by value of the group: its index in the values of the rule's matches
	kind   entityKind // kind of the group's entity, groupEntity if it has none
	entity int        // index of the entity in group
	within string     // the text for the rest of the group if there is none
}

// correlationsOf returns, for each rule, how the reported correlations use it.
func correlationsOf(rules *sigma.Set) [][]ruleUse {
	out := make([][]ruleUse, len(rules.Rules))
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
				out[i] = append(out[i], ruleUse{by: by, across: r.Correlation.Across(), group: group, kind: kind, entity: entity,
					within: "within " + spanText(r.Correlation.Span())})
			}
		}
	}
	return out
}

// entityOf returns the kind of entity that a correlation groups by, and its index in
// GroupBy. The field must be that entity in the tables of all rules that the
// correlation uses.
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

// spanText formats a timespan as rules write it.
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

// maxRuleValue is how many bytes of a value correlations compare; values with the same
// beginning are one. With less, different command lines would become one. With more,
// an attacker who writes long ones fills the disk.
const maxRuleValue = 256

// correlate writes a match under the group of each correlation that uses it. A match
// lacking a group-by value joins no group.
func (f *ruleFold) correlate(b *columnar.Batch, m *matchedRow) {
	f.values = f.values[:0]
	for _, field := range f.o.Rules.Needs(int(m.Rule)) {
		text, _ := f.matcher.Value(b, int(m.Row), field)
		f.values = append(f.values, bytes.Clone(text[:charEnd(text, maxRuleValue)]))
	}
	type place struct {
		by        int
		who, what uint32
	}
	var places []place
next:
	for way, c := range f.correlations[m.Rule] {
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
				object = strconv.AppendQuote(object, string(v)) // so that no two groups have the same name
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
		at := sectionKey{m.feed, f.o.dayOf(m.row.first)}
		if c.across {
			at.feed = AllFeeds
		}
		who := uint32(f.entities.spelt[c.kind].Code(name))<<2 | uint32(c.kind)
		if c.kind != groupEntity && entityKind(m.who&3) == c.kind {
			who = m.who // it may carry an account
		}
		p := place{c.by, who, uint32(f.objects.Code(object))}
		if slices.Contains(places, p) {
			continue // written already, by another use
		}
		places = append(places, p)
		section := f.sections.of(at)
		from := len(section.arena)
		if c.kind == groupEntity {
			section.arena = f.appendMatch(section.arena, b, m, way)
		} else { // all spellings are one group
			value := &f.values[c.group[c.entity]]
			spelt := *value
			name := f.entities.name(who)
			*value = name[:charEnd(name, maxRuleValue)]
			section.arena = f.appendMatch(section.arena, b, m, way)
			*value = spelt
		}
		section.matches = append(section.matches, ruleMatch{section.slot(p.who, p.what), m.row.first - int64(at.day)*dayMicros, from, len(section.arena)})
	}
}

// appendMatch appends the record of a match: whether the row is a copy, and then all
// that distinguishes copies of a row from other rows, and last the 8 bytes of the
// record number, which does not. way is the index in f.correlations[m.Rule].
func (f *ruleFold) appendMatch(to []byte, b *columnar.Batch, m *matchedRow, way int) []byte {
	copied := byte(0)
	if m.copied {
		copied = 1
	}
	to = append(to, matchRecord, copied)
	for _, n := range [...]int64{int64(m.Rule), int64(way), m.row.out, m.row.in, m.row.knownOut, m.row.knownIn} {
		to = binary.AppendUvarint(to, uint64(n))
	}
	for _, v := range f.values {
		to = appendBytes(to, v)
	}
	to = appendBytes(to, []byte(m.feed))
	f.example = f.example[:0]
	if f.correlations[m.Rule][way].kind == groupEntity && m.who != 0 {
		f.example = append(append(f.example, cutText(f.entities.spelling(m.who), maxRuleWhat)...), ruleObject...)
	}
	f.example = append(f.example, appendRuleExample(nil, b, int(m.Row), f.o.Rules.Rules[m.Rule])...)
	to = appendBytes(to, f.example)
	to = appendBytes(to, []byte(b.Object))
	return binary.BigEndian.AppendUint64(to, uint64(b.First+int64(b.Record[m.Row])))
}

// A correlationMerger runs a correlation over the matches of one group and day.
type correlationMerger struct {
	rules        *sigma.Set
	correlations [][]ruleUse

	group []string
	watch *sigma.Watch // nil: there was no match yet
	span  int64        // µs

	// The matches of one time, which runs have in any order.
	now     int64
	pending []correlatedMatch
	more    int // the number of matches before any were dropped
	events  []sigma.Occurrence

	recent  []counts                  // of the matches that may still be in a window that holds
	gone    int                       // recent[gone:] are in the sliding window
	latest  map[int][]correlatedMatch // by rule: the last few matches, as examples
	found   ruleCell                  // the matches in windows that hold
	busiest struct{ at, most int64 }  // the window with the most events: its start and their number
	cut     bool
}

// A correlatedMatch is a match that a correlation uses.
type correlatedMatch struct {
	row counts
	raw []byte // the record, without the byte that marks a copy
	// The contents of raw.
	rule    int
	way     int
	values  []string
	feed    string
	example string
	log     string
	record  int64
	copied  bool
}

// maxAtOnce is how many matches of one time and group are examined. Logs whose times
// are whole seconds have many matches of one time, but more would be in memory at
// once.
const maxAtOnce = 1 << 13

func (m *correlationMerger) add(at int64, d *decoder) error {
	if m.correlations == nil {
		if m.rules == nil {
			return errRun
		}
		m.correlations, m.latest = correlationsOf(m.rules), map[int][]correlatedMatch{}
	}
	f := correlatedMatch{copied: len(d.b) > 0 && d.b[0] == 1}
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

// alike returns the bytes that copies of a row have in common and other rows do not
// have.
func (f *correlatedMatch) alike() []byte { return f.raw[:len(f.raw)-8] }

// settle sorts the pending matches and keeps the first maxAtOnce. Copies come last
// among equal matches. Which row counts as the copy depends on the order of reading;
// the number of copies does not.
func (m *correlationMerger) settle() {
	slices.SortFunc(m.pending, func(a, b correlatedMatch) int {
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

// step processes all matches of one time.
func (m *correlationMerger) step() {
	m.settle()
	cut := m.more > maxAtOnce
	// Copies belong to one row, whichever of them was seen first.
	all := m.pending
	m.pending, m.more, m.events = m.pending[:0], 0, m.events[:0]
	var last *correlatedMatch
	for len(all) > 0 {
		n, rows := 0, 0
		for n < len(all) && bytes.Equal(all[n].alike(), all[0].alike()) {
			if !all[n].copied {
				rows++
			}
			n++
		}
		slices.SortFunc(all[:n], func(a, b correlatedMatch) int { return bytes.Compare(a.raw, b.raw) })
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
	case cut: // report that some matches were not examined
		m.cut = true
		m.take(m.recent[m.gone].first, last)
	case i >= 0:
		if n := int64(held[i].Events); n > m.busiest.most {
			m.busiest.at, m.busiest.most = held[i].First, n
		}
		m.take(held[i].First, last)
	}
}

// take counts the matches since first, which are in a window that holds; last is a
// match at which it holds. Earlier matches are in no later window.
func (m *correlationMerger) take(first int64, last *correlatedMatch) {
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
	m.found.rows = []ruleRow{{out: last.row.out, time: last.row.first, record: last.record, log: last.log}}
	// The last match of each rule, then the ones before, in the order of their times.
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

// row sets the Summary, or returns false if the correlation never held.
func (m *correlationMerger) row(r *Row) bool {
	if m.watch == nil {
		return false
	}
	m.step()
	found := m.found.events > 0
	if found {
		m.found.row(r)
		r.WindowEvents, r.WindowAt = m.busiest.most, m.busiest.at
		if m.cut {
			r.WindowEvents, r.WindowAt = sigma.MaxWindow+1, r.First
		}
	}
	m.watch, m.found, m.cut = nil, ruleCell{}, false
	m.busiest.at, m.busiest.most = 0, 0
	m.recent, m.gone = m.recent[:0], 0
	clear(m.latest)
	return found
}

// whereText says what the events in a group of a correlation have in common.
func whereText(rule *sigma.Rule) string {
	if by := rule.Correlation.GroupBy; len(by) > 0 {
		return " with the same " + strings.Join(by, ", ")
	}
	return ""
}

// ruleNames lists the rules that a correlation uses.
func ruleNames(rule *sigma.Rule) string {
	var names []string
	for _, r := range rule.Correlation.Rules {
		names = append(names, r.Ref())
	}
	return strings.Join(names, ", ")
}
