package jobs

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"outflow/columnar/logs"
	"outflow/columnar/store"
	"outflow/reports"
)

// This file tells a log that was damaged on its way from one that is damaged where it lies.
// Where the store cannot check the bytes of an object, which over plain HTTP are those without
// an MD5, nothing does but the object's own checksums, such as those of gzip. When these fail,
// the object is read once more: other bytes mean that the next run should read it, the same
// bytes that it need not.

// maxSecondReads is how many logs a run reads once more. With more, they are damaged for
// another reason, and a run must not take twice as long for it.
const maxSecondReads = 64

// errOnTheWay is the error of a log that was damaged on its way.
var errOnTheWay = errors.New("changed on its way")

// A transfer has the checksums of what was read of an object from its start.
type transfer struct {
	open  func() (io.ReadCloser, error)
	reads *atomic.Int64 // second reads of the run

	mu     sync.Mutex
	summed []summed
	once   sync.Once
	other  bool // a second read brought other bytes
	same   bool // it brought the same
}

// A summed is the checksum of the first n bytes.
type summed struct {
	n   int64
	sum uint32
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// transferred returns how an object is opened so that its bytes are summed.
func (p *program) transferred(at *store.Object, open func() (io.ReadCloser, error)) (*transfer, func() (io.ReadCloser, error)) {
	if !store.Remote(at.URI) {
		return nil, open
	}
	t := &transfer{open: open, reads: &p.secondReads}
	return t, func() (io.ReadCloser, error) {
		r, err := open()
		if err != nil {
			return nil, err
		}
		return &summingReader{ReadCloser: r, of: t}, nil
	}
}

// A summingReader sums what is read until it is closed.
type summingReader struct {
	io.ReadCloser
	of *transfer
	summed
}

func (r *summingReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.n += int64(n)
	r.sum = crc32.Update(r.sum, castagnoli, p[:n])
	return n, err
}

func (r *summingReader) Close() error {
	r.of.mu.Lock()
	r.of.summed = append(r.of.summed, r.summed)
	r.of.mu.Unlock()
	return r.ReadCloser.Close()
}

// compare reads the object once more, unless the run has done so for too many.
func (t *transfer) compare() {
	t.once.Do(func() {
		if t.reads.Add(1) > maxSecondReads {
			return
		}
		for _, before := range slices.Concat(t.summed, t.summed) { // the second read may be damaged alike
			r, err := t.open()
			if err != nil {
				return
			}
			sum := crc32.New(castagnoli)
			_, err = io.CopyN(sum, r, before.n)
			r.Close()
			if err != nil && err != io.EOF {
				return
			}
			t.same = true
			if sum.Sum32() != before.sum {
				t.same, t.other = false, true
				return
			}
		}
	})
}

// ask has the source of a log with a fault read once more, and says in its error what that
// showed.
func (m *sharedLog) ask(t *tally) {
	status, err := m.status(t)
	sent := m.source.sent
	if sent == nil || status != reports.Unreadable && status != reports.Damaged && !errors.Is(err, logs.ErrUnknown) || m.source.fails(err) {
		return
	}
	switch sent.compare(); {
	case sent.other:
		err = fmt.Errorf("%w: a second read brought other bytes, so the next run reads it again (%v)", errOnTheWay, err)
	case sent.same && !errors.Is(err, logs.ErrUnknown):
		err = fmt.Errorf("%w (a second read brought the same bytes)", err)
	default:
		return
	}
	if m.failed.Load() != nil {
		m.failed.Store(&err)
	} else {
		m.Err = err
	}
}
