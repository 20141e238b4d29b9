package reports

import (
	"encoding/json"
	"io"
	"iter"
	"math"
	"net/netip"
	"strings"

	"outflow/stats/detect"
)

// This file has what the reports for other programs share: a finding as a flat record,
// and lines of JSON.

// A Record is a finding with the columns of findings.csv under the same names. All texts
// are visible; they are not protected as cells of a spreadsheet. Lists are lists.
type Record struct {
	UID        string   `json:"finding_uid" parquet:"finding_uid"`
	Day        day      `json:"day" parquet:"day,date"`
	Time       instant  `json:"time" parquet:"time,timestamp(microsecond)"`
	Detection  string   `json:"detection" parquet:"detection,dict"`
	Severity   string   `json:"severity" parquet:"severity,dict"`
	RiskScore  int64    `json:"risk_score" parquet:"risk_score"`
	Technique  string   `json:"technique,omitempty" parquet:"technique,dict"`
	EntityType string   `json:"entity_type" parquet:"entity_type,dict"`
	Entity     string   `json:"entity" parquet:"entity"`
	Object     string   `json:"object,omitempty" parquet:"object"`
	Score      *float64 `json:"score,omitempty" parquet:"score,optional"`
	Threshold  *float64 `json:"threshold,omitempty" parquet:"threshold,optional"`
	Observed   *float64 `json:"observed,omitempty" parquet:"observed,optional"`
	Baseline   *float64 `json:"baseline,omitempty" parquet:"baseline,optional"`
	Unit       string   `json:"unit,omitempty" parquet:"unit,dict"`
	Events     int64    `json:"events" parquet:"events"`
	BytesOut   int64    `json:"bytes_out" parquet:"bytes_out"`
	BytesIn    int64    `json:"bytes_in" parquet:"bytes_in"`
	First      instant  `json:"first_seen,omitzero" parquet:"first_seen,optional,timestamp(microsecond)"`
	Last       instant  `json:"last_seen,omitzero" parquet:"last_seen,optional,timestamp(microsecond)"`
	Why        string   `json:"why" parquet:"why"`
	Evidence   []string `json:"evidence,omitempty" parquet:"evidence,list"`
	Feed       string   `json:"feed" parquet:"feed,dict"`
	Label      string   `json:"label,omitempty" parquet:"label"`
	Allowed    string   `json:"allowed,omitempty" parquet:"allowed"`
	Also       []string `json:"also,omitempty" parquet:"also,list"`
	Person     string   `json:"person,omitempty" parquet:"person"`
	PersonBy   string   `json:"person_by,omitempty" parquet:"person_by"`
	Places     []string `json:"places,omitempty" parquet:"places,list"`
	Host       string   `json:"host,omitempty" parquet:"host"`
	Parent     string   `json:"parent_path,omitempty" parquet:"parent_path"`
	PID        int64    `json:"pid,omitzero" parquet:"pid,optional"`
}

// NewRecord returns a finding as a record.
func NewRecord(f *detect.Finding) Record {
	p := firstPlace(f)
	return Record{
		UID: visible(f.UID), Day: day(f.Day), Time: instant(f.Window[0]),
		Detection: visible(f.Detection), Severity: f.Severity.String(), RiskScore: int64(f.RiskScore), Technique: visible(f.Technique),
		EntityType: visible(f.EntityType), Entity: visible(f.Who()), Object: visible(f.Object),
		Score: finite(f.Score), Threshold: finite(f.Threshold), Observed: finite(f.Observed), Baseline: finite(f.Baseline), Unit: visible(f.Unit),
		Events: f.Summary.Events, BytesOut: f.Summary.BytesOut, BytesIn: f.Summary.BytesIn,
		First: instant(f.Summary.First), Last: instant(f.Summary.Last),
		Why: visible(f.Why), Evidence: allVisible(evidence(f)), Feed: visible(f.Feed), Label: visible(f.Label), Allowed: visible(f.Allowed),
		Also: allVisible(f.Also), Person: visible(f.Person), PersonBy: visible(f.PersonBy), Places: allVisible(places(f)),
		Host: visible(p.Host), Parent: visible(p.Parent), PID: p.PID,
	}
}

// An instant is µs UTC, which JSON has in RFC 3339.
type instant int64

func (t instant) MarshalJSON() ([]byte, error) {
	return append(appendTime([]byte{'"'}, int64(t)), '"'), nil
}

// milli returns ms UTC.
func (t instant) milli() int64 { return utc(int64(t)).UnixMilli() }

// A day is a detect.Day, which JSON has as a date.
type day int32

func (d day) MarshalJSON() ([]byte, error) {
	return append(appendDay([]byte{'"'}, detect.Day(d)), '"'), nil
}

// finite returns v, nil if it is not a finite number: JSON has no other numbers.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func allVisible(texts []string) []string {
	var out []string
	for _, s := range texts {
		out = append(out, visible(s))
	}
	return out
}

// writeLines writes each value as a line of JSON.
func writeLines[T any](w io.Writer, values iter.Seq[T]) error {
	e := json.NewEncoder(w)
	for v := range values {
		if err := e.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

// findingLines returns what of makes of each finding.
func findingLines[T any](r *Report, of func(r *Report, f *detect.Finding) T) iter.Seq[T] {
	return func(yield func(T) bool) {
		for i := range r.Findings {
			if !yield(of(r, &r.Findings[i])) {
				return
			}
		}
	}
}

// detection returns the detection that ran under a name, nil if none did.
func (r *Report) detection(name string) *detect.Detection {
	for _, d := range r.Detections {
		if d.Name == name {
			return d
		}
	}
	return nil
}

// heading returns what a finding is called: the title of the Sigma rule that matched, or
// of the detection.
func (r *Report) heading(f *detect.Finding) string {
	if isRule(f) {
		rule, _ := detect.RuleMatch(f.Key)
		return visible(rule)
	}
	return title(f.Detection, r.detection(f.Detection))
}

// destination returns the host to which a finding's data went, in visible form; "" if the
// finding names none: it has no object, or the object is a bucket, a program or the like.
func destination(f *detect.Finding) string {
	host := f.Object
	if isRule(f) {
		host = detect.RuleHost(f)
	}
	if _, ok := address(host); !ok && (!strings.Contains(host, ".") || strings.ContainsFunc(host, notOfHost)) {
		return ""
	}
	return host
}

func notOfHost(r rune) bool {
	return r != '.' && r != '-' && r != '_' && r < 0x80 && !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9')
}

// address returns an IP address in its canonical form.
func address(text string) (string, bool) {
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return "", false
	}
	return a.String(), true
}
