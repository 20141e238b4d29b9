package logs

import (
	"slices"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// This file puts the rows of a window at once, column by column.

// parquetWindow is how many rows are decoded and put at once: few enough that
// their cells stay in the first-level cache from the page to the batch, and that
// going over them again because of an odd one costs little.
const parquetWindow = 1 << 10

// parquetWindowText is how much text of a column is put at once, in bytes. A few
// bytes of a file can stand for rows of a hundred megabytes; row by row, a batch
// ends when it has enough of them.
const parquetWindowText = 8 << 20

// block puts the n rows of the window column by column. It returns false, and has
// done nothing, if a cell wants a closer look.
func (d *parquetDecoder) block(b *columnar.Builder, n int, record int64, t *Tally) bool {
	for _, c := range d.columns {
		if c != d.where && !c.other && !d.gather(b, c, n) {
			return false
		}
	}
	d.records = d.records[:0]
	for i := range n {
		d.records = append(d.records, record+int64(i))
	}
	leaves, deleted := d.leaves(n, record)
	if leaves {
		d.records = matching(d.records, d.match)
	}
	if len(d.records) > 0 {
		for _, c := range d.columns {
			if c == d.where || c.other {
				continue
			}
			if leaves {
				c.cells.match(d.match)
			}
			switch f := c.field; {
			case f.read == readTime:
				b.PutTimes(c.cells.ints)
			case f.read == readNumber:
				b.PutInts(f.col, c.cells.ints)
			case f.read == readQuery:
				b.PutQueries(c.cells.text, c.cells.spans)
			case f.read == readKept:
				b.PutField(f.name, c.cells.text, c.cells.spans)
			case c.cells.codes != nil:
				b.PutCodes(f.col, c.cells.codes)
			default:
				b.PutTexts(f.col, c.cells.text, c.cells.spans)
			}
		}
		b.NextRows(d.records)
	}
	t.Records += int64(len(d.records))
	t.Rows += int64(len(d.records))
	if d.doubtful && len(d.records) > 0 {
		because(&t.Cleared, Reason{Text: doubtfulBytes, Count: int64(len(d.records)), First: d.records[0]})
	}
	if deleted > 0 {
		t.known(deletedRows, int64(deleted))
	}
	if out := n - len(d.records) - deleted; out > 0 {
		t.known(d.where.selects.kind, int64(out))
	}
	return true
}

// leaves reports whether any of the n rows of the window may be left out: then match says
// which stay. deleted is how many of them the table has deleted.
func (d *parquetDecoder) leaves(n int, record int64) (leaves bool, deleted int) {
	anyDeleted := d.deleted != nil && d.deleted.any(record-1, int64(n))
	if d.where == nil && !anyDeleted {
		return false, 0
	}
	d.match = d.match[:0]
	value := 0
	for i := range n {
		match := true
		if d.where != nil {
			var text []byte
			if d.where.valid == nil || d.where.valid[i] {
				text = d.text(d.where, value)
				value++
			}
			match = d.where.selects.holds(text)
		}
		if anyDeleted && d.deleted.has(record-1+int64(i)) {
			match = false
			deleted++
		}
		d.match = append(d.match, match)
	}
	return true, deleted
}

// parquetCells are what is put of the rows of a window: ints, columnar.Null where there is
// none, or codes, or spans of text.
type parquetCells struct {
	ints  []int64
	codes []int32
	text  []byte
	spans []columnar.Span
}

// match keeps the cells of the rows that match.
func (c *parquetCells) match(match []bool) {
	c.ints = matching(c.ints, match)
	c.codes = matching(c.codes, match)
	c.spans = matching(c.spans, match)
}

// matching keeps the elements that match, of all or none.
func matching[T any](all []T, match []bool) []T {
	n := 0
	for i := range all {
		all[n] = all[i]
		if match[i] {
			n++
		}
	}
	return all[:n]
}

// gather makes the cells of a column of the n rows of the window, or returns false.
func (d *parquetDecoder) gather(b *columnar.Builder, c *parquetColumn, n int) bool {
	c.cells = parquetCells{}
	switch f := c.field; {
	case f.read == readTime:
		return d.gatherTimes(c)
	case f.read == readNumber:
		return d.gatherNumbers(c) && d.gatherOthers(c)
	case len(c.others) > 0:
		return d.gatherFirst(c, n)
	case c.held == heldIndexes && f.col.Kind() == columnar.Dictionary:
		d.gatherCodes(b, c)
		return true
	}
	return d.gatherTexts(c, n)
}

func (d *parquetDecoder) gatherTimes(c *parquetColumn) bool {
	if c.valid != nil {
		return false
	}
	if c.held == heldTimes {
		c.cells.ints = c.ints
		for _, us := range c.ints {
			if !d.set.clock.Within(us) {
				return false
			}
		}
		return true
	}
	c.buf.cells.ints = c.buf.cells.ints[:0]
	for value := range c.n {
		text := d.text(c, value)
		us, reason := d.set.timeOf(c.field, text, nil)
		if reason != "" {
			return false
		}
		c.buf.cells.ints = append(c.buf.cells.ints, us)
	}
	c.cells.ints = c.buf.cells.ints
	return true
}

func (d *parquetDecoder) gatherNumbers(c *parquetColumn) bool {
	ints := c.ints
	if c.held == heldInts && c.field.scale == 1 {
		signs, most := int64(0), c.field.most
		for _, v := range ints {
			signs |= v | (most - v)
		}
		if signs < 0 {
			return false
		}
	} else {
		ints = c.buf.cells.ints[:0]
		for value := range c.n {
			v, reason := int64(columnar.Null), ""
			switch c.held {
			case heldInts:
				v, reason = c.field.float(float64(c.ints[value]))
			case heldFloats:
				v, reason = c.field.float(c.floats[value])
			default:
				if text := d.text(c, value); !scan.Unknown(text) {
					v, reason = c.field.number(text)
				}
			}
			if reason != "" {
				return false
			}
			ints = append(ints, v)
		}
		c.buf.cells.ints = ints
	}
	if c.valid != nil {
		spread := c.buf.spread[:0]
		value := 0
		for _, ok := range c.valid {
			v := int64(columnar.Null)
			if ok {
				v = ints[value]
				value++
			}
			spread = append(spread, v)
		}
		c.buf.spread, ints = spread, spread
	}
	c.cells.ints = ints
	return true
}

// gatherOthers fills the numbers that a column lacks from the others of its field.
func (d *parquetDecoder) gatherOthers(c *parquetColumn) bool {
	for _, other := range c.others {
		if !slices.Contains(c.cells.ints, columnar.Null) {
			return true
		}
		if other.cells = (parquetCells{}); !d.gatherNumbers(other) {
			return false
		}
		for i, v := range c.cells.ints {
			if v == columnar.Null {
				c.cells.ints[i] = other.cells.ints[i]
			}
		}
	}
	return true
}

// gatherFirst makes the texts of a field that several columns may have.
func (d *parquetDecoder) gatherFirst(c *parquetColumn, n int) bool {
	text, spans := c.buf.cells.text[:0], c.buf.cells.spans[:0]
	for range n {
		span := columnar.Span{Begin: uint32(len(text)), End: uint32(len(text))}
		if column, value := d.first(c); value >= 0 {
			text = append(text, d.set.text(c.field, d.text(column, value))...)
			span.End = uint32(len(text))
		}
		spans = append(spans, span)
		if len(text) > parquetWindowText {
			break
		}
	}
	c.row, c.value = 0, 0 // another column may want a closer look
	for _, other := range c.others {
		other.row, other.value = 0, 0
	}
	c.buf.cells.text, c.buf.cells.spans = text, spans
	c.cells.text, c.cells.spans = text, spans
	return len(spans) == n
}

func (d *parquetDecoder) gatherCodes(b *columnar.Builder, c *parquetColumn) {
	c.number(b.Dict(c.field.col))
	codes := slices.Grow(c.buf.cells.codes[:0], len(c.indexes))[:len(c.indexes)]
	signs := int32(0)
	for i, index := range c.indexes {
		code := c.codes[index]
		codes[i] = code
		signs |= code
	}
	if signs < 0 {
		d.lookUp(c)
		for i, index := range c.indexes {
			codes[i] = c.codes[index]
		}
	}
	if c.valid != nil {
		// From the end, as codes move there.
		value := len(codes)
		codes = slices.Grow(codes, len(c.valid)-value)[:len(c.valid)]
		for i := len(c.valid) - 1; i >= 0; i-- {
			code := int32(0)
			if c.valid[i] {
				value--
				code = codes[value]
			}
			codes[i] = code
		}
	}
	c.buf.cells.codes, c.cells.codes = codes, codes
}

// number makes codes those of the texts in dict.
func (c *parquetColumn) number(dict *columnar.Dict) {
	if c.of == dict {
		return
	}
	c.of = dict
	c.codes = slices.Grow(c.codes[:0], c.dict.size)[:c.dict.size]
	for i := range c.codes {
		c.codes[i] = -1
	}
}

// lookUp finds the codes of those texts of the dictionary that the window has and
// that have none yet.
func (d *parquetDecoder) lookUp(c *parquetColumn) {
	asked, spans := c.buf.asked[:0], c.buf.cells.spans[:0]
	for _, index := range c.indexes {
		if c.codes[index] >= 0 {
			continue
		}
		span := c.dict.spans[index]
		text := c.dict.text[span.Begin:span.End]
		if c.field.read != readText {
			c.codes[index] = c.of.Code(d.set.text(c.field, text))
			continue
		}
		if scan.Unknown(text) {
			span = columnar.Span{}
		}
		asked, spans = append(asked, index), append(spans, span)
	}
	codes := slices.Grow(c.buf.found[:0], len(asked))[:len(asked)]
	c.of.Codes(codes, c.dict.text, spans)
	for i, index := range asked {
		c.codes[index] = codes[i]
	}
	c.buf.asked, c.buf.cells.spans, c.buf.found = asked, spans, codes
}

func (d *parquetDecoder) gatherTexts(c *parquetColumn, n int) bool {
	f := c.field
	asIs := (f.read == readText || f.read == readQuery) && (c.held == heldTexts || c.held == heldIndexes)
	text, spans, size, value := c.buf.cells.text[:0], c.buf.cells.spans[:0], 0, 0
	for i := range n {
		var span columnar.Span
		switch {
		case c.valid != nil && !c.valid[i]:
		case asIs:
			if c.held == heldTexts {
				span = c.spans[value]
			} else {
				span = c.dict.spans[c.indexes[value]]
			}
			value++
			if scan.Unknown(c.text[span.Begin:span.End]) {
				span = columnar.Span{}
			}
		default:
			span.Begin = uint32(len(text))
			text = append(text, d.set.text(f, d.text(c, value))...)
			span.End = uint32(len(text))
			value++
		}
		spans = append(spans, span)
		if size += int(span.End - span.Begin); size > parquetWindowText {
			return false
		}
	}
	c.buf.cells.text, c.buf.cells.spans = text, spans
	if asIs {
		text = c.text
	}
	c.cells.text, c.cells.spans = text, spans
	return true
}
