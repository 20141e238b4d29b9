package logs

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"outflow/columnar/bounded"
	"outflow/columnar/scan"
)

// How a source recognises its logs.

// sniffer returns Format.Sniff: nil if the source can only be named.
func (s *Source) sniffer() (func(head []byte) bool, error) {
	var plans []*sniffPlan
	for i := range s.Sniff {
		p, err := s.sniffPlan(&s.Sniff[i])
		if err != nil {
			return nil, fmt.Errorf("sniff.%w", err)
		}
		if p != nil {
			plans = append(plans, p)
		}
	}
	if plans == nil {
		return nil, nil
	}
	return func(head []byte) bool {
		return slices.ContainsFunc(plans, func(p *sniffPlan) bool { return p.fits(head) })
	}, nil
}

// A sniffPlan is a compiled Sniff. Its slots are the names that it asks for.
type sniffPlan struct {
	sourcePlan
	sniff  *Sniff
	first  func() *regexp.Regexp // nil: any
	values []string              // names of Sniff.Values, in order
	// words are what stands in every head of the source: looking for them is a
	// thousand times cheaper than reading records.
	words [][]byte
}

// expression returns what a record begins with. An object may ask a hundred embedded sources whose it
// is, most of which say no before they ask for their expression, so it is compiled then.
func (s *Source) expression(expr string) (func() *regexp.Regexp, error) {
	if s.outline {
		return bounded.Expression(expr), nil
	}
	re, err := bounded.Regexp(expr)
	return func() *regexp.Regexp { return re }, err
}

// sniffPlan compiles a Sniff: nil if it says nothing.
func (s *Source) sniffPlan(sniff *Sniff) (*sniffPlan, error) {
	if len(sniff.Keys)+len(sniff.Values) == 0 && sniff.First == "" {
		return nil, nil
	}
	p := &sniffPlan{sourcePlan: sourcePlan{source: s, container: containerNamed(s.Container), byName: map[string]int{}}, sniff: sniff}
	for _, name := range sniff.Keys {
		p.slotOf(name, true)
	}
	p.values = slices.Sorted(maps.Keys(sniff.Values))
	for _, name := range p.values {
		p.slotOf(name, true)
	}
	if sniff.First != "" {
		var err error
		if p.first, err = s.expression(sniff.First); err != nil {
			return nil, fmt.Errorf("first: %w", err)
		}
	}
	if _, err := p.container.open(&p.sourcePlan); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if p.container.keyed {
		for _, slot := range p.slots {
			name := slot.name
			if s.flat {
				name = withoutZone(name)
			}
			p.words = append(p.words, []byte(lastKey(name)))
		}
	}
	return p, nil
}

// sniffRecords is how many records of an object are looked at.
const sniffRecords = 32

// fits reports whether a record of head has what the Sniff says.
func (p *sniffPlan) fits(head []byte) bool {
	if p.container.begins != nil && !p.container.begins(head) {
		return false
	}
	if !p.container.quoted {
		head = firstLines(head, sniffRecords)
	}
	for _, word := range p.words {
		if !bytes.Contains(head, word) {
			return false
		}
	}
	if head = wholeLines(head); p.container == jsonContainer && bytes.IndexByte(head, '\n') < 0 {
		head = closedJSON(head)
	}
	reader, err := p.container.open(&p.sourcePlan)
	if err != nil {
		return false
	}
	var t Tally
	w := newWindow(len(p.slots))
	if header := p.header(); header != nil {
		if h := header(nil, head); h != nil && reader.use(h) != nil {
			return false
		}
	}
	for n := 0; len(head) > 0 && n < sniffRecords; n++ {
		end := scan.LineEnd(head, 0)
		if p.container.quoted && bytes.IndexByte(head[:end], '"') >= 0 {
			end = separatedEnd(head)
		}
		record := head[:end]
		if head = head[end:]; p.first != nil && !p.first().Match(bytes.TrimRight(record, "\r\n")) {
			continue
		}
		w.reset(record, 1, &t)
		reader.read(record, w, &t)
		for i := range w.n {
			if p.sniffed(w, i) {
				return true
			}
		}
	}
	return false
}

// firstLines returns the first n lines of head.
func firstLines(head []byte, n int) []byte {
	end := 0
	for ; n > 0 && end < len(head); n-- {
		end = scan.LineEnd(head, end)
	}
	return head[:end]
}

func (p *sniffPlan) sniffed(w *window, i int) bool {
	for slot := range p.slots {
		if !w.has(i, slot) {
			return false
		}
	}
	for _, name := range p.values {
		if !slices.Contains(p.sniff.Values[name], string(w.text(i, p.byName[name]))) {
			return false
		}
	}
	return true
}

// lastKey returns the last key of a path.
func lastKey(name string) string {
	if i := strings.LastIndexAny(name, ".]"); i >= 0 && i < len(name)-1 {
		return name[i+1:]
	}
	return strings.TrimRight(strings.SplitN(name, "[", 2)[0], ".")
}
