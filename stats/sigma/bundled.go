package sigma

import (
	"embed"
	"io/fs"
)

//go:embed rules/*.yml rules/seed/*.yml
var bundled embed.FS

// ownPlaceholders are what the placeholders of the rules that come with outflow stand
// for if nobody says more: they narrow rules which must find something without.
var ownPlaceholders = map[string][]string{
	"production_networks": {"0.0.0.0/0", "::/0"},
}

// Bundled returns the rules, and the cases about them, that come with outflow.
func Bundled() (rules, cases []File) { return bundledIn("rules") }

// Seed returns those that profile seed runs in their place: what the document that
// outflow grew from has of rules and searches, to the letter.
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
		if f := (File{name, text}); f.Rules() != "" {
			cases = append(cases, f)
		} else {
			rules = append(rules, f)
		}
	}
	return rules, cases
}
