package jobs

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"outflow/columnar/store"
)

// holds makes another run hold the state of the site.
func (s *site) holds(run string) *store.Lease {
	s.t.Helper()
	at, err := store.Open(s.t.Context(), s.dir+"/state", store.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	lease, err := store.Claim{Run: run}.Hold(s.t.Context(), at, "lock")
	if err != nil {
		s.t.Fatal(err)
	}
	return lease
}

// If this fails, two runs write the state at the same time, or the one that gives up does
// not say why.
func TestStateIsHeld(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(20)
	lease := s.holds("backfill \x1b[31m2026 on web1, pid 7")
	for _, args := range [][]string{
		{"run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-20"},
		{"backfill", "--config", "outflow.yaml", "--from", "2026-03-12", "--to", "2026-03-13"},
	} {
		code, stdout, stderr := invoke(t, s.dir, append(args, "--wait", "10ms")...)
		if code != exitEnvironment || stdout != "" {
			t.Errorf("%v: exit %d, want %d and no report: %s", args, code, exitEnvironment, stdout)
		}
		for _, want := range []string{"waiting up to 10ms for the state state", "the state state is locked by the run backfill", "2026 on web1, pid 7 since 20", "try again when it has ended"} {
			if !strings.Contains(stderr, want) {
				t.Errorf("%v: stderr does not say %q: %s", args, want, stderr)
			}
		}
		if strings.Contains(stderr, "\x1b") {
			t.Errorf("stderr has the control characters of another run: %q", stderr)
		}
	}
	// Another profile has another history, and hourly-dns none.
	for _, args := range [][]string{
		{"run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-20", "--profile", "seed"},
		{"run", "hourly-dns", "--config", "outflow.yaml", "--at", "2026-03-20T12:00:00Z"},
	} {
		if code, _, stderr := invoke(t, s.dir, append(args, "--wait", "0")...); code != exitOK {
			t.Errorf("%v: exit %d: %s", args, code, stderr)
		}
	}
	lease.Release(t.Context())
	if stderr := s.run(20, "--wait", "0"); strings.Contains(stderr, "ended before") {
		t.Errorf("the run before, which gave the state back, is said to be dead: %s", stderr)
	}
}

// If this fails, the lock of a run that died must be removed by hand, or nobody is told
// that it died.
func TestStateOfDeadRun(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(20)
	s.write("state/lock", []byte(`{"run":"nightly 2026-03-19 on web1, pid 7","since":"2026-03-20T02:00:00Z","id":"X"}`))
	if stderr := s.run(20, "--wait", "0"); !strings.Contains(stderr, "the run nightly 2026-03-19 on web1, pid 7, which began 2026-03-20T02:00:00Z, ended before it was done") {
		t.Errorf("does not say that the run before died: %s", stderr)
	}
}

// A lockless store has no locks.
type lockless struct{ store.Store }

func (lockless) Lock(context.Context, string) (store.Lock, error) { return nil, errors.ErrUnsupported }

// If this fails, a run whose lock was taken over goes on writing, or does not say why it
// stopped.
func TestStateIsLost(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(20)
	at, err := store.Open(t.Context(), s.dir+"/state", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lease, err := store.Claim{Run: "slow", Beat: 10 * time.Millisecond}.Hold(t.Context(), lockless{at}, "lock")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	s.write("state/lock.json", []byte(`{"run":"fast","since":"2026-03-20T02:00:00Z","id":"X"}`))
	beat(ctx, lease, lease.Every(), stop)
	if err := context.Cause(ctx); err == nil || !strings.Contains(err.Error(), "this run lost the lock of the state, and stopped: locked by the run fast") {
		t.Errorf("got %v", err)
	}
}
