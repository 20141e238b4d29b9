package detect

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// An organisation is a company in which nobody steals anything, and the aggregates of its
// logs: of a proxy that names users, and of the audit log of its cloud services. What a person
// does on a day depends on nothing but the seed, the person and the day. All draws are
// independent; "from … to" is even over the logarithms.
//
//   - A person uploads log-normal days, with a median from 1 to 50 MB and σ evenly from .4
//     to 1.5; works 94 of 100 weekdays; and, one in six people, every other day of a weekend,
//     for a third of that.
//   - 5 of 100 people are bursty: on one working day of 20 they upload 10 to 50 times as much.
//   - 2 of 100 entities are service accounts, which upload 100 MB to 20 GB every day, σ .2, to
//     two destinations; one in three of them five times as much on Sundays.
//   - 2 of 100 join in the 60 days from the first night, and upload three times as much in their first
//     five days.
//   - A person has 60 habitual destinations and uses 25 of them a day. The organisation has
//     3,000; half of a person's are among the 100 that everybody uses. On average a person goes
//     to two new ones a day (one in 50 people to 20), half of them new to all. Seven of the
//     100, and one in 50 of the others, are foreign cloud services. The bytes of a day are
//     shared out among the habitual ones by log-normal weights, σ 2; a new one gets
//     log-normal bytes beside, median 20 kB and σ 2, as in population.
//   - A destination answers with log-normal bytes, median 500 kB and σ 1.5, and with a byte for
//     200.
//   - 60 of 100 people read from a cloud service on each day that they work: log-normal objects,
//     with a median from 3 to 100 and the σ of their uploads. Half of them read from one
//     that logs no bytes; else the mean object is log-normal, median 500 kB and σ .5. A fifth of
//     the objects is from a second place. On one day of 50 there is a third, ever new place, and
//     on one of 100 a new address, and a new application.
//   - 300 machines poll a destination day and night, every 10 s to 4 h, with jitter up to 20 % and
//     up to 5 % missed: a third poll one of four vendors, a third a time, update or certificate
//     service, and a third a destination of their own. Every tenth of these begins on a judged
//     night. Each person visits six sites on each working day between nine and five, from .5
//     to 6 times an hour, and loads 1 to 12 pages then. A beat sends 300 B to 5 kB and receives
//     twice that.
type organisation struct {
	first     Day // of the logs
	employees []employee
	names     []string // of the destinations; the first 100 are everybody's
	cloud     []bool   // by destination: it is a cloud service
	rank      []int32  // by destination: its place in the order of the names
	pairs     []Row    // of pair_times
	seed      uint64
	source    rand.PCG
	random    *rand.Rand // of source, as draw sets it
}

// An employee is a person or a service account.
type employee struct {
	name          string
	service       bool
	median, sigma float64 // MB, natural log
	burst         bool
	weekends      bool
	full          bool // makes a full backup on Sundays
	joined        Day
	fresh         float64   // destinations a day that it never used
	habits        [60]int32 // destinations
	objects       float64   // median; 0: it reads none
	reads         string    // from that service
	days          []workday // since the first day of the logs
}

// A workday is what an employee sent on a day; no uses: it did not work.
type workday struct {
	out, in int64
	uses    []use // in the order of the names of their destinations
}

// A use is what a destination got and gave in a day.
type use struct {
	name    int32
	out, in float32
}

const (
	firstNight = simulatedDay - 45 // a Monday
	// organisationDays is how many days of logs there are before the first night.
	organisationDays = 90
	everybodys       = 100
)

func newOrganisation(seed uint64, employees, nights int) *organisation {
	o := &organisation{seed: seed, first: firstNight - organisationDays}
	o.random = rand.New(&o.source)
	popular := []string{"dropbox.com", "wetransfer.com", "drive.google.com", "github.com", "mail.google.com", "discord.com", "gitlab.com"}
	for i := range 3000 {
		switch {
		case i < len(popular):
			o.name(popular[i])
		case i >= everybodys && i%50 == 0:
			o.name(fmt.Sprintf("team%d.s3.amazonaws.com", i))
		default:
			o.name(fmt.Sprintf("site%d.example", i))
		}
	}
	sites := len(o.names)
	for i := range employees {
		r := o.draw(i, 0, 0)
		e := employee{name: fmt.Sprintf("%06d", i), median: logEven(r, 1, 50), sigma: .4 + 1.1*r.Float64(), fresh: 2,
			burst: r.IntN(20) == 0, weekends: r.IntN(6) == 0}
		if i >= employees-employees/50 {
			e.name = fmt.Sprintf("svc-%06d", i) // after the others, as keys must be
			e.service, e.median, e.sigma, e.full, e.burst = true, logEven(r, 100, 20e3), .2, r.IntN(3) == 0, false
		}
		if r.IntN(50) == 0 {
			e.joined = firstNight + Day(r.IntN(60))
		}
		if r.IntN(50) == 0 {
			e.fresh = 20
		}
		for j := range e.habits {
			e.habits[j] = int32(r.IntN([]int{everybodys, sites}[j%2]))
		}
		if r.IntN(10) < 6 {
			e.objects, e.reads = logEven(r, 3, 100), []string{"m365", "s3"}[r.IntN(2)]
		}
		for d := o.first; d < firstNight+Day(nights); d++ {
			e.days = append(e.days, o.workday(i, &e, d, sites))
		}
		o.employees = append(o.employees, e)
	}
	for d := firstNight - beaconHistory; d < firstNight+Day(nights); d++ {
		for i := range o.employees {
			o.visits(i, d)
		}
		for i := range employees * 300 / 10_000 {
			o.poll(i, d)
		}
	}
	sortRows(o.pairs)
	order := make([]int32, len(o.names))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return strings.Compare(o.names[a], o.names[b]) })
	o.rank = make([]int32, len(order))
	for rank, name := range order {
		o.rank[name] = int32(rank)
	}
	return o
}

// pair adds the rows of what a machine and a destination did on a day.
func (o *organisation) pair(machine, destination string, times []float64, r *rand.Rand) {
	if len(times) >= minBeats {
		key := Key{Feed: "proxy", EntityType: "src_ip", Entity: machine, Object: destination}
		rows := beatRows(key, times, func() uint64 { return 300 + r.Uint64N(5000) })
		for i := range rows {
			rows[i].BytesIn, rows[i].KnownIn = 2*rows[i].BytesOut, rows[i].KnownOut
		}
		o.pairs = append(o.pairs, rows...)
	}
}

// visits adds what an employee browsed on a day.
func (o *organisation) visits(i int, d Day) {
	e := &o.employees[i]
	if e.service || len(e.days[d-o.first].uses) == 0 {
		return
	}
	r := o.draw(i, d, 4)
	for site := range 6 {
		rate := o.rate(i, site)
		var times []float64
		for t := r.ExpFloat64() / rate; t < 8; t += r.ExpFloat64() / rate {
			visit := (float64(d)*24 + 9 + t) * 3600
			for range 1 + r.IntN(12) {
				times = append(times, visit)
				visit += math.Exp(math.Log(20) + 1.1*r.NormFloat64())
			}
		}
		o.pair(fmt.Sprintf("10.0.%d.%d", i/250, i%250+1), o.names[e.habits[site]], times, r)
	}
}

// rate returns how often an hour an employee visits a site, from .5 to 6.
func (o *organisation) rate(i, site int) float64 {
	return .5 * math.Pow(12, float64((i*7+site*11)%97)/97)
}

// poll adds what the i-th poller did on a day.
func (o *organisation) poll(i int, d Day) {
	r := o.draw(i, 0, 5)
	period, jitter, missed := logEven(r, 10, 4*3600), .2*r.Float64(), .05*r.Float64()
	destination, begun := fmt.Sprintf("api.vendor%d.example", i%4), Day(0)
	switch i % 3 {
	case 1:
		destination = []string{"pool.ntp.org", "ocsp.digicert.com", "windowsupdate.com", "api.snapcraft.io"}[i/3%4]
	case 2:
		if destination = fmt.Sprintf("api.rare%d.example", i); i/3%10 == 0 {
			begun = firstNight + Day(r.IntN(60))
		}
	}
	if d < begun {
		return
	}
	r = o.draw(i, d, 6)
	var times []float64
	for t := period * r.Float64(); t < 86400; t += period * (1 + jitter*(2*r.Float64()-1)) {
		if r.Float64() >= missed {
			times = append(times, float64(d)*86400+t)
		}
	}
	o.pair(fmt.Sprintf("10.9.%d.%d", i/250, i%250+1), destination, times, r)
}

// name adds a destination.
func (o *organisation) name(name string) int32 {
	_, cloud := CloudHost([]byte(name))
	o.names, o.cloud = append(o.names, name), append(o.cloud, cloud)
	return int32(len(o.names) - 1)
}

func logEven(r *rand.Rand, from, to float64) float64 {
	return from * math.Exp(r.Float64()*math.Log(to/from))
}

// draw returns the randomness of an employee's day, for a purpose. It is valid until the
// next call.
func (o *organisation) draw(employee int, d Day, purpose uint64) *rand.Rand {
	mix := func(x uint64) uint64 { // nearby seeds would begin alike
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		return x ^ x>>31
	}
	o.source.Seed(mix(o.seed<<8|purpose), mix(uint64(employee)<<32|uint64(d)))
	return o.random
}

// workday draws a day. sites is how many destinations the organisation has, the new ones
// apart.
func (o *organisation) workday(i int, e *employee, d Day, sites int) (w workday) {
	r := o.draw(i, d, 1)
	off, burst, mb := r.Float64(), r.IntN(20) == 0, e.median*math.Exp(e.sigma*r.NormFloat64())
	switch {
	case d < e.joined:
		return w
	case e.service:
		if e.full && d.weekend() && !(d + 1).weekend() {
			mb *= 5
		}
	case off < .06 || d.weekend() && !(e.weekends && off < .5):
		return w
	case d.weekend():
		mb /= 3
	}
	if e.burst && burst {
		mb *= logEven(r, 10, 50)
	}
	if e.joined > 0 && d < e.joined+5 {
		mb *= 3
	}
	got := map[int32]*use{}
	all := 0.0
	get := func(name int32) *use {
		if got[name] == nil {
			got[name] = &use{name: name}
		}
		got[name].in += float32(500e3 * math.Exp(1.5*r.NormFloat64()))
		return got[name]
	}
	add := func(name int32) {
		weight := math.Exp(2 * r.NormFloat64())
		get(name).out += float32(weight)
		all += weight
	}
	if e.service {
		add(e.habits[0])
		add(e.habits[1])
	} else {
		for range 25 {
			add(e.habits[r.IntN(len(e.habits))])
		}
	}
	for _, u := range got {
		u.out *= float32(1e6 * mb / all)
	}
	if !e.service {
		for at := r.ExpFloat64(); at < e.fresh; at += r.ExpFloat64() {
			var name int32
			switch which := r.IntN(100); {
			case which == 0:
				name = o.name(fmt.Sprintf("new%d.s3.amazonaws.com", len(o.names)))
			case which < 50:
				name = o.name(fmt.Sprintf("new%d.example", len(o.names)))
			default:
				name = int32(r.IntN(sites))
			}
			get(name).out += float32(20e3 * math.Exp(2*r.NormFloat64()))
		}
	}
	for _, u := range got {
		u.in += u.out / 200
		w.uses = append(w.uses, *u)
		w.out += int64(u.out)
		w.in += int64(u.in)
	}
	slices.SortFunc(w.uses, func(a, b use) int { return strings.Compare(o.names[a.name], o.names[b.name]) })
	return w
}

// series returns the series of an aggregate of the days first … last, nil if the
// organisation has none.
func (o *organisation) series(a *Aggregate, first, last Day) iter.Seq2[Key, []Row] {
	var of func(i int, e *employee, rows []Row) []Row
	from, to := int(max(first-o.first, 0)), int(last-o.first)
	row := func(feed string, e *employee, at int, object string) Row {
		return Row{Day: o.first + Day(at), Key: Key{Feed: feed, EntityType: "user", Entity: e.name, Object: object}}
	}
	volume := func(e *employee, at int, object string, out, in int64) Row {
		r := row("proxy", e, at, object)
		r.Events, r.KnownOut, r.KnownIn, r.BytesOut, r.BytesIn = 1, 1, 1, out, in
		return r
	}
	switch a {
	case UserDay:
		of = func(_ int, e *employee, rows []Row) []Row {
			for at := from; at <= to; at++ {
				if w := &e.days[at]; len(w.uses) > 0 {
					rows = append(rows, volume(e, at, "", w.out, w.in))
				}
			}
			return rows
		}
	case UserDestinationDay:
		type used struct {
			at int
			use
		}
		var all []used
		of = func(_ int, e *employee, rows []Row) []Row {
			all = all[:0]
			for at := from; at <= to; at++ {
				w := &e.days[at]
				if len(w.uses) == 0 {
					continue
				}
				whole := volume(e, at, "", w.out, w.in)
				whole.Destinations = make([]string, len(w.uses))
				for i, u := range w.uses {
					whole.Destinations[i] = o.names[u.name]
					if u.out >= minDestinationBytes || o.cloud[u.name] {
						all = append(all, used{at, u})
					}
				}
				rows = append(rows, whole)
			}
			// Rows are large: they are made in their order.
			slices.SortFunc(all, func(a, b used) int {
				return cmp.Or(cmp.Compare(o.rank[a.name], o.rank[b.name]), cmp.Compare(a.at, b.at))
			})
			for i := range all {
				u := &all[i]
				rows = append(rows, volume(e, u.at, o.names[u.name], int64(u.out), int64(u.in)))
			}
			return rows
		}
	case ObjectDay:
		of = func(i int, e *employee, rows []Row) []Row {
			if e.objects == 0 {
				return rows
			}
			for at := from; at <= to; at++ {
				if len(e.days[at].uses) > 0 {
					rows = o.reads(i, e, at, row, rows)
				}
			}
			sortRows(rows)
			return rows
		}
	case PairTimes:
		return func(yield func(Key, []Row) bool) {
			var rows []Row
			for key, all := range seriesOf(o.pairs) {
				rows = rows[:0]
				for _, r := range all {
					if r.Day >= first && r.Day <= last {
						rows = append(rows, r)
					}
				}
				if len(rows) > 0 && !yield(key, rows) {
					return
				}
			}
		}
	default:
		return nil
	}
	return func(yield func(Key, []Row) bool) {
		var rows []Row
		for i := range o.employees {
			rows = of(i, &o.employees[i], rows[:0])
			for key, one := range seriesOf(rows) {
				if !yield(key, one) {
					return
				}
			}
		}
	}
}

// reads appends the rows of what an employee read on a day.
func (o *organisation) reads(i int, e *employee, at int, row func(feed string, e *employee, at int, object string) Row, rows []Row) []Row {
	r := o.draw(i, o.first+Day(at), 3)
	objects, size := e.objects*math.Exp(e.sigma*r.NormFloat64()), 500e3*math.Exp(.5*r.NormFloat64())
	address, agent := fmt.Sprintf("10.0.%d.%d", i/250, i%250+1), "browser"
	if r.IntN(100) == 0 {
		address = fmt.Sprintf("10.1.%d.%d", at%250, i%250+1)
	}
	if r.IntN(100) == 0 {
		agent = fmt.Sprintf("client%d", at)
	}
	places := []string{fmt.Sprintf("%s/place%d", e.reads, i%200), fmt.Sprintf("%s/place%d", e.reads, 200+i%200)}
	shares := []float64{.8, .2}
	if r.IntN(50) == 0 {
		places, shares = append(places, fmt.Sprintf("%s/place%d-%d", e.reads, i, at)), []float64{.7, .2, .1}
	}
	for p, place := range places {
		n := int64(math.Round(objects * shares[p]))
		if n == 0 {
			continue
		}
		s := row("audit", e, at, place)
		s.Events, s.Names, s.WindowNames = n, n, max(1, int64(float64(n)*(.3+.7*r.Float64())))
		if e.reads == "s3" {
			s.KnownIn, s.BytesIn = n, int64(float64(n)*size)
		}
		s.Addresses, s.Agents, s.Clients = 1, 1, []string{address, agent}
		rows = append(rows, s)
	}
	return rows
}

// simulateBudget measures what an analyst gets of an organisation in which nothing
// happens. Names and texts are left out, which the detections of DNS and of rules judge.
func simulateBudget(t *testing.T) (out []outcome) {
	employees, nights, seed := 600, 8, uint64(1)
	if long() {
		employees, nights = 10_000, 60
		if size := os.Getenv("OUTFLOW_BUDGET"); size != "" {
			size, other, _ := strings.Cut(size, "#")
			if _, err := fmt.Sscanf(size, "%dx%d", &employees, &nights); err != nil {
				t.Fatalf("OUTFLOW_BUDGET %q: want EMPLOYEESxNIGHTS or EMPLOYEESxNIGHTS#SEED, as 2000x60#2", size)
			}
			if other != "" {
				var err error
				if seed, err = strconv.ParseUint(other, 10, 64); err != nil {
					t.Fatalf("OUTFLOW_BUDGET: the seed %q: %v", other, err)
				}
			}
		}
	}
	o := newOrganisation(seed, employees, nights)
	type place struct {
		Key
		day Day
	}
	flagged := map[string]map[place]bool{}
	alone := map[string]*[Critical + 1]int{} // by detection, and then by severity
	var joint, beacons [Critical + 1]int
	notables, most, mostNotable := 0, 0, 0
	var week []Finding
	var detections []*Detection
	for _, d := range All() {
		if o.series(d.Aggregate, firstNight, firstNight) != nil {
			detections, flagged[d.Name], alone[d.Name] = append(detections, d), map[place]bool{}, &[Critical + 1]int{}
		}
	}
	for night := firstNight; night < firstNight+Day(nights); night++ {
		var covered []Day
		for d := o.first; d < night; d++ {
			covered = append(covered, d)
		}
		var findings []Finding
		for _, d := range detections {
			in := &Input{
				Day: night, Series: o.series(d.Aggregate, night-Day(d.History), night),
				Covered: func(string) []Day { return covered[max(0, len(covered)-d.History):] },
				Flagged: func(k Key, day Day) bool { return flagged[d.Name][place{k, day}] },
			}
			found := Judge(d, in)
			for i := range found {
				flagged[d.Name][place{found[i].Key, night}] = true
				alone[d.Name][found[i].Severity]++
			}
			findings = append(findings, found...)
		}
		findings = Join(RaiseBeacons(detections, findings))
		n := 0
		for i := range findings {
			if findings[i].Verdict == "" {
				beacons[findings[i].Severity]++
				continue
			}
			joint[findings[i].Severity]++
			n++
		}
		most = max(most, n)
		week = slices.DeleteFunc(append(week, findings...), func(f Finding) bool { return f.Day <= night-7 })
		n = 0
		for _, e := range Risk(week, night, nil) {
			if e.Notable {
				n++
			}
		}
		notables, mostNotable = notables+n, max(mostNotable, n)
	}
	if joint[Medium]+joint[High] == 0 {
		t.Error("no day is unusual: the simulation shows nothing")
	}
	trials := float64(employees*nights) / 10_000
	row := func(detection, size string, n int, target, limit float64, others string) {
		out = append(out, outcome{limit: limit,
			detection: detection, about: fmt.Sprintf("%d employees, %d nights", employees, nights), size: size,
			unit: nightly, value: float64(n) / trials, target: target, trials: trials, others: others})
	}
	sum := func(n *[Critical + 1]int) (all int) {
		for _, k := range n {
			all += k
		}
		return all
	}
	bySeverity := func(n *[Critical + 1]int) string {
		var s []string
		for severity := Critical; severity > Info; severity-- {
			if n[severity] > 0 {
				s = append(s, fmt.Sprintf("%s %.1f", severity, float64(n[severity])/trials))
			}
		}
		return strings.Join(s, ", ")
	}
	for _, d := range detections {
		row(d.Name, "findings before joining", sum(alone[d.Name]), 0, 0, bySeverity(alone[d.Name]))
	}
	row("beacon", "medium or above", beacons[Medium]+beacons[High]+beacons[Critical], 5, 0, bySeverity(&beacons))
	row("all volume", "joined findings", sum(&joint), 20, 0, fmt.Sprintf("%s; at most %d", bySeverity(&joint), most))
	row("all", "notable people", notables, 5, 0, fmt.Sprintf("at most %d", mostNotable))
	return out
}
