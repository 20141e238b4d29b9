package reports

import (
	"io"
	"iter"

	"outflow/stats/detect"
)

// Splunk writes findings as an HTTP Event Collector takes them: its body is one file, or
// some of its lines. The second file has what Enterprise Security adds up to a person's
// or machine's risk.
var Splunk = &Format{
	Name:  "splunk",
	Title: "findings and risk events for Splunk",
	Files: []File{
		{"splunk_findings.jsonl", "a line per finding, worst first: a HEC event of sourcetype outflow:finding with the columns of findings.csv", func(w io.Writer, r *Report) error {
			return writeLines(w, findingLines(r, newSplunkFinding))
		}},
		{"splunk_risk.jsonl", "a line per risk object of a finding that is not allowed: a HEC event of sourcetype outflow:risk for risk-based alerting", func(w io.Writer, r *Report) error {
			return writeLines(w, splunkRisks(r))
		}},
	},
}

// A hecEvent is what a HEC takes. Time is seconds since 1970: the end of what the run
// judged.
type hecEvent struct {
	Time       float64           `json:"time"`
	Source     string            `json:"source"`
	SourceType string            `json:"sourcetype"`
	Event      any               `json:"event"`
	Fields     map[string]string `json:"fields,omitempty"` // indexed
}

// newSplunkFinding returns the event of a finding. The texts that searches group by are
// indexed fields.
func newSplunkFinding(r *Report, f *detect.Finding) hecEvent {
	v := NewRecord(f)
	return hecEvent{
		Time: seconds(r.At), Source: "outflow", SourceType: "outflow:finding", Event: v,
		Fields: map[string]string{"finding_uid": v.UID, "detection": v.Detection, "severity": v.Severity},
	}
}

// A splunkRisk is a risk event. The names are those of Splunk's risk data model.
type splunkRisk struct {
	Search           string `json:"search_name"`
	RiskObject       string `json:"risk_object"`
	RiskObjectType   string `json:"risk_object_type"` // user, system or other
	RiskScore        int    `json:"risk_score"`
	RiskMessage      string `json:"risk_message"`
	ThreatObject     string `json:"threat_object,omitempty"`
	ThreatObjectType string `json:"threat_object_type,omitempty"` // ip or domain
	Attack           string `json:"annotations.mitre_attack,omitempty"`
	UID              string `json:"finding_uid"`
	Severity         string `json:"severity"`
	Feed             string `json:"feed"`
}

var riskObjectTypes = map[string]string{"user": "user", "src_ip": "system", "host": "system"}

// splunkRisks yields the risk events: of each finding one about its entity, and one about
// the person whose that probably is.
func splunkRisks(r *Report) iter.Seq[hecEvent] {
	return func(yield func(hecEvent) bool) {
		for _, f := range openFindings(r) {
			risk := splunkRisk{
				Search: r.heading(f), RiskObject: visible(f.Who()), RiskObjectType: riskObjectTypes[f.EntityType], RiskScore: f.RiskScore,
				RiskMessage: visible(f.Why), Attack: visible(f.Technique), UID: visible(f.UID), Severity: f.Severity.String(), Feed: visible(f.Feed),
			}
			if risk.RiskObjectType == "" {
				risk.RiskObjectType = "other"
			}
			if to := destination(f); to != "" {
				risk.ThreatObject, risk.ThreatObjectType = visible(to), "domain"
				if ip, ok := address(to); ok {
					risk.ThreatObject, risk.ThreatObjectType = ip, "ip"
				}
			}
			if !yield(splunkRiskEvent(r, risk)) {
				return
			}
			if f.Person == "" {
				continue
			}
			risk.RiskObject, risk.RiskObjectType = visible(f.Person), "user"
			if !yield(splunkRiskEvent(r, risk)) {
				return
			}
		}
	}
}

func splunkRiskEvent(r *Report, risk splunkRisk) hecEvent {
	return hecEvent{Time: seconds(r.At), Source: "outflow", SourceType: "outflow:risk", Event: risk}
}
