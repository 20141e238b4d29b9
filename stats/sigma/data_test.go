package sigma

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
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
		files = append(files, File{name, text})
	}
	return files
}

// regressionEvent flattens an event as evtx_dump writes it.
func regressionEvent(t testing.TB, name string) []Pair {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Event struct {
			System, EventData, UserData map[string]any
		}
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
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
	return pairs
}

// If this fails, a rule of SigmaHQ's about exfiltration does not load.
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

// mayMatch are pairs of rules of SigmaHQ's of which the first also matches the event
// of the second, by the folders' names.
var mayMatch = map[[2]string]string{}

// If this fails, a rule of SigmaHQ's does not match the event recorded for it, or
// matches one that it should not.
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
		for _, r := range set.Try([][]Pair{regressionEvent(t, name)}) {
			switch rule := filepath.Base(filepath.Dir(r.File)); {
			case rule == of:
				own = true
			case mayMatch[[2]string{rule, of}] == "":
				t.Errorf("%s matches the event of %s", rule, of)
			}
		}
		if !own {
			t.Errorf("%s does not match its own event", of)
		}
	}
}
