package store

import (
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"time"
)

// This file holds what is read of an object to its listing. A run records an object as
// read by its listed ETag; what it did not read of it would be lost without a word.

// A versioned object knows which bytes it reads. The objects of all stores do.
type versioned interface {
	// version returns the size, -1 if it is not known, and the ETag.
	version() (size int64, etag string)
	// mayGrow reports whether bytes may have been added since it was listed.
	mayGrow() bool
}

func (f *diskFile) version() (int64, string) { return f.size, "" }
func (f *diskFile) mayGrow() bool            { return true }

func (r *s3Stream) version() (int64, string) { return r.end, r.etag }
func (r *s3Stream) mayGrow() bool            { return false }

func (r *s3ReaderAt) version() (int64, string) { return r.size, r.etag }
func (r *s3ReaderAt) mayGrow() bool            { return false }

// Open returns the object from its start to its end, at least as many bytes as were
// listed. On disk, more may have been written since. The error wraps ErrChanged if the
// object is another one now, or shorter. Over plain HTTP, the bytes are those that were
// stored, or there is an error that says so.
func (o *Object) Open(ctx context.Context) (io.ReadCloser, error) {
	r, err := o.listed(ctx)
	if err != nil {
		return nil, err
	}
	s, ok := r.ReadCloser.(*s3Stream)
	switch {
	case !ok || s.md5 == "":
		return r, nil
	case o.Size > heldSize:
		return &summedReader{ReadCloser: r, ctx: ctx, o: o, sum: md5.New(), want: s.md5}, nil
	}
	return o.held(ctx, r, s.md5)
}

// listed opens the object, and ends with an error if it ends too early.
func (o *Object) listed(ctx context.Context) (*listedReader, error) {
	r, err := openListed(ctx, o, o.Store.Open)
	if err != nil {
		return nil, err
	}
	return &listedReader{ReadCloser: r, o: o}, nil
}

// OpenAt is Open for reads at any offset.
func (o *Object) OpenAt(ctx context.Context) (ReaderAt, error) {
	return openListed(ctx, o, o.Store.OpenAt)
}

// openListed opens an object, in S3 several times if what it gets is not what was listed:
// the answer may have been cut on its way, or come from a cache.
func openListed[T io.Closer](ctx context.Context, o *Object, open func(context.Context, string) (T, error)) (none T, _ error) {
	for try := 0; ; try++ {
		r, err := open(ctx, o.Name)
		if err != nil {
			return none, err
		}
		if err = o.check(r); err == nil {
			return r, nil
		}
		r.Close()
		if any(r).(versioned).mayGrow() || try == maxResumes {
			return none, err
		}
		select {
		case <-time.After(firstBackoff << try):
		case <-ctx.Done():
			return none, ctx.Err()
		}
	}
}

// check compares what was opened with the listing.
func (o *Object) check(opened any) error {
	v := opened.(versioned)
	size, etag := v.version()
	switch {
	// The ETag of a table's file also stands for its deleted rows; the file itself never changes.
	case etag != "" && o.Table == nil && etag != o.ETag:
		return fmt.Errorf("open %s: %w: it was replaced since it was listed", o.URI, ErrChanged)
	case size >= 0 && (size < o.Size || size > o.Size && !v.mayGrow()):
		return fmt.Errorf("open %s: %w: it was listed with %d bytes and has %d", o.URI, ErrChanged, o.Size, size)
	}
	return nil
}

// A listedReader fails at an end that comes too early.
type listedReader struct {
	io.ReadCloser
	o    *Object
	read int64
}

func (r *listedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.read += int64(n)
	if err == io.EOF && r.read < r.o.Size {
		err = fmt.Errorf("read %s: %w: it ended after %d of the %d bytes that were listed", r.o.URI, ErrChanged, r.read, r.o.Size)
	}
	return n, err
}
