package main

import (
	"fmt"
	"math/rand/v2"
	"os"

	"outflow/stats/dnsmodel"
)

// A variant says how a model differs from the shipped one.
type variant struct {
	quick bool                  // trained for fewer epochs
	blank func(*dnsmodel.Input) // clears inputs
}

// omitted reports whether a query's class carries something new out with each name,
// as a tunnel does. Such a query is no example of a benign one: only the domain
// tells whether it is innocent, which the model does not know and the detection
// labels.
func omitted(q *query) bool {
	return lookUp(q) && q.tool != "reverse" && q.tool != "service_names"
}

// More epochs bring nothing on unseen domains; fewer cost some.
const (
	epochs      = 6
	quickEpochs = 2
)

// slowed is the share of tunnel queries that are learned once more with a slower
// history: its events are as many seconds apart as one of slowest says.
const slowed = 0.5

var slowest = [...]int64{10, 20, 40, 80, 160, 320, 640, 1280}

func (c *corpus) train(in func(*query) bool, v variant) *dnsmodel.Model {
	surprise := c.language(in)
	s := c.samples(surprise, in)
	n := epochs
	if v.quick {
		n = quickEpochs
	}
	if v.blank != nil {
		for i := range s {
			v.blank(&s[i].x)
		}
	}
	fmt.Fprintf(os.Stderr, "train: %d samples, %d epochs\n", len(s), n)
	return fit(s, n).model(surprise)
}

// samples draws the samples. Tunnels and hard classes are drawn more often than
// everyday queries, and the first queries of a pair more often than later ones.
// Some are added a second time without a history.
func (c *corpus) samples(surprise *dnsmodel.Surprise, in func(*query) bool) []sample {
	r := rand.New(rand.NewPCG(11, 13))
	var all []sample
	count := map[string]int{}
	for i := range c.queries {
		if q := &c.queries[i]; q.set == "ziza" {
			count[q.name]++
		}
	}
	each(c.queries, surprise, in, func(q *query, events int, h *dnsmodel.History, v *dnsmodel.Features) {
		if omitted(q) {
			return
		}
		var keep, alone, weight float64
		switch {
		case q.set == "ziza":
			if count[q.name] == 0 {
				return
			}
			// Each name counts once, with a weight that grows with the logarithm of
			// its count.
			for weight = 1; count[q.name] > 1; count[q.name] /= 2 {
				weight++
			}
			count[q.name] = 0
			keep = 1
			if q.label {
				weight *= 8 // there are few
			}
		case q.label:
			keep, alone, weight = min(1, 45/float64(events)), 0.3, 1
			if h.Len() < 5 {
				keep = 1
			}
		case q.set == "hard":
			keep, alone, weight = min(1, 25/float64(events)), 0.3, 2
		default:
			keep, alone, weight = min(1, 8/float64(events))*0.15, 0.1, 2
		}
		if r.Float64() >= keep {
			return
		}
		all = append(all, sample{x: h.Input(v, q.at, q.rare), weight: float32(weight), q: q})
		if h.Len() > 0 && r.Float64() < alone {
			all = append(all, sample{x: new(dnsmodel.History).Input(v, q.at, q.rare), weight: float32(weight), q: q})
		}
		// The operator of a tunnel sets its rate: a slow tunnel is still a tunnel.
		if h.Len() > 0 && q.label && r.Float64() < slowed {
			x := h.Input(v, q.at, q.rare)
			dnsmodel.Slow(&x, slowest[r.IntN(len(slowest))]*1e6)
			all = append(all, sample{x: x, weight: float32(weight), q: q})
		}
	})
	return all
}
