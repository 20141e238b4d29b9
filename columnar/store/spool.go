package store

import (
	"io"
	"os"
)

// A Spool holds bytes.
type Spool struct {
	f *os.File
	n int64
}

// NewSpool returns an empty Spool.
func NewSpool(limit int) *Spool {
	f, err := os.CreateTemp("", "outflow")
	if err != nil {
		panic(err)
	}
	os.Remove(f.Name())
	return &Spool{f: f}
}

func (s *Spool) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	return s.f.Write(p)
}
func (s *Spool) ReadAt(p []byte, off int64) (int, error) { return s.f.ReadAt(p, off) }
func (s *Spool) Size() int64                             { return s.n }
func (s *Spool) Reader() *io.SectionReader               { return io.NewSectionReader(s, 0, s.Size()) }
func (s *Spool) Close() error                            { return s.f.Close() }
