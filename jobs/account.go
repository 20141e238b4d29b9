package jobs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/logs"
	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// This file counts what was read of each log and accounts for it in inputs.csv.

// An objectTally counts what was read of one object, over all of its logs.
type objectTally struct {
	first, last   detect.Day // of its events; not set without rows
	rows, skipped int64
	whole         bool // it was read to the end
	fault         bool // a fault, not what it holds, kept it from being read to its end
	// copyOf names the object whose log this one is a copy of, if it holds nothing
	// else; its days are those of that object. content is its content, if all of it is
	// known.
	copyOf  string
	content store.Content
	// namesNext says that it has names of connections that may end on the day after last.
	namesNext bool
	// inputs are its lines of inputs.csv if it has no rows. It then belongs to no day,
	// and counts for every span of days.
	inputs []reports.Input
}

// meets reports whether the object may have events on the days first … last.
func (o *objectTally) meets(first, last detect.Day) bool {
	return (o.rows > 0 || o.copyOf != "") && o.first <= last && o.last >= first
}

// matters reports whether the object may matter for the days first … last: it has
// events on them, or names of connections that end on the first.
func (o *objectTally) matters(first, last detect.Day) bool {
	return o.meets(first, last) || o.namesNext && o.meets(first-1, last)
}

// A tally counts what one worker read of one log.
type tally struct {
	logs.Tally
	tables [columnar.NumTables]*tableTally // nil: no rows
}

type tableTally struct {
	rows, outside int64
	first, last   int64
	known         [columnar.NumCols]int64
	// See reports.Input.
	unattributed, unplaced reports.Volume
}

func (w *worker) count(b *columnar.Batch) {
	at := &w.tallies[w.log].tables[b.Table.ID]
	if *at == nil {
		*at = &tableTally{}
	}
	t := *at
	times := b.Int64(columnar.Time)
	for _, us := range times {
		if us < w.o.From || us >= w.o.To {
			t.outside++
		}
	}
	low, high := slices.Min(times), slices.Max(times)
	if t.rows == 0 {
		t.first, t.last = low, high
	}
	t.first, t.last = min(t.first, low), max(t.last, high)
	t.rows += int64(len(times))
	if b.Known(columnar.EventUID) > 0 && w.o.tap == nil {
		w.markRepeats(b)
	}
	for _, c := range b.Table.Cols {
		t.known[c] += int64(b.Known(c))
	}
	w.countNobody(b, &t.unattributed)
	// Calls of a cloud API need no destination: most are the company's own use of it.
	switch {
	case b.Known(columnar.BytesOut) == 0:
	case b.Table == columnar.HTTP && w.lacking(b, columnar.URLHost):
		w.countLacking(b, &t.unplaced, 1, [3][]bool{}, columnar.URLHost)
	case b.Table == columnar.Network && w.lacking(b, columnar.DstIP, columnar.DstHost):
		w.countLacking(b, &t.unplaced, 1, [3][]bool{}, columnar.DstIP, columnar.DstHost)
	}
}

// countNobody adds the rows within the bounds that name no user, address or host.
func (w *worker) countNobody(b *columnar.Batch, v *reports.Volume) {
	entity := [...]columnar.Col{columnar.User, columnar.Host, columnar.SrcIP}
	if b.Known(columnar.SrcIP) == b.Len() {
		return
	}
	var nobody [len(entity)][]bool
	for i := range w.nobody {
		if w.o.want.Cols.Has(entity[i]) {
			_, dict := b.Codes(entity[i])
			nobody[i] = w.nobody[i].Of(dict)
		}
	}
	if w.blank || w.lacking(b, entity[:]...) {
		w.countLacking(b, v, 0, nobody, entity[:]...)
	}
}

// lacking reports whether a row may have no value in any of the columns. All of them
// must be read.
func (w *worker) lacking(b *columnar.Batch, columns ...columnar.Col) bool {
	for _, c := range columns {
		if b.Known(c) == b.Len() || !w.o.want.Cols.Has(c) {
			return false
		}
	}
	return true
}

// countLacking adds the rows within the bounds that have no value in any of the
// columns, which are Dictionary columns, and at least least bytes out. none[i], if not
// nil, says by code which values of column i count as none.
func (w *worker) countLacking(b *columnar.Batch, v *reports.Volume, least int64, none [3][]bool, columns ...columnar.Col) {
	out, in := b.Int64(columnar.BytesOut), b.Int64(columnar.BytesIn)
	var codes [3][]int32
	for i, c := range columns {
		codes[i], _ = b.Codes(c)
	}
rows:
	for i, us := range b.Int64(columnar.Time) {
		for k, c := range codes[:len(columns)] {
			if code := c[i]; code != 0 && (none[k] == nil || !none[k][code]) { // 0 is ""
				continue rows
			}
		}
		if us >= w.o.From && us < w.o.To && out[i] >= least { // copies too: which is one depends on other logs
			v.Add(reports.Volume{Rows: 1, BytesOut: out[i], BytesIn: in[i]})
		}
	}
}

// account combines the counts of the workers.
func account(workers []*worker, shared []*sharedLog, eachLog bool, o *foldOptions) *folded {
	out := &folded{options: &o.FoldOptions, trace: o.trace, workers: workers, objects: map[string]*objectTally{}}
	for _, m := range shared {
		var t tally
		for _, w := range workers {
			if u := w.tallies[m]; u != nil {
				t.add(u)
			}
		}
		m.ask(&t)
		inputs := m.inputs(&t)
		out.inputs = append(out.inputs, inputs...)
		o := out.objects[m.source.object.Name]
		if o == nil {
			o = &objectTally{whole: true}
			out.objects[m.source.object.Name] = o
		}
		o.namesNext = o.namesNext || m.namesNext
		if o.add(m, &t); o.rows == 0 {
			o.inputs = append(o.inputs, inputs...)
		} else {
			o.inputs = nil
		}
	}
	for _, w := range workers {
		w.tallies = nil
	}
	slices.SortFunc(out.inputs, inputOrder)
	if out.eachLog = eachLog; eachLog && o.task == nil {
		sayEachLog(out.inputs, func(string) bool { return true })
	}
	return out
}

// sayEachLog says in the inputs of feeds, once a feed, that copies of events were found
// within a log alone.
func sayEachLog(inputs []reports.Input, of func(feed string) bool) {
	said := map[string]bool{}
	for i := range inputs {
		if in := &inputs[i]; in.Known[columnar.EventUID] > 0 && !said[in.Feed] && of(in.Feed) {
			said[in.Feed] = true
			in.Reasons = append(in.Reasons, fmt.Sprintf("too many events with ids for the memory of the run: copies of them in other logs, or beyond a log's first %d records, count again", leastEvents))
		}
	}
}

// inputOrder is the order of the lines of inputs.csv.
func inputOrder(a, b reports.Input) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Feed, b.Feed), cmp.Compare(a.Table, b.Table))
}

// add adds what was read of one log.
func (o *objectTally) add(m *sharedLog, t *tally) {
	switch status, err := m.status(t); status {
	case reports.Unreadable, reports.Damaged:
		o.whole = false
		o.fault = o.fault || m.source.fails(err)
	}
	o.skipped += t.Skipped
	for _, tt := range t.tables {
		if tt == nil {
			continue
		}
		first, last := detect.DayOf(tt.first), detect.DayOf(tt.last)
		if o.rows == 0 {
			o.first, o.last = first, last
		}
		o.first, o.last = min(o.first, first), max(o.last, last)
		o.rows += tt.rows
	}
}

func (t *tally) add(u *tally) {
	t.Tally.Add(&u.Tally)
	for i, b := range u.tables {
		a := t.tables[i]
		if a == nil || b == nil {
			t.tables[i] = cmp.Or(a, b)
			continue
		}
		a.first, a.last = min(a.first, b.first), max(a.last, b.last)
		a.rows += b.rows
		a.outside += b.outside
		a.unattributed.Add(b.unattributed)
		a.unplaced.Add(b.unplaced)
		for c := range a.known {
			a.known[c] += b.known[c]
		}
	}
}

// status returns how far a log was understood, and why it was not.
func (m *sharedLog) status(t *tally) (s reports.Status, err error) {
	err = m.Err
	if failed := m.failed.Load(); failed != nil {
		err = *failed
	}
	var noLog logs.NotLog
	switch {
	case errors.As(err, &noLog):
		return reports.NoLog, err
	case errors.Is(err, logs.ErrEmpty):
		return reports.Empty, err
	case errors.Is(err, logs.ErrUnknown):
		return reports.Unknown, err
	case err != nil && t.Records > 0:
		return reports.Damaged, err
	case err != nil:
		return reports.Unreadable, err
	case t.Skipped > 0 && t.Skipped >= t.Records-t.Skipped:
		return reports.Malformed, nil
	case t.Other > 0 && t.Rows == 0 && len(t.Kinds) == 0:
		return reports.Unnamed, nil
	case slices.ContainsFunc(unreadCells(t), func(u reports.Unread) bool { return 2*u.Cells >= u.Of }):
		return reports.Malformed, nil
	}
	return reports.Read, nil
}

// known returns how many rows have a value of a column.
func (t *tally) known(c columnar.Col) (n int64) {
	for _, tt := range t.tables {
		if tt != nil {
			n += tt.known[c]
		}
	}
	return n
}

// unreadCells returns the columns that detections need, or that say whose a row is, with
// cells that could not be read.
func unreadCells(t *tally) (out []reports.Unread) {
	if len(t.Cleared) == 0 {
		return nil
	}
	needed := columnar.ColSet(columnar.User, columnar.SrcIP, columnar.Host)
	for _, d := range detect.All() {
		needed |= d.Needs
	}
	for _, r := range t.Cleared {
		if !needed.Has(r.Col) {
			continue
		}
		at, ok := slices.BinarySearchFunc(out, r.Col, func(u reports.Unread, c columnar.Col) int { return cmp.Compare(u.Col, c) })
		if !ok {
			out = slices.Insert(out, at, reports.Unread{Col: r.Col, First: r.First, Sample: r.Sample})
		}
		u := &out[at]
		if u.Cells += r.Count; r.First < u.First {
			u.First, u.Sample = r.First, r.Sample
		}
		u.Of = u.Cells + t.known(u.Col)
	}
	return out
}

// kinds returns the kinds of other records of a log, the most frequent first. Kinds
// that were not listed for lack of room are "other".
func kinds(t *logs.Tally) []reports.Kind {
	var out []reports.Kind
	for _, k := range t.Kinds {
		out = append(out, reports.Kind(k))
	}
	slices.SortStableFunc(out, func(a, b reports.Kind) int { return cmp.Compare(b.Count, a.Count) })
	if t.Unlisted > 0 {
		out = append(out, reports.Kind{Name: "other", Count: t.Unlisted})
	}
	return out
}

// inputs returns the lines of inputs.csv for a log: one for each table with rows, by
// name. The first line has everything that belongs to no table.
func (m *sharedLog) inputs(t *tally) []reports.Input {
	first := reports.Input{Name: m.Name, Feed: m.feed, Size: m.Size, Records: t.Records, Other: t.Other, Skipped: t.Skipped, Masked: t.Masked, Kinds: kinds(&t.Tally), Unread: unreadCells(t)}
	if m.Format != nil {
		first.Format = m.Format.Name
	}
	if m.failed.Load() != nil && t.Records == 0 {
		first.Size = 0 // how much was read until a decoder refused it is chance
	}
	var err error
	if first.Status, err = m.status(t); err != nil {
		first.Error = strings.TrimPrefix(err.Error(), m.Name+": ")
		var noLog logs.NotLog
		if errors.As(err, &noLog) {
			first.NoLog = string(noLog)
		}
	}
	if k := m.content; k != nil && k.of != nil {
		of, _ := k.root()
		first.CopyOf = of.member.Name
		first.Reasons = append(first.Reasons, k.describe())
	} else if k != nil && k.holds != nil {
		first.Reasons = append(first.Reasons, "begins with all of "+k.holds.member.Name+", which counts too")
	}
	for _, reasons := range [][]logs.Reason{t.Reasons, t.Cleared} {
		slices.SortFunc(reasons, func(a, b logs.Reason) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.First, b.First), cmp.Compare(a.Text, b.Text))
		})
		for _, r := range reasons[:min(len(reasons), maxReasons)] {
			first.Reasons = append(first.Reasons, r.String())
		}
	}
	for _, r := range t.Reasons {
		first.Faults = append(first.Faults, reports.Kind{Name: r.Text, Count: r.Count})
	}
	var out []reports.Input
	for i, tt := range t.tables {
		if tt == nil {
			continue
		}
		in := reports.Input{Name: m.Name, Feed: m.feed, Format: first.Format, Size: m.Size, Table: columnar.Tables[i].Name, Status: first.Status}
		in.Unattributed, in.Unplaced = tt.unattributed, tt.unplaced
		in.Rows, in.Outside, in.Repeated, in.First, in.Last = tt.rows, tt.outside, m.repeated[i], tt.first, tt.last
		in.Known = map[columnar.Col]int64{}
		for _, c := range columnar.Tables[i].Cols {
			in.Known[c] = tt.known[c]
		}
		out = append(out, in)
	}
	if len(out) == 0 {
		return []reports.Input{first}
	}
	slices.SortFunc(out, func(a, b reports.Input) int { return cmp.Compare(a.Table, b.Table) })
	out[0].Records, out[0].Other, out[0].Skipped, out[0].Masked = first.Records, first.Other, first.Skipped, first.Masked
	out[0].Reasons, out[0].Faults, out[0].Error, out[0].Kinds, out[0].Unread = first.Reasons, first.Faults, first.Error, first.Kinds, first.Unread
	return out
}

// maxReasons is how many reasons for skipped records an input lists, and how many for
// cells that were left empty. More would make the report unreadable; a single one
// could hide the one that matters.
const maxReasons = 3
