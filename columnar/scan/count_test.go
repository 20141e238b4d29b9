package scan

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// If this fails, records have wrong numbers, CSV records are cut within quotes, or holes
// are not seen.
func TestCountByte(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	text := make([]byte, 3*255*128)
	for _, c := range []byte{0, '\n', '"', 0xff} {
		for i := range text {
			if text[i] = c; r.IntN(3) > 0 {
				text[i] = c ^ byte(1<<r.IntN(8))
			}
		}
		check := func(p []byte) {
			if got, want := CountByte(p, c), bytes.Count(p, []byte{c}); got != want {
				t.Errorf("%d bytes: got %d of %q, want %d", len(p), got, c, want)
			}
			e := c ^ 1
			gotC, gotE := CountBytes(p, c, e)
			if want := bytes.Count(p, []byte{e}); gotC != CountByte(p, c) || gotE != want {
				t.Errorf("%d bytes: got %d of %q and %d of %q, want %d", len(p), gotC, c, gotE, e, want)
			}
			if swapped, _ := CountBytes(p, e, c); swapped != gotE {
				t.Errorf("%d bytes: got %d of %q first, want %d", len(p), swapped, e, gotE)
			}
		}
		for n := range 600 {
			at := r.IntN(64)
			check(text[at : at+n])
		}
		for _, blocks := range []int{126, 127, 128, 254, 255, 256, 510, 511, 2 * 255, 3 * 255} {
			check(text[:128*blocks])
		}
		for i := range text { // a counter that overflows shows if all bytes count
			text[i] = c
		}
		check(text)
		check(text[1:])
	}
}

func BenchmarkCountByte(b *testing.B) {
	text := bytes.Repeat([]byte("2026-01-04T07:15:09Z,ines.ferro,10.3.4.5,upload,118\n"), 1<<20/53)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		CountByte(text, '\n')
	}
}
