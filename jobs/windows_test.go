package jobs

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"outflow/stats/detect"
)

// windowed returns text as zstd makes it of what comes from a pipe: with a window of size bytes,
// however little there is.
func windowed(t *testing.T, text []byte, size int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(size), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range [][]byte{text[:len(text)/2], text[len(text)/2:]} {
		w.Write(part)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// If this fails, two readers take large windows at once, which is more than the memory of the run,
// or what they have taken is not given back.
func TestWindowsTakeTurns(t *testing.T) {
	w := newWindows(256<<20, 4)
	var had atomic.Int64
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			c := w.claim(context.Background(), nil, 0)
			outer, inner := c.part(), c.part()
			for range 50 {
				for _, total := range []int64{1 << 20, 100 << 20, 90 << 20, 1 << 20} {
					if err := outer(total); err != nil {
						t.Error(err)
					}
					if err := inner(1 << 20); err != nil {
						t.Error(err)
					}
					inner(0)
					if total > w.share && had.Add(total) > 100<<20 {
						t.Error("two have the turn")
					}
					if total > w.share {
						had.Add(-total)
					}
				}
				outer(0)
			}
		})
	}
	readers.Wait()
	if w.held.Load() != 0 || len(w.turn) != 0 {
		t.Errorf("%d bytes are held after all is done", w.held.Load())
	}
	c := w.claim(context.Background(), nil, 0)
	if err := c.part()(129 << 20); err == nil || !strings.Contains(err.Error(), "give --memory 258MiB") {
		t.Errorf("a window of more than half of the memory: got %v", err)
	}
	if got := w.budget(80<<20, 2); got != 80<<20 {
		t.Errorf("after what was refused, tables may have %d bytes", got)
	}
}

// If this fails, readers of large windows wait for each other for ever, or a log that is packed with a
// large window has other rows than the same log as it is.
func TestFoldLargeWindows(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const large = 8 << 20
	first, second := randomLog(r, 4000), randomLog(r, 3000)
	objects := []stored{
		{name: "a.zst", body: windowed(t, first, large)},
		{name: "b.zst", body: windowed(t, first, large)},                                                   // the same bytes
		{name: "c.zst", body: windowed(t, first, 1<<20)},                                                   // packed otherwise
		{name: "d.zst", body: windowed(t, first[:110000], large)},                                          // its beginning
		{name: "e.zst", body: append(windowed(t, second, 1<<20), windowed(t, randomLog(r, 50), large)...)}, // its second frame is large
		{name: "f", body: randomLog(r, 20)},
		{name: "g.zip", body: zipped(t, map[string][]byte{"1.zst": windowed(t, randomLog(r, 30), large), "2.zst": windowed(t, second, large)})},
		{name: "h.zst", body: windowed(t, windowed(t, randomLog(r, 40), large), 1<<20)},
	}
	for _, c := range []struct {
		memory  int64
		events  int64
		copies  string
		refused string
	}{
		{64 << 20, 4000 + 3000 + 50 + 20 + 30 + 40, "b.zst c.zst d.zst g.zip!2.zst", ""}, // the last begins e.zst,
		{8 << 20, 4000 + 3000 + 20, "", "a.zst b.zst d.zst e.zst g.zip!1.zst g.zip!2.zst h.zst"},
	} {
		for _, workers := range []int{1, 8} {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			out, err := Fold(ctx, sourcesOf(objects...), &foldOptions{aggregates: []*detect.Aggregate{detect.UserDay}, workers: workers, memory: c.memory})
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			var copies, refused []string
			var events int64
			for _, in := range out.inputs {
				switch {
				case in.CopyOf != "":
					copies = append(copies, in.Name)
				case strings.Contains(in.Error, "needs a window of "):
					refused = append(refused, in.Name)
				case in.Error != "":
					t.Errorf("%s: %s", in.Name, in.Error)
				}
				events += in.Rows
			}
			slices.Sort(copies)
			slices.Sort(refused)
			if got := strings.Join(copies, " "); got != c.copies {
				t.Errorf("%d MiB, %d workers: copies %s, want %s", c.memory>>20, workers, got, c.copies)
			}
			if got := strings.Join(refused, " "); got != c.refused {
				t.Errorf("%d MiB, %d workers: refused %s, want %s", c.memory>>20, workers, got, c.refused)
			}
			if events != c.events {
				t.Errorf("%d MiB, %d workers: got %d events, want %d", c.memory>>20, workers, events, c.events)
			}
			if err := out.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
