package jobs

import (
	"context"
	"maps"

	"outflow/stats/detect"
)

// This file folds spans of days into the state.

// fold folds consecutive days for aggregates and commits their partitions. Partitions
// that are not in gaps stay as they are; nil gaps replace all. A day is folded from
// the objects of its own date and of the days around it, since logs are delivered
// later than their events happen, and from strays. An object that is known to have no event on the days,
// and no name of a connection that ends on the first, is not read again.
func (s *state) fold(ctx context.Context, days []detect.Day, aggregates []*detect.Aggregate, gaps dayGaps) error {
	f := &foldSpan{days: days, aggregates: aggregates, gaps: gaps}
	if err := s.list(ctx, f); err != nil {
		return err
	}
	if s.planner != nil {
		return s.planner.add(f)
	}
	result, err := s.foldSources(ctx, f)
	if err != nil {
		return err
	}
	defer result.Close() // it was only read
	before, err := s.readBefore(ctx, days, days, f.all, f.sources, result)
	if err != nil {
		return err
	}
	s.account(result.inputs)
	maps.Copy(s.seen, result.seen)
	s.remember(f.sources, result, before)
	end := s.p.trace.stage(mergeStage)
	err = s.commit(ctx, f, result)
	end()
	if err != nil {
		return err
	}
	for _, day := range days {
		s.folded[day] = true
	}
	return nil
}

// A foldSpan is what is folded at once: days, which are consecutive, for aggregates.
type foldSpan struct {
	days       []detect.Day
	aggregates []*detect.Aggregate
	gaps       dayGaps         // see fold
	all        []source        // that exist
	sources    []source        // that have to be read
	strays     map[string]bool // those of all that the listing of the days does not have
}

// list lists the sources of a span.
func (s *state) list(ctx context.Context, f *foldSpan) (err error) {
	if err := s.toRead(ctx, f); err != nil {
		return err
	}
	for i := range f.sources {
		if f.sources[i].unlisted && f.gaps == nil { // what earlier runs folded of it must not be lost
			if f.gaps, err = s.gapsOf(ctx, f.days); err != nil {
				return err
			}
		}
	}
	return nil
}

// toRead lists the objects that the days of a span may be folded from, and those of them that
// must be read. The run has read the others, or the state tells their days.
func (s *state) toRead(ctx context.Context, f *foldSpan) error {
	first, last := f.days[0], f.days[len(f.days)-1]
	end := s.p.trace.stage(listStage)
	all, err := s.p.sources(s.config, first-1, last+1)
	end()
	if err != nil {
		return err
	}
	strays, err := s.strays(ctx, f.days, all)
	if err != nil {
		return err
	}
	f.all, f.strays = append(all, strays...), map[string]bool{}
	for i := range strays {
		f.strays[strays[i].object.Name] = true
	}
	known, err := s.known(ctx, f.days, f.all)
	if err != nil {
		return err
	}
	for _, src := range f.all {
		if src.object.Table != nil {
			s.tables[src.feed] = true
		}
		if k, ok := known[src.object.Name]; ok && k.ETag == src.etag && !k.matters(first, last) {
			continue
		}
		if r, ok := s.read[src.object.Name]; ok && r.etag == src.etag && r.whole && !r.matters(first, last) {
			s.account(r.inputs)
			continue
		}
		f.sources = append(f.sources, src)
	}
	return nil
}

// foldSources folds the sources of a span, unless stages have done so.
func (s *state) foldSources(ctx context.Context, f *foldSpan) (*folded, error) {
	if s.stages != nil {
		if result := s.stages.result(s, f); result != nil {
			return result, nil
		}
	}
	first, last := f.days[0], f.days[len(f.days)-1]
	o := s.options
	o.From, o.To = first.Time().UnixMicro(), (last + 1).Time().UnixMicro()
	what := "fold " + first.String()
	if first != last {
		what += " to " + last.String()
	}
	return s.p.fold(ctx, what, f.sources, &foldOptions{aggregates: f.aggregates, FoldOptions: o, workers: s.config.Workers, memory: int64(s.config.Memory)})
}
