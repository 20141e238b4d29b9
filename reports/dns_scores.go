package reports

import (
	"io"

	"outflow/stats/detect"
)

// DNSScores writes dns_model's score of every name that a source asked for: the
// table in which the original search ends. It has a row for each source and name,
// so it is written only on request.
var DNSScores = &Format{
	Name:  "dns_scores",
	Title: "the model's probability for each source and DNS name",
	Files: []File{
		{"dns_scores.csv", "a row per feed, source and DNS name of a judged day: the newest query, and the probability that the name carries data, as it was when first asked; of a source and domain the first 1,048,576 names", func(w io.Writer, r *Report) error {
			return writeCSV(w, scoreColumns, r.Scores)
		}},
	},
}

// Each row is about the newest query of a source and name, so the rank is always 1.
var scoreColumns = []csvColumn[detect.Row]{
	{"src", func(b []byte, s *detect.Row) []byte { return appendText(b, s.Who()) }},
	{"time", func(b []byte, s *detect.Row) []byte { return appendTime(b, s.Last) }},
	{"query", func(b []byte, s *detect.Row) []byte {
		for _, query := range s.Examples { // there is one
			b = appendText(b, query)
		}
		return b
	}},
	{"rank", func(b []byte, _ *detect.Row) []byte { return appendInteger(b, 1) }},
	{"score", func(b []byte, s *detect.Row) []byte { return appendScore(b, s.MaxScore) }},
	{"verdict", func(b []byte, s *detect.Row) []byte { return appendInteger(b, s.Over) }},
	{"domain", func(b []byte, s *detect.Row) []byte { return appendText(b, s.Object) }},
	{"feed", func(b []byte, s *detect.Row) []byte { return appendText(b, s.Feed) }},
	{"events", func(b []byte, s *detect.Row) []byte { return appendInteger(b, s.Events) }},
}
