package detect

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// What is kept of a day, described once. The state's Parquet files, the temporary
// files of a run and the memory it counts derive from the Parquet tags here, and
// from nothing else.
//
// A new measure is one field of Summary with its tag, and one line in Merge. Beyond
// that only the aggregate that measures it fills it in, and the report that shows
// it reads it. A field is an int64, a float64, a string or a []string. A state that
// an older program wrote has no such column, so the field is zero in its rows: raise
// the Rev of the aggregate where that is not what it means.

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

// window returns the whole of a day.
func (d Day) window() [2]int64 { return [2]int64{int64(d) * dayMicros, (int64(d) + 1) * dayMicros} }

// weekend reports whether the day is a Saturday or a Sunday. Day 0 was a
// Thursday.
func (d Day) weekend() bool { return ((int(d)+3)%7+7)%7 >= 5 }

// A Key is what an aggregate groups by.
type Key struct {
	Feed       string `parquet:"feed,dict"`        // the sensor that saw it, see Aggregate; AllFeeds where several meet
	EntityType string `parquet:"entity_type,dict"` // "user", "src_ip" or "host"; "group" for a correlation that groups by something else
	Entity     string `parquet:"entity,dict"`      // its name, see Names; for "group" the name of the rule
	Object     string `parquet:"object,dict"`      // "" where the aggregate has none
}

// AllFeeds is the feed of correlations that ask what is there, whichever sensor
// saw it.
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
// vocabulary that all aggregates share. Counts and sums are not negative. What an
// aggregate does not measure is zero. Times are µs UTC, zero for none.
type Summary struct {
	Events   int64 `parquet:"events"`    // rows
	BytesOut int64 `parquet:"bytes_out"` // sum over the rows that say so
	BytesIn  int64 `parquet:"bytes_in"`
	KnownOut int64 `parquet:"known_out"` // rows that say so; 0 with some Events means that the log is blind here
	KnownIn  int64 `parquet:"known_in"`

	// Rows that a proxy, a firewall or the API itself refused, and the bytes out that
	// they name: they are among Events and KnownOut, and in no other measure of bytes.
	Blocked    int64 `parquet:"blocked"`
	BlockedOut int64 `parquet:"blocked_out"`

	First int64 `parquet:"first_seen,timestamp(microsecond)"`
	Last  int64 `parquet:"last_seen,timestamp(microsecond)"`
	// Spelling is how the log spells a user or host at First, and the least of several
	// spellings; "" for other entities.
	Spelling string `parquet:"spelling,dict"`
	Hours    int64  `parquet:"hours"` // bit h is set if there was an event in hour h of the day

	// The row with the most bytes out: how many, when, and its place. For a
	// correlation the row at which it first came true.
	PeakOut  int64  `parquet:"peak_out"`
	PeakTime int64  `parquet:"peak_time,timestamp(microsecond)"`
	Evidence string `parquet:"evidence"` // "object:record"

	Addresses int64 `parquet:"addresses"` // distinct src_ip; 0 for an entity that is one, and where no row says

	// DNS.
	Names     int64 `parquet:"names"`      // distinct names
	NameBytes int64 `parquet:"name_bytes"` // bytes of the distinct subdomains: names less the registered domain and its dot
	// Most queries, and most bytes of distinct subdomains, in any 5 minutes
	// [t, t+5min), with the earliest such t. For a correlation WindowEvents counts in
	// its own windows: it is over sigma.MaxWindow if not all matches were looked at.
	WindowEvents int64   `parquet:"window_events"`
	WindowAt     int64   `parquet:"window_at,timestamp(microsecond)"`
	WindowNames  int64   `parquet:"window_names"` // most distinct names in any 5 minutes
	WindowBytes  int64   `parquet:"window_bytes"`
	BytesAt      int64   `parquet:"bytes_at,timestamp(microsecond)"`
	Odd          int64   `parquet:"odd"`         // queries over the entropy or length threshold of the fold
	MaxEntropy   float64 `parquet:"max_entropy"` // bits per character, over subdomains
	MaxLength    int64   `parquet:"max_length"`  // bytes of the longest subdomain
	Rare         int64   `parquet:"rare"`        // queries of types that ordinary clients seldom ask for: TXT, NULL, KEY, MX, CNAME, SRV, TYPE65399
	NXDomain     int64   `parquet:"nxdomain"`

	// Up to 3 queries, the longest subdomains first; in rule_day command lines or
	// places, the earliest first.
	Examples []string `parquet:"examples,list"`

	// What dns_model makes of the names; see ModelOptions.
	Scored    int64  `parquet:"scored"`     // distinct names that it scored: all, or the first 2^20
	Over      int64  `parquet:"over"`       // those that it takes for data
	OverBytes int64  `parquet:"over_bytes"` // of their subdomains
	OverScore int64  `parquet:"over_score"` // sum of their probabilities, 1e-6
	MaxScore  int64  `parquet:"max_score"`  // the greatest probability, 1e-6
	Likely    string `parquet:"likely"`     // the first name that has it, if it is over the threshold,
	Signs     string `parquet:"signs"`      // and what speaks for it, in words
}

// Merge returns the measures of s and t together, for findings over several rows.
// The order and the grouping of merges make no difference, and the zero Summary
// adds nothing. Distinct names and addresses cannot be told apart any more: names
// are an upper bound; addresses are a lower one, since a user who works at one
// place comes from the same address every day.
func (s Summary) Merge(t Summary) Summary {
	s.Events += t.Events
	s.BytesOut = addBytes(s.BytesOut, t.BytesOut)
	s.BytesIn = addBytes(s.BytesIn, t.BytesIn)
	s.KnownOut += t.KnownOut
	s.KnownIn += t.KnownIn
	s.Blocked += t.Blocked
	s.BlockedOut = addBytes(s.BlockedOut, t.BlockedOut)
	if sooner(t.First, s.First) || t.First == s.First && lesser(t.Spelling, s.Spelling) {
		s.Spelling = t.Spelling
	}
	if sooner(t.First, s.First) {
		s.First = t.First
	}
	s.Last = max(s.Last, t.Last)
	s.Hours |= t.Hours
	if t.PeakOut > s.PeakOut || t.PeakOut == s.PeakOut && (sooner(t.PeakTime, s.PeakTime) || t.PeakTime == s.PeakTime && lesser(t.Evidence, s.Evidence)) {
		s.PeakOut, s.PeakTime, s.Evidence = t.PeakOut, t.PeakTime, t.Evidence
	}
	s.Addresses = max(s.Addresses, t.Addresses)
	s.Names += t.Names
	s.NameBytes = addBytes(s.NameBytes, t.NameBytes)
	if t.WindowEvents > s.WindowEvents || t.WindowEvents == s.WindowEvents && sooner(t.WindowAt, s.WindowAt) {
		s.WindowEvents, s.WindowAt = t.WindowEvents, t.WindowAt
	}
	s.WindowNames = max(s.WindowNames, t.WindowNames)
	if t.WindowBytes > s.WindowBytes || t.WindowBytes == s.WindowBytes && sooner(t.BytesAt, s.BytesAt) {
		s.WindowBytes, s.BytesAt = t.WindowBytes, t.BytesAt
	}
	s.Odd += t.Odd
	s.MaxEntropy = max(s.MaxEntropy, t.MaxEntropy)
	s.MaxLength = max(s.MaxLength, t.MaxLength)
	s.Rare += t.Rare
	s.NXDomain += t.NXDomain
	s.Examples = better(s.Examples, t.Examples)
	s.Scored += t.Scored
	s.Over += t.Over
	s.OverBytes = addBytes(s.OverBytes, t.OverBytes)
	s.OverScore += t.OverScore
	if t.MaxScore > s.MaxScore || t.MaxScore == s.MaxScore && (lesser(t.Likely, s.Likely) || t.Likely == s.Likely && lesser(t.Signs, s.Signs)) {
		s.MaxScore, s.Likely, s.Signs = t.MaxScore, t.Likely, t.Signs
	}
	return s
}

// addBytes adds counts of bytes, neither negative. A sum beyond int64 stays at its
// end, in whatever order it is made: two false counts in a log must not turn a
// day's upload into a small or negative one.
func addBytes(a, b int64) int64 {
	if a += b; a < 0 {
		return math.MaxInt64
	}
	return a
}

// sooner reports whether a time comes before another; no time comes last.
func sooner(a, b int64) bool { return a != 0 && (b == 0 || a < b) }

// lesser reports whether a text is less than another by its bytes; no text comes
// last.
func lesser(a, b string) bool { return a != "" && (b == "" || a < b) }

// better returns the examples whose first text is the longer one, else the least.
func better(a, b []string) []string {
	switch {
	case len(b) == 0:
		return a
	case len(a) == 0:
		return b
	case len(a[0]) != len(b[0]):
		if len(b[0]) > len(a[0]) {
			return b
		}
	case slices.Compare(b, a) < 0:
		return b
	}
	return a
}

// A Row is a Summary with its key and day: the rows of an aggregate's table. The
// tables of a day do not repeat the day.
type Row struct {
	Day Day `parquet:"-"`
	Key
	Summary
}
