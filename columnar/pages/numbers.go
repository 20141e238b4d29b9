package pages

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// Numbers in Parquet's encodings: runs, packed groups and differences.

// A Hybrid reads numbers of a fixed width that are stored as runs of one number and
// as bit-packed groups. The zero value has no numbers.
type Hybrid struct {
	width  uint   // in bits
	rest   []byte // the bytes after the run
	left   int    // numbers left in the run
	one    bool   // the run repeats one number
	number uint32 // that number
	packed []byte // the bytes that hold the other numbers
	bit    uint   // offset in packed of the next number, in bits
}

// NewHybrid returns a reader of the numbers of width bits, at most 32, in b.
func NewHybrid(b []byte, width uint) (Hybrid, error) {
	if width > 32 {
		return Hybrid{}, fmt.Errorf("%w: numbers of %d bits", ErrDamaged, width)
	}
	return Hybrid{width: width, rest: b}, nil
}

// next goes to the next run if this one is used up.
func (h *Hybrid) next() error {
	for h.left == 0 {
		head, k := binary.Uvarint(h.rest)
		if k <= 0 {
			return fmt.Errorf("%w: numbers missing", ErrDamaged)
		}
		b := h.rest[k:]
		count := min(head>>1, math.MaxInt32)
		if h.one = head&1 == 0; h.one {
			size := int(h.width+7) / 8
			if len(b) < size {
				return fmt.Errorf("%w run", ErrDamaged)
			}
			h.number = 0
			for i := range size {
				h.number |= uint32(b[i]) << (8 * i)
			}
			h.left, h.rest = int(count), b[size:]
			continue
		}
		h.left, h.packed, h.bit = int(min(count*8, math.MaxInt32)), b, 0
		if size := count * uint64(h.width); size <= uint64(len(b)) {
			h.rest = b[size:]
		} else { // writers may cut off the last group
			h.left, h.rest = len(b)*8/int(h.width), nil
		}
	}
	return nil
}

// All reports whether the next n numbers are in one run of v.
func (h *Hybrid) All(n int, v uint32) bool {
	return h.next() == nil && h.one && h.number == v && h.left >= n
}

// Skip skips n numbers. The run must have them.
func (h *Hybrid) Skip(n int) {
	h.left -= n
	h.bit += uint(n) * h.width
}

// Read fills out with the next numbers.
func (h *Hybrid) Read(out []uint32) error {
	for len(out) > 0 {
		if err := h.next(); err != nil {
			return err
		}
		n := min(h.left, len(out))
		if h.one {
			for i := range out[:n] {
				out[i] = h.number
			}
		} else {
			unpack(h.packed[h.bit>>3:], h.bit&7, h.width, out[:n])
		}
		h.Skip(n)
		out = out[n:]
	}
	return nil
}

// Bits returns a reader of the one-bit numbers that are packed in b.
func Bits(b []byte) Hybrid { return Hybrid{width: 1, packed: b, left: len(b) * 8} }

// Run returns a reader of a run of n zeros.
func Run(n int) Hybrid { return Hybrid{one: true, left: n} }

// unpack reads numbers of width bits, starting at a bit of b, least significant bit
// first. b must hold them.
func unpack(b []byte, bit, width uint, out []uint32) {
	mask := uint64(1)<<width - 1
	i := 0
	switch { // several numbers and the odd bits fit in a word
	case width <= 14:
		for ; i+4 <= len(out) && int(bit>>3)+8 <= len(b); i += 4 {
			w := binary.LittleEndian.Uint64(b[bit>>3:]) >> (bit & 7)
			o := (*[4]uint32)(out[i:])
			o[0] = uint32(w & mask)
			w >>= width & 63
			o[1] = uint32(w & mask)
			w >>= width & 63
			o[2] = uint32(w & mask)
			w >>= width & 63
			o[3] = uint32(w & mask)
			bit += 4 * width
		}
	case width <= 28:
		for ; i+2 <= len(out) && int(bit>>3)+8 <= len(b); i += 2 {
			w := binary.LittleEndian.Uint64(b[bit>>3:]) >> (bit & 7)
			o := (*[2]uint32)(out[i:])
			o[0] = uint32(w & mask)
			o[1] = uint32(w >> (width & 63) & mask)
			bit += 2 * width
		}
	}
	for ; i < len(out) && int(bit>>3)+8 <= len(b); i++ {
		out[i] = uint32(binary.LittleEndian.Uint64(b[bit>>3:]) >> (bit & 7) & mask)
		bit += width
	}
	var last [16]byte
	if i < len(out) {
		copy(last[:], b[bit>>3:])
		bit &= 7
	}
	for ; i < len(out); i++ {
		out[i] = uint32(binary.LittleEndian.Uint64(last[bit>>3:]) >> (bit & 7) & mask)
		bit += width
	}
}

// DeltaCount returns the number of values that a delta encoding declares.
func DeltaCount(b []byte) (n uint64, ok bool) {
	for range 3 { // block size, blocks in it, values
		v, k := binary.Uvarint(b)
		if k <= 0 {
			return 0, false
		}
		n, b = v, b[k:]
	}
	return n, true
}

// AppendDelta appends numbers in Parquet's DELTA_BINARY_PACKED. Each block of 128
// differences stores the least of them, and how far the others exceed it, packed in
// four groups, each with its own width.
func AppendDelta(dst []byte, v []int64) []byte {
	const block, group = 128, 32
	dst = binary.AppendUvarint(dst, block)
	dst = binary.AppendUvarint(dst, block/group)
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	if len(v) == 0 {
		return append(dst, 0)
	}
	last := v[0]
	dst = binary.AppendVarint(dst, last)
	for v = v[1:]; len(v) > 0; {
		n := min(len(v), block)
		var deltas [block]uint64
		least := int64(math.MaxInt64)
		for i, x := range v[:n] {
			d := x - last // wraps around, as it does when the differences are added up
			deltas[i], last, least = uint64(d), x, min(least, d)
		}
		v = v[n:]
		dst = binary.AppendVarint(dst, least)
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		for g := 0; g*group < n; g++ {
			var all uint64
			for i := g * group; i < min(n, (g+1)*group); i++ {
				deltas[i] -= uint64(least)
				all |= deltas[i]
			}
			width := uint(bits.Len64(all))
			dst[at+g] = byte(width)
			if width == 0 {
				continue
			}
			var word uint64
			have := uint(0)
			for _, d := range deltas[g*group : (g+1)*group] {
				word |= d << have
				if have += width; have >= 64 {
					dst = binary.LittleEndian.AppendUint64(dst, word)
					have -= 64
					word = d >> (width - have)
				}
			}
			if have > 0 { // 32 numbers fill whole bytes, four numbers at a time
				dst = binary.LittleEndian.AppendUint32(dst, uint32(word))
			}
		}
	}
	return dst
}

// AppendHybrid appends numbers of width bits in the form that a Hybrid reads: eight
// or more equal numbers as a run, all others in packed groups of eight.
func AppendHybrid(dst []byte, v []uint32, width uint) []byte {
	same := func(i, most int) int { // how many numbers from i on are equal
		n := 1
		for n < most && i+n < len(v) && v[i+n] == v[i] {
			n++
		}
		return n
	}
	for i := 0; i < len(v); {
		if n := same(i, len(v)); n >= 8 {
			dst = binary.AppendUvarint(dst, uint64(n)<<1)
			for bit := uint(0); bit < width; bit += 8 {
				dst = append(dst, byte(v[i]>>bit))
			}
			i += n
			continue
		}
		end := i + 8
		for end < len(v) && same(end, 8) < 8 {
			end += 8
		}
		dst = binary.AppendUvarint(dst, uint64(end-i)/8<<1|1)
		var word uint64
		have := uint(0)
		for ; i < end; i++ {
			if i < len(v) {
				word |= uint64(v[i]) << have
			}
			for have += width; have >= 8; have -= 8 {
				dst = append(dst, byte(word))
				word >>= 8
			}
		}
	}
	return dst
}
