package jobs

import (
	"fmt"
	"strings"
	"testing"
)

// If this fails, a harmless log that comes late every night tells the findings of an old
// day every night.
func TestLateLogsTellNothingTwice(t *testing.T) {
	s := newSite(t, "logs/**")
	for day := 1; day <= 31; day++ {
		date := fmt.Sprintf("2026-03-%02d", day)
		s.write("logs/"+date+".csv", uploads(date+fmt.Sprintf("T10:%02d ann 1%d00000", day, day%3), date+"T11:00 bob 900000"))
	}
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
	s.write("logs/more.csv", uploads("2026-03-26T12:00 bob 90000000000"))
	s.run(30)
	if findings(30) == 0 {
		t.Error("a theft in a late log is not told")
	}
}
