package logs

import (
	"bytes"
	"math"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// How the text of a field becomes a cell.

// A setter puts the texts of a record into the row that is being built. It is
// used by one goroutine.
type setter struct {
	clock   scan.Clock
	outer   outerTimes
	scratch []byte
}

// set reads text as f says and sets the cell. If it cannot, it returns why: for the
// time the record must be skipped then, any other cell is left empty. So it is where
// the text says that nothing is known.
func (s *setter) set(b *columnar.Builder, f *field, text []byte) (reason string) {
	if f.read == readTime {
		us, reason := s.timeOf(f, text, nil)
		if reason == "" {
			b.SetTime(us)
		}
		return reason
	}
	if scan.Unknown(text) {
		return ""
	}
	switch f.read {
	case readNumber:
		v, reason := f.number(text)
		return f.set(b, v, reason)
	case readQuery:
		b.SetQuery(text) // escapes of RFC 1035 stay as they are written
	case readKept:
		if text = f.part.Of(text); len(text) > 0 {
			b.SetField([]byte(f.name), text)
		}
	case readHost:
		host := s.text(f, text)
		b.SetText(f.col, host)
		if len(host) == 0 && text[0] != '/' {
			return withoutHost
		}
	default:
		b.SetText(f.col, s.text(f, text))
	}
	return ""
}

// withoutHost is the reason to leave a host empty that is no path alone.
const withoutHost = "url without a host"

// withoutTime is the reason to skip a record without a time.
const withoutTime = "no time"

// timeOf reads the time of a record, which may be the time of day on a date that stands
// apart.
func (s *setter) timeOf(f *field, text, date []byte) (us int64, reason string) {
	if scan.Unknown(text) {
		return 0, withoutTime
	}
	us, ok := s.clock.In(f.unit, text)
	if !ok && !scan.Unknown(date) {
		s.scratch = append(append(append(s.scratch[:0], bytes.TrimSpace(date)...), ' '), bytes.TrimSpace(text)...)
		us, ok = s.clock.In(f.unit, s.scratch)
	}
	if !ok {
		return 0, s.clock.Fault(f.bad)
	}
	return us, ""
}

// orOuter returns what was read as the time of a record; the time of its wrapper if the
// record says none.
func (s *setter) orOuter(record, us int64, reason string) (int64, string) {
	if reason == withoutTime {
		if outer, ok := s.outer.of(record, nil); ok {
			return outer, ""
		}
	}
	return us, reason
}

// text returns what a text of the source says in a Dictionary column, "" if
// nothing. It is a function of the text alone.
func (s *setter) text(f *field, text []byte) []byte {
	if scan.Unknown(text) {
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
	case readW3CUser:
		s.scratch = scan.UnescapeUser(s.scratch[:0], text)
		return s.scratch
	}
	return text
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

// numbersOf reads cells of a number into v, which is as long. record returns the record of a cell.
func (f *field) numbersOf(v []int64, data []byte, cells []columnar.Span, record func(cell int) int64, t *Tally) {
	digits(v, data, cells)
	for i, n := range v {
		if uint64(n) <= uint64(f.most) && f.scale == 1 {
			continue
		}
		n = columnar.Null
		if text := data[cells[i].Begin:cells[i].End]; !scan.Unknown(text) {
			var reason string
			if n, reason = f.number(text); reason != "" {
				n = columnar.Null
				t.Unread(record(i), f.col, text, reason)
			}
		}
		v[i] = n
	}
}

// number reads the text of a readNumber field: columnar.Null if it says nothing.
func (f *field) number(text []byte) (v int64, reason string) {
	v, ok := scan.Int(text)
	if !ok {
		text = bytes.TrimSpace(text)
		v, ok = scan.Int(text)
	}
	if !ok && f.scale == 1 {
		v, ok = scan.Hex(text)
	}
	if !ok || f.scale != 1 {
		ofBytes := f.scale == 1 && (f.col == columnar.BytesOut || f.col == columnar.BytesIn)
		x, isFloat := scan.Float(text)
		switch {
		case isFloat && ofBytes && scan.GroupOrFraction(text):
			return 0, f.bad
		case !isFloat:
			x, isFloat = scan.Grouped(text, f.scale == 1)
		}
		if !isFloat && ofBytes {
			x, isFloat = scan.Size(text)
		}
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
	if v > f.most {
		return 0, f.bad
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
