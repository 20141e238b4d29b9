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
		cursors := make([]cursor, len(parts))
		tree := newLosers(len(parts), func(i, j int) bool {
			a, b := cursors[i].rows, cursors[j].rows
			if len(a) == 0 || len(b) == 0 {
				return len(a) > 0
			}
			return cmp.Or(a[0].Key.Compare(b[0].Key), cmp.Compare(i, j)) < 0
		})
		for i, p := range parts {
			next, stop := iter.Pull2(p.rows)
			defer stop()
			cursors[i].next = next
		}
		for i := range cursors {
			if err := cursors[i].step(); err != nil {
				yield(nil, err)
				return
			}
			tree.play(i)
		}
		var block []detect.Row
		for len(parts) > 0 {
			first := tree.winner()
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
			tree.play(first)
		}
	}
}

// A losers is a tree of sources that are in order: it knows whose first is the least,
// and for each node between it and the sources who lost there. So the next one is
// found with one comparison a level.
type losers struct {
	nodes  []int // [0] is the winner; -1 where nobody has played
	before func(i, j int) bool
}

// newLosers returns a tree of n sources, each of which has to play before there is a
// winner. before reports whether the first of one comes before that of another; a
// source that has ended comes last.
func newLosers(n int, before func(i, j int) bool) *losers {
	return &losers{slices.Repeat([]int{-1}, n), before}
}

// winner returns the source whose first is the least.
func (l *losers) winner() int { return l.nodes[0] }

// play takes in that a source, the winner but for the first time, has another first.
func (l *losers) play(i int) {
	for node := (i + len(l.nodes)) / 2; node > 0; node /= 2 {
		switch loser := l.nodes[node]; {
		case loser < 0:
			l.nodes[node] = i // waits for its opponent
			return
		case l.before(loser, i):
			l.nodes[node], i = i, loser
		}
	}
	l.nodes[0] = i
}

// A cursor is at the first of its rows; without rows it is at its end.
type cursor struct {
	rows []detect.Row
	next func() ([]detect.Row, error, bool)
}

// step goes to the next row.
func (c *cursor) step() (err error) {
	if len(c.rows) > 0 {
		c.rows = c.rows[1:]
	}
	if len(c.rows) == 0 {
		c.rows, err, _ = c.next()
	}
	return err
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
