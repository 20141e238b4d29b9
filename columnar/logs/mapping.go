package logs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"outflow/columnar"
)

// A Mapping says how the columns of a csv, the keys of a jsonl or the leaves of
// a parquet object become columns of a canonical table.
type Mapping struct {
	// Table is the canonical table that the rows belong to. Nil: inferred from
	// the columns that are there.
	Table *columnar.Table
	// Columns maps a canonical column to where its value stands. A column that
	// is not named here is found by well-known names, unless Only is set.
	Columns map[columnar.Col]Source
	Only    bool
	// Where keeps the records that it holds for; the others count as other.
	// The zero value holds for all.
	Where Where
	// Delimiter of csv; 0: found by sniffing (comma, tab, semicolon, pipe).
	Delimiter byte
	// Header of csv, if the object has none: its column names in order.
	Header []string
}

// A Source says where the value of one column stands and how to read it.
type Source struct {
	Name  string // column name, or path of keys with dots; letter case does not matter
	Const string // the value of every row, instead of Name
	// Time is how a time is written: "" (found per value: ISO 8601 or epoch by
	// magnitude), "s", "ms", "us", "ns" (epoch units), "iso", or a Go layout.
	// For a duration it is the unit; "" is "s".
	Time string
	// Unit multiplies a byte count: "" or "B", "KB", "MB", "GB" (powers of
	// 1000), "KiB", "MiB", "GiB" (powers of 1024).
	Unit string
}

// A Where is a condition on a record: that the text of one of its columns is
// a given one. A DNS log with a row for the query and one for the response needs
// it, so that no query counts twice.
type Where struct {
	Name   string // as in Source; "" holds for every record
	Equals string
}

// wellKnown lists, in order of preference, the names under which sources keep a
// column. Letter case and punctuation do not matter: src_ip is Src-IP and
// src.ip, and a path of keys is one name.
//
// Names whose direction or meaning depends on who writes are left out on
// purpose, and want a mapping: bytes, size, bytes_sent and bytes_received (a
// server's view or a client's), id and request_id (events would be dropped as
// duplicates), event_id (a type in Windows logs), duration (its unit).
var wellKnown = [columnar.NumCols][]string{
	columnar.Time: {"time", "timestamp", "ts", "datetime", "eventtime", "eventtimestamp", "timecreated", "creationtime",
		"creationdate", "querytimestamp", "timemicros", "timedt", "starttime", "utctime", "date"},
	columnar.User: {"user", "username", "userid", "useremail", "actor", "actoremail", "actorusername", "actoruseremailaddr",
		"principal", "principalemail", "userprincipalname", "upn", "login", "email"},
	columnar.SrcIP: {"srcip", "src", "sourceip", "sourceaddress", "sourceipaddress", "srcaddr", "clientip", "clientipaddress",
		"cip", "ip", "ipaddress", "remoteip", "remoteaddr", "callerip", "calleripaddress", "srcendpointip", "idorigh"},
	columnar.Host: {"host", "hostname", "clienthost", "srchost", "sourcehost", "computer", "computername", "machine",
		"machinename", "workstation", "devicename", "devicehostname", "srcendpointhostname"},

	columnar.Service:   {"service", "servicename", "apiservicename", "eventsource", "workload", "application", "app", "product"},
	columnar.Operation: {"operation", "operationname", "apioperation", "eventname", "methodname", "action", "activity", "event"},
	columnar.Resource:  {"resource", "resourcename", "object", "objectname", "objectkey", "objectid", "file", "filename", "path", "key"},
	columnar.Status:    {"status", "result", "outcome"},
	columnar.UserAgent: {"useragent", "httpuseragent", "httprequestuseragent", "csuseragent", "agent"},
	columnar.BytesOut: {"bytesout", "bytesuploaded", "uploadedbytes", "uploadbytes", "uploadsize", "csbytes", "requestbytes", "requestsize",
		"requestlength", "requestbodysize", "requestbodylen", "bytestoserver", "trafficbytesout", "sourcebytes", "srcbytes", "origbytes"},
	columnar.BytesIn: {"bytesin", "bytesdownloaded", "downloadedbytes", "downloadbytes", "downloadsize", "scbytes", "responsebytes", "responsesize",
		"responselength", "responsebodysize", "responsebodylen", "bytestoclient", "trafficbytesin", "destinationbytes", "dstbytes", "respbytes"},
	columnar.EventUID: {"eventuid", "eventuuid", "metadatauid"},

	columnar.Method: {"method", "httpmethod", "requestmethod", "csmethod", "verb", "httprequesthttpmethod"},
	columnar.URLHost: append([]string{"urlhost", "urlhostname", "urldomain", "cshost", "requesthost", "httphost", "dsthost", "desthost",
		"destinationhost", "httprequesturlhostname"}, urlNames...),
	columnar.URLPath: append([]string{"urlpath", "uripath", "csuristem", "requestpath", "httprequesturlpath", "path", "uri", "requesturi",
		"csuri"}, urlNames...),
	columnar.StatusCode: {"statuscode", "httpstatus", "httpstatuscode", "scstatus", "responsecode", "httpresponsecode", "status", "code"},
	columnar.DstIP: {"dstip", "dst", "destip", "destinationip", "destinationaddress", "destinationipaddress", "dstaddr", "destaddr",
		"serverip", "dstendpointip", "idresph"},
	columnar.Action: {"action", "saction", "verdict", "disposition"},

	columnar.Query:      {"query", "qname", "queryname", "dnsquery", "dnsqname", "dnsquestionname", "queryhostname", "rrname", "dnsrrname"},
	columnar.QueryType:  {"querytype", "qtype", "qtypename", "dnsquestiontype", "dnsqtype", "rrtype", "dnsrrtype", "recordtype"},
	columnar.Rcode:      {"rcode", "rcodename", "responsecode", "dnsresponsecode", "dnsrcode", "rcodeid"},
	columnar.AnswersLen: {"answerslen", "ancount", "answercount", "answerscount"},

	columnar.DstHost:  {"dsthost", "desthost", "destinationhost", "destinationdomain", "dstendpointhostname", "sni", "tlssni", "servername"},
	columnar.DstPort:  {"dstport", "destport", "destinationport", "dport", "serverport", "dstendpointport", "idrespp"},
	columnar.Protocol: {"protocol", "proto", "networktransport", "transport", "ipprotocol", "connectioninfoprotocolname"},
	columnar.Duration: {"durationus"},

	columnar.Path:         {"path", "image", "imagepath", "processpath", "exe", "executable", "processexecutable", "processfilepath"},
	columnar.InternalName: {"internalname", "originalfilename"},
	columnar.CmdLine:      {"cmdline", "commandline", "processcmdline", "processcommandline"},
	columnar.ParentPath:   {"parentpath", "parentimage", "parentprocesspath", "processparentexecutable", "processparentprocessfilepath"},
	columnar.PID:          {"pid", "processid", "processpid"},
	columnar.Description:  {"description"},
	columnar.Hashes:       {"hashes", "hash"},
}

// urlNames hold a whole URL, which gives url_host and url_path.
var urlNames = []string{"url", "urloriginal", "urlfull", "fullurl", "requesturl", "httprequesturlurlstring"}

// squash is the form in which names are compared with wellKnown.
func squash(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r > 127:
			return r
		}
		return -1
	}, name)
}

// A reading is how the text of a source becomes the value of a column.
type reading uint8

const (
	readText   reading = iota
	readTime           // ISO 8601, epoch or layout
	readNumber         // × scale, not negative
	readHost           // host of a URL, or a host
	readPath           // path of a URL, or a path
	readQuery          // DNS name; gives domain too
	readQueryType
	readRcode
	readKept // a field that rules read: as it is, or a part of a URI
)

// A field is one column of a plan.
type field struct {
	col   columnar.Col
	src   int // index of the source's name; -1: text
	text  []byte
	read  reading
	scale float64 // readNumber: what one unit is in units of the column
	unit  string  // readTime: Source.Time
	name  string  // readKept: of the field
	part  uriPart // readKept
	// Reasons to skip a record, made once.
	bad, negative string
}

// A plan says which of an object's names become which columns of which table.
// It does not change, so workers may share it.
type plan struct {
	table  *columnar.Table
	tells  []int   // indexes of the names that told the table; none if the mapping did, or for api
	fields []field // by src
	names  []string
	where  int // index of the name that equals is about; -1: none
	equals []byte
}

// wanted returns the fields that anyone reads.
func (p *plan) wanted(b *columnar.Builder) []field {
	var out []field
	for _, f := range p.fields {
		if f.col == columnar.Time || b.Wants(f.col) || f.read == readQuery && b.Wants(columnar.Domain) {
			out = append(out, f)
		}
	}
	return append(out, p.kept(b.FieldNames())...)
}

// kept returns how fields that rules read are found: under their own name, however it
// is spelt; parts of a URI where that stands.
func (p *plan) kept(fields []string) (out []field) {
	if len(fields) == 0 {
		return nil
	}
	spelt := map[string]int{}
	for i, name := range slices.Backward(p.names) {
		spelt[keptName(name)] = i
	}
	for _, name := range fields {
		part, isPart := uriPartNamed(name)
		f := field{src: -1, read: readKept, name: name}
		if i, ok := spelt[keptName(name)]; ok {
			f.src = i
		}
		if f.src < 0 && isPart && p.table == columnar.HTTP {
			for _, u := range p.fields {
				if u.src >= 0 && (u.read == readPath || u.read == readHost && f.src < 0) {
					f.src, f.part = u.src, part
				}
			}
		}
		if f.src >= 0 {
			out = append(out, f)
		}
	}
	return out
}

// keptName is the form in which fields that rules read are compared with names.
func keptName(name string) string {
	name = squash(name)
	for _, prefix := range []string{"cs", "c", "http"} {
		switch rest := strings.TrimPrefix(name, prefix); rest {
		case "referer", "referrer":
			return "referrer"
		case "uri", "uriquery", "uriextension":
			return rest
		}
	}
	return name
}

// hasDeed reports whether rows say what was done, or how many bytes went.
func (p *plan) hasDeed() bool {
	return p.table != columnar.API || slices.ContainsFunc(p.fields, func(f field) bool {
		switch f.col {
		case columnar.Operation, columnar.BytesOut, columnar.BytesIn:
			return true
		}
		return false
	})
}

// hasEntity reports whether rows can be somebody's.
func (p *plan) hasEntity() bool {
	return slices.ContainsFunc(p.fields, func(f field) bool {
		switch f.col {
		case columnar.User, columnar.SrcIP, columnar.Host, columnar.Query:
			return true
		}
		return false
	})
}

// resolve makes the plan for an object with these names. m may be nil.
func resolve(m *Mapping, names []string, outer bool) (*plan, error) {
	if m == nil {
		m = &Mapping{}
	}
	r := resolver{m: m, names: names, known: make(map[string]int, len(names)), taken: make(map[int]bool)}
	for i, name := range names {
		if s := squash(name); s != "" {
			if _, dup := r.known[s]; !dup {
				r.known[s] = i
			}
		}
	}
	p := &plan{names: names, where: -1}
	if m.Where.Name != "" {
		i, ok := r.named(m.Where.Name)
		if !ok {
			return nil, fmt.Errorf("mapping.where: no column %q: has %s", m.Where.Name, list(names))
		}
		p.where, p.equals = i, []byte(m.Where.Equals)
		r.taken[i] = true
	}
	for c := range columnar.NumCols {
		if s, ok := m.Columns[c]; ok && s.Name != "" {
			i, ok := r.named(s.Name)
			if !ok {
				return nil, fmt.Errorf("mapping.columns.%s: no column %q: has %s", c, s.Name, list(names))
			}
			r.taken[i] = true
		}
	}
	if p.table = m.Table; p.table == nil {
		var told []columnar.Col
		p.table, told = r.table()
		for _, c := range told {
			if i, ok := r.source(c); ok {
				p.tells = append(p.tells, i)
			}
		}
	}
	for c := range m.Columns {
		switch {
		case c == columnar.Domain:
			return nil, fmt.Errorf("mapping.columns.domain: domain is derived from query; name that instead")
		case !p.table.Set().Has(c):
			return nil, fmt.Errorf("mapping.columns.%s: table %s has no such column; set mapping.table", c, p.table.Name)
		}
	}
	if _, ok := r.source(columnar.Time); !ok && !outer {
		return nil, fmt.Errorf("no column for time: has %s; name it in mapping.columns.time", list(names))
	}
	for _, c := range p.table.Cols {
		i, ok := r.source(c)
		if !ok {
			continue
		}
		f := newField(c, i)
		if s, ok := m.Columns[c]; ok {
			if err := f.as(s); err != nil {
				return nil, fmt.Errorf("mapping.columns.%s: %w", c, err)
			}
		}
		p.fields = append(p.fields, f)
	}
	if p.table == columnar.HTTP {
		r.hostOfServer(p)
	}
	slices.SortStableFunc(p.fields, func(a, b field) int { return a.src - b.src })
	return p, nil
}

type resolver struct {
	m     *Mapping
	names []string
	known map[string]int // squashed name → index
	taken map[int]bool   // named in the mapping: not to be guessed with
}

// named finds a name that the mapping gives.
func (r *resolver) named(name string) (int, bool) {
	if i := slices.Index(r.names, name); i >= 0 {
		return i, true
	}
	i := slices.IndexFunc(r.names, func(s string) bool { return strings.EqualFold(s, name) })
	return i, i >= 0
}

// source returns where the column's values stand; -1 is Source.Const.
func (r *resolver) source(c columnar.Col) (int, bool) {
	if s, ok := r.m.Columns[c]; ok {
		if s.Name == "" {
			return -1, true
		}
		return r.named(s.Name)
	}
	if r.m.Only {
		return 0, false
	}
	for _, name := range wellKnown[c] {
		if i, ok := r.known[name]; ok && !r.taken[i] {
			return i, true
		}
	}
	return 0, false
}

// table infers what kind of event the names describe. A record with a value in
// none of the told columns is of another kind, where a log has several.
func (r *resolver) table() (t *columnar.Table, told []columnar.Col) {
	has := func(cols ...columnar.Col) bool {
		return slices.ContainsFunc(cols, func(c columnar.Col) bool { _, ok := r.source(c); return ok })
	}
	switch {
	case has(columnar.Query):
		return columnar.DNS, []columnar.Col{columnar.Query}
	case has(columnar.CmdLine, columnar.ParentPath):
		return columnar.Process, []columnar.Col{columnar.CmdLine, columnar.ParentPath}
	case (has(columnar.DstIP) && has(columnar.DstPort) || has(columnar.BytesOut, columnar.BytesIn) && has(columnar.DstIP, columnar.DstPort)) &&
		!has(columnar.Service, columnar.Method) && !r.hasURL():
		return columnar.Network, []columnar.Col{columnar.DstIP, columnar.DstPort}
	case has(columnar.Method) || r.hasURL():
		return columnar.HTTP, []columnar.Col{columnar.Method, columnar.URLHost}
	}
	return columnar.API, nil
}

// hasURL reports whether a name is one of url_host or a URL; that of a server
// alone (dst_host) is found in connections too.
func (r *resolver) hasURL() bool {
	if i, ok := r.source(columnar.URLHost); ok {
		j, ok := r.source(columnar.DstHost)
		return !ok || i != j
	}
	return false
}

// hostOfServer turns host into url_host in requests that name no other: next to
// a method and a path it is the Host header, not the client's machine.
func (r *resolver) hostOfServer(p *plan) {
	if _, ok := r.source(columnar.URLHost); ok {
		return
	}
	if _, ok := r.m.Columns[columnar.Host]; ok {
		return
	}
	for i := range p.fields {
		if f := &p.fields[i]; f.col == columnar.Host {
			if name := squash(r.names[f.src]); name == "host" || name == "hostname" {
				*f = newField(columnar.URLHost, f.src)
			}
		}
	}
}

// list quotes the names for an error. They come from the log.
func list(names []string) string {
	const most, longest = 24, 64
	if len(names) == 0 {
		return "no columns"
	}
	var b strings.Builder
	for i, name := range names {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(names)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		if len(name) > longest {
			name = name[:longest] + "…"
		}
		b.WriteString(strconv.Quote(name))
	}
	return b.String()
}

func newField(c columnar.Col, src int) field {
	f := field{col: c, src: src, scale: 1, bad: "bad " + c.String(), negative: "negative " + c.String()}
	switch c {
	case columnar.Time:
		f.read = readTime
	case columnar.URLHost:
		f.read = readHost
	case columnar.URLPath:
		f.read = readPath
	case columnar.Query:
		f.read = readQuery
	case columnar.QueryType:
		f.read = readQueryType
	case columnar.Rcode:
		f.read = readRcode
	default:
		if c.Kind() >= columnar.Int64 {
			f.read = readNumber
		}
	}
	return f
}

// units of byte counts and of durations in µs.
var units = map[string]float64{
	"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}

// Check reports a unit that there is none of.
func (s Source) Check() error {
	if _, ok := units[s.Unit]; !ok {
		return fmt.Errorf("unit %q is none of B, KB, MB, GB, KiB, MiB, GiB", s.Unit)
	}
	return nil
}

func (f *field) as(s Source) error {
	f.text = []byte(s.Const)
	if err := s.Check(); err != nil {
		return err
	}
	f.scale = units[s.Unit]
	if s.Unit != "" && f.col != columnar.BytesOut && f.col != columnar.BytesIn {
		return fmt.Errorf("unit %q: only byte counts have one", s.Unit)
	}
	switch {
	case f.col == columnar.Duration:
		switch s.Time {
		case "", "s":
			f.scale = 1e6
		case "ms":
			f.scale = 1e3
		case "us":
		case "ns":
			f.scale = 1e-3
		default:
			return fmt.Errorf("time %q is none of s, ms, us, ns", s.Time)
		}
	case s.Time != "" && f.col != columnar.Time:
		return fmt.Errorf("time %q: only time and duration have one", s.Time)
	default:
		f.unit = s.Time
		switch s.Time {
		case "", "iso", "s", "ms", "us", "ns":
		default:
			if !strings.ContainsAny(s.Time, "0123456789") {
				return fmt.Errorf("time %q is neither s, ms, us, ns, iso nor a Go layout such as \"02/Jan/2006:15:04:05 -0700\"", s.Time)
			}
		}
	}
	return nil
}

// A setter puts the texts of a record into the row that is being built. It is
// used by one goroutine.
type setter struct {
	clock   clock
	outer   bool // the row has the time of its wrapper, unless its own is set
	scratch []byte
}

// set reads text as f says and sets the cell. It returns why the record must be
// skipped, or "". Text that says that nothing is known leaves the cell unset.
func (s *setter) set(b *columnar.Builder, f *field, text []byte) (reason string) {
	if unknown(text) {
		if f.read == readTime && !s.outer {
			return "no time"
		}
		return ""
	}
	switch f.read {
	case readTime:
		us, ok := s.time(f.unit, text)
		if !ok {
			return f.bad
		}
		b.SetTime(us)
	case readNumber:
		v, reason := f.number(text)
		return f.set(b, v, reason)
	case readQuery:
		b.SetQuery(text) // escapes of RFC 1035 stay as they are written
	case readKept:
		if text = f.part.of(text); len(text) > 0 {
			b.SetField([]byte(f.name), text)
		}
	default:
		b.SetText(f.col, s.text(f, text))
	}
	return ""
}

// text returns what a text of the source says in a Dictionary column, "" if
// nothing. It is a function of the text alone.
func (s *setter) text(f *field, text []byte) []byte {
	if unknown(text) {
		return nil
	}
	switch f.read {
	case readHost:
		s.scratch = columnar.AppendLower(s.scratch[:0], urlHost(text))
		return s.scratch
	case readPath:
		return urlPath(text)
	case readKept:
		return f.part.of(text)
	case readQueryType:
		return s.code(text, queryTypeName)
	case readRcode:
		return s.code(text, rcodeName)
	}
	return text
}

// unknown reports whether a source writes text for what it does not know.
func unknown(text []byte) bool {
	if len(text) > 4 {
		return false
	}
	switch string(text) {
	case "", "-", "null", "NULL", "None", "N/A":
		return true
	}
	return false
}

func (s *setter) time(unit string, text []byte) (us int64, ok bool) {
	if us, ok = s.clock.utc(text); ok && (unit == "" || unit == "iso") {
		return us, true
	}
	text = bytes.TrimSpace(text)
	switch unit {
	case "":
		if us, ok = epoch(text); ok {
			return us, true
		}
		return s.clock.parseISO(text)
	case "iso":
		return s.clock.parseISO(text)
	case "s", "ms", "us", "ns":
		us, ok = epochIn(unit, text)
		return us, ok && plausible(us)
	}
	zone := s.clock.zone
	if zone == nil {
		zone = time.UTC
	}
	t, err := time.ParseInLocation(unit, string(text), zone)
	if err != nil {
		return 0, false
	}
	us = t.UnixMicro()
	return us, plausible(us)
}

// utc parses 2006-01-02T15:04:05[.000]Z, the form that most logs have.
func (c *clock) utc(b []byte) (us int64, ok bool) {
	const milli = len("2006-01-02T15:04:05.000Z")
	if len(b) != milli && len(b) != milli-4 || b[10] != 'T' || b[len(b)-1] != 'Z' || !c.setDate(b[:10]) {
		return 0, false
	}
	// The eight bytes of hh:mm:ss, digits as their values and colons as 0.
	w := binary.LittleEndian.Uint64(b[11:]) ^ 0x30303a30303a3030
	if w&0x0000ff0000ff0000 != 0 || (w|(w+0x7676767676767676))&0x8080808080808080 != 0 {
		return 0, false
	}
	w = w*10 + w>>8
	h, m, sec := w&0xff, w>>24&0xff, w>>48&0xff
	if h > 23 || m > 59 || sec > 60 {
		return 0, false
	}
	us = c.base + int64(h*3600+m*60+sec)*second
	if len(b) == milli {
		d0, d1, d2 := b[20]-'0', b[21]-'0', b[22]-'0'
		if b[19] != '.' || d0 > 9 || d1 > 9 || d2 > 9 {
			return 0, false
		}
		us += int64(d0)*100_000 + int64(d1)*10_000 + int64(d2)*1_000
	}
	return us, plausible(us)
}

// epoch parses a time since 1970 in the unit that its digits tell: each unit's
// range begins in 1973 and ends in 5138. Smaller numbers are dates without
// dashes, or times since the start of a capture: not known.
func epoch(text []byte) (us int64, ok bool) {
	digits := 0
	for digits < len(text) && text[digits]-'0' <= 9 {
		digits++
	}
	unit := ""
	switch {
	case digits >= 18:
		unit = "ns"
	case digits >= 15:
		unit = "us"
	case digits >= 12:
		unit = "ms"
	case digits >= 9:
		unit = "s"
	case digits == 1 && bytes.ContainsAny(text, "eE"): // 1.7e9, as floats are printed
		unit = "s"
	default:
		return 0, false
	}
	us, ok = epochIn(unit, text)
	return us, ok && plausible(us)
}

func epochIn(unit string, text []byte) (us int64, ok bool) {
	scale, divide := int64(1), int64(1)
	switch unit {
	case "s":
		scale = 1e6
	case "ms":
		scale = 1e3
	case "ns":
		divide = 1e3
	}
	if us, ok = parseDecimal(text, scale); !ok {
		var x float64
		x, ok = parseFloat(text)
		x *= float64(scale)
		ok = ok && math.Abs(x) < 1<<62
		us = int64(x)
	}
	return us / divide, ok
}

// set sets the cell of a readNumber field to what number, integer or float gave.
func (f *field) set(b *columnar.Builder, v int64, reason string) string {
	if reason == "" && v != columnar.Null {
		b.SetInt(f.col, v)
	}
	return reason
}

// integer sets the cell of a readNumber field whose scale is 1.
func (s *setter) integer(b *columnar.Builder, f *field, v int64) (reason string) {
	v, reason = f.integer(v)
	return f.set(b, v, reason)
}

// float sets the cell of a readNumber field.
func (s *setter) float(b *columnar.Builder, f *field, x float64) (reason string) {
	v, reason := f.float(x)
	return f.set(b, v, reason)
}

// number reads the text of a readNumber field: columnar.Null if it says nothing.
func (f *field) number(text []byte) (v int64, reason string) {
	v, ok := parseInt(text)
	if !ok {
		text = bytes.TrimSpace(text)
		v, ok = parseInt(text)
	}
	if !ok || f.scale != 1 {
		x, isFloat := parseFloat(text)
		if !isFloat {
			return 0, f.bad
		}
		return f.float(x)
	}
	return f.integer(v)
}

// integer is number of a field whose scale is 1.
func (f *field) integer(v int64) (int64, string) {
	if v < 0 {
		if f.col == columnar.BytesOut || f.col == columnar.BytesIn {
			return 0, f.negative
		}
		v = columnar.Null
	}
	return v, ""
}

// float is number, rounded down; NaN is null.
func (f *field) float(x float64) (int64, string) {
	if x = math.Floor(x * f.scale); x != x {
		return columnar.Null, ""
	}
	if math.Abs(x) >= 1<<63 {
		return 0, f.bad
	}
	return f.integer(int64(x))
}

// parseFloat parses what programs print for a float in decimal.
func parseFloat(b []byte) (float64, bool) {
	switch string(b) {
	case "NaN", "nan":
		return math.NaN(), true
	}
	for _, c := range b {
		if c-'0' > 9 && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, false
		}
	}
	x, err := strconv.ParseFloat(string(b), 64)
	return x, err == nil
}

// urlHost returns the host of a URL, of "host:port" or of "host"; nothing of a
// path.
func urlHost(b []byte) []byte {
	b = afterScheme(b)
	if i := bytes.IndexAny(b, "/?#"); i >= 0 {
		b = b[:i]
	}
	if i := bytes.LastIndexByte(b, '@'); i >= 0 {
		b = b[i+1:]
	}
	if i := bytes.LastIndexByte(b, ':'); i >= 0 && (b[0] == '[' && b[i-1] == ']' || bytes.IndexByte(b, ':') == i) {
		b = b[:i]
	}
	if len(b) > 1 && b[0] == '[' && b[len(b)-1] == ']' {
		b = b[1 : len(b)-1]
	}
	return bytes.TrimSuffix(b, dot)
}

// urlPath returns the path of a URL or of a path, without the query string,
// which may hold secrets.
func urlPath(b []byte) []byte {
	if i := bytes.IndexAny(b, "?#"); i >= 0 {
		b = b[:i]
	}
	b = afterScheme(b)
	if i := bytes.IndexByte(b, '/'); i >= 0 {
		return b[i:]
	}
	return nil
}

func afterScheme(b []byte) []byte {
	if i := bytes.Index(b, []byte("://")); i >= 0 && !bytes.ContainsAny(b[:i], "/?#") {
		return b[i+3:]
	}
	return b
}

// code returns the name of a DNS number, or text in upper case.
func (s *setter) code(text []byte, name func(int64) string) []byte {
	if n, ok := parseInt(text); ok {
		s.scratch = append(s.scratch[:0], name(n)...)
		return s.scratch
	}
	s.scratch = s.scratch[:0]
	for _, c := range text {
		if c-'a' < 26 {
			c -= 'a' - 'A'
		}
		s.scratch = append(s.scratch, c)
	}
	return s.scratch
}

// queryTypeName returns the name of a DNS record type, TYPE999 if it has none.
func queryTypeName(n int64) string { return numbered(n, queryTypes[:], "TYPE") }

// rcodeName returns the name of a DNS response code, RCODE99 if it has none.
func rcodeName(n int64) string { return numbered(n, rcodes[:], "RCODE") }

func numbered(n int64, names []string, prefix string) string {
	if n >= 0 && n < int64(len(names)) && names[n] != "" {
		return names[n]
	}
	return prefix + strconv.FormatInt(n, 10)
}

// By the IANA registry of DNS parameters.
var (
	queryTypes = [...]string{
		1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL", 11: "WKS", 12: "PTR",
		13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 24: "SIG", 25: "KEY", 28: "AAAA", 29: "LOC",
		33: "SRV", 35: "NAPTR", 36: "KX", 37: "CERT", 38: "A6", 39: "DNAME", 41: "OPT", 42: "APL", 43: "DS", 44: "SSHFP",
		45: "IPSECKEY", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA",
		53: "SMIMEA", 55: "HIP", 59: "CDS", 60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS",
		99: "SPF", 108: "EUI48", 109: "EUI64", 249: "TKEY", 250: "TSIG", 251: "IXFR", 252: "AXFR", 255: "ANY", 256: "URI", 257: "CAA",
	}
	rcodes = [...]string{
		0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN", 7: "YXRRSET",
		8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 16: "BADVERS", 17: "BADKEY", 18: "BADTIME", 19: "BADMODE", 20: "BADNAME",
		21: "BADALG", 22: "BADTRUNC", 23: "BADCOOKIE",
	}
)
