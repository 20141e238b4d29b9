package logs

import (
	"bytes"
	"slices"

	"outflow/columnar/scan"
)

// Records that a tool has spelled in its own way: with tabs for spaces, pairs as cells, or each as
// a string of JSON.

// A textLayer takes the text out of a line that is a string of JSON, as Kafka's tools print the values
// of messages. Other lines are left as they are.
type textLayer struct{ text []byte }

func (l *textLayer) unwrap(record []byte, e *envelope) ([]byte, bool, string) {
	if !isString(record) {
		return record, false, ""
	}
	e.opened = true
	l.text = l.text[:0]
	return scan.Value(record).Text(&l.text), false, ""
}

// isString reports whether a line is a string of JSON alone.
func isString(line []byte) bool {
	if len(line) < 2 || line[0] != '"' {
		return false
	}
	for i := 1; i < len(line); i++ {
		switch line[i] {
		case '\\':
			if i++; i < len(line) && bytes.IndexByte([]byte(`"\/bfnrtu`), line[i]) < 0 {
				return false // such as a Windows path in a cell
			}
		case '"':
			return i == len(line)-1
		}
	}
	return false
}

// A tabsLayer makes spaces of the tabs of a line, for dialects whose lines are words.
type tabsLayer struct{ spaced []byte }

func (l *tabsLayer) unwrap(record []byte, e *envelope) ([]byte, bool, string) {
	if bytes.IndexByte(record, '\t') < 0 {
		return record, false, ""
	}
	e.opened = true
	l.spaced = append(l.spaced[:0], record...)
	for i, c := range l.spaced {
		if c == '\t' {
			l.spaced[i] = ' '
		}
	}
	return l.spaced, false, ""
}

// A pairsLayer makes pairs of the cells of a table without a header that has a pair in each, as
// FortiAnalyzer saves logs:
//
//	"date=2026-11-20","devname=fw 1","srcip=10.0.0.5"    date=2026-11-20 devname="fw 1" srcip=10.0.0.5
//
// Other lines are left as they are.
type pairsLayer struct {
	fields         scan.Fields
	pairs, scratch []byte
}

func (l *pairsLayer) unwrap(record []byte, e *envelope) ([]byte, bool, string) {
	if !hasPairCells(record) {
		return record, false, ""
	}
	e.opened = true
	l.pairs = l.pairs[:0]
	l.fields.Reset(record, ',', '"')
	l.fields.Next()
	for i := range l.fields.Ends[0] {
		l.scratch = slices.Grow(l.scratch[:0], len(record))
		key, value, ok := bytes.Cut(unquote(record[l.fields.Pos[i]+1:l.fields.Pos[i+1]], l.scratch), []byte{'='})
		if !ok {
			continue
		}
		if len(l.pairs) > 0 {
			l.pairs = append(l.pairs, ' ')
		}
		l.pairs = append(append(l.pairs, key...), '=')
		if value = bytes.Trim(value, `"`); bytes.ContainsAny(value, ` ,"`) {
			l.pairs = append(append(append(l.pairs, '"'), bytes.ReplaceAll(value, quote, []byte(`\"`))...), '"')
		} else {
			l.pairs = append(l.pairs, value...)
		}
	}
	return l.pairs, false, ""
}

// hasPairCells reports whether the first two cells of a line are in quotes and have a pair each.
func hasPairCells(line []byte) bool {
	for range 2 {
		if len(line) == 0 || line[0] != '"' {
			return false
		}
		key := 1
		for key < len(line) && isKeyByte(line[key]) {
			key++
		}
		if key == 1 || key == len(line) || line[key] != '=' {
			return false
		}
		end := bytes.Index(line, []byte(`",`))
		if end < 0 {
			return false
		}
		line = line[end+2:]
	}
	return true
}
