package jobs

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"outflow/columnar"
	"outflow/reports"
	"outflow/stats/detect"
)

// results returns the state and the reports of the site, by the names of their files.
func (s *site) results() map[string]string {
	s.t.Helper()
	w := world{t: s.t, dir: s.dir}
	out := results(w.files())
	maps.DeleteFunc(out, func(name, _ string) bool {
		return !strings.HasPrefix(name, "state/") && !strings.HasPrefix(name, "out/")
	})
	return out
}

// copySite returns a site with the files of another.
func copySite(t *testing.T, from *site) *site {
	t.Helper()
	to := &site{t: t, dir: t.TempDir()}
	if err := os.CopyFS(to.dir, os.DirFS(from.dir)); err != nil {
		t.Fatal(err)
	}
	// On disk an ETag has the time.
	err := filepath.WalkDir(from.dir, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		return os.Chtimes(filepath.Join(to.dir, strings.TrimPrefix(name, from.dir)), info.ModTime(), info.ModTime())
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// smallSite has quiet logs of five days up to the 21st, and one of the 20th that came late.
func smallSite(t *testing.T) *site {
	s := newSite(t, datedURI)
	for day := 16; day <= 21; day++ {
		date := fmt.Sprintf("2026-03-%02d", day)
		s.write("logs/"+date+"/a.csv", uploads(date+fmt.Sprintf("T10:%02d ann 1%d00000", day, day%3), date+"T11:00 bob 900000"))
	}
	return s
}

// If this fails, what a late log shows is lost for good because the reports could not be
// written.
func TestOwedReport(t *testing.T) {
	s := smallSite(t)
	s.run(20)
	s.write("logs/2026-03-21/late.csv", uploads("2026-03-20T22:00 ann 9000000000"))
	s.write("logs/2026-03-22/a.csv", uploads("2026-03-22T10:00 ann 1100000"))
	undisturbed := copySite(t, s)
	undisturbed.run(21)
	undisturbed.run(22)

	s.write("full/nightly", []byte("not a folder"))
	night := []string{"run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-21"}
	if code, _, stderr := invoke(t, s.dir, append(night, "--out", "full")...); code == exitOK || !strings.Contains(stderr, "write the report to full") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	code, stdout, stderr := invoke(t, s.dir, "state", "ls", "--config", "outflow.yaml")
	if code != exitOK || strings.Count(stdout, "report owed: the next nightly run writes it") != 2 {
		t.Errorf("state ls does not say that two days owe a report: %s%s", stdout, stderr)
	}
	if stderr := s.run(22); !strings.Contains(stderr, "the night 2026-03-21 was not finished: its reports are made now") {
		t.Errorf("does not say that it makes the reports of the night before: %s", stderr)
	}
	if diff := differences(s.results(), undisturbed.results()); len(diff) > 0 {
		t.Errorf("differ from an undisturbed site:\n%s", strings.Join(diff, "\n"))
	}
	if findings := s.reports(21)["findings.csv"]; !strings.Contains(findings, "2026-03-20,") || !strings.Contains(findings, "upload_zscore") {
		t.Errorf("the theft of the 20th is not reported: %s", findings)
	}
}

// If this fails, a night on which the machine was off is never judged, or nobody is told.
func TestMissedNights(t *testing.T) {
	s := smallSite(t)
	at := func(s *site, day int, args ...string) string {
		t.Helper()
		args = append([]string{"run", "nightly", "--config", "outflow.yaml", "--at", fmt.Sprintf("2026-03-%02dT02:00:00Z", day)}, args...)
		code, _, stderr := invoke(t, s.dir, args...)
		if code != exitOK {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		return stderr
	}
	if stderr := at(s, 18); strings.Contains(stderr, "missed") {
		t.Errorf("the first night has missed others: %s", stderr)
	}
	every, off, named := copySite(t, s), copySite(t, s), copySite(t, s)
	for _, day := range []string{"2026-03-01", "2026-03-19"} {
		if code, _, stderr := invoke(t, named.dir, "run", "nightly", "--config", "outflow.yaml", "--day", day); code != exitOK {
			t.Fatalf("exit %d: %s", code, stderr)
		}
	}
	if stderr := at(named, 21); !strings.Contains(stderr, "the night 2026-03-18 was missed: judging") {
		t.Errorf("does not judge the one night that is missing: %s", stderr)
	}
	for day := 19; day <= 22; day++ {
		at(every, day)
	}
	if stderr := at(s, 22); !strings.Contains(stderr, "the nights 2026-03-18 to 2026-03-20 were missed: judging what was missed first") {
		t.Errorf("does not say that it judges missed nights: %s", stderr)
	}
	if diff := differences(s.results(), every.results()); len(diff) > 0 {
		t.Errorf("differ from a site whose nights all ran:\n%s", strings.Join(diff, "\n"))
	}
	const advice = "outflow run nightly --from 2026-03-18 --to 2026-03-20"
	if stderr := at(off, 22, "--catch-up=false"); !strings.Contains(stderr, "were not judged: "+advice) {
		t.Errorf("does not name missed nights: %s", stderr)
	}
	if _, err := os.Stat(filepath.Join(off.dir, "out/nightly/2026-03-19")); err == nil {
		t.Error("missed nights were judged although that is off")
	}
	if code, _, stderr := invoke(t, off.dir, append(strings.Fields(advice)[1:], "--config", "outflow.yaml")...); code != exitOK {
		t.Errorf("%s: exit %d: %s", advice, code, stderr)
	}
}

// If this fails, who may write a state or choose a name also writes on the operator's
// terminal.
func TestStateOnTerminal(t *testing.T) {
	for name, args := range map[string][]string{
		"folder of version 1": {"state", "repair", "--state", "state"},
		"day of version 1":    {"state", "verify", "--state", "state"},
		"an error":            {"state", "ls", "--state", "\x1b[31mred"},
		"a configuration":     {"state", "ls", "--config", "\x1b[31mred\a.yaml"},
	} {
		dir := t.TempDir()
		for _, folder := range []string{"v1/aggregate=\x1b[31mred/date=2026-03-18", "v1/aggregate=user_day/date=\x1b]0;title\a"} {
			folder = filepath.Join(dir, "state", folder)
			if err := errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(filepath.Join(folder, "_done.json"), []byte("{"), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		if name == "an error" { // of the folder that has another version
			os.Mkdir(filepath.Join(dir, "\x1b[31mred"), 0o755)
			os.Mkdir(filepath.Join(dir, "\x1b[31mred", "v7"), 0o755)
		}
		_, stdout, stderr := invoke(t, dir, args...)
		if name != "an error" && !strings.Contains(stdout+stderr, `\x1b`) || strings.ContainsAny(stdout+stderr, "\x1b\a") {
			t.Errorf("%s: got %q, want its name escaped", name, stdout+stderr)
		}
	}
}

// marker returns the name of a marker.
func (s *site) marker(folder string, day int) string {
	return filepath.Join(s.dir, fmt.Sprintf("state/v2/%s/date=2026-03-%02d/_done.json", folder, day))
}

// If this fails, a detection whose rows of a judged day are gone is said to have found
// nothing unusual.
func TestVerdictWithoutRows(t *testing.T) {
	config, err := loadConfig("", func(string) (string, bool) { return "", false }, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := newHistory()
	defer h.close()
	inputs := []reports.Input{{Feed: "cloud", Format: "csv", Table: columnar.API.Name, Rows: 9, Known: map[columnar.Col]int64{
		columnar.BytesOut: 9, columnar.BytesIn: 9, columnar.User: 9, columnar.Time: 9}}}
	names := func() (out []string) {
		for _, j := range judged(config, h, inputs, nil) {
			out = append(out, j.Detections...)
		}
		return out
	}
	if got := names(); !slices.Contains(got, "upload_zscore") {
		t.Fatalf("judged by %v, want upload_zscore among them", got)
	}
	h.unread[detect.UserDay] = true
	if got := names(); slices.Contains(got, "upload_zscore") || slices.Contains(got, "upload_ratio") || !slices.Contains(got, "sigma_rule") {
		t.Errorf("judged by %v, want none that reads user_day, and sigma_rule", got)
	}
}

// If this fails, days older than the state is to keep stay, or others go.
func TestKeep(t *testing.T) {
	s := smallSite(t)
	s.run(21)
	s.write("logs/2025-12-01/a.csv", uploads("2025-12-01T10:00 ann 1"))
	if code, _, stderr := invoke(t, s.dir, "backfill", "--config", "outflow.yaml", "--from", "2025-12-01", "--to", "2025-12-01"); code != exitOK {
		t.Fatal(stderr)
	}
	if code, _, stderr := invoke(t, s.dir, "state", "gc", "--config", "outflow.yaml", "--keep", "3"); code != exitConfig || !strings.Contains(stderr, "keep: 3: want at least the") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	for _, keep := range []string{"0", "90"} {
		if left, _ := filepath.Glob(filepath.Join(s.dir, "state/v2/*/date=2025-12-01/*")); len(left) == 0 {
			t.Fatal("the old day is gone already")
		}
		if code, _, stderr := invoke(t, s.dir, "state", "gc", "--config", "outflow.yaml", "--keep", keep); code != exitOK {
			t.Fatal(stderr)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "state/v2/*/date=2025-12-01/*")); len(left) > 0 {
		t.Errorf("left of a day that is to go: %v", left)
	}
	if _, err := os.Stat(s.marker("aggregate=user_day", 16)); err != nil {
		t.Errorf("a day that is to stay is gone: %v", err)
	}
}
