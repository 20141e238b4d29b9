package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"slices"
	"unsafe"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"outflow/columnar/pages"
)

// Limits of what a file may declare. Memory is allocated for these sizes, so a
// damaged or hostile file must be refused. All limits are far above what a Writer
// makes.
const (
	maxPage       = 64 << 20 // bytes, compressed or not
	maxPageValues = 1 << 20
)

// Texts and lists are allocated together, up to this size. A caller that keeps one
// of them keeps the others alive; a caller that keeps none pays for fewer
// allocations.
const (
	textSlab = 1 << 10 // bytes
	listSlab = 64      // texts
)

// A table is a Parquet file written by a Writer, of this version or an earlier
// one, read as the columns of a row type. Several readers may use it at once.
//
// Note: the library's own row reader takes six times as long. Its files hold half a
// kilobyte for each column of each row group, and those of a month are open at the
// same time. Its encodings are used.
type table struct {
	r       io.ReaderAt
	size    int64 // bytes
	columns []column
	groups  []rowGroup
	rows    int64
}

// A rowGroup says where the rows of a group are. Columns that the file does not
// have are nil.
type rowGroup struct {
	rows   int64
	chunks []pages.Chunk // by column of the table; of size 0 where the file has none
}

// A leaf is a column of a file.
type leaf struct {
	name       string // of the outermost group
	kind       format.Type
	repetition int // the highest repetition level, and then the highest definition level
	definition int
}

// openTable reads the footer of a file of size bytes. Columns that are in the file
// and not in t are left out. Fields that are in t and not in the file stay zero.
func openTable(r io.ReaderAt, size int64, t reflect.Type) (tab *table, err error) {
	defer pages.Recovered("read parquet", &err)
	columns, err := columnsOf(t)
	if err != nil {
		return nil, err
	}
	columns = slices.DeleteFunc(columns, func(c column) bool { return c.scratch })
	meta, err := pages.ReadFooter(r, size)
	if err != nil {
		return nil, fmt.Errorf("read parquet: %w", err)
	}
	leaves, err := leavesOf(meta.Schema)
	if err != nil {
		return nil, fmt.Errorf("read parquet: footer: %w", err)
	}
	at := make([]int, len(columns)) // index in leaves
	for i, c := range columns {
		at[i] = slices.IndexFunc(leaves, func(l leaf) bool { return l.name == c.name })
		if at[i] < 0 {
			continue
		}
		if l := leaves[at[i]]; l != c.leaf() {
			return nil, fmt.Errorf("read parquet: column %s: got %+v, want %+v", c.name, l, c.leaf())
		}
	}
	tab = &table{r: r, size: size, columns: columns, groups: make([]rowGroup, 0, len(meta.RowGroups)), rows: meta.NumRows}
	rows := int64(0)
	for i, g := range meta.RowGroups {
		if len(g.Columns) != len(leaves) || g.NumRows <= 0 {
			return nil, fmt.Errorf("read parquet: row group %d has %d columns and %d rows", i, len(g.Columns), g.NumRows)
		}
		chunks := make([]pages.Chunk, len(columns))
		for k := range columns {
			if at[k] < 0 {
				continue
			}
			if chunks[k] = pages.ChunkOf(&g.Columns[at[k]].MetaData); chunks[k].Size <= 0 {
				return nil, fmt.Errorf("read parquet: row group %d, column %s: no pages", i, columns[k].name)
			}
		}
		tab.groups = append(tab.groups, rowGroup{g.NumRows, chunks})
		rows += g.NumRows
	}
	if rows != meta.NumRows {
		return nil, fmt.Errorf("read parquet: %d rows, but the footer says %d", rows, meta.NumRows)
	}
	return tab, nil
}

// leaf returns the form in which the column is written.
func (c *column) leaf() leaf {
	l := leaf{name: c.name, kind: c.kind}
	if c.list {
		l.repetition, l.definition = 1, 1
	}
	if c.optional {
		l.definition = 1
	}
	return l
}

// leavesOf lists the columns of a schema. A schema is a tree in depth-first order.
func leavesOf(schema []format.SchemaElement) ([]leaf, error) {
	if len(schema) == 0 {
		return nil, errors.New("no schema")
	}
	var leaves []leaf
	next := 1
	const deepest = 100 // no schema of ours has more than three levels
	var walk func(children int32, above leaf, depth int) error
	walk = func(children int32, above leaf, depth int) error {
		for range children {
			if next == len(schema) || depth > deepest {
				return errors.New("the schema is not a tree")
			}
			e := schema[next]
			next++
			l := above
			if l.name == "" {
				l.name = e.Name
			}
			switch e.RepetitionType.V {
			case format.Repeated:
				l.repetition++
				l.definition++
			case format.Optional:
				l.definition++
			}
			if n := e.NumChildren.V; n > 0 {
				if err := walk(n, l, depth+1); err != nil {
					return err
				}
				continue
			}
			l.kind = e.Type.V
			leaves = append(leaves, l)
		}
		return nil
	}
	if err := walk(schema[0].NumChildren.V, leaf{}, 0); err != nil {
		return nil, err
	}
	return leaves, nil
}

// A tableReader reads the rows of a table one after another.
type tableReader struct {
	*table
	cursors []cursor
	group   int   // the next group
	left    int64 // rows of the current group that have not been read

	codec      pages.Codec
	compressed []byte // scratch, as are the next four
	plain      []byte
	bytes      []byte
	offsets    []uint32
	lists      []string // the free part is used for the next lists
}

// A cursor is a position in a column.
type cursor struct {
	*column
	at    int // index in the columns of the table
	pages pages.Reader

	// The page, and how much of it has been read.
	levels, level int      // of a list or an optional column, otherwise of values
	repetition    []uint32 // 1 continues the previous row
	definition    []uint32 // 1 means that there is a value
	value         int
	ints          []int64
	int32s        []int32
	floats        []float64
	strings       []string
	codes         []uint32 // into dictionary, in place of strings
	coded         bool
	dictionary    []string // of the chunk
}

// rowsOf yields the rows of a table, with the columns named only; nil means all. A row is
// valid until the next one; what it refers to stays valid.
func rowsOf[T any](t *table, only []string) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		r := newTableReader(t, only)
		batch := make([]T, batchRows)
		for {
			n, err := r.read(unsafe.Pointer(&batch[0]), unsafe.Sizeof(batch[0]), len(batch))
			if err != nil {
				yield(nil, err)
				return
			}
			if n == 0 {
				return
			}
			for i := range batch[:n] {
				if !yield(&batch[i], nil) {
					return
				}
			}
		}
	}
}

func newTableReader(t *table, only []string) *tableReader {
	r := &tableReader{table: t, cursors: make([]cursor, 0, len(t.columns))}
	for i := range t.columns {
		if only != nil && !slices.Contains(only, t.columns[i].name) {
			continue
		}
		r.cursors = append(r.cursors, cursor{column: &t.columns[i], at: i})
		r.cursors[len(r.cursors)-1].pages.Buffer = &r.compressed
	}
	return r
}

// read fills up to max rows of size bytes each, starting at an address. At the end
// of the table it returns 0.
func (r *tableReader) read(row unsafe.Pointer, size uintptr, max int) (n int, err error) {
	defer pages.Recovered("read parquet", &err)
	if r.left == 0 {
		for i := range r.cursors {
			if c := &r.cursors[i]; c.level != c.levels || r.group > 0 && r.groups[r.group-1].chunks[c.at].Size > 0 && !c.pages.Done() {
				return 0, fmt.Errorf("read parquet: row group %d, column %s: more values than rows", r.group-1, c.name)
			}
		}
		if r.group == len(r.groups) {
			return 0, nil
		}
		g := &r.groups[r.group]
		r.group++
		r.left = g.rows
		for i := range r.cursors {
			c := &r.cursors[i]
			if g.chunks[c.at].Size > 0 {
				c.pages.Open(r.r, r.size, g.chunks[c.at])
			}
			c.dictionary = nil
		}
	}
	n = int(min(int64(max), r.left))
	for i := range r.cursors {
		c := &r.cursors[i]
		if r.groups[r.group-1].chunks[c.at].Size == 0 {
			continue
		}
		if err := r.fill(c, row, size, n); err != nil {
			return 0, fmt.Errorf("read parquet: row group %d, column %s: %w", r.group-1, c.name, err)
		}
	}
	r.left -= int64(n)
	return n, nil
}

// fill reads a column of n rows.
func (r *tableReader) fill(c *cursor, rows unsafe.Pointer, size uintptr, n int) error {
	for done := 0; done < n; {
		// Never a row beyond the last one: the collector must not see such a
		// pointer.
		row := unsafe.Add(rows, uintptr(done)*size+c.offset)
		if c.level == c.levels {
			if err := r.page(c); err != nil {
				return err
			}
		}
		k := 0
		switch {
		case c.list:
			for k < n-done && c.level < c.levels {
				*(*[]string)(unsafe.Add(row, uintptr(k)*size)) = r.list(c)
				k++
			}
		case c.optional:
			for k < n-done && c.level < c.levels {
				var v *float64
				if c.definition[c.level] != 0 {
					v = new(float64)
					*v = c.floats[c.value]
					c.value++
				}
				*(**float64)(unsafe.Add(row, uintptr(k)*size)) = v
				c.level++
				k++
			}
		default:
			k = min(n-done, c.levels-c.level)
			switch c.kind {
			case format.Int32:
				spread(row, size, c.int32s[c.level:c.level+k])
			case format.Int64:
				spread(row, size, c.ints[c.level:c.level+k])
			case format.Double:
				spread(row, size, c.floats[c.level:c.level+k])
			default:
				if c.coded {
					for i, code := range c.codes[c.level : c.level+k] {
						*(*string)(unsafe.Add(row, uintptr(i)*size)) = c.dictionary[code]
					}
				} else {
					spread(row, size, c.strings[c.level:c.level+k])
				}
			}
			c.level += k
		}
		done += k
	}
	return nil
}

// spread writes values into a field of rows that are size bytes apart.
func spread[V any](field unsafe.Pointer, size uintptr, values []V) {
	for i, v := range values {
		*(*V)(unsafe.Add(field, uintptr(i)*size)) = v
	}
}

// page reads the next data page of a column, and a dictionary if one precedes it.
func (r *tableReader) page(c *cursor) error {
	for {
		h, body, err := c.pages.Next()
		if err != nil {
			return err
		}
		switch h.Type {
		case format.DictionaryPage:
			if c.dictionary != nil || c.kind != format.ByteArray || h.DictionaryPageHeader.V.Encoding != format.Plain {
				return errors.New("got a dictionary where none is expected")
			}
			b, err := r.codec.Decompress(c.pages.Codec, &r.plain, body, int(h.UncompressedPageSize))
			if err != nil {
				return err
			}
			c.dictionary, err = r.decodeTexts(nil, b, format.Plain, int(h.DictionaryPageHeader.V.NumValues))
			if err != nil {
				return err
			}
		case format.DataPageV2:
			return r.dataPage(c, h, body)
		default:
			return fmt.Errorf("got a page of type %v, want a data page of version 2", h.Type)
		}
	}
}

// dataPage decodes a page.
func (r *tableReader) dataPage(c *cursor, header *format.PageHeader, body []byte) error {
	h := &header.DataPageHeaderV2.V
	levels, values := int(h.NumValues), int(h.NumValues-h.NumNulls)
	reps, defs := int(h.RepetitionLevelsByteLength), int(h.DefinitionLevelsByteLength)
	if levels <= 0 || levels > maxPageValues || values < 0 || values > levels ||
		reps < 0 || defs < 0 || reps > len(body) || defs > len(body)-reps || int(header.UncompressedPageSize) < reps+defs {
		return fmt.Errorf("a page of %d values, %d of them null", levels, h.NumNulls)
	}
	var err error
	if c.list {
		if c.repetition, err = decodeHybrid(c.repetition, body[:reps], 1, levels); err != nil {
			return fmt.Errorf("repetition levels: %w", err)
		}
		if c.repetition[0] != 0 {
			return errors.New("repetition levels: a row begins on the page before")
		}
	}
	if c.list || c.optional {
		if c.definition, err = decodeHybrid(c.definition, body[reps:reps+defs], 1, levels); err != nil {
			return fmt.Errorf("definition levels: %w", err)
		}
		n := 0
		for _, d := range c.definition {
			n += int(d)
		}
		if n != values {
			return fmt.Errorf("definition levels: %d values, but the page's header says %d", n, values)
		}
	} else if values != levels {
		return fmt.Errorf("%d nulls in a column that has none", h.NumNulls)
	}
	body = body[reps+defs:]
	if compressed, said := h.IsCompressed.Get(); compressed || !said {
		if body, err = r.codec.Decompress(c.pages.Codec, &r.plain, body, int(header.UncompressedPageSize)-reps-defs); err != nil {
			return err
		}
	}
	c.levels, c.level, c.value = 0, 0, 0 // empty, in case it does not decode
	c.coded = false
	switch {
	case c.kind == format.ByteArray && h.Encoding == format.RLEDictionary:
		c.coded = true
		err = c.decodeCodes(body, values)
	case c.kind == format.ByteArray:
		c.strings, err = r.decodeTexts(c.strings, body, h.Encoding, values)
	case c.kind == format.Int64 && h.Encoding == format.DeltaBinaryPacked:
		if err = checkDelta(body, values); err == nil {
			c.ints, err = parquet.DeltaBinaryPacked.DecodeInt64(c.ints[:0], body)
		}
	case h.Encoding != format.Plain:
		err = fmt.Errorf("encoding %v", h.Encoding)
	case c.kind == format.Int32:
		c.int32s, err = decodePlain(c.int32s, body, values)
	case c.kind == format.Int64:
		c.ints, err = decodePlain(c.ints, body, values)
	default:
		c.floats, err = decodePlain(c.floats, body, values)
	}
	if err != nil {
		return err
	}
	c.levels = levels
	return nil
}

// decodePlain decodes numbers stored as in memory, the lowest byte first.
func decodePlain[V int32 | int64 | float64](dst []V, b []byte, n int) ([]V, error) {
	dst = slices.Grow(dst[:0], n)[:n]
	k, err := binary.Decode(b, binary.LittleEndian, dst)
	if err == nil && k != len(b) {
		err = fmt.Errorf("%d bytes are left over", len(b)-k)
	}
	return dst, err
}

// checkDelta checks that a delta-encoded page has n values: the library allocates
// memory for as many as the page declares.
func checkDelta(b []byte, n int) error {
	if total, ok := pages.DeltaCount(b); !ok || total != uint64(n) {
		return fmt.Errorf("%d values, but the page's header says %d", total, n)
	}
	return nil
}

// decodeCodes decodes a page of n codes of the dictionary.
func (c *cursor) decodeCodes(b []byte, n int) (err error) {
	if len(b) == 0 {
		c.codes = c.codes[:0]
		if n > 0 {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if c.codes, err = decodeHybrid(c.codes, b[1:], uint(b[0]), n); err != nil {
		return err
	}
	top := uint32(0)
	for _, code := range c.codes {
		top = max(top, code)
	}
	if n > 0 && int(top) >= len(c.dictionary) {
		return fmt.Errorf("code %d in a dictionary of %d texts", top, len(c.dictionary))
	}
	return nil
}

// decodeHybrid decodes n numbers of width bits.
//
// Note: the library allocates memory for as many numbers as the bytes declare, and
// a few bytes can declare billions.
func decodeHybrid(dst []uint32, b []byte, width uint, n int) ([]uint32, error) {
	h, err := pages.NewHybrid(b, width)
	if err != nil {
		return dst, err
	}
	dst = slices.Grow(dst[:0], n)[:n]
	return dst, h.Read(dst)
}

// decodeTexts decodes n texts.
func (r *tableReader) decodeTexts(dst []string, b []byte, e format.Encoding, n int) ([]string, error) {
	if n < 0 || n > maxPageValues {
		return dst, fmt.Errorf("%d texts", n)
	}
	var err error
	switch e {
	case format.DeltaLengthByteArray:
		if err := checkDelta(b, n); err != nil {
			return dst, err
		}
		r.bytes, r.offsets, err = parquet.DeltaLengthByteArray.DecodeByteArray(r.bytes, b, r.offsets)
	case format.Plain:
		r.bytes, r.offsets, err = parquet.Plain.DecodeByteArray(r.bytes, b, r.offsets)
	default:
		err = fmt.Errorf("encoding %v", e)
	}
	if err == nil && len(r.offsets) != n+1 {
		err = fmt.Errorf("%d texts, but the page's header says %d", len(r.offsets)-1, n)
	}
	if err != nil {
		return dst, err
	}
	dst = slices.Grow(dst[:0], n)
	for i := 0; i < n; {
		// Consecutive texts share an allocation.
		first, j := r.offsets[i], i+1
		for j < n && r.offsets[j+1]-first <= textSlab {
			j++
		}
		slab := string(r.bytes[first:r.offsets[j]])
		for ; i < j; i++ {
			dst = append(dst, slab[r.offsets[i]-first:r.offsets[i+1]-first])
		}
	}
	return dst, nil
}

// list reads the list of one row. It ends where the next row's list begins.
func (r *tableReader) list(c *cursor) []string {
	from := c.value
	for {
		c.value += int(c.definition[c.level])
		if c.level++; c.level == c.levels || c.repetition[c.level] == 0 {
			break
		}
	}
	n := c.value - from
	if n == 0 {
		return nil
	}
	if cap(r.lists)-len(r.lists) < n {
		r.lists = make([]string, 0, max(n, listSlab))
	}
	k := len(r.lists)
	if c.coded {
		for _, code := range c.codes[from:c.value] {
			r.lists = append(r.lists, c.dictionary[code])
		}
	} else {
		r.lists = append(r.lists, c.strings[from:c.value]...)
	}
	return r.lists[k:len(r.lists):len(r.lists)]
}
