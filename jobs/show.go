package jobs

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rivo/uniseg"
	"github.com/spf13/cobra"

	"outflow/columnar"
	"outflow/reports"
	"outflow/stats/detect"
)

func (p *program) showCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "show FINDING",
		Short: "print the records of the logs behind a finding",
		Long: "show takes the ID of a finding, or the first characters of it, and prints the records that the finding names, up to\n" +
			"five, those with the most bytes first: as the log has them, and as columns. If it names none, show prints the first\n" +
			"records that fit it. Values of URL queries, cookies, passwords and tokens are masked. The finding is looked for in\n" +
			"the last run of the output folder, then in the state, then in all reports of the output folder. The logs are read\n" +
			"again where they are.",
		Example: "  outflow show 5fdf8cf7\n  outflow show 5fdf8cf7 --as json",
		Args:    cobra.ExactArgs(1),
	}
	form := bindAs(c, "text", "json")
	load := p.withPlaces(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		as, err := form()
		if err != nil {
			return err
		}
		config, last, err := p.loadLast(load)
		if err != nil {
			return err
		}
		f, err := p.findingNamed(config, last, args[0])
		if err != nil {
			return err
		}
		if f == nil {
			return noSuchFinding(config, last, args[0])
		}
		records, err := p.recordsOf(config, last, f)
		if err != nil {
			return err
		}
		if as == "json" {
			out := formOf(f)
			out.Records = records
			return p.printJSON(&out)
		}
		fmt.Fprintf(p.stdout, "%s  %s  %s  %s\n%s\n", f.UID, f.Day, f.Severity, f.Detection, p.behind(0, printable(f.Why)))
		if len(records) == 0 {
			fmt.Fprintf(p.stdout, "\nThe finding names no record, and no record of its logs fits it.\n")
		}
		for i := range records {
			p.printRecord(&records[i])
		}
		return nil
	}
	return c
}

func noSuchFinding(config *Config, last *lastRun, id string) error {
	if last == nil {
		return badConfig("%q is not a finding in the state %s, and no run has written reports to %s: name their folder with --out, as in --out /srv/outflow/out", id, config.State, config.Out)
	}
	return badConfig("%q is not a finding of the last run, in the state %s or in the reports under %s: the IDs are in the first column of what a run prints",
		id, config.State, config.Out)
}

func (p *program) printRecord(r *recordForm) {
	head := []string{printable(r.At)}
	if r.Time != "" {
		head = append(head, r.Time)
	}
	if r.Bytes != 0 {
		size := reports.ByteSize(float64(r.Bytes))
		if r.joined() {
			size += " in all records of this connection"
		}
		head = append(head, size)
	}
	line := strings.Join(head, "  ")
	if p.width > 0 && uniseg.StringWidth(line) > p.width {
		line = strings.Join(head, "\n  ")
	}
	fmt.Fprintf(p.stdout, "\n%s\n", line)
	if r.Changed {
		fmt.Fprintln(p.stdout, "  the log is not as the run read it: it was changed, copied or touched, so this may be another record")
	}
	if r.Error != "" {
		fmt.Fprintf(p.stdout, "  %s\n", p.behind(2, printable(r.Error)))
	}
	if r.Raw != "" {
		fmt.Fprintf(p.stdout, "  %s\n", printable(r.Raw))
	}
	for c := range columnar.NumCols {
		if v, ok := r.Columns[c.String()]; ok {
			text := fmt.Sprint(v)
			if us, err := strconv.ParseInt(text, 10, 64); err == nil && c == columnar.Duration && us < math.MaxInt64/1000 {
				text = (time.Duration(us) * time.Microsecond).String()
			}
			fmt.Fprintf(p.stdout, "    %-14s %s\n", c, p.behind(19, printable(text)))
		}
	}
}

// joined reports whether the bytes of the record are those of its connection, which other
// records continue, since the record itself says fewer.
func (r *recordForm) joined() bool {
	_, known := r.Columns[columnar.UID.String()]
	most := int64(0)
	for _, c := range []columnar.Col{columnar.BytesOut, columnar.BytesIn} {
		if n, ok := r.Columns[c.String()].(json.Number); ok {
			v, _ := n.Int64()
			most = max(most, v)
		}
	}
	return known && most > 0 && r.Bytes > most
}

// recordsOf reads the records that a finding names. What cannot be read has an Error.
func (p *program) recordsOf(config *Config, last *lastRun, f *detect.Finding) ([]recordForm, error) {
	out := recordsIn(f)
	if last == nil {
		last = &lastRun{Job: "nightly"}
	}
	days := []detect.Day{f.Day}
	if len(out) == 0 {
		return p.likelyRecords(config, last, f)
	}
	sources, err := last.sourcesOf(p, config, days)
	if err != nil {
		return nil, err
	}
	asRead, err := last.etags(p, config, f.Day)
	if err != nil {
		return nil, err
	}
	objects := objectsOf(sources)
	wanted := make([]*recordForm, len(out))
	for i := range out {
		r := &out[i]
		wanted[i] = r
		if src := objectAt(r.At, objects); src != nil {
			etag, known := asRead[src.object.Name]
			r.Changed = known && etag != src.etag
		}
	}
	p.readAgain(objects, wanted, rereading{bytes: math.MaxInt64, each: math.MaxInt64, objects: math.MaxInt})
	return out, p.ctx.Err()
}

// maxLikely is how many records show prints of a finding that names none.
const maxLikely = 5

// likelyRecords returns the first records of the day that have the entity of a finding that
// names no records, and its object if it has one.
func (p *program) likelyRecords(config *Config, last *lastRun, f *detect.Finding) ([]recordForm, error) {
	who := newSubject(config, f.Entity)
	named := []columnar.Col{columnar.Query, columnar.URLHost, columnar.DstHost, columnar.DstIP, columnar.Resource}
	events, left, err := p.rowsWhere(config, last, []detect.Day{f.Day}, maxLikely, func(b *columnar.Batch, row int) bool {
		return who.in(b, row) && (f.Object == "" || slices.ContainsFunc(named, func(c columnar.Col) bool {
			return b.Table.Set().Has(c) && below(strings.TrimSuffix(textOf(b, c, row), "."), f.Object)
		}))
	})
	if err != nil {
		return nil, err
	}
	if left > 0 {
		p.note("%d more records fit the finding: outflow cat --where prints them", left)
	}
	var out []recordForm
	for _, e := range events {
		out = append(out, recordForm{At: e.At, Time: e.Time, Bytes: e.Bytes, Columns: e.Columns})
	}
	return out, nil
}
