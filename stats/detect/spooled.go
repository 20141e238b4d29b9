package detect

import (
	"bufio"
	"bytes"
	"encoding/binary"
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

// sentFrame is about how many bytes of records are sent at once. With more, a thousand writers
// would take too much memory.
const sentFrame = 16 << 10

// send divides the records between writers, as frames: the length of each, then whole records.
// record returns the size of the record that a text begins with, 0 if it is damaged, and the hash
// that tells its writer. A writer that gets any gets head first, as a frame, unless it is empty.
func (s *spooled) send(to []io.Writer, head []byte, record func(b []byte) (size int, hash uint64)) error {
	bufs := make([][]byte, len(to))
	begun := make([]bool, len(to))
	var size []byte
	frame := func(i int, b []byte) error {
		size = binary.AppendUvarint(size[:0], uint64(len(b)))
		if _, err := to[i].Write(size); err != nil {
			return err
		}
		_, err := to[i].Write(b)
		return err
	}
	flush := func(i int) error {
		if !begun[i] && len(head) > 0 {
			if err := frame(i, head); err != nil {
				return err
			}
		}
		begun[i] = true
		err := frame(i, bufs[i])
		bufs[i] = bufs[i][:0]
		return err
	}
	var buf []byte
	for part := range s.parts {
		for block, err := range s.blocks(part, &buf) {
			if err != nil {
				return err
			}
			for len(block) > 0 {
				n, hash := record(block)
				if n == 0 {
					return errRun
				}
				i := int(hash % uint64(len(to)))
				bufs[i] = append(bufs[i], block[:n]...)
				block = block[n:]
				if len(bufs[i]) >= sentFrame {
					if err := flush(i); err != nil {
						return err
					}
				}
			}
		}
	}
	for i := range bufs {
		if len(bufs[i]) > 0 {
			if err := flush(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// sent yields the frames that send wrote, each until the next.
func sent(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		in := bufio.NewReaderSize(r, sentFrame)
		var frame bytes.Buffer
		for {
			size, err := binary.ReadUvarint(in)
			if err == io.EOF {
				return
			}
			frame.Reset()
			if err == nil && size > maxFrame {
				err = errRun
			}
			if err == nil { // the buffer grows with what is there, not with what is said to be
				_, err = io.CopyN(&frame, in, int64(size))
			}
			if !yield(frame.Bytes(), err) || err != nil {
				return
			}
		}
	}
}

// maxFrame is more than any frame has: a line of a log is shorter.
const maxFrame = 1 << 30

// take adds the records of a frame. record returns the size and the part of the record that a
// text begins with, 0 if it is damaged; it may change the record.
func (s *spooled) take(frame []byte, record func(b []byte) (size int, to *spooledPart)) error {
	for len(frame) > 0 {
		n, p := record(frame)
		if n == 0 {
			return errRun
		}
		s.put(p, append(p.buf, frame[:n]...))
		frame = frame[n:]
	}
	return nil
}
