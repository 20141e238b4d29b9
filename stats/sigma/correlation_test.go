package sigma

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// If this fails, a correlation fires at other times than a window checked event by
// event, or its firings depend on the order of the events.
func TestCorrelateByHand(t *testing.T) {
	const text = `
title: a
name: a
logsource: {category: process_creation}
detection: {s: {Image: a}, condition: s}
---
title: b
name: b
logsource: {category: process_creation}
detection: {s: {Image: b}, condition: s}
---
title: c
name: c
logsource: {category: process_creation}
detection: {s: {Image: c}, condition: s}
---
title: test
name: test
correlation: {type: %s, rules: [a, b, c], group-by: [User], timespan: 10s, %s}
`
	types := []struct {
		name, condition string
		holds           func(w []Occurrence) bool
	}{
		{"event_count", "condition: {gte: 4}", func(w []Occurrence) bool { return len(w) >= 4 }},
		{"event_count", "condition: {gt: 2, lte: 4}", func(w []Occurrence) bool { return len(w) > 2 && len(w) <= 4 }},
		{"value_count", "condition: {field: Image, eq: 3}", func(w []Occurrence) bool { return len(distinct(w)) == 3 }},
		{"value_sum", "condition: {field: Image, lt: 8.5}", func(w []Occurrence) bool { return sum(w) < 8.5 }},
		{"value_avg", "condition: {field: Image, gte: 2.5}", func(w []Occurrence) bool { return sum(w)/float64(len(w)) >= 2.5 }},
		{"value_median", "condition: {field: Image, eq: 2}", func(w []Occurrence) bool {
			v := numbers(w)
			return (v[(len(v)-1)/2]+v[len(v)/2])/2 == 2
		}},
		{"value_percentile", "condition: {field: Image, percentile: 100, gte: 5}", func(w []Occurrence) bool { v := numbers(w); return v[len(v)-1] >= 5 }},
		{"temporal", "condition: {gte: 2}", func(w []Occurrence) bool { return len(rulesOf(w)) >= 2 }},
		{"temporal", "condition: a and not (b or c)", func(w []Occurrence) bool { r := rulesOf(w); return r[0] && !r[1] && !r[2] }},
		{"temporal_ordered", "aliases: {}", func(w []Occurrence) bool {
			for _, a := range w {
				for _, b := range w {
					for _, c := range w {
						if a.Rule == 0 && b.Rule == 1 && c.Rule == 2 && a.Time <= b.Time && b.Time <= c.Time {
							return true
						}
					}
				}
			}
			return false
		}},
	}
	for i, typ := range types {
		t.Run(fmt.Sprint(typ.name, i), func(t *testing.T) {
			set, errs := Load([]File{{Name: "x.yml", Text: fmt.Appendf(nil, text, typ.name, typ.condition)}}, Options{})
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			fired := 0
			for seed := range uint64(200) {
				r := rand.New(rand.NewPCG(seed, 1))
				needs := set.Needs(0)
				var events []Occurrence
				for range 1 + r.IntN(25) {
					e := Occurrence{Rule: r.IntN(3), Time: int64(r.IntN(60)) * time.Second.Microseconds()}
					for _, name := range needs {
						e.Values = append(e.Values, map[string]string{"User": []string{"ann", "bob", ""}[r.IntN(3)], "Image": fmt.Sprint(1 + r.IntN(5))}[name])
					}
					events = append(events, e)
				}
				got := set.Correlate(events)
				fired += len(got)
				r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
				if again := fmt.Sprint(set.Correlate(events)); again != fmt.Sprint(got) {
					t.Fatalf("got %v, and in another order %v", got, again)
				}
				if want := byHand(events, slices.Index(needs, "User"), typ.holds); fmt.Sprint(got) != want {
					t.Fatalf("got %v, want %s of %v", got, want, events)
				}
			}
			if fired == 0 {
				t.Error("nothing fired: the test cannot fail")
			}
		})
	}
}

// byHand prints the firings: for each group, the runs of times at which the window
// that ends there holds.
func byHand(events []Occurrence, user int, holds func(w []Occurrence) bool) string {
	span := (10 * time.Second).Microseconds()
	var out []Firing
	for _, name := range []string{"ann", "bob"} {
		var group []Occurrence
		for _, e := range events {
			if e.Values[user] == name {
				group = append(group, e)
			}
		}
		slices.SortFunc(group, func(a, b Occurrence) int { return int(a.Time - b.Time) })
		running := false
		for i, last := range group {
			if i+1 < len(group) && group[i+1].Time == last.Time {
				continue
			}
			var w []Occurrence
			for _, e := range group {
				if e.Time <= last.Time && last.Time-e.Time <= span {
					w = append(w, e)
				}
			}
			if running = running && w[0].Time < last.Time; !holds(w) { // else nothing of the previous window is left
				running = false
				continue
			}
			if !running {
				out = append(out, Firing{Rule: 3, First: w[0].Time, Group: []string{name}})
				running = true
			}
			f := &out[len(out)-1]
			f.Last, f.Events = last.Time, max(f.Events, len(w))
		}
	}
	slices.SortStableFunc(out, func(a, b Firing) int {
		if a.First != b.First {
			return int(a.First - b.First)
		}
		return slices.Compare(a.Group, b.Group)
	})
	return fmt.Sprint(out)
}

func distinct(w []Occurrence) map[string]bool {
	out := map[string]bool{}
	for _, e := range w {
		out[e.Values[0]] = true // Image
	}
	return out
}

func rulesOf(w []Occurrence) map[int]bool {
	out := map[int]bool{}
	for _, e := range w {
		out[e.Rule] = true
	}
	return out
}

func numbers(w []Occurrence) (out []float64) {
	for _, e := range w {
		n, _ := parseNumber(e.Values[0])
		out = append(out, n.f)
	}
	slices.Sort(out)
	return out
}

func sum(w []Occurrence) (s float64) {
	for _, n := range numbers(w) {
		s += n
	}
	return s
}

// If this fails, a correlation of correlations does not see when those come true,
// or what two feeds saw of the same event is added up.
func TestWatchChain(t *testing.T) {
	set, errs := Load([]File{{Name: "x.yml", Text: []byte(`
title: a
name: a
logsource: {category: process_creation}
detection: {s: {Image: a}, condition: s}
---
title: b
name: b
logsource: {category: proxy}
detection: {s: {c-uri: b}, condition: s}
---
title: many
name: many
correlation: {type: event_count, rules: [a], group-by: [User, Computer], timespan: 10s, condition: {gte: 3}}
---
title: then
name: then
correlation:
  type: temporal_ordered
  rules: [many, b]
  group-by: [who]
  aliases: {who: {many: User, b: cs-username}}
  timespan: 1m
`)}}, Options{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if got := fmt.Sprint(set.Needs(0), set.Groupings(3, 0), set.Needs(1), set.Groupings(3, 1), set.Groupings(2, 1), set.Rules[3].Correlation.Span()); got != "[Computer User] [[1]] [cs-username] [[0]] [] 1m10s" {
		t.Errorf("got %s", got)
	}
	a := func(second int64, feed, computer string) Occurrence {
		return Occurrence{Rule: 0, Time: second * 1e6, Feed: feed, Values: []string{computer, "ann"}}
	}
	b := func(second int64) Occurrence {
		return Occurrence{Rule: 1, Time: second * 1e6, Feed: "proxy", Values: []string{"ann"}}
	}
	for _, c := range []struct {
		events []Occurrence
		want   string
	}{
		{[]Occurrence{a(1, "f", "x"), a(2, "f", "x"), a(3, "f", "x"), b(60)}, "[{2 1000000 3000000 3 [ann x] f} {3 1000000 60000000 2 [ann] }]"},
		{[]Occurrence{a(1, "f", "x"), a(2, "g", "x"), a(3, "f", "x"), b(60)}, "[]"}, // three events of two feeds
		{[]Occurrence{a(1, "f", "x"), a(2, "f", "y"), a(3, "f", "x"), b(60)}, "[]"}, // three events of two groups
		{[]Occurrence{a(1, "f", "x"), a(2, "f", "x"), a(3, "f", "x"), b(2), b(64)}, "[{2 1000000 3000000 3 [ann x] f}]"},
	} {
		if got := fmt.Sprint(set.Correlate(c.events)); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// If this fails, a correlation loads although its groups cannot be told apart, or
// although its count is never reached.
func TestCorrelationsThatCannotRun(t *testing.T) {
	const rules = `
title: a
name: a
logsource: {category: process_creation}
detection: {s: {Image: a}, condition: s}
---
title: many
name: many
correlation: {type: event_count, rules: [a], group-by: [User], timespan: 10s, condition: {gte: %s}}
---
title: of many
name: of_many
correlation: {type: event_count, rules: [many], group-by: [%s], timespan: 10s, condition: {gte: 3}}
`
	for _, c := range []struct{ count, by, want string }{
		{"65536", "User", ""},
		{"65537", "User", "no more than 65536 events of a window are counted"},
		{"3", "Computer", `"Computer" is not in the group-by of the correlation "many"`},
	} {
		_, errs := Load([]File{{Name: "x.yml", Text: fmt.Appendf(nil, rules, c.count, c.by)}}, Options{})
		if got := fmt.Sprint(errs); !strings.Contains(got, c.want) || c.want == "" && len(errs) > 0 {
			t.Errorf("%s, %s: got %s, want %q", c.count, c.by, got, c.want)
		}
	}
}

// If this fails, many matches fill the memory, or nobody learns that some were
// forgotten.
func TestWatchCut(t *testing.T) {
	set, errs := Load([]File{{Name: "x.yml", Text: []byte(`
title: a
name: a
logsource: {category: process_creation}
detection: {s: {Image: a}, condition: s}
---
title: sum
name: sum
correlation: {type: value_sum, rules: [a], group-by: [User], timespan: 1h, condition: {field: Size, gte: 1e9}}
`)}}, Options{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, c := range []struct {
		name string
		step int64 // µs between events
		user func(i int) string
		cut  bool
	}{
		{"within the timespan", 1e3, func(int) string { return "ann" }, true},
		{"of many groups", 1e3, func(i int) string { return fmt.Sprint(i) }, true},
		{"one after the other", 1e6, func(int) string { return "ann" }, false},
		{"of many groups, one after the other", 1e6, func(i int) string { return fmt.Sprint(i) }, false},
	} {
		w := set.Watch(1)
		most := 0
		for i := range 2 * MaxWindow {
			if held := w.Step([]Occurrence{{Time: int64(i) * c.step, Values: []string{"1", c.user(i)}}}); len(held) > 0 {
				t.Fatalf("%s: got %v", c.name, held)
			}
			n := 0
			for _, f := range w.follows {
				n += len(f.groups)
			}
			most = max(most, n, w.size)
		}
		if w.Cut != c.cut || most > MaxWindow {
			t.Errorf("%s: got cut %v, %d at most, want %v and %d", c.name, w.Cut, most, c.cut, MaxWindow)
		}
	}
}

// If this fails, a small file of rules takes hours to load: each of these pairs
// refers to both pairs of the layer before.
func TestPairsOfPairs(t *testing.T) {
	const rule = "title: r\nname: %s\nlogsource: {category: process_creation}\ndetection: {s: {Image: a}, condition: s}\n---\n"
	const pair = "title: p\nname: %s%d\ncorrelation: {type: temporal, rules: [a%[3]d, b%[3]d], timespan: 1h}\n---\n"
	layers := []string{fmt.Sprintf(rule, "a0") + fmt.Sprintf(rule, "b0")}
	for i := 1; i < 40; i++ {
		layers = append(layers, fmt.Sprintf(pair, "a", i, i-1)+fmt.Sprintf(pair, "b", i, i-1))
	}
	up := strings.Join(layers, "")
	slices.Reverse(layers)
	for _, text := range []string{up, strings.Join(layers, "")} {
		set, faults := Load([]File{{Name: "pairs.yml", Text: []byte("\ufeff" + text)}}, Options{})
		if len(faults) == 0 || !strings.Contains(fmt.Sprint(faults), "more than 256 correlations") {
			t.Errorf("got faults %v, want one that says how many correlations there may be", faults)
		}
		if len(set.Rules) < 10 {
			t.Errorf("got %d rules, want the rules that have few correlations", len(set.Rules))
		}
	}
}
