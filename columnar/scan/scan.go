// Package scan reads the bytes of logs: where lines, fields and JSON values are,
// and the numbers, times, addresses, URLs and DNS names in them. It knows no tables
// and no dialects. It allocates nothing for each record: results are slices of the
// given text wherever the text has them unchanged.
//
// A function with a result ok returns false for text that it does not read; its
// other results then mean nothing. Times are µs UTC.
package scan

// Unknown reports whether text is what sources write for what they do not know.
func Unknown(text []byte) bool {
	return len(text) <= len("(empty)") && (len(text) == 0 || beginUnknown>>(text[0]&63)&1 != 0 && isUnknown(text))
}

// beginUnknown is the set of the bytes that the texts of isUnknown begin with, by their lower six bits:
// no digit is in it, and most short texts are numbers.
const beginUnknown = 1<<('-'&63) | 1<<('n'&63) | 1<<('N'&63) | 1<<('('&63) | 1<<('<'&63) | 1<<('\\'&63)

func isUnknown(text []byte) bool {
	switch string(text) {
	case "", "-", "--", "null", "NULL", "Null", "(null)", "(NULL)", "<null>", "<nil>", "nil", "(empty)", "None", "none", "NONE", "(none)",
		"N/A", "n/a", "NA", "NaN", "nan", `\N`:
		return true
	}
	return false
}
