package logs

import (
	"bytes"
	"math"
	"time"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// How the text of a field becomes a cell.

// A setter puts the texts of a record into the row that is being built. It is
// used by one goroutine.
type setter struct {
	clock   scan.Clock
	scratch []byte
}

// set reads text as f says and sets the cell. It returns why the record must be
// skipped, or "". Text that says that nothing is known leaves the cell unset.
func (s *setter) set(b *columnar.Builder, f *field, text []byte) (reason string) {
	if unknown(text) {
		if f.read == readTime {
			return "no time"
		}
		return ""
	}
	switch f.read {
	case readTime:
		us, ok := s.time(f.unit, text)
		if !ok {
			return f.bad
		}
		b.SetTime(us)
	case readNumber:
		v, reason := f.number(text)
		return f.set(b, v, reason)
	case readQuery:
		b.SetQuery(text) // escapes of RFC 1035 stay as they are written
	case readKept:
		if text = f.part.Of(text); len(text) > 0 {
			b.SetField([]byte(f.name), text)
		}
	default:
		b.SetText(f.col, s.text(f, text))
	}
	return ""
}

// text returns what a text of the source says in a Dictionary column, "" if
// nothing. It is a function of the text alone.
func (s *setter) text(f *field, text []byte) []byte {
	if unknown(text) {
		return nil
	}
	switch f.read {
	case readHost:
		s.scratch = columnar.AppendLower(s.scratch[:0], scan.URLHost(text))
		return s.scratch
	case readPath:
		return scan.URLPath(text)
	case readKept:
		return f.part.Of(text)
	case readQueryType:
		return s.code(text, scan.QueryTypeName)
	case readRcode:
		return s.code(text, scan.RcodeName)
	}
	return text
}

func (s *setter) time(unit string, text []byte) (us int64, ok bool) {
	if us, ok = s.clock.UTC(text); ok && (unit == "" || unit == "iso") {
		return us, true
	}
	text = bytes.TrimSpace(text)
	switch unit {
	case "":
		if us, ok = scan.AnyEpoch(text); ok {
			return us, true
		}
		return s.clock.ISO(text)
	case "iso":
		return s.clock.ISO(text)
	case "s", "ms", "us", "ns":
		us, ok = scan.EpochIn(unit, text)
		return us, ok && scan.Plausible(us)
	}
	zone := s.clock.Zone
	if zone == nil {
		zone = time.UTC
	}
	t, err := time.ParseInLocation(unit, string(text), zone)
	if err != nil {
		return 0, false
	}
	us = t.UnixMicro()
	return us, scan.Plausible(us)
}

// set sets the cell of a readNumber field to what number, integer or float gave.
func (f *field) set(b *columnar.Builder, v int64, reason string) string {
	if reason == "" && v != columnar.Null {
		b.SetInt(f.col, v)
	}
	return reason
}

// integer sets the cell of a readNumber field whose scale is 1.
func (s *setter) integer(b *columnar.Builder, f *field, v int64) (reason string) {
	v, reason = f.integer(v)
	return f.set(b, v, reason)
}

// float sets the cell of a readNumber field.
func (s *setter) float(b *columnar.Builder, f *field, x float64) (reason string) {
	v, reason := f.float(x)
	return f.set(b, v, reason)
}

// number reads the text of a readNumber field: columnar.Null if it says nothing.
func (f *field) number(text []byte) (v int64, reason string) {
	v, ok := scan.Int(text)
	if !ok {
		text = bytes.TrimSpace(text)
		v, ok = scan.Int(text)
	}
	if !ok || f.scale != 1 {
		x, isFloat := scan.Float(text)
		if !isFloat {
			return 0, f.bad
		}
		return f.float(x)
	}
	return f.integer(v)
}

// integer is number of a field whose scale is 1.
func (f *field) integer(v int64) (int64, string) {
	if v < 0 {
		if f.col == columnar.BytesOut || f.col == columnar.BytesIn {
			return 0, f.negative
		}
		v = columnar.Null
	}
	return v, ""
}

// float is number, rounded down; NaN is null.
func (f *field) float(x float64) (int64, string) {
	if x = math.Floor(x * f.scale); x != x {
		return columnar.Null, ""
	}
	if math.Abs(x) >= 1<<63 {
		return 0, f.bad
	}
	return f.integer(int64(x))
}

// code returns the name of a DNS number, or text in upper case.
func (s *setter) code(text []byte, name func(int64) string) []byte {
	if n, ok := scan.Int(text); ok {
		s.scratch = append(s.scratch[:0], name(n)...)
		return s.scratch
	}
	s.scratch = s.scratch[:0]
	for _, c := range text {
		if c-'a' < 26 {
			c -= 'a' - 'A'
		}
		s.scratch = append(s.scratch, c)
	}
	return s.scratch
}
