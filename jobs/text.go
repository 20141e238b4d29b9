package jobs

import (
	"strconv"
	"strings"
	"time"
	"unicode"
)

// printable makes text that came from a log, or a name that an attacker may
// have chosen, safe for a terminal: control and format characters become \x1b.
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

// stamp prints a time in µs UTC.
func stamp(us int64) string {
	if us == 0 {
		return "-"
	}
	return time.UnixMicro(us).UTC().Format("2006-01-02T15:04:05Z")
}
