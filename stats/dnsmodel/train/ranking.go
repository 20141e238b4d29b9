package main

import (
	"cmp"
	"math"
	"slices"
)

// A scored is the score of a query, with its label.
type scored struct {
	p     float64
	label bool
}

// A ranking has scored queries, highest first, from which figures are computed.
type ranking struct {
	scores   []scored
	positive int
	negative int
}

func rank(scores []scored) *ranking {
	r := &ranking{scores: slices.Clone(scores)}
	slices.SortFunc(r.scores, func(a, b scored) int { return cmp.Compare(b.p, a.p) })
	for _, s := range r.scores {
		if s.label {
			r.positive++
		} else {
			r.negative++
		}
	}
	return r
}

// steps calls each at the end of every run of equal scores, with the true and false
// positives up to there.
func (r *ranking) steps(each func(p float64, tp, fp int)) {
	tp, fp := 0, 0
	for i, s := range r.scores {
		if s.label {
			tp++
		} else {
			fp++
		}
		if i+1 == len(r.scores) || r.scores[i+1].p != s.p {
			each(s.p, tp, fp)
		}
	}
}

// averagePrecision returns Σ (Rₙ − Rₙ₋₁) Pₙ over the thresholds, as in
// scikit-learn.
func (r *ranking) averagePrecision() float64 {
	sum, before := 0.0, 0
	r.steps(func(_ float64, tp, fp int) {
		sum += float64(tp-before) * float64(tp) / float64(tp+fp)
		before = tp
	})
	return sum / float64(r.positive)
}

// found returns the lowest score at which at most a share fpr of the negatives is
// flagged, and the number of positives flagged there.
func (r *ranking) found(fpr float64) (tp int, threshold float64) {
	threshold = math.Inf(1)
	r.steps(func(p float64, t, f int) {
		if float64(f) <= fpr*float64(r.negative) {
			tp, threshold = t, p
		}
	})
	return tp, threshold
}

// at returns the numbers of positives and negatives with a score of at least
// threshold.
func (r *ranking) at(threshold float64) (tp, fp int) {
	for _, s := range r.scores {
		if s.p >= threshold {
			if s.label {
				tp++
			} else {
				fp++
			}
		}
	}
	return tp, fp
}

// wilson returns the 95 % confidence interval of k of n (Wilson 1927).
func wilson(k, n int) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	const z = 1.959964
	p, m := float64(k)/float64(n), float64(n)
	mid := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return max(0, mid-half), min(1, mid+half)
}
