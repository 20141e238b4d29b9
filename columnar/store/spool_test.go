package store

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

func TestSpool(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	rnd := rand.New(rand.NewPCG(15, 16))
	for _, size := range []int{0, 1, 999, 1000, 1001, 5000} {
		s := NewSpool(1000)
		var want []byte
		for len(want) < size {
			p := make([]byte, min(rnd.IntN(400), size-len(want)))
			for i := range p {
				p[i] = byte(rnd.Uint32())
			}
			if n, err := s.Write(p); n != len(p) || err != nil {
				t.Fatalf("write: got %d, %v", n, err)
			}
			want = append(want, p...)
		}
		if s.Size() != int64(size) || (s.file != nil) != (size > 1000) {
			t.Errorf("size: got %d, in a file: %v, want %d", s.Size(), s.file != nil, size)
		}
		a, b := s.Reader(), s.Reader()
		for _, r := range []io.Reader{a, b} {
			if err := iotest.TestReader(r, want); err != nil {
				t.Error(err)
			}
		}
		if got, err := io.ReadAll(a); len(got) != 0 || err != nil {
			t.Errorf("at the end: got %d bytes, %v", len(got), err)
		}
		if _, err := s.ReadAt(make([]byte, 1), -1); err == nil || err == io.EOF {
			t.Errorf("negative offset: got %v", err)
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if got, _ := io.ReadAll(b); len(got) != 0 {
			t.Errorf("closed: got %d bytes", len(got))
		}
	}
	if files, err := os.ReadDir(os.TempDir()); len(files) != 0 || err != nil {
		t.Errorf("left: %v, %v", files, err)
	}
}

// The user must learn what is full, and what to do.
func TestSpoolNoRoom(t *testing.T) {
	dir := t.TempDir() + "/none"
	t.Setenv("TMPDIR", dir)
	s := NewSpool(10)
	_, err := s.Write(bytes.Repeat([]byte("x"), 11))
	if err == nil || !strings.Contains(err.Error(), dir+": no such file") || !strings.HasSuffix(err.Error(), "set TMPDIR to a folder with more") {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
