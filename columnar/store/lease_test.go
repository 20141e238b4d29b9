package store

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A lockless store has no locks, as a file system without flock.
type lockless struct{ Store }

func (lockless) Lock(context.Context, string) (Lock, error) { return nil, errors.ErrUnsupported }

// eachLease runs a test with locks of the file system, without, and on S3.
func eachLease(t *testing.T, test func(t *testing.T, s Store)) {
	eachStore(t, test)
	t.Run("disk without locks", func(t *testing.T) {
		test(t, lockless{mustOpen(t, t.TempDir(), Options{})})
	})
}

const testBeat = 40 * time.Millisecond

func claim(run string) Claim { return Claim{Run: run, Beat: testBeat} }

// If this fails, two runs write the state at the same time, or the second is not told
// which run is in its way.
func TestLease(t *testing.T) {
	eachLease(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		first, err := claim("first").Hold(ctx, s, "lock")
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // it is not taken over while it beats
			if err := first.Beat(ctx); err != nil {
				t.Fatal(err)
			}
			_, err := claim("second").Hold(ctx, s, "lock")
			var locked *LockedError
			if !errors.As(err, &locked) || locked.Run != "first" || time.Since(locked.Since) > time.Minute || !strings.Contains(err.Error(), "run first since 20") {
				t.Errorf("got %v, want it locked by first since now", err)
			}
			if other, err := claim("second").Hold(ctx, s, "other"); err != nil {
				t.Errorf("another name: %v", err)
			} else {
				other.Release(ctx)
			}
		}
		first.Release(ctx)
		second, err := claim("second").Hold(ctx, s, "lock")
		if err != nil {
			t.Fatalf("after the first has ended: %v", err)
		}
		if second.Dead != nil {
			t.Errorf("the first, which gave the lease back, is said to be dead: %v", second.Dead)
		}
		second.Release(ctx)
	})
}

// If this fails, a run does not say who is in its way if that has just taken the lock, or gives
// up because of one that has just given it back.
func TestLeaseJustTaken(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	for _, name := range []string{"first", ""} {
		lock, err := s.Lock(t.Context(), "lock")
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(maxNameless/10, func() {
			if name == "" {
				lock.Close()
				return
			}
			first := holder{Run: name, Since: time.Now()}
			if err := lock.Note(first.encode()); err != nil {
				t.Error(err)
			}
		})
		second, err := claim("second").Hold(t.Context(), s, "lock")
		locked, ok := errors.AsType[*LockedError](err)
		switch {
		case name == "" && err != nil:
			t.Errorf("given back: %v", err)
		case name == "":
			second.Release(t.Context())
		case !ok || locked.Run != name:
			t.Errorf("got %v, want that %s has it", err, name)
		default:
			lock.Note(nil)
			lock.Close()
		}
	}
}

// If this fails, who may write the lock also writes on the operator's terminal, or fills it.
func TestLeaseHostile(t *testing.T) {
	eachLease(t, func(t *testing.T, s Store) {
		for _, text := range []string{
			`{"run": "\u001b[31mred\u202e\u0007", "since": "2026-01-01T00:00:00Z", "id": "x"}`,
			`{"run": "` + strings.Repeat("A", 1<<20) + `", "id": "x"}`,
			"\x00\xff{", "[]", `{"run": 1e999}`, "",
		} {
			for _, name := range []string{"lock", "lock.json"} { // with locks of the file system, and without
				put(t, s, name, text)
			}
			c := claim("mine")
			c.Wait = 30 * testBeat
			var said []string
			c.Waiting = func(held *LockedError) { said = append(said, held.Error()) }
			l, err := c.Hold(t.Context(), s, "lock")
			if err != nil {
				t.Fatalf("%.40q: %v", text, err)
			}
			if l.Dead != nil {
				said = append(said, l.Dead.Error())
			}
			l.Release(t.Context())
			for _, s := range said {
				if len(s) > 1000 || strings.ContainsAny(s, "\x1b\a\u202e") {
					t.Errorf("%.40q: got %.200q on the terminal", text, s)
				}
			}
		}
	})
}

// If this fails, a run that waits for another one does not begin when it ends, or begins
// before.
func TestLeaseWait(t *testing.T) {
	eachLease(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		first, err := claim("first").Hold(ctx, s, "lock")
		if err != nil {
			t.Fatal(err)
		}
		released := false
		c := claim("second")
		c.Wait = time.Minute
		c.Waiting = func(held *LockedError) {
			if held.Run != "first" {
				t.Errorf("waits for %q, want first", held.Run)
			}
			first.Release(ctx)
			released = true
		}
		second, err := c.Hold(ctx, s, "lock")
		if err != nil || !released {
			t.Errorf("got %v, released %t", err, released)
		} else {
			second.Release(ctx)
		}
		third, err := claim("third").Hold(ctx, s, "lock")
		if err != nil {
			t.Fatal(err)
		}
		c.Waiting = nil
		waiting, cancel := context.WithTimeout(ctx, testBeat)
		defer cancel()
		if _, err := c.Hold(waiting, s, "lock"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("interrupted while it waits: got %v", err)
		}
		third.Release(ctx)
	})
}

// If this fails, a run that died without locks of the file system blocks all later ones,
// or goes on as if nothing had happened when it only was slow.
func TestLeaseTakenOver(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		s = lockless{s}
		slow, err := claim("slow").Hold(ctx, s, "lock")
		if err != nil {
			t.Fatal(err)
		}
		c := claim("fast")
		c.Wait = time.Minute
		fast, err := c.Hold(ctx, s, "lock")
		if err != nil {
			t.Fatal(err)
		}
		if fast.Dead == nil || fast.Dead.Run != "slow" {
			t.Errorf("got dead %v, want slow", fast.Dead)
		}
		if err := slow.Beat(ctx); !errors.Is(err, ErrLocked) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the slow run's beat: got %v", err)
		}
		slow.last = time.Now()
		if err := slow.Beat(ctx); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "run fast") {
			t.Errorf("the slow run's beat: got %v, want locked by fast", err)
		}
		slow.Release(ctx)
		if _, err := claim("third").Hold(ctx, s, "lock"); !errors.Is(err, ErrLocked) {
			t.Errorf("after the slow run gave back what it did not have: got %v, want locked", err)
		}
		fast.Release(ctx)
	})
}

// If this fails, a lost answer of the server makes a run believe that it has lost its
// lease, or leaves a lease that nobody has.
func TestLeaseFaults(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		for n := 1; n <= 8; n++ {
			for _, late := range []bool{false, true} {
				f := &faulty{Store: lockless{s}, n: n, late: late}
				l, err := claim("r").Hold(ctx, f, "lock")
				if err != nil && !errors.Is(err, errFault) {
					t.Errorf("call %d: %v", n, err)
				}
				if err == nil {
					if err := l.Beat(ctx); err != nil {
						t.Errorf("call %d, late %t: beat: %v", n, late, err)
					}
					l.Release(ctx)
				}
				if f.n <= -1 || f.n > 0 { // the fault was not in the release itself
					if got := names(t, s.List(ctx, "", Deep)); len(got) > 0 && n < 7 {
						t.Errorf("call %d, late %t: left %q", n, late, got)
					}
				}
				s.Delete(ctx, "lock.json")
			}
		}
	})
}

// If this fails, the lock of a run that was killed blocks the next one.
func TestLeaseOfKilledProcess(t *testing.T) {
	dir := os.Getenv("OUTFLOW_TEST_LEASE")
	if dir != "" { // the process that is killed
		if _, err := claim("killed").Hold(t.Context(), mustOpen(t, dir, Options{}), "lock"); err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(dir, "held"), nil, 0o600)
		time.Sleep(time.Minute)
		return
	}
	dir = t.TempDir()
	c := exec.Command(os.Args[0], "-test.run=^TestLeaseOfKilledProcess$")
	c.Env = append(os.Environ(), "OUTFLOW_TEST_LEASE="+dir)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if _, err := os.Stat(filepath.Join(dir, "held")); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	s := mustOpen(t, dir, Options{})
	if _, err := claim("next").Hold(t.Context(), s, "lock"); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "run killed") {
		t.Errorf("while it runs: got %v, want locked by killed", err)
	}
	c.Process.Kill()
	c.Wait()
	l, err := claim("next").Hold(t.Context(), s, "lock")
	if err != nil {
		t.Fatal(err)
	}
	if l.Dead == nil || l.Dead.Run != "killed" {
		t.Errorf("got dead %v, want the killed run", l.Dead)
	}
	l.Release(t.Context())
}
