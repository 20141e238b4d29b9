package scan

import (
	"bytes"
	"math"
	"math/bits"
	"slices"
)

// The fields of text with separators, with RFC 4180 quotes or none.

// Fields finds the records and fields of a block, one window after another:
//
//	for f.Reset(block, ',', '"'); f.Next(); {
//		// the records in f.Ends and f.Pos
//	}
//
// It may be reset and used again. It must not be used by several goroutines at
// once.
type Fields struct {
	data  []byte
	sep   byte
	Other byte // '"': fields are quoted as in RFC 4180; any other byte is only noted
	at    int  // data[:at] has been scanned

	// Pos has the ends of fields: the offsets of the separators and record ends
	// outside quotes. Pos[0] is the end of the previous record, or 2³²−1 at the
	// start, so field i of the first record is data[Pos[i]+1:Pos[i+1]].
	Pos []uint32
	// Ends has the indexes in Pos of the record ends. It covers the whole records
	// in Pos.
	Ends []int
	// Noted says that a record of the window may hold something to check: a newline
	// within quotes, or Other, if that is not a quote.
	Noted bool
	later bool // the same for the record that ends in the next window

	// Plain says that no field of the window begins with a byte up to " or with [; so none is empty between spaces
	// or tabs. If it is false, that is not known.
	Plain bool
	odd   bool // what Next scanned last is not known to be so

	// Doubled says that quotes within quotes may have been found since Reset. Otherwise a field in quotes
	// has none but these.
	Doubled bool

	inside  uint64 // all ones if data[at] is within quotes
	outside uint64 // 1 if data[at-1] is a separator, a record end or a closing quote
	closed  uint64 // 1 if data[at-1] is a closing quote
	Careful bool   // the quoting is broken: continue byte by byte
	marks   []Mark
}

// Window is the number of bytes of a block that are scanned at once. A larger
// window would push the bytes out of the first-level cache before the fields are
// read; a smaller one would make the cost of each window visible.
const Window = 32 << 10

// Reset starts with data. data must begin at the start of a record.
func (s *Fields) Reset(data []byte, sep, other byte) {
	s.data, s.sep, s.Other, s.at = data, sep, other, 0
	s.Pos = append(s.Pos[:0], math.MaxUint32)
	s.Ends = s.Ends[:0]
	s.inside, s.outside, s.closed, s.Careful, s.later, s.odd, s.Doubled = 0, 1, 0, false, false, false, false
}

// Next finds the records that end in the next window. If none does, it goes on to
// further windows. It returns false at the end of the data.
func (s *Fields) Next() bool {
	if n := len(s.Ends); n > 0 {
		s.Pos = s.Pos[:copy(s.Pos, s.Pos[s.Ends[n-1]:])]
		s.Ends = s.Ends[:0]
	}
	s.Noted = s.later
	before := s.odd
	s.odd = false
	for len(s.Ends) == 0 && s.at < len(s.data) {
		if s.Careful {
			s.byBytes()
			continue
		}
		end := min(s.at+Window, len(s.data))
		s.byBlocks(end)
		if (s.at < end || end == len(s.data)) && !s.byMarks(end) {
			// Go back to the first record that is not known to be sound.
			s.Careful = true
			s.Pos, s.Ends = s.Pos[:1], s.Ends[:0]
			s.at = int(s.Pos[0] + 1)
		}
	}
	// A record may have begun before. The last field of data without an end of line may be empty.
	s.Plain = !before && !s.odd && !(s.at == len(s.data) && bytes.HasSuffix(s.data, []byte{s.sep}))
	return len(s.Ends) > 0
}

// byMarks scans up to end, 64 bytes at a time. The running parity of the
// quotes tells which bytes are within quotes; the separators and newlines outside
// are field ends. It returns false if a quote opens inside a field or closes before
// the end of one. After that, byMarks cannot be used on this data.
func (s *Fields) byMarks(end int) bool {
	data, n, quotes := s.data, len(s.Pos), s.Other == '"'
	s.odd = s.odd || s.at < end
	s.marks = MarkText(s.marks, data[s.at:end], s.sep, s.Other)
	i, doubled := s.at, uint64(0)
	for k := range s.marks {
		m := &s.marks[k]
		fields, records, noted := m.Sep|m.Line, m.Line, m.Other
		if quotes && m.Other|s.inside|s.closed != 0 {
			in := runningParity(m.Other) ^ s.inside
			noted = records & in
			fields &^= in
			records &^= in
			m.Sep, m.Line = m.Sep&^in, records
			opening, closing := m.Other&in, m.Other&^in
			doubled |= opening & (closing<<1 | s.closed)
			// A quote may open after a field end, or after a closing quote:
			// together they are a doubled quote. It may close before a field end,
			// or before an opening one.
			if opening&^((fields|closing)<<1|s.outside) != 0 {
				return false
			}
			for odd := (closing<<1 | s.closed) &^ (fields | opening); odd != 0; odd &= odd - 1 {
				j := i + bits.TrailingZeros64(odd)
				if j < len(data) && !(data[j] == '\r' && (j+1 == len(data) || data[j+1] == '\n')) {
					return false
				}
			}
			s.inside = uint64(int64(in) >> 63)
			s.closed = closing >> 63
		}
		if noted != 0 {
			s.Noted, s.later = true, true
		}
		if records != 0 {
			s.later = noted > records // the last noted byte is after the last record end
		}
		s.outside = fields>>63 | s.closed
		for ; records != 0; records &= records - 1 {
			s.Ends = append(s.Ends, n+bits.OnesCount64(fields&(records&-records-1)))
		}
		n += bits.OnesCount64(fields)
		i += 64
	}
	s.Doubled = s.Doubled || doubled != 0
	s.Pos = slices.Grow(s.Pos, end-s.at+2*64)
	s.Pos = s.Pos[:len(s.Pos)+places(s.Pos[len(s.Pos):cap(s.Pos)], s.marks, s.at)]
	s.at = end
	if end == len(data) {
		if s.inside != 0 {
			return false
		}
		s.finish()
	}
	return true
}

// finish ends the last record if it has no newline.
func (s *Fields) finish() {
	last := 0
	if n := len(s.Ends); n > 0 {
		last = s.Ends[n-1]
	}
	if int(s.Pos[last]+1) < len(s.data) {
		s.Ends = append(s.Ends, len(s.Pos))
		s.Pos = append(s.Pos, uint32(len(s.data)))
	}
}

// runningParity returns a bitmap with the parity of bits 0 to i in bit i.
func runningParity(x uint64) uint64 {
	x ^= x << 1
	x ^= x << 2
	x ^= x << 4
	x ^= x << 8
	x ^= x << 16
	x ^= x << 32
	return x
}

// byBytes scans the records of the next window when the quoting is broken.
func (s *Fields) byBytes() {
	s.Noted, s.later, s.odd, s.Doubled = true, true, true, true
	for i, stop := s.at, s.at+Window; i < len(s.data) && i < stop; s.at = i {
		for {
			end := s.fieldEnd(i)
			s.Pos = append(s.Pos, uint32(end))
			i = end + 1
			if end >= len(s.data) || s.data[end] == '\n' {
				break
			}
		}
		s.Ends = append(s.Ends, len(s.Pos)-1)
	}
	s.at = min(s.at, len(s.data))
}

// fieldEnd returns the end of the field that begins at i. A quote that does not
// close before the end of a field is an ordinary character.
//
// Note: a quote that never closes makes this look ahead, but only to the next odd
// run of quotes, where the search from there begins. In total it is linear.
func (s *Fields) fieldEnd(i int) int {
	data := s.data
	if i < len(data) && data[i] == '"' {
		for k := i + 1; k < len(data); k++ {
			j := bytes.IndexByte(data[k:], '"')
			if j < 0 {
				break
			}
			k += j + 1 // after the quote
			switch {
			case k == len(data), data[k] == s.sep, data[k] == '\n':
				return k
			case data[k] == '\r' && (k+1 == len(data) || data[k+1] == '\n'):
				return k + 1
			}
			if data[k] != '"' {
				break
			}
		}
	}
	for i < len(data) && data[i] != s.sep && data[i] != '\n' {
		i++
	}
	return i
}
