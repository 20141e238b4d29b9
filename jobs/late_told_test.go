package jobs

import (
	"fmt"
	"strings"
	"testing"
)

// If this fails, a harmless log that comes late every night tells the findings of an old
// day every night, or a late theft tells those of its day that are known as if they were new.
func TestLateLogsTellNothingTwice(t *testing.T) {
	s := newSite(t, "logs/**")
	for day := 1; day <= 31; day++ {
		date := fmt.Sprintf("2026-03-%02d", day)
		s.write("logs/"+date+".csv", uploads(date+fmt.Sprintf("T10:%02d ann 1%d00000", day, day%3), date+"T11:00 bob 900000", date+"T12:00 carl 900000"))
	}
	told := newReceiver(t)
	s.write("outflow.yaml", []byte("inputs: [{name: cloud, uri: 'logs/**'}]\nnotify: [{to: webhook, url: '"+told.URL+"'}]\n"))
	s.write("logs/theft.csv", uploads("2026-03-26T10:00 ann 90000000000"))
	s.run(26)
	findings := func(day int) int {
		return strings.Count(s.read(fmt.Sprintf("out/nightly/2026-03-%02d/findings.csv", day)), "2026-03-26")
	}
	if findings(26) == 0 {
		t.Fatal("the theft was not found")
	}
	for day := 27; day <= 29; day++ {
		s.write(fmt.Sprintf("logs/harmless-%d.csv", day), uploads(fmt.Sprintf("2026-03-26T12:00 eve%d 5", day)))
		s.run(day)
		if n := findings(day); n > 0 {
			t.Errorf("the night of the %dth tells %d findings of the 26th again", day, n)
		}
		if !strings.Contains(s.page(day), "Logs of 2026-03-26 arrived late: the day was folded and judged again") {
			t.Errorf("the night of the %dth does not say that the 26th was judged again", day)
		}
	}
	if n := len(told.bodies); n != 1 {
		t.Fatalf("got %d messages, want one of the 26th", n)
	}
	s.write("logs/more.csv", uploads("2026-03-26T12:00 bob 90000000000"))
	const known = "Reported by an earlier night."
	check := func(run int, page, is, isNot string) {
		t.Helper()
		if n := strings.Count(page, known); n == 0 || n >= strings.Count(page, "<article") {
			t.Errorf("run %d marks %d findings as known, of %d", run, n, strings.Count(page, "<article"))
		}
		if len(told.bodies) != 1+run {
			t.Fatalf("run %d: got %d messages", run, len(told.bodies))
		}
		if body := string(told.bodies[run]); !strings.Contains(body, `"entity":"`+is+`"`) || strings.Contains(body, `"entity":"`+isNot+`"`) {
			t.Errorf("run %d tells of %s again, or not of %s: %s", run, isNot, is, body)
		}
	}
	for run := 1; run <= 2; run++ { // the night, and the night again
		if code, _, stderr := invoke(t, s.dir, "run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-30", "--fail-on", "high"); code != exitFindings {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		if findings(30) == 0 {
			t.Fatal("a theft in a late log is not told")
		}
		check(run, s.page(30), "bob", "ann")
	}
	s.write("logs/last.csv", uploads("2026-03-26T12:00 carl 90000000000"))
	s.run(31)
	check(3, s.page(31), "carl", "bob")
}
