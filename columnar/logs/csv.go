package logs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
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
	Tables: []*columnar.Table{columnar.API, columnar.HTTP, columnar.DNS, columnar.Network, columnar.Process},
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
	var s csvScanner
	s.reset(record, sep)
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
		q, e := resolve(m, n)
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
	scanner csvScanner
	scratch []byte // an unquoted field

	// Of the block being decoded.
	builder *columnar.Builder
	fields  []field
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
	d.plan, err = resolve(d.mapping, d.mapping.Header)
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
		if end == skip {
			for range bytes.Count(data, newline) {
				t.Pass()
			}
			return nil
		}
		if err := d.use(data[skip:end]); err != nil {
			return fmt.Errorf("header: %w", err)
		}
		for range bytes.Count(data[:skip], newline) + 1 {
			t.Pass()
		}
		line += int64(bytes.Count(data[:end], newline))
		data = data[end:]
	}
	if builder := out.Table(d.plan.table); builder != d.builder {
		d.builder, d.fields = builder, nil
	}
	if d.fields == nil {
		d.fields = d.plan.wanted(d.builder)
	}
	s := &d.scanner
	s.reset(data, d.sep)
	for s.next() {
		begin := 0
		for _, end := range s.ends {
			pos := s.pos[begin : end+1]
			d.record(data, pos, line, t)
			line++
			if s.multiline {
				line += int64(bytes.Count(data[pos[0]+1:pos[len(pos)-1]], newline))
			}
			begin = end
		}
	}
	return nil
}

// Reasons to skip a record, beside those of field.
const (
	csvFewer   = "fewer fields than the header"
	csvMore    = "more fields than the header"
	csvAnother = "another header inside the object"
)

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
	case n == 1 && len(d.cell(data, pos, 0)) == 0:
		t.Pass() // a blank line
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

// digits parses data[lo:hi] if it is 1 to 16 digits that have as much before
// them; anything else is left to parseInt.
func digits(data []byte, lo, hi uint32) (v int64, ok bool) {
	n := hi - lo
	if n-1 < 8 && hi >= 8 {
		w, ok := eightDigits(data[hi-8:], 8-n)
		return w, ok
	}
	if n-9 < 8 && hi >= 16 {
		high, ok1 := eightDigits(data[hi-16:], 16-n)
		low, ok2 := eightDigits(data[hi-8:], 0)
		return high*1e8 + low, ok1 && ok2
	}
	return 0, false
}

// eightDigits parses the 8 bytes at b, of which the first skip are not looked at.
func eightDigits(b []byte, skip uint32) (v int64, ok bool) {
	w := binary.LittleEndian.Uint64(b) ^ 0x3030303030303030
	w = w >> (8 * skip & 63) << (8 * skip & 63)
	ok = (w|(w+0x7676767676767676))&0x8080808080808080 == 0
	const m = 0x000000FF000000FF
	w = w*10 + w>>8
	w = ((w&m)*(100+1000000<<32) + (w>>16&m)*(1+10000<<32)) >> 32
	return int64(w), ok
}

// A csvScanner finds the fields of a block, one window after the other.
type csvScanner struct {
	data []byte
	sep  byte
	at   int // data[:at] has been looked at

	// pos holds where fields end, that is the offsets of separators and record
	// ends outside quotes. pos[0] is the end of the record before, 2³²−1 at the
	// start, so that field i of the first record is data[pos[i]+1:pos[i+1]].
	pos []uint32
	// ends are the indexes in pos of record ends, for the whole records in pos.
	ends []int
	// multiline says that a record of the window may hold newlines.
	multiline bool

	inside  uint64 // all ones if data[at] is within quotes
	outside uint64 // 1 if data[at-1] is a separator, a record end or a closing quote
	closed  uint64 // 1 if data[at-1] is a closing quote
	careful bool   // quoting is broken: go on by the byte
	tail    [64]byte
}

// csvWindow is how much of a block is looked at in one go. More would push the
// bytes out of the first-level cache before they are read as fields; less would
// make the cost per window visible.
const csvWindow = 32 << 10

func (s *csvScanner) reset(data []byte, sep byte) {
	s.data, s.sep, s.at = data, sep, 0
	s.pos = append(s.pos[:0], math.MaxUint32)
	s.ends = s.ends[:0]
	s.inside, s.outside, s.closed, s.careful = 0, 1, 0, false
}

// next finds the records that end in the next window, or in as many windows as
// it takes. It returns false at the end of the data.
func (s *csvScanner) next() bool {
	if n := len(s.ends); n > 0 {
		s.pos = s.pos[:copy(s.pos, s.pos[s.ends[n-1]:])]
		s.ends = s.ends[:0]
	}
	s.multiline = false
	for len(s.ends) == 0 && s.at < len(s.data) {
		if s.careful {
			s.byBytes()
		} else if !s.byWords() {
			// Back to the first record that is not known to be sound.
			s.careful = true
			s.pos, s.ends = s.pos[:1], s.ends[:0]
			s.at = int(s.pos[0] + 1)
		}
	}
	return len(s.ends) > 0
}

const (
	eachByte = 0x0101010101010101
	lowBits  = 0x7f * eachByte
	highBits = 0x80 * eachByte
	// gather times a word with at most the lowest bit of each byte set has
	// those bits in its highest byte, in order.
	gather = 0x0102040810204080
)

// byWords looks at the next window, 64 bytes at a time: a bitmap of quotes gives
// by its running parity what is inside them, and what is left are field ends. It
// returns false, and is of no use any more, if a quote opens inside a field or
// closes before the end of one.
func (s *csvScanner) byWords() bool {
	data, n := s.data, len(s.pos)
	end := min(s.at+csvWindow, len(data))
	s.pos = slices.Grow(s.pos, csvWindow+64)
	pos := s.pos[:cap(s.pos)]
	sep := uint64(s.sep) * eachByte
	const lf, quote = '\n' * eachByte, '"' * eachByte
	for i := s.at; i < end; i += 64 {
		block := &s.tail
		if i+64 <= len(data) {
			block = (*[64]byte)(data[i:])
		} else {
			clear(s.tail[copy(s.tail[:], data[i:]):])
		}
		var fields, records, quoted uint64
		for k := 0; k < 64; k += 8 {
			w := binary.LittleEndian.Uint64(block[k:])
			low := w & lowBits
			// The highest bit of a byte stays clear where it is the one sought.
			isSep, isLF, isQuote := low^sep+lowBits, low^lf+lowBits, low^quote+lowBits
			fields |= (^(isSep&isLF | w) & highBits >> 7) * gather >> 56 << k
			records |= (^(isLF | w) & highBits >> 7) * gather >> 56 << k
			quoted |= ^(isQuote | w) & highBits
		}
		if quoted|s.inside|s.closed != 0 {
			var quotes uint64
			for k := 0; k < 64; k += 8 {
				w := binary.LittleEndian.Uint64(block[k:])
				quotes |= (^((w & lowBits) ^ quote + lowBits | w) & highBits >> 7) * gather >> 56 << k
			}
			in := runningParity(quotes) ^ s.inside
			if records&in != 0 {
				s.multiline = true
			}
			fields &^= in
			records &^= in
			opening, closing := quotes&in, quotes&^in
			// A quote opens after a field end, or after a closing quote: a
			// doubled one. It closes before a field end, or before an opening one.
			if opening&^((fields|closing)<<1|s.outside) != 0 {
				return false
			}
			for odd := (closing<<1 | s.closed) &^ (fields | opening); odd != 0; odd &= odd - 1 {
				j := i + bits.TrailingZeros64(odd)
				if j < len(data) && !(data[j] == '\r' && (j+1 == len(data) || data[j+1] == '\n')) {
					return false
				}
			}
			s.inside = uint64(int64(in) >> 63)
			s.closed = closing >> 63
		}
		s.outside = fields>>63 | s.closed
		for ; records != 0; records &= records - 1 {
			s.ends = append(s.ends, n+bits.OnesCount64(fields&(records&-records-1)))
		}
		count := bits.OnesCount64(fields)
		for m := n; fields != 0; m += 4 {
			p := (*[4]uint32)(pos[m:])
			for j := range p {
				p[j] = uint32(i + bits.TrailingZeros64(fields))
				fields &= fields - 1
			}
		}
		n += count
	}
	s.pos, s.at = pos[:n], end
	if end == len(data) {
		if s.inside != 0 {
			return false
		}
		s.finish()
	}
	return true
}

// finish ends a last record that has no newline.
func (s *csvScanner) finish() {
	last := 0
	if n := len(s.ends); n > 0 {
		last = s.ends[n-1]
	}
	if int(s.pos[last]+1) < len(s.data) {
		s.ends = append(s.ends, len(s.pos))
		s.pos = append(s.pos, uint32(len(s.data)))
	}
}

// runningParity returns a bitmap whose bit i is the parity of the bits 0 to i.
func runningParity(x uint64) uint64 {
	x ^= x << 1
	x ^= x << 2
	x ^= x << 4
	x ^= x << 8
	x ^= x << 16
	x ^= x << 32
	return x
}

// byBytes looks at the records of the next window where quoting is broken.
func (s *csvScanner) byBytes() {
	s.multiline = true
	for i, stop := s.at, s.at+csvWindow; i < len(s.data) && i < stop; s.at = i {
		for {
			end := s.fieldEnd(i)
			s.pos = append(s.pos, uint32(end))
			i = end + 1
			if end >= len(s.data) || s.data[end] == '\n' {
				break
			}
		}
		s.ends = append(s.ends, len(s.pos)-1)
	}
	s.at = min(s.at, len(s.data))
}

// fieldEnd returns where the field that begins at i ends. A quote that does not
// close before the end of a field is a character like others.
//
// Note: a quote that is never closed makes this look ahead, but only to the next
// odd run of quotes, where the search from there begins: linear in all.
func (s *csvScanner) fieldEnd(i int) int {
	data := s.data
	if i < len(data) && data[i] == '"' {
		for k := i + 1; k < len(data); k++ {
			j := bytes.IndexByte(data[k:], '"')
			if j < 0 {
				break
			}
			k += j + 1 // after the quote
			switch {
			case k == len(data), data[k] == s.sep, data[k] == '\n':
				return k
			case data[k] == '\r' && (k+1 == len(data) || data[k+1] == '\n'):
				return k + 1
			}
			if data[k] != '"' {
				break
			}
		}
	}
	for i < len(data) && data[i] != s.sep && data[i] != '\n' {
		i++
	}
	return i
}
