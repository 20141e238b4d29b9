package jobs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"outflow/stats/sigma"
)

func (p *program) rulesCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "rules check|test", Short: "check and test Sigma rules", Args: cobra.NoArgs,
		Example: "  outflow rules check rules/\n  outflow rules test rules/",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(p.rulesCheckCommand(), p.rulesTestCommand())
	return c
}

// A ruleLine is the line of rules check for one document.
type ruleLine struct {
	File       string   `json:"file"`
	Line       int      `json:"line,omitempty"`
	Loads      bool     `json:"loads"`
	Error      string   `json:"error,omitempty"`
	Column     int      `json:"column,omitempty"`
	Title      string   `json:"title,omitempty"`
	ID         string   `json:"id,omitempty"`
	Name       string   `json:"name,omitempty"`
	Status     string   `json:"status,omitempty"`
	Level      string   `json:"level,omitempty"`
	Techniques []string `json:"techniques,omitempty"`
	Logsource  string   `json:"logsource,omitempty"`
	Tables     []string `json:"tables,omitempty"`
	// Fields are read by name, because no column holds them.
	Fields []string `json:"fields,omitempty"`
}

func (p *program) rulesCheckCommand() *cobra.Command {
	var placeholders []string
	c := &cobra.Command{
		Use:   "check [DIR…]",
		Short: "show which Sigma rules load, and why others do not",
		Long: "check reads the rules, filters and correlations of files and folders (*.yml, *.yaml; not *_test.yml) and prints\n" +
			"a line for each: the tables of its events, and the fields that no column holds. Without a folder, it reads the\n" +
			"rules that come with outflow. It exits with 2 if a rule does not load. Files without a title, detection, correlation\n" +
			"or filter are not rules and are left out.",
		Example: "  outflow rules check\n  outflow rules check rules/ --as json",
	}
	form := bindAs(c, "text", "json")
	bindPlaceholders(c, &placeholders)
	c.RunE = func(_ *cobra.Command, args []string) error {
		as, err := form()
		if err != nil {
			return err
		}
		files, _, err := ruleFiles(args)
		if err != nil {
			return err
		}
		options, err := rulesOptions(placeholders)
		if err != nil {
			return err
		}
		set, faults := sigma.Load(files, options)
		lines := ruleLines(set, faults)
		if as == "json" {
			err = p.printJSON(lines)
		} else {
			err = p.printRules(lines, faults)
		}
		if err == nil && len(set.Other) > 0 {
			p.note("left out, because they have no Sigma rule: %s", printable(someOf("file", set.Other)))
		}
		if err == nil && len(faults) > 0 {
			err = badConfig("%s, %d %s not", rulesLoad(set), len(faults), verb(int64(len(faults)), "does", "do"))
		}
		if err == nil {
			p.note("%s", rulesLoad(set))
		}
		return err
	}
	return c
}

// rulesLoad says how many rules load.
func rulesLoad(set *sigma.Set) string {
	return counted(len(set.Rules), "rule") + " " + verb(int64(len(set.Rules)), "loads", "load")
}

func ruleLines(set *sigma.Set, faults []*sigma.Error) []ruleLine {
	var lines []ruleLine
	for _, r := range set.Rules {
		l := ruleLine{File: r.File, Line: r.Line, Loads: true, Title: r.Title, ID: r.ID, Name: r.Name, Status: r.Status, Level: r.Level,
			Techniques: r.Techniques(), Logsource: r.Logsource.String()}
		if r.Correlation != nil {
			l.Logsource = r.Correlation.Type
		}
		for _, t := range r.Tables() {
			l.Tables = append(l.Tables, t.Name)
			for _, field := range r.Kept(t) {
				if !slices.Contains(l.Fields, field) {
					l.Fields = append(l.Fields, field)
				}
			}
		}
		slices.Sort(l.Fields)
		lines = append(lines, l)
	}
	for _, f := range faults {
		lines = append(lines, ruleLine{File: f.File, Line: f.Line, Column: f.Column, Error: f.Msg})
	}
	slices.SortStableFunc(lines, func(a, b ruleLine) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		return a.Line - b.Line
	})
	return lines
}

func (p *program) printRules(lines []ruleLine, faults []*sigma.Error) error {
	tw := tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "FILE\tRULE\tLEVEL\tLOGSOURCE\tTABLES\tFIELDS WITHOUT A COLUMN")
	for _, l := range lines {
		if l.Loads {
			fmt.Fprintf(tw, "%s:%d\t%s\t%s\t%s\t%s\t%s\n", printable(l.File), l.Line, printable(l.Title), l.Level, printable(l.Logsource),
				strings.Join(l.Tables, " "), printable(strings.Join(l.Fields, " ")))
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, f := range faults {
		fmt.Fprintf(p.stderr, "\n%s\n", printableLines(f.Error()))
	}
	return nil
}

// printableLines is printable for text with several lines.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

func (p *program) rulesTestCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "test [DIR…]",
		Short: "try Sigma rules on the events written for them",
		Long: "test runs the cases in x_test.yml on the rules of x.yml in the same folder. A case has one or several events, and\n" +
			"names the rules that must match; all others must not:\n\n" +
			"  - name: a renamed binary\n" +
			"    event: {Image: 'C:\\Temp\\svchost.exe', OriginalFileName: rclone.exe}\n" +
			"    match: true                   # true: all rules of the file; false: none; or a list of ids, names or titles\n\n" +
			"For correlations, events has a list; their times come from UtcTime or time, else they are a second apart. A map in an\n" +
			"event stands for fields with a dot in their name. Without a folder, test runs the cases of the rules that come with\n" +
			"outflow. It exits with 2 if a case fails or a rule does not load.",
		Example: "  outflow rules test rules/",
	}
	var placeholders []string
	bindPlaceholders(c, &placeholders)
	c.RunE = func(_ *cobra.Command, args []string) error {
		files, cases, err := ruleFiles(args)
		if err != nil {
			return err
		}
		if len(cases) == 0 {
			return badConfig("no cases in %s: want files *_test.yml beside the rules", strings.Join(args, ", "))
		}
		options, err := rulesOptions(placeholders)
		if err != nil {
			return err
		}
		set, faults := sigma.Load(files, options)
		ran, failed := 0, 0
		tried := map[string]bool{}
		for _, f := range cases {
			list, fault := sigma.ParseCases(f)
			if fault != nil {
				faults = append(faults, fault)
				continue
			}
			tried[f.Rules()] = true
			for i := range list {
				ran++
				if wrong := set.Run(&list[i], f.Rules()); wrong != "" {
					failed++
					fmt.Fprintf(p.stdout, "%s:%d: %s: %s\n", printable(f.Name), list[i].Line, printable(list[i].Name), printable(wrong))
				}
			}
		}
		for _, f := range faults {
			fmt.Fprintf(p.stderr, "%s\n", printableLines(f.Error()))
		}
		untried := 0
		for _, r := range set.Rules {
			if !tried[r.File] {
				untried++
			}
		}
		fmt.Fprintf(p.stdout, "%s, %d failed; %d of %s %s no case\n", counted(ran, "case"), failed, untried, counted(len(set.Rules), "rule"), verb(int64(untried), "has", "have"))
		if failed > 0 || len(faults) > 0 {
			return badConfig("%s failed, %s in rules or cases", counted(failed, "case"), counted(len(faults), "error"))
		}
		return nil
	}
	return c
}

func bindPlaceholders(c *cobra.Command, to *[]string) {
	c.Flags().StringArrayVar(to, "placeholder", nil, "values of %NAME% in rules with the modifier expand: `NAME=VALUES`, separated by commas (repeatable)")
}

func rulesOptions(placeholders []string) (o sigma.Options, err error) {
	o.Placeholders = map[string][]string{}
	for _, p := range placeholders {
		name, values, ok := strings.Cut(p, "=")
		if !ok || name == "" || values == "" {
			return o, badConfig("--placeholder %q: want NAME=VALUE,…", p)
		}
		o.Placeholders[name] = append(o.Placeholders[name], strings.Split(values, ",")...)
	}
	return o, nil
}

// ruleFiles reads the YAML files of files and folders, in the order of their names:
// rules, and cases for them. Without paths, it returns those that come with outflow.
func ruleFiles(paths []string) (rules, cases []sigma.File, err error) {
	if len(paths) == 0 {
		rules, cases = sigma.Bundled()
		seed, of := sigma.Seed()
		return append(rules, seed...), append(cases, of...), nil
	}
	seen := map[string]bool{}
	read := func(name string) error {
		if seen[name] {
			return nil
		}
		seen[name] = true
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f := sigma.File{Name: name, Text: text}
		if f.Rules() != "" {
			cases = append(cases, f)
		} else {
			rules = append(rules, f)
		}
		return nil
	}
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
			switch ext := filepath.Ext(name); {
			case err != nil:
				return err
			case d.IsDir() && name != path && strings.HasPrefix(d.Name(), "."):
				return fs.SkipDir
			case d.IsDir(), name != path && ext != ".yml" && ext != ".yaml":
				return nil
			}
			return read(name)
		})
		if err != nil {
			return nil, nil, configError{fmt.Errorf("read rules: %w", err)}
		}
	}
	if len(rules) == 0 {
		return nil, nil, badConfig("no rules in %s: want files *.yml", strings.Join(paths, ", "))
	}
	return rules, cases, nil
}
