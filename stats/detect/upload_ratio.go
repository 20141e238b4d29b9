package detect

import (
	"fmt"
	"math"

	"outflow/columnar"
	"outflow/stats"
)

type uploadRatioOptions struct {
	Ratio     float64 `yaml:"ratio" unit:"" tune:"0.5 0.8 1.5 3 6" doc:"bytes out for each byte in; a day above this is unusual, since people who work with the web receive ten times what they send"`
	Floor     Bytes   `yaml:"floor" unit:"B/day" tune:"20MB 50MB 100MB 200MB 500MB" doc:"days with fewer bytes out are never reported: the ratio of small volumes is chance"`
	Rise      float64 `yaml:"rise" unit:"" tune:"1.5 2 3 5" doc:"a day must also exceed this many times the entity's own past ratio, so that people who send for a living are judged by their own past"`
	Spreads   float64 `yaml:"spreads" unit:"spreads" doc:"and it must lie so many spreads of the entity's past ratios above their median, on a logarithmic scale; some people's ratios vary tenfold from day to day"`
	ColdFloor Bytes   `yaml:"cold_floor" unit:"B/day" doc:"with fewer days than min_days, days with fewer bytes out are not reported: a newcomer's first syncs go out"`
	MinDays   int     `yaml:"min_days" unit:"days" doc:"a past ratio needs this many days with traffic; with fewer, only the ratio of the day counts"`
}

const uploadRatioDoc = `Bytes that an entity sent for each byte that it received.

What it sees: a day on which a user (or address, or host) sent more than 90 MB and more than 0.8 of what it received, at least
twice its own past ratio, and more than its ratios vary from day to day. The producer-consumer ratio, (out − in)/(out + in), says the same from −1 to 1.
Why that means exfiltration: people receive far more than they send; taking data out reverses that.
Common false positives: backups, sync clients, video calls with the camera on, developers who push images, servers from which
visitors fetch. Their past ratio excuses them once there are seven days of it; in a feed's first week, two days of the same do for machines and service accounts.
What it cannot see: uploads that hide among as many downloads, and feeds that count only one direction. A day is judged
only if four of five of its events count both directions.
How to investigate: the destinations of the day (cloud_upload), and whether the volume was high (upload_zscore).`

// bothKnown is the least share of a day's events that must have both counts: a ratio
// of counted to uncounted bytes means nothing.
const bothKnown = 0.8

func uploadRatio() *Detection {
	o := &uploadRatioOptions{Ratio: 0.8, Floor: 90e6, Rise: 2, Spreads: 4, ColdFloor: 500e6, MinDays: 7}
	d := &Detection{
		Name:       "upload_ratio",
		Title:      "more sent than received",
		Doc:        uploadRatioDoc,
		Technique:  "T1567",
		Impact:     50,
		Confidence: 50,
		Aggregate:  UserDay,
		Needs:      columnar.ColSet(columnar.BytesOut, columnar.BytesIn),
		History:    baselineDays,
		Options:    o,
		Verdict:    uploadVerdict,
	}
	d.Score = func(in *Input) []Finding { return o.score(in, d.Risk()) }
	d.Seed = func() {
		*o = uploadRatioOptions{Ratio: 0.8, Floor: 50e6}
		d.History, d.Score, d.Verdict = allHistory, o.scoreSeed, ""
	}
	return d
}

func (o *uploadRatioOptions) score(in *Input, risk int) []Finding {
	var findings []Finding
	for key, rows := range in.Series {
		past, today := in.before(rows)
		if today == nil || !directed(today) || today.BytesOut <= int64(o.Floor) {
			continue
		}
		ratio := stats.Ratio(today.BytesOut, today.BytesIn)
		if !(ratio > o.Ratio) {
			continue
		}
		var out, in2 int64
		var points []Point
		days := 0
		for i := range past {
			r := &past[i]
			if r.Day < in.Day-baselineDays || !directed(r) {
				continue
			}
			trained := !in.Flagged(key, r.Day)
			if trained {
				out, in2, days = out+r.BytesOut, in2+r.BytesIn, days+1
			}
			points = append(points, Point{Day: r.Day, Value: stats.Ratio(r.BytesOut, r.BytesIn), Trained: trained})
		}
		usual, limit := math.NaN(), o.Ratio
		if days >= o.MinDays {
			usual = stats.Ratio(out, in2)
			limit = max(limit, o.Rise*usual, o.varies(points))
		}
		if days < o.MinDays && today.BytesOut < int64(o.ColdFloor) {
			continue
		}
		if !(ratio > limit) || o.habit(points, ratio) >= in.habitDays(key) {
			continue
		}
		points = append(points, Point{Day: in.Day, Value: ratio})
		for i := range points {
			if days >= o.MinDays {
				points[i].Mid, points[i].Up = usual, limit
			}
		}
		f := Finding{
			Key: key, Score: ratio, Threshold: limit, Observed: ratio, Baseline: usual, Unit: "B out/B in",
			Window: in.Day.window(), Summary: today.Summary, Timeline: points,
		}
		if today.BytesIn == 0 {
			f.Why = fmt.Sprintf("%s sent %s on %s, and nothing came back", printable(today.Who()), size(float64(today.BytesOut)), in.Day)
		} else {
			f.Why = fmt.Sprintf("%s sent %s and received %s on %s, a ratio of %.2f (producer-consumer ratio %+.2f)",
				printable(today.Who()), size(float64(today.BytesOut)), size(float64(today.BytesIn)), in.Day, ratio,
				stats.ProducerConsumerRatio(today.BytesOut, today.BytesIn))
		}
		if days >= o.MinDays {
			f.Why += fmt.Sprintf("; its ratio over the %s before is %.2f, and above %.2f is unusual.", count(int64(days), "day"), usual, limit)
		} else {
			f.Why += fmt.Sprintf("; the history has %s, too few for its own ratio, and above %.2f is unusual for anyone.", count(int64(days), "day"), limit)
			f.RiskScore = risk / 2
		}
		f.Why += andBlocked(&today.Summary)
		findings = append(findings, f)
	}
	return findings
}

// varies returns what the ratio of a day may reach as far as the days that train vary,
// at least two.
func (o *uploadRatioOptions) varies(past []Point) float64 {
	var x []float64
	for _, p := range past {
		if p.Trained && p.Value > 0 {
			x = append(x, math.Log(p.Value))
		}
	}
	if len(x) < 2 {
		return 0
	}
	centre := stats.Median(x)
	return math.Exp(centre + o.Spreads*spreadAround(centre, x, 0, nil)*math.Sqrt(1+math.Pi/2/float64(len(x))))
}

// habit returns on how many past days, flagged or not, there was at least half of such a
// ratio.
func (o *uploadRatioOptions) habit(past []Point, ratio float64) (n int) {
	for _, p := range past {
		if p.Value >= max(o.Ratio, ratio/2) {
			n++
		}
	}
	return n
}

// directed reports whether enough of the row's events count both directions, or each one of the
// two, as flow logs do that have a record for each.
func directed(r *Row) bool {
	need := bothKnown * float64(r.Events)
	return r.Events > 0 && (float64(r.KnownOut) >= need && float64(r.KnownIn) >= need ||
		r.KnownOut+r.KnownIn == r.Events && min(r.KnownOut, r.KnownIn) >= max(1, r.Events/oneWay))
}

// oneWay is the least part of the events of a flow log that must be of either direction. Long flows
// are cut at the same times both ways, and a log of one direction has none of the other.
const oneWay = 4

// scoreSeed judges each entity by its sums over the whole log. Unknown counts are
// zero.
func (o *uploadRatioOptions) scoreSeed(in *Input) []Finding {
	var findings []Finding
	for key, rows := range in.Series {
		s := sum(rows)
		ratio := stats.Ratio(s.BytesOut, s.BytesIn)
		if !(ratio > o.Ratio) || s.BytesOut <= int64(o.Floor) {
			continue
		}
		first, last := rows[0].Day, rows[len(rows)-1].Day
		findings = append(findings, Finding{
			Key: key, Score: ratio, Threshold: o.Ratio, Observed: ratio, Baseline: math.NaN(), Unit: "B out/B in",
			Window: [2]int64{first.window()[0], last.window()[1]}, Summary: s,
			Why: fmt.Sprintf("%s sent %s and received %s from %s to %s, a ratio of %.2f; above %s is unusual.",
				printable(key.Entity), size(float64(s.BytesOut)), size(float64(s.BytesIn)), first, last, ratio, num(o.Ratio)),
		})
	}
	return findings
}
