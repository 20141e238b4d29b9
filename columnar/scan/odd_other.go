//go:build !amd64 || purego

package scan

// oddBlocks leaves all of p to be searched.
func oddBlocks(p []byte) (at, searched int) { return -1, 0 }
