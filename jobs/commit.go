package jobs

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// This file writes what a fold made as partitions of the state.

// commit writes the partitions of the days. A day without events in any object gets
// none: it is missing, not quiet. A partition in gaps is not replaced if some of its
// logs no longer exist, because the new one would have less data.
func (s *state) commit(ctx context.Context, f *foldSpan, result *folded) error {
	runtime.GC() // the tables are garbage now
	days := f.days
	dones := map[detect.Day]store.Done{}
	unread, err := s.unreadOn(days, f.sources, result)
	if err != nil {
		return err
	}
	for _, day := range days {
		done := store.Done{Inputs: inputsOn(day, f.sources, result), Unread: unread[day]}
		if len(done.Inputs) == 0 {
			continue
		}
		done.Inputs = slices.DeleteFunc(done.Inputs, func(in store.InputRef) bool { return result.objects[in.Name].fault })
		if day == days[len(days)-1] {
			done.Inputs = append(done.Inputs, s.elsewhere(days[0], day)...)
		}
		// A damaged or missing partition says nothing about late logs.
		if before, err := s.aggregate(f.aggregates[0]).Done(ctx, day.String()); err == nil {
			done.Late = lateInputs(&before, &done)
		}
		dones[day] = done
	}
	of := map[*detect.Aggregate]map[detect.Day]store.Done{}
	var along, others []*detect.Aggregate
	for _, a := range result.largestFirst(f.aggregates) {
		of[a] = maps.Clone(dones)
		if f.gaps == nil {
			others = append(others, a)
			continue
		}
		maps.DeleteFunc(of[a], func(day detect.Day, done store.Done) bool {
			before, lacking := f.gaps[a][day]
			if lacking && lost(&before.Done, day.String(), done.Inputs) {
				s.incomplete[day] = true
				return true
			}
			return !lacking
		})
		if a.JudgedOnly {
			along = append(along, a)
		} else {
			others = append(others, a)
		}
	}
	// No log of history is read for those along with others alone. If a run were killed when all others of a
	// day are there, the next one would not make them.
	for _, part := range [][]*detect.Aggregate{along, others} {
		if err := s.merge(ctx, part, of, result); err != nil {
			return stateError(s.config, err)
		}
	}
	for a, days := range of {
		for day := range days {
			delete(s.distrusted, partitionKey{s.aggregate(a).Folder, day.String()})
		}
	}
	return nil
}

// merge merges aggregates, and writes their partitions of the days in of.
func (s *state) merge(ctx context.Context, aggregates []*detect.Aggregate, of map[*detect.Aggregate]map[detect.Day]store.Done, result *folded) error {
	var failed atomic.Bool
	return together(s.config.mergesAtOnce(), len(aggregates), func(i int) (err error) {
		if failed.Load() {
			return nil
		}
		a := aggregates[i]
		defer s.p.trace.task("merge " + a.Name)()
		if result.parts != nil {
			err = s.commitParts(ctx, a, of[a], result.parts)
		} else {
			err = s.commitRows(ctx, a, of[a], result.Rows(a))
		}
		if err != nil {
			failed.Store(true)
		}
		return err
	})
}

// mergeMemory is how many bytes merging an aggregate may take besides the rows: a row
// group, the dictionaries of its pages, and the names of a pair.
const mergeMemory = 64 << 20

// mergesAtOnce returns how many aggregates are merged at the same time.
func (c *Config) mergesAtOnce() int {
	return max(1, min(c.Workers, int(c.Memory/mergeMemory)))
}

// commitRows writes an aggregate's partitions of the days in dones.
func (s *state) commitRows(ctx context.Context, a *detect.Aggregate, dones map[detect.Day]store.Done, all iter.Seq2[*detect.Row, error]) error {
	p := s.aggregate(a)
	if p.Writer, _ = s.writers.Get().(*store.Writer[detect.Row]); p.Writer == nil {
		p.Writer = &store.Writer[detect.Row]{}
	}
	defer s.writers.Put(p.Writer)
	next, stop := iter.Pull2(all)
	defer stop()
	row, err, more := next()
	cerr := s.commitDays(ctx, a, dones, func(day detect.Day, done *store.Done) (*store.Staged[detect.Row], error) {
		return p.Stage(ctx, day.String(), func(yield func(*detect.Row, error) bool) {
			for ; more && err == nil && row.Day <= day; row, err, more = next() {
				if row.Day < day {
					continue
				}
				done.Feeds = withFeed(done.Feeds, row.Feed)
				if !yield(row, nil) {
					return
				}
			}
			if err != nil {
				yield(nil, err)
			}
		}, done)
	})
	return cmp.Or(cerr, err)
}

// commitParts is commitRows of rows that are files already.
func (s *state) commitParts(ctx context.Context, a *detect.Aggregate, dones map[detect.Day]store.Done, parts map[partitionKey][]partMade) error {
	return s.commitDays(ctx, a, dones, func(day detect.Day, done *store.Done) (*store.Staged[detect.Row], error) {
		var made []store.MadePart
		for _, part := range parts[partitionKey{a.Name, day.String()}] {
			made = append(made, part.MadePart)
			done.Feeds = append(done.Feeds, part.feeds...)
		}
		if len(made) == 0 { // no row, but logs
			return s.aggregate(a).Stage(ctx, day.String(), func(func(*detect.Row, error) bool) {}, done)
		}
		slices.Sort(done.Feeds)
		done.Feeds = slices.Compact(done.Feeds)
		return s.aggregate(a).StageParts(ctx, day.String(), made, done)
	})
}

// commitDays commits an aggregate's partitions of the days in dones, which stage makes in
// the order of the days.
func (s *state) commitDays(ctx context.Context, a *detect.Aggregate, dones map[detect.Day]store.Done, stage func(detect.Day, *store.Done) (*store.Staged[detect.Row], error)) error {
	days := slices.Sorted(maps.Keys(dones))
	var committing sync.WaitGroup
	room := make(chan struct{}, commitsAtOnce)
	errs := make([]error, len(days))
	var failed atomic.Bool
	for i, day := range days {
		done := dones[day]
		done.Rev, done.Fold = a.Rev, s.fingerprint(a, s.without(a))
		staged, err := stage(day, &done)
		if err != nil {
			errs[i] = err
			break
		}
		room <- struct{}{}
		committing.Go(func() {
			errs[i] = staged.Commit(ctx)
			if errs[i] != nil {
				failed.Store(true)
			}
			<-room
		})
		if failed.Load() {
			break
		}
	}
	committing.Wait()
	return cmp.Or(errs...)
}

// commitsAtOnce is how many days are committed while the next one is made. A commit
// waits for the disk or S3 some eight times; each holds a megabyte or a temporary
// file.
const commitsAtOnce = 4
