package jobs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// If this fails, an SQL example of the manual does not run on what outflow writes. It
// needs duckdb on the path.
func TestManualSQL(t *testing.T) {
	duckdb, err := exec.LookPath("duckdb")
	if err != nil {
		t.Skip("no duckdb")
	}
	pages := map[string]string{} // by what a row of their results has
	for want, page := range map[string]string{"x.example": "investigate.md", "ann": "state.md"} {
		text, err := os.ReadFile("../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		pages[want] = string(text)
	}
	s := newSite(t, datedURI)
	s.quiet(12)
	s.run(12)
	log := filepath.Join(s.dir, "web.jsonl")
	text := `{"time":"2026-03-05T10:00:00Z","user":"ann","url":"https://x.example/a","bytes_out":5,"bytes_in":1}` + "\n"
	if err := os.WriteFile(log, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	code, parquet, stderr := invoke(t, s.dir, "cat", log, "--as", "parquet")
	if code != exitOK {
		t.Fatal(stderr)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "proxy.parquet"), []byte(parquet), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, page := range pages {
		blocks := strings.Split(page, "```sql\n")[1:]
		if len(blocks) == 0 {
			t.Errorf("no SQL, want %s", want)
		}
		for _, block := range blocks {
			sql, _, _ := strings.Cut(block, "```")
			c := exec.Command(duckdb, "-csv", "-c", sql)
			c.Dir = s.dir
			out, err := c.CombinedOutput()
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%sgot %v\n%s\nwant a row with %s", sql, err, out, want)
			}
		}
	}
}
