package jobs

import (
	"fmt"
	"slices"
	"testing"
)

// If this fails, a user with two names counts as two and nobody learns why, or two
// companies are taken for one.
func TestNamesakes(t *testing.T) {
	many := func(domain string, names ...string) (out []string) {
		for _, name := range names {
			out = append(out, name+domain)
		}
		return out
	}
	for _, c := range []struct {
		name  string
		users []string
		want  []string
	}{
		{"a domain of Windows", append(many("@corp.example", "ann", "bob", "cem"), `CORP\ann`, `CORP\bob`), []string{"corp.example corp 2/2"}},
		{"a tenant", append(many("@corp.example", "ann", "bob", "cem"), many("@corp.onmicrosoft.com", "ann", "bob", "cem")...), []string{"corp.example corp.onmicrosoft.com 3/3"}},
		{"a tenant of one's own", append(many("@corp.example", "ann", "bob", "cem"), "ann@photos.onmicrosoft.com"), nil},
		{"both", slices.Concat(many("@corp.example", "ann", "bob", "cem"), many("@corp.onmicrosoft.com", "ann", "bob", "cem"), []string{`corp\ann`, `corp\bob`}),
			[]string{"corp.example corp.onmicrosoft.com 3/3", "corp.example corp 2/2"}},
		{"a partner", append(many("@corp.example", "ann", "bob", "cem"), many("@partner.example", "ann", "gil", "hal")...), nil},
		{"a domain of one's own", append(many("@corp.example", "ann", "bob", "cem"), many("@ann-and-bob.example", "ann", "bob")...), nil},
		{"a second domain", append(many("@corp.example", "ann", "bob", "cem", "dee"), many("@corp.test", "ann", "bob", "cem")...), []string{"corp.example corp.test 3/3"}},
		{"text that would be a line of the configuration", append(many("@corp.example", "ann", "bob"), "x\n\"disable\":[\"beacon\"]\n#\\ann", "y\u202e\\bob", "z\x1b[31m\\bob"), nil},
		{"names that all companies have", append(many("@corp.example", "ann", "admin", "info"), many("@partner.example", "admin", "info")...), nil},
		{"guests, free mail and machines", append(many("@corp.example", "ann", "ws-1$"), "ann@gmail.com", `CORP\WS-1$`, "ann_partner.example#EXT#@corp.onmicrosoft.com"), nil},
		{"one domain", many("@corp.example", "ann", "bob"), nil},
	} {
		var n, all namesakes
		for _, user := range c.users {
			n.add(user)
		}
		all.addAll(&n)
		var got []string
		for _, g := range all.guesses() {
			got = append(got, fmt.Sprintf("%s %s %d/%d", g.domain, g.alias, g.shared, g.of))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
