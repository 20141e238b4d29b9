package detect

import (
	"fmt"
	"slices"
	"strings"

	"outflow/columnar"
)

type downloadSlowOptions struct {
	Threshold float64 `yaml:"threshold" unit:"spreads" doc:"the sum of the days' excesses that is unusual, as for upload_slow"`
	Slack     float64 `yaml:"slack" unit:"spreads" doc:"what each day may exceed its usual level by, as for upload_slow"`
	MinDays   int     `yaml:"min_days" unit:"days" doc:"days of baseline that are needed, of the 30 before the last 30"`
	Floor     Bytes   `yaml:"floor" unit:"B/30 days" doc:"what must have been downloaded beyond the usual in 30 days; a fifth of it is enough if that is rise times the usual"`
	Objects   int     `yaml:"objects" unit:"objects/30 days" doc:"the same in distinct objects of each day, where the log does not count bytes"`
	Rise      float64 `yaml:"rise" unit:"" doc:"see floor"`
	FewDays   int     `yaml:"few_days" unit:"days" doc:"a bucket that the entity never read from must have been read on this many days; fewer are a visit, and bulk_download judges each"`
	Fresh     Bytes   `yaml:"fresh" unit:"B/30 days" doc:"what must have been read from such a bucket within 30 days"`
}

const downloadSlowDoc = `Downloads that stay under the daily limit, for days or weeks, from the services of bulk_download.

What it sees: the sum, day after day, of how far an entity's downloads from a service exceed their usual level, by the rule of
upload_slow: in bytes, or in objects where the log has no bytes. And a bucket that the entity reads on five days or more and never
read before, from 1 GB on, however much it reads elsewhere. Each is reported once. It names the places that grew. Where the place is
new for the entity and others read it before, the finding is medium, else low.
Why that means exfiltration: somebody who knows that volume is watched takes data in portions.
Common false positives: a new task or project, a new job, a return from leave.
What it cannot see: rises under the entity's usual spread, what began more than 30 days ago, entities with fewer than 20 days of
baseline, and those that are new themselves.
How to investigate: what the objects are, since when the places named are read, and what the entity does there.`

func downloadSlow() *Detection {
	o := &downloadSlowOptions{Threshold: 6.5, Slack: .75, MinDays: 20, Floor: 1e9, Objects: 1000, Rise: 10, FewDays: 5, Fresh: 1e9}
	d := &Detection{
		Name:       "download_slow",
		Title:      "downloads that grow slowly",
		Doc:        downloadSlowDoc,
		Technique:  "T1530",
		Impact:     60,
		Confidence: 50,
		Verdict:    downloadVerdict,
		Aggregate:  ObjectDay,
		Needs:      columnar.ColSet(columnar.Operation, columnar.Resource, columnar.URLPath),
		History:    2 * baselineDays,
		Options:    o,
		Short:      func(covered []Day, day Day) string { return shortOfFrozen(covered, day, o.MinDays) },
	}
	d.Score = o.score
	return d
}

// freshRisk is the risk where the place is new for the entity alone.
const freshRisk = 42

// storage are the services whose places are buckets: a site or an organisation is new with
// each project.
const storage = "s3 gcs oss oci azurestorage"

func (o *downloadSlowOptions) limits(q *quantity, service string) slowLimits {
	l := slowLimits{threshold: o.Threshold, slack: o.Slack, times: o.Rise, floor: float64(o.Floor)}
	if q == &objectsRead {
		l.floor = float64(o.Objects) / float64(max(objectWeight(service), 1))
	}
	l.least = l.floor / 5
	return l
}

// A slowDownload is a service of an entity on the judged day, by the quantity that its log has.
type slowDownload struct {
	q       *quantity
	u       baseline
	enough  bool      // the last 30 days have what is worth reporting
	rise    *slowRise // nil: it is not to be reported
	grown   []growth  // of the places of rise, the most first
	summary Summary
}

func (o *downloadSlowOptions) score(in *Input) []Finding {
	services := o.services(in)
	var risen []Key
	for k, d := range services {
		if d.rise != nil {
			risen = append(risen, k)
		}
	}
	slices.SortFunc(risen, Key.Compare)
	fresh := o.places(in, services)
	if len(risen)+len(fresh) == 0 {
		return nil
	}
	uses := map[feedObject]*placeUse{}
	for _, k := range risen {
		for _, g := range services[k].grown {
			uses[feedObject{k.Feed, g.name}] = &placeUse{}
		}
	}
	for i := range fresh {
		uses[feedObject{fresh[i].Feed, fresh[i].Object}] = &placeUse{}
	}
	for key, rows := range in.Series {
		if use := uses[feedObject{key.Feed, key.Object}]; use != nil {
			use.add(in, rows)
		}
	}
	var findings []Finding
	for _, k := range risen {
		findings = append(findings, o.finding(in, services[k], uses))
	}
	for _, f := range fresh {
		of := f.Key
		of.Object, _, _ = strings.Cut(f.Object, "/")
		if d := services[of]; d != nil && d.rise != nil {
			continue // which tells it, too
		}
		f.Why += readers(&f, uses[feedObject{f.Feed, f.Object}])
		f.Object = strings.TrimSuffix(f.Object, "/")
		findings = append(findings, f)
	}
	return findings
}

// services returns those with downloads on the judged day, and which of them rose.
func (o *downloadSlowOptions) services(in *Input) map[Key]*slowDownload {
	frozen := in.frozen()
	services := map[Key]*slowDownload{}
	var x sample
	var order []*slowDownload // of a feed
	feed, enough, covered := "", false, false
	end := func() {
		for _, q := range []*quantity{&bytesIn, &objectsRead} {
			var all []baseline
			for _, d := range order {
				if d.q == q {
					all = append(all, d.u)
				}
			}
			steady(all, o.MinDays, 0)
			for _, d := range order {
				if d.q == q {
					d.u, all = all[0], all[1:]
				}
			}
		}
		order = order[:0]
	}
	for s := range in.downloadServices() {
		past, today := in.before(s.rows)
		if today == nil {
			continue
		}
		if s.key.Feed != feed {
			end()
			feed = s.key.Feed
			covered = len(in.frozenDays(feed)) >= o.MinDays
		}
		if !covered {
			continue // no baseline of the feed can be long enough
		}
		d := &slowDownload{q: &bytesIn}
		if bytesIn.blind(today) {
			d.q = &objectsRead
		}
		old, _ := frozen.before(sinceSeen(s, past))
		d.u = x.baseline(&frozen, d.q, splitSeries{s.key, old, today})
		total := 0.0
		for i := range s.rows {
			if r := &s.rows[i]; r.Day > in.Day-baselineDays && r.Day <= in.Day {
				total += float64(d.q.of(r))
			}
		}
		d.enough = total >= o.limits(d.q, s.key.Object).least
		enough = enough || d.enough
		services[s.key] = d
		order = append(order, d)
	}
	end()
	if !enough {
		return services
	}
	for s := range in.downloadServices() {
		d := services[s.key]
		if d == nil || !d.enough || int(d.u.days) < o.MinDays {
			continue
		}
		past, today := in.before(s.rows)
		of := *in
		of.Flagged = func(k Key, day Day) bool { return slices.Contains(s.reported, day) || in.Flagged(k, day) }
		l := o.limits(d.q, s.key.Object)
		r := l.rise(d.q, &of, &frozen, splitSeries{s.key, sinceSeen(s, past), today}, &d.u)
		if !l.crosses(&of, r) {
			continue
		}
		d.rise = r
		for i := range past {
			if past[i].Day > in.Day-baselineDays {
				d.summary.addPast(&past[i].Summary)
			}
		}
		d.summary = d.summary.Merge(today.Summary)
	}
	return services
}

// sinceSeen returns the days of a service since its entity was first seen, in whatever service: on the
// days when the entity did not use this one, it took nothing from it.
func sinceSeen(s *downloadService, past []Row) []Row {
	if len(past) > 0 && past[0].Day <= s.since {
		return past
	}
	return append([]Row{{Day: s.since, Key: s.key}}, past...)
}

// A placeUse is who reads from a place.
type placeUse struct {
	old int // entities that read there over 30 days ago
	all int // entities that read there at all
}

func (u *placeUse) add(in *Input, rows []Row) {
	u.all++
	if rows[0].Day <= in.Day-baselineDays {
		u.old++
	}
}

// places collects what grew of the services that rose, and returns the findings of buckets that an
// entity reads from for the first time.
func (o *downloadSlowOptions) places(in *Input, services map[Key]*slowDownload) (fresh []Finding) {
	var candidates []Finding // of one entity
	var last Key
	since := in.Day
	end := func() {
		if since <= in.Day-baselineDays {
			fresh = append(fresh, candidates...)
		}
		candidates, since = candidates[:0], in.Day
	}
	for key, rows := range in.Series {
		if !key.sameEntity(last) {
			end()
			last = key
		}
		since = min(since, rows[0].Day)
		service := key
		service.Object, _, _ = strings.Cut(key.Object, "/")
		if d := services[service]; d != nil && d.rise != nil {
			d.grown = append(d.grown, growthOf(in, d.q, rows))
		}
		if f, ok := o.fresh(in, key, rows); ok {
			candidates = append(candidates, f)
		}
	}
	end()
	return fresh
}

// readers says who else reads a place that is new to an entity, and raises the risk if others did so
// before: where nobody did, somebody has set something up.
func readers(f *Finding, use *placeUse) string {
	switch {
	case use.old > 0:
		f.RiskScore = freshRisk
		return fmt.Sprintf(", where %s read over 30 days ago.", count(int64(use.old), "other"))
	case use.all > 1:
		return fmt.Sprintf(", as %s did for the first time in these 30 days.", count(int64(use.all-1), "other"))
	}
	return ", and nobody else did."
}

// fresh returns the finding of a bucket that an entity reads for the first time, day after day.
func (o *downloadSlowOptions) fresh(in *Input, key Key, rows []Row) (f Finding, ok bool) {
	service, _, _ := strings.Cut(key.Object, "/")
	last := &rows[len(rows)-1]
	if !oneOf(service, storage) || rows[0].Day <= in.Day-baselineDays || last.Day != in.Day || len(rows) < o.FewDays ||
		len(in.frozenDays(key.Feed)) < o.MinDays {
		return f, false
	}
	total, most := int64(0), int64(0)
	for i := range rows {
		if in.Flagged(key, rows[i].Day) {
			return f, false
		}
		total, most = addBytes(total, rows[i].BytesIn), max(most, rows[i].BytesIn)
	}
	before := total - last.BytesIn
	if total < int64(o.Fresh) || before >= int64(o.Fresh) && len(rows) > o.FewDays {
		return f, false
	}
	f = Finding{
		Key: key, Score: float64(total), Threshold: float64(o.Fresh), Observed: float64(total), Baseline: 0, Unit: "B/30 days",
		Window: [2]int64{(in.Day - baselineDays + 1).window()[0], in.Day.window()[1]}, Technique: techniqueOf(service),
	}
	for i := range rows[:len(rows)-1] {
		f.Summary.addPast(&rows[i].Summary)
	}
	f.Summary = f.Summary.Merge(last.Summary)
	f.Why = fmt.Sprintf("%s downloaded %s from %s on %s since %s, at most %s in a day; it never read there before",
		printable(f.Who()), size(float64(total)), printable(strings.TrimSuffix(key.Object, "/")), count(int64(len(rows)), "day"), rows[0].Day, size(float64(most)))
	for i := range rows {
		f.Timeline = append(f.Timeline, Point{Day: rows[i].Day, Value: float64(rows[i].BytesIn)})
	}
	return f, true
}

func (o *downloadSlowOptions) finding(in *Input, d *slowDownload, uses map[feedObject]*placeUse) Finding {
	r := d.rise
	total, usual, excess := r.excess(in.Day)
	show, unit := size, "B/30 days"
	if d.q == &objectsRead {
		show, unit = objects, "objects/30 days"
	}
	f := Finding{
		Key: r.key, Score: excess, Threshold: o.Threshold, Observed: total, Baseline: usual, Unit: unit,
		Window: [2]int64{(in.Day - baselineDays + 1).window()[0], in.Day.window()[1]}, Summary: d.summary, Technique: techniqueOf(r.key.Object),
	}
	f.Summary.Clients = nil
	where := grew(d.grown, total-usual, show)
	f.Why = fmt.Sprintf("%s downloaded %s from %s in the 30 days to %s, day by day more than usual; by %s from %s to %s, %s is usual, and the sum of the daily excesses has reached %.1f spreads (threshold %s); %s",
		printable(f.Who()), show(total), printable(r.key.Object), in.Day, count(int64(r.count), "day"), in.Day-2*baselineDays, in.Day-baselineDays-1, show(usual), excess, num(o.Threshold), where)
	if most := d.grown[0]; most.fresh && most.more >= (total-usual)/2 {
		f.Object = strings.TrimSuffix(most.name, "/")
		f.Why += ", which is new to it" + readers(&f, uses[feedObject{r.key.Feed, most.name}])
	} else {
		f.Why += "."
	}
	for _, p := range r.days {
		f.Timeline = append(f.Timeline, p.Point)
	}
	return f
}
