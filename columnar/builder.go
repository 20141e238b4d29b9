package columnar

import (
	"math"
	"slices"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// A Builder gathers rows of one table into batches. A decoder sets the cells of
// a row, then commits it with Next or gives it up with Drop. It belongs to one
// goroutine.
type Builder struct {
	table   *Table
	want    Cols
	cols    [NumCols]column
	set     Cols  // cells set in the row being built
	full    bool  // a column has as much text as a batch may have
	renewed int   // the Out.renewed of its dictionaries
	flushed int64 // the Out.rows when it last had rows
	empty   bool  // it gave up its texts since
	rows    int   // rows that a batch has room for
	n       int   // rows committed
	counted int   // rows whose texts are in the columns' known
	first   int64
	recs    []int32
	out     *Out

	// byParent is the code of the domain in the dictionary byParentIn by the
	// code of the parent in byParentOf.
	byParent               []int32
	byParentOf, byParentIn *Dict

	names, lower []Span // scratch

	fields     []field // nil if nobody wants any
	fieldAt    map[string]int
	fieldsSize int // bytes that their dictionaries take

	batchLen int
}

type column struct {
	ints    []int64
	int32s  []int32
	valid   []byte
	codes   []int32
	dict    *Dict
	offsets []int32
	text    []byte
	known   int
}

func newBuilder(t *Table, want Cols, out *Out) *Builder {
	b := &Builder{table: t, want: t.Set() & (want | ColSet(Time)), out: out, renewed: out.renewed}
	for _, c := range t.Cols {
		if c.Kind() == Dictionary {
			b.cols[c].dict = newColumnDict(b.table, c)
		}
	}
	b.makeRoom(firstRows)
	if fields := out.WantFields[t.ID]; len(fields) > 0 {
		b.makeFields(fields)
	}
	return b
}

// firstRows is how many rows the first batch of a builder has at most. A full one is followed by
// one with more room, up to BatchRows: most logs, and the head of any, are small, and room for
// BatchRows takes 2 MB.
const firstRows = BatchRows >> 4

// makeRoom makes room for that many rows, which have no cells.
func (b *Builder) makeRoom(rows int) {
	b.rows, b.recs = rows, make([]int32, rows)
	for _, c := range b.table.Cols {
		col := &b.cols[c]
		switch c.Kind() {
		case Timestamp:
			col.ints = make([]int64, rows)
		case Int64:
			col.ints = make([]int64, rows)
			col.valid = make([]byte, rows/8)
		case Int32:
			col.int32s = make([]int32, rows)
			col.valid = make([]byte, rows/8)
		case Dictionary:
			col.codes = make([]int32, rows)
		case Text:
			col.offsets = make([]int32, rows+1)
		}
	}
	for i := range b.fields {
		if f := &b.fields[i]; f.codes != nil {
			f.codes = make([]int32, rows)
		}
	}
}

func newColumnDict(t *Table, c Col) *Dict {
	d := NewDict()
	d.table = t.ID
	switch {
	case addressColumns.Has(c):
		d.canonical = AppendAddress
	case nameColumns.Has(c):
		d.canonical = AppendName
	case hostColumns.Has(c):
		d.canonical = AppendHost
	}
	return d
}

// Wants reports whether anyone reads the column. Setting one that nobody wants
// is allowed and does nothing.
func (b *Builder) Wants(c Col) bool { return b.want.Has(c) }

// SetTime sets the row's time, in µs UTC.
func (b *Builder) SetTime(us int64) {
	b.cols[Time].ints[b.n] = us
	b.set |= 1 << Time
}

// SetInt sets an Int64 or Int32 cell; a value beyond int32 is cut to its limits
// there.
func (b *Builder) SetInt(c Col, v int64) {
	if !b.want.Has(c) {
		return
	}
	col := &b.cols[c]
	if col.ints != nil {
		col.ints[b.n] = v
	} else {
		col.int32s[b.n] = int32(min(max(v, -1<<31), 1<<31-1))
	}
	b.set |= 1 << c
}

// SetText sets a Dictionary or Text cell. The text is copied.
func (b *Builder) SetText(c Col, v []byte) {
	if !b.want.Has(c) {
		return
	}
	col := &b.cols[c]
	if col.dict != nil {
		col.codes[b.n] = col.dict.Code(v)
		b.full = b.full || col.dict.size() > dictMaxSize
	} else {
		col.text = append(col.text[:col.offsets[b.n]], v...)
		col.offsets[b.n+1] = int32(len(col.text))
		b.full = b.full || len(col.text) > textMaxSize
	}
	b.set |= 1 << c
}

// SetLower sets a Dictionary or Text cell to the text in ASCII lower case, as
// host names are compared.
func (b *Builder) SetLower(c Col, v []byte) {
	if b.want.Has(c) {
		b.SetText(c, b.out.lowered(v))
	}
}

// SetQuery sets the query of a row of the dns table, as it was written but without the
// root dot, and its domain; see Domains.Asked.
func (b *Builder) SetQuery(name []byte) {
	for n := len(name); n > 0 && name[n-1] == '.'; n-- { // one, or what a careless writer adds
		name = name[:n-1]
	}
	b.SetText(Query, name)
	if b.Wants(Domain) {
		domains, name := &b.out.domains, b.out.lowered(name)
		domains.bound()
		parent := parentOf(name, Span{0, uint32(len(name))})
		b.SetCode(Domain, b.domain(domains.parents.Code(name[parent.Begin:]), name))
	}
}

// domain returns the code of the domain of a name, in lower case, given the code
// of its parent: what Domains.Asked returns, asked once per parent.
func (b *Builder) domain(parent int32, name []byte) int32 {
	domains, dict := &b.out.domains, b.cols[Domain].dict
	if b.byParentOf != domains.parents || b.byParentIn != dict {
		b.byParent, b.byParentOf, b.byParentIn = b.byParent[:0], domains.parents, dict
	}
	for int(parent) >= len(b.byParent) {
		b.byParent = append(b.byParent, notAsked)
	}
	code := b.byParent[parent]
	if code == notAsked {
		text := domains.parents.Text(parent)
		code = domains.topLevelOf(text)
		if domain := domains.OfParent(parent); code == wholeName && domain != nil {
			code = dict.Code(domain)
		}
		b.byParent[parent] = code
	}
	switch {
	case code == machineName && !domains.isMachineName(name, domains.parents.Text(parent)):
		code = noDomain
	case code < 0:
		code = dict.Code(name)
	}
	return code
}

// notAsked stands in byParent instead of a code, or what topLevelOf says.
const notAsked = -3

// Dict returns the dictionary of a column, for decoders that work with codes.
// It is replaced between batches when it grows too large.
func (b *Builder) Dict(c Col) *Dict { return b.cols[c].dict }

// SetCode sets a Dictionary cell by its code in Dict(c).
func (b *Builder) SetCode(c Col, code int32) {
	if b.want.Has(c) {
		b.cols[c].codes[b.n] = code
		b.full = b.full || b.cols[c].dict.size() > dictMaxSize
		b.set |= 1 << c
	}
}

// Next commits the row. record is the number of the record it comes from, from
// 1, rising within a block. A row without a time must not be committed.
func (b *Builder) Next(record int64) {
	n := b.n
	for missing := b.want &^ b.set; missing != 0; missing &= missing - 1 {
		c := missing.first()
		col := &b.cols[c]
		switch {
		case col.codes != nil:
			col.codes[n] = 0
		case col.offsets != nil:
			col.text = col.text[:col.offsets[n]]
			col.offsets[n+1] = col.offsets[n]
		case col.ints != nil:
			col.ints[n] = 0
		default:
			col.int32s[n] = 0
		}
	}
	for ints := b.want & b.set & nullable; ints != 0; ints &= ints - 1 {
		col := &b.cols[ints.first()]
		col.valid[n>>3] |= 1 << (n & 7)
		col.known++
	}
	b.set = 0
	if n == 0 {
		b.first = record
	}
	b.recs[n] = int32(record - b.first)
	b.n++
	if b.n == b.rows || b.full || record-b.first > 1<<30 {
		b.flush()
	}
}

// Drop gives up the row being built.
func (b *Builder) Drop() {
	for set := b.set & b.want; set != 0; set &= set - 1 {
		if col := &b.cols[set.first()]; col.offsets != nil {
			col.text = col.text[:col.offsets[b.n]]
		}
	}
	b.set = 0
	b.clearFields(b.n, b.n+1)
}

// A decoder that has many rows at hand can put them column by column, which is
// several times as fast: as many cells into each column that is wanted, then
// NextRows. Room says how many rows may be put; no row may be half built.

// Room returns how many rows may be put before the next NextRows, at least 1.
func (b *Builder) Room() int { return b.rows - b.n }

// Null is an integer that is put for a cell without a value.
const Null = math.MinInt64

// PutTimes sets the time of rows, in µs UTC.
func (b *Builder) PutTimes(us []int64) {
	copy(b.cols[Time].ints[b.n:], us)
	b.set |= 1 << Time
}

// PutInts sets an Int64 or Int32 column of rows, as SetInt.
func (b *Builder) PutInts(c Col, v []int64) {
	if !b.want.Has(c) {
		return
	}
	col := &b.cols[c]
	if col.ints != nil {
		copy(col.ints[b.n:], v)
	} else {
		for i, x := range v {
			col.int32s[b.n+i] = int32(min(max(x, -1<<31), 1<<31-1))
		}
	}
	setBits(col.valid, b.n, b.n+len(v))
	col.known += len(v)
	for i, x := range v {
		if x == Null {
			n := b.n + i
			if col.ints != nil {
				col.ints[n] = 0
			} else {
				col.int32s[n] = 0
			}
			col.valid[n>>3] &^= 1 << (n & 7)
			col.known--
		}
	}
	b.set |= 1 << c
}

// setBits sets the bits from lo to hi of a bitmap.
func setBits(bitmap []byte, lo, hi int) {
	for ; lo < hi && lo&7 != 0; lo++ {
		bitmap[lo>>3] |= 1 << (lo & 7)
	}
	for ; lo+8 <= hi; lo += 8 {
		bitmap[lo>>3] = 0xff
	}
	for ; lo < hi; lo++ {
		bitmap[lo>>3] |= 1 << (lo & 7)
	}
}

// PutTexts sets a Dictionary or Text column of rows: row i has the text of
// spans[i] in data, which is copied.
func (b *Builder) PutTexts(c Col, data []byte, spans []Span) {
	if !b.want.Has(c) {
		return
	}
	col := &b.cols[c]
	if !slices.ContainsFunc(spans, func(s Span) bool { return s.Begin < s.End }) {
		return // as if it was not put
	}
	if col.dict != nil {
		col.dict.Codes(col.codes[b.n:b.n+len(spans)], data, spans)
		b.full = b.full || col.dict.size() > dictMaxSize
	} else {
		ends := col.offsets[b.n+1 : b.n+1+len(spans)]
		text := col.text[:col.offsets[b.n]]
		for i, s := range spans {
			text = append(text, data[s.Begin:s.End]...)
			ends[i] = int32(len(text))
		}
		col.text = text
		b.full = b.full || len(text) > textMaxSize
	}
	b.set |= 1 << c
}

// PutCodes sets a Dictionary column of rows, as SetCode.
func (b *Builder) PutCodes(c Col, codes []int32) {
	if b.want.Has(c) {
		copy(b.cols[c].codes[b.n:], codes)
		b.full = b.full || b.cols[c].dict.size() > dictMaxSize
		b.set |= 1 << c
	}
}

// PutLower sets a Dictionary or Text column of rows, as SetLower.
func (b *Builder) PutLower(c Col, data []byte, spans []Span) {
	if b.want.Has(c) {
		data, spans = b.lowered(data, spans)
		b.PutTexts(c, data, spans)
	}
}

// lowered returns texts in ASCII lower case, valid until the next call.
func (b *Builder) lowered(data []byte, spans []Span) ([]byte, []Span) {
	if !slices.ContainsFunc(spans, func(s Span) bool { return hasCapital(data[s.Begin:s.End]) }) {
		return data, spans
	}
	lower := b.out.lower[:0]
	b.lower = b.lower[:0]
	for _, s := range spans {
		begin := uint32(len(lower))
		lower = AppendLower(lower, data[s.Begin:s.End])
		b.lower = append(b.lower, Span{begin, uint32(len(lower))})
	}
	b.out.lower = lower
	return lower, b.lower
}

// PutQueries sets the query of rows of the dns table, and the domains that go with
// them, as SetQuery.
func (b *Builder) PutQueries(data []byte, names []Span) {
	b.names = append(b.names[:0], names...)
	names = b.names
	for i, s := range names {
		for s.End > s.Begin && data[s.End-1] == '.' {
			s.End--
			names[i].End = s.End
		}
	}
	b.PutTexts(Query, data, names)
	if !b.Wants(Domain) {
		return
	}
	data, names = b.lowered(data, names)
	var parents [64]int32
	col := &b.cols[Domain]
	for at := b.n; len(names) > 0; {
		n := min(len(names), len(parents))
		b.out.domains.Parents(parents[:n], data, names[:n])
		for i, s := range names[:n] {
			col.codes[at+i] = b.domain(parents[i], data[s.Begin:s.End])
		}
		at, names = at+n, names[n:]
	}
	b.full = b.full || col.dict.size() > dictMaxSize
	b.set |= 1 << Domain
}

// NextRows commits the rows that were put, given the numbers of the records that
// they come from.
func (b *Builder) NextRows(records []int64) {
	end := b.n + len(records)
	for missing := b.want &^ b.set; missing != 0; missing &= missing - 1 {
		col := &b.cols[missing.first()]
		switch {
		case col.codes != nil:
			clear(col.codes[b.n:end])
		case col.offsets != nil:
			col.text = col.text[:col.offsets[b.n]]
			for i := b.n; i < end; i++ {
				col.offsets[i+1] = col.offsets[i]
			}
		case col.ints != nil:
			clear(col.ints[b.n:end])
		default:
			clear(col.int32s[b.n:end])
		}
	}
	b.set = 0
	if len(records) == 0 {
		return
	}
	if b.n == 0 {
		b.first = records[0]
	}
	recs := b.recs[b.n:end]
	for i, record := range records {
		recs[i] = int32(record - b.first)
	}
	b.n = end
	b.count() // while they are in the first-level cache
	if b.n == b.rows || b.full || records[len(records)-1]-b.first > 1<<30 {
		b.flush()
	}
}

var nullable = func() (s Cols) {
	for c := range NumCols {
		if c.Kind() >= Int64 {
			s |= 1 << c
		}
	}
	return s
}()

var texts = func() (s Cols) {
	for c := range NumCols {
		if c.Kind() == Dictionary || c.Kind() == Text {
			s |= 1 << c
		}
	}
	return s
}()

func (b *Builder) flush() {
	if b.n == 0 {
		return
	}
	b.count()
	n := b.n
	b.cols[Time].known = n
	b.setAccounts()
	b.batchLen = n
	batch := Batch{Table: b.table, Feed: b.out.Feed, Object: b.out.Object, Origin: b.out.Origin, Lacks: b.out.Lacks, Server: b.out.Server, Deltas: b.out.Deltas, First: b.first, Record: b.recs[:n], b: b}
	b.out.Sink(&batch)
	if batch.rec != nil {
		batch.rec.Release()
	}
	b.n, b.counted = 0, 0
	b.full = false
	renew := b.renewed != b.out.renewed
	b.renewed = b.out.renewed
	for _, c := range b.table.Cols {
		col := &b.cols[c]
		clear(col.valid)
		col.known = 0
		if col.dict != nil && (renew || col.dict.Len() > dictMaxLen || col.dict.size() > dictMaxSize) {
			col.dict = newColumnDict(b.table, c)
		}
		if col.offsets != nil {
			// No cell of a row to come is set, because the batch ends at a committed row.
			col.text = col.text[:0]
		}
	}
	b.clearFields(0, n)
	if n == b.rows && n < BatchRows {
		b.makeRoom(4 * n)
	}
	if renew || b.fieldsSize > fieldsMaxSize {
		b.renewFields()
	}
	b.out.rows += int64(n)
	b.flushed, b.empty = b.out.rows, false
	b.out.idle()
}

// giveUp frees the memory of the texts. Each dictionary is emptied, since a Lookup may hold it,
// and replaced, so that no Lookup takes another one for it.
func (b *Builder) giveUp() {
	b.empty = true
	for _, c := range b.table.Cols {
		col := &b.cols[c]
		if col.dict != nil {
			*col.dict = Dict{}
			col.dict = newColumnDict(b.table, c)
		}
		col.text = nil
	}
	b.byParent, b.byParentOf = nil, nil
	for _, f := range b.fields {
		if f.dict != nil {
			*f.dict = Dict{}
		}
	}
	b.renewFields()
}

// setAccounts sets the account of the rows that name none.
func (b *Builder) setAccounts() {
	col := &b.cols[Account]
	if b.out.Account == "" || !b.want.Has(Account) || col.known == b.n {
		return
	}
	account := col.dict.Code([]byte(b.out.Account))
	for i, code := range col.codes[:b.n] {
		if code == 0 {
			col.codes[i] = account
		}
	}
	col.known = b.n
}

// count counts the texts that are known in the rows since it was last called.
func (b *Builder) count() {
	lo, hi := b.counted, b.n
	b.counted = hi
	for set := b.want & texts; set != 0; set &= set - 1 {
		col := &b.cols[set.first()]
		known := 0
		if col.codes != nil {
			if col.dict.Len() == 1 {
				continue // nothing but ""
			}
			for _, code := range col.codes[lo:hi] {
				known += int(uint32(-code) >> 31) // 1 unless code is 0
			}
		} else {
			ends := col.offsets[lo : hi+1]
			for i, end := range ends[1:] {
				known += int(uint32(ends[i]-end) >> 31) // 1 unless it is empty
			}
		}
		col.known += known
	}
}

func (b *Builder) record() arrow.Record {
	n := b.batchLen
	arrays := make([]arrow.Array, len(b.table.Cols))
	for i, c := range b.table.Cols {
		arrays[i] = b.cols[c].arrow(c.Kind(), n)
	}
	rec := array.NewRecord(b.table.Schema(), arrays, int64(n))
	for _, a := range arrays {
		a.Release()
	}
	return rec
}

func (col *column) arrow(k Kind, n int) arrow.Array {
	data := func(t arrow.DataType, n int, buffers ...*memory.Buffer) *array.Data {
		return array.NewData(t, n, buffers, nil, 0, 0)
	}
	nulls := func(t arrow.DataType, values *memory.Buffer) arrow.Array {
		return array.MakeFromData(array.NewData(t, n, []*memory.Buffer{memory.NewBufferBytes(col.valid[:(n+7)/8]), values}, nil, n-col.known, 0))
	}
	switch k {
	case Timestamp:
		return array.MakeFromData(data(arrowType(k), n, nil, bufferOf(col.ints[:n])))
	case Int64:
		return nulls(arrowType(k), bufferOf(col.ints[:n]))
	case Int32:
		return nulls(arrowType(k), bufferOf(col.int32s[:n]))
	case Text:
		return array.MakeFromData(data(arrowType(k), n, nil, bufferOf(col.offsets[:n+1]), memory.NewBufferBytes(col.text)))
	}
	d := col.dict
	values := array.MakeFromData(data(arrow.BinaryTypes.String, d.Len(), nil, bufferOf(d.ends), memory.NewBufferBytes(d.arena)))
	defer values.Release()
	codes := array.MakeFromData(data(arrow.PrimitiveTypes.Int32, n, nil, bufferOf(col.codes[:n])))
	defer codes.Release()
	return array.NewDictionaryArray(arrowType(k), codes, values)
}

// bufferOf views integers as an Arrow buffer.
func bufferOf[T int32 | int64](s []T) *memory.Buffer {
	var zero T
	return memory.NewBufferBytes(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(zero))))
}
