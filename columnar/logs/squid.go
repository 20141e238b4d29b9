package logs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
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
	Lacks:  columnar.ColSet(columnar.Account),
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
			line = bytes.TrimRight(line, " \r\n")
			d.data = line
			if d.match(0, len(line)) {
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
	squidReferrer
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
	{">h", squidAgent}, // of the header User-Agent; of Referer squidReferrer
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

	steps []squidStep // what usual does, nil if it cannot read the format
}

type squidItem struct {
	field  squidField
	quoted bool   // in quotes, within which quotes are escaped
	padded bool   // spaces may stand before it
	after  string // the text behind it
}

// A squidStep cuts one field off a usual line.
type squidStep struct {
	word, mask uint64 // the text behind the field, and which of the 8 bytes at its place that is
	size       uint32 // of that text
	end        squidEnd
	field      squidField
	quoted     bool
	padded     bool
}

// squidEnd is how the end of a field is found.
type squidEnd uint8

const (
	squidToSpace squidEnd = iota
	squidToQuote
	squidToSize // of a date
	squidToByte
	squidToEnd // of the line
)

const squidDateSize = len("02/Jan/2006:15:04:05 -0700")

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
		item := squidItem{
			field:  field,
			quoted: strings.HasSuffix(literal, `"`) && strings.HasPrefix(left, `"`),
			padded: strings.HasSuffix(literal, " ") && rest[0]-'1' < 9,
		}
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
	l.plan()
	return l, nil
}

// plan finds out how a usual line is cut.
func (l *squidLayout) plan() {
	if strings.ContainsAny(l.lead, "\r\n") {
		return
	}
	steps := make([]squidStep, len(l.fields))
	for i, f := range l.fields {
		if len(f.after) > 8 || strings.ContainsAny(f.after, "\r\n") {
			return
		}
		s := squidStep{size: uint32(len(f.after)), field: f.field, quoted: f.quoted, padded: f.padded}
		s.mask = 1<<(8*s.size) - 1
		for k := range f.after {
			s.word |= uint64(f.after[k]) << (8 * k)
		}
		switch {
		case f.field == squidDate:
			s.end = squidToSize
		case f.quoted || f.after != "" && f.after[0] == '"':
			s.end = squidToQuote
		case f.after == "":
			s.end = squidToEnd
		case f.after[0] == ' ':
			s.end = squidToSpace
		default:
			s.end = squidToByte
		}
		steps[i] = s
	}
	l.steps = steps
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
		switch {
		case field != squidAgent || strings.EqualFold(arg, "User-Agent"):
		case strings.EqualFold(arg, "Referer"):
			field = squidReferrer
		default:
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
	data   []byte // the block
	// spans[f] is where field f stands in data: start<<32 | end. Note: a slice
	// costs a write barrier, and two integers a stall when they are read as one.
	spans  [numSquidFields]uint64
	date   [11]byte // the last 02/Jan/2006
	zone   [6]byte  // the last " -0700"
	base   int64    // the start of the date as UTC, µs
	offset int64    // of the zone, µs
	rows   squidRows

	// The window of the block in which lines are cut, from window on: bit i&63 of
	// spaces[i>>6] says whether byte i is a space or a newline, and so on.
	window         int
	spaces, quotes []uint64
	behind         []int  // the ends of its lines, newlines included
	marks          []mark // scratch
}

// squidRun is how many lines are gathered to be put column by column, which
// keeps one dictionary at a time at hand. More would push them out of the
// first-level cache.
const squidRun = 256

// A squidKept is a field that rules read beside columns, and what it is of a line.
type squidKept struct {
	name  string
	field squidField
	part  uriPart
}

// squidRows are lines that are to be put.
type squidRows struct {
	n       int
	records [squidRun]int64
	time    [squidRun]int64
	status  [squidRun]int64 // columnar.Null: none
	out, in [squidRun]int64 // columnar.Null: not said
	// texts[f][i] is where field f of line i stands in the block, for the fields
	// that are wanted.
	texts  [numSquidFields][]columnar.Span
	wanted []squidField
	kept   []squidKept
	cells  [squidRun]columnar.Span
	spans  []columnar.Span // of a kept field
	text   []byte          // cells that are not in the block as they are
}

// value returns a field of the line, "" if the layout lacks it.
func (d *squid) value(f squidField) []byte {
	s := d.spans[f]
	return d.data[s>>32 : uint32(s)]
}

// A squidRow is what a line says in numbers; the texts are values of squid.
type squidRow struct {
	time    int64
	status  int64 // columnar.Null: none
	out, in int64 // columnar.Null: not said
}

const (
	squidMisfit  = "fields do not fit the log format"
	squidBadTime = "bad time"
	squidBadCode = "bad status code"
	squidBadSize = "bad byte count"
)

func (d *squid) Decode(b *Block, out *columnar.Out, t *Tally) error {
	rows, r := out.Table(columnar.HTTP), &d.rows
	d.want(rows)
	record := b.First
	d.data = b.Data
	for at := 0; at < len(b.Data); {
		usual := d.look(at)
		for _, behind := range d.behind {
			known := usual && d.usual(at, behind) && d.fits()
			line := b.Data[at:behind]
			if !known {
				line = bytes.TrimRight(line, " \r\n")
			}
			if len(line) > 0 {
				row, why := squidRow{}, squidMisfit
				if known || d.match(at, at+len(line)) || d.matchEnds(at, at+len(line)) {
					row, why = d.numbers()
				}
				if why != "" {
					t.Skip(record, why)
				} else {
					if r.n == min(squidRun, rows.Room()) {
						d.put(rows, b.Data)
					}
					d.gather(&row, record)
					t.Row()
				}
			}
			at = behind
			record++
		}
	}
	d.put(rows, b.Data)
	return nil
}

// lineEnd returns where the line that begins at i ends, its newline included.
func lineEnd(data []byte, i int) int {
	if n := bytes.IndexByte(data[i:], '\n'); n >= 0 {
		return i + n + 1
	}
	return len(data)
}

// squidWindow is how much of a block is looked at in one go, as scanWindow.
const squidWindow = 32 << 10

// squidBehind is how many bytes there must be behind a line for usual, which reads as
// many where it looks for a byte.
const squidBehind = 32

// look makes a window that begins with the line at i, and finds the lines in it. If
// there is none that usual can look at, it returns false, and the line at i is all.
func (d *squid) look(i int) (usual bool) {
	d.window = i
	text := d.data[i:min(i+squidWindow, len(d.data))]
	d.marks = markText(d.marks, text, ' ', '"')
	n := len(d.marks)
	d.spaces, d.quotes = slices.Grow(d.spaces[:0], n+1)[:n+1], slices.Grow(d.quotes[:0], n+1)[:n+1]
	d.spaces[n], d.quotes[n] = 0, 0
	lines := 0
	for k, m := range d.marks {
		d.spaces[k], d.quotes[k] = m.sep|m.line, m.other|m.line
		d.behind = slices.Grow(d.behind[:lines], 64)[:lines+64]
		// Whether there is one in 64 bytes is not to be foreseen, more than two are rare.
		at, behind := i+64*k+1, (*[64]int)(d.behind[lines:])
		behind[0] = at + bits.TrailingZeros64(m.line)
		rest := m.line & (m.line - 1)
		behind[1] = at + bits.TrailingZeros64(rest)
		for n := 2; rest&(rest-1) != 0; n++ {
			rest &= rest - 1
			behind[n] = at + bits.TrailingZeros64(rest)
		}
		lines += bits.OnesCount64(m.line)
	}
	for lines > 0 && d.behind[lines-1]+squidBehind > len(d.data) {
		lines--
	}
	if lines == 0 {
		d.behind = append(d.behind[:0], lineEnd(d.data, i))
		return false
	}
	d.behind = d.behind[:lines]
	return true
}

// want finds out which texts the wanted columns are made of.
func (d *squid) want(b *columnar.Builder) {
	r := &d.rows
	r.wanted, r.kept = r.wanted[:0], r.kept[:0]
	want := func(f squidField) {
		if !slices.Contains(r.wanted, f) {
			r.wanted = append(r.wanted, f)
			r.texts[f] = slices.Grow(r.texts[f][:0], squidRun)[:squidRun]
		}
	}
	for _, name := range b.FieldNames() {
		part, ok := uriPartNamed(name)
		field := squidURL
		switch {
		case ok && !d.layout.hasURL:
			field = squidPath
		case isReferrer(name):
			field = squidReferrer
		case !ok:
			continue
		}
		want(field)
		r.kept = append(r.kept, squidKept{name, field, part})
	}
	for _, w := range []struct {
		col    columnar.Col
		fields []squidField
	}{
		{columnar.User, []squidField{squidUser}},
		{columnar.SrcIP, []squidField{squidClient}},
		{columnar.Host, []squidField{squidClient, squidClientName}},
		{columnar.Method, []squidField{squidMethod}},
		{columnar.URLHost, []squidField{squidURL, squidHost}},
		{columnar.URLPath, []squidField{squidURL, squidPath}},
		{columnar.UserAgent, []squidField{squidAgent}},
		{columnar.DstIP, []squidField{squidServer, squidHierarchy}},
		{columnar.Action, []squidField{squidAction}},
	} {
		if !b.Wants(w.col) {
			continue
		}
		for _, f := range w.fields {
			want(f)
		}
	}
}

// gather keeps the line that was parsed.
func (d *squid) gather(row *squidRow, record int64) {
	r := &d.rows
	n := r.n & (squidRun - 1)
	r.records[n], r.time[n], r.status[n], r.out[n], r.in[n] = record, row.time, row.status, row.out, row.in
	for _, f := range r.wanted {
		s := d.spans[f]
		r.texts[f][n] = columnar.Span{Begin: uint32(s >> 32), End: uint32(s)}
	}
	r.n++
}

// numbers reads the numbers of a line that was cut into fields.
func (d *squid) numbers() (row squidRow, why string) {
	ok := false
	if span := d.spans[squidSeconds]; uint32(span>>32) < uint32(span) {
		row.time, ok = d.integer(squidSeconds)
		ok = ok && row.time < 1<<40 // the product must fit; plausible does the rest
		row.time *= second
		if span := d.spans[squidMillis]; ok && uint32(span>>32) < uint32(span) {
			var n int64
			n, ok = d.integer(squidMillis)
			ok = ok && n >= 0 && uint32(span)-uint32(span>>32) <= 3
			row.time += n * 1000
		}
		ok = ok && plausible(row.time)
	} else {
		row.time, ok = d.parseDate(d.value(squidDate))
	}
	if !ok {
		return row, squidBadTime
	}
	if row.status, ok = d.count(squidStatus); !ok || row.status > 999 {
		return row, squidBadCode
	}
	if row.status == 0 {
		row.status = columnar.Null // the client went before there was an answer
	}
	var ok2 bool
	row.out, ok = d.count(squidOut)
	row.in, ok2 = d.count(squidIn)
	if !ok || !ok2 {
		return row, squidBadSize
	}
	return row, ""
}

// integer parses a number.
func (d *squid) integer(f squidField) (int64, bool) {
	span := d.spans[f]
	if n, ok := digits(d.data, uint32(span>>32), uint32(span)); ok {
		return n, true
	}
	return parseInt(d.value(f))
}

// count parses a number that is not negative; none is columnar.Null.
func (d *squid) count(f squidField) (int64, bool) {
	span := d.spans[f]
	if n, ok := digits(d.data, uint32(span>>32), uint32(span)); ok {
		return n, true
	}
	b := d.value(f)
	if len(b) == 0 || len(b) == 1 && b[0] == '-' {
		return columnar.Null, true
	}
	n, ok := parseInt(b)
	return n, ok && n >= 0
}

// fits reports whether the fields are where they should be: the method and
// Squid's own codes, such as TCP_MISS_ABORTED and HIER_DIRECT, look like ones.
func (d *squid) fits() bool {
	m := d.value(squidMethod)
	return (len(m) == 0 || m[0] < '0' || m[0] > '9') && d.resultCode(squidAction) && d.resultCode(squidHierarchy)
}

// resultCode reports whether a field has only bytes that are in Squid's codes.
// Note: these are short, and a loop over bytes costs more to leave than to run.
func (d *squid) resultCode(f squidField) bool {
	s := d.spans[f]
	b := d.data[s>>32 : uint32(s)]
	switch end := uint32(s); {
	case len(b) > 8:
		odd := notInCode(binary.LittleEndian.Uint64(b[len(b)-8:]))
		for ; len(b) > 8; b = b[8:] {
			odd |= notInCode(binary.LittleEndian.Uint64(b))
		}
		return odd == 0
	case end >= 8:
		return notInCode(binary.LittleEndian.Uint64(d.data[end-8:]))>>(64-8*len(b)) == 0
	}
	for _, c := range b {
		if (c < 'A' || c > 'Z') && c != '_' && c != '-' && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// notInCode marks the bytes of w that are in none of Squid's codes by their high
// bits.
func notInCode(w uint64) uint64 {
	seven := w & lowBits
	capital := (seven + (0x80-'A')*eachByte) &^ (seven + (0x80-'Z'-1)*eachByte)
	digit := (seven + (0x80-'0')*eachByte) &^ (seven + (0x80-'9'-1)*eachByte)
	other := ^((seven ^ '_'*eachByte) + lowBits) | ^((seven ^ '-'*eachByte) + lowBits)
	return (^(capital | digit | other) | w) & highBits
}

// usual cuts the line from i to behind, its newline included, into fields as match
// does, or returns false. It cuts none with escaped quotes, or more than 8 spaces
// before a field.
//
// Note: a search through the text is a jump that depends on it, and a dozen of
// those in a line cost more than all else. So the end of a field is found in bitmaps,
// and a newline ends each of them: no field can run into the next line.
func (d *squid) usual(i, behind int) bool {
	l, text := d.layout, d.data[d.window:]
	at := i - d.window
	if len(l.steps) == 0 || !bytes.HasPrefix(text[at:], []byte(l.lead)) {
		return false
	}
	at = d.cut(at + len(l.lead))
	if at < 0 {
		return false
	}
	if text[at] == '\r' {
		at++
	}
	return d.window+at+1 == behind
}

// cutGo is cut, on any machine.
func (d *squid) cutGo(at int) (end int) {
	text := d.data[d.window:]
	window := uint64(d.window)<<32 | uint64(d.window)
	for k := range d.layout.steps {
		f := &d.layout.steps[k]
		if f.padded {
			at += bits.TrailingZeros64(binary.LittleEndian.Uint64(text[at:])^' '*eachByte) >> 3
		}
		var end int
		switch f.end {
		case squidToSpace:
			if end = nextMark(d.spaces, at); end == at {
				return -1
			}
		case squidToQuote:
			end = nextMark(d.quotes, at)
			if f.quoted {
				if text[end-1] == '\\' {
					return -1
				}
			} else if end == at || text[at] == ' ' {
				return -1
			}
		case squidToByte:
			size := indexNear(text[at:nextMark(d.spaces, at)], byte(f.word))
			if size <= 0 {
				return -1
			}
			end = at + size
		case squidToSize:
			if marksFrom(d.spaces, at)&(1<<squidDateSize-1) != 1<<20 || text[at+20] != ' ' {
				return -1
			}
			end = at + squidDateSize
		case squidToEnd:
			end = nextMark(d.spaces, at)
			if end > at && text[end-1] == '\r' {
				end--
			}
			if end == at || text[end-1] == '\r' {
				return -1
			}
		}
		if (binary.LittleEndian.Uint64(text[end:])^f.word)&f.mask != 0 {
			return -1
		}
		d.spans[f.field] = uint64(at)<<32 + uint64(end) + window
		at = end + int(f.size)
	}
	return at
}

// marksFrom returns 64 bits of a bitmap from at on.
func marksFrom(marks []uint64, at int) uint64 {
	return marks[at>>6]>>(at&63) | marks[at>>6+1]<<1<<(^at&63)
}

// nextMark returns the place of the first bit that is set in a bitmap from at on.
// There must be one.
func nextMark(marks []uint64, at int) int {
	for {
		if w := marksFrom(marks, at); w != 0 {
			return at + bits.TrailingZeros64(w)
		}
		at += 64
	}
}

// match cuts the line from start to end into fields from the left: each ends
// where the text that follows it first stands.
func (d *squid) match(start, end int) bool {
	l, line := d.layout, d.data[start:end]
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
		size := 0
		switch {
		case f.field == squidDate:
			size = squidDateSize
		case f.quoted:
			size = unescapedQuote(line[at:])
		case f.after == "":
			if size = len(line) - at; bytes.IndexByte(line[at:], ' ') >= 0 {
				return false
			}
		default:
			size = indexNear(line[at:], f.after[0])
		}
		end := at + size
		if size < 0 || size == 0 && !f.quoted || len(line) < end+len(f.after) || string(line[end:end+len(f.after)]) != f.after {
			return false
		}
		d.span(f.field, start, at, end)
		at = end + len(f.after)
	}
	return at == len(line) && d.fits()
}

// span notes where a field is in the line that begins at start.
func (d *squid) span(f squidField, start, begin, end int) {
	d.spans[f] = uint64(start+begin)<<32 | uint64(start+end)
}

// matchEnds cuts the line from both ends; the URL, which nothing else can be
// confused with then, is what is left in the middle.
func (d *squid) matchEnds(first, behind int) bool {
	l, line := d.layout, d.data[first:behind]
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
			size = squidDateSize
		}
		if size <= 0 || end-start < size || !bytes.HasPrefix(line[start+size:end], []byte(f.after)) {
			return false
		}
		d.span(f.field, first, start, start+size)
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
		d.span(l.fields[i].field, first, start+at+len(before), end)
		end = start + at
	}
	d.span(l.fields[l.open].field, first, start, end)
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
	if [6]byte(b[20:]) != d.zone {
		offset, ok := parseOffset(b[21:])
		if !ok {
			return 0, false
		}
		d.zone, d.offset = [6]byte(b[20:]), offset
	}
	const zeros, nines = 0x30303a30303a3030, 0x76767f76767f7676 // 00:00:00
	w := binary.LittleEndian.Uint64(b[12:]) ^ zeros
	h, m, s := w&15*10+w>>8&15, w>>24&15*10+w>>32&15, w>>48&15*10+w>>56
	us = d.base + int64(h*3600+m*60+s)*second - d.offset
	return us, (w|(w+nines))&highBits == 0 && h < 24 && m < 60 && s <= 60 && plausible(us)
}

// put puts the lines that were gathered.
func (d *squid) put(b *columnar.Builder, data []byte) {
	r := &d.rows
	n := r.n
	r.n = 0
	b.PutTimes(r.time[:n])
	b.PutInts(columnar.StatusCode, r.status[:n])
	b.PutInts(columnar.BytesOut, r.out[:n])
	b.PutInts(columnar.BytesIn, r.in[:n])
	for _, f := range r.wanted {
		if f == squidHierarchy { // whose "-" is not to be taken for no such field
			continue
		}
		for i, s := range r.texts[f][:n] {
			if s.End == s.Begin+1 && data[s.Begin] == '-' { // not said
				r.texts[f][i].End = s.Begin
			}
		}
	}
	if b.Wants(columnar.Host) {
		for i, client := range r.texts[squidClient][:n] {
			name := r.texts[squidClientName][i]
			switch {
			case name.Begin < name.End && !addressLike(data[name.Begin:name.End]):
			case !addressLike(data[client.Begin:client.End]):
				name = client // log_fqdn
			default:
				name.End = name.Begin
			}
			r.cells[i] = name
		}
		b.PutTexts(columnar.Host, data, r.cells[:n])
	}
	if b.Wants(columnar.SrcIP) {
		for i, client := range r.texts[squidClient][:n] {
			if !addressLike(data[client.Begin:client.End]) {
				client.End = client.Begin
			}
			r.cells[i] = client
		}
		b.PutTexts(columnar.SrcIP, data, r.cells[:n])
	}
	if b.Wants(columnar.User) {
		b.PutTexts(columnar.User, r.unescaped(data, r.texts[squidUser][:n], '%', unescapePercent), r.texts[squidUser][:n])
	}
	if b.Wants(columnar.Method) {
		b.PutTexts(columnar.Method, data, r.texts[squidMethod][:n])
	}
	if b.Wants(columnar.Action) {
		b.PutTexts(columnar.Action, data, r.texts[squidAction][:n])
	}
	if b.Wants(columnar.DstIP) {
		for i, ip := range r.texts[squidServer][:n] {
			hierarchy := r.texts[squidHierarchy][i]
			if !addressLike(data[ip.Begin:ip.End]) || !direct(data[hierarchy.Begin:hierarchy.End]) {
				ip.End = ip.Begin
			}
			r.cells[i] = ip
		}
		b.PutTexts(columnar.DstIP, data, r.cells[:n])
	}
	if b.Wants(columnar.UserAgent) {
		b.PutTexts(columnar.UserAgent, r.unescaped(data, r.texts[squidAgent][:n], '\\', unescapeQuotes), r.texts[squidAgent][:n])
	}
	for _, k := range r.kept {
		spans, text := append(r.spans[:0], r.texts[k.field][:n]...), data
		if k.field == squidReferrer {
			text = r.unescaped(data, spans, '\\', unescapeQuotes)
		} else if k.part != uriWhole {
			for i, s := range spans {
				spans[i] = spanOf(data, k.part.of(data[s.Begin:s.End]))
			}
		}
		b.PutField(k.name, text, spans)
		r.spans = spans
	}
	if b.Wants(columnar.URLHost) || b.Wants(columnar.URLPath) {
		d.putURLs(b, data, n)
	}
	b.NextRows(r.records[:n])
}

// unescaped returns the text in which the cells stand when they have been
// unescaped, and changes them to that. Cells without mark need not be.
func (r *squidRows) unescaped(data []byte, cells []columnar.Span, mark byte, unescape func(dst, b []byte) []byte) []byte {
	if len(cells) == 0 || bytes.IndexByte(data[cells[0].Begin:cells[len(cells)-1].End], mark) < 0 {
		return data // nor is one between them, which is most cheaply found
	}
	if !slices.ContainsFunc(cells, func(s columnar.Span) bool { return bytes.IndexByte(data[s.Begin:s.End], mark) >= 0 }) {
		return data
	}
	r.text = r.text[:0]
	for i, s := range cells {
		begin := uint32(len(r.text))
		r.text = unescape(r.text, data[s.Begin:s.End])
		cells[i] = columnar.Span{Begin: begin, End: uint32(len(r.text))}
	}
	return r.text
}

func (d *squid) putURLs(b *columnar.Builder, data []byte, n int) {
	r := &d.rows
	hosts, paths := r.cells[:n], r.texts[squidPath]
	if d.layout.hasURL {
		paths = r.texts[squidURL]
		for i, s := range paths[:n] {
			if host, path, ok := usualURL(data, s); ok {
				hosts[i], paths[i] = host, path
				continue
			}
			host, path := splitURL(data[s.Begin:s.End])
			hosts[i], paths[i] = spanOf(data, host), spanOf(data, path)
		}
	} else {
		for i := range hosts {
			hosts[i] = columnar.Span{}
			if b.Wants(columnar.URLHost) {
				s := r.texts[squidHost][i]
				hosts[i] = spanOf(data, hostOf(data[s.Begin:s.End]))
			}
			if b.Wants(columnar.URLPath) {
				s := paths[i]
				paths[i].End = s.Begin + uint32(len(withoutQuery(data[s.Begin:s.End])))
			}
		}
	}
	b.PutLower(columnar.URLHost, data, hosts)
	if b.Wants(columnar.URLPath) {
		b.PutTexts(columnar.URLPath, data, paths[:n])
	}
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

// usualURL is splitURL of the URL at s, or false: one of HTTP whose host is a name
// or an address alone, with text behind it in data.
func usualURL(data []byte, s columnar.Span) (host, path columnar.Span, ok bool) {
	const https, http = 0x2f2f3a7370747468, 0x2f2f3a70747468 // ://, from the last byte on
	if int(s.Begin)+8 > len(data) {
		return host, path, false
	}
	scheme := binary.LittleEndian.Uint64(data[s.Begin:])
	host.Begin = s.Begin + 8
	if scheme != https {
		if scheme&(1<<56-1) != http {
			return host, path, false
		}
		host.Begin--
	}
	at := host.Begin
	for size := uint32(24); size == 24; at += size {
		if int(at)+24 > len(data) {
			return host, path, false
		}
		size = firstOf3(
			inHostEnd(binary.LittleEndian.Uint64(data[at:])),
			inHostEnd(binary.LittleEndian.Uint64(data[at+8:])),
			inHostEnd(binary.LittleEndian.Uint64(data[at+16:])))
	}
	// What ends the host may as well be the start of a port, or of the host behind
	// a user.
	host.End = min(at, s.End)
	if host.End <= host.Begin || data[host.End-1] == '.' {
		return host, path, false
	}
	if at >= s.End {
		return host, path, true
	}
	if c := data[at]; c != '/' && c != '?' && c != '#' {
		return host, path, false
	}
	path.Begin = at
	for size := uint32(24); size == 24 && at < s.End; at += size {
		if int(at)+24 > len(data) {
			return host, path, false
		}
		size = firstOf3(
			inPathEnd(binary.LittleEndian.Uint64(data[at:])),
			inPathEnd(binary.LittleEndian.Uint64(data[at+8:])),
			inPathEnd(binary.LittleEndian.Uint64(data[at+16:])))
	}
	path.End = min(at, s.End)
	return host, path, true
}

// inHostEnd marks by its high bit the first byte of w that is one of / ? # : @ [
// or one of some others that are not in host names in lower case; the bits
// behind it say nothing.
func inHostEnd(w uint64) uint64 {
	slash, colon, at := (w|0x0c*eachByte)^'/'*eachByte, (w|0x05*eachByte)^'?'*eachByte, (w|0x1b*eachByte)^'['*eachByte
	return ((slash-eachByte)&^slash | (colon-eachByte)&^colon | (at-eachByte)&^at) & highBits
}

// inPathEnd marks by its high bit the first byte of w that is ? or #; the bits
// behind it say nothing.
func inPathEnd(w uint64) uint64 {
	query, fragment := w^'?'*eachByte, w^'#'*eachByte
	return ((query-eachByte)&^query | (fragment-eachByte)&^fragment) & highBits
}

// firstOf3 returns which byte of three words is the first that is marked by its
// high bit, 24 if none is.
func firstOf3(m0, m1, m2 uint64) uint32 {
	at0, at1, at2 := bits.TrailingZeros64(m0)>>3, bits.TrailingZeros64(m1)>>3, bits.TrailingZeros64(m2)>>3
	at := at0 + at1&-(at0>>3)
	return uint32(at + at2&-(at>>4))
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

// unescapePercent appends b with %20 and its like decoded. What is no escape
// stays.
func unescapePercent(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			if h, l := squidHex(b[i+1]), squidHex(b[i+2]); h < 16 && l < 16 {
				dst = append(dst, h<<4|l)
				i += 2
				continue
			}
		}
		dst = append(dst, b[i])
	}
	return dst
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

// unescapeQuotes appends b without the backslashes that escape.
func unescapeQuotes(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) && (b[i+1] == '"' || b[i+1] == '\\') {
			i++
		}
		dst = append(dst, b[i])
	}
	return dst
}
