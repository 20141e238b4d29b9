package detect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"outflow/stats"
)

// feedsOfFew simulates so many feeds of five entities, as a small company or the accounts of
// one project have. People upload medians from 1 to 50 MB, even over the logarithms, σ from .4
// to 1.5, and one in 20 is bursty, as in organisation; service accounts 5 MB to 2 GB, σ from
// .1 to .4.
func feedsOfFew(feeds, history int, service bool) *simulation {
	r := rand.New(rand.NewPCG(7, 9))
	s := &simulation{history: history}
	for f := range feeds {
		for i := range 5 {
			name, sigma, median, burst := fmt.Sprintf("%06d", i), .4+1.1*r.Float64(), logEven(r, 1, 50), r.IntN(20) == 0
			if service {
				name, sigma, median, burst = "svc-"+name, .1+.3*r.Float64(), logEven(r, 5, 2000), false
			}
			for d := simulatedDay - Day(history); d <= simulatedDay; d++ {
				row := Row{Day: d, Key: Key{Feed: fmt.Sprintf("f%05d", f), EntityType: "user", Entity: name}}
				row.Events, row.KnownOut = 1, 1
				mb := median * math.Exp(sigma*r.NormFloat64())
				if burst && r.IntN(20) == 0 {
					mb *= logEven(r, 10, 50)
				}
				row.BytesOut = int64(1e6 * mb)
				s.rows = append(s.rows, row)
			}
			s.today = append(s.today, len(s.rows)-1)
		}
	}
	return s
}

// simulateFew measures upload_zscore where there is no organisation to compare with: in feeds
// of five. Days have 300 MB more, or 26 times the median of the days before.
func simulateFew(*testing.T) (out []outcome) {
	feeds := 200
	if long() {
		feeds = 2000
	}
	for _, c := range []struct {
		service bool
		history int
		who     string
		target  [3]float64 // of ordinary days, of 300 MB more, and of 26 times the usual
	}{
		{false, 9, "people", [3]float64{.002, .55, 0}},
		{false, 30, "people", [3]float64{.002, .60, 0}},
		{true, 9, "service accounts", [3]float64{.002, 0, .85}},
		{true, 30, "service accounts", [3]float64{.002, 0, .90}},
	} {
		s := feedsOfFew(feeds, c.history, c.service)
		ordinary := make([]int64, len(s.today))
		for j, i := range s.today {
			ordinary[j] = s.rows[i].BytesOut
		}
		for i, size := range []string{"ordinary day", "+300 MB", "26 times"} {
			for j, at := range s.today {
				switch i {
				case 1:
					s.rows[at].BytesOut = ordinary[j] + 300e6
				case 2:
					s.rows[at].BytesOut = 26 * medianOf(s.rows[at-c.history:at])
				}
			}
			in := s.input()
			in.Group = func(k Key) string { return GroupOf(k.EntityType, k.Entity) }
			n := float64(len(s.today))
			o := outcome{detection: "upload_zscore", about: fmt.Sprintf("%d days, feeds of five %s", c.history, c.who), size: size,
				value: float64(len(Judge(uploadZScore(), in))) / n, target: c.target[i], trials: n}
			if i == 0 {
				o.unit = percent
			}
			out = append(out, o)
		}
	}
	return out
}

func medianOf(rows []Row) int64 {
	var x []float64
	for i := range rows {
		x = append(x, float64(rows[i].BytesOut))
	}
	return int64(stats.Median(x))
}
