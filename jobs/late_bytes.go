package jobs

import (
	"context"
	"slices"

	"outflow/stats/detect"
)

// This file bounds what late logs cost a night. A log of two records, one of them months old,
// may have events of every day between, and each of these days is folded again from all of its
// logs: an attacker who writes such a log each night would have each night read the whole history.

const (
	// lateNights is how many times the bytes of its own days a night reads again. With 5 % of the
	// logs a day late and 2 % a week, it reads twice as much.
	lateNights = 8
	// leastLateBytes is cheap for any machine: small sites catch up at once.
	leastLateBytes = 1 << 30
)

// lateBytes returns how many bytes the night may read again because of late logs.
func (s *state) lateBytes(n *night) int64 {
	if s.config.LateBytes > 0 {
		return int64(s.config.LateBytes)
	}
	var own int64
	for _, r := range s.read {
		if r.meets(n.days[0], n.days[len(n.days)-1]) {
			own += r.source.object.Size
		}
	}
	return max(lateNights*own, leastLateBytes)
}

// afford divides days with late logs, which ascend, into those that the night folds again, and
// those that later nights do: the newest first, as much as lateBytes allows, and one at least.
// A night that is judged again folds the same days.
func (s *state) afford(ctx context.Context, n *night, due []detect.Day) (now, later []detect.Day, err error) {
	left := s.lateBytes(n)
	for _, day := range n.late() {
		size, err := s.sizeOf(ctx, day)
		if err != nil {
			return nil, nil, err
		}
		left -= size
	}
	for i, day := range slices.Backward(due) {
		size, err := s.sizeOf(ctx, day)
		if err != nil {
			return nil, nil, err
		}
		if left -= size; left < 0 && (i < len(due)-1 || len(n.Late) > 0) {
			return due[i+1:], due[:i+1], nil
		}
	}
	return due, nil, nil
}

// sizeOf returns the size of the logs that a day would be folded from.
func (s *state) sizeOf(ctx context.Context, day detect.Day) (size int64, err error) {
	all, err := s.stored(ctx, day)
	if err != nil {
		return 0, err
	}
	inputs, _ := s.inputsOf(all)
	listed := map[string]bool{}
	for _, in := range inputs {
		listed[in.Name] = true
		size += in.Size
	}
	for name, r := range s.read {
		if !listed[name] && r.meets(day, day) {
			size += r.source.object.Size
		}
	}
	return size, nil
}

// owedSources adds to late the objects that earlier nights owe and that lie where lookBack
// does not look: beside the days of the night, which begins with first, or anywhere.
func (s *state) owedSources(first detect.Day, late map[string]source) error {
	if len(s.owed) == 0 {
		return nil
	}
	all, err := s.p.sources(s.config, first-1, first+1)
	for i := range all {
		if src := &all[i]; s.owed[src.object.Name] == src.etag && src.etag != "" && s.read[src.object.Name].etag != src.etag {
			late[src.object.Name] = *src
		}
	}
	return err
}
