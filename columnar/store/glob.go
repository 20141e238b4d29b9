package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// An Object is an object that matches a pattern.
type Object struct {
	Entry         // Name is relative to Store
	Store   Store // where to open it
	URI     string
	Account string   // what stands for {account}; "" if the pattern does not have it
	Table   *InTable // what its table knows of it; nil: it belongs to none
	// Err says why it must not be read, if the table says so or cannot say where it is.
	Err error
}

// Found is the result of a pattern.
type Found struct {
	Objects []Object // sorted by URI, each once
	Skipped []Skip   // sorted by reason
	// Notes say what else the user should know: sentences.
	Notes []string
}

// A Skip counts objects that match a pattern but are not logs. A folder that was
// not listed counts as one.
type Skip struct {
	Reason string
	Count  int
}

// Glob finds the objects of an input. A pattern is a URI as Open takes it, with
//
//	{yyyy} {mm} {dd} {hh}  a day's year, month and day, and each of its hours
//	{m} {d}                month and day without a leading zero
//	{account} {region}     any text within a segment; Object.Account tells the account
//	*  ?  [a-z]            within a segment, as in path.Match; \ takes the next character as it is
//	**                     any number of segments, or none
//
// A folder stands for everything below it, if it has no glob or ends with a slash.
// The URIs found begin as the pattern does; the URIs of files are plain paths.
//
// Dates are filled in for each of the days (UTC). Without days, they match any digits.
// A pattern with templates or globs also matches percent-encoded names: dt=2026-11-20
// matches dt%3D2026-11-20. Only objects that can match are listed: the listing starts at the literal
// text before the first glob. At a segment with a glob, S3 lists the folders if
// literal text follows that narrows what lies below them (as in
// AWSLogs/*/CloudTrail/*/2026/11/20/). Otherwise it lists everything below, because
// that takes one request for each thousand objects instead of one for each folder.
//
// These are left out and counted: names that begin with . or _ (so _SUCCESS and
// _temporary), checksums (.crc, .md5, .sha256, …), metadata/ folders, folder markers, CloudTrail-Digest and
// CloudTrail-Insight folders, and unfinished files. They are not left out if the
// pattern has the name as a segment, or above its first glob. Symbolic links on
// disk are left out and counted, except as a path without globs; so are folders that a glob
// matches, if it matches nothing else.
//
// An Iceberg table is named by iceberg+ before the URI of one of its metadata files or of
// its folder, or by iceberg+glue://database/table. Of a table, the data files of the current
// snapshot are found that may have rows of the days. So it is with a folder that turns out
// to be a table, and the files that a pattern matches within one: what is below the table's
// folder, but not in its snapshot, is left out.
//
// It is not an error if a pattern or a folder matches nothing. If a path without
// globs and templates does not exist, the error is fs.ErrNotExist.
func Glob(ctx context.Context, pattern string, days []time.Time, o Options) (Found, error) {
	g := globber{objects: map[string]Object{}, skipped: map[string]int{}, passed: map[string]bool{}, folders: map[string][]Entry{},
		tables: map[location]bool{}, suspects: map[location]bool{}}
	if uri, ok := strings.CutPrefix(pattern, icebergScheme); ok {
		if err := g.iceberg(ctx, uri, days, o); err != nil {
			return Found{}, fmt.Errorf("input %s: %w", pattern, err)
		}
		return g.found(), nil
	}
	at, err := parseURI(pattern)
	if err != nil {
		return Found{}, err
	}
	if strings.Contains(at.path, "{account}") {
		name := at.path
		if at.bucket == "" {
			name = filepath.ToSlash(filepath.Clean(name))
			if strings.HasSuffix(at.path, "/") {
				name += "/"
			}
		}
		if g.template, err = NewTemplate(name, false, false); err != nil {
			return Found{}, fmt.Errorf("input %s: %w", pattern, err)
		}
	}
	exists, err := g.glob(ctx, at, days, o)
	if err != nil {
		return Found{}, fmt.Errorf("input %s: %w", pattern, err)
	}
	if !exists && !strings.Contains(at.path, "{") && !hasGlob(at.path) {
		return Found{}, fmt.Errorf("input %s: %w", pattern, fs.ErrNotExist)
	}
	if err := g.replaceTables(ctx, at, days, o); err != nil {
		return Found{}, fmt.Errorf("input %s: %w", pattern, err)
	}
	return g.found(), nil
}

const globChars = `*?[\`

// encodable are the characters of templates that some writers of Hive partitions
// percent-encode.
const encodable = "=:"

func hasGlob(s string) bool { return strings.ContainsAny(s, globChars) }

// literal returns the part of s before its first glob.
func literal(s string) string {
	if i := strings.IndexAny(s, globChars); i >= 0 {
		return s[:i]
	}
	return s
}

// plain returns the part of s before its first glob or encodable character.
func plain(s string) string {
	if i := strings.IndexAny(s, globChars+encodable); i >= 0 {
		return s[:i]
	}
	return s
}

// A globber collects the objects that the paths of one pattern match.
type globber struct {
	objects map[string]Object // by URI
	skipped map[string]int
	folders map[string][]Entry // and links, by URI and prefix: shared by the days of a pattern
	// template tells the accounts; nil if the pattern has none.
	template *Template
	// passed are the folders that a glob matches, by URI.
	passed map[string]bool
	// tables are folders that have an Iceberg table, and suspects those that may.
	tables, suspects map[location]bool
	notes            []string
}

func (g *globber) found() Found {
	f := Found{Objects: make([]Object, 0, len(g.objects)), Notes: g.notes}
	for _, o := range g.objects {
		f.Objects = append(f.Objects, o)
	}
	slices.SortFunc(f.Objects, func(a, b Object) int { return strings.Compare(a.URI, b.URI) })
	if len(f.Objects) == 0 && len(g.passed) > 0 {
		g.skipped[skipPassed] = len(g.passed)
	}
	f.Skipped = skips(g.skipped)
	return f
}

// skips lists what was skipped, by reason.
func skips(counts map[string]int) (out []Skip) {
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, Skip{reason, counts[reason]})
	}
	return out
}

// objectURI returns the URI of an object of a store that is at base.
func objectURI(base, name string, local bool) string {
	if local {
		return filepath.Join(base, filepath.FromSlash(name))
	}
	return base + name
}

// glob reports whether the pattern matches anything, even if that is skipped.
func (g *globber) glob(ctx context.Context, at location, days []time.Time, o Options) (exists bool, err error) {
	if at.bucket == "" {
		// A file may have exactly this name, with its globs: shells pass a pattern
		// that matches nothing on as it is.
		if _, err := os.Stat(at.path); err == nil {
			return g.path(ctx, at.path)
		}
	}
	paths, err := Expand(at.path, days)
	if err != nil {
		return false, err
	}
	var bucket Store
	if at.bucket != "" {
		if bucket, err = newS3(ctx, at.bucket, "", o); err != nil {
			return false, err
		}
	}
	template := strings.Contains(at.path, "{")
	for _, p := range paths {
		var ok bool
		literal, coded := !hasGlob(p), template && strings.ContainsAny(p, encodable)
		if at.bucket == "" {
			if literal {
				ok, err = g.path(ctx, p)
			}
			if err == nil && (!literal || coded) {
				err = g.files(ctx, p)
			}
		} else {
			w := walk{globber: g, store: bucket, uri: "s3://" + at.bucket + "/"}
			if literal && !coded {
				ok, err = w.key(ctx, p)
			} else {
				w.named = strings.Split(p, "/")
				err = w.match(ctx, "", w.named)
			}
		}
		if err != nil {
			return false, err
		}
		exists = exists || ok
	}
	return exists, nil
}

// path adds a file, or all files below a folder.
func (g *globber) path(ctx context.Context, name string) (exists bool, err error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, nil
	}
	if err != nil {
		return false, cause(err)
	}
	if info.IsDir() {
		root := filepath.Clean(name)
		_, err := walk{globber: g, store: disk{root, true}, uri: root, local: true}.below(ctx, "")
		return true, err
	}
	// A store does not follow links that lead out of its folder.
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return false, cause(err)
	}
	folder, base := filepath.Split(target)
	folder = filepath.Clean(folder)
	w := walk{globber: g, store: newDisk(folder), uri: folder, local: true}
	w.add(diskEntry(base, info))
	return true, nil
}

// files adds the files that match a path with globs or encodable characters.
func (g *globber) files(ctx context.Context, pattern string) error {
	folder, _ := path.Split(plain(pattern))
	var segments []string
	for _, s := range strings.Split(strings.TrimPrefix(pattern, folder), "/") {
		switch s {
		case "", ".":
		case "..":
			return fmt.Errorf("%s: .. after a glob: give the folder itself", pattern)
		default:
			segments = append(segments, s)
		}
	}
	if strings.HasSuffix(pattern, "/") {
		segments = append(segments, "")
	}
	root := filepath.Clean(folder)
	return walk{globber: g, store: disk{root, true}, uri: root, local: true, named: segments}.match(ctx, "", segments)
}

// A walk follows one pattern through one store.
type walk struct {
	*globber
	store Store
	uri   string // of the store's root
	local bool   // listing a folder costs no request
	named []string
	keys  spelling
}

// A spelling says how a tree writes the = of its keys. The first folder that has one
// tells that of all folders below.
type spelling uint8

const (
	unknownSpelling spelling = iota
	plainSpelling            // dt=2026
	encodedSpelling          // dt%3D2026
)

// uncertain reports whether the names that match a segment without globs must be
// listed, since some may be percent-encoded.
func (w walk) uncertain(segment string) bool {
	return strings.Contains(segment, ":") || w.keys == unknownSpelling && strings.Contains(segment, "=")
}

// spell returns a segment without globs as the tree writes it.
func (w walk) spell(segment string) string {
	if w.keys == encodedSpelling {
		return strings.ReplaceAll(segment, "=", "%3D")
	}
	return segment
}

// into returns the walk below a folder that matches a segment.
func (w walk) into(segment, folder string) walk {
	if w.keys == unknownSpelling && strings.Contains(segment, "=") {
		w.keys = plainSpelling
		if !strings.Contains(folder, "=") {
			w.keys = encodedSpelling
		}
	}
	return w
}

// add adds an object that matches.
func (w walk) add(e Entry) {
	uri := objectURI(w.uri, e.Name, w.local)
	o := Object{Entry: e, Store: w.store, URI: uri}
	if w.template != nil {
		name := e.Name
		if w.local {
			name = filepath.ToSlash(uri)
		}
		m, _ := w.template.Match(name)
		o.Account = m.Account
	}
	w.objects[uri] = o
}

// consider adds a matching object, unless a segment of rel says that it is not a
// log. rel is its name without the literal start of the pattern.
func (w walk) consider(e Entry, rel string) {
	w.suspect(e.Name)
	if reason := cmp.Or(notLog(rel, e.Size, w.named), e.left); reason != "" {
		w.skipped[reason]++
		return
	}
	w.add(e)
}

// notLog returns the reason why an object is not a log, or "". Segments that are in
// named do not count.
func notLog(name string, size int64, named []string) string {
	segments := strings.Split(name, "/")
	last := len(segments) - 1
	for i, s := range segments {
		if slices.Contains(named, s) && s != "" {
			continue
		}
		reason := ""
		if i < last {
			reason = skipFolder(s)
		} else {
			reason = skipFile(s, size)
		}
		if reason != "" {
			return reason
		}
	}
	return ""
}

// skipFolder returns the reason why nothing below a folder of this name is a log,
// or "".
func skipFolder(name string) string {
	switch {
	case name == "metadata":
		return "table metadata"
	case name == "CloudTrail-Digest" || name == "CloudTrail-Insight":
		return name
	}
	return skipName(name)
}

// skipFile returns the reason why an object of this name is not a log, or "".
func skipFile(name string, size int64) string {
	switch {
	case size == 0 && (name == "" || strings.HasSuffix(name, "_$folder$")):
		return "folder marker"
	}
	for _, suffix := range []string{".crc", ".md5", ".sha1", ".sha256", ".sha512"} {
		if strings.HasSuffix(name, suffix) {
			return "checksum (" + suffix + ")"
		}
	}
	for _, suffix := range []string{".tmp", ".part", ".partial", ".inprogress", "._COPYING_", ".swp", "~"} {
		if strings.HasSuffix(name, suffix) {
			return "unfinished"
		}
	}
	return skipName(name)
}

// Why what is neither a file nor a folder is left out of a folder.
const (
	skipLink   = "symbolic link; if its target is elsewhere, name that"
	skipDevice = "device, pipe or socket: only files are read"
	// skipPassed is said only if a glob matches nothing else: most logs have folders beside them.
	skipPassed = "folder; end the pattern with / to read what is below it"
)

func skipName(name string) string {
	switch {
	case strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_"):
		return "hidden (. or _)"
	case !utf8.ValidString(name):
		// Neither the state nor a report could name it.
		return "name is not UTF-8"
	}
	return ""
}

// key adds the object of that name, or all objects below the folder of that name.
func (w walk) key(ctx context.Context, name string) (exists bool, err error) {
	if name != "" && !strings.HasSuffix(name, "/") {
		e, ok, err := stat(ctx, w.store, name)
		if ok {
			w.add(e)
		}
		if ok || err != nil {
			return ok, err
		}
		name += "/"
	}
	return w.below(ctx, name)
}

// below adds all objects below a folder.
func (w walk) below(ctx context.Context, folder string) (exists bool, err error) {
	for e, err := range w.store.List(ctx, folder, Deep) {
		if err != nil {
			return false, err
		}
		exists = true
		w.consider(e, strings.TrimPrefix(e.Name, folder))
	}
	return exists, nil
}

// match adds the objects whose names are prefix followed by a match of the
// segments. A last segment "" stands for everything below.
func (w walk) match(ctx context.Context, prefix string, segments []string) error {
	for len(segments) > 1 && !hasGlob(segments[0]) && !w.uncertain(segments[0]) {
		prefix += w.spell(segments[0]) + "/"
		segments = segments[1:]
	}
	first := segments[0]
	if first == "" {
		_, err := w.below(ctx, prefix)
		return err
	}
	if !w.byFolder(segments) || len(segments) == 1 {
		for _, start := range w.starts(first) {
			var err error
			if len(segments) == 1 && first != "**" {
				err = w.matchLast(ctx, prefix, start, first)
			} else {
				err = w.matchBelow(ctx, prefix, start, segments)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	folders, err := w.list(ctx, prefix+plain(first))
	if err != nil {
		return err
	}
	for _, e := range folders {
		folder := strings.TrimSuffix(e.Name, "/")
		name := strings.TrimPrefix(folder, prefix)
		ok, err := matchOne(first, name)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if reason := cmp.Or(skipFolder(name), e.left); reason != "" {
			w.skipped[reason]++
			continue
		}
		if err := w.into(first, name).match(ctx, folder+"/", segments[1:]); err != nil {
			return err
		}
	}
	return nil
}

// starts returns the texts with which the names that match a segment may begin.
func (w walk) starts(segment string) []string {
	text := literal(segment)
	starts := []string{w.spell(text)}
	if w.uncertain(text) {
		starts = append(starts, strings.NewReplacer("=", "%3D", ":", "%3A").Replace(text))
	}
	return starts
}

// matchBelow adds the objects whose names are prefix followed by start and by what
// makes it a match of the segments.
func (w walk) matchBelow(ctx context.Context, prefix, start string, segments []string) error {
	for e, err := range w.store.List(ctx, prefix+start, Deep) {
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(e.Name, prefix)
		ok, err := matchAll(segments, strings.Split(rel, "/"))
		if err != nil {
			return err
		}
		if !ok && e.left == skipLink { // what is below it might
			info, err := os.Stat(objectURI(w.uri, e.Name, w.local))
			ok = err == nil && info.IsDir()
		}
		if ok {
			w.consider(e, rel)
		}
	}
	return nil
}

// matchLast is matchBelow of a last segment. A folder stands for everything below it if
// the segment has no glob.
func (w walk) matchLast(ctx context.Context, prefix, start, segment string) error {
	for e, err := range w.store.List(ctx, prefix+start, Shallow) {
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(e.Name, prefix)
		name, folder := strings.CutSuffix(rel, "/")
		ok, err := matchOne(segment, name)
		switch {
		case err != nil:
			return err
		case !ok:
		case folder && hasGlob(segment):
			w.passed[objectURI(w.uri, e.Name, w.local)] = true
		case folder:
			if _, err := w.below(ctx, e.Name); err != nil {
				return err
			}
		default:
			w.consider(e, rel)
		}
	}
	return nil
}

// byFolder reports whether to list the folders that the first segment matches and
// to continue in each of them. If not, everything is listed and then filtered.
func (w walk) byFolder(segments []string) bool {
	if segments[0] == "**" {
		return false
	}
	if w.local || len(segments) == 1 || !hasGlob(segments[0]) {
		return true
	}
	for _, s := range segments[1:] {
		if s == "**" || s == "" {
			return false
		}
		if literal(s) != "" {
			return true
		}
	}
	return false
}

// list returns the folders whose names begin with start, and links, which may lead to some.
func (w walk) list(ctx context.Context, start string) ([]Entry, error) {
	at := w.uri + "\x00" + start
	folders, ok := w.folders[at]
	if ok {
		return folders, nil
	}
	for e, err := range w.store.List(ctx, start, Shallow) {
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(e.Name, "/") && e.ETag == "" || e.left == skipLink {
			folders = append(folders, e)
		}
	}
	w.folders[at] = folders
	return folders, nil
}

// matchAll matches the segments of a pattern with those of a name.
func matchAll(pattern, name []string) (bool, error) {
	for len(pattern) > 0 && pattern[0] != "**" {
		last := len(pattern) == 1
		if last && pattern[0] == "" {
			return len(name) > 0, nil
		}
		if len(name) == 0 {
			return false, nil
		}
		if ok, err := matchOne(pattern[0], name[0]); !ok {
			return false, err
		}
		pattern, name = pattern[1:], name[1:]
	}
	if len(pattern) == 0 {
		return len(name) == 0, nil
	}
	for i := range name {
		if len(pattern) == 1 {
			return true, nil
		}
		if ok, err := matchAll(pattern[1:], name[i:]); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// matchOne matches one segment, as it is or percent-decoded.
func matchOne(pattern, segment string) (bool, error) {
	ok, err := path.Match(pattern, segment)
	if err != nil {
		return false, fmt.Errorf("segment %q: %w", pattern, err)
	}
	if !ok && strings.Contains(segment, "%") {
		if decoded, err := url.PathUnescape(segment); err == nil {
			ok, _ = path.Match(pattern, decoded)
		}
	}
	return ok && !strings.Contains(segment, "/"), nil
}
