package stats

import "math"

// An Entropy measures texts. The zero value is ready for use. It allocates nothing,
// and must not be used by several goroutines at once.
type Entropy struct {
	count [256]uint8
}

// entropyTable is the length in bytes of the longest text that the table serves. A
// DNS name has at most 255 bytes, and a count up to 255 fits 8 bits.
const entropyTable = 255

// entropyLog holds the terms and divisors of the loop, so that the loop computes no
// logarithm: gain[c] = f(c+1) − f(c) with f(c) = c·log2 c.
var entropyLog = func() (t struct{ gain, log2, inverse [entropyTable + 1]float64 }) {
	f := func(c int) float64 {
		if c == 0 {
			return 0
		}
		return float64(c) * math.Log2(float64(c))
	}
	for c := range t.gain {
		t.gain[c] = f(c+1) - f(c)
		if c > 0 {
			t.log2[c] = math.Log2(float64(c))
			t.inverse[c] = 1 / float64(c)
		}
	}
	return t
}()

// Bits returns the Shannon entropy of the bytes of text other than dots, in bits
// per byte: log2 n − (Σ c·log2 c)/n over the counts c of the n bytes. It is 0 if
// text has at most one distinct byte, and never more than 8.
func (e *Entropy) Bits(text []byte) float64 {
	if len(text) > entropyTable {
		return longBits(text)
	}
	t := &entropyLog
	sum, dots := 0.0, 0
	for _, b := range text {
		if b == '.' {
			dots++
			continue
		}
		c := e.count[b]
		sum += t.gain[c]
		e.count[b] = c + 1
	}
	clear(e.count[:])
	n := len(text) - dots
	// The sum of gains is off by a few units in the last place: the result must not
	// be negative when all bytes are equal.
	return max(0, t.log2[n]-sum*t.inverse[n])
}

func longBits(text []byte) float64 {
	var count [256]int
	n := 0
	for _, b := range text {
		if b != '.' {
			count[b]++
			n++
		}
	}
	sum := 0.0
	for _, c := range count {
		if c > 0 {
			p := float64(c) / float64(n)
			sum -= p * math.Log2(p)
		}
	}
	return max(0, sum)
}
