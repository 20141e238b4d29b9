package detect

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
)

// Judge runs a detection over a day and completes its findings: Day unless set,
// Detection, Technique unless set, RiskScore and Severity unless set, UID. They
// come sorted by day, key and window, each UID once: of two, the one with the
// higher risk, then score. Nil functions in in mean: never.
func Judge(d *Detection, in *Input) []Finding {
	findings := d.Score(in.whole())
	for i := range findings {
		f := &findings[i]
		f.Detection = d.Name
		if f.Day == 0 {
			f.Day = in.Day
		}
		if f.Technique == "" {
			f.Technique = d.Technique
		}
		if f.RiskScore == 0 {
			f.RiskScore = d.Risk()
		}
		if f.Label != "" {
			f.RiskScore = (f.RiskScore + 3) / 4
			f.Severity = min(f.Severity, Low)
		}
		if f.Severity == Info {
			f.Severity = severityOf(f.RiskScore)
		}
		if f.UID = uid(d.Name, f, f.Window[0]); d.Verdict != "" {
			f.UID = uid(d.Verdict, f, in.window()[0])
		}
	}
	slices.SortFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Day, b.Day), a.Key.Compare(b.Key),
			cmp.Compare(a.Window[0], b.Window[0]),
			cmp.Compare(b.RiskScore, a.RiskScore), cmp.Compare(b.Score, a.Score), strings.Compare(a.Why, b.Why))
	})
	return slices.CompactFunc(findings, func(a, b Finding) bool { return a.UID == b.UID })
}

// whole returns in with every function set.
func (in *Input) whole() *Input {
	out := *in
	if out.Covered == nil {
		out.Covered = func(string) []Day { return nil }
	}
	if out.Flagged == nil {
		out.Flagged = func(Key, Day) bool { return false }
	}
	if out.Own == nil {
		out.Own = func(string) bool { return false }
	}
	return &out
}

// severityOf bands risk scores. A detection that is right more often than not
// and matters is Medium; High takes both. Critical is never given by one
// detection alone unless it says so itself.
func severityOf(risk int) Severity {
	switch {
	case risk >= 60:
		return High
	case risk >= 40:
		return Medium
	case risk >= 15:
		return Low
	}
	return Info
}

// uid hashes what a finding is about, and not what was measured, so that a run
// that knows more of the same window updates the finding: who says it, of whom, and
// the window that begins at a time. Texts are preceded by
// their length: no two findings encode alike.
func uid(by string, f *Finding, from int64) string {
	h := sha256.New()
	var n [8]byte
	number := func(v uint64) {
		binary.BigEndian.PutUint64(n[:], v)
		h.Write(n[:])
	}
	for _, s := range [...]string{by, f.Feed, f.EntityType, f.Entity, f.Object} {
		number(uint64(len(s)))
		h.Write([]byte(s))
	}
	number(uint64(from))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Seeded sets detections to the letter of the documents they come from, and
// leaves out those that no document has.
func Seeded(dets []*Detection) []*Detection {
	var out []*Detection
	for _, d := range dets {
		if d.Seed != nil {
			d.Seed()
			out = append(out, d)
		}
	}
	return out
}

// FoldFor returns the fold options that the detections need: dns_entropy and
// dns_model count queries by thresholds that only the fold can apply. seed is that of the
// documents' profile. The runner adds the times.
func FoldFor(dets []*Detection, seed bool) FoldOptions {
	// CONNECT is a tunnel: what the client sent through it, it uploaded.
	o := FoldOptions{Uploads: []string{"PUT", "POST", "PATCH", "CONNECT", ""}}
	if seed {
		o.Uploads, o.TwoLabels = []string{"PUT", "POST"}, true
		o.Names.Literal = true
	}
	for _, d := range append(All(), dets...) {
		if e, ok := d.Options.(*dnsEntropyOptions); ok {
			o.Entropy, o.Length = e.Entropy, e.Length
		}
	}
	for _, d := range dets {
		if m, ok := d.Options.(*dnsModelOptions); ok {
			o.Model = &ModelOptions{Threshold: m.Threshold, Names: m.MinOver, Bytes: int(m.MinBytes)}
		}
	}
	return o
}

// An EntityRisk is the risk of one user, host or address: the sum over its
// findings that are not allowed.
type EntityRisk struct {
	EntityType string
	Entity     string
	Spelling   string   // as in Summary, of the earliest finding
	Risk24h    int      // over the last day
	Risk7d     int      // over the last seven days
	Findings   int      // of the seven days
	Tactics    []string // ATT&CK tactic ids
	Detections []string
	Notable    bool // Risk24h > 100, or ≥ 3 tactics and ≥ 4 detections in 7 days
}

// Who returns the entity as the log spells it.
func (e *EntityRisk) Who() string { return cmp.Or(e.Spelling, e.Entity) }

// The notable rules. One detection alone, however sure, stays below 100; two
// that are rather sure, or three that are not, exceed it.
const (
	notableRisk       = 100
	notableTactics    = 3
	notableDetections = 4
)

// Risk sums findings by entity over the day last and the seven days that end
// with it, worst first. What two feeds saw of the same entity, object and day
// counts once, with the higher risk: it may be the same bytes.
func Risk(findings []Finding, last Day) []EntityRisk {
	type entity struct{ kind, name string }
	type fact struct {
		entity
		day       Day
		detection string
		object    string
		window    int64
	}
	facts := map[fact]*Finding{}
	for i := range findings {
		f := &findings[i]
		if f.Allowed != "" || f.Day > last || f.Day <= last-7 {
			continue
		}
		k := fact{entity{f.EntityType, f.Entity}, f.Day, f.Detection, f.Object, f.Window[0]}
		if old := facts[k]; old == nil || f.RiskScore > old.RiskScore {
			facts[k] = f
		}
	}
	sums := map[entity]*EntityRisk{}
	spelt := map[entity]Summary{}
	for k, f := range facts {
		e := sums[k.entity]
		if e == nil {
			e = &EntityRisk{EntityType: k.kind, Entity: k.name}
			sums[k.entity] = e
		}
		spelt[k.entity] = spelt[k.entity].Merge(Summary{First: f.Summary.First, Spelling: f.Summary.Spelling})
		e.Findings++
		e.Risk7d += f.RiskScore
		if k.day == last {
			e.Risk24h += f.RiskScore
		}
		e.Tactics = append(e.Tactics, Tactics(f.Technique)...)
		e.Detections = append(append(e.Detections, k.detection), f.Also...)
	}
	out := make([]EntityRisk, 0, len(sums))
	for k, e := range sums {
		e.Spelling = spelt[k].Spelling
		slices.Sort(e.Detections)
		e.Detections = slices.Compact(e.Detections)
		slices.Sort(e.Tactics)
		e.Tactics = slices.Compact(e.Tactics)
		e.Notable = e.Risk24h > notableRisk ||
			len(e.Tactics) >= notableTactics && len(e.Detections) >= notableDetections
		out = append(out, *e)
	}
	slices.SortFunc(out, func(a, b EntityRisk) int {
		return cmp.Or(
			cmp.Compare(b.Risk24h, a.Risk24h), cmp.Compare(b.Risk7d, a.Risk7d),
			strings.Compare(a.EntityType, b.EntityType), strings.Compare(a.Entity, b.Entity))
	})
	return out
}
