package columnar

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"slices"
	"unsafe"
)

// A Dict numbers distinct texts in the order in which it first sees them. Code
// 0 is always "". It is used by one goroutine at a time.
//
// Note: the built-in map costs three times as much per look-up here, because
// the key must become a string and its hash is stronger than needed.
//
// A Dict with a canonical form gives a text one code in whatever notation it comes: that of
// its canonical text. The other notations are texts of the Dict too, so that a look-up finds
// them, but Code never returns their codes.
type Dict struct {
	slots []dictSlot
	arena []byte  // with a capacity of room more
	ends  []int32 // ends[i] is where text i begins and text i-1 ends

	// canonical appends the canonical text to dst; nil: a text is as it comes. That of
	// a canonical text is itself.
	canonical func(dst, text []byte) []byte
	scratch   []byte
	aliases   []int32 // codes of the other notations, rising

	table int // the ID of the table that has the column of the texts
}

// A dictSlot has where its text lies, so that a look-up need not ask ends for it.
type dictSlot struct {
	tag   uint32 // of the hash, which has the slot's place too; 0 if the slot is free
	code  int32
	begin uint32
	size  uint32
}

// NewDict returns a Dict that holds only "".
func NewDict() *Dict {
	d := &Dict{slots: make([]dictSlot, 16), ends: []int32{0}}
	d.Code(nil)
	return d
}

// Len returns the number of distinct texts, "" included.
func (d *Dict) Len() int { return len(d.ends) - 1 }

// size returns the bytes that the texts take.
func (d *Dict) size() int { return len(d.arena) }

// Memory returns the bytes that the Dict takes.
func (d *Dict) Memory() int {
	return len(d.slots)*int(unsafe.Sizeof(dictSlot{})) + cap(d.arena) + 4*cap(d.ends)
}

// Text returns the text of a code. It stays valid and must not be changed.
func (d *Dict) Text(code int32) []byte {
	return d.arena[d.ends[code]:d.ends[code+1]:d.ends[code+1]]
}

// Span returns where the text of a code lies in data, for what takes many texts of one block.
func (d *Dict) Span(code int32) (data []byte, s Span) {
	return d.arena, Span{uint32(d.ends[code]), uint32(d.ends[code+1])}
}

// Code returns the code of text and numbers it if it is new.
func (d *Dict) Code(text []byte) int32 {
	tag, mask := tagOf(hash(text)), uint32(len(d.slots)-1)
	i := placeOf(tag) & mask
	for ; d.slots[i].tag != 0; i = (i + 1) & mask {
		if s := &d.slots[i]; s.tag == tag && string(d.arena[s.begin:s.begin+s.size]) == string(text) {
			return s.code
		}
	}
	code := int32(d.Len())
	if d.canonical != nil {
		if d.scratch = d.canonical(d.scratch[:0], text); string(d.scratch) != string(text) {
			code = d.Code(bytes.Clone(d.scratch))
			d.aliases = append(d.aliases, int32(d.Len()))
			mask = uint32(len(d.slots) - 1)
			for i = placeOf(tag) & mask; d.slots[i].tag != 0; i = (i + 1) & mask {
			}
		}
	}
	d.slots[i] = dictSlot{tag, code, uint32(len(d.arena)), uint32(len(text))}
	d.arena = slices.Grow(append(d.arena, text...), room)
	d.ends = append(d.ends, int32(len(d.arena)))
	if (d.Len()-1)*2 > len(d.slots) {
		d.grow()
	}
	return code
}

// A Span is where a text lies in a block: data[Begin:End].
type Span struct{ Begin, End uint32 }

// Codes sets codes[i] to the code of the text of spans[i] in data, as Code would
// one after the other.
func (d *Dict) Codes(codes []int32, data []byte, spans []Span) {
	for len(spans) > 0 {
		n := min(len(spans), 64)
		if same := alike(data, spans[:n]); same > 8 {
			code := d.Code(data[spans[0].Begin:spans[0].End])
			for i := range codes[:same] {
				codes[i] = code
			}
			codes, spans = codes[same:], spans[same:]
			continue
		}
		for missed := d.find(codes[:n], data, spans[:n]); missed != 0; missed &= missed - 1 {
			i := bits.TrailingZeros64(missed)
			codes[i] = d.Code(data[spans[i].Begin:spans[i].End])
		}
		codes, spans = codes[n:], spans[n:]
	}
}

// alike returns how many texts, from the first on, are the same. Many columns hardly change,
// and a comparison takes a third of the time of a look-up.
func alike(data []byte, spans []Span) int {
	s := spans[0]
	first, size := data[s.Begin:s.End], s.End-s.Begin
	for i, s := range spans[1:] {
		if s.End-s.Begin != size || string(data[s.Begin:s.End]) != string(first) {
			return i + 1
		}
	}
	return len(spans)
}

const (
	// longest is up to which size, in bytes, texts are hashed and compared as words.
	longest = 64
	// room is how many bytes may be read from where a text begins.
	room = 32
)

// findWords is find, on any machine.
func (d *Dict) findWords(codes []int32, data []byte, spans []Span) (missed uint64) {
	var tags [64]uint32 // all at first, so that look-ups do not wait for each other's memory
	for i, s := range spans {
		tags[i&63] = tagOf(hash(data[s.Begin:s.End]))
	}
	for i, s := range spans {
		tag := tags[i&63]
		slot := &d.slots[placeOf(tag)&uint32(len(d.slots)-1)]
		if slot.tag == tag && string(d.arena[slot.begin:slot.begin+slot.size]) == string(data[s.Begin:s.End]) {
			codes[i] = slot.code
		} else {
			missed |= 1 << i
		}
	}
	return missed
}

func (d *Dict) grow() {
	old := d.slots
	d.slots = make([]dictSlot, len(old)*2)
	mask := uint32(len(d.slots) - 1)
	for _, s := range old {
		if s.tag == 0 {
			continue
		}
		i := placeOf(s.tag) & mask
		for d.slots[i].tag != 0 {
			i = (i + 1) & mask
		}
		d.slots[i] = s
	}
}

// Each process has its own keys for the hash: an attacker who does not know them cannot
// make texts that meet in one slot. Nothing depends on them but speed.
var (
	hashKey0, hashKey1 = rand.Uint64(), rand.Uint64()
	hashKey2, hashKey3 = rand.Uint64(), rand.Uint64()
	hashKey4, hashKey5 = rand.Uint64(), rand.Uint64()
	hashKey6, hashKey7 = rand.Uint64(), rand.Uint64()
)

// mix folds the 128-bit product of its arguments. Note: the low half alone
// clusters badly in an open-addressed table.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// longHash returns a 64-bit hash of text, another in every process (in the manner
// of wyhash).
func longHash(text []byte) uint64 {
	n := len(text)
	h := uint64(n) * hashKey0
	switch {
	case n >= 8:
		p := text
		for len(p) > 16 {
			h = mix(binary.LittleEndian.Uint64(p)^hashKey1, binary.LittleEndian.Uint64(p[8:])^h)
			p = p[16:]
		}
		h = mix(binary.LittleEndian.Uint64(text[max(0, n-16):])^hashKey1, binary.LittleEndian.Uint64(text[n-8:])^h)
	case n >= 4:
		h = mix(uint64(binary.LittleEndian.Uint32(text))^hashKey1, uint64(binary.LittleEndian.Uint32(text[n-4:]))^h)
	case n > 0:
		h = mix((uint64(text[0])<<16|uint64(text[n>>1])<<8|uint64(text[n-1]))^hashKey1, h^hashKey1)
	}
	return mix(h^hashKey0, hashKey1)
}

// hash is the hash of a Dict's texts.
func hash(text []byte) uint64 {
	var w0, w1, w2, w3 uint64 // text, and zeros behind it
	n := len(text)
	switch {
	case n > longest:
		return longHash(text)
	case n > 32:
		word := func(at int) uint64 { return binary.LittleEndian.Uint64(text[at:]) }
		return mix(word(0)^hashKey0, word(8)^hashKey1^uint64(n)<<56) ^ mix(word(16)^hashKey2, word(24)^hashKey3) ^
			mix(word(n-32)^hashKey4, word(n-24)^hashKey5) ^ mix(word(n-16)^hashKey6, word(n-8)^hashKey7)
	case n > 24:
		w2 = binary.LittleEndian.Uint64(text[16:])
		w3 = binary.LittleEndian.Uint64(text[n-8:]) >> (8 * (32 - n))
	case n > 16:
		w2 = binary.LittleEndian.Uint64(text[n-8:]) >> (8 * (24 - n))
	}
	switch {
	case n > 16:
		w0, w1 = binary.LittleEndian.Uint64(text), binary.LittleEndian.Uint64(text[8:])
	case n >= 8:
		w0, w1 = binary.LittleEndian.Uint64(text), binary.LittleEndian.Uint64(text[n-8:])>>(8*(16-n))
	default:
		for i := n - 1; i >= 0; i-- {
			w0 = w0<<8 | uint64(text[i])
		}
	}
	return mix(w0^hashKey0, w1^hashKey1^uint64(n)<<56) ^ mix(w2^hashKey2, w3^hashKey3)
}

// tagOf returns what a slot keeps of a hash: half of it, with one bit changed.
func tagOf(h uint64) uint32 { return uint32(h) | 1 }

// placeOf returns the place of a text with that tag in an endless table. It follows from
// the tag, so that a table grows without reading its texts.
func placeOf(tag uint32) uint32 { return tag >> 1 }
