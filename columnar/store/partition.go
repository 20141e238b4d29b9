package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"outflow/columnar/bounded"
)

// Version is the version of the state's layout, and the name of its folder.
//
//	2  v2/<folder>/date=<day>/{part-<digest>.parquet,_done.json}: the marker names its parts, and
//	   is replaced; the runs that write a state have its lock
//	1  v1/<folder>/date=<day>/{part-0.parquet,_done.json,_lock.json}: the marker was deleted before
//	   a part was replaced. Upgrade moves it on.
//
// A change that makes older programs misread the state takes the next number. If
// the meaning of folded values changes, the aggregate's own Rev is raised instead.
const Version = 2

const (
	doneName   = "_done.json"
	partPrefix = "part-"
	partSuffix = ".parquet"
)

// partMemory is how many bytes of a partition's file are held in memory before a
// temporary file is used. With less, every small day would need a file. With more,
// reading a month would take that much for each of its days, since they are open at
// the same time.
const partMemory = 1 << 20

// CheckVersion returns an error if the state has a Version that this program does not
// know. Call it before a run first uses the state.
func CheckVersion(ctx context.Context, s Store) error {
	for e, err := range s.List(ctx, "v", Shallow) {
		if err != nil {
			return err
		}
		if name, ok := strings.CutSuffix(e.Name, "/"); ok && versionFolder().MatchString(name) && name != versionName && name != oldVersion {
			return fmt.Errorf("state: folder %s has a version that this program does not know (it knows %s): "+
				"use the program that wrote it, or another state folder", name, versionName)
		}
	}
	return nil
}

var (
	versionName   = fmt.Sprintf("v%d", Version)
	versionFolder = bounded.Expression(`^v[0-9]+$`)
	folderForm    = bounded.Expression(`^([a-z_]+=)?[a-z0-9_]+$`)
	partForm      = bounded.Expression(`^part-[0-9a-f]{16}\.parquet$`)
)

// Partitions are the days of one table of the state. Each is a Parquet file of rows
// of type T, with the fields of T under their parquet tags as columns, and a marker
// that names the file. A day that was made in shards has a file for each shard with
// rows, until a run compacts it.
//
// A partition exists if its marker, _done.json, does. The file is written first; its
// name has its checksum, so it never takes the place of another one. Then the marker is
// replaced, in one step. A file that no marker names any more stays until Sweep.
//
// A run that commits must have the state to itself (Claim). If it does not, since it lost
// its lease, its commits fail instead of replacing those of others.
type Partitions[T any] struct {
	Store  Store
	Folder string // "aggregate=user_day", "findings": the folder below the version's
	// Writer makes the files, one at a time. Nil: a new one for each file.
	Writer *Writer[T]
	// Marks are the markers as the run knows them; nil means to read each when it is
	// asked for. A Commit then replaces whatever is there.
	Marks *Marks
	// Mend, if set, returns the command that makes a damaged partition of a day again.
	Mend func(day string) string
	// Expect, if set, returns the days that were committed. One of them without a marker is
	// damaged. It needs Marks, which call it before they list the markers.
	Expect func(ctx context.Context) ([]string, error)
}

// Marks are the markers of a state as a run first saw them, and as it wrote them itself.
// What other runs write afterwards does not show. Its methods may be called concurrently.
type Marks struct {
	held    held
	mu      sync.Mutex
	folders map[string]map[string]*mark // by root and day
	// inputs has the inputs of a marker of each day. Nearly always, those of the others are
	// the same, and need no memory of their own.
	inputs map[string][]InputRef
	large  sync.Mutex // held while a marker with many inputs is written
}

// A mark is one marker.
type mark struct {
	lost bool   // it is not there, though it should be
	etag string // "": it is lost, or this run wrote it
	done *Done  // nil: not read yet
	err  error  // from reading it
}

// Done is a marker: it says what a partition holds and what it was made from.
type Done struct {
	Partition string     `json:"partition"` // "aggregate=user_day/date=2026-11-20"; filled in by Commit
	Rev       int        `json:"rev"`       // of the fold
	Fold      string     `json:"fold"`      // fingerprint of the fold's options
	Rows      int64      `json:"rows"`      // filled in by Commit
	Parts     []PartRef  `json:"parts"`     // each has its rows in order; filled in by Commit
	Feeds     []string   `json:"feeds"`     // the feeds of the folded events; sorted by Commit
	Inputs    []InputRef `json:"inputs"`    // sorted by Commit
	Late      []string   `json:"late"`      // names of inputs that came after the day was first folded; sorted by Commit
	// Unread are the names of objects that may have events of the day, and that a fault kept
	// from being read to their end; sorted by Commit. Inputs do not list them, though the
	// events that were read of them count. The day is to be folded again when they can be read.
	Unread []string `json:"unread,omitempty"`
}

// A PartRef is a Parquet file of a partition.
type PartRef struct {
	Name   string `json:"name"` // "part-0123456789abcdef.parquet", with the first 16 digits of its checksum
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
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
	if !folderForm().MatchString(p.Folder) {
		return "", fmt.Errorf("partitions: folder %q: want a form like aggregate=user_day", p.Folder)
	}
	return versionName + "/" + p.Folder + "/", nil
}

// List returns the days that have a partition, or should, as 2006-01-02, in ascending order.
func (p Partitions[T]) List(ctx context.Context) ([]string, error) {
	marks, err := p.marks(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(marks)), nil
}

// marks returns the markers by day, in a map of the caller's own. The fields of those of
// p.Marks are guarded by p.Marks.mu.
func (p Partitions[T]) marks(ctx context.Context) (map[string]*mark, error) {
	if p.Marks == nil {
		return p.findMarks(ctx)
	}
	if err := p.listMarks(ctx); err != nil {
		return nil, err
	}
	root, _ := p.root() // listMarks has checked it
	p.Marks.mu.Lock()
	defer p.Marks.mu.Unlock()
	return maps.Clone(p.Marks.folders[root]), nil
}

// listMarks makes sure that p.Marks has the markers of p.
func (p Partitions[T]) listMarks(ctx context.Context) error {
	root, err := p.root()
	if err != nil {
		return err
	}
	p.Marks.mu.Lock()
	listed := p.Marks.folders[root] != nil
	p.Marks.mu.Unlock()
	if listed {
		return nil
	}
	var expected []string
	if p.Expect != nil {
		if expected, err = p.Expect(ctx); err != nil {
			return err
		}
	}
	p.Marks.mu.Lock()
	defer p.Marks.mu.Unlock()
	if p.Marks.folders[root] != nil {
		return nil
	}
	all, err := p.findMarks(ctx)
	if err != nil {
		return err
	}
	for _, day := range expected {
		if all[day] == nil {
			all[day] = &mark{lost: true, done: &Done{}, err: p.damaged(day, fmt.Errorf("%s is missing", doneName))}
		}
	}
	if p.Marks.folders == nil {
		p.Marks.folders = map[string]map[string]*mark{}
	}
	p.Marks.folders[root] = all
	return nil
}

// findMarks lists the markers.
func (p Partitions[T]) findMarks(ctx context.Context) (map[string]*mark, error) {
	root, err := p.root()
	if err != nil {
		return nil, err
	}
	all := map[string]*mark{}
	for e, err := range p.Store.List(ctx, root, Deep) {
		if err != nil {
			return nil, err
		}
		day, ok := strings.CutSuffix(strings.TrimPrefix(e.Name, root+"date="), "/"+doneName)
		if !ok {
			continue
		}
		if folder, err := p.folder(day); err == nil && folder+doneName == e.Name {
			all[day] = &mark{etag: e.ETag}
		}
	}
	return all, nil
}

// Done returns the marker of a day's partition without reading the rows. The error is
// fs.ErrNotExist if the day has no partition, and a DamagedError if the marker is not
// what was written there, or is missing.
func (p Partitions[T]) Done(ctx context.Context, day string) (Done, error) {
	if p.Marks == nil {
		return p.readDone(ctx, day)
	}
	if _, err := p.folder(day); err != nil {
		return Done{}, err
	}
	if err := p.listMarks(ctx); err != nil {
		return Done{}, err
	}
	root, _ := p.root() // folder has checked it
	p.Marks.mu.Lock()
	defer p.Marks.mu.Unlock()
	m := p.Marks.folders[root][day]
	if m == nil {
		return Done{}, p.fail(day, fs.ErrNotExist)
	}
	if m.done == nil && m.err == nil {
		done, err := p.readDone(ctx, day)
		if err != nil && ctx.Err() != nil {
			return Done{}, err
		}
		done.Inputs = p.Marks.sharedInputs(day, done.Inputs)
		m.done, m.err = &done, err
	}
	return *m.done, m.err
}

// sharedInputs returns inputs of a day, once if they are those of a marker before.
func (m *Marks) sharedInputs(day string, inputs []InputRef) []InputRef {
	if before := m.inputs[day]; len(before) > 0 && slices.Equal(before, inputs) {
		return before
	}
	if m.inputs == nil {
		m.inputs = map[string][]InputRef{}
	}
	m.inputs[day] = inputs
	return inputs
}

func (p Partitions[T]) readDone(ctx context.Context, day string) (Done, error) {
	folder, err := p.folder(day)
	if err != nil {
		return Done{}, err
	}
	b, err := ReadChecked(ctx, p.Store, folder+doneName)
	if err != nil {
		return Done{}, p.fail(day, err)
	}
	done, err := decodeDone(b)
	if err == nil && done.Partition != p.identity(day) {
		err = fmt.Errorf("%s is that of %s", doneName, done.Partition)
	}
	if err != nil {
		return Done{}, p.damaged(day, err)
	}
	return done, nil
}

// identity says which partition a marker belongs to.
func (p Partitions[T]) identity(day string) string { return p.Folder + "/date=" + day }

// Open returns the partition of a day, after reading it once to verify its
// checksum. The error is fs.ErrNotExist if the day has no partition, and a DamagedError
// if it is not what was committed. The context also bounds the reading. An open
// partition does not change.
//
// While its rows are read, an open partition takes two or three megabytes, however
// many rows there are. A partition in S3 is copied first: into memory if it is
// small, and otherwise into a temporary file.
func (p Partitions[T]) Open(ctx context.Context, day string) (*Part[T], error) {
	done, err := p.Done(ctx, day)
	if err != nil {
		return nil, err
	}
	part := &Part[T]{Done: done, damaged: func(err error) error { return p.damaged(day, err) }}
	for i := range done.Parts {
		if err := p.openPart(ctx, day, part, &done.Parts[i]); err != nil {
			part.Close()
			return nil, err
		}
	}
	return part, nil
}

// openPart adds a file to a partition that is being opened.
func (p Partitions[T]) openPart(ctx context.Context, day string, part *Part[T], ref *PartRef) error {
	if err := p.readPart(ctx, day, part, ref); err != nil {
		return err
	}
	file := part.files[len(part.files)-1]
	table, err := openTable(file, file.Size(), reflect.TypeFor[T]())
	if err == nil && table.rows != ref.Rows {
		err = fmt.Errorf("%s has %d rows, but %s says %d", ref.Name, table.rows, doneName, ref.Rows)
	}
	if err != nil {
		return p.damaged(day, err)
	}
	part.tables = append(part.tables, table)
	return nil
}

// readPart reads a file, and compares it with its checksum. A file that cannot be read, or
// has another checksum, is read again: it may have been damaged on its way.
func (p Partitions[T]) readPart(ctx context.Context, day string, part *Part[T], ref *PartRef) error {
	folder, err := p.folder(day)
	if err != nil {
		return err
	}
	file, sum, err := ReadHashed(ctx, p.Store, folder+ref.Name)
	for try := 0; try < maxResumes && ctx.Err() == nil && !errors.Is(err, fs.ErrNotExist) && (err != nil || sum != ref.SHA256); try++ {
		if err == nil {
			file.Close()
		}
		file, sum, err = ReadHashed(ctx, p.Store, folder+ref.Name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		// The partition exists, so this is not the caller's ErrNotExist.
		if now, derr := p.readDone(ctx, day); derr == nil && !slices.Equal(now.Parts, part.Done.Parts) {
			return p.fail(day, errors.New("another run replaced it meanwhile: run this command again"))
		}
		return p.damaged(day, fmt.Errorf("%s is missing", ref.Name))
	}
	if err != nil {
		return p.fail(day, err)
	}
	if file, err = p.hold(ctx, folder+ref.Name, file); err != nil {
		return p.fail(day, err)
	}
	part.files = append(part.files, file)
	if sum != ref.SHA256 {
		return p.damaged(day, fmt.Errorf("sha256 of %s is %.12s…, but %s says %.12s…", ref.Name, sum, doneName, ref.SHA256))
	}
	return nil
}

// ReadHashed reads an object to its end, and returns it for reads at any offset, with its
// SHA-256 in hexadecimal. An object in S3 is copied: into memory if it is small, and
// otherwise into a temporary file.
func ReadHashed(ctx context.Context, s Store, name string) (ReaderAt, string, error) {
	body, err := s.Open(ctx, name)
	if err != nil {
		return nil, "", err
	}
	return hashed(body)
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

	files   []ReaderAt
	tables  []*table
	damaged func(error) error
}

// Rows yields the rows of one file after another, each in the order in which they were
// committed. It may be ranged over several times, also at the same time. A row is valid
// until the next step; the texts and lists in it stay valid. An error ends the rows.
func (p *Part[T]) Rows() iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for i := range p.tables {
			for r, err := range p.File(i, nil) {
				if !yield(r, err) {
					return
				}
			}
		}
	}
}

// Files returns the number of files.
func (p *Part[T]) Files() int { return len(p.tables) }

// File yields the rows of a file, as Rows does, with the columns named only; nil means all.
// The fields of the others are zero.
func (p *Part[T]) File(i int, only []string) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for r, err := range rowsOf[T](p.tables[i], only) {
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
func (p *Part[T]) Close() error {
	var err error
	for _, f := range p.files {
		err = cmp.Or(f.Close(), err)
	}
	return err
}

// Read returns all rows of a day's partition at once, in the order in which they
// were committed. It is meant for small tables. The errors are those of Open.
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

// Verify reads all of a day's partition, whatever T is. The error is a DamagedError if it
// is not what was committed.
func (p Partitions[T]) Verify(ctx context.Context, day string) error {
	part, err := p.Open(ctx, day)
	if err == nil {
		part.Close()
	}
	return err
}

// Remove deletes a day's partition. Its files stay until Sweep.
func (p Partitions[T]) Remove(ctx context.Context, day string) error {
	folder, err := p.folder(day)
	if err != nil {
		return err
	}
	if err := p.Store.Delete(ctx, folder+doneName); err != nil {
		return p.fail(day, err)
	}
	if p.Marks != nil {
		root, _ := p.root()
		p.Marks.mu.Lock()
		delete(p.Marks.folders[root], day)
		p.Marks.mu.Unlock()
	}
	return nil
}

func (p Partitions[T]) fail(day string, err error) error {
	return fmt.Errorf("partition %s of %s: %w", day, p.Folder, err)
}

// A DamagedError says that a partition is not what was committed.
type DamagedError struct {
	Folder, Day string
	Mend        string // the command that makes it again; "": unknown
	Err         error
}

func (e *DamagedError) Error() string {
	text := fmt.Sprintf("partition %s of %s: %v", e.Day, e.Folder, e.Err)
	if e.Mend != "" {
		text += ": make it again with " + e.Mend
	}
	return text
}

func (e *DamagedError) Unwrap() error { return e.Err }

func (p Partitions[T]) damaged(day string, err error) error {
	e := &DamagedError{Folder: p.Folder, Day: day, Err: err}
	if p.Mend != nil {
		e.Mend = p.Mend(day)
	}
	return e
}

// encode returns the text of a marker: the fields in order, its lists sorted.
func (d Done) encode() ([]byte, error) {
	d.Inputs = append([]InputRef{}, d.Inputs...)
	slices.SortFunc(d.Inputs, func(a, b InputRef) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ETag, b.ETag))
	})
	d.Feeds = append([]string{}, d.Feeds...)
	slices.Sort(d.Feeds)
	d.Late = append([]string{}, d.Late...)
	slices.Sort(d.Late)
	d.Unread = slices.Clone(d.Unread)
	slices.Sort(d.Unread)
	return EncodeChecked(d)
}

// decodeDone reads the text of a marker.
func decodeDone(text []byte) (done Done, err error) {
	if err := DecodeChecked(text, &done); err != nil {
		return Done{}, fmt.Errorf("%s: %w", doneName, err)
	}
	rows := int64(0)
	for i, p := range done.Parts {
		if !partForm().MatchString(p.Name) {
			return Done{}, fmt.Errorf("%s: part %q", doneName, p.Name)
		}
		if p.Rows < 0 || p.Rows > math.MaxInt64-rows || slices.ContainsFunc(done.Parts[:i], func(o PartRef) bool { return o.Name == p.Name }) {
			return Done{}, fmt.Errorf("%s: part %s is there twice, or has %d rows", doneName, p.Name, p.Rows)
		}
		rows += p.Rows
	}
	if rows != done.Rows {
		return Done{}, fmt.Errorf("%s: %d rows, but its parts have %d", doneName, done.Rows, rows)
	}
	return done, nil
}
