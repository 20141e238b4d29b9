package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"outflow/stats/detect"
)

// This file makes the cards of the page: one per person or machine, with all that it
// did in the order of time.

const (
	maxSteps   = 12 // findings of one card; nobody reads a longer story
	maxActs    = 4  // of them in the card's summary
	maxAliases = 6
	maxMembers = 30
	// sameCards is how many people and machines with the same findings share a card.
	// With fewer, a card each says more.
	sameCards = 10
)

// A card is a person or machine on the page, or several with the same findings.
type card struct {
	ID         string
	Severity   string
	Urgency    string
	Who        shown
	Type       string
	Aliases    []shown // its other names, addresses and machines
	Possibly   []shown // whose a machine possibly is
	Risk       int
	Notable    bool
	Since      string // "new", "3rd night in a row"; "" if no earlier night was judged
	Acts       []act
	ActsLeft   int
	Unusual    string
	Label      shown
	Reported   bool // all that the person or machine did was reported before
	Todo       string
	Steps      []finding
	StepsLeft  int
	Members    []shown // if the card is about several
	MoreThere  int     // members that Members leaves out
	Detections string  // names, for the filter
	Kind       string  // subject.class, for the filter
	High       bool    // needs a decision
	Medium     bool    // or higher: printed open
}

// An act says in a few words what a finding is about.
type act struct {
	ID    string // of the step; "" if it has no place on the page
	Title string // of a rule or detection; "" if Text says it all
	Text  string // after the title
	Where shown
	Then  bool     // it began when the act before had ended
	Rules []string // titles of the rules that matched the same bytes
}

// A tribe is what a card is about: a subject, or several with the same findings.
type tribe []*subject

// tribes joins subjects whose findings are the same, if there are at least sameCards
// of them, at the place of the first.
func tribes(all []*subject) []tribe {
	same := map[string][]*subject{}
	keys := make([]string, len(all))
	for i, s := range all {
		var parts []string
		for _, f := range s.findings {
			if f.Object == "" { // an amount, which is each one's own
				parts = nil
				break
			}
			parts = append(parts, fmt.Sprintf("%d %q %q", f.Severity, f.Detection, f.Object))
		}
		if parts != nil {
			slices.Sort(parts)
			keys[i] = s.class() + " " + strings.Join(slices.Compact(parts), " ")
			same[keys[i]] = append(same[keys[i]], s)
		}
	}
	var out []tribe
	for i, s := range all {
		switch t := same[keys[i]]; {
		case keys[i] == "" || len(t) < sameCards:
			out = append(out, tribe{s})
		case t[0] == s:
			out = append(out, t)
		}
	}
	return out
}

// findings returns the number of findings of a tribe.
func (t tribe) findings() (n int) {
	for _, s := range t {
		n += len(s.findings)
	}
	return n
}

// cards makes the cards. At most full findings are in full, and at most brief more in
// short; the others are counted.
func (p *page) cards(r *Report, all []*subject, full, brief int) {
	past := newPast(r)
	for _, t := range tribes(all) {
		s := t[0]
		if full+brief <= 0 {
			p.Left += t.findings()
			p.CardsLeft++
			continue
		}
		c := newCard(fmt.Sprintf("c%d", len(p.Cards)+1), t)
		c.Since = past.since(s)
		story := slices.Clone(s.findings[:min(len(s.findings), maxSteps)])
		c.StepsLeft = t.findings() - len(story)
		worst := story[0]
		slices.SortStableFunc(story, detect.StoryOrder)
		story, same := oneAct(story)
		for i, f := range story {
			step := newAct(f, r.detection(f.Detection))
			step.Then = i > 0 && f.Follows(story[i-1])
			for _, rule := range same[f] {
				step.Rules = append(step.Rules, ruleTitle(rule))
			}
			id := fmt.Sprintf("%ss%d", c.ID, len(c.Steps)+1)
			var v finding
			switch {
			case full > 0:
				full--
				v = newFinding(id, f, r.detection(f.Detection), r)
			default:
				brief--
				v = briefFinding(f, r.detection(f.Detection))
				v.ID = id
			}
			v.Act = step
			for _, rule := range same[f] {
				w := briefFinding(rule, r.detection(rule.Detection))
				w.Act, w.Same = newAct(rule, nil), true
				v.Rules = append(v.Rules, w)
			}
			c.Steps = append(c.Steps, v)
			if f == worst {
				c.Unusual, c.Label = v.Unusual, v.Label
			}
			if step.ID = v.ID; len(c.Acts) < maxActs {
				c.Acts = append(c.Acts, step)
			} else {
				c.ActsLeft++
			}
		}
		p.Cards = append(p.Cards, c)
	}
	for i := range p.Cards {
		if c := &p.Cards[i]; c.High {
			p.Decide = append(p.Decide, c)
		}
	}
	if len(p.Decide) > maxDecide {
		p.DecideLeft = len(p.Decide) - maxDecide
		p.Decide = p.Decide[:maxDecide]
	}
}

func newCard(id string, t tribe) card {
	s := t[0]
	c := card{
		ID: id, Severity: s.worst.String(), Urgency: request(s.worst),
		Type: entityType(s.kind), Risk: s.risk.Risk24h, Notable: s.risk.Notable,
		Todo:     todo(s.findings[0]),
		Reported: !slices.ContainsFunc(s.findings, func(f *detect.Finding) bool { return !f.Reported }),
		High:     s.worst >= detect.High, Medium: s.worst >= detect.Medium,
	}
	c.Who, c.Kind = show(s.spelling(), maxName), s.class()
	if s.service {
		c.Type = "service account"
	}
	if len(t) > 1 {
		c.Who, c.Type = shown{Text: count(int64(len(t))) + " " + c.Kind}, "with the same findings"
		for _, m := range t[:min(len(t), maxMembers)] {
			c.Members = append(c.Members, show(m.spelling(), maxName))
		}
		c.MoreThere = len(t) - len(c.Members)
	}
	var names []string
	add := func(name string) {
		if name != "" && name != s.spelling() && !slices.Contains(names, name) && len(t) == 1 {
			names = append(names, name)
		}
	}
	var detections []string
	for _, f := range s.findings {
		add(f.Who())
		for _, place := range f.Summary.Records() {
			add(place.Host)
		}
		detections = append(append(detections, f.Detection), f.Also...)
	}
	for _, name := range names[:min(len(names), maxAliases)] {
		c.Aliases = append(c.Aliases, show(name, maxName))
	}
	for _, name := range s.possiblePersons() {
		if len(t) == 1 {
			c.Possibly = append(c.Possibly, show(name, maxName))
		}
	}
	slices.Sort(detections)
	c.Detections, _ = cut(strings.Join(slices.Compact(detections), " "), maxSentence)
	return c
}

// spelling returns the subject's name as the logs spell it.
func (s *subject) spelling() string {
	for _, f := range s.findings {
		if f.Person == "" {
			return f.Who()
		}
	}
	return s.name
}

// maxPossible is how many persons a card names of those whose a machine possibly is.
const maxPossible = 2

// possiblePersons returns whose the subject possibly is.
func (s *subject) possiblePersons() (names []string) {
	for _, f := range s.findings {
		for _, name := range f.PossiblePersons() {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names[:min(len(names), maxPossible)]
}

// urgency says when a reader should act on a severity.
var urgency = map[detect.Severity]string{
	detect.Critical: "now",
	detect.High:     "today",
	detect.Medium:   "this week",
	detect.Low:      "when there is time",
	detect.Info:     "for context",
}

// request asks the reader to act on a severity.
func request(s detect.Severity) string {
	switch {
	case s >= detect.High:
		return "decide " + urgency[s]
	case s == detect.Medium:
		return "look at it " + urgency[s]
	}
	return urgency[s]
}

// todo says what to do first about a finding.
func todo(f *detect.Finding) string {
	switch {
	case f.Summary.NameBytes > 0:
		return "find the process that sent the queries, and isolate the machine if nobody can explain it"
	case f.Detection == "beacon":
		return "find the process that connects, and ask whose it is"
	}
	switch stage := f.Stage(); {
	case stage == detect.Collected:
		return "ask whether the person or job needs this data"
	case stage == detect.Tool:
		return "ask who started the program, and what it read"
	case stage == detect.Shared:
		return "see who can open it now, and revoke that if nobody agreed to it"
	case isRule(f) && f.Summary.BytesOut == 0: // a link, a forwarding rule, an export
		return "ask what it is for, and undo it if nobody agreed to it"
	}
	return "check whether the destination is approved, and ask for the purpose"
}

// newAct says in a few words what a finding is about.
func newAct(f *detect.Finding, d *detect.Detection) act {
	a := act{Where: where(f.Object)}
	switch {
	case isRule(f):
		_, what := detect.RuleMatch(f.Key)
		if strings.HasPrefix(what, "within ") { // the title of a correlation says enough
			what = ""
		}
		a.Title, a.Where = ruleTitle(f), where(what)
		if f.Summary.BytesOut > 0 {
			a.Text += " (" + byteSize(float64(f.Summary.BytesOut)) + ")"
		}
		if what != "" {
			a.Text += ":"
		}
	case f.Download() && f.Unit == "B/day":
		a.Text = "fetched " + byteSize(f.Observed) + " from"
	case f.Download():
		a.Text = "fetched " + strings.TrimSuffix(quantity(f.Observed, f.Unit), " a day") + " from"
	case f.Summary.NameBytes > 0:
		a.Text = "sent " + byteSize(float64(f.Summary.NameBytes)) + " in DNS queries for"
	case f.Detection == "beacon":
		a.Text = "connected at regular intervals to"
	case f.Bytes() > 0:
		a.Text = uploaded(f)
		switch {
		case f.Mostly != "":
			a.Text, a.Where = a.Text+", most of it to", where(f.Mostly)
		case f.Object == "":
			if text, ok := strings.CutSuffix(a.Text, ")"); ok {
				a.Text = text + "; " + elsewhere + ")"
			} else {
				a.Text += " (" + elsewhere + ")"
			}
		}
	default:
		a.Title = title(f.Detection, d)
	}
	return a
}

// uploaded says how much was uploaded, and how much of it is above normal if that is less.
func uploaded(f *detect.Finding) string {
	all := f.Bytes()
	if f.Object != "" {
		all = sentThere(f)
	}
	text := "uploaded " + byteSize(float64(all))
	if above := byteSize(f.Observed - f.Baseline); f.Unit == "B/day" && int64(f.Observed) == all && f.Observed > f.Baseline && above != byteSize(float64(all)) {
		text += " (" + above + " above normal)"
	}
	switch day := f.Bytes(); {
	case f.Object == "":
	case day/2 >= all: // the rest of the day is not told elsewhere
		text = "uploaded " + byteSize(float64(day)) + ", " + byteSize(float64(all)) + " of it to"
	default:
		text += " to"
	}
	return text
}

// ruleTitle returns the title of the rule that matched, or its name if it is not known.
func ruleTitle(f *detect.Finding) string {
	rule, _ := detect.RuleMatch(f.Key)
	text, _ := cut(cmp.Or(f.Title, "rule "+rule), maxSentence)
	return text
}

// oneAct returns findings without those of rules that matched the bytes of an upload
// among them, and these by their upload: two names of one act.
func oneAct(findings []*detect.Finding) (acts []*detect.Finding, same map[*detect.Finding][]*detect.Finding) {
	same = map[*detect.Finding][]*detect.Finding{}
	for _, f := range findings {
		i := slices.IndexFunc(findings, func(upload *detect.Finding) bool { return sameBytes(f, upload) })
		if i < 0 {
			acts = append(acts, f)
			continue
		}
		same[findings[i]] = append(same[findings[i]], f)
	}
	return acts, same
}

// sameBytes reports whether a finding of a rule is about most of the bytes of an upload.
func sameBytes(rule, upload *detect.Finding) bool {
	host := detect.RuleHost(rule)
	return isRule(rule) && !isRule(upload) && host != "" && rule.Day == upload.Day &&
		!upload.Download() && upload.Summary.NameBytes == 0 && cmp.Or(upload.Object, upload.Mostly) == host &&
		rule.Summary.BytesOut > sentThere(upload)/2
}

// sentThere returns the bytes that went to the object of an upload; of one without, all.
func sentThere(f *detect.Finding) int64 { return cmp.Or(f.ObjectBytes, f.Bytes()) }

// A past is what earlier nights found, by day and subject.
type past struct {
	days []detect.Day // judged before, newest first
	acts map[detect.Day]map[pastAct]bool
}

// A pastAct is a kind of finding about a subject.
type pastAct struct{ kind, name, what string }

func newPast(r *Report) *past {
	p := &past{acts: map[detect.Day]map[pastAct]bool{}}
	for _, day := range slices.Backward(r.EarlierDays) {
		p.days = append(p.days, day)
		p.acts[day] = map[pastAct]bool{}
	}
	for i := range r.Earlier {
		if f := &r.Earlier[i]; f.Allowed == "" && p.acts[f.Day] != nil {
			p.acts[f.Day][actKey(f)] = true
		}
	}
	return p
}

// actKey returns what makes findings of two nights the same act.
func actKey(f *detect.Finding) pastAct {
	var a pastAct
	a.kind, a.name = f.Subject()
	a.what = cmp.Or(f.Verdict, f.Detection)
	if isRule(f) {
		a.what, _ = detect.RuleMatch(f.Key)
	}
	return a
}

// nights returns on how many of the nights before, without a gap, the subject had a
// finding like one of these, and the last earlier day with one; 0 if there is none.
func (p *past) nights(s *subject) (row int, last detect.Day) {
	unbroken := true
	for _, day := range p.days {
		found := slices.ContainsFunc(s.findings, func(f *detect.Finding) bool { return p.acts[day][actKey(f)] })
		if found && last == 0 {
			last = day
		}
		if unbroken = unbroken && found; unbroken {
			row++
		}
	}
	return row, last
}

// since says how long the subject has had findings like these.
func (p *past) since(s *subject) string {
	row, last := p.nights(s)
	switch {
	case len(p.days) == 0:
		return ""
	case row > 0:
		return ordinal(row+1) + " night in a row"
	case last > 0:
		return "again, last on " + last.Time().Format(shortDay)
	}
	return "new"
}

// ordinal writes 1st, 2nd, 3rd, 4th …
func ordinal(n int) string {
	suffix := "th"
	switch {
	case n%100 >= 11 && n%100 <= 13:
	case n%10 == 1:
		suffix = "st"
	case n%10 == 2:
		suffix = "nd"
	case n%10 == 3:
		suffix = "rd"
	}
	return count(int64(n)) + suffix
}
