package reports

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"outflow/stats/detect"
)

// checkPicture checks that all that a picture draws is inside it.
func checkPicture(t *testing.T, name string, p *picture) {
	t.Helper()
	inside := func(text string, most int) {
		if v, err := strconv.ParseFloat(text, 64); err != nil || v < 0 || v > float64(most)+.1 {
			t.Errorf("%s: coordinate %q is not from 0 to %d", name, text, most)
		}
	}
	for _, m := range p.Marks {
		if m.Path != "" {
			if strings.Contains(m.Path, "NaN") || strings.Contains(m.Path, "Inf") {
				t.Errorf("%s: path %s", name, m.Path)
			}
			continue
		}
		inside(m.X, p.Width)
		inside(m.Y, p.Height)
	}
	for _, l := range p.Labels {
		inside(l.X, p.Width)
		inside(l.Y, p.Height)
	}
	for _, row := range p.Rows {
		if len(row) != len(p.Head) {
			t.Errorf("%s: a row has %d cells, the head %d", name, len(row), len(p.Head))
		}
	}
	if p.Title == "" || p.Desc == "" || len(p.Rows) == 0 {
		t.Errorf("%s: no title, description or table", name)
	}
}

func TestPictures(t *testing.T) {
	trend := crowdReport(300)
	for d := sampleDay - 40; d < sampleDay; d++ {
		if d%3 != 0 {
			trend.EarlierDays = append(trend.EarlierDays, d)
		}
		f := uploadFinding("alice", 1e6*float64(d%7), detect.High)
		f.Day = d
		trend.Earlier = append(trend.Earlier, f)
	}
	reports := map[string]func() *Report{"crowd": func() *Report { return crowdReport(1000) }, "trend": func() *Report { return trend }}
	for name, r := range pageReports {
		reports[name] = r
	}
	for name, report := range reports {
		r := report()
		p := cardsOf(t, r)
		var ids []string
		for i := range p.Pictures {
			ids = append(ids, p.Pictures[i].ID)
			checkPicture(t, name+"/"+p.Pictures[i].ID, &p.Pictures[i])
		}
		want := map[string]string{"rich": "[where hours normal]", "quiet": "[normal]", "empty": "[]", "trend": "[where hours normal trend]"}[name]
		if want != "" && fmt.Sprint(ids) != want {
			t.Errorf("%s: got pictures %v, want %s", name, ids, want)
		}
	}
}

// If this fails, the picture of who sent data where adds up to another volume than the
// verdict.
func TestSankeyAddsUp(t *testing.T) {
	for name, r := range map[string]*Report{"few": sampleReport(), "crowd": crowdReport(900)} {
		all := subjects(r)
		places, senders := map[string]int64{}, map[string]int64{}
		for _, s := range all {
			for _, l := range s.leaks {
				senders[s.name] += l.bytes
				places[l.where] += l.bytes
			}
		}
		want := newToll(all).bytes
		for side, of := range map[string]map[string]int64{"senders": senders, "places": places} {
			nodes, _ := largestNodes(of, side)
			if got := total(nodes); got != want || len(nodes) > sankeyNodes+1 {
				t.Errorf("%s: %d %s with %d bytes, want %d", name, len(nodes), side, got, want)
			}
		}
	}
}

// If this fails, a night that was not judged looks like one without findings.
func TestTrend(t *testing.T) {
	r := quietReport()
	r.Findings = []detect.Finding{uploadFinding("alice", 4e9, detect.High), dnsFinding("10.0.4.17", "a.example", detect.Low)}
	r.EarlierDays = []detect.Day{sampleDay - 35, sampleDay - 3, sampleDay - 2}
	old := uploadFinding("bob", 1e9, detect.Medium)
	old.Day = sampleDay - 2
	allowed := old
	allowed.Allowed = "agreed"
	unknown := old
	unknown.Day = sampleDay - 1
	r.Earlier = []detect.Finding{old, allowed, unknown}
	var got []string
	for _, row := range newTrend(nightsOf(r)).Rows {
		line := ""
		for _, c := range row {
			line += c.Text + " "
		}
		got = append(got, strings.TrimSpace(line))
	}
	want := "2026-11-17 0 0 0 B; 2026-11-18 1 0 969 MB; 2026-11-20 2 1 4 GB"
	if text := strings.Join(got, "; "); text != want {
		t.Errorf("got %s, want %s", text, want)
	}
	if newTrend(nightsOf(quietReport())) != nil {
		t.Error("one night has a trend")
	}
}
