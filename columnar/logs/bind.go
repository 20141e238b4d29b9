package logs

import (
	"bytes"
	"encoding/binary"
	"time"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// BIND decodes the query log of BIND 9.
var BIND = &Format{
	Name:    "bind",
	Origins: []columnar.Origin{{Product: "bind"}},
	Title:   "BIND 9 query and response log, Infoblox and EfficientIP too",
	Doc: `Written with querylog yes or responselog yes, to a file with print-time yes, iso8601
or iso8601-utc, or through syslog; print-category and print-severity as you like. Each
"query:" is a row: the client src_ip, the server's address that it asked dst_ip. All
else that named says, and what other programs wrote to the same syslog, counts as other.

With both options on, a lookup is logged twice. Then queries are the rows, as a query
that is dropped has no response. So a response is a row, with its rcode, only if no
query was logged before it in the object. Infoblox writes a response as
"UDP: query: example.com IN A response: NOERROR", EfficientIP an answer as
"answer: example.com IN A +E (192.0.2.53) -> NOERROR".

Times are local, of the zone of the options, unless they say otherwise; through
syslog they have no year, which comes from when the object was written. Names are
read back from their escapes: \032 is a space, \. a dot within a label.`,
	Shared: true,
	Tables: []*columnar.Table{columnar.DNS},
	Lacks:  columnar.ColSet(columnar.User, columnar.Host, columnar.Account, columnar.AnswersLen, columnar.Answers),
	Syslog: true,
	Sniff: func(head []byte) bool {
		d := bind{clock: scan.SyslogClock{Written: scan.AnyYear}}
		return scan.AnyLine(head, func(line []byte) bool {
			us, message, ok := d.time(line)
			if !ok || us <= 0 {
				return false
			}
			var row bindQuery
			isLookup, ok := row.parse(message)
			return isLookup && ok
		})
	},
	Header: bindHeader,
	New: func(o *Options) (Decoder, error) {
		return &bind{clock: scan.SyslogClock{Clock: o.clock(), Written: o.Written}}, nil
	},
}

type bind struct {
	clock scan.SyslogClock
	date  [11]byte // the last "02-Jan-2006"
	start int64    // µs of its midnight, as if the zone were UTC
	rows  lookups
}

func (d *bind) Decode(b *Block, out *columnar.Out, t *Tally) error {
	rows, l := out.Table(columnar.DNS), &d.rows
	logged := b.Header != nil // queries are
	record := b.First
	for data := b.Data; len(data) > 0; record++ {
		var line []byte
		line, data = scan.CutLine(data)
		if len(line) == 0 {
			continue
		}
		us, message, ok := d.time(line)
		if !ok {
			t.Skip(record, d.clock.Fault("bad time"))
			continue
		}
		var q bindQuery
		isLookup, ok := q.parse(message)
		switch {
		case !isLookup:
			t.Known(bindKind(message))
			continue
		case !ok:
			t.Skip(record, "malformed query or response line")
			continue
		case q.rcode == nil:
			logged = true
		case logged:
			t.Known("response to a query that was logged")
			continue
		}
		if q.time != nil && scan.WithoutPriority(line)[3] == ' ' { // a relay's header says neither ms nor a zone, and may be late
			if own, ok := d.parseTime(q.time); ok {
				us = own
			}
		}
		l.room(rows, b.Data)
		l.addEscaped(rows, b.Data, &lookup{us: us, client: spanOf(b.Data, q.client), server: spanOf(b.Data, q.server), rcode: spanOf(b.Data, q.rcode)}, q.name, q.kind, record)
		t.Row()
	}
	d.rows.put(rows, b.Data)
	return nil
}

// bindHeader keeps, as a header, whether queries were logged.
func bindHeader(prev, p []byte) []byte {
	for prev == nil {
		at := bytes.Index(p, queryTag)
		if at < 0 {
			break
		}
		var line []byte
		line, p = scan.CutLine(p[bytes.LastIndexByte(p[:at], '\n')+1:])
		var d bind
		var q bindQuery
		if bytes.Contains(line, responseTag) {
			continue
		}
		if _, message, ok := d.time(line); ok {
			if isLookup, ok := q.parse(message); isLookup && ok {
				prev = queriesLogged
			}
		}
	}
	return prev
}

var (
	queryTag    = []byte(" query: ")
	responseTag = []byte(" response: ")
	answerTag   = []byte("answer: ")
)

// time returns the time of a line in µs UTC, and what named wrote behind it: nil
// if another program wrote the line.
func (d *bind) time(line []byte) (us int64, message []byte, ok bool) {
	if len(line) > 24 && line[2] == '-' && line[6] == '-' {
		us, ok = d.parseTime(line[:24])
		return us, line[25:], ok && line[24] == ' '
	}
	us, rest, ok := d.clock.Parse(line)
	if !ok {
		return 0, nil, false
	}
	word, behind := scan.CutWord(rest)
	switch last := len(word) - 1; {
	case string(word) == "client", last >= 0 && word[last] == ':' && line[4] == '-' && !bytes.HasPrefix(word, named):
		return us, rest, true // of a file
	case last >= 0 && word[last] != ':': // a machine's name
		word, behind = scan.CutWord(behind)
	}
	if !bytes.HasPrefix(word, named) || word[len(word)-1] != ':' {
		return us, nil, true
	}
	return us, behind, true
}

var named = []byte("named")

// bindKind returns the kind of a line that is not a query; message is nil if another
// program wrote it.
func bindKind(message []byte) string {
	switch {
	case message == nil:
		return otherProgram
	case bytes.HasSuffix(message, []byte(" denied")):
		return "query that was denied"
	}
	return "message of named"
}

// parseTime parses 02-Jan-2006 15:04:05.000.
func (d *bind) parseTime(b []byte) (us int64, ok bool) {
	if [11]byte(b) != d.date {
		t, err := time.Parse("02-Jan-2006", string(b[:11]))
		if err != nil {
			return 0, false
		}
		d.date, d.start = [11]byte(b), t.UnixMicro()
	}
	const zeros, nines = 0x30303a30303a3030, 0x76767f76767f7676 // 00:00:00
	w := binary.LittleEndian.Uint64(b[12:]) ^ zeros
	h, m, s := w&15*10+w>>8&15, w>>24&15*10+w>>32&15, w>>48&15*10+w>>56
	ms := uint64(b[21]-'0')*100 + uint64(b[22]-'0')*10 + uint64(b[23]-'0')
	if (w|(w+nines))&scan.HighBits != 0 || h > 23 || m > 59 || s > 60 || b[11] != ' ' || b[20] != '.' ||
		b[21]-'0' > 9 || b[22]-'0' > 9 || b[23]-'0' > 9 {
		return 0, false
	}
	return d.clock.Local(d.start + int64(h*3600+m*60+s)*scan.Second + int64(ms)*1000)
}

// bindCategories are those of queries and responses.
var bindCategories = [...][]byte{[]byte("queries: "), []byte("responses: "), []byte("infoblox-responses: ")}

// cutTime cuts off the time that a message begins with.
func (q *bindQuery) cutTime(p []byte) []byte {
	if len(p) > 24 && p[2] == '-' && p[6] == '-' && p[24] == ' ' {
		q.time, p = p[:24], p[25:]
	}
	return p
}

// A bindQuery is what a line says about a query or, if rcode is not nil, about a
// response. time is the one of named, behind a header.
type bindQuery struct{ client, name, kind, server, rcode, time []byte }

// parse parses
//
//	queries: info: client @0x7f841c26d098 192.0.2.1#33151/key k (example.com): view v: query: example.com IN A +E(0)K (192.0.2.53)
//
// where the words before client, @0x…, /key k, (example.com) and view v: may be
// missing, or a response:
//
//	responses: info: client @0x7f841c26d098 192.0.2.1#33151 (example.com): response: example.com IN A NOERROR +E(0)K (192.0.2.53)
//
// or the form of Infoblox, in which colons and the words before client may be missing:
//
//	infoblox-responses: 02-Jan-2006 15:04:05.000 client 192.0.2.1#33151: view 1: UDP: query: example.com IN A response: NOERROR +A example.com. 300 IN A 192.0.2.9;
//
// or that of EfficientIP, whose flags may be missing, as in its queries:
//
//	client @0x7f841c26d098 192.0.2.1#33151 (example.com): answer: example.com IN A +E (192.0.2.53) -> NOERROR 300 A 192.0.2.9
//
// isLookup is false if named says something else.
//
// A client can put neither a space nor a bracket in a name: named escapes them.
func (q *bindQuery) parse(p []byte) (isLookup, ok bool) {
	p = q.cutTime(p)
	for _, category := range bindCategories {
		if rest, ok := bytes.CutPrefix(p, category); ok {
			p = rest
			break
		}
	}
	p = bytes.TrimPrefix(p, []byte("info: "))
	p = q.cutTime(p)
	p, isClient := bytes.CutPrefix(p, []byte("client "))
	if !isClient {
		return false, false
	}
	word, p := scan.CutWord(p)
	if len(word) > 0 && word[0] == '@' {
		word, p = scan.CutWord(p)
	}
	client := word
	if bytes.HasSuffix(word, []byte("/key")) {
		word, p = scan.CutWord(p)
	}
	if len(p) > 0 && p[0] == '(' {
		word, p = scan.CutWord(p)
	}
	if view, isView := bytes.CutPrefix(p, []byte("view ")); isView {
		_, p, _ = bytes.Cut(view, []byte(": "))
	}
	if transport := p[:min(len(p), 5)]; string(transport) == "UDP: " || string(transport) == "TCP: " {
		word, p = scan.CutWord(p)
	}
	if len(word) == 0 || word[len(word)-1] != ':' {
		return p == nil, false // cut off: named says all of a client behind a colon
	}
	p, isQuery := bytes.CutPrefix(p, []byte("query: "))
	isResponse, isAnswer := false, false
	if !isQuery {
		if p, isResponse = bytes.CutPrefix(p, responseTag[1:]); !isResponse {
			if p, isAnswer = bytes.CutPrefix(p, answerTag); !isAnswer {
				return false, false
			}
		}
	}
	at := scan.IndexNear(client, '#')
	if at < 0 {
		return true, false
	}
	q.client = scan.WithoutScope(client[:at])
	q.name, p = scan.CutWord(p)
	_, p = scan.CutWord(p) // class
	q.kind, p = scan.CutWord(p)
	infoblox := false
	if isQuery {
		p, infoblox = bytes.CutPrefix(p, responseTag[1:])
	}
	if isResponse || infoblox {
		if q.rcode, p = scan.CutWord(p); len(q.rcode) == 0 {
			return true, false
		}
	}
	if len(p) == 0 || p[0] != '(' || isResponse || infoblox {
		var flags []byte
		if flags, p = scan.CutWord(p); len(flags) == 0 || flags[0] != '+' && flags[0] != '-' {
			return true, false
		}
	}
	if !scan.AddressLike(q.client) || len(q.name) == 0 {
		return true, false
	}
	q.server = nil
	if len(p) > 0 && !infoblox { // not so in BIND 9.4
		word, p = scan.CutWord(p)
		if len(word) < 3 || word[0] != '(' || word[len(word)-1] != ')' {
			return true, false
		}
		q.server = scan.WithoutScope(word[1 : len(word)-1])
	}
	if isAnswer {
		if word, p = scan.CutWord(p); string(word) != "->" {
			return true, false
		}
		if q.rcode, _ = scan.CutWord(p); len(q.rcode) == 0 {
			return true, false
		}
	}
	return true, true
}
