package jobs

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"slices"
	"strings"

	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// This file turns judged days into reports and the exit code.

// assemble judges the days and collects everything that a report says. The report
// reads its tables from h.
func assemble(config *Config, h *history, days []detect.Day, inputs []reports.Input) (r *reports.Report, err error) {
	if h.found, err = h.judge(config, days); err != nil {
		return nil, err
	}
	return h.report(config, days, inputs)
}

// report collects everything that a report says of judged days, but those in h.untold.
func (h *history) report(config *Config, all []detect.Day, inputs []reports.Input) (*reports.Report, error) {
	days := slices.DeleteFunc(slices.Clone(all), func(day detect.Day) bool { return h.untold[day] })
	r := &reports.Report{
		Version: version(), Profile: config.Profile, Days: days, Inputs: inputs,
		Detections: config.detections, Group: config.group,
	}
	if len(days) > 0 {
		r.At = (days[len(days)-1] + 1).Time()
	}
	r.Findings = slices.DeleteFunc(slices.Clone(h.found), func(f detect.Finding) bool { return h.untold[f.Day] })
	detect.SortFindings(r.Findings)
	lacking := short(config, h, days)
	r.Judged = judged(config, h, inputs, lacking)
	r.Blind = slices.Concat(misread(inputs), unattributed(inputs), blind(config.detections, config.formats, inputs), joined(unplaced(config, h, inputs)), uncounted(config, h, inputs), masked(config.detections, config.formats, inputs), unread(config.detections, config.formats, inputs), ruleBlind(config, inputs, h.seen), shortBlind(lacking), unidentified(inputs))
	last := detect.Day(0)
	if len(days) > 0 {
		last = days[len(days)-1]
	}
	r.Warnings = append(r.Warnings, config.rules.warnings...)
	r.Warnings = append(r.Warnings, allowWarnings(config.Allow, last)...)
	if !config.seed() { // it takes names as they are
		users, err := h.namesakes(days)
		if err != nil {
			return nil, err
		}
		r.Warnings = append(r.Warnings, users.warnings()...)
	}
	known := slices.Concat(h.found, h.earlier)
	r.Entities = config.risk(known, last)
	nights := slices.DeleteFunc(slices.Concat(h.earlierDays, all), func(day detect.Day) bool { return day > last })
	slices.Sort(nights)
	detect.Streaks(r.Entities, known, nights)
	r.Earlier, r.EarlierDays = h.earlier, h.earlierDays
	r.Domains = h.rows(detect.DNSPair, days)
	r.Destinations = h.storage(config, days)
	r.Matches = h.rows(detect.RuleDay, days)
	r.Scores = h.rows(detect.DNSScore, days)
	r.UserDays = h.userDays(all)
	r.Beacons = slices.DeleteFunc(h.beacons, func(b detect.Beacon) bool { return h.untold[b.Day] })
	r.History = h.daysBefore(days)
	return r, nil
}

// checkOut returns why the reports of a run cannot be written, before it has taken its time.
func (p *program) checkOut(config *Config) error {
	if err := store.Writable(config.Out); err != nil {
		return configError{fmt.Errorf("write the report to %s: %w", config.Out, err)}
	}
	return nil
}

// write writes the reports under the output folder.
func (p *program) write(config *Config, folder string, r *reports.Report) error {
	out, err := p.open(config, "output folder", config.Out)
	if err != nil {
		return err
	}
	if _, err := out.Tidy(p.ctx, folder, store.Shallow); err != nil {
		return configError{fmt.Errorf("write the report to %s: %w", config.Out, err)}
	}
	defer p.trace.stage(reportStage)()
	r.Flags = p.finders(config)
	files := config.files()
	if err := together(config.Workers, len(files), func(i int) error {
		defer p.trace.task("write " + files[i].Name)()
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
	if err := p.remember(config, out, folder, r); err != nil {
		return configError{fmt.Errorf("write the report to %s: %w", config.Out, err)}
	}
	page := ""
	for _, file := range files {
		if page == "" || strings.HasSuffix(file.Name, ".html") {
			page = strings.TrimSuffix(config.Out, "/") + "/" + path.Join(folder, file.Name)
		}
	}
	if p.json {
		if err := p.printJSON(runFormOf(r, page)); err != nil && !errors.Is(err, errPipe) {
			return err
		}
		return nil
	}
	if !p.quiet {
		if err := reports.Summary(p.stdout, r, reports.Terminal{Width: p.width, Colour: p.colour, All: p.verbose}); err != nil && !errors.Is(err, errPipe) { // the reports are there
			return err
		}
		if page != "" {
			fmt.Fprintf(p.stdout, "\nreport: %s\n", printable(page))
		}
		p.next(config, r)
	}
	return nil
}

// files returns the files of the reports that the configuration names.
func (c *Config) files() (files []reports.File) {
	for _, f := range reports.All {
		if slices.Contains(c.Reports, f.Name) {
			files = append(files, f.Files...)
		}
	}
	return files
}

// reportBuffer is how many bytes of a report are written at once.
const reportBuffer = 32 << 10

// writeFile writes a file of the reports and passes it to put. The store needs a body
// that it can read again.
func writeFile(file reports.File, r *reports.Report, put func(body io.ReadSeeker) error) error {
	s := store.NewSpool(spoolBytes)
	defer s.Close()
	w := bufio.NewWriterSize(s, reportBuffer)
	err := file.Write(w, r)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return fmt.Errorf("write the report %s: %w", file.Name, err)
	}
	return put(s.Reader())
}

// verdict returns the error that gives the exit code of the run.
func (p *program) verdict(config *Config, r *reports.Report) error {
	if config.RequireInput && len(r.Inputs) == 0 {
		return exit{exitNoInput, errors.New("no input was found: check the day and the uris of the inputs")}
	}
	if missing := config.missing(r.Feeds); len(missing) > 0 {
		return exit{exitNoInput, fmt.Errorf("required inputs have no row of the judged time: %s", strings.Join(missing, ", "))}
	}
	if incomplete := cmp.Or(reports.Incomplete(r.Inputs), r.HistoryLacks); config.Strict && incomplete != "" {
		return exit{exitPartial, errors.New(strings.TrimSuffix(incomplete, "."))}
	}
	if p.quiet { // there was no summary
		p.incomplete(r.Inputs)
	}
	if config.FailOn != "" {
		level, _ := detect.ParseSeverity(config.FailOn)
		n := 0
		for i := range r.Findings {
			if f := &r.Findings[i]; f.Severity >= level && f.Allowed == "" && !f.Reported {
				n++
			}
		}
		if n > 0 {
			return exit{exitFindings, fmt.Errorf("%s of severity %s or higher", counted(n, "finding"), level)}
		}
	}
	return nil
}

// incomplete prints to stderr that objects were not read, even in a quiet run: their
// content was not judged.
func (p *program) incomplete(inputs []reports.Input) {
	if headline := reports.Incomplete(inputs); headline != "" {
		p.say(slog.LevelWarn, headline)
	}
	if none := reports.NoLogs(inputs); none != "" {
		p.note("%s", none)
	}
}

// firstUnread names the first of the inputs that was not read, and says why.
func firstUnread(inputs []reports.Input) string {
	for i := range inputs {
		if in := &inputs[i]; in.Status.Incomplete() {
			return complaint(in)
		}
	}
	return ""
}

// fewFaults is how many faulty inputs are listed without being asked for.
const fewFaults = 3

// complaints prints to stderr what was wrong with the inputs: each in a line if they are
// few or if that is asked for, and otherwise how many records were skipped and why. told
// says that a summary has done the latter.
func (p *program) complaints(inputs []reports.Input, told bool) {
	var lines []string
	for i := range inputs {
		if text := complaint(&inputs[i]); text != "" {
			lines = append(lines, text)
		}
	}
	if told && !p.verbose {
		return
	}
	if !p.verbose && len(lines) > fewFaults {
		if text := reports.Skips(inputs); text != "" {
			p.note("%s", text)
		}
		p.note("%s had faults; to list them: -v", counted(len(lines), "log"))
		return
	}
	for _, line := range lines {
		p.note("%s", line)
	}
}

// complaint says in one line what was wrong with an input, or "".
func complaint(in *reports.Input) string {
	var faults []string
	if in.Error != "" && in.Status != reports.NoLog {
		faults = append(faults, in.Error)
	}
	if in.Status == reports.Unnamed && in.Records > 0 {
		faults = append(faults, fmt.Sprintf("%s knows none of the kinds of its %s", in.Format, counted(int(in.Records), "record")))
	}
	if in.Skipped > 0 {
		faults = append(faults, fmt.Sprintf("skipped %s of %s: %s", reports.Count(in.Skipped), counted(int(in.Records), "record"), strings.Join(in.Reasons, "; ")))
	}
	if in.Status == reports.Malformed && in.Skipped == 0 {
		for i := range in.Unread {
			faults = append(faults, in.Unread[i].Describe(""))
		}
	}
	if len(faults) == 0 {
		return ""
	}
	return printable(in.Name + ": " + strings.Join(faults, "; "))
}

// unreadable returns the error of a command that prints logs if none could be read. A
// log that ends early was read up to there.
func unreadable(inputs []reports.Input) error {
	for _, in := range inputs {
		if in.Error == "" || in.Records > 0 || in.Rows > 0 {
			return nil
		}
	}
	if len(inputs) == 0 {
		return badConfig("no logs found")
	}
	return exit{exitPartial, errors.New("none of the inputs could be read")}
}
