package jobs

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// bucketFeeds are the feeds of the sample logs, and the names that inspect gives them: of
// their layout, or of the folder that they are in.
var bucketFeeds = []struct{ feed, name string }{
	{"aws", "cloudtrail"}, {"branch", "branch"}, {"cloud", "cloud"}, {"dns", "zeek"}, {"endpoint", "endpoint"}, {"files", "s3access"},
	{"firewall", "firewall"}, {"m365", "m365"}, {"okta", "okta"}, {"proxy", "proxy"}, {"saas", "saas"}, {"vpc", "vpcflow"},
}

// If this fails, a bucket of a dozen sources is not judged by the configuration that
// inspect writes for it: a source is missing or read hollow, a theft is not found, or a
// finding of disk is none of S3.
func TestBucket(t *testing.T) {
	if testing.Short() {
		t.Skip("makes forty days of logs, and judges seven nights")
	}
	dir := t.TempDir()
	if out, err := exec.Command("go", "run", "../fixtures/gen", "-days", "40", "-out", filepath.Join(dir, "mixed")).CombinedOutput(); err != nil {
		t.Fatalf("make the logs: %v\n%s", err, out)
	}
	planted, missed := readCSV(t, "../fixtures/planted.csv"), readCSV(t, "../fixtures/near_misses.csv")
	for _, rows := range [][]map[string]string{planted, missed} {
		for _, row := range rows {
			for _, f := range bucketFeeds {
				if row["feed"] == f.feed {
					row["feed"] = f.name
					break
				}
			}
		}
	}
	server := newS3Server(t)
	if err := fs.WalkDir(os.DirFS(dir), "mixed", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			server.put(t, strings.TrimPrefix(name, "mixed/"), body)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := invoke(t, dir, append(args, "--s3-endpoint-url", server.url)...)
		if code != exitOK {
			t.Fatalf("%v: exit %d: %s", args, code, stderr)
		}
		return stdout
	}
	// judge runs the night with the configuration, and returns its findings.
	judge := func(config, to, night string) string {
		run("run", "nightly", "--config", config, "--day", night, "--state", to+".state", "--out", to)
		read := map[string]bool{}
		for _, in := range readCSV(t, filepath.Join(dir, to, "nightly", night, "inputs.csv")) {
			feed, _, _ := strings.Cut(in["feed"], "/")
			read[feed] = read[feed] || in["rows"] != "0" && in["unattributed_rows"] == "0"
			if in["error"] != "" {
				t.Errorf("%s: %s", in["name"], in["error"])
			}
		}
		for _, f := range bucketFeeds {
			if !read[f.name] {
				t.Errorf("%s, %s: no rows of %s that are somebody's", to, night, f.name)
			}
		}
		return filepath.Join(dir, to, "nightly", night, "findings.csv")
	}
	nights := nightsOf(planted, nil)
	last := nights[len(nights)-1]
	// Which accounts and domains are the company's, the logs do not say.
	text, err := os.ReadFile("../fixtures/outflow.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, ours, _ := strings.Cut(string(text), "\nplaceholders:")
	ours, _, _ = strings.Cut(ours, "\n\n")
	found := map[string]string{}
	for base, config := range map[string]string{"mixed/": "disk.yaml", "s3://logs/": "s3.yaml"} {
		said := run("inspect", base)
		if got, want := strings.Count(said, "  days     2026-10-12 to 2026-11-20\n  a day    1 object, "), len(bucketFeeds); got != want || strings.Contains(said, "unknown") {
			t.Errorf("%s: got %d sources with an object on each of 40 days, want %d, and nothing unknown:\n%s", base, got, want, said)
		}
		snippet := run("inspect", "--config-snippet", base)
		for _, f := range bucketFeeds {
			if !regexp.MustCompile(`(?m)^  - name: ` + f.name + ` # [a-z0-9]+, since 2026-10-12$`).MatchString(snippet) {
				t.Errorf("%s: no input %s since 2026-10-12:\n%s", base, f.name, snippet)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, config), []byte(snippet+"\nplaceholders:"+ours), 0o644); err != nil {
			t.Fatal(err)
		}
		findings := judge(config, config+".once", last)
		checkNight(t, last, readCSV(t, findings), planted, missed)
		text, err := os.ReadFile(findings)
		if err != nil {
			t.Fatal(err)
		}
		found[base] = strings.ReplaceAll(string(text), base, "")
	}
	if found["mixed/"] != found["s3://logs/"] {
		t.Errorf("the findings in S3 and on disk differ:\n%s", cmp.Diff(found["mixed/"], found["s3://logs/"]))
	}
	for _, night := range nights[:len(nights)-1] {
		checkNight(t, night, readCSV(t, judge("disk.yaml", "nights", night)), planted, missed)
	}
}
