package reports

import (
	"cmp"
	"io"
	"slices"
	"strings"
)

// Timesketch writes when things happened, for a timeline in Timesketch.
var Timesketch = &Format{
	Name:  "timesketch",
	Title: "findings and their records as a timeline",
	Files: []File{
		{"timesketch.jsonl", "a line per moment of a finding, in the order of time: the first and the last event, and the records of the log that show it", func(w io.Writer, r *Report) error {
			return writeLines(w, slices.Values(moments(r)))
		}},
	},
}

// A moment is an event of a timeline. Timesketch needs the first three fields.
type moment struct {
	Message     string   `json:"message"`
	Datetime    string   `json:"datetime"`
	Description string   `json:"timestamp_desc"`
	Timestamp   int64    `json:"timestamp"` // µs UTC
	DataType    string   `json:"data_type"`
	UID         string   `json:"finding_uid"`
	Detection   string   `json:"detection"`
	Severity    string   `json:"severity"`
	Entity      string   `json:"entity"`
	Person      string   `json:"person,omitempty"`
	Object      string   `json:"object,omitempty"`
	Record      string   `json:"record,omitempty"`
	BytesOut    int64    `json:"bytes_out,omitempty"`
	Host        string   `json:"host,omitempty"`
	Feed        string   `json:"feed"`
	Tags        []string `json:"tag"`
}

func moments(r *Report) (all []moment) {
	for i := range r.Findings {
		f := &r.Findings[i]
		m := moment{
			DataType: "outflow:finding", UID: visible(f.UID), Detection: visible(f.Detection), Severity: f.Severity.String(),
			Entity: visible(f.Who()), Person: visible(f.Person), Object: visible(f.Object), Feed: visible(f.Feed), Tags: []string{f.Severity.String()},
		}
		if f.Technique != "" {
			m.Tags = append(m.Tags, visible(f.Technique))
		}
		if f.Allowed != "" {
			m.Tags = append(m.Tags, "allowed")
		}
		add := func(us int64, description, message string, m moment) {
			if us != 0 {
				m.Datetime, m.Timestamp = utc(us).Format("2006-01-02T15:04:05.000000+00:00"), us
				m.Description, m.Message = description, message
				all = append(all, m)
			}
		}
		why := visible(f.Why)
		add(cmp.Or(f.Summary.First, f.Window[0]), "First event of a finding", why, m)
		if f.Summary.Last != f.Summary.First {
			add(f.Summary.Last, "Last event of a finding", why, m)
		}
		for _, p := range f.Summary.Records() {
			of := m
			of.DataType, of.Record, of.BytesOut, of.Host = "outflow:record", visible(p.At), p.Bytes, visible(p.Host)
			text := []string{m.Entity}
			if p.Bytes > 0 {
				text = append(text, byteSize(float64(p.Bytes)))
			}
			if m.Object != "" {
				text = append(text, m.Object)
			}
			add(p.Time, "Record of a finding", strings.Join(append(text, of.Record), ", "), of)
		}
	}
	slices.SortStableFunc(all, func(a, b moment) int { return cmp.Compare(a.Timestamp, b.Timestamp) })
	return all
}
