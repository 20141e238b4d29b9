package detect

import (
	"cmp"
	"slices"
	"strings"
)

// An EntityRisk is the risk of one user, host or address: the sum over its findings,
// without allowed ones.
type EntityRisk struct {
	EntityType string
	Entity     string
	Spelling   string   // as in Summary; from the earliest finding
	Risk24h    int      // over the last day
	Risk7d     int      // over the last seven days
	Findings   int      // of the seven days
	Tactics    []string // ATT&CK tactic ids
	Detections []string
	Notable    bool // Risk24h > 100, or ≥ 3 tactics and ≥ 4 detections in 7 days
}

// Who returns the entity as the log spells it.
func (e *EntityRisk) Who() string { return cmp.Or(e.Spelling, e.Entity) }

// The limits for notable entities. One detection alone, however sure, stays below 100;
// two rather sure ones, or three less sure ones, exceed it.
const (
	notableRisk       = 100
	notableTactics    = 3
	notableDetections = 4
)

// Risk sums findings by entity, over the day last and over the seven days that end
// with it. The highest risk comes first. What two feeds saw of the same entity, object
// and day counts once, with the higher risk, because it may be the same bytes.
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
		kind, name := f.Subject()
		k := fact{entity{kind, name}, f.Day, f.Detection, f.Object, f.Window[0]}
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
		if f.Person == "" { // else the spelling is that of an alias
			spelt[k.entity] = spelt[k.entity].Merge(Summary{First: f.Summary.First, Spelling: f.Summary.Spelling})
		}
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
