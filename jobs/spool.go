package jobs

import (
	"fmt"
	"io"
	"math"
	"slices"
	"sync"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// This file keeps the tables of the workers within the memory of the run: a table over
// its budget is written to the spool of its worker as a sorted run.

const (
	// defaultMemory is the memory of a run without the setting. A night of a company
	// of 10,000 fits without a temporary file; more buys little speed.
	defaultMemory = 256 << 20
	// programBytes is the memory that the program itself takes.
	programBytes = 44 << 20
	// tableShare: the tables of all workers together may take 1/tableShare of the
	// memory. The rest is for the larger tables that they grow into, garbage that is
	// not collected yet, and the blocks and batches in work.
	tableShare = 3
	// runSpool and asideSpool: the runs of a worker, and what it sets aside, take such a
	// share of its budget, in addition to its tables, before they go to a file. With larger
	// shares, a night whose tables are full has too little room for them and the garbage.
	runSpool   = 4
	asideSpool = 8
	// namesShare is how much of a worker's budget the names of a table may take for which it is
	// shelved. With less, the table of a busy proxy is sorted and merged instead; with more, the
	// others have too little room beside the names.
	namesShare = 8
)

// A spooledRun is one shard of a run that a worker wrote to its spool: the content of the
// table of the aggregate with the name kind, or what another stage needs, which has a kind of
// its own and whose shard may be a part of the joins.
type spooledRun struct {
	kind    string
	shard   int
	extents []extent
}

// An extent is a range of a spool.
type extent struct{ from, to int64 }

// reader returns a reader of the run.
func (r *spooledRun) reader(spool *store.Spool) io.Reader {
	extents := make([]io.Reader, len(r.extents))
	for i, p := range r.extents {
		extents[i] = io.NewSectionReader(spool, p.from, p.to-p.from)
	}
	return io.MultiReader(extents...)
}

// A spoolWriter writes one shard of a run to a spool, in turn with the writers of the
// other shards.
type spoolWriter struct {
	spooledRun
	spool *store.Spool
}

func (r *spoolWriter) Write(p []byte) (int, error) {
	from := r.spool.Size()
	n, err := r.spool.Write(p)
	if k := len(r.extents); k > 0 && r.extents[k-1].to == from {
		r.extents[k-1].to += int64(n)
	} else if n > 0 {
		r.extents = append(r.extents, extent{from, from + int64(n)})
	}
	return n, err
}

// spoolWriters returns writers to the spool of w for n shards.
func (w *worker) spoolWriters(kind string, n int) ([]spoolWriter, []io.Writer) {
	shards, writers := make([]spoolWriter, n), make([]io.Writer, n)
	for i := range shards {
		shards[i] = spoolWriter{spooledRun{kind: kind, shard: i}, w.spool}
		writers[i] = &shards[i]
	}
	return shards, writers
}

// appendRuns appends the runs of the shards that have something.
func appendRuns(runs []spooledRun, shards []spoolWriter) []spooledRun {
	for _, s := range shards {
		if len(s.extents) > 0 {
			runs = append(runs, s.spooledRun)
		}
	}
	return runs
}

// scales has, by aggregate, the weights of the tables that are detect.Sifters. All
// workers share it.
type scales struct {
	mu      sync.Mutex
	weights []detect.Weights
}

// sifter returns a table if it is a detect.Sifter that can be sifted, or nil. What is small in
// a task may be large in all, so there, it has to be one that sends on what it leaves out.
func (w *worker) sifter(i int) detect.Sifter {
	s, _ := w.folders[i].(detect.Sifter)
	if _, ok := s.(detect.Deferrer); !ok && w.o.task != nil {
		return nil
	}
	return s
}

// weigh weighs a table that is sifted, and lets it ask for names.
func (w *worker) weigh(i int) {
	w.ask(i)
	if s := w.sifter(i); s != nil {
		w.scales.mu.Lock()
		defer w.scales.mu.Unlock()
		s.Weigh(&w.scales.weights[i])
	}
}

// openAside gives the table that is a detect.Deferrer a spool, and in a task writers for what
// it sends.
func (w *worker) openAside() {
	w.aside = store.NewSpool(w.budget / asideSpool)
	for i, f := range w.folders {
		if d, ok := f.(detect.Deferrer); ok {
			var to []io.Writer
			if w.o.task != nil {
				w.asides, to = w.spoolWriters(sentAside(w.o.aggregates[i]), w.shards)
			}
			d.Defer(w.aside, w.budget/2, to...)
		}
	}
}

// sentAside is the kind of what a task has set aside of an aggregate.
func sentAside(a *detect.Aggregate) string { return a.Name + " set aside" }

// empty sifts and drains a table, as often as it fills up.
func (w *worker) empty(i int) {
	s := w.sifter(i)
	for more := s != nil; more && w.err == nil; {
		if more, w.err = s.Sift(&w.scales.weights[i]); more && w.err == nil {
			w.drain(i)
		}
	}
	if w.err == nil {
		w.drain(i)
	}
	w.folders[i] = nil // merging needs its memory
}

// spill drains tables and starts them again, the largest first, until the rest fits
// the budget.
func (w *worker) spill() {
	sizes := make([]int, len(w.folders))
	total := 0
	for i, f := range w.folders {
		sizes[i] = min(f.Size(), math.MaxInt/len(w.folders))
		total += sizes[i]
	}
	room := w.budget
	if w.room != nil {
		room = w.room()
	}
	for total > room && w.err == nil {
		i := slices.Index(sizes, slices.Max(sizes))
		w.weigh(i)
		shelver, _ := w.sifter(i).(detect.Shelver)
		if shelver != nil && shelver.Names() <= w.budget/namesShare {
			if err := shelver.Shelve(w.spool, w.budget/2); err != nil {
				w.err = fmt.Errorf("write a temporary file for %s: %w", w.o.aggregates[i].Name, err)
				return
			}
			w.drain(i)
		} else {
			w.drain(i)
			w.renew(i, shelver)
		}
		total -= sizes[i]
		sizes[i] = 0
	}
}

// renew makes a table anew that was drained, if its names are too large to keep and it has set no
// rows aside. What it has shelved is drained before.
func (w *worker) renew(i int, shelver detect.Shelver) {
	if _, ok := w.folders[i].(detect.Deferrer); ok || w.folders[i].Size() <= w.budget/(4*len(w.folders)) {
		return
	}
	for more := shelver != nil; more && w.err == nil; {
		if more, w.err = shelver.Unshelve(); w.err == nil {
			w.drain(i)
		}
	}
	if renewer, ok := w.folders[i].(detect.Renewer); ok {
		w.folders[i] = renewer.Renew()
	} else {
		w.folders[i] = w.o.aggregates[i].New(&w.o.FoldOptions)
	}
	w.out.Renew()
}

// drain writes a table as a run.
func (w *worker) drain(i int) { w.write(w.o.aggregates[i], w.folders[i].Drain) }

// write writes a run of an aggregate.
func (w *worker) write(a *detect.Aggregate, drain func(*detect.RunWriter)) {
	shards, writers := w.spoolWriters(a.Name, w.shards)
	run := detect.NewRunWriter(w.o.Seed, writers...)
	drain(run)
	if err := run.Close(); err != nil {
		w.err = fmt.Errorf("write a temporary file for %s: %w", a.Name, err)
	}
	w.runs = appendRuns(w.runs, shards)
}
