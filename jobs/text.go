package jobs

import (
	"time"

	"outflow/stats/detect"
)

// printable makes text that came from a log, or a name that an attacker may have
// chosen, safe for a terminal.
func printable(s string) string { return detect.Visible(s) }

// counted formats a number with its noun, whose plural ends in s.
func counted(n int, noun string) string {
	return detect.Number(int64(n)) + " " + verb(int64(n), noun, noun+"s")
}

// stamp formats a time in µs UTC.
func stamp(us int64) string {
	if us == 0 {
		return "-"
	}
	return time.UnixMicro(us).UTC().Format("2006-01-02T15:04:05Z")
}
