package jobs

import (
	"cmp"
	"iter"
	"slices"
	"sort"
	"unsafe"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// blockRows is how many rows are handed on at once. A run holds one block for each
// day that it looks at.
const blockRows = store.ScratchRows

// rowBlocks are rows in blocks. A block is valid until the next step, the texts in
// it for good. An error ends the rows.
type rowBlocks = iter.Seq2[[]detect.Row, error]

// A part is what one day has of an aggregate.
type part struct {
	day   detect.Day
	feeds []string  // that it has rows of, sorted
	count int64     // of rows
	rows  rowBlocks // by key; may be ranged over again, and by several at a time
}

// withFeed adds the feed of a row. Rows come by key, so those of a feed follow one
// another.
func withFeed(feeds []string, feed string) []string {
	if n := len(feeds); n > 0 && feeds[n-1] == feed {
		return feeds
	}
	return append(feeds, feed)
}

// rowsOf yields the rows of parts one by one.
func rowsOf(parts []*part) iter.Seq2[*detect.Row, error] {
	return func(yield func(*detect.Row, error) bool) {
		for _, p := range parts {
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

// merged yields the rows of parts, which are in the order of their days, by key
// and then day. A block holds all the rows of its keys.
func merged(parts []*part) rowBlocks {
	if len(parts) == 1 {
		return parts[0].rows // one row a key
	}
	return func(yield func([]detect.Row, error) bool) {
		m := merger{cursors: make([]cursor, len(parts)), losers: slices.Repeat([]int{-1}, len(parts))}
		for i, p := range parts {
			next, stop := iter.Pull2(p.rows)
			defer stop()
			m.cursors[i].next = next
		}
		for i := range m.cursors {
			if err := m.advance(i); err != nil {
				yield(nil, err)
				return
			}
		}
		var block []detect.Row
		for len(parts) > 0 {
			first := m.losers[0]
			rows := m.cursors[first].rows
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
			if err := m.advance(first); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// A merger is a tree of losers: of the first rows of its cursors it knows the
// least, and for each node between it and them which one lost there. So the row
// after the least is found with one comparison a level.
type merger struct {
	cursors []cursor
	losers  []int // [0] is the winner; -1 where nobody has played
}

// A cursor is at the first of its rows; without rows it is at its end.
type cursor struct {
	rows []detect.Row
	next func() ([]detect.Row, error, bool)
}

// advance moves a cursor to its next row and finds the new winner.
func (m *merger) advance(i int) error {
	c := &m.cursors[i]
	if len(c.rows) > 0 {
		c.rows = c.rows[1:]
	}
	if len(c.rows) == 0 {
		rows, err, _ := c.next()
		if err != nil {
			return err
		}
		c.rows = rows
	}
	for node := (i + len(m.cursors)) / 2; node > 0; node /= 2 {
		switch loser := m.losers[node]; {
		case loser < 0:
			m.losers[node] = i // waits for its opponent
			return nil
		case m.before(loser, i):
			m.losers[node], i = i, loser
		}
	}
	m.losers[0] = i
	return nil
}

func (m *merger) before(i, j int) bool {
	a, b := m.cursors[i].rows, m.cursors[j].rows
	if len(a) == 0 || len(b) == 0 {
		return len(a) > 0
	}
	return cmp.Or(a[0].Key.Compare(b[0].Key), cmp.Compare(i, j)) < 0
}

// held are the rows of parts in memory. A run that judges a month day by day looks
// at a row up to sixty times, which is most of its work if each time it is decoded
// and merged.
type held struct {
	rows  []detect.Row // as merged has them
	ends  []int        // of each key's rows
	texts int64        // bytes
}

const rowBytes = int64(unsafe.Sizeof(detect.Row{}))

// hold returns the rows of parts, or nil if they take more bytes than there is
// room for.
func hold(parts []*part, room int64) (*held, error) {
	count := int64(0)
	for _, p := range parts {
		count += p.count
	}
	if count > room/rowBytes {
		return nil, nil
	}
	columns := store.ColumnsOf[detect.Row]()
	h := &held{rows: make([]detect.Row, 0, count)}
	for block, err := range merged(parts) {
		if err != nil {
			return nil, err
		}
		for i := range block {
			r := &block[i]
			h.texts += int64(columns.TextBytes(r))
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

// size is about how many bytes are held.
func (h *held) size() int64 {
	if h == nil {
		return 0
	}
	return int64(cap(h.rows))*rowBytes + h.texts
}

// series yields the rows of days first … last.
func (h *held) series(first, last detect.Day) series {
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

// A series is the rows of a table by key, as detect.Input has them.
type series = iter.Seq2[detect.Key, []detect.Row]

// A judge ranges over a series, once or several times.
type judge func(rows series)

// sideBySide calls judges that range over the same rows, and reads these once for
// all of them: it lets each run up to its next range, and when all that have not
// ended want the rows, goes over them.
func sideBySide(rows rowBlocks, judges []judge) error {
	pass := 0
	var block []detect.Row // nil: the pass is at its end
	var running []func() (struct{}, bool)
	for _, judge := range judges {
		next, stop := iter.Pull(func(wait func(struct{}) bool) {
			judge(func(yield func(detect.Key, []detect.Row) bool) {
				for last := pass; wait(struct{}{}); {
					if pass == last {
						continue // it has begun without this range
					}
					if block == nil {
						return
					}
					for rest := block; len(rest) > 0; {
						n := 1
						for n < len(rest) && rest[n].Key == rest[0].Key {
							n++
						}
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
