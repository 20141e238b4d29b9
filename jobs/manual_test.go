package jobs

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// If this fails, a command of the README or the manual does not do what its page says.
func TestManual(t *testing.T) {
	data := fixtures(t)
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(page), func(t *testing.T) {
			commands := manualCommands(string(text))
			if len(commands) == 0 {
				t.Skip("no commands")
			}
			manualWorld(t, data)
			if !strings.Contains(string(text), "> outflow.yaml") && !strings.Contains(string(text), "config init") {
				config := "inputs: [{name: cloudtrail, uri: s3://company-logs/, layout: cloudtrail}]\n"
				if err := os.WriteFile("outflow.yaml", []byte(config), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range commands {
				c.run(t)
			}
		})
	}
}

// A manualCommand is a line of a page that begins with outflow, and what the page says
// that it prints.
type manualCommand struct {
	line   string
	output []string // nil: the page does not say; a line … stands for any number of lines
}

// manualCommands returns the commands of the code blocks of a page, in order.
func manualCommands(page string) []manualCommand {
	var out []manualCommand
	fenced, session := false, false
	for line := range strings.Lines(page) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "```") {
			fenced, session = !fenced, false
			continue
		}
		text, prompt := strings.CutPrefix(line, "$ ")
		switch {
		case fenced && prompt:
			session = true
			out = append(out, manualCommand{line: text, output: []string{}})
		case session:
			out[len(out)-1].output = append(out[len(out)-1].output, line)
		case !fenced && strings.HasPrefix(line, "    "):
			if text := strings.TrimSpace(line); strings.HasPrefix(text, "outflow ") {
				text, _, _ = strings.Cut(text, "  #")
				out = append(out, manualCommand{line: strings.TrimSpace(text)})
			}
		}
	}
	return out
}

// manualWorld makes the folders, files and buckets that the pages speak of, and makes
// them the working directory.
func manualWorld(t *testing.T, data string) {
	t.Helper()
	read := func(name string) []byte {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	squid := read(data + "/data/proxy/access.log-20261120.gz")
	dir := t.TempDir()
	files := map[string][]byte{
		"case-4711/logs/access.log.gz": squid,
		"proxy.log.gz":                 squid,
		"some.log":                     []byte("time,user,sent_bytes,url\n2026-11-20T10:00:00Z,ann,120,https://example.com/x\n2026-11-20T10:00:07Z,ben,99,https://example.org/y\n"),
	}
	for _, f := range txtar.Parse(read("../fixtures/scripts/rules.txtar")).Files {
		if strings.HasPrefix(f.Name, "rules/") {
			files[f.Name] = f.Data
		}
	}
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(data, filepath.Join(dir, "fixtures")); err != nil {
		t.Fatal(err)
	}
	server := newS3Server(t)
	for _, bucket := range []string{"company-logs", "security"} {
		if err := server.backend.CreateBucket(bucket); err != nil {
			t.Fatal(err)
		}
	}
	put := func(key string, body []byte) {
		if _, err := server.backend.PutObject("company-logs", key, nil, bytes.NewReader(body), int64(len(body)), nil); err != nil {
			t.Fatal(err)
		}
	}
	put("squid/access.log-20261120.gz", squid)
	trails := os.DirFS(filepath.Join(data, "data/aws"))
	err := fs.WalkDir(trails, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			put(name, read(filepath.Join(data, "data/aws", name)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", server.url)
	t.Setenv("HOME", dir)
	t.Chdir(dir)
}

// run runs the command in the working directory, on 21 November 2026, and compares what
// it prints.
func (c manualCommand) run(t *testing.T) {
	t.Helper()
	line, file, redirected := strings.Cut(c.line, " > ")
	args := strings.Fields(line)[1:]
	for i, arg := range args {
		args[i] = strings.Trim(regexp.MustCompile(`^~`).ReplaceAllString(arg, os.Getenv("HOME")), `"`)
	}
	var stdout, stderr bytes.Buffer
	p := &program{stdout: &stdout, stderr: &stderr, env: os.LookupEnv, limit: noLimit, collect: noCollect, ctx: t.Context(), terminal: terminal{width: 100},
		now: func() time.Time { return time.Date(2026, 11, 21, 1, 30, 0, 0, time.UTC) }}
	if code := p.run(args); code != 0 {
		t.Errorf("%s: got %d: %s", c.line, code, stderr.String())
	}
	if redirected {
		if err := os.WriteFile(file, stdout.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if c.output == nil {
		return
	}
	var pattern strings.Builder
	for _, l := range c.output {
		if l == "…" {
			pattern.WriteString(`(.*\n)*?`)
		} else {
			fmt.Fprintf(&pattern, "%s *\n", regexp.QuoteMeta(l))
		}
	}
	if !regexp.MustCompile("^" + pattern.String() + "$").MatchString(stdout.String()) {
		t.Errorf("%s prints\n%s\nnot what the page says:\n%s", c.line, stdout.String(), strings.Join(c.output, "\n"))
	}
}
