package detect

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// This file describes a row once. The state's Parquet files, the temporary files of a
// run and its count of memory derive from the Parquet tags here, and from nothing
// else.
//
// A new measure is one field of Summary with its tag, and one line in Merge. Beyond
// that, only the aggregate that measures it sets it, and the report that shows it
// reads it. A field is an int64, a float64, a string or a []string. A state written by
// an older program has no such column, so the field is zero in its rows. If zero is
// wrong there, raise the Rev of the aggregate.

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

// window returns the window of the whole day.
func (d Day) window() [2]int64 { return [2]int64{int64(d) * dayMicros, (int64(d) + 1) * dayMicros} }

// weekend reports whether the day is a Saturday or a Sunday. Day 0 was a
// Thursday.
func (d Day) weekend() bool { return ((int(d)+3)%7+7)%7 >= 5 }

// A Key is what an aggregate groups by.
type Key struct {
	Feed       string `parquet:"feed,dict"`        // the sensor that saw it, see Aggregate; AllFeeds for what several sensors saw
	EntityType string `parquet:"entity_type,dict"` // "user", "src_ip" or "host"; "group" for a correlation that groups by something else
	Entity     string `parquet:"entity,dict"`      // its canonical name, see Names; for "group" the name of the rule
	Object     string `parquet:"object,dict"`      // "" if the aggregate has no objects
}

// AllFeeds is the feed of correlations that match across sensors.
const AllFeeds = "*"

// sameEntity reports whether two keys are those of one entity.
func (k Key) sameEntity(l Key) bool {
	k.Object = l.Object
	return k == l
}

// Compare orders keys by their fields, in the order in which they are declared.
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

// A Summary is what is kept of the events of one key and day. All aggregates share its
// measures. Counts and sums are not negative. A measure that an aggregate does not
// take is zero. Times are µs UTC; zero means no time.
type Summary struct {
	Events   int64 `parquet:"events"`    // rows
	BytesOut int64 `parquet:"bytes_out"` // sum over the rows that have a count
	BytesIn  int64 `parquet:"bytes_in"`
	KnownOut int64 `parquet:"known_out"` // rows with a count of bytes out; 0 while Events > 0 means that the log is blind here
	KnownIn  int64 `parquet:"known_in"`  // rows with a count of bytes in

	// Rows that a proxy, a firewall or the API itself refused, and their bytes out.
	// They count in Events and KnownOut, and in no other measure of bytes.
	Blocked    int64 `parquet:"blocked"`
	BlockedOut int64 `parquet:"blocked_out"`

	First int64 `parquet:"first_seen,timestamp(microsecond)"`
	Last  int64 `parquet:"last_seen,timestamp(microsecond)"`
	// Spelling is the log's spelling of a user or host at First, the least one if
	// there are several; "" if that is the entity's name, and for other entities.
	Spelling string `parquet:"spelling,dict"`
	Hours    int64  `parquet:"hours"` // bit h is set if there was an event in hour h of the day

	// The row with the most bytes out: its bytes, time and place. For a correlation,
	// the row at which it first matched; in pair_times, the place of the first row.
	PeakOut  int64  `parquet:"peak_out"`
	PeakTime int64  `parquet:"peak_time,timestamp(microsecond)"`
	Evidence string `parquet:"evidence"` // "object:record"

	Addresses int64 `parquet:"addresses"` // distinct src_ip; 0 if the entity is an address, or if no row has one

	// If DNS named the destination, since the logs of connections have only its address:
	// when it first answered with the address on that day, in µs UTC, and the client that
	// asked. Zero: a log has the name, or none has.
	AnswerTime int64  `parquet:"answer_time,timestamp(microsecond)"`
	AnswerTo   string `parquet:"answer_to,dict"`

	// DNS.
	Names     int64 `parquet:"names"`      // distinct names; in object_day: distinct objects
	NameBytes int64 `parquet:"name_bytes"` // bytes of the distinct subdomains: names without the registered domain and its dot
	// The most queries, and the most bytes of distinct subdomains, in any sliding
	// window of 5 minutes [t, t+5min), with the earliest such t. For a correlation
	// WindowEvents counts events in the correlation's own sliding windows; it exceeds
	// sigma.MaxWindow if some matches were not examined.
	WindowEvents int64   `parquet:"window_events"`
	WindowAt     int64   `parquet:"window_at,timestamp(microsecond)"`
	WindowNames  int64   `parquet:"window_names"` // most distinct names in any 5 minutes
	WindowBytes  int64   `parquet:"window_bytes"`
	BytesAt      int64   `parquet:"bytes_at,timestamp(microsecond)"`
	Odd          int64   `parquet:"odd"`         // queries that exceed the entropy or length of FoldOptions
	MaxEntropy   float64 `parquet:"max_entropy"` // bits per character, over subdomains
	MaxLength    int64   `parquet:"max_length"`  // bytes of the longest subdomain
	Rare         int64   `parquet:"rare"`        // queries of types that ordinary clients seldom ask for: TXT, NULL, KEY, MX, CNAME, SRV, TYPE65399
	NXDomain     int64   `parquet:"nxdomain"`

	// Up to 3 queries, the longest subdomains first. In rule_day: command lines or
	// places, the earliest first.
	Examples []string `parquet:"examples,list"`

	// The scores of dns_model; see ModelOptions.
	Scored    int64  `parquet:"scored"`     // distinct names scored: all, or the first 2^20
	Over      int64  `parquet:"over"`       // scored names classified as data
	OverBytes int64  `parquet:"over_bytes"` // bytes of their subdomains
	OverScore int64  `parquet:"over_score"` // sum of their probabilities, 1e-6
	MaxScore  int64  `parquet:"max_score"`  // the greatest probability, 1e-6
	Likely    string `parquet:"likely"`     // the first name with MaxScore, if that exceeds the threshold
	Signs     string `parquet:"signs"`      // what makes Likely look like data, in words

	// object_day. There Names counts distinct objects, WindowNames the most of them in an
	// hour of the clock, which begins at WindowAt, and PeakTime and Evidence tell of the
	// row with the most bytes in.
	Agents   int64 `parquet:"agents"`   // distinct applications: user agents without their versions
	Accounts int64 `parquet:"accounts"` // distinct accounts, tenants or projects
	Signed   int64 `parquet:"signed"`   // rows that a link alone allowed: a presigned URL, a shared access signature
	// The addresses and the applications that Addresses and Agents count, sorted: of
	// each the least maxClients.
	Clients []string `parquet:"clients,list"`

	// pair_times.
	Beats  int64  `parquet:"beats"`  // times that the pair talked, without a pause of 4 s
	Port   int64  `parquet:"port"`   // the server's; 0 if it is not known, -1 if there are several
	Rhythm string `parquet:"rhythm"` // of up to 96 beats, each: seconds since the one before, or midnight, and :bytes out; of more their statistics, see rhythm.numbers

	// The destinations that an entity used, sorted; see UserDestinationDay. If there are
	// maxDestinations, those that would follow are not known.
	Destinations []string `parquet:"destinations,list"`

	// Up to maxPlaces rows, each as Place.String returns it, the ones with the most bytes
	// first; see Records. Nil if Evidence says as much, and in rows that cannot become
	// findings; see minPlacesBytes.
	Places []string `parquet:"places,list"`

	// What is counted by the time of day, for pictures: h and bytes out, in object_day bytes
	// in, by hour, if they are minHourlyBytes; in dns_pair m and queries by minute, of pairs
	// that a detection may find. h9:120 35 14:7 is 120 in hour 9, 35 in hour 10 and 7 in hour
	// 14. See Hourly and PerMinute. "" in other rows, and in those of an older program: no
	// detection reads it, so they serve.
	Activity string `parquet:"activity"`
}

// Merge returns the measures of s and t together, for findings over several rows. The
// order and the grouping of merges do not matter, and the zero Summary adds nothing.
// If s and t begin at one time, a spelling goes before the entity's name.
// Merge cannot tell whether s and t share names or addresses. Names therefore becomes
// an upper bound. Addresses, Agents and Accounts become lower bounds, since a user who works in one place
// has the same address every day.
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
	if sooner(t.AnswerTime, s.AnswerTime) || t.AnswerTime == s.AnswerTime && lesser(t.AnswerTo, s.AnswerTo) {
		s.AnswerTime, s.AnswerTo = t.AnswerTime, t.AnswerTo
	}
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
	s.Agents = max(s.Agents, t.Agents)
	s.Accounts = max(s.Accounts, t.Accounts)
	s.Signed += t.Signed
	s.Clients = union(s.Clients, t.Clients, math.MaxInt)
	s.Beats += t.Beats
	s.Port = samePort(s.Port, t.Port)
	if s.Rhythm == "" || t.Rhythm != "" && t.Rhythm < s.Rhythm { // of one day: rhythms cannot be added
		s.Rhythm = t.Rhythm
	}
	s.Destinations = union(s.Destinations, t.Destinations, maxDestinations)
	s.Places = mergePlaces(s.Places, t.Places)
	s.Activity = mergeActivity(s.Activity, t.Activity)
	return s
}

// union returns the texts of both lists, which are sorted and without repetition: the
// first most of them. It may return one of the lists itself.
func union(a, b []string, most int) []string {
	if len(b) == 0 {
		return a
	}
	if len(a) == 0 {
		return b
	}
	out := make([]string, 0, min(len(a)+len(b), most))
	for len(out) < most && (len(a) > 0 || len(b) > 0) {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0] < b[0]:
			out, a = append(out, a[0]), a[1:]
		case len(a) > 0 && a[0] == b[0]:
			a = a[1:]
		default:
			out, b = append(out, b[0]), b[1:]
		}
	}
	return out
}

// addBytes adds counts of bytes, neither negative. A sum beyond int64 is
// math.MaxInt64, in whatever order it is made: two wrong counts in a log must not turn
// a day's upload into a small or negative one.
func addBytes(a, b int64) int64 {
	if a += b; a < 0 {
		return math.MaxInt64
	}
	return a
}

// sooner reports whether a is before b; no time comes last.
func sooner(a, b int64) bool { return a != 0 && (b == 0 || a < b) }

// lesser reports whether a is less than b by its bytes; an empty text comes last.
func lesser(a, b string) bool { return a != "" && (b == "" || a < b) }

// better returns the examples with the longer first text or, if both are as long, the
// lesser ones.
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

// A Row is a Summary with its key and day: a row of an aggregate's table. The stored
// table of a day does not repeat the day.
type Row struct {
	Day Day `parquet:"-" scratch:"day"`
	Key
	Summary
}
