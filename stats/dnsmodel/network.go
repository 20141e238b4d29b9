package dnsmodel

import (
	_ "embed"
	"encoding/binary"
	"math"
	"sync"
)

// HiddenUnits is the number of units between the inputs and the logit.
const HiddenUnits = 32

// A Model is a language model of benign names, and a perceptron with one hidden
// layer of rectified units. Inputs and weights of the hidden layer are integers, so
// its sums are the same on every machine. The steps after it are rounded one by
// one, because Go may otherwise fuse a multiplication with an addition.
type Model struct {
	Surprise Surprise
	Units    [HiddenUnits]Unit
	Bias     float64
	// Usual is the input of a typical benign query, with which Why compares.
	Usual Input
	// Curve maps logits to calibrated logits. It has at least one point, is linear
	// between points, and is constant beyond them.
	Curve []Point

	// packed holds the weights of two units in each word, 32 bits apart and above
	// offset.
	packed [HiddenUnits / 2][inputCount]uint64
}

// A Unit adds Out · max(0, Bias + Σ Weights·inputs) to the logit.
type Unit struct {
	Weights [inputCount]int16
	Bias    int64
	Out     float64
}

// A Point of a curve maps the logit X to the logit Y.
type Point struct{ X, Y float64 }

// offset is added to weights so that they are not negative and two of them fit a
// word: 255 · 65535 · inputCount is below 2^32.
const offset = 1 << 15

//go:embed model.bin
var modelFile []byte

// model is read when a run first meets DNS.
var model = sync.OnceValue(func() *Model { return Read(modelFile) })

// Append appends the model in the form that Read reads: its fields in order,
// numbers in little-endian order, and before the points of the curve a byte with
// their number.
func (m *Model) Append(b []byte) []byte {
	b = append(b, m.Surprise[:]...)
	float := func(v float64) { b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v)) }
	for i := range m.Units {
		u := &m.Units[i]
		for _, w := range u.Weights {
			b = binary.LittleEndian.AppendUint16(b, uint16(w))
		}
		b = binary.LittleEndian.AppendUint64(b, uint64(u.Bias))
		float(u.Out)
	}
	float(m.Bias)
	b = append(b, m.Usual[:]...)
	b = append(b, uint8(len(m.Curve)))
	for _, p := range m.Curve {
		float(p.X)
		float(p.Y)
	}
	return b
}

// Read reads what Append wrote. It panics on any other input.
func Read(b []byte) *Model {
	m := new(Model)
	next := func(n int) []byte {
		s := b[:n]
		b = b[n:]
		return s
	}
	float := func() float64 { return math.Float64frombits(binary.LittleEndian.Uint64(next(8))) }
	copy(m.Surprise[:], next(len(m.Surprise)))
	for i := range m.Units {
		u := &m.Units[i]
		for k := range u.Weights {
			u.Weights[k] = int16(binary.LittleEndian.Uint16(next(2)))
		}
		u.Bias = int64(binary.LittleEndian.Uint64(next(8)))
		u.Out = float()
	}
	m.Bias = float()
	copy(m.Usual[:], next(len(m.Usual)))
	m.Curve = make([]Point, next(1)[0])
	for i := range m.Curve {
		m.Curve[i] = Point{float(), float()}
	}
	return m.Packed()
}

// Packed prepares a model that was built field by field for Logit, and returns it.
func (m *Model) Packed() *Model {
	m.packed = [HiddenUnits / 2][inputCount]uint64{}
	for i := range m.Units {
		for k, w := range m.Units[i].Weights {
			m.packed[i/2][k] |= uint64(int64(w)+offset) << (32 * (i % 2))
		}
	}
	return m
}

// Logit returns the output of the network before calibration.
func (m *Model) Logit(x *Input) float64 {
	var wide [inputCount]uint64
	total := int64(0)
	for i, v := range x {
		wide[i] = uint64(v)
		total += int64(v)
	}
	total *= offset
	z := m.Bias
	for j := 0; j < len(m.packed); j += 4 {
		w0, w1, w2, w3 := &m.packed[j], &m.packed[j+1], &m.packed[j+2], &m.packed[j+3]
		var s0, s1, s2, s3 uint64
		for i, v := range &wide {
			s0 += v * w0[i]
			s1 += v * w1[i]
			s2 += v * w2[i]
			s3 += v * w3[i]
		}
		for k, s := range [4]uint64{s0, s1, s2, s3} {
			low, high := &m.Units[2*(j+k)], &m.Units[2*(j+k)+1]
			z += float64(low.Out * float64(max(0, int64(s&math.MaxUint32)-total+low.Bias)))
			z += float64(high.Out * float64(max(0, int64(s>>32)-total+high.Bias)))
		}
	}
	return z
}

// Probability returns the calibrated probability of a logit.
func (m *Model) Probability(z float64) float64 {
	c := m.Curve
	i := 0
	for i < len(c) && z > c[i].X {
		i++
	}
	switch {
	case i == 0:
		z = c[0].Y
	case i == len(c):
		z = c[i-1].Y
	default:
		a, b := c[i-1], c[i]
		z = a.Y + float64((b.Y-a.Y)*float64((z-a.X)/(b.X-a.X)))
	}
	return Sigmoid(z)
}

// Sigmoid returns 1/(1 + e^−z). Unlike math.Exp, it gives the same result on every
// machine.
func Sigmoid(z float64) float64 {
	// e^|z| = 2^k · e^r, |r| ≤ ln 2 / 2, where 13 terms of the series are exact to
	// a few units in the last place.
	a := min(math.Abs(z), 700)
	k := math.Floor(float64(a*math.Log2E) + 0.5)
	r := (a - float64(k*ln2High)) - float64(k*ln2Low)
	e := 0.0
	for _, c := range &inverseFactorials {
		e = c + float64(e*r)
	}
	e = math.Ldexp(e, int(k))
	if z < 0 {
		return 1 / (1 + e)
	}
	return 1 - 1/(1+e)
}

// inverseFactorials are 1/n! for n from 13 down to 0.
var inverseFactorials = [...]float64{
	1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
	1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 1.0 / 2, 1, 1,
}

// ln 2 in two parts, so that k times the first is exact.
const (
	ln2High = 6.93147180369123816490e-01
	ln2Low  = 1.90821492927058770002e-10
)
