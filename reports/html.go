package reports

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/stats/detect"
)

// HTML writes one self-contained page: no network, no folder beside it, and no
// JavaScript is needed to read it. It has no link to anything that was observed.
var HTML = &Format{
	Name:  "html",
	Title: "one self-contained page for people",
	Files: []File{
		{"report.html", "what was found, why it is unusual, what could not be judged, and how it was computed", writeHTML},
	},
}

// maxPage is the largest size of the page in bytes: mail gateways and browsers on
// phones accept that. What does not fit is counted on the page, and is in the
// tables.
const maxPage = 2_000_000

// The largest number of entries that the page shows of each kind. Nobody reads a
// longer page. If the page exceeds maxPage, it shows fewer findings in full.
const (
	maxFirst    = 10
	maxFull     = 80
	maxBrief    = 300
	maxEntities = 25
	maxUploads  = 15
	maxDomains  = 25
	maxInputs   = 100
	maxNotes    = 50 // blind spots, and also warnings
)

// The number of characters shown of a text from a log. The tooltip has up to
// maxTitle characters of it.
const (
	maxName     = 80
	maxPlace    = 160
	maxSentence = 600
	maxTitle    = 300
)

var (
	//go:embed report.tmpl
	pageTemplate string
	//go:embed report.css
	pageStyle string
	//go:embed report.js
	pageScript string

	pages = template.Must(template.New("page").Parse(pageTemplate))
)

func writeHTML(w io.Writer, r *Report) error {
	g, err := newGist(r)
	if err != nil {
		return err
	}
	for full := maxFull; ; full /= 2 {
		var b bytes.Buffer
		if err := pages.Execute(&b, newPage(r, g, full)); err != nil {
			return fmt.Errorf("lay out the page: %w", err)
		}
		if b.Len() <= maxPage || full == 0 {
			_, err := w.Write(b.Bytes())
			return err
		}
	}
}

// A gist is the part of the report's large tables that the page needs.
type gist struct {
	sent    map[string]float64 // by feed; beyond int64 where a log holds false counts
	uploads top[UserDay]
	cloud   []cloudUpload
	domains top[detect.Row]
}

func newGist(r *Report) (*gist, error) {
	g := &gist{
		sent:    map[string]float64{},
		uploads: top[UserDay]{size: maxUploads, by: func(u *UserDay) int64 { return u.BytesOut }},
		domains: top[detect.Row]{size: maxDomains, by: func(d *detect.Row) int64 { return d.NameBytes }},
	}
	if r.UserDays != nil {
		for u, err := range r.UserDays {
			if err != nil {
				return nil, err
			}
			g.sent[u.Feed] += float64(u.BytesOut)
			if u.BytesOut > 0 && g.uploads.takes(u) {
				row := *u.Row
				kept := *u
				kept.Row = &row
				g.uploads.add(kept)
			}
		}
	}
	if r.Domains != nil {
		for d, err := range r.Domains {
			if err != nil {
				return nil, err
			}
			if g.domains.takes(d) {
				g.domains.add(*d)
			}
		}
	}
	var err error
	g.cloud, err = cloudUploads(r)
	return g, err
}

// A top holds the rows of a stream with the largest values, the largest first. Of
// equal rows, it holds the first ones.
type top[T any] struct {
	size int
	by   func(row *T) int64
	rows []T
	of   int64 // number of rows in the stream
}

// takes counts a row, and reports whether it must be added.
func (t *top[T]) takes(row *T) bool {
	t.of++
	return len(t.rows) < t.size || t.by(row) > t.by(&t.rows[t.size-1])
}

func (t *top[T]) add(row T) {
	i := len(t.rows)
	for i > 0 && t.by(&row) > t.by(&t.rows[i-1]) {
		i--
	}
	t.rows = slices.Insert(t.rows[:min(len(t.rows), t.size-1)], i, row)
}

// policy returns the page's Content-Security-Policy. It allows only the page's own
// style and script, which it identifies by their hashes.
func policy() string {
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; style-src " + hash(pageStyle) + "; script-src " + hash(pageScript) +
		"; base-uri 'none'; form-action 'none'"
}

// A page is the data of report.tmpl. All its strings are ready to be shown:
// escaped, cut, and in units for people.
type page struct {
	Style  template.CSS
	Script template.JS
	Policy string

	Title   string // of the window or tab
	Period  string
	Several bool // several days
	Verdict string
	Quiet   bool // everything was read, and there is nothing to look at

	Incomplete string // says that objects were not read
	Missed     []pageMissed
	NoLogs     string
	About      []string
	Alerts     []string // limits of the result so serious that they are at the top
	Tiles      []tile

	First     []lead
	FirstMore int

	Findings []finding
	Brief    []finding // findings that are not in full: less serious, or allowed
	Left     int       // findings on neither list

	Entities     []entity
	EntitiesLeft int
	Uploads      []upload
	UploadsNote  string
	Stored       []stored
	Matrix       *matrix
	Domains      []domain
	DomainsLeft  int

	Feeds        []input // one per feed, format and table
	Troubled     []input // objects with an error or skipped records
	TroubledLeft int
	Blind        []blind
	BlindLeft    int
	Warnings     []string
	WarningsLeft int
	Methods      []method
	Judging      []method // detections that judged anything
	AttackNote   string
}

// A shown is text from a log in the form that the page shows.
type shown struct {
	Text string
	Full string // more of the text, if Text is cut
}

func show(s string, size int) shown {
	head, more := cut(s, size)
	if !more {
		return shown{Text: head}
	}
	full, longer := cut(s, maxTitle)
	if longer {
		full += "…"
	}
	return shown{head + "…", full}
}

// A pageMissed is about the objects that were not read for one reason.
type pageMissed struct {
	What   string
	Name   shown
	Why    shown
	Remedy string
}

type tile struct {
	Name, Value, Note string
}

// A fact is a row of a finding's table of facts.
type fact struct {
	Name  string
	Value shown
	Note  string
	Wide  bool
}

// A lead is an entity to look at first, with its worst finding.
type lead struct {
	finding
	Also    []finding
	AndMore int
	Notable string
	worst   detect.Severity
}

type finding struct {
	ID       string // of its section; "" if it has none
	Severity string
	Urgency  string
	Who      shown
	WhoType  string
	What     string
	Method   string // id of the detection's section
	Where    shown
	Day      string
	Unusual  string // how unusual, in a few words
	Why      shown
	Label    shown
	Allowed  shown

	Facts    []fact
	Evidence []shown
	Timeline *timeline
	Ask      []string // how to investigate
	Snippet  string
}

// urgency says when a reader should act on a severity.
var urgency = map[detect.Severity]string{
	detect.Critical: "now",
	detect.High:     "today",
	detect.Medium:   "this week",
	detect.Low:      "when there is time",
	detect.Info:     "for context",
}

func newPage(r *Report, g *gist, full int) *page {
	p := &page{
		Style: template.CSS(pageStyle), Script: template.JS(pageScript), Policy: policy(),
		Period: r.period(), Several: len(r.Days) > 1,
		About:  about(r),
		Alerts: alerts(r),
		Tiles:  tiles(r, g),
	}
	open := openFindings(r)
	c := covered(r.Inputs)
	p.Verdict = verdict(r)
	p.Title = p.Period + ": " + conclusion(r)
	p.NoLogs = c.noLogs()
	if p.Incomplete = c.headline(); p.Incomplete != "" {
		p.Title = incompleteWord + ": " + p.Title
	}
	for _, m := range c.missed() {
		p.Missed = append(p.Missed, pageMissed{m.What, show(m.Name, maxPlace), show(m.Why, maxSentence), m.Remedy})
	}
	p.Quiet = len(open) == 0 && p.Incomplete == "" && len(r.Judged) > 0

	methods := map[string]*detect.Detection{}
	for _, d := range r.Detections {
		methods[d.Name] = d
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		switch {
		case f.Allowed == "" && len(p.Findings) < full:
			p.Findings = append(p.Findings, newFinding(fmt.Sprintf("f%d", len(p.Findings)+1), f, methods[f.Detection]))
		case len(p.Brief) < min(maxBrief, full*8):
			p.Brief = append(p.Brief, briefFinding(f, methods[f.Detection]))
		default:
			p.Left++
		}
	}
	p.First, p.FirstMore = leads(r, p.Findings, methods)
	p.entities(r)
	p.uploads(&g.uploads)
	p.stored(g.cloud)
	p.Matrix = newMatrix(r, methods)
	p.domains(&g.domains, open)
	p.inputs(r)
	p.notes(r)
	p.methods(r)
	return p
}

// openFindings returns the findings that no allow-list entry suppresses.
func openFindings(r *Report) []*detect.Finding {
	var open []*detect.Finding
	for i := range r.Findings {
		if r.Findings[i].Allowed == "" {
			open = append(open, &r.Findings[i])
		}
	}
	return open
}

// rows returns the number of rows read.
func rows(r *Report) (n int64) {
	for _, in := range r.Inputs {
		n += in.Rows
	}
	return n
}

// verdict summarises the result in one sentence. If nothing was found, it says what
// was judged: a night when nothing was read must not have the same words.
func verdict(r *Report) string {
	short := conclusion(r)
	switch {
	case len(openFindings(r)) > 0:
		return short + "."
	case len(r.Judged) == 0 && len(r.Findings) == 0:
		return short + ": " + r.unjudged() + "."
	case len(r.Judged) == 0:
		return short + "."
	case covered(r.Inputs).incomplete() > 0:
		return short + " in what was read: " + r.scope() + "."
	}
	return short + " in " + r.scope() + "."
}

// conclusion is the verdict in a few words.
func conclusion(r *Report) string {
	open := openFindings(r)
	switch {
	case len(open) > 0:
	case len(r.Findings) > 0:
		return "Nothing unusual but what is on the allow list"
	case len(r.Judged) == 0:
		return "Nothing could be judged"
	default:
		return "Nothing unusual was found"
	}
	var by [detect.Critical + 1]int
	for _, f := range open {
		by[f.Severity]++
	}
	var parts []string
	for s := detect.Critical; ; s-- {
		if n := by[s]; n > 0 {
			look := "to look at "
			if len(parts) > 0 || s == detect.Info {
				look = ""
			}
			parts = append(parts, count(int64(n))+" "+look+urgency[s])
		}
		if s == detect.Info {
			break
		}
	}
	return counted(len(open), "finding", "findings") + ": " + listed(parts)
}

func about(r *Report) []string {
	var a []string
	add := func(name, value string) {
		if value != "" {
			value, _ = cut(value, maxName)
			a = append(a, name+" "+value)
		}
	}
	add("job", r.Job)
	add("profile", r.Profile)
	a = append(a, counted(r.History, "day", "days")+" of history")
	if !r.At.IsZero() {
		a = append(a, "as of "+r.At.UTC().Format(minute)+" UTC")
	}
	add("outflow", r.Version)
	return a
}

// alerts returns what a reader must know before believing the rest.
func alerts(r *Report) []string {
	var a []string
	for i, b := range r.Blind {
		if i == 3 {
			a = append(a, "And "+counted(len(r.Blind)-i, "more blind spot", "more blind spots")+".")
			break
		}
		why, _ := cut(b.Why, maxSentence)
		a = append(a, why)
	}
	return a
}

func tiles(r *Report, g *gist) []tile {
	open := openFindings(r)
	allowed := len(r.Findings) - len(open)
	findings := tile{"Findings", count(int64(len(open))), "none on the allow list"}
	if allowed > 0 {
		findings.Note = "and " + count(int64(allowed)) + " on the allow list"
	}

	who := map[[2]string]bool{}
	for _, f := range open {
		who[[2]string{f.EntityType, f.Entity}] = true
	}
	notable := 0
	for _, e := range r.Entities {
		if e.Notable {
			notable++
		}
	}
	concerned := tile{"Users and hosts", count(int64(len(who))), "none is notable"}
	if notable > 0 {
		concerned.Note = counted(notable, "is notable", "are notable")
	}

	// Feeds may have seen the same bytes, so show the largest amount, never the
	// sum.
	sent := tile{"Most sent", "–", "no log says how much"}
	if slices.ContainsFunc(r.Inputs, func(in Input) bool { return in.Known[columnar.BytesOut] > 0 }) {
		sent.Value, sent.Note = byteSize(0), "to outside addresses"
	}
	most := 0.0
	for _, feed := range slices.Sorted(maps.Keys(g.sent)) {
		if g.sent[feed] > most {
			most = g.sent[feed]
			name, _ := cut(feed, 24)
			sent.Value, sent.Note = byteSize(most), "as "+name+" saw it"
		}
	}

	c := covered(r.Inputs)
	from := "from " + counted(c.objects, "log object", "log objects")
	if n := c.incomplete(); n > 0 {
		from = "from " + count(int64(c.objects-n)) + " of " + counted(c.objects, "log object", "log objects")
	}
	var skipped, records int64
	for _, in := range r.Inputs {
		skipped += in.Skipped
		records += in.Records
	}
	read := tile{"Rows read", strings.TrimSpace(shortCount(rows(r))), from}
	bad := tile{"Skipped", strings.TrimSpace(shortCount(skipped)), percent(skipped, records) + " of the records"}
	dark := tile{"Blind spots", count(int64(len(r.Blind))), "everything could be judged"}
	if len(r.Blind) > 0 {
		dark.Note = "could not be judged"
	}
	return []tile{findings, concerned, sent, read, bad, dark}
}

// leads groups the findings that need action by entity. The entities are sorted by
// their worst severity; with the same severity, notable entities come first.
// sections are the first findings, in full.
func leads(r *Report, sections []finding, methods map[string]*detect.Detection) (first []lead, more int) {
	type who struct{ entityType, entity string }
	notable := map[who]string{}
	for _, e := range r.Entities {
		if e.Notable {
			notable[who{e.EntityType, e.Entity}] = fmt.Sprintf("notable: risk %s in 24 hours, %s in 7 days", count(int64(e.Risk24h)), count(int64(e.Risk7d)))
		}
	}
	at := map[who]int{}
	for i, f := range openFindings(r) {
		if f.Severity == detect.Info {
			continue
		}
		var v finding
		if i < len(sections) {
			v = sections[i]
		} else {
			v = briefFinding(f, methods[f.Detection])
		}
		w := who{f.EntityType, f.Entity}
		j, ok := at[w]
		switch {
		case !ok:
			at[w] = len(first)
			first = append(first, lead{finding: v, Notable: notable[w], worst: f.Severity})
		case len(first[j].Also) < 4:
			first[j].Also = append(first[j].Also, v)
		default:
			first[j].AndMore++
		}
	}
	slices.SortStableFunc(first, func(a, b lead) int {
		return cmp.Or(cmp.Compare(b.worst, a.worst), cmp.Compare(min(1, len(b.Notable)), min(1, len(a.Notable))))
	})
	if len(first) > maxFirst {
		more = len(first) - maxFirst
		first = first[:maxFirst]
	}
	return first, more
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
		return q + " the threshold"
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
		Severity: f.Severity.String(), Urgency: urgency[f.Severity],
		Who: show(f.Who(), maxName), WhoType: entityType(f.EntityType),
		What: title(f.Detection, d), Where: where(f.Object),
		Day:     f.Day.String(),
		Unusual: unusual(f),
		Why:     show(why, maxSentence),
		Label:   show(f.Label, maxPlace), Allowed: show(f.Allowed, maxPlace),
	}
	if f.Severity > detect.Info {
		v.Urgency = "look at it " + v.Urgency
	}
	if d != nil {
		v.Method = "how-" + d.Name
	}
	return v
}

func newFinding(id string, f *detect.Finding, d *detect.Detection) finding {
	v := briefFinding(f, d)
	v.ID = id
	v.Timeline = newTimeline(id, f)
	v.Facts = facts(f)
	for _, e := range evidence(f)[min(1, len(f.Summary.Evidence)):] {
		v.Evidence = append(v.Evidence, show(defang(e), maxPlace))
	}
	if d != nil {
		v.Ask = investigate(d.Doc)
	}
	v.Snippet = AllowEntry(f)
	return v
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
	s := &f.Summary
	facts = append(facts, fact{"Who", show(f.Who(), maxName), entityType(f.EntityType), false})
	if f.Object != "" {
		facts = append(facts, fact{"Where", where(f.Object), "", true})
	}
	add("When", span(f.Window[0], f.Window[1]), "UTC")
	if f.Feed == detect.AllFeeds {
		add("Seen by", "all feeds", "together")
	} else {
		facts = append(facts, fact{"Seen by", show(f.Feed, maxName), "", false})
	}
	add("Observed", quantity(f.Observed, f.Unit), "")
	if f.Baseline == f.Baseline {
		add("Normal", quantity(f.Baseline, f.Unit), "")
	}
	if f.Score == f.Score {
		add("Score", number(f.Score), "threshold "+number(f.Threshold))
	}
	add("Risk", count(int64(f.RiskScore)), "of 100")
	add("Also found by", strings.Join(f.Also, ", "), "the risk is that of all together")

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
		add("Odd names", count(s.Odd), "over the entropy or length threshold")
	}
	if s.MaxEntropy > 0 {
		add("Highest entropy", number(s.MaxEntropy), "bits per character")
	}
	if s.MaxLength > 0 {
		add("Longest name", byteSize(float64(s.MaxLength)), "")
	}
	if s.Over > 0 {
		add("Taken for data", counted(int(s.Over), "name", "names"), "by the model, of "+count(s.Scored)+" that it scored")
		facts = append(facts, fact{"Likeliest name", show(defang(s.Likely), maxPlace), s.Signs, true})
	}
	if s.Rare > 0 {
		add("Rare types", count(s.Rare), percent(s.Rare, s.Events)+" of the queries")
	}
	if s.NXDomain > 0 {
		add("No such domain", count(s.NXDomain), percent(s.NXDomain, s.Events)+" of the queries")
	}
	if s.Evidence != "" {
		facts = append(facts, fact{"Record of the log", show(s.Evidence, maxPlace), "", true})
	}
	if t := detect.TechniqueOf(visible(f.Technique)); t.ID != "" {
		facts = append(facts, fact{"ATT&CK", show(t.ID, maxName), t.Name, true})
	}
	return append(facts, fact{"Finding", show(f.UID, maxPlace), "", false})
}

// paragraphs splits a detection's doc at blank lines and joins the lines of each
// paragraph. A line that begins with "- ", or with a question and a colon, begins a
// new paragraph.
func paragraphs(doc string) []string {
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
	return ok && len(question) < 40 && slices.Contains([]string{"What", "Why", "Who", "How"}, word)
}

// investigate returns the part of a detection's doc that says how to investigate:
// everything from the paragraph that begins with that word, or else the last
// paragraph.
func investigate(doc string) []string {
	all := paragraphs(doc)
	for i, p := range all {
		head := strings.ToLower(p[:min(len(p), 24)])
		if strings.Contains(head, "investigate") {
			return all[i:]
		}
	}
	return all[max(0, len(all)-1):]
}
