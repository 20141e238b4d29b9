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

	"outflow/columnar/pages"
)

const (
	// groupRows is the number of rows in a row group. A writer holds one group in
	// memory, compressed: some 3 MB. Larger groups have longer dictionaries, which
	// readers hold in memory. Smaller groups mean more dictionaries and a longer
	// footer.
	groupRows = 1 << 16
	// groupBytes ends a row group early if it takes more memory than this.
	groupBytes = 16 << 20
	// pageRows is the number of rows in a page. A reader holds a page of each
	// column of each day that it reads, so larger pages need more memory. Smaller
	// pages cost more headers and compress worse.
	pageRows = 1 << 12
	// pageBytes ends a page early if its texts are longer than this, in bytes.
	pageBytes = 512 << 10
	// dictionaryBytes limits the texts of a column's dictionary in a row group.
	// Beyond it, the rest of the texts are written as they are. Readers hold the
	// dictionaries in memory.
	dictionaryBytes = 256 << 10
	// askRows is after how many rows a writer asks whether the run is to end. It
	// divides pageRows, which divides groupRows.
	askRows = 256
	// batchRows is how many rows are read at once. More would not fit the processor's
	// cache; fewer would cost a round over all columns for few rows.
	batchRows = 256
)

// A Writer makes the files of Partitions, one after another. It keeps its buffers,
// some megabytes, from one to the next. The zero value is ready.
//
// Note: the library's own writer takes one and a half times as long with the same
// settings, and twice the memory. Most of that is for dictionaries, which sorted
// rows hardly need, and for page indexes, which nobody reads. The library's schema
// is used, but not its encodings, which give other bytes with AVX2 than without.
type Writer[T any] struct{ t *tableWriter }

// write writes rows as a Parquet file compressed with zstd, and returns their
// number. The columns are the fields of T under their parquet tags. The same rows
// give the same bytes, whatever the build, the machine and the files before.
func (w *Writer[T]) write(ctx context.Context, to io.Writer, rows iter.Seq2[*T, error]) (_ int64, err error) {
	t := w.t
	w.t = nil // after an error it holds parts of a file
	if t == nil {
		if t, err = newTableWriter[T](); err != nil {
			return 0, err
		}
	}
	if err = t.open(to); err != nil {
		return 0, err
	}
	for r, err := range rows {
		if err != nil {
			return 0, err
		}
		if t.page%askRows == 0 {
			err = ctx.Err()
		}
		if err == nil {
			err = t.add(unsafe.Pointer(r))
		}
		if err != nil {
			return 0, fmt.Errorf("write parquet: %w", err)
		}
	}
	if err := t.close(); err != nil {
		return 0, fmt.Errorf("write parquet: %w", err)
	}
	w.t = t
	return t.meta.NumRows, nil
}

// A tableWriter writes rows as columns.
type tableWriter struct {
	w       io.Writer
	off     int64 // offset in the file
	columns []columnWriter
	meta    format.FileMetaData // of what has been written
	page    int                 // rows in the page
	group   int64               // rows in the group, including the page

	zstd  *zstd.Encoder
	bytes []byte // scratch, as are the next three
	last  []byte // what small was compressed from
	small []byte
	head  bytes.Buffer
}

// A columnWriter holds the part of a column that is not written yet.
type columnWriter struct {
	*column
	path []string

	// The page.
	repetition []uint32 // for a list: 1 continues the previous row
	definition []uint32 // for a list or an optional column: 1 means that there is a value
	ints       []int64
	plain      []byte   // all other numbers
	texts      []byte   // one after another
	offsets    []uint32 // where each text begins, and where the last one ends
	codes      []uint32 // into the dictionary, in place of the texts

	// The dictionary of the row group. Rows are sorted, so a text is often the same
	// as in the previous row.
	coded      bool // the page's texts are codes
	dictionary map[string]uint32
	dictTexts  []byte // the texts in the form in which they are written
	last       string
	lastCode   uint32

	// The row group: its pages up to this one.
	pages  []byte
	totals format.ColumnMetaData
}

// newTableWriter returns a writer that open makes ready.
func newTableWriter[T any]() (*tableWriter, error) {
	columns, err := columnsOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	// The library defines the schema: take it from a file without rows.
	var empty bytes.Buffer
	if err := parquet.NewGenericWriter[T](&empty, parquet.CreatedBy("outflow", fmt.Sprint(Version), "")).Close(); err != nil {
		return nil, err
	}
	meta, err := pages.ReadFooter(bytes.NewReader(empty.Bytes()), int64(empty.Len()))
	if err != nil {
		return nil, err
	}
	meta.Schema[0].Name = "row" // not the name of a Go type
	leaves, err := leavesOf(meta.Schema)
	if err != nil {
		return nil, err
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithZeroFrames(true), zstd.WithLowerEncoderMem(true),
		// With the next level, writing takes a third longer in total.
		zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, err
	}
	t := &tableWriter{meta: *meta, zstd: e}
	for i, path := range parquet.SchemaOf(new(T)).Columns() {
		k := slices.IndexFunc(columns, func(c column) bool { return c.leaf() == leaves[i] })
		if k < 0 {
			return nil, fmt.Errorf("field of column %s: its parquet tag has an unsupported option", path[0])
		}
		t.columns = append(t.columns, columnWriter{column: &columns[k], path: path})
	}
	return t, nil
}

// open begins a file.
func (t *tableWriter) open(w io.Writer) error {
	t.w, t.off, t.meta.NumRows, t.meta.RowGroups = w, 0, 0, nil
	for i := range t.columns {
		t.columns[i].begin()
	}
	return t.write([]byte(pages.Magic))
}

func (t *tableWriter) write(b []byte) error {
	n, err := t.w.Write(b)
	t.off += int64(n)
	return err
}

// add adds a row.
func (t *tableWriter) add(row unsafe.Pointer) error {
	full := false
	for i := range t.columns {
		if c := &t.columns[i]; c.kind == format.Int64 {
			c.ints = append(c.ints, *in[int64](row, c.column))
		} else {
			full = c.add(row) || full
		}
	}
	t.page++
	t.group++
	if t.page == pageRows || full {
		return t.endPage()
	}
	return nil
}

// add adds the value of a row, and reports whether the page is to end.
func (c *columnWriter) add(row unsafe.Pointer) (full bool) {
	switch {
	case c.list:
		texts := *in[[]string](row, c.column)
		if len(texts) == 0 {
			c.repetition = append(c.repetition, 0)
			c.definition = append(c.definition, 0)
		}
		for j, s := range texts {
			c.repetition = append(c.repetition, uint32(min(j, 1)))
			c.definition = append(c.definition, 1)
			c.text(s)
		}
	case c.optional:
		if v := *in[*float64](row, c.column); v == nil {
			c.definition = append(c.definition, 0)
		} else {
			c.definition = append(c.definition, 1)
			c.plain = binary.LittleEndian.AppendUint64(c.plain, math.Float64bits(*v))
		}
	case c.kind == format.Int32:
		c.plain = binary.LittleEndian.AppendUint32(c.plain, uint32(*in[int32](row, c.column)))
	case c.kind == format.Double:
		c.plain = binary.LittleEndian.AppendUint64(c.plain, math.Float64bits(*in[float64](row, c.column)))
	default:
		c.text(*in[string](row, c.column))
	}
	return len(c.texts) > pageBytes || c.coded && len(c.dictTexts) > pageBytes || len(c.definition) > maxPageValues/2
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

// dataPage adds the page to the pages of the row group.
func (t *tableWriter) dataPage(c *columnWriter) error {
	values := len(c.codes) + len(c.offsets) - 1 + len(c.ints)
	b, e := t.bytes[:0], format.Plain
	switch {
	case c.coded:
		e = format.RLEDictionary
		width := uint(bits.Len32(uint32(max(len(c.dictionary)-1, 0))))
		b = pages.AppendHybrid(append(b, byte(width)), c.codes, width)
	case c.kind == format.ByteArray:
		e = format.DeltaLengthByteArray
		c.ints = c.ints[:0]
		for i, end := range c.offsets[1:] {
			c.ints = append(c.ints, int64(end-c.offsets[i]))
		}
		b = append(pages.AppendDelta(b, c.ints), c.texts...)
	case c.kind == format.Int64:
		// Most numbers of an aggregate are zero in all rows. Almost nothing is left
		// of them to compress.
		e = format.DeltaBinaryPacked
		b = pages.AppendDelta(b, c.ints)
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
		levels = pages.AppendHybrid(nil, c.repetition, 1)
		h.RepetitionLevelsByteLength = int32(len(levels))
		levels = pages.AppendHybrid(levels, c.definition, 1)
		h.DefinitionLevelsByteLength = int32(len(levels)) - h.RepetitionLevelsByteLength
	}
	err := t.appendPage(c, levels, format.PageHeader{Type: format.DataPageV2, DataPageHeaderV2: thrift.New(h)})
	c.totals.NumValues += int64(h.NumValues)
	c.totals.Statistics.NullCount += int64(h.NumNulls)
	if !slices.Contains(c.totals.Encoding, e) {
		c.totals.Encoding = append(c.totals.Encoding, e)
	}
	// A dictionary ends if it is too long, or if its texts hardly ever repeat.
	if c.coded && (len(c.dictTexts) > dictionaryBytes || int64(2*len(c.dictionary)) > c.totals.NumValues) {
		c.coded = false
	}
	c.repetition, c.definition = c.repetition[:0], c.definition[:0]
	c.ints, c.plain, c.codes = c.ints[:0], c.plain[:0], c.codes[:0]
	c.texts, c.offsets = c.texts[:0], append(c.offsets[:0], 0)
	return err
}

// appendPage compresses t.bytes and adds it to the pages, after its header and its
// levels, which are not compressed.
//
// Note: leaving pages uncompressed that hardly become smaller saves no time.
func (t *tableWriter) appendPage(c *columnWriter, levels []byte, h format.PageHeader) error {
	if t.small == nil || !bytes.Equal(t.bytes, t.last) { // most columns of an aggregate are zero
		t.small = t.zstd.EncodeAll(t.bytes, t.small[:0])
		t.last = append(t.last[:0], t.bytes...)
	}
	if max(len(t.bytes), len(t.small)) > maxPage-len(levels) || len(c.definition) > maxPageValues {
		return fmt.Errorf("a page of %d bytes and %d values, want at most %d and %d: a text or list is too long",
			len(t.bytes), len(c.definition), maxPage, maxPageValues)
	}
	h.UncompressedPageSize = int32(len(levels) + len(t.bytes))
	h.CompressedPageSize = int32(len(levels) + len(t.small))
	t.head.Reset()
	if err := pages.AppendHeader(&t.head, &h); err != nil {
		return err
	}
	c.pages = append(append(append(c.pages, t.head.Bytes()...), levels...), t.small...)
	c.totals.TotalUncompressedSize += int64(t.head.Len()) + int64(h.UncompressedPageSize)
	c.totals.TotalCompressedSize += int64(t.head.Len()) + int64(h.CompressedPageSize)
	return nil
}

// endGroup writes the row group: for each column its dictionary, then its pages.
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
	footer, err := pages.AppendFooter(nil, &t.meta)
	if err != nil {
		return err
	}
	return t.write(footer)
}
