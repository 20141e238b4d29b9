package logs

import (
	"bytes"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// CoreDNS decodes what the log plugin of CoreDNS writes.
var CoreDNS = &Format{
	Name:    "coredns",
	Origins: []columnar.Origin{{Product: "coredns"}},
	Title:   "CoreDNS query log",
	Doc: `Written by the log plugin in the common or combined format. Each query is a row,
with the rcode of the answer; all else that CoreDNS says counts as other.

CoreDNS writes no time. It is read from what the line was stored with: by the
container runtime (CRI, or the JSON of Docker), kubectl logs --timestamps, syslog,
or a collector that keeps the line as log or message beside time or @timestamp. A
query without any time is skipped. Names are read back from their escapes; CoreDNS
writes them in lower case.`,
	Tables: []*columnar.Table{columnar.DNS},
	Lacks:  columnar.ColSet(columnar.User, columnar.Host, columnar.Account, columnar.AnswersLen, columnar.Answers, columnar.DstIP),
	Syslog: true,
	Sniff: func(head []byte) bool {
		if !bytes.Contains(head, []byte("[INFO] ")) {
			return false // without a look into JSON
		}
		var d coreDNS
		return scan.AnyLine(head, func(line []byte) bool {
			_, message := d.unwrap(line)
			var q coreQuery
			return q.parse(message) && q.name != nil
		})
	},
	New: func(o *Options) (Decoder, error) {
		return &coreDNS{clock: scan.SyslogClock{Clock: o.clock(), Written: o.Written}}, nil
	},
}

type coreDNS struct {
	clock   scan.SyslogClock
	rows    lookups
	scratch []byte
}

func (d *coreDNS) Decode(b *Block, out *columnar.Out, t *Tally) error {
	rows, l := out.Table(columnar.DNS), &d.rows
	record := b.First
	for data := b.Data; len(data) > 0; record++ {
		var line []byte
		line, data = scan.CutLine(data)
		if scan.Blank(line) {
			continue
		}
		stamp, message := d.unwrap(line)
		var q coreQuery
		sound := q.parse(message)
		if sound && q.name == nil {
			t.Known("other message")
			continue
		}
		us, ok := d.time(stamp)
		switch {
		case len(stamp) == 0:
			t.Skip(record, "no time: CoreDNS writes none, and nothing was stored with the line")
			continue
		case !ok:
			t.Skip(record, d.clock.Fault("bad time"))
			continue
		case !sound:
			t.Skip(record, "malformed query line")
			continue
		}
		t.Row()
		if line[0] == '{' { // its text is not that of the block
			l.put(rows, b.Data)
			rows.SetTime(us)
			rows.SetText(columnar.SrcIP, q.client)
			rows.SetText(columnar.QueryType, q.kind)
			rows.SetText(columnar.Rcode, q.rcode)
			rows.SetQuery(scan.UnescapeName(nil, q.name))
			rows.Next(record)
			continue
		}
		l.room(rows, b.Data)
		l.addEscaped(rows, b.Data, &lookup{us: us, client: spanOf(b.Data, q.client), rcode: spanOf(b.Data, q.rcode)}, q.name, q.kind, record)
	}
	l.put(rows, b.Data)
	return nil
}

// time parses a stamp, in µs UTC.
func (d *coreDNS) time(stamp []byte) (us int64, ok bool) {
	if len(stamp) > 19 && stamp[4] == '/' { // CoreDNS before 1.3: 2006/01/02 15:04:05
		return d.clock.ISO(stamp[:19])
	}
	us, _, ok = d.clock.Parse(stamp)
	return us, ok
}

// unwrap returns the time that a line was stored with, up to the end of the line
// if it is not in JSON, and what CoreDNS wrote.
func (d *coreDNS) unwrap(line []byte) (stamp, message []byte) {
	if len(line) > 0 && line[0] == '{' {
		d.scratch = d.scratch[:0]
		scan.EachKey(line, func(key []byte, val scan.Value) {
			switch string(key) {
			case "log", "message":
				message = bytes.TrimRight(val.Text(&d.scratch), "\r\n")
			case "time", "@timestamp":
				stamp = val.Text(&d.scratch)
			}
		})
		return stamp, message
	}
	at := bytes.Index(line, []byte("[INFO] "))
	if at < 0 || !coreWrote(line[:at]) {
		return nil, nil
	}
	return line[:at], line[at:]
}

// coreWrote reports whether CoreDNS wrote the text before a message: nothing, a time,
// "TIME stdout F " of CRI, or a header of syslog with that program. If another program
// quotes CoreDNS, there is more text before.
func coreWrote(before []byte) bool {
	spaces := bytes.Count(before, []byte(" "))
	if tag, isTag := bytes.CutSuffix(before, []byte(": ")); isTag {
		program := tag[bytes.LastIndexByte(tag, ' ')+1:]
		return bytes.HasPrefix(program, []byte("coredns")) && !bytes.Contains(tag, []byte(": "))
	}
	return spaces <= 2 || spaces == 3 && bytes.HasSuffix(before, []byte(" F "))
}

// A coreQuery is what a line says about a query. name is nil if it says something else.
type coreQuery struct{ client, name, kind, rcode []byte }

// parse parses
//
//	[INFO] 192.0.2.1:39824 - 51793 "A IN example.com. udp 59 false 1232" NOERROR qr,aa,rd 106 0.000118s
//
// and returns false if it is damaged. Behind it may stand more. In a name that a
// client made up, a space has a backslash before it, as has a quote.
func (q *coreQuery) parse(p []byte) bool {
	p, isInfo := bytes.CutPrefix(p, []byte("[INFO] "))
	if !isInfo {
		return true
	}
	client, p := scan.CutWord(p)
	dash, p := scan.CutWord(p)
	id, p := scan.CutWord(p)
	_, isNumber := scan.Int(id)
	if string(dash) != "-" || !isNumber || len(p) == 0 || p[0] != '"' {
		return len(p) > 0 || len(dash) == 0 || dash[0] != '-' // else cut off
	}
	kind, p := scan.CutWord(p[1:])
	_, p = scan.CutWord(p) // class
	end := scan.IndexNear(p, ' ')
	for end > 0 && escapedAt(p, end) {
		next := scan.IndexNear(p[end+1:], ' ')
		if next < 0 {
			return false
		}
		end += 1 + next
	}
	port := scan.PortAt(client)
	if end <= 0 || p[end-1] != '.' || len(kind) == 0 || port < 0 {
		return false
	}
	name, p := p[:end], p[end+1:]
	quote := bytes.Index(p, []byte(`" `))
	if quote < 0 {
		return false
	}
	rcode, p := scan.CutWord(p[quote+2:])
	_, p = scan.CutWord(p) // flags
	size, p := scan.CutWord(p)
	if client = bytes.Trim(client[:port], "[]"); !scan.AddressLike(client) || len(size) == 0 || len(p) == 0 {
		return false
	}
	if string(rcode) != "-" {
		q.rcode = rcode
	}
	q.client, q.name, q.kind = scan.WithoutScope(client), name, kind
	return true
}

// escapedAt reports whether an odd number of backslashes stands before p[at].
func escapedAt(p []byte, at int) bool {
	n := 0
	for n < at && p[at-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}
