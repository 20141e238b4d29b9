package logs

import (
	"bytes"
	"slices"
	"strings"

	"outflow/columnar"
)

// csvTitle is how many lines of a CSV log are searched for names.
const csvTitle = 8

// MayHave reports whether a log of the format may have rows of a table. o has its head, name and
// mapping, as far as they are known. With doubt, it may. Note: of a log that is several logs one after
// another, only the first may show.
func (f *Format) MayHave(t *columnar.Table, o *Options) bool {
	if !slices.Contains(f.Tables, t) {
		return false
	}
	switch {
	case f == Zeek:
		return zeekMayHave(t, o)
	case o.Mapping != nil && o.Mapping.Table != nil:
		return o.Mapping.Table == t
	}
	return true
}

// MayFill reports whether a log of the format may fill a column that is optional; see MayHave.
func (f *Format) MayFill(c columnar.Col, o *Options) bool {
	if f.Lacks.Has(c) || !slices.ContainsFunc(columnar.Tables[:], func(t *columnar.Table) bool { return t.Set().Has(c) && f.MayHave(t, o) }) {
		return false
	}
	head, m := o.Head, o.Mapping
	switch f {
	case Parquet: // its rows may be records of any source
		return true
	case CSV, JSONLines, W3C:
		if m != nil {
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
