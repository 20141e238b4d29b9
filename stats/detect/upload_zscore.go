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
		Aggregate:  UserDay,
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

// A usual is what is normal for an entity: what the first pass over the rows
// leaves of them.
type usual struct {
	out int64 // bytes of the judged day; unknown if it is blind
	// Trained days: all of them, and those like the judged one.
	days, like int32
	blind      bool
	split      bool // weekdays and weekends differ
	// centre is of days like the judged one, other of the rest; log(1 + MB).
	centre, other float64
	spread        float64 // of all trained days around their centre; after steady, what z divides by
}

// A series is an entity's rows, cut at the judged day.
type series struct {
	key   Key
	past  []Row
	today *Row
}

// days calls f for every day of the baseline: a covered day since the entity was
// first seen. trained is false for a flagged one.
func (in *Input) days(s series, f func(d Day, bytes int64, trained bool)) {
	next := 0
	for _, d := range in.baselineDays(s.key.Feed) {
		for next < len(s.past) && s.past[next].Day < d {
			next++
		}
		bytes := int64(0)
		switch {
		case len(s.past) == 0 || d < s.past[0].Day:
			continue // not seen yet
		case next < len(s.past) && s.past[next].Day == d:
			if blind(&s.past[next]) {
				continue
			}
			bytes = s.past[next].BytesOut
		}
		f(d, bytes, !in.Flagged(s.key, d))
	}
}

// blind reports whether the row's bytes are unknown, which is not zero.
func blind(r *Row) bool { return r.KnownOut == 0 && r.Events > 0 }

// minStratum is the fewest weekdays or weekend days that have a centre of their
// own: the median of less is hardly better than a guess.
const minStratum = 5

// A sample is room for the days of one entity after the other.
type sample struct{ unlike, like []float64 } // the judged day

// usual returns what is normal for an entity, but for what the others of its feed
// say of the spread.
func (x *sample) usual(in *Input, s series) usual {
	u := usual{out: s.today.BytesOut, blind: blind(s.today)}
	if u.blind {
		return u
	}
	x.unlike, x.like = x.unlike[:0], x.like[:0]
	in.days(s, func(d Day, bytes int64, trained bool) {
		switch {
		case !trained:
		case d.weekend() == in.Day.weekend():
			x.like = append(x.like, stats.LogMB(float64(bytes)))
		default:
			x.unlike = append(x.unlike, stats.LogMB(float64(bytes)))
		}
	})
	unlike, like := len(x.unlike), len(x.like)
	x.unlike = append(x.unlike, x.like...)
	all := x.unlike
	u.days, u.like = int32(len(all)), int32(len(all))
	u.centre = stats.Median(all)
	u.other = u.centre
	u.spread = spreadAround(u.centre, all, u.centre, nil)
	if unlike < minStratum || like < minStratum {
		return u
	}
	// Two medians of the same days differ by chance. Splitting nonetheless would
	// leave weekends with eight days of history, so they must differ by more
	// than three standard errors: 1.25·σ/√n is that of a median.
	other, centre := stats.Median(all[:unlike]), stats.Median(x.like)
	spread := spreadAround(centre, x.like, other, all[:unlike])
	chance := math.Sqrt(math.Pi/2) * max(spread, stats.ScaleFloor) * math.Sqrt(1/float64(unlike)+1/float64(like))
	if math.Abs(centre-other) > 3*chance {
		u.like, u.centre, u.other, u.split, u.spread = int32(like), centre, other, true, spread
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

// steady pools the spread of each of a feed with what is common there, and adds
// that the centre itself is uncertain: the median of n days varies by π/2n of
// their variance.
func (o *uploadZScoreOptions) steady(feed []usual) {
	var spreads []float64
	for i := range feed {
		if u := &feed[i]; !u.blind && int(u.days) >= o.MinDays && u.centre > 0 {
			spreads = append(spreads, u.spread)
		}
	}
	common := commonSpread
	if len(spreads) >= minPeers {
		common = cmp.Or(stats.Median(spreads), commonSpread)
	}
	for i := range feed {
		u := &feed[i]
		s := max(stats.Pool(u.spread, int(u.days), common, o.PeerDays), stats.ScaleFloor)
		u.spread = s * math.Sqrt(1+math.Pi/2/float64(u.like))
	}
}

// likeDay returns whether a day is of the judged one's kind, where weekdays and
// weekends differ.
func (u *usual) likeDay(judged Day) func(d Day) bool {
	return func(d Day) bool { return !u.split || d.weekend() == judged.weekend() }
}

func (u *usual) z() float64 { return (stats.LogMB(float64(u.out)) - u.centre) / u.spread }

// upper is what the threshold allows on a day with that centre, in bytes.
func (o *uploadZScoreOptions) upper(centre, spread float64) float64 {
	return max(stats.Bytes(centre+o.Threshold*spread), float64(o.Floor))
}

// usuals returns what is normal for each entity with a row of the judged day, in
// the order of their keys.
func (o *uploadZScoreOptions) usuals(in *Input) []usual {
	var all []usual
	var x sample
	feed, first := "", 0
	for key, rows := range in.Series {
		past, today := in.before(rows)
		if today == nil {
			continue
		}
		if key.Feed != feed {
			o.steady(all[first:])
			feed, first = key.Feed, len(all)
		}
		all = append(all, x.usual(in, series{key, past, today}))
	}
	o.steady(all[first:])
	return all
}

// cold reports whether the day is to be judged by those of others.
func (o *uploadZScoreOptions) cold(u *usual) bool {
	return !u.blind && int(u.days) < o.MinDays && u.out >= int64(o.ColdFloor)
}

// over reports whether the day is over the threshold of its own past.
func (o *uploadZScoreOptions) over(u *usual) bool {
	return !u.blind && int(u.days) >= o.MinDays && u.out >= int64(o.Floor) && u.z() > o.Threshold
}

// scoreRobust ranges over the rows once for what is normal and, if a day may be
// unusual, again for what the finding says of it.
func (o *uploadZScoreOptions) scoreRobust(in *Input, risk int) []Finding {
	all := o.usuals(in)
	o.tell(in, all)
	cold := slices.ContainsFunc(all, func(u usual) bool { return o.cold(&u) })
	if !cold && !slices.ContainsFunc(all, func(u usual) bool { return o.over(&u) }) {
		return nil
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
			feed.add(rows)
		}
		if today == nil {
			continue
		}
		s, u := series{key, past, today}, &all[0]
		all = all[1:]
		switch {
		case o.cold(u) && !habitual(u.out, past, anyDay):
			feed.cold = append(feed.cold, o.newcomer(in, s, u))
		case o.over(u) && !habitual(u.out, past, u.likeDay(in.Day)):
			findings = append(findings, o.unusual(in, s, u))
		}
	}
	return append(findings, o.judgeCold(&feed, risk)...)
}

// unusual is the finding of a day that is over the threshold.
func (o *uploadZScoreOptions) unusual(in *Input, s series, u *usual) Finding {
	kind := "day"
	if u.split {
		kind = "weekday"
		if in.Day.weekend() {
			kind = "weekend day"
		}
	}
	mid, z := stats.Bytes(u.centre), u.z()
	f := o.finding(in, s, z, mid)
	far := "so this is " + times(f.Observed/mid) + " the usual"
	if mid < 1e6 {
		far = "so any upload of that size is unusual"
	}
	f.Why = fmt.Sprintf("%s uploaded %s on %s; the usual %s of the %s before has %s and up to %s passes, %s (z %.2f, threshold %s).",
		name(f.Who()), size(f.Observed), in.Day, kind, count(int64(u.days), "day"), size(mid),
		size(o.upper(u.centre, u.spread)), far, z, num(o.Threshold)) + andBlocked(&f.Summary)
	f.Timeline = timeline(in, s, func(like bool) (low, mid, up float64) {
		c := u.centre
		if !like {
			c = u.other
		}
		return stats.Bytes(c - o.Threshold*u.spread), stats.Bytes(c), o.upper(c, u.spread)
	})
	return f
}

func (o *uploadZScoreOptions) finding(in *Input, s series, score, baseline float64) Finding {
	f := Finding{
		Key: s.key, Score: score, Threshold: o.Threshold, Observed: float64(s.today.BytesOut), Baseline: baseline,
		Unit: "B/day", Window: in.Day.window(), Summary: s.today.Summary,
	}
	// Twice the threshold and a gigabyte is past what erratic days explain.
	if score >= 2*o.Threshold && f.Observed >= 1e9 {
		f.Severity = High
	}
	return f
}

func timeline(in *Input, s series, band func(like bool) (low, mid, up float64)) []Point {
	var points []Point
	point := func(d Day, bytes int64, trained bool) {
		p := Point{Day: d, Value: float64(bytes), Trained: trained}
		p.Low, p.Mid, p.Up = band(d.weekend() == in.Day.weekend())
		points = append(points, p)
	}
	in.days(s, point)
	point(in.Day, s.today.BytesOut, false)
	return points
}

// minPeerDays is how many days of others a percentile of them needs.
const minPeerDays = 20

// peers are the days of one feed, and the entities to be judged by them.
type peers struct {
	name string
	days []float64 // bytes
	cold []newcomer
}

// A newcomer is an entity without a past to judge its day by.
type newcomer struct {
	Finding
	days, below int // of its own that others are not: all, and those below the judged one
	history     int // days of baseline
}

func (p *peers) add(rows []Row) {
	for i := range rows {
		if r := &rows[i]; !blind(r) {
			p.days = append(p.days, float64(r.BytesOut))
		}
	}
}

func (o *uploadZScoreOptions) newcomer(in *Input, s series, u *usual) newcomer {
	n := newcomer{Finding: o.finding(in, s, float64(u.out)/float64(o.ColdFloor), math.NaN()), days: 1, history: int(u.days)}
	for i := range s.past {
		if r := &s.past[i]; !blind(r) {
			n.days++
			if r.BytesOut < u.out {
				n.below++
			}
		}
	}
	return n
}

// judgeCold judges the newcomers of a feed by its days.
func (o *uploadZScoreOptions) judgeCold(p *peers, risk int) []Finding {
	if len(p.cold) == 0 {
		return nil
	}
	slices.Sort(p.days)
	var findings []Finding
	for _, n := range p.cold {
		f := n.Finding
		f.Threshold, f.Severity = 1, Low
		f.RiskScore = risk / 2 // the past of others says half as much as one's own
		history := "has no history"
		if n.history > 0 {
			history = "has only " + count(int64(n.history), "day") + " of history"
		}
		below, _ := slices.BinarySearch(p.days, f.Observed)
		below, others := below-n.below, len(p.days)-n.days
		said := fmt.Sprintf("%s uploaded %s on %s and %s, too little for a baseline", name(f.Who()), size(f.Observed), DayOf(f.Window[0]), history)
		share := 100 * float64(below) / float64(others)
		switch {
		case others < minPeerDays:
			f.Why = fmt.Sprintf("%s; with %s of others to compare with, only the floor of %s says that this is much.",
				said, count(int64(others), "day"), size(float64(o.ColdFloor)))
		case share < o.ColdPercent:
			continue
		default:
			f.Baseline = stats.Quantile(p.days, 0.5)
			f.Why = fmt.Sprintf("%s; of the %s of others in this feed %.1f %% stay below that, half of them below %s.",
				said, count(int64(others), "day"), share, size(f.Baseline))
		}
		f.Why += andBlocked(&f.Summary)
		findings = append(findings, f)
	}
	return findings
}

func (o *uploadZScoreOptions) scoreClassic(in *Input) []Finding {
	if in.Baseline != nil {
		o.tell(in, o.usuals(in))
	}
	var findings []Finding
	for key, rows := range in.Series {
		past, today := in.before(rows)
		if today == nil || blind(today) || today.BytesOut < int64(o.Floor) {
			continue
		}
		s := series{key, past, today}
		var bytes []float64
		in.days(s, func(_ Day, b int64, _ bool) { bytes = append(bytes, float64(b)) })
		z := stats.Z(float64(today.BytesOut), bytes)
		if len(bytes) < o.MinDays || !(z > o.Threshold) {
			continue
		}
		mean, sd := stats.MeanSD(bytes)
		f := o.finding(in, s, z, mean)
		f.Why = fmt.Sprintf("%s uploaded %s on %s; the mean of the %s before is %s with a standard deviation of %s, so this is %.1f deviations above it (threshold %s).",
			name(f.Who()), size(f.Observed), in.Day, count(int64(len(bytes)), "day"), size(mean), size(sd), z, num(o.Threshold))
		f.Timeline = timeline(in, s, func(bool) (low, mid, up float64) {
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
			Why: fmt.Sprintf("%s uploaded %s on %s; the mean of its %s, that one included, is %s with a standard deviation of %s, so this is %.1f deviations above it (threshold %s).",
				name(today.Who()), size(float64(today.BytesOut)), today.Day, count(int64(len(rows)), "day"), size(mean), size(sd), z, num(o.Threshold)),
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
// judged day, whether or not it found anything. Of a day without byte counts
// nothing is.
type UploadBaseline struct {
	Days   int     // of baseline
	Median float64 // bytes; NaN without days
	Upper  float64 // bytes: what the threshold allows; NaN with too few days
	Z      float64 // NaN with too few days
}

// tell calls in.Baseline, if there is one, for each row of the judged day.
func (o *uploadZScoreOptions) tell(in *Input, all []usual) {
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
			b.Upper, b.Z = o.upper(u.centre, u.spread), u.z()
		}
		in.Baseline(b)
	}
}

// UploadBaselines calls in.Baseline as Score does, by the robust method whatever
// the detection's. It is for profile seed, which judges the log as a whole and so
// has no baseline of a day. d is an upload_zscore; of any other there are none.
func UploadBaselines(d *Detection, in *Input) {
	if o, ok := d.Options.(*uploadZScoreOptions); ok {
		full := in.whole()
		o.tell(full, o.usuals(full))
	}
}
