package detect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar"
)

// setClock makes a row of pair_times of a clock: 600~20@8-18:420 ticks every 600 s, ±20 %,
// from hour 8 to 18, and sends 420 bytes each time; any part but the first may be missing.
// chance in place of the period is a Poisson process with that mean.
func setClock(t *testing.T, r *Row, value string) {
	value, bytes, known := strings.Cut(value, ":")
	value, hours, some := strings.Cut(value, "@")
	value, jitter, _ := strings.Cut(value, "~")
	value, chance := strings.CutPrefix(value, "chance")
	number := func(text string) float64 {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatalf("clock %q: %v", text, err)
		}
		return f
	}
	period, stray, from, to, size := number(value), 0.0, 0.0, 24.0, 0.0
	if jitter != "" {
		stray = number(jitter) / 100
	}
	if some {
		begin, end, _ := strings.Cut(hours, "-")
		from, to = number(begin), number(end)
	}
	if known {
		size = number(bytes)
	}
	source := rand.New(rand.NewPCG(uint64(r.Day), 5))
	var beats []pairBeat
	for at := from*3600 + period/2; at < to*3600; {
		b := pairBeat{at: uint64(at)<<secondBits | uint64(at)}
		if known {
			b.bytes = uint64(size) + 1
		}
		beats = append(beats, b)
		if chance {
			at += 4 + period*source.ExpFloat64()
		} else {
			at += period * (1 + stray*(2*source.Float64()-1))
		}
	}
	r.Beats, r.Events = int64(len(beats)), int64(len(beats))
	r.Rhythm = string(appendRhythm(nil, beats))
	midnight := int64(r.Day) * dayMicros
	r.First, r.Last, r.Hours = midnight+int64(beats[0].begin())*1e6, midnight+int64(beats[len(beats)-1].begin())*1e6, 0
	for _, b := range beats {
		r.Hours |= hourBit(int64(b.begin()) * 1e6)
	}
	if known && r.BytesOut == 0 {
		r.BytesOut, r.KnownOut = int64(size)*r.Beats, r.Beats
	}
}

// If this fails, what is read back of a row is another rhythm than what was kept.
func TestRhythmReadsBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	for _, n := range []int{1, 2, maxTimes, maxTimes + 1, 5000} {
		var beats []pairBeat
		for i := range n {
			at := uint64(i)*17 + r.Uint64N(9)
			beats = append(beats, pairBeat{at: at<<secondBits | at, bytes: r.Uint64N(3) * (1 + r.Uint64N(1000))})
		}
		var s beatSeries
		s.add(beats)
		want := s.rhythm()
		got, ok := rhythmOf(&Row{Summary: Summary{Beats: int64(n), Rhythm: string(appendRhythm(nil, beats))}})
		if !ok {
			t.Fatalf("%d beats: the text is not read", n)
		}
		near := cmp.Comparer(func(a, b float64) bool {
			return a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 1e-8*math.Abs(a)
		})
		if diff := cmp.Diff(want, got, near, cmp.AllowUnexported(rhythm{})); diff != "" {
			t.Errorf("%d beats: -kept +read:\n%s", n, diff)
		}
	}
	for _, text := range []string{"1 x", "1:y", "-1", "1:99999999999999999999"} {
		if _, ok := rhythmOf(&Row{Summary: Summary{Beats: 2, Rhythm: text}}); ok {
			t.Errorf("%q is read", text)
		}
	}
	if _, ok := rhythmOf(&Row{Summary: Summary{Beats: 1000, Rhythm: "1 2 3"}}); ok {
		t.Error("a short text of statistics is read")
	}
}

// If this fails, beats are not what their events are, or a destination is the wrong one.
// Counted by hand.
func TestPairTimes(t *testing.T) {
	at := func(second float64) int64 { return testDay + int64(second*1e6) }
	var events []event
	add := func(table *columnar.Table, second float64, ints map[columnar.Col]int64, texts map[columnar.Col]string) {
		texts[columnar.SrcIP] = "10.0.0.1"
		events = append(events, event{table: table, feed: "f", object: "o", record: int64(len(events) + 1), us: at(second), texts: texts, ints: ints})
	}
	for i := range 30 { // two requests 3 s apart are one beat of the clock, and 4 s apart are two
		for _, later := range []float64{0, 3} {
			add(columnar.HTTP, 600*float64(i)+later, map[columnar.Col]int64{columnar.BytesOut: 100, columnar.BytesIn: 7},
				map[columnar.Col]string{columnar.URLHost: "c2.example.com", columnar.DstIP: "10.9.9.9", columnar.Action: []string{"", "TCP_DENIED/403"}[i/29]})
		}
		add(columnar.HTTP, 600*float64(i), nil, map[columnar.Col]string{columnar.URLHost: "203.0.113.9"})
		add(columnar.HTTP, 600*float64(i), nil, map[columnar.Col]string{columnar.URLHost: "wiki.corp"})
		add(columnar.HTTP, 600*float64(i), nil, map[columnar.Col]string{columnar.URLHost: "10.0.0.80"})
		add(columnar.DNS, 600*float64(i), nil, map[columnar.Col]string{columnar.Domain: "example.com"})
		add(columnar.DNS, 600*float64(i), nil, map[columnar.Col]string{columnar.Domain: "1.in-addr.arpa"})
		// A flow that is logged twice, in pieces, is one beat from the begin of the first.
		add(columnar.Network, 600*float64(i)+120, map[columnar.Col]int64{columnar.DstPort: 123, columnar.Duration: 60e6},
			map[columnar.Col]string{columnar.DstIP: "198.51.100.1"})
		add(columnar.Network, 600*float64(i)+180, map[columnar.Col]int64{columnar.DstPort: int64(123 + i/29), columnar.Duration: 60e6},
			map[columnar.Col]string{columnar.DstIP: "198.51.100.1"})
		add(columnar.Network, 600*float64(i), nil, map[columnar.Col]string{columnar.DstIP: "192.168.1.1", columnar.DstHost: "files.example.com"})
		add(columnar.Network, 600*float64(i), map[columnar.Col]int64{columnar.DstPort: 443}, map[columnar.Col]string{columnar.DstIP: "198.51.100.2", columnar.DstHost: "sni.example.com"})
	}
	for i := range 2 { // too few
		add(columnar.HTTP, 7200*float64(i), nil, map[columnar.Col]string{columnar.URLHost: "seldom.example.com"})
	}
	f := PairTimes.New(&openBounds)
	feedTo(f, PairTimes, events)
	var got strings.Builder
	for _, r := range merged(t, PairTimes, &openBounds, f) {
		first := strings.Fields(r.Rhythm)
		fmt.Fprintf(&got, "%s %s events=%d beats=%d out=%d in=%d known=%d blocked=%d port=%d %s %s %s\n", r.Feed, r.Object, r.Events, r.Beats, r.BytesOut, r.BytesIn, r.KnownOut, r.Blocked, r.Port, r.Evidence, first[0], first[1])
	}
	want := `f 203.0.113.9 events=30 beats=30 out=0 in=0 known=0 blocked=0 port=0 o:3 0 600
f c2.example.com events=60 beats=30 out=5800 in=406 known=58 blocked=2 port=0 o:1 0:200 600:200
f/dns example.com events=30 beats=30 out=0 in=0 known=0 blocked=0 port=0 o:6 0 600
f/network 198.51.100.1 events=60 beats=30 out=0 in=0 known=0 blocked=0 port=-1 o:8 60 600
f/network sni.example.com events=30 beats=30 out=0 in=0 known=0 blocked=0 port=443 o:11 0 600
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

// If this fails, a connection that a cloud's flow log cuts into pieces of a minute is a clock,
// or that of a machine that talks every five minutes is none.
func TestPairTimesOfCloudFlows(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 8))
	for _, c := range []struct {
		product string
		lacks   columnar.Cols
		want    string
	}{
		{"aws", columnar.ColSet(columnar.Duration), "198.51.100.2 288;"},
		{"gcp", columnar.ColSet(columnar.Duration), "198.51.100.2 288;"},
		{"azure", 0, "198.51.100.1 1440;198.51.100.2 288;"},
		{"paloalto", columnar.ColSet(columnar.Duration), "198.51.100.1 1440;198.51.100.2 288;"},
	} {
		f := PairTimes.New(&openBounds)
		out := &columnar.Out{Want: PairTimes.Reads, Sink: f.Fold, Feed: "f", Object: "o", Origin: columnar.Origin{Product: c.product}, Lacks: c.lacks}
		b := out.Table(columnar.Network)
		add := func(second int, address string) {
			b.SetTime(testDay + int64(second)*1e6)
			b.SetText(columnar.SrcIP, []byte("10.0.0.1"))
			b.SetText(columnar.DstIP, []byte(address))
			b.Next(1)
		}
		for minute := range 24 * 60 { // a packet every 25 s or so keeps the first one open
			add(60*minute+r.IntN(25), "198.51.100.1")
			if minute%5 == 0 {
				add(60*minute+r.IntN(10), "198.51.100.2")
			}
		}
		out.Flush()
		got := ""
		for _, row := range merged(t, PairTimes, &openBounds, f) {
			got += fmt.Sprintf("%s %d;", row.Object, row.Beats)
			if row.Last > testDay+dayMicros {
				t.Errorf("%s: the last beat of %s is over the end of the day", c.product, row.Object)
			}
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.product, got, c.want)
		}
	}
}

// If this fails, rows depend on how the events of clocks and people were split.
func TestPairTimesMergeIsExact(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 17))
		var events []event
		for pair := range 12 {
			period := math.Exp(math.Log(3) + r.Float64()*8)
			for second := r.Float64() * period; second < 86400; second += period * (.6 + .8*r.Float64()) {
				for range 1 + r.IntN(3) {
					events = append(events, event{table: columnar.HTTP, feed: "f", object: fmt.Sprintf("o%d", r.IntN(2)), record: r.Int64N(1e6), us: testDay + int64(1e6*(second+3*r.Float64())),
						texts: map[columnar.Col]string{columnar.SrcIP: fmt.Sprintf("10.0.0.%d", pair/3), columnar.URLHost: fmt.Sprintf("d%d.example.com", pair)},
						ints:  map[columnar.Col]int64{columnar.BytesOut: r.Int64N(1e4)}})
				}
			}
		}
		fold := func(events []event) Folder {
			f := PairTimes.New(&openBounds)
			feedTo(f, PairTimes, events)
			return f
		}
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		want := merged(t, PairTimes, &openBounds, fold(events))
		if len(want) == 0 {
			t.Fatalf("seed %d: no rows", seed)
		}
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		split := make([]Folder, 1+r.IntN(7))
		for i := range split {
			split[i] = fold(events[i*len(events)/len(split) : (i+1)*len(events)/len(split)])
		}
		if diff := cmp.Diff(want, merged(t, PairTimes, &openBounds, split...)); diff != "" {
			t.Fatalf("seed %d: -whole +split:\n%s", seed, diff)
		}
	}
}

// If this fails, a beacon to a rare destination is taken for a service of the company's, or
// a service for a beacon.
func TestBeaconPopulation(t *testing.T) {
	var rows []Row
	source := func(i int, object, clock string) {
		for d := simulatedDay - beaconHistory; d <= simulatedDay; d++ {
			if strings.HasPrefix(object, "new.") && d < simulatedDay-3 {
				continue
			}
			r := Row{Day: d, Key: Key{Feed: "f", EntityType: "src_ip", Entity: fmt.Sprintf("10.0.0.%d", i), Object: object}}
			setClock(t, &r, clock)
			rows = append(rows, r)
		}
	}
	for i := range 100 {
		source(i, fmt.Sprintf("site%d.example.com", i), "chance1800")
		if i < 10 {
			source(i, "many.example.com", "300~20")
		}
		if i < 9 {
			source(i, "few.example.com", "300~20")
		}
		if i < 2 {
			source(i, "rare.example.com", "300~20")
			source(i, "new.rare.example.com", "300~20")
		}
		if i < 3 {
			source(i, "new.few.example.com", "300~20")
		}
	}
	sortRows(rows)
	var covered []Day
	for d := simulatedDay - beaconHistory; d < simulatedDay; d++ {
		covered = append(covered, d)
	}
	table := map[string]string{}
	findings := Judge(beacon(), &Input{Day: simulatedDay, Series: seriesOf(rows), Covered: func(string) []Day { return covered },
		Beacons: func(b *Beacon) { table[b.Object] = fmt.Sprintf("%s %q %q", b.Severity, b.Label, b.Signs) }})
	want := map[string]string{
		"many.example.com":     `info "polled by many" []`,
		"few.example.com":      `info "" []`,
		"rare.example.com":     `info "" ["only 2 of 100 machines poll it"]`,
		"new.rare.example.com": `medium "" ["only 2 of 100 machines poll it" "it began this week"]`,
		"new.few.example.com":  `low "" ["it began this week"]`,
	}
	if diff := cmp.Diff(want, table); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	count := func(findings []Finding) map[string]int {
		n := map[string]int{}
		for _, f := range findings {
			n[f.Object+" "+f.Severity.String()]++
		}
		return n
	}
	// A DNS tunnel on a machine makes its beacons medium, but for the one that is the tunnel.
	tunnel := func(i int, domain string, severity Severity) Finding {
		return Finding{Detection: "dns_model", Verdict: dnsTunnel, Day: simulatedDay, Severity: severity, Key: Key{Feed: "d", EntityType: "src_ip", Entity: fmt.Sprintf("10.0.0.%d", i), Object: domain}}
	}
	findings = append(findings, tunnel(0, "tunnel.example", Medium), tunnel(1, "rare.example.com", High), tunnel(2, "low.example", Low))
	got := count(RaiseBeacons(All(), findings))
	if diff := cmp.Diff(map[string]int{
		"few.example.com medium": 2, "rare.example.com medium": 1, "new.rare.example.com medium": 2, "new.few.example.com medium": 2, "new.few.example.com low": 1,
		"tunnel.example medium": 1, "rare.example.com high": 1, "low.example low": 1,
	}, got); diff != "" {
		t.Errorf("raised: -want +got:\n%s", diff)
	}
}

// If this fails, somebody who turns twelve pages at a time, every twenty seconds, once an
// hour, is a beacon, or a clock of twenty seconds that was on in the same hours is not.
func TestBeaconFills(t *testing.T) {
	of := func(beats int) (times []float64) {
		for hour := 9; hour < 17; hour++ {
			for i := range beats {
				times = append(times, float64(simulatedDay)*86400+float64(hour*3600+20*i))
			}
		}
		return times
	}
	rows := append(beatRows(pairKey(1), of(12), func() uint64 { return 400 }), beatRows(pairKey(2), of(90), func() uint64 { return 400 })...)
	var got []string
	for _, f := range Judge(beacon(), &Input{Day: simulatedDay, Series: seriesOf(rows)}) {
		got = append(got, f.Entity)
	}
	if want := []string{pairKey(2).Entity}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// If this fails, one beacon that several sensors see is several findings.
func TestBeaconsApart(t *testing.T) {
	var rows []Row
	for feed, object := range map[string]string{"zeek/dns": "example.com", "zeek": "c2.example.com", "zeek/network": "c2.example.com", "proxy": "c2.example.com"} {
		r := Row{Day: simulatedDay, Key: Key{Feed: feed, EntityType: "src_ip", Entity: "10.0.0.1", Object: object}}
		setClock(t, &r, map[bool]string{true: "60~20", false: "61~20"}[feed == "proxy"])
		rows = append(rows, r)
	}
	sortRows(rows)
	findings := Judge(beacon(), &Input{Day: simulatedDay, Series: seriesOf(rows)})
	if len(findings) != 1 || findings[0].Feed != "proxy" {
		t.Errorf("got %+v, want one finding, of the feed with the most beats", findings)
	}
}
