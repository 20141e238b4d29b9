package reports

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"outflow/stats/detect"
)

// crowdReport is a night on which n machines and people have a finding each: uploads, data
// in DNS names and matches of a rule that nobody should have to read one by one.
func crowdReport(n int) *Report {
	r := quietReport()
	for i := range n {
		var f detect.Finding
		switch i % 3 {
		case 0:
			f = uploadFinding(fmt.Sprintf("user%05d", i), 1e9, detect.Severity(i%5))
		case 1:
			f = dnsFinding(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), fmt.Sprintf("d%d.example", i%50), detect.Severity(i%4))
		default:
			f = ruleFinding(fmt.Sprintf("pc%05d", i), "rclone", `C:\Tools\rclone.exe`)
		}
		f.UID = fmt.Sprintf("%016x", i)
		r.Findings = append(r.Findings, f)
	}
	inOrder(r)
	return r
}

func ruleFinding(host, rule, what string) detect.Finding {
	return detect.Finding{
		UID: "5e" + host, Day: sampleDay, Detection: "sigma_rule", Technique: "T1567.002", Severity: detect.Medium, RiskScore: 40,
		Key:   detect.Key{Feed: "endpoint", EntityType: "host", Entity: host, Object: rule + ": " + what},
		Score: 1, Threshold: 0.5, Observed: 1, Baseline: math.NaN(), Unit: "matches/day",
		Window: [2]int64{at(sampleDay, 0, 0), at(sampleDay+1, 0, 0)},
		Summary: detect.Summary{Events: 1, First: at(sampleDay, 21, 2), Last: at(sampleDay, 21, 2), Hours: 1 << 21,
			Evidence: "endpoint.ndjson.gz:77", Examples: []string{what + " copy D:\\crm remote:x"}},
		Why: host + ` matched the rule "Rclone" 1 time: ` + what,
	}
}

// If this fails, a manager repeats a false sentence about the night.
func TestVerdictSentences(t *testing.T) {
	single := quietReport()
	single.Findings = []detect.Finding{uploadFinding("alice", 4_187_000_000, detect.Critical)}
	incomplete := crowdReport(7)
	incomplete.Inputs = append(incomplete.Inputs, Input{Name: "x", Status: Unknown}, Input{Name: "y", Status: Unreadable})
	minor := quietReport()
	minor.Findings = []detect.Finding{dnsFinding("10.0.0.1", "cdn.example", detect.Low)}
	rule := quietReport()
	rule.Findings = []detect.Finding{ruleFinding("pc1", "rclone", "rclone.exe")}
	allowed := quietReport()
	allowed.Findings = []detect.Finding{{Allowed: "agreed", Severity: detect.High}}
	blind := quietReport()
	blind.Blind = []Blind{{Why: "x"}}
	partly := quietReport()
	partly.Inputs[0].Status = Damaged
	days := quietReport()
	days.Days = []detect.Day{sampleDay, sampleDay + 1}

	service := quietReport()
	service.Group = func(k detect.Key) string {
		if k.Entity == "nightjob" { // by configuration
			return detect.ServiceGroup
		}
		return detect.GroupOf(k.EntityType, k.Entity)
	}
	service.Findings = []detect.Finding{
		uploadFinding("alice", 2e9, detect.High), uploadFinding("svc-reporting", 4e9, detect.Medium),
		uploadFinding("nightjob", 1e9, detect.Medium), dnsFinding("10.0.4.17", "a.example", detect.Medium),
	}
	var got strings.Builder
	for _, c := range []struct {
		name string
		r    *Report
	}{
		{"a single critical finding", single},
		{"service accounts", service},
		{"findings of each kind", sampleReport()},
		{"an incomplete night", incomplete},
		{"15,000 findings", crowdReport(15_000)},
		{"minor findings only", minor},
		{"no volume is known", rule},
		{"all is allowed", allowed},
		{"nothing was found", quietReport()},
		{"nothing was found, with a blind spot", blind},
		{"nothing was found in a log that ends early", partly},
		{"nothing was found on two days", days},
		{"no log", &Report{Days: []detect.Day{sampleDay}}},
		{"no row", &Report{Days: []detect.Day{sampleDay}, Inputs: []Input{{Name: "x"}}}},
		{"nothing at all", &Report{}},
	} {
		fmt.Fprintf(&got, "%s:\n\t%s\n", c.name, verdictOf(c.r))
		for _, tile := range tiles(c.r, newToll(subjects(c.r))) {
			fmt.Fprintf(&got, "\t[%s: %s, %s]\n", tile.Name, tile.Value, tile.Note)
		}
	}
	golden(t, "verdicts.txt", []byte(got.String()))
}

// If this fails, the page counts the same bytes twice, or bytes that did not leave.
func TestLeaks(t *testing.T) {
	upload := func(unit string, observed, baseline float64, out int64, also ...string) *detect.Finding {
		f := uploadFinding("alice", observed, detect.High)
		f.Unit, f.Baseline, f.Summary.BytesOut, f.Also = unit, baseline, out, also
		return &f
	}
	download := upload("B/day", 2e9, 0, 0)
	download.Verdict = "download"
	low := upload("B/day", 2e9, 0, 2e9)
	low.Severity = detect.Low
	dns := dnsFinding("10.0.0.1", "a.example", detect.High)
	other := dnsFinding("10.0.0.1", "b.example", detect.High)
	rule := ruleFinding("alice", "slack_upload", "slack.com/api/files.upload")
	rule.Summary.BytesOut = 3e9
	next := upload("B/day", 2e9, math.NaN(), 2e9)
	next.Day++
	for _, c := range []struct {
		name     string
		findings []*detect.Finding
		want     int64
	}{
		{"above the baseline", []*detect.Finding{upload("B/day", 2e9, 5e8, 2e9)}, 1.5e9},
		{"no baseline", []*detect.Finding{upload("B/day", 2e9, math.NaN(), 2.1e9)}, 2e9},
		{"below the baseline", []*detect.Finding{upload("B/day", 2e9, 3e9, 2e9)}, 0},
		{"a destination of a usual day", []*detect.Finding{upload("B/day", 2e9, 0, 2.2e9, "upload_zscore")}, 2e9},
		{"a destination of a larger day", []*detect.Finding{upload("B/day", 2e9, 0, 9e9, "upload_zscore")}, 9e9},
		{"a ratio", []*detect.Finding{upload("B out/B in", 14, 0.5, 3e9)}, 3e9},
		{"not finite", []*detect.Finding{upload("B/day", math.Inf(1), 0, 3e9)}, 3e9},
		{"fetched", []*detect.Finding{download}, 0},
		{"low", []*detect.Finding{low}, 0},
		{"two domains", []*detect.Finding{&dns, &other}, 2 * 412_880},
		{"an upload and the rule about it", []*detect.Finding{upload("B/day", 3e9, 5e8, 3e9), &rule}, 3e9},
		{"two days", []*detect.Finding{upload("B/day", 3e9, 0, 3e9), next}, 5e9},
	} {
		got := int64(0)
		for _, l := range leaks(c.findings) {
			got += l.bytes
		}
		if got != c.want {
			t.Errorf("%s: got %d bytes, want %d", c.name, got, c.want)
		}
	}
}

// The verdict stands before all else that the page says of the night.
func TestVerdictIsFirst(t *testing.T) {
	for name, report := range pageReports {
		page := string(write(t, HTML.Files[0], report()))
		_, page, _ = strings.Cut(page, "</h1>")
		first := strings.Index(page, verdictOf(report()))
		if tiles := strings.Index(page, `class="tiles"`); first < 0 || first > tiles {
			t.Errorf("%s: the page does not begin with the verdict", name)
		}
	}
	var b bytes.Buffer
	if pages().Execute(&b, &page{}) != nil {
		t.Error("a page without anything is an error")
	}
}
