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

// omitted are classes of look-ups that carry hashes out by their nature: the ISP's
// names have them, labelled exfiltration, so that they are not trained on as benign.
func omitted(q *query) bool { return q.tool == "eset" || q.tool == "mcafee" }

// Epochs: more bring nothing on unseen domains, fewer cost some.
const (
	epochs      = 6
	quickEpochs = 2
)

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
			keep, alone, weight = min(1, 25/float64(events)), 0.3, 1
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
	})
	return all
}
