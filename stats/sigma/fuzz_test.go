package sigma

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/tools/txtar"

	"outflow/columnar"
)

// If this fails, a rule or an event makes the engine panic or run for ever, or the
// two ways to decide a rule differ: by an index over a batch, and test by test.
func FuzzRule(f *testing.F) {
	names, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range txtar.Parse(text).Files {
			if file.Name != "errors" {
				f.Add(file.Data, "CommandLine", "Rclone copy c:\\x s3:y", "Image", "C:\\rclone.exe")
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, field1, value1, field2, value2 string) {
		set, errs := Load([]File{{Name: "x.yml", Text: text}}, Options{Placeholders: map[string][]string{"servers": {"a*", "b?c"}}})
		for _, err := range errs {
			_ = err.Error()
		}
		if _, err := ParseCases(File{Name: "x_test.yml", Text: text}); err != nil {
			_ = err.Error()
		}
		events := [][]Pair{{{field1, value1}, {field2, value2}}, {{field2, value1}}, {}}
		for i, r := range set.Rules {
			if r.Correlation != nil {
				continue
			}
			// Use fields of the rule itself, so that texts meet tests.
			for _, name := range r.reads() {
				events = append(events, []Pair{{name, value1}, {field2, value2}})
			}
			_ = set.Needs(i)
		}
		m := set.Matcher()
		set.batches(events, func(b *columnar.Batch, lacks columnar.Cols) {
			m.Lacks = lacks
			got := slices.Clone(m.Match(b))
			if want := slowly(set, b, lacks); !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v, of %q", b.Table.Name, got, want, events)
			}
			if again := m.Match(b); !slices.Equal(got, again) {
				t.Errorf("%s: got %v, and then %v", b.Table.Name, got, again)
			}
		})
	})
}

// slowly is Match without an index, triggers or memory: it tries every test of
// every rule on every row.
func slowly(set *Set, b *columnar.Batch, lacks columnar.Cols) []Match {
	planned := set.plans[b.Table.ID]
	if planned == nil {
		return nil
	}
	p := planned()
	s := newState(p)
	for i := range s.inputs {
		s.inputs[i].begin(b, &p.inputs[i], lacks)
	}
	var holds func(e *asked, row int) bool
	holds = func(e *asked, row int) bool {
		if e.op == opTest {
			return s.compute(&p.atoms[e.atom], row)
		}
		n := 0
		for i := range e.kids {
			if holds(&e.kids[i], row) {
				n++
			}
		}
		switch e.op {
		case opNot:
			return n == 0
		case opAnd:
			return n == len(e.kids)
		case opOr:
			return n > 0
		}
		return n >= e.n
	}
	var out []Match
	for row := range b.Len() {
		for _, r := range p.rules {
			if holds(&r.expr, row) {
				out = append(out, Match{int32(row), r.rule})
			}
		}
	}
	return out
}

// If this fails, a pattern matches other texts than the regular expression with the
// same meaning.
func FuzzPattern(f *testing.F) {
	for _, p := range []string{"a*b", `a\*b?`, "*x*y*", "??", `\?*`, "*é?", "-a*/b"} {
		f.Add(p, `a-b x\y é/b`, true)
		f.Add(p, "aéb?", false)
	}
	f.Fuzz(func(t *testing.T, value, text string, windash bool) {
		if !utf8.ValidString(value) || !utf8.ValidString(text) || len(value) > 100 || len(text) > 1000 {
			return
		}
		p := parsePattern(value)
		if windash {
			p = p.windash()
		}
		var re strings.Builder
		re.WriteString("(?is)^")
		for _, e := range p {
			re.WriteString([]string{regexp.QuoteMeta(e.text), ".*", ".", "[-/–—―]"}[e.kind])
		}
		want := regexp.MustCompile(re.String() + "$").MatchString(text)
		folded := p.mapText(foldText)
		if got := folded.match(foldCase(nil, []byte(text))); got != want {
			t.Errorf("%q of %q: got %v, want %v by %s", value, text, got, want, &re)
		}
		for _, e := range folded {
			if e.kind == literal && want && !strings.Contains(string(foldCase(nil, []byte(text))), e.text) {
				t.Errorf("%q matches %q without %q", value, text, e.text)
			}
		}
	})
}
