package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar/logs"
	"outflow/stats/detect"
)

// proxyLogs returns logs of uploads by 20 users to 300 sites and a known cloud
// service. Few pairs get 1 MB, and all of those in many small uploads.
func proxyLogs(n, lines int) []source {
	r := rand.New(rand.NewPCG(3, 4))
	sources := make([]source, n)
	for i := range sources {
		var b strings.Builder
		for range lines {
			user, site := r.IntN(20), r.IntN(300)
			host, sent := fmt.Sprintf("www.site%d.example", site), r.IntN(3000)
			switch {
			case r.IntN(10) == 0:
				host, sent = fmt.Sprintf("site%d.example", user), 10e3+r.IntN(20e3)
			case r.IntN(100) == 0:
				host = "content.dropboxapi.com"
			}
			fmt.Fprintf(&b, `{"_path":"http","ts":%d.%06d,"id.orig_h":"10.0.0.%d","method":"POST","host":"%s","uri":"/","request_body_len":%d}`+"\n",
				1772323200+r.IntN(2*86400), r.IntN(1e6), user, host, sent)
		}
		text := b.String()
		sources[i].object = logs.Object{Name: fmt.Sprintf("log-%d", i), Size: int64(len(text)),
			Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
	}
	return sources
}

// foldedRows returns the rows of all aggregates, in their order.
func foldedRows(t *testing.T, f *folded, aggregates []*detect.Aggregate) []detect.Row {
	t.Helper()
	var out []detect.Row
	for _, a := range aggregates {
		for row, err := range f.Rows(a) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, *row)
		}
	}
	return out
}

// If this fails, the result of folding depends on the number of workers or on how much
// of it fits into memory.
func TestFoldAnyWorkersAndMemory(t *testing.T) {
	aggregates := []*detect.Aggregate{detect.UserDay, detect.UserDestinationDay}
	sources := proxyLogs(40, 500)
	fold := func(workers int, memory int64) []detect.Row {
		o := &foldOptions{aggregates: aggregates, workers: workers, memory: memory}
		o.FoldOptions = (&Config{}).foldOptions()
		f, err := Fold(context.Background(), sources, o)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		runs := 0
		for _, w := range f.workers {
			runs += len(w.runs)
		}
		t.Logf("%d workers, %d bytes: %d runs", workers, memory, runs)
		return foldedRows(t, f, aggregates)
	}
	want := fold(1, 1) // one run a batch, so that nothing is sifted
	kept := 0
	for _, row := range want {
		if row.Object != "" {
			kept++
		}
	}
	if kept < 40 || kept > 100 {
		t.Fatalf("%d destinations of users are kept: this test proves nothing", kept)
	}
	for _, workers := range []int{1, 2, 3, 8} {
		for _, memory := range []int64{1, 300e3 * int64(workers), 2e6 * int64(workers), 0} {
			if diff := cmp.Diff(want, fold(workers, memory)); diff != "" {
				t.Errorf("%d workers, %d bytes of memory (-1 worker, 1 byte +this):\n%s", workers, memory, diff)
			}
		}
	}
}

// A watchedFolder tells how large its table got.
type watchedFolder struct {
	detect.Folder
	most *int
}

func (f watchedFolder) Size() int {
	n := f.Folder.Size()
	*f.most = max(*f.most, n)
	return n
}

// If this fails, a table that was emptied for its size takes in all names of the log again
// with the next batch: it stays over its budget, and a run takes the square of the time.
func TestFoldForgetsNames(t *testing.T) {
	const budget, most = 2 << 20, 8 << 20 // a batch of new names takes 4 MB
	names := make([]source, 1)
	var b strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&b, `{"_path":"http","ts":1772323200,"id.orig_h":"10.%d.%d.%d","method":"GET","host":"a.example"}`+"\n", i>>16, i>>8&255, i&255)
	}
	text := b.String()
	names[0].object = logs.Object{Name: "http.log", Size: int64(len(text)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
	largest, watched := 0, *detect.UserDay
	watched.New = func(o *detect.FoldOptions) detect.Folder { return watchedFolder{detect.UserDay.New(o), &largest} }
	o := &foldOptions{aggregates: []*detect.Aggregate{&watched}, workers: 1, memory: budget * tableShare}
	o.FoldOptions = (&Config{}).foldOptions()
	f, err := Fold(context.Background(), names, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := len(foldedRows(t, f, o.aggregates)); got != 200_000 {
		t.Errorf("got %d rows, want 200000", got)
	}
	if largest > most {
		t.Errorf("the table took %d KiB, want no more than %d", largest>>10, most>>10)
	}
	t.Logf("the table took %d KiB", largest>>10)
}

// shardsOfRows divides n rows into k shards. Each shard ends with err, if it is not
// nil.
func shardsOfRows(n, k int, err error) (want []detect.Row, shards []iter.Seq2[*detect.Row, error]) {
	r := rand.New(rand.NewPCG(uint64(n), uint64(k)))
	cut := make([][]detect.Row, k)
	for i := range n {
		row := detect.Row{Day: detect.Day(i / 1000), Key: detect.Key{Feed: "f", EntityType: "user", Entity: fmt.Sprintf("user%06d", i)}}
		want = append(want, row)
		shard := &cut[r.IntN(k)]
		*shard = append(*shard, row)
	}
	for _, rows := range cut {
		shards = append(shards, func(yield func(*detect.Row, error) bool) {
			for _, row := range rows { // each is cleared after its step
				if !yield(&row, nil) {
					return
				}
				row = detect.Row{}
			}
			if err != nil {
				yield(nil, err)
			}
		})
	}
	return want, shards
}

// If this fails, rows of the shards are not in the order of their keys, or are lost.
func TestAheadInOrder(t *testing.T) {
	for _, k := range []int{1, 2, 4, 9} {
		for _, n := range []int{0, 1, aheadRows - 1, aheadRows, aheadRows + 1, 20 * aheadRows} {
			want, shards := shardsOfRows(n, k, nil)
			var got []detect.Row
			for row, err := range ahead(shards) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, *row)
			}
			if !slices.EqualFunc(got, want, func(a, b detect.Row) bool { return a.Day == b.Day && a.Key == b.Key }) {
				t.Errorf("%d rows in %d shards: got %d, or others, or in another order", n, k, len(got))
			}
		}
	}
}

// If this fails, a consumer that stops early waits for ever, a shard goes on without a
// consumer, or the error of a shard is lost.
func TestAheadEnds(t *testing.T) {
	for _, k := range []int{1, 2, 4} {
		for _, after := range []int{0, 1, aheadRows, 3*aheadRows + 7} {
			_, shards := shardsOfRows(20*aheadRows, k, nil)
			n, working := 0, make(chan int, k)
			for i, rows := range shards {
				shards[i] = func(yield func(*detect.Row, error) bool) {
					rows(yield)
					working <- i
				}
			}
			for range ahead(shards) {
				if n++; n > after {
					break
				}
			}
			if len(working) != k {
				t.Errorf("%d of %d shards have ended after %d rows", len(working), k, n)
			}
		}
		broken := errors.New("broken")
		_, shards := shardsOfRows(5*aheadRows, k, nil)
		_, ends := shardsOfRows(3*aheadRows, k, broken)
		shards[k-1] = ends[k-1]
		var got error
		for _, err := range ahead(shards) {
			if got != nil {
				t.Fatalf("%d shards: it goes on after an error", k)
			}
			got = err
		}
		if !errors.Is(got, broken) {
			t.Errorf("%d shards: got %v, want %v", k, got, broken)
		}
	}
}
