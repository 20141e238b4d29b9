package detect

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// What workers fold comes together by way of runs: each worker writes what its
// tables hold as records in the order of their keys, and the runs of all are
// merged into rows. A table that grows over its budget is written as a run and
// begun anew, so memory is bounded by the budget and not by the number of keys.

// A RunWriter writes one run. A record is, with numbers as uvarints:
//
//	bytes of the key that are those of the key before, bytes of the rest, the rest,
//	sequence number, bytes of the value, the value
//
// Records come by key and then sequence number.
type RunWriter struct {
	w   io.Writer
	buf []byte
	key []byte // of the record before
	err error
}

// NewRunWriter returns a writer of a run to w.
func NewRunWriter(w io.Writer) *RunWriter { return &RunWriter{w: w} }

// runBuffer is how many bytes are written at once.
const runBuffer = 64 << 10

func (w *RunWriter) record(key []byte, seq uint64, value []byte) {
	shared := 0
	for shared < len(key) && shared < len(w.key) && key[shared] == w.key[shared] {
		shared++
	}
	w.key = append(w.key[:shared], key[shared:]...)
	w.buf = binary.AppendUvarint(w.buf, uint64(shared))
	w.buf = appendBytes(w.buf, key[shared:])
	w.buf = binary.AppendUvarint(w.buf, seq)
	w.buf = appendBytes(w.buf, value)
	if len(w.buf) >= runBuffer {
		w.flush()
	}
}

func (w *RunWriter) flush() {
	if _, err := w.w.Write(w.buf); w.err == nil {
		w.err = err
	}
	w.buf = w.buf[:0]
}

// Close writes what is left and returns the first error.
func (w *RunWriter) Close() error {
	w.flush()
	return w.err
}

func appendBytes(b, v []byte) []byte { return append(binary.AppendUvarint(b, uint64(len(v))), v...) }

// appendKey appends a day and key such that the order of the bytes is that of
// the days and then keys.
func appendKey(b []byte, day Day, texts ...string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(day)^1<<31)
	for _, s := range texts {
		for {
			zero := strings.IndexByte(s, 0)
			if zero < 0 {
				break
			}
			b = append(append(b, s[:zero]...), 0, 0xff)
			s = s[zero+1:]
		}
		b = append(append(b, s...), 0, 1)
	}
	return b
}

// errRun is for a run that is not what a RunWriter wrote: its file was changed.
var errRun = errors.New("a temporary file of the run is damaged")

// A keyParser parses keys, most of which differ from the one before in the
// object only.
type keyParser struct {
	last  [4]string
	plain []byte
}

func (p *keyParser) parse(b []byte) (day Day, k Key, err error) {
	if len(b) < 4 {
		return 0, Key{}, errRun
	}
	day = Day(binary.BigEndian.Uint32(b) ^ 1<<31)
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
	r     *bufio.Reader
	key   []byte
	seq   uint64
	value []byte
}

// next moves to the next record; io.EOF at the end.
func (r *runReader) next() error {
	shared, err := binary.ReadUvarint(r.r)
	if err != nil {
		return err
	}
	if shared > uint64(len(r.key)) {
		return errRun
	}
	if r.key, err = r.bytes(r.key[:shared]); err != nil {
		return err
	}
	if r.seq, err = binary.ReadUvarint(r.r); err != nil {
		return short(err)
	}
	r.value, err = r.bytes(r.value[:0])
	return err
}

// maxValue is far more than a record's value is.
const maxValue = 1 << 30

func (r *runReader) bytes(dst []byte) ([]byte, error) {
	n, err := binary.ReadUvarint(r.r)
	if err != nil {
		return dst, short(err)
	}
	if n > maxValue {
		return dst, errRun
	}
	for n > 0 {
		part, err := r.r.Peek(int(min(n, uint64(r.r.Size()))))
		if err != nil {
			return dst, short(err)
		}
		dst = append(dst, part...)
		r.r.Discard(len(part))
		n -= uint64(len(part))
	}
	return dst, nil
}

// short is the error of a run that ends within a record.
func short(err error) error {
	if err == io.EOF {
		return errRun
	}
	return err
}

// runHeap is a heap of readers, least record first.
type runHeap []*runReader

func (h runHeap) Len() int      { return len(h) }
func (h runHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h runHeap) Less(i, j int) bool {
	c := bytes.Compare(h[i].key, h[j].key)
	return c < 0 || c == 0 && h[i].seq < h[j].seq
}
func (h *runHeap) Push(x any) { *h = append(*h, x.(*runReader)) }
func (h *runHeap) Pop() any {
	r := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return r
}

// Merge yields the rows of an aggregate from the runs that its Folders drained,
// in the order of their days and then keys. A *Row is valid until the next step,
// its strings stay so. It reads runs of one aggregate only once, in a few KiB of
// memory for each and what the aggregate's Merger needs for one key.
func Merge(a *Aggregate, o *FoldOptions, runs []io.Reader) iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		var h runHeap
		size := min(64<<10, max(4<<10, (8<<20)/max(1, len(runs))))
		for _, run := range runs {
			r := &runReader{r: bufio.NewReaderSize(run, size)}
			switch err := r.next(); err {
			case nil:
				h = append(h, r)
			case io.EOF:
			default:
				yield(nil, mergeError(a, err))
				return
			}
		}
		heap.Init(&h)
		m := a.Merger(o)
		var parser keyParser
		var key []byte
		for len(h) > 0 {
			key = append(key[:0], h[0].key...)
			day, k, err := parser.parse(key)
			for err == nil && len(h) > 0 && bytes.Equal(h[0].key, key) {
				r := h[0]
				if err = m.Add(day, r.seq, r.value); err != nil {
					break
				}
				switch err = r.next(); err {
				case nil:
					heap.Fix(&h, 0)
				case io.EOF:
					err = nil
					heap.Pop(&h)
				}
			}
			if err != nil {
				yield(nil, mergeError(a, err))
				return
			}
			row := Row{Day: day, Key: k}
			if m.Row(&row) && !yield(&row, nil) {
				return
			}
		}
	}
}

func mergeError(a *Aggregate, err error) error {
	return fmt.Errorf("merge what was folded for %s: %w", a.Name, err)
}

// A decoder reads a record's value. After a fault all that it gives is zero and
// bad is set.
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

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}
