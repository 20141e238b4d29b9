package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
)

// This file makes the files of partitions and puts them in their places.

// Commit writes or replaces the partition of a day from rows, in their order. The
// rows should be sorted: the same rows and Done give the same bytes. A row must not
// change until the next one is yielded, and its texts must not change until Commit
// returns. about is read when the rows have ended, and is not changed. Commit takes
// some megabytes of memory, however many rows there are: a large file is made as a
// temporary file.
//
// If rows yields an error, Commit returns it, and the partition is unchanged. If
// another run has committed the partition since p.Marks were read, the error is
// ErrLocked. After any error, the partition is the old one or the new one.
func (p Partitions[T]) Commit(ctx context.Context, day string, rows iter.Seq2[*T, error], about *Done) error {
	staged, err := p.Stage(ctx, day, rows, about)
	if err != nil {
		return err
	}
	return staged.Commit(ctx)
}

// A Staged partition is made, but not in its place yet. Until Commit, it holds a
// megabyte of memory or a temporary file for each of its files.
type Staged[T any] struct {
	p           Partitions[T]
	day, folder string
	files       []ReaderAt // as done.Parts
	done        Done
}

// Stage is the part of Commit that makes the file. What is left to do only takes
// the time of the store. The partition is unchanged.
func (p Partitions[T]) Stage(ctx context.Context, day string, rows iter.Seq2[*T, error], about *Done) (_ *Staged[T], err error) {
	folder, err := p.folder(day)
	if err != nil {
		return nil, err
	}
	file, ref, err := cmp.Or(p.Writer, new(Writer[T])).File(ctx, rows)
	if err != nil {
		return nil, p.fail(day, err)
	}
	return p.staged(day, folder, []ReaderAt{file}, []PartRef{ref}, about), nil
}

func (p Partitions[T]) staged(day, folder string, files []ReaderAt, parts []PartRef, about *Done) *Staged[T] {
	s := &Staged[T]{p: p, day: day, folder: folder, files: files, done: *about}
	s.done.Partition, s.done.Parts, s.done.Rows = p.identity(day), parts, 0
	for _, ref := range parts {
		s.done.Rows += ref.Rows
	}
	return s
}

// File makes a file of a partition from rows, as Partitions.Commit does. The caller must
// close it.
func (w *Writer[T]) File(ctx context.Context, rows iter.Seq2[*T, error]) (*Spool, PartRef, error) {
	file, sum := NewSpool(partMemory), sha256.New()
	n, err := w.write(ctx, io.MultiWriter(file, sum), rows)
	if err != nil {
		file.Close()
		return nil, PartRef{}, err
	}
	return file, newPart(n, sum.Sum(nil)), nil
}

// A MadePart is a file of a partition that Writer.File made elsewhere.
type MadePart struct {
	PartRef
	From Store
	Path string // its name there
}

// StageParts is Stage of files that are made already. No two of them may have rows of one
// key.
func (p Partitions[T]) StageParts(ctx context.Context, day string, parts []MadePart, about *Done) (_ *Staged[T], err error) {
	folder, err := p.folder(day)
	if err != nil {
		return nil, err
	}
	var files []ReaderAt
	var refs []PartRef
	defer func() {
		if err != nil {
			closeAll(files)
			err = p.fail(day, err)
		}
	}()
	for i := range parts {
		part := &parts[i]
		file, sum, err := ReadHashed(ctx, part.From, part.Path)
		if err != nil {
			return nil, err
		}
		files, refs = append(files, file), append(refs, part.PartRef)
		if sum != part.SHA256 {
			return nil, fmt.Errorf("%s is not as it was written", part.Path)
		}
	}
	return p.staged(day, folder, files, refs, about), nil
}

// newPart names a file of so many rows with this checksum.
func newPart(rows int64, sum []byte) PartRef {
	text := hex.EncodeToString(sum)
	return PartRef{Name: partPrefix + text[:16] + partSuffix, Rows: rows, SHA256: text}
}

// closeAll closes files that were only read, or are thrown away.
func closeAll(files []ReaderAt) {
	for _, f := range files {
		f.Close()
	}
}

// Commit puts the partition in its place; see Partitions.Commit. It must be called
// exactly once. Other days may be staged and committed at the same time.
func (s *Staged[T]) Commit(ctx context.Context) error {
	defer closeAll(s.files)
	if err := s.commit(ctx); err != nil {
		return s.p.fail(s.day, err)
	}
	return nil
}

// manyInputs is from how many inputs on one marker at a time is written. One of 100,000 inputs
// has 30 MB, and takes four times as much while it is made.
const manyInputs = 5_000

func (s *Staged[T]) commit(ctx context.Context) error {
	p := &s.p
	if p.Marks != nil && len(s.done.Inputs) >= manyInputs {
		p.Marks.large.Lock()
		defer p.Marks.large.Unlock()
	}
	text, err := s.done.encode()
	if err != nil {
		return err
	}
	for i, file := range s.files {
		if err := p.Store.Put(ctx, s.folder+s.done.Parts[i].Name, io.NewSectionReader(file, 0, file.Size()), Always); err != nil {
			return err
		}
	}
	name := s.folder + doneName
	when := Always
	if p.Marks != nil {
		if when, err = p.unchanged(ctx, s.day, name); err != nil {
			return err
		}
	}
	err = p.Store.Put(ctx, name, bytes.NewReader(text), when)
	if errors.Is(err, ErrExists) || errors.Is(err, ErrChanged) {
		// By another run, or by this one: a request whose answer got lost is sent again.
		there, rerr := ReadChecked(ctx, p.Store, name)
		if rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			return rerr // such as a folder that has the marker's name
		}
		if !bytes.Equal(there, text) {
			return fmt.Errorf("%w, which has committed the day meanwhile", ErrLocked)
		}
		err = nil
	}
	if err == nil && p.Marks != nil {
		root, _ := p.root()
		p.Marks.mu.Lock()
		p.Marks.folders[root][s.day] = &mark{done: &s.done}
		p.Marks.mu.Unlock()
	}
	return err
}

// unchanged returns the condition that the marker is the one that this run knows.
func (p Partitions[T]) unchanged(ctx context.Context, day, name string) (Condition, error) {
	marks, err := p.marks(ctx)
	if err != nil {
		return Always, err
	}
	m := marks[day]
	switch {
	case m == nil || m.lost:
		return IfAbsent, nil
	case m.etag != "":
		return Condition(m.etag), nil
	}
	e, ok, err := stat(ctx, p.Store, name) // of its own commit
	if err == nil && !ok {
		err = ErrLocked
	}
	return Condition(e.ETag), err
}
