package detect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// dnsTunnel is the verdict of the detections that judge a client's queries to one
// domain.
const dnsTunnel = "dns_tunnel"

// Join joins findings that have the same verdict, feed, entity, object and day: four
// measures of one tunnel are one thing to look at. The result is the finding with the
// highest risk, which names the others. Its risk is 100 − ∏(100 − risk), in hundredths
// and rounded down, as if each finding had an independent chance to be right: at least
// the highest risk, never over 100, and not a sum, because all of them judge the same
// names. Allowed findings do not count; if all of them are allowed, they are joined
// too.
func Join(detections []*Detection, findings []Finding) []Finding {
	type fact struct {
		verdict string
		Key
		day Day
	}
	verdicts := map[string]string{}
	for _, d := range detections {
		verdicts[d.Name] = d.Verdict
	}
	groups := map[fact][]*Finding{}
	var order []fact
	var out []Finding
	for i := range findings {
		f := &findings[i]
		verdict := verdicts[f.Detection]
		if verdict == "" {
			out = append(out, *f)
			continue
		}
		k := fact{verdict, f.Key, f.Day}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], f)
	}
	for _, k := range order {
		group := groups[k]
		slices.SortStableFunc(group, func(a, b *Finding) int {
			return cmp.Or(cmp.Compare(min(len(a.Allowed), 1), min(len(b.Allowed), 1)), cmp.Compare(b.RiskScore, a.RiskScore), strings.Compare(a.Detection, b.Detection))
		})
		open := slices.IndexFunc(group, func(f *Finding) bool { return f.Allowed != "" })
		if open <= 0 { // all are allowed, or none
			open = len(group)
		}
		out = append(out, joined(group[:open]))
		for _, f := range group[open:] {
			f.UID = uid(f.Detection, f, f.Window[0]) // the joined finding has the UID of the verdict
			out = append(out, *f)
		}
	}
	return out
}

// joined joins findings, the strongest first.
func joined(group []*Finding) Finding {
	f := *group[0]
	if len(group) == 1 {
		return f
	}
	left, whole := 1, 1 // exact for up to eight findings
	var also []string
	for _, g := range group {
		left *= 100 - g.RiskScore
		whole *= 100
		f.Severity = max(f.Severity, g.Severity)
	}
	for _, g := range group[1:] {
		f.Also = append(f.Also, g.Detection)
		also = append(also, fmt.Sprintf("%s (%s %s)", g.Detection, measure(g.Observed), g.Unit))
	}
	f.RiskScore = (whole - left) * 100 / whole
	if f.Severity = max(f.Severity, severityOf(f.RiskScore)); f.Label != "" {
		f.Severity = min(f.Severity, Low)
	}
	f.Why += " Also seen by " + strings.Join(also, ", ") + "."
	return f
}
