package reports

import (
	"bytes"
	"cmp"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/rivo/uniseg"

	"outflow/stats/detect"
)

// The rows of the findings table, and the lines of each list below it. A terminal
// shows some 40 lines; the report has the rest. Of findings that somebody must look at
// today there are more rows: the table must not hide one behind a scroll bar of the page.
const (
	summaryFindings = 10
	summaryUrgent   = 60
	summaryNotes    = 5
	indent          = "  "
)

// The columns of the findings table.
const (
	idCol = iota
	dayCol
	severityCol
	whoCol
	whatCol
	whereCol
	normalCol
	whyCol
	numCols
)

// columns has what is the same in every findings table. Widths are in terminal cells: a
// column is at least as wide as least, unless its texts are shorter, and at most as wide
// as most, as long as others need the room. 0 means its texts' width. Where even that does
// not fit, who and where are squeezed.
var columns = [numCols]struct {
	heading               string
	squeezed, least, most int
}{
	idCol:       {"ID", 0, 0, 0},
	dayCol:      {"DAY", 0, 0, 0},
	severityCol: {"SEVERITY", 0, 0, 0},
	whoCol:      {"WHO", 10, 18, 24},
	whatCol:     {"WHAT", 0, 17, 20},
	whereCol:    {"WHERE", 16, 21, 30},
	normalCol:   {"× NORMAL", 0, 0, 0},
	whyCol:      {"WHY", 0, 36, 0},
}

// maxPad is how wide a column is made where nothing is cut: a longer text moves what is
// behind it in its own row alone.
const maxPad = 48

// A Terminal says how Summary writes.
type Terminal struct {
	Width  int  // in cells: lines are cut or wrapped to it; 0: they are not
	Colour bool // ANSI colours
	All    bool // all that could not be judged and all warnings, not the first few
}

// leastWidth is the width below which a table of findings says nothing.
const leastWidth = 40

// Summary writes the few lines with which a run ends: what was not read, if anything; the
// worst findings; what was read; and what could not be judged. Log text can neither add
// colours nor move the cursor.
func Summary(w io.Writer, r *Report, t Terminal) error {
	if t.Width > 0 {
		t.Width = max(t.Width, leastWidth)
	}
	s := summary{width: t.Width, colour: t.Colour, all: t.All}
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
	all    bool
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
	s.out.WriteString(fit(strings.Join(parts, ""), s.width))
	s.out.WriteByte('\n')
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
	what, open := visible(r.Job), openFindings(r)
	if len(open) > 0 {
		if what != "" {
			what += ": "
		}
		t := newToll(subjects(r))
		s.wrap("", what+t.sentence(r))
		s.wrap("", verdict(r))
	} else {
		if what != "" {
			what += ", "
		}
		s.wrap("", what+r.period()+": "+verdict(r))
	}
	if allowed := len(r.Findings) - len(open); allowed > 0 {
		s.line(counted(allowed, "finding is", "findings are"), " on the allow list.")
	}
	reported := 0
	for _, f := range open {
		if f.Reported {
			reported++
		}
	}
	if reported > 0 {
		s.line(counted(reported, "finding was", "findings were"), " reported by an earlier night.")
	}
	if len(open) == 0 {
		return
	}
	s.out.WriteByte('\n')
	urgent := 0
	for urgent < min(len(open), summaryUrgent) && open[urgent].Severity >= detect.High {
		urgent++
	}
	shown := open[:max(urgent, min(len(open), summaryFindings))]
	s.table(r, shown)
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

// table writes a row for each finding. If the terminal is narrow, the least important
// columns are left out, never who and where.
func (s *summary) table(r *Report, shown []*detect.Finding) {
	id := IDLength(r.Findings)
	rows := make([][numCols]string, 1+len(shown))
	for c := range columns {
		rows[0][c] = columns[c].heading
	}
	for i, f := range shown {
		who, _ := cut(f.Who(), maxName)
		what, where := f.Detection, f.Object
		if isRule(f) {
			what, where = detect.RuleMatch(f.Key)
		}
		where, _ = cut(cmp.Or(where, f.Mostly), maxPlace)
		// The column WHO has said it.
		why := strings.TrimPrefix(visible(f.Why), visible(f.Who())+" ")
		if s.width > 0 {
			why, _ = cut(why, s.width)
		}
		rows[1+i] = [numCols]string{visible(f.UID[:min(len(f.UID), id)]), f.Day.String(), f.Severity.String(), who, visible(what), where, normal(f), why}
	}
	cells := s.widths(rows, len(r.Days) > 1)
	for i, row := range rows {
		behind := 0 // blanks that are owed to the columns before
		for c, text := range row {
			if cells[c] == 0 {
				continue
			}
			switch {
			case s.width == 0:
			case c == whoCol:
				text = fitName(text, cells[c])
			case c == whereCol:
				text = fitPlace(text, cells[c])
			default:
				text = fit(text, cells[c])
			}
			if text == "" {
				behind += cells[c] + len(indent)
				continue
			}
			pad := strings.Repeat(" ", behind)
			behind = max(0, cells[c]-uniseg.StringWidth(text)) + len(indent)
			if s.colour && i > 0 && c == severityCol {
				text = "\x1b[" + severityColours[shown[i-1].Severity] + "m" + text + "\x1b[0m"
			}
			s.out.WriteString(pad + text)
		}
		s.out.WriteByte('\n')
	}
}

// widths returns the widths of the columns; 0 leaves one out. days says that there are findings
// from several days.
func (s *summary) widths(rows [][numCols]string, days bool) [numCols]int {
	var cells, least [numCols]int
	for c := range columns {
		for _, row := range rows {
			cells[c] = max(cells[c], uniseg.StringWidth(row[c]))
		}
		least[c] = cells[c]
		if n := columns[c].least; n > 0 {
			least[c] = min(n, cells[c])
		}
	}
	if s.width == 0 {
		for c := range cells {
			cells[c] = min(cells[c], maxPad)
		}
		return cells
	}
	if !days {
		least[dayCol] = 0
	}
	// A name that is cut says less than all of these.
	DropColumns(least[:], s.width, []int{whyCol, normalCol, whatCol})
	if used(least[:]) > s.width {
		for _, c := range []int{whoCol, whereCol} {
			least[c] = min(columns[c].squeezed, least[c])
		}
		DropColumns(least[:], s.width, []int{dayCol, idCol, severityCol})
	}
	grow := func(c, most int) {
		if least[c] > 0 {
			least[c] = max(least[c], min(most, cells[c], least[c]+s.width-used(least[:])))
		}
	}
	for _, c := range []int{whoCol, whereCol, whatCol} {
		grow(c, columns[c].most)
	}
	for _, c := range []int{whyCol, whereCol, whoCol, whatCol} { // the rest
		grow(c, cells[c])
	}
	return least
}

// DropColumns sets the widths of columns to 0, in the order given, until the others fit into
// a line of a terminal, two blanks between them. What is not in order stays.
func DropColumns(cells []int, width int, order []int) {
	for _, c := range order {
		if used(cells) <= width {
			return
		}
		cells[c] = 0
	}
}

// used returns the number of terminal cells that columns of these widths take.
func used(cells []int) int {
	n := -len(indent)
	for _, c := range cells {
		if c > 0 {
			n += c + len(indent)
		}
	}
	return n
}

// shortID is how many characters of a finding's UID are shown, if that tells all findings
// of a report apart.
const shortID = 8

// IDLength returns how many characters of the UIDs of findings tell them apart, at least
// eight.
func IDLength(findings []detect.Finding) int {
	uids := make([]string, len(findings))
	for i := range findings {
		uids[i] = findings[i].UID
	}
	slices.Sort(uids)
	n := shortID
	for i := 1; i < len(uids); i++ {
		if uids[i] == uids[i-1] {
			continue
		}
		same := 0
		for same < min(len(uids[i]), len(uids[i-1])) && uids[i][same] == uids[i-1][same] {
			same++
		}
		n = max(n, same+1)
	}
	return n
}

// normal says what multiple of normal a finding is: "135 ×", or "new" if the normal is
// nothing. It is "" if the detection has no normal.
func normal(f *detect.Finding) string {
	if isRule(f) {
		return "" // one match is enough, and more matches need not be worse
	}
	if f.Baseline == 0 && f.Observed > 0 {
		return "new"
	}
	return times(f.Observed, f.Baseline)
}

func (s *summary) inputs(r *Report, c *completeness) {
	copies := map[string]bool{}
	for i := range r.Inputs {
		if r.Inputs[i].CopyOf != "" {
			copies[r.Inputs[i].Name] = true
		}
	}
	objects := counted(c.objects, "object", "objects")
	if n := c.incomplete(); n > 0 {
		objects = count(int64(c.objects-n)) + " of " + objects + " in full"
	}
	s.out.WriteByte('\n')
	s.wrap("", "Read "+objects+", "+counted(int(rows(r)), "row", "rows")+".")
	if text := Skips(r.Inputs); text != "" {
		s.wrap("", text+" To list them: -v.")
	}
	if n := len(c.by[Empty]); n > 0 {
		s.wrap("", counted(n, "object is", "objects are")+" empty.")
	}
	if n := len(copies); n > 0 {
		s.wrap("", counted(n, "object is a copy of another and was counted once.", "objects are copies of others and were counted once."))
	}
	if none := c.noLogs(); none != "" {
		s.wrap("", none)
	}
}

// Skips says in a line how many records were skipped, in how many objects, and for which
// reasons. It is "" if none were.
func Skips(inputs []Input) string {
	var skipped int64
	objects := map[string]bool{}
	reasons := map[string]int64{}
	for i := range inputs {
		in := &inputs[i]
		skipped += in.Skipped
		if in.Skipped > 0 {
			objects[in.Name] = true
		}
		for _, k := range in.Faults {
			reasons[k.Name] += k.Count
		}
	}
	if skipped == 0 {
		return ""
	}
	text := counted(int(skipped), "record", "records") + " skipped in " + counted(len(objects), "object", "objects")
	if kinds := byCount(reasons); len(kinds) > 0 {
		why, _ := cut(listKinds(kinds, maxReasons), maxSentence)
		text += ": " + why
	}
	return text + "."
}

// maxReasons is how many reasons for skipped records a line lists.
const maxReasons = 5

func (s *summary) notes(r *Report) {
	other, absent := blindSpots(r.Blind)
	s.list("Could not be judged:", other)
	s.list("Missing logs (see outflow list tables):", absent)
	var warnings []string
	for _, w := range r.Warnings {
		w, _ := cut(w, maxSentence)
		warnings = append(warnings, w)
	}
	s.list("Warnings:", warnings)
}

// alike joins blind spots that differ by the feed alone.
func alike(spots []Blind) []Blind {
	var out []Blind
	feeds := map[int][]string{} // of those in out that are about a feed
	at := map[[3]string]int{}
	for _, b := range spots {
		if b.Feed == "" || b.Absent != "" {
			out = append(out, b)
			continue
		}
		key := [3]string{b.Detection, strings.ReplaceAll(b.Why, b.Feed, ""), b.Remedy}
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, b)
		} else {
			out[i].Rows += b.Rows
		}
		feeds[i] = append(feeds[i], b.Feed)
	}
	for i, of := range feeds {
		if len(of) > 1 {
			out[i].Feed = listed(of)
			out[i].Why += " The same holds for " + listed(of[1:]) + "."
		}
	}
	return out
}

// blindSpots returns a line for each kind of log that was not read, and one for each
// other blind spot.
func blindSpots(spots []Blind) (other, absent []string) {
	without := map[string][]string{} // what would have judged tables that no log has
	for _, b := range alike(spots) {
		if b.Absent != "" {
			without[b.Table] = append(without[b.Table], b.Absent)
			continue
		}
		text := strings.TrimSpace(b.Why + " " + b.Remedy)
		if b.Detection != "" {
			text = b.Detection + ": " + text
		}
		text, _ = cut(text, maxSentence)
		other = append(other, text)
	}
	for _, table := range slices.Sorted(maps.Keys(without)) {
		text, _ := cut(strings.ReplaceAll(table, " ", " or ")+", for "+strings.Join(without[table], ", "), maxSentence)
		absent = append(absent, text)
	}
	return other, absent
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
		if i == summaryNotes && !s.all {
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
	words := strings.Fields(text)
	if s.width > 0 {
		for i, word := range words {
			words[i] = fit(word, s.width-len(rest))
		}
	}
	s.out.WriteString(Wrap(words, used, s.width, rest))
	s.out.WriteByte('\n')
}

// Wrap joins words by spaces, or by a line break and indent where a line would have more
// than so many cells; 0 cells: any number. The first line has used cells already.
func Wrap(words []string, used, cells int, indent string) string {
	var out strings.Builder
	for i, word := range words {
		n := uniseg.StringWidth(word)
		switch {
		case i == 0:
		case cells > 0 && used+1+n > cells:
			out.WriteString("\n" + indent)
			used = len(indent)
		default:
			out.WriteByte(' ')
			used++
		}
		out.WriteString(word)
		used += n
	}
	return out.String()
}
