package logs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"outflow/columnar"
)

// Parquet is a columnar file; its blocks are its row groups.
var Parquet = &Format{
	Name:  "parquet",
	Title: "Parquet, flat or nested",
	Doc: `Columns are found by name as in csv: by a mapping, or by well-known names. The name of a nested column is its path
with dots (src_endpoint.ip); letter case does not matter. Columns inside lists and maps are not read: which of
several values a row means is not ours to guess.

Only the columns that are needed are read. Times are timestamps, dates, integers or floats (epoch, the unit told by
magnitude unless a mapping does) or text as in csv. Timestamps without UTC adjustment are in the input's zone. Decimals and
fixed-length binaries are refused where they are needed. Pages are plain or compressed with snappy, gzip or zstd; LZ4
is refused, because writers disagree on what it means.

A damaged page ends its row group: the rows after it are skipped with a reason.`,
	Tables: []*columnar.Table{columnar.API, columnar.HTTP, columnar.DNS, columnar.Network, columnar.Process},
	Sniff:  func(head []byte) bool { return bytes.HasPrefix(head, []byte(parquetMagic)) },
	New: func(o *Options) (Decoder, error) {
		return &parquetDecoder{set: setter{clock: clock{zone: o.Zone}}}, nil
	},
	Split: splitParquet,
}

const parquetMagic = "PAR1"

// Limits of what a file may ask for. Sound writers stay far below: theirs are
// pages of about 1 MiB and footers of a few. They bound what a damaged or
// hostile file can make us allocate.
const (
	parquetMaxFooter = 64 << 20  // bytes
	parquetMaxPage   = 256 << 20 // bytes, as it is and decompressed
	parquetMaxRows   = 1 << 26   // rows of a page: a constant column has all rows of a group in one
)

// parquetRead is how much of a column is read in one go. Less would be one
// request a page on object stores; more would be memory times columns.
const parquetRead = 1 << 20

// A parquetLeaf is a column of a file's schema.
type parquetLeaf struct {
	name     string
	index    int // in each row group
	levels   int // highest definition level: a value that has it is not null
	kind     parquet.Kind
	logical  format.LogicalTypeValue // nil if it has none
	unsigned bool
}

// A parquetPart is a row group. It does not change.
type parquetPart struct {
	file   io.ReaderAt
	size   int64
	plan   *plan
	leaves []parquetLeaf // by src of the plan's fields
	group  *format.RowGroup
	index  int
}

// splitParquet yields a block for each row group.
func splitParquet(r io.ReaderAt, size int64, o *Options, yield func(*Block) error) error {
	f, err := openParquet(r, size)
	if err != nil {
		return err
	}
	leaves := appendLeaves(nil, f.Root())
	names := make([]string, len(leaves))
	columns := 0
	for i, leaf := range leaves {
		names[i] = leaf.name
		columns = max(columns, leaf.index+1)
	}
	p, err := resolve(o.Mapping, names)
	if err != nil {
		return err
	}
	for _, f := range p.fields {
		if f.src >= 0 && (f.col == columnar.Time || o.Want == 0 || o.Want.Has(f.col)) {
			if err := leaves[f.src].readable(&f); err != nil {
				return err
			}
		}
	}
	first := int64(1)
	groups := f.Metadata().RowGroups
	for i := range groups {
		g := &groups[i]
		if g.NumRows < 0 || g.NumRows > math.MaxInt32 || len(g.Columns) < columns {
			return fmt.Errorf("row group %d: damaged: %d rows, %d columns", i, g.NumRows, len(g.Columns))
		}
		if g.NumRows == 0 {
			continue
		}
		part := &parquetPart{file: r, size: size, plan: p, leaves: leaves, group: g, index: i}
		if err := yield(&Block{First: first, Part: part}); err != nil {
			return err
		}
		first += g.NumRows
	}
	return nil
}

// openParquet reads the footer.
func openParquet(r io.ReaderAt, size int64) (f *parquet.File, err error) {
	const least = int64(len(parquetMagic) + 4 + len(parquetMagic))
	if size < least {
		return nil, fmt.Errorf("not a whole Parquet file: %d bytes", size)
	}
	var tail [8]byte
	if n, err := r.ReadAt(tail[:], size-8); n < len(tail) {
		return nil, fmt.Errorf("read footer: %w", err)
	}
	switch footer := int64(binary.LittleEndian.Uint32(tail[:])); {
	case string(tail[4:]) == "PARE":
		return nil, errors.New("the Parquet file is encrypted")
	case string(tail[4:]) != parquetMagic:
		return nil, errors.New("not a whole Parquet file: it does not end in PAR1; cut off, or still being written")
	case footer > size-least:
		return nil, fmt.Errorf("damaged Parquet file: a footer of %d bytes in a file of %d", footer, size)
	case footer > parquetMaxFooter:
		return nil, fmt.Errorf("a Parquet footer of %d bytes; at most %d are read", footer, parquetMaxFooter)
	}
	defer recovered("read footer", &err)
	f, err = parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("read footer: %w", err)
	}
	return f, nil
}

// recovered turns a panic into an error. The Parquet library panics on some
// damaged files.
func recovered(what string, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s: damaged Parquet file: %v", what, r)
	}
}

// appendLeaves appends the leaves below c that are in no list or map.
func appendLeaves(leaves []parquetLeaf, c *parquet.Column) []parquetLeaf {
	for _, child := range c.Columns() {
		switch {
		case child.Repeated():
		case !child.Leaf():
			leaves = appendLeaves(leaves, child)
		default:
			leaf := parquetLeaf{
				name:   strings.Join(child.Path(), "."),
				index:  child.Index(),
				levels: child.MaxDefinitionLevel(),
				kind:   child.Type().Kind(),
			}
			if l := child.Type().LogicalType(); l != nil {
				leaf.logical = l.Value
			}
			if i, ok := leaf.logical.(*format.IntType); ok {
				leaf.unsigned = !i.IsSigned
			}
			leaves = append(leaves, leaf)
		}
	}
	return leaves
}

// readable reports why the values of a leaf cannot fill a field.
func (l *parquetLeaf) readable(f *field) error {
	is := l.kind.String()
	switch t := l.logical.(type) {
	case *format.DecimalType:
		return fmt.Errorf("column %q is a decimal, which is not read: write it as an integer or a double", l.name)
	case *format.TimeType, *format.UUIDType:
		is = t.String()
	default:
		switch {
		case l.kind == parquet.FixedLenByteArray:
		case l.kind == parquet.Int96 && f.col != columnar.Time:
		case l.kind == parquet.Boolean && f.col.Kind() != columnar.Dictionary && f.col.Kind() != columnar.Text:
		default:
			return nil
		}
	}
	return fmt.Errorf("column %q is %s, which cannot be %s", l.name, is, f.col)
}

// A parquetDecoder decodes row groups: the wanted columns side by side, each
// from its own pages, since pages of different columns hold different rows.
type parquetDecoder struct {
	set     setter
	codec   pageCodec
	columns []*parquetColumn
	records []int64 // of the rows being put
	scratch []byte
}

// errDamaged is in errors about what cannot be so in a sound file.
var errDamaged = errors.New("damaged")

func (d *parquetDecoder) Decode(b *Block, out *columnar.Out, t *Tally) error {
	part := b.Part.(*parquetPart)
	var done int64
	err := d.rows(part, b.First, &done, out.Table(part.plan.table), t)
	switch {
	case err == nil:
		return nil
	case done == 0:
		return fmt.Errorf("row group %d: %w", part.index, err)
	}
	// Rows of this group are with the sink already, so it cannot be refused.
	left := part.group.NumRows - done
	t.Add(&Tally{Records: left, Skipped: left, Reasons: []Reason{{err.Error(), left, b.First + done}}})
	return nil
}

// rows decodes a row group and counts in done the rows that are in t.
func (d *parquetDecoder) rows(part *parquetPart, first int64, done *int64, b *columnar.Builder, t *Tally) (err error) {
	defer func() {
		if r := recover(); r != nil {
			b.Drop()
			err = fmt.Errorf("%w: %v", errDamaged, r)
		}
	}()
	fields, columns, where := part.plan.wanted(b), d.columns[:0], (*parquetColumn)(nil)
	constants := fields[:0:0]
	for i := range fields {
		if fields[i].src < 0 {
			constants = append(constants, fields[i])
			continue
		}
		columns = append(columns, d.column(len(columns)))
		columns[len(columns)-1].open(part, fields[i].src, &fields[i])
	}
	if part.plan.where >= 0 {
		where = d.column(len(columns))
		columns = append(columns, where)
		where.open(part, part.plan.where, nil)
	}
	for *done < part.group.NumRows {
		run := int(part.group.NumRows - *done)
		for _, c := range columns {
			if c.row == c.rows {
				if err := c.nextPage(&d.codec, &d.set.clock); err != nil {
					return fmt.Errorf("column %q: %w", c.leaf.name, err)
				}
			}
			run = min(run, c.rows-c.row)
		}
		if where == nil && len(constants) == 0 {
			run = min(run, parquetBlock, b.Room())
			if d.block(b, columns, run, first+*done) {
				t.Records += int64(run)
				t.Rows += int64(run)
				*done += int64(run)
				continue
			}
		}
		for range run {
			reason, match := "", true
			for _, c := range columns {
				row := c.row
				c.row++
				if c.valid != nil && !c.valid[row] {
					if c == where {
						match = false
					} else if c.field.read == readTime {
						reason = "no time"
					}
					continue
				}
				value := c.value
				c.value++
				switch {
				case c == where:
					match = bytes.Equal(d.text(c, value), part.plan.equals)
				case reason == "":
					reason = d.put(b, c, value)
				}
			}
			for i := 0; i < len(constants) && reason == ""; i++ {
				reason = d.set.set(b, &constants[i], constants[i].text)
			}
			switch record := first + *done; {
			case !match:
				b.Drop()
				t.Pass()
			case reason != "":
				b.Drop()
				t.Skip(record, reason)
			default:
				b.Next(record)
				t.Row()
			}
			*done++
		}
	}
	return nil
}

// parquetBlock is how many rows are put at once: few enough that their cells stay
// in the first-level cache, and that going over them again because of an odd one
// costs little.
const parquetBlock = 1 << 10

// parquetBlockText is how much text of a column is put at once, in bytes. A few
// bytes of a file can stand for rows of a hundred megabytes; row by row, a batch
// ends when it has enough of them.
const parquetBlockText = 8 << 20

// block puts n rows column by column. It returns false, and has done nothing, if
// a cell wants a closer look.
func (d *parquetDecoder) block(b *columnar.Builder, columns []*parquetColumn, n int, record int64) bool {
	for _, c := range columns {
		if !c.gather(b, &d.set, n) {
			return false
		}
	}
	for _, c := range columns {
		c.row += n
		c.value += c.cells.values
		switch f := c.field; {
		case f.read == readTime:
			b.PutTimes(c.cells.ints)
		case f.read == readNumber:
			b.PutInts(f.col, c.cells.ints)
		case f.col.Kind() == columnar.Dictionary:
			b.PutCodes(f.col, c.cells.codes)
		default:
			b.PutTexts(f.col, c.cells.text, c.cells.spans)
		}
	}
	d.records = d.records[:0]
	for i := range n {
		d.records = append(d.records, record+int64(i))
	}
	b.NextRows(d.records)
	return true
}

// gather makes the cells of the next n rows ready to be put, or returns false.
func (c *parquetColumn) gather(b *columnar.Builder, s *setter, n int) bool {
	f, cells := c.field, &c.cells
	cells.values = n
	var valid []bool // nil: all are
	if c.valid != nil {
		valid = c.valid[c.row : c.row+n]
		cells.values = 0
		for _, ok := range valid {
			if ok {
				cells.values++
			}
		}
		if cells.values == n {
			valid = nil
		}
	}
	from, to := c.value, c.value+cells.values
	switch {
	case c.held == heldTimes && f.read == readTime:
		cells.ints = c.ints[from:to]
		return valid == nil && !slices.Contains(cells.ints, noTime)
	case c.held == heldInts && f.read == readNumber && f.scale == 1:
		for _, v := range c.ints[from:to] {
			if v < 0 {
				return false
			}
		}
		cells.ints = c.ints[from:to]
		if valid != nil {
			c.spread = c.spread[:0]
			for _, ok := range valid {
				v := int64(columnar.Null)
				if ok {
					v, from = c.ints[from], from+1
				}
				c.spread = append(c.spread, v)
			}
			cells.ints = c.spread
		}
		return true
	case c.held == heldIndexes && f.col.Kind() == columnar.Dictionary:
		cells.codes = cells.codes[:0]
		if valid == nil {
			cells.codes = slices.Grow(cells.codes, n)[:n]
			for i, index := range c.indexes[from:to] {
				code := int32(-1)
				if int(index) < len(c.codes) && c.of == b.Dict(f.col) {
					code = c.codes[index]
				}
				if code < 0 {
					code = c.code(b, s, index)
				}
				cells.codes[i] = code
			}
			return true
		}
		for _, ok := range valid {
			code := int32(0)
			if ok {
				code, from = c.code(b, s, c.indexes[from]), from+1
			}
			cells.codes = append(cells.codes, code)
		}
		return true
	case f.col.Kind() == columnar.Text && f.read == readText && (c.held == heldTexts || c.held == heldIndexes):
		of := &c.texts
		if c.held == heldIndexes {
			of = &c.dict.texts
		}
		cells.text, cells.spans = of.data, cells.spans[:0]
		size := 0
		for i := range n {
			var span columnar.Span
			if valid == nil || valid[i] {
				at := from
				if c.held == heldIndexes {
					at = int(c.indexes[from])
				}
				if from++; !unknown(of.at(at)) {
					span = columnar.Span{Begin: of.offsets[at], End: of.offsets[at+1]}
				}
			}
			cells.spans = append(cells.spans, span)
			size += int(span.End - span.Begin)
		}
		return size <= parquetBlockText
	}
	return false
}

// column returns the i-th column with the buffers it has from other row groups.
func (d *parquetDecoder) column(i int) *parquetColumn {
	if i == len(d.columns) {
		d.columns = append(d.columns, new(parquetColumn))
	}
	return d.columns[i]
}

// put sets the cell that a value is for. It returns why the row must be skipped,
// or "".
func (d *parquetDecoder) put(b *columnar.Builder, c *parquetColumn, value int) (reason string) {
	f := c.field
	switch c.held {
	case heldTimes:
		us := c.ints[value]
		if us == noTime {
			return f.bad
		}
		b.SetTime(us)
		return ""
	case heldInts:
		if f.read == readNumber {
			if f.scale == 1 {
				return d.set.integer(b, f, c.ints[value])
			}
			return d.set.float(b, f, float64(c.ints[value]))
		}
	case heldFloats:
		if f.read == readNumber {
			return d.set.float(b, f, c.floats[value])
		}
	case heldIndexes:
		if f.col.Kind() == columnar.Dictionary {
			b.SetCode(f.col, c.code(b, &d.set, c.indexes[value]))
			return ""
		}
	}
	return d.set.set(b, f, d.text(c, value))
}

// text returns a value as text.
func (d *parquetDecoder) text(c *parquetColumn, value int) []byte {
	switch c.held {
	case heldIndexes:
		return c.dict.texts.at(int(c.indexes[value]))
	case heldTexts:
		return c.texts.at(value)
	case heldFloats:
		d.scratch = strconv.AppendFloat(d.scratch[:0], c.floats[value], 'f', -1, 64)
	default:
		switch v := c.ints[value]; {
		case c.leaf.kind == parquet.Boolean:
			d.scratch = strconv.AppendBool(d.scratch[:0], v != 0)
		case c.leaf.unsigned:
			d.scratch = strconv.AppendUint(d.scratch[:0], uint64(v), 10)
		default:
			d.scratch = strconv.AppendInt(d.scratch[:0], v, 10)
		}
	}
	return d.scratch
}

// A holding says which slice holds the values of a page.
type holding uint8

const (
	heldInts holding = iota
	heldTimes
	heldFloats
	heldTexts
	heldIndexes // of texts in the dictionary
)

// noTime stands for a time that is none.
const noTime = math.MinInt64

// texts are n texts one after the other.
type texts struct {
	data    []byte
	offsets []uint32 // n+1
}

func (t *texts) at(i int) []byte { return t.data[t.offsets[i]:t.offsets[i+1]] }

// A parquetColumn walks the pages of one column chunk.
type parquetColumn struct {
	leaf  *parquetLeaf
	field *field // nil: read for a condition only
	pages pageReader
	left  int64 // rows of the chunk in pages to come

	// The page: its rows, of which valid tells those with a value (nil: all),
	// and its values. row and value are the next ones.
	rows, row int
	valid     []bool
	value     int
	held      holding
	ints      []int64
	floats    []float64
	texts     texts
	indexes   []uint32

	dict struct {
		size   int
		held   holding
		ints   []int64
		floats []float64
		texts  texts
		data   []byte
	}
	// codes are, by index in the dictionary, the codes in a builder's Dict, −1
	// where not known yet: most texts of a dictionary may be of rows that other
	// dictionaries have too, and each is looked up once.
	codes []int32
	of    *columnar.Dict

	// What gather made ready: of the next rows, as many as values have one.
	cells struct {
		values int
		ints   []int64 // columnar.Null: none
		codes  []int32
		text   []byte
		spans  []columnar.Span
	}

	// Buffers.
	spread []int64
	levels []uint32
	known  []bool
}

func (c *parquetColumn) open(part *parquetPart, src int, f *field) {
	c.leaf, c.field = &part.leaves[src], f
	meta := &part.group.Columns[c.leaf.index].MetaData
	c.left = part.group.NumRows
	c.rows, c.row, c.value, c.dict.size, c.of = 0, 0, 0, 0, nil
	c.pages.open(part.file, part.size, meta)
}

// code returns the code that a text of the dictionary has in b's.
func (c *parquetColumn) code(b *columnar.Builder, s *setter, index uint32) int32 {
	dict := b.Dict(c.field.col)
	if c.of != dict {
		c.of = dict
		c.codes = slices.Grow(c.codes[:0], c.dict.size)[:c.dict.size]
		for i := range c.codes {
			c.codes[i] = -1
		}
	}
	code := c.codes[index]
	if code < 0 {
		code = dict.Code(s.text(c.field, c.dict.texts.at(int(index))))
		c.codes[index] = code
	}
	return code
}

// nextPage goes to the next page that has rows.
func (c *parquetColumn) nextPage(codec *pageCodec, clock *clock) error {
	for {
		h, body, err := c.pages.next()
		if err != nil {
			return err
		}
		switch h.Type {
		case format.DictionaryPage:
			err = c.readDictionary(codec, h, body)
		case format.DataPage, format.DataPageV2:
			if err = c.readPage(codec, h, body); err == nil && c.rows > 0 {
				if c.field != nil && c.field.read == readTime {
					c.toTimes(clock)
				}
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
}

func (c *parquetColumn) readDictionary(codec *pageCodec, h *format.PageHeader, body []byte) (err error) {
	if !h.DictionaryPageHeader.Valid || c.dict.size > 0 {
		return fmt.Errorf("%w dictionary", errDamaged)
	}
	n := int(h.DictionaryPageHeader.V.NumValues)
	if n < 0 || n > parquetMaxRows {
		return fmt.Errorf("%w dictionary of %d values", errDamaged, n)
	}
	// The dictionary outlives the page buffer.
	if c.dict.data, err = codec.decompress(c.pages.codec, c.dict.data, body, int(h.UncompressedPageSize)); err != nil {
		return err
	}
	if err := c.readValues(format.Plain, c.dict.data, n); err != nil {
		return err
	}
	c.dict.size, c.dict.held = n, c.held
	c.dict.ints, c.ints = c.ints, c.dict.ints
	c.dict.floats, c.floats = c.floats, c.dict.floats
	c.dict.texts, c.texts = c.texts, c.dict.texts
	return nil
}

// readPage reads the levels and values of a data page.
func (c *parquetColumn) readPage(codec *pageCodec, h *format.PageHeader, body []byte) (err error) {
	var rows int32
	var encoding format.Encoding
	levels, values := []byte(nil), body
	if h.Type == format.DataPage {
		p := h.DataPageHeader.V
		rows, encoding = p.NumValues, p.Encoding
		if codec.page, err = codec.decompress(c.pages.codec, codec.page, body, int(h.UncompressedPageSize)); err != nil {
			return err
		}
		values = codec.page
		if c.leaf.levels > 0 {
			if p.DefinitionLevelEncoding != format.RLE {
				return fmt.Errorf("definition levels in encoding %s, which is not read", p.DefinitionLevelEncoding)
			}
			if len(values) < 4 || uint64(binary.LittleEndian.Uint32(values)) > uint64(len(values)-4) {
				return fmt.Errorf("%w definition levels", errDamaged)
			}
			size := binary.LittleEndian.Uint32(values)
			levels, values = values[4:4+size], values[4+size:]
		}
	} else {
		p := h.DataPageHeaderV2.V
		rows, encoding = p.NumValues, p.Encoding
		skip, size := int64(p.RepetitionLevelsByteLength), int64(p.DefinitionLevelsByteLength)
		if skip < 0 || size < 0 || skip+size > int64(len(body)) {
			return fmt.Errorf("%w levels", errDamaged)
		}
		levels, values = body[skip:skip+size], body[skip+size:]
		if !p.IsCompressed.Valid || p.IsCompressed.V {
			if codec.page, err = codec.decompress(c.pages.codec, codec.page, values, int(h.UncompressedPageSize)-int(skip+size)); err != nil {
				return err
			}
			values = codec.page
		}
	}
	if rows < 0 || int64(rows) > c.left || rows > parquetMaxRows {
		return fmt.Errorf("%w: a page of %d rows, of which the row group has %d left", errDamaged, rows, c.left)
	}
	c.rows, c.row, c.value = int(rows), 0, 0
	c.left -= int64(rows)
	n, err := c.readLevels(levels)
	if err != nil {
		return err
	}
	//lint:ignore SA1019 old files have it, and mean the same by it
	if encoding == format.RLEDictionary || encoding == format.PlainDictionary {
		return c.readIndexes(values, n)
	}
	return c.readValues(encoding, values, n)
}

// readLevels finds which rows of the page have values, and how many.
func (c *parquetColumn) readLevels(b []byte) (n int, err error) {
	c.valid = nil
	highest := uint32(c.leaf.levels)
	if highest == 0 {
		return c.rows, nil
	}
	width := uint(bits.Len32(highest))
	// Most pages have no null, which is one run.
	if h, k := binary.Uvarint(b); k > 0 && h&1 == 0 && h>>1 >= uint64(c.rows) && len(b) > k && uint32(b[k]) == highest {
		return c.rows, nil
	}
	c.levels = slices.Grow(c.levels[:0], c.rows)[:c.rows]
	if err := hybrid(b, width, c.levels); err != nil {
		return 0, fmt.Errorf("definition levels: %w", err)
	}
	c.known = slices.Grow(c.known[:0], c.rows)[:c.rows]
	for i, level := range c.levels {
		c.known[i] = level == highest
		if level == highest {
			n++
		}
	}
	c.valid = c.known
	return n, nil
}

// readIndexes reads n values that are indexes in the dictionary.
func (c *parquetColumn) readIndexes(b []byte, n int) error {
	c.indexes = slices.Grow(c.indexes[:0], n)[:n]
	c.held = c.dict.held
	if n == 0 {
		return nil
	}
	if len(b) == 0 {
		return fmt.Errorf("%w page of indexes", errDamaged)
	}
	if err := hybrid(b[1:], uint(b[0]), c.indexes); err != nil {
		return err
	}
	if highest := slices.Max(c.indexes); int64(highest) >= int64(c.dict.size) {
		return fmt.Errorf("%w: index %d in a dictionary of %d", errDamaged, highest, c.dict.size)
	}
	switch c.dict.held {
	case heldInts:
		c.ints = slices.Grow(c.ints[:0], n)[:n]
		for i, index := range c.indexes {
			c.ints[i] = c.dict.ints[index]
		}
	case heldFloats:
		c.floats = slices.Grow(c.floats[:0], n)[:n]
		for i, index := range c.indexes {
			c.floats[i] = c.dict.floats[index]
		}
	default:
		c.held = heldIndexes
	}
	return nil
}

// readValues reads n values that stand in the page themselves.
func (c *parquetColumn) readValues(encoding format.Encoding, b []byte, n int) error {
	switch c.leaf.kind {
	case parquet.ByteArray:
		c.held = heldTexts
	case parquet.Float, parquet.Double:
		c.held = heldFloats
		c.floats = slices.Grow(c.floats[:0], n)[:n]
	default:
		c.held = heldInts
		c.ints = slices.Grow(c.ints[:0], n)[:n]
	}
	if encoding == format.Plain {
		return c.readPlain(b, n)
	}
	if c.leaf.kind == parquet.Boolean && encoding == format.RLE {
		if len(b) < 4 {
			return fmt.Errorf("%w booleans", errDamaged)
		}
		c.indexes = slices.Grow(c.indexes[:0], n)[:n]
		err := hybrid(b[4:], 1, c.indexes)
		for i, v := range c.indexes {
			c.ints[i] = int64(v)
		}
		return err
	}
	return c.readEncoded(encoding, b, n)
}

func (c *parquetColumn) readPlain(b []byte, n int) error {
	size := 0 // bits
	switch c.leaf.kind {
	case parquet.Boolean:
		size = 1
	case parquet.Int32, parquet.Float:
		size = 32
	case parquet.Int64, parquet.Double:
		size = 64
	case parquet.Int96:
		size = 96
	}
	if len(b)*8 < n*size {
		return fmt.Errorf("%w: %d bytes for %d values", errDamaged, len(b), n)
	}
	switch c.leaf.kind {
	case parquet.Boolean:
		for i := range n {
			c.ints[i] = int64(b[i>>3] >> (i & 7) & 1)
		}
	case parquet.Int32:
		for i := range c.ints {
			c.ints[i] = c.int32(int32(binary.LittleEndian.Uint32(b[i*4:])))
		}
	case parquet.Int64:
		for i := range c.ints {
			c.ints[i] = int64(binary.LittleEndian.Uint64(b[i*8:]))
		}
	case parquet.Int96:
		// Nanoseconds of the day and the Julian day: kept as µs since 1970.
		const epochDay = 2440588
		for i := range c.ints {
			v := b[i*12:]
			c.ints[i] = noTime
			if us := scaled(int64(binary.LittleEndian.Uint32(v[8:]))-epochDay, day); us != noTime {
				c.ints[i] = us + int64(binary.LittleEndian.Uint64(v))/1000
			}
		}
	case parquet.Float:
		for i := range c.floats {
			c.floats[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[i*4:])))
		}
	case parquet.Double:
		for i := range c.floats {
			c.floats[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[i*8:]))
		}
	case parquet.ByteArray:
		return c.texts.readPlain(b, n)
	default:
		return fmt.Errorf("values of type %s, which are not read", c.leaf.kind)
	}
	return nil
}

// int32 widens a value.
func (c *parquetColumn) int32(v int32) int64 {
	if c.leaf.unsigned {
		return int64(uint32(v))
	}
	return int64(v)
}

// readPlain reads n texts, each after its size.
func (t *texts) readPlain(b []byte, n int) error {
	t.data = slices.Grow(t.data[:0], len(b))
	t.offsets = append(slices.Grow(t.offsets[:0], n+1), 0)
	for range n {
		if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
			return fmt.Errorf("%w texts", errDamaged)
		}
		size := binary.LittleEndian.Uint32(b)
		t.data = append(t.data, b[4:4+size]...)
		t.offsets = append(t.offsets, uint32(len(t.data)))
		b = b[4+size:]
	}
	return nil
}

// readEncoded reads the encodings that are rare in logs with the library.
func (c *parquetColumn) readEncoded(encoding format.Encoding, b []byte, n int) (err error) {
	if encoding == format.DeltaBinaryPacked || encoding == format.DeltaLengthByteArray || encoding == format.DeltaByteArray {
		// The library allocates what the page says it holds.
		if count, ok := deltaCount(b); !ok || count != uint64(n) {
			return fmt.Errorf("%w: %s of %d values for %d", errDamaged, encoding, count, n)
		}
	}
	got, e := 0, parquet.LookupEncoding(encoding)
	switch c.leaf.kind {
	case parquet.Int32:
		var v []int32
		v, err = e.DecodeInt32(nil, b)
		for i := range min(n, len(v)) {
			c.ints[i] = c.int32(v[i])
		}
		got = len(v)
	case parquet.Int64:
		c.ints, err = e.DecodeInt64(c.ints[:0], b)
		got = len(c.ints)
	case parquet.Float:
		var v []float32
		v, err = e.DecodeFloat(nil, b)
		for i := range min(n, len(v)) {
			c.floats[i] = float64(v[i])
		}
		got = len(v)
	case parquet.Double:
		c.floats, err = e.DecodeDouble(c.floats[:0], b)
		got = len(c.floats)
	case parquet.ByteArray:
		c.texts.data, c.texts.offsets, err = e.DecodeByteArray(c.texts.data[:0], b, c.texts.offsets[:0])
		got = len(c.texts.offsets) - 1
	default:
		return fmt.Errorf("%s in encoding %s, which is not read", c.leaf.kind, encoding)
	}
	if err == nil && got < n {
		err = fmt.Errorf("%w: %d values for %d", errDamaged, got, n)
	}
	return err
}

// deltaCount returns how many values a delta encoding says it holds.
func deltaCount(b []byte) (n uint64, ok bool) {
	for range 3 { // block size, blocks in it, values
		v, k := binary.Uvarint(b)
		if k <= 0 {
			return 0, false
		}
		n, b = v, b[k:]
	}
	return n, true
}

// toTimes turns the numbers of a page into µs UTC.
func (c *parquetColumn) toTimes(clock *clock) {
	if c.held == heldFloats {
		c.ints = slices.Grow(c.ints[:0], len(c.floats))[:len(c.floats)]
		for i, x := range c.floats {
			c.ints[i] = epochFloat(c.field.unit, x)
		}
	}
	if c.held != heldFloats && c.held != heldInts {
		return
	}
	toUS := c.units()
	local := false
	if t, ok := c.leaf.logical.(*format.TimestampType); ok {
		local = !t.IsAdjustedToUTC
	} else if _, ok := c.leaf.logical.(*format.DateType); ok {
		local = true
	}
	local = local && clock.zone != nil && clock.zone != time.UTC
	for i, v := range c.ints {
		if c.held == heldInts && toUS != nil {
			v = toUS(v)
		}
		ok := plausible(v)
		if local && ok {
			v, ok = clock.local(v)
		}
		if !ok {
			v = noTime
		}
		c.ints[i] = v
	}
	c.held = heldTimes
}

// units returns how an integer of the column becomes µs; nil: it is that.
func (c *parquetColumn) units() func(int64) int64 {
	unit := c.field.unit
	switch t := c.leaf.logical.(type) {
	case *format.TimestampType:
		switch t.Unit.Value.(type) {
		case *format.MilliSeconds:
			unit = "ms"
		case *format.MicroSeconds:
			unit = "us"
		default:
			unit = "ns"
		}
	case *format.DateType:
		return func(v int64) int64 { return scaled(v, day) }
	}
	if c.leaf.kind == parquet.Int96 {
		unit = "us"
	}
	switch unit {
	case "s":
		return func(v int64) int64 { return scaled(v, 1e6) }
	case "ms":
		return func(v int64) int64 { return scaled(v, 1e3) }
	case "us":
		return nil
	case "ns":
		return func(v int64) int64 { return v / 1e3 }
	}
	return epochInt
}

func scaled(v, scale int64) int64 {
	if v <= 0 || v > math.MaxInt64/scale {
		return noTime
	}
	return v * scale
}

// epochInt is epoch for a number.
func epochInt(v int64) int64 {
	switch {
	case v >= 1e17:
		return v / 1e3
	case v >= 1e14:
		return v
	case v >= 1e11:
		return v * 1e3
	case v >= 1e8:
		return v * 1e6
	}
	return noTime
}

// epochFloat is epoch for a number with a fraction.
func epochFloat(unit string, x float64) int64 {
	if unit == "" {
		switch {
		case x >= 1e17:
			unit = "ns"
		case x >= 1e14:
			unit = "us"
		case x >= 1e11:
			unit = "ms"
		case x >= 1e8:
			unit = "s"
		default:
			return noTime
		}
	}
	switch unit {
	case "s":
		x *= 1e6
	case "ms":
		x *= 1e3
	case "ns":
		x /= 1e3
	}
	if !(math.Abs(x) < 1<<62) {
		return noTime
	}
	return int64(x)
}

// hybrid decodes runs and bit-packed groups of numbers of width bits until out
// is full.
func hybrid(b []byte, width uint, out []uint32) error {
	if width > 32 {
		return fmt.Errorf("%w: numbers of %d bits", errDamaged, width)
	}
	for len(out) > 0 {
		h, k := binary.Uvarint(b)
		if k <= 0 {
			return fmt.Errorf("%w: %d numbers missing", errDamaged, len(out))
		}
		b = b[k:]
		count := min(h>>1, math.MaxInt32)
		if h&1 == 0 {
			n := int(min(count, uint64(len(out))))
			size := int(width+7) / 8
			if len(b) < size {
				return fmt.Errorf("%w run", errDamaged)
			}
			var v uint32
			for i := range size {
				v |= uint32(b[i]) << (8 * i)
			}
			for i := range out[:n] {
				out[i] = v
			}
			b, out = b[size:], out[n:]
			continue
		}
		n := int(min(count*8, uint64(len(out))))
		if uint64(len(b))*8 < uint64(n)*uint64(width) {
			return fmt.Errorf("%w group", errDamaged)
		}
		unpack(b, width, out[:n])
		b, out = b[min(uint64(len(b)), count*uint64(width)):], out[n:]
	}
	return nil
}

// unpack reads numbers of width bits, least significant first. b must hold them.
func unpack(b []byte, width uint, out []uint32) {
	mask := uint64(1)<<width - 1
	bit, i := uint(0), 0
	if width <= 14 { // four and the odd bits fit in a word
		for ; i+4 <= len(out) && int(bit>>3)+8 <= len(b); i += 4 {
			w := binary.LittleEndian.Uint64(b[bit>>3:]) >> (bit & 7)
			o := (*[4]uint32)(out[i:])
			o[0] = uint32(w & mask)
			o[1] = uint32(w >> (width & 63) & mask)
			o[2] = uint32(w >> (2 * width & 63) & mask)
			o[3] = uint32(w >> (3 * width & 63) & mask)
			bit += 4 * width
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

// A pageReader reads the pages of a column chunk, a megabyte or a page at a time.
type pageReader struct {
	file   io.ReaderAt
	at     int64 // where buf ends in the file
	end    int64 // of the chunk
	buf    []byte
	rest   []byte // of buf, not yet handed out
	codec  format.CompressionCodec
	sound  bool // the chunk lies within the file
	thrift thrift.CompactProtocol
}

func (p *pageReader) open(file io.ReaderAt, size int64, meta *format.ColumnMetaData) {
	p.file, p.codec, p.rest = file, meta.Codec, nil
	p.at = meta.DataPageOffset
	if d := meta.DictionaryPageOffset; d > 0 && d < p.at {
		p.at = d
	}
	p.sound = p.at >= int64(len(parquetMagic)) && meta.TotalCompressedSize >= 0 && meta.TotalCompressedSize <= size-p.at
	p.end = p.at + meta.TotalCompressedSize
}

// next returns the next page. Both are valid until the next call.
func (p *pageReader) next() (*format.PageHeader, []byte, error) {
	if !p.sound {
		return nil, nil, fmt.Errorf("%w: the column lies outside the file", errDamaged)
	}
	h, err := p.header()
	if err != nil {
		return nil, nil, err
	}
	size := int(h.CompressedPageSize)
	switch {
	case size < 0 || h.UncompressedPageSize < 0:
		return nil, nil, fmt.Errorf("%w: a page of %d bytes, %d decompressed", errDamaged, size, h.UncompressedPageSize)
	case size > parquetMaxPage || h.UncompressedPageSize > parquetMaxPage:
		return nil, nil, fmt.Errorf("a page of %d bytes, %d decompressed; at most %d are read", size, h.UncompressedPageSize, parquetMaxPage)
	}
	if err := p.fill(size); err != nil {
		return nil, nil, err
	}
	if len(p.rest) < size {
		return nil, nil, fmt.Errorf("%w: a page beyond the end of the column", errDamaged)
	}
	body := p.rest[:size:size]
	p.rest = p.rest[size:]
	if h.CRC != 0 && crc32.ChecksumIEEE(body) != uint32(h.CRC) {
		return nil, nil, fmt.Errorf("%w page: wrong checksum", errDamaged)
	}
	return h, body, nil
}

// header reads a page header, whose size is not known before.
func (p *pageReader) header() (*format.PageHeader, error) {
	for size := 4 << 10; ; size *= 16 {
		if err := p.fill(size); err != nil {
			return nil, err
		}
		if len(p.rest) == 0 {
			return nil, fmt.Errorf("%w: the column ends before the row group", errDamaged)
		}
		h := new(format.PageHeader)
		r := p.thrift.NewReaderFromBytes(p.rest)
		err := thrift.NewDecoder(r).Decode(h)
		if err == nil {
			p.rest = p.rest[r.BytesRead():]
			return h, nil
		}
		if len(p.rest) < size || size > parquetRead { // more will not help
			return nil, fmt.Errorf("page header: %w", err)
		}
	}
}

// fill makes rest at least n bytes long, or all that the chunk has.
func (p *pageReader) fill(n int) error {
	if len(p.rest) >= n || p.at == p.end {
		return nil
	}
	size := int(min(int64(max(n, parquetRead)), int64(len(p.rest))+p.end-p.at))
	buf := p.buf
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	have := copy(buf, p.rest)
	k, err := p.file.ReadAt(buf[have:], p.at)
	if k < size-have {
		return fmt.Errorf("read page: %w", err)
	}
	p.at += int64(k)
	p.buf, p.rest = buf, buf
	return nil
}

// A pageCodec decompresses pages.
type pageCodec struct {
	page []byte // decompressed: a row group in one page has many megabytes, so columns share it
	zstd *zstd.Decoder
	gzip *gzip.Reader
}

// decompress returns the size bytes that src decompresses to, in dst if that is
// large enough.
func (c *pageCodec) decompress(codec format.CompressionCodec, dst, src []byte, size int) (out []byte, err error) {
	if size < 0 {
		return nil, fmt.Errorf("%w page", errDamaged)
	}
	dst = slices.Grow(dst[:0], size)
	switch codec {
	case format.Uncompressed:
		out = append(dst, src...)
	case format.Snappy:
		if n, err := snappy.DecodedLen(src); err != nil || n != size {
			return nil, fmt.Errorf("%w snappy page", errDamaged)
		}
		out, err = snappy.Decode(dst[:size], src)
	case format.Gzip:
		if c.gzip == nil {
			c.gzip = new(gzip.Reader)
		}
		if err = c.gzip.Reset(bytes.NewReader(src)); err == nil {
			out = dst[:size]
			_, err = io.ReadFull(c.gzip, out)
		}
	case format.Zstd:
		if c.zstd == nil {
			if c.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(parquetMaxPage)); err != nil {
				return nil, err
			}
		}
		out, err = c.zstd.DecodeAll(src, dst)
	default:
		return nil, fmt.Errorf("compressed with %s, which is not read: write the file with zstd, snappy or gzip", codec)
	}
	if err != nil {
		return nil, fmt.Errorf("%w %s page: %w", errDamaged, codec, err)
	}
	if len(out) != size {
		return nil, fmt.Errorf("%w %s page: %d bytes, want %d", errDamaged, codec, len(out), size)
	}
	return out, nil
}

// parquetGroupRows is how many rows a row group of newParquetWriter has. More
// would be memory in every reader and writer; less would make dictionaries and
// statistics weigh more.
const parquetGroupRows = 1 << 20

// A parquetWriter writes batches of one table as a Parquet file: zstd, texts
// that repeat in dictionaries, minima and maxima for each row group, times as
// TIMESTAMP(µs, UTC).
type parquetWriter struct {
	table  *columnar.Table
	w      *parquet.GenericWriter[any]
	values []parquet.Value
	rows   int // of the row group
}

func newParquetWriter(w io.Writer, t *columnar.Table) *parquetWriter {
	schema := parquet.NewSchema(t.Name, parquetTable{parquetNodes(t), t})
	return &parquetWriter{table: t, w: parquet.NewGenericWriter[any](w, schema,
		parquet.Compression(&parquet.Zstd), parquet.DataPageStatistics(true), parquet.CreatedBy("outflow", "", ""))}
}

// A parquetTable is a group whose fields stand in the order of the table.
type parquetTable struct {
	parquet.Group
	table *columnar.Table
}

func (p parquetTable) Fields() []parquet.Field {
	fields := p.Group.Fields()
	place := func(f parquet.Field) int {
		return slices.IndexFunc(p.table.Cols, func(c columnar.Col) bool { return c.String() == f.Name() })
	}
	slices.SortFunc(fields, func(a, b parquet.Field) int { return place(a) - place(b) })
	return fields
}

func parquetNodes(t *columnar.Table) parquet.Group {
	nodes := parquet.Group{}
	for _, c := range t.Cols {
		var n parquet.Node
		switch c.Kind() {
		case columnar.Timestamp:
			n = parquet.Timestamp(parquet.Microsecond)
		case columnar.Dictionary:
			n = parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
		case columnar.Text:
			n = parquet.String()
		case columnar.Int32:
			n = parquet.Optional(parquet.Leaf(parquet.Int32Type))
		default:
			n = parquet.Optional(parquet.Leaf(parquet.Int64Type))
		}
		nodes[c.String()] = n
	}
	return nodes
}

// Write writes the rows of b, which must be of the writer's table.
func (p *parquetWriter) Write(b *columnar.Batch) error {
	columns := p.w.ColumnWriters()
	for i, c := range p.table.Cols {
		p.values = appendParquet(p.values[:0], b, c, i)
		if _, err := columns[i].WriteRowValues(p.values); err != nil {
			return fmt.Errorf("write %s: %w", c, err)
		}
	}
	if p.rows += b.Len(); p.rows >= parquetGroupRows {
		p.rows = 0
		return p.w.Flush()
	}
	return nil
}

// Close writes what is left and the footer.
func (p *parquetWriter) Close() error { return p.w.Close() }

// appendParquet appends the values of column c, the i-th of the file. Texts stay
// those of the batch.
func appendParquet(values []parquet.Value, b *columnar.Batch, c columnar.Col, i int) []parquet.Value {
	switch c.Kind() {
	case columnar.Timestamp:
		for _, v := range b.Int64(c) {
			values = append(values, parquet.Int64Value(v).Level(0, 0, i))
		}
	case columnar.Dictionary:
		codes, dict := b.Codes(c)
		for _, code := range codes {
			values = append(values, parquet.ByteArrayValue(dict.Text(code)).Level(0, 0, i))
		}
	case columnar.Text:
		offsets, text := b.Texts(c)
		for row := range b.Len() {
			values = append(values, parquet.ByteArrayValue(text[offsets[row]:offsets[row+1]]).Level(0, 0, i))
		}
	default:
		valid := b.Valid(c)
		for row := range b.Len() {
			v := parquet.NullValue().Level(0, 0, i)
			if valid[row>>3]>>(row&7)&1 != 0 {
				if c.Kind() == columnar.Int32 {
					v = parquet.Int32Value(b.Int32(c)[row]).Level(0, 1, i)
				} else {
					v = parquet.Int64Value(b.Int64(c)[row]).Level(0, 1, i)
				}
			}
			values = append(values, v)
		}
	}
	return values
}
