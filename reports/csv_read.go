package reports

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"outflow/stats/detect"
)

// ReadFindings reads a findings.csv. Texts stay as visible wrote them. What the file does
// not hold, such as the timeline, is zero.
func ReadFindings(r io.Reader) ([]detect.Finding, error) {
	table := csv.NewReader(r)
	table.ReuseRecord = true
	header, err := table.Read()
	if err != nil {
		return nil, fmt.Errorf("read findings.csv: %w", err)
	}
	at := map[string]int{}
	for i, name := range header {
		at[name] = i
	}
	if at["finding_uid"] != 0 || len(at) < 2 {
		return nil, errors.New("read findings.csv: the first column is not finding_uid")
	}
	verdicts := map[string]string{}
	for _, d := range detect.All() {
		verdicts[d.Name] = d.Verdict
	}
	var out []detect.Finding
	for {
		row, err := table.Read()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read findings.csv: %w", err)
		}
		cell := func(name string) string {
			i, ok := at[name]
			if !ok {
				return ""
			}
			return strings.Clone(unguarded(row[i]))
		}
		f, err := findingOf(cell)
		if err != nil {
			line, _ := table.FieldPos(0)
			return nil, fmt.Errorf("read findings.csv: line %d: %w", line, err)
		}
		f.Verdict = cmp.Or(verdicts[f.Detection], f.Detection)
		out = append(out, f)
	}
}

// unguarded removes the ' that text writes before what looks like a formula.
func unguarded(cell string) string {
	rest, guarded := strings.CutPrefix(cell, "'")
	r, _ := utf8.DecodeRuneInString(rest)
	if guarded && strings.ContainsRune(`=+-@\＝＋－＠`, r) {
		return rest
	}
	return cell
}

// findingOf returns the finding of a row, given its cells by their columns.
func findingOf(cell func(string) string) (f detect.Finding, err error) {
	integer := func(name string) int64 {
		n, _ := strconv.ParseInt(cell(name), 10, 64) // an empty cell is 0
		return n
	}
	float := func(name string) float64 {
		x, err := strconv.ParseFloat(cell(name), 64)
		if err != nil {
			return math.NaN()
		}
		return x
	}
	stamp := func(name string) int64 {
		t, err := time.Parse(time.RFC3339Nano, cell(name))
		if err != nil {
			return 0
		}
		return t.UnixMicro()
	}
	list := func(name string) []string {
		return strings.FieldsFunc(cell(name), func(r rune) bool { return r == ';' })
	}
	if f.Day, err = detect.ParseDay(cell("day")); err != nil {
		return f, err
	}
	if f.Severity, err = detect.ParseSeverity(cell("severity")); err != nil {
		return f, err
	}
	f.UID, f.Detection, f.Technique, f.RiskScore = cell("finding_uid"), cell("detection"), cell("technique"), int(integer("risk_score"))
	f.Key = detect.Key{Feed: cell("feed"), EntityType: cell("entity_type"), Entity: cell("entity"), Object: cell("object")}
	f.Score, f.Threshold, f.Observed, f.Baseline, f.Unit = float("score"), float("threshold"), float("observed"), float("baseline"), cell("unit")
	f.Window = [2]int64{stamp("time"), (f.Day + 1).Time().UnixMicro()}
	f.Why, f.Label, f.Allowed, f.Also, f.Person, f.PersonBy = cell("why"), cell("label"), cell("allowed"), list("also"), cell("person"), cell("person_by")
	s := &f.Summary
	s.Events, s.BytesOut, s.BytesIn = integer("events"), integer("bytes_out"), integer("bytes_in")
	s.First, s.Last = stamp("first_seen"), stamp("last_seen")
	for i, text := range list("places") {
		p, ok := placeOf(unguarded(text))
		if !ok {
			continue
		}
		if i == 0 {
			p.Host, p.Parent, p.PID = cell("host"), cell("parent_path"), integer("pid")
		}
		s.Places = append(s.Places, p.String())
	}
	return f, nil
}

// placeOf parses what places wrote: the time, the bytes, and the object with the number
// of its record. Time and bytes may be absent.
func placeOf(text string) (p detect.Place, ok bool) {
	text = strings.ReplaceAll(text, `\x3b`, ";")
	if at, rest, found := strings.Cut(text, " "); found {
		if at == "" {
			text = rest
		} else if t, err := time.Parse(time.RFC3339Nano, at); err == nil {
			p.Time, text = t.UnixMicro(), rest
		}
	}
	if n, rest, found := strings.Cut(text, " "); found {
		if size, err := strconv.ParseInt(n, 10, 64); err == nil {
			p.Bytes, text = size, rest
		}
	}
	p.At = text
	return p, text != ""
}
