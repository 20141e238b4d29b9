package logs

import (
	"slices"

	"outflow/columnar"
)

// A window holds records, and of each the texts that a source reads.
type window struct {
	data    []byte // what most texts stand in
	side    []byte // the others, as those with escapes
	slots   int
	n       int
	records []int64
	cells   []columnar.Span // of record i from i*slots on; the zero value: the record has no such name
	columns []*rowColumn    // by slot: the column of a Parquet file that has its values; nil: they are in cells
	from    int             // which record of the columns the first is
	next    int64           // number of the record that is read next
	none    []columnar.Span
	longest int    // of the texts that lists and JSON of a Parquet file give, in bytes
	drain   func() // makes rows of the records; nil: they stay
	tally   *Tally // where readers say what of a record they cannot read
}

// windowRecords is how many records a window has at least when it is decoded. More would
// push their texts out of the cache before they are read; with fewer the cost of each
// column would show.
const windowRecords = 256

// inSide marks spans of window.side.
const inSide = 1 << 31

func newWindow(slots int) *window {
	return &window{slots: slots, none: make([]columnar.Span, slots)}
}

// reset makes the window one of data, whose first record has the number record.
func (w *window) reset(data []byte, record int64, t *Tally) {
	w.data, w.next, w.tally = data, record, t
	w.empty()
}

// empty drops the records.
func (w *window) empty() {
	w.n, w.records, w.cells, w.side = 0, w.records[:0], w.cells[:0], w.side[:0]
}

// full reports whether the window should be decoded before more is read.
func (w *window) full() bool { return w.n >= windowRecords }

// spill makes rows of the records if there are enough, and drops them but side[:keep]: a
// record of many elements need not fit in a window.
func (w *window) spill(keep int) {
	if !w.full() || w.drain == nil {
		return
	}
	w.drain()
	side := w.side[:keep]
	w.empty()
	w.side = side
}

// begin adds a record, which has no text yet.
func (w *window) begin(record int64) {
	w.n++
	w.records = append(w.records, record)
	w.cells = append(w.cells, w.none...)
}

// beginMany adds n records, which follow one another; they have cells if celled is set.
func (w *window) beginMany(record int64, n int, celled bool) {
	w.n += n
	for i := range n {
		w.records = append(w.records, record+int64(i))
	}
	if celled {
		at := len(w.cells)
		w.cells = slices.Grow(w.cells, n*w.slots)[:at+n*w.slots]
		clear(w.cells[at:])
	}
}

// back takes back the last record.
func (w *window) back() {
	w.n--
	w.records, w.cells = w.records[:w.n], w.cells[:w.n*w.slots]
}

// set gives the last record a text that is a part of data which reaches as far.
func (w *window) set(slot int, text []byte) {
	begin := uint32(cap(w.data) - cap(text))
	w.cells[(w.n-1)*w.slots+slot] = columnar.Span{Begin: begin, End: begin + uint32(len(text))}
}

// put gives the last record a copy of a text.
func (w *window) put(slot int, text []byte) { w.putIn(w.n-1, slot, text) }

// putIn gives record i a copy of a text.
func (w *window) putIn(i, slot int, text []byte) {
	begin := uint32(len(w.side)) | inSide
	w.side = append(w.side, text...)
	w.cells[i*w.slots+slot] = columnar.Span{Begin: begin, End: uint32(len(w.side)) | inSide}
}

// add adds a text to the list of the last record. A single text stays a text.
func (w *window) add(slot int, text []byte) {
	if !w.has(w.n-1, slot) {
		w.put(slot, text)
		return
	}
	cell := &w.cells[(w.n-1)*w.slots+slot]
	list := w.text(w.n-1, slot)
	if len(list) == 0 || list[0] != columnar.ListMark {
		begin := len(w.side)
		w.side = columnar.AppendList(w.side, list)
		cell.Begin, cell.End = uint32(begin)|inSide, uint32(len(w.side))|inSide
	} else if cell.End&^inSide != uint32(len(w.side)) { // another list was added to since
		begin := len(w.side)
		w.side = append(w.side, list...)
		cell.Begin = uint32(begin) | inSide
	}
	w.side = columnar.AppendList(w.side, text)
	cell.End = uint32(len(w.side)) | inSide
}

// clear says that something in the last record cannot be read, which stays without it.
func (w *window) clear(reason string) { w.tally.Clear(w.records[w.n-1], reason) }

// has reports whether record i has a text, if only an empty one.
func (w *window) has(i, slot int) bool { return w.cells[i*w.slots+slot] != columnar.Span{} }

// mayHave reports whether record i may have a text, if only an empty one. It does not look at columns of Parquet.
func (w *window) mayHave(i, slot int) bool { return w.columns != nil || w.has(i, slot) }

// text returns the text of record i.
func (w *window) text(i, slot int) []byte {
	text, _ := w.cell(i, slot)
	return text
}

// cell returns the text of record i, and whether it is a part of data which reaches as far.
func (w *window) cell(i, slot int) (text []byte, inData bool) {
	if w.columns != nil && w.columns[slot] != nil {
		return w.columns[slot].textOf(w.from + i), false
	}
	if i*w.slots >= len(w.cells) { // of records without cells
		return nil, false
	}
	s := w.cells[i*w.slots+slot]
	if s.Begin&inSide != 0 {
		return w.side[s.Begin&^inSide : s.End&^inSide], false
	}
	return w.data[s.Begin:s.End], true
}
