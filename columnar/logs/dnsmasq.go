package logs

import (
	"bytes"
	"errors"
	"time"

	"outflow/columnar"
)

// Dnsmasq decodes the query log of dnsmasq, and so that of Pi-hole.
var Dnsmasq = &Format{
	Name:  "dnsmasq",
	Title: "dnsmasq and Pi-hole query log",
	Doc: `Written with log-queries or log-queries=extra, to a file or through syslog. Each
query line is a row; what was forwarded, cached, replied, validated or configured,
and what other programs wrote to the same syslog, counts as other.

Times have no year and no zone: the year comes from when the object was written,
the zone from the options. A name that a client sent in odd bytes is logged as
"<name unprintable>": such queries are counted, and nothing else is known of them.`,
	Tables: []*columnar.Table{columnar.DNS},
	Lacks:  columnar.ColSet(columnar.User, columnar.Host, columnar.Rcode, columnar.AnswersLen, columnar.DstIP),
	Syslog: true,
	Sniff: func(head []byte) bool {
		d := dnsmasq{syslog: syslogClock{written: anyYear}}
		lines := 0
		for line := range bytes.Lines(head) {
			if lines++; lines > 32 {
				break
			}
			if _, message, ok := d.syslog.parse(line); ok {
				if program, _ := dnsmasqMessage(message); program != nil {
					return true
				}
			}
		}
		return false
	},
	New: func(o *Options) (Decoder, error) {
		if o.Written.IsZero() {
			return nil, errors.New("dnsmasq: times have no year, and when the object was written is not known")
		}
		return &dnsmasq{syslog: syslogClock{clock: clock{zone: o.Location()}, written: o.Written}}, nil
	},
}

type dnsmasq struct {
	syslog syslogClock
	rows   lookups
}

func (d *dnsmasq) Decode(b *Block, out *columnar.Out, t *Tally) error {
	rows, l := out.Table(columnar.DNS), &d.rows
	record := b.First
	for data := b.Data; len(data) > 0; record++ {
		line := data
		if at := bytes.IndexByte(data, '\n'); at >= 0 {
			line, data = data[:at], data[at+1:]
		} else {
			data = nil
		}
		line = bytes.TrimRight(line, "\r ")
		if len(line) == 0 {
			continue
		}
		us, message, ok := d.syslog.parse(line)
		if !ok {
			t.Skip(record, "bad time")
			continue
		}
		_, event := dnsmasqMessage(message)
		query, isQuery := bytes.CutPrefix(event, queryWord)
		if !isQuery {
			t.Pass()
			continue
		}
		client, name, kind := dnsmasqQuery(query)
		if client == nil {
			t.Skip(record, "malformed query line")
			continue
		}
		t.Row()
		if bytes.Equal(name, unprintable) {
			t.Masked++
		}
		if number, isNumber := bytes.CutPrefix(kind, []byte("type=")); isNumber {
			l.put(rows, b.Data)
			rows.SetTime(us)
			rows.SetText(columnar.SrcIP, client)
			rows.SetText(columnar.QueryType, append([]byte("TYPE"), number...))
			rows.SetQuery(name)
			rows.Next(record)
			continue
		}
		l.room(rows, b.Data)
		l.add(&lookup{us: us, client: spanOf(b.Data, client), query: spanOf(b.Data, name), kind: spanOf(b.Data, kind)}, record)
	}
	l.put(rows, b.Data)
	return nil
}

var (
	queryWord = []byte("query[")
	fromWord  = []byte(" from")

	unprintable = []byte("<name unprintable>")
)

// dnsmasqQuery returns what "A] example.com from 192.0.2.1" says; client is nil if
// it is malformed.
func dnsmasqQuery(p []byte) (client, name, kind []byte) {
	end := indexNear(p, ']')
	if end <= 0 || end+1 == len(p) || p[end+1] != ' ' {
		return nil, nil, nil
	}
	kind, p = p[:end], p[end+2:]
	// A name can hold anything printable, " from " too: the last one counts.
	at := bytes.LastIndexByte(p, ' ')
	if at < 0 {
		return nil, nil, nil
	}
	name, isFrom := bytes.CutSuffix(p[:at], fromWord)
	client = withoutScope(p[at+1:])
	if !isFrom || len(name) == 0 || !addressLike(client) {
		return nil, nil, nil
	}
	return client, name, kind
}

// dnsmasqMessage splits "dnsmasq[71]: 12 192.0.2.1/5353 query[A] …", with the
// name of a machine before it or not, into program and event. program is nil if
// another one wrote the line.
func dnsmasqMessage(p []byte) (program, event []byte) {
	tag, rest, ok := bytes.Cut(p, []byte(": "))
	if !ok {
		return nil, nil
	}
	if at := bytes.LastIndexByte(tag, ' '); at >= 0 {
		tag = tag[at+1:]
	}
	if string(tag) != "dnsmasq" && !bytes.HasPrefix(tag, []byte("dnsmasq[")) {
		return nil, nil
	}
	// log-queries=extra: a serial number and the client's address and port, in
	// brackets or not.
	extra := bytes.TrimPrefix(rest, []byte("["))
	digits := 0
	for digits < len(extra) && '0' <= extra[digits] && extra[digits] <= '9' {
		digits++
	}
	if digits > 0 && digits < len(extra) && extra[digits] == ' ' {
		if client, event, ok := bytes.Cut(extra[digits+1:], []byte(" ")); ok && bytes.IndexByte(client, '/') > 0 {
			return tag, event
		}
	}
	return tag, rest
}

// A syslogClock parses the time at the start of a syslog line, with or without
// a year.
type syslogClock struct {
	clock
	written time.Time
	day     [6]byte // the last "Jan _2"
	start   int64   // µs of its midnight, as if the zone were UTC
}

// anyYear is when an object was written that is only looked at.
var anyYear = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)

// parse returns the time in µs UTC and what stands behind it.
func (c *syslogClock) parse(line []byte) (us int64, rest []byte, ok bool) {
	if len(line) > 0 && line[0] == '<' {
		line = withoutPriority(line)
	}
	if len(line) > 11 && line[4] == '-' && line[10] == 'T' {
		stamp, rest, _ := bytes.Cut(line, []byte(" "))
		us, ok = c.parseISO(stamp)
		return us, rest, ok
	}
	if len(line) < 16 || line[6] != ' ' || line[9] != ':' || line[12] != ':' || line[15] != ' ' {
		return 0, nil, false
	}
	h, ok1 := twoDigits(line[7:])
	m, ok2 := twoDigits(line[10:])
	s, ok3 := twoDigits(line[13:])
	if !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || s > 60 {
		return 0, nil, false
	}
	inDay := (h*3600 + m*60 + s) * second
	if [6]byte(line) != c.day {
		if c.start, ok = c.lastSuch(line[:6], 0); !ok {
			c.day = [6]byte{}
			return 0, nil, false
		}
		c.day = [6]byte(line)
	}
	if us, ok = c.local(c.start + inDay); us > c.written.UnixMicro()+day {
		// The year is right only for earlier hours of the day.
		start, found := c.lastSuch(line[:6], inDay)
		if !found {
			return 0, nil, false
		}
		us, ok = c.local(start + inDay)
	}
	return us, line[16:], ok
}

// lastSuch returns the start of the day written as "Jan _2", in the last year
// that does not put the time inDay more than a day after the object was written.
func (c *syslogClock) lastSuch(b []byte, inDay int64) (start int64, ok bool) {
	t, err := time.Parse("Jan _2", string(b))
	if err != nil {
		return 0, false
	}
	limit := c.written.UnixMicro() + day
	// 29 February may be eight years back.
	for year := c.written.Year() + 1; year > c.written.Year()-9; year-- {
		d := time.Date(year, t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
		if d.Day() != t.Day() {
			continue
		}
		start = d.UnixMicro()
		if us, ok := c.local(start + inDay); ok && us <= limit {
			return start, true
		}
	}
	return 0, false
}
