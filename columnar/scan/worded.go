package scan

import (
	"bytes"
	"strings"
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
//	2026-11-20 13:02:03 CET               2026-11-20 13:02:03 Europe/Berlin
//	20. März 2026 13:02                   2026/11/20 下午 1:02:03
//	2026 Nov 20 13:02:03                  20.11.2026 13:02:03:250
//
// and numbers alone, 11/20/2026 13:02, if the dates of the log tell their order; with a 12 h clock
// the month comes first.
func (c *Clock) worded(b []byte) (us int64, ok bool) {
	if first, behind, _ := bytes.Cut(b, []byte(" ")); isWeekday(first, behind) {
		b = behind
	}
	var year []byte // behind the time, as C writes it
	if at := bytes.LastIndexByte(b, ' '); at > 0 && len(b)-at == len(" 2026") && IsDigits(b[at+1:]) {
		b, year = b[:at], b[at+1:]
	}
	b, offset, zone := c.cutZone(b)
	b, half := cutHalf(b)
	date, clock, ok := cutDate(b)
	if !ok {
		return 0, false
	}
	date, clock, half = cutHalfBefore(date, clock, half)
	order := NoOrder
	if parts, ok := threeNumbers(date); ok && len(year) == 0 {
		if order = c.orderOf(); order == NoOrder && half != 0 {
			order = MonthFirst
		}
		if _, exists := dayOf(parts, DayFirst); order == NoOrder {
			if _, also := dayOf(parts, MonthFirst); exists || also {
				c.fault = isUnordered
			}
			return 0, false
		}
	}
	var buf [64]byte
	iso, ok := appendDate(buf[:0], date, year, order)
	if !ok {
		return 0, false
	}
	if iso, ok = appendClock(append(iso, 'T'), clock, half); !ok {
		return 0, false
	}
	if zone != nil {
		own := c.Zone
		c.Zone = zone
		us, ok = c.ISO(iso)
		c.Zone = own
		return us, ok
	}
	return c.ISO(append(iso, offset...))
}

// orderOf returns the order of the log's dates.
func (c *Clock) orderOf() Order {
	if !c.looked {
		written := c.Latest
		if written > 0 {
			written -= 2 * Day // see Latest
		}
		c.order, c.looked = orderIn(c.Head, written), true
	}
	return c.order
}

// cutZone cuts off what says how far a time is from UTC, and returns it as ISO takes it, or whose
// clock it is.
func (c *Clock) cutZone(b []byte) (rest, offset []byte, zone *time.Location) {
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
		return b, nil, nil
	}
	word := b[at+1:]
	offset = word
	if len(word) > 3 {
		offset = bytes.TrimPrefix(bytes.TrimPrefix(word, []byte("GMT")), []byte("UTC"))
	}
	if _, ok := Offset(offset); ok {
		return b[:at], offset, nil
	}
	if before := bytes.LastIndexByte(b[:at], ' '); before > 0 { // Go: +0100 CET
		if _, ok := Offset(b[before+1 : at]); ok {
			return b[:before], b[before+1 : at], nil
		}
	}
	if offset, zone, ok := c.place.zoneNamed(word, c.Zone); ok {
		return b[:at], offset, zone
	}
	return b, nil, nil
}

// cutHalf cuts AM or PM off a time. half is 'a', 'p', or 0 if there is none.
func cutHalf(b []byte) (rest []byte, half byte) {
	for _, h := range halves {
		if rest, ok := bytes.CutSuffix(b, []byte(h.word)); ok {
			return bytes.TrimRight(rest, " "), h.half
		}
	}
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

// halves are AM and PM as languages write them other than with these letters.
var halves = []struct {
	word string
	half byte
}{
	{"a. m.", 'a'}, {"p. m.", 'p'}, {"上午", 'a'}, {"下午", 'p'}, {"午前", 'a'}, {"午後", 'p'}, {"오전", 'a'}, {"오후", 'p'},
	{"π.μ.", 'a'}, {"μ.μ.", 'p'}, {"πμ", 'a'}, {"μμ", 'p'}, {" SA", 'a'}, {" CH", 'p'}, {" ÖÖ", 'a'}, {" ÖS", 'p'},
	{" fm", 'a'}, {" em", 'p'}, {" dop.", 'a'}, {" odp.", 'p'}, {"ص", 'a'}, {"م", 'p'},
}

// cutHalfBefore is cutHalf of a word before the time: behind the date, or at the time.
func cutHalfBefore(date, clock []byte, half byte) (d, c []byte, h byte) {
	for i := range halves {
		word := []byte(halves[i].word)
		if behind, ok := bytes.CutPrefix(clock, word); ok && half == 0 {
			return date, behind, halves[i].half
		}
		if before, ok := bytes.CutSuffix(date, word); ok && half == 0 {
			return bytes.TrimRight(before, " "), clock, halves[i].half
		}
	}
	return date, clock, half
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

// appendDate appends a date in the form 2006-01-02. year may stand apart. order is that of numbers
// with / or - between them.
func appendDate(dst, date, year []byte, order Order) (iso []byte, ok bool) {
	if len(date) == 8 && IsDigits(date) {
		dst = append(append(dst, date[:4]...), '-')
		return append(append(append(dst, date[4:6]...), '-'), date[6:]...), true
	}
	if bytes.Contains(date, []byte(" de ")) { // Spanish and Portuguese
		date = bytes.ReplaceAll(date, []byte(" de "), []byte(" "))
	}
	first, rest, sep := cutPart(date)
	second, third, _ := cutPart(rest)
	third = bytes.TrimRight(third, " .年日일")
	if len(year) > 0 && len(third) == 0 {
		third = year
	}
	parts := [...][]byte{first, second, third}
	var day, month []byte
	switch {
	case isLetter(first): // Nov 20, 2026
		month, day, year = first, second, third
	case isLetter(second) && len(first) == 4: // 2026 Nov 20
		year, month, day = first, second, third
	case isLetter(second): // 20 Nov 2026
		day, month, year = first, second, third
	case len(first) == 4:
		year, month, day = first, second, third
	case sep == '.':
		day, month, year = first, second, third
	case order != NoOrder:
		d, m, y := order.places()
		day, month, year = parts[d], parts[m], parts[y]
	}
	if len(year) == 2 {
		dst = append(dst, "20"...)
	}
	if isLetter(month) {
		month = monthNumber(month)
	}
	if len(dst)+len(year) != 4 || !IsDigits(year) || len(month) == 0 || len(month) > 2 || len(day) == 0 || len(day) > 2 {
		return nil, false
	}
	dst = append(append(dst, year...), '-')
	dst = append(appendPadded(dst, month), '-')
	return appendPadded(dst, day), true
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
	if len(clock) >= 6 && IsDigits(clock[:6]) { // 130203
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

// monthNumber returns the number of a month's name, whole or its first three letters, in any case;
// nil if it is none.
func monthNumber(name []byte) []byte {
	for m := time.January; m <= time.December; m++ {
		whole := m.String()
		if same(name, whole) || same(name, whole[:3]) {
			return monthNumbers[2*m-2 : 2*m]
		}
	}
	for m, names := range foreignMonths {
		for foreign := range strings.FieldsSeq(names) {
			if same(name, foreign) {
				return monthNumbers[2*m : 2*m+2]
			}
		}
	}
	return nil
}

// foreignMonths are the names of months in German, French, Spanish, Italian, Portuguese, Dutch and
// the languages of Scandinavia, where they are not those in English.
var foreignMonths = [12]string{
	"Januar Jänner Jän janvier janv enero ene gennaio gen janeiro januari",
	"Februar Feber février févr fév febrero febbraio fevereiro fev februari",
	"März Mär Mrz mars marzo março maart mrt",
	"avril avr abril abr aprile",
	"Mai mayo maggio mag maio mei maj",
	"Juni juin junio giugno giu junho",
	"Juli juillet juil julio luglio lug julho",
	"août aoû agosto ago augustus augusti",
	"Sept septembre septiembre settembre set setembro",
	"Oktober Okt octobre octubre ottobre ott outubro out",
	"novembre noviembre novembro",
	"Dezember Dez décembre déc diciembre dic dicembre dezembro desember des",
}

// isWeekday reports whether a word before a time is a day of the week in English, whole or its first
// three letters; or in another language, if the date behind it begins with a number.
func isWeekday(word, behind []byte) bool {
	word = bytes.TrimRight(word, ",.")
	for d := time.Sunday; d <= time.Saturday; d++ {
		if whole := d.String(); same(word, whole) || same(word, whole[:3]) {
			return true
		}
	}
	return isLetter(word) && len(behind) > 0 && behind[0]-'0' <= 9 && monthNumber(word) == nil
}

// same reports whether two words differ in letter case at most.
func same(word []byte, name string) bool {
	return len(word) == len(name) && bytes.EqualFold(word, []byte(name))
}

func isLetter(part []byte) bool { return len(part) > 0 && part[0]|0x20-'a' < 26 }

// IsDigits reports whether b is digits alone, one at least.
func IsDigits(b []byte) bool {
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
