package reports

import (
	"cmp"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"outflow/columnar"
	"outflow/stats/detect"
)

// CSV writes tables for spreadsheets and scripts: RFC 4180 with LF line ends,
// UTF-8, a header row, times in RFC 3339 UTC, lists joined by ";". Columns are
// never reordered or renamed; new ones come last.
//
// Text from a log is escaped as visible does it, and never begins like a formula:
// see text. Numbers are never changed.
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
			return writeCSV(w, inputColumns, each(incompleteFirst(r.Inputs)))
		}},
		{"entities.csv", "a row per user, host or address with a finding, worst first", func(w io.Writer, r *Report) error {
			return writeCSV(w, entityColumns, each(r.Entities))
		}},
		{"cloud_uploads.csv", "the 20 largest uploads to cloud storage and file sharing, by client, destination and judged day", func(w io.Writer, r *Report) error {
			uploads, err := cloudUploads(r)
			if err != nil {
				return err
			}
			return writeCSV(w, cloudUploadColumns, each(uploads))
		}},
		{"slack.csv", "how often each client called which method of Slack's API, by judged day, most calls first: 1,000 rows at most", func(w io.Writer, r *Report) error {
			calls, err := slackCalls(r)
			if err != nil {
				return err
			}
			return writeCSV(w, slackColumns, each(calls))
		}},
		{"beacons.csv", "a row per machine, destination and judged day with connections at regular intervals, worst first: 1,000 a day at most", func(w io.Writer, r *Report) error {
			return writeCSV(w, beaconColumns, each(r.Beacons))
		}},
	},
}

// A csvColumn is one column of a table of T: its name, and a function that appends
// its cell of a row, quoted if needed.
type csvColumn[T any] struct {
	name string
	cell func(b []byte, row *T) []byte
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
	var line []byte
	for i := range columns {
		line = append(append(line, columns[i].name...), ',')
	}
	line[len(line)-1] = '\n'
	if _, err := w.Write(line); err != nil {
		return err
	}
	if rows == nil {
		return nil
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		line = line[:0]
		for i := range columns {
			line = append(columns[i].cell(line, row), ',')
		}
		line[len(line)-1] = '\n'
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}

var findingColumns = []csvColumn[detect.Finding]{
	{"finding_uid", func(b []byte, f *detect.Finding) []byte { return appendText(b, f.UID) }},
	{"day", func(b []byte, f *detect.Finding) []byte { return appendDay(b, f.Day) }},
	{"time", func(b []byte, f *detect.Finding) []byte { return appendTime(b, f.Window[0]) }},
	{"detection", func(b []byte, f *detect.Finding) []byte { return appendText(b, f.Detection) }},
	{"severity", func(b []byte, f *detect.Finding) []byte { return append(b, f.Severity.String()...) }},
	{"risk_score", func(b []byte, f *detect.Finding) []byte { return appendInteger(b, int64(f.RiskScore)) }},
	{"technique", func(b []byte, f *detect.Finding) []byte { return appendText(b, f.Technique) }},
	{"entity_type", func(b []byte, f *detect.Finding) []byte { return appendText(b, f.EntityType) }},
	{"entity", func(b []byte, f *detect.Finding) []byte { return appendText(b, f.Who()) }},
	{"object", func(b []byte, f *detect.Finding) []byte { return appendText(b, f.Object) }},
	{"score", func(b []byte, f *detect.Finding) []byte { return appendFloat(b, f.Score) }},
	{"threshold", func(b []byte, f *detect.Finding) []byte { return appendFloat(b, f.Threshold) }},
	{"observed", func(b []byte, f *detect.Finding) []byte { return appendFloat(b, f.Observed) }},
	{"baseline", func(b []byte, f *detect.Finding) []byte { return appendFloat(b, f.Baseline) }},
	{"unit", func(b []byte, f *detect.Finding) []byte { return appendText(b, f.Unit) }},
	{"events", func(b []byte, f *detect.Finding) []byte { return appendInteger(b, f.Summary.Events) }},
	{"bytes_out", func(b []byte, f *detect.Finding) []byte { return appendInteger(b, f.Summary.BytesOut) }},
	{"bytes_in", func(b []byte, f *detect.Finding) []byte { return appendInteger(b, f.Summary.BytesIn) }},
	{"first_seen", func(b []byte, f *detect.Finding) []byte { return appendSeen(b, f.Summary.First) }},
	{"last_seen", func(b []byte, f *detect.Finding) []byte { return appendSeen(b, f.Summary.Last) }},
	{"why", func(b []byte, f *detect.Finding) []byte { return appendText(b, f.Why) }},
	{"evidence", func(b []byte, f *detect.Finding) []byte { return appendList(b, evidence(f)) }},
	{"feed", func(b []byte, f *detect.Finding) []byte { return appendText(b, f.Feed) }},
	{"label", func(b []byte, f *detect.Finding) []byte { return appendText(b, f.Label) }},
	{"allowed", func(b []byte, f *detect.Finding) []byte { return appendText(b, f.Allowed) }},
	{"also", func(b []byte, f *detect.Finding) []byte { return appendList(b, f.Also) }},
	{"person", func(b []byte, f *detect.Finding) []byte { return appendText(b, f.Person) }},
	{"person_by", func(b []byte, f *detect.Finding) []byte { return appendText(b, f.PersonBy) }},
	{"places", func(b []byte, f *detect.Finding) []byte { return appendList(b, places(f)) }},
	{"host", func(b []byte, f *detect.Finding) []byte { return appendText(b, firstPlace(f).Host) }},
	{"parent_path", func(b []byte, f *detect.Finding) []byte { return appendText(b, firstPlace(f).Parent) }},
	{"pid", func(b []byte, f *detect.Finding) []byte { return appendKnown(b, firstPlace(f).PID) }},
}

var userDayColumns = []csvColumn[UserDay]{
	{"day", func(b []byte, u *UserDay) []byte { return appendDay(b, u.Day) }},
	{"feed", func(b []byte, u *UserDay) []byte { return appendText(b, u.Feed) }},
	{"entity_type", func(b []byte, u *UserDay) []byte { return appendText(b, u.EntityType) }},
	{"entity", func(b []byte, u *UserDay) []byte { return appendText(b, u.Who()) }},
	{"events", func(b []byte, u *UserDay) []byte { return appendInteger(b, u.Events) }},
	{"bytes_out", func(b []byte, u *UserDay) []byte { return appendInteger(b, u.BytesOut) }},
	{"bytes_in", func(b []byte, u *UserDay) []byte { return appendInteger(b, u.BytesIn) }},
	{"known_out", func(b []byte, u *UserDay) []byte { return appendInteger(b, u.KnownOut) }},
	{"known_in", func(b []byte, u *UserDay) []byte { return appendInteger(b, u.KnownIn) }},
	{"first_seen", func(b []byte, u *UserDay) []byte { return appendSeen(b, u.First) }},
	{"last_seen", func(b []byte, u *UserDay) []byte { return appendSeen(b, u.Last) }},
	{"baseline_days", func(b []byte, u *UserDay) []byte { return appendInteger(b, int64(u.BaselineDays)) }},
	{"baseline_median", func(b []byte, u *UserDay) []byte { return appendFloat(b, u.BaselineMedian) }},
	{"baseline_upper", func(b []byte, u *UserDay) []byte { return appendFloat(b, u.BaselineUpper) }},
	{"z", func(b []byte, u *UserDay) []byte { return appendFloat(b, u.Z) }},
	{"ratio", func(b []byte, u *UserDay) []byte { return appendFloat(b, u.Ratio) }},
	{"addresses", func(b []byte, u *UserDay) []byte { return appendInteger(b, u.Addresses) }},
	{"blocked", func(b []byte, u *UserDay) []byte { return appendInteger(b, u.Blocked) }},
	{"blocked_out", func(b []byte, u *UserDay) []byte { return appendInteger(b, u.BlockedOut) }},
}

var domainColumns = []csvColumn[detect.Row]{
	{"day", func(b []byte, d *detect.Row) []byte { return appendDay(b, d.Day) }},
	{"feed", func(b []byte, d *detect.Row) []byte { return appendText(b, d.Feed) }},
	{"entity_type", func(b []byte, d *detect.Row) []byte { return appendText(b, d.EntityType) }},
	{"entity", func(b []byte, d *detect.Row) []byte { return appendText(b, d.Who()) }},
	{"domain", func(b []byte, d *detect.Row) []byte { return appendText(b, d.Object) }},
	{"events", func(b []byte, d *detect.Row) []byte { return appendInteger(b, d.Events) }},
	{"names", func(b []byte, d *detect.Row) []byte { return appendInteger(b, d.Names) }},
	{"name_bytes", func(b []byte, d *detect.Row) []byte { return appendInteger(b, d.NameBytes) }},
	{"window_events", func(b []byte, d *detect.Row) []byte { return appendInteger(b, d.WindowEvents) }},
	{"window_at", func(b []byte, d *detect.Row) []byte { return appendSeen(b, d.WindowAt) }},
	{"window_bytes", func(b []byte, d *detect.Row) []byte { return appendInteger(b, d.WindowBytes) }},
	{"bytes_at", func(b []byte, d *detect.Row) []byte { return appendSeen(b, d.BytesAt) }},
	{"odd", func(b []byte, d *detect.Row) []byte { return appendInteger(b, d.Odd) }},
	{"max_entropy", func(b []byte, d *detect.Row) []byte { return appendFloat(b, d.MaxEntropy) }},
	{"max_length", func(b []byte, d *detect.Row) []byte { return appendInteger(b, d.MaxLength) }},
	{"rare", func(b []byte, d *detect.Row) []byte { return appendInteger(b, d.Rare) }},
	{"nxdomain", func(b []byte, d *detect.Row) []byte { return appendInteger(b, d.NXDomain) }},
	{"examples", func(b []byte, d *detect.Row) []byte { return appendList(b, d.Examples) }},
	{"scored", func(b []byte, d *detect.Row) []byte { return appendInteger(b, d.Scored) }},
	{"over", func(b []byte, d *detect.Row) []byte { return appendInteger(b, d.Over) }},
	{"max_score", func(b []byte, d *detect.Row) []byte { return appendScore(b, d.MaxScore) }},
	{"window_names", func(b []byte, d *detect.Row) []byte { return appendInteger(b, d.WindowNames) }},
}

var inputColumns = []csvColumn[Input]{
	{"name", func(b []byte, in *Input) []byte { return appendText(b, in.Name) }},
	{"feed", func(b []byte, in *Input) []byte { return appendText(b, in.Feed) }},
	{"format", func(b []byte, in *Input) []byte { return appendText(b, in.Format) }},
	{"table", func(b []byte, in *Input) []byte { return appendText(b, in.Table) }},
	{"size", func(b []byte, in *Input) []byte { return appendInteger(b, in.Size) }},
	{"records", func(b []byte, in *Input) []byte { return appendInteger(b, in.Records) }},
	{"rows", func(b []byte, in *Input) []byte { return appendInteger(b, in.Rows) }},
	{"outside", func(b []byte, in *Input) []byte { return appendInteger(b, in.Outside) }},
	{"other", func(b []byte, in *Input) []byte { return appendInteger(b, in.Other) }},
	{"skipped", func(b []byte, in *Input) []byte { return appendInteger(b, in.Skipped) }},
	{"reasons", func(b []byte, in *Input) []byte { return appendList(b, in.Reasons) }},
	{"error", func(b []byte, in *Input) []byte { return appendText(b, in.Error) }},
	{"first_seen", func(b []byte, in *Input) []byte { return appendSeen(b, in.First) }},
	{"last_seen", func(b []byte, in *Input) []byte { return appendSeen(b, in.Last) }},
	{"user_share", func(b []byte, in *Input) []byte { return appendShare(b, in, columnar.User) }},
	{"bytes_out_share", func(b []byte, in *Input) []byte { return appendShare(b, in, columnar.BytesOut) }},
	{"bytes_in_share", func(b []byte, in *Input) []byte { return appendShare(b, in, columnar.BytesIn) }},
	{"repeated", func(b []byte, in *Input) []byte { return appendInteger(b, in.Repeated) }},
	{"masked", func(b []byte, in *Input) []byte { return appendInteger(b, in.Masked) }},
	{"copy_of", func(b []byte, in *Input) []byte { return appendText(b, in.CopyOf) }},
	{"status", func(b []byte, in *Input) []byte { return append(b, statuses[in.Status].name...) }},
	{"kinds", func(b []byte, in *Input) []byte { return appendList(b, kindCounts(in.Kinds)) }},
	{"unattributed_rows", func(b []byte, in *Input) []byte { return appendInteger(b, in.Unattributed.Rows) }},
	{"unattributed_bytes_out", func(b []byte, in *Input) []byte { return appendInteger(b, in.Unattributed.BytesOut) }},
	{"unattributed_bytes_in", func(b []byte, in *Input) []byte { return appendInteger(b, in.Unattributed.BytesIn) }},
	{"unplaced_rows", func(b []byte, in *Input) []byte { return appendInteger(b, in.Unplaced.Rows) }},
	{"unplaced_bytes_out", func(b []byte, in *Input) []byte { return appendInteger(b, in.Unplaced.BytesOut) }},
}

var entityColumns = []csvColumn[detect.EntityRisk]{
	{"entity_type", func(b []byte, e *detect.EntityRisk) []byte { return appendText(b, e.EntityType) }},
	{"entity", func(b []byte, e *detect.EntityRisk) []byte { return appendText(b, e.Who()) }},
	{"risk_24h", func(b []byte, e *detect.EntityRisk) []byte { return appendInteger(b, int64(e.Risk24h)) }},
	{"risk_7d", func(b []byte, e *detect.EntityRisk) []byte { return appendInteger(b, int64(e.Risk7d)) }},
	{"findings", func(b []byte, e *detect.EntityRisk) []byte { return appendInteger(b, int64(e.Findings)) }},
	{"tactics", func(b []byte, e *detect.EntityRisk) []byte { return appendList(b, e.Tactics) }},
	{"detections", func(b []byte, e *detect.EntityRisk) []byte { return appendList(b, e.Detections) }},
	{"notable", func(b []byte, e *detect.EntityRisk) []byte { return strconv.AppendBool(b, e.Notable) }},
	{"criticality", func(b []byte, e *detect.EntityRisk) []byte { return append(b, cmp.Or(e.Criticality, "medium")...) }},
	{"nights", func(b []byte, e *detect.EntityRisk) []byte { return appendInteger(b, int64(e.Nights)) }},
	{"since", func(b []byte, e *detect.EntityRisk) []byte {
		if e.Nights == 0 {
			return b
		}
		return append(b, e.Since.String()...)
	}},
}

// incompleteFirst returns the inputs with the incomplete objects before the others.
func incompleteFirst(inputs []Input) []Input {
	incomplete := map[string]bool{}
	for i := range inputs {
		if inputs[i].Status.Incomplete() {
			incomplete[inputs[i].Name] = true
		}
	}
	first := func(in *Input) int {
		if incomplete[in.Name] {
			return 0
		}
		return 1
	}
	inputs = slices.Clone(inputs)
	slices.SortStableFunc(inputs, func(a, b Input) int { return first(&a) - first(&b) })
	return inputs
}

// kindCounts formats kinds as the cells of a list: "alert=12".
func kindCounts(kinds []Kind) []string {
	out := make([]string, len(kinds))
	for i, k := range kinds {
		out[i] = k.Name + "=" + strconv.FormatInt(k.Count, 10)
	}
	return out
}

// appendText appends a cell of text.
func appendText(b []byte, s string) []byte {
	if plain(s) {
		return append(b, s...)
	}
	return appendQuoted(b, text(s))
}

// plain reports whether text needs no escaping and no quotes: letters, digits and
// the other characters in names of hosts and people. Most texts have only these.
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c-'a' < 26, c-'A' < 26, c-'0' < 10, c == '_', c == '/', c == ':':
		case c == '.', c == '-', c == '@':
			if i == 0 {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// appendQuoted appends a cell that may hold anything, in quotes where RFC 4180 or a
// reader needs them.
func appendQuoted(b []byte, s string) []byte {
	if s == "" || s != `\.` && s[0] != ' ' && !strings.ContainsAny(s, ",\"\r\n") {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' {
			b = append(b, '"')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// text returns visible text. Spreadsheets take a text that begins with = + - @ (or
// their full-width forms), a tab, a carriage return or NUL as a formula. A ' before
// it makes it text.
func text(s string) string {
	r, _ := utf8.DecodeRuneInString(s)
	s = visible(s)
	switch r {
	case '=', '+', '-', '@', '\t', '\r', 0, '＝', '＋', '－', '＠':
		return "'" + s
	}
	return s
}

// appendList appends a cell of several texts. A semicolon within a text is escaped
// like an unprintable character.
func appendList(b []byte, items []string) []byte {
	if !slices.ContainsFunc(items, func(s string) bool { return !plain(s) }) {
		for i, s := range items {
			if i > 0 {
				b = append(b, ';')
			}
			b = append(b, s...)
		}
		return b
	}
	cells := make([]string, len(items))
	for i, s := range items {
		cells[i] = strings.ReplaceAll(text(s), ";", `\x3b`)
	}
	return appendQuoted(b, strings.Join(cells, ";"))
}

func appendInteger(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

// appendKnown is appendInteger, except that 0 means that the number is not known.
func appendKnown(b []byte, n int64) []byte {
	if n == 0 {
		return b
	}
	return appendInteger(b, n)
}

// appendFloat appends the fewest digits that read back as f, and nothing for NaN.
// It uses an exponent only where plain digits would be mostly zeros.
func appendFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) {
		return b
	}
	if math.IsInf(f, 1) {
		return append(b, "Inf"...) // +Inf would begin like a formula
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(b, f, 'g', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

// appendScore appends a probability of a Summary.
func appendScore(b []byte, n int64) []byte { return appendFloat(b, float64(n)/1e6) }

// appendDay appends a day such as 2026-11-20.
func appendDay(b []byte, d detect.Day) []byte {
	year, month, day := d.Time().Date()
	if year < 0 || year > 9999 {
		return append(b, d.String()...)
	}
	b = append(b, "0000-00-00"...)
	s := b[len(b)-10:]
	put2(s, year/100)
	put2(s[2:], year%100)
	put2(s[5:], int(month))
	put2(s[8:], day)
	return b
}

// appendTime appends a time in µs UTC as RFC 3339, without trailing zeros of the
// second.
func appendTime(b []byte, us int64) []byte {
	day := detect.DayOf(us)
	b = appendDay(b, day)
	us -= int64(day) * 86400e6
	second := int(us / 1e6)
	b = append(b, "T00:00:00"...)
	s := b[len(b)-8:]
	put2(s, second/3600)
	put2(s[3:], second/60%60)
	put2(s[6:], second%60)
	if fraction := int(us % 1e6); fraction > 0 {
		b = append(b, ".000000"...)
		s := b[len(b)-6:]
		put2(s, fraction/1e4)
		put2(s[2:], fraction/100%100)
		put2(s[4:], fraction%100)
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
	}
	return append(b, 'Z')
}

// put2 writes two digits.
func put2(b []byte, n int) { b[0], b[1] = byte('0'+n/10), byte('0'+n%10) }

// appendSeen is appendTime, except that 0 means never.
func appendSeen(b []byte, us int64) []byte {
	if us == 0 {
		return b
	}
	return appendTime(b, us)
}

// appendShare appends the share of an input's rows that have a value in c. It
// appends nothing if there is no row or no such column, or if nothing reads the
// column.
func appendShare(b []byte, in *Input, c columnar.Col) []byte {
	known, rows, ok := coverage(in, c)
	if !ok {
		return b
	}
	return appendFloat(b, float64(known)/float64(rows))
}

// coverage returns how many of an input's rows have a value in c. It reports false
// if the input has no rows or no such column, or if nothing reads the column.
func coverage(in *Input, c columnar.Col) (known, rows int64, ok bool) {
	t := columnar.TableNamed(in.Table)
	if t == nil || !t.Set().Has(c) || in.Rows == 0 {
		return 0, 0, false
	}
	known, ok = in.Known[c]
	return known, in.Rows, ok
}

// evidence returns the parts of the log that support a finding: the place of the
// largest event, then example queries.
func evidence(f *detect.Finding) []string {
	var e []string
	if f.Summary.Evidence != "" {
		e = append(e, f.Summary.Evidence)
	}
	if f.Summary.Likely != "" && !slices.Contains(f.Summary.Examples, f.Summary.Likely) {
		e = append(e, f.Summary.Likely)
	}
	return append(e, f.Summary.Examples...)
}

// places returns the rows of the log that support a finding, the ones with the most bytes
// first: the time, the bytes and the place of each.
func places(f *detect.Finding) []string {
	var texts []string
	for _, p := range f.Summary.Records() {
		cell := strconv.AppendInt(append(appendSeen(nil, p.Time), ' '), p.Bytes, 10)
		texts = append(texts, string(append(append(cell, ' '), p.At...)))
	}
	return texts
}

// firstPlace returns the first row of the log that supports a finding.
func firstPlace(f *detect.Finding) (p detect.Place) {
	if all := f.Summary.Records(); len(all) > 0 {
		p = all[0]
	}
	return p
}
