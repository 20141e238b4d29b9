package jobs

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// writeDNS writes a Zeek log in which one client asks for names of the domain, starting
// at a time and with a pause after each query. It returns the log's folder.
func writeDNS(t *testing.T, from time.Time, every time.Duration, n int) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]*strings.Builder{}
	for i := range n {
		at := from.Add(time.Duration(i) * every)
		day := at.Format("2006-01-02")
		if files[day] == nil {
			files[day] = &strings.Builder{}
			files[day].WriteString("#separator \\x09\n#path\tdns\n#fields\tts\tid.orig_h\tquery\tqtype_name\trcode_name\n")
		}
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		name := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:30]))
		fmt.Fprintf(files[day], "%d.%06d\t10.0.0.1\t%s.quill.example\tTXT\tNOERROR\n", at.Unix(), at.Nanosecond()/1000, name)
	}
	for day, text := range files {
		if err := os.WriteFile(filepath.Join(dir, "dns-"+day+".log"), []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	config := "inputs:\n  - name: dns\n    format: zeek\n    uri: dns-{yyyy}-{mm}-{dd}.log\n"
	if err := os.WriteFile(filepath.Join(dir, "outflow.yaml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// If this fails, the judged hour is not the one from 70 to 10 minutes before the run, in
// whole minutes; or two runs judge a query twice or not at all; or an hour across
// midnight is split.
func TestHourlyWindow(t *testing.T) {
	first := time.Date(2026, 3, 20, 22, 0, 0, 0, time.UTC)
	dir := writeDNS(t, first, time.Minute, 240) // up to 01:59
	for _, c := range []struct {
		at, folder, first, last string
		events                  string
	}{
		{"2026-03-21T00:40:59Z", "2026-03-20T2330Z", "2026-03-20T23:30:00Z", "2026-03-21T00:29:00Z", "60"},
		{"2026-03-21T01:40:00Z", "2026-03-21T0030Z", "2026-03-21T00:30:00Z", "2026-03-21T01:29:00Z", "60"},
		{"2026-03-20T22:30:00Z", "2026-03-20T2120Z", "2026-03-20T22:00:00Z", "2026-03-20T22:19:00Z", "20"},
		{"2026-03-21T03:30:00+01:00", "2026-03-21T0120Z", "2026-03-21T01:20:00Z", "2026-03-21T01:59:00Z", "40"},
	} {
		code, stdout, stderr := invoke(t, dir, "run", "hourly-dns", "--config", "outflow.yaml", "--at", c.at, "--reports", "csv,html,dns_scores")
		if code != exitOK {
			t.Fatalf("%s: exit %d\n%s%s", c.at, code, stdout, stderr)
		}
		rows := readCSV(t, filepath.Join(dir, "out/hourly-dns", c.folder, "dns_domains.csv"))
		if len(rows) != 1 || rows[0]["events"] != c.events {
			t.Fatalf("%s: got %v, want one pair with %s queries", c.at, rows, c.events)
		}
		scores := readCSV(t, filepath.Join(dir, "out/hourly-dns", c.folder, "dns_scores.csv"))
		var times []string
		for _, s := range scores {
			times = append(times, s["time"])
		}
		if fmt.Sprint(len(scores)) != c.events || slices.Min(times) != c.first || slices.Max(times) != c.last {
			t.Errorf("%s: got %d names from %s to %s, want %s from %s to %s", c.at, len(scores), slices.Min(times), slices.Max(times), c.events, c.first, c.last)
		}
		findings := readCSV(t, filepath.Join(dir, "out/hourly-dns", c.folder, "findings.csv"))
		if len(findings) != 1 || !seenBy(findings[0], "dns_model") || findings[0]["object"] != "quill.example" {
			t.Errorf("%s: got %v, want one finding, also of dns_model", c.at, findings)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "state")); err == nil {
		t.Error("hourly-dns has left a state")
	}
}

// If this fails, a scheduled hour that starts late, or is tried again, judges other queries
// than one in time.
func TestHourlyStartedLate(t *testing.T) {
	dir := writeDNS(t, time.Date(2026, 3, 20, 8, 0, 0, 0, time.UTC), time.Minute, 120)
	for _, now := range []time.Time{
		time.Date(2026, 3, 20, 10, 0, 0, 0, time.UTC),
		time.Date(2026, 3, 20, 10, 59, 59, 0, time.UTC),
		time.Date(2026, 3, 20, 12, 7, 0, 0, time.FixedZone("", 2*60*60)),
	} {
		t.Chdir(dir)
		var stderr strings.Builder
		p := &program{stdout: io.Discard, stderr: &stderr, ctx: t.Context(), limit: noLimit, collect: noCollect,
			env: func(string) (string, bool) { return "", false }, now: func() time.Time { return now }}
		out := t.TempDir()
		if code := p.run([]string{"run", "hourly-dns", "--config", "outflow.yaml", "--at", "hour", "--out", out}); code != exitOK {
			t.Fatalf("%v: exit %d: %s", now, code, stderr.String())
		}
		folders, err := filepath.Glob(filepath.Join(out, "hourly-dns", "*Z"))
		if err != nil || len(folders) != 1 || filepath.Base(folders[0]) != "2026-03-20T0850Z" {
			t.Errorf("at %v: got reports %v, %v, want 2026-03-20T0850Z", now, folders, err)
		}
	}
}

// If this fails, a log that has stopped, or is not there, looks like a quiet hour.
func TestHourlyStale(t *testing.T) {
	dir := writeDNS(t, time.Date(2026, 3, 20, 8, 0, 0, 0, time.UTC), time.Minute, 60)
	for at, want := range map[string]string{
		"2026-03-20T10:10:00Z": "Feed dns has logs, but no row from 09:00 to 10:00.",
		"2026-03-21T10:10:00Z": "No log of feed dns was found for 2026-03-21",
	} {
		code, stdout, stderr := invoke(t, dir, "run", "hourly-dns", "--config", "outflow.yaml", "--at", at)
		if said := strings.Join(strings.Fields(stdout), " "); code != exitOK || !strings.Contains(said, want) {
			t.Errorf("%s: exit %d, got %s%s, want %q", at, code, stdout, stderr, want)
		}
	}
	if _, stdout, _ := invoke(t, dir, "run", "hourly-dns", "--config", "outflow.yaml", "--at", "2026-03-20T09:10:00Z"); strings.Contains(stdout, "but no row") {
		t.Errorf("an hour with queries: got %s", stdout)
	}
}

// If this fails, the hour does not give the seed's message and risk under its profile,
// or the bytes depend on the number of workers or on the memory.
func TestHourlySeed(t *testing.T) {
	dir := writeDNS(t, time.Date(2026, 3, 20, 22, 0, 0, 0, time.UTC), time.Minute, 120)
	want := ""
	for _, more := range [][]string{{"--workers", "1"}, {"--workers", "2"}, {"--workers", "8"}, {"--memory", "1B"}} {
		args := append([]string{"run", "hourly-dns", "--config", "outflow.yaml", "--profile", "seed", "--at", "2026-03-20T23:40:00Z"}, more...)
		if code, stdout, stderr := invoke(t, dir, args...); code != exitOK {
			t.Fatalf("%v: exit %d\n%s%s", more, code, stdout, stderr)
		}
		name := filepath.Join(dir, "out/hourly-dns-seed/2026-03-20T2230Z/findings.csv")
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			want = string(text)
		}
		if string(text) != want {
			t.Errorf("%v: other bytes", more)
		}
		findings := readCSV(t, name)
		if len(findings) == 0 || len(findings) > 60 {
			t.Fatalf("got %d findings, want one for each name that is over a half", len(findings))
		}
		for _, f := range findings {
			if f["why"] != "A DNS data exfiltration request was sent by this host 10.0.0.1 , kindly review." || f["risk_score"] != "45" ||
				f["technique"] != "T1048.003" || f["detection"] != "dns_model" || !strings.HasSuffix(f["object"], ".quill.example") {
				t.Fatalf("got %v", f)
			}
		}
	}
}
