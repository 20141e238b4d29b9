package main

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"outflow/stats/dnsmodel"
)

// prevalence is the share of exfiltration among queries for which probabilities are
// calibrated: the share in the ISP's names, and the one that the precision target
// assumes.
const prevalence = 0.005

// caution is the factor by which benign queries count more than they should. Each
// half of the data has classes that the other lacks, and a curve from one half gave
// queries of the other up to three times their true odds. With this factor, queries
// with a probability of a third to a half are exfiltration about that often, and
// above that more often: see the card.
const caution = 3

// A prediction is the output of a model for a query that it was not trained on.
type prediction struct {
	*query
	logit float64
}

// predictFolds returns, for all queries, the output of a model trained on the other
// fold.
func (c *corpus) predictFolds(blank func(*dnsmodel.Input)) []prediction {
	var parts [folds][]prediction
	together(folds, func(f int) {
		m := c.train(func(q *query) bool { return q.fold != f }, variant{blank: blank, quick: blank != nil})
		parts[f] = predict(m, c.queries, func(q *query) bool { return q.fold == f }, blank)
	})
	return slices.Concat(parts[:]...)
}

// together calls f with 0 to n−1 at the same time. The calls do not depend on each
// other.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

func predict(m *dnsmodel.Model, queries []query, in func(*query) bool, blank func(*dnsmodel.Input)) []prediction {
	var all []prediction
	each(queries, &m.Surprise, in, func(q *query, _ int, h *dnsmodel.History, v *dnsmodel.Features) {
		x := h.Input(v, q.at, q.rare)
		if blank != nil {
			blank(&x)
		}
		all = append(all, prediction{q, m.Logit(&x)})
	})
	return all
}

// weights returns the weights of predictions: tunnels weigh prevalence in total, and
// each tool the same. Look-ups that carry hashes weigh 0: only the domain tells
// whether one is innocent, which the model does not know and the detection labels.
func weights(predicted []prediction) func(*prediction) float64 {
	tools := map[string]int{}
	benign := 0
	for i := range predicted {
		if lookUp(predicted[i].query) {
			continue
		}
		if predicted[i].label {
			tools[predicted[i].tool]++
		} else {
			benign++
		}
	}
	return func(j *prediction) float64 {
		switch {
		case lookUp(j.query):
			return 0
		case j.label:
			return prevalence / float64(len(tools)) / float64(tools[j.tool])
		}
		return (1 - prevalence) / float64(benign)
	}
}

// A step of a calibration is a range of logits that get the same probability.
type step struct{ logits, yes, no float64 }

func (s step) share() float64 { return s.yes / (s.yes + s.no) }

// curvePoints is the largest number of points of a curve; its file allows 255.
const curvePoints = 24

// calibrate returns the curve by isotonic regression (pool adjacent violators) over
// ranges of logits. Tunnels have the same weight in each range.
func calibrate(predicted []prediction, in func(*prediction) bool) []dnsmodel.Point {
	weigh := weights(predicted)
	order := make([]*prediction, 0, len(predicted))
	for i := range predicted {
		if in(&predicted[i]) {
			order = append(order, &predicted[i])
		}
	}
	slices.SortFunc(order, func(a, b *prediction) int { return cmp.Compare(a.logit, b.logit) })
	var steps []step
	var s step
	weight, total := 0.0, 0.0
	for _, j := range order {
		if j.label {
			total += weigh(j)
		}
	}
	for i, j := range order {
		w := weigh(j)
		weight += w
		s.logits += float64(j.logit * w)
		if j.label {
			s.yes += w
		} else {
			s.no += w
		}
		if s.yes < total/curvePoints && i+1 < len(order) {
			continue
		}
		s.logits /= s.yes + s.no
		steps = append(steps, s)
		for n := len(steps); n > 1 && steps[n-2].share() >= steps[n-1].share(); n-- {
			a, b := steps[n-2], steps[n-1]
			wa, wb := a.yes+a.no, b.yes+b.no
			steps = append(steps[:n-2], step{(float64(a.logits*wa) + float64(b.logits*wb)) / (wa + wb), a.yes + b.yes, a.no + b.no})
		}
		s = step{}
	}
	// Half a query is added on either side to keep the ends finite.
	half := 0.5 * (1 - prevalence) / float64(len(order))
	curve := make([]dnsmodel.Point, 0, len(steps))
	for _, s := range steps {
		y := math.Log((s.yes + float64(half*prevalence)) / float64(caution*(s.no+half)))
		curve = append(curve, dnsmodel.Point{X: grid(s.logits), Y: grid(y)})
	}
	return curve
}

// grid rounds away the differences between machines' logarithms.
func grid(v float64) float64 { return math.Round(v*1e6) / 1e6 }
