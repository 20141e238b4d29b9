package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Locate sets Store and Name of objects that were listed before, by their URIs. Nothing is
// listed again: opening one says whether it is still what it was.
func Locate(ctx context.Context, objects []Object, o Options) error {
	buckets := map[string]Store{}
	for i := range objects {
		at, err := parseURI(objects[i].URI)
		if err != nil {
			return err
		}
		if at.bucket == "" {
			// A store does not follow links that lead out of its folder.
			file, err := filepath.EvalSymlinks(at.path)
			if errors.Is(err, fs.ErrNotExist) {
				file, err = at.path, nil // opening it says so
			}
			if err != nil {
				return fmt.Errorf("%s: %w", objects[i].URI, cause(err))
			}
			folder, name := filepath.Split(file)
			objects[i].Store, objects[i].Name = newDisk(folder), name
			continue
		}
		if buckets[at.bucket] == nil {
			if buckets[at.bucket], err = newS3(ctx, at.bucket, "", o); err != nil {
				return err
			}
		}
		objects[i].Store, objects[i].Name = buckets[at.bucket], at.path
	}
	return nil
}
