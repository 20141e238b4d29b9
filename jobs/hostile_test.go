package jobs

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// If this fails, an attacker who can write a user name into a log can run code in the
// browser, spreadsheet or terminal of a reader of the findings.
func TestHostileLogs(t *testing.T) {
	users := []string{
		"<script>alert(1)</script>",
		"=cmd|' /C calc'!A0",
		"+1+1", "-1", "@SUM(A1)", "\tx",
		"\x1b[2J\x1b]0;gone\x07eve",
		"\u202egpj.exe", // right to left
		`"><img src=x onerror=alert(1)>`,
		"a\r\nfinding_uid,forged", "\u009b31m",
		"{{.Title}}", "</title><script>x</script>",
	}
	var log bytes.Buffer
	w := csv.NewWriter(&log)
	w.Write([]string{"time", "user", "bytes_out", "bytes_in", "service"})
	for _, user := range users {
		for day := 1; day <= 20; day++ {
			bytes := 1_000_000 + day%3*1000
			if day == 20 {
				bytes = 9_000_000_000
			}
			w.Write([]string{fmt.Sprintf("2026-03-%02d 10:00:00", day), user, fmt.Sprint(bytes), "1000", users[0]})
		}
	}
	w.Flush()
	s := newSite(t, datedURI)
	// The attacker may choose the name of a log, too.
	name := "in/<script>alert(2)</script>\x1b[31m.csv"
	if err := os.MkdirAll(filepath.Join(s.dir, "in"), 0o755); err != nil {
		t.Fatal(err)
	}
	name = strings.ReplaceAll(name, "/script", "script") // a slash would make a folder
	s.write(name, append(log.Bytes(), "2026-03-20 \x1b[31m,x\n"...))
	code, stdout, stderr := invoke(t, s.dir, "scan", "-v", "in")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	for _, out := range []struct{ name, text string }{{"stdout", stdout}, {"stderr", stderr}} {
		if i := strings.IndexFunc(out.text, func(r rune) bool {
			return r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e' || r == '\ufffd')
		}); i >= 0 {
			t.Errorf("%s has a control character: %q", out.name, out.text[max(0, i-40):min(len(out.text), i+40)])
		}
	}
	if stdout == "" || !strings.Contains(stderr, "skipped 1 of") {
		t.Errorf("got %q and %q, want a summary and the record that was skipped", stdout, stderr)
	}

	tables, err := filepath.Glob(filepath.Join(s.dir, "out/*.csv"))
	if err != nil || len(tables) < 5 {
		t.Fatalf("got tables %v, %v", tables, err)
	}
	for _, table := range tables {
		text, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		for _, row := range rows {
			for i, cell := range row {
				if cell != "" && strings.ContainsRune("=+@\t\r", rune(cell[0])) || strings.HasPrefix(cell, "-") && rows[0][i] == "entity" ||
					strings.ContainsAny(cell, "\x1b\r\u202e\u009b") {
					t.Errorf("%s: column %s is not guarded: %q", filepath.Base(table), rows[0][i], cell)
				}
			}
		}
	}
	if found := readCSV(t, filepath.Join(s.dir, "out/findings.csv")); len(found) < len(users) {
		t.Errorf("got %d findings, want one of each of %d users at least", len(found), len(users))
	}

	page, err := os.ReadFile(filepath.Join(s.dir, "out/report.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script>alert", "<script>x", "<img src=x", "onerror=alert(1)>", "\x1b", "\u202e", "\u009b"} {
		// Escaped text is allowed: "&lt;img src=x onerror=alert(1)&gt;".
		if i := bytes.Index(page, []byte(bad)); i >= 0 {
			t.Errorf("the page has %q raw: %q", bad, page[max(0, i-60):min(len(page), i+60)])
		}
	}
	if !bytes.Contains(page, []byte("&lt;script&gt;alert(1)")) {
		t.Error("the page does not name the user at all")
	}
}
