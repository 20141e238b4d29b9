package jobs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// If this fails, what is wrong with a configuration is printed with a secret of it, or
// without its place.
func TestConfigErrorsKeepSecrets(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	for _, c := range []struct{ name, text, want string }{
		{"an unknown key", "notify:\n  - to: splunk\n    token: hunter2\n    tokn: hunter2\n    url: hunter2\n", "[4:5] unknown field \"tokn\"\n   4 |     tokn: …"},
		{"a key twice", "notify:\n  - to: splunk\n    token: hunter2\n    token: hunter2\n", `[4:5] mapping key "token" already defined`},
		{"an alias", "notify:\n  - to: splunk\n    token: *hunter2\n", "[3:13] "},
		{"no space behind the colon", "notify:\n  - {to: splunk, tokn:hunter2}\n", `unknown field "tokn`},
		{"a tab", "notify:\n  - to: splunk\n\ttoken: hunter2\n", "3:"},
		{"a quote that does not end", "notify:\n  - to: splunk\n    token: \"hunter2\n    url: hunter2\n", "3:"},
		{"a character that begins no value", "notify:\n  - to: splunk\n    token: @hunter2\n", "3:"},
		{"another kind", "notify:\n  - to: {hunter2: 1}\n    token: hunter2\n", "2:"},
		{"not indented", "notify:\n  - to: splunk\n   token: hunter2\n  x: hunter2\n", "3:"},
		{"of a threshold", "detections:\n  upload_zscore:\n    threshold: [hunter2]\n", "3:"},
		{"a number", "workers: hunter2\n", "[1:10] want a whole number, not a text"},
		{"a text for a list", "own: hunter2\n", "want a list, as in [a, b], not a text"},
		{"a text for true", "strict: hunter2\n", "want true or false, not a text"},
		{"a number for a time", "wait: 10\n", "want a time like 90s or 10m, not a number"},
		{"a size", "memory: hunter2\n", "memory: bytes \"…\": want a number with an optional unit"},
		{"a list for a size", "late_bytes: [hunter2]\n", "late_bytes: bytes \"…\": want a number"},
		{"a time", "workers: 2\nwait: hunter2\n", "wait: \"…\": want a time like 90s or 10m"},
		{"a size of a detection", "detections:\n  upload_zscore:\n    floor: hunter2\n", "upload_zscore.floor: bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "outflow.yaml")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := loadConfig(file, none, nil)
			if err == nil {
				t.Fatal("got no error")
			}
			if got := err.Error(); strings.Contains(got, "hunter2") || !strings.Contains(got, c.want) {
				t.Errorf("got %s\nwant %q in it, and no secret", got, c.want)
			}
		})
	}
}
