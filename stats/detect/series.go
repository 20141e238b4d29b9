package detect

import (
	"iter"
	"slices"
	"strconv"
)

// This file helps detections to read a series: the rows of one key, by day.

// sum merges the rows of a series.
func sum(rows []Row) Summary {
	var s Summary
	for i := range rows {
		s = s.Merge(rows[i].Summary)
	}
	return s
}

// before splits a series into the rows before the judged day and the row of that day,
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

// when names the judged time in a sentence.
func (in *Input) when() string {
	if in.Window != [2]int64{} {
		return "in that time"
	}
	return "that day"
}

// window returns the judged window.
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

// shortOf is the Short of detections that need a number of days of history.
func shortOf(days, least int) string {
	if days >= least {
		return ""
	}
	return strconv.Itoa(least)
}

// habitDays is how many days of the history must have been about as high as the judged
// one to make it a habit. After a lasting change of level, the detection therefore
// reports that many days and then stops, although flagged days never join the
// baseline. Four also lets a weekly upload become a habit within a history of 30 days.
// A continuing exfiltration has been reported four times by then.
const habitDays = 4

// firstHabitDays is habitDays of machines and service accounts in the first week of a feed.
// Everything is new then, also the backup of each night: two reports are enough. A person's
// third night must be reported, too.
const firstHabitDays = 2

// firstWeek is how many days of history make a feed's first week.
const firstWeek = 7

// habitDays returns how many days make a habit of a key.
func (in *Input) habitDays(k Key) int {
	if in.person(k) || len(in.baselineDays(k.Feed)) >= firstWeek {
		return habitDays
	}
	return firstHabitDays
}

// habitual reports whether x in a day is a habit of a key: at least half of x on
// Input.habitDays past days, flagged or not.
func (in *Input) habitual(q *quantity, k Key, x int64, past []Row) bool {
	return q.days(x, past, anyDay) >= in.habitDays(k) || in.weekly(q, k, x, past)
}

// weekly reports whether a machine or service account had about as much on the same day of both weeks
// before, as full backups and their checks have; of the week before, where the feed's log does not reach further back.
func (in *Input) weekly(q *quantity, k Key, x int64, past []Row) bool {
	if in.person(k) {
		return false
	}
	weeks := 0
	for _, d := range in.baselineDays(k.Feed) {
		if d == in.Day-7 || d == in.Day-14 {
			weeks++
		}
	}
	return weeks > 0 && q.days(x, past, func(d Day) bool { return d == in.Day-7 || d == in.Day-14 }) == weeks
}

// person reports whether a key is that of a user who is no service account.
func (in *Input) person(k Key) bool {
	return k.EntityType == entityColumns[userEntity].String() && in.Group(k) != ServiceGroup
}

// days returns on how many past days for which counts returns true there was at least half
// of x.
func (q *quantity) days(x int64, past []Row, counts func(d Day) bool) (n int) {
	for i := range past {
		if q.of(&past[i]) >= x-x/2 && counts(past[i].Day) {
			n++
		}
	}
	return n
}

// known reports whether a day with x, over the threshold, is nothing new: it is a habit, or
// x is not large and there was at least half of it on one earlier day for which counts
// returns true, which was reported or passed again. A tenth of the people have such a day now
// and then. Where each day takes a little more than the last, none of them explains the next.
func (in *Input) known(q *quantity, k Key, x int64, past []Row, counts func(d Day) bool) bool {
	for i, passed := len(past)-1, false; x < q.large && i >= 0; i-- {
		if d := past[i].Day; counts(d) {
			value := q.of(&past[i])
			if value >= x-x/2 && (passed || in.Flagged(k, d)) {
				return true
			}
			passed = passed || value < x/4
		}
	}
	return q.days(x, past, counts) >= habitDays
}

// A theft goes on for spree days at most. A volume seen before that recurs now and then.
const spree = 7

// precedent reports whether a key had at least half of x a week ago or before.
func (in *Input) precedent(q *quantity, x int64, past []Row) bool {
	return q.days(x, past, func(d Day) bool { return d <= in.Day-spree }) > 0
}

// anyDay makes quantity.days count every day.
func anyDay(Day) bool { return true }
