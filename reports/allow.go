package reports

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"outflow/columnar"
	"outflow/stats/detect"
)

// AllowDays is how many days after the finding the proposed allow-list entry holds: a quarter, so
// that somebody who still knows the reason reviews the exception.
const AllowDays = 90

// maxAllowed is how many destinations a proposed entry names. Somebody who sent to more
// has no destination in common with the next day.
const maxAllowed = 5

// AllowEntry returns, in YAML, the entries of the allow-list that would suppress a finding
// and others like it: one for each destination, if it names any. The reader must fill in
// the reason: an entry without one is refused.
func AllowEntry(f *detect.Finding, expires detect.Day) string {
	return strings.Join(allowEntries(f, false, `""  # required: why this is expected, and who agreed`, expires), "")
}

// AllowEntriesFor returns the entries of AllowEntry with their reason. only says that they
// are for the finding alone.
func AllowEntriesFor(f *detect.Finding, reason string, expires detect.Day, only bool) []string {
	return allowEntries(f, only, strconv.QuoteToGraphic(reason), expires)
}

// AllowScope says in a sentence what the entries of AllowEntry accept beside the finding.
func AllowScope(f *detect.Finding, only bool) string {
	targets := allowTargets(f)
	_, who := allowEntity(f)
	switch {
	case only || alone(f, targets):
		return "It accepts this finding alone."
	case f.EntityType == "group":
		return "It also accepts what this detection finds there about others, on other days."
	case isRule(f):
		return "It also accepts later matches of the rule by " + visible(who) + " at the same place, however many."
	case targets[0].object != "":
		return "It also accepts what " + visible(who) + " does there on other days, however much; other destinations are still found."
	}
	return "It names no destination, because the finding has none: it also accepts what these detections find about " + visible(who) +
		" on other days, however much. For this finding alone: outflow suppress --only."
}

// An allowTarget is what an entry names beside the entity.
type allowTarget struct{ detection, object string }

// allowTargets returns what the entries for a finding name. The narrowest entry that also
// holds on another day names the destination. Of several detections that meet about a
// person, those that judge a day's total are accepted with its destinations; without
// any, each is named, for an entry for the verdict would accept every destination.
func allowTargets(f *detect.Finding) []allowTarget {
	if len(f.Also) == 0 && len(f.Parts) == 0 {
		return []allowTarget{{f.Detection, f.Object}}
	}
	var out []allowTarget
	add := func(t allowTarget) {
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	for _, object := range append([]string{f.Object}, partObjects(f)...) {
		if object != "" {
			add(allowTarget{object: object})
		}
	}
	for i := range out {
		out[i].detection = f.Verdict
	}
	if out == nil {
		for _, name := range append([]string{f.Detection}, f.Also...) {
			add(allowTarget{detection: name})
		}
	}
	return out
}

// allowEntity returns whom the entries for a finding name.
func allowEntity(f *detect.Finding) (kind, entity string) {
	if slices.ContainsFunc(f.Parts, func(p detect.Part) bool { return p.EntityType != f.EntityType || p.Entity != f.Entity }) {
		return f.Subject() // all parts are the person's
	}
	return f.EntityType, f.Entity
}

func partObjects(f *detect.Finding) []string {
	var out []string
	for _, p := range f.Parts {
		out = append(out, p.Object)
	}
	return out
}

// alone reports whether the finding has no entry but its own: it has more targets than a
// list should name, texts of a length that names do not have, a malformed address, or
// a destination that anybody may have a name below.
func alone(f *detect.Finding, targets []allowTarget) bool {
	kind, who := allowEntity(f)
	if _, err := netip.ParseAddr(who); kind == "src_ip" && err != nil {
		return true
	}
	return len(targets) > maxAllowed || slices.ContainsFunc(targets, func(t allowTarget) bool {
		return len(t.object)+len(who) > 900 || columnar.IsPublicSuffix(strings.ToLower(t.object))
	})
}

func allowEntries(f *detect.Finding, only bool, reason string, expires detect.Day) []string {
	var out []string
	var b strings.Builder
	lead := "- "
	line := func(key, value string) {
		b.WriteString(lead + key + ": " + value + "\n")
		lead = "  "
	}
	terms := func() {
		line("reason", reason)
		line("expires", expires.String())
		out = append(out, b.String())
		b.Reset()
		lead = "- "
	}
	targets := allowTargets(f)
	if only || alone(f, targets) {
		line("fingerprint", yamlText(f.UID))
		terms()
		return out
	}
	kind, entity := allowEntity(f)
	for _, t := range targets {
		if t.detection != "" {
			line("detection", yamlText(t.detection))
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
		if t.object != "" {
			line("domain", yamlText(t.object))
		}
		terms()
	}
	return out
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
