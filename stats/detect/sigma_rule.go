package detect

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"outflow/stats/sigma"
)

type sigmaRuleOptions struct {
	Objects int `yaml:"objects" unit:"objects" doc:"how many objects of one entity and rule are findings of their own, those with the most bytes and then matches; the rest is one finding together, as whoever chooses names and paths can choose many"`
}

const sigmaRuleDoc = `What Sigma rules match: those that come with outflow (outflow list rules) and those of the folders in rules.

What it sees: rows of any log that a rule describes. All of a day that one entity did to one object is one finding, with
its count, bytes and first examples; severity and risk are those of the rule's level, the technique is its tag. Of a
correlation, all windows of a day and group are one: its entity is the user, address or host that it groups by, else the
rule itself; it counts the matches in windows that hold, shows the last of each rule when it first came true, and its
evidence is the one that made it so. Counts and values are of each feed by itself, temporal correlations see all feeds.
Why that means exfiltration: each rule says so of its own; the bundled ones are about tools and channels that carry data out.
Who does it innocently: see the rule's falsepositives, which each finding repeats.
What it cannot see: what no rule describes; fields that a log does not have. Windows of correlations do not reach over
midnight, UTC, and values that begin with the same 256 bytes are one to them. Where one group has more matches in its
windows than 65536, or than 8192 of one time, the finding says that some were not looked at.
How to investigate: read the examples, then the row that the evidence names; who started it, and what did it read?`

func sigmaRule() *Detection {
	o := &sigmaRuleOptions{Objects: 3}
	d := &Detection{
		Name:       "sigma_rule",
		Title:      "match of a Sigma rule",
		Doc:        sigmaRuleDoc,
		Technique:  "T1567",
		Impact:     70,
		Confidence: 70,
		Aggregate:  RuleDay,
		Options:    o,
	}
	d.Score = func(in *Input) []Finding { return o.score(in) }
	d.Seed = func() { d.History, d.Score = allHistory, scoreRulesSeed }
	return d
}

// levelOf is what a rule's level says to the reader, and the risk that goes with it.
func levelOf(level string) (Severity, int) {
	switch level {
	case "critical":
		return Critical, 80
	case "high":
		return High, 60
	case "low":
		return Low, 20
	case "informational":
		return Info, 5
	}
	return Medium, 40 // or not said
}

func (o *sigmaRuleOptions) score(in *Input) []Finding {
	if in.Rules == nil {
		return nil
	}
	byRef := rulesByRef(in.Rules)
	var findings []Finding
	var rows []Row // of one entity and rule
	var of *sigma.Rule
	finish := func() {
		if len(rows) == 0 {
			return
		}
		if of.Correlation == nil { // whose objects are groups
			rows = byPlace(rows)
		}
		slices.SortStableFunc(rows, func(a, b Row) int {
			return cmp.Or(cmp.Compare(b.BytesOut, a.BytesOut), cmp.Compare(b.Events, a.Events), strings.Compare(a.Object, b.Object))
		})
		shown := min(len(rows), max(1, o.Objects))
		if len(rows) > shown { // the place of the last is for the rest
			rest := rows[shown-1:]
			all := Row{Day: in.Day, Key: rest[0].Key, Summary: sum(rest)}
			all.Object, _, _ = strings.Cut(all.Object, ruleObject) // no row has that alone
			findings = append(findings, matched(in, &all, of, fmt.Sprintf("%d other objects", len(rest))))
			rows = rows[:shown-1]
		}
		for i := range rows {
			what := whatOf(&rows[i])
			findings = append(findings, matched(in, &rows[i], of, what))
		}
		rows = rows[:0]
	}
	for r := range in.today() {
		ref, _, _ := strings.Cut(r.Object, ruleObject)
		rule := byRef[ref]
		if rule == nil {
			continue // it is not among the rules any more
		}
		if in.Own(placeOf(r)) && about(rule, Exfiltration) {
			continue
		}
		if n := len(rows); n > 0 && (of != rule || rows[n-1].Feed != r.Feed || rows[n-1].EntityType != r.EntityType || rows[n-1].Entity != r.Entity) {
			finish()
		}
		of = rule
		rows = append(rows, *r)
	}
	finish()
	return findings
}

// scoreRulesSeed reports what each rule matched in on each day of the whole log: the
// documents list every line, and know of no hosts that are the company's own.
func scoreRulesSeed(in *Input) []Finding {
	if in.Rules == nil {
		return nil
	}
	byRef := rulesByRef(in.Rules)
	var findings []Finding
	for key, rows := range in.Series {
		ref, what := RuleMatch(key)
		rule := byRef[ref]
		for i := range rows {
			if rule != nil { // it may be among the rules no more
				f := matched(&Input{Day: rows[i].Day}, &rows[i], rule, what)
				f.Day = rows[i].Day
				findings = append(findings, f)
			}
		}
	}
	return findings
}

// RuleMatch returns the rule of a key of rule_day, by its name or title, and what
// it matched in.
func RuleMatch(key Key) (rule, what string) {
	rule, what, _ = strings.Cut(key.Object, ruleObject)
	return rule, what
}

// whatOf returns what the rule of a row matched in.
func whatOf(r *Row) string {
	_, what := RuleMatch(r.Key)
	return what
}

// placeOf returns the host of what a rule matched in, if it has a path on one.
func placeOf(r *Row) string {
	host, _, _ := strings.Cut(whatOf(r), "/")
	return host
}

// RuleHost returns the host of what a rule matched in, "" if the finding is not of
// a rule.
func RuleHost(f *Finding) string {
	return placeOf(&Row{Key: f.Key})
}

// maxPaths is how many paths of one host are findings of their own. Three methods
// of an API are worth telling apart, a hundred files are not.
const maxPaths = 3

// byPlace joins rows of one entity and rule, in the order of their objects, that
// differ in the path alone, if there are more than maxPaths of them.
func byPlace(rows []Row) []Row {
	places := map[string][]Row{}
	for i := range rows {
		places[placeOf(&rows[i])] = append(places[placeOf(&rows[i])], rows[i])
	}
	var out []Row
	for i := range rows {
		place := placeOf(&rows[i])
		same := places[place]
		switch {
		case place == "" || len(same) <= maxPaths:
			out = append(out, rows[i])
		case same[0].Object == rows[i].Object:
			joined := Row{Day: rows[i].Day, Key: rows[i].Key, Summary: sum(same)}
			ref, _, _ := strings.Cut(joined.Object, ruleObject)
			joined.Object = ref + ruleObject + place
			joined.Examples = nil
			for i := range same {
				joined.Examples = append(joined.Examples, same[i].Examples...)
			}
			joined.Examples = joined.Examples[:min(len(joined.Examples), maxExamples)]
			out = append(out, joined)
		}
	}
	return out
}

// matched returns the finding of a row of a rule, which matched in what.
func matched(in *Input, r *Row, rule *sigma.Rule, what string) Finding {
	f := Finding{
		Key: r.Key, Score: float64(r.Events), Threshold: 1, Observed: float64(r.Events), Baseline: math.NaN(), Unit: "matches/day",
		Window: in.Day.window(), Summary: r.Summary,
	}
	f.Severity, f.RiskScore = levelOf(rule.Level)
	if t := rule.Techniques(); len(t) > 0 {
		f.Technique = techniqueAmong(t)
	}
	bytes := ""
	if r.KnownOut > 0 {
		bytes = ", " + size(float64(r.BytesOut)) + " out"
	}
	example := ""
	if len(r.Examples) > 0 && r.Examples[0] != what {
		example = fmt.Sprintf(", the first as \"%s\"", name(r.Examples[0]))
	}
	if rule.Correlation != nil {
		return correlated(f, in.Day, rule, what)
	}
	innocent := innocentCauses(rule)
	f.Why = fmt.Sprintf("%s matched the rule \"%s\" %s on %s: %s%s%s; a rule of level %s is reported at its first match (%s).",
		name(r.Who()), name(rule.Title), count(r.Events, "time"), in.Day, name(what), bytes, example, cmp.Or(rule.Level, "medium"), innocent)
	return f
}

// correlated completes the finding of a correlation.
func correlated(f Finding, day Day, rule *sigma.Rule, what string) Finding {
	who := name(f.Who())
	if f.EntityType == "group" {
		who = "events of any entity"
	}
	examples := ""
	for i, e := range f.Summary.Examples {
		examples += [...]string{", as \"", "\", then \"", "\", then \""}[min(i, 2)] + name(e)
	}
	if examples != "" {
		examples += "\""
	}
	cut := ""
	if f.Summary.WindowEvents > sigma.MaxWindow {
		cut = "; a window had too many to look at all, so it may not have held"
	}
	if what == "within "+spanText(rule.Correlation.Span()) {
		what = "" // the entity is all there is to say
	} else {
		what = " (" + name(what) + ")"
	}
	at := func(us int64) string { return time.UnixMicro(us).UTC().Format(time.TimeOnly) }
	f.Why = fmt.Sprintf("%s matched the correlation \"%s\" on %s: %s of %s%s%s within %s, from %s to %s%s%s; a rule of level %s is reported at its first match (%s).",
		who, name(rule.Title), day, count(f.Summary.Events, "event"), name(ruleNames(rule)), name(whereText(rule)), what, spanText(rule.Correlation.Span()),
		at(f.Summary.First), at(f.Summary.Last), examples, cut, cmp.Or(rule.Level, "medium"), innocentCauses(rule))
	return f
}

func innocentCauses(rule *sigma.Rule) string {
	if len(rule.FalsePositives) == 0 {
		return "the rule names no innocent cause"
	}
	return "innocent causes: " + name(lowerFirst(strings.Join(rule.FalsePositives, "; ")))
}

// about reports whether a rule's tags have a technique of a tactic.
func about(rule *sigma.Rule, tactic string) bool {
	return slices.ContainsFunc(rule.Techniques(), func(id string) bool { return slices.Contains(Tactics(id), tactic) })
}

// techniqueAmong returns the first technique that serves exfiltration, else the
// first that there is.
func techniqueAmong(ids []string) string {
	for _, id := range ids {
		if slices.Contains(Tactics(id), Exfiltration) {
			return id
		}
	}
	return ids[0]
}

// lowerFirst makes a sentence part of another one.
func lowerFirst(s string) string {
	if len(s) > 1 && s[0]-'A' < 26 && s[1]-'A' >= 26 {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}
