package detect

import (
	"fmt"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
	"outflow/stats"
)

// Downloads of those who have too short a baseline, compared with the days of others.

// A takers is those with whose days the day of a newcomer to a service is compared: all, or
// all but jobs, among whose nightly gigabytes a thief would not be seen.
type takers struct {
	service string
	people  bool
}

// A bulkNewcomer is a finding of somebody with too short a baseline.
type bulkNewcomer struct {
	Finding
	own  [2][]float64 // its own days in bulkHalf.days, of each half
	day  [2]float64   // the judged one
	of   int          // index of the half
	also string       // the sentences that follow
}

// newcomer returns the finding of a day with too short a baseline, whose score says how
// many times the limit it is. Its risk is 0 if it does not matter. endFeed compares it
// with others.
func (b *bulkJudge) newcomer(half *bulkHalf, s *downloadService, series splitSeries, u *baseline) bulkNewcomer {
	f := b.finding(half, s, series)
	f.Score, f.Threshold = half.cold(series.today), 1
	f.Why = b.said(s, series) + " and " + shortHistory(int64(u.days))
	grade := 0
	switch {
	case f.Score >= coldHigh:
		grade = 2
	case f.Score >= coldMedium:
		grade = 1
	}
	// Who joins a company has nothing yet, and fetches it on the first days, but not four times what anyone took, nor twice
	// that if it is twice what is high. Guests are shown what they need.
	alone := b.outdoes(s, series.today)
	if alone >= farOutdoing {
		grade++
	}
	if b.in.precedent(&half.quantity, half.of(series.today), series.past) {
		grade--
	}
	if isClosed(s.key.Object) && objectWeight(s.key.Object) >= reportWeight {
		grade = max(grade, 1)
	}
	covered := len(b.in.baselineDays(s.key.Feed)) >= b.o.MinDays
	switch {
	case isGuest(s.key):
		grade++
	case !covered:
	case b.anonymous(s):
		// A place that no stranger read from has been opened, or somebody has its link.
		if grade > 0 && !scan.IsInternal([]byte(s.key.Entity)) {
			grade++
		}
	case s.since <= b.in.Day-Day(b.o.MinDays):
		f.Why += ", as it never used the service before " + s.rows[0].Day.String()
	default:
		if alone < farOutdoing && !isClosed(s.key.Object) && !(alone >= outdoing && f.Score >= 2*coldHigh) {
			grade--
		}
		f.Why += ", as it is new in this log"
	}
	c := bulkNewcomer{Finding: f}
	// The past of others is half as strong as evidence, but a large amount is an amount.
	if c.RiskScore = [...]int{0, b.risk / 2, b.risk, (b.risk + 100) / 2}[min(grade, 2)+1]; c.RiskScore > 0 {
		c.also, _ = b.raise(&c.Finding, s, series, false, alone)
	}
	return c
}

// outdone is how many times the largest day of all others a stranger must take from a web
// server for that to be more than a reader's, a search engine's included.
const outdone = 3

// isGuest reports whether a user is somebody from outside whom the company let in, as
// Microsoft 365 names them: ann_mail.example#ext#@corp.example, or by the link they came with.
func isGuest(k Key) bool {
	return k.EntityType == columnar.User.String() && (strings.Contains(k.Entity, "#ext#") || strings.HasPrefix(k.Entity, "urn:spo:"))
}

// most returns the largest of days, which are sorted, without an entity's own.
func most(days, own []float64) float64 {
	own = slices.Sorted(slices.Values(own))
	for i := len(days) - 1; i >= 0; i-- {
		n := len(own)
		if n == 0 || own[n-1] != days[i] {
			return days[i]
		}
		own = own[:n-1]
	}
	return 0
}

// emptied is how many times the largest day of all others a stranger must take from a web server for that
// to be of high severity, if it is as much as coldHigh says.
const emptied = 10

// above returns the share of the days of others that are below the newcomer's, in percent, and
// how many others' days there are. days are sorted, and have its own among them.
func (c *bulkNewcomer) above(days []float64) (share float64, others int) {
	below, _ := slices.BinarySearch(days, c.Observed)
	for _, own := range c.own[c.of] {
		if own < c.Observed {
			below--
		}
	}
	others = len(days) - len(c.own[c.of])
	return 100 * float64(below) / float64(others), others
}

// outdoesJobs reports whether a newcomer took more than outdone times what anyone, jobs included, took
// from the service on any day, in bytes or in objects.
func (b *bulkJudge) outdoesJobs(c *bulkNewcomer, service string) bool {
	for h := range b.halves {
		if days := b.halves[h].days[takers{service: service}]; len(days) > 0 && c.day[h] > outdone*most(days, c.own[h]) {
			return true
		}
	}
	return false
}

// endFeed compares the newcomers of a feed with the days of the feed.
func (b *bulkJudge) endFeed() {
	for h := range b.halves {
		for _, days := range b.halves[h].days {
			slices.Sort(days)
		}
	}
	for i := range b.cold {
		c := &b.cold[i]
		half := &b.halves[c.of]
		f := c.Finding
		service, _, _ := strings.Cut(f.Object, "/")
		days := half.days[takers{service: service}]
		if f.Label != "" && service == webService && f.Score >= coldMedium && f.Observed > outdone*most(days, c.own[c.of]) {
			times := outdone
			f.Label, f.RiskScore = "", b.risk
			if others := len(days) - len(c.own[c.of]); others >= minPeerDays && f.Score >= coldHigh && f.Observed > emptied*most(days, c.own[c.of]) {
				times, f.Severity = emptied, High
			}
			c.also += fmt.Sprintf(" It took more than %d times what any other reader took on any day.", times)
		}
		of := "others"
		share, others := c.above(days)
		if others >= minPeerDays && share < b.o.ColdPercent {
			if days = half.days[takers{service, true}]; len(days)-len(c.own[c.of]) >= minPeerDays {
				of = "others that are no jobs"
				share, others = c.above(days)
				if !b.outdoesJobs(c, service) { // it may be one more of them
					f.RiskScore = min(f.RiskScore, leastRisk[High]-1)
				}
			}
		}
		switch {
		case others >= minPeerDays && share < b.o.ColdPercent:
			continue
		case others < minPeerDays:
			f.Why += "; " + fewPeers(others) + ", so fixed limits apply."
		default:
			f.Baseline = stats.Quantile(days, 0.5)
			f.Why += fmt.Sprintf("; in this feed, %s of the %s of %s are below that, and their median is %s.",
				shareOf(share), count(int64(others), "day"), of, half.show(f.Baseline))
		}
		f.Why += c.also
		b.found = append(b.found, f)
	}
	b.cold = b.cold[:0]
	for h := range b.halves {
		clear(b.halves[h].days)
	}
}
