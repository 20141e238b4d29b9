package stats

// Entropy is a stub.
type Entropy struct{}

func (e *Entropy) Of(b []byte) float64 { return 0 }
