package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"outflow/stats/detect"
)

// This file draws a finding by the time of its day: bytes by hour, DNS queries by minute,
// and the beats of a beacon.

// The drawing area of clocks, in SVG user units. They are as wide as timelines.
const (
	clockTop    = 20
	clockBottom = 120
	clockHeight = clockBottom + 28
	rasterRow   = 9 // height of an hour of beats
)

// maxColumns is how many columns a picture of minutes has. More would be thinner than two
// units, and the path larger than 4 kB.
const maxColumns = 240

// newClock draws a finding by the time of day. It returns nil if that is not known, or if
// all was in one hour, which the facts name.
func newClock(id string, f *detect.Finding) *picture {
	counts, unit := f.Hourly()
	active := 0
	for _, n := range counts {
		if n > 0 {
			active++
		}
	}
	if times := f.Summary.BeatTimes(); len(times) > 0 {
		return newRaster(id, times)
	}
	if minutes := f.Summary.PerMinute(); minutes != nil {
		return newMinutes(id, minutes)
	}
	if active < 2 {
		return nil
	}
	return newHours(id, counts, hourlyWords(f, unit))
}

// hourlyWords returns what a finding counts by hour.
func hourlyWords(f *detect.Finding, unit string) string {
	switch {
	case unit != "B":
		return strings.ToUpper(unit[:1]) + unit[1:]
	case f.Download():
		return "Bytes fetched"
	}
	return "Bytes out"
}

// newHours draws 24 counts as bars.
func newHours(id string, counts []int64, what string) *picture {
	format := func(v float64) string { return count(int64(v)) }
	if strings.HasPrefix(what, "Bytes") {
		format = byteSize
	}
	most := slices.Max(counts)
	p := &picture{
		ID: id + "-clock", Heading: what + " by hour, UTC", Title: what + " by hour of the day, UTC",
		Width: chartWidth, Height: clockHeight, Head: []string{"Hour, UTC", what}, Numbers: 1,
	}
	p.Desc = "Most from " + twoDigits(slices.Index(counts, most)) + ":00: " + format(float64(most)) + "."
	top := p.valueAxis(float64(most), format)
	const slot = float64(plotRight-plotLeft) / 24
	for h, n := range counts {
		if n <= 0 {
			continue
		}
		hour := twoDigits(h) + ":00"
		height := max(1.5, (clockBottom-clockTop)*float64(n)/top) // a bar of less cannot be seen
		p.Marks = append(p.Marks, mark{
			Class: "volume", X: coordinate(plotLeft + slot*(float64(h)+.15)), Y: coordinate(clockBottom - height),
			Width: coordinate(slot * .7), Height: coordinate(height), Title: hour + ": " + format(float64(n)),
		})
		p.Rows = append(p.Rows, []shown{{Text: hour}, {Text: format(float64(n))}})
	}
	p.timeAxis(0, 24*60)
	return p
}

// newMinutes draws 1,440 counts of DNS queries: the hours that have any, with the largest
// count of each column's minutes.
func newMinutes(id string, counts []int64) *picture {
	first, last := slices.IndexFunc(counts, positive), len(counts)
	for last > 0 && counts[last-1] <= 0 {
		last--
	}
	if last == 0 {
		return nil
	}
	from, to := first/60, (last+59)/60 // hours
	counts = counts[from*60 : to*60]
	most := slices.Max(counts)
	busiest := from*60 + slices.Index(counts, most)
	p := &picture{
		ID: id + "-clock", Heading: "DNS queries per minute, UTC", Title: "DNS queries per minute, UTC",
		Desc:  "Most at " + clockTime(busiest) + ": " + counted(int(most), "query", "queries") + ".",
		Width: chartWidth, Height: clockHeight, Head: []string{"Hour, UTC", "Queries", "Busiest minute", "Its queries"}, Numbers: 1,
	}
	top := p.valueAxis(float64(most), func(v float64) string { return count(int64(v)) })
	step := (len(counts) + maxColumns - 1) / maxColumns // minutes of a column
	if step > 1 {
		p.Keys = []pictureKey{{"volume", fmt.Sprintf("the busiest of each %d minutes", step)}}
	}
	width := float64((plotRight-plotLeft)*step) / float64(len(counts))
	var path strings.Builder
	before := int64(0)
	for i := 0; i*step < len(counts); i++ {
		n := slices.Max(counts[i*step : min((i+1)*step, len(counts))])
		if n == before {
			continue
		}
		x, y := coordinate(plotLeft+width*float64(i)), coordinate(clockBottom-(clockBottom-clockTop)*float64(n)/top)
		if before == 0 {
			fmt.Fprintf(&path, "M%s %dV%s", x, clockBottom, y)
		} else {
			fmt.Fprintf(&path, "H%sV%s", x, y)
		}
		before = n
	}
	if before > 0 {
		fmt.Fprintf(&path, "H%dV%d", plotRight, clockBottom)
	}
	p.Marks = append(p.Marks, mark{Class: "volume", Path: path.String()})
	for h := from; h < to; h++ {
		hour := counts[(h-from)*60:][:60]
		sum, most := int64(0), slices.Max(hour)
		for _, n := range hour {
			sum += n
		}
		if sum > 0 {
			p.Rows = append(p.Rows, []shown{{Text: twoDigits(h) + ":00"}, {Text: count(sum)},
				{Text: clockTime(h*60 + slices.Index(hour, most))}, {Text: count(most)}})
		}
	}
	p.timeAxis(from*60, to*60)
	return p
}

func positive(n int64) bool { return n > 0 }

// newRaster draws each beat: a row is an hour, from left to right its 60 minutes. A clock
// makes columns or slanting lines, people make neither.
func newRaster(id string, times []float64) *picture {
	p := &picture{
		ID: id + "-clock", Heading: "Beats: a row is an hour, UTC, with its 60 minutes",
		Title: "Beats by hour and minute, UTC", Width: chartWidth,
		Head: []string{"Hour, UTC", "Beats, minutes and seconds past the hour"}, Numbers: 2,
	}
	const day = 24 * 3600
	var rows [24][]string
	from, to := 23, 0
	for _, t := range times {
		h := int(t) % day / 3600
		from, to = min(from, h), max(to, h)
		rows[h] = append(rows[h], fmt.Sprintf("%02d:%02d", int(t)%3600/60, int(t)%60))
	}
	const minute = float64(plotRight-plotLeft) / 60
	var path strings.Builder
	for _, t := range times {
		h := int(t) % day / 3600
		fmt.Fprintf(&path, "M%s %dv%d", coordinate(plotLeft+minute*math.Mod(t, 3600)/60), clockTop+(h-from)*rasterRow, rasterRow-2)
	}
	for h := from; h <= to; h++ {
		y := clockTop + (h-from)*rasterRow
		p.Marks = append(p.Marks, mark{Class: "cell none", X: coordinate(plotLeft), Y: coordinate(float64(y)), Width: coordinate(plotRight - plotLeft), Height: coordinate(rasterRow - 2)})
		if (h-from)%3 == 0 {
			p.Labels = append(p.Labels, label{X: coordinate(plotLeft - 8), Y: coordinate(float64(y + rasterRow - 1)), Anchor: "end", Text: twoDigits(h) + ":00"})
		}
		if len(rows[h]) > 0 {
			p.Rows = append(p.Rows, []shown{{Text: twoDigits(h) + ":00"}, {Text: strings.Join(rows[h], ", ")}})
		}
	}
	p.Marks = append(p.Marks, mark{Class: "beat", Path: path.String()})
	p.Height = clockTop + (to-from+1)*rasterRow + 18
	for m := 0; m <= 60; m += 15 {
		p.Labels = append(p.Labels, label{X: coordinate(plotLeft + minute*float64(m)), Y: coordinate(float64(p.Height - 2)), Anchor: "middle", Text: ":" + twoDigits(m)})
	}
	p.Desc = counted(len(times), "beat", "beats") + " from " + twoDigits(from) + ":00 to " + twoDigits(to+1) + ":00."
	return p
}

// valueAxis draws the grid of a clock's values and returns the largest one.
func (p *picture) valueAxis(most float64, format func(float64) string) float64 {
	step, top := axisStep(most)
	if step < 1 { // counts have no fractions
		step, top = 1, math.Ceil(most)
	}
	for v := 0.0; v <= top+step/2; v += step {
		y := coordinate(clockBottom - (clockBottom-clockTop)*v/top)
		p.Marks = append(p.Marks, mark{Class: "grid", Path: fmt.Sprintf("M%d %sH%d", plotLeft, y, plotRight)})
		l := label{X: coordinate(plotLeft - 8), Y: coordinate(clockBottom - (clockBottom-clockTop)*v/top + 4), Anchor: "end", Text: format(v)}
		if math.Mod(math.Round(v/step), 2) == 1 {
			l.Class = "minor"
		}
		p.Labels = append(p.Labels, l)
	}
	return top
}

// timeAxis names times below a clock, at most nine. from and to are minutes of the day.
func (p *picture) timeAxis(from, to int) {
	var step int
	for _, step = range [...]int{10, 15, 30, 60, 120, 180} {
		if (to-from)/step <= 8 {
			break
		}
	}
	for at := from; at <= to; at += step {
		x := plotLeft + float64((plotRight-plotLeft)*(at-from))/float64(to-from)
		l := label{X: coordinate(x), Y: coordinate(clockHeight - 4), Anchor: "middle", Text: clockTime(at)}
		switch { // on narrow screens, labels are as wide as the margin
		case at == from:
			l.Anchor = "start"
		case at+step > to:
			l.Anchor = "end"
		case (at-from)/step%2 == 1:
			l.Class = "minor"
		}
		p.Labels = append(p.Labels, l)
	}
}

// clockTime writes a minute of the day as 15:04.
func clockTime(minute int) string { return twoDigits(minute/60) + ":" + twoDigits(minute%60) }
