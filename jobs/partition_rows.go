package jobs

import (
	"cmp"
	"errors"
	"iter"
	"slices"
	"sort"
	"unsafe"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// blockRows is how many rows are passed on at once. A run holds one block for each day
// that it reads.
const blockRows = store.ScratchRows

// rowBlocks are rows in blocks. A block is valid until the next step; its strings stay
// valid. An error ends the rows.
type rowBlocks = iter.Seq2[[]detect.Row, error]

// A partition is one aggregate's rows of one day.
type partition struct {
	day   detect.Day
	feeds []string  // the feeds with rows, sorted
	read  []string  // for a JudgedOnly aggregate: the feeds with logs of the day, even those without rows here
	count int64     // of rows
	rows  rowBlocks // by key; may be ranged over repeatedly and concurrently
	// part returns the rows with the columns named alone. Nil: they come with all.
	part func(only []string) rowBlocks
}

// withFeed adds the feed of a row. Rows come by key, so the rows of a feed are
// adjacent.
func withFeed(feeds []string, feed string) []string {
	if n := len(feeds); n > 0 && feeds[n-1] == feed {
		return feeds
	}
	return append(feeds, feed)
}

// rowsOf yields the rows of the partitions one by one.
func rowsOf(partitions []*partition) iter.Seq2[*detect.Row, error] {
	return func(yield func(*detect.Row, error) bool) {
		for _, p := range partitions {
			for block, err := range p.rows {
				if err != nil {
					yield(nil, err)
					return
				}
				for i := range block {
					if !yield(&block[i], nil) {
						return
					}
				}
			}
		}
	}
}

// merged yields the rows of partitions, which are in the order of their days, by key
// and then day. A block holds all rows of its keys.
func merged(partitions []*partition) rowBlocks {
	if len(partitions) == 1 {
		return partitions[0].rows // one row for each key
	}
	return func(yield func([]detect.Row, error) bool) {
		cursors := make([]cursor, len(partitions))
		tree := detect.NewLoserTree(len(partitions), func(i, j int) bool {
			a, b := cursors[i].rows, cursors[j].rows
			if len(a) == 0 || len(b) == 0 {
				return len(a) > 0
			}
			return cmp.Or(a[0].Key.Compare(b[0].Key), cmp.Compare(i, j)) < 0
		})
		for i, p := range partitions {
			next, stop := iter.Pull2(p.rows)
			defer stop()
			cursors[i].next = next
		}
		for i := range cursors {
			if err := cursors[i].step(); err != nil {
				yield(nil, err)
				return
			}
			tree.Play(i)
		}
		var block []detect.Row
		for len(partitions) > 0 {
			first := tree.Winner()
			rows := cursors[first].rows
			n := len(block)
			if n > 0 && (len(rows) == 0 || n >= blockRows && block[n-1].Key != rows[0].Key) {
				if !yield(block, nil) {
					return
				}
				block = block[:0]
			}
			if len(rows) == 0 {
				return
			}
			block = append(block, rows[0])
			if err := cursors[first].step(); err != nil {
				yield(nil, err)
				return
			}
			tree.Play(first)
		}
	}
}

// A cursor is at the first of its rows; without rows it is at the end.
type cursor struct {
	rows []detect.Row
	next func() ([]detect.Row, error, bool)
}

// step moves to the next row.
func (c *cursor) step() (err error) {
	if len(c.rows) > 0 {
		c.rows = c.rows[1:]
	}
	if len(c.rows) == 0 {
		c.rows, err, _ = c.next()
	}
	return err
}

// heldRows are the rows of partitions in memory. A run that judges a month day by day
// reads a row up to sixty times. Decoding and merging it each time would be most of
// the work.
type heldRows struct {
	rows  []detect.Row // in the order of merged
	ends  []int        // by key: the end of its rows
	texts int64        // bytes
}

const rowBytes = int64(unsafe.Sizeof(detect.Row{}))

// hold returns the rows of the partitions, or nil if they take more than room bytes.
func hold(partitions []*partition, room int64) (*heldRows, error) {
	count := int64(0)
	for _, p := range partitions {
		count += p.count
	}
	if count > room/rowBytes {
		return nil, nil
	}
	columns := store.ColumnsOf[detect.Row]()
	h := &heldRows{rows: make([]detect.Row, 0, count)}
	for block, err := range merged(partitions) {
		if err != nil {
			return nil, err
		}
		for i := range block {
			r := &block[i]
			h.texts += int64(columns.TextBytes(r)) + int64(len(r.Destinations))*int64(unsafe.Sizeof(""))
			if n := len(h.rows); n == 0 || h.rows[n-1].Key != r.Key {
				h.ends = append(h.ends, n)
			}
			h.rows = append(h.rows, *r)
			h.ends[len(h.ends)-1] = len(h.rows)
		}
		if h.size() > room {
			return nil, nil
		}
	}
	return h, nil
}

// size returns the approximate number of bytes held.
func (h *heldRows) size() int64 {
	if h == nil {
		return 0
	}
	return int64(cap(h.rows))*rowBytes + h.texts
}

// byKey yields the series of the days first … last.
func (h *heldRows) byKey(first, last detect.Day) seriesByKey {
	return func(yield func(detect.Key, []detect.Row) bool) {
		begin := 0
		for _, end := range h.ends {
			rows := h.rows[begin:end]
			begin = end
			from := sort.Search(len(rows), func(i int) bool { return rows[i].Day >= first })
			to := sort.Search(len(rows), func(i int) bool { return rows[i].Day > last })
			if from < to && !yield(rows[from].Key, rows[from:to:to]) {
				return
			}
		}
	}
}

// sortedRows are the rows of partitions in the order of merged, in little memory or in a
// temporary file: of days before a judged one only the columns that are read.
type sortedRows struct {
	scratch *store.Scratch[detect.Row]
	blocks  iter.Seq2[[]detect.Row, error]
	part    bool // not all columns

	from, to detect.Day // the days that can be judged by them
}

// newSortedRows returns rows that keep up to room bytes in memory. columns are theirs; nil
// means all.
func newSortedRows(columns []string, room int64) *sortedRows {
	all := store.ColumnsOf[detect.Row]()
	if columns != nil {
		all = all.Only(columns)
	}
	return &sortedRows{scratch: store.NewScratch(int(room), all), part: columns != nil}
}

// add adds the rows of partitions.
func (s *sortedRows) add(partitions []*partition) (err error) {
	for block, err := range merged(partitions) {
		for len(block) > 0 && err == nil {
			n := ofOneKey(block)
			err = s.scratch.AddTogether(block[:n])
			block = block[n:]
		}
		if err != nil {
			return err
		}
	}
	s.blocks, err = s.scratch.Part()
	return err
}

// ofOneKey returns how many rows at the beginning have the same key.
func ofOneKey(rows []detect.Row) int {
	n := 1
	for n < len(rows) && rows[n].Key == rows[0].Key {
		n++
	}
	return n
}

// byKey yields the rows in blocks that hold all rows of their keys.
func (s *sortedRows) byKey(yield func([]detect.Row, error) bool) {
	var long []detect.Row // of a key with more rows than a block
	for block, err := range s.blocks {
		if len(long) > 0 && (err != nil || block[0].Key != long[0].Key) {
			if !yield(long, nil) {
				return
			}
			long = long[:0]
		}
		if err != nil {
			yield(nil, err)
			return
		}
		if len(long) > 0 || len(block) == blockRows && block[0].Key == block[blockRows-1].Key {
			long = append(long, block...)
			continue
		}
		if !yield(block, nil) {
			return
		}
	}
	if len(long) > 0 {
		yield(long, nil)
	}
}

var errSorted = errors.New("the rows of a day are not those that were sorted before")

// on yields the rows, those of a judged day with all columns.
func (s *sortedRows) on(judged *partition) rowBlocks {
	if !s.part {
		return s.byKey
	}
	return func(yield func([]detect.Row, error) bool) {
		next, stop := iter.Pull2(judged.rows)
		defer stop()
		today := cursor{next: next}
		if err := today.step(); err != nil {
			yield(nil, err)
			return
		}
		var of []int // where in the block the judged day's rows are
		for block, err := range s.byKey {
			of = of[:0]
			for i := range block {
				if block[i].Day != judged.day {
					continue
				}
				if len(today.rows) == 0 || today.rows[0].Key != block[i].Key {
					err = errSorted
					break
				}
				block[i] = today.rows[0]
				of = append(of, i)
				if err = today.step(); err != nil {
					break
				}
			}
			if !yield(block, err) || err != nil {
				return
			}
			for _, i := range of { // Scratch.Part wants the other columns back as they were
				block[i] = detect.Row{}
			}
		}
	}
}

// between yields the series of the days first … last.
func between(rows seriesByKey, first, last detect.Day) seriesByKey {
	return func(yield func(detect.Key, []detect.Row) bool) {
		for key, rows := range rows {
			for len(rows) > 0 && rows[0].Day < first {
				rows = rows[1:]
			}
			n := len(rows)
			for n > 0 && rows[n-1].Day > last {
				n--
			}
			if n > 0 && !yield(key, rows[:n:n]) {
				return
			}
		}
	}
}

// seriesByKey yields the series of each key, as detect.Input has them.
type seriesByKey = iter.Seq2[detect.Key, []detect.Row]

// A consumer ranges over the series, once or several times.
type consumer func(rows seriesByKey)

// sideBySide runs consumers of the same rows and reads the rows once for all of them.
// It lets each consumer run up to its next range. When all that have not ended wait
// for rows, it goes over the rows.
func sideBySide(rows rowBlocks, consumers []consumer) error {
	pass := 0
	var block []detect.Row // nil: the pass is at its end
	var running []func() (struct{}, bool)
	for _, consume := range consumers {
		next, stop := iter.Pull(func(wait func(struct{}) bool) {
			consume(func(yield func(detect.Key, []detect.Row) bool) {
				for last := pass; wait(struct{}{}); {
					if pass == last {
						continue // this pass began before the range
					}
					if block == nil {
						return
					}
					for rest := block; len(rest) > 0; {
						n := ofOneKey(rest)
						if !yield(rest[0].Key, rest[:n:n]) {
							return
						}
						rest = rest[n:]
					}
				}
			})
		})
		defer stop()
		running = append(running, next)
	}
	step := func() {
		running = slices.DeleteFunc(running, func(next func() (struct{}, bool)) bool {
			_, more := next()
			return !more
		})
	}
	for step(); len(running) > 0; {
		pass++
		for b, err := range rows {
			if err != nil {
				return err
			}
			block = b
			step()
		}
		block = nil
		step()
	}
	return nil
}
