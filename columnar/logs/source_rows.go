package logs

import (
	"bytes"
	"regexp"
	"slices"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// How the records of a vendor's log become rows: column by column, a window of records
// at a time.

// A condition is a Condition on a slot.
type condition struct {
	slot int
	Condition
	needs bool       // no record without a text in the slot meets it
	inner int        // the slot of Around, if that is set
	memo  *valueMemo // of a Parquet column; or nil
}

// isAround reports whether a text is a number that is another with up to maxAround more. One that says
// nothing is 0: no body.
func isAround(text, inner []byte) bool {
	n, ok := scan.Int(text)
	body := int64(0)
	if !scan.Unknown(inner) {
		var isNumber bool
		if body, isNumber = scan.Int(inner); !isNumber {
			return false
		}
	}
	return ok && body >= 0 && body <= n && n-body <= maxAround
}

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
	return (len(c.Prefix) == 0 || c.Prefix.begin(text)) && (len(c.Suffix) == 0 || c.Suffix.end(text)) &&
		(len(c.Contains) == 0 || c.Contains.within(text))
}

func allHold(where []condition, w *window, i int) bool {
	for k := range where {
		if c := &where[k]; c.needs && !w.mayHave(i, c.slot) || !c.holds(w, i) {
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
	times    int   // the slot of column.Times; -1: none
	unlike   []int
	where    []condition
	match    *regexp.Regexp
	part     int         // index in partNames and one; 0: the whole text
	direct   bool        // the text counts as it stands in the record
	joined   bool        // the texts of join count as they stand in the record
	numbers  bool        // its slots are columns of numbers
	coded    bool        // its slots are columns whose values become codes
	memos    []valueMemo // of a coded field, as slots
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
		return &sourceField{field: newField(c, -1), clockAt: -1, dateSlot: -1, zoneSlot: -1, times: -1, direct: true}
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
	partUser    // a user name, without the escapes of web servers and proxies
	numParts
)

var partNames = [numParts - 1]string{"host", "path", "address", "port", "name", "folder", "mail", "caller", "user"}

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
		for len(text) > 0 && text[0] == ' ' {
			text = text[1:]
		}
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
	chosen chosenTexts
	said   *remembered // nil: no record says anything for later ones
	w      *window
	set    setter

	rowOf    []int32 // by record: which row, -1 if none
	swapped  []bool  // by record
	tables   [columnar.NumTables]sourceTable
	selected []int32 // records of the table at hand
	kinds    []kind  // of the selected records, each once
	ints     []int64 // the times of the selected records
	values   []int64 // of the column at hand
	spans    []columnar.Span
	copied   []byte
	joined   []byte
	numbers  []int64 // of records, for Builder
	found    []int32 // codes, for Builder
	some     []int32 // values that have no code yet, and their codes
	someCode []int32
	parquet  *parquetRows // nil until a row group is decoded
	every    []int32      // places of the records that are put
	ofKind   [][]int32    // those of each kind
	left     [2][]int32   // places of records that have no code yet
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
				q.slots = append(q.slots, slot{name: p.source.RulesIn.nameOf(name), kept: name})
			}
		}
	}
	d := &sourceDecoder{sourcePlan: &q, set: setter{clock: o.clock()}, w: newWindow(len(q.slots))}
	if p.source.UTC {
		d.set.clock.Zone = nil
	}
	if len(p.source.Remember.By) > 0 {
		d.said = newRemembered(&q)
	}
	var err error
	d.reader, err = p.container.open(&q)
	return d, err
}

func (d *sourceDecoder) Decode(b *Block, out *columnar.Out, t *Tally) error {
	if b.Part != nil {
		return d.group(b, out, t)
	}
	if d.said != nil {
		d.recallFrom(b.Header)
	} else if b.Header != nil {
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
const unknownRecord = "record type not in the source definition"

// rowsOf puts the records of the window into their tables.
func (d *sourceDecoder) rowsOf(out *columnar.Out, t *Tally) {
	w := d.w
	if d.said != nil {
		d.said.recall(w)
	}
	d.rowOf, d.swapped = slices.Grow(d.rowOf[:0], w.n)[:w.n], slices.Grow(d.swapped[:0], w.n)[:w.n]
	var tables columnar.Cols // a set of their numbers
	for i := range w.n {
		d.rowOf[i], d.swapped[i] = -1, false
		r := 0
		if d.choice != nil && d.parquet == nil {
			r = d.choice.row(w, i, &d.chosen)
		} else {
			for r < len(d.rows) && !allHold(d.rows[r].where, w, i) {
				r++
			}
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

// outside reports whether a flow comes from outside to an internal address, or from a
// file server inside.
func (d *sourceDecoder) outside(row *sourceRow, i int) bool {
	if dst, _ := d.textOf(row.fields[columnar.DstIP], i); !scan.IsInternal(dst) {
		return false
	}
	if src, _ := d.textOf(row.fields[columnar.SrcIP], i); !scan.IsInternal(src) {
		return true
	}
	sourcePort, port := row.swapped[columnar.DstPort], row.fields[columnar.DstPort]
	if sourcePort == nil || port == nil {
		return false
	}
	from, _ := d.textOf(sourcePort, i)
	to, _ := d.textOf(port, i)
	return scan.FromFileServer(from, to)
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
		if d.parquet != nil {
			d.place(run)
		}
		for _, c := range to.cols {
			if c.Kind() >= columnar.Int64 {
				d.integers(b, c, run, t)
			} else {
				d.texts(b, c, run, t)
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
