package sigma

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

func dataDir(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("OUTFLOW_DATA")
	if dir == "" {
		t.Skip("OUTFLOW_DATA does not name a folder of third-party rules and events")
	}
	return filepath.Join(dir, name)
}

func readFiles(t testing.TB, glob string) []File {
	t.Helper()
	names, err := filepath.Glob(glob)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: no files (%v)", glob, err)
	}
	var files []File
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, File{Name: name, Text: text})
	}
	return files
}

// recordedEvents flattens events in the form that evtx_dump writes.
func recordedEvents(t testing.TB, name string) (events [][]Pair) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	for d.More() {
		var doc struct {
			Event struct {
				System, EventData, UserData map[string]any
			}
		}
		if err := d.Decode(&doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var pairs []Pair
		var walk func(prefix string, m map[string]any)
		walk = func(prefix string, m map[string]any) {
			for key, v := range m {
				switch v := v.(type) {
				case nil:
				case map[string]any:
					if key == "#attributes" {
						walk(prefix, v)
					} else {
						walk(prefix+key+"_", v)
					}
				default:
					pairs = append(pairs, Pair{strings.TrimSuffix(prefix+key, "_#text"), fmt.Sprint(v)})
				}
			}
		}
		walk("", doc.Event.System)
		walk("", doc.Event.EventData)
		walk("", doc.Event.UserData)
		sort.Slice(pairs, func(i, j int) bool { return pairs[i].Field < pairs[j].Field })
		events = append(events, pairs)
	}
	return events
}

// If this fails, one of SigmaHQ's rules about exfiltration does not load.
func TestRulesOfSigmaHQLoad(t *testing.T) {
	for _, glob := range []string{"sigma-rules-exfil/*.yml", "sigma-regression/*/rule.yml"} {
		files := readFiles(t, dataDir(t, glob))
		set, errs := Load(files, Options{})
		for _, err := range errs {
			t.Error(err)
		}
		if len(set.Rules) != len(files) {
			t.Errorf("%s: %d rules of %d files", glob, len(set.Rules), len(files))
		}
	}
}

// If this fails, one of SigmaHQ's rules does not match the event recorded for it,
// or matches an event that it should not.
func TestRegressionOfSigmaHQ(t *testing.T) {
	dir := dataDir(t, "sigma-regression")
	set, errs := Load(readFiles(t, filepath.Join(dir, "*/rule.yml")), Options{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	events, _ := filepath.Glob(filepath.Join(dir, "*/*.json"))
	for _, name := range events {
		of := filepath.Base(filepath.Dir(name))
		own := false
		for _, r := range set.try(recordedEvents(t, name)) {
			rule := filepath.Base(filepath.Dir(r.File))
			own = own || rule == of
			if rule != of {
				t.Errorf("%s matches the event of %s", rule, of)
			}
		}
		if !own {
			t.Errorf("%s does not match its own event", of)
		}
	}
}

// differs has the pairs of a rule and an event for which pySigma's SQLite backend gives
// another answer, and the reason why that is allowed.
var differs = func() map[string]string {
	out := map[string]string{}
	for why, pairs := range map[string][]string{
		"SQLite's = and <> tell case apart; Sigma's texts do not": {"exact: case differs", "neq: neq equal", "fieldref: fieldref",
			"boolean: a boolean is text in a log"},
		"SQLite knows the case of ASCII only": {"umlaut: beyond ASCII", "kelvin: the sign of kelvin is a k"},
		"to SQLite a number is never a text that says the same, and less than any text": {"list: a list is or", "hex: hexadecimal as it is written",
			"hex: hexadecimal as a number", "gt: numbers equal", "gt: numbers under", "gt: large numbers are exact", "gt: no number",
			"gte: numbers under", "gte: large numbers are exact", "gte: no number", "lt: numbers under", "lt: large numbers are exact",
			"lte: numbers equal", "lte: numbers under", "lte: large numbers are exact"},
		"the backend compares networks as texts":                            {"cidr: cidr of a mapped address", "cidr: cidr of no address"},
		"the backend's weeks begin with the first Monday, ours are ISO's":   {"week: parts of a text"},
		"the backend does not hold re|endswith to the end":                  {"re_ends: re not at the end"},
		"to the backend only an absent field is null":                       {"not_said: empty is not absent"},
		"the backend does not look at the log source: the event is another": {"seed: another log", "registry: another registry event"},
	} {
		for _, pair := range pairs {
			out[pair] = why
		}
	}
	return out
}()

// If this fails, the engine disagrees with pySigma: fixtures/oracle/rules.py wrote
// testdata/oracle.csv with its SQLite backend.
func TestOracle(t *testing.T) {
	lines := oracle(t)
	pairs, found := 0, map[string]bool{}
	for name, lines := range lines {
		if name == "data" {
			continue
		}
		arc, err := txtar.ParseFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var rules, cases []File
		for _, f := range arc.Files {
			if file := (File{Name: f.Name, Text: f.Data}); file.Rules() != "" {
				cases = append(cases, file)
			} else if f.Name != "errors" {
				rules = append(rules, file)
			}
		}
		set, _ := Load(rules, testOptions)
		refuses, says := map[string]bool{}, map[string]bool{}
		asked := 0
		for _, l := range lines {
			switch {
			case l[3] == "match":
				says[l[1]+": "+l[2]] = true
			case l[3] == "asked":
				rules, _ := strconv.Atoi(l[1])
				events, _ := strconv.Atoi(l[2])
				asked += rules * events
			default:
				refuses[l[1]] = true
			}
		}
		for _, f := range cases {
			list, err := ParseCases(f)
			if err != nil {
				t.Fatal(err)
			}
			asked -= len(set.Rules) * len(list)
			for _, c := range list {
				matched := set.try(c.Events)
				for _, r := range set.Rules {
					if ref := cmp.Or(r.Name, r.Title); !refuses[ref] {
						key := ref + ": " + c.Name
						pairs++
						got, want := slices.Contains(matched, r), says[key]
						if got == want {
							continue
						}
						if found[key] = true; differs[key] == "" {
							t.Errorf("%s: got %v, pySigma says %v", key, got, want)
						}
					}
				}
			}
		}
		if asked != 0 {
			t.Errorf("%s: pySigma was asked of %d pairs more: write oracle.csv anew", name, asked)
		}
	}
	for key := range differs {
		if !found[key] {
			t.Errorf("%s: does not differ any more", key)
		}
	}
	if pairs < 500 {
		t.Errorf("%d pairs: want 500", pairs)
	}
	t.Logf("%d pairs of a rule and an event, %d differ", pairs, len(found))
}

// oracle returns the lines of testdata/oracle.csv by their first column.
func oracle(t testing.TB) map[string][][]string {
	t.Helper()
	text, err := os.ReadFile("testdata/oracle.csv")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][][]string{}
	for _, l := range lines {
		out[l[0]] = append(out[l[0]], l)
	}
	return out
}

// If this fails, the engine disagrees with pySigma about SigmaHQ's rules and events.
func TestOracleOfSigmaHQ(t *testing.T) {
	dir := dataDir(t, "")
	set, _ := Load(append(readFiles(t, filepath.Join(dir, "sigma-rules-exfil/*.yml")), readFiles(t, filepath.Join(dir, "sigma-regression/*/rule.yml"))...), Options{})
	names, _ := filepath.Glob(filepath.Join(dir, "sigma-regression/*/*.json"))
	got := map[[2]string]bool{}
	pairs := 0
	for _, name := range names {
		for i, event := range recordedEvents(t, name) {
			id := fmt.Sprintf("%s/%d", strings.TrimSuffix(filepath.Base(name), ".json"), i)
			pairs += len(set.Rules)
			for _, r := range set.try([][]Pair{event}) {
				got[[2]string{r.ID, id}] = true
			}
		}
	}
	want := map[[2]string]bool{}
	for _, l := range oracle(t)["data"] {
		switch l[3] {
		case "match":
			want[[2]string{l[1], l[2]}] = true
		case "asked":
			rules, _ := strconv.Atoi(l[1])
			events, _ := strconv.Atoi(l[2])
			if rules*events != pairs {
				t.Errorf("got %d pairs, pySigma was asked of %d x %d", pairs, rules, events)
			}
		default:
			t.Errorf("pySigma: %v", l)
		}
	}
	for pair := range got {
		if !want[pair] {
			t.Errorf("rule %s matches event %s, not so by pySigma", pair[0], pair[1])
		}
	}
	for pair := range want {
		if !got[pair] {
			t.Errorf("rule %s does not match event %s, but does by pySigma", pair[0], pair[1])
		}
	}
	t.Logf("%d pairs, %d matches", pairs, len(got))
}
