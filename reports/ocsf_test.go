package reports

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// ocsfSchema returns the schema of class 2004; see testdata/ocsf/README.md.
func ocsfSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	f, err := os.Open("testdata/ocsf/detection_finding-1.5.0.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(z)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("class.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("class.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// If this fails, a SIEM refuses findings.jsonl, or reads something else in it.
func TestOCSF(t *testing.T) {
	schema := ocsfSchema(t)
	validate := func(line []byte) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err != nil {
			return err
		}
		return schema.Validate(v)
	}
	for name, r := range map[string]*Report{"rich": sampleReport(), "kinds": kindsReport()} {
		lines := bytes.SplitAfter(write(t, OCSF.Files[0], r), []byte("\n"))
		lines = lines[:len(lines)-1] // what follows the last line is empty
		if len(lines) != len(r.Findings) {
			t.Errorf("%s: got %d lines, want one for each of %d findings", name, len(lines), len(r.Findings))
		}
		for i, line := range lines {
			if err := validate(line); err != nil {
				t.Errorf("%s: %s\n%.500s", name, err, line)
			}
			var v struct {
				StatusID    int  `json:"status_id"`
				IsAlert     bool `json:"is_alert"`
				FindingInfo struct {
					UID string `json:"uid"`
				} `json:"finding_info"`
			}
			if err := json.Unmarshal(line, &v); err != nil {
				t.Fatal(err)
			}
			if f := &r.Findings[i]; v.FindingInfo.UID != visible(f.UID) || (v.StatusID == ocsfSuppressed) != (f.Allowed != "") || v.IsAlert && f.Allowed != "" {
				t.Errorf("%s: got uid %s, status %d, alert %t of finding %s, allowed %q", name, v.FindingInfo.UID, v.StatusID, v.IsAlert, f.UID, f.Allowed)
			}
		}
	}

	// The schema refuses what is wrong, so its silence means something.
	line := string(bytes.SplitAfter(write(t, OCSF.Files[0], sampleReport()), []byte("\n"))[0])
	for _, change := range [][2]string{
		{`"severity_id":5`, `"severity_id":7`}, {`"uid":"9b1c6e0d5f3a4427",`, ``}, {`"class_uid":2004`, `"class_uid":2001`},
		{`"risk_score":64`, `"risk_score":6.4`}, {`"status":"New"`, `"state":"New"`}, {`"product":{`, `"product":{"title":"x",`},
	} {
		if bad := strings.Replace(line, change[0], change[1], 1); bad == line {
			t.Errorf("the line has no %s:\n%s", change[0], line)
		} else if validate([]byte(bad)) == nil {
			t.Errorf("with %s for %s the line is valid", change[1], change[0])
		}
	}
}

// If this fails, a consumer that looks for who and where finds nothing.
func TestOCSFNames(t *testing.T) {
	var got []string
	r := kindsReport()
	for i := range r.Findings {
		v := newDetectionFinding(r, &r.Findings[i])
		e := v.Evidences[0]
		line := v.FindingInfo.Title + ":"
		if e.User != nil {
			line += " user " + e.User.Name
		}
		if e.Src != nil {
			line += " src " + e.Src.IP + e.Src.Hostname
		}
		if e.Dst != nil {
			line += " dst " + e.Dst.IP + e.Dst.Hostname
		}
		for _, resource := range e.Resources {
			line += " resource " + resource.Name
		}
		for _, a := range v.FindingInfo.Attacks {
			line += " " + a.Technique.UID
			if a.SubTechnique != nil {
				line += " " + a.SubTechnique.UID
			}
		}
		got = append(got, line)
	}
	want := []string{
		`rclone: user CORP\ann resource rclone: C:\Tools\rclone.exe T1567 T1567.002`,
		"paste_site: src 10.0.4.17 dst pastebin.com T1567 T1567.003",
		"archive_then_upload: resource archive_then_upload: within 1h T1074",
		"Upload volume far above the user's normal: src ws-7.corp.example dst 2001:db8::7 T1048",
		"bulk_download: user bea resource s3/payroll T1530",
		"no_such: src not an address T9999 T9999.001",
		"no_such: user cleo",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
