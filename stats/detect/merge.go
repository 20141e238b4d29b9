package detect

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/bits"
	"slices"

	"github.com/zeebo/xxh3"
)

// Runs bring together what workers fold. Each worker writes its tables as records in
// the order of their keys, and the runs of all workers are merged into rows. A table
// that grows over its budget is written as a run and starts empty again, so memory is
// bounded by the budget and not by the number of keys.

// A RunWriter writes one run, divided into shards by entity. All tables with the same
// seed put a day of an entity into the same shard, so shards can be merged in parallel. A
// record is, with numbers as uvarints:
//
//	length of the key's common prefix with the key before, length of the rest, the rest,
//	sequence number, length of the value, the value
//
// Records are in the order of key and then sequence number.
type RunWriter struct {
	seed   uint64
	shards []runShard
	last   *runShard // of the record before
	entity int       // length of its key up to the end of the entity; 0: there is one shard
	err    error
}

type runShard struct {
	w   io.Writer
	buf []byte
	key []byte // of the record before
}

// NewRunWriter returns a writer of a run to its shards, one writer each. seed is
// FoldOptions.Seed.
func NewRunWriter(seed uint64, shards ...io.Writer) *RunWriter {
	w := &RunWriter{seed: seed, shards: make([]runShard, len(shards))}
	for i := range shards {
		w.shards[i].w = shards[i]
	}
	w.last = &w.shards[0]
	if len(shards) > 1 {
		w.entity = math.MaxInt
	}
	return w
}

// twinRecords holds back the records of several slots that have the same key, and
// writes them in the order of their sequence numbers.
type twinRecords struct {
	key, values []byte
	held        []twinRecord
}

type twinRecord struct {
	seq      uint64
	from, to int // in values
}

// next begins a slot. Its key may equal that of the slot before.
func (t *twinRecords) next(w *RunWriter, key []byte) {
	if !bytes.Equal(t.key, key) {
		t.end(w)
		t.key = append(t.key[:0], key...)
	}
}

// record holds a record of the slot.
func (t *twinRecords) record(_ []byte, seq uint64, value []byte) {
	from := len(t.values)
	t.values = append(t.values, value...)
	t.held = append(t.held, twinRecord{seq, from, len(t.values)})
}

// end writes what is held.
func (t *twinRecords) end(w *RunWriter) {
	slices.SortStableFunc(t.held, func(a, b twinRecord) int { return cmp.Compare(a.seq, b.seq) })
	for _, r := range t.held {
		w.record(t.key, r.seq, t.values[r.from:r.to])
	}
	t.values, t.held = t.values[:0], t.held[:0]
}

// runBuffer is how many bytes of a shard are written at once.
const runBuffer = 64 << 10

func (w *RunWriter) record(key []byte, seq uint64, value []byte) {
	s := w.last
	shared := commonPrefix(key, s.key)
	if shared < w.entity {
		w.entity = entityEnd(key)
		s = &w.shards[shardOf(key[:w.entity], w.seed, len(w.shards))]
		if s != w.last {
			w.last, shared = s, commonPrefix(key, s.key)
		}
	}
	s.key = append(s.key[:shared], key[shared:]...)
	s.buf = binary.AppendUvarint(s.buf, uint64(shared))
	s.buf = appendBytes(s.buf, key[shared:])
	s.buf = binary.AppendUvarint(s.buf, seq)
	s.buf = appendBytes(s.buf, value)
	if len(s.buf) >= runBuffer {
		w.flush(s)
	}
}

// shardOf returns which of n shards has the records whose keys begin with that of an entity.
func shardOf(entity []byte, seed uint64, n int) int {
	return int(xxh3.HashSeed(entity, seed) % uint64(n))
}

func (w *RunWriter) flush(s *runShard) {
	if _, err := s.w.Write(s.buf); w.err == nil {
		w.err = err
	}
	s.buf = s.buf[:0]
}

// Close writes what is left and returns the first error.
func (w *RunWriter) Close() error {
	for i := range w.shards {
		w.flush(&w.shards[i])
	}
	return w.err
}

// commonPrefix returns the length of the longest common prefix of a and b.
func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

func appendBytes(b, v []byte) []byte { return append(binary.AppendUvarint(b, uint64(len(v))), v...) }

// appendKey appends the key of an entity in a section, without the object, which
// appendKeyText adds. The encoded bytes sort by day and then key.
func (e *entities) appendKey(b []byte, at sectionKey, who uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(at.day)^1<<31)
	b = appendKeyText(b, []byte(at.feed))
	b = appendKeyText(b, []byte(entityKind(who&3).String()))
	return appendKeyText(b, e.name(who))
}

// entityEnd returns the offset of the object in a key of appendKey.
func entityEnd(key []byte) int {
	at := 4
	for range 3 { // feed, type and entity
		for {
			at += bytes.IndexByte(key[at:], 0) + 2
			if key[at-1] == 1 {
				break
			}
		}
	}
	return at
}

func appendKeyText(b, s []byte) []byte {
	for {
		zero := bytes.IndexByte(s, 0)
		if zero < 0 {
			return append(append(b, s...), 0, 1)
		}
		b = append(append(b, s[:zero]...), 0, 0xff)
		s = s[zero+1:]
	}
}

// errRun reports a run that no RunWriter wrote: its file was changed.
var errRun = errors.New("a temporary file of the run is damaged")

// dayOfKey returns the day of a key of appendKey.
func dayOfKey(key []byte) Day { return Day(binary.BigEndian.Uint32(key) ^ 1<<31) }

// A keyParser parses keys. Most keys differ from the one before only in the object.
type keyParser struct {
	last  [4]string
	plain []byte
}

func (p *keyParser) parse(b []byte) (day Day, k Key, err error) {
	if len(b) < 4 {
		return 0, Key{}, errRun
	}
	day = dayOfKey(b)
	b = b[4:]
	for i := range p.last {
		p.plain = p.plain[:0]
		for {
			zero := bytes.IndexByte(b, 0)
			if zero < 0 || zero+1 == len(b) {
				return 0, Key{}, errRun
			}
			p.plain = append(p.plain, b[:zero]...)
			end := b[zero+1] == 1
			b = b[zero+2:]
			if end {
				break
			}
			p.plain = append(p.plain, 0)
		}
		if p.last[i] != string(p.plain) {
			p.last[i] = string(p.plain)
		}
	}
	return day, Key{Feed: p.last[0], EntityType: p.last[1], Entity: p.last[2], Object: p.last[3]}, nil
}

// A runReader is at one record of a run.
type runReader struct {
	r     io.Reader
	buf   []byte // grows to the largest record
	at    int    // buf[at:] is not read yet
	err   error  // why r ended
	rank  uint64 // see rankAfter; runEnd if there is no record
	key   []byte
	seq   uint64
	value []byte // in buf
}

func newRunReader(r io.Reader, size int) *runReader {
	return &runReader{r: r, buf: make([]byte, 0, size)}
}

// next moves to the next record or the end.
func (r *runReader) next() error {
	if !r.have(1) {
		if r.err != io.EOF {
			return r.err
		}
		r.rank = runEnd
		return nil
	}
	shared, rest := r.uvarint(), r.uvarint()
	if shared > uint64(len(r.key)) || rest > maxRecord-shared || !r.have(int(rest)) {
		return r.short()
	}
	r.key = append(r.key[:shared], r.buf[r.at:r.at+int(rest)]...)
	r.at += int(rest)
	r.rank = r.rankAfter(int(shared))
	r.seq = r.uvarint()
	size := r.uvarint()
	if size > maxRecord || !r.have(int(size)) {
		return r.short()
	}
	r.value = r.buf[r.at : r.at+int(size)]
	r.at += int(size)
	return nil
}

// maxRecord is an upper bound on the length of a key or value, in bytes.
const maxRecord = 1 << 30

// runEnd is the rank of a run without a further record. It is the highest.
const runEnd = math.MaxUint64

// have reads until n bytes are buffered, and reports whether they are.
func (r *runReader) have(n int) bool {
	if len(r.buf)-r.at >= n {
		return true
	}
	r.buf = r.buf[:copy(r.buf, r.buf[r.at:])]
	r.at = 0
	for len(r.buf) < n && r.err == nil {
		if len(r.buf) == cap(r.buf) {
			r.buf = slices.Grow(r.buf, cap(r.buf))
		}
		var m int
		m, r.err = r.r.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+m]
	}
	return len(r.buf) >= n
}

func (r *runReader) uvarint() uint64 {
	r.have(binary.MaxVarintLen64) // or as much as there is
	v, n := binary.Uvarint(r.buf[r.at:])
	if n <= 0 {
		return math.MaxUint64 // over every limit
	}
	r.at += n
	return v
}

// short is the error for a run that ends within a record.
func (r *runReader) short() error {
	if r.err != nil && r.err != io.EOF {
		return r.err
	}
	return errRun
}

// rankAfter returns the rank of a record whose key shares that many bytes with the key
// merged last. Among records that come after that key, a lower rank comes first: the one
// that shares more, then the one with the lower next byte. Records with equal ranks may
// have different keys.
func (r *runReader) rankAfter(shared int) uint64 {
	rank := uint64(maxRecord-shared) << 9
	if shared < len(r.key) {
		rank |= uint64(r.key[shared]) + 1
	}
	return rank
}

// repeats reports whether the record has the key of the record merged last.
func (r *runReader) repeats() bool { return r.rank&(1<<9-1) == 0 }

// before reports whether the record of r comes before that of s: by key, then by
// sequence number. Their ranks must be relative to the same key, as they are in a
// LoserTree. The later record will be merged after the other one, so its rank becomes
// relative to that.
func (r *runReader) before(s *runReader) bool {
	if r.rank != s.rank || r.rank == runEnd {
		return r.rank < s.rank
	}
	shared := maxRecord - int(r.rank>>9)
	shared += commonPrefix(r.key[shared:], s.key[shared:])
	a, b := r.rankAfter(shared), s.rankAfter(shared)
	if a < b || a == b && r.seq < s.seq {
		s.rank = b
		return true
	}
	r.rank = a
	return false
}

// Merge yields the rows of an aggregate from the runs that its Folders drained, or
// from one shard of each run, in the order of day and then key. A *Row is valid until
// the next step; its strings stay valid. Merge reads each run once, with a few KiB of
// memory for each run plus what the aggregate's Merger needs for one key. A Spiller gets
// the spool, which nobody else may write to before the last row.
func Merge(a *Aggregate, o *FoldOptions, runs []io.Reader, spool Spool) iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		readers := make([]*runReader, len(runs))
		tree := NewLoserTree(len(runs), func(i, j int) bool { return readers[i].before(readers[j]) })
		size := min(64<<10, max(4<<10, (4<<20)/max(1, len(runs))))
		for i, run := range runs {
			readers[i] = newRunReader(run, size)
			if err := readers[i].next(); err != nil {
				yield(nil, mergeError(a, err))
				return
			}
			tree.Play(i)
		}
		m := a.Merger(o)
		if s, ok := m.(Spiller); ok {
			s.Spill(spool)
		}
		rows := mergedRows(a, m, readers, tree)
		if s, ok := m.(Settler); ok {
			rows = s.Settle(rows)
		}
		rows(yield)
	}
}

// mergedRows yields the rows that a Merger makes from the records of the readers, which the
// tree orders.
func mergedRows(a *Aggregate, m Merger, readers []*runReader, tree *LoserTree) iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		var parser keyParser
		var row Row
		spiller, _ := m.(Spiller)
		for len(readers) > 0 {
			r := readers[tree.Winner()]
			if r.rank == runEnd {
				return
			}
			day, k, err := parser.parse(r.key)
			for more := true; err == nil && more; more = r.repeats() {
				if err = m.Add(day, r.seq, r.value); err != nil {
					break
				}
				err = r.next()
				tree.Play(tree.Winner())
				r = readers[tree.Winner()]
			}
			if err != nil {
				yield(nil, mergeError(a, err))
				return
			}
			for row = (Row{Day: day, Key: k}); m.Row(&row); row = (Row{Day: day, Key: k}) {
				if !yield(&row, nil) {
					return
				}
			}
			if spiller != nil && spiller.Err() != nil {
				yield(nil, mergeError(a, spiller.Err()))
				return
			}
		}
	}
}

func mergeError(a *Aggregate, err error) error {
	return fmt.Errorf("merge the runs of %s: %w", a.Name, err)
}

// A decoder reads the value of a record. After an error it returns only zero values,
// and bad is set.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) uint64() uint64 {
	if len(d.b) < 8 {
		d.b, d.bad = nil, true
		return 0
	}
	v := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}

func (d *decoder) bytes() []byte { return d.take(d.uvarint()) }

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}
