// Package sigma evaluates Sigma rules (https://sigmahq.io) over batches of the
// canonical tables.
//
// Load reads rules, filters and correlations as the specification of Sigma 2 has
// them and compiles what can be used; a Matcher finds the rows of a batch that rules
// match; a Watch counts matches in windows of time. What the specification leaves
// to the engine is so here:
//
//   - A column cannot tell "not said" from empty: there an empty text and null both
//     hold, and exists does not. Fields kept aside (columnar.Batch.Field) can: an empty
//     text is a field without text, null one that is absent or empty, exists one that
//     is there.
//   - A test of a field that an event does not have is false, and its negation true.
//   - A number equals whatever text is that number: 16, 0x10, 16.0. A boolean is what
//     logs write for it: true, T, yes, 1. In quotes, either is a text.
//   - Fields are named without the blanks that they have in logs or rules. Of two names
//     that are one so, the first counts.
//   - A rule is asked of logs of its product and service, and of those whose origin is
//     not known (columnar.Origin).
//   - Keywords are looked for in every text column and in the field Message, which
//     Windows events, audit records and CloudTrail's calls have.
//   - Regular expressions are Go's (RE2), searched for anywhere in the text.
//   - Texts differ in case only if Unicode's simple folding keeps them apart.
//   - N of a pattern, with N over 1, holds if at least N of the searches do.
//   - The condition of a filter must hold, too: to suppress, it says not.
//   - Windows of correlations slide: each ends at an event and reaches back by the
//     timespan, both ends included. So a correlation cannot say that nothing happened:
//     lt and eq: 0 are asked at events only. Rows of one time are ordered as the
//     rules are, so temporal_ordered holds of them.
//   - A match without a value of a group-by field is of no group; one without the
//     field of value_… counts for the window, but is no value.
//   - A correlation of correlations groups by fields that those group by, too, and
//     takes each of them for one event, at the time at which it came true.
//
// What the rules of SigmaHQ use, by a count over its 3,780 documents of August 2026,
// and what of it is here:
//
//	modifiers    contains 4616, endswith 3437, all 1181, startswith 570, re 202,
//	             windash 110, cidr 39, base64offset 9, fieldref 5, wide 2, base64 1:
//	             all. expand 34: loads once Options.Placeholders says what for.
//	values       lists of maps 977, integers 125, keywords 107, null 96: all
//	conditions   not 825, parentheses 104, 1 or all of a pattern 1641: all. None of
//	             them aggregates, as Sigma 1 could.
//	re           RE2 has no looking ahead or behind and no back-references, which the
//	             specification leaves out, too. Another engine with RE2's limits reads
//	             3,744 of 3,754 of the files, so a handful of rules may not load; none
//	             of the 115 that the tests know. Note: an engine that backtracks would
//	             need a bound on its steps, as attackers write what it reads.
//	logsources   Every log source loads. Read are those of processes, connections,
//	             DNS, proxies, web servers, cloud APIs, Zeek's dns, http, conn, ssl,
//	             auditd, and all categories and services of Windows: see sources.
//	             Others (other logs of Zeek, network devices, applications, other
//	             services of Linux, macOS) are in the table event, which a mapping of
//	             CSV or JSON lines can fill, and else blind.
//	fields       By the name that they have in the log, or that of Sigma's taxonomies
//	             for proxies and web servers: Windows events and audit records all,
//	             CloudTrail by path, CSV and JSON lines by column and key; of requests
//	             in Squid, Zeek and Suricata the URI, its query and extension, and the
//	             referrer; in Zeek those with one value. Parquet and dnsmasq
//	             have columns only.
package sigma

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"outflow/columnar"
)

// A File is a file of rules: any number of YAML documents.
type File struct {
	Name string
	Text []byte
}

// Options say how rules are read.
type Options struct {
	// Placeholders has what %name% stands for where a rule says expand. A rule with one
	// that is not here does not load.
	Placeholders map[string][]string
	// Keep, if set, is asked of every rule that loads, in their order, whether it is to
	// be reported. The Set has those that are, and what the correlations among them are
	// about as Part.
	Keep func(*Rule) bool
}

// A Set is rules ready to match. It may be used concurrently.
type Set struct {
	// Rules are in the order of the files and of the documents in them.
	Rules []*Rule
	// Other are the files that hold YAML about other things than rules: none of their
	// documents has a title or is a rule.
	Other []string

	needs    [][]string           // see Needs
	neededBy []map[string][]*Rule // see NeededBy
	plans    [columnar.NumTables]*plan
}

// Load reads rules. What cannot be used is left out and has an error, in the order of
// the files; a correlation needs all that it refers to.
func Load(files []File, o Options) (*Set, []*Error) {
	l := &loader{byRef: map[string]*Rule{}, o: o}
	var other []string
	for _, f := range files {
		docs, err := documents(f.Text)
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
	slices.SortStableFunc(l.faults, func(a, b *Error) int {
		at := func(e *Error) int { return slices.IndexFunc(files, func(f File) bool { return f.Name == e.File }) }
		return cmp.Or(at(a)-at(b), a.Line-b.Line)
	})
	if o.Keep != nil {
		l.keep()
	}
	s := &Set{Rules: l.rules, Other: other}
	s.compile()
	for _, r := range s.Rules {
		// Places in the files hold all their tokens.
		r.titled = nil
		if c := r.Correlation; c != nil {
			c.refs, c.aliasAt, c.cond = nil, nil, nil
		}
	}
	return s, l.faults
}

// A loader is the state of Load.
type loader struct {
	o       Options
	rules   []*Rule
	filters []*filterRule
	byRef   map[string]*Rule // by id and by name
	faults  []*Error
}

func (l *loader) fault(file string, err error) { l.faults = append(l.faults, errorIn(file, err)) }

// meantAsRule reports whether a document is a rule, or what somebody takes for one.
// Folders of rules hold other YAML, too: SigmaHQ's info.yml, settings of editors and builds.
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
		return faultAt(doc.key("action").at, "action is of Sigma 1: each document must be whole")
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
	r.File = file
	for _, ref := range []string{r.ID, r.Name} {
		if ref == "" {
			continue
		}
		if other := l.byRef[ref]; other != nil && other != r {
			return faultAt(r.titled.at, "%q is also the id or name of the rule %q in %s", ref, other.Title, other.File)
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

// correlate resolves what correlations refer to, and drops those that refer to what
// is not there, until none does.
func (l *loader) correlate() {
	for known := false; ; known = true { // what later ones are about, that is
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
	alone := map[*Rule]bool{} // reported for its own sake, too
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

// keep leaves the rules that Options.Keep wants, and what they are about.
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

// Want returns what the rules read of events.
func (s *Set) Want() (w columnar.Wanted) {
	for _, p := range s.plans {
		if p == nil {
			continue
		}
		fields := map[string]bool{}
		for _, in := range p.inputs {
			if in.field == "" {
				w.Cols |= columnar.ColSet(in.col)
			} else {
				fields[in.field] = true
			}
		}
		w.Fields[p.table.ID] = slices.Sorted(maps.Keys(fields))
	}
	kinds := map[columnar.EventKind]bool{}
	for _, r := range s.Rules {
		if r.Correlation == nil && slices.Contains(r.Tables(), columnar.Event) {
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

// Tables returns the tables that a rule reads; of a correlation, those of its rules.
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

// Kept returns the fields, on a table, that a rule reads but no column holds, sorted.
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

// reads returns the fields that a rule's own condition names; Message for keywords.
func (r *Rule) reads() []string {
	var out []string
	var walk func(e *expr)
	walk = func(e *expr) {
		if e == nil {
			return
		}
		if e.op == opTest {
			out = append(out, cmp.Or(e.test.field, Message))
			if e.test.other != "" {
				out = append(out, e.test.other)
			}
		}
		for _, k := range e.kids {
			walk(k)
		}
	}
	walk(r.cond)
	return out
}
