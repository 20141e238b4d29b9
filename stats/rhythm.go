package stats

import (
	"math"
	"slices"
)

// This file measures how regular a series of intervals or sizes is.

// Quartiles are the three quartiles of a sample and its median absolute deviation.
// They are all that Dispersion and Evenness need of the sample.
type Quartiles struct {
	Q1, Q2, Q3 float64 // as Quantile has them
	MAD        float64 // median of the distances from Q2, not scaled
}

// QuartilesOf returns the quartiles of x: NaN without a value.
func QuartilesOf(x []float64) Quartiles {
	if len(x) == 0 {
		nan := math.NaN()
		return Quartiles{nan, nan, nan, nan}
	}
	sorted := slices.Clone(x)
	slices.Sort(sorted)
	q := Quartiles{Q1: quantileSorted(sorted, .25), Q2: quantileSorted(sorted, .5), Q3: quantileSorted(sorted, .75)}
	for i := range sorted {
		sorted[i] = math.Abs(sorted[i] - q.Q2)
	}
	slices.Sort(sorted)
	q.MAD = quantileSorted(sorted, .5)
	return q
}

// Dispersion returns (Q3−Q1)/(Q3+Q1): 0 if the middle half of the sample is one value,
// .5 if Q3 is three times Q1, about .65 for the intervals of a Poisson process. It does
// not depend on the unit, and a quarter of the sample may be anything. It is NaN if Q3 is
// not above 0. The sample must not be negative.
func (q Quartiles) Dispersion() float64 {
	if !(q.Q3 > 0) {
		return math.NaN()
	}
	return (q.Q3 - q.Q1) / (q.Q3 + q.Q1)
}

// SortedDispersion returns the Dispersion of a sample that is sorted.
func SortedDispersion(sorted []float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	return Quartiles{Q1: quantileSorted(sorted, .25), Q3: quantileSorted(sorted, .75)}.Dispersion()
}

// Evenness returns ½(1−|Bowley|) + ½(Q2−MAD)/Q2, from 0 to 1: how symmetric the sample
// is and how close to its median, as RITA's scores of times and sizes have it. Bowley's
// skewness, (Q1+Q3−2·Q2)/(Q3−Q1), counts as 0 if Q3−Q1 is below 10 or if Q2 equals Q1 or
// Q3. empty is the second term if Q2 is below 1. It is NaN without a sample.
func (q Quartiles) Evenness(empty float64) float64 {
	if math.IsNaN(q.Q2) {
		return math.NaN()
	}
	skew := 0.0
	if q.Q3-q.Q1 >= 10 && q.Q2 != q.Q1 && q.Q2 != q.Q3 {
		skew = (q.Q1 + q.Q3 - 2*q.Q2) / (q.Q3 - q.Q1)
	}
	near := empty
	if q.Q2 >= 1 {
		near = max(0, (q.Q2-q.MAD)/q.Q2)
	}
	return (1-math.Abs(skew))/2 + near/2
}

// Period estimates the period of a clock from the intervals between its ticks, some of
// which were missed, and how far the intervals stray: the distance between their quartiles
// over the period, which is J for intervals of a period ±J. Both are NaN without an
// interval.
//
// Note: the median interval alone is a tenth too long where a fifth of the ticks is missed
// and the others stray by half a period. Counting each interval as the whole number of
// periods that it is nearest to has no firm ground there: it goes down to two thirds of the
// period as easily. What is left out here are most of the missed ticks and all pauses. The
// first limit keeps all single intervals, and a third of the double ones; the second is as
// near to the longest single one as the first estimate allows. A third is no better.
//
// Software that strays draws its intervals evenly from a range, and the middle of a range is
// told sooner by its ends than by the mean: the period is half of each. The ends are the
// second least and the second greatest interval, so that one retry does not count. Median
// error of 24 intervals that stray by half a period, a fifth of the ticks missed: 4.4 % (5.6 %
// by the mean alone); of intervals around the normal curve, with that σ, 5.1 % (4.6 %).
func Period(intervals []float64) (period, jitter float64) {
	const medians, periods = 1.6, 1.55
	single := upTo(medians*Median(intervals), intervals)
	period, _ = MeanSD(single)
	single = upTo(periods*period, single)
	period, _ = MeanSD(single)
	if n := len(single); n >= 4 {
		slices.Sort(single) // a copy of upTo
		period = period/2 + (single[1]+single[n-2])/4
	}
	q := QuartilesOf(single)
	return period, (q.Q3 - q.Q1) / period
}

// upTo returns the values of x that are not above a limit.
func upTo(limit float64, x []float64) (out []float64) {
	for _, v := range x {
		if v <= limit {
			out = append(out, v)
		}
	}
	return out
}

// Autocorrelation returns the correlation of counts with themselves lag places later. It
// is NaN if counts do not vary or have no more than lag values.
func Autocorrelation(counts []float64, lag int) float64 {
	if lag <= 0 || len(counts) <= lag {
		return math.NaN()
	}
	mean := 0.0
	for _, c := range counts {
		mean += c / float64(len(counts))
	}
	var all, lagged float64
	for i, c := range counts {
		all += (c - mean) * (c - mean)
		if i >= lag {
			lagged += (c - mean) * (counts[i-lag] - mean)
		}
	}
	if all == 0 {
		return math.NaN()
	}
	return lagged / all
}

// Flatness returns 1 − σ/μ of counts, at least 0: 1 if all are equal. σ is the standard
// deviation of all of them (divisor n). It is NaN if all are 0.
func Flatness(counts []float64) float64 {
	sum, squares := 0.0, 0.0
	for _, c := range counts {
		sum += c
		squares += c * c
	}
	if sum == 0 {
		return math.NaN()
	}
	n := float64(len(counts))
	mean := sum / n
	return max(0, 1-math.Sqrt(max(0, squares/n-mean*mean))/mean)
}
