package jobs

import (
	"context"
	"errors"
	"io"
	"slices"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// This file has days folded again whose logs a fault kept from being read: of the disk, the
// network or a server, which may be mended. A log that is damaged itself stays as it is.
//
// Days that a night has judged are judged again with such a log, as with one that came late.
// Others are history that the state does not have in whole.

// fails reports whether an error of reading the source is a fault, and not what it holds.
func (s *source) fails(err error) bool {
	return s.unlisted || store.IsFault(err) || errors.Is(err, store.ErrChanged) || errors.Is(err, errOnTheWay)
}

// readable reports whether no fault keeps the source from being read to its end.
func (s *source) readable() bool {
	r, err := s.object.Open()
	if err == nil {
		_, err = io.Copy(io.Discard, r)
		r.Close()
	}
	return err == nil || !s.fails(err)
}

// unreadOn returns, by day, the names of the sources that may have events of the day and that
// a fault kept from being read. Their days are those that their listing tells.
func (s *state) unreadOn(days []detect.Day, sources []source, result *folded) (map[detect.Day][]string, error) {
	faults := map[string]bool{}
	for i := range sources {
		if o := result.objects[sources[i].object.Name]; o != nil && o.fault {
			faults[sources[i].object.Name] = true
		}
	}
	if len(faults) == 0 {
		return nil, nil
	}
	beside := map[detect.Day]map[string]bool{}
	somewhere := map[string]bool{}
	for _, day := range days {
		all, err := s.p.sources(s.config, day-1, day+1)
		if err != nil {
			return nil, err
		}
		beside[day] = map[string]bool{}
		for i := range all {
			name := all[i].object.Name
			beside[day][name], somewhere[name] = true, true
		}
	}
	out := map[detect.Day][]string{}
	for name := range faults {
		for _, day := range days {
			if beside[day][name] || !somewhere[name] {
				out[day] = append(out[day], name)
			}
		}
	}
	return out, nil
}

// addUnread adds to gaps the days of history before first that no night has judged and that
// lack logs because of a fault, if any of these can be read now.
func (s *state) addUnread(ctx context.Context, first detect.Day, gaps dayGaps) error {
	readable := map[string]bool{} // by name
	for day := first - detect.Day(s.config.horizon()); day < first; day++ {
		all, err := s.stored(ctx, day)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(k storedDay) bool { return k.fresh && len(k.Unread) > 0 }) {
			continue
		}
		if judged, err := s.wasJudged(ctx, day); err != nil {
			return err
		} else if judged {
			continue
		}
		sources, err := s.p.sources(s.config, day-1, day+1)
		if err != nil {
			return err
		}
		listed := make([]store.InputRef, len(sources))
		for i := range sources {
			src := &sources[i]
			listed[i] = store.InputRef{Name: src.object.Name, ETag: src.etag, Size: src.object.Size}
		}
		// waits says that none of the logs that a partition lacks can be read. One that is not
		// listed any more, or lies beside another day, is not waited for.
		waits := func(k *storedDay) bool {
			for _, name := range k.Unread {
				i := slices.IndexFunc(listed, func(in store.InputRef) bool { return in.Name == name })
				if i < 0 {
					return false
				}
				ok, known := readable[name]
				if !known {
					ok = sources[i].readable()
					readable[name] = ok
				}
				if ok {
					return false
				}
			}
			return true
		}
		for i, a := range s.aggregates {
			k := &all[i]
			if !k.fresh || len(k.Unread) == 0 || day < first-detect.Day(s.config.reads(a)) || waits(k) || lost(&k.Done, day.String(), listed) {
				continue
			}
			gaps.add(a, day, *k)
		}
	}
	return nil
}
