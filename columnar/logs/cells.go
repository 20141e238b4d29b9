package logs

import (
	"outflow/columnar"
	"outflow/columnar/scan"
)

// What dialects share where they put the cells of a row.

// spanOf returns where part, a slice of text that reaches as far as text does,
// stands in text.
func spanOf(text, part []byte) columnar.Span {
	if len(part) == 0 {
		return columnar.Span{}
	}
	begin := uint32(cap(text) - cap(part))
	return columnar.Span{Begin: begin, End: begin + uint32(len(part))}
}

// digits reads cells as scan.Digits does, -1 where that does not: those are read as texts.
func digits(v []int64, data []byte, cells []columnar.Span) {
	v = v[:len(cells)]
	for i, s := range cells {
		n, ok := int64(0), false
		if size := s.End - s.Begin; size-1 < 8 && s.End >= 8 { // most, and without a call
			n, ok = scan.EightDigits(data[s.End-8:], 8-size)
		} else {
			n, ok = scan.Digits(data, s.Begin, s.End)
		}
		if !ok {
			n = -1
		}
		v[i] = n
	}
}

// A recordRow is the row that is being built of a record. A minor field that cannot be
// read leaves its cell empty and is counted: it never costs the record.
type recordRow struct {
	*columnar.Builder
	tally  *Tally
	record int64
}

// count returns the count for column c that text says, -1 if it says none. bad is the reason
// why it cannot be read.
func (r recordRow) count(c columnar.Col, text []byte, bad string) int64 {
	n, ok := scan.Count(text)
	if ok {
		return n
	}
	if !scan.Unknown(text) {
		r.tally.Unread(r.record, c, text, bad)
	}
	return -1
}

// misfits counts the keys of the object that s has read which do not give some fields of
// the row, or more than one value.
func (r recordRow) misfits(s *scan.Shape, fields uint64) {
	for _, m := range s.Misfits() {
		switch {
		case m.Fields&fields == 0:
		case m.Twice:
			r.tally.Clear(r.record, m.Key+" stands twice: the last counts")
		default:
			r.tally.Clear(r.record, unfit(m))
		}
	}
}

// unfit says why the value of a key of JSON cannot be read.
func unfit(m scan.Misfit) string {
	if m.Value.Is('{') || m.Value.Is('[') {
		return m.Key + " is a list or an object: left out"
	}
	return m.Key + " is no object: left out"
}

// setCount sets a cell to the count that text says, if it says one.
func (r recordRow) setCount(c columnar.Col, text []byte, bad string) {
	n := r.count(c, text, bad)
	if n > greatestOf(c) {
		r.tally.Unread(r.record, c, text, bad)
		return
	}
	setCount(r.Builder, c, n)
}

// greatestOf returns the greatest number that a column can hold: a greater one is not
// what the column is for.
func greatestOf(c columnar.Col) int64 {
	switch {
	case c == columnar.DstPort:
		return 1<<16 - 1
	case c == columnar.StatusCode:
		return 999
	case c.Kind() == columnar.Int32:
		return 1<<31 - 1
	}
	return 1<<63 - 1
}

// setCount sets a cell, unless n is -1: not said.
func setCount(b *columnar.Builder, c columnar.Col, n int64) {
	if n >= 0 {
		b.SetInt(c, n)
	}
}

// leftOut is the kind of records that the condition of a mapping does not hold for.
const leftOut = "left out by mapping.where"

// malformedJSON is the reason to skip a line that is not a JSON object, or a part of one.
const malformedJSON = "malformed JSON object"

// misfitValues is the reason to skip a row of a query's answer; see maxHeld.
const misfitValues = "values without a name for each: as many names as values must stand before them, or up to 16 MiB behind"

// notObject returns the reason to skip a line that is not a JSON object.
func notObject(line []byte) string {
	if string(trimEOL(line)) == misfitRow[:len(misfitRow)-1] {
		return misfitValues
	}
	return malformedJSON
}
