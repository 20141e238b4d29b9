package jobs

import (
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"outflow/columnar"
	"outflow/columnar/logs"
)

func (p *program) sourcesCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "sources", Short: "the logs of vendors that outflow reads, and how to add one",
		Long: "A source is a vendor's log as a YAML file describes it: the container, how a log is recognised, and which\n" +
			"records become rows. Users' own are read with sources: in the configuration, or with --sources.",
		Example: "  outflow sources list\n  outflow sources new some.log > some.yaml\n  outflow sources test some.yaml some.log",
	}
	c.AddCommand(p.sourcesList(), p.sourcesShow(), p.sourcesTest(), p.sourcesNew())
	return c
}

// bindSources adds --sources to a command, and returns a function that gives the formats.
func bindSources(c *cobra.Command) func() (logs.Formats, error) {
	var paths []string
	c.Flags().StringSliceVar(&paths, "sources", nil, "files and folders of source files of your own")
	return func() (logs.Formats, error) {
		own, err := loadSources(paths)
		if err != nil {
			return nil, configError{err}
		}
		return logs.All().With(own), nil
	}
}

func (p *program) sourcesList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "list the sources", Args: cobra.NoArgs, Example: "  outflow sources list"}
	formats := bindSources(c)
	c.RunE = func(*cobra.Command, []string) error {
		all, err := formats()
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "SOURCE\tTITLE\tCONTAINER\tTABLES")
		for _, f := range all {
			if f.Vendor != nil {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Name, f.Title, f.Vendor.Container, strings.Join(texts(f.Tables, tableName), " "))
			}
		}
		return w.Flush()
	}
	return c
}

func (p *program) sourcesShow() *cobra.Command {
	c := &cobra.Command{Use: "show NAME", Short: "print a source file", Args: cobra.ExactArgs(1), Example: "  outflow sources show okta"}
	c.ValidArgsFunction = func(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
		for _, f := range logs.All() {
			if f.Vendor != nil {
				names = append(names, f.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	formats := bindSources(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		all, err := formats()
		if err != nil {
			return err
		}
		f := all.Named(args[0])
		switch {
		case f == nil:
			return badConfig("unknown source %q: see outflow sources list", args[0])
		case f.Vendor == nil:
			return badConfig("%s is a format of outflow's own, not a source file: see outflow list formats", args[0])
		}
		_, err = p.stdout.Write(f.Vendor.Text())
		return err
	}
	return c
}

func (p *program) sourcesTest() *cobra.Command {
	c := &cobra.Command{
		Use: "test SOURCE-FILE LOG…", Short: "read logs with a source file, and say what became of their records",
		Example: "  outflow sources test some.yaml some.log",
		Args:    cobra.MinimumNArgs(2),
	}
	var zone string
	c.Flags().StringVar(&zone, "zone", "", "time zone of logs without one, as in Europe/Paris (default UTC)")
	c.RunE = func(_ *cobra.Command, args []string) error {
		f, err := loadSource(args[0])
		if err != nil {
			return configError{err}
		}
		inputs := inputFlags{sources: args[:1], format: f.Name, zone: zone}
		found, err := p.find(&inputs, args[1:])
		if err != nil {
			return err
		}
		folded, err := Fold(p.ctx, found, &foldOptions{FoldOptions: allTime, workers: 1, want: columnar.Wanted{Cols: everything}})
		if err != nil {
			return err
		}
		for i := range found {
			p.recognition(f, inputs.formats, &found[i])
		}
		p.printInputs(inputs.formats, folded.inputs)
		fmt.Fprintf(p.stdout, "Print the rows with: outflow cat --sources %s --format %s LOG\n", printable(args[0]), f.Name)
		return unreadable(folded.inputs)
	}
	return c
}

// recognition says what an object is taken for when no format is named.
func (p *program) recognition(f *logs.Format, formats logs.Formats, s *source) {
	for _, m := range logs.Read(&s.object, &logs.ReadOptions{Formats: formats, Options: s.options}, func(*logs.Member, *logs.Block) error {
		return logs.ErrSkip
	}) {
		name := printable(m.Name)
		switch {
		case m.Format == f || m.Format != nil && m.Format.Name == f.Name:
			fmt.Fprintf(p.stdout, "%s\n  recognised as %s\n", name, f.Name)
		case m.Format != nil:
			fmt.Fprintf(p.stdout, "%s\n  recognised as %s, not as %s: say in sniff what only this log has, or name it with --format\n", name, m.Format.Name, f.Name)
		default:
			fmt.Fprintf(p.stdout, "%s\n  not recognised: no record has all that sniff says\n", name)
		}
	}
}

func (p *program) sourcesNew() *cobra.Command {
	c := &cobra.Command{
		Use: "new LOG", Short: "print a first source file for a log that no source is for",
		Long: "new looks at the first records of a log and prints a source file: the container, and the columns that names and\n" +
			"values tell. What it could not tell is marked with ?.",
		Example: "  outflow sources new some.log > some.yaml",
		Args:    cobra.ExactArgs(1),
	}
	var name string
	c.Flags().StringVar(&name, "name", "", "name of the source (default: the log's)")
	c.RunE = func(_ *cobra.Command, args []string) error {
		found, err := p.find(&inputFlags{}, args)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return badConfig("%s: no log there", printable(args[0]))
		}
		for _, m := range logs.Read(&found[0].object, &logs.ReadOptions{Formats: logs.All(), Options: found[0].options}, func(*logs.Member, *logs.Block) error {
			return logs.ErrSkip
		}) {
			if m.Format != nil && !m.Format.Generic {
				p.note("%s: is read without a source file, as %s: outflow inspect shows what of it", printable(m.Name), m.Format.Name)
			}
		}
		if name == "" {
			name, _, _ = strings.Cut(filepath.Base(found[0].object.Name), ".")
		}
		text, err := logs.Draft(&found[0].object, strings.Trim(sourceName(name), "-"))
		if err != nil {
			return badConfig("%s: %w", printable(found[0].object.Name), err)
		}
		_, err = fmt.Fprint(p.stdout, text)
		return err
	}
	return c
}
