package reports

import (
	"io"
	"strings"

	"outflow/stats/detect"
)

// OCSF writes findings for data lakes and SIEMs that speak the Open Cybersecurity Schema
// Framework: class Detection Finding (2004). The version is the lowest that has all
// attributes used here; a consumer of a later one understands it.
var OCSF = &Format{
	Name:  "ocsf",
	Title: "findings as OCSF Detection Findings",
	Files: []File{
		{"findings.jsonl", "a line per finding, worst first: an OCSF " + ocsfVersion + " Detection Finding (class 2004)", func(w io.Writer, r *Report) error {
			return writeLines(w, findingLines(r, newDetectionFinding))
		}},
	},
}

const ocsfVersion = "1.5.0"

// Ids of the schema's enumerations.
const (
	ocsfCreate     = 1 // activity_id
	ocsfNew        = 1 // status_id
	ocsfSuppressed = 3
	ocsfRule       = 1 // analytic.type_id
	ocsfStatistics = 3
	ocsfLearning   = 4
	ocsfUnknown    = 0 // device.type_id
)

var ocsfSeverities = map[detect.Severity]int{detect.Info: 1, detect.Low: 2, detect.Medium: 3, detect.High: 4, detect.Critical: 5}

// The types of this file hold the attributes of the schema's objects, under the schema's
// names. Times are ms UTC.

type detectionFinding struct {
	ActivityID   int          `json:"activity_id"`
	ActivityName string       `json:"activity_name"`
	CategoryUID  int          `json:"category_uid"`
	CategoryName string       `json:"category_name"`
	ClassUID     int          `json:"class_uid"`
	ClassName    string       `json:"class_name"`
	TypeUID      int          `json:"type_uid"`
	TypeName     string       `json:"type_name"`
	Time         int64        `json:"time"`
	SeverityID   int          `json:"severity_id"`
	Severity     string       `json:"severity"`
	StatusID     int          `json:"status_id"`
	Status       string       `json:"status"`
	StatusDetail string       `json:"status_detail,omitempty"`
	IsAlert      bool         `json:"is_alert"`
	Confidence   int          `json:"confidence_score,omitempty"`
	Impact       int          `json:"impact_score,omitempty"`
	RiskScore    int          `json:"risk_score"`
	Message      string       `json:"message"`
	StartTime    int64        `json:"start_time"`
	EndTime      int64        `json:"end_time"`
	Count        int64        `json:"count,omitempty"`
	Metadata     ocsfMetadata `json:"metadata"`
	FindingInfo  findingInfo  `json:"finding_info"`
	Evidences    []evidences  `json:"evidences"`
	Anomalies    []analysis   `json:"anomaly_analyses,omitempty"`
	Observables  []observable `json:"observables,omitempty"`
	// Unmapped has the finding with the columns of findings.csv.
	Unmapped Record `json:"unmapped"`
}

type ocsfMetadata struct {
	Version string      `json:"version"`
	Product ocsfProduct `json:"product"`
	LogName string      `json:"log_name"`
}

type ocsfProduct struct {
	Name    string `json:"name"`
	Vendor  string `json:"vendor_name"`
	Version string `json:"version,omitempty"`
}

type findingInfo struct {
	UID     string       `json:"uid"`
	Title   string       `json:"title"`
	Desc    string       `json:"desc"`
	Created int64        `json:"created_time"`
	First   int64        `json:"first_seen_time,omitempty"`
	Last    int64        `json:"last_seen_time,omitempty"`
	Sources []string     `json:"data_sources"`
	By      analytic     `json:"analytic"`
	Also    []analytic   `json:"related_analytics,omitempty"`
	Attacks []ocsfAttack `json:"attacks,omitempty"`
}

type analytic struct {
	UID    string `json:"uid"`
	Name   string `json:"name,omitempty"`
	TypeID int    `json:"type_id"`
	Type   string `json:"type"`
}

type ocsfAttack struct {
	Version      string `json:"version"`
	Tactic       *named `json:"tactic,omitempty"`
	Technique    *named `json:"technique,omitempty"`
	SubTechnique *named `json:"sub_technique,omitempty"`
}

// A named object has a uid, a name, or both.
type named struct {
	UID  string `json:"uid,omitempty"`
	Name string `json:"name,omitempty"`
}

type evidences struct {
	UID       string       `json:"uid,omitempty"`
	User      *named       `json:"user,omitempty"`
	Src       *endpoint    `json:"src_endpoint,omitempty"`
	Dst       *endpoint    `json:"dst_endpoint,omitempty"`
	Device    *ocsfDevice  `json:"device,omitempty"`
	Process   *ocsfProcess `json:"process,omitempty"`
	Query     *ocsfQuery   `json:"query,omitempty"`
	Resources []named      `json:"resources,omitempty"`
	Data      any          `json:"data,omitempty"`
}

type endpoint struct {
	IP       string `json:"ip,omitempty"`
	Hostname string `json:"hostname,omitempty"`
	Port     int64  `json:"port,omitempty"`
}

type ocsfDevice struct {
	Hostname string `json:"hostname"`
	TypeID   int    `json:"type_id"`
}

type ocsfProcess struct {
	PID int64 `json:"pid"`
}

type ocsfQuery struct {
	Hostname string `json:"hostname"`
}

// measured and logged are the data of evidences: what was counted, and one record of a
// log.
type measured struct {
	Events    int64 `json:"events"`
	BytesOut  int64 `json:"bytes_out"`
	BytesIn   int64 `json:"bytes_in"`
	Names     int64 `json:"names,omitempty"`
	NameBytes int64 `json:"name_bytes,omitempty"`
}

type logged struct {
	Record string  `json:"record,omitempty"` // "object:record"
	Time   instant `json:"time,omitzero"`
	Bytes  int64   `json:"bytes,omitempty"`
	Parent string  `json:"parent_path,omitempty"`
	Text   string  `json:"text,omitempty"` // a command line, or where a rule matched
}

type analysis struct {
	Targets   []target  `json:"analysis_targets"`
	Anomalies []measure `json:"anomalies"`
	Baselines []measure `json:"baselines,omitempty"`
}

type target struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type measure struct {
	Parameter    string        `json:"observation_parameter"`
	Observations []observation `json:"observations"`
}

type observation struct {
	Value string `json:"value"`
	Count int    `json:"count,omitempty"`
}

type observable struct {
	Name   string `json:"name"`
	TypeID int    `json:"type_id"`
	Type   string `json:"type"`
	Value  string `json:"value"`
}

func newDetectionFinding(r *Report, f *detect.Finding) *detectionFinding {
	v := &detectionFinding{
		ActivityID: ocsfCreate, ActivityName: "Create", CategoryUID: 2, CategoryName: "Findings",
		ClassUID: 2004, ClassName: "Detection Finding", TypeUID: 200400 + ocsfCreate, TypeName: "Detection Finding: Create",
		Time:       r.At.UnixMilli(),
		SeverityID: ocsfSeverities[f.Severity], Severity: ocsfSeverity(f.Severity),
		StatusID: ocsfNew, Status: "New", IsAlert: f.Severity > detect.Info,
		RiskScore: f.RiskScore, Message: visible(f.Why),
		StartTime: instant(f.Window[0]).milli(), EndTime: instant(f.Window[1] - 1).milli(), Count: f.Summary.Events,
		Metadata: ocsfMetadata{ocsfVersion, ocsfProduct{"outflow", "outflow", r.Version}, "findings"},
		Unmapped: NewRecord(f),
	}
	if f.Allowed != "" {
		v.StatusID, v.Status, v.StatusDetail, v.IsAlert = ocsfSuppressed, "Suppressed", visible(f.Allowed), false
	}
	if d := r.detection(f.Detection); d != nil {
		v.Confidence, v.Impact = d.Confidence, d.Impact
	}
	v.FindingInfo = findingInfo{
		UID: visible(f.UID), Title: r.heading(f), Desc: visible(f.Why), Created: v.Time,
		Sources: []string{visible(f.Feed)}, By: r.analytic(f.Detection),
		Attacks: ocsfAttacks(visible(f.Technique)),
	}
	if isRule(f) {
		v.FindingInfo.By.UID, v.FindingInfo.By.Name = r.heading(f), "Sigma rule"
	}
	if f.Summary.First != 0 {
		v.FindingInfo.First, v.FindingInfo.Last = instant(f.Summary.First).milli(), instant(f.Summary.Last).milli()
	}
	for _, name := range f.Also {
		v.FindingInfo.Also = append(v.FindingInfo.Also, r.analytic(name))
	}
	v.evidence(f)
	if f.Unit != "" && !isRule(f) {
		unit := visible(f.Unit)
		a := analysis{
			Targets:   []target{{visible(f.Who()), entityType(f.EntityType)}},
			Anomalies: []measure{{unit, []observation{{Value: string(appendFloat(nil, f.Observed))}}}},
		}
		if f.Baseline == f.Baseline {
			days := 0
			for _, p := range f.Timeline {
				if p.Trained {
					days++
				}
			}
			a.Baselines = []measure{{unit, []observation{{string(appendFloat(nil, f.Baseline)), days}}}}
		}
		v.Anomalies = []analysis{a}
	}
	return v
}

// evidence sets who, where and the records of the log, and lists the names in it.
func (v *detectionFinding) evidence(f *detect.Finding) {
	see := func(name string, id int, kind, value string) {
		v.Observables = append(v.Observables, observable{name, id, kind, value})
	}
	e := evidences{Data: measured{f.Summary.Events, f.Summary.BytesOut, f.Summary.BytesIn, f.Summary.Names, f.Summary.NameBytes}}
	who := visible(f.Who())
	switch ip, ok := address(f.Entity); {
	case f.EntityType == "user":
		e.User = &named{Name: who}
		see("evidences[].user.name", 4, "User Name", who)
	case f.EntityType == "src_ip" && ok:
		e.Src = &endpoint{IP: ip}
		see("evidences[].src_endpoint.ip", 2, "IP Address", ip)
	case f.EntityType == "src_ip", f.EntityType == "host":
		e.Src = &endpoint{Hostname: who}
		see("evidences[].src_endpoint.hostname", 1, "Hostname", who)
	}
	if f.Person != "" {
		person := visible(f.Person)
		e.User = &named{Name: person}
		see("evidences[].user.name", 4, "User Name", person)
	}
	if to := destination(f); to != "" {
		port := max(f.Summary.Port, 0)
		if ip, ok := address(to); ok {
			e.Dst = &endpoint{IP: ip, Port: port}
			see("evidences[].dst_endpoint.ip", 2, "IP Address", ip)
		} else {
			to = visible(to)
			e.Dst = &endpoint{Hostname: to, Port: port}
			see("evidences[].dst_endpoint.hostname", 1, "Hostname", to)
		}
	} else if f.Object != "" {
		e.Resources = []named{{Name: visible(f.Object)}}
	}
	v.Evidences = []evidences{e}
	for _, p := range f.Summary.Records() {
		e := evidences{UID: visible(p.At), Data: logged{visible(p.At), instant(p.Time), p.Bytes, visible(p.Parent), ""}}
		if p.Host != "" {
			e.Device = &ocsfDevice{visible(p.Host), ocsfUnknown}
		}
		if p.PID != 0 {
			e.Process = &ocsfProcess{p.PID}
		}
		v.Evidences = append(v.Evidences, e)
	}
	for _, example := range f.Summary.Examples {
		e := evidences{}
		if f.Summary.Names > 0 && !isRule(f) {
			e.Query = &ocsfQuery{visible(example)}
		} else {
			e.Data = logged{Text: visible(example)}
		}
		v.Evidences = append(v.Evidences, e)
	}
}

// ocsfSeverity returns the schema's word for a severity.
func ocsfSeverity(s detect.Severity) string {
	if s == detect.Info {
		return "Informational"
	}
	return strings.ToUpper(s.String()[:1]) + s.String()[1:]
}

// analytic describes a detection.
func (r *Report) analytic(name string) analytic {
	a := analytic{UID: visible(name), TypeID: ocsfStatistics, Type: "Statistical"}
	d := r.detection(name)
	if d != nil {
		a.Name = d.Title
	}
	switch {
	case name == "sigma_rule":
		a.TypeID, a.Type = ocsfRule, "Rule"
	case d != nil && d.Card != "":
		a.TypeID, a.Type = ocsfLearning, "Learning (ML/DL)"
	}
	return a
}

func ocsfAttacks(technique string) []ocsfAttack {
	if technique == "" {
		return nil
	}
	t := detect.TechniqueOf(technique)
	a := ocsfAttack{Version: detect.AttackVersion}
	if t.Tactic != "" {
		a.Tactic = &named{t.Tactic, detect.TacticName(t.Tactic)}
	}
	a.Technique = &named{t.ID, t.Name}
	if parent, ok := t.Parent(); ok {
		a.Technique, a.SubTechnique = &named{parent.ID, parent.Name}, a.Technique
	}
	return []ocsfAttack{a}
}
