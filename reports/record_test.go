package reports

import (
	"bytes"
	"encoding/json"
	"math"
	"path"
	"strings"
	"testing"
	"unicode"

	"outflow/stats/detect"
)

// forMachines reports whether only programs read a file.
func forMachines(f File) bool {
	ext := path.Ext(f.Name)
	return ext != ".csv" && ext != ".html"
}

// kindsReport has a finding for each kind of entity and object.
func kindsReport() *Report {
	r := quietReport()
	add := func(detection, technique, entityType, entity, object string, s detect.Summary) {
		r.Findings = append(r.Findings, detect.Finding{
			UID: "k" + string(rune('a'+len(r.Findings))), Day: sampleDay, Detection: detection, Technique: technique, Severity: detect.High, RiskScore: 70,
			Key:    detect.Key{Feed: "edr", EntityType: entityType, Entity: entity, Object: object},
			Window: [2]int64{at(sampleDay, 0, 0), at(sampleDay+1, 0, 0)}, Observed: 1, Baseline: math.NaN(), Unit: "matches/day",
			Summary: s, Why: entity + " reached " + object + ", as never before",
		})
	}
	place := detect.Place{Time: at(sampleDay, 9, 0), Bytes: 7, At: "edr.json:12", Host: "ws-7", Parent: `C:\Windows\explorer.exe`, PID: 4242}.String()
	add("sigma_rule", "T1567.002", "user", `CORP\ann`, `rclone: C:\Tools\rclone.exe`, detect.Summary{Events: 2, Places: []string{place}, Examples: []string{"rclone.exe copy D:\\ x:y"}})
	add("sigma_rule", "T1567.003", "src_ip", "10.0.4.17", "paste_site: pastebin.com/api/api_post.php", detect.Summary{Events: 1})
	add("sigma_rule", "T1074", "group", "archive_then_upload", "archive_then_upload: within 1h", detect.Summary{Events: 5})
	add("upload_zscore", "T1048", "host", "ws-7.corp.example", "2001:DB8::7", detect.Summary{Events: 1, Port: 8443})
	add("bulk_download", "T1530", "user", "bea", "s3/payroll", detect.Summary{Events: 1})
	add("no_such", "T9999.001", "src_ip", "not an address", "", detect.Summary{})
	add("no_such", "", "user", "cleo", "", detect.Summary{})
	return r
}

// If this fails, a column of findings.csv has another name in the JSON, or is missing.
func TestRecordColumns(t *testing.T) {
	r := sampleReport()
	header := strings.Split(strings.TrimSpace(string(write(t, CSV.Files[0], &Report{}))), ",")
	for _, f := range append(r.Findings, kindsReport().Findings...) {
		b, err := json.Marshal(NewRecord(&f))
		if err != nil {
			t.Fatal(err)
		}
		var cells map[string]any
		if err := json.Unmarshal(b, &cells); err != nil {
			t.Fatal(err)
		}
		for i, c := range findingColumns {
			text := string(c.cell(nil, &f))
			if _, ok := cells[c.name]; !ok && text != "" && text != "0" && text != "Inf" {
				t.Errorf("%s: %q is not in the JSON", header[i], text)
			}
			delete(cells, c.name)
		}
		for name := range cells {
			t.Errorf("findings.csv has no column %s", name)
		}
	}
}

// If this fails, a log can break a line of JSON, the terminal of whoever prints it, or
// its reader's eyes.
func TestMachines(t *testing.T) {
	for _, format := range All {
		for _, f := range format.Files {
			if !strings.HasPrefix(path.Ext(f.Name), ".json") {
				continue
			}
			d := json.NewDecoder(bytes.NewReader(write(t, f, sampleReport())))
			values := 0
			for ; d.More(); values++ {
				var v any
				if err := d.Decode(&v); err != nil {
					t.Fatalf("%s: %v", f.Name, err)
				}
				each := func(s string) {
					if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
						t.Errorf("%s: %.200q holds what is not printable", f.Name, s)
					}
				}
				texts(v, each)
			}
			if values == 0 {
				t.Errorf("%s is empty", f.Name)
			}
		}
	}
}

// texts calls f for each text in a value of JSON.
func texts(v any, f func(string)) {
	switch v := v.(type) {
	case string:
		f(v)
	case []any:
		for _, e := range v {
			texts(e, f)
		}
	case map[string]any:
		for key, e := range v {
			f(key)
			texts(e, f)
		}
	}
}
