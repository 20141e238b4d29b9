package reports

import (
	"strings"

	"outflow/stats/detect"
)

// This file draws the hours of the findings.

// heatRows is how many people and machines the heat map has.
const heatRows = 20

// newHeat draws in which hours the findings of each subject were. It returns nil if no
// hours are known.
func newHeat(all []*subject) *picture {
	const cell, top = 25, 26
	p := &picture{
		ID: "hours", Heading: "When",
		Lede:  "The hours, UTC, with events of each one's findings. A stronger colour: several findings. A mark: the hour of the largest event or the busiest 5 minutes, with its severity.",
		Title: "Hours of the findings by person and machine", Width: pictureWidth,
		Head: []string{"Who", "Severity", "Hours, UTC", "Largest or busiest"},
		Keys: []pictureKey{{"one", "one finding"}, {"more", "several"}, {"peak", "largest event, or busiest 5 minutes"}},
	}
	row := 0
	for _, s := range all {
		var busy, peaks [24]int
		bitmap := int64(0)
		for _, f := range s.findings {
			bitmap |= f.Summary.Hours
			for h := range busy {
				busy[h] += int(f.Summary.Hours >> h & 1)
			}
			if at := peak(f); at != 0 {
				peaks[utc(at).Hour()] = max(peaks[utc(at).Hour()], int(f.Severity)+1)
			}
		}
		if bitmap&(1<<24-1) == 0 || row == heatRows {
			continue
		}
		y := float64(top + row*cell)
		p.Labels = append(p.Labels, label{X: coordinate(pictureLeft - 10), Y: coordinate(y + 16), Anchor: "end", Text: headCut(s.spelling())})
		var busiest []string
		for h := range busy {
			x := float64(pictureLeft + h*cell)
			class := [...]string{"cell none", "cell one", "cell more"}[min(busy[h], 2)]
			p.Marks = append(p.Marks, mark{Class: class, X: coordinate(x), Y: coordinate(y), Width: "23", Height: "23"})
			if peaks[h] > 0 {
				severity := detect.Severity(peaks[h] - 1)
				p.Marks = append(p.Marks, mark{Class: "peak", X: coordinate(x + 11.5), Y: coordinate(y + 11.5), Radius: "5",
					Title: headCut(s.spelling()) + ", " + twoDigits(h) + ":00: " + severity.String()})
				busiest = append(busiest, twoDigits(h)+":00")
			}
		}
		p.Rows = append(p.Rows, []shown{show(s.spelling(), maxName), {Text: s.worst.String()}, {Text: hours(bitmap)}, {Text: strings.Join(busiest, ", ")}})
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

// peak returns the time of a finding's largest event or busiest 5 minutes, 0 if it is
// not known.
func peak(f *detect.Finding) int64 {
	if f.Summary.WindowAt != 0 {
		return f.Summary.WindowAt
	}
	return f.Summary.PeakTime
}
