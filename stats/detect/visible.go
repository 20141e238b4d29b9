package detect

import (
	"iter"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"outflow/columnar"
)

// Visible returns text of a log in a form that shows what it holds and has no other effect.
// What a reader would not see becomes an escape as in Go source: control characters, ANSI
// escapes, characters that change the direction of text, blanks other than the space,
// letters without a shape, and marks that pile up or have nothing to stand on. Bytes that
// are not UTF-8 become U+FFFD. A backslash is unchanged: DOMAIN\user is more frequent than
// text that tries to look escaped.
func Visible(text string) string {
	if isPlain(text) {
		return text
	}
	var b strings.Builder
	for shown := range VisibleParts(text) {
		b.WriteString(shown)
	}
	return b.String()
}

// isPlain reports whether text is printable ASCII.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// maxMarks is how many combining marks a letter has: Vietnamese and Hebrew have two, and
// Thai and Burmese some more that take room of their own. More make a name unreadable, or
// cover the line above.
const maxMarks = 3

// VisibleParts yields each character of text as Visible shows it: itself, or its escape.
func VisibleParts(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		marks := maxMarks // at the beginning there is no letter to stand on
		for i, r := range text {
			shown := "\uFFFD"
			switch {
			case r == utf8.RuneError:
				marks = 0
			case unicode.IsMark(r) && marks >= maxMarks, columnar.Invisible(r):
				shown = strconv.QuoteRuneToASCII(r)
				shown = shown[1 : len(shown)-1]
			case unicode.IsMark(r):
				marks++
				shown = text[i : i+utf8.RuneLen(r)]
			default:
				marks = 0
				shown = text[i : i+utf8.RuneLen(r)]
			}
			if !yield(shown) {
				return
			}
		}
	}
}
