package logs

import "outflow/columnar"

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

// setCount sets a cell, unless n is -1: not said.
func setCount(b *columnar.Builder, c columnar.Col, n int64) {
	if n >= 0 {
		b.SetInt(c, n)
	}
}

// Kinds of records that several dialects have.
const (
	blankLine = "blank line"
	leftOut   = "left out by mapping.where"
)

// malformedJSON is the reason to skip a line that is no JSON object, or a part of
// one.
const malformedJSON = "malformed JSON object"
