package columnar

import (
	"bytes"
	"strings"
)

// nobodyMax is the size of the longest word for nobody, in bytes.
const nobodyMax = len("00000000-0000-0000-0000-000000000000")

// nobodyFirst are the first letters of words for nobody.
const nobodyFirst = "-?*@(<0nNuUaAsS"

// IsNobody reports whether a name or an address is what programs write who do not know it: a word in
// any case, a sign, an empty GUID, or such a thing behind a domain. All requests of
// people who did not sign in would else be those of one busy person.
func IsNobody(text []byte) bool {
	if at := bytes.LastIndexByte(text, '\\'); at >= 0 {
		text = text[at+1:]
	}
	if text = bytes.TrimSpace(text); len(text) > nobodyMax || len(text) > 0 && strings.IndexByte(nobodyFirst, text[0]) < 0 {
		return false
	}
	var lower [nobodyMax]byte
	switch string(AppendLower(lower[:0], text)) {
	case "", "-", "--", "?", "*", "@", "null", "(null)", "<null>", "<nil>", "(empty)", "none", "(none)", "<none>", "n/a", "(n/a)", "-na-",
		"undefined", "unknown", "(unknown)", "<unknown>", "not available", "not applicable", "not set", "(not set)", "anonymous", "unauthenticated",
		"s-1-0-0", "00000000-0000-0000-0000-000000000000":
		return true
	}
	return false
}
