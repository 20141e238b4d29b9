package detect

import (
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
	// CountBlocked takes what was blocked for sent, as profile seed does.
	CountBlocked bool
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

// Aggregates lists the aggregates.
var Aggregates = []*Aggregate{
	UserDay,
	UserDestinationDay,
	RuleDay,
	DNSScore,
	DNSPair,
	DNSName,
}

// FoldFor returns the fold options that the detections need. seed is those of the
// documents' profile. The runner adds the times.
func FoldFor(dets []*Detection, seed bool) FoldOptions {
	// CONNECT is a tunnel: what the client sent through it, it uploaded.
	o := FoldOptions{Entropy: oddEntropy, Length: oddLength, Uploads: []string{"PUT", "POST", "PATCH", "CONNECT", ""}}
	if seed {
		o.Uploads, o.TwoLabels, o.CountBlocked = []string{"PUT", "POST"}, true, true
		o.Names.Literal = true
	}
	for _, d := range dets {
		if d.Fold != nil {
			d.Fold(&o)
		}
	}
	return o
}
