package logs

import (
	"bytes"
	"math"
	"math/bits"
	"slices"
)

// A fieldScanner finds the records and fields of a block, one window after the
// other.
type fieldScanner struct {
	data  []byte
	sep   byte
	other byte // '"': quotes as in RFC 4180; any other: only looked for
	at    int  // data[:at] has been looked at

	// pos holds where fields end, that is the offsets of separators and record
	// ends outside quotes. pos[0] is the end of the record before, 2³²−1 at the
	// start, so that field i of the first record is data[pos[i]+1:pos[i+1]].
	pos []uint32
	// ends are the indexes in pos of record ends, for the whole records in pos.
	ends []int
	// noted says that a record of the window may hold what is worth a look: a
	// newline within quotes; or other, if that is no quote.
	noted bool
	later bool // the record that the next window ends does

	inside  uint64 // all ones if data[at] is within quotes
	outside uint64 // 1 if data[at-1] is a separator, a record end or a closing quote
	closed  uint64 // 1 if data[at-1] is a closing quote
	careful bool   // quoting is broken: go on by the byte
	marks   []mark
}

// scanWindow is how much of a block is looked at in one go. More would push the
// bytes out of the first-level cache before they are read as fields; less would
// make the cost per window visible.
const scanWindow = 32 << 10

func (s *fieldScanner) reset(data []byte, sep, other byte) {
	s.data, s.sep, s.other, s.at = data, sep, other, 0
	s.pos = append(s.pos[:0], math.MaxUint32)
	s.ends = s.ends[:0]
	s.inside, s.outside, s.closed, s.careful, s.later = 0, 1, 0, false, false
}

// next finds the records that end in the next window, or in as many windows as
// it takes. It returns false at the end of the data.
func (s *fieldScanner) next() bool {
	if n := len(s.ends); n > 0 {
		s.pos = s.pos[:copy(s.pos, s.pos[s.ends[n-1]:])]
		s.ends = s.ends[:0]
	}
	s.noted = s.later
	for len(s.ends) == 0 && s.at < len(s.data) {
		if s.careful {
			s.byBytes()
		} else if !s.byMarks() {
			// Back to the first record that is not known to be sound.
			s.careful = true
			s.pos, s.ends = s.pos[:1], s.ends[:0]
			s.at = int(s.pos[0] + 1)
		}
	}
	return len(s.ends) > 0
}

// byMarks looks at the next window, 64 bytes at a time: a bitmap of quotes gives
// by its running parity what is inside them, and what is left are field ends. It
// returns false, and is of no use any more, if a quote opens inside a field or
// closes before the end of one.
func (s *fieldScanner) byMarks() bool {
	data, n, quotes := s.data, len(s.pos), s.other == '"'
	end := min(s.at+scanWindow, len(data))
	s.marks = markText(s.marks, data[s.at:end], s.sep, s.other)
	i := s.at
	for k := range s.marks {
		m := &s.marks[k]
		fields, records, noted := m.sep|m.line, m.line, m.other
		if quotes && m.other|s.inside|s.closed != 0 {
			in := runningParity(m.other) ^ s.inside
			noted = records & in
			fields &^= in
			records &^= in
			m.sep, m.line = m.sep&^in, records
			opening, closing := m.other&in, m.other&^in
			// A quote opens after a field end, or after a closing quote: a
			// doubled one. It closes before a field end, or before an opening one.
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
			s.noted, s.later = true, true
		}
		if records != 0 {
			s.later = noted > records // the last such byte stands behind the last record
		}
		s.outside = fields>>63 | s.closed
		for ; records != 0; records &= records - 1 {
			s.ends = append(s.ends, n+bits.OnesCount64(fields&(records&-records-1)))
		}
		n += bits.OnesCount64(fields)
		i += 64
	}
	s.pos = slices.Grow(s.pos, scanWindow+2*64)
	s.pos = s.pos[:len(s.pos)+places(s.pos[len(s.pos):cap(s.pos)], s.marks, s.at)]
	s.at = end
	if end == len(data) {
		if s.inside != 0 {
			return false
		}
		s.finish()
	}
	return true
}

// finish ends a last record that has no newline.
func (s *fieldScanner) finish() {
	last := 0
	if n := len(s.ends); n > 0 {
		last = s.ends[n-1]
	}
	if int(s.pos[last]+1) < len(s.data) {
		s.ends = append(s.ends, len(s.pos))
		s.pos = append(s.pos, uint32(len(s.data)))
	}
}

// runningParity returns a bitmap whose bit i is the parity of the bits 0 to i.
func runningParity(x uint64) uint64 {
	x ^= x << 1
	x ^= x << 2
	x ^= x << 4
	x ^= x << 8
	x ^= x << 16
	x ^= x << 32
	return x
}

// byBytes looks at the records of the next window where quoting is broken.
func (s *fieldScanner) byBytes() {
	s.noted, s.later = true, true
	for i, stop := s.at, s.at+scanWindow; i < len(s.data) && i < stop; s.at = i {
		for {
			end := s.fieldEnd(i)
			s.pos = append(s.pos, uint32(end))
			i = end + 1
			if end >= len(s.data) || s.data[end] == '\n' {
				break
			}
		}
		s.ends = append(s.ends, len(s.pos)-1)
	}
	s.at = min(s.at, len(s.data))
}

// fieldEnd returns where the field that begins at i ends. A quote that does not
// close before the end of a field is a character like others.
//
// Note: a quote that is never closed makes this look ahead, but only to the next
// odd run of quotes, where the search from there begins: linear in all.
func (s *fieldScanner) fieldEnd(i int) int {
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
