package jobs

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"
)

// If this fails, a collector of logs cannot read what a run says, or a file name writes
// lines of its own into it.
func TestLogFormat(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(20)
	s.write("logs/2026-03-20/a\n{\"level\":\"INFO\"}\x1b[2J.csv.gz", []byte("\x1f\x8b this is no gzip"))
	t.Chdir(s.dir)
	at := time.Date(2026, 3, 21, 1, 30, 0, 0, time.UTC)
	run := func(env map[string]string, args ...string) (int, string) {
		var stdout, stderr bytes.Buffer
		p := &program{stdout: &stdout, stderr: &stderr, ctx: t.Context(), now: func() time.Time { return at }, limit: noLimit, collect: noCollect,
			terminal: terminal{tty: true}, env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
		code := p.run(append([]string{"run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-20"}, args...))
		if code != exitOK && code != exitPartial && stdout.Len() > 0 {
			t.Errorf("%v: on stdout %q", args, &stdout)
		}
		return code, stderr.String()
	}
	code, stderr := run(nil, "--log-format", "json", "--strict", "-v")
	if code != exitPartial {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	levels := map[string]string{}
	for line := range strings.Lines(stderr) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		if v["time"] != "2026-03-21T01:30:00Z" {
			t.Errorf("got the time %v: %q", v["time"], line)
		}
		text, _ := v["msg"].(string)
		if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
			t.Errorf("%q holds what is not printable", text)
		}
		level, _ := v["level"].(string)
		levels[level] += text + "|"
		if level == "ERROR" && v["exit_code"] != float64(exitPartial) || text == "run ended" && (v["exit_code"] != float64(exitPartial) || v["job"] != "nightly") {
			t.Errorf("got %q", line)
		}
	}
	for level, want := range map[string]string{"ERROR": "INCOMPLETE: 1 of", "WARN": `a\n{"level":"INFO"}\x1b[2J.csv.gz`, "INFO": "run ended"} {
		if !strings.Contains(levels[level], want) {
			t.Errorf("no %s with %q in\n%s", level, want, stderr)
		}
	}

	if code, stderr := run(map[string]string{"OUTFLOW_LOG_FORMAT": "json"}, "--quiet"); code != exitOK || !strings.HasPrefix(stderr, `{"time":`) || strings.Contains(stderr, "run ended") {
		t.Errorf("exit %d, quiet: got %s", code, stderr)
	}
	if code, stderr := run(map[string]string{"OUTFLOW_LOG_FORMAT": "json"}, "--log-format", "text"); code != exitOK || strings.Contains(stderr, `"time"`) {
		t.Errorf("exit %d, the flag is weaker than the variable: %s", code, stderr)
	}
	if code, stderr := run(nil, "--log-format", "yaml"); code != exitConfig || !strings.Contains(stderr, `outflow: --log-format "yaml": want text or json`) {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// If this fails, nobody sees in the log of a container how far a long run is.
func TestProgressWithoutTerminal(t *testing.T) {
	for format, want := range map[string]string{"text": "outflow: fold: 3 of 7 MB read\n", "json": `"msg":"fold: 3 of 7 MB read","read_bytes":3000000,"total_bytes":7000000}` + "\n"} {
		var stderr lineWriter
		stderr.lines = make(chan string)
		p := &program{stderr: stderr, ctx: t.Context(), now: time.Now, global: global{logFormat: format}, terminal: terminal{tty: format == "json"}, hooks: hooks{interval: time.Millisecond}}
		var read atomic.Int64
		read.Store(3e6)
		stop := p.watch("fold", 7e6, &read)
		for range 2 {
			if got := <-stderr.lines; !strings.HasSuffix(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		go func() { // the line that may be on its way
			for range stderr.lines {
			}
		}()
		stop()
		close(stderr.lines)
	}
}

// A lineWriter passes on what is written.
type lineWriter struct{ lines chan string }

func (w lineWriter) Write(b []byte) (int, error) {
	w.lines <- string(b)
	return len(b), nil
}

// If this fails, a terminal breaks a message in the middle of a word, or a message that is
// read by a program has lines that it should not have.
func TestWrapped(t *testing.T) {
	for _, c := range []struct {
		text  string
		cells int
		want  string
	}{
		{"outflow: no file matches", 0, "outflow: no file matches"},
		{"outflow: no file matches", 24, "outflow: no file matches"},
		{"outflow: no file matches", 23, "outflow: no file\n  matches"},
		{"outflow: no file matches", 12, "outflow: no\n  file\n  matches"},
		{"outflow: 日本 日本", 14, "outflow: 日本\n  日本"},
		{"outflow: /a/long/path is no log", 10, "outflow:\n  /a/long/path\n  is no\n  log"},
		{"outflow: bad value\n  3 | colour: \"a  b\"\n            ^", 12, "outflow: bad\n  value\n  3 | colour: \"a  b\"\n            ^"},
	} {
		if got := wrapped(c.text, c.cells, "  "); got != c.want {
			t.Errorf("%q in %d cells: got %q, want %q", c.text, c.cells, got, c.want)
		}
	}
}
