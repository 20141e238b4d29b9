//go:build !windows && (!unix || solaris || aix)

package store

import (
	"errors"
	"os"
)

// flock returns errors.ErrUnsupported: these systems have no such locks.
func flock(*os.File) error { return errors.ErrUnsupported }
