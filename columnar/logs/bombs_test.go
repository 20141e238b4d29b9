package logs

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// manyZipped returns a zip archive of n files of one line.
func manyZipped(t *testing.T, n int, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := range n {
		w, err := z.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("%06d%s", i, name), Method: zip.Store})
		if err == nil {
			_, err = io.WriteString(w, "x,y\n")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// manyTarred returns a compressed tar archive of n entries of a type.
func manyTarred(t *testing.T, n int, kind byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for i := range n {
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprint(i), Typeflag: kind}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// nestedTars returns a tar archive in a tar archive and so on.
func nestedTars(t *testing.T, deep int) []byte {
	t.Helper()
	text := []byte("x,y\n")
	for range deep {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		w.Write(text)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		text = b.Bytes()
	}
	return text
}

// zeros is a text of zeros: a gigabyte of them is a megabyte of gzip.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), z.left))
	clear(p[:n])
	z.left -= int64(n)
	return n, nil
}

func bomb(t *testing.T, compress func(io.Writer) io.WriteCloser, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	w := compress(&b)
	if _, err := io.Copy(w, &zeros{size}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipper(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }

func zstdder(w io.Writer) io.WriteCloser {
	z, err := zstd.NewWriter(w, zstd.WithWindowSize(8<<20))
	if err != nil {
		panic(err)
	}
	return z
}

// If this fails, an archive of a few megabytes takes the memory or the hours of a run, or is
// left out without a word. The comments have what each took before its limit.
func TestBombs(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(20)) // otherwise most of the memory is garbage
	deep := []byte("x,y\n")
	for range maxNested + 1 {
		deep = gzipped(t, string(deep))
	}
	for _, c := range []struct {
		name   string
		stored []byte
		limit  int64  // memory in MiB, beyond the object itself
		want   string // "": it is read
	}{
		{"zip of 300,000 files", manyZipped(t, 300_000, ""), 100, "holds more than 65536 files"}, // 1 M: 301 MB, 7.3 s
		{"zip of 70,000 files", manyZipped(t, 70_000, ""), 60, "holds more than 65536 files"},
		{"zip of long names", manyZipped(t, 20_000, strings.Repeat("n", 2000)), 100, "a directory of more than 32 MB"},
		{"zip of 2,000 files", manyZipped(t, 2_000, ""), 120, ""},
		{"tar of 66,000 files", manyTarred(t, 66_000, tar.TypeReg), 250, "holds more than 65536 files"},
		{"tar of 100,000 folders", manyTarred(t, 100_000, tar.TypeDir), 60, "tar archive is empty"},
		{"tar in tar", nestedTars(t, maxNested+1), 60, "nest deeper than 4"},
		{"gzip in gzip", deep, 60, "compressed more than 4 times"},
		{"gzip of zeros", bomb(t, gzipper, 64<<20), 60, ""},
		{"gzip of gzip of zeros", gzipped(t, string(bomb(t, gzipper, 64<<20))), 60, ""},
		{"zstd of zeros", bomb(t, zstdder, 64<<20), 80, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := object("bomb", c.stored)
			var most atomic.Uint64
			stop := make(chan struct{})
			done := make(chan struct{})
			runtime.GC()
			heap := func() uint64 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			before := heap()
			go func() {
				defer close(done)
				for {
					most.Store(max(most.Load(), heap()))
					select {
					case <-stop:
						return
					case <-time.After(20 * time.Millisecond):
					}
				}
			}()
			began := time.Now()
			members := Read(o, &ReadOptions{Format: CSV}, func(_ *Member, b *Block) error {
				b.Release()
				return nil
			})
			took := time.Since(began)
			most.Store(max(most.Load(), heap()))
			close(stop)
			<-done
			said := ""
			for _, m := range members {
				if m.Err != nil && (said == "" || c.want != "" && strings.Contains(m.Err.Error(), c.want)) {
					said = m.Err.Error()
				}
			}
			if c.want != "" && !strings.Contains(said, c.want) {
				t.Errorf("says %q, want %q", said, c.want)
			}
			used := int64(max(most.Load(), before)-before) >> 20
			if used > c.limit {
				t.Errorf("took %d MiB, want at most %d", used, c.limit)
			}
			if took > 30*time.Second { // one or two
				t.Errorf("took %v", took)
			}
			t.Logf("%.1f MB: %.1f s, %d MiB, %d members, %.80q", float64(len(c.stored))/1e6, took.Seconds(), used, len(members), said)
		})
	}
}
