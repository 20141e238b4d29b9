// Package inflate decompresses DEFLATE (RFC 1951) and gzip (RFC 1952). Logs are so
// often stored compressed that decompression takes most of the time of many runs.
//
// It accepts and refuses the same input as compress/flate and compress/gzip, and
// returns the same bytes before an error. From a stream that is cut off it may
// return a few more bytes, which those packages hold back. A reader takes 110 KiB
// of memory, whatever the stream is.
package inflate

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

const (
	// history is how far back a match may reach, in bytes. It is the limit of the
	// format.
	history = 32 << 10
	// span is the most that copying a match writes, in bytes: a match has up to
	// 258, and 16 are copied at a time.
	span = 272
	// room is the most that a step of the quick loop writes, in bytes: four
	// literals, then a match.
	room = span + 4
	// windowSize is the size in bytes of the history and of the decoded bytes after
	// it that are not read yet. The history is moved each time the window is full,
	// so a smaller window costs time; one three times as large gains none.
	windowSize = 96 << 10
	// reach is the most bytes of input that a step of the quick loop looks at: two
	// loads of 8 bytes, the second 7 bytes after the first.
	reach = 15
	// ahead is how many bytes of input are asked for. The quick loop takes 7 of
	// them before its first step.
	ahead = 64
)

var (
	errKind     = errors.New("deflate: block of an unknown kind")
	errLength   = errors.New("deflate: length of a stored block differs from its complement")
	errCode     = errors.New("deflate: block with an impossible code")
	errSymbol   = errors.New("deflate: bits that stand for nothing")
	errDistance = errors.New("deflate: match that begins before the stream")
)

// A Reader decompresses one DEFLATE stream. Everything decoded before an error is
// returned before that error. The error is io.ErrUnexpectedEOF if the stream is cut
// off.
type Reader struct {
	in    *bufio.Reader
	chunk []byte // what in has buffered
	pos   int    // chunk[:pos] was taken
	end   error  // why nothing follows chunk; nil if more may follow

	// The next bits of the stream, the first in the lowest. The bits above count
	// are bits of the stream or zero. All were taken from chunk, not from an
	// earlier one.
	bits  uint64
	count uint

	window [windowSize]byte // decoded bytes; window[read:write] is not read yet
	read   int
	write  int
	start  int // start of the stream in window; 0 once it has left the window

	block  blockKind
	last   bool  // this block is the last one
	stored int   // bytes left of a stored block
	err    error // why decoding ended

	fixed  bool // the tables are those of a fixed block
	litLen [litLenSize]entry
	dist   [distSize]entry
	code   code
	widths [maxLitLen + maxDist]uint8
}

type blockKind uint8

const (
	noBlock blockKind = iota // a header follows
	storedBlock
	codedBlock
)

// NewReader returns a reader of the DEFLATE stream in in. It takes no byte of in
// after the stream.
func NewReader(in *bufio.Reader) *Reader {
	return &Reader{in: in}
}

// restart begins a new stream after the end of the last one.
func (r *Reader) restart() {
	r.start = r.write
	r.block, r.last, r.err = noBlock, false, nil
}

func (r *Reader) Read(p []byte) (int, error) {
	for r.read == r.write {
		if r.err != nil {
			return 0, r.err
		}
		r.decode()
	}
	n := copy(p, r.window[r.read:r.write])
	r.read += n
	return n, nil
}

// decode decodes until the window is full, or sets err. All bytes decoded before
// must have been read.
func (r *Reader) decode() {
	if r.write > windowSize-room {
		drop := r.write - history
		copy(r.window[:], r.window[drop:r.write])
		r.start = max(0, r.start-drop)
		r.read, r.write = history, history
	}
	for r.err == nil && r.write <= windowSize-room {
		switch {
		case r.block == storedBlock:
			r.err = r.copyStored()
		case r.block == codedBlock:
			r.err = r.decodeBlock()
		case r.last:
			r.finish()
			r.err = io.EOF
		default:
			r.err = r.header()
		}
	}
}

// finish gives the bytes after the stream back.
func (r *Reader) finish() {
	r.unread()
	r.bits, r.count = 0, 0
	r.in.Discard(r.pos)
	r.chunk, r.pos = r.chunk[r.pos:], 0
}

// unread gives the whole bytes among the bits back to chunk.
func (r *Reader) unread() {
	r.pos -= int(r.count >> 3)
	r.count &= 7
	r.bits &= 1<<r.count - 1
}

// more gets more input into chunk, unless the input ends.
func (r *Reader) more() {
	r.unread()
	r.in.Discard(r.pos)
	r.pos = 0
	if r.end == nil {
		_, r.end = r.in.Peek(min(ahead, r.in.Size()))
	}
	r.chunk, _ = r.in.Peek(r.in.Buffered())
}

// fill takes bits until there are at least 48, or until the input ends.
func (r *Reader) fill() {
	for r.count < 48 {
		if r.pos == len(r.chunk) {
			if r.end != nil {
				return
			}
			if r.more(); r.pos == len(r.chunk) {
				return
			}
		}
		if len(r.chunk)-r.pos >= 8 {
			r.bits |= binary.LittleEndian.Uint64(r.chunk[r.pos:]) << (r.count & 63)
			r.pos += int((63 - r.count) >> 3)
			r.count |= 56
			return
		}
		r.bits |= uint64(r.chunk[r.pos]) << (r.count & 63)
		r.pos++
		r.count += 8
	}
}

// need ensures that there are n bits, at most 48.
func (r *Reader) need(n uint) error {
	if r.count >= n {
		return nil
	}
	if r.fill(); r.count >= n {
		return nil
	}
	return r.cutOff()
}

// cutOff returns the error for input that ends too early.
func (r *Reader) cutOff() error {
	if r.end == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return r.end
}

// take takes n bits, which must be there.
func (r *Reader) take(n uint) uint {
	v := uint(r.bits & (1<<(n&63) - 1))
	r.bits >>= n & 63
	r.count -= n
	return v
}

// header reads a block's header.
func (r *Reader) header() error {
	if err := r.need(3); err != nil {
		return err
	}
	r.last = r.take(1) != 0
	switch r.take(2) {
	case 0:
		r.take(r.count & 7)
		if err := r.need(32); err != nil {
			return err
		}
		n := r.take(16)
		if r.take(16) != n^0xffff {
			return errLength
		}
		r.unread()
		r.block, r.stored = storedBlock, int(n)
	case 1:
		r.block = codedBlock
		r.useFixed()
	case 2:
		r.block = codedBlock
		return r.readCodes()
	default:
		return errKind
	}
	return nil
}

// copyStored copies the bytes of a stored block that are there.
func (r *Reader) copyStored() error {
	for r.stored > 0 {
		if r.pos == len(r.chunk) {
			if r.end == nil {
				r.more()
			}
			if r.pos == len(r.chunk) {
				return r.cutOff()
			}
		}
		n := min(r.stored, len(r.chunk)-r.pos)
		n = copy(r.window[r.write:windowSize-room+1], r.chunk[r.pos:r.pos+n])
		r.pos += n
		r.write += n
		r.stored -= n
		if r.write > windowSize-room {
			return nil
		}
	}
	r.block = noBlock
	return nil
}

// useFixed makes the tables those of a fixed block.
func (r *Reader) useFixed() {
	if r.fixed {
		return
	}
	var widths [fixedLitLen + fixedDist]uint8
	for i := range widths {
		switch {
		case i < 144:
			widths[i] = 8
		case i < 256:
			widths[i] = 9
		case i < 280:
			widths[i] = 7
		case i < fixedLitLen:
			widths[i] = 8
		default:
			widths[i] = 5
		}
	}
	r.code.build(r.litLen[:], litLenBits, widths[:fixedLitLen], litLenSymbols[:])
	r.code.join(&r.litLen, widths[:fixedLitLen])
	r.code.build(r.dist[:], distBits, widths[fixedLitLen:], distSymbols[:])
	r.fixed = true
}

// preOrder is the order in which the widths of the width code come.
var preOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// readCodes reads the codes of a block and builds their tables.
func (r *Reader) readCodes() error {
	if err := r.need(14); err != nil {
		return err
	}
	litLens := int(r.take(5)) + 257
	dists := int(r.take(5)) + 1
	pres := int(r.take(4)) + 4
	if litLens > maxLitLen || dists > maxDist {
		return errCode
	}
	var widths [19]uint8
	for _, s := range preOrder[:pres] {
		if err := r.need(3); err != nil {
			return err
		}
		widths[s] = uint8(r.take(3))
	}
	var pre [1 << preBits]entry
	if !r.code.build(pre[:], preBits, widths[:], preSymbols[:]) {
		return errCode
	}
	all := r.widths[:litLens+dists]
	for i := 0; i < len(all); {
		if r.count < preBits {
			r.fill()
		}
		e := pre[r.bits&(1<<preBits-1)]
		switch {
		case e&special != 0:
			return errSymbol
		case e.size() > r.count:
			return r.cutOff()
		}
		r.take(e.size())
		w := e.value()
		if w <= maxWidth {
			all[i] = uint8(w)
			i++
			continue
		}
		// A width is repeated: the last one a few times, or 0 a few or many times.
		var width uint8
		least, extra := uint(3), uint(3)
		switch w {
		case 16:
			if i == 0 {
				return errCode
			}
			width, extra = all[i-1], 2
		case 18:
			least, extra = 11, 7
		}
		if err := r.need(extra); err != nil {
			return err
		}
		end := i + int(least+r.take(extra))
		if end > len(all) {
			return errCode
		}
		for ; i < end; i++ {
			all[i] = width
		}
	}
	r.fixed = false
	if !r.code.build(r.litLen[:], litLenBits, all[:litLens], litLenSymbols[:]) {
		return errCode
	}
	r.code.join(&r.litLen, all[:litLens])
	if !r.code.build(r.dist[:], distBits, all[litLens:], distSymbols[:]) {
		return errCode
	}
	return nil
}

// decodeBlock decodes until the block ends or the window is full.
func (r *Reader) decodeBlock() error {
	for r.block == codedBlock && r.write <= windowSize-room {
		if len(r.chunk)-r.pos < reach+7 && r.end == nil {
			r.more()
		}
		var err error
		if len(r.chunk)-r.pos >= reach+7 {
			err = r.quick()
		} else {
			err = r.careful()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// careful decodes one symbol, and checks that all its bits are there.
func (r *Reader) careful() error {
	r.fill()
	b, left := r.bits, r.count
	e := r.litLen[b&(1<<litLenBits-1)]
	if e&literal == 0 && e&subtable != 0 {
		if left < litLenBits {
			return r.cutOff()
		}
		b >>= litLenBits
		left -= litLenBits
		e = r.litLen[e.under(b)&(litLenSize-1)]
	}
	if e&literal != 0 {
		if e.width() > left {
			return r.cutOff()
		}
		r.bits, r.count = b>>e.width(), left-e.width()
		r.window[r.write] = uint8(e >> 16)
		r.write++
		return nil
	}
	if e.size() > left {
		return r.cutOff()
	}
	length := e.extra(b)
	b >>= e.size()
	left -= e.size()
	switch {
	case e&endOfBlock != 0:
		r.bits, r.count = b, left
		r.block = noBlock
		return nil
	case e&special != 0 && e&long == 0:
		return errSymbol
	}
	e = r.dist[b&(1<<distBits-1)]
	if e&subtable != 0 {
		if left < distBits {
			return r.cutOff()
		}
		b >>= distBits
		left -= distBits
		e = r.dist[e.under(b)&(distSize-1)]
	}
	distance := e.extra(b)
	switch {
	case e.size() > left:
		return r.cutOff()
	case e&special != 0:
		return errSymbol
	case int(distance) > r.write-r.start:
		return errDistance
	}
	r.bits, r.count = b>>e.size(), left-e.size()
	for range length {
		r.window[r.write] = r.window[r.write-int(distance)]
		r.write++
	}
	return nil
}
