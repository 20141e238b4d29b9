package detect

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A verdict is the conclusion that several detections share. Their findings about the
// same thing are joined into one; see Join.
const (
	// dnsTunnel is the verdict of the detections that judge a client's queries to one
	// domain: its findings meet by feed, client, domain and day.
	dnsTunnel = "dns_tunnel"
	// uploadVerdict and downloadVerdict are the verdicts of the detections that judge
	// what somebody sent or fetched in a day: their findings meet by person and day,
	// whichever sensor saw the bytes and wherever they went.
	uploadVerdict   = "upload"
	downloadVerdict = "download"
)

// perPerson reports whether the findings of a verdict meet by person and day.
func perPerson(verdict string) bool { return verdict == uploadVerdict || verdict == downloadVerdict }

// A Part is a finding that was joined with others.
type Part struct {
	Detection string
	Key
}

// about returns what the findings of the verdict have in common, beside the day.
func (f *Finding) about() Key {
	if !perPerson(f.Verdict) {
		return f.Key
	}
	var k Key
	k.EntityType, k.Entity = f.Subject()
	return k
}

// identify sets the UID of a finding of a verdict that is about a person's day.
func (f *Finding) identify() { f.UID = uid(f.Verdict, f.about(), f.Day.window()[0]) }

// Join joins findings that have the same verdict and day, and are about the same: four
// measures of one tunnel are one thing to look at, and so are a volume, a ratio and a
// destination of one upload. The result is the finding with the highest risk, which
// names the others. Allowed findings do not count; if all of them are allowed, they
// are joined too.
//
// The risk is 100·(1 − ∏(1 − rᵢ/100)), rounded down, as if each detection had an
// independent chance to be right: at least the highest risk, never over 100, and not a
// sum, because all of them judge the same names or bytes. For that reason each
// detection counts once, with its highest risk: a service with nine hosts is not nine
// times as suspicious, and two feeds may have seen the same bytes.
func Join(findings []Finding) []Finding {
	type story struct {
		verdict string
		Key
		day Day
	}
	groups := map[story][]*Finding{}
	var order []story
	var out []Finding
	for i := range findings {
		f := &findings[i]
		if f.Verdict == "" {
			out = append(out, *f)
			continue
		}
		k := story{f.Verdict, f.about(), f.Day}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], f)
	}
	for _, k := range order {
		group := groups[k]
		slices.SortStableFunc(group, func(a, b *Finding) int {
			return cmp.Or(
				cmp.Compare(min(len(a.Allowed), 1), min(len(b.Allowed), 1)),
				cmp.Compare(min(len(a.Label), 1), min(len(b.Label), 1)),
				cmp.Compare(b.RiskScore, a.RiskScore), strings.Compare(a.Detection, b.Detection),
				cmp.Compare(b.Bytes(), a.Bytes()), a.Key.Compare(b.Key))
		})
		open := slices.IndexFunc(group, func(f *Finding) bool { return f.Allowed != "" })
		if open <= 0 { // all are allowed, or none
			open = len(group)
		}
		out = append(out, joined(group[:open]))
		for _, f := range group[open:] {
			f.UID = uid(f.Detection, f.Key, f.Window[0]) // the joined finding has the UID of the verdict
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
	seen := map[string]bool{f.Detection: true}
	risks, grave, slight := []int{f.RiskScore}, []int{}, []int{}
	severity, customary := f.Severity, 0
	for i, g := range group {
		f.Parts = append(f.Parts, Part{g.Detection, g.Key})
		severity = max(severity, g.Severity)
		if i > 0 && !seen[g.Detection] {
			seen[g.Detection] = true
			f.Also = append(f.Also, g.Detection)
			risks = append(risks, g.RiskScore)
		} else if i > 0 {
			continue
		}
		// A large upload is nearly always more than was received. A low finding
		// therefore adds to the risk of an upload, but only findings that deserve a look
		// by themselves raise its severity together, and its risk beyond that severity.
		switch {
		case g.Customary:
			customary = max(customary, g.RiskScore)
		case !perPerson(f.Verdict) || g.Severity >= Medium:
			grave = append(grave, g.RiskScore)
		default:
			slight = append(slight, g.RiskScore)
		}
	}
	f.RiskScore = jointRisk(risks)
	if len(grave) == 0 && customary > 0 {
		grave = append(grave, customary)
	}
	if f.Label == "" {
		f.Label = explained(group)
	}
	if f.Severity = max(severity, severityOf(jointRisk(grave))); f.Label != "" {
		f.Severity = min(f.Severity, Low)
	}
	if f.Severity < High { // beyond high, more risk is more urgent
		if limit := leastRisk[f.Severity+1] - 1; f.RiskScore > limit {
			// Nearly every large upload has a ratio that is slightly unusual. Such findings must
			// not bring every finding to the top of its severity, so they add a part of the rest.
			least := min(max(group[0].RiskScore, jointRisk(grave)), limit)
			f.RiskScore = least + (limit-least)*jointRisk(slight)/100
		}
	}
	if perPerson(f.Verdict) {
		f.widen(group)
		return f
	}
	var also []string
	for _, g := range group[1:] {
		also = append(also, fmt.Sprintf("%s (%s %s)", g.Detection, measure(g.Observed), g.Unit))
	}
	f.Why += " Also seen by " + strings.Join(also, ", ") + "."
	return f
}

// explained returns the label of the destination that got nearly all of what a group of uploads
// is about, "" if none has one: then the volume is no more suspicious than the place.
func explained(group []*Finding) string {
	var all, most int64
	label := ""
	for _, g := range group {
		if g.Verdict != uploadVerdict || g.Object != "" && g.Label == "" {
			return ""
		}
		all = max(all, g.Bytes())
		if g.Label != "" && g.ObjectBytes > most {
			most, label = g.ObjectBytes, g.Label
		}
	}
	if most < all-all/5 {
		return ""
	}
	return label
}

// jointRisk returns 100·(1 − ∏(1 − rᵢ/100)), rounded down. It is exact for up to eight
// risks; the rest of more would not change the result by one.
func jointRisk(risks []int) int {
	left, whole := 1, 1
	for _, r := range risks[:min(len(risks), 8)] {
		left *= 100 - r
		whole *= 100
	}
	return (whole - left) * 100 / whole
}

// maxClauses is how many parts the sentence of a joined finding names: more is not
// read. All are in Parts.
const maxClauses = 4

// widen makes the strongest finding of a person's day one about all of them: the object
// is the largest destination, and the bytes are those of the largest part, as is the
// entity, which may be the person or an address of the person.
func (f *Finding) widen(group []*Finding) {
	largest, place := group[0], (*Finding)(nil)
	feeds := map[string]bool{}
	for _, g := range group {
		feeds[g.Feed] = true
		if g.Bytes() > largest.Bytes() {
			largest = g
		}
		if g.Object != "" && (place == nil || g.Bytes() > place.Bytes()) {
			place = g
		}
	}
	f.Key, f.Summary, f.Person, f.PersonBy = largest.Key, largest.Summary, largest.Person, largest.PersonBy
	f.Done, f.ObjectBytes, f.Mostly = largest.Done, largest.ObjectBytes, largest.Mostly
	if place != nil {
		f.Object, f.Summary.AnswerTime, f.Summary.AnswerTo = place.Object, place.Summary.AnswerTime, place.Summary.AnswerTo
		f.Done, f.ObjectBytes, f.Mostly = place.Done, place.ObjectBytes, ""
	}
	var also []string
	for _, g := range group[1:] {
		if len(also) == maxClauses {
			also = append(also, fmt.Sprintf("and %d more", len(group)-1-maxClauses))
			break
		}
		from := g.Detection
		if g.Entity != f.Entity || g.EntityType != f.EntityType {
			from += " of " + printable(g.Who())
		}
		if len(feeds) > 1 {
			from += " in feed " + printable(g.Feed)
		}
		also = append(also, g.clause()+" ("+from+")")
	}
	f.Why += " Also: " + strings.Join(also, "; ") + "."
}

// clause says in a few words what the finding measured.
func (f *Finding) clause() string {
	var s string
	switch base, per, _ := strings.Cut(f.Unit, "/"); {
	case f.Unit == "B/day":
		s = size(f.Observed)
	case base == "B out" && f.Observed >= 1000:
		s = size(f.Observed) + " out for each byte in"
	case base == "B out":
		digits := 2
		if f.Observed >= 10 {
			digits = 0
		}
		s = strconv.FormatFloat(f.Observed, 'f', digits, 64) + " bytes out for each byte in"
	case per == "day":
		s = measure(f.Observed) + " " + base
	default:
		s = measure(f.Observed) + " " + f.Unit
	}
	switch {
	case f.Object == "":
	case f.Verdict == downloadVerdict:
		s += " from " + printable(f.Object)
	default:
		s += " to " + printable(f.Object)
		if f.Summary.AnswerTime != 0 {
			s += " by DNS"
		}
	}
	return s
}
