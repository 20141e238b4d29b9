package dnsmodel

import (
	"bufio"
	hexadecimal "encoding/hex"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
)

// If this fails, the Go code does not compute the network that was trained. The
// expected probabilities are NumPy's, see train/parity.py.
func TestParity(t *testing.T) {
	name := "testdata/parity.tsv"
	if more := os.Getenv("OUTFLOW_PARITY"); more != "" {
		name = more
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, worst := 0, 0.0
	for s := bufio.NewScanner(f); s.Scan(); rows++ {
		inputs, value, _ := strings.Cut(s.Text(), "\t")
		b, err := hexadecimal.DecodeString(inputs)
		if err != nil || len(b) != inputCount {
			t.Fatalf("row %d: %d inputs, %v", rows, len(b), err)
		}
		want, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		x := Input(b)
		got := model().Probability(model().Logit(&x))
		if worst = max(worst, math.Abs(got-want)); worst > 1e-6 {
			t.Fatalf("row %d: got %v, want %v", rows, got, want)
		}
	}
	if rows < 500 {
		t.Errorf("got %d rows, want at least 500", rows)
	}
	t.Logf("%d rows, greatest difference %.2g", rows, worst)
}

// If this fails, probabilities depend on the machine's exponential, or are wrong.
func TestSigmoid(t *testing.T) {
	for z := -800.0; z < 800; z += 0.37 {
		if got, want := Sigmoid(z), 1/(1+math.Exp(-z)); math.Abs(got-want) > 1e-15 {
			t.Fatalf("%v: got %v, want %v", z, got, want)
		}
	}
}
