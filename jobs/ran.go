package jobs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"slices"
	"time"

	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats"
	"outflow/stats/detect"
)

// This file records what became of a run, for those who are not there to see it: run.json
// beside its reports, and the metrics of its job.

// A runRecord is the record of a run while it goes on.
type runRecord struct {
	reports.Run
	config  *Config
	job     string // the folder of the job's reports
	folder  string // the folder of the run's reports
	stageAt time.Time
	before  reports.Requests // of earlier runs of the program
}

// record begins the record of a run. name is that of its folder in the job's.
func (p *program) record(config *Config, job, name string) *runRecord {
	r := &runRecord{config: config, job: job, stageAt: p.now()}
	if config.seed() {
		r.job += "-seed"
	}
	r.folder = path.Join(r.job, name)
	r.Report = &reports.Report{Version: version(), Job: job, Profile: config.Profile}
	r.Started, r.Config = r.stageAt, config.digest()
	r.before = p.made()
	return r
}

// made returns the requests for logs so far.
func (p *program) made() reports.Requests {
	return reports.Requests{Lists: p.requests.Lists.Load(), Gets: p.requests.Gets.Load()}
}

// stage records that a part of the run has ended.
func (r *runRecord) stage(p *program, name string) {
	now := p.now()
	r.Stages = append(r.Stages, reports.Stage{Name: name, Took: now.Sub(r.stageAt)})
	r.stageAt = now
}

// lastWord is how long a run may take to say that it failed: one that is told to stop has
// little time, and what made it fail may keep it from saying so.
const lastWord = 10 * time.Second

// put writes a file that says how the run ended. It does so after an interrupt, too. A run
// that worked takes its time: run.json of a hundred thousand objects has 30 MB.
func (r *runRecord) put(p *program, name string, write func(w io.Writer, before func() ([]byte, error)) error) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.ctx))
	defer cancel()
	soon := func() { time.AfterFunc(lastWord, cancel) }
	defer context.AfterFunc(p.ctx, soon)()
	if r.ExitCode == exitEnvironment {
		soon()
	}
	out, err := p.open(r.config, "output folder", r.config.Out)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := write(&text, func() ([]byte, error) {
		before, err := store.ReadAll(ctx, out, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, configError{fmt.Errorf("read %s of %s: %w", name, r.config.Out, err)}
		}
		return before, nil
	}); err != nil {
		return err
	}
	if err := out.Put(ctx, name, bytes.NewReader(text.Bytes()), store.Always); err != nil {
		return configError{fmt.Errorf("write the report to %s: %w", r.config.Out, err)}
	}
	return nil
}

// write sends the messages and writes run.json of a run that has written its reports and
// ends with err.
func (r *runRecord) write(p *program, report *reports.Report, err error) error {
	r.Report = report
	r.notify(p)
	for _, f := range r.config.files() {
		r.Files = append(r.Files, f.Name)
	}
	return r.file(p, err)
}

func (r *runRecord) file(p *program, err error) error {
	r.Ended, r.ExitCode, r.Error = p.now(), p.exitCode(err), ""
	r.Timeline = p.trace.timeline(r.Started)
	r.Requests = p.made()
	r.Requests.Lists -= r.before.Lists
	r.Requests.Gets -= r.before.Gets
	if err != nil {
		r.Error = err.Error()
	}
	return r.put(p, path.Join(r.folder, reports.RunFile), func(w io.Writer, _ func() ([]byte, error)) error { return r.WriteJSON(w) })
}

// failed writes run.json if the run ends with another error than was written, and returns
// that error. A run that had to give the state up leaves the file to the run that has it.
func (r *runRecord) failed(p *program, err error) error {
	if err != nil && p.lost == nil && err.Error() != r.Error {
		if ferr := r.file(p, err); ferr != nil {
			p.note("%v", ferr)
		}
	}
	return err
}

// unbegun writes the metrics of a job whose run cannot begin because of err, which it returns.
// config has at least the places.
func (p *program) unbegun(config *Config, job string, err error) error {
	if config.Out == "" {
		return err
	}
	return p.ended(p.record(config, job, ""), err)
}

// ended writes the metrics of the job whose last run was r, if its command ends with err,
// and returns the error with which it then ends.
func (p *program) ended(r *runRecord, err error) error {
	r.Ended, r.ExitCode = p.now(), p.exitCode(err)
	var metrics bytes.Buffer
	merr := r.put(p, path.Join(r.job, reports.MetricsFile), func(w io.Writer, before func() ([]byte, error)) error {
		text, err := before()
		if err != nil {
			return err
		}
		return r.WriteMetrics(io.MultiWriter(w, &metrics), text)
	})
	if gateway := r.config.Pushgateway; gateway != "" && merr == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), lastWord)
		defer cancel()
		if err := p.newNotifier().push(ctx, gateway, r.job, metrics.Bytes()); err != nil {
			p.say(slog.LevelWarn, "the metrics were not pushed: "+p.masked(&Notify{URL: gateway}, err.Error()))
		}
	}
	if err != nil && merr != nil {
		p.note("%v", merr)
	}
	if p.logFormat == "json" && !p.quiet {
		p.say(slog.LevelInfo, "run ended", "job", r.Job, "run_id", r.ID(), "exit_code", p.exitCode(cmp.Or(err, merr)), "findings", len(r.Findings), "inputs", len(r.Inputs),
			"seconds", r.Ended.Sub(r.Started).Seconds())
	}
	return cmp.Or(err, merr)
}

// digest identifies what decides what a run finds: the settings, the inputs, the allow
// list, the rules, and the lists of people; not where the state and the reports are, how
// much of the machine the run may use, or how it exits.
func (c *Config) digest() string {
	h := sha256.New()
	e := json.NewEncoder(h)
	for _, s := range c.settings() {
		switch s.key {
		case "state", "out", "reports", "workers", "memory", "late_bytes", "record_bytes", "wait", "s3.endpoint_url", "s3.region", "pushgateway", "strict", "require_input", "fail_on":
		default:
			e.Encode([]string{s.key, s.get()})
		}
	}
	if err := cmp.Or(e.Encode(c.Inputs), e.Encode(c.Allow), e.Encode(c.Placeholders)); err != nil {
		panic(err) // texts, numbers, and lists and maps of them
	}
	fmt.Fprintln(h, c.rules.hash)
	for _, name := range []string{c.Identities, c.Criticality, c.Groups} {
		text, _ := os.ReadFile(name) // it was read before: what cannot be read any more is as if empty
		e.Encode(text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// How the feeds fare is told by the rows of the last judged day and of the days before it.
const (
	// usualDays are four weeks: on a Sunday many feeds have a tenth of a Monday's rows, so
	// a day is compared with its like.
	usualDays = 28
	// With fewer days of its kind it is not known what is usual.
	minUsualDays = 3
	// A feed with fewer rows a day has a tenth of them by chance.
	minUsualRows = 100
	// thinShare is the part of the usual rows below which a feed is thin.
	thinShare = 0.1
)

// feeds tells how the configured feeds fare on judged days, which ascend. quiet are those
// without a row; see silent. late are the days before that were folded again.
func (s *state) feeds(ctx context.Context, judged []detect.Day, quiet []reports.Blind, late []detect.Day) ([]reports.Feed, error) {
	last := judged[len(judged)-1]
	out := feedsOf(s.config, s.inputs, quiet)
	today, err := s.rowsOf(ctx, last)
	if err != nil {
		return nil, err
	}
	before := map[string]bool{}
	usual := map[string][]float64{}
	for day := max(last-usualDays, last-detect.Day(s.config.horizon())); day < last; day++ {
		rows, err := s.rowsOf(ctx, day)
		if err != nil {
			return nil, err
		}
		for feed, n := range rows {
			before[feed] = true
			if weekend(day) == weekend(last) {
				usual[feed] = append(usual[feed], n)
			}
		}
	}
	for i := range s.inputs { // the state names no log that was read in part, but its rows were judged
		in := &s.inputs[i]
		if in.Error != "" && in.CopyOf == "" && hasRowsOn(in, last) {
			today[in.Feed] += float64(in.Rows - in.Outside)
		}
	}
	lateFeeds := map[string]bool{}
	for _, day := range slices.Concat(late, judged) {
		all, err := s.stored(ctx, day)
		if err != nil {
			return nil, err
		}
		for _, k := range all {
			came := make(map[string]bool, len(k.Late))
			for _, name := range k.Late {
				came[name] = true
			}
			for _, in := range k.Inputs {
				if came[in.Name] {
					lateFeeds[in.Feed] = true
				}
			}
		}
	}
	for i := range out {
		f := &out[i]
		f.Rows, f.Usual = int64(today[f.Name]), math.NaN()
		if days := usual[f.Name]; len(days) >= minUsualDays {
			f.Usual = stats.Median(days)
		}
		f.Thin = !f.Silent && f.Usual >= minUsualRows && float64(f.Rows) < thinShare*f.Usual
		f.New = f.Rows > 0 && !before[f.Name] && len(before) > 0
		f.Late = lateFeeds[f.Name]
	}
	return out, nil
}

// feedsOf returns the configured feeds, with what the inputs and quiet tell of them.
func feedsOf(config *Config, inputs []reports.Input, quiet []reports.Blind) []reports.Feed {
	out := make([]reports.Feed, len(config.Inputs))
	for i, in := range config.Inputs {
		out[i] = reports.Feed{Name: in.Name, Usual: math.NaN(), Silent: slices.ContainsFunc(quiet, func(b reports.Blind) bool { return b.Feed == in.Name })}
		for j := range inputs {
			if inputs[j].Feed == in.Name && inputs[j].CopyOf == "" {
				out[i].Rows += inputs[j].Rows - inputs[j].Outside
				out[i].Last = max(out[i].Last, inputs[j].Last)
			}
		}
	}
	return out
}

// missing returns the inputs that the configuration requires and that have no row.
func (c *Config) missing(feeds []reports.Feed) (names []string) {
	for i, f := range feeds {
		if f.Silent && c.Inputs[i].Require {
			names = append(names, f.Name)
		}
	}
	return names
}

// rowsOf returns how many rows the state's partitions of a day were folded from, by feed:
// of an object that has several days, each has its share.
func (s *state) rowsOf(ctx context.Context, day detect.Day) (map[string]float64, error) {
	all, err := s.stored(ctx, day)
	if err != nil {
		return nil, err
	}
	inputs, _ := s.inputsOf(all)
	rows := map[string]float64{}
	for _, in := range inputs {
		first, ferr := detect.ParseDay(in.First)
		last, lerr := detect.ParseDay(in.Last)
		if ferr == nil && lerr == nil && first <= day && day <= last && in.CopyOf == "" && in.Rows > 0 {
			rows[in.Feed] += float64(in.Rows) / float64(last-first+1)
		}
	}
	return rows, nil
}

// thin returns blind spots for the feeds with far fewer rows than usual.
func thin(feeds []reports.Feed, judged []detect.Day) (out []reports.Blind) {
	for _, f := range feeds {
		if f.Thin {
			out = append(out, reports.Blind{Feed: f.Name,
				Why: fmt.Sprintf("Feed %s has %s rows of %s; such a day usually has %s.", f.Name, reports.Count(f.Rows), judged[len(judged)-1],
					reports.Count(int64(f.Usual))),
				Remedy: "Check whether all of its logs were delivered."})
		}
	}
	return out
}

func weekend(d detect.Day) bool {
	w := d.Time().Weekday()
	return w == time.Saturday || w == time.Sunday
}
