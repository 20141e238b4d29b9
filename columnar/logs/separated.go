package logs

import (
	"bytes"
	"slices"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Records of separated fields, which csv and W3C logs share.

// A separated decodes records of fields with a separator between them, by a plan for
// its columns. Quotes are as in RFC 4180. What the columns are is for its users to
// say: csv has a header, W3C logs have directives.
type separated struct {
	mapping *Mapping
	inside  bool   // Options.Inside
	header  []byte // the line that plan is for
	plan    *plan
	columns int
	sep     byte

	set     setter
	scanner scan.Fields
	scratch []byte // an unquoted field

	// Of the block being decoded.
	builder *columnar.Builder
	fields  []field

	// The run of records that are read column by column: where they begin in
	// scanner.Pos, their lines, and what was read of them for the field at hand.
	begins []uint32
	lines  []int64
	spans  []columnar.Span
	ints   []int64
	copied []byte // cells that are not in the block as they are
	most   int    // how many records the next run may have
}

var utf8BOM = []byte("\xef\xbb\xbf")

// Reasons to skip a record, beside those of field.
const (
	tooFew  = "fewer fields than the header"
	tooMany = "more fields than the header"
)

// separatedRun is the most records that are read column by column in one go. A window
// rarely has more.
const separatedRun = 1 << 10

// begin makes ready to put rows of b into out.
func (d *separated) begin(b *Block, out *columnar.Out) {
	d.set.outer = b.outer()
	if builder := out.Table(d.plan.table); builder != d.builder {
		d.builder, d.fields = builder, nil
	}
	if d.fields == nil {
		d.fields = d.plan.wanted(d.builder)
		d.spans = slices.Grow(d.spans[:0], separatedRun)[:separatedRun]
		d.ints = slices.Grow(d.ints[:0], separatedRun)[:separatedRun]
		d.most = separatedRun
	}
}

// window decodes the records that the scanner found, and returns the number of
// the line behind them.
//
// It reads runs of records column by column, which is several times as fast: one
// dictionary, and one kind of cell, at a time. A record in which anything is odd ends the
// run and is read separately, by record, which decides about it. The next run is shorter
// then, because what was read after the odd record is thrown away.
func (d *separated) window(data []byte, line int64, t *Tally) int64 {
	s := &d.scanner
	begin := 0 // in s.Pos, of the next record
	for next := 0; next < len(s.Ends); {
		n, odd := 0, true
		if d.plan.where.src < 0 {
			n, odd = d.run(data, s.Ends[next:], begin, line, t)
		}
		if n > 0 {
			d.builder.NextRows(d.lines[:n])
			t.Records += int64(n)
			t.Rows += int64(n)
			if d.plan.doubtful {
				because(&t.Cleared, Reason{Text: doubtfulBytes, Count: int64(n), First: d.lines[0]})
			}
			next += n
			begin, line = s.Ends[next-1], d.lines[n]
		}
		if !odd {
			d.most = min(2*d.most, separatedRun)
			continue
		}
		d.most = max(n, 8)
		pos := s.Pos[begin : s.Ends[next]+1]
		d.record(data, pos, line, t)
		begin, line = s.Ends[next], line+1
		if s.Noted {
			line += int64(bytes.Count(data[pos[0]+1:pos[len(pos)-1]], eol))
		}
		next++
	}
	return line
}

// run puts the cells of the first records. The first begins at begin in scanner.Pos.
// It returns how many, and whether the record after them is odd. d.lines are their
// lines, and that of the record after them.
func (d *separated) run(data []byte, ends []int, begin int, line int64, t *Tally) (n int, odd bool) {
	d.begins, d.lines = d.begins[:0], d.lines[:0]
	for _, end := range ends[:min(len(ends), d.most, d.builder.Room())] {
		if odd = end-begin != d.columns; odd {
			break
		}
		d.begins = append(d.begins, uint32(begin))
		d.lines = append(d.lines, line)
		line++
		if pos := d.scanner.Pos; d.scanner.Noted {
			line += int64(bytes.Count(data[pos[begin]+1:pos[end]], eol))
		}
		begin = end
	}
	d.lines = append(d.lines, line)
	if n = len(d.begins); n == 0 {
		return 0, odd
	}
	for i := range d.fields {
		f := &d.fields[i]
		switch f.read {
		case readTime: // the first field, and the only one that can be odd
			text, plain := d.cells(data, f, n)
			if plain = d.times(data, f, text, d.spans[:plain]); plain < n {
				n, odd = plain, true
			}
			if n == 0 {
				return 0, true
			}
			d.builder.PutTimes(d.ints[:n])
		case readNumber:
			d.numbers(data, f, n, t)
			d.builder.PutInts(f.col, d.ints[:n])
		default:
			d.texts(data, f, n, t)
		}
	}
	return n, odd
}

// cells finds the cells of a field in the first n records of the run: that of
// record i is d.spans[i] of text, without its quotes. Up to plain, none holds
// escaped quotes.
func (d *separated) cells(data []byte, f *field, n int) (text []byte, plain int) {
	switch {
	case f.src < 0:
		for i := range d.spans[:n] {
			d.spans[i] = columnar.Span{End: uint32(len(f.text))}
		}
		return f.text, n
	case len(f.others) > 0:
		d.column(data, f, n)
		return data, d.fallBack(data, f, n)
	}
	return data, d.column(data, f, n)
}

// column is cells for the first column of a field.
func (d *separated) column(data []byte, f *field, n int) (plain int) {
	plain = n
	spans := d.spans[:n]
	pos, last, doubled := d.scanner.Pos[f.src:], f.src == d.columns-1, d.scanner.Doubled
	for i, begin := range d.begins[:n] {
		p := pos[begin : begin+2]
		lo, hi := p[0]+1, p[1]
		if lo < hi {
			if last && data[hi-1] == '\r' {
				hi--
			}
			if data[lo] == '"' {
				if hi-lo >= 2 && data[hi-1] == '"' && !(doubled && bytes.IndexByte(data[lo+1:hi-1], '"') >= 0) {
					lo, hi = lo+1, hi-1
				} else {
					plain = min(plain, i)
				}
			}
		}
		spans[i] = columnar.Span{Begin: lo, End: hi}
	}
	return plain
}

// fallBack replaces cells that say nothing by those of f's other columns. It returns up
// to which record none holds quotes.
func (d *separated) fallBack(data []byte, f *field, n int) (plain int) {
	plain = n
	spans := d.spans[:n]
	for i, s := range spans {
		cell := data[s.Begin:s.End]
		for k := 0; k < len(f.others) && f.lacks(cell); k++ {
			begin := d.begins[i]
			cell = d.raw(data, d.scanner.Pos[begin:int(begin)+d.columns+1], f.others[k])
		}
		spans[i] = spanOf(data, cell)
		if d.scanner.Doubled && bytes.IndexByte(cell, '"') >= 0 {
			plain = min(plain, i)
		}
	}
	return plain
}

// raw returns the cell of a record without its quotes, if there are none within.
func (d *separated) raw(data []byte, pos []uint32, i int) []byte {
	cell := data[pos[i]+1 : pos[i+1]]
	if i == len(pos)-2 {
		cell = bytes.TrimSuffix(cell, carriage)
	}
	if n := len(cell); n >= 2 && cell[0] == '"' && cell[n-1] == '"' && bytes.IndexByte(cell[1:n-1], '"') < 0 {
		cell = cell[1 : n-1]
	}
	return cell
}

// times reads the cells of a time into d.ints, up to one that is odd.
func (d *separated) times(data []byte, f *field, text []byte, cells []columnar.Span) (n int) {
	utc := f.unit == "" || f.unit == "iso"
	for i, s := range cells {
		cell := text[s.Begin:s.End]
		us, ok := d.set.clock.UTC(cell)
		if !ok || !utc {
			var date []byte
			if f.date >= 0 {
				begin := d.begins[i]
				date = d.raw(data, d.scanner.Pos[begin:int(begin)+d.columns+1], f.date)
				if us, ok = d.set.clock.DateAndTime(date, cell); ok && utc {
					d.ints[i] = us
					continue
				}
			}
			var reason string
			us, reason = d.set.timeOf(f, cell, date)
			if us, reason = d.set.orOuter(d.lines[i], us, reason); reason != "" {
				return i
			}
		}
		d.ints[i] = us
	}
	return len(cells)
}

// numbers reads the cells of a number of the first n records of the run into d.ints.
func (d *separated) numbers(data []byte, f *field, n int, t *Tally) {
	text, _ := d.cells(data, f, n)
	f.numbersOf(d.ints[:n], text, d.spans[:n], func(i int) int64 { return d.lines[i] }, t)
}

// texts puts the cells of a text in the first n records of the run.
func (d *separated) texts(data []byte, f *field, n int, t *Tally) {
	text, plain := d.cells(data, f, n)
	spans := d.spans[:n]
	if plain < n || f.read == readQueryType || f.read == readRcode ||
		f.read == readW3CUser && slices.ContainsFunc(spans, func(s columnar.Span) bool { return scan.EscapedUser(text[s.Begin:s.End]) }) {
		// The values do not stand in data as they are.
		d.copied = d.copied[:0]
		for i, s := range spans {
			begin := len(d.copied)
			d.copied = append(d.copied, d.set.text(f, d.unquoteSaid(text[s.Begin:s.End], d.lines[i], t))...)
			spans[i] = columnar.Span{Begin: uint32(begin), End: uint32(len(d.copied))}
		}
		text = d.copied
	} else {
		for i, s := range spans {
			cell := text[s.Begin:s.End]
			switch {
			case scan.Unknown(cell):
				cell = nil
			case f.read == readHost:
				host := scan.URLHost(cell)
				if len(host) == 0 && cell[0] != '/' {
					t.Unread(d.lines[i], f.col, cell, withoutHost)
				}
				cell = host
			case f.read == readPath:
				cell = scan.URLPath(cell)
			case f.read == readKept:
				cell = f.part.Of(cell)
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

// record decodes one record. Its field i is data[pos[i]+1:pos[i+1]].
func (d *separated) record(data []byte, pos []uint32, line int64, t *Tally) {
	last := len(pos) - 2
	if last+1 != d.columns {
		d.ragged(data, pos, line, t)
		return
	}
	if w := &d.plan.where; w.src >= 0 && !w.holds(d.cell(data, pos, w.src)) {
		t.Known(w.kind)
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
			if f.read == readNumber && f.scale == 1 {
				if v, ok := scan.Digits(data, lo, hi); ok && v <= f.most {
					b.SetInt(f.col, v)
					continue
				}
			}
			if cell = data[lo:hi]; len(cell) > 0 && cell[0] == '"' {
				cell = d.unquoteSaid(cell, line, t)
			}
			for k := 0; k < len(f.others) && f.lacks(cell); k++ {
				cell = d.cell(data, pos, f.others[k])
			}
		}
		if f.read == readTime {
			var date []byte
			if f.date >= 0 {
				date = d.raw(data, pos, f.date)
			}
			us, reason := d.set.timeOf(f, cell, date)
			if us, reason = d.set.orOuter(line, us, reason); reason != "" {
				b.Drop()
				t.Skip(line, reason)
				return
			}
			b.SetTime(us)
		} else if reason := d.set.set(b, f, cell); reason != "" {
			t.Unread(line, f.col, cell, reason)
		}
	}
	b.Next(line)
	t.Row()
	if d.plan.doubtful {
		t.Clear(line, doubtfulBytes)
	}
}

// cell returns the text of a field.
func (d *separated) cell(data []byte, pos []uint32, i int) []byte {
	cell := data[pos[i]+1 : pos[i+1]]
	if i == len(pos)-2 {
		cell = bytes.TrimSuffix(cell, carriage)
	}
	return d.unquote(cell)
}

func (d *separated) unquote(cell []byte) []byte {
	d.scratch = slices.Grow(d.scratch[:0], len(cell))
	return unquote(cell, d.scratch)
}

// unquoteSaid is unquote for a cell that is read, of the record on a line: it counts quotes
// that do not enclose it.
func (d *separated) unquoteSaid(cell []byte, line int64, t *Tally) []byte {
	text := d.unquote(cell)
	if len(cell) > 0 && cell[0] == '"' && len(text) == len(cell) {
		t.Clear(line, "quotes that do not end with their field, kept in it")
	}
	return text
}

func (d *separated) ragged(data []byte, pos []uint32, line int64, t *Tally) {
	switch n := len(pos) - 1; {
	case n == 1 && len(d.cell(data, pos, 0)) == 0: // a blank line
	case n < d.columns:
		t.Skip(line, tooFew)
	default:
		t.Skip(line, tooMany)
	}
}

// skipLines skips all lines of data that are not blank, and returns the number of the line
// behind them.
func skipLines(data []byte, line int64, reason string, t *Tally) int64 {
	for ; len(data) > 0; line++ {
		var record []byte
		if record, data = scan.CutLine(data); !scan.Blank(record) {
			t.Skip(line, reason)
		}
	}
	return line
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

// separatedEnd returns the size of the first record of p with its newline.
func separatedEnd(p []byte) int {
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

// separatedFields returns the fields of one record, maxFields at most. It is for headers and
// sniffing.
func separatedFields(record []byte, sep byte) []string {
	var s scan.Fields
	s.Reset(record, sep, '"')
	if !s.Next() {
		return nil
	}
	fields := make([]string, min(s.Ends[0], maxFields))
	for i := range fields {
		cell := record[s.Pos[i]+1 : s.Pos[i+1]]
		if i == int(s.Ends[0])-1 {
			cell = bytes.TrimSuffix(cell, carriage)
		}
		fields[i] = string(unquote(cell, nil))
	}
	return fields
}
