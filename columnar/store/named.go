package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
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

// Matches reports whether an object of that URI may be one of those that Glob finds for a
// pattern on some days. It lists nothing. It cannot tell of the files of a table that the
// pattern names.
func Matches(pattern, uri string) (bool, error) {
	of, err := parseURI(pattern)
	if err != nil {
		return false, err
	}
	at, err := parseURI(uri)
	if err != nil || at.bucket != of.bucket {
		return false, err
	}
	if of.bucket == "" {
		of.path, at.path = cleaned(of.path), cleaned(at.path)
		if of.path == "./" {
			return filepath.IsLocal(at.path), nil
		}
	}
	if at.path == of.path {
		return true, nil // a file may be named as a pattern is
	}
	t, err := NewTemplate(of.path, false, false)
	if err != nil {
		return false, err
	}
	_, ok := t.Match(at.path)
	return ok, nil
}

// cleaned returns a path as the names of files are written, with the slash at its end.
func cleaned(path string) string {
	clean := filepath.ToSlash(filepath.Clean(path))
	if clean == "." || clean != "/" && strings.HasSuffix(filepath.ToSlash(path), "/") {
		clean += "/"
	}
	return clean
}

// Within reports whether a URI is that of a folder, or of something in it.
func Within(folder, uri string) bool {
	of, err := parseURI(folder)
	if err != nil {
		return false
	}
	at, err := parseURI(uri)
	if err != nil || at.bucket != of.bucket {
		return false
	}
	if of.bucket != "" {
		return of.path == "" || strings.HasPrefix(at.path+"/", strings.TrimSuffix(of.path, "/")+"/")
	}
	outer, err := filepath.Abs(of.path)
	if err != nil {
		return false
	}
	inner, err := filepath.Abs(at.path)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(outer, inner)
	return err == nil && filepath.IsLocal(rel)
}
