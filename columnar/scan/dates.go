package scan

import (
	"bytes"
	"math/bits"
	"time"
)

// Dates of numbers alone, 11/12/2026, whose order depends on who wrote them.

// An Order says what the numbers of a date are.
type Order uint8

const (
	NoOrder Order = iota // not known
	DayFirst
	MonthFirst
	YearFirst // of two digits
)

// places are where day, month and year stand in an order.
func (o Order) places() (day, month, year int) {
	switch o {
	case MonthFirst:
		return 1, 0, 2
	case YearFirst:
		return 2, 1, 0
	}
	return 0, 1, 2
}

// nearDays is how many days before a log was written its records are of, as a rule.
const nearDays = 3

// Dates are those of one log. They tell its order together: one date seldom does.
type Dates struct {
	Written int64 // when the log was written, in µs; 0: not known
	n       int
	valid   [YearFirst + 1]int // dates that exist, and are not later than the log
	near    [YearFirst + 1]int // dates of the days before it was written
	numbers [3][2]uint64       // those that stand at each place, as sets; years without their century
}

// Add adds a date such as 4/5/2026 or 30-11-26. Other texts are left out.
func (d *Dates) Add(text []byte) {
	parts, ok := threeNumbers(text)
	if !ok {
		return
	}
	exists := false
	for o := DayFirst; o <= YearFirst; o++ {
		us, ok := dayOf(parts, o)
		if !ok || d.Written > 0 && us > d.Written+Day {
			continue
		}
		exists = true
		d.valid[o]++
		if us > d.Written-nearDays*Day && us < d.Written+Day {
			d.near[o]++
		}
	}
	if !exists { // it tells nothing
		return
	}
	d.n++
	for i, part := range parts {
		part %= 100
		d.numbers[i][part>>6] |= 1 << (part & 63)
	}
}

// Order returns the order of the dates, if they leave no doubt: it is the only one in which nearly
// all exist; or the only one in which only the day changes; or the only one in which they are near
// the day on which the log was written.
func (d *Dates) Order() Order {
	most := 0
	for _, n := range d.valid {
		most = max(most, n)
	}
	if most == 0 || most*10 < d.n*9 {
		return NoOrder
	}
	is := func(o Order) bool { return d.valid[o] == most }
	distinct := func(place int) int {
		return bits.OnesCount64(d.numbers[place][0]) + bits.OnesCount64(d.numbers[place][1])
	}
	for _, holds := range []func(Order) bool{is,
		func(o Order) bool {
			day, month, year := o.places()
			return is(o) && distinct(day) > 1 && distinct(month) == 1 && distinct(year) == 1
		},
		func(o Order) bool { return is(o) && d.near[o] > 0 },
	} {
		only, orders := NoOrder, 0
		for o := DayFirst; o <= YearFirst; o++ {
			if holds(o) {
				only = o
				orders++
			}
		}
		if orders == 1 {
			return only
		}
	}
	return NoOrder
}

// orderIn returns the order of the dates in the lines of head. The first of a line counts: what
// clients write comes later.
func orderIn(head []byte, written int64) Order {
	d := Dates{Written: written}
	for len(head) > 0 {
		var line []byte
		line, head = CutLine(head)
		if date := numbersIn(line); date != nil {
			d.Add(date)
		}
	}
	return d.Order()
}

// numbersIn returns the first date of numbers alone in a line, nil if it has none.
func numbersIn(line []byte) []byte {
	for i := 0; i+len("1/2/26") <= len(line); i++ {
		if line[i]-'0' > 9 || i > 0 && bytes.IndexByte([]byte(" \t\"',;[(=:|>"), line[i-1]) < 0 {
			continue
		}
		end := i
		for end < len(line) && end-i <= len("11-12-2026") && (line[end]-'0' <= 9 || line[end] == '/' || line[end] == '-') {
			end++
		}
		if parts, ok := threeNumbers(line[i:end]); ok && (parts[2] > 99 || end+1 < len(line) && (line[end] == ' ' || line[end] == ',') && line[end+1] <= '9') {
			return line[i:end]
		}
		i = max(i, end-1)
	}
	return nil
}

// threeNumbers cuts a date into its numbers: two of one or two digits, and a third of two or four,
// with / or - between them.
func threeNumbers(text []byte) (parts [3]int, ok bool) {
	n, digits := 0, 0
	var mark byte
	for _, c := range text {
		switch {
		case c-'0' <= 9:
			parts[n] = parts[n]*10 + int(c-'0')
			if digits++; digits > 4 || digits > 2 && n < 2 {
				return parts, false
			}
		case (c == '/' || c == '-') && digits > 0 && n < 2 && (n == 0 || c == mark):
			mark = c
			n++
			digits = 0
		default:
			return parts, false
		}
	}
	return parts, n == 2 && (digits == 2 || digits == 4)
}

// dayOf returns the start of the day that numbers mean in an order, if there is such a day.
func dayOf(parts [3]int, o Order) (us int64, ok bool) {
	d, m, y := o.places()
	day, month, year := parts[d], parts[m], parts[y]
	if o == YearFirst && parts[2] > 31 {
		return 0, false
	}
	if year < 100 {
		year += 2000
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	us = t.UnixMicro()
	return us, t.Day() == day && int(t.Month()) == month && Plausible(us)
}
