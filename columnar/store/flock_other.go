//go:build !windows && (!unix || solaris || aix)

package store

import (
	"errors"
	"os"
)

func flock(*os.File) error { return errors.ErrUnsupported }
