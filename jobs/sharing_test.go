package jobs

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A labelledCase is a record for which somebody else's rule has an answer.
type labelledCase struct {
	Rule string         `json:"rule_id"`
	Test string         `json:"test"`
	Want bool           `json:"expected_match"`
	Log  map[string]any `json:"log"`
}

// sharingRules has the rules of others about sharing and export, with the format of
// their logs and our rules about the same.
var sharingRules = map[string]struct {
	format string
	ours   []string
}{
	"AWS.CloudTrail.ResourceMadePublic":               {"cloudtrail", []string{"aws_open"}},
	"AWS.RDS.SnapshotCopiedCrossRegion":               {"cloudtrail", []string{"aws_snapshot_copy"}},
	"AWS.RDS.InstanceMadePublic":                      {"cloudtrail", []string{"aws_database_public"}},
	"AWS.S3.ServerAccess.Unauthenticated":             {"s3access", []string{"s3_anonymous"}},
	"GCP.GCS.BulkObjectRewrite":                       {"gcpaudit", []string{"gcp_rewrite"}},
	"GSuite.Drive.ExternalFileShare":                  {"workspace", []string{"workspace_shared", "workspace_link"}},
	"GSuite.DriveVisibilityChanged":                   {"workspace", []string{"workspace_shared", "workspace_link"}},
	"GSuite.ExternalMailForwarding":                   {"workspace", []string{"workspace_forward"}},
	"GSuite.DocOwnershipTransfer":                     {"workspace", []string{"workspace_owner"}},
	"GSuite.CalendarMadePublic":                       {"workspace", []string{"workspace_calendar"}},
	"GSuite.Workspace.CalendarExternalSharingSetting": {"workspace", []string{"workspace_calendar_setting"}},
	"Box.Access.Granted":                              {"box", []string{"box_support"}},
	"Box.Shield.Anomalous.Download":                   {"box", []string{"box_alert"}},
	"Dropbox.External.Share":                          {"dropbox", []string{"dropbox_shared"}},
	"Dropbox.Ownership.Transfer":                      {"dropbox", []string{"dropbox_owner"}},
}

// ownDomains has what the case's own rule was told, by the case.
var ownDomains = map[string]string{
	"Doc Became Public - Link (Allowlisted Domain Is Configured)": "example.com",
	"Doc Shared With Multiple Users All From ALLOWED_DOMAINS":     "example.com, notexample.com",
	"Ownership Transferred Within Organization":                   "panther.com",
	"Document Transferred to External User":                       "panther.com",
}

// differing has the cases about which we do not agree, and why.
var differing = map[string]string{
	"User Made Calendar Private": "access of everyone is taken away: nothing leaves",
	"Unauthenticated Access":     "one object may be public: bulk_download judges what nobody reads, and s3_anonymous who lists",
}

// If this fails, the bundled rules miss what others call sharing, or find it where they
// do not.
func TestSharingOfOthers(t *testing.T) {
	dir := os.Getenv("OUTFLOW_DATA")
	if dir == "" {
		t.Skip("OUTFLOW_DATA does not name a folder of third-party events")
	}
	var cases []labelledCase
	files, _ := filepath.Glob(filepath.Join(dir, "detection-cases-panther/*.jsonl"))
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewReader(f); ; {
			line, err := lines.ReadBytes('\n')
			if len(line) > 0 {
				var c labelledCase
				if err := json.Unmarshal(line, &c); err != nil {
					t.Fatal(err)
				}
				if sharingRules[c.Rule].format != "" {
					cases = append(cases, c)
				}
			}
			if err != nil {
				break
			}
		}
		f.Close()
	}
	positives, found := 0, 0
	for _, c := range cases {
		of := sharingRules[c.Rule]
		got := slices.DeleteFunc(scanned(t, of.format, rawRecord(t, &c), ownDomains[c.Test]), func(found string) bool {
			_, object, _ := strings.Cut(found, " ")
			rule, _, _ := strings.Cut(object, ":")
			return !slices.Contains(of.ours, rule) // of another subject
		})
		t.Logf("%-44s %-60s want %-5v got %s", c.Rule, c.Test, c.Want, strings.Join(got, "; "))
		if c.Want {
			positives++
		}
		switch right := c.Want == (len(got) > 0); {
		case right && c.Want:
			found++
		case !right && differing[c.Test] == "":
			t.Errorf("%s: %s: want %v, got %q", c.Rule, c.Test, c.Want, got)
		}
	}
	t.Logf("%d of %d positives, %d negatives", found, positives, len(cases)-positives)
	if positives < 20 || found*10 < positives*9 {
		t.Errorf("found %d of %d: want 20 at least, and 90 %%", found, positives)
	}
	for _, name := range []string{"aws.exfiltration.ec2-share-ami", "aws.exfiltration.ec2-share-ebs-snapshot"} {
		text, err := os.ReadFile(filepath.Join(dir, "cloudtrail-stratus", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		got := scanned(t, "cloudtrail", text, "")
		t.Logf("%s: %s", name, strings.Join(got, "; "))
		if len(got) != 1 || !strings.Contains(got[0], "aws_shared") {
			t.Errorf("%s: got %q, want one of aws_shared", name, got)
		}
	}
}

// scanned returns the severities and objects that the rules find in a log.
func scanned(t *testing.T, format string, text []byte, ownDomains string) (objects []string) {
	dir := t.TempDir()
	config := "backfill: false\n"
	if ownDomains != "" {
		config += "placeholders: {own_domains: [" + ownDomains + "]}\n"
	}
	for name, text := range map[string][]byte{"log": text, "outflow.yaml": []byte(config)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stderr bytes.Buffer
	p := &program{stdout: io.Discard, stderr: &stderr, ctx: t.Context(), now: time.Now, limit: noLimit, collect: noCollect,
		env: func(string) (string, bool) { return "", false }}
	if code := p.run([]string{"scan", filepath.Join(dir, "log"), "--format", format, "--config", filepath.Join(dir, "outflow.yaml"), "--out", dir + "/out",
		"--state", dir + "/state", "--reports", "csv", "--quiet"}); code != exitOK {
		t.Fatalf("exit %d: %s", code, &stderr)
	}
	files, _ := filepath.Glob(dir + "/out/findings.csv")
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(f).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		at := func(column string) int { return slices.Index(rows[0], column) }
		for _, row := range rows[1:] {
			if row[at("detection")] == "sigma_rule" {
				objects = append(objects, row[at("severity")]+" "+row[at("object")])
			}
		}
	}
	return objects
}

// rawRecord returns the record of a case as the service writes it: the case's own
// collector renamed and flattened some of it.
func rawRecord(t *testing.T, c *labelledCase) []byte {
	log := c.Log
	def := func(key string, v any) {
		if log[key] == nil {
			log[key] = v
		}
	}
	switch sharingRules[c.Rule].format {
	case "cloudtrail":
		def("eventVersion", "1.08")
		def("userIdentity", map[string]any{"type": "IAMUser", "userName": "ann"})
	case "s3access":
		requester, _ := log["requester"].(string)
		if requester == "" {
			requester = "-"
		}
		return fmt.Appendf(nil, "79a59df900b9 %s [06/Feb/2026:00:00:38 +0000] 192.0.2.3 %s 3E57427F3 REST.GET.OBJECT k \"GET /k HTTP/1.1\" 200 - 113 113 7 - \"-\" \"curl\" - h SigV4 c AuthHeader s3.amazonaws.com TLSv1.2 - -\n",
			log["bucket"], requester)
	case "gcpaudit", "dropbox":
		log = unrenamed(log).(map[string]any)
	case "box":
		log["created_at"] = "2026-02-06T00:00:00Z"
	case "workspace":
		id := log["id"].(map[string]any)
		if id["time"] == nil {
			id["time"] = "2026-02-06T00:00:00Z"
		}
		event := map[string]any{"type": log["type"], "name": log["name"]}
		parameters, _ := log["parameters"].(map[string]any)
		var list []any
		for name, v := range parameters {
			p := map[string]any{"name": name}
			switch v := v.(type) {
			case bool:
				p["boolValue"] = v
			case []any:
				p["multiValue"] = v
			default:
				p["value"] = v
			}
			list = append(list, p)
		}
		event["parameters"] = list
		for _, key := range []string{"type", "name", "parameters"} {
			delete(log, key)
		}
		log["events"] = []any{event}
	}
	text, err := json.Marshal(log)
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// unrenamed gives keys their names again.
func unrenamed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, v := range v {
			switch key {
			case "_tag":
				key = ".tag"
			case "at_sign_type":
				key = "@type"
			}
			out[key] = unrenamed(v)
		}
		return out
	case []any:
		v = slices.Clone(v)
		for i := range v {
			v[i] = unrenamed(v[i])
		}
		return v
	}
	return v
}
