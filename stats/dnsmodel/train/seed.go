package main

import (
	"math"
	"math/rand/v2"

	"outflow/stats/dnsmodel"
)

// The network of the seed, for comparison. Its inputs are the counts of 94
// printable characters, the length and entropy of the name, and their means over
// the history; it has two layers of 128 units. Its known faults are fixed: the name
// is without the registered domain and in lower case, any byte may occur in it, and
// the history is that of the pair and holds only earlier queries. It has no
// dropout, and is trained as our network is.
const (
	seedInputs = 98
	seedUnits  = 128
	seedSecond = seedUnits * (seedInputs + 1)
	seedOut    = seedSecond + seedUnits*(seedUnits+1)
	seedParams = seedOut + seedUnits + 1
)

type seedNet struct {
	p []float64 // by layer and unit: bias, weights
}

func seedInput(name string, x *dnsmodel.Input) (in [seedInputs]float64) {
	for _, b := range []byte(name) {
		if '!' <= b && b <= '~' {
			in[b-'!'] += 0.25
		}
	}
	length, entropy, meanLength, meanEntropy := dnsmodel.LengthAndEntropy(x)
	in[94], in[95], in[96], in[97] = float64(length)/64, float64(entropy)/64, float64(meanLength)/64, float64(meanEntropy)/64
	return in
}

// forward returns the logit. one and two receive the outputs of the layers.
func (n *seedNet) forward(in *[seedInputs]float64, one, two *[seedUnits]float64) float64 {
	for j := range one {
		w := n.p[j*(seedInputs+1):][:seedInputs+1]
		sum := w[0]
		for k, v := range in {
			if v != 0 {
				sum += v * w[1+k]
			}
		}
		one[j] = max(0, sum)
	}
	z := n.p[seedOut]
	for j := range two {
		w := n.p[seedSecond+j*(seedUnits+1):][:seedUnits+1]
		sum := w[0]
		for k, v := range one {
			sum += v * w[1+k]
		}
		two[j] = max(0, sum)
		z += two[j] * n.p[seedOut+1+j]
	}
	return z
}

func fitSeed(samples []sample, epochs int) *seedNet {
	r := rand.New(rand.NewPCG(31, 37))
	n := &seedNet{p: make([]float64, seedParams)}
	for i := range n.p {
		fan := float64(seedInputs)
		if i >= seedSecond {
			fan = seedUnits
		}
		n.p[i] = (r.Float64()*2 - 1) * math.Sqrt(3/fan)
	}
	grad, m, v := make([]float64, seedParams), make([]float64, seedParams), make([]float64, seedParams)
	order := r.Perm(len(samples))
	steps, step := epochs*((len(order)+batch-1)/batch), 0
	b1, b2 := 1.0, 1.0
	for range epochs {
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for at := 0; at < len(order); at += batch {
			clear(grad)
			for _, i := range order[at:min(at+batch, len(order))] {
				n.learn(&samples[i], grad)
			}
			step++
			b1, b2 = b1*0.9, b2*0.999
			left := 1 - float64(step)/float64(steps)
			now := rate * left * left * (3 - 2*left)
			for i, g := range grad {
				g /= batch
				m[i] = 0.9*m[i] + 0.1*g
				v[i] = 0.999*v[i] + 0.001*g*g
				n.p[i] -= now * (m[i]/(1-b1)/(math.Sqrt(v[i]/(1-b2))+1e-8) + decay*n.p[i])
			}
		}
	}
	return n
}

func (n *seedNet) learn(s *sample, grad []float64) {
	var one, two, back [seedUnits]float64
	in := seedInput(s.q.name, &s.x)
	e := dnsmodel.Sigmoid(n.forward(&in, &one, &two))
	if s.q.label {
		e--
	}
	e *= float64(s.weight)
	grad[seedOut] += e
	for j, h := range two {
		if h == 0 {
			continue
		}
		grad[seedOut+1+j] += e * h
		d := e * n.p[seedOut+1+j]
		at := seedSecond + j*(seedUnits+1)
		w, g := n.p[at:][:seedUnits+1], grad[at:][:seedUnits+1]
		g[0] += d
		for k, v := range one {
			g[1+k] += d * v
			back[k] += d * w[1+k]
		}
	}
	for j, h := range one {
		if h == 0 {
			continue
		}
		g := grad[j*(seedInputs+1):][:seedInputs+1]
		g[0] += back[j]
		for k, v := range in {
			if v != 0 {
				g[1+k] += back[j] * v
			}
		}
	}
}

// predictSeed is predictFolds for the seed's network, trained on the samples of the
// ISP's names and on every second other sample.
func (c *corpus) predictSeed() (all []prediction) {
	var usual dnsmodel.Surprise // not read
	for f := range folds {
		drawn := c.samples(&usual, func(q *query) bool { return q.fold != f })
		some := drawn[:0]
		for i := range drawn {
			if i%2 == 0 || drawn[i].q.set == "ziza" {
				some = append(some, drawn[i])
			}
		}
		n := fitSeed(some, quickEpochs)
		var one, two [seedUnits]float64
		at := 0
		each(c.queries, &usual, func(q *query) bool { return q.fold == f }, func(q *query, _ int, h *dnsmodel.History, v *dnsmodel.Features) {
			// A tenth of the everyday queries is enough to count false positives.
			if at++; q.set == "benign" && at%10 != 0 {
				return
			}
			x := h.Input(v, q.at, q.rare)
			in := seedInput(q.name, &x)
			all = append(all, prediction{q, n.forward(&in, &one, &two)})
		})
	}
	return all
}
