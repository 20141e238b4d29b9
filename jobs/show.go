package jobs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rivo/uniseg"
	"github.com/spf13/cobra"

	"outflow/columnar"
	"outflow/columnar/logs"
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
			return noSuchFinding(config, args[0])
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

func noSuchFinding(config *Config, id string) error {
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
	sources, _, err := last.sourcesOf(p, config, days)
	if err != nil {
		return nil, err
	}
	asRead, err := last.etags(p, config, f.Day)
	if err != nil {
		return nil, err
	}
	wanted := map[string][]*recordForm{} // by object
	for i := range out {
		r := &out[i]
		j := slices.IndexFunc(sources, func(s source) bool {
			return strings.HasPrefix(r.At, s.object.Name+":") || strings.HasPrefix(r.At, s.object.Name+"!")
		})
		if j < 0 {
			r.Error = "the log is not there any more, or not where the configuration says"
			continue
		}
		etag, known := asRead[sources[j].object.Name]
		r.Changed = known && etag != sources[j].etag
		wanted[sources[j].object.Name] = append(wanted[sources[j].object.Name], r)
	}
	for i := range sources {
		if of := wanted[sources[i].object.Name]; of != nil {
			p.readRecords(&sources[i], of)
			delete(wanted, sources[i].object.Name)
		}
	}
	return out, nil
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

// errFound ends the reading of an object: no more of it is wanted.
var errFound = errors.New("all records were found")

// readRecords fills the records from their object.
func (p *program) readRecords(src *source, wanted []*recordForm) {
	left := len(wanted)
	var failure error
	for _, m := range logs.Read(&src.object, &logs.ReadOptions{Format: src.format, Formats: src.formats, Options: src.options}, func(m *logs.Member, b *logs.Block) error {
		before := left
		for _, r := range wanted {
			n, ok := recordNumber(r.At, m.Name)
			if !ok || r.Format != "" || n < b.First {
				continue
			}
			if text, last := lineOf(m.Format, b, n); text != nil {
				r.Raw = reports.Masked(string(text))
			} else if last {
				continue
			}
			columns, err := decodeRecord(m, b, n)
			if err != nil {
				return err
			}
			if columns == nil && r.Raw == "" {
				continue
			}
			r.Format, r.Columns = m.Format.Name, columns
			if at, ok := columns[columnar.Time.String()].(string); ok && r.us != 0 && !sameTime(at, r.us) {
				*r = recordForm{At: r.At, Time: r.Time, Bytes: r.Bytes, Format: m.Format.Name, Changed: true, us: r.us,
					Error: "the log was exchanged since the run read it: the record here is now one of " + at}
			}
			left--
		}
		if left == 0 && before > 0 {
			return errFound
		}
		if p.ctx.Err() != nil {
			return p.ctx.Err()
		}
		return nil
	}) {
		if m.Err != nil && !errors.Is(m.Err, errFound) {
			failure = m.Err
		}
	}
	for _, r := range wanted {
		if r.Format == "" {
			r.Error = "the log has no such record now"
			if failure != nil {
				r.Error = failure.Error()
			}
		}
	}
}

// sameTime reports whether a time of a row, as rowForm has it, is that of a finding's record,
// in µs UTC.
func sameTime(text string, us int64) bool {
	t, err := time.Parse(time.RFC3339Nano, text)
	return err != nil || t.UnixMicro() == us
}

// recordNumber returns the number of the record that at names, if it is one of a member.
func recordNumber(at, member string) (int64, bool) {
	rest, ok := strings.CutPrefix(at, member+":")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(rest, 10, 64)
	return n, err == nil
}

// lineOf returns the text of a record if the records of the block are its lines. outside
// says that they are and the record is behind them.
func lineOf(f *logs.Format, b *logs.Block, n int64) (text []byte, outside bool) {
	if f.Split != nil || f.Cut != nil || f.Quoted || len(b.Data) == 0 {
		return nil, false
	}
	data := b.Data
	for at := b.First; len(data) > 0; at++ {
		line, rest, _ := bytes.Cut(data, []byte{'\n'})
		if at == n {
			return bytes.TrimSuffix(line, []byte{'\r'}), false
		}
		data = rest
	}
	return nil, true
}

// decodeRecord returns the columns of a record that have a value, nil if it is no row.
func decodeRecord(m *logs.Member, b *logs.Block, n int64) (map[string]any, error) {
	d, err := m.Format.New(m.Options)
	if err != nil {
		return nil, err
	}
	var found map[string]any
	var tally logs.Tally
	var failed error
	out := columnar.Out{Want: everything, WantEvents: columnar.AnyEvent, Origin: m.Format.Origin(), Server: m.Format.Server, Sink: func(rows *columnar.Batch) {
		for row := range rows.Len() {
			if rows.First+int64(rows.Record[row]) == n && found == nil && failed == nil {
				found, failed = rowForm(rows, row)
			}
		}
	}}
	err = b.Decode(d, &out, &tally)
	out.Flush()
	return found, cmp.Or(err, failed)
}

// rowForm returns the known columns of a row, masked.
func rowForm(b *columnar.Batch, row int) (map[string]any, error) {
	var line bytes.Buffer
	w, err := logs.NewWriter("jsonl", &line, b.Table)
	if err == nil {
		err = w.Write(b, []int{row})
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, err
	}
	var out map[string]any
	d := json.NewDecoder(&line)
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		return nil, err
	}
	for name, v := range out {
		if text, ok := v.(string); ok {
			out[name] = reports.Masked(text)
		}
	}
	return out, nil
}
