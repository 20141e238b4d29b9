package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// Which partitions of the state are of use to this run, and which days have to be
// folded for which aggregates.

// A kept is what the state has of one aggregate and day.
type kept struct {
	store.Done
	there bool
	// fresh says that it was folded as this run would fold it. Else it is not there,
	// or is stale: of another Rev, or of other options that it depends on.
	fresh bool
}

// fingerprint returns what tells apart rows of an aggregate that do not mean the
// same: its Rev and the options that it depends on. What other aggregates depend
// on makes no difference. That the rules changed is nothing to those that are not
// Judged, nor to the history.
func (s *state) fingerprint(a *detect.Aggregate) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %d", a.Name, a.Rev)
	if a.Depends != nil {
		json.NewEncoder(h).Encode(a.Depends(&s.options)) // numbers and texts: it cannot fail
	}
	if domains := s.options.Names.Domains; len(domains) > 0 {
		json.NewEncoder(h).Encode(domains) // sorts the keys
	}
	if a.JudgedOnly {
		fmt.Fprintf(h, " %s", s.config.rules.hash)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// sharedRevs are the aggregates of the programs whose states had one fingerprint
// for all of them, with their Revs.
var sharedRevs = []struct {
	name string
	rev  int
}{{"user_day", 2}, {"user_destination_day", 1}, {"dns_pair", 2}, {"dns_name", 1}}

// shared returns the fingerprint that those programs gave an aggregate's rows. Rows
// of a Rev that is still that of the aggregate are of use.
func (s *state) shared(a *detect.Aggregate) string {
	h := sha256.New()
	for _, old := range sharedRevs {
		if slices.ContainsFunc(s.aggregates, func(a *detect.Aggregate) bool { return a.Name == old.name }) {
			fmt.Fprintf(h, "%s %d\n", old.name, old.rev)
		}
	}
	fmt.Fprintf(h, "%v %v %q %v", s.options.Entropy, s.options.Length, s.options.Uploads, s.options.TwoLabels)
	if s.options.Model != nil {
		fmt.Fprintf(h, " %v", *s.options.Model)
	}
	fold := hex.EncodeToString(h.Sum(nil))[:16]
	if a.JudgedOnly {
		fold = fmt.Sprintf("%s %d %s", fold, a.Rev, s.config.rules.hash)
	}
	return fold
}

// kept returns what the state has of a day, in the order of the aggregates.
func (s *state) kept(ctx context.Context, day detect.Day) ([]kept, error) {
	all := make([]kept, len(s.aggregates))
	for i, a := range s.aggregates {
		done, err := s.aggregate(a).Done(ctx, day.String())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all[i] = kept{done, true, done.Fold == s.fingerprint(a) || done.Rev == a.Rev && done.Fold == s.shared(a)}
	}
	return all, nil
}

// inputsOf returns the objects that a day was folded from for all the aggregates
// that are fresh but for Judged ones, and false if none is: a log that one of them
// lacks is new to the day.
func (s *state) inputsOf(all []kept) (inputs []store.InputRef, ok bool) {
	for i, k := range all {
		switch {
		case !k.fresh || s.aggregates[i].JudgedOnly:
		case !ok:
			inputs, ok = k.Inputs, true
		default:
			inputs = slices.DeleteFunc(slices.Clone(inputs), func(in store.InputRef) bool { return !slices.Contains(k.Inputs, in) })
		}
	}
	return inputs, ok
}

// horizon is how many days before the judged one the detections want.
func (c *Config) horizon() int {
	n := 0
	for _, d := range c.detections {
		n = max(n, d.History)
	}
	return min(n, maxHistory)
}

// horizonOf is how many of these days those want that read the aggregate.
func (c *Config) horizonOf(a *detect.Aggregate) int {
	n := 0
	for _, d := range c.detections {
		if d.Aggregate == a && !a.JudgedOnly {
			n = max(n, d.History)
		}
	}
	return min(n, maxHistory)
}

// maxHistory bounds the days that a nightly run reads, whatever a profile wants.
const maxHistory = 90

// A lack is the days before the judged ones that detections want of an aggregate,
// and that the state has not, or has stale.
type lack map[*detect.Aggregate]map[detect.Day]kept

// lacking returns what the state lacks of the days before first.
func (s *state) lacking(ctx context.Context, first detect.Day) (lack, error) {
	out := lack{}
	for day := first - detect.Day(s.config.horizon()); day < first; day++ {
		all, err := s.kept(ctx, day)
		if err != nil {
			return nil, err
		}
		for i, a := range s.aggregates {
			if all[i].fresh || day < first-detect.Day(s.config.horizonOf(a)) {
				continue
			}
			if out[a] == nil {
				out[a] = map[detect.Day]kept{}
			}
			out[a][day] = all[i]
		}
	}
	return out, nil
}

// days lists the days that any aggregate lacks.
func (l lack) days() []detect.Day {
	var out []detect.Day
	for _, days := range l {
		for day := range days {
			out = append(out, day)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// lookFor says on stderr what of the history is to be folded.
func (p *program) lookFor(lacks lack, config *Config) {
	var missing, stale []detect.Day
	var folds []string
	for a, days := range lacks {
		for day, k := range days {
			if k.there {
				stale = append(stale, day)
				folds = append(folds, a.Name)
			} else {
				missing = append(missing, day)
			}
		}
	}
	distinct := func(days []detect.Day) int { slices.Sort(days); return len(slices.Compact(days)) }
	if n := distinct(missing); n > 0 {
		p.note("looking for the logs of %d days of history that are not in %s yet", n, config.State)
	}
	if n := distinct(stale); n > 0 {
		slices.Sort(folds)
		p.note("folding %d days of history in %s again: %s was folded by another version or under other options", n, config.State, strings.Join(slices.Compact(folds), ", "))
	}
}

// lost reports whether an object that a partition was folded from is not among the
// inputs under any name: folded again, the day would be a part of itself.
func lost(before *store.Done, inputs []store.InputRef) bool {
	return slices.ContainsFunc(before.Inputs, func(old store.InputRef) bool {
		return !slices.ContainsFunc(inputs, func(in store.InputRef) bool {
			return in.Name == old.Name || in.ETag != "" && in.ETag == old.ETag && in.Size == old.Size
		})
	})
}

// stale warns of the days before first that the state has, but not as this run
// would fold them.
func (s *state) stale(ctx context.Context, first detect.Day) error {
	left, err := s.lacking(ctx, first)
	if err != nil {
		return err
	}
	for _, a := range s.aggregates {
		var days []detect.Day
		for day, k := range left[a] {
			if k.there {
				days = append(days, day)
			}
		}
		if len(days) == 0 {
			continue
		}
		slices.Sort(days)
		why := "backfill is off"
		if s.config.Backfill {
			why = "not all of their logs are there any more"
		}
		s.warnings = append(s.warnings, fmt.Sprintf("%s of %s is in the state, but was folded by another version or under other options, and %s: these days are in no baseline. "+
			"Put their logs back, or take what is left of them, with outflow backfill --from %s --to %s.", a.Name, spans(days), why, days[0], days[len(days)-1]))
	}
	return nil
}

// spans writes days, which ascend, as the runs of days that follow one another.
func spans(days []detect.Day) string {
	var out []string
	for run := range inARow(days, len(days)) {
		text := run[0].String()
		if len(run) > 1 {
			text += " to " + run[len(run)-1].String()
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}
