//go:build !unix && !windows

package jobs

import (
	"io/fs"
	"os"
)

// sameOwner does nothing: files have no owner.
func sameOwner(*os.File, fs.FileInfo) error { return nil }

// fileID returns "": nothing tells a file from its copies.
func fileID(fs.FileInfo) string { return "" }
