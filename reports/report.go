// Package reports writes what a run found. A format is a value: one file here,
// one golden case in testdata, one line in All.
//
// Everything in a Report that came from a log was written by whoever wrote to
// the log: a writer must take care that it breaks neither a CSV cell nor a page.
package reports

import (
	"io"
	"iter"
	"time"

	"outflow/columnar"
	"outflow/stats/detect"
)

// A Report is all that a run knows when it ends.
type Report struct {
	Version string       // of outflow
	Job     string       // "nightly", "scan", …
	Profile string       // "default" or "seed"
	Days    []detect.Day // judged, ascending
	Window  [2]int64     // the part of Days that was judged, µs UTC, from and to; zero: all
	At      time.Time    // the run's clock: the end of the window unless told otherwise, so that a re-run gives the same bytes
	// Findings, worst first: by day descending, not allowed before allowed, unlabelled
	// before labelled, then severity, risk score, score and key.
	Findings   []detect.Finding
	Entities   []detect.EntityRisk // worst first
	Inputs     []Input             // sorted by name
	Judged     []Judged            // what of the days was judged, sorted by feed and table
	Blind      []Blind
	Warnings   []string            // what limits the result, in whole sentences
	Detections []*detect.Detection // those that ran, with the thresholds they ran with
	// UserDays are the user_day rows of the judged days with their baseline, and
	// Domains the dns_pair rows, both by day and key. A row is valid until the next
	// step, its texts for good. Each writer may range over them again; an error ends
	// them. Nil: none.
	UserDays iter.Seq2[*UserDay, error]
	Domains  iter.Seq2[*detect.Row, error]
	// Destinations are the user_destination_day rows of the judged days whose object is
	// a place of cloud storage or file sharing that is not the company's own, and
	// Matches the rule_day rows, both as Domains are.
	Destinations iter.Seq2[*detect.Row, error]
	Matches      iter.Seq2[*detect.Row, error]
	// Scores are the dns_score rows of the judged days, in the same way.
	Scores  iter.Seq2[*detect.Row, error]
	History int // days of history that were there, at most 30
}

// A UserDay is one entity's day with what was normal for it. Baselines are NaN
// where there is none.
type UserDay struct {
	*detect.Row
	BaselineDays   int
	BaselineMedian float64 // bytes
	BaselineUpper  float64 // bytes: what the threshold allows
	Z              float64
	Ratio          float64 // bytes_out / (bytes_in + 1)
}

// An Input accounts for one log object, or for one table of it where the object
// holds several.
type Input struct {
	Name     string
	Feed     string
	Format   string
	Table    string // "" if no row came of it
	Size     int64  // bytes as stored
	Records  int64
	Rows     int64
	Outside  int64    // rows outside the window
	Repeated int64    // rows whose event stands in the object more than once: counted once
	Other    int64    // records of no canonical table
	Skipped  int64    // malformed
	Masked   int64    // rows with a DNS name that the log does not have as it was asked
	CopyOf   string   // the log that this is a copy of, which was counted in its place; "" if none
	Kinds    []Kind   // of Other, those whose kind has a name, most first
	Reasons  []string // why records were skipped, then why cells were left empty
	Status   Status
	NoLog    string // what the object is if its Status is NoLog: "PNG"
	Error    string // why the object could not be read to its end, or at all; "" if it could
	First    int64  // µs UTC of the first and last row; 0 without rows
	Last     int64
	// Unattributed are rows within the window that name no user, address or host: they
	// belong to nobody, so nobody is judged by them. Unplaced are those that sent bytes
	// and do not say where.
	Unattributed, Unplaced Volume
	// Known is, for each column that is read, how many rows have a value.
	Known map[columnar.Col]int64
}

// A Blind says what could not be judged, and what would mend it.
type Blind struct {
	Feed      string // "" where no feed could have been judged
	Table     string
	Detection string // or several, separated by commas
	Column    string // the column that is never filled; "" where the reason is another
	Rows      int64  // that it could not judge
	Why       string // one sentence
	Remedy    string // one sentence
}

// A Format writes a report as one or more files.
type Format struct {
	Name  string
	Title string // a few words, no capital, no period
	Files []File
}

// A File is one file of a format.
type File struct {
	Name  string // relative to the output folder
	Doc   string
	Write func(w io.Writer, r *Report) error
}

// All lists the formats.
var All = []*Format{
	CSV,
	HTML,
	DNSScores,
}
