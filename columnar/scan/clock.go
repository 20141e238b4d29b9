package scan

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"strconv"
	"time"
)

// Times as logs write them, in µs UTC.

// Durations in µs.
const (
	Second = int64(1e6)
	Day    = 86400 * Second
)

// What time events can have. A time outside 1990–2100 is damage, or a number of another
// meaning, and would make a partition of its own.
const (
	earliest = 631_152_000 * Second
	latest   = 4_102_444_800 * Second
)

// Plausible reports whether an event can have that time.
func Plausible(us int64) bool { return us >= earliest && us < latest }

// A Clock parses timestamps and remembers the last day, since most rows have it.
// It takes times only that Within allows.
type Clock struct {
	Zone   *time.Location // nil: UTC
	Latest int64          // no event is later, as the log was written before; 0: not known
	Head   []byte         // of the log, whose dates tell their order; see Dates
	order  Order
	looked bool // for order
	place  place
	fault  fault
	date   [10]byte
	base   int64 // µs of the start of that day in UTC
	err    bool
}

// A fault is why a time is not taken.
type fault uint8

const (
	taken fault = iota
	isOutside
	isLate
	isDoubtful
	isUnordered
	isRounded
)

// Reasons for faults.
const (
	outside   = "time outside 1990–2100"
	late      = "time after the log was written"
	doubtful  = "time of two meanings: of the 1990s since 1970, or of today since 2001"
	unordered = "date of two meanings: the day or the month first"
	rounded   = "time rounded to hours, as spreadsheets do"
)

// Within reports whether an event can have that time.
func (c *Clock) Within(us int64) bool {
	return uint64(us-earliest) < uint64(latest-earliest) && (c.Latest == 0 || us <= c.Latest) || c.refuse(us)
}

// refuse notes why a time is not taken, and returns false.
func (c *Clock) refuse(us int64) bool {
	if c.fault = isLate; !Plausible(us) {
		c.fault = isOutside
	}
	return false
}

// Fault returns why the last time was not taken: other, if it was none. It is of that time alone: what reads
// one without asking leaves nothing for the next.
func (c *Clock) Fault(other string) string {
	reason := cmp.Or([...]string{isOutside: outside, isLate: late, isDoubtful: doubtful, isUnordered: unordered, isRounded: rounded}[c.fault], other)
	c.fault = taken
	return reason
}

// ISO parses 2006-01-02T15:04:05. T may be a space or a tab; a fraction of up to
// nine digits may follow, behind a point, a comma or a colon, and then Z, ±hh:mm, ±hhmm or ±hh. A date alone is its
// midnight, 24:00:00 the end of the day.
func (c *Clock) ISO(b []byte) (us int64, ok bool) {
	c.fault = taken
	if len(b) < 10 || !c.setDate(b[:10]) {
		return 0, false
	}
	if len(b) == 10 {
		return c.Local(c.base)
	}
	if len(b) < 19 || b[10] != 'T' && b[10] != ' ' && b[10] != '\t' && b[10] != 't' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	h, ok1 := TwoDigits(b[11:])
	m, ok2 := TwoDigits(b[14:])
	s, ok3 := TwoDigits(b[17:])
	day := h*3600 + m*60 + s
	if !ok1 || !ok2 || !ok3 || day > Day/Second || m > 59 || s > 60 {
		return 0, false
	}
	us = c.base + day*Second
	b = b[19:]
	if len(b) > 0 && (b[0] == '.' || b[0] == ',' || b[0] == ':' && len(b) > 1 && b[1]-'0' <= 9) {
		scale := int64(100000)
		b = b[1:]
		for len(b) > 0 && b[0] >= '0' && b[0] <= '9' {
			us += int64(b[0]-'0') * scale
			scale /= 10
			b = b[1:]
		}
	}
	if len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	switch {
	case len(b) == 0:
		return c.Local(us)
	case len(b) == 1 && (b[0] == 'Z' || b[0] == 'z'), string(b) == "UTC":
		return us, c.Within(us)
	}
	offset, ok := Offset(b)
	us -= offset
	return us, ok && c.Within(us)
}

// UTC parses 2006-01-02T15:04:05Z, with a fraction of up to nine digits or none: the most
// frequent form in logs.
func (c *Clock) UTC(b []byte) (us int64, ok bool) {
	const whole = len("2006-01-02T15:04:05")
	n := len(b) - 1
	if n < whole || n > whole+10 || n == whole+1 || b[10] != 'T' || b[n] != 'Z' || !c.setDate(b[:10]) {
		return 0, false
	}
	day, ok := TimeOfDay(b[11:])
	if !ok {
		return 0, false
	}
	us = c.base + day
	switch {
	case n == whole:
	case b[whole] != '.':
		return 0, false
	case n == whole+4: // the most frequent fraction: ms
		w := binary.LittleEndian.Uint32(b[whole+1:]) ^ ('0' | '0'<<8 | '0'<<16 | 'Z'<<24)
		if (w|(w+0x00767676))&0x80808080 != 0 {
			return 0, false
		}
		us += int64(w&0xff*100+w>>8&0xff*10+w>>16) * (Second / 1000)
	default:
		for scale, digits := Second/10, b[whole+1:n]; len(digits) > 0; digits = digits[1:] {
			if digits[0]-'0' > 9 {
				return 0, false
			}
			us += int64(digits[0]-'0') * scale
			scale /= 10
		}
	}
	return us, c.Within(us)
}

// TimeOfDay parses 15:04:05, the first eight bytes of b. 24:00:00 ends the day.
func TimeOfDay(b []byte) (us int64, ok bool) {
	// Digits become their values, colons become 0.
	w := binary.LittleEndian.Uint64(b) ^ 0x30303a30303a3030
	if w&0x0000ff0000ff0000 != 0 || (w|(w+(0x80-10)*EachByte))&HighBits != 0 {
		return 0, false
	}
	w = w*10 + w>>8
	h, m, sec := w&0xff, w>>24&0xff, w>>48&0xff
	us = int64(h*3600+m*60+sec) * Second
	return us, us <= Day && m <= 59 && sec <= 60
}

// DateAndTime parses 2006-01-02 and 15:04:05, which stand apart.
func (c *Clock) DateAndTime(date, day []byte) (us int64, ok bool) {
	c.fault = taken
	if len(date) != 10 || len(day) != 8 || !c.setDate(date) {
		return 0, false
	}
	if us, ok = TimeOfDay(day); !ok {
		return 0, false
	}
	return c.Local(c.base + us)
}

// Local converts a wall-clock time of the clock's zone to UTC. us is the wall-clock
// time as if it were UTC.
func (c *Clock) Local(us int64) (int64, bool) {
	if c.Zone != nil && c.Zone != time.UTC {
		t := time.UnixMicro(us).UTC()
		us = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), c.Zone).UnixMicro()
	}
	return us, c.Within(us)
}

func (c *Clock) setDate(b []byte) bool {
	if [10]byte(b) == c.date {
		return !c.err
	}
	c.date = [10]byte(b)
	c.err = true
	y1, ok1 := TwoDigits(b)
	y2, ok2 := TwoDigits(b[2:])
	m, ok3 := TwoDigits(b[5:])
	d, ok4 := TwoDigits(b[8:])
	if !ok1 || !ok2 || !ok3 || !ok4 || b[4] != b[7] || b[4] != '-' && b[4] != '/' {
		return false
	}
	t := time.Date(int(y1*100+y2), time.Month(m), int(d), 0, 0, 0, 0, time.UTC)
	if t.Month() != time.Month(m) || t.Day() != int(d) {
		return false
	}
	c.base = t.UnixMicro()
	c.err = false
	return true
}

// Offset parses ±hh:mm, ±hhmm or ±hh and returns µs east of UTC.
func Offset(b []byte) (us int64, ok bool) {
	if len(b) < 3 || b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	h, ok := TwoDigits(b[1:])
	var m int64
	if rest := b[3:]; len(rest) > 0 && ok {
		if rest[0] == ':' {
			rest = rest[1:]
		}
		if len(rest) != 2 {
			return 0, false
		}
		m, ok = TwoDigits(rest)
	}
	us = (h*3600 + m*60) * Second
	if b[0] == '-' {
		us = -us
	}
	return us, ok && h < 24 && m < 60
}

// TwoDigits parses the two digits at the start of b.
func TwoDigits(b []byte) (int64, bool) {
	if len(b) < 2 {
		return 0, false
	}
	h, l := b[0]-'0', b[1]-'0'
	return int64(h)*10 + int64(l), h <= 9 && l <= 9
}

// Epoch parses seconds since 1970 with an optional fraction.
func (c *Clock) Epoch(b []byte) (us int64, ok bool) {
	c.fault = taken
	us, ok = Decimal(b, 1e6)
	return us, ok && c.Within(us)
}

// An epoch is a way to count time. No other epoch uses its numbers for 1990–2100.
type epoch struct {
	low, high     int64 // its numbers, high excluded
	scale, divide int64 // number × scale ÷ divide are µs
	start         int64 // at 0, µs since 1970
}

// Where epochs start, in µs.
const (
	start1601 = -11_644_473_600 * Second
	start0001 = -62_135_596_800 * Second
)

// epochs are told apart by the size of their numbers. Left out are those that others'
// numbers may be: seconds and days since 2001 or 1899 (Apple, Excel), days since 1970. A
// number that may be ns from 1990 on or .NET ticks from 2001 on is read as ticks.
var epochs = [...]epoch{
	{946_684_800, latest / Second, 1e6, 1, 0},                                  // s since 1970, from 2000 on
	{earliest / 1e3, latest / 1e3, 1e3, 1, 0},                                  // ms
	{earliest, latest, 1, 1, 0},                                                // µs
	{earliest - start1601, latest - start1601, 1, 1, start1601},                // µs since 1601: WebKit
	{10 * (earliest - start1601), 10 * (latest - start1601), 1, 10, start1601}, // 100 ns since 1601: FILETIME
	{10 * (earliest - start0001), 10 * (latest - start0001), 1, 10, start0001}, // 100 ns since year 1: .NET ticks
	{earliest * 1e3, latest * 1e3, 1, 1e3, 0},                                  // ns since 1970
}

// EpochOf returns the time that a number tells by its size; see epochs. Those that
// read as a date, or a date and a time, are that: 20261120, 20261120130203.
func (c *Clock) EpochOf(v int64) (us int64, ok bool) {
	c.fault = taken
	if v >= 19900101 && v <= 20991231 || v >= 19900101_000000 && v <= 20991231_235959 {
		var buf [14]byte
		return c.compact(strconv.AppendInt(buf[:0], v, 10))
	}
	for i := range epochs {
		if e := &epochs[i]; v >= e.low && v < e.high {
			us = v*e.scale/e.divide + e.start
			return us, c.Within(us)
		}
	}
	c.noEpoch(float64(v))
	return 0, false
}

// EpochOfFloat is EpochOf of a number with a fraction.
func (c *Clock) EpochOfFloat(x float64) (us int64, ok bool) {
	c.fault = taken
	for i := range epochs {
		if e := &epochs[i]; x >= float64(e.low) && x < float64(e.high) {
			us = int64(math.Floor(x*float64(e.scale)/float64(e.divide))) + e.start
			return us, c.Within(us)
		}
	}
	c.noEpoch(x)
	return 0, false
}

// noEpoch notes why a number is not a time.
func (c *Clock) noEpoch(x float64) {
	switch {
	case x >= float64(earliest/Second) && x < 946_684_800:
		c.fault = isDoubtful
	case x >= 1e8: // smaller ones are rather no time at all
		c.fault = isOutside
	}
}

// Any parses a time as programs write it: ISO 8601; as for people, see worded; or a number,
// see EpochOf.
func (c *Clock) Any(text []byte) (us int64, ok bool) {
	if us, ok = c.UTC(text); ok {
		return us, true
	}
	text = bytes.TrimSpace(text)
	if us, ok = c.number(text); ok {
		return us, true
	}
	if c.fault != taken {
		return 0, false
	}
	if us, ok = c.ISO(text); ok || c.fault != taken {
		return us, ok
	}
	if ms, isDate := bytes.CutPrefix(text, []byte("/Date(")); isDate { // as PowerShell writes JSON
		ms, _, _ = bytes.Cut(ms, []byte(")"))
		if end := bytes.IndexAny(ms, "+-"); end > 0 { // an offset: where it was written, not when
			ms = ms[:end]
		}
		return c.number(ms)
	}
	return c.worded(text)
}

// number parses a time that is a number.
func (c *Clock) number(text []byte) (us int64, ok bool) {
	c.fault = taken
	digits := 0
	for digits < len(text) && text[digits]-'0' <= 9 {
		digits++
	}
	whole, rest := text[:digits], text[digits:]
	switch {
	case digits == 0 || digits > 19:
		return 0, false
	case len(rest) > 0 && (rest[0]|0x20 == 'e' || rest[0] == '.' && bytes.ContainsAny(rest, "eE")): // 1.7e9, as floats are printed
		x, isNumber := Float(text)
		if !isNumber {
			return 0, false
		}
		us, ok = c.EpochOfFloat(x)
		if (ok || c.fault == isLate) && isRoundedTime(text) { // it may be late because it is rounded
			c.fault = isRounded
			return 0, false
		}
		return us, ok
	case digits <= 3 && len(rest) > 0 && bytes.IndexByte(text, ':') < 0: // 1,795,168,800, as a number is printed
		for _, mark := range groupMarks {
			var buf [24]byte
			if number, behind, groups := ungroup(buf[:0], text, mark); groups > 2 && len(behind) == 0 {
				v, fits := Int(number)
				if !fits {
					return 0, false
				}
				return c.EpochOf(v)
			}
		}
		if rest[0] != '.' && rest[0] != ',' {
			return 0, false
		}
	case len(rest) > 0 && (rest[0] != '.' && rest[0] != ',' || bytes.IndexByte(rest, ':') > 0): // 20.11.2026 13:02
		return 0, false
	}
	v, fits := Int(whole)
	if !fits {
		return 0, false
	}
	if len(rest) == 0 {
		return c.EpochOf(v)
	}
	for i := range epochs {
		if e := &epochs[i]; v >= e.low && v < e.high {
			us, ok = v*e.scale/e.divide+e.start, true
			var buf [24]byte // with a point, whatever stands there
			if fraction, isNumber := Decimal(append(append(buf[:0], '.'), rest[1:]...), e.scale); isNumber {
				us += fraction
			} else {
				ok = len(rest) == 1
			}
			return us, ok && c.Within(us)
		}
	}
	c.noEpoch(float64(v))
	return 0, false
}

// isRoundedTime reports whether a number with an exponent has so few digits that the time it tells is
// hours off: 1.79517E+09, as spreadsheets write what their cells have no room for.
func isRoundedTime(text []byte) bool {
	const least = 7 // of seconds since 1970, 17 minutes
	n := 0
	for _, c := range text {
		switch {
		case c|0x20 == 'e':
			return n < least
		case c-'0' <= 9:
			n++
		}
	}
	return false
}

// compact parses a date, or a date and a time, of digits alone.
func (c *Clock) compact(b []byte) (us int64, ok bool) {
	iso := [...]byte{b[0], b[1], b[2], b[3], '-', b[4], b[5], '-', b[6], b[7], 'T', '0', '0', ':', '0', '0', ':', '0', '0'}
	if len(b) > 8 {
		iso[11], iso[12], iso[14], iso[15], iso[17], iso[18] = b[8], b[9], b[10], b[11], b[12], b[13]
	}
	return c.ISO(iso[:])
}

// In parses a time that is written as unit says: "iso", a unit of EpochIn or a layout of package time; "" is Any.
func (c *Clock) In(unit string, text []byte) (us int64, ok bool) {
	if unit == "" {
		return c.Any(text)
	}
	c.fault = taken
	text = bytes.TrimSpace(text)
	switch unit {
	case "iso":
		return c.ISO(text)
	case "s", "ms", "us", "ns":
		us, ok = EpochIn(unit, text)
		return us, ok && c.Within(us)
	}
	t, err := time.ParseInLocation(unit, string(text), cmp.Or(c.Zone, time.UTC))
	if err != nil {
		return 0, false
	}
	us = t.UnixMicro()
	return us, c.Within(us)
}

// EpochIn parses a time since 1970 in a unit: s, ms, us or ns. It may be any time: ask
// Within.
func EpochIn(unit string, text []byte) (us int64, ok bool) {
	scale, divide := int64(1), int64(1)
	switch unit {
	case "s":
		scale = 1e6
	case "ms":
		scale = 1e3
	case "ns":
		divide = 1e3
	}
	if us, ok = Decimal(text, scale); !ok {
		var x float64
		x, ok = Float(text)
		x *= float64(scale)
		ok = ok && math.Abs(x) < 1<<62 && !isRoundedTime(text)
		us = int64(x)
	}
	return us / divide, ok
}
