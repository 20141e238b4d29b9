package reports

import (
	"encoding/csv"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"outflow/columnar"
	"outflow/stats/detect"
)

// CSV writes tables for spreadsheets and scripts: RFC 4180 with LF line ends,
// UTF-8, a header row, times in RFC 3339 UTC, lists joined by ";". Columns are
// never reordered or renamed; new ones come last.
//
// Text that came from a log is as visible has it, and never begins like a
// formula: see text. Numbers are never touched.
var CSV = &Format{
	Name:  "csv",
	Title: "tables for spreadsheets and scripts",
	Files: []File{
		{"findings.csv", "a row per finding, worst first", func(w io.Writer, r *Report) error {
			return writeCSV(w, findingColumns, each(r.Findings))
		}},
		{"user_day.csv", "a row per feed, entity and judged day, with what was normal", func(w io.Writer, r *Report) error {
			return writeCSV(w, userDayColumns, r.UserDays)
		}},
		{"dns_domains.csv", "a row per feed, source, registered domain and judged day", func(w io.Writer, r *Report) error {
			return writeCSV(w, domainColumns, r.Domains)
		}},
		{"inputs.csv", "a row per log object and table: what was read, what was skipped, and how complete it is", func(w io.Writer, r *Report) error {
			return writeCSV(w, inputColumns, each(r.Inputs))
		}},
		{"entities.csv", "a row per user, host or address with a finding, worst first", func(w io.Writer, r *Report) error {
			return writeCSV(w, entityColumns, each(r.Entities))
		}},
	},
}

// A csvColumn is one column of a table of T: its name, and its cell of a row.
type csvColumn[T any] struct {
	name string
	cell func(row *T) string
}

// each yields the rows of a table that is held in memory.
func each[T any](rows []T) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for i := range rows {
			if !yield(&rows[i], nil) {
				return
			}
		}
	}
}

func writeCSV[T any](w io.Writer, columns []csvColumn[T], rows iter.Seq2[*T, error]) error {
	c := csv.NewWriter(w)
	record := make([]string, len(columns))
	for i := range columns {
		record[i] = columns[i].name
	}
	if err := c.Write(record); err != nil {
		return err
	}
	if rows == nil {
		rows = each[T](nil)
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		for j := range columns {
			record[j] = columns[j].cell(row)
		}
		if err := c.Write(record); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

var findingColumns = []csvColumn[detect.Finding]{
	{"finding_uid", func(f *detect.Finding) string { return text(f.UID) }},
	{"day", func(f *detect.Finding) string { return f.Day.String() }},
	{"time", func(f *detect.Finding) string { return timestamp(f.Window[0]) }},
	{"detection", func(f *detect.Finding) string { return text(f.Detection) }},
	{"severity", func(f *detect.Finding) string { return f.Severity.String() }},
	{"risk_score", func(f *detect.Finding) string { return integer(int64(f.RiskScore)) }},
	{"technique", func(f *detect.Finding) string { return text(f.Technique) }},
	{"entity_type", func(f *detect.Finding) string { return text(f.EntityType) }},
	{"entity", func(f *detect.Finding) string { return text(f.Entity) }},
	{"object", func(f *detect.Finding) string { return text(f.Object) }},
	{"score", func(f *detect.Finding) string { return float(f.Score) }},
	{"threshold", func(f *detect.Finding) string { return float(f.Threshold) }},
	{"observed", func(f *detect.Finding) string { return float(f.Observed) }},
	{"baseline", func(f *detect.Finding) string { return float(f.Baseline) }},
	{"unit", func(f *detect.Finding) string { return text(f.Unit) }},
	{"events", func(f *detect.Finding) string { return integer(f.Summary.Events) }},
	{"bytes_out", func(f *detect.Finding) string { return integer(f.Summary.BytesOut) }},
	{"bytes_in", func(f *detect.Finding) string { return integer(f.Summary.BytesIn) }},
	{"first_seen", func(f *detect.Finding) string { return seen(f.Summary.First) }},
	{"last_seen", func(f *detect.Finding) string { return seen(f.Summary.Last) }},
	{"why", func(f *detect.Finding) string { return text(f.Why) }},
	{"evidence", func(f *detect.Finding) string { return list(evidence(f)) }},
	{"feed", func(f *detect.Finding) string { return text(f.Feed) }},
	{"label", func(f *detect.Finding) string { return text(f.Label) }},
	{"allowed", func(f *detect.Finding) string { return text(f.Allowed) }},
}

var userDayColumns = []csvColumn[UserDay]{
	{"day", func(u *UserDay) string { return u.Day.String() }},
	{"feed", func(u *UserDay) string { return text(u.Feed) }},
	{"entity_type", func(u *UserDay) string { return text(u.EntityType) }},
	{"entity", func(u *UserDay) string { return text(u.Entity) }},
	{"events", func(u *UserDay) string { return integer(u.Events) }},
	{"bytes_out", func(u *UserDay) string { return integer(u.BytesOut) }},
	{"bytes_in", func(u *UserDay) string { return integer(u.BytesIn) }},
	{"known_out", func(u *UserDay) string { return integer(u.KnownOut) }},
	{"known_in", func(u *UserDay) string { return integer(u.KnownIn) }},
	{"first_seen", func(u *UserDay) string { return seen(u.First) }},
	{"last_seen", func(u *UserDay) string { return seen(u.Last) }},
	{"baseline_days", func(u *UserDay) string { return integer(int64(u.BaselineDays)) }},
	{"baseline_median", func(u *UserDay) string { return float(u.BaselineMedian) }},
	{"baseline_upper", func(u *UserDay) string { return float(u.BaselineUpper) }},
	{"z", func(u *UserDay) string { return float(u.Z) }},
	{"ratio", func(u *UserDay) string { return float(u.Ratio) }},
}

var domainColumns = []csvColumn[detect.Row]{
	{"day", func(d *detect.Row) string { return d.Day.String() }},
	{"feed", func(d *detect.Row) string { return text(d.Feed) }},
	{"entity_type", func(d *detect.Row) string { return text(d.EntityType) }},
	{"entity", func(d *detect.Row) string { return text(d.Entity) }},
	{"domain", func(d *detect.Row) string { return text(d.Object) }},
	{"events", func(d *detect.Row) string { return integer(d.Events) }},
	{"names", func(d *detect.Row) string { return integer(d.Names) }},
	{"name_bytes", func(d *detect.Row) string { return integer(d.NameBytes) }},
	{"window_events", func(d *detect.Row) string { return integer(d.WindowEvents) }},
	{"window_at", func(d *detect.Row) string { return seen(d.WindowAt) }},
	{"window_bytes", func(d *detect.Row) string { return integer(d.WindowBytes) }},
	{"bytes_at", func(d *detect.Row) string { return seen(d.BytesAt) }},
	{"odd", func(d *detect.Row) string { return integer(d.Odd) }},
	{"max_entropy", func(d *detect.Row) string { return float(d.MaxEntropy) }},
	{"max_length", func(d *detect.Row) string { return integer(d.MaxLength) }},
	{"rare", func(d *detect.Row) string { return integer(d.Rare) }},
	{"nxdomain", func(d *detect.Row) string { return integer(d.NXDomain) }},
	{"examples", func(d *detect.Row) string { return list(d.Examples) }},
}

var inputColumns = []csvColumn[Input]{
	{"name", func(in *Input) string { return text(in.Name) }},
	{"feed", func(in *Input) string { return text(in.Feed) }},
	{"format", func(in *Input) string { return text(in.Format) }},
	{"table", func(in *Input) string { return text(in.Table) }},
	{"size", func(in *Input) string { return integer(in.Size) }},
	{"records", func(in *Input) string { return integer(in.Records) }},
	{"rows", func(in *Input) string { return integer(in.Rows) }},
	{"outside", func(in *Input) string { return integer(in.Outside) }},
	{"other", func(in *Input) string { return integer(in.Other) }},
	{"skipped", func(in *Input) string { return integer(in.Skipped) }},
	{"reasons", func(in *Input) string { return list(in.Reasons) }},
	{"error", func(in *Input) string { return text(in.Error) }},
	{"first_seen", func(in *Input) string { return seen(in.First) }},
	{"last_seen", func(in *Input) string { return seen(in.Last) }},
	{"user_share", func(in *Input) string { return share(in, columnar.User) }},
	{"bytes_out_share", func(in *Input) string { return share(in, columnar.BytesOut) }},
	{"bytes_in_share", func(in *Input) string { return share(in, columnar.BytesIn) }},
	{"repeated", func(in *Input) string { return integer(in.Repeated) }},
}

var entityColumns = []csvColumn[detect.EntityRisk]{
	{"entity_type", func(e *detect.EntityRisk) string { return text(e.EntityType) }},
	{"entity", func(e *detect.EntityRisk) string { return text(e.Entity) }},
	{"risk_24h", func(e *detect.EntityRisk) string { return integer(int64(e.Risk24h)) }},
	{"risk_7d", func(e *detect.EntityRisk) string { return integer(int64(e.Risk7d)) }},
	{"findings", func(e *detect.EntityRisk) string { return integer(int64(e.Findings)) }},
	{"tactics", func(e *detect.EntityRisk) string { return list(e.Tactics) }},
	{"detections", func(e *detect.EntityRisk) string { return list(e.Detections) }},
	{"notable", func(e *detect.EntityRisk) string { return strconv.FormatBool(e.Notable) }},
}

// text returns a cell of text. A spreadsheet takes one that begins with = + - @
// (or their full-width forms), a tab, a carriage return or NUL for a formula:
// a ' before it makes it text.
func text(s string) string {
	r, _ := utf8.DecodeRuneInString(s)
	s = visible(s)
	switch r {
	case '=', '+', '-', '@', '\t', '\r', 0, '＝', '＋', '－', '＠':
		return "'" + s
	}
	return s
}

// list returns a cell of several texts. A semicolon within one is escaped, as
// what is not printable is.
func list(items []string) string {
	cells := make([]string, len(items))
	for i, s := range items {
		cells[i] = strings.ReplaceAll(text(s), ";", `\x3b`)
	}
	return strings.Join(cells, ";")
}

func integer(n int64) string { return strconv.FormatInt(n, 10) }

// float returns the fewest digits that read back as f, and "" for NaN. There is
// an exponent only where plain digits would be mostly zeros.
func float(f float64) string {
	if math.IsNaN(f) {
		return ""
	}
	if math.IsInf(f, 1) {
		return "Inf" // +Inf would begin like a formula
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// timestamp returns µs UTC as RFC 3339, with as much of the second as is not zero.
func timestamp(us int64) string { return utc(us).Format(time.RFC3339Nano) }

// seen is timestamp where 0 means never.
func seen(us int64) string {
	if us == 0 {
		return ""
	}
	return timestamp(us)
}

// share returns the part of an input's rows that have a value in c, "" where
// there is no row, no such column, or nobody reads it.
func share(in *Input, c columnar.Col) string {
	known, rows, ok := coverage(in, c)
	if !ok {
		return ""
	}
	return float(float64(known) / float64(rows))
}

// coverage returns how many of an input's rows have a value in c, and false
// where the question does not arise.
func coverage(in *Input, c columnar.Col) (known, rows int64, ok bool) {
	t := columnar.TableNamed(in.Table)
	if t == nil || !t.Set().Has(c) || in.Rows == 0 {
		return 0, 0, false
	}
	known, ok = in.Known[c]
	return known, in.Rows, ok
}

// evidence returns what of the log bears a finding out: the place of the
// largest event, then example queries.
func evidence(f *detect.Finding) []string {
	var e []string
	if f.Summary.Evidence != "" {
		e = append(e, f.Summary.Evidence)
	}
	return append(e, f.Summary.Examples...)
}
