package main

import (
	"math"

	"outflow/stats/dnsmodel"
)

// symbols is the number of values that fit in a symbol of the language model.
const symbols = 32

// A language counts sequences of symbols in benign names.
type language struct {
	three [symbols * symbols * symbols]float64
	two   [symbols * symbols]float64
	one   [symbols]float64
}

// add counts a name with a weight.
func (l *language) add(name string, weight float64) {
	a, b := 0, 0
	for i := 0; i <= len(name); i++ {
		c := 0
		if i < len(name) {
			c = int(dnsmodel.Symbol(name[i]))
		}
		l.three[(a*symbols+b)*symbols+c] += weight
		l.two[b*symbols+c] += weight
		l.one[c] += weight
		a, b = b, c
	}
}

// belief is the number of observations that the shorter context counts for.
const belief = 20

// surprise returns the model. The frequencies of each context are mixed with those
// of the context one symbol shorter (Jelinek and Mercer 1980). The weight follows
// Witten and Bell: the more observations, the less the shorter context counts.
func (l *language) surprise() *dnsmodel.Surprise {
	var s dnsmodel.Surprise
	total := 0.0
	for _, n := range l.one {
		total += n
	}
	var one [symbols]float64
	for c := range one {
		one[c] = (l.one[c] + 1) / (total + symbols)
	}
	var two [symbols * symbols]float64
	for b := range symbols {
		seen := 0.0
		for c := range symbols {
			seen += l.two[b*symbols+c]
		}
		for c := range symbols {
			two[b*symbols+c] = (l.two[b*symbols+c] + float64(belief*one[c])) / (seen + belief)
		}
	}
	for ab := range symbols * symbols {
		seen := 0.0
		for c := range symbols {
			seen += l.three[ab*symbols+c]
		}
		for c := range symbols {
			p := (l.three[ab*symbols+c] + float64(belief*two[ab%symbols*symbols+c])) / (seen + belief)
			s[ab*symbols+c] = uint8(min(255, math.Round(-16*math.Log2(p))))
		}
	}
	return &s
}
