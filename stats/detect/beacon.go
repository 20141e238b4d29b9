package detect

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/stats"
)

type beaconOptions struct {
	Few        float64 `yaml:"dispersion_24" unit:"" tune:"0.25 0.3 0.35 0.4" doc:"the dispersion of the intervals up to which 24 of them are a beacon; chance makes so few look regular"`
	Some       float64 `yaml:"dispersion_36" unit:"" doc:"the same for 36 intervals"`
	Many       float64 `yaml:"dispersion_48" unit:"" tune:"0.25 0.3 0.4 0.5" doc:"the same for 48 and more; a clock that strays by half its period and misses a fifth of its beats has .3, people and chance over .6"`
	Prevalence float64 `yaml:"prevalence" unit:"of the sources" doc:"a destination that so many poll, and at least common of them, is a service of the company's"`
	Common     int     `yaml:"common" unit:"sources" doc:"see prevalence; fewer machines may share an infection"`
	Rare       float64 `yaml:"rare" unit:"of the sources" doc:"a destination that no more poll is rare; logs of under 50 sources cannot tell"`
	DataOut    Bytes   `yaml:"data_out" unit:"B/day" doc:"a beacon that sends this much, and more than it receives, takes data out; check-ins send less"`
}

const beaconDoc = `A machine that connects to one destination again and again at regular intervals.

What it sees: the middle half of the intervals between a machine's connections to a host name, or to an address that no log
names, lies close together: dispersion (Q3-Q1)/(Q3+Q1) of at most .35 for 24 intervals, .38 for 36, .40 for 48 and more. Days with
up to 48 intervals are judged with the week before, so that a beacon of four hours takes four days. beacons.csv lists all of them with period, jitter and the
four parts of RITA's score. A beacon is a finding of low severity if it began this week to a place that no machine talked to before, if it goes to a bare address in a log with names,
or if the log has under 50 machines; there, that no other machine ever talks to the place is a sign, too. It is medium if two of these hold, if one holds and the destination is rare, or if it takes data out: 10 MB, or 1 MB and five times its usual day; after four days, of a machine in a feed's first week after two, it is a habit. It is also medium
if a DNS or rule finding makes the machine suspicious. The table alone has the others: those under an hour, those that rest in most of their hours, and look-ups of names, which repeat as their time to live ends.
Why that means exfiltration: an implant asks for commands, and drips data out, at regular intervals.
Common false positives: software that asks a rare vendor for updates, a tab that reloads itself, keepalives of one long connection that a flow
log cuts into pieces. Destinations that many machines poll, time services, updates and monitoring are labelled, and are not findings.
What it cannot see: under 24 beats in a week, beacons through services that are labelled or that many use, jitter well above a half, mails,
a beacon to a site that the same machine also browses, and in flow logs of AWS, Azure and Google, which cut connections into pieces,
periods of up to a minute and a half.
How to investigate: which program talks to it (endpoint logs at the first beat), who owns the destination, and whether the beats go on at night.`

func beacon() *Detection {
	o := &beaconOptions{Few: .35, Some: .38, Many: .40, Prevalence: .10, Common: 5, Rare: .02, DataOut: 10e6}
	d := &Detection{
		Name:       "beacon",
		Title:      "connections at regular intervals",
		Doc:        beaconDoc,
		Technique:  "T1071.001",
		Impact:     60,
		Confidence: 70,
		Aggregate:  PairTimes,
		Needs:      columnar.ColSet(columnar.URLHost, columnar.Domain),
		History:    beaconHistory,
		Options:    o,
	}
	d.Score = func(in *Input) []Finding { return o.score(in, d.Risk()) }
	return d
}

const (
	// beaconDays is over how many days slow beacons are judged: with four hours between
	// beats, four are enough, and a machine is off at the weekend.
	beaconDays = 7
	// beaconHistory is how far back a beacon may have begun and still be called new.
	beaconHistory = 14
	// beaconDaysBefore is how many days before the week must have been folded to call it so.
	beaconDaysBefore = 5
	// fewIntervals is the least number of intervals that are judged.
	fewIntervals, someIntervals, manyIntervals = 24, 36, 48
	// rarePopulation is how many sources it takes to call a destination rare.
	rarePopulation = 50
	// A log in which more than namedShare of the pairs have a name is one with names.
	namedShare = .5
	// maxBeacons is the number of pairs that Input.Beacons gets. Nobody reads more.
	maxBeacons = 1000
	// beaconShare is the least share of the hours with a beat that a finding's beats fill at
	// its period. A clock that misses half of them fills half; a person who turns pages every
	// twenty seconds, now and then, a tenth.
	beaconShare = 1. / 3
	// beaconSpan is the least time, in µs, from the first to the last beat of a finding.
	// Someone who waits for a page loads it thirty times in five minutes.
	beaconSpan = 3600e6
	// telling is the RITA score of a pair with too few intervals that Input.Beacons gets.
	telling = .7
)

// A Beacon is a pair that talks by the clock on the judged day, or that has too few
// intervals to tell.
type Beacon struct {
	Row
	Regular    bool    // it is a beacon; else only its RITA score says so
	Period     float64 // s
	Jitter     float64 // of the period
	Dispersion float64
	Intervals  int
	Days       int     // that the intervals are of
	Echo       float64 // autocorrelation of the beats, one period later; NaN if it was not computed
	BeatBytes  float64 // median bytes out; NaN if the log has none
	Rita       RitaScore
	Pollers    int      // sources that talk to the destination regularly
	Sources    int      // that the feed has
	Label      string   // why it may be innocent
	Signs      []string // what makes it worse, in words
	Severity   Severity // of its finding; Info if it is none
}

// HoursActive returns the hours of the day with a beat.
func (b *Beacon) HoursActive() int { return bits.OnesCount64(uint64(b.Hours)) }

// fills reports whether its beats fill enough of its hours to be those of a clock.
func (b *Beacon) fills() bool {
	return float64(b.Beats)*b.Period >= beaconShare*3600*float64(b.HoursActive())
}

// worseFirst orders beacons as the table lists them.
func worseFirst(a, b *Beacon) int {
	return cmp.Or(cmp.Compare(b.Severity, a.Severity), compareBool(b.Regular, a.Regular), compareBool(a.Label != "", b.Label != ""),
		cmp.Compare(b.Rita.Mean, a.Rita.Mean), a.Key.Compare(b.Key))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// limit returns the dispersion up to which so many intervals are a beacon; below 0: none.
func (o *beaconOptions) limit(intervals int) float64 {
	switch {
	case intervals >= manyIntervals:
		return o.Many
	case intervals >= someIntervals:
		return o.Some
	case intervals >= fewIntervals:
		return o.Few
	}
	return -1
}

// A beaconFeed counts what a feed has in the week.
type beaconFeed struct {
	last    Key // the source that was counted last, as a key without an object
	sources int
	pairs   int
	named   int            // pairs
	pollers map[string]int // by destination
	first   map[string]Day // by destination: the first day on which any source talked to it
	talkers map[string]int // by destination: sources that talked to it, regularly or not
}

func (o *beaconOptions) score(in *Input, risk int) []Finding {
	feeds := map[string]*beaconFeed{}
	for key, rows := range in.Series {
		f := feeds[key.Feed]
		if f == nil {
			f = &beaconFeed{pollers: map[string]int{}, first: map[string]Day{}, talkers: map[string]int{}}
			feeds[key.Feed] = f
		}
		if day, ok := f.first[key.Object]; !ok || rows[0].Day < day {
			f.first[key.Object] = rows[0].Day
		}
		f.talkers[key.Object]++
		if rows = in.week(rows); len(rows) == 0 {
			continue
		}
		source := key
		if source.Object = ""; f.last != source {
			f.last = source
			f.sources++
		}
		f.pairs++
		f.pollers[key.Object]++
		if !isAddress(key.Object) {
			f.named++
		}
	}
	var table []*Beacon
	for key, rows := range in.Series {
		_, today := in.before(rows)
		if today == nil {
			continue
		}
		b := o.judge(in, rows, today, feeds[key.Feed])
		if !b.Regular && (b.Rita.Mean < telling || b.Intervals >= fewIntervals) {
			continue
		}
		if table = append(table, b); len(table) >= 2*maxBeacons {
			table = worst(table)
		}
	}
	table = worst(table)
	var findings []Finding
	for _, b := range apart(table) {
		findings = append(findings, o.finding(in, b, risk))
	}
	if in.Beacons != nil {
		for _, b := range table {
			in.Beacons(b)
		}
	}
	return findings
}

// worst returns the worst maxBeacons of a table, the worst first.
func worst(table []*Beacon) []*Beacon {
	slices.SortFunc(table, worseFirst)
	return table[:min(len(table), maxBeacons)]
}

// week returns the rows of the judged day and the six before it.
func (in *Input) week(rows []Row) []Row {
	for len(rows) > 0 && rows[0].Day <= in.Day-beaconDays {
		rows = rows[1:]
	}
	return rows
}

// judge measures a pair on the judged day.
func (o *beaconOptions) judge(in *Input, rows []Row, today *Row, feed *beaconFeed) *Beacon {
	day, ok := rhythmOf(today)
	if !ok {
		return &Beacon{Row: *today}
	}
	midnight := today.Day.window()[0]
	b := &Beacon{Row: *today, Days: 1, BeatBytes: day.bytes.Q2, Rita: day.rita(float64(today.First-midnight)/1e6, float64(today.Last-midnight)/1e6),
		Pollers: feed.pollers[today.Object], Sources: feed.sources}
	r := day
	if day.intervals < manyIntervals {
		r, b.Days = in.slow(rows)
	}
	b.Intervals, b.Dispersion = r.intervals, r.between.Dispersion()
	b.Period, b.Jitter, b.Echo = r.period, r.jitter, r.echo
	if b.Regular = b.Dispersion <= o.limit(r.intervals); !b.Regular {
		return b
	}
	if b.Label = pollerLabel(today); b.Label == "" && in.Own(today.Object) {
		b.Label = "the company's own"
	}
	if b.Label == "" && b.Pollers >= o.Common && float64(b.Pollers) >= o.Prevalence*float64(b.Sources) {
		b.Label = "polled by many"
	}
	if b.Label != "" {
		return b
	}
	o.weigh(in, rows, b, feed)
	return b
}

// slow returns the rhythm of the week up to the judged day, of days with so few beats that
// they were kept. A day with more of them begins anew.
func (in *Input) slow(rows []Row) (r rhythm, days int) {
	var s beatSeries
	rows = in.week(rows)
	for i := range rows {
		switch {
		case rows[i].Day > in.Day: // a later day, which is judged after this one
		case rows[i].Beats > maxTimes:
			s, days = beatSeries{}, 0
		case s.addRow(&rows[i]):
			days++
		}
	}
	return s.rhythm(), days
}

// weigh sets the signs and the severity of a beacon.
func (o *beaconOptions) weigh(in *Input, rows []Row, b *Beacon, feed *beaconFeed) {
	weak, rare := 0, false
	past, _ := in.before(rows)
	steady := 0 // days before the week
	for i := range past {
		if past[i].Day <= in.Day-beaconDays {
			steady++
		}
	}
	if b.Sources >= rarePopulation && float64(b.Pollers) <= o.Rare*float64(b.Sources) {
		weak, rare = 1, true
		b.Signs = append(b.Signs, fmt.Sprintf("only %d of %d machines polls it", b.Pollers, b.Sources))
		if b.Pollers > 1 {
			b.Signs[len(b.Signs)-1] = fmt.Sprintf("only %d of %d machines poll it", b.Pollers, b.Sources)
		}
	}
	if b.Sources >= minPeers && b.Sources < rarePopulation && feed.talkers[b.Object] == 1 {
		weak++
		b.Signs = append(b.Signs, "no other machine talks to it")
	}
	before := 0
	for _, d := range in.Covered(b.Feed) {
		if d > in.Day-beaconHistory-1 && d <= in.Day-beaconDays {
			before++
		}
	}
	if before >= beaconDaysBefore && feed.first[b.Object] > in.Day-beaconDays {
		weak++
		b.Signs = append(b.Signs, "it began this week")
	}
	if isAddress(b.Object) && float64(feed.named) >= namedShare*float64(feed.pairs) {
		weak++
		b.Signs = append(b.Signs, "it is a bare address where most have a name")
	}
	out := b.BytesOut >= int64(o.DataOut) && b.BytesOut > b.BytesIn
	if rise := in.outdoes(b, past); !out && rise > 0 {
		out = true
		b.Signs = append(b.Signs, fmt.Sprintf("it took %s out, %s its usual day", size(float64(b.BytesOut)), times(rise)))
	} else if out {
		b.Signs = append(b.Signs, "it took "+size(float64(b.BytesOut))+" out")
		if in.habitual(&bytesOut, b.Key, b.BytesOut, past) {
			b.Signs[len(b.Signs)-1] += ", as on days before"
		}
	}
	switch {
	case LookUps(b.Feed):
		// A name is asked for whenever its time to live is over, whatever asks for it.
		b.Severity = Severity(weak / 2)
	case out && !in.habitual(&bytesOut, b.Key, b.BytesOut, past), weak >= 2 && steady < habitDays:
		b.Severity = Medium
	case out || weak >= 2 || weak == 1 && !rare || b.Sources < rarePopulation:
		b.Severity = Low // a company has thousands of beacons that are merely rare
	}
}

// A beacon that sends beaconRise times its usual day, and at least beaconRisen bytes, does
// more than ask: most of those of software send about the same each day.
const beaconRise, beaconRisen = 5, 1e6

// outdoes returns how many times its usual day a beacon sent, 0 if it did not send much more.
func (in *Input) outdoes(b *Beacon, past []Row) float64 {
	if b.BytesOut < beaconRisen || b.BytesOut < b.BytesIn {
		return 0
	}
	var sent []float64
	for i := range past {
		if past[i].KnownOut > 0 && past[i].Beats >= b.Beats/4 {
			sent = append(sent, float64(past[i].BytesOut))
		}
	}
	if len(sent) < beaconDaysBefore {
		return 0
	}
	if rise := float64(b.BytesOut) / max(stats.Median(sent), 1); rise >= beaconRise {
		return rise
	}
	return 0
}

// LookUps reports whether a feed of pair_times has look-ups of names.
func LookUps(feed string) bool { return strings.HasSuffix(feed, "/dns") }

// apart returns the beacons without a label, one of those that are the same one, seen by
// several sensors or in several tables: a machine looks up a name, connects to it, and sends
// a request. It is the one with the most beats.
func apart(table []*Beacon) []*Beacon {
	type place struct{ kind, entity, object string }
	best := map[place]*Beacon{}
	var found []*Beacon
	for _, b := range table {
		if !b.Regular || b.Label != "" || b.Days == 1 && b.Last-b.First < beaconSpan || !b.fills() {
			continue
		}
		found = append(found, b)
		p := place{b.EntityType, b.Entity, b.Object}
		if old := best[p]; old == nil || b.Beats > old.Beats {
			best[p] = b
		}
	}
	looked := map[place]bool{} // registered domains that a machine beacons to, by the names below
	for p, b := range best {
		if LookUps(b.Feed) {
			continue
		}
		for name := p.object; ; {
			looked[place{p.kind, p.entity, name}] = true
			dot := strings.IndexByte(name, '.')
			if dot < 0 {
				break
			}
			name = name[dot+1:]
		}
	}
	return slices.DeleteFunc(found, func(b *Beacon) bool {
		p := place{b.EntityType, b.Entity, b.Object}
		return best[p] != b || LookUps(b.Feed) && looked[p]
	})
}

func (o *beaconOptions) finding(in *Input, b *Beacon, risk int) Finding {
	f := Finding{
		Key: b.Key, Score: 1 - b.Dispersion, Threshold: 1 - o.limit(b.Intervals), Observed: math.Round(b.Period), Baseline: math.NaN(), Unit: "s",
		Window: in.window(), Summary: b.Summary, Severity: b.Severity, RiskScore: risk,
	}
	switch b.Severity {
	case Low:
		f.RiskScore = risk / 2
	case Info:
		f.RiskScore = risk / 4
	}
	if b.BytesOut >= int64(o.DataOut) && b.BytesOut > b.BytesIn {
		f.Technique = "T1041"
	}
	span := fmt.Sprintf("in %s of %s", count(int64(b.HoursActive()), "hour"), in.Day)
	if b.Days > 1 {
		span = fmt.Sprintf("on %s up to %s", count(int64(b.Days), "day"), in.Day)
	}
	f.Why = fmt.Sprintf("%s talked to %s every %s, ±%.0f %%, %s: its %s have a dispersion of %.2f (RITA score %.2f); those of people and of chance exceed 0.6",
		printable(f.Who()), printable(b.Object), interval(b.Period), 100*b.Jitter, span, count(int64(b.Intervals), "interval"), b.Dispersion, b.Rita.Mean)
	if !math.IsNaN(b.BeatBytes) {
		f.Why += "; a beat sends " + size(b.BeatBytes)
	}
	for _, s := range b.Signs {
		f.Why += "; " + s
	}
	f.Why += "."
	if b.Blocked > 0 {
		f.Why += andBlocked(&b.Summary)
	}
	return f
}

// interval formats seconds for a reader.
func interval(seconds float64) string {
	switch {
	case seconds < 100:
		return fmt.Sprintf("%.0f s", seconds)
	case seconds < 100*60:
		return fmt.Sprintf("%.0f min", seconds/60)
	}
	return fmt.Sprintf("%.1f h", seconds/3600)
}

// RaiseBeacons makes beacons of machines medium that a DNS detection or a rule finds
// suspicious on the same day: at medium or above, neither labelled nor allowed. It leaves out
// beacons of other machines if only their regularity is known: beacons.csv has them.
func RaiseBeacons(detections []*Detection, findings []Finding) []Finding {
	type machine struct {
		kind, entity string
		day          Day
	}
	reads := map[string]*Aggregate{}
	risk := 0
	for _, d := range detections {
		if reads[d.Name] = d.Aggregate; d.Aggregate == PairTimes {
			risk = d.Risk()
		}
	}
	suspicious := map[machine]string{} // the first detection that says so, by name
	type tunnel struct {
		machine
		domain string
	}
	tunnels := map[tunnel]bool{}
	of := func(f *Finding) machine { return machine{f.EntityType, f.Entity, f.Day} }
	for i := range findings {
		f := &findings[i]
		if f.Severity < Medium || f.Label != "" || f.Allowed != "" || f.Verdict != dnsTunnel && reads[f.Detection] != RuleDay {
			continue
		}
		m := of(f)
		if suspicious[m] == "" || f.Detection < suspicious[m] {
			suspicious[m] = f.Detection
		}
		if f.Verdict == dnsTunnel {
			tunnels[tunnel{m, f.Object}] = true
		}
	}
	kept := findings[:0]
	for _, f := range findings {
		if reads[f.Detection] == PairTimes {
			m := of(&f)
			by := suspicious[m]
			switch {
			case tunnels[tunnel{m, f.Object}]:
				continue // the finding of the tunnel says more
			case by != "" && f.Severity < Medium:
				f.Severity, f.RiskScore = Medium, max(risk, leastRisk[Medium])
				f.Why += " " + by + " finds the same machine suspicious."
			case f.Severity == Info:
				continue
			}
		}
		kept = append(kept, f)
	}
	return kept
}
