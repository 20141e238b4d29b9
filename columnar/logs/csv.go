package logs

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"outflow/columnar"
)

// CSV is text in columns with a header.
var CSV = &Format{
	Name:  "csv",
	Title: "comma, tab, semicolon or pipe separated columns with a header",
	Doc: `Columns are found by name: a mapping says which is which, or well-known names do (timestamp, user, src_ip,
bytes_uploaded, query, …; letter case and punctuation do not matter). The table follows from what is there: a
query makes it dns, a URL or a method http, bytes and a destination network, and all else is api.
Of DNS packets and messages, those that a column tells to be responses (qr is 1, is_response is true) count as other:
they repeat the queries, as if the server had asked.

Quoting is RFC 4180: a field in double quotes may hold separators, newlines and doubled quotes. A quote that does
not begin a field, or is never closed, stands for itself. A record with more or fewer fields than the header is
skipped, unless all have a separator behind the last field. The header may begin with #, and titles and comments may stand before it, in which nothing separates. It may stand again, as
in files put one after the other; a header inside an object that names other columns, or has another separator, is in force from there on, if it
has half of the names.

Several columns may hold one value, such as user and email: in each record the first that says something counts.
A unit behind a name counts (Bytes Out (KB), bytes_in_mb), and so does UTC behind that of the time. Marks that
keep a spreadsheet from reading cells (="10.0.0.5", or an apostrophe in all) are dropped.

Times without a zone are in the input's zone; the date may stand in a column of its own (date, time). Empty, "-",
null, None, NA, N/A and the like say nothing: the row has no such value, and is skipped if it is the time. So is
a time outside 1990–2100, or more than two days after the object was written. Any other value that cannot be read
is left out of its row, and counted. Records that a wrapper tells the time of (syslog, a container's log, a shipper's
JSON) need no time of their own.`,
	Tables:      []*columnar.Table{columnar.API, columnar.HTTP, columnar.DNS, columnar.Network, columnar.Process, columnar.Event},
	Remedies:    mappingRemedies,
	Sniff:       func(head []byte) bool { return sniffCSV(head, false) },
	SniffInside: func(head []byte) bool { return sniffCSV(head, true) },
	Quoted:      true,
	Outer:       true,
	Generic:     true,
	Header:      csvHeader,
	New: func(o *Options) (Decoder, error) {
		if m := o.Mapping; m != nil && m.Delimiter != 0 && (m.Delimiter >= 0x80 || strings.IndexByte("\"\r\n", m.Delimiter) >= 0) {
			return nil, fmt.Errorf("mapping.delimiter: %q cannot separate fields; want an ASCII character other than a quote", m.Delimiter)
		}
		d := &csvDecoder{separated: separated{mapping: o.Mapping, inside: o.Inside, set: setter{clock: o.clock()}}}
		d.zone = d.set.clock.Zone
		return d, d.open(o.Head)
	},
}

// csvPlan chooses the separator and makes the plan of a header line. Of the
// separators that give a plan it takes the one that gives most columns.
func csvPlan(m *Mapping, header []byte, inside bool) (p *plan, names []string, sep byte, err error) {
	separators := csvDelimiters
	if m != nil && m.Delimiter != 0 {
		separators = string(rune(m.Delimiter))
	}
	for i := range len(separators) {
		n := csvNames(header, separators[i])
		q, e := resolve(m, n, inside)
		switch {
		case e == nil && (p == nil || len(n) > len(names)):
			p, names, sep, err = q, n, separators[i], nil
		case p == nil && (err == nil || len(n) > len(names)):
			names, err = n, e
		}
	}
	return p, names, sep, err
}

// sniffCSV wants a header with a time and something that acts or is asked for,
// and records of as many fields: prose and other logs have neither. Inside a wrapper
// the time may be missing.
func sniffCSV(head []byte, inside bool) bool {
	const look = 16 // records
	rest := head[csvPreamble(head):]
	end := separatedEnd(rest)
	if end == 0 || rest[end-1] != '\n' {
		return false
	}
	p, names, sep, err := csvPlan(nil, rest[:end], inside)
	if err != nil || len(names) < 2 || !p.tellsMuch() {
		return false
	}
	header := namesOf(rest[:end])
	rest = rest[end:]
	records, ragged := 0, 0
	for records < look && len(rest) > 0 {
		end := separatedEnd(rest)
		if rest[end-1] != '\n' {
			break
		}
		if line := bytes.TrimRight(rest[:end], "\r\n"); header.again(line) {
			return true // what stands before it, such as titles, need not look like records
		} else if len(line) > 0 {
			records++
			if fields := separatedFields(rest[:end], sep); len(fields) != len(names) && !endsOpen(fields, len(names)) {
				ragged++
			}
		}
		rest = rest[end:]
	}
	return ragged*3 <= records
}

// endsOpen reports whether a record has a separator behind the last of n fields.
func endsOpen(fields []string, n int) bool { return len(fields) == n+1 && fields[n] == "" }

// allEndOpen reports whether there are records, and the first ones all end so.
func allEndOpen(records []byte, sep byte, n int) bool {
	const look = 16
	seen := 0
	for ; seen < look && len(records) > 0; seen++ {
		end := separatedEnd(records)
		if records[end-1] != '\n' {
			break
		}
		if !endsOpen(separatedFields(records[:end], sep), n) {
			return false
		}
		records = records[end:]
	}
	return seen > 0
}

// A csvDecoder is a separated whose columns a header or the mapping names.
type csvDecoder struct {
	separated
	unfit string         // why no plan is in force; "": one is
	zone  *time.Location // of times whose name does not say that they are in UTC
	ended []byte         // the header whose records have a separator behind the last field; nil: none
}

// open makes the plan from the start of the object, if that is available.
func (d *csvDecoder) open(head []byte) error {
	if m := d.mapping; m != nil && m.Header != nil {
		return d.openHeaderless(head)
	}
	head = head[csvPreamble(head):]
	end := separatedEnd(head)
	if end == 0 || head[end-1] != '\n' {
		return nil
	}
	if err := d.use(head[:end]); err != nil {
		return err
	}
	if allEndOpen(head[end:], d.sep, d.columns) {
		d.ended = d.header
		d.columns++
	}
	return nil
}

// openHeaderless takes the names from the mapping, and as separator the first
// that cuts the first line into as many fields.
func (d *csvDecoder) openHeaderless(head []byte) (err error) {
	d.columns = len(d.mapping.Header)
	d.sep = d.mapping.Delimiter
	for i := 0; d.sep == 0 && i < len(csvDelimiters); i++ {
		if len(separatedFields(head[:separatedEnd(head)], csvDelimiters[i])) == d.columns {
			d.sep = csvDelimiters[i]
		}
	}
	if d.sep == 0 {
		d.sep = ','
	}
	d.plan, err = resolve(d.mapping, d.mapping.Header, d.inside)
	return err
}

func (d *csvDecoder) use(header []byte) (err error) {
	header = bytes.TrimRight(header, "\r\n")
	if d.plan != nil && bytes.Equal(header, d.header) {
		return nil
	}
	var names []string
	if d.plan, names, d.sep, err = csvPlan(d.mapping, header, d.inside); err != nil {
		return err
	}
	d.header, d.columns, d.fields = slices.Clone(header), len(names), nil
	if d.set.clock.Zone = d.zone; d.plan.utc {
		d.set.clock.Zone = nil
	}
	if bytes.Equal(header, d.ended) {
		d.columns++
	}
	return nil
}

// errBlockSize is for a Block of 4 GiB, which no reader makes.
var errBlockSize = errors.New("a block of csv must be smaller than 4 GiB")

func (d *csvDecoder) Decode(b *Block, out *columnar.Out, t *Tally) error {
	if int64(len(b.Data)) >= math.MaxUint32 {
		return errBlockSize
	}
	data, line := b.Data, b.First
	headerless := d.mapping != nil && d.mapping.Header != nil
	switch {
	case headerless:
	case b.Header != nil:
		d.change(b.Header)
	default:
		skip := csvPreamble(data)
		end := skip + separatedEnd(data[skip:])
		if end == skip {
			countHeader(data, t)
			return nil
		}
		if err := d.use(data[skip:end]); err != nil {
			return fmt.Errorf("header: %w", err)
		}
		d.unfit = ""
		countHeader(data[:skip], t)
		t.Known("header")
		line += int64(bytes.Count(data[:end], eol))
		data = data[end:]
	}
	for len(data) > 0 {
		at, end := -1, 0
		if !headerless && !b.Plain {
			at, end = nextHeader(data, d.header)
		}
		if at < 0 {
			d.records(b, data, line, out, t)
			break
		}
		line = d.records(b, data[:at], line, out, t) + 1
		d.change(data[at:end])
		t.Known("header")
		data = data[end:]
	}
	return nil
}

// change is use for a header inside an object: if it gives no plan, no records are read
// by it.
func (d *csvDecoder) change(header []byte) {
	d.unfit = ""
	if err := d.use(header); err != nil {
		d.unfit = "header: " + err.Error()
		d.header, d.plan = slices.Clone(bytes.TrimRight(header, "\r\n")), nil
	}
}

// records decodes records of the header in force, and returns the number of the line
// behind them.
func (d *csvDecoder) records(b *Block, data []byte, line int64, out *columnar.Out, t *Tally) int64 {
	if d.unfit != "" {
		return skipLines(data, line, d.unfit, t)
	}
	d.begin(b, out)
	s := &d.scanner
	s.Reset(data, d.sep, '"')
	for s.Next() {
		line = d.window(data, line, t)
	}
	return line
}
