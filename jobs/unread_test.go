package jobs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// unreadSite has quiet logs of two weeks in a bucket, two for each day, and a theft on the
// 21st.
func unreadSite(t *testing.T) *site {
	s := newSite(t, "s3://logs/{yyyy}-{mm}-{dd}/")
	s.bucket = newS3Server(t)
	for day := 9; day <= 22; day++ {
		date := fmt.Sprintf("2026-03-%02d", day)
		s.bucket.put(t, date+"/a.csv", uploads(date+fmt.Sprintf("T10:%02d ann 1%d00000", day, day%3)))
		theft := " bob 900000"
		if day == 21 {
			theft = " bob 9000000000"
		}
		s.bucket.put(t, date+"/b.csv", uploads(date+"T11:00"+theft))
	}
	return s
}

// refuse has the server refuse logs of these days from now on, and no others.
func (s *site) refuse(days ...int) {
	s.bucket.mu.Lock()
	defer s.bucket.mu.Unlock()
	s.bucket.refused = map[string]bool{}
	for _, day := range days {
		s.bucket.refused[fmt.Sprintf("2026-03-%02d/b.csv", day)] = true
	}
}

// strict runs a night, and returns its exit code and what it said.
func (s *site) strict(day int) (int, string) {
	s.t.Helper()
	code, _, stderr := invoke(s.t, s.dir, "run", "nightly", "--config", "outflow.yaml", "--day", fmt.Sprintf("2026-03-%02d", day), "--strict", "--s3-endpoint-url", s.bucket.url)
	return code, stderr
}

// If this fails, history with a log that could not be read stays without it for good, or is
// folded again each night although the log still cannot be read, or passes --strict.
func TestUnreadHistory(t *testing.T) {
	clean := unreadSite(t)
	clean.run(21)
	want := clean.results()

	s := unreadSite(t)
	s.refuse(12, 18)
	code, stderr := s.strict(21)
	if code != exitPartial || !strings.Contains(stderr, "history is incomplete: s3://logs/2026-03-12/b.csv: ") {
		t.Errorf("exit %d, want %d, and the log's name: %s", code, exitPartial, stderr)
	}
	s.bucket.opened()
	if stderr := s.run(21); strings.Contains(stderr, "can be read now") {
		t.Errorf("nothing can be read: %s", stderr)
	}
	again := map[string]int{}
	for _, key := range s.bucket.opened() {
		again[key]++
	}
	if again["2026-03-12/a.csv"] > 0 {
		t.Errorf("the 12th was folded again without its log: opened %v", slices.Sorted(maps.Keys(again)))
	}
	s.refuse(18)
	if stderr := s.run(21); strings.Count(stderr, "logs that could not be read can be read now") != 1 {
		t.Errorf("the log of the 12th can be read: %s", stderr)
	}
	s.refuse()
	if code, stderr := s.strict(21); code != exitOK || strings.Count(stderr, "logs that could not be read can be read now") != 1 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	got := s.results()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s differs from that of a run that could read everything:\n%s\nwant\n%s", name, got[name], want[name])
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is not there after a run that could read everything", name)
		}
	}
}

// If this fails, a day that was judged without one of its logs, which a fault kept from being
// read, is never judged with it.
func TestUnreadJudgedDay(t *testing.T) {
	s := unreadSite(t)
	s.refuse(21)
	if code, stderr := s.strict(21); code != exitPartial {
		t.Errorf("exit %d, want %d: %s", code, exitPartial, stderr)
	}
	s.refuse()
	s.run(22)
	if found := s.reports(22)["findings.csv"]; !strings.Contains(found, "2026-03-21") || !strings.Contains(found, "bob") {
		t.Errorf("the theft of the 21st was not found: %s", found)
	}
	if got := s.events(21); got["bob"] != 1 {
		t.Errorf("got events %v, want one of bob", got)
	}
}
