package detect

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"iter"
	"slices"
	"strings"
)

// Judge runs a detection on a day and completes its findings. It sets Detection,
// Verdict, Done, ObjectBytes and UID, and unless they are set also Day, Technique, RiskScore and Severity;
// the risk is at least that of a severity that was set. Findings that Join would join
// have the same UID. Findings come sorted by day, key and window, each key and UID once:
// of two, the one with the higher risk, then the higher score. A nil function in in
// reports false or returns nothing.
func Judge(d *Detection, in *Input) []Finding {
	findings := d.Score(in.whole())
	for i := range findings {
		f := &findings[i]
		f.Detection, f.Verdict = d.Name, d.Verdict
		f.Done = f.done()
		if f.Object != "" {
			f.ObjectBytes = f.Bytes()
		}
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
		} else {
			f.RiskScore = max(f.RiskScore, leastRisk[f.Severity])
		}
		switch {
		case perPerson(d.Verdict):
			f.identify()
		case d.Verdict != "":
			f.UID = uid(d.Verdict, f.Key, in.window()[0])
		default:
			f.UID = uid(d.Name, f.Key, f.Window[0])
		}
	}
	slices.SortFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Day, b.Day), a.Key.Compare(b.Key),
			cmp.Compare(a.Window[0], b.Window[0]),
			cmp.Compare(b.RiskScore, a.RiskScore), cmp.Compare(b.Score, a.Score), strings.Compare(a.Why, b.Why))
	})
	return slices.CompactFunc(findings, func(a, b Finding) bool { return a.UID == b.UID && a.Key == b.Key })
}

// whole returns a copy of in with every function set.
func (in *Input) whole() *Input {
	out := *in
	if out.Over == nil {
		out.Over = func(p Pass) iter.Seq2[Key, []Row] {
			return func(yield func(Key, []Row) bool) {
				for key, rows := range in.Series {
					if rows[0].Day <= in.Day && (p.Keys == nil || p.Keys(key)) && !yield(key, rows) {
						return
					}
				}
			}
		}
	}
	if out.Covered == nil {
		out.Covered = func(string) []Day { return nil }
	}
	if out.Flagged == nil {
		out.Flagged = func(Key, Day) bool { return false }
	}
	if out.Own == nil {
		out.Own = func(string) bool { return false }
	}
	if out.Group == nil {
		out.Group = func(k Key) string { return GroupOf(k.EntityType, k.Entity) }
	}
	return &out
}

// leastRisk is the lowest risk of each severity.
var leastRisk = [...]int{Info: 0, Low: 15, Medium: 40, High: 60, Critical: 80}

// severityOf maps risk scores to severities. A detection that is right more often than
// not and matters gives Medium; High needs more of both. One detection alone never
// gives Critical, unless it sets the severity itself.
func severityOf(risk int) Severity {
	for s := High; s > Info; s-- {
		if risk >= leastRisk[s] {
			return s
		}
	}
	return Info
}

// uid hashes what a finding is about, not what was measured: who reports it, the key,
// and the start of the window. So a run that knows more about the same window updates
// the finding. Each text is preceded by its length, so that no two findings encode
// alike.
func uid(by string, k Key, from int64) string {
	h := sha256.New()
	var n [8]byte
	number := func(v uint64) {
		binary.BigEndian.PutUint64(n[:], v)
		h.Write(n[:])
	}
	for _, s := range [...]string{by, k.Feed, k.EntityType, k.Entity, k.Object} {
		number(uint64(len(s)))
		h.Write([]byte(s))
	}
	number(uint64(from))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Seeded sets detections to the original rules that they come from, and leaves out
// those that have none.
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
