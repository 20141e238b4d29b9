package jobs

import (
	"bufio"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"outflow/columnar"
	"outflow/columnar/bounded"
	"outflow/columnar/logs"
	"outflow/columnar/store"
	"outflow/stats/detect"
)

// everything is the set of all columns.
const everything = columnar.Cols(1<<columnar.NumCols - 1)

// allTime sets no bounds.
var allTime = detect.FoldOptions{From: math.MinInt64, To: math.MaxInt64}

func (p *program) catCommand() *cobra.Command {
	var inputs inputFlags
	var as, table, condition string
	var columns []string
	c := &cobra.Command{
		Use:   "cat FILE[:RECORD]…",
		Short: "print any log as its canonical table",
		Long: "cat decodes logs and prints the rows of one table: if the logs hold several, the table of the first row,\n" +
			"or the table that --table names. The table event has the records of Windows and auditd that fit no other\n" +
			"table; it is printed only if --table names it. FILE:RECORD, as evidence is named, is one record of a log.\n\n" +
			"--where selects rows by an expression over their columns, in the language of expr-lang.org. An unknown\n" +
			"number is no number: each comparison with it is false. An unknown text is empty.",
		Example: "  outflow cat proxy.log.gz --columns time,user,url_host,bytes_out --where 'bytes_out > 1e6'\n" +
			"  outflow cat proxy.log.gz --where 'user == \"anna\" and time >= date(\"2026-11-20T18:00:00Z\")' --as jsonl\n" +
			"  outflow cat proxy.log.gz --where 'url_host endsWith \".mega.nz\"'\n" +
			"  outflow cat proxy.log.gz:1260",
		Args: cobra.MinimumNArgs(1),
	}
	inputs.bind(p, c)
	p.withVerbose(c)
	c.Flags().StringVar(&as, "as", "csv", "csv, csv-raw (cells unguarded against spreadsheets), jsonl, arrow or parquet")
	c.Flags().StringVar(&table, "table", "", "print only rows of this table")
	c.Flags().StringVar(&condition, "where", "", "print only rows for which this `expression` is true")
	c.Flags().StringSliceVar(&columns, "columns", nil, "print these columns (default: those of the table)")
	c.RunE = func(_ *cobra.Command, args []string) error {
		var err error
		o := &catOptions{as: as, columns: columns}
		if table != "" {
			if o.table = columnar.TableNamed(table); o.table == nil {
				return badConfig("--table %q: want api, http, dns, network, process or event", table)
			}
		}
		if condition != "" {
			if o.where, err = newWhere(condition); err != nil {
				return err
			}
		}
		if args, o.records, err = placesOf(args); err != nil {
			return err
		}
		var events []columnar.EventKind
		if o.table == columnar.Event {
			events = columnar.AnyEvent
		}
		sources, err := p.find(&inputs, args)
		if err != nil {
			return err
		}
		w := bufio.NewWriterSize(p.stdout, 1<<16)
		var failed error
		folded, err := Fold(p.ctx, sources, &foldOptions{FoldOptions: allTime, workers: 1, want: columnar.Wanted{Cols: everything, Events: events}, tap: func(b *columnar.Batch) {
			if failed == nil {
				failed = o.print(w, b)
			}
		}})
		if err != nil {
			return err
		}
		if o.out != nil && failed == nil {
			failed = o.out.Close()
		}
		if failed == nil {
			failed = w.Flush()
		}
		if failed != nil {
			return failed
		}
		p.incomplete(folded.inputs)
		for _, in := range folded.inputs {
			if table == "" && in.Table != "" && in.Table != o.table.Name {
				p.note("%s also has rows of %s: print them with --table %s", printable(in.Name), in.Table, in.Table)
			}
		}
		p.complaints(folded.inputs, false)
		for _, place := range slices.Sorted(maps.Keys(o.records)) {
			if !o.records[place] {
				p.note("%s: this record is no row of the table: it is of another kind or table, was skipped, or is not there", printable(place))
			}
		}
		return unreadable(folded.inputs)
	}
	return c
}

// catOptions say what cat prints, and hold what it has printed.
type catOptions struct {
	as      string
	table   *columnar.Table // nil: that of the first row
	columns []string        // nil: all
	where   *where          // nil: all rows
	records map[string]bool // "object:record", and whether it was a row; nil: all
	out     logs.Writer
	rows    []int
}

// print writes the rows of a batch that are asked for.
func (o *catOptions) print(w *bufio.Writer, b *columnar.Batch) (err error) {
	if o.table == nil {
		o.table = b.Table
	}
	if b.Table != o.table {
		return nil
	}
	if o.out == nil {
		t := o.table
		if o.columns != nil {
			cols, err := columnsOf(t, o.columns)
			if err != nil {
				return err
			}
			t = t.Only(cols...)
		}
		if o.where != nil {
			if err := o.where.check(o.table); err != nil {
				return err
			}
		}
		if o.out, err = logs.NewWriter(o.as, w, t); err != nil {
			return configError{err}
		}
	}
	if o.where == nil && o.records == nil {
		return o.out.Write(b, nil)
	}
	rows := o.rows[:0]
	for row := range b.Len() {
		if o.records != nil {
			place := b.Object + ":" + strconv.FormatInt(b.First+int64(b.Record[row]), 10)
			if _, asked := o.records[place]; !asked {
				continue
			}
			o.records[place] = true
		}
		rows = append(rows, row)
	}
	o.rows = rows
	if o.where != nil {
		if rows, err = o.where.of(b, rows); err != nil {
			return err
		}
	}
	if len(rows) == 0 {
		return nil // to Write, nil rows are all
	}
	return o.out.Write(b, rows)
}

var placed = bounded.Expression(`^(.+):([1-9][0-9]*)$`)

// placesOf takes the numbers of records off names of logs that have them: "object:7", or
// "archive!member:7". A file whose name ends like that is itself. Records is nil if no
// name has a number.
func placesOf(args []string) (names []string, records map[string]bool, err error) {
	there := func(name string) bool {
		_, err := os.Stat(name)
		return err == nil && !store.Remote(name)
	}
	numbered := 0
	for _, arg := range args {
		m := placed().FindStringSubmatch(arg)
		if m == nil || there(arg) {
			names = append(names, arg)
			continue
		}
		if records == nil {
			records = map[string]bool{}
		}
		records[arg] = false
		numbered++
		name := m[1]
		if !there(name) {
			name, _, _ = strings.Cut(name, "!")
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if numbered > 0 && numbered < len(args) {
		return nil, nil, badConfig("either all logs or none can have the number of a record")
	}
	return names, records, nil
}
