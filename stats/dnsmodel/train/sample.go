package main

import (
	"fmt"
	"math/rand/v2"
	"os"

	"outflow/stats/dnsmodel"
)

// A plan says how a model differs from the one that is shipped.
type plan struct {
	quick bool                  // trained for fewer epochs
	blank func(*dnsmodel.Input) // inputs that are taken away
}

// omitted tells whether a query is of a class that carries something new out with each
// name, as a tunnel does: it is no example of a benign one. Whether it is innocent only
// its domain tells, which the model does not know and the detection labels.
func omitted(q *query) bool {
	return lookUp(q) && q.tool != "reverse" && q.tool != "service_names"
}

// Epochs: more bring nothing on unseen domains, fewer cost some.
const (
	epochs      = 6
	quickEpochs = 2
)

// slowed is the share of tunnels' queries that are learned from once more as if they
// came as seldom as one of slowest, in seconds.
const slowed = 0.5

var slowest = [...]int64{10, 20, 40, 80, 160, 320, 640, 1280}

func (c *corpus) train(in func(*query) bool, p plan) *dnsmodel.Model {
	surprise := c.language(in)
	s := c.samples(surprise, in)
	n := epochs
	if p.quick {
		n = quickEpochs
	}
	if p.blank != nil {
		for i := range s {
			p.blank(&s[i].x)
		}
	}
	fmt.Fprintf(os.Stderr, "train: %d samples, %d epochs\n", len(s), n)
	return fit(s, n).model(surprise)
}

// samples draws what is learned from: tunnels and hard classes more than everyday
// queries, the first queries of a pair more than the later ones, and some as if they
// had no past.
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
			// A name once, the weight growing with the logarithm of its count.
			for weight = 1; count[q.name] > 1; count[q.name] /= 2 {
				weight++
			}
			count[q.name] = 0
			keep = 1
			if q.label {
				weight *= 8 // they are few
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
		// Whoever runs a tunnel sets its rate: what is slow is no less a tunnel.
		if h.Len() > 0 && q.label && r.Float64() < slowed {
			x := h.Input(v, q.at, q.rare)
			dnsmodel.Slow(&x, slowest[r.IntN(len(slowest))]*1e6)
			all = append(all, sample{x: x, weight: float32(weight), q: q})
		}
	})
	return all
}
