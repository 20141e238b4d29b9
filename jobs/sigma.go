package jobs

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/logs"
	"outflow/reports"
	"outflow/stats/detect"
	"outflow/stats/sigma"
)

// A ruleSet is the rules of a run, and the warnings about those that do not run.
type ruleSet struct {
	set  *sigma.Set
	hash string // of everything that decides what they match
	// names are the names by which disable may refer to rules.
	names map[string]bool
	// unset has the placeholders that have no value, with the files of the rules that
	// do not load for lack of it.
	unset map[string][]string
	// placeholders are the names that the rules use.
	placeholders []string
	warnings     []string
}

// Missing logs are reported from fewRules bundled rules on. Most companies do not collect what one or two rules
// would read, so its absence says little about the report.
const fewRules = 3

// maxRuleWarnings is how many rules that do not load a report lists.
const maxRuleWarnings = 5

// parsedRules is how many files of rules are parsed and not yet loaded. Thousands take more memory
// than the rules that they become.
const parsedRules = 32

// parsedTogether returns sigma.Options.Parsed, which parses several files at once: YAML is most of
// what a small run does before it reads a log.
func parsedTogether(files []sigma.File, workers int) func(file int) *sigma.Documents {
	var next []*sigma.Documents
	return func(i int) *sigma.Documents {
		if len(next) == 0 {
			next = make([]*sigma.Documents, min(parsedRules, len(files)-i))
			err := together(workers, len(next), func(k int) error {
				next[k] = sigma.Parse(&files[i+k])
				return nil
			})
			if err != nil { // a panic
				panic(err)
			}
		}
		d := next[0]
		next = next[1:]
		return d
	}
}

// loadRules reads the rules of the profile and those of the configuration. A rule that
// does not load gives a warning; the others run.
func (c *Config) loadRules() error {
	files, _ := sigma.Bundled()
	if c.seed() {
		files, _ = sigma.Seed()
	}
	if len(c.Rules) > 0 {
		more, _, err := ruleFiles(c.Rules)
		if err != nil {
			return err
		}
		files = append(files, more...)
	}
	r := &c.rules
	r.names = map[string]bool{}
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%d %s%d ", len(f.Name), f.Name, len(f.Text))
		h.Write(f.Text)
	}
	fmt.Fprintf(h, "%q %q", c.Disable, c.Placeholders) // fmt sorts the keys
	r.hash = hex.EncodeToString(h.Sum(nil))[:16]
	set, faults := sigma.Load(files, sigma.Options{Placeholders: c.Placeholders, Parsed: parsedTogether(files, cmp.Or(c.Workers, runtime.GOMAXPROCS(0))), Keep: func(rule *sigma.Rule) bool {
		off := false
		for _, name := range []string{rule.ID, rule.Name, rule.Title} {
			r.names[name] = true
			off = off || name != "" && slices.Contains(c.Disable, name)
		}
		return !off
	}})
	r.set, r.unset, r.placeholders = set, map[string][]string{}, sigma.Placeholders(files)
	faults = slices.DeleteFunc(faults, func(f *sigma.Error) bool {
		if f.Placeholder != "" {
			r.unset[f.Placeholder] = withText(r.unset[f.Placeholder], f.File)
		}
		return f.Placeholder != ""
	})
	for i, f := range faults {
		if i == maxRuleWarnings {
			r.warnings = append(r.warnings, fmt.Sprintf("%s not load: see outflow rules check.", verb(int64(len(faults)-i), "1 more rule does", fmt.Sprint(len(faults)-i)+" more rules do")))
			break
		}
		r.warnings = append(r.warnings, fmt.Sprintf("A rule does not load and does not run: %s:%d: %s.", f.File, f.Line, f.Msg))
	}
	if len(set.Other) > 0 {
		r.warnings = append(r.warnings, fmt.Sprintf("Left out, because they have no Sigma rule: %s.", someOf("file", set.Other)))
	}
	return nil
}

// strayPlaceholders warns of values for placeholders that no rule has: a mistyped name would
// leave the rules without theirs. text is the configuration.
func (c *Config) strayPlaceholders(text []byte, file string) (warnings []string) {
	if c.seed() { // it does not run the rules that have them
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(c.Placeholders)) {
		if slices.Contains(c.rules.placeholders, name) {
			continue
		}
		warnings = append(warnings, fmt.Sprintf("%s:%d: no rule has the placeholder %%%s%%, so its values have no effect%s",
			file, lineOfKey(text, "placeholders", name), name, cmp.Or(didYouMean(name, c.rules.placeholders), ".")))
	}
	return warnings
}

// runsRules reports whether the run matches rules.
func (c *Config) runsRules() bool {
	return c.rules.set != nil && len(c.rules.set.Rules) > 0 && c.detection("sigma_rule") != nil
}

// ruleBlind returns the rules that could not match, because no log has their table or
// a column of theirs. A correlation is blind if its rules are, or if their matches
// lack a field that it groups by or measures.
func ruleBlind(c *Config, inputs []reports.Input, seen fieldSet) []reports.Blind {
	if c.detection("sigma_rule") == nil {
		return nil
	}
	var out []reports.Blind
	for _, name := range slices.Sorted(maps.Keys(c.rules.unset)) {
		out = append(out, reports.Blind{Detection: "sigma_rule",
			Why:    fmt.Sprintf("%s: the rules do not load, because %%%s%% has no value.", someOf("file", c.rules.unset[name]), name),
			Remedy: "Set it in the configuration: placeholders: {" + name + ": [VALUE, …]}. * and ? in a value are wildcards."})
	}
	if !c.runsRules() {
		return out
	}
	read := readOf(c.formats, inputs, columnar.Origin{})
	rows := read.rows
	if len(rows) == 0 {
		return out // the report says itself that nothing was read
	}
	byOrigin := map[columnar.Origin]rowsRead{{}: read}
	of := func(r *sigma.Rule) rowsRead {
		origin := r.Logsource.Origin() // any origin for a correlation
		read, ok := byOrigin[origin]
		if !ok {
			read = readOf(c.formats, inputs, origin)
			byOrigin[origin] = read
		}
		return read
	}
	out = append(out, ownBlind(c, of)...)
	without := map[string][]string{}               // rules by their tables, if no log had rows of them
	own := map[string]bool{}                       // those tables, if other rules than the bundled ones are among them
	elsewhere, unread := []string{}, []string{}    // log sources without a log in this run, and their rules
	lacking := map[*columnar.Table]columnar.Cols{} // columns that rules read and no row has
	lackers := map[*columnar.Table][]string{}      // those rules
	readers := map[*columnar.Table][]string{}      // rules that read fields that no event has
	unsaid := map[*columnar.Table][]string{}       // those fields
	for i, r := range c.rules.set.Rules {
		tables := r.Tables()
		var read []*columnar.Table
		for _, t := range tables {
			if of(r).rows[t] > 0 {
				read = append(read, t)
			}
		}
		if len(read) == 0 {
			if slices.ContainsFunc(tables, func(t *columnar.Table) bool { return rows[t] > 0 }) { // of other origins
				elsewhere, unread = withText(elsewhere, r.Logsource.String()), append(unread, r.Ref())
				continue
			}
			key := strings.Join(texts(tables, tableName), " ")
			without[key], own[key] = append(without[key], r.Ref()), own[key] || !r.Bundled || c.seed()
			continue
		}
		t := read[0]
		if len(read) > 1 {
			continue // one table may have what the other lacks
		}
		// A rule that is only a part finds nothing without what its correlations measure:
		// correlationBlind says so.
		var measured []string
		columns := r.Columns(t) &^ of(r).known[t]
		if r.Part {
			measured = c.rules.set.Needs(i)
			for _, field := range measured {
				if col, ok := sigma.ColumnOf(t, field); ok {
					columns &^= columnar.ColSet(col)
				}
			}
		}
		fieldless := false
		for _, field := range r.Kept(t) {
			if field != sigma.Message && !seen[tableField{t, field}] && !slices.Contains(measured, field) {
				fieldless = true
				unsaid[t] = withText(unsaid[t], field)
			}
		}
		if fieldless {
			readers[t] = append(readers[t], r.Ref())
		}
		if columns != 0 {
			lacking[t] |= columns
			lackers[t] = append(lackers[t], r.Ref())
		}
	}
	out = append(out, correlationBlind(c, of, rows, seen)...)
	for _, tables := range slices.Sorted(maps.Keys(without)) {
		if len(without[tables]) < fewRules && !own[tables] {
			continue
		}
		out = append(out, reports.Blind{Detection: "sigma_rule", Table: tables, Absent: someOf("rule", without[tables]),
			Why:    fmt.Sprintf("%s: no log with rows of %s was read.", someOf("rule", without[tables]), strings.ReplaceAll(tables, " ", " or ")),
			Remedy: "Add one: outflow list tables says which formats have such rows. Or list the rules in disable."})
	}
	if len(unread) > 0 {
		slices.Sort(elsewhere)
		out = append(out, reports.Blind{Detection: "sigma_rule",
			Why:    fmt.Sprintf("%s: no log of %s was read.", someOf("rule", unread), anyOf(elsewhere)),
			Remedy: "Add one: a log without a known product, such as CSV or JSON lines, fits every rule. Or list the rules in disable."})
	}
	for _, t := range columnar.Tables {
		if rules := lackers[t]; len(rules) > 0 {
			columns := texts(lacking[t].List(), columnar.Col.String)
			out = append(out, reports.Blind{Detection: "sigma_rule", Table: t.Name, Column: strings.Join(columns, ", "), Rows: rows[t],
				Why:    fmt.Sprintf("%s %s %s that no log with rows of %s has.", someOf("rule", rules), verb(int64(len(rules)), "reads", "read"), someOf("column", columns), t.Name),
				Remedy: "The conditions on other columns still apply."})
		}
		if rules := readers[t]; len(rules) > 0 {
			slices.Sort(unsaid[t])
			out = append(out, reports.Blind{Detection: "sigma_rule", Table: t.Name, Rows: rows[t],
				Why:    fmt.Sprintf("%s %s %s that no log with rows of %s has.", someOf("rule", rules), verb(int64(len(rules)), "reads", "read"), someOf("field", unsaid[t]), t.Name),
				Remedy: fieldRemedy(t)})
		}
	}
	return out
}

// ownBlind returns the rules that take what is the company's own for another's, because a
// placeholder has no value.
func ownBlind(c *Config, of func(*sigma.Rule) rowsRead) (out []reports.Blind) {
	taken := map[string][]string{} // rules by the placeholder for what is the company's own
	for _, r := range c.rules.set.Rules {
		if !slices.ContainsFunc(r.Tables(), func(t *columnar.Table) bool { return of(r).rows[t] > 0 }) {
			continue
		}
		for _, name := range r.Unset {
			taken[name] = withText(taken[name], r.Ref())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(taken)) {
		out = append(out, reports.Blind{Detection: "sigma_rule",
			Why:    fmt.Sprintf("%s: %s is not set, so your own count as external.", someOf("rule", taken[name]), name),
			Remedy: "Set it in the configuration: placeholders: {" + name + ": [VALUE, …]}. Until then, these rules count one level less."})
	}
	return out
}

// correlationBlind returns the correlations that lack a field of the matches of their rules.
func correlationBlind(c *Config, of func(*sigma.Rule) rowsRead, rows map[*columnar.Table]int64, seen fieldSet) (out []reports.Blind) {
	by, fields := map[*columnar.Table][]string{}, map[*columnar.Table][]string{}
	for i, r := range c.rules.set.Rules {
		for _, field := range c.rules.set.Needs(i) {
			t := unsaidBy(r, field, of(r), seen)
			if t == nil {
				continue
			}
			fields[t] = withText(fields[t], field)
			for _, correlation := range c.rules.set.NeededBy(i, field) {
				by[t] = withText(by[t], correlation.Ref())
			}
		}
	}
	for _, t := range columnar.Tables {
		if len(by[t]) > 0 {
			out = append(out, reports.Blind{Detection: "sigma_rule", Table: t.Name, Rows: rows[t],
				Why: fmt.Sprintf("%s %s %s of matches, which no log with rows of %s has.",
					someOf("correlation", by[t]), verb(int64(len(by[t])), "needs", "need"), someOf("field", fields[t]), t.Name),
				Remedy: "A correlation finds nothing where matches lack a field by which it groups or measures them. An alias in it can name another field."})
		}
	}
	return out
}

// rowsRead is what was read of some logs: rows by table, and the columns with a value.
type rowsRead struct {
	rows  map[*columnar.Table]int64
	known map[*columnar.Table]columnar.Cols
}

// readOf returns what was read of the logs that fit rules about an origin.
func readOf(formats logs.Formats, inputs []reports.Input, origin columnar.Origin) rowsRead {
	read := rowsRead{map[*columnar.Table]int64{}, map[*columnar.Table]columnar.Cols{}}
	for i := range inputs {
		in := &inputs[i]
		t, f := columnar.TableNamed(in.Table), formats.Named(in.Format)
		if t == nil || f != nil && !f.Fits(origin) {
			continue
		}
		read.rows[t] += in.Rows
		for col, n := range in.Known {
			if n > 0 {
				read.known[t] |= columnar.ColSet(col)
			}
		}
	}
	return read
}

// unsaidBy returns the table of a rule if the rule has only one, if rows of it were
// read, and if none of them has the field; otherwise nil.
func unsaidBy(r *sigma.Rule, field string, read rowsRead, seen fieldSet) *columnar.Table {
	tables := r.Tables()
	if r.Correlation != nil || len(tables) != 1 || read.rows[tables[0]] == 0 {
		return nil
	}
	t := tables[0]
	said := seen[tableField{t, field}]
	if col, ok := sigma.ColumnOf(t, field); ok {
		said = read.known[t].Has(col)
	}
	if said {
		return nil
	}
	return t
}

// fieldRemedy says which logs have the fields that no column of a table holds.
func fieldRemedy(t *columnar.Table) string {
	switch t {
	case columnar.HTTP:
		return "The query, extension and referrer of a request are read if the log has them: Squid leaves queries out unless strip_query_terms is off."
	case columnar.API:
		return "CloudTrail fields are read by their paths; CSV and JSON fields by their names."
	}
	return "Windows events, audit records, CSV and JSON lines keep their fields; other logs give columns and few fields."
}

// withText adds a text to a small set.
func withText(texts []string, text string) []string {
	if slices.Contains(texts, text) {
		return texts
	}
	return append(texts, text)
}

// anyOf joins texts by commas, the last by or.
func anyOf(texts []string) string {
	last := len(texts) - 1
	if last == 0 {
		return texts[0]
	}
	return strings.Join(texts[:last], ", ") + " or " + texts[last]
}

// someOf counts things and names up to five of them.
func someOf(noun string, names []string) string {
	const most = 5
	if len(names) > 1 {
		noun += "s"
	}
	text := fmt.Sprintf("%d %s (%s", len(names), noun, strings.Join(names[:min(len(names), most)], ", "))
	if len(names) > most {
		text += ", …"
	}
	return text + ")"
}

// ruleCatalogue lists the rules that come with outflow, those of profile default
// first. A rule without a technique gets that of sigma_rule.
func ruleCatalogue() *catalogue {
	otherwise := (&Config{detections: detect.All()}).detection("sigma_rule").Technique
	c := &catalogue{columns: []string{"rule", "title", "kind", "level", "ATT&CK", "tables", "profile"}}
	list := func(profile string, files []sigma.File) {
		set, _ := sigma.Load(files, sigma.Options{})
		for _, r := range set.Rules {
			kind := "event"
			switch {
			case r.Part:
				kind = "part" // used by correlations, not reported itself
			case r.Correlation != nil:
				kind = r.Correlation.Type
			}
			c.rows = append(c.rows, []string{r.Ref(), r.Title, kind, r.Level, cmp.Or(strings.Join(r.Techniques(), " "), otherwise), strings.Join(texts(r.Tables(), tableName), " "), profile})
		}
	}
	files, _ := sigma.Bundled()
	list("default", files)
	files, _ = sigma.Seed()
	list("seed", files)
	return c
}
