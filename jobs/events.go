package jobs

import (
	"hash/maphash"
	"math/bits"
	"sync"

	"outflow/columnar"
)

// This file finds events that were delivered more than once, by the source's own ids:
// services deliver at least once, and a copy may stand in another object than the event.

// An eventSet holds the events of a run that have an id, or of one log where a run has too
// many. A copy of an event has its id, table, time and feed. Copies are equal, and what
// folds them counts none twice, so it does not matter which is met first.
//
// Of each event it keeps a hash of 64 bits: among three million, the chance that one is
// taken for a copy of another is 1 in four million.
type eventSet struct {
	mu     sync.Mutex
	hashes []uint64 // a table: its size is a power of two, 0 is free
	of     []uint32 // by place in hashes: the index in logs of the log that keeps the event
	n      int      // number of events in hashes
	limit  int      // the greatest n
	logs   []*sharedLog
}

const (
	// leastEvents is how many events the set of a run takes at least, and how many records
	// of one log are checked if a run has too many.
	leastEvents = 1 << 20
	// eventShare: the events of a run may take 1/eventShare of the memory. With more, the
	// aggregates would have less; with less, only small runs would find copies in other
	// objects.
	eventShare = 5
	// eventMemory is what a place of the table takes, in bytes.
	eventMemory = 8 + 4
)

// newEventSet returns the set of a run that may use memory bytes.
func newEventSet(memory int64) *eventSet {
	slots := 1 << (bits.Len64(uint64(memory/eventShare/eventMemory)|1) - 1)
	return &eventSet{limit: max(slots/4*3, leastEvents)}
}

// eventSeed belongs to this process. Nobody who does not know it can make ids whose
// hashes collide.
var eventSeed = maphash.MakeSeed()

// appendEventHashes appends a hash of each event of b, 0 for those without an id. feed is a
// hash of the feed that they are from.
func appendEventHashes(to []uint64, b *columnar.Batch, feed uint64) []uint64 {
	offsets, ids := b.Texts(columnar.EventUID)
	for i, us := range b.Int64(columnar.Time) {
		id := ids[offsets[i]:offsets[i+1]]
		if len(id) == 0 {
			to = append(to, 0)
			continue
		}
		// Some services number the events of each table, or of each day.
		h := maphash.Bytes(eventSeed, id) ^ feed ^ (uint64(us)+uint64(b.Table.ID)<<60)*0x9e3779b97f4a7c15
		to = append(to, max(h, 1))
	}
	return to
}

// mark marks the rows of a batch of log whose event was met before. hashes are those of
// the batch. It reports false if there are more events than the set takes.
func (s *eventSet) mark(b *columnar.Batch, log *sharedLog, hashes []uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.logs) == 0 || s.logs[log.eventLog] != log {
		log.eventLog = uint32(len(s.logs))
		s.logs = append(s.logs, log)
	}
	var marks []byte
	for i, h := range hashes {
		if h == 0 {
			continue
		}
		if 4*s.n >= 3*len(s.hashes) {
			s.grow()
		}
		at := s.place(h)
		if s.hashes[at] == 0 {
			s.hashes[at], s.of[at] = h, log.eventLog
			s.n++
			continue
		}
		if marks == nil {
			marks = make([]byte, (b.Len()+7)/8)
		}
		marks[i>>3] |= 1 << (i & 7)
		// The first log in their order keeps it, so that the counts of each log do not depend
		// on which is read first.
		again := log
		if first := s.logs[s.of[at]]; log.before(first) {
			s.of[at] = log.eventLog
			again = first
		}
		again.repeated[b.Table.ID]++
	}
	if marks != nil {
		b.Repeat = marks
	}
	return s.n <= s.limit
}

// place returns where a hash is, or the free place for it.
func (s *eventSet) place(hash uint64) uint64 {
	mask := uint64(len(s.hashes) - 1)
	i := hash & mask
	for s.hashes[i] != 0 && s.hashes[i] != hash {
		i = (i + 1) & mask
	}
	return i
}

// grow doubles the table.
func (s *eventSet) grow() {
	hashes, of := s.hashes, s.of
	n := max(2*len(hashes), 1<<10)
	s.hashes, s.of = make([]uint64, n), make([]uint32, n)
	for i, h := range hashes {
		if h != 0 {
			at := s.place(h)
			s.hashes[at], s.of[at] = h, of[i]
		}
	}
}

// markRepeats marks the rows of a batch whose event was met before, in any log of the run
// or, where it has too many events, in this one.
func (w *worker) markRepeats(b *columnar.Batch) {
	log := w.log
	w.hashes = appendEventHashes(w.hashes[:0], b, maphash.String(eventSeed, log.feed))
	if w.events != nil {
		if !w.events.mark(b, log, w.hashes) {
			w.tooMany()
		}
		return
	}
	for i := range w.hashes {
		if b.First+int64(b.Record[i]) > leastEvents {
			w.hashes = w.hashes[:i]
			break
		}
	}
	log.events.mark(b, log, w.hashes)
}
