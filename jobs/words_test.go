package jobs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// If this fails, a text says what docs/vocabulary.md rules out: its table says what to
// write instead.
func TestWords(t *testing.T) {
	page, err := os.ReadFile("../docs/vocabulary.md")
	if err != nil {
		t.Fatal(err)
	}
	banned := map[string]*regexp.Regexp{}
	_, table, _ := strings.Cut(string(page), "## Not these")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 || !strings.Contains(cells[1], "`") {
			continue
		}
		for _, phrase := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			words := strings.Join(strings.Fields(regexp.QuoteMeta(phrase[1])), `\s+`)
			banned[phrase[1]] = regexp.MustCompile(`(?i)\b` + words + `\b`)
		}
	}
	if len(banned) < 20 {
		t.Fatalf("docs/vocabulary.md: got %d phrases in the table, want at least 20", len(banned))
	}
	check := func(name string, line int, text string) {
		for phrase, pattern := range banned {
			if pattern.MatchString(text) {
				t.Errorf("%s:%d: %q has %q: see docs/vocabulary.md", strings.TrimPrefix(name, "../"), line, around(text, pattern), phrase)
			}
		}
	}
	err = filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); name != ".." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "data" || base == "bench" || base == "bin" || base == "out" || base == "state") {
				return fs.SkipDir
			}
			return nil
		}
		base := filepath.Base(name)
		switch ext := filepath.Ext(name); {
		case ext == ".go" && !strings.HasSuffix(name, "_test.go"):
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if text, err := strconv.Unquote(lit.Value); err == nil {
						check(name, files.Position(lit.Pos()).Line, text)
					}
				}
				return true
			})
		case ext == ".yml" || ext == ".yaml" || ext == ".html" || ext == ".tmpl" || ext == ".js" || ext == ".md" && base != "vocabulary.md" && base != "DECISIONS.md" && base != "CHANGELOG.md":
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			check(name, 1, string(text))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// around returns the text around the first match of a pattern.
func around(text string, pattern *regexp.Regexp) string {
	at := pattern.FindStringIndex(text)
	from, to := max(0, at[0]-30), min(len(text), at[1]+30)
	return strings.ToValidUTF8(text[from:to], "")
}
