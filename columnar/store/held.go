package store

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
)

// This file bounds how many files of partitions on disk a run keeps open. A history of 90
// days would need several hundred, where some systems allow 64.

const (
	// maxOpenParts is how many files are kept open. Fewer would cost time where more are allowed.
	maxOpenParts = 24
	// maxHeldParts is how many bytes of further files are held in memory, if they are small.
	// Files beyond that are opened for each read, which costs a tenth of a night's time.
	maxHeldParts = 16 << 20
)

// A held is what a run holds of the files of partitions.
type held struct {
	files, bytes atomic.Int64
}

// A heldFile gives back what it holds when it is closed.
type heldFile struct {
	io.ReaderAt
	size    int64
	release func() error
}

func (f *heldFile) Size() int64  { return f.size }
func (f *heldFile) Close() error { return f.release() }

// A restingFile is open only while it is read.
type restingFile func() (ReaderAt, error)

func (open restingFile) ReadAt(p []byte, off int64) (int, error) {
	file, err := open()
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return file.ReadAt(p, off)
}

// hold returns a file of a partition, which was just read, for the time that the partition
// is open.
func (p Partitions[T]) hold(ctx context.Context, name string, file ReaderAt) (ReaderAt, error) {
	if _, disk := file.(*diskFile); !disk || p.Marks == nil {
		return file, nil
	}
	h, size := &p.Marks.held, file.Size()
	if h.files.Add(1) <= maxOpenParts {
		return &heldFile{file, size, func() error { h.files.Add(-1); return file.Close() }}, nil
	}
	h.files.Add(-1)
	defer file.Close()
	if size <= partMemory && h.bytes.Add(size) <= maxHeldParts {
		text := make([]byte, size)
		_, err := io.ReadFull(io.NewSectionReader(file, 0, size), text)
		return &heldFile{bytes.NewReader(text), size, func() error { h.bytes.Add(-size); return nil }}, err
	}
	if size <= partMemory {
		h.bytes.Add(-size)
	}
	open := restingFile(func() (ReaderAt, error) { return p.Store.OpenAt(ctx, name) })
	return &heldFile{open, size, func() error { return nil }}, nil
}
