package detect

import (
	"bytes"
	"cmp"
	"iter"
	"maps"
	"slices"

	"outflow/columnar"
)

// This file divides the table of a fold into sections.

// A sectionKey names a section of a fold's table: what one feed logged on one day.
type sectionKey struct {
	feed string
	day  Day
}

// sections holds the sections of a fold's table, one for each feed and day.
type sections[P any] struct {
	all   map[sectionKey]*P
	make  func() *P
	reset func(p *P) // empties a section and keeps its memory
	free  *P         // reused for the next day: a table takes twice the memory while it grows
}

func newSections[P any](make func() *P, reset func(p *P)) sections[P] {
	return sections[P]{all: map[sectionKey]*P{}, make: make, reset: reset}
}

func (ps *sections[P]) of(k sectionKey) *P {
	p := ps.all[k]
	if p == nil {
		if p, ps.free = ps.free, nil; p == nil {
			p = ps.make()
		}
		ps.all[k] = p
	}
	return p
}

// groups yields the groups of all sections.
func (ps *sections[P]) groups(of func(*P) *columnar.Groups) iter.Seq[*columnar.Groups] {
	return func(yield func(*columnar.Groups) bool) {
		for _, p := range ps.all {
			if !yield(of(p)) {
				return
			}
		}
	}
}

// drop empties a section.
func (ps *sections[P]) drop(k sectionKey) {
	p := ps.all[k]
	delete(ps.all, k)
	ps.reset(p)
	ps.free = p // the last day drained is the one that more rows come for
}

// foldRows is how many rows are folded at once. Tables may be larger than the processor's
// caches: their cells for all these rows are loaded before any is used, so that the loads do
// not wait for each other. With more rows the cells would not stay in the first-level cache.
const foldRows = 128

// days calls fold for each run of rows that belong to one day and lie within the
// bounds of the options. A run has at most foldRows rows.
func (ps *sections[P]) days(b *columnar.Batch, feed string, o *FoldOptions, fold func(p *P, from, to int)) {
	ps.runs(b, feed, o, func(p *P, from, to int) {
		for ; from < to; from += foldRows {
			fold(p, from, min(from+foldRows, to))
		}
	})
}

// runs is days for runs of any length.
func (ps *sections[P]) runs(b *columnar.Batch, feed string, o *FoldOptions, fold func(p *P, from, to int)) {
	times := b.Int64(columnar.Time)
	for i := 0; i < len(times); {
		day := o.dayOf(times[i])
		low := max(int64(day)*dayMicros, o.From)
		high := min(int64(day+1)*dayMicros, o.To)
		if o.OneDay {
			low, high = o.From, o.To
		}
		j := i
		for j < len(times) && times[j] >= low && times[j] < high {
			j++
		}
		if j == i {
			i++ // out of bounds
			continue
		}
		fold(ps.of(sectionKey{feed, day}), i, j)
		i = j
	}
}

// dayOf returns the day that an event within the bounds counts for.
func (o *FoldOptions) dayOf(us int64) Day {
	if o.OneDay {
		return DayOf(o.From)
	}
	return DayOf(us)
}

// sorted returns the keys of the sections, by day and then feed.
func (ps *sections[P]) sorted() []sectionKey {
	return slices.SortedFunc(maps.Keys(ps.all), func(a, b sectionKey) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.feed, b.feed))
	})
}

// feedOf returns the feed under which the bytes of a batch are counted. A sensor that
// logs both connections and the requests within them sees the same bytes twice, so
// connections get a feed of their own.
func feedOf(b *columnar.Batch) string {
	if b.Table == columnar.Network {
		return b.Feed + "/network"
	}
	return b.Feed
}

// hourOf returns the hour of the day of a time, 0–23.
func hourOf(us int64) int64 { return us / 3600e6 % 24 }

// hourBit returns the bit of Summary.Hours for a time.
func hourBit(us int64) int64 { return 1 << hourOf(us) }

// lastTwoLabels returns the registered domain as profile seed defines it.
func lastTwoLabels(name []byte) []byte {
	if i := bytes.LastIndexByte(name, '.'); i > 0 {
		return name[bytes.LastIndexByte(name[:i], '.')+1:]
	}
	return name
}
