package jobs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// If this fails, uploads to the company's own places are findings, or those to others are none.
func TestOwn(t *testing.T) {
	load := func(text string) (*Config, error) {
		file := filepath.Join(t.TempDir(), "outflow.yaml")
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return loadConfig(file, func(string) (string, bool) { return "", false }, nil)
	}
	c, err := load("own: ['*.corp.example', partner.example., 203.0.113.0/24, '2001:db8::/32', 198.51.100.7, corp-backup, ' CDN.example ']\n")
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"corp.example": true, "files.corp.example": true, "notcorp.example": false,
		"partner.example": true, "203.0.113.9": true, "203.0.114.9": false, "2001:db8::5": true, "2001:db9::5": false,
		"198.51.100.7": true, "198.51.100.8": false, "corp-backup.s3.amazonaws.com": true, "corp-backup2.s3.amazonaws.com": false,
		"a.cdn.example": true, "": false,
	} {
		if got := c.own(host); got != want {
			t.Errorf("%q: got %v, want %v", host, got, want)
		}
	}
	// An empty file, one with comments alone and one of an editor that writes a mark are read.
	for _, text := range []string{"", "# nothing yet\n", "\ufeffown: [a.example]\n"} {
		if c, err := load(text); err != nil || c.Out != "out" {
			t.Errorf("%q: got %v", text, err)
		}
	}
	for _, bad := range []string{"https://x.example", "s3://b", "x.example/path", "a*.example", "a@x.example", `'\\srv\share'`, "''", "'*.'"} {
		if _, err := load("own: [" + bad + "]\n"); err == nil || !strings.Contains(err.Error(), "matches no destination") {
			t.Errorf("%s: got %v, want an error", bad, err)
		}
	}
}
