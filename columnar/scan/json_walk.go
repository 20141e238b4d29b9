package scan

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON objects, member by member.

// MaxDepth is the greatest depth to which the values of a JSON line may nest. The
// deepest known events nest about twenty levels. Each level costs a stack frame.
const MaxDepth = 256

// A Walker iterates over the members of one JSON object, or the elements of one
// array, in place and without allocation:
//
//	w.Open(line)
//	for w.Next() {
//		// w.Key, w.Val
//	}
//	if !w.Done() { // malformed
//
// It accepts exactly what encoding/json accepts, with three differences. Values
// that nest deeper than MaxDepth are malformed. Bytes that are not UTF-8 stay as
// they are. If keys are equal, it returns all of them, in order; a caller that
// assigns keeps the last. The walker finds a fault only after it has returned the
// members before it: these count only if Done is true.
type Walker struct {
	Key     []byte // unescaped; valid until the next call of Next
	Val     Value
	Escaped bool // Val is a string with escapes

	jsonText // not marked, because most are short
	i        int
	close    byte
	begun    bool
	ended    bool
	scratch  []byte
}

// Open starts at the object or array in b.
func (w *Walker) Open(b []byte) {
	w.Key, w.b, w.begun, w.ended, w.close = nil, b, false, false, 0
	w.i = SkipSpace(b, 0)
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

// Next moves to the next member. It returns false at the end, and at a fault.
func (w *Walker) Next() bool {
	b, i := w.b, w.i
	if w.close == 0 || i >= len(b) {
		return false
	}
	if b[i] <= ' ' {
		if i = SkipSpace(b, i); i == len(b) {
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
			i = SkipSpace(b, i)
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
		w.Key = b[i+1 : end]
		if escaped {
			w.scratch = appendUnescaped(w.scratch[:0], w.Key)
			w.Key = w.scratch
		}
		if i = colonEnd(b, end+1); i < 0 {
			return false
		}
	}
	end := -1
	if i < len(b) && b[i] == '"' {
		if end, w.Escaped = stringEnd(b, i+1); end >= 0 {
			end++
		}
	} else {
		w.Escaped = false
		end = w.valueEnd(i, MaxDepth-1)
	}
	if end < 0 {
		return false
	}
	w.Val, w.i = b[i:end], end
	return true
}

// InObject reports whether the walker is in an object and has not reached its end.
func (w *Walker) InObject() bool { return w.close == '}' }

// InArray reports whether the walker is in an array and has not reached its end.
func (w *Walker) InArray() bool { return w.close == ']' }

// Done reports whether the object or array ended without a fault and nothing
// follows it.
func (w *Walker) Done() bool { return w.ended && SkipSpace(w.b, w.i) == len(w.b) }

// DoneObject is Done for an object.
func (w *Walker) DoneObject() bool { return w.Done() && w.b[w.i-1] == '}' }

// Text returns the text of the value; see Value.Text.
func (w *Walker) Text(scratch *[]byte) []byte {
	if !w.Escaped && w.Val.Is('"') {
		return w.Val[1 : len(w.Val)-1]
	}
	return w.Val.Text(scratch)
}

// EachKey calls f for the members of the first JSON object in head, as far as head
// reaches.
func EachKey(head []byte, f func(key []byte, val Value)) {
	line, _ := CutLine(bytes.TrimLeft(head, " \t\r\n"))
	var w Walker
	w.Open(line)
	for w.InObject() && w.Next() {
		f(w.Key, w.Val)
	}
}

// A Value is one JSON value as it is written in the line. It is nil if there is
// none.
type Value []byte

// Is reports whether the value begins with c, which tells its kind: {, [, ", or n for
// null.
func (v Value) Is(c byte) bool { return len(v) > 0 && v[0] == c }

// Text returns the text of a string, or a number or boolean as it is written. It
// returns nil for null, objects and arrays. Unescaped text is appended to *scratch,
// and is valid until somebody truncates that.
func (v Value) Text(scratch *[]byte) []byte {
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

// Length returns the number of elements of an array. It reports false if the value
// is not an array.
func (v Value) Length() (n int, ok bool) {
	if !v.Is('[') {
		return 0, false
	}
	var w Walker
	for w.Open(v); w.Next(); n++ {
	}
	return n, true
}

// colonEnd returns the place of the value after a key that ends at i, or -1 if
// there is no colon.
func colonEnd(b []byte, i int) int {
	if i < len(b) && b[i] != ':' {
		i = SkipSpace(b, i)
	}
	if i >= len(b) || b[i] != ':' {
		return -1
	}
	if i++; i < len(b) && b[i] <= ' ' {
		i = SkipSpace(b, i)
	}
	return i
}

// stringEnd is jsonText.stringEnd for unmarked text.
func stringEnd(b []byte, i int) (end int, escaped bool) {
	for i < len(b) {
		if i+8 <= len(b) {
			// The lowest high bit marks the first byte that is a quote, a backslash
			// or below a space. A borrow can only spoil higher bytes.
			w := binary.LittleEndian.Uint64(b[i:])
			quote, slash := w^('"'*EachByte), w^('\\'*EachByte)
			m := ((quote-EachByte)&^quote | (slash-EachByte)&^slash | (w-' '*EachByte)&^w) & HighBits
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
		d, ok := HexDigit(c)
		if !ok {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
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

// literalEnd is valueEnd for true, false and null.
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

// numberEnd is valueEnd for a number in unmarked text.
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
		// As in stringEnd, a carry can only spoil bytes above the first mark.
		w := binary.LittleEndian.Uint64(b[i:]) ^ '0'*EachByte
		if m := (w + (0x80-10)*EachByte | w) & HighBits; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}
