package detect

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"outflow/columnar"
)

type firstDestinationOptions struct {
	Floor      Bytes   `yaml:"floor" unit:"B/day" tune:"5MB 10MB 20MB 50MB 100MB 200MB" doc:"a destination that the entity never used is reported from this volume; less is a form, a picture or a mail"`
	KnownFloor Bytes   `yaml:"known_floor" unit:"B/day" doc:"the same for a destination that more than rare of the others use, if somebody did longer ago than young"`
	YoungFloor Bytes   `yaml:"young_floor" unit:"B" doc:"a destination is also reported on the day on which all that the entity sent there since its first use, within young days, reaches this"`
	Share      float64 `yaml:"share" unit:"%" tune:"1 5 20 50" doc:"it must also get this share of what the entity sends on a usual day; to those who send gigabytes for a living a few megabytes are nothing"`
	MinDays    int     `yaml:"min_days" unit:"days" doc:"with fewer days of history nothing is called new"`
	EntityDays int     `yaml:"entity_days" unit:"days" doc:"the entity must have been seen on this many days before; to a newcomer everything is new, and only what would be of high severity is reported"`
	Rare       float64 `yaml:"rare" unit:"%" doc:"a destination that at most this share of the others use, or one of them, has a higher risk"`
	Common     float64 `yaml:"common" unit:"%" doc:"one that at least this share of them use has a lower risk"`
	Young      int     `yaml:"young" unit:"days" doc:"a destination is new to the entity for so long; one that nobody used longer ago has a higher risk"`
	Network    int     `yaml:"network" unit:"entities" doc:"an address that answers with a tenth or more of what it gets is not new if so many others use its network (/16, /32 of IPv6): calls go to another relay of the same network each time"`
	HighFloor  Bytes   `yaml:"high_floor" unit:"B/day" doc:"from this volume, destinations that nobody used until young days ago and that hardly answer are of high severity, if the volume is also high_rise times the entity's usual day"`
	HighRise   float64 `yaml:"high_rise" unit:"" doc:"see high_floor; a large file for one customer seldom outdoes a week of work"`
}

const firstDestinationDoc = `Uploads to a destination that the entity never used before.

What it sees: 20 MB or more in a day, or 100 MB if more than one and 2 % of the others use it, and a twentieth of the entity's usual day, to a registered domain, a cloud host or an
address that it did not use in the 90 days before, with whatever request and however few bytes; or less a day, if it makes 100 MB
within 7 days of the first use; or 100 MB to several such places, which nobody used until a week ago, together. The risk is higher if at most
2 % of the others use it, or if nobody did until a week ago, and then once more if the machine uses at most five destinations; it is lower if half of them use it. The hosts of a file sharing service count as one there. 200 MB and five times what the
entity usually sends in a day, or one usual day on top of another from a machine that uses at most five destinations, to places that nobody used until a week ago, that at most five use now and that hardly answer, are of high severity: in a day to one
place or to several, by one machine or by several, or within a week; of a machine that was seen on under five days before, only these are reported. So is a public resolver: looking up names takes a megabyte a day, and 20 MB are a tunnel.
Why that means exfiltration: people work with the same few services; a thief brings another.
Common false positives: a new customer's portal, a first video call, a new supplier of printing or payroll; networks that log
only addresses, since services change theirs, though calls to the relays of a network that others use are left out. Who sends as much to new destinations on four days of a month does so by habit.
What it cannot see: data in requests that do not upload; uploads to destinations in use, such as a private account on the company's own service (destination_rise); thieves who visit
the destination weeks before; anything in the first 14 days of history.
How to investigate: who owns the destination, since when it is registered, and what was read before the peak named in the evidence.`

func firstDestination() *Detection {
	o := &firstDestinationOptions{Floor: 20e6, KnownFloor: 100e6, YoungFloor: 100e6, Share: 5, MinDays: 14, EntityDays: 5, Rare: 2, Common: 50, Young: 7, Network: 5, HighFloor: 200e6, HighRise: 5}
	d := &Detection{
		Name:       "first_destination",
		Title:      "upload to a destination never used before",
		Doc:        firstDestinationDoc,
		Technique:  "T1567",
		Impact:     65,
		Confidence: 60,
		Verdict:    uploadVerdict,
		Aggregate:  UserDestinationDay,
		Needs:      columnar.ColSet(columnar.URLHost, columnar.BytesOut),
		History:    seenDays,
		Options:    o,
		Fold:       listDestinations,
	}
	d.Short = func(covered []Day, _ Day) string { return shortOf(len(covered), o.MinDays) }
	d.Score = func(in *Input) []Finding { return o.score(in, d.Risk()) }
	return d
}

// A firstUse is a destination that is new to an entity, and what the entity sent there.
type firstUse struct {
	Row
	since    Day     // the first of the days that Row sums up; the judged day if it is one
	days     int     // that the entity was seen on before
	usual    float64 // bytes that the entity sends on a usual day; NaN if not known
	exceeds  float64 // bytes that what is high must reach
	quiet    bool    // the entity uses almost nothing
	small    bool    // too little to be reported alone
	told     bool    // reported on an earlier day, with less
	newcomer bool    // the entity was seen on too few days to know what is new to it
}

// A haul is what left, on the judged day and for the first time, to places that nobody used
// until a week ago: all that one entity sent to them, or all that one of them got.
type haul struct {
	bytes   int64
	exceeds float64 // the highest of the entities'
	places  []Row
}

// high reports whether what left, within so many days, is more than work leaves behind. Bytes to
// one place on dripDays of a week need exceed a day's work by half as much only.
func (o *firstDestinationOptions) high(bytes int64, exceeds float64, days Day) bool {
	if days >= dripDays {
		exceeds /= 2
	}
	return bytes >= int64(o.HighFloor) && float64(bytes) >= exceeds
}

// A new destination that gets data on dripDays days gets a drip.
const dripDays = 4

// few is how many users a destination may have and still be somebody's own: what more begin
// to use within a week is the company's.
const few = 5

// strange reports whether nobody used a destination until a week ago, and few do now, and
// whether it hardly answers.
func (o *firstDestinationOptions) strange(in *Input, u *firstUse, p *popularity) bool {
	return p.users <= few && p.entities >= minPeers && p.first > in.Day-Day(o.Young) && directed(&u.Row) && !talks(&u.Row)
}

// hauls returns the hauls by entity, whose keys have no object, and by destination, whose
// keys have no entity.
func (o *firstDestinationOptions) hauls(in *Input, firsts []firstUse, used map[destination]*popularity) map[Key]*haul {
	all := map[Key]*haul{}
	for i := range firsts {
		u := &firsts[i]
		if u.since != in.Day || !o.strange(in, u, used[destination{u.Feed, u.Object}]) {
			continue
		}
		entity := u.Key
		entity.Object = ""
		for _, k := range [...]Key{entity, {Feed: u.Feed, Object: u.Object}} {
			h := all[k]
			if h == nil {
				h = &haul{exceeds: u.exceeds}
				all[k] = h
			}
			h.bytes, h.exceeds, h.places = addBytes(h.bytes, u.BytesOut), max(h.exceeds, u.exceeds), append(h.places, u.Row)
		}
	}
	return all
}

func (o *firstDestinationOptions) score(in *Input, risk int) []Finding {
	firsts := o.firsts(in)
	var keys []Key
	for i := range firsts {
		keys = append(keys, firsts[i].Key)
	}
	used := in.popularity(keys)
	networks := in.networkUsers(firsts)
	hauls := o.hauls(in, firsts, used)
	var findings []Finding
	for i := range firsts {
		f, p := &firsts[i], used[destination{firsts[i].Feed, firsts[i].Object}]
		if answers(&f.Row) && networks[networkOf(f.Key)]-1 >= o.Network || p.tenant(f.Object) || p.devices(f.Object) {
			continue
		}
		entity := f.Key
		entity.Object = ""
		if h := hauls[entity]; h != nil && len(h.places) >= spreadPlaces && h.bytes >= int64(o.YoungFloor) {
			findings = append(findings, o.spread(in, entity, h, risk))
			delete(hauls, entity)
		}
		if f.small || p.entities >= minPeers && !p.rare(o.Rare) && p.first < in.Day-Day(o.Young) && f.BytesOut < int64(o.KnownFloor) {
			continue
		}
		high := o.strange(in, f, p) && o.high(f.BytesOut, f.exceeds, in.Day-f.since+1) || isResolver(f.Object)
		if h := hauls[Key{Feed: f.Feed, Object: f.Object}]; h != nil {
			high = high || o.high(h.bytes, h.exceeds, 1)
		}
		if (f.told || f.newcomer) && !high {
			continue
		}
		findings = append(findings, o.finding(in, f, p, risk, high))
	}
	return findings
}

// spreadPlaces is from how many places on a haul of one entity is a finding of its own, and
// shownPlaces how many of them a sentence names.
const spreadPlaces, shownPlaces = 2, 3

// spread returns the finding of what an entity sent to several new places.
func (o *firstDestinationOptions) spread(in *Input, entity Key, h *haul, risk int) Finding {
	slices.SortStableFunc(h.places, func(a, b Row) int { return cmp.Compare(b.BytesOut, a.BytesOut) })
	var named []string
	for i := range h.places[:min(len(h.places), shownPlaces)] {
		named = append(named, fmt.Sprintf("%s (%s)", printable(h.places[i].Object), size(float64(h.places[i].BytesOut))))
	}
	if rest := len(h.places) - shownPlaces; rest > 0 {
		named = append(named, fmt.Sprintf("%d more", rest))
	}
	f := Finding{
		Key: entity, Score: float64(h.bytes), Threshold: float64(o.YoungFloor), Observed: float64(h.bytes), Baseline: 0, Unit: "B/day",
		Window: in.Day.window(), Summary: sum(h.places), RiskScore: min(risk*(100+2*riskStep)/100, 100),
	}
	if o.high(h.bytes, h.exceeds, 1) {
		f.Severity = High
	}
	f.Why = fmt.Sprintf("%s sent %s on %s to %s that nobody in the log had used until a week before: %s.",
		printable(f.Who()), size(f.Observed), in.Day, count(int64(len(h.places)), "place"), strings.Join(named, ", "))
	return f
}

// firsts returns the first uses to report.
func (o *firstDestinationOptions) firsts(in *Input) []firstUse {
	var all []firstUse
	var u usage
	begin := 0      // in all: the entity's
	var habit []Row // its first uses on earlier days
	end := func() {
		entity := all[begin:]
		all = all[:begin]
		rise := o.HighRise
		if u.aside(in, entity) {
			rise = 1
		}
		for _, f := range entity {
			if f.exceeds = rise * f.usual; !often(habit, &f.Row) {
				all = append(all, f)
			}
		}
		begin, habit = len(all), habit[:0]
	}
	for key, rows := range in.Series {
		if key.Object == "" {
			end()
			u.begin(key, rows)
			continue
		}
		covered := in.Covered(key.Feed)
		if len(covered) < o.MinDays || !u.has(key) {
			continue
		}
		past, today := in.before(rows)
		for i := range past {
			r := &past[i]
			if r.Day >= in.Day-baselineDays && r.Day >= covered[o.MinDays-1] && r.BytesOut >= int64(o.Floor) && !u.before(r.Day, key.Object) {
				habit = append(habit, *r)
			}
		}
		if today == nil || in.Own(key.Object) {
			continue
		}
		f, ok := o.firstUse(in, &u, past, today)
		if !ok {
			continue
		}
		f.usual, f.quiet = u.usual(in), u.quiet(in)
		for i := range u.days {
			if u.days[i].Day < in.Day {
				f.days++
			}
		}
		if f.days < o.EntityDays { // all is new to it: what nobody else uses may tell
			f.newcomer = true
			if math.IsNaN(f.usual) {
				f.usual = 0
			}
			if f.BytesOut >= int64(o.HighFloor) {
				all = append(all, f)
			}
			continue
		}
		if f.small || !(float64(f.BytesOut) < o.Share/100*f.usual*float64(in.Day-f.since+1)) {
			all = append(all, f)
		}
	}
	end()
	return all
}

// firstUse returns what an entity sent to a destination, and whether that is to be
// considered: on the day of the first use, or if enough was sent by the judged day, and not
// by the day before, if the first use is only days ago. A reported use is considered again if it grows.
func (o *firstDestinationOptions) firstUse(in *Input, u *usage, past []Row, today *Row) (firstUse, bool) {
	f := firstUse{Row: *today, since: in.Day, usual: math.NaN()}
	if !u.before(in.Day, today.Object) {
		f.small = today.BytesOut < int64(o.Floor)
		return f, true
	}
	young := in.Day - Day(o.Young) + 1
	week, before := past[len(past):], int64(0)
	for n := len(past) - 1; n >= 0 && past[n].Day >= young; n-- {
		week, before = past[n:], addBytes(before, past[n].BytesOut)
	}
	if len(week) == 0 || addBytes(before, today.BytesOut) < int64(o.YoungFloor) || u.before(young, today.Object) {
		return f, false
	}
	f.since, f.Summary = week[0].Day, sum(week).Merge(today.Summary)
	judged := func(d Day) bool { return in.Covered(today.Feed)[o.MinDays-1] < d }
	f.told = judged(f.since) && week[0].BytesOut >= int64(o.Floor) || judged(in.Day-1) && before >= int64(o.YoungFloor)
	return f, !f.told || before < int64(o.HighFloor) && f.BytesOut >= int64(o.HighFloor)
}

// aside reports whether what a quiet machine sent to new places came on top of what it sends on a usual
// day. Where the place of a backup has another address today, the usual is missing.
func (u *usage) aside(in *Input, firsts []firstUse) bool {
	if len(firsts) == 0 || !firsts[0].quiet || math.IsNaN(firsts[0].usual) {
		return false
	}
	_, today := in.before(u.days)
	if today == nil {
		return false
	}
	rest := today.BytesOut
	for i := range firsts {
		if firsts[i].since == in.Day {
			rest -= firsts[i].BytesOut
		}
	}
	return float64(rest) >= firsts[0].usual/2
}

// often reports whether an entity sent at least half of what a first use has to a new destination on
// habitDays days. Frequent callers have new relays each time, but these answer and have no names.
func often(firsts []Row, r *Row) bool {
	days := map[Day]bool{}
	for i := range firsts {
		if p := &firsts[i]; p.BytesOut >= r.BytesOut-r.BytesOut/2 && isAddress(p.Object) == isAddress(r.Object) && (!answers(p) || answers(r)) {
			days[p.Day] = true
		}
	}
	return len(days) >= habitDays
}

// answers reports whether a destination is not only given to: calls go both ways, and what
// takes an upload confirms it with a hundredth.
func answers(r *Row) bool { return directed(r) && r.BytesIn >= r.BytesOut/10 }

// networkOf returns the beginning that the addresses of the network of a destination share
// in text, with the feed: two parts of the address, which is /16 of IPv4 and /32 of IPv6.
// The object is "" if the destination is not an address.
func networkOf(k Key) destination {
	a, err := netip.ParseAddr(k.Object)
	if err != nil {
		return destination{}
	}
	sep := "."
	if a.Is6() {
		sep = ":"
	}
	first, rest, _ := strings.Cut(k.Object, sep)
	second, _, ok := strings.Cut(rest, sep)
	if !ok || first == "" || second == "" {
		return destination{}
	}
	return destination{k.Feed, first + sep + second + sep}
}

// networkUsers returns how many entities use the networks of the destinations that answer.
func (in *Input) networkUsers(firsts []firstUse) map[destination]int {
	users := map[destination]int{}
	feeds := map[string][]string{}
	for i := range firsts {
		n := networkOf(firsts[i].Key)
		if _, ok := users[n]; !ok && n.object != "" && answers(&firsts[i].Row) {
			users[n] = 0
			feeds[n.feed] = append(feeds[n.feed], n.object)
		}
	}
	if len(users) == 0 {
		return users
	}
	for key, rows := range in.Series {
		if key.Object != "" {
			continue
		}
		for _, network := range feeds[key.Feed] {
			if slices.ContainsFunc(rows, func(r Row) bool {
				at, _ := slices.BinarySearch(r.Destinations, network)
				return at < len(r.Destinations) && strings.HasPrefix(r.Destinations[at], network)
			}) {
				users[destination{key.Feed, network}]++
			}
		}
	}
	return users
}

// riskStep is by how many percent what is known of a destination changes the risk.
const riskStep = 15

func (o *firstDestinationOptions) finding(in *Input, u *firstUse, p *popularity, risk int, high bool) Finding {
	r := &u.Row
	out := float64(r.BytesOut)
	f := Finding{
		Key: r.Key, Score: out, Threshold: float64(o.Floor), Observed: out, Baseline: 0, Unit: "B/day",
		Window: in.Day.window(), Summary: r.Summary,
	}
	days := in.Day - u.since + 1
	when := "on " + in.Day.String()
	if days > 1 {
		f.Threshold, f.Unit, f.Window[0] = float64(o.YoungFloor), fmt.Sprintf("B/%d days", days), u.since.window()[0]
		when = fmt.Sprintf("in the %d days to %s", days, in.Day)
	}
	usual := "how much it sends on a usual day is not known"
	if !math.IsNaN(u.usual) {
		f.Threshold = max(f.Threshold, o.Share/100*u.usual*float64(days))
		usual = "it sends " + size(u.usual) + " in all on a usual day"
	}
	percent := 100
	switch {
	case p.rare(o.Rare):
		percent += riskStep
	case p.share() >= o.Common:
		percent -= riskStep
	}
	since := ""
	if young := p.first >= in.Day-Day(o.Young); young {
		percent += riskStep
		if users, _ := p.others(); users > 0 {
			since = ", nobody before " + p.first.String()
		}
	}
	also := ""
	if u.quiet && p.first >= in.Day-Day(o.Young) {
		percent += riskStep
		also = fmt.Sprintf(" It uses at most %d destinations, as machines do at which nobody works.", quietDestinations)
	}
	f.RiskScore = min(risk*percent/100, 100)
	f.Label = supportLabel(r.Object)
	if high {
		f.Severity = High
	}
	if isResolver(r.Object) {
		f.Technique, also = dnsTechnique, resolverText
	}
	history, _ := slices.BinarySearch(in.Covered(r.Feed), u.since)
	if u.newcomer {
		usual = "it was seen on " + count(int64(u.days), "day") + " before"
	}
	f.Why = fmt.Sprintf("%s sent %s to %s %s, and never used that destination in the %s before; %s, and %s%s.",
		printable(f.Who()), size(out), printable(r.Object), when, count(int64(history), "day"), usual, p, since) + also + andNamed(&r.Summary) + andBlocked(&r.Summary)
	return f
}
