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
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

const (
	testDay    = "2026-11-20"
	testFolder = "v2/aggregate=user_day/date=2026-11-20/"
)

// partitions are those of a run that begins now.
func partitions(s Store) Partitions[row] {
	return Partitions[row]{Store: s, Folder: "aggregate=user_day", Marks: &Marks{},
		Mend: func(day string) string { return "outflow backfill --from " + day + " --to " + day }}
}

// partNames returns the names of the Parquet files of the test's partition.
func partNames(t *testing.T, s Store) []string {
	t.Helper()
	return slices.DeleteFunc(names(t, s.List(t.Context(), testFolder, Deep)), func(n string) bool { return strings.HasSuffix(n, doneName) })
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
	p.Marks = nil // as it is now
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
		p := partitions(s)
		p.Marks = nil
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
		put(t, s, "v2/aggregate=user_day/date=2026-11-21/part-0.parquet", "x")
		put(t, s, "v2/aggregate=user_day/date=tomorrow/_done.json", "{}")
		put(t, s, "v2/aggregate=user_day2/date=2026-11-22/_done.json", "{}")
		put(t, s, "v2/aggregate=user_day/old/date=2026-11-22/_done.json", "{}")
		if days, err := p.List(ctx); err != nil || !slices.Equal(days, []string{"2026-11-19", testDay}) {
			t.Errorf("list: got %v, %v", days, err)
		}

		const wantDone = `{
 "partition": "aggregate=user_day/date=2026-11-20",
 "rev": 1,
 "fold": "f1",
 "rows": 15,
 "parts": [
  {
   "name": "part-%.16[1]s.parquet",
   "rows": 15,
   "sha256": "%[1]s"
  }
 ],
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
 ]`
		part := partNames(t, s)
		json := get(t, s, testFolder+doneName)
		body := fmt.Sprintf(wantDone, checksum(get(t, s, part[0])))
		if want := fmt.Sprintf("%s,\n \"check\": %q\n}\n", body, checksum(body)); json != want {
			t.Errorf("%s:\n got %s\nwant %s", doneName, json, want)
		}
		// Again, with the inputs in another order, by another run at another time.
		slices.Reverse(done.Inputs)
		if err := p.Commit(ctx, testDay, each(rows), &done); err != nil {
			t.Fatal(err)
		}
		if got := partNames(t, s); !slices.Equal(got, part) || get(t, s, testFolder+doneName) != json {
			t.Error("committing the same again gave other bytes")
		}
	})
}

// If this fails, a partition that is damaged, or that was put in the place of another, is
// believed, or nobody is told how to make it again.
func TestPartitionDamaged(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		commit := func() {
			rows, done := oldRows()
			if err := partitions(s).Commit(t.Context(), testDay, each(rows), &done); err != nil {
				t.Fatal(err)
			}
		}
		commit()
		name := partNames(t, s)[0]
		part := get(t, s, name)
		done := get(t, s, testFolder+doneName)
		const other = "2026-11-19"
		rows, about := newRows()
		if err := partitions(s).Commit(t.Context(), other, each(rows), &about); err != nil {
			t.Fatal(err)
		}
		folder := strings.Replace(testFolder, testDay, other, 1)
		foreign := get(t, s, folder+doneName)
		foreignPart := slices.DeleteFunc(names(t, s.List(t.Context(), folder, Deep)), func(n string) bool { return strings.HasSuffix(n, doneName) })[0]
		ref := func(rows int64) PartRef {
			raw := sha256.Sum256([]byte(part))
			return newPart(rows, raw[:])
		}
		mark := func(rows int64, parts ...PartRef) {
			d := Done{Partition: "aggregate=user_day/date=" + testDay, Rows: rows, Parts: parts}
			text, err := d.encode()
			if err != nil {
				t.Fatal(err)
			}
			put(t, s, testFolder+doneName, string(text))
		}
		isDamaged := func(err error) bool { _, ok := errors.AsType[*DamagedError](err); return ok }
		for name, damage := range map[string]func(){
			"one bit":             func() { put(t, s, name, part[:99]+string(part[99]^1)+part[100:]) },
			"cut short":           func() { put(t, s, name, part[:len(part)/2]) },
			"no rows file":        func() { s.Delete(t.Context(), name) },
			"rows of another day": func() { put(t, s, name, get(t, s, foreignPart)) },
			"empty done":          func() { put(t, s, testFolder+doneName, "") },
			"other count":         func() { put(t, s, testFolder+doneName, strings.Replace(done, `"rows": 10,`, `"rows": 11,`, 1)) },
			"an input less":       func() { put(t, s, testFolder+doneName, strings.Replace(done, "s3://b/1", "s3://b/7", 1)) },
			"cut done":            func() { put(t, s, testFolder+doneName, done[:len(done)-1]) },
			"done of version 1":   func() { put(t, s, testFolder+doneName, `{"rows": 10, "sha256": "`+checksum(part)+`"}`) },
			"another day in its place": func() {
				put(t, s, testFolder+doneName, foreign)
				put(t, s, testFolder+strings.TrimPrefix(foreignPart, folder), get(t, s, foreignPart))
			},
			"no parquet, but the right sum": func() {
				raw := sha256.Sum256([]byte("x"))
				put(t, s, testFolder+newPart(10, raw[:]).Name, "x")
				mark(10, newPart(10, raw[:]))
			},
			"a part outside":              func() { p := ref(10); p.Name = "../../" + p.Name; mark(10, p) },
			"fewer rows than in the part": func() { mark(9, ref(9)) },
			"fewer rows than in parts":    func() { mark(9, ref(10)) },
			"less than no rows":           func() { mark(-1, ref(-1)) },
			"more rows than numbers": func() {
				mark(math.MinInt64, ref(math.MaxInt64), PartRef{Name: "part-0123456789abcdef.parquet", Rows: 1})
			},
			"no parts":       func() { mark(10) },
			"one part twice": func() { mark(20, ref(10), ref(10)) },
		} {
			damage()
			if err := (Partitions[struct{}]{Store: s, Folder: "aggregate=user_day"}).Verify(t.Context(), testDay); !isDamaged(err) {
				t.Errorf("%s: Verify: got %v, want that it is damaged", name, err)
			}
			if got := which(t, partitions(s)); got != "damaged" {
				t.Errorf("%s: got %s, want an error with the remedy", name, got)
			}
			commit()
			if got := which(t, partitions(s)); got != "old" {
				t.Errorf("%s, committed again: got %s", name, got)
			}
		}
	})
}

// If this fails, a day whose marker was deleted counts as one that never was, or cannot be made
// again; or days that were not committed count as damaged.
func TestExpectedDay(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		rows, done := oldRows()
		expecting := func() Partitions[row] {
			p := partitions(s)
			p.Expect = func(context.Context) ([]string, error) { return []string{testDay}, nil }
			return p
		}
		if err := partitions(s).Commit(t.Context(), testDay, each(rows), &done); err != nil {
			t.Fatal(err)
		}
		if _, err := expecting().Done(t.Context(), testDay); err != nil {
			t.Fatalf("not damaged: %v", err)
		}
		if err := s.Delete(t.Context(), testFolder+doneName); err != nil {
			t.Fatal(err)
		}
		p := expecting()
		days, err := p.List(t.Context())
		_, derr := p.Done(t.Context(), testDay)
		damaged, ok := errors.AsType[*DamagedError](derr)
		if err != nil || !slices.Equal(days, []string{testDay}) || !ok || damaged.Mend == "" || errors.Is(derr, fs.ErrNotExist) {
			t.Errorf("deleted: got days %v, %v, and %v, want that the day is damaged", days, err, derr)
		}
		if _, err := p.Done(t.Context(), "2026-11-21"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a day that nobody expects: got %v, want %v", err, fs.ErrNotExist)
		}
		if err := p.Commit(t.Context(), testDay, each(rows), &done); err != nil {
			t.Errorf("made again: %v", err)
		}
		if got := which(t, p); got != "old" {
			t.Errorf("made again: got %s", got)
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

// Wherever a commit fails, readers see one of the two contents, and committing again
// repairs the day.
func TestCommitFaults(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		rows, done := newRows()
		calls := 0
		for _, fault := range []faulty{{}, {late: true}, {dead: true}, {late: true, dead: true}} {
			for _, before := range []string{"none", "old"} {
				for n := 1; ; n++ {
					for e := range s.List(ctx, "", Deep) {
						if err := s.Delete(ctx, e.Name); err != nil {
							t.Fatal(err)
						}
					}
					if before == "old" {
						oldR, oldD := oldRows()
						if err := partitions(s).Commit(ctx, testDay, each(oldR), &oldD); err != nil {
							t.Fatal(err)
						}
					}
					f := fault
					f.Store, f.n = s, n
					err := partitions(&f).Commit(ctx, testDay, each(rows), &done)
					name := fmt.Sprintf("late %v, dead %v, over %s, call %d", f.late, f.dead, before, n)
					got := which(t, partitions(s))
					switch {
					case err == nil && got != "new":
						t.Errorf("%s: got no error but %s", name, got)
					case err != nil && !errors.Is(err, errFault):
						t.Errorf("%s: got %v, want the fault", name, err)
					case got != "new" && got != before:
						t.Errorf("%s: got %s", name, got)
					}
					if err := partitions(s).Commit(ctx, testDay, each(rows), &done); err != nil {
						t.Errorf("%s: then: %v", name, err)
					}
					if got := which(t, partitions(s)); got != "new" {
						t.Errorf("%s: then: got %s", name, got)
					}
					if _, err := Sweep(ctx, s, all); err != nil {
						t.Errorf("%s: sweep: %v", name, err)
					}
					if got := which(t, partitions(s)); got != "new" || len(partNames(t, s)) != 1 {
						t.Errorf("%s: swept: got %s with %q, want new with one file", name, got, partNames(t, s))
					}
					calls = max(calls, n)
					if f.n > 0 {
						break // it took fewer calls than n
					}
				}
			}
		}
		if calls < 4 {
			t.Errorf("got %d calls at most, want faults in every step", calls)
		}
	})
}

func all(string) bool { return true }

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

// If this fails, a run that lost its lease replaces what its successor committed.
func TestCommitOvertaken(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		oldR, oldD := oldRows()
		newR, newD := newRows()
		for _, before := range []bool{false, true} {
			hits := 0
			slow := partitions(hooked{Store: s, name: doneName, before: func() {
				hits++
				if err := partitions(s).Commit(ctx, testDay, each(newR), &newD); err != nil {
					t.Errorf("fast: %v", err)
				}
			}})
			if _, err := slow.Done(ctx, testDay); errors.Is(err, fs.ErrNotExist) == before {
				t.Errorf("before: got %v", err)
			}
			oldD.Fold = fmt.Sprint(before) // the second time, too, the fast run writes another marker
			newD.Fold = oldD.Fold
			if err := slow.Commit(ctx, testDay, each(oldR), &oldD); !errors.Is(err, ErrLocked) || hits != 1 {
				t.Errorf("slow: got %v after %d hits, want ErrLocked after 1", err, hits)
			}
			if got := which(t, partitions(s)); got != "new" {
				t.Errorf("got %s, want new", got)
			}
		}
	})
}

// If this fails, a run that commits a day twice takes itself for another run.
func TestCommitAgain(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		p := partitions(s)
		oldR, oldD := oldRows()
		newR, newD := newRows()
		if err := p.Commit(t.Context(), testDay, each(oldR), &oldD); err != nil {
			t.Fatal(err)
		}
		if err := p.Commit(t.Context(), testDay, each(newR), &newD); err != nil {
			t.Fatal(err)
		}
		if done, err := p.Done(t.Context(), testDay); err != nil || done.Rows != int64(len(newR)) {
			t.Errorf("got %+v, %v", done, err)
		}
	})
}

// If this fails, a run reads a mixture of two versions of the state, or what it reads is
// deleted under its hands.
func TestMarks(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		oldR, oldD := oldRows()
		newR, newD := newRows()
		if err := partitions(s).Commit(ctx, testDay, each(oldR), &oldD); err != nil {
			t.Fatal(err)
		}
		reader := partitions(s)
		if _, err := reader.Done(ctx, testDay); err != nil {
			t.Fatal(err)
		}
		lease, err := Claim{Run: "reader"}.HoldReader(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		for _, day := range []string{testDay, "2026-11-21"} {
			if err := partitions(s).Commit(ctx, day, each(newR), &newD); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if _, err := Sweep(ctx, s, all); err != nil {
				t.Fatal(err)
			}
			if rows, _, err := reader.Read(ctx, testDay); err != nil || !slices.EqualFunc(rows, oldR, sameRow) {
				t.Errorf("got %d rows, %v, want the %d of its begin", len(rows), err, len(oldR))
			}
		}
		if days, err := reader.List(ctx); err != nil || !slices.Equal(days, []string{testDay}) {
			t.Errorf("got days %v, %v, want that of its begin", days, err)
		}
		lease.Release(ctx)
		if n, err := Sweep(ctx, s, func(folder string) bool { return folder != "aggregate=user_day" }); n != 0 || err != nil {
			t.Errorf("swept %d files of others, %v", n, err)
		}
		if n, err := Sweep(ctx, s, all); n != 1 || err != nil {
			t.Errorf("swept %d files, %v, want the replaced one", n, err)
		}
		if _, _, err := reader.Read(ctx, testDay); err == nil || !strings.Contains(err.Error(), "another run replaced it meanwhile: run this command again") {
			t.Errorf("without its lease: got %v", err)
		}
		if left := names(t, s.List(ctx, readersFolder, Deep)); len(left) > 0 {
			t.Errorf("left of the reader: %q", left)
		}
	})
}

func TestPartitionNames(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	for _, day := range []string{"", "2026-11-31", "2026-1-1", "../2026-11-20", "2026-11-20/x", "20261120"} {
		if err := partitions(s).Commit(t.Context(), day, each[row](nil), &Done{}); err == nil || !strings.Contains(err.Error(), "2006-01-02") {
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
	if err := p.Commit(t.Context(), testDay, each[row](nil), &Done{}); err != nil || get(t, s, "v2/findings/date=2026-11-20/_done.json") == "" {
		t.Errorf("findings: %v", err)
	}
}

func TestCheckVersion(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		for _, c := range []struct{ add, want string }{
			{"reports/index.html", ""},
			{"v2/findings/date=2026-11-20/_done.json", ""},
			{"v12", ""}, // an object, not a folder
			{"version/x", ""},
			{"v1/findings/x", ""},
			{"v3/findings/x", "folder v3 has a version that this program does not know (it knows v2)"},
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
	if err := partitions(s).Commit(t.Context(), testDay, each(rows), &done); err != nil {
		t.Fatal(err)
	}
	type hive struct {
		Feed     string `parquet:"feed"`
		BytesOut int64  `parquet:"bytes_out"`
	}
	b := []byte(get(t, s, partNames(t, s)[0]))
	got, err := parquet.Read[hive](bytes.NewReader(b), int64(len(b)))
	if err != nil || len(got) != len(rows) || !reflect.DeepEqual(got[3], hive{rows[3].Feed, rows[3].BytesOut}) {
		t.Errorf("got %v, %v", got, err)
	}
}
