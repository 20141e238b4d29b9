package logs

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"time"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// How the records of a vendor's log become rows: column by column, a window of records
// at a time.

// A window holds records, and of each the texts that a source reads.
type window struct {
	data    []byte // what most texts stand in
	side    []byte // the others, as those with escapes
	slots   int
	n       int
	records []int64
	cells   []columnar.Span // of record i from i*slots on; the zero value: the record has no such name
	next    int64           // number of the record that is read next
	none    []columnar.Span
	longest int    // of the texts of Parquet columns, in bytes
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

// beginMany adds n records, which follow one another.
func (w *window) beginMany(record int64, n int) {
	w.n += n
	for i := range n {
		w.records = append(w.records, record+int64(i))
	}
	at := len(w.cells)
	w.cells = slices.Grow(w.cells, n*w.slots)[:at+n*w.slots]
	clear(w.cells[at:])
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
func (w *window) put(slot int, text []byte) {
	begin := uint32(len(w.side)) | inSide
	w.side = append(w.side, text...)
	w.cells[(w.n-1)*w.slots+slot] = columnar.Span{Begin: begin, End: uint32(len(w.side)) | inSide}
}

// add adds a text to the list that the last record has; a single text is no list.
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

// noNumber marks a record without a number. A number of this value is stored as the next
// one: columns treat all negative numbers alike.
const noNumber = -1<<63 + 1

// setNumber gives record i a number in the place of a text, of a slot that only fields
// with sourceField.numbers read.
func (w *window) setNumber(i, slot int, v int64) {
	if v == noNumber {
		v++
	}
	u := uint64(v ^ noNumber)
	w.cells[i*w.slots+slot] = columnar.Span{Begin: uint32(u >> 32), End: uint32(u)}
}

// number returns the number of record i.
func (w *window) number(i, slot int) (v int64, ok bool) {
	s := w.cells[i*w.slots+slot]
	v = int64(uint64(s.Begin)<<32|uint64(s.End)) ^ noNumber
	return v, v != noNumber
}

// has reports whether record i has a text, if only an empty one.
func (w *window) has(i, slot int) bool { return w.cells[i*w.slots+slot] != columnar.Span{} }

// text returns the text of record i.
func (w *window) text(i, slot int) []byte {
	s := w.cells[i*w.slots+slot]
	if s.Begin&inSide != 0 {
		return w.side[s.Begin&^inSide : s.End&^inSide]
	}
	return w.data[s.Begin:s.End]
}

// A condition is a Condition on a slot.
type condition struct {
	slot int
	Condition
}

func (c *condition) holds(w *window, i int) bool { return c.meets(w.text(i, c.slot)) }

// meets reports whether a text is one that the condition holds for.
func (c *Condition) meets(text []byte) bool {
	if c.Present != nil && scan.Unknown(text) == *c.Present {
		return false
	}
	if c.Internal != nil && (scan.Unknown(text) || scan.IsInternal(text) != *c.Internal) {
		return false
	}
	if len(c.Is) > 0 && !c.Is.has(text) || c.Not.has(text) {
		return false
	}
	for _, s := range c.Prefix {
		if len(text) >= len(s) && string(text[:len(s)]) == s {
			return true
		}
	}
	return len(c.Prefix) == 0
}

func allHold(where []condition, w *window, i int) bool {
	for k := range where {
		if !where[k].holds(w, i) {
			return false
		}
	}
	return true
}

// A sourceRow is a compiled SourceRow.
type sourceRow struct {
	where  []condition
	other  string
	table  *columnar.Table
	fields [columnar.NumCols]*sourceField
	// inherited are the columns whose field is that of the source.
	inherited columnar.Cols
	// What SourceRow.Swap says: the conditions, and the fields where they hold.
	swap    []condition
	outside bool
	swapped [columnar.NumCols]*sourceField
}

// A sourceField is a column of a row.
type sourceField struct {
	field
	column   Column
	slots    []int // in order of preference
	join     []int // the texts that are put together
	clockAt  int   // where the time of day stands in texts of the layout unit; -1: not known
	zoned    bool  // unit has a zone
	dateSlot int   // -1: none
	zoneSlot int   // -1: none
	unlike   []int
	where    []condition
	match    *regexp.Regexp
	part     int  // index in partNames and one; 0: the whole text
	direct   bool // the text counts as it stands in the record
	numbers  bool // its slots have numbers, see window.setNumber
	// inPlace says that the text is the first of slots that says something, or a part of
	// it, whatever the record is.
	inPlace bool
	// otherwise is read where the field says nothing; or nil.
	otherwise *sourceField
}

// of returns the field as one of another column of the same kind. Of nil it is a field that
// no record has.
func (f *sourceField) of(c columnar.Col) *sourceField {
	if f == nil {
		return &sourceField{field: newField(c, -1), clockAt: -1, dateSlot: -1, zoneSlot: -1, direct: true}
	}
	g := *f
	g.col, g.bad, g.negative = c, newField(c, -1).bad, newField(c, -1).negative
	return &g
}

// The parts of a text that a column can be.
const (
	_           = iota
	partHost    // host of a URL or of host:port
	partPath    // path of a URL, without the query
	partAddress // address of address:port
	partPort    // port of address:port or host:port
	partName    // what stands behind the last / or \
	partDir     // what stands before the last / or \
	partMail    // e-mail address in brackets at the end; else the whole text
	partCaller  // whom an ARN of AWS, or the id of a principal, names
	numParts
)

var partNames = [numParts - 1]string{"host", "path", "address", "port", "name", "folder", "mail", "caller"}

// partOf returns a part of text, which stands in it.
func partOf(part int, text []byte) []byte {
	switch part {
	case partHost:
		return scan.URLHost(text)
	case partPath:
		return scan.URLPath(text)
	case partAddress, partPort:
		at := bytes.LastIndexByte(text, ':')
		if at >= 0 && bytes.IndexByte(text, ':') != at && (at == 0 || text[at-1] != ']') {
			at = -1 // an address of version 6 alone
		}
		switch {
		case at < 0 && part == partPort:
			return nil
		case at < 0:
			return text
		case part == partPort:
			return text[at+1:]
		}
		return text[:at]
	case partName:
		return text[bytes.LastIndexAny(text, `/\`)+1:]
	case partDir:
		return text[:max(bytes.LastIndexAny(text, `/\`), 0)]
	case partMail:
		mail := bytes.TrimRight(text[bytes.LastIndexByte(text, '(')+1:], ")")
		mail = bytes.TrimPrefix(mail, []byte("mailto:"))
		if len(mail) < len(text) && bytes.IndexByte(mail, '@') > 0 && bytes.IndexByte(mail, ' ') < 0 {
			return mail
		}
	case partCaller:
		return callerOf(text)
	}
	return text
}

// word returns the nth word of text, from 1.
func word(n int, text []byte) (word []byte) {
	for ; n > 0; n-- {
		text = bytes.TrimLeft(text, " ")
		word = text
		if i := bytes.IndexByte(text, ' '); i >= 0 {
			word, text = text[:i], text[i:]
		} else {
			text = nil
		}
	}
	return word
}

// A sourceDecoder decodes the log of a vendor.
type sourceDecoder struct {
	*sourcePlan
	reader recordReader
	w      *window
	set    setter

	rowOf    []int32 // by record: which row, -1 if none
	swapped  []bool  // by record
	tables   [columnar.NumTables]sourceTable
	selected []int32 // records of the table at hand
	kinds    []kind  // of the selected records, each once
	ints     []int64
	spans    []columnar.Span
	copied   []byte
	joined   []byte
	digits   []byte       // of a number that is wanted as text
	numbers  []int64      // of records, for Builder
	parquet  *parquetRows // nil until a row group is decoded
	lastTime []byte       // the last text that was a time, its field and its value
	lastOf   *sourceField
	lastUS   int64
}

// A kind says how a record becomes a row. Records of one kind have the same fields.
type kind struct {
	row     int32
	swapped bool
}

// A sourceTable is what becomes of the records of a table.
type sourceTable struct {
	builder *columnar.Builder
	cols    []columnar.Col // those that are wanted and that a row can have, but time
	always  []keptSlot     // that are read of all records
	kept    []keptSlot     // that are read of the calls asked for
	asked   askedCalls
}

// A keptSlot is a field that rules read.
type keptSlot struct {
	name string
	slot int
}

func (p *sourcePlan) decoder(o *Options) (Decoder, error) {
	// Fields that rules read are further slots, of this object's decoder alone.
	q := *p
	q.slots = slices.Clone(p.slots)
	for _, t := range p.tables() {
		for _, name := range o.WantFields[t.ID].Of(p.source.origin()).Names() {
			if !slices.ContainsFunc(q.slots, func(s slot) bool { return s.kept == name }) {
				q.slots = append(q.slots, slot{name: p.source.ruleName(name), kept: name})
			}
		}
	}
	d := &sourceDecoder{sourcePlan: &q, set: setter{clock: o.clock()}, w: newWindow(len(q.slots))}
	if p.source.UTC {
		d.set.clock.Zone = nil
	}
	var err error
	d.reader, err = p.container.open(&q)
	return d, err
}

func (d *sourceDecoder) Decode(b *Block, out *columnar.Out, t *Tally) error {
	if b.Part != nil {
		return d.group(b, out, t)
	}
	if b.Header != nil {
		if err := d.reader.use(b.Header); err != nil {
			return err
		}
	}
	d.set.outer = b.outer()
	d.w.reset(b.Data, b.First, t)
	d.w.drain = func() { d.rowsOf(out, t) }
	for data := b.Data; len(data) > 0; {
		data = d.reader.read(data, d.w, t)
		d.w.drain()
		d.w.empty()
	}
	return nil
}

// unknownRecord is the reason to skip a record that no row of the source fits.
const unknownRecord = "of no kind that the source knows"

// rowsOf puts the records of the window into their tables.
func (d *sourceDecoder) rowsOf(out *columnar.Out, t *Tally) {
	w := d.w
	d.rowOf, d.swapped = slices.Grow(d.rowOf[:0], w.n)[:w.n], slices.Grow(d.swapped[:0], w.n)[:w.n]
	var tables columnar.Cols // a set of their numbers
	for i := range w.n {
		d.rowOf[i], d.swapped[i] = -1, false
		r := 0
		for r < len(d.rows) && !allHold(d.rows[r].where, w, i) {
			r++
		}
		if r == len(d.rows) {
			t.Skip(w.records[i], unknownRecord)
			continue
		}
		row := &d.rows[r]
		if row.table == nil {
			t.Known(row.other)
			continue
		}
		d.rowOf[i] = int32(r)
		tables |= 1 << row.table.ID
		if len(row.swap) > 0 || row.outside {
			d.swapped[i] = allHold(row.swap, w, i) && (!row.outside || d.outside(row, i))
		}
	}
	for _, table := range columnar.Tables {
		if tables>>table.ID&1 == 0 {
			continue
		}
		d.selected, d.kinds = d.selected[:0], d.kinds[:0]
		last := kind{row: -1}
		for i, r := range d.rowOf {
			if r < 0 || d.rows[r].table != table {
				continue
			}
			d.selected = append(d.selected, int32(i))
			if k := (kind{r, d.swapped[i]}); k != last {
				if last = k; !slices.Contains(d.kinds, k) {
					d.kinds = append(d.kinds, k)
				}
			}
		}
		d.table(table, out.Table(table), t)
	}
}

// outside reports whether a flow comes from outside to an internal address.
func (d *sourceDecoder) outside(row *sourceRow, i int) bool {
	src, _ := d.textOf(row.fields[columnar.SrcIP], i)
	if scan.IsInternal(src) {
		return false
	}
	dst, _ := d.textOf(row.fields[columnar.DstIP], i)
	return scan.IsInternal(dst)
}

// table puts the selected records into a table.
func (d *sourceDecoder) table(table *columnar.Table, b *columnar.Builder, t *Tally) {
	to := &d.tables[table.ID]
	if to.builder != b {
		d.open(to, b, table)
	}
	for records := d.times(t); len(records) > 0; {
		n := min(len(records), b.Room())
		run := records[:n]
		b.PutTimes(d.ints[len(d.ints)-len(records):][:n])
		d.numbers = d.numbers[:0]
		for _, i := range run {
			d.numbers = append(d.numbers, d.w.records[i])
		}
		for _, c := range to.cols {
			if c.Kind() >= columnar.Int64 {
				d.integers(b, c, run, t)
			} else {
				d.texts(b, c, run)
			}
		}
		if len(to.always)+len(to.kept) > 0 {
			d.keep(b, to, run)
		}
		b.NextRows(d.numbers)
		t.Records += int64(n)
		t.Rows += int64(n)
		records = records[n:]
	}
}

func (d *sourceDecoder) open(to *sourceTable, b *columnar.Builder, table *columnar.Table) {
	to.builder, to.cols, to.always, to.kept = b, nil, nil, nil
	for _, c := range table.Cols {
		wanted := b.Wants(c) || c == columnar.Query && b.Wants(columnar.Domain)
		if c != columnar.Time && wanted && slices.ContainsFunc(d.rows, func(r sourceRow) bool {
			return r.table == table && (r.fields[c] != nil || r.swapped[c] != nil)
		}) {
			to.cols = append(to.cols, c)
		}
	}
	fields := b.WantedFields()
	always := fields.Always().Names()
	for i, s := range d.slots {
		if s.kept != "" && b.WantsField(s.kept) {
			if slices.Contains(always, s.kept) {
				to.always = append(to.always, keptSlot{s.kept, i})
			} else {
				to.kept = append(to.kept, keptSlot{s.kept, i})
			}
		}
	}
	to.asked = newAskedCalls(fields)
}

// fieldOf returns the field of a column in record i, nil if it has none.
func (d *sourceDecoder) fieldOf(c columnar.Col, i int32) *sourceField {
	return d.fieldIn(c, kind{d.rowOf[i], d.swapped[i]})
}

func (d *sourceDecoder) fieldIn(c columnar.Col, k kind) *sourceField {
	row := &d.rows[k.row]
	if k.swapped && row.swapped[c] != nil {
		return row.swapped[c]
	}
	return row.fields[c]
}

// sameField returns the field of a column, if it is the same for all selected records. A nil
// field means that none of them has the column.
func (d *sourceDecoder) sameField(c columnar.Col) (f *sourceField, same bool) {
	f = d.fieldIn(c, d.kinds[0])
	for _, k := range d.kinds[1:] {
		if d.fieldIn(c, k) != f {
			return nil, false
		}
	}
	return f, true
}

// spansOf finds the texts of a field that is in place, into d.spans. It returns false if one
// does not stand in window.data.
func (d *sourceDecoder) spansOf(f *sourceField, records []int32) bool {
	w := d.w
	d.spans = slices.Grow(d.spans[:0], len(records))[:len(records)]
	for k, i := range records {
		at := int(i) * w.slots
		var s columnar.Span
		for _, slot := range f.slots {
			if s = w.cells[at+slot]; s.Begin&inSide != 0 {
				return false
			}
			if !scan.Unknown(w.data[s.Begin:s.End]) {
				break
			}
			s = columnar.Span{}
		}
		d.spans[k] = s
	}
	if !f.direct {
		for k, s := range d.spans {
			if s.Begin < s.End {
				d.spans[k] = spanOf(w.data, d.within(f, w.data[s.Begin:s.End]))
			}
		}
	}
	return true
}

// times reads the times of the selected records into d.ints, skips those without one,
// and returns the others.
func (d *sourceDecoder) times(t *Tally) []int32 {
	d.ints = d.ints[:0]
	kept := d.selected[:0]
	for _, i := range d.selected {
		f := d.fieldOf(columnar.Time, i)
		us, reason := d.time(f, int(i))
		if reason != "" {
			t.Skip(d.w.records[i], reason)
			continue
		}
		kept = append(kept, i)
		d.ints = append(d.ints, us)
	}
	return kept
}

func (d *sourceDecoder) time(f *sourceField, i int) (us int64, reason string) {
	if v, ok := d.number(f, i); ok && v >= 0 {
		if us, ok := d.set.clock.EpochOf(v); ok {
			return us, ""
		}
	}
	text, _ := d.textOf(f, i)
	var date []byte
	if f.dateSlot >= 0 {
		date = d.w.text(i, f.dateSlot)
	}
	if f.zoneSlot >= 0 && bytes.IndexByte(text, ':') >= 0 {
		if zone := d.w.text(i, f.zoneSlot); !scan.Unknown(zone) {
			d.joined = append(append(d.joined[:0], text...), zone...)
			text = d.joined
		}
	}
	if f.unit == "" {
		if us, ok := d.set.clock.UTC(text); ok {
			return us, ""
		}
	}
	// Records of one second follow each other.
	if len(d.lastTime) > 0 && date == nil && bytes.Equal(text, d.lastTime) {
		return d.lastUS, ""
	}
	if us, ok := d.sameDay(f, text); ok && date == nil {
		d.lastTime, d.lastUS = append(d.lastTime[:0], text...), us
		return us, ""
	}
	us, reason = d.set.timeOf(&f.field, text, date)
	if reason != "" && reason != withoutTime {
		us, reason = d.plainTime(text, reason)
	}
	if reason == "" {
		d.lastTime, d.lastOf, d.lastUS = append(d.lastTime[:0], text...), f, us
	}
	if date != nil {
		d.lastTime = d.lastTime[:0]
	}
	us, reason = d.set.orOuter(d.w.records[i], us, reason)
	return us, reason
}

// sameDay reads a time that differs from the last one in nothing but the time of day.
func (d *sourceDecoder) sameDay(f *sourceField, text []byte) (us int64, ok bool) {
	at, behind := f.clockAt, f.clockAt+len("15:04:05")
	if at < 0 || f != d.lastOf || len(text) != len(d.lastTime) || len(text) < behind || !f.zoned && d.set.clock.Zone != nil && d.set.clock.Zone != time.UTC {
		return 0, false
	}
	if !bytes.Equal(text[:at], d.lastTime[:at]) || !bytes.Equal(text[behind:], d.lastTime[behind:]) || text[at+6] > '5' {
		return 0, false
	}
	day, ok1 := scan.TimeOfDay(text[at:])
	last, ok2 := scan.TimeOfDay(d.lastTime[at:])
	us = d.lastUS + day - last
	return us, ok1 && ok2 && d.set.clock.Within(us)
}

// plainTime reads a time that is not written as the source says, but as an epoch or in
// ISO 8601: what a vendor's feed writes may be set. Else it returns reason.
func (d *sourceDecoder) plainTime(text []byte, reason string) (int64, string) {
	us, ok := d.set.clock.ISO(text)
	if n, isInt := scan.Int(text); isInt {
		us, ok = d.set.clock.EpochOf(n)
	}
	if !ok {
		return 0, reason
	}
	return us, ""
}

// number returns the number of a column in record i, if it has one that needs no look at
// its text.
func (d *sourceDecoder) number(f *sourceField, i int) (v int64, ok bool) {
	if f == nil || !f.numbers || len(f.where) > 0 {
		return 0, false
	}
	for _, slot := range f.slots {
		if v, ok = d.w.number(i, slot); ok {
			break
		}
	}
	return v, ok
}

// textOf returns the text of a column in record i, nil if it has none, and whether it is
// a part of window.data which reaches as far.
func (d *sourceDecoder) textOf(f *sourceField, i int) (text []byte, inData bool) {
	for ; f != nil; f = f.otherwise {
		if f.direct && !f.numbers && len(f.where) == 0 && len(f.slots) > 0 { // most
			w := d.w
			for _, s := range f.slots {
				s := w.cells[i*w.slots+s]
				if s.Begin&inSide == 0 {
					text, inData = w.data[s.Begin:s.End], true
				} else {
					text, inData = w.side[s.Begin&^inSide:s.End&^inSide], false
				}
				if !scan.Unknown(text) {
					return text, inData
				}
			}
			continue
		}
		if len(f.where) > 0 && !allHold(f.where, d.w, i) {
			continue
		}
		if text, inData = d.ownText(f, i); f.otherwise == nil || !scan.Unknown(text) {
			return text, inData
		}
	}
	return nil, false
}

// ownText is textOf without what the field says of other records.
func (d *sourceDecoder) ownText(f *sourceField, i int) (text []byte, inData bool) {
	w := d.w
	inData = true
	switch {
	case f.numbers:
		v, ok := int64(0), false
		for k := 0; k < len(f.slots) && !ok; k++ {
			v, ok = w.number(i, f.slots[k])
		}
		if !ok {
			return nil, false
		}
		d.digits = strconv.AppendInt(d.digits[:0], v, 10)
		return d.digits, false
	case len(f.slots) > 0:
		at := i * w.slots
		for _, slot := range f.slots {
			s := w.cells[at+slot]
			if s.Begin&inSide != 0 {
				text, inData = w.side[s.Begin&^inSide:s.End&^inSide], false
			} else {
				text, inData = w.data[s.Begin:s.End], true
			}
			if !scan.Unknown(text) && !f.null(text) {
				break
			}
			text = nil
		}
	case len(f.join) > 0:
		inData = false
		text = d.join(f, i)
	default:
		text, inData = f.text, false
	}
	if f.direct || len(text) == 0 {
		return text, inData
	}
	for _, slot := range f.unlike {
		if bytes.Equal(text, w.text(i, slot)) {
			return nil, false
		}
	}
	if text = d.within(f, text); text == nil {
		return nil, false
	}
	if f.column.Texts != nil {
		if to, ok := f.column.Texts[string(text)]; ok {
			d.joined = append(d.joined[:0], to...)
			return d.joined, false
		}
	}
	return text, inData
}

// within returns the part of a text that a field is, nil if there is none.
func (d *sourceDecoder) within(f *sourceField, text []byte) []byte {
	if f.match != nil {
		m := f.match.FindSubmatchIndex(text)
		if m == nil || m[2] < 0 {
			return nil
		}
		text = text[m[2]:m[3]]
	}
	if f.column.Word > 0 {
		text = word(f.column.Word, text)
	}
	if text = partOf(f.part, text); scan.Unknown(text) {
		return nil
	}
	if f.column.Without != "" {
		if k := len(text) - len(f.column.Without); k >= 0 && string(text[k:]) == f.column.Without {
			text = text[:k]
		}
	}
	return text
}

// null reports whether a text is one that says nothing in this column.
func (f *sourceField) null(text []byte) bool {
	for _, s := range f.column.Null {
		if string(text) == s {
			return true
		}
	}
	return false
}

// join puts texts together, those that say something.
func (d *sourceDecoder) join(f *sourceField, i int) []byte {
	separator := f.column.Separator
	if separator == "" {
		separator = " "
	}
	d.joined = d.joined[:0]
	for _, slot := range f.join {
		if text := d.w.text(i, slot); !scan.Unknown(text) {
			if len(d.joined) > 0 {
				d.joined = append(d.joined, separator...)
			} else {
				d.joined = append(d.joined, f.column.Before...)
			}
			d.joined = append(d.joined, text...)
		}
	}
	return d.joined
}

// integers puts a number of the records.
func (d *sourceDecoder) integers(b *columnar.Builder, c columnar.Col, records []int32, t *Tally) {
	f, same := d.sameField(c)
	if same && f == nil {
		return
	}
	values := slices.Grow(d.ints[len(d.ints):], len(records))[:len(records)]
	if same && f.inPlace && !f.numbers && f.scale == 1 && d.spansOf(f, records) {
		for k, s := range d.spans {
			v, ok := scan.Digits(d.w.data, s.Begin, s.End)
			if !ok || v > f.most {
				v = columnar.Null
				if text := d.w.data[s.Begin:s.End]; !scan.Unknown(text) {
					var reason string
					if v, reason = f.number(text); reason != "" {
						v = columnar.Null
						t.Clear(d.w.records[records[k]], reason)
					}
				}
			}
			values[k] = v
		}
		b.PutInts(c, values)
		return
	}
	for k, i := range records {
		values[k] = columnar.Null
		f := d.fieldOf(c, i)
		if f == nil {
			continue
		}
		v, ok := d.number(f, int(i))
		switch {
		case ok && 0 <= v && v <= f.most && f.scale == 1:
			values[k] = v
			continue
		case !ok && f.numbers && len(f.where) == 0 && f.otherwise == nil:
			continue
		}
		text, _ := d.textOf(f, int(i))
		if scan.Unknown(text) {
			continue
		}
		if v, ok := scan.Int(text); ok && 0 <= v && v <= f.most && f.scale == 1 {
			values[k] = v
			continue
		}
		v, reason := f.number(text)
		if reason != "" {
			t.Clear(d.w.records[i], reason)
			continue
		}
		values[k] = v
	}
	b.PutInts(c, values)
}

// texts puts a text of the records.
func (d *sourceDecoder) texts(b *columnar.Builder, c columnar.Col, records []int32) {
	f, same := d.sameField(c)
	switch {
	case same && f == nil:
		return
	case same && f.inPlace && !f.numbers && f.read != readQueryType && f.read != readRcode && d.spansOf(f, records):
		for k, s := range d.spans {
			switch text := d.w.data[s.Begin:s.End]; f.read {
			case readHost:
				d.spans[k] = spanOf(d.w.data, scan.URLHost(text))
			case readPath:
				d.spans[k] = spanOf(d.w.data, scan.URLPath(text))
			}
		}
		d.put(b, c, f.read, d.w.data)
		return
	}
	d.spans = slices.Grow(d.spans[:0], len(records))[:len(records)]
	d.copied = d.copied[:0]
	data := d.w.data
	copies := false
	read := readText
	for k, i := range records {
		f := d.fieldOf(c, i)
		text, inData := d.textOf(f, int(i))
		if f != nil {
			read = f.read
		}
		switch {
		case len(text) == 0:
			d.spans[k] = columnar.Span{}
			continue
		case read == readHost:
			text = scan.URLHost(text)
		case read == readPath:
			text = scan.URLPath(text)
		case read == readQueryType, read == readRcode:
			text, inData = d.set.text(&f.field, text), false
		}
		if inData && !copies {
			d.spans[k] = spanOf(data, text)
			continue
		}
		if !copies {
			copies = true
			for j, s := range d.spans[:k] {
				d.spans[j] = d.copy(data[s.Begin:s.End])
			}
		}
		d.spans[k] = d.copy(text)
	}
	if copies {
		data = d.copied
	}
	d.put(b, c, read, data)
}

// put puts the texts of d.spans in data.
func (d *sourceDecoder) put(b *columnar.Builder, c columnar.Col, read reading, data []byte) {
	switch read {
	case readHost:
		b.PutLower(c, data, d.spans)
	case readQuery:
		b.PutQueries(data, d.spans)
	default:
		b.PutTexts(c, data, d.spans)
	}
}

func (d *sourceDecoder) copy(text []byte) columnar.Span {
	begin := uint32(len(d.copied))
	d.copied = append(d.copied, text...)
	return columnar.Span{Begin: begin, End: uint32(len(d.copied))}
}

// keep puts the fields that rules read of the records.
func (d *sourceDecoder) keep(b *columnar.Builder, to *sourceTable, records []int32) {
	put := func(row int, record int32, fields []keptSlot) {
		for _, k := range fields {
			if text := d.w.text(int(record), k.slot); !scan.Unknown(text) {
				b.PutFieldOf(row, k.name, text)
			}
		}
	}
	for j, i := range records {
		put(j, i, to.always)
		if len(to.kept) == 0 {
			continue
		}
		if operation, _ := d.textOf(d.fieldOf(columnar.Operation, i), int(i)); to.asked.has(operation) {
			put(j, i, to.kept)
		}
	}
}
