package sigma

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"
)

// If this fails, the search for an expression uses a text that a match need not
// have, or a poor text although there is a better one.
func TestRequired(t *testing.T) {
	for _, c := range []struct{ re, want string }{
		{`azcopy|aws|gsutil`, "[aws azcopy gsutil]"},
		{`\b(?i:7Z|7za|rar)(\.exe)?\s+a\s`, "[7z 7za rar]"},
		{`\s(copy|copyto|sync)\s`, "[copy copyto sync]"},
		{`(mega-)?(put|sync)\s`, "[put sync]"},
		{`a[bc]d+--create`, "[--create]"},
		{`(foo|)bar`, "[bar foobar]"},
		{`(foo|b*)x`, "[x]"},
		{`(foo)?`, "[]"},
		{`-[a-z]*[TF]`, "[-]"},
		{`x{2}(ay|bz){2}`, "[xxayay xxaybz xxbzay xxbzbz]"},
	} {
		if got := fmt.Sprint(required(c.re)); got != c.want {
			t.Errorf("required(%s): got %s, want %s", c.re, got, c.want)
		}
	}
}

// If this fails, a text that matches a made-up expression has none of its required
// texts.
func TestRequiredIsThere(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var expression func(depth int) string
	expression = func(depth int) string {
		if depth == 0 {
			return []string{"a", "b", "ab", "Ba", "[ab]", ".", "", `\b`}[r.IntN(8)]
		}
		a, b := expression(depth-1), expression(depth-1)
		return []string{a + b, "(" + a + "|" + b + ")", "(?:" + a + ")?" + b, "(" + a + ")+" + b, "(?i:" + a + ")" + b, "(?:" + a + "){2}" + b, a + "(?:" + b + ")*"}[r.IntN(7)]
	}
	matched := 0
	for range 20_000 {
		text := expression(3)
		re, err := regexp.Compile(text)
		if err != nil {
			if _, ok := err.(*syntax.Error); ok {
				continue
			}
			t.Fatal(err)
		}
		texts := required(re.String())
		for range 5 {
			var in []byte
			for range r.IntN(8) {
				in = append(in, "abABc "[r.IntN(6)])
			}
			if len(texts) == 0 || !re.Match(in) {
				continue
			}
			matched++
			folded, found := foldText(string(in)), false
			for _, s := range texts {
				found = found || strings.Contains(folded, s)
			}
			if !found {
				t.Fatalf("%s matches %q, which has none of %q", text, in, texts)
			}
		}
	}
	if matched < 1000 {
		t.Errorf("only %d matches were looked at", matched)
	}
}
