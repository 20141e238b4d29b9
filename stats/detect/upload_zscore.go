package detect

import (
	"fmt"
	"math"
	"slices"

	"outflow/columnar"
	"outflow/stats"
)

type uploadZScoreOptions struct {
	Method      string  `yaml:"method" unit:"" enum:"robust classic seed" doc:"robust: factors above the median of past days; classic: standard deviations above the mean of all past days; seed: as classic, with the judged day in its own sample"`
	Threshold   float64 `yaml:"threshold" unit:"z" tune:"2.5 3 3.5 4 5 6" doc:"a day above this is unusual; 3.5 reports about 1 of 1,000 ordinary days, and more than half of the days with a gigabyte even for erratic users; less reports more of both; days under a gigabyte need up to 1.5 more, the more the more entities the feed has"`
	Floor       Bytes   `yaml:"floor" unit:"B/day" tune:"50MB 100MB 200MB 500MB 1GB" doc:"days below this are never reported; 100 MB from a quiet user are a phone's pictures, and cloud_upload reports new destinations from 20 MB"`
	MinDays     int     `yaml:"min_days" unit:"days" doc:"with fewer days of baseline the cold start rule applies"`
	PeerDays    int     `yaml:"peer_days" unit:"days" doc:"weight, in days, of the organisation's usual spread beside the entity's own, at most 10 with under 10 entities; more steadies short histories, less trusts them"`
	ColdFloor   Bytes   `yaml:"cold_floor" unit:"B/day" doc:"cold start: days below this are not reported"`
	ColdPercent float64 `yaml:"cold_percent" unit:"%" doc:"cold start: the share of all entities' days that the day must exceed"`
	ColdHigh    Bytes   `yaml:"cold_high" unit:"B/day" doc:"cold start: from this volume, a day that exceeds those of others is of medium severity, below of low: a new laptop's first sync is seldom more"`
	GroupFloor  Bytes   `yaml:"group_floor" unit:"B/day" doc:"cold_floor for members of a group (groups), who are compared with their like"`
	GroupPart   float64 `yaml:"group_percent" unit:"%" doc:"cold_percent for members of a group, of the days of its other members"`
	CrowdRise   float64 `yaml:"crowd_rise" unit:"z" doc:"a day above this counts as a rise of a peer"`
	CrowdPart   float64 `yaml:"crowd_percent" unit:"%" doc:"if this share of the peers rose on the same day, the risk is halved: a quarter's end or an update explains it, but not four times what any of them sent"`
}

const uploadZScoreDoc = `Bytes that an entity uploaded in a day, against the 30 days before.

What it sees: a day on which a user (or address, or host) sent several times more than on the days before, in all
tables of one feed. What clients outside fetched from an internal address counts as sent by it.
Daily uploads vary by factors, so they are compared on log(1 + MB). The baseline is the median of the
days since the entity was first seen; a day without uploads counts as zero, a day that was not read or has no byte counts
does not count. Weekends are compared with weekends if they differ. The spread is that of all days, with outliers pulled in,
steadied by what is common in the organisation, less so if a feed has under ten entities; days that were reported before do not train it.
Why that means exfiltration: data that is taken out in one go raises the volume of that day.
Common false positives: a first backup, a new laptop's sync, a video delivery, a migration. After the same level on
four days, or on two for a machine or service account in a feed's first week, or under a gigabyte on one, it is a habit and no longer reported. With under 7 days of history the day is compared with those of the entity's
group (groups) or of all people instead, and the finding says so. Service accounts and backup machines are compared with one another.
A machine or job that sends every day, weekends too, is reported for ten times its highest day of two weeks or more, however erratic the others are, and is high from a gigabyte on.
A gigabyte or more that is twice what anyone else sent on any day, but for those who often send gigabytes, is reported from half the threshold on, and four times is high.
What it cannot see: data that leaves in small portions, data that bypasses the feed, and any data if the log has no byte counts;
what strangers fetch from a server that sends as much every day, or that the log knows by a public address alone.
How to investigate: where the bytes went (cloud_upload, the peak's evidence), from which machine, and what was collected
the days before. If the evidence has an internal server as the destination, which client fetched, and why its port is open.`

func uploadZScore() *Detection {
	o := &uploadZScoreOptions{
		Method: "robust", Threshold: 3.5, Floor: 200e6, MinDays: 7, PeerDays: 25,
		ColdFloor: 500e6, ColdPercent: 99.5, ColdHigh: 2e9, GroupFloor: 200e6, GroupPart: 99, CrowdRise: 1.5, CrowdPart: 30,
	}
	d := &Detection{
		Name:       "upload_zscore",
		Title:      "upload volume far above baseline",
		Doc:        uploadZScoreDoc,
		Technique:  "T1567.002",
		Impact:     70,
		Confidence: 70,
		Aggregate:  UserDay,
		Needs:      columnar.ColSet(columnar.BytesOut),
		History:    baselineDays,
		Options:    o,
		Verdict:    uploadVerdict,
	}
	d.Seed = func() {
		d.Verdict = ""
		o.Method, o.Threshold, o.MinDays, o.Floor = "seed", 3, 7, 0
		d.History = allHistory
	}
	d.Score = func(in *Input) []Finding {
		switch o.Method {
		case "seed":
			return o.scoreSeed(in)
		case "classic":
			return o.scoreClassic(in)
		}
		return o.scoreRobust(in, d.Risk())
	}
	return d
}

// baselineDays is the length of a baseline in days before the judged one. Fewer leave
// the spread to chance; more keep behaviour from a job that the user no longer does.
const baselineDays = 30

// allHistory is the History of profile seed, which sums over the whole log.
const allHistory = 1 << 20

// crowds marks the baselines of a feed whose peers rose in number on the judged day. What made them rise does not
// explain a day that is extremePeerRatio times that of any other that rose.
func (o *uploadZScoreOptions) crowds(feed []baseline) {
	rises := map[string][]float64{}
	var highest [2]topTwo[int] // of people, and of service accounts
	of := func(u *baseline) *topTwo[int] {
		if u.group == ServiceGroup {
			return &highest[1]
		}
		return &highest[0]
	}
	for i := range feed {
		u := &feed[i]
		if !u.trained(o.MinDays) {
			continue
		}
		z := u.z(&bytesOut)
		rises[u.group] = append(rises[u.group], z)
		if z > o.CrowdRise {
			of(u).add(i, u.value)
		}
	}
	crowds := map[string]bool{}
	for group := range rises {
		if peers, _, ok := peersOf(rises, group, minPeers); ok {
			slices.Sort(peers)
			below, _ := slices.BinarySearch(peers, o.CrowdRise)
			crowds[group] = 100*float64(len(peers)-below) >= o.CrowdPart*float64(len(peers))
		}
	}
	for i := range feed {
		u := &feed[i]
		u.crowd = crowds[u.group] && u.value/extremePeerRatio < of(u).without(i)
	}
}

// baselines returns the baseline of each entity with a row on the judged day, in the
// order of the keys.
func (o *uploadZScoreOptions) baselines(in *Input) []baseline {
	var all []baseline
	var x sample
	feed, first := "", 0
	end := func() {
		steady(all[first:], o.MinDays, o.PeerDays)
		o.crowds(all[first:])
		first = len(all)
	}
	for key, rows := range in.Series {
		past, today := in.before(rows)
		if today == nil {
			continue
		}
		if key.Feed != feed {
			end()
			feed = key.Feed
		}
		u := x.baseline(in, &bytesOut, splitSeries{key, past, today})
		u.group = in.Group(key)
		all = append(all, u)
	}
	end()
	return all
}

// cold reports whether the cold start rule applies, which compares the day with those
// of others.
func (o *uploadZScoreOptions) cold(u *baseline) bool {
	floor := o.ColdFloor
	if u.group != "" {
		floor = min(floor, o.GroupFloor)
	}
	return !u.blind && int(u.days) < o.MinDays && u.value >= int64(floor)
}

// over reports whether the day exceeds the threshold of its own baseline.
func (o *uploadZScoreOptions) over(u *baseline) bool {
	return !u.blind && int(u.days) >= o.MinDays && u.value >= int64(o.Floor) && u.z(&bytesOut) > u.least(&bytesOut, o.Threshold, u.value)
}

// large reports whether the day is a gigabyte or more, and at least half as unusual as the threshold says. If it is
// also more than anyone sent, that is as telling as the rest of the threshold: erratic people do not outdo a company.
func (o *uploadZScoreOptions) large(u *baseline) bool {
	return !u.blind && int(u.days) >= o.MinDays && u.value >= max(bytesOut.large, int64(o.Floor)) && 2*u.z(&bytesOut) > o.Threshold
}

// mayOutgrow reports whether the day may be one that outgrows says, from its baseline alone.
func (o *uploadZScoreOptions) mayOutgrow(u *baseline) bool {
	return !u.blind && int(u.days) >= 2*o.MinDays && u.value >= int64(o.Floor) && bytesOut.log(float64(u.value)/ownHighRatio) >= u.level(true)
}

// outgrows reports whether a job sent ownHighRatio times what it sent on any day before, of two weeks or more. Its days are
// alike, and what people of the same log send, who differ from day to day, says nothing of them.
func (o *uploadZScoreOptions) outgrows(in *Input, s splitSeries, u *baseline) bool {
	if !o.mayOutgrow(u) || in.person(s.key) || float64(len(s.past)) < always*float64(len(in.baselineDays(s.key.Feed))) {
		return false
	}
	most := int64(0)
	for i := range s.past {
		most = max(most, s.past[i].BytesOut)
	}
	return u.value/ownHighRatio >= max(most, 1)
}

// feedType is a kind of entities of a feed.
type feedType struct{ feed, entityType string }

// mostSent is the most that any of the entities sent that do not often send a gigabyte, on the judged day or before.
type mostSent struct {
	topTwo[Key]
	entities int // with days before
}

// mostSent returns it by feed and type. Service accounts are left out.
func (in *Input) mostSent() map[feedType]*mostSent {
	all := map[feedType]*mostSent{}
	for key, rows := range in.Series {
		past, today := in.before(rows)
		if in.Group(key) == ServiceGroup || oftenLarge(past) {
			continue
		}
		at := feedType{key.Feed, key.EntityType}
		m := all[at]
		if m == nil {
			m = &mostSent{}
			all[at] = m
		}
		if len(past) > 0 {
			m.entities++
		}
		if today != nil {
			m.add(key, today.BytesOut)
		}
		for i := range past {
			m.add(key, past[i].BytesOut)
		}
	}
	return all
}

// oftenLarge reports whether an entity sent a gigabyte on habitDays days.
func oftenLarge(past []Row) bool { return bytesOut.days(2*bytesOut.large, past, anyDay) >= habitDays }

// ratio returns how many times the most that any other sent a day is; 0 of those who often send as much, and with
// too few others to tell.
func (m *mostSent) ratio(s splitSeries) float64 {
	if m == nil || m.entities < minPeers || oftenLarge(s.past) {
		return 0
	}
	return float64(s.today.BytesOut) / float64(max(m.without(s.key), 1))
}

// scoreRobust ranges over the series once for the baselines and, if a day may be
// unusual, a second time for the findings.
func (o *uploadZScoreOptions) scoreRobust(in *Input, risk int) []Finding {
	all := o.baselines(in)
	o.tell(in, all)
	cold := slices.ContainsFunc(all, func(u baseline) bool { return o.cold(&u) })
	large := slices.ContainsFunc(all, func(u baseline) bool { return o.large(&u) })
	if !cold && !large && !slices.ContainsFunc(all, func(u baseline) bool { return o.over(&u) || o.mayOutgrow(&u) }) {
		return nil
	}
	var most map[feedType]*mostSent
	if large {
		most = in.mostSent()
	}
	named := map[string]bool{} // feeds that name users
	for key := range in.Series {
		if key.EntityType == columnar.User.String() {
			named[key.Feed] = true
		}
	}
	var findings []Finding
	var feed peers
	for key, rows := range in.Series {
		if key.Feed != feed.name {
			findings = append(findings, o.judgeCold(&feed, risk)...)
			feed = peers{name: key.Feed}
		}
		past, today := in.before(rows)
		if cold {
			feed.add(key.EntityType, in.Group(key), rows)
		}
		if today == nil {
			continue
		}
		s, u := splitSeries{key, past, today}, &all[0]
		all = all[1:]
		ratio := 0.0
		if o.large(u) {
			ratio = most[feedType{key.Feed, key.EntityType}].ratio(s)
		}
		outgrown := o.outgrows(in, s, u)
		switch {
		case o.cold(u) && !in.habitual(&bytesOut, key, u.value, past):
			feed.cold = append(feed.cold, o.newcomer(in, s, u))
		case (o.over(u) || outgrown || ratio >= highPeerRatio) && !in.known(&bytesOut, key, u.value, past, u.likeDay(in.Day)) && !in.weekly(&bytesOut, key, u.value, past):
			f := o.unusual(in, s, u)
			if ratio >= highPeerRatio {
				f.RiskScore = risk + (100-risk)/5
				f.Why += " That is at least " + count(int64(ratio), "time") + " what anyone else sent on any day, but for those who often send gigabytes."
				if ratio >= extremePeerRatio && !in.precedent(&bytesOut, u.value, past) {
					f.Severity = High
				}
			}
			nameless := named[key.Feed] && key.EntityType == columnar.SrcIP.String() && stats.Bytes(u.level(true)) < 1e6
			if nameless {
				f.RiskScore, f.Severity = risk/2, Low
				f.Why += " The log names the users of most addresses, so this one has few bytes of its own; see what its user sent."
			}
			switch {
			case outgrown && !nameless:
				if f.Observed >= float64(bytesOut.large) {
					f.Severity = High
				}
				f.Why += " It sends every day, also on weekends, and never sent a tenth of this."
			case u.crowd:
				f.RiskScore, f.Severity = risk/2, min(f.Severity, Medium)
				f.Why += " Many of its peers sent more than usual that day, too."
			}
			findings = append(findings, f)
		}
	}
	return append(findings, o.judgeCold(&feed, risk)...)
}

// unusual returns the finding of a day over the threshold.
func (o *uploadZScoreOptions) unusual(in *Input, s splitSeries, u *baseline) Finding {
	mid, z := stats.Bytes(u.centre), u.z(&bytesOut)
	f := o.finding(in, s, z, mid)
	f.Threshold = u.least(&bytesOut, o.Threshold, u.value)
	far := "so this is " + times(f.Observed/mid) + " the median"
	if mid < 1e6 {
		far = "so any upload of that size is unusual"
	}
	f.Why = fmt.Sprintf("%s uploaded %s on %s; the %s of the %s before is %s and the alert limit is %s, %s (z %.2f, threshold %s).",
		printable(f.Who()), size(f.Observed), in.Day, u.median(in.Day), count(int64(u.days), "day"), size(mid),
		size(u.limit(&bytesOut, o.Threshold, u.level(true), int64(o.Floor))), far, z, num(f.Threshold)) + andBlocked(&f.Summary)
	f.Timeline = timeline(in, &bytesOut, s, func(like bool) (low, mid, up float64) {
		c := u.level(like)
		return stats.Bytes(c - o.Threshold*u.spread), stats.Bytes(c), u.limit(&bytesOut, o.Threshold, c, int64(o.Floor))
	})
	return f
}

func (o *uploadZScoreOptions) finding(in *Input, s splitSeries, score, baseline float64) Finding {
	f := Finding{
		Key: s.key, Score: score, Threshold: o.Threshold, Observed: float64(s.today.BytesOut), Baseline: baseline,
		Unit: "B/day", Window: in.Day.window(), Summary: s.today.Summary,
	}
	// Erratic days do not explain twice the threshold and a gigabyte, but an earlier one does.
	if score >= 2*o.Threshold && f.Observed >= 1e9 && !in.precedent(&bytesOut, s.today.BytesOut, s.past) {
		f.Severity = High
	}
	return f
}

func timeline(in *Input, q *quantity, s splitSeries, band func(like bool) (low, mid, up float64)) []Point {
	var points []Point
	point := func(d Day, value int64, trained bool) {
		p := Point{Day: d, Value: float64(value), Trained: trained}
		p.Low, p.Mid, p.Up = band(d.weekend() == in.Day.weekend())
		points = append(points, p)
	}
	in.daysOf(q, s, point)
	point(in.Day, q.of(s.today), false)
	return points
}

// fewPeers says that a feed has fewer days of other entities than minPeerDays.
func fewPeers(days int) string {
	if days <= 0 {
		return "the feed has no other entities to compare with"
	}
	return "the feed has only " + count(int64(days), "day") + " of other entities to compare with"
}

// minPeerDays is how many days of other entities a percentile needs.
const minPeerDays = 20

// peers are the days of one feed, and the entities to compare with them.
type peers struct {
	name string
	days map[string]map[string][]float64 // bytes, by type of entity and by group
	cold []newcomer
}

// of returns the days that a newcomer's is compared with, ascending: users' with users', as a server that no log
// names a user of sends backups; if there are too few, all.
func (p *peers) of(entityType, group string) (c coldPeers) {
	alike := false
	if c.days, c.named, alike = peersOf(p.days[entityType], group, minPeerDays); alike || len(p.days) == 1 {
		return c
	}
	all := map[string][]float64{}
	for _, groups := range p.days {
		for group, days := range groups {
			all[group] = append(all[group], days...)
		}
	}
	c.days, c.named, _ = peersOf(all, group, minPeerDays)
	return c
}

// A newcomer is an entity with too short a baseline for its day.
type newcomer struct {
	Finding
	group       string
	days, below int  // its own days in peers.days: all, and those below the judged one
	history     int  // length of the baseline in days
	all         bool // the feed is in its first week, in which everybody is a newcomer
}

func (p *peers) add(entityType, group string, rows []Row) {
	if p.days == nil {
		p.days = map[string]map[string][]float64{}
	}
	groups := p.days[entityType]
	if groups == nil {
		groups = map[string][]float64{}
		p.days[entityType] = groups
	}
	for i := range rows {
		if r := &rows[i]; !blind(r) {
			groups[group] = append(groups[group], float64(r.BytesOut))
		}
	}
}

func (o *uploadZScoreOptions) newcomer(in *Input, s splitSeries, u *baseline) newcomer {
	n := newcomer{Finding: o.finding(in, s, 0, math.NaN()), group: u.group, days: 1, history: int(u.days), all: len(in.baselineDays(s.key.Feed)) < firstWeek}
	for i := range s.past {
		if r := &s.past[i]; !blind(r) {
			n.days++
			if r.BytesOut < u.value {
				n.below++
			}
		}
	}
	return n
}

// judgeCold compares the newcomers of a feed with the days of their peers. The past of
// others is half as strong as evidence as one's own, unless the volume leaves little to
// explain.
func (o *uploadZScoreOptions) judgeCold(p *peers, risk int) []Finding {
	var findings []Finding
	of := map[[2]string]coldPeers{}
	for _, n := range p.cold {
		kind := [2]string{n.EntityType, n.group}
		c, known := of[kind]
		if !known {
			c = p.of(n.EntityType, n.group)
			slices.Sort(c.days)
			of[kind] = c
		}
		floor, percent, whose := o.ColdFloor, o.ColdPercent, "in this feed"
		switch {
		case n.group == ServiceGroup && c.named:
			whose = "among service accounts and backup machines of this feed"
		case c.named:
			floor, percent, whose = o.GroupFloor, o.GroupPart, "in its group "+printable(n.group)
		}
		f := n.Finding
		if f.Observed < float64(floor) {
			continue
		}
		f.Score, f.Threshold = f.Observed/float64(floor), 1
		f.Severity, f.RiskScore = Low, risk/2
		below, _ := slices.BinarySearch(c.days, f.Observed)
		below, others := below-n.below, len(c.days)-n.days
		said := fmt.Sprintf("%s uploaded %s on %s and %s", printable(f.Who()), size(f.Observed), DayOf(f.Window[0]), shortHistory(int64(n.history)))
		share := 100 * float64(below) / float64(others)
		switch {
		case others < minPeerDays:
			f.Why = fmt.Sprintf("%s; %s, so the fixed limit of %s applies.", said, fewPeers(others), size(float64(floor)))
		case share < percent:
			continue
		default:
			if f.Observed >= float64(o.ColdHigh) && n.group != ServiceGroup { // a full backup is large
				f.Severity, f.RiskScore = Medium, risk
				if n.all {
					f.RiskScore = leastRisk[Medium]
				}
			}
			f.Baseline = stats.Quantile(c.days, 0.5)
			f.Why = fmt.Sprintf("%s; %s, %s of the %s of others are below that, and their median is %s.",
				said, whose, shareOf(share), count(int64(others), "day"), size(f.Baseline))
		}
		f.Why += andBlocked(&f.Summary)
		findings = append(findings, f)
	}
	return findings
}

// coldPeers are the days to compare a group's newcomers with, ascending.
type coldPeers struct {
	days  []float64
	named bool // they are those of its group
}

func (o *uploadZScoreOptions) scoreClassic(in *Input) []Finding {
	if in.Baseline != nil {
		o.tell(in, o.baselines(in))
	}
	var findings []Finding
	for key, rows := range in.Series {
		past, today := in.before(rows)
		if today == nil || blind(today) || today.BytesOut < int64(o.Floor) {
			continue
		}
		s := splitSeries{key, past, today}
		var bytes []float64
		in.days(s, func(_ Day, b int64, _ bool) { bytes = append(bytes, float64(b)) })
		z := stats.Z(float64(today.BytesOut), bytes)
		if len(bytes) < o.MinDays || !(z > o.Threshold) {
			continue
		}
		mean, sd := stats.MeanSD(bytes)
		f := o.finding(in, s, z, mean)
		f.Why = fmt.Sprintf("%s uploaded %s on %s; the mean of the %s before is %s with a standard deviation of %s, so this is %.1f deviations above it (threshold %s).",
			printable(f.Who()), size(f.Observed), in.Day, count(int64(len(bytes)), "day"), size(mean), size(sd), z, num(o.Threshold))
		f.Timeline = timeline(in, &bytesOut, s, func(bool) (low, mid, up float64) {
			return max(0, mean-o.Threshold*sd), mean, mean + o.Threshold*sd
		})
		findings = append(findings, f)
	}
	return findings
}

// scoreSeed judges the last day of each entity against all its days with rows,
// including that last day, whatever the date.
func (o *uploadZScoreOptions) scoreSeed(in *Input) []Finding {
	var findings []Finding
	for key, rows := range in.Series {
		bytes := make([]float64, len(rows))
		for i := range rows {
			bytes[i] = float64(rows[i].BytesOut)
		}
		z := stats.ZInSample(bytes)
		if len(rows) < o.MinDays || !(z > o.Threshold) {
			continue
		}
		today := &rows[len(rows)-1]
		mean, sd := stats.MeanSD(bytes)
		f := Finding{
			Day: today.Day, Key: key, Score: z, Threshold: o.Threshold, Observed: float64(today.BytesOut), Baseline: mean,
			Unit: "B/day", Window: today.Day.window(), Summary: today.Summary,
			Why: fmt.Sprintf("%s uploaded %s on %s; the mean of its %s, including that one, is %s with a standard deviation of %s, so this is %.1f deviations above it (threshold %s).",
				printable(today.Who()), size(float64(today.BytesOut)), today.Day, count(int64(len(rows)), "day"), size(mean), size(sd), z, num(o.Threshold)),
		}
		for i := range rows {
			f.Timeline = append(f.Timeline, Point{
				Day: rows[i].Day, Value: bytes[i], Trained: true,
				Low: max(0, mean-o.Threshold*sd), Mid: mean, Up: mean + o.Threshold*sd,
			})
		}
		findings = append(findings, f)
	}
	return findings
}

// An UploadBaseline is the baseline of an entity on the judged day according to
// upload_zscore, whether or not there is a finding. A day without byte counts has
// none.
type UploadBaseline struct {
	Days   int     // length of the baseline
	Median float64 // bytes; NaN without days
	Upper  float64 // bytes: what the threshold allows; NaN with too few days
	Z      float64 // NaN with too few days
}

// tell calls in.Baseline, if set, for each row of the judged day.
func (o *uploadZScoreOptions) tell(in *Input, all []baseline) {
	if in.Baseline == nil {
		return
	}
	for i := range all {
		u := &all[i]
		b := UploadBaseline{Median: math.NaN(), Upper: math.NaN(), Z: math.NaN()}
		if !u.blind && u.days > 0 {
			b.Days, b.Median = int(u.days), stats.Bytes(u.centre)
		}
		if !u.blind && int(u.days) >= o.MinDays {
			b.Upper, b.Z = u.limit(&bytesOut, o.Threshold, u.level(true), int64(o.Floor)), u.z(&bytesOut)
		}
		in.Baseline(b)
	}
}

// UploadBaselines calls in.Baseline as Score does, always by the robust method. It is
// for profile seed, which judges the log as a whole and has no daily baseline. d is an
// upload_zscore; for any other detection it does nothing.
func UploadBaselines(d *Detection, in *Input) {
	if o, ok := d.Options.(*uploadZScoreOptions); ok {
		full := in.whole()
		o.tell(full, o.baselines(full))
	}
}
