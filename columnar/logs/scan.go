package logs

import (
	"bytes"
	"encoding/binary"
	"time"
)

// What every decoder needs of numbers and times, without allocation.

const (
	second = int64(1e6) // in µs
	day    = 86400 * second
)

// parseInt parses a decimal integer with an optional sign. ok is false if b is
// anything else or does not fit.
func parseInt(b []byte) (v int64, ok bool) {
	neg := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		neg, b = b[0] == '-', b[1:]
	}
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	for len(b) >= 8 {
		w := binary.LittleEndian.Uint64(b) ^ 0x3030303030303030
		if (w|(w+0x7676767676767676))&0x8080808080808080 != 0 {
			return 0, false
		}
		const m = 0x000000FF000000FF
		w = w*10 + w>>8
		w = ((w&m)*(100+1000000<<32) + (w>>16&m)*(1+10000<<32)) >> 32
		v = v*100000000 + int64(w)
		b = b[8:]
	}
	for _, c := range b {
		if c -= '0'; c > 9 {
			return 0, false
		} else {
			v = v*10 + int64(c)
		}
	}
	if v < 0 {
		return 0, false
	}
	if neg {
		v = -v
	}
	return v, true
}

// digits parses data[lo:hi] if it is 1 to 16 digits that have as much before
// them; anything else is left to parseInt.
func digits(data []byte, lo, hi uint32) (v int64, ok bool) {
	n := hi - lo
	if n-1 < 8 && hi >= 8 {
		w, ok := eightDigits(data[hi-8:], 8-n)
		return w, ok
	}
	if n-9 < 8 && hi >= 16 {
		high, ok1 := eightDigits(data[hi-16:], 16-n)
		low, ok2 := eightDigits(data[hi-8:], 0)
		return high*1e8 + low, ok1 && ok2
	}
	return 0, false
}

// eightDigits parses the 8 bytes at b, of which the first skip are not looked at.
func eightDigits(b []byte, skip uint32) (v int64, ok bool) {
	w := binary.LittleEndian.Uint64(b) ^ 0x3030303030303030
	w = w >> (8 * skip & 63) << (8 * skip & 63)
	ok = (w|(w+0x7676767676767676))&0x8080808080808080 == 0
	const m = 0x000000FF000000FF
	w = w*10 + w>>8
	w = ((w&m)*(100+1000000<<32) + (w>>16&m)*(1+10000<<32)) >> 32
	return int64(w), ok
}

// parseDecimal parses a decimal number with an optional fraction, as
// value × scale rounded down; scale is a power of ten up to 1e9.
func parseDecimal(b []byte, scale int64) (v int64, ok bool) {
	whole, frac, _ := bytes.Cut(b, dot)
	neg := len(whole) > 0 && whole[0] == '-'
	if neg {
		whole = whole[1:]
	}
	if len(whole) == 0 && len(frac) == 0 {
		return 0, false
	}
	if len(whole) > 0 {
		if v, ok = parseInt(whole); !ok || v > 1<<62/scale {
			return 0, false
		}
	}
	v *= scale
	for _, c := range frac {
		if c -= '0'; c > 9 {
			return 0, false
		}
		scale /= 10
		v += int64(c) * scale
	}
	if neg {
		v = -v
	}
	return v, true
}

var dot = []byte{'.'}

// parseEpoch parses seconds since 1970 with an optional fraction, in µs.
func parseEpoch(b []byte) (us int64, ok bool) {
	us, ok = parseDecimal(b, 1e6)
	return us, ok && plausible(us)
}

// plausible bounds times to the years 1970 to 2262: an event outside them is
// damage, and would make a partition of its own.
func plausible(us int64) bool { return us > 0 && us < 9_223_372_036_000_000 }

// A clock parses timestamps and remembers the last day, since most rows have it.
type clock struct {
	zone *time.Location // nil: UTC
	date [10]byte
	base int64 // µs of the start of that day in UTC
	err  bool
}

// parseISO parses 2006-01-02T15:04:05 with T or a space, an optional fraction
// of up to nine digits, and Z, ±hh:mm, ±hhmm, ±hh or no zone. A date alone is its
// midnight.
func (c *clock) parseISO(b []byte) (us int64, ok bool) {
	if len(b) < 10 || !c.setDate(b[:10]) {
		return 0, false
	}
	if len(b) == 10 {
		return c.local(c.base)
	}
	if len(b) < 19 || b[10] != 'T' && b[10] != ' ' && b[10] != 't' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	h, ok1 := twoDigits(b[11:])
	m, ok2 := twoDigits(b[14:])
	s, ok3 := twoDigits(b[17:])
	if !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || s > 60 {
		return 0, false
	}
	us = c.base + (h*3600+m*60+s)*second
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
		return c.local(us)
	case len(b) == 1 && (b[0] == 'Z' || b[0] == 'z'), string(b) == "UTC":
		return us, plausible(us)
	}
	offset, ok := parseOffset(b)
	us -= offset
	return us, ok && plausible(us)
}

// parseOffset parses ±hh:mm, ±hhmm or ±hh, in µs east of UTC.
func parseOffset(b []byte) (us int64, ok bool) {
	if len(b) < 3 || b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	h, ok := twoDigits(b[1:])
	var m int64
	if rest := b[3:]; len(rest) > 0 && ok {
		if rest[0] == ':' {
			rest = rest[1:]
		}
		if len(rest) != 2 {
			return 0, false
		}
		m, ok = twoDigits(rest)
	}
	us = (h*3600 + m*60) * second
	if b[0] == '-' {
		us = -us
	}
	return us, ok && h < 24 && m < 60
}

func (c *clock) setDate(b []byte) bool {
	if [10]byte(b) == c.date {
		return !c.err
	}
	c.date = [10]byte(b)
	c.err = true
	y1, ok1 := twoDigits(b)
	y2, ok2 := twoDigits(b[2:])
	m, ok3 := twoDigits(b[5:])
	d, ok4 := twoDigits(b[8:])
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

// local turns a wall-clock time of the clock's zone, written as if it were
// UTC, into UTC.
func (c *clock) local(us int64) (int64, bool) {
	if c.zone != nil && c.zone != time.UTC {
		t := time.UnixMicro(us).UTC()
		us = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), c.zone).UnixMicro()
	}
	return us, plausible(us)
}

func twoDigits(b []byte) (int64, bool) {
	if len(b) < 2 {
		return 0, false
	}
	h, l := b[0]-'0', b[1]-'0'
	return int64(h)*10 + int64(l), h <= 9 && l <= 9
}
