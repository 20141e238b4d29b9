//go:build !purego

package scan

import (
	"slices"
	"unsafe"
)

// fieldBlocks are blocks of 64 bytes whose fields fieldsAVX2 finds.
type fieldBlocks struct {
	text    *byte
	size    int     // a positive multiple of 64
	at      int     // where text begins in Fields.data
	pos     *uint32 // the start of Fields.Pos, which has room for 64 more than there can be
	fields  int     // how many it has
	ends    *int    // behind Fields.Ends, which has room for one more than there can be
	outside uint64  // as Fields has it
	noted   uint64  // all ones: Other must not occur
	odd     uint64  // not 0: a field begins with a byte up to ", or with [
	sep     byte
	other   byte
}

// fieldsAVX2 finds the fields of blocks without quotes. It returns false, and has changed nothing that counts, if
// Other stands in one and must not.
//
//go:noescape
func fieldsAVX2(b *fieldBlocks) bool

// byBlocks is byMarks for whole blocks without quotes, up to one that has Other.
func (s *Fields) byBlocks(end int) {
	const most = 4 << 10 // bytes at a time: few records do not need room for many
	if !hasAVX2 || s.Other == '"' {
		return
	}
	b := fieldBlocks{outside: s.outside, sep: s.sep, other: s.Other}
	if s.Other != s.sep {
		b.noted = 1<<64 - 1
	}
	for s.at+64 <= end {
		b.size = min(end-s.at, most) &^ 63
		s.Pos, s.Ends = slices.Grow(s.Pos, b.size+64), slices.Grow(s.Ends, b.size+1)
		ends := s.Ends[len(s.Ends):cap(s.Ends)]
		b.text, b.at = unsafe.SliceData(s.data[s.at:][:b.size]), s.at
		b.pos, b.fields, b.ends = unsafe.SliceData(s.Pos), len(s.Pos), unsafe.SliceData(ends)
		if !fieldsAVX2(&b) {
			return
		}
		records := (uintptr(unsafe.Pointer(b.ends)) - uintptr(unsafe.Pointer(unsafe.SliceData(ends)))) / unsafe.Sizeof(0)
		s.Pos, s.Ends = s.Pos[:b.fields], s.Ends[:len(s.Ends)+int(records)]
		s.later = s.later && records == 0
		s.odd = s.odd || b.odd != 0
		s.outside, s.at = b.outside, s.at+b.size
	}
}
