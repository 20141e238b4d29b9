package jobs

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"outflow/columnar"
	"outflow/columnar/bounded"
	"outflow/columnar/logs"
	"outflow/columnar/store"
	"outflow/reports"
)

// This file says which logs lie in a folder: store.Survey tells their names, and a few
// objects of each kind their formats.

// A surveyed is a group of a survey with what its samples are.
type surveyed struct {
	store.Group
	layout  *layout // nil: none
	pattern string  // of the objects
	formats []string
	// mapping has the names of the records that probably hold columns which the rows lack.
	mapping map[columnar.Col]string
	owners  owners
	tried   int
	read    int   // of the samples tried, those of known formats
	failure error // of the first that is not
	damaged int   // of those read, those that end early or are damaged
	damage  error // of the first of these
}

// maxTried is how many objects a survey opens: all of a small folder.
const maxTried = store.SmallFolder

// inspectFolders prints what lies in folders, or the configuration for it.
func (p *program) inspectFolders(inputs *inputFlags, folders []string, snippet bool) error {
	templates := make([]*store.Template, len(layouts))
	for i, l := range layouts {
		var err error
		if templates[i], err = store.NewTemplate(l.pattern, true, l.flat); err != nil {
			return err
		}
	}
	_, options, err := inputs.resolve()
	if err != nil {
		return err
	}
	var all []surveyed
	for _, folder := range folders {
		s, err := store.NewSurvey(p.ctx, folder, templates, p.now(), inputs.store())
		if err != nil {
			return configError{err}
		}
		groups := p.samples(s.Groups, inputs.formats, options)
		if !snippet && !p.json {
			p.printSurvey(inputs.formats, folder, s, groups)
		} else {
			p.noteLimits(folder, s)
		}
		p.noteUnopened(folder, groups)
		all = append(all, groups...)
	}
	if len(all) == 0 {
		return badConfig("no logs found")
	}
	if p.json {
		if err := p.printJSON(groupForms(all)); err != nil {
			return err
		}
	}
	if snippet {
		if _, err := io.WriteString(p.stdout, configSnippet(all, inputs.store())); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(all, func(g surveyed) bool { return g.read > 0 }) {
		return exit{exitPartial, errors.New("no log of a known format was found")}
	}
	return nil
}

// samples tries the samples of the groups of a folder: the first of each, then the second,
// so that each group is looked into before the bound is reached.
func (p *program) samples(groups []store.Group, formats logs.Formats, options logs.Options) []surveyed {
	out := make([]surveyed, len(groups))
	for i, g := range groups {
		out[i] = surveyed{Group: g, pattern: g.URI}
		if g.Layout >= 0 {
			out[i].layout = layouts[g.Layout]
			out[i].pattern = out[i].layout.uri(g.URI)
		}
	}
	tried := 0
	for round, more := 0, true; more; round++ {
		more = false
		for i := range out {
			if g := &out[i]; round < len(g.Samples) && tried < maxTried {
				src := p.source(g.Samples[round])
				src.decode(nil, formats, options)
				g.try(&src)
				tried++
				more = true
			}
		}
	}
	out = oneKind(out)
	for i := range out {
		out[i].settle()
	}
	return out
}

// try looks into a sample.
func (s *surveyed) try(src *source) {
	s.tried++
	if s.layout != nil {
		src.format = s.layout.known()
	}
	found, err := try(src)
	if err != nil && src.format != nil { // other logs have such names
		src.format = nil
		if f, e := try(src); e == nil {
			found, err = f, nil
		}
	}
	if err != nil {
		s.failure = cmp.Or(s.failure, err)
		return
	}
	if found.damage != nil {
		s.damaged++
		s.damage = cmp.Or(s.damage, found.damage)
	}
	if s.read++; s.read == 1 {
		s.mapping = found.mapping
	} else {
		maps.DeleteFunc(s.mapping, func(c columnar.Col, name string) bool { return found.mapping[c] != name })
	}
	s.owners.add(&found.owners)
	for _, name := range found.formats {
		if !slices.Contains(s.formats, name) {
			s.formats = append(s.formats, name)
		}
	}
}

// settle decides what the group is when its samples were tried.
func (s *surveyed) settle() {
	slices.Sort(s.formats)
	if s.layout != nil || len(s.formats) != 1 {
		s.mapping = nil
	}
	if l := s.layout; l != nil && logs.Named(l.format) != nil && len(s.formats) > 0 && !slices.Contains(s.formats, l.format) {
		s.layout = nil
	}
}

// maxSplit is how many names of one folder and one format become inputs of their own: more
// are the logs of one sensor, named for hosts or people.
const maxSplit = 8

// oneKind joins the groups of a folder and a format if there are more than maxSplit and a
// pattern finds them and no group of another format.
func oneKind(groups []surveyed) []surveyed {
	folders := map[string][]*surveyed{}
	for i := range groups {
		if g := &groups[i]; g.Layout < 0 {
			at := g.pattern[:strings.LastIndexByte(g.pattern, '/')+1]
			folders[at] = append(folders[at], g)
		}
	}
	merged := map[*surveyed]bool{}
	for at, members := range folders {
		kinds := map[string][]*surveyed{}
		for _, g := range members {
			kinds[strings.Join(g.formats, ",")] = append(kinds[strings.Join(g.formats, ",")], g)
		}
		for _, format := range slices.Sorted(maps.Keys(kinds)) {
			same := kinds[format]
			if format == "" || len(same) <= maxSplit {
				continue
			}
			for _, pattern := range []string{at + "*", at + commonName(same, len(at))} {
				wide := surveyed{pattern: pattern}
				others := func(g *surveyed) bool {
					return len(g.formats) > 0 && strings.Join(g.formats, ",") != format && wide.covers(g)
				}
				if slices.ContainsFunc(members, others) {
					continue
				}
				for _, g := range append(same[1:], kinds[""]...) {
					if !merged[g] && wide.covers(g) {
						same[0].merge(g)
						merged[g] = true
					}
				}
				same[0].URI, same[0].pattern = pattern, pattern
				break
			}
		}
	}
	var out []surveyed
	for i := range groups {
		if !merged[&groups[i]] {
			out = append(out, groups[i])
		}
	}
	return out
}

// commonName returns the narrowest pattern with one glob for the names of groups, which
// begin at an offset of their patterns.
func commonName(groups []*surveyed, at int) string {
	head, tail := literalEnds(groups[0].pattern[at:])
	for _, g := range groups[1:] {
		h, t := literalEnds(g.pattern[at:])
		for !strings.HasPrefix(h, head) {
			head = head[:len(head)-1]
		}
		for !strings.HasSuffix(t, tail) {
			tail = tail[1:]
		}
	}
	return head + "*" + tail
}

// literalEnds returns what precedes the first, and what follows the last placeholder or
// glob of a pattern. Of a pattern without, they do not overlap: the end begins at its dot.
func literalEnds(pattern string) (head, tail string) {
	if at := placeholderOrGlob().FindAllStringIndex(pattern, -1); at != nil {
		return pattern[:at[0][0]], pattern[at[len(at)-1][1]:]
	}
	dot := max(strings.IndexByte(pattern, '.'), 0)
	return pattern[:dot], pattern[dot:]
}

// merge adds what another group of the folder has.
func (s *surveyed) merge(t *surveyed) {
	if !t.First.IsZero() {
		if s.First.IsZero() || t.First.Before(s.First) {
			s.First = t.First
		}
		if t.Last.After(s.Last) {
			s.Last = t.Last
		}
	}
	s.Seen += t.Seen
	s.Bytes += t.Bytes
	s.PerDay += t.PerDay
	s.BytesPerDay += t.BytesPerDay
	s.AtLeast = s.AtLeast || t.AtLeast
	s.Samples = append(s.Samples, t.Samples...)
	switch {
	case s.read == 0:
		s.mapping = t.mapping
	case t.read > 0:
		maps.DeleteFunc(s.mapping, func(c columnar.Col, name string) bool { return t.mapping[c] != name })
	}
	s.owners.add(&t.owners)
	if s.formats == nil {
		s.formats = t.formats
	}
	s.tried += t.tried
	s.read += t.read
	s.failure = cmp.Or(s.failure, t.failure)
	s.damaged += t.damaged
	s.damage = cmp.Or(s.damage, t.damage)
}

// errTried ends the reading of an object that is only tried.
var errTried = errors.New("enough was read")

// maxMembers is how many files of an archive are tried.
const maxMembers = 32

// A tried is what the first blocks of an object show.
type tried struct {
	formats []string                // of its members
	mapping map[columnar.Col]string // what logs.Block.Guess says of the columns that no row of its one member has
	owners  owners
	damage  error // why its logs could not be read to their ends; nil: as far as they were read they are whole
}

// try decodes the first block of each member of an object. It is an error if no record of
// them is understood.
func try(src *source) (found tried, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("read: %v (a fault in outflow: please report it)", r)
		}
	}()
	tallies := map[*logs.Member]*logs.Tally{}
	options := src.options
	options.WantFields[columnar.API.ID] = ownersFields
	members := logs.Read(&src.object, &logs.ReadOptions{Format: src.format, Formats: src.formats, Options: options}, func(m *logs.Member, b *logs.Block) error {
		d, err := m.Format.New(m.Options)
		if err != nil {
			return err
		}
		var table *columnar.Table
		var known columnar.Cols
		out := columnar.Out{Want: everything, Origin: m.Format.Origin(), Server: m.Format.Server, WantFields: options.WantFields, Sink: func(rows *columnar.Batch) {
			found.owners.count(rows)
			table = rows.Table
			for _, c := range table.Cols {
				if rows.Known(c) > 0 {
					known |= columnar.ColSet(c)
				}
			}
		}}
		tallies[m] = &logs.Tally{}
		err = b.Decode(d, &out, tallies[m])
		out.Flush()
		if table != nil {
			found.mapping = b.Guess(m.Format, table, table.Set()&^known)
		}
		if err == nil && len(tallies) == maxMembers {
			err = errTried
		}
		return cmp.Or(err, logs.ErrSkip)
	})
	for _, m := range members {
		tally := tallies[m]
		switch {
		case m.Format != nil && tally != nil && tally.Rows+tally.Other > 0:
			if m.Err != nil && !errors.Is(m.Err, errTried) && !errors.Is(m.Err, logs.ErrSkip) {
				found.damage = cmp.Or(found.damage, m.Err)
			}
			if !slices.Contains(found.formats, m.Format.Name) {
				found.formats = append(found.formats, m.Format.Name)
			}
		case m.Err != nil && !errors.Is(m.Err, errTried) && !errors.Is(m.Err, logs.ErrSkip):
			err = cmp.Or(err, m.Err)
		case m.Format != nil && tally != nil && len(tally.Reasons) > 0:
			err = cmp.Or(err, fmt.Errorf("%s, but %s", m.Format.Name, tally.Reasons[0]))
		}
	}
	if len(found.formats) == 0 {
		return tried{}, cmp.Or(err, logs.ErrEmpty)
	}
	if len(tallies) > 1 {
		found.mapping = nil
	}
	return found, nil
}

func (p *program) printSurvey(formats logs.Formats, folder string, s *store.Survey, groups []surveyed) {
	for i := range groups {
		g := &groups[i]
		fmt.Fprintf(p.stdout, "%s\n", printable(g.pattern))
		if g.layout != nil {
			p.about("layout", fmt.Sprintf("%s: %s", g.layout.name, g.layout.title))
		}
		for _, name := range g.formats {
			p.about("format", fmt.Sprintf("%s: %s", name, formats.Named(name).Title))
		}
		switch {
		case g.tried == 0:
			p.about("unknown", fmt.Sprintf("not opened: %d objects were opened before", maxTried))
		case g.read < g.tried:
			p.about("unknown", fmt.Sprintf("%d of %s tried: %s", g.tried-g.read, counted(g.tried, "object"), printable(g.failure.Error())))
		}
		if g.damaged > 0 {
			p.about("damaged", fmt.Sprintf("%s of %s tried: %s", reports.Count(int64(g.damaged)), counted(g.tried, "object"), printable(g.damage.Error())))
		}
		if g.tried > 0 && int64(g.tried) < g.Seen {
			p.about("opened", fmt.Sprintf("%s of %s", counted(g.tried, "object"), reports.Count(g.Seen)))
		}
		if len(g.mapping) > 0 {
			p.about("guess", fmt.Sprintf("%s: by the names, which --config-snippet writes as a mapping", printable(strings.Join(g.columns(), ", "))))
		}
		about, least := "", ""
		if !s.Whole {
			about = "about "
		}
		if g.AtLeast {
			about, least = "", "at least "
		}
		switch {
		case !g.First.IsZero():
			p.about("days", fmt.Sprintf("%s to %s", g.First.Format(time.DateOnly), g.Last.Format(time.DateOnly)))
			if g.PerDay > 0 {
				p.about("a day", fmt.Sprintf("%s%s%s, %s", about, least, perDay(g.PerDay), reports.ByteSize(g.BytesPerDay)))
			}
		case s.Whole:
			p.about("days", fmt.Sprintf("none in the names: %s, %s", counted(int(g.Seen), "object"), reports.ByteSize(float64(g.Bytes))))
		default:
			p.about("days", fmt.Sprintf("none in the names: %s seen, %s", counted(int(g.Seen), "object"), reports.ByteSize(float64(g.Bytes))))
		}
	}
	p.noteLimits(folder, s)
}

// perDay formats a mean number of objects.
func perDay(mean float64) string {
	if mean >= 10 || mean == float64(int(mean)) {
		return counted(int(mean+0.5), "object")
	}
	return strconv.FormatFloat(mean, 'f', 1, 64) + " objects"
}

// noteLimits says what a survey has not seen.
func (p *program) noteLimits(folder string, s *store.Survey) {
	for _, skip := range s.Skipped {
		p.note("%s: left out %s: %s", printable(folder), counted(skip.Count, "object"), skip.Reason)
	}
	if s.Lists > 0 {
		how := "everything was listed"
		if !s.Whole {
			how = "some folders and days stand for all"
		}
		p.note("%s: %s of at most %d: %s", printable(folder), counted(s.Lists, "LIST request"), store.MaxLists, how)
	}
	if s.Unlisted > 0 {
		p.note("%s: %s left out, since there were no requests left: inspect a folder further down", printable(folder), counted(s.Unlisted, "folder")+" "+verb(int64(s.Unlisted), "was", "were"))
	}
}

// noteUnopened says how to look into the objects that were not opened.
func (p *program) noteUnopened(folder string, groups []surveyed) {
	var seen, tried int64
	least := -1 // the group with the smallest part opened
	for i := range groups {
		g := &groups[i]
		seen += g.Seen
		tried += int64(g.tried)
		if h := max(least, 0); least < 0 || int64(g.tried)*groups[h].Seen < int64(groups[h].tried)*g.Seen {
			least = i
		}
	}
	if tried < seen {
		p.note("%s: opened %d of %d objects, the largest of each kind of name. To read all objects of a pattern, inspect it: %s inspect %s",
			printable(folder), tried, seen, cmp.Or(p.called, "outflow"), shellWord(groups[least].pattern))
	}
}

// configSnippet returns the inputs of a configuration for the groups. What is not
// recognised, or was found by a wider pattern already, is a comment, and so are the
// placeholders that their records suggest. server is where the buckets are.
func configSnippet(groups []surveyed, server store.Options) string {
	var out strings.Builder
	out.WriteString("inputs:\n")
	taken := map[string]bool{}
	var names []string
	var counts []owners
	empty := true
	for i := range groups {
		g := &groups[i]
		if len(g.formats) == 0 {
			continue
		}
		empty = false
		j := slices.IndexFunc(groups, func(h surveyed) bool { return h.pattern != g.pattern && len(h.formats) > 0 && g.covers(&h) })
		if j >= 0 && g.Seen == 1 { // the name of the only one
			g.pattern, j = g.Samples[0].Literal(), -1
		}
		if j >= 0 {
			fmt.Fprintf(&out, "  # Not as it is, since it also matches %s:\n  # uri: %s\n", scalar(groups[j].pattern), scalar(g.pattern))
			continue
		}
		name := g.name()
		if rest := word(g.pattern[strings.LastIndexByte(g.pattern, '/')+1:]); taken[name] && g.layout == nil && rest != "" {
			name += "-" + rest
		}
		for n, base := 2, name; taken[name]; n++ {
			name = base + "-" + strconv.Itoa(n)
		}
		taken[name] = true
		names, counts = append(names, name), append(counts, g.owners)
		about := strings.Join(g.formats, ", ")
		if !g.First.IsZero() {
			about += ", since " + g.First.Format(time.DateOnly)
		} else {
			about += "; no day in the names: every run lists all"
		}
		fmt.Fprintf(&out, "  - name: %s # %s\n", name, about)
		if g.layout != nil {
			fmt.Fprintf(&out, "    uri: %s\n    layout: %s\n", scalar(g.URI), g.layout.name)
		} else {
			fmt.Fprintf(&out, "    uri: %s\n", scalar(g.pattern))
		}
		if columns := g.columns(); len(columns) > 0 {
			fmt.Fprintf(&out, "    mapping: # a guess from the names: outflow inspect LOG shows what a log has without it\n      columns:\n")
			for _, column := range columns {
				fmt.Fprintf(&out, "        %s\n", column)
			}
		}
	}
	if empty {
		out.Reset()
		out.WriteString("inputs: []\n")
	}
	for _, g := range groups {
		if len(g.formats) == 0 {
			fmt.Fprintf(&out, "# Not recognised: %s\n", scalar(g.pattern))
		}
	}
	if slices.ContainsFunc(groups, func(g surveyed) bool { return strings.HasPrefix(g.pattern, "s3://") }) && server.EndpointURL+server.Region != "" {
		out.WriteString("s3:\n")
		for _, of := range [][2]string{{"endpoint_url", server.EndpointURL}, {"region", server.Region}} {
			if of[1] != "" {
				fmt.Fprintf(&out, "  %s: %s\n", of[0], scalar(of[1]))
			}
		}
	}
	out.WriteString(placeholdersSnippet(names, counts))
	var users namesakes
	for i := range counts {
		users.addAll(&counts[i].users)
	}
	out.WriteString(users.snippet())
	return out.String()
}

// columns returns the group's mapping as lines of YAML, in the order of columns.
func (g *surveyed) columns() (out []string) {
	for _, c := range slices.Sorted(maps.Keys(g.mapping)) {
		out = append(out, c.String()+": "+strconv.QuoteToASCII(g.mapping[c]))
	}
	return out
}

// covers reports whether the group's pattern matches a sample of h.
func (g *surveyed) covers(h *surveyed) bool {
	t, err := store.NewTemplate(g.pattern, false, false)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(h.Samples, func(o store.Object) bool {
		_, ok := t.Match(o.URI)
		return ok
	})
}

var (
	placeholderOrGlob = bounded.Expression(`\{[a-z]+\}|\\.|[*?]|\[[^]]*\]`)
	notInNames        = bounded.Expression(`[^a-z0-9]+`)
)

// name returns a name for the feed: the layout's, or the last folder with a name of its
// own, or the format's.
func (g *surveyed) name() string {
	if g.layout != nil {
		return g.layout.name
	}
	_, rest, _ := strings.Cut(g.pattern, "://")
	segments := strings.Split(cmp.Or(rest, g.pattern), "/")
	for i := len(segments) - 2; i >= 0; i-- {
		key, _, hive := strings.Cut(segments[i], "=")
		if w := word(segments[i]); w != "" && !(hive && w == word(key)) { // date={yyyy}
			return w
		}
	}
	return g.formats[0]
}

// word returns the literal text of a segment of a pattern as a name, or "".
func word(segment string) string {
	w := placeholderOrGlob().ReplaceAllString(segment, " ")
	w = strings.Trim(notInNames().ReplaceAllString(strings.ToLower(w), "-"), "-")
	return strings.TrimSuffix(w[:min(len(w), 40)], "-")
}

// plainScalar matches texts that YAML reads as they are.
var plainScalar = bounded.Expression(`^[A-Za-z0-9/.~][-A-Za-z0-9/._~:{}*?=@%+,\[\]\\]*$`)

// scalar returns a text as YAML. What a key holds is hostile: a line break in it must
// not begin a key of the configuration.
func scalar(s string) string {
	if plainScalar().MatchString(s) && !strings.HasSuffix(s, ":") {
		return s
	}
	return strconv.QuoteToASCII(s) // its escapes are YAML's too
}
