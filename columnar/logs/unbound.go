package logs

import (
	"bytes"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Unbound decodes the log of the Unbound resolver.
var Unbound = &Format{
	Name:    "unbound",
	Origins: []columnar.Origin{{Product: "unbound"}},
	Title:   "Unbound query and reply log",
	Doc: `Written with log-queries or log-replies, tagged or not, to a file with any of
Unbound's times or through syslog. All else that Unbound says, replies without a
name (FORMERR), and what other programs wrote to the same syslog, count as other.

With both options on, a lookup is logged twice. Then queries are the rows: a name
server that never answers leaves no reply. So a reply is a row, with its rcode,
only if no query was logged before it, in the object or since the service last
started. Use log-queries.

Unbound writes most bytes of a name other than letters, digits, - and _ as ?, so a
tunnel of raw bytes shows fewer distinct names than it had. In a name of the greatest
length it writes & for the last label, and the domain is then that: tunnel.&. Of
syslog and log-time-ascii the year comes from when the object was written, the zone
from the options.`,
	Shared: true,
	Tables: []*columnar.Table{columnar.DNS},
	Lacks:  columnar.ColSet(columnar.User, columnar.Host, columnar.Account, columnar.AnswersLen, columnar.Answers),
	Masks:  "with ? for odd bytes or & for the last label: fewer are distinct, or they are of another domain than shorter ones",
	Syslog: true,
	Sniff: func(head []byte) bool {
		d := unbound{clock: scan.SyslogClock{Written: scan.AnyYear}}
		return scan.AnyLine(head, func(line []byte) bool {
			u, _ := unboundLine(line)
			if u.name == nil && !u.starts {
				return false
			}
			_, ok := d.time(line)
			return ok
		})
	},
	Header: unboundHeader,
	New: func(o *Options) (Decoder, error) {
		return &unbound{clock: scan.SyslogClock{Clock: o.clock(), Written: o.Written}}, nil
	},
}

type unbound struct {
	clock scan.SyslogClock
	epoch []byte // the last "[1795654828"
	us    int64  // its time
	rows  lookups
}

func (d *unbound) Decode(b *Block, out *columnar.Out, t *Tally) error {
	rows, l := out.Table(columnar.DNS), &d.rows
	logged := b.Header != nil // queries are
	record := b.First
	for data := b.Data; len(data) > 0; record++ {
		var line []byte
		line, data = scan.CutLine(data)
		if len(line) == 0 {
			continue
		}
		u, sound := unboundLine(line)
		if u.starts {
			logged = false
		} else if u.tellsQueries {
			logged = true
		}
		us, ok := d.time(line)
		switch {
		case !ok:
			t.Skip(record, d.clock.Fault("bad time"))
			continue
		case !sound:
			t.Skip(record, "malformed query or reply line")
			continue
		case u.name == nil && unboundMessage(line) == nil:
			t.Known(otherProgram)
			continue
		case u.name == nil:
			t.Known("message of unbound")
			continue
		case u.rcode != nil && logged:
			t.Known("reply to a query that was logged")
			continue
		}
		l.room(rows, b.Data)
		l.add(&lookup{us: us, client: spanOf(b.Data, u.client), query: spanOf(b.Data, u.name), kind: spanOf(b.Data, u.kind),
			rcode: spanOf(b.Data, u.rcode), server: spanOf(b.Data, u.server)}, record)
		t.Row()
		if u.name[len(u.name)-1] == lastLabelCut || bytes.IndexByte(u.name, '?') >= 0 {
			t.Masked++
		}
	}
	l.put(rows, b.Data)
	return nil
}

// unboundHeader keeps, as a header, whether queries were logged.
func unboundHeader(prev, p []byte) []byte {
	// Only lines about the service have such a bracket, and lines that tell of
	// queries such an end: they are found without parsing all others.
	for search := p; ; {
		at := bytes.Index(search, []byte("(unbound "))
		if at < 0 {
			break
		}
		line, rest := scan.CutLine(search[bytes.LastIndexByte(search[:at], '\n')+1:])
		if u, _ := unboundLine(line); u.starts {
			prev, p = nil, rest
		}
		search = rest
	}
	for prev == nil && len(p) > 0 {
		var line []byte
		line, p = scan.CutLine(p)
		if bytes.HasSuffix(line, []byte(" IN")) {
			if u, _ := unboundLine(line); u.tellsQueries {
				prev = queriesLogged
			}
		}
	}
	return prev
}

// lastLabelCut stands for the last label of the longest names.
const lastLabelCut = '&'

// time returns the time of a line in µs UTC.
func (d *unbound) time(line []byte) (us int64, ok bool) {
	if len(line) == 0 || line[0] != '[' {
		us, _, ok = d.clock.Parse(bytes.TrimPrefix(scan.WithoutPriority(line), []byte("1 ")))
		return us, ok
	}
	at := scan.IndexNear(line, ']')
	if at < 0 {
		return 0, false
	}
	if !bytes.Equal(line[:at], d.epoch) {
		if us, ok = d.clock.Epoch(line[1:at]); !ok {
			return 0, false
		}
		d.epoch, d.us = append(d.epoch[:0], line[:at]...), us
	}
	return d.us, true
}

// An unboundLookup is what a line says about a query or, if rcode is not nil, about a
// reply. name is nil if it says something else.
type unboundLookup struct {
	client, name, kind, rcode, server []byte

	tellsQueries bool // queries are logged
	starts       bool // the service starts
}

// unboundLine parses a line without its time. Behind that stand the process and its
// thread, and then what Unbound says:
//
//	[22909:0] query: 192.0.2.1 example.com. A IN
//	[22909:0] reply: 192.0.2.1 example.com. A IN NOERROR 0.004017 0 89 on udp 192.0.2.53 53
//
// where the end, from on, depends on the version; without log-tag-queryreply
// both are info. A line of another program says nothing. sound is false if the
// line is damaged.
//
// A client can put no space in a name: Unbound writes it as a question mark.
func unboundLine(line []byte) (u unboundLookup, sound bool) {
	tag, p := scan.CutWord(unboundMessage(line))
	switch string(tag) {
	case "info:", "query:", "reply:":
	default:
		return u, true
	}
	client, p := scan.CutWord(p)
	if !scan.AddressLike(client) {
		u.starts = string(client) == "start" && bytes.HasPrefix(p, []byte("of service (unbound "))
		return u, true
	}
	name, p := scan.CutWord(p)
	if string(name) == "-" {
		return u, true
	}
	kind, p := scan.CutWord(p)
	class, p := scan.CutWord(p)
	if len(name) == 0 || len(kind) == 0 || len(class) == 0 {
		return u, false
	}
	if last := name[len(name)-1]; last != '.' && last != lastLabelCut {
		return u, false
	}
	u.tellsQueries = p == nil && string(class) == "IN"
	if len(p) > 0 {
		u.rcode, p = scan.CutWord(p)
		_, p = scan.CutWord(p) // how long it took, in s
		_, p = scan.CutWord(p) // whether it was cached
		size, p := scan.CutWord(p)
		if len(size) == 0 {
			return unboundLookup{}, false
		}
		if on, isOn := bytes.CutPrefix(p, []byte("on ")); isOn {
			_, on = scan.CutWord(on) // udp, tcp
			server, _ := scan.CutWord(on)
			u.server = scan.WithoutScope(server)
		}
	} else if string(tag) == "reply:" {
		return unboundLookup{}, false
	}
	u.client, u.name, u.kind = scan.WithoutScope(client), name, kind
	return u, true
}

// unboundMessage returns what stands behind "[22909:0] ", nil if that is not there:
// at the start of a message of syslog, or before that of a file.
func unboundMessage(line []byte) []byte {
	whole := line
	for {
		open := scan.IndexNear(line, '[')
		if open < 0 {
			return nil
		}
		line = line[open+1:]
		n := 0
		for n < len(line) && line[n]-'0' <= 9 {
			n++
		}
		if n == 0 || n == len(line) || line[n] != ':' {
			continue
		}
		for n++; n < len(line) && (line[n]-'0' <= 9 || line[n]-'a' < 6); n++ { // threads are numbered in hexadecimal
		}
		if n+1 < len(line) && line[n] == ']' && line[n+1] == ' ' {
			before := whole[:len(whole)-len(line)-1]
			if at := bytes.Index(before, []byte(": ")); at >= 0 && at+2 < len(before) {
				return nil // within what another program says
			}
			return line[n+2:]
		}
	}
}
