package logs

import (
	"bytes"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Lines of fields with a separator between them as a container of vendors' records, and what
// containers of fields have in common.

// csvContainer reads fields with a separator between them, with a header or known by
// their number.
var csvContainer = &container{
	name:   "csv",
	quoted: true,
	embeds: true,
	begins: func(head []byte) bool {
		// A wrapper around the lines would be a part of the first field.
		var s syslogLine
		line, _ := scan.CutLine(head)
		return !inObject(head) && !s.parse(line)
	},
	open: func(p *sourcePlan) (recordReader, error) {
		r := &csvReader{fieldReader: newFieldReader(p), sep: ','}
		r.quoted = true
		if s := p.source.Separator; s != "" {
			r.sep, r.seps = s[0], []byte(s[1:])
		}
		r.headed = len(p.source.Layouts) == 0
		r.anySep = r.headed && p.source.Separator == ""
		return r, nil
	},
}

// A fieldReader gives records the texts of their fields.
type fieldReader struct {
	plan    *sourcePlan
	layouts [][]layoutSlot // by layout
	enough  int            // how many fields tell the layout and give all slots
	usual   int            // as enough, for records that no layout with conditions fits
	text    []byte         // what the record at hand stands in, and fields refer to
	fields  []columnar.Span
	quoted  bool // fields in quotes have these
	doubled bool // within the quotes may be more
	// bracketed is the number of the first field of the record at hand that stood in
	// brackets, 0 if none did.
	bracketed int
}

// anyFields is how many fields a record may have where a layout sets no limit, and maxFields
// how many are looked at: a record that has them fits none.
const (
	anyFields = 1 << 16
	maxFields = anyFields + 1
)

// A layoutSlot is a field that is read, and the slot that it gives.
type layoutSlot struct {
	field, slot int
	inner       *jsonNode
}

func newFieldReader(p *sourcePlan) fieldReader {
	r := fieldReader{plan: p}
	for i := range p.source.Layouts {
		l := &p.source.Layouts[i]
		slots := r.slots(l.Names)
		r.layouts = append(r.layouts, slots)
		enough := l.least
		if l.most < anyFields {
			enough = max(enough, l.most+1)
		}
		for _, s := range slots {
			enough = max(enough, s.field+1)
		}
		if l.where == nil {
			r.usual = max(r.usual, enough)
		}
		for _, c := range l.where {
			enough = max(enough, c.field+1)
			r.usual = max(r.usual, c.field+1)
		}
		r.enough = max(r.enough, enough)
	}
	return r
}

// limit returns how many fields of a record must be found if n are enough.
func limit(record []byte, n int) int {
	if len(record) > anyFields { // it may have more than any layout allows
		return maxFields
	}
	return n
}

// slots returns which fields of these names are read.
func (r *fieldReader) slots(names []string) (out []layoutSlot) {
	index := func(name string, same func(a, b string) bool) int {
		return slices.IndexFunc(names, func(have string) bool { return same(withoutZone(have), name) })
	}
	for i, s := range r.plan.slots {
		field, ok := fieldNumber(s.name)
		if !ok {
			field = index(s.name, func(a, b string) bool { return a == b })
		}
		if field < 0 {
			field = index(s.name, strings.EqualFold)
		}
		if field < 0 && s.kept != "" {
			field = index(s.name, func(a, b string) bool { return keptName(a) == keptName(b) })
		}
		if field >= 0 {
			out = append(out, layoutSlot{field: field, slot: i})
		}
	}
	for _, e := range r.plan.source.Embedded {
		field := index(e, strings.EqualFold)
		if field < 0 {
			continue
		}
		if node, _ := r.plan.embeddedNode(e, nil); node != nil { // the plan's compiling says its faults
			out = append(out, layoutSlot{field: field, inner: node})
		}
	}
	return out
}

// layout returns the number of the layout that the fields at hand fit, -1 if none.
func (r *fieldReader) layout() int {
	for i := range r.plan.source.Layouts {
		l := &r.plan.source.Layouts[i]
		if n := len(r.fields); n < l.least || n > l.most || l.Bracketed != 0 && l.Bracketed != r.bracketed {
			continue
		}
		if r.holds(l) {
			return i
		}
	}
	return -1
}

// holds reports whether the fields at hand hold the conditions of a layout.
func (r *fieldReader) holds(l *Layout) bool {
	for i := range l.where {
		if c := &l.where[i]; c.field >= len(r.fields) || !c.texts.has(bare(r.field(c.field))) {
			return false
		}
	}
	return true
}

// field returns a field of the record at hand, which reaches as far as text.
func (r *fieldReader) field(i int) []byte { return r.text[r.fields[i].Begin:r.fields[i].End] }

// conditional reports whether a layout with conditions may fit the fields at hand.
func (r *fieldReader) conditional() bool {
	for i := range r.plan.source.Layouts {
		if l := &r.plan.source.Layouts[i]; l.where != nil && r.holds(l) {
			return true
		}
	}
	return false
}

// record gives the last record of the window the texts of its fields.
func (r *fieldReader) record(w *window, slots []layoutSlot) {
	base := uint32(cap(w.data) - cap(r.text))
	cells := w.cells[(w.n-1)*w.slots:][:w.slots]
	if !r.doubled && len(r.plan.source.Embedded) == 0 { // most
		text, fields := r.text, r.fields
		for _, s := range slots {
			if s.field >= len(fields) {
				continue
			}
			f := fields[s.field]
			if r.quoted && f.End-f.Begin >= 2 && text[f.Begin] == '"' && text[f.End-1] == '"' {
				f.Begin, f.End = f.Begin+1, f.End-1
			}
			cells[s.slot] = columnar.Span{Begin: base + f.Begin, End: base + f.End}
		}
		return
	}
	for _, s := range slots {
		if s.field >= len(r.fields) {
			continue
		}
		f := r.fields[s.field]
		cell, inData := r.text[f.Begin:f.End], true
		if n := len(cell); r.quoted && n >= 2 && cell[0] == '"' && cell[n-1] == '"' {
			if inner := cell[1 : n-1]; !r.doubled || scan.IndexNear(inner, '"') < 0 {
				cell = inner
				f.Begin, f.End = f.Begin+1, f.End-1
			} else {
				cell, inData = unquote(cell, nil), false
			}
		}
		switch {
		case s.inner != nil:
			s.inner.embedded(cell, w, inData)
		case inData:
			cells[s.slot] = columnar.Span{Begin: base + f.Begin, End: base + f.End}
		default:
			w.put(s.slot, cell)
		}
	}
}

// bare returns a field without the quotes around it.
func bare(cell []byte) []byte {
	if n := len(cell); n >= 2 && cell[0] == '"' && cell[n-1] == '"' {
		return cell[1 : n-1]
	}
	return cell
}

// Reasons to skip a record of fields, beside tooFew and tooMany.
const noLayout = "not as many fields as the source knows"

// A csvReader reads csv.
type csvReader struct {
	fieldReader
	sep    byte
	seps   []byte // further separators, for records without the others
	headed bool   // the first line is a header
	anySep bool   // whose separator is the one that gives most names
	header []byte // in force
	named  []layoutSlot
	count  int // of fields that header names
	names  headerNames

	scanner scan.Fields
}

func (r *csvReader) use(header []byte) error {
	header = bytes.TrimRight(header, "\r\n")
	if r.headed && !bytes.Equal(header, r.header) {
		names := csvNames(header, r.sep)
		if r.anySep {
			names, r.sep = csvColumns(header)
		}
		r.header, r.named, r.count = slices.Clone(header), r.slots(names), len(names)
		r.names = headerNames{headerLine(header), r.sep, r.anySep, names}
	}
	return nil
}

func (r *csvReader) read(data []byte, w *window, t *Tally) []byte {
	if r.headed && r.header == nil {
		n := csvPreamble(data)
		countHeader(data[:n], t)
		w.next += int64(bytes.Count(data[:n], eol))
		data = data[n:]
	}
	if len(r.seps) > 0 {
		return r.readEach(data, w, t)
	}
	if r.anySep && r.header == nil {
		header := data[csvPreamble(data):]
		_, r.sep = csvColumns(bytes.TrimRight(header[:separatedEnd(header)], "\r\n"))
	}
	s, behind := &r.scanner, 0
	sep := r.sep
	for s.Reset(data, sep, '"'); sep == r.sep && !w.full() && s.Next(); {
		r.doubled = s.Doubled
		begin := 0
		for _, end := range s.Ends {
			pos := s.Pos[begin : end+1]
			begin = end
			line, record := w.next, data[pos[0]+1:pos[len(pos)-1]]
			if w.next++; s.Noted {
				w.next += int64(bytes.Count(record, eol))
			}
			if n := len(record); n > 0 && record[n-1] == '\r' {
				record = bytes.TrimRight(record, "\r")
			}
			if r.begins(record, t) {
				r.cut(data, pos, limit(record, r.most()))
				r.add(line, w, t)
			} else if r.sep != sep { // of a header: the records behind it have it
				break
			}
		}
		behind = min(int(s.Pos[begin])+1, len(data))
	}
	return data[behind:]
}

// readEach is read for logs with several separators: a record may use any of them.
func (r *csvReader) readEach(data []byte, w *window, t *Tally) []byte {
	r.doubled = true
	for len(data) > 0 && !w.full() {
		end := scan.LineEnd(data, 0)
		if bytes.IndexByte(data[:end], '"') >= 0 {
			end = separatedEnd(data)
		}
		record := data[:end]
		data = data[end:]
		line := w.next
		w.next += int64(bytes.Count(record, eol))
		if len(record) > 0 && record[len(record)-1] != '\n' {
			w.next++
		}
		if record = bytes.TrimRight(record, "\r\n"); !r.begins(record, t) {
			continue
		}
		sep := r.sep
		for i := 0; i < len(r.seps) && bytes.IndexByte(record, sep) < 0; i++ {
			sep = r.seps[i]
		}
		most := limit(record, r.most())
		if bytes.IndexByte(record, '"') < 0 {
			r.split(record, sep, most)
		} else if r.scanner.Reset(record, sep, '"'); r.scanner.Next() {
			r.cut(record, r.scanner.Pos[:r.scanner.Ends[0]+1], most)
		}
		r.add(line, w, t)
	}
	return data
}

// begins reports whether a record has fields to read: it is no header, and not blank.
func (r *csvReader) begins(record []byte, t *Tally) bool {
	switch {
	case len(record) == 0 || record[0] <= ' ' && scan.Blank(record):
		return false
	case r.headed && (r.header == nil || r.names.again(record)):
		r.use(record)
		t.Known("header")
		return false
	}
	return true
}

// most returns how many fields of a record are enough to tell whether it is sound, and to
// read it.
func (r *csvReader) most() int {
	if r.headed {
		return r.count + 1
	}
	return r.enough
}

// cut takes the fields of a record, up to most. Field i is data[pos[i]+1:pos[i+1]].
func (r *csvReader) cut(data []byte, pos []uint32, most int) {
	r.pieces(data, pos, most)
	if n := len(r.fields); n == len(pos)-1 {
		for last := &r.fields[n-1]; last.End > last.Begin && data[last.End-1] == '\r'; last.End-- {
		}
	}
}

// pieces takes the pieces of a record as its fields, up to most.
func (r *fieldReader) pieces(data []byte, pos []uint32, most int) {
	n := min(len(pos)-1, most)
	fields := slices.Grow(r.fields[:0], n)[:n]
	begin := pos[0] + 1
	for i, end := range pos[1:][:len(fields)] {
		fields[i] = columnar.Span{Begin: begin, End: end}
		begin = end + 1
	}
	r.text, r.fields = data, fields
}

// split takes the fields of a text without quotes, up to most.
func (r *fieldReader) split(text []byte, sep byte, most int) {
	r.text, r.fields = text, r.fields[:0]
	for at, more := 0, true; more && len(r.fields) < most; {
		n := scan.IndexNear(text[at:], sep)
		if more = n >= 0; !more {
			n = len(text) - at
		}
		r.fields = append(r.fields, columnar.Span{Begin: uint32(at), End: uint32(at + n)})
		at += n + 1
	}
}

// add adds the record whose fields were cut.
func (r *csvReader) add(line int64, w *window, t *Tally) {
	slots := r.named
	switch n := len(r.fields); {
	case !r.headed:
		i := r.layout()
		switch {
		case i >= 0:
		case line == 1 && n > 2 && r.areNames():
			t.Known("header")
			return
		default:
			t.Skip(line, noLayout)
			return
		}
		slots = r.layouts[i]
	case n < r.count:
		t.Skip(line, tooFew)
		return
	case n > r.count:
		t.Skip(line, tooMany)
		return
	}
	w.begin(line)
	r.record(w, slots)
}

// areNames reports whether all fields of the record at hand begin as names do.
func (r *fieldReader) areNames() bool {
	for i := range r.fields {
		if !beginsName(r.field(i)) {
			return false
		}
	}
	return true
}

// cutByte is bytes.Cut at a byte; what is behind it reaches as far as p.
func cutByte(p []byte, sep byte) (before, after []byte, found bool) {
	if i := scan.IndexNear(p, sep); i >= 0 {
		return p[:i], p[i+1:], true
	}
	return p, nil, false
}
