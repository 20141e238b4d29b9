package logs

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Lines of fields, with a separator or with spaces between them, as containers of
// vendors' records.

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

// spaceContainer reads fields with spaces between them, in quotes or brackets where they
// hold some, known by their number.
var spaceContainer = &container{
	name:   "space",
	embeds: true,
	begins: func(head []byte) bool {
		// The names of W3C's are not ours.
		return !inObject(head) && (len(head) == 0 || head[0] != '#' || !bytes.Contains(head, w3cFields))
	},
	open: func(p *sourcePlan) (recordReader, error) {
		if len(p.source.Layouts) == 0 {
			return nil, errors.New("layouts: want the names of the fields")
		}
		return &spaceReader{fieldReader: newFieldReader(p)}, nil
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

// A spaceReader reads fields with spaces between them.
type spaceReader struct {
	fieldReader
	scanner scan.Fields // of pieces between single spaces
}

func (r *spaceReader) use([]byte) error { return nil }

func (r *spaceReader) read(data []byte, w *window, t *Tally) []byte {
	return r.lines(data, ' ', w, func(line []byte, pos []uint32) {
		if line[0] == '#' {
			t.Known("comment")
			return
		}
		if r.cut(data, pos, limit(line, r.usual)); r.usual < r.enough && r.conditional() {
			r.cut(data, pos, limit(line, r.enough))
		}
		i := r.layout()
		if i < 0 && r.cutBehind(data, pos, line) {
			i = r.layout()
		}
		if i < 0 {
			t.Skip(w.next, noLayout)
			return
		}
		if l := &r.plan.source.Layouts[i]; l.request > 0 {
			r.endAtRequest(l.request, data, pos, line)
		}
		w.begin(w.next)
		r.record(w, r.layouts[i])
	})
}

// cutBehind finds the fields of a line that has too many or too few where not all were looked
// for: a piece behind these may end a field in quotes. It reports whether there may be one.
func (r *spaceReader) cutBehind(data []byte, pos []uint32, line []byte) bool {
	if bytes.IndexByte(line, '"') < 0 {
		return false
	}
	r.cut(data, pos, maxFields)
	return true
}

// endAtRequest lets the field before the line of a request, which has this number, reach up to that if
// there are spaces in it.
func (r *spaceReader) endAtRequest(number int, data []byte, pos []uint32, line []byte) {
	if number >= len(r.fields) || bytes.IndexByte(r.field(number), ' ') > 0 || string(r.field(number)) == "-" && !requestBehind(line) {
		return
	}
	r.cut(data, pos, limit(line, maxFields))
	for at := number + 1; at < len(r.fields); at++ {
		if !isRequestLine(r.field(at)) {
			continue
		}
		r.fields[number-1].End = r.fields[at-1].End
		r.fields = append(r.fields[:number], r.fields[at:]...)
		return
	}
}

// requestBehind reports whether the line of a request stands in a line.
func requestBehind(line []byte) bool { return bytes.Contains(line, []byte(` HTTP/`)) }

// isRequestLine reports whether a field is the line of a request: "GET /a b HTTP/1.1".
func isRequestLine(field []byte) bool {
	method, rest, ok := bytes.Cut(field, []byte{' '})
	return ok && len(method) > 2 && len(bytes.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")) == 0 && bytes.Contains(rest, []byte(" HTTP/"))
}

// lines is eachLine, which also tells where the pieces of a line end that have sep between them:
// piece i is data[pos[i]+1:pos[i+1]].
func (r *spaceReader) lines(data []byte, sep byte, w *window, one func(line []byte, pos []uint32)) []byte {
	s, behind := &r.scanner, 0
	for s.Reset(data, sep, '\t'); !w.full() && s.Next(); {
		begin := 0
		for _, end := range s.Ends {
			pos := s.Pos[begin : end+1]
			line := data[pos[0]+1 : lineEnd(data, pos)]
			if len(line) > 0 && (line[0] > ' ' || !scan.Blank(line)) {
				one(line, pos)
			}
			w.next++
			begin = end
		}
		behind = min(int(s.Pos[begin])+1, len(data))
	}
	return data[behind:]
}

// lineEnd returns where a line ends, without its carriage return.
func lineEnd(data []byte, pos []uint32) uint32 {
	end := pos[len(pos)-1]
	if end > pos[0]+1 && data[end-1] == '\r' {
		end--
	}
	return end
}

// cut finds the fields of a line, up to most, which are pieces of it. One in quotes ends with
// a piece that ends in a quote without a backslash: servers write those of their clients as
// they are. If a later piece ends in one that nothing began, the field ends there. One in
// brackets ends with the piece that the bracket ends, and comes without them. The first may
// be a list of addresses, with a comma and a space between them.
func (r *spaceReader) cut(data []byte, pos []uint32, most int) {
	r.text, r.bracketed = data, 0
	line := lineEnd(data, pos)
	n := len(pos) - 1
	fields := slices.Grow(r.fields[:0], n)[:n] // the first count of them are found
	count := 0
	ends, behind := pos[1:n+1], pos[n]
	ends[n-1] = line // until the pieces are cut
	// What is not found is not looked for again: a line may have a million quotes.
	quotes, bracket := true, uint32(0) // bracket: where the next ] is; line: there is none
	quoted := -1                       // the last field in quotes
	for k := 0; k < n && count < most; k++ {
		begin, end := pos[k]+1, ends[k]
		if begin >= end {
			continue // a second space
		}
		switch data[begin] {
		case '"':
			j := k
			for quotes && (data[ends[j]-1] != '"' || !endsQuoted(data[begin:ends[j]])) {
				if j++; j == n {
					quotes = false
				}
			}
			if quotes {
				quoted = count
				fields[count] = columnar.Span{Begin: begin + 1, End: ends[j] - 1}
				count++
				k = j
				continue
			}
		case '[':
			if bracket <= begin {
				bracket = line
				if i := bytes.IndexByte(data[begin:line], ']'); i >= 0 {
					bracket = begin + uint32(i)
				}
			}
			if bracket < line && (bracket+1 == line || data[bracket+1] == ' ') {
				fields[count] = columnar.Span{Begin: begin + 1, End: bracket}
				if count++; r.bracketed == 0 {
					r.bracketed = count
				}
				for ends[k] <= bracket {
					k++
				}
				continue
			}
		}
		switch data[end-1] {
		case '"':
			if quoted >= 0 && data[begin] != '"' {
				fields[quoted].End, count = end-1, quoted+1
				continue
			}
		case ',':
			for count == 0 && data[end-1] == ',' && k+1 < n {
				k++
				end = ends[k]
			}
		}
		fields[count] = columnar.Span{Begin: begin, End: end}
		count++
		if few := min(n-2-k, most-count); few > 0 { // the last piece may be empty
			plain := plainPieces(fields[count:count+few], data, pos[k+1:], quoted >= 0)
			count, k = count+plain, k+plain
		}
	}
	ends[n-1] = behind
	r.fields = fields[:count]
}

// plainPieces takes pieces as fields up to one that may be a part of one or none, and returns how many. None may
// be the last of the data.
func plainPieces(fields []columnar.Span, data []byte, pos []uint32, quoted bool) int {
	pos = pos[:len(fields)+1]
	for i := range fields {
		begin, end := pos[i]+1, pos[i+1]
		if c := data[begin]; c <= '"' || c == '[' || quoted && data[end-1] == '"' {
			return i
		}
		fields[i] = columnar.Span{Begin: begin, End: end}
	}
	return len(fields)
}

// endsQuoted reports whether a text that begins with a quote ends with another.
func endsQuoted(text []byte) bool {
	n := len(text) - 1
	if n < 1 || text[n] != '"' {
		return false
	}
	if text[n-1] != '\\' {
		return true
	}
	escapes := 1
	for text[n-1-escapes] == '\\' {
		escapes++
	}
	return escapes%2 == 0
}

// cutAlone is cut of a line that stands alone.
func (r *spaceReader) cutAlone(s *scan.Fields, line []byte, most int) {
	if s.Reset(line, ' ', ' '); s.Next() {
		r.cut(line, s.Pos[:s.Ends[0]+1], most)
	}
}

// w3cContainer reads the W3C extended log file format: the directive #Fields names the
// fields, as often as it stands there.
var w3cContainer = &container{
	name:   "w3c",
	keyed:  true,
	embeds: true,
	begins: func(head []byte) bool { return len(head) > 0 && head[0] == '#' },
	header: w3cHeader,
	open: func(p *sourcePlan) (recordReader, error) {
		return &w3cReader{spaceReader: spaceReader{fieldReader: newFieldReader(p)}}, nil
	},
}

// A w3cReader reads W3C extended logs.
type w3cReader struct {
	spaceReader
	header []byte // in force
	named  []layoutSlot
	count  int
	odd    scan.Fields // of a line without tabs among others
}

func (r *w3cReader) use(header []byte) error {
	if !bytes.Equal(header, r.header) {
		names := directiveNames(header)
		r.header, r.named, r.count = slices.Clone(header), r.slots(names), len(names)
	}
	return nil
}

func (r *w3cReader) read(data []byte, w *window, t *Tally) []byte {
	first := data
	for len(first) > 0 && first[0] == '#' {
		first = first[scan.LineEnd(first, 0):]
	}
	first, _ = scan.CutLine(first)
	sep := byte(' ')
	if bytes.IndexByte(first, '\t') >= 0 {
		sep = '\t'
	}
	return r.lines(data, sep, w, func(line []byte, pos []uint32) {
		if line[0] == '#' {
			if bytes.HasPrefix(line, w3cFields) {
				r.use(line)
			}
			t.Known("directive")
			return
		}
		switch {
		case sep == '\t' && len(pos) == r.count+1 && len(pos) > 2 && r.header != nil && len(r.plan.source.Embedded) == 0:
			w.begin(w.next)
			r.plain(data, pos, w)
			return
		case sep == '\t' && len(pos) > 2:
			r.pieces(data, pos, maxFields)
			if n := len(r.fields); n == len(pos)-1 {
				r.fields[n-1].End = lineEnd(data, pos)
			}
		case sep == '\t':
			r.cutAlone(&r.odd, line, maxFields)
		case r.scanner.Noted && bytes.IndexByte(line, '\t') >= 0:
			r.split(line, '\t', maxFields)
		default:
			if r.cut(data, pos, limit(line, r.count+1)); len(r.fields) > r.count && r.header != nil {
				r.cutBehind(data, pos, line)
			}
		}
		switch n := len(r.fields); {
		case r.header == nil:
			t.Skip(w.next, "record before the directive #Fields")
		case n < r.count:
			t.Skip(w.next, "fewer fields than #Fields")
		case n > r.count:
			t.Skip(w.next, "more fields than #Fields")
		default:
			w.begin(w.next)
			r.record(w, r.named)
		}
	})
}

// plain gives the last record of the window the pieces of a line as its fields, one for each name.
func (r *w3cReader) plain(data []byte, pos []uint32, w *window) {
	base := uint32(cap(w.data) - cap(data))
	cells := w.cells[(w.n-1)*w.slots:][:w.slots]
	for _, s := range r.named {
		p := pos[s.field:][:2]
		cells[s.slot] = columnar.Span{Begin: base + p[0] + 1, End: base + p[1]}
		if s.field == r.count-1 {
			cells[s.slot].End = base + lineEnd(data, pos)
		}
	}
}

// cutByte is bytes.Cut at a byte; what is behind it reaches as far as p.
func cutByte(p []byte, sep byte) (before, after []byte, found bool) {
	if i := scan.IndexNear(p, sep); i >= 0 {
		return p[:i], p[i+1:], true
	}
	return p, nil, false
}
