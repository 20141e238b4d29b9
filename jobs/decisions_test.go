package jobs

import (
	goflag "flag" // flag is a function of this package
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// make docs sets it.
var updateIndex = goflag.Bool("update", false, "rewrite the index of docs/decisions")

// A decision is what a file of docs/decisions says about itself.
type decision struct {
	file     string
	number   int
	title    string
	status   string
	date     string
	packages []string
}

const decisionsFolder = "../docs/decisions"

var (
	decisionName = regexp.MustCompile(`^(\d{4})-[a-z0-9]+(?:-[a-z0-9]+)*\.md$`)
	decisionText = regexp.MustCompile(`^# (\d+)\. (\S[^\n]*\S)\n\nStatus: ([^·\n]+) · (20\d\d-[01]\d-[0-3]\d) · packages: (\S[^\n]*)\n\n` +
		`## Context\n\n(?s:\S.*?)\n\n## Decision\n\n(?s:\S.*?)(\n\n## Rejected\n\n(?s:- .*?))?\n$`)
	decisionStatus = regexp.MustCompile(`^(?:accepted|(?:partly )?superseded by \[(\d+)\]\((\d{4})-[^)]*\.md\))$`)
)

// parseDecision returns the decision of a file, or what is wrong with its form.
func parseDecision(file, text string) (d decision, err error) {
	name := decisionName.FindStringSubmatch(file)
	if name == nil {
		return d, fmt.Errorf("%s: want a name as 0105-short-kebab-title.md", file)
	}
	m := decisionText.FindStringSubmatch(text)
	if m == nil {
		return d, fmt.Errorf("%s: want the form of the template in docs/decisions/README.md: title, status line, Context, Decision, and Rejected as a list or not at all", file)
	}
	d = decision{file: file, title: m[2], status: m[3], date: m[4], packages: strings.Split(m[5], ", ")}
	d.number, _ = strconv.Atoi(m[1])
	if inName, _ := strconv.Atoi(name[1]); inName != d.number {
		return d, fmt.Errorf("%s: its title has number %d", file, d.number)
	}
	if headings := strings.Count("\n"+text, "\n#"); headings != 3+min(len(m[6]), 1) {
		return d, fmt.Errorf("%s: %d headings; want title, Context, Decision and perhaps Rejected", file, headings)
	}
	status := decisionStatus.FindStringSubmatch(d.status)
	if status == nil {
		return d, fmt.Errorf("%s: status %q: want accepted, or [partly] superseded by [106](0106-….md)", file, d.status)
	}
	if status[1] != "" {
		shown, _ := strconv.Atoi(status[1])
		by, _ := strconv.Atoi(status[2])
		if shown != by || by <= d.number {
			return d, fmt.Errorf("%s: %s: want a link to a later decision, with its number", file, d.status)
		}
	}
	return d, nil
}

// indexOf returns the index of decisions, by package.
func indexOf(all []decision) string {
	byPackage := map[string][]decision{}
	var packages []string
	for _, d := range all {
		for _, p := range d.packages {
			if byPackage[p] == nil {
				packages = append(packages, p)
			}
			byPackage[p] = append(byPackage[p], d)
		}
	}
	slices.Sort(packages)
	var out strings.Builder
	for _, p := range packages {
		fmt.Fprintf(&out, "\n### %s\n\n| no. | decision | date | status |\n| --- | --- | --- | --- |\n", p)
		for _, d := range byPackage[p] {
			fmt.Fprintf(&out, "| %d | [%s](%s) | %s | %s |\n", d.number, d.title, d.file, d.date, d.status)
		}
	}
	return out.String() + "\n"
}

// If this fails, a decision cannot be found by its number or package, or does not say what
// its neighbours do.
func TestDecisions(t *testing.T) {
	files, err := os.ReadDir(decisionsFolder)
	if err != nil {
		t.Fatal(err)
	}
	var all []decision
	var last decision
	for _, f := range files { // by name, and so by number
		if f.Name() == "README.md" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(decisionsFolder, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		d, err := parseDecision(f.Name(), string(text))
		if err != nil {
			t.Error(err)
			continue
		}
		if d.number != last.number+1 || d.date < last.date {
			t.Errorf("%s (%s): want number %d, and no earlier date than %s", d.file, d.date, last.number+1, last.date)
		}
		last = d
		for _, p := range d.packages {
			if folder, err := os.Stat(filepath.Join("..", p)); err != nil || !folder.IsDir() {
				t.Errorf("%s: there is no folder %q: name the one that has its code now", d.file, p)
			}
		}
		all = append(all, d)
	}
	readme := filepath.Join(decisionsFolder, "README.md")
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- index -->\n", "<!-- end -->\n"
	head, rest, ok1 := strings.Cut(string(text), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no place for the index, between %q and %q", readme, begin, end)
	}
	want := head + begin + indexOf(all) + end + tail
	if want == string(text) || t.Failed() {
		return
	}
	if !*updateIndex {
		t.Errorf("the index of %s is stale: run make docs", readme)
	} else if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
		t.Error(err)
	}
}

// If this fails, TestDecisions lets a malformed decision pass, or refuses a sound one.
func TestDecisionForm(t *testing.T) {
	const sound = "# 7. Why\n\nStatus: accepted · 2026-11-21 · packages: stats, jobs\n\n## Context\n\nA.\n\n## Decision\n\nB.\n\n## Rejected\n\n- C: d.\n"
	for _, c := range []struct {
		what, file, old, new string
		ok                   bool
	}{
		{"sound", "0007-why.md", "", "", true},
		{"nothing rejected", "0007-why.md", "\n\n## Rejected\n\n- C: d.", "", true},
		{"superseded", "0007-why.md", "accepted", "superseded by [12](0012-because.md)", true},
		{"partly superseded", "0007-why.md", "accepted", "partly superseded by [12](0012-because.md)", true},
		{"other number", "0008-why.md", "", "", false},
		{"name with capitals", "0007-Why.md", "", "", false},
		{"unknown status", "0007-why.md", "accepted", "proposed", false},
		{"superseded by an earlier one", "0007-why.md", "accepted", "superseded by [6](0006-because.md)", false},
		{"number unlike its link", "0007-why.md", "accepted", "superseded by [12](0013-because.md)", false},
		{"no date", "0007-why.md", " · 2026-11-21", "", false},
		{"no packages", "0007-why.md", "stats, jobs", "", false},
		{"no context", "0007-why.md", "## Context\n\nA.\n\n", "", false},
		{"empty decision", "0007-why.md", "B.\n\n", "", false},
		{"rejected is no list", "0007-why.md", "- C", "C", false},
		{"further heading", "0007-why.md", "B.", "B.\n\n## Costs\n\nE.", false},
	} {
		text := strings.Replace(sound, c.old, c.new, 1)
		d, err := parseDecision(c.file, text)
		if (err == nil) != c.ok {
			t.Errorf("%s: got %v, want it to be sound: %v", c.what, err, c.ok)
		}
		if c.what == "sound" && indexOf([]decision{d}) !=
			"\n### jobs\n\n| no. | decision | date | status |\n| --- | --- | --- | --- |\n| 7 | [Why](0007-why.md) | 2026-11-21 | accepted |\n"+
				"\n### stats\n\n| no. | decision | date | status |\n| --- | --- | --- | --- |\n| 7 | [Why](0007-why.md) | 2026-11-21 | accepted |\n\n" {
			t.Errorf("index: got %q", indexOf([]decision{d}))
		}
	}
}
