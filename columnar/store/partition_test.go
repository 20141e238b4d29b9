package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

const (
	testDay    = "2026-11-20"
	testFolder = "v1/aggregate=user_day/date=2026-11-20/"
)

func partitions(s Store, run string) Partitions[row] {
	return Partitions[row]{Store: s, Folder: "aggregate=user_day", Run: run}
}

// oldRows and newRows are two contents of the same day, and their Done.
func oldRows() ([]row, Done) {
	return someRows(10), Done{Rev: 1, Fold: "f1", Inputs: []InputRef{{Name: "s3://b/1", Size: 10, ETag: "e1", Rows: 10}}}
}

func newRows() ([]row, Done) {
	rows := someRows(20)
	return rows[5:], Done{Rev: 1, Fold: "f1", Feeds: []string{"proxy", "dns"}, Late: []string{"s3://b/2"},
		Inputs: []InputRef{{Name: "s3://b/2", Size: 20, ETag: "e2", Rows: 5, Skipped: 1}, {Name: "s3://b/1", Size: 10, ETag: "e1", Rows: 10}}}
}

// which says what a day holds: "old", "new", "none", "damaged", or any other text
// if it is wrong.
func which(t *testing.T, p Partitions[row]) string {
	t.Helper()
	rows, done, err := p.Read(t.Context(), testDay)
	if errors.Is(err, fs.ErrNotExist) {
		return "none"
	}
	if err != nil {
		if want := "outflow backfill --from 2026-11-20 --to 2026-11-20"; !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %s", err, want)
		}
		return "damaged"
	}
	oldR, oldD := oldRows()
	newR, newD := newRows()
	switch {
	case slices.EqualFunc(rows, oldR, sameRow) && len(done.Inputs) == len(oldD.Inputs) && len(done.Late) == 0:
		return "old"
	case slices.EqualFunc(rows, newR, sameRow) && len(done.Inputs) == len(newD.Inputs) && len(done.Late) == 1:
		return "new"
	}
	return fmt.Sprintf("mixture of %d rows and %+v", len(rows), done)
}

func sameRow(a, b row) bool {
	return a.key == b.key && a.Day == b.Day && a.BytesOut == b.BytesOut && slices.Equal(a.Examples, b.Examples)
}

func checksum(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

func TestPartitions(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		p := partitions(s, "nightly")
		if days, err := p.List(ctx); days != nil || err != nil {
			t.Errorf("list of nothing: got %v, %v", days, err)
		}
		if got := which(t, p); got != "none" {
			t.Errorf("before: got %s", got)
		}
		rows, done := newRows()
		if err := p.Commit(ctx, testDay, each(rows), &done); err != nil {
			t.Fatal(err)
		}
		if got := which(t, p); got != "new" {
			t.Errorf("after: got %s", got)
		}
		if done.Inputs[0].Name != "s3://b/2" || done.Feeds[0] != "proxy" {
			t.Error("Commit changed the caller's inputs or feeds")
		}
		if err := p.Commit(ctx, "2026-11-19", each[row](nil), &Done{}); err != nil {
			t.Fatal(err)
		}
		if rows, done, err := p.Read(ctx, "2026-11-19"); len(rows) != 0 || done.Rows != 0 || err != nil {
			t.Errorf("day without rows: got %v, %v, %v", rows, done, err)
		}
		// Only partitions are listed.
		put(t, s, "v1/aggregate=user_day/date=2026-11-21/part-0.parquet", "x")
		put(t, s, "v1/aggregate=user_day/date=tomorrow/_done.json", "{}")
		put(t, s, "v1/aggregate=user_day2/date=2026-11-22/_done.json", "{}")
		put(t, s, "v1/aggregate=user_day/old/date=2026-11-22/_done.json", "{}")
		if days, err := p.List(ctx); err != nil || !slices.Equal(days, []string{"2026-11-19", testDay}) {
			t.Errorf("list: got %v, %v", days, err)
		}

		const wantDone = `{
 "rev": 1,
 "fold": "f1",
 "rows": 15,
 "sha256": "%s",
 "feeds": [
  "dns",
  "proxy"
 ],
 "inputs": [
  {
   "name": "s3://b/1",
   "size": 10,
   "etag": "e1",
   "rows": 10,
   "skipped": 0,
   "first": "",
   "last": ""
  },
  {
   "name": "s3://b/2",
   "size": 20,
   "etag": "e2",
   "rows": 5,
   "skipped": 1,
   "first": "",
   "last": ""
  }
 ],
 "late": [
  "s3://b/2"
 ]
}
`
		part := get(t, s, testFolder+partName)
		json := get(t, s, testFolder+doneName)
		if want := fmt.Sprintf(wantDone, checksum(part)); json != want {
			t.Errorf("%s:\n got %s\nwant %s", doneName, json, want)
		}
		// Again, with the inputs in another order, by another run at another time.
		slices.Reverse(done.Inputs)
		p.Run = "again"
		p.Now = func() time.Time { return time.Now().Add(time.Hour) }
		if err := p.Commit(ctx, testDay, each(rows), &done); err != nil {
			t.Fatal(err)
		}
		if get(t, s, testFolder+partName) != part || get(t, s, testFolder+doneName) != json {
			t.Error("committing the same again gave other bytes")
		}
		if got, want := names(t, s.List(ctx, testFolder, Deep)), []string{testFolder + doneName, testFolder + partName}; !slices.Equal(got, want) {
			t.Errorf("left: got %q, want %q", got, want)
		}
	})
}

func TestPartitionDamaged(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		p := partitions(s, "r")
		commit := func() {
			rows, done := oldRows()
			if err := p.Commit(t.Context(), testDay, each(rows), &done); err != nil {
				t.Fatal(err)
			}
		}
		commit()
		part := get(t, s, testFolder+partName)
		done := get(t, s, testFolder+doneName)
		for name, damage := range map[string]func(){
			"one bit":      func() { put(t, s, testFolder+partName, part[:99]+string(part[99]^1)+part[100:]) },
			"cut short":    func() { put(t, s, testFolder+partName, part[:len(part)/2]) },
			"no rows file": func() { s.Delete(t.Context(), testFolder+partName) },
			"empty done":   func() { put(t, s, testFolder+doneName, "") },
			"other count":  func() { put(t, s, testFolder+doneName, strings.Replace(done, `"rows": 10,`, `"rows": 11,`, 1)) },
			"no parquet, but the right sum": func() {
				put(t, s, testFolder+partName, "x")
				put(t, s, testFolder+doneName, `{"rows": 10, "sha256": "`+checksum("x")+`"}`)
			},
		} {
			damage()
			if got := which(t, p); got != "damaged" {
				t.Errorf("%s: got %s, want an error with the remedy", name, got)
			}
			commit()
			if got := which(t, p); got != "old" {
				t.Errorf("%s, committed again: got %s", name, got)
			}
		}
	})
}

// A faulty store fails the nth call and, if it is dead, all calls after it. A late
// fault comes after the call has done its work, as when an answer is lost.
type faulty struct {
	Store
	n    int
	late bool
	dead bool
}

var errFault = errors.New("injected fault")

func (f *faulty) call(do func() error) error {
	f.n--
	if f.n > 0 || f.n < 0 && !f.dead {
		return do()
	}
	if f.late && f.n == 0 {
		if err := do(); err != nil {
			return err
		}
	}
	return errFault
}

func (f *faulty) List(ctx context.Context, prefix string, depth Depth) iter.Seq2[Entry, error] {
	if err := f.call(func() error { return nil }); err != nil {
		return func(yield func(Entry, error) bool) { yield(Entry{}, err) }
	}
	return f.Store.List(ctx, prefix, depth)
}

func (f *faulty) Open(ctx context.Context, name string) (r io.ReadCloser, err error) {
	err = f.call(func() error { r, err = f.Store.Open(ctx, name); return err })
	return r, err
}

func (f *faulty) OpenAt(ctx context.Context, name string) (r ReaderAt, err error) {
	err = f.call(func() error { r, err = f.Store.OpenAt(ctx, name); return err })
	return r, err
}

func (f *faulty) Put(ctx context.Context, name string, body io.ReadSeeker, when Condition) error {
	return f.call(func() error { return f.Store.Put(ctx, name, body, when) })
}

func (f *faulty) Delete(ctx context.Context, name string) error {
	return f.call(func() error { return f.Store.Delete(ctx, name) })
}

// Wherever a commit fails, readers see one of the two contents or none, and
// committing again repairs the day.
func TestCommitFaults(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		p := partitions(s, "heals")
		// A crash leaves its lock behind. It is stale only after a while.
		p.Now = func() time.Time { return time.Now().Add(staleLock + time.Minute) }
		p.Warn = func(string) {}
		rows, done := newRows()
		calls := 0
		for _, fault := range []faulty{{}, {late: true}, {dead: true}, {late: true, dead: true}} {
			for _, before := range []string{"none", "old", "crashed"} {
				for n := 1; ; n++ {
					for e := range s.List(ctx, "", Deep) {
						if err := s.Delete(ctx, e.Name); err != nil {
							t.Fatal(err)
						}
					}
					if before != "none" {
						oldR, oldD := oldRows()
						if err := p.Commit(ctx, testDay, each(oldR), &oldD); err != nil {
							t.Fatal(err)
						}
					}
					if before == "crashed" { // right after it took its lock
						put(t, s, testFolder+lockName, `{"run":"dead","since":"2026-11-20T00:00:00Z","id":"X"}`)
					}
					f := fault
					f.Store, f.n = s, n
					q := p
					q.Store, q.Run = &f, "fails"
					err := q.Commit(ctx, testDay, each(rows), &done)
					name := fmt.Sprintf("late %v, dead %v, over %s, call %d", f.late, f.dead, before, n)
					got := which(t, p)
					switch {
					case err == nil && got != "new":
						t.Errorf("%s: got no error but %s", name, got)
					case err != nil && !errors.Is(err, errFault):
						t.Errorf("%s: got %v, want the fault", name, err)
					case got == "none", got == "new", got == "old" && before != "none":
					case got == "damaged":
						// Only a partition written before its _done.json was
						// deleted could be so.
						t.Errorf("%s: got a damaged partition", name)
					default:
						t.Errorf("%s: got %s", name, got)
					}
					if err := p.Commit(ctx, testDay, each(rows), &done); err != nil {
						t.Errorf("%s: then: %v", name, err)
					}
					if got := which(t, p); got != "new" {
						t.Errorf("%s: then: got %s", name, got)
					}
					calls = max(calls, n)
					if f.n > 0 {
						break // it took fewer calls than n
					}
				}
			}
		}
		if calls < 8 {
			t.Errorf("got %d calls at most, want faults in every step", calls)
		}
	})
}

// A hooked store runs a function before or after a Put of a name.
type hooked struct {
	Store
	name          string
	before, after func()
}

func (h hooked) Put(ctx context.Context, name string, body io.ReadSeeker, when Condition) error {
	hit := strings.HasSuffix(name, h.name)
	if hit && h.before != nil {
		h.before()
	}
	err := h.Store.Put(ctx, name, body, when)
	if hit && h.after != nil {
		h.after()
	}
	return err
}

// If two runs overlap, the second learns about the first.
func TestCommitLocked(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		oldR, oldD := oldRows()
		newR, newD := newRows()
		second := partitions(s, "second")
		hits := 0
		first := partitions(hooked{Store: s, name: partName, before: func() {
			hits++
			err := second.Commit(ctx, testDay, each(oldR), &oldD)
			var locked *LockedError
			if !errors.Is(err, ErrLocked) || !errors.As(err, &locked) || locked.Run != "first" || time.Since(locked.Since) > time.Minute {
				t.Errorf("got %v, want ErrLocked by first", err)
			} else if !strings.Contains(err.Error(), "run first since") {
				t.Errorf("got %v, want the holder", err)
			}
			// Another day is free.
			if err := second.Commit(ctx, "2026-11-19", each(oldR), &oldD); err != nil {
				t.Errorf("another day: %v", err)
			}
		}}, "first")
		if err := first.Commit(ctx, testDay, each(newR), &newD); err != nil {
			t.Error(err)
		}
		if got := which(t, second); got != "new" || hits != 1 {
			t.Errorf("got %s after %d hits, want new after 1", got, hits)
		}
		if err := second.Commit(ctx, testDay, each(oldR), &oldD); err != nil {
			t.Errorf("after the first has ended: %v", err)
		}
	})
}

// A run so slow that another run took over its lock must not commit.
func TestCommitOvertaken(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		oldR, oldD := oldRows()
		newR, newD := newRows()
		var warnings []string
		fast := partitions(s, "fast")
		fast.Now = func() time.Time { return time.Now().Add(time.Hour) }
		fast.Warn = func(w string) { warnings = append(warnings, w) }
		overtake := func() {
			if err := fast.Commit(ctx, testDay, each(newR), &newD); err != nil {
				t.Errorf("fast: %v", err)
			}
		}
		for _, c := range []struct {
			store hooked
			want  string
		}{
			{hooked{Store: s, name: partName, before: overtake}, "damaged"}, // it overwrites the rows of the other run, so the checksum is wrong
			{hooked{Store: s, name: partName, after: overtake}, "new"},
			{hooked{Store: s, name: doneName, before: overtake}, "new"},
		} {
			warnings = nil
			slow := partitions(c.store, "slow")
			if err := slow.Commit(ctx, testDay, each(oldR), &oldD); !errors.Is(err, ErrLocked) {
				t.Errorf("slow: got %v, want ErrLocked", err)
			}
			if got := which(t, fast); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if len(warnings) != 1 || !strings.Contains(warnings[0], `run "slow"`) {
				t.Errorf("got warnings %q, want one that names the run that was overtaken", warnings)
			}
			overtake()
			if got := which(t, fast); got != "new" {
				t.Errorf("healed: got %s", got)
			}
		}
	})
}

// If many runs find the same stale lock, only one may take it over.
func TestLockTakenOverOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		put(t, s, testFolder+lockName, "cut sho") // by a run that died while writing it
		oldR, oldD := oldRows()
		second := partitions(s, "second")
		second.Now = func() time.Time { return time.Now().Add(staleLock + time.Minute) }
		if err := partitions(s, "early").Commit(ctx, testDay, each(oldR), &oldD); !errors.Is(err, ErrLocked) {
			t.Errorf("fresh lock: got %v, want ErrLocked", err)
		}
		hits := 0
		first := second
		first.Run = "first"
		// The second run comes in when the first has found the lock stale.
		first.Store = hooked{Store: s, name: lockName, before: func() {
			if hits++; hits == 2 {
				if err := second.Commit(ctx, testDay, each(oldR), &oldD); err != nil {
					t.Errorf("second: %v", err)
				}
				put(t, s, testFolder+lockName, `{"run":"third","since":"2026-11-20T00:00:00Z","id":"Y"}`)
			}
		}}
		err := first.Commit(ctx, testDay, each(oldR), &oldD)
		var locked *LockedError
		if !errors.As(err, &locked) || locked.Run != "third" {
			t.Errorf("first: got %v, want it locked by third", err)
		}
	})
}

// A cancelled run still gives its lock back.
func TestCommitCancelled(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		ctx, cancel := context.WithCancel(t.Context())
		rows, done := oldRows()
		p := partitions(hooked{Store: s, name: partName, before: cancel}, "r")
		if err := p.Commit(ctx, testDay, each(rows), &done); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want cancelled", err)
		}
		if got := names(t, s.List(t.Context(), testFolder, Deep)); got != nil {
			t.Errorf("left: %q", got)
		}
	})
}

// If the answer to taking a lock got lost, the next run must not wait until the
// lock is stale.
func TestLockAnswerLost(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		rows, done := oldRows()
		if err := partitions(&faulty{Store: s, n: 1, late: true}, "r").Commit(t.Context(), testDay, each(rows), &done); !errors.Is(err, errFault) {
			t.Errorf("got %v, want the fault", err)
		}
		if got := names(t, s.List(t.Context(), testFolder, Deep)); got != nil {
			t.Errorf("left: %q", got)
		}
	})
}

func TestPartitionNames(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	for _, day := range []string{"", "2026-11-31", "2026-1-1", "../2026-11-20", "2026-11-20/x", "20261120"} {
		if err := partitions(s, "r").Commit(t.Context(), day, each[row](nil), &Done{}); err == nil || !strings.Contains(err.Error(), "2006-01-02") {
			t.Errorf("day %q: got %v", day, err)
		}
	}
	for _, folder := range []string{"", "..", "a/b", "aggregate=", "Date=1"} {
		p := Partitions[row]{Store: s, Folder: folder}
		if _, err := p.List(t.Context()); err == nil {
			t.Errorf("folder %q: got no error", folder)
		}
	}
	p := Partitions[row]{Store: s, Folder: "findings"}
	if err := p.Commit(t.Context(), testDay, each[row](nil), &Done{}); err != nil || get(t, s, "v1/findings/date=2026-11-20/_done.json") == "" {
		t.Errorf("findings: %v", err)
	}
}

func TestCheckVersion(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		for _, c := range []struct{ add, want string }{
			{"reports/index.html", ""},
			{"v1/findings/date=2026-11-20/_done.json", ""},
			{"v12", ""}, // an object, not a folder
			{"version/x", ""},
			{"v2/findings/x", "folder v2 has a version that this program does not know (it knows v1)"},
		} {
			put(t, s, c.add, "x")
			err := CheckVersion(t.Context(), s)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("with %s: got %v, want %q", c.add, err, c.want)
			}
		}
	})
}

// Other programs read these files, too, so their form is part of the contract.
func TestPartFileColumns(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	rows, done := oldRows()
	if err := partitions(s, "r").Commit(t.Context(), testDay, each(rows), &done); err != nil {
		t.Fatal(err)
	}
	type hive struct {
		Feed     string `parquet:"feed"`
		BytesOut int64  `parquet:"bytes_out"`
	}
	b := []byte(get(t, s, testFolder+partName))
	got, err := parquet.Read[hive](bytes.NewReader(b), int64(len(b)))
	if err != nil || len(got) != len(rows) || !reflect.DeepEqual(got[3], hive{rows[3].Feed, rows[3].BytesOut}) {
		t.Errorf("got %v, %v", got, err)
	}
}
