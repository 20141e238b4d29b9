package jobs

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"outflow/columnar/logs"
	"outflow/stats/detect"
)

// recordsBehind returns what the page says of records of the logs in a folder, by their places.
func recordsBehind(t *testing.T, folder string, most detect.Bytes, places ...string) map[string]string {
	t.Helper()
	p := &program{ctx: t.Context()}
	sources, err := p.find(&inputFlags{}, []string{folder})
	if err != nil {
		t.Fatal(err)
	}
	var findings []detect.Finding
	for i, place := range places {
		f := detect.Finding{UID: fmt.Sprint(i), Severity: detect.High}
		f.Summary.Evidence = filepath.Join(folder, place)
		findings = append(findings, f)
	}
	config := defaults()
	config.RecordBytes = most
	got, err := p.recordsBehind(config, findings, objectsOf(sources))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, place := range places {
		if r := got[filepath.Join(folder, place)]; r.Missing != "" {
			out[place] = "missing: " + r.Missing
		} else {
			out[place] = r.Text
		}
	}
	return out
}

// If this fails, the page shows other records than its findings name, or shows secrets.
func TestRecordsBehind(t *testing.T) {
	folder := t.TempDir()
	write := func(name string, body []byte) {
		if err := os.WriteFile(filepath.Join(folder, name), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	line := func(n int) string {
		return fmt.Sprintf(`{"time":"2026-03-20T10:00:00Z","user":"u%d","url_host":"a.example","bytes_out":%d}`, n, n)
	}
	var lines []string
	for n := range 40_000 { // three blocks
		lines = append(lines, line(n+1))
	}
	text := []byte(strings.Join(lines, "\n"))
	write("plain.jsonl", text)
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(text)
	w.Close()
	write("packed.jsonl.gz", z.Bytes())
	write("array.json", []byte("["+strings.Join(lines[:9], ",")+"]"))
	write("quoted.csv", []byte("time,user,url_host,bytes_out\n2026-03-20T10:00:00Z,\"a\nb\",a.example,1\n2026-03-20T10:00:01Z,ann,\"a.example\",2\n"))
	write("rows.parquet", parquetLog(t, 30))
	write("secret.jsonl", []byte(`{"time":"2026-03-20T10:00:00Z","user":"u","url_host":"a.example","password":"hunter2"}`))
	for i := range rereadObjects {
		write(fmt.Sprintf("n%02d.jsonl", i), []byte(line(i)))
	}
	all := recordsBehind(t, folder, 1<<30, "plain.jsonl:1", "plain.jsonl:39999", "plain.jsonl:40000", "plain.jsonl:40001", "packed.jsonl.gz:20000", "packed.jsonl.gz:20000",
		"array.json:9", "quoted.csv:2", "quoted.csv:4", "rows.parquet:30", "rows.parquet:31", "secret.jsonl:1", "gone.jsonl:1")
	for place, want := range map[string]string{
		"plain.jsonl:1":         lines[0],
		"plain.jsonl:39999":     lines[39998],
		"plain.jsonl:40000":     lines[39999],
		"plain.jsonl:40001":     "missing: the log has no such record now",
		"packed.jsonl.gz:20000": lines[19999],
		"array.json:9":          lines[8],
		"quoted.csv:2":          `2026-03-20T10:00:00Z,"a\nb",a.example,1`,
		"quoted.csv:4":          `2026-03-20T10:00:01Z,ann,"a.example",2`,
		"rows.parquet:31":       "missing: the log has no such record now",
		"secret.jsonl:1":        `{"time":"2026-03-20T10:00:00Z","user":"u","url_host":"a.example","password":…}`,
		"gone.jsonl:1":          "missing: the log is not there any more, or not where the configuration says",
	} {
		if all[place] != want {
			t.Errorf("%s: got %s, want %s", place, all[place], want)
		}
	}
	for place, want := range map[string]string{"rows.parquet:30": "time=2026-03-01"} { // columns
		if !strings.Contains(all[place], want) {
			t.Errorf("%s: got %s, want %s in it", place, all[place], want)
		}
	}

	// One object takes no more than a quarter; the first of a log needs no more than a block.
	const most = 4 * logs.BlockSize
	few := recordsBehind(t, folder, most, "plain.jsonl:40000", "packed.jsonl.gz:1", "secret.jsonl:1")
	if got, want := few["plain.jsonl:40000"], "missing: finding it takes more reading than record_bytes allows"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for place, want := range map[string]string{"packed.jsonl.gz:1": lines[0], "secret.jsonl:1": all["secret.jsonl:1"]} {
		if few[place] != want {
			t.Errorf("%s: got %s, want %s", place, few[place], want)
		}
	}

	var places []string
	for i := range rereadObjects {
		places = append(places, fmt.Sprintf("n%02d.jsonl:1", i))
	}
	many := recordsBehind(t, folder, 1<<30, append(places, "plain.jsonl:1")...)
	if got, want := many["plain.jsonl:1"], fmt.Sprintf("missing: a run reads only %d logs again", rereadObjects); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := many[places[rereadObjects-1]], line(rereadObjects-1); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// If this fails, a run that is interrupted reads on.
func TestRecordsBehindInterrupted(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "a.jsonl"), []byte(`{"time":"2026-03-20T10:00:00Z","user":"u","url_host":"a.example"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p := &program{ctx: ctx}
	sources, err := p.find(&inputFlags{}, []string{folder})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	f := detect.Finding{Severity: detect.High}
	f.Summary.Evidence = filepath.Join(folder, "a.jsonl:1")
	if _, err := p.recordsBehind(defaults(), []detect.Finding{f}, objectsOf(sources)); err == nil {
		t.Error("no error")
	}
}
