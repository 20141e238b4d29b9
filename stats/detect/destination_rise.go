package detect

import (
	"fmt"
	"math"

	"outflow/columnar"
	"outflow/stats"
)

type destinationRiseOptions struct {
	Floor     Bytes   `yaml:"floor" unit:"B/day" tune:"20MB 50MB 100MB 200MB 500MB" doc:"days with fewer bytes to the destination are never reported"`
	Rise      float64 `yaml:"rise" unit:"" tune:"3 5 10" doc:"how many times the highest earlier day of anyone there a day must reach; who works with a service outdoes others by less"`
	MinDays   int     `yaml:"min_days" unit:"days" doc:"days of history that are needed to know what is usual there"`
	DayRise   float64 `yaml:"day_rise" unit:"" doc:"and how many times all that the entity sends on a usual day; erratic people outdo others, but seldom themselves, too"`
	HighFloor Bytes   `yaml:"high_floor" unit:"B/day" doc:"from this volume, a destination that hardly answers is of high severity"`
}

const destinationRiseDoc = `More to a destination in use than anyone ever sent there in a day.

What it sees: 100 MB or more in a day to a registered domain, a cloud host or an address to which at least five uploaded a megabyte in a day of the 30 before, and ten times the highest day that anyone had there, if that is also five times what the entity usually sends in a day; or 200 MB
to one that at least ten use, where nobody sent a hundredth of that in a day. The latter and a gigabyte are of high severity; so are 20 MB to a public resolver of names.
Why that means exfiltration: a private account on a service that the company uses itself, a chat or an assistant that all use, a code
forge: the destination says nothing, but nobody's work there needs as much.
Calls, which go both ways, are left out.
Common false positives: the first large delivery by a new way of work, a migration, a sync client that is set up anew.
What it cannot see: destinations that others send as much to; the company's own (own); anything in the first 14 days of history.
How to investigate: whose account it went to, as the proxy's full address or the service's own log tells, and what was read before.`

func destinationRise() *Detection {
	o := &destinationRiseOptions{Floor: 100e6, Rise: 10, MinDays: 14, HighFloor: 1e9, DayRise: 5}
	d := &Detection{
		Name:       "destination_rise",
		Title:      "more than anyone sends to a destination in use",
		Doc:        destinationRiseDoc,
		Technique:  "T1567",
		Impact:     70,
		Confidence: 60,
		Verdict:    uploadVerdict,
		Aggregate:  UserDestinationDay,
		Needs:      columnar.ColSet(columnar.URLHost, columnar.BytesOut),
		History:    seenDays,
		Options:    o,
		Fold:       listDestinations,
	}
	d.Short = func(covered []Day, _ Day) string { return shortOf(len(covered), o.MinDays) }
	d.Score = o.score
	return d
}

// peerMaxima returns, by destination or service (see account), the highest days of its entities in the
// baseline.
func (in *Input) peerMaxima(q *quantity) map[destination]*peerMax {
	all := map[destination]*peerMax{}
	for key, rows := range in.Series {
		if key.Object == "" {
			continue
		}
		past, _ := in.before(rows)
		highest, first := int64(0), len(past)
		for first > 0 && past[first-1].Day >= in.Day-baselineDays {
			first--
			highest = max(highest, q.of(&past[first]))
		}
		if highest == 0 {
			continue
		}
		at := account(key)
		m := all[at]
		if m == nil {
			m = &peerMax{}
			all[at] = m
		}
		m.add(key, highest)
	}
	return all
}

// talks reports whether a destination sends back a quarter of what it gets: calls do.
func talks(r *Row) bool { return directed(r) && r.BytesIn >= r.BytesOut/4 }

// A risen is a day at a destination with several times the bytes of all days before.
type risen struct {
	Row
	used bool // by the entity, before
}

// floor returns the volume from which on a destination is reported.
func (o *destinationRiseOptions) floor(object string) int64 {
	if isResolver(object) {
		return int64(o.Floor) / resolverPart
	}
	return int64(o.Floor)
}

// Twice the floor is high, too, from unheardRise times on what anyone of many ever sent there in a day: people ask an
// assistant, read their private mail or chat there, and one gives it a folder.
const unheardRise = 100

// A public resolver is reported from the resolverPart of the floor: names take little.
const resolverPart = 5

// dnsTechnique is the technique of data in look-ups, and resolverText what is said of it.
const (
	dnsTechnique = "T1071.004"
	resolverText = " It is a public resolver of names, and a browser that looks up all its names there sends a megabyte or two a day."
)

func (o *destinationRiseOptions) score(in *Input) []Finding {
	maxima := in.peerMaxima(&bytesOut)
	var found []risen
	var keys []Key
	var u usage
	for key, rows := range in.Series {
		if key.Object == "" {
			u.begin(key, rows)
			continue
		}
		_, today := in.before(rows)
		if today == nil || today.BytesOut < o.floor(key.Object) || len(in.Covered(key.Feed)) < o.MinDays || !u.has(key) || in.Own(key.Object) {
			continue
		}
		usual := u.usual(in)
		before := maxima[account(key)]
		if float64(today.BytesOut) > o.Rise*float64(before.all()) && (isResolver(key.Object) || !talks(today) && float64(today.BytesOut) >= o.DayRise*usual) {
			found, keys = append(found, risen{*today, u.before(in.Day, key.Object)}), append(keys, key)
		}
	}
	used := in.popularity(keys)
	var findings []Finding
	for i := range found {
		r, p := &found[i].Row, used[destination{found[i].Feed, found[i].Object}]
		if !found[i].used && p.first >= in.Day { // first_destination has what nobody used
			continue
		}
		before := maxima[account(r.Key)]
		// Few who upload there do not tell what it is used for, but many who use it and never do; upload_zscore and
		// cloud_upload judge the days of the few.
		highest := before.all()
		unheard := p.users >= minPeers && r.BytesOut >= 2*int64(o.Floor) && r.BytesOut >= unheardRise*max(highest, 1e6)
		if (before == nil || before.users < few) && !unheard && !isResolver(r.Object) || p.tenant(r.Object) || p.devices(r.Object) {
			continue
		}
		f := Finding{
			Customary: true,
			Key:       r.Key, Score: float64(r.BytesOut), Threshold: max(float64(o.floor(r.Object)), o.Rise*float64(highest)), Observed: float64(r.BytesOut),
			Baseline: float64(highest), Unit: "B/day", Window: in.Day.window(), Summary: r.Summary,
		}
		if directed(r) && (r.BytesOut >= int64(o.HighFloor) || unheard) {
			f.Severity = High
		}
		also := ""
		if isResolver(r.Object) {
			f.Severity, f.Technique, also = High, dnsTechnique, resolverText
		}
		most := "the highest day of anyone there before had " + size(float64(highest))
		if highest == 0 {
			most = "nobody sent a megabyte there in a day before"
		}
		f.Why = fmt.Sprintf("%s sent %s to %s on %s; %s, and %s.",
			printable(f.Who()), size(f.Observed), printable(r.Object), in.Day, most, p) + also + andNamed(&r.Summary) + andBlocked(&r.Summary)
		findings = append(findings, f)
	}
	return findings
}

// usual returns what the entity sends in all on a usual day of the baseline, NaN if that is not known.
func (u *usage) usual(in *Input) float64 {
	var sent []float64
	for i := range u.days {
		if r := &u.days[i]; r.Day < in.Day && r.Day >= in.Day-baselineDays && !blind(r) {
			sent = append(sent, float64(r.BytesOut))
		}
	}
	if len(sent) == 0 {
		return math.NaN()
	}
	return stats.Median(sent)
}
