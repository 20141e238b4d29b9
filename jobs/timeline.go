package jobs

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"outflow/columnar"
	"outflow/reports"
	"outflow/stats/detect"
)

// An eventForm is a line of a timeline.
type eventForm struct {
	Time    string         `json:"time"`
	Kind    string         `json:"kind"` // "finding", "record" of a finding, or the table of a log's row
	What    string         `json:"what"`
	Bytes   int64          `json:"bytes,omitempty"`
	Finding string         `json:"finding_uid,omitempty"`
	At      string         `json:"at,omitempty"`
	Columns map[string]any `json:"columns,omitempty"`

	us int64
}

// maxTimeline is how many rows of logs a timeline holds: more is for cat.
const maxTimeline = 100_000

func (p *program) timelineCommand() *cobra.Command {
	var records bool
	var day string
	c := &cobra.Command{
		Use:   "timeline USER|HOST|ADDRESS",
		Short: "print what a user, host or address did, in order of time",
		Long: "timeline prints the findings of the last run about a user, host or address, and the records that they name, in order of\n" +
			"time. Findings of an address or a host count for the user whose it probably or possibly was, and each says how that is\n" +
			"known. --records reads the logs again, and prints each record of the user, host or address on the judged days.",
		Example: "  outflow timeline anna@corp.example\n  outflow timeline 10.20.1.33 --records",
		Args:    cobra.ExactArgs(1),
	}
	form := bindAs(c, "text", "json")
	c.Flags().BoolVar(&records, "records", false, "read the logs, and print each record of the user, host or address")
	c.Flags().StringVar(&day, "day", "", "this judged `day` of the state, as in 2026-11-20, instead of the last run")
	load := p.withPlaces(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		as, err := form()
		if err != nil {
			return err
		}
		config, last, err := p.loadLast(load)
		if err != nil {
			return err
		}
		if last == nil {
			return noLastRun(config)
		}
		if day != "" {
			only, err := detect.ParseDay(day)
			if err != nil {
				return badConfig("--day: %w", err)
			}
			if last.Job == "scan" {
				return badConfig("--day needs the state of nightly runs, and the last run was a scan")
			}
			last.First, last.Last = only.String(), only.String()
		}
		findings, err := last.findings(p, config)
		if err != nil {
			return err
		}
		span := "the last run (" + last.Job + ", " + last.span() + ")"
		if day != "" {
			span = day
		}
		who := newSubject(config, args[0])
		var events []eventForm
		for i := range findings {
			if f := &findings[i]; who.of(f) {
				events = append(events, eventsOf(f)...)
			}
		}
		if records {
			rows, err := p.rowsAbout(config, last, who)
			if err != nil {
				return err
			}
			events = told(events, rows)
		}
		slices.SortStableFunc(events, func(a, b eventForm) int { return cmp.Compare(a.us, b.us) })
		if len(events) == 0 {
			hint := ""
			if near := namesLike(findings, args[0]); len(near) > 0 {
				hint = "; did you mean " + strings.Join(near, ", ") + "?"
			}
			p.note("%s has no finding about %q: --records looks into the logs%s", span, args[0], hint)
		}
		if as == "json" {
			if events == nil {
				events = []eventForm{}
			}
			return p.printJSON(events)
		}
		for i := range events {
			e := &events[i]
			size := ""
			if e.Bytes != 0 {
				size = reports.ByteSize(float64(e.Bytes))
			}
			what := printable(e.What)
			if at := 41; p.width == 0 || p.width >= 2*at {
				what = p.behind(at, what)
			} else {
				what = "\n    " + p.behind(4, what)
			}
			head := fmt.Sprintf("%-20s  %-8s %8s  ", e.Time, e.Kind, size)
			if strings.HasPrefix(what, "\n") {
				head = strings.TrimRight(head, " ")
			}
			fmt.Fprintf(p.stdout, "%s%s\n", head, what)
		}
		return nil
	}
	return c
}

func noLastRun(config *Config) error {
	return badConfig("no run has written reports to %s: name their folder with --out, as in --out /srv/outflow/out, or the configuration with --config", config.Out)
}

// span returns the judged days of the run.
func (l *lastRun) span() string {
	if l.First == l.Last {
		return l.First
	}
	return l.First + " to " + l.Last
}

// A subject is a user, host or address by the names that logs have for it.
type subject struct{ text, user, host string }

func newSubject(config *Config, text string) *subject {
	return &subject{text, config.names.User(text), config.names.Host(text)}
}

// is reports whether a name is the subject's.
func (s *subject) is(name string) bool {
	return name != "" && (strings.EqualFold(name, s.text) || strings.EqualFold(name, s.user) || strings.EqualFold(name, s.host))
}

// of reports whether a finding is about the subject, or about what is possibly the subject's.
func (s *subject) of(f *detect.Finding) bool {
	return s.is(f.Entity) || s.is(f.Who()) || s.is(f.Person) || slices.ContainsFunc(f.PossiblePersons(), s.is)
}

// told adds the rows of logs to the events of findings. A record that a finding names is
// there once, with its columns.
func told(events, rows []eventForm) []eventForm {
	named := map[string]int{}
	out := events[:0]
	for _, e := range events {
		if _, twice := named[e.At]; e.At != "" && twice {
			continue
		}
		if e.At != "" {
			named[e.At] = len(out)
		}
		out = append(out, e)
	}
	for _, row := range rows {
		if i, ok := named[row.At]; ok && row.At != "" {
			out[i].Columns = row.Columns
			out[i].What += "  " + row.What
			continue
		}
		out = append(out, row)
	}
	return out
}

// maxNames is how many names a suggestion has.
const maxNames = 3

// namesLike returns up to maxNames entities and persons of findings that have text in their
// names, sorted.
func namesLike(findings []detect.Finding, text string) []string {
	var out []string
	for i := range findings {
		for _, name := range []string{findings[i].Entity, findings[i].Person} {
			if len(text) >= 2 && strings.Contains(strings.ToLower(name), strings.ToLower(text)) {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), maxNames)]
}

// eventsOf returns a finding, at the time of the deed if that is known, and the records that it names.
func eventsOf(f *detect.Finding) []eventForm {
	at := cmp.Or(f.Done[0], f.Summary.First, f.Window[0])
	what := fmt.Sprintf("%s %s %s: %s", f.UID[:min(len(f.UID), 8)], f.Severity, f.Detection, f.Why)
	switch whose := f.Whose(); {
	case whose != "":
		what += " " + whose
	case f.EntityType == "src_ip" || f.EntityType == "host":
		what += fmt.Sprintf(" No log names a user for %s in those hours: --records shows who used it at others.", f.Who())
	}
	out := []eventForm{{Time: stamp(at), Kind: "finding", What: what, Bytes: f.Bytes(), Finding: f.UID, us: at}}
	for _, place := range f.Summary.Records() {
		what := place.At
		if place.Host != "" {
			what += ", on " + place.Host
		}
		if place.Parent != "" {
			what += ", started by " + place.Parent
		}
		us := cmp.Or(place.Time, at)
		out = append(out, eventForm{Time: stamp(us), Kind: "record", What: what, Bytes: place.Bytes, Finding: f.UID, At: place.At, us: us})
	}
	return out
}

// rowsAbout reads the logs of the last run and returns the rows of the judged days that
// have the subject as user, host or address.
func (p *program) rowsAbout(config *Config, last *lastRun, who *subject) ([]eventForm, error) {
	days, err := dayRange(last.First, last.Last, 0)
	if err != nil {
		return nil, err
	}
	out, left, err := p.rowsWhere(config, last, days, maxTimeline, who.in)
	if left > 0 {
		p.note("%d more records are left out: outflow cat --where prints them", left)
	}
	return out, err
}

// in reports whether a row has the subject as user, host or address.
func (s *subject) in(b *columnar.Batch, row int) bool {
	return slices.ContainsFunc([]columnar.Col{columnar.User, columnar.SrcIP, columnar.Host}, func(c columnar.Col) bool {
		return b.Table.Set().Has(c) && s.is(textOf(b, c, row))
	})
}

// rowsWhere reads the logs of the last run and returns the first rows of some days, which
// ascend, that are wanted, and how many more there are.
func (p *program) rowsWhere(config *Config, last *lastRun, days []detect.Day, most int, wanted func(b *columnar.Batch, row int) bool) (out []eventForm, left int, err error) {
	from, to := days[0].Time().UnixMicro(), (days[len(days)-1] + 1).Time().UnixMicro()
	sources, err := last.sourcesOf(p, config, days)
	if err != nil {
		return nil, 0, err
	}
	var failed error
	folded, err := p.fold(p.ctx, "read the logs", sources, &foldOptions{FoldOptions: allTime, workers: 1, want: columnar.Wanted{Cols: everything}, tap: func(b *columnar.Batch) {
		times := b.Int64(columnar.Time)
		for row := range b.Len() {
			if failed != nil || times[row] < from || times[row] >= to || !wanted(b, row) {
				continue
			}
			if len(out) == most {
				left++
				continue
			}
			e := eventForm{Time: stamp(times[row]), Kind: b.Table.Name, us: times[row]}
			if b.Places == nil {
				e.At = fmt.Sprintf("%s:%d", b.Object, b.First+int64(b.Record[row]))
			}
			if b.Table.Set().Has(columnar.BytesOut) {
				if n, ok := valueOf(b, columnar.BytesOut, row).(float64); ok && !math.IsNaN(n) {
					e.Bytes = int64(n)
				}
			}
			e.Columns, failed = rowForm(b, row)
			e.What = inWords(b.Table, e.Columns)
			out = append(out, e)
		}
	}})
	if err = cmp.Or(err, failed); err != nil {
		return nil, 0, err
	}
	p.incomplete(folded.inputs)
	return out, left, unreadable(folded.inputs)
}

// textOf returns a column of text of a row.
func textOf(b *columnar.Batch, c columnar.Col, row int) string {
	text, _ := valueOf(b, c, row).(string)
	return text
}

// saidElsewhere are columns that a line of a timeline does not repeat.
var saidElsewhere = columnar.ColSet(columnar.Time, columnar.BytesOut, columnar.EventUID, columnar.UID)

// inWords writes the columns of a row in a line.
func inWords(t *columnar.Table, columns map[string]any) string {
	var parts []string
	for _, c := range t.Cols {
		if v, ok := columns[c.String()]; ok && !saidElsewhere.Has(c) {
			parts = append(parts, c.String()+"="+fmt.Sprint(v))
		}
	}
	return strings.Join(parts, " ")
}
