// Package scan reads the bytes of logs: where lines, fields and JSON values are,
// and the numbers, times, addresses, URLs and DNS names in them. It knows no
// tables and no dialects. Nothing in it allocates for each record, and results
// are slices of the text that was given wherever that has them as they are.
//
// A function with a result ok says false of text that is anything else than it
// reads; its other results then mean nothing. Times are µs UTC.
package scan

// Unknown reports whether text is what sources write for what they do not know.
func Unknown(text []byte) bool { return len(text) <= len("(null)") && isUnknown(text) }

func isUnknown(text []byte) bool {
	switch string(text) {
	case "", "-", "--", "null", "NULL", "Null", "(null)", "(NULL)", "<null>", "nil", "None", "none", "NONE", "(none)",
		"N/A", "n/a", "NA", "NaN", "nan":
		return true
	}
	return false
}
