package detect

import "strings"

// AttackVersion is the release of MITRE ATT&CK that the names and tactics of
// techniques are taken from.
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
	credentialAccess  = "TA0006"
	collection        = "TA0009"
	exfiltration      = "TA0010"
	commandAndControl = "TA0011"
)

// TacticName returns the name of a tactic, or its id if it is not one of the constants
// above.
func TacticName(id string) string {
	switch id {
	case credentialAccess:
		return "Credential Access"
	case collection:
		return "Collection"
	case exfiltration:
		return "Exfiltration"
	case commandAndControl:
		return "Command and Control"
	}
	return id
}

// TechniqueOf returns the technique with the given id. An unknown technique has only
// its ID set.
func TechniqueOf(id string) Technique {
	for _, t := range techniques {
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

// tacticsOf returns the ids of the tactics that a technique serves, nil if it is
// not in techniques.
func tacticsOf(technique string) []string {
	if t := TechniqueOf(technique); t.Tactic != "" {
		return []string{t.Tactic}
	}
	return nil
}

// techniques lists, by id, the techniques that a log of network, API or
// process events can give evidence of. The technique of each sub-technique is there, too.
var techniques = []Technique{
	{"T1011", "Exfiltration Over Other Network Medium", exfiltration},
	{"T1011.001", "Exfiltration Over Bluetooth", exfiltration},
	{"T1020", "Automated Exfiltration", exfiltration},
	{"T1020.001", "Traffic Duplication", exfiltration},
	{"T1029", "Scheduled Transfer", exfiltration},
	{"T1030", "Data Transfer Size Limits", exfiltration},
	{"T1039", "Data from Network Shared Drive", collection},
	{"T1041", "Exfiltration Over C2 Channel", exfiltration},
	{"T1048", "Exfiltration Over Alternative Protocol", exfiltration},
	{"T1048.001", "Exfiltration Over Symmetric Encrypted Non-C2 Protocol", exfiltration},
	{"T1048.002", "Exfiltration Over Asymmetric Encrypted Non-C2 Protocol", exfiltration},
	{"T1048.003", "Exfiltration Over Unencrypted Non-C2 Protocol", exfiltration},
	{"T1052", "Exfiltration Over Physical Medium", exfiltration},
	{"T1052.001", "Exfiltration over USB", exfiltration},
	{"T1071", "Application Layer Protocol", commandAndControl},
	{"T1071.001", "Web Protocols", commandAndControl},
	{"T1071.004", "DNS", commandAndControl},
	{"T1074", "Data Staged", collection},
	{"T1074.001", "Local Data Staging", collection},
	{"T1074.002", "Remote Data Staging", collection},
	{"T1090", "Proxy", commandAndControl},
	{"T1090.003", "Multi-hop Proxy", commandAndControl},
	{"T1095", "Non-Application Layer Protocol", commandAndControl},
	{"T1102", "Web Service", commandAndControl},
	{"T1105", "Ingress Tool Transfer", commandAndControl},
	{"T1114", "Email Collection", collection},
	{"T1114.002", "Remote Email Collection", collection},
	{"T1114.003", "Email Forwarding Rule", collection},
	{"T1132", "Data Encoding", commandAndControl},
	{"T1132.001", "Standard Encoding", commandAndControl},
	{"T1213", "Data from Information Repositories", collection},
	{"T1213.002", "Sharepoint", collection},
	{"T1213.003", "Code Repositories", collection},
	{"T1213.004", "Customer Relationship Management Software", collection},
	{"T1213.005", "Messaging Applications", collection},
	{"T1213.006", "Databases", collection},
	{"T1530", "Data from Cloud Storage", collection},
	{"T1537", "Transfer Data to Cloud Account", exfiltration},
	{"T1552", "Unsecured Credentials", credentialAccess},
	{"T1552.001", "Credentials In Files", credentialAccess},
	{"T1552.007", "Container API", credentialAccess},
	{"T1555", "Credentials from Password Stores", credentialAccess},
	{"T1555.005", "Password Managers", credentialAccess},
	{"T1555.006", "Cloud Secrets Management Stores", credentialAccess},
	{"T1560", "Archive Collected Data", collection},
	{"T1560.001", "Archive via Utility", collection},
	{"T1567", "Exfiltration Over Web Service", exfiltration},
	{"T1567.001", "Exfiltration to Code Repository", exfiltration},
	{"T1567.002", "Exfiltration to Cloud Storage", exfiltration},
	{"T1567.003", "Exfiltration to Text Storage Sites", exfiltration},
	{"T1567.004", "Exfiltration Over Webhook", exfiltration},
	{"T1568", "Dynamic Resolution", commandAndControl},
	{"T1568.002", "Domain Generation Algorithms", commandAndControl},
	{"T1572", "Protocol Tunneling", commandAndControl},
}
