package logs

import (
	"bytes"
	"outflow/columnar"
	"outflow/columnar/scan"
)

// Suricata decodes EVE, the JSON log of the Suricata network sensor.
var Suricata = &Format{
	Name:    "suricata",
	Origins: []columnar.Origin{{Product: "suricata"}},
	Title:   "Suricata EVE JSON",
	Doc: `Reads the events dns, http, flow, tls and quic; alerts, fileinfo, netflow, stats and
all others are counted as other, each by its event_type. Times without a zone are taken as of the zone
of the input. The event's host is the sensor's name, not the client's, and is
left out.

dns   → dns      one row for each name that is asked: dns.rrname and dns.rrtype
                 of type query (versions 1 and 2), or each of dns.queries of
                 type request (version 3). The same lookup is logged again as
                 answer or response; those are counted as dns answer, and only
                 name the addresses of connections. A sensor that is set to log
                 answers only gives no rows: let it log queries.
http  → http     http.hostname url_host, http.url url_path without the query
                 string, http.length bytes_in: the body of the response. What
                 the client sent is not logged: bytes_out is null.
flow  → network  time is flow.end, flow.bytes_toserver bytes_out,
                 flow.bytes_toclient bytes_in, app_proto, else proto, protocol;
                 flow.action (drop) action, which Suricata writes inline:
                 what was dropped was not sent. The event drop is of one
                 packet of such a flow, and counted as other.
                 Flows that have no end yet, in the state new or established,
                 and the flow objects in other events are running totals and
                 are not read.
tls   → network  tls.sni dst_host. Bytes are null, as flow has them.
quic  → network  quic.sni dst_host. Events without it, one for each packet, are
                 counted as other.

What http, flow, tls and quic say of one flow, by its flow_id, counts as one,
under the name that tls, quic or http has. They must be logs of one input.`,
	Tables:  []*columnar.Table{columnar.DNS, columnar.HTTP, columnar.Network},
	Lacks:   columnar.ColSet(columnar.User, columnar.Host, columnar.Account, columnar.Rcode, columnar.AnswersLen, columnar.Answers),
	Answers: true,
	Remedies: []Remedy{{Columns: columnar.ColSet(columnar.BytesOut, columnar.BytesIn), Text: "Enable the flow event in Suricata's eve-log: it counts bytes in both directions."},
		{Columns: columnar.ColSet(columnar.DstHost), Text: "Enable the events tls, quic, http and dns in Suricata's eve-log: they name the servers of its flows."}},
	Outer: true,
	Sniff: func(head []byte) bool {
		// Other vendors' events have a time and a type, too.
		var timestamp, event, own bool
		var kind []byte
		scan.EachKey(head, func(key []byte, val scan.Value) {
			switch string(key) {
			case "timestamp":
				timestamp = val.Is('"')
			case "event_type":
				if event = val.Is('"'); event {
					kind = bytes.Trim(val, `"`)
				}
			case "flow_id", "src_ip", "dest_ip":
				own = true
			default:
				own = own || event && bytes.Equal(key, kind)
			}
		})
		return timestamp && event && own
	},
	New: func(o *Options) (Decoder, error) {
		d := &suricata{clock: o.clock()}
		d.event = scan.ShapeOf(eveTimestamp, "timestamp", "event_type", "src_ip", "dest_ip", "dest_port", "proto", "app_proto", "dns", "http", "flow", "tls", "flow_id", "quic", "src_port")
		dns := scan.ShapeOf(eveDNSType, "type", "rrname", "rrtype", "queries", "answers", "grouped", "rdata")
		dns.Nested = 1<<eveQueries | 1<<eveAnswers | 1<<eveGrouped
		d.event.Within("dns", dns)
		d.event.Within("http", scan.ShapeOf(eveHostname, "hostname", "url", "http_method", "http_user_agent", "status", "length", "http_refer"))
		d.event.Within("flow", scan.ShapeOf(eveToServer, "bytes_toserver", "bytes_toclient", "start", "end", "action", "state", "reason"))
		d.event.Within("tls", scan.ShapeOf(eveSNI, "sni"))
		d.event.Within("quic", scan.ShapeOf(eveQUICSNI, "sni"))
		return d, nil
	},
}

// Fields of an event, in the order of the shapes that read them.
const (
	eveTimestamp = iota
	eveType
	eveSrcIP
	eveDestIP
	eveDestPort
	eveProto
	eveAppProto
	eveDNS
	eveHTTP
	eveFlow
	eveTLS
	eveFlowID
	eveQUIC
	eveSrcPort

	eveDNSType // of dns
	eveRRName
	eveRRType
	eveQueries
	eveAnswers
	eveGrouped
	eveRData

	eveHostname // of http
	eveURL
	eveMethod
	eveUserAgent
	eveStatus
	eveLength
	eveReferrer

	eveToServer // of flow
	eveToClient
	eveStart
	eveEnd
	eveAction
	eveState
	eveReason

	eveSNI     // of tls
	eveQUICSNI // of quic
	numEveFields
)

type suricata struct {
	clock   scan.Clock
	outer   outerTimes
	event   *scan.Shape
	values  [numEveFields]scan.Value
	queries scan.Walker
	answers answerList
	query   scan.Walker
	scratch []byte
	other   string            // kind of the last event that gave no row
	keptIn  *columnar.Builder // that kept is for
	kept    []eveKept
}

func (d *suricata) Decode(b *Block, out *columnar.Out, t *Tally) error {
	record := b.First
	d.outer = b.outer()
	for data := b.Data; len(data) > 0; record++ {
		var line []byte
		if line, data = scan.CutLine(data); scan.Blank(line) {
			continue
		}
		rows, reason := d.line(line, record, out, t)
		switch {
		case reason != "":
			t.Skip(record, reason)
		case rows == 0:
			t.Known(d.other)
		}
		for range rows {
			t.Row()
		}
	}
	return nil
}

// Kinds that are not an event_type.
const (
	dnsAnswer = "dns answer"
	dnsRoot   = "dns query of the root"
)

// line decodes an event and returns how many rows it gave. If it is malformed, or a query
// in it is, reason says why; if it is of another kind, d.other says which.
func (d *suricata) line(line []byte, record int64, out *columnar.Out, t *Tally) (rows int, reason string) {
	d.scratch = d.scratch[:0]
	if _, _, ok := d.event.Read(line, d.values[:]); !ok {
		return 0, notObject(line)
	}
	kind := d.text(eveType)
	var table *columnar.Table
	switch string(kind) {
	case "dns":
		table = columnar.DNS
	case "http":
		table = columnar.HTTP
	case "quic":
		if scan.Unknown(d.text(eveQUICSNI)) {
			d.other = "quic"
			return 0, ""
		}
		table = columnar.Network
	case "flow", "tls":
		table = columnar.Network
	case "":
		return 0, "no event_type"
	default:
		d.other = string(kind)
		return 0, ""
	}
	timestamp := d.text(eveTimestamp)
	us, ok := d.clock.ISO(timestamp)
	if !ok {
		if us, ok = d.outer.of(record, timestamp); !ok {
			return 0, d.clock.Fault("bad timestamp")
		}
	}
	b := out.Table(table)
	r := recordRow{b, t, record}
	switch string(kind) {
	case "dns":
		if rows, reason = d.dns(out, us, record); rows > 0 {
			r.misfits(d.event, ^uint64(0))
		}
		return rows, reason
	case "http":
		if !d.event.Value(eveHTTP).Is('{') {
			return 0, "no http object"
		}
		d.http(r)
	case "flow":
		if !d.event.Value(eveFlow).Is('{') {
			return 0, "no flow object"
		}
		if d.goesOn() {
			d.other = "flow that goes on"
			return 0, ""
		}
		us = d.flow(r, us)
	case "tls":
		if !d.event.Value(eveTLS).Is('{') {
			return 0, "no tls object"
		}
		r.SetLower(columnar.DstHost, scan.TrimDot(d.text(eveSNI)))
		d.network(r, []byte("tls"))
	case "quic":
		r.SetLower(columnar.DstHost, scan.TrimDot(d.text(eveQUICSNI)))
		d.network(r, []byte("quic"))
	}
	r.misfits(d.event, ^uint64(0))
	b.SetText(columnar.UID, d.text(eveFlowID))
	b.SetText(columnar.SrcIP, d.text(eveSrcIP))
	b.SetText(columnar.DstIP, d.text(eveDestIP))
	b.SetTime(us)
	b.Next(record)
	return 1, ""
}

// text returns the text of a field of the event; see scan.Value.Text.
func (d *suricata) text(field int) []byte { return d.event.Text(field, &d.scratch) }

func (d *suricata) dns(out *columnar.Out, us, record int64) (rows int, reason string) {
	b := out.Table(columnar.DNS)
	if !d.event.Value(eveDNS).Is('{') {
		return 0, "no dns object"
	}
	switch string(d.text(eveDNSType)) {
	case "query", "request":
	case "":
		return 0, "no dns.type"
	default:
		d.other = dnsAnswer
		if out.Answer != nil {
			d.answer(out, us)
		}
		return 0, ""
	}
	d.other = dnsRoot // if no query gives a row
	queries := d.event.Value(eveQueries)
	if !queries.Is('[') {
		name := d.text(eveRRName)
		if name == nil {
			return 0, "no dns.rrname"
		}
		return d.row(b, name, d.text(eveRRType), us, record), ""
	}
	for d.queries.Open(queries); d.queries.Next(); {
		name, rrtype := d.asked()
		if name == nil {
			reason = "no rrname in one of dns.queries"
		}
		rows += d.row(b, name, rrtype, us, record)
	}
	return rows, reason
}

// answer hands on the answer to a query: a list, or addresses by type; in version 1 one
// record. Some releases have the server, which answers, as the source.
func (d *suricata) answer(out *columnar.Out, us int64) {
	name, rrtype := d.text(eveRRName), d.text(eveRRType)
	if queries := d.event.Value(eveQueries); queries.Is('[') {
		if d.queries.Open(queries); d.queries.Next() {
			name, rrtype = d.asked()
		}
	}
	if n, ok := scan.Int(rrtype); ok {
		rrtype = []byte(scan.QueryTypeName(n))
	}
	if name = scan.TrimDot(name); len(name) == 0 || !scan.AsksAddress(rrtype) {
		return
	}
	client := d.text(eveSrcIP)
	if string(d.text(eveSrcPort)) == "53" && string(d.text(eveDestPort)) != "53" {
		client = d.text(eveDestIP)
	}
	said := d.answers.of(d.event.Value(eveAnswers))
	if len(said) == 0 {
		said = d.answers.grouped(d.event.Value(eveGrouped))
	}
	if len(said) == 0 {
		said = d.text(eveRData)
	}
	out.Answer(us, client, name, said)
}

// asked returns the name and the type of the query that d.queries is at, nil if
// it has none.
func (d *suricata) asked() (name, rrtype []byte) {
	w := &d.query
	for w.Open(d.queries.Val); w.InObject() && w.Next(); {
		switch string(w.Key) {
		case "rrname":
			name = w.Text(&d.scratch)
		case "rrtype":
			rrtype = w.Text(&d.scratch)
		}
	}
	return name, rrtype
}

// row puts the row of a query, unless it asks for the root.
func (d *suricata) row(b *columnar.Builder, name, rrtype []byte, us, record int64) (rows int) {
	name = scan.TrimDot(name)
	if len(name) == 0 {
		return 0
	}
	b.SetText(columnar.SrcIP, d.text(eveSrcIP))
	b.SetText(columnar.DstIP, d.text(eveDestIP))
	b.SetQuery(name)
	if n, ok := scan.Int(rrtype); ok {
		rrtype = []byte(scan.QueryTypeName(n))
	}
	b.SetText(columnar.QueryType, rrtype)
	b.SetTime(us)
	b.Next(record)
	return 1
}

func (d *suricata) http(r recordRow) {
	method := d.text(eveMethod)
	host, path := scan.RequestTarget(method, d.text(eveURL))
	if len(host) == 0 {
		host = scan.URLHost(d.text(eveHostname))
	}
	r.SetText(columnar.Method, method)
	r.SetLower(columnar.URLHost, host)
	r.SetText(columnar.URLPath, path)
	r.SetText(columnar.UserAgent, d.text(eveUserAgent))
	r.setCount(columnar.StatusCode, d.text(eveStatus), "bad http.status")
	r.setCount(columnar.BytesIn, d.text(eveLength), "bad http.length")
	if r.WantsFields() {
		d.fields(r.Builder)
	}
}

// An eveKept is a field of a request that rules read beside columns.
type eveKept struct {
	name  []byte
	field int
	part  scan.URIPart
}

// fields sets what rules read of a request beside columns.
func (d *suricata) fields(b *columnar.Builder) {
	if d.keptIn != b {
		d.keptIn, d.kept = b, d.kept[:0]
		for _, name := range b.FieldNames() {
			if part, ok := uriPartNamed(name); ok {
				d.kept = append(d.kept, eveKept{[]byte(name), eveURL, part})
			} else if isReferrer(name) {
				d.kept = append(d.kept, eveKept{name: []byte(name), field: eveReferrer})
			}
		}
	}
	for _, k := range d.kept {
		if text := k.part.Of(d.text(k.field)); len(text) > 0 {
			b.SetField(k.name, text)
		}
	}
}

// flow returns the time at which the flow ended. If the event does not say it, that is
// the event's time, which comes after a timeout.
func (d *suricata) flow(r recordRow, timestamp int64) (us int64) {
	us = timestamp
	if end := d.text(eveEnd); !scan.Unknown(end) {
		if ended, ok := d.clock.ISO(end); !ok {
			r.tally.Clear(r.record, "bad flow.end: timestamp is taken for the time")
		} else {
			us = ended
			if began, ok := d.clock.ISO(d.text(eveStart)); ok && began <= us {
				r.SetInt(columnar.Duration, us-began)
			} else if !scan.Unknown(d.text(eveStart)) {
				r.tally.Clear(r.record, "bad flow.start, or after flow.end")
			}
		}
	}
	protocol := d.text(eveAppProto)
	if string(protocol) == "failed" || string(protocol) == "unknown" {
		protocol = nil
	}
	r.setCount(columnar.BytesOut, d.text(eveToServer), "bad flow.bytes_toserver")
	r.setCount(columnar.BytesIn, d.text(eveToClient), "bad flow.bytes_toclient")
	r.SetText(columnar.Action, d.text(eveAction))
	d.network(r, protocol)
	return us
}

// goesOn reports whether a flow has not ended: its counters are running totals of what
// the flow that ends tells. The state alone does not say: a flow that nobody answered
// ends as new.
func (d *suricata) goesOn() bool {
	if !scan.Unknown(d.text(eveEnd)) || !scan.Unknown(d.text(eveReason)) {
		return false
	}
	state := d.text(eveState)
	return string(state) == "new" || string(state) == "established"
}

func (d *suricata) network(r recordRow, protocol []byte) {
	if len(protocol) == 0 {
		protocol = d.text(eveProto)
	}
	r.setCount(columnar.DstPort, d.text(eveDestPort), "bad dest_port")
	r.SetLower(columnar.Protocol, protocol)
}
