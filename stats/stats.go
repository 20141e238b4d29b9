// Package stats is arithmetic on plain numbers: what is usual in a series, how far
// a value is from it, and how much information a text carries. It knows nothing of
// logs.
//
// A function that is given too few values returns NaN. NaN compares false with
// every threshold, so what cannot be judged is never found unusual. Input that
// holds NaN is a mistake of the caller, and the result is unspecified. No function
// changes its input.
package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
)

// madScale makes the median absolute deviation (MAD) of a normal sample estimate
// its standard deviation: 1/Φ⁻¹(3/4).
const madScale = 1.4826

// ScaleFloor is the smallest spread, in natural-log units, that a robust z-score
// divides by. At 0.4 a day must be e^(3.5·0.4) = 4 times the usual to reach 3.5,
// however regular its past is. A lower floor would report a machine's one extra
// file; a higher one would hide what regular users do.
const ScaleFloor = 0.4

// Median returns the middle value, or the mean of the two middle ones.
func Median(x []float64) float64 { return Quantile(x, 0.5) }

// Quantile returns the p-quantile of x, 0 ≤ p ≤ 1, interpolated linearly between
// order statistics at (n−1)p: type 7 of Hyndman and Fan (1996), the default of
// R, NumPy and pandas.
//
// Note: gonum's stat.Quantile interpolates at np, type 4, which is off by half a
// step at the median of an even sample.
func Quantile(x []float64, p float64) float64 {
	if len(x) == 0 || !(p >= 0 && p <= 1) {
		return math.NaN()
	}
	var room days
	sorted := append(room[:0], x...)
	slices.Sort(sorted)
	return quantileSorted(sorted, p)
}

// days is room for as many values as two months have days. A detection asks for the medians of
// millions of months, and their copies would be most of what is collected.
type days [64]float64

func quantileSorted(x []float64, p float64) float64 {
	h := float64(len(x)-1) * p
	i := int(h)
	if i+1 >= len(x) || x[i] == x[i+1] {
		return x[min(i, len(x)-1)]
	}
	f := h - float64(i)
	return x[i]*(1-f) + x[i+1]*f
}

// Spread returns a robust standard deviation of residuals from their centre. It
// first pulls residuals beyond three MADs (or beyond 3·ScaleFloor, if that is more)
// in to that distance, and then takes the root of their mean square. lost is the
// number of centres that were estimated from the same values.
//
// Note: the MAD alone uses 37 % of the information that a normal sample holds about
// its spread. With 30 days this noise causes most false findings: see the
// simulation in detect.TestSimulation.
func Spread(residuals []float64, lost int) float64 {
	n := len(residuals) - lost
	if n < 1 {
		return math.NaN()
	}
	var room days
	abs := appendAbs(room[:0], residuals)
	bound := 3 * max(madScale*quantileSorted(abs, 0.5), ScaleFloor)
	sum := 0.0
	for _, r := range abs {
		r = min(r, bound)
		sum += r * r
	}
	return math.Sqrt(sum / float64(n))
}

// appendAbs appends the absolute values of x in ascending order.
func appendAbs(abs, x []float64) []float64 {
	if !slices.IsSorted(x) {
		for _, v := range x {
			abs = append(abs, math.Abs(v))
		}
		slices.Sort(abs)
		return abs
	}
	abs = append(abs, x...)
	low, high := 0, len(x)-1
	for k := high; k >= 0; k-- { // the largest is at one of the ends
		if a, b := math.Abs(x[low]), math.Abs(x[high]); a > b {
			abs[k] = a
			low++
		} else {
			abs[k] = b
			high--
		}
	}
	return abs
}

// AppendMerged appends the values of two lists, both ascending, in ascending order.
func AppendMerged(all, x, y []float64) []float64 {
	for len(x) > 0 && len(y) > 0 {
		if y[0] < x[0] {
			x, y = y, x
		}
		all = append(all, x[0])
		x = x[1:]
	}
	return append(append(all, x...), y...)
}

// Pool returns the root of the weighted mean variance of a sample and a prior: n
// values with standard deviation s, and k values with standard deviation prior.
func Pool(s float64, n int, prior float64, k int) float64 {
	if n+k == 0 {
		return math.NaN()
	}
	return math.Sqrt((float64(n)*s*s + float64(k)*prior*prior) / float64(n+k))
}

// LogMB returns log(1 + bytes/1e6), the scale on which days of uploads are
// compared: they vary by factors, not by sums. Amounts below a megabyte are nearly
// 0 on it. Negative bytes count as 0.
func LogMB(bytes float64) float64 { return math.Log1p(max(bytes, 0) / 1e6) }

// Bytes is the inverse of LogMB. It returns 0 if logMB is below 0.
func Bytes(logMB float64) float64 { return max(0, math.Expm1(logMB)*1e6) }

// MeanSD returns the mean and the sample standard deviation (divisor n − 1), as
// pandas does. The standard deviation of fewer than two values is NaN.
//
// It is computed in two passes. The residuals, which would add up to 0 if the mean
// were exact, correct it for rounding: (1.7) of Chan, Golub and LeVeque (1983).
//
// Note: gonum's stat.MeanStdDev does the same, but its package brings matrices and
// linear algebra, which take longer to compile than stats/detect.
func MeanSD(x []float64) (mean, sd float64) {
	if len(x) == 0 {
		return math.NaN(), math.NaN()
	}
	n := float64(len(x))
	mean = floats.Sum(x) / n
	if len(x) < 2 {
		return mean, math.NaN()
	}
	var squares, residuals float64
	for _, v := range x {
		d := v - mean
		squares += d * d
		residuals += d
	}
	return mean, math.Sqrt((squares - residuals*residuals/n) / (n - 1))
}

// Z returns how many sample standard deviations x lies above the mean of past.
// It is NaN if past has no spread.
func Z(x float64, past []float64) float64 {
	mean, sd := MeanSD(past)
	if !(sd > 0) {
		return math.NaN()
	}
	return (x - mean) / sd
}

// ZInSample returns the z-score of the last value in a sample that includes it. The
// score is at most (n−1)/√n, so fewer than 11 values cannot reach 3 (Shiffler
// 1988). It is NaN if the sample has no spread.
func ZInSample(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	return Z(x[len(x)-1], x)
}

// Ratio returns out/(in+1), the bytes sent for each byte received. The 1 keeps it
// finite when nothing is received.
func Ratio(out, in int64) float64 { return float64(out) / (float64(in) + 1) }

// ProducerConsumerRatio returns (out−in)/(out+in), from −1 (only receives) to 1
// (only sends), after Bullard and Gerth (2014). It is NaN if no bytes were sent or
// received.
func ProducerConsumerRatio(out, in int64) float64 {
	o, i := float64(out), float64(in)
	if o+i == 0 {
		return math.NaN()
	}
	return (o - i) / (o + i)
}
