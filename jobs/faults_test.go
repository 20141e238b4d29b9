package jobs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"outflow/columnar/store"
)

// A fullStore is a store whose disk is full from the nth write on.
type fullStore struct {
	store.Store
	left *atomic.Int64
}

func (f fullStore) Put(ctx context.Context, name string, body io.ReadSeeker, when store.Condition) error {
	if f.left.Add(-1) < 0 {
		return &os.PathError{Op: "write", Path: name, Err: syscall.ENOSPC}
	}
	return f.Store.Put(ctx, name, body, when)
}

// failing runs a night in a program that what changes, and returns the exit code and what it
// said.
func (s *site) failing(day string, what func(*program)) (int, string) {
	s.t.Helper()
	s.t.Chdir(s.dir)
	var out, errs bytes.Buffer
	p := &program{stdout: &out, stderr: &errs, ctx: s.t.Context(), limit: noLimit, collect: noCollect,
		env: func(string) (string, bool) { return "", false }, now: time.Now}
	what(p)
	return p.run([]string{"run", "nightly", "--config", "outflow.yaml", "--day", day, "--quiet"}), errs.String()
}

// If this fails, a full disk is taken for wrong usage, or the next night does not mend what
// it left.
func TestFullDisk(t *testing.T) {
	clean := smallSite(t)
	clean.run(20)
	for _, writes := range []int64{0, 3, 12, 22} {
		s := copySite(t, smallSite(t))
		code, stderr := s.failing("2026-03-20", func(p *program) {
			left := new(atomic.Int64)
			left.Store(writes)
			p.wrap = func(s store.Store) store.Store { return fullStore{s, left} }
		})
		if code != exitEnvironment || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "no space left on device") {
			t.Errorf("full after %d writes: exit %d, want %d and one line: %s", writes, code, exitEnvironment, stderr)
		}
		s.run(20)
		if diff := s.differs(clean); len(diff) > 0 {
			t.Errorf("full after %d writes: the next run differs: %s", writes, diff)
		}
	}
}

// If this fails, one input with a link loop, or without its folder, keeps all others from
// being judged, or makes a day lose what was folded of it.
func TestClosedInput(t *testing.T) {
	s := smallSite(t)
	s.write("outflow.yaml", []byte("inputs:\n  - {name: cloud, uri: 'logs/{yyyy}-{mm}-{dd}/'}\n  - {name: loop, uri: loop/logs}\n"))
	s.write("loop/logs/a.csv", uploads("2026-03-20T10:00 zoe 5"))
	s.run(20)
	if err := os.RemoveAll(filepath.Join(s.dir, "loop/logs")); err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"missing", "loop"} {
		if how == "loop" {
			if err := os.Symlink("logs", filepath.Join(s.dir, "loop/logs")); err != nil {
				t.Fatal(err)
			}
		}
		s.run(20)
		named := false
		for _, r := range readCSV(t, filepath.Join(s.dir, "out/nightly/2026-03-20/inputs.csv")) {
			named = named || r["name"] == "loop/logs" && strings.HasPrefix(r["error"], "input loop: ")
		}
		if !named {
			t.Errorf("%s: the report does not name the input: %s", how, s.reports(20)["inputs.csv"])
		}
		if got := s.events(20); got["zoe"] != 1 || got["ann"] != 1 {
			t.Errorf("%s: got events %v, want those of both inputs", how, got)
		}
		if code, _, _ := invoke(t, s.dir, "run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-20", "--strict"); code != exitPartial {
			t.Errorf("%s: --strict: exit %d, want %d", how, code, exitPartial)
		}
	}
}

// If this fails, a command whose output nobody reads any more says that it failed.
func TestClosedPipe(t *testing.T) {
	s := smallSite(t)
	c := exec.Command(os.Args[0], "cat", "logs/2026-03-20/a.csv")
	c.Dir = s.dir
	c.Env = append(os.Environ(), "OUTFLOW_TEST_KILL=0")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	var errs bytes.Buffer
	c.Stdout, c.Stderr = w, &errs
	err = c.Run()
	w.Close()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitPipe || errs.Len() > 0 {
		t.Errorf("got %v, want exit %d and no word: %s", err, exitPipe, errs.String())
	}
}
