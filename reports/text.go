package reports

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"outflow/stats/detect"
)

// visible is detect.Visible.
func visible(s string) string { return detect.Visible(s) }

// cut is visible, cut to at most size characters. It reports whether it left
// something out.
func cut(s string, size int) (string, bool) {
	var b strings.Builder
	n := 0
	for shown := range detect.VisibleParts(s) {
		if n >= size {
			return b.String(), true
		}
		b.WriteString(shown)
		n += utf8.RuneCountInString(shown)
	}
	return b.String(), false
}

// fit cuts a text that is visible to a number of cells, and marks the cut. 0 cells means no
// limit.
func fit(text string, cells int) string {
	if cells == 0 || uniseg.StringWidth(text) <= cells {
		return text
	}
	used, size := 0, 0
	for g := uniseg.NewGraphemes(text); g.Next(); {
		if used+g.Width() > cells-1 {
			break
		}
		used += g.Width()
		size += len(g.Str())
	}
	return text[:size] + "…"
}

// fitName is fit for who acted: an account's name is known by what follows its account.
func fitName(text string, cells int) string {
	at := strings.LastIndexAny(text, `/\`)
	if at <= 0 {
		return fit(text, cells)
	}
	return fitBoth(text, cells, min(uniseg.StringWidth(text[at:]), cells-1))
}

// fitPlace is fit for a destination: a host and a path are known by both of their ends.
func fitPlace(text string, cells int) string { return fitBoth(text, cells, (cells-1)/2) }

// fitBoth is fit that leaves tail cells of the end.
func fitBoth(text string, cells, tail int) string {
	size := uniseg.StringWidth(text)
	if size <= cells {
		return text
	}
	end := 0 // of what is left out
	for g := uniseg.NewGraphemes(text); size > tail && g.Next(); {
		size -= g.Width()
		_, end = g.Positions()
	}
	return fit(text, cells-size) + text[end:]
}

// defang writes a host in a form that neither a mail reader nor a chat turns into a
// link.
func defang(s string) string {
	s = strings.ReplaceAll(s, "://", "[:]//")
	if strings.Contains(s, `:\`) { // a path of Windows
		return s
	}
	return strings.ReplaceAll(s, ".", "[.]")
}

// digits writes v, which is not negative, with two significant digits, or with all
// digits before the point: 1.2, 12, 123.
func digits(v float64) string {
	if v < 9.95 {
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// scaled writes v as digits with the largest prefix, a power of 1000, that leaves
// at least 1.
func scaled(v float64, prefixes []string) string {
	if v < 0 {
		return "−" + scaled(-v, prefixes)
	}
	i := 0
	for ; i < len(prefixes)-1 && v >= 999.5; i++ {
		v /= 1000
	}
	return digits(v) + " " + prefixes[i]
}

// byteSize writes bytes as "4.2 GB". k, M and G are powers of 1000.
func byteSize(v float64) string {
	return scaled(v, []string{"B", "kB", "MB", "GB", "TB", "PB", "EB"})
}

// ByteSize writes bytes as the reports do: "4.2 GB".
func ByteSize(v float64) string { return byteSize(v) }

// shortCount writes a count as "12 M", for places where not every digit matters.
func shortCount(n int64) string {
	if n < 100_000 {
		return count(n)
	}
	return scaled(float64(n), []string{"", "k", "M", "G", "T"})
}

// Count writes a whole number as the reports do: "12,345".
func Count(n int64) string { return count(n) }

// count writes a whole number as "12,345".
func count(n int64) string { return detect.Number(n) }

// counted writes a number of things: "1 finding", "2 findings".
func counted(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(int64(n)) + " " + more
}

// number writes a measurement: a whole number from 100 on, and else up to two
// decimals.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case math.IsInf(v, 1):
		return "∞"
	case math.IsInf(v, -1):
		return "−∞"
	case v < 0:
		return "−" + number(-v)
	case v >= 1e15:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case v >= 99.5:
		return count(int64(math.Round(v)))
	}
	s := strconv.FormatFloat(v, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// Quantity writes a measurement as the reports do: "4.2 GB a day".
func Quantity(v float64, unit string) string { return quantity(v, unit) }

// quantity writes a measurement in a finding's unit: "4.2 GB a day" for B/day,
// "1,203 queries in 5 min" for queries/5min.
func quantity(v float64, unit string) string {
	base, per, _ := strings.Cut(unit, "/")
	switch {
	case math.IsNaN(v):
		return "–"
	case base == "B" && !math.IsInf(v, 0):
		base = byteSize(v)
	case base == "matches" && v == 1:
		base = "1 match"
	default:
		base = strings.TrimSpace(number(v) + " " + base)
	}
	switch per {
	case "":
		return base
	case "day":
		return base + " a day"
	case "5min":
		return base + " in 5 min"
	}
	return base + "/" + per
}

// axisLabel is quantity without the part of the unit after the slash.
func axisLabel(v float64, unit string) string {
	if base, _, _ := strings.Cut(unit, "/"); base == "B" {
		return byteSize(v)
	}
	return number(v)
}

// percent writes a share of a whole. Only an empty part is 0 %, and only the whole
// is 100 %.
func percent(part, whole int64) string {
	switch {
	case whole == 0:
		return "–"
	case part == 0:
		return "0 %"
	case part == whole:
		return "100 %"
	}
	p := 100 * float64(part) / float64(whole)
	switch {
	case p < 0.1:
		return "< 0.1 %"
	case p > 99.9:
		return "> 99.9 %"
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + " %"
}

// times writes a/b as a multiple. It is "" if that means nothing or is below 1.
func times(a, b float64) string {
	q := a / b
	if math.IsNaN(q) || math.IsInf(q, 0) || b <= 0 || q < 1 {
		return ""
	}
	if q >= 9.95 {
		return shortCount(int64(math.Round(q))) + " ×"
	}
	return digits(q) + " ×"
}

const (
	longDay  = "Monday 2 January 2006"
	shortDay = "2 Jan"
	minute   = "2006-01-02 15:04"
)

func utc(us int64) time.Time { return time.UnixMicro(us).UTC() }

// span writes from and to, both µs UTC, to the minute. It writes the day once if
// both have the same day, and a whole day as only the day.
func span(from, to int64) string {
	a, b := utc(from), utc(to)
	switch {
	case from%86400e6 == 0 && to-from == 86400e6:
		return a.Format(time.DateOnly)
	case a.Format(minute) == b.Format(minute):
		return a.Format(minute)
	case detect.DayOf(from) == detect.DayOf(to):
		return a.Format(minute) + "–" + b.Format("15:04")
	}
	return a.Format(minute) + " – " + b.Format(minute)
}

// period writes the judged period as a reader would say it.
func (r *Report) period() string {
	if r.Window != [2]int64{} {
		return span(r.Window[0], r.Window[1]) + " UTC"
	}
	days := r.Days
	if len(days) == 0 {
		return "no day"
	}
	a, b := days[0].Time(), days[len(days)-1].Time()
	switch {
	case len(days) == 1:
		return a.Format(longDay)
	case a.Year() != b.Year():
		return a.Format("2 January 2006") + " to " + b.Format("2 January 2006")
	case a.Month() != b.Month():
		return a.Format("2 January") + " to " + b.Format("2 January 2006")
	}
	return a.Format("2") + " to " + b.Format("2 January 2006")
}

// hours writes the hours of a bitmap as ranges: "01–03, 22" for bits 1, 2, 3 and
// 22.
func hours(bitmap int64) string {
	var parts []string
	for h := 0; h < 24; h++ {
		if bitmap>>h&1 == 0 {
			continue
		}
		from := h
		for h < 23 && bitmap>>(h+1)&1 != 0 {
			h++
		}
		part := twoDigits(from)
		if h > from {
			part += "–" + twoDigits(h)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func twoDigits(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

// listed joins words as a sentence does: "a, b and c".
func listed(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
