package jobs

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"outflow/columnar"
	"outflow/columnar/logs"
	"outflow/reports"
	"outflow/stats/detect"
)

// This file is about the form of what commands print: --as, and findings as JSON.

// bindAs adds --as to a command, whose forms are its values, the default first. It returns
// a function that gives the form.
func bindAs(c *cobra.Command, forms ...string) func() (string, error) {
	last := len(forms) - 1
	names := strings.Join(forms[:last], ", ") + " or " + forms[last]
	as := c.Flags().String("as", forms[0], names)
	c.RegisterFlagCompletionFunc("as", cobra.FixedCompletions(forms, cobra.ShellCompDirectiveNoFileComp))
	return func() (string, error) {
		if !slices.Contains(forms, *as) {
			return "", badConfig("--as %q: want %s", *as, names)
		}
		return *as, nil
	}
}

// printJSON prints a value as JSON. Characters without a shape are escaped, since an
// attacker may have chosen them and stdout may be a terminal.
func (p *program) printJSON(v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := p.stdout.Write(escapeInvisible(text.Bytes()))
	return err
}

// escapeInvisible returns JSON with the characters of its strings escaped that have no
// shape.
func escapeInvisible(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r < 0x7f || !columnar.Invisible(r): // encoding/json escapes the control characters of ASCII but DEL
			out = append(out, text[:n]...)
		default:
			out = columnar.AppendJSONEscape(out, r)
		}
		text = text[n:]
	}
	return out
}

// A findingForm is a finding as --as json prints it.
type findingForm struct {
	reports.Record
	To string `json:"time_to"`
	// These are there even if they are not known.
	Technique string       `json:"technique"`
	Observed  *float64     `json:"observed"`
	Baseline  *float64     `json:"baseline"`
	Unit      string       `json:"unit"`
	Score     *float64     `json:"score"`
	Threshold *float64     `json:"threshold"`
	Records   []recordForm `json:"records,omitempty"`
}

// A recordForm is a record of a log as --as json prints it.
type recordForm struct {
	At      string         `json:"at"` // "object:record", as cat takes it
	Time    string         `json:"time,omitempty"`
	Bytes   int64          `json:"bytes,omitempty"`
	Host    string         `json:"host,omitempty"`
	Parent  string         `json:"parent_path,omitempty"`
	PID     int64          `json:"pid,omitempty"`
	Format  string         `json:"format,omitempty"`
	Raw     string         `json:"raw,omitempty"` // masked
	Columns map[string]any `json:"columns,omitempty"`
	Error   string         `json:"error,omitempty"`   // why Raw and Columns are empty
	Changed bool           `json:"changed,omitempty"` // the log is not as the run read it

	us int64 // Time, µs UTC
}

func formOf(f *detect.Finding) findingForm {
	r := reports.NewRecord(f)
	return findingForm{Record: r, To: stamp(f.Window[1]), Technique: r.Technique, Observed: r.Observed, Baseline: r.Baseline, Unit: r.Unit,
		Score: r.Score, Threshold: r.Threshold, Records: recordsIn(f)}
}

// recordsIn returns the records that a finding names.
func recordsIn(f *detect.Finding) (out []recordForm) {
	for _, at := range f.Summary.Records() {
		r := recordForm{At: at.At, Bytes: at.Bytes, Host: at.Host, Parent: at.Parent, PID: at.PID, us: at.Time}
		if at.Time != 0 {
			r.Time = stamp(at.Time)
		}
		out = append(out, r)
	}
	return out
}

func formsOf(findings []detect.Finding) []findingForm {
	out := make([]findingForm, len(findings))
	for i := range findings {
		out[i] = formOf(&findings[i])
	}
	return out
}

// A runForm is what scan and run print with --as json, for each night that they report.
type runForm struct {
	Job        string          `json:"job"`
	Days       []string        `json:"days"`
	Incomplete string          `json:"incomplete,omitempty"` // which logs were not read
	Findings   []findingForm   `json:"findings"`             // worst first
	Objects    int             `json:"objects"`
	Rows       int64           `json:"rows"`
	Skipped    int64           `json:"skipped"` // records
	Blind      []reports.Blind `json:"blind"`   // what could not be judged
	Warnings   []string        `json:"warnings"`
	Report     string          `json:"report,omitempty"`
}

// texts returns the text of each of a list.
func texts[T any](all []T, text func(T) string) []string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = text(v)
	}
	return out
}

func tableName(t *columnar.Table) string { return t.Name }

func runFormOf(r *reports.Report, page string) runForm {
	out := runForm{Job: r.Job, Days: texts(r.Days, detect.Day.String), Incomplete: reports.Incomplete(r.Inputs), Findings: formsOf(r.Findings),
		Blind: append([]reports.Blind{}, r.Blind...), Warnings: append([]string{}, r.Warnings...), Report: page}
	objects := map[string]bool{}
	for i := range r.Inputs {
		in := &r.Inputs[i]
		objects[in.Name] = true
		out.Rows += in.Rows
		out.Skipped += in.Skipped
	}
	out.Objects = len(objects)
	return out
}

// An inputForm is a log as inspect prints it with --as json.
type inputForm struct {
	Name    string           `json:"name"`
	Format  string           `json:"format,omitempty"`
	Status  string           `json:"status"` // as in inputs.csv
	NoLog   string           `json:"no_log,omitempty"`
	Error   string           `json:"error,omitempty"`
	Records int64            `json:"records"`
	Other   int64            `json:"other"` // of no table
	Skipped int64            `json:"skipped"`
	Masked  int64            `json:"masked,omitempty"`
	Kinds   map[string]int64 `json:"kinds,omitempty"`
	Reasons []string         `json:"reasons,omitempty"`
	Tables  []tableForm      `json:"tables"`
	Blind   []reports.Blind  `json:"blind"`
}

type tableForm struct {
	Table        string             `json:"table"`
	Rows         int64              `json:"rows"`
	First        string             `json:"first"`
	Last         string             `json:"last"`
	Columns      map[string]float64 `json:"columns"` // shares of rows with a value, 0 to 1
	Unattributed int64              `json:"unattributed,omitempty"`
	Unplaced     int64              `json:"unplaced,omitempty"`
}

// inputForms returns what each log is, given the lines of inputs.csv.
func inputForms(formats logs.Formats, inputs []reports.Input) []inputForm {
	out := []inputForm{}
	for tables := range byName(inputs) {
		in := &tables[0]
		form := inputForm{Name: in.Name, Format: in.Format, Status: in.Status.String(), NoLog: in.NoLog, Error: in.Error,
			Records: in.Records, Other: in.Other, Skipped: in.Skipped, Masked: in.Masked, Reasons: in.Reasons, Tables: []tableForm{},
			Blind: append([]reports.Blind{}, blind(detect.All(), formats, tables)...)}
		for _, k := range in.Kinds {
			if form.Kinds == nil {
				form.Kinds = map[string]int64{}
			}
			form.Kinds[k.Name] = k.Count
		}
		for i := range tables {
			t := &tables[i]
			if t.Table == "" {
				continue
			}
			table := tableForm{Table: t.Table, Rows: t.Rows, First: stamp(t.First), Last: stamp(t.Last), Columns: map[string]float64{},
				Unattributed: t.Unattributed.Rows, Unplaced: t.Unplaced.Rows}
			for _, c := range columnar.TableNamed(t.Table).Cols {
				if t.Rows > 0 {
					table.Columns[c.String()] = float64(t.Known[c]) / float64(t.Rows)
				}
			}
			form.Tables = append(form.Tables, table)
		}
		out = append(out, form)
	}
	return out
}

// A groupForm is a kind of logs in a folder as inspect prints it with --as json.
type groupForm struct {
	URI     string            `json:"uri"`
	Layout  string            `json:"layout,omitempty"`
	Formats []string          `json:"formats"`
	Error   string            `json:"error,omitempty"` // of a sample that was not recognised
	Objects int64             `json:"objects"`         // seen
	Bytes   int64             `json:"bytes"`
	First   string            `json:"first,omitempty"`
	Last    string            `json:"last,omitempty"`
	Mapping map[string]string `json:"mapping,omitempty"` // a guess, by column
}

func groupForms(groups []surveyed) []groupForm {
	out := []groupForm{}
	for i := range groups {
		g := &groups[i]
		form := groupForm{URI: g.pattern, Formats: append([]string{}, g.formats...), Objects: int64(g.Seen), Bytes: int64(g.Bytes)}
		if g.layout != nil {
			form.Layout = g.layout.name
		}
		if g.failure != nil {
			form.Error = g.failure.Error()
		}
		if !g.First.IsZero() {
			form.First, form.Last = g.First.Format(time.DateOnly), g.Last.Format(time.DateOnly)
		}
		for c, name := range g.mapping {
			if form.Mapping == nil {
				form.Mapping = map[string]string{}
			}
			form.Mapping[c.String()] = name
		}
		out = append(out, form)
	}
	return out
}
