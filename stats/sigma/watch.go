package sigma

import (
	"cmp"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// This file follows correlations through the matches of their rules.

// An Occurrence is an event that a rule matched, reduced to what correlations read.
type Occurrence struct {
	Rule   int      // in Set.Rules
	Time   int64    // µs UTC
	Feed   string   // see Correlation.Across
	Values []string // of the fields that Set.Needs names; "": no value

	first int64 // of a correlation that came true: the start of its window
}

// A Firing is a period in which a correlation holds. First is the first event of
// the first window for which it holds; Last is the last event at which it still
// holds.
type Firing struct {
	Rule        int // in Set.Rules
	First, Last int64
	// Events is the number of events in the largest window.
	Events int
	// Group has the values of the rule's GroupBy. Feed is "" if the correlation
	// joins feeds.
	Group []string
	Feed  string
}

// Correlate returns the firings of all correlations, ordered by rule, time and
// group. events are all matches of the rules that correlations refer to, in any
// order.
func (s *Set) Correlate(events []Occurrence) []Firing {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b Occurrence) int { return cmp.Compare(a.Time, b.Time) })
	var out []Firing
	for i, r := range s.Rules {
		if r.Correlation == nil {
			continue
		}
		w := s.Watch(i)
		last := map[string]int{} // by group: its place in out
		for rest := events; len(rest) > 0; {
			n := 1
			for n < len(rest) && rest[n].Time == rest[0].Time {
				n++
			}
			for _, h := range w.Step(rest[:n]) {
				id := groupID(h.Feed, h.Group)
				if h.New {
					last[id] = len(out)
					out = append(out, Firing{Rule: i, First: h.First, Group: h.Group, Feed: h.Feed})
				}
				f := &out[last[id]]
				f.Last, f.Events = rest[0].Time, max(f.Events, h.Events)
			}
			rest = rest[n:]
		}
	}
	slices.SortStableFunc(out, func(a, b Firing) int {
		return cmp.Or(a.Rule-b.Rule, cmp.Compare(a.First, b.First), slices.Compare(a.Group, b.Group), strings.Compare(a.Feed, b.Feed))
	})
	return out
}

// MaxWindow is the largest number of events that all windows of a watched
// correlation hold together. A higher limit would take the memory of a small
// machine: an event takes some 100 bytes, and for value_count its value as well. A
// lower one would cut ordinary counts.
const MaxWindow = 1 << 16

// A Watch follows a correlation through the matches of the rules that it refers to,
// directly or through other correlations.
//
// A window ends at an event and reaches back by the timespan; both ends belong to
// it. An event that lacks the value of a GroupBy field counts for no group.
type Watch struct {
	// Cut says that the windows held more than MaxWindow events. All events were
	// then forgotten, and counting began anew.
	Cut bool

	follows []*follow // the correlation comes last, each after those that it refers to
	size    int       // events in all windows
	events  []Occurrence
}

// A Held says that a correlation holds for a group's window.
type Held struct {
	Group []string // the values of GroupBy
	Feed  string   // "" if the correlation joins feeds
	// First is the time of the window's first event. If New, a correlation among
	// the events counts from the start of its own window.
	First  int64
	Events int
	// New says that the correlation did not hold for the group's previous window,
	// or that the two windows share no event.
	New bool
}

// A follow follows one of a Watch's correlations.
type follow struct {
	rule     int
	c        *Correlation
	across   bool
	needs    []string
	subjects []subject // as c.Rules
	groups   map[string]*group
	met      []meeting
}

// A subject is a rule that a correlation is about.
type subject struct {
	rule          int
	needs         []string
	group, fields []int // indexes, in an Occurrence's values, of the fields of GroupBy and of value_…
}

type meeting struct {
	subject int
	event   *Occurrence
}

type group struct {
	key     []string
	feed    string
	events  []occasion
	from    int // events[from:] are in the window
	window  *window
	holding bool
	last    meeting // of the step
	touched bool
}

// An occasion is an event in a correlation's window.
type occasion struct {
	time, first int64
	rule        int    // in Correlation.Rules
	of          string // the value that value_… measures
	said        bool
}

// Watch returns a new Watch of a correlation.
func (s *Set) Watch(rule int) *Watch {
	at := map[*Rule]int{}
	for i, r := range s.Rules {
		at[r] = i
	}
	w := &Watch{}
	var add func(r *Rule)
	add = func(r *Rule) {
		if r.Correlation == nil || slices.ContainsFunc(w.follows, func(f *follow) bool { return f.rule == at[r] }) {
			return
		}
		c := r.Correlation
		f := &follow{rule: at[r], c: c, across: c.Across(), needs: s.Needs(at[r]), groups: map[string]*group{}}
		for _, of := range c.Rules {
			add(of)
			p := subject{rule: at[of], needs: s.Needs(at[of])}
			for _, name := range c.GroupBy {
				p.group = append(p.group, slices.Index(p.needs, c.fieldOf(of, name)))
			}
			for _, name := range c.fields {
				p.fields = append(p.fields, slices.Index(p.needs, c.fieldOf(of, name)))
			}
			f.subjects = append(f.subjects, p)
		}
		w.follows = append(w.follows, f)
	}
	add(s.Rules[rule])
	return w
}

// Step takes all events of one time, in any order. That time must be later than the
// one of the step before. It returns the groups for which the correlation holds
// then, ordered by their values. It does not look at groups without an event of
// that time.
func (w *Watch) Step(events []Occurrence) []Held {
	w.events = append(w.events[:0], events...)
	now := events[0].Time
	var held []Held
	for i, f := range w.follows {
		groups := f.take(w)
		for _, g := range groups {
			g.touched = false
			w.size -= g.expire(now - f.c.Timespan.Microseconds())
			if g.events[g.from].time == now {
				g.holding = false // nothing of the previous window is left
			}
			if !g.window.holds(now) {
				g.holding = false
				continue
			}
			h := Held{Group: g.key, Feed: g.feed, First: g.events[g.from].time, Events: len(g.events) - g.from, New: !g.holding}
			if h.New {
				for _, e := range g.events[g.from:] {
					h.First = min(h.First, e.first)
				}
				w.events = append(w.events, f.pass(g, now, h.First))
			}
			g.holding = true
			if i == len(w.follows)-1 {
				held = append(held, h)
			}
		}
	}
	if w.size > MaxWindow {
		w.shrink(now)
	}
	slices.SortFunc(held, func(a, b Held) int { return cmp.Or(slices.Compare(a.Group, b.Group), strings.Compare(a.Feed, b.Feed)) })
	return held
}

// take puts those events of the step that f refers to into their windows. It
// returns the groups that got one, ordered by rule and then by values.
func (f *follow) take(w *Watch) (groups []*group) {
	f.met = f.met[:0]
	for i := range f.subjects {
		from := len(f.met)
		for j := range w.events {
			if w.events[j].Rule == f.subjects[i].rule {
				f.met = append(f.met, meeting{i, &w.events[j]})
			}
		}
		slices.SortFunc(f.met[from:], func(a, b meeting) int {
			return cmp.Or(slices.Compare(a.event.Values, b.event.Values), strings.Compare(a.event.Feed, b.event.Feed), cmp.Compare(a.event.first, b.event.first))
		})
	}
	for _, m := range f.met {
		g := f.groupOf(m)
		if g == nil {
			continue
		}
		if !g.touched {
			g.touched = true
			groups = append(groups, g)
		}
		p := &f.subjects[m.subject]
		o := occasion{time: m.event.Time, first: cmp.Or(m.event.first, m.event.Time), rule: m.subject}
		var measured []string
		for _, i := range p.fields {
			measured = append(measured, m.event.Values[i])
		}
		o.said = !slices.Contains(measured, "")
		switch len(measured) {
		case 0:
		case 1:
			o.of = measured[0]
		default:
			o.of = groupID("", measured)
		}
		g.last = m
		g.events = append(g.events, o)
		g.window.add(&o, 1)
		w.size++
	}
	return groups
}

// groupID joins the values of a group so that no two groups have the same.
func groupID(feed string, values []string) string {
	id := strconv.Itoa(len(feed)) + ":" + feed
	for _, v := range values {
		id += strconv.Itoa(len(v)) + ":" + v // lengths keep parts apart
	}
	return id
}

// groupOf returns the group of an event, or nil if it has none.
func (f *follow) groupOf(m meeting) *group {
	key := make([]string, len(f.c.GroupBy))
	for i, at := range f.subjects[m.subject].group {
		if key[i] = m.event.Values[at]; key[i] == "" {
			return nil
		}
	}
	feed := m.event.Feed
	if f.across {
		feed = ""
	}
	id := groupID(feed, key)
	g := f.groups[id]
	if g == nil {
		g = &group{key: key, feed: feed, window: newWindow(f.c)}
		f.groups[id] = g
	}
	return g
}

// expire takes the events from before a time out of the window, and returns their
// number.
func (g *group) expire(before int64) int {
	from := g.from
	for g.from < len(g.events) && g.events[g.from].time < before {
		g.window.add(&g.events[g.from], -1)
		g.from++
	}
	gone := g.from - from
	if g.from > len(g.events)/2 {
		n := copy(g.events, g.events[g.from:])
		clear(g.events[n:])
		g.events, g.from = g.events[:n], 0
	}
	return gone
}

// pass returns the event that f becomes for the correlations about it, at the time
// at which it came true.
func (f *follow) pass(g *group, now, first int64) Occurrence {
	o := Occurrence{Rule: f.rule, Time: now, Feed: g.feed, Values: make([]string, len(f.needs)), first: first}
	p := &f.subjects[g.last.subject]
	for i, field := range f.needs {
		if k := slices.Index(f.c.GroupBy, field); k >= 0 {
			o.Values[i] = g.key[k]
		} else if k := slices.Index(p.needs, field); k >= 0 {
			o.Values[i] = g.last.event.Values[k]
		}
	}
	return o
}

// shrink forgets the groups whose events are all too old. If that is not enough, it
// forgets everything.
func (w *Watch) shrink(now int64) {
	for _, f := range w.follows {
		for id, g := range f.groups {
			w.size -= g.expire(now - f.c.Timespan.Microseconds())
			if g.from == len(g.events) {
				delete(f.groups, id)
			}
		}
	}
	if w.size > MaxWindow/2 { // else the next search would come too soon
		for _, f := range w.follows {
			clear(f.groups)
		}
		w.size, w.Cut = 0, true
	}
}

// A window measures the events in it.
type window struct {
	c      *Correlation
	events int
	rules  []int          // number of events by rule
	chain  []int64        // temporal_ordered: the latest start of the first rules in order
	values map[string]int // number of events by value
	sum    big.Rat
	sorted []float64 // numbers in order
	n      int       // number of values in sum
}

func newWindow(c *Correlation) *window {
	w := &window{c: c, rules: make([]int, len(c.Rules)), chain: make([]int64, len(c.Rules)), values: map[string]int{}}
	for i := range w.chain {
		w.chain[i] = -1 << 63
	}
	return w
}

// add puts an event into the window (by is 1) or takes it out (by is -1).
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
		if num, ok := parseNumber(e.of); ok {
			// The sum is exact, so that a number can be subtracted again.
			var x big.Rat
			if num.whole {
				x.SetUint64(num.abs)
				if num.f < 0 {
					x.Neg(&x)
				}
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
		if num, ok := parseNumber(e.of); ok {
			i, _ := slices.BinarySearch(w.sorted, num.f)
			if by > 0 {
				w.sorted = slices.Insert(w.sorted, i, num.f)
			} else {
				w.sorted = slices.Delete(w.sorted, i, i+1)
			}
		}
	}
}

// holds reports whether the condition holds for the window that ends now.
func (w *window) holds(now int64) bool {
	whole := func(n int) number { return integer(int64(n)) }
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
			have = integer(sum.Num().Int64())
		} else {
			have.f, _ = sum.Float64()
		}
	case "value_median", "value_percentile":
		p := w.c.percentile
		if w.c.Type == "value_median" {
			p = 50
		}
		if len(w.sorted) == 0 {
			return false
		}
		// Interpolate linearly between the two nearest values.
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
