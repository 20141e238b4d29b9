package store

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"syscall"
)

// A fault is an error of a server, of the way to it, or of a place of the machine such as TMPDIR.
type fault struct{ error }

func (f fault) Unwrap() error { return f.error }

// errNoBucket says that a name is wrong.
var errNoBucket = errors.New("no such bucket: check its name, and the endpoint if it is not at AWS")

// errNoListing is the error of an answer that would pass for an empty bucket: that of a proxy, or a
// login page.
var errNoListing = errors.New("the answer is not a listing of S3: check the endpoint, and whether a proxy answers in its place")

// faultOf marks an error of S3 as a fault, unless it lies with what was asked for.
func faultOf(err error) error {
	for _, asked := range []error{errNoBucket, fs.ErrNotExist, ErrChanged, ErrExists, context.Canceled} {
		if errors.Is(err, asked) {
			return err
		}
	}
	return fault{err}
}

// IsFault reports whether an error comes from the disk, the network or a server, and not
// from what was asked for: the same command may work when it is mended.
func IsFault(err error) bool {
	if _, ok := errors.AsType[fault](err); ok {
		return true
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	asked := []syscall.Errno{syscall.ENOENT, syscall.ENOTDIR, syscall.EISDIR, syscall.ENAMETOOLONG, syscall.EINVAL, syscall.ELOOP}
	return ok && !slices.Contains(asked, errno)
}

// IsClosed reports whether a folder or file on disk cannot be reached by its name: it is
// missing, nobody lets this user in, or its links lead round in a circle. Others may be
// reached.
func IsClosed(err error) bool {
	errno, ok := errors.AsType[syscall.Errno](err)
	closed := []syscall.Errno{syscall.ENOENT, syscall.ENOTDIR, syscall.EACCES, syscall.EPERM, syscall.ELOOP, syscall.ENAMETOOLONG}
	return ok && slices.Contains(closed, errno) || errors.Is(err, fs.ErrNotExist)
}
