package reports

import (
	"fmt"
	"slices"
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
		for _, c := range p.Cards {
			for _, s := range c.Steps {
				if s.Clock != nil {
					checkPicture(t, name+"/"+s.Clock.ID, s.Clock)
				}
			}
		}
		want := map[string]string{"rich": "[where hours normal]", "quiet": "[normal]", "empty": "[]", "trend": "[where hours normal trend]"}[name]
		if want != "" && fmt.Sprint(ids) != want {
			t.Errorf("%s: got pictures %v, want %s", name, ids, want)
		}
	}
}

// If this fails, a card shows other times of day than the finding has.
func TestClock(t *testing.T) {
	beats := detect.Summary{Beats: 3, Rhythm: "3661:10 3600 7200:12"}
	many := detect.Summary{Beats: 200, Rhythm: "60 1 60 60 60 1 9 9 9 1 .9 100 0 0 100" + strings.Repeat(" 0", 20)}
	for name, c := range map[string]struct {
		finding detect.Finding
		heading string
		rows    string
	}{
		"bytes":        {detect.Finding{Summary: detect.Summary{BytesOut: 30e6, Activity: "h3:10000000 20000000"}}, "Bytes out by hour, UTC", "03:00 10 MB; 04:00 20 MB"},
		"one hour":     {detect.Finding{Summary: detect.Summary{BytesOut: 30e6, Activity: "h3:30000000"}}, "", ""},
		"not known":    {detect.Finding{Summary: detect.Summary{BytesOut: 30e6}}, "", ""},
		"download":     {detect.Finding{Verdict: "download", Summary: detect.Summary{BytesIn: 30e6, Activity: "h0:10000000 23:20000000"}}, "Bytes fetched by hour, UTC", "00:00 10 MB; 23:00 20 MB"},
		"queries":      {detect.Finding{Summary: detect.Summary{NameBytes: 900, Activity: "m61:4 9 180:1"}}, "DNS queries per minute, UTC", "01:00 13 01:02 9; 03:00 1 03:00 1"},
		"one query":    {detect.Finding{Summary: detect.Summary{NameBytes: 900, Activity: "m1439:1"}}, "DNS queries per minute, UTC", "23:00 1 23:59 1"},
		"beats":        {detect.Finding{Summary: beats}, "Beats: a row is an hour, UTC, with its 60 minutes", "01:00 01:01; 02:00 01:01; 04:00 01:01"},
		"beats a hour": {detect.Finding{Summary: many}, "Beats by hour, UTC", "00:00 100; 03:00 100"},
	} {
		p := newClock("f", &c.finding)
		if p == nil {
			if c.heading != "" {
				t.Errorf("%s: got no picture", name)
			}
			continue
		}
		checkPicture(t, name, p)
		var rows []string
		for _, row := range p.Rows {
			var cells []string
			for _, cell := range row {
				cells = append(cells, cell.Text)
			}
			rows = append(rows, strings.Join(cells, " "))
		}
		if got := strings.Join(rows, "; "); p.Heading != c.heading || got != c.rows {
			t.Errorf("%s: got %q: %s, want %q: %s", name, p.Heading, got, c.heading, c.rows)
		}
	}
}

// A picture of minutes must not become larger with the queries.
func TestMinutesAreFew(t *testing.T) {
	counts := make([]int64, 1440)
	for i := range counts {
		counts[i] = int64(1 + i*7919%1000)
	}
	p := newMinutes("f", counts)
	for _, m := range p.Marks {
		if len(m.Path) > 4000 {
			t.Errorf("a path has %d bytes", len(m.Path))
		}
	}
	if p.Desc != "Most at 09:59: 1,000 queries." && !strings.Contains(p.Desc, "1,000 queries") || len(p.Rows) != 24 {
		t.Errorf("got %q and %d rows", p.Desc, len(p.Rows))
	}
}

// If this fails, the heat map adds bytes that two findings tell of, or loses those of DNS.
func TestBytesByHour(t *testing.T) {
	upload := detect.Finding{Summary: detect.Summary{BytesOut: 90e6, Hours: 0b1010, Activity: "h1:30000000 3:60000000"}}
	part := detect.Finding{Summary: detect.Summary{BytesOut: 70e6, Hours: 1 << 3}} // of one hour
	dns := detect.Finding{Summary: detect.Summary{NameBytes: 1000, Events: 10, Hours: 0b10_0010, Activity: "m60:4 300:6"}}
	beats := detect.Finding{Summary: detect.Summary{BytesOut: 5, Beats: 3, Rhythm: "3661:10 3600 7200:12", Hours: 0b1_0110}}
	got := bytesByHour([]*detect.Finding{&upload, &part, &dns, &beats})
	if want := ([24]int64{1: 30e6, 3: 70e6, 5: 600}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := fmt.Sprint(heat(1), heat(10e6), heat(999e6), heat(1e9)), "1 2 3 4"; got != want {
		t.Errorf("got colours %s, want %s", got, want)
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

// If this fails, a name lies on another one or on a dot, and cannot be read, or the person
// who did the most has no name.
func TestNameDots(t *testing.T) {
	for _, c := range []struct {
		name string
		dots [][2]float64
		want []string // the names with their anchors, in the order of the dots
	}{
		{"room", [][2]float64{{200, 100}}, []string{"one start"}},
		{"the right edge", [][2]float64{{875, 100}}, []string{"one end"}},
		{"a dot on the right", [][2]float64{{200, 100}, {225, 104}}, []string{"one end", "two start"}},
		{"dots on both sides", [][2]float64{{200, 100}, {225, 100}, {175, 100}}, []string{"one middle", "two start", "six end"}},
		{"below the top edge", [][2]float64{{200, 14}, {225, 14}, {175, 14}}, []string{"one middle", "two start", "six end"}},
		{"one on another", [][2]float64{{200, 100}, {200, 100}}, []string{"one start", "two end"}},
	} {
		var p picture
		p.nameDots(c.dots, []string{"one", "two", "six"})
		var got []string
		for _, l := range p.Labels {
			got = append(got, l.Text+" "+l.Anchor)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
