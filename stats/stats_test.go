package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat"
)

func near(got, want, tol float64) bool {
	return math.IsNaN(got) && math.IsNaN(want) || math.Abs(got-want) <= tol*max(1, math.Abs(want))
}

// week and its expected values are from pandas 2: Series(week).median(),
// .quantile(p), .mean(), .std().
var week = []float64{12, 15, 9, 30, 14, 11, 250}

// If this fails, the standard deviation is not the one of gonum to the bit, so that
// scores change.
func TestMeanSDIsGonums(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := 2; n < 200; n++ {
		x := make([]float64, n)
		for i := range x {
			x[i] = 1e6 + math.Exp(10*r.NormFloat64())
		}
		mean, sd := MeanSD(x)
		if wantMean, wantSD := stat.MeanStdDev(x, nil); mean != wantMean || sd != wantSD {
			t.Errorf("%d values: got %v, %v, want %v, %v", n, mean, sd, wantMean, wantSD)
		}
	}
}

func TestSeries(t *testing.T) {
	mean, sd := MeanSD(week)
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"median", Median(week), 14},
		{"median of an even number", Median(week[:4]), 13.5},
		{"quantile .1", Quantile(week, .1), 10.2},
		{"quantile .9", Quantile(week, .9), 118},
		{"quantile 0", Quantile(week, 0), 9},
		{"quantile 1", Quantile(week, 1), 250},
		{"quantile 2", Quantile(week, 2), math.NaN()},
		{"mean", mean, 48.714285714285715},
		{"sd", sd, 89.02755057792369},
		{"z in sample", ZInSample(week), 2.260937350056977},
		{"z", Z(250, week[:6]), 31.00487144095135},
		{"z of no spread", Z(9, []float64{1, 1, 1}), math.NaN()},
		{"z of one", ZInSample([]float64{1}), math.NaN()},
		{"log", LogMB(1e6), math.Ln2},
		{"log of negative bytes", LogMB(-5), 0},
		// By hand: residuals −1 0 1 5, MAD 1.4826, bound 4.4478.
		{"spread", Spread([]float64{-1, 0, 1, 5}, 1), math.Sqrt((2 + 4.4478*4.4478) / 3)},
		{"spread of too few", Spread([]float64{1}, 1), math.NaN()},
		{"pool", Pool(2, 30, 1, 10), math.Sqrt(130.0 / 40)},
		{"ratio", Ratio(80, 99), .8},
		{"ratio of no answer", Ratio(80, 0), 80},
		{"pcr", ProducerConsumerRatio(75, 25), .5},
		{"pcr of nothing", ProducerConsumerRatio(0, 0), math.NaN()},
	} {
		if !near(c.got, c.want, 1e-6) {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
	for name, f := range map[string]func([]float64) float64{"Median": Median, "ZInSample": ZInSample} {
		if got := f(nil); !math.IsNaN(got) {
			t.Errorf("%s of nothing: got %v, want NaN", name, got)
		}
	}
}

func TestSeriesProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		x := make([]float64, 1+r.IntN(40))
		for i := range x {
			x[i] = math.Floor(r.ExpFloat64() * 10)
		}
		before := slices.Clone(x)
		m := Median(x)
		if !slices.Equal(x, before) {
			t.Fatal("input changed")
		}
		shifted := make([]float64, len(x))
		for i, v := range x {
			shifted[i] = 3*v + 7
		}
		if got, want := Median(shifted), 3*m+7; !near(got, want, 1e-12) {
			t.Fatalf("median of %v: got %v, want %v", shifted, got, want)
		}
		if n := float64(len(x)); ZInSample(x) > (n-1)/math.Sqrt(n)+1e-9 {
			t.Fatalf("z in sample of %v exceeds its bound", x)
		}
		if b := r.Float64() * 1e12; !near(Bytes(LogMB(b)), b, 1e-9) {
			t.Fatalf("Bytes(LogMB(%v)) = %v", b, Bytes(LogMB(b)))
		}
	}
}

func TestEntropy(t *testing.T) {
	var e Entropy
	for _, c := range []struct {
		text string
		want float64
	}{
		{"", 0}, {"....", 0}, {"a", 0}, {"aaaaaaa", 0},
		{"ab", 1}, {"a.b", 1}, {"aabb", 1}, {"abcd", 2},
		{"0123456789abcdef", 4},
		// By hand: log2 11 − 18/11.
		{"mississippi", 1.8230680},
		{strings.Repeat("ab", 5000), 1},
		{strings.Repeat("a", 256), 0}, {strings.Repeat("a", 257), 0},
	} {
		if got := e.Bits([]byte(c.text)); !near(got, c.want, 1e-7) {
			t.Errorf("%.20q: got %v, want %v", c.text, got, c.want)
		}
	}
}

func TestEntropyProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var e Entropy
	for range 2000 {
		b := make([]byte, r.IntN(entropyTable+1))
		for i := range b {
			b[i] = byte(r.IntN(1 + r.IntN(256)))
		}
		got, want := e.Bits(b), longBits(b)
		if !near(got, want, 1e-12) || got < 0 || got > 8 {
			t.Fatalf("%q: got %v, want %v", b, got, want)
		}
		r.Shuffle(len(b), func(i, j int) { b[i], b[j] = b[j], b[i] })
		if again := e.Bits(b); !near(again, got, 1e-12) {
			t.Fatalf("%q: got %v in another order, want %v", b, again, got)
		}
	}
	name := []byte("a1b2c3d4e5f60718293a4b5c6d7e8f90.chunk-17.s42")
	if n := testing.AllocsPerRun(100, func() { e.Bits(name) }); n != 0 {
		t.Errorf("got %v allocations a name, want 0", n)
	}
}

func BenchmarkEntropy(b *testing.B) {
	var e Entropy
	name := []byte("a1b2c3d4e5f60718293a4b5c6d7e8f90.chunk-17.s42")
	for b.Loop() {
		e.Bits(name)
	}
}

// If this fails, a spread or a median depends on the order of the values.
func TestSpreadInAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 80 {
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(r.IntN(9)-4) * 1.5
		}
		want := Spread(x, 0)
		cut := n / 3
		slices.Sort(x[:cut])
		slices.Sort(x[cut:])
		all := AppendMerged(nil, x[:cut], x[cut:])
		slices.Sort(x)
		if !slices.Equal(all, x) {
			t.Errorf("got %v, want %v", all, x)
		}
		if got := Spread(x, 0); got != want && n > 0 {
			t.Errorf("spread of %v in order: got %v, want %v", x, got, want)
		}
	}
}
