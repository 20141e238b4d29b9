package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// This file removes from a state what no run needs any more, and moves on a state of an
// earlier version.

// readersFolder has the leases of the runs that read the state while others may write it.
const readersFolder = "readers/"

// deadReader is the age at which a reader without beats is taken to be dead. It beats
// every 15 seconds, but its clock may be wrong.
const deadReader = time.Hour

// HoldReader returns a lease that keeps replaced files. The marks that a run reads with it
// must be read while no other run writes the state.
func (c Claim) HoldReader(ctx context.Context, s Store) (*Lease, error) {
	l, err := c.Hold(ctx, s, readersFolder+rand.Text())
	if err == nil {
		l.once = true
	}
	return l, err
}

// readers reports whether runs read the state, and forgets those that died.
func readers(ctx context.Context, s Store) (bool, error) {
	alive := false
	for e, err := range s.List(ctx, readersFolder, Deep) {
		if err != nil {
			return false, err
		}
		lock, err := s.Lock(ctx, e.Name)
		switch {
		case errors.Is(err, ErrLocked), errors.Is(err, errors.ErrUnsupported) && time.Since(e.Written) < deadReader:
			alive = true
			continue
		case err != nil && !errors.Is(err, errors.ErrUnsupported):
			return false, err
		}
		err = s.Delete(ctx, e.Name)
		if lock != nil {
			err = errors.Join(err, lock.Close())
		}
		if err != nil {
			return false, err
		}
	}
	return alive, nil
}

// Sweep deletes the files of partitions that no marker names, in the folders for which
// mine returns true, and what writers that died left there. No other run may write these
// folders. While runs read the state, replaced files stay. It returns how many files it
// deleted.
func Sweep(ctx context.Context, s Store, mine func(folder string) bool) (int, error) {
	n := 0
	read, err := readers(ctx, s)
	if err != nil {
		return 0, err
	}
	if n, err = s.Tidy(ctx, "", Deep); err != nil {
		return n, err
	}
	files := map[string][]string{} // by the folder of the partition
	for top, err := range s.List(ctx, versionName+"/", Shallow) {
		if err != nil {
			return n, err
		}
		if !mine(path.Base(top.Name)) {
			continue
		}
		for e, err := range s.List(ctx, top.Name, Deep) {
			if err != nil {
				return n, err
			}
			folder, name := path.Split(e.Name)
			if partForm().MatchString(name) || name == doneName {
				files[folder] = append(files[folder], name)
			}
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(files)) {
		names := files[folder]
		keep := map[string]bool{doneName: true}
		if slices.Contains(names, doneName) {
			if len(names) == 2 || read {
				continue // two are a marker and its file: it need not be read
			}
			b, err := ReadChecked(ctx, s, folder+doneName)
			if err != nil {
				return n, err
			}
			done, err := decodeDone(b)
			if err != nil {
				continue // nobody knows which of them it named
			}
			for _, p := range done.Parts {
				keep[p.Name] = true
			}
		}
		for _, name := range names {
			if keep[name] {
				continue
			}
			if err := s.Delete(ctx, folder+name); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

const (
	oldVersion  = "v1"
	oldPartName = "part-0.parquet"
	oldLockName = "_lock.json"
	// oldStaleLock is the age at which programs of version 1 took a lock to be left over.
	oldStaleLock = 15 * time.Minute
)

// An Upgraded says what Upgrade did.
type Upgraded struct {
	Moved   int             // number of partitions
	Damaged []*DamagedError // what was not moved, and stays where it is
}

// HasOld reports whether a store has partitions of an earlier version, which Upgrade moves on.
func HasOld(ctx context.Context, s Store) (bool, error) {
	for _, err := range s.List(ctx, oldVersion+"/", Shallow) {
		return err == nil, err
	}
	return false, nil
}

// Upgrade moves the partitions of a state of version 1 on, in the folders for which mine
// returns true. The run must have the state to itself. If it ends early, the next Upgrade
// does the rest.
func Upgrade(ctx context.Context, s Store, mine func(folder string) bool) (Upgraded, error) {
	var out Upgraded
	var folders []string
	there := map[string][]string{}
	for e, err := range s.List(ctx, oldVersion+"/", Deep) {
		if err != nil {
			return out, err
		}
		folder, name := path.Split(strings.TrimPrefix(e.Name, oldVersion+"/"))
		if top, _, _ := strings.Cut(folder, "/"); !mine(top) {
			continue
		}
		if name == oldLockName && time.Since(e.Written) < oldStaleLock {
			return out, fmt.Errorf("%w, of an earlier version, which began to write %s%s at %s: try again when it has ended", ErrLocked, oldVersion+"/", folder,
				e.Written.Format(time.RFC3339))
		}
		if there[folder] == nil {
			folders = append(folders, folder)
		}
		there[folder] = append(there[folder], name)
	}
	for _, folder := range folders {
		from := oldVersion + "/" + folder
		if slices.Contains(there[folder], doneName) {
			err := upgrade(ctx, s, from, versionName+"/"+folder)
			if damaged, ok := errors.AsType[*DamagedError](err); ok {
				out.Damaged = append(out.Damaged, damaged)
				continue
			}
			if err != nil {
				return out, err
			}
			out.Moved++
		}
		for _, name := range []string{doneName, oldPartName, oldLockName} { // the marker first, as version 1 did
			if slices.Contains(there[folder], name) {
				if err := s.Delete(ctx, from+name); err != nil {
					return out, err
				}
			}
		}
	}
	return out, nil
}

// upgrade writes a partition of version 1 as one of this version, unless there is one: that
// is newer.
func upgrade(ctx context.Context, s Store, from, to string) error {
	if _, ok, err := stat(ctx, s, to+doneName); ok || err != nil {
		return err
	}
	table, day, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(from, oldVersion+"/"), "/"), "/date=")
	damaged := func(err error) error { return &DamagedError{Folder: oldVersion + "/" + table, Day: day, Err: err} }
	text, err := ReadAll(ctx, s, from+doneName)
	if err != nil {
		return err
	}
	var old struct {
		Done
		SHA256 string `json:"sha256"`
	}
	if err := json.Unmarshal(text, &old); err != nil {
		return damaged(fmt.Errorf("%s: %w", doneName, err))
	}
	body, err := s.Open(ctx, from+oldPartName)
	if errors.Is(err, fs.ErrNotExist) {
		return damaged(fmt.Errorf("%s is missing", oldPartName))
	}
	if err != nil {
		return err
	}
	file, sum, err := hashed(body)
	if err != nil {
		return err
	}
	defer file.Close()
	if sum != old.SHA256 {
		return damaged(fmt.Errorf("sha256 of %s is %.12s…, but %s says %.12s…", oldPartName, sum, doneName, old.SHA256))
	}
	raw, err := hex.DecodeString(sum)
	if err != nil {
		return err
	}
	old.Partition = table + "/date=" + day
	old.Parts = []PartRef{newPart(old.Rows, raw)}
	marker, err := old.Done.encode()
	if err != nil {
		return err
	}
	if err := s.Put(ctx, to+old.Parts[0].Name, io.NewSectionReader(file, 0, file.Size()), Always); err != nil {
		return err
	}
	return s.Put(ctx, to+doneName, bytes.NewReader(marker), IfAbsent)
}
