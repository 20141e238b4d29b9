package jobs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// If this fails, the tables of the README and the manual are not what the program knows:
// make docs.
func TestDocsAreFresh(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(pages, "../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		made, err := generate(text)
		if err != nil {
			t.Fatal(err)
		}
		if string(made) != string(text) {
			t.Errorf("the generated tables of %s are stale: run make docs", file)
		}
	}
}

// If this fails, a format, detection or report cannot explain itself to a user.
func TestCataloguesAreWhole(t *testing.T) {
	for _, what := range catalogues {
		list, err := catalogueOf(what)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range list.rows {
			for i, cell := range row {
				if cell == "" && list.columns[i] != "cannot fill" && list.columns[i] != "default" {
					t.Errorf("list %s: %s has no %s", what, row[0], list.columns[i])
				}
			}
		}
	}
}

// If this fails, a list on a terminal is wrapped in the middle of words, or loses some.
func TestListsWrap(t *testing.T) {
	c := &catalogue{columns: []string{"key", "meaning"}, rows: [][]string{{"floor", "days below this volume are never reported"}, {"x", "short"}}}
	for width, want := range map[int]string{
		0:  "KEY    MEANING\nfloor  days below this volume are never reported\nx      short\n",
		31: "KEY    MEANING\nfloor  days below this volume\n       are never reported\nx      short\n",
		20: "KEY    MEANING\nfloor  days below this volume are never reported\nx      short\n", // too narrow
	} {
		var out strings.Builder
		if err := c.text(&out, width); err != nil || out.String() != want {
			t.Errorf("width %d: got %q, %v, want %q", width, out.String(), err, want)
		}
	}
}
