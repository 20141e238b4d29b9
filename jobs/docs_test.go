package jobs

import (
	"os"
	"testing"
)

// If this fails, the tables of the README and the manual are not what the program knows:
// make docs.
func TestDocsAreFresh(t *testing.T) {
	for _, file := range []string{"README.md", "docs/inputs.md"} {
		text, err := os.ReadFile("../" + file)
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
