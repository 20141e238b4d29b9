package reports

import (
	"slices"
	"strconv"
	"strings"

	"outflow/stats/detect"
)

// This file shows findings on the page, in full and in brief.

// maxWord is how many characters of one word fit into a column of facts.
const maxWord = 24

// A fact is a row of a finding's table of facts.
type fact struct {
	Name  string
	Value shown
	Note  string
	Wide  bool // two columns
}

// A logRecord is a place of evidence, with what the log has there.
type logRecord struct {
	Place shown
	Text  string // "" if it was not read again
	Of    string // how long the record is, if Text is cut
}

type finding struct {
	ID       string // of its section; "" if it has none
	Severity string
	Who      shown
	WhoType  string
	Person   shown // whose Who is; "" if that is not known
	What     string
	Method   string // id of the detection's section
	Where    shown
	Day      string
	Unusual  string // how unusual, in a few words
	Why      shown
	Label    shown
	Allowed  shown

	Facts    []fact
	Records  []logRecord // that show what the finding says
	UID      string
	Missing  []string // why the page lacks the text of some of Records
	Evidence []shown
	Timeline *timeline
	Clock    *picture // by the time of its day
	Innocent string   // common false positives
	Ask      []string // how to investigate
	Queries  []query
	Snippet  string
	Scope    string // what Snippet accepts beside the finding
	Act      act
	Time     string // when it was done: 18:52 or 18:52–19:39; "" if it is not known
	Stage    string
	Rules    []finding // of rules that matched the same bytes
	Same     bool      // it is one of Rules
	Reported bool      // detect.Finding.Reported
	Full     bool      // it has facts and evidence
}

// entityTypes are the words for the types of entities.
var entityTypes = map[string]string{"user": "user", "src_ip": "address", "host": "host"}

func entityType(t string) string {
	if word, ok := entityTypes[t]; ok {
		return word
	}
	t, _ = cut(t, maxName)
	return t
}

// where returns the object of a finding in a form that no program turns into a
// link.
func where(object string) shown { return show(defang(object), maxPlace) }

// unusual says in a few words how unusual a finding is.
func unusual(f *detect.Finding) string {
	if isRule(f) {
		return "" // one match is enough, and more matches need not be worse
	}
	if q := times(f.Observed, f.Baseline); q != "" {
		return q + " normal"
	}
	if q := times(f.Score, f.Threshold); q != "" && f.Score > f.Threshold {
		return q + " the alert limit"
	}
	return ""
}

// isRule reports whether a finding comes from a Sigma rule.
func isRule(f *detect.Finding) bool { return f.Detection == "sigma_rule" }

// title returns a detection's title as a heading, or its name if it has no title.
func title(name string, d *detect.Detection) string {
	if d == nil || d.Title == "" {
		name, _ = cut(name, maxName)
		return name
	}
	return strings.ToUpper(d.Title[:1]) + d.Title[1:]
}

// briefFinding returns what a row of a table shows of a finding.
func briefFinding(f *detect.Finding, d *detect.Detection) finding {
	why := f.Why
	// Names that were looked up or uploaded to must not become links when the page
	// is sent by mail.
	places := []string{f.Object}
	for _, part := range f.Parts {
		if !slices.Contains(places, part.Object) {
			places = append(places, part.Object)
		}
	}
	if isRule(f) {
		_, what := detect.RuleMatch(f.Key)
		places = []string{what, detect.RuleHost(f)}
	}
	for _, place := range places {
		if strings.Contains(place, ".") {
			why = strings.ReplaceAll(why, place, defang(place))
		}
	}
	why = strings.ReplaceAll(why, "://", "[:]//")
	v := finding{
		Severity: f.Severity.String(),
		Who:      show(f.Who(), maxName), WhoType: entityType(f.EntityType), Person: show(f.Person, maxName),
		What: title(f.Detection, d), Where: where(f.Object),
		Day:     f.Day.String(),
		Unusual: unusual(f),
		Why:     show(why, maxSentence),
		Label:   show(f.Label, maxPlace), Allowed: show(f.Allowed, maxPlace), Reported: f.Reported,
	}
	v.Stage, v.Time = f.Stage().String(), clock(f)
	if d != nil {
		v.Method = "how-" + d.Name
	}
	return v
}

// clock returns when a finding was done, by the clock: "18:52", or "18:52–19:39".
func clock(f *detect.Finding) string {
	from, to := f.Done[0], f.Done[1]
	if from == 0 {
		from, to = f.Summary.First, f.Summary.First
	}
	if from == 0 {
		return ""
	}
	text := utc(from).Format("15:04")
	if end := utc(to).Format("15:04"); end != text && to-from < 24*3600e6 {
		text += "–" + end
	}
	return text
}

func newFinding(id string, f *detect.Finding, d *detect.Detection, r *Report) finding {
	v := briefFinding(f, d)
	v.ID = id
	v.Timeline, v.Clock = newTimeline(id, f), newClock(id, f)
	v.Facts = facts(f)
	for _, e := range evidence(f)[min(1, len(f.Summary.Evidence)):] {
		v.Evidence = append(v.Evidence, show(defang(e), maxPlace))
	}
	v.records(f, r.Records)
	if d != nil {
		v.Ask = investigate(d.Doc)
		if !isRule(f) { // the sentence has those of the rule
			v.Innocent = answer(d.Doc, innocentQuestion)
		}
	}
	v.UID, v.Queries, v.Snippet, v.Scope, v.Full = visible(f.UID), queries(f, r.Flags), AllowEntry(f, f.Day+AllowDays), AllowScope(f, false), true
	return v
}

// records shows the places of a finding, with what the logs have there.
func (v *finding) records(f *detect.Finding, read map[string]LogRecord) {
	for _, p := range f.Summary.Records() {
		text := ""
		if p.Time != 0 {
			text = utc(p.Time).Format("2006-01-02 15:04:05") + " UTC, "
		}
		is := read[p.At]
		switch size := byteSize(float64(p.Bytes)); {
		case p.Bytes <= 0:
		case is.Joined:
			text += size + " in all records of this connection, "
		default:
			text += size + ", "
		}
		r := logRecord{Place: show(text+p.At, maxRecord), Text: is.Text}
		if is.Length > 0 {
			r.Of = count(int64(is.Length)) + " characters"
		}
		if missing, _ := cut(is.Missing, maxSentence); missing != "" && !slices.Contains(v.Missing, missing) {
			v.Missing = append(v.Missing, missing)
		}
		v.Records = append(v.Records, r)
	}
}

// facts returns who, what, where and when, and then the measurements. What was not
// measured is left out.
func facts(f *detect.Finding) []fact {
	var facts []fact
	add := func(name, value, note string) {
		if value != "" {
			facts = append(facts, fact{name, shown{Text: value}, note, false})
		}
	}
	facts = append(facts, fact{"Who", show(f.Who(), maxName), entityType(f.EntityType), false})
	if f.Person != "" {
		facts = append(facts, fact{"Person", show(f.Person, maxName), "", false})
	}
	if f.PersonBy != "" {
		facts = append(facts, fact{"Whose", show(f.Whose(), maxSentence), "", true})
	}
	if f.Object != "" {
		facts = append(facts, fact{"Where", where(f.Object), "", true})
	} else if f.Mostly != "" {
		facts = append(facts, fact{"Where", where(f.Mostly), "most of the bytes", true})
	}
	add("When", span(f.Window[0], f.Window[1]), "UTC")
	if f.Feed == detect.AllFeeds {
		add("Source", "all feeds", "together")
	} else {
		facts = append(facts, fact{"Source", show(f.Feed, maxName), "", false})
	}
	add("Observed", quantity(f.Observed, f.Unit), "")
	if f.Baseline == f.Baseline {
		add("Normal", quantity(f.Baseline, f.Unit), "")
		if above := f.Observed - f.Baseline; f.Unit == "B/day" && f.Baseline > 0 && above > 0 {
			add("Above normal", quantity(above, f.Unit), "")
		}
	}
	switch {
	case f.Score == f.Observed && f.Unit != "":
		add("Alert limit", quantity(f.Threshold, f.Unit), "")
	case f.Score == f.Score:
		add("Score", number(f.Score), "threshold "+number(f.Threshold))
	}
	add("Risk", count(int64(f.RiskScore)), "of 100")
	add("Also found by", strings.Join(f.Also, ", "), "the risk is that of all together")
	facts = append(facts, measures(&f.Summary)...)
	p := firstPlace(f)
	if p.Host != "" {
		facts = append(facts, fact{"Machine", show(p.Host, maxName), "", false})
	}
	if p.Parent != "" {
		facts = append(facts, fact{"Started by", show(p.Parent, maxPlace), "", true})
	}
	if p.PID != 0 {
		add("Process", strconv.FormatInt(p.PID, 10), "")
	}
	if t := detect.TechniqueOf(visible(f.Technique)); t.ID != "" {
		facts = append(facts, fact{"ATT&CK", show(t.ID, maxName), t.Title(), true})
	}
	facts = append(facts, fact{"Finding", show(f.UID, maxPlace), "", false})
	for i := range facts {
		long := func(word string) bool { return len(word) > maxWord }
		facts[i].Wide = facts[i].Wide || slices.ContainsFunc(strings.Fields(facts[i].Value.Text), long)
	}
	return facts
}

// measures returns what was counted of a day, without what says nothing.
func measures(s *detect.Summary) (facts []fact) {
	add := func(name, value, note string) { facts = append(facts, fact{name, shown{Text: value}, note, false}) }
	add("Events", count(s.Events), "")
	switch {
	case s.KnownOut > 0 && s.KnownOut < s.Events:
		add("Bytes out", byteSize(float64(s.BytesOut)), "known for "+percent(s.KnownOut, s.Events)+" of the events")
	case s.BytesOut > 0:
		add("Bytes out", byteSize(float64(s.BytesOut)), "")
	}
	if s.BytesIn > 0 {
		add("Bytes in", byteSize(float64(s.BytesIn)), "")
	}
	if s.First != 0 {
		add("Seen", span(s.First, s.Last), "UTC")
	}
	if s.Hours != 0 {
		add("Hours", hours(s.Hours), "UTC")
	}
	if s.Addresses > 0 {
		add("Came from", counted(int(s.Addresses), "address", "addresses"), "")
	}
	if s.AnswerTime > 0 {
		add("Destination", "named by DNS", "the answer to "+s.AnswerTo+" at "+utc(s.AnswerTime).Format("15:04:05"))
	}
	if s.PeakOut > 0 {
		add("Largest event", byteSize(float64(s.PeakOut)), "at "+utc(s.PeakTime).Format("15:04:05"))
	}
	if s.Blocked > 0 {
		add("Blocked", counted(int(s.Blocked), "event", "events"), byteSize(float64(s.BlockedOut))+" that did not leave")
	}
	if s.Names > 0 {
		add("Distinct names", count(s.Names), "carrying "+byteSize(float64(s.NameBytes)))
	}
	switch from := "from " + utc(s.WindowAt).Format("15:04:05"); {
	case s.WindowEvents == 0:
	case s.Names > 0:
		add("Busiest 5 min", counted(int(s.WindowEvents), "query", "queries"), from)
	default: // of a correlation
		add("Fullest window", counted(int(s.WindowEvents), "event", "events"), from)
	}
	if s.WindowBytes > 0 {
		add("Most in 5 min", byteSize(float64(s.WindowBytes)), "of names, from "+utc(s.BytesAt).Format("15:04:05"))
	}
	if s.Odd > 0 {
		add("Odd names", count(s.Odd), "above the entropy or length limit")
	}
	if s.MaxEntropy > 0 {
		add("Highest entropy", number(s.MaxEntropy), "bits per character")
	}
	if s.MaxLength > 0 {
		add("Longest name", byteSize(float64(s.MaxLength)), "")
	}
	if s.Over > 0 {
		add("Classified as tunnel", counted(int(s.Over), "name", "names"), "of "+count(s.Scored)+" that the model scored")
		facts = append(facts, fact{"Highest-scoring query", show(defang(s.Likely), maxPlace), s.Signs, true})
	}
	if s.Rare > 0 {
		add("Rare types", count(s.Rare), percent(s.Rare, s.Events)+" of the queries")
	}
	if s.NXDomain > 0 {
		add("NXDOMAIN", count(s.NXDomain), percent(s.NXDomain, s.Events)+" of the queries")
	}
	return facts
}

// Paragraphs splits a detection's doc at blank lines and joins the lines of each
// paragraph. A line that begins with "- ", or with a question and a colon, begins a
// new paragraph.
func Paragraphs(doc string) []string {
	var out []string
	open := false
	for line := range strings.Lines(doc) {
		line = strings.TrimSpace(line)
		item := strings.HasPrefix(line, "- ")
		switch {
		case line == "":
			open = false
			continue
		case open && !item && !asks(line):
			out[len(out)-1] += " " + line
			continue
		case item:
			line = "• " + line[2:]
		}
		out = append(out, line)
		open = true
	}
	return out
}

// asks reports whether a line of a doc begins with a question that the line
// answers: "What it cannot see: …".
func asks(line string) bool {
	question, _, ok := strings.Cut(line, ": ")
	word, _, _ := strings.Cut(question, " ")
	return ok && len(question) < 40 && slices.Contains([]string{"What", "Why", "Common", "How"}, word)
}

// innocentQuestion begins the paragraph of a detection's doc about innocent causes.
const innocentQuestion = "Common false positives"

// answer returns what a detection's doc says to a question: the paragraph that begins
// with it and a colon, without both. It is "" if there is none.
func answer(doc, question string) string {
	for _, p := range Paragraphs(doc) {
		if rest, ok := strings.CutPrefix(p, question+": "); ok {
			return rest
		}
	}
	return ""
}

// investigate returns the part of a detection's doc that says how to investigate:
// everything from the paragraph that begins with that word, or else the last
// paragraph.
func investigate(doc string) []string {
	all := Paragraphs(doc)
	for i, p := range all {
		head := strings.ToLower(p[:min(len(p), 24)])
		if strings.Contains(head, "investigate") {
			all = slices.Clone(all[i:])
			all[0] = strings.TrimSpace(strings.TrimPrefix(all[0], "How to investigate:")) // the page has it as a title
			return all
		}
	}
	return all[max(0, len(all)-1):]
}
