package reports

import (
	"bytes"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// An alertRules is a file of alert rules of Prometheus.
type alertRules struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         string            `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

var (
	selector = regexp.MustCompile(`(outflow_[a-z_]+)(?:\{(.*?)\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
	ofAlert  = regexp.MustCompile(`\$labels\.([a-z_]+)`)
)

// labelsOf returns the labels of a series or a selector.
func labelsOf(text string) map[string]string {
	labels := map[string]string{}
	for _, m := range matcher.FindAllStringSubmatch(text, -1) {
		labels[m[1]] = m[2]
	}
	return labels
}

// If this fails, an alert waits for a gauge or a label that no run writes, and never fires,
// or one of what must not go unnoticed has no alert.
func TestAlertRules(t *testing.T) {
	var metrics bytes.Buffer
	for _, job := range []string{"nightly", "hourly-dns"} {
		r := fedReport()
		r.Job = job
		if err := runOf(r).WriteMetrics(&metrics, nil); err != nil {
			t.Fatal(err)
		}
	}
	written := map[string][]map[string]string{} // labels of each series, by gauge
	for line := range strings.Lines(metrics.String()) {
		if name, labels, ok := strings.Cut(line, "{"); ok && !strings.HasPrefix(line, "#") {
			written[name] = append(written[name], labelsOf(labels))
		}
	}
	text, err := os.ReadFile("../deploy/prometheus/outflow.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file alertRules
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	alerts, gauges := map[string]bool{}, map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if alerts[r.Alert] {
				t.Errorf("%s: twice", r.Alert)
			}
			alerts[r.Alert] = true
			named := selector.FindAllStringSubmatch(r.Expr, -1)
			if len(named) == 0 {
				t.Errorf("%s: %q names no gauge", r.Alert, r.Expr)
			}
			for _, m := range named {
				want := labelsOf(m[2])
				gauges[strings.TrimSpace(m[1]+" "+want["health"])] = true
				i := slices.IndexFunc(written[m[1]], func(has map[string]string) bool {
					for name, value := range want {
						if has[name] != value {
							return false
						}
					}
					return true
				})
				if i < 0 {
					t.Errorf("%s: no run writes %s", r.Alert, m[0])
					continue
				}
				for _, what := range slices.Sorted(maps.Keys(r.Annotations)) {
					for _, l := range ofAlert.FindAllStringSubmatch(r.Annotations[what], -1) {
						if _, ok := written[m[1]][i][l[1]]; !ok {
							t.Errorf("%s: its %s has label %s, which %s has not", r.Alert, what, l[1], m[0])
						}
					}
				}
			}
			if s := r.Labels["severity"]; s != "critical" && s != "warning" {
				t.Errorf("%s: got severity %q, want critical or warning", r.Alert, s)
			}
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s: no summary or no description", r.Alert)
			}
		}
	}
	for _, want := range []string{"outflow_last_success_timestamp_seconds", "outflow_incomplete", "outflow_feed_health silent", "outflow_feed_health thin",
		"outflow_notifications_failed"} {
		if !gauges[want] {
			t.Errorf("no alert for %s", want)
		}
	}
	manual, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for alert := range alerts {
		if !bytes.Contains(manual, []byte("`"+alert+"`")) {
			t.Errorf("docs/operations.md does not name %s", alert)
		}
	}
}
