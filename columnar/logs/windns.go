package logs

import (
	"bytes"
	"time"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// WinDNS decodes the debug log of the Windows DNS server.
var WinDNS = &Format{
	Name:  "windns",
	Title: "Windows DNS server debug log",
	Doc: `Each packet that carries a query and was received is a row. What the server sends,
and answers to it, repeat these and count as other, as do updates, the details of
packets and the server's own events: let it log incoming queries, at least.

Dates are written as the server's region writes them. Whether 4/5/2026 is in April
or in May is told by the first dates of the log that leave no choice, else by when
the object was written, else by the clock: with AM and PM the month comes first.
Times are local, of the zone of the options.`,
	Tables: []*columnar.Table{columnar.DNS},
	Lacks:  columnar.ColSet(columnar.User, columnar.Host, columnar.Rcode, columnar.AnswersLen, columnar.DstIP),
	Sniff: func(head []byte) bool {
		return scan.AnyLine(head, func(line []byte) bool {
			var p winPacket
			return bytes.HasPrefix(line, []byte("DNS Server log file creation at ")) || p.parse(line) && p.whole
		})
	},
	New: func(o *Options) (Decoder, error) {
		return &winDNS{clock: o.clock(), monthFirst: winMonthFirst(o)}, nil
	},
}

type winDNS struct {
	clock      scan.Clock
	monthFirst bool   // in dates with strokes
	date       []byte // the last one
	start      int64  // µs of its midnight, as if the zone were UTC
	rows       lookups
}

func (d *winDNS) Decode(b *Block, out *columnar.Out, t *Tally) error {
	rows, l := out.Table(columnar.DNS), &d.rows
	record := b.First
	for data := b.Data; len(data) > 0; record++ {
		var line []byte
		line, data = scan.CutLine(data)
		if scan.Blank(line) {
			continue
		}
		var p winPacket
		if !p.parse(line) {
			t.Pass()
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
		case !p.query:
			t.Pass()
			continue
		}
		l.room(rows, b.Data)
		text, ok := appendWinName(l.text, p.name)
		if !ok {
			t.Skip(record, "malformed packet line")
			continue
		}
		row := lookup{us: us, client: spanOf(b.Data, p.client), query: l.extend(text)}
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
	switch string(p.half) {
	case "":
	case "AM", "PM":
		ok = ok && 1 <= h && h <= 12
		if h %= 12; p.half[0] == 'P' {
			h += 12
		}
	}
	if !ok || h > 23 || m > 59 || s > 60 {
		return 0, false
	}
	return d.clock.Local(d.start + (h*3600+m*60+s)*scan.Second)
}

// winClock parses 1:51:18 or 13:51:18.
func winClock(b []byte) (h, m, s int64, ok bool) {
	if len(b) == 7 {
		h, b = int64(b[0]-'0'), b[1:]
		ok = h <= 9
	} else if len(b) == 8 {
		h, ok = scan.TwoDigits(b)
		b = b[2:]
	}
	if !ok || b[0] != ':' || b[3] != ':' {
		return 0, 0, 0, false
	}
	m, ok1 := scan.TwoDigits(b[1:])
	s, ok2 := scan.TwoDigits(b[4:])
	return h, m, s, ok1 && ok2
}

// winDate parses a date: 20150521, or day, month and year with . - or / between
// them. A year of four digits may come first, and is followed by the month.
func winDate(b []byte, monthFirst bool) (t time.Time, ok bool) {
	var part [3]int
	n, digits := 0, 0
	var mark byte
	for i, c := range b {
		switch {
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
	const near = 2 * 24 * time.Hour // of a log that is written on
	monthFirst, sure := true, false
	for head := o.Head; len(head) > 0 && !sure; {
		var line []byte
		line, head = scan.CutLine(head)
		var p winPacket
		if !p.parse(line) {
			continue
		}
		month, ok1 := winDate(p.date, true)
		day, ok2 := winDate(p.date, false)
		switch {
		case ok1 != ok2:
			monthFirst, sure = ok1, true
		case ok1 && !month.Equal(day):
			monthFirst = len(p.half) > 0
			nearMonth, nearDay := o.Written.Sub(month).Abs() < near, o.Written.Sub(day).Abs() < near
			if nearMonth != nearDay {
				monthFirst = nearMonth
			}
		}
	}
	return monthFirst
}

// A winPacket is what the line of a packet says.
type winPacket struct {
	date, clock, half []byte // half: AM, PM or none
	whole             bool   // the line is what it should be
	query             bool   // that was received
	client, kind      []byte
	name              []byte // (3)www(7)example(3)com(0)
}

// parse parses
//
//	5/21/2015 1:51:18 PM 0D48 PACKET  000000000181D1C0 UDP Rcv 192.0.2.1       0c6b   Q [0001   D   NOERROR] A      (3)www(7)example(3)com(0)
//
// and returns false if the line is not that of a packet. All that a client chooses
// freely is at the end.
func (p *winPacket) parse(line []byte) bool {
	if len(line) == 0 || line[0]-'0' > 9 {
		return false
	}
	var word []byte
	p.date, line = scan.CutWord(line)
	p.clock, line = scan.CutWord(line)
	word, line = scan.CutWord(line)
	if string(word) == "AM" || string(word) == "PM" {
		p.half = word
		_, line = scan.CutWord(line) // thread
	}
	word, line = scan.CutWord(line)
	if string(word) != "PACKET" {
		return false
	}
	protocol, line := cutPadded(line)
	if len(protocol) > 3 { // its address in memory, since Windows Server 2008
		protocol, line = cutPadded(line)
	}
	direction, line := cutPadded(line)
	client, line := cutPadded(line)
	_, line = cutPadded(line) // transaction
	opcode, line := cutPadded(line)
	response := string(opcode) == "R"
	if response {
		opcode, line = cutPadded(line)
	}
	at := scan.IndexNear(line, ']')
	if len(opcode) != 1 || !scan.AddressLike(client) || len(line) == 0 || line[0] != '[' || at < 0 {
		return true
	}
	p.kind, line = cutPadded(line[at+1:])
	p.client, p.name = scan.WithoutScope(client), bytes.TrimLeft(line, " ")
	p.whole = (string(protocol) == "UDP" || string(protocol) == "TCP") && (string(direction) == "Rcv" || string(direction) == "Snd") && len(p.name) > 0
	p.query = p.whole && direction[0] == 'R' && !response && opcode[0] == 'Q'
	return true
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
