package detect

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"unicode"
)

// size writes bytes for a reader: three digits and a unit of powers of 1000.
func size(bytes float64) string {
	switch {
	case math.IsNaN(bytes):
		return "unknown"
	case bytes < 999.5:
		return fmt.Sprintf("%.0f B", bytes)
	}
	units := []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	i := 0
	for bytes /= 1e3; bytes >= 999.5 && i < len(units)-1; i++ {
		bytes /= 1e3
	}
	return strconv.FormatFloat(bytes, 'g', 3, 64) + " " + units[i]
}

// times writes a factor for a reader.
func times(f float64) string {
	switch {
	case f >= 10:
		return fmt.Sprintf("%.0f times", f)
	}
	return fmt.Sprintf("%.1f times", f)
}

// count writes a number with its noun.
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatInt(n, 10) + " " + noun + "s"
}

// name writes text that came from a log into a sentence: control characters and
// what reorders the line are escaped, and it is cut to 80 characters.
func name(text string) string {
	out := make([]rune, 0, len(text))
	for _, r := range text {
		switch {
		case len(out) >= 80:
			return string(append(out, '…'))
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			quoted := strconv.QuoteRuneToASCII(r)
			out = append(out, []rune(quoted[1:len(quoted)-1])...)
		default:
			out = append(out, r)
		}
	}
	return string(out)
}

// sum merges the rows of a series.
func sum(rows []Row) Summary {
	var s Summary
	for i := range rows {
		s = s.Merge(rows[i].Summary)
	}
	return s
}

// before splits a series into the rows before the judged day and the row of it,
// nil if there is none.
func (in *Input) before(rows []Row) (past []Row, today *Row) {
	for i := range rows {
		if rows[i].Day >= in.Day {
			if rows[i].Day == in.Day {
				today = &rows[i]
			}
			return rows[:i], today
		}
	}
	return rows, nil
}

// when says in a sentence what time is judged.
func (in *Input) when() string {
	if in.Window != [2]int64{} {
		return "in that time"
	}
	return "that day"
}

// window returns the time that is judged.
func (in *Input) window() [2]int64 {
	if in.Window != [2]int64{} {
		return in.Window
	}
	return in.Day.window()
}

// today yields the rows of the judged day.
func (in *Input) today() iter.Seq[*Row] {
	return func(yield func(*Row) bool) {
		for _, rows := range in.Series {
			if _, today := in.before(rows); today != nil && !yield(today) {
				return
			}
		}
	}
}

// baselineDays returns the days of the baseline that were folded for a feed.
func (in *Input) baselineDays(feed string) []Day {
	days := in.Covered(feed)
	first, _ := slices.BinarySearch(days, in.Day-baselineDays)
	last, _ := slices.BinarySearch(days, in.Day)
	return days[first:last]
}

// habitDays is how many days of the history must have been about as high as the
// judged one for it to be a habit. After a level has changed for good, the
// detection so speaks for that many days and no longer, though flagged days
// never join the baseline; and four makes a weekly upload a habit within a
// history of 30 days. An exfiltration that goes on has been reported four times by then.
const habitDays = 4

// habitual reports whether a day of x bytes is a habit: at least half of x on
// habitDays of the past days that count, flagged or not.
func habitual(x int64, past []Row, counts func(d Day) bool) bool {
	n := 0
	for i := range past {
		if past[i].BytesOut >= x-x/2 && counts(past[i].Day) {
			n++
		}
	}
	return n >= habitDays
}

// anyDay counts every day.
func anyDay(Day) bool { return true }

// num writes a threshold as short as it is.
func num(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// measure writes what was observed: whole numbers as they are, others with three
// digits.
func measure(f float64) string {
	if f == math.Trunc(f) {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatFloat(f, 'g', 3, 64)
}
