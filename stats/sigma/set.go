// Package sigma evaluates Sigma rules (https://sigmahq.io) over batches of the
// canonical tables.
//
// Load reads rules, filters and correlations as the Sigma 2 specification defines
// them, and compiles those that can be used. A Matcher finds the rows of a batch that
// rules match. A Watch counts matches in windows of time. Where the specification
// leaves a choice to the engine, this package decides:
//
//   - A column cannot tell an absent field from an empty one: in a column, an empty
//     text and null both match an empty value, and exists does not. Fields kept aside
//     (columnar.Batch.Field) can tell: an empty text matches a field without text, null
//     matches a field that is absent or empty, and exists matches a field that is there.
//   - A test of a field that the event does not have is false, and its negation true.
//   - A number equals every text of the same number: 16, 0x10, 16.0. A boolean equals
//     what logs write for it: true, T, yes, 1. A quoted value is a text.
//   - A field's name has no blanks, even if logs or rules write them. If two names of an
//     event become equal by this, the first counts.
//   - A rule applies to logs of its product and service, and to logs of unknown origin
//     (columnar.Origin).
//   - A field may have several values: those of a list in JSON. A test holds if it
//     holds for one of them; with neq, if one of them differs.
//   - Keywords are looked for in every text column, and in the field Message, which
//     Windows events, audit records and CloudTrail's calls have.
//   - Regular expressions are Go's (RE2), searched for anywhere in the text.
//   - Texts are equal if they differ only in case, by Unicode's simple folding.
//   - N of a pattern, with N over 1, holds if at least N of the searches hold.
//   - The condition of a filter must hold, too: to suppress matches, it says not.
//   - Windows of correlations slide: each ends at an event and reaches back by the
//     timespan; both ends belong to it. So a correlation cannot tell that nothing
//     happened: lt and eq: 0 are tested only at events. Rows of one time are taken in
//     the order of the rules, so temporal_ordered holds for them.
//   - A match without a value of a group-by field belongs to no group. A match without
//     the field of value_… counts as an event of the window, but not as a value.
//   - A correlation of correlations can only group by fields that those group by, too.
//     Each firing of those is one event, at the time at which they came true.
//
// The features that SigmaHQ's rules use, counted over its 3,780 documents of August
// 2026, and which of them are supported:
//
//	modifiers    contains 4616, endswith 3437, all 1181, startswith 570, re 202,
//	             windash 110, cidr 39, base64offset 9, fieldref 5, wide 2, base64 1:
//	             all. expand 34: loads if Options.Placeholders has the values.
//	values       lists of maps 977, integers 125, keywords 107, null 96: all
//	conditions   not 825, parentheses 104, 1 or all of a pattern 1641: all. No rule
//	             aggregates, as Sigma 1 could.
//	re           RE2 has no lookahead, lookbehind or back-references; the specification
//	             leaves them out, too. Another engine with RE2's limits reads 3,744 of
//	             the 3,754 files, so a handful of rules may not load. All 115 rules
//	             in the tests do. Note: a backtracking engine would need a bound on
//	             its steps, as attackers write the texts that it reads.
//	logsources   Rules of every log source load. Events are read for processes,
//	             connections, DNS, proxies, web servers, cloud APIs, Zeek's dns, http,
//	             conn and ssl, auditd, and all categories and services of Windows: see
//	             sources. Other log sources (other logs of Zeek, network devices,
//	             applications, other services of Linux, macOS) are in the table event.
//	             A mapping of CSV or JSON lines can fill it; without one they are blind.
//	fields       By their name in the log, or in Sigma's taxonomies for proxies and
//	             web servers. Windows events and audit records have all fields;
//	             CloudTrail by path; CSV and JSON lines by column and key. Requests in
//	             Squid, Zeek and Suricata have the URI, its query and extension, and
//	             the referrer; Zeek also has the fields with one value. Parquet and
//	             dnsmasq have columns only.
package sigma

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"outflow/columnar"
	"outflow/columnar/bounded"
)

// A File is a file of rules: any number of YAML documents.
type File struct {
	Name string
	Text []byte

	// sound says that it is part of the program: its expressions are known to be neither faulty
	// nor slow, and are compiled when a log needs them.
	sound bool
}

// Options say how rules are loaded.
type Options struct {
	// Placeholders has the values of %name% in rules with the modifier expand. A
	// rule with a placeholder that is not here does not load, unless it has a default:
	// see ownPlaceholders.
	Placeholders map[string][]string
	// Keep, if set, is called for every rule that loads, in order, and says whether
	// the rule is to be reported. The Set has these rules, and as Part the rules
	// that correlations among them refer to.
	Keep func(*Rule) bool
	// Parsed, if set, returns what Parse has made of the file with an index. It is called for each, in order.
	Parsed func(file int) *Documents

	unset []string // see Rule.Unset; of the document being read
	sound bool     // see File; of the file being read
	// tables is the room that is left for tables of regular expressions, and slow has the steps
	// of those without one, by field.
	tables bounded.Room
	slow   map[string]int
}

// A Set is a set of rules ready to match. Goroutines may share it.
type Set struct {
	// Rules are in the order of the files and of the documents in them.
	Rules []*Rule
	// Other names the files whose YAML is about something other than rules: no
	// document in them has a title or is a rule.
	Other []string

	needs    [][]string           // see Needs
	neededBy []map[string][]*Rule // see NeededBy
	// plans are made when a log has rows of their table; nil: no rule reads it.
	plans [columnar.NumTables]func() *plan
}

// Load reads rules. What cannot be used is left out, and each has an error, in the
// order of the files. A correlation loads only if everything that it refers to
// does.
func Load(files []File, o Options) (*Set, []*Error) {
	o.tables, o.slow = bounded.Room{Work: tableWork, Bytes: tableBytes}, map[string]int{}
	l := &loader{files: files, byRef: map[string]*Rule{}, o: o}
	var other []string
	for i := range files {
		f := &files[i]
		l.o.sound = f.sound
		parsed := o.Parsed
		if parsed == nil {
			parsed = func(int) *Documents { return Parse(f) }
		}
		d := parsed(i)
		docs, err := d.all, d.err
		if err == nil && len(docs) == 0 {
			err = errors.New("there is no document")
		}
		if err != nil {
			l.fault(f.Name, err)
			continue
		}
		if !slices.ContainsFunc(docs, meantAsRule) {
			other = append(other, f.Name)
			continue
		}
		for i := range docs {
			if err := l.document(f.Name, &docs[i]); err != nil {
				l.fault(f.Name, err)
			}
		}
	}
	for _, f := range l.filters {
		if err := l.apply(f); err != nil {
			l.fault(f.File, err)
		}
	}
	l.correlate()
	slices.SortStableFunc(l.faults, func(a, b *Error) int { return cmp.Or(l.file(a.File)-l.file(b.File), a.Line-b.Line) })
	if o.Keep != nil {
		l.keep()
	}
	s := &Set{Rules: l.rules, Other: other}
	s.compile()
	return s, l.faults
}

// A loader is the state of Load.
type loader struct {
	files   []File
	o       Options
	rules   []*Rule
	filters []*filterRule
	byRef   map[string]*Rule // by id and by name
	faults  []*Error
}

func (l *loader) fault(file string, err error) {
	l.faults = append(l.faults, errorIn(l.files[l.file(file)], err))
}

// file returns the number of the file of a name.
func (l *loader) file(name string) int {
	return slices.IndexFunc(l.files, func(f File) bool { return f.Name == name })
}

// meantAsRule reports whether a document is a rule, or is meant to be one. Folders
// of rules hold other YAML, too: SigmaHQ's info.yml, settings of editors and
// builds.
func meantAsRule(doc node) bool {
	return doc.kind != mapNode || slices.ContainsFunc([]string{"title", "detection", "correlation", "filter", "action"},
		func(key string) bool { return doc.key(key) != nil })
}

func (l *loader) document(file string, doc *node) error {
	if doc.kind != mapNode {
		return faultAt(doc.at, "a rule is a map, this is %v", doc)
	}
	has := func(key string) bool { return doc.key(key) != nil }
	switch {
	case has("action"):
		return faultAt(doc.key("action").at, "action belongs to Sigma 1: each document must be whole")
	case has("filter"):
		f, err := parseFilter(doc, &l.o)
		if err == nil {
			f.File = file
			l.filters = append(l.filters, f)
		}
		return err
	case !has("detection") && !has("correlation"):
		return faultAt(doc.at, "want a key detection, correlation or filter")
	}
	parse := parseRule
	if has("correlation") {
		parse = parseCorrelation
	}
	r, err := parse(doc, &l.o)
	if err != nil {
		return err
	}
	r.File, r.Bundled = file, l.o.sound
	for _, ref := range []string{r.ID, r.Name} {
		if ref == "" {
			continue
		}
		if other := l.byRef[ref]; other != nil && other != r {
			return faultAt(doc.key("title").at, "%q is also the id or name of the rule %q in %s", ref, other.Title, other.File)
		}
	}
	for _, ref := range []string{r.ID, r.Name} {
		if ref != "" {
			l.byRef[ref] = r
		}
	}
	l.rules = append(l.rules, r)
	return nil
}

// apply narrows the rules that a filter names.
func (l *loader) apply(f *filterRule) error {
	var rules []*Rule
	if f.every {
		for _, r := range l.rules {
			if r.Correlation == nil && f.Logsource.holds(r.Logsource) {
				rules = append(rules, r)
			}
		}
	}
	for _, ref := range f.refs {
		r := l.byRef[ref.text]
		switch {
		case r == nil:
			return faultAt(ref.at, "filter: no rule that loads has the id or name %q", ref.text)
		case r.Correlation != nil:
			return faultAt(ref.at, "filter: %q is a correlation: filter the rules that it counts", ref.text)
		case !f.Logsource.holds(r.Logsource):
			return faultAt(ref.at, "filter: %q is about %v, not %v", ref.text, r.Logsource, f.Logsource)
		}
		rules = append(rules, r)
	}
	for _, r := range rules {
		r.cond = &expr{op: opAnd, kids: []*expr{r.cond, f.cond}}
	}
	return nil
}

// correlate resolves the references of correlations. It drops a correlation with a
// reference that cannot be resolved, and repeats until all can.
func (l *loader) correlate() {
	for known := false; ; known = true { // of correlations further on
		var keep []*Rule
		for _, r := range l.rules {
			if r.Correlation != nil {
				if err := r.Correlation.resolve(l.byRef); err != nil {
					l.fault(r.File, err)
					for _, ref := range []string{r.ID, r.Name} {
						delete(l.byRef, ref)
					}
					continue
				}
			}
			keep = append(keep, r)
		}
		if len(keep) == len(l.rules) && known {
			break
		}
		l.rules = keep
	}
	alone := map[*Rule]bool{} // reported on their own, too
	for _, r := range l.rules {
		if c := r.Correlation; c != nil {
			for _, of := range c.Rules {
				of.Part = true
				if c.Generate {
					alone[of] = true
				}
			}
		}
	}
	for r := range alone {
		r.Part = false
	}
}

// keep keeps the rules that Options.Keep wants, and the rules that these refer to.
func (l *loader) keep() {
	wanted, about := map[*Rule]bool{}, map[*Rule]bool{}
	var walk func(r *Rule)
	walk = func(r *Rule) {
		if r.Correlation != nil {
			for _, of := range r.Correlation.Rules {
				about[of] = true
				walk(of)
			}
		}
	}
	for _, r := range l.rules {
		if wanted[r] = l.o.Keep(r) && !r.Part; wanted[r] {
			walk(r)
		}
	}
	l.rules = slices.DeleteFunc(l.rules, func(r *Rule) bool { return !wanted[r] && !about[r] })
	for _, r := range l.rules {
		r.Part = !wanted[r]
	}
}

// Want returns the tables, columns and fields that the rules read.
func (s *Set) Want() (w columnar.Wanted) {
	kinds := map[columnar.EventKind]bool{}
	for i, r := range s.Rules {
		if r.Correlation != nil {
			continue
		}
		src := sourceOf(r.Logsource)
		names := slices.Concat(r.reads(), s.Needs(i))
		for _, where := range src.where {
			names = append(names, where.field)
		}
		for _, t := range src.tables {
			fields := map[string]bool{}
			for _, name := range names {
				if c, ok := ColumnOf(t, name); ok {
					w.Cols |= columnar.ColSet(c)
				} else {
					fields[name] = true
				}
			}
			if r.hasKeywords() {
				w.Cols |= columnar.ColSet(textColumns(t)...)
			}
			for _, name := range slices.Sorted(maps.Keys(fields)) {
				w.Fields[t.ID] = append(w.Fields[t.ID], r.Wants(name))
			}
			if t != columnar.Event {
				continue
			}
			for _, k := range r.kinds() {
				if !kinds[k] {
					kinds[k] = true
					w.Events = append(w.Events, k)
				}
			}
		}
	}
	return w
}

// Wants returns what the rule reads of a field: that of the events that it can be about.
func (r *Rule) Wants(field string) columnar.WantedField {
	return columnar.WantedField{Name: field, Origin: r.Logsource.Origin(), Operations: r.operations(), Least: r.cond.least(field)}
}

// operations returns the operations of the calls that the rule can match, in lower case;
// nil: it does not say, or is not about calls.
func (r *Rule) operations() (out []string) {
	if !slices.Contains(r.Tables(), columnar.API) || r.Correlation != nil {
		return nil
	}
	for name, c := range columns[columnar.API] {
		if c != columnar.Operation {
			continue
		}
		values, _ := wanted(r.cond, name)
		for _, v := range values {
			if _, number := parseNumber(v); number || strings.ContainsFunc(v, func(c rune) bool { return c >= utf8.RuneSelf }) {
				return nil // in other spellings, too
			}
			out = append(out, strings.ToLower(v))
		}
	}
	return out
}

// Tables returns the tables that a rule reads. A correlation reads the tables of
// its rules.
func (r *Rule) Tables() []*columnar.Table {
	if r.Correlation == nil {
		return sourceOf(r.Logsource).tables
	}
	var out []*columnar.Table
	for _, of := range r.Correlation.Rules {
		for _, t := range of.Tables() {
			if !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	return out
}

// Kept returns the fields of a table that a rule reads and no column holds, sorted.
func (r *Rule) Kept(t *columnar.Table) []string {
	fields := map[string]bool{}
	for _, name := range r.reads() {
		if _, ok := ColumnOf(t, name); !ok {
			fields[name] = true
		}
	}
	return slices.Sorted(maps.Keys(fields))
}

// Columns returns the columns of a table that a rule reads.
func (r *Rule) Columns(t *columnar.Table) (cols columnar.Cols) {
	for _, name := range r.reads() {
		if c, ok := ColumnOf(t, name); ok {
			cols |= columnar.ColSet(c)
		}
	}
	return cols
}

// reads returns the fields that a rule's own condition names, and Message for
// keywords.
func (r *Rule) reads() []string {
	var out []string
	for t := range r.cond.tests() {
		out = append(out, cmp.Or(t.field, Message))
		if t.other != "" {
			out = append(out, t.other)
		}
	}
	return out
}

// hasKeywords reports whether a rule looks for texts in all columns.
func (r *Rule) hasKeywords() bool {
	for t := range r.cond.tests() {
		if t.field == "" {
			return true
		}
	}
	return false
}
