package detect

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// An EntityRisk is the risk of one person, host or address over its findings, without
// allowed ones.
type EntityRisk struct {
	EntityType  string
	Entity      string
	Spelling    string   // as in Summary; from the earliest finding
	Risk24h     int      // 0–100, over the last day
	Risk7d      int      // 0–100, over the last seven days
	Criticality string   // of the entity, as the configuration has it; "" for medium
	Findings    int      // of the seven days
	Worst       Severity // of the last day; Info if it has no finding
	Tactics     []string // ATT&CK tactic ids, of the seven days
	Detections  []string // of the seven days
	// Notable entities deserve a look as a whole: Risk24h ≥ 60, a critical finding on
	// the last day, or ≥ 3 tactics and ≥ 4 detections in seven days.
	Notable bool
	// Nights is for how many judged days in a row the entity has had findings, up to the last
	// day, and Since the first of them; zero if it has none on the last day. See Streaks.
	Nights int
	Since  Day
}

// Who returns the entity as the log spells it.
func (e *EntityRisk) Who() string { return cmp.Or(e.Spelling, e.Entity) }

// The limits for notable entities. Risk 60 is that of a finding of high severity, or of
// two of 50 or three of 45, which are of medium severity. A lower limit makes
// notable what is a medium finding and nothing else; a higher one leaves out high ones.
const (
	notableRisk       = 60
	notableTactics    = 3
	notableDetections = 4
)

// criticalities are the factors of the odds of an entity's risk.
var criticalities = map[string]float64{"low": .5, "medium": 1, "high": 1.5, "extreme": 2}

// CheckCriticality reports whether a word is a criticality.
func CheckCriticality(word string) error {
	if criticalities[word] == 0 {
		return fmt.Errorf("criticality %q: want low, medium, high or extreme", word)
	}
	return nil
}

// combined returns the risk, 0–100 and rounded down, of an entity with findings of these
// risks: 100·(1 − ∏(1 − rᵢ/100)^(1/i^1.5)) over the descending risks. So it is at least
// the highest of them. The second counts a third of what the first does, and the tenth a
// thirtieth, as in Elastic's entity risk engine: many weak findings are not as grave as
// a strong one. The criticality multiplies the odds.
//
// Note: Elastic's own formula, Σ rᵢ/i^1.5 ÷ 2.5924, gives at most 38 to an entity with
// one finding. It expects a finding of each detection. Here, what several detections say
// of one act is one finding, and a theft that all of them see was not notable.
func combined(risks []int, criticality string) int {
	slices.SortFunc(risks, func(a, b int) int { return b - a })
	left := 1.0
	for i, r := range risks {
		left *= math.Pow(1-float64(r)/100, math.Pow(float64(i+1), -1.5))
	}
	p := 1 - left
	if factor := criticalities[criticality]; factor > 0 {
		p = p * factor / (1 - p + p*factor)
	}
	return int(100*p + 1e-9) // a whole number must not become the one below it
}

// Streaks sets Nights and Since of entities, from the findings of days that were judged. Days
// that were not judged, which have no logs, do not end a streak. judged ascends; its last day
// is the last one.
func Streaks(entities []EntityRisk, findings []Finding, judged []Day) {
	type night struct {
		kind, entity string
		day          Day
	}
	found := map[night]bool{}
	for i := range findings {
		if f := &findings[i]; f.Allowed == "" {
			kind, name := f.Subject()
			found[night{kind, name, f.Day}] = true
		}
	}
	for i := range entities {
		e := &entities[i]
		e.Nights, e.Since = 0, 0
		for _, day := range slices.Backward(judged) {
			if !found[night{e.EntityType, e.Entity, day}] {
				break
			}
			e.Nights, e.Since = e.Nights+1, day
		}
	}
}

// Risk returns the risk of each entity with findings, over the day last and over the
// seven days that end with it. The highest risk comes first. criticality returns the
// word for an entity, "" for medium; nil means medium for all. Findings of two feeds about the
// same entity, object and day count once, with the higher risk: they may be about the same
// bytes.
func Risk(findings []Finding, last Day, criticality func(entity string) string) []EntityRisk {
	type entity struct{ kind, name string }
	type fact struct {
		entity
		day    Day
		by     string // the verdict, else the detection
		object string
		window int64
	}
	facts := map[fact]*Finding{}
	for i := range findings {
		f := &findings[i]
		if f.Allowed != "" || f.Day > last || f.Day <= last-7 {
			continue
		}
		kind, name := f.Subject()
		k := fact{entity{kind, name}, f.Day, cmp.Or(f.Verdict, f.Detection), f.Object, f.Window[0]}
		if perPerson(f.Verdict) {
			k.object, k.window = "", 0 // there is one a day
		}
		if old := facts[k]; old == nil || worstFirst(f, old) < 0 {
			facts[k] = f
		}
	}
	of := map[entity]*EntityRisk{}
	day, week := map[entity][]int{}, map[entity][]int{}
	spelt := map[entity]Summary{}
	for k, f := range facts {
		e := of[k.entity]
		if e == nil {
			e = &EntityRisk{EntityType: k.kind, Entity: k.name}
			of[k.entity] = e
		}
		if f.Person == "" { // else the spelling is that of an alias
			spelt[k.entity] = spelt[k.entity].Merge(Summary{First: f.Summary.First, Spelling: f.Summary.Spelling})
		}
		e.Findings++
		week[k.entity] = append(week[k.entity], f.RiskScore)
		if k.day == last {
			day[k.entity] = append(day[k.entity], f.RiskScore)
			e.Worst = max(e.Worst, f.Severity)
		}
		e.Tactics = append(e.Tactics, tacticsOf(f.Technique)...)
		e.Detections = append(append(e.Detections, f.Detection), f.Also...)
	}
	out := make([]EntityRisk, 0, len(of))
	for k, e := range of {
		if criticality != nil {
			e.Criticality = criticality(e.Entity)
		}
		e.Risk24h, e.Risk7d = combined(day[k], e.Criticality), combined(week[k], e.Criticality)
		e.Spelling = spelt[k].Spelling
		slices.Sort(e.Detections)
		e.Detections = slices.Compact(e.Detections)
		slices.Sort(e.Tactics)
		e.Tactics = slices.Compact(e.Tactics)
		e.Notable = e.Risk24h >= notableRisk || e.Worst == Critical ||
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
