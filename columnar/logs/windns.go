package logs

import (
	"bytes"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// WinDNS decodes the debug log of the Windows DNS server.
var WinDNS = &Format{
	Name:    "windns",
	Origins: []columnar.Origin{{Product: "windows", Service: "dns-server"}},
	Title:   "Windows DNS server debug log",
	Doc: `Each packet that carries a query and was received is a row. What the server sends,
and answers to it, repeat these and count as other, as do updates, the details of
packets and the server's own events: let it log incoming queries, at least. A response
that it sends is a row, with its rcode, if no query that was received was logged before
it in the object.

Dates are written as the server's region writes them. Whether 4/5/2026 is in April
or in May is told by the first dates of the log that leave no choice, else by when
the object was written, else by the clock: with AM and PM the month comes first.
Times are local, of the zone of the options.`,
	Tables: []*columnar.Table{columnar.DNS},
	Lacks:  columnar.ColSet(columnar.User, columnar.Host, columnar.Account, columnar.AnswersLen, columnar.Answers, columnar.DstIP),
	Sniff: func(head []byte) bool {
		return scan.AnyLine(head, func(line []byte) bool {
			var p winPacket
			return bytes.HasPrefix(line, []byte("DNS Server log file creation at ")) || p.parse(line) == packetKind && p.whole
		})
	},
	Header: winDNSHeader,
	New: func(o *Options) (Decoder, error) {
		return &winDNS{clock: o.clock(), monthFirst: winMonthFirst(o)}, nil
	},
}

type winDNS struct {
	clock      scan.Clock
	monthFirst bool   // in dates with strokes
	date       []byte // the last one
	start      int64  // µs of its midnight, as if the zone were UTC
	half       []byte // the last one, and what winHalf says of it
	halfOf     int
	rows       lookups
}

func (d *winDNS) Decode(b *Block, out *columnar.Out, t *Tally) error {
	rows, l := out.Table(columnar.DNS), &d.rows
	logged := b.Header != nil // queries that were received are
	record := b.First
	for data := b.Data; len(data) > 0; record++ {
		var line []byte
		line, data = scan.CutLine(data)
		if scan.Blank(line) {
			continue
		}
		var p winPacket
		if kind := p.parse(line); kind != packetKind {
			if kind == "" {
				t.Skip(record, "malformed line")
			} else {
				t.Known(kind)
			}
			continue
		}
		us, ok := d.time(&p)
		switch {
		case !ok:
			t.Skip(record, d.clock.Fault("bad time"))
			continue
		case !p.whole:
			t.Skip(record, "malformed packet line")
			continue
		case p.query:
			logged = true
		case logged || !p.reply():
			t.Known(p.other())
			continue
		}
		l.room(rows, b.Data)
		text, ok := appendWinName(l.text, p.name)
		if !ok {
			t.Skip(record, "malformed packet line")
			continue
		}
		row := lookup{us: us, client: spanOf(b.Data, p.client), query: l.extend(text)}
		if !p.query {
			row.rcode = spanOf(b.Data, p.rcode)
		}
		switch n, isNumber := scan.Int(p.kind); {
		case isNumber:
			row.kind = l.extend(append(l.text, scan.QueryTypeName(n)...))
		case string(p.kind) == "ALL":
			row.kind = l.extend(append(l.text, "ANY"...))
		default:
			row.kind = l.extend(append(l.text, p.kind...))
		}
		l.add(&row, record)
		t.Row()
	}
	l.put(rows, b.Data)
	return nil
}

// winDNSHeader keeps, as a header, whether queries that were received were logged.
func winDNSHeader(prev, p []byte) []byte {
	for prev == nil {
		at := bytes.Index(p, []byte(" Rcv "))
		if at < 0 {
			break
		}
		var line []byte
		line, p = scan.CutLine(p[bytes.LastIndexByte(p[:at], '\n')+1:])
		var packet winPacket
		if packet.parse(line) == packetKind && packet.query {
			prev = queriesLogged
		}
	}
	return prev
}

// time returns the time of a packet in µs UTC.
func (d *winDNS) time(p *winPacket) (us int64, ok bool) {
	if !bytes.Equal(p.date, d.date) {
		date, ok := winDate(p.date, d.monthFirst)
		if !ok {
			return 0, false
		}
		d.date, d.start = append(d.date[:0], p.date...), date.UnixMicro()
	}
	h, m, s, ok := winClock(p.clock)
	if len(p.half) > 0 {
		if !bytes.Equal(p.half, d.half) {
			d.half = append(d.half[:0], p.half...)
			d.halfOf = winHalf(p.half)
		}
		switch {
		case d.halfOf < 0:
			ok = false
		case d.halfOf < winWhole:
			ok = ok && 1 <= h && h <= 12
			h = h%12 + 12*int64(d.halfOf)
		}
	}
	if !ok || h > 23 || m > 59 || s > 60 {
		return 0, false
	}
	return d.clock.Local(d.start + (h*3600+m*60+s)*scan.Second)
}

// winHalves are how the languages of Windows write AM and PM, in lower case and
// without dots and spaces: in UTF-8, and in the code pages of Greek, Chinese, Korean and
// Japanese servers. The last are words that stand there on a clock of 24 hours.
var winHalves = [...][]string{
	{"am", "上午", "오전", "午前", "πμ", "fm", "vm", "de", "dop", "sa", "ص", "قظ", "पूर्वाह्न", "paradite", "өө", "ip", "\xf0\xec", "\xc9\xcf\xce\xe7", "\xa4W\xa4\xc8", "\xbf\xc0\xc0\xfc", "\x8c\xdf\x91O"},
	{"pm", "下午", "오후", "午後", "μμ", "em", "nm", "du", "odp", "ch", "م", "بظ", "अपराह्न", "pasdite", "үх", "ep", "\xec\xec", "\xcf\xc2\xce\xe7", "\xa4U\xa4\xc8", "\xbf\xc0\xc8\xc4", "\x8c\xdf\x8c\xe3"},
	winWhole: {"ч", "г", "\xf7", "\xe3"}, // Bulgarian
}

// winWhole is the half of a time on a clock of 24 hours.
const winWhole = 2

// winHalf returns the half of the day that a text names: 0, 1 or winWhole; -1 if it names none.
func winHalf(b []byte) int {
	text := strings.NewReplacer(".", "", " ", "", "\u00a0", "", "\u202f", "").Replace(string(b))
	if utf8.ValidString(text) {
		text = strings.ToLower(text)
	}
	return slices.IndexFunc(winHalves[:], func(texts []string) bool { return slices.Contains(texts, text) })
}

// winClock parses 1:51:18 or 13:51:18, with colons or dots.
func winClock(b []byte) (h, m, s int64, ok bool) {
	if len(b) == 7 {
		h, b = int64(b[0]-'0'), b[1:]
		ok = h <= 9
	} else if len(b) == 8 {
		h, ok = scan.TwoDigits(b)
		b = b[2:]
	}
	if !ok || b[0] != ':' && b[0] != '.' || b[3] != b[0] {
		return 0, 0, 0, false
	}
	m, ok1 := scan.TwoDigits(b[1:])
	s, ok2 := scan.TwoDigits(b[4:])
	return h, m, s, ok1 && ok2
}

// winDate parses a date: 20150521, or day, month and year with . - or / between
// them, and spaces behind those. A year of four digits may come first, and is followed by the month.
func winDate(b []byte, monthFirst bool) (t time.Time, ok bool) {
	var part [3]int
	n, digits := 0, 0
	var mark byte
	for i, c := range b {
		switch {
		case c == ' ' && i > 0 && b[i-1] == mark || c == mark && n == 2 && i == len(b)-1:
		case c-'0' <= 9:
			part[n] = part[n]*10 + int(c-'0')
			if digits++; digits > 8 {
				return t, false
			}
		case (c == '/' || c == '.' || c == '-') && n < 2 && i > 0 && (mark == 0 || mark == c):
			mark = c
			n++
		default:
			return t, false
		}
	}
	var year, month, day int
	switch {
	case n == 0 && len(b) == 8:
		year, month, day = part[0]/10000, part[0]/100%100, part[0]%100
	case n < 2:
		return t, false
	case part[0] > 999:
		year, month, day = part[0], part[1], part[2]
	case mark == '/' && monthFirst:
		month, day, year = part[0], part[1], part[2]
	default:
		day, month, year = part[0], part[1], part[2]
	}
	t = time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return t, 1970 <= year && year < 2262 && t.Month() == time.Month(month) && t.Day() == day
}

// winMonthFirst reports whether the month comes first in dates such as 4/5/2026.
func winMonthFirst(o *Options) bool {
	dates, half := scan.Dates{Written: o.Written.UnixMicro()}, true
	for head := o.Head; len(head) > 0; {
		var line []byte
		line, head = scan.CutLine(head)
		if p := (winPacket{}); p.parse(line) == packetKind {
			dates.Add(p.date)
			half = len(p.half) > 0
		}
	}
	if order := dates.Order(); order != scan.NoOrder {
		return order == scan.MonthFirst
	}
	return half
}

// A winPacket is what the line of a packet says.
type winPacket struct {
	date, clock, half []byte // half: AM or PM in some language, or none
	whole             bool   // the line is what it should be
	lookup            bool   // it is about a name, not an update
	query             bool   // a lookup that was received
	sent, response    bool
	client, kind      []byte
	rcode             []byte
	name              []byte // (3)www(7)example(3)com(0)
}

// parse parses
//
//	5/21/2015 1:51:18 PM 0D48 PACKET  000000000181D1C0 UDP Rcv 192.0.2.1       0c6b   Q [0001   D   NOERROR] A      (3)www(7)example(3)com(0)
//
// and returns the line's kind: packetKind, another, or "" if it is damaged.
// All that a client chooses freely is at the end.
func (p *winPacket) parse(line []byte) (kind string) {
	if len(line) == 0 || line[0]-'0' > 9 {
		return "preamble or detail"
	}
	line, kind = p.stamp(line)
	if kind != packetKind {
		return kind
	}
	protocol, line := cutPadded(line)
	if len(protocol) > 3 { // its address in memory, since Windows Server 2008
		protocol, line = cutPadded(line)
	}
	direction, line := cutPadded(line)
	client, line := cutPadded(line)
	_, line = cutPadded(line) // transaction
	opcode, line := cutPadded(line)
	if p.response = string(opcode) == "R"; p.response {
		opcode, line = cutPadded(line)
	}
	p.sent = string(direction) == "Snd"
	at := scan.IndexNear(line, ']')
	if len(opcode) != 1 || !scan.AddressLike(client) || len(line) == 0 || line[0] != '[' || at < 0 {
		return packetKind
	}
	p.rcode = scan.AfterLast(line[:at], ' ')
	p.kind, line = cutPadded(line[at+1:])
	p.client, p.name = scan.WithoutScope(client), bytes.TrimLeft(line, " ")
	p.whole = (string(protocol) == "UDP" || string(protocol) == "TCP") && (string(direction) == "Rcv" || p.sent) && len(p.name) > 0
	p.lookup = opcode[0] == 'Q'
	p.query = p.whole && !p.sent && !p.response && p.lookup
	return packetKind
}

// packetKind is the kind of lines that may be rows.
const packetKind = "packet"

// stamp parses the date, the time, the thread and the context that a line begins
// with, and returns what stands behind them and the kind that the context tells: "" if
// the line does not begin so. The date and AM and PM are in the language of the
// server: the date may hold spaces, and AM may stand before the time.
func (p *winPacket) stamp(line []byte) (rest []byte, kind string) {
	const longest = 12 // words
	clock, last := -1, 0
	at := 0
	for n := range longest {
		word, behind := scan.CutWord(line[at:])
		if behind == nil {
			return nil, ""
		}
		begin := at
		at += len(word) + 1
		switch {
		case len(word) == 0:
			continue
		case clock < 0:
			if len(word) > len("13:51:18") {
				if i := bytes.IndexFunc(word, func(r rune) bool { return r > unicode.MaxASCII }); i > 0 {
					word = word[:i] // a narrow space, and AM or PM
				}
			}
			if _, _, _, ok := winClock(word); ok && n > 0 {
				clock, p.clock = n, word
				p.date = bytes.TrimRight(line[:begin], " ")
				if i := bytes.IndexFunc(p.date, func(r rune) bool { return r > '9' }); i >= 0 {
					p.half, p.date = p.date[i:], bytes.TrimRight(p.date[:i], " ")
					if bytes.ContainsAny(p.half, "0123456789") {
						return nil, "" // another time stands before it
					}
				}
				last = at
			}
			continue
		case n > clock+1 && isContext(word):
			if between := bytes.TrimSpace(line[bytes.Index(line, p.clock)+len(p.clock) : last]); len(between) > 0 {
				p.half = between
			}
			if string(word) == "PACKET" {
				return line[at:], packetKind
			}
			return line[at:], string(bytes.ToLower(word)) + " line"
		}
		last = begin // of the thread, if the context is next
	}
	return nil, ""
}

// isContext reports whether a word may be the context of a line, as PACKET and EVENT
// are. Threads are hexadecimal numbers.
func isContext(word []byte) bool {
	hex := true
	for _, c := range word {
		if c-'A' >= 26 {
			return false
		}
		hex = hex && scan.IsHex(c)
	}
	return len(word) >= 4 && !hex
}

// reply reports whether a packet is a response to a client.
func (p *winPacket) reply() bool { return p.whole && p.sent && p.response && p.lookup }

// other returns the kind of a packet that is not a query from a client.
func (p *winPacket) other() string {
	switch {
	case p.response:
		return "response"
	case p.sent:
		return "query to another server"
	}
	return "packet that is no query"
}

// cutPadded is scan.CutWord of what stands behind the spaces that p may begin with.
func cutPadded(p []byte) (word, rest []byte) {
	for len(p) > 0 && p[0] == ' ' {
		p = p[1:]
	}
	return scan.CutWord(p)
}

// appendWinName appends a name that is written with the length before each label.
// A label that is not as long as that is taken to end where the next length stands.
func appendWinName(dst, p []byte) (name []byte, ok bool) {
	begin := len(dst)
	for {
		if len(p) == 0 || p[0] != '(' {
			return dst, false
		}
		size, n := 0, 1
		for n < len(p) && n < 4 && p[n]-'0' <= 9 {
			size = size*10 + int(p[n]-'0')
			n++
		}
		if n == 1 || n == len(p) || p[n] != ')' {
			return dst, false
		}
		if p = p[n+1:]; size == 0 {
			return dst, len(p) == 0
		}
		if len(p) <= size || p[size] != '(' {
			if size = bytes.IndexByte(p, '('); size < 0 {
				return dst, false
			}
		}
		if len(dst) > begin {
			dst = append(dst, '.')
		}
		dst = append(dst, p[:size]...)
		p = p[size:]
	}
}
