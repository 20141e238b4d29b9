package jobs

import (
	"math"

	"outflow/stats/detect"
)

// A findingRow is a detect.Finding as the state stores it: what explain prints, and
// what the risk of later days needs.
type findingRow struct {
	UID       string `parquet:"finding_uid"`
	Detection string `parquet:"detection,dict"`
	Technique string `parquet:"technique,dict"`
	Severity  string `parquet:"severity,dict"`
	RiskScore int64  `parquet:"risk_score"`
	detect.Key
	Score     float64  `parquet:"score"`
	Threshold float64  `parquet:"threshold"`
	Observed  float64  `parquet:"observed"`
	Baseline  *float64 `parquet:"baseline,optional"`
	Unit      string   `parquet:"unit,dict"`
	From      int64    `parquet:"window_from,timestamp(microsecond)"`
	To        int64    `parquet:"window_to,timestamp(microsecond)"`
	detect.Summary
	Why      string   `parquet:"why"`
	Label    string   `parquet:"label"`
	Allowed  string   `parquet:"allowed"`
	Also     []string `parquet:"also,list"`
	Person   string   `parquet:"person"`
	PersonBy string   `parquet:"person_by"`
	Verdict  string   `parquet:"verdict,dict"`
	// The parts of a joined finding, one after another: detections and the fields of
	// their keys.
	PartDetections  []string `parquet:"part_detections,list"`
	PartFeeds       []string `parquet:"part_feeds,list"`
	PartEntityTypes []string `parquet:"part_entity_types,list"`
	PartEntities    []string `parquet:"part_entities,list"`
	PartObjects     []string `parquet:"part_objects,list"`
	// What only the page and the terminal show.
	DoneFrom    int64  `parquet:"done_from,timestamp(microsecond)"`
	DoneTo      int64  `parquet:"done_to,timestamp(microsecond)"`
	ObjectBytes int64  `parquet:"object_bytes"`
	Mostly      string `parquet:"mostly"`
	Title       string `parquet:"title"`
}

// findingsRev is the revision of findingRow.
//
//	4  has when it was done, the bytes of its object, the destination of most bytes and the title; older
//	   rows are told without
//	3  has the person, the verdict and the parts; older rows stay with their entities, and only the
//	   strongest part keeps its day out of the baselines
//	2  has all measures of its Summary
//	1  had those that explain printed; others are zero
const findingsRev = 4

func toFinding(f *detect.Finding) findingRow {
	r := findingRow{
		UID: f.UID, Detection: f.Detection, Technique: f.Technique, Severity: f.Severity.String(), RiskScore: int64(f.RiskScore),
		Key: f.Key, Score: f.Score, Threshold: f.Threshold, Observed: f.Observed, Unit: f.Unit, From: f.Window[0], To: f.Window[1],
		Summary: f.Summary, Why: f.Why, Label: f.Label, Allowed: f.Allowed, Also: f.Also, Verdict: f.Verdict,
		Person: f.Person, PersonBy: f.PersonBy, DoneFrom: f.Done[0], DoneTo: f.Done[1], ObjectBytes: f.ObjectBytes, Mostly: f.Mostly, Title: f.Title,
	}
	for _, p := range f.Parts {
		r.PartDetections = append(r.PartDetections, p.Detection)
		r.PartFeeds = append(r.PartFeeds, p.Feed)
		r.PartEntityTypes = append(r.PartEntityTypes, p.EntityType)
		r.PartEntities = append(r.PartEntities, p.Entity)
		r.PartObjects = append(r.PartObjects, p.Object)
	}
	if !math.IsNaN(f.Baseline) {
		r.Baseline = &f.Baseline
	}
	return r
}

func (r *findingRow) finding(day detect.Day) detect.Finding {
	severity, err := detect.ParseSeverity(r.Severity)
	if err != nil {
		severity = detect.Info
	}
	f := detect.Finding{
		UID: r.UID, Day: day, Detection: r.Detection, Technique: r.Technique, Severity: severity, RiskScore: int(r.RiskScore),
		Key: r.Key, Score: r.Score, Threshold: r.Threshold, Observed: r.Observed, Baseline: math.NaN(), Unit: r.Unit, Window: [2]int64{r.From, r.To},
		Summary: r.Summary, Why: r.Why, Label: r.Label, Allowed: r.Allowed, Also: r.Also, Verdict: r.Verdict,
		Person: r.Person, PersonBy: r.PersonBy, Done: [2]int64{r.DoneFrom, r.DoneTo}, ObjectBytes: r.ObjectBytes, Mostly: r.Mostly, Title: r.Title,
	}
	// The lists are as long as each other, unless somebody else wrote the state.
	n := min(len(r.PartDetections), len(r.PartFeeds), len(r.PartEntityTypes), len(r.PartEntities), len(r.PartObjects))
	for i := range n {
		f.Parts = append(f.Parts, detect.Part{Detection: r.PartDetections[i],
			Key: detect.Key{Feed: r.PartFeeds[i], EntityType: r.PartEntityTypes[i], Entity: r.PartEntities[i], Object: r.PartObjects[i]}})
	}
	if r.Baseline != nil {
		f.Baseline = *r.Baseline
	}
	return f
}
