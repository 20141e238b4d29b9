// Package logs decodes log dialects into batches of the canonical tables. A
// dialect is a Format: one file here, one case in testdata, one line in All.
package logs

import (
	"fmt"
	"io"
	"sync"
	"time"

	"outflow/columnar"
)

// A Format decodes one log dialect.
type Format struct {
	Name  string // as in --format, inputs.csv and feeds; lower case
	Title string // a few words, no capital, no period
	Doc   string // what is read, how fields become columns, what to know
	// Tables that the dialect can give rows of.
	Tables []*columnar.Table
	// Lacks are the columns that the dialect can never fill, however it is
	// configured, for the tables in help and docs. What is blind is told by the
	// rows that were read.
	Lacks columnar.Cols
	// Product is whose logs all objects of the dialect are, as Sigma names it:
	// windows, linux, aws. "": anybody's.
	Product string
	// Sniff reports whether an object that begins with head is of the format.
	// head is decompressed, valid UTF-8 where the object is, JSON already one
	// record a line, and cut at any byte.
	Sniff func(head []byte) bool
	// Syslog says that lines are read with their header of syslog, "TIME HOST
	// PROGRAM[PID]: ", or with the time alone. A log that has it in another form,
	// or within a wrapper, gets it in that.
	Syslog bool
	// Outer says that a record may have no time of its own: then Block.Times.
	Outer bool
	// Quoted says that a newline inside double quotes does not end a record.
	Quoted bool
	// Cut, if set, takes the place of cutting at newlines. It returns where in p,
	// which begins with a record, the last whole record ends, and how many there
	// are; end is 0 if more has to be read first. All says that nothing follows p.
	Cut func(p []byte, all bool) (end int, records int64)
	// Header returns the header in force after the whole lines p, when prev was
	// in force before them; prev is nil at the start. Nil Header: no header.
	// The result must not alias p.
	Header func(prev, p []byte) []byte
	// New returns a decoder for one object. An error means that the options or
	// the header do not fit, and ends the object.
	New func(o *Options) (Decoder, error)
	// Split, if set, takes the place of reading the object as lines: it yields
	// the blocks of a binary object. Blocks must not share state that changes.
	Split func(r io.ReaderAt, size int64, o *Options, yield func(*Block) error) error
}

// All lists the formats in the order in which they are tried on an object of
// unknown format, and in which help and docs list them.
var All = []*Format{
	Parquet,
	EVTX,
	Zeek,
	Suricata,
	CoreDNS,
	CloudTrail,
	WinJSON,
	WinXML,
	JSONLines,
	Auditd,
	Dnsmasq,
	BIND,
	Unbound,
	WinDNS,
	Squid,
	CSV,
}

// Named returns the format of that name, or nil.
func Named(name string) *Format {
	for _, f := range All {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// A Decoder turns the blocks of one object into rows. Each worker has its own.
type Decoder interface {
	// Decode puts the rows of b into out and accounts for every record of b in
	// t: as a row, as other (of no canonical table), or skipped with a reason.
	// It keeps nothing of b. An error is about the whole block (the header does
	// not fit) and then no record of it has been counted.
	Decode(b *Block, out *columnar.Out, t *Tally) error
}

// A Block is a run of whole records of one object.
type Block struct {
	Data   []byte  // whole lines; the last may lack its newline at the end of the object
	Header []byte  // header in force where Data begins, see Format.Header
	First  int64   // number of the first record (line, array element) of Data, from 1
	Times  []int64 // for formats with Outer, in µs UTC, what the wrapper of each line says, or NoTime; nil: no wrapper
	Part   any     // what Format.Split made, instead of Data

	// Skipped counts the records that Read could not give to a decoder: those
	// too long or cut off, before Data, and those that do not unwrap, which are
	// blank lines of Data. Data may be empty.
	Skipped []Reason

	buffers *Buffers // where buf goes back to
	buf     []byte
	held    *sync.WaitGroup // counts the blocks that still need their object open
}

// Decode accounts for the whole block in t: for what Read skipped, and by d for
// the rest.
func (b *Block) Decode(d Decoder, out *columnar.Out, t *Tally) error {
	for _, r := range b.Skipped {
		t.Records += r.Count
		t.Skipped += r.Count
		t.because(r)
	}
	if len(b.Data) == 0 && b.Part == nil {
		return nil
	}
	return d.Decode(b, out, t)
}

// Release gives the block's memory back; nothing of the block may be used
// afterwards. It may be called by any goroutine, and again.
func (b *Block) Release() {
	if b.buffers != nil {
		b.buffers.put(b.buf)
		b.buffers, b.buf, b.Data = nil, nil, nil
	}
	if b.held != nil {
		b.held.Done()
		b.held = nil
	}
}

// Options of a decoder. The zero value works for every dialect that describes
// itself.
type Options struct {
	// Mapping names the columns of csv, jsonl and parquet. Nil: by well-known names.
	Mapping *Mapping
	// LogFormat is Squid's logformat directive ("%ts.%03tu %6tr %>a …").
	LogFormat string
	// Zone is where times without a zone were written. Nil: UTC.
	Zone *time.Location
	// Written is when the object was last written. It gives times without a
	// year theirs: the last year that does not put them more than a day after.
	Written time.Time
	// Head is the start of the object, as Sniff sees it.
	Head []byte
	// Outer says that records are wrapped and Block.Times is set, for formats
	// with Outer.
	Outer bool
	// Want is the set of columns that anyone reads. None: all.
	Want columnar.Cols
	// WantFields are the fields, by table, that rules read beside columns.
	WantFields [columnar.NumTables][]string
}

// Location returns the zone of times that name none.
func (o *Options) Location() *time.Location {
	if o.Zone == nil {
		return time.UTC
	}
	return o.Zone
}

// A Tally accounts for every record of an object. A record that holds several
// events (a Suricata DNS event with several queries) counts once for each.
// Records = Rows + Other + Skipped.
type Tally struct {
	Records int64
	Rows    int64
	Other   int64 // sound, but of no canonical table: comments of the dialect's own kind, other event types
	Skipped int64 // malformed
	Masked  int64 // of Rows, those with a DNS name that the dialect does not write as it was asked
	Reasons []Reason
}

// A Reason says why records were skipped.
type Reason struct {
	Text  string // lower case, of a small fixed set per format
	Count int64
	First int64 // number of the first such record
}

func (r Reason) String() string {
	return fmt.Sprintf("%s (%d, first at record %d)", r.Text, r.Count, r.First)
}

// Row counts a record that became a row.
func (t *Tally) Row() { t.Records++; t.Rows++ }

// Pass counts a record that is sound but belongs to no canonical table.
func (t *Tally) Pass() { t.Records++; t.Other++ }

// Skip counts a malformed record.
func (t *Tally) Skip(record int64, reason string) {
	t.Records++
	t.Skipped++
	t.because(Reason{reason, 1, record})
}

func (t *Tally) because(r Reason) {
	for i := range t.Reasons {
		if have := &t.Reasons[i]; have.Text == r.Text {
			have.Count += r.Count
			have.First = min(have.First, r.First)
			return
		}
	}
	t.Reasons = append(t.Reasons, r)
}

// Add adds what u counted.
func (t *Tally) Add(u *Tally) {
	t.Records += u.Records
	t.Rows += u.Rows
	t.Other += u.Other
	t.Skipped += u.Skipped
	t.Masked += u.Masked
	for _, r := range u.Reasons {
		t.because(r)
	}
}
