package logs

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"outflow/columnar"
)

// maxDepth is how deep the values of a JSON line may nest. The deepest events
// known nest about twenty levels; each level costs a stack frame.
const maxDepth = 256

// A walker iterates over the members of one JSON object, or the elements of one
// array, in place and without allocation:
//
//	w.open(line)
//	for w.next() {
//		// w.key, w.val
//	}
//	if !w.done() { // malformed
//
// It accepts what encoding/json accepts and nothing else, with three
// differences: values that nest deeper than maxDepth are malformed; bytes that
// are not UTF-8 stay as they are; and of equal keys it gives all, in their
// order, so that who assigns keeps the last. Members before a fault have been
// given when the fault is found: what they said counts only if done is true.
type walker struct {
	key     []byte // unescaped; valid until the next call of next
	val     value
	escaped bool // val is a string with escapes

	jsonText // not marked: most are short
	i        int
	close    byte
	begun    bool
	ended    bool
	scratch  []byte
}

// open starts at the object or array that b holds.
func (w *walker) open(b []byte) {
	w.key, w.b, w.begun, w.ended, w.close = nil, b, false, false, 0
	w.i = skipSpace(b, 0)
	if w.i < len(b) {
		switch b[w.i] {
		case '{':
			w.close = '}'
		case '[':
			w.close = ']'
		}
	}
	w.i++
}

// next moves to the next member. It returns false at the end and at a fault.
func (w *walker) next() bool {
	b, i := w.b, w.i
	if w.close == 0 || i >= len(b) {
		return false
	}
	if b[i] <= ' ' {
		if i = skipSpace(b, i); i == len(b) {
			return false
		}
	}
	switch {
	case b[i] == w.close:
		w.i, w.ended, w.close = i+1, true, 0
		return false
	case w.begun:
		if b[i] != ',' {
			return false
		}
		if i++; i < len(b) && b[i] <= ' ' {
			i = skipSpace(b, i)
		}
	}
	w.begun = true
	if w.close == '}' {
		if i >= len(b) || b[i] != '"' {
			return false
		}
		end, escaped := stringEnd(b, i+1)
		if end < 0 {
			return false
		}
		w.key = b[i+1 : end]
		if escaped {
			w.scratch = appendUnescaped(w.scratch[:0], w.key)
			w.key = w.scratch
		}
		if i = colonEnd(b, end+1); i < 0 {
			return false
		}
	}
	end := -1
	if i < len(b) && b[i] == '"' {
		if end, w.escaped = stringEnd(b, i+1); end >= 0 {
			end++
		}
	} else {
		w.escaped = false
		end = w.valueEnd(i, maxDepth-1)
	}
	if end < 0 {
		return false
	}
	w.val, w.i = b[i:end], end
	return true
}

// done reports whether the object ended soundly and nothing follows it.
func (w *walker) done() bool { return w.ended && skipSpace(w.b, w.i) == len(w.b) }

// doneObject is done of an object.
func (w *walker) doneObject() bool { return w.done() && w.b[w.i-1] == '}' }

// A value is one JSON value as it stands in the line. Nil: none.
type value []byte

// is reports whether the value is of the kind that begins with c: {, [, ", n
// for null.
func (v value) is(c byte) bool { return len(v) > 0 && v[0] == c }

// text returns the text of the value; see value.text.
func (w *walker) text(scratch *[]byte) []byte {
	if !w.escaped && w.val.is('"') {
		return w.val[1 : len(w.val)-1]
	}
	return w.val.text(scratch)
}

// text returns the text of a string, or a number or boolean as it is written;
// nil for null, objects and arrays. Unescaped text is appended to *scratch and
// stays valid as long as nobody cuts that.
func (v value) text(scratch *[]byte) []byte {
	if len(v) == 0 {
		return nil
	}
	switch v[0] {
	case '"':
		v = v[1 : len(v)-1]
		if bytes.IndexByte(v, '\\') < 0 {
			return v
		}
		start := len(*scratch)
		*scratch = appendUnescaped(*scratch, v)
		return (*scratch)[start:]
	case '{', '[', 'n':
		return nil
	}
	return v
}

// length returns the number of elements of an array, and false if the value is
// none.
func (v value) length() (n int, ok bool) {
	if !v.is('[') {
		return 0, false
	}
	var w walker
	for w.open(v); w.next(); n++ {
	}
	return n, true
}

// parseNumber parses a JSON number, as value × scale rounded down; scale is a
// power of ten up to 1e9. Numbers with an exponent lose what a float64 cannot
// hold.
func parseNumber(b []byte, scale int64) (v int64, ok bool) {
	if v, ok = parseDecimal(b, scale); ok || !bytes.ContainsAny(b, "eE") || len(b) > 32 {
		return v, ok
	}
	f, err := strconv.ParseFloat(string(b), 64)
	f *= float64(scale)
	if err != nil || !(f > -1<<62 && f < 1<<62) {
		return 0, false
	}
	return int64(f), true
}

// countOf parses a count: a number that is not negative; -1 if b is empty, which
// is not said.
func countOf(b []byte) (n int64, ok bool) {
	if len(b) == 0 {
		return -1, true
	}
	n, ok = parseNumber(b, 1)
	return n, ok && n >= 0
}

// setCount sets a cell, unless n is -1: not said.
func setCount(b *columnar.Builder, c columnar.Col, n int64) {
	if n >= 0 {
		b.SetInt(c, n)
	}
}

// cutLine cuts the first line off p, without its newline and carriage return.
func cutLine(p []byte) (line, rest []byte) {
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		line, rest = p[:i], p[i+1:]
	} else {
		line = p
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, rest
}

// anyLine reports whether a line of head is so.
func anyLine(head []byte, so func(line []byte) bool) bool {
	for len(head) > 0 {
		var line []byte
		if line, head = cutLine(head); so(line) {
			return true
		}
	}
	return false
}

// blank reports whether a line holds nothing but white space. Such a line is no
// damage: some writers end with one.
func blank(line []byte) bool { return skipSpace(line, 0) == len(line) }

// malformedJSON is the reason to skip a line that is no JSON object, or a part of
// one.
const malformedJSON = "malformed JSON object"

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// colonEnd returns where the value after a key begins, given where the key
// ended; -1 if there is no colon.
func colonEnd(b []byte, i int) int {
	if i < len(b) && b[i] != ':' {
		i = skipSpace(b, i)
	}
	if i >= len(b) || b[i] != ':' {
		return -1
	}
	if i++; i < len(b) && b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	return i
}

// stringEnd is jsonText.stringEnd of a text that is not marked.
func stringEnd(b []byte, i int) (end int, escaped bool) {
	for i < len(b) {
		if i+8 <= len(b) {
			// The lowest high bit marks the first byte that is a quote, a
			// backslash or below a space; a borrow can only spoil higher ones.
			w := binary.LittleEndian.Uint64(b[i:])
			quote, slash := w^('"'*eachByte), w^('\\'*eachByte)
			m := ((quote-eachByte)&^quote | (slash-eachByte)&^slash | (w-' '*eachByte)&^w) & highBits
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) >> 3
		}
		switch c := b[i]; {
		case c == '"':
			return i, escaped
		case c == '\\':
			escaped = true
			if i = escapeEnd(b, i); i < 0 {
				return -1, true
			}
		case c < ' ':
			return -1, escaped
		default:
			i++
		}
	}
	return -1, escaped
}

func escapeEnd(b []byte, i int) int {
	if i+1 >= len(b) {
		return -1
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if _, ok := hex4(b[i+2:]); ok {
			return i + 6
		}
	}
	return -1
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		d, ok := hexDigit(c)
		if !ok {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}

func hexDigit(c byte) (d byte, ok bool) {
	switch {
	case c-'0' <= 9:
		return c - '0', true
	case c|0x20-'a' <= 5:
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// appendUnescaped appends the text of a string that stringEnd has accepted.
func appendUnescaped(dst, s []byte) []byte {
	for {
		i := bytes.IndexByte(s, '\\')
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		c := s[i+1]
		s = s[i+2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r, _ := hex4(s)
			s = s[4:]
			if utf16.IsSurrogate(r) {
				pair := rune(utf8.RuneError)
				if len(s) >= 6 && s[0] == '\\' && s[1] == 'u' {
					low, _ := hex4(s[2:])
					pair = utf16.DecodeRune(r, low)
				}
				if r = pair; r != utf8.RuneError {
					s = s[6:]
				}
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst = append(dst, c)
	}
}

// literalEnd is valueEnd of true, false and null.
func literalEnd(b []byte, i int) int {
	if i+4 > len(b) {
		return -1
	}
	const (
		true4 = 't' | 'r'<<8 | 'u'<<16 | 'e'<<24
		null4 = 'n' | 'u'<<8 | 'l'<<16 | 'l'<<24
		fals4 = 'f' | 'a'<<8 | 'l'<<16 | 's'<<24
	)
	switch binary.LittleEndian.Uint32(b[i:]) {
	case true4, null4:
		return i + 4
	case fals4:
		if i+4 < len(b) && b[i+4] == 'e' {
			return i + 5
		}
	}
	return -1
}

// numberEnd is valueEnd of a number in a text that is not marked.
func numberEnd(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	digits := digitsEnd(b, i)
	if digits == i || b[i] == '0' && digits > i+1 {
		return -1
	}
	i = digits
	if i < len(b) && b[i] == '.' {
		if digits = digitsEnd(b, i+1); digits == i+1 {
			return -1
		}
		i = digits
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if digits = digitsEnd(b, i); digits == i {
			return -1
		}
		i = digits
	}
	return i
}

func digitsEnd(b []byte, i int) int {
	for i+8 <= len(b) {
		// As in stringEnd, carries can only spoil what is above the first mark.
		w := binary.LittleEndian.Uint64(b[i:]) ^ '0'*eachByte
		if m := (w + (0x80-10)*eachByte | w) & highBits; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}
