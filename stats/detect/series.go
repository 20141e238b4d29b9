package detect

import (
	"iter"
	"slices"
)

// What detections have in common in going over a series: the rows of a key by day.

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
