package reports

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"outflow/stats/detect"
)

// AllowDays is how many days the proposed allow-list entry holds: a quarter, so
// that somebody who still knows the reason reviews the exception.
const AllowDays = 90

// AllowEntry returns, in YAML, the allow-list entry that would suppress a finding
// and others like it. The reader must fill in the reason: an entry without one is
// refused.
func AllowEntry(f *detect.Finding) string {
	return allowEntry(f, false) + allowTerms(`""  # required: why this is expected, and who agreed`, f.Day+AllowDays)
}

// AllowEntryFor is AllowEntry with its reason and its last day. only says that it is for the
// finding alone.
func AllowEntryFor(f *detect.Finding, reason string, expires detect.Day, only bool) string {
	return allowEntry(f, only) + allowTerms(strconv.QuoteToGraphic(reason), expires)
}

func allowTerms(reason string, expires detect.Day) string {
	return "  reason: " + reason + "\n  expires: " + expires.String() + "\n"
}

// allowEntry is AllowEntry without the reason and the last day.
func allowEntry(f *detect.Finding, only bool) string {
	var b strings.Builder
	lead := "- "
	line := func(key, value string) {
		b.WriteString(lead + key + ": " + value + "\n")
		lead = "  "
	}
	// One of several detections, or the largest of several destinations, would not
	// suppress the finding next time.
	object := f.Object
	switch {
	case len(f.Also) == 0 && len(f.Parts) == 0:
		line("detection", yamlText(f.Detection))
	case slices.ContainsFunc(f.Parts, func(p detect.Part) bool { return p.Object != f.Object }):
		line("detection", yamlText(cmp.Or(f.Verdict, f.Detection)))
		object = ""
	case object == "": // the entity alone would suppress everything about it
		line("detection", yamlText(cmp.Or(f.Verdict, f.Detection)))
	}
	kind, entity := f.EntityType, f.Entity
	if slices.ContainsFunc(f.Parts, func(p detect.Part) bool { return p.EntityType != kind || p.Entity != entity }) {
		kind, entity = f.Subject() // all parts are the person's
	}
	switch kind {
	case "src_ip":
		bits := "/32"
		if strings.Contains(entity, ":") {
			bits = "/128"
		}
		line("cidr", yamlText(entity+bits))
	case "group": // the object is enough
	default:
		line(kind, yamlText(entity))
	}
	if object != "" {
		line("domain", yamlText(object))
	}
	if only || b.Len() > 1000 {
		// Texts of that length are not names. The finding itself still has a name.
		b.Reset()
		lead = "- "
		line("fingerprint", yamlText(f.UID))
	}
	return b.String()
}

// yamlText returns a scalar that reads back as s: plain if that is safe, and
// otherwise in double quotes. YAML's double quotes have the escapes of Go.
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
