package jobs

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// A stagedRun runs a job in stages.
type stagedRun struct {
	t      *testing.T
	dir    string
	name   string // of the folders of state, reports and work
	config []string
	plan   planForm
}

// begin plans a run.
func (r *stagedRun) begin(args ...string) {
	r.t.Helper()
	code, stdout, stderr := r.stage("plan", append([]string{"--state", r.name + "/state", "--work", r.work(), "--as", "json"}, args...)...)
	if code != exitOK {
		r.t.Fatalf("plan: exit %d: %s", code, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &r.plan); err != nil {
		r.t.Fatalf("plan printed %q: %v", stdout, err)
	}
}

func (r *stagedRun) work() string { return filepath.Join(r.dir, r.name, "work") }

func (r *stagedRun) stage(name string, args ...string) (code int, stdout, stderr string) {
	r.t.Helper()
	return invoke(r.t, r.dir, slices.Concat([]string{"stage", name, "-q"}, r.config, args)...)
}

// must runs a stage, which must work.
func (r *stagedRun) must(name string, args ...string) {
	r.t.Helper()
	if code, _, stderr := r.stage(name, append([]string{"--plan", r.plan.Plan}, args...)...); code != exitOK {
		r.t.Fatalf("%s %v: exit %d: %s", name, args, code, stderr)
	}
}

// all folds, merges and judges: in any order, and some of it twice.
func (r *stagedRun) all() {
	r.t.Helper()
	order := rand.New(rand.NewPCG(1, uint64(r.plan.Tasks)))
	for _, flag := range []struct {
		stage, index string
		n            int
	}{{"fold", "--task", r.plan.Tasks}, {"merge", "--shard", r.plan.Shards}} {
		for _, i := range append(order.Perm(flag.n), order.Perm(flag.n)[:(flag.n+1)/2]...) {
			r.must(flag.stage, flag.index, fmt.Sprint(i))
		}
	}
	r.judge()
}

func (r *stagedRun) judge() {
	r.t.Helper()
	r.must("judge", "--state", r.name+"/state", "--out", r.name+"/out", "--reports", "csv,html,dns_scores")
}

// resultsOf returns what a run has left, by name: reports, and each partition with its rows
// and without the names of its files.
func resultsOf(t *testing.T, folder string) map[string]any {
	t.Helper()
	out := map[string]any{}
	filepath.WalkDir(filepath.Join(folder, "out"), func(path string, d fs.DirEntry, err error) error {
		// last.json names the state; run.json and outflow.prom have the time of day.
		if err == nil && !d.IsDir() && d.Name() != "last.json" && d.Name() != "run.json" && d.Name() != "outflow.prom" {
			text, _ := os.ReadFile(path)
			out[strings.TrimPrefix(path, folder)] = string(text)
		}
		return err
	})
	at, err := store.Open(t.Context(), filepath.Join(folder, "state"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range detect.Aggregates {
		p := store.Partitions[detect.Row]{Store: at, Folder: "aggregate=" + a.Name}
		days, err := p.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, day := range days {
			rows, done, err := p.Read(t.Context(), day)
			if err != nil {
				t.Fatal(err)
			}
			slices.SortStableFunc(rows, func(a, b detect.Row) int { return a.Key.Compare(b.Key) })
			done.Parts = nil
			out[done.Partition] = []any{done, rows}
		}
	}
	nights, _ := os.ReadFile(filepath.Join(folder, "state/v2/nights.json"))
	others, _ := os.ReadFile(filepath.Join(folder, "state/v2/others.json"))
	out["nights"], out["others"] = string(nights), string(others)
	return out
}

func sameResults(t *testing.T, what string, got, want map[string]any) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !reflect.DeepEqual(got[name], want[name]) {
			t.Errorf("%s: %s differs from that of one machine", what, name)
			if testing.Verbose() {
				t.Logf("got %.3000v\nwant %.3000v", got[name], want[name])
			}
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: got %d results, want %d", what, len(got), len(want))
	}
}

// If this fails, a run in stages finds or keeps something else than one on one machine.
func TestStages(t *testing.T) {
	dir := filepath.Dir(fixtures(t))
	config := []string{"--config", "fixtures/outflow.yaml", "--backfill=false"}
	code, _, stderr := invoke(t, dir, append([]string{"run", "nightly", "-q", "--day", "2026-11-20", "--state", "one/state", "--out", "one/out", "--reports", "csv,html,dns_scores"}, config...)...)
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	want := resultsOf(t, filepath.Join(dir, "one"))
	if len(want) < 20 {
		t.Fatalf("got %d results, want reports and partitions", len(want))
	}
	tasks := map[int]bool{}
	for _, size := range []string{"1GiB", "300KB", "1B"} {
		for _, shards := range []string{"1", "3", "7"} {
			r := &stagedRun{t: t, dir: dir, name: size + "-" + shards, config: config}
			r.begin("--day", "2026-11-20", "--task-size", size, "--shards", shards)
			tasks[r.plan.Tasks] = true
			r.all()
			sameResults(t, r.name, resultsOf(t, filepath.Join(dir, r.name)), want)
			if left, _ := os.ReadDir(r.work()); len(left) > 0 {
				t.Errorf("%s: the work folder has %s after the run", r.name, left[0])
			}
		}
	}
	if len(tasks) < 3 {
		t.Errorf("got runs of %v tasks, want three numbers", slices.Sorted(maps.Keys(tasks)))
	}
}
