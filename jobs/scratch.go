package jobs

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// spoolBytes is how much of a table, or of a report file, a run keeps in memory before
// it uses a temporary file. More lets larger scans do without one; a run has some five
// at a time.
const spoolBytes = 16 << 20

// A scratch holds an aggregate's rows until the run ends, in the order of day and key.
// It takes the place of the state in a run without one.
type scratch struct {
	rows       *store.Scratch[detect.Row]
	partitions []*partition
}

func newScratch() *scratch {
	return &scratch{rows: store.NewScratch(spoolBytes, store.ColumnsOf[detect.Row]())}
}

func (s *scratch) add(r *detect.Row) error {
	if n := len(s.partitions); n == 0 || s.partitions[n-1].day != r.Day {
		if err := s.end(); err != nil {
			return err
		}
		s.partitions = append(s.partitions, &partition{day: r.Day})
	}
	p := s.partitions[len(s.partitions)-1]
	p.feeds = withFeed(p.feeds, r.Feed)
	p.count++
	return s.rows.Add(r)
}

// end makes the partitions readable. There must be no add afterwards.
func (s *scratch) end() error {
	if len(s.partitions) == 0 {
		return nil
	}
	p := s.partitions[len(s.partitions)-1]
	part, err := s.rows.Part()
	if err == nil {
		p.rows = part(store.Needed[detect.Row]{})
	}
	return err
}

// scratched stores the folded rows as the state would, atOnce aggregates in parallel.
func scratched(ctx context.Context, f *folded, aggregates []*detect.Aggregate, atOnce int) (*history, error) {
	h := newHistory()
	h.trace = f.trace
	aggregates = f.largestFirst(aggregates)
	all := make([]*scratch, len(aggregates))
	for i := range all {
		all[i] = newScratch()
		h.closers = append(h.closers, all[i].rows)
	}
	err := together(atOnce, len(aggregates), func(i int) error {
		defer h.trace.task("merge " + aggregates[i].Name)()
		n := 0
		for r, err := range f.Rows(aggregates[i]) {
			if n++; err == nil && n%aheadRows == 0 {
				err = ctx.Err()
			}
			if err == nil {
				err = all[i].add(r)
			}
			if err != nil {
				return err
			}
		}
		return all[i].end()
	})
	for i, a := range aggregates {
		h.tables[a] = all[i].partitions
	}
	return h, err
}

// readOn says in the partitions of rule_day which feeds were read of each day, also of days
// without a match.
func (h *history) readOn(inputs []reports.Input) {
	a := detect.RuleDay
	if _, ok := h.tables[a]; !ok {
		return
	}
	for _, day := range h.days(inputs) {
		read := map[string]bool{}
		for i := range inputs {
			if hasRowsOn(&inputs[i], day) {
				read[inputs[i].Feed] = true
			}
		}
		i, ok := slices.BinarySearchFunc(h.tables[a], day, func(p *partition, d detect.Day) int { return cmp.Compare(p.day, d) })
		if !ok {
			h.tables[a] = slices.Insert(h.tables[a], i, &partition{day: day, rows: func(func([]detect.Row, error) bool) {}})
		}
		h.tables[a][i].read = slices.Sorted(maps.Keys(read))
	}
}

// hasRowsOn reports whether the times of a log's rows span a day.
func hasRowsOn(in *reports.Input, day detect.Day) bool {
	return in.Rows > 0 && detect.DayOf(in.First) <= day && day <= detect.DayOf(in.Last)
}
