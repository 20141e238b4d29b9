package scan

import (
	"bytes"
	"time"
)

// Dates and times as programs write them for people.

// worded parses a date and a time as programs write them for people:
//
//	2026-11-20 1:02:03.5 PM               20.11.2026, 13:02:03
//	Nov 20, 2026 1:02 PM                  20 Nov 2026 13:02:03
//	Fri, 20 Nov 2026 13:02:03 +0100       Fri Nov 20 13:02:03 2026
//	Nov 20, 2026 @ 13:02:03.250           20/Nov/2026:13:02:03 +0100
//	20-NOV-26 13:02:03                    20261120T130203Z
//	2026-11-20T13:02                      2026-11-20 13:02:03 +0100 CET
//
// and dates with strokes, 20/11/2026 or 11/20/2026: where both numbers may be months, the
// first dates of the log that leave no choice tell which is the month, else AM or PM, with
// which the month comes first.
func (c *Clock) worded(b []byte) (us int64, ok bool) {
	first, behind, _ := bytes.Cut(b, []byte(" "))
	if isWeekday(bytes.TrimSuffix(first, []byte(","))) {
		b = behind
	}
	var year []byte // behind the time, as C writes it
	if at := bytes.LastIndexByte(b, ' '); at > 0 && len(b)-at == len(" 2026") && isDigits(b[at+1:]) {
		b, year = b[:at], b[at+1:]
	}
	b, zone := cutZone(b)
	b, half := cutHalf(b)
	date, clock, ok := cutDate(b)
	if !ok {
		return 0, false
	}
	var buf [64]byte
	iso, ok := c.appendDate(buf[:0], date, year, half != 0)
	if !ok {
		return 0, false
	}
	if iso, ok = appendClock(append(iso, 'T'), clock, half); !ok {
		return 0, false
	}
	return c.ISO(append(iso, zone...))
}

var zulu = []byte("Z")

// cutZone cuts off what says how far a time is from UTC, and returns it as ISO takes it.
func cutZone(b []byte) (rest, zone []byte) {
	if n := len(b); n > 0 && b[n-1] == ')' { // JavaScript: GMT+0100 (Central European Standard Time)
		if i := bytes.Index(b, []byte(" (")); i > 0 {
			b = b[:i]
		}
	} else if n > 0 && b[n-1] == ']' { // Java: 13:02:03+01:00[Europe/Paris]
		if i := bytes.IndexByte(b, '['); i > 0 {
			b = b[:i]
		}
	}
	at := bytes.LastIndexByte(b, ' ')
	if at < 0 {
		return b, nil
	}
	word := b[at+1:]
	offset := word
	if len(word) > 3 {
		offset = bytes.TrimPrefix(word, []byte("GMT"))
	}
	if _, ok := Offset(offset); ok {
		return b[:at], offset
	}
	if before := bytes.LastIndexByte(b[:at], ' '); before > 0 { // Go: +0100 CET
		if _, ok := Offset(b[before+1 : at]); ok {
			return b[:before], b[before+1 : at]
		}
	}
	if string(word) == "UTC" || string(word) == "GMT" {
		return b[:at], zulu
	}
	return b, nil
}

// cutHalf cuts AM or PM off a time. half is 'a', 'p', or 0 if there is none.
func cutHalf(b []byte) (rest []byte, half byte) {
	p := bytes.TrimSuffix(b, []byte("."))
	n := len(p) - 1
	if n < 1 || p[n]|0x20 != 'm' {
		return b, 0
	}
	p = bytes.TrimSuffix(p[:n], []byte("."))
	if n = len(p) - 1; n < 0 || p[n]|0x20 != 'p' && p[n]|0x20 != 'a' {
		return b, 0
	}
	return bytes.TrimRight(p[:n], " \u202f\u00a0"), p[n] | 0x20
}

// cutDate cuts a date from the time behind it.
func cutDate(b []byte) (date, clock []byte, ok bool) {
	at := bytes.LastIndexByte(b, ' ')
	switch {
	case at > 0:
	case len(b) > 10 && b[10] == 'T' || len(b) > 8 && b[8] == 'T': // 2026-11-20T13:02, 20261120T130203
		at = bytes.IndexByte(b, 'T')
	default: // 20/Nov/2026:13:02:03
		at = bytes.IndexByte(b, ':')
	}
	if at <= 0 {
		return nil, nil, false
	}
	return bytes.TrimRight(b[:at], " ,@"), b[at+1:], true
}

// appendDate appends a date in the form 2006-01-02. year may stand apart. halved says that AM or
// PM stands behind the time.
func (c *Clock) appendDate(dst, date, year []byte, halved bool) (iso []byte, ok bool) {
	if len(date) == 8 && isDigits(date) {
		dst = append(append(dst, date[:4]...), '-')
		return append(append(append(dst, date[4:6]...), '-'), date[6:]...), true
	}
	first, rest, sep := cutPart(date)
	second, third, _ := cutPart(rest)
	if len(year) > 0 && len(third) == 0 {
		third = year
	}
	var day, month []byte
	switch {
	case isLetter(first): // Nov 20, 2026
		month, day, year = first, second, third
	case isLetter(second): // 20 Nov 2026
		day, month, year = first, second, third
		if len(year) == 2 {
			dst = append(dst, "20"...)
		}
	case len(first) == 4:
		year, month, day = first, second, third
	case sep == '.':
		day, month, year = first, second, third
	case sep == '/':
		switch order := orderOf(first, second); {
		case order == unsureOrder && c.slashed() != unsureOrder:
			if day, month, year = first, second, third; c.order == monthFirst {
				day, month = second, first
			}
		case order == dayFirst:
			day, month, year = first, second, third
		case order == monthFirst, order == unsureOrder && halved:
			month, day, year = first, second, third
		}
	}
	if len(month) > 2 {
		month = monthNumber(month)
	}
	if len(dst)+len(year) != 4 || !isDigits(year) || len(month) == 0 || len(day) == 0 || len(day) > 2 {
		return nil, false
	}
	dst = append(append(dst, year...), '-')
	dst = append(appendPadded(dst, month), '-')
	return appendPadded(dst, day), true
}

// A dateOrder is how dates with strokes are written.
type dateOrder uint8

const (
	unasked dateOrder = iota
	unsureOrder
	dayFirst
	monthFirst
)

// orderOf returns the order that two numbers leave, if they are a day and a month.
func orderOf(first, second []byte) dateOrder {
	a, isNumber := Int(first)
	b, areNumbers := Int(second)
	switch {
	case !isNumber || !areNumbers || len(first) > 2 || len(second) > 2:
	case a > 12 && a <= 31 && b >= 1 && b <= 12:
		return dayFirst
	case b > 12 && b <= 31 && a >= 1 && a <= 12:
		return monthFirst
	}
	return unsureOrder
}

// slashed returns how the log writes dates with strokes: as the first date of each line does
// in its head, if all that leave no choice agree. What clients choose freely is rarely first.
func (c *Clock) slashed() dateOrder {
	if c.order != unasked {
		return c.order
	}
	c.order = unsureOrder
	for head := c.Head; len(head) > 0; {
		var line []byte
		line, head = CutLine(head)
		order := unsureOrder
		for at := 0; at < len(line); at++ {
			i := bytes.IndexByte(line[at:], '/')
			if i < 0 {
				break
			}
			at += i
			if first, second, ok := slashedAt(line, at); ok {
				order = orderOf(first, second)
				break
			}
		}
		switch {
		case order == unsureOrder || order == c.order:
		case c.order == unsureOrder:
			c.order = order
		default: // they do not agree
			c.order = unsureOrder
			return c.order
		}
	}
	return c.order
}

// slashedAt returns the first two numbers of a date such as 4/5/2026 whose first stroke is at
// line[at].
func slashedAt(line []byte, at int) (first, second []byte, ok bool) {
	begin := at
	for begin > 0 && line[begin-1]-'0' <= 9 {
		begin--
	}
	second, rest, found := bytes.Cut(line[at+1:min(len(line), at+9)], []byte{'/'})
	ok = found && at-begin >= 1 && at-begin <= 2 && len(second) >= 1 && len(second) <= 2 && isDigits(second) && len(rest) >= 4 && isDigits(rest[:4]) &&
		(begin == 0 || line[begin-1] != '/')
	return line[begin:at], second, ok
}

// cutPart cuts a part of a date from those behind it. sep is what separates them.
func cutPart(date []byte) (part, rest []byte, sep byte) {
	i := bytes.IndexAny(date, " ,-/.")
	if i < 0 {
		return date, nil, 0
	}
	return date[:i], bytes.TrimLeft(date[i+1:], " "), date[i]
}

// appendClock appends a time of day in the form 15:04:05. It may have no seconds, or no
// marks between its numbers.
func appendClock(dst, clock []byte, half byte) (iso []byte, ok bool) {
	if len(clock) >= 6 && isDigits(clock[:6]) { // 130203
		dst = append(append(dst, clock[:2]...), ':')
		dst = append(append(dst, clock[2:4]...), ':')
		return append(dst, clock[4:]...), half == 0
	}
	h, m, ok := bytes.Cut(clock, []byte(":"))
	hour, isHour := Int(h)
	if !ok || !isHour || len(h) > 2 || len(m) < 2 || hour < 0 || half != 0 && (hour < 1 || hour > 12) {
		return nil, false
	}
	if half != 0 {
		if hour %= 12; half == 'p' {
			hour += 12
		}
	}
	dst = append(dst, byte('0'+hour/10), byte('0'+hour%10), ':', m[0], m[1])
	if m = m[2:]; len(m) == 0 || m[0] != ':' {
		dst = append(dst, ":00"...)
	}
	return append(dst, m...), true
}

var monthNumbers = []byte("010203040506070809101112")

// monthNumber returns the number of a month's name in English, whole or its first three
// letters, in any case; nil if it is none.
func monthNumber(name []byte) []byte {
	for m := time.January; m <= time.December; m++ {
		whole := m.String()
		if same(name, whole) || same(name, whole[:3]) || m == time.September && same(name, "Sept") {
			return monthNumbers[2*m-2 : 2*m]
		}
	}
	return nil
}

// isWeekday reports whether a word is a day of the week in English, whole or its first
// three letters.
func isWeekday(word []byte) bool {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if whole := d.String(); same(word, whole) || same(word, whole[:3]) {
			return true
		}
	}
	return false
}

// same reports whether two words differ in letter case at most.
func same(word []byte, name string) bool {
	return len(word) == len(name) && bytes.EqualFold(word, []byte(name))
}

func isLetter(part []byte) bool { return len(part) > 0 && part[0]|0x20-'a' < 26 }

func isDigits(b []byte) bool {
	for _, c := range b {
		if c-'0' > 9 {
			return false
		}
	}
	return len(b) > 0
}

func appendPadded(dst, digits []byte) []byte {
	if len(digits) == 1 {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}
