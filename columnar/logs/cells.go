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

// leftOut is the kind of records that the condition of a mapping does not hold for.
const leftOut = "left out by mapping.where"

// malformedJSON is the reason to skip a line that is no JSON object, or a part of
// one.
const malformedJSON = "malformed JSON object"
