package detect

import (
	"slices"
	"testing"
)

// If this fails, a fold loses or mixes up its cells once it has more than a chunk of them.
func TestChunks(t *testing.T) {
	for _, n := range []int{0, 1, firstLen, firstLen + 1, chunkLen, chunkLen + 1, 3*chunkLen - 1} {
		var c chunks[int]
		for round := range 2 { // the second time in memory that it has
			var want []int
			for i := range n {
				c.add(round - i)
				want = append(want, round-i)
			}
			for i := range n {
				if got := *c.at(int32(i)); got != want[i] {
					t.Fatalf("%d elements: got %d at %d, want %d", n, got, i, want[i])
				}
			}
			var got []int
			for chunk := range c.slices() {
				got = append(got, chunk...)
			}
			if !slices.Equal(got, want) || c.size() != 8*n {
				t.Errorf("%d elements: slices yields %d, in %d bytes", n, len(got), c.size())
			}
			if round == 0 {
				c.cut(0)
				continue
			}
			got = nil
			for chunk := range c.drain() {
				got = append(got, chunk...)
			}
			if !slices.Equal(got, want) || c.n != 0 {
				t.Errorf("%d elements: drain yields %d and leaves %d", n, len(got), c.n)
			}
		}
		if c.add(7); *c.at(0) != 7 {
			t.Errorf("after drain: got %d, want 7", *c.at(0))
		}
	}
}
