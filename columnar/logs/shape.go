package logs

import (
	"bytes"
	"encoding/binary"
)

// A shape reads objects that are alike, such as the lines of one log, faster
// than a walker: all members at once, and their keys mostly without a scan or a
// look-up, as they follow each other as they did the last time. It accepts what a
// walker accepts. It is used by one goroutine.
type shape struct {
	field func(key []byte) int // what a key is to the decoder, below 64; -1: nothing
	keys  []shapeKey           // the first stands for the beginning of an object
	index map[string]int
}

type shapeKey struct {
	raw   string // as it stands in the line, up to the value
	field int
	next  int // the key that came next the last time

	// The first 16 bytes of raw as two words, and masks of those it has.
	words, masks [2]uint64
}

// shapeKeys is how many keys a shape remembers, and shapeKeyLen of what length.
// Sound logs have fewer and shorter ones; hostile ones must not fill the memory.
const (
	shapeKeys   = 512
	shapeKeyLen = 256
)

func newShape(field func(key []byte) int) *shape {
	return &shape{field: field, keys: make([]shapeKey, 1, 64), index: map[string]int{}}
}

// read notes the values of the object in b by field; of equal keys the last
// one's. has and escaped are sets of fields: those that the object has, and those
// that are strings with escapes. If ok is false, the object is malformed.
func (s *shape) read(b []byte, values []value) (has, escaped uint64, ok bool) {
	i := skipSpace(b, 0)
	if i == len(b) || b[i] != '{' {
		return 0, 0, false
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == '}' {
		return 0, 0, blank(b[i+1:])
	}
	last := 0
	for {
		field := -1
		at := s.keys[last].next
		if k := &s.keys[at]; k.isAt(b, i) {
			last, field = at, k.field
			i += len(k.raw)
		} else if i, last, field = s.slowKey(b, i, last); i < 0 {
			return 0, 0, false
		}
		if i < len(b) && b[i] <= ' ' {
			i = skipSpace(b, i)
		}
		if i == len(b) {
			return 0, 0, false
		}
		end, slashed := 0, false
		switch c := b[i]; {
		case c == '"':
			end, slashed = stringEnd(b, i+1)
			end++
		case c-'0' <= 9:
			end = numberEnd(b, i)
		default:
			end = valueEnd(b, i, maxDepth-1)
		}
		if end <= 0 {
			return 0, 0, false
		}
		if field >= 0 {
			values[field] = b[i:end]
			bit := uint64(1) << field
			has |= bit
			escaped &^= bit
			if slashed {
				escaped |= bit
			}
		}
		if i = end; i < len(b) && b[i] <= ' ' {
			i = skipSpace(b, i)
		}
		if i == len(b) {
			return 0, 0, false
		}
		switch b[i] {
		case ',':
			if i++; i < len(b) && b[i] <= ' ' {
				i = skipSpace(b, i)
			}
		case '}':
			return has, escaped, blank(b[i+1:])
		default:
			return 0, 0, false
		}
	}
}

// isAt reports whether the key stands at b[i].
func (k *shapeKey) isAt(b []byte, i int) bool {
	n := len(k.raw)
	if i+16 > len(b) {
		return n > 0 && i+n <= len(b) && string(b[i:i+n]) == k.raw
	}
	w0, w1 := binary.LittleEndian.Uint64(b[i:]), binary.LittleEndian.Uint64(b[i+8:])
	if (w0^k.words[0])&k.masks[0]|(w1^k.words[1])&k.masks[1] != 0 || n == 0 {
		return false
	}
	return n <= 16 || i+n <= len(b) && string(b[i+16:i+n]) == k.raw[16:]
}

// slowKey reads any key, and notes that it followed the last one. It returns
// where the key ends, -1 if it is malformed, the key to go on from, and what it
// is to the decoder.
func (s *shape) slowKey(b []byte, i, last int) (end, at, field int) {
	if i >= len(b) || b[i] != '"' {
		return -1, last, -1
	}
	quote, escaped := stringEnd(b, i+1)
	if quote < 0 {
		return -1, last, -1
	}
	if end = colonEnd(b, quote+1); end < 0 {
		return -1, last, -1
	}
	raw := b[i:end]
	at, known := s.index[string(raw)]
	if !known {
		key := b[i+1 : quote]
		if escaped {
			key = appendUnescaped(nil, key)
		}
		field = s.field(key)
		if len(s.keys) == shapeKeys || len(raw) > shapeKeyLen {
			return end, last, field
		}
		at = len(s.keys)
		s.keys = append(s.keys, newShapeKey(string(raw), field))
		s.index[s.keys[at].raw] = at
	}
	s.keys[last].next = at
	return end, at, s.keys[at].field
}

func newShapeKey(raw string, field int) shapeKey {
	k := shapeKey{raw: raw, field: field}
	var words, masks [16]byte
	n := copy(words[:], raw)
	copy(masks[:], bytes.Repeat([]byte{0xff}, n))
	for i := range k.words {
		k.words[i] = binary.LittleEndian.Uint64(words[8*i:])
		k.masks[i] = binary.LittleEndian.Uint64(masks[8*i:])
	}
	return k
}
