package logs

import (
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Columns of a Parquet file as slots of a window. What a source says of a text is done once for
// each text of a dictionary, and a row then takes what came of it.

// A rowColumn is a column that some slots have, or that holds JSON.
type rowColumn struct {
	parquetColumn
	at      []int32 // by record: which value, -1 if it has none
	shared  bool    // the values are those of the dictionary
	isNew   bool    // nothing was loaded yet
	version uint32  // another one for other values
	longest int     // text of the dictionary, in bytes

	// The values as texts, made when the first is asked for.
	shown struct {
		done  bool
		text  []byte
		spans []columnar.Span
		own   []byte // what numbers are printed in, and where
		owned []columnar.Span
	}

	json *jsonNode // what is read of the JSON that it holds; or nil
	// memo has the texts of the dictionary that are in the window already, if they are JSON.
	memo []struct {
		span   columnar.Span
		window uint32
	}
}

// take gives the records the values that are loaded.
func (c *rowColumn) take(places []int32, records int) {
	shared := c.stored == storedIndexes && c.held != heldTimes
	if !shared || !c.shared || c.isNew {
		c.version++
		c.shown.done = false
	}
	if c.isNew && shared || shared && !c.shared {
		c.longest = 0
		for _, span := range c.dict.spans {
			c.longest = max(c.longest, int(span.End-span.Begin))
		}
	}
	c.shared, c.isNew = shared, false
	c.at = slices.Grow(c.at[:0], records)[:records]
	value := int32(-1)
	for i, place := range places {
		if c.valid != nil && !c.valid[i] {
			if place >= 0 {
				c.at[place] = -1
			}
			continue
		}
		value++
		switch {
		case place < 0:
		case shared:
			c.at[place] = int32(c.indexes[value])
		default:
			c.at[place] = value
		}
	}
}

// number returns the number of record i of the window. The column is one of numbers.
func (c *rowColumn) number(i int) (v int64, ok bool) {
	at := c.at[i]
	if at < 0 {
		return 0, false
	}
	v = c.numbers()[at]
	return v, c.held != heldTimes || v != noTime
}

// numbers returns the values of a column of numbers.
func (c *rowColumn) numbers() []int64 {
	if c.shared {
		return c.dict.ints
	}
	return c.ints
}

// textOf returns the text of record i of the window, nil if it has none.
func (c *rowColumn) textOf(i int) []byte {
	at := c.at[i]
	if at < 0 {
		return nil
	}
	return c.show(at)
}

// show returns a value as text.
func (c *rowColumn) show(value int32) []byte {
	if !c.shown.done {
		c.print()
	}
	span := c.shown.spans[value]
	return c.shown.text[span.Begin:span.End]
}

// print makes the texts of the values.
func (c *rowColumn) print() {
	s := &c.shown
	s.done = true
	switch c.held {
	case heldIndexes:
		s.text, s.spans = c.dict.text, c.dict.spans[:c.dict.size]
		return
	case heldTexts:
		s.text, s.spans = c.text, c.spans
		return
	}
	of, n := &c.values, c.n
	if c.shared {
		of, n = &c.dict.values, c.dict.size
	}
	s.own, s.owned = s.own[:0], s.owned[:0]
	for value := range n {
		begin := uint32(len(s.own))
		s.own = of.appendNumber(s.own, c.leaf, value)
		s.owned = append(s.owned, columnar.Span{Begin: begin, End: uint32(len(s.own))})
	}
	s.text, s.spans = s.own, s.owned
}

// mostText returns how much text n records have at most, in bytes. Numbers do not count.
func (c *rowColumn) mostText(n int) int {
	switch {
	case c.held == heldIndexes:
		return c.longest * n
	case c.held == heldTexts && c.n > 0:
		return int(c.spans[c.n-1].End - c.spans[0].Begin)
	}
	return 0
}

// A valueMemo has what came of the values of a column.
type valueMemo struct {
	of      *rowColumn
	dict    *columnar.Dict // of the codes; nil: of a condition
	version uint32
	codes   []int32 // by value
}

// What else than a code a valueMemo may have.
const (
	notRead     = -1
	readsOnward = -2 // the text is as none: the next slot counts
	hostless    = -3 // a text without the host that it should have

	met   = 1 // of a condition
	unmet = 0
)

// codesOf returns the memo's codes for a column, which are notRead at first.
func (m *valueMemo) codesOf(c *rowColumn, dict *columnar.Dict) []int32 {
	if m.of != c || m.dict != dict || m.version != c.version {
		if !c.shown.done {
			c.print()
		}
		m.of, m.dict, m.version = c, dict, c.version
		m.codes = slices.Grow(m.codes[:0], len(c.shown.spans))[:len(c.shown.spans)]
		for i := range m.codes {
			m.codes[i] = notRead
		}
	}
	return m.codes
}

// holds reports whether record i meets the condition.
func (c *condition) holds(w *window, i int) bool {
	if c.Around != "" && !isAround(w.text(i, c.slot), w.text(i, c.inner)) {
		return false
	}
	if w.columns == nil || c.memo == nil || w.columns[c.slot] == nil || !w.columns[c.slot].shared {
		return c.meets(w.text(i, c.slot))
	}
	column := w.columns[c.slot]
	at := column.at[w.from+i]
	if at < 0 {
		return c.meets(nil)
	}
	codes := c.memo.codesOf(column, nil)
	if codes[at] == notRead {
		if codes[at] = unmet; c.meets(column.show(at)) {
			codes[at] = met
		}
	}
	return codes[at] == met
}

// readByColumns notes in the fields of the rows which of them are numbers, and which are codes
// of texts.
func (d *sourceDecoder) readByColumns(part *parquetPart) {
	remember := func(where []condition) {
		for i := range where {
			where[i].memo = new(valueMemo)
		}
	}
	for i := range d.rows {
		remember(d.rows[i].where)
		remember(d.rows[i].swap)
	}
	d.eachField(func(c columnar.Col, f *sourceField) {
		remember(f.where)
		f.numbers, f.coded, f.memos = false, false, nil
		if slices.ContainsFunc(f.slots, func(slot int) bool { return d.w.columns[slot] == nil }) || len(f.join)+len(f.unlike) > 0 {
			return
		}
		switch {
		case c.Kind() == columnar.Dictionary:
			f.coded = f.read == readText || f.read == readHost
			f.memos = make([]valueMemo, len(f.slots))
		case c == columnar.Time || c.Kind() >= columnar.Int64:
			f.numbers = len(f.text) == 0 && f.direct && f.unit == "" && f.dateSlot < 0 && f.zoneSlot < 0 &&
				!slices.ContainsFunc(f.slots, func(slot int) bool { return !part.leaves[part.leafOf(d.slots[slot])].isNumber() })
		}
	})
}

// eachField calls do for all fields of the rows.
func (d *sourceDecoder) eachField(do func(c columnar.Col, f *sourceField)) {
	for i := range d.rows {
		row := &d.rows[i]
		for c := range columnar.NumCols {
			for _, f := range []*sourceField{row.fields[c], row.swapped[c]} {
				for ; f != nil; f = f.otherwise {
					do(c, f)
				}
			}
		}
	}
}

// isNumber reports whether the values of a leaf are whole numbers as they stand in the
// file, or times.
func (l *parquetLeaf) isNumber() bool {
	if l.index < 0 || l.repeats || l.unsigned || l.kind != parquet.Int32 && l.kind != parquet.Int64 {
		return false
	}
	switch l.logical.(type) {
	case nil, *format.IntType, *format.TimestampType:
		return true
	}
	return false
}

// spansOf finds the texts of records in what it returns; records that say nothing get the zero
// value. The first of the window is record from of the column.
func (c *rowColumn) spansOf(spans []columnar.Span, records []int32, from int) (text []byte) {
	if !c.shown.done {
		c.print()
	}
	text = c.shown.text
	for k, i := range records {
		spans[k] = columnar.Span{}
		if at := c.at[from+int(i)]; at >= 0 {
			if s := c.shown.spans[at]; !scan.Unknown(text[s.Begin:s.End]) {
				spans[k] = s
			}
		}
	}
	return text
}

// place finds which of the records that are put are of each kind.
func (d *sourceDecoder) place(records []int32) {
	for j := len(d.every); j < len(records); j++ {
		d.every = append(d.every, int32(j))
	}
	d.every = d.every[:len(records)]
	for len(d.ofKind) < len(d.kinds) {
		d.ofKind = append(d.ofKind, nil)
	}
	if len(d.kinds) == 1 {
		return
	}
	for n, k := range d.kinds {
		places := d.ofKind[n][:0]
		for j, i := range records {
			if k == (kind{d.rowOf[i], d.swapped[i]}) {
				places = append(places, int32(j))
			}
		}
		d.ofKind[n] = places
	}
}

// byKind calls do with the fields that a column has in the records that are put, and the
// places of those that have it.
func (d *sourceDecoder) byKind(c columnar.Col, do func(f *sourceField, places []int32)) {
	if f, same := d.sameField(c); same {
		do(f, d.every)
		return
	}
	for n, k := range d.kinds {
		do(d.fieldIn(c, k), d.ofKind[n])
	}
}

// columnNumbers finds the numbers of a column of the records. It returns false, and has done
// nothing, if they are not all columns of numbers.
func (d *sourceDecoder) columnNumbers(values []int64, c columnar.Col, records []int32, t *Tally) bool {
	for _, k := range d.kinds {
		if f := d.fieldIn(c, k); f != nil && !(f.numbers && len(f.where) == 0 && f.otherwise == nil && f.scale == 1) {
			return false
		}
	}
	for j := range values {
		values[j] = columnar.Null
	}
	d.byKind(c, func(f *sourceField, places []int32) {
		if f == nil {
			return
		}
		left := append(d.left[0][:0], places...)
		d.left[0] = left
		for _, slot := range f.slots {
			column := d.w.columns[slot]
			ints, at := column.numbers(), column.at[d.w.from:]
			without := left[:0]
			for _, j := range left {
				value := at[records[j]]
				switch {
				case value < 0 || column.held == heldTimes && ints[value] == noTime:
					without = append(without, j)
				case 0 <= ints[value] && ints[value] <= f.most:
					values[j] = ints[value]
				default:
					values[j] = d.integer(f, records[j], t)
				}
			}
			left = without
		}
	})
	return true
}

// codes puts the texts of the records by their codes. It returns false, and has done
// nothing, if a field is not coded.
func (d *sourceDecoder) codes(b *columnar.Builder, c columnar.Col, records []int32, t *Tally) bool {
	for _, k := range d.kinds {
		for f := d.fieldIn(c, k); f != nil; f = f.otherwise {
			if !f.coded {
				return false
			}
		}
	}
	dict := b.Dict(c)
	d.found = slices.Grow(d.found[:0], len(records))[:len(records)]
	d.byKind(c, func(f *sourceField, places []int32) {
		d.code(dict, f, places, records, t)
	})
	b.PutCodes(c, d.found)
	return true
}

// lookUp makes the codes of those of the values known that have none yet and that records
// have; their texts count as they stand. A dictionary finds many texts in a third of the time
// that it takes to find one after another.
func (d *sourceDecoder) lookUp(dict *columnar.Dict, f *sourceField, column *rowColumn, known, places, records []int32) {
	asked, spans, at := d.some[:0], d.spans[:0], column.at[d.w.from:]
	for _, j := range places {
		value := at[records[j]]
		if value < 0 || known[value] != notRead {
			continue
		}
		known[value] = readsOnward
		if !f.lacks(column.show(value)) {
			asked, spans = append(asked, value), append(spans, column.shown.spans[value])
		}
	}
	codes := slices.Grow(d.someCode[:0], len(asked))[:len(asked)]
	dict.Codes(codes, column.shown.text, spans)
	for n, value := range asked {
		known[value] = codes[n]
	}
	d.some, d.spans, d.someCode = asked, spans, codes
}

// code finds the codes of a coded field in some records, as textOf their texts.
func (d *sourceDecoder) code(dict *columnar.Dict, f *sourceField, places, records []int32, t *Tally) {
	w, codes := d.w, d.found
	left, rest := append(d.left[0][:0], places...), d.left[1][:0]
	for ; f != nil && len(left) > 0; f = f.otherwise {
		if len(f.where) > 0 {
			meet := left[:0]
			for _, j := range left {
				if allHold(f.where, w, int(records[j])) {
					meet = append(meet, j)
				} else {
					rest = append(rest, j)
				}
			}
			left = meet
		}
		if len(f.slots) == 0 {
			code := dict.Code(f.text)
			for _, j := range left {
				codes[j] = code
			}
			left = left[:0]
		}
		for s, slot := range f.slots {
			column := w.columns[slot]
			known, at := f.memos[s].codesOf(column, dict), column.at[w.from:]
			if f.direct && f.read == readText {
				d.lookUp(dict, f, column, known, left, records)
			}
			onward := left[:0]
			for _, j := range left {
				code := int32(readsOnward)
				if value := at[records[j]]; value >= 0 {
					if code = known[value]; code == notRead {
						code = d.readCode(dict, f, column.show(value))
						known[value] = code
					}
				}
				switch {
				case code > 0:
					codes[j] = code
				case code == readsOnward:
					onward = append(onward, j)
				case code == hostless:
					codes[j] = 0
					t.Unread(w.records[records[j]], f.col, w.text(int(records[j]), slot), withoutHost)
				case f.otherwise != nil:
					rest = append(rest, j)
				default:
					codes[j] = 0
				}
			}
			left = onward
		}
		left, rest = append(rest, left...), left[:0]
	}
	for _, j := range left {
		codes[j] = 0
	}
	d.left = [2][]int32{left, rest}
}

// readCode reads a text as a coded field.
func (d *sourceDecoder) readCode(dict *columnar.Dict, f *sourceField, text []byte) int32 {
	if f.lacks(text) || f.null(text) {
		return readsOnward
	}
	if !f.direct {
		text, _ = d.read(f, text)
	}
	if f.lacks(text) && f.otherwise != nil {
		return 0
	}
	if f.read == readHost {
		host := scan.URLHost(text)
		if len(host) == 0 && !scan.Unknown(text) && text[0] != '/' {
			return hostless
		}
		return dict.Code(columnar.Lower(host, &d.copied))
	}
	return dict.Code(text)
}
