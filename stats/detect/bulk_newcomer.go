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

// A cohort is those with whose days the day of a newcomer to a service is compared: all, or
// all but jobs, among whose nightly gigabytes a thief would not be seen.
type cohort struct {
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
func (b *bulkJudge) newcomer(l *bulkLimits, s *downloadService, series splitSeries, u *baseline) bulkNewcomer {
	f := b.finding(l, s, series)
	f.Score, f.Threshold = l.cold(series.today), 1
	f.Why = b.said(s, series) + " and " + shortHistory(int64(u.days))
	grade := 0
	switch {
	case f.Score >= coldHigh:
		grade = 2
	case f.Score >= coldMedium:
		grade = 1
	}
	// People who join a company fetch a lot on their first days, but not four times what anyone took, nor twice that if
	// it is twice what is high. Guests are shown what they need.
	ratio := b.peerRatio(s, series.today)
	if ratio >= extremePeerRatio {
		grade++
	}
	if b.in.precedent(&l.quantity, l.of(series.today), series.past) {
		grade--
	}
	if isClosed(s.key.Object) && objectWeight(s.key.Object) >= reportWeight {
		grade = max(grade, 1)
	}
	covered := len(b.in.baselineDays(s.key.Feed)) >= b.o.MinDays
	if !covered && b.in.Group(s.key) == ServiceGroup { // as for uploads: a full backup, or its check, is large
		grade--
	}
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
		if ratio < extremePeerRatio && !isClosed(s.key.Object) && !(ratio >= highPeerRatio && f.Score >= 2*coldHigh) {
			grade--
		}
		f.Why += ", as it is new in this log"
	}
	c := bulkNewcomer{Finding: f}
	// The past of others is half as strong as evidence, but a large amount is an amount.
	if c.RiskScore = [...]int{0, b.risk / 2, b.risk, (b.risk + 100) / 2}[min(grade, 2)+1]; c.RiskScore > 0 {
		c.also, _ = b.raise(&c.Finding, s, series, false, ratio)
	}
	return c
}

// A newcomer must take newcomerRatio times the largest day of all others for that to be more than what a reader, a
// search engine included, takes from a web server. From newcomerHighRatio times on it is of high severity, if it is
// as much as coldHigh says.
const newcomerRatio, newcomerHighRatio = 3, 10

// isGuest reports whether a user is somebody from outside whom the company let in, as
// Microsoft 365 names them: ann_mail.example#ext#@corp.example, or by the link they came with.
func isGuest(k Key) bool {
	return k.EntityType == columnar.User.String() && (strings.Contains(k.Entity, "#ext#") || strings.HasPrefix(k.Entity, "urn:spo:"))
}

// maxOfOthers returns the largest of days, which are sorted, without an entity's own.
func maxOfOthers(days, own []float64) float64 {
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

// exceedsJobs reports whether a newcomer took more than newcomerRatio times what anyone, jobs included, took
// from the service on any day, in bytes or in objects.
func (b *bulkJudge) exceedsJobs(c *bulkNewcomer, service string) bool {
	for h := range b.halves {
		if days := b.halves[h].days[cohort{service: service}]; len(days) > 0 && c.day[h] > newcomerRatio*maxOfOthers(days, c.own[h]) {
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
		days := half.days[cohort{service: service}]
		if f.Label != "" && service == webService && f.Score >= coldMedium && f.Observed > newcomerRatio*maxOfOthers(days, c.own[c.of]) {
			times := newcomerRatio
			f.Label, f.RiskScore = "", b.risk
			if others := len(days) - len(c.own[c.of]); others >= minPeerDays && f.Score >= coldHigh && f.Observed > newcomerHighRatio*maxOfOthers(days, c.own[c.of]) {
				times, f.Severity = newcomerHighRatio, High
			}
			c.also += fmt.Sprintf(" It took more than %d times what any other reader took on any day.", times)
		}
		of := "others"
		share, others := c.above(days)
		if others >= minPeerDays && share < b.o.ColdPercent {
			if days = half.days[cohort{service, true}]; len(days)-len(c.own[c.of]) >= minPeerDays {
				of = "others that do not download daily"
				share, others = c.above(days)
				if !b.exceedsJobs(c, service) { // it may be one more of them
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
