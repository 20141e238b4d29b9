package jobs

import (
	"math"

	"outflow/stats/detect"
)

// A stateRow is a detect.Row as the state keeps it: its day is the partition's.
type stateRow struct {
	Feed         string   `parquet:"feed,dict"`
	EntityType   string   `parquet:"entity_type,dict"`
	Entity       string   `parquet:"entity,dict"`
	Object       string   `parquet:"object,dict"`
	Events       int64    `parquet:"events"`
	BytesOut     int64    `parquet:"bytes_out"`
	BytesIn      int64    `parquet:"bytes_in"`
	KnownOut     int64    `parquet:"known_out"`
	KnownIn      int64    `parquet:"known_in"`
	First        int64    `parquet:"first_seen,timestamp(microsecond)"`
	Last         int64    `parquet:"last_seen,timestamp(microsecond)"`
	Hours        int64    `parquet:"hours"`
	PeakOut      int64    `parquet:"peak_out"`
	PeakTime     int64    `parquet:"peak_time,timestamp(microsecond)"`
	Evidence     string   `parquet:"evidence"`
	Addresses    int64    `parquet:"addresses"`
	Names        int64    `parquet:"names"`
	NameBytes    int64    `parquet:"name_bytes"`
	WindowEvents int64    `parquet:"window_events"`
	WindowAt     int64    `parquet:"window_at,timestamp(microsecond)"`
	WindowBytes  int64    `parquet:"window_bytes"`
	BytesAt      int64    `parquet:"bytes_at,timestamp(microsecond)"`
	Odd          int64    `parquet:"odd"`
	MaxEntropy   float64  `parquet:"max_entropy"`
	MaxLength    int64    `parquet:"max_length"`
	Rare         int64    `parquet:"rare"`
	NXDomain     int64    `parquet:"nxdomain"`
	Examples     []string `parquet:"examples,list"`
	Scored       int64    `parquet:"scored"`
	Over         int64    `parquet:"over"`
	OverBytes    int64    `parquet:"over_bytes"`
	OverScore    int64    `parquet:"over_score"`
	MaxScore     int64    `parquet:"max_score"`
	Likely       string   `parquet:"likely"`
	Signs        string   `parquet:"signs"`
	WindowNames  int64    `parquet:"window_names"`
}

func toState(r *detect.Row) stateRow {
	s := &r.Summary
	return stateRow{
		r.Feed, r.EntityType, r.Entity, r.Object,
		s.Events, s.BytesOut, s.BytesIn, s.KnownOut, s.KnownIn, s.First, s.Last, s.Hours, s.PeakOut, s.PeakTime, s.Evidence,
		s.Addresses, s.Names, s.NameBytes, s.WindowEvents, s.WindowAt, s.WindowBytes, s.BytesAt, s.Odd, s.MaxEntropy, s.MaxLength,
		s.Rare, s.NXDomain, s.Examples, s.Scored, s.Over, s.OverBytes, s.OverScore, s.MaxScore, s.Likely, s.Signs, s.WindowNames,
	}
}

func (r *stateRow) row(day detect.Day) detect.Row {
	return detect.Row{
		Day: day,
		Key: detect.Key{Feed: r.Feed, EntityType: r.EntityType, Entity: r.Entity, Object: r.Object},
		Summary: detect.Summary{
			Events: r.Events, BytesOut: r.BytesOut, BytesIn: r.BytesIn, KnownOut: r.KnownOut, KnownIn: r.KnownIn,
			First: r.First, Last: r.Last, Hours: r.Hours, PeakOut: r.PeakOut, PeakTime: r.PeakTime, Evidence: r.Evidence,
			Addresses: r.Addresses, Names: r.Names, NameBytes: r.NameBytes, WindowEvents: r.WindowEvents, WindowAt: r.WindowAt,
			WindowBytes: r.WindowBytes, BytesAt: r.BytesAt, Odd: r.Odd, MaxEntropy: r.MaxEntropy, MaxLength: r.MaxLength,
			Rare: r.Rare, NXDomain: r.NXDomain, Examples: r.Examples, Scored: r.Scored, Over: r.Over, OverBytes: r.OverBytes,
			OverScore: r.OverScore, MaxScore: r.MaxScore, Likely: r.Likely, Signs: r.Signs, WindowNames: r.WindowNames,
		},
	}
}

// A findingRow is a detect.Finding as the state keeps it: what explain prints,
// and what the risk of the days to come needs.
type findingRow struct {
	UID        string   `parquet:"finding_uid"`
	Detection  string   `parquet:"detection,dict"`
	Technique  string   `parquet:"technique,dict"`
	Severity   string   `parquet:"severity,dict"`
	RiskScore  int64    `parquet:"risk_score"`
	Feed       string   `parquet:"feed,dict"`
	EntityType string   `parquet:"entity_type,dict"`
	Entity     string   `parquet:"entity,dict"`
	Object     string   `parquet:"object,dict"`
	Score      float64  `parquet:"score"`
	Threshold  float64  `parquet:"threshold"`
	Observed   float64  `parquet:"observed"`
	Baseline   *float64 `parquet:"baseline,optional"`
	Unit       string   `parquet:"unit,dict"`
	From       int64    `parquet:"window_from,timestamp(microsecond)"`
	To         int64    `parquet:"window_to,timestamp(microsecond)"`
	Events     int64    `parquet:"events"`
	BytesOut   int64    `parquet:"bytes_out"`
	BytesIn    int64    `parquet:"bytes_in"`
	First      int64    `parquet:"first_seen,timestamp(microsecond)"`
	Last       int64    `parquet:"last_seen,timestamp(microsecond)"`
	Why        string   `parquet:"why"`
	Evidence   string   `parquet:"evidence"`
	Examples   []string `parquet:"examples,list"`
	Label      string   `parquet:"label"`
	Allowed    string   `parquet:"allowed"`
	Also       []string `parquet:"also,list"`
}

func toFinding(f *detect.Finding) findingRow {
	r := findingRow{
		UID: f.UID, Detection: f.Detection, Technique: f.Technique, Severity: f.Severity.String(), RiskScore: int64(f.RiskScore),
		Feed: f.Feed, EntityType: f.EntityType, Entity: f.Entity, Object: f.Object,
		Score: f.Score, Threshold: f.Threshold, Observed: f.Observed, Unit: f.Unit, From: f.Window[0], To: f.Window[1],
		Events: f.Summary.Events, BytesOut: f.Summary.BytesOut, BytesIn: f.Summary.BytesIn,
		First: f.Summary.First, Last: f.Summary.Last, Why: f.Why, Evidence: f.Summary.Evidence, Examples: f.Summary.Examples,
		Label: f.Label, Allowed: f.Allowed, Also: f.Also,
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
		Key:   detect.Key{Feed: r.Feed, EntityType: r.EntityType, Entity: r.Entity, Object: r.Object},
		Score: r.Score, Threshold: r.Threshold, Observed: r.Observed, Baseline: math.NaN(), Unit: r.Unit, Window: [2]int64{r.From, r.To},
		Summary: detect.Summary{Events: r.Events, BytesOut: r.BytesOut, BytesIn: r.BytesIn, First: r.First, Last: r.Last,
			Evidence: r.Evidence, Examples: r.Examples},
		Why: r.Why, Label: r.Label, Allowed: r.Allowed, Also: r.Also,
	}
	if r.Baseline != nil {
		f.Baseline = *r.Baseline
	}
	return f
}
