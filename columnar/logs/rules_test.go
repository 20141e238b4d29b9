package logs

import (
	"slices"
	"strings"
	"testing"

	"outflow/columnar"
	"outflow/stats/sigma"
)

// If this fails, a rule asks for a field, or a correlation groups by one, that no log has: it never
// fires, or for everybody at once, and its own cases do not tell, as their events have the field. It must have a
// column, or stand in an event of a case; a path into an event (requestParameters.x) is the vendor's
// own, and each vendor has more of them than a case could show, so only correlations must prove theirs.
func TestRulesAskWhatLogsHave(t *testing.T) {
	files, _ := sigma.Bundled()
	set, errs := sigma.Load(files, sigma.Options{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	want := set.Want()
	var names []string
	for i := range want.Fields {
		names = append(names, want.Fields[i].Names()...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	type field struct{ table, name string }
	seen := map[field][]columnar.Origin{}
	for _, c := range readCases(t) {
		if c.format.New == nil {
			continue
		}
		c.events, c.fields, c.options.WantFields = true, names, [columnar.NumTables]columnar.WantedFields{}
		c.want()
		r := c.run(c.in, wholeBlock)
		for _, table := range columnar.Tables {
			for i, cells := range r.tables[table.ID].Cells {
				if n := i - len(table.Cols); n >= 0 && slices.ContainsFunc(cells, func(v string) bool { return v != "" }) {
					f := field{table.Name, names[n]}
					seen[f] = append(seen[f], c.format.Origin())
				}
			}
		}
	}
	has := func(r *sigma.Rule, table *columnar.Table, name string) bool {
		_, column := sigma.ColumnOf(table, name)
		// A log of an unknown product may have any field.
		return column || slices.ContainsFunc(seen[field{table.Name, name}], func(o columnar.Origin) bool {
			return r.Logsource.Product == "" || o.Product != "" && r.Wants(name).Fits(o)
		})
	}
	for i, r := range set.Rules {
		if r.Correlation != nil {
			continue
		}
		for _, table := range r.Tables() {
			for _, name := range r.Kept(table) {
				if !strings.ContainsAny(name, ".[") && !has(r, table, name) {
					t.Errorf("%s asks for %s, which no event of %s has in any case", r.Name, name, table.Name)
				}
			}
			for _, name := range set.Needs(i) {
				if !has(r, table, name) {
					t.Errorf("a correlation of %s reads %s, which no event of %s has in any case", r.Name, name, table.Name)
				}
			}
		}
	}
}
