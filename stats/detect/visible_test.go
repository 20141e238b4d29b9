package detect

import (
	"strings"
	"testing"
)

// If this fails, two names that look alike are two people's, or a name hides or reorders
// what stands beside it.
func TestVisible(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`CORP\ann`, `CORP\ann`},
		{"Zoë 日本 Łukasz", "Zoë 日本 Łukasz"},
		{"Nguye\u0302\u0303n", "Nguye\u0302\u0303n"}, // decomposed: two marks
		{"ที่นี่", "ที่นี่"},
		{"ann\u3164", `ann\u3164`},             // a letter of Hangul without a shape
		{"an\u034fn\uffa0", `an\u034fn\uffa0`}, // and others
		{"ann\ufe0f\U000E0101", `ann\ufe0f\U000e0101`},
		{"\u2800ann\u00a0", `\u2800ann\u00a0`},
		{"a\u200bn\u202en\u00ad", `a\u200bn\u202en\u00ad`},
		{"\x1b[31mann\r\n", `\x1b[31mann\r\n`},
		{"\u0301ann", `\u0301ann`}, // the mark would stand on what is before the name
		{"a" + strings.Repeat("\u0336", 5) + "nn", "a\u0336\u0336\u0336" + `\u0336\u0336` + "nn"},
		{"a\xffn", "a\uFFFDn"},
	} {
		if got := Visible(c.text); got != c.want {
			t.Errorf("%+q: got %q, want %q", c.text, got, c.want)
		}
	}
	if got, want := printable(strings.Repeat("a", 79)+"\u3164bc"), strings.Repeat("a", 79)+`\u3164…`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
