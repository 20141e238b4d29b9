package columnar

import (
	"fmt"
	"unicode"
	"unicode/utf16"
)

// Invisible reports whether a character has no shape of its own and is no mark on another:
// a control character, one that changes the direction of text, a blank other than the space.
func Invisible(r rune) bool { return !unicode.IsMark(r) && !unicode.IsPrint(r) || isBlank(r) }

// isBlank reports whether a character that counts as printable has no shape.
func isBlank(r rune) bool {
	switch r {
	case '\u2800', // Braille without a dot
		'\U00016FE4', // a filler of Khitan
		'\U0001D159': // a head of a note that is not drawn
		return true
	}
	return r >= 0x80 && unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// AppendJSONEscape appends a character as a string of JSON escapes it.
func AppendJSONEscape(dst []byte, r rune) []byte {
	if r > 0xffff {
		high, low := utf16.EncodeRune(r)
		return fmt.Appendf(dst, `\u%04x\u%04x`, high, low)
	}
	return fmt.Appendf(dst, `\u%04x`, r)
}
