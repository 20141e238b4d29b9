package logs

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"outflow/columnar"
)

// CSV is text in columns with a header.
var CSV = &Format{
	Name:  "csv",
	Title: "comma, tab, semicolon or pipe separated columns with a header",
	Doc: `Columns are found by name: a mapping says which is which, or well-known names do (timestamp, user, src_ip,
bytes_uploaded, query, …; letter case and punctuation do not matter). The table follows from what is there: a
query makes it dns, a URL or a method http, bytes and a destination network, and all else is api.

Quoting is RFC 4180: a field in double quotes may hold separators, newlines and doubled quotes. A quote that does
not begin a field, or is never closed, stands for itself. A record with more or fewer fields than the header is
skipped. The header may begin with # and is skipped where it is repeated, as in files put one after the other;
another header inside an object is skipped with a reason, and its rows are read by the first.

Times without a zone are in the input's zone. Empty, "-", null, NULL, None and N/A say nothing: the row has no
such value, and is skipped if it is the time.`,
	Tables: []*columnar.Table{columnar.API, columnar.HTTP, columnar.DNS, columnar.Network, columnar.Process, columnar.Event},
	Sniff:  sniffCSV,
	Quoted: true,
	Header: csvHeader,
	New: func(o *Options) (Decoder, error) {
		if m := o.Mapping; m != nil && m.Delimiter != 0 && (m.Delimiter >= 0x80 || strings.IndexByte("\"\r\n", m.Delimiter) >= 0) {
			return nil, fmt.Errorf("mapping.delimiter: %q cannot separate fields; want an ASCII character other than a quote", m.Delimiter)
		}
		d := &csvDecoder{mapping: o.Mapping, set: setter{clock: clock{zone: o.Zone}}}
		return d, d.open(o.Head)
	},
}

// csvDelimiters are tried in this order.
const csvDelimiters = ",\t;|"

// csvPreamble returns the size of the lines before the header: blank ones, the
// type that PowerShell's Export-Csv writes, and Excel's declaration of the
// separator.
func csvPreamble(p []byte) int {
	rest := bytes.TrimPrefix(p, utf8BOM)
	for len(rest) > 0 {
		line, after, _ := bytes.Cut(rest, newline)
		line = bytes.TrimSuffix(line, carriage)
		if len(line) > 0 && !bytes.HasPrefix(line, []byte("#TYPE ")) && !(len(line) == 5 && bytes.HasPrefix(line, []byte("sep="))) {
			break
		}
		rest = after
	}
	if len(rest) == len(bytes.TrimPrefix(p, utf8BOM)) {
		return 0
	}
	return len(p) - len(rest)
}

var (
	utf8BOM  = []byte("\xef\xbb\xbf")
	newline  = []byte{'\n'}
	carriage = []byte{'\r'}
)

// csvHeader is the header line in force. The first stays in force: see Doc.
func csvHeader(prev, p []byte) []byte {
	if prev != nil {
		return prev
	}
	p = p[csvPreamble(p):]
	if len(p) == 0 {
		return nil
	}
	return slices.Clone(p[:csvRecordEnd(p)])
}

// csvRecordEnd returns the size of the first record of p with its newline.
func csvRecordEnd(p []byte) int {
	inside := false
	for i, c := range p {
		switch {
		case c == '"':
			inside = !inside
		case c == '\n' && !inside:
			return i + 1
		}
	}
	if i := bytes.IndexByte(p, '\n'); inside && i >= 0 {
		return i + 1 // the quote is never closed: it is a character
	}
	return len(p)
}

// csvFields splits one record. It is for headers and sniffing.
func csvFields(record []byte, sep byte) []string {
	var s fieldScanner
	s.reset(record, sep, '"')
	if !s.next() {
		return nil
	}
	fields := make([]string, s.ends[0])
	for i := range fields {
		cell := record[s.pos[i]+1 : s.pos[i+1]]
		if i == len(fields)-1 {
			cell = bytes.TrimSuffix(cell, carriage)
		}
		fields[i] = string(unquote(cell, nil))
	}
	return fields
}

// csvNames returns the column names that a header line gives.
func csvNames(header []byte, sep byte) []string {
	header = bytes.TrimPrefix(header, utf8BOM)
	header = bytes.TrimLeft(bytes.TrimPrefix(header, []byte{'#'}), " ")
	names := csvFields(header, sep)
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return names
}

// csvPlan chooses the separator and makes the plan of a header line. Of the
// separators that give a plan it takes the one that gives most columns.
func csvPlan(m *Mapping, header []byte) (p *plan, names []string, sep byte, err error) {
	separators := csvDelimiters
	if m != nil && m.Delimiter != 0 {
		separators = string(rune(m.Delimiter))
	}
	for i := range len(separators) {
		n := csvNames(header, separators[i])
		q, e := resolve(m, n, false)
		switch {
		case e == nil && (p == nil || len(n) > len(names)):
			p, names, sep, err = q, n, separators[i], nil
		case p == nil && (err == nil || len(n) > len(names)):
			names, err = n, e
		}
	}
	return p, names, sep, err
}

// sniffCSV wants a header with a time and something that acts or is asked for,
// and records of as many fields: prose and other logs have neither.
func sniffCSV(head []byte) bool {
	const look = 16 // records
	rest := head[csvPreamble(head):]
	end := csvRecordEnd(rest)
	if end == 0 || rest[end-1] != '\n' {
		return false
	}
	p, names, sep, err := csvPlan(nil, rest[:end])
	if err != nil || len(names) < 2 || !p.hasEntity() {
		return false
	}
	rest = rest[end:]
	records, ragged := 0, 0
	for records < look && len(rest) > 0 {
		end := csvRecordEnd(rest)
		if rest[end-1] != '\n' {
			break
		}
		if line := bytes.TrimRight(rest[:end], "\r\n"); len(line) > 0 {
			records++
			if len(csvFields(rest[:end], sep)) != len(names) {
				ragged++
			}
		}
		rest = rest[end:]
	}
	return ragged*3 <= records
}

type csvDecoder struct {
	mapping *Mapping
	header  []byte // the line that plan is for
	plan    *plan
	columns int
	sep     byte
	// timeName is what the header calls the time.
	timeName []byte

	set     setter
	scanner fieldScanner
	scratch []byte // an unquoted field

	// Of the block being decoded.
	builder *columnar.Builder
	fields  []field

	// The run of records that are read column by column: where they begin in
	// scanner.pos, their lines, and by field what was read of them.
	begins []uint32
	lines  []int64
	spans  []columnar.Span
	ints   [][]int64
	copied []byte // cells that are not in the block as they are
	most   int    // how many records the next run may have
}

// open makes the plan from the start of the object, if that is at hand.
func (d *csvDecoder) open(head []byte) error {
	if m := d.mapping; m != nil && m.Header != nil {
		return d.openHeaderless(head)
	}
	head = head[csvPreamble(head):]
	if end := csvRecordEnd(head); end > 0 && head[end-1] == '\n' {
		return d.use(head[:end])
	}
	return nil
}

// openHeaderless takes the names from the mapping, and as separator the first
// that cuts the first line into as many fields.
func (d *csvDecoder) openHeaderless(head []byte) (err error) {
	d.columns = len(d.mapping.Header)
	d.sep = d.mapping.Delimiter
	for i := 0; d.sep == 0 && i < len(csvDelimiters); i++ {
		if len(csvFields(head[:csvRecordEnd(head)], csvDelimiters[i])) == d.columns {
			d.sep = csvDelimiters[i]
		}
	}
	if d.sep == 0 {
		d.sep = ','
	}
	d.plan, err = resolve(d.mapping, d.mapping.Header, false)
	return err
}

func (d *csvDecoder) use(header []byte) (err error) {
	header = bytes.TrimRight(header, "\r\n")
	if d.plan != nil && bytes.Equal(header, d.header) {
		return nil
	}
	var names []string
	if d.plan, names, d.sep, err = csvPlan(d.mapping, header); err != nil {
		return err
	}
	d.header, d.columns, d.fields = slices.Clone(header), len(names), nil
	d.timeName = nil
	for _, f := range d.plan.fields {
		if f.col == columnar.Time && f.src >= 0 {
			d.timeName = []byte(names[f.src])
		}
	}
	return nil
}

// errBlockSize is for a Block of 4 GiB, which no reader makes.
// passLines counts lines that are no records, but for blank ones.
func passLines(data []byte, t *Tally) {
	for len(data) > 0 {
		var line []byte
		if line, data = cutLine(data); len(line) > 0 {
			t.Pass()
		}
	}
}

var errBlockSize = errors.New("a block of csv must be smaller than 4 GiB")

func (d *csvDecoder) Decode(b *Block, out *columnar.Out, t *Tally) error {
	if int64(len(b.Data)) >= math.MaxUint32 {
		return errBlockSize
	}
	data, line := b.Data, b.First
	headerless := d.mapping != nil && d.mapping.Header != nil
	switch {
	case headerless:
	case b.Header != nil:
		if err := d.use(b.Header); err != nil {
			return err
		}
	default:
		skip := csvPreamble(data)
		end := skip + csvRecordEnd(data[skip:])
		passLines(data[:skip], t)
		if end == skip {
			return nil
		}
		if err := d.use(data[skip:end]); err != nil {
			return fmt.Errorf("header: %w", err)
		}
		t.Pass()
		line += int64(bytes.Count(data[:end], newline))
		data = data[end:]
	}
	if builder := out.Table(d.plan.table); builder != d.builder {
		d.builder, d.fields = builder, nil
	}
	if d.fields == nil {
		d.fields = d.plan.wanted(d.builder)
		d.spans = slices.Grow(d.spans[:0], csvRun)[:csvRun]
		for len(d.ints) < len(d.fields) {
			d.ints = append(d.ints, make([]int64, csvRun))
		}
		d.most = csvRun
	}
	s := &d.scanner
	s.reset(data, d.sep, '"')
	for s.next() {
		line = d.window(data, line, t)
	}
	return nil
}

// Reasons to skip a record, beside those of field.
const (
	csvFewer   = "fewer fields than the header"
	csvMore    = "more fields than the header"
	csvAnother = "another header inside the object"
)

// csvRun is the most records that are read column by column in one go. A window
// rarely has more.
const csvRun = 1 << 10

// window decodes the records that the scanner found, and returns the number of
// the line behind them.
//
// It reads runs of records column by column, which is several times as fast: one
// dictionary, and one kind of cell, at a time. A record in which anything is odd
// ends the run and is read for itself, by record, which says what is to become of
// it. The next run is shorter then, as all that was read behind the odd record was
// for nothing.
func (d *csvDecoder) window(data []byte, line int64, t *Tally) int64 {
	s := &d.scanner
	begin := 0 // in s.pos, of the next record
	for next := 0; next < len(s.ends); {
		n, odd := 0, true
		if d.plan.where < 0 {
			n, odd = d.run(data, s.ends[next:], begin, line)
		}
		if n > 0 {
			d.builder.NextRows(d.lines[:n])
			t.Records += int64(n)
			t.Rows += int64(n)
			next += n
			begin, line = s.ends[next-1], d.lines[n]
		}
		if !odd {
			d.most = min(2*d.most, csvRun)
			continue
		}
		d.most = max(n, 8)
		pos := s.pos[begin : s.ends[next]+1]
		d.record(data, pos, line, t)
		begin, line = s.ends[next], line+1
		if s.noted {
			line += int64(bytes.Count(data[pos[0]+1:pos[len(pos)-1]], newline))
		}
		next++
	}
	return line
}

// run puts the cells of the first records, of which the first begins at begin in
// scanner.pos. It returns how many, and whether the record after them is odd.
// d.lines are their lines, and that of the record after them.
func (d *csvDecoder) run(data []byte, ends []int, begin int, line int64) (n int, odd bool) {
	d.begins, d.lines = d.begins[:0], d.lines[:0]
	for _, end := range ends[:min(len(ends), d.most, d.builder.Room())] {
		if odd = end-begin != d.columns; odd {
			break
		}
		d.begins = append(d.begins, uint32(begin))
		d.lines = append(d.lines, line)
		line++
		if pos := d.scanner.pos; d.scanner.noted {
			line += int64(bytes.Count(data[pos[begin]+1:pos[end]], newline))
		}
		begin = end
	}
	d.lines = append(d.lines, line)
	if n = len(d.begins); n == 0 {
		return 0, odd
	}
	// Only times and numbers can be odd: they come first.
	for i := range d.fields {
		f := &d.fields[i]
		if f.read != readTime && f.read != readNumber {
			continue
		}
		text, plain := d.cells(data, f, n)
		if f.read == readTime {
			plain = d.times(f, text, d.spans[:plain], d.ints[i])
		} else {
			plain = d.numbers(f, text, d.spans[:plain], d.ints[i])
		}
		if plain < n {
			n, odd = plain, true
		}
	}
	if n == 0 {
		return 0, odd
	}
	for i := range d.fields {
		switch f := &d.fields[i]; f.read {
		case readTime:
			d.builder.PutTimes(d.ints[i][:n])
		case readNumber:
			d.builder.PutInts(f.col, d.ints[i][:n])
		default:
			d.texts(data, f, n)
		}
	}
	return n, odd
}

// cells finds the cells of a field in the first n records of the run: that of
// record i is d.spans[i] of text, without its quotes. Up to plain, none holds
// escaped quotes.
func (d *csvDecoder) cells(data []byte, f *field, n int) (text []byte, plain int) {
	spans := d.spans[:n]
	if f.src < 0 {
		for i := range spans {
			spans[i] = columnar.Span{End: uint32(len(f.text))}
		}
		return f.text, n
	}
	plain = n
	pos, last := d.scanner.pos[f.src:], f.src == d.columns-1
	for i, begin := range d.begins[:n] {
		p := pos[begin : begin+2]
		lo, hi := p[0]+1, p[1]
		if lo < hi {
			if last && data[hi-1] == '\r' {
				hi--
			}
			if data[lo] == '"' && hi-lo >= 2 && data[hi-1] == '"' {
				if bytes.IndexByte(data[lo+1:hi-1], '"') < 0 {
					lo, hi = lo+1, hi-1
				} else {
					plain = min(plain, i)
				}
			}
		}
		spans[i] = columnar.Span{Begin: lo, End: hi}
	}
	return data, plain
}

// times reads the cells of a time into us, up to one that is odd.
func (d *csvDecoder) times(f *field, text []byte, cells []columnar.Span, us []int64) (n int) {
	utc := f.unit == "" || f.unit == "iso"
	for i, s := range cells {
		cell := text[s.Begin:s.End]
		t, ok := d.set.clock.utc(cell)
		if !ok || !utc {
			if unknown(cell) {
				return i
			}
			if t, ok = d.set.time(f.unit, cell); !ok {
				return i
			}
		}
		us[i] = t
	}
	return len(cells)
}

// numbers reads the cells of a number into v, up to one that is odd.
func (d *csvDecoder) numbers(f *field, text []byte, cells []columnar.Span, v []int64) (n int) {
	for i, s := range cells {
		x, ok := digits(text, s.Begin, s.End)
		if !ok || f.scale != 1 {
			x = columnar.Null
			if cell := text[s.Begin:s.End]; !unknown(cell) {
				var reason string
				if x, reason = f.number(cell); reason != "" {
					return i
				}
			}
		}
		v[i] = x
	}
	return len(cells)
}

// texts puts the cells of a text in the first n records of the run.
func (d *csvDecoder) texts(data []byte, f *field, n int) {
	text, plain := d.cells(data, f, n)
	spans := d.spans[:n]
	if plain < n || f.read == readQueryType || f.read == readRcode {
		// The values do not stand in data as they are.
		d.copied = d.copied[:0]
		for i, s := range spans {
			begin := len(d.copied)
			d.copied = append(d.copied, d.set.text(f, d.unquote(text[s.Begin:s.End]))...)
			spans[i] = columnar.Span{Begin: uint32(begin), End: uint32(len(d.copied))}
		}
		text = d.copied
	} else {
		for i, s := range spans {
			cell := text[s.Begin:s.End]
			switch {
			case unknown(cell):
				cell = nil
			case f.read == readHost:
				cell = urlHost(cell)
			case f.read == readPath:
				cell = urlPath(cell)
			case f.read == readKept:
				cell = f.part.of(cell)
			default:
				continue
			}
			spans[i] = spanOf(text, cell)
		}
	}
	switch f.read {
	case readHost:
		d.builder.PutLower(f.col, text, spans)
	case readQuery:
		d.builder.PutQueries(text, spans)
	case readKept:
		d.builder.PutField(f.name, text, spans)
	default:
		d.builder.PutTexts(f.col, text, spans)
	}
}

// spanOf returns where part, a slice of text that reaches as far as text does,
// stands in text.
func spanOf(text, part []byte) columnar.Span {
	if len(part) == 0 {
		return columnar.Span{}
	}
	begin := uint32(cap(text) - cap(part))
	return columnar.Span{Begin: begin, End: begin + uint32(len(part))}
}

// record decodes one record. Its field i is data[pos[i]+1:pos[i+1]].
func (d *csvDecoder) record(data []byte, pos []uint32, line int64, t *Tally) {
	last := len(pos) - 2
	if last+1 != d.columns {
		d.ragged(data, pos, line, t)
		return
	}
	if w := d.plan.where; w >= 0 && !bytes.Equal(d.cell(data, pos, w), d.plan.equals) {
		t.Pass()
		return
	}
	b := d.builder
	for i := range d.fields {
		f := &d.fields[i]
		cell := f.text
		if f.src >= 0 {
			lo, hi := pos[f.src]+1, pos[f.src+1]
			if f.src == last && hi > lo && data[hi-1] == '\r' {
				hi--
			}
			cell = data[lo:hi]
			if len(cell) > 0 && cell[0] == '"' {
				cell = d.unquote(cell)
			} else if f.read == readNumber && f.scale == 1 {
				if v, ok := digits(data, lo, hi); ok {
					b.SetInt(f.col, v)
					continue
				}
			}
		}
		switch f.read {
		case readText:
			if len(cell) > 4 || !unknown(cell) {
				b.SetText(f.col, cell)
			}
			continue
		case readTime:
			if us, ok := d.set.clock.utc(cell); ok && f.unit == "" {
				b.SetTime(us)
				continue
			}
		}
		if reason := d.set.set(b, f, cell); reason != "" {
			b.Drop()
			d.skip(data, pos, line, reason, t)
			return
		}
	}
	b.Next(line)
	t.Row()
}

// cell returns the text of a field.
func (d *csvDecoder) cell(data []byte, pos []uint32, i int) []byte {
	cell := data[pos[i]+1 : pos[i+1]]
	if i == len(pos)-2 {
		cell = bytes.TrimSuffix(cell, carriage)
	}
	return d.unquote(cell)
}

func (d *csvDecoder) unquote(cell []byte) []byte {
	d.scratch = slices.Grow(d.scratch[:0], len(cell))
	return unquote(cell, d.scratch)
}

func (d *csvDecoder) ragged(data []byte, pos []uint32, line int64, t *Tally) {
	switch n := len(pos) - 1; {
	case n == 1 && len(d.cell(data, pos, 0)) == 0: // a blank line
	case n < d.columns:
		d.skip(data, pos, line, csvFewer, t)
	default:
		d.skip(data, pos, line, csvMore, t)
	}
}

// skip counts a record that gave no row, unless it is the header again.
func (d *csvDecoder) skip(data []byte, pos []uint32, line int64, reason string, t *Tally) {
	record := bytes.TrimSuffix(data[pos[0]+1:pos[len(pos)-1]], carriage)
	if d.header != nil {
		if bytes.Equal(record, bytes.TrimPrefix(d.header, utf8BOM)) {
			t.Pass()
			return
		}
		for i := range len(pos) - 1 {
			if d.timeName != nil && bytes.EqualFold(bytes.TrimSpace(d.cell(data, pos, i)), d.timeName) {
				reason = csvAnother
			}
		}
	}
	t.Skip(line, reason)
}

// unquote returns the text of a field, in scratch if it must be changed. A
// field that is not quoted as a whole stands for itself.
func unquote(cell, scratch []byte) []byte {
	n := len(cell)
	if n < 2 || cell[0] != '"' || cell[n-1] != '"' {
		return cell
	}
	in := cell[1 : n-1]
	if bytes.IndexByte(in, '"') < 0 {
		return in
	}
	out := scratch[:0]
	for i := 0; i < len(in); i++ {
		out = append(out, in[i])
		if in[i] == '"' {
			if i++; i == len(in) || in[i] != '"' {
				return cell
			}
		}
	}
	return out
}
