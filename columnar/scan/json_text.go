package scan

import (
	"encoding/binary"
	"math/bits"
)

// JSON text, and where its values end.

// A jsonText is JSON text. Once it is marked with the places where strings may end,
// string ends are found without a look at each byte. Its methods return the end of
// what begins at b[i], or -1 if that is malformed. The result is the same for
// marked and unmarked text. It must not be used by several goroutines at once.
type jsonText struct {
	b []byte
	// Bit i&7 of byte i>>3 of stops says that b[i] is a quote, a backslash or a
	// control character. Bits beyond the text are undefined.
	stops []byte
}

// mark takes b as the text and marks it. It may read up to the capacity of b.
func (t *jsonText) mark(b []byte) {
	t.b = b
	n := (len(b) + 63) / 64
	// Seven bytes follow the last byte of marks, so that every byte can be the
	// first of a word.
	if size := 8*n + 8; cap(t.stops) < size {
		t.stops = make([]byte, size, 2*size)
	} else {
		t.stops = t.stops[:size]
	}
	if cap(b) < 64*n { // at the end of a buffer
		n--
		var last [64]byte
		copy(last[:], b[64*n:])
		stopBlocks(t.stops[8*n:], last[:])
	}
	stopBlocks(t.stops, b[:64*n])
}

// stopWords is stopBlocks for any machine.
func stopWords(stops, text []byte) {
	for ; len(text) >= 64; stops, text = stops[8:], text[64:] {
		for i := range 8 {
			w := binary.LittleEndian.Uint64(text[8*i:])
			seven := w &^ HighBits
			// Adding 128 − bound to seven bits sets the high bit from that bound
			// on, and carries nothing over.
			plain := ((seven ^ '"'*EachByte) + 0x7f*EachByte) & ((seven ^ '\\'*EachByte) + 0x7f*EachByte) & (seven + (0x80-' ')*EachByte)
			m := ^(plain | w) & HighBits
			stops[i] = byte(m >> 7 * gather >> 56)
		}
	}
}

// stop returns the place of the first quote, backslash or control character of
// marked text from b[i] on. It returns len(b) or more if there is none.
func (t *jsonText) stop(i int) int {
	for at := i >> 3; at+8 <= len(t.stops); at = i >> 3 {
		if m := binary.LittleEndian.Uint64(t.stops[at:]) >> (i & 7); m != 0 {
			return i + bits.TrailingZeros64(m)
		}
		i += 64 - i&7
	}
	return i
}

// stringEnd returns the place of the closing quote of the string whose text begins
// at b[i], and whether there are escapes before it.
func (t *jsonText) stringEnd(i int) (end int, escaped bool) {
	if len(t.stops) > 0 {
		if i = t.stop(i); i < len(t.b) && t.b[i] == '"' {
			return i, false
		}
	}
	return stringEnd(t.b, i)
}

// valueEnd returns the end of the value that begins at b[i]. It is -1 if the value
// is malformed or nests deeper than depth further levels.
func (t *jsonText) valueEnd(i, depth int) int {
	if i >= len(t.b) {
		return -1
	}
	switch c := t.b[i]; {
	case c == '"':
		end, _ := t.stringEnd(i + 1)
		if end < 0 {
			return -1
		}
		return end + 1
	case c-'0' <= 9 || c == '-':
		return numberEnd(t.b, i)
	case c == '{' || c == '[':
		return t.nestedEnd(i, depth)
	}
	return literalEnd(t.b, i)
}

// nestedEnd is valueEnd for an object or array.
func (t *jsonText) nestedEnd(i, depth int) int {
	if depth == 0 {
		return -1
	}
	b := t.b
	close := b[i] + 2 // { and }, [ and ]
	if i = SkipSpace(b, i+1); i < len(b) && b[i] == close {
		return i + 1
	}
	for {
		if close == '}' {
			if i >= len(b) || b[i] != '"' {
				return -1
			}
			end, _ := t.stringEnd(i + 1)
			if end < 0 {
				return -1
			}
			if i = colonEnd(b, end+1); i < 0 {
				return -1
			}
		}
		if i = t.valueEnd(i, depth-1); i < 0 {
			return -1
		}
		if i < len(b) && b[i] <= ' ' {
			i = SkipSpace(b, i)
		}
		if i >= len(b) {
			return -1
		}
		switch b[i] {
		case close:
			return i + 1
		case ',':
			if i++; i < len(b) && b[i] <= ' ' {
				i = SkipSpace(b, i)
			}
		default:
			return -1
		}
	}
}
