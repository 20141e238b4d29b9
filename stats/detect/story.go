package detect

import (
	"cmp"
	"slices"
	"strings"
)

// This file orders what a person did, and says how far a theft is: data is collected, a
// tool is started, the data is sent, or what it lies in is shared.

// A Stage is how far a theft is when a finding is made.
type Stage uint8

const (
	Collected Stage = iota // fetched, or packed into an archive
	Tool                   // a program that carries files was started
	Sent                   // data left
	Shared                 // somebody else may fetch it from where it lies
)

// shares are the techniques by which data leaves without being sent.
var shares = []string{"T1537", "T1114.003"}

// Stage returns the stage of a finding.
func (f *Finding) Stage() Stage {
	switch {
	case f.Verdict == downloadVerdict:
		return Collected
	case slices.Contains(shares, f.Technique):
		return Shared
	case slices.Contains(tacticsOf(f.Technique), collection), slices.Contains(tacticsOf(f.Technique), credentialAccess):
		return Collected
	case f.ofProgram():
		return Tool
	}
	return Sent
}

// ofProgram reports whether a rule matched a program, by its path, or several events
// within a time, which no rule of network logs does.
func (f *Finding) ofProgram() bool {
	_, what := RuleMatch(f.Key)
	return strings.HasPrefix(what, "/") || strings.Contains(what, `\`) || strings.HasPrefix(what, "within ")
}

// String returns the stage in a word.
func (s Stage) String() string {
	return [...]string{Collected: "collected", Tool: "tool", Sent: "sent", Shared: "shared"}[s]
}

// StoryOrder orders the findings of one entity as they are told: by day and time. Of
// those that began together, the earlier stage goes first.
func StoryOrder(a, b *Finding) int {
	return cmp.Or(
		cmp.Compare(a.Day, b.Day),
		cmp.Compare(a.begin(), b.begin()),
		cmp.Compare(a.Stage(), b.Stage()),
		worstFirst(a, b),
	)
}

// begin returns when what the finding says began, in µs UTC.
func (f *Finding) begin() int64 { return cmp.Or(f.Done[0], f.Summary.First) }

// Follows reports whether what the finding says began when what g says had ended.
func (f *Finding) Follows(g *Finding) bool {
	return f.begin() >= cmp.Or(g.Done[1], g.Summary.Last, g.begin())
}

// much is the share that an hour or a record needs of what the largest one has to count
// as part of the deed. A theft in pieces has pieces of like sizes; with less, the mail of
// the morning would begin it.
const much = 0.1

// done returns when what the finding says was done, by the summary that it judged. Of
// bytes, that is from the first to the last record that is known in the hours with much
// of them: the largest records, and if all are about one destination the first and the
// last too. Other records of a person's day are about anything else.
func (f *Finding) done() [2]int64 {
	s := &f.Summary
	whole := [2]int64{s.First, s.Last}
	counts := f.Verdict == downloadVerdict && f.Unit != "B/day"
	if f.Window[1]-f.Window[0] > dayMicros || counts || s.NameBytes > 0 || s.Rhythm != "" || f.Bytes() == 0 {
		return whole
	}
	var times []int64
	if f.Object != "" && !f.Download() {
		times = append(times, s.First, s.Last)
	}
	places := s.Records()
	for _, p := range places {
		if float64(p.Bytes) >= much*float64(places[0].Bytes) {
			times = append(times, p.Time)
		}
	}
	if hours, _ := f.Hourly(); hours != nil {
		least := much * float64(slices.Max(hours))
		busy := func(hour int) bool { return float64(hours[hour]) >= least }
		times = slices.DeleteFunc(times, func(us int64) bool { return !busy(int(hourOf(us))) })
		if !mostIn(hours, times) { // it was done in more, smaller records
			for h := range hours {
				if from := int64(f.Day)*dayMicros + int64(h)*3600e6; busy(h) {
					times = append(times, max(from, s.First), min(from+3600e6, s.Last))
				}
			}
		}
	}
	if len(times) == 0 {
		return whole
	}
	return [2]int64{slices.Min(times), slices.Max(times)}
}

// mostIn reports whether the hours from the first to the last of times have at least half
// of the bytes.
func mostIn(hours []int64, times []int64) bool {
	if len(times) == 0 {
		return false
	}
	in, all := 0.0, 0.0
	for h, n := range hours {
		all += float64(n)
		if int64(h) >= hourOf(slices.Min(times)) && int64(h) <= hourOf(slices.Max(times)) {
			in += float64(n)
		}
	}
	return in >= all/2
}
