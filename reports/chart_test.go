package reports

import (
	"math"
	"slices"
	"strconv"
	"testing"

	"outflow/stats/detect"
)

// A chart must not be drawn from data that cannot be drawn, nor outside its area.
func TestTimeline(t *testing.T) {
	day := sampleDay
	nan, inf := math.NaN(), math.Inf(1)
	for name, c := range map[string]struct {
		points []detect.Point
		bars   int
	}{
		"none":       {nil, 0},
		"one day":    {[]detect.Point{{Day: day, Value: 1}}, 0},
		"all zero":   {[]detect.Point{{Day: day - 1}, {Day: day}}, 2},
		"a gap":      {[]detect.Point{{Day: day - 9, Value: 4, Up: 5}, {Day: day - 2, Value: 4, Up: 5}, {Day: day, Value: 1e18}}, 3},
		"not drawn":  {[]detect.Point{{Day: day - 3, Value: nan}, {Day: day - 2, Up: inf}, {Day: day - 1, Value: 2}, {Day: day, Value: 1}}, 2},
		"judged nan": {[]detect.Point{{Day: day - 1, Value: 2}, {Day: day, Value: nan}}, 0},
		"too old":    {[]detect.Point{{Day: day - 2e6, Value: 2}, {Day: day - 1, Value: 2}, {Day: day, Value: 1}}, 2},
		"unordered":  {[]detect.Point{{Day: day - 1, Value: 2}, {Day: day - 2, Value: 2}, {Day: day, Value: 1}}, 2},
		"negative":   {[]detect.Point{{Day: day - 1, Value: -2}, {Day: day, Value: 1}}, 2},
	} {
		tl := newTimeline("f", &detect.Finding{Unit: "B/day", Timeline: c.points})
		if tl == nil {
			if c.bars > 0 {
				t.Errorf("%s: got no chart, want %d bars", name, c.bars)
			}
			continue
		}
		if len(tl.Bars) != c.bars {
			t.Errorf("%s: got %d bars, want %d", name, len(tl.Bars), c.bars)
		}
		for _, b := range tl.Bars {
			y, _ := strconv.ParseFloat(b.Y, 64)
			h, err := strconv.ParseFloat(b.Height, 64)
			if err != nil || y < plotTop || y+h > plotBottom+.1 {
				t.Errorf("%s: a bar from %s, %s high, is outside the plot", name, b.Y, b.Height)
			}
		}
		if n := len(tl.Ticks); n < 2 || n > 7 {
			t.Errorf("%s: got %d ticks, want 2 to 7", name, n)
		}
	}
}

// If this fails, the usual days beside a large one are bars of no height.
func TestLogarithmicAxis(t *testing.T) {
	days := func(values ...float64) (points []detect.Point) {
		for i, v := range values {
			points = append(points, detect.Point{Day: sampleDay + detect.Day(i), Value: v})
		}
		return points
	}
	for _, c := range []struct {
		values []float64
		least  float64
		share  float64 // of the first value
	}{
		{[]float64{50, 50, 50, 100}, 0, 0.5},
		{[]float64{4e6, 4e6, 4e6, 100e6}, 0, 0.04},
		{[]float64{1e6, 1e6, 1e6, 1e9}, 1e5, 0.25},
		{[]float64{1e7, 2e6, 1e7, 1e9}, 1e6, 1.0 / 3},
		{[]float64{0, 1, 1e7, 1e7, 1e9, 1e9, 1e9}, 0, 0},
		{[]float64{1, 1e3, 1e3, 1e3, 1e9}, 1e3, 0},
		{[]float64{5, 1e9}, 0, 5e-9}, // too few days to say what is usual
		{[]float64{0, 0, 0}, 0, 0},
	} {
		a := newValueAxis(days(c.values...))
		if got := a.share(c.values[0]); a.least != c.least || math.Abs(got-c.share) > 1e-9 || len(a.ticks) > 8 {
			t.Errorf("%v: got an axis from %g with %d ticks and the first value at %g, want from %g and %g", c.values, a.least, len(a.ticks), got, c.least, c.share)
		}
		if top := slices.Max(c.values); top > 0 && a.share(top) > 1 {
			t.Errorf("%v: the largest value is outside", c.values)
		}
	}
}
