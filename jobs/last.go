package jobs

import (
	"fmt"
	"regexp"
	"strings"
	"text/tabwriter"

	"outflow/reports"
)

// next prints the commands that a reader of the summary probably wants now.
func (p *program) next(r *reports.Report) {
	type command struct{ line, why string }
	var all []command
	add := func(why string, words ...string) {
		for i, w := range words {
			words[i] = shellWord(w)
		}
		all = append(all, command{strings.Join(append(words, p.where...), " "), why})
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Allowed == "" {
			add("the numbers of the first finding", "outflow", "explain", f.UID[:min(len(f.UID), reports.IDLength(r.Findings))])
			break
		}
	}
	if len(all) == 0 {
		return
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for i, c := range all {
		lead := "       "
		if i == 0 {
			lead = "next:  "
		}
		if p.width > 0 && len(lead)+len(c.line)+2+len(c.why) > p.width {
			fmt.Fprintf(w, "%s %s\n", lead, c.line)
			continue
		}
		fmt.Fprintf(w, "%s %s\t# %s\n", lead, c.line, c.why)
	}
	w.Flush()
}

// plainWord matches words that a shell takes as they are.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shellWord writes a word so that a shell and a terminal read it as text.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(printable(s), "'", `'\''`) + "'"
}
