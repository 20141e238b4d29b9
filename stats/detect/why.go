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
	switch {
	case f >= 10:
		return fmt.Sprintf("%.0f times", f)
	}
	return fmt.Sprintf("%.1f times", f)
}

// count formats a number with its noun.
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatInt(n, 10) + " " + noun + "s"
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
	if f == math.Trunc(f) {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatFloat(f, 'g', 3, 64)
}
