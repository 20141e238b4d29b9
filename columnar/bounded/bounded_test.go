package bounded

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

var limits = Limits{Bytes: 1 << 20, Depth: 32, Values: 10_000}

// tower returns layers of ten aliases each: 10^layers values.
func tower(layers int) string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < layers; i++ {
		fmt.Fprintf(&b, "a%d: &a%[1]d [%s]\n", i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10))
	}
	return b.String()
}

// stairs returns maps in maps, each on a line.
func stairs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%*sa:\n", i, "")
	}
	return b.String() + strings.Repeat(" ", n) + "b: 1\n"
}

// If this fails, a small file of YAML takes gigabytes, minutes, or the program.
func TestHostileYAML(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"aliases of aliases":     {tower(9), "more than 10000 values"},
		"lists on a line":        {"a: " + strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000), "nested more than 32 deep"},
		"lists that never close": {"a: " + strings.Repeat("[", 5_000), "nested more than 32 deep"},
		"maps on a line":         {"a: " + strings.Repeat("{a: ", 4_000), "nested more than 32 deep"},
		"dashes":                 {"a:\n" + strings.Repeat("- ", 5_000) + "x", "nested more than 32 deep"},
		"question marks":         {strings.Repeat("? ", 5_000) + "x", "nested more than 32 deep"},
		"keys on a line":         {strings.Repeat("a: ", 5_000) + "x", "nested more than 32 deep"},
		"stairs":                 {stairs(1000), "nested more than 32 deep"},
		"anchors":                {"a: " + strings.Repeat("&a ", 5_000) + "x", "more than 1024 anchors"},
		"tags":                   {"a: " + strings.Repeat("!t ", 5_000) + "x", "tags are not allowed"},
		"large":                  {"a: " + strings.Repeat("x", 1<<20), "want at most 1048576"},
		"a long line":            {"a: " + strings.Repeat("[", 100_000), "line 1 has more than 16384 bytes"},
		"many values":            {strings.Repeat("- a\n", 10_001), "more than 10000 values"},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := limits.Parse([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.200q, want %q", fmt.Sprint(err), c.want)
			}
			// Each takes less than a second; what is not refused takes a minute.
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// If this fails, a limit refuses what is within it.
func TestSoundYAML(t *testing.T) {
	for name, text := range map[string]string{
		"empty":           "",
		"byte order mark": "\ufeffa: 1\n",
		"aliases":         tower(3),
		"stairs":          stairs(30),
		"long list":       strings.Repeat("- a: {b: [c, d]}\n  e: f\n", 500),
		"siblings":        strings.Repeat("- a:\n    b:\n      - c\n      - d: e\n        f: g\n", 100),
	} {
		if _, err := limits.Parse([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain := limits
	plain.Plain = true
	if _, err := plain.Parse([]byte("a: &x 1\nb: *x\n")); err == nil || !strings.Contains(err.Error(), "not allowed") {
		t.Errorf("an alias in a plain file: got %v, want a refusal", err)
	}
	for _, text := range []string{"a: !!binary eA==\n", "a: !!str 1\n", "- !mine {a: 1}\n", "!!map {a: 1}\n", "? !!null x\n: 1\n", "%TAG ! tag:a,2026:\n--- \na: !b 1\n"} {
		if _, err := limits.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), "not allowed") {
			t.Errorf("%s: got %v, want a refusal", text, err)
		}
	}
}

// If this fails, a regular expression costs a minute of a run, or is refused although it is small.
func TestRegexp(t *testing.T) {
	for _, expr := range []string{"a", "(a|a)*b", `\d{1,3}(\.\d{1,3}){3}`, ".{1000}"} {
		if re, err := Regexp(expr); err != nil || re.String() != expr {
			t.Errorf("%s: got %v, %v", expr, re, err)
		}
	}
	for _, expr := range []string{"(.{0,100}){10}", "(a{30}){30}{2}", strings.Repeat("ab", 1001), "((a{10}){10}){10}(b{10}){100}"} {
		if _, err := Regexp(expr); err == nil {
			t.Errorf("%.40s: got no error", expr)
		}
	}
}
