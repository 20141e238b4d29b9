package logs

import (
	"bytes"
	"slices"
	"strings"

	"outflow/columnar/scan"
)

// What a query answers: each row becomes an object of the columns that its names say, as a line of JSON. Rows
// go by one after another where the names stand before them. Rows before their names are held, and so are
// columns: a row has a value in each, so the first row is complete only when the last column begins.

// maxHeld is how much of an answer is held, in bytes: rows until their names come, or columns. Engines hand out
// pages that are smaller. Rows before names that are further behind are skipped.
const maxHeld = 4 * MaxRecord

// misfitRow stands for a row that became no record. Decoders skip it; see notObject.
const misfitRow = "[?]\n"

// queryColumns are the columns of an answer.
type queryColumns struct {
	tableHead
	names []string
	inner [][]byte // the fields of the records in a column, as BigQuery writes them; nil: none
}

func newQueryColumns(names []string) *queryColumns {
	c := &queryColumns{names: names}
	c.name(names)
	return c
}

// A query is what a batchReader knows of the answer at hand.
type query struct {
	columns *queryColumns // that the next row has; nil: they are not known yet
	depth   int           // how many brackets were open where columns were named
	last    *queryColumns // those of the answer before, and of the frame before
	types   bool          // the names were a row, and types may follow

	held     []byte        // rows that wait for their names, a line each
	settled  bool          // the rows of this answer wait no longer
	pending  []byte        // rows that are handed on next, a line each
	as       *queryColumns // of these, and of vertical
	vertical []scan.Walker // columns, whose rows are handed on next

	row     queryCells
	own     *queryColumns // of rows that name their columns
	cellOf  func(dst []byte, m *tableNode) []byte
	of      *queryColumns // those that cellOf reads
	broken  bool          // a value that it has read
	scratch []byte
	kind    []byte // what a table of Kusto says that it is
	aside   int    // how many brackets are open in one that is about the query; 0: none is
}

// waits reports whether rows are handed on before more is read.
func (q *query) waits() bool { return len(q.pending) > 0 || len(q.vertical) > 0 }

// A queryCells is the values of a row.
type queryCells struct {
	cells   []scan.Value // nil: null
	names   []string     // of values that name their column
	objects bool         // values are in objects that say their type
	scratch []byte
}

// read reads the values of a row, and reports whether it is one: an array, or an object with nothing but an
// array of values in objects.
func (r *queryCells) read(row scan.Value) bool {
	r.cells, r.names, r.objects = r.cells[:0], r.names[:0], false
	wrapped := row.Is('{')
	var w scan.Walker
	if w.Open(row); wrapped {
		if !w.Next() || !w.Val.Is('[') {
			return false
		}
		inner := w.Val
		if w.Next() || !w.DoneObject() {
			return false
		}
		w.Open(inner)
	}
	if !w.InArray() {
		return false
	}
	for w.Next() {
		if len(r.cells) == maxColumns {
			return false
		}
		v := w.Val
		switch {
		case v.Is('{'):
			v = r.object(v)
			if wrapped && !r.objects {
				return false
			}
		case wrapped:
			return false
		}
		if v.Is('n') {
			v = nil
		}
		r.cells = append(r.cells, v)
	}
	return w.Done() && len(r.cells) > 0 && (!wrapped || r.objects)
}

// object returns what an object in a row says: {"stringValue":"a"}, {"v":"a"}, {"isNull":true}, {}, or the
// value beside the name of its column; else it is the value itself.
func (r *queryCells) object(v scan.Value) scan.Value {
	var w scan.Walker
	w.Open(v)
	if !w.Next() {
		r.objects = true
		return nil
	}
	key, inner := strings.ToLower(string(w.Key)), w.Val
	if w.Next() {
		if field, value := memberOf(v, "field"), memberOf(v, "value"); field.Is('"') && value != nil {
			r.objects = true
			r.names = append(r.names, string(field.Text(&r.scratch)))
			return value
		}
		return v
	}
	switch {
	case key == "isnull", key == "nullvalue", key == "null":
		inner = nil
	case key != "v" && !strings.HasSuffix(key, "value"):
		return v
	}
	r.objects = true
	return inner
}

// header returns the values of a row as names of columns, nil if they are none.
func (r *queryCells) header() (names []string) {
	r.scratch = r.scratch[:0]
	for _, v := range r.cells {
		if !v.Is('"') {
			return nil
		}
		name := string(v.Text(&r.scratch))
		if name == "" || notColumn(name) || slices.Contains(names, name) {
			return nil
		}
		names = append(names, name)
	}
	if len(names) < 2 {
		return nil
	}
	return names
}

// says reports whether the values of a row are these texts.
func (r *queryCells) says(texts []string) bool {
	if len(r.cells) != len(texts) {
		return false
	}
	r.scratch = r.scratch[:0]
	for i, v := range r.cells {
		if !v.Is('"') || string(v.Text(&r.scratch)) != texts[i] {
			return false
		}
	}
	return true
}

// typeWords begin the names of the types of columns, in lower case.
var typeWords = []string{"string", "text", "char", "varchar", "fixedstring", "int", "uint", "integer", "bigint", "smallint", "tinyint", "long", "short", "float", "double", "real", "decimal", "numeric",
	"bool", "date", "time", "interval", "uuid", "ipv4", "ipv6", "nullable", "lowcardinality", "array", "map", "tuple", "struct", "row", "json", "object", "dynamic", "binary", "varbinary", "bytes", "enum", "complex", "variant"}

// areTypes reports whether the values of a row are types of columns.
func (r *queryCells) areTypes() bool {
	r.scratch = r.scratch[:0]
	for _, v := range r.cells {
		if v == nil {
			continue // a type that is not known
		}
		name := strings.ToLower(string(v.Text(&r.scratch)))
		if !v.Is('"') || !slices.ContainsFunc(typeWords, func(word string) bool { return strings.HasPrefix(name, word) }) {
			return false
		}
	}
	return true
}

// beginQuery begins an object or array of an answer.
func (b *batchReader) beginQuery(bracket byte) {
	f, depth := b.query, len(b.open)
	at := b.keyed && string(b.key) == f.rows
	if f.rows == "" {
		at = depth == 0
	}
	switch {
	case b.answer.aside > 0:
		b.within = b.within || at
	case at && f.kind == rowsAlone && bracket == '[':
		b.take(takeRow)
		b.within = true
	case at && (f.kind == columnsListed && bracket == '[' || f.kind == columnsNamed && bracket == '{'):
		b.take(takeColumns)
		b.within = true
	case at && (f.kind == rowsListed && bracket == '[' || f.kind == rowsNumbered && bracket == '{'):
		b.array, b.within = depth+1, true
	case f.kind.hasNames() && bracket == '[' && b.keyed && (string(b.key) == f.names || f.names == "" && saysNames(string(b.key))):
		b.take(takeNames)
	}
}

// named notes the names of columns.
func (b *batchReader) named(array []byte) {
	q := &b.answer
	names := columnNames(array)
	if names == nil {
		return
	}
	if q.columns = q.last; q.last == nil || !slices.Equal(q.last.names, names) || q.last.inner != nil {
		q.columns = newQueryColumns(names)
	}
	q.depth, q.types = len(b.open), false
	i := 0
	var w scan.Walker
	for w.Open(array); w.Next(); i++ {
		if inner := memberOf(w.Val, "fields"); inner.Is('[') {
			if q.columns.inner == nil {
				q.columns.inner = make([][]byte, len(names))
			}
			q.columns.inner[i] = bytes.Clone(inner)
		}
	}
	b.release(q.columns)
}

// left ends what was named in an object or array that was left, around which depth brackets are open. Rows that
// still wait have the names of the answer before, as the fragments of a table and later pages do, or
// the first one has them.
func (b *batchReader) left(depth int) {
	q := &b.answer
	if len(q.held) > 0 && (q.last != nil || depth == 0) {
		b.release(q.last)
	}
	if q.columns != nil && q.depth > depth {
		q.last, q.columns = q.columns, nil
	}
	if depth < q.aside {
		q.aside = 0
	}
	if depth == 0 {
		q.settled = false
	}
}

// release hands on what is held as rows of columns; nil: those that the first row names.
func (b *batchReader) release(columns *queryColumns) {
	q := &b.answer
	q.pending, q.held, q.as = q.held, q.pending[:0], columns
}

// queryRow hands on a row, or holds it.
func (b *batchReader) queryRow(row []byte) {
	q := &b.answer
	if b.query.kind == rowsNumbered || b.query.records && row[0] == '{' {
		b.record(append(b.out, row...), row[0] == '{' && isJSON(row))
		return
	}
	columns := q.columns
	if columns == nil {
		if !q.row.read(row) {
			b.misfit()
			return
		}
		switch names := q.row.header(); {
		case len(q.row.names) > 0 || q.settled:
			columns = q.last
		case b.array > 1: // names may come
			q.held = append(append(q.held, row...), '\n')
			flatten(q.held[len(q.held)-1-len(row) : len(q.held)-1])
			if len(q.held) > maxHeld {
				q.settled = true
				b.release(q.last)
			}
			return
		case names != nil && (q.last == nil || !slices.Equal(q.last.names, names)):
			q.columns, q.depth, q.types = newQueryColumns(names), len(b.open), true
			return
		default:
			columns = q.last
			q.columns, q.depth = columns, len(b.open)
		}
	}
	b.values(row, columns)
}

// values hands on the values of a row of columns. nil: those that it names itself.
func (b *batchReader) values(row []byte, c *queryColumns) {
	q := &b.answer
	r := &q.row
	r.scratch = r.scratch[:0]
	if !r.read(row) {
		b.misfit()
		return
	}
	if len(r.names) == len(r.cells) {
		if q.own == nil || !slices.Equal(q.own.names, r.names) {
			q.own = newQueryColumns(slices.Clone(r.names))
		}
		c = q.own
	}
	switch {
	case c == nil || len(r.cells) != len(c.names):
		b.misfit()
	case r.says(c.names): // the first row of a page
		q.types = true
	case q.types && r.areTypes():
	default:
		q.types = false
		b.object(c)
	}
}

// object hands on the values at hand as an object.
func (b *batchReader) object(c *queryColumns) {
	q := &b.answer
	if q.cellOf == nil {
		q.cellOf = q.cell
	}
	q.of, q.broken, q.scratch = c, false, q.scratch[:0]
	out := append(c.object(append(b.out, '{'), &c.root, q.cellOf), '}')
	b.record(out, !q.broken)
}

// cell appends the value of a column, nothing if it is null.
func (q *query) cell(dst []byte, m *tableNode) []byte {
	v := q.row.cells[m.column]
	if q.of.inner != nil && q.of.inner[m.column] != nil && v != nil {
		if out := appendCell(dst, q.of.inner[m.column], v, 0); out != nil {
			return out
		}
		q.broken = true
		return dst
	}
	switch {
	case v == nil:
		return dst
	case v.Is('"'):
		return m.value(dst, v.Text(&q.scratch))
	case v.Is('{'), v.Is('['):
		q.broken = q.broken || !isJSON(v)
	}
	return append(dst, v...)
}

// misfit hands on a line for a row without a name for each value.
func (b *batchReader) misfit() { b.out = append(b.out, misfitRow...) }

// columns hands on an answer that has columns for rows.
func (b *batchReader) columns(value []byte) {
	q := &b.answer
	var names []string
	var w scan.Walker
	q.vertical = q.vertical[:0]
	for w.Open(value); w.Next() && len(q.vertical) <= maxColumns; {
		names = append(names, string(w.Key))
		q.vertical = append(q.vertical, scan.Walker{})
		q.vertical[len(q.vertical)-1].Open(w.Val)
	}
	q.as = q.columns
	if b.query.kind == columnsNamed {
		q.as = newQueryColumns(names)
	}
	switch {
	case b.long || !w.Done() || q.as == nil || len(q.as.names) != len(q.vertical):
		q.vertical = q.vertical[:0]
		b.misfit()
	}
}

// hand hands on the next row of those that wait.
func (b *batchReader) hand() {
	q := &b.answer
	if len(q.vertical) > 0 {
		b.across()
		return
	}
	var row []byte
	if row, q.pending = scan.CutLine(q.pending); q.as == nil && q.row.read(row) && len(q.row.names) == 0 {
		q.as = newQueryColumns(q.row.header())
		if q.last = q.as; len(q.as.names) > 0 {
			return
		}
	}
	b.values(row, q.as)
}

// across hands on the next row of columns, which end together.
func (b *batchReader) across() {
	q := &b.answer
	ended := 0
	q.row.cells = q.row.cells[:0]
	for i := range q.vertical {
		w := &q.vertical[i]
		var v scan.Value
		if !w.Next() {
			ended++
		} else if !w.Val.Is('n') {
			v = w.Val
		}
		q.row.cells = append(q.row.cells, v)
	}
	switch {
	case ended == 0:
		b.object(q.as)
		return
	case ended < len(q.vertical):
		b.misfit()
	}
	q.vertical = q.vertical[:0]
}

// says notes what a member of an answer says, or the next part of that.
func (q *query) says(key, text []byte) {
	if string(key) == "TableKind" && len(q.kind) < maxKeyLen {
		q.kind = append(q.kind, text...)
	}
}

// said ends what a member says. Beside its result, Kusto answers with tables about the query.
func (q *query) said(depth int) {
	if len(q.kind) > 0 && string(q.kind) != "PrimaryResult" {
		q.aside = depth
	}
	q.kind = q.kind[:0]
}

// appendRecord appends what BigQuery's API writes as {"f":[{"v":…},…]}, by the fields of its schema.
// Without a schema, and where records are too deep in each other, it is nil.
func appendRecord(dst, fields, record []byte, depth int) []byte {
	if depth > scan.MaxDepth {
		return nil
	}
	var names, cells scan.Walker
	names.Open(fields)
	cells.Open(memberOf(record, "f"))
	dst = append(dst, '{')
	for n := 0; names.InArray() && names.Next(); n++ {
		name := memberOf(names.Val, "name")
		if !name.Is('"') || !cells.InArray() || !cells.Next() {
			return nil
		}
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, name...), ':')
		if dst = appendCell(dst, memberOf(names.Val, "fields"), memberOf(cells.Val, "v"), depth); dst == nil {
			return nil
		}
	}
	if !names.Done() || cells.Next() || !cells.Done() {
		return nil
	}
	return append(dst, '}')
}

// appendCell appends the value of a column: a record if it has fields, or an array of such.
func appendCell(dst, fields []byte, value scan.Value, depth int) []byte {
	switch {
	case depth > scan.MaxDepth:
		return nil
	case value == nil:
		return append(dst, "null"...)
	case value.Is('['):
		var w scan.Walker
		dst = append(dst, '[')
		w.Open(value)
		for n := 0; w.Next(); n++ {
			if n > 0 {
				dst = append(dst, ',')
			}
			if dst = appendCell(dst, fields, memberOf(w.Val, "v"), depth+1); dst == nil {
				return nil
			}
		}
		return append(dst, ']')
	case value.Is('{'):
		return appendRecord(dst, fields, value, depth+1)
	}
	return append(dst, value...)
}
