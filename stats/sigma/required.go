package sigma

import (
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

// This file finds the texts without which a regular expression cannot match.

// required returns folded texts: every match of the regular expression has at least
// one of them. It returns nil if there are none.
func required(expr string) []string {
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	texts := requiredBy(parsed.Simplify())
	slices.Sort(texts)
	return slices.Compact(texts)
}

// maxRequired is the largest number of texts that are looked for in place of one
// expression.
const maxRequired = 32

func requiredBy(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		if slices.Contains(re.Rune, utf8.RuneError) {
			return nil
		}
		return []string{foldText(string(re.Rune))}
	case syntax.OpCapture, syntax.OpPlus:
		return requiredBy(re.Sub[0])
	case syntax.OpConcat: // the place whose shortest text is the longest
		var best []string
		for i, sub := range re.Sub {
			begins, _ := beginnings(re.Sub[i:])
			for _, texts := range [][]string{begins, requiredBy(sub)} {
				if shortest(texts) > shortest(best) {
					best = texts
				}
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			texts := requiredBy(sub)
			if all = append(all, texts...); len(texts) == 0 || len(all) > maxRequired {
				return nil
			}
		}
		return all
	}
	return nil
}

// beginnings returns folded texts: every match of a sequence of expressions begins
// with one of them. whole tells whether these texts are whole matches. It joins what the
// parser takes apart: azcopy|aws is parsed as a(zcopy|ws).
func beginnings(parts []*syntax.Regexp) (texts []string, whole bool) {
	texts = []string{""}
	for _, re := range parts {
		var next []string
		whole := true
		switch re.Op {
		case syntax.OpEmptyMatch:
			continue
		case syntax.OpLiteral:
			next = requiredBy(re)
		case syntax.OpCapture, syntax.OpConcat:
			next, whole = beginnings(re.Sub)
		case syntax.OpAlternate:
			for i := range re.Sub {
				some, all := beginnings(re.Sub[i : i+1])
				next, whole = append(next, some...), whole && all
			}
		}
		if len(next) == 0 || len(texts)*len(next) > maxRequired {
			return texts, false
		}
		var joined []string
		for _, a := range texts {
			for _, b := range next {
				joined = append(joined, a+b)
			}
		}
		if texts = joined; !whole {
			return texts, false
		}
	}
	return texts, true
}

// shortest returns the length of the shortest text, or 0 if there is no text.
func shortest(texts []string) int {
	if len(texts) == 0 {
		return 0
	}
	n := len(texts[0])
	for _, text := range texts[1:] {
		n = min(n, len(text))
	}
	return n
}
