package logs

import (
	"bytes"
	"errors"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Dnsmasq decodes the query log of dnsmasq, which is also the log of Pi-hole.
var Dnsmasq = &Format{
	Name:    "dnsmasq",
	Origins: []columnar.Origin{{Product: "dnsmasq"}},
	Title:   "dnsmasq and Pi-hole query log",
	Doc: `Written with log-queries, log-queries=extra or log-queries=proto, to a file, through
syslog, or as OpenWrt's logread prints it. Each query line is a row; what was forwarded,
cached, replied, validated or configured, and what other programs wrote to the same
syslog, counts as other. Replies are not rows: they only name the addresses of
connections. A reply belongs to the client that its line names (extra, proto), else to the
last client that asked for the name.

Times have no year and no zone: the year comes from when the object was written,
the zone from the options. A name that a client sent in odd bytes is logged as
"<name unprintable>": such queries are counted, and nothing else is known of them.`,
	Shared:  true,
	Tables:  []*columnar.Table{columnar.DNS},
	Lacks:   columnar.ColSet(columnar.User, columnar.Host, columnar.Account, columnar.Rcode, columnar.AnswersLen, columnar.Answers, columnar.DstIP),
	Answers: true,
	Masks:   "as <name unprintable>, all of a client together: only how many there are is known",
	Syslog:  true,
	Sniff: func(head []byte) bool {
		d := dnsmasq{syslog: scan.SyslogClock{Written: scan.AnyYear}}
		lines := 0
		for line := range bytes.Lines(head) {
			if lines++; lines > 32 {
				break
			}
			if _, message, ok := d.syslog.Parse(line); ok {
				if program, _, _ := dnsmasqMessage(message); program != nil {
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
		return &dnsmasq{syslog: scan.SyslogClock{Clock: o.clock(), Written: o.Written}}, nil
	},
}

type dnsmasq struct {
	syslog scan.SyslogClock
	rows   lookups
	// The last queries of the block, for the replies to them, and how many there were.
	asked   [dnsmasqDialogues]dnsmasqAsked
	queries int
	alias   []byte // the name asked for, if the replies before said that it is an alias
}

// A dnsmasqAsked is what a client asked for.
type dnsmasqAsked struct{ client, name []byte }

// dnsmasqDialogues is how many queries may be open at a time. With more, a reply may go to
// a client that asked long before; with fewer, a busy resolver's replies go to none.
const dnsmasqDialogues = 64

func (d *dnsmasq) Decode(b *Block, out *columnar.Out, t *Tally) error {
	rows, l := out.Table(columnar.DNS), &d.rows
	record := b.First
	clear(d.asked[:])
	d.queries, d.alias = 0, nil
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
		us, message, ok := d.syslog.Parse(line)
		if !ok {
			t.Skip(record, d.syslog.Fault("bad time"))
			continue
		}
		program, event, from := dnsmasqMessage(message)
		query, isQuery := bytes.CutPrefix(event, queryWord)
		if !isQuery {
			if out.Answer != nil && program != nil {
				d.reply(out, us, event, from)
			}
			if kind := dnsmasqKind(program, event); kind != "" {
				t.Known(kind)
			} else {
				t.Skip(record, "malformed query line")
			}
			continue
		}
		client, name, kind := dnsmasqQuery(query)
		if client == nil {
			t.Skip(record, "malformed query line")
			continue
		}
		t.Row()
		if out.Answer != nil && scan.AsksAddress(kind) {
			d.asked[d.queries%dnsmasqDialogues] = dnsmasqAsked{client, name}
			d.queries++
			d.alias = nil
		}
		if bytes.Equal(name, unprintable) {
			t.Masked++
		}
		if number, isNumber := bytes.CutPrefix(kind, []byte("type=")); isNumber {
			l.put(rows, b.Data)
			rows.SetTime(us)
			rows.SetText(columnar.SrcIP, client)
			rows.SetText(columnar.QueryType, append([]byte("TYPE"), number...)) // as BIND and Unbound write it
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
	end := scan.IndexNear(p, ']')
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
	client = scan.WithoutScope(p[at+1:])
	if !isFrom || len(name) == 0 || !scan.AddressLike(client) {
		return nil, nil, nil
	}
	return client, name, kind
}

// reply hands on what a line like "reply example.com is 192.0.2.1" says. Each alias of a
// chain has a line, "reply www.example.com is <CNAME>", and then the addresses under the last
// name. from is the client that the line names; nil: none.
func (d *dnsmasq) reply(out *columnar.Out, us int64, event, from []byte) {
	word, rest := scan.CutWord(event)
	if w := string(word); w != "reply" && w != "cached" && w != "cached-stale" {
		d.alias = nil
		return
	}
	name, answer, ok := bytes.Cut(rest, isWord)
	if !ok {
		return
	}
	owner, client := name, from
	for i := range min(d.queries, dnsmasqDialogues) {
		// The names of an alias are not asked for, so they go under the name that was.
		a := &d.asked[(d.queries-1-i)%dnsmasqDialogues]
		if asked := bytes.EqualFold(a.name, name); (asked || d.alias != nil && bytes.EqualFold(a.name, d.alias)) && (from == nil || bytes.Equal(a.client, from)) {
			owner, client = a.name, a.client
			break
		}
	}
	if string(answer) == "<CNAME>" {
		d.alias = owner
		return
	}
	if client != nil && scan.AddressLike(answer) {
		out.Answer(us, client, owner, answer)
	}
}

var isWord = []byte(" is ")

// dnsmasqKinds are the first words of what dnsmasq writes about a name, except for
// queries.
var dnsmasqKinds = [...]string{"forwarded", "reply", "cached", "cached-stale", "config", "validation", "auth", "dnssec-query", "dnssec-retry",
	"DHCP", "gravity", "exactly", "regex", "special", "Rate-limiting", "nameserver"}

// dnsmasqKind returns what kind of line one is that does not begin like a query; ""
// if it is a query all the same, in a form that is not known. What a client wrote, a
// name, is never in the first word of an event.
func dnsmasqKind(program, event []byte) string {
	if program == nil {
		return otherProgram
	}
	first, _ := scan.CutWord(event)
	word, _, _ := bytes.Cut(first, []byte{'['}) // dnssec-query[DS]
	for _, kind := range dnsmasqKinds {
		if string(word) == kind {
			return kind
		}
	}
	switch {
	case len(first) > 0 && first[0] == '/':
		return "name of a file of hosts"
	case bytes.Contains(event, queryWord):
		return ""
	}
	return "message of dnsmasq"
}

// dnsmasqMessage splits "dnsmasq[71]: UDP 12 192.0.2.1/5353 query[A] …", with the
// name of a machine before it or not, into program, event and the address of the client, if
// it has one. program is nil if another one wrote the line.
func dnsmasqMessage(p []byte) (program, event, from []byte) {
	tag, rest, ok := bytes.Cut(p, []byte(": "))
	if !ok {
		return nil, nil, nil
	}
	if at := bytes.LastIndexByte(tag, ' '); at >= 0 {
		tag = tag[at+1:]
	}
	if name, _, _ := bytes.Cut(tag, []byte{'['}); string(name) != "dnsmasq" && string(name) != "pihole-FTL" {
		return nil, nil, nil
	}
	// log-queries=extra: a serial number and the client's address and port, in
	// brackets or not; =proto: with the transport before them.
	extra := bytes.TrimPrefix(rest, []byte("["))
	if p, ok := bytes.CutPrefix(extra, []byte("UDP ")); ok {
		extra = p
	} else if p, ok := bytes.CutPrefix(extra, []byte("TCP ")); ok {
		extra = p
	}
	digits := 0
	for digits < len(extra) && '0' <= extra[digits] && extra[digits] <= '9' {
		digits++
	}
	if digits > 0 && digits < len(extra) && extra[digits] == ' ' {
		if client, event, ok := bytes.Cut(extra[digits+1:], []byte(" ")); ok && bytes.IndexByte(client, '/') > 0 {
			return tag, event, scan.WithoutScope(client[:bytes.IndexByte(client, '/')])
		}
	}
	return tag, rest, nil
}
