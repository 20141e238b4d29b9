package jobs

import (
	"bytes"
	"context"
	"encoding/csv"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"outflow/stats/detect"
)

// noLimit and noCollect leave the memory of the test's process alone.
func noLimit(int64) int64 { return math.MaxInt64 }
func noCollect(int) int   { return 0 }

// invoke runs a command line in dir and returns its output.
func invoke(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Chdir(dir)
	var out, err bytes.Buffer
	p := &program{stdout: &out, stderr: &err, ctx: context.Background(), limit: noLimit, collect: noCollect,
		env: func(string) (string, bool) { return "", false },
		now: func() time.Time { return time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC) }}
	code = p.run(args)
	return code, out.String(), err.String()
}

func readCSV(t *testing.T, name string) []map[string]string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var out []map[string]string
	for _, row := range rows[1:] {
		m := map[string]string{}
		for i, name := range rows[0] {
			m[name] = row[i]
		}
		out = append(out, m)
	}
	return out
}

// maxOthers is how many findings a night may have that were not planted.
const maxOthers = 3

// If this fails, the product misses exfiltration that was planted, or reports too much
// that was not planted.
func TestTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("runs three weeks of nights")
	}
	dir := filepath.Dir(fixtures(t))
	planted := readCSV(t, filepath.Join(dir, "fixtures/planted.csv"))
	missed := readCSV(t, filepath.Join(dir, "fixtures/near_misses.csv"))

	for _, night := range nightsOf(planted, missed) {
		code, stdout, stderr := invoke(t, dir, "run", "nightly", "--config", "fixtures/outflow.yaml", "--day", night)
		if code != exitOK {
			t.Fatalf("%s: exit %d\n%s%s", night, code, stdout, stderr)
		}
		checkNight(t, night, readCSV(t, filepath.Join(dir, "out/nightly", night, "findings.csv")), planted, missed)
	}
}

// nightsOf returns every night that has a plant or a near miss, in order, as cron would
// run them.
func nightsOf(planted, missed []map[string]string) []string {
	nights := map[string]bool{}
	for _, p := range slices.Concat(planted, missed) {
		nights[p["day"]] = true
	}
	return slices.Sorted(maps.Keys(nights))
}

// checkNight compares the findings of a night with what was planted on it.
func checkNight(t *testing.T, night string, findings, planted, missed []map[string]string) {
	t.Helper()
	for _, p := range planted {
		if p["day"] != night {
			continue
		}
		for want := range strings.SplitSeq(p["detections"], ";") {
			name, required := strings.CutSuffix(want, "!")
			name, rule, byRule := strings.Cut(name, ":")
			if required && !slices.ContainsFunc(findings, func(f map[string]string) bool {
				return seenBy(f, name) && (!byRule || strings.HasPrefix(f["object"], rule+": ")) && f["label"] == "" && about(f, p)
			}) {
				t.Errorf("%s: %s did not find %s: %s %s %s", night, name, p["id"], p["entity"], p["object"], p["note"])
			}
		}
	}
	// All that one client did with one domain is one finding, whichever detection
	// saw it.
	tunnels := map[[3]string]string{}
	for _, f := range findings {
		if !strings.HasPrefix(f["detection"], "dns_") || f["allowed"] != "" {
			continue
		}
		k := [3]string{f["feed"], f["entity"], f["object"]}
		if before, ok := tunnels[k]; ok {
			t.Errorf("%s: %v is a finding of %s and of %s", night, k, before, f["detection"])
		}
		tunnels[k] = f["detection"]
	}
	var others []string
	for _, f := range findings {
		isPlant := slices.ContainsFunc(planted, func(p map[string]string) bool { return p["day"] == night && about(f, p) })
		nearMiss := slices.ContainsFunc(missed, func(p map[string]string) bool { return p["day"] == night && about(f, p) })
		if f["label"] != "" {
			continue
		}
		if nearMiss && !isPlant {
			t.Errorf("%s: a near miss fired: %s", night, f["why"])
		}
		if !isPlant {
			others = append(others, f["detection"]+": "+f["why"])
		}
	}
	if len(others) > maxOthers {
		t.Errorf("%s: %d other findings, want at most %d:\n%s", night, len(others), maxOthers, strings.Join(others, "\n"))
	}
	t.Logf("%s: %d findings, %d others %q", night, len(findings), len(others), others)
}

// seenBy reports whether a finding is by a detection, alone or with others.
func seenBy(f map[string]string, detection string) bool {
	return f["detection"] == detection || slices.Contains(strings.Split(f["also"], ";"), detection)
}

// about reports whether a finding is about what was planted. Findings name an entity as
// its log spells it, and a firewall writes users in capitals.
func about(f, p map[string]string) bool {
	feed, _, _ := strings.Cut(f["feed"], "/")
	return strings.EqualFold(f["entity"], p["entity"]) && (feed == p["feed"] || feed == detect.AllFeeds) && (p["object"] == "" || f["object"] == "" || f["object"] == p["object"] || f["detection"] == "sigma_rule" && inRule(f["object"], p["object"]))
}

// inRule reports whether the object of a rule's finding is the host or program at, or a
// path on that host, or a call about at.
func inRule(object, at string) bool {
	_, what, _ := strings.Cut(object, ": ")
	return what == at || strings.HasPrefix(what, at+"/") || slices.Contains(strings.Fields(what), at)
}

// If this fails, a re-run of a day does not give the same bytes, or the result depends on
// the number of workers.
func TestRunsAreIdentical(t *testing.T) {
	dir := filepath.Dir(fixtures(t))
	run := func(name string, more ...string) map[string]string {
		args := append([]string{"run", "nightly", "--config", "fixtures/outflow.yaml", "--day", "2026-11-20",
			"--state", name + "/state", "--out", name + "/out", "--reports", "csv,html,dns_scores"}, more...)
		if code, _, stderr := invoke(t, dir, args...); code != exitOK {
			t.Fatalf("%s: exit %d: %s", name, code, stderr)
		}
		files := map[string]string{}
		filepath.WalkDir(filepath.Join(dir, name), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && d.Name() != "last.json" { // which names the state of the run
				text, _ := os.ReadFile(path)
				files[strings.TrimPrefix(path, filepath.Join(dir, name))] = withoutFlags(string(text))
			}
			return err
		})
		return files
	}
	want := run("a", "--workers", "1")
	if len(want) < 60 {
		t.Fatalf("got %d files of state and reports, want a month of partitions", len(want))
	}
	for _, again := range []struct {
		name string
		args []string
	}{
		{"a", []string{"--workers", "2"}},
		{"b", []string{"--workers", "8"}},
		{"c", []string{"--workers", "2", "--memory", "1B"}}, // every block is spilled
	} {
		got := run(again.name, again.args...)
		for name := range want {
			if got[name] != want[name] {
				t.Errorf("%s %v: %s differs", again.name, again.args, name)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: got %d files, want %d", again.name, len(got), len(want))
		}
	}
}
