package detect

import (
	stdcmp "cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"outflow/columnar"
	"outflow/stats/dnsmodel"
)

// scored scores the events of one client and domain with the model's package alone. It
// goes in the order of time and scores each name when it is first queried, after all
// earlier queries.
func scored(events []event) (scores map[string]int64, order []string) {
	type query struct {
		us   int64
		name string
		rare bool
		nx   bool
	}
	var queries []query
	for _, e := range events {
		name, _ := strings.CutSuffix(strings.ToLower(e.texts[columnar.Query]), ".example.com")
		queries = append(queries, query{e.us, name, e.texts[columnar.QueryType] == "TXT", e.texts[columnar.Rcode] == "NXDOMAIN"})
	}
	flags := func(q query) (n int) {
		if q.rare {
			n = rareQuery
		}
		if q.nx {
			n += nxQuery
		}
		return n
	}
	slices.SortFunc(queries, func(a, b query) int {
		return stdcmp.Or(stdcmp.Compare(a.us, b.us), stdcmp.Compare(orderOf([]byte(a.name)), orderOf([]byte(b.name))), stdcmp.Compare(flags(a), flags(b)))
	})
	var x dnsmodel.Extractor
	var h dnsmodel.History
	scores = map[string]int64{}
	for _, q := range queries {
		f := x.Of([]byte(q.name))
		if _, ok := scores[q.name]; !ok {
			scores[q.name] = int64(math.Round(h.Score(f, q.us, q.rare) * 1e6))
			order = append(order, q.name)
		}
		h.Add(f, q.us, q.rare, q.nx)
	}
	return scores, order
}

// namedEvents returns n queries for names, some made of words and some of data.
func namedEvents(r *rand.Rand, n int) []event {
	events := make([]event, n)
	for i := range events {
		sub := []string{"www", "mail", "cdn-eu.static", "api", "login"}[r.IntN(5)]
		if r.IntN(3) == 0 {
			var b strings.Builder
			for range 8 + r.IntN(40) {
				b.WriteByte("abcdefghijklmnopqrstuvwxyz234567"[r.IntN(32)])
			}
			sub = b.String()
		}
		us := testDay + r.Int64N(3600e6)
		if r.IntN(2) == 0 {
			us -= us % 60e6
		}
		qtype, rcode := []string{"A", "AAAA", "TXT"}[r.IntN(3)], []string{"NOERROR", "NXDOMAIN"}[r.IntN(2)]
		events[i] = event{table: columnar.DNS, feed: "f", object: "o", record: int64(i + 1), us: us, texts: map[columnar.Col]string{
			columnar.SrcIP: "10.0.0.1", columnar.Query: sub + ".example.com", columnar.Domain: "example.com", columnar.QueryType: qtype, columnar.Rcode: rcode}}
	}
	return events
}

// If this fails, scores are not those of the model: they depend on what comes later,
// on how the input is split, or on when a pair is found worth scoring.
func TestDNSScores(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 60 {
		events := namedEvents(r, 1+r.IntN(300))
		want, order := scored(events)
		o := openBounds
		o.Model = &ModelOptions{Threshold: 0.5, Names: r.IntN(8), Bytes: r.IntN(300)}
		fold := func(a *Aggregate) []Row {
			r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			var folders []Folder
			for part := range slices.Chunk(events, 1+len(events)/3) {
				folders = append(folders, a.New(&o))
				feedTo(folders[len(folders)-1], a, part)
			}
			return merged(t, a, &o, folders...)
		}
		var sum Summary
		for _, name := range order {
			sum.Scored++
			if p := want[name]; p > 500_000 {
				sum.Over, sum.OverBytes, sum.OverScore = sum.Over+1, sum.OverBytes+int64(len(name)), sum.OverScore+p
			}
			if want[name] > sum.MaxScore {
				sum.MaxScore, sum.Likely = want[name], name+".example.com"
			}
		}
		got := fold(DNSPair)
		if len(got) != 1 {
			t.Fatalf("got %d pairs, want 1", len(got))
		}
		s := got[0].Summary
		if s.Names < int64(o.Model.Names) || s.NameBytes < int64(o.Model.Bytes) {
			sum = Summary{}
		}
		if sum.Over == 0 {
			sum.Likely = ""
		}
		if s.Scored != sum.Scored || s.Over != sum.Over || s.OverBytes != sum.OverBytes || s.OverScore != sum.OverScore || s.MaxScore != sum.MaxScore || s.Likely != sum.Likely {
			t.Fatalf("%+v of %d names: got %d scored, %d over with %d B and %d in all, at most %d (%s), want %+v",
				*o.Model, s.Names, s.Scored, s.Over, s.OverBytes, s.OverScore, s.MaxScore, s.Likely, sum)
		}
		rows := fold(DNSScore)
		if len(rows) != len(want) {
			t.Fatalf("got %d names, want %d", len(rows), len(want))
		}
		for i, row := range rows {
			name, _ := strings.CutSuffix(row.Examples[0], ".example.com")
			if row.MaxScore != want[name] || i > 0 && row.Examples[0] <= rows[i-1].Examples[0] {
				t.Fatalf("row %d, %s: got %d, want %d", i, name, row.MaxScore, want[name])
			}
		}
	}
}

// If this fails, a pair with more names than are scored fills the memory, or the
// choice of the scored names depends on how the input is divided.
func TestDNSScoresFull(t *testing.T) {
	const most = 40
	r := rand.New(rand.NewPCG(5, 5))
	for range 20 {
		events := namedEvents(r, 400)
		want, order := scored(events)
		order = order[:most]
		highest := int64(0)
		for _, name := range order {
			highest = max(highest, want[name])
		}
		asked := map[string]int64{}
		for _, e := range events {
			asked[strings.ToLower(e.texts[columnar.Query])]++
		}
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		for _, a := range []*Aggregate{DNSPair, DNSScore} {
			var scorer *dnsScorer
			limited := *a
			limited.Merger = func(o *FoldOptions) Merger {
				m := a.Merger(o).(*dnsMerger)
				scorer, m.scorer.most = m.scorer, most
				return m
			}
			var folders []Folder
			for part := range slices.Chunk(events, 1+r.IntN(len(events))) {
				folders = append(folders, a.New(&openBounds))
				feedTo(folders[len(folders)-1], a, part)
			}
			rows := merged(t, &limited, &openBounds, folders...)
			if a == DNSPair {
				if s := rows[0].Summary; s.Scored != most || s.Names != int64(len(want)) || s.MaxScore != highest {
					t.Fatalf("got %d scored of %d, at most %d, want %d of %d, at most %d", s.Scored, s.Names, s.MaxScore, most, len(want), highest)
				}
				continue
			}
			if len(rows) != most {
				t.Fatalf("got %d rows, want %d", len(rows), most)
			}
			for _, row := range rows {
				name, _ := strings.CutSuffix(row.Examples[0], ".example.com")
				if !slices.Contains(order, name) || row.MaxScore != want[name] || row.Events != asked[row.Examples[0]] {
					t.Fatalf("%s: got %d of %d queries, want %d of %d, if it is one of the first", name, row.MaxScore, row.Events, want[name], asked[row.Examples[0]])
				}
			}
			if scorer.full || len(scorer.names) > 0 {
				t.Error("the scorer is not ready for another pair")
			}
		}
	}
}

// If this fails, a finding presents the scored names as all names.
func TestDNSModelSaysWhatItScored(t *testing.T) {
	row := tunnelRow("quill.example")
	for _, c := range []struct {
		names int64
		want  string
	}{{900, "of 900 distinct names"}, {5000, "of the first 900 distinct names"}} {
		row.Names = c.names
		found := Judge(dnsModel(), &Input{Day: 10, Series: seriesOf([]Row{row})})
		if len(found) != 1 || !strings.Contains(found[0].Why, c.want) {
			t.Errorf("%d names: got %v, want one finding with %q", c.names, found, c.want)
		}
	}
}

// If this fails, a tunnel's record type is not known by the name that a log gives it.
func TestRareType(t *testing.T) {
	for name, want := range map[string]bool{"A": false, "AAAA": false, "HTTPS": false, "TYPE64": false, "": false,
		"TXT": true, "NULL": true, "TYPE65399": true, "query-65399": true} {
		if got := rareType([]byte(name)); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}

// If this fails, a history remembers more than is kept for it.
func TestHistoryQueries(t *testing.T) {
	var h dnsmodel.History
	for range 99 {
		h.Add(dnsmodel.Features{}, 0, false, false)
	}
	if h.Len() != historyQueries {
		t.Errorf("got %d queries, want %d", h.Len(), historyQueries)
	}
}

// If this fails, texts of a busy pair fill the memory, or texts that are still needed
// are forgotten.
func TestDNSScoresForget(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	var events []event
	for i := range 30_000 {
		events = append(events, event{table: columnar.DNS, feed: "f", object: "o", record: int64(i + 1), us: testDay + int64(i)*1e6,
			texts: map[columnar.Col]string{columnar.SrcIP: "10.0.0.1", columnar.Domain: "example.com",
				columnar.Query: fmt.Sprintf("%032x%032x.example.com", r.Uint64(), r.Uint64())}})
	}
	f := DNSPair.New(&openBounds)
	feedTo(f, DNSPair, events)
	var m *dnsMerger
	a := *DNSPair
	a.Merger = func(o *FoldOptions) Merger {
		m = newDNSMerger(o.Model, false)
		return m
	}
	rows := merged(t, &a, &openBounds, f)
	if len(rows) != 1 || rows[0].Scored != 30_000 || rows[0].Likely == "" {
		t.Fatalf("got %+v, want 30,000 names scored", rows)
	}
	if n := cap(m.scorer.texts) + cap(m.scorer.spare); n > 1<<20 {
		t.Errorf("%d B of texts at the end, of 1.9 MB in all", n)
	}
	scores, _ := scored(events)
	name, _ := strings.CutSuffix(rows[0].Likely, ".example.com")
	if scores[name] != rows[0].MaxScore || scores[name] != slices.Max(slices.Collect(maps.Values(scores))) {
		t.Errorf("the likeliest is %s with %d, want %d", name, rows[0].MaxScore, scores[name])
	}
}
