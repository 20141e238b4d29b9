package reports

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"outflow/stats/detect"
)

// This file writes the page over all nights.

// An Index is what the state knows of all nights.
type Index struct {
	Version string
	Nights  []Night // ascending
}

// A Night is one judgement: its folder of reports, and what it found.
type Night struct {
	Name string // of the folder, which has the page report.html
	// Days are those that were judged, ascending. Findings are theirs, in any order.
	Days     []detect.Day
	Findings []detect.Finding
	Lost     bool // the state does not have its findings, or not in full
	Owed     bool // the reports are not in place
}

// IndexName is the name of the page over all nights, in the folder of their folders.
const IndexName = "index.html"

//go:embed index.tmpl
var indexTemplate string

// An indexPage is the data of index.tmpl.
type indexPage struct {
	Style  template.CSS
	Script template.JS
	Policy string

	Period  string
	Trend   *picture
	Nights  []indexNight // newest first
	Version string
}

// An indexNight is a row of the index.
type indexNight struct {
	Name     string
	Link     string // "" if there is no report
	Note     string
	Volume   cell
	Findings cell
	Serious  cell
	Decide   string
	New      []shown // people and machines with findings of medium severity or higher
	Ongoing  []shown // also in the night before
	Gone     []shown // only in the night before
}

// WriteIndex writes the page over all nights: the trend, a link to each report, and who
// is new, ongoing and gone.
func WriteIndex(w io.Writer, x *Index) error {
	var all Report
	var rows []indexNight
	var before []*subject
	for i := range x.Nights {
		n := &x.Nights[i]
		all.EarlierDays = append(all.EarlierDays, n.Days...)
		all.Earlier = append(all.Earlier, n.Findings...)
		now := serious(n)
		row := newIndexNight(n, now)
		if !n.Lost && i > 0 && !x.Nights[i-1].Lost {
			row.compare(before, now)
		}
		before = now
		rows = append(rows, row)
	}
	slices.Reverse(rows)
	p := indexPage{
		Style: template.CSS(pageStyle), Script: template.JS(pageScript), Policy: policy(),
		Trend: newTrend(nightsOf(&all)), Nights: rows, Version: x.Version,
	}
	if n := len(x.Nights); n > 0 {
		p.Period = counted(n, "night", "nights") + ", the last " + x.Nights[n-1].Name
	}
	var b bytes.Buffer
	if err := pages().ExecuteTemplate(&b, "index", p); err != nil {
		return fmt.Errorf("lay out the index: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// serious returns the people and machines with findings of medium severity or higher,
// worst first.
func serious(n *Night) []*subject {
	r := Report{Findings: n.Findings}
	return slices.DeleteFunc(subjects(&r), func(s *subject) bool { return s.worst < detect.Medium })
}

func newIndexNight(n *Night, now []*subject) indexNight {
	row := indexNight{Name: n.Name, Link: n.Name + "/report.html"}
	if n.Owed {
		row.Link, row.Note = "", "no report yet: the next run writes it"
	}
	if n.Lost {
		row.Note = strings.TrimPrefix(row.Note+"; the state lacks its findings", "; ")
		row.Volume, row.Findings, row.Serious, row.Decide = cell{"–", "-1"}, cell{"–", "-1"}, cell{"–", "-1"}, "–"
		return row
	}
	open, high := 0, 0
	for i := range n.Findings {
		if f := &n.Findings[i]; f.Allowed == "" {
			open++
			if f.Severity >= detect.High {
				high++
			}
		}
	}
	t := newToll(now)
	row.Volume, row.Findings, row.Serious = byteCell(t.bytes), countCell(int64(open)), countCell(int64(high))
	row.Decide = count(int64(t.now + t.today))
	return row
}

// compare says who is new, ongoing and gone since the night before.
func (row *indexNight) compare(before, now []*subject) {
	in := func(all []*subject, s *subject) bool {
		return slices.ContainsFunc(all, func(o *subject) bool { return o.kind == s.kind && o.name == s.name })
	}
	var fresh, ongoing, gone []*subject
	for _, s := range now {
		if in(before, s) {
			ongoing = append(ongoing, s)
		} else {
			fresh = append(fresh, s)
		}
	}
	for _, s := range before {
		if !in(now, s) {
			gone = append(gone, s)
		}
	}
	row.New, row.Ongoing, row.Gone = names(fresh), names(ongoing), names(gone)
}

// names returns the first names of subjects, and the number of the others.
func names(all []*subject) (out []shown) {
	const most = 5
	for _, s := range all[:min(len(all), most)] {
		out = append(out, show(s.spelling(), maxName))
	}
	if more := len(all) - most; more > 0 {
		out = append(out, shown{Text: count(int64(more)) + " more"})
	}
	return out
}
