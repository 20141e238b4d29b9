package jobs

import (
	"strings"
)

// didYouMean returns a question that names the closest of some names, or "".
func didYouMean(name string, names []string) string {
	if best := closest(name, names); best != "" {
		return "; did you mean " + best + "?"
	}
	return ""
}

// wanted says which name was probably meant instead of an unknown one; if none is close,
// where all are. what is a table of outflow list.
func wanted(name string, names []string, what string) string {
	if hint := didYouMean(name, names); hint != "" {
		return hint
	}
	return ": see outflow list " + what
}

// closest returns the name that differs least from a mistyped one, or "" if none is close.
func closest(name string, names []string) string {
	name = strings.ToLower(name)
	best, least := "", max(1, len(name)/3)+1
	for _, n := range names {
		if d := editDistance(name, strings.ToLower(n), least); d < least {
			best, least = n, d
		}
	}
	return best
}

// editDistance returns how many letters must be put in, left out, replaced or swapped with
// the next to make b of a; most or more if it is at least most.
func editDistance(a, b string, most int) int {
	if len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	var rows [3][]int
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		row, up, upper := rows[i%3], rows[(i+2)%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(up[j]+1, row[j-1]+1, up[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], upper[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}
