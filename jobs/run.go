package jobs

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
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
		for chunk := range inARow(days, config.chunk()) {
			if err := s.fold(p.ctx, chunk); err != nil {
				return err
			}
		}
		p.note("folded %d days into %s", len(s.folded), config.State)
		r := &reports.Report{Inputs: s.inputs}
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
		missing, err := s.missing(p.ctx, days[0])
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			p.note("looking for the logs of %d days of history that are not in %s yet", len(missing), config.State)
		}
		for chunk := range inARow(missing, config.chunk()) {
			if err := s.fold(p.ctx, chunk); err != nil {
				return err
			}
		}
	}
	for i := range s.inputs {
		if s.inputs[i].Error != "" {
			p.complain(&s.inputs[i])
		}
	}
	s.inputs = nil // the report accounts for the judged days
	s.judging = true
	for chunk := range inARow(days, config.chunk()) {
		if err := s.fold(p.ctx, chunk); err != nil {
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
	r.Blind = append(silent(config, h, judged, s.inputs), r.Blind...)
	for _, day := range judged {
		if err := s.commitFindings(p.ctx, day, r.Findings); err != nil {
			return err
		}
	}
	name := days[0].String()
	if len(days) > 1 {
		name += "_" + days[len(days)-1].String()
	}
	p.complaints(r)
	if config.seed() {
		job += "-seed"
	}
	if err := p.write(config, job+"/"+name, r); err != nil {
		return err
	}
	return p.verdict(config, r)
}

// assemble judges the days and gathers all that a report says. The report reads
// its tables from h.
func assemble(config *Config, h *history, days []detect.Day, inputs []reports.Input) (*reports.Report, error) {
	r := &reports.Report{
		Version: version(), Profile: config.Profile, Days: days, Inputs: inputs,
		Detections: config.detections,
	}
	if len(days) > 0 {
		r.At = (days[len(days)-1] + 1).Time()
	}
	var err error
	if r.Findings, err = h.judge(config, days); err != nil {
		return nil, err
	}
	worstFirst(r.Findings)
	r.Blind = slices.Concat(blind(config.detections, inputs), unplaced(config, h, inputs), masked(config.detections, inputs), unread(config.detections, inputs), ruleBlind(config, inputs, h.seen))
	last := detect.Day(0)
	if len(days) > 0 {
		last = days[len(days)-1]
	}
	r.Warnings = append(r.Warnings, config.rules.warnings...)
	r.Warnings = append(r.Warnings, allowWarnings(config.Allow, last)...)
	r.Entities = detect.Risk(slices.Concat(r.Findings, h.earlier), last)
	r.Domains = h.rows(detect.DNSPair, days)
	r.Destinations = h.storage(config, days)
	r.Matches = h.rows(detect.RuleDay, days)
	r.Scores = h.rows(detect.DNSScore, days)
	r.UserDays = h.userDays(days)
	r.History = h.span(days)
	return r, nil
}

// write writes the reports under the output folder.
func (p *program) write(config *Config, folder string, r *reports.Report) error {
	out, err := store.Open(p.ctx, config.Out, config.store())
	if err != nil {
		return configError{fmt.Errorf("open the output folder: %w", err)}
	}
	var files []reports.File
	for _, f := range reports.All {
		if slices.Contains(config.Reports, f.Name) {
			files = append(files, f.Files...)
		}
	}
	if err := together(config.Workers, len(files), func(i int) error {
		return writeFile(files[i], r, func(body io.ReadSeeker) error {
			err := out.Put(p.ctx, path.Join(folder, files[i].Name), body, store.Always)
			if err != nil {
				err = configError{fmt.Errorf("write the report to %s: %w", config.Out, err)}
			}
			return err
		})
	}); err != nil {
		return err
	}
	page := ""
	for _, file := range files {
		if page == "" || strings.HasSuffix(file.Name, ".html") {
			page = strings.TrimSuffix(config.Out, "/") + "/" + path.Join(folder, file.Name)
		}
	}
	if !p.quiet {
		if err := reports.Summary(p.stdout, r, p.width, p.colour); err != nil {
			return err
		}
		if page != "" {
			fmt.Fprintf(p.stdout, "\nreport: %s\n", page)
		}
	}
	return nil
}

// writeFile writes a file of the reports and hands it to put: the store takes none
// that it could not read again.
func writeFile(file reports.File, r *reports.Report, put func(body io.ReadSeeker) error) error {
	s := store.NewSpool(spoolBytes)
	defer s.Close()
	w := bufio.NewWriterSize(s, scratchBuffer)
	err := file.Write(w, r)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return fmt.Errorf("write the report %s: %w", file.Name, err)
	}
	return put(s.Reader())
}

// verdict turns what happened into an exit code.
func (p *program) verdict(config *Config, r *reports.Report) error {
	var unread, rows int64
	for i := range r.Inputs {
		if r.Inputs[i].Error != "" {
			unread++
		}
		rows += r.Inputs[i].Rows
	}
	if config.RequireInput && len(r.Inputs) == 0 {
		return exit{exitNoInput, errors.New("no input was found: check the uris of the inputs and the day")}
	}
	if config.Strict && unread > 0 {
		return exit{exitPartial, fmt.Errorf("%d inputs could not be read to their end: see inputs.csv", unread)}
	}
	if config.FailOn != "" {
		level, _ := detect.ParseSeverity(config.FailOn)
		n := 0
		for i := range r.Findings {
			if f := &r.Findings[i]; f.Severity >= level && f.Allowed == "" {
				n++
			}
		}
		if n > 0 {
			return exit{exitFindings, fmt.Errorf("%d findings of severity %s or higher", n, level)}
		}
	}
	return nil
}

// complaints says on stderr what was wrong with the inputs.
func (p *program) complaints(r *reports.Report) {
	for i := range r.Inputs {
		p.complain(&r.Inputs[i])
	}
}

// complain says on stderr, in one line, what was wrong with an input.
func (p *program) complain(in *reports.Input) {
	var faults []string
	if in.Error != "" {
		faults = append(faults, in.Error)
	}
	if in.Skipped > 0 {
		faults = append(faults, fmt.Sprintf("skipped %d of %d records: %s", in.Skipped, in.Records, strings.Join(in.Reasons, "; ")))
	} else {
		faults = append(faults, in.Reasons...)
	}
	if len(faults) > 0 {
		p.note("%s: %s", printable(in.Name), printable(strings.Join(faults, "; ")))
	}
}

// unreadable is the error of a command that prints what it reads, if there was
// nothing that it could. A log that ends early was read up to there.
func unreadable(inputs []reports.Input) error {
	for _, in := range inputs {
		if in.Error == "" || in.Records > 0 || in.Rows > 0 {
			return nil
		}
	}
	if len(inputs) == 0 {
		return badConfig("nothing to read there")
	}
	return exit{exitPartial, errors.New("none of the inputs could be read")}
}
