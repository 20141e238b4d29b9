package detect

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// TestAttribute runs testdata/person. "rows" has what address_user has: a feed, an entity
// and what is named for it as TYPE NAME, the hours as a..b, and the events of each hour.
// "findings" has an entity and the hours of its finding. "want" is what the test writes:
// whose the finding is and why, or the error of "identities". Words are separated by two
// spaces.
func TestAttribute(t *testing.T) {
	files, err := filepath.Glob("testdata/person/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("cases: %v, %d files", err, len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			arc, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			part := map[string]string{}
			for _, f := range arc.Files {
				part[f.Name] = string(f.Data)
			}
			compareCase(t, file, arc, attributed(t, part))
		})
	}
}

func attributed(t *testing.T, part map[string]string) string {
	day := day(t, "2026-11-20")
	hours := func(s string) (from, to int) {
		a, b, ok := strings.Cut(s, "..")
		from, err := strconv.Atoi(a)
		if to = from; ok {
			to, _ = strconv.Atoi(b)
		}
		if err != nil {
			t.Fatalf("hours %q: %v", s, err)
		}
		return from, to
	}
	table := func(name string, columns int) (out [][]string) {
		for line := range strings.Lines(part[name]) {
			cells := strings.Split(strings.TrimSpace(line), "  ")
			if len(cells) != columns {
				t.Fatalf("%s: %q: want %d cells", name, line, columns)
			}
			out = append(out, cells)
		}
		return out
	}
	var rows []Row
	for _, c := range table("rows", 5) {
		kind, entity, _ := strings.Cut(c[1], " ")
		events, err := strconv.Atoi(c[4])
		if err != nil {
			t.Fatal(err)
		}
		from, to := hours(c[3])
		for h := from; h <= to; h++ {
			rows = append(rows, Row{Day: day, Key: Key{Feed: c[0], EntityType: kind, Entity: entity, Object: c[2]},
				Summary: Summary{Events: int64(events), Hours: 1 << h}})
		}
	}
	var findings []Finding
	for _, c := range table("findings", 2) {
		kind, entity, _ := strings.Cut(c[0], " ")
		from, to := hours(c[1])
		begin := day.window()[0]
		f := Finding{Day: day, Key: Key{EntityType: kind, Entity: entity},
			Window: [2]int64{begin + int64(from)*3600e6, begin + int64(to+1)*3600e6}}
		if from > 0 { // of a detection that judges whole days, like most
			f.Window = day.window()
			f.Summary.Hours = 1<<(to+1) - 1<<from
		}
		findings = append(findings, f)
	}
	var ids *Identities
	if text, ok := part["identities"]; ok {
		var err error
		if ids, err = ReadIdentities(strings.NewReader(text), &Names{Domains: map[string]string{"corp": "corp.example"}}); err != nil {
			return err.Error() + "\n"
		}
	}
	err := Attribute(findings, ids, func(yield func(*Row, error) bool) {
		for i := range rows {
			if !yield(&rows[i], nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for i := range findings {
		f := &findings[i]
		kind, name := f.Subject()
		fmt.Fprintf(&b, "%s %s | %s | %s\n", kind, name, f.PersonBy, f.Whose())
	}
	return b.String()
}

// If this fails, the timeline of a user leaves out what an address did that is possibly the
// user's, or has what another one's did.
func TestPossiblePersons(t *testing.T) {
	users := []share{{user: "ann@corp.example", events: 920, feeds: []string{"proxy"}}, {user: "bob smith", events: 79, feeds: []string{"proxy", "vpn"}}, {user: "cem", events: 1}, {user: "dag", events: 1}}
	for _, c := range []struct {
		f    Finding
		want []string
	}{
		{Finding{PersonBy: shared(users)}, []string{"ann@corp.example", "bob smith", "cem"}},
		{Finding{PersonBy: "host pc-1, " + shared(users[:2])}, []string{"ann@corp.example", "bob smith"}},
		{Finding{PersonBy: byFew + "3 events: ann (proxy)"}, []string{"ann"}},
		{Finding{PersonBy: "12 events of proxy", Person: "ann"}, nil},
		{Finding{}, nil},
	} {
		if got := c.f.PossiblePersons(); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.f.PersonBy, got, c.want)
		}
	}
}
