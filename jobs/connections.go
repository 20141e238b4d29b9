package jobs

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"sync/atomic"

	"outflow/columnar"
	"outflow/columnar/store"
	"outflow/stats/detect"
)

// This file joins the records of connections that the workers have kept, before their
// tables are written.

// The shares of a worker's budget that connections take in addition to it: while
// decoding, the records that are not written yet and those of the spool that are in
// memory; while joining, when the former are written, one part.
const (
	connectionBuffers = 10
	connectionSpool   = 2
	connectionJoin    = 4
)

// minConnectionJoin is the least memory of a join, in bytes. With less, a night of a
// small site would be read many times over.
const minConnectionJoin = 256 << 10

func (w *worker) openConnections() {
	joins := func(a *detect.Aggregate) bool { return a.Joins }
	if w.o.want.Cols.Has(columnar.UID) && slices.ContainsFunc(w.o.aggregates, joins) {
		w.records = store.NewSpool(w.budget / connectionSpool)
		w.connections = detect.NewConnections(&w.o.FoldOptions, w.records, w.budget/connectionBuffers)
	}
}

// closeConnections ends what the worker keeps of connections.
func (w *worker) closeConnections() {
	if w.connections != nil && w.err == nil {
		w.err = w.connections.Close()
	}
}

// freeConnections gives up what the worker kept of connections, which are joined.
func (w *worker) freeConnections() {
	if w.connections != nil {
		w.err = cmp.Or(w.err, w.records.Close())
	}
}

// join joins parts of the connections of all workers, which take turns, and folds them.
func (w *worker) join(ctx context.Context, workers []*worker, next *atomic.Int64) {
	if w.connections == nil {
		return
	}
	all := make([]*detect.Connections, len(workers))
	for i, w := range workers {
		all[i] = w.connections
	}
	j := detect.NewJoiner(&w.o.FoldOptions, all, w.o.want.Cols, max(w.budget/connectionJoin, minConnectionJoin), func(b *columnar.Batch) {
		for i, a := range w.o.aggregates {
			if a.Joins {
				w.folders[i].Fold(b)
			}
		}
		w.joined += int64(b.Len())
		w.spill()
	})
	for part := range w.turns(ctx, next) {
		w.err = j.Join(part)
	}
}

// findNames tells logs whether they have names of connections of the next day.
func findNames(workers []*worker, all []*sharedLog) {
	type log struct{ feed, name string }
	late := map[log]bool{}
	for _, w := range workers {
		if w.connections != nil {
			w.connections.Late(func(feed, name string) { late[log{feed, name}] = true })
		}
	}
	for _, m := range all {
		m.namesNext = late[log{m.feed, m.Name}]
	}
}

// turns yields the parts of detect.ConnectionParts that fall to the worker, until it fails or ctx
// ends. The workers share next.
func (w *worker) turns(ctx context.Context, next *atomic.Int64) iter.Seq[int] {
	return func(yield func(int) bool) {
		for w.err == nil && ctx.Err() == nil {
			part := int(next.Add(1)) - 1
			if part >= detect.ConnectionParts || !yield(part) {
				return
			}
		}
	}
}
