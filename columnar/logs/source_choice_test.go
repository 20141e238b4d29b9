package logs

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// If this fails, a record becomes a row that it would not if rows were tried one after another.
func TestRowChoice(t *testing.T) {
	random := rand.New(rand.NewPCG(17, 1))
	sources, chosen := 0, 0
	for file, text := range sourceTexts(t) {
		s, err := parseSource(text, sourceLimits.Parse)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		p := &sourcePlan{source: s, byName: map[string]int{}}
		if err := p.compile(); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if p.choice == nil {
			continue
		}
		sources++
		texts := []string{"", "-", "no such text", "10.1.2.3", "17", strings.Repeat("a long text ", 9)}
		for _, row := range p.rows {
			for _, c := range row.where {
				for _, list := range []TextList{c.Is, c.Prefix, c.Suffix, c.Contains, c.Not} {
					texts = append(texts, list...)
				}
			}
		}
		w, before := newWindow(len(p.slots)), new(chosenTexts)
		for i := range 2_000 {
			w.begin(int64(i))
			for slot := range p.slots {
				if random.IntN(4) > 0 {
					w.put(slot, []byte(texts[random.IntN(len(texts))]))
				}
			}
			want := 0
			for want < len(p.rows) && !allHold(p.rows[want].where, w, i) {
				want++
			}
			got := p.choice.row(w, i, before)
			if got != want {
				t.Fatalf("%s: record %d: got row %d, want %d", file, i, got, want)
			}
			if got > 0 && got < len(p.rows) {
				chosen++
			}
		}
	}
	if sources < 50 || chosen < 10_000 {
		t.Errorf("%d sources choose by a text, and %d records a row behind the first: the test says little", sources, chosen)
	}
}
