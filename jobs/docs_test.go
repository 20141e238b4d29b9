package jobs

import (
	"os"
	"testing"
)

// If this fails, the README's tables are out of date. Run make docs.
func TestREADMEIsFresh(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	made, err := generate(text)
	if err != nil {
		t.Fatal(err)
	}
	if string(made) != string(text) {
		t.Error("the generated tables of README.md are stale: run make docs")
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
