package reports

import (
	"math/bits"
	"strconv"
	"strings"

	"outflow/stats/detect"
)

// This file draws the hours of the findings.

// heatRows is how many people and machines the heat map has.
const heatRows = 20

// heatBytes are the bytes of an hour from which on a cell has the next colour.
var heatBytes = [...]int64{10e6, 100e6, 1e9}

// newHeat draws how much each subject sent or fetched in which hours, as far as the findings
// know it. It returns nil if no hours are known.
func newHeat(all []*subject) *picture {
	const cell, top = 25, 26
	p := &picture{
		ID: "hours", Heading: "When",
		Lede:  "Hours are UTC. The shade is what each one's largest finding moved in that hour; bytes in DNS names are spread by the number of queries. A dot marks the hour of the largest event, or of the busiest 5 minutes.",
		Title: "Hours of the findings by person and machine", Width: pictureWidth,
		Head: []string{"Who", "Severity", "Hours, UTC", "Largest or busiest", "Bytes by hour"},
		Keys: []pictureKey{{"heat0", "volume not known by hour"}, {"heat1", "under 10 MB"}, {"heat2", "from 10 MB"}, {"heat3", "from 100 MB"}, {"heat4", "from 1 GB"}, {"peak", "largest event, or busiest 5 minutes"}},
	}
	row := 0
	for _, s := range all {
		var peaks [24]int
		bitmap := int64(0)
		for _, f := range s.findings {
			bitmap |= f.Summary.Hours
			if at := peak(f); at != 0 {
				peaks[utc(at).Hour()] = max(peaks[utc(at).Hour()], int(f.Severity)+1)
			}
		}
		if bitmap&(1<<24-1) == 0 || row == heatRows {
			continue
		}
		bytes := bytesByHour(s.findings)
		who := fitName(visible(s.spelling()), cellsLeft)
		y := float64(top + row*cell)
		p.Labels = append(p.Labels, label{X: coordinate(pictureLeft - 10), Y: coordinate(y + 16), Anchor: "end", Text: who})
		var busiest, amounts []string
		for h := range bytes {
			x := float64(pictureLeft + h*cell)
			m := mark{Class: "cell none", X: coordinate(x), Y: coordinate(y), Width: "23", Height: "23"}
			hour := twoDigits(h) + ":00"
			switch n := bytes[h]; {
			case n > 0:
				m.Class = "cell heat" + strconv.Itoa(heat(n))
				m.Title = who + ", " + hour + ": " + byteSize(float64(n))
				amounts = append(amounts, hour+" "+byteSize(float64(n)))
			case bitmap>>h&1 != 0:
				m.Class = "cell heat0"
			}
			p.Marks = append(p.Marks, m)
			if peaks[h] > 0 {
				severity := detect.Severity(peaks[h] - 1)
				p.Marks = append(p.Marks, mark{Class: "peak", X: coordinate(x + 11.5), Y: coordinate(y + 11.5), Radius: "5",
					Title: who + ", " + hour + ": " + severity.String()})
				busiest = append(busiest, hour)
			}
		}
		p.Rows = append(p.Rows, []shown{show(s.spelling(), maxName), {Text: s.worst.String()}, {Text: hours(bitmap)}, {Text: strings.Join(busiest, ", ")}, {Text: strings.Join(amounts, ", ")}})
		row++
	}
	if row == 0 {
		return nil
	}
	for h := 0; h < 24; h += 3 {
		p.Labels = append(p.Labels, label{X: coordinate(float64(pictureLeft + h*cell)), Y: "17", Anchor: "start", Text: twoDigits(h) + ":00"})
	}
	p.Height, p.Numbers = top+row*cell+2, len(p.Head)
	p.Desc = counted(row, "row", "rows") + ", 24 hours."
	return p
}

// heat returns the colour of so many bytes, from 1 on.
func heat(bytes int64) int {
	n := 1
	for _, least := range heatBytes {
		if bytes >= least {
			n++
		}
	}
	return n
}

// bytesByHour returns the bytes of findings by hour, in each hour those of the finding with
// the most: an upload and the day's total tell of the same bytes. What is not known is 0.
func bytesByHour(findings []*detect.Finding) (bytes [24]int64) {
	for _, f := range findings {
		counts, unit := f.Hourly()
		hour := f.Summary.Hours & (1<<24 - 1)
		switch {
		case unit == "beats":
		case unit == "queries":
			if f.Summary.Events <= 0 {
				continue
			}
			for h, n := range counts {
				bytes[h] = max(bytes[h], int64(float64(f.Summary.NameBytes)*float64(n)/float64(f.Summary.Events)))
			}
		case counts != nil:
			for h, n := range counts {
				bytes[h] = max(bytes[h], n)
			}
		case bits.OnesCount64(uint64(hour)) == 1: // of small findings, the hours have no bytes
			h := bits.TrailingZeros64(uint64(hour))
			bytes[h] = max(bytes[h], f.Bytes())
		}
	}
	return bytes
}

// peak returns the time of a finding's largest event or busiest 5 minutes, 0 if it is
// not known.
func peak(f *detect.Finding) int64 {
	if f.Summary.WindowAt != 0 {
		return f.Summary.WindowAt
	}
	return f.Summary.PeakTime
}
