// Package detect folds batches into a day's aggregates and judges a day against
// the days before it. A detection is a value: one file here, one case in
// testdata, one line in All.
//
// An event is a row of a canonical table. The entity of an event is its user,
// else its src_ip, else its host. The object is what the entity's bytes or
// queries went to. A window is the day, or the part of it, that is judged. A
// baseline is what is normal for the entity. A finding says that a window is
// unusual, with its evidence.
package detect

import (
	"fmt"
	"iter"
	"strings"

	"outflow/columnar"
	"outflow/stats/sigma"
)

// An Aggregate says what is kept of a day: which rows, grouped by what. Several
// detections share one, so a log is read and folded once.
//
// Every aggregate is keyed by feed: what two sensors saw of the same bytes is
// never added up.
type Aggregate struct {
	Name   string
	Doc    string
	Rev    int // raised when the meaning of the fold changes
	Tables []*columnar.Table
	Reads  columnar.Cols
	// Wants returns what it reads besides, which the options tell; nil: nothing.
	Wants func(o *FoldOptions) columnar.Wanted
	// Depends returns the options that the rows depend on: rows that were folded under
	// others mean something else. Nil: they depend on none.
	Depends func(o *FoldOptions) []any
	// Judged says that it is read of judged days alone, so that days of history need
	// not have it. Only such rows may depend on FoldOptions.Rules: if the rules change,
	// they are folded anew and the others are not.
	Judged bool
	New    func(o *FoldOptions) Folder
	Merger func(o *FoldOptions) Merger
}

// FoldOptions are what folds need to know of the configuration.
type FoldOptions struct {
	// From and To bound the events that are folded, µs UTC: From ≤ time < To.
	From, To int64
	// OneDay takes all of that time, at most 26 hours, for part of the day that From
	// is of.
	OneDay bool
	// Entropy and Length: a query over either is Odd.
	Entropy float64 // bits per character
	Length  int     // bytes
	// Uploads are the HTTP methods whose bytes are taken for an upload; "" is
	// that of tables without one.
	Uploads []string
	// TwoLabels takes a name's last two labels for its registered domain, as
	// profile seed does.
	TwoLabels bool
	// Names says which names of users and hosts are one.
	Names Names
	// Rules are those that rule_day counts the matches of; nil: none.
	Rules *sigma.Set
	// Model is what dns_model wants of dns_pair; nil: nothing.
	Model *ModelOptions
}

// A Folder is one worker's table of an aggregate. Its methods are called from
// one goroutine at a time.
type Folder interface {
	// Fold adds the rows of a batch of one of the aggregate's tables.
	Fold(b *columnar.Batch)
	// Size is about how many bytes of memory the table fills.
	Size() int
	// Drain writes what the table holds and empties it. It may keep names, so
	// that its Size is not nothing.
	Drain(w *RunWriter)
}

// A Merger makes rows of what Folders of the same aggregate drained.
type Merger interface {
	// Add takes the value of one record. All of a key come in a row, by their
	// sequence numbers.
	Add(day Day, seq uint64, value []byte) error
	// Row fills in the Summary of the row whose Day and Key are set from what was
	// added of the key, or returns false if the aggregate leaves it out. It is called
	// until it returns false: some aggregates have several rows of a key.
	Row(r *Row) bool
}

// A Detection judges a day. It does no I/O, knows no concurrency, and keeps no
// state between calls.
type Detection struct {
	Name  string
	Title string // a few words, no capital, no period
	// Doc: what it sees; why that means exfiltration; who does it innocently;
	// what it cannot see; how to investigate.
	Doc        string
	Technique  string        // ATT&CK technique id
	Impact     int           // 0–100
	Confidence int           // 0–100
	Reads      string        // name of the aggregate
	Needs      columnar.Cols // columns without which it is blind
	History    int           // days before the judged one that it wants
	// Options points to the thresholds, a struct of the detection's own with
	// its defaults filled in. The configuration decodes into it.
	Options any
	// Verdict names what the detection and others that have the same verdict are
	// joined into, where they say it of the same; see Join. "": it stands alone.
	Verdict string
	// Card is what a trained model says of itself; "": it is none.
	Card string
	// Seed sets Options to the letter of the document that the detection comes
	// from. Nil: that document has no such detection, and profile seed leaves it out.
	Seed func()
	// Score returns the findings of a day, in any order. It fills what
	// Finding says is the detection's.
	Score func(in *Input) []Finding
}

// Risk is impact × confidence / 100.
func (d *Detection) Risk() int { return d.Impact * d.Confidence / 100 }

// Input is what a detection judges: a day, and the days before it.
type Input struct {
	Day Day
	// Window is the time that is judged, µs UTC, from and to; zero: all of Day.
	Window [2]int64
	// Series yields, in the order of keys, what each did: its rows of the aggregate
	// that the detection reads, of Day and the History before it, in the order of
	// their days. It may be ranged over again, one range after the other, and yields
	// the same. The slice is valid until the next step and must not be changed; the
	// texts in it stay valid.
	Series iter.Seq2[Key, []Row]
	// Covered returns the days before Day, ascending, that were folded at all for a
	// feed: a day that is not here is missing, not quiet.
	Covered func(feed string) []Day
	// Flagged reports whether the detection had a finding for the key on an
	// earlier day. Such days are no example of normal.
	Flagged func(k Key, d Day) bool
	// Own reports whether a host or bucket is the company's own (config).
	Own func(host string) bool
	// Rules are FoldOptions.Rules.
	Rules *sigma.Set
	// Baseline, if set, is called by upload_zscore for each row of Day, in the
	// order of keys, with what is normal for its entity.
	Baseline func(b UploadBaseline)
}

// A Finding says that a window of an entity is unusual.
//
// The detection fills Key, Score, Threshold, Observed, Baseline, Unit, Window,
// Summary, Why and Timeline, and Severity where it knows better than its risk;
// the runner fills the rest.
type Finding struct {
	UID       string // stable: a re-run of the same window gives the same
	Day       Day
	Detection string
	Technique string
	Severity  Severity
	RiskScore int // impact × confidence / 100, scaled by the detection where it can say more
	Key
	Score     float64 // in the detection's own measure
	Threshold float64
	Observed  float64  // in Unit
	Baseline  float64  // in Unit; NaN if there is none
	Unit      string   // "B/day", "queries/5min", "bits/char", …
	Window    [2]int64 // µs UTC, from and to
	Summary   Summary
	// Why says in one sentence what happened, what is normal, and why that is
	// unusual.
	Why string
	// Timeline is the entity's days against the baseline band, oldest first,
	// the judged day last. Nil where the detection has no history.
	Timeline []Point
	// Label, if set, names why this shape is often innocent (a known
	// reputation service, say). Labelled findings are reported last.
	Label string
	// Allowed is the reason of the allow-list entry that suppresses it, or "".
	Allowed string
	// Also are the other detections that say the same; see Join.
	Also []string
}

// A Point is one day of a timeline, in the finding's unit.
type Point struct {
	Day          Day
	Value        float64
	Low, Mid, Up float64 // the baseline band; all zero where there is none
	Trained      bool    // the day is part of the baseline
}

// A Severity is defined by what the reader must do.
type Severity uint8

const (
	Info     Severity = iota // for context; nothing to do
	Low                      // look at it when there is time
	Medium                   // look at it this week
	High                     // look at it today
	Critical                 // look at it now
)

var severities = [...]string{"info", "low", "medium", "high", "critical"}

func (s Severity) String() string { return severities[s] }

// ParseSeverity returns the severity of that name.
func ParseSeverity(name string) (Severity, error) {
	for i, s := range severities {
		if s == name {
			return Severity(i), nil
		}
	}
	return 0, fmt.Errorf("severity %q: want one of %s", name, strings.Join(severities[:], ", "))
}

// Aggregates lists the aggregates.
var Aggregates = []*Aggregate{
	UserDay,
	UserDestinationDay,
	RuleDay,
	DNSScore,
	DNSPair,
	DNSName,
}

// AggregateNamed returns the aggregate of that name, or nil.
func AggregateNamed(name string) *Aggregate {
	for _, a := range Aggregates {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// All returns the detections with their default thresholds, in the order in
// which help and docs list them. Each call returns fresh values.
func All() []*Detection {
	return []*Detection{
		uploadZScore(),
		uploadRatio(),
		cloudUpload(),
		dnsEntropy(),
		dnsVolume(),
		dnsInformation(),
		dnsModel(),
		sigmaRule(),
	}
}
