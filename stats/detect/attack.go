package detect

import "strings"

// AttackVersion is the release of MITRE ATT&CK that the names and tactics of
// Techniques are taken from.
const AttackVersion = "19.0"

// A Technique is an ATT&CK technique or sub-technique that a finding gives evidence
// of.
type Technique struct {
	ID     string // "T1567.002"
	Name   string // as MITRE writes it; of a sub-technique its own, without the technique's
	Tactic string // id of the tactic under which it is reported
}

// The tactics under which techniques are reported.
const (
	CredentialAccess  = "TA0006"
	Collection        = "TA0009"
	Exfiltration      = "TA0010"
	CommandAndControl = "TA0011"
)

// TacticName returns the name of a tactic, or its id if it is not one of the constants
// above.
func TacticName(id string) string {
	switch id {
	case CredentialAccess:
		return "Credential Access"
	case Collection:
		return "Collection"
	case Exfiltration:
		return "Exfiltration"
	case CommandAndControl:
		return "Command and Control"
	}
	return id
}

// TechniqueOf returns the technique with the given id. An unknown technique has only
// its ID set.
func TechniqueOf(id string) Technique {
	for _, t := range Techniques {
		if t.ID == id {
			return t
		}
	}
	return Technique{ID: id}
}

// Parent returns the technique of a sub-technique, and false if t is not one.
func (t Technique) Parent() (Technique, bool) {
	id, _, sub := strings.Cut(t.ID, ".")
	if !sub {
		return Technique{}, false
	}
	return TechniqueOf(id), true
}

// Title returns the name for readers: that of a sub-technique after its technique's, as
// in "Application Layer Protocol: DNS". It is "" if the name is not known.
func (t Technique) Title() string {
	if parent, ok := t.Parent(); ok && parent.Name != "" && t.Name != "" {
		return parent.Name + ": " + t.Name
	}
	return t.Name
}

// Tactics returns the ids of the tactics that a technique serves, nil if it is
// not in Techniques.
func Tactics(technique string) []string {
	if t := TechniqueOf(technique); t.Tactic != "" {
		return []string{t.Tactic}
	}
	return nil
}

// Techniques lists, by id, the techniques that a log of network, API or
// process events can give evidence of. The technique of each sub-technique is there, too.
var Techniques = []Technique{
	{"T1011", "Exfiltration Over Other Network Medium", Exfiltration},
	{"T1011.001", "Exfiltration Over Bluetooth", Exfiltration},
	{"T1020", "Automated Exfiltration", Exfiltration},
	{"T1020.001", "Traffic Duplication", Exfiltration},
	{"T1029", "Scheduled Transfer", Exfiltration},
	{"T1030", "Data Transfer Size Limits", Exfiltration},
	{"T1039", "Data from Network Shared Drive", Collection},
	{"T1041", "Exfiltration Over C2 Channel", Exfiltration},
	{"T1048", "Exfiltration Over Alternative Protocol", Exfiltration},
	{"T1048.001", "Exfiltration Over Symmetric Encrypted Non-C2 Protocol", Exfiltration},
	{"T1048.002", "Exfiltration Over Asymmetric Encrypted Non-C2 Protocol", Exfiltration},
	{"T1048.003", "Exfiltration Over Unencrypted Non-C2 Protocol", Exfiltration},
	{"T1052", "Exfiltration Over Physical Medium", Exfiltration},
	{"T1052.001", "Exfiltration over USB", Exfiltration},
	{"T1071", "Application Layer Protocol", CommandAndControl},
	{"T1071.001", "Web Protocols", CommandAndControl},
	{"T1071.004", "DNS", CommandAndControl},
	{"T1074", "Data Staged", Collection},
	{"T1074.001", "Local Data Staging", Collection},
	{"T1074.002", "Remote Data Staging", Collection},
	{"T1090", "Proxy", CommandAndControl},
	{"T1090.003", "Multi-hop Proxy", CommandAndControl},
	{"T1095", "Non-Application Layer Protocol", CommandAndControl},
	{"T1102", "Web Service", CommandAndControl},
	{"T1105", "Ingress Tool Transfer", CommandAndControl},
	{"T1114", "Email Collection", Collection},
	{"T1114.002", "Remote Email Collection", Collection},
	{"T1114.003", "Email Forwarding Rule", Collection},
	{"T1132", "Data Encoding", CommandAndControl},
	{"T1132.001", "Standard Encoding", CommandAndControl},
	{"T1213", "Data from Information Repositories", Collection},
	{"T1213.002", "Sharepoint", Collection},
	{"T1213.003", "Code Repositories", Collection},
	{"T1213.004", "Customer Relationship Management Software", Collection},
	{"T1213.005", "Messaging Applications", Collection},
	{"T1213.006", "Databases", Collection},
	{"T1530", "Data from Cloud Storage", Collection},
	{"T1537", "Transfer Data to Cloud Account", Exfiltration},
	{"T1552", "Unsecured Credentials", CredentialAccess},
	{"T1552.001", "Credentials In Files", CredentialAccess},
	{"T1552.007", "Container API", CredentialAccess},
	{"T1555", "Credentials from Password Stores", CredentialAccess},
	{"T1555.005", "Password Managers", CredentialAccess},
	{"T1555.006", "Cloud Secrets Management Stores", CredentialAccess},
	{"T1560", "Archive Collected Data", Collection},
	{"T1560.001", "Archive via Utility", Collection},
	{"T1567", "Exfiltration Over Web Service", Exfiltration},
	{"T1567.001", "Exfiltration to Code Repository", Exfiltration},
	{"T1567.002", "Exfiltration to Cloud Storage", Exfiltration},
	{"T1567.003", "Exfiltration to Text Storage Sites", Exfiltration},
	{"T1567.004", "Exfiltration Over Webhook", Exfiltration},
	{"T1568", "Dynamic Resolution", CommandAndControl},
	{"T1568.002", "Domain Generation Algorithms", CommandAndControl},
	{"T1572", "Protocol Tunneling", CommandAndControl},
}
