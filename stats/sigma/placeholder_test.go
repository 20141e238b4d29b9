package sigma

import (
	"slices"
	"testing"
)

// A name that is missed would be reported as mistyped though a rule has it.
func TestPlaceholders(t *testing.T) {
	files := []File{
		{Name: "a.yml", Text: []byte("f|expand: '50%%servers%.%zones%x%nets%'\ng: '\\%plain\\% 5 % of it'\n")},
		{Name: "b.yml", Text: []byte("f|contains: '%TEMP%'\n")},
		{Name: "c.yml", Text: []byte("f|expand: none")},
	}
	want := []string{".", "nets", "servers", "x", "zones"}
	if got := Placeholders(files); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCutPlaceholder(t *testing.T) {
	type cut struct {
		before, name, after string
		ok                  bool
	}
	for text, want := range map[string]cut{
		`a%b%c`:     {"a", "b", "c", true},
		`%b%`:       {"", "b", "", true},
		`100%%x`:    {before: `100%%x`},
		`100%`:      {before: `100%`},
		`a\%b%c`:    {before: `a%b%c`},
		`%a\%b%c%d`: {`%a%b`, "c", "d", true},
		`c:\`:       {before: `c:\`},
	} {
		before, name, after, ok := cutPlaceholder(text)
		if got := (cut{before, name, after, ok}); got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}

// Rule.Unset says which of the company's own names a rule misses: without it, the rule counts as if they were known.
func TestUnset(t *testing.T) {
	const text = `
title: Shared outside
logsource: {product: aws, service: cloudtrail}
detection:
  s: {a|expand: ['%own_accounts%', 'x%own_accounts%'], b|cidr|expand: '%production_networks%', c|re|expand: '^%own_domains%$'}
  condition: s
`
	for _, c := range []struct {
		placeholders map[string][]string
		want         []string
	}{
		{nil, []string{"own_accounts", "own_domains"}},
		{map[string][]string{"own_accounts": {"111122223333"}}, []string{"own_domains"}},
		{map[string][]string{"own_accounts": {"111122223333"}, "own_domains": {"corp.example"}}, nil},
	} {
		set, faults := Load([]File{{Name: "a.yml", Text: []byte(text)}}, Options{Placeholders: c.placeholders})
		if len(faults) > 0 {
			t.Fatal(faults[0])
		}
		if got := set.Rules[0].Unset; !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.placeholders, got, c.want)
		}
	}
}

// A regular expression with an unset name matches nothing; an empty alternative would match a field without text.
func TestUnsetExpression(t *testing.T) {
	for _, regex := range []bool{false, true} {
		var o Options
		got, err := o.expandPlain(&node{text: "^%own_domains%$"}, regex)
		if err != nil || len(got) != 0 {
			t.Errorf("regex %v: got %q, %v, want none", regex, got, err)
		}
	}
}
