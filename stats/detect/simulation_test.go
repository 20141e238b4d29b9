package detect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

// A simulation is an organisation whose users upload log-normal days. Users
// differ: their medians are spread evenly over the logarithms from 1 to 50 MB.
type simulation struct {
	sigmas  []float64 // of a user's days, natural log; users take them in turn
	history int       // days
	users   int
	rows    []Row
	today   []int // index of each user's judged day in rows
}

const simulatedDay = Day(20000) // a Thursday

func simulate(seed uint64, history, users int, sigmas ...float64) *simulation {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &simulation{sigmas: sigmas, history: history, users: users}
	for i := range users {
		median := math.Exp(r.Float64() * math.Log(50))
		for d := simulatedDay - Day(history); d <= simulatedDay; d++ {
			row := Row{Day: d, Key: Key{Feed: "f", EntityType: "user", Entity: fmt.Sprintf("%06d", i)}}
			row.Events, row.KnownOut = 1, 1
			row.BytesOut = int64(1e6 * median * math.Exp(sigmas[i%len(sigmas)]*r.NormFloat64()))
			s.rows = append(s.rows, row)
		}
		s.today = append(s.today, len(s.rows)-1)
	}
	return s
}

func (s *simulation) input() *Input {
	var covered []Day
	for d := simulatedDay - 60; d < simulatedDay; d++ {
		covered = append(covered, d)
	}
	return &Input{Day: simulatedDay, Series: seriesOf(s.rows), Covered: func(string) []Day { return covered }}
}

// found returns the share of the users with each sigma that are found if every judged
// day is extra bytes higher.
func (s *simulation) found(extra int64, in *Input) []float64 {
	for _, i := range s.today {
		s.rows[i].BytesOut += extra
	}
	share := make([]float64, len(s.sigmas))
	for _, f := range Judge(uploadZScore(), in) {
		var user int
		fmt.Sscanf(f.Entity, "%d", &user)
		share[user%len(s.sigmas)] += float64(len(s.sigmas)) / float64(s.users)
	}
	for _, i := range s.today {
		s.rows[i].BytesOut -= extra
	}
	return share
}

// TestUploadSimulation checks what upload_zscore promises. It finds at most 2 in 1,000
// ordinary days, whatever the users' spread. For regular users, it finds nearly all days
// with a gigabyte more.
//
// Note: 1.4826·MAD of the 30 days as the spread, with weekends always apart,
// finds .10/.24/.56 % of ordinary days at a floor of 50 MB (NumPy, 60,000 users)
// and no more of the others.
func TestUploadSimulation(t *testing.T) {
	batches := 3
	if os.Getenv("OUTFLOW_LONG") != "" {
		batches = 60 // takes minutes, and measures rates to a tenth of their bounds
	}
	const users = 3000
	// Two standard errors of a sampled rate of 2 in 1,000.
	tolerance := 2 * math.Sqrt(.002/float64(batches*users))
	for _, c := range []struct {
		history             int
		sigmas              []float64
		one, five, ordinary []float64 // the bounds, for each sigma
	}{
		{30, []float64{.5}, []float64{.97}, []float64{.99}, []float64{.002}},
		{30, []float64{1}, []float64{.86}, []float64{.97}, []float64{.002}},
		{30, []float64{1.5}, []float64{.60}, []float64{.90}, []float64{.002}},
		{10, []float64{1}, []float64{.80}, []float64{.97}, []float64{.002}},
		// Users of all kinds together: the erratic ones are found more often than
		// alone, because the organisation is steadier than they are, but all
		// together not more than 2 in 1,000.
		{30, []float64{.5, 1, 1.5}, []float64{.97, .86, .60}, []float64{.99, .97, .90}, []float64{.002, .002, .005}},
	} {
		ordinary, one, five := make([]float64, len(c.sigmas)), make([]float64, len(c.sigmas)), make([]float64, len(c.sigmas))
		for b := range batches {
			s := simulate(uint64(b), c.history, users, c.sigmas...)
			in := s.input()
			for i, got := range [][]float64{ordinary, one, five} {
				for j, share := range s.found([]int64{0, 1e9, 5e9}[i], in) {
					got[j] += share / float64(batches)
				}
			}
		}
		all := 0.0
		for i, sigma := range c.sigmas {
			t.Logf("%d days, sigma %.1f of %.1f: ordinary %.3f %%, +1 GB %.3f, +5 GB %.3f",
				c.history, sigma, c.sigmas, 100*ordinary[i], one[i], five[i])
			all += ordinary[i] / float64(len(c.sigmas))
			if ordinary[i] > c.ordinary[i]+tolerance || one[i] < c.one[i] || five[i] < c.five[i] {
				t.Errorf("%d days, sigma %.1f of %.1f: got %.4f of ordinary days, %.3f of +1 GB, %.3f of +5 GB; want at most %.4f, at least %.2f and %.2f",
					c.history, sigma, c.sigmas, ordinary[i], one[i], five[i], c.ordinary[i], c.one[i], c.five[i])
			}
		}
		if all > .002+tolerance {
			t.Errorf("%d days, sigmas %.1f: got %.4f of ordinary days, want at most .002", c.history, c.sigmas, all)
		}
	}
}

// The third day in a row with a gigabyte must be found like the first, and a
// level that stays must not be found for ever.
func TestUploadRepeats(t *testing.T) {
	for _, sigma := range []float64{0.5, 1, 1.5} {
		s := simulate(77, 30, 3000, sigma)
		in := s.input()
		in.Flagged = func(_ Key, d Day) bool { return d >= simulatedDay-2 }
		for i := range s.rows {
			if d := s.rows[i].Day; d == simulatedDay-1 || d == simulatedDay-2 {
				s.rows[i].BytesOut += 1e9
			}
		}
		got := s.found(1e9, in)[0]
		t.Logf("sigma %.1f: third day of +1 GB %.3f", sigma, got)
		if want := map[float64]float64{.5: .95, 1: .85, 1.5: .58}[sigma]; got < want {
			t.Errorf("sigma %.1f: found %.3f of third days, want %.2f", sigma, got, want)
		}
		for i := range s.rows {
			if s.rows[i].Day < simulatedDay && s.rows[i].Day >= simulatedDay-6 {
				s.rows[i].BytesOut += 1e9
			}
		}
		in.Flagged = func(_ Key, d Day) bool { return d >= simulatedDay-6 }
		if got := s.found(1e9, in)[0]; got > .002 {
			t.Errorf("sigma %.1f: found %.3f of seventh days, want none: the level has changed", sigma, got)
		}
	}
}

// If this fails, ordinary days make people notable: more than 5 of 10,000 in a night. The
// days of people vary by what real ones do, and they receive about as much as they send,
// so that an unusual upload has an unusual ratio as well.
func TestNotableSimulation(t *testing.T) {
	nights := 3
	if os.Getenv("OUTFLOW_LONG") != "" {
		nights = 40
	}
	var notable, medium, found, people int
	for night := range nights {
		s := simulate(uint64(100+night), 30, 3000, .4, .6, .8, 1, 1.2, 1.5)
		r := rand.New(rand.NewPCG(uint64(night), 2))
		for i := range s.rows {
			s.rows[i].KnownIn = 1
			s.rows[i].BytesIn = int64(1e6 * 50 * math.Exp(r.NormFloat64()))
		}
		var findings []Finding
		for _, d := range []*Detection{uploadZScore(), uploadRatio()} {
			findings = append(findings, Judge(d, s.input())...)
		}
		findings = Join(findings)
		found += len(findings)
		for _, f := range findings {
			if f.Severity >= Medium {
				medium++
			}
		}
		for _, e := range Risk(findings, simulatedDay, nil) {
			if e.Notable {
				notable++
			}
		}
		people += s.users
	}
	perNight := 10_000 / float64(people)
	t.Logf("of 10,000 people in a night: %.1f findings, %.1f of them medium or above, %.1f notable people", float64(found)*perNight, float64(medium)*perNight, float64(notable)*perNight)
	if got := float64(notable) * perNight; got > 5 {
		t.Errorf("got %.1f notable people a night, want at most 5", got)
	}
	if medium == 0 {
		t.Error("no day is unusual: the test shows nothing")
	}
}

// BenchmarkScore judges a day of 3,000 users by 30 days of history.
func BenchmarkScore(b *testing.B) {
	s := simulate(1, 30, 3000, 1)
	in := s.input()
	for _, d := range All() {
		if d.Aggregate != UserDay {
			continue
		}
		b.Run("detection="+d.Name, func(b *testing.B) {
			for b.Loop() {
				Judge(d, in)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(s.users), "ns/user")
		})
	}
}
