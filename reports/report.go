// Package reports writes the results of a run. To add a format, add one file here,
// one golden case in testdata, and one line in All.
//
// Everything in a Report that came from a log is hostile: a writer must ensure that
// it breaks neither a CSV cell nor a page.
package reports

import (
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"outflow/columnar"
	"outflow/stats/detect"
)

// A Report is everything that a run knows when it ends.
type Report struct {
	Version string       // of outflow
	Job     string       // "nightly", "scan", …
	Profile string       // "default" or "seed"
	Days    []detect.Day // judged, ascending
	Window  [2]int64     // the part of Days that was judged, µs UTC, from and to; zero means all
	At      time.Time    // the run's clock: by default the end of the window, so that a re-run gives the same bytes
	// Findings, in the order of detect.SortFindings.
	Findings []detect.Finding
	// Earlier are the findings of days that were judged before Days, and EarlierDays
	// these days, ascending, with findings or without.
	Earlier     []detect.Finding
	EarlierDays []detect.Day
	Entities    []detect.EntityRisk // worst first
	Inputs      []Input             // sorted by name
	Feeds       []Feed              // the configured feeds, as they are configured; nil of a run without configuration
	Judged      []Judged            // what was judged of the days, sorted by feed and table
	Blind       []Blind
	Warnings    []string            // what limits the result, in whole sentences
	Detections  []*detect.Detection // the detections that ran, with the thresholds they ran with
	// UserDays are the user_day rows of the judged days, with their baseline.
	// Domains are the dns_pair rows. Both are sorted by day and key. A row is valid
	// until the next step; its texts stay valid. Each writer may range over them
	// again. An error ends them. nil means none.
	UserDays iter.Seq2[*UserDay, error]
	Domains  iter.Seq2[*detect.Row, error]
	// Destinations are the user_destination_day rows of the judged days whose
	// object is cloud storage or file sharing that is not the company's own.
	// Matches are the rule_day rows. Both are as Domains are.
	Destinations iter.Seq2[*detect.Row, error]
	Matches      iter.Seq2[*detect.Row, error]
	// Scores are the dns_score rows of the judged days, in the same form.
	Scores iter.Seq2[*detect.Row, error]
	// Beacons are the pairs that talk by the clock, by judged day, the worst first.
	Beacons []detect.Beacon
	// Records are the records that findings name, by detect.Place.At. Nil: none was read again.
	Records map[string]LogRecord
	// Group returns the group of an entity, as detect.Input.Group does; nil means
	// detect.GroupOf.
	Group func(detect.Key) string
	// Flags are those with which outflow's commands find this report, as words of a shell;
	// none if they find it without.
	Flags   []string
	History int // available days of history, at most 30
	// HistoryLacks says in a line that logs of the history were not read in this run; "": all were.
	HistoryLacks string
}

// A LogRecord is a record of a log as a page shows it; see NewLogRecord.
type LogRecord struct {
	Text    string // visible, and cut if it is long; "" if the record was not read
	Length  int    // of the whole record, in characters, if Text is cut
	Joined  bool   // its place has the bytes of its whole connection, which other records continue
	Missing string // why it was not read
}

// NewLogRecord returns a record that was read. Text has no secrets.
func NewLogRecord(text string, joined bool) LogRecord {
	r := LogRecord{Joined: joined}
	var more bool
	if r.Text, more = cut(strings.ReplaceAll(text, "://", "[:]//"), maxRaw); more {
		r.Text, r.Length = r.Text+"…", utf8.RuneCountInString(text)
	}
	return r
}

// A UserDay is one entity's day, with what is normal for it. Baselines are NaN if
// there is none.
type UserDay struct {
	*detect.Row
	BaselineDays   int
	BaselineMedian float64 // bytes
	BaselineUpper  float64 // bytes: the alert limit
	Z              float64
	Ratio          float64 // bytes_out / (bytes_in + 1)
}

// clone returns a copy that stays as it is when the next row is read.
func (u *UserDay) clone() UserDay {
	out, row := *u, *u.Row
	out.Row = &row
	return out
}

// An Input accounts for one log object, or for one table of an object that holds
// several.
type Input struct {
	Name     string
	Feed     string
	Format   string
	Table    string // "" if the object gave no row
	Size     int64  // bytes as stored
	Records  int64
	Rows     int64
	Outside  int64    // rows outside the window
	Repeated int64    // rows whose event is in the object more than once: each event is counted once
	Other    int64    // records of no canonical table
	Skipped  int64    // malformed
	Masked   int64    // rows with a DNS name that the log does not have in the form in which it was asked
	CopyOf   string   // the log that this is a copy of, which was counted in its place; "" if none
	Kinds    []Kind   // the part of Other whose kind has a name, most frequent first
	Reasons  []string // why records were skipped, then why cells were left empty
	Faults   []Kind   // the part of Skipped by its reasons, most frequent first
	Status   Status
	NoLog    string // what the object is if its Status is NoLog: "PNG"
	Error    string // why the object could not be read to its end, or at all; "" if it could
	First    int64  // µs UTC of the first and last row; 0 without rows
	Last     int64
	// Unattributed are rows within the window that name no user, address or host:
	// they belong to no entity, so they cannot be judged. Unplaced are rows that
	// sent bytes without naming a destination.
	Unattributed, Unplaced Volume
	// Known has the number of rows with a value, for each column that is read.
	Known map[columnar.Col]int64
	// Unread has the columns with cells that are empty because their text could not be
	// read, ascending.
	Unread []Unread
}

// An Unread says how many cells of a column could not be read.
type Unread struct {
	Col    columnar.Col
	Cells  int64
	Of     int64  // these, and those that could be read
	First  int64  // number of the first record with such a cell
	Sample string // the beginning of its text, from the log; "" if it is not known
}

// Describe returns text for a sentence: `20 of 37 bytes_out could not be read ("1.2.3" in
// record 12 of a.csv)`. object is the name of the one with the first such cell, or "".
func (u *Unread) Describe(object string) string {
	first := "first in record " + count(u.First)
	if u.Sample != "" {
		first = strconv.Quote(u.Sample) + " in record " + count(u.First)
	}
	if object != "" {
		first += " of " + object
	}
	return count(u.Cells) + " of " + count(u.Of) + " " + u.Col.String() + " could not be read (" + first + ")"
}

// A Blind says what could not be judged, and how to fix this.
type Blind struct {
	Feed      string `json:"feed,omitempty"` // "" if no feed could have been judged
	Table     string `json:"table,omitempty"`
	Detection string `json:"detection,omitempty"` // or several, separated by commas
	Column    string `json:"column,omitempty"`    // the column that is never filled; "" if the reason is another one
	Rows      int64  `json:"rows,omitempty"`      // rows that it could not judge
	Why       string `json:"why"`                 // one sentence
	Remedy    string `json:"remedy"`              // one sentence
	// Absent, if no log with rows of Table was read, names what would have judged them:
	// detections, or rules and their number. Else it is "".
	Absent string `json:"-"`
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
	OCSF,
	Splunk,
	ECS,
	Timesketch,
	Navigator,
	Parquet,
}
