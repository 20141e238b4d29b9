package columnar

import "github.com/apache/arrow/go/v17/arrow"

// BatchRows is the most rows a Batch has. More would push the columns out of
// the second-level cache; fewer would make the cost per batch visible.
const BatchRows = 1 << 14

// A dictionary that outgrows one of these is replaced by an empty one at the
// end of its batch, so that a column of ever new texts does not grow memory. A
// column of texts that outgrows its limit ends the batch, long before Arrow's
// 32-bit offsets do.
const (
	dictMaxLen  = 1 << 18
	dictMaxSize = 8 << 20 // bytes
	textMaxSize = 8 << 20 // bytes
)

// A Batch is up to BatchRows rows of one canonical table, all of one log
// object and feed. It is an Arrow record plus what Arrow has no place for: where
// each row came from. A column that was not asked for or that the dialect lacks
// is all "" or all null, so a reader needs no case for it.
//
// A batch and all that it hands out are valid until the sink returns.
type Batch struct {
	Table  *Table
	Feed   string
	Object string
	// Origin, Lacks, Server and Deltas describe the source, see Out.
	Origin
	Lacks  Cols
	Server bool
	Deltas bool
	// First is the number of the first row's record in the object, from 1, and
	// Record[i] how many records further row i is.
	First  int64
	Record []int32
	// Places, if not nil, says of each row where it comes from. Then Object, First and
	// Record do not. Objects has the names.
	Places  []Place
	Objects *Dict
	// Repeat, if not nil, marks rows whose event was met before, in this or another
	// object (at-least-once delivery). They must not be counted
	// or added up again. Which copy is marked may differ from run to run.
	Repeat Bitmap

	rec arrow.Record
	b   *Builder
}

// A Bitmap has a bit for each row, least significant bit first, as in Arrow.
type Bitmap []byte

// Bit returns the bit of a row: 1 if it is set.
func (b Bitmap) Bit(row int) byte { return b[row>>3] >> (row & 7) & 1 }

// A Place is where a row comes from: the code of an object, and a record of it, from 1.
type Place struct {
	Object int32
	Record int64
}

// Len returns the number of rows.
func (b *Batch) Len() int { return b.b.batchLen }

// Repeats reports whether a row is marked in Repeat.
func (b *Batch) Repeats(row int) bool { return b.Repeat != nil && b.Repeat.Bit(row) != 0 }

// Arrow returns the batch as an Arrow record with the table's schema, without
// copying a value. The record must be released, and a copy made of what is kept
// beyond the batch.
func (b *Batch) Arrow() arrow.Record {
	if b.rec == nil {
		b.rec = b.b.record()
	}
	b.rec.Retain()
	return b.rec
}

// Int64 returns the values of an Int64 or Timestamp column. A null's value is 0,
// and so is that of a column which the table does not have.
func (b *Batch) Int64(c Col) []int64 {
	if ints := b.b.cols[c].ints; ints != nil {
		return ints[:b.Len()]
	}
	return noInts[:b.Len()]
}

// Int32 returns the values of an Int32 column. A null's value is 0.
func (b *Batch) Int32(c Col) []int32 { return b.b.cols[c].int32s[:b.Len()] }

// Valid returns, for a nullable column, which rows have a value.
func (b *Batch) Valid(c Col) Bitmap {
	if valid := b.b.cols[c].valid; valid != nil {
		return valid
	}
	return noValid[:]
}

// Known returns how many rows have a value in c: not null, not "".
func (b *Batch) Known(c Col) int { return b.b.cols[c].known }

// Codes returns a Dictionary column: a code for each row, and the texts.
func (b *Batch) Codes(c Col) ([]int32, *Dict) {
	col := &b.b.cols[c]
	return col.codes[:b.Len()], col.dict
}

// Texts returns a Text column: row i is text[offsets[i]:offsets[i+1]].
func (b *Batch) Texts(c Col) (offsets []int32, text []byte) {
	col := &b.b.cols[c]
	return col.offsets[:b.Len()+1], col.text
}

// Domains returns the registered domains that the worker of the batch remembers: what the sink
// looks up is what a decoder has, or the sink did for another log.
func (b *Batch) Domains() *Domains { return &b.b.out.domains }

// What a column that the table does not have looks like. Never written.
var (
	noInts  [BatchRows]int64
	noValid [BatchRows / 8]byte
)

// An Origin says whose log a source is, as Sigma names it: a product (windows, linux,
// aws), and a service of it (auditd, cloudtrail). "" stands for any, as in logs whose
// origin is not known.
type Origin struct{ Product, Service string }

// Fits reports whether what is meant for logs of origin p may apply to a log of origin o.
func (o Origin) Fits(p Origin) bool {
	one := func(a, b string) bool { return a == "" || b == "" || a == b }
	return one(o.Product, p.Product) && one(o.Service, p.Service)
}

// An Out is where one worker's decoders put their rows: a Builder for each
// table, kept over objects so that dictionaries are too.
type Out struct {
	// Want is the set of columns that anyone reads, WantOf and WantServed those that
	// are read in addition, see Wanted. Set them before the first Table.
	Want       Cols
	WantOf     [NumTables]Cols
	WantServed Cols
	// WantFields names, by table, what else is read of the events, beside the
	// columns; WantEvents says which events that no other table holds are read. Set
	// them before the first Table.
	WantFields [NumTables]WantedFields
	WantEvents []EventKind
	// Sink takes the batches. Set it before the first Table.
	Sink func(*Batch)
	// Answer, if not nil, takes DNS answers that a log has in records of their own, which
	// are not rows: the time in µs UTC, the client, the name asked for, and the answers as
	// the column Answers has them. It is called once for each such record. The texts are
	// valid until it returns.
	Answer func(us int64, client, name, answers []byte)
	// Feed and Object name the source of the rows to come; call Flush before
	// changing them.
	Feed, Object string
	// Origin says whose log the source is, and Lacks which columns its dialect cannot fill.
	// They change with Feed and Object; a decoder of logs of several origins calls Flush
	// before it changes Origin.
	Origin
	Lacks Cols
	// Server says that the source is the log of a server of the company's own, whose clients
	// may be anybody: what they sent to it has not left. It changes with Feed and Object.
	Server bool
	// Deltas says that the bytes of rows with one uid add up. Otherwise they are totals so far.
	Deltas bool
	// Account is the account of rows whose records name none. It changes with Feed and
	// Object.
	Account string

	builders [NumTables]*Builder
	served   *Builder // of http, for Server
	renewed  int      // how often Renew was called
	rows     int64    // handed to the sink
	domains  Domains
	lower    []byte
	events   eventsWanted
}

func (o *Out) lowered(text []byte) []byte { return Lower(text, &o.lower) }

// Table returns the builder of a table.
func (o *Out) Table(t *Table) *Builder {
	at, more := &o.builders[t.ID], o.WantOf[t.ID]
	if o.Server && t == HTTP && o.WantServed != 0 {
		at, more = &o.served, more|o.WantServed
	}
	if *at == nil {
		*at = newBuilder(t, o.Want|more, o)
	}
	return *at
}

// each yields the builders.
func (o *Out) each(yield func(*Builder) bool) {
	for _, b := range o.builders {
		if b != nil && !yield(b) {
			return
		}
	}
	if o.served != nil {
		yield(o.served)
	}
}

// Renew replaces the dictionaries of each builder by empty ones at the end of its batch. A
// Lookup takes in all texts of a dictionary, so a sink that forgets texts to free their
// memory would get them all back with the next batch. The sink may call it.
func (o *Out) Renew() { o.renewed++ }

// idleRows is how many rows the sink gets without one of a table before the texts of that
// table are given up. With more, a night's first logs are held in memory while the largest is
// read; with fewer, logs that are read in turn are numbered again and again.
const idleRows = 1 << 18

// idle gives up the texts of the tables whose logs seem to be read.
func (o *Out) idle() {
	for b := range o.each {
		if !b.empty && b.n == 0 && b.set == 0 && o.rows-b.flushed >= idleRows {
			b.giveUp()
		}
	}
}

// Flush hands every row that is still held to the sink.
func (o *Out) Flush() {
	for b := range o.each {
		b.flush()
	}
}
