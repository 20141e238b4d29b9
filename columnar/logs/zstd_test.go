package logs

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// piped returns text as zstd packs what comes from a pipe: its header does not tell the length.
func piped(t *testing.T, text string, window int) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	z.Write([]byte(text[:1]))
	z.Flush()
	z.Write([]byte(text[1:]))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// If this fails, the memory of a decompressor is taken before anybody was asked, or is counted on after
// it was given up.
func TestWindows(t *testing.T) {
	small, large := piped(t, "one\n", 1<<10), piped(t, "two\n", 1<<20)
	dictionary := func(size int) []byte { return xzPacked(t, "three\n", xz.WriterConfig{DictCap: size}) }
	skipped := []byte("\x53\x2a\x4d\x18\x02\x00\x00\x00ab")
	for _, c := range []struct {
		name   string
		stored []byte
		limit  int64
		totals []int64
		text   string
		err    string
	}{
		{"each frame has its own", slices.Concat(small, skipped, large, small), 1 << 20, []int64{1 << 10, 1 << 20, 0}, "one\ntwo\none\n", ""},
		{"the second frame is refused", slices.Concat(small, large), 1 << 19, []int64{1 << 10, 1 << 20, 0}, "one\n", "too large"},
		{"one in another", piped(t, string(large), 1<<10), 2 << 20, []int64{1 << 10, 1<<20 + 1<<10, 1 << 10, 0}, "two\n", ""},
		{"the content is the window", []byte("\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00four\n"), 1 << 20, []int64{5, 0}, "four\n", ""},
		{"xz", slices.Concat(dictionary(1<<20), dictionary(1<<16)), 1 << 20, []int64{1 << 20, 0, 1 << 16, 0}, "three\nthree\n", ""},
		{"xz is refused", dictionary(1 << 20), 1 << 19, []int64{1 << 20}, "", "too large"},
		{"a frame that is cut off", large[:len(large)-5], 1 << 20, []int64{1 << 20, 0}, "", "unexpected EOF"},
		{"a header that is cut off", append(slices.Clone(small), large[:5]...), 1 << 20, []int64{1 << 10, 0}, "one\n", "unexpected EOF"},
		{"a content of 4 GiB in a few bytes", []byte("\x28\xb5\x2f\xfd\xe0\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00"), 1 << 20, nil, "", "needs a window of 4096 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var totals []int64
			r := read(t, object("o", c.stored), &ReadOptions{Format: plain, Windows: func(total int64) error {
				totals = append(totals, total)
				if total > c.limit {
					return errors.New("too large")
				}
				return nil
			}})
			err := ""
			if r.members[0].Err != nil {
				err = r.members[0].Err.Error()
			}
			if !slices.Equal(totals, c.totals) || r.text != c.text || !strings.Contains(err, c.err) || (err == "") != (c.err == "") {
				t.Errorf("got totals %v, text %q, error %q, want %v, %q, %q", totals, r.text, err, c.totals, c.text, c.err)
			}
		})
	}
}
