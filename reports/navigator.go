package reports

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"outflow/stats/detect"
)

// Navigator writes the techniques of the findings as a layer of MITRE's ATT&CK Navigator.
// It has no text from a log.
var Navigator = &Format{
	Name:  "navigator",
	Title: "the techniques found, as a layer of the ATT&CK Navigator",
	Files: []File{
		{"navigator.json", "a layer (format 4.5): each ATT&CK technique of a finding that is not allowed, scored by the highest risk", writeNavigator},
	},
}

type navigatorLayer struct {
	Name        string               `json:"name"`
	Versions    navigatorVersions    `json:"versions"`
	Domain      string               `json:"domain"`
	Description string               `json:"description"`
	Sorting     int                  `json:"sorting"` // 3: by descending score
	Gradient    navigatorGradient    `json:"gradient"`
	Techniques  []navigatorTechnique `json:"techniques"`
}

type navigatorVersions struct {
	Attack    string `json:"attack"`
	Navigator string `json:"navigator"`
	Layer     string `json:"layer"`
}

type navigatorGradient struct {
	Colors []string `json:"colors"`
	Min    int      `json:"minValue"`
	Max    int      `json:"maxValue"`
}

type navigatorTechnique struct {
	ID       string          `json:"techniqueID"`
	Tactic   string          `json:"tactic,omitempty"`
	Score    int             `json:"score,omitempty"`
	Comment  string          `json:"comment"`
	Enabled  bool            `json:"enabled"`
	Metadata []navigatorFact `json:"metadata"`
	Subs     bool            `json:"showSubtechniques"`
}

type navigatorFact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func writeNavigator(w io.Writer, r *Report) error {
	release, _, _ := strings.Cut(detect.AttackVersion, ".")
	v := navigatorLayer{
		Name: "outflow " + visible(r.Job) + ", " + r.period(), Versions: navigatorVersions{release, "5.1.0", "4.5"}, Domain: "enterprise-attack",
		Description: verdict(r), Sorting: 3, Gradient: navigatorGradient{[]string{"#ffffff", "#ffd166", "#d62828"}, 0, 100}, Techniques: []navigatorTechnique{},
	}
	of := map[string][]*detect.Finding{}
	for _, f := range openFindings(r) {
		if id := visible(f.Technique); id != "" {
			of[id] = append(of[id], f)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(of)) {
		t := navigatorTechnique{ID: id, Enabled: true, Subs: true}
		if tactic := detect.TechniqueOf(id).Tactic; tactic != "" {
			t.Tactic = strings.ReplaceAll(strings.ToLower(detect.TacticName(tactic)), " ", "-")
		}
		var by []string
		bytes := int64(0)
		for _, f := range of[id] {
			t.Score = max(t.Score, f.RiskScore)
			by = append(by, visible(f.Detection))
			bytes = AddBytes(bytes, f.Bytes())
		}
		slices.Sort(by)
		by = slices.Compact(by)
		t.Comment = fmt.Sprintf("%s by %s", counted(len(of[id]), "finding", "findings"), listed(by))
		t.Metadata = []navigatorFact{{"findings", strconv.Itoa(len(of[id]))}, {"bytes", strconv.FormatInt(bytes, 10)}}
		v.Techniques = append(v.Techniques, t)
		if parent, _, isSub := strings.Cut(id, "."); isSub && of[parent] == nil && !slices.ContainsFunc(v.Techniques, func(t navigatorTechnique) bool { return t.ID == parent }) {
			// Sub-techniques show below their technique only if that has an entry.
			v.Techniques = append(v.Techniques, navigatorTechnique{ID: parent, Tactic: t.Tactic, Enabled: true, Subs: true, Comment: "see its sub-techniques", Metadata: []navigatorFact{}})
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(&v)
}
