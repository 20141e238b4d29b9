package detect

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"outflow/columnar"
)

// slowPlaces returns the places of events by the book: sorted, each time and count of
// bytes once, the first five. They are those with least bytes or more, and the first.
func slowPlaces(events []event, c columnar.Col, least int64) (texts []string) {
	slices.SortFunc(events, func(a, b event) int {
		return cmp.Or(cmp.Compare(b.ints[c], a.ints[c]), cmp.Compare(a.us, b.us), strings.Compare(a.object, b.object), cmp.Compare(a.record, b.record))
	})
	events = slices.CompactFunc(slices.Clone(events), func(a, b event) bool { return a.us == b.us && a.ints[c] == b.ints[c] })
	for i, e := range events[:min(len(events), 5)] {
		if i == 0 || e.ints[c] >= least {
			texts = append(texts, Place{e.us, e.ints[c], fmt.Sprintf("%s:%d", e.object, e.record), e.texts[columnar.Host], e.texts[columnar.ParentPath], e.ints[columnar.PID]}.String())
		}
	}
	if len(texts) == 1 && !strings.Contains(texts[0], "\t") {
		return nil // Evidence says it
	}
	return texts
}

// If this fails, the records that a finding shows are not those with the most bytes, or
// depend on how the input was split.
func TestPlaces(t *testing.T) {
	kept := map[int]int{} // rows by their number of places
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 5))
		var events []event
		for i := range 1 + r.IntN(40) {
			e := event{columnar.HTTP, "f", fmt.Sprintf("%c.log", 'a'+rune(r.IntN(3))), int64(i), testDay + r.Int64N(4)*1e6,
				map[columnar.Col]string{columnar.User: fmt.Sprintf("u%d", r.IntN(2)), columnar.Method: "PUT", columnar.URLHost: "example.com"},
				map[columnar.Col]int64{columnar.BytesOut: []int64{0, 1, 16<<10 - 1, 16 << 10, 16<<10 + 1, 900e3, 9e6, 9e6 + 1, 99e6}[r.IntN(9)]}, false}
			events = append(events, e)
			if r.IntN(4) == 0 { // delivered twice
				e.object, e.record, e.copied = "copy.log", int64(i), true
				events = append(events, e)
			}
		}
		of, sums := map[string][]event{}, map[string]int64{}
		for _, e := range events {
			user, n := e.texts[columnar.User], e.ints[columnar.BytesOut]
			if n > 0 {
				of[user] = append(of[user], e)
			}
			if !e.copied {
				sums[user] += n
			}
		}
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		for _, a := range []*Aggregate{UserDay, UserDestinationDay} {
			folders := make([]Folder, 1+r.IntN(4))
			for i := range folders {
				folders[i] = a.New(&openBounds)
				feedTo(folders[i], a, events[i*len(events)/len(folders):(i+1)*len(events)/len(folders)])
			}
			for _, row := range merged(t, a, &openBounds, folders...) {
				var want []string
				if a == UserDay && sums[row.Entity] >= 100e6 || row.Object != "" && sums[row.Entity] >= 10e6 {
					want = slowPlaces(of[row.Entity], columnar.BytesOut, 16<<10)
				}
				if diff := gocmp.Diff(want, row.Places); diff != "" {
					t.Fatalf("seed %d, %s of %q, %d folders (-want +got):\n%s", seed, a.Name, row.Object, len(folders), diff)
				}
				if len(want) > 0 && parsePlace(want[0]) != (Place{Time: row.PeakTime, Bytes: row.PeakOut, At: row.Evidence}) {
					t.Fatalf("seed %d: the first place is %s, the evidence %s", seed, want[0], row.Evidence)
				}
				kept[len(want)]++
			}
		}
	}
	for n := range 6 { // 10 MB take at least two rows
		if n != 1 && kept[n] == 0 {
			t.Errorf("no row had %d places", n)
		}
	}
}

// If this fails, a place that was written is read as another one, or a text that is none
// stops a report.
func TestParsePlace(t *testing.T) {
	for _, p := range []Place{{testDay, 0, "a b.log:7", "", "", 0}, {testDay + 1, 1 << 62, "s3://b/k:1", "pc1", "/bin/sh -c", 44}, {0, 5, "", "", "", 1}, {0, 5, "a\tb\tc\td\te:5", "", "", 0}} {
		if got := parsePlace(p.String()); got != p {
			t.Errorf("got %+v, want %+v", got, p)
		}
	}
	for _, text := range []string{"", "x", "1", "1 2026-11-20T00:00:00Z", "1 x y", "x 2026-11-20T00:00:00.000000Z y"} {
		if got := parsePlace(text); got != (Place{}) {
			t.Errorf("%q: got %+v, want the zero Place", text, got)
		}
	}
}

// If this fails, a finding of a rule does not say on which machine the process ran, what
// started it, or where its records are.
func TestRuleProcess(t *testing.T) {
	o := openBounds
	o.Rules = loadRules(t, `
title: tool
name: tool
logsource: {category: process_creation}
detection: {s: {CommandLine|contains: copy}, condition: s}
`)
	var events []event
	for i := range int64(7) {
		events = append(events, event{columnar.Process, "f", "o", i + 1, testDay + (7-i)*60e6, map[columnar.Col]string{
			columnar.User: "ann", columnar.Host: fmt.Sprintf("PC%d", i), columnar.Path: "/bin/tool", columnar.CmdLine: "tool copy", columnar.ParentPath: fmt.Sprintf("/bin/sh%d", i),
		}, map[columnar.Col]int64{columnar.PID: 40 + i}, false})
	}
	f := RuleDay.New(&o)
	feedWith(f, RuleDay, &o, events)
	rows := merged(t, RuleDay, &o, f)
	if len(rows) != 1 {
		t.Fatalf("got %d rows, want one", len(rows))
	}
	r := &rows[0]
	if got, want := r.Records()[0], (Place{testDay + 60e6, 0, "o:7", "PC6", "/bin/sh6", 46}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if diff := gocmp.Diff(slowPlaces(events, columnar.BytesOut, 0), r.Places); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
