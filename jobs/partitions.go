package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// This file decides which partitions of the state this run can use, and which days
// must be folded for which aggregates.

// A storedDay is what the state has of one aggregate and day.
type storedDay struct {
	store.Done
	there bool
	// fresh says that it was folded as this run would fold it, or with more. Otherwise
	// it is not there, or it is stale: folded with another Rev, under other values of the
	// options that it depends on, or without what a detection of this run reads.
	fresh bool
	// damaged says why it cannot be used. It is there, but not fresh; Done is not set.
	damaged *store.DamagedError
}

// fingerprint identifies the meaning of an aggregate's rows: its Rev, the options that
// it depends on, and what they are without. Options of other aggregates do not count. A
// change of the rules matters only to JudgedOnly aggregates, and so not to the history.
func (s *state) fingerprint(a *detect.Aggregate, without string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %d", a.Name, a.Rev)
	if a.Depends != nil {
		json.NewEncoder(h).Encode(a.Depends(&s.options)) // numbers and strings: it cannot fail
	}
	if domains := s.options.Names.Domains; len(domains) > 0 {
		json.NewEncoder(h).Encode(domains) // sorts the keys
	}
	if a.JudgedOnly {
		fmt.Fprintf(h, " %s", s.config.rules.hash)
	}
	if without != "" {
		fmt.Fprintf(h, " without %s", without)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// without is Aggregate.Without as this run folds.
func (s *state) without(a *detect.Aggregate) string {
	if a.Without == nil {
		return ""
	}
	return a.Without(&s.options)
}

// serves reports whether rows of a partition are such as this run would fold, or have
// more.
func (s *state) serves(a *detect.Aggregate, done *store.Done) bool {
	return done.Fold == s.fingerprint(a, s.without(a)) || done.Fold == s.fingerprint(a, "") ||
		done.Rev == a.Rev && done.Fold == s.shared(a)
}

// sharedRevs are the aggregates, with their Revs, of the older programs whose states
// had one fingerprint for all aggregates.
var sharedRevs = []struct {
	name string
	rev  int
}{{"user_day", 2}, {"user_destination_day", 1}, {"dns_pair", 2}, {"dns_name", 1}}

// shared returns the fingerprint that those programs gave to an aggregate's rows.
// Their rows can be used as long as the aggregate has the same Rev.
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

// stored returns what the state has of a day, in the order of s.aggregates.
func (s *state) stored(ctx context.Context, day detect.Day) ([]storedDay, error) {
	all := make([]storedDay, len(s.aggregates))
	for i, a := range s.aggregates {
		if s.planner.has(a, day) {
			all[i] = storedDay{there: true, fresh: true}
			continue
		}
		done, err := s.aggregate(a).Done(ctx, day.String())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		damaged, ok := errors.AsType[*store.DamagedError](err)
		if d := s.distrusted[partitionKey{s.aggregate(a).Folder, day.String()}]; d != nil {
			damaged, ok = d, true
		}
		if ok {
			all[i] = storedDay{there: true, damaged: damaged}
			continue
		}
		if err != nil {
			return nil, err
		}
		all[i] = storedDay{Done: done, there: true, fresh: s.serves(a, &done)}
	}
	return all, nil
}

// inputsOf returns the objects that a day was folded from: those that all fresh
// partitions list, JudgedOnly ones aside. A log that one partition lacks is new to the
// day. It returns false if there is no such partition.
func (s *state) inputsOf(all []storedDay) (inputs []store.InputRef, ok bool) {
	for i, k := range all {
		switch {
		case !k.fresh || s.aggregates[i].JudgedOnly:
		case !ok:
			inputs, ok = k.Inputs, true
		case !slices.Equal(inputs, k.Inputs): // nearly always they are the same
			listed := make(map[store.InputRef]bool, len(k.Inputs))
			for _, in := range k.Inputs {
				listed[in] = true
			}
			inputs = slices.DeleteFunc(slices.Clone(inputs), func(in store.InputRef) bool { return !listed[in] })
		}
	}
	return inputs, ok
}

// horizon returns how many days of history the detections need.
func (c *Config) horizon() int {
	n := 0
	for _, d := range c.detections {
		n = max(n, d.History)
	}
	return min(n, maxHistory)
}

// horizonOf returns how many days of history the detections need of an aggregate.
func (c *Config) horizonOf(a *detect.Aggregate) int {
	if a.JudgedOnly {
		return 0
	}
	return c.reads(a)
}

// reads returns how many days of history the detections read of an aggregate, if they are
// there.
func (c *Config) reads(a *detect.Aggregate) int {
	n := 0
	for _, d := range c.detections {
		if d.Aggregate == a {
			n = max(n, d.History)
		}
	}
	return min(n, maxHistory)
}

// feedsOn returns the feeds of the logs that have rows of a day, sorted.
func feedsOn(inputs []store.InputRef, day detect.Day) []string {
	feeds := map[string]bool{}
	for _, in := range inputs {
		first, ferr := detect.ParseDay(in.First)
		last, lerr := detect.ParseDay(in.Last)
		if ferr == nil && lerr == nil && first <= day && day <= last && in.Rows > 0 {
			feeds[in.Feed] = true
		}
	}
	return slices.Sorted(maps.Keys(feeds))
}

// maxHistory is the most days of history that a nightly run reads, whatever a profile
// needs.
const maxHistory = 90

// dayGaps are the days of history that detections need of an aggregate, and that the
// state does not have, or has stale.
type dayGaps map[*detect.Aggregate]map[detect.Day]storedDay

func (l dayGaps) add(a *detect.Aggregate, day detect.Day, k storedDay) {
	if l[a] == nil {
		l[a] = map[detect.Day]storedDay{}
	}
	l[a][day] = k
}

// findGaps returns the gaps of the state in the days before first.
func (s *state) findGaps(ctx context.Context, first detect.Day) (dayGaps, error) {
	out := dayGaps{}
	for day := first - detect.Day(s.config.horizon()); day < first; day++ {
		all, err := s.stored(ctx, day)
		if err != nil {
			return nil, err
		}
		for i, a := range s.aggregates {
			if all[i].fresh || day < first-detect.Day(s.config.horizonOf(a)) {
				continue
			}
			out.add(a, day, all[i])
		}
	}
	return out, nil
}

// gapsOf returns what the state has of days, as if all of it were to be folded again: a
// partition is then replaced unless some of its logs are gone.
func (s *state) gapsOf(ctx context.Context, days []detect.Day) (dayGaps, error) {
	out := dayGaps{}
	for _, day := range days {
		all, err := s.stored(ctx, day)
		if err != nil {
			return nil, err
		}
		for i, a := range s.aggregates {
			out.add(a, day, all[i])
		}
	}
	return out, nil
}

// A partitionKey tells which partition of a state one is.
type partitionKey struct{ folder, day string }

// distrust makes the run do without a partition until it is folded again. It returns false
// if it did so before.
func (s *state) distrust(d *store.DamagedError) bool {
	at := partitionKey{d.Folder, d.Day}
	if s.distrusted[at] != nil {
		return false
	}
	s.distrusted[at] = d
	return true
}

// days lists the days with a gap in any aggregate.
func (l dayGaps) days() []detect.Day {
	var out []detect.Day
	for _, days := range l {
		for day := range days {
			out = append(out, day)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// lookFor prints to stderr which days of history will be folded.
func (p *program) lookFor(gaps dayGaps, config *Config) {
	var missing, stale, unread []detect.Day
	var folds []string
	for a, days := range gaps {
		for day, k := range days {
			if k.damaged != nil {
				p.note("%v", k.damaged)
			} else if k.fresh {
				unread = append(unread, day)
			} else if k.there {
				stale = append(stale, day)
				if !a.JudgedOnly { // which is made along with the others
					folds = append(folds, a.Name)
				}
			} else {
				missing = append(missing, day)
			}
		}
	}
	distinct := func(days []detect.Day) int { slices.Sort(days); return len(slices.Compact(days)) }
	if n := distinct(missing); n > 0 {
		p.note("looking for the logs of %s of history that are not in the state yet (%s)", counted(n, "day"), config.State)
	}
	if n := distinct(stale); n > 0 {
		slices.Sort(folds)
		p.note("folding %s of history in the state %s again: %s was folded by another version or with other options", counted(n, "day"), config.State, strings.Join(slices.Compact(folds), ", "))
	}
	if n := distinct(unread); n > 0 {
		p.note("folding %s of history in the state %s again: logs that could not be read can be read now", counted(n, "day"), config.State)
	}
}

// lost reports whether the inputs lack an object with events that the partition of a day was
// folded from, under any name and compressed in any way, or one that has grown since.
// Folding the day again would then lose data.
func lost(before *store.Done, day string, inputs []store.InputRef) bool {
	type stored struct {
		etag string
		size int64
	}
	names, same, length := map[string]bool{}, map[stored]bool{}, map[string]int64{}
	for i := range inputs {
		in := &inputs[i]
		names[in.Name], same[stored{in.ETag, in.Size}] = true, true
		length[in.Content.Head] = max(length[in.Content.Head], in.Content.Length)
	}
	return slices.ContainsFunc(before.Inputs, func(old store.InputRef) bool {
		begins := old.Content.Head != "" && length[old.Content.Head] >= old.Content.Length
		elsewhere := old.First != "" && (old.First > day || old.Last < day)
		return !elsewhere && !names[old.Name] && !(old.ETag != "" && same[stored{old.ETag, old.Size}]) && !begins
	})
}

// stale warns of the days before first that the state has, but not as this run would
// fold them.
func (s *state) stale(ctx context.Context, first detect.Day) error {
	left, err := s.findGaps(ctx, first)
	if err != nil {
		return err
	}
	for _, a := range s.aggregates {
		var days, damaged []detect.Day
		for day, k := range left[a] {
			if k.damaged != nil {
				damaged = append(damaged, day)
			} else if k.there {
				days = append(days, day)
			}
		}
		why := "backfill is off"
		if s.config.Backfill {
			why = "some of their logs no longer exist"
		}
		leftOut := func(days []detect.Day, how string) {
			if len(days) == 0 {
				return
			}
			slices.Sort(days)
			s.warnings = append(s.warnings, fmt.Sprintf("%s of %s is in the state, but %s, and %s: no baseline uses these days. "+
				"Restore their logs, or fold those that are left with outflow backfill --from %s --to %s.", a.Name, spans(days), how, why, days[0], days[len(days)-1]))
		}
		leftOut(days, "was folded by another version or with other options")
		leftOut(damaged, "is damaged")
	}
	return nil
}

// spans formats days, which ascend, as runs of consecutive days.
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
