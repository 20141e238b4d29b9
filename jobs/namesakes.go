package jobs

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"outflow/columnar"
	"outflow/reports"
	"outflow/stats/detect"
)

// This file suggests domain_aliases: names that users have under two domains. It only
// suggests, for a partner's anna may be another one.

// Bounds of namesakes: names beyond them are left out.
const (
	maxNamesakeDomains = 64
	maxNamesakeNames   = 100_000
)

// namesakes are the names that users have under each domain.
type namesakes struct {
	under map[string]map[string]bool // names by domain
	names int
}

// sharedNames are names that many companies have, so that they say nothing.
var sharedNames = []string{"admin", "administrator", "root", "info", "support", "service", "guest", "test", "system", "scanner", "backup"}

// add adds a user.
func (n *namesakes) add(user string) {
	if name, domain := n.nameAndDomain(user); domain != "" && name != "" && !slices.Contains(sharedNames, name) {
		n.put(name, domain)
	}
}

func (n *namesakes) put(name, domain string) {
	if n.names >= maxNamesakeNames {
		return
	}
	under := n.under[domain]
	if under == nil {
		if len(n.under) == maxNamesakeDomains {
			return
		}
		if n.under == nil {
			n.under = map[string]map[string]bool{}
		}
		under = map[string]bool{}
		n.under[domain] = under
	}
	if !under[name] {
		under[name] = true
		n.names++
	}
}

// nameAndDomain splits a user, as in CORP\anna and anna@corp.example, in lower case. Of
// machines, guests, and users of free mail services the domain is "".
func (n *namesakes) nameAndDomain(user string) (name, domain string) {
	user = strings.ToLower(user)
	if before, after, ok := strings.Cut(user, `\`); ok {
		if strings.HasSuffix(after, "$") || strings.ContainsFunc(before, notWindows) {
			return "", ""
		}
		return after, before
	}
	name, domain = mailName(user)
	// A month has each user thirty times. Only domains of mail have a dot, and those that are there were tested.
	if n.under[domain] != nil && strings.Contains(domain, ".") || isOwn(domain) {
		return name, domain
	}
	return "", ""
}

// notWindows reports whether a domain of Windows seldom has a character. A name with others
// is text from a log, perhaps crafted to be read as configuration.
func notWindows(r rune) bool {
	return r >= utf8.RuneSelf || r != '-' && r != '_' && !('0' <= r && r <= '9') && !('a' <= r && r <= 'z')
}

// count adds the users of a batch.
func (n *namesakes) count(b *columnar.Batch) {
	if b.Server {
		return
	}
	codes, texts := b.Codes(columnar.User)
	for code, rows := range perCode(codes, texts) {
		if rows > 0 {
			n.add(string(texts.Text(int32(code))))
		}
	}
}

func (n *namesakes) addAll(m *namesakes) {
	for _, domain := range slices.Sorted(maps.Keys(m.under)) {
		for _, name := range slices.Sorted(maps.Keys(m.under[domain])) {
			n.put(name, domain)
		}
	}
}

// namesakes returns those of the users that sent something on some days, or matched a rule.
func (h *history) namesakes(days []detect.Day) (n namesakes, err error) {
	for _, a := range []*detect.Aggregate{detect.UserDay, detect.RuleDay} {
		for row, err := range h.rows(a, days) {
			if err != nil {
				return n, err
			}
			if row.EntityType == "user" {
				n.add(row.Entity)
			}
		}
	}
	return n, nil
}

// An aliasGuess says that a domain is probably another name of one.
type aliasGuess struct {
	domain, alias string
	shared, of    int // names of the alias that the domain has, and all
}

// A domain must have at least minNamesakeShare of the names of its alias. Less is chance: two
// companies of a thousand people share some names.
const minNamesakeShare = 0.5

// minPublicNamesakes is how many names an alias that anybody can register must share: a
// thief's own domain may well have the thief's name and no other.
const minPublicNamesakes = 3

// isPublic reports whether anybody can register such a domain, and names at it.
func isPublic(domain string) bool {
	return strings.Contains(domain, ".") && !strings.HasSuffix(domain, ".local") && !strings.HasSuffix(domain, ".lan")
}

// guesses returns the domains that are probably others, sorted by domain.
func (n *namesakes) guesses() []aliasGuess {
	// The name of a company is its mail domain with the most users.
	rank := func(a, b string) int {
		kind := func(domain string) int {
			switch {
			case !strings.Contains(domain, "."):
				return 2
			case !isPublic(domain), strings.HasSuffix(domain, ".onmicrosoft.com"):
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(kind(a), kind(b)), cmp.Compare(len(n.under[b]), len(n.under[a])), strings.Compare(a, b))
	}
	domains := slices.SortedFunc(maps.Keys(n.under), rank)
	var out []aliasGuess
	taken := map[string]bool{}
	for i, domain := range domains {
		for _, alias := range domains[i+1:] {
			g := aliasGuess{domain: domain, alias: alias, of: len(n.under[alias])}
			for name := range n.under[alias] {
				if n.under[domain][name] {
					g.shared++
				}
			}
			least := 1
			if isPublic(alias) {
				least = minPublicNamesakes
			}
			if g.shared >= least && float64(g.shared) >= minNamesakeShare*float64(g.of) && !taken[alias] && !taken[domain] {
				taken[alias] = true
				out = append(out, g)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b aliasGuess) int { return strings.Compare(a.domain, b.domain) })
	return out
}

// because says what speaks for the guess. which says which users were counted, if not all.
func (g *aliasGuess) because(which string) string {
	text := fmt.Sprintf("%s of %s users of %s%s are also at %s", reports.Count(int64(g.shared)), reports.Count(int64(g.of)), g.alias, which, g.domain)
	if g.of == 1 {
		text = fmt.Sprintf("the only user of %s%s is also at %s", g.alias, which, g.domain)
	}
	if isPublic(g.alias) {
		text += ", which says nothing unless both domains are the company's"
	}
	return text
}

// warnings returns the guesses as warnings of a report.
func (n *namesakes) warnings() (out []string) {
	for _, g := range n.guesses() {
		out = append(out, fmt.Sprintf("%s: if they are the same people, set domain_aliases: {%s: [%s]}. Until then each counts as two.", g.because(" with uploads or rule matches"), scalar(g.domain), scalar(g.alias)))
	}
	return out
}

// snippet returns the guesses as comments of a configuration, or "".
func (n *namesakes) snippet() string {
	guesses := n.guesses()
	if len(guesses) == 0 {
		return ""
	}
	var out strings.Builder
	out.WriteString("## Domains that seem to have the same users. Take the \"# \" from what is right.\n# domain_aliases:\n")
	for i, g := range guesses {
		if i == 0 || guesses[i-1].domain != g.domain {
			fmt.Fprintf(&out, "#   %q:\n", g.domain)
		}
		fmt.Fprintf(&out, "#     - %q # %s\n", g.alias, g.because(""))
	}
	return out.String()
}
