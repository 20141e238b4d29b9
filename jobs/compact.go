package jobs

import (
	"context"
	"errors"
	"io/fs"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// compact makes one file of each partition of the days first … last and of their history
// that has several, one for each shard of a run in stages: judging reads many days at once,
// and each file that is open has buffers.
func (s *state) compact(ctx context.Context, first, last detect.Day) error {
	for day := first - detect.Day(s.config.horizon()); day <= last; day++ {
		for _, a := range s.aggregates {
			done, err := s.aggregate(a).Done(ctx, day.String())
			if err == nil && len(done.Parts) > 1 {
				err = s.compactDay(ctx, a, day, &done)
			}
			if _, damaged := errors.AsType[*store.DamagedError](err); err != nil && !damaged && !errors.Is(err, fs.ErrNotExist) {
				return stateError(s.config, err) // judging tells what is damaged
			}
		}
	}
	return nil
}

func (s *state) compactDay(ctx context.Context, a *detect.Aggregate, day detect.Day, done *store.Done) error {
	h := newHistory()
	defer h.close()
	rows := rowsOf([]*partition{{day: day, rows: s.rows(ctx, h, a, day)(nil)}})
	return s.aggregate(a).Commit(ctx, day.String(), rows, done)
}
