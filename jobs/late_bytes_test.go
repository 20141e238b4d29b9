package jobs

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// If this fails, one small log whose records lie far apart has a night read its whole history
// again, or what the night leaves for later is forgotten.
func TestLateBytes(t *testing.T) {
	for _, uri := range []string{datedURI, "logs/**"} {
		t.Run(uri, func(t *testing.T) {
			s := newSite(t, uri)
			s.write("outflow.yaml", fmt.Appendf(nil, "%slate_bytes: 1B\n", s.read("outflow.yaml")))
			s.quiet(26)
			s.run(20)
			s.write("logs/2026-03-21/late.csv", uploads("2026-03-15T22:00 eve 5", "2026-03-17T22:00 eve 5", "2026-03-19T22:00 eve 5", "2026-03-21T22:00 eve 5"))
			folded := func(night int) (days []int) {
				s.t.Helper()
				for day := 15; day <= 20; day++ {
					done, _ := s.done("state", day)
					for _, in := range done.Inputs {
						if strings.HasSuffix(in.Name, "late.csv") {
							days = append(days, day)
						}
					}
				}
				return days
			}
			s.run(21)
			if got := fmt.Sprint(folded(21)); got != "[20]" {
				t.Fatalf("the first night folded %s again, want the newest day", got)
			}
			if page := s.page(21); !strings.Contains(page, "Logs of 2026-03-15 to 2026-03-19 arrived late, too. One night reads at most 1 B again") || !strings.Contains(page, "INCOMPLETE") {
				t.Errorf("the page does not say what is left: %s", page)
			}
			reports, state := s.reports(21), s.results()
			s.run(21)
			if diff := differences(s.results(), state); len(diff) > 0 || s.reports(21)["findings.csv"] != reports["findings.csv"] {
				t.Errorf("the night again differs: %v", diff)
			}
			for night, want := range map[int]string{22: "[19 20]"} {
				s.run(night)
				if got := fmt.Sprint(folded(night)); got != want {
					t.Errorf("after the %dth: %s have the late log, want %s", night, got, want)
				}
			}
			for night := 23; night <= 26; night++ {
				s.run(night)
			}
			if got := fmt.Sprint(folded(26)); got != "[15 16 17 18 19 20]" {
				t.Errorf("in the end %s have the late log", got)
			}
			s.sameAsFresh(15, 16, 17, 18, 19, 20, 21)
			if page := s.page(26); strings.Contains(page, "arrived late, too") || strings.Contains(page, "INCOMPLETE") {
				t.Errorf("the last night still owes something: %s", page)
			}
			if _, err := os.Stat(s.dir + "/state/v2/others.json"); err == nil { // it would list nothing
				t.Errorf("the state still has %s", s.read("state/v2/others.json"))
			}
		})
	}
}
