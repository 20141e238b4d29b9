package reports

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"sync"

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
	maxDecide  = 40
	MaxFull    = 80 // findings with their facts and records
	maxBrief   = 300
	maxUploads = 15
	maxDomains = 25
	maxInputs  = 100
	maxNotes   = 50 // blind spots, and also warnings
)

// The number of characters shown of a text from a log. The tooltip has up to
// maxTitle characters of it.
const (
	maxName     = 80
	maxPlace    = 160
	maxRecord   = 300 // a cut record cannot be found
	maxSentence = 600
	maxRaw      = 500 // of a record: long ones are JSON, whose first fields say who and what
	maxTitle    = 300
)

var (
	//go:embed report.tmpl
	pageTemplate string
	//go:embed report.css
	pageStyle string
	//go:embed report.js
	pageScript string

	pages = sync.OnceValue(parsePages)
)

// parsePages parses the templates. The index uses parts of the page.
func parsePages() *template.Template {
	t := template.Must(template.New("page").Parse(pageTemplate))
	template.Must(t.New("index").Parse(indexTemplate))
	return t
}

func writeHTML(w io.Writer, r *Report) error {
	g, err := newGist(r)
	if err != nil {
		return err
	}
	for full := MaxFull; ; full /= 2 {
		var b bytes.Buffer
		if err := pages().Execute(&b, newPage(r, g, full)); err != nil {
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
	crowd   crowd
}

func newGist(r *Report) (*gist, error) {
	g := &gist{
		sent:    map[string]float64{},
		uploads: top[UserDay]{size: maxUploads, by: func(u *UserDay) int64 { return u.BytesOut }},
		crowd:   newCrowd(r),
		domains: top[detect.Row]{size: maxDomains, by: func(d *detect.Row) int64 { return d.NameBytes }},
	}
	if r.UserDays != nil {
		for u, err := range r.UserDays {
			if err != nil {
				return nil, err
			}
			g.sent[u.Feed] += float64(u.BytesOut)
			g.crowd.add(u)
			if u.BytesOut > 0 && g.uploads.takes(u) {
				g.uploads.add(u.clone())
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
	Several bool     // several days
	Verdict []string // its sentences
	Quiet   bool     // everything was read, and there is nothing to look at

	Incomplete string // says that objects were not read
	Missed     []pageMissed
	NoLogs     string
	About      []string
	Tiles      []tile

	Decide     []*card // those of high or critical severity
	DecideLeft int
	Pictures   []picture
	Cards      []card
	CardsLeft  int
	Accepted   []finding
	Left       int // findings that are neither on a card nor accepted

	Uploads     []upload
	UploadsNote string
	Sent        []string // what each source saw leave
	Stored      []stored
	Matrix      *matrix
	Domains     []domain
	DomainsLeft int

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

func newPage(r *Report, g *gist, full int) *page {
	p := &page{
		Style: template.CSS(pageStyle), Script: template.JS(pageScript), Policy: policy(),
		Period: r.period(), Several: len(r.Days) > 1,
		About: about(r),
	}
	open := openFindings(r)
	c := covered(r.Inputs)
	all := subjects(r)
	t := newToll(all)
	p.Verdict = []string{t.sentence(r), coverageSentence(r)}
	p.Tiles = tiles(r, t)
	p.Title = strings.TrimSuffix(t.sentence(r), ".")
	p.NoLogs = c.noLogs()
	if p.Incomplete = c.headline(); p.Incomplete != "" {
		p.Title = incompleteWord + ": " + p.Title
	}
	for _, m := range c.missed() {
		p.Missed = append(p.Missed, pageMissed{m.What, show(m.Name, maxPlace), show(m.Why, maxSentence), m.Remedy})
	}
	p.Quiet = len(open) == 0 && p.Incomplete == "" && len(r.Judged) > 0

	p.pictures(r, all, g)
	p.cards(r, all, full, min(maxBrief, full*8))
	p.accepted(r, min(maxBrief, full*8))
	p.sources(g.sent)
	p.uploads(&g.uploads)
	p.stored(g.cloud)
	p.Matrix = newMatrix(r)
	p.domains(&g.domains)
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
