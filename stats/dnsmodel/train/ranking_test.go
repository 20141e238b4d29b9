package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"outflow/stats/dnsmodel"
)

// If this fails, the card's figures are wrong. By hand: precision is 1 at the first
// positive and 2/3 at the second. Wilson's interval of 8 of 10 is that of R's
// prop.test without correction.
func TestFigures(t *testing.T) {
	r := rank([]scored{{0.7, true}, {0.9, true}, {0.8, false}, {0.1, false}})
	if got, want := r.averagePrecision(), (1+2.0/3)/2; math.Abs(got-want) > 1e-12 {
		t.Errorf("average precision: got %v, want %v", got, want)
	}
	if tp, threshold := r.found(0.4); tp != 1 || threshold != 0.9 {
		t.Errorf("no negative: got %d at %v, want 1 at 0.9", tp, threshold)
	}
	if tp, threshold := r.found(0.5); tp != 2 || threshold != 0.7 {
		t.Errorf("one negative of two: got %d at %v, want 2 at 0.7", tp, threshold)
	}
	if low, high := wilson(8, 10); math.Abs(low-0.4901625) > 1e-6 || math.Abs(high-0.9433178) > 1e-6 {
		t.Errorf("interval: got %v to %v", low, high)
	}
	// Equal scores are flagged together.
	r = rank([]scored{{1, true}, {1, false}})
	if tp, _ := r.found(0); tp != 0 {
		t.Errorf("equal scores: got %d found, want 0", tp)
	}
}

// If this fails, names from captures differ from the names that were asked for.
func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{`a\046b`: "a.b", `\255\`: "\xff\\", `x\.y`: "x.y", `plain`: "plain", `\9`: "9"} {
		if got := unescape(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// If this fails, training twice gives two results, does not learn, or the written
// model is not the learned one.
func TestFit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	yes, no := &query{label: true}, &query{}
	var samples []sample
	for range 4000 {
		s := sample{q: no, weight: 1}
		for k := range s.x {
			s.x[k] = uint8(r.Uint32())
		}
		if int(s.x[3])+int(s.x[7]) > 300 { // the rule to be learned
			s.q = yes
		}
		samples = append(samples, s)
	}
	m := fit(samples, 20).model(new(dnsmodel.Surprise))
	if again := fit(samples, 20).model(new(dnsmodel.Surprise)); string(again.Append(nil)) != string(m.Append(nil)) {
		t.Error("the same samples made another model")
	}
	if read := dnsmodel.Read(m.Append(nil)); string(read.Append(nil)) != string(m.Append(nil)) {
		t.Error("a model is another once written and read")
	}
	wrong := 0
	for i := range samples {
		if m.Logit(&samples[i].x) > 0 != samples[i].q.label {
			wrong++
		}
	}
	if wrong > 200 {
		t.Errorf("%d of %d samples are told wrongly", wrong, len(samples))
	}
}
