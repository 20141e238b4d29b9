package jobs

import (
	"cmp"
	"errors"
	"iter"
	"slices"
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

// series yields the series for a scope.
func (h *heldRows) series(p scope) seriesByKey {
	return func(yield func(detect.Key, []detect.Row) bool) {
		begin := 0
		for _, end := range h.ends {
			rows := p.clip(h.rows[begin:end])
			begin = end
			if len(rows) > 0 && p.wants(rows[0].Key) && !yield(rows[0].Key, rows) {
				return
			}
		}
	}
}

// sortedRows are the rows of partitions in the order of merged, in little memory or in a
// temporary file: of days before a judged one only the columns that are read.
type sortedRows struct {
	scratch *store.Scratch[detect.Row]
	blocks  store.Blocks[detect.Row]
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

// byKey yields the rows that are needed in blocks that hold all rows of their keys.
func (s *sortedRows) byKey(needed store.Needed[detect.Row]) rowBlocks {
	return func(yield func([]detect.Row, error) bool) {
		var long []detect.Row // of a key with more rows than a block
		for block, err := range s.blocks(needed) {
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
}

var errSorted = errors.New("the rows of a day are not those that were sorted before")

// on returns the rows, those of a judged day with all columns.
func (s *sortedRows) on(judged *partition) rowSource {
	if !s.part { // the judged day's lists are among them
		return func(needed store.Needed[detect.Row]) rowBlocks {
			needed.NoLists = false
			return s.byKey(needed)
		}
	}
	return func(needed store.Needed[detect.Row]) rowBlocks {
		return func(yield func([]detect.Row, error) bool) {
			next, stop := iter.Pull2(judged.rows)
			defer stop()
			today := cursor{next: next}
			if err := today.step(); err != nil {
				yield(nil, err)
				return
			}
			var of []int // where in the block the judged day's rows are
			for block, err := range s.byKey(needed) {
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
				for _, i := range of { // store.Blocks wants the other columns back as they were
					block[i] = detect.Row{}
				}
			}
		}
	}
}

// A rowSource returns rows, at least those that are needed.
type rowSource = func(store.Needed[detect.Row]) rowBlocks

// seriesByKey yields the series of each key, as detect.Input has them.
type seriesByKey = iter.Seq2[detect.Key, []detect.Row]

// A scope is what is needed of the series: the days, and what a pass needs.
type scope struct {
	detect.Pass
	first, last detect.Day
}

// clip returns the rows of a series that are of the days of the scope.
func (p *scope) clip(rows []detect.Row) []detect.Row {
	for len(rows) > 0 && rows[0].Day < p.first {
		rows = rows[1:]
	}
	n := len(rows)
	for n > 0 && rows[n-1].Day > p.last {
		n--
	}
	return rows[:n:n]
}

// wants reports whether a key is needed.
func (p *scope) wants(k detect.Key) bool { return p.Keys == nil || p.Keys(k) }

// of returns a function that returns the series for the passes of a detection that judges a day.
func (series seriesFor) of(d *detect.Detection, day detect.Day) func(detect.Pass) seriesByKey {
	return func(p detect.Pass) seriesByKey { return series(scope{p, day - detect.Day(d.History), day}) }
}

// seriesFor returns the series for a scope.
type seriesFor func(scope) seriesByKey

// A consumer ranges over series, once or several times.
type consumer func(series seriesFor)

// A reader is the state of a consumer.
type reader struct {
	scope   scope
	reading bool // it began the pass before the rows came, and has not ended it
	more    func() (struct{}, bool)
	// What scope.Keys has answered for keys that have not come yet, and for the last.
	asked   detect.Key
	answers []bool
	answer  bool
	any     bool // a key was asked
}

func (r *reader) begin(p scope) { r.scope, r.answers, r.any = p, r.answers[:0], false }

// need returns a bit for each of the rows of a key that the reader needs. Rows of a key may
// come in several parts.
func (r *reader) need(rows []detect.Row) (bits uint64) {
	for i := range rows {
		if d := rows[i].Day; r.scope.first <= d && d <= r.scope.last {
			bits |= 1 << i
		}
	}
	if bits == 0 || r.scope.Keys == nil {
		return bits
	}
	if k := rows[0].Key; !r.any || k != r.asked {
		r.asked, r.any, r.answer = k, true, r.scope.Keys(k)
		r.answers = append(r.answers, r.answer)
	}
	if !r.answer {
		return 0
	}
	return bits
}

// wants reports whether the reader needs a key that comes.
func (r *reader) wants(k detect.Key) (answer bool) {
	if len(r.answers) == 0 {
		return r.scope.wants(k)
	}
	answer = r.answers[0]
	r.answers = r.answers[1:]
	return answer
}

// sideBySide runs consumers of the same rows and reads the rows once for all of them.
// It lets each consumer run up to its next range. When all that have not ended wait
// for rows, it goes over the rows.
func sideBySide(rows rowSource, consumers []consumer) error {
	turn := 0
	var block []detect.Row // nil: the turn is at its end
	var ends []int         // where in it the rows of each key end
	var running []*reader
	for _, consume := range consumers {
		r := &reader{}
		more, stop := iter.Pull(func(wait func(struct{}) bool) {
			consume(func(p scope) seriesByKey {
				return func(yield func(detect.Key, []detect.Row) bool) {
					r.begin(p)
					defer func() { r.reading = false }()
					for last := turn; wait(struct{}{}); {
						if turn == last {
							continue // this turn began before the range
						}
						if block == nil {
							return
						}
						begin := 0
						for _, end := range ends {
							series := r.scope.clip(block[begin:end])
							begin = end
							if len(series) > 0 && r.wants(series[0].Key) && !yield(series[0].Key, series) {
								return
							}
						}
					}
				}
			})
		})
		defer stop()
		r.more = more
		running = append(running, r)
	}
	step := func() {
		running = slices.DeleteFunc(running, func(r *reader) bool {
			_, more := r.more()
			return !more
		})
	}
	needed := store.Needed[detect.Row]{
		Head: 1 + len(store.ColumnsOf[detect.Key]().Names()), // day and key
		Rows: func(block []detect.Row) (bits uint64) {
			for at := 0; at < len(block); {
				n := ofOneKey(block[at:])
				for _, r := range running {
					if r.reading {
						bits |= r.need(block[at:at+n]) << at
					}
				}
				at += n
			}
			return bits
		},
	}
	for step(); len(running) > 0; {
		turn++
		needed.NoLists = true
		for _, r := range running {
			r.reading = true
			needed.NoLists = needed.NoLists && r.scope.NoLists
		}
		for b, err := range rows(needed) {
			if err != nil {
				return err
			}
			block, ends = b, ends[:0]
			for at := 0; at < len(b); {
				at += ofOneKey(b[at:])
				ends = append(ends, at)
			}
			step()
		}
		block = nil
		step()
	}
	return nil
}
