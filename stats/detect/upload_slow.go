package detect

import (
	"fmt"
	"slices"

	"outflow/columnar"
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
	d.Short = func(covered []Day, day Day) string { return shortOfFrozen(covered, day, o.MinDays) }
	d.Score = o.score
	return d
}

func (o *uploadSlowOptions) score(in *Input) []Finding {
	limits := slowLimits{threshold: o.Threshold, slack: o.Slack, floor: float64(o.Floor), times: o.Rise, least: float64(o.RiseFloor)}
	frozen := in.frozen()
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
	var grown []growth // of the destinations of the last finding
	var open *slowRise // that finding, while its destinations come
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
				g := growthOf(in, &bytesOut, rows)
				g.byDNS = slices.ContainsFunc(rows, func(r Row) bool { return r.AnswerTime != 0 })
				grown = append(grown, g)
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
		s := limits.rise(&bytesOut, in, &frozen, splitSeries{key, past, today}, u)
		if limits.crosses(in, s) {
			s.past, s.today = slices.Clone(past), *today
			open = s
		}
	}
	end()
	return findings
}

func (o *uploadSlowOptions) finding(in *Input, s *slowRise, grown []growth) Finding {
	bytes, usual, excess := s.excess(in.Day)
	last := slices.DeleteFunc(append(s.past, s.today), func(r Row) bool { return r.Day <= in.Day-baselineDays })
	for i := range last {
		last[i].Destinations = nil
	}
	f := Finding{
		Key: s.key, Score: excess, Threshold: o.Threshold, Observed: bytes, Baseline: usual, Unit: "B/30 days",
		Window: [2]int64{(in.Day - baselineDays + 1).window()[0], in.Day.window()[1]}, Summary: sum(last),
	}
	to := grew(grown, bytes-usual, size)
	f.Why = fmt.Sprintf("%s sent %s in the 30 days to %s, day by day more than usual; by %s from %s to %s, %s is usual, and the sum of the daily excesses has reached %.1f spreads (threshold %s); %s.",
		printable(f.Who()), size(bytes), in.Day, count(int64(s.count), "day"), in.Day-2*baselineDays, in.Day-baselineDays-1, size(usual), excess, num(o.Threshold), to)
	for _, d := range s.days {
		f.Timeline = append(f.Timeline, d.Point)
	}
	return f
}
