package detect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"outflow/stats"
)

// newcomers simulates people with 30 days, and so many fresh ones with days before the judged
// one, who upload three times as much in their first five. Medians are even over the
// logarithms from 1 to 50 MB, and σ is .5, 1 or 1.5; one in 20 is bursty, as in organisation;
// one in 50 works with video: 200 MB to 5 GB, σ .5.
func newcomers(seed uint64, people, fresh, days int) *simulation {
	r := rand.New(rand.NewPCG(seed, 6))
	s := &simulation{sigmas: []float64{.5, 1, 1.5}}
	for i := range people + fresh {
		name, history := fmt.Sprintf("%06d", i), 30
		if i >= people {
			name, history = fmt.Sprintf("new-%06d", i-people), days
		}
		median, sigma, burst := logEven(r, 1, 50), s.sigmas[i%3], r.IntN(20) == 0
		if r.IntN(50) == 0 {
			median, sigma = logEven(r, 200, 5000), .5
		}
		for d := simulatedDay - Day(history); d <= simulatedDay; d++ {
			row := Row{Day: d, Key: Key{Feed: "f", EntityType: "user", Entity: name}}
			row.Events, row.KnownOut = 1, 1
			mb := median * math.Exp(sigma*r.NormFloat64())
			if burst && r.IntN(20) == 0 {
				mb *= logEven(r, 10, 50)
			}
			if i >= people && int(d-simulatedDay)+history < 5 {
				mb *= 3
			}
			row.BytesOut = int64(1e6 * mb)
			s.rows = append(s.rows, row)
		}
		if i >= people {
			s.today = append(s.today, len(s.rows)-1)
		}
	}
	return s
}

// byVolume returns groups of people whose median days before the judged one are like: within
// a factor of e².
func byVolume(rows []Row) func(Key) string {
	days := map[string][]float64{}
	for i := range rows {
		if r := &rows[i]; r.Day < simulatedDay {
			days[r.Entity] = append(days[r.Entity], math.Log(float64(r.BytesOut)+1e6))
		}
	}
	groups := map[string]string{}
	for who, logs := range days {
		groups[who] = fmt.Sprintf("volume %.0f", math.Floor(stats.Median(logs)/2))
	}
	return func(k Key) string { return groups[k.Entity] }
}

// simulateColdStart measures upload_zscore for people with too few days for a baseline. The
// other rule compares them with people of similar volume, as if with their group.
func simulateColdStart(*testing.T) (out []outcome) {
	people, plain, planted := 200, 1, 2 // the last are batches
	if long() {
		people, plain, planted = 500, 6, 20
	}
	for _, days := range []int{1, 3, 6} {
		for _, c := range []struct {
			extra  int64
			size   string
			target float64
		}{{0, "ordinary day", .02}, {300e6, "+300 MB", 0}, {1e9, "+1 GB", 0}, {5e9, "+5 GB", .95}} {
			// Few have the extra bytes, so that these do not raise the percentile themselves.
			batches, fresh := planted, people*3/100
			if c.extra == 0 {
				batches, fresh = plain, people*3/5
			}
			n := float64(batches * fresh)
			var found, medium [2]float64 // now, and by volume
			for b := range batches {
				s := newcomers(uint64(b), people, fresh, days)
				like := byVolume(s.rows)
				for _, i := range s.today {
					s.rows[i].BytesOut += c.extra
				}
				for rule := range found {
					in := inputOf(s.rows, 60)
					if rule == 1 {
						in.Group = like
					}
					for _, f := range Judge(uploadZScore(), in) {
						if strings.HasPrefix(f.Entity, "new-") {
							found[rule] += 1 / n
							if f.Severity >= Medium {
								medium[rule] += 1 / n
							}
						}
					}
				}
			}
			o := outcome{detection: "upload_zscore", about: "cold start, " + count(int64(days), "day") + " of history", size: c.size,
				value: found[0], target: c.target, trials: n}
			if c.extra == 0 {
				o.unit = percent
				o.others = fmt.Sprintf("medium %s; by volume %s, medium %s", o.show(medium[0]), o.show(found[1]), o.show(medium[1]))
			} else {
				o.others = "by volume " + o.show(found[1])
			}
			out = append(out, o)
		}
	}
	return out
}
