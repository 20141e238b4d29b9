package reports

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
)

// lines decodes the lines of a file of JSON lines.
func lines[T any](t *testing.T, f File, r *Report) (all []T) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(write(t, f, r)))
	for d.More() {
		var v T
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		all = append(all, v)
	}
	return all
}

// If this fails, Splunk puts findings at another time, or adds risk to the wrong person or
// to an allowed one.
func TestSplunk(t *testing.T) {
	type event struct {
		Time       float64
		SourceType string
		Fields     map[string]string
		Event      map[string]any
	}
	r := kindsReport()
	r.Findings[1].Person = "bea"
	r.Findings[6].Allowed = "agreed"
	findings := lines[event](t, Splunk.Files[0], r)
	if len(findings) != len(r.Findings) {
		t.Fatalf("got %d events, want %d", len(findings), len(r.Findings))
	}
	for i, e := range findings {
		if e.Time != 1795219200 || e.SourceType != "outflow:finding" || e.Fields["finding_uid"] != r.Findings[i].UID || e.Event["entity"] != r.Findings[i].Entity {
			t.Errorf("got %+v", e)
		}
	}
	if findings[6].Event["allowed"] != "agreed" {
		t.Errorf("got %+v, want the reason why it is allowed", findings[6])
	}
	var got []string
	for _, e := range lines[event](t, Splunk.Files[1], r) {
		if e.Time != 1795219200 || e.SourceType != "outflow:risk" || e.Event["risk_score"] != 70.0 {
			t.Errorf("got %+v", e)
		}
		line := ""
		for _, key := range []string{"finding_uid", "risk_object_type", "risk_object", "threat_object_type", "threat_object", "annotations.mitre_attack"} {
			text, _ := e.Event[key].(string)
			line += text + " "
		}
		got = append(got, line)
	}
	want := []string{
		`ka user CORP\ann   T1567.002 `,
		"kb system 10.0.4.17 domain pastebin.com T1567.003 ",
		"kb user bea domain pastebin.com T1567.003 ",
		"kc other archive_then_upload   T1074 ",
		"kd system ws-7.corp.example ip 2001:db8::7 T1048 ",
		"ke user bea   T1530 ",
		"kf system not an address   T9999.001 ",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// If this fails, a dashboard of Elastic's does not know who, where and how bad.
func TestECS(t *testing.T) {
	type document struct {
		Timestamp time.Time `json:"@timestamp"`
		Event     struct {
			Kind     string
			Category []string
			Severity int
			ID       string
		}
		User, Host  struct{ Name string }
		Source      struct{ IP, Domain string }
		Destination struct{ IP, Domain string }
		Threat      struct {
			Technique struct {
				ID           []string
				Subtechnique struct{ ID []string }
			}
		}
		Related struct{ User, IP, Hosts []string }
		Process struct{ PID int64 }
		Outflow map[string]any
	}
	r := kindsReport()
	r.Findings[1].Person = "bea"
	r.Findings[6].Allowed = "agreed"
	all := lines[document](t, ECS.Files[0], r)
	if len(all) != len(r.Findings) {
		t.Fatalf("got %d documents, want %d", len(all), len(r.Findings))
	}
	for i, d := range all {
		kind := "alert"
		if i == 6 {
			kind = "event"
		}
		if !d.Timestamp.Equal(r.At) || d.Event.Kind != kind || d.Event.Severity != 73 || d.Event.ID != r.Findings[i].UID || d.Outflow["finding_uid"] != d.Event.ID {
			t.Errorf("got %+v", d)
		}
	}
	if d := all[0]; d.User.Name != `CORP\ann` || d.Host.Name != "ws-7" || d.Process.PID != 4242 || !slices.Equal(d.Event.Category, []string{"process"}) ||
		!slices.Equal(d.Threat.Technique.ID, []string{"T1567"}) || !slices.Equal(d.Threat.Technique.Subtechnique.ID, []string{"T1567.002"}) {
		t.Errorf("got %+v", d)
	}
	if d := all[1]; d.User.Name != "bea" || d.Source.IP != "10.0.4.17" || d.Destination.Domain != "pastebin.com" ||
		!slices.Equal(d.Related.User, []string{"bea"}) || !slices.Equal(d.Related.IP, []string{"10.0.4.17"}) || !slices.Equal(d.Related.Hosts, []string{"pastebin.com"}) {
		t.Errorf("got %+v", d)
	}
	if d := all[3]; d.Source.Domain != "ws-7.corp.example" || d.Destination.IP != "2001:db8::7" {
		t.Errorf("got %+v", d)
	}
}

// If this fails, Timesketch refuses the timeline, or shows it in another order.
func TestTimesketch(t *testing.T) {
	r := sampleReport()
	last := int64(0)
	uids := map[string]int{}
	for _, m := range lines[moment](t, Timesketch.Files[0], r) {
		at, err := time.Parse(time.RFC3339Nano, m.Datetime)
		if err != nil || at.UnixMicro() != m.Timestamp || m.Message == "" || m.Description == "" {
			t.Errorf("%v: %+v", err, m)
		}
		if m.Timestamp < last {
			t.Errorf("%s comes after a later moment", m.Datetime)
		}
		last = m.Timestamp
		uids[m.UID]++
	}
	for i := range r.Findings {
		if f := &r.Findings[i]; uids[visible(f.UID)] < 2 {
			t.Errorf("finding %s has %d moments, want the first, the last and a record", f.UID, uids[f.UID])
		}
	}
	if got := uids["9b1c6e0d5f3a4427"]; got < 7 {
		t.Errorf("got %d moments of a finding with five records", got)
	}
}

// If this fails, the Navigator refuses the layer, or hides a technique that was found.
func TestNavigator(t *testing.T) {
	r := kindsReport()
	r.Findings[0].RiskScore = 91
	r.Findings[4].Allowed = "agreed" // the only T1530
	r.Findings = append(r.Findings, r.Findings[0])
	r.Findings[7].RiskScore = 12
	var v navigatorLayer
	if err := json.Unmarshal(write(t, Navigator.Files[0], r), &v); err != nil {
		t.Fatal(err)
	}
	if v.Versions != (navigatorVersions{"19", "5.1.0", "4.5"}) || v.Domain != "enterprise-attack" || v.Name == "" {
		t.Errorf("got %+v", v)
	}
	scores := map[string]int{}
	for _, technique := range v.Techniques {
		if _, twice := scores[technique.ID]; twice || !regexp.MustCompile(`^T\d{4}(\.\d{3})?$`).MatchString(technique.ID) || !technique.Enabled {
			t.Errorf("got %+v", technique)
		}
		scores[technique.ID] = technique.Score
		if technique.ID == "T1567.002" && (technique.Comment != "2 findings by sigma_rule" || technique.Tactic != "exfiltration") {
			t.Errorf("got %+v", technique)
		}
	}
	want := map[string]int{"T1048": 70, "T1074": 70, "T1567": 0, "T1567.002": 91, "T1567.003": 70, "T9999": 0, "T9999.001": 70}
	if d := cmp.Diff(want, scores); d != "" {
		t.Error(d)
	}
}

// If this fails, a table has other rows than findings.csv.
func TestParquet(t *testing.T) {
	r := sampleReport()
	for range parquetRows / 10 { // several writes
		r.Findings = append(r.Findings, kindsReport().Findings...)
		r.Findings = append(r.Findings, sampleReport().Findings[:5]...)
	}
	b := write(t, Parquet.Files[0], r)
	rows, err := parquet.Read[Record](bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(r.Findings) || len(rows) <= parquetRows {
		t.Fatalf("got %d rows, want the %d findings", len(rows), len(r.Findings))
	}
	empty := func(l []string) []string { // Parquet does not tell no list from an empty one
		if len(l) == 0 {
			return nil
		}
		return l
	}
	for i := range rows {
		got, want := rows[i], NewRecord(&r.Findings[i])
		got.Evidence, got.Also, got.Places = empty(got.Evidence), empty(got.Also), empty(got.Places)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("row %d: %s", i, d)
		}
	}
	f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range f.Root().Columns() {
		names = append(names, c.Name())
	}
	var want []string
	for _, c := range findingColumns {
		want = append(want, c.name)
	}
	if d := cmp.Diff(want, names); d != "" {
		t.Errorf("the columns of findings.csv, and of the table: %s", d)
	}
}
