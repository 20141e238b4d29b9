package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"outflow/columnar/store"
	"outflow/reports"
)

// many is n uploads of a day of March.
func many(day, n int) []byte {
	var events []string
	for i := range n {
		events = append(events, fmt.Sprintf("2026-03-%02dT%02d:%02d ann 1000", day, i/60%24, i%60))
	}
	return uploads(events...)
}

// A ranJSON is what the tests read of run.json.
type ranJSON struct {
	ExitCode int    `json:"exit_code"`
	Error    string `json:"error"`
	RunID    string `json:"run_id"`
	Days     []string
	Findings map[string]int
	Files    []string
	Feeds    []struct {
		Name   string
		Rows   int64
		Usual  *float64 `json:"usual_rows"`
		Health []string
	}
	Blind    []struct{ Feed, Why string } `json:"not_judged"`
	Requests struct{ List, Get int }
}

func (s *site) ran(folder string) (v ranJSON) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, folder, "run.json"))
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// metric returns the value of a series of a job's metrics, "" if it has none.
func (s *site) metric(job, series string) string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "out", job, "outflow.prom"))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "outflow_"+series+" "); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// If this fails, nobody learns that a log has all but stopped.
func TestFeedHealth(t *testing.T) {
	s := newSite(t, "")
	s.write("outflow.yaml", []byte("inputs:\n"+
		"  - {name: steady, uri: 'logs/{yyyy}-{mm}-{dd}/steady-*.csv'}\n"+
		"  - {name: drying, uri: 'logs/{yyyy}-{mm}-{dd}/drying-*.csv'}\n"+
		"  - {name: fresh, uri: 'logs/{yyyy}-{mm}-{dd}/fresh-*.csv'}\n"+
		"  - {name: gone, uri: 'logs/{yyyy}-{mm}-{dd}/gone-*.csv', require: true}\n"))
	for day := 9; day <= 20; day++ { // a Monday to a Friday
		date := fmt.Sprintf("logs/2026-03-%02d/", day)
		n := 300
		if day == 14 || day == 15 {
			n = 20 // on weekends little is the rule
		}
		s.write(date+"steady-1.csv", many(day, n))
		s.write(date+"gone-1.csv", many(day, n+1))
		if day < 20 {
			s.write(date+"drying-1.csv", many(day, n+2))
		}
	}
	s.write("logs/2026-03-20/drying-1.csv", many(20, 29))
	s.write("logs/2026-03-20/fresh-1.csv", many(20, 50))
	s.run(19)
	if v := s.ran("out/nightly/2026-03-19"); v.ExitCode != exitOK || !slices.Contains(v.Files, "findings.csv") || !slices.Equal(v.Days, []string{"2026-03-19"}) {
		t.Errorf("got %+v", v)
	}
	success := s.metric("nightly", `last_success_timestamp_seconds{outflow_job="nightly"}`)
	if success != "1795226400" { // the tests' clock
		t.Errorf("got the last success at %s", success)
	}

	s.run(20)
	healths := func() map[string]string {
		out := map[string]string{}
		for _, f := range s.ran("out/nightly/2026-03-20").Feeds {
			out[f.Name] = fmt.Sprint(f.Rows, f.Health)
			for _, h := range []string{"silent", "thin", "new", "late"} {
				want := "0"
				if slices.Contains(f.Health, h) {
					want = "1"
				}
				if got := s.metric("nightly", fmt.Sprintf(`feed_health{outflow_job="nightly",feed="%s",health="%s"}`, f.Name, h)); got != want {
					t.Errorf("%s of %s: the metric is %q, want %s", h, f.Name, got, want)
				}
			}
		}
		return out
	}
	want := map[string]string{"steady": "300 []", "drying": "29 [thin]", "fresh": "50 [new]", "gone": "301 []"}
	if got := healths(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := s.metric("nightly", `feed_usual_rows{outflow_job="nightly",feed="drying"}`); got != "302" {
		t.Errorf("got %s usual rows, want the weekdays' 302", got)
	}
	said := false
	for _, b := range s.ran("out/nightly/2026-03-20").Blind {
		said = said || b.Why == "Feed drying has 29 rows of 2026-03-20; such a day usually has 302."
	}
	if !said {
		t.Errorf("the report does not say that the feed is thin: %+v", s.ran("out/nightly/2026-03-20").Blind)
	}

	// All of it arrives, what was there once more, and a required log does not come at all.
	s.write("logs/2026-03-20/drying-2.csv", many(20, 270))
	if err := os.Remove(filepath.Join(s.dir, "logs/2026-03-20/gone-1.csv")); err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(filepath.Join(s.dir, "state"))
	s.write("logs/2026-03-21/steady-1.csv", many(21, 20))
	code, _, stderr := invoke(t, s.dir, "run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-20")
	if want := "required inputs have no row of the judged time: gone"; code != exitNoInput || !strings.Contains(stderr, want) {
		t.Errorf("exit %d: %s, want %d and %s", code, stderr, exitNoInput, want)
	}
	want = map[string]string{"steady": "300 []", "drying": "270 []", "fresh": "50 [new]", "gone": "0 [silent]"}
	if got := healths(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if v := s.ran("out/nightly/2026-03-20"); v.ExitCode != exitNoInput || !strings.Contains(v.Error, "gone") {
		t.Errorf("run.json has exit code %d, error %q", v.ExitCode, v.Error)
	}
	for series, want := range map[string]string{`exit_code{outflow_job="nightly"}`: "4", `last_success_timestamp_seconds{outflow_job="nightly"}`: success} {
		if got := s.metric("nightly", series); got != want {
			t.Errorf("%s: got %s, want %s", series, got, want)
		}
	}

	// A log of the day before comes late.
	s.write("logs/2026-03-20/gone-2.csv", many(20, 250))
	s.write("logs/2026-03-21/gone-1.csv", many(21, 20))
	s.run(21)
	for _, f := range s.ran("out/nightly/2026-03-21").Feeds {
		if late := slices.Contains(f.Health, "late"); late != (f.Name == "gone") {
			t.Errorf("feed %s: late is %t", f.Name, late)
		}
	}
}

// If this fails, a report counts the rows of a log that was read in part as none.
func TestFeedOfADamagedLog(t *testing.T) {
	s := newSite(t, "")
	s.write("outflow.yaml", []byte("inputs: [{name: web, uri: 'logs/{yyyy}-{mm}-{dd}.csv.gz'}]\n"))
	for day := 9; day <= 20; day++ {
		whole := gzipped(t, many(day, 3000))
		if day == 20 {
			whole = whole[:len(whole)/2]
		}
		s.write(fmt.Sprintf("logs/2026-03-%02d.csv.gz", day), whole)
	}
	s.run(20)
	v := s.ran("out/nightly/2026-03-20")
	if len(v.Feeds) != 1 || v.Feeds[0].Rows < 300 || v.Feeds[0].Rows >= 3000 || len(v.Feeds[0].Health) > 0 {
		t.Errorf("got %+v, want about half of 3,000 rows", v.Feeds)
	}
}

// If this fails, a run that failed leaves the record of the one before, or none.
func TestRunThatFails(t *testing.T) {
	s := newSite(t, datedURI)
	s.write("logs/2026-03-20/a.csv", many(20, 5))
	s.write("logs/2026-03-20/b.csv.gz", []byte("\x1f\x8b\x08 this is no gzip"))
	s.run(20)
	if v := s.ran("out/nightly/2026-03-20"); v.ExitCode != exitOK || s.metric("nightly", `incomplete{outflow_job="nightly"}`) != "1" {
		t.Errorf("got %+v", v)
	}
	code, _, _ := invoke(t, s.dir, "run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-20", "--strict")
	if v := s.ran("out/nightly/2026-03-20"); code != exitPartial || v.ExitCode != exitPartial || !strings.HasPrefix(v.Error, "INCOMPLETE") {
		t.Errorf("exit %d, run.json %+v", code, v)
	}
	// It ends before it has judged anything.
	os.RemoveAll(filepath.Join(s.dir, "state"))
	s.write("state", []byte("this is no folder"))
	code, _, stderr := invoke(t, s.dir, "run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-20")
	if code == exitOK || s.metric("nightly", `exit_code{outflow_job="nightly"}`) != fmt.Sprint(code) {
		t.Errorf("exit %d: %s; the metrics have %s", code, stderr, s.metric("nightly", `exit_code{outflow_job="nightly"}`))
	}
	if got := s.metric("nightly", `incomplete{outflow_job="nightly"}`); got != "" {
		t.Errorf("counts what it did not see: incomplete is %s", got)
	}
}

// A slowStore does not write a run.json within a limit of time.
type slowStore struct{ store.Store }

func (s slowStore) Put(ctx context.Context, name string, body io.ReadSeeker, when store.Condition) error {
	if path.Base(name) == reports.RunFile {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lastWord + time.Second):
		}
	}
	return s.Store.Put(ctx, name, body, when)
}

// If this fails, a night whose run.json is large, or whose server is slow, fails for ever; or a
// run that is told to stop, or whose server is gone, does not end.
func TestTimeToSayHowItEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		p := &program{ctx: ctx, now: time.Now, hooks: hooks{wrap: func(s store.Store) store.Store { return slowStore{s} }}}
		r := &runRecord{config: &Config{Out: t.TempDir()}, folder: "nightly/2026-03-20"}
		r.Report = &reports.Report{}
		if err := r.file(p, nil); err != nil {
			t.Errorf("got %v, want a file after %v", err, lastWord)
		}
		if err := r.file(p, syscall.ENOSPC); err == nil {
			t.Errorf("a run that failed takes longer than %v to say so", lastWord)
		}
		interrupt()
		if err := r.file(p, nil); err == nil {
			t.Errorf("a run that was told to stop takes longer than %v to say so", lastWord)
		}
	})
}

// If this fails, the digest says that the configuration changed although it finds the same,
// or hides that it did.
func TestConfigDigest(t *testing.T) {
	digest := func(text string, flags map[string]string) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "outflow.yaml")
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		c, err := loadConfig(name, func(string) (string, bool) { return "", false }, flags)
		if err != nil {
			t.Fatal(err)
		}
		return c.digest()
	}
	const text = "inputs:\n  - {name: cloud, uri: 'logs/*.csv'}\nplaceholders: {a: [x], b: [y], c: [z]}\n"
	want := digest(text, nil)
	for _, same := range []map[string]string{nil, {"state": "s"}, {"out": "o"}, {"workers": "7"}, {"memory": "1GiB"}, {"reports": "csv"},
		{"strict": "true"}, {"fail-on": "low"}, {"pushgateway": "https://push.corp.example"}} {
		if got := digest(text, same); got != want {
			t.Errorf("%v: another digest", same)
		}
	}
	if digest(text, map[string]string{"own": "corp.example"}) == want || digest(text+"detections: {upload_ratio: {ratio: 7}}\n", nil) == want ||
		digest(strings.Replace(text, "cloud", "clouds", 1), nil) == want || digest(text+"allow: [{user: ann, reason: x, expires: 2030-01-01}]\n", nil) == want {
		t.Error("the same digest of another configuration")
	}
}

// If this fails, metrics of runs in containers are lost, or a gateway that is away fails a
// night.
func TestPushgateway(t *testing.T) {
	server := newReceiver(t)
	s := newSite(t, datedURI)
	s.write("logs/2026-03-20/a.csv", many(20, 5))
	s.run(20, "--pushgateway", server.URL+"/")
	if len(server.got) != 1 || server.got[0].Method != "PUT" || server.got[0].URL.Path != "/metrics/job/outflow/outflow_job/nightly" {
		t.Fatalf("got %v", server.got)
	}
	file, err := os.ReadFile(filepath.Join(s.dir, "out/nightly/outflow.prom"))
	if err != nil || string(file) != string(server.bodies[0]) {
		t.Errorf("%v: got\n%s\nwant the file:\n%s", err, server.bodies[0], file)
	}
	if code, _, stderr := invoke(t, s.dir, "run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-20", "--profile", "seed", "--pushgateway", server.URL); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if got := server.got[1].URL.Path; got != "/metrics/job/outflow/outflow_job/nightly-seed" || s.metric("nightly-seed", `exit_code{outflow_job="nightly-seed"}`) != "0" {
		t.Errorf("profile seed: got %s", got)
	}
	server.script = slicesOf(answer(400), 9)
	if stderr := s.run(20, "--pushgateway", server.URL, "--quiet"); !strings.Contains(stderr, "the metrics were not pushed: the server answered 400") {
		t.Errorf("got %s", stderr)
	}
	code, _, stderr := invoke(t, s.dir, "run", "nightly", "--config", "outflow.yaml", "--pushgateway", "http://push.corp.example")
	if code != exitConfig || !strings.Contains(stderr, "pushgateway: want https") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// If this fails, a job whose configuration was broken looks as well as on its last good night,
// and no alert tells anybody.
func TestUnbegun(t *testing.T) {
	const exit, success, incomplete = `exit_code{outflow_job="nightly"}`, `last_success_timestamp_seconds{outflow_job="nightly"}`, `incomplete{outflow_job="nightly"}`
	for _, c := range []struct {
		name, config string
		args         []string
		job          string
		told         bool
	}{
		{name: "unknown key", config: "keeep: 3\n", told: true},
		{name: "wrong type", config: "keep: many\n", told: true},
		{name: "bad value", config: "fail_on: dire\n", told: true},
		{name: "second document", config: "---\nkeep: 3\n", told: true},
		{name: "bad flag", args: []string{"--keep", "many"}, told: true},
		{name: "bad profile", args: []string{"--profile", "seeds"}, told: true},
		{name: "bad day", args: []string{"--day", "20.3.2026"}, told: true},
		{name: "empty day", args: []string{"--day", ""}, told: true},
		{name: "bad time", args: []string{"--at", "2 am"}, told: true},
		{name: "an hour of a day", args: []string{"--day", "2026-03-20"}, job: "hourly-dns", told: true},
		{name: "no YAML", config: "keep: [\n", args: []string{"--out", "out"}, told: true},
		{name: "no YAML, so no out", config: "keep: [\n"},
		{name: "out is no text", config: "keeep: 3\nout: [out]\n"},
		{name: "no file", args: []string{"--config", "outflow.yml"}},
		{name: "no file, out is known", args: []string{"--config", "outflow.yml", "--out", "out"}, told: true},
		{name: "dry run", config: "keeep: 3\n", args: []string{"--dry-run"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, datedURI)
			s.write("logs/2026-03-20/a.csv", many(20, 5))
			s.run(20)
			job := cmp.Or(c.job, "nightly")
			if job != "nightly" {
				invoke(t, s.dir, "run", job, "--config", "outflow.yaml")
			}
			series := func(of string) string { return s.metric(job, strings.Replace(of, "nightly", job, 1)) }
			before := series(success)
			if series(exit) != "0" || before == "" || series(incomplete) == "" {
				t.Fatalf("before: exit code %s, last success %s", series(exit), before)
			}
			good, err := os.ReadFile(filepath.Join(s.dir, "outflow.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			s.write("outflow.yaml", append(good, c.config...))
			code, _, stderr := invoke(t, s.dir, append([]string{"run", job, "--config", "outflow.yaml"}, c.args...)...)
			if code != exitConfig {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			want, counts := "0", true
			if c.told {
				want, counts = "2", false
			}
			if series(exit) != want || series(success) != before || (series(incomplete) != "") != counts {
				t.Errorf("got exit code %s, last success %s, incomplete %q\n%s", series(exit), series(success), series(incomplete), stderr)
			}
		})
	}
}
