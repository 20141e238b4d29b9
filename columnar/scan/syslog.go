package scan

import (
	"bytes"
	"time"
)

// The time at the start of a syslog line.

// A SyslogClock parses the time at the start of a syslog line, with or without
// a year: "Nov 20 12:36:11", "2026-11-20T12:36:11Z" or "Fri Nov 20 12:36:11 2026".
type SyslogClock struct {
	Clock
	Written time.Time
	day     [6]byte // the last "Jan _2"
	start   int64   // µs of its midnight, as if the zone were UTC
}

// AnyYear stands in for Written while sniffing.
var AnyYear = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)

// Parse returns the time in µs UTC and the text after it.
func (c *SyslogClock) Parse(line []byte) (us int64, rest []byte, ok bool) {
	if len(line) > 0 && (line[0] == '<' || line[0]-'0' <= 9) {
		line = WithoutPriority(line)
	}
	c.fault = taken
	if len(line) > 11 && line[4] == '-' && line[10] == 'T' {
		stamp, rest, _ := bytes.Cut(line, []byte(" "))
		us, ok = c.ISO(stamp)
		return us, rest, ok
	}
	year := ctimeYear(line)
	if year > 0 {
		line = line[4:]
	}
	if len(line) < 16 || line[6] != ' ' || line[9] != ':' || line[12] != ':' || line[15] != ' ' {
		return 0, nil, false
	}
	h, ok1 := TwoDigits(line[7:])
	m, ok2 := TwoDigits(line[10:])
	s, ok3 := TwoDigits(line[13:])
	if !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || s > 60 {
		return 0, nil, false
	}
	inDay := (h*3600 + m*60 + s) * Second
	if year > 0 {
		t, err := time.Parse("Jan _2", string(line[:6]))
		if err != nil {
			return 0, nil, false
		}
		us, ok = c.Local(time.Date(year, t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).UnixMicro() + inDay)
		return us, line[21:], ok
	}
	if [6]byte(line) != c.day {
		if c.start, ok = c.lastSuch(line[:6], 0); !ok {
			c.day = [6]byte{}
			return 0, nil, false
		}
		c.day = [6]byte(line)
	}
	if us, ok = c.Local(c.start + inDay); us > c.Written.UnixMicro()+Day {
		// That year is right only for earlier hours of the day.
		start, found := c.lastSuch(line[:6], inDay)
		if !found {
			return 0, nil, false
		}
		us, ok = c.Local(start + inDay)
	}
	return us, line[16:], ok
}

// ctimeYear returns the year of a line that begins as C's ctime prints a time, "Fri
// Nov 20 12:36:11 2026 ", as logread does; 0 if it does not begin so.
func ctimeYear(line []byte) int {
	if len(line) < 25 || line[3] != ' ' || line[7] != ' ' || line[19] != ' ' || line[24] != ' ' {
		return 0
	}
	high, ok1 := TwoDigits(line[20:])
	low, ok2 := TwoDigits(line[22:])
	if !ok1 || !ok2 {
		return 0
	}
	return int(high*100 + low)
}

// lastSuch returns the start of the day written as "Jan _2". It takes the last year
// in which the time inDay of that day is at most a day after the object was
// written.
func (c *SyslogClock) lastSuch(b []byte, inDay int64) (start int64, ok bool) {
	t, err := time.Parse("Jan _2", string(b))
	if err != nil {
		return 0, false
	}
	limit := c.Written.UnixMicro() + Day
	// The last 29 February may be eight years back.
	for year := c.Written.Year() + 1; year > c.Written.Year()-9; year-- {
		d := time.Date(year, t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
		if d.Day() != t.Day() {
			continue
		}
		start = d.UnixMicro()
		if us, ok := c.Local(start + inDay); ok && us <= limit {
			c.fault = taken // that of later years
			return start, true
		}
	}
	return 0, false
}

// WithoutPriority returns line without the "<30>" that it may begin with, nor the length of the
// message before that, as TCP has it ("153 <30>", octet counting of RFC 6587): a receiver that takes
// lines for messages leaves it there, right or wrong.
func WithoutPriority(whole []byte) []byte {
	line := whole
	if len(line) > 0 && line[0]-'0' <= 9 {
		digits := 1
		for digits < min(len(line), len("4194304")) && line[digits]-'0' <= 9 {
			digits++
		}
		if digits == len(line) || line[digits] != ' ' {
			return whole
		}
		line = line[digits+1:]
	}
	if len(line) < 3 || line[0] != '<' || line[1]-'0' > 9 {
		return whole
	}
	n, i := 0, 1
	for ; i < len(line) && i < 5 && line[i]-'0' <= 9; i++ {
		n = n*10 + int(line[i]-'0')
	}
	if n > 191 || i == len(line) || line[i] != '>' {
		return whole
	}
	return line[i+1:]
}
