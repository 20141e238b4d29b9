package jobs

import (
	"strconv"
	"strings"
	"time"
	"unicode"
)

// printable makes text that came from a log, or a name that an attacker may have
// chosen, safe for a terminal: control and format characters are escaped, as in \x1b.
func printable(s string) string {
	bad := func(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }
	if strings.IndexFunc(s, bad) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if bad(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// counted formats a number with its noun, whose plural ends in s.
func counted(n int, noun string) string {
	return strconv.Itoa(n) + " " + verb(int64(n), noun, noun+"s")
}

// stamp formats a time in µs UTC.
func stamp(us int64) string {
	if us == 0 {
		return "-"
	}
	return time.UnixMicro(us).UTC().Format("2006-01-02T15:04:05Z")
}
