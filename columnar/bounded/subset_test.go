package bounded

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"
)

// printed writes a tree with all that its readers use: kinds, values and places.
func printed(b *strings.Builder, n ast.Node, depth int) {
	fmt.Fprintf(b, "%*s", 2*depth, "")
	if n == nil {
		b.WriteString("nothing\n")
		return
	}
	at := n.GetToken().Position
	fmt.Fprintf(b, "%d:%d %v ", at.Line, at.Column, n.Type())
	var inner []ast.Node
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			inner = append(inner, v)
		}
	case *ast.MappingValueNode:
		inner = []ast.Node{n.Key, n.Value}
	case *ast.SequenceNode:
		inner = n.Values
	case *ast.LiteralNode:
		fmt.Fprintf(b, "%q", n.Value.Value)
	case *ast.AnchorNode:
		inner = []ast.Node{n.Name, n.Value}
	case *ast.AliasNode:
		inner = []ast.Node{n.Value}
	case ast.ScalarNode:
		fmt.Fprintf(b, "%v %q %T %[3]v", n.GetToken().Type, n.GetToken().Value, n.GetValue())
	}
	b.WriteByte('\n')
	for _, n := range inner {
		printed(b, n, depth+1)
	}
}

func printedFile(f *ast.File) string {
	var b strings.Builder
	for _, doc := range f.Docs {
		b.WriteString("---\n")
		printed(&b, doc.Body, 0)
	}
	return b.String()
}

var column = regexp.MustCompile(`^( *\d+):\d+`)

// differs returns how the tree that the subset makes of a text differs from the parser's, ""
// if it does not. ok is false if the subset leaves the text to the parser. Columns of lines count only if
// columns is set.
func differs(text string, columns bool) (diff string, ok bool) {
	ours, ok := limits.parseSubset(text)
	if !ok {
		return "", false
	}
	theirs, err := limits.Parse([]byte(text))
	if err != nil {
		return fmt.Sprintf("the parser says %v", err), true
	}
	got, want := strings.Split(printedFile(ours), "\n"), strings.Split(printedFile(theirs), "\n")
	told := func(line string) string {
		if columns {
			return line
		}
		return column.ReplaceAllString(line, "$1")
	}
	for i := range min(len(got), len(want)) {
		if told(got[i]) != told(want[i]) {
			return fmt.Sprintf("got  %s\nwant %s", got[i], want[i]), true
		}
	}
	if len(got) != len(want) {
		return fmt.Sprintf("got %d values, want %d", len(got), len(want)), true
	}
	return "", true
}

// If this fails, a file of ours is read as something else than its YAML says, or it uses more of
// YAML than parseSubset knows and costs each start half a millisecond.
func TestOwnFiles(t *testing.T) {
	files := 0
	for _, glob := range []string{"../../stats/sigma/rules/*.yml", "../../stats/sigma/rules/seed/*.yml", "../logs/sources/*.yaml"} {
		names, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		files += len(names)
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if diff, ok := differs(string(text), true); !ok || diff != "" {
				t.Errorf("%s: %v: %s", name, ok, diff)
			}
		}
	}
	if files < 300 {
		t.Errorf("only %d files are there", files)
	}
}

// What our files might have tomorrow is read as YAML means it, or left to the parser.
func TestSubset(t *testing.T) {
	for _, text := range []string{
		"a: b\n", "a:\n  b: c\n  d:\n    - e\n    - f: g\n      h: i\n", "- a\n- b: c\n", "- - a\n  - b\n- c\n",
		"a: 'it''s'\nb: \"a \\\\ \\\"b\\\"\"\n\"c\": d\n'e f': g\n", "a: 'x: y # z'\n",
		"a: b # comment\n# another\n\nc:  # of a map\n  # inside\n  d: e\n", "# first\na: b#c\n",
		"a: |\n  one\n    two\n\n\n  # three\n\nb: c\n", "a:\n  - |\n    x\n  - y\n", "a: |\n  x\n\n", "a: |\n    deep\n",
		"a: 1\nb: -1\nc: 1.5\nd: true\ne: null\nf: ~\ng: False\nh: 1_000\ni: 1.2.3\nj: yes\nk: -x\nl: 2026-11-20\n1: m\ntrue: n\n",
		"a: [b, 'c', \"d\", 1, -, null, [e], {f: g}]\n", "a: {b: c, d: [e, f], 'g h': {}, i: []}\n", "a: [b,\n  c, # of c\n  d]\ne: {f: g,\n  h: i\n  }\n",
		"a: &x b\nc: *x\n", "a: &x &y b\n", "a: &x\n  - b\n  - c\nd:\n  e: *x\n", "a: ö: b\n", "ä: ö # ü\nb: [é, 'è', {\"ê\": ë}]\nc: |\n  … é\n  d\n", "a: \"b\\tc\"\n", "a: &x [b]\nc: &y {d: *x}\n", "a|re: &x '(b)'\nb[c].d|re: *x\n", "a: b\n---\nc: d\n", " ---\n- a\n", "a: {b:c: d}\n", "a: [b:c, d]\n", "a:\n  ---\n", "---\na: b\n", "# a\n---\n# b\na: b\n\n---\n\nc: d\n",
		"a: https://example.com/x?y#z\n", "a: b, [c] {d} e\n", "a: b: c\n", "a:\n- b\n", "a:\n  b: c\n d: e\n", "a:\nb: c\n", "- a\n b: c\n", "a: b\n  c\n",
		"a: b\n\tc: d\n", "a: >\n  b\n", "a: |-\n  b\n", "a: |2\n  b\n", "a: !!str b\n", "a: 'b\n  c'\n", "a: \"b\\n\"\n", "? a\n: b\n", "a: {b, c}\n", "a: [b: c]\n",
		"a: [b,]\n", "a: [b\n", "a: }\n", "a: %b\n", "a: @b\n", "a: 0x10\n", "a: 010\n", "a: .inf\n", "<<: a\n", "a<<: b\n", "a: b\n...\n", "a: b", "\n", "", "---\n", "a: ö\n", "a: |\n\n  b\n",
		"a: |\n  b\n      \n  c\n", "a: |\nb: c\n", "a: *\n", "a: & b\n", "a: - b\n", "a: -\n", "- -\n", "-\n", "a: b\n- c\n", "a: [b, #c\n  d]\n", "a : b\n", "a:b\n", "a: {b: c}d\n", "a: 'b' c\n",
	} {
		if diff, _ := differs(text, true); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	for _, text := range []string{"a: b\n  c\n", "a: >\n  b\n", "a: 'b\n  c'\n", "a: \"\\x41\"\n", "a: !!str b\n", "a:\nb: c\n", "? a\n: b\n", "a: \xff\n", "a: b\na: c\n",
		"a: " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "\n", stairs(40), strings.Repeat("- a\n", 10_001), "a: " + strings.Repeat("x", maxLine) + "\n"} {
		if _, ok := limits.parseSubset(text); ok {
			t.Errorf("%q is read, and not left to the parser", text)
		}
	}
}

// FuzzSubset looks for a text that the subset reads otherwise than the parser.
func FuzzSubset(f *testing.F) {
	f.Add("a: [b, {c: 'd'}]\ne:\n  - |\n    f\n  - &g h\n  - *g\n---\n- 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<10 {
			return
		}
		// The parser takes some columns for others, as that of a value below a comment that ends in
		// a blank.
		if diff, _ := differs(text, false); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	})
}
