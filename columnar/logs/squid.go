package logs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Squid decodes the access log of the Squid proxy.
var Squid = &Format{
	Name:    "squid",
	Origins: []columnar.Origin{{Product: "squid"}},
	Title:   "Squid access log, any logformat",
	Doc: `A line is a request, at the time at which it ended. Read without being told are
Squid's own formats squid (native), also with the two headers of combined behind it, common and
combined, and the one below. The headers that log_mime_hdrs appends are not read, nor is what
else stands behind squid, combined and that one, if --format squid says what the log is.

    logformat outflow %ts.%03tu %6tr %>a %Ss/%03>Hs %<st %>st %rm %ru %[un %Sh/%<a %mt "%{User-Agent}>h"

which is the one to use: the others do not say how much the client sent. For a
CONNECT tunnel Squid counts what was relayed in %>st and %<st. Any other format
is read when its logformat directive is given. It may name no time where each line is
wrapped in something that tells it, as syslog does.

%>st is bytes_out and %<st bytes_in. dst_ip is %<a where Squid went to the server
itself, not to another proxy. Query strings are dropped from url_path.

The client chooses the URL and the headers. A line in which quotes or spaces
make the fields doubtful is skipped and counted, as is one whose fields are not
what the format says. A status or a size that is no number is left out of its row.`,
	Tables:   []*columnar.Table{columnar.HTTP},
	Lacks:    columnar.ColSet(columnar.Account, columnar.UID),
	Remedies: []Remedy{{Columns: columnar.ColSet(columnar.BytesOut), Text: "Let Squid log what clients send: logformat outflow %ts.%03tu %6tr %>a %Ss/%03>Hs %<st %>st %rm %ru %[un %Sh/%<a %mt \"%{User-Agent}>h\"."}},
	Sniff: func(head []byte) bool {
		_, lines := bestSquidLayout(head, false)
		return lines > 0
	},
	Outer: true,
	New: func(o *Options) (Decoder, error) {
		if o.LogFormat != "" {
			l, err := compileSquid(o.LogFormat)
			if err != nil {
				return nil, err
			}
			if !l.timed && !o.Inside {
				return nil, fmt.Errorf("logformat %q names no time, and no wrapper tells it: add %%ts, %%tl or %%tg", o.LogFormat)
			}
			return &squid{layout: l, clock: o.clock()}, nil
		}
		l, _ := bestSquidLayout(o.Head, true)
		return &squid{layout: l, clock: o.clock()}, nil
	},
}

// Squid's own formats, the native one with the headers of combined behind it, and the
// recommended one. The first is taken where none fits.
const (
	squidNative   = `%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt`
	squidHeaders  = squidNative + ` "%{Referer}>h" "%{User-Agent}>h"`
	squidOutflow  = `%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %>st %rm %ru %[un %Sh/%<a %mt "%{User-Agent}>h"`
	squidCommon   = `%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st %Ss:%Sh`
	squidCombined = `%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st "%{Referer}>h" "%{User-Agent}>h" %Ss:%Sh`
)

// squidLayouts are the known formats, compiled. Those with a tail come behind the others.
var squidLayouts = sync.OnceValue(func() (known []*squidLayout) {
	compile := func(tail string, formats ...string) {
		for _, format := range formats {
			l, err := compileSquid(format)
			if err != nil {
				panic(err) // they are part of the program
			}
			if l.tail = tail; tail != "" {
				l.steps = nil
			}
			known = append(known, l)
		}
	}
	compile("", squidNative, squidHeaders, squidOutflow, squidCombined, squidCommon)
	compile(squidMimeHeaders, squidNative, squidOutflow, squidCombined)
	compile(" ", squidNative, squidOutflow, squidCombined)
	return known
})

// squidMimeHeaders begins what log_mime_hdrs appends.
const squidMimeHeaders = " ["

// bestSquidLayout returns the known layout that most of the first lines have, and how many
// have it. One with a tail is taken only if no line has one without. named says that the log is
// known to be Squid's: others' lines begin like Squid's and go on.
func bestSquidLayout(head []byte, named bool) (best *squidLayout, most int) {
	for _, l := range squidLayouts() {
		if l.tail != "" && (most > 0 || l.tail != squidMimeHeaders && !named) {
			break
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
				if row, why := d.numbers(0); why == "" && !row.badStatus && !row.badOut && !row.badIn {
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

// A squid decodes one object.
type squid struct {
	layout *squidLayout
	clock  scan.Clock
	outer  outerTimes
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
	behind         []int       // the ends of its lines, newlines included
	marks          []scan.Mark // scratch
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

	badStatus, badOut, badIn bool // it could not be read
}

const (
	squidMisfit  = "fields do not fit the log format"
	squidBadTime = "bad time"
	squidBadCode = "bad status code"
	squidBadOut  = "bad byte count of the request"
	squidBadIn   = "bad byte count of the reply"
)

func (d *squid) Decode(b *Block, out *columnar.Out, t *Tally) error {
	rows, r := out.Table(columnar.HTTP), &d.rows
	d.want(rows)
	record := b.First
	d.data = b.Data
	d.outer = b.outer()
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
					row, why = d.numbers(record)
				}
				if why != "" {
					t.Skip(record, why)
				} else {
					if r.n == min(squidRun, rows.Room()) {
						d.put(rows, b.Data)
					}
					d.gather(&row, record)
					t.Row()
					if row.badStatus {
						t.Clear(record, squidBadCode)
					}
					if row.badOut {
						t.Unread(record, columnar.BytesOut, d.value(squidOut), squidBadOut)
					}
					if row.badIn {
						t.Unread(record, columnar.BytesIn, d.value(squidIn), squidBadIn)
					}
				}
			}
			at = behind
			record++
		}
	}
	d.put(rows, b.Data)
	return nil
}

// numbers reads the numbers of a line that was cut into fields.
func (d *squid) numbers(record int64) (row squidRow, why string) {
	ok := false
	if span := d.spans[squidSeconds]; uint32(span>>32) < uint32(span) {
		row.time, ok = d.integer(squidSeconds)
		ok = ok && row.time < 1<<40 // the product must fit; Within does the rest
		row.time *= scan.Second
		if span := d.spans[squidMillis]; ok && uint32(span>>32) < uint32(span) {
			var n int64
			n, ok = d.integer(squidMillis)
			ok = ok && n >= 0 && uint32(span)-uint32(span>>32) <= 3
			row.time += n * 1000
		}
		ok = ok && d.clock.Within(row.time)
	} else if date := d.value(squidDate); len(date) > 0 {
		row.time, ok = d.parseDate(date)
	}
	if !ok {
		if row.time, ok = d.outer.of(record, d.stamp()); !ok {
			return row, d.clock.Fault(squidBadTime)
		}
	}
	if row.status, ok = d.count(squidStatus); !ok || row.status > 999 {
		row.status, row.badStatus = columnar.Null, true
	}
	if row.status == 0 {
		row.status = columnar.Null // the client went before there was an answer
	}
	row.out, ok = d.count(squidOut)
	row.badOut = !ok
	row.in, ok = d.count(squidIn)
	row.badIn = !ok
	return row, ""
}

// stamp returns the time of the line as it is written.
func (d *squid) stamp() []byte {
	if seconds := d.value(squidSeconds); len(seconds) > 0 {
		return seconds
	}
	return d.value(squidDate)
}

// integer parses a number.
func (d *squid) integer(f squidField) (int64, bool) {
	span := d.spans[f]
	if n, ok := scan.Digits(d.data, uint32(span>>32), uint32(span)); ok {
		return n, true
	}
	return scan.Int(d.value(f))
}

// count parses a number that is not negative. None is columnar.Null, and so is one that
// cannot be read.
func (d *squid) count(f squidField) (int64, bool) {
	span := d.spans[f]
	if n, ok := scan.Digits(d.data, uint32(span>>32), uint32(span)); ok {
		return n, true
	}
	b := d.value(f)
	if scan.Unknown(b) {
		return columnar.Null, true
	}
	if n, ok := scan.Int(b); ok && n >= 0 {
		return n, true
	}
	return columnar.Null, false
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
		offset, ok := scan.Offset(b[21:])
		if !ok {
			return 0, false
		}
		d.zone, d.offset = [6]byte(b[20:]), offset
	}
	const zeros, nines = 0x30303a30303a3030, 0x76767f76767f7676 // 00:00:00
	w := binary.LittleEndian.Uint64(b[12:]) ^ zeros
	h, m, s := w&15*10+w>>8&15, w>>24&15*10+w>>32&15, w>>48&15*10+w>>56
	us = d.base + int64(h*3600+m*60+s)*scan.Second - d.offset
	return us, (w|(w+nines))&scan.HighBits == 0 && h < 24 && m < 60 && s <= 60 && d.clock.Within(us)
}
