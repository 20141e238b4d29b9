package jobs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
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

// If this fails, a link in the README or the manual leads nowhere.
func TestLinksResolve(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^()\s]+)\)`)
	code := regexp.MustCompile("(?m)^```(?s:.*?)^```$|^    .*$|`[^`]*`")
	for _, glob := range []string{"../*.md", "../docs/*.md", "../docs/decisions/*.md", "../fixtures/*.md", "../stats/dnsmodel/*.md"} {
		pages, err := filepath.Glob(glob)
		if err != nil || len(pages) == 0 {
			t.Fatalf("%s: %d pages, %v", glob, len(pages), err)
		}
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range link.FindAllSubmatch(code.ReplaceAll(text, nil), -1) {
				if target := string(m[1]); !strings.Contains(target, "://") && !leads(page, target) {
					t.Errorf("%s: the link to %s leads nowhere", page, target)
				}
			}
		}
	}
}

// leads reports whether a relative link of a page leads to a file, and to a heading of
// it if the link names one.
func leads(page, target string) bool {
	name, heading, _ := strings.Cut(target, "#")
	file := page
	if name != "" {
		file = filepath.Join(filepath.Dir(page), name)
	}
	if _, err := os.Stat(file); err != nil || heading == "" {
		return err == nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if title := strings.TrimLeft(line, "#"); title != line && anchor(title) == heading {
			return true
		}
	}
	return false
}

// anchor returns the name that GitHub gives to a heading.
func anchor(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(title))
}

// If this fails, a library was added or dropped, and docs/dependencies.md does not say so.
func TestDependenciesAreNamed(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`\*\*([^*\s]+)\*\*`).FindAllSubmatch(page, -1) {
		named[string(m[1])] = true
	}
	direct := regexp.MustCompile(`(?m)^(?:require )?\t?([a-z0-9.]+\.[a-z]+/\S+) v\S+$`).FindAllSubmatch(mod, -1)
	if len(direct) == 0 {
		t.Fatal("go.mod requires nothing directly")
	}
	for _, m := range direct {
		name := strings.TrimPrefix(string(m[1]), "github.com/")
		if !named[name] {
			t.Errorf("go.mod requires %s: give **%s** a paragraph in docs/dependencies.md: what it saves, how it is kept, what it links", m[1], name)
		}
		delete(named, name)
	}
	for name := range named {
		t.Errorf("docs/dependencies.md: go.mod does not require %s directly: remove its paragraph, or the bold type", name)
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
	c = &catalogue{columns: []string{"key", "title", "meaning"}, rows: [][]string{{"floor", "a title of some length", "days below this"}, {"x", "", "short"}}}
	want := "floor\n  title    a title of some\n           length\n  meaning  days below this\nx\n  meaning  short\n"
	var out strings.Builder
	if err := c.text(&out, 28); err != nil || out.String() != want { // the columns leave nothing to the last
		t.Errorf("got %q, %v, want %q", out.String(), err, want)
	}
}
