package reports

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"outflow/stats/detect"
)

// This file draws the trend over nights.

// A nightSum is what one judged day found.
type nightSum struct {
	day   detect.Day
	by    [detect.Critical + 1]int // open findings
	bytes int64                    // that probably left
	all   []*subject
}

// serious is the number of findings of high or critical severity.
func (n *nightSum) serious() int { return n.by[detect.High] + n.by[detect.Critical] }

func (n *nightSum) findings() (sum int) {
	for _, k := range n.by {
		sum += k
	}
	return sum
}

// nightsOf sums up the judged days of a report and those before, ascending.
func nightsOf(r *Report) []nightSum {
	of := map[detect.Day][]*detect.Finding{}
	for _, d := range slices.Concat(r.EarlierDays, r.Days) {
		of[d] = []*detect.Finding{}
	}
	for i := range r.Earlier {
		if f := &r.Earlier[i]; of[f.Day] != nil && f.Allowed == "" {
			of[f.Day] = append(of[f.Day], f)
		}
	}
	for _, f := range openFindings(r) {
		of[f.Day] = append(of[f.Day], f)
	}
	var out []nightSum
	for _, d := range slices.Sorted(maps.Keys(of)) {
		n := nightSum{day: d, all: group(of[d])}
		for _, f := range of[d] {
			n.by[f.Severity]++
		}
		for _, s := range n.all {
			n.bytes = AddBytes(n.bytes, s.bytes)
		}
		out = append(out, n)
	}
	return out
}

// trendDays is how many days the trend shows.
const trendDays = 30

// newTrend draws the findings and the volume of each night. It returns nil if there is
// only one.
func newTrend(nights []nightSum) *picture {
	if len(nights) < 2 {
		return nil
	}
	last := nights[len(nights)-1].day
	nights = slices.DeleteFunc(slices.Clone(nights), func(n nightSum) bool { return n.day <= last-trendDays })
	first := nights[0].day
	if first == last {
		return nil
	}
	const (
		upper, middle = 150, 190 // where findings end, and where volumes begin
		lower         = 300
	)
	most, largest := 0.0, 0.0
	for i := range nights {
		most = max(most, float64(nights[i].findings()))
		largest = max(largest, float64(nights[i].bytes))
	}
	step, most := axisStep(most)
	step = max(step, 1)
	p := &picture{
		ID: "trend", Heading: "Night by night",
		Lede:  "Findings, and the volume that probably left, of each judged night. The axis of the volume is logarithmic.",
		Title: "Findings and volume by night", Width: pictureWidth, Height: lower + 32,
		Head: []string{"Night", "Findings", "High or critical", "Probable volume"}, Numbers: 1,
		Keys: []pictureKey{{"serious", "high or critical"}, {"other", "other findings"}, {"volume", "probable volume"}},
	}
	slot := float64(axisRight-axisLeft) / float64(last-first+1)
	x := func(d detect.Day) float64 { return axisLeft + slot*float64(d-first) }
	y := func(n float64) float64 { return upper - (upper-axisTop)*between(n/max(most, 1)) }
	for v := 0.0; v <= most+step/2; v += step {
		p.Marks = append(p.Marks, mark{Class: "grid", Path: fmt.Sprintf("M%d %sH%d", axisLeft, coordinate(y(v)), axisRight)})
		p.Labels = append(p.Labels, label{X: coordinate(axisLeft - 8), Y: coordinate(y(v) + 4), Anchor: "end", Text: number(v)})
	}
	const least = 4 // the axis of the volume begins at 10 kB
	top := max(least+2, int(math.Ceil(math.Log10(max(largest, 1)))))
	v := func(bytes float64) float64 {
		return lower - (lower-middle)*between((math.Log10(max(bytes, 1))-least)/float64(top-least))
	}
	for e := least; e <= top; e += max(1, (top-least+2)/3) {
		at := v(math.Pow10(e))
		p.Marks = append(p.Marks, mark{Class: "grid", Path: fmt.Sprintf("M%d %sH%d", axisLeft, coordinate(at), axisRight)})
		p.Labels = append(p.Labels, label{X: coordinate(axisLeft - 8), Y: coordinate(at + 4), Anchor: "end", Text: byteSize(math.Pow10(e))})
	}
	width := coordinate(min(slot*.7, 60))
	bar := func(class string, n *nightSum, from, to float64, title string) {
		p.Marks = append(p.Marks, mark{Class: class, X: coordinate(x(n.day) + (slot-min(slot*.7, 60))/2), Y: coordinate(to), Width: width, Height: coordinate(max(from-to, 0)), Title: title})
	}
	for i := range nights {
		n := &nights[i]
		name := n.day.Time().Format(shortDay)
		serious, all := float64(n.serious()), float64(n.findings())
		bar("serious", n, upper, y(serious), name+": "+count(int64(serious))+" high or critical")
		bar("other", n, y(serious), y(all), name+": "+counted(int(all), "finding", "findings"))
		bar("volume", n, lower, v(float64(n.bytes)), name+": "+byteSize(float64(n.bytes)))
		p.Rows = append(p.Rows, []shown{{Text: n.day.String()}, {Text: count(int64(all))}, {Text: count(int64(serious))}, {Text: byteSize(float64(n.bytes))}})
	}
	for d := last; d >= first; d -= max(1, (last-first+1)/6) {
		p.Labels = append(p.Labels, label{X: coordinate(x(d) + slot/2), Y: coordinate(lower + 20), Anchor: "middle", Text: d.Time().Format(shortDay)})
	}
	p.Desc = counted(len(nights), "night", "nights") + " from " + first.Time().Format(shortDay) + " to " + last.Time().Format(shortDay+" 2006") + "."
	return p
}
