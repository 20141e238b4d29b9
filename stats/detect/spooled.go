package detect

import (
	"fmt"
	"io"
	"iter"
	"slices"
)

// A Spool takes bytes that are written once and then read at any offset.
type Spool interface {
	io.Writer
	io.ReaderAt
	Size() int64
}

// spooled are the records that a worker keeps while it decodes, divided into parts by a
// hash: blocks of whole records in a spool, and those that are not written yet. Once
// closed, several goroutines may read it.
type spooled struct {
	spool Spool
	block int // bytes of a part that are written at once
	parts [ConnectionParts]spooledPart
	err   error
}

type spooledPart struct {
	blocks []spooledBlock
	buf    []byte
}

type spooledBlock struct {
	at   int64
	size int
}

// newSpooled returns a spooled that keeps about memory bytes in memory.
func newSpooled(spool Spool, memory int) spooled {
	return spooled{spool: spool, block: min(max(memory/ConnectionParts, 512), 16<<10)}
}

// part returns the part of a hash.
func (s *spooled) part(hash uint64) *spooledPart { return &s.parts[hash>>(64-connectionBits)] }

// put sets the buffer of a part, to which a record was appended.
func (s *spooled) put(p *spooledPart, buf []byte) {
	if p.buf = buf; len(buf) >= s.block {
		s.flush(p)
	}
}

func (s *spooled) flush(p *spooledPart) {
	if len(p.buf) == 0 || s.err != nil {
		return
	}
	p.blocks = append(p.blocks, spooledBlock{s.spool.Size(), len(p.buf)})
	_, s.err = s.spool.Write(p.buf)
	p.buf = p.buf[:0]
}

// close writes what is not written yet, and returns the first error. what names the
// records.
func (s *spooled) close(what string) error {
	for i := range s.parts {
		s.flush(&s.parts[i])
		s.parts[i].buf = nil
	}
	if s.err != nil {
		return fmt.Errorf("keep %s: %w", what, s.err)
	}
	return nil
}

// blocks yields the blocks of a part, each in buf. An error ends them.
func (s *spooled) blocks(part int, buf *[]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, b := range s.parts[part].blocks {
			*buf = slices.Grow((*buf)[:0], b.size)[:b.size]
			if _, err := s.spool.ReadAt(*buf, b.at); err != nil {
				yield(nil, err)
				return
			}
			if !yield(*buf, nil) {
				return
			}
		}
	}
}
