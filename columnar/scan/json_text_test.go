package scan

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// checkStops compares both ways to mark with the definition of a stop, and the
// results for marked text with those for unmarked text.
func checkStops(t *testing.T, b []byte) {
	t.Helper()
	var text jsonText
	text.mark(b)
	n := len(b) / 64 * 64
	words := make([]byte, n/8)
	stopWords(words, b[:n])
	for i, c := range b {
		want := c == '"' || c == '\\' || c < ' '
		if got := text.stops[i>>3]>>(i&7)&1 != 0; got != want {
			t.Fatalf("%q: byte %d: got stop %v, want %v", b, i, got, want)
		}
		if i < n && words[i>>3]>>(i&7)&1 != 0 != want {
			t.Fatalf("%q: byte %d: words differ from blocks", b, i)
		}
	}
	plain := jsonText{b: b}
	for i := range b {
		end, escaped := text.stringEnd(i)
		wantEnd, wantEscaped := plain.stringEnd(i)
		if end != wantEnd || end >= 0 && escaped != wantEscaped {
			t.Fatalf("%q: string at %d: got end %d, escaped %v, want %d, %v", b, i, end, escaped, wantEnd, wantEscaped)
		}
		if got, want := text.valueEnd(i, 2), plain.valueEnd(i, 2); got != want {
			t.Fatalf("%q: value at %d: got end %d, want %d", b, i, got, want)
		}
	}
}

func TestStops(t *testing.T) {
	// Every byte at every place of a block, among bytes that must not matter.
	for _, fill := range []byte{'x', 0xff, 0x80, '#', '!', 0x1f} {
		for c := range 256 {
			b := bytes.Repeat([]byte{fill}, 130)
			for i := c % 7; i < len(b); i += 7 {
				b[i] = byte(c)
			}
			checkStops(t, b)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := make([]byte, random.IntN(300))
		for i := range b {
			b[i] = `"\\ab{}[],:01.-eu`[random.IntN(17)]
		}
		// The bytes after the text, within the capacity, must not count.
		checkStops(t, b[:random.IntN(len(b)+1)])
		checkStops(t, slices.Clip(b))
	}
	var text jsonText
	for _, n := range []int{1000, 10, 0, 64, 100_000, 63} { // marks of longer text are left over
		b := []byte(strings.Repeat("x", n))
		text.mark(b)
		if end, _ := text.stringEnd(0); end != -1 {
			t.Errorf("%d bytes without a quote: got an end at %d", n, end)
		}
	}
}

// FuzzStops compares the stops with their definition.
func FuzzStops(f *testing.F) {
	for _, s := range walks {
		f.Add([]byte(s))
	}
	f.Fuzz(checkStops)
}
