package reports

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"outflow/stats/detect"
)

// This file writes what a run says of itself: run.json for scripts, and metrics for
// Prometheus.

// The names of the files, relative to a run's and to a job's folder of reports.
const (
	RunFile     = "run.json"
	MetricsFile = "outflow.prom"
)

// A Run is a run of a job that has ended, or could not go on.
type Run struct {
	// Report is what it found. If it failed before that, only Version, Job, Profile and
	// Days are set.
	*Report
	Started, Ended time.Time
	Stages         []Stage
	Timeline       []Phase
	ExitCode       int
	Error          string // why ExitCode is not 0; from logs in part
	Config         string // digest of the configuration that decides what is found
	Files          []string
	Notified       []Notified
	Requests       Requests
}

// Requests are those to S3 for logs and their listings.
type Requests struct {
	Lists int64 `json:"list"`
	Gets  int64 `json:"get"`
}

// A Stage is a part of a run.
type Stage struct {
	Name string // "fold", "judge" or "report"
	Took time.Duration
}

// A Phase is what a run did for some time, with how much of the machine it kept busy.
type Phase struct {
	Name string // "list", "fold" (which decodes too), "drain", "merge", "score" or "report"
	Took time.Duration
	Busy time.Duration // the processor time of the program; 0 where the system does not tell
}

// Cores returns how many cores were busy on average.
func (p *Phase) Cores() float64 {
	if p.Took <= 0 {
		return 0
	}
	return p.Busy.Seconds() / p.Took.Seconds()
}

// A Notified is a message that was due.
type Notified struct {
	To    string // the name of the channel
	Error string // why it was not sent; "" if it was
}

// A Feed tells how a configured feed fares.
type Feed struct {
	Name  string
	Rows  int64   // of the judged time
	Usual float64 // the median of such days before; NaN if that is not known
	Last  int64   // µs UTC of the last row; 0: none
	// Silent: no row of the judged time. Thin: less than a tenth of the usual rows. New:
	// no row on any earlier day. Late: logs came after the day had been folded.
	Silent, Thin, New, Late bool
}

// health lists the words for what is odd about a feed.
func (f *Feed) health() []string {
	words := []string{}
	for _, h := range f.healths() {
		if h.is {
			words = append(words, h.word)
		}
	}
	return words
}

func (f *Feed) healths() [4]struct {
	word string
	is   bool
} {
	return [4]struct {
		word string
		is   bool
	}{{"silent", f.Silent}, {"thin", f.Thin}, {"new", f.New}, {"late", f.Late}}
}

// succeeded reports whether a run did what it had to: what it found does not count as a
// failure.
func (r *Run) succeeded() bool { return r.ExitCode == 0 || r.ExitCode == 10 }

// ID identifies the result of a run: running the same days again with the same result
// gives the same one.
func (r *Run) ID() string {
	h := sha256.New()
	e := json.NewEncoder(h) // of texts and numbers: it cannot fail
	e.Encode([]any{r.Job, r.Profile, r.Days, r.Window, r.Config, Incomplete(r.Inputs)})
	for i := range r.Findings {
		f := &r.Findings[i]
		e.Encode([]any{f.UID, f.Severity, f.RiskScore, f.Allowed})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// runJSON is run.json. Keys are never renamed or removed; new ones may come.
type runJSON struct {
	Version    string         `json:"version"` // of outflow
	RunID      string         `json:"run_id"`
	Job        string         `json:"job"`
	Profile    string         `json:"profile"`
	Days       []day          `json:"days"`
	Window     *[2]instant    `json:"window,omitempty"`
	Started    time.Time      `json:"started"`
	Ended      time.Time      `json:"ended"`
	Seconds    float64        `json:"seconds"`
	Stages     []stageJSON    `json:"stages"`
	Timeline   []phaseJSON    `json:"timeline"`
	ExitCode   int            `json:"exit_code"`
	Error      string         `json:"error,omitempty"`
	Config     string         `json:"config_sha256"`
	Incomplete string         `json:"incomplete,omitempty"`
	Lacks      string         `json:"history_incomplete,omitempty"`
	Findings   map[string]int `json:"findings"` // by severity, allowed ones apart
	Detections map[string]int `json:"detections"`
	History    int            `json:"history_days"`
	Warnings   []string       `json:"warnings"`
	Blind      []Blind        `json:"not_judged"`
	Feeds      []feedJSON     `json:"feeds"`
	Inputs     []inputJSON    `json:"inputs"`
	Files      []string       `json:"files"`
	Notified   []notifiedJSON `json:"notifications,omitempty"`
	Requests   Requests       `json:"requests,omitzero"`
}

type stageJSON struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

type phaseJSON struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Cores   float64 `json:"cores_busy"`
}

type feedJSON struct {
	Name   string   `json:"name"`
	Rows   int64    `json:"rows"`
	Usual  *float64 `json:"usual_rows,omitempty"`
	Last   instant  `json:"last_seen,omitzero"`
	Health []string `json:"health"` // silent, thin, new, late
}

type inputJSON struct {
	Name     string   `json:"name"`
	Feed     string   `json:"feed"`
	Format   string   `json:"format,omitempty"`
	Table    string   `json:"table,omitempty"`
	Status   string   `json:"status"`
	Size     int64    `json:"size"`
	Records  int64    `json:"records"`
	Rows     int64    `json:"rows"`
	Outside  int64    `json:"outside,omitempty"`
	Repeated int64    `json:"repeated,omitempty"`
	Other    int64    `json:"other,omitempty"`
	Skipped  int64    `json:"skipped,omitempty"`
	Reasons  []string `json:"reasons,omitempty"`
	CopyOf   string   `json:"copy_of,omitempty"`
	Error    string   `json:"error,omitempty"`
	First    instant  `json:"first_seen,omitzero"`
	Last     instant  `json:"last_seen,omitzero"`
}

type notifiedJSON struct {
	To    string `json:"to"`
	Sent  bool   `json:"sent"`
	Error string `json:"error,omitempty"`
}

// WriteJSON writes run.json.
func (r *Run) WriteJSON(w io.Writer) error {
	v := runJSON{
		Version: r.Version, RunID: r.ID(), Job: visible(r.Job), Profile: r.Profile,
		Started: r.Started.UTC(), Ended: r.Ended.UTC(), Seconds: r.Ended.Sub(r.Started).Seconds(),
		ExitCode: r.ExitCode, Error: visible(r.Error), Config: r.Config, Incomplete: Incomplete(r.Inputs), Lacks: visible(r.HistoryLacks),
		Findings: map[string]int{"allowed": 0}, Detections: map[string]int{}, History: r.History, Files: append([]string{}, r.Files...),
		Requests: r.Requests,
		Stages:   []stageJSON{}, Timeline: []phaseJSON{}, Warnings: []string{}, Blind: []Blind{}, Feeds: []feedJSON{}, Inputs: []inputJSON{}, Days: []day{},
	}
	for _, d := range r.Days {
		v.Days = append(v.Days, day(d))
	}
	if r.Window != [2]int64{} {
		v.Window = &[2]instant{instant(r.Window[0]), instant(r.Window[1])}
	}
	for _, s := range r.Stages {
		v.Stages = append(v.Stages, stageJSON{s.Name, s.Took.Seconds()})
	}
	for _, p := range r.Timeline {
		v.Timeline = append(v.Timeline, phaseJSON{p.Name, p.Took.Seconds(), math.Round(p.Cores()*100) / 100})
	}
	for s := detect.Info; s <= detect.Critical; s++ {
		v.Findings[s.String()] = 0
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Allowed != "" {
			v.Findings["allowed"]++
			continue
		}
		v.Findings[f.Severity.String()]++
		v.Detections[visible(f.Detection)]++
	}
	for _, text := range r.Warnings {
		v.Warnings = append(v.Warnings, visible(text))
	}
	for _, b := range r.Blind {
		b.Feed, b.Detection, b.Why, b.Remedy = visible(b.Feed), visible(b.Detection), visible(b.Why), visible(b.Remedy)
		v.Blind = append(v.Blind, b)
	}
	for i := range r.Feeds {
		f := &r.Feeds[i]
		v.Feeds = append(v.Feeds, feedJSON{visible(f.Name), f.Rows, finite(f.Usual), instant(f.Last), f.health()})
	}
	for i := range r.Inputs {
		in := &r.Inputs[i]
		v.Inputs = append(v.Inputs, inputJSON{visible(in.Name), visible(in.Feed), in.Format, in.Table, statuses[in.Status].name, in.Size,
			in.Records, in.Rows, in.Outside, in.Repeated, in.Other, in.Skipped, allVisible(in.Reasons), visible(in.CopyOf), visible(in.Error),
			instant(in.First), instant(in.Last)})
	}
	for _, n := range r.Notified {
		v.Notified = append(v.Notified, notifiedJSON{visible(n.To), n.Error == "", visible(n.Error)})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(&v)
}

// WriteMetrics writes the run for a text file collector of Prometheus. before is what the
// last run of the job wrote, or nothing: a run that failed keeps the time of the last one
// that did not.
func (r *Run) WriteMetrics(w io.Writer, before []byte) error {
	m := metrics{job: visible(r.Job)}
	if r.Profile == "seed" { // its files are in another folder, and are read with the others
		m.job += "-seed"
	}
	m.gauge("last_run_timestamp_seconds", "When the last run ended.").set(seconds(r.Ended))
	success := lastSuccess(before, m.series("last_success_timestamp_seconds", nil))
	if r.succeeded() {
		success = seconds(r.Ended)
	}
	m.gauge("last_success_timestamp_seconds", "When the last run ended that did all it had to; 0: none did.").set(success)
	m.gauge("run_duration_seconds", "How long the last run took.").set(r.Ended.Sub(r.Started).Seconds())
	m.gauge("exit_code", "Exit code of the last run.").set(float64(r.ExitCode))
	if len(r.Days) > 0 {
		m.gauge("judged_day_timestamp_seconds", "Midnight UTC at which the last judged day began.").set(seconds(r.Days[len(r.Days)-1].Time()))
	}
	if !r.succeeded() && r.At.IsZero() { // it judged nothing: no count is true
		return m.write(w)
	}
	m.gauge("incomplete", "1 if a log of the judged days or of the history was not read, or only in part.").set(truth(Incomplete(r.Inputs) != "" || r.HistoryLacks != ""))
	m.gauge("history_days", "Days of history that were there.").set(float64(r.History))

	m.gauge("findings", "Findings of the last run that are not allowed.")
	type kind struct {
		detection string
		severity  detect.Severity
	}
	found, allowed := map[kind]int{}, 0
	for _, d := range r.Detections { // a finding that ends must not leave its series behind
		for s := detect.Info; s <= detect.Critical; s++ {
			found[kind{d.Name, s}] = 0
		}
	}
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Allowed == "" {
			found[kind{f.Detection, f.Severity}]++
		} else {
			allowed++
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(found), func(a, b kind) int {
		return cmp.Or(cmp.Compare(a.detection, b.detection), cmp.Compare(a.severity, b.severity))
	}) {
		m.set(float64(found[k]), "detection", k.detection, "severity", k.severity.String())
	}
	m.gauge("findings_allowed", "Findings of the last run that the allow list accepts.").set(float64(allowed))
	failed := 0
	for _, n := range r.Notified {
		if n.Error != "" {
			failed++
		}
	}
	m.gauge("notifications_failed", "Messages of the last run that were not sent.").set(float64(failed))
	r.feedMetrics(&m)
	return m.write(w)
}

// feedMetrics writes what was read, by feed.
func (r *Run) feedMetrics(m *metrics) {
	type object struct{ feed, name string }
	type sums struct{ bytes, rows, malformed float64 }
	type status struct {
		feed string
		Status
	}
	worst := map[object]Status{}
	by := map[string]*sums{}
	for i := range r.Feeds {
		by[r.Feeds[i].Name] = &sums{}
	}
	for i := range r.Inputs {
		in := &r.Inputs[i]
		if by[in.Feed] == nil {
			by[in.Feed] = &sums{}
		}
		s, o := by[in.Feed], object{in.Feed, in.Name}
		if _, again := worst[o]; !again { // of an object with several tables
			s.bytes += float64(in.Size)
		}
		worst[o] = max(worst[o], in.Status)
		s.rows += float64(in.Rows - in.Outside)
		s.malformed += float64(in.Skipped)
	}
	objects := map[status]int{}
	for o, s := range worst {
		objects[status{o.feed, s}]++
	}
	feeds := slices.Sorted(maps.Keys(by))
	m.gauge("input_objects", "Log objects of the last run, by how they were read.")
	for _, k := range slices.SortedFunc(maps.Keys(objects), func(a, b status) int { return cmp.Or(strings.Compare(a.feed, b.feed), cmp.Compare(a.Status, b.Status)) }) {
		m.set(float64(objects[k]), "feed", k.feed, "status", statuses[k.Status].name)
	}
	m.gauge("input_bytes", "Bytes of the log objects of the last run, as stored.")
	for _, feed := range feeds {
		m.set(by[feed].bytes, "feed", feed)
	}
	m.gauge("rows", "Rows of the judged time that the last run read.")
	for _, feed := range feeds {
		m.set(by[feed].rows, "feed", feed)
	}
	m.gauge("records_malformed", "Records that the last run skipped because they are malformed.")
	for _, feed := range feeds {
		m.set(by[feed].malformed, "feed", feed)
	}
	m.gauge("feed_usual_rows", "Median of the rows of such days before.")
	for i := range r.Feeds {
		if f := &r.Feeds[i]; !math.IsNaN(f.Usual) {
			m.set(f.Usual, "feed", f.Name)
		}
	}
	m.gauge("feed_last_event_timestamp_seconds", "Time of the last row that the last run read.")
	for i := range r.Feeds {
		if f := &r.Feeds[i]; f.Last != 0 {
			m.set(float64(f.Last)/1e6, "feed", f.Name)
		}
	}
	m.gauge("feed_health", "1 if the feed is silent, thin (under a tenth of its usual rows), new, or late.")
	for i := range r.Feeds {
		f := &r.Feeds[i]
		for _, h := range f.healths() {
			m.set(truth(h.is), "feed", f.Name, "health", h.word)
		}
	}
}

// metrics are gauges in the text format of Prometheus. Each has the label outflow_job:
// a label called job would clash with the one of the scrape.
type metrics struct {
	out  bytes.Buffer
	job  string
	name string // of the gauge that set adds to
}

// gauge begins a gauge.
func (m *metrics) gauge(name, help string) *metrics {
	m.name = name
	fmt.Fprintf(&m.out, "# HELP outflow_%s %s\n# TYPE outflow_%[1]s gauge\n", name, help)
	return m
}

// set adds a value of the gauge. labels are names and values.
func (m *metrics) set(v float64, labels ...string) {
	m.out.WriteString(m.series(m.name, labels))
	m.out.WriteByte(' ')
	m.out.Write(appendFloat(nil, v))
	m.out.WriteByte('\n')
}

// series returns the name of a series with its labels.
func (m *metrics) series(name string, labels []string) string {
	var b strings.Builder
	b.WriteString("outflow_" + name + "{outflow_job=\"" + labelText(m.job) + `"`)
	for i := 0; i < len(labels); i += 2 {
		b.WriteString("," + labels[i] + `="` + labelText(labels[i+1]) + `"`)
	}
	b.WriteByte('}')
	return b.String()
}

// write writes the gauges.
func (m *metrics) write(w io.Writer) error {
	_, err := w.Write(m.out.Bytes())
	return err
}

// labelText returns the value of a label as it stands between quotes.
func labelText(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(visible(s))
}

// lastSuccess returns the value of a series in what an earlier run wrote, 0 if it is not
// there.
func lastSuccess(before []byte, series string) float64 {
	for line := range bytes.Lines(before) {
		if text, ok := bytes.CutPrefix(line, []byte(series+" ")); ok {
			if v, err := strconv.ParseFloat(string(bytes.TrimSpace(text)), 64); err == nil && v > 0 && !math.IsInf(v, 0) {
				return v
			}
		}
	}
	return 0
}

// seconds returns a time as seconds since 1970, to the millisecond.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
