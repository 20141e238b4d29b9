package detect

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"outflow/columnar"
)

// If this fails, a finding of DNS shows other records than those of its longest names, or
// they depend on how the input was split, or on lines of other kinds between the queries.
func TestDNSPlaces(t *testing.T) {
	kept := map[int]int{} // rows by their number of places
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 6))
		var events []event
		record := map[string]int64{}
		long := r.IntN(3) > 0
		for range 1 + r.IntN(600) {
			object := fmt.Sprintf("%c.log", 'a'+rune(r.IntN(3)))
			record[object] += 1 + r.Int64N(5)/4
			size := 8
			if long {
				size += r.IntN(30)
			}
			if r.IntN(200) == 0 { // longer than names are, but than logs may say
				size += maxSize + r.IntN(3)
			}
			sub := strings.Repeat(string(rune('a'+r.IntN(26))), size)
			events = append(events, event{table: columnar.DNS, feed: "f", object: object, record: record[object], us: testDay + r.Int64N(50)*1e6,
				texts: map[columnar.Col]string{columnar.SrcIP: "10.0.0.1", columnar.Query: sub + ".example.com", columnar.Domain: "example.com"},
				ints:  map[columnar.Col]int64{columnar.BytesOut: int64(size)}})
		}
		var shown []event
		for _, e := range events {
			if size := int(e.ints[columnar.BytesOut]); proves(size, uint64(e.us-testDay)) {
				shown = append(shown, e)
			}
		}
		want := slowPlaces(shown, columnar.BytesOut, 0)
		slices.SortStableFunc(events, func(a, b event) int { return strings.Compare(a.object, b.object) })
		if r.IntN(2) == 0 {
			r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		}
		runs := make([]io.Reader, 1+r.IntN(4))
		folder := DNSPair.New(&openBounds)
		for i := range runs { // the table is used again, with its names or without
			feedTo(folder, DNSPair, events[i*len(events)/len(runs):(i+1)*len(events)/len(runs)])
			runs[i] = drained(t, folder)
			if r.IntN(2) == 0 {
				folder = folder.(Renewer).Renew()
			}
		}
		row := mergedRuns(t, DNSPair, &openBounds, runs)[0]
		if !row.mayTunnel() {
			want = nil
		}
		if diff := gocmp.Diff(want, row.Places); diff != "" {
			t.Fatalf("seed %d, %d queries, %d runs (-want +got):\n%s", seed, len(events), len(runs), diff)
		}
		if at := row.Records(); len(want) > 0 && at[0].At != row.Evidence {
			t.Fatalf("seed %d: the first place is %v, the evidence %s", seed, at[0], row.Evidence)
		}
		kept[len(want)]++
	}
	for _, n := range []int{0, 5} {
		if kept[n] == 0 {
			t.Errorf("no row had %d places: %v", n, kept)
		}
	}
}

// If this fails, a beacon shows one record only, or others than those with the most bytes.
func TestPairPlaces(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 7))
		var events []event
		for i := range int64(30) {
			events = append(events, event{table: columnar.HTTP, feed: "f", object: fmt.Sprintf("%c.log", 'a'+rune(r.IntN(3))), record: i, us: testDay + i*600e6,
				texts: map[columnar.Col]string{columnar.SrcIP: "10.0.0.1", columnar.URLHost: "c2.example.com"},
				ints:  map[columnar.Col]int64{columnar.BytesOut: 200 + r.Int64N(4)}})
		}
		want := slowPlaces(slices.Clone(events), columnar.BytesOut, 0)
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		folders := make([]Folder, 1+r.IntN(4))
		for i := range folders {
			folders[i] = PairTimes.New(&openBounds)
			feedTo(folders[i], PairTimes, events[i*len(events)/len(folders):(i+1)*len(events)/len(folders)])
		}
		rows := merged(t, PairTimes, &openBounds, folders...)
		if len(rows) != 1 || len(want) != 5 {
			t.Fatalf("seed %d: got %d rows and want %d places, want 1 and 5", seed, len(rows), len(want))
		}
		if diff := gocmp.Diff(want, rows[0].Places); diff != "" {
			t.Fatalf("seed %d, %d folders (-want +got):\n%s", seed, len(folders), diff)
		}
	}
}
