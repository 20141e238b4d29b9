package jobs

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"outflow/reports"
	"outflow/stats/detect"
)

// backfillChunk is how many days are folded in one pass where the dates in an
// input's URI tell which objects that takes. More would hold more tables in
// memory; fewer would read the objects at the chunks' edges more often.
const backfillChunk = 7

func (p *program) runCommand() *cobra.Command {
	var day, from, to, at string
	c := &cobra.Command{
		Use:   "run JOB",
		Short: "run a job of the configuration: nightly or hourly-dns",
		Long: "run nightly folds the day's logs into the state, judges the day by the days before it, and writes the\n" +
			"reports. Without --day it judges yesterday (UTC). Running a day again replaces it.\n\n" +
			"run hourly-dns judges the DNS queries of the hour that ended ten minutes ago, or before --at: from 70 to 10\n" +
			"minutes before, at whole minutes. It leaves no state and may run beside the nightly job.",
		Args: cobra.ExactArgs(1), ValidArgs: []string{"nightly", "hourly-dns"},
	}
	c.Flags().StringVar(&day, "day", "", "judge this `day`, as in 2026-11-20")
	c.Flags().StringVar(&from, "from", "", "judge from this `day` on")
	c.Flags().StringVar(&to, "to", "", "judge up to this `day`")
	c.Flags().StringVar(&at, "at", "", "run as if it were this `time` (RFC 3339): judges the day or the hour before it")
	c.MarkFlagsMutuallyExclusive("day", "from")
	c.MarkFlagsMutuallyExclusive("day", "at")
	c.MarkFlagsRequiredTogether("from", "to")
	load := p.withConfig(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		// A script whose variable is unset must not get another day than it meant.
		for _, name := range []string{"day", "from", "to", "at"} {
			if f := c.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
				return badConfig("--%s is empty: give it a value, or leave it out", name)
			}
		}
		config, err := load()
		if err != nil {
			return err
		}
		if args[0] != "nightly" && args[0] != "hourly-dns" {
			return badConfig("job %q: want nightly or hourly-dns", args[0])
		}
		now := p.now()
		if at != "" {
			if now, err = time.Parse(time.RFC3339, at); err != nil {
				return badConfig("--at %q: want a time like 2026-11-21T02:00:00Z", at)
			}
		}
		if args[0] == "hourly-dns" {
			if day != "" || from != "" {
				return badConfig("hourly-dns judges an hour: give it --at, not a day")
			}
			return p.hourlyDNS(config, args[0], now)
		}
		days, err := dayRange(cmp.Or(day, from), cmp.Or(day, to), detect.DayOf(now.UnixMicro())-1)
		if err != nil {
			return err
		}
		return p.nightly(config, args[0], days)
	}
	return c
}

func (p *program) backfillCommand() *cobra.Command {
	var from, to string
	c := &cobra.Command{
		Use:   "backfill --from DAY --to DAY",
		Short: "fold past days into the state, without judging them",
		Args:  cobra.NoArgs,
	}
	c.Flags().StringVar(&from, "from", "", "first `day`, as in 2026-11-20")
	c.Flags().StringVar(&to, "to", "", "last `day`")
	c.MarkFlagRequired("from")
	c.MarkFlagRequired("to")
	load := p.withConfig(c)
	c.RunE = func(*cobra.Command, []string) error {
		config, err := load()
		if err != nil {
			return err
		}
		days, err := dayRange(from, to, 0)
		if err != nil {
			return err
		}
		s, err := p.openState(config)
		if err != nil {
			return err
		}
		history := slices.DeleteFunc(slices.Clone(s.aggregates), func(a *detect.Aggregate) bool { return a.JudgedOnly })
		for chunk := range inARow(days, config.chunk()) {
			if err := s.fold(p.ctx, chunk, history, nil); err != nil {
				return err
			}
		}
		r := &reports.Report{Inputs: s.inputs}
		if !p.quiet { // else the verdict says it
			p.incomplete(r.Inputs)
		}
		p.note("folded %d days into %s", len(s.folded), config.State)
		p.complaints(r)
		return p.verdict(config, r)
	}
	return c
}

// chunk is how many days are folded in one pass. Without dates in the URIs of the
// inputs each pass would read every object, so there is only one.
func (c *Config) chunk() int {
	if slices.ContainsFunc(c.Inputs, func(in *Input) bool { return strings.Contains(in.URI, "{") }) {
		return backfillChunk
	}
	return math.MaxInt
}

// inARow yields the days, which ascend, in runs of at most size that follow one
// another: folding a span decodes all the logs in it.
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

// dayRange returns the days from … to, or the one given by default.
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
	if last < first {
		return nil, badConfig("the last day %s is before the first, %s", last, first)
	}
	var days []detect.Day
	for d := first; d <= last; d++ {
		days = append(days, d)
	}
	return days, nil
}

// nightly folds the days, and the history that is missing, judges them, and
// writes the reports.
func (p *program) nightly(config *Config, job string, days []detect.Day) error {
	s, err := p.openState(config)
	if err != nil {
		return err
	}
	if config.Backfill {
		lacks, err := s.lacking(p.ctx, days[0])
		if err != nil {
			return err
		}
		missing := lacks.days()
		p.lookFor(lacks, config)
		aggregates := slices.DeleteFunc(slices.Clone(s.aggregates), func(a *detect.Aggregate) bool { return lacks[a] == nil })
		for chunk := range inARow(missing, config.chunk()) {
			if err := s.fold(p.ctx, chunk, aggregates, lacks); err != nil {
				return err
			}
		}
	}
	if before := reports.Incomplete(s.inputs); before != "" {
		s.warnings = append(s.warnings, "History is incomplete, and so is what counts as normal. "+before)
	}
	for i := range s.inputs {
		if s.inputs[i].Status.Incomplete() {
			p.complain(&s.inputs[i])
		}
	}
	// The report accounts for the judged days, and says what is there twice.
	s.inputs = slices.DeleteFunc(s.inputs, func(in reports.Input) bool { return in.CopyOf == "" })
	if err := s.stale(p.ctx, days[0]); err != nil {
		return err
	}
	for chunk := range inARow(days, config.chunk()) {
		if err := s.fold(p.ctx, chunk, s.aggregates, nil); err != nil {
			return err
		}
	}
	if err := s.tooLate(p.ctx, days[0]); err != nil {
		return err
	}
	late, err := s.late(p.ctx, days[0])
	if err != nil {
		return err
	}
	for _, day := range late {
		s.warnings = append(s.warnings, fmt.Sprintf("Logs of %s arrived late: the day was folded and judged again.", day))
	}
	judged := append(late, days...)

	p.collect(judgingGarbage)
	h, err := s.history(p.ctx, judged)
	defer h.close()
	if err != nil {
		return err
	}
	r, err := assemble(config, h, judged, s.inputs)
	if err != nil {
		return err
	}
	r.Job = job
	r.Warnings = append(s.warnings, r.Warnings...)
	r.Blind = append(silent(config, h, judged, s.inputs, "of "+spanOf(judged)), r.Blind...)
	for _, day := range judged {
		if err := s.commitFindings(p.ctx, day, r.Findings); err != nil {
			return err
		}
	}
	name := days[0].String()
	if len(days) > 1 {
		name += "_" + days[len(days)-1].String()
	}
	if config.seed() {
		job += "-seed"
	}
	if err := p.write(config, job+"/"+name, r); err != nil {
		return err
	}
	p.complaints(r)
	return p.verdict(config, r)
}
