package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"math"
	"math/bits"
	"reflect"
	"slices"
	"unsafe"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const (
	// groupRows is how many rows a row group has. A writer holds one in memory,
	// compressed: some 3 MB. More also makes dictionaries longer, which readers
	// hold; less makes more of them, and a longer footer.
	groupRows = 1 << 16
	// groupBytes ends a row group earlier that takes more memory than this.
	groupBytes = 16 << 20
	// pageRows is how many rows a page has. A reader holds a page of each column,
	// of each day that it reads: more needs more memory, less costs more headers
	// and compresses worse.
	pageRows = 1 << 12
	// pageBytes ends a page earlier whose texts are longer than this, in bytes.
	pageBytes = 512 << 10
	// dictionaryBytes is how long the texts of a column's dictionary may become in
	// a row group before the rest of its texts are written as they are. Readers
	// hold the dictionaries.
	dictionaryBytes = 256 << 10
	// batchRows is how many rows are turned into columns and back at once. More
	// falls out of the processor's cache, less costs a round of all columns for few
	// rows. It divides pageRows, and that groupRows.
	batchRows = 256
	// batchBytes ends a batch earlier whose texts are longer than this, in bytes.
	batchBytes = 512 << 10
)

// writeRows writes rows as a Parquet file, compressed with zstd, and returns how
// many there were. The columns are the fields of T under their parquet tags. The
// same rows give the same bytes, whatever the build and the machine.
//
// Note: the library's own writer, with the same settings, takes half as long again
// and twice the memory, most of it for dictionaries, of which sorted rows need
// little, and for indexes of pages, which nobody reads. Its schema is used, but not its
// encodings, which give other bytes with AVX2 than without.
func writeRows[T any](ctx context.Context, w io.Writer, rows iter.Seq2[*T, error]) (int64, error) {
	t, err := newTableWriter[T](w)
	if err != nil {
		return 0, err
	}
	batch := make([]T, 0, batchRows)
	var texts int // bytes of them in the batch
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := ctx.Err()
		if err == nil {
			err = t.add(unsafe.Pointer(&batch[0]), unsafe.Sizeof(batch[0]), len(batch))
		}
		clear(batch) // it must keep nothing alive
		batch, texts = batch[:0], 0
		return err
	}
	for r, err := range rows {
		if err != nil {
			return 0, err
		}
		batch = append(batch, *r)
		texts += t.detach(unsafe.Pointer(&batch[len(batch)-1]))
		if len(batch) == batchRows || texts > batchBytes {
			if err := flush(); err != nil {
				return 0, fmt.Errorf("write parquet: %w", err)
			}
		}
	}
	err = flush()
	if err == nil {
		err = t.close()
	}
	if err != nil {
		return 0, fmt.Errorf("write parquet: %w", err)
	}
	return t.meta.NumRows, nil
}

// A tableWriter writes rows as columns.
type tableWriter struct {
	w       io.Writer
	off     int64 // in the file
	columns []columnWriter
	loose   []*column           // those that are texts or that a row refers to
	meta    format.FileMetaData // of what has been written
	page    int                 // rows in it
	group   int64               // rows in it, and in the page

	zstd  *zstd.Encoder
	bytes []byte // scratch, as are the next two
	small []byte
	head  bytes.Buffer
}

// A columnWriter is what of a column has not been written.
type columnWriter struct {
	*column
	path []string

	// The page.
	repetition []uint32 // of a list: 1 goes on with the row before
	definition []uint32 // of a list or an optional column: 1 there is a value
	ints       []int64
	plain      []byte   // all other numbers
	texts      []byte   // one after another
	offsets    []uint32 // where each begins, and where the last ends
	codes      []uint32 // into the dictionary, in place of the texts

	// The dictionary of the row group. Rows are sorted, so that a text is often
	// that of the row before.
	coded      bool // the page's texts are codes
	dictionary map[string]uint32
	dictTexts  []byte // as they are written
	last       string
	lastCode   uint32

	// The row group: its pages up to this one.
	pages  []byte
	totals format.ColumnMetaData
}

// newTableWriter returns a writer that has written the start of the file.
func newTableWriter[T any](w io.Writer) (*tableWriter, error) {
	columns, err := columnsOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	// The library says what the columns look like, by way of a file without rows.
	var empty bytes.Buffer
	if err := parquet.NewGenericWriter[T](&empty, parquet.CreatedBy("outflow", fmt.Sprint(Version), "")).Close(); err != nil {
		return nil, err
	}
	meta, err := readFooter(bytes.NewReader(empty.Bytes()), int64(empty.Len()))
	if err != nil {
		return nil, err
	}
	meta.Schema[0].Name = "row" // not the name of a Go type
	leaves, err := leavesOf(meta.Schema)
	if err != nil {
		return nil, err
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithZeroFrames(true), zstd.WithLowerEncoderMem(true),
		// With the level that follows, all of writing takes a third longer.
		zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, err
	}
	t := &tableWriter{w: w, meta: *meta, zstd: e}
	for i, path := range parquet.SchemaOf(new(T)).Columns() {
		k := slices.IndexFunc(columns, func(c column) bool { return c.leaf() == leaves[i] })
		if k < 0 {
			return nil, fmt.Errorf("field of column %s: its parquet tag asks for what is not supported", path[0])
		}
		c := columnWriter{column: &columns[k], path: path}
		c.begin()
		t.columns = append(t.columns, c)
		if c.kind == format.ByteArray || c.optional {
			t.loose = append(t.loose, c.column)
		}
	}
	return t, t.write([]byte("PAR1"))
}

func (t *tableWriter) write(b []byte) error {
	n, err := t.w.Write(b)
	t.off += int64(n)
	return err
}

// detach makes a row's own what it refers to, and returns how long its texts are.
func (t *tableWriter) detach(row unsafe.Pointer) (texts int) {
	for _, c := range t.loose {
		texts += c.detach(row)
	}
	return texts
}

// add adds n rows of size bytes each.
func (t *tableWriter) add(row unsafe.Pointer, size uintptr, n int) error {
	full := false
	for i := range t.columns {
		c := &t.columns[i]
		c.add(unsafe.Add(row, c.offset), size, n)
		full = full || len(c.texts) > pageBytes || c.coded && len(c.dictTexts) > pageBytes || len(c.definition) > maxPageValues/2
	}
	t.page += n
	t.group += int64(n)
	if t.page >= pageRows || full {
		return t.endPage()
	}
	return nil
}

// add adds the values of n fields that are size bytes apart.
func (c *columnWriter) add(field unsafe.Pointer, size uintptr, n int) {
	at := func(i int) unsafe.Pointer { return unsafe.Add(field, uintptr(i)*size) }
	switch {
	case c.list:
		for i := range n {
			texts := *(*[]string)(at(i))
			if len(texts) == 0 {
				c.repetition = append(c.repetition, 0)
				c.definition = append(c.definition, 0)
			}
			for j, s := range texts {
				c.repetition = append(c.repetition, uint32(min(j, 1)))
				c.definition = append(c.definition, 1)
				c.text(s)
			}
		}
	case c.optional:
		for i := range n {
			if v := *(**float64)(at(i)); v == nil {
				c.definition = append(c.definition, 0)
			} else {
				c.definition = append(c.definition, 1)
				c.plain = binary.LittleEndian.AppendUint64(c.plain, math.Float64bits(*v))
			}
		}
	case c.kind == format.Int64:
		k := len(c.ints)
		c.ints = slices.Grow(c.ints, n)[:k+n]
		for i := range c.ints[k:] {
			c.ints[k+i] = *(*int64)(at(i))
		}
	case c.kind == format.Int32:
		for i := range n {
			c.plain = binary.LittleEndian.AppendUint32(c.plain, uint32(*(*int32)(at(i))))
		}
	case c.kind == format.Double:
		for i := range n {
			c.plain = binary.LittleEndian.AppendUint64(c.plain, math.Float64bits(*(*float64)(at(i))))
		}
	default:
		for i := range n {
			c.text(*(*string)(at(i)))
		}
	}
}

func (c *columnWriter) text(s string) {
	if !c.coded {
		c.texts = append(c.texts, s...)
		c.offsets = append(c.offsets, uint32(len(c.texts)))
		return
	}
	if s != c.last || len(c.dictionary) == 0 {
		code, ok := c.dictionary[s]
		if !ok {
			code = uint32(len(c.dictionary))
			c.dictionary[s] = code
			c.dictTexts = binary.LittleEndian.AppendUint32(c.dictTexts, uint32(len(s)))
			c.dictTexts = append(c.dictTexts, s...)
		}
		c.last, c.lastCode = s, code
	}
	c.codes = append(c.codes, c.lastCode)
}

// begin begins a row group.
func (c *columnWriter) begin() {
	c.coded = c.dict
	if c.dict {
		if c.dictionary == nil {
			c.dictionary = map[string]uint32{}
		}
		clear(c.dictionary)
		c.dictTexts, c.last = c.dictTexts[:0], ""
	}
	c.pages = c.pages[:0]
	c.offsets = append(c.offsets[:0], 0)
	c.totals = format.ColumnMetaData{Type: c.kind, PathInSchema: c.path, Codec: format.Zstd}
}

// endPage ends the page of each column, and the row group when it is full.
func (t *tableWriter) endPage() error {
	size := 0
	for i := range t.columns {
		c := &t.columns[i]
		if err := t.dataPage(c); err != nil {
			return fmt.Errorf("column %s: %w", c.name, err)
		}
		size += len(c.pages) + len(c.dictTexts)
	}
	t.page = 0
	if t.group >= groupRows || size > groupBytes {
		return t.endGroup()
	}
	return nil
}

// dataPage adds the page to those of the row group.
func (t *tableWriter) dataPage(c *columnWriter) error {
	values := len(c.codes) + len(c.offsets) - 1 + len(c.ints)
	b, e := t.bytes[:0], format.Plain
	switch {
	case c.coded:
		e = format.RLEDictionary
		width := uint(bits.Len32(uint32(max(len(c.dictionary)-1, 0))))
		b = appendHybrid(append(b, byte(width)), c.codes, width)
	case c.kind == format.ByteArray:
		e = format.DeltaLengthByteArray
		c.ints = c.ints[:0]
		for i, end := range c.offsets[1:] {
			c.ints = append(c.ints, int64(end-c.offsets[i]))
		}
		b = append(appendDelta(b, c.ints), c.texts...)
	case c.kind == format.Int64:
		// Of numbers that are zero in all rows, which most are in any one
		// aggregate, almost nothing is left to compress.
		e = format.DeltaBinaryPacked
		b = appendDelta(b, c.ints)
	case c.kind == format.Int32:
		b, values = append(b, c.plain...), len(c.plain)/4
	default:
		b, values = append(b, c.plain...), len(c.plain)/8
	}
	t.bytes = b
	h := format.DataPageHeaderV2{NumValues: int32(values), NumRows: int32(t.page), Encoding: e, IsCompressed: thrift.New(true)}
	var levels []byte
	if c.list || c.optional {
		h.NumValues = int32(len(c.definition))
		h.NumNulls = h.NumValues - int32(values)
		h.Statistics.NullCount = int64(h.NumNulls)
		levels = appendHybrid(nil, c.repetition, 1)
		h.RepetitionLevelsByteLength = int32(len(levels))
		levels = appendHybrid(levels, c.definition, 1)
		h.DefinitionLevelsByteLength = int32(len(levels)) - h.RepetitionLevelsByteLength
	}
	err := t.appendPage(c, levels, format.PageHeader{Type: format.DataPageV2, DataPageHeaderV2: thrift.New(h)})
	c.totals.NumValues += int64(h.NumValues)
	c.totals.Statistics.NullCount += int64(h.NumNulls)
	if !slices.Contains(c.totals.Encoding, e) {
		c.totals.Encoding = append(c.totals.Encoding, e)
	}
	// A dictionary that is too long, or of texts that hardly ever come again, ends.
	if c.coded && (len(c.dictTexts) > dictionaryBytes || int64(2*len(c.dictionary)) > c.totals.NumValues) {
		c.coded = false
	}
	c.repetition, c.definition = c.repetition[:0], c.definition[:0]
	c.ints, c.plain, c.codes = c.ints[:0], c.plain[:0], c.codes[:0]
	c.texts, c.offsets = c.texts[:0], append(c.offsets[:0], 0)
	return err
}

// appendPage compresses what is in t.bytes and adds it to the pages, after its
// header and its levels, which stay as they are.
//
// Note: to leave pages as they are that hardly become smaller saves no time.
func (t *tableWriter) appendPage(c *columnWriter, levels []byte, h format.PageHeader) error {
	t.small = t.zstd.EncodeAll(t.bytes, t.small[:0])
	if max(len(t.bytes), len(t.small)) > maxPage-len(levels) || len(c.definition) > maxPageValues {
		return fmt.Errorf("a page of %d bytes and %d values, want at most %d and %d: there is too long a text or list",
			len(t.bytes), len(c.definition), maxPage, maxPageValues)
	}
	h.UncompressedPageSize = int32(len(levels) + len(t.bytes))
	h.CompressedPageSize = int32(len(levels) + len(t.small))
	t.head.Reset()
	if err := thrift.NewEncoder(new(thrift.CompactProtocol).NewWriter(&t.head)).Encode(&h); err != nil {
		return err
	}
	c.pages = append(append(append(c.pages, t.head.Bytes()...), levels...), t.small...)
	c.totals.TotalUncompressedSize += int64(t.head.Len()) + int64(h.UncompressedPageSize)
	c.totals.TotalCompressedSize += int64(t.head.Len()) + int64(h.CompressedPageSize)
	return nil
}

// endGroup writes the row group: of each column its dictionary, then its pages.
func (t *tableWriter) endGroup() error {
	g := format.RowGroup{NumRows: t.group, FileOffset: t.off, Ordinal: int16(len(t.meta.RowGroups))}
	for i := range t.columns {
		c := &t.columns[i]
		pages := len(c.pages)
		start := t.off
		if c.dict {
			t.bytes = append(t.bytes[:0], c.dictTexts...)
			h := format.DictionaryPageHeader{NumValues: int32(len(c.dictionary)), Encoding: format.Plain}
			if err := t.appendPage(c, nil, format.PageHeader{Type: format.DictionaryPage, DictionaryPageHeader: thrift.New(h)}); err != nil {
				return fmt.Errorf("column %s: %w", c.name, err)
			}
			c.totals.DictionaryPageOffset = start
			c.totals.Encoding = append(c.totals.Encoding, format.Plain)
			if err := t.write(c.pages[pages:]); err != nil {
				return err
			}
		}
		c.totals.DataPageOffset = t.off
		if err := t.write(c.pages[:pages]); err != nil {
			return err
		}
		if c.list || c.optional {
			c.totals.Encoding = append(c.totals.Encoding, format.RLE)
		}
		g.Columns = append(g.Columns, format.ColumnChunk{FileOffset: start, MetaData: c.totals})
		g.TotalByteSize += c.totals.TotalUncompressedSize
		g.TotalCompressedSize += c.totals.TotalCompressedSize
		c.begin()
	}
	t.meta.RowGroups = append(t.meta.RowGroups, g)
	t.meta.NumRows += t.group
	t.group = 0
	return nil
}

// close writes the rest and the footer.
func (t *tableWriter) close() error {
	if t.page > 0 {
		if err := t.endPage(); err != nil {
			return err
		}
	}
	if t.group > 0 {
		if err := t.endGroup(); err != nil {
			return err
		}
	}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &t.meta)
	if err != nil {
		return err
	}
	footer = binary.LittleEndian.AppendUint32(footer, uint32(len(footer)))
	return t.write(append(footer, "PAR1"...))
}

// appendDelta appends numbers in Parquet's DELTA_BINARY_PACKED: blocks of 128
// differences, less the least of them, packed in four groups of a width each.
func appendDelta(dst []byte, v []int64) []byte {
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
			d := x - last // wraps around, as it does when they are added up
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
			if have > 0 { // 32 numbers fill whole bytes, by fours
				dst = binary.LittleEndian.AppendUint32(dst, uint32(word))
			}
		}
	}
	return dst
}

// appendHybrid appends numbers of width bits as decodeHybrid reads them: eight or
// more that are the same as a run, all others in packed groups of eight.
func appendHybrid(dst []byte, v []uint32, width uint) []byte {
	same := func(i, most int) int { // how many numbers from i on are the same
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
