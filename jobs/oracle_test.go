package jobs

import (
	"bytes"
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// dnsMapping reads the DNS logs of fixtures/oracle once they are CSV.
const dnsMapping = `table: dns
only: true
columns: {time: when, src_ip: client, query_type: type, query: name}
`

// dnsCSV returns a DNS log of fixtures/oracle as CSV. Its fields are separated by runs of
// blanks, which no delimiter of csv can express. Like the cookbook, it leaves out lines
// with too few fields.
func dnsCSV(t *testing.T, log string) []byte {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write([]string{"when", "client", "type", "name"})
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 5 {
			w.Write([]string{f[0] + " " + f[1], f[2], f[3], f[4]})
		}
	}
	w.Flush()
	return b.Bytes()
}

// If this fails, the whole program, from logs to findings.csv, does not find what pandas
// finds with the seed's rules. The detections alone may still find it. The numbers are
// those of fixtures/oracle/oracle.py.
func TestOracleScan(t *testing.T) {
	oracle, err := filepath.Abs("../fixtures/oracle")
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range []string{"tidy", "edges", "names"} {
		t.Run(set, func(t *testing.T) {
			dir := t.TempDir()
			for name, body := range map[string][]byte{"dns.yaml": []byte(dnsMapping), "dns.csv": dnsCSV(t, filepath.Join(oracle, set+".dns.log"))} {
				if err := os.WriteFile(filepath.Join(dir, name), body, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			scan := func(out string, args ...string) []map[string]string {
				args = append([]string{"scan", "--profile", "seed", "--reports", "csv", "--out", out}, args...)
				if code, _, stderr := invoke(t, dir, args...); code != exitOK || stderr != "" {
					t.Fatalf("%v: exit %d: %s", args, code, stderr)
				}
				return readCSV(t, filepath.Join(dir, out, "findings.csv"))
			}
			cloud := scan("cloud", filepath.Join(oracle, set+".cloud_api_logs.csv"))
			web := scan("web", filepath.Join(oracle, set+".proxy.csv"))
			dns := scan("dns", "--mapping", "dns.yaml", "dns.csv")

			for _, c := range []struct {
				want      string
				findings  []map[string]string
				detection string
				name      func(want map[string]string) string
				found     func(f map[string]string) string
				numbers   map[string]string // column of findings.csv, and of the wanted table
			}{
				{"zscore", cloud, "upload_zscore",
					func(w map[string]string) string { return w["user"] + " on " + w["date"] },
					func(f map[string]string) string { return f["entity"] + " on " + f["day"] },
					map[string]string{"score": "z", "observed": "bytes", "baseline": "mean", "bytes_out": "bytes"}},
				{"ratio", web, "upload_ratio",
					func(w map[string]string) string { return w["user"] },
					func(f map[string]string) string { return f["entity"] },
					map[string]string{"score": "ratio", "bytes_out": "bytes_out", "bytes_in": "bytes_in"}},
				{"volume", dns, "dns_volume",
					func(w map[string]string) string { return w["client"] + " to " + w["domain"] },
					func(f map[string]string) string { return f["entity"] + " to " + f["object"] },
					map[string]string{"score": "queries"}},
				{"entropy", dns, "dns_entropy",
					func(w map[string]string) string { return w["client"] + " for " + w["query"] },
					func(f map[string]string) string { return f["entity"] + " for " + f["object"] },
					nil}, // below, as the score is either the entropy or the length
			} {
				found := map[string]map[string]string{}
				for _, f := range c.findings {
					if f["detection"] == c.detection {
						name := c.found(unguarded(f))
						if found[name] != nil {
							t.Errorf("%s: %q is found twice", c.want, name)
						}
						found[name] = f
					}
				}
				for _, w := range readCSV(t, filepath.Join(oracle, set+"."+c.want+".want.csv")) {
					name := lineEnds.Replace(c.name(w))
					f := found[name]
					if f == nil {
						t.Errorf("%s: %q is not found", c.want, name)
						continue
					}
					delete(found, name)
					if c.want == "entropy" {
						same(t, name, f["score"], w[map[bool]string{true: "entropy", false: "length"}[w["entropy"] > "3.8"]])
					}
					for got, want := range c.numbers {
						same(t, name+" "+got, f[got], w[want])
					}
				}
				for name := range found {
					t.Errorf("%s: found %q, which is not expected", c.want, name)
				}
			}
		})
	}
}

// lineEnds escapes unprintable characters as findings.csv does.
var lineEnds = strings.NewReplacer("\n", `\n`, "\t", `\t`)

// unguarded removes the quote that keeps a spreadsheet from running a cell.
func unguarded(f map[string]string) map[string]string {
	out := map[string]string{}
	for column, cell := range f {
		out[column] = strings.TrimPrefix(cell, "'")
	}
	return out
}

// same checks that two numbers differ by at most 1e-9, relative to want if that is over
// 1.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	g, err1 := strconv.ParseFloat(got, 64)
	w, err2 := strconv.ParseFloat(want, 64)
	if err1 != nil || err2 != nil || math.Abs(g-w) > 1e-9*max(1, math.Abs(w)) {
		t.Errorf("%s: got %s, want %s", what, got, want)
	}
}
