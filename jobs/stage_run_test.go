package jobs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outflow/columnar/store"
)

// If this fails, processes that share out the stages find or keep something else than one
// machine, wait for one another for ever, or do not work when they are started again.
func TestStageRun(t *testing.T) {
	dir := filepath.Dir(fixtures(t))
	config := []string{"--config", "fixtures/outflow.yaml", "--backfill=false", "--day", "2026-11-20", "-q"}
	code, _, stderr := invoke(t, dir, append([]string{"run", "nightly", "--state", "one/state", "--out", "one/out"}, config...)...)
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	const processes = 3
	start := func(index int) *exec.Cmd {
		c := exec.Command(os.Args[0], append([]string{"stage", "run", "--state", "shared/state", "--out", "shared/out",
			"--work", "shared/stages", "--of", fmt.Sprint(processes), "--task-size", "100KB", "--shards", "4"}, config...)...)
		c.Dir = dir
		c.Env = append(os.Environ(), "OUTFLOW_TEST_KILL=0", fmt.Sprint("JOB_COMPLETION_INDEX=", index))
		c.Stderr = &strings.Builder{}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	end := func(index int, c *exec.Cmd) {
		t.Helper()
		if err := c.Wait(); err != nil {
			t.Errorf("process %d: %v: %s", index, err, c.Stderr)
		}
	}
	// One is killed when it has folded a task, and started again.
	var all []*exec.Cmd
	for i := range processes {
		all = append(all, start(i))
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if done, _ := filepath.Glob(filepath.Join(dir, "shared/stages/*/task=1/_done.json")); len(done) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("task 1 is not folded")
		}
	}
	all[1].Process.Kill()
	if err := all[1].Wait(); err == nil {
		t.Error("the process had ended before it was killed")
	}
	// What it was writing is left behind.
	folders, _ := filepath.Glob(filepath.Join(dir, "shared/stages/*/task=1"))
	if len(folders) != 1 {
		t.Fatalf("got folders %v", folders)
	}
	if err := os.WriteFile(filepath.Join(folders[0], ".outflow-1.tmp"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	all[1] = start(1)
	for i, c := range all {
		end(i, c)
	}
	want := resultsOf(t, filepath.Join(dir, "one"))
	sameResults(t, "shared", resultsOf(t, filepath.Join(dir, "shared")), want)
	// All are started again, as pods whose node was lost after their work.
	for i := range processes {
		end(i, start(i))
	}
	sameResults(t, "again", resultsOf(t, filepath.Join(dir, "shared")), want)
	left, err := os.ReadDir(filepath.Join(dir, "shared/stages"))
	if err != nil || len(left) != 1 || left[0].Name() != sharedName {
		t.Errorf("the work folder has %v after the run, want %s alone: %v", left, sharedName, err)
	}
}

// If this fails, one who can write run.json has process 0 remove any folder.
func TestStageRunRefusesAForeignPlan(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(20)
	work, precious := filepath.Join(s.dir, "work"), filepath.Join(s.dir, "precious/run")
	for _, folder := range []string{work, precious} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{planName, "notes.txt"} {
		if err := os.WriteFile(filepath.Join(precious, name), []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, plan := range []string{filepath.Join(precious, planName), work + "/../" + planName, work + "/plan.json", work + "/run/other.json", ""} {
		for _, over := range []bool{true, false} {
			text, err := store.EncodeChecked(&sharedRun{Plan: plan, Over: over})
			if err == nil {
				err = os.WriteFile(filepath.Join(work, sharedName), text, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			code, _, stderr := invoke(t, s.dir, "stage", "run", "--config", "outflow.yaml", "--work", work, "--of", "1", "--index", "0", "--day", "2026-03-20")
			if code != exitConfig || !strings.Contains(stderr, "not in this folder") {
				t.Errorf("%s, over: %t: exit %d: %s", plan, over, code, stderr)
			}
		}
	}
	if left := filesBelow(t, precious); len(left) != 2 {
		t.Errorf("of a folder of others, %v is left", left)
	}
}

// If this fails, the second of two judges does half a night again, and records that it failed.
func TestStageJudgedMeanwhile(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(20)
	r := &stagedRun{t: t, dir: s.dir, name: "many", config: []string{"--config", "outflow.yaml"}}
	r.begin("--day", "2026-03-20")
	for i := range r.plan.Tasks {
		r.must("fold", "--task", fmt.Sprint(i))
	}
	r.must("merge", "--shard", "0")
	state := filepath.Join(s.dir, "many/state")
	if err := os.MkdirAll(state, 0o755); err != nil {
		t.Fatal(err)
	}
	at, err := store.Open(t.Context(), state, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lock, err := at.Lock(t.Context(), "lock")
	if err != nil {
		t.Fatal(err)
	}
	type ended struct {
		code   int
		stderr string
	}
	second := make(chan ended)
	go func() {
		code, _, stderr := invoke(t, s.dir, "stage", "judge", "--config", "outflow.yaml", "--plan", r.plan.Plan, "--state", "many/state", "--out", "many/out", "--wait", "1m")
		second <- ended{code, stderr}
	}()
	time.Sleep(500 * time.Millisecond) // it has read what the stages have folded, and waits
	if err := os.RemoveAll(filepath.Dir(r.plan.Plan)); err != nil {
		t.Fatal(err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-second; got.code != exitConfig || !strings.Contains(got.stderr, "was judged by another process") && !strings.Contains(got.stderr, "there is no plan") {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
	if left, _ := filepath.Glob(filepath.Join(state, "v2/*")); len(left) > 0 {
		t.Errorf("it left %v in the state", left)
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "many/out/nightly/*")); len(left) > 0 {
		t.Errorf("it left %v in the reports", left)
	}
}
