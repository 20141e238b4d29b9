package reports

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"outflow/stats/detect"
)

func sampleIndex() *Index {
	night := func(d detect.Day, who ...string) Night {
		n := Night{Name: d.String(), Days: []detect.Day{d}}
		for i, name := range who {
			f := uploadFinding(name, 2e9, detect.Severity(i%2)+detect.Medium)
			f.Day = d
			n.Findings = append(n.Findings, f)
		}
		return n
	}
	minor := uploadFinding("carol", 1e9, detect.Low)
	minor.Day = sampleDay
	x := &Index{Version: "0.1.0", Nights: []Night{
		night(sampleDay-4, "alice"),
		night(sampleDay-3, "alice", "bob"),
		{Name: (sampleDay - 2).String(), Days: []detect.Day{sampleDay - 2}, Lost: true},
		night(sampleDay-1, append([]string{"bob"}, hostile...)...),
		night(sampleDay, "bob", "dave"),
	}}
	last := &x.Nights[len(x.Nights)-1]
	last.Findings = append(last.Findings, minor)
	last.Owed = true
	return x
}

// The index must be as safe as the page, and link only to reports beside it.
func TestIndex(t *testing.T) {
	var b, again bytes.Buffer
	if err := WriteIndex(&b, sampleIndex()); err != nil {
		t.Fatal(err)
	}
	golden(t, "index.html", b.Bytes())
	if err := WriteIndex(&again, sampleIndex()); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Errorf("the second writing differs, %v", err)
	}
	report := regexp.MustCompile(`href="(\d{4}-\d\d-\d\d/report\.html)"`)
	var links []string
	for _, m := range report.FindAllStringSubmatch(b.String(), -1) {
		links = append(links, m[1])
	}
	if want := []string{"2026-11-19/report.html", "2026-11-18/report.html", "2026-11-17/report.html", "2026-11-16/report.html"}; !slices.Equal(links, want) {
		t.Errorf("got links %q, want %q", links, want)
	}
	root, err := html.Parse(strings.NewReader(report.ReplaceAllString(b.String(), `href="#nights"`)))
	if err != nil {
		t.Fatal(err)
	}
	checkPage(t, root)
	var empty bytes.Buffer
	if err := WriteIndex(&empty, &Index{}); err != nil {
		t.Error(err)
	}
}

// If this fails, somebody who was there the night before is new, or gone though still
// there.
func TestIndexCompares(t *testing.T) {
	x := sampleIndex()
	words := func(names []shown) string {
		var out []string
		for _, n := range names {
			out = append(out, n.Text)
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		night          int
		fresh, ongoing string
		gone           int // names, with one for all beyond the fifth
	}{{1, "bob", "alice", 0}, {4, "dave", "bob", 6}} {
		var row indexNight
		row.compare(serious(&x.Nights[c.night-1]), serious(&x.Nights[c.night]))
		if words(row.New) != c.fresh || words(row.Ongoing) != c.ongoing || len(row.Gone) != c.gone {
			t.Errorf("night %d: new %q, ongoing %q, gone %q, want %+v", c.night, words(row.New), words(row.Ongoing), words(row.Gone), c)
		}
	}
}
