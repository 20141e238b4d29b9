package jobs

import (
	"fmt"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"outflow/columnar"
	"outflow/columnar/logs"
	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

func (p *program) inspectCommand() *cobra.Command {
	var inputs inputFlags
	var workers int
	var snippet bool
	c := &cobra.Command{
		Use:   "inspect FILE…|FOLDER…",
		Short: "show what a log is, or which logs lie in a folder or bucket",
		Long: "inspect FILE reads a log and shows its format, its columns, and which detections are blind on it.\n\n" +
			"inspect FOLDER and inspect s3://bucket/prefix/ show which logs lie there: their layout and format, since when, and\n" +
			"how much a day. All objects of a folder that has up to " + fmt.Sprint(store.SmallFolder) + " are opened; of a larger one the first, the last, and\n" +
			"the largest of each kind of name. inspect says how many it did not open; inspect 'FOLDER/*.log' reads all that fit.\n" +
			"In S3 a folder takes at most " + fmt.Sprint(store.MaxLists) + " LIST requests: of a larger bucket it lists the oldest and the newest days of\n" +
			"some folders. --config-snippet prints the inputs of a configuration for what was found, and suggests own accounts and\n" +
			"domains as comments. With a " +
			"format, a mapping or a layout, every log in a folder is read.",
		Example: "  outflow inspect access.log.gz\n  outflow inspect s3://bucket/ --config-snippet > outflow.yaml",
		Args:    cobra.MinimumNArgs(1),
	}
	inputs.bind(p, c)
	form := bindAs(c, "text", "json")
	c.Flags().IntVar(&workers, "workers", 1, "number of workers that decode")
	c.Flags().BoolVar(&snippet, "config-snippet", false, "print the inputs of a configuration for the logs in the folders")
	c.RunE = func(_ *cobra.Command, args []string) error {
		as, err := form()
		if err != nil {
			return err
		}
		p.json = as == "json"
		var folders, files []string
		for _, arg := range args {
			folder := inputs.format == "" && inputs.layout == "" && inputs.mapping == "" && inputs.logFormat == "" && !strings.ContainsAny(arg, "*?[{")
			if folder {
				var err error
				if folder, err = store.IsFolder(p.ctx, arg, inputs.store()); err != nil {
					return configError{err}
				}
			}
			if folder {
				folders = append(folders, arg)
			} else {
				files = append(files, arg)
			}
		}
		if p.json && (snippet || len(folders) > 0 && len(files) > 0) {
			return badConfig("--as json: want files alone or folders alone, without --config-snippet")
		}
		if snippet && len(folders) == 0 {
			return badConfig("--config-snippet: want a folder or s3://bucket/prefix/, without --format, --mapping, --layout and --logformat")
		}
		if len(folders) > 0 {
			if err := p.inspectFolders(&inputs, folders, snippet); err != nil || len(files)+len(inputs.mapped) == 0 {
				return err
			}
		}
		return p.inspectFiles(&inputs, files, workers)
	}
	return c
}

// inspectFiles reads logs and prints what each is.
func (p *program) inspectFiles(inputs *inputFlags, files []string, workers int) error {
	sources, err := p.find(inputs, files)
	if err != nil {
		return err
	}
	folded, err := p.fold(p.ctx, "inspect", sources, &foldOptions{FoldOptions: allTime, workers: workers, want: columnar.Wanted{Cols: everything}})
	if err != nil {
		return err
	}
	if p.json {
		if err := p.printJSON(inputForms(inputs.formats, folded.inputs)); err != nil {
			return err
		}
		return unreadable(folded.inputs)
	}
	if headline := reports.Incomplete(folded.inputs); headline != "" {
		fmt.Fprintln(p.stdout, headline)
	}
	p.printInputs(inputs.formats, folded.inputs)
	return unreadable(folded.inputs)
}

// printInputs prints what each log is, given the lines of inputs.csv.
func (p *program) printInputs(formats logs.Formats, inputs []reports.Input) {
	for tables := range byName(inputs) {
		p.printInput(formats, tables)
	}
}

// about prints a line of what inspect says of a log.
func (p *program) about(name, text string) {
	fmt.Fprintf(p.stdout, "  %-8s %s\n", name, p.behind(11, text))
}

// byName yields the lines of inputs.csv of each log.
func byName(inputs []reports.Input) iter.Seq[[]reports.Input] {
	return func(yield func([]reports.Input) bool) {
		for len(inputs) > 0 {
			n := 1
			for n < len(inputs) && inputs[n].Name == inputs[0].Name {
				n++
			}
			if !yield(inputs[:n:n]) {
				return
			}
			inputs = inputs[n:]
		}
	}
}

// printInput prints what one log is. tables are its lines of inputs.csv.
func (p *program) printInput(formats logs.Formats, tables []reports.Input) {
	in := &tables[0]
	fmt.Fprintf(p.stdout, "%s\n", printable(in.Name))
	switch {
	case in.Status == reports.NoLog:
		p.about("no log", printable(in.NoLog))
	case in.Error != "":
		p.about("error", printable(in.Error))
	}
	if in.Format != "" {
		p.about("format", in.Format+": "+formats.Named(in.Format).Title)
		p.about("records", fmt.Sprintf("%s: %s of other kinds, %s skipped", reports.Count(in.Records), reports.Count(in.Other), reports.Count(in.Skipped)))
	}
	for _, k := range in.Kinds {
		p.about("other", fmt.Sprintf("%s: %s", printable(k.Name), counted(int(k.Count), "record")))
	}
	if in.Masked > 0 {
		p.about("masked", fmt.Sprintf("%s: not written as queried", counted(int(in.Masked), "name")))
	}
	for _, reason := range in.Reasons {
		p.about("skipped", printable(reason))
	}
	for i := range tables {
		t := &tables[i]
		if t.Table == "" {
			continue
		}
		p.about("table", fmt.Sprintf("%s: %s, %s to %s", t.Table, counted(int(t.Rows), "row"), stamp(t.First), stamp(t.Last)))
		if v := t.Unattributed; v.Rows > 0 {
			fmt.Fprintf(p.stdout, "    %s %s no user, src_ip or host\n", v, verb(v.Rows, "has", "have"))
		}
		if v := t.Unplaced; v.Rows > 0 {
			fmt.Fprintf(p.stdout, "    %s %s no destination\n", v, verb(v.Rows, "has", "have"))
		}
		for _, c := range columnar.TableNamed(t.Table).Cols {
			fmt.Fprintf(p.stdout, "    %-14s %5.1f %%\n", c, 100*float64(t.Known[c])/float64(t.Rows))
		}
	}
	for _, b := range blind(detect.All(), formats, tables) {
		p.about("blind", fmt.Sprintf("%s: no %s. %s", b.Detection, b.Column, b.Remedy))
	}
}
