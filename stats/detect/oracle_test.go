package detect

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// oracle is a folder of logs and of what pandas finds in them with the seed's rules; see
// fixtures/oracle/oracle.py.
const oracle = "../../fixtures/oracle"

func TestOracle(t *testing.T) {
	for _, set := range []string{"tidy", "edges", "names"} {
		t.Run(set, func(t *testing.T) {
			compare(t, uploadZScore(), cloudRows(t, set), set+".zscore.want.csv", func(f *Finding) (string, []float64) {
				return f.Entity + " on " + f.Day.String(), []float64{f.Observed, f.Baseline, f.Score}
			}, func(r map[string]string) (string, []string) {
				return r["user"] + " on " + r["date"], []string{r["bytes"], r["mean"], r["z"]}
			})
			compare(t, uploadRatio(), proxyRows(t, set), set+".ratio.want.csv", func(f *Finding) (string, []float64) {
				return f.Entity, []float64{float64(f.Summary.BytesOut), float64(f.Summary.BytesIn), f.Score}
			}, func(r map[string]string) (string, []string) {
				return r["user"], []string{r["bytes_out"], r["bytes_in"], r["ratio"]}
			})
			compare(t, dnsEntropy(), dnsRows(t, set, func(q string) string { return q }), set+".entropy.want.csv", func(f *Finding) (string, []float64) {
				return f.Entity + " for " + f.Object, []float64{f.Score}
			}, func(r map[string]string) (string, []string) {
				name := r["client"] + " for " + r["query"]
				if r["entropy"] > "3.8" {
					return name, []string{r["entropy"]}
				}
				return name, []string{r["length"]}
			})
			compare(t, dnsVolume(), dnsRows(t, set, awkDomain), set+".volume.want.csv", func(f *Finding) (string, []float64) {
				return f.Entity + " to " + f.Object, []float64{f.Score}
			}, func(r map[string]string) (string, []string) {
				return r["client"] + " to " + r["domain"], []string{r["queries"]}
			})
		})
	}
}

// compare runs a detection under profile seed, and compares its names and numbers, to
// 1e-9, with the expected table.
func compare(t *testing.T, d *Detection, rows []Row, want string, got func(*Finding) (string, []float64), row func(map[string]string) (string, []string)) {
	t.Helper()
	d.Seed()
	sortRows(rows)
	in := &Input{Series: seriesOf(rows)}
	for i := range rows {
		in.Day = max(in.Day, rows[i].Day)
	}
	findings := Judge(d, in)
	found := map[string][]float64{}
	for i := range findings {
		name, numbers := got(&findings[i])
		found[name] = numbers
	}
	if len(found) != len(findings) {
		t.Errorf("%s: %d findings for %d names", want, len(findings), len(found))
	}
	expected := readCSV(t, want)
	for _, r := range expected {
		name, numbers := row(r)
		have, ok := found[name]
		if !ok {
			t.Errorf("%s: %q is not found", want, name)
			continue
		}
		delete(found, name)
		for i, text := range numbers {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(have[i]-n) > 1e-9*max(1, math.Abs(n)) {
				t.Errorf("%s: %q: got %v, want %v", want, name, have[i], n)
			}
		}
	}
	for name := range found {
		t.Errorf("%s: found %q, which is not expected", want, name)
	}
}

func readCSV(t *testing.T, name string) []map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join(oracle, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]string
	for _, record := range records[1:] {
		row := map[string]string{}
		for i, column := range records[0] {
			row[column] = record[i]
		}
		out = append(out, row)
	}
	return out
}

// A tally adds events up by key and day in the simplest way.
type tally map[string]*Row

func (y tally) add(k Key, at time.Time, out, in int64) {
	d := DayOf(at.UnixMicro())
	id := fmt.Sprintf("%q %d", []string{k.Feed, k.EntityType, k.Entity, k.Object}, d)
	r := y[id]
	if r == nil {
		r = &Row{Day: d, Key: k}
		y[id] = r
	}
	r.Events++
	r.KnownOut++
	r.KnownIn++
	r.BytesOut += out
	r.BytesIn += in
}

func (y tally) rows() []Row {
	var out []Row
	for _, r := range y {
		out = append(out, *r)
	}
	return out
}

func whole(t *testing.T, text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func clock(t *testing.T, text string) time.Time {
	at, err := time.Parse("2006-01-02 15:04:05", strings.TrimSuffix(strings.Replace(text, "T", " ", 1), "Z"))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func cloudRows(t *testing.T, set string) []Row {
	y := tally{}
	for _, r := range readCSV(t, set+".cloud_api_logs.csv") {
		y.add(Key{Feed: "cloud", EntityType: "user", Entity: r["user"]}, clock(t, r["timestamp"]), whole(t, r["bytes_uploaded"]), 0)
	}
	return y.rows()
}

func proxyRows(t *testing.T, set string) []Row {
	y := tally{}
	for _, r := range readCSV(t, set+".proxy.csv") {
		y.add(Key{Feed: "proxy", EntityType: "user", Entity: r["user"]}, clock(t, r["timestamp"]), whole(t, r["bytes_out"]), whole(t, r["bytes_in"]))
	}
	return y.rows()
}

func dnsRows(t *testing.T, set string, object func(query string) string) []Row {
	text, err := os.ReadFile(filepath.Join(oracle, set+".dns.log"))
	if err != nil {
		t.Fatal(err)
	}
	y := tally{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		y.add(Key{Feed: "dns", EntityType: "src_ip", Entity: f[2], Object: object(strings.TrimRight(f[4], "."))}, clock(t, f[0]+" "+f[1]), 0, 0)
	}
	return y.rows()
}

func awkDomain(query string) string {
	labels := strings.Split(query, ".")
	return strings.Join(labels[max(0, len(labels)-2):], ".")
}

// The oracle must be able to fail, so every table but one must have rows, and so must the
// logs in which nothing is found.
func TestOracleIsNotEmpty(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(oracle, "*.want.csv"))
	if err != nil || len(files) != 12 {
		t.Fatalf("got %d tables and error %v, want 12", len(files), err)
	}
	empty := slices.DeleteFunc(files, func(file string) bool { return len(readCSV(t, filepath.Base(file))) > 0 })
	if len(empty) > 2 {
		t.Errorf("nothing is expected in %v", empty)
	}
}
