package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"outflow/columnar/iceberg"
)

// This file finds the objects of Iceberg tables: the data files that the metadata name, where
// the table is now.

// icebergScheme begins the URI of a table: before that of a metadata file or of the table's
// folder, or before glue://database/table.
const icebergScheme = "iceberg+"

// An InTable says what a table knows of one of its data files.
type InTable struct {
	Schema  *iceberg.Schema
	File    *iceberg.File
	Deletes []Object // as File.Deletes: only Store, Name and URI are set
}

// An icebergTable is a table and where it is.
type icebergTable struct {
	*iceberg.Table
	store Store
	uri   string // of the store's root, as walk has it
	local bool
	// The metadata record the table's paths below recorded; they are below folder, a name
	// of the store that is "" or ends with a slash.
	recorded, folder string
	metadata         string // name of the metadata file
	alike            int    // how many other metadata files have its number
}

// tableAt opens the table of a metadata file or of a folder.
func tableAt(ctx context.Context, at location, o Options) (*icebergTable, error) {
	t := &icebergTable{local: at.bucket == ""}
	isFile := strings.HasSuffix(at.path, ".json") || strings.HasSuffix(at.path, ".gz")
	if t.local {
		at.path = filepath.Clean(at.path)
		folder := at.path
		if isFile {
			if folder = filepath.Dir(at.path); filepath.Base(folder) == "metadata" {
				folder = filepath.Dir(folder)
			}
		}
		t.store, t.uri = newDisk(folder), folder
		if isFile {
			rel, err := filepath.Rel(folder, at.path)
			if err != nil {
				return nil, err
			}
			t.metadata = filepath.ToSlash(rel)
		}
	} else {
		var err error
		if t.store, err = newS3(ctx, at.bucket, "", o); err != nil {
			return nil, err
		}
		t.uri = "s3://" + at.bucket + "/"
		if t.metadata = at.path; !isFile {
			if t.folder = strings.TrimSuffix(at.path, "/"); t.folder != "" {
				t.folder += "/"
			}
		}
	}
	if !isFile {
		var err error
		if t.metadata, t.alike, err = newestMetadata(ctx, t.store, t.folder); err != nil {
			return nil, err
		}
	}
	f, err := t.store.Open(ctx, t.metadata)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if t.Table, err = iceberg.Parse(f); err != nil {
		return nil, fmt.Errorf("%s: %w", t.named(t.metadata), err)
	}
	t.recorded = canonical(t.Location)
	if folder := path.Dir(t.metadata); path.Base(folder) == "metadata" && t.MetadataLocation == "" {
		if t.folder = path.Dir(folder) + "/"; t.folder == "./" {
			t.folder = ""
		}
		return t, nil
	}
	// The metadata are elsewhere, so only they say where the table is.
	scheme, rest, _ := strings.Cut(t.recorded, "://")
	switch bucket, key, _ := strings.Cut(rest, "/"); {
	case t.local && scheme == "file":
		t.store, t.uri, t.folder = newDisk(rest), rest, ""
	case !t.local && scheme == "s3" && bucket == at.bucket:
		t.folder = strings.TrimSuffix(key, "/") + "/"
	default:
		return nil, fmt.Errorf("%s: the table is at %s, and the metadata are in no folder metadata beside it: where its files are now cannot be told", t.named(t.metadata), t.Location)
	}
	return t, nil
}

// named returns the URI of an object of the table's store.
func (t *icebergTable) named(name string) string { return objectURI(t.uri, name, t.local) }

// canonical returns the one form of a location in metadata, without a slash at its end:
// s3://bucket/key, file:///folder, or a path relative to the table.
func canonical(location string) string {
	scheme, rest, ok := strings.Cut(location, ":")
	switch {
	case strings.HasPrefix(location, "/"):
		location = "file://" + location
	case !ok || strings.Contains(scheme, "/"):
	case scheme == "s3a" || scheme == "s3n":
		location = "s3:" + rest
	case scheme == "file": // file:/x, file:///x or file://localhost/x
		rest = strings.TrimPrefix(strings.TrimPrefix(rest, "//"), "localhost")
		location = "file:///" + strings.TrimLeft(rest, "/")
	}
	return strings.TrimRight(location, "/")
}

// name returns the name in the store of a file that the metadata name. What was below the
// recorded location of the table is below its folder, so a table may be copied or moved as
// a whole. Another path is read where it says, but only from the table's bucket; on disk
// only from its folder.
func (t *icebergTable) name(p string) (string, error) {
	at := canonical(p)
	rel, below := strings.CutPrefix(at, t.recorded+"/")
	scheme, rest, absolute := strings.Cut(at, "://")
	switch {
	case slices.Contains(strings.Split(at, "/"), ".."):
		return "", errors.New("the path has .. in it, and is not followed")
	case below:
		return t.folder + strings.TrimLeft(rel, "/"), nil
	case !absolute:
		return t.folder + at, nil
	case !t.local && scheme == "s3":
		if key, ok := strings.CutPrefix("s3://"+rest, t.uri); ok {
			return key, nil
		}
		return "", fmt.Errorf("is outside the bucket of the table, %s, and is not read", t.uri)
	case t.local && scheme == "file":
		if rel, err := filepath.Rel(t.uri, filepath.FromSlash(rest)); err == nil && filepath.IsLocal(rel) && filepath.IsAbs(t.uri) {
			return filepath.ToSlash(rel), nil
		}
	}
	return "", fmt.Errorf("is outside the table, which was at %s when it was written and is at %s now, and is not read", t.recorded, t.named(t.folder))
}

// newestMetadata returns the name of the newest metadata file of a table's folder: the one
// that version-hint.text names, or one after it, else that of the highest number. alike is
// how many others have the number.
func newestMetadata(ctx context.Context, s Store, folder string) (name string, alike int, err error) {
	folder += "metadata/"
	var all []Entry
	hinted := false
	for e, err := range s.List(ctx, folder, Shallow) {
		if err != nil {
			return "", 0, err
		}
		if _, ok := metadataNumber(path.Base(e.Name)); ok {
			all = append(all, e)
		}
		hinted = hinted || e.Name == folder+"version-hint.text"
	}
	if len(all) == 0 {
		return "", 0, fmt.Errorf("is none: there is no %s*.metadata.json", folder)
	}
	number := func(e Entry) int {
		n, _ := metadataNumber(path.Base(e.Name))
		return n
	}
	highest := 0
	for _, e := range all {
		highest = max(highest, number(e))
	}
	if hinted {
		hint, err := readHint(ctx, s, folder+"version-hint.text")
		if err != nil {
			return "", 0, err
		}
		for _, e := range all {
			if base := path.Base(e.Name); base == hint || strings.TrimSuffix(base, ".metadata.json") == hint {
				return e.Name, 0, nil
			}
		}
		// Writers move the hint after the table, so it may be behind.
		if n, err := strconv.Atoi(hint); err == nil && slices.ContainsFunc(all, func(e Entry) bool { return number(e) == n }) {
			for highest = n; slices.ContainsFunc(all, func(e Entry) bool { return number(e) == highest+1 }); highest++ {
			}
		}
	}
	all = slices.DeleteFunc(all, func(e Entry) bool { return number(e) != highest })
	last := slices.MaxFunc(all, func(a, b Entry) int {
		if c := a.Written.Compare(b.Written); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return last.Name, len(all) - 1, nil
}

func readHint(ctx context.Context, s Store, name string) (string, error) {
	const longest = 1 << 10
	f, err := s.Open(ctx, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, longest))
	return strings.TrimSpace(string(b)), err
}

// metadataNumber returns the number of a metadata file of that name: v3.metadata.json,
// 00003-UUID.metadata.json. ok is false if it is none.
func metadataNumber(base string) (n int, ok bool) {
	name, ok := strings.CutSuffix(strings.TrimSuffix(base, ".gz"), ".metadata.json")
	if !ok {
		return 0, false
	}
	name = strings.TrimPrefix(strings.TrimSuffix(name, ".gz"), "v")
	name, _, _ = strings.Cut(name, "-")
	n, err := strconv.Atoi(name)
	return n, err == nil && n >= 0
}

// open opens a file that the metadata name.
func (t *icebergTable) open(ctx context.Context, p string) (io.ReadCloser, error) {
	name, err := t.name(p)
	if err != nil {
		return nil, err
	}
	return t.store.Open(ctx, name)
}

// objects returns the data files that may have rows of the days; see place.
func (t *icebergTable) objects(ctx context.Context, days []time.Time, o Options, known map[string]Object) ([]Object, error) {
	files, err := t.Files(ctx, t.open, days, o.Times)
	if err != nil {
		return nil, err
	}
	return t.place(ctx, files, known)
}

// place finds the objects of data files. known are objects that were listed before, by URI.
// One that is not there, or must not be read, has an Err.
func (t *icebergTable) place(ctx context.Context, files []*iceberg.File, known map[string]Object) ([]Object, error) {
	out := make([]Object, 0, len(files))
	missing := map[string][]string{} // names, by folder
	for _, f := range files {
		object := Object{Store: t.store, Table: &InTable{Schema: t.Schema, File: f}}
		name, err := t.name(f.Path)
		if err == nil && !utf8.ValidString(name) {
			err = errors.New("its name is not UTF-8")
		}
		if err != nil {
			object.Entry, object.URI = Entry{Name: f.Path, ETag: "none"}, strings.ToValidUTF8(f.Path, "�")
			object.Err = err
			out = append(out, object)
			continue
		}
		object.Name, object.URI, object.Err = name, t.named(name), f.Err
		for _, p := range f.Deletes {
			name, err := t.name(p)
			if err != nil {
				object.Err = fmt.Errorf("has rows that %s deletes, which %w", p, err)
				break
			}
			object.Table.Deletes = append(object.Table.Deletes, Object{Entry: Entry{Name: name}, Store: t.store, URI: t.named(name)})
		}
		if k, ok := known[object.URI]; ok {
			object.Entry = k.Entry
			object.Store = k.Store
		} else {
			folder, _ := path.Split(name)
			missing[folder] = append(missing[folder], name)
		}
		out = append(out, object)
	}
	entries, err := entriesOf(ctx, t.store, missing)
	if err != nil {
		return nil, err
	}
	for i := range out {
		object := &out[i]
		if object.ETag == "" {
			e, ok := entries[object.Name]
			if !ok {
				e = Entry{Name: object.Name, ETag: "none"}
				if object.Err == nil {
					object.Err = fmt.Errorf("is not there, although the table names it: %w", fs.ErrNotExist)
				}
			}
			object.Entry = e
		}
		object.ETag += deletesTag(object.Table.File.Deletes)
	}
	return out, nil
}

// deletesTag tells an object from what it was before rows of it were deleted: what is read
// of it has changed, though its bytes have not.
func deletesTag(deletes []string) string {
	if len(deletes) == 0 {
		return ""
	}
	h := sha256.New()
	for _, p := range slices.Sorted(slices.Values(deletes)) {
		io.WriteString(h, p+"\n")
	}
	return "+" + hex.EncodeToString(h.Sum(nil)[:8])
}

// entriesOf returns the entries of objects, which are given by folder. One listing of a
// folder takes fewer requests than asking for each object.
func entriesOf(ctx context.Context, s Store, names map[string][]string) (map[string]Entry, error) {
	out := map[string]Entry{}
	for _, folder := range slices.Sorted(maps.Keys(names)) {
		wanted := map[string]bool{}
		last := ""
		for _, name := range names[folder] {
			wanted[name] = true
			last = max(last, name)
		}
		for e, err := range s.List(ctx, folder, Shallow) {
			if err != nil {
				return nil, err
			}
			if wanted[e.Name] && e.ETag != "" {
				out[e.Name] = e
			}
			if e.Name >= last {
				break
			}
		}
	}
	return out, nil
}

// iceberg adds the data files of the table that a URI names.
func (g *globber) iceberg(ctx context.Context, uri string, days []time.Time, o Options) error {
	if name, ok := strings.CutPrefix(uri, "glue://"); ok {
		var err error
		if uri, err = glueLocation(ctx, name, o); err != nil {
			return err
		}
	}
	at, err := parseURI(uri)
	if err != nil {
		return err
	}
	t, err := tableAt(ctx, at, o)
	if err != nil {
		return tableError(uri, err)
	}
	g.noteAlike(t)
	objects, err := t.objects(ctx, days, o, nil)
	if err != nil {
		return tableError(uri, err)
	}
	for _, object := range objects {
		g.objects[object.URI] = object
	}
	return nil
}

// tableError adds the table to an error. A table with a missing file is still there, so the error is
// not fs.ErrNotExist any more.
func tableError(at string, err error) error {
	err = fmt.Errorf("the Iceberg table %s: %w", at, err)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New(err.Error())
	}
	return err
}

func (g *globber) noteAlike(t *icebergTable) {
	if t.alike > 0 {
		g.notes = append(g.notes, fmt.Sprintf("%s: %d other metadata files have the same number, and only the table's catalog knows which counts: the one written last is read", t.named(t.metadata), t.alike))
	}
}

// suspect notes the tables that a listed object may belong to: that above the folder
// metadata, if the object is one of it; else, by the usual layouts, those above data/ and
// above folders of the form key=value.
func (w walk) suspect(name string) {
	at := location{path: name}
	if w.local {
		at.path = filepath.ToSlash(filepath.Join(w.uri, filepath.FromSlash(name)))
	} else {
		at.bucket, _, _ = strings.Cut(strings.TrimPrefix(w.uri, "s3://"), "/")
	}
	folder, base := path.Split(at.path)
	if above, ok := strings.CutSuffix(folder, "metadata/"); ok && (above == "" || above[len(above)-1] == '/') {
		if _, ok := metadataNumber(base); ok {
			w.tables[at.folder(above)] = true
		}
		return
	}
	if !strings.HasSuffix(base, ".parquet") {
		return
	}
	inPartition := false
	for from := 0; from < len(folder); {
		segment, _, _ := strings.Cut(folder[from:], "/")
		isPartition := strings.Contains(segment, "=")
		if segment == "data" || isPartition && !inPartition {
			w.suspects[at.folder(folder[:from])] = true
		}
		inPartition = isPartition
		from += len(segment) + 1
	}
}

// folder returns the location of a folder of the same store, whose path ends with a slash
// or is "".
func (l location) folder(name string) location {
	if l.bucket == "" {
		return location{path: filepath.Clean(filepath.FromSlash(name))}
	}
	return location{l.bucket, strings.TrimSuffix(name, "/")}
}

// holds reports whether a URI, as Object has it, is below the folder.
func (l location) holds(uri string) bool {
	if l.bucket == "" {
		rel, err := filepath.Rel(l.path, uri)
		return err == nil && filepath.IsLocal(rel)
	}
	folder := "s3://" + l.bucket + "/"
	if l.path != "" {
		folder += l.path + "/"
	}
	return strings.HasPrefix(uri, folder)
}

func (l location) String() string {
	if l.bucket == "" {
		return l.path
	}
	return "s3://" + l.bucket + "/" + l.path
}

// replaceTables puts, in place of what was listed below the folder of a table, the data
// files of its snapshot: a listing also has those that were compacted, whose rows count
// once more in another file, and those that no commit ever named. Unless the pattern is a
// folder that holds all of the table, only files that it matches are taken.
func (g *globber) replaceTables(ctx context.Context, pattern location, days []time.Time, o Options) error {
	plain := !strings.Contains(pattern.path, "{") && !hasGlob(pattern.path)
	pattern = pattern.folder(pattern.path)
	byPlace := func(a, b location) int { return strings.Compare(a.String(), b.String()) }
	for _, at := range slices.SortedFunc(maps.Keys(g.suspects), byPlace) {
		if ok, err := hasMetadata(ctx, at, o); err != nil {
			return err
		} else if ok {
			g.tables[at] = true
		}
	}
	for _, at := range slices.SortedFunc(maps.Keys(g.tables), byPlace) {
		t, err := tableAt(ctx, at, o)
		if errors.Is(err, iceberg.ErrNotTable) {
			g.notes = append(g.notes, fmt.Sprintf("%s is listed as a folder of logs, although it has metadata like an Iceberg table: %v", at, err))
			continue
		}
		if err != nil {
			return tableError(at.String(), err)
		}
		known := map[string]Object{}
		for uri, object := range g.objects {
			if at.holds(uri) {
				known[uri] = object
				delete(g.objects, uri)
			}
		}
		objects, err := t.objects(ctx, days, o, known)
		if err != nil {
			return tableError(at.String(), err)
		}
		whole := plain && (at == pattern || pattern.holds(at.String()))
		for _, object := range objects {
			if _, listed := known[object.URI]; listed || whole {
				g.objects[object.URI] = object
			}
		}
		g.notes = append(g.notes, fmt.Sprintf("%s is an Iceberg table: listing it would count rows twice, in files that were compacted and in those that replaced them. "+
			"Its current snapshot is read instead; name it as %s%s", at, icebergScheme, at.uri()))
		g.noteAlike(t)
	}
	return nil
}

// uri returns the URI of the location.
func (l location) uri() string {
	if l.bucket != "" {
		return l.String()
	}
	return "file://" + filepath.ToSlash(l.path)
}

// hasMetadata reports whether a folder has a folder metadata with that of a table.
func hasMetadata(ctx context.Context, at location, o Options) (bool, error) {
	var s Store
	prefix := "metadata/"
	if at.bucket == "" {
		s = newDisk(at.path)
	} else {
		var err error
		if s, err = newS3(ctx, at.bucket, "", o); err != nil {
			return false, err
		}
		if at.path != "" {
			prefix = at.path + "/" + prefix
		}
	}
	for e, err := range s.List(ctx, prefix, Shallow) {
		if err != nil {
			return false, err
		}
		if _, ok := metadataNumber(path.Base(e.Name)); ok && e.ETag != "" {
			return true, nil
		}
	}
	return false, nil
}
