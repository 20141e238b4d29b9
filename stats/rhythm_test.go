package stats

import (
	"math"
	"testing"
)

// If this fails, missed ticks or pauses count as a part of the period. By hand.
func TestPeriod(t *testing.T) {
	for _, c := range []struct {
		intervals      []float64
		period, jitter float64
	}{
		{[]float64{60, 60, 120, 60, 60, 30000}, 60, 0},
		// The median is 10, so 16 is the first limit; the mean up to it is 10.8, so the second, 16.8, leaves nothing out.
		// The second least and the second greatest are 9 and 12.
		{[]float64{8, 9, 10, 12, 16, 40, 10}, (65./6 + 10.5) / 2, (11.5 - 9.25) / ((65./6 + 10.5) / 2)},
		// The median is 10 and the mean up to 16 is 10.2: 15.8 is the second limit and leaves 15.9 out.
		{[]float64{9, 9, 10, 10, 10, 10, 10, 10, 15.9, 30, 8}, (86./9 + 9.5) / 2, 1 / ((86./9 + 9.5) / 2)},
	} {
		period, jitter := Period(c.intervals)
		if math.Abs(period-c.period) > 1e-9 || math.Abs(jitter-c.jitter) > 1e-9 {
			t.Errorf("%v: got %v and %v, want %v and %v", c.intervals, period, jitter, c.period, c.jitter)
		}
	}
	if period, jitter := Period(nil); !math.IsNaN(period) || !math.IsNaN(jitter) {
		t.Errorf("got %v and %v without an interval, want NaN", period, jitter)
	}
}
