package store

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Survey says which logs lie below a folder, by their names alone.
type Survey struct {
	Groups  []Group // sorted by URI
	Skipped []Skip  // sorted by reason
	// Lists is the number of LIST requests; 0 on disk.
	Lists int
	// Whole says that every object was seen. If not, folders and days were sampled.
	Whole bool
	// Unlisted counts folders that were left out since MaxLists was reached.
	Unlisted int
}

// A Group is a set of objects whose names have one pattern.
type Group struct {
	// URI is the pattern of the objects, as in Glob. If Layout is not negative, it is
	// what precedes that layout's pattern.
	URI    string
	Layout int // index of the layout, or -1
	// First and Last are the oldest and newest day in the names; zero if these have none.
	First, Last time.Time
	// Seen is the number of objects seen, and Bytes their size.
	Seen, Bytes int64
	// PerDay and BytesPerDay are the mean of the whole days that were listed, without
	// the first and the last if there are others. If folders were sampled, they are
	// estimates. They are 0 if the names have no day.
	PerDay, BytesPerDay float64
	// AtLeast says that a day has more objects than were listed.
	AtLeast bool
	// Samples are all objects of a survey of at most SmallFolder, the largest first.
	// Otherwise they are the largest object of each kind of name, the first and the last.
	Samples []Object
}

// Bounds of a survey.
const (
	// MaxLists is how many LIST requests a survey makes: half a cent at AWS, and less
	// than two minutes. With fewer, a bucket of many services is seen in part.
	MaxLists = 1000
	// SmallFolder is how many objects a folder may have for each to be a sample.
	SmallFolder = 300
	// listPage is how many names a LIST request returns.
	listPage = 1000
	// maxFolders is how many folders of one folder are listed.
	maxFolders = 3 * listPage
	// dayPages is how many requests the objects of one day in a flat folder may take.
	dayPages = 5
	// maxFolderNames is how many names or patterns of folders in one folder stand for
	// themselves. If there are more, they are taken for one kind, such as hosts.
	maxFolderNames = 32
	// maxNames is the same for the patterns of the objects of one folder. With fewer, a
	// folder in which somebody collected the logs of a case is one group of many formats.
	maxNames = 64
)

// NewSurvey lists what lies at a URI, which must be a folder without globs. Layouts are
// templates that may match anywhere, in the order in which they are tried. Now bounds
// the days that are looked for.
//
// On disk everything is listed. In S3, a folder with more objects than one request
// lists is sampled: of its folders that have names of one shape, the first and the last
// are surveyed, and of those that are dates, the oldest and the newest two.
func NewSurvey(ctx context.Context, uri string, layouts []*Template, now time.Time, o Options) (*Survey, error) {
	at, err := parseURI(uri)
	if err != nil {
		return nil, err
	}
	s := &surveyor{layouts: layouts, now: now.UTC(), skipped: map[string]int{}, root: &node{}}
	s.result.Whole = true
	if at.bucket == "" {
		info, err := os.Stat(at.path)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%w: not a folder", fs.ErrInvalid)
		}
		if err != nil {
			return nil, fmt.Errorf("survey %s: %w", uri, cause(err))
		}
		s.base = filepath.Clean(at.path) + string(filepath.Separator)
		if s.base == "//" {
			s.base = "/"
		}
		s.local, s.store, s.above = true, disk{filepath.Clean(at.path), true}, filepath.ToSlash(s.base)
		for e, err := range s.store.List(ctx, "", Deep) {
			if err != nil {
				return nil, err
			}
			s.add(e, sampled{weight: 1, counts: true})
		}
	} else {
		prefix := strings.TrimSuffix(at.path, "/")
		if prefix != "" {
			prefix += "/"
		}
		s.base, s.above = "s3://"+at.bucket+"/"+prefix, prefix
		if s.store, err = newS3(ctx, at.bucket, prefix, o); err != nil {
			return nil, err
		}
		if err := s.bucket(ctx); err != nil {
			return nil, err
		}
	}
	return s.finish(), nil
}

// IsFolder reports whether a URI without globs names a folder, and not an object.
func IsFolder(ctx context.Context, uri string, o Options) (bool, error) {
	at, err := parseURI(uri)
	if err != nil {
		return false, err
	}
	if at.bucket == "" {
		info, err := os.Stat(at.path)
		return err == nil && info.IsDir(), nil
	}
	if at.path == "" || strings.HasSuffix(at.path, "/") {
		return true, nil
	}
	s, err := newS3(ctx, at.bucket, "", o)
	if err != nil {
		return false, err
	}
	_, object, err := stat(ctx, s, at.path)
	return !object, err
}

// Literal returns a pattern that finds the object alone.
func (o *Object) Literal() string { return escapeGlob(o.URI) }

// A surveyor makes a survey.
type surveyor struct {
	store   Store
	base    string // of the URIs
	above   string // base without scheme and bucket
	local   bool
	layouts []*Template
	now     time.Time
	root    *node
	seen    int // objects
	skipped map[string]int
	result  Survey
}

// sampled says what an object that is seen stands for.
type sampled struct {
	stream string  // the sampled folder that it is in; "": none
	weight float64 // the number of folders that the sampled one stands for
	counts bool    // it is among all objects of its day in the stream
	more   bool    // that day has more
}

// A node is a folder, or all folders whose names have one shape.
type node struct {
	folders map[string]*node // by pattern
	literal folderNames      // of those without globs and placeholders
	mixed   folderNames      // of those with some, and with other text
	groups  map[groupKey]*group
	names   int // of groups without a layout
	bases   int // of groups with a base
	// known remembers the layout of names with one pattern.
	known map[string]groupKey
}

// folderNames bounds the folders of one kind in a folder.
type folderNames struct {
	patterns []string
	merged   bool // there were too many: all are under *
}

// A groupKey tells the groups of one folder apart.
type groupKey struct {
	layout int // index, or -1
	depth  int // of a layout: number of folders that precede its pattern; -1: it begins above the survey
	base   string
	name   string // without a layout: the pattern of the name
}

type group struct {
	ends        []string // of the names without a layout, by compression
	first, last time.Time
	seen, bytes int64
	streams     map[string]*stream
	more        bool // a day of a stream has more objects
	samples
}

// samples are the objects of a group to look into.
type samples struct {
	head, tail Entry            // by name
	largest    map[string]Entry // by the pattern of the name, or, if there are many, by its extension
	all        []Entry          // as long as the folder is a small one
}

// A stream is what one sampled folder has of a group, by day.
type stream struct {
	weight float64
	days   map[time.Time]*[2]int64 // objects and bytes
}

// add adds an object.
func (s *surveyor) add(e Entry, from sampled) {
	if reason := cmp.Or(notLog(e.Name, e.Size, nil), e.left); reason != "" {
		s.skipped[reason]++
		return
	}
	segments := strings.Split(e.Name, "/")
	n := s.root
	var d dating
	for _, segment := range segments[:len(segments)-1] {
		n = n.folder(folderShape(segment, &d))
	}
	name, end := objectShape(segments[len(segments)-1], &d)
	key, ok := n.known[name]
	if !ok {
		key = n.bounded(s.layoutOf(e.Name, name))
		if n.known == nil {
			n.known = map[string]groupKey{}
		}
		if len(n.known) < 64 && (key.layout < 0 || key.base == "" || key.depth < 0) {
			n.known[name] = key
		}
	}
	if key.layout < 0 && n.names > maxNames {
		key.name = "*"
	}
	s.seen++
	g := n.group(key)
	g.add(e, end, d.date(), from)
	g.samples.add(e, name)
	if s.seen <= SmallFolder {
		g.all = append(g.all, e)
	}
}

// layoutOf returns the key of the group of an object, given its name and the pattern
// of the last segment. A layout may begin above the survey with literal text, as in a
// survey of s3://bucket/AWSLogs/.
func (s *surveyor) layoutOf(name, pattern string) groupKey {
	for i, l := range s.layouts {
		m, ok := l.Match(s.above + name)
		if !ok {
			continue
		}
		if base, below := strings.CutPrefix(m.Base, s.above); below {
			return groupKey{layout: i, depth: strings.Count(base, "/"), base: base[strings.LastIndexByte(base, '/')+1:]}
		}
		if head, ok := strings.CutPrefix(s.above, m.Base); ok && strings.HasPrefix(l.pattern, head) {
			return groupKey{layout: i, depth: -1, base: m.Base}
		}
	}
	return groupKey{layout: -1, name: pattern}
}

// folder returns the folder of a shape in n.
func (n *node) folder(s shape) *node {
	if c := n.folders[s.pattern]; c != nil {
		return c
	}
	of, named := &n.literal, s.kind == literalShape
	if !named {
		of, named = &n.mixed, hasText(s.pattern)
	}
	if named && of.merged {
		return n.folder(shape{"*", wildShape})
	}
	if named && len(of.patterns) == maxFolderNames {
		of.merged = true
		all := n.folder(shape{"*", wildShape})
		for _, pattern := range of.patterns {
			all.merge(n.folders[pattern])
			delete(n.folders, pattern)
		}
		of.patterns = nil
		return all
	}
	if n.folders == nil {
		n.folders = map[string]*node{}
	}
	c := &node{}
	n.folders[s.pattern] = c
	if named {
		of.patterns = append(of.patterns, s.pattern)
	}
	return c
}

// hasText reports whether a pattern has letters or digits beside its placeholders.
func hasText(pattern string) bool {
	for _, p := range placeholders {
		pattern = strings.ReplaceAll(pattern, "{"+p.name+"}", "")
	}
	return strings.IndexFunc(pattern, isWordRune) >= 0
}

// bounded returns the key of a new group. If there are too many, they become one.
func (n *node) bounded(key groupKey) groupKey {
	if _, ok := n.groups[key]; ok {
		return key
	}
	count, limit := &n.names, maxNames
	if key.layout >= 0 {
		if key.base == "" || key.depth < 0 { // one for each layout
			return key
		}
		count, limit = &n.bases, maxFolderNames
	}
	if *count < limit {
		*count++
		return key
	}
	several := *count == limit
	*count = limit + 1
	if several {
		n.known = nil
		for _, k := range slices.SortedFunc(maps.Keys(n.groups), compareKeys) {
			if to := k.wild(); (k.layout < 0) == (key.layout < 0) && to != k {
				old := n.groups[k]
				delete(n.groups, k)
				n.group(to).merge(old)
			}
		}
	}
	return key.wild()
}

func compareKeys(a, b groupKey) int {
	return cmp.Or(cmp.Compare(a.layout, b.layout), cmp.Compare(a.depth, b.depth), strings.Compare(a.base, b.base), strings.Compare(a.name, b.name))
}

// wild returns the key of all groups of one layout, or without one.
func (k groupKey) wild() groupKey {
	switch {
	case k.layout < 0:
		k.name = "*"
	case k.base != "" && k.depth >= 0:
		k.base = "*"
	}
	return k
}

func (n *node) group(key groupKey) *group {
	g := n.groups[key]
	if g == nil {
		if n.groups == nil {
			n.groups = map[groupKey]*group{}
		}
		g = &group{streams: map[string]*stream{}}
		n.groups[key] = g
	}
	return g
}

// merge adds the folders and groups of m.
func (n *node) merge(m *node) {
	for _, pattern := range slices.Sorted(maps.Keys(m.folders)) {
		kind := wildShape
		if slices.Contains(m.literal.patterns, pattern) {
			kind = literalShape
		}
		n.folder(shape{pattern, kind}).merge(m.folders[pattern])
	}
	for _, key := range slices.SortedFunc(maps.Keys(m.groups), compareKeys) {
		n.group(n.bounded(key)).merge(m.groups[key])
	}
}

func (g *group) add(e Entry, end string, day time.Time, from sampled) {
	if !slices.Contains(g.ends, end) {
		g.ends = append(g.ends, end)
	}
	g.seen++
	g.bytes += e.Size
	if day.IsZero() {
		return
	}
	g.span(day)
	if !from.counts {
		return
	}
	st := g.streams[from.stream]
	if st == nil {
		st = &stream{from.weight, map[time.Time]*[2]int64{}}
		g.streams[from.stream] = st
	}
	of := st.days[day]
	if of == nil {
		of = &[2]int64{}
		st.days[day] = of
	}
	of[0]++
	of[1] += e.Size
	g.more = g.more || from.more
}

func (g *group) span(day time.Time) {
	if g.first.IsZero() || day.Before(g.first) {
		g.first = day
	}
	if day.After(g.last) {
		g.last = day
	}
}

// add adds an object, given the pattern of its name.
func (s *samples) add(e Entry, pattern string) {
	s.span(e)
	if s.largest == nil {
		s.largest = map[string]Entry{}
	}
	if _, ok := s.largest[pattern]; !ok && len(s.largest) >= maxNames {
		if pattern = path.Ext(pattern); len(s.largest) >= 2*maxNames {
			pattern = ""
		}
	}
	if big, ok := s.largest[pattern]; !ok || bySize(e, big) < 0 {
		s.largest[pattern] = e
	}
}

// span notes the first and the last name.
func (s *samples) span(e Entry) {
	if s.head.Name == "" || e.Name < s.head.Name {
		s.head = e
	}
	if e.Name > s.tail.Name {
		s.tail = e
	}
}

// merge adds the samples of another group.
func (s *samples) merge(t *samples) {
	for _, pattern := range slices.Sorted(maps.Keys(t.largest)) {
		s.add(t.largest[pattern], pattern)
	}
	s.span(t.head)
	s.span(t.tail)
	s.all = append(s.all, t.all...)
}

// entries returns the objects, each once, the largest first.
func (s *samples) entries(small bool) []Entry {
	out := append(slices.Collect(maps.Values(s.largest)), s.head, s.tail)
	if small {
		out = s.all
	}
	slices.SortFunc(out, bySize)
	return slices.Compact(out)
}

// bySize orders objects by size, the largest first, then by name.
func bySize(a, b Entry) int {
	return cmp.Or(cmp.Compare(b.Size, a.Size), strings.Compare(a.Name, b.Name))
}

// merge adds what h has.
func (g *group) merge(h *group) {
	for _, end := range h.ends {
		if !slices.Contains(g.ends, end) {
			g.ends = append(g.ends, end)
		}
	}
	g.samples.merge(&h.samples)
	g.more = g.more || h.more
	g.seen += h.seen
	g.bytes += h.bytes
	if !h.first.IsZero() {
		g.span(h.first)
		g.span(h.last)
	}
	for name, from := range h.streams {
		to := g.streams[name]
		if to == nil {
			g.streams[name] = from
			continue
		}
		for day, n := range from.days {
			if of := to.days[day]; of != nil {
				of[0] += n[0]
				of[1] += n[1]
			} else {
				to.days[day] = n
			}
		}
	}
}

// rate returns the objects and bytes of a day.
func (g *group) rate() (objects, bytes float64) {
	for _, name := range slices.Sorted(maps.Keys(g.streams)) {
		st := g.streams[name]
		days := slices.SortedFunc(maps.Keys(st.days), time.Time.Compare)
		if len(days) > 2 {
			days = days[1 : len(days)-1]
		}
		var sum [2]int64
		for _, day := range days {
			sum[0] += st.days[day][0]
			sum[1] += st.days[day][1]
		}
		n := float64(len(days))
		objects += st.weight * float64(sum[0]) / n
		bytes += st.weight * float64(sum[1]) / n
	}
	return objects, bytes
}

// unpad merges folders of numbers of two digits with those of one digit: 9 and 10.
func (n *node) unpad(short, long string) {
	for _, pattern := range slices.Sorted(maps.Keys(n.folders)) {
		if padded := strings.Replace(pattern, short, long, 1); padded != pattern && n.folders[padded] != nil {
			n.folders[pattern].merge(n.folders[padded])
			delete(n.folders, padded)
		}
	}
}

// finish returns the survey of what was added.
func (s *surveyor) finish() *Survey {
	type place struct {
		uri    string
		layout int
	}
	groups := map[place]*group{}
	var visit func(n *node, path []string)
	visit = func(n *node, path []string) {
		n.unpad("{m}", "{mm}")
		n.unpad("{d}", "{dd}")
		for _, pattern := range slices.Sorted(maps.Keys(n.folders)) {
			visit(n.folders[pattern], append(path, pattern))
		}
		for _, key := range slices.SortedFunc(maps.Keys(n.groups), compareKeys) {
			g := n.groups[key]
			at := place{s.pattern(path, key, g.ends), key.layout}
			if have := groups[at]; have != nil {
				have.merge(g)
			} else {
				groups[at] = g
			}
		}
	}
	visit(s.root, nil)
	out := &s.result
	for at, g := range groups {
		add := Group{URI: at.uri, Layout: at.layout, First: g.first, Last: g.last, Seen: g.seen, Bytes: g.bytes, AtLeast: g.more}
		add.PerDay, add.BytesPerDay = g.rate()
		for _, e := range g.entries(s.seen <= SmallFolder) {
			add.Samples = append(add.Samples, Object{Entry: e, Store: s.store, URI: s.name(e)})
		}
		out.Groups = append(out.Groups, add)
	}
	slices.SortFunc(out.Groups, func(a, b Group) int { return cmp.Or(strings.Compare(a.URI, b.URI), cmp.Compare(a.Layout, b.Layout)) })
	out.Skipped = skips(s.skipped)
	return out
}

// name returns the URI of an object, as Glob gives it.
func (s *surveyor) name(e Entry) string { return objectURI(s.base, e.Name, s.local) }

// pattern returns the URI of a group in a folder.
func (s *surveyor) pattern(path []string, key groupKey, ends []string) string {
	base := escapeGlob(s.base)
	if key.depth < 0 {
		base = escapeGlob(strings.TrimSuffix(s.base, filepath.FromSlash(s.above)) + key.base)
		if base == "" {
			base = "./"
		}
		return base
	}
	if key.layout >= 0 {
		for _, p := range path[:min(key.depth, len(path))] {
			// The layout has these placeholders for itself.
			base += strings.NewReplacer("{account}", "*", "{region}", "*").Replace(p) + "/"
		}
		if key.base == "*" {
			return base + "*"
		}
		return base + escapeGlob(key.base)
	}
	whole := strings.Join(append(slices.Clone(path), ""), "/")
	if strings.Contains(whole, "{d}") { // months of two digits are no different
		whole = strings.ReplaceAll(whole, "{mm}", "{m}")
	}
	if i := strings.Index(whole, "/{account}"); i >= 0 { // the first says it
		i += len("/{account}")
		whole = whole[:i] + strings.ReplaceAll(whole[i:], "{account}", "*")
	}
	name := key.name
	switch {
	case strings.HasSuffix(name, "*"):
	case strings.Contains(name, "{dd}"), len(ends) > 1: // rotated logs are compressed later
		name += "*"
	default:
		name += ends[0]
	}
	if name == "*" {
		name = ""
		if whole == "" {
			name = "*"
		}
		for strings.HasSuffix(whole, "}/*/") { // all below a day
			whole = strings.TrimSuffix(whole, "*/")
		}
	}
	return base + whole + name
}
