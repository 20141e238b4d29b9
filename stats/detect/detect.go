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
	"iter"

	"outflow/columnar"
	"outflow/stats/sigma"
)

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
	Aggregate  *Aggregate    // whose rows it reads
	Needs      columnar.Cols // columns without which it is blind
	History    int           // days before the judged one that it wants
	// Options points to the thresholds, a struct of the detection's own with
	// its defaults filled in. The configuration decodes into it.
	Options any
	// Fold sets what the aggregate's fold has to know of the thresholds. Nil: nothing.
	Fold func(o *FoldOptions)
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
