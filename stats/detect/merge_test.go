package detect

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"outflow/columnar"
)

// If this fails, records of several runs are not merged in the order of key and sequence
// number, or a record with the key of the record before is not recognised.
func TestMergeOrder(t *testing.T) {
	type record struct {
		key string
		seq uint64
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var want []record
		readers := make([]*runReader, 1+r.IntN(9))
		for i := range readers {
			var records []record
			for range r.IntN(12) {
				key := make([]byte, r.IntN(4))
				for i := range key {
					key[i] = []byte{0, 1, 'a', 0xff}[r.IntN(4)]
				}
				records = append(records, record{string(key), uint64(r.IntN(5))})
			}
			compare := func(a, b record) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.seq, b.seq)) }
			slices.SortFunc(records, compare)
			var run bytes.Buffer
			w := NewRunWriter(1, &run)
			for _, rec := range records {
				w.record([]byte(rec.key), rec.seq, nil)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			readers[i] = newRunReader(&run, 16)
			want = append(want, records...)
			slices.SortFunc(want, compare)
		}
		tree := NewLoserTree(len(readers), func(i, j int) bool { return readers[i].before(readers[j]) })
		play := func(i int) {
			if err := readers[i].next(); err != nil {
				t.Fatal(err)
			}
			tree.Play(i)
		}
		for i := range readers {
			play(i)
		}
		var got []record
		for {
			first := readers[tree.Winner()]
			if first.rank == runEnd {
				break
			}
			rec := record{string(first.key), first.seq}
			if n := len(got); n > 0 && first.repeats() != (got[n-1].key == rec.key) {
				t.Fatalf("%q after %q: repeats is %v", rec.key, got[n-1].key, first.repeats())
			}
			got = append(got, rec)
			play(tree.Winner())
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

// BenchmarkMerge merges runs of 100,000 events altogether, of 5,000 users.
func BenchmarkMerge(b *testing.B) {
	o := openBounds
	o.Model = nil
	const count = 100_000
	for _, a := range []*Aggregate{UserDay, UserDestinationDay, DNSPair} {
		table := a.Tables[0]
		if table == columnar.API {
			table = columnar.HTTP
		}
		for _, n := range []int{1, 2, 8, 64} {
			b.Run(fmt.Sprintf("aggregate=%s/runs=%d", a.Name, n), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, 2))
				runs := make([][]byte, n)
				for i := range runs {
					events := make([]event, count/n)
					for i := range events {
						domain := fmt.Sprintf("example%d.com", r.IntN(300))
						events[i] = event{table, "f", "o", int64(i + 1), testDay + int64(i)*100e3, map[columnar.Col]string{
							columnar.User: fmt.Sprintf("user%d", r.IntN(5000)), columnar.Method: "PUT", columnar.URLHost: domain,
							columnar.Domain: domain, columnar.Query: fmt.Sprintf("www%d.%s", r.IntN(20), domain), columnar.QueryType: "A",
						}, map[columnar.Col]int64{columnar.BytesOut: 1e6 + r.Int64N(1e6)}, false}
					}
					f := a.New(&o)
					feedWith(f, a, &o, events)
					var run bytes.Buffer
					w := NewRunWriter(1, &run)
					f.Drain(w)
					if err := w.Close(); err != nil {
						b.Fatal(err)
					}
					runs[i] = run.Bytes()
				}
				rows := 0
				for b.Loop() {
					readers := make([]io.Reader, n)
					for i, run := range runs {
						readers[i] = bytes.NewReader(run)
					}
					rows = 0
					for _, err := range Merge(a, &o, readers, nil) {
						if err != nil {
							b.Fatal(err)
						}
						rows++
					}
				}
				if rows < 1000 {
					b.Fatalf("got %d rows: this measures nothing", rows)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/count, "ns/event")
			})
		}
	}
}
