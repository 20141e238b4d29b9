package iceberg

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"
)

// This file tells which files can have no row of the days asked for. It leaves out a file
// only if its partition or the bounds of its columns say so; what is unknown is read.

// Times says where the time of a row stands. The zero value knows no column: then every
// file is read.
type Times struct {
	// Columns returns, for the names of a table's columns, the indexes of those that have
	// the time, in order of preference: a row has the time of the first that is not null.
	Columns func(names []string) []int
	// Micros is the time of an integer, in µs UTC. ok is false if it is none.
	Micros func(v int64) (us int64, ok bool)
	// Zone is how far from UTC times without a zone may be.
	Zone time.Duration
}

const (
	microsPerHour = int64(time.Hour / time.Microsecond)
	microsPerDay  = 24 * microsPerHour
)

func dayTime(v int64) time.Time    { return time.Unix(clampSeconds(v, 86400), 0).UTC() }
func microsTime(v int64) time.Time { return time.UnixMicro(v).UTC() }

func clampSeconds(v, by int64) int64 {
	const most = 1 << 40 // years 34,000 and more
	return min(max(v, -most/by), most/by) * by
}

// A span is a range of times in µs UTC, both ends included.
type span struct{ first, last int64 }

var always = span{math.MinInt64, math.MaxInt64}

func (s span) and(t span) span { return span{max(s.first, t.first), min(s.last, t.last)} }

// wider returns s with as much more at both ends.
func (s span) wider(by time.Duration) span {
	us := by.Microseconds()
	if s.first > math.MinInt64+us {
		s.first -= us
	}
	if s.last < math.MaxInt64-us {
		s.last += us
	}
	return s
}

// A partitionField is a field of a partition spec.
type partitionField struct {
	Source    int    `json:"source-id"`
	ID        int    `json:"field-id"`
	Name      string `json:"name"`
	Transform string `json:"transform"`
}

// span returns the times that a value of the field stands for, if it stands for a time.
func (f *partitionField) span(v int64) (span, bool) {
	from := func(t, next time.Time) (span, bool) { return span{t.UnixMicro(), next.UnixMicro() - 1}, true }
	const most = 1 << 20 // hours, days and more of some hundred years and more
	switch f.Transform {
	case "identity":
		return span{}, false // of a time itself: its bounds say as much
	case "hour":
		if v < -most*24 || v > most*24 {
			return span{}, false
		}
		return span{v * microsPerHour, (v+1)*microsPerHour - 1}, true
	}
	if v < -most || v > most {
		return span{}, false
	}
	switch f.Transform {
	case "day":
		return span{v * microsPerDay, (v+1)*microsPerDay - 1}, true
	case "month":
		t := time.Date(1970, time.Month(1+v), 1, 0, 0, 0, 0, time.UTC)
		return from(t, t.AddDate(0, 1, 0))
	case "year":
		t := time.Date(1970+int(v), 1, 1, 0, 0, 0, 0, time.UTC)
		return from(t, t.AddDate(1, 0, 0))
	}
	return span{}, false
}

// dayColumns are the names of columns that have the day of a row, as the folders of a
// bucket do: 20261120 or 2026-11-20.
var dayColumns = []string{"eventday", "eventdate", "date", "day", "dt"}

func isDayColumn(name string) bool {
	return slices.Contains(dayColumns, strings.ToLower(strings.ReplaceAll(name, "_", "")))
}

// dayOf returns the day that a text is.
func dayOf(text string) (span, bool) {
	for _, layout := range []string{"20060102", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return span{t.UnixMicro(), t.UnixMicro() + microsPerDay - 1}, true
		}
	}
	return span{}, false
}

// A question is what a scan asks of a table: the days, and the columns of time.
type question struct {
	days  []span
	times []*Column // in order of preference
	Times
}

func newQuestion(s *Schema, days []time.Time, t Times) *question {
	q := &question{Times: t}
	for _, day := range days {
		day = day.UTC().Truncate(24 * time.Hour)
		q.days = append(q.days, span{day.UnixMicro(), day.UnixMicro() + microsPerDay - 1})
	}
	if t.Columns != nil {
		names := make([]string, len(s.Columns))
		for i := range s.Columns {
			names[i] = s.Columns[i].Name
		}
		for _, i := range t.Columns(names) {
			q.times = append(q.times, &s.Columns[i])
		}
	}
	return q
}

// meets reports whether a span has a part of the days.
func (q *question) meets(s span) bool {
	for _, day := range q.days {
		if s.first <= day.last && s.last >= day.first {
			return true
		}
	}
	return len(q.days) == 0
}

// spanOf returns the times of a column that has values from low to high, as bounds are
// stored; always if that is not known.
func (q *question) spanOf(c *Column, low, high []byte) span {
	l, ok1 := boundInt(low)
	h, ok2 := boundInt(high)
	if !ok1 || !ok2 {
		return always
	}
	switch c.Type {
	case "timestamptz":
		return span{l, h}
	case "timestamp":
		return span{l, h}.wider(q.Zone)
	case "timestamptz_ns":
		return span{l / 1000, h/1000 + 1}
	case "timestamp_ns":
		return span{l / 1000, h/1000 + 1}.wider(q.Zone)
	case "date":
		return span{dayTime(l).UnixMicro(), dayTime(h).UnixMicro() + microsPerDay - 1}.wider(q.Zone)
	case "int", "long":
		// In one unit, no time of a log is ten times another. Between bounds in two units,
		// any time may lie.
		if q.Micros == nil || l <= 0 || h/10 >= l {
			return always
		}
		first, ok1 := q.Micros(l)
		last, ok2 := q.Micros(h)
		if !ok1 || !ok2 {
			return always
		}
		return span{first, last}
	}
	return always
}

// boundInt reads the bound of an integer or a time. That of a column that was an int is
// shorter.
func boundInt(b []byte) (int64, bool) {
	switch len(b) {
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(b))), true
	case 8:
		return int64(binary.LittleEndian.Uint64(b)), true
	}
	return 0, false
}

// partitioned narrows the times of the columns by a partition. values are those of the
// fields of the spec; a nil value tells nothing. ok is false if the partition has no row
// of the days.
func (q *question) partitioned(s *spec, schema *Schema, values []any, narrowed map[int]span) (ok bool) {
	for i := range s.Fields {
		f := &s.Fields[i]
		c := schema.column(f.Source)
		if i >= len(values) || values[i] == nil || c == nil {
			continue
		}
		if text, ok := partitionText(values[i], c.Type); ok && f.Transform == "identity" && isDayColumn(c.Name) {
			if day, ok := dayOf(text); ok && !q.meets(day) {
				return false
			}
		}
		if v, isInt := values[i].(int64); isInt {
			of, ok := f.span(v)
			if !ok {
				continue
			}
			if c.Type != "timestamptz" && c.Type != "timestamptz_ns" {
				of = of.wider(q.Zone)
			}
			if before, ok := narrowed[c.ID]; ok {
				of = of.and(before)
			}
			narrowed[c.ID] = of
		}
	}
	return true
}

// wants reports whether a file may have a row of the days: by its times, the first that a
// row has counts.
func (q *question) wants(f *fileBounds, narrowed map[int]span) bool {
	if len(q.days) == 0 || len(q.times) == 0 {
		return true
	}
	for _, c := range q.times {
		nulls, counted := f.nulls[c.ID]
		if counted && nulls == f.values[c.ID] && nulls > 0 {
			continue
		}
		s := q.spanOf(c, f.lower[c.ID], f.upper[c.ID])
		if n, ok := narrowed[c.ID]; ok {
			s = s.and(n)
		}
		if s == always || q.meets(s) {
			return true
		}
		if c.Required || counted && nulls == 0 {
			return false
		}
	}
	return false
}

// fileBounds is what a manifest says of the columns of a file that are asked about, by id.
type fileBounds struct {
	values, nulls map[int]int64
	lower, upper  map[int][]byte
}
