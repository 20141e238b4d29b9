package scan

import (
	"math"
	"testing"
)

func TestParseNumber(t *testing.T) {
	for _, c := range []struct {
		in    string
		scale int64
		want  int64
		ok    bool
	}{
		{"0.0", 1, 0, true},
		{"1.073741824E9", 1, 1 << 30, true},
		{"9.5367431640625e-07", 1e6, 0, true},
		{"2.5e-3", 1e6, 2500, true},
		{"9223372036854775807", 1, math.MaxInt64, false}, // too large to be summed safely
		{"4611686018427387904", 1, 1 << 62, true},
		{"1e300", 1, 0, false},
		{"-1e2", 1, -100, true},
		{"e", 1, 0, false},
		{"", 1, 0, false},
		{"NaN", 1, 0, false},
	} {
		got, ok := Number([]byte(c.in), c.scale)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("parseNumber(%q, %d): got %d, %v, want %d, %v", c.in, c.scale, got, ok, c.want, c.ok)
		}
	}
}
