// Package dnsmodel tells how likely a DNS query carries data out, from its name
// before the registered domain and the earlier queries of the same source for that
// domain. It is pretrained: weights and language model are in the binary. What it
// was trained on and how good it is, Card says; the program in train makes it anew.
//
// The registered domain, the source and the time of day are no inputs: the model
// cannot know one tunnel's domain from another's.
package dnsmodel

// Threshold is the probability from which a query counts as exfiltration. Scores
// are calibrated, so it can be read as it stands; a lower one finds more and is
// wrong more often.
const Threshold = 0.5

// Score returns the probability that a query is exfiltration, given its name's
// features, when it was asked (µs UTC), whether its type is rare as in Add, and
// the history before it. It is in [0, 1] and the same on every machine.
func (h *History) Score(f Features, at int64, rare bool) float64 {
	x := h.Input(&f, at, rare)
	return model.Probability(model.Logit(&x))
}
