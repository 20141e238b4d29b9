package detect

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar"
	"outflow/stats/sigma"
)

// correlationRules are about the rules of testRules and the tables of randomEvents.
const correlationRules = ruleTexts + `
---
title: sent after asked
name: sent_after
level: high
falsepositives: [Somebody's work]
correlation:
  type: temporal_ordered
  rules: [asks, puts]
  group-by: [ip]
  aliases: {ip: {asks: src_ip, puts: c-ip}}
  timespan: 20m
  generate: true
---
title: asks
name: asks
logsource: {category: dns}
detection: {s: {query|contains: x}, condition: s}
---
title: many puts
name: many_puts
correlation: {type: event_count, rules: [puts, out], group-by: [User, cs-host], aliases: {User: {puts: cs-username, out: User}, cs-host: {puts: cs-host, out: dst_ip}}, timespan: 3h, condition: {gte: 3}, generate: true}
---
title: one host
name: one_host
correlation: {type: value_count, rules: [puts], group-by: [cs-host], timespan: 2h, condition: {field: c-ip, gte: 2}, generate: true}
---
title: of many puts
name: of_many
correlation: {type: event_count, rules: [many_puts], group-by: [User], timespan: 12h, condition: {gte: 2}, generate: true}
---
title: any
name: any
correlation: {type: value_sum, rules: [puts], timespan: 1h, condition: {field: cs-bytes, gte: 5e6}, generate: true}
`

// matchesOf are the matches of correlationRules' rules, worked out by hand.
func matchesOf(set *sigma.Set, events []event) (out []sigma.Occurrence) {
	rule := func(name string) int {
		return slices.IndexFunc(set.Rules, func(r *sigma.Rule) bool { return r.Name == name })
	}
	names := &Names{}
	for _, e := range events {
		add := func(name string, values map[string]string) {
			o := sigma.Occurrence{Rule: rule(name), Time: e.us, Feed: e.feed}
			for _, field := range set.Needs(o.Rule) {
				v, ok := values[field]
				if !ok {
					panic(field)
				}
				o.Values = append(o.Values, v)
			}
			out = append(out, o)
		}
		if e.copied {
			continue
		}
		text := func(c columnar.Col) string {
			switch v := e.texts[c]; {
			case c == columnar.SrcIP:
				return string(columnar.AppendAddress(nil, []byte(v)))
			case c == columnar.User && v != "" && e.texts[columnar.Account] != "" && !strings.Contains(v, `\`):
				return e.texts[columnar.Account] + "/" + names.User(v)
			case c == columnar.User:
				return names.User(v)
			default:
				return v
			}
		}
		switch {
		case e.table == columnar.HTTP && text(columnar.Method) != "GET":
			bytes := ""
			if n, ok := e.ints[columnar.BytesOut]; ok {
				bytes = fmt.Sprint(n)
			}
			add("puts", map[string]string{"c-ip": text(columnar.SrcIP), "cs-username": text(columnar.User), "cs-host": text(columnar.URLHost), "cs-bytes": bytes})
		case e.table == columnar.DNS && strings.Contains(strings.ToLower(text(columnar.Query)), "x"):
			add("asks", map[string]string{"src_ip": text(columnar.SrcIP)})
		case e.table == columnar.Network && strings.HasPrefix(text(columnar.DstIP), "198."):
			e.feed += "/network"
			add("out", map[string]string{"User": text(columnar.User), "dst_ip": text(columnar.DstIP)})
		}
	}
	return out
}

// If this fails, what a correlation finds depends on how the input was split over
// workers, files or spills, or differs from what is in its windows.
func TestCorrelationsAreExact(t *testing.T) {
	o := openBounds
	o.Rules = loadRules(t, correlationRules)
	found := map[string]int{}
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 11))
		events := randomEvents(r, 1+r.IntN(800))
		for i := range events {
			events[i].us -= events[i].us % 300e6 // so that many events have the same time
		}
		whole := RuleDay.New(&o)
		feedWith(whole, RuleDay, &o, events)
		want := merged(t, RuleDay, &o, whole)

		// Everything but the windows is computed here; package sigma tests the windows.
		byHand := map[string]int64{}
		for day := range int64(2) {
			var of []sigma.Occurrence
			for _, m := range matchesOf(o.Rules, events) {
				if int64(DayOf(m.Time)) == 20000+day {
					of = append(of, m)
				}
			}
			for _, f := range o.Rules.Correlate(of) {
				feed := f.Feed
				if feed == "" {
					feed = AllFeeds
				}
				byHand[fmt.Sprint(20000+day, o.Rules.Rules[f.Rule].Name, f.Group, feed)]++
			}
		}
		for _, row := range want {
			ref, what, _ := strings.Cut(row.Object, ruleObject)
			i := slices.IndexFunc(o.Rules.Rules, func(r *sigma.Rule) bool { return r.Ref() == ref })
			if i < 0 || o.Rules.Rules[i].Correlation == nil {
				continue
			}
			var group []string
			switch ref {
			case "sent_after", "of_many":
				group = []string{row.Entity}
			case "many_puts":
				group = []string{row.Entity, what}
			case "one_host":
				group = []string{what}
			}
			k := fmt.Sprint(int64(row.Day), ref, group, row.Feed)
			if byHand[k] == 0 {
				t.Fatalf("seed %d: got %q, which no window has", seed, k)
			}
			delete(byHand, k)
			found[ref]++
			// One event may have all the bytes that "any" asks for.
			if len(row.Examples) == 0 || row.Events < 2 && ref != "any" || row.First > row.Last || row.Evidence == "" {
				t.Errorf("seed %d: got %+v", seed, row)
			}
		}
		for k := range byHand {
			t.Errorf("seed %d: %q was not found", seed, k)
		}

		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		split := make([]Folder, 1+r.IntN(6))
		for i := range split {
			split[i] = RuleDay.New(&o)
			feedWith(split[i], RuleDay, &o, events[i*len(events)/len(split):(i+1)*len(events)/len(split)])
		}
		if diff := cmp.Diff(want, merged(t, RuleDay, &o, split...)); diff != "" {
			t.Fatalf("seed %d: split folds differ from the whole (-whole +split):\n%s", seed, diff)
		}
	}
	for _, name := range []string{"sent_after", "many_puts", "one_host", "of_many", "any"} {
		if found[name] < 5 {
			t.Errorf("%s was found %d times: this test proves little", name, found[name])
		}
	}
	t.Log(found)
}

// putsAt returns puts by one user to one host at times in µs after testDay.
func putsAt(n int, at func(i int) int64) (out []event) {
	for i := range n {
		out = append(out, event{columnar.HTTP, "f", "o", int64(i + 1), testDay + at(i),
			map[columnar.Col]string{columnar.User: "ann", columnar.SrcIP: "10.0.0.1", columnar.Method: "PUT", columnar.URLHost: "x.example", columnar.URLPath: fmt.Sprint("/", i)}, nil, false})
	}
	return out
}

// If this fails, an attacker can hide among many matches, or the finding does not say
// that some were not examined.
func TestManyMatches(t *testing.T) {
	o := openBounds
	o.Rules = loadRules(t, ruleTexts+`
---
title: few puts
name: few
correlation: {type: event_count, rules: [puts], group-by: [cs-username], timespan: 1h, condition: {lt: 0}}
`)
	for _, c := range []struct {
		name string
		n    int
		at   func(i int) int64
		want int64
	}{
		{"in one window", sigma.MaxWindow + 1, func(i int) int64 { return int64(i) * 1000 }, sigma.MaxWindow + 1},
		{"all that are examined", sigma.MaxWindow, func(i int) int64 { return int64(i) * 1000 }, 0},
		{"in many windows", 2 * sigma.MaxWindow, func(i int) int64 { return int64(i) * 90e3 }, 0},
		{"of one time", 3*maxAtOnce + 1, func(int) int64 { return 0 }, maxAtOnce},
		{"no more than are looked at of one time", maxAtOnce, func(int) int64 { return 0 }, 0},
	} {
		f := RuleDay.New(&o)
		feedWith(f, RuleDay, &o, putsAt(c.n, c.at))
		rows := merged(t, RuleDay, &o, f)
		if c.want == 0 {
			if len(rows) != 0 {
				t.Errorf("%s: got %v", c.name, rows)
			}
			continue
		}
		if len(rows) != 1 || rows[0].Events != c.want {
			t.Fatalf("%s: got %v, want a row of %d", c.name, rows, c.want)
		}
		found := Judge(sigmaRule(), &Input{Day: 20000, Series: seriesOf(rows), Rules: o.Rules})
		if len(found) != 1 || !strings.Contains(found[0].Why, "too many events to examine all") {
			t.Errorf("%s: got %+v", c.name, found)
		}
	}
}

// If this fails, a row that was delivered twice counts twice, or the row that is shown
// depends on which was read first.
func TestCopiesInCorrelations(t *testing.T) {
	o := openBounds
	o.Rules = loadRules(t, ruleTexts+`
---
title: two puts
name: two
correlation: {type: event_count, rules: [puts], group-by: [cs-username], timespan: 1h, condition: {gte: 2}}
`)
	fold := func(events ...event) string {
		f := RuleDay.New(&o)
		feedWith(f, RuleDay, &o, events)
		out := ""
		for _, r := range merged(t, RuleDay, &o, f) {
			out += fmt.Sprintln(r.Object, r.Events, r.Evidence, r.Examples)
		}
		return out
	}
	puts := putsAt(3, func(i int) int64 { return int64(i) })
	first, second, copied := puts[0], puts[1], puts[1]
	copied.record, copied.copied = 3, true
	if got := fold(puts[0], copied); got != "" {
		t.Errorf("got %s of a put and a copy", got)
	}
	want := "two: within 1h 2 o:2 [PUT x.example/0 PUT x.example/1]\n"
	if got := fold(first, second, copied); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	second.copied, copied.copied = true, false
	if got := fold(first, second, copied); got != want {
		t.Errorf("the other is the copy: got %s, want %s", got, want)
	}
}
