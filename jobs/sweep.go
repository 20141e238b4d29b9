package jobs

import (
	"context"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// sweep is clean at the end of a run. That it fails is no reason to fail: the next run
// tries again.
func (s *state) sweep() {
	if _, err := s.clean(s.p.ctx); err != nil && s.p.ctx.Err() == nil {
		s.p.note("files that the state %s no longer needs could not be deleted: %v", s.config.State, err)
	}
}

// clean deletes what no run needs any more, and the days that are older than keep, and
// returns how many files that were.
func (s *state) clean(ctx context.Context) (int, error) {
	if s.config.Keep > 0 {
		if err := s.forget(ctx); err != nil {
			return 0, err
		}
	}
	return store.Sweep(ctx, s.store, s.mine)
}

// forget removes the partitions that are more than config.Keep days older than the newest,
// or than today if somebody judged days to come.
func (s *state) forget(ctx context.Context) error {
	folders := s.folders()
	days := make([][]string, len(folders))
	newest := ""
	for i, folder := range folders {
		var err error
		if days[i], err = folder.List(ctx); err != nil {
			return err
		}
		if n := len(days[i]); n > 0 {
			newest = max(newest, days[i][n-1])
		}
	}
	last, err := detect.ParseDay(newest)
	if err != nil {
		return nil // no days
	}
	last = min(last, detect.DayOf(s.p.now().UnixMicro()))
	oldest := (last - detect.Day(s.config.Keep)).String()
	for i, folder := range folders {
		for _, day := range days[i] {
			if day >= oldest {
				break
			}
			if err := folder.Remove(ctx, day); err != nil {
				return err
			}
		}
	}
	return nil
}
