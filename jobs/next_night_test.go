package jobs

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// If this fails, a night reads logs of earlier nights again, or asks the bucket more often than
// its history has days. OUTFLOW_LONG=1 has 100 objects a day, as make faulttest does.
func TestNextNight(t *testing.T) {
	objects := 3
	if os.Getenv("OUTFLOW_LONG") != "" {
		objects = 100
	}
	s := newSite(t, "s3://logs/{yyyy}-{mm}-{dd}/")
	s.bucket = newS3Server(t)
	var night []string
	size := 0
	for day := 1; day <= 31; day++ {
		for i := range objects {
			date := fmt.Sprintf("2026-03-%02d", day)
			key := fmt.Sprintf("%s/%03d.csv.gz", date, i)
			var events []string
			for n := range 200 {
				events = append(events, fmt.Sprintf("%sT%02d:%02d user%d %d", date, i%24, n%60, (i+n)%50, 1000+i*n+day))
			}
			body := gzipped(t, uploads(events...))
			s.bucket.put(t, key, body)
			if day == 31 {
				night, size = append(night, key), size+len(body)
			}
		}
	}
	s.run(30)
	first := len(s.bucket.opened())
	lists := s.bucket.listed()
	t.Logf("the first night: %d objects opened, %d LISTs", first, lists)
	if first < 30*objects {
		t.Errorf("the first night opened %d objects, want all %d", first, 30*objects)
	}
	s.run(31)
	opened := s.bucket.opened()
	slices.Sort(opened)
	lists = s.bucket.listed()
	t.Logf("the next night: %d objects opened, of %d bytes, %d LISTs", len(opened), size, lists)
	if !slices.Equal(opened, night) {
		t.Errorf("the next night opened\n%s\nwant the %d of its day", strings.Join(opened, "\n"), objects)
	}
	if v := s.ran("out/nightly/2026-03-31"); v.Requests.List != lists || v.Requests.Get != len(opened) {
		t.Errorf("run.json counts %+v, want %d LISTs and %d GETs", v.Requests, lists, len(opened))
	}
	// One for each day of history, whether its logs are there or not; of the days that the state
	// lacks, also the days beside each chunk.
	config, err := loadConfig("", func(string) (string, bool) { return "", false }, nil)
	if err != nil {
		t.Fatal(err)
	}
	if most := config.horizon() + 2*(config.horizon()/backfillChunk+1) + 10; lists > most {
		t.Errorf("the next night made %d LISTs, want %d at most", lists, most)
	}
}
