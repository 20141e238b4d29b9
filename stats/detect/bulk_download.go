package detect

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"

	"outflow/columnar"
	"outflow/columnar/scan"
)

type bulkDownloadOptions struct {
	Threshold   float64 `yaml:"threshold" unit:"z" tune:"2.5 3 3.5 4 5 6" doc:"a day above this, in bytes or in objects, is unusual, as for upload_zscore; days under a gigabyte or 1,000 objects need up to 1.5 more, and objects 0.5 more where the bytes are known and usual"`
	Floor       Bytes   `yaml:"floor" unit:"B/day" tune:"50MB 100MB 200MB 500MB 1GB" doc:"days below this are not reported for their bytes; less is a few presentations"`
	Objects     int     `yaml:"objects" unit:"objects/day" tune:"25 50 100 200 500" doc:"days with fewer distinct objects are not reported for their number; less is a meeting's folder, more misses who picks what to take"`
	MinDays     int     `yaml:"min_days" unit:"days" doc:"with fewer days of baseline the cold start rule applies"`
	PeerDays    int     `yaml:"peer_days" unit:"days" doc:"weight, in days, of the organisation's usual spread beside the entity's own; more steadies short histories, less trusts them"`
	ColdFloor   Bytes   `yaml:"cold_floor" unit:"B/day" doc:"cold start: days below this are not reported for their bytes; from 4 times this on they are medium, from 20 times on high"`
	ColdObjects int     `yaml:"cold_objects" unit:"objects/h" doc:"cold start: days without so many distinct objects in an hour are not reported for their number; from 4 times this on they are medium, from 20 times on high"`
	ColdPercent float64 `yaml:"cold_percent" unit:"%" doc:"cold start: the share of all entities' days that the day must exceed"`
}

const bulkDownloadDoc = `Bytes and distinct objects that an entity downloaded in a day from a cloud service, a file server or a web server of the company's
own, against the 30 days before.

What it sees: a day on which a user (or address, or host) fetched several times more than on the days before, from the
buckets, sites and repositories of one service: in bytes, by the rule of upload_zscore, or in distinct objects, on log(1 + n),
which needs no byte counts. A repository counts as 10 objects there, a secret as 20, and a file that endpoint DLP saw copied to a removable disk, printed or uploaded by a browser as 4. The finding tells the busiest hour, and what is new: an address or an application that the entity
did not use in the days before, a place that it never read from, access by nobody or by a link, twice as much as anyone took in a day; each raises the risk, and
makes a large day of twice the threshold high. A large day that is four times anyone's is high, and one that is twice anyone's with another sign; where
too few others download to tell, one that is ten times all its own with another sign.
Why that means exfiltration: with a stolen account, key or link, or before leaving the company, people take data by downloading it, often past
every machine of the company.
Of file servers (SMB, NFS and AFP to an address inside) and of the sessions of a VPN, only the bytes are known; a gigabyte is the least, and 4 GB of a VPN.
Common false positives: a first synchronisation of a new laptop, a migration, a new analysis job, an audit. After the same
level on four days, of a machine or service account in a feed's first week on two, it is a habit; so it is of these on the same day of both weeks before. Jobs with a regular volume are their own baseline. With under 7 days of history the day is
compared with the organisation, if need be without what jobs fetch daily, and with fixed limits; a service account in a feed's first week is taken less seriously, and so is somebody new in a log that is not, but for twice what anyone took,
and an address outside that reads where nobody unknown did more so. Addresses
outside that read without a user from a web server, or from a bucket that such addresses read on at least four days before,
can be anybody: those findings are at most low, unless one takes more than 3 times what any other took from a web server on any day; more than 10 times is high from 10 GB on.
What it cannot see: one bucket among much larger downloads of the same entity, slow downloads, what is read but not
downloaded (previews, listings, queries within the service), data events that the service does not log, and countries.
How to investigate: what the objects are (the peak's evidence), from where and with what they were fetched, whether the person
signed in then, and where the data went next (upload_zscore, cloud_upload).`

func bulkDownload() *Detection {
	o := &bulkDownloadOptions{
		Threshold: 3.5, Floor: 200e6, Objects: 50, MinDays: 7, PeerDays: 25,
		ColdFloor: 500e6, ColdObjects: 200, ColdPercent: 99.5,
	}
	d := &Detection{
		Name:       "bulk_download",
		Title:      "downloads far above baseline",
		Doc:        bulkDownloadDoc,
		Technique:  "T1530",
		Impact:     70,
		Confidence: 60,
		Verdict:    downloadVerdict,
		Aggregate:  ObjectDay,
		Needs:      columnar.ColSet(columnar.Operation, columnar.Resource, columnar.URLPath),
		History:    baselineDays,
		Options:    o,
	}
	d.Score = func(in *Input) []Finding {
		b := bulkJudge{o: o, in: in, risk: d.Risk()}
		return b.judge()
	}
	return d
}

// From coldMedium times the limit on, a cold start is medium, and from coldHigh on, high:
// by default 2 and 10 GB, and 800 and 4,000 objects in an hour. Sentinel and Elastic
// have rules for 5,000 in 15 minutes and 25 in 8.
const coldMedium, coldHigh = 4, 20

// A bulkHalf is one of the two quantities that a day is judged by.
type bulkHalf struct {
	bulkLimits
	all    []baseline // of each service with a row on the judged day
	maxima map[bulkPeers]*bulkMax
	days   map[cohort][]float64 // of the feed, for the cold start
}

// bulkLimits say from when on a quantity is much.
type bulkLimits struct {
	quantity
	unit  string
	floor int64
	cold  func(r *Row) float64 // how many times the limit of the cold start it is
	show  func(value float64) string
}

// bytesIn and objectsRead measure downloads.
var (
	bytesIn     = quantity{of: func(r *Row) int64 { return r.BytesIn }, blind: func(r *Row) bool { return r.KnownIn == 0 && r.Events > 0 }, scale: 1, large: 1e9}
	objectsRead = quantity{of: func(r *Row) int64 { return r.Names }, blind: func(r *Row) bool { return false }, scale: 1e6, large: 1000}
)

// objects shows a number of objects.
func objects(n float64) string { return count(int64(math.Round(n)), "object") }

type bulkJudge struct {
	o      *bulkDownloadOptions
	in     *Input
	risk   int
	halves [2]bulkHalf
	firsts []int                 // by number of an entity: of how many services in bulkHalf.all are those before it
	limits [][2]*bulkLimits      // of each service in bulkHalf.all
	users  map[string]bool       // the feeds that name users
	public map[feedObject]uint64 // days on which an address outside read from a place, as of placeDays
	many   map[feedObject]int    // of a feed and a type of entities, how many download

	limitsOf map[int64][2]*bulkLimits // by what an object weighs
	cold     []bulkNewcomer

	newcomers bool // somebody with too short a baseline may be found
	found     []Finding
}

type feedObject struct{ feed, object string }

// A bulkPeers is those who download from a service and may be compared: people with people,
// jobs with jobs.
type bulkPeers struct {
	feed, service, entityType string
	job                       bool
}

// A bulkMax is the most that any of them took in a day.
type bulkMax struct {
	past  int64 // on a day before
	today topTwo[Key]
}

// without returns the most without what an entity took on the judged day.
func (m *bulkMax) without(k Key) int64 { return max(m.past, m.today.without(k)) }

// always is the share of a feed's days on which a job downloads; people have weekends.
const always = 0.9

// peers returns those with whom a service is compared. Who is called a service account is a job from its second day
// on, also one of each Sunday.
func (b *bulkJudge) peers(s *downloadService) bulkPeers {
	past, _ := b.in.before(s.rows)
	days := len(b.in.baselineDays(s.key.Feed))
	job := days >= b.o.MinDays && float64(len(past)) >= always*float64(days) || len(past) > 0 && b.in.Group(s.key) == ServiceGroup
	return bulkPeers{s.key.Feed, s.key.Object, s.key.EntityType, job}
}

// peerRatio returns how many times the most that any of its peers, or it itself, took on any day a service's
// judged day is, in bytes or in objects; 0 if a feed has no history, or too few entities to compare with.
func (b *bulkJudge) peerRatio(s *downloadService, today *Row) (ratio float64) {
	if b.many[feedObject{s.key.Feed, s.key.EntityType}] < minPeers || len(b.in.baselineDays(s.key.Feed)) < b.o.MinDays || b.isPublic(s) {
		return 0
	}
	peers := b.peers(s)
	for h, l := range b.weigh(objectWeight(s.key.Object)) {
		if m := b.halves[h].maxima[peers]; m != nil && l.cold(today) >= 1 {
			ratio = max(ratio, float64(l.of(today))/float64(max(m.without(s.key), 1)))
		}
	}
	return ratio
}

// outgrows reports whether the judged day of a service is ownHighRatio times the largest of its own days,
// where fewer than minPeers others might be compared with, as where an application is the only reader.
func (b *bulkJudge) outgrows(l *bulkLimits, s *downloadService, series splitSeries) bool {
	if b.many[feedObject{s.key.Feed, s.key.EntityType}] >= minPeers || b.isPublic(s) {
		return false
	}
	most := int64(0)
	for i := range series.past {
		most = max(most, l.of(&series.past[i]))
	}
	return l.of(series.today)/ownHighRatio >= max(most, 1)
}

// From ownHighRatio times all its own days on, a day of an entity without peers is high.
const ownHighRatio = 10

// From highPeerRatio times the largest day of all peers on, a day is unusual for the company, and not
// only for the entity; the first day of a month may double it. From extremePeerRatio times on it is
// high by itself.
const highPeerRatio, extremePeerRatio = 2, 4

func (b *bulkJudge) judge() []Finding {
	b.halves = [2]bulkHalf{
		{
			bulkLimits: bulkLimits{
				quantity: bytesIn,
				unit:     "B/day", floor: int64(b.o.Floor), show: size,
				cold: func(r *Row) float64 { return float64(r.BytesIn) / float64(max(b.o.ColdFloor, 1)) },
			},
		},
		{
			bulkLimits: bulkLimits{
				quantity: objectsRead,
				unit:     "objects/day", floor: int64(b.o.Objects), show: objects,
				// The window is that of one place; an entity that reads many takes as much in five hours.
				cold: func(r *Row) float64 {
					return max(float64(r.WindowNames), float64(r.Names)/5) / float64(max(b.o.ColdObjects, 1))
				},
			},
		},
	}
	b.limitsOf = map[int64][2]*bulkLimits{}
	for h := range b.halves {
		b.halves[h].days = map[cohort][]float64{}
		b.halves[h].maxima = map[bulkPeers]*bulkMax{}
	}
	if !b.baselines() {
		return nil
	}
	feed, entity, n := "", -1, 0
	for s := range b.in.downloadServicesOf(b.judges) {
		if s.entity != entity {
			entity, n = s.entity, b.firsts[s.entity]
		}
		if s.key.Feed != feed {
			b.endFeed()
			feed = s.key.Feed
		}
		if b.newcomers {
			b.addDays(s)
		}
		if past, today := b.in.before(s.rows); today != nil {
			b.service(s, splitSeries{s.key, past, today}, n)
			n++
		}
	}
	b.endFeed()
	return b.found
}

// addDays adds the days of a service to those that newcomers are compared with.
func (b *bulkJudge) addDays(s *downloadService) {
	all, people := cohort{service: s.key.Object}, cohort{s.key.Object, true}
	job := b.peers(s).job
	for h := range b.halves {
		half := &b.halves[h]
		days := half.days[all]
		before := len(days)
		for i := range s.rows {
			if !half.blind(&s.rows[i]) {
				days = append(days, float64(half.of(&s.rows[i])))
			}
		}
		half.days[all] = days
		if !job {
			half.days[people] = append(half.days[people], days[before:]...)
		}
	}
}

// baselines fills in the baselines, and reports whether any day may be unusual.
func (b *bulkJudge) baselines() bool {
	var x sample
	feed, first := "", 0
	may := false
	b.users, b.public, b.many = map[string]bool{}, map[feedObject]uint64{}, map[feedObject]int{}
	end := func() {
		for h := range b.halves {
			half := &b.halves[h]
			steady(half.all[first:], b.o.MinDays, b.o.PeerDays)
			for i := range half.all[first:] {
				may = may || b.over(h, first+i)
			}
		}
		first = len(b.halves[0].all)
	}
	for s := range b.in.downloadServices() {
		for _, p := range s.before {
			b.public[feedObject{s.key.Feed, p.object}] |= p.days
		}
		if s.key.EntityType == columnar.User.String() {
			b.users[s.key.Feed] = true
		}
		if s.entity == len(b.firsts) {
			b.firsts = append(b.firsts, len(b.halves[0].all))
			b.many[feedObject{s.key.Feed, s.key.EntityType}]++
		}
		past, today := b.in.before(s.rows)
		peers := b.peers(s)
		for h := range b.halves {
			half := &b.halves[h]
			most := half.maxima[peers]
			if most == nil {
				most = &bulkMax{}
				half.maxima[peers] = most
			}
			for i := range past {
				most.past = max(most.past, half.of(&past[i]))
			}
			if today != nil {
				most.today.add(s.key, half.of(today))
			}
		}
		if today == nil {
			continue
		}
		if s.key.Feed != feed {
			end()
			feed = s.key.Feed
		}
		b.limits = append(b.limits, b.weigh(objectWeight(s.key.Object)))
		for h := range b.halves {
			half := &b.halves[h]
			half.all = append(half.all, x.baseline(b.inputOf(s), &half.quantity, splitSeries{s.key, past, today}))
			n := len(half.all) - 1
			b.newcomers = b.newcomers || b.isCold(h, n, today)
		}
	}
	end()
	return may || b.newcomers
}

// judges reports whether a day of an entity may be unusual, or its days are what newcomers are compared with.
func (b *bulkJudge) judges(entity int) bool {
	if b.newcomers {
		return true
	}
	end := len(b.halves[0].all)
	if entity+1 < len(b.firsts) {
		end = b.firsts[entity+1]
	}
	for n := b.firsts[entity]; n < end; n++ {
		if b.over(0, n) || b.over(1, n) {
			return true
		}
	}
	return false
}

// inputOf returns the input with the days of a service that were reported under one of
// its places.
func (b *bulkJudge) inputOf(s *downloadService) *Input {
	if len(s.reported) == 0 {
		return b.in
	}
	in := *b.in
	in.Flagged = func(k Key, d Day) bool { return slices.Contains(s.reported, d) || b.in.Flagged(k, d) }
	return &in
}

// objectsAlone is how far objects must exceed the threshold on a day whose bytes are
// known and usual. Judged twice by the same threshold, .36 % of the ordinary days of
// erratic readers would be found instead of .22 %; see TestSimulation.
const objectsAlone = 0.5

// weigh returns the limits of a service: what few objects are depends on what an object is.
func (b *bulkJudge) weigh(weight int64) [2]*bulkLimits {
	limits, ok := b.limitsOf[weight]
	if ok {
		return limits
	}
	for h := range limits {
		l := b.halves[h].bulkLimits
		limits[h] = &l
	}
	if bytes := limits[0]; weight < 0 {
		bytes.floor *= -weight
		cold := bytes.cold
		bytes.cold = func(r *Row) float64 { return cold(r) / float64(-weight) }
	}
	if objects := limits[1]; weight > 1 {
		objects.floor = (objects.floor + weight - 1) / weight
		objects.large /= weight
		cold := objects.cold
		objects.cold = func(r *Row) float64 { return float64(weight) * cold(r) }
	}
	b.limitsOf[weight] = limits
	return limits
}

// over reports whether a half of the n-th day exceeds the threshold of its own baseline.
func (b *bulkJudge) over(h, n int) bool {
	limits, u := b.limits[n][h], &b.halves[h].all[n]
	threshold := u.least(&limits.quantity, b.o.Threshold, u.value)
	if h == 1 && !b.halves[0].all[n].blind && !b.over(0, n) {
		threshold += objectsAlone
	}
	return !u.blind && int(u.days) >= b.o.MinDays && u.value >= limits.floor && u.z(&limits.quantity) > threshold
}

// isCold reports whether a half of the n-th day has too short a baseline and exceeds the limit of the cold start.
func (b *bulkJudge) isCold(h, n int, today *Row) bool {
	u := &b.halves[h].all[n]
	return !u.blind && int(u.days) < b.o.MinDays && b.limits[n][h].cold(today) >= 1
}

// service judges the n-th service with downloads on the judged day: by the half by which
// it is the more unusual.
func (b *bulkJudge) service(s *downloadService, series splitSeries, n int) {
	best, score := -1, 0.0
	for h := range b.halves {
		limits, u := b.limits[n][h], &b.halves[h].all[n]
		z := 0.0
		switch {
		case b.over(h, n) && !b.inputOf(s).known(&limits.quantity, s.key, u.value, series.past, u.likeDay(b.in.Day)) && !b.in.weekly(&limits.quantity, s.key, u.value, series.past):
			z = u.z(&limits.quantity) / b.o.Threshold
		case b.isCold(h, n, series.today) && !b.in.habitual(&limits.quantity, s.key, u.value, series.past):
			z = limits.cold(series.today)
		}
		if z > score {
			best, score = h, z
		}
	}
	if best < 0 {
		return
	}
	limits := b.limits[n][best]
	if u := &b.halves[best].all[n]; int(u.days) >= b.o.MinDays {
		b.found = append(b.found, b.unusual(limits, s, series, u))
	} else if c := b.newcomer(limits, s, series, u); c.RiskScore > 0 {
		c.of = best
		for h := range b.halves {
			c.day[h] = float64(b.halves[h].of(series.today))
			for i := range s.rows {
				if !b.halves[h].blind(&s.rows[i]) {
					c.own[h] = append(c.own[h], float64(b.halves[h].of(&s.rows[i])))
				}
			}
		}
		b.cold = append(b.cold, c)
	}
}

// finding returns the finding of a day, without what is usual.
func (b *bulkJudge) finding(l *bulkLimits, s *downloadService, series splitSeries) Finding {
	f := Finding{
		Key: s.key, Threshold: b.o.Threshold, Observed: float64(l.of(series.today)), Baseline: math.NaN(),
		Unit: l.unit, Window: b.in.Day.window(), Summary: series.today.Summary,
	}
	f.Object = s.object(l)
	f.Technique = techniqueOf(s.key.Object)
	f.Summary.Clients = slices.Sorted(slices.Values(slices.Concat(s.addresses.today, s.agents.today)))
	return f
}

// techniqueOf returns the ATT&CK technique of downloads from a service.
func techniqueOf(service string) string {
	switch service {
	case fileServer, vpnService:
		return "T1039"
	case "github", "gitlab", "codecommit":
		return "T1213.003"
	case "redshift-data", "rds-data", "athena", "bigquery", "postgresql", "dynamodb", "snowflake":
		return "T1213.006"
	case "exchange", "mail-folders", "graph":
		return "T1114.002"
	case "secretsmanager", "secretmanager", "keyvault", "ssm", "vault":
		return "T1555.006"
	case "1password", "bitwarden":
		return "T1555.005"
	case "kubernetes":
		return "T1552.007"
	case removableMedia:
		return "T1052.001"
	case printers:
		return "T1052"
	case browserUpload:
		return "T1567.002"
	case "m365", "drive", "box", "dropbox", "slack", "salesforce", "powerbi", "dynamics", "confluence", "hubspot", "smartsheet", "applications":
		return "T1213"
	}
	return "T1530"
}

// object returns the place that most was downloaded from, if that is nearly all, else
// the service.
func (s *downloadService) object(l *bulkLimits) string {
	most, all := s.places[0], int64(0)
	value := func(p downloadPlace) int64 {
		return l.of(&Row{Summary: Summary{BytesIn: p.bytes, Names: p.objects}})
	}
	for _, p := range s.places {
		all = addBytes(all, value(p))
		if value(p) > value(most) {
			most = p
		}
	}
	if value(most) < all-all/5 {
		return s.key.Object
	}
	return strings.TrimSuffix(most.object, "/")
}

// unusual returns the finding of a day over the threshold.
func (b *bulkJudge) unusual(l *bulkLimits, s *downloadService, series splitSeries, u *baseline) Finding {
	f := b.finding(l, s, series)
	z := u.z(&l.quantity)
	f.Score, f.Baseline = z, l.value(u.centre)
	f.Threshold = u.least(&l.quantity, b.o.Threshold, u.value)
	limit := func(level float64) float64 { return u.limit(&l.quantity, b.o.Threshold, level, l.floor) }
	far := "so this is " + times(f.Observed/f.Baseline) + " the median"
	if f.Baseline*l.scale < 1e6 {
		far = "so any download of that size is unusual"
	}
	f.Why = fmt.Sprintf("%s; the %s of the %s before is %s and the alert limit is %s, %s (z %.2f, threshold %s).",
		b.said(s, series), u.median(b.in.Day), count(int64(u.days), "day"), l.show(f.Baseline), l.show(limit(u.level(true))), far, z, num(f.Threshold))
	f.Timeline = timeline(b.inputOf(s), &l.quantity, series, func(like bool) (low, mid, up float64) {
		c := u.level(like)
		return l.value(c - b.o.Threshold*u.spread), l.value(c), limit(c)
	})
	f.RiskScore = b.risk
	ratio := b.peerRatio(s, series.today)
	also, signs := b.raise(&f, s, series, true, ratio)
	f.Why += also
	// Twice the threshold alone is what erratic readers do.
	if large := l.cold(series.today); !b.in.precedent(&l.quantity, u.value, series.past) &&
		(z >= 2*b.o.Threshold && (large >= coldHigh || large >= 1 && signs > 0) ||
			large >= 1 && (ratio >= extremePeerRatio || ratio >= highPeerRatio && signs > 0 || signs > 0 && b.outgrows(l, s, series))) {
		f.Severity = High
	}
	return f
}

// said says what was downloaded, as the start of a sentence.
func (b *bulkJudge) said(s *downloadService, series splitSeries) string {
	today := series.today
	amount := count(today.Names, "object")
	switch {
	case objectWeight(s.key.Object) < 0:
		amount = size(float64(today.BytesIn))
	case !b.halves[0].blind(today):
		amount = size(float64(today.BytesIn)) + " in " + amount
	}
	place := printable(strings.TrimSuffix(s.places[0].object, "/"))
	if len(s.places) > 1 {
		place = fmt.Sprintf("%s of %s", count(int64(len(s.places)), "place"), printable(s.key.Object))
	}
	verb, preposition, _ := takenTo(s.key.Object)
	return fmt.Sprintf("%s %s %s %s %s on %s", printable(today.Who()), verb, amount, preposition, place, b.in.Day)
}

// raise raises the risk by a fifth of what is left to 100 for each sign that somebody
// else, or another program, was at work, or that nobody took as much. It returns the sentences
// that say so, and how many signs there are beside the last. Without a baseline nothing is new.
func (b *bulkJudge) raise(f *Finding, s *downloadService, series splitSeries, known bool, ratio float64) (also string, n int) {
	var signs []string
	today := series.today
	sign := func(text string) {
		f.RiskScore += (100 - f.RiskScore) / 5
		signs = append(signs, text)
	}
	if known {
		if fresh := s.addresses.fresh(); len(fresh) > 0 {
			sign("the address " + fresh[0] + " is new to it")
		}
		if fresh := s.agents.fresh(); len(fresh) > 0 {
			sign("the application " + printable(fresh[0]) + " is new to it")
		}
		fresh := slices.DeleteFunc(slices.Clone(s.places), func(p downloadPlace) bool { return p.known })
		switch {
		case len(fresh) == 1:
			sign("it never read from " + printable(strings.TrimSuffix(fresh[0].object, "/")) + " in the days before")
		case len(fresh) > 1:
			sign(fmt.Sprintf("it never read from %d of the places in the days before", len(fresh)))
		}
	}
	if ratio >= highPeerRatio {
		sign("that is at least " + count(int64(ratio), "time") + " what anyone took from " + printable(s.key.Object) + " on any day")
	}
	if b.anonymous(s) {
		sign("nobody was signed in")
	}
	if isGuest(s.key) {
		sign("it is a guest, not somebody of the company")
	}
	if today.Signed > 0 && !slices.ContainsFunc(series.past, func(r Row) bool { return r.Signed > 0 }) {
		sign(count(today.Signed, "call") + " used a signed link, which works for anyone who has it")
	}
	if today.WindowNames > 1 {
		of := ""
		if len(s.places) > 1 {
			of = " of one place"
		}
		also += fmt.Sprintf(" The busiest hour%s, from %s UTC, had %s.", of, time.UnixMicro(today.WindowAt).UTC().Format("15:04"), count(today.WindowNames, "object"))
	}
	if len(signs) > 0 {
		also += " In addition, " + strings.Join(signs, ", ") + "."
	}
	if today.Blocked > 0 {
		also += " " + count(today.Blocked, "more call") + " failed."
	}
	if b.isPublic(s) && !scan.IsInternal([]byte(s.key.Entity)) {
		f.Label = "reader of a public place, who can be anybody"
	}
	if n = len(signs); ratio >= highPeerRatio {
		n--
	}
	return also, n
}

// anonymous reports whether an address read without a user where others sign in.
func (b *bulkJudge) anonymous(s *downloadService) bool {
	return s.key.EntityType == columnar.SrcIP.String() && b.users[s.key.Feed] && objectWeight(s.key.Object) > 0 && !b.isPublic(s)
}

// isPublic reports whether all places that an address read from are for everybody: a web
// server, and a place which addresses outside read on habitDays of the days before. A
// service inside reads with a key and is nobody either.
func (b *bulkJudge) isPublic(s *downloadService) bool {
	if s.key.EntityType != columnar.SrcIP.String() {
		return false
	}
	return s.key.Object == webService || !slices.ContainsFunc(s.places, func(p downloadPlace) bool {
		return bits.OnesCount64(b.public[feedObject{s.key.Feed, p.object}]) < habitDays
	})
}
