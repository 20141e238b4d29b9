package store

import (
	"fmt"
	"io"
	"os"
)

// A Spool holds bytes that are written once and then read at any offset: in memory
// while they are few, and otherwise in a temporary file. The file is in os.TempDir
// and readable by this user only. Where the system lets an open file be deleted,
// the file vanishes with the process.
//
// Write must not be called concurrently with any other method. The other methods
// may be called concurrently.
type Spool struct {
	limit  int
	memory [][]byte // all bytes in chunks, or nothing if there is a file
	file   *os.File // nil if all bytes are in memory
	named  bool     // the file still has its name
	size   int64
}

// spoolChunk is how many bytes of memory are allocated at once. A single growing
// buffer would be copied, and would exist twice during the copy.
const spoolChunk = 256 << 10

// NewSpool returns an empty Spool that keeps up to limit bytes in memory.
func NewSpool(limit int) *Spool { return &Spool{limit: limit} }

// Write appends p. An error, a fault, names the temporary folder and says what to do. After
// an error, only Close may be called.
func (s *Spool) Write(p []byte) (int, error) {
	if s.file == nil && s.size+int64(len(p)) <= int64(s.limit) {
		for rest := p; len(rest) > 0; {
			if s.size%spoolChunk == 0 {
				s.memory = append(s.memory, s.chunk())
			}
			last := &s.memory[len(s.memory)-1]
			n := min(len(rest), spoolChunk-len(*last))
			*last = append(*last, rest[:n]...)
			s.size += int64(n)
			rest = rest[n:]
		}
		return len(p), nil
	}
	n, err := s.writeFile(p)
	s.size += int64(n)
	if err != nil {
		return n, fault{fmt.Errorf("write a temporary file in %s: %w: make room, or set TMPDIR to a folder with more", os.TempDir(), cause(err))}
	}
	return n, nil
}

// chunk makes room for a chunk. The first one grows: a small run has twenty Spools.
func (s *Spool) chunk() []byte {
	if s.size == 0 {
		return nil
	}
	return make([]byte, 0, min(spoolChunk, s.limit))
}

func (s *Spool) writeFile(p []byte) (int, error) {
	if s.file == nil {
		f, err := os.CreateTemp("", tempPrefix+"*"+tempSuffix)
		if err != nil {
			return 0, err
		}
		s.named = os.Remove(f.Name()) != nil
		s.file = f
		for _, chunk := range s.memory {
			if _, err := f.Write(chunk); err != nil {
				return 0, err
			}
		}
		s.memory = nil
	}
	return s.file.Write(p)
}

// ReadAt reads what has been written; see io.ReaderAt.
func (s *Spool) ReadAt(p []byte, off int64) (int, error) {
	if s.file != nil {
		n, err := s.file.ReadAt(p, off)
		if err != nil && err != io.EOF {
			err = fault{fmt.Errorf("read a temporary file in %s: %w", os.TempDir(), cause(err))}
		}
		return n, err
	}
	if off < 0 {
		return 0, fmt.Errorf("read a spool: negative offset %d", off)
	}
	n := 0
	for n < len(p) && off < s.size {
		m := copy(p[n:], s.memory[off/spoolChunk][off%spoolChunk:])
		n, off = n+m, off+int64(m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// piece returns bytes from an offset on, as far as they are in one piece of memory.
func (s *Spool) piece(off int64) []byte {
	if i := off / spoolChunk; i < int64(len(s.memory)) {
		return s.memory[i][min(off%spoolChunk, int64(len(s.memory[i]))):]
	}
	return nil
}

// Size returns the number of bytes that have been written.
func (s *Spool) Size() int64 { return s.size }

// Reader returns a reader of everything written so far, from its start. Each reader
// has its own position.
func (s *Spool) Reader() *io.SectionReader { return io.NewSectionReader(s, 0, s.size) }

// Close frees the memory and deletes the file. The Spool is empty afterwards.
func (s *Spool) Close() error {
	f, named := s.file, s.named
	*s = Spool{}
	if f == nil {
		return nil
	}
	err := f.Close()
	if named {
		if rerr := os.Remove(f.Name()); err == nil {
			err = rerr
		}
	}
	return err
}
