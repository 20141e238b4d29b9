package jobs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// layoutKeys are keys as the services write them, by layout: account and key.
// Each is of 20 November 2026, but for a layout without dates.
var layoutKeys = map[string][2]string{
	"cloudtrail":           {"111122223333", "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/20/111122223333_CloudTrail_eu-west-1_20261120T0005Z_mWqKzTnRvbLcXsYd.json.gz"},
	"cloudtrail-org":       {"111122223333", "AWSLogs/o-h2kx81mvqp/111122223333/CloudTrail/eu-west-1/2026/11/20/111122223333_CloudTrail_eu-west-1_20261120T0005Z_mWqKzTnRvbLcXsYd.json.gz"},
	"vpcflow":              {"111122223333", "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/11/20/111122223333_vpcflowlogs_eu-west-1_fl-0c1d2e3f_20261120T0005Z_1a2b3c4d.log.gz"},
	"vpcflow-hive":         {"111122223333", "AWSLogs/aws-account-id=111122223333/aws-service=vpcflowlogs/aws-region=eu-west-1/year=2026/month=11/day=20/hour=00/111122223333_vpcflowlogs_eu-west-1_fl-0c1d2e3f_20261120T0005Z_1a2b3c4d.log.parquet"},
	"route53-resolver":     {"111122223333", "AWSLogs/111122223333/vpcdnsquerylogs/vpc-0a1b2c3d/2026/11/20/vpc-0a1b2c3d_vpcdnsquerylogs_111122223333_20261120T0005Z_1a2b3c4d.log.gz"},
	"alb":                  {"111122223333", "AWSLogs/111122223333/elasticloadbalancing/eu-west-1/2026/11/20/111122223333_elasticloadbalancing_eu-west-1_app.shop.0123456789abcdef_20261120T0005Z_192.0.2.7_4kx9p2qd.log.gz"},
	"nlb":                  {"111122223333", "AWSLogs/111122223333/elasticloadbalancing/eu-west-1/2026/11/20/111122223333_elasticloadbalancing_eu-west-1_net.mail.0123456789abcdef_20261120T0005Z_1a2b3c4d.log.gz"},
	"clb":                  {"111122223333", "AWSLogs/111122223333/elasticloadbalancing/eu-west-1/2026/11/20/111122223333_elasticloadbalancing_eu-west-1_old-shop_20261120T0005Z_192.0.2.7_4kx9p2qd.log"},
	"security-lake":        {"111122223333", "aws/CLOUD_TRAIL_MGMT/2.0/region=eu-west-1/accountId=111122223333/eventDay=20261120/1a2b3c4d.gz.parquet"},
	"security-lake-custom": {"111122223333", "ext/badges/region=eu-west-1/accountId=111122223333/eventDay=20261120/1a2b3c4d.parquet"},
	"s3access-partitioned": {"111122223333", "111122223333/eu-west-1/holiday-photos/2026/11/20/2026-11-20-00-05-10-4F1C2A9D8E7B6C5A"},
	"s3access":             {"", "photos-2026-11-20-00-05-10-4F1C2A9D8E7B6C5A"},
	"cloudfront":           {"", "E2K7QWERTYUIOP.2026-11-20-00.1a2b3c4d.gz"},
	"gcp-audit":            {"", "cloudaudit.googleapis.com/data_access/2026/11/20/00:00:00_00:59:59_S0.json"},
	"gcp-vpcflow":          {"", "compute.googleapis.com/vpc_flows/2026/11/20/00:00:00_00:59:59_S0.json"},
	"gcs-usage":            {"", "photos_usage_2026_11_20_00_00_00_01f0e_v0"},
	"azure-activity":       {"5D1C0F1E-0000-4000-8000-00000000000A", "insights-activity-logs/resourceId=/SUBSCRIPTIONS/5D1C0F1E-0000-4000-8000-00000000000A/y=2026/m=11/d=20/h=05/m=00/PT1H.json"},
	"azure-signin":         {"7e2d1f2e-0000-4000-8000-00000000000b", "insights-logs-noninteractiveusersigninlogs/tenantId=7e2d1f2e-0000-4000-8000-00000000000b/y=2026/m=11/d=20/h=05/m=00/PT1H.json"},
	"azure-storage":        {"5d1c0f1e-0000-4000-8000-00000000000a", "insights-logs-storagewrite/resourceId=/subscriptions/5d1c0f1e-0000-4000-8000-00000000000a/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/photos/blobServices/default/y=2026/m=11/d=20/h=05/m=00/PT1H.json"},
	"azure-nsgflow":        {"5D1C0F1E-0000-4000-8000-00000000000A", "insights-logs-networksecuritygroupflowevent/resourceId=/SUBSCRIPTIONS/5D1C0F1E-0000-4000-8000-00000000000A/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/WEB/y=2026/m=11/d=20/h=05/m=00/macAddress=000D3A112233/PT1H.json"},
	"azure-vnetflow":       {"5d1c0f1e-0000-4000-8000-00000000000a", "insights-logs-flowlogflowevent/flowLogResourceID=/5d1c0f1e-0000-4000-8000-00000000000a_NETWORKWATCHERRG/NETWORKWATCHER_WESTEUROPE_VNET1-RG-FLOWLOG/y=2026/m=11/d=20/h=05/m=00/macAddress=000D3A112233/PT1H.json"},
	"umbrella-dns":         {"", "dnslogs/2026-11-20/2026-11-20-00-10-4f1c.csv.gz"},
	"umbrella-proxy":       {"", "proxylogs/2026-11-20/2026-11-20-00-10-4f1c.csv.gz"},
	"umbrella-ip":          {"", "iplogs/2026-11-20/2026-11-20-00-10-4f1c.csv.gz"},
	"umbrella-firewall":    {"", "cloudfirewalllogs/2026-11-20/2026-11-20-00-10-4f1c.csv.gz"},
	"github-audit":         {"", "2026/11/20/00/10/5a8d0f1e-0000-4000-8000-00000000000c.json.log.gz"},
	"crowdstrike-fdr":      {"", "data/5a8d0f1e-0000-4000-8000-00000000000c/part-00000.gz"},
	"cloudflare-logpush":   {"", "20261120/20261120T001000Z_20261120T001500Z_1a2b3c4d.log.gz"},
	"zeek":                 {"", "2026-11-20/conn.00:00:00-01:00:00.log.gz"},
}

// If this fails, a layout does not find what its service writes, or inspect takes it for
// that of another service.
func TestLayouts(t *testing.T) {
	templates := make([]*store.Template, len(layouts))
	for i, l := range layouts {
		var err error
		if templates[i], err = store.NewTemplate(l.pattern, true, l.flat); err != nil {
			t.Fatal(err)
		}
	}
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	for i, l := range layouts {
		k, ok := layoutKeys[l.name]
		if !ok {
			t.Errorf("layout %s has no key", l.name)
			continue
		}
		key := "some/prefix/" + k[1]
		first := slices.IndexFunc(templates, func(t *store.Template) bool { _, ok := t.Match(key); return ok })
		if first != i {
			t.Errorf("%s: got layout %d (%s) for %s, want %d", l.name, first, layouts[max(0, first)].name, key, i)
			continue
		}
		m, _ := templates[i].Match(key)
		if m.Account != k[0] {
			t.Errorf("%s: got account %q, want %q", l.name, m.Account, k[0])
		}
		// The same through the uri of an input, with the key on disk.
		file := filepath.Join(dir, l.name, k[1])
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		begin := strings.TrimPrefix(m.Base, "some/prefix/")
		for days, want := range map[time.Time]int{day: 1, day.AddDate(0, 0, 1): 0} {
			if !strings.Contains(l.pattern, "{dd}") {
				want = 1
			}
			found, err := store.Glob(t.Context(), l.uri(filepath.Join(dir, l.name)+"/"+begin), []time.Time{days}, store.Options{})
			if err != nil || len(found.Objects) != want {
				t.Errorf("%s on %s: got %d objects, %v, want %d", l.name, days.Format(time.DateOnly), len(found.Objects), err, want)
			} else if want == 1 && found.Objects[0].Account != k[0] {
				t.Errorf("%s: got account %q, want %q", l.name, found.Objects[0].Account, k[0])
			}
		}
	}
}

func TestLayoutURI(t *testing.T) {
	for _, c := range [][3]string{
		{"cloudtrail", "s3://b", "s3://b/AWSLogs/{account}/CloudTrail/{region}/{yyyy}/{mm}/{dd}/"},
		{"cloudtrail", "s3://b/", "s3://b/AWSLogs/{account}/CloudTrail/{region}/{yyyy}/{mm}/{dd}/"},
		{"cloudtrail", "s3://b/p", "s3://b/p/AWSLogs/{account}/CloudTrail/{region}/{yyyy}/{mm}/{dd}/"},
		{"cloudtrail", "s3://b/p/AWSLogs/", "s3://b/p/AWSLogs/{account}/CloudTrail/{region}/{yyyy}/{mm}/{dd}/"},
		{"gcp-vpcflow", "s3://b/compute.googleapis.com/vpc_flows", "s3://b/compute.googleapis.com/vpc_flows/{yyyy}/{mm}/{dd}/"},
		{"zeek", "logs", "logs/{yyyy}-{mm}-{dd}/*.log*"},
		{"s3access", "s3://b", "s3://b/{yyyy}-{mm}-{dd}-[0-9][0-9]-[0-9][0-9]-[0-9][0-9]-*"},
		{"cloudfront", "s3://b/cf/E1.", "s3://b/cf/E1.{yyyy}-{mm}-{dd}-[0-9][0-9].*"},
	} {
		l, err := layoutNamed(c[0])
		if err != nil {
			t.Fatal(err)
		}
		if got := l.uri(c[1]); got != c[2] {
			t.Errorf("%s at %s: got %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

// If this fails, names in a bucket can write the configuration of whoever inspects it,
// or the terminal.
func TestSnippetOfHostileNames(t *testing.T) {
	dir := t.TempDir()
	body := "user,operation,time\nann,GetObject,2026-11-20T01:02:03Z\n"
	names := []string{
		"a\nstate: elsewhere\nb: c/x.csv", "- &a/x.csv", "' # \"/x.csv", "esc\x1b[31m/x.csv", "\u202egol/ /x.csv", "{yyyy}/x.csv",
		"[a]*?\\/x.csv", "%zz/x.csv", "é😀/x.csv", "x: y/x.csv", "#/x.csv", "20261120\r/x.csv", "del\x7f\u0085/x.csv",
	}
	for _, n := range names {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(n)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, n), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	run := func(args ...string) int {
		stdout.Reset()
		stderr.Reset()
		p := &program{stdout: &stdout, stderr: &stderr, env: func(string) (string, bool) { return "", false }, now: time.Now,
			limit: func(int64) int64 { return 1 << 40 }, collect: func(int) int { return 100 }, ctx: t.Context()}
		return p.run(args)
	}
	if code := run("inspect", dir); code != 0 {
		t.Fatalf("got %d: %s", code, stderr.String())
	}
	if i := strings.IndexAny(stdout.String()+stderr.String(), "\x1b\x7f\u202e\u0085"); i >= 0 {
		t.Errorf("a control character reached the terminal: %q", stdout.String())
	}
	if code := run("inspect", "--config-snippet", dir); code != 0 {
		t.Fatalf("got %d: %s", code, stderr.String())
	}
	file := filepath.Join(t.TempDir(), "outflow.yaml")
	if err := os.WriteFile(file, stdout.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	config, err := loadConfig(file, func(string) (string, bool) { return "", false }, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, stdout.String())
	}
	if config.State != "state" {
		t.Errorf("a name has set the state to %q", config.State)
	}
	var found []string
	for _, in := range config.Inputs {
		f, err := store.Glob(t.Context(), in.URI, nil, store.Options{})
		if err != nil {
			t.Errorf("%q: %v", in.URI, err)
		}
		for _, o := range f.Objects {
			found = append(found, strings.TrimPrefix(o.URI, dir+"/"))
		}
	}
	slices.Sort(found)
	slices.Sort(names)
	if !slices.Equal(found, names) {
		t.Errorf("got %q\nwant %q\n%s", found, names, stdout.String())
	}
}

// If this fails, the nightly job lists a whole bucket, or rows lose the account of their
// key.
func TestNightlyByLayout(t *testing.T) {
	server := newS3Server(t)
	day := func(d int) time.Time { return time.Date(2026, 11, 20-d, 0, 0, 0, 0, time.UTC) }
	for d := range 40 {
		for _, account := range []string{"111122223333", "444455556666"} {
			for _, region := range []string{"eu-west-1", "us-east-1"} {
				event := fmt.Sprintf(`{"Records":[{"eventTime":"%sT10:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","eventID":"%s-%s-%d","sourceIPAddress":"192.0.2.1","userIdentity":{"type":"IAMUser","userName":"ann"},"requestParameters":{"bucketName":"b","key":"k"}}]}`,
					day(d).Format(time.DateOnly), account, region, d)
				server.put(t, fmt.Sprintf("AWSLogs/o-h2kx81mvqp/%s/CloudTrail/%s/%s/x.json.gz", account, region, day(d).Format("2006/01/02")), gzipped(t, []byte(event)))
			}
		}
	}
	config := filepath.Join(t.TempDir(), "outflow.yaml")
	text := "inputs:\n  - {name: trail, uri: 's3://logs/', layout: cloudtrail-org}\nstate: " + t.TempDir() + "\nout: " + t.TempDir() +
		"\nbackfill: false\ns3: {endpoint_url: " + server.url + "}\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	run := func(args ...string) string {
		t.Helper()
		stdout.Reset()
		stderr.Reset()
		p := &program{stdout: &stdout, stderr: &stderr, env: func(string) (string, bool) { return "", false }, now: func() time.Time { return day(0) },
			limit: func(int64) int64 { return 1 << 40 }, collect: func(int) int { return 100 }, ctx: t.Context()}
		if code := p.run(args); code != 0 {
			t.Fatalf("%v: got %d: %s", args, code, stderr.String())
		}
		return stdout.String()
	}
	server.opened()
	run("run", "nightly", "--config", config, "--day", "2026-11-18")
	// The day itself and the days around it, of two accounts and two regions.
	if got := server.opened(); len(got) != 3*4 {
		t.Errorf("got %d objects opened, want 12: %q", len(got), got)
	}
	// Organisations 1, accounts 1, regions 2, and 4 for each of 3 days.
	if got := server.listed(); got != 1+1+2+12 {
		t.Errorf("got %d LIST requests, want 16", got)
	}
	server.opened()
	out := run("inspect", "--config-snippet", "--s3-endpoint-url", server.url, "s3://logs")
	if want := "inputs:\n  - name: cloudtrail-org # cloudtrail, since 2026-10-12\n    uri: s3://logs/\n    layout: cloudtrail-org\ns3:\n  endpoint_url: " + server.url + "\n"; out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	if got := server.opened(); len(got) > store.SmallFolder {
		t.Errorf("inspect opened %d objects of one source, want %d at most", len(got), store.SmallFolder)
	}
	out = run("cat", "--layout", "cloudtrail-org", "--s3-endpoint-url", server.url, "s3://logs/AWSLogs")
	if got := strings.Count(out, ",111122223333,"); got != 80 {
		t.Errorf("got %d rows with the account of the key, want 80\n%.600s", got, out)
	}
}

// If this fails, the configuration that inspect writes does not read what inspect saw.
func TestSnippetReadsTheFixtures(t *testing.T) {
	data := filepath.Join(fixtures(t), "data")
	server := newS3Server(t)
	var files []string
	err := filepath.WalkDir(data, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		body, err := os.ReadFile(name)
		if err == nil {
			key, _ := filepath.Rel(data, name)
			files = append(files, filepath.ToSlash(key))
			server.put(t, filepath.ToSlash(key), body)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	snippets := map[string]string{}
	for _, base := range []string{data + "/", "s3://logs/"} {
		var stdout, stderr bytes.Buffer
		env := func(name string) (string, bool) { return server.url, name == "OUTFLOW_S3_ENDPOINT_URL" }
		p := &program{stdout: &stdout, stderr: &stderr, env: env, now: time.Now,
			limit: func(int64) int64 { return 1 << 40 }, collect: func(int) int { return 100 }, ctx: t.Context()}
		if code := p.run([]string{"inspect", "--config-snippet", base}); code != 0 {
			t.Fatalf("got %d: %s", code, stderr.String())
		}
		file := filepath.Join(t.TempDir(), "outflow.yaml")
		if err := os.WriteFile(file, stdout.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		config, err := loadConfig(file, p.env, nil)
		if err != nil {
			t.Fatal(err)
		}
		var names, found []string
		for _, in := range config.Inputs {
			names = append(names, in.Name)
		}
		sources, err := p.sources(config, detect.DayOf(0)+20_700, detect.DayOf(0)+20_800) // 4 September to 13 December 2026
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sources {
			found = append(found, strings.TrimPrefix(s.object.Name, base))
		}
		slices.Sort(found)
		slices.Sort(files)
		if !slices.Equal(found, files) {
			t.Errorf("%s: got %d objects, want %d\n%s", base, len(found), len(files), stdout.String())
		}
		if want := []string{"cloudtrail", "branch", "cloud", "endpoint", "s3access", "firewall", "m365", "okta", "proxy", "saas", "vpcflow", "zeek"}; !slices.Equal(names, want) {
			t.Errorf("%s: got feeds %q, want %q", base, names, want)
		}
		snippets[base] = strings.NewReplacer(base, "", "s3:\n  endpoint_url: "+server.url+"\n", "").Replace(stdout.String())
	}
	if snippets[data+"/"] != snippets["s3://logs/"] {
		t.Errorf("on disk\n%s\nin S3\n%s", snippets[data+"/"], snippets["s3://logs/"])
	}
}
