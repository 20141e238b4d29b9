package scan

import (
	"math/rand/v2"
	"testing"
)

// If this fails, a header within a log is not seen, and the records behind it are read by
// another one.
func TestOddLine(t *testing.T) {
	slow := func(p []byte, i int) int {
		for i < len(p) && !isOdd(p[i:]) {
			i = LineEnd(p, i)
		}
		return i
	}
	r := rand.New(rand.NewPCG(7, 11))
	for _, letters := range []string{"\n19\"/:a\xff", "1111111111111111111111111\n\"", "\n5", "\""} {
		text := make([]byte, 1000)
		for i := range text {
			text[i] = letters[r.IntN(len(letters))]
		}
		for n := range len(text) {
			p := text[n/2 : n : n]
			for i := 0; ; {
				if got, want := OddLine(p, i), slow(p, i); got != want {
					t.Fatalf("%q from %d: got %d, want %d", p, i, got, want)
				}
				if i >= len(p) {
					break
				}
				i = LineEnd(p, i)
			}
		}
	}
}
