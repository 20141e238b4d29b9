package logs

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"outflow/columnar"
)

// Zeek decodes the logs of the Zeek (formerly Bro) network sensor.
var Zeek = &Format{
	Name:    "zeek",
	Product: "zeek",
	Title:   "Zeek logs, TSV or JSON",
	Doc: `Reads conn, dns, http and ssl logs in Zeek's own TSV form, whatever its
separators and the order of its #fields, and in JSON with dotted (id.orig_h) or
underlined (id_orig_h) keys. Logs may be concatenated, and JSON of several logs
mixed. Which log a line is of is told by #path, _path or @stream, never by the
name of the file; where none of them is there, by the fields: query with
qtype or trans_id is dns, conn_state is conn, established is ssl, trans_depth
with both body lengths and nothing of SIP or SMTP is http.

dns     → dns      id.orig_h src_ip, id.resp_h dst_ip, query, qtype_name (else
                   qtype) query_type, rcode_name rcode, answers answers_len.
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
                   gigabytes; service, else proto, protocol.
ssl     → network  server_name dst_host. Bytes are null, as conn has them.

All other logs are counted as other, among them open_conn, open_http, open_ssl
and conn_long, whose counters are running totals of what conn, http and ssl tell
in the end. An open_conn log in JSON that names its path conn cannot be told from
conn: do not read both. The sensor's own name (_system_name, @system) is not the
client's host and is left out. Long connections appear when they close.`,
	Tables: []*columnar.Table{columnar.DNS, columnar.HTTP, columnar.Network},
	Lacks:  columnar.ColSet(columnar.Host, columnar.Action),
	Sniff:  sniffZeek,
	Header: zeekHeader,
	New: func(o *Options) (Decoder, error) {
		d := &zeek{clock: clock{zone: o.Location()}}
		d.shape = newShape(func(key []byte) int {
			if f, ok := zeekFieldNamed(key); ok {
				return int(f)
			}
			return -1
		})
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
	var ts, path, id bool
	eachKey(head, func(key []byte, val value) {
		switch string(key) {
		case "ts":
			ts = !val.is('{') && !val.is('[')
		case "_path", "@stream":
			path = path || val.is('"')
		case "name":
			// loaded_scripts has no other key.
			path = path || bytes.HasSuffix(val, []byte(`.zeek"`)) || bytes.HasSuffix(val, []byte(`.bro"`))
		case "uid", "fuid", "uids", "id.orig_h", "id_orig_h", "peer", "node", "certificate.version":
			id = true
		}
	})
	return path || ts && id
}

// eachKey calls f with the members of the first JSON object of head, as far as
// it goes.
func eachKey(head []byte, f func(key []byte, val value)) {
	line, _ := cutLine(bytes.TrimLeft(head, " \t\r\n"))
	var w walker
	w.open(line)
	for w.close == '}' && w.next() {
		f(w.key, w.val)
	}
}

// A zeekField is a field of Zeek's that means something here.
type zeekField uint8

const (
	zeekTS zeekField = iota
	zeekPath
	zeekOrigHost
	zeekRespHost
	zeekRespPort
	zeekProto
	zeekService
	zeekDuration
	zeekOrigBytes
	zeekRespBytes
	zeekOrigIPBytes
	zeekRespIPBytes
	zeekConnState
	zeekTransID
	zeekQuery
	zeekQtype
	zeekQtypeName
	zeekRcode
	zeekRcodeName
	zeekAnswers
	zeekTransDepth
	zeekMethod
	zeekHost
	zeekURI
	zeekUserAgent
	zeekRequestLen
	zeekResponseLen
	zeekStatusCode
	zeekUsername
	zeekServerName
	zeekEstablished
	zeekReferrer
	zeekOrigPort
	zeekNotHTTP // any that SIP or SMTP has, and HTTP has not
	numZeekFields
)

func zeekFieldNamed(name []byte) (zeekField, bool) {
	switch string(name) {
	case "ts":
		return zeekTS, true
	case "_path", "@stream":
		return zeekPath, true
	case "id.orig_h", "id_orig_h":
		return zeekOrigHost, true
	case "id.resp_h", "id_resp_h":
		return zeekRespHost, true
	case "id.resp_p", "id_resp_p":
		return zeekRespPort, true
	case "proto":
		return zeekProto, true
	case "service":
		return zeekService, true
	case "duration":
		return zeekDuration, true
	case "orig_bytes":
		return zeekOrigBytes, true
	case "resp_bytes":
		return zeekRespBytes, true
	case "orig_ip_bytes":
		return zeekOrigIPBytes, true
	case "resp_ip_bytes":
		return zeekRespIPBytes, true
	case "conn_state":
		return zeekConnState, true
	case "trans_id":
		return zeekTransID, true
	case "query":
		return zeekQuery, true
	case "qtype":
		return zeekQtype, true
	case "qtype_name":
		return zeekQtypeName, true
	case "rcode":
		return zeekRcode, true
	case "rcode_name":
		return zeekRcodeName, true
	case "answers":
		return zeekAnswers, true
	case "trans_depth":
		return zeekTransDepth, true
	case "method":
		return zeekMethod, true
	case "host":
		return zeekHost, true
	case "uri":
		return zeekURI, true
	case "user_agent":
		return zeekUserAgent, true
	case "request_body_len":
		return zeekRequestLen, true
	case "response_body_len":
		return zeekResponseLen, true
	case "status_code":
		return zeekStatusCode, true
	case "username":
		return zeekUsername, true
	case "referrer":
		return zeekReferrer, true
	case "id.orig_p", "id_orig_p":
		return zeekOrigPort, true
	case "server_name":
		return zeekServerName, true
	case "established":
		return zeekEstablished, true
	case "call_id", "seq", "request_from", "request_to", "helo", "mailfrom", "rcptto":
		return zeekNotHTTP, true
	}
	return 0, false
}

// A zeekLog is a log of Zeek's that becomes rows.
type zeekLog uint8

const (
	zeekOther zeekLog = iota
	zeekDNS
	zeekHTTP
	zeekConn
	zeekSSL
)

func zeekLogNamed(path []byte) zeekLog {
	switch string(path) {
	case "dns":
		return zeekDNS
	case "http":
		return zeekHTTP
	case "conn":
		return zeekConn
	case "ssl":
		return zeekSSL
	}
	return zeekOther
}

// zeekLogOf tells the log by the fields that its lines have.
func zeekLogOf(has uint64) zeekLog {
	all := func(fields ...zeekField) bool {
		for _, f := range fields {
			if has>>f&1 == 0 {
				return false
			}
		}
		return true
	}
	switch {
	case all(zeekQuery, zeekQtype), all(zeekQuery, zeekTransID):
		return zeekDNS
	case all(zeekConnState):
		return zeekConn
	case all(zeekEstablished):
		return zeekSSL
	case all(zeekTransDepth, zeekRequestLen, zeekResponseLen) && !all(zeekNotHTTP):
		return zeekHTTP
	}
	return zeekOther
}

func (l zeekLog) table() *columnar.Table {
	switch l {
	case zeekDNS:
		return columnar.DNS
	case zeekHTTP:
		return columnar.HTTP
	}
	return columnar.Network
}

// zeekReads lists, by log, the fields that a row is made of. A field is read if
// its column is wanted. Those that decide whether a line is a row, and counters,
// which may make it a bad one, stand with Time, which is always wanted: what is
// skipped must not depend on who asks.
var zeekReads = [...][]struct {
	field zeekField
	col   columnar.Col
}{
	zeekOther: nil,
	zeekDNS: {
		{zeekTS, columnar.Time}, {zeekQuery, columnar.Time}, {zeekOrigHost, columnar.SrcIP}, {zeekRespHost, columnar.DstIP},
		{zeekQtype, columnar.QueryType}, {zeekQtypeName, columnar.QueryType}, {zeekRcode, columnar.Rcode},
		{zeekRcodeName, columnar.Rcode}, {zeekRcode, columnar.AnswersLen}, {zeekRcodeName, columnar.AnswersLen}, {zeekAnswers, columnar.AnswersLen},
	},
	zeekHTTP: {
		{zeekTS, columnar.Time}, {zeekOrigHost, columnar.SrcIP}, {zeekRespHost, columnar.DstIP}, {zeekUsername, columnar.User},
		{zeekMethod, columnar.Method}, {zeekMethod, columnar.URLHost}, {zeekMethod, columnar.URLPath}, {zeekHost, columnar.URLHost},
		{zeekMethod, columnar.BytesOut}, {zeekMethod, columnar.BytesIn},
		{zeekURI, columnar.URLHost}, {zeekURI, columnar.URLPath}, {zeekUserAgent, columnar.UserAgent},
		{zeekStatusCode, columnar.Time}, {zeekRequestLen, columnar.Time}, {zeekResponseLen, columnar.Time},
	},
	zeekConn: {
		{zeekTS, columnar.Time}, {zeekDuration, columnar.Time}, {zeekOrigHost, columnar.SrcIP}, {zeekRespHost, columnar.DstIP},
		{zeekRespPort, columnar.Time}, {zeekProto, columnar.Protocol}, {zeekService, columnar.Protocol},
		{zeekOrigBytes, columnar.Time}, {zeekRespBytes, columnar.Time},
		{zeekOrigIPBytes, columnar.Time}, {zeekRespIPBytes, columnar.Time},
	},
	zeekSSL: {
		{zeekTS, columnar.Time}, {zeekOrigHost, columnar.SrcIP}, {zeekRespHost, columnar.DstIP},
		{zeekRespPort, columnar.Time}, {zeekServerName, columnar.DstHost},
	},
}

// A zeekTSV is the TSV header in force.
type zeekTSV struct {
	sep, setSep byte
	fault       string // why lines cannot be read
	empty       []byte
	unset       []byte
	path        []byte
	fields      int
	at          [numZeekFields]int // where a field stands, -1 if it does not

	log   zeekLog
	plan  []zeekCell // what is read of a line
	ends  []int32    // of the fields up to the last that is read
	ready bool       // log and plan are made
}

type zeekCell struct {
	at    int32
	field zeekField
}

// zeekLongest is how long a header line may be, in bytes; longer ones are taken
// for comments. The widest logs have 2 KiB of names; as the header in force is
// copied at each header line, a hostile one could cost minutes.
const zeekLongest = 1 << 16

const (
	zeekNoFields = "no #fields line before this line"
	zeekSepLong  = "#separator of more than one byte"
)

func (h *zeekTSV) reset() {
	*h = zeekTSV{sep: '\t', setSep: ',', empty: []byte("(empty)"), unset: []byte("-"), fault: zeekNoFields, plan: h.plan, ends: h.ends}
}

// directive takes a header line.
func (h *zeekTSV) directive(line []byte) {
	name, arg := zeekDirective(line)
	h.ready = false
	switch string(name) {
	case "#separator":
		h.reset()
		if sep := zeekUnescape(nil, arg); len(sep) == 1 {
			h.sep = sep[0]
		} else {
			h.fault = zeekSepLong
		}
	case "#close":
		h.reset()
	case "#set_separator":
		if sep := zeekUnescape(nil, arg); len(sep) == 1 {
			h.setSep = sep[0]
		}
	case "#empty_field":
		h.empty = bytes.Clone(arg)
	case "#unset_field":
		h.unset = bytes.Clone(arg)
	case "#path":
		h.path = bytes.Clone(arg)
	case "#fields":
		if h.fault == zeekSepLong {
			return
		}
		h.fault, h.fields = "", 0
		for f := range h.at {
			h.at[f] = -1
		}
		for name := range bytes.SplitSeq(arg, []byte{h.sep}) {
			if f, ok := zeekFieldNamed(name); ok {
				h.at[f] = h.fields
			}
			h.fields++
		}
	}
}

// zeekDirective splits a header line at the first space, tab or whatever byte
// ends its name.
func zeekDirective(line []byte) (name, arg []byte) {
	if len(line) > zeekLongest {
		return nil, nil
	}
	i := 1
	for i < len(line) && (line[i]|0x20-'a' < 26 || line[i] == '_') {
		i++
	}
	return line[:i], line[min(i+1, len(line)):]
}

// zeekHeader is Zeek.Header: the header lines in force, each with its newline.
func zeekHeader(prev, p []byte) []byte {
	header := prev
	for at := 0; at < len(p); {
		if p[at] != '#' {
			next := bytes.Index(p[at:], []byte("\n#"))
			if next < 0 {
				break
			}
			at += next + 1
		}
		line, rest := cutLine(p[at:])
		header = zeekWith(header, line)
		at = len(p) - len(rest)
	}
	return header
}

// zeekWith returns header after one more header line, in memory of its own.
func zeekWith(header, line []byte) []byte {
	name, _ := zeekDirective(line)
	var with []byte
	switch string(name) {
	case "#separator":
		return append(append(with, line...), '\n')
	case "#close":
		return nil
	case "#set_separator", "#empty_field", "#unset_field", "#path", "#fields":
	default:
		return header
	}
	for have, rest := cutLine(header); len(have) > 0; have, rest = cutLine(rest) {
		if other, _ := zeekDirective(have); !bytes.Equal(other, name) {
			with = append(append(with, have...), '\n')
		}
	}
	return append(append(with, line...), '\n')
}

// split notes where the fields end that are read, and returns how many fields
// the line has.
func (h *zeekTSV) split(line []byte) int {
	n, further := 0, 0
	ends := h.ends
	for i := 0; i < len(line); i += 64 {
		m := byteMask(line[i:], h.sep)
		for ; m != 0 && n < len(ends); m &= m - 1 {
			ends[n] = int32(i + bits.TrailingZeros64(m))
			n++
		}
		further += bits.OnesCount64(m)
	}
	if n < len(ends) {
		ends[n] = int32(len(line))
	}
	return n + further + 1
}

// byteMask marks where c stands in the first 64 bytes of b.
func byteMask(b []byte, c byte) (m uint64) {
	if cap(b) < 64 {
		for i := range b {
			if b[i] == c {
				m |= 1 << i
			}
		}
		return m
	}
	// Within the block it is cheaper to look at what follows b, and to cut it
	// off, than to stop.
	words, pattern := b[:64], uint64(c)*eachByte
	for i := 0; i < 64; i += 8 {
		m |= equalBytes(binary.LittleEndian.Uint64(words[i:]), pattern) << i
	}
	if len(b) < 64 {
		m &= 1<<len(b) - 1
	}
	return m
}

// A zeek decodes lines of both forms. Each line becomes cells first, so that
// both share what makes rows of them.
type zeek struct {
	clock   clock
	header  []byte // that tsv was made of
	tsv     zeekTSV
	out     *columnar.Out // that the plan was made for
	shape   *shape
	values  [numZeekFields]value // of a JSON line
	reads   [zeekSSL + 1]uint64  // by log: the fields that are read of JSON for out
	kept    [zeekSSL + 1][]zeekKept
	set     uint64                // cells that are set from JSON
	cells   [numZeekFields][]byte // nil: not said; text is unescaped, answers is raw
	json    bool                  // cells come from JSON
	scratch []byte
	rows    zeekRows
}

func (d *zeek) Decode(b *Block, out *columnar.Out, t *Tally) error {
	if !bytes.Equal(d.header, b.Header) {
		d.header = append(d.header[:0], b.Header...)
		d.tsv.reset()
		for line, rest := cutLine(d.header); len(line) > 0; line, rest = cutLine(rest) {
			d.tsv.directive(line)
		}
	}
	if d.out != out {
		d.out, d.tsv.ready = out, false
		clear(d.reads[:])
	}
	record := b.First
	for data := b.Data; len(data) > 0; {
		if data[0] == '{' {
			if size, n := d.objects(data, record, t); n > 0 {
				data, record = data[size:], record+int64(n)
				continue
			}
			var line []byte
			line, data = cutLine(data)
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
	if len(line) == 0 {
		return
	}
	switch row, reason := d.line(line, record); {
	case row:
		t.Row()
	case reason != "":
		t.Skip(record, reason)
	default:
		t.Pass()
	}
}

// line decodes a line. If it is no row, reason says why it is malformed, or is
// "" if it is not.
func (d *zeek) line(line []byte, record int64) (row bool, reason string) {
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
	if !ok {
		return false, "bad ts"
	}
	b := d.out.Table(log.table())
	switch log {
	case zeekDNS:
		row = d.dns(b)
	case zeekHTTP:
		reason = d.http(b)
		row = reason == ""
	case zeekConn:
		us, reason = d.conn(b, us)
		row = reason == ""
	case zeekSSL:
		reason = d.ssl(b)
		row = reason == ""
	}
	if !row {
		b.Drop()
		return false, reason
	}
	for _, k := range d.kept[log] {
		if text := k.part.of(d.cells[k.field]); len(text) > 0 {
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
		if len(bytes.TrimSpace(line)) == 0 {
			return zeekOther, ""
		}
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
	return h.log, ""
}

func (d *zeek) readJSON(line []byte) (log zeekLog, reason string) {
	if !d.json {
		clear(d.cells[:])
		d.json, d.set = true, 0
	}
	for ; d.set != 0; d.set &= d.set - 1 {
		d.cells[bits.TrailingZeros64(d.set)] = nil
	}
	has, escaped, ok := d.shape.read(line, d.values[:])
	if !ok {
		return zeekOther, malformedJSON
	}
	d.scratch = d.scratch[:0]
	log = zeekLogOf(has)
	if has>>zeekPath&1 != 0 {
		if path := d.values[zeekPath].text(&d.scratch); path != nil {
			log = zeekLogNamed(path)
		}
	}
	if log == zeekOther {
		return zeekOther, ""
	}
	d.set = has & d.wants(log)
	for set := d.set; set != 0; set &= set - 1 {
		f := bits.TrailingZeros64(set)
		v := d.values[f]
		switch {
		case f == int(zeekAnswers):
			d.cells[f] = v
		case v[0] == '"' && escaped>>f&1 == 0:
			d.cells[f] = v[1 : len(v)-1]
		default:
			d.cells[f] = v.text(&d.scratch)
		}
	}
	return log, ""
}

// makePlan finds out what of a TSV line is to be read.
func (d *zeek) makePlan() {
	h := &d.tsv
	h.ready, h.log, h.plan, h.ends = true, zeekOther, h.plan[:0], h.ends[:0]
	if h.fault != "" {
		return
	}
	if h.path != nil {
		h.log = zeekLogNamed(h.path)
	} else {
		var has uint64
		for f, at := range h.at {
			if at >= 0 {
				has |= 1 << f
			}
		}
		h.log = zeekLogOf(has)
	}
	if h.log == zeekOther {
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

// A zeekKept is a field that rules read beside columns, and what it is of a line.
type zeekKept struct {
	name  string
	field zeekField
	part  uriPart
}

// zeekKeptOf returns where a field that rules read stands in the lines of a log: under
// Zeek's own name or that of Sigma's taxonomy for proxies.
func zeekKeptOf(log zeekLog, name string) (k zeekKept, ok bool) {
	if part, ok := uriPartNamed(name); ok && log == zeekHTTP {
		return zeekKept{name, zeekURI, part}, true
	}
	if isReferrer(name) {
		return zeekKept{name: name, field: zeekReferrer}, log == zeekHTTP
	}
	f, ok := zeekFieldNamed([]byte(name))
	return zeekKept{name: name, field: f}, ok && f != zeekNotHTTP && f != zeekAnswers
}

// time parses a ts: epoch seconds or milliseconds, or ISO 8601.
func (d *zeek) time(ts []byte) (us int64, ok bool) {
	if us, ok = epochMicro(ts); ok {
		return us, true
	}
	if us, ok = parseEpoch(ts); ok {
		return us, true
	}
	if us, ok = d.clock.parseISO(ts); ok {
		return us, true
	}
	if us, ok = parseNumber(ts, 1e6); !ok {
		return 0, false
	}
	if !plausible(us) {
		us /= 1000
	}
	return us, plausible(us)
}

// epochMicro parses 1767225600.002921, as Zeek writes almost every time.
func epochMicro(b []byte) (us int64, ok bool) {
	if len(b) != 17 || b[10] != '.' {
		return 0, false
	}
	high, ok1 := eightDigits(b, 0)
	low, ok2 := eightDigits(b[9:], 2)
	c8, c9 := b[8]-'0', b[9]-'0'
	us = high*100_000_000 + int64(c8)*10_000_000 + int64(c9)*1_000_000 + low
	return us, ok1 && ok2 && c8 <= 9 && c9 <= 9 && plausible(us)
}

func (d *zeek) dns(b *columnar.Builder) bool {
	name := bytes.TrimSuffix(d.cells[zeekQuery], dot)
	if len(name) == 0 {
		return false
	}
	b.SetText(columnar.SrcIP, d.cells[zeekOrigHost])
	b.SetText(columnar.DstIP, d.cells[zeekRespHost])
	b.SetQuery(name)
	b.SetText(columnar.QueryType, d.code(d.cells[zeekQtypeName], d.cells[zeekQtype], queryTypeName))
	rcode := d.code(d.cells[zeekRcodeName], d.cells[zeekRcode], rcodeName)
	b.SetText(columnar.Rcode, rcode)
	if b.Wants(columnar.AnswersLen) {
		if n, ok := d.answers(); ok || len(rcode) > 0 {
			b.SetInt(columnar.AnswersLen, int64(n))
		}
	}
	return true
}

// answers counts the answers. Zeek leaves them unset both for a reply without
// any and for no reply: then ok is false.
func (d *zeek) answers() (n int, ok bool) {
	raw := d.cells[zeekAnswers]
	switch {
	case d.json:
		return value(raw).length()
	case raw == nil:
		return 0, false
	case len(raw) == 0:
		return 0, true
	}
	return bytes.Count(raw, []byte{d.tsv.setSep}) + 1, true
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
	n, ok := parseInt(number)
	if !ok {
		return name
	}
	at := len(d.scratch)
	d.scratch = append(d.scratch, named(n)...)
	return d.scratch[at:]
}

func (d *zeek) http(b *columnar.Builder) (reason string) {
	request, ok1 := countOf(d.cells[zeekRequestLen])
	response, ok2 := countOf(d.cells[zeekResponseLen])
	status, ok3 := countOf(d.cells[zeekStatusCode])
	if !ok1 || !ok2 || !ok3 {
		return "bad request_body_len, response_body_len or status_code"
	}
	host, path := requestTarget(d.cells[zeekMethod], d.cells[zeekURI])
	if len(host) == 0 {
		host = urlHost(d.cells[zeekHost])
	}
	if string(d.cells[zeekMethod]) == "CONNECT" {
		// Bodies are of the handshake: what the tunnel carried is not known, which
		// is not zero.
		request, response = -1, -1
	}
	b.SetText(columnar.SrcIP, d.cells[zeekOrigHost])
	b.SetText(columnar.DstIP, d.cells[zeekRespHost])
	b.SetText(columnar.User, d.cells[zeekUsername])
	b.SetText(columnar.Method, d.cells[zeekMethod])
	b.SetLower(columnar.URLHost, host)
	b.SetText(columnar.URLPath, path)
	b.SetText(columnar.UserAgent, d.cells[zeekUserAgent])
	setCount(b, columnar.StatusCode, status)
	setCount(b, columnar.BytesOut, request)
	setCount(b, columnar.BytesIn, response)
	return ""
}

// conn returns the time at which the connection ended, given its start.
func (d *zeek) conn(b *columnar.Builder, start int64) (end int64, reason string) {
	out, ok1 := zeekPayload(d.cells[zeekOrigBytes], d.cells[zeekOrigIPBytes])
	in, ok2 := zeekPayload(d.cells[zeekRespBytes], d.cells[zeekRespIPBytes])
	if !ok1 || !ok2 {
		return 0, "bad orig_bytes, resp_bytes, orig_ip_bytes or resp_ip_bytes"
	}
	end = start
	duration := int64(-1)
	if text := d.cells[zeekDuration]; len(text) > 0 {
		var ok bool
		if duration, ok = parseNumber(text, 1e6); !ok || duration < 0 || !plausible(start+duration) {
			return 0, "bad duration"
		}
		end += duration
	}
	if reason = d.endpoints(b); reason != "" {
		return 0, reason
	}
	protocol := d.cells[zeekService]
	if len(protocol) == 0 {
		protocol = d.cells[zeekProto]
	}
	b.SetLower(columnar.Protocol, protocol)
	setCount(b, columnar.BytesOut, out)
	setCount(b, columnar.BytesIn, in)
	setCount(b, columnar.Duration, duration)
	return end, ""
}

func (d *zeek) ssl(b *columnar.Builder) (reason string) {
	if reason = d.endpoints(b); reason != "" {
		return reason
	}
	b.SetLower(columnar.DstHost, bytes.TrimSuffix(d.cells[zeekServerName], dot))
	b.SetText(columnar.Protocol, []byte("ssl"))
	return ""
}

func (d *zeek) endpoints(b *columnar.Builder) (reason string) {
	port, ok := countOf(d.cells[zeekRespPort])
	if !ok {
		return "bad id.resp_p"
	}
	b.SetText(columnar.SrcIP, d.cells[zeekOrigHost])
	b.SetText(columnar.DstIP, d.cells[zeekRespHost])
	setCount(b, columnar.DstPort, port)
	return ""
}

// zeekPayload parses the payload bytes of one direction; -1 if not said. They
// are the distance of TCP sequence numbers and can be wrong by gigabytes. The
// bytes of the IP packets, which the sensor did see, are an upper bound.
func zeekPayload(payload, ip []byte) (n int64, ok bool) {
	n, ok = countOf(payload)
	seen, ok2 := countOf(ip)
	if seen >= 0 && seen < n {
		n = seen
	}
	return n, ok && ok2
}

// zeekUnescape appends a value without Zeek's escapes: \xHH is the byte HH, and
// \\ a backslash.
func zeekUnescape(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' && i+1 < len(s) {
			switch s[i+1] {
			case '\\':
				i++
			case 'x':
				if i+3 < len(s) {
					h, ok1 := hexDigit(s[i+2])
					l, ok2 := hexDigit(s[i+3])
					if ok1 && ok2 {
						c = h<<4 | l
						i += 3
					}
				}
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// requestTarget splits the target of an HTTP request as it was sent: host is nil
// if the target names none, as in all requests but those to proxies.
func requestTarget(method, uri []byte) (host, path []byte) {
	switch {
	case string(method) == "CONNECT":
		return urlHost(uri), nil
	case len(uri) > 0 && uri[0] != '/' && bytes.Contains(uri, []byte("://")):
		return urlHost(uri), urlPath(uri)
	}
	return nil, urlPath(uri)
}
