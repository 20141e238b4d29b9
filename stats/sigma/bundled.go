package sigma

import (
	"embed"
	"io/fs"
)

//go:embed rules/*.yml rules/seed/*.yml
var bundled embed.FS

// ownPlaceholders holds the default values of the placeholders in the bundled
// rules. There the placeholders only narrow a rule, so the rule must find something
// without a setting. Those without values stand for what is the company's own: until they
// are set, nothing is known to be. See Rule.Unset.
var ownPlaceholders = map[string][]string{
	"production_networks": {"0.0.0.0/0", "::/0"},
	"own_accounts":        {},
	"own_domains":         {},
}

// Bundled returns the rules that come with outflow, and the cases that test them.
func Bundled() (rules, cases []File) { return bundledIn("rules") }

// Seed returns the rules that profile seed runs instead of the bundled ones: the
// rules and searches of the document that outflow grew from, word for word, and the
// cases that test them.
func Seed() (rules, cases []File) { return bundledIn("rules/seed") }

func bundledIn(folder string) (rules, cases []File) {
	names, err := fs.Glob(bundled, folder+"/*.yml")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		text, err := bundled.ReadFile(name)
		if err != nil {
			panic(err)
		}
		if f := (File{name, text, true}); f.Rules() != "" {
			cases = append(cases, f)
		} else {
			rules = append(rules, f)
		}
	}
	return rules, cases
}
