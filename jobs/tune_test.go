package jobs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"outflow/stats/detect"
)

// officeDays writes the logs of days of March: people who send the same every day but
// for ann, who sends 3 GB on the 20th, 22nd and 26th. On each there is a client that
// tunnels through DNS.
func (s *site) officeDays(first, last int) {
	for day := first; day <= last; day++ {
		date := fmt.Sprintf("2026-03-%02d", day)
		var events []string
		for i := range 12 {
			events = append(events, fmt.Sprintf("%sT10:00 user%02d %d", date, i, 9_000_000+1_000_000*((day+i)%3)))
		}
		ann := "2000000"
		if day == 20 || day == 22 || day == 26 {
			ann = "3000000000"
		}
		s.write("logs/"+date+"/cloud.csv", uploads(append(events, date+"T11:00 ann "+ann)...))
		var queries strings.Builder
		queries.WriteString("time,src_ip,query,query_type\n")
		for i := range 300 {
			fmt.Fprintf(&queries, "%sT12:%02d:%02dZ,10.0.0.%d,%030d.tunnel.example,TXT\n", date, i/60, i%60, day, i)
			fmt.Fprintf(&queries, "%sT13:%02d:00Z,10.0.1.%d,www.example.org,A\n", date, i/60, i%20)
		}
		s.write("logs/"+date+"/dns.csv", []byte(queries.String()))
	}
}

// tune runs outflow tune, which must work.
func (s *site) tune(args ...string) string {
	s.t.Helper()
	code, stdout, stderr := invoke(s.t, s.dir, append([]string{"tune", "--config", "outflow.yaml"}, args...)...)
	if code != exitOK {
		s.t.Fatalf("tune %v: exit %d: %s", args, code, stderr)
	}
	return stdout
}

// cells returns the findings a night and the recalls of a value in the table.
func cells(t *testing.T, table, detection, option, value string) (rate float64, recall []string) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^` + detection + ` +` + option + ` +` + value + ` +(?:current +|suggested +)?\d+ +([\d.]+) +(.*?) *$`).FindStringSubmatch(table)
	if line == nil {
		t.Fatalf("no line for %s.%s %s in\n%s", detection, option, value, table)
	}
	rate, err := strconv.ParseFloat(line[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return rate, strings.Fields(line[2])
}

// If this fails, tune counts other findings than the nightly job, does not find what it
// injects, changes the state, or is not the same on S3.
func TestTune(t *testing.T) {
	const first, last = 9, 28
	s := newSite(t, datedURI)
	s.write("outflow.yaml", []byte("inputs:\n  - {name: cloud, uri: '"+datedURI+"'}\ndisable: [upload_ratio, cloud_upload, dns_entropy, dns_model, dns_volume]\n"))
	s.officeDays(first, last)
	if code, _, stderr := invoke(t, s.dir, "run", "nightly", "--config", "outflow.yaml", "--from", "2026-03-16", "--to", "2026-03-28"); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	nightly := map[string]int{}
	for _, f := range readCSV(t, filepath.Join(s.dir, "out/nightly/2026-03-16_2026-03-28/findings.csv")) {
		nightly[f["detection"]]++
	}
	before := filesOf(t, s.dir)
	table := s.tune("--from", "2026-03-16", "--to", "2026-03-28")
	if after := filesOf(t, s.dir); !reflect.DeepEqual(after, before) {
		t.Errorf("tune changed files: got %d, want the same %d", len(after), len(before))
	}
	const nights = 13
	for _, c := range []struct{ detection, option, value string }{
		{"upload_zscore", "threshold", "3.5"}, {"upload_zscore", "floor", "200 MB"}, {"dns_information", "day_bytes", "4 kB"},
	} {
		got, _ := cells(t, table, c.detection, c.option, c.value)
		want := float64(nightly[c.detection]) / nights
		if diff := got - want; diff < -.005 || diff > .005 || want == 0 {
			t.Errorf("%s.%s: got %v findings a night, want %.2f, as the nightly job", c.detection, c.option, got, want)
		}
	}
	for _, c := range []struct {
		detection, option, value string
		want                     string // recall of +50MB, +200MB, +1GB, +5GB, drip, dns 1/min, dns 10/min, dns 5/s, drop 50MB, bulk 1GB, and beacons
	}{
		// Everybody's days are steady, so all above the floor is found: also 200 MB, with a
		// day of 9 MB and more.
		{"upload_zscore", "floor", "200 MB", "0.00 1.00 1.00 1.00 0.00 - - - 0.00 - - -"},
		{"upload_zscore", "floor", "500 MB", "0.00 0.00 1.00 1.00 0.00 - - - 0.00 - - -"},
		// An hour of 60 names of 40 bytes is 2.4 kB.
		{"dns_information", "day_bytes", "2 kB", "- - - - - 1.00 1.00 1.00 - - - -"},
		{"dns_information", "day_bytes", "4 kB", "- - - - - 0.00 1.00 1.00 - - - -"},
	} {
		if _, got := cells(t, table, c.detection, c.option, c.value); strings.Join(got, " ") != c.want {
			t.Errorf("%s.%s %s: got %v, want %s", c.detection, c.option, c.value, got, c.want)
		}
	}
	if again := s.tune("--from", "2026-03-16", "--to", "2026-03-28", "--workers", "3", "--memory", "1MiB"); again != table {
		t.Errorf("with other workers and memory: got\n%s\nwant\n%s", again, table)
	}

	server := newS3Server(t)
	for name, body := range before {
		if key, ok := strings.CutPrefix(name, "state/"); ok {
			server.put(t, key, []byte(body))
		}
	}
	if got := s.tune("--from", "2026-03-16", "--to", "2026-03-28", "--state", "s3://logs", "--s3-endpoint-url", server.url); got != table {
		t.Errorf("on S3: got\n%s\nwant\n%s", got, table)
	}
}

// If this fails, tune does not find a drip with the detection that is there for drips, which
// needs two months of state, or finds one where nothing drips.
func TestTuneSlow(t *testing.T) {
	s := newSite(t, datedURI)
	s.write("outflow.yaml", []byte("inputs:\n  - {name: cloud, uri: '"+datedURI+"'}\n"))
	first, last := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)
	for day := first; !day.After(last); day = day.AddDate(0, 0, 1) {
		date := day.Format(time.DateOnly)
		log := "time,user,method,url_host,bytes_out,bytes_in\n"
		for i := range 12 {
			log += fmt.Sprintf("%sT10:00:00Z,user%02d,PUT,files.partner.example,%d,1000\n", date, i, 9_000_000+1_000_000*((day.YearDay()+i)%3))
		}
		s.write("logs/"+date+"/cloud.csv", []byte(log))
	}
	if code, _, stderr := invoke(t, s.dir, "backfill", "--config", "outflow.yaml", "--from", first.Format(time.DateOnly), "--to", last.Format(time.DateOnly)); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	table := s.tune("--detection", "upload_slow", "--from", "2026-03-24", "--to", "2026-03-28")
	rate, recall := cells(t, table, "upload_slow", "threshold", "6.5")
	if rate != 0 {
		t.Errorf("got %v findings a night, want none: nothing drips", rate)
	}
	// 14 days of 100 MB are 1 GB more than usual on the eleventh. A single day adds at most 3
	// spreads to the sum, which must reach 6.5.
	if got, want := strings.Join(recall, " "), "0.00 0.00 0.00 0.00 1.00 0.00"; got != want {
		t.Errorf("recall of +50MB, +200MB, +1GB, +5GB, drip and drop 50MB: got %s, want %s", got, want)
	}
	if !strings.Contains(table, "drip 1,") {
		t.Errorf("want one drip, which began before the nights that are judged:\n%s", table)
	}
	if _, recall := cells(t, table, "upload_slow", "floor", "2 GB"); strings.Join(recall, " ") != "0.00 0.00 0.00 0.00 0.00 0.00" {
		t.Errorf("a drip of 1.4 GB is found over a floor of 2 GB: %v", recall)
	}
}

// filesOf returns the files below a folder.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(filepath.Join(dir, name))
		files[filepath.ToSlash(name)] = string(body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// If this fails, tune tries a value that a detection refuses, or one that the rows of the
// state were not folded for.
func TestTunedOptions(t *testing.T) {
	for _, d := range detect.All() {
		for _, o := range detect.Options(d) {
			for _, value := range o.Tune {
				tuned, err := detect.With(d, o.Key, value)
				if err != nil {
					t.Errorf("%s.%s: %v", d.Name, o.Key, err)
					continue
				}
				if _, err := detect.With(d, o.Key, written(o.Unit, value)); err != nil {
					t.Errorf("%s.%s as the configuration has it: %v", d.Name, o.Key, err)
				}
				want := detect.FoldFor([]*detect.Detection{d}, false)
				if got := detect.FoldFor([]*detect.Detection{tuned}, false); !reflect.DeepEqual(got, want) {
					t.Errorf("%s.%s %s: got %+v, want %+v as for other values", d.Name, o.Key, value, got, want)
				}
			}
		}
	}
}

// If this fails, a suggestion leaves the budget, or a budget that forbids nothing costs
// recall.
func TestSuggest(t *testing.T) {
	value := func(name, value string, current bool, findings int, outcomes ...outcome) *trial {
		return &trial{Detection: &detect.Detection{Name: name}, option: "o", value: value, current: current, nights: 10, findings: findings, outcomes: outcomes}
	}
	r := &replay{
		victims: []victim{{kind: 0}, {kind: 0}, {kind: 0}, {kind: 0}},
		trials: []*trial{
			value("a", "1", false, 90, found, found, found, missed),
			value("a", "2", true, 20, found, found, missed, missed),
			value("a", "3", false, 5, missed, found, missed, missed),
			value("b", "1", false, 40, found, missed, missed, found),
			value("b", "2", true, 10, found, missed, missed, missed),
		},
	}
	for _, c := range []struct {
		budget float64
		want   string
		ok     bool
	}{
		{100, "a 1 b 1", true},
		{12, "a 2 b 1", true}, // a 1 finds as much, with more findings
		{6, "a 2 b 1", true},
		{3, "a 2 b 2", true},
		{2, "a 3 b 2", true}, // b 2 finds what a 3 does not
		{1, "a 3 b 2", false},
	} {
		_, best, ok := r.suggest(c.budget)
		var got []string
		for _, x := range best {
			got = append(got, x.Name, x.value)
		}
		if strings.Join(got, " ") != c.want || ok != c.ok {
			t.Errorf("budget %v: got %v, %v, want %s, %v", c.budget, got, ok, c.want, c.ok)
		}
	}
}
