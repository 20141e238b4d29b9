package detect

import (
	"iter"

	"github.com/zeebo/xxh3"

	"outflow/columnar"
	"outflow/stats/sigma"
)

// An Aggregate names the rows to keep of a day and the key to group them by. Several
// detections share one aggregate, so a log is read and folded once.
//
// The key of every aggregate includes the feed: bytes that two sensors saw are never
// added together.
type Aggregate struct {
	Name   string
	Doc    string
	Rev    int // raised when the meaning of the fold changes
	Tables []*columnar.Table
	// Joins says that it counts connections and not what a sensor logs of each: it leaves
	// out the rows of network that have a uid, and is given those of a Joiner.
	Joins bool
	// Serving says that of http it reads the logs of servers of the company's own alone.
	// The other aggregates that measure bytes leave those out, as what clients send to
	// such a server does not leave the company.
	Serving bool
	Reads   columnar.Cols
	// Wants returns what it reads in addition to Reads, as the options require. Nil:
	// nothing.
	Wants func(o *FoldOptions) columnar.Wanted
	// Depends returns the options that the meaning of the rows depends on. Rows folded
	// under other values are stale. Nil: the rows depend on no option.
	Depends func(o *FoldOptions) []any
	// Without names what the fold leaves out of the rows because no detection reads it;
	// "" if nothing. Rows with everything serve in place of rows without it. Nil: nothing.
	Without func(o *FoldOptions) string
	// Past are the columns that detections read of rows before the judged day, other than
	// those of the key; profile seed reads all. Nil: all.
	Past []string
	// JudgedOnly says that detections need only its rows of judged days: days of history have
	// rows if they were judged, or folded for other aggregates. Only such rows may depend on
	// FoldOptions.Rules: when the rules change, those of judged days are folded again and the
	// other aggregates are not.
	JudgedOnly bool
	New        func(o *FoldOptions) Folder
	Merger     func(o *FoldOptions) Merger
}

// FoldOptions are the parts of the configuration that folds need.
type FoldOptions struct {
	// From and To bound the events that are folded, µs UTC: From ≤ time < To.
	From, To int64
	// OneDay assigns all of that time, at most 26 hours, to the day of From.
	OneDay bool
	// A query that exceeds Entropy or Length is Odd.
	Entropy float64 // bits per character
	Length  int     // bytes
	// Uploads are the HTTP methods that count as an upload; "" stands for rows of
	// tables that have no method.
	Uploads []string
	// TwoLabels uses the last two labels of a name as its registered domain, as
	// profile seed does.
	TwoLabels bool
	// Destinations lists in user_destination_day which destinations each entity used.
	Destinations bool
	// Names says which names of users and hosts mean the same entity.
	Names Names
	// EachRecord counts each record of a connection, as profile seed does.
	EachRecord bool
	// Resolve asks DNS answers for the names of addresses.
	Resolve bool
	// CountBlocked counts blocked events as sent, as profile seed does.
	CountBlocked bool
	// Rules are the rules whose matches rule_day counts. Nil: none.
	Rules *sigma.Set
	// Model is what dns_model needs from dns_pair. Nil: nothing.
	Model *ModelOptions
	// Seed is that of the hashes that runs carry. Runs can be merged if they have the same
	// one. Nobody who does not know it can make texts whose hashes collide. No result depends
	// on it, except by the chance of one in 10^5 that dnsSection.name describes.
	Seed uint64
}

// hash returns the hash of a text that runs carry. Note: hash/maphash is as fast, but no
// other process can have its seed.
func (o *FoldOptions) hash(text []byte) uint64 { return xxh3.HashSeed(text, o.Seed) }

// A Folder is one worker's table of an aggregate. Its methods are called from
// one goroutine at a time.
type Folder interface {
	// Fold adds the rows of a batch of one of the aggregate's tables.
	Fold(b *columnar.Batch)
	// Size returns the approximate memory of the table in bytes.
	Size() int
	// Drain writes what the table holds and empties it. The table may keep names, so
	// its Size need not become zero.
	Drain(w *RunWriter)
}

// A Renewer is a Folder that can forget its names without giving up the memory of its table.
type Renewer interface {
	Folder
	// Renew returns a Folder without names, which takes the place of this one. It is called
	// after Drain.
	Renew() Folder
}

// A Merger makes rows from what Folders of the same aggregate drained.
type Merger interface {
	// Add takes the value of one record. The records of a key arrive one after
	// another, in the order of their sequence numbers.
	Add(day Day, seq uint64, value []byte) error
	// Row fills in the Summary of a row, whose Day and Key are set, from the records
	// added for that key. It returns false when there is no further row. It is called
	// until it returns false: some aggregates have several rows for a key, and some
	// leave a key out.
	Row(r *Row) bool
}

// A Settler is a Merger that has the last word about the rows of an entity.
type Settler interface {
	Merger
	// Settle yields the rows in the same order of day and then key. rows are those that
	// Row has filled in, one after another.
	Settle(rows iter.Seq2[*Row, error]) iter.Seq2[*Row, error]
}

// A Spiller is a Merger that keeps in a spool what the memory is too small for.
type Spiller interface {
	Merger
	// Spill gives it the spool. It is called before the first Add. Without it, all is held
	// in memory.
	Spill(spool Spool)
	// Err returns the first error of the spool. After one, Row returns false.
	Err() error
}

// Aggregates lists the aggregates.
var Aggregates = []*Aggregate{
	UserDay,
	UserDestinationDay,

	AddressUser,
	RuleDay,
	DNSScore,
	DNSPair,
	DNSName,
	ObjectDay,
	PairTimes,
}

// FoldFor returns the fold options that the detections need. seed selects the options
// of profile seed. The caller sets the times.
func FoldFor(dets []*Detection, seed bool) FoldOptions {
	// CONNECT opens a tunnel: the client uploaded what it sent through the tunnel.
	o := FoldOptions{Entropy: oddEntropy, Length: oddLength, Uploads: []string{"PUT", "POST", "PATCH", "CONNECT", ""}}
	if seed {
		o.Uploads, o.TwoLabels, o.EachRecord, o.CountBlocked = []string{"PUT", "POST"}, true, true, true
		o.Names.Literal = true
	}
	for _, d := range dets {
		if d.Fold != nil {
			d.Fold(&o)
		}
	}
	return o
}
