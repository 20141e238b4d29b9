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
	"time"

	"outflow/columnar"
	"outflow/stats/sigma"
)

// A Day is a UTC day, counted from 1970-01-01.
type Day int32

// dayMicros is the length of a day in µs.
const dayMicros = 86400e6

// DayOf returns the day of a time in µs UTC.
func DayOf(us int64) Day {
	d := us / dayMicros
	if us < 0 && us%dayMicros != 0 {
		d--
	}
	return Day(d)
}

// ParseDay parses a day like 2026-11-20.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("day %q: want a day like 2026-11-20", s)
	}
	return DayOf(t.UnixMicro()), nil
}

// Time returns the start of the day.
func (d Day) Time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// String returns the day, as in 2026-11-20.
func (d Day) String() string { return d.Time().Format(time.DateOnly) }

// A Key is what an aggregate groups by.
type Key struct {
	Feed       string // which sensor saw it; see Aggregate; AllFeeds where those of several meet
	EntityType string // "user", "src_ip" or "host"; "group" where a correlation's groups are of no one of these
	Entity     string // of "group", the name of the rule
	Object     string // "" where the aggregate has none
}

// AllFeeds is the feed of correlations that ask what is there, whoever saw it.
const AllFeeds = "*"

// Compare orders keys by their fields in turn.
func (k Key) Compare(l Key) int {
	if c := strings.Compare(k.Feed, l.Feed); c != 0 {
		return c
	}
	if c := strings.Compare(k.EntityType, l.EntityType); c != 0 {
		return c
	}
	if c := strings.Compare(k.Entity, l.Entity); c != 0 {
		return c
	}
	return strings.Compare(k.Object, l.Object)
}

// A Summary is what is kept of the events of one key and day: a small
// vocabulary that all aggregates share. All of it is exact, and merging
// summaries in any order and grouping gives the same. What an aggregate does
// not measure is zero.
type Summary struct {
	Events    int64 // rows
	BytesOut  int64 // sum over the rows that say so
	BytesIn   int64
	KnownOut  int64 // rows that say so; 0 of some Events means that the log is blind here
	KnownIn   int64
	First     int64 // µs UTC
	Last      int64
	Addresses int64 // distinct src_ip; 0 of an entity that is one, and where no row says
	Hours     int64 // bit h is set if there was an event in hour h of the day

	// The row with the most bytes out: how many, when, and its place. Of a correlation
	// that at which it first came true.
	PeakOut  int64
	PeakTime int64
	Evidence string // "object:record"

	// DNS.
	Names     int64 // distinct names
	NameBytes int64 // bytes of the distinct subdomains: names less the registered domain and its dot
	// Most queries, and most bytes of distinct subdomains, in any 5 minutes
	// [t, t+5min), with the earliest such t. Of a correlation WindowEvents is of its own
	// windows: over sigma.MaxWindow if not all matches were looked at.
	WindowEvents int64
	WindowAt     int64
	WindowBytes  int64
	BytesAt      int64
	Odd          int64   // queries over the entropy or length threshold of the fold
	MaxEntropy   float64 // bits per character, over subdomains
	MaxLength    int64   // bytes of the longest subdomain
	Rare         int64   // queries of types that ordinary clients seldom ask for: TXT, NULL, KEY, MX, CNAME, SRV, TYPE65399
	NXDomain     int64
	// What dns_model makes of the names; see ModelOptions.
	Scored    int64    // distinct names that it scored: all, or the first 2^20
	Over      int64    // of them, those that it takes for data
	OverBytes int64    // of their subdomains
	OverScore int64    // sum of their probabilities, 1e-6
	MaxScore  int64    // the greatest probability, 1e-6
	Likely    string   // the first name that has it, if it is over the threshold,
	Signs     string   // and what speaks for it, in words
	Examples  []string // up to 3 queries, the longest subdomains first; of rule_day command lines or places, the earliest first
}

// A Row is a Summary with its key and day: the rows of an aggregate's table.
type Row struct {
	Day Day
	Key
	Summary
}

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

// Aggregates lists the aggregates. What a state knows of a day is in the partitions
// of the first, whose inputs tell what came late, and of the last, which is committed
// when all the others are: neither may be Judged.
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
