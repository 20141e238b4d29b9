package jobs

import (
	"bytes"
	"context"
	"io"
	"iter"

	"outflow/columnar/store"
)

// A storePart is a partition that is open for reading: store.Part.
type storePart[T any] struct {
	Done store.Done
	rows []T
}

func openPart[T any](ctx context.Context, p store.Partitions[T], day string) (*storePart[T], error) {
	rows, done, err := p.Read(ctx, day)
	return &storePart[T]{done, rows}, err
}

func (p *storePart[T]) Rows() iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for i := range p.rows {
			if !yield(&p.rows[i], nil) {
				return
			}
		}
	}
}

func (p *storePart[T]) Close() error { return nil }

// commitRows is Partitions.Commit. done is read when the rows are at their end.
func commitRows[T any](ctx context.Context, p store.Partitions[T], day string, rows iter.Seq2[*T, error], done *store.Done) error {
	var all []T
	for r, err := range rows {
		if err != nil {
			return err
		}
		all = append(all, *r)
	}
	return p.Commit(ctx, day, all, *done)
}

// A spool is store.Spool.
type spool struct{ b []byte }

func newSpool(int) *spool { return &spool{} }

func (s *spool) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}

func (s *spool) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(s.b).ReadAt(p, off) }

func (s *spool) Size() int64 { return int64(len(s.b)) }

func (s *spool) Reader() *io.SectionReader { return io.NewSectionReader(s, 0, s.Size()) }

func (s *spool) Close() error { return nil }
