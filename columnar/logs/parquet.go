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

Damage in a page ends its row group: the rows after it are skipped with a reason.`,
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
	parquetMaxRatio  = 1 << 15   // decompressed to compressed: zstd can have 128 KiB in 4 bytes, the others less
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
	p, err := resolve(o.Mapping, names, false)
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
	columns []*parquetColumn // of the row group, those that are wanted
	where   *parquetColumn   // the one of them that a condition is about, or nil
	match   []bool           // the rows that it holds for
	records []int64          // of the rows being put
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

// parquetWindow is how many rows are decoded and put at once: few enough that
// their cells stay in the first-level cache from the page to the batch, and that
// going over them again because of an odd one costs little.
const parquetWindow = 1 << 10

// parquetWindowText is how much text of a column is put at once, in bytes. A few
// bytes of a file can stand for rows of a hundred megabytes; row by row, a batch
// ends when it has enough of them.
const parquetWindowText = 8 << 20

// rows decodes a row group and counts in done the rows that are in t.
func (d *parquetDecoder) rows(part *parquetPart, first int64, done *int64, b *columnar.Builder, t *Tally) (err error) {
	defer func() {
		if r := recover(); r != nil {
			b.Drop()
			err = fmt.Errorf("%w: %v", errDamaged, r)
		}
	}()
	d.open(part, b)
	for *done < part.group.NumRows {
		n := int(min(part.group.NumRows-*done, parquetWindow, int64(b.Room())))
		for _, c := range d.columns {
			if c.rows == 0 {
				if err := c.nextPage(&d.codec); err != nil {
					return fmt.Errorf("column %q: %w", c.leaf.name, err)
				}
			}
			n = min(n, c.rows)
		}
		for _, c := range d.columns {
			if err := c.load(n, &d.set.clock); err != nil {
				return fmt.Errorf("column %q: %w", c.leaf.name, err)
			}
		}
		if d.block(b, n, first+*done, t) {
			*done += int64(n)
			continue
		}
		for range n {
			d.row(b, first+*done, t)
			*done++
		}
	}
	return nil
}

// open makes the columns that are wanted ready, that of a condition among them.
func (d *parquetDecoder) open(part *parquetPart, b *columnar.Builder) {
	d.columns, d.where = d.columns[:0], nil
	next := func() *parquetColumn { // with the buffers that it has from other row groups
		n := len(d.columns)
		d.columns = slices.Grow(d.columns, 1)[:n+1]
		if d.columns[n] == nil {
			d.columns[n] = new(parquetColumn)
		}
		return d.columns[n]
	}
	fields := part.plan.wanted(b)
	for i := range fields {
		if f := &fields[i]; f.src >= 0 {
			next().open(part, f.src, f)
		}
	}
	if part.plan.where >= 0 {
		d.where = next()
		d.where.open(part, part.plan.where, nil)
	}
	for i := range fields { // last: a reason of another column goes before theirs
		if f := &fields[i]; f.src < 0 {
			next().openConstant(f, int(part.group.NumRows))
		}
	}
}

// row puts the next row of the window.
func (d *parquetDecoder) row(b *columnar.Builder, record int64, t *Tally) {
	reason, match := "", true
	for _, c := range d.columns {
		row := c.row
		c.row++
		if c.valid != nil && !c.valid[row] {
			if c == d.where {
				match = false
			} else if c.field.read == readTime {
				reason = "no time"
			}
			continue
		}
		value := c.value
		c.value++
		switch {
		case c == d.where:
			match = bytes.Equal(d.text(c, value), c.equals)
		case reason == "":
			reason = d.put(b, c, value)
		}
	}
	switch {
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
}

// block puts the n rows of the window column by column. It returns false, and has
// done nothing, if a cell wants a closer look.
func (d *parquetDecoder) block(b *columnar.Builder, n int, record int64, t *Tally) bool {
	for _, c := range d.columns {
		if c != d.where && !d.gather(b, c, n) {
			return false
		}
	}
	d.records = d.records[:0]
	for i := range n {
		d.records = append(d.records, record+int64(i))
	}
	if d.where != nil {
		d.match = d.match[:0]
		value := 0
		for i := range n {
			match := d.where.valid == nil || d.where.valid[i]
			if match {
				match = bytes.Equal(d.text(d.where, value), d.where.equals)
				value++
			}
			d.match = append(d.match, match)
		}
		d.records = matching(d.records, d.match)
	}
	if len(d.records) > 0 {
		for _, c := range d.columns {
			if c == d.where {
				continue
			}
			if d.where != nil {
				c.cells.match(d.match)
			}
			switch f := c.field; {
			case f.read == readTime:
				b.PutTimes(c.cells.ints)
			case f.read == readNumber:
				b.PutInts(f.col, c.cells.ints)
			case f.read == readQuery:
				b.PutQueries(c.cells.text, c.cells.spans)
			case c.cells.codes != nil:
				b.PutCodes(f.col, c.cells.codes)
			default:
				b.PutTexts(f.col, c.cells.text, c.cells.spans)
			}
		}
		b.NextRows(d.records)
	}
	t.Records += int64(n)
	t.Rows += int64(len(d.records))
	t.Other += int64(n - len(d.records))
	return true
}

// parquetCells are what is put of the rows of a window: ints, columnar.Null where there is
// none, or codes, or spans of text.
type parquetCells struct {
	ints  []int64
	codes []int32
	text  []byte
	spans []columnar.Span
}

// match keeps the cells of the rows that match.
func (c *parquetCells) match(match []bool) {
	c.ints = matching(c.ints, match)
	c.codes = matching(c.codes, match)
	c.spans = matching(c.spans, match)
}

// matching keeps the elements that match, of all or none.
func matching[T any](all []T, match []bool) []T {
	n := 0
	for i := range all {
		all[n] = all[i]
		if match[i] {
			n++
		}
	}
	return all[:n]
}

// gather makes the cells of a column of the n rows of the window, or returns false.
func (d *parquetDecoder) gather(b *columnar.Builder, c *parquetColumn, n int) bool {
	c.cells = parquetCells{}
	switch f := c.field; {
	case f.read == readTime:
		return d.gatherTimes(c)
	case f.read == readNumber:
		return d.gatherNumbers(c)
	case c.held == heldIndexes && f.col.Kind() == columnar.Dictionary:
		d.gatherCodes(b, c)
		return true
	}
	return d.gatherTexts(c, n)
}

func (d *parquetDecoder) gatherTimes(c *parquetColumn) bool {
	if c.valid != nil {
		return false
	}
	if c.held == heldTimes {
		c.cells.ints = c.ints
		return !slices.Contains(c.ints, noTime)
	}
	c.buf.cells.ints = c.buf.cells.ints[:0]
	for value := range c.n {
		text := d.text(c, value)
		us, ok := d.set.time(c.field.unit, text)
		if !ok || unknown(text) {
			return false
		}
		c.buf.cells.ints = append(c.buf.cells.ints, us)
	}
	c.cells.ints = c.buf.cells.ints
	return true
}

func (d *parquetDecoder) gatherNumbers(c *parquetColumn) bool {
	ints := c.ints
	if c.held == heldInts && c.field.scale == 1 {
		signs := int64(0)
		for _, v := range ints {
			signs |= v
		}
		if signs < 0 {
			return false
		}
	} else {
		ints = c.buf.cells.ints[:0]
		for value := range c.n {
			v, reason := int64(columnar.Null), ""
			switch c.held {
			case heldInts:
				v, reason = c.field.float(float64(c.ints[value]))
			case heldFloats:
				v, reason = c.field.float(c.floats[value])
			default:
				if text := d.text(c, value); !unknown(text) {
					v, reason = c.field.number(text)
				}
			}
			if reason != "" {
				return false
			}
			ints = append(ints, v)
		}
		c.buf.cells.ints = ints
	}
	if c.valid != nil {
		spread := c.buf.spread[:0]
		value := 0
		for _, ok := range c.valid {
			v := int64(columnar.Null)
			if ok {
				v = ints[value]
				value++
			}
			spread = append(spread, v)
		}
		c.buf.spread, ints = spread, spread
	}
	c.cells.ints = ints
	return true
}

func (d *parquetDecoder) gatherCodes(b *columnar.Builder, c *parquetColumn) {
	c.number(b.Dict(c.field.col))
	codes := slices.Grow(c.buf.cells.codes[:0], len(c.indexes))[:len(c.indexes)]
	signs := int32(0)
	for i, index := range c.indexes {
		code := c.codes[index]
		codes[i] = code
		signs |= code
	}
	if signs < 0 {
		d.lookUp(c)
		for i, index := range c.indexes {
			codes[i] = c.codes[index]
		}
	}
	if c.valid != nil {
		// From the end, as codes move there.
		value := len(codes)
		codes = slices.Grow(codes, len(c.valid)-value)[:len(c.valid)]
		for i := len(c.valid) - 1; i >= 0; i-- {
			code := int32(0)
			if c.valid[i] {
				value--
				code = codes[value]
			}
			codes[i] = code
		}
	}
	c.buf.cells.codes, c.cells.codes = codes, codes
}

// number makes codes those of the texts in dict.
func (c *parquetColumn) number(dict *columnar.Dict) {
	if c.of == dict {
		return
	}
	c.of = dict
	c.codes = slices.Grow(c.codes[:0], c.dict.size)[:c.dict.size]
	for i := range c.codes {
		c.codes[i] = -1
	}
}

// lookUp finds the codes of those texts of the dictionary that the window has and
// that have none yet.
func (d *parquetDecoder) lookUp(c *parquetColumn) {
	asked, spans := c.buf.asked[:0], c.buf.cells.spans[:0]
	for _, index := range c.indexes {
		if c.codes[index] >= 0 {
			continue
		}
		span := c.dict.spans[index]
		text := c.dict.text[span.Begin:span.End]
		if c.field.read != readText {
			c.codes[index] = c.of.Code(d.set.text(c.field, text))
			continue
		}
		if unknown(text) {
			span = columnar.Span{}
		}
		asked, spans = append(asked, index), append(spans, span)
	}
	codes := slices.Grow(c.buf.found[:0], len(asked))[:len(asked)]
	c.of.Codes(codes, c.dict.text, spans)
	for i, index := range asked {
		c.codes[index] = codes[i]
	}
	c.buf.asked, c.buf.cells.spans, c.buf.found = asked, spans, codes
}

func (d *parquetDecoder) gatherTexts(c *parquetColumn, n int) bool {
	f := c.field
	asIs := (f.read == readText || f.read == readQuery) && (c.held == heldTexts || c.held == heldIndexes)
	text, spans, size, value := c.buf.cells.text[:0], c.buf.cells.spans[:0], 0, 0
	for i := range n {
		var span columnar.Span
		switch {
		case c.valid != nil && !c.valid[i]:
		case asIs:
			if c.held == heldTexts {
				span = c.spans[value]
			} else {
				span = c.dict.spans[c.indexes[value]]
			}
			value++
			if span.End-span.Begin <= 4 && unknown(c.text[span.Begin:span.End]) {
				span = columnar.Span{}
			}
		default:
			span.Begin = uint32(len(text))
			text = append(text, d.set.text(f, d.text(c, value))...)
			span.End = uint32(len(text))
			value++
		}
		spans = append(spans, span)
		if size += int(span.End - span.Begin); size > parquetWindowText {
			return false
		}
	}
	c.buf.cells.text, c.buf.cells.spans = text, spans
	if asIs {
		text = c.text
	}
	c.cells.text, c.cells.spans = text, spans
	return true
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
			c.number(b.Dict(f.col))
			code := &c.codes[c.indexes[value]]
			if *code < 0 {
				*code = c.of.Code(d.set.text(f, d.text(c, value)))
			}
			b.SetCode(f.col, *code)
			return ""
		}
	}
	return d.set.set(b, f, d.text(c, value))
}

// text returns a value as text.
func (d *parquetDecoder) text(c *parquetColumn, value int) []byte {
	var span columnar.Span
	switch c.held {
	case heldIndexes:
		span = c.dict.spans[c.indexes[value]]
	case heldTexts:
		span = c.spans[value]
	case heldFloats:
		d.scratch = strconv.AppendFloat(d.scratch[:0], c.floats[value], 'f', -1, 64)
		return d.scratch
	default:
		switch v := c.ints[value]; {
		case c.leaf.kind == parquet.Boolean:
			d.scratch = strconv.AppendBool(d.scratch[:0], v != 0)
		case c.leaf.unsigned:
			d.scratch = strconv.AppendUint(d.scratch[:0], uint64(v), 10)
		default:
			d.scratch = strconv.AppendInt(d.scratch[:0], v, 10)
		}
		return d.scratch
	}
	return c.text[span.Begin:span.End]
}

// A holding says which slice holds values.
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

// values are values of a column, in the slice that a holding says.
type values struct {
	held   holding
	ints   []int64
	floats []float64
	text   []byte // of spans, or of the dictionary's if indexes are held
	spans  []columnar.Span
}

// A storing says where the values of a page are.
type storing uint8

const (
	storedPlain   storing = iota // in plain
	storedIndexes                // in numbers, as indexes in the dictionary
	storedNumbers                // in numbers
	storedAll                    // in all: decoded at once
)

// A parquetColumn walks the pages of one column chunk, and each page by windows,
// whose rows are decoded when it is their turn: so what is decoded is in the
// cache still when it is put, and of a page, which may have the whole row group,
// only the bytes are in memory.
type parquetColumn struct {
	leaf   *parquetLeaf
	field  *field // nil: read for a condition only
	equals []byte // that one
	pages  pageReader
	left   int64 // rows of the chunk in pages to come

	// Of the page, what is to come.
	rows    int
	levels  hybrid // those of definition, if the leaf has any
	stored  storing
	plain   []byte
	from    int // where in plain, or in all
	numbers hybrid
	all     values

	// The window: its rows, of which valid tells those with a value (nil: all),
	// and the n values. row and value are the next ones.
	values
	indexes    []uint32
	valid      []bool
	n          int
	row, value int

	dict struct {
		values
		size int
		page []byte
	}
	// codes are, by index in the dictionary, the codes in a builder's Dict, −1
	// where not known yet: most texts of a dictionary may be of rows that other
	// dictionaries have too, and each is looked up once.
	codes []int32
	of    *columnar.Dict

	cells parquetCells

	// Buffers, which keep their memory.
	buf struct {
		page []byte // decompressed

		// Of the window.
		values  values
		indexes []uint32
		levels  []uint32
		valid   []bool

		// Of its cells.
		cells  parquetCells
		spread []int64
		asked  []uint32
		found  []int32
	}
}

func (c *parquetColumn) open(part *parquetPart, src int, f *field) {
	c.leaf, c.field, c.equals = &part.leaves[src], f, part.plan.equals
	meta := &part.group.Columns[c.leaf.index].MetaData
	c.left = part.group.NumRows
	c.rows, c.dict.size, c.of = 0, 0, nil
	c.pages.open(part.file, part.size, meta)
}

// openConstant makes c a column that has the field's text in all rows, as one page
// with a dictionary would.
func (c *parquetColumn) openConstant(f *field, rows int) {
	c.leaf, c.field = &parquetLeaf{name: f.col.String()}, f
	c.rows, c.left, c.of = rows, 0, nil
	c.dict.size, c.dict.held, c.dict.text = 1, heldTexts, f.text
	c.dict.spans = append(c.dict.spans[:0], columnar.Span{End: uint32(len(f.text))})
	c.stored, c.numbers = storedIndexes, hybrid{one: true, left: rows}
}

// nextPage goes to the next page that has rows.
func (c *parquetColumn) nextPage(codec *pageCodec) error {
	for {
		h, body, err := c.pages.next()
		if err != nil {
			return err
		}
		switch h.Type {
		case format.DictionaryPage:
			err = c.readDictionary(codec, h, body)
		case format.DataPage, format.DataPageV2:
			err = c.readPage(codec, h, body)
		}
		if err != nil || c.rows > 0 {
			return err
		}
	}
}

func (c *parquetColumn) readDictionary(codec *pageCodec, h *format.PageHeader, body []byte) error {
	if !h.DictionaryPageHeader.Valid || c.dict.size > 0 {
		return fmt.Errorf("%w dictionary", errDamaged)
	}
	n := int(h.DictionaryPageHeader.V.NumValues)
	if n < 0 || n > parquetMaxRows {
		return fmt.Errorf("%w dictionary of %d values", errDamaged, n)
	}
	page, err := codec.decompress(c.pages.codec, &c.dict.page, body, int(h.UncompressedPageSize))
	if err != nil {
		return err
	}
	if c.pages.codec == format.Uncompressed { // what was read goes with the next page
		c.dict.page = append(c.dict.page[:0], page...)
		page = c.dict.page
	}
	if _, err = c.leaf.readPlain(&c.dict.values, page, 0, n); err != nil {
		return err
	}
	c.dict.size = n
	return nil
}

// readPage reads what stands before the values of a data page.
func (c *parquetColumn) readPage(codec *pageCodec, h *format.PageHeader, body []byte) (err error) {
	var rows int32
	var encoding format.Encoding
	levels, values := []byte(nil), body
	if h.Type == format.DataPage {
		p := h.DataPageHeader.V
		rows, encoding = p.NumValues, p.Encoding
		if values, err = codec.decompress(c.pages.codec, &c.buf.page, body, int(h.UncompressedPageSize)); err != nil {
			return err
		}
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
			if values, err = codec.decompress(c.pages.codec, &c.buf.page, values, int(h.UncompressedPageSize)-int(skip+size)); err != nil {
				return err
			}
		}
	}
	if rows < 0 || int64(rows) > c.left || rows > parquetMaxRows {
		return fmt.Errorf("%w: a page of %d rows, of which the row group has %d left", errDamaged, rows, c.left)
	}
	c.left -= int64(rows)
	if c.leaf.levels > 0 {
		if c.levels, err = newHybrid(levels, uint(bits.Len(uint(c.leaf.levels)))); err != nil {
			return err
		}
	}
	if err = c.store(encoding, values, int(rows)); err == nil {
		c.rows = int(rows)
	}
	return err
}

// store makes the values of a page ready.
func (c *parquetColumn) store(encoding format.Encoding, b []byte, rows int) (err error) {
	c.plain, c.from, c.numbers = b, 0, hybrid{}
	switch {
	//lint:ignore SA1019 old files have it, and mean the same by it
	case encoding == format.RLEDictionary || encoding == format.PlainDictionary:
		c.stored = storedIndexes
		if len(b) > 0 { // there may be no value
			c.numbers, err = newHybrid(b[1:], uint(b[0]))
		}
	case c.leaf.kind == parquet.Boolean && encoding == format.Plain:
		c.stored = storedNumbers
		c.numbers = hybrid{width: 1, packed: b, left: len(b) * 8}
	case c.leaf.kind == parquet.Boolean && encoding == format.RLE:
		if len(b) < 4 {
			return fmt.Errorf("%w booleans", errDamaged)
		}
		c.stored = storedNumbers
		c.numbers, err = newHybrid(b[4:], 1)
	case encoding == format.Plain:
		c.stored = storedPlain
	default:
		c.stored = storedAll
		n, levels := 0, c.levels
		for left := rows; left > 0 && err == nil; left -= min(left, parquetWindow) {
			var k int
			k, err = c.readLevels(min(left, parquetWindow))
			n += k
		}
		c.levels = levels
		if err == nil {
			err = c.readEncoded(encoding, b, n)
		}
	}
	return err
}

// load decodes the next n rows of the page, which has them.
func (c *parquetColumn) load(n int, clock *clock) (err error) {
	c.rows -= n
	c.row, c.value = 0, 0
	if c.n, err = c.readLevels(n); err != nil {
		return err
	}
	n = c.n
	switch c.stored {
	case storedPlain:
		c.from, err = c.leaf.readPlain(&c.buf.values, c.plain, c.from, n)
		c.values = c.buf.values
	case storedIndexes:
		err = c.readIndexes(n)
	case storedNumbers:
		c.indexes = slices.Grow(c.buf.indexes[:0], n)[:n]
		c.buf.indexes = c.indexes
		err = c.numbers.read(c.indexes)
		c.held, c.ints = heldInts, c.buf.values.ints[:0]
		for _, v := range c.indexes {
			c.ints = append(c.ints, int64(v))
		}
		c.buf.values.ints = c.ints
	default:
		c.values = c.all
		switch from, to := c.from, c.from+n; c.held {
		case heldInts:
			c.ints = c.ints[from:to]
		case heldFloats:
			c.floats = c.floats[from:to]
		default:
			c.spans = c.spans[from:to]
		}
		c.from += n
	}
	if err == nil && c.field != nil && c.field.read == readTime {
		c.toTimes(clock)
	}
	return err
}

// readLevels finds which of the next n rows have values, and how many.
func (c *parquetColumn) readLevels(n int) (values int, err error) {
	c.valid = nil
	highest := uint32(c.leaf.levels)
	if highest == 0 {
		return n, nil
	}
	// Most pages have no null, which is one run.
	if c.levels.all(n, highest) {
		c.levels.skip(n)
		return n, nil
	}
	levels := slices.Grow(c.buf.levels[:0], n)[:n]
	valid := slices.Grow(c.buf.valid[:0], n)[:n]
	c.buf.levels, c.buf.valid = levels, valid
	if err := c.levels.read(levels); err != nil {
		return 0, fmt.Errorf("definition levels: %w", err)
	}
	for i, level := range levels {
		valid[i] = level == highest
		if level == highest {
			values++
		}
	}
	if values < n {
		c.valid = valid
	}
	return values, nil
}

// readIndexes reads n values that are indexes in the dictionary.
func (c *parquetColumn) readIndexes(n int) error {
	c.indexes = slices.Grow(c.buf.indexes[:0], n)[:n]
	c.buf.indexes = c.indexes
	if err := c.numbers.read(c.indexes); err != nil {
		return err
	}
	highest := uint32(0)
	for _, index := range c.indexes {
		highest = max(highest, index)
	}
	if n > 0 && int64(highest) >= int64(c.dict.size) {
		return fmt.Errorf("%w: index %d in a dictionary of %d", errDamaged, highest, c.dict.size)
	}
	to := &c.buf.values
	switch c.held = c.dict.held; c.held {
	case heldInts:
		to.ints = slices.Grow(to.ints[:0], n)[:n]
		for i, index := range c.indexes {
			to.ints[i] = c.dict.ints[index]
		}
		c.ints = to.ints
	case heldFloats:
		to.floats = slices.Grow(to.floats[:0], n)[:n]
		for i, index := range c.indexes {
			to.floats[i] = c.dict.floats[index]
		}
		c.floats = to.floats
	default:
		c.held, c.text = heldIndexes, c.dict.text
	}
	return nil
}

// readPlain reads the next n values from b, of which from bytes are read already,
// and returns how many are then.
func (l *parquetLeaf) readPlain(to *values, b []byte, from, n int) (int, error) {
	bits := 0
	switch l.kind {
	case parquet.Boolean:
		bits = 1
	case parquet.Int32, parquet.Float:
		bits = 32
	case parquet.Int64, parquet.Double:
		bits = 64
	case parquet.Int96:
		bits = 96
	case parquet.ByteArray:
		to.held = heldTexts
		return to.readTexts(b, from, n)
	default:
		return 0, fmt.Errorf("values of type %s, which are not read", l.kind)
	}
	size := (n*bits + 7) / 8
	if len(b)-from < size {
		return 0, fmt.Errorf("%w: %d bytes for %d values", errDamaged, len(b)-from, n)
	}
	b = b[from : from+size]
	if l.kind == parquet.Float || l.kind == parquet.Double {
		to.held, to.floats = heldFloats, slices.Grow(to.floats[:0], n)[:n]
	} else {
		to.held, to.ints = heldInts, slices.Grow(to.ints[:0], n)[:n]
	}
	switch l.kind {
	case parquet.Boolean:
		for i := range to.ints {
			to.ints[i] = int64(b[i>>3] >> (i & 7) & 1)
		}
	case parquet.Int32:
		for i := range to.ints {
			to.ints[i] = l.int32(int32(binary.LittleEndian.Uint32(b[i*4:])))
		}
	case parquet.Int64:
		ints := to.ints
		for ; len(ints) >= 4; ints, b = ints[4:], b[32:] {
			four, v := (*[4]int64)(ints), (*[32]byte)(b)
			four[0] = int64(binary.LittleEndian.Uint64(v[0:]))
			four[1] = int64(binary.LittleEndian.Uint64(v[8:]))
			four[2] = int64(binary.LittleEndian.Uint64(v[16:]))
			four[3] = int64(binary.LittleEndian.Uint64(v[24:]))
		}
		for i := range ints {
			ints[i] = int64(binary.LittleEndian.Uint64(b[i*8:]))
		}
	case parquet.Int96:
		// Nanoseconds of the day and the Julian day: kept as µs since 1970.
		const epochDay = 2440588
		for i := range to.ints {
			v := b[i*12:]
			to.ints[i] = noTime
			if us := scaled(int64(binary.LittleEndian.Uint32(v[8:]))-epochDay, day); us != noTime {
				to.ints[i] = us + int64(binary.LittleEndian.Uint64(v))/1000
			}
		}
	case parquet.Float:
		for i := range to.floats {
			to.floats[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[i*4:])))
		}
	case parquet.Double:
		for i := range to.floats {
			to.floats[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[i*8:]))
		}
	}
	return from + size, nil
}

// int32 widens a value.
func (l *parquetLeaf) int32(v int32) int64 {
	if l.unsigned {
		return int64(uint32(v))
	}
	return int64(v)
}

// readTexts is readPlain of texts, each of which stands after its size.
func (t *values) readTexts(b []byte, from, n int) (int, error) {
	t.text, t.spans = b, slices.Grow(t.spans[:0], n)[:n]
	for i := range t.spans {
		if len(b)-from < 4 || uint64(binary.LittleEndian.Uint32(b[from:])) > uint64(len(b)-from-4) {
			return 0, fmt.Errorf("%w texts", errDamaged)
		}
		begin := from + 4
		from = begin + int(binary.LittleEndian.Uint32(b[from:]))
		t.spans[i] = columnar.Span{Begin: uint32(begin), End: uint32(from)}
	}
	return from, nil
}

// readEncoded reads the n values of a page in one of the encodings that are rare
// in logs, with the library.
func (c *parquetColumn) readEncoded(encoding format.Encoding, b []byte, n int) (err error) {
	if encoding == format.DeltaBinaryPacked || encoding == format.DeltaLengthByteArray || encoding == format.DeltaByteArray {
		// The library allocates what the page says it holds.
		if count, ok := deltaCount(b); !ok || count != uint64(n) {
			return fmt.Errorf("%w: %s of %d values for %d", errDamaged, encoding, count, n)
		}
	}
	got, e, all := 0, parquet.LookupEncoding(encoding), &c.all
	all.held = heldInts
	switch c.leaf.kind {
	case parquet.Int32:
		var v []int32
		v, err = e.DecodeInt32(nil, b)
		all.ints = all.ints[:0]
		for _, x := range v {
			all.ints = append(all.ints, c.leaf.int32(x))
		}
		got = len(v)
	case parquet.Int64:
		all.ints, err = e.DecodeInt64(all.ints[:0], b)
		got = len(all.ints)
	case parquet.Float:
		var v []float32
		v, err = e.DecodeFloat(nil, b)
		all.held, all.floats = heldFloats, all.floats[:0]
		for _, x := range v {
			all.floats = append(all.floats, float64(x))
		}
		got = len(v)
	case parquet.Double:
		all.held = heldFloats
		all.floats, err = e.DecodeDouble(all.floats[:0], b)
		got = len(all.floats)
	case parquet.ByteArray:
		var offsets []uint32
		all.text, offsets, err = e.DecodeByteArray(all.text[:0], b, nil)
		all.held, all.spans = heldTexts, all.spans[:0]
		for i := 1; i < len(offsets); i++ {
			all.spans = append(all.spans, columnar.Span{Begin: offsets[i-1], End: offsets[i]})
		}
		got = len(all.spans)
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

// toTimes turns the numbers of the window into µs UTC.
func (c *parquetColumn) toTimes(clock *clock) {
	switch c.held {
	case heldFloats:
		c.ints = slices.Grow(c.buf.values.ints[:0], len(c.floats))[:len(c.floats)]
		c.buf.values.ints = c.ints
		for i, x := range c.floats {
			c.ints[i] = epochFloat(c.field.unit, x)
		}
	case heldInts:
		c.toMicros()
	default:
		return
	}
	c.held = heldTimes
	odd := false
	for _, us := range c.ints {
		odd = odd || !plausible(us)
	}
	if odd {
		for i, us := range c.ints {
			if !plausible(us) {
				c.ints[i] = noTime
			}
		}
	}
	local := false
	if t, ok := c.leaf.logical.(*format.TimestampType); ok {
		local = !t.IsAdjustedToUTC
	} else if _, ok := c.leaf.logical.(*format.DateType); ok {
		local = true
	}
	if !local || clock.zone == nil || clock.zone == time.UTC {
		return
	}
	for i, us := range c.ints {
		if us != noTime {
			if us, ok := clock.local(us); ok {
				c.ints[i] = us
			} else {
				c.ints[i] = noTime
			}
		}
	}
}

// toMicros turns the integers of the window into µs.
func (c *parquetColumn) toMicros() {
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
		scale(c.ints, day)
		return
	}
	if c.leaf.kind == parquet.Int96 {
		unit = "us"
	}
	switch unit {
	case "s":
		scale(c.ints, 1e6)
	case "ms":
		scale(c.ints, 1e3)
	case "us":
	case "ns":
		for i, v := range c.ints {
			c.ints[i] = v / 1e3
		}
	default:
		for i, v := range c.ints {
			c.ints[i] = epochInt(v)
		}
	}
}

func scale(ints []int64, by int64) {
	for i, v := range ints {
		ints[i] = scaled(v, by)
	}
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

// A hybrid reads numbers of a fixed width that stand in runs of one number and in
// bit-packed groups. The zero value has none.
type hybrid struct {
	width  uint   // in bits
	rest   []byte // what follows the run
	left   int    // numbers of the run to come
	one    bool   // the run is of one number
	number uint32 // that one
	packed []byte // from where the other numbers stand
	bit    uint   // of packed, where the next one begins
}

func newHybrid(b []byte, width uint) (hybrid, error) {
	if width > 32 {
		return hybrid{}, fmt.Errorf("%w: numbers of %d bits", errDamaged, width)
	}
	return hybrid{width: width, rest: b}, nil
}

// next goes to the next run if this one is over.
func (h *hybrid) next() error {
	for h.left == 0 {
		head, k := binary.Uvarint(h.rest)
		if k <= 0 {
			return fmt.Errorf("%w: numbers missing", errDamaged)
		}
		b := h.rest[k:]
		count := min(head>>1, math.MaxInt32)
		if h.one = head&1 == 0; h.one {
			size := int(h.width+7) / 8
			if len(b) < size {
				return fmt.Errorf("%w run", errDamaged)
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
		} else { // writers may cut the last group off
			h.left, h.rest = len(b)*8/int(h.width), nil
		}
	}
	return nil
}

// all reports whether the next n numbers stand in one run of v.
func (h *hybrid) all(n int, v uint32) bool {
	return h.next() == nil && h.one && h.number == v && h.left >= n
}

// skip passes n numbers of the run, which has them.
func (h *hybrid) skip(n int) {
	h.left -= n
	h.bit += uint(n) * h.width
}

// read reads as many numbers as out is long.
func (h *hybrid) read(out []uint32) error {
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
		h.skip(n)
		out = out[n:]
	}
	return nil
}

// unpack reads numbers of width bits from a bit on, least significant first. b
// must hold them.
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
	zstd *zstd.Decoder
	gzip *gzip.Reader
}

// decompress returns the size bytes that src decompresses to: src itself if it is
// not compressed, else in *buf, which grows as needed.
func (c *pageCodec) decompress(codec format.CompressionCodec, buf *[]byte, src []byte, size int) (out []byte, err error) {
	if size < 0 || codec != format.Uncompressed && size/parquetMaxRatio > len(src) {
		return nil, fmt.Errorf("%w page: %d bytes decompressed from %d", errDamaged, size, len(src))
	}
	if codec != format.Uncompressed && cap(*buf) < size {
		*buf = make([]byte, size+size/16) // pages of a column are about as large
	}
	switch codec {
	case format.Uncompressed:
		out = src
	case format.Snappy:
		if n, err := snappy.DecodedLen(src); err != nil || n != size {
			return nil, fmt.Errorf("%w snappy page", errDamaged)
		}
		out, err = snappy.Decode((*buf)[:size], src)
	case format.Gzip:
		if c.gzip == nil {
			c.gzip = new(gzip.Reader)
		}
		if err = c.gzip.Reset(bytes.NewReader(src)); err == nil {
			out = (*buf)[:size]
			_, err = io.ReadFull(c.gzip, out)
		}
	case format.Zstd:
		if c.zstd == nil {
			if c.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(parquetMaxPage)); err != nil {
				return nil, err
			}
		}
		out, err = c.zstd.DecodeAll(src, (*buf)[:0])
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
