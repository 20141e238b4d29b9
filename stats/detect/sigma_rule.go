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
	Objects int `yaml:"objects" unit:"objects" doc:"how many objects of one entity and rule get a finding each: those with the most bytes, then the most matches; the rest share one finding, because an attacker who chooses names and paths can choose many"`
	NewDays int `yaml:"new_days" unit:"days" doc:"days of a feed's logs after which a match of a rule about exfiltration counts one level more, up to high, if nobody else matched that rule in the 30 days before; more reports fewer of them as high"`
}

const sigmaRuleDoc = `Matches of Sigma rules: those that come with outflow (outflow list rules) and those in the folders of the key rules.

What it sees: rows of any log that a rule describes. All that one entity did to one object in a day is one finding, with
its count, bytes and first examples; the rule's level gives severity and risk, its tag the technique. If nobody else matched a rule about exfiltration
in the 30 days before, its match is news to the company and counts one level more, up to high. For a
correlation, all windows of a day and group are one finding: its entity is the user, address or host that it groups by, else the
rule itself; it counts the matches in windows that hold, shows the last match of each rule when it first held, and its
evidence is the match that made it hold. Counts and values are taken per feed; temporal correlations see all feeds.
Why that means exfiltration: each rule says why; the bundled ones are about tools and channels that carry data out.
Common false positives: see the rule's falsepositives, which each finding repeats.
What it cannot see: what no rule describes; fields that a log does not have. Windows of correlations do not cross
midnight, UTC, and values that begin with the same 256 bytes are equal to them. If one group has more matches in its
windows than 65536, or more than 8192 at one time, the finding says that some were not examined.
How to investigate: read the examples, then the row that the evidence names; who started it, and what did it read?`

func sigmaRule() *Detection {
	o := &sigmaRuleOptions{Objects: 3, NewDays: 7}
	d := &Detection{
		Name:       "sigma_rule",
		Title:      "match of a Sigma rule",
		Doc:        sigmaRuleDoc,
		Technique:  "T1567",
		Impact:     70,
		Confidence: 70,
		Aggregate:  RuleDay,
		History:    baselineDays,
		Options:    o,
	}
	d.Score = func(in *Input) []Finding { return o.score(in) }
	d.Seed = func() { d.History, d.Score = allHistory, scoreRulesSeed }
	return d
}

// levelOf returns the severity and the risk of a level of rules.
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
	return Medium, 40 // also without a level
}

// levelFor returns the level that a rule's matches count as: one less than its own if
// what it found may be the company's own.
func levelFor(rule *sigma.Rule) string {
	level := cmp.Or(rule.Level, "medium")
	if i := slices.Index(sigma.Levels, level); len(rule.Unset) > 0 && i > 0 {
		return sigma.Levels[i-1]
	}
	return level
}

// newsLevel returns the level that matches count as if they are news: one more than else,
// up to high. A rule that only informs stays so.
func newsLevel(rule *sigma.Rule) string {
	level := levelFor(rule)
	own := slices.Index(sigma.Levels, cmp.Or(rule.Level, "medium"))
	if i := slices.Index(sigma.Levels, level); i >= 0 && own >= slices.Index(sigma.Levels, "low") && i < slices.Index(sigma.Levels, "high") &&
		slices.Contains(rule.Tags, "attack.exfiltration") {
		return sigma.Levels[i+1]
	}
	return level
}

// routineLevel returns the level that matches count as if several do the same day by day: one
// less than medium, for requests. Changes of permissions are looked at each time.
func routineLevel(rule *sigma.Rule) string {
	if level := levelFor(rule); level != "medium" || rule.Logsource.Category != "proxy" {
		return level
	}
	return "low"
}

// levelText names the level of a rule, and the one that its matches count as. days are
// those of the logs in which nobody else matched it, negative if several did day by day; 0: it is
// neither.
func levelText(rule *sigma.Rule, days int) string {
	level, counts := cmp.Or(rule.Level, "medium"), levelFor(rule)
	text := level
	if counts != level {
		text = fmt.Sprintf("%s, which counts as %s while %s is not set", level, counts, strings.Join(rule.Unset, " and "))
	}
	if less := routineLevel(rule); days < 0 && less != counts {
		text += fmt.Sprintf(", and as %s because several matched it on %d days or more of the %s before", less, habitDays, count(int64(-days), "day"))
	}
	if more := newsLevel(rule); days > 0 && more != counts {
		text += fmt.Sprintf(", and as %s because nobody else matched it in the %s before", more, count(int64(days), "day"))
	}
	return text
}

// A ruleOf is a rule, by its name, as it runs on a feed.
type ruleOf struct{ feed, ref string }

// A past tells who matched a rule on the judged day and before.
type past struct {
	who    Key   // who matched it on days before; the first of them
	days   []Day // on which who did, up to habitDays
	others bool  // did so, too
	now    Key   // the last who matches it today
	today  int   // how many do
}

// add adds the days of rows.
func (p *past) add(before []Row) {
	for i := range before {
		if d := before[i].Day; len(p.days) < habitDays && !slices.Contains(p.days, d) {
			p.days = append(p.days, d)
		}
	}
}

// precedents returns who matched the rules. Series come by entity, so that an entity is the
// last one or a new one.
func (in *Input) precedents() map[ruleOf]*past {
	all := map[ruleOf]*past{}
	for key, rows := range in.Series {
		ref, _ := RuleMatch(key)
		at := ruleOf{key.Feed, ref}
		p := all[at]
		if p == nil {
			p = &past{}
			all[at] = p
		}
		key.Object = ""
		before, today := in.before(rows)
		if today != nil && p.now != key {
			p.now = key
			p.today++
		}
		switch {
		case len(before) == 0:
		case len(p.days) == 0 || p.who == key:
			p.who = key
			p.add(before)
		default:
			p.others = true
			p.add(before)
		}
	}
	return all
}

// maxTogether is how many entities of a day may match a rule that is news: more have begun
// to do their work in another way.
const maxTogether = 2

// news returns the days of the logs before the judged one if nobody else matched a rule
// then, nor the entity itself out of habit; and their number below zero if several did on habitDays
// of them, which makes it routine; otherwise 0.
func (o *sigmaRuleOptions) news(in *Input, p *past, k Key) int {
	k.Object = ""
	days := len(in.baselineDays(strings.TrimSuffix(k.Feed, "/network")))
	if days >= o.NewDays && p.others && len(p.days) >= habitDays {
		return -days
	}
	if days < o.NewDays || p.today > maxTogether || p.others || len(p.days) > 0 && p.who != k || len(p.days) >= habitDays {
		return 0
	}
	return days
}

func (o *sigmaRuleOptions) score(in *Input) []Finding {
	if in.Rules == nil {
		return nil
	}
	byRef := rulesByRef(in.Rules)
	precedents := in.precedents()
	var findings []Finding
	var rows []Row // of one entity and rule
	var of *sigma.Rule
	finish := func() {
		if len(rows) == 0 {
			return
		}
		if of.Correlation == nil && len(of.Fields) == 0 { // the objects of a correlation are groups, and fields tell what matters
			rows = byPlace(rows)
		}
		slices.SortStableFunc(rows, func(a, b Row) int {
			return cmp.Or(cmp.Compare(b.BytesOut, a.BytesOut), cmp.Compare(b.Events, a.Events), strings.Compare(a.Object, b.Object))
		})
		ref, _ := RuleMatch(rows[0].Key)
		news := o.news(in, precedents[ruleOf{rows[0].Feed, ref}], rows[0].Key)
		shown := min(len(rows), max(1, o.Objects))
		if len(rows) > shown { // the last finding is for the rest
			rest := rows[shown-1:]
			all := Row{Day: in.Day, Key: rest[0].Key, Summary: sum(rest)}
			all.Object, _, _ = strings.Cut(all.Object, ruleObject) // no row has the rule alone as its object
			findings = append(findings, matched(in, &all, of, news, fmt.Sprintf("%d other objects", len(rest))))
			rows = rows[:shown-1]
		}
		for i := range rows {
			what := whatOf(&rows[i])
			findings = append(findings, matched(in, &rows[i], of, news, what))
		}
		rows = rows[:0]
	}
	for r := range in.today() {
		ref, _, _ := strings.Cut(r.Object, ruleObject)
		rule := byRef[ref]
		if rule == nil {
			continue // the rule was removed
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

// scoreRulesSeed reports each match of each rule on each day of the whole log: the
// original rules list every line and have no hosts of the company's own.
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
			if rule != nil { // nil if the rule was removed
				f := matched(&Input{Day: rows[i].Day}, &rows[i], rule, 0, what)
				f.Day = rows[i].Day
				findings = append(findings, f)
			}
		}
	}
	return findings
}

// RuleMatch splits a key of rule_day into the rule, by its name or title, and where it
// matched.
func RuleMatch(key Key) (rule, what string) {
	rule, what, _ = strings.Cut(key.Object, ruleObject)
	return rule, what
}

// whatOf returns where the rule of a row matched.
func whatOf(r *Row) string {
	_, what := RuleMatch(r.Key)
	return what
}

// placeOf returns the host where a rule matched, without a path.
func placeOf(r *Row) string {
	host, _, _ := strings.Cut(whatOf(r), "/")
	return host
}

// RuleHost returns the host where a rule matched, "" if the finding is not of a rule.
func RuleHost(f *Finding) string {
	return placeOf(&Row{Key: f.Key})
}

// maxPaths is how many paths of one host get a finding each. Three methods of an API
// are worth telling apart, a hundred files are not.
const maxPaths = 3

// byPlace joins rows of one entity and rule that differ only in the path, if there are
// more than maxPaths of them. Rows come in the order of their objects.
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

// matched returns the finding of a row of a rule; what is where the rule matched, and news
// as levelText takes it.
func matched(in *Input, r *Row, rule *sigma.Rule, news int, what string) Finding {
	f := Finding{
		Key: r.Key, Score: float64(r.Events), Threshold: 1, Observed: float64(r.Events), Baseline: math.NaN(), Unit: "matches/day",
		Window: in.Day.window(), Summary: r.Summary, Title: rule.Title,
	}
	f.Severity, f.RiskScore = levelOf(levelFor(rule))
	if news > 0 {
		f.Severity, f.RiskScore = levelOf(newsLevel(rule))
	} else if news < 0 {
		f.Severity, f.RiskScore = levelOf(routineLevel(rule))
	}
	if t := rule.Techniques(); len(t) > 0 {
		f.Technique = techniqueAmong(t)
	}
	bytes := ""
	if r.KnownOut > 0 {
		bytes = ", " + size(float64(r.BytesOut)) + " out"
	}
	example := ""
	if len(r.Examples) > 0 && r.Examples[0] != what {
		first := ", the first as"
		if r.Events == 1 {
			first = ", as"
		}
		example = fmt.Sprintf("%s \"%s\"", first, printable(r.Examples[0]))
	}
	if rule.Correlation != nil {
		return correlated(f, in.Day, rule, news, what)
	}
	innocent := innocentCauses(rule)
	f.Why = fmt.Sprintf("%s matched the rule \"%s\" %s on %s: %s%s%s (level %s; %s).",
		printable(r.Who()), printable(rule.Title), matchedTimes(r.Events), in.Day, printable(what), bytes, example, levelText(rule, news), innocent)
	return f
}

// matchedTimes says how often a rule matched.
func matchedTimes(n int64) string {
	if n == 1 {
		return "once"
	}
	return count(n, "time")
}

// correlated completes the finding of a correlation.
func correlated(f Finding, day Day, rule *sigma.Rule, news int, what string) Finding {
	who := printable(f.Who())
	if f.EntityType == "group" {
		who = "events of any entity"
	}
	examples := ""
	for i, e := range f.Summary.Examples {
		examples += [...]string{", as \"", "\", then \"", "\", then \""}[min(i, 2)] + printable(e)
	}
	if examples != "" {
		examples += "\""
	}
	cut := ""
	if f.Summary.WindowEvents > sigma.MaxWindow {
		cut = "; a window had too many events to examine all, so the correlation may not have held"
	}
	if what == "within "+spanText(rule.Correlation.Span()) {
		what = "" // the group has nothing but the entity
	} else {
		what = " (" + printable(what) + ")"
	}
	at := func(us int64) string { return time.UnixMicro(us).UTC().Format(time.TimeOnly) }
	f.Why = fmt.Sprintf("%s matched the correlation \"%s\" on %s: %s of %s%s%s within %s, from %s to %s%s%s (level %s; %s).",
		who, printable(rule.Title), day, count(f.Summary.Events, "event"), printable(ruleNames(rule)), printable(whereText(rule)), what, spanText(rule.Correlation.Span()),
		at(f.Summary.First), at(f.Summary.Last), examples, cut, levelText(rule, news), innocentCauses(rule))
	return f
}

func innocentCauses(rule *sigma.Rule) string {
	if len(rule.FalsePositives) == 0 {
		return "the rule names no false positives"
	}
	return "common false positives: " + printable(lowerFirst(strings.Join(rule.FalsePositives, "; ")))
}

// about reports whether a rule has the tag of a technique that serves a tactic.
func about(rule *sigma.Rule, tactic string) bool {
	return slices.ContainsFunc(rule.Techniques(), func(id string) bool { return slices.Contains(Tactics(id), tactic) })
}

// techniqueAmong returns the first technique that serves exfiltration, else the first
// one.
func techniqueAmong(ids []string) string {
	for _, id := range ids {
		if slices.Contains(Tactics(id), Exfiltration) {
			return id
		}
	}
	for _, id := range ids {
		if Tactics(id) != nil {
			return id
		}
	}
	return ids[0]
}

// lowerFirst makes the first letter lower case, so that a sentence can be part of
// another.
func lowerFirst(s string) string {
	if len(s) > 1 && s[0]-'A' < 26 && s[1]-'A' >= 26 {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}
