package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/parquet-go/parquet-go/format"
)

// ScratchRows is the largest number of rows in a block of a Scratch. 64 rows of the
// state take 25 kB, and a word has one bit for each. More would not fit the
// processor's cache; fewer would cost a change of routine for few rows.
const ScratchRows = 64

// scratchBuffer is how many bytes are read and written at once. It is also the
// length of texts at which a block ends. A run reads all days of a baseline at the
// same time.
const scratchBuffer = 32 << 10

// A Scratch holds rows of type T until the run ends: in memory while they are few,
// and otherwise in a temporary file. It has the columns of Partitions, or some of them,
// and none that is optional. Its form is private to one process:
//
//	4 bytes  length of the numbers
//	4 bytes  length of the texts
//	4 bytes  rows
//	4 bytes  texts in lists
//	numbers  of each column in turn, written by its encode function
//	texts    of each column in turn, one after another
//
// So the texts of a block are one allocation, a column of zeros is one byte, and a
// number is read in one step.
type Scratch[T any] struct {
	spool   *Spool
	w       *bufio.Writer
	columns Columns[T]
	from    int64 // where the current part begins
	size    int64

	// The block that is not full yet.
	rows           []T
	long           int // bytes of texts in rows
	listed         int // texts in lists
	numbers, texts []byte
	wide           [ScratchRows]int64 // scratch: a column of int32
}

// NewScratch returns an empty Scratch that keeps up to memory bytes in memory.
func NewScratch[T any](memory int, columns Columns[T]) *Scratch[T] {
	s := &Scratch[T]{spool: NewSpool(memory), columns: columns, rows: make([]T, 0, ScratchRows)}
	for _, c := range s.columns.all {
		if c.optional {
			panic(fmt.Sprintf("scratch: column %s: want int32, int64, float64, string or []string", c.name))
		}
	}
	s.w = bufio.NewWriterSize(s.spool, scratchBuffer)
	return s
}

// Add adds a row. Its texts and lists must not change until the part ends.
func (s *Scratch[T]) Add(r *T) error {
	s.rows = append(s.rows, *r)
	if s.long += s.columns.TextBytes(r); len(s.rows) == ScratchRows || s.long >= scratchBuffer {
		return s.endBlock()
	}
	return nil
}

// AddTogether adds rows that come in one block, unless they are more than ScratchRows. Then
// they have blocks of their own, all of them full but the last.
func (s *Scratch[T]) AddTogether(rows []T) error {
	if len(s.rows)+len(rows) > ScratchRows || s.long >= scratchBuffer {
		if err := s.endBlock(); err != nil {
			return err
		}
	}
	for i := range rows {
		s.rows = append(s.rows, rows[i])
		s.long += s.columns.TextBytes(&rows[i])
		if len(s.rows) == ScratchRows {
			if err := s.endBlock(); err != nil {
				return err
			}
		}
	}
	if len(rows) > ScratchRows {
		return s.endBlock()
	}
	return nil
}

// Needed says what a reader needs of a part. The zero value is all of it.
type Needed[T any] struct {
	// Rows, if set, is asked for each block, whose rows have their first Head columns by then, and
	// returns a bit for each row that is needed. The fields of others, but those columns, are anything.
	Rows func(block []T) uint64
	Head int
	// NoLists leaves the lists of texts empty.
	NoLists bool
}

// Blocks returns the rows of a part in blocks. The sequence may be ranged over several times, also
// at the same time, but not while rows are added. A block is valid until the next step; the
// texts and lists in it stay valid. The fields of columns that the Scratch does not have are
// zero, and must be so again before the next step. An error ends the rows.
type Blocks[T any] func(Needed[T]) iter.Seq2[[]T, error]

// Part ends a part and returns it.
func (s *Scratch[T]) Part() (Blocks[T], error) {
	if err := s.endBlock(); err != nil {
		return nil, err
	}
	if err := s.w.Flush(); err != nil {
		return nil, err
	}
	clear(s.rows[:cap(s.rows)]) // it must keep nothing alive
	from := s.from
	n := s.size - from
	s.from = s.size
	return func(needed Needed[T]) iter.Seq2[[]T, error] {
		return func(yield func([]T, error) bool) {
			in := scratchReader[T]{spool: s.spool, at: from, left: n, columns: s.columns, needed: needed, room: make([]T, ScratchRows)}
			if s.spool.file != nil {
				in.r = bufio.NewReaderSize(io.NewSectionReader(s.spool, from, n), scratchBuffer)
			}
			for {
				rows, err := in.next()
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					yield(nil, fmt.Errorf("read the temporary file of the run: %w", err))
					return
				}
				if !yield(rows, nil) {
					return
				}
			}
		}
	}, nil
}

// Size returns the size of the finished parts in bytes.
func (s *Scratch[T]) Size() int64 { return s.from }

// Close frees what the Scratch holds. No part may be read after it.
func (s *Scratch[T]) Close() error { return s.spool.Close() }

func (s *Scratch[T]) endBlock() error {
	if len(s.rows) == 0 {
		return nil
	}
	rows, size, n := unsafe.Pointer(&s.rows[0]), unsafe.Sizeof(s.rows[0]), len(s.rows)
	s.numbers, s.texts, s.listed = s.numbers[:0], s.texts[:0], 0
	for i := range s.columns.all {
		c := &s.columns.all[i]
		field := unsafe.Add(rows, c.offset)
		switch {
		case c.list:
			s.encodeLists(field, size, n)
		case c.kind == format.ByteArray:
			s.encodeTexts(field, size, n)
		case c.kind == format.Int32:
			for i := range n {
				s.wide[i] = int64(*at[int32](field, size, i))
			}
			s.numbers = encodeNumbers(s.numbers, unsafe.Pointer(&s.wide), unsafe.Sizeof(s.wide[0]), n)
		default:
			s.numbers = encodeNumbers(s.numbers, field, size, n)
		}
	}
	var head [4 * 4]byte
	for i, v := range [...]int{len(s.numbers), len(s.texts), n, s.listed} {
		binary.LittleEndian.PutUint32(head[4*i:], uint32(v))
	}
	for _, b := range [...][]byte{head[:], s.numbers, s.texts} {
		if _, err := s.w.Write(b); err != nil {
			return err
		}
		s.size += int64(len(b))
	}
	s.rows, s.long = s.rows[:0], 0
	return nil
}

// at returns a pointer to the field of row i, in rows of size bytes each.
func at[V any](field unsafe.Pointer, size uintptr, i int) *V {
	return (*V)(unsafe.Add(field, uintptr(i)*size))
}

// allRows has a bit set for each of n rows.
func allRows(n int) uint64 { return ^uint64(0) >> (64 - n) }

// sparse is added to the width of a column in which some rows are zero.
const sparse = 16

// encodeNumbers appends n numbers that are size bytes apart. Zeros take no space:
//
//	1 byte   0 if all are zero, and nothing follows; otherwise 1 + the width of the
//	         other numbers in bytes, + sparse if some are zero
//	8 bytes  the least of the others
//	8 bytes  a bit for each of the others, if some are zero
//	others   less the least of them
//
// Floats are encoded as the integers with the same bits.
func encodeNumbers(b []byte, field unsafe.Pointer, size uintptr, n int) []byte {
	var set int64
	for i := range n {
		set |= *at[int64](field, size, i)
	}
	if set == 0 { // as are most columns of any one aggregate
		return append(b, 0)
	}
	var others uint64
	var least, most int64
	for i := range n {
		v := *at[int64](field, size, i)
		if v == 0 {
			continue
		}
		if others == 0 {
			least, most = v, v
		}
		least, most = min(least, v), max(most, v)
		others |= 1 << i
	}
	width := (bits.Len64(uint64(most-least)) + 7) / 8
	all := others == allRows(n)
	if all {
		b = append(b, byte(1+width))
	} else {
		b = append(b, byte(sparse+1+width))
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(least))
	if !all {
		b = binary.LittleEndian.AppendUint64(b, others)
	}
	if width == 0 {
		return b
	}
	k := len(b)
	count := bits.OnesCount64(others)
	b = slices.Grow(b, count*width+8)[:k+count*width+8] // a number is written as eight bytes
	for left := others; left != 0; left &= left - 1 {
		v := *at[int64](field, size, bits.TrailingZeros64(left))
		binary.LittleEndian.PutUint64(b[k:], uint64(v-least))
		k += width
	}
	return b[:k]
}

// encodeTexts appends n texts that are size bytes apart. Rows are sorted, so a text
// is often the same as in the previous row. Before the first row, the text is "":
//
//	1 byte   0 if no text differs from the previous one, and nothing follows; else 1
//	8 bytes  a bit for each text that differs
//	uvarints the lengths of these texts
func (s *Scratch[T]) encodeTexts(field unsafe.Pointer, size uintptr, n int) {
	var differ uint64
	last := ""
	for i := range n {
		if t := *at[string](field, size, i); t != last {
			differ |= 1 << i
			last = t
		}
	}
	if differ == 0 {
		s.numbers = append(s.numbers, 0)
		return
	}
	s.numbers = binary.LittleEndian.AppendUint64(append(s.numbers, 1), differ)
	for ; differ != 0; differ &= differ - 1 {
		s.text(*at[string](field, size, bits.TrailingZeros64(differ)))
	}
}

// encodeLists appends n lists that are size bytes apart:
//
//	1 byte   0 if all are empty, and nothing follows; else 1
//	4 bytes  how many bytes follow here
//	4 bytes  how many bytes of texts are theirs
//	8 bytes  a bit for each list that is not empty
//	uvarints for each of these, its number of texts and their lengths
func (s *Scratch[T]) encodeLists(field unsafe.Pointer, size uintptr, n int) {
	var others uint64
	for i := range n {
		if len(*at[[]string](field, size, i)) > 0 {
			others |= 1 << i
		}
	}
	if others == 0 {
		s.numbers = append(s.numbers, 0)
		return
	}
	s.numbers = append(s.numbers, 1, 0, 0, 0, 0, 0, 0, 0, 0)
	from, texts := len(s.numbers), len(s.texts)
	s.numbers = binary.LittleEndian.AppendUint64(s.numbers, others)
	for ; others != 0; others &= others - 1 {
		list := *at[[]string](field, size, bits.TrailingZeros64(others))
		s.numbers = binary.AppendUvarint(s.numbers, uint64(len(list)))
		for _, t := range list {
			s.text(t)
		}
		s.listed += len(list)
	}
	binary.LittleEndian.PutUint32(s.numbers[from-8:], uint32(len(s.numbers)-from))
	binary.LittleEndian.PutUint32(s.numbers[from-4:], uint32(len(s.texts)-texts))
}

func (s *Scratch[T]) text(t string) {
	s.numbers = binary.AppendUvarint(s.numbers, uint64(len(t)))
	s.texts = append(s.texts, t...)
}

var errScratch = errors.New("its bytes have changed")

type scratchReader[T any] struct {
	spool   *Spool
	at      int64         // offset of the next block in spool
	r       *bufio.Reader // from there on; nil if all bytes are in memory
	left    int64         // bytes of the part
	columns Columns[T]
	needed  Needed[T]
	room    []T
	body    []byte
	wide    [ScratchRows]int64 // scratch: a column of int32

	rows    uint64   // of the block that are needed, as far as it is known
	numbers []byte   // the rest of the block's
	texts   string   // likewise
	list    []string // likewise: space for lists
}

// next reads a block. It returns io.EOF only at the end of the part.
func (in *scratchReader[T]) next() (block []T, err error) {
	if in.left == 0 {
		return nil, io.EOF
	}
	var head [4 * 4]byte
	if err := in.read(head[:]); err != nil {
		return nil, err
	}
	length := func(i int) int { return int(binary.LittleEndian.Uint32(head[4*i:])) }
	numbers, size := length(0), length(0)+length(1)
	if in.left -= int64(len(head) + size); in.left < 0 || length(2) > ScratchRows || length(3) > size {
		return nil, errScratch
	}
	body := in.view(size)
	held := body != nil
	if !held {
		in.body = slices.Grow(in.body[:0], size+8)[:size+8] // a number is read as eight bytes
		body = in.body
		if err := in.read(body[:size]); err != nil {
			return nil, err
		}
	}
	defer func() {
		if p := recover(); p != nil {
			err = errScratch // a length in it is beyond its end
		}
	}()
	in.numbers, in.texts, in.list = body, "", nil
	if texts := body[numbers:size]; held && len(texts) > 0 {
		in.texts = unsafe.String(&texts[0], len(texts)) // nobody changes what is in memory
	} else {
		in.texts = string(texts)
	}
	if n := length(3); n > 0 && !in.needed.NoLists {
		in.list = make([]string, n)
	}
	block = in.room[:length(2)]
	if !in.columns.part {
		clear(block)
	}
	rows, step := unsafe.Pointer(&block[0]), unsafe.Sizeof(block[0])
	in.rows = allRows(len(block))
	for i := range in.columns.all {
		if i == in.needed.Head && in.needed.Rows != nil {
			if in.rows &= in.needed.Rows(block); in.rows == 0 {
				break
			}
		}
		c := &in.columns.all[i]
		code := in.numbers[0]
		in.numbers = in.numbers[1:]
		field := unsafe.Add(rows, c.offset)
		if in.columns.part && (code == 0 || c.kind != format.ByteArray && code > sparse || c.list) {
			zero(field, step, len(block), c)
		}
		if code == 0 {
			continue
		}
		switch {
		case c.list && in.needed.NoLists:
			in.passLists()
		case c.list:
			in.decodeLists(field, step, len(block))
		case c.kind == format.ByteArray:
			in.decodeTexts(field, step, len(block))
		case c.kind == format.Int32:
			clear(in.wide[:])
			in.decodeNumbers(unsafe.Pointer(&in.wide), unsafe.Sizeof(in.wide[0]), len(block), code)
			for i := range block {
				*at[int32](field, step, i) = int32(in.wide[i])
			}
		default:
			in.decodeNumbers(field, step, len(block), code)
		}
	}
	return block, nil
}

// zero clears a column of n rows that are size bytes apart.
func zero(field unsafe.Pointer, size uintptr, n int, c *column) {
	for i := range n {
		switch {
		case c.list:
			*at[[]string](field, size, i) = nil
		case c.kind == format.ByteArray:
			*at[string](field, size, i) = ""
		case c.kind == format.Int32:
			*at[int32](field, size, i) = 0
		default:
			*at[int64](field, size, i) = 0
		}
	}
}

// read reads the next bytes.
func (in *scratchReader[T]) read(p []byte) (err error) {
	if in.r != nil {
		_, err = io.ReadFull(in.r, p)
	} else {
		_, err = in.spool.ReadAt(p, in.at)
	}
	in.at += int64(len(p))
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// view returns the next bytes, which stay as they are, and passes them over; nil if they
// are not in one piece of memory that has eight bytes more.
func (in *scratchReader[T]) view(size int) []byte {
	if in.r != nil {
		return nil
	}
	b := in.spool.piece(in.at)
	if len(b) < size+8 {
		return nil
	}
	in.at += int64(size)
	return b[:size+8]
}

// word reads eight bytes: one bit for each of n rows.
func (in *scratchReader[T]) word(n int) uint64 {
	v := binary.LittleEndian.Uint64(in.numbers)
	in.numbers = in.numbers[8:]
	return v & allRows(n)
}

func (in *scratchReader[T]) decodeNumbers(field unsafe.Pointer, size uintptr, n int, code byte) {
	least := int64(binary.LittleEndian.Uint64(in.numbers))
	in.numbers = in.numbers[8:]
	others := allRows(n)
	if code > sparse {
		others = in.word(n)
		code -= sparse
	}
	width := int(code) - 1
	mask := ^uint64(0)
	if width < 8 {
		mask = 1<<(8*width) - 1
	}
	b := in.numbers
	if in.rows != allRows(n) {
		for left := others & in.rows; left != 0; left &= left - 1 {
			i := bits.TrailingZeros64(left)
			before := bits.OnesCount64(others & (1<<i - 1))
			*at[int64](field, size, i) = least + int64(binary.LittleEndian.Uint64(b[before*width:])&mask)
		}
		b = b[bits.OnesCount64(others)*width:]
	} else if others == allRows(n) {
		for i := range n {
			*at[int64](field, size, i) = least + int64(binary.LittleEndian.Uint64(b)&mask)
			b = b[width:]
		}
	} else {
		for ; others != 0; others &= others - 1 {
			*at[int64](field, size, bits.TrailingZeros64(others)) = least + int64(binary.LittleEndian.Uint64(b)&mask)
			b = b[width:]
		}
	}
	in.numbers = b
}

func (in *scratchReader[T]) decodeTexts(field unsafe.Pointer, size uintptr, n int) {
	differ := in.word(n)
	last := ""
	for i := range n {
		if differ>>i&1 != 0 {
			last = in.text()
		}
		*at[string](field, size, i) = last
	}
}

// passLists passes over a column of lists.
func (in *scratchReader[T]) passLists() {
	numbers, texts := binary.LittleEndian.Uint32(in.numbers), binary.LittleEndian.Uint32(in.numbers[4:])
	in.numbers, in.texts = in.numbers[8+numbers:], in.texts[texts:]
}

func (in *scratchReader[T]) decodeLists(field unsafe.Pointer, size uintptr, n int) {
	in.numbers = in.numbers[8:] // see passLists
	for others := in.word(n); others != 0; others &= others - 1 {
		k := in.length()
		if in.rows>>bits.TrailingZeros64(others)&1 == 0 {
			texts := 0
			for range k {
				texts += in.length()
			}
			in.texts = in.texts[texts:]
			continue
		}
		list := in.list[:k:k]
		in.list = in.list[k:]
		for i := range list {
			list[i] = in.text()
		}
		*at[[]string](field, size, bits.TrailingZeros64(others)) = list
	}
}

func (in *scratchReader[T]) length() int {
	n, size := binary.Uvarint(in.numbers)
	in.numbers = in.numbers[size:]
	return int(n)
}

func (in *scratchReader[T]) text() string {
	n := in.length()
	text := in.texts[:n]
	in.texts = in.texts[n:]
	return text
}
