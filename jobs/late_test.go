package jobs

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// A site is a folder of logs with one input, cloud, and a state and reports
// beside it.
type site struct {
	t      *testing.T
	dir    string
	bucket *s3Server // where logs are; nil: in dir
}

const datedURI = "logs/{yyyy}-{mm}-{dd}/"

func newSite(t *testing.T, uri string) *site {
	s := &site{t: t, dir: t.TempDir()}
	s.write("outflow.yaml", []byte("inputs:\n  - {name: cloud, uri: '"+uri+"'}\n"))
	return s
}

func (s *site) write(name string, body []byte) {
	s.t.Helper()
	if key, ok := strings.CutPrefix(name, "logs/"); ok && s.bucket != nil {
		s.bucket.put(s.t, key, body)
		return
	}
	name = filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(name, body, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// uploads is a cloud log. An event is "time user bytes", as in "2026-03-01T10:00 ann 5".
func uploads(events ...string) []byte {
	var b strings.Builder
	b.WriteString("time,user,bytes_out,bytes_in\n")
	for _, e := range events {
		f := strings.Fields(e)
		fmt.Fprintf(&b, "%s:00Z,%s,%s,1000\n", f[0], f[1], f[2])
	}
	return []byte(b.String())
}

// quiet writes a quiet log for each of the days of March from the 9th to the last.
func (s *site) quiet(last int, without ...int) {
	for day := 9; day <= last; day++ {
		if slices.Contains(without, day) {
			continue
		}
		date := fmt.Sprintf("2026-03-%02d", day)
		s.write("logs/"+date+"/a.csv", uploads(date+fmt.Sprintf("T10:%02d ann 1%d00000", day, day%3), date+"T11:00 bob 900000"))
	}
}

// run runs the nightly job for a day of March, which must work, and returns
// what it said on stderr.
func (s *site) run(day int, args ...string) string {
	s.t.Helper()
	if s.bucket != nil {
		args = append(args, "--s3-endpoint-url", s.bucket.url)
	}
	args = append([]string{"run", "nightly", "--config", "outflow.yaml", "--day", fmt.Sprintf("2026-03-%02d", day)}, args...)
	code, _, stderr := invoke(s.t, s.dir, args...)
	if code != exitOK {
		s.t.Fatalf("%v: exit %d: %s", args, code, stderr)
	}
	return stderr
}

// done returns the Done of a day's partition, and its rows.
func (s *site) done(state string, day int) (store.Done, []detect.Row) {
	s.t.Helper()
	at, err := store.Open(s.t.Context(), filepath.Join(s.dir, state), store.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	rows, done, err := store.Partitions[detect.Row]{Store: at, Folder: "aggregate=user_day"}.Read(s.t.Context(), fmt.Sprintf("2026-03-%02d", day))
	if err != nil {
		s.t.Fatal(err)
	}
	return done, rows
}

// events returns how many events of each user a day's partition has.
func (s *site) events(day int) map[string]int64 {
	s.t.Helper()
	_, rows := s.done("state", day)
	out := map[string]int64{}
	for _, r := range rows {
		out[r.Entity] += r.Events
	}
	return out
}

// sameAsFresh fails if the partitions of the days differ from those of a state built
// from the logs that exist now.
func (s *site) sameAsFresh(days ...int) {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, "fresh")); err != nil {
		s.t.Fatal(err)
	}
	args := []string{"backfill", "--config", "outflow.yaml", "--state", "fresh",
		"--from", fmt.Sprintf("2026-03-%02d", days[0]), "--to", fmt.Sprintf("2026-03-%02d", days[len(days)-1])}
	if s.bucket != nil {
		args = append(args, "--s3-endpoint-url", s.bucket.url)
	}
	if code, _, stderr := invoke(s.t, s.dir, args...); code != exitOK {
		s.t.Fatalf("%v: exit %d: %s", args, code, stderr)
	}
	for _, day := range days {
		gotDone, got := s.done("state", day)
		wantDone, want := s.done("fresh", day)
		if !reflect.DeepEqual(got, want) {
			s.t.Errorf("day %d: got rows\n%+v\nwant, as of a fresh state,\n%+v", day, got, want)
		}
		gotDone.Late, wantDone.Late = nil, nil
		if !reflect.DeepEqual(gotDone, wantDone) {
			s.t.Errorf("day %d: got %+v, want, as of a fresh state, %+v", day, gotDone, wantDone)
		}
	}
}

// inputs returns the names of the objects that the run of a day read.
func (s *site) inputs(day int) []string {
	s.t.Helper()
	var names []string
	for _, r := range readCSV(s.t, filepath.Join(s.dir, fmt.Sprintf("out/nightly/2026-03-%02d/inputs.csv", day))) {
		names = append(names, strings.TrimPrefix(r["name"], "logs/2026-03-"))
	}
	return names
}

// read returns a file of the site.
func (s *site) read(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

func (s *site) page(day int) string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, fmt.Sprintf("out/nightly/2026-03-%02d/report.html", day)))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

const lateWarning = "arrived late"

// If this fails, what a bucket delivers after the night it belongs to is never
// judged, or counts twice.
func TestLateObjects(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(20)
	s.run(20)

	// Under the 21st: a log of the 20th with an exfiltration, one across
	// midnight, and one of the 21st.
	s.write("logs/2026-03-21/late.csv", uploads("2026-03-20T22:00 ann 9000000000"))
	s.write("logs/2026-03-21/midnight.csv", uploads("2026-03-20T23:59 eve 1", "2026-03-21T00:01 eve 2", "2026-03-21T00:02 eve 2"))
	s.write("logs/2026-03-21/a.csv", uploads("2026-03-21T10:00 ann 1100000"))
	s.run(21)

	if got, want := s.events(20), map[string]int64{"ann": 2, "bob": 1, "eve": 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("the 20th: got events %v, want %v", got, want)
	}
	if got, want := s.events(21), map[string]int64{"ann": 1, "eve": 2}; !reflect.DeepEqual(got, want) {
		t.Errorf("the 21st: got events %v, want %v", got, want)
	}
	done, _ := s.done("state", 20)
	if want := []string{"logs/2026-03-21/late.csv", "logs/2026-03-21/midnight.csv"}; !slices.Equal(done.Late, want) {
		t.Errorf("late inputs of the 20th: got %v, want %v", done.Late, want)
	}
	if !strings.Contains(s.page(21), "2026-03-20 "+lateWarning) {
		t.Error("the report does not say that logs of the 20th arrived late")
	}
	findings := readCSV(t, filepath.Join(s.dir, "out/nightly/2026-03-21/findings.csv"))
	if !slices.ContainsFunc(findings, func(f map[string]string) bool {
		return f["detection"] == "upload_zscore" && f["entity"] == "ann" && f["day"] == "2026-03-20"
	}) {
		t.Errorf("the upload of the 20th that arrived late is not found: %v", findings)
	}
	inputs := s.inputs(21)
	if names := slices.Compact(slices.Sorted(slices.Values(inputs))); len(names) != len(inputs) {
		t.Errorf("an object that was read for two days stands twice in inputs.csv: %v", inputs)
	}
	for _, r := range readCSV(t, filepath.Join(s.dir, "out/nightly/2026-03-21/inputs.csv")) {
		if strings.HasSuffix(r["name"], "midnight.csv") && (r["rows"] != "3" || r["outside"] != "0") {
			t.Errorf("midnight.csv: got %s rows and %s outside both days, want 3 and 0", r["rows"], r["outside"])
		}
	}
	s.sameAsFresh(19, 20, 21)

	// Run again, the night says the same.
	before := s.reports(21)
	s.run(21)
	if after := s.reports(21); !reflect.DeepEqual(after, before) {
		t.Errorf("run again, the night has other reports: got\n%s\nwant\n%s", after["inputs.csv"], before["inputs.csv"])
	}
	s.sameAsFresh(19, 20, 21)

	// The next night finds nothing new about the 20th, and knows which objects it need not
	// read.
	s.write("logs/2026-03-22/a.csv", uploads("2026-03-22T10:00 ann 1100000"))
	s.run(22)
	if strings.Contains(s.page(22), lateWarning) {
		t.Error("the next night says once more that logs arrived late")
	}
	if got, want := s.inputs(22), []string{"22/a.csv"}; !slices.Equal(got, want) {
		t.Errorf("the next night: read %v, want %v", got, want)
	}
}

// reports returns the reports of a night, by the names of their files.
func (s *site) reports(day int) map[string]string {
	s.t.Helper()
	out := map[string]string{}
	dir := filepath.Join(s.dir, fmt.Sprintf("out/nightly/2026-03-%02d", day))
	files, err := os.ReadDir(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			s.t.Fatal(err)
		}
		out[f.Name()] = string(text)
	}
	return out
}

// If this fails, a log that went on growing after it was folded is never read again.
func TestLateLogChanged(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(20)
	s.run(19)
	s.run(20)
	s.write("logs/2026-03-20/a.csv", uploads("2026-03-20T10:00 ann 1", "2026-03-20T23:58 ann 9"))
	s.write("logs/2026-03-21/a.csv", uploads("2026-03-21T10:00 ann 1"))
	s.run(21)
	if got, want := s.events(20), map[string]int64{"ann": 2}; !reflect.DeepEqual(got, want) {
		t.Errorf("got events %v, want %v", got, want)
	}
	s.sameAsFresh(20, 21)
}

// If this fails, a zip archive, whose files are inputs of their own, is late every night.
func TestLateZip(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(19)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, body := range map[string][]byte{
		"one.csv": uploads("2026-03-20T23:00 ann 1"), "two.csv": uploads("2026-03-21T01:00 ann 1"), "README": []byte("of the logs here\n"),
	} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(body)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	s.write("logs/2026-03-20/logs.zip", b.Bytes())
	s.run(20)
	s.run(21)
	s.run(21)
	if strings.Contains(s.page(21), lateWarning) {
		t.Error("an archive that the day before lists is late")
	}
	if done, _ := s.done("state", 21); len(done.Inputs) != 1 || len(done.Late) != 0 || done.Inputs[0].Rows != 2 || done.Inputs[0].First != "2026-03-20" {
		t.Errorf("got %+v, want the archive, with 2 rows from the 20th on", done)
	}
	s.sameAsFresh(20, 21)
}

// If this fails, a log that was read only in part one night is never read in full.
func TestLateReadInPart(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(19)
	whole := gzipped(t, uploads("2026-03-20T09:00 ann 1", "2026-03-20T10:00 ann 1"))
	s.write("logs/2026-03-20/a.csv.gz", whole[:len(whole)-9])
	s.run(20)
	done, _ := s.done("state", 20)
	if len(done.Inputs) != 1 || done.Inputs[0].First != "" {
		t.Fatalf("got %+v, want one input of unknown days", done.Inputs)
	}
	s.write("logs/2026-03-20/a.csv.gz", whole)
	s.write("logs/2026-03-20/b.csv", uploads("2026-03-20T11:00 ann 1"))
	s.run(21)
	if got, want := s.events(20), map[string]int64{"ann": 3}; !reflect.DeepEqual(got, want) {
		t.Errorf("got events %v, want %v", got, want)
	}
	s.sameAsFresh(20)
}

// If this fails, logs that come days late are not read, or are read every night.
func TestDaysLate(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(20)
	s.run(17)
	for day := 18; day <= 20; day++ {
		s.run(day)
	}
	fresh := copySite(t, s)
	s.write("logs/2026-03-21/late.csv", uploads("2026-03-18T22:00 ann 7", "2026-03-18T22:01 eve 9000000000"))
	s.write("logs/2026-03-14/late.csv", uploads("2026-03-14T12:00 ann 5"))
	s.write("logs/2026-03-12/empty.csv", uploads())
	s.write("logs/2026-03-19/again.csv.gz", gzipped(t, []byte(fresh.read("logs/2026-03-19/a.csv"))))
	s.write("logs/2026-03-21/a.csv", uploads("2026-03-21T10:00 ann 1100000"))
	s.run(21)
	page := s.page(21)
	for _, want := range []string{"Logs of 2026-03-18 arrived late: the day was folded and judged again.",
		"Logs of 2026-03-14 arrived late: the day, which no night had judged, was folded again for the baselines."} {
		if !strings.Contains(page, want) {
			t.Errorf("the report does not say: %s", want)
		}
	}
	for day, want := range map[int]map[string]int64{14: {"ann": 2, "bob": 1}, 18: {"ann": 2, "bob": 1, "eve": 1}, 19: {"ann": 1, "bob": 1}} {
		if got := s.events(day); !reflect.DeepEqual(got, want) {
			t.Errorf("the %dth: got events %v, want %v", day, got, want)
		}
	}
	if findings := s.reports(21)["findings.csv"]; !strings.Contains(findings, "2026-03-18,") || !strings.Contains(findings, ",eve,") {
		t.Errorf("the theft of the 18th is not reported: %s", findings)
	}
	for _, r := range readCSV(t, filepath.Join(s.dir, "out/nightly/2026-03-21/inputs.csv")) {
		if strings.HasSuffix(r["name"], "again.csv.gz") && r["copy_of"] != "logs/2026-03-19/a.csv" {
			t.Errorf("again.csv.gz: got a copy of %q", r["copy_of"])
		}
	}
	before := s.reports(21)
	s.run(21)
	if after := s.reports(21); !reflect.DeepEqual(after, before) {
		t.Errorf("run again, the night has other reports: got\n%s\nwant\n%s", after["inputs.csv"], before["inputs.csv"])
	}
	s.write("logs/2026-03-22/a.csv", uploads("2026-03-22T10:00 ann 1100000"))
	s.run(22)
	if strings.Contains(s.page(22), lateWarning) {
		t.Error("the next night says once more that logs arrived late")
	}
	if got, want := s.inputs(22), []string{"22/a.csv"}; !slices.Equal(got, want) {
		t.Errorf("the next night: read %v, want %v", got, want)
	}

	// A day that is folded again keeps what lies beside the logs of other days.
	if code, _, stderr := invoke(t, s.dir, "backfill", "--config", "outflow.yaml", "--from", "2026-03-18", "--to", "2026-03-18"); code != exitOK {
		t.Fatal(stderr)
	}
	if got, want := s.events(18), map[string]int64{"ann": 2, "bob": 1, "eve": 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("after backfill, the 18th: got events %v, want %v", got, want)
	}
}

// If this fails, a day whose logs are gone is replaced by the few that came late.
func TestLateWithoutTheOthers(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(20)
	for day := 18; day <= 20; day++ {
		s.run(day)
	}
	for _, day := range []string{"18", "20"} {
		if err := os.Remove(filepath.Join(s.dir, "logs/2026-03-"+day+"/a.csv")); err != nil {
			t.Fatal(err)
		}
		s.write("logs/2026-03-"+day+"/late.csv", uploads("2026-03-"+day+"T22:00 eve 7"))
	}
	s.write("logs/2026-03-21/a.csv", uploads("2026-03-21T10:00 ann 1100000"))
	s.run(21)
	if page := s.page(21); !strings.Contains(page, "Logs of 2026-03-18, 2026-03-20 arrived late, but others of the same days no longer exist") {
		t.Error("the report does not say that late logs were left out")
	}
	for _, day := range []int{18, 20} {
		if got, want := s.events(day), map[string]int64{"ann": 1, "bob": 1}; !reflect.DeepEqual(got, want) {
			t.Errorf("the %dth: got events %v, want what was folded, %v", day, got, want)
		}
	}

	// The logs that were not judged make each run incomplete, until they are.
	strict := func(day, want int) {
		t.Helper()
		date := fmt.Sprintf("2026-03-%02d", day)
		s.write("logs/"+date+"/a.csv", uploads(date+"T10:00 ann 1100000"))
		code, stdout, stderr := invoke(t, s.dir, "run", "nightly", "--config", "outflow.yaml", "--day", date, "--strict")
		if said := strings.Contains(stdout+stderr, "INCOMPLETE"); code != want || said != (want == exitPartial) {
			t.Errorf("the night of the %dth: exit code %d, want %d; INCOMPLETE is there: %v", day, code, want, said)
		}
	}
	strict(21, exitPartial)
	strict(22, exitPartial)
	strict(23, exitPartial)
	s.run(18)
	s.run(20)
	strict(24, 0)
	for _, day := range []int{18, 20} {
		if got, want := s.events(day), map[string]int64{"eve": 1}; !reflect.DeepEqual(got, want) {
			t.Errorf("the %dth, judged by what is left: got events %v, want %v", day, got, want)
		}
	}
}

// If this fails, a day whose logs all came after its night is history that nobody judged.
func TestDayWithoutLogsInItsNight(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(20, 18)
	for day := 17; day <= 20; day++ {
		s.run(day)
	}
	s.write("logs/2026-03-18/a.csv", uploads("2026-03-18T10:00 ann 9000000000"))
	s.write("logs/2026-03-21/a.csv", uploads("2026-03-21T10:00 ann 1100000"))
	s.run(21)
	if findings := s.reports(21)["findings.csv"]; !strings.Contains(findings, "2026-03-18,") {
		t.Errorf("the theft of the 18th is not reported: %s", findings)
	}
}

// If this fails, events that come so late that no run folds them are lost in silence.
func TestTooLate(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(21)
	s.run(20, "--disable=upload_slow,first_destination")
	if strings.Contains(s.page(20), "later than the history") {
		t.Error("the first night says that logs came late")
	}
	s.write("logs/2026-01-10/a.csv", uploads("2026-01-10T22:00 ann 7"))
	if code, _, stderr := invoke(t, s.dir, "backfill", "--config", "outflow.yaml", "--from", "2025-12-01", "--to", "2026-01-10"); code != exitOK {
		t.Fatal(stderr)
	}
	s.write("logs/2026-03-21/late.csv", uploads("2025-12-10T22:00 ann 7", "2026-01-10T22:00 ann 7", "2026-03-21T22:00 ann 7"))
	s.write("logs/2025-12-10/a.csv", uploads("2025-12-10T21:00 ann 7"))
	if code, _, stderr := invoke(t, s.dir, "backfill", "--config", "outflow.yaml", "--from", "2025-12-10", "--to", "2025-12-10"); code != exitOK {
		t.Fatal(stderr)
	}
	s.run(21)
	if page := s.page(21); !strings.Contains(page, "1 object arrived later than the history goes back, with events from 2025-12-10 on") {
		t.Error("the report does not say that events of December were left out")
	}
}

// If this fails, days without logs, such as weekends, make every run decode the month,
// or the first night of a state does not fold the existing history.
func TestDaysWithoutLogs(t *testing.T) {
	s := newSite(t, "s3://logs/{yyyy}-{mm}-{dd}/")
	s.bucket = newS3Server(t)
	s.quiet(20, 14, 15)
	if stderr := s.run(20); !strings.Contains(stderr, "days of history") {
		t.Errorf("the first night does not say that it folds history: %s", stderr)
	}
	s.bucket.opened()
	s.run(20)
	if got, want := s.bucket.opened(), []string{"2026-03-20/a.csv"}; !slices.Equal(got, want) {
		t.Errorf("the second run of the day read %v, want %v", got, want)
	}
	s.run(21)
	if _, err := os.Stat(filepath.Join(s.dir, "state/v2/aggregate=user_day/date=2026-03-21")); err == nil {
		t.Error("a day without logs has a partition")
	}
	s.sameAsFresh(13, 16)
}

// If this fails, logs in one folder without dates are all decoded every night,
// or several times in the first.
func TestLogsWithoutDates(t *testing.T) {
	s := newSite(t, "s3://logs/**")
	s.bucket = newS3Server(t)
	s.quiet(20)
	s.run(20)
	// Once to know their days, and once to fold them.
	if got := s.bucket.opened(); len(got) > 2*12 {
		t.Errorf("the first night opened 12 objects %d times: %v", len(got), got)
	}
	s.write("logs/2026-03-21/a.csv", uploads("2026-03-21T10:00 ann 1"))
	s.run(21)
	if got, want := slices.Compact(s.bucket.opened()), []string{"2026-03-21/a.csv"}; !slices.Equal(got, want) {
		t.Errorf("the second night read %v, want %v", got, want)
	}
	if page := s.page(21); strings.Contains(page, lateWarning) || strings.Contains(page, "day late") {
		t.Error("logs that a run has folded are late")
	}
	s.sameAsFresh(19, 20, 21)
}

// If this fails, what was folded under other thresholds is taken for the same,
// or a state of another profile is lost.
func TestStateOfOtherMeaning(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(20)
	s.run(20)
	before, _ := s.done("state", 12)
	s.run(20, "--profile", "seed")
	if same, _ := s.done("state", 12); same.Fold != before.Fold {
		t.Error("profile seed replaced the partitions of the default profile")
	}
	if _, err := os.Stat(filepath.Join(s.dir, "state/v2/seed_aggregate=user_day/date=2026-03-12/_done.json")); err != nil {
		t.Errorf("profile seed has no partitions of its own: %v", err)
	}
	// Another threshold of one aggregate does not affect the other aggregates.
	if stderr := s.run(20, "--dns-entropy-entropy", "4"); strings.Contains(stderr, "again") {
		t.Errorf("a threshold that only dns_pair depends on folds history again: %s", stderr)
	}
	if after, _ := s.done("state", 12); !reflect.DeepEqual(after, before) {
		t.Errorf("a threshold of DNS names changed user_day: got %+v, want %+v", after, before)
	}

	// A partition that was folded by another version is folded again.
	s.spoil("user_day", 12)
	if stderr := s.run(20); !strings.Contains(stderr, "folding 1 day of history in the state state again: user_day was folded by another version or with other options") {
		t.Errorf("does not say that a day is folded again: %s", stderr)
	}
	if again, _ := s.done("state", 12); again.Fold != before.Fold || len(again.Late) != 0 {
		t.Errorf("got fingerprint %q and %d late inputs, want %q and none", again.Fold, len(again.Late), before.Fold)
	}
}

// If this fails, days that were folded when no detection read which destinations an entity
// used pass for days on which it used none, or turning such detections off folds the
// history again.
func TestStateWithoutDestinations(t *testing.T) {
	const off = "--disable=first_destination,destination_rise,destination_ratio,upload_slow"
	s := newSite(t, datedURI)
	s.quiet(21)
	s.run(20)
	if stderr := s.run(20, off); strings.Contains(stderr, "again") {
		t.Errorf("the history, which has the destinations, is folded again without them: %s", stderr)
	}
	const again = "folding 1 day of history in the state state again: user_destination_day was folded"
	if stderr := s.run(21, off); strings.Contains(stderr, "again") {
		t.Errorf("a detection that reads no destinations folds history again: %s", stderr)
	}
	gone := filepath.Join(s.dir, "logs/2026-03-20/a.csv")
	log, err := os.ReadFile(gone)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	s.run(21)
	if !strings.Contains(s.page(21), "user_destination_day of 2026-03-20 is in the state, but was folded") {
		t.Error("the report does not name the day without destinations, whose log is gone")
	}
	s.write("logs/2026-03-20/a.csv", log)
	if stderr := s.run(21); !strings.Contains(stderr, again) {
		t.Errorf("does not say that a day is folded again: %s", stderr)
	}
	if stderr := s.run(21); strings.Contains(stderr, "again") {
		t.Errorf("folds the history once more: %s", stderr)
	}
}

// spoil makes a partition look as if another version had folded it.
func (s *site) spoil(aggregate string, day int) {
	s.t.Helper()
	name := filepath.Join(s.dir, fmt.Sprintf("state/v2/aggregate=%s/date=2026-03-%02d/_done.json", aggregate, day))
	text, err := os.ReadFile(name)
	if err != nil {
		s.t.Fatal(err)
	}
	var done store.Done
	if err := store.DecodeChecked(text, &done); err != nil {
		s.t.Fatal(err)
	}
	done.Rev, done.Fold = 0, "0123456789abcdef"
	if text, err = store.EncodeChecked(done); err != nil {
		s.t.Fatal(err)
	}
	s.write(strings.TrimPrefix(name, s.dir), text)
}

// If this fails, history that cannot be folded again is left out without a message, is
// replaced by the few of its events that are in another day's log, or makes the other
// aggregates fold again.
func TestHistoryWithoutLogs(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(20)
	s.write("logs/2026-03-14/midnight.csv", uploads("2026-03-13T23:59 eve 5", "2026-03-14T00:01 eve 5"))
	s.run(20)
	destinations := filepath.Join(s.dir, "state/v2/aggregate=user_destination_day/date=2026-03-12/_done.json")
	before, err := os.Stat(destinations)
	if err != nil {
		t.Fatal(err)
	}
	for _, day := range []int{11, 12, 13, 15, 16} {
		s.spoil("user_day", day)
	}
	for _, day := range []int{12, 13, 16} {
		if err := os.RemoveAll(filepath.Join(s.dir, fmt.Sprintf("logs/2026-03-%02d", day))); err != nil {
			t.Fatal(err)
		}
	}
	const warning = "user_day of 2026-03-12 to 2026-03-13, 2026-03-16 is in the state, but was folded by another version or with other options, " +
		"and some of their logs no longer exist: no baseline uses these days. " +
		"Restore their logs, or fold those that are left with outflow backfill --from 2026-03-12 --to 2026-03-16."
	for range 2 {
		s.run(20)
		if !strings.Contains(s.page(20), warning) {
			t.Error("the report does not name the days that are left out")
		}
	}
	if got, want := s.events(13), map[string]int64{"ann": 1, "bob": 1, "eve": 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("the 13th, whose log is gone: got events %v, want all of them still, %v", got, want)
	}
	if after, err := os.Stat(destinations); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("user_destination_day, which has not changed, was folded again: %v", err)
	}
	for _, day := range []int{11, 15} {
		if done, _ := s.done("state", day); done.Fold == "0123456789abcdef" {
			t.Errorf("the %dth, whose log is there, is not folded again", day)
		}
	}

	// backfill does what the user asks for, although the logs are incomplete.
	if code, _, stderr := invoke(t, s.dir, "backfill", "--config", "outflow.yaml", "--from", "2026-03-13", "--to", "2026-03-13"); code != exitOK {
		t.Fatal(stderr)
	}
	if got, want := s.events(13), map[string]int64{"eve": 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("after backfill: got events %v, want what is left, %v", got, want)
	}
}

// If this fails, a state with one fingerprint for all aggregates, as older programs wrote
// it, cannot be used, or its unusable partitions are left out without a message. The last
// of those programs made the state, with three days of an input cloud and of an input
// dns.
func TestStateOfSharedFingerprint(t *testing.T) {
	s := newSite(t, datedURI)
	s.write("outflow.yaml", []byte("inputs:\n  - {name: cloud, uri: 'logs/{yyyy}-{mm}-{dd}/*.csv'}\n  - {name: dns, format: dnsmasq, uri: 'logs/{yyyy}-{mm}-{dd}/dns.log'}\n"))
	z, err := zip.OpenReader("testdata/state_shared_fingerprint.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if err := os.CopyFS(s.dir, z); err != nil {
		t.Fatal(err)
	}
	var old store.Done
	text, err := os.ReadFile(filepath.Join(s.dir, "state/v1/aggregate=user_day/date=2026-03-18/_done.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &old); err != nil {
		t.Fatal(err)
	}
	s.write("logs/2026-03-20/a.csv", uploads("2026-03-20T10:00 ann 12000000"))
	s.run(20)
	page := s.page(20)
	for _, a := range []*detect.Aggregate{detect.UserDay, detect.UserDestinationDay} {
		i := slices.IndexFunc(sharedRevs, func(old struct {
			name string
			rev  int
		}) bool {
			return old.name == a.Name
		})
		read := !strings.Contains(page, a.Name+" of 2026-03-17 to 2026-03-19 is in the state, but")
		if want := sharedRevs[i].rev == a.Rev; read != want {
			t.Errorf("%s: got read %t, want %t, else named", a.Name, read, want)
		}
	}
	if _, err := os.Stat(filepath.Join(s.dir, "state/v1/aggregate=user_day/date=2026-03-18/_done.json")); err == nil {
		t.Error("the partition of version 1 is still there, and would be read by an older program")
	}
	now, rows := s.done("state", 18)
	if len(rows) != 2 || rows[0].BytesOut != 118_00000 || rows[0].Addresses != 0 || rows[1].KnownOut != 1 {
		t.Errorf("got rows %+v", rows)
	}
	if now.Fold != old.Fold || now.Rev != old.Rev || !reflect.DeepEqual(now.Inputs, old.Inputs) || len(now.Parts) != 1 || now.Parts[0].Rows != old.Rows {
		t.Errorf("a partition without logs was changed: got %+v, was %+v", now, old)
	}
}
