package reports

import "math"

// This file has what the pictures of the whole night share.

// A picture is a chart of the page, with the table that says the same.
type picture struct {
	ID            string
	Heading       string
	Lede          string
	Title, Desc   string // for screen readers
	Width, Height int
	Marks         []mark
	Labels        []label
	Keys          []pictureKey
	Head          []string // of the table
	Rows          [][]shown
	Numbers       int // from which column on the table has numbers
}

// A mark is a shape of a picture: a path, else a circle if it has a radius, else a
// rectangle.
type mark struct {
	Class               string
	Path                string
	X, Y, Width, Height string
	Radius              string
	Title               string
}

// A label is a text of a picture.
type label struct {
	X, Y   string
	Anchor string
	Class  string
	Text   string
}

// A pictureKey explains a class of marks.
type pictureKey struct{ Class, Text string }

// The drawing area of pictures, in SVG user units. Names stand left of pictureLeft, and in
// a Sankey diagram also right of pictureRight.
const (
	pictureWidth = 900
	pictureLeft  = 300
	pictureRight = pictureWidth - pictureLeft
	// How many cells of a name fit left of a picture with an amount, and within or right of
	// it, where an amount and a word may follow.
	cellsLeft  = 30
	cellsRight = 24
)

// pictures draws the pictures for which there is enough to draw.
func (p *page) pictures(r *Report, all []*subject, g *gist) {
	for _, draw := range []*picture{newSankey(all), newHeat(all), newScatter(all, g), newTrend(nightsOf(r))} {
		if draw != nil {
			p.Pictures = append(p.Pictures, *draw)
		}
	}
}

// decades are the round numbers of a logarithmic axis.
func decades(from, to int) []float64 {
	var out []float64
	for e := from; e <= to; e++ {
		out = append(out, math.Pow10(e))
	}
	return out
}
