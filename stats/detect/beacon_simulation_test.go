package detect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// beatRows returns the rows of a pair that talks at times, in seconds since 1970, in the
// order of their days. The aggregate leaves out days that are too irregular.
func beatRows(key Key, times []float64, bytes func() uint64) []Row {
	slices.Sort(times)
	byDay := map[Day][]pairBeat{}
	for _, t := range times {
		second := int64(math.Floor(t))
		day := Day(second / 86400)
		at := uint64(second % 86400)
		byDay[day] = append(byDay[day], pairBeat{at: at<<secondBits | at, bytes: bytes() + 1})
	}
	var rows []Row
	for day, beats := range byDay {
		m := newPairMerger()
		m.day, m.begun, m.beats = day, true, beats
		m.c = pairCell{first: int64(beats[0].begin()) * 1e6, rows: uint32(len(beats)), knownOut: uint32(len(beats))}
		r := Row{Day: day, Key: key}
		if m.Row(&r) {
			rows = append(rows, r)
		}
	}
	sortRows(rows)
	return rows
}

// clockRows returns the rows of a clock that has just ticked often enough for n intervals,
// in the last hour of the simulated day. There may be fewer: of what is kept of the week.
func clockRows(r *rand.Rand, key Key, n int, period, jitter, missed float64) (rows []Row) {
	times := ticks(r, 2*n, period, jitter, missed)
	for beats := n + 1; beats <= len(times); beats++ {
		rows = beatRows(key, slices.Clone(times[:beats]), func() uint64 { return 400 + r.Uint64N(40) })
		in := (&Input{Day: simulatedDay})
		if week := in.week(rows); len(week) > 0 && week[len(week)-1].Beats > int64(n) {
			break
		} else if slow, _ := in.slow(week); slow.intervals >= n {
			break
		}
	}
	return rows
}

// ticks returns n times of a clock, the last one first, on the evening of the simulated day.
func ticks(r *rand.Rand, n int, period, jitter, missed float64) []float64 {
	t := float64(simulatedDay+1)*86400 - 3600*(.1+r.Float64())
	times := []float64{t}
	for len(times) < n {
		t -= period * (1 + jitter*(2*r.Float64()-1))
		if r.Float64() >= missed {
			times = append(times, t)
		}
	}
	return times
}

func pairKey(i int) Key {
	return Key{Feed: "f", EntityType: "src_ip", Entity: fmt.Sprintf("%06d", i), Object: fmt.Sprintf("d%06d.example.com", i)}
}

// judgedPairs returns what the detection makes of pairs, by entity.
func judgedPairs(rows []Row) map[string]*Beacon {
	o := beacon().Options.(*beaconOptions)
	out := map[string]*Beacon{}
	in := (&Input{Day: simulatedDay, Series: seriesOf(rows)}).whole()
	feed := &beaconFeed{pollers: map[string]int{}, first: map[string]Day{}}
	for key, rows := range in.Series {
		if _, today := in.before(rows); today != nil {
			out[key.Entity] = o.judge(in, rows, today, feed)
		}
	}
	return out
}

// simulateBeacons measures beacon: nine of ten beacons from 24 intervals on and nineteen of
// twenty from 36 on, whatever their jitter up to a half and with a fifth of their beats missed.
// RITA's scores stand beside; the original rules have none for beacons.
func simulateBeacons(t *testing.T) (out []outcome) {
	trials := 60
	if long() {
		trials = 1000
	}
	r := rand.New(rand.NewPCG(13, 1))
	for _, n := range []int{24, 36, 48} {
		want := .90
		if n >= someIntervals {
			want = .95
		}
		size, worst := fmt.Sprintf("%d intervals", n), 0.0 // median error of the period
		for _, jitter := range []float64{0, .1, .25, .5} {
			var all, found, rita, ritaTime int
			for _, period := range []float64{10, 60, 300, 900, 3600, 4 * 3600} {
				for _, missed := range []float64{0, .1, .2} {
					if float64(n+5)*period/(1-missed) > 6.5*86400 {
						continue // more than the week that is judged
					}
					var rows []Row
					for i := range trials {
						rows = append(rows, clockRows(r, pairKey(i), n, period, jitter, missed)...)
					}
					hit := 0
					var off []float64
					for _, b := range judgedPairs(rows) {
						if b.Regular {
							hit++
							off = append(off, math.Abs(b.Period/period-1))
						}
						if b.Rita.Mean >= .8 {
							rita++
						}
						if b.Rita.TS >= .8 {
							ritaTime++
						}
					}
					all, found = all+trials, found+hit
					// Three standard errors of a share, since there are so many of them.
					if got := float64(hit) / float64(trials); got < want-3*math.Sqrt(want*(1-want)/float64(trials)) {
						t.Errorf("%s, %gs ±%g missed %g: got %.3f, want %.2f", size, period, jitter, missed, got, want)
					}
					slices.Sort(off)
					if len(off) > 0 {
						// The mean of n intervals that stray by jitter has such an error itself.
						median := off[len(off)/2]
						if median > .05+.5*jitter/math.Sqrt(float64(n)) {
							t.Errorf("%s, %gs ±%g missed %g: got a period off by %.3f, nine of ten %.3f", size, period, jitter, missed, median, off[len(off)*9/10])
						}
						worst = max(worst, median)
					}
				}
			}
			share := func(k int) float64 { return float64(k) / float64(all) }
			out = append(out, outcome{detection: "beacon", about: fmt.Sprintf("10 s to 4 h, jitter %.0f %%, up to 20 %% missed", 100*jitter), size: size,
				value: share(found), target: want, trials: float64(all), others: fmt.Sprintf("RITA mean ≥ .8 %.3f, TS ≥ .8 %.3f", share(rita), share(ritaTime))})
		}
		// The limit has the error that the mean of n intervals has itself, as few are tried.
		out = append(out, outcome{detection: "beacon", about: "error of the period, median of the worst case", size: size, unit: percent,
			value: worst, target: .05, limit: .05 + .25/math.Sqrt(float64(n))})
	}
	return out
}

// simulateNoBeacons measures how seldom people and chance are taken for a clock.
func simulateNoBeacons(*testing.T) (out []outcome) {
	pairs := 1500
	if long() {
		pairs = 30000
	}
	r := rand.New(rand.NewPCG(13, 2))
	week := func(day func(midnight float64) []float64) []float64 {
		var times []float64
		for d := simulatedDay - 6; d <= simulatedDay; d++ {
			times = append(times, day(float64(d)*86400)...)
		}
		return times
	}
	poisson := func(from, hours, rate float64) (times []float64) {
		for t := from; ; {
			if t += r.ExpFloat64() * 3600 / rate; t >= from+hours*3600 {
				return times
			}
			times = append(times, t)
		}
	}
	nulls := []struct {
		name string
		week func(i int) []float64
	}{
		{"Poisson, 6 to 400 a day", func(int) []float64 {
			rate := math.Exp(math.Log(.25) + r.Float64()*math.Log(66))
			return week(func(m float64) []float64 { return poisson(m, 24, rate) })
		}},
		{"diurnal, 6 to 400 a day from nine to five", func(int) []float64 {
			rate := math.Exp(math.Log(.75) + r.Float64()*math.Log(66))
			return week(func(m float64) []float64 { return poisson(m+9*3600, 8, rate) })
		}},
		{"bursts of a person, two or more an hour", func(int) []float64 {
			rate := math.Exp(math.Log(.5) + r.Float64()*math.Log(12))
			return week(func(m float64) (times []float64) {
				for _, visit := range poisson(m+9*3600, 8, rate) {
					for range 1 + r.IntN(12) { // pages, read for some ten seconds to minutes
						times = append(times, visit)
						visit += math.Exp(math.Log(20) + 1.1*r.NormFloat64())
					}
				}
				return times
			})
		}},
	}
	for _, null := range nulls {
		var rows []Row
		for i := range pairs {
			rows = append(rows, beatRows(pairKey(i), null.week(i), func() uint64 { return 300 + r.Uint64N(5000) })...)
		}
		regular, rita, ritaTime := 0, 0, 0
		for _, b := range judgedPairs(rows) {
			if b.Regular {
				regular++
			}
			if b.Rita.Mean >= .8 {
				rita++
			}
			if b.Rita.TS >= .8 {
				ritaTime++
			}
		}
		share := func(k int) float64 { return float64(k) / float64(pairs) }
		out = append(out, outcome{detection: "beacon", about: null.name, size: "pair and week", unit: percent, value: share(regular), target: .01, trials: float64(pairs),
			others: fmt.Sprintf("RITA mean ≥ .8 %.2f %%, TS ≥ .8 %.2f %%", 100*share(rita), 100*share(ritaTime))})
	}
	// Clocks that are no implants: regular, and labelled.
	var rows []Row
	for i := range pairs / 10 {
		key := pairKey(i)
		key.Object = []string{"pool.ntp.org", "time.windows.com", "windowsupdate.com", "api.snapcraft.io", "ocsp.digicert.com"}[i%5]
		rows = append(rows, beatRows(key, ticks(r, 60, logEven(r, 60, 3600), .2*r.Float64(), .05), func() uint64 { return 100 + r.Uint64N(50) })...)
	}
	regular, open := 0, 0
	for _, b := range judgedPairs(rows) {
		if b.Regular {
			regular++
			if b.Label == "" {
				open++
			}
		}
	}
	return append(out, outcome{detection: "beacon", about: "time, update and certificate services", size: "without a label", unit: percent, value: float64(open) / float64(pairs/10), target: .01,
		trials: float64(pairs / 10), others: fmt.Sprintf("regular %.2f %%", 1000*float64(regular)/float64(pairs))})
}
