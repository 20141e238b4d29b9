package sigma

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"outflow/columnar"
)

var update = flag.Bool("update", false, "rewrite the errors of testdata/*.txtar")

var testOptions = Options{Placeholders: map[string][]string{"servers": {"srv-*", "dc?"}, "nets": {"10.1.0.0/16", "10.2.0.0/16"}}}

// A case file has rules in files x.yml and cases about them in x_test.yml; the file
// errors lists what does not load and why. Its first line says what would be wrong
// if it failed.
func TestCases(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("cases: %v, %d files", err, len(names))
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) { runCases(t, name) })
	}
}

func runCases(t *testing.T, name string) {
	arc, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var rules, cases []File
	want := -1
	for i, f := range arc.Files {
		file := File{Name: f.Name, Text: f.Data}
		switch {
		case f.Name == "errors":
			want = i
		case file.Rules() != "":
			cases = append(cases, file)
		default:
			rules = append(rules, file)
		}
	}
	set, errs := Load(rules, testOptions)
	var got strings.Builder
	for _, err := range errs {
		got.WriteString(err.Error() + "\n")
	}
	switch {
	case want < 0 && got.Len() > 0:
		t.Fatal(got.String())
	case want >= 0 && *update:
		arc.Files[want].Data = []byte(got.String())
		if err := os.WriteFile(name, txtar.Format(arc), 0o666); err != nil {
			t.Fatal(err)
		}
	case want >= 0 && got.String() != string(arc.Files[want].Data):
		t.Errorf("got errors\n%s\nwant\n%s", got.String(), arc.Files[want].Data)
	}
	n := 0
	for _, f := range cases {
		list, err := ParseCases(f)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			n++
			if wrong := set.Run(&list[i], f.Rules()); wrong != "" {
				t.Errorf("%s:%d: %s: %s", f.Name, list[i].Line, list[i].Name, wrong)
			}
		}
	}
	if n == 0 && want < 0 {
		t.Error("there are no cases")
	}
}

// If this fails, a bundled rule does not load, lacks what a reader needs, or fails
// one of its own cases.
func TestBundled(t *testing.T) {
	rules, cases := Bundled()
	for _, r := range tryBundled(t, rules, cases) {
		if r.ID == "" || r.Name == "" || r.Level == "" || r.Description == "" || len(r.References) == 0 || len(r.Techniques()) == 0 || len(r.FalsePositives) == 0 {
			t.Errorf("%s: an id, name, level, description, reference, technique or false positive is missing", r.File)
		}
	}
}

// If this fails, an expression of a bundled rule ends a run, or is slow: it is compiled when a
// log needs it, and not checked before.
func TestBundledExpressions(t *testing.T) {
	for _, from := range []func() (rules, cases []File){Bundled, Seed} {
		rules, _ := from()
		for i := range rules {
			if !rules[i].sound {
				t.Errorf("%s: is checked like anybody's", rules[i].Name)
			}
			rules[i].sound = false
		}
		set, errs := Load(rules, Options{})
		for _, err := range errs {
			t.Error(err)
		}
		n := 0
		for _, r := range set.Rules {
			for test := range r.cond.tests() {
				for _, re := range test.regexps {
					if n++; re.SlowSteps() > 0 {
						t.Errorf("%s: %s is slow", r.File, re)
					}
				}
			}
		}
		t.Logf("%d expressions", n)
	}
}

// If this fails, most rows of a log are looked at one by one: what decides which rows a rule
// may match is in too many of them, or a text of each row is searched in vain.
func TestTriggers(t *testing.T) {
	long := "'x[a-z]{100}'"
	for rule, want := range map[string]string{
		"{s: {cs-method: [GET, POST], c-uri-query|re: " + long + "}, condition: s}":                                "c-uri-query",
		"{s: {cs-method: GET, cs-uri-stem|re: " + long + "}, condition: s}":                                        "url_path",
		"{s: {cs-method: GET, cs-uri-stem|re: 'x[a-z]{9}'}, condition: s}":                                         "method",
		"{s: {cs-method: GET}, condition: s}":                                                                      "method",
		"{s: {cs-method: PUT, cs-host|endswith: .example}, condition: s}":                                          "url_host",
		"{s: {cs-host|endswith: .example}, f: {c-uri-query|contains: token}, condition: s and not f}":              "url_host",
		"{s: {c-uri-query|re: " + long + "}, f: {c-uri-query|contains: token}, condition: s and not f}":            "c-uri-query",
		"{s: {cs-host|endswith: .example}, f: {cs-uri-stem|endswith: [.js, .css]}, condition: s and not f}":        "url_host",
		"{s: {cs-host|endswith: .example}, f: {cs-uri-stem|endswith: [.js, .css]}, condition: s or (not s and f)}": "url_host url_path",
	} {
		set, errs := Load([]File{{Name: "r.yml", Text: []byte("title: x\nlogsource: {category: proxy}\ndetection: " + rule)}}, Options{})
		if len(errs) > 0 {
			t.Fatal(errs[0])
		}
		p := set.plans[columnar.HTTP.ID]()
		var got []string
		for i, in := range p.inputs {
			name := in.field
			if name == "" {
				name = in.col.String()
			}
			triggers, found := false, false
			for _, a := range p.atoms {
				if int(a.in) == i && len(a.rules) > 0 {
					triggers, found = true, found || a.indexed
				}
			}
			if triggers {
				got = append(got, name)
			}
			if !found && len(in.index.literals)+len(in.numbers) > 0 || !triggers && len(in.eager) > 0 {
				t.Errorf("%s: %s is searched in vain", rule, name)
			}
		}
		if slices.Sort(got); strings.Join(got, " ") != want || len(p.always) > 0 {
			t.Errorf("%s: got triggers on %v, and %d rules without, want %s", rule, got, len(p.always), want)
		}
	}
}

// If this fails, texts are kept that no rule can match, or left out although one can.
func TestWantedLeast(t *testing.T) {
	long := "'x[a-z]{100}'"
	for detection, want := range map[string]int{
		"{s: {c-uri-query|re: " + long + "}, condition: s}":                                      101,
		"{s: {c-uri-query|re: [" + long + ", '[0-9]{7}']}, condition: s}":                        7,
		"{s: {c-uri-query|re|all: [" + long + ", '[0-9]{7}']}, condition: s}":                    101,
		"{s: {c-uri-query|re: " + long + "}, f: {c-uri-query: ''}, condition: s and not f}":      101,
		"{s: {c-uri-query|re: " + long + "}, f: {c-uri-query|contains: x}, condition: s or f}":   0,
		"{s: {c-uri-query|re: " + long + "}, f: {cs-method: PUT}, condition: f and not s}":       0,
		"{s: {c-uri-query|re: " + long + "}, f: {cs-method: PUT}, condition: s or f}":            0,
		"{s: {c-uri-query|re|neq: " + long + "}, condition: s}":                                  0,
		"{s: {c-uri-query|re: " + long + "}, f: {cs-method: PUT}, condition: s and f}":           101,
		"{a: {c-uri-query|re: " + long + "}, b: {c-uri-query|re: 'é{9}'}, condition: 1 of them}": 9,
	} {
		set, errs := Load([]File{{Name: "r.yml", Text: []byte("title: x\nlogsource: {category: proxy}\ndetection: " + detection)}}, Options{})
		if len(errs) > 0 {
			t.Fatal(errs[0])
		}
		fields := set.Want().Fields[columnar.HTTP.ID]
		if len(fields) != 1 || fields[0].Name != "c-uri-query" || fields[0].Least != want {
			t.Errorf("%s: got %+v, want texts of %d bytes", detection, fields, want)
		}
	}
}

// If this fails, a bundled rule takes for another's what the configuration says is the
// company's own, or the reverse.
func TestBundledOwn(t *testing.T) {
	rules, _ := Bundled()
	set, _ := Load(rules, Options{Placeholders: map[string][]string{"own_accounts": {"111122223333"}, "own_domains": {"corp.example", "*.corp.example"}}})
	text, err := os.ReadFile("testdata/own.yml")
	if err != nil {
		t.Fatal(err)
	}
	cases, fault := ParseCases(File{Name: "testdata/own.yml", Text: text})
	if fault != nil {
		t.Fatal(fault)
	}
	asked := map[string]bool{}
	for _, c := range cases {
		var got []string
		for _, r := range set.try(c.Events) {
			got = append(got, r.Name)
		}
		for _, name := range c.Match {
			asked[name] = true
		}
		if !slices.Equal(got, c.Match) {
			t.Errorf("%s: got %v, want %v", c.Name, got, c.Match)
		}
	}
	unset, _ := Load(rules, Options{})
	for _, r := range unset.Rules {
		if slices.ContainsFunc(r.Unset, func(name string) bool { return strings.HasPrefix(name, "own_") }) && !asked[r.Name] {
			t.Errorf("%s: no case says what is another's", r.Name)
		}
	}
}

// If this fails, profile seed does not match what the document's own code matches.
func TestSeed(t *testing.T) {
	rules, cases := Seed()
	for _, r := range tryBundled(t, rules, cases) {
		if r.File == "rules/seed/rclone.yml" {
			continue // the document's own words
		}
		if r.ID == "" || r.Name == "" || r.Level == "" || r.Description == "" || len(r.Techniques()) == 0 || len(r.FalsePositives) == 0 {
			t.Errorf("%s: an id, name, level, description, technique or false positive is missing", r.File)
		}
	}
}

// tryBundled runs the cases about rules, and returns the rules.
func tryBundled(t *testing.T, rules, cases []File) []*Rule {
	set, errs := Load(rules, Options{})
	for _, err := range errs {
		t.Error(err)
	}
	said := map[*Rule][2]bool{} // a case that matches, one that does not
	for _, f := range cases {
		list, err := ParseCases(f)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			for _, r := range set.Rules {
				if r.File == f.Rules() {
					matches := list[i].All || slices.Contains(list[i].Match, r.Name)
					said[r] = [2]bool{said[r][0] || matches, said[r][1] || !matches}
				}
			}
			if wrong := set.Run(&list[i], f.Rules()); wrong != "" {
				t.Errorf("%s:%d: %s: %s", f.Name, list[i].Line, list[i].Name, wrong)
			}
		}
	}
	if len(set.Rules) == 0 {
		t.Error("there are no rules")
	}
	for _, r := range set.Rules {
		if said[r] != [2]bool{true, true} {
			t.Errorf("%s: %s: want a case that matches and one that does not", r.File, r.Ref())
		}
	}
	return set.Rules
}

// If this fails, the reader reads events that no rule can match, or skips events
// that one can.
func TestWantedEvents(t *testing.T) {
	for rule, want := range map[string]string{
		"{category: registry_set, product: windows}|{s: {TargetObject: x}, condition: s}":                 "{windows Microsoft-Windows-Sysmon/Operational 13} {windows Linux-Sysmon/Operational 13}",
		"{product: windows, service: security}|{s: {EventID: [4663, 5145], ObjectName: x}, condition: s}": "{windows Security 4663} {windows Security 5145}",
		"{product: windows, service: system}|{a: {EventID: 1}, b: {EventID: 2, x: y}, condition: a or b}": "{windows System 1} {windows System 2}",
		"{product: windows, service: system}|{a: {EventID: 1}, b: {x: y}, condition: a or b}":             "{windows System }",
		"{product: windows, service: system}|{a: {EventID: 1}, b: {x: y}, condition: b and not a}":        "{windows System }",
		"{product: windows, service: system}|{a: {EventID|startswith: '1'}, condition: a}":                "{windows System }",
		"{product: windows, service: of_its_own}|{a: {EventID: 7, Channel: [c, d]}, condition: a}":        "{windows c 7} {windows d 7}",
		"{product: linux, service: auditd}|{a: {type: PATH}, condition: a}":                               "{linux  path}",
		"{category: proxy}|{s: {cs-method: PUT}, condition: s}":                                           "",
	} {
		logsource, detection, _ := strings.Cut(rule, "|{")
		set, errs := Load([]File{{Name: "r.yml", Text: []byte("title: x\nlogsource: " + logsource + "\ndetection: {" + detection)}}, Options{})
		if len(errs) > 0 {
			t.Fatal(errs[0])
		}
		var got []string
		for _, k := range set.Want().Events {
			got = append(got, fmt.Sprintf("{%s %s %s}", k.Product, k.Channel, k.ID))
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: got %s, want %s", rule, s, want)
		}
	}
}
