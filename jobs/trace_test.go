package jobs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A timeline adds the stages of one name, and only those since the run began.
func TestTimeline(t *testing.T) {
	var now time.Time
	tr := &trace{now: func() time.Time { return now }, detail: true}
	step := func(name string, d time.Duration) {
		end := tr.stage(name)
		now = now.Add(d)
		end()
	}
	step(foldStage, time.Hour) // of the night before
	began := now
	step(listStage, time.Second)
	step(foldStage, 2*time.Second)
	step(mergeStage, 3*time.Second)
	step(foldStage, 4*time.Second)
	step(reportStage, 0)
	var got []string
	for _, p := range tr.timeline(began) {
		got = append(got, p.Name+" "+p.Took.String())
	}
	if got, want := strings.Join(got, ", "), "list 1s, fold 6s, merge 3s"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := (*trace)(nil).timeline(began); got != nil {
		t.Errorf("nil trace: got %v", got)
	}
}

// In a trace's file, tasks at the same time have lanes of their own, and later ones the
// lanes that are free again.
func TestTraceFile(t *testing.T) {
	var now time.Time
	tr := &trace{now: func() time.Time { return now }, detail: true}
	stage := tr.stage(foldStage)
	a, b := tr.task("a"), tr.task("b")
	now = now.Add(time.Millisecond)
	a()
	c := tr.task("c")
	now = now.Add(time.Millisecond)
	b()
	c()
	stage()
	var text strings.Builder
	if err := tr.write(&text); err != nil {
		t.Fatal(err)
	}
	var file struct{ TraceEvents []traceEvent }
	if err := json.Unmarshal([]byte(text.String()), &file); err != nil {
		t.Fatal(err)
	}
	type at struct {
		lane     int
		from, µs float64
	}
	got := map[string]at{}
	for _, e := range file.TraceEvents {
		if e.Ph == "X" {
			got[e.Name] = at{e.Tid, e.Ts, e.Dur}
		}
	}
	for name, want := range map[string]at{"fold": {0, 0, 2000}, "a": {1, 0, 1000}, "b": {2, 0, 2000}, "c": {1, 1000, 1000}} {
		if got[name] != want {
			t.Errorf("%s: got %v, want %v", name, got[name], want)
		}
	}
}

// If this fails, a mistyped --trace destroys a log or the configuration.
func TestTraceIsANewFile(t *testing.T) {
	dir := t.TempDir()
	for _, flag := range []string{"--trace", "--cpuprofile", "--memprofile"} {
		name := filepath.Join(dir, flag)
		if code, _, stderr := invoke(t, dir, "list", "tables", flag, name); code != exitOK {
			t.Fatalf("%s: exit %d: %s", flag, code, stderr)
		}
		before, err := os.ReadFile(name)
		if err != nil || len(before) == 0 {
			t.Fatalf("%s: %d bytes: %v", flag, len(before), err)
		}
		code, _, stderr := invoke(t, dir, "list", "tables", flag, name)
		if after, _ := os.ReadFile(name); code == exitOK || !strings.Contains(stderr, "exists") || string(after) != string(before) {
			t.Errorf("%s of a file that is there: exit %d: %s", flag, code, stderr)
		}
	}
}
