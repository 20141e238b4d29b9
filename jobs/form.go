package jobs

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

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

// printJSON prints a value as JSON.
func (p *program) printJSON(v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// A findingForm is a finding as --as json prints it. Names are those of findings.csv.
type findingForm struct {
	UID        string       `json:"finding_uid"`
	Day        string       `json:"day"`
	From       string       `json:"time"`
	To         string       `json:"time_to"`
	Detection  string       `json:"detection"`
	Also       []string     `json:"also,omitempty"`
	Severity   string       `json:"severity"`
	RiskScore  int          `json:"risk_score"`
	Technique  string       `json:"technique"`
	EntityType string       `json:"entity_type"`
	Entity     string       `json:"entity"`
	Person     string       `json:"person,omitempty"`
	PersonBy   string       `json:"person_by,omitempty"`
	Object     string       `json:"object,omitempty"`
	Feed       string       `json:"feed"`
	Observed   *float64     `json:"observed"` // null: not a number
	Baseline   *float64     `json:"baseline"`
	Unit       string       `json:"unit"`
	Score      *float64     `json:"score"`
	Threshold  *float64     `json:"threshold"`
	Events     int64        `json:"events"`
	BytesOut   int64        `json:"bytes_out"`
	BytesIn    int64        `json:"bytes_in"`
	First      string       `json:"first_seen,omitempty"`
	Last       string       `json:"last_seen,omitempty"`
	Why        string       `json:"why"`
	Label      string       `json:"label,omitempty"`
	Allowed    string       `json:"allowed,omitempty"`
	Places     []recordForm `json:"records,omitempty"`
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
	Error   string         `json:"error,omitempty"` // why Raw and Columns are empty
}

func formOf(f *detect.Finding) findingForm {
	float := func(x float64) *float64 {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil
		}
		return &x
	}
	seen := func(us int64) string {
		if us == 0 {
			return ""
		}
		return stamp(us)
	}
	out := findingForm{
		UID: f.UID, Day: f.Day.String(), From: stamp(f.Window[0]), To: stamp(f.Window[1]), Detection: f.Detection, Also: f.Also,
		Severity: f.Severity.String(), RiskScore: f.RiskScore, Technique: f.Technique, EntityType: f.EntityType, Entity: f.Entity,
		Person: f.Person, PersonBy: f.PersonBy, Object: f.Object, Feed: f.Feed, Observed: float(f.Observed), Baseline: float(f.Baseline),
		Unit: f.Unit, Score: float(f.Score), Threshold: float(f.Threshold), Events: f.Summary.Events, BytesOut: f.Summary.BytesOut,
		BytesIn: f.Summary.BytesIn, First: seen(f.Summary.First), Last: seen(f.Summary.Last), Why: f.Why, Label: f.Label, Allowed: f.Allowed,
	}
	for _, at := range f.Summary.Records() {
		out.Places = append(out.Places, recordForm{At: at.At, Time: seen(at.Time), Bytes: at.Bytes, Host: at.Host, Parent: at.Parent, PID: at.PID})
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
