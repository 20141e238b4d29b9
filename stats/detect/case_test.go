package detect

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the want of testdata/*.txtar")

// A caseFile is the "case" part of a testdata file. Its first comment line says
// what would be wrong if it failed. "rows" is a table of the aggregate:
// whitespace between columns, a day or a range a..b of days, lists a,b,c taken
// in turn over the range, ? for unknown bytes. "want" is what the test writes.
type caseFile struct {
	Detection string
	Profile   string
	Day       string
	Covered   string // a..b; "" for none
	Flagged   string // a..b of days on which every key was flagged
	Own       []string
	Groups    map[string]string // by entity; the rest is as GroupOf says
	Options   yaml.MapSlice
	Show      string // columns of want
}

func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("cases: %v, %d files", err, len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { runCase(t, file) })
	}
}

func runCase(t *testing.T, file string) {
	arc, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	part := map[string][]byte{}
	for _, f := range arc.Files {
		part[f.Name] = f.Data
	}
	var c caseFile
	if err := yaml.UnmarshalWithOptions(part["case"], &c, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	var d *Detection
	for _, a := range All() {
		if a.Name == c.Detection {
			d = a
		}
	}
	if d == nil {
		t.Fatalf("no detection %q", c.Detection)
	}
	if c.Profile == "seed" {
		d.Seed()
	}
	if len(c.Options) > 0 {
		text, err := yaml.Marshal(c.Options)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalWithOptions(text, d.Options, yaml.Strict()); err != nil {
			t.Fatal(err)
		}
	}
	rows := parseRows(t, string(part["rows"]))
	in := Input{
		Day:     day(t, c.Day),
		Series:  seriesOf(rows),
		Covered: func(string) []Day { return days(t, c.Covered) },
		Own: func(host string) bool {
			for _, own := range c.Own {
				if host == own || strings.HasSuffix(host, "."+own) {
					return true
				}
			}
			return false
		},
	}
	if c.Groups != nil {
		in.Group = func(k Key) string { return cmp.Or(c.Groups[k.Entity], GroupOf(k.EntityType, k.Entity)) }
	}
	if text := part["rules"]; text != nil {
		in.Rules = loadRules(t, string(text))
	}
	flagged := map[Day]bool{}
	for _, d := range days(t, c.Flagged) {
		flagged[d] = true
	}
	in.Flagged = func(_ Key, d Day) bool { return flagged[d] }

	found := Judge(d, &in)
	compareCase(t, file, arc, showFindings(t, found, c.Show))
	if c.Profile == "seed" {
		return
	}
	in.Series = seriesOf(otherwise(rows, in.Day, d.Aggregate.Past))
	if again := Judge(d, &in); fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", found) {
		t.Errorf("with other values in columns of rows before the judged day that %s.Past does not list: got\n%+v\nwant\n%+v", d.Aggregate.Name, again, found)
	}
}

// otherwise returns the rows, those before a day with other values in all measures but those
// named; nil names all.
func otherwise(rows []Row, day Day, but []string) []Row {
	rows = slices.Clone(rows)
	for i := range rows {
		if rows[i].Day >= day || but == nil {
			continue
		}
		s := reflect.ValueOf(&rows[i].Summary).Elem()
		for f := range s.NumField() {
			name, _, _ := strings.Cut(s.Type().Field(f).Tag.Get("parquet"), ",")
			if slices.Contains(but, name) {
				continue
			}
			switch f := s.Field(f).Addr().Interface().(type) {
			case *int64:
				*f = 1<<40 - *f
			case *float64:
				*f = 7 - *f
			case *string:
				*f += "other"
			case *[]string:
				*f = append([]string{"other"}, *f...)
			}
		}
	}
	return rows
}

// compareCase compares got with the want of a case, or writes it there if -update is set.
func compareCase(t *testing.T, file string, arc *txtar.Archive, got string) {
	t.Helper()
	want := ""
	for i := range arc.Files {
		if f := &arc.Files[i]; f.Name == "want" {
			want = string(f.Data)
			f.Data = []byte(got)
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(arc), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("%sgot:\n%swant:\n%s", arc.Comment, got, want)
	}
}

func day(t *testing.T, s string) Day {
	d, err := ParseDay(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func days(t *testing.T, s string) []Day {
	if s == "" {
		return nil
	}
	from, to, ok := strings.Cut(s, "..")
	if !ok {
		to = from
	}
	var out []Day
	for d := day(t, from); d <= day(t, to); d++ {
		out = append(out, d)
	}
	return out
}

func parseRows(t *testing.T, table string) []Row {
	lines := strings.Split(strings.TrimSpace(table), "\n")
	head := strings.Fields(lines[0])
	var rows []Row
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		if len(cells) != len(head) {
			t.Fatalf("row %q: want %d columns", line, len(head))
		}
		for i, d := range days(t, cells[0]) {
			r := Row{Day: d, Key: Key{Feed: "feed", EntityType: "user"}}
			r.Events, r.First = 1, int64(d)*dayMicros
			r.Last = r.First
			for j, column := range head[1:] {
				values := strings.Split(cells[j+1], ",")
				setCell(t, &r, column, values[i%len(values)])
			}
			rows = append(rows, r)
		}
	}
	sortRows(rows)
	return rows
}

func setCell(t *testing.T, r *Row, column, value string) {
	number := func() int64 {
		var b Bytes
		if err := b.UnmarshalText([]byte(value)); err != nil {
			t.Fatal(err)
		}
		return int64(b)
	}
	switch column {
	case "feed":
		r.Feed = value
	case "type":
		r.EntityType = value
	case "entity":
		r.Entity = value
	case "object":
		r.Object = strings.ReplaceAll(strings.TrimPrefix(value, "-"), "␣", " ")
	case "events":
		r.Events = number()
		r.KnownOut, r.KnownIn = min(r.KnownOut, 1)*r.Events, min(r.KnownIn, 1)*r.Events
	case "out":
		if value != "?" {
			r.BytesOut, r.KnownOut = number(), r.Events
		}
	case "in":
		if value != "?" {
			r.BytesIn, r.KnownIn = number(), r.Events
		}
	case "blocked":
		r.Blocked = number()
	case "blocked_out":
		r.BlockedOut = number()
	case "names":
		r.Names = number()
	case "clients": // addresses and applications
		r.Clients = strings.Split(value, "+")
		for _, c := range r.Clients {
			if isAddress(c) {
				r.Addresses++
			} else {
				r.Agents++
			}
		}
	case "signed":
		r.Signed = number()
	case "name_bytes":
		r.NameBytes = number()
	case "window_events":
		r.WindowEvents, r.WindowAt = number(), r.First+3600e6
	case "window_names":
		r.WindowNames = number()
	case "window_bytes":
		r.WindowBytes, r.BytesAt = number(), r.First+7200e6
	case "odd":
		r.Odd = number()
	case "max_length":
		r.MaxLength = number()
	case "scored":
		r.Scored = number()
	case "over":
		r.Over = number()
	case "over_bytes":
		r.OverBytes = number()
	case "over_score": // 1e-6, as in the state
		r.OverScore = number()
	case "max_score":
		r.MaxScore = number()
	case "likely":
		r.Likely, r.Signs = value, "90 % digits"
	case "port":
		r.Port = number()
	case "clock":
		setClock(t, r, value)
	case "max_entropy":
		f, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		r.MaxEntropy = f
	case "destinations":
		r.Destinations = slices.Sorted(slices.Values(strings.FieldsFunc(value, func(r rune) bool { return r == '+' || r == '-' })))
	case "example":
		r.Examples = strings.Split(value, "+")
	default:
		t.Fatalf("rows: no column %q", column)
	}
}

func showFindings(t *testing.T, findings []Finding, columns string) string {
	var b bytes.Buffer
	for i := range findings {
		f := &findings[i]
		for j, column := range strings.Fields(columns) {
			if j > 0 {
				b.WriteString(" | ")
			}
			switch column {
			case "day":
				b.WriteString(f.Day.String())
			case "entity":
				b.WriteString(f.Entity)
			case "object":
				b.WriteString(f.Object)
			case "severity":
				b.WriteString(f.Severity.String())
			case "risk":
				fmt.Fprint(&b, f.RiskScore)
			case "technique":
				b.WriteString(f.Technique)
			case "score":
				fmt.Fprintf(&b, "%.3g", f.Score)
			case "threshold":
				fmt.Fprintf(&b, "%.3g", f.Threshold)
			case "observed":
				fmt.Fprintf(&b, "%.4g %s", f.Observed, f.Unit)
			case "baseline":
				fmt.Fprintf(&b, "%.3g", f.Baseline)
			case "label":
				b.WriteString(f.Label)
			case "window":
				fmt.Fprintf(&b, "%+d s", (f.Window[0]-f.Day.window()[0])/1e6)
			case "timeline":
				for _, p := range f.Timeline {
					fmt.Fprintf(&b, "%s %s [%s %s %s] %t; ", p.Day, size(p.Value), size(p.Low), size(p.Mid), size(p.Up), p.Trained)
				}
			case "why":
				b.WriteString(f.Why)
			default:
				t.Fatalf("show: no column %q", column)
			}
		}
		b.WriteByte('\n')
		if math.IsNaN(f.Score) || f.UID == "" || f.Why == "" || f.Window[1] <= f.Window[0] {
			t.Errorf("incomplete finding %+v", f)
		}
	}
	if b.Len() == 0 {
		return "nothing\n"
	}
	return b.String()
}
