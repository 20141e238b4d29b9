package reports

import (
	"cmp"
	"io"

	"outflow/stats/detect"
)

// ECS writes findings for Elastic and OpenSearch, in the fields of the Elastic Common
// Schema.
var ECS = &Format{
	Name:  "ecs",
	Title: "findings in the Elastic Common Schema",
	Files: []File{
		{"ecs.jsonl", "a line per finding, worst first: a document of the Elastic Common Schema " + ecsVersion + ", with the columns of findings.csv under outflow", func(w io.Writer, r *Report) error {
			return writeLines(w, findingLines(r, newECSDocument))
		}},
	},
}

const ecsVersion = "9.0.0"

// ecsSeverities are those of Elastic's own rules; they have none for what is only
// context.
var ecsSeverities = map[detect.Severity]int{detect.Info: 0, detect.Low: 21, detect.Medium: 47, detect.High: 73, detect.Critical: 99}

// The types of this file have the schema's field sets. Texts are visible.

type ecsDocument struct {
	Timestamp   instant      `json:"@timestamp"` // the end of what was judged
	ECS         ecsOf        `json:"ecs"`
	Message     string       `json:"message"`
	Tags        []string     `json:"tags,omitempty"`
	Event       ecsEvent     `json:"event"`
	Rule        ecsRule      `json:"rule"`
	Threat      *ecsThreat   `json:"threat,omitempty"`
	User        *ecsName     `json:"user,omitempty"`
	Host        *ecsName     `json:"host,omitempty"`
	Source      ecsEndpoint  `json:"source"`
	Destination *ecsEndpoint `json:"destination,omitempty"`
	DNS         *ecsDNS      `json:"dns,omitempty"`
	Process     *ecsProcess  `json:"process,omitempty"`
	Related     ecsRelated   `json:"related"`
	Outflow     Record       `json:"outflow"`
}

type ecsOf struct {
	Version string `json:"version"`
}

type ecsEvent struct {
	Kind      string   `json:"kind"`
	Category  []string `json:"category"`
	Type      []string `json:"type"`
	ID        string   `json:"id"`
	Dataset   string   `json:"dataset"`
	Module    string   `json:"module"`
	Severity  int      `json:"severity"`
	RiskScore int      `json:"risk_score"`
	Reason    string   `json:"reason"`
	Start     instant  `json:"start,omitzero"`
	End       instant  `json:"end,omitzero"`
}

type ecsRule struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Category string `json:"category"`
}

type ecsThreat struct {
	Framework string       `json:"framework"`
	Tactic    ecsIDs       `json:"tactic,omitzero"`
	Technique ecsTechnique `json:"technique"`
}

type ecsIDs struct {
	ID   []string `json:"id,omitempty"`
	Name []string `json:"name,omitempty"`
}

type ecsTechnique struct {
	ecsIDs
	Sub *ecsIDs `json:"subtechnique,omitempty"`
}

type ecsName struct {
	Name string `json:"name"`
}

type ecsEndpoint struct {
	IP      string `json:"ip,omitempty"`
	Domain  string `json:"domain,omitempty"`
	Address string `json:"address,omitempty"`
	Port    int64  `json:"port,omitempty"`
	Bytes   int64  `json:"bytes"`
}

type ecsDNS struct {
	Question ecsQuestion `json:"question"`
}

type ecsQuestion struct {
	Registered string `json:"registered_domain"`
}

type ecsProcess struct {
	PID    int64     `json:"pid,omitempty"`
	Parent *ecsImage `json:"parent,omitempty"`
}

type ecsImage struct {
	Executable string `json:"executable"`
}

type ecsRelated struct {
	User  []string `json:"user,omitempty"`
	IP    []string `json:"ip,omitempty"`
	Hosts []string `json:"hosts,omitempty"`
}

func newECSDocument(r *Report, f *detect.Finding) *ecsDocument {
	v := &ecsDocument{
		Timestamp: instant(r.At.UnixMicro()), ECS: ecsOf{ecsVersion}, Message: visible(f.Why),
		Event: ecsEvent{
			Kind: "alert", Category: []string{"network"}, Type: []string{"info"}, ID: visible(f.UID), Dataset: "outflow.finding", Module: "outflow",
			Severity: ecsSeverities[f.Severity], RiskScore: f.RiskScore, Reason: visible(f.Why),
			Start: instant(f.Summary.First), End: instant(f.Summary.Last),
		},
		Rule:    ecsRule{visible(f.Detection), r.heading(f), cmp.Or(visible(f.Verdict), "outflow")},
		Source:  ecsEndpoint{Bytes: f.Summary.BytesOut},
		Outflow: NewRecord(f),
	}
	if f.Allowed != "" {
		v.Event.Kind, v.Tags = "event", []string{"allowed"}
	}
	if t := detect.TechniqueOf(visible(f.Technique)); t.ID != "" {
		v.Threat = newECSThreat(t)
	}
	who := visible(f.Who())
	switch ip, ok := address(f.Entity); {
	case f.EntityType == "user":
		v.User, v.Related.User = &ecsName{who}, []string{who}
	case f.EntityType == "src_ip" && ok:
		v.Source.IP, v.Source.Address, v.Related.IP = ip, ip, []string{ip}
	case f.EntityType == "src_ip", f.EntityType == "host":
		v.Source.Domain, v.Source.Address, v.Related.Hosts = who, who, []string{who}
	}
	if f.Person != "" {
		person := visible(f.Person)
		v.User = &ecsName{person}
		v.Related.User = append(v.Related.User, person)
	}
	if to := destination(f); to != "" {
		v.Destination = &ecsEndpoint{Address: visible(to), Port: max(f.Summary.Port, 0), Bytes: f.Summary.BytesIn}
		if ip, ok := address(to); ok {
			v.Destination.IP = ip
			v.Related.IP = append(v.Related.IP, ip)
		} else {
			v.Destination.Domain = visible(to)
			v.Related.Hosts = append(v.Related.Hosts, visible(to))
		}
	}
	if f.Summary.Names > 0 && f.Summary.NameBytes > 0 {
		v.DNS = &ecsDNS{ecsQuestion{visible(f.Object)}}
	}
	if p := firstPlace(f); p.Host != "" || p.PID != 0 || p.Parent != "" {
		v.Event.Category = []string{"process"}
		if p.Host != "" {
			v.Host = &ecsName{visible(p.Host)}
			v.Related.Hosts = append(v.Related.Hosts, visible(p.Host))
		}
		v.Process = &ecsProcess{PID: p.PID}
		if p.Parent != "" {
			v.Process.Parent = &ecsImage{visible(p.Parent)}
		}
	}
	return v
}

func newECSIDs(t detect.Technique) ecsIDs {
	ids := ecsIDs{ID: []string{t.ID}}
	if t.Name != "" {
		ids.Name = []string{t.Name}
	}
	return ids
}

func newECSThreat(t detect.Technique) *ecsThreat {
	v := &ecsThreat{Framework: "MITRE ATT&CK"}
	if t.Tactic != "" {
		v.Tactic = ecsIDs{[]string{t.Tactic}, []string{detect.TacticName(t.Tactic)}}
	}
	if parent, ok := t.Parent(); ok {
		sub := newECSIDs(t)
		v.Technique.ecsIDs, v.Technique.Sub = newECSIDs(parent), &sub
	} else {
		v.Technique.ecsIDs = newECSIDs(t)
	}
	return v
}
