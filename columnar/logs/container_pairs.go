package logs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Pairs of keys and values as containers of vendors' records.

// keyvalueContainer reads pairs of key=value, the value in quotes where it holds a
// separator, and lines of words that fit a pattern.
var keyvalueContainer = &container{
	name:  "keyvalue",
	keyed: true,
	begins: func(head []byte) bool {
		line, _ := scan.CutLine(head)
		return bytes.ContainsAny(line, "=:") && !inObject(head)
	},
	open: func(p *sourcePlan) (recordReader, error) {
		r := &keyvalueReader{keys: newKeys(p), sep: ' ', assign: '='}
		r.before = r.slotsOf([]byte(beforePairs))
		if s := p.source.Separator; s != "" {
			r.sep, r.other = s[0], s[len(s)-1]
		}
		if s := p.source.Assign; s != "" {
			r.assign = s[0]
		}
		r.blank = " \t" + string(rune(r.sep))
		for i, text := range p.source.Patterns {
			pattern, err := newLinePattern(text, &r.keys)
			if err != nil {
				return nil, fmt.Errorf("patterns[%d]: %w", i, err)
			}
			r.patterns = append(r.patterns, pattern)
		}
		return r, nil
	},
}

// inObject reports whether head begins with a JSON object: pairs in a text of it are
// wrapped, and have the escapes of JSON.
func inObject(head []byte) bool {
	i := scan.SkipSpace(head, 0)
	return i < len(head) && head[i] == '{'
}

// A keyvalueReader reads pairs of keys and values.
type keyvalueReader struct {
	keys
	sep      byte
	other    byte   // instead of sep, in records whose first value it ends; 0 or sep: none
	assign   byte   // what stands between a key and its value
	blank    string // what may stand around the words before the first pair
	before   []int  // slots of beforePairs
	patterns []linePattern
	found    [][]byte // what stands in the holes of the pattern at hand
	clean    []byte
	marks    lineMarks // quotes are the others
}

// beforePairs is the name of what stands before the first pair of a line.
const beforePairs = "$0"

func (r *keyvalueReader) use([]byte) error { return nil }

func (r *keyvalueReader) read(data []byte, w *window, t *Tally) []byte {
	r.marks.forget()
	return eachLine(data, w, func(line []byte, record int64) {
		w.begin(record)
		pairs, fits := r.words(line, w)
		if !r.pairs(pairs, w) && !fits {
			w.back()
			t.Skip(record, "no key"+string(rune(r.assign))+"value")
		}
	})
}

// words gives the last record of the window what stands in the holes of the first pattern
// that a line fits, and returns what of the line is pairs: all, if it fits none.
func (r *keyvalueReader) words(line []byte, w *window) (pairs []byte, fits bool) {
	for i := range r.patterns {
		p := &r.patterns[i]
		rest, ok := p.cut(line, &r.found)
		if !ok {
			continue
		}
		for k, hole := range p.holes {
			for _, slot := range hole.slots {
				w.set(slot, r.found[k])
			}
		}
		if !p.pairs {
			rest = nil
		}
		return rest, true
	}
	return line, false
}

// pairs gives the last record of the window the values of a line, and reports whether
// there are any.
//
// Note: a search through the text for the end of each value takes twice as long as a look
// into a bitmap.
func (r *keyvalueReader) pairs(line []byte, w *window) bool {
	if len(line) == 0 {
		return false
	}
	n, sep := 0, r.separator(line)
	begin, window := r.marks.find(w.data, line, r.sep, '"')
	escapes := r.marks.escapes && bytes.IndexByte(line, '\\') >= 0
	cells := w.cells[(w.n-1)*w.slots:]
	for at := 0; at < len(line); {
		if line[at] == sep || line[at] == ' ' {
			at++
			continue
		}
		var slots []int
		if e := r.expected(n, line[at:]); e != nil {
			slots = e.slots
			at += len(e.raw)
		} else {
			i := bytes.IndexByte(line[at:], r.assign)
			if i < 0 {
				break
			}
			// Words without a value may stand before the key.
			before := line[at : at+i]
			key := at + max(bytes.LastIndexByte(before, sep), bytes.LastIndexByte(before, ' ')) + 1
			if words := bytes.Trim(line[at:key], r.blank); n == 0 && len(words) > 0 {
				for _, slot := range r.before {
					w.set(slot, words)
				}
			}
			at += i
			slots = r.slotsOf(line[key:at])
			at++
			r.expect(n, line[key:at], slots)
		}
		n++
		if r.assign != '=' { // a space behind = is an empty value
			for at < len(line) && line[at] == ' ' {
				at++
			}
		}
		var value, end int // where it begins and ends
		escaped := false
		if value = at; at < len(line) && line[at] == '"' {
			value++
			if escapes {
				for end = value; end < len(line) && line[end] != '"'; end++ {
					if line[end] == '\\' && end+1 < len(line) {
						escaped = true
						end++
					}
				}
			} else {
				end = scan.NextMark(r.marks.others, window+value) - window
			}
			if end >= len(line) {
				w.clear("value in quotes that do not end, taken to the end of the line")
				end = len(line)
			}
			at = min(end+1, len(line))
		} else {
			if sep == r.sep {
				end = min(scan.NextMark(r.marks.seps, window+at)-window, len(line))
			} else if end = at + scan.IndexNear(line[at:], sep); end < at {
				end = len(line)
			}
			at = end
		}
		for _, slot := range slots {
			switch {
			case cells[slot] != columnar.Span{}:
			case !escaped:
				cells[slot] = columnar.Span{Begin: uint32(begin + value), End: uint32(begin + end)}
			default:
				w.put(slot, r.unescape(line[value:end]))
			}
		}
	}
	return n > 0
}

// lineMarks say where two bytes stand in a window of the data, of whole lines.
type lineMarks struct {
	from, to int // the window
	// Bit i&63 of seps[i>>6] says whether byte i of the window is a separator or a newline, that
	// of others whether it is the other byte or a newline. Both are set behind the window.
	seps, others []uint64
	sep          byte
	escapes      bool        // it has a backslash
	marks        []scan.Mark // scratch
}

// forget drops the window: there is other data.
func (m *lineMarks) forget() { m.from, m.to = 0, 0 }

// find returns where a line begins in data and where in the window, which has it whole then.
func (m *lineMarks) find(data, line []byte, sep, other byte) (begin, at int) {
	begin = cap(data) - cap(line)
	end := begin + len(line)
	if begin >= m.from && end <= m.to && sep == m.sep {
		return begin, begin - m.from
	}
	m.from, m.to = begin, min(max(begin+scan.Window, end), len(data))
	if sep != m.sep { // the next line may have the one before
		m.sep, m.to = sep, end
	}
	text := data[m.from:m.to]
	m.escapes = bytes.IndexByte(text, '\\') >= 0
	m.marks = scan.MarkText(m.marks, text, sep, other)
	n := len(m.marks)
	m.seps, m.others = slices.Grow(m.seps[:0], n+2)[:n+2], slices.Grow(m.others[:0], n+2)[:n+2]
	for k, mark := range m.marks {
		m.seps[k], m.others[k] = mark.Sep|mark.Line, mark.Other|mark.Line
	}
	for k := n; k < n+2; k++ {
		m.seps[k], m.others[k] = math.MaxUint64, math.MaxUint64
	}
	return begin, 0
}

// separator returns what separates the pairs of a line.
func (r *keyvalueReader) separator(line []byte) byte {
	if r.other == 0 || r.other == r.sep {
		return r.sep
	}
	if i := bytes.IndexByte(line, r.assign); i >= 0 {
		for _, c := range line[i:] {
			if c == r.sep || c == r.other {
				return c
			}
		}
	}
	return r.sep
}

// unescape returns a value without the backslashes before quotes and backslashes.
func (r *keyvalueReader) unescape(value []byte) []byte {
	r.clean = r.clean[:0]
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' && i+1 < len(value) && (value[i+1] == '"' || value[i+1] == '\\') {
			i++
		}
		r.clean = append(r.clean, value[i])
	}
	return r.clean
}

// cefContainer reads ArcSight's Common Event Format: the head's fields are vendor,
// product, version, id, name and severity, all else is key=value.
var cefContainer = &container{
	name:   "cef",
	begins: func(head []byte) bool { return bytes.Contains(head, []byte("CEF:")) && !inObject(head) },
	open: func(p *sourcePlan) (recordReader, error) {
		r := newHeadedReader(p, cefHead)
		r.cef = true
		return r, nil
	},
}

// leefContainer reads IBM's Log Event Extended Format: the head's fields are vendor,
// product, version and id, all else is key=value.
var leefContainer = &container{
	name:   "leef",
	begins: func(head []byte) bool { return bytes.Contains(head, []byte("LEEF:")) && !inObject(head) },
	open: func(p *sourcePlan) (recordReader, error) {
		r := newHeadedReader(p, leefHead)
		r.sep = '\t'
		if s := p.source.Separator; s != "" {
			r.sep = s[0]
		}
		return r, nil
	},
}

// The names of a head's fields, in their order.
var (
	cefHead  = []string{"vendor", "product", "version", "id", "name", "severity"}
	leefHead = cefHead[:4]
)

// A headedReader reads CEF or LEEF: a head of fields with | between them, then pairs of
// keys and values.
type headedReader struct {
	keys
	head  [][]int // slots by field of the head
	cef   bool
	sep   byte // of LEEF's pairs, unless a head names another
	clean []byte
	marks lineMarks // of CEF the signs behind keys, and the backslashes; of LEEF the separators, and these signs
	// escapes says that the line at hand may have escapes.
	escapes bool

	// What the head of the last line was, up to the | behind it, and where its fields end. Most lines
	// have the head of the one before.
	last []byte
	ends []int
}

func newHeadedReader(p *sourcePlan, head []string) *headedReader {
	r := &headedReader{keys: newKeys(p)}
	for _, name := range head {
		r.head = append(r.head, r.slotsOf([]byte(name)))
	}
	return r
}

func (r *headedReader) use([]byte) error { return nil }

func (r *headedReader) read(data []byte, w *window, t *Tally) []byte {
	mark := []byte("LEEF:")
	if r.cef {
		mark = []byte("CEF:")
	}
	r.marks.forget()
	return eachLine(data, w, func(line []byte, record int64) {
		at := bytes.Index(line, mark)
		if at < 0 {
			t.Skip(record, "no head of "+string(mark[:len(mark)-1]))
			return
		}
		if r.cef {
			_, begin := r.marks.find(w.data, line, '=', '\\')
			r.escapes = scan.NextMark(r.marks.others, begin) < begin+len(line)
		}
		text := line[at+len(mark):]
		rest, ok := r.cut(text)
		if !ok {
			t.Skip(record, "head of "+string(mark[:len(mark)-1])+" is cut off")
			return
		}
		w.begin(record)
		for i, slots := range r.head {
			if len(slots) > 0 {
				r.give(w, slots, text[r.ends[i]+1:r.ends[i+1]])
			}
		}
		sep := r.sep
		if !r.cef && text[0] == '2' {
			if field, after, ok := cutHead(rest); ok && len(field) <= len("0x09") && bytes.IndexByte(field, '=') < 0 {
				sep, rest = leefSeparator(field), after
			}
		}
		if r.cef {
			r.extension(rest, w)
		} else {
			r.attributes(rest, sep, w)
		}
	})
}

// maxHead bounds the heads that are remembered, in bytes.
const maxHead = 1 << 10

// cut cuts the head off, and finds where its fields end.
func (r *headedReader) cut(p []byte) (rest []byte, ok bool) {
	if len(r.last) > 0 && bytes.HasPrefix(p, r.last) {
		return p[len(r.last):], true
	}
	r.last, r.ends, rest = r.last[:0], r.ends[:0], p
	for range 1 + len(r.head) { // the version is the first
		var field []byte
		begin := len(p) - len(rest)
		if field, rest, ok = cutHead(rest); !ok {
			return nil, false
		}
		r.ends = append(r.ends, begin+len(field))
	}
	if n := len(p) - len(rest); n <= maxHead {
		r.last = append(r.last, p[:n]...)
	}
	return rest, true
}

// cutHead cuts a field of a head off. A | behind a backslash is a part of it.
func cutHead(p []byte) (field, rest []byte, ok bool) {
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '\\':
			i++
		case '|':
			return p[:i], p[i+1:], true
		}
	}
	return p, nil, false
}

// leefSeparator reads the separator that a head of LEEF 2.0 names.
func leefSeparator(field []byte) byte {
	hex := bytes.TrimPrefix(bytes.TrimPrefix(field, []byte("0")), []byte("x"))
	if len(hex) == 2 {
		hi, ok := scan.HexDigit(hex[0])
		lo, ok2 := scan.HexDigit(hex[1])
		if ok && ok2 {
			return hi<<4 | lo
		}
	}
	if len(field) > 0 {
		return field[0]
	}
	return '\t'
}

// extension reads the pairs of CEF: a value ends where the next key begins, as it may
// hold spaces.
func (r *headedReader) extension(line []byte, w *window) {
	_, at := r.marks.find(w.data, line, '=', '\\')
	escape := scan.NextMark(r.marks.others, at) - at // the next one
	value := -1                                      // where that of the key at hand begins
	var slots []int                                  // of that key
	for i, n := 0, 0; ; i++ {
		if i = scan.NextMark(r.marks.seps, at+i) - at; i >= len(line) {
			break
		}
		if escape < i {
			i = escape + 1
			escape = scan.NextMark(r.marks.others, at+i+1) - at
			continue
		}
		key, e := r.keyBefore(n, line, i)
		if key < 0 {
			continue
		}
		if len(slots) > 0 {
			r.give(w, slots, trimSpaces(line[value:key]))
		}
		if e != nil {
			slots = e.slots
		} else {
			slots = r.slotsOf(line[key:i])
			r.expect(n, line[key:i+1], slots)
		}
		value = i + 1
		n++
	}
	if len(slots) > 0 {
		r.give(w, slots, trimSpaces(line[value:]))
	}
}

// keyBefore returns where the key begins that stands at place n and ends before the sign at i, -1 if
// there is none. e is nil if another key was expected.
func (r *headedReader) keyBefore(n int, line []byte, i int) (begin int, e *expectedKey) {
	if n < len(r.order) {
		begin = i + 1 - len(r.order[n].raw)
		if begin >= 0 && (begin == 0 || line[begin-1] == ' ') {
			if e = r.expected(n, line[begin:]); e != nil {
				return begin, e
			}
		}
	}
	for begin = i; begin > 0 && isKeyByte(line[begin-1]); {
		begin--
	}
	if begin < i && (begin == 0 || line[begin-1] == ' ') {
		return begin, nil
	}
	return -1, nil
}

// trimSpaces returns text without the spaces at its end.
func trimSpaces(text []byte) []byte {
	for n := len(text); n > 0 && text[n-1] == ' '; n-- {
		text = text[:n-1]
	}
	return text
}

// isKeyByte reports whether a key of CEF may have a byte: letters, digits and _.-[].
func isKeyByte(c byte) bool {
	const low = (1<<10-1)<<'0' | 1<<'.' | 1<<'-' // of the first 64 bytes
	const letters = 1<<26 - 1
	const high = letters<<('A'-64) | letters<<('a'-64) | 1<<('_'-64) | 1<<('['-64) | 1<<(']'-64)
	if c < 64 {
		return low>>c&1 != 0
	}
	return c < 128 && uint64(high)>>(c-64)&1 != 0
}

// attributes reads the pairs of LEEF.
func (r *headedReader) attributes(line []byte, sep byte, w *window) {
	_, at := r.marks.find(w.data, line, sep, '=')
	for begin, n := 0, 0; begin < len(line); n++ {
		end := min(scan.NextMark(r.marks.seps, at+begin)-at, len(line))
		// What was expected may have been cut by another separator.
		if e := r.expected(n, line[begin:]); e != nil && begin+len(e.raw) <= end {
			if len(e.slots) > 0 {
				r.give(w, e.slots, line[begin+len(e.raw):end])
			}
		} else if sign := scan.NextMark(r.marks.others, at+begin) - at; begin < sign && sign < end {
			slots := r.slotsOf(bytes.TrimSpace(line[begin:sign]))
			r.expect(n, line[begin:sign+1], slots)
			r.give(w, slots, line[sign+1:end])
		}
		begin = end + 1
	}
}

// give gives the last record of the window a text in slots, without its escapes and the quotes
// around it.
func (r *headedReader) give(w *window, slots []int, text []byte) {
	text = bare(text)
	escaped := r.escapes && scan.IndexNear(text, '\\') >= 0
	for _, slot := range slots {
		switch {
		case w.has(w.n-1, slot):
		case escaped:
			w.put(slot, r.unescape(text))
		default:
			w.set(slot, text)
		}
	}
}

// unescape returns a text of CEF without its escapes.
func (r *headedReader) unescape(text []byte) []byte {
	r.clean = r.clean[:0]
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' && i+1 < len(text) {
			switch text[i+1] {
			case '\\', '=', '|':
				i++
				c = text[i]
			} // others are no escapes: CORP\mira. Nor are \n and \r, where no column has lines: CORP\nora
		}
		r.clean = append(r.clean, c)
	}
	return r.clean
}

// keys find the slots of keys, which it expects in the order of the last line.
type keys struct {
	slots []slot
	kept  []string         // by slot: its keptName, if rules read it
	known map[string][]int // slots by key
	order []expectedKey
}

// An expectedKey is a key as it stands before its value, with the sign behind it.
type expectedKey struct {
	raw        []byte
	word, mask uint64 // up to eight bytes that raw begins with, and which those are
	slots      []int
}

func newKeys(p *sourcePlan) keys {
	k := keys{slots: p.slots, kept: make([]string, len(p.slots)), known: map[string][]int{}}
	for i, s := range p.slots {
		if s.kept != "" {
			k.kept[i] = keptName(s.name)
		}
	}
	return k
}

// expected returns the key that stood at place n if line begins with it, else nil.
func (k *keys) expected(n int, line []byte) *expectedKey {
	if n >= len(k.order) {
		return nil
	}
	e := &k.order[n]
	if len(line) >= 8 && ((binary.LittleEndian.Uint64(line)^e.word)&e.mask != 0 || len(e.raw) > 8 && !bytes.HasPrefix(line, e.raw)) ||
		len(line) < 8 && !bytes.HasPrefix(line, e.raw) {
		return nil
	}
	return e
}

// maxKeyOrder bounds how many keys of a line are expected, and maxKeyLen how long they
// are, in bytes.
const (
	maxKeyOrder = 256
	maxKeyLen   = 128
)

// expect notes which key stood at place n.
func (k *keys) expect(n int, raw []byte, slots []int) {
	if len(raw) > maxKeyLen {
		return
	}
	switch {
	case n == len(k.order) && n < maxKeyOrder:
		k.order = append(k.order, expectedKey{})
	case n >= len(k.order):
		return
	}
	e := &k.order[n]
	e.raw, e.slots = append(e.raw[:0], raw...), slots
	var first [8]byte
	size := copy(first[:], raw)
	e.word, e.mask = binary.LittleEndian.Uint64(first[:]), 1<<(8*size)-1
}

// slotsOf returns the slots of a key.
func (k *keys) slotsOf(key []byte) []int {
	if slots, ok := k.known[string(key)]; ok {
		return slots
	}
	var exact, folded []int
	name := keptName(string(key))
	for i, s := range k.slots {
		switch {
		case s.name == string(key):
			exact = append(exact, i)
		case strings.EqualFold(s.name, string(key)), s.kept != "" && k.kept[i] == name:
			folded = append(folded, i)
		}
	}
	slots := append(exact, folded...)
	if len(k.known) < 1<<12 && len(key) <= maxKeyLen {
		k.known[string(key)] = slots
	}
	return slots
}
