package detect

import (
	"strings"
	"testing"

	"outflow/stats/sigma"
)

// If this fails, a share with an account that may be the company's own counts like one
// with a stranger's, or the finding does not say why it counts less.
func TestUnsetPlaceholder(t *testing.T) {
	rule := sigma.File{Name: "r.yml", Text: []byte(`title: shared
level: high
logsource: {product: aws}
detection:
  s: {with|neq|expand: '%own_accounts%'}
  condition: s
`)}
	const note = "(level high, which counts as medium while own_accounts is not set;"
	for _, c := range []struct {
		values   []string
		severity Severity
		risk     int
		noted    bool
	}{
		{nil, Medium, 40, true},
		{[]string{"111122223333"}, High, 60, false},
	} {
		set, errs := sigma.Load([]sigma.File{rule}, sigma.Options{Placeholders: map[string][]string{"own_accounts": c.values}})
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		f := matched(&Input{}, &Row{Key: Key{EntityType: "user", Entity: "ann", Object: "shared: ec2/Share"}}, set.Rules[0], "ec2/Share")
		if f.Severity != c.severity || f.RiskScore != c.risk {
			t.Errorf("own accounts %v: got %v, risk %d, want %v, %d", c.values, f.Severity, f.RiskScore, c.severity, c.risk)
		}
		if got := strings.Contains(f.Why, note); got != c.noted {
			t.Errorf("own accounts %v: got %q, want the note: %t", c.values, f.Why, c.noted)
		}
	}
}
