// Package dnsmodel estimates how likely a DNS query carries data out. It looks at
// the part of the name before the registered domain, and at the earlier queries of
// the same source for that domain. The model is pretrained: its weights and its
// language model are in the binary. Card says what it was trained on and how good
// it is; the program in train makes it anew.
//
// The registered domain, the source and the time of day are not inputs, so the
// model cannot learn the domains of particular tunnels.
package dnsmodel

// Threshold is the probability above which a query counts as exfiltration. Scores
// are calibrated, so they can be read as probabilities. A lower threshold finds
// more, and is wrong more often.
const Threshold = 0.5

// Score returns the probability that a query is exfiltration. f has the features of
// its name, at is its time (µs UTC), rare says whether its type is rare as in Add,
// and h is the history before it. The result is in [0, 1] and the same on every
// machine.
func (h *History) Score(f Features, at int64, rare bool) float64 {
	x := h.Input(&f, at, rare)
	m := model()
	return m.Probability(m.Logit(&x))
}
