// Package store reads and writes objects on disk and in S3, finds the log
// objects that an input names, and keeps the day partitions of the state.
//
// An object is a run of bytes with a name. A name is a slash-separated key
// relative to the root of its Store, "v1/findings/date=2026-11-20/part-0.parquet":
// the same name means the same object on disk and in S3.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// A Store is a tree of objects. Its methods may be called concurrently.
//
// An object that is not there is an error that wraps fs.ErrNotExist, except to
// Delete. Objects are written whole: a reader sees the old bytes or the new.
// What was written is seen by every read and listing that starts afterwards.
type Store interface {
	// List yields the objects whose names begin with prefix, in the byte order
	// of their names. The prefix may end in the middle of a segment; "" is
	// everything. A prefix of nothing yields nothing. An error ends the listing.
	List(ctx context.Context, prefix string, depth Depth) iter.Seq2[Entry, error]
	// Open returns the object from its start to its end. The context also
	// bounds the reading.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// OpenAt returns the object for reads at any offset. The context also
	// bounds the reading.
	OpenAt(ctx context.Context, name string) (ReaderAt, error)
	// Put writes body, from its start to its end, as the object. The object is
	// durable when Put returns nil. After an error it may or may not have been
	// written, but never in part.
	Put(ctx context.Context, name string, body io.ReadSeeker, when Condition) error
	// Delete removes the object, durably. One that is not there is no error.
	Delete(ctx context.Context, name string) error
}

// An Entry describes an object of a listing.
type Entry struct {
	// Name is relative to the root of the store. A folder's ends with a slash,
	// and then nothing else is set.
	Name    string
	Size    int64     // bytes
	Written time.Time // when it was last written, UTC, by the clock of the store
	// ETag changes when the bytes do. On disk it is made of the time of the last
	// change and the size, so a file that is copied or touched has a new one. It
	// is never empty.
	ETag string
}

// A ReaderAt reads an object at any offset. ReadAt may be called concurrently.
type ReaderAt interface {
	io.ReaderAt
	io.Closer
	Size() int64 // bytes
}

// A Depth says how far down a listing goes.
type Depth uint8

const (
	// Deep lists every object, however deep, and no folders.
	Deep Depth = iota
	// Shallow lists up to the first slash after the prefix: objects, and in
	// place of all that lies below a folder, the folder.
	Shallow
)

// A Condition is what must be so for Put to write: Always, IfAbsent, or, any
// other text, that the object is there with this ETag.
//
// Of several that Put the same name with the same condition at the same time, one
// writes. The others' error is ErrExists or, where they gave an ETag, ErrChanged.
type Condition string

const (
	Always   Condition = ""
	IfAbsent Condition = "*"
)

var (
	// ErrExists is the error of a Put with IfAbsent if the object is there.
	ErrExists = errors.New("object exists already")
	// ErrChanged is the error of a Put with an ETag if the object is not there
	// with this ETag, and of reading an object that was replaced meanwhile.
	ErrChanged = errors.New("object has changed meanwhile")
)

// Options of Open and Glob. The zero value takes everything from the AWS
// environment variables, shared files and roles.
type Options struct {
	// EndpointURL is the address of an S3-compatible server,
	// "http://minio:9000". Buckets are then part of the path. "": AWS_ENDPOINT_URL,
	// else AWS.
	EndpointURL string
	// Region of the bucket. "": AWS_REGION or the shared configuration, else us-east-1.
	Region string
}

// Open returns the store at a URI: s3://bucket/prefix, file:///folder, or the
// path of a folder. The folder need not exist: it is made by the first Put.
func Open(ctx context.Context, uri string, o Options) (Store, error) {
	at, err := parseURI(uri)
	if err != nil {
		return nil, err
	}
	if at.bucket == "" {
		return newDisk(at.path), nil
	}
	prefix := strings.TrimSuffix(at.path, "/")
	if prefix != "" {
		prefix += "/"
	}
	return newS3(ctx, at.bucket, prefix, o)
}

// A location is what a URI names.
type location struct {
	bucket string // "": on disk
	path   string // key in the bucket without a leading slash, or path on disk
}

// parseURI takes a URI apart. The path of an s3 URI is taken as it is, since
// object names may hold % and ?; that of a file URI is percent-decoded.
func parseURI(uri string) (location, error) {
	scheme, rest, ok := strings.Cut(uri, "://")
	switch {
	case uri == "":
		return location{}, errors.New(`location "": want s3://bucket/prefix, file:///folder or a path`)
	case !ok:
		return location{path: uri}, nil
	case scheme == "s3" || scheme == "s3a" || scheme == "s3n":
		bucket, key, _ := strings.Cut(rest, "/")
		if bucket == "" {
			return location{}, fmt.Errorf("location %q: no bucket: want s3://bucket/prefix", uri)
		}
		return location{bucket, key}, nil
	case scheme == "file":
		path, err := url.PathUnescape(strings.TrimPrefix(rest, "localhost"))
		if err != nil || !strings.HasPrefix(path, "/") {
			return location{}, fmt.Errorf("location %q: want file:///folder, with %% written as %%25", uri)
		}
		return location{path: filepath.FromSlash(path)}, nil
	}
	return location{}, fmt.Errorf("location %q: unknown scheme %q: want s3://bucket/prefix, file:///folder or a path", uri, scheme)
}

// ReadAll returns the bytes of an object.
func ReadAll(ctx context.Context, s Store, name string) ([]byte, error) {
	r, err := s.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return b, nil
}

// stat returns the entry of one object. ok is false if there is none.
func stat(ctx context.Context, s Store, name string) (e Entry, ok bool, err error) {
	// The name itself is the first in byte order of all that begin with it.
	for e, err := range s.List(ctx, name, Shallow) {
		return e, err == nil && e.Name == name, err
	}
	return Entry{}, false, nil
}
