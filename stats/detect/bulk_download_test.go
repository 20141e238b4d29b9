package detect

import (
	"fmt"
	"math"
	"math/rand/v2"
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

// simulateBulkDownloads measures bulk_download, which promises what upload_zscore does: by
// bytes, by objects where there are no bytes, and by both together, which must not find
// more of the ordinary days.
func simulateBulkDownloads(*testing.T) (out []outcome) {
	batches, users := 1, 1000
	if long() {
		batches, users = 10, 3000
	}
	trials := float64(batches * users)
	for _, c := range []struct {
		history  int
		sigma    float64
		want     []float64 // of ordinary days at most, of 1 GB or 1,000 objects more, and of five times that
		ordinary float64   // what is known to be found of ordinary days
	}{
		{30, .5, []float64{.002, .97, .99}, .002},
		{30, 1, []float64{.002, .86, .97}, .002},
		{30, 1.5, []float64{.002, .60, .90}, .003}, // as upload_zscore's, who are judged among steadier ones
		{10, 1, []float64{.002, .80, .97}, .002},
		{10, .5, []float64{.002, .97, .99}, .002},
		{10, 1.5, []float64{.002, .60, .90}, .003},
	} {
		for _, by := range []struct {
			name           string
			bytes, objects int64 // planted
			sizes          []string
		}{
			{"bytes", 1e9, 0, []string{"+1 GB", "+5 GB"}},
			{"objects", 0, 1000, []string{"+1,000 objects", "+5,000 objects"}},
			{"both", 1e9, 1000, []string{"+1 GB, 1,000 objects", "+5 GB, 5,000 objects"}},
		} {
			got := make([]float64, 3)
			for b := range batches {
				s := simulateDownloads(uint64(b), c.history, users, by.bytes > 0, by.objects > 0, c.sigma)
				in := s.input()
				for i, n := range []int64{0, 1, 5} {
					got[i] += s.foundDownloads(n*by.bytes, n*by.objects, in)[0] / float64(batches)
				}
			}
			for i, size := range append([]string{"ordinary day"}, by.sizes...) {
				o := outcome{detection: "bulk_download", about: fmt.Sprintf("%d days, σ %.1f, by %s", c.history, c.sigma, by.name), size: size,
					value: got[i], target: c.want[i], trials: trials}
				if i == 0 {
					o.unit, o.limit = percent, c.ordinary
				}
				out = append(out, o)
			}
		}
	}
	return out
}
