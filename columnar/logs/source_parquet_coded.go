package logs

import (
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Columns of a Parquet file whose texts become codes of a batch: each text of a dictionary is
// read and looked up once, and a row then takes its code.

// A codedColumn has what the records of a window have in slots that only coded fields read.
type codedColumn struct {
	at      []int32 // by record: which of the texts, -1 if it has none
	text    []byte
	spans   []columnar.Span
	version uint32 // another one for other texts
	each    bool   // each text is of one record: they are in no dictionary
}

// textOf returns the text of record i, nil if it has none.
func (c *codedColumn) textOf(i int) []byte {
	if c == nil || c.at[i] < 0 {
		return nil
	}
	span := c.spans[c.at[i]]
	return c.text[span.Begin:span.End]
}

// A codeMemo has the codes of the texts of a slot as a field reads them: 0 if a text says
// nothing.
type codeMemo struct {
	dict    *columnar.Dict
	version uint32
	codes   []int32 // by text; or one of the following
}

const (
	notRead     = -1
	readsOnward = -2 // the text is as none: the next slot counts
)

// slotsOfCodes returns the slots that are filled from columns of texts and that only the
// texts of dictionaries are read from, and notes in the fields of the rows whose slots are.
func (d *sourceDecoder) slotsOfCodes(part *parquetPart) []bool {
	coded := make([]bool, len(d.slots))
	for slot, s := range d.slots {
		leaf := part.leafOf(s)
		coded[slot] = leaf >= 0 && s.kept == "" && part.leaves[leaf].isText() &&
			!slices.ContainsFunc(d.source.Embedded, func(e string) bool { return strings.EqualFold(e, part.leaves[leaf].name) })
	}
	not := func(slots ...int) (found bool) {
		for _, slot := range slots {
			if slot >= 0 && coded[slot] {
				coded[slot], found = false, true
			}
		}
		return found
	}
	conditions := func(where []condition) {
		for _, c := range where {
			not(c.slot)
		}
	}
	for i := range d.rows {
		conditions(d.rows[i].where)
		conditions(d.rows[i].swap)
	}
	for again := true; again; { // what one field reads otherwise is not coded in another
		again = false
		d.eachField(func(c columnar.Col, f *sourceField) {
			conditions(f.where)
			f.coded = c.Kind() == columnar.Dictionary && (f.read == readText || f.read == readHost) && len(f.slots) > 0 && len(f.where)+len(f.join)+len(f.unlike) == 0 &&
				!slices.ContainsFunc(f.slots, func(slot int) bool { return !coded[slot] })
			if !f.coded && not(f.slots...) {
				again = true
			}
			if not(f.join...) || not(f.unlike...) || not(f.dateSlot, f.zoneSlot) {
				again = true
			}
		})
	}
	d.eachField(func(_ columnar.Col, f *sourceField) {
		if f.coded {
			f.memos = make([]codeMemo, len(f.slots))
		}
	})
	return coded
}

// isText reports whether the values of a leaf are texts as they stand in the file.
func (l *parquetLeaf) isText() bool {
	return l.index >= 0 && !l.repeats && l.kind == parquet.ByteArray && l.readable(l.sourceField()) == nil
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

// code gives the records of the window the column's texts as a coded column has them.
func (c *rowColumn) code(places []int32, records int) {
	to := &c.coded
	to.at = slices.Grow(to.at[:0], records)[:records]
	to.text, to.spans = c.text, c.spans
	inDictionary := c.stored == storedIndexes
	if inDictionary {
		to.text, to.spans = c.dict.text, c.dict.spans[:c.dict.size]
	}
	if !inDictionary || to.each || c.isNew {
		to.version++
	}
	to.each, c.isNew = !inDictionary, false
	value := int32(-1)
	for i, place := range places {
		if c.valid != nil && !c.valid[i] {
			if place >= 0 {
				to.at[place] = -1
			}
			continue
		}
		value++
		switch {
		case place < 0:
		case inDictionary:
			to.at[place] = int32(c.indexes[value])
		default:
			to.at[place] = value
		}
	}
}

// codes puts the texts of the records by their codes. It returns false, and has done
// nothing, if a field is not coded.
func (d *sourceDecoder) codes(b *columnar.Builder, c columnar.Col, records []int32) bool {
	for _, k := range d.kinds {
		for f := d.fieldIn(c, k); f != nil; f = f.otherwise {
			if !f.coded {
				return false
			}
		}
	}
	dict := b.Dict(c)
	codes := slices.Grow(d.found[:0], len(records))[:len(records)]
	d.found = codes
	for _, k := range d.kinds {
		f := d.fieldIn(c, k)
		if column := d.lookedUp(f); column != nil {
			d.lookUp(dict, column, k, records)
			continue
		}
		for j, i := range records {
			if k == d.kindOf(i) {
				codes[j] = d.codeOf(dict, f, int(i))
			}
		}
	}
	b.PutCodes(c, codes)
	return true
}

func (d *sourceDecoder) kindOf(i int32) kind { return kind{d.rowOf[i], d.swapped[i]} }

// lookedUp returns the column of a field whose texts are in no dictionary and count as they
// stand; else nil.
func (d *sourceDecoder) lookedUp(f *sourceField) *codedColumn {
	if f == nil || !f.direct || f.read != readText || f.otherwise != nil || len(f.slots) > 1 {
		return nil
	}
	if column := d.parquet.coded[f.slots[0]]; column != nil && column.each {
		return column
	}
	return nil
}

// lookUp finds the codes of a column's texts in the records of a kind: a dictionary finds
// many texts in a third of the time that it takes to find one after another.
func (d *sourceDecoder) lookUp(dict *columnar.Dict, column *codedColumn, k kind, records []int32) {
	d.spans = d.spans[:0]
	for _, i := range records {
		if k != d.kindOf(i) {
			continue
		}
		var span columnar.Span
		if at := column.at[d.parquet.from+int(i)]; at >= 0 {
			if span = column.spans[at]; scan.Unknown(column.text[span.Begin:span.End]) {
				span = columnar.Span{}
			}
		}
		d.spans = append(d.spans, span)
	}
	some := slices.Grow(d.some[:0], len(d.spans))[:len(d.spans)]
	d.some = some
	dict.Codes(some, column.text, d.spans)
	for j, i := range records {
		if k == d.kindOf(i) {
			d.found[j], some = some[0], some[1:]
		}
	}
}

// codeOf returns the code of a coded field in record i, as textOf its text.
func (d *sourceDecoder) codeOf(dict *columnar.Dict, f *sourceField, i int) int32 {
	for ; f != nil; f = f.otherwise {
		for s, slot := range f.slots {
			column := d.parquet.coded[slot]
			if column == nil {
				continue
			}
			at := column.at[d.parquet.from+i]
			if at < 0 {
				continue
			}
			m := &f.memos[s]
			if m.dict != dict || m.version != column.version {
				m.use(dict, column)
			}
			code := m.codes[at]
			if code == notRead {
				code = d.readCode(dict, f, column, at)
				m.codes[at] = code
			}
			if code > 0 || code == 0 && f.otherwise == nil {
				return code
			}
			if code == 0 {
				break
			}
		}
	}
	return 0
}

// use empties a memo for the texts of a column.
func (m *codeMemo) use(dict *columnar.Dict, column *codedColumn) {
	m.dict, m.version = dict, column.version
	m.codes = slices.Grow(m.codes[:0], len(column.spans))[:len(column.spans)]
	for i := range m.codes {
		m.codes[i] = notRead
	}
}

// readCode reads a text as a coded field.
func (d *sourceDecoder) readCode(dict *columnar.Dict, f *sourceField, column *codedColumn, at int32) int32 {
	span := column.spans[at]
	text := column.text[span.Begin:span.End]
	if scan.Unknown(text) || f.null(text) {
		return readsOnward
	}
	if !f.direct {
		text, _ = d.read(f, text)
	}
	if scan.Unknown(text) && f.otherwise != nil {
		return 0
	}
	if f.read == readHost {
		return dict.Code(columnar.Lower(scan.URLHost(text), &d.copied))
	}
	return dict.Code(text)
}
