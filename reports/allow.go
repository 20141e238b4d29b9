package reports

import (
	"strconv"
	"strings"

	"outflow/stats/detect"
)

// allowDays is how long the entry that a report proposes holds: a quarter, so
// that an exception is looked at again by whoever still knows why.
const allowDays = 90

// AllowEntry returns the allow-list entry that would suppress a finding and its
// like, in YAML. The reason is left for the reader to give: without one the
// entry is refused.
func AllowEntry(f *detect.Finding) string {
	var b strings.Builder
	lead := "- "
	line := func(key, value string) {
		b.WriteString(lead + key + ": " + value + "\n")
		lead = "  "
	}
	if len(f.Also) == 0 { // else any of several would find it the next time
		line("detection", yamlText(f.Detection))
	}
	switch f.EntityType {
	case "src_ip":
		bits := "/32"
		if strings.Contains(f.Entity, ":") {
			bits = "/128"
		}
		line("cidr", yamlText(f.Entity+bits))
	case "group": // the object says it all
	default:
		line(f.EntityType, yamlText(f.Entity))
	}
	if f.Object != "" {
		line("domain", yamlText(f.Object))
	}
	if b.Len() > 1000 {
		// Names of that length are no names; the finding itself still has one.
		b.Reset()
		lead = "- "
		line("fingerprint", yamlText(f.UID))
	}
	line("reason", `""  # required: why this is expected, and who agreed`)
	line("expires", (f.Day + allowDays).String())
	return b.String()
}

// yamlText returns a scalar that reads back as s: plain where that is safe,
// else in double quotes, whose escapes YAML shares with Go.
func yamlText(s string) string {
	for _, c := range s {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-' || c == '.') {
			return strconv.QuoteToASCII(s)
		}
	}
	switch strings.ToLower(s) {
	case "", "true", "false", "yes", "no", "on", "off", "null", "y", "n", "-", "---", ".", ".inf", "-.inf", ".nan":
		return strconv.Quote(s)
	}
	if s[0] == '-' || s[0] == '.' {
		return strconv.Quote(s)
	}
	return s
}
