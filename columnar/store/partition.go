package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Version is the version of the state's layout, and the name of its folder.
//
//	1  v1/<folder>/date=<day>/{part-0.parquet,_done.json,_lock.json}
//
// A change that makes older programs misread the state takes the next number. If
// the meaning of folded values changes, the aggregate's own Rev is raised instead.
const Version = 1

const (
	partName = "part-0.parquet"
	doneName = "_done.json"
	lockName = "_lock.json"
)

// staleLock is the age at which a lock is taken to be left over from a run that
// died. A commit takes seconds. With a lower limit, a commit over a slow line would
// be overtaken; with a higher one, a crash would make the day's next runs wait
// longer.
const staleLock = 15 * time.Minute

// partMemory is how many bytes of a partition's file are held in memory before a
// temporary file is used. With less, every small day would need a file. With more,
// reading a month would take that much for each of its days, since they are open at
// the same time.
const partMemory = 1 << 20

// CheckVersion returns an error if the state has another Version than this program.
// Call it before a run first uses the state.
func CheckVersion(ctx context.Context, s Store) error {
	for e, err := range s.List(ctx, "v", Shallow) {
		if err != nil {
			return err
		}
		if name, ok := strings.CutSuffix(e.Name, "/"); ok && versionFolder.MatchString(name) && name != versionName {
			return fmt.Errorf("state: folder %s has a version that this program does not know (it knows %s): "+
				"use the program that wrote it, or another state folder", name, versionName)
		}
	}
	return nil
}

var (
	versionName   = fmt.Sprintf("v%d", Version)
	versionFolder = regexp.MustCompile(`^v[0-9]+$`)
	folderForm    = regexp.MustCompile(`^([a-z_]+=)?[a-z0-9_]+$`)
)

// Partitions are the days of one table of the state. Each is a Parquet file of rows
// of type T, with the fields of T under their parquet tags as columns.
//
// A partition exists if its _done.json does. That file is written last, and deleted
// first when the partition is replaced. It has the checksum of the Parquet file, so
// a reader that comes in between notices.
type Partitions[T any] struct {
	Store  Store
	Folder string // "aggregate=user_day", "findings": the folder below the version's
	// Run names this run to other runs that find its lock. Nothing else needs it.
	Run string
	// Now is the wall clock; nil means time.Now.
	Now func() time.Time
	// Stale is the age at which a lock is taken over; 0 means 15 minutes.
	Stale time.Duration
	// Writer makes the files, one at a time. Nil: a new one for each file.
	Writer *Writer[T]
	// Warn, if set, is called with problems that did not stop a commit. Concurrent
	// commits call it concurrently.
	Warn func(warning string)
}

// Done says what a partition holds and what it was made from.
type Done struct {
	Rev    int        `json:"rev"`    // of the fold
	Fold   string     `json:"fold"`   // fingerprint of the fold's options
	Rows   int64      `json:"rows"`   // filled in by Commit
	SHA256 string     `json:"sha256"` // of the Parquet file; filled in by Commit
	Feeds  []string   `json:"feeds"`  // the feeds of the folded events; sorted by Commit
	Inputs []InputRef `json:"inputs"` // sorted by Commit
	Late   []string   `json:"late"`   // names of inputs that came after the day was first folded; sorted by Commit
}

// An InputRef is an object that was folded into a partition.
type InputRef struct {
	Name    string `json:"name"` // URI
	Size    int64  `json:"size"` // bytes as stored
	ETag    string `json:"etag"`
	Rows    int64  `json:"rows"`
	Skipped int64  `json:"skipped"` // malformed records
	// First and Last are the days, as 2006-01-02, of its first and last event. A
	// run for other days need not read it again.
	First string `json:"first"`
	Last  string `json:"last"`

	// Older versions do not write these: the input, what the object holds, and the
	// name of the object that this one is a copy of. That object counts in its
	// place.
	Feed    string  `json:"feed,omitempty"`
	Content Content `json:"content,omitzero"`
	CopyOf  string  `json:"copy_of,omitempty"`
	// NamesNext says that it has names of connections that may end on the day after
	// Last. A run for that day reads it again.
	NamesNext bool `json:"names_next,omitempty"`
}

// A Content identifies the decompressed logs of an object. The zero value means
// that it is not known.
type Content struct {
	Length int64 `json:"length"` // bytes
	// Head is the first 128 bits, in hexadecimal, of the SHA-256 of the SHA-256 of
	// the logs' first 4 KiB. Tail is the same for their last KiB.
	Head string `json:"head"`
	Tail string `json:"tail"`
}

// folder returns the folder of a day, with a slash at the end.
func (p Partitions[T]) folder(day string) (string, error) {
	if t, err := time.Parse(time.DateOnly, day); err != nil || t.Format(time.DateOnly) != day {
		return "", fmt.Errorf("partition of %s: day %q: want the form 2006-01-02", p.Folder, day)
	}
	root, err := p.root()
	return root + "date=" + day + "/", err
}

func (p Partitions[T]) root() (string, error) {
	if !folderForm.MatchString(p.Folder) {
		return "", fmt.Errorf("partitions: folder %q: want a form like aggregate=user_day", p.Folder)
	}
	return versionName + "/" + p.Folder + "/", nil
}

// List returns the days that have a partition, as 2006-01-02, in ascending order.
func (p Partitions[T]) List(ctx context.Context) ([]string, error) {
	root, err := p.root()
	if err != nil {
		return nil, err
	}
	var days []string
	for e, err := range p.Store.List(ctx, root, Deep) {
		if err != nil {
			return nil, err
		}
		day, ok := strings.CutSuffix(strings.TrimPrefix(e.Name, root+"date="), "/"+doneName)
		if !ok {
			continue
		}
		if folder, err := p.folder(day); err == nil && folder+doneName == e.Name {
			days = append(days, day)
		}
	}
	return days, nil
}

// Done returns the Done of a day's partition without reading the rows. The error is
// fs.ErrNotExist if the day has no partition.
func (p Partitions[T]) Done(ctx context.Context, day string) (Done, error) {
	folder, err := p.folder(day)
	if err != nil {
		return Done{}, err
	}
	b, err := ReadAll(ctx, p.Store, folder+doneName)
	if err != nil {
		return Done{}, p.fail(day, err)
	}
	var done Done
	if err := json.Unmarshal(b, &done); err != nil {
		return Done{}, p.damaged(day, fmt.Errorf("%s: %w", doneName, err))
	}
	return done, nil
}

// Open returns the partition of a day, after reading it once to verify its
// checksum. The error is fs.ErrNotExist if the day has no partition. The context
// also bounds the reading. If another run replaces the partition while it is being
// opened, Open returns an error, never a mixture. An open partition does not
// change.
//
// While its rows are read, an open partition takes two or three megabytes, however
// many rows there are. A partition in S3 is copied first: into memory if it is
// small, and otherwise into a temporary file.
func (p Partitions[T]) Open(ctx context.Context, day string) (*Part[T], error) {
	done, err := p.Done(ctx, day)
	if err != nil {
		return nil, err
	}
	folder, err := p.folder(day)
	if err != nil {
		return nil, err
	}
	body, err := p.Store.Open(ctx, folder+partName)
	if errors.Is(err, fs.ErrNotExist) {
		// The partition exists, so this is not the caller's ErrNotExist.
		return nil, p.damaged(day, fmt.Errorf("%s is missing", partName))
	}
	if err != nil {
		return nil, p.fail(day, err)
	}
	file, sum, err := hashed(body)
	if err != nil {
		return nil, p.fail(day, err)
	}
	part := &Part[T]{Done: done, file: file, damaged: func(err error) error { return p.damaged(day, err) }}
	if sum != done.SHA256 {
		err = fmt.Errorf("sha256 of %s is %.12s…, but %s says %.12s…", partName, sum, doneName, done.SHA256)
	} else {
		part.table, err = openTable(file, file.Size(), reflect.TypeFor[T]())
	}
	if err == nil && part.table.rows != done.Rows {
		err = fmt.Errorf("%s has %d rows, but %s says %d", partName, part.table.rows, doneName, done.Rows)
	}
	if err != nil {
		part.Close()
		return nil, p.damaged(day, err)
	}
	return part, nil
}

// hashed reads a stream to its end, and returns it for reads at any offset, with
// its checksum. It uses the same handle if that can do both, and otherwise a copy.
func hashed(body io.ReadCloser) (ReaderAt, string, error) {
	sum := sha256.New()
	file, ok := body.(ReaderAt)
	var err error
	if ok {
		_, err = io.Copy(sum, io.NewSectionReader(file, 0, file.Size()))
	} else {
		spool := NewSpool(partMemory)
		_, err = io.Copy(io.MultiWriter(spool, sum), body)
		body.Close() // all of it was read, or err says why not
		file = spool
	}
	if err != nil {
		file.Close()
		return nil, "", err
	}
	return file, hex.EncodeToString(sum.Sum(nil)), nil
}

// A Part is the open partition of a day. Its methods may be called concurrently,
// except for Close.
type Part[T any] struct {
	Done Done

	file    ReaderAt
	table   *table
	damaged func(error) error
}

// Rows yields the rows in the order in which they were committed. It may be ranged
// over several times, also at the same time. A row is valid until the next step;
// the texts and lists in it stay valid. An error ends the rows.
func (p *Part[T]) Rows() iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for r, err := range rowsOf[T](p.table) {
			if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
				err = p.damaged(err)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// Close frees what the partition holds. No Rows may be read after it.
func (p *Part[T]) Close() error { return p.file.Close() }

// Read returns all rows of a day's partition at once, in the order in which they
// were committed. It is meant for small tables. The error is fs.ErrNotExist if the
// day has no partition.
func (p Partitions[T]) Read(ctx context.Context, day string) ([]T, Done, error) {
	part, err := p.Open(ctx, day)
	if err != nil {
		return nil, Done{}, err
	}
	defer part.Close()
	var rows []T
	for r, err := range part.Rows() {
		if err != nil {
			return nil, Done{}, err
		}
		rows = append(rows, *r)
	}
	return rows, part.Done, nil
}

func (p Partitions[T]) fail(day string, err error) error {
	return fmt.Errorf("partition %s of %s: %w", day, p.Folder, err)
}

func (p Partitions[T]) damaged(day string, err error) error {
	return fmt.Errorf("partition %s of %s: %w: fold the day again with outflow backfill --from %s --to %s", day, p.Folder, err, day, day)
}

// Commit writes or replaces the partition of a day from rows, in their order. The
// rows should be sorted: the same rows and Done give the same bytes. A row must not
// change until the next one is yielded, and its texts must not change until Commit
// returns. about is read when the rows have ended, and is not changed. Commit takes
// some megabytes of memory, however many rows there are: a large file is made as a
// temporary file.
//
// If rows yields an error, Commit returns it, and the partition is unchanged. If
// another run is committing the same partition, or did so during this commit, the
// error is ErrLocked. After any error, the partition is the old one, the new one,
// or absent; committing again repairs it. A lock that a crash left behind is taken
// over after Stale.
func (p Partitions[T]) Commit(ctx context.Context, day string, rows iter.Seq2[*T, error], about *Done) error {
	staged, err := p.Stage(ctx, day, rows, about)
	if err != nil {
		return err
	}
	return staged.Commit(ctx)
}

// A Staged partition is made, but not in its place yet. Until Commit, it holds a
// megabyte of memory or a temporary file.
type Staged[T any] struct {
	p           Partitions[T]
	day, folder string
	part        *Spool
	done        []byte
}

// Stage is the part of Commit that makes the file. What is left to do only takes
// the time of the store. The partition is unchanged.
func (p Partitions[T]) Stage(ctx context.Context, day string, rows iter.Seq2[*T, error], about *Done) (_ *Staged[T], err error) {
	folder, err := p.folder(day)
	if err != nil {
		return nil, err
	}
	s := &Staged[T]{p: p, day: day, folder: folder, part: NewSpool(partMemory)}
	defer func() {
		if err != nil {
			s.part.Close()
			err = p.fail(day, err)
		}
	}()
	sum := sha256.New()
	n, err := cmp.Or(p.Writer, new(Writer[T])).write(ctx, io.MultiWriter(s.part, sum), rows)
	if err != nil {
		return nil, err
	}
	done := *about
	done.Rows = n
	done.SHA256 = hex.EncodeToString(sum.Sum(nil))
	s.done, err = done.encode()
	return s, err
}

// Commit puts the partition in its place; see Partitions.Commit. It must be called
// exactly once. Other days may be staged and committed at the same time.
func (s *Staged[T]) Commit(ctx context.Context) error {
	defer s.part.Close()
	l, err := s.p.acquire(ctx, s.folder+lockName)
	if err != nil {
		return s.p.fail(s.day, err)
	}
	err = s.p.replace(ctx, s.folder, s.part.Reader(), s.done, l)
	s.p.release(ctx, l)
	if err != nil {
		return s.p.fail(s.day, err)
	}
	return nil
}

// encode returns the JSON of a Done: its fields in order, its lists sorted.
func (d Done) encode() ([]byte, error) {
	d.Inputs = append([]InputRef{}, d.Inputs...)
	slices.SortFunc(d.Inputs, func(a, b InputRef) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ETag, b.ETag))
	})
	d.Feeds = append([]string{}, d.Feeds...)
	slices.Sort(d.Feeds)
	d.Late = append([]string{}, d.Late...)
	slices.Sort(d.Late)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(d); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (p Partitions[T]) replace(ctx context.Context, folder string, part io.ReadSeeker, done []byte, l lock) error {
	if err := p.Store.Delete(ctx, folder+doneName); err != nil {
		return err
	}
	if err := p.Store.Put(ctx, folder+partName, part, Always); err != nil {
		return err
	}
	// A run so slow that its lock was taken over must not declare the day done.
	if held, holder, err := p.holds(ctx, l); err != nil {
		return err
	} else if !held {
		return holder
	}
	err := p.Store.Put(ctx, folder+doneName, bytes.NewReader(done), IfAbsent)
	if errors.Is(err, ErrExists) {
		// The file is from another run, or from this one: a request whose answer
		// got lost is sent again.
		if there, rerr := ReadAll(ctx, p.Store, folder+doneName); rerr == nil && bytes.Equal(there, done) {
			return nil
		}
		return fmt.Errorf("%w, which has committed the day meanwhile", ErrLocked)
	}
	return err
}

// A lock is the content of _lock.json.
type lock struct {
	Run   string    `json:"run"`
	Since time.Time `json:"since"`
	// ID distinguishes runs of the same name.
	ID string `json:"id"`

	name string // of the object
}

// acquire takes the lock, and takes it over from another run if it is stale.
func (p Partitions[T]) acquire(ctx context.Context, name string) (lock, error) {
	l := lock{Run: p.Run, Since: p.now().UTC().Truncate(time.Second), ID: rand.Text(), name: name}
	b, err := json.Marshal(l)
	if err != nil {
		return lock{}, err
	}
	err = p.Store.Put(ctx, name, bytes.NewReader(b), IfAbsent)
	if err == nil {
		return l, nil
	}
	if !errors.Is(err, ErrExists) {
		// It may have been written nevertheless.
		p.release(ctx, l)
		return lock{}, err
	}
	e, there, err := stat(ctx, p.Store, name)
	if err != nil {
		return lock{}, err
	}
	held, before, err := p.holds(ctx, l)
	if err != nil {
		return lock{}, err
	}
	if held {
		return l, nil // a request whose answer got lost was sent again
	}
	age := p.now().Sub(e.Written)
	if !there || age <= cmp.Or(p.Stale, staleLock) {
		return lock{}, before
	}
	err = p.Store.Put(ctx, name, bytes.NewReader(b), Condition(e.ETag))
	if errors.Is(err, ErrChanged) {
		var holder *LockedError
		if held, holder, err = p.holds(ctx, l); err == nil && !held {
			return lock{}, holder
		}
	}
	if err != nil {
		p.release(ctx, l)
		return lock{}, err
	}
	p.warn("%s: took over the lock of run %q, which is %v old: that run seems to have died", name, before.Run, age.Round(time.Second))
	return l, nil
}

// holds reports whether the lock is l, and otherwise whose it is.
func (p Partitions[T]) holds(ctx context.Context, l lock) (held bool, holder *LockedError, err error) {
	b, err := ReadAll(ctx, p.Store, l.name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, &LockedError{Lock: l.name}, nil
	}
	if err != nil {
		return false, nil, err
	}
	var have lock
	if err := json.Unmarshal(b, &have); err != nil {
		return false, &LockedError{Lock: l.name}, nil // cut short: its writer died or has not finished
	}
	return have.ID == l.ID, &LockedError{Run: have.Run, Since: have.Since, Lock: l.name}, nil
}

// release gives the lock back, even if ctx has ended. If that fails, the lock
// becomes stale by itself.
func (p Partitions[T]) release(ctx context.Context, l lock) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	held, _, err := p.holds(ctx, l)
	if held {
		err = p.Store.Delete(ctx, l.name)
	}
	if err != nil {
		p.warn("%s: the lock could not be deleted, so runs are refused until it is %v old: %v", l.name, cmp.Or(p.Stale, staleLock), err)
	}
}

func (p Partitions[T]) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

func (p Partitions[T]) warn(format string, args ...any) {
	if p.Warn != nil {
		p.Warn(fmt.Sprintf(format, args...))
	}
}
