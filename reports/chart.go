package reports

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"outflow/stats/detect"
)

// The timeline's drawing area, in SVG user units. The margins have room for the
// axis labels at their larger size on narrow screens.
const (
	chartWidth  = 720
	chartHeight = 230
	plotLeft    = 84
	plotRight   = chartWidth - 12
	plotTop     = 34
	plotBottom  = chartHeight - 38
)

// timelineDays is the largest number of days in a timeline: a month of history and
// some more. The bars of more days would be too thin to distinguish on a phone.
const timelineDays = 45

// A timeline shows a finding's days as bars, with the band of normal values.
type timeline struct {
	ID            string
	Width, Height int
	Left, Right   int // of the grid lines
	LabelX        int // where the labels of the vertical axis end
	LabelY        int // base line of the labels of the horizontal axis
	Title, Desc   string
	Ticks         []axisTick
	Days          []axisTick
	Bars          []chartBar
	Band, Mid     string // path data; "" without a baseline
	Value         axisTick
	Rows          []timelineRow
	HasOther      bool // some day is not part of the baseline
	Log           bool // the axis is logarithmic
}

type axisTick struct {
	X, Y  string
	Label string
	Minor bool // left out where there is little space
}

type chartBar struct {
	X, Y, Width, Height string
	Class               string // "judged", "trained" or "outside"
	Title               string
}

type timelineRow struct {
	Day, Value, Normal, Part string
}

// coordinate formats a coordinate in user units with one decimal.
func coordinate(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

// newTimeline draws the timeline of a finding. It returns nil if there is too
// little to draw.
func newTimeline(id string, f *detect.Finding) *timeline {
	points := drawable(f.Timeline)
	if len(points) < 2 {
		return nil
	}
	last := points[len(points)-1]
	first := points[0].Day
	axis := newValueAxis(points)
	slot := (plotRight - plotLeft) / float64(last.Day-first+1)
	x := func(d detect.Day) float64 { return plotLeft + slot*float64(d-first) }
	y := func(v float64) float64 {
		return plotBottom - (plotBottom-plotTop)*axis.share(v)
	}

	t := &timeline{
		ID: id, Width: chartWidth, Height: chartHeight,
		Left: plotLeft, Right: plotRight, LabelX: plotLeft - 8, LabelY: chartHeight - 8,
		Title: "Each day from " + first.Time().Format(shortDay) + " to " + last.Day.Time().Format(shortDay+" 2006"),
		Desc:  "The judged day: " + quantity(last.Value, f.Unit) + ".",
		Value: axisTick{X: coordinate(x(last.Day) + slot*.85), Y: coordinate(y(last.Value) - 8), Label: axisLabel(last.Value, f.Unit)},
	}
	if hasBand(last) {
		t.Desc += " Normal: " + axisLabel(last.Low, f.Unit) + " to " + axisLabel(last.Up, f.Unit) + ", median " + axisLabel(last.Mid, f.Unit) + "."
	}
	if axis.least > 0 {
		t.Desc += " The axis is logarithmic."
		t.Log = true
	}
	for _, v := range axis.ticks {
		t.Ticks = append(t.Ticks, axisTick{Y: coordinate(y(v)), Label: axisLabel(v, f.Unit), Minor: len(t.Ticks)%2 == 1})
	}
	for back, i := last.Day, 0; back >= first; back, i = back-7, i+1 {
		tick := axisTick{X: coordinate(x(back) + slot/2), Label: back.Time().Format(shortDay), Minor: i%2 == 1}
		if i == 0 {
			tick.X = coordinate(x(back) + slot*.85)
		}
		t.Days = append(t.Days, tick)
	}
	for i, p := range points {
		bar := chartBar{
			X: coordinate(x(p.Day) + slot*.15), Width: coordinate(slot * .7),
			Y: coordinate(y(p.Value)), Height: coordinate(plotBottom - y(p.Value)),
			Class: "trained",
			Title: p.Day.Time().Format(shortDay) + ": " + quantity(p.Value, f.Unit),
		}
		part := "baseline"
		switch {
		case i == len(points)-1:
			bar.Class, part = "judged", "judged"
		case !p.Trained:
			bar.Class, part = "outside", "not in the baseline"
			t.HasOther = true
		}
		t.Bars = append(t.Bars, bar)
		row := timelineRow{p.Day.String(), axisLabel(p.Value, f.Unit), "–", part}
		if hasBand(p) {
			row.Normal = axisLabel(p.Low, f.Unit) + " – " + axisLabel(p.Up, f.Unit)
		}
		t.Rows = append(t.Rows, row)
	}
	t.Band, t.Mid = bandPaths(points, func(p detect.Point) (left, right, low, mid, up float64) {
		left, low, mid, up = x(p.Day), y(p.Low), y(p.Mid), y(p.Up)
		return left, left + slot, low, mid, up
	})
	return t
}

// drawable returns the last days of a timeline that can be drawn: finite, in order,
// and at most timelineDays back.
func drawable(points []detect.Point) []detect.Point {
	if len(points) == 0 {
		return nil
	}
	judged := points[len(points)-1].Day
	var out []detect.Point
	for _, p := range points {
		sum := p.Value + p.Low + p.Mid + p.Up
		late := p.Day <= judged-timelineDays || p.Day > judged
		if late || math.IsNaN(sum) || math.IsInf(sum, 0) || len(out) > 0 && p.Day <= out[len(out)-1].Day {
			continue
		}
		out = append(out, p)
	}
	if len(out) == 0 || out[len(out)-1].Day != judged {
		return nil
	}
	return out
}

func hasBand(p detect.Point) bool { return p.Low != 0 || p.Mid != 0 || p.Up != 0 }

// bandPaths outlines the band and its middle. Each stretch of adjacent days with a
// band is a separate part of the path.
func bandPaths(points []detect.Point, place func(detect.Point) (left, right, low, mid, up float64)) (band, mid string) {
	var b, m strings.Builder
	for i := 0; i < len(points); {
		n := i
		for n < len(points) && hasBand(points[n]) && (n == i || points[n].Day == points[n-1].Day+1) {
			n++
		}
		if n == i {
			i++
			continue
		}
		for j, p := range points[i:n] {
			left, right, low, middle, up := place(p)
			// A band thinner than a line would be invisible.
			up = min(up, low-1.5)
			command := "L"
			if j == 0 {
				command = "M"
			}
			b.WriteString(command + coordinate(left) + " " + coordinate(up) + "H" + coordinate(right))
			m.WriteString(command + coordinate(left) + " " + coordinate(middle) + "H" + coordinate(right))
		}
		for j := n - 1; j >= i; j-- {
			left, right, low, _, _ := place(points[j])
			b.WriteString("L" + coordinate(right) + " " + coordinate(low) + "H" + coordinate(left))
		}
		b.WriteString("Z")
		i = n
	}
	return b.String(), m.String()
}

// A valueAxis places values between 0 and 1.
type valueAxis struct {
	least, top float64 // least is 0 if the axis is linear, else where it begins
	ticks      []float64
}

// vanish is how many times the usual day the largest value may be before the axis is
// logarithmic: on a linear one, the usual days would have bars of 5 units of 160, which
// cannot be compared.
const vanish = 30

// maxDecades is the most that a logarithmic axis spans. What is smaller has no bar.
const maxDecades = 6

func newValueAxis(points []detect.Point) valueAxis {
	var a valueAxis
	var usual []float64
	for _, p := range points {
		a.top = max(a.top, p.Value, p.Up)
		if p.Value > 0 {
			usual = append(usual, p.Value)
		}
	}
	slices.Sort(usual)
	if len(usual) < 3 || usual[len(usual)/2]*vanish > a.top {
		var step float64
		step, a.top = axisStep(a.top)
		for v := 0.0; v <= a.top+step/2; v += step {
			a.ticks = append(a.ticks, v)
		}
		return a
	}
	to := int(math.Ceil(math.Log10(a.top)))
	from := max(int(math.Floor(math.Log10(usual[0]*.7))), to-maxDecades) // the least value has a bar, too
	a.least, a.top = math.Pow10(from), math.Pow10(to)
	a.ticks = decades(from, to)
	return a
}

// share returns where on the axis a value lies.
func (a *valueAxis) share(v float64) float64 {
	if a.least > 0 {
		v, top := math.Log10(max(v, a.least)/a.least), math.Log10(a.top/a.least)
		return between(v / top)
	}
	return between(v / a.top)
}

// axisStep returns the distance between round ticks, 3 to 5 above 0, and the last
// tick, which is at or above top.
func axisStep(top float64) (step, end float64) {
	if top <= 0 {
		return 1, 1
	}
	step = math.Pow(10, math.Floor(math.Log10(top)))
	switch q := top / step; {
	case q <= 1:
		step /= 4
	case q <= 2:
		step /= 2
	case q > 5:
		step *= 2
	}
	return step, step * math.Ceil(top/step-1e-9)
}
