package logs

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"outflow/columnar"
	"outflow/columnar/pages"
	"outflow/columnar/scan"
)

// The columns of a Parquet log: from the pages of a chunk to the values of a window
// of rows.

// A holding says which slice holds values.
type holding uint8

const (
	heldInts holding = iota
	heldTimes
	heldFloats
	heldTexts
	heldIndexes // of texts in the dictionary
)

// noTime stands for a value that is not a time.
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
	leaf    *parquetLeaf
	field   *field           // nil: read for a condition only
	others  []*parquetColumn // that the field may stand in too, in order of preference
	other   bool             // it is one of another column's others, or its date
	date    *parquetColumn   // of a time: the date, where it stands apart; or nil
	selects *selection       // of the column that the condition is about
	pages   pages.Reader
	left    int64 // rows of the chunk in pages to come

	// Of the page, what is to come.
	rows    int
	levels  pages.Hybrid // those of definition, if the leaf has any
	repeats pages.Hybrid // those of repetition, if the leaf repeats: then rows are elements
	stored  storing
	plain   []byte
	from    int // where in plain, or in all
	numbers pages.Hybrid
	all     values

	// The window: valid tells the rows that have a value (nil: all), and there are n
	// values. row and value are the next ones.
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
	c.leaf, c.field = &part.leaves[src], f
	if part.plan != nil {
		c.selects = &part.plan.where
	}
	c.others, c.other, c.date = c.others[:0], false, nil
	if c.leaf.index < 0 {
		c.openAbsent(int(part.group.NumRows))
		return
	}
	meta := &part.group.Columns[c.leaf.index].MetaData
	c.left = part.group.NumRows
	if c.leaf.repeats {
		c.left = meta.NumValues
	}
	c.rows, c.dict.size, c.of = 0, 0, nil
	c.pages.Open(part.file, part.size, pages.ChunkOf(meta))
}

// openConstant makes c a column that has the field's text in all rows.
func (c *parquetColumn) openConstant(f *field, rows int) {
	c.leaf, c.field = &parquetLeaf{name: f.col.String()}, f
	c.others, c.other, c.date = c.others[:0], false, nil
	c.fill(f.text, rows)
}

// openAbsent makes c a column that the file lacks: its leaf says what all rows have.
func (c *parquetColumn) openAbsent(rows int) {
	if c.leaf.constant == nil {
		c.dict.size, c.of = 0, nil
		c.openEmpty(int64(rows))
	} else {
		c.fill(c.leaf.constant, rows)
	}
}

// fill gives all rows one text, as one page with a dictionary would.
func (c *parquetColumn) fill(text []byte, rows int) {
	c.rows, c.left, c.of = rows, 0, nil
	c.dict.size, c.dict.held, c.dict.text = 1, heldTexts, text
	c.dict.spans = append(c.dict.spans[:0], columnar.Span{End: uint32(len(text))})
	c.stored, c.numbers = storedIndexes, pages.Run(rows)
}

// nextPage goes to the next page that has rows.
func (c *parquetColumn) nextPage(codec *pages.Codec) error {
	for {
		h, body, err := c.pages.Next()
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

func (c *parquetColumn) readDictionary(codec *pages.Codec, h *format.PageHeader, body []byte) error {
	if !h.DictionaryPageHeader.Valid || c.dict.size > 0 {
		return fmt.Errorf("%w dictionary", pages.ErrDamaged)
	}
	n := int(h.DictionaryPageHeader.V.NumValues)
	if n < 0 || n > parquetMaxRows {
		return fmt.Errorf("%w dictionary of %d values", pages.ErrDamaged, n)
	}
	page, err := codec.Decompress(c.pages.Codec, &c.dict.page, body, int(h.UncompressedPageSize))
	if err != nil {
		return err
	}
	if c.pages.Codec == format.Uncompressed { // what was read goes with the next page
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
func (c *parquetColumn) readPage(codec *pages.Codec, h *format.PageHeader, body []byte) (err error) {
	var rows int32
	var encoding format.Encoding
	repeats, levels, values := []byte(nil), []byte(nil), body
	if h.Type == format.DataPage {
		p := h.DataPageHeader.V
		rows, encoding = p.NumValues, p.Encoding
		if values, err = codec.Decompress(c.pages.Codec, &c.buf.page, body, int(h.UncompressedPageSize)); err != nil {
			return err
		}
		if c.leaf.repeats {
			if repeats, values, err = cutLevels("repetition", p.RepetitionLevelEncoding, values); err != nil {
				return err
			}
		}
		if c.leaf.levels > 0 {
			if levels, values, err = cutLevels("definition", p.DefinitionLevelEncoding, values); err != nil {
				return err
			}
		}
	} else {
		p := h.DataPageHeaderV2.V
		rows, encoding = p.NumValues, p.Encoding
		skip, size := int64(p.RepetitionLevelsByteLength), int64(p.DefinitionLevelsByteLength)
		if skip < 0 || size < 0 || skip+size > int64(len(body)) {
			return fmt.Errorf("%w levels", pages.ErrDamaged)
		}
		repeats, levels, values = body[:skip], body[skip:skip+size], body[skip+size:]
		if !p.IsCompressed.Valid || p.IsCompressed.V {
			if values, err = codec.Decompress(c.pages.Codec, &c.buf.page, values, int(h.UncompressedPageSize)-int(skip+size)); err != nil {
				return err
			}
		}
	}
	if rows < 0 || int64(rows) > c.left || rows > parquetMaxRows {
		return fmt.Errorf("%w: a page of %d rows where the row group has %d left", pages.ErrDamaged, rows, c.left)
	}
	c.left -= int64(rows)
	if c.leaf.levels > 0 {
		if c.levels, err = pages.NewHybrid(levels, uint(bits.Len(uint(c.leaf.levels)))); err != nil {
			return err
		}
	}
	if c.leaf.repeats {
		if c.repeats, err = pages.NewHybrid(repeats, 1); err != nil {
			return err
		}
	}
	if err = c.store(encoding, values, int(rows)); err == nil {
		c.rows = int(rows)
	}
	return err
}

// cutLevels returns the levels that a page begins with, and what follows them.
func cutLevels(of string, encoding format.Encoding, page []byte) (levels, rest []byte, err error) {
	if encoding != format.RLE {
		return nil, nil, fmt.Errorf("%s levels in encoding %s, which is not read", of, encoding)
	}
	if len(page) < 4 || uint64(binary.LittleEndian.Uint32(page)) > uint64(len(page)-4) {
		return nil, nil, fmt.Errorf("%w %s levels", pages.ErrDamaged, of)
	}
	size := binary.LittleEndian.Uint32(page)
	return page[4 : 4+size], page[4+size:], nil
}

// store makes the values of a page ready.
func (c *parquetColumn) store(encoding format.Encoding, b []byte, rows int) (err error) {
	c.plain, c.from, c.numbers = b, 0, pages.Hybrid{}
	switch {
	//lint:ignore SA1019 old files have it, and mean the same by it
	case encoding == format.RLEDictionary || encoding == format.PlainDictionary:
		c.stored = storedIndexes
		if len(b) > 0 { // there may be no value
			c.numbers, err = pages.NewHybrid(b[1:], uint(b[0]))
		}
	case c.leaf.kind == parquet.Boolean && encoding == format.Plain:
		c.stored = storedNumbers
		c.numbers = pages.Bits(b)
	case c.leaf.kind == parquet.Boolean && encoding == format.RLE:
		if len(b) < 4 {
			return fmt.Errorf("%w booleans", pages.ErrDamaged)
		}
		c.stored = storedNumbers
		c.numbers, err = pages.NewHybrid(b[4:], 1)
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
func (c *parquetColumn) load(n int, clock *scan.Clock) (err error) {
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
		err = c.numbers.Read(c.indexes)
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
	if c.levels.All(n, highest) {
		c.levels.Skip(n)
		return n, nil
	}
	levels := slices.Grow(c.buf.levels[:0], n)[:n]
	valid := slices.Grow(c.buf.valid[:0], n)[:n]
	c.buf.levels, c.buf.valid = levels, valid
	if err := c.levels.Read(levels); err != nil {
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
	if err := c.numbers.Read(c.indexes); err != nil {
		return err
	}
	highest := uint32(0)
	for _, index := range c.indexes {
		highest = max(highest, index)
	}
	if n > 0 && int64(highest) >= int64(c.dict.size) {
		return fmt.Errorf("%w: index %d in a dictionary of %d", pages.ErrDamaged, highest, c.dict.size)
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

// readPlain reads the next n values from b, starting at offset from. It returns the
// offset after them.
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
		from, err := to.readTexts(b, from, n)
		if l.decimal && err == nil {
			l.toDecimals(to)
		}
		return from, err
	case parquet.FixedLenByteArray:
		bits = l.size * 8
	default:
		return 0, fmt.Errorf("values of type %s, which are %w", l.kind, pages.ErrUnread)
	}
	size := (n*bits + 7) / 8
	if len(b)-from < size {
		return 0, fmt.Errorf("%w: %d bytes for %d values", pages.ErrDamaged, len(b)-from, n)
	}
	b = b[from : from+size]
	if l.kind == parquet.FixedLenByteArray {
		to.held, to.text, to.spans = heldTexts, b, slices.Grow(to.spans[:0], n)[:n]
		for i := range to.spans {
			to.spans[i] = columnar.Span{Begin: uint32(i * l.size), End: uint32((i + 1) * l.size)}
		}
		l.toDecimals(to)
		return from + size, nil
	}
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
			us, ofDay := scaled(int64(binary.LittleEndian.Uint32(v[8:]))-epochDay, scan.Day), int64(binary.LittleEndian.Uint64(v))/1000
			if us != noTime && -scan.Day < ofDay && ofDay < 2*scan.Day { // some writers pass midnight
				to.ints[i] = us + ofDay
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
	if l.decimal {
		l.toDecimals(to)
	}
	return from + size, nil
}

// toDecimals turns values into the decimals that they stand for: integers, or big-endian
// numbers as texts, of the last digit.
func (l *parquetLeaf) toDecimals(v *values) {
	switch {
	case v.held == heldTexts:
		v.floats = v.floats[:0]
		for _, s := range v.spans {
			v.floats = append(v.floats, bigEndian(v.text[s.Begin:s.End])/l.scale)
		}
	case l.scale == 1:
		return
	default:
		v.floats = v.floats[:0]
		for _, x := range v.ints {
			v.floats = append(v.floats, float64(x)/l.scale)
		}
	}
	v.held = heldFloats
}

// bigEndian returns a number in two's complement.
func bigEndian(b []byte) (x float64) {
	if len(b) == 0 {
		return 0
	}
	negative := b[0] >> 7 * 255
	for _, c := range b {
		x = x*256 + float64(c^negative)
	}
	if negative != 0 {
		return -x - 1
	}
	return x
}

// int32 widens a value.
func (l *parquetLeaf) int32(v int32) int64 {
	if l.unsigned {
		return int64(uint32(v))
	}
	return int64(v)
}

// readTexts is readPlain of texts: each has its size before it.
func (t *values) readTexts(b []byte, from, n int) (int, error) {
	t.text, t.spans = b, slices.Grow(t.spans[:0], n)[:n]
	for i := range t.spans {
		if len(b)-from < 4 || uint64(binary.LittleEndian.Uint32(b[from:])) > uint64(len(b)-from-4) {
			return 0, fmt.Errorf("%w texts", pages.ErrDamaged)
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
		if count, ok := pages.DeltaCount(b); !ok || count != uint64(n) {
			return fmt.Errorf("%w: %s of %d values for %d", pages.ErrDamaged, encoding, count, n)
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
	case parquet.FixedLenByteArray:
		all.held = heldTexts
		all.text, err = e.DecodeFixedLenByteArray(all.text[:0], b, c.leaf.size)
		all.spans = all.spans[:0]
		for i := 0; i+c.leaf.size <= len(all.text); i += max(1, c.leaf.size) {
			all.spans = append(all.spans, columnar.Span{Begin: uint32(i), End: uint32(i + c.leaf.size)})
		}
		got = len(all.spans)
	default:
		return fmt.Errorf("%s in encoding %s, which is %w", c.leaf.kind, encoding, pages.ErrUnread)
	}
	if err == nil && c.leaf.decimal {
		c.leaf.toDecimals(all)
	}
	if err == nil && got < n {
		err = fmt.Errorf("%w: %d values for %d", pages.ErrDamaged, got, n)
	}
	return err
}
