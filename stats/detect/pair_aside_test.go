package detect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar"
)

// pairEvents are events of clocks, which talk up to 60 times a day, among many pairs that
// talk once or twice.
func pairEvents(r *rand.Rand) []event {
	var events []event
	add := func(day int64, entity, host string, second float64) {
		e := event{table: columnar.HTTP, feed: fmt.Sprintf("f%d", r.IntN(2)), object: fmt.Sprintf("o%d", r.IntN(3)), record: r.Int64N(1e6),
			us:    testDay + day*dayMicros + int64(1e6*second),
			texts: map[columnar.Col]string{columnar.User: entity, columnar.URLHost: host}, ints: map[columnar.Col]int64{}}
		if r.IntN(3) > 0 {
			e.ints[columnar.BytesOut] = r.Int64N(1e10)
		}
		if r.IntN(3) > 0 {
			e.ints[columnar.BytesIn] = r.Int64N(1e4)
		}
		if r.IntN(5) == 0 {
			e.texts[columnar.Action] = "TCP_DENIED/403"
		}
		if r.IntN(5) == 0 {
			e.ints[columnar.Duration] = r.Int64N(3e7)
		}
		events = append(events, e)
	}
	for clock := range 8 {
		period := 86400 / float64(3+r.IntN(58))
		for day := range int64(2) {
			for second := r.Float64() * period; second < 86400; second += period * (.9 + .2*r.Float64()) {
				// Two spellings are one entity.
				add(day, []string{"anna", "Anna"}[r.IntN(2)], fmt.Sprintf("d%d.example.com", clock), second)
			}
		}
	}
	for pair := range 400 {
		for range 1 + r.IntN(2) {
			add(r.Int64N(2), "bert", fmt.Sprintf("seldom%d.example.com", pair), 86400*r.Float64())
		}
	}
	r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	return events
}

// If this fails, what pairs get depends on when rows were set aside, on how tables were
// sifted and drained, or pairs that talk once or twice are not left out.
func TestPairTimesSiftIsExact(t *testing.T) {
	again := false
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 41))
		events := pairEvents(r)
		fold := func(f Folder, events []event) { feedTo(f, PairTimes, events) }
		whole := newPairTimes(&openBounds)
		fold(whole, events)
		want := merged(t, PairTimes, &openBounds, whole)
		if len(want) < 10 {
			t.Fatalf("seed %d: %d rows", seed, len(want))
		}

		var weights Weights
		var tables []*pairTimes
		var runs []io.Reader
		workers := 1 + r.IntN(4)
		for i := range workers {
			f := newPairTimes(&openBounds)
			if r.IntN(3) > 0 {
				f.Defer(&memorySpool{}, []int{1, 20e3, 1e6}[r.IntN(3)])
			}
			for mine := events[i*len(events)/workers : (i+1)*len(events)/workers]; len(mine) > 0; {
				n := min(len(mine), 1+r.IntN(400))
				fold(f, mine[:n])
				if mine = mine[n:]; r.IntN(4) == 0 { // its memory is used up
					f.Weigh(&weights)
					runs = append(runs, drained(t, f))
					f.forget()
				}
			}
			f.Weigh(&weights)
			tables = append(tables, f)
		}
		pairs := 0
		for _, f := range tables {
			for more := true; more; {
				var err error
				if more, err = f.Sift(&weights); err != nil {
					t.Fatal(err)
				}
				again = again || more
				for _, p := range f.sections.all {
					pairs += p.groups.Len() - 1
				}
				runs = append(runs, drained(t, f))
			}
		}
		if diff := cmp.Diff(want, mergedRuns(t, PairTimes, &openBounds, runs)); diff != "" {
			t.Fatalf("seed %d: -whole +sifted:\n%s", seed, diff)
		}
		// 8 clocks on 2 days in 2 feeds with 2 spellings, and some that share a cell.
		if limit := 64*workers + 40; pairs > limit && len(runs) == len(tables) {
			t.Errorf("seed %d: %d pairs are left of %d workers, want under %d", seed, pairs, workers, limit)
		}
	}
	if !again {
		t.Error("no table filled up while it was sifted")
	}
}

// If this fails, what pairs get depends on how their rows are divided between tasks, a task
// gives other bytes each time, or tasks sort pairs that talk once or twice.
func TestPairTimesOfTasks(t *testing.T) {
	o := openBounds
	o.Seed = 17
	const shards = 3
	full, left := false, 0
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 43))
		events := pairEvents(r)
		whole := newPairTimes(&o)
		feedTo(whole, PairTimes, events)
		want := merged(t, PairTimes, &o, whole)

		// sifted returns the runs of a table that was filled, by shard.
		sifted := func(f *pairTimes, n int) (runs [shards][][]byte) {
			var weights Weights
			f.Weigh(&weights)
			for more := true; more; {
				var err error
				if more, err = f.Sift(&weights); err != nil {
					t.Fatal(err)
				}
				full = full || more
				for _, p := range f.sections.all {
					left += p.groups.Len() - 1
				}
				bufs := make([]bytes.Buffer, n)
				var to []io.Writer
				for k := range bufs {
					to = append(to, &bufs[k])
				}
				w := NewRunWriter(o.Seed, to...)
				if f.Drain(w); w.Close() != nil {
					t.Fatal(w.Close())
				}
				for k := range bufs {
					runs[k] = append(runs[k], bufs[k].Bytes())
				}
			}
			return runs
		}
		memory := []int{1, 20e3, 1e6}[r.IntN(3)]
		task := func(events []event) (runs [shards][][]byte, sent [shards]bytes.Buffer) {
			f := newPairTimes(&o)
			f.Defer(&memorySpool{}, memory, &sent[0], &sent[1], &sent[2])
			feedTo(f, PairTimes, events)
			left = 0
			return sifted(f, shards), sent
		}
		tasks := 1 + r.IntN(5)
		var runs [shards][]io.Reader
		var sent [shards][]byte
		for i := range tasks {
			mine := events[i*len(events)/tasks : (i+1)*len(events)/tasks]
			out, more := task(mine)
			// 8 clocks on 2 days in 2 feeds with 2 spellings, and some that share a cell.
			if left > 64+40 && memory == 1e6 {
				t.Errorf("seed %d: a task has %d pairs in its table", seed, left)
			}
			again, moreAgain := task(mine)
			if !reflect.DeepEqual(out, again) {
				t.Errorf("seed %d: the same task gave other runs", seed)
			}
			for k := range shards {
				if !bytes.Equal(more[k].Bytes(), moreAgain[k].Bytes()) {
					t.Errorf("seed %d: the same task sent other rows", seed)
				}
				for _, run := range out[k] {
					runs[k] = append(runs[k], bytes.NewReader(run))
				}
				sent[k] = append(sent[k], more[k].Bytes()...)
			}
		}
		var got []Row
		for k := range shards {
			f := newPairTimes(&o)
			if err := f.Take(func() io.Reader { return bytes.NewReader(sent[k]) }, memory); err != nil {
				t.Fatal(err)
			}
			for _, run := range sifted(f, 1)[0] {
				runs[k] = append(runs[k], bytes.NewReader(run))
			}
			got = append(got, mergedRuns(t, PairTimes, &o, runs[k])...)
		}
		slices.SortFunc(got, func(a, b Row) int {
			if a.Day != b.Day {
				return int(a.Day - b.Day)
			}
			return a.Key.Compare(b.Key)
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d: %d tasks: -whole +merged:\n%s", seed, tasks, diff)
		}
	}
	if !full {
		t.Error("no table filled up while it was sifted")
	}
}

// If this fails, a sum of counts is lower than the rows, so that pairs are lost.
func TestPairCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const cells = 100 // neighbours in a few words
	hash := func(cell int) uint64 { return uint64(cell)<<(64-pairCellBits) | r.Uint64()>>pairCellBits }
	var sum pairCounts
	var rows [cells]int
	for range 3 {
		var c pairCounts
		c.reserve()
		for range 60 {
			cell := r.IntN(cells)
			rows[cell]++
			c.add(hash(cell))
		}
		sum.take(&c)
		if c.has(hash(r.IntN(cells))) {
			t.Error("counts that were taken are still there")
		}
	}
	for cell, n := range rows {
		if got, want := sum.has(hash(cell)), n >= minBeats; got != want {
			t.Errorf("cell %d with %d rows has enough: got %v, want %v", cell, n, got, want)
		}
	}
}

// A brokenSpool can neither be written nor read.
type brokenSpool struct{ memorySpool }

func (*brokenSpool) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// If this fails, rows that could not be kept are lost in silence.
func TestPairTimesSpoolFails(t *testing.T) {
	f := newPairTimes(&openBounds)
	f.Defer(&brokenSpool{}, 1e6)
	feedTo(f, PairTimes, pairEvents(rand.New(rand.NewPCG(1, 1))))
	var weights Weights
	f.Weigh(&weights)
	if _, err := f.Sift(&weights); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got error %v, want disk full", err)
	}
}
