package logs

import (
	"bytes"
	"slices"
	"strings"

	"outflow/columnar"
)

// csvTitle is how many lines of a CSV log are searched for names.
const csvTitle = 8

// MayFill reports whether a log of the format that begins with head may fill a column that
// is optional. With doubt, it may.
func (f *Format) MayFill(c columnar.Col, head []byte, m *Mapping) bool {
	if f.Lacks.Has(c) || !slices.ContainsFunc(f.Tables, func(t *columnar.Table) bool { return t.Set().Has(c) }) {
		return false
	}
	switch f {
	case Parquet: // its rows may be records of any source
		return true
	case CSV, JSONLines, W3C:
		if m != nil {
			if m.Table != nil && !m.Table.Set().Has(c) {
				return false
			}
			if _, ok := m.Columns[c]; ok || m.Only {
				return ok
			}
		}
		if f == CSV { // its names stand in its first line, behind a title at most
			lines := bytes.SplitN(head, []byte("\n"), csvTitle+1)
			names := squash(string(bytes.Join(lines[:min(csvTitle, len(lines))], nil)))
			return slices.ContainsFunc(wellKnown[c], func(name string) bool { return strings.Contains(names, name) })
		}
		return len(wellKnown[c]) > 0
	}
	// Of the dialects in Go, one has ids of events.
	return c != columnar.EventUID || f.Vendor != nil || f == CloudTrail
}
