package detect

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// This file finds what stays under the limits of a day, for days or weeks: the sum of the
// days' excesses over a baseline that ends 30 days before (a CUSUM).

const (
	// maxDayExcess bounds what one day adds to the sum: a single high day is the matter
	// of upload_zscore.
	maxDayExcess = 3
	// levelErrors is how many standard errors of the usual level are added to the slack.
	// An error of the level adds up day by day like a drip, and is most of what ordinary
	// people have.
	//
	// Note: without it, a threshold of 8 finds 13 and 7 of 10,000 ordinary users a night
	// with 20 and 30 days of baseline, and 10 and 4 with a threshold of 10. With it, 6.5
	// finds 2.3 and .6, and a drip of 2σ as soon as 8 did.
	levelErrors = 1.5
)

// slowLimits say which sums are to be reported.
type slowLimits struct {
	threshold, slack float64
	// What the last 30 days must have beyond the usual: floor, or least and so many times the
	// usual.
	floor, least, times float64
}

// frozen returns the input as if the last 30 days were not over.
func (in *Input) frozen() Input {
	frozen := *in
	frozen.Day -= baselineDays
	return frozen
}

// frozenDays returns the days of the baseline of a feed that ends 30 days before.
func (in *Input) frozenDays(feed string) []Day {
	frozen := in.frozen()
	return frozen.baselineDays(feed)
}

// shortOfFrozen is the Short of detections with a baseline that ends 30 days before.
func shortOfFrozen(covered []Day, day Day, least int) string {
	in := &Input{Day: day, Covered: func(string) []Day { return covered }}
	if len(in.frozenDays("")) >= least {
		return ""
	}
	return strconv.Itoa(least) + " that are over 30 days old"
}

// A slowRise is an entity's last days against its baseline.
type slowRise struct {
	key   Key
	past  []Row
	today Row
	days  []slowDay // the 30 before the judged one as far as they are known, and that one
	usual float64   // in a day of the baseline, on average
	count int       // days of the baseline
}

type slowDay struct {
	Point
	sum float64 // of the excesses, in spreads
}

// rise sums up the excesses of the last days over a baseline.
func (l *slowLimits) rise(q *quantity, in, frozen *Input, s splitSeries, u *baseline) *slowRise {
	out := &slowRise{key: s.key, count: int(u.days)}
	frozen.daysOf(q, s, func(_ Day, value int64, trained bool) {
		if trained {
			out.usual += float64(value) / float64(u.days)
		}
	})
	slack := l.slack + levelErrors*math.Sqrt(math.Pi/2/float64(u.like))
	sum := 0.0
	add := func(d Day, value int64, _ bool) {
		centre := u.centre
		if d.weekend() != frozen.Day.weekend() {
			centre = u.other
		}
		r := (q.log(float64(value)) - centre) / u.spread
		sum = max(0, sum+max(-maxDayExcess, min(r, maxDayExcess))-slack)
		out.days = append(out.days, slowDay{Point{Day: d, Value: float64(value), Mid: q.value(centre), Up: q.value(centre + slack*u.spread)}, sum})
	}
	in.daysOf(q, s, add)
	add(in.Day, q.of(s.today), false)
	return out
}

// excess returns the total of the 30 days up to and including d, how much of it is
// usual, and the sum of the excesses on d, the last of them that is known.
func (s *slowRise) excess(d Day) (total, usual, sum float64) {
	for i := range s.days {
		if p := &s.days[i]; p.Day > d-baselineDays && p.Day <= d {
			total, usual, sum = total+p.Value, usual+s.usual, p.sum
		}
	}
	return total, usual, sum
}

// unusual reports whether the days up to d are to be reported.
func (l *slowLimits) unusual(s *slowRise, d Day) bool {
	total, usual, sum := s.excess(d)
	more := total - usual
	return sum > l.threshold && (more >= l.floor || more >= l.least && more >= l.times*usual)
}

// crosses reports whether the judged day is the first that is to be reported. The
// baseline moves by a day each night, so the day before may have been reported although
// it is not unusual by the present one.
func (l *slowLimits) crosses(in *Input, s *slowRise) bool {
	if !l.unusual(s, in.Day) || l.unusual(s, in.Day-1) {
		return false
	}
	return !slices.ContainsFunc(s.days, func(p slowDay) bool { return in.Flagged(s.key, p.Day) })
}

// A growth is what a destination or place had beyond what is usual for it.
type growth struct {
	name  string
	byDNS bool    // the name is by DNS, at least in part
	fresh bool    // the entity has used it for under 30 days
	more  float64 // in the last 30 days beyond those of the 30 days before
}

func growthOf(in *Input, q *quantity, rows []Row) growth {
	g := growth{name: rows[0].Object, fresh: rows[0].Day > in.Day-baselineDays}
	for i := range rows {
		switch r := &rows[i]; {
		case r.Day > in.Day-baselineDays:
			g.more += float64(q.of(r))
		case r.Day > in.Day-2*baselineDays:
			g.more -= float64(q.of(r))
		}
	}
	return g
}

// grew sorts what grew, by how much, and says where most of what is beyond the usual went.
func grew(grown []growth, beyond float64, show func(float64) string) string {
	slices.SortFunc(grown, func(a, b growth) int { return cmp.Or(cmp.Compare(b.more, a.more), strings.Compare(a.name, b.name)) })
	var where []string
	for _, g := range grown {
		if len(where) < 3 && g.more >= beyond/10 {
			by := ""
			if g.byDNS {
				by = ", named by DNS"
			}
			where = append(where, fmt.Sprintf("%s (%s more%s)", printable(strings.TrimSuffix(g.name, "/")), show(g.more), by))
		}
	}
	if len(where) == 0 {
		return "no single destination got a tenth of that"
	}
	return "what grew is " + strings.Join(where, ", ")
}
