package detect

import (
	"cmp"
	"math"
	"slices"

	"outflow/stats"
)

// This file says what is normal for an entity: the centre and the spread of its days.

// A baseline is what is normal for an entity, as the first pass over the rows finds
// it.
type baseline struct {
	value int64 // of the judged day; unknown if it is blind
	// Days that train the baseline: all of them, and those of the judged day's kind.
	days, like int32
	blind      bool
	crowd      bool // many of its peers rose on the judged day
	split      bool // weekdays and weekends differ
	// centre is the centre of days of the judged day's kind, other that of the rest;
	// as quantity.log returns it: log(1 + MB) of bytes.
	centre, other float64
	spread        float64 // of all training days around their centre; after steady, the divisor of z
	small         float64 // how much more z a value under quantity.large needs, as steady says
	group         string
}

// A splitSeries is a series, split at the judged day.
type splitSeries struct {
	key   Key
	past  []Row
	today *Row
}

// A quantity is what is compared between the days of an entity. Its values are not
// negative and vary by factors.
type quantity struct {
	of    func(r *Row) int64
	blind func(r *Row) bool // reports whether the value is unknown, which is not zero
	// scale is 1e6 divided by the amount below which values are hardly told apart: 1 for
	// bytes, 1e6 for what is counted one by one.
	scale float64
	// large is the least value to which baseline.small does not apply.
	large int64
}

const (
	// smallDay is by how many spreads more a day under quantity.large must exceed the
	// threshold. The days of 10,000 people are over it by chance twenty times a night, most of
	// them a few hundred megabytes of the erratic. A quiet user's stand out by far more.
	smallDay = 1.5
	// manyEntities is how many trained entities of a feed ask for all of smallDay; fewer ask for
	// their share. One of a hundred people is over the threshold by chance every eleven nights,
	// one of five every 250.
	manyEntities = 200
)

// smallDayOf returns smallDay, to a tenth, for a feed with so many trained entities.
func smallDayOf(entities int) float64 {
	return math.Round(10*smallDay*min(1, float64(entities)/manyEntities)) / 10
}

// least returns the z above which a value is unusual.
func (u *baseline) least(q *quantity, threshold float64, value int64) float64 {
	if value < q.large {
		return threshold + u.small
	}
	return threshold
}

// limit returns the least value that is unusual on a day with that level.
func (u *baseline) limit(q *quantity, threshold, level float64, floor int64) float64 {
	large := max(q.value(level+threshold*u.spread), float64(q.large))
	return max(min(q.value(level+(threshold+u.small)*u.spread), large), float64(floor))
}

// bytesOut measures uploads.
var bytesOut = quantity{of: func(r *Row) int64 { return r.BytesOut }, blind: blind, scale: 1, large: 1e9}

// log returns a value on the scale on which days are compared, and value is the
// inverse.
func (q *quantity) log(value float64) float64 { return stats.LogMB(value * q.scale) }
func (q *quantity) value(log float64) float64 { return stats.Bytes(log) / q.scale }

// days calls f for every day of the baseline: a covered day since the entity was first
// seen. trained is false for a flagged day.
func (in *Input) days(s splitSeries, f func(d Day, bytes int64, trained bool)) {
	in.daysOf(&bytesOut, s, f)
}

// daysOf is days for any quantity.
func (in *Input) daysOf(q *quantity, s splitSeries, f func(d Day, value int64, trained bool)) {
	next := 0
	for _, d := range in.baselineDays(s.key.Feed) {
		for next < len(s.past) && s.past[next].Day < d {
			next++
		}
		value := int64(0)
		switch {
		case len(s.past) == 0 || d < s.past[0].Day:
			continue // not seen yet
		case next < len(s.past) && s.past[next].Day == d:
			if q.blind(&s.past[next]) {
				continue
			}
			value = q.of(&s.past[next])
		}
		f(d, value, !in.Flagged(s.key, d))
	}
}

// blind reports whether the row's bytes are unknown, which is not zero.
func blind(r *Row) bool { return r.KnownOut == 0 && r.Events > 0 }

// minStratum is the fewest weekdays or weekend days that get a centre of their own:
// the median of fewer is hardly better than a guess.
const minStratum = 5

// A sample is a buffer for the days of one entity after another.
type sample struct {
	unlike, like []float64 // by whether the day has the judged day's kind
	all          []float64
}

// baseline returns what is normal for an entity. steady adjusts its spread afterwards.
func (x *sample) baseline(in *Input, q *quantity, s splitSeries) baseline {
	u := baseline{value: q.of(s.today), blind: q.blind(s.today)}
	if u.blind {
		return u
	}
	x.unlike, x.like = x.unlike[:0], x.like[:0]
	in.daysOf(q, s, func(d Day, value int64, trained bool) {
		switch {
		case !trained:
		case d.weekend() == in.Day.weekend():
			x.like = append(x.like, q.log(float64(value)))
		default:
			x.unlike = append(x.unlike, q.log(float64(value)))
		}
	})
	slices.Sort(x.unlike)
	slices.Sort(x.like)
	x.all = stats.AppendMerged(x.all[:0], x.unlike, x.like) // medians and spreads of sorted values take half the time
	unlike, like, all := len(x.unlike), len(x.like), x.all
	u.days, u.like = int32(len(all)), int32(len(all))
	u.centre = stats.Median(all)
	u.other = u.centre
	u.spread = spreadAround(u.centre, all, u.centre, nil)
	if unlike < minStratum || like < minStratum {
		return u
	}
	// Two medians of the same days differ by chance. Splitting anyway would leave
	// weekends with eight days of history, so they must differ by more than three
	// standard errors. The standard error of a median is 1.25·σ/√n.
	other, centre := stats.Median(x.unlike), stats.Median(x.like)
	spread := spreadAround(centre, x.like, other, x.unlike)
	chance := math.Sqrt(math.Pi/2) * max(spread, stats.ScaleFloor) * math.Sqrt(1/float64(unlike)+1/float64(like))
	if math.Abs(centre-other) > 3*chance {
		u.like, u.centre, u.other, u.split, u.spread = int32(like), centre, other, true, spread
	}
	return u
}

func spreadAround(a float64, x []float64, b float64, y []float64) float64 {
	var room [2 * baselineDays]float64
	residuals := room[:0]
	for _, v := range x {
		residuals = append(residuals, v-a)
	}
	for _, v := range y {
		residuals = append(residuals, v-b)
	}
	centres := 1
	if len(y) > 0 {
		centres = 2
	}
	return stats.Spread(residuals, centres)
}

const (
	// minPeers is how many entities make an organisation: with fewer, the spread is
	// theirs and not what is common.
	minPeers = 10
	// commonSpread stands for the spread of each entity that an organisation lacks, in
	// natural-log units: the daily uploads of people whose work is not uploading vary
	// by a factor of e.
	commonSpread = 1.0
	// guessDays is the most weight, in days, of a spread that is partly a guess. With 25, an account alone in
	// its feed would have to send 26 times what it sent on each of nine days.
	guessDays = 10
)

// peersOf returns the values of an entity's peers: its group if that has at least least
// members, else all people. A service account is compared with its group only. ok is false
// if there are fewer than least.
func peersOf(of map[string][]float64, group string, least int) (peers []float64, named, ok bool) {
	own := of[group]
	if group != "" && len(own) >= least {
		return own, true, true
	}
	if group == ServiceGroup {
		return own, false, false
	}
	for name, own := range of {
		if name != ServiceGroup {
			peers = append(peers, own...)
		}
	}
	slices.Sort(peers) // the order of a map is not one
	return peers, false, len(peers) >= least
}

// steady pools the spread of each baseline of a feed with what is common among its
// peers, and adds the uncertainty of the centre itself: the variance of the median of n
// days is π/2n of their variance. minDays and peerDays are as in uploadZScoreOptions.
func steady(feed []baseline, minDays, peerDays int) {
	spreads, trained := map[string][]float64{}, 0
	for i := range feed {
		if u := &feed[i]; u.trained(minDays) {
			spreads[u.group] = append(spreads[u.group], u.spread)
			trained++
		}
	}
	commons := map[string]common{}
	for i := range feed {
		u := &feed[i]
		c, known := commons[u.group]
		if !known {
			c = commonOf(spreads, u.group, peerDays)
			commons[u.group] = c
		}
		s := max(stats.Pool(u.spread, int(u.days), c.spread, c.days), stats.ScaleFloor)
		u.spread = s * math.Sqrt(1+math.Pi/2/float64(u.like))
		u.small = smallDayOf(trained)
	}
}

// A common is a spread that is usual among peers, and its weight in days.
type common struct {
	spread float64
	days   int
}

// commonOf returns what is common among the peers of a group.
//
// Note: with commonSpread alone at the full weight, and all of smallDay, 1 of 100 days is found on
// which one of five service accounts sends 26 times the usual, after nine days; with this and
// smallDayOf, 92. See TestSimulation.
func commonOf(spreads map[string][]float64, group string, peerDays int) common {
	peers, _, ok := peersOf(spreads, group, minPeers)
	switch {
	case ok:
		return common{cmp.Or(stats.Median(peers), commonSpread), peerDays}
	case len(peers) == 0:
		return common{commonSpread, min(peerDays, guessDays)}
	}
	return common{stats.Pool(stats.Median(peers), len(peers), commonSpread, minPeers-len(peers)), min(peerDays, guessDays)}
}

// trained reports whether the baseline says what is usual.
func (u *baseline) trained(minDays int) bool {
	return !u.blind && int(u.days) >= minDays && u.centre > 0
}

// unlike is how many spreads under the usual level of the other days a day may lie and still be
// compared with it. People who work on a Saturday for once work as on a weekday.
const unlike = 1.5

// level returns what a day is compared with: the centre of its kind of days, if like, or of
// the other kind; but at least as much as unlike says.
func (u *baseline) level(like bool) float64 {
	own, other := u.centre, u.other
	if !like {
		own, other = other, own
	}
	if !u.split {
		return own
	}
	return max(own, other-unlike*u.spread)
}

// likeDay returns a function that reports whether a day has the judged day's kind.
// If weekdays and weekends do not differ, all days are.
func (u *baseline) likeDay(judged Day) func(d Day) bool {
	return func(d Day) bool { return !u.split || d.weekend() == judged.weekend() }
}

// median names the centre in a sentence.
func (u *baseline) median(judged Day) string {
	switch {
	case !u.split:
		return "median"
	case judged.weekend():
		return "weekend median"
	}
	return "weekday median"
}

// z returns how unusual the judged day is, by a quantity.
func (u *baseline) z(q *quantity) float64 {
	return (q.log(float64(u.value)) - u.level(true)) / u.spread
}
