// Package detect folds batches into daily aggregates and judges a day against the days
// before it. A detection is a value: one file here, one case in testdata, one line in
// All.
//
// Of decode → fold → merge → score → report, the three in the middle are here. A Folder
// (aggregate.go) groups batches into summaries and writes them as a sorted run. Merge
// (merge.go) makes one Row for each key and day of all runs (row.go). Judge (run.go)
// gives each Detection an Input with the series of rows, and returns its findings; Join
// (join.go) makes one of those that say the same.
//
// An event is a row of a canonical table. The entity of an event is its user, else its
// src_ip, else its host. The object is the destination of the entity's bytes or
// queries. A window is the span of time that a run judges or that a finding is about.
// A baseline is what is normal for the entity. A finding says that an entity did
// something unusual in a window, and carries the evidence. docs/architecture.md lists
// all the words.
package detect

import (
	"iter"

	"outflow/columnar"
	"outflow/stats/sigma"
)

// A Detection judges a day. It does no I/O, starts no goroutines, and keeps no state
// between calls.
type Detection struct {
	Name  string
	Title string // a few words, no capital, no period
	// Doc explains what it sees; why that means exfiltration; common false positives;
	// what it cannot see; how to investigate.
	Doc        string
	Technique  string        // ATT&CK technique id
	Impact     int           // 0–100
	Confidence int           // 0–100
	Aggregate  *Aggregate    // the rows that it reads
	Needs      columnar.Cols // columns without which it is blind
	History    int           // days before the judged one that it reads
	// Short returns, in words, how many days of history it needs, if those covered of a
	// feed before the judged day are too few for it to find anything; otherwise "". A day
	// is not judged if they are too few of each feed. Nil: it does without history.
	Short func(covered []Day, day Day) string
	// Options points to the thresholds: a struct of the detection's own type, filled
	// with the defaults. The configuration decodes into it.
	Options any
	// Fold sets the fold options that depend on the thresholds. Nil: none.
	Fold func(o *FoldOptions)
	// Verdict names the conclusion that this detection shares with others. Findings
	// with the same verdict about the same thing and day are joined; see Join. "": its
	// findings are not joined.
	Verdict string
	// Card is the model card of a trained model; "": the detection has no model.
	Card string
	// Seed sets Options to the values of the original rule that the detection comes
	// from. Nil: there is no original rule, and profile seed leaves the detection out.
	Seed func()
	// Score returns the findings of a day, in any order. It sets the fields that
	// Finding lists as the detection's.
	Score func(in *Input) []Finding
}

// Risk is impact × confidence / 100.
func (d *Detection) Risk() int { return d.Impact * d.Confidence / 100 }

// Input is what a detection judges: a day and the days before it.
type Input struct {
	Day Day
	// Window is the judged time, µs UTC, from and to; zero: all of Day.
	Window [2]int64
	// Series yields the series of each key, in the order of the keys. A series is the
	// rows of the detection's aggregate for one key, from Day and the History days
	// before it, in the order of their days. Series may be ranged over several times,
	// one after another, and yields the same each time. The slice is valid until the
	// next step and must not be changed; the strings in it stay valid.
	Series iter.Seq2[Key, []Row]
	// Over yields the series as Series does, but only what a pass over them needs.
	Over func(p Pass) iter.Seq2[Key, []Row]
	// Covered returns the days before Day, ascending, that were folded for a feed. A
	// day that it does not return is missing, not quiet.
	Covered func(feed string) []Day
	// Flagged reports whether the detection had a finding for the key on an earlier
	// day. Such days do not train the baseline.
	Flagged func(k Key, d Day) bool
	// Own reports whether a host or bucket is the company's own (config).
	Own func(host string) bool
	// Group returns the group of an entity, whose members are compared with one another;
	// "" for people without a group.
	Group func(k Key) string
	// Rules are FoldOptions.Rules.
	Rules *sigma.Set
	// Baseline, if set, is called by upload_zscore for each row of Day, in the order
	// of the keys, with the baseline of its entity.
	Baseline func(b UploadBaseline)
	// Beacons, if set, is called by beacon for up to maxBeacons pairs, the worst first.
	Beacons func(b *Beacon)
}

// A Pass says what is needed of the series of an Input. The zero value is all.
type Pass struct {
	// Keys, if set, is asked of each key once, in their order, and reports whether its series
	// is needed. It may be asked before the series of the keys before it come.
	Keys func(k Key) bool
	// NoLists says that the lists of texts in rows before Day are not needed. They may be empty.
	NoLists bool
}

// All returns the detections with their default thresholds, in the order in which help
// and docs list them. Each call returns fresh values.
func All() []*Detection {
	return []*Detection{
		uploadZScore(),
		uploadRatio(),
		cloudUpload(),
		bulkDownload(),
		firstDestination(),
		destinationRise(),
		destinationRatio(),
		uploadSlow(),
		downloadSlow(),
		dnsEntropy(),
		dnsVolume(),
		dnsInformation(),
		dnsModel(),
		beacon(),
		sigmaRule(),
	}
}
