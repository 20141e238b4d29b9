package sigma

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// If this fails, an index misses a literal of a text, or finds one that the text does not
// have. Its table has whole literals or infixes of them.
func TestIndex(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "aab\x00\xff"[r.IntN(5)]
		}
		return string(b)
	}
	for _, size := range []int{1 << 20, 16, 8, 4, 3, 2} {
		for range 200 {
			seen := map[string]bool{}
			x := &index{}
			for range 1 + r.IntN(20) {
				if l := text(minLiteral + r.IntN(20)); !seen[l] {
					seen[l] = true
					x.literals = append(x.literals, indexed{text: l})
				}
			}
			x.seal()
			if !x.build(size, 1<<20) {
				t.Fatal("the table is too large")
			}
			for range 20 {
				in := text(r.IntN(60))
				if r.IntN(2) == 0 {
					in += x.literals[r.IntN(len(x.literals))].text + text(r.IntN(5))
				}
				var want []int32
				for i, l := range x.literals {
					for at := 0; at+len(l.text) <= len(in); at++ {
						if strings.HasPrefix(in[at:], l.text) {
							want = append(want, int32(i))
						}
					}
				}
				var got []int32
				x.scan([]byte(in), func(l int32) { got = append(got, l) })
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Fatalf("infixes of %d: got %v, want %v in %q", size, got, want, in)
				}
			}
		}
	}
	// Many hashes must not take too much memory.
	x := &index{}
	for i := range 60000 {
		x.literals = append(x.literals, indexed{text: fmt.Sprintf("%016x%016x", uint64(i)*0x9e3779b97f4a7c15, r.Uint64())})
	}
	x.seal()
	if len(x.next) > maxTable+1<<9 {
		t.Errorf("a table of %d entries", len(x.next))
	}
	n := 0
	x.scan([]byte("x"+x.literals[777].text+"y"), func(l int32) {
		if n++; l != 777 {
			t.Errorf("got literal %d", l)
		}
	})
	if n != 1 {
		t.Errorf("found %d times", n)
	}
}

// If this fails, a rule misses texts that have one of its literals, or all texts go through the automaton.
func TestSieve(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	text := func(n int, of ...string) (s string) {
		for range n {
			s += of[r.IntN(len(of))]
		}
		return s
	}
	passed := 0 // by chance
	for range 300 {
		x := &index{}
		for range 1 + r.IntN(maxSieve) {
			x.literals = append(x.literals, indexed{text: string(foldCase(nil, []byte(text(sieveBytes+r.IntN(8), "a", "k", "s", "/", "@", "é"))))})
		}
		x.seal()
		if x.sieve == nil {
			t.Fatal("no sieve")
		}
		for range 50 {
			in := text(r.IntN(40), "a", "A", "k", "K", "\u212a", "s", "S", "\u017f", "/", "@", "`", "é", "É")
			x.scan(foldCase(nil, []byte(in)), func(l int32) {
				if !x.mayHold([]byte(in)) {
					t.Fatalf("%q does not pass, and has %q", in, x.literals[l].text)
				}
			})
		}
		if in := text(40, "b", "c", "d"); x.mayHold([]byte(in)) {
			passed++
		}
	}
	if passed > 60 {
		t.Errorf("%d texts pass that have none", passed)
	}
	short := &index{literals: []indexed{{text: "abc"}}}
	if short.seal(); !short.mayHold([]byte("ABC")) {
		t.Error("a text with a literal of three bytes does not pass")
	}
}

// If this fails, the table of an index is too small for its states, or grows while it is made.
func TestPrefixes(t *testing.T) {
	for _, c := range []struct {
		texts []string
		want  int
	}{
		{nil, 1},
		{[]string{""}, 1},
		{[]string{"ab", "ab", "a"}, 3},
		{[]string{"rclone", "mega", "rc", "rsync"}, 1 + 6 + 4 + 4},
	} {
		if got := prefixes(c.texts); got != c.want {
			t.Errorf("%q: got %d prefixes, want %d", c.texts, got, c.want)
		}
	}
}
