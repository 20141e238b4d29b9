//go:build unix

package jobs

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// If this fails, the job cannot read its configuration any more after an administrator has
// accepted a finding.
func TestAddAllowKeepsOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root gives files away")
	}
	name := filepath.Join(t.TempDir(), "outflow.yaml")
	if err := os.WriteFile(name, []byte("out: out\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(name, 12345, 23456); err != nil {
		t.Fatal(err)
	}
	if err := addAllow(name, []string{"- user: anna\n  reason: known\n  expires: 2099-12-31\n"}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if s := info.Sys().(*syscall.Stat_t); s.Uid != 12345 || s.Gid != 23456 || info.Mode().Perm() != 0o640 {
		t.Errorf("got owner %d:%d, mode %o, want 12345:23456, 640", s.Uid, s.Gid, info.Mode().Perm())
	}
	if text, err := os.ReadFile(name); err != nil || !strings.Contains(string(text), "user: anna") {
		t.Errorf("got %q, %v", text, err)
	}
}
