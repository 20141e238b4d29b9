package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// backfillChunk is how many days are folded in one pass if the dates in an input's URI
// tell which objects they need. More would hold more tables in memory; fewer would
// read the objects at the edges of the chunks more often.
const backfillChunk = 7

func (p *program) runCommand() *cobra.Command {
	var day, from, to, at string
	c := &cobra.Command{
		Use:   "run JOB",
		Short: "run a job of the configuration: nightly or hourly-dns",
		Long: "run nightly adds the day's logs to the state, judges the day by the days before it, and writes the\n" +
			"reports. Without --day it judges yesterday (UTC). Running a day again replaces it.\n\n" +
			"run hourly-dns judges the DNS queries of one hour: from 70 to 10 minutes before now, or before --at, at whole\n" +
			"minutes. It writes no state and may run beside the nightly job. With --at hour, a run that starts late judges\n" +
			"the same hour as one in time.",
		Example: "  outflow run nightly --config outflow.yaml\n  outflow run nightly --config outflow.yaml --day 2026-11-20\n" +
			"  outflow run hourly-dns --config outflow.yaml --at hour",
		Args: cobra.ExactArgs(1), ValidArgs: []string{"nightly", "hourly-dns"},
	}
	c.Flags().StringVar(&day, "day", "", "judge this `day`, as in 2026-11-20")
	c.Flags().StringVar(&from, "from", "", "judge from this `day` on")
	c.Flags().StringVar(&to, "to", "", "judge up to this `day`")
	c.Flags().StringVar(&at, "at", "", "run as if it were this `time` (RFC 3339, or hour: the last whole hour): judges the day or the hour before it")
	checkPeriod(c)
	load := p.withConfig(c)
	p.withVerbose(c)
	form := bindAs(c, "text", "json")
	dry := bindDryRun(c)
	// asked returns what the flags ask for: the time as which the job runs, and the nightly job's days.
	asked := func(job string, now time.Time) (time.Time, []detect.Day, error) {
		// A script with an unset variable must not get another day than it meant.
		for _, name := range []string{"day", "from", "to", "at"} {
			if f := c.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
				return now, nil, badConfig("--%s is empty: give it a value, or leave it out", name)
			}
		}
		switch {
		case at == "hour":
			now = now.Truncate(time.Hour)
		case at != "":
			var err error
			if now, err = time.Parse(time.RFC3339, at); err != nil {
				return now, nil, badConfig("--at %q: want a time like 2026-11-21T02:00:00Z, or hour", at)
			}
		}
		if job == "hourly-dns" {
			if day != "" || from != "" {
				return now, nil, badConfig("hourly-dns judges an hour: give it --at, not a day")
			}
			return now, nil, nil
		}
		days, err := p.daysNamed(cmp.Or(day, from), cmp.Or(day, to), detect.DayOf(now.UnixMicro())-1)
		return now, days, err
	}
	c.RunE = func(_ *cobra.Command, args []string) error {
		as, err := form()
		if err != nil {
			return err
		}
		p.json = as == "json"
		job := args[0]
		if !slices.Contains(c.ValidArgs, job) {
			return badConfig("job %q: want %s%s", job, strings.Join(c.ValidArgs, " or "), didYouMean(job, c.ValidArgs))
		}
		now, days := p.now(), []detect.Day(nil)
		config, err := load()
		if err == nil {
			now, days, err = asked(job, now)
		}
		named := day != "" || from != ""
		switch {
		case err != nil && *dry:
			return err
		case err != nil:
			return p.unbegun(config, job, err)
		case job == "hourly-dns" && *dry:
			return p.dryHour(config, job, now)
		case job == "hourly-dns":
			return p.hourlyDNS(config, job, now)
		case *dry:
			return p.dryNights(config, job, days, named)
		}
		n := nightOf(days)
		n.Named = named
		return p.nightly(config, n, nil)
	}
	return c
}

func (p *program) backfillCommand() *cobra.Command {
	var from, to string
	c := &cobra.Command{
		Use:     "backfill --from DAY --to DAY",
		Short:   "build baselines for past days; no findings",
		Args:    cobra.NoArgs,
		Example: "  outflow backfill --config outflow.yaml --from 2026-10-01 --to 2026-11-19",
	}
	c.Flags().StringVar(&from, "from", "", "first `day`, as in 2026-11-20")
	c.Flags().StringVar(&to, "to", "", "last `day`")
	c.MarkFlagRequired("from")
	c.MarkFlagRequired("to")
	load := p.withConfig(c, except("out", "reports", "fail_on", "catch_up", "backfill", "late_bytes", "record_bytes")...)
	p.withVerbose(c)
	form := bindAs(c, "text", "json")
	dry := bindDryRun(c)
	c.RunE = func(*cobra.Command, []string) error {
		as, err := form()
		if err != nil {
			return err
		}
		if p.json = as == "json"; p.json && !*dry {
			return badConfig("--as json is for --dry-run: backfill itself prints no result")
		}
		config, err := load()
		if err != nil {
			return err
		}
		days, err := p.daysNamed(from, to, 0)
		if err != nil {
			return err
		}
		if *dry {
			return p.dryBackfill(config, days)
		}
		s, err := p.openState(config, "backfill "+spanOf(days))
		if err != nil {
			return err
		}
		defer s.close()
		defer s.sweep()
		history := slices.DeleteFunc(slices.Clone(s.aggregates), func(a *detect.Aggregate) bool { return a.JudgedOnly && config.reads(a) == 0 })
		for chunk := range inARow(days, config.chunk()) {
			if err := s.fold(p.ctx, chunk, history, nil); err != nil {
				return err
			}
		}
		r := &reports.Report{Inputs: s.inputs}
		if !p.quiet { // otherwise verdict prints it
			p.incomplete(r.Inputs)
		}
		p.note("folded %s into %s", counted(len(s.folded), "day"), config.State)
		p.complaints(r.Inputs, false)
		return p.verdict(config, r)
	}
	return c
}

// chunk returns how many days are folded in one pass. Without dates in the URIs, each
// pass would read every object, so there is only one pass.
func (c *Config) chunk() int {
	if slices.ContainsFunc(c.Inputs, (*Input).daily) {
		return backfillChunk
	}
	return math.MaxInt
}

// inARow yields the days, which ascend, in runs of at most size consecutive days:
// folding a span decodes all logs in it.
func inARow(days []detect.Day, size int) iter.Seq[[]detect.Day] {
	return func(yield func([]detect.Day) bool) {
		for len(days) > 0 {
			n := 1
			for n < min(len(days), size) && days[n] == days[n-1]+1 {
				n++
			}
			if !yield(days[:n:n]) {
				return
			}
			days = days[n:]
		}
	}
}

// Bounds of the days that a command takes.
const (
	maxDays  = 3660
	maxAhead = 366 // behind today: the clock of a machine may be slow, but not by years
)

// daysNamed is dayRange for days that somebody typed and that are written to the state. A
// mistyped year would be its newest day, by which keep counts, and owe a report for ever.
func (p *program) daysNamed(from, to string, otherwise detect.Day) ([]detect.Day, error) {
	days, err := dayRange(from, to, otherwise)
	if err != nil {
		return nil, err
	}
	switch last, today := days[len(days)-1], detect.DayOf(p.now().UnixMicro()); {
	case last > today+maxAhead:
		return nil, badConfig("%s is far in the future: it is %s (UTC)", last, today)
	case last > today:
		p.note("%s has not begun: it is %s (UTC)", last, today)
	}
	return days, nil
}

// dayRange returns the days from … to, or the day otherwise if from is empty.
func dayRange(from, to string, otherwise detect.Day) ([]detect.Day, error) {
	first, last := otherwise, otherwise
	if from != "" {
		var err error
		if first, err = detect.ParseDay(from); err != nil {
			return nil, configError{err}
		}
		if last, err = detect.ParseDay(to); err != nil {
			return nil, configError{err}
		}
	}
	switch {
	case last < first:
		return nil, badConfig("the last day %s is before the first, %s", last, first)
	case last-first >= maxDays:
		return nil, badConfig("%s to %s: want up to %d days", first, last, maxDays)
	}
	var days []detect.Day
	for d := first; d <= last; d++ {
		days = append(days, d)
	}
	return days, nil
}

// nightly judges the night now, and before it the nights that are due. stages, if not nil,
// have folded what was planned for them. A night that fails does not keep the others from being
// judged; it stays due.
func (p *program) nightly(config *Config, now night, stages *stages) error {
	const job = "nightly"
	if err := p.checkOut(config); err != nil {
		return err
	}
	run := p.record(config, job, now.name())
	s, err := p.openState(config, job+" "+spanOf(now.days))
	if err != nil {
		return p.ended(run, err)
	}
	s.stages = stages
	defer s.close()
	if stages != nil {
		if err := stages.there(p.ctx); err != nil {
			return err
		}
	}
	defer s.sweep()
	all, err := s.readNights(p.ctx)
	if err != nil {
		return p.ended(run, err)
	}
	var result, others error
	for _, n := range s.due(all, now) {
		run = p.record(config, job, n.name())
		err := s.night(p.ctx, run, &n, n.name() != now.name())
		switch {
		case p.ctx.Err() != nil:
			return p.ended(run, err)
		case n.name() == now.name():
			result = err
		case err != nil:
			p.note("night %s: %v", n.name(), err)
			others = cmp.Or(others, err)
		}
	}
	return p.ended(run, cmp.Or(result, others))
}

// night folds the days of a night and missing history, judges the days, and writes the
// reports. The partitions of an old night are not replaced if some of their logs are gone.
func (s *state) night(ctx context.Context, run *runRecord, n *night, old bool) (err error) {
	p, config, days := s.p, s.config, n.days
	defer func() { err = run.failed(p, err) }()
	s.begin()
	n.Owed = true
	if err := s.putNight(ctx, n); err != nil {
		return err
	}
	if err := s.foldNight(ctx, n, old); err != nil {
		return err
	}
	if err := s.lookBack(ctx, n); err != nil {
		return err
	}
	if err := s.foldLate(ctx, n); err != nil {
		return err
	}
	again, err := s.judgedAgain(ctx, n)
	if err != nil {
		return err
	}
	judged := append(again, days...)
	slices.SortFunc(s.inputs, inputOrder)

	if err := s.compact(ctx, days[0], days[len(days)-1]); err != nil {
		return err
	}
	run.stage(p, "fold")
	h, r, err := s.judge(ctx, n, judged)
	defer func() { h.close() }()
	if err != nil {
		return err
	}
	run.stage(p, "judge")
	r.Job = run.Job
	if len(n.Again) > 0 {
		s.warnings = append(s.warnings, fmt.Sprintf("Because of late logs, %s judged again has findings that it did not have before. Those that an earlier night has reported are marked.", strings.Join(n.Again, ", ")))
	}
	copies := blindToCopies(s.uncompared)
	for _, b := range copies {
		s.warnings = append(s.warnings, b.Why)
	}
	r.Warnings = append(s.warnings, r.Warnings...)
	quiet := silent(config, h, r.Days, s.inputs, "of "+spanOf(r.Days))
	if r.Feeds, err = s.feeds(ctx, r.Days, quiet, n.late()); err != nil {
		return err
	}
	r.Blind = slices.Concat(copies, quiet, thin(r.Feeds, r.Days), r.Blind)
	for _, day := range judged {
		if err := s.commitFindings(ctx, day, h.found); err != nil {
			return err
		}
	}
	r.HistoryLacks = s.lacking
	objects := map[string]*source{}
	for name, o := range s.read {
		objects[name] = o.source
	}
	r.Blind = append(overlaps(ctx, r.Inputs, objects), r.Blind...)
	if r.Records, err = p.recordsBehind(config, r.Findings, objects); err != nil {
		return err
	}
	if err := p.write(config, run.folder, r); err != nil {
		return err
	}
	run.stage(p, "report")
	p.complaints(r.Inputs, true)
	result := p.verdict(config, r)
	if err := run.write(p, r, result); err != nil {
		return err
	}
	if err := s.writeIndex(ctx, path.Dir(run.folder), n); err != nil {
		return err
	}
	n.Owed = false
	return cmp.Or(s.putNight(ctx, n), result)
}

// foldNight folds the days of a night, and the history that the state lacks.
func (s *state) foldNight(ctx context.Context, n *night, old bool) (err error) {
	if s.config.Backfill {
		if err := s.foldHistory(ctx, n.days[0]); err != nil {
			return err
		}
	}
	if err := s.stale(ctx, n.days[0]); err != nil {
		return err
	}
	for chunk := range inARow(n.days, s.config.chunk()) {
		var gaps dayGaps
		if old {
			if gaps, err = s.gapsOf(ctx, chunk); err != nil {
				return err
			}
		}
		if err := s.fold(ctx, chunk, s.aggregates, gaps); err != nil {
			return err
		}
	}
	return nil
}

// missing returns the gaps of the state before first, without the days that were judged
// without any log: logs that these have now came late. What only judged days must have is made for
// the others too, as far as detections read it, since their logs are read anyway.
func (s *state) missing(ctx context.Context, first detect.Day) (dayGaps, error) {
	gaps, err := s.findGaps(ctx, first)
	if err != nil {
		return nil, err
	}
	for _, day := range gaps.days() {
		all, err := s.stored(ctx, day)
		if err != nil {
			return nil, err
		}
		judged, err := s.wasJudged(ctx, day)
		if err != nil {
			return nil, err
		}
		if judged && !slices.ContainsFunc(all, func(k storedDay) bool { return k.there }) {
			for _, days := range gaps {
				delete(days, day)
			}
			continue
		}
		for i, a := range s.aggregates {
			if a.JudgedOnly && !all[i].fresh && day >= first-detect.Day(s.config.reads(a)) {
				gaps.add(a, day, all[i])
			}
		}
	}
	maps.DeleteFunc(gaps, func(_ *detect.Aggregate, days map[detect.Day]storedDay) bool { return len(days) == 0 })
	return gaps, nil
}

// foldHistory folds the days of history before first that the state lacks.
func (s *state) foldHistory(ctx context.Context, first detect.Day) error {
	gaps, err := s.missing(ctx, first)
	if err != nil {
		return err
	}
	if err := s.addUnread(ctx, first, gaps); err != nil {
		return err
	}
	s.p.lookFor(gaps, s.config)
	aggregates := slices.DeleteFunc(slices.Clone(s.aggregates), func(a *detect.Aggregate) bool { return gaps[a] == nil })
	before := s.inputs
	s.inputs = nil
	for chunk := range inARow(gaps.days(), s.config.chunk()) {
		if err := s.fold(ctx, chunk, aggregates, gaps); err != nil {
			return err
		}
	}
	if text := reports.Incomplete(s.inputs); text != "" {
		s.warnings = append(s.warnings, "History is incomplete, and so are the baselines. "+text)
		s.lacking = "history is incomplete: " + firstUnread(s.inputs)
	}
	s.p.complaints(s.inputs, true) // the warning has counted them
	// The report lists the inputs of the judged days, and copies.
	s.inputs = append(before, slices.DeleteFunc(s.inputs, func(in reports.Input) bool { return in.CopyOf == "" })...)
	return nil
}

// judge judges days with a night, by what the state has. A damaged partition of the history
// costs its day, unless its logs are still there.
func (s *state) judge(ctx context.Context, n *night, days []detect.Day) (*history, *reports.Report, error) {
	for {
		end := s.p.trace.stage(scoreStage)
		h, err := s.history(ctx, days)
		var r *reports.Report
		if err == nil {
			h.found, err = h.judge(s.config, days)
		}
		if err == nil {
			h.untold, err = s.tell(ctx, n, days, h.found)
		}
		if err == nil {
			r, err = h.report(s.config, days, s.inputs)
		}
		end()
		damaged, ok := errors.AsType[*store.DamagedError](err)
		if err == nil || !ok || !s.distrust(damaged) {
			return h, r, err
		}
		h.close()
		if s.config.Backfill {
			if err := s.foldHistory(ctx, days[0]); err != nil {
				return h, nil, err
			}
		}
	}
}
