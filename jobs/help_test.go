package jobs

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// If this fails, the help of a command shows no example, or one that the command refuses.
func TestHelpHasExamples(t *testing.T) {
	p := &program{env: func(string) (string, bool) { return "", false }, limit: noLimit}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() && sub.Name() != "completion" && sub.Name() != "help" {
				visit(sub)
			}
		}
		if c.Example == "" {
			t.Errorf("%s: no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			line, _, _ = strings.Cut(line, "  #")
			line, _, _ = strings.Cut(line, " > ")
			words := strings.Fields(line)
			if len(words) == 0 || words[0] != "outflow" {
				t.Errorf("%s: example %q does not begin with outflow", c.CommandPath(), line)
				continue
			}
			found, rest, err := p.root().Find(words[1:])
			if err != nil {
				t.Errorf("%s: example %q: %v", c.CommandPath(), line, err)
				continue
			}
			if strings.ContainsAny(line, `'"`) { // the words are not what a shell would make of it
				continue
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%s: example %q: %v", c.CommandPath(), line, err)
			} else if err := found.ValidateArgs(found.Flags().Args()); err != nil {
				t.Errorf("%s: example %q: %v", c.CommandPath(), line, err)
			}
		}
	}
	visit(p.root())
}

// If this fails, a typing error is answered with nothing but that it is one.
func TestTypingErrors(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("key.yaml", "inptus: []\n")
	write("threshold.yaml", "detections:\n  upload_zscore: {treshold: 4}\n  becon: {}\n")
	write("format.yaml", "inputs: [{name: a, uri: a.log, format: suqid}]\n")
	write("ok.yaml", "inputs: []\n")
	for _, c := range []struct{ line, says string }{
		{"scna logs", "did you mean scan?"},
		{"state veryfi", "did you mean verify?"},
		{"scan --formta squid x", "did you mean --format?"},
		{"list detection", "did you mean detections?"},
		{"config validate -c key.yaml", "did you mean inputs?"},
		{"config validate -c threshold.yaml", "did you mean threshold?"},
		{"config validate -c threshold.yaml", "did you mean beacon?"},
		{"config validate -c format.yaml", "did you mean squid?"},
		{"cat --format suqid x", "did you mean squid?"},
		{"run nightyl", "did you mean nightly?"},
		{"top --by usr", "did you mean user?"},
		{"scan x --reports htm", "did you mean html?"},
	} {
		var stderr bytes.Buffer
		p := &program{stdout: &bytes.Buffer{}, stderr: &stderr, env: func(string) (string, bool) { return "", false }, limit: noLimit, collect: noCollect, now: time.Now, ctx: t.Context()}
		if code := p.run(strings.Fields(c.line)); code != exitConfig || !strings.Contains(stderr.String(), c.says) {
			t.Errorf("%s: got %d and %q, want %q", c.line, code, &stderr, c.says)
		}
	}
	var stdout, stderr bytes.Buffer
	p := &program{stdout: &stdout, stderr: &stderr, limit: noLimit, collect: noCollect, now: time.Now, ctx: t.Context(),
		env: func(string) (string, bool) { return "", false }, environ: func() []string { return []string{"OUTFLOW_STAET=x", "OUTFLOW_STATE=s", "HOME=/"} }}
	if code := p.run([]string{"config", "show", "-c", "ok.yaml"}); code != exitOK || strings.Count(stderr.String(), "\n") != 1 ||
		!strings.Contains(stderr.String(), "OUTFLOW_STAET is no setting; did you mean OUTFLOW_STATE?") {
		t.Errorf("a variable: got %d and %q", code, &stderr)
	}
	stdout.Reset()
	if code := p.run([]string{"--version"}); code != exitOK || stdout.String() != "outflow "+version()+"\n" {
		t.Errorf("--version: got %d and %q", code, &stdout)
	}
}
