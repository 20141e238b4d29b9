package logs

import (
	"bytes"
	"slices"

	"outflow/columnar/scan"
)

// Tables of CSV that Splunk exports, with the record in a column.

// splunkCells say where the record and its time are in a table that Splunk exported.
type splunkCells struct {
	header    []byte
	raw, time int // the columns; -1: none
}

// splunkColumns returns nil if head is no such table.
func splunkColumns(head []byte) *splunkCells {
	line, _ := scan.CutLine(head)
	if !bytes.Contains(line, []byte("_raw")) || line[0] == '{' {
		return nil
	}
	names := separatedFields(line, ',')
	c := splunkCells{bytes.Clone(line), slices.Index(names, "_raw"), slices.Index(names, "_time")}
	if c.raw < 0 {
		return nil
	}
	return &c
}

// A splunkLayer is a table of CSV that has the record in a column.
type splunkLayer struct {
	splunkCells
	scratch, stamp []byte
}

func (l *splunkLayer) unwrap(record []byte, e *envelope) ([]byte, bool, string) {
	if bytes.Equal(record, l.header) {
		return nil, true, ""
	}
	var raw []byte
	found := false
	for column, rest := 0, record; ; column++ {
		var cell []byte
		cell, rest = cutCell(rest)
		switch column {
		case l.raw:
			l.scratch = slices.Grow(l.scratch[:0], len(cell))
			raw, found = unquote(cell, l.scratch), true
		case l.time:
			l.stamp = slices.Grow(l.stamp[:0], len(cell))
			e.stamp = unquote(cell, l.stamp)
		}
		if rest == nil {
			break
		}
	}
	if !found {
		return nil, false, "no _raw among the fields of the exported table"
	}
	e.opened = true
	return raw, false, ""
}

// cutCell cuts the first cell off a record of CSV; rest is nil behind the last.
func cutCell(p []byte) (cell, rest []byte) {
	quoted := false
	for i, c := range p {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return p[:i], p[i+1:]
		}
	}
	return p, nil
}
