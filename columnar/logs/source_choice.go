package logs

import (
	"bytes"
	"math/bits"
	"slices"
)

// Which row of a source a record becomes.

// A rowChoice finds the row of a record by one text first: most conditions of a source are on the
// same name, and most of what stands there stood there before. It does not change.
type rowChoice struct {
	slot   int
	by     [][]condition // by row: its conditions on that slot alone
	others [][]condition // by row: all others
}

// chosenTexts are texts of a rowChoice's slot that stood there before, each where its bytes
// say.
type chosenTexts [64]chosenRows

// chosenRows are the rows whose conditions on the slot a text meets.
type chosenRows struct {
	text []byte
	rows uint64 // a set of their indexes; 0: there is no text yet, or it meets no row's
}

// maxChoiceText is the length of the longest text that is remembered, in bytes.
const maxChoiceText = 64

// newRowChoice returns the choice among rows, nil if no name is one that several rows ask for.
func newRowChoice(rows []sourceRow, slots int) *rowChoice {
	if len(rows) > 64 {
		return nil
	}
	asking := make([]int, slots) // by slot: how many rows have a condition on it
	for _, row := range rows {
		for _, c := range row.where {
			if c.Around == "" {
				asking[c.slot]++
			}
		}
	}
	if slots == 0 || slices.Max(asking) < 2 {
		return nil
	}
	c := &rowChoice{slot: slices.Index(asking, slices.Max(asking))}
	for _, row := range rows {
		var by, others []condition
		for _, is := range row.where {
			if is.slot == c.slot && is.Around == "" {
				by = append(by, is)
			} else {
				others = append(others, is)
			}
		}
		c.by, c.others = append(c.by, by), append(c.others, others)
	}
	return c
}

// row returns the index of the first row whose conditions record i meets, or how many rows there
// are.
func (c *rowChoice) row(w *window, i int, before *chosenTexts) int {
	for rows := before.rows(c, w.text(i, c.slot)); rows != 0; rows &= rows - 1 {
		if r := bits.TrailingZeros64(rows); allHold(c.others[r], w, i) {
			return r
		}
	}
	return len(c.by)
}

// rows is c.meeting.
func (t *chosenTexts) rows(c *rowChoice, text []byte) (rows uint64) {
	n := len(text)
	if n > maxChoiceText {
		return c.meeting(text)
	}
	at := n
	if n > 0 {
		at += int(text[n-1])*7 + int(text[n/2])*31
	}
	k := &t[at&63]
	if k.rows == 0 || !bytes.Equal(k.text, text) {
		k.text, k.rows = append(k.text[:0], text...), c.meeting(text)
	}
	return k.rows
}

// meeting returns the rows whose conditions on the slot a text meets.
func (c *rowChoice) meeting(text []byte) (rows uint64) {
	for r, by := range c.by {
		if !slices.ContainsFunc(by, func(is condition) bool { return !is.meets(text) }) {
			rows |= 1 << r
		}
	}
	return rows
}
