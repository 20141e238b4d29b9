//go:build unix && !solaris && !aix

package store

import (
	"errors"
	"os"
	"syscall"
)

// flock locks an open file, unless another open file has it locked: ErrLocked. The
// error is errors.ErrUnsupported if the file system has no locks.
func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			return ErrLocked
		case errors.Is(err, syscall.ENOLCK), errors.Is(err, syscall.EINVAL), errors.Is(err, errors.ErrUnsupported):
			return errors.ErrUnsupported // NFS without a lock service, some FUSE file systems
		}
		return err
	}
}
