package jobs

import (
	"bufio"
	"math"

	"github.com/spf13/cobra"

	"outflow/columnar"
	"outflow/columnar/logs"
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
