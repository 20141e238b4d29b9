package jobs

import (
	"cmp"
	"io"
	"iter"
	"slices"
	"sync"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// This file merges the rows that workers folded, each shard in a goroutine of its own.

// mergeSpool is how much of what a detect.Spiller sets aside is kept in memory. Only pairs
// with millions of names have any.
const mergeSpool = 4 << 20

// Rows yields the rows of an aggregate in the order of day and then key; see
// detect.Merge.
func (f *folded) Rows(a *detect.Aggregate) iter.Seq2[*detect.Row, error] {
	shards := make([]iter.Seq2[*detect.Row, error], f.workers[0].shards)
	for i := range shards {
		var runs []io.Reader
		for _, w := range f.workers {
			for _, r := range w.runs {
				if r.kind == a.Name && r.shard == i {
					runs = append(runs, r.reader(w.spool))
				}
			}
		}
		shards[i] = func(yield func(*detect.Row, error) bool) {
			spool := store.NewSpool(mergeSpool)
			defer spool.Close()
			detect.Merge(a, f.options, runs, spool)(yield)
		}
	}
	return ahead(shards)
}

// largestFirst returns aggregates in the order in which they are merged: the longest begin
// first, so that no long one is alone at the end.
func (f *folded) largestFirst(aggregates []*detect.Aggregate) []*detect.Aggregate {
	size := map[string]int64{}
	for _, w := range f.workers {
		for _, r := range w.runs {
			for _, e := range r.extents {
				size[r.kind] += e.to - e.from
			}
		}
	}
	out := slices.Clone(aggregates)
	slices.SortStableFunc(out, func(a, b *detect.Aggregate) int { return cmp.Compare(size[b.Name], size[a.Name]) })
	return out
}

// shards returns how many shards the runs of workers have: without a task, as many as are
// merged in parallel. More than four would only wait for the consumer of the rows.
func (o *foldOptions) shards(workers []*worker) int {
	if o.task != nil {
		return o.task.shards
	}
	return min(len(workers), 4)
}

// aheadRows is how many rows are passed on at once: enough that passing on costs
// nothing, few enough that the rows stay in the cache.
const aheadRows = 256

// A shardReader merges the rows of one shard in a goroutine of its own.
type shardReader struct {
	full chan []detect.Row // closed after the last
	free chan []detect.Row
	err  error // what ended the rows; valid once full is closed

	rows []detect.Row // the rows received last
	at   int
}

// run sends the rows until stop is closed.
func (m *shardReader) run(rows iter.Seq2[*detect.Row, error], stop <-chan struct{}) {
	defer close(m.full)
	var room []detect.Row // it grows: most shards of a small log have a row or none
	for row, err := range rows {
		if m.err = err; err != nil {
			break
		}
		if room = append(room, *row); len(room) < aheadRows {
			continue
		}
		select {
		case m.full <- room:
		case <-stop:
			return
		}
		select {
		case room = <-m.free:
		case <-stop:
			return
		}
	}
	if len(room) > 0 {
		select {
		case m.full <- room:
		case <-stop:
		}
	}
}

// next moves to the next row, and reports whether there is one.
func (m *shardReader) next() bool {
	if m.at++; m.at < len(m.rows) {
		return true
	}
	if m.rows != nil {
		m.free <- m.rows[:0]
	}
	m.rows, m.at = <-m.full, 0
	return m.rows != nil
}

// ahead yields the rows of all shards in the order of day and then key. Each shard is
// merged by a goroutine of its own, because the consumer of the rows encodes or judges
// them, which takes as long as merging. No two shards have a key in common.
func ahead(shards []iter.Seq2[*detect.Row, error]) iter.Seq2[*detect.Row, error] {
	return func(yield func(*detect.Row, error) bool) {
		stop := make(chan struct{})
		var working sync.WaitGroup
		defer working.Wait()
		defer close(stop)
		var all []*shardReader
		for _, rows := range shards {
			m := &shardReader{full: make(chan []detect.Row), free: make(chan []detect.Row, 2)}
			m.free <- nil
			working.Go(func() { m.run(rows, stop) })
			all = append(all, m)
		}
		tree := detect.NewLoserTree(len(all), func(i, j int) bool {
			m, n := all[i], all[j]
			if m.rows == nil || n.rows == nil {
				return m.rows != nil
			}
			a, b := &m.rows[m.at], &n.rows[n.at]
			return a.Day < b.Day || a.Day == b.Day && a.Key.Compare(b.Key) < 0
		})
		for i, m := range all {
			if !m.next() && m.err != nil {
				yield(nil, m.err)
				return
			}
			tree.Play(i)
		}
		for len(all) > 0 {
			least := all[tree.Winner()]
			if least.rows == nil || !yield(&least.rows[least.at], nil) {
				return
			}
			if !least.next() && least.err != nil {
				yield(nil, least.err)
				return
			}
			tree.Play(tree.Winner())
		}
	}
}
