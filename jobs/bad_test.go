package jobs

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// parquetLog is a cloud log as Parquet.
func parquetLog(t *testing.T, rows int) []byte {
	t.Helper()
	type event struct {
		Time     string `parquet:"time"`
		User     string `parquet:"user"`
		BytesOut int64  `parquet:"bytes_out"`
		BytesIn  int64  `parquet:"bytes_in"`
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[event](&b)
	for range rows {
		if _, err := w.Write([]event{{"2026-03-01T10:00:00Z", "ann", 5, 5}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// If this fails, a damaged log stops a run, costs the logs beside it, or is left out
// without a message.
func TestBadInput(t *testing.T) {
	good := uploads("2026-03-01T10:00 ann 5", "2026-03-01T11:00 ann 6", "2026-03-02T10:00 bob 7")
	whole := gzipped(t, bytes.Repeat(good[bytes.IndexByte(good, '\n')+1:], 50000))
	whole = append(gzipped(t, good[:bytes.IndexByte(good, '\n')+1]), whole...)
	table := parquetLog(t, 20000)
	for _, c := range []struct {
		name, file string
		body       []byte
		args       []string
		says       []string // of the one line on stderr
		strict     int      // exit code with --strict
	}{
		{name: "gzip cut off", file: "bad.csv.gz", body: whole[:len(whole)/2],
			says: []string{"gzip stream ends early at byte", "records were read"}, strict: exitPartial},
		{name: "Parquet cut in half", file: "bad.parquet", body: table[:len(table)/2],
			says: []string{"parquet"}, strict: exitPartial},
		{name: "line of 64 MiB", file: "bad.csv", body: bytes.Replace(good, []byte("bob"), bytes.Repeat([]byte("b"), 64<<20), 1),
			says: []string{"skipped 1 of ", "first at record 4"}, strict: exitOK},
		{name: "NUL bytes", file: "bad.csv", body: bytes.Replace(good, []byte("2026-03-02"), make([]byte, 1000), 1),
			says: []string{"skipped 1 of 4 records", "first at record 4"}, strict: exitOK},
		{name: "nothing but NUL bytes", file: "bad.csv", body: make([]byte, 100000),
			says: []string{"is empty"}, strict: exitOK},
		{name: "prose", file: "bad.txt", body: []byte("Dear all,\nthis is a letter.\n"),
			says: []string{"unrecognised format", "--format"}, strict: exitPartial},
		{name: "no column for time", file: "bad.csv", body: bytes.Replace(good, []byte("time"), []byte("colour"), 1),
			args: []string{"--format", "csv"},
			says: []string{"no column for time: has", "colour", "mapping.columns.time"}, strict: exitPartial},
		{name: "mapping of a column that is not there", file: "bad.csv", body: bytes.Replace(good, []byte("bytes_out"), []byte("volume"), 1),
			args: []string{"--mapping", "mapping.yaml"},
			says: []string{`mapping.columns.bytes_out: no column "bytes_out": has`, "volume"}, strict: exitPartial},
		{name: "empty file", file: "bad.csv", says: []string{"is empty"}, strict: exitOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, datedURI)
			s.write("in/a.csv", good)
			s.write("in/"+c.file, c.body)
			s.write("in/z.csv", bytes.ReplaceAll(good, []byte("2026-03-01T1"), []byte("2026-03-01T0")))
			s.write("mapping.yaml", []byte("columns: {bytes_out: bytes_out}\n"))
			args := append([]string{"scan", "-v", "--reports", "csv", "in"}, c.args...)
			code, _, stderr := invoke(t, s.dir, args...)
			if code != exitOK {
				t.Errorf("exit %d, want 0: %s", code, stderr)
			}
			if strings.Count(stderr, "\n") != 1 || len(stderr) > 1000 {
				t.Errorf("got %d lines and %d bytes on stderr, want one line:\n%.2000s", strings.Count(stderr, "\n"), len(stderr), stderr)
			}
			if n := strings.Count(stderr, c.file); n != 1 {
				t.Errorf("stderr names the file %d times, want 1: %s", n, stderr)
			}
			for _, want := range c.says {
				if !strings.Contains(stderr, want) {
					t.Errorf("stderr does not say %q: %s", want, stderr)
				}
			}
			for _, in := range readCSV(t, filepath.Join(s.dir, "out/inputs.csv")) {
				if !strings.HasSuffix(in["name"], c.file) && in["rows"] != "3" {
					t.Errorf("%s, which is sound: got %s rows, want 3", in["name"], in["rows"])
				}
			}
			days := readCSV(t, filepath.Join(s.dir, "out/user_day.csv"))
			if len(days) == 0 {
				t.Error("the good logs are not judged")
			}
			if code, _, stderr := invoke(t, s.dir, append(args, "--strict")...); code != c.strict {
				t.Errorf("with --strict: exit %d, want %d: %s", code, c.strict, stderr)
			}
		})
	}
}

// If this fails, a scheduler takes one outcome for another.
func TestExitCodes(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(20)
	s.write("logs/2026-03-20/late.csv", uploads("2026-03-20T22:00 ann 9000000000"))
	s.write("cut/a.csv.gz", gzipped(t, uploads("2026-03-20T22:00 ann 9"))[:30])
	s.write("unknown.yaml", []byte("inptus: []\n"))
	s.write("file", []byte("not a folder"))
	if err := os.Mkdir(filepath.Join(s.dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	night := []string{"run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-20"}
	for _, c := range []struct {
		code int
		args []string
		says string // on stderr
	}{
		{exitOK, night, ""},
		{exitOK, []string{"scan", "logs"}, ""},
		{exitOK, []string{"scan", "empty"}, "no logs found"},
		{exitOK, []string{"scan", "logs", "logs/*.none"}, "logs/*.none: matches nothing"},
		{exitOK, []string{"scan", "-v", "cut"}, "ends early"},
		{exitConfig, []string{"scan"}, "want outflow scan PATH"},
		{exitConfig, []string{"scan", "logs", "--no-such"}, "unknown flag"},
		{exitConfig, []string{"no-such"}, "unknown command"},
		{exitConfig, []string{"nightly", "--config", "outflow.yaml"}, "did you mean outflow run nightly?"},
		{exitConfig, []string{"run", "nightly", "--day", "2026-03-20", "--at", "2026-03-20T02:00:00Z"}, "--day and --at exclude each other"},
		{exitConfig, []string{"run", "nightly", "--from", "2026-03-20"}, "--from needs --to"},
		{exitConfig, []string{"state", "verify", "now"}, `takes no argument, and "now" is one`},
		{exitConfig, []string{"top", "logs", "--n", "x"}, "want a number"},
		{exitConfig, []string{"scan", "nowhere"}, "no such file or folder"},
		{exitConfig, []string{"run", "nightly"}, "no inputs"},
		{exitConfig, []string{"run", "nightly", "--day", ""}, "--day is empty"},
		{exitConfig, []string{"run", "hourly-dns", "--at", ""}, "--at is empty"},
		{exitConfig, []string{"run", "nightly", "--config", "unknown.yaml"}, `unknown field "inptus"`},
		{exitConfig, append(night, "--fail-on", "dreadful"), "fail_on"},
		{exitConfig, append(night, "--out", "file"), "write the report to file"},
		{exitConfig, append(night, "--state", "file"), "open the state: list file"},
		{exitConfig, []string{"scan", "logs", "--out", "file/below"}, "write the report to file/below"},
		{exitPartial, []string{"scan", "cut", "--strict"}, "INCOMPLETE: 1 of 1 object was not read (1 unreadable)"},
		{exitNoInput, []string{"scan", "empty", "--require-input"}, "no input was found"},
		{exitNoInput, []string{"run", "nightly", "--config", "outflow.yaml", "--day", "2026-07-01", "--require-input"}, "no input was found"},
		{exitFindings, append(night, "--fail-on", "low"), "1 finding of severity low"},
		{exitOK, append(night, "--fail-on", "critical"), ""},
	} {
		code, _, stderr := invoke(t, s.dir, c.args...)
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("outflow %s: exit %d, want %d with %q on stderr: %s", strings.Join(c.args, " "), code, c.code, c.says, stderr)
		}
		if strings.Contains(stderr, "panic") || strings.Contains(stderr, "goroutine") {
			t.Errorf("outflow %s: %s", strings.Join(c.args, " "), stderr)
		}
	}
}

// cancelling ends its context when something is written to it.
type cancelling struct {
	bytes.Buffer
	when   string
	cancel func()
}

func (c *cancelling) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(c.when)) {
		c.cancel()
	}
	return c.Buffer.Write(p)
}

// If this fails, a run that is told to stop goes on, says more than a line, or
// leaves a day that looks finished.
func TestInterrupted(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(20)
	t.Chdir(s.dir)
	ctx, cancel := context.WithCancel(t.Context())
	stderr := &cancelling{when: "days of history", cancel: cancel}
	var stdout bytes.Buffer
	p := &program{stdout: &stdout, stderr: stderr, ctx: ctx, now: time.Now, limit: noLimit, collect: noCollect, env: func(string) (string, bool) { return "", false }}
	if code := p.run([]string{"run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-20"}); code != exitEnvironment {
		t.Errorf("exit %d, want %d", code, exitEnvironment)
	}
	lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[1], "interrupted") {
		t.Errorf("got on stderr\n%s\nwant the line before the interruption and one that says so", stderr)
	}
	if done, _ := filepath.Glob(filepath.Join(s.dir, "state/v2/*/*/_done.json")); len(done) > 0 || stdout.Len() > 0 {
		t.Errorf("left %v and on stdout %q, want nothing", done, &stdout)
	}
	s.run(20) // and the next run is not in its way
}

// If this fails, a log file is full of control characters, or stdout has more than
// results when it is piped.
func TestProgressAndColour(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(20)
	s.write("logs/2026-03-20/late.csv", uploads("2026-03-20T22:00 ann 9000000000"))
	t.Chdir(s.dir)
	run := func(tty, colour bool) (string, string) {
		var stdout, stderr bytes.Buffer
		p := &program{stdout: &stdout, stderr: &stderr, ctx: t.Context(), now: time.Now, limit: noLimit, collect: noCollect, terminal: terminal{tty: tty, colour: colour},
			env: func(string) (string, bool) { return "", false }}
		if code := p.run([]string{"scan", "logs"}); code != exitOK {
			t.Fatalf("exit %d: %s", code, &stderr)
		}
		return stdout.String(), stderr.String()
	}
	stdout, stderr := run(false, false)
	if stderr != "" || strings.ContainsAny(stdout, "\x1b\r") || !strings.Contains(stdout, "ann") {
		t.Errorf("without a terminal: got %q on stderr and on stdout\n%q", stderr, stdout)
	}
	onTerminal, stderr := run(true, false)
	if !strings.Contains(stderr, "scan") || !strings.Contains(stderr, "\r") {
		t.Errorf("on a terminal: got no bar on stderr: %q", stderr)
	}
	if onTerminal != stdout {
		t.Errorf("the bar shows on stdout:\n%q", onTerminal)
	}
	if coloured, _ := run(false, true); !strings.Contains(coloured, "\x1b[") {
		t.Error("with colour: got none")
	}
}

// A fullDisk is a disk without room.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// If this fails, a script goes on with a half of what outflow printed.
func TestLostOutput(t *testing.T) {
	for _, args := range [][]string{{"explain", "beacon"}, {"list", "detections"}, {"version"}, {"state", "ls", "--state", t.TempDir()}, {"config", "show"}} {
		var stderr bytes.Buffer
		p := &program{stdout: &pipe{to: fullDisk{}}, stderr: &stderr, ctx: t.Context(), now: time.Now, limit: noLimit, collect: noCollect,
			env: func(string) (string, bool) { return "", false }}
		if code := p.run(args); code != exitEnvironment || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("outflow %s: exit %d, want %d and the error on stderr: %s", strings.Join(args, " "), code, exitEnvironment, &stderr)
		}
	}
}
