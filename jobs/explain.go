package jobs

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

func (p *program) explainCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "explain FINDING_UID|DETECTION",
		Short: "explain a finding or a detection",
		Long: "explain takes a finding_uid from findings.csv (\"Finding\" on the page) and shows the numbers of the finding, from the\n" +
			"state and the reports of the configuration. Or it takes a detection from outflow list detections and shows what it\n" +
			"sees, common false positives, what it cannot see, and its thresholds.",
		Args: cobra.ExactArgs(1),
	}
	load := p.withConfig(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		config, err := load()
		if err != nil {
			return err
		}
		if d := config.detection(args[0]); d != nil {
			return p.explainDetection(config, d)
		}
		return p.explainFinding(config, args[0])
	}
	return c
}

func (p *program) explainDetection(config *Config, d *detect.Detection) error {
	fmt.Fprintf(p.stdout, "%s: %s\n\n%s\n\n", d.Name, d.Title, strings.TrimSpace(d.Doc))
	fmt.Fprintf(p.stdout, "ATT&CK %s · impact %d × confidence %d %% = risk %d · reads %s · needs %d days of history\n",
		d.Technique, d.Impact, d.Confidence, d.Risk(), d.Aggregate.Name, d.History)
	if needs := d.Needs.List(); len(needs) > 0 {
		var names []string
		for _, c := range needs {
			names = append(names, c.String())
		}
		fmt.Fprintf(p.stdout, "Blind without: %s\n", strings.Join(names, ", "))
	}
	fmt.Fprintf(p.stdout, "\nThresholds (configuration key detections.%s, or a flag):\n", d.Name)
	for _, s := range config.settings() {
		if key, ok := strings.CutPrefix(s.key, d.Name+"."); ok {
			fmt.Fprintf(p.stdout, "  %-16s %-10s %s  --%s\n", key, s.get(), s.doc, s.flag())
		}
	}
	if d.Card != "" {
		fmt.Fprintf(p.stdout, "\n%s\n", strings.TrimSpace(d.Card))
	}
	return nil
}

// explainFinding looks for the finding in the state, newest day first, then in
// the findings.csv files of the output folder.
func (p *program) explainFinding(config *Config, uid string) error {
	at, err := store.Open(p.ctx, config.State, config.store())
	if err != nil {
		return configError{fmt.Errorf("open the state: %w", err)}
	}
	s := &state{p: p, config: config, store: at}
	days, err := s.findings().List(p.ctx)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, day := range slices.Backward(days) {
		rows, _, err := s.findings().Read(p.ctx, day)
		if err != nil {
			return err
		}
		for i := range rows {
			if rows[i].UID == uid {
				d, _ := detect.ParseDay(day)
				f := rows[i].finding(d)
				p.printFinding(config, &f)
				return nil
			}
		}
	}
	if found, err := p.findInCSV(config.Out, uid); found || err != nil {
		return err
	}
	return badConfig("%q is not a finding in %s or under %s, and not a detection: want a finding_uid or one of %s", uid, config.State, config.Out,
		strings.Join(detectionNames(config.detections), ", "))
}

func (p *program) printFinding(config *Config, f *detect.Finding) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(p.stdout, "  %-12s %s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintf(p.stdout, "%s\n\n", printable(f.Why))
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
	line("observed", "%s %s", number(f.Observed), f.Unit)
	if !math.IsNaN(f.Baseline) {
		line("baseline", "%s %s", number(f.Baseline), f.Unit)
	}
	line("score", "%s, threshold %s", number(f.Score), number(f.Threshold))
	line("events", "%d, %s to %s", f.Summary.Events, stamp(f.Summary.First), stamp(f.Summary.Last))
	if s := &f.Summary; s.KnownOut > 0 || s.KnownIn > 0 || s.BytesOut > 0 || s.BytesIn > 0 {
		line("bytes", "%d out, %d in", s.BytesOut, s.BytesIn)
	}
	for _, at := range f.Summary.Records() {
		text := at.At
		if at.Time != 0 {
			text += ", " + stamp(at.Time)
		}
		if at.Bytes != 0 {
			text += fmt.Sprintf(", %d bytes", at.Bytes)
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
		fmt.Fprintf(p.stdout, "\nTo accept this and similar findings, add to the configuration:\n\nallow:\n%s", reports.AllowEntry(f))
	}
	if config.detection(f.Detection) != nil {
		fmt.Fprintf(p.stdout, "\nWhat %s looks for: outflow explain %s\n", f.Detection, f.Detection)
	}
}

// number formats a number with six digits, or a large one as a whole number.
func number(x float64) string {
	if math.Abs(x) >= 1e6 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 6, 64)
}

// findInCSV prints a finding from the reports of a folder.
func (p *program) findInCSV(folder, uid string) (bool, error) {
	found := false
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || found || d.Name() != "findings.csv" {
			return nil
		}
		f, err := os.Open(name)
		if err != nil {
			return nil
		}
		defer f.Close()
		rows, err := csv.NewReader(f).ReadAll()
		if err != nil || len(rows) == 0 {
			return nil
		}
		for _, row := range rows[1:] {
			if row[0] != uid {
				continue
			}
			found = true
			for i, cell := range row {
				if cell != "" {
					fmt.Fprintf(p.stdout, "  %-12s %s\n", rows[0][i], printable(cell))
				}
			}
		}
		return nil
	})
	return found, err
}
