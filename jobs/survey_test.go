package jobs

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// If this fails, inspect names one kind of log of an archive and hides the others, which
// scan reads.
func TestInspectOpensArchives(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "case.zip"))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for _, file := range [][2]string{
		{"README.txt", "Dear all, these are the logs.\n"},
		{"dns.log", strings.Repeat("Nov 20 10:00:00 dnsmasq[99]: query[A] www.example.com from 192.0.2.7\n", 100_000)}, // of several blocks
		{"access.log", "1795168800.000    120 192.0.2.7 TCP_MISS/200 4500 GET http://www.example.com/a ann HIER_DIRECT/198.51.100.7 text/html\n"},
	} {
		w, err := z.Create(file[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(file[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	p := &program{stdout: &stdout, stderr: &stderr, env: func(string) (string, bool) { return "", false }, now: time.Now, limit: noLimit, collect: noCollect, ctx: t.Context()}
	if code := p.run([]string{"inspect", dir}); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	for _, want := range []string{"  format   dnsmasq: ", "  format   squid: "} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("got\n%s\nwant %q in it", stdout.String(), want)
		}
	}
}
