package detect

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"outflow/columnar"
	"outflow/stats"
)

type uploadSlowOptions struct {
	Threshold float64 `yaml:"threshold" unit:"spreads" tune:"6 8 10 12" doc:"the sum of the days' excesses that is unusual; with less, ordinary people drift over it, with more, a drip is found later"`
	Slack     float64 `yaml:"slack" unit:"spreads" doc:"what each day may exceed its usual level by, and one and a half standard errors of that level more; half of the smallest lasting rise that is worth finding"`
	MinDays   int     `yaml:"min_days" unit:"days" doc:"days of baseline that are needed, of the 30 before the last 30; with 20 there are four times the false findings of 30"`
	Floor     Bytes   `yaml:"floor" unit:"B/30 days" tune:"200MB 500MB 1GB 2GB" doc:"what must have been sent beyond the usual in 30 days"`
	Rise      float64 `yaml:"rise" unit:"" doc:"how many times the usual 30 days it must be beyond them, if it is less than floor"`
	RiseFloor Bytes   `yaml:"rise_floor" unit:"B/30 days" doc:"less than this beyond the usual is never reported"`
}

const uploadSlowDoc = `Uploads that stay under the daily limit, for days or weeks.

What it sees: the sum, day after day, of how far an entity's uploads exceed their usual level (a CUSUM), against a baseline that
ends 30 days before, so that the drip does not become normal. It is reported once, on the day on which the sum becomes unusual
and the last 30 days have 1 GB more than usual, or 200 MB and ten times the usual. It names the destinations that grew.
Why that means exfiltration: somebody who knows that volume is watched takes data in portions.
Common false positives: a new task or project, a new sync client, a return from leave.
What it cannot see: rises under the entity's usual spread, drips that began more than 30 days ago, data in requests that do not
upload, and entities with fewer than 20 days of baseline.
How to investigate: when the destinations named began to grow, and what the entity does there.`

func uploadSlow() *Detection {
	o := &uploadSlowOptions{Threshold: 6.5, Slack: .75, MinDays: 20, Floor: 1e9, Rise: 10, RiseFloor: 200e6}
	d := &Detection{
		Name:       "upload_slow",
		Title:      "upload that grows slowly",
		Doc:        uploadSlowDoc,
		Technique:  "T1030",
		Impact:     70,
		Confidence: 60,
		Verdict:    uploadVerdict,
		Aggregate:  UserDestinationDay,
		Needs:      columnar.ColSet(columnar.URLHost, columnar.BytesOut),
		History:    seenDays,
		Options:    o,
		Fold:       listDestinations,
	}
	d.Short = func(covered []Day, day Day) string {
		in := &Input{Day: day - baselineDays, Covered: func(string) []Day { return covered }}
		if len(in.baselineDays("")) >= o.MinDays {
			return ""
		}
		return strconv.Itoa(o.MinDays) + " that are over 30 days old"
	}
	d.Score = o.score
	return d
}

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

func (o *uploadSlowOptions) score(in *Input) []Finding {
	frozen := *in // judges as if the last 30 days were not over
	frozen.Day -= baselineDays
	var all []baseline
	var x sample
	feed, first := "", 0
	for key, rows := range in.Series {
		past, today := in.before(rows)
		if key.Object != "" || today == nil {
			continue
		}
		if key.Feed != feed {
			steady(all[first:], o.MinDays, 0)
			feed, first = key.Feed, len(all)
		}
		old, _ := frozen.before(past)
		all = append(all, x.baseline(&frozen, &bytesOut, splitSeries{key, old, today}))
	}
	steady(all[first:], o.MinDays, 0)

	var findings []Finding
	var grown []growth   // of the destinations of the last finding
	var open *slowUpload // that finding, while its destinations come
	end := func() {
		if open != nil {
			findings = append(findings, o.finding(in, open, grown))
		}
		open, grown = nil, grown[:0]
	}
	for key, rows := range in.Series {
		if key.Object != "" {
			entity := key
			if entity.Object = ""; open != nil && open.key == entity {
				grown = append(grown, growthOf(in, rows))
			}
			continue
		}
		end()
		past, today := in.before(rows)
		if today == nil {
			continue
		}
		u := &all[0]
		all = all[1:]
		if int(u.days) < o.MinDays || u.blind {
			continue
		}
		s := o.slow(in, &frozen, splitSeries{key, past, today}, u)
		if o.crosses(in, s) {
			s.past, s.today = slices.Clone(past), *today
			open = s
		}
	}
	end()
	return findings
}

// A slowUpload is an entity's last days against its baseline.
type slowUpload struct {
	key   Key
	past  []Row
	today Row
	days  []slowDay // the 30 before the judged one as far as they are known, and that one
	usual float64   // bytes in a day of the baseline, on average
	count int       // days of the baseline
}

type slowDay struct {
	Point
	sum float64 // of the excesses, in spreads
}

// slow sums up the excesses of the last days over a baseline.
func (o *uploadSlowOptions) slow(in, frozen *Input, s splitSeries, u *baseline) *slowUpload {
	out := &slowUpload{key: s.key, count: int(u.days)}
	frozen.days(s, func(_ Day, bytes int64, trained bool) {
		if trained {
			out.usual += float64(bytes) / float64(u.days)
		}
	})
	slack := o.Slack + levelErrors*math.Sqrt(math.Pi/2/float64(u.like))
	sum := 0.0
	add := func(d Day, bytes int64, _ bool) {
		centre := u.centre
		if d.weekend() != frozen.Day.weekend() {
			centre = u.other
		}
		r := (stats.LogMB(float64(bytes)) - centre) / u.spread
		sum = max(0, sum+max(-maxDayExcess, min(r, maxDayExcess))-slack)
		out.days = append(out.days, slowDay{Point{Day: d, Value: float64(bytes), Mid: stats.Bytes(centre), Up: stats.Bytes(centre + slack*u.spread)}, sum})
	}
	in.days(s, add)
	add(in.Day, s.today.BytesOut, false)
	return out
}

// excess returns the bytes of the 30 days up to and including d, how many of them are
// usual, and the sum of the excesses on d, the last of them that is known.
func (s *slowUpload) excess(d Day) (bytes, usual, sum float64) {
	for i := range s.days {
		if p := &s.days[i]; p.Day > d-baselineDays && p.Day <= d {
			bytes, usual, sum = bytes+p.Value, usual+s.usual, p.sum
		}
	}
	return bytes, usual, sum
}

// unusual reports whether the days up to d are to be reported.
func (o *uploadSlowOptions) unusual(s *slowUpload, d Day) bool {
	bytes, usual, sum := s.excess(d)
	more := bytes - usual
	return sum > o.Threshold && (more >= float64(o.Floor) || more >= float64(o.RiseFloor) && more >= o.Rise*usual)
}

// crosses reports whether the judged day is the first that is to be reported. The
// baseline moves by a day each night, so the day before may have been reported although
// it is not unusual by the present one.
func (o *uploadSlowOptions) crosses(in *Input, s *slowUpload) bool {
	if !o.unusual(s, in.Day) || o.unusual(s, in.Day-1) {
		return false
	}
	return !slices.ContainsFunc(s.days, func(p slowDay) bool { return in.Flagged(s.key, p.Day) })
}

// A growth is what a destination got beyond what is usual for it.
type growth struct {
	name  string
	byDNS bool    // the name is by DNS, at least in part
	more  float64 // bytes in the last 30 days beyond those of the 30 days before
}

func growthOf(in *Input, rows []Row) growth {
	g := growth{name: rows[0].Object}
	for i := range rows {
		g.byDNS = g.byDNS || rows[i].AnswerTime != 0
		switch r := &rows[i]; {
		case r.Day > in.Day-baselineDays:
			g.more += float64(r.BytesOut)
		case r.Day > in.Day-2*baselineDays:
			g.more -= float64(r.BytesOut)
		}
	}
	return g
}

func (o *uploadSlowOptions) finding(in *Input, s *slowUpload, grown []growth) Finding {
	bytes, usual, excess := s.excess(in.Day)
	last := slices.DeleteFunc(append(s.past, s.today), func(r Row) bool { return r.Day <= in.Day-baselineDays })
	for i := range last {
		last[i].Destinations = nil
	}
	f := Finding{
		Key: s.key, Score: excess, Threshold: o.Threshold, Observed: bytes, Baseline: usual, Unit: "B/30 days",
		Window: [2]int64{(in.Day - baselineDays + 1).window()[0], in.Day.window()[1]}, Summary: sum(last),
	}
	slices.SortFunc(grown, func(a, b growth) int { return cmp.Or(cmp.Compare(b.more, a.more), strings.Compare(a.name, b.name)) })
	var where []string
	for _, g := range grown {
		if len(where) < 3 && g.more >= (bytes-usual)/10 {
			by := ""
			if g.byDNS {
				by = ", named by DNS"
			}
			where = append(where, fmt.Sprintf("%s (%s more%s)", printable(g.name), size(g.more), by))
		}
	}
	to := "no single destination got a tenth of that"
	if len(where) > 0 {
		to = "what grew is " + strings.Join(where, ", ")
	}
	f.Why = fmt.Sprintf("%s sent %s in the 30 days to %s, day by day more than usual; by %s from %s to %s, %s is usual, and the sum of the daily excesses has reached %.1f spreads (threshold %s); %s.",
		printable(f.Who()), size(bytes), in.Day, count(int64(s.count), "day"), in.Day-2*baselineDays, in.Day-baselineDays-1, size(usual), excess, num(o.Threshold), to)
	for _, d := range s.days {
		f.Timeline = append(f.Timeline, d.Point)
	}
	return f
}
