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
)

// Parquet is a columnar file; its blocks are its row groups.
var Parquet = &Format{
	Name:  "parquet",
	Title: "Parquet, flat or nested",
	Doc: `Columns are found by name as in csv: by a mapping, or by well-known names. The name of a nested column is its path
with dots (src_endpoint.ip); letter case does not matter. Columns inside lists and maps are not read: which of
several values a row means is not ours to guess.

Names are relative to a column that all others are in. Only the columns that are needed are read. Times are timestamps, dates, integers or floats (epoch, the unit told by
magnitude unless a mapping does) or text as in csv. Timestamps without UTC adjustment are in the input's zone. Pages are
plain or compressed with snappy, gzip, zstd or LZ4_RAW. A column that cannot be read is left out and counted, unless it
has the time: lists, fixed-length binaries, other compressions (the older LZ4, because writers disagree on it). Of an
encrypted file nothing is read.

Damage in a page ends its row group: the rows after it are skipped with a reason.`,
	Tables:   []*columnar.Table{columnar.API, columnar.HTTP, columnar.DNS, columnar.Network, columnar.Process},
	Remedies: mappingRemedies,
	Sniff: func(head []byte) bool {
		return bytes.HasPrefix(head, []byte(pages.Magic)) || bytes.HasPrefix(head, []byte(pages.MagicEncrypted))
	},
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
	index    int // in each row group; -1: the file lacks the column of its table
	levels   int // highest definition level: a value that has it is not null
	kind     parquet.Kind
	logical  format.LogicalTypeValue // nil if it has none
	unsigned bool
	decimal  bool // with scale digits after the point
	size     int  // of a value of fixed length, in bytes
	scale    float64
	list     bool   // a list of values under the name of one: it is not read
	repeats  bool   // it is in a list or map, as element says
	element  string // the name of its elements in a source: a[].b, or a{} for the texts of a map and a{key} for its keys
	nested   bool   // it stands for a list in a list, which is not read: element begins the names of its elements
	constant []byte // the value of every row, if the file lacks the column; nil: null
}

// A parquetPart is a row group. It does not change.
type parquetPart struct {
	file   io.ReaderAt
	size   int64
	plan   *plan
	leaves []parquetLeaf // by src of the plan's fields
	group  *format.RowGroup
	index  int
	// deleted are the rows of the file that its table has deleted.
	deleted rowSet
}

// splitParquet yields a block for each row group.
func splitParquet(r io.ReaderAt, size int64, o *Options, yield func(*Block) error) error {
	f, err := openParquet(r, size)
	if err != nil {
		return err
	}
	return splitFile(f, r, o, yield)
}

// splitFile is splitParquet of an open file.
func splitFile(f *parquet.File, r io.ReaderAt, o *Options, yield func(*Block) error) error {
	leaves := inTable(appendLeaves(nil, f.Root()), f.Root(), o.Table)
	if top := f.Root().Columns(); len(top) == 1 && !top[0].Leaf() && !top[0].Repeated() && o.Mapping == nil {
		for i := range leaves {
			leaves[i].name = strings.TrimPrefix(leaves[i].name, top[0].Name()+".")
		}
	}
	names := make([]string, len(leaves))
	for i, leaf := range leaves {
		names[i] = leaf.name
	}
	p, err := resolve(o.Mapping, names, false)
	if err != nil {
		return err
	}
	if len(p.fields) == 1 && o.Mapping == nil {
		return fmt.Errorf("no column but that of the time has a known name: has %s; name them in mapping.columns or in a source file (outflow sources new)", list(names))
	}
	if f := &p.fields[0]; f.src >= 0 && len(f.others) == 0 { // the time
		leaf := &leaves[f.src]
		if err := leaf.readable(f); err != nil {
			return fmt.Errorf("column %q is %w", leaf.name, err)
		}
	}
	return splitGroups(f, &parquetPart{file: r, size: f.Size(), plan: p, leaves: leaves}, o, yield)
}

// splitGroups yields a block for each row group; of is what they have alike.
func splitGroups(f *parquet.File, of *parquetPart, o *Options, yield func(*Block) error) error {
	deleted, err := o.Table.deleted(f.NumRows())
	if err != nil {
		return err
	}
	columns := 0
	for _, leaf := range of.leaves {
		columns = max(columns, leaf.index+1)
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
		part := *of
		part.group, part.index, part.deleted = g, i, deleted
		if err := yield(&Block{First: first, Part: &part}); err != nil {
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
		if strings.Contains(err.Error(), "DecryptionConfig") {
			return nil, pages.ErrEncrypted
		}
		return nil, fmt.Errorf("read footer: %w", err)
	}
	return f, nil
}

// appendLeaves appends the leaves below c that are in no list or map. A list of values has the
// name of one, so that it is said to be left out where one is looked for.
func appendLeaves(leaves []parquetLeaf, c *parquet.Column) []parquetLeaf {
	for _, child := range c.Columns() {
		switch {
		case child.Repeated():
		case isListOfValues(child):
			leaves = append(leaves, parquetLeaf{name: strings.Join(child.Path(), "."), index: child.Columns()[0].Columns()[0].Index(), list: true})
		case !child.Leaf():
			leaves = appendLeaves(leaves, child)
		default:
			leaves = append(leaves, leafOf(child))
		}
	}
	return leaves
}

func isListOfValues(c *parquet.Column) bool {
	l := c.Type().LogicalType()
	if c.Leaf() || l == nil || len(c.Columns()) != 1 || !c.Columns()[0].Repeated() {
		return false
	}
	_, list := l.Value.(*format.ListType)
	elements := c.Columns()[0].Columns()
	return list && len(elements) == 1 && elements[0].Leaf()
}

func leafOf(c *parquet.Column) parquetLeaf {
	leaf := parquetLeaf{
		name:    strings.Join(c.Path(), "."),
		index:   c.Index(),
		levels:  c.MaxDefinitionLevel(),
		repeats: c.MaxRepetitionLevel() > 0,
		kind:    c.Type().Kind(),
	}
	if l := c.Type().LogicalType(); l != nil {
		leaf.logical = l.Value
	}
	if i, ok := leaf.logical.(*format.IntType); ok {
		leaf.unsigned = !i.IsSigned
	}
	if d, ok := leaf.logical.(*format.DecimalType); ok {
		leaf.decimal, leaf.scale = true, math.Pow10(int(d.Scale))
	}
	if leaf.kind == parquet.FixedLenByteArray {
		leaf.size = c.Type().Length()
	}
	return leaf
}

// readable says what a leaf is whose values cannot fill a field.
func (l *parquetLeaf) readable(f *field) error {
	is := l.kind.String()
	if l.list {
		return fmt.Errorf("a list, which cannot be %s", f.col)
	}
	switch t := l.logical.(type) {
	case *format.DecimalType:
		if t.Scale >= 0 && t.Scale <= 38 && (l.kind == parquet.Int32 || l.kind == parquet.Int64 || l.kind >= parquet.ByteArray) {
			return nil
		}
	case *format.TimeType:
		if f.read == readTime && f.date >= 0 {
			return nil
		}
		is = t.String()
	case *format.UUIDType:
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
	set      setter
	codec    pages.Codec
	columns  []*parquetColumn // of the row group, those that are wanted
	where    *parquetColumn   // the one of them that a condition is about, or nil
	deleted  rowSet           // the rows of the file that are left out
	match    []bool           // the rows that are not left out, for either reason
	records  []int64          // of the rows being put
	cleared  []unreadCell     // of the row being put
	unread   []Reason         // columns of the row group that are left out
	scratch  []byte
	date     []byte // of the row being put
	doubtful bool   // plan.doubtful
}

func (d *parquetDecoder) Decode(b *Block, out *columnar.Out, t *Tally) error {
	part := b.Part.(*parquetPart)
	var done int64
	d.doubtful = part.plan.doubtful
	err := d.rows(part, b.First, &done, out.Table(part.plan.table), t)
	return part.finish(b.First, done, d.unread, err, t)
}

// names returns the names of the leaves that can hold one of the columns, up to
// maxDraftNames.
func (p *parquetPart) names(columns columnar.Cols) (out []string) {
	for i := range p.leaves[:min(len(p.leaves), maxDraftNames)] {
		l := &p.leaves[i]
		for c := range columnar.NumCols {
			if columns.Has(c) && l.readable(&field{col: c}) == nil {
				out = append(out, l.name)
				break
			}
		}
	}
	return out
}

// finish counts in t what was not read of a row group whose first record is first: the
// columns of unread, and, if err ended it, the rows after the first done. It returns err
// if none was read.
func (p *parquetPart) finish(first, done int64, unread []Reason, err error, t *Tally) error {
	if err == nil || done > 0 {
		for _, r := range unread {
			because(&t.Cleared, r)
		}
	}
	switch {
	case err == nil:
		return nil
	case done == 0:
		return fmt.Errorf("row group %d: %w", p.index, err)
	}
	// Rows of this group are with the sink already, so it cannot be refused.
	left := p.group.NumRows - done
	t.Add(&Tally{Records: left, Skipped: left, Reasons: []Reason{{Text: err.Error(), Count: left, First: first + done}}})
	return nil
}

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

// open prepares the wanted columns, including the one of a condition.
func (d *parquetDecoder) open(part *parquetPart, b *columnar.Builder, first int64) {
	d.columns, d.where, d.unread, d.deleted = d.columns[:0], nil, d.unread[:0], part.deleted
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
	if part.plan.where.src >= 0 {
		d.where = next()
		d.where.open(part, part.plan.where.src, nil)
	}
	for i := range fields { // last: a reason of another column goes before theirs
		if f := &fields[i]; f.src < 0 {
			next().openConstant(f, int(part.group.NumRows))
		}
	}
}

// openSource makes a column ready that a field may stand in, or leaves it out.
func (d *parquetDecoder) openSource(c *parquetColumn, part *parquetPart, src int, f *field, first int64) {
	if c.open(part, src, f); part.leaves[src].index < 0 {
		return
	}
	if _, isNull := c.leaf.logical.(*format.NullType); isNull {
		c.openEmpty(part.group.NumRows)
	} else if err := c.leaf.readable(f); err != nil {
		d.leaveOut(c, fmt.Errorf("it is %w", err), part.group.NumRows, first)
	}
}

// leaveOut makes a column one without a value from a record on, to the end of the row
// group.
func (d *parquetDecoder) leaveOut(c *parquetColumn, why error, rows, first int64) {
	r := Reason{Text: "column " + strconv.Quote(c.leaf.name) + " left out: " + why.Error(), Count: rows, First: first}
	if c.field != nil {
		r.Col = c.field.col
	}
	d.unread = append(d.unread, r)
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
	return c.field.lacks(d.text(c, value))
}

// An unreadCell is a value that gives no cell.
type unreadCell struct {
	column *parquetColumn
	value  int
	why    string
}

// row puts the next row of the window.
func (d *parquetDecoder) row(b *columnar.Builder, record int64, t *Tally) {
	skip, match, deleted := "", true, d.deleted.has(record-1)
	d.cleared = d.cleared[:0]
	for _, c := range d.columns {
		if c == d.where {
			var text []byte
			if value := c.take(); value >= 0 {
				text = d.text(c, value)
			}
			match = c.selects.holds(text)
			continue
		}
		if c.other {
			continue // it has moved with the preferred one
		}
		var date []byte
		if c.date != nil {
			if value := c.date.take(); value >= 0 {
				d.date = append(d.date[:0], d.text(c.date, value)...)
				date = d.date
			}
		}
		column, value := d.first(c)
		switch {
		case c.field.read == readTime:
			skip = d.putTime(b, column, value, date)
		case value >= 0:
			if reason := d.put(b, column, value); reason != "" {
				d.cleared = append(d.cleared, unreadCell{column, value, reason})
			}
		}
	}
	reason := skip
	if match && !deleted && reason == "" {
		for _, cell := range d.cleared {
			t.Unread(record, cell.column.field.col, d.text(cell.column, cell.value), cell.why)
		}
	}
	switch {
	case deleted:
		b.Drop()
		t.Known(deletedRows)
	case !match:
		b.Drop()
		t.Known(d.where.selects.kind)
	case reason != "":
		b.Drop()
		t.Skip(record, reason)
	default:
		b.Next(record)
		t.Row()
	}
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
		d.scratch = c.leaf.appendInt(d.scratch[:0], c.ints[value])
		return d.scratch
	}
	return c.text[span.Begin:span.End]
}

// unitOf returns how many ns a unit of time has.
func unitOf(u format.TimeUnit) int64 {
	switch u.Value.(type) {
	case *format.MilliSeconds:
		return 1e6
	case *format.MicroSeconds:
		return 1e3
	}
	return 1
}

// appendInt appends an integer of the column as text.
func (l *parquetLeaf) appendInt(dst []byte, v int64) []byte {
	switch t := l.logical.(type) {
	case *format.DateType:
		return time.Unix(v*86400, 0).UTC().AppendFormat(dst, time.DateOnly)
	case *format.TimeType:
		return time.Unix(0, v*unitOf(t.Unit)).UTC().AppendFormat(dst, "15:04:05.999999999")
	}
	switch {
	case l.kind == parquet.Boolean:
		return strconv.AppendBool(dst, v != 0)
	case l.unsigned:
		return strconv.AppendUint(dst, uint64(v), 10)
	}
	return strconv.AppendInt(dst, v, 10)
}
