package reports

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// If this fails, a browser refuses the page's own script or style, or a log's text does
// something in it. Without Chromium, there is nothing to see.
func TestChromium(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil || testing.Short() {
		t.Skip("no chromium")
	}
	var index bytes.Buffer
	if err := WriteIndex(&index, sampleIndex()); err != nil {
		t.Fatal(err)
	}
	for name, page := range map[string][]byte{
		"rich":  write(t, HTML.Files[0], sampleReport()),
		"index": index.Bytes(),
	} {
		file := filepath.Join(t.TempDir(), name+".html")
		if err := os.WriteFile(file, page, 0o666); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		c := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(),
			"--enable-logging=stderr", "--dump-dom", "file://"+file)
		var out, errs bytes.Buffer
		c.Stdout, c.Stderr = &out, &errs
		err := c.Run()
		cancel()
		if err != nil {
			t.Fatalf("%s: %v: %.500s", name, err, &errs)
		}
		for line := range strings.Lines(errs.String()) {
			if strings.Contains(line, "CONSOLE") || strings.Contains(line, "Refused") {
				t.Errorf("%s: the console says %s", name, line)
			}
		}
		// The script marks the page when it runs, and makes buttons and the filter.
		for _, want := range []string{`<html lang="en" class="js">`, `<button type="button">`} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: the script did not run: no %s", name, want)
			}
		}
		if got := strings.Contains(out.String(), `class="filter"`); got != (name != "index") {
			t.Errorf("%s: a filter: got %v, want %v", name, got, !got)
		}
	}
}
