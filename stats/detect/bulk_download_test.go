package detect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

// simulateDownloads makes an organisation like simulate's of a service, whose users
// download log-normal days: as many megabytes, or as many objects, and both if both is
// set. A user's bytes and objects of a day then vary together, as files have a size.
func simulateDownloads(seed uint64, history, users int, bytes, objects bool, sigmas ...float64) *simulation {
	s := simulate(seed, history, users, sigmas...)
	r := rand.New(rand.NewPCG(seed, 2))
	for i := range s.rows {
		row := &s.rows[i]
		mb := float64(row.BytesOut) / 1e6
		row.Object, row.BytesOut, row.KnownOut = "s3/data", 0, 0
		if bytes {
			row.BytesIn, row.KnownIn = int64(1e6*mb), 1
		}
		if objects {
			if bytes {
				mb *= math.Exp(.5 * r.NormFloat64())
			}
			row.Names = int64(math.Round(mb))
			row.WindowNames = row.Names
		}
	}
	return s
}

// foundDownloads is found for bulk_download.
func (s *simulation) foundDownloads(bytes, objects int64, in *Input) []float64 {
	add := func(sign int64) {
		for _, i := range s.today {
			if s.rows[i].KnownIn > 0 {
				s.rows[i].BytesIn += sign * bytes
			}
			s.rows[i].Names += sign * objects
		}
	}
	add(1)
	defer add(-1)
	share := make([]float64, len(s.sigmas))
	for _, f := range Judge(bulkDownload(), in) {
		var user int
		fmt.Sscanf(f.Entity, "%d", &user)
		share[user%len(s.sigmas)] += float64(len(s.sigmas)) / float64(s.users)
	}
	return share
}

// TestDownloadSimulation checks what bulk_download promises, which is what upload_zscore
// does: by bytes, by objects where there are no bytes, and by both together, which must
// not find more of the ordinary days.
func TestDownloadSimulation(t *testing.T) {
	batches, users := 1, 1000
	if os.Getenv("OUTFLOW_LONG") != "" {
		batches, users = 10, 3000 // takes two minutes
	}
	// Two standard errors of a sampled rate of 2 in 1,000, and of one of 600.
	tolerance, slack := 2*math.Sqrt(.002/float64(batches*users)), 2*math.Sqrt(.6*.4/float64(batches*users))
	for _, c := range []struct {
		history     int
		sigma       float64
		one, five   float64 // bounds for a gigabyte or 1,000 objects more, and for five times that
		oneOrdinary float64
	}{
		{30, .5, .97, .99, .002},
		{30, 1, .86, .97, .002},
		{30, 1.5, .60, .90, .003}, // as upload_zscore's, who are judged among steadier ones
		{10, 1, .80, .97, .002},
		{10, .5, .97, .99, .002},
		{10, 1.5, .60, .90, .003},
	} {
		for _, by := range []struct {
			name           string
			bytes, objects bool
		}{{"bytes", true, false}, {"objects", false, true}, {"both", true, true}} {
			var ordinary, one, five float64
			for b := range batches {
				s := simulateDownloads(uint64(b), c.history, users, by.bytes, by.objects, c.sigma)
				in := s.input()
				amount := func(n int64) (bytes, objects int64) {
					if by.bytes {
						bytes = n * 1e9
					}
					if by.objects {
						objects = n * 1000
					}
					return bytes, objects
				}
				for i, got := range []*float64{&ordinary, &one, &five} {
					bytes, objects := amount([]int64{0, 1, 5}[i])
					*got += s.foundDownloads(bytes, objects, in)[0] / float64(batches)
				}
			}
			t.Logf("%d days, sigma %.1f, by %s: ordinary %.3f %%, +1 %.3f, +5 %.3f", c.history, c.sigma, by.name, 100*ordinary, one, five)
			if ordinary > c.oneOrdinary+tolerance || one < c.one-slack || five < c.five-slack {
				t.Errorf("%d days, sigma %.1f, by %s: got %.4f of ordinary days, %.3f of +1, %.3f of +5; want at most %.4f, at least %.2f and %.2f",
					c.history, c.sigma, by.name, ordinary, one, five, c.oneOrdinary, c.one, c.five)
			}
		}
	}
}
