package logs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"outflow/columnar"
)

// Squid decodes the access log of the Squid proxy.
var Squid = &Format{
	Name:  "squid",
	Title: "Squid access log, any logformat",
	Doc: `A line is a request, at the time at which it ended. Read without being told are
Squid's own formats squid (native), common and combined, and

    logformat outflow %ts.%03tu %6tr %>a %Ss/%03>Hs %<st %>st %rm %ru %[un %Sh/%<a %mt "%{User-Agent}>h"

which is the one to use: the others do not say how much the client sent. For a
CONNECT tunnel Squid counts what was relayed in %>st and %<st. Any other format
is read when its logformat directive is given.

%>st is bytes_out and %<st bytes_in. dst_ip is %<a where Squid went to the server
itself, not to another proxy. Query strings are dropped from url_path.

The client chooses the URL and the headers. A line in which quotes or spaces
make the fields doubtful is skipped and counted, as is one whose fields are not
what the format says.`,
	Tables: []*columnar.Table{columnar.HTTP},
	Sniff: func(head []byte) bool {
		_, lines := bestSquidLayout(head)
		return lines > 0
	},
	New: func(o *Options) (Decoder, error) {
		if o.LogFormat != "" {
			l, err := compileSquid(o.LogFormat)
			if err != nil {
				return nil, err
			}
			return &squid{layout: l}, nil
		}
		l, _ := bestSquidLayout(o.Head)
		return &squid{layout: l}, nil
	},
}

// Squid's own formats, and the recommended one. The first is taken where none
// fits.
const (
	squidNative   = `%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt`
	squidOutflow  = `%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %>st %rm %ru %[un %Sh/%<a %mt "%{User-Agent}>h"`
	squidCommon   = `%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st %Ss:%Sh`
	squidCombined = `%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st "%{Referer}>h" "%{User-Agent}>h" %Ss:%Sh`
)

// bestSquidLayout returns the known layout that most of the first lines have,
// and how many have it.
func bestSquidLayout(head []byte) (best *squidLayout, most int) {
	for _, format := range []string{squidNative, squidOutflow, squidCombined, squidCommon} {
		l, err := compileSquid(format)
		if err != nil {
			continue // the test compiles them all
		}
		d := squid{layout: l}
		lines, fit := 0, 0
		for line := range bytes.Lines(head) {
			if lines++; lines > 32 {
				break
			}
			if d.match(bytes.TrimRight(line, " \r\n")) {
				if _, why := d.numbers(); why == "" {
					fit++
				}
			}
		}
		if best == nil || fit > most {
			best, most = l, fit
		}
	}
	return best, most
}

// squidField is what one field of a logformat is to us.
type squidField uint8

const (
	squidOther squidField = iota
	squidSeconds
	squidMillis
	squidDate // %tl and %tg: 02/Jan/2006:15:04:05 -0700
	squidClient
	squidClientName
	squidServer
	squidUser
	squidMethod
	squidURL
	squidPath
	squidHost
	squidStatus
	squidOut
	squidIn
	squidAction
	squidHierarchy
	squidAgent
	numSquidFields
)

// squidCodes are the format codes that are known. Of several codes for one
// field, the first in this list is read.
var squidCodes = []struct {
	code  string
	field squidField
}{
	{"ts", squidSeconds}, {"tu", squidMillis}, {"tg", squidDate}, {"tl", squidDate},
	{">a", squidClient}, {">A", squidClientName}, {"<a", squidServer},
	// un is the best of the others; ui is what the client says.
	{"un", squidUser}, {"ul", squidUser}, {"ue", squidUser}, {"us", squidUser}, {"ui", squidUser},
	{"rm", squidMethod}, {">rm", squidMethod}, {"<rm", squidMethod},
	{"ru", squidURL}, {">ru", squidURL}, {"<ru", squidURL},
	{"rp", squidPath}, {">rp", squidPath}, {"<rp", squidPath}, {">rd", squidHost}, {"<rd", squidHost},
	{">Hs", squidStatus}, {"Hs", squidStatus}, {"<Hs", squidStatus},
	{">st", squidOut}, {"<st", squidIn}, {"Ss", squidAction}, {"Sh", squidHierarchy},
	{">h", squidAgent}, // of the header User-Agent only
	{"tr", squidOther}, {"dt", squidOther}, {"st", squidOther}, {">sh", squidOther}, {"<sh", squidOther}, {"mt", squidOther},
	{">p", squidOther}, {"la", squidOther}, {"lp", squidOther}, {"<A", squidOther}, {"<p", squidOther}, {"<la", squidOther}, {"<lp", squidOther},
	{"<h", squidOther}, {"rv", squidOther}, {">rv", squidOther}, {"<rv", squidOther}, {">rs", squidOther}, {"<rs", squidOther}, {">rP", squidOther}, {"<rP", squidOther},
	{"<tt", squidOther}, {"<pt", squidOther}, {"err_code", squidOther}, {"err_detail", squidOther}, {"ea", squidOther}, {"et", squidOther}, {"sn", squidOther},
	{"lr", squidOther}, {"qos", squidOther}, {"note", squidOther}, {">eui", squidOther}, {"handshake", squidOther}, {"sni", squidOther}, {">sni", squidOther}, {"bump_mode", squidOther},
}

// A squidLayout is a compiled logformat: fields with literal text between them.
type squidLayout struct {
	lead   string // before the first field
	fields []squidItem
	open   int  // the one field that may have spaces, -1 if there is no such or more than one
	hasURL bool // else from host and path
}

type squidItem struct {
	field  squidField
	quoted bool   // in quotes, within which quotes are escaped
	after  string // the text behind it
}

// compileSquid compiles a logformat directive, or what stands in one behind its
// name.
func compileSquid(format string) (*squidLayout, error) {
	spec := strings.TrimSpace(format)
	if rest, ok := strings.CutPrefix(spec, "logformat "); ok {
		_, spec, _ = strings.Cut(strings.TrimSpace(rest), " ")
		spec = strings.TrimSpace(spec)
	}
	l := &squidLayout{}
	rank := [numSquidFields]int{}
	var agents, free []int
	for spec != "" {
		literal, rest, more := strings.Cut(spec, "%")
		for more && strings.HasPrefix(rest, "%") {
			var text string
			text, rest, more = strings.Cut(rest[1:], "%")
			literal += "%" + text
		}
		if n := len(l.fields); n == 0 {
			l.lead = literal
		} else {
			l.fields[n-1].after = literal
		}
		if !more {
			break
		}
		n := len(l.fields)
		if n > 0 && literal == "" {
			return nil, fmt.Errorf("logformat %q: nothing stands between two fields, so they cannot be told apart: put a space there", format)
		}
		field, r, header, left, err := squidCode(rest)
		if err != nil {
			return nil, fmt.Errorf("logformat %q: %w", format, err)
		}
		item := squidItem{field: field, quoted: strings.HasSuffix(literal, `"`) && strings.HasPrefix(left, `"`)}
		if header && !item.quoted {
			return nil, fmt.Errorf(`logformat %q: a header can hold spaces: put its field in quotes, as in "%%{User-Agent}>h"`, format)
		}
		if field != squidOther {
			switch have := rank[field]; {
			case have == 0:
				rank[field] = r
			case r < have:
				for i := range l.fields {
					if l.fields[i].field == field {
						l.fields[i].field = squidOther
					}
				}
				rank[field] = r
			default:
				item.field = squidOther
			}
		}
		if header {
			agents = append(agents, n)
		} else if field == squidURL || field == squidPath {
			free = append(free, n)
		}
		l.fields = append(l.fields, item)
		spec = left
	}
	if rank[squidSeconds] == 0 && rank[squidDate] == 0 {
		return nil, fmt.Errorf("logformat %q names no time: it needs %%ts, %%tl or %%tg", format)
	}
	l.open = -1
	if len(agents) == 0 && len(free) == 1 && !l.fields[free[0]].quoted {
		l.open = free[0]
	}
	l.hasURL = rank[squidURL] != 0
	return l, nil
}

// squidCode parses the code behind a percent sign: modifiers, width, argument,
// namespace, name. rank orders codes of the same field, from 1.
func squidCode(s string) (field squidField, rank int, header bool, rest string, err error) {
	whole := s
	s = strings.TrimLeft(s, "\"['#/")
	s = strings.TrimLeft(s, "-0123456789.")
	var arg string
	if strings.HasPrefix(s, "{") {
		var ok bool
		if arg, s, ok = strings.Cut(s[1:], "}"); !ok {
			return 0, 0, false, "", fmt.Errorf("%%%s: no } behind {", whole)
		}
	}
	for _, namespace := range []string{"http::", "ssl::", "tls::", "icap::", "adapt::", "acl::", "proxy_protocol::", "transport::"} {
		s = strings.TrimPrefix(s, namespace)
	}
	longest := ""
	for i, c := range squidCodes {
		if len(c.code) > len(longest) && strings.HasPrefix(s, c.code) {
			longest, field, rank = c.code, c.field, i+1
		}
	}
	if longest == "" {
		return 0, 0, false, "", fmt.Errorf("%%%s: the code is not known", whole)
	}
	s = s[len(longest):]
	if arg == "" && strings.HasPrefix(s, "{") {
		arg, s, _ = strings.Cut(s[1:], "}")
	}
	switch {
	case longest == ">h" || longest == "<h":
		header = true
		if field == squidAgent && !strings.EqualFold(arg, "User-Agent") {
			field = squidOther
		}
	case field == squidDate && arg != "":
		return 0, 0, false, "", fmt.Errorf("%%%s: a time of a format of its own is not read: use %%ts.%%03tu, %%tl or %%tg", whole)
	}
	return field, rank, header, s, nil
}

// A squid decodes one object.
type squid struct {
	layout *squidLayout
	line   []byte
	// spans[f] is where field f stands in line: start<<32 | end. Note: a slice
	// costs a write barrier, and two integers a stall when they are read as one.
	spans [numSquidFields]uint64
	date  [11]byte // the last 02/Jan/2006
	base  int64    // its start as UTC, µs
	text  []byte   // scratch
}

// value returns a field of the line, "" if the layout lacks it.
func (d *squid) value(f squidField) []byte {
	s := d.spans[f]
	return d.line[s>>32 : uint32(s)]
}

// A squidRow is what a line says in numbers; the texts are values of squid.
type squidRow struct {
	time    int64
	status  int64 // 0: none
	out, in int64 // -1: not said
}

const (
	squidMisfit  = "fields do not fit the log format"
	squidBadTime = "bad time"
	squidBadCode = "bad status code"
	squidBadSize = "bad byte count"
)

func (d *squid) Decode(b *Block, out *columnar.Out, t *Tally) error {
	rows := out.Table(columnar.HTTP)
	record := b.First
	for data := b.Data; len(data) > 0; record++ {
		line := data
		if at := bytes.IndexByte(data, '\n'); at >= 0 {
			line, data = data[:at], data[at+1:]
		} else {
			data = nil
		}
		for len(line) > 0 && (line[len(line)-1] == '\r' || line[len(line)-1] == ' ') {
			line = line[:len(line)-1]
		}
		if len(line) == 0 {
			continue
		}
		row, why := d.parse(line)
		if why != "" {
			t.Skip(record, why)
			continue
		}
		d.set(rows, &row)
		rows.Next(record)
		t.Row()
	}
	return nil
}

// parse reads a line, without line end and spaces before that. It returns why
// it must be skipped.
func (d *squid) parse(line []byte) (row squidRow, why string) {
	if !d.match(line) && !d.matchEnds(line) {
		return row, squidMisfit
	}
	return d.numbers()
}

// numbers reads the numbers of a line that was cut into fields.
func (d *squid) numbers() (row squidRow, why string) {
	ok := false
	if s := d.value(squidSeconds); len(s) > 0 {
		row.time, ok = parseInt(s)
		ok = ok && row.time < 1<<40 // the product must fit; plausible does the rest
		row.time *= second
		if ms := d.value(squidMillis); ok && len(ms) > 0 {
			var n int64
			n, ok = parseInt(ms)
			ok = ok && n >= 0 && len(ms) <= 3
			row.time += n * 1000
		}
		ok = ok && plausible(row.time)
	} else {
		row.time, ok = d.parseDate(d.value(squidDate))
	}
	if !ok {
		return row, squidBadTime
	}
	if row.status, ok = count(d.value(squidStatus)); !ok || row.status > 999 {
		return row, squidBadCode
	}
	var ok2 bool
	row.out, ok = count(d.value(squidOut))
	row.in, ok2 = count(d.value(squidIn))
	if !ok || !ok2 {
		return row, squidBadSize
	}
	return row, ""
}

// count parses a number that is not negative; none is -1.
func count(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) == 1 && b[0] == '-' {
		return -1, true
	}
	n, ok := parseInt(b)
	return n, ok && n >= 0
}

// fits reports whether the fields are where they should be: the method and
// Squid's own codes, such as TCP_MISS_ABORTED and HIER_DIRECT, look like ones.
func (d *squid) fits() bool {
	m := d.value(squidMethod)
	return (len(m) == 0 || m[0] < '0' || m[0] > '9') && resultCode(d.value(squidAction)) && resultCode(d.value(squidHierarchy))
}

func resultCode(b []byte) bool {
	for _, c := range b {
		if (c < 'A' || c > 'Z') && c != '_' && c != '-' && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// match cuts the line into fields from the left: each ends where the text that
// follows it first stands.
func (d *squid) match(line []byte) bool {
	l := d.layout
	d.line = line
	if !bytes.HasPrefix(line, []byte(l.lead)) {
		return false
	}
	at := len(l.lead)
	for i := range l.fields {
		f := &l.fields[i]
		if !f.quoted { // padding
			for at < len(line) && line[at] == ' ' {
				at++
			}
		}
		var size int
		switch {
		case f.field == squidDate:
			size = len("02/Jan/2006:15:04:05 -0700")
		case f.quoted:
			size = unescapedQuote(line[at:])
		case f.after == "":
			size = len(line) - at
			if bytes.IndexByte(line[at:], ' ') >= 0 {
				return false
			}
		default:
			size = indexNear(line[at:], f.after[0])
		}
		end := at + size
		if size < 0 || size == 0 && !f.quoted || len(line) < end+len(f.after) || len(f.after) > 1 && string(line[end:end+len(f.after)]) != f.after {
			return false
		}
		d.span(f.field, at, end)
		at = end + len(f.after)
	}
	return at == len(line) && d.fits()
}

func (d *squid) span(f squidField, start, end int) {
	d.spans[f] = uint64(start)<<32 | uint64(end)
}

// matchEnds cuts the line from both ends; the URL, which nothing else can be
// confused with then, is what is left in the middle.
func (d *squid) matchEnds(line []byte) bool {
	l := d.layout
	d.line = line
	tail := l.fields[len(l.fields)-1].after
	if l.open < 0 || len(line) < len(l.lead)+len(tail) || !bytes.HasPrefix(line, []byte(l.lead)) || !bytes.HasSuffix(line, []byte(tail)) {
		return false
	}
	start, end := len(l.lead), len(line)-len(tail)
	for i := range l.fields[:l.open] {
		f := &l.fields[i]
		for start < end && line[start] == ' ' {
			start++
		}
		size := bytes.Index(line[start:end], []byte(f.after))
		if f.field == squidDate {
			size = len("02/Jan/2006:15:04:05 -0700")
		}
		if size <= 0 || end-start < size || !bytes.HasPrefix(line[start+size:end], []byte(f.after)) {
			return false
		}
		d.span(f.field, start, start+size)
		start += size + len(f.after)
	}
	for i := len(l.fields) - 1; i > l.open; i-- {
		before := l.fields[i-1].after
		for start < end && line[end-1] == ' ' {
			end--
		}
		at := bytes.LastIndex(line[start:end], []byte(before))
		if at <= 0 || start+at+len(before) == end {
			return false
		}
		d.span(l.fields[i].field, start+at+len(before), end)
		end = start + at
	}
	d.span(l.fields[l.open].field, start, end)
	return start < end && d.fits()
}

// indexNear returns where the first c in p is, -1 if there is none. It is meant
// for fields of a few bytes, where bytes.IndexByte and any loop of a varying
// number of steps take several times as long.
func indexNear(p []byte, c byte) int {
	const low, high = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; len(p)-n >= 16; n += 16 {
		w0 := binary.LittleEndian.Uint64(p[n:]) ^ uint64(c)*low
		w1 := binary.LittleEndian.Uint64(p[n+8:]) ^ uint64(c)*low
		at0 := bits.TrailingZeros64((w0-low)&^w0&high) >> 3 // 8 if not there
		at1 := bits.TrailingZeros64((w1-low)&^w1&high) >> 3
		if at := at0 + at1&-(at0>>3); at < 16 {
			return n + at
		}
	}
	if at := bytes.IndexByte(p[n:], c); at >= 0 {
		return n + at
	}
	return -1
}

// unescapedQuote returns where the first quote stands that no backslash
// escapes, -1 if none does.
func unescapedQuote(p []byte) int {
	for from := 0; ; {
		at := bytes.IndexByte(p[from:], '"')
		if at < 0 {
			return -1
		}
		at += from
		slashes := 0
		for slashes < at && p[at-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return at
		}
		from = at + 1
	}
}

// parseDate parses 02/Jan/2006:15:04:05 -0700.
func (d *squid) parseDate(b []byte) (us int64, ok bool) {
	if len(b) != 26 || b[11] != ':' || b[14] != ':' || b[17] != ':' || b[20] != ' ' {
		return 0, false
	}
	if [11]byte(b) != d.date {
		t, err := time.Parse("02/Jan/2006", string(b[:11]))
		if err != nil {
			return 0, false
		}
		d.date, d.base = [11]byte(b), t.UnixMicro()
	}
	h, ok1 := twoDigits(b[12:])
	m, ok2 := twoDigits(b[15:])
	s, ok3 := twoDigits(b[18:])
	offset, ok4 := parseOffset(b[21:])
	us = d.base + (h*3600+m*60+s)*second - offset
	return us, ok1 && ok2 && ok3 && ok4 && h < 24 && m < 60 && s <= 60 && plausible(us)
}

// set sets the cells of a row.
func (d *squid) set(rows *columnar.Builder, row *squidRow) {
	rows.SetTime(row.time)
	if row.status > 0 {
		rows.SetInt(columnar.StatusCode, row.status)
	}
	if row.out >= 0 {
		rows.SetInt(columnar.BytesOut, row.out)
	}
	if row.in >= 0 {
		rows.SetInt(columnar.BytesIn, row.in)
	}
	if ip := said(d.value(squidClient)); addressLike(ip) {
		rows.SetText(columnar.SrcIP, ip)
	} else if len(ip) > 0 {
		rows.SetText(columnar.Host, ip) // log_fqdn
	}
	if name := said(d.value(squidClientName)); len(name) > 0 && !addressLike(name) {
		rows.SetText(columnar.Host, name)
	}
	if user := said(d.value(squidUser)); len(user) > 0 && rows.Wants(columnar.User) {
		rows.SetText(columnar.User, d.unescapePercent(user))
	}
	rows.SetText(columnar.Method, said(d.value(squidMethod)))
	rows.SetText(columnar.Action, said(d.value(squidAction)))
	if rows.Wants(columnar.DstIP) {
		if ip := d.value(squidServer); addressLike(ip) && direct(d.value(squidHierarchy)) {
			rows.SetText(columnar.DstIP, ip)
		}
	}
	if agent := said(d.value(squidAgent)); len(agent) > 0 && rows.Wants(columnar.UserAgent) {
		rows.SetText(columnar.UserAgent, d.unescapeQuotes(agent))
	}
	if !rows.Wants(columnar.URLHost) && !rows.Wants(columnar.URLPath) {
		return
	}
	host, path := said(d.value(squidHost)), said(d.value(squidPath))
	if d.layout.hasURL {
		host, path = splitURL(said(d.value(squidURL)))
	} else {
		host, path = hostOf(host), withoutQuery(path)
	}
	rows.SetLower(columnar.URLHost, host)
	rows.SetText(columnar.URLPath, path)
}

// said returns b, nil if it is "-".
func said(b []byte) []byte {
	if len(b) == 1 && b[0] == '-' {
		return nil
	}
	return b
}

// addressLike reports whether b is an IP address rather than a name: no domain
// ends with a digit, nor has a colon.
func addressLike(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	first, last := b[0]-'0', b[len(b)-1]-'0'
	return first <= 9 && last <= 9 || bytes.IndexByte(b, ':') >= 0
}

// direct reports whether a hierarchy code says that Squid went to the server
// itself, or the log has no such code.
func direct(code []byte) bool {
	return len(code) == 0 || string(code) == "HIER_DIRECT" || bytes.Contains(code, []byte("DIRECT")) || bytes.Contains(code, []byte("ORIGINAL_DST")) || bytes.Contains(code, []byte("PINNED"))
}

// splitURL returns the host and path of a URL, or of the host:port of a tunnel.
func splitURL(url []byte) (host, path []byte) {
	at := indexNear(url, ':')
	if at > 0 && len(url) > at+2 && url[at+1] == '/' && url[at+2] == '/' {
		rest := url[at+3:]
		for i, c := range rest {
			if c == '/' || c == '?' || c == '#' {
				return hostOf(rest[:i]), withoutQuery(rest[i:])
			}
		}
		return hostOf(rest), nil
	}
	if len(url) == 0 || url[0] == '/' {
		return nil, withoutQuery(url)
	}
	switch port := portAt(url); {
	case port < 0:
		return nil, nil // error:invalid-request, urn:…
	case port == at: // the only colon
		return bytes.TrimSuffix(url[:port], dot), nil
	}
	return hostOf(url), nil
}

// portAt returns where the colon before a port at the end of p is, -1 if there
// is none.
func portAt(p []byte) int {
	i := len(p) - 1
	for i >= 0 && '0' <= p[i] && p[i] <= '9' {
		i--
	}
	if i < 0 || i == len(p)-1 || p[i] != ':' {
		return -1
	}
	return i
}

// hostOf returns the host of user@host:port, an IPv6 address without brackets.
func hostOf(authority []byte) []byte {
	for i := len(authority) - 1; i >= 0; i-- {
		if authority[i] == '@' {
			authority = authority[i+1:]
			break
		}
	}
	if len(authority) > 0 && authority[0] == '[' {
		if end := bytes.IndexByte(authority, ']'); end > 0 {
			return authority[1:end]
		}
	}
	// An address without brackets has no port.
	if at := portAt(authority); at >= 0 && bytes.IndexByte(authority[:at], ':') < 0 {
		authority = authority[:at]
	}
	return bytes.TrimSuffix(authority, dot)
}

func withoutQuery(path []byte) []byte {
	for i, c := range path {
		if c == '?' || c == '#' {
			return path[:i]
		}
	}
	return path
}

// unescapePercent decodes %20 and its like. What is no escape stays.
func (d *squid) unescapePercent(b []byte) []byte {
	if bytes.IndexByte(b, '%') < 0 {
		return b
	}
	d.text = d.text[:0]
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			if h, l := squidHex(b[i+1]), squidHex(b[i+2]); h < 16 && l < 16 {
				d.text = append(d.text, h<<4|l)
				i += 2
				continue
			}
		}
		d.text = append(d.text, b[i])
	}
	return d.text
}

func squidHex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 16
}

// unescapeQuotes drops the backslashes that escape.
func (d *squid) unescapeQuotes(b []byte) []byte {
	if bytes.IndexByte(b, '\\') < 0 {
		return b
	}
	d.text = d.text[:0]
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) && (b[i+1] == '"' || b[i+1] == '\\') {
			i++
		}
		d.text = append(d.text, b[i])
	}
	return d.text
}
