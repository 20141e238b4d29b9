package detect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
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
	return inputOf(rows, int(simulatedDay-first))
}

// crossings returns which share of users cross the threshold on the judged day, whatever
// their bytes.
func crossings(in *Input, users int) float64 {
	d := uploadSlow()
	o := d.Options.(*uploadSlowOptions)
	o.Floor, o.RiseFloor = 0, 0
	return float64(len(Judge(d, in))) / float64(users)
}

// simulateDrips measures upload_slow: how many ordinary users it reports, and after how many
// days it finds a drip. Each day has other users, who send at the rate of a drip that began
// so many days ago. The original rule is that of upload_zscore.
func simulateDrips(*testing.T) (out []outcome) {
	users, batches, few := 1500, 1, 80
	if long() {
		users, batches, few = 3000, 20, 1000
	}
	mixed := []float64{.5, 1, 1.5}
	for _, c := range []struct {
		base int
		most float64 // findings a night of 10,000 users, before the byte floor
	}{{20, 2.5}, {30, .9}} {
		got, floored := 0.0, 0.0
		for b := range batches {
			in := slowly(uint64(b), c.base, users, 0, 0, mixed...)
			got += crossings(in, users) / float64(batches)
			floored += float64(len(Judge(uploadSlow(), in))) / float64(users*batches)
		}
		o := outcome{detection: "upload_slow", about: fmt.Sprintf("%d days of baseline, σ %.1f", c.base, mixed), size: "ordinary day, no byte floor",
			unit: nightly, value: 1e4 * got, target: c.most, trials: float64(users*batches) / 1e4}
		out = append(out, o)
		o.size, o.value = "ordinary day", 1e4*floored
		out = append(out, o)
	}
	for _, c := range []struct {
		drip   float64 // in σ
		days   int
		least  float64 // share found by then
		median int     // days after which half must be found; 0: no promise
	}{{1, 30, .3, 0}, {2, 14, .9, 9}, {3, 8, .9, 6}} {
		for _, sigma := range mixed {
			// Crossings add up to the share, but for those who cross twice; days of the seed's
			// findings to how many it has of one user.
			median, found, seed := 0, 0.0, 0.0
			for n := 1; n <= c.days; n++ {
				in := slowly(uint64(n), 30, few, n, c.drip, sigma)
				found += crossings(in, few)
				seed += float64(len(Judge(seeded(uploadZScore()), in))) / float64(few)
				if median == 0 && found >= .5 {
					median = n
				}
			}
			about := fmt.Sprintf("%.0fσ every day, σ %.1f", c.drip, sigma)
			out = append(out, outcome{detection: "upload_slow", about: about, size: fmt.Sprintf("%d days", c.days), value: min(found, 1), target: c.least,
				trials: float64(few), others: fmt.Sprintf("seed %.1f days", seed)})
			if c.median > 0 {
				if median == 0 {
					median = c.days + 1
				}
				out = append(out, outcome{detection: "upload_slow", about: about, size: "until half are found", unit: inDays, value: float64(median), target: float64(c.median)})
			}
		}
	}
	return out
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
				used[fmt.Sprintf("drop%d.example", i)] = 0 // see simulateFirsts
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

// simulateFirsts measures first_destination: whether an upload to a destination of the
// thief's own is found, and how many ordinary uploads are reported. The original rules know
// no destinations but four clouds.
func simulateFirsts(*testing.T) (out []outcome) {
	people, batches := 600, 1
	if long() {
		people, batches = 2000, 5
	}
	n := float64(people * batches)
	ordinary, medium := 0.0, 0.0
	sizes := []int64{0, 19e6, 25e6, 100e6}
	found := make([]float64, len(sizes))
	for b := range batches {
		rows := population(uint64(b), people)
		for at, size := range sizes {
			for i := range rows {
				if r := &rows[i]; r.Day == simulatedDay && strings.HasPrefix(r.Object, "drop") {
					r.BytesOut = size
				}
			}
			for _, f := range Judge(firstDestination(), inputOf(rows, 60)) {
				switch {
				case strings.HasPrefix(f.Object, "drop"):
					found[at] += 1 / n
				case size == 0:
					ordinary += 1e4 / n
					if f.Severity >= Medium {
						medium += 1e4 / n
					}
				}
			}
		}
	}
	theft := func(at int, size string, o outcome) {
		o.detection, o.about, o.size, o.value, o.trials = "first_destination", "a destination of its own", size, found[at], n
		out = append(out, o)
	}
	const none = 1e-12
	theft(1, "19 MB, under the floor", outcome{unit: percent, target: none})
	theft(2, "25 MB", outcome{target: .95})
	theft(3, "100 MB", outcome{target: .97})
	// By the generator, two new places a day of which 1 in 3,500 gets 20 MB.
	return append(out, outcome{detection: "first_destination", about: "two new destinations a day", size: "ordinary day", unit: nightly,
		value: ordinary, target: 8, trials: n / 1e4, others: fmt.Sprintf("medium %.1f", medium)})
}
