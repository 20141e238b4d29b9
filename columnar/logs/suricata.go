package logs

import (
	"bytes"

	"outflow/columnar"
)

// Suricata decodes EVE, the JSON log of the Suricata network sensor.
var Suricata = &Format{
	Name:  "suricata",
	Title: "Suricata EVE JSON",
	Doc: `Reads the events dns, http, flow and tls; alerts, fileinfo, netflow, stats and
all others are counted as other. Times without a zone are taken as of the zone
of the input. The event's host is the sensor's name, not the client's, and is
left out.

dns   → dns      one row for each name that is asked: dns.rrname and dns.rrtype
                 of type query (versions 1 and 2), or each of dns.queries of
                 type request (version 3). The same lookup is logged again as
                 answer or response; those are counted as other, so response
                 codes and answers are not read. A sensor that is set to log
                 answers only gives no rows: let it log queries.
http  → http     http.hostname url_host, http.url url_path without the query
                 string, http.length bytes_in: the body of the response. What
                 the client sent is not logged: bytes_out is null.
flow  → network  time is flow.end, flow.bytes_toserver bytes_out,
                 flow.bytes_toclient bytes_in, app_proto, else proto, protocol.
                 The flow objects in other events are running totals and are
                 not read.
tls   → network  tls.sni dst_host. Bytes are null, as flow has them.`,
	Tables: []*columnar.Table{columnar.DNS, columnar.HTTP, columnar.Network},
	Lacks:  columnar.ColSet(columnar.User, columnar.Host, columnar.Action, columnar.Rcode, columnar.AnswersLen),
	Sniff: func(head []byte) bool {
		var timestamp, event bool
		eachKey(head, func(key []byte, val value) {
			switch string(key) {
			case "timestamp":
				timestamp = val.is('"')
			case "event_type":
				event = val.is('"')
			}
		})
		return timestamp && event
	},
	New: func(o *Options) (Decoder, error) {
		return &suricata{clock: clock{zone: o.Location()}}, nil
	},
}

type suricata struct {
	clock   clock
	event   suricataEvent
	outer   walker
	inner   walker
	queries walker
	scratch []byte
}

// A suricataEvent is what is read of the members of an event.
type suricataEvent struct {
	timestamp, eventType, srcIP, destIP, destPort, proto, appProto []byte

	dns, http, flow, tls value
}

func (d *suricata) Decode(b *Block, out *columnar.Out, t *Tally) error {
	record := b.First
	for data := b.Data; len(data) > 0; record++ {
		var line []byte
		line, data = cutLine(data)
		rows, reason := d.line(line, record, out)
		switch {
		case reason != "":
			t.Skip(record, reason)
		case rows == 0:
			t.Pass()
		}
		for range rows {
			t.Row()
		}
	}
	return nil
}

// line decodes an event and returns how many rows it gave. If it is malformed
// it gives none, and reason says why.
func (d *suricata) line(line []byte, record int64, out *columnar.Out) (rows int, reason string) {
	if blank(line) {
		return 0, ""
	}
	if !d.read(line) {
		return 0, malformedJSON
	}
	e := &d.event
	var table *columnar.Table
	switch string(e.eventType) {
	case "dns":
		table = columnar.DNS
	case "http":
		table = columnar.HTTP
	case "flow", "tls":
		table = columnar.Network
	case "":
		return 0, "no event_type"
	default:
		return 0, ""
	}
	us, ok := d.clock.parseISO(e.timestamp)
	if !ok {
		return 0, "bad timestamp"
	}
	b := out.Table(table)
	switch string(e.eventType) {
	case "dns":
		return d.dns(b, us, record)
	case "http":
		reason = d.http(b)
	case "flow":
		us, reason = d.flow(b, us)
	case "tls":
		reason = d.tls(b)
	}
	if reason != "" {
		b.Drop()
		return 0, reason
	}
	b.SetText(columnar.SrcIP, e.srcIP)
	b.SetText(columnar.DstIP, e.destIP)
	b.SetTime(us)
	b.Next(record)
	return 1, ""
}

// read fills d.event. It returns false if the line is no sound JSON object.
func (d *suricata) read(line []byte) bool {
	d.event = suricataEvent{}
	d.scratch = d.scratch[:0]
	e, w := &d.event, &d.outer
	w.open(line)
	for w.next() {
		switch string(w.key) {
		case "timestamp":
			e.timestamp = w.text(&d.scratch)
		case "event_type":
			e.eventType = w.text(&d.scratch)
		case "src_ip":
			e.srcIP = w.text(&d.scratch)
		case "dest_ip":
			e.destIP = w.text(&d.scratch)
		case "dest_port":
			e.destPort = w.text(&d.scratch)
		case "proto":
			e.proto = w.text(&d.scratch)
		case "app_proto":
			e.appProto = w.text(&d.scratch)
		case "dns":
			e.dns = w.val
		case "http":
			e.http = w.val
		case "flow":
			e.flow = w.val
		case "tls":
			e.tls = w.val
		}
	}
	return w.doneObject()
}

// into starts at an object within the event, which read has found sound.
func (d *suricata) into(v value) (w *walker, ok bool) {
	d.inner.open(v)
	return &d.inner, v.is('{')
}

func (d *suricata) dns(b *columnar.Builder, us, record int64) (rows int, reason string) {
	w, ok := d.into(d.event.dns)
	if !ok {
		return 0, "no dns object"
	}
	var kind, name, rrtype []byte
	var queries value
	for w.next() {
		switch string(w.key) {
		case "type":
			kind = w.text(&d.scratch)
		case "rrname":
			name = w.text(&d.scratch)
		case "rrtype":
			rrtype = w.text(&d.scratch)
		case "queries":
			queries = w.val
		}
	}
	switch string(kind) {
	case "query", "request":
	case "":
		return 0, "no dns.type"
	default:
		return 0, ""
	}
	if !queries.is('[') {
		return d.query(b, name, rrtype, us, record), ""
	}
	for d.queries.open(queries); d.queries.next(); {
		w, ok := d.into(d.queries.val)
		if !ok {
			continue
		}
		name, rrtype = nil, nil
		for w.next() {
			switch string(w.key) {
			case "rrname":
				name = w.text(&d.scratch)
			case "rrtype":
				rrtype = w.text(&d.scratch)
			}
		}
		rows += d.query(b, name, rrtype, us, record)
	}
	return rows, ""
}

// query gives a row, unless the name is that of the root.
func (d *suricata) query(b *columnar.Builder, name, rrtype []byte, us, record int64) (rows int) {
	name = bytes.TrimSuffix(name, dot)
	if len(name) == 0 {
		return 0
	}
	b.SetText(columnar.SrcIP, d.event.srcIP)
	b.SetText(columnar.DstIP, d.event.destIP)
	b.SetQuery(name)
	if n, ok := parseInt(rrtype); ok {
		rrtype = []byte(queryTypeName(n))
	}
	b.SetText(columnar.QueryType, rrtype)
	b.SetTime(us)
	b.Next(record)
	return 1
}

func (d *suricata) http(b *columnar.Builder) (reason string) {
	w, ok := d.into(d.event.http)
	if !ok {
		return "no http object"
	}
	var hostname, url, method, agent, status, length []byte
	for w.next() {
		switch string(w.key) {
		case "hostname":
			hostname = w.text(&d.scratch)
		case "url":
			url = w.text(&d.scratch)
		case "http_method":
			method = w.text(&d.scratch)
		case "http_user_agent":
			agent = w.text(&d.scratch)
		case "status":
			status = w.text(&d.scratch)
		case "length":
			length = w.text(&d.scratch)
		}
	}
	code, ok1 := countOf(status)
	bytesIn, ok2 := countOf(length)
	if !ok1 || !ok2 {
		return "bad http.status or http.length"
	}
	host, path := requestTarget(method, url)
	if len(host) == 0 {
		host = urlHost(hostname)
	}
	b.SetText(columnar.Method, method)
	b.SetLower(columnar.URLHost, host)
	b.SetText(columnar.URLPath, path)
	b.SetText(columnar.UserAgent, agent)
	setCount(b, columnar.StatusCode, code)
	setCount(b, columnar.BytesIn, bytesIn)
	return ""
}

// flow returns the time at which the flow ended; that of the event, which comes
// after a timeout, if it does not say.
func (d *suricata) flow(b *columnar.Builder, timestamp int64) (us int64, reason string) {
	w, ok := d.into(d.event.flow)
	if !ok {
		return 0, "no flow object"
	}
	var toServer, toClient, start, end []byte
	for w.next() {
		switch string(w.key) {
		case "bytes_toserver":
			toServer = w.text(&d.scratch)
		case "bytes_toclient":
			toClient = w.text(&d.scratch)
		case "start":
			start = w.text(&d.scratch)
		case "end":
			end = w.text(&d.scratch)
		}
	}
	bytesOut, ok1 := countOf(toServer)
	bytesIn, ok2 := countOf(toClient)
	if !ok1 || !ok2 {
		return 0, "bad flow.bytes_toserver or flow.bytes_toclient"
	}
	us = timestamp
	if end != nil {
		if us, ok = d.clock.parseISO(end); !ok {
			return 0, "bad flow.end"
		}
		if began, ok := d.clock.parseISO(start); ok && began <= us {
			b.SetInt(columnar.Duration, us-began)
		}
	}
	protocol := d.event.appProto
	if string(protocol) == "failed" || string(protocol) == "unknown" {
		protocol = nil
	}
	setCount(b, columnar.BytesOut, bytesOut)
	setCount(b, columnar.BytesIn, bytesIn)
	return us, d.network(b, protocol)
}

func (d *suricata) tls(b *columnar.Builder) (reason string) {
	w, ok := d.into(d.event.tls)
	if !ok {
		return "no tls object"
	}
	var sni []byte
	for w.next() {
		if string(w.key) == "sni" {
			sni = w.text(&d.scratch)
		}
	}
	b.SetLower(columnar.DstHost, bytes.TrimSuffix(sni, dot))
	return d.network(b, []byte("tls"))
}

func (d *suricata) network(b *columnar.Builder, protocol []byte) (reason string) {
	port, ok := countOf(d.event.destPort)
	if !ok {
		return "bad dest_port"
	}
	if len(protocol) == 0 {
		protocol = d.event.proto
	}
	setCount(b, columnar.DstPort, port)
	b.SetLower(columnar.Protocol, protocol)
	return ""
}
