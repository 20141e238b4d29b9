package jobs

import (
	"fmt"
	"strings"
	"testing"
)

// flipSite has compressed logs in a bucket.
func flipSite(t *testing.T) *site {
	s := newSite(t, "s3://logs/{yyyy}-{mm}-{dd}/")
	s.bucket = newS3Server(t)
	for day := 9; day <= 22; day++ {
		date := fmt.Sprintf("2026-03-%02d", day)
		s.bucket.put(t, date+"/a.csv.gz", gzipped(t, uploads(date+fmt.Sprintf("T10:%02d ann 1%d00000", day, day%3), date+"T11:00 bob 900000")))
	}
	return s
}

// If this fails, a bit that flips on the way of a log costs the log for good, or a log that is
// damaged where it lies is read again each night.
func TestFlippedOnItsWay(t *testing.T) {
	const log = "2026-03-21/a.csv.gz"
	named := func(s *site, night int, what string) {
		t.Helper()
		found := false
		for _, in := range readCSV(t, fmt.Sprintf("%s/out/nightly/2026-03-%d/inputs.csv", s.dir, night)) {
			found = found || strings.HasSuffix(in["name"], log) && strings.Contains(in["error"], what)
		}
		if !found {
			t.Errorf("inputs.csv does not say %q: %s", what, s.reports(night)["inputs.csv"])
		}
	}
	clean := flipSite(t)
	clean.run(20)
	clean.run(21)
	want := clean.results()

	same := func(s *site) {
		t.Helper()
		got := s.results()
		for name := range want {
			if got[name] != want[name] {
				t.Errorf("%s differs from that of an undisturbed run:\n%s\nwant\n%s", name, got[name], want[name])
			}
		}
	}

	s := flipSite(t)
	s.run(20)
	s.bucket.flips = map[string]int{log: 1}
	if code, stderr := s.strict(21); code != exitOK { // its MD5 told, and it was read again
		t.Errorf("exit %d: %s", code, stderr)
	}
	same(s)

	// What flips alike twice in a row is taken for the object: its ETag need not be an MD5.
	s = flipSite(t)
	s.run(20)
	s.bucket.flips = map[string]int{log: 2}
	if code, stderr := s.strict(21); code != exitPartial || !strings.Contains(stderr, "INCOMPLETE") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	named(s, 21, "changed on its way: a second read brought other bytes, so the next run reads it again (")
	if code, stderr := s.strict(21); code != exitOK {
		t.Errorf("the next run: exit %d: %s", code, stderr)
	}
	same(s)

	s = flipSite(t)
	s.run(20)
	s.bucket.flips = map[string]int{log: 2}
	s.run(21)
	s.run(22) // the night after reads it, too
	if got := s.events(21); got["ann"] != 1 || got["bob"] != 1 {
		t.Errorf("after the next night the day has %v", got)
	}

	s = flipSite(t)
	body := gzipped(t, uploads("2026-03-21T10:00 ann 1", "2026-03-21T11:00 bob 2"))
	body[len(body)-6] ^= 0x10 // its checksum
	s.bucket.put(t, log, body)
	s.run(21)
	named(s, 21, "(a second read brought the same bytes)")
	s.run(22)
	s.bucket.opened()
	s.bucket.put(t, "2026-03-23/a.csv.gz", gzipped(t, uploads("2026-03-23T10:00 ann 1")))
	s.run(23)
	for _, key := range s.bucket.opened() {
		if key == log {
			t.Error("a log that is damaged where it lies is read again each night")
		}
	}
}
