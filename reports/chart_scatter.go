package reports

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode"

	"outflow/stats/detect"
)

// This file draws bytes against times normal.

// A crowd is the distribution of all people and machines over bytes sent and multiples
// of normal, both logarithmic, and those that have findings.
type crowd struct {
	cells map[[2]int]int // number, by tenths of a decade of the multiple and of the bytes
	known map[detect.Key]UserDay
	named map[detect.Key]bool // of entity type and entity: those to keep in known
	blank int64               // without a baseline, or with one of 0
}

// newCrowd prepares for the rows of a report. It will know those with findings of
// medium severity or higher.
func newCrowd(r *Report) crowd {
	c := crowd{map[[2]int]int{}, map[detect.Key]UserDay{}, map[detect.Key]bool{}, 0}
	for _, f := range openFindings(r) {
		if f.Severity >= detect.Medium {
			c.named[detect.Key{EntityType: f.EntityType, Entity: f.Entity}] = true
		}
	}
	return c
}

func (c *crowd) add(u *UserDay) {
	if u.BytesOut <= 0 {
		return
	}
	if !(u.BaselineMedian > 0) {
		c.blank++
		return
	}
	x := math.Log10(float64(u.BytesOut) / u.BaselineMedian)
	c.cells[[2]int{int(math.Floor(10 * x)), int(math.Floor(10 * math.Log10(float64(u.BytesOut))))}]++
	k := detect.Key{EntityType: u.EntityType, Entity: u.Entity}
	if old, ok := c.known[k]; c.named[k] && (!ok || u.BytesOut > old.BytesOut) {
		c.known[k] = u.clone()
	}
}

// The plot of pictures with axes.
const (
	axisLeft   = 70
	axisRight  = pictureWidth - 20
	axisTop    = 12
	axisBottom = 330
)

// maxNamed is how many outliers the scatter plot names.
const maxNamed = 15

// decade writes a power of ten, with all its decimals.
func decade(v float64) string {
	if v < 1 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return number(v)
}

// newScatter draws what each sent against how many times normal that is. It returns nil
// if too few have a baseline.
func newScatter(all []*subject, g *gist) *picture {
	const few = 5
	c := &g.crowd
	if len(c.cells) < few {
		return nil
	}
	fromX, toX, fromY, toY := -1, 1, 9, 0
	for at := range c.cells {
		fromX, toX = min(fromX, floorTen(at[0])), max(toX, floorTen(at[0])+1)
		fromY, toY = min(fromY, floorTen(at[1])), max(toY, floorTen(at[1])+1)
	}
	fromX, toX, fromY, toY = max(fromX, -4), min(toX, 7), max(fromY, 3), max(min(toY, 15), max(fromY, 3)+1)
	x := func(v float64) float64 {
		return axisLeft + (axisRight-axisLeft)*between((v-float64(fromX))/float64(toX-fromX))
	}
	y := func(v float64) float64 {
		return axisBottom - (axisBottom-axisTop)*between((v-float64(fromY))/float64(toY-fromY))
	}
	p := &picture{
		ID: "normal", Heading: "How unusual",
		Lede:  "A dot is a day of a person or machine: the bytes sent, and how many times the median that is. Both axes are logarithmic. Named, where there is room: those with findings of medium severity or higher.",
		Title: "Bytes sent against times normal", Width: pictureWidth, Height: axisBottom + 44,
		Head: []string{"Who", "Severity", "Sent", "Normal", "Times normal"}, Numbers: 2,
		Keys: []pictureKey{{"dot", "others (larger: more of them)"}, {"named", "with findings"}},
	}
	if c.blank > 0 {
		p.Lede += " " + counted(int(c.blank), "day has", "days have") + " no baseline above 0 and no dot."
	}
	for _, v := range decades(fromY, toY) {
		at := coordinate(y(math.Log10(v)))
		p.Marks = append(p.Marks, mark{Class: "grid", Path: fmt.Sprintf("M%d %sH%d", axisLeft, at, axisRight)})
		p.Labels = append(p.Labels, label{X: coordinate(axisLeft - 8), Y: coordinate(y(math.Log10(v)) + 4), Anchor: "end", Text: byteSize(v)})
	}
	for _, v := range decades(fromX, toX) {
		at := coordinate(x(math.Log10(v)))
		p.Marks = append(p.Marks, mark{Class: "grid", Path: fmt.Sprintf("M%s %dV%d", at, axisTop, axisBottom)})
		p.Labels = append(p.Labels, label{X: at, Y: coordinate(axisBottom + 18), Anchor: "middle", Text: decade(v) + " ×"})
	}
	p.Labels = append(p.Labels, label{X: coordinate(axisRight), Y: coordinate(axisBottom + 38), Anchor: "end", Text: "times the median"})
	for _, at := range slices.SortedFunc(maps.Keys(c.cells), func(a, b [2]int) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	}) {
		p.Marks = append(p.Marks, mark{Class: "dot", X: coordinate(x(float64(at[0])/10 + .05)), Y: coordinate(y(float64(at[1])/10 + .05)),
			Radius: coordinate(min(2+math.Log2(float64(c.cells[at])), 9))})
	}
	var dots [][2]float64
	var names []string
	for _, s := range all {
		u, ok := s.largestDay(c)
		if !ok || s.worst < detect.Medium || len(p.Rows) == maxNamed {
			continue
		}
		px := x(math.Log10(float64(u.BytesOut) / u.BaselineMedian))
		py := y(math.Log10(float64(u.BytesOut)))
		name := fitName(visible(s.spelling()), cellsRight)
		q := times(float64(u.BytesOut), u.BaselineMedian)
		p.Marks = append(p.Marks, mark{Class: "named", X: coordinate(px), Y: coordinate(py), Radius: "5", Title: name + ": " + byteSize(float64(u.BytesOut)) + ", " + cmp.Or(q, "below") + " normal"})
		p.Rows = append(p.Rows, []shown{show(s.spelling(), maxName), {Text: s.worst.String()}, {Text: byteSize(float64(u.BytesOut))}, {Text: byteSize(u.BaselineMedian)}, {Text: cmp.Or(q, "< 1 ×")}})
		dots, names = append(dots, [2]float64{px, py}), append(names, name)
	}
	p.nameDots(dots, names)
	p.Desc = counted(len(p.Rows), "outlier is", "outliers are") + " named."
	by := map[int]int{}
	for at, n := range c.cells {
		by[floorTen(at[0])] += n
	}
	for _, e := range slices.Sorted(maps.Keys(by)) {
		p.Rows = append(p.Rows, []shown{{Text: "all: " + counted(by[e], "day", "days")}, {}, {}, {},
			{Text: decade(math.Pow10(e)) + " to " + decade(math.Pow10(e+1)) + " ×"}})
	}
	return p
}

// nameDots writes the names of dots beside, above or below them. A name that would lie on a
// dot or on another name is left to the table.
func (p *picture) nameDots(dots [][2]float64, names []string) {
	const high, radius, gap = 15.0, 6.0, 9.0
	type box struct{ left, right, top, bottom float64 }
	var taken []box
	for _, d := range dots {
		taken = append(taken, box{d[0] - radius, d[0] + radius, d[1] - radius, d[1] + radius})
	}
	for i, d := range dots {
		x, y, wide := d[0], d[1], labelWidth(names[i])
		for _, l := range []struct {
			left, middle, at float64
			anchor           string
		}{
			{x + gap, y, x + gap, "start"},
			{x - gap - wide, y, x - gap, "end"},
			{x - wide/2, y - radius - high/2, x, "middle"},
			{x - wide/2, y + radius + high/2, x, "middle"},
		} {
			b := box{l.left, l.left + wide, l.middle - high/2, l.middle + high/2}
			if b.left < axisLeft || b.right > pictureWidth || b.top < 0 || b.bottom > axisBottom || slices.ContainsFunc(taken, func(t box) bool {
				return t.left < b.right && b.left < t.right && t.top < b.bottom && b.top < t.bottom
			}) {
				continue
			}
			taken = append(taken, b)
			p.Labels = append(p.Labels, label{X: coordinate(l.at), Y: coordinate(l.middle + 4), Anchor: l.anchor, Class: "named", Text: names[i]})
			break
		}
	}
}

// labelWidth returns about how wide a bold name is. Where it is unsure, it is too wide.
func labelWidth(name string) float64 {
	w := 0.0
	for _, r := range name {
		switch {
		case unicode.IsLower(r), unicode.IsDigit(r), r == '.', r == '-':
			w += 8.7
		default:
			w += 11
		}
	}
	return w
}

// largestDay returns the day with a baseline on which the subject sent most.
func (s *subject) largestDay(c *crowd) (u UserDay, ok bool) {
	for _, f := range s.findings {
		if day, known := c.known[detect.Key{EntityType: f.EntityType, Entity: f.Entity}]; known && (!ok || day.BytesOut > u.BytesOut) {
			u, ok = day, true
		}
	}
	return u, ok
}

// floorTen is n/10, rounded down.
func floorTen(n int) int { return int(math.Floor(float64(n) / 10)) }

func between(v float64) float64 { return min(max(v, 0), 1) }
