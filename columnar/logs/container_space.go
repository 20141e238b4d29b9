package logs

import (
	"bytes"
	"errors"
	"slices"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Lines of fields with spaces between them, and those of W3C, as containers of vendors' records.

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
		if len(pos) == r.count+1 && len(pos) > 2 && r.header != nil && len(r.plan.source.Embedded) == 0 &&
			(sep == '\t' || r.scanner.Plain && !r.scanner.Noted && data[pos[1]-1] != ',') {
			w.begin(w.next)
			r.plain(data, pos, w)
			return
		}
		switch {
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
