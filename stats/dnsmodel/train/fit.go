package main

import (
	"math"
	"math/rand/v2"

	"outflow/stats/dnsmodel"
)

// A sample is one example that the network learns from.
type sample struct {
	q      *query
	x      dnsmodel.Input
	weight float32
}

// inputs is a multiple of 4, see learn.
const inputs = len(dnsmodel.Input{})
const units = dnsmodel.HiddenUnits

// A perceptron is the network during training. Its inputs are scaled to mean 0 and
// deviation 1. Arithmetic is rounded at each step (float64 around products), so
// that every machine learns the same.
type perceptron struct {
	mean, scale [inputs]float64
	p           params
}

// params has all learned parameters, in one array so that Adam is one loop.
type params [units*inputs + units + units + 1]float64

const (
	biasAt = units * inputs
	outAt  = biasAt + units
	lastAt = outAt + units
)

// The settings of the training. Each was tried at half and at double, see the card.
const (
	batch = 64
	rate  = 2e-3 // Adam's, falling to 0 along a cosine
	decay = 0.03 // of weights, per step, times the rate
)

// fit trains by Adam (Kingma and Ba 2015) on the cross-entropy.
func fit(samples []sample, epochs int) *perceptron {
	r := rand.New(rand.NewPCG(19, 17))
	n := new(perceptron)
	n.standardise(samples)
	for i := range biasAt {
		n.p[i] = float64((r.Float64()*2 - 1) * math.Sqrt(6.0/float64(inputs)))
	}
	for i := outAt; i < lastAt; i++ {
		n.p[i] = float64((r.Float64()*2 - 1) * math.Sqrt(6.0/float64(units)))
	}
	var grad, m, v params
	order := make([]int32, len(samples))
	for i := range order {
		order[i] = int32(i)
	}
	steps := epochs * ((len(samples) + batch - 1) / batch)
	step := 0
	b1, b2 := 1.0, 1.0
	for range epochs {
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for at := 0; at < len(order); at += batch {
			grad = params{}
			for _, i := range order[at:min(at+batch, len(order))] {
				n.learn(&samples[i], &grad)
			}
			step++
			b1, b2 = float64(b1*0.9), float64(b2*0.999)
			// A cosine from 1 to 0 by a polynomial of third order: math.Cos may
			// differ between machines.
			left := 1 - float64(step)/float64(steps)
			now := float64(rate * float64(float64(left*left)*(3-float64(2*left))))
			c1, c2 := 1/(1-b1), 1/(1-b2)
			for i := range grad {
				g := grad[i] / batch
				m[i] = float64(0.9*m[i]) + float64(0.1*g)
				v[i] = float64(0.999*v[i]) + float64(0.001*float64(g*g))
				n.p[i] -= float64(now * float64(float64(m[i]*c1)/(math.Sqrt(float64(v[i]*c2))+1e-8)))
				if i < biasAt {
					n.p[i] -= float64(float64(now*decay) * n.p[i])
				}
			}
		}
	}
	return n
}

func (n *perceptron) standardise(samples []sample) {
	var sum, squares [inputs]int64
	for i := range samples {
		for k, v := range samples[i].x {
			sum[k] += int64(v)
			squares[k] += int64(v) * int64(v)
		}
	}
	count := float64(len(samples))
	for k := range sum {
		n.mean[k] = float64(sum[k]) / count
		variance := float64(squares[k])/count - float64(n.mean[k]*n.mean[k])
		n.scale[k] = 1 / math.Sqrt(max(variance, 1))
	}
}

func (n *perceptron) learn(s *sample, grad *params) {
	var x [inputs]float64
	for k, v := range s.x {
		x[k] = float64((float64(v) - n.mean[k]) * n.scale[k])
	}
	var h [units]float64
	z := n.p[lastAt]
	for j := range h {
		w := (*[inputs]float64)(n.p[j*inputs:])
		// Four sums, because one sum would wait for each addition.
		a, b, c, d := n.p[biasAt+j], 0.0, 0.0, 0.0
		for k := 0; k < inputs; k += 4 {
			a += float64(x[k] * w[k])
			b += float64(x[k+1] * w[k+1])
			c += float64(x[k+2] * w[k+2])
			d += float64(x[k+3] * w[k+3])
		}
		sum := (a + b) + (c + d)
		if sum > 0 {
			h[j] = sum
			z += float64(sum * n.p[outAt+j])
		}
	}
	e := dnsmodel.Sigmoid(z)
	if s.q.label {
		e -= 1
	}
	e = float64(e * float64(s.weight))
	grad[lastAt] += e
	for j, v := range &h {
		if v <= 0 {
			continue
		}
		grad[outAt+j] += float64(e * v)
		d := float64(e * n.p[outAt+j])
		grad[biasAt+j] += d
		g := (*[inputs]float64)(grad[j*inputs:])
		for k, v := range &x {
			g[k] += float64(d * v)
		}
	}
}

// model returns the network with integer weights, not yet calibrated.
func (n *perceptron) model(surprise *dnsmodel.Surprise) *dnsmodel.Model {
	m := &dnsmodel.Model{Surprise: *surprise, Bias: round(n.p[lastAt]), Curve: []dnsmodel.Point{{X: -30, Y: -30}, {X: 30, Y: 30}}}
	for j := range m.Units {
		u := &m.Units[j]
		w := n.p[j*inputs:][:inputs]
		bias := n.p[biasAt+j]
		most := 1e-9
		for k := range w {
			most = max(most, math.Abs(float64(w[k]*n.scale[k])))
			bias -= float64(float64(w[k]*n.scale[k]) * n.mean[k])
		}
		scale := 32767 / most
		for k := range w {
			u.Weights[k] = int16(math.Round(float64(float64(w[k]*n.scale[k]) * scale)))
		}
		u.Bias = int64(math.Round(float64(bias * scale)))
		u.Out = n.p[outAt+j] / scale
	}
	return m.Packed()
}

func round(v float64) float64 { return math.Round(v*1e9) / 1e9 }
