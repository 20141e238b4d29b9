package reports

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"outflow/stats/detect"
)

// This file writes what is sent to people and other programs when a run has ended.

// A Message tells of a run: in two sentences, and by its worst findings. All its texts
// are visible, and hosts are defanged, since mail readers and chats make links of them.
type Message struct {
	Title    string
	Verdict  string
	Warning  string // that logs were not read; "" if all were
	Findings []Told
	More     int    // findings that Findings leaves out
	Reported int    // findings of the report that an earlier night has told
	Place    string // of the reports
	RunID    string

	run   *Run
	level detect.Severity
	test  time.Time // when it was sent, of a test message
}

// A Told is a finding as a message tells it.
type Told struct {
	Severity, Who, What, Where, Why string
	UID                             string
}

// maxTold is how many findings a message tells: it calls somebody to the reports and does
// not replace them. Slack takes at most 50 blocks.
const maxTold = 10

// maxTeller is the most characters of a text of a message. Chats refuse a message that is
// too long, and a log must not keep one from being sent.
const maxTeller = 200

// Due reports whether a run is worth a message: a finding that is not allowed, and was not
// reported before, has the level or a higher one, or the run is incomplete.
func (r *Run) Due(level detect.Severity) bool {
	return Incomplete(r.Inputs) != "" || slices.ContainsFunc(openFindings(r.Report), func(f *detect.Finding) bool { return f.Severity >= level && !f.Reported })
}

// Message returns the message about a run. place is where its reports are.
func (r *Run) Message(level detect.Severity, place string) *Message {
	brief := func(s string) string { s, _ = cut(s, maxTeller); return s }
	m := &Message{
		Title:   "outflow " + brief(r.Job) + ", " + r.period(),
		Verdict: verdictOf(r.Report), Warning: Incomplete(r.Inputs), Place: brief(place), RunID: r.ID(), run: r, level: level,
	}
	for _, f := range openFindings(r.Report) {
		switch {
		case f.Severity < level:
		case f.Reported:
			m.Reported++
		case len(m.Findings) == maxTold:
			m.More++
		default:
			v := briefFinding(f, r.detection(f.Detection))
			who := f.Who()
			if f.Person != "" {
				who += " (" + f.Person + ")"
			}
			// A colleague's address stays readable; what looks like a page does not.
			noLink := strings.NewReplacer("://", "[:]//", "www.", "www[.]")
			m.Findings = append(m.Findings, Told{f.Severity.String(), brief(noLink.Replace(who)), brief(noLink.Replace(r.heading(f))), brief(defang(f.Object)), brief(v.Why.Text), visible(f.UID)})
		}
	}
	return m
}

// TestMessage returns a message that a run would not send: it shows that a channel works.
func TestMessage(version, place string, at time.Time) *Message {
	run := &Run{Report: &Report{Version: version, Job: "test", At: at}}
	m := run.Message(detect.Critical, place)
	m.Title, m.Verdict = "outflow: a test message", "This is a test: the channel works. Nothing was judged."
	m.RunID = "test-" + at.UTC().Format("20060102T150405.000Z") // a receiver drops what it has seen
	m.test = at
	return m
}

// lead returns a finding in a few words.
func (t *Told) lead() string {
	text := strings.ToUpper(t.Severity) + ": " + t.Who + ", " + t.What
	if t.Where != "" {
		text += ", " + t.Where
	}
	return text
}

// Close says what the message leaves out, and where the reports are, in lines.
func (m *Message) Close() []string {
	var lines []string
	if m.More > 0 {
		lines = append(lines, "… and "+count(int64(m.More))+" more in the reports.")
	}
	if m.Reported > 0 {
		lines = append(lines, "… and "+count(int64(m.Reported))+" that an earlier night has reported.")
	}
	return append(lines, "Reports: "+m.Place)
}

func (m *Message) close() string { return strings.Join(m.Close(), "\n") }

type slackMessage struct {
	Text        string       `json:"text"` // of notifications
	Blocks      []slackBlock `json:"blocks"`
	UnfurlLinks bool         `json:"unfurl_links"`
	UnfurlMedia bool         `json:"unfurl_media"`
}

type slackBlock struct {
	Type string    `json:"type"`
	Text slackText `json:"text"`
}

type slackText struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim,omitempty"` // names of users and channels do not become links
}

// Limits of Slack, in characters: a section may have 3000, and escaping makes up to five
// of one.
const (
	maxSlackHeader  = 150
	maxSlackSection = 3000 / 5
)

// slackEscaped returns text in which Slack sees no mention, link or command.
func slackEscaped(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// Slack returns the message for an incoming webhook of Slack.
func (m *Message) Slack() []byte {
	title, _ := cut(m.Title, maxSlackHeader)
	v := slackMessage{Text: slackEscaped(m.Title + ": " + cmp.Or(m.Warning, m.Verdict))}
	v.Blocks = append(v.Blocks, slackBlock{"header", slackText{Type: "plain_text", Text: title}})
	section := func(text string) {
		if runes := []rune(text); len(runes) > maxSlackSection {
			text = string(runes[:maxSlackSection-1]) + "…"
		}
		if text != "" {
			v.Blocks = append(v.Blocks, slackBlock{"section", slackText{"mrkdwn", slackEscaped(text), true}})
		}
	}
	section(m.Warning)
	section(m.Verdict)
	for _, t := range m.Findings {
		section(t.lead() + "\n" + t.Why)
	}
	section(m.close())
	return encoded(v)
}

type teamsMessage struct {
	Type        string            `json:"type"`
	Attachments []teamsAttachment `json:"attachments"`
}

type teamsAttachment struct {
	ContentType string    `json:"contentType"`
	Content     teamsCard `json:"content"`
}

type teamsCard struct {
	Schema  string      `json:"$schema"`
	Type    string      `json:"type"`
	Version string      `json:"version"`
	Body    []teamsText `json:"body"`
}

// A teamsText is a RichTextBlock: unlike a TextBlock it has no Markdown, so no text of a
// log becomes a link.
type teamsText struct {
	Type    string     `json:"type"`
	Inlines []teamsRun `json:"inlines"`
}

type teamsRun struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Weight string `json:"weight,omitempty"`
}

// maxTeams is how many bytes a message to Teams has at most: it refuses more than 28 kB.
const maxTeams = 25_000

// Teams returns the message as an adaptive card, for a webhook of Microsoft Teams. It
// tells as many of the findings as fit.
func (m *Message) Teams() []byte {
	short := *m
	for {
		body := short.teams()
		if len(body) <= maxTeams || len(short.Findings) == 0 {
			return body
		}
		short.Findings, short.More = short.Findings[:len(short.Findings)-1], short.More+1
	}
}

func (m *Message) teams() []byte {
	card := teamsCard{Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4"}
	add := func(weight, text, rest string) {
		if text == "" {
			return
		}
		block := teamsText{"RichTextBlock", []teamsRun{{"TextRun", text, weight}}}
		if rest != "" {
			block.Inlines = append(block.Inlines, teamsRun{"TextRun", "\n" + rest, ""})
		}
		card.Body = append(card.Body, block)
	}
	add("Bolder", m.Title, "")
	add("Bolder", m.Warning, "")
	add("", m.Verdict, "")
	for _, t := range m.Findings {
		add("Bolder", t.lead(), t.Why)
	}
	add("", m.close(), "")
	return encoded(teamsMessage{"message", []teamsAttachment{{"application/vnd.microsoft.card.adaptive", card}}})
}

// A webhookMessage is the body for a webhook. Keys are never renamed or removed; new ones
// may come.
type webhookMessage struct {
	Version    string   `json:"version"`
	RunID      string   `json:"run_id"`
	Job        string   `json:"job"`
	Days       []day    `json:"days"`
	Title      string   `json:"title"`
	Verdict    string   `json:"verdict"`
	Incomplete string   `json:"incomplete,omitempty"`
	Reports    string   `json:"reports"`
	Findings   []Record `json:"findings"`
	More       int      `json:"more_findings"`
}

// Webhook returns the message for a program, with the records of its findings.
func (m *Message) Webhook() []byte {
	v := webhookMessage{m.run.Version, m.RunID, visible(m.run.Job), []day{}, m.Title, m.Verdict, m.Warning, m.Place, []Record{}, m.More}
	for _, d := range m.run.Days {
		v.Days = append(v.Days, day(d))
	}
	for _, f := range openFindings(m.run.Report) {
		if f.Severity >= m.level && !f.Reported && len(v.Findings) < len(m.Findings) {
			v.Findings = append(v.Findings, NewRecord(f))
		}
	}
	return encoded(v)
}

// Splunk returns the findings and risk events as bodies for a HTTP Event Collector, each
// at most size bytes, or one event.
func (m *Message) Splunk(size int) [][]byte {
	r := *m.run.Report
	r.Findings = slices.DeleteFunc(slices.Clone(r.Findings), func(f detect.Finding) bool { return f.Allowed != "" || f.Reported || f.Severity < m.level })
	var out [][]byte
	add := func(e hecEvent) {
		line := encoded(e)
		if n := len(out); n > 0 && len(out[n-1])+len(line) <= size {
			out[n-1] = append(out[n-1], line...)
		} else {
			out = append(out, line)
		}
	}
	if !m.test.IsZero() {
		add(hecEvent{Time: seconds(m.test), Source: "outflow", SourceType: "outflow:test", Event: map[string]string{"message": m.Verdict, "run_id": m.RunID}})
	}
	for e := range findingLines(&r, newSplunkFinding) {
		add(e)
	}
	for e := range splunkRisks(&r) {
		add(e)
	}
	return out
}

// Subject returns the subject of a mail. It has no text from a log.
func (m *Message) Subject() string {
	text := m.Title
	if m.Warning != "" {
		text = incompleteWord + ": " + text
	}
	if n := len(m.Findings) + m.More; n > 0 {
		text += ": " + counted(n, "finding", "findings")
	}
	return text
}

// Text returns the body of a mail.
func (m *Message) Text() string {
	var b strings.Builder
	for _, text := range []string{m.Warning, m.Verdict} {
		if text != "" {
			fmt.Fprintf(&b, "%s\n\n", text)
		}
	}
	for _, t := range m.Findings {
		fmt.Fprintf(&b, "%s\n  %s\n\n", t.lead(), t.Why)
	}
	b.WriteString(m.close() + "\n")
	return b.String()
}

var mailTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("mail").Parse(`<!doctype html>
<html lang="en"><body style="font-family:sans-serif">
<h1 style="font-size:1.2em">{{.Title}}</h1>
{{with .Warning}}<p><b>{{.}}</b></p>
{{end}}<p>{{.Verdict}}</p>
{{range .Findings}}<p><b>{{.Severity}}: {{.Who}}, {{.What}}{{with .Where}}, {{.}}{{end}}</b><br>{{.Why}}</p>
{{end}}{{range .Close}}<p>{{.}}</p>
{{end}}</body></html>
`))
})

// HTML writes the body of a mail for readers that show HTML. It has no link and loads
// nothing.
func (m *Message) HTML(w io.Writer) error { return mailTemplate().Execute(w, m) }

// encoded returns a value of this package's own types as a line of JSON.
func encoded(v any) []byte {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		panic(err) // they have only texts and numbers
	}
	return b.Bytes()
}
