package jobs

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/rivo/uniseg"
	"github.com/spf13/cobra"

	"outflow/columnar"
	"outflow/reports"
	"outflow/stats/detect"
	"outflow/stats/sigma"
)

func (p *program) explainCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "explain FINDING|DETECTION|RULE|USER|HOST|ADDRESS",
		Short: "explain a finding, a detection, a rule, or a user, host or address",
		Long: "explain takes one of:\n" +
			"  the ID of a finding, or its first characters: prints the finding's numbers, and how to allow it;\n" +
			"  a detection (outflow list detections): what it sees, common false positives, what it cannot see, its thresholds;\n" +
			"  the id, name or title of a Sigma rule (outflow list rules): what it looks for and its false positives;\n" +
			"  a user, host or address: its findings in the last run, worst first, and all of their risk.\n" +
			"Findings are looked for in the last run of the output folder, then in the state, then in all reports.",
		Example: "  outflow explain 5fdf8cf7\n  outflow explain upload_zscore\n  outflow explain aws_shared\n  outflow explain anna@corp.example",
		Args:    cobra.ExactArgs(1),
	}
	c.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return detectionNames(detect.All()), cobra.ShellCompDirectiveNoFileComp
	}
	form := bindAs(c, "text", "json")
	load := p.withConfig(c, "profile", "state", "out", "rules", "placeholders", "disable", "s3.endpoint_url", "s3.region")
	c.RunE = func(_ *cobra.Command, args []string) error {
		as, err := form()
		if err != nil {
			return err
		}
		config, last, err := p.loadLast(load)
		if err != nil {
			return err
		}
		name := args[0]
		if d := config.detection(name); d != nil {
			if as == "json" {
				return p.printJSON(detectionFormOf(config, d))
			}
			return p.explainDetection(config, d)
		}
		if r := config.rule(name); r != nil {
			if as == "json" {
				return p.printJSON(ruleFormOf(r))
			}
			p.explainRule(r)
			return nil
		}
		f, err := p.findingNamed(config, last, name)
		if err != nil {
			return err
		}
		if f != nil {
			if as == "json" {
				return p.printJSON(formOf(f))
			}
			p.printFinding(config, f)
			return nil
		}
		return p.explainEntity(config, last, as, name)
	}
	return c
}

// rule returns the rule with this id, name or title, or nil.
func (c *Config) rule(name string) *sigma.Rule {
	if c.rules.set == nil {
		return nil
	}
	for _, r := range c.rules.set.Rules {
		if name != "" && (r.ID == name || r.Name == name || r.Title == name) {
			return r
		}
	}
	return nil
}

// A ruleForm is a rule as --as json prints it.
type ruleForm struct {
	Rule           string   `json:"rule"`
	ID             string   `json:"id,omitempty"`
	Title          string   `json:"title"`
	Level          string   `json:"level,omitempty"`
	Status         string   `json:"status,omitempty"`
	Description    string   `json:"description,omitempty"`
	Techniques     []string `json:"techniques,omitempty"`
	Logsource      string   `json:"logsource,omitempty"`
	Tables         []string `json:"tables,omitempty"`
	FalsePositives []string `json:"false_positives,omitempty"`
	References     []string `json:"references,omitempty"`
	File           string   `json:"file"`
	Line           int      `json:"line"`
}

func ruleFormOf(r *sigma.Rule) ruleForm {
	out := ruleForm{Rule: r.Ref(), ID: r.ID, Title: r.Title, Level: r.Level, Status: r.Status, Description: strings.TrimSpace(r.Description),
		Techniques: r.Techniques(), FalsePositives: r.FalsePositives, References: r.References, Tables: texts(r.Tables(), tableName), File: r.File, Line: r.Line}
	if r.Correlation == nil {
		out.Logsource = r.Logsource.String()
	}
	return out
}

func (p *program) explainRule(r *sigma.Rule) {
	form := ruleFormOf(r)
	line := func(name, text string) {
		if text != "" {
			p.entry(name, text)
		}
	}
	fmt.Fprintf(p.stdout, "%s: %s\n\n", printable(form.Rule), printable(form.Title))
	if form.Description != "" {
		text := printableLines(form.Description)
		if p.width > 0 {
			text = filled(text, p.width)
		}
		fmt.Fprintf(p.stdout, "%s\n\n", text)
	}
	line("level", form.Level)
	line("ATT&CK", strings.Join(form.Techniques, ", "))
	line("log source", form.Logsource)
	if r.Correlation != nil {
		line("correlation", r.Correlation.Type)
	}
	line("tables", strings.Join(form.Tables, ", "))
	for _, text := range form.FalsePositives {
		line("false positive", text)
	}
	for _, text := range form.References {
		line("reference", text)
	}
	line("file", fmt.Sprintf("%s:%d", form.File, form.Line))
	if r.Part {
		fmt.Fprintln(p.stdout, "\nIts matches are not reported themselves: correlations use them.")
	}
	fmt.Fprintf(p.stdout, "\nTo switch it off, add to the configuration: disable: [%s]\n", printable(form.Rule))
}

// entry prints a name and its text. A text that has a word too long for the room beside the
// name begins on the next line.
func (p *program) entry(name, text string) {
	const at = 18
	text = printable(text)
	for _, word := range strings.Fields(text) {
		if p.width > 0 && uniseg.StringWidth(word) > p.width-at {
			fmt.Fprintf(p.stdout, "  %s\n    %s\n", name, p.behind(4, text))
			return
		}
	}
	fmt.Fprintf(p.stdout, "  %-15s %s\n", name, p.behind(at, text))
}

// explainEntity prints the findings of the last run about a user, host or address.
func (p *program) explainEntity(config *Config, last *lastRun, as, name string) error {
	unknown := func(what string) error {
		return badConfig("%q is not a finding, a detection or a rule, and %s: IDs are in the first column of what a run prints; see outflow list detections and outflow list rules%s",
			name, what, didYouMean(name, detectionNames(config.detections)))
	}
	if last == nil {
		return unknown("no run has written reports to " + config.Out + " (name their folder with --out)")
	}
	findings, err := last.findings(p, config)
	if err != nil {
		return err
	}
	who := newSubject(config, name)
	findings = slices.DeleteFunc(findings, func(f detect.Finding) bool { return !who.of(&f) })
	if as == "json" && len(findings) > 0 {
		return p.printJSON(formsOf(findings))
	}
	if len(findings) == 0 {
		return unknown("the last run (" + last.Job + ", " + last.span() + ") has no finding about it")
	}
	fmt.Fprintf(p.stdout, "%s: %s in the last run (%s, %s)\n", printable(name), counted(len(findings), "finding"), last.Job, last.span())
	for i := range findings {
		f := &findings[i]
		fmt.Fprintf(p.stdout, "\n%s  %s  %s  %s, risk %d\n  %s\n", f.UID[:min(len(f.UID), reports.IDLength(findings))], f.Day, f.Severity, printable(f.Detection), f.RiskScore, p.behind(2, printable(f.Why)))
		if whose := f.Whose(); whose != "" {
			fmt.Fprintf(p.stdout, "  %s\n", p.behind(2, printable(whose)))
		}
		if f.Allowed != "" {
			fmt.Fprintf(p.stdout, "  allowed: %s\n", p.behind(11, printable(f.Allowed)))
		}
	}
	fmt.Fprintf(p.stdout, "\nIn order of time: %s\n", p.again(config, "timeline", name))
	return nil
}

// A detectionForm is a detection as --as json prints it.
type detectionForm struct {
	Name       string          `json:"detection"`
	Title      string          `json:"title"`
	Doc        string          `json:"doc"`
	Technique  string          `json:"technique"`
	Risk       int             `json:"risk"`
	Reads      string          `json:"reads"`
	History    int             `json:"history_days"`
	Needs      []string        `json:"needs,omitempty"`
	Thresholds []thresholdForm `json:"thresholds,omitempty"`
}

type thresholdForm struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	Doc   string `json:"meaning"`
}

func detectionFormOf(config *Config, d *detect.Detection) detectionForm {
	out := detectionForm{Name: d.Name, Title: d.Title, Doc: strings.TrimSpace(d.Doc), Technique: d.Technique, Risk: d.Risk(), Reads: d.Aggregate.Name, History: d.History,
		Needs: texts(d.Needs.List(), columnar.Col.String)}
	for _, s := range config.settings() {
		if key, ok := strings.CutPrefix(s.key, d.Name+"."); ok {
			out.Thresholds = append(out.Thresholds, thresholdForm{key, s.get(), s.doc})
		}
	}
	return out
}

func (p *program) explainDetection(config *Config, d *detect.Detection) error {
	fmt.Fprintf(p.stdout, "%s: %s\n\n%s\n\n", d.Name, d.Title, p.behind(0, strings.Join(reports.Paragraphs(d.Doc), "\n\n")))
	fmt.Fprintln(p.stdout, p.behind(0, fmt.Sprintf("ATT&CK %s · impact %d × confidence %d %% = risk %d · reads %s · needs %d days of history",
		d.Technique, d.Impact, d.Confidence, d.Risk(), d.Aggregate.Name, d.History)))
	if needs := d.Needs.List(); len(needs) > 0 {
		fmt.Fprintf(p.stdout, "Blind without: %s\n", strings.Join(texts(needs, columnar.Col.String), ", "))
	}
	fmt.Fprintf(p.stdout, "\nThresholds (configuration key detections.%s, or a flag):\n", d.Name)
	for _, s := range config.settings() {
		if key, ok := strings.CutPrefix(s.key, d.Name+"."); ok {
			fmt.Fprintf(p.stdout, "  %-16s %-10s %s\n", key, s.get(), p.behind(30, s.doc+"  --"+flagOf(s.key)))
		}
	}
	if d.Card != "" {
		fmt.Fprintf(p.stdout, "\n%s\n", strings.TrimSpace(d.Card))
	}
	return nil
}

func (p *program) printFinding(config *Config, f *detect.Finding) {
	line := func(name, format string, args ...any) {
		p.entry(name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(p.stdout, "%s\n\n", p.behind(0, printable(f.Why)))
	line("finding", "%s", f.UID)
	line("day", "%s, %s to %s", f.Day, stamp(f.Window[0]), stamp(f.Window[1]))
	line("detection", "%s (%s), severity %s, risk %d", f.Detection, f.Technique, f.Severity, f.RiskScore)
	if len(f.Also) > 0 {
		line("also", "%s", strings.Join(f.Also, ", "))
	}
	line("who", "%s %s, feed %s", f.EntityType, f.Who(), f.Feed)
	if f.PersonBy != "" {
		line("whose", "%s", f.Whose())
	}
	if f.Object != "" {
		line("where", "%s", f.Object)
	}
	line("observed", "%s", reports.Quantity(f.Observed, f.Unit))
	if !math.IsNaN(f.Baseline) {
		line("baseline", "%s", reports.Quantity(f.Baseline, f.Unit))
	}
	if f.Score == f.Observed && f.Unit != "" {
		line("alert limit", "%s", reports.Quantity(f.Threshold, f.Unit))
	} else if !math.IsNaN(f.Score) {
		line("score", "%s, threshold %s", number(f.Score), number(f.Threshold))
	}
	line("events", "%s, %s to %s", reports.Count(f.Summary.Events), stamp(f.Summary.First), stamp(f.Summary.Last))
	if s := &f.Summary; s.KnownOut > 0 || s.KnownIn > 0 || s.BytesOut > 0 || s.BytesIn > 0 {
		line("bytes", "%s out (%s), %s in (%s)", reports.Count(s.BytesOut), reports.ByteSize(float64(s.BytesOut)), reports.Count(s.BytesIn), reports.ByteSize(float64(s.BytesIn)))
	}
	for _, at := range f.Summary.Records() {
		text := at.At
		if at.Time != 0 {
			text += ", " + stamp(at.Time)
		}
		if at.Bytes != 0 {
			text += ", " + reports.ByteSize(float64(at.Bytes))
		}
		if at.Host != "" {
			text += ", on " + at.Host
		}
		if at.PID != 0 {
			text += fmt.Sprintf(", process %d", at.PID)
		}
		if at.Parent != "" {
			text += ", started by " + at.Parent
		}
		line("record", "%s", text)
	}
	for _, e := range f.Summary.Examples {
		line("example", "%s", e)
	}
	if f.Label != "" {
		line("label", "%s", f.Label)
	}
	if f.Allowed != "" {
		line("allowed", "%s", f.Allowed)
	} else {
		fmt.Fprintf(p.stdout, "\n%s\n\nallow:\n%s\n%s\n", p.behind(0, "To accept this and similar findings, add to the configuration:"),
			reports.AllowEntry(f, p.allowUntil(f)), p.behind(0, printable(reports.AllowScope(f, false))))
	}
	what := f.Detection
	if rule, _ := detect.RuleMatch(f.Key); config.rule(rule) != nil {
		what = rule
	}
	if what != f.Detection || config.detection(what) != nil {
		fmt.Fprintf(p.stdout, "\nWhat %s looks for: %s\n", printable(what), p.again(config, "explain", what))
	}
}

// number formats a number with six digits, or a large one as a whole number.
func number(x float64) string {
	if math.Abs(x) >= 1e6 && math.Abs(x) < 1e18 {
		return reports.Count(int64(math.Round(x)))
	}
	return strconv.FormatFloat(x, 'g', 6, 64)
}
