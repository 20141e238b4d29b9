package jobs

import (
	"bufio"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/spf13/cobra"

	"outflow/columnar"
	"outflow/columnar/logs"
	"outflow/reports"
	"outflow/stats/detect"
)

// everything is the set of all columns.
const everything = columnar.Cols(1<<columnar.NumCols - 1)

// allTime sets no bounds.
var allTime = detect.FoldOptions{From: math.MinInt64, To: math.MaxInt64}

func (p *program) catCommand() *cobra.Command {
	var inputs inputFlags
	var as, table string
	c := &cobra.Command{
		Use:   "cat FILE…",
		Short: "print any log as its canonical table",
		Long: "cat decodes logs and prints the rows of one table: if the logs hold several, the table of the first row,\n" +
			"or the table that --table names. The table event has the records of Windows and auditd that fit no other\n" +
			"table; it is printed only if --table names it.",
		Args: cobra.MinimumNArgs(1),
	}
	inputs.bind(c)
	c.Flags().StringVar(&as, "as", "csv", "csv, csv-raw (cells unguarded against spreadsheets), jsonl, arrow or parquet")
	c.Flags().StringVar(&table, "table", "", "print only rows of this table")
	c.RunE = func(_ *cobra.Command, args []string) error {
		var only *columnar.Table
		if table != "" {
			if only = columnar.TableNamed(table); only == nil {
				return badConfig("--table %q: want api, http, dns, network, process or event", table)
			}
		}
		var events []columnar.EventKind
		if only == columnar.Event {
			events = columnar.AnyEvent
		}
		sources, _, err := p.find(&inputs, args)
		if err != nil {
			return err
		}
		w := bufio.NewWriterSize(p.stdout, 1<<16)
		var out logs.Writer
		var failed error
		folded, err := Fold(p.ctx, sources, &foldOptions{FoldOptions: allTime, workers: 1, want: columnar.Wanted{Cols: everything, Events: events}, tap: func(b *columnar.Batch) {
			if only == nil {
				only = b.Table
			}
			if failed != nil || b.Table != only {
				return
			}
			if out == nil {
				if out, failed = logs.NewWriter(as, w, only); failed != nil {
					failed = configError{failed}
					return
				}
			}
			failed = out.Write(b)
		}})
		if err != nil {
			return err
		}
		if out != nil && failed == nil {
			failed = out.Close()
		}
		if failed == nil {
			failed = w.Flush()
		}
		if failed != nil {
			return failed
		}
		p.incomplete(folded.inputs)
		for _, in := range folded.inputs {
			if table == "" && in.Table != "" && in.Table != only.Name {
				p.note("%s also has rows of %s: print them with --table %s", printable(in.Name), in.Table, in.Table)
			}
			p.complain(&in)
		}
		return unreadable(folded.inputs)
	}
	return c
}

func (p *program) inspectCommand() *cobra.Command {
	var inputs inputFlags
	var workers int
	c := &cobra.Command{
		Use:   "inspect FILE…",
		Short: "show what a log is and which detections are blind on it",
		Args:  cobra.MinimumNArgs(1),
	}
	inputs.bind(c)
	c.Flags().IntVar(&workers, "workers", 1, "number of workers that decode")
	c.RunE = func(_ *cobra.Command, args []string) error {
		sources, total, err := p.find(&inputs, args)
		if err != nil {
			return err
		}
		var read atomic.Int64
		stop := p.watch("inspect", total, &read)
		folded, err := Fold(p.ctx, sources, &foldOptions{FoldOptions: allTime, workers: workers, want: columnar.Wanted{Cols: everything}, read: &read})
		stop()
		if err != nil {
			return err
		}
		if headline := reports.Incomplete(folded.inputs); headline != "" {
			fmt.Fprintln(p.stdout, headline)
		}
		for rest := folded.inputs; len(rest) > 0; {
			n := 1
			for n < len(rest) && rest[n].Name == rest[0].Name {
				n++
			}
			p.printInput(inputs.formats, rest[:n])
			rest = rest[n:]
		}
		return unreadable(folded.inputs)
	}
	return c
}

// printInput prints what one log is. tables are its lines of inputs.csv.
func (p *program) printInput(formats logs.Formats, tables []reports.Input) {
	in := &tables[0]
	fmt.Fprintf(p.stdout, "%s\n", printable(in.Name))
	switch {
	case in.Status == reports.NoLog:
		fmt.Fprintf(p.stdout, "  no log   %s\n", printable(in.NoLog))
	case in.Error != "":
		fmt.Fprintf(p.stdout, "  error    %s\n", printable(in.Error))
	}
	if in.Format != "" {
		fmt.Fprintf(p.stdout, "  format   %s: %s\n", in.Format, formats.Named(in.Format).Title)
		fmt.Fprintf(p.stdout, "  records  %d: %d of other kinds, %d skipped\n", in.Records, in.Other, in.Skipped)
	}
	for _, k := range in.Kinds {
		fmt.Fprintf(p.stdout, "  other    %s: %s\n", printable(k.Name), counted(int(k.Count), "record"))
	}
	if in.Masked > 0 {
		fmt.Fprintf(p.stdout, "  masked   %d names: not written as they were queried\n", in.Masked)
	}
	for _, reason := range in.Reasons {
		fmt.Fprintf(p.stdout, "  skipped  %s\n", printable(reason))
	}
	for i := range tables {
		t := &tables[i]
		if t.Table == "" {
			continue
		}
		fmt.Fprintf(p.stdout, "  table    %s: %d rows, %s to %s\n", t.Table, t.Rows, stamp(t.First), stamp(t.Last))
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
		fmt.Fprintf(p.stdout, "  blind    %s: no %s. %s\n", b.Detection, b.Column, b.Remedy)
	}
}
