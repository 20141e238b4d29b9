package detect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Finding says that what an entity did in a window is unusual.
//
// The detection sets Key, Score, Threshold, Observed, Baseline, Unit, Window, Summary,
// Why and Timeline, and Severity if it knows better than its risk. The runner sets the
// rest.
type Finding struct {
	UID       string // stable: running the same window again gives the same UID
	Day       Day
	Detection string
	Verdict   string // the detection's
	Technique string
	Severity  Severity
	RiskScore int // impact × confidence / 100, scaled by the detection where it knows more
	Key
	Score     float64 // in the detection's own measure
	Threshold float64
	Observed  float64  // in Unit
	Baseline  float64  // in Unit; NaN if there is none
	Unit      string   // "B/day", "queries/5min", "bits/char", …
	Window    [2]int64 // µs UTC, from and to
	Summary   Summary
	// Done is from when to when what the finding says was done, µs UTC: of a volume the
	// records that make it, not all that the entity did that day. Zero: not known.
	Done [2]int64
	// ObjectBytes are those of Bytes that went to Object, or came from it; 0 if there is none.
	ObjectBytes int64
	// Mostly is the destination of most of the bytes of a finding about uploads without an
	// object; "" if there is none, or no log names it. See Locate.
	Mostly string
	// Title is that of the Sigma rule that matched; "" if the finding is not of one.
	Title string
	// Why says in one sentence what happened, what is normal, and why that is
	// unusual.
	Why string
	// Timeline has the entity's days with the baseline band, oldest first, the judged
	// day last. Nil if the detection uses no history.
	Timeline []Point
	// Label, if set, says why such a finding is often a false positive, such as a known
	// reputation service. It quarters the risk, and the severity is at most low.
	Label string
	// Customary says that the destination was in use before, so that the volume alone is unusual:
	// what another detection says of the volume is the same again. See Join.
	Customary bool
	// Allowed is the reason given in the allow-list entry that suppresses the finding,
	// or "".
	Allowed string
	// Reported says that an earlier night has reported the finding, with this severity or a
	// higher one: its day was judged again.
	Reported bool
	// Also lists the other detections that say the same, and Parts all findings that
	// were joined; see Join. Both are nil if none were.
	Also  []string
	Parts []Part
	// Person is the canonical name of the user whose the entity is, or was in the hours
	// of the finding; "" if that is not known, or if the entity is that user. PersonBy
	// says how it is known, else why it is not: "identities" for the identities file, or
	// feeds and how many of their events name the user. See Attribute.
	Person, PersonBy string
}

// Bytes returns the data that left: bytes in of a download, the bytes of names in DNS,
// else bytes out.
func (f *Finding) Bytes() int64 {
	switch {
	case f.Download():
		return f.Summary.BytesIn
	case f.Summary.NameBytes > 0:
		return f.Summary.NameBytes
	}
	return f.Summary.BytesOut
}

// Download reports whether the finding is about data that was fetched, and so may still
// be in the company.
func (f *Finding) Download() bool { return f.Verdict == downloadVerdict }

// Hourly returns what the finding is about by hour of the day, UTC, and its unit: B of what
// left, DNS queries, or beats of a beacon. It returns nil if that is not known; see
// Summary.Hourly.
func (f *Finding) Hourly() (counts []int64, unit string) {
	counts = f.Summary.Hourly()
	switch {
	case f.Summary.Rhythm != "":
		return counts, "beats"
	case f.Summary.PerMinute() != nil:
		return counts, "queries"
	}
	return counts, "B"
}

// SortFindings sorts findings as every report lists them: by severity, risk, bytes and
// name. Allowed findings come last.
func SortFindings(all []Finding) {
	slices.SortFunc(all, func(a, b Finding) int { return worstFirst(&a, &b) })
}

func worstFirst(a, b *Finding) int {
	return cmp.Or(
		cmp.Compare(min(len(a.Allowed), 1), min(len(b.Allowed), 1)),
		cmp.Compare(b.Severity, a.Severity),
		cmp.Compare(b.RiskScore, a.RiskScore),
		cmp.Compare(b.Bytes(), a.Bytes()),
		strings.Compare(a.Entity, b.Entity),
		strings.Compare(a.Object, b.Object),
		cmp.Compare(b.Day, a.Day),
		a.Key.Compare(b.Key),
		strings.Compare(a.Detection, b.Detection),
		strings.Compare(a.UID, b.UID),
	)
}

// A Point is one day of a timeline, in the finding's unit.
type Point struct {
	Day          Day
	Value        float64
	Low, Mid, Up float64 // the baseline band; all zero if there is none
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

// ParseSeverity returns the severity with the given name.
func ParseSeverity(name string) (Severity, error) {
	for i, s := range severities {
		if s == name {
			return Severity(i), nil
		}
	}
	return 0, fmt.Errorf("severity %q: want one of %s", name, strings.Join(severities[:], ", "))
}
