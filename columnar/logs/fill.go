package logs

import (
	"slices"
	"strings"

	"outflow/columnar"
)

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
			if _, ok := m.Columns[c]; ok || m.Only {
				return ok
			}
		}
		if f == CSV { // its names stand in its first line
			names := squash(string(head))
			return slices.ContainsFunc(wellKnown[c], func(name string) bool { return strings.Contains(names, name) })
		}
		return len(wellKnown[c]) > 0
	}
	// Of the dialects in Go, one has ids of events.
	return c != columnar.EventUID || f.Vendor != nil || f == CloudTrail
}
