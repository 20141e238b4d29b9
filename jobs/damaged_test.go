package jobs

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// This file damages each kind of file of a state in each way, and holds docs/state.md to what
// was said, what it cost, and what healed it.

// A stateFile is a kind of file of a state.
type stateFile struct {
	kind  string
	name  string // of one such file; * stands for what its name has of its content
	day   string // the same of another day; "": there is one for all days
	other string // a file of another kind
	// without is what a night does if the file is not there, or says nothing, and the reports
	// show it.
	without string
}

var stateFiles = []stateFile{
	{"a file of a day of history", "aggregate=user_day/date=2026-03-18/part-*", "aggregate=user_day/date=2026-03-17/part-*", "aggregate=user_destination_day/date=2026-03-18/part-*", ""},
	{"its marker", "aggregate=user_day/date=2026-03-18/_done.json", "aggregate=user_day/date=2026-03-17/_done.json", "aggregate=user_destination_day/date=2026-03-18/_done.json", ""},
	{"the findings of a day", "findings/date=2026-03-20/part-*", "findings/date=2026-03-19/part-*", "aggregate=user_day/date=2026-03-20/part-*", ""},
	{"their marker", "findings/date=2026-03-20/_done.json", "findings/date=2026-03-19/_done.json", "aggregate=user_day/date=2026-03-20/_done.json", ""},
	{"the marker of a judged day's rules", "aggregate=rule_day/date=2026-03-20/_done.json", "aggregate=rule_day/date=2026-03-19/_done.json", "aggregate=user_day/date=2026-03-20/_done.json", ""},
	{"`nights.json`", "nights.json", "", "others.json", ""},
	{"`others.json`", "others.json", "", "nights.json", "the next night reads its logs again"},
	{"`lock`", "../lock", "", "nights.json", ""},
}

// damages are the ways, in the order of the table's columns.
var damages = []string{"a bit flipped", "cut", "deleted", "of another day", "of another kind"}

// damage damages a file in a way. It returns false if the way is none for the file.
func (f *stateFile) damage(t *testing.T, s *site, how string) bool {
	t.Helper()
	at := func(name string) string {
		found, err := filepath.Glob(filepath.Join(s.dir, "state/v2", name))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v, %v", name, found, err)
		}
		return found[0]
	}
	read := func(name string) []byte {
		text, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	text := read(f.name)
	switch how {
	case "a bit flipped":
		if len(text) == 0 {
			return false
		}
		text[len(text)/2] ^= 1
	case "cut":
		if len(text) == 0 {
			return false
		}
		text = text[:len(text)/2]
	case "deleted":
		if err := os.Remove(at(f.name)); err != nil {
			t.Fatal(err)
		}
		return true
	case "of another day":
		if f.day == "" {
			return false
		}
		text = read(f.day)
	case "of another kind":
		text = read(f.other)
	}
	if err := os.WriteFile(at(f.name), text, 0o644); err != nil {
		t.Fatal(err)
	}
	return true
}

// If this fails, damage of the state is believed, stops the next night, or stays after the
// advice was followed; or docs/state.md says otherwise.
// Only OUTFLOW_LONG=1 does more than flip bits: then the other cells of the table are believed.
func TestDamagedState(t *testing.T) {
	page, err := filepath.Abs("../docs/state.md") // the runs change the folder
	if err != nil {
		t.Fatal(err)
	}
	whole := smallSite(t)
	whole.write("logs/2026-03-19/theft.csv", uploads("2026-03-19T22:00 ann 9000000000"))
	whole.run(19)
	whole.write("logs/2026-03-17/late.csv", uploads()) // has no event: others.json lists it
	whole.run(20)
	undisturbed := copySite(t, whole)
	undisturbed.run(21)
	want := undisturbed.reports(21)
	verify := func(s *site) (int, string) {
		t.Helper()
		code, stdout, _ := invoke(t, s.dir, "state", "verify", "--config", "outflow.yaml")
		return code, stdout
	}
	if code, stdout := verify(whole); code != exitOK {
		t.Fatalf("whole: exit %d: %s", code, stdout)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	table := []string{"| file | " + strings.Join(damages, " | ") + " |", "|" + strings.Repeat(" --- |", 1+len(damages))}
	from := slices.Index(lines, table[0])
	if from < 0 {
		t.Fatalf("%s has no table of damage", page)
	}
	to := from + slices.Index(lines[from:], "")
	long := os.Getenv("OUTFLOW_LONG") != ""
	for i, f := range stateFiles {
		row := "| " + f.kind
		for j, how := range damages {
			if said := strings.Split(lines[min(from+2+i, to)], " | "); !long && how != damages[0] && len(said) == 1+len(damages) {
				row += " | " + strings.TrimSuffix(said[1+j], " |")
				continue
			}
			cell := "–"
			t.Run(f.kind+"/"+how, func(t *testing.T) {
				s := copySite(t, whole)
				if !f.damage(t, s, how) {
					return
				}
				code, stdout := verify(s)
				// The next night works.
				next := copySite(t, s)
				next.run(21)
				got := next.reports(21)
				if !reflect.DeepEqual(got["user_day.csv"], want["user_day.csv"]) {
					t.Errorf("the next night has another baseline: got\n%s\nwant\n%s", got["user_day.csv"], want["user_day.csv"])
				}
				after, _ := verify(next)
				switch {
				case code == exitOK && len(differences(got, want)) == 0:
					cell = "the next night is the same"
				case code == exitOK && f.without != "" && got["findings.csv"] == want["findings.csv"]:
					cell = f.without
				case code == exitOK:
					t.Errorf("is believed: %v", differences(got, want))
				case after == exitOK:
					cell = "healed by the next night"
				default:
					cell = "healed by the advice"
				}
				if code == exitOK {
					return
				}
				// The advice mends it.
				_, advice, ok := strings.Cut(strings.TrimSpace(stdout), "with outflow ")
				if !ok || strings.Contains(advice, "\n") {
					t.Fatalf("verify gives no advice: %s", stdout)
				}
				if code, _, stderr := invoke(t, s.dir, append(strings.Fields(advice), "--config", "outflow.yaml")...); code != exitOK {
					t.Errorf("%s: exit %d: %s", advice, code, stderr)
				}
				if code, stdout := verify(s); code != exitOK {
					t.Errorf("after %s: exit %d: %s", advice, code, stdout)
				}
				s.run(21)
				if diff := differences(s.reports(21), want); len(diff) > 0 {
					t.Errorf("after %s: differ %v", advice, diff)
				}
			})
			row += " | " + cell
		}
		table = append(table, row+" |")
	}
	if slices.Equal(lines[from:to], table) {
		return
	}
	if !*updateIndex {
		t.Fatalf("%s has another table; -update writes\n%s", page, strings.Join(table, "\n"))
	}
	if err := os.WriteFile(page, []byte(strings.Join(slices.Replace(lines, from, to, table...), "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}
