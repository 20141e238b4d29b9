package detect

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// size formats bytes for a reader: three digits and a unit of powers of 1000.
func size(bytes float64) string {
	switch {
	case math.IsNaN(bytes):
		return "unknown"
	case bytes < 999.5:
		return fmt.Sprintf("%.0f B", bytes)
	}
	units := []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	i := 0
	for bytes /= 1e3; bytes >= 999.5 && i < len(units)-1; i++ {
		bytes /= 1e3
	}
	return strconv.FormatFloat(bytes, 'g', 3, 64) + " " + units[i]
}

// times formats a factor for a reader.
func times(f float64) string {
	if f >= 10 && f < 1e18 {
		return Number(int64(math.Round(f))) + " times"
	}
	return fmt.Sprintf("%.1f times", f)
}

// Number formats a whole number for a reader: "12,345".
func Number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count formats a number with its noun.
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Number(n) + " " + noun + "s"
}

// shortHistory says of an entity that so many days are too few for a baseline.
func shortHistory(days int64) string {
	if days == 0 {
		return "has no history"
	}
	return "has only " + count(days, "day") + " of history, too little for a baseline"
}

// shareOf formats a percentage of a sentence "… of the 2,566 days": "all", "99.8 %".
func shareOf(percent float64) string {
	if percent == 100 {
		return "all"
	}
	return fmt.Sprintf("%.1f %%", percent)
}

// maxText is how many characters of a text of a log stand in a sentence.
const maxText = 80

// printable returns text from a log for use in a sentence: visible, and cut to maxText.
func printable(text string) string {
	if len(text) <= maxText && isPlain(text) {
		return text
	}
	var b strings.Builder
	n := 0
	for shown := range VisibleParts(text) {
		if n >= maxText {
			b.WriteString("…")
			break
		}
		b.WriteString(shown)
		n += utf8.RuneCountInString(shown)
	}
	return b.String()
}

// num formats a threshold in the fewest digits.
func num(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// measure formats an observed number: whole numbers in full, others with three digits.
func measure(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return Number(int64(f))
	}
	return strconv.FormatFloat(f, 'g', 3, 64)
}
