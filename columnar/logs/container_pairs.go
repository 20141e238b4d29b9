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

	// The window of the data in which values end, from its byte from to its byte to: bit i&63 of
	// seps[i>>6] says whether byte i of the window is a separator or a newline, and so on.
	from, to     int
	seps, quotes []uint64
	escapes      bool        // it has a backslash
	marks        []scan.Mark // scratch
}

// beforePairs is the name of what stands before the first pair of a line.
const beforePairs = "$0"

func (r *keyvalueReader) use([]byte) error { return nil }

func (r *keyvalueReader) read(data []byte, w *window, t *Tally) []byte {
	r.from, r.to = 0, 0
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

// look makes a window of data that begins with the line that stands from begin to end.
func (r *keyvalueReader) look(data []byte, begin, end int) {
	r.from, r.to = begin, min(max(begin+scan.Window, end), len(data))
	text := data[r.from:r.to]
	r.escapes = bytes.IndexByte(text, '\\') >= 0
	r.marks = scan.MarkText(r.marks, text, r.sep, '"')
	n := len(r.marks)
	r.seps, r.quotes = slices.Grow(r.seps[:0], n+2)[:n+2], slices.Grow(r.quotes[:0], n+2)[:n+2]
	for k, m := range r.marks {
		r.seps[k], r.quotes[k] = m.Sep|m.Line, m.Other|m.Line
	}
	for k := n; k < n+2; k++ { // a value ends with the data
		r.seps[k], r.quotes[k] = math.MaxUint64, math.MaxUint64
	}
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
	begin := cap(w.data) - cap(line)
	if begin < r.from || begin+len(line) > r.to {
		r.look(w.data, begin, begin+len(line))
	}
	window := begin - r.from // where the line begins in the window
	escapes := r.escapes && bytes.IndexByte(line, '\\') >= 0
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
				end = scan.NextMark(r.quotes, window+value) - window
			}
			if end >= len(line) {
				w.clear("value in quotes that do not end, taken to the end of the line")
				end = len(line)
			}
			at = min(end+1, len(line))
		} else {
			if sep == r.sep {
				end = min(scan.NextMark(r.seps, window+at)-window, len(line))
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
		return &headedReader{keys: newKeys(p), head: newKeys(p), cef: true}, nil
	},
}

// leefContainer reads IBM's Log Event Extended Format: the head's fields are vendor,
// product, version and id, all else is key=value.
var leefContainer = &container{
	name:   "leef",
	begins: func(head []byte) bool { return bytes.Contains(head, []byte("LEEF:")) && !inObject(head) },
	open: func(p *sourcePlan) (recordReader, error) {
		r := &headedReader{keys: newKeys(p), head: newKeys(p), sep: '\t'}
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
	head  keys
	cef   bool
	sep   byte // of LEEF's pairs, unless a head names another
	clean []byte
}

func (r *headedReader) use([]byte) error { return nil }

func (r *headedReader) read(data []byte, w *window, t *Tally) []byte {
	mark, names := []byte("LEEF:"), leefHead
	if r.cef {
		mark, names = []byte("CEF:"), cefHead
	}
	return eachLine(data, w, func(line []byte, record int64) {
		at := bytes.Index(line, mark)
		if at < 0 {
			t.Skip(record, "no head of "+string(mark[:len(mark)-1]))
			return
		}
		w.begin(record)
		rest := line[at+len(mark):]
		field, rest, ok := cutHead(rest)
		second := bytes.HasPrefix(field, []byte("2"))
		for _, name := range names {
			if !ok {
				break
			}
			field, rest, ok = cutHead(rest)
			for _, slot := range r.head.slotsOf([]byte(name)) {
				r.give(w, slot, field)
			}
		}
		if !ok {
			w.back()
			t.Skip(record, "head of "+string(mark[:len(mark)-1])+" is cut off")
			return
		}
		sep := r.sep
		if !r.cef && second {
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
	n, key, value := 0, 0, -1 // of the pair at hand: its number, where the key begins and the value
	escapes := bytes.IndexByte(line, '\\') >= 0
	for i := 0; i < len(line); i++ {
		if !escapes {
			next := scan.IndexNear(line[i:], '=')
			if next < 0 {
				break
			}
			i += next
		}
		switch line[i] {
		case '\\':
			i++
		case '=':
			begin := i
			for begin > 0 && isKeyByte(line[begin-1]) {
				begin--
			}
			if begin < i && (begin == 0 || line[begin-1] == ' ') {
				if value >= 0 {
					end := begin
					for end > value && line[end-1] == ' ' {
						end--
					}
					r.pair(n, line[key:value], line[value:end], w)
					n++
				}
				key, value = begin, i+1
			}
		}
	}
	if value >= 0 {
		r.pair(n, line[key:value], bytes.TrimRight(line[value:], " "), w)
	}
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
	for n := 0; len(line) > 0; n++ {
		pair := line
		if i := bytes.IndexByte(line, sep); i >= 0 {
			pair, line = line[:i], line[i+1:]
		} else {
			line = nil
		}
		if i := bytes.IndexByte(pair, '='); i > 0 {
			r.pair(n, pair[:i+1], pair[i+1:], w)
		}
	}
}

// pair gives the last record of the window the value of a key, which raw has with the sign
// behind it.
func (r *headedReader) pair(n int, raw, value []byte, w *window) {
	var slots []int
	if e := r.expected(n, raw); e != nil {
		slots = e.slots
	} else {
		slots = r.slotsOf(bytes.TrimSpace(raw[:len(raw)-1]))
		r.expect(n, raw, slots)
	}
	for _, slot := range slots {
		r.give(w, slot, value)
	}
}

// give gives the last record of the window a text, without its escapes and the quotes
// around it.
func (r *headedReader) give(w *window, slot int, text []byte) {
	text = bare(text)
	switch {
	case w.has(w.n-1, slot):
	case !r.cef || bytes.IndexByte(text, '\\') < 0:
		w.set(slot, text)
	default:
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
		w.put(slot, r.clean)
	}
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
