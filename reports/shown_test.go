package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"outflow/stats/detect"
)

var example = regexp.MustCompile("(?s)<!-- example (\\S+) (\\d+)(?: (\\d+))? -->\n```(\\w*)\n(.*?)```\n")

// If this fails, the manual shows another line than the program writes, or does not
// explain a key.
func TestOutputsPage(t *testing.T) {
	const page = "../docs/outputs.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	made := example.ReplaceAllFunc(text, func(old []byte) []byte {
		examples++
		m := example.FindSubmatch(old)
		file, err := os.ReadFile(filepath.Join("testdata/kinds", string(m[1])))
		if err != nil {
			t.Fatal(err)
		}
		var from, to int
		fmt.Sscan(string(m[2]), &from)
		if to = from; len(m[3]) > 0 {
			fmt.Sscan(string(m[3]), &to)
		}
		lines := bytes.SplitAfter(file, []byte("\n"))
		head, _, _ := bytes.Cut(old, []byte("```"))
		return fmt.Appendf(nil, "%s```%s\n%s```\n", head, m[4], bytes.Join(lines[from-1:to], nil))
	})
	if examples < 6 {
		t.Errorf("the page has %d examples", examples)
	}
	if !bytes.Equal(made, text) {
		if !*update {
			t.Errorf("the examples of %s are stale: run with -update", page)
		} else if err := os.WriteFile(page, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	explained := func(file, key string) {
		if !strings.Contains(string(text), "`"+key+"`") {
			t.Errorf("the page does not explain %s of %s", key, file)
		}
	}
	for _, name := range []string{"findings.jsonl", "splunk_findings.jsonl", "splunk_risk.jsonl", "ecs.jsonl", "timesketch.jsonl", RunFile} {
		b, err := os.ReadFile(filepath.Join("testdata/kinds", name))
		if err != nil {
			t.Fatal(err)
		}
		for d := json.NewDecoder(bytes.NewReader(b)); d.More(); {
			var v map[string]any
			if err := d.Decode(&v); err != nil {
				t.Fatal(err)
			}
			for key := range v {
				explained(name, key)
			}
			if event, ok := v["event"].(map[string]any); ok && name == "splunk_risk.jsonl" {
				for key := range event {
					explained(name, key)
				}
			}
		}
	}
	b, err := os.ReadFile(filepath.Join("testdata/kinds", MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) gauge`).FindAllSubmatch(b, -1) {
		explained(MetricsFile, string(m[1]))
	}
}

func TestFit(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{fit("oskar.brandt", 8), "oskar.b…"},
		{fit("oskar.brandt", 0), "oskar.brandt"},
		{fit("資料資料資料", 6), "資料…"}, // two cells each
		{fitName("oskar.brandt@corp.example", 10), "oskar.bra…"},
		{fitName("111122223333/svc-reporting", 20), "11112…/svc-reporting"},
		{fitName("CORP/a-name-that-is-itself-too-long", 10), "…-too-long"},
		{fitName("/root", 4), "/ro…"},
		{fitPlace("stg-drop-7731.s3.amazonaws.com", 15), "stg-dro…aws.com"},
		{fitPlace("slack.com", 15), "slack.com"},
		{fitPlace("slack.com", 1), "…"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}

// If this fails, the terminal leaves to the reports what somebody must look at today, or
// fills the screen with what can wait.
func TestSummaryRows(t *testing.T) {
	for _, test := range []struct{ critical, high, medium, want int }{
		{0, 0, 12, summaryFindings},
		{0, 9, 3, summaryFindings},
		{2, 10, 3, 12}, // all that is urgent
		{0, 30, 0, 30},
		{0, summaryUrgent + 5, 0, summaryUrgent},
	} {
		r := sampleReport()
		r.Findings = nil
		for severity, n := range map[detect.Severity]int{detect.Critical: test.critical, detect.High: test.high, detect.Medium: test.medium} {
			for range n {
				r.Findings = append(r.Findings, uploadFinding("row", 1e9, severity))
			}
		}
		detect.SortFindings(r.Findings)
		var b bytes.Buffer
		if err := Summary(&b, r, Terminal{}); err != nil {
			t.Fatal(err)
		}
		rows := regexp.MustCompile(`(?m)^9b1c6e0d\S* .* (critical|high|medium) +row `).FindAllString(b.String(), -1)
		more := test.critical + test.high + test.medium - test.want
		if len(rows) != test.want || strings.Contains(b.String(), fmt.Sprintf("… and %d more in the reports.\n", more)) != (more > 0) {
			t.Errorf("%+v: got %d rows:\n%s", test, len(rows), b.String())
		}
	}
}
