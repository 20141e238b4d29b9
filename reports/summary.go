package reports

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/rivo/uniseg"

	"outflow/stats/detect"
)

// The rows of the findings table, and the lines of each list below it. A terminal
// shows some 40 lines; the report has the rest.
const (
	summaryFindings = 10
	summaryNotes    = 5
)

// The least and greatest widths of the table's columns, in terminal cells. The last
// column takes the rest.
const (
	minWhy    = 24
	maxWhoCol = 24
	maxWhat   = 20
	maxWhere  = 28
	indent    = "  "
)

// Summary writes the few lines with which a run ends: what was not read, if
// anything; the worst findings; what was read; and what could not be judged. Lines
// are cut to width terminal cells, or not at all if width is 0. colour allows ANSI
// colours. Log text can neither add colours nor move the cursor.
func Summary(w io.Writer, r *Report, width int, colour bool) error {
	if width > 0 {
		width = max(width, 40)
	}
	s := summary{width: width, colour: colour}
	c := covered(r.Inputs)
	s.incomplete(c)
	s.findings(r)
	s.inputs(r, c)
	s.notes(r)
	_, err := w.Write(s.out.Bytes())
	return err
}

type summary struct {
	out    bytes.Buffer
	width  int
	colour bool
}

var severityColours = map[detect.Severity]string{
	detect.Critical: "1;31",
	detect.High:     "31",
	detect.Medium:   "33",
	detect.Low:      "36",
	detect.Info:     "2",
}

// line writes text, cut to the rest of the width.
func (s *summary) line(parts ...string) {
	s.out.WriteString(s.fit(strings.Join(parts, ""), s.width))
	s.out.WriteByte('\n')
}

// fit cuts text to a number of cells, and marks the cut. 0 cells means no limit.
func (s *summary) fit(text string, cells int) string {
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

// incomplete says, before anything else, that objects were not read, and what to
// do.
func (s *summary) incomplete(c *completeness) {
	headline := c.headline()
	if headline == "" {
		return
	}
	if rest, ok := strings.CutPrefix(headline, incompleteWord); ok && s.colour {
		s.out.WriteString("\x1b[" + severityColours[detect.Critical] + "m" + incompleteWord + "\x1b[0m")
		s.wrapBehind(len(incompleteWord), "", rest)
	} else {
		s.wrap("", headline)
	}
	for _, m := range c.missed() {
		name, _ := cut(m.Name, maxPlace)
		why, _ := cut(strings.TrimSuffix(m.Why, "."), maxPlace)
		switch {
		case why == "":
			why = name
		case !strings.Contains(why, name):
			why = name + ": " + why
		}
		s.wrap(indent, m.What+why+". "+m.Remedy)
	}
	s.out.WriteByte('\n')
}

func (s *summary) findings(r *Report) {
	what := visible(r.Job)
	if what != "" {
		what += ", "
	}
	s.wrap("", what+r.period()+": "+verdict(r))

	open := openFindings(r)
	if allowed := len(r.Findings) - len(open); allowed > 0 {
		s.line(counted(allowed, "finding is", "findings are"), " on the allow list.")
	}
	if len(open) == 0 {
		return
	}
	s.out.WriteByte('\n')
	shown := open[:min(len(open), summaryFindings)]
	rows := [][5]string{{"SEVERITY", "WHO", "WHAT", "WHERE", "WHY"}}
	for _, f := range shown {
		who, _ := cut(f.Who(), maxName)
		where, _ := cut(f.Object, maxPlace)
		// The column WHO has said it.
		why := strings.TrimPrefix(f.Why, f.Who()+" ")
		if s.width > 0 {
			why, _ = cut(why, s.width)
		} else {
			why = visible(why)
		}
		rows = append(rows, [5]string{f.Severity.String(), who, visible(f.Detection), where, why})
	}
	var cells [4]int
	for _, row := range rows {
		for i := range cells {
			cells[i] = max(cells[i], uniseg.StringWidth(row[i]))
		}
	}
	if s.width > 0 {
		s.narrow(&cells)
	}
	for i, row := range rows {
		for j, text := range row {
			last := j == len(row)-1
			if !last && cells[j] == 0 {
				continue
			}
			if !last {
				text = s.fit(text, cells[j])
			} else if s.width > 0 {
				text = s.fit(text, s.width-s.used(cells))
			}
			pad := ""
			if !last {
				pad = strings.Repeat(" ", cells[j]-uniseg.StringWidth(text)+len(indent))
			}
			if s.colour && i > 0 && j == 0 {
				text = "\x1b[" + severityColours[shown[i-1].Severity] + "m" + text + "\x1b[0m"
			}
			s.out.WriteString(text + pad)
		}
		s.out.WriteByte('\n')
	}
	if more := len(open) - len(shown); more > 0 {
		s.line("… and ", count(int64(more)), " more in the reports.")
	}
	var whose []string
	for _, f := range shown {
		if text := visible(f.Whose()); text != "" && !slices.Contains(whose, text) {
			whose = append(whose, text)
		}
	}
	s.list("Whose they are:", whose)
}

// narrow reduces the widths of cells until there is room for the reason. It first
// cuts the widest texts, then leaves out the place, and then the detection. The
// reason names both, too.
func (s *summary) narrow(cells *[4]int) {
	for i, most := range [4]int{8, maxWhoCol, maxWhat, maxWhere} {
		cells[i] = min(cells[i], most)
	}
	for _, column := range []int{3, 2} {
		if s.width-s.used(*cells) < minWhy {
			cells[column] = 0
		}
	}
	if s.width-s.used(*cells) < minWhy {
		cells[1] = min(cells[1], 10)
	}
}

// used returns the number of terminal cells that columns of these widths take.
func (s *summary) used(cells [4]int) int {
	n := 0
	for _, c := range cells {
		if c > 0 {
			n += c + len(indent)
		}
	}
	return n
}

func (s *summary) inputs(r *Report, c *completeness) {
	copies := map[string]bool{}
	var skipped int64
	for i := range r.Inputs {
		if r.Inputs[i].CopyOf != "" {
			copies[r.Inputs[i].Name] = true
		}
		skipped += r.Inputs[i].Skipped
	}
	objects := counted(c.objects, "object", "objects")
	if n := c.incomplete(); n > 0 {
		objects = count(int64(c.objects-n)) + " of " + objects + " in full"
	}
	s.out.WriteByte('\n')
	s.wrap("", "Read "+objects+", "+counted(int(rows(r)), "row", "rows")+"; "+
		counted(int(skipped), "record", "records")+" skipped, "+counted(c.incomplete(), "error", "errors")+".")
	if n := len(copies); n > 0 {
		s.wrap("", counted(n, "object is a copy of another and was counted once.", "objects are copies of others and were counted once."))
	}
	if none := c.noLogs(); none != "" {
		s.wrap("", none)
	}
}

func (s *summary) notes(r *Report) {
	var dark []string
	for _, b := range r.Blind {
		why, _ := cut(b.Why, maxSentence)
		remedy, _ := cut(b.Remedy, maxSentence)
		what, _ := cut(b.Detection, maxName)
		if what != "" {
			what += ": "
		}
		dark = append(dark, strings.TrimSpace(what+why+" "+remedy))
	}
	s.list("Could not be judged:", dark)
	var warnings []string
	for _, w := range r.Warnings {
		w, _ := cut(w, maxSentence)
		warnings = append(warnings, w)
	}
	s.list("Warnings:", warnings)
}

// list writes notes below a heading, wrapped: what limits a result must not be cut.
func (s *summary) list(heading string, notes []string) {
	if len(notes) == 0 {
		return
	}
	if heading != "" {
		s.line(heading)
	}
	for i, note := range notes {
		if i == summaryNotes {
			s.line(indent, "… and ", count(int64(len(notes)-i)), " more in the reports.")
			return
		}
		s.wrap(indent, note)
	}
}

// wrap writes a text over as many lines as it needs, broken at spaces. The first
// line begins with prefix; the others are indented one step further.
func (s *summary) wrap(prefix, text string) {
	s.out.WriteString(prefix)
	s.wrapBehind(len(prefix), prefix, text)
}

// wrapBehind is wrap for a first line on which used cells are already written.
func (s *summary) wrapBehind(used int, prefix, text string) {
	rest := prefix + indent
	for i, word := range strings.Fields(text) {
		if s.width > 0 {
			word = s.fit(word, s.width-len(rest))
		}
		n := uniseg.StringWidth(word)
		switch {
		case i == 0:
		case s.width > 0 && used+1+n > s.width:
			s.out.WriteString("\n" + rest)
			used = len(rest)
		default:
			s.out.WriteByte(' ')
			used++
		}
		s.out.WriteString(word)
		used += n
	}
	s.out.WriteByte('\n')
}
