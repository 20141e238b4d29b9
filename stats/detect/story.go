package detect

import (
	"cmp"
	"slices"
	"strings"
)

// This file orders what a person did: data is collected, a tool is started, the data is
// sent, or what it lies in is shared.

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
	case slices.Contains(Tactics(f.Technique), Collection):
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

// StoryOrder orders the findings of one entity as they are told: by day, stage and time.
func StoryOrder(a, b *Finding) int {
	return cmp.Or(
		cmp.Compare(a.Day, b.Day),
		cmp.Compare(a.Stage(), b.Stage()),
		cmp.Compare(a.Summary.First, b.Summary.First),
		WorstFirst(a, b),
	)
}
