package scan

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"
)

// Times as logs write them, in µs UTC.

// Durations in µs.
const (
	Second = int64(1e6)
	Day    = 86400 * Second
)

// Plausible reports whether a time is in the years 1970 to 2262. An event outside
// them is damaged, and would get a partition of its own.
func Plausible(us int64) bool { return us > 0 && us < 9_223_372_036_000_000 }

// A Clock parses timestamps. It remembers the last day, because most rows are on
// the same day.
type Clock struct {
	Zone *time.Location // nil means UTC
	date [10]byte
	base int64 // the start of that day in UTC, in µs
	err  bool
}

// ISO parses 2006-01-02T15:04:05. T may be a space or a tab; a fraction of up to
// nine digits may follow, and then Z, ±hh:mm, ±hhmm or ±hh. A date alone is its
// midnight.
func (c *Clock) ISO(b []byte) (us int64, ok bool) {
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
	if !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || s > 60 {
		return 0, false
	}
	us = c.base + (h*3600+m*60+s)*Second
	b = b[19:]
	if len(b) > 0 && (b[0] == '.' || b[0] == ',') {
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
		return us, Plausible(us)
	}
	offset, ok := Offset(b)
	us -= offset
	return us, ok && Plausible(us)
}

// UTC parses 2006-01-02T15:04:05[.000]Z, the most frequent form in logs.
func (c *Clock) UTC(b []byte) (us int64, ok bool) {
	const milli = len("2006-01-02T15:04:05.000Z")
	if len(b) != milli && len(b) != milli-4 || b[10] != 'T' || b[len(b)-1] != 'Z' || !c.setDate(b[:10]) {
		return 0, false
	}
	// The eight bytes of hh:mm:ss: digits become their values, colons become 0.
	w := binary.LittleEndian.Uint64(b[11:]) ^ 0x30303a30303a3030
	if w&0x0000ff0000ff0000 != 0 || (w|(w+0x7676767676767676))&0x8080808080808080 != 0 {
		return 0, false
	}
	w = w*10 + w>>8
	h, m, sec := w&0xff, w>>24&0xff, w>>48&0xff
	if h > 23 || m > 59 || sec > 60 {
		return 0, false
	}
	us = c.base + int64(h*3600+m*60+sec)*Second
	if len(b) == milli {
		d0, d1, d2 := b[20]-'0', b[21]-'0', b[22]-'0'
		if b[19] != '.' || d0 > 9 || d1 > 9 || d2 > 9 {
			return 0, false
		}
		us += int64(d0)*100_000 + int64(d1)*10_000 + int64(d2)*1_000
	}
	return us, Plausible(us)
}

// Local converts a wall-clock time of the clock's zone to UTC. us is the wall-clock
// time as if it were UTC.
func (c *Clock) Local(us int64) (int64, bool) {
	if c.Zone != nil && c.Zone != time.UTC {
		t := time.UnixMicro(us).UTC()
		us = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), c.Zone).UnixMicro()
	}
	return us, Plausible(us)
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

// Epoch parses seconds since 1970, with an optional fraction, and returns µs.
func Epoch(b []byte) (us int64, ok bool) {
	us, ok = Decimal(b, 1e6)
	return us, ok && Plausible(us)
}

// AnyEpoch parses a time since 1970. The number of digits tells its unit: the range
// of each unit is 1973 to 5138. Smaller numbers may be dates without dashes, or
// times since the start of a capture, and are refused.
func AnyEpoch(text []byte) (us int64, ok bool) {
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
	us, ok = EpochIn(unit, text)
	return us, ok && Plausible(us)
}

// EpochIn parses a time since 1970 in a unit: s, ms, us or ns. It does not check
// whether the time is plausible: see Plausible.
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
		ok = ok && math.Abs(x) < 1<<62
		us = int64(x)
	}
	return us / divide, ok
}
