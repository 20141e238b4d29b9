package logs

import (
	"bytes"
	"math"
	"math/bits"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Zeek decodes the logs of the Zeek (formerly Bro) network sensor.
var Zeek = &Format{
	Name:    "zeek",
	Origins: []columnar.Origin{{Product: "zeek"}},
	Title:   "Zeek logs, TSV or JSON",
	Doc: `Reads conn, dns, http, ssl and quic logs in Zeek's own TSV form, whatever its
separators and the order of its #fields, and in JSON with dotted (id.orig_h) or
underlined (id_orig_h) keys. Logs may be concatenated, and JSON of several logs
mixed. Which log a line is of is told by #path, _path or @stream, never by the
name of the file; where none of them is there, by the fields: query with
a type, a code, trans_id or answers is dns, conn_state or bytes of both sides are conn, established is ssl,
client_initial_dcid is quic, trans_depth with both body lengths or host with uri, and nothing of SIP or SMTP, is http,
and a server_name left over is ssl. So tables are read whose header is names alone, as zeek-cut -m and
exports write them.

dns     → dns      id.orig_h src_ip, id.resp_h dst_ip, query, qtype_name (else
                   qtype) query_type, rcode_name rcode, answers answers and
                   answers_len.
                   Lines without a query are counted as other.
http    → http     host or the host in uri url_host, uri url_path without the
                   query string, request_body_len bytes_out,
                   response_body_len bytes_in, username user. Bodies only: the
                   sensor does not count headers. Those of a CONNECT
                   are null: conn has what the tunnel carried, and
                   counts it as staying inside if the proxy does. Read
                   the log of such a proxy too.
conn    → network  time is the end, ts + duration, as that is when Zeek writes
                   the line; orig_bytes bytes_out and resp_bytes bytes_in, but
                   no more than orig_ip_bytes and resp_ip_bytes: the former
                   come from TCP sequence numbers and can be wrong by
                   gigabytes; service, else proto, protocol. What nobody
                   answered or a host refused (S0, REJ) was sent: no state
                   says that somebody between blocked it.
ssl     → network  server_name dst_host. Bytes are null, as conn has them.
quic    → network  the same.
kerberos → event   client user, id.orig_h src_ip, of those that succeeded and
                   are no service's.
dhcp    → event    assigned_addr src_ip, host_name host.

Lines of the last two are rows only if something reads who had an address, as
outflow run and scan do; else they are counted as other.

What conn, http, ssl and quic say of one connection, by its uid, counts as one,
under the name that ssl, quic or http has. They must be logs of one input.

All other logs are counted as other, under their path, else the name of the
object, else by a field that only one log has. Among them are open_conn,
open_http, open_ssl and conn_long, whose counters are running totals of what
conn, http and ssl tell in the end. Totals in lines that name their path conn
count once a day, as they have the uid of the connection. The sensor's own name (_system_name, @system) is not the
client's host and is left out. Long connections appear when they close.

Rules read, beside columns, fields that hold one value: flags and Z of dns, history
and packets of conn, ja3, cipher and certificates of ssl, and the log by _path.`,
	Tables: []*columnar.Table{columnar.DNS, columnar.HTTP, columnar.Network, columnar.Event},
	Lacks:  columnar.ColSet(columnar.Account, columnar.Action),
	Remedies: []Remedy{{Columns: columnar.ColSet(columnar.BytesOut, columnar.BytesIn), Text: "Keep Zeek's conn.log beside this log: it counts bytes in both directions."},
		{Columns: columnar.ColSet(columnar.DstHost), Text: "Give the input Zeek's ssl.log, quic.log, http.log and dns.log too: they name the servers of conn.log's connections."}},
	Sniff:  sniffZeek,
	Outer:  true,
	Header: zeekHeader,
	New: func(o *Options) (Decoder, error) {
		d := &zeek{clock: o.clock()}
		d.shape = scan.NewShape(func(key []byte) int {
			if f, ok := zeekFieldNamed(key); ok {
				return int(f)
			}
			return -1
		})
		// Fluentd and others nest what has dots.
		d.shape.Nested = 1 << zeekAnswers
		d.shape.Within("id", scan.ShapeOf(int(zeekOrigHost), "orig_h", "resp_h", "resp_p", "orig_p"))
		d.named, d.running = zeekLogOfName(o.Name)
		d.tsv.reset()
		return d, nil
	},
}

func sniffZeek(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n")
	for _, directive := range []string{"#separator", "#set_separator", "#empty_field", "#unset_field", "#path", "#open", "#fields"} {
		if rest, ok := bytes.CutPrefix(head, []byte(directive)); ok && len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
			return true
		}
	}
	var ts, path, id, sensor, signed bool
	scan.EachKey(head, func(key []byte, val scan.Value) {
		switch string(key) {
		case "ts":
			ts = !val.Is('{') && !val.Is('[')
		case "_path", "@stream":
			path = path || val.Is('"')
		case "name":
			// loaded_scripts has no other key.
			path = path || val.Is('"') && isZeekScript(bytes.Trim(val, `"`))
		case "id":
			id = id || val.Is('{')
		case "uid":
			id = id || val.Is('"') && isZeekUID(bytes.Trim(val, `"`))
		case "fuid", "uids", "id.orig_h", "id_orig_h", "certificate.version":
			id = true
		case "peer", "node":
			sensor = true // many logs have such a key
		}
		signed = signed || zeekLogOfField(key, nil) != ""
	})
	return path || ts && (id || sensor && signed)
}

// A zeek decodes lines of both forms. Each line becomes cells first, so that
// both share what makes rows of them.
type zeek struct {
	clock   scan.Clock
	outer   outerTimes
	header  []byte // that tsv was made of
	tsv     zeekTSV
	out     *columnar.Out // that the plan was made for
	shape   *scan.Shape
	values  [numZeekFields]scan.Value // of a JSON line
	reads   [numZeekLogs]uint64       // by log: the fields that are read of JSON for out
	kept    [numZeekLogs][]zeekKept
	set     uint64                // cells that are set from JSON
	cells   [numZeekFields][]byte // nil: not said; text is unescaped, answers is raw
	json    bool                  // cells come from JSON
	flat    bool                  // but the answers are a text with commas, as in a cell of a table
	named   string                // the log that the object's name is of; "": none that Zeek has
	running bool                  // it holds running totals
	other   string                // kind of the last line that gave no row
	scratch []byte
	rows    zeekRows
	walker  scan.Walker // over the answers of a JSON line
	answer  []byte
}

func (d *zeek) Decode(b *Block, out *columnar.Out, t *Tally) error {
	if !bytes.Equal(d.header, b.Header) {
		d.header = append(d.header[:0], b.Header...)
		d.tsv.reset()
		for line, rest := scan.CutLine(d.header); len(line) > 0; line, rest = scan.CutLine(rest) {
			d.tsv.directive(line)
		}
	}
	if d.out != out {
		d.out, d.tsv.ready = out, false
		clear(d.reads[:])
	}
	record := b.First
	d.outer = b.outer()
	for data := b.Data; len(data) > 0; {
		if data[0] == '{' {
			if size, n := d.objects(data, record, t); n > 0 {
				data, record = data[size:], record+int64(n)
				continue
			}
			var line []byte
			line, data = scan.CutLine(data)
			d.count(line, record, t)
			record++
			continue
		}
		size, records := d.table(data, record, t)
		data, record = data[size:], record+records
	}
	return nil
}

// count decodes a line and accounts for it.
func (d *zeek) count(line []byte, record int64, t *Tally) {
	if len(line) == 0 || d.tsv.fault != "" && scan.Blank(line) {
		return
	}
	switch row, reason := d.line(line, record, t); {
	case row:
		t.Row()
	case reason != "":
		t.Skip(record, reason)
	default:
		t.Known(d.other)
	}
}

// line decodes a line. If it is not a row, reason says why it is malformed, or d.other
// names its kind.
func (d *zeek) line(line []byte, record int64, t *Tally) (row bool, reason string) {
	var log zeekLog
	switch line[0] {
	case '{':
		if log, reason = d.readJSON(line); reason != "" {
			return false, reason
		}
	case '#':
		// The header in force for the next block is found again by
		// zeekHeader; this keeps it in step within the block.
		d.header = append(d.header[:0], zeekWith(d.header, line)...)
		d.tsv.directive(line)
		d.other = "header"
		return false, ""
	default:
		if log, reason = d.readTSV(line); reason != "" {
			return false, reason
		}
	}
	if log == zeekOther {
		return false, ""
	}
	us, ok := d.time(d.cells[zeekTS])
	outer := int64(NoTime)
	if !ok {
		if us, ok = d.outer.of(record, d.cells[zeekTS]); !ok {
			return false, d.clock.Fault("bad ts")
		}
		outer = us
	}
	b := d.out.Table(log.table())
	r := recordRow{b, t, record}
	switch log {
	case zeekDNS:
		if !d.dns(r) {
			b.Drop()
			if v := d.values[zeekQuery]; d.json && d.set>>zeekQuery&1 != 0 && (v.Is('{') || v.Is('[')) {
				return false, "query is a list or an object"
			}
			d.other = "dns record without a query"
			return false, ""
		}
	case zeekHTTP:
		d.http(r)
	case zeekConn:
		if us, reason = d.conn(r, us); reason != "" {
			b.Drop()
			return false, reason
		}
		if outer != NoTime {
			us = outer // when it was written, which is at its end
		}
	case zeekSSL, zeekQUIC:
		d.serverName(r, log)
	case zeekKerberos, zeekDHCP:
		if !d.event(b, log) {
			b.Drop()
			d.other = zeekLogNames[log]
			return false, ""
		}
	}
	if d.json && len(d.shape.Misfits()) > 0 {
		r.misfits(d.shape, zeekReadOf(log))
	}
	for _, k := range d.kept[log] {
		if k.field == zeekPath {
			b.SetField([]byte(k.name), []byte(zeekLogNames[log]))
		} else if text := k.part.Of(d.cells[k.field]); len(text) > 0 {
			b.SetField([]byte(k.name), text)
		}
	}
	b.SetTime(us)
	b.Next(record)
	return true, ""
}

func (d *zeek) readTSV(line []byte) (log zeekLog, reason string) {
	h := &d.tsv
	if !h.ready {
		d.makePlan()
		clear(d.cells[:])
	} else if d.json {
		clear(d.cells[:])
	}
	d.json = false
	if h.fault != "" {
		return zeekOther, h.fault
	}
	if h.split(line) != h.fields {
		return zeekOther, "wrong number of fields"
	}
	d.scratch = d.scratch[:0]
	for _, c := range h.plan {
		start := int32(0)
		if c.at > 0 {
			start = h.ends[c.at-1] + 1
		}
		cell := line[start:h.ends[c.at]]
		switch {
		case len(cell) == len(h.unset) && string(cell) == string(h.unset):
			cell = nil
		case len(cell) == len(h.empty) && string(cell) == string(h.empty):
			cell = cell[:0]
		case c.field != zeekAnswers && bytes.IndexByte(cell, '\\') >= 0:
			at := len(d.scratch)
			d.scratch = zeekUnescape(d.scratch, cell)
			cell = d.scratch[at:]
		}
		d.cells[c.field] = cell
	}
	d.other = h.kind
	return h.log, h.unknown
}

// kindOf returns the kind of a line whose log gives no rows: its path, else what the
// object's name begins with, else the log that alone has one of the fields. Where a
// line says none of these, its kind is not known.
func (d *zeek) kindOf(path []byte, signed string) (kind, reason string) {
	switch {
	case d.running: // its lines may name the path that they are the totals of
		return d.named, ""
	case len(path) > 0 && string(path) == d.other:
		return d.other, "" // no copy for each line
	case len(path) > 0:
		return string(path), ""
	case d.named != "":
		return d.named, ""
	case signed != "":
		return signed, ""
	}
	return "", "of no log that is known: neither _path nor the fields of one"
}

func (d *zeek) readJSON(line []byte) (log zeekLog, reason string) {
	if !d.json {
		clear(d.cells[:])
		d.json, d.set = true, 0
	}
	for ; d.set != 0; d.set &= d.set - 1 {
		d.cells[bits.TrailingZeros64(d.set)] = nil
	}
	has, escaped, ok := d.shape.Read(line, d.values[:])
	if !ok {
		return zeekOther, notObject(line)
	}
	line = d.shape.Object()
	d.scratch = d.scratch[:0]
	log = d.logOf(has)
	var path []byte
	if has>>zeekPath&1 != 0 {
		if path = d.values[zeekPath].Text(&d.scratch); path != nil {
			log = d.logNamed(path)
		}
	}
	if log == zeekOther {
		signed := ""
		if len(path) == 0 && d.named == "" {
			scan.EachKey(line, func(key []byte, val scan.Value) {
				if log := zeekLogOfField(key, val.Text(&d.scratch)); log != "" {
					signed = log
				}
			})
		}
		d.other, reason = d.kindOf(path, signed)
		return zeekOther, reason
	}
	d.set, d.flat = has&d.wants(log), false
	for set := d.set; set != 0; set &= set - 1 {
		f := bits.TrailingZeros64(set)
		v := d.values[f]
		switch {
		case string(v) == zeekUnset:
		case f == int(zeekAnswers) && v.Is('"'):
			d.flat = true
			if d.cells[f] = v.Text(&d.scratch); string(d.cells[f]) == "(empty)" {
				d.cells[f] = d.cells[f][:0]
			}
		case f == int(zeekAnswers):
			d.cells[f] = v
		case v[0] == '"' && escaped>>f&1 == 0:
			d.cells[f] = v[1 : len(v)-1]
		default:
			d.cells[f] = v.Text(&d.scratch)
		}
	}
	return log, ""
}

// makePlan finds out what of a TSV line is to be read.
func (d *zeek) makePlan() {
	h := &d.tsv
	h.ready, h.log, h.kind, h.unknown, h.plan, h.ends = true, zeekOther, "", "", h.plan[:0], h.ends[:0]
	if h.fault != "" {
		return
	}
	if h.path != nil {
		h.log = d.logNamed(h.path)
	} else {
		var has uint64
		for f, at := range h.at {
			if at >= 0 {
				has |= 1 << f
			}
		}
		h.log = d.logOf(has)
	}
	if h.log == zeekOther {
		h.kind, h.unknown = d.kindOf(h.path, h.signed)
		return
	}
	for set := d.wants(h.log); set != 0; set &= set - 1 {
		f := bits.TrailingZeros64(set)
		at := h.at[f]
		if at < 0 {
			continue
		}
		h.plan = append(h.plan, zeekCell{int32(at), zeekField(f)})
		for len(h.ends) <= at {
			h.ends = append(h.ends, 0)
		}
	}
}

// zeekReadOf returns the fields that columns are made of in lines of a log.
func zeekReadOf(log zeekLog) (fields uint64) {
	for _, r := range zeekReads[log] {
		fields |= 1 << r.field
	}
	return fields
}

// wants returns the fields that are read of lines of a log.
func (d *zeek) wants(log zeekLog) uint64 {
	if d.reads[log] == 0 {
		table := d.out.Table(log.table())
		for _, r := range zeekReads[log] {
			if r.col == columnar.Time || table.Wants(r.col) {
				d.reads[log] |= 1 << r.field
			}
		}
		d.kept[log] = d.kept[log][:0]
		for _, name := range table.FieldNames() {
			if k, ok := zeekKeptOf(log, name); ok {
				d.kept[log] = append(d.kept[log], k)
				d.reads[log] |= 1 << k.field
			}
		}
	}
	return d.reads[log]
}

// time parses a ts: epoch seconds or milliseconds, or ISO 8601.
func (d *zeek) time(ts []byte) (us int64, ok bool) {
	if us, ok = epochMicro(ts); ok && d.clock.Within(us) {
		return us, true
	}
	if us, ok = d.clock.Epoch(ts); ok {
		return us, true
	}
	if us, ok = d.clock.ISO(ts); ok {
		return us, true
	}
	if us, ok = scan.Number(ts, 1e6); !ok {
		return 0, false
	}
	if !scan.Plausible(us) {
		us /= 1000
	}
	return us, d.clock.Within(us)
}

// epochMicro parses 1767225600.002921, as Zeek writes almost every time.
func epochMicro(b []byte) (us int64, ok bool) {
	if len(b) != 17 || b[10] != '.' {
		return 0, false
	}
	high, ok1 := scan.EightDigits(b, 0)
	low, ok2 := scan.EightDigits(b[9:], 2)
	c8, c9 := b[8]-'0', b[9]-'0'
	us = high*100_000_000 + int64(c8)*10_000_000 + int64(c9)*1_000_000 + low
	return us, ok1 && ok2 && c8 <= 9 && c9 <= 9
}

func (d *zeek) dns(b recordRow) bool {
	name := scan.TrimDot(d.cells[zeekQuery])
	if len(name) == 0 {
		return false
	}
	b.SetText(columnar.SrcIP, d.cells[zeekOrigHost])
	b.SetText(columnar.DstIP, d.cells[zeekRespHost])
	b.SetQuery(name)
	b.SetText(columnar.QueryType, d.code(d.cells[zeekQtypeName], d.cells[zeekQtype], scan.QueryTypeName))
	rcode := d.code(d.cells[zeekRcodeName], d.cells[zeekRcode], scan.RcodeName)
	b.SetText(columnar.Rcode, rcode)
	if raw := d.shape.Value(int(zeekAnswers)); d.json && raw != nil && !raw.Is('[') && !raw.Is('n') && !raw.Is('"') {
		b.tally.Clear(b.record, "answers that are no list")
	}
	if b.Wants(columnar.AnswersLen) {
		if n, ok := d.answers(); ok || len(rcode) > 0 {
			b.SetInt(columnar.AnswersLen, int64(n))
		}
	}
	if b.Wants(columnar.Answers) {
		at := len(d.scratch)
		d.scratch = d.appendAnswers(d.scratch, d.cells[zeekAnswers], d.json && !d.flat)
		b.SetText(columnar.Answers, d.scratch[at:])
	}
	return true
}

// answers counts the answers. Zeek leaves them unset both for a reply without
// any and for no reply: then ok is false.
func (d *zeek) answers() (n int, ok bool) {
	raw := d.cells[zeekAnswers]
	switch {
	case d.json && !d.flat:
		return scan.Value(raw).Length()
	case raw == nil:
		return 0, false
	case len(raw) == 0:
		return 0, true
	}
	return bytes.Count(raw, []byte{d.tsv.setSep}) + 1, true
}

// appendAnswers appends the answers of a raw cell, of JSON or not, to text, as
// columnar.Answers.
func (d *zeek) appendAnswers(text, raw []byte, json bool) []byte {
	first := len(text)
	if !json {
		if d.tsv.setSep == ',' && len(raw) > 0 && raw[0] != ',' && raw[len(raw)-1] != ',' && bytes.IndexByte(raw, '\\') < 0 {
			return append(text, raw...)
		}
		for len(raw) > 0 {
			answer, rest, _ := bytes.Cut(raw, []byte{d.tsv.setSep})
			d.answer = zeekUnescape(d.answer[:0], answer)
			text = appendAnswer(text, first, d.answer)
			raw = rest
		}
		return text
	}
	for d.walker.Open(raw); d.walker.Next(); {
		d.answer = d.answer[:0]
		text = appendAnswer(text, first, d.walker.Text(&d.answer))
	}
	return text
}

// code returns the name of a DNS code. Zeek names what it does not know
// "query-65" or "rcode-23", and ANY "*".
func (d *zeek) code(name, number []byte, named func(int64) string) []byte {
	if len(name) > 0 {
		if name[0] != 'q' && name[0] != 'r' && name[0] != '*' {
			return name
		}
		if len(name) == 1 {
			number = []byte("255")
		} else {
			_, number, _ = bytes.Cut(name, []byte{'-'})
		}
	}
	n, ok := scan.Int(number)
	if !ok {
		return name
	}
	at := len(d.scratch)
	d.scratch = append(d.scratch, named(n)...)
	return d.scratch[at:]
}

func (d *zeek) http(r recordRow) {
	request := r.count(columnar.BytesOut, d.cells[zeekRequestLen], "bad request_body_len")
	response := r.count(columnar.BytesIn, d.cells[zeekResponseLen], "bad response_body_len")
	host, path := scan.RequestTarget(d.cells[zeekMethod], d.cells[zeekURI])
	if len(host) == 0 {
		host = scan.URLHost(d.cells[zeekHost])
	}
	if string(d.cells[zeekMethod]) == "CONNECT" {
		// Bodies are the handshake's: what the tunnel carried is not known, which is
		// not zero.
		request, response = -1, -1
	}
	r.SetText(columnar.UID, d.cells[zeekUID])
	r.SetText(columnar.SrcIP, d.cells[zeekOrigHost])
	r.SetText(columnar.DstIP, d.cells[zeekRespHost])
	r.SetText(columnar.User, d.cells[zeekUsername])
	r.SetText(columnar.Method, d.cells[zeekMethod])
	r.SetLower(columnar.URLHost, host)
	r.SetText(columnar.URLPath, path)
	r.SetText(columnar.UserAgent, d.cells[zeekUserAgent])
	r.setCount(columnar.StatusCode, d.cells[zeekStatusCode], "bad status_code")
	setCount(r.Builder, columnar.BytesOut, request)
	setCount(r.Builder, columnar.BytesIn, response)
}

// conn returns the time at which the connection ended, given its start, or why the
// record is none.
func (d *zeek) conn(r recordRow, start int64) (end int64, reason string) {
	if !d.payload(r, columnar.BytesOut, zeekOrigBytes, zeekOrigIPBytes) || !d.payload(r, columnar.BytesIn, zeekRespBytes, zeekRespIPBytes) {
		return 0, "orig_bytes or resp_bytes over 63 bits"
	}
	end = start
	if text := d.cells[zeekDuration]; !scan.Unknown(text) {
		duration, ok := scan.Number(text, 1e6)
		if ok && duration >= 0 && scan.Plausible(start+duration) {
			r.SetInt(columnar.Duration, duration)
			end += duration
		} else {
			r.tally.Clear(r.record, "bad duration: its start is taken for the time")
		}
	}
	d.endpoints(r)
	protocol := d.cells[zeekService]
	if len(protocol) == 0 {
		protocol = d.cells[zeekProto]
	}
	r.SetLower(columnar.Protocol, protocol)
	return end, ""
}

func (d *zeek) serverName(r recordRow, log zeekLog) {
	d.endpoints(r)
	r.SetLower(columnar.DstHost, scan.TrimDot(d.cells[zeekServerName]))
	r.SetText(columnar.Protocol, []byte(zeekLogNames[log]))
}

// event sets who, or which machine, has an address, and returns false for a line that does
// not say it.
func (d *zeek) event(b *columnar.Builder, log zeekLog) bool {
	address := d.cells[zeekOrigHost]
	b.SetText(columnar.SrcIP, address)
	if log == zeekDHCP {
		b.SetText(columnar.Host, d.cells[zeekServerName])
		return len(address) > 0 && len(d.cells[zeekServerName]) > 0
	}
	// ana/CORP.EXAMPLE is the user ana@CORP.EXAMPLE, and host/pc.example/CORP.EXAMPLE is a
	// service's.
	name, realm, ok := bytes.Cut(d.cells[zeekUsername], []byte{'/'})
	if s := d.cells[zeekSuccess]; !ok || len(name) == 0 || bytes.IndexByte(realm, '/') >= 0 || string(s) != "T" && string(s) != "true" {
		return false
	}
	at := len(d.scratch)
	d.scratch = append(append(append(d.scratch, name...), '@'), realm...)
	b.SetText(columnar.User, d.scratch[at:])
	return true
}

func (d *zeek) endpoints(r recordRow) {
	r.SetText(columnar.UID, d.cells[zeekUID])
	r.setCount(columnar.DstPort, d.cells[zeekRespPort], "bad id.resp_p")
	r.SetText(columnar.SrcIP, d.cells[zeekOrigHost])
	r.SetText(columnar.DstIP, d.cells[zeekRespHost])
}

// payload sets the payload bytes of one direction. They are the distance of TCP
// sequence numbers and can be wrong by gigabytes. The bytes of the IP packets, which the
// sensor did see, are an upper bound. It returns false for a counter that fell below
// zero: then Zeek did not follow the connection, and nothing in the record is sure.
func (d *zeek) payload(r recordRow, c columnar.Col, payload, ip zeekField) bool {
	badIP, bad := "bad orig_ip_bytes", "bad orig_bytes"
	if payload == zeekRespBytes {
		badIP, bad = "bad resp_ip_bytes", "bad resp_bytes"
	}
	seen := r.count(columnar.Time, d.cells[ip], badIP) // a bound alone: it leaves no cell empty
	text := d.cells[payload]
	if _, ok := scan.Count(text); !ok {
		if x, ok := scan.Float(text); ok && x >= 1<<63 && !math.IsInf(x, 0) {
			return false
		}
	}
	n := r.count(c, text, bad)
	if seen >= 0 && seen < n {
		n = seen
	}
	setCount(r.Builder, c, n)
	return true
}
