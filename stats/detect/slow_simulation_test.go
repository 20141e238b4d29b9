package detect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// slowly simulates users as simulate does, with a baseline of that many days before the
// last 30. Each uploads exp(drip·σ) times as much on the last days of them.
func slowly(seed uint64, base, users, days int, drip float64, sigmas ...float64) *Input {
	r := rand.New(rand.NewPCG(seed, 4))
	first := simulatedDay - baselineDays - Day(base)
	var rows []Row
	for i := range users {
		median, sigma := math.Exp(r.Float64()*math.Log(50)), sigmas[i%len(sigmas)]
		for d := first; d <= simulatedDay; d++ {
			row := Row{Day: d, Key: Key{Feed: "f", EntityType: "user", Entity: fmt.Sprintf("%06d", i)}}
			row.Events, row.KnownOut = 1, 1
			mb := median * math.Exp(sigma*r.NormFloat64())
			if d > simulatedDay-Day(days) {
				mb *= math.Exp(drip * sigma)
			}
			row.BytesOut = int64(1e6 * mb)
			rows = append(rows, row)
		}
	}
	var covered []Day
	for d := first; d < simulatedDay; d++ {
		covered = append(covered, d)
	}
	return &Input{Day: simulatedDay, Series: seriesOf(rows), Covered: func(string) []Day { return covered }}
}

// crossings returns which share of users cross the threshold on the judged day, whatever
// their bytes.
func crossings(in *Input, users int) float64 {
	d := uploadSlow()
	o := d.Options.(*uploadSlowOptions)
	o.Floor, o.RiseFloor = 0, 0
	return float64(len(Judge(d, in))) / float64(users)
}

// TestSlowSimulation checks what upload_slow promises: how many of 10,000 ordinary users
// it reports a night, and after how many days it finds a drip.
func TestSlowSimulation(t *testing.T) {
	users, batches := 1500, 1
	if long() {
		users, batches = 3000, 20
	}
	mixed := []float64{.5, 1, 1.5}
	for _, c := range []struct {
		base int
		most float64 // findings a night of 10,000 users, before the byte floor
	}{{20, 2.5}, {30, .9}} {
		got, floored := 0.0, 0
		for b := range batches {
			in := slowly(uint64(b), c.base, users, 0, 0, mixed...)
			got += crossings(in, users) / float64(batches)
			floored += len(Judge(uploadSlow(), in))
		}
		n := float64(users * batches)
		t.Logf("%d days of baseline: %.2f of 10,000 ordinary users a night, %.2f with the byte floor", c.base, 1e4*got, 1e4*float64(floored)/n)
		// Three standard errors of a count, and one finding more.
		if most := c.most/1e4*n + 3*math.Sqrt(c.most/1e4*n) + 1; got*n > most {
			t.Errorf("%d days of baseline: got %.0f findings of %.0f user-nights, want at most %.1f", c.base, got*n, n, most)
		}
	}
	for _, c := range []struct {
		drip   float64 // in σ
		days   int
		least  float64 // share found by then
		median int     // days after which half must be found; 0: no promise
	}{{1, 30, .3, 0}, {2, 14, .9, 9}, {3, 8, .9, 6}} {
		for _, sigma := range mixed {
			few, found := 80, 0.0
			if long() {
				few = 1000
			}
			median := 0
			for n := 1; n <= c.days; n++ {
				found += crossings(slowly(uint64(n), 30, few, n, c.drip, sigma), few)
				if median == 0 && found >= .5 {
					median = n
				}
			}
			t.Logf("drip of %.0fσ, σ %.1f: %.2f found in %d days, half of them in %d", c.drip, sigma, found, c.days, median)
			// Two standard errors of a share of half.
			tolerance := 1 / math.Sqrt(float64(few))
			if found < c.least-tolerance || c.median > 0 && (median == 0 || median > c.median) {
				t.Errorf("drip of %.0fσ, σ %.1f: got %.2f found in %d days and half in %d, want %.2f and %d", c.drip, sigma, found, c.days, median, c.least, c.median)
			}
		}
	}
}

// A population uses destinations. Each person has 60 habitual ones, of the 3,000 of the
// organisation, half of them among the 100 that everybody uses; uses 25 of them a day, and
// on average two that it never used. What one destination gets in a day is log-normal,
// with a median of 20 kB and σ 2: 1 in 3,500 gets over 20 MB. One in 50 people works
// with ever new places: ten times as many new ones.
func population(seed uint64, people int) []Row {
	const days = 60
	r := rand.New(rand.NewPCG(seed, 5))
	bytes := func() int64 { return int64(20e3 * math.Exp(2*r.NormFloat64())) }
	fresh := 0
	var rows []Row
	for i := range people {
		key := Key{Feed: "f", EntityType: "user", Entity: fmt.Sprintf("%06d", i)}
		habits := make([]string, 60)
		for j := range habits {
			habits[j] = fmt.Sprintf("site%d.example", r.IntN([]int{100, 3000}[j%2]))
		}
		rate := 2.0
		if i%50 == 7 {
			rate = 20
		}
		for d := simulatedDay - days; d <= simulatedDay; d++ {
			used := map[string]int64{}
			for range 25 {
				used[habits[r.IntN(len(habits))]] += bytes()
			}
			for p := r.ExpFloat64(); p < rate; p += r.ExpFloat64() {
				name := fmt.Sprintf("new%d.example", fresh)
				if fresh++; r.IntN(2) == 0 {
					name = fmt.Sprintf("site%d.example", r.IntN(3000))
				}
				used[name] += bytes()
			}
			if d == simulatedDay {
				used[fmt.Sprintf("drop%d.example", i)] = 0 // see TestFirstDestinationSimulation
			}
			whole := Row{Day: d, Key: key}
			at := len(rows)
			rows = append(rows, whole)
			for name, out := range used {
				rows[at].Destinations = append(rows[at].Destinations, name)
				rows[at].BytesOut += out
				rows[at].Events, rows[at].KnownOut = rows[at].Events+1, rows[at].KnownOut+1
				if out >= minDestinationBytes || d == simulatedDay && out == 0 {
					row := Row{Day: d, Key: key, Summary: Summary{Events: 1, KnownOut: 1, BytesOut: out}}
					row.Object = name
					rows = append(rows, row)
				}
			}
			slices.Sort(rows[at].Destinations)
		}
	}
	sortRows(rows)
	return rows
}

// TestFirstDestinationSimulation checks that an upload to a destination of the thief's own
// is found, and how many ordinary uploads are reported.
func TestFirstDestinationSimulation(t *testing.T) {
	people, batches := 600, 1
	if long() {
		people, batches = 2000, 5
	}
	found, false20, medium := map[int64]float64{}, 0.0, 0.0
	sizes := []int64{0, 19e6, 25e6, 100e6}
	for b := range batches {
		rows := population(uint64(b), people)
		var covered []Day
		for d := simulatedDay - 60; d < simulatedDay; d++ {
			covered = append(covered, d)
		}
		for _, size := range sizes {
			for i := range rows {
				if r := &rows[i]; r.Day == simulatedDay && len(r.Object) > 4 && r.Object[:4] == "drop" {
					r.BytesOut = size
				}
			}
			in := &Input{Day: simulatedDay, Series: seriesOf(rows), Covered: func(string) []Day { return covered }}
			for _, f := range Judge(firstDestination(), in) {
				if f.Object[:4] == "drop" {
					found[size]++
				} else if size == 0 {
					false20++
					if f.Severity >= Medium {
						medium++
					}
				}
			}
		}
	}
	n := float64(people * batches)
	t.Logf("of 10,000 ordinary people a night: %.1f findings, %.1f of them medium; thefts found: 19 MB %.3f, 25 MB %.3f, 100 MB %.3f",
		1e4*false20/n, 1e4*medium/n, found[19e6]/n, found[25e6]/n, found[100e6]/n)
	if found[0]+found[19e6] > 0 || found[25e6] < .95*n || found[100e6] < .97*n {
		t.Errorf("thefts found: got %v of %.0f, want .95 of 25 MB and .97 of 100 MB", found, n)
	}
	// By the generator, two new places a day of which 1 in 3,500 gets 20 MB.
	if most := 8e-4*n + 3*math.Sqrt(8e-4*n) + 1; false20 > most {
		t.Errorf("got %.0f findings of %.0f ordinary people, want at most %.1f", false20, n, most)
	}
}
