package reports

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

func runOf(r *Report) *Run {
	started := time.Date(2026, 11, 21, 1, 30, 0, 0, time.UTC)
	return &Run{
		Report: r, Started: started, Ended: started.Add(92500 * time.Millisecond), Config: "c0ffee",
		Stages:   []Stage{{"fold", time.Minute}, {"judge", 30 * time.Second}, {"report", 2500 * time.Millisecond}},
		Timeline: []Phase{{"fold", time.Minute, 115 * time.Second}, {"score", 30 * time.Second, 0}},
		Files:    []string{"findings.csv", "report.html"},
	}
}

func fedReport() *Report {
	r := kindsReport()
	r.Feeds = []Feed{
		{Name: "squid", Rows: 1_204_331, Usual: 1_190_000.5, Last: at(sampleDay, 23, 59)},
		{Name: "zeek", Rows: 911_000, Usual: 10e6, Thin: true, Late: true, Last: at(sampleDay, 23, 59)},
		{Name: "edr", Usual: math.NaN(), Silent: true},
	}
	return r
}

func TestRun(t *testing.T) {
	var text bytes.Buffer
	if err := runOf(fedReport()).WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	golden(t, "kinds/"+RunFile, text.Bytes())
	text.Reset()
	if err := runOf(fedReport()).WriteMetrics(&text, nil); err != nil {
		t.Fatal(err)
	}
	golden(t, "kinds/"+MetricsFile, text.Bytes())
}

// If this fails, a failed run looks like a good one to an alert on the last success, or a
// good one like none.
func TestLastSuccess(t *testing.T) {
	good := runOf(fedReport())
	var first bytes.Buffer
	if err := good.WriteMetrics(&first, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code   int
		judged bool
		want   string
	}{
		{0, true, "1795297052.5"}, {10, true, "1795297052.5"}, // found something
		{3, true, "1795224692.5"}, {1, false, "1795224692.5"}, {5, false, "1795224692.5"},
	} {
		later := runOf(fedReport())
		later.ExitCode, later.Error = c.code, "it did not work"
		if !c.judged {
			later.Report = &Report{Job: good.Job, Days: good.Days}
		}
		later.Started, later.Ended = good.Started.Add(20*time.Hour), good.Ended.Add(72360*time.Second)
		var text bytes.Buffer
		if err := later.WriteMetrics(&text, first.Bytes()); err != nil {
			t.Fatal(err)
		}
		if want := `outflow_last_success_timestamp_seconds{outflow_job="nightly"} ` + c.want + "\n"; !strings.Contains(text.String(), want) {
			t.Errorf("exit code %d: no line %s in\n%s", c.code, want, &text)
		}
		if !strings.Contains(text.String(), `outflow_last_run_timestamp_seconds{outflow_job="nightly"} 1795297052.5`) {
			t.Errorf("exit code %d: another time of the run in\n%s", c.code, &text)
		}
		if counts := strings.Contains(text.String(), "outflow_findings{"); counts != c.judged {
			t.Errorf("exit code %d: findings are counted: %t, want %t", c.code, counts, c.judged)
		}
	}
	for _, before := range []string{"", "outflow", `outflow_last_success_timestamp_seconds{outflow_job="nightly"} NaN`, `outflow_last_success_timestamp_seconds{outflow_job="nightly"} +Inf`,
		`outflow_last_success_timestamp_seconds{outflow_job="other"} 7`} {
		if got := lastSuccess([]byte(before), `outflow_last_success_timestamp_seconds{outflow_job="nightly"}`); got != 0 {
			t.Errorf("%q: got %g, want 0", before, got)
		}
	}
}

var series = regexp.MustCompile(`^outflow_[a-z_]+\{outflow_job="(?:[^"\\]|\\.)*"(?:,[a-z]+="(?:[^"\\]|\\["\\n])*")*\} -?[0-9.e+]+$`)

// If this fails, a log decides what the monitoring sees of a run.
func TestRunOfHostileLogs(t *testing.T) {
	r := sampleReport()
	for _, name := range hostile {
		r.Feeds = append(r.Feeds, Feed{Name: name, Usual: 5, Thin: true, Last: 1})
	}
	run := runOf(r)
	run.ExitCode, run.Error = 1, hostile[2]
	run.Notified = []Notified{{"slack", hostile[2] + "\n"}}
	var text bytes.Buffer
	if err := run.WriteMetrics(&text, nil); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(text.String()) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "# ") {
			continue
		}
		if !series.MatchString(line) {
			t.Errorf("no series: %q", line)
		}
		if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%q holds what is not printable", line)
		}
		name := line[:strings.LastIndexByte(line, ' ')]
		if seen[name] {
			t.Errorf("twice: %s", name)
		}
		seen[name] = true
	}
	text.Reset()
	if err := run.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	texts(v, func(s string) {
		if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
			t.Errorf("run.json: %.200q holds what is not printable", s)
		}
	})
}

// If this fails, a baseline without the logs that a fault kept from being read raises no alarm.
func TestMetricsCountUnreadHistory(t *testing.T) {
	run := runOf(fedReport())
	if Incomplete(run.Inputs) != "" {
		t.Fatal("want a run that read its own logs")
	}
	for lacks, want := range map[string]string{"": "0", "history is incomplete: x": "1"} {
		run.HistoryLacks = lacks
		var text bytes.Buffer
		if err := run.WriteMetrics(&text, nil); err != nil {
			t.Fatal(err)
		}
		if line := `outflow_incomplete{outflow_job="nightly"} ` + want + "\n"; !strings.Contains(text.String(), line) {
			t.Errorf("%q: got\n%s\nwant %s", lacks, text.String(), line)
		}
	}
}

// If this fails, a receiver that drops what it has seen drops a night with other findings,
// or keeps a repeated one.
func TestRunID(t *testing.T) {
	ids := []string{runOf(fedReport()).ID()}
	again := runOf(fedReport())
	again.Started, again.Stages, again.Warnings = time.Now(), nil, []string{"x"}
	if got := again.ID(); got != ids[0] {
		t.Errorf("got %s for the same result, want %s", got, ids[0])
	}
	for _, change := range []func(r *Run){
		func(r *Run) { r.Findings = r.Findings[1:] },
		func(r *Run) { r.Findings[0].Severity-- },
		func(r *Run) { r.Days[0]++ },
		func(r *Run) { r.Config = "" },
		func(r *Run) { r.Job = "hourly-dns" },
		func(r *Run) { r.Inputs = append(r.Inputs, Input{Name: "x", Status: Unreadable}) },
	} {
		r := runOf(fedReport())
		change(r)
		ids = append(ids, r.ID())
	}
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != 7 {
		t.Errorf("got %d different ids, want 7", n)
	}
}
