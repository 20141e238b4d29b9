package detect

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar"
)

// manyNames returns queries of two clients in one day. Half of the names are asked for
// again, most of them hours later.
func manyNames(n int) []event {
	r := rand.New(rand.NewPCG(8, 8))
	events := make([]event, n)
	for i := range events {
		name := fmt.Sprintf("%s%d.example.com", strings.Repeat("n", r.IntN(9)), r.IntN(n/4))
		events[i] = event{table: columnar.DNS, feed: "f", object: "o", record: int64(i + 1), us: testDay + int64(i)*86400e6/int64(n),
			texts: map[columnar.Col]string{columnar.SrcIP: fmt.Sprintf("10.0.0.%d", 1+i%2), columnar.Query: name, columnar.Domain: "example.com"}}
	}
	return events
}

// mergeAside merges the events, folded 100 at a time, and keeps most names at once.
func mergeAside(a *Aggregate, o *FoldOptions, events []event, most int, spool Spool) (rows []Row, err error) {
	limited := *a
	limited.Merger = func(o *FoldOptions) Merger {
		m := a.Merger(o).(*dnsMerger)
		m.most, m.hold = most, most
		if m.scorer != nil {
			m.scorer.most = 30
		}
		return m
	}
	var readers []io.Reader
	for part := range slices.Chunk(events, 100) {
		f := a.New(o)
		feedWith(f, a, o, part)
		var run strings.Builder
		w := NewRunWriter(1, &run)
		f.Drain(w)
		if err := w.Close(); err != nil {
			return nil, err
		}
		readers = append(readers, strings.NewReader(run.String()))
	}
	for row, err := range Merge(&limited, o, readers, spool) {
		if err != nil {
			return rows, err
		}
		rows = append(rows, *row)
	}
	return rows, nil
}

// If this fails, names of a pair that are set aside are counted twice or not at all, or
// what is set aside depends on the size of the memory.
func TestNamesAside(t *testing.T) {
	events := manyNames(4000)
	unscored := openBounds
	unscored.Model = nil
	for _, c := range []struct {
		name      string
		aggregate *Aggregate
		o         *FoldOptions
		aside     bool
	}{
		{"scored", DNSPair, &openBounds, true},
		{"unscored", DNSPair, &unscored, true},
		{"rows of names", DNSScore, &openBounds, false},
	} {
		want, err := mergeAside(c.aggregate, c.o, events, heldNames, nil)
		if err != nil || len(want) < 2 {
			t.Fatalf("%s: got %d rows and %v, want those of two pairs", c.name, len(want), err)
		}
		spool := &memorySpool{}
		got, err := mergeAside(c.aggregate, c.o, events, 50, spool)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -all held +some aside:\n%s", c.name, diff)
		}
		if aside := spool.Size() > 0; aside != c.aside {
			t.Errorf("%s: set aside %d B, want some: %v", c.name, spool.Size(), c.aside)
		}
	}
}

// A fullSpool has no room.
type fullSpool struct{ memorySpool }

var errFullSpool = errors.New("no room")

func (*fullSpool) Write([]byte) (int, error) { return 0, errFullSpool }

// If this fails, a full disk gives a row with too few names.
func TestNamesAsideFail(t *testing.T) {
	if rows, err := mergeAside(DNSPair, &openBounds, manyNames(4000), 50, &fullSpool{}); !errors.Is(err, errFullSpool) || len(rows) > 0 {
		t.Errorf("got %d rows and %v, want none and %v", len(rows), err, errFullSpool)
	}
}
