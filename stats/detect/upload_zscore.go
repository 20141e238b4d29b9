package detect

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"outflow/columnar"
	"outflow/stats"
)

type uploadZScoreOptions struct {
	Method      string  `yaml:"method" unit:"" enum:"robust classic seed" doc:"robust: factors over the median of past days; classic: standard deviations over the mean of all of them; seed: the same with the judged day in its own sample"`
	Threshold   float64 `yaml:"threshold" unit:"z" doc:"a day is unusual above this; at 3.5 under 2 of 1,000 ordinary days are found, and more than half of the days with a gigabyte even of erratic users; less finds more of both"`
	Floor       Bytes   `yaml:"floor" unit:"B/day" doc:"days below are never reported; a quiet user's 100 MB are a phone's pictures, and a new destination is cloud_upload's from 20 MB on"`
	MinDays     int     `yaml:"min_days" unit:"days" doc:"with fewer days of baseline the cold start rule judges"`
	PeerDays    int     `yaml:"peer_days" unit:"days" doc:"days of the organisation's usual spread that are added to the entity's own; more steadies short histories, less trusts them"`
	ColdFloor   Bytes   `yaml:"cold_floor" unit:"B/day" doc:"cold start: days below are not reported"`
	ColdPercent float64 `yaml:"cold_percent" unit:"%" doc:"cold start: the share of all entities' days that the day must exceed"`
}

const uploadZScoreDoc = `Bytes that an entity uploaded in a day, against the 30 days before.

What it sees: a day on which a user (or address, or host) sent several times more than on the days before it, over the
tables of one feed. Days of uploads vary by factors, so they are compared on log(1 + MB). The usual is the median of the
days since the entity was first seen; a day without uploads counts as zero, a day that was not read or has no byte counts
does not count. Weekends are judged by weekends where they differ. The spread is that of all days, outliers pulled in,
steadied by what is common in the organisation; days that were found unusual before do not train it.
Why that means exfiltration: who takes data out in one go cannot do it without sending it.
Who does it innocently: a first backup, a new laptop's sync, a video delivered, a migration. After the same level on
four days it is a habit and no longer reported. With under 7 days of history the day is measured by the organisation
instead, and the finding says so.
What it cannot see: what leaves in small parts, what leaves past the feed, and all of it where the log has no byte counts.
How to investigate: where the bytes went (cloud_upload, the peak's evidence), from which machine, and what was collected
the days before.`

func uploadZScore() *Detection {
	o := &uploadZScoreOptions{
		Method: "robust", Threshold: 3.5, Floor: 200e6, MinDays: 7, PeerDays: 25,
		ColdFloor: 500e6, ColdPercent: 99.5,
	}
	d := &Detection{
		Name:       "upload_zscore",
		Title:      "upload volume far over the own past",
		Doc:        uploadZScoreDoc,
		Technique:  "T1567.002",
		Impact:     70,
		Confidence: 70,
		Reads:      "user_day",
		Needs:      columnar.ColSet(columnar.BytesOut),
		History:    baselineDays,
		Options:    o,
	}
	d.Seed = func() {
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

// baselineDays is the length of a baseline, days before the judged one. Fewer
// leave the spread to chance; more keep what the job no longer is.
const baselineDays = 30

// allHistory is every day there is, for the profile that sums over the whole log.
const allHistory = 1 << 20

// A usual is what is normal for an entity.
type usual struct {
	key   Key
	past  []Row
	today *Row
	// Trained days: all of them, and those like the judged one.
	days, like int
	// centre is of days like the judged one, other of the rest; log(1 + MB).
	centre, other float64
	split         bool    // weekdays and weekends differ
	spread        float64 // of all trained days around their centre; after steady, what z divides by
}

// days calls f for every day of the baseline: a covered day since the entity was
// first seen. trained is false for a flagged one.
func (o *uploadZScoreOptions) days(in *Input, u *usual, f func(d Day, bytes int64, trained bool)) {
	if len(u.past) == 0 {
		return
	}
	from := max(u.past[0].Day, in.Day-baselineDays)
	first, _ := slices.BinarySearch(in.Covered, from)
	next := 0
	for _, d := range in.Covered[first:] {
		if d >= in.Day {
			return
		}
		for next < len(u.past) && u.past[next].Day < d {
			next++
		}
		bytes := int64(0)
		if next < len(u.past) && u.past[next].Day == d {
			if blind(&u.past[next]) {
				continue
			}
			bytes = u.past[next].BytesOut
		}
		f(d, bytes, !in.Flagged(u.key, d))
	}
}

// blind reports whether the row's bytes are unknown, which is not zero.
func blind(r *Row) bool { return r.KnownOut == 0 && r.Events > 0 }

// minStratum is the fewest weekdays or weekend days that have a centre of their
// own: the median of less is hardly better than a guess.
const minStratum = 5

func (o *uploadZScoreOptions) usual(in *Input, key Key, past []Row, today *Row) usual {
	u := usual{key: key, past: past, today: today}
	var logs [2][]float64 // unlike and like the judged day
	o.days(in, &u, func(d Day, bytes int64, trained bool) {
		if trained {
			like := 0
			if d.weekend() == in.Day.weekend() {
				like = 1
			}
			logs[like] = append(logs[like], stats.LogMB(float64(bytes)))
		}
	})
	all := append(slices.Clone(logs[0]), logs[1]...)
	u.days, u.like = len(all), len(all)
	u.centre = stats.Median(all)
	u.other = u.centre
	u.spread = spreadAround(u.centre, all, u.centre, nil)
	if len(logs[0]) < minStratum || len(logs[1]) < minStratum {
		return u
	}
	// Two medians of the same days differ by chance. Splitting nonetheless would
	// leave weekends with eight days of history, so they must differ by more
	// than three standard errors: 1.25·σ/√n is that of a median.
	other, like := stats.Median(logs[0]), stats.Median(logs[1])
	spread := spreadAround(like, logs[1], other, logs[0])
	chance := math.Sqrt(math.Pi/2) * max(spread, stats.ScaleFloor) *
		math.Sqrt(1/float64(len(logs[0]))+1/float64(len(logs[1])))
	if math.Abs(like-other) > 3*chance {
		u.like, u.centre, u.other, u.split, u.spread = len(logs[1]), like, other, true, spread
	}
	return u
}

func spreadAround(a float64, x []float64, b float64, y []float64) float64 {
	residuals := make([]float64, 0, len(x)+len(y))
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
	// minPeers is how many entities make an organisation: with fewer its usual
	// spread is theirs, not what is common.
	minPeers = 10
	// commonSpread stands in for it, in natural-log units: days of uploads of
	// people whose work is not uploading vary by a factor of e.
	commonSpread = 1.0
)

// steady pools the spread of each with that of its feed, and adds that the
// centre itself is uncertain: the median of n days varies by π/2n of their
// variance.
func (o *uploadZScoreOptions) steady(all []usual) {
	byFeed := map[string][]float64{}
	for i := range all {
		if u := &all[i]; u.days >= o.MinDays && u.centre > 0 {
			byFeed[u.key.Feed] = append(byFeed[u.key.Feed], u.spread)
		}
	}
	common := map[string]float64{}
	for feed, spreads := range byFeed {
		common[feed] = commonSpread
		if len(spreads) >= minPeers {
			common[feed] = stats.Median(spreads)
		}
	}
	for i := range all {
		u := &all[i]
		prior := cmp.Or(common[u.key.Feed], commonSpread)
		s := max(stats.Pool(u.spread, u.days, prior, o.PeerDays), stats.ScaleFloor)
		u.spread = s * math.Sqrt(1+math.Pi/2/float64(u.like))
	}
}

// likeDay returns whether a day is of the judged one's kind, where weekdays and
// weekends differ.
func (u *usual) likeDay(judged Day) func(d Day) bool {
	return func(d Day) bool { return !u.split || d.weekend() == judged.weekend() }
}

func (o *uploadZScoreOptions) z(u *usual) float64 {
	return (stats.LogMB(float64(u.today.BytesOut)) - u.centre) / u.spread
}

// upper is what the threshold allows on a day with that centre, in bytes.
func (o *uploadZScoreOptions) upper(centre, spread float64) float64 {
	return max(stats.Bytes(centre+o.Threshold*spread), float64(o.Floor))
}

// usuals returns the entities that have bytes to judge, with what is normal for
// them: in the order of their keys.
func (o *uploadZScoreOptions) usuals(in *Input) []usual {
	var all []usual
	for key, rows := range in.Series() {
		if past, today := in.before(rows); today != nil && !blind(today) {
			all = append(all, o.usual(in, key, past, today))
		}
	}
	o.steady(all)
	return all
}

func (o *uploadZScoreOptions) scoreRobust(in *Input, risk int) []Finding {
	var findings []Finding
	var feeds map[string][]float64
	all := o.usuals(in)
	for i := range all {
		u := &all[i]
		out := u.today.BytesOut
		if u.days < o.MinDays {
			if feeds == nil {
				feeds = peers(in)
			}
			if f, ok := o.cold(in, u, feeds[u.key.Feed]); ok {
				f.RiskScore = risk / 2 // the past of others says half as much as one's own
				findings = append(findings, f)
			}
			continue
		}
		z := o.z(u)
		if out < int64(o.Floor) || !(z > o.Threshold) || habitual(out, u.past, u.likeDay(in.Day)) {
			continue
		}
		kind := "day"
		if u.split {
			kind = "weekday"
			if in.Day.weekend() {
				kind = "weekend day"
			}
		}
		mid := stats.Bytes(u.centre)
		f := o.finding(in, u, z, mid)
		far := "so this is " + times(f.Observed/mid) + " the usual"
		if mid < 1e6 {
			far = "so any upload of that size is unusual"
		}
		f.Why = fmt.Sprintf("%s uploaded %s on %s; the usual %s of the %s before has %s and up to %s passes, %s (z %.2f, threshold %s).",
			name(u.key.Entity), size(f.Observed), in.Day, kind, count(int64(u.days), "day"), size(mid),
			size(o.upper(u.centre, u.spread)), far, z, num(o.Threshold))
		f.Timeline = o.timeline(in, u, func(like bool) (low, mid, up float64) {
			c := u.centre
			if !like {
				c = u.other
			}
			return stats.Bytes(c - o.Threshold*u.spread), stats.Bytes(c), o.upper(c, u.spread)
		})
		findings = append(findings, f)
	}
	return findings
}

func (o *uploadZScoreOptions) finding(in *Input, u *usual, score, baseline float64) Finding {
	f := Finding{
		Key: u.key, Score: score, Threshold: o.Threshold, Observed: float64(u.today.BytesOut), Baseline: baseline,
		Unit: "B/day", Window: in.Day.window(), Summary: u.today.Summary,
	}
	// Twice the threshold and a gigabyte is past what erratic days explain.
	if score >= 2*o.Threshold && f.Observed >= 1e9 {
		f.Severity = High
	}
	return f
}

func (o *uploadZScoreOptions) timeline(in *Input, u *usual, band func(like bool) (low, mid, up float64)) []Point {
	var points []Point
	point := func(d Day, bytes int64, trained bool) {
		p := Point{Day: d, Value: float64(bytes), Trained: trained}
		p.Low, p.Mid, p.Up = band(d.weekend() == in.Day.weekend())
		points = append(points, p)
	}
	o.days(in, u, point)
	point(in.Day, u.today.BytesOut, false)
	return points
}

// minPeerDays is how many days of others a percentile of them needs.
const minPeerDays = 20

// peers holds the bytes of all days of all entities of each feed, ascending.
func peers(in *Input) map[string][]float64 {
	byFeed := map[string][]float64{}
	for i := range in.Rows {
		if r := &in.Rows[i]; r.Day <= in.Day && !blind(r) {
			byFeed[r.Feed] = append(byFeed[r.Feed], float64(r.BytesOut))
		}
	}
	for _, days := range byFeed {
		slices.Sort(days)
	}
	return byFeed
}

// cold judges an entity without a past by the days of its feed.
func (o *uploadZScoreOptions) cold(in *Input, u *usual, feed []float64) (Finding, bool) {
	out := u.today.BytesOut
	if out < int64(o.ColdFloor) || habitual(out, u.past, anyDay) {
		return Finding{}, false
	}
	own, ownBelow := 1, 0
	for i := range u.past {
		if r := &u.past[i]; !blind(r) {
			own++
			if r.BytesOut < out {
				ownBelow++
			}
		}
	}
	below, _ := slices.BinarySearch(feed, float64(out))
	below, others := below-ownBelow, len(feed)-own

	f := o.finding(in, u, float64(out)/float64(o.ColdFloor), math.NaN())
	f.Threshold, f.Severity = 1, Low
	history := "has no history"
	if u.days > 0 {
		history = "has only " + count(int64(u.days), "day") + " of history"
	}
	if others < minPeerDays {
		f.Why = fmt.Sprintf("%s uploaded %s on %s and %s, too little for a baseline; with %s of others to compare with, only the floor of %s says that this is much.",
			name(u.key.Entity), size(f.Observed), in.Day, history, count(int64(others), "day"), size(float64(o.ColdFloor)))
		return f, true
	}
	share := 100 * float64(below) / float64(others)
	if share < o.ColdPercent {
		return Finding{}, false
	}
	f.Baseline = stats.Quantile(feed, 0.5)
	f.Why = fmt.Sprintf("%s uploaded %s on %s and %s, too little for a baseline; of the %s of others in this feed %.1f %% stay below that, half of them below %s.",
		name(u.key.Entity), size(f.Observed), in.Day, history, count(int64(others), "day"), share, size(f.Baseline))
	return f, true
}

func (o *uploadZScoreOptions) scoreClassic(in *Input) []Finding {
	var findings []Finding
	for key, rows := range in.Series() {
		past, today := in.before(rows)
		if today == nil || blind(today) || today.BytesOut < int64(o.Floor) {
			continue
		}
		u := usual{key: key, past: past, today: today}
		var bytes []float64
		o.days(in, &u, func(_ Day, b int64, _ bool) { bytes = append(bytes, float64(b)) })
		z := stats.Z(float64(today.BytesOut), bytes)
		if len(bytes) < o.MinDays || !(z > o.Threshold) {
			continue
		}
		mean, sd := stats.MeanSD(bytes)
		f := o.finding(in, &u, z, mean)
		f.Why = fmt.Sprintf("%s uploaded %s on %s; the mean of the %s before is %s with a standard deviation of %s, so this is %.1f deviations above it (threshold %s).",
			name(key.Entity), size(f.Observed), in.Day, count(int64(len(bytes)), "day"), size(mean), size(sd), z, num(o.Threshold))
		f.Timeline = o.timeline(in, &u, func(bool) (low, mid, up float64) {
			return max(0, mean-o.Threshold*sd), mean, mean + o.Threshold*sd
		})
		findings = append(findings, f)
	}
	return findings
}

// scoreSeed judges each entity's own last day among all its days with rows,
// itself included, whatever day that is.
func (o *uploadZScoreOptions) scoreSeed(in *Input) []Finding {
	var findings []Finding
	for key, rows := range in.Series() {
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
			Why: fmt.Sprintf("%s uploaded %s on %s; the mean of its %s, that one included, is %s with a standard deviation of %s, so this is %.1f deviations above it (threshold %s).",
				name(key.Entity), size(float64(today.BytesOut)), today.Day, count(int64(len(rows)), "day"), size(mean), size(sd), z, num(o.Threshold)),
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

// An UploadBaseline is what upload_zscore holds for normal of an entity on the
// judged day, whether or not it found anything.
type UploadBaseline struct {
	Key
	Days   int     // of baseline
	Median float64 // bytes; NaN without days
	Upper  float64 // bytes: what the threshold allows; NaN with too few days
	Z      float64 // NaN with too few days
}

// UploadBaselines returns the baselines by which the robust method judges the
// rows of the day, in the order of their keys. Rows without byte counts have
// none. d is an upload_zscore; of any other detection there are none.
func UploadBaselines(d *Detection, in *Input) []UploadBaseline {
	o, ok := d.Options.(*uploadZScoreOptions)
	if !ok {
		return nil
	}
	full := *in
	if full.Flagged == nil {
		full.Flagged = func(Key, Day) bool { return false }
	}
	all := o.usuals(&full)
	out := make([]UploadBaseline, len(all))
	for i := range all {
		u := &all[i]
		b := UploadBaseline{Key: u.key, Days: u.days, Median: math.NaN(), Upper: math.NaN(), Z: math.NaN()}
		if u.days > 0 {
			b.Median = stats.Bytes(u.centre)
		}
		if u.days >= o.MinDays {
			b.Upper, b.Z = o.upper(u.centre, u.spread), o.z(u)
		}
		out[i] = b
	}
	return out
}
