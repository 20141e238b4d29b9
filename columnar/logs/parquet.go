package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"outflow/columnar"
	"outflow/columnar/pages"
	"outflow/columnar/scan"
)

// Parquet is a columnar file; its blocks are its row groups.
var Parquet = &Format{
	Name:  "parquet",
	Title: "Parquet, flat or nested",
	Doc: `Columns are found by name as in csv: by a mapping, or by well-known names. The name of a nested column is its path
with dots (src_endpoint.ip); letter case does not matter. Columns inside lists and maps are not read: which of
several values a row means is not ours to guess.

Only the columns that are needed are read. Times are timestamps, dates, integers or floats (epoch, the unit told by
magnitude unless a mapping does) or text as in csv. Timestamps without UTC adjustment are in the input's zone. Pages are
plain or compressed with snappy, gzip, zstd or LZ4_RAW. A column that cannot be read is left out and counted, unless it
has the time: decimals, fixed-length binaries, other compressions (the older LZ4, because writers disagree on it).

Damage in a page ends its row group: the rows after it are skipped with a reason.`,
	Tables:   []*columnar.Table{columnar.API, columnar.HTTP, columnar.DNS, columnar.Network, columnar.Process},
	Remedies: mappingRemedies,
	Sniff:    func(head []byte) bool { return bytes.HasPrefix(head, []byte(pages.Magic)) },
	New: func(o *Options) (Decoder, error) {
		return &parquetDecoder{set: setter{clock: o.clock()}}, nil
	},
	Split: splitParquet,
}

// parquetMaxRows is how many rows a page may have: a constant column has all rows of
// a group in one.
const parquetMaxRows = 1 << 26

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
	if f := &p.fields[0]; f.src >= 0 && len(f.others) == 0 { // the time
		leaf := &leaves[f.src]
		if err := leaf.readable(f); err != nil {
			return fmt.Errorf("column %q is %w", leaf.name, err)
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
	if _, err := pages.FooterSize(r, size); err != nil {
		return nil, err
	}
	defer pages.Recovered("read footer", &err)
	f, err = parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("read footer: %w", err)
	}
	return f, nil
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

// readable says what a leaf is whose values cannot fill a field.
func (l *parquetLeaf) readable(f *field) error {
	is := l.kind.String()
	switch t := l.logical.(type) {
	case *format.DecimalType:
		return fmt.Errorf("a decimal, which is %w: write it as an integer or a double", pages.ErrUnread)
	case *format.TimeType, *format.UUIDType:
		is = t.String()
	default:
		switch {
		case l.kind >= parquet.FixedLenByteArray:
		case l.kind == parquet.Int96 && f.col != columnar.Time:
		case l.kind == parquet.Boolean && f.col.Kind() != columnar.Dictionary && f.col.Kind() != columnar.Text:
		default:
			return nil
		}
	}
	if f.read == readKept {
		return fmt.Errorf("%s, which is %w", is, pages.ErrUnread)
	}
	return fmt.Errorf("%s, which cannot be %s", is, f.col)
}

// A parquetDecoder decodes row groups: the wanted columns side by side, each
// from its own pages, since pages of different columns hold different rows.
type parquetDecoder struct {
	set     setter
	codec   pages.Codec
	columns []*parquetColumn // of the row group, those that are wanted
	where   *parquetColumn   // the one of them that a condition is about, or nil
	match   []bool           // the rows that it holds for
	records []int64          // of the rows being put
	cleared []string         // reasons why cells of the row being put are empty
	unread  []Reason         // columns of the row group that are left out
	scratch []byte
}

func (d *parquetDecoder) Decode(b *Block, out *columnar.Out, t *Tally) error {
	part := b.Part.(*parquetPart)
	var done int64
	err := d.rows(part, b.First, &done, out.Table(part.plan.table), t)
	if err == nil || done > 0 {
		for _, r := range d.unread {
			because(&t.Cleared, r)
		}
	}
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
			err = fmt.Errorf("%w: %v", pages.ErrDamaged, r)
		}
	}()
	d.open(part, b, first)
	for *done < part.group.NumRows {
		n := int(min(part.group.NumRows-*done, parquetWindow, int64(b.Room())))
		for _, c := range d.columns {
			if c.rows == 0 {
				err := c.nextPage(&d.codec)
				if errors.Is(err, pages.ErrUnread) && c.field != nil && c.field.read != readTime {
					d.leaveOut(c, err, part.group.NumRows-*done, first+*done)
				} else if err != nil {
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
func (d *parquetDecoder) open(part *parquetPart, b *columnar.Builder, first int64) {
	d.columns, d.where, d.unread = d.columns[:0], nil, d.unread[:0]
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
		f := &fields[i]
		if f.src < 0 {
			continue
		}
		preferred := next()
		d.openSource(preferred, part, f.src, f, first)
		for _, src := range f.others {
			c := next()
			d.openSource(c, part, src, f, first)
			c.other = true
			preferred.others = append(preferred.others, c)
		}
		if f.date >= 0 && f.read == readTime {
			preferred.date = next()
			preferred.date.open(part, f.date, nil)
			preferred.date.other = true
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

// openSource makes a column ready that a field may stand in, or leaves it out.
func (d *parquetDecoder) openSource(c *parquetColumn, part *parquetPart, src int, f *field, first int64) {
	c.open(part, src, f)
	if _, isNull := c.leaf.logical.(*format.NullType); isNull {
		c.openEmpty(part.group.NumRows)
	} else if err := c.leaf.readable(f); err != nil {
		d.leaveOut(c, fmt.Errorf("it is %w", err), part.group.NumRows, first)
	}
}

// leaveOut makes a column one without a value from a record on, to the end of the row
// group.
func (d *parquetDecoder) leaveOut(c *parquetColumn, why error, rows, first int64) {
	d.unread = append(d.unread, Reason{"column " + strconv.Quote(c.leaf.name) + " left out: " + why.Error(), rows, first})
	c.openEmpty(rows)
}

// openEmpty makes c a column without a value, as one page of nulls would.
func (c *parquetColumn) openEmpty(rows int64) {
	c.leaf = &parquetLeaf{name: c.leaf.name, levels: 1}
	c.rows, c.left = int(rows), 0
	c.levels = pages.Run(int(rows))
	c.stored, c.plain, c.from = storedPlain, nil, 0
}

// take moves to the next row of the window, and returns which of the column's values
// it has; −1 if none.
func (c *parquetColumn) take() (value int) {
	row := c.row
	c.row++
	if c.valid != nil && !c.valid[row] {
		return -1
	}
	c.value++
	return c.value - 1
}

// first moves the columns of a field to the next row. It returns the first that says
// something there, or else c, and which of its values that is.
func (d *parquetDecoder) first(c *parquetColumn) (column *parquetColumn, value int) {
	column, value = c, c.take()
	for _, other := range c.others {
		if v := other.take(); v >= 0 && (value < 0 || d.saysNothing(column, value)) {
			column, value = other, v
		}
	}
	return column, value
}

// saysNothing reports whether a value is one that says nothing.
func (d *parquetDecoder) saysNothing(c *parquetColumn, value int) bool {
	switch c.held {
	case heldInts:
		return false
	case heldTimes:
		return c.ints[value] == noTime
	case heldFloats:
		return c.floats[value] != c.floats[value]
	}
	return scan.Unknown(d.text(c, value))
}

// row puts the next row of the window.
func (d *parquetDecoder) row(b *columnar.Builder, record int64, t *Tally) {
	skip, match := "", true
	d.cleared = d.cleared[:0]
	for _, c := range d.columns {
		if c == d.where {
			value := c.take()
			match = value >= 0 && bytes.Equal(d.text(c, value), c.equals)
			continue
		}
		if c.other {
			continue // it has moved with the preferred one
		}
		var date []byte
		if c.date != nil {
			if value := c.date.take(); value >= 0 {
				date = d.text(c.date, value)
			}
		}
		column, value := d.first(c)
		switch {
		case c.field.read == readTime:
			skip = d.putTime(b, column, value, date)
		case value >= 0:
			if reason := d.put(b, column, value); reason != "" {
				d.cleared = append(d.cleared, reason)
			}
		}
	}
	reason := skip
	if match && reason == "" {
		for _, reason := range d.cleared {
			t.Clear(record, reason)
		}
	}
	switch {
	case !match:
		b.Drop()
		t.Known(leftOut)
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
		if c != d.where && !c.other && !d.gather(b, c, n) {
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
			if c == d.where || c.other {
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
			case f.read == readKept:
				b.PutField(f.name, c.cells.text, c.cells.spans)
			case c.cells.codes != nil:
				b.PutCodes(f.col, c.cells.codes)
			default:
				b.PutTexts(f.col, c.cells.text, c.cells.spans)
			}
		}
		b.NextRows(d.records)
	}
	t.Records += int64(len(d.records))
	t.Rows += int64(len(d.records))
	if out := n - len(d.records); out > 0 {
		t.known(leftOut, int64(out))
	}
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
		return d.gatherNumbers(c) && d.gatherOthers(c)
	case len(c.others) > 0:
		return d.gatherFirst(c, n)
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
		for _, us := range c.ints {
			if !d.set.clock.Within(us) {
				return false
			}
		}
		return true
	}
	c.buf.cells.ints = c.buf.cells.ints[:0]
	for value := range c.n {
		text := d.text(c, value)
		us, reason := d.set.timeOf(c.field, text, nil)
		if reason != "" {
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
				if text := d.text(c, value); !scan.Unknown(text) {
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

// gatherOthers fills the numbers that a column lacks from the others of its field.
func (d *parquetDecoder) gatherOthers(c *parquetColumn) bool {
	for _, other := range c.others {
		if !slices.Contains(c.cells.ints, columnar.Null) {
			return true
		}
		if other.cells = (parquetCells{}); !d.gatherNumbers(other) {
			return false
		}
		for i, v := range c.cells.ints {
			if v == columnar.Null {
				c.cells.ints[i] = other.cells.ints[i]
			}
		}
	}
	return true
}

// gatherFirst makes the texts of a field that several columns may have.
func (d *parquetDecoder) gatherFirst(c *parquetColumn, n int) bool {
	text, spans := c.buf.cells.text[:0], c.buf.cells.spans[:0]
	for range n {
		span := columnar.Span{Begin: uint32(len(text)), End: uint32(len(text))}
		if column, value := d.first(c); value >= 0 {
			text = append(text, d.set.text(c.field, d.text(column, value))...)
			span.End = uint32(len(text))
		}
		spans = append(spans, span)
		if len(text) > parquetWindowText {
			break
		}
	}
	c.row, c.value = 0, 0 // another column may want a closer look
	for _, other := range c.others {
		other.row, other.value = 0, 0
	}
	c.buf.cells.text, c.buf.cells.spans = text, spans
	c.cells.text, c.cells.spans = text, spans
	return len(spans) == n
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
		if scan.Unknown(text) {
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
			if scan.Unknown(c.text[span.Begin:span.End]) {
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

// putTime sets the time. It returns why the row must be skipped, or "".
func (d *parquetDecoder) putTime(b *columnar.Builder, c *parquetColumn, value int, date []byte) (reason string) {
	var us int64
	switch {
	case value < 0:
		return withoutTime
	case c.held != heldTimes:
		us, reason = d.set.timeOf(c.field, d.text(c, value), date)
	case c.ints[value] == noTime:
		reason = c.field.bad
	default:
		if us = c.ints[value]; !d.set.clock.Within(us) {
			reason = d.set.clock.Fault(c.field.bad)
		}
	}
	if reason == "" {
		b.SetTime(us)
	}
	return reason
}

// put sets the cell that a value is for. It returns why the cell is left empty, or "".
func (d *parquetDecoder) put(b *columnar.Builder, c *parquetColumn, value int) (reason string) {
	f := c.field
	switch c.held {
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
		_, isDate := c.leaf.logical.(*format.DateType)
		switch v := c.ints[value]; {
		case isDate:
			d.scratch = time.Unix(v*86400, 0).UTC().AppendFormat(d.scratch[:0], time.DateOnly)
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
