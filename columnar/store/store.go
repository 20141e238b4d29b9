// Package store reads and writes objects on disk and in S3, finds the log objects
// that an input names, and keeps the daily partitions of the state.
//
// An object is a run of bytes with a name. A name is a slash-separated key
// relative to the root of its Store, "v2/findings/date=2026-11-20/_done.json":
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
	"sync/atomic"
	"time"

	"outflow/columnar/bounded"
	"outflow/columnar/iceberg"
)

// A Store is a tree of objects. Its methods may be called concurrently.
//
// If an object does not exist, the error wraps fs.ErrNotExist; Delete gives no
// error. Objects are written whole: a reader sees the old bytes or the new ones.
// Every read and listing that starts after a write sees it.
type Store interface {
	// List yields the objects whose names begin with prefix, in the byte order of
	// their names. The prefix may end in the middle of a segment; "" is everything.
	// If no name begins with the prefix, nothing is yielded. An error ends the
	// listing.
	List(ctx context.Context, prefix string, depth Depth) iter.Seq2[Entry, error]
	// Open returns the object from its start to its end. The context also bounds
	// the reading.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// OpenAt returns the object for reads at any offset. The context also
	// bounds the reading.
	OpenAt(ctx context.Context, name string) (ReaderAt, error)
	// Put writes body, from its start to its end, as the object. The object is
	// durable when Put returns nil. After an error the object may or may not have
	// been written, but never in part.
	Put(ctx context.Context, name string, body io.ReadSeeker, when Condition) error
	// Delete removes the object, durably. It is not an error if there is none.
	Delete(ctx context.Context, name string) error
	// Tidy removes what writers that died left in a folder ("": the root), and, if depth is
	// Deep, below it. It returns how many files that were.
	Tidy(ctx context.Context, folder string, depth Depth) (int, error)
	// Lock takes a lock that ends when it is closed or the process ends. The error is
	// ErrLocked if it is taken, and errors.ErrUnsupported if the store has no locks. The
	// lock is an object of that name, which nobody may write while the lock is held, and
	// which stays when it ends.
	Lock(ctx context.Context, name string) (Lock, error)
}

// A Lock is a lock that is held.
type Lock interface {
	// Note replaces the content of the lock's object. A reader may see a part of it.
	Note(text []byte) error
	io.Closer
}

// An Entry describes an object of a listing.
type Entry struct {
	// Name is relative to the root of the store. If it ends with a slash, it is a
	// folder, and no other field is set.
	Name    string
	Size    int64     // bytes
	Written time.Time // when it was last written, UTC, by the clock of the store
	// ETag changes when the bytes do. On disk it is made of the time of the last
	// change and the size, so copying or touching a file changes it. It is never
	// empty.
	ETag string

	// left says why it must not be read, if it is neither a file nor a folder: see disk.odd.
	left string
}

// A ReaderAt reads an object at any offset. ReadAt may be called concurrently.
type ReaderAt interface {
	io.ReaderAt
	io.Closer
	Size() int64 // bytes
}

// A Depth says how deep a listing goes.
type Depth uint8

const (
	// Deep lists every object at any depth, and no folders.
	Deep Depth = iota
	// Shallow lists up to the first slash after the prefix: objects, and for
	// everything below a folder just the folder.
	Shallow
)

// A Condition says when Put may write: Always, IfAbsent, or, for any other text, if
// the object exists with this ETag.
//
// If several calls Put the same name with the same condition at the same time, one
// writes. The others get ErrExists or, if they gave an ETag, ErrChanged.
type Condition string

const (
	Always   Condition = ""
	IfAbsent Condition = "*"
)

var (
	// ErrExists is the error of a Put with IfAbsent if the object exists.
	ErrExists = errors.New("object exists already")
	// ErrChanged is the error of a Put with an ETag if no object exists with this
	// ETag, and of reading an object that was replaced meanwhile.
	ErrChanged = errors.New("object has changed meanwhile")
)

// Options of Open and Glob. With the zero value, everything comes from the
// environment variables, shared files and roles of AWS.
type Options struct {
	// EndpointURL is the address of an S3-compatible server, such as
	// "http://minio:9000". Buckets are then part of the path. "" means
	// AWS_ENDPOINT_URL, or AWS if that is not set.
	EndpointURL string
	// Region of the bucket. "" means AWS_REGION or the shared configuration, or
	// us-east-1 if neither is set.
	Region string
	// Silence is how long an S3 server may send and take nothing until a request is
	// given up and tried again. 0 means 30 seconds.
	Silence time.Duration
	// Requests, if set, counts the requests to S3.
	Requests *Requests
	// Times says which of the columns of an Iceberg table have the time of a row, for Glob.
	// With the zero value, it reads all of a table's data files, of whatever days.
	Times iceberg.Times
}

// Requests counts requests to S3, each time that one is made. It may be read while it counts.
type Requests struct {
	Lists atomic.Int64
	Gets  atomic.Int64 // of bytes and of properties
}

// Open returns the store at a URI: s3://bucket/prefix, file:///folder, or the path
// of a folder. The folder need not exist: the first Put creates it.
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

// Remote reports whether a URI names a store in S3.
func Remote(uri string) bool {
	at, err := parseURI(uri)
	return err == nil && at.bucket != ""
}

// Check reports a URI of a configuration that no store can have, or that means another place
// than its author thought: a relative path that a shell, or a second slash, would make another.
func Check(uri string) error {
	if at, err := parseURI(uri); err != nil || at.bucket != "" {
		return err
	}
	if m := unexpanded().FindString(uri); m != "" {
		return fmt.Errorf("location %q: only a shell replaces %s: write the path in full, or ./%s if that is its name", uri, strings.TrimSuffix(m, "/"), strings.TrimSuffix(m, "/"))
	}
	if scheme, _, ok := strings.Cut(uri, ":/"); ok && len(scheme) > 1 && !strings.ContainsAny(scheme, `/\`) && !strings.Contains(uri, "://") {
		return fmt.Errorf("location %q: %s: is followed by two slashes", uri, scheme)
	}
	return nil
}

// unexpanded matches what only a shell replaces at the beginning of a path.
var unexpanded = bounded.Expression(`^(~|\$\w+|\$\{\w+\})(/|$)`)

// A location is a parsed URI.
type location struct {
	bucket string // "" if on disk
	path   string // key in the bucket without a leading slash, or path on disk
}

// parseURI parses a URI. The path of an s3 URI is used as it is, because object
// names may contain % and ?. The path of a file URI is percent-decoded.
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
		if strings.ContainsAny(bucket, " $%{}*?[]\\\"'<>") {
			return location{}, fmt.Errorf("location %q: %q is not the name of a bucket: write it in full", uri, bucket)
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
	// The name itself comes first in byte order among all names that begin with it.
	for e, err := range s.List(ctx, name, Shallow) {
		return e, err == nil && e.Name == name, err
	}
	return Entry{}, false, nil
}
