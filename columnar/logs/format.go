// Package logs decodes log dialects into batches of the canonical tables. A
// dialect is a Format: one file here, one case in testdata, one line in All.
package logs

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// A Format decodes one log dialect.
type Format struct {
	Name  string // as in --format, inputs.csv and feeds; lower case
	Title string // a few words, no capital, no period
	Doc   string // what is read, how fields become columns, what to know
	// Tables that the dialect can give rows of.
	Tables []*columnar.Table
	// Lacks are the columns that the dialect can never fill, however it is configured,
	// for the tables in help and docs. The rows that were read decide what is blind.
	Lacks columnar.Cols
	// Answers says that it tells DNS answers apart from the rows, see columnar.Out.
	Answers bool
	// Remedies say what would make the logs fill a column that none of them fills. The
	// first that is for the column counts. None: nothing would, as far as is known.
	Remedies []Remedy
	// Masks says how the dialect writes the DNS names that Tally.Masked counts, and what
	// is then known about them. It continues a sentence that ends in "does not write as
	// they were asked, but". "": the dialect writes all names as they were asked.
	Masks string
	// Server says that the log is one of a server of the company's own, see columnar.Out.
	Server bool
	// Deltas says that bytes of records with one uid add up, see columnar.Out.
	Deltas bool
	// Vendor is the source that the format is made of; nil: the dialect is Go.
	Vendor *Source
	// Objects reads records of the same names that are objects of JSON, as queries and pipelines hand
	// tables on. Nil: there are none such.
	Objects *Format
	// Origins are the services that write the dialect. None: any may. Where there are
	// several, the decoder names each event's.
	Origins []columnar.Origin
	// Sniff reports whether an object that begins with head has the format.
	// head is decompressed, valid UTF-8 where the object is, JSON already one
	// record a line, and cut at any byte.
	Sniff func(head []byte) bool
	// SniffInside, if set, takes the place of Sniff for what is inside a wrapper:
	// records that have no time of their own are recognised, too.
	SniffInside func(head []byte) bool
	// Leaves, if set, says that rows of a Parquet file can be records of the dialect, and
	// reports whether those of one whose columns have these names are.
	Leaves func(names []string) bool
	// Syslog says that lines are read with their header of syslog, "TIME HOST
	// PROGRAM[PID]: ", or with the time alone. A log that has it in another form,
	// or within a wrapper, gets it in that.
	Syslog bool
	// Shared says that lines of other programs may stand among its own, as in the log of a
	// machine, which are counted as otherProgram.
	Shared bool
	// Outer says that a record inside a wrapper needs no time of its own: see Block.Times.
	Outer bool
	// Generic says that records of any names are read: a wrapper looks like a record.
	Generic bool
	// Quoted says that a newline inside double quotes does not end a record.
	Quoted bool
	// Cut, if set, takes the place of cutting at newlines. It returns where in p,
	// which begins with a record, the last whole record ends, and how many there
	// are; end is 0 if more has to be read first. All says that nothing follows p.
	Cut func(p []byte, all bool) (end int, records int64)
	// Header returns the header in force after the whole lines p, when prev was
	// in force before them; prev is nil at the start. Nil Header: no header.
	// The result must not alias p, and is prev itself only if p has no header.
	Header func(prev, p []byte) []byte
	// New returns a decoder for one object. An error means that the options or
	// the header do not fit, and ends the object.
	New func(o *Options) (Decoder, error)
	// Split, if set, takes the place of reading the object as lines: it yields
	// the blocks of a binary object. Blocks must not share state that changes.
	Split func(r io.ReaderAt, size int64, o *Options, yield func(*Block) error) error
}

// All returns the formats in the order in which they are tried on an object of unknown
// format, and in which help and docs list them: the dialects that are recognised by
// what no other log has, vendors' logs, and those that hold records of any names.
func All() Formats { return all() }

var all = sync.OnceValue(func() Formats {
	formats := slices.Clone(particular)
	for _, v := range vendors() {
		formats = append(formats, v.whole())
	}
	return append(formats, general...)
})

// Formats are formats in the order in which they are tried on an object; nil stands for
// All. What it has of a vendor is compiled when a log of it is met or asked for.
type Formats []*Format

// first returns the first format for which is returns true, nil if there is none. Of a
// format, is may use only its name, Syslog and what recognises its logs: Sniff, SniffInside and Leaves.
// Before those that read records of any names, tables of sources are tried as objects.
func (f Formats) first(is func(*Format) bool) *Format {
	if f != nil {
		found := firstOf(f, is)
		if found == nil || found.Generic {
			for _, table := range f {
				if table.Objects != nil && is(table.Objects) {
					return table.Objects
				}
			}
		}
		return found
	}
	if found := firstOf(particular, is); found != nil {
		return found
	}
	for _, v := range vendors() {
		if is(v.outline) {
			return v.whole()
		}
	}
	for _, v := range vendors() {
		if v.outline.Objects != nil && is(v.outline.Objects) {
			return v.whole().Objects
		}
	}
	return firstOf(general, is)
}

func firstOf(formats []*Format, is func(*Format) bool) *Format {
	if i := slices.IndexFunc(formats, is); i >= 0 {
		return formats[i]
	}
	return nil
}

// Named returns the format of that name, or nil.
func (f Formats) Named(name string) *Format {
	if f == nil {
		return Named(name)
	}
	return firstOf(f, func(f *Format) bool { return f.Name == name })
}

// With returns the formats with sources of the user's: they are tried first, and take the
// place of those of the same names.
func (f Formats) With(sources []*Format) Formats {
	switch {
	case len(sources) == 0:
		return f
	case f == nil:
		f = All()
	}
	return append(slices.Clone(sources), slices.DeleteFunc(slices.Clone(f), func(have *Format) bool {
		return Formats(sources).Named(have.Name) != nil
	})...)
}

var particular = []*Format{
	Parquet,
	EVTX,
	Zeek,
	Suricata,
	CoreDNS,
	CloudTrail,
	WinJSON,
	WinXML,
	Auditd,
	Dnsmasq,
	BIND,
	Unbound,
	WinDNS,
	Squid,
}

var general = []*Format{
	JSONLines,
	W3C,
	VPCFlow,
	CSV,
}

// A Remedy is what a user can do so that a column is filled.
type Remedy struct {
	Columns columnar.Cols // the columns that it is for; none: any
	Text    string        // a sentence; COLUMN stands for the column's name
}

// Remedy returns what would make the logs fill a column, "" if the dialect knows
// nothing.
func (f *Format) Remedy(c columnar.Col) string {
	for _, r := range f.Remedies {
		if r.Columns == 0 || r.Columns.Has(c) {
			return strings.ReplaceAll(r.Text, "COLUMN", c.String())
		}
	}
	return ""
}

// Origin returns whose logs all objects of the dialect are; the zero value if that is not
// known of all alike.
func (f *Format) Origin() columnar.Origin {
	if len(f.Origins) == 1 {
		return f.Origins[0]
	}
	return columnar.Origin{}
}

// readsObjects reports whether records of one dialect are JSON objects, which tell themselves from a
// wrapper of such by their keys.
func (f *Format) readsObjects() bool {
	return f != nil && !f.Generic && (f == CloudTrail || f == Suricata || f.Vendor != nil && f.Vendor.Container == jsonContainer.name)
}

// Fits reports whether an object of the dialect may come from an origin.
func (f *Format) Fits(o columnar.Origin) bool {
	return len(f.Origins) == 0 || slices.ContainsFunc(f.Origins, o.Fits)
}

// Named returns the format of All of that name, or nil.
func Named(name string) *Format {
	named := func(f *Format) bool { return f.Name == name }
	if f := firstOf(general, named); f != nil {
		return f // without looking at vendors' logs
	}
	return Formats(nil).first(named)
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
	Plain  bool    // Format.Header says that Data has no header
	First  int64   // number of the first record (line, array element) of Data, from 1
	Times  []int64 // for formats with Outer, in µs UTC, what the wrapper of each line says, or NoTime; nil: no wrapper
	Part   any     // what Format.Split made, instead of Data

	// Among is a format that lines of other programs have, if the format is Shared and they are
	// not read as records of a member of their own, and so not merely of another kind. "": none
	// is known.
	Among string
	// Known are records of known kinds that stand among the others, and are not in Data.
	Known []Kind

	// Skipped counts the records that Read could not give to a decoder: those
	// too long or cut off, before Data, and those that do not unwrap, which are
	// blank lines of Data. Data may be empty.
	Skipped []Reason

	buffers *Buffers // where buf goes back to
	buf     []byte
	held    *sync.WaitGroup // counts the blocks that still need their object open
}

// NoTime stands for the time of a record whose wrapper says none, in Block.Times: no
// event is that old.
const NoTime = 0

// outerTimes are the times that the wrapper says of the lines of a block.
type outerTimes struct {
	times []int64
	first int64 // number of the first record
}

func (b *Block) outer() outerTimes { return outerTimes{b.Times, b.First} }

// of returns the time of a record whose own time could not be read, if its text says
// nothing and a wrapper does.
func (o outerTimes) of(record int64, text []byte) (us int64, ok bool) {
	if o.times == nil || !scan.Unknown(text) {
		return 0, false
	}
	us = o.times[record-o.first]
	return us, us != NoTime
}

// Decode accounts for the whole block in t: for what Read skipped, and by d for
// the rest.
func (b *Block) Decode(d Decoder, out *columnar.Out, t *Tally) error {
	for _, r := range b.Skipped {
		t.Records += r.Count
		t.Skipped += r.Count
		because(&t.Reasons, r)
	}
	for _, k := range b.Known {
		t.known(k.Name, k.Count)
	}
	if len(b.Data) == 0 && b.Part == nil {
		return nil
	}
	err := d.Decode(b, out, t)
	if b.Among != "" {
		t.miss(otherProgram, b.First, "line of another program; some are of "+b.Among+": log each program apart")
	}
	return err
}

// otherProgram is the kind of lines of a Shared log that another program wrote.
const otherProgram = "line of another program"

// Holds returns how many records the block holds at most, and how many bytes decoding all
// of it reads.
func (b *Block) Holds(f *Format) (records, size int64) {
	if part, ok := b.Part.(*parquetPart); ok {
		return part.group.NumRows, part.group.TotalByteSize
	}
	if f.Cut != nil {
		_, records = f.Cut(b.Data, true)
	} else if n := len(b.Data); n > 0 {
		records = int64(bytes.Count(b.Data[:n-1], []byte{'\n'})) + 1
	}
	return records, int64(len(b.Data))
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

// FormatOf returns the format of the records that an Options.LogFormat describes, nil if
// that is "".
func FormatOf(logFormat string) *Format {
	switch {
	case logFormat == "":
		return nil
	case isVPCHeader([]byte(logFormat)):
		return VPCFlow
	}
	return Squid
}

// Options of a decoder. The zero value works for every dialect that describes
// itself.
type Options struct {
	// Mapping names the columns of csv, jsonl and parquet. Nil: by well-known names.
	Mapping *Mapping
	// LogFormat is Squid's logformat directive ("%ts.%03tu %6tr %>a …"), or the fields of
	// a VPC flow log without a header ("${version} ${srcaddr} …"). Logs of other formats are
	// read as they are.
	LogFormat string
	// Zone is where times without a zone were written. Nil: UTC.
	Zone *time.Location
	// Written is when the object was last written. It gives times without a
	// year theirs: the last year that does not put them more than a day after.
	Written time.Time
	// Head is the start of the object, as Sniff sees it.
	Head []byte
	// Inside says that records are inside a wrapper, which may tell their times.
	Inside bool
	// Name is the object's name without folders, for dialects whose names say what
	// is in them. "": not known.
	Name string
	// Account is the account of records that name none, as the object's name tells it.
	// Decoders need not know it: it is for columnar.Out. "": not known.
	Account string
	// Want is the set of columns that anyone reads. None: all.
	Want columnar.Cols
	// Table is what a table knows of the object; nil: it belongs to none.
	Table *InTable
	// WantFields are the fields, by table, that rules read beside columns.
	WantFields [columnar.NumTables]columnar.WantedFields
}

// of returns the options for a decoder of f: a LogFormat of another says nothing of its records.
func (o Options) of(f *Format) Options {
	if FormatOf(o.LogFormat) != f {
		o.LogFormat = ""
	}
	return o
}

// Location returns the zone of times that name none.
func (o *Options) Location() *time.Location {
	if o.Zone == nil {
		return time.UTC
	}
	return o.Zone
}

// earliestWritten is before any log worth reading was written: a file from before it
// has the time that archives give files whose time they do not keep (1970 or 1980).
var earliestWritten = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// clock reads the times of the object.
func (o *Options) clock() scan.Clock {
	c := scan.Clock{Zone: o.Zone, Head: o.Head}
	if o.Written.After(earliestWritten) {
		c.Latest = o.Written.UnixMicro() + 2*scan.Day
	}
	return c
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
	// Cleared says which cells of rows are empty because their text could not be read.
	Cleared []Reason
	// Kinds are the records among Other whose kind has a name, ascending by name, and
	// Unlisted those whose kind found no room there.
	Kinds    []Kind
	Unlisted int64
}

// A Kind is records of a kind that the dialect knows, but that no canonical table
// holds.
type Kind struct {
	Name  string // as the dialect calls it: "alert", "x509"; from the log, so anything
	Count int64
}

// A Reason says why records were skipped, or cells left empty.
type Reason struct {
	Text  string // lower case, of a small fixed set per format
	Count int64
	First int64 // number of the first such record
	// Col is the column whose cells were left empty, and Sample the beginning of the text of
	// the first. Time, for which records are skipped, and "" if the reason is none of a column.
	Col    columnar.Col
	Sample string
}

func (r Reason) String() string {
	return fmt.Sprintf("%s (%d, first at record %d)", r.Text, r.Count, r.First)
}

// Row counts a record that became a row.
func (t *Tally) Row() { t.Records++; t.Rows++ }

// Known counts a record that is sound but belongs to no canonical table, of a kind
// that the dialect knows: "alert", "x509", "blank line". The name may come from the
// log; Known keeps none of it. "" is a kind without a name.
func (t *Tally) Known(kind string) { t.known(kind, 1) }

// known is Known of n records.
func (t *Tally) known(kind string, n int64) {
	t.Records += n
	t.Other += n
	for i := range t.Kinds { // most logs have a few: looking is four times as fast as searching
		if t.Kinds[i].Name == kind {
			t.Kinds[i].Count += n
			return
		}
	}
	if kind != "" {
		t.kind(kind, n)
	}
}

const (
	// maxKinds is how many names of kinds are kept, and maxKindName how long they are,
	// in bytes. Names that a hostile log makes up must fill neither memory nor report.
	maxKinds    = 64
	maxKindName = 64
)

// kind counts n records of a kind. If there are too many names, those that come first in
// their order are kept: which they are must not depend on who counted what first.
func (t *Tally) kind(name string, n int64) {
	name = name[:min(len(name), maxKindName)]
	at, ok := slices.BinarySearchFunc(t.Kinds, name, func(k Kind, name string) int { return strings.Compare(k.Name, name) })
	switch {
	case ok:
		t.Kinds[at].Count += n
		return
	case at == maxKinds:
		t.Unlisted += n
		return
	case len(t.Kinds) == maxKinds:
		t.Unlisted += t.Kinds[maxKinds-1].Count
		t.Kinds = t.Kinds[:maxKinds-1]
	}
	t.Kinds = slices.Insert(t.Kinds, at, Kind{strings.Clone(name), n})
}

// Skip counts a malformed record.
func (t *Tally) Skip(record int64, reason string) {
	t.Records++
	t.Skipped++
	because(&t.Reasons, Reason{Text: reason, Count: 1, First: record})
}

// miss turns records of a kind into skipped ones.
func (t *Tally) miss(kind string, first int64, reason string) {
	for i, k := range t.Kinds {
		if k.Name == kind {
			t.Kinds = slices.Delete(t.Kinds, i, i+1)
			t.Other -= k.Count
			t.Skipped += k.Count
			because(&t.Reasons, Reason{Text: reason, Count: k.Count, First: first})
			return
		}
	}
}

// Clear counts something of a row that is left out.
func (t *Tally) Clear(record int64, reason string) {
	because(&t.Cleared, Reason{Text: reason, Count: 1, First: record})
}

// maxSample is how much of an unreadable text is kept, in bytes: enough to know it again.
const maxSample = 24

// Unread counts a cell of a column that is left empty, because its text could not be read.
func (t *Tally) Unread(record int64, c columnar.Col, text []byte, reason string) {
	r := Reason{Text: reason, Count: 1, First: record, Col: c}
	if i := slices.IndexFunc(t.Cleared, r.like); i < 0 || record < t.Cleared[i].First {
		r.Sample = string(text[:min(len(text), maxSample)])
	}
	because(&t.Cleared, r)
}

func (r *Reason) like(have Reason) bool { return have.Text == r.Text && have.Col == r.Col }

func because(reasons *[]Reason, r Reason) {
	for i := range *reasons {
		have := &(*reasons)[i]
		if !r.like(*have) {
			continue
		}
		have.Count += r.Count
		if r.First < have.First {
			have.First, have.Sample = r.First, r.Sample
		}
		return
	}
	*reasons = append(*reasons, r)
}

// Add adds what u counted.
func (t *Tally) Add(u *Tally) {
	t.Records += u.Records
	t.Rows += u.Rows
	t.Other += u.Other
	t.Skipped += u.Skipped
	t.Masked += u.Masked
	for _, r := range u.Reasons {
		because(&t.Reasons, r)
	}
	for _, r := range u.Cleared {
		because(&t.Cleared, r)
	}
	for _, k := range u.Kinds {
		t.kind(k.Name, k.Count)
	}
	t.Unlisted += u.Unlisted
}
