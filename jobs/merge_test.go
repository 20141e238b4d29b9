package jobs

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// linesOf decompresses all files that match, and returns the first header records of one
// of them and all records after the header. Equal records are returned once: events that
// were delivered twice count once only if they are in the same object.
func linesOf(t *testing.T, pattern string, header int) (head string, lines []string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	seen := map[string]bool{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(text))
			if err == nil {
				text, err = io.ReadAll(z)
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		all := recordsOf(t, string(text), header > 0)
		head = strings.Join(all[:header], "")
		for _, line := range all[header:] {
			if !seen[line] {
				lines = append(lines, line)
			}
			seen[line] = true
		}
	}
	return head, lines
}

// recordsOf cuts text into lines, or into records where line ends may be quoted.
func recordsOf(t *testing.T, text string, quoted bool) []string {
	t.Helper()
	if !quoted {
		return slices.Collect(strings.Lines(strings.TrimSuffix(text, "\n") + "\n"))
	}
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord, r.LazyQuotes = -1, true
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, row := range rows {
		var b strings.Builder
		w := csv.NewWriter(&b)
		w.Write(row)
		w.Flush()
		out = append(out, b.String())
	}
	return out
}

// findingsBut returns findings.csv without some columns.
func findingsBut(t *testing.T, name string, columns ...string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, column := range columns {
		i := slices.Index(rows[0], column)
		for j := range rows {
			rows[j] = slices.Delete(rows[j], i, i+1)
		}
	}
	var b strings.Builder
	for _, row := range rows {
		fmt.Fprintf(&b, "%q\n", row)
	}
	return b.String()
}

// If this fails, the findings depend on how the logs are divided into files, on the
// order of their rows, or on the number of workers.
func TestScanMerges(t *testing.T) {
	data := filepath.Join(fixtures(t), "data")
	config, err := os.ReadFile("../fixtures/outflow.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(config), "logformat: '")
	logFormat, _, _ := strings.Cut(rest, "'")
	for _, c := range []struct {
		format, pattern string
		header          int
		args            []string
	}{
		{"csv", "cloud/*.csv", 1, nil},
		{"squid", "proxy/*.gz", 0, []string{"--logformat", logFormat}},
	} {
		t.Run(c.format, func(t *testing.T) {
			head, lines := linesOf(t, filepath.Join(data, c.pattern), c.header)
			s := newSite(t, datedURI)
			s.write("one/all.log", []byte(head+strings.Join(lines, "")))
			rnd := rand.New(rand.NewPCG(1, 2))
			rnd.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
			const files = 1000
			for i := range files {
				part := lines[i*len(lines)/files : (i+1)*len(lines)/files]
				s.write(fmt.Sprintf("cut/%d.log", rnd.IntN(1e6)*files+i), []byte(head+strings.Join(part, "")))
			}
			scan := func(folder string, workers int) string {
				out := fmt.Sprintf("out-%s-%d", folder, workers)
				args := append([]string{"scan", "--reports", "csv", "--input", c.format + "=" + folder, "--out", out,
					"--workers", strconv.Itoa(workers)}, c.args...)
				if code, _, stderr := invoke(t, s.dir, args...); code != exitOK {
					t.Fatalf("%v: exit %d: %s", args, code, stderr)
				}
				return findingsBut(t, filepath.Join(s.dir, out, "findings.csv"), "evidence", "places")
			}
			want := scan("one", 1)
			if strings.Count(want, "\n") < 2 {
				t.Fatalf("nothing is found in %d rows: this test proves nothing", len(lines))
			}
			t.Logf("%d rows, %d findings", len(lines), strings.Count(want, "\n")-1)
			for _, again := range []struct {
				folder  string
				workers int
			}{{"one", 8}, {"cut", 1}, {"cut", 2}, {"cut", 8}} {
				if got := scan(again.folder, again.workers); got != want {
					t.Errorf("%s, %d workers: got\n%s\nwant, as of one file and one worker,\n%s", again.folder, again.workers, got, want)
				}
			}
		})
	}
}
