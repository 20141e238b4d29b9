package sigma

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// If this fails, regular expressions of a feed of rules, which somebody else writes, cost a
// run minutes or gigabytes, or are refused without a word on why.
func TestHostileExpressions(t *testing.T) {
	rules := func(n int, expr string) (files []File) {
		for i := range n {
			files = append(files, File{Name: fmt.Sprintf("%02d.yml", i), Text: []byte(fmt.Sprintf("title: rule %d\nlogsource: {category: process_creation}\n"+
				"detection:\n  s:\n    CommandLine|re: '%s'\n  condition: s\n", i, fmt.Sprintf(expr, i)))})
		}
		return files
	}
	for name, c := range map[string]struct {
		files []File
		loads int
	}{
		"ways that meet":           {rules(40, "(a|a)*b%d"), 40},
		"large repeats":            {rules(10, "q{3}.{200}z%d"), 2}, // each has 206 slow steps
		"repeats of repeats":       {rules(40, "(a{30}){30}%d"), 23},
		"sets without end":         {rules(40, "a.{90}b%d"), 5},
		"SigmaHQ's shape, many":    {rules(400, `(?i)invoke-[a-z]{3,12}\s+-(enc|e)[a-z]*\s+[a-z0-9+/=]{16,}%d`), 400},
		"a class of all languages": {rules(40, `\p{L}+\p{N}{1,3}%d`), 40},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			set, faults := Load(c.files, Options{})
			if len(set.Rules) != c.loads || len(faults) != len(c.files)-c.loads {
				t.Errorf("got %d rules and %d faults, want %d rules: %.300s", len(set.Rules), len(faults), c.loads, fmt.Sprint(faults))
			}
			for _, f := range faults {
				if !strings.Contains(f.Error(), "CommandLine: this regular expression has ") || f.File == "" || f.Line == 0 {
					t.Errorf("does not say what and where: %v", f)
				}
			}
			if took := time.Since(began); took > 20*time.Second { // a second or two
				t.Errorf("took %v to load", took)
			}
			text := []byte(strings.Repeat("a", 1<<18) + "q")
			began = time.Now()
			for _, r := range set.Rules {
				for _, re := range r.cond.test.regexps {
					re.Match(text)
				}
			}
			// At most 12 µs a byte, 3 s. The forty rules of ways that meet would take a second, the repeats 100.
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("took %v to match %d bytes", took, len(text))
			} else {
				t.Logf("%.1f µs a byte", float64(took.Microseconds())/float64(len(text)))
			}
		})
	}
}
