package columnar

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// A Dict numbers distinct texts in the order in which it first sees them. Code
// 0 is always "". It is used by one goroutine at a time.
//
// Note: the built-in map costs three times as much per look-up here, because
// the key must become a string and its hash is stronger than needed.
type Dict struct {
	slots []dictSlot
	arena []byte
	ends  []int32 // ends[i] is where text i begins and text i-1 ends
}

// A dictSlot has where its text lies, so that a look-up need not ask ends for it.
type dictSlot struct {
	hash  uint32 // the half of the hash that does not choose the slot
	code  int32  // code+1, 0 if the slot is free
	begin int32
	size  int32
}

// NewDict returns a Dict that holds only "".
func NewDict() *Dict {
	d := &Dict{slots: make([]dictSlot, 256), ends: []int32{0}}
	d.Code(nil)
	return d
}

// Len returns the number of distinct texts, "" included.
func (d *Dict) Len() int { return len(d.ends) - 1 }

// Size returns the bytes that the texts take.
func (d *Dict) Size() int { return len(d.arena) }

// Text returns the text of a code. It stays valid and must not be changed.
func (d *Dict) Text(code int32) []byte {
	return d.arena[d.ends[code]:d.ends[code+1]:d.ends[code+1]]
}

// Code returns the code of text and numbers it if it is new.
func (d *Dict) Code(text []byte) int32 { return d.code(text, hash(text)) }

func (d *Dict) code(text []byte, h uint64) int32 {
	slots := d.slots
	i := h
	var s *dictSlot
	for {
		s = &slots[i&uint64(len(slots)-1)]
		if s.code == 0 {
			break
		}
		if s.hash == uint32(h>>32) && string(d.arena[s.begin:s.begin+s.size]) == string(text) {
			return s.code - 1
		}
		i++
	}
	code := int32(d.Len())
	*s = dictSlot{uint32(h >> 32), code + 1, int32(len(d.arena)), int32(len(text))}
	d.arena = append(d.arena, text...)
	d.ends = append(d.ends, int32(len(d.arena)))
	if int(code)*2 > len(slots) {
		d.grow()
	}
	return code
}

// A Span is where a text lies in a block: data[Begin:End].
type Span struct{ Begin, End uint32 }

// Codes sets codes[i] to the code of the text of spans[i] in data, as Code would
// one after the other.
//
// Note: hashed first, look-ups do not wait for each other's memory; and texts of
// up to 16 bytes, which most are, are hashed and compared as two words.
func (d *Dict) Codes(codes []int32, data []byte, spans []Span) {
	var hashes [64]uint64
	for len(spans) > 0 {
		n := min(len(spans), len(hashes))
		for i, s := range spans[:n] {
			text := data[s.Begin:s.End]
			switch size := len(text); {
			case size-8 <= 8 && size >= 8:
				hashes[i] = hashWords(binary.LittleEndian.Uint64(text), binary.LittleEndian.Uint64(text[size-8:]), size)
			case size < 8 && int(s.Begin)+8 <= len(data):
				hashes[i] = hashWords(binary.LittleEndian.Uint64(data[s.Begin:])&(1<<(8*size)-1), 0, size)
			default:
				hashes[i] = hash(text)
			}
		}
		for i, s := range spans[:n] {
			text, h := data[s.Begin:s.End], hashes[i]
			slot := &d.slots[h&uint64(len(d.slots)-1)]
			if slot.hash == uint32(h>>32) && int(slot.size) == len(text) && slot.code != 0 {
				have := d.arena[slot.begin:]
				equal := false
				switch size := len(text); {
				case size-8 <= 8 && size >= 8:
					equal = (binary.LittleEndian.Uint64(text)^binary.LittleEndian.Uint64(have))|
						(binary.LittleEndian.Uint64(text[size-8:])^binary.LittleEndian.Uint64(have[size-8:])) == 0
				case size < 8 && int(s.Begin)+8 <= len(data) && len(have) >= 8:
					equal = (binary.LittleEndian.Uint64(data[s.Begin:])^binary.LittleEndian.Uint64(have))&(1<<(8*size)-1) == 0
				default:
					equal = string(text) == string(have[:size])
				}
				if equal {
					codes[i] = slot.code - 1
					continue
				}
			}
			codes[i] = d.code(text, h)
		}
		codes, spans = codes[n:], spans[n:]
	}
}

func (d *Dict) grow() {
	old := d.slots
	d.slots = make([]dictSlot, len(old)*2)
	mask := uint64(len(d.slots) - 1)
	for _, s := range old {
		if s.code == 0 {
			continue
		}
		i := hash(d.arena[s.begin:s.begin+s.size]) & mask
		for d.slots[i].code != 0 {
			i = (i + 1) & mask
		}
		d.slots[i] = s
	}
}

// The keys of the hash are of this process: who does not know them cannot make
// texts that meet in one slot. Nothing depends on them but speed.
var hashKey0, hashKey1 = rand.Uint64(), rand.Uint64()

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

// hash is the hash of a Dict's texts: one multiplication cheaper than longHash where
// texts are short.
func hash(text []byte) uint64 {
	switch n := len(text); {
	case n > 16:
		return longHash(text)
	case n >= 8:
		return hashWords(binary.LittleEndian.Uint64(text), binary.LittleEndian.Uint64(text[n-8:]), n)
	default:
		var w uint64
		for i := n - 1; i >= 0; i-- {
			w = w<<8 | uint64(text[i])
		}
		return hashWords(w, 0, n)
	}
}

// hashWords is hash of a text of n bytes, given its first and last 8 if it has as
// many, else all of it and 0.
func hashWords(first, last uint64, n int) uint64 {
	return mix(first^hashKey0, last^hashKey1^uint64(n)<<56)
}
