package dnsmodel

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// If this fails, tunnels and everyday names are not told apart at all.
func TestScoreTellsTunnels(t *testing.T) {
	var x Extractor
	var h History
	for _, name := range []string{"www", "mail", "api.eu-west-1", "static.cdn", "", "imap", "e9957.e4"} {
		if p := h.Score(x.Of([]byte(name)), 0, false); p >= Threshold {
			t.Errorf("%q: got %v, want less than %v", name, p, Threshold)
		}
	}
	h = History{}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 20 {
		name := make([]byte, 120)
		for k := range name {
			name[k] = "abcdefghijklmnopqrstuvwxyz234567"[r.IntN(32)]
		}
		name[60] = '.'
		f := x.Of(name)
		// One such name can be a look-up; several in a row cannot.
		if p := h.Score(f, int64(i)*1e6, true); i >= 3 && p < Threshold {
			t.Errorf("%q: got %v, want at least %v", name, p, Threshold)
		}
		if len(h.Why(f, int64(i)*1e6, true)) == 0 {
			t.Errorf("%q: no reason", name)
		}
		h.Add(f, int64(i)*1e6, true, false)
	}
}

// If this fails, a name can stop a run or give a score that means nothing.
func FuzzScore(f *testing.F) {
	f.Add([]byte("www"), []byte("MFRGGZDF.x\x00\xff..-_"), int64(5), true)
	f.Fuzz(func(t *testing.T, a, b []byte, at int64, rare bool) {
		var x Extractor
		var h History
		for i := range 25 {
			name := a
			if i%3 == 0 {
				name = b
			}
			features := x.Of(name)
			if p := h.Score(features, at, rare); !(p >= 0 && p <= 1) {
				t.Fatalf("%q: got %v", name, p)
			}
			h.Why(features, at, rare)
			h.Add(features, at, rare, i%2 == 0)
			at += at / 3
		}
		if x.count != [256]uint8{} {
			t.Fatal("the extractor is not as it was")
		}
	})
}

// If this fails, a history depends on more than its last 10 events.
func TestHistoryIsOfTheLastTen(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var x Extractor
	names := []string{"", "a", "www", "x.y", "0123456789abcdef", "mail", "zzzz-1"}
	var long History
	type added struct {
		f        Features
		at       int64
		rare, nx bool
	}
	var all []added
	for i := range 300 {
		e := added{x.Of([]byte(names[r.IntN(len(names))])), int64(i) * 1000, r.IntN(2) == 0, r.IntN(2) == 0}
		all = append(all, e)
		long.Add(e.f, e.at, e.rare, e.nx)
		var short History
		for _, e := range all[max(0, len(all)-10):] {
			short.Add(e.f, e.at, e.rare, e.nx)
		}
		q := x.Of([]byte(names[r.IntN(len(names))]))
		if got, want := long.Input(&q, e.at+5, false), short.Input(&q, e.at+5, false); got != want {
			t.Fatalf("after %d: got %v, want %v", i, got, want)
		}
	}
}

// If this fails, a score allocates memory.
func TestNoAllocation(t *testing.T) {
	var x Extractor
	var h History
	name := []byte("a1b2c3d4e5f60718293a4b5c6d7e8f90.chunk-17.s42")
	if n := testing.AllocsPerRun(100, func() {
		f := x.Of(name)
		h.Score(f, 1, false)
		h.Add(f, 1, false, false)
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

// If this fails, the two halves of a word overflow into each other. The packed sums
// are compared with plain ones at the limits of what fits.
func TestPackedSums(t *testing.T) {
	m := new(Model)
	r := rand.New(rand.NewPCG(5, 6))
	for i := range m.Units {
		for k := range m.Units[i].Weights {
			m.Units[i].Weights[k] = []int16{math.MinInt16, math.MaxInt16, int16(r.Uint32())}[r.IntN(3)]
		}
		m.Units[i].Bias, m.Units[i].Out = r.Int64N(1e9)-5e8, float64(r.IntN(3)-1)
	}
	m.Curve = []Point{{0, 0}}
	m.Packed()
	for range 200 {
		var x Input
		for k := range x {
			x[k] = []uint8{0, 255, uint8(r.Uint32())}[r.IntN(3)]
		}
		want := 0.0
		for _, u := range m.Units {
			sum := u.Bias
			for k, w := range u.Weights {
				sum += int64(w) * int64(x[k])
			}
			want += u.Out * float64(max(0, sum))
		}
		if got := m.Logit(&x); got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

// names has the lengths found in a resolver's log: mostly short names, and a few of
// a tunnel.
var names = [][]byte{
	[]byte("www"), []byte("api"), []byte("e9957.e4"), []byte("mail"), []byte("pagead2"), []byte("us-east4-gcp.api"), []byte("instagram.fbeg4-1.fna"),
	[]byte("1edcb2bb50e824fa39d43cb4d6c16569.safeframe"), []byte("connectivitycheck.platform"), []byte("21.101.91.147.sbl"),
	[]byte("prod-webs-offersba-uuapd3kcsimy-120836543.eu-central-1.elb"), []byte("bp6fnlukhhweddihisyaihlp7abqeaqbaeaq.a.e"),
}

func BenchmarkFeatures(b *testing.B) {
	var x Extractor
	for i := 0; b.Loop(); i++ {
		x.Of(names[i%len(names)])
	}
}

func BenchmarkScore(b *testing.B) {
	var x Extractor
	var h History
	var f [12]Features
	for i := range f {
		f[i] = x.Of(names[i])
	}
	for i := 0; b.Loop(); i++ {
		k := i % len(f)
		h.Score(f[k], int64(i), false)
		h.Add(f[k], int64(i), false, false)
	}
}

// If this fails, a finding gives reasons that do not apply, or no reason.
func TestWhy(t *testing.T) {
	var x Extractor
	var h History
	f := x.Of([]byte("ovydcnrnonugcnjrgiwgi2lgmzuwkllimvwgy3lb.nywwo4tpovydcobnonugcn"))
	for _, why := range h.Why(f, 0, false) {
		if strings.Contains(why, "queries") {
			t.Errorf("no query before: got %q", why)
		}
	}
	for i := range 9 {
		h.Add(x.Of([]byte{'a' + byte(i), 'z', '4', 'q', 'x', '7', 'k', 'k'}), int64(i)*1e6, false, false)
	}
	got := h.Why(f, 9e6, false)
	if len(got) != maxReasons {
		t.Errorf("got %q, want %d reasons", got, maxReasons)
	}
	if again := h.Why(f, 9e6, false); !slices.Equal(got, again) {
		t.Errorf("got %q, then %q", got, again)
	}
	h = History{}
	for i := range 2 {
		h.Add(x.Of([]byte{'a' + byte(i)}), int64(i), false, false)
	}
	input := h.Input(&f, 2, false)
	for _, r := range reasons {
		if say := r.say(&input); strings.Contains(say, "different") && say != "2 different names in the 2 queries before" {
			t.Errorf("got %q", say)
		}
	}
}

// If this fails, the card was written without its figures.
func TestCardHasFigures(t *testing.T) {
	for _, part := range []string{"### Names of an ISP", "### With history", "### A tool never trained on", "### Calibration", "### Captures", "## What it cannot do"} {
		if !strings.Contains(Card(), part) {
			t.Errorf("no %q", part)
		}
	}
}
