package detect

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"outflow/columnar"
	"outflow/stats/sigma"
)

type sigmaRuleOptions struct {
	Objects int `yaml:"objects" unit:"objects" doc:"how many objects of one entity and rule get a finding each: those with the most bytes, then the most matches; the rest share one finding, because an attacker who chooses names and paths can choose many"`
	NewDays int `yaml:"new_days" unit:"days" doc:"days of a feed's logs after which a match of a rule about exfiltration counts one level more, up to high, if nobody else matched that rule in the 30 days before; more reports fewer of them as high"`
}

const sigmaRuleDoc = `Matches of Sigma rules: those that come with outflow (outflow list rules) and those in the folders of the key rules.

What it sees: rows of any log that a rule describes. All that one entity did to one object in a day is one finding, with
its count, bytes and first examples; the rule's level gives severity and risk, its tag the technique. If nobody else matched a rule about exfiltration
in the 30 days before, its match is news to the company and counts one level more, up to high. A rule that says where data goes has the destination
as its object, and counts as its destination's level if nobody sent there before and new destinations are rare. What an entity did on four days before,
as often and at the same object, is a habit and counts as low. What three did on four days counts one level less, and
what ten did on ten days as low, if its rule is of level high. For a
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

// levelFor returns the level that a rule's match counts as if it is not new: one less than the
// rule's own if what it found may be the company's own, as a private mailbox is not.
func (n novelty) levelFor(rule *sigma.Rule) string {
	level := cmp.Or(rule.Level, "medium")
	if i := slices.Index(sigma.Levels, level); len(rule.Unset) > 0 && !n.private && i > 0 {
		return sigma.Levels[i-1]
	}
	return level
}

// newsLevel returns the level that matches count as if nobody else matched the rule: one more
// than else, up to high. A rule that only informs stays so.
func newsLevel(rule *sigma.Rule, level string) string {
	own := slices.Index(sigma.Levels, cmp.Or(rule.Level, "medium"))
	if i := slices.Index(sigma.Levels, level); i >= 0 && own >= slices.Index(sigma.Levels, "low") && i < slices.Index(sigma.Levels, "high") &&
		slices.Contains(rule.Tags, "attack.exfiltration") {
		return sigma.Levels[i+1]
	}
	return level
}

// A novelty is what is new about a match: the days of the logs before the judged one in which
// nobody else matched the rule, and nobody sent to its destination; 0: that is not new. What
// goes to a private mailbox is compared with what went to one. habit is on how many days
// before the entity matched the same, as often, if that is what it does.
type novelty struct {
	rule, destination, habit int
	most                     int64 // matches of anyone on a day before, of a burst
	private, burst           bool
	practised, common        bool
	known                    bool // somebody sent to its destination a week ago and before
	own                      bool // it is shared with the entity's own domain
}

// level returns the level that a match of a rule counts as.
func (n novelty) level(rule *sigma.Rule) string {
	level := n.levelFor(rule)
	if (n.habit > 0 || n.own && len(rule.Unset) > 0) && (level == "medium" || level == "high") {
		return "low"
	}
	switch {
	case n.rule > 0 || n.burst:
		level = newsLevel(rule, level)
	case n.common && level == "high":
		level = "low"
	case (n.practised || n.known) && (level == "medium" || level == "high"):
		level = sigma.Levels[slices.Index(sigma.Levels, level)-1]
	}
	if n.destination > 0 && slices.Index(sigma.Levels, rule.Destination.Level) > slices.Index(sigma.Levels, level) {
		level = rule.Destination.Level
	}
	return level
}

// text names the level of a rule, and the one that its match counts as.
func (n novelty) text(rule *sigma.Rule) string {
	level, counts := cmp.Or(rule.Level, "medium"), n.levelFor(rule)
	text, how := level, ""
	if n.private {
		how = " with a private mailbox"
	}
	if counts != level {
		text = fmt.Sprintf("%s, which counts as %s while %s is not set", level, counts, strings.Join(rule.Unset, " and "))
	}
	switch more := n.level(rule); {
	case more == counts:
	case n.habit > 0:
		text += fmt.Sprintf(", and as %s because it matched there on %s before", more, count(int64(n.habit), "day"))
	case n.own && len(rule.Unset) > 0:
		text += fmt.Sprintf(", and as %s because that is its own domain", more)
	case n.burst && n.rule == 0 && more == newsLevel(rule, counts):
		text += fmt.Sprintf(", and as %s because nobody had more than %s on a day before", more, count(n.most, "time"))
	case n.known && n.rule == 0 && n.destination == 0:
		text += fmt.Sprintf(", and as %s because others or it sent there more than a week before", more)
	case n.common && more == "low" && counts == "high":
		text += fmt.Sprintf(", and as %s because %d or more matched it%s on %s before", more, custom, how, count(custom, "day"))
	case n.practised && n.rule == 0 && n.destination == 0:
		text += fmt.Sprintf(", and as %s because several others matched it%s in the days before", more, how)
	case n.rule > 0 && more == newsLevel(rule, counts):
		text += fmt.Sprintf(", and as %s because nobody else matched it%s in the %s before", more, how, count(int64(n.rule), "day"))
	default:
		text += fmt.Sprintf(", and as %s because nobody sent there in the %s before", more, count(int64(n.destination), "day"))
	}
	return text
}

// weight returns what is added to the risk: the longer nobody did the same, the more it says,
// and so does a burst.
func (n novelty) weight() int {
	days := max(n.rule, n.destination)
	if n.burst {
		days = max(days, baselineDays)
	}
	return min(days, baselineDays) / 3
}

// A ruleOf is a rule, by its name, as it runs on a feed, for what goes to private mailboxes or
// for all else.
type ruleOf struct {
	feed, ref string
	private   bool
}

// matchOf returns as what the match of a key is compared with others. rule is nil if it was removed.
func matchOf(k Key, rule *sigma.Rule) ruleOf {
	ref, what := RuleMatch(k)
	return ruleOf{k.Feed, ref, rule != nil && !namesPlace(rule) && sigma.Private(what)}
}

// namesPlace reports whether the objects of a rule's matches are places, such as a host and a path,
// in which an address of a mailbox is any text. Those of a correlation are groups, and else fields
// and destinations tell what matters.
func namesPlace(rule *sigma.Rule) bool {
	return rule.Correlation == nil && len(rule.Fields) == 0 && rule.Destination == nil
}

// A past tells who matched a rule on the judged day and before.
type past struct {
	who   map[Key][]Day // of entities, without an object: on which days before, up to habitDays
	now   Key           // the last who matches it today
	today int           // how many do
	// first is the first day of each place where it matched, of a rule with a destination.
	first map[string]Day
	there map[string]int // how many match it there today
	most  int64          // matches of an entity on a day before, at all places
	total map[Key]int64  // of the entities of today

	jobs      int   // how many of who match it out of habit
	practised bool  // it finds what people of the company do: at least practice of them, on habitDays days
	common    bool  // at least custom of them, on as many days
	begins    []Day // the days of first, each once, in order
}

// A daySum is how often an entity matched a rule on a day.
type daySum struct {
	ruleOf
	day Day
}

// precedents tell of the matches of the judged day what came before.
type precedents struct {
	of     map[ruleOf]*past
	habits map[Key]int // of a key of today: on how many days before it had at least half as many matches
}

var ruleEvents = quantity{of: func(r *Row) int64 { return r.Events }, scale: 1}

// precedents returns what came before the matches of the judged day. Series come by entity,
// so that an entity is the last one or a new one.
func (in *Input) precedents(byRef map[string]*sigma.Rule) precedents {
	all := precedents{map[ruleOf]*past{}, map[Key]int{}}
	var of Key // an entity
	sums := map[daySum]int64{}
	end := func() {
		for at, n := range sums {
			p := all.of[at.ruleOf]
			if at.day < in.Day {
				p.most = max(p.most, n)
			} else if at.day == in.Day {
				p.total[of] = n
			}
		}
		clear(sums)
	}
	for key, rows := range in.Series {
		ref, what := RuleMatch(key)
		if entity := (Key{Feed: key.Feed, EntityType: key.EntityType, Entity: key.Entity}); entity != of {
			end()
			of = entity
		}
		at := matchOf(key, byRef[ref])
		p := all.of[at]
		if p == nil {
			p = &past{who: map[Key][]Day{}, first: map[string]Day{}, there: map[string]int{}, total: map[Key]int64{}}
			all.of[at] = p
		}
		for i := range rows {
			sums[daySum{at, rows[i].Day}] += rows[i].Events
		}
		before, today := in.before(rows)
		if rule := byRef[ref]; rule != nil && rule.Destination != nil {
			if today != nil {
				p.there[what]++
			}
			if day, ok := p.first[what]; !ok || rows[0].Day < day {
				p.first[what] = rows[0].Day
			}
		}
		if today != nil {
			if n := ruleEvents.days(today.Events, before, anyDay); n > 0 {
				all.habits[key] = n
			}
		}
		key.Object = ""
		if today != nil && p.now != key {
			p.now = key
			p.today++
		}
		for i := range before {
			if d, days := before[i].Day, p.who[key]; len(days) < habitDays && !slices.Contains(days, d) {
				p.who[key] = append(days, d)
			}
		}
	}
	end()
	for _, p := range all.of {
		p.settle()
	}
	return all
}

// settle works out what all matches of today are compared with.
func (p *past) settle() {
	days := map[Day]bool{}
	for _, of := range p.who {
		if len(of) >= habitDays {
			p.jobs++
		}
		for _, d := range of {
			days[d] = true
		}
	}
	p.practised = len(p.who) >= practice && len(days) >= habitDays
	p.common = len(p.who) >= custom && len(days) >= custom
	p.begins = slices.Compact(slices.Sorted(maps.Values(p.first)))
}

// practice is how many who match a rule make it what people of the company do. custom is how
// many make it what they do nearly every day, on as many days: each match of a rule of level
// high would be a finding to look at, and the one that matters would not be seen among them.
const practice, custom = 3, 10

// A day with at least burst matches of a rule is much if it is also burstRise times the most
// that anyone had on a day before.
const burst, burstRise = 10, 3

// maxTogether is how many entities of a day may match a rule that is news: more have begun
// to do their work in another way. So many, too, may match it out of habit, such as jobs: who
// else does is news.
const maxTogether = 2

// news returns what is new about the match of a key: the rule, if nobody else matched it in
// the days before but out of habit, nor the entity itself a week ago; and its destination, if
// nobody sent there and new ones are rare, as where buckets are few and the company's own.
func (o *sigmaRuleOptions) news(in *Input, before precedents, k Key, rule *sigma.Rule) (n novelty) {
	_, what := RuleMatch(k)
	at := matchOf(k, rule)
	n.private = at.private
	p := before.of[at]
	feed := k
	feed.Feed = strings.TrimSuffix(k.Feed, "/network")
	if days := before.habits[k]; days >= in.habitDays(feed) {
		n.habit = days
		return n
	}
	if n.own = ownDomain(k, what); n.own {
		return n
	}
	k.Object = ""
	n.practised, n.common = p.practised, p.common // also in the first days of a log, when nothing is new
	covered := in.baselineDays(feed.Feed)
	if len(covered) < o.NewDays {
		return n
	}
	days := p.who[k]
	others := len(p.who) - p.jobs // who matches it now and then
	some := len(days) >= habitDays
	if n := len(days); n > 0 && !some {
		others--
		some = in.Day-slices.Min(days) >= spree
	}
	first, placed := p.first[what]
	if !some && others == 0 && p.jobs <= maxTogether && p.today <= maxTogether && (!placed || in.Day-first < spree) {
		n.rule = len(covered)
	}
	total := p.total[k]
	if n.burst = total >= burst && total >= burstRise*p.most; n.burst {
		n.most = p.most
	}
	n.known = placed && in.Day-first >= spree
	if placed && first == in.Day && p.there[what] <= maxTogether {
		learnt := slices.Min(covered) + Day(o.NewDays) // before, all are new
		from, _ := slices.BinarySearch(p.begins, learnt)
		to, _ := slices.BinarySearch(p.begins, in.Day)
		if to-from < habitDays/2 {
			n.destination = len(covered)
		}
	}
	return n
}

// ownDomain reports whether all mail addresses in a text are in the domain of the acting user,
// and no private one: nothing leaves a company by them. Guests act under addresses that
// the company made for them.
func ownDomain(k Key, what string) bool {
	_, domain, ok := strings.Cut(k.Entity, "@")
	if !ok || k.EntityType != columnar.User.String() || strings.Contains(k.Entity, "#") || sigma.Private(k.Entity) {
		return false
	}
	found := false
	for rest := strings.ToLower(what); ; {
		_, after, more := strings.Cut(rest, "@")
		if !more {
			return found
		}
		end := strings.IndexFunc(after, func(c rune) bool { return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-') })
		if end < 0 {
			end = len(after)
		}
		if after[:end] != domain {
			return false
		}
		found, rest = true, after[end:]
	}
}

func (o *sigmaRuleOptions) score(in *Input) []Finding {
	if in.Rules == nil {
		return nil
	}
	byRef := rulesByRef(in.Rules)
	before := in.precedents(byRef)
	var findings []Finding
	var rows []Row // of one entity and rule
	var of *sigma.Rule
	finish := func() {
		if len(rows) == 0 {
			return
		}
		if namesPlace(of) {
			rows = byPlace(rows)
		}
		news := make(map[Key]novelty, len(rows))
		for i := range rows {
			news[rows[i].Key] = o.news(in, before, rows[i].Key, of)
		}
		if of.Level == "informational" && of.Destination != nil && of.Destination.Level != "" { // it reports new destinations only
			rows = slices.DeleteFunc(rows, func(r Row) bool { return news[r.Key].destination == 0 })
		}
		slices.SortStableFunc(rows, func(a, b Row) int {
			return cmp.Or(cmp.Compare(news[b.Key].destination, news[a.Key].destination),
				cmp.Compare(b.BytesOut, a.BytesOut), cmp.Compare(b.Events, a.Events), strings.Compare(a.Object, b.Object))
		})
		shown := min(len(rows), max(1, o.Objects))
		if len(rows) > shown { // the last finding is for the rest
			rest := rows[shown-1:]
			all := Row{Day: in.Day, Key: rest[0].Key, Summary: sum(rest)}
			all.Object, _, _ = strings.Cut(all.Object, ruleObject) // no row has the rule alone as its object
			findings = append(findings, matched(in, &all, of, news[rest[0].Key], fmt.Sprintf("%d other objects", len(rest))))
			rows = rows[:shown-1]
		}
		for i := range rows {
			findings = append(findings, matched(in, &rows[i], of, news[rows[i].Key], whatOf(&rows[i])))
		}
		rows = rows[:0]
	}
	for r := range in.today() {
		ref, _, _ := strings.Cut(r.Object, ruleObject)
		rule := byRef[ref]
		if rule == nil {
			continue // the rule was removed
		}
		if in.Own(placeOf(r)) && about(rule, exfiltration) {
			continue
		}
		if n := len(rows); n > 0 && (of != rule || rows[n-1].Feed != r.Feed || rows[n-1].EntityType != r.EntityType || rows[n-1].Entity != r.Entity) {
			finish()
		}
		of = rule
		rows = append(rows, *r)
	}
	finish()
	corroborate(findings)
	return findings
}

// corroborate raises the risk of findings of several rules about the same entity and object: their severity
// stays, since all may judge the same bytes, but they stand before what one rule says.
func corroborate(findings []Finding) {
	groups := map[Key][]*Finding{}
	for i := range findings {
		f := &findings[i]
		k := f.Key
		if _, k.Object = RuleMatch(f.Key); k.Object != "" && f.Severity >= Medium {
			groups[k] = append(groups[k], f)
		}
	}
	for _, group := range groups {
		var risks []int
		for _, f := range group {
			risks = append(risks, f.RiskScore)
		}
		for _, f := range group {
			if f.RiskScore = jointRisk(risks); f.Severity < High {
				f.RiskScore = min(f.RiskScore, leastRisk[f.Severity+1]-1)
			}
		}
	}
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
				f := matched(&Input{Day: rows[i].Day}, &rows[i], rule, novelty{}, what)
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

// placeOf returns the host or the bucket where a rule matched, without a scheme and a path.
func placeOf(r *Row) string {
	what := whatOf(r)
	if scheme, behind, ok := strings.Cut(what, "://"); ok && !strings.ContainsAny(scheme, " /") {
		what = behind
	}
	host, _, _ := strings.Cut(what, "/")
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
// what is new about it.
func matched(in *Input, r *Row, rule *sigma.Rule, news novelty, what string) Finding {
	f := Finding{
		Key: r.Key, Score: float64(r.Events), Threshold: 1, Observed: float64(r.Events), Baseline: math.NaN(), Unit: "matches/day",
		Window: in.Day.window(), Summary: r.Summary, Title: rule.Title,
	}
	f.Severity, f.RiskScore = levelOf(news.level(rule))
	if f.Severity > Info {
		f.RiskScore += news.weight()
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
		printable(r.Who()), printable(rule.Title), matchedTimes(r.Events), in.Day, printable(what), bytes, example, news.text(rule), innocent)
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
func correlated(f Finding, day Day, rule *sigma.Rule, news novelty, what string) Finding {
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
		at(f.Summary.First), at(f.Summary.Last), examples, cut, news.text(rule), innocentCauses(rule))
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
	return slices.ContainsFunc(rule.Techniques(), func(id string) bool { return slices.Contains(tacticsOf(id), tactic) })
}

// techniqueAmong returns the first technique that serves exfiltration, else the first
// one.
func techniqueAmong(ids []string) string {
	for _, id := range ids {
		if slices.Contains(tacticsOf(id), exfiltration) {
			return id
		}
	}
	for _, id := range ids {
		if tacticsOf(id) != nil {
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
