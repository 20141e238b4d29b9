package reports

import (
	"cmp"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"outflow/columnar"
	"outflow/stats/detect"
)

// A cell is a number. A table shows it in units for people, and sorts by its value.
type cell struct {
	Text string
	V    string
}

func byteCell(n int64) cell  { return cell{byteSize(float64(n)), strconv.FormatInt(n, 10)} }
func countCell(n int64) cell { return cell{count(n), strconv.FormatInt(n, 10)} }

// An upload is a bar: what an entity sent on a day, compared with what is normal
// for it.
type upload struct {
	Who    shown
	Type   string
	Feed   shown
	Day    string
	Sent   cell
	Normal cell
	Times  string
	Over   bool   // above the alert limit
	Bar    string // width of the bar, in percent
	Tick   string // place of the upper limit, in percent; "" if there is none
	Title  string
}

// maxSources is how many sources the page says the whole volume of.
const maxSources = 6

// sources lists what each source saw leave, the most first.
func (p *page) sources(by map[string]float64) {
	feeds := slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		return cmp.Or(cmp.Compare(by[b], by[a]), strings.Compare(a, b))
	})
	for _, feed := range feeds[:min(len(feeds), maxSources)] {
		if by[feed] > 0 {
			name, _ := cut(feed, maxName)
			p.Sent = append(p.Sent, byteSize(by[feed])+" (source: "+name+")")
		}
	}
}

func (p *page) uploads(days *top[UserDay]) {
	if days.of > maxUploads {
		p.UploadsNote = "The " + count(maxUploads) + " largest of " + count(days.of) + "; all are in user_day.csv."
	}
	scale := 0.0
	for _, u := range days.rows {
		scale = max(scale, float64(u.BytesOut))
	}
	for _, u := range days.rows {
		v := upload{
			Who: show(u.Who(), maxName), Type: entityType(u.EntityType), Feed: show(u.Feed, maxName), Day: u.Day.String(),
			Sent: byteCell(u.BytesOut), Normal: cell{"–", "-1"},
			Bar: coordinate(max(0.5, 100*float64(u.BytesOut)/scale)),
		}
		v.Title = v.Sent.Text
		if !math.IsNaN(u.BaselineMedian) {
			v.Normal = byteCell(int64(u.BaselineMedian))
			v.Times = times(float64(u.BytesOut), u.BaselineMedian)
			v.Title += ", normal " + v.Normal.Text
		}
		if !math.IsNaN(u.BaselineUpper) {
			v.Over = float64(u.BytesOut) > u.BaselineUpper
			v.Title += ", limit " + byteSize(u.BaselineUpper)
			if at := 100 * u.BaselineUpper / scale; at <= 100 {
				v.Tick = coordinate(at)
			}
		}
		p.Uploads = append(p.Uploads, v)
	}
}

// A stored is what an entity sent to one place of cloud storage on one day.
type stored struct {
	Who     shown
	Type    string
	Day     string
	Where   shown
	Service string
	Sent    cell
	Times   cell // requests or connections
	Largest cell // of these
	At      string
}

func (p *page) stored(uploads []cloudUpload) {
	for i := range uploads {
		u := &uploads[i]
		p.Stored = append(p.Stored, stored{
			Who: show(u.Who(), maxName), Type: entityType(u.EntityType), Day: u.Day.String(), Where: where(u.Object + u.path), Service: u.service.Name,
			Sent: byteCell(u.BytesOut), Times: countCell(u.Events), Largest: byteCell(u.PeakOut), At: utc(u.PeakTime).Format("15:04"),
		})
	}
}

// accepted lists findings that the allow list accepts, up to a number of them.
func (p *page) accepted(r *Report, most int) {
	for i := range r.Findings {
		switch f := &r.Findings[i]; {
		case f.Allowed == "":
		case len(p.Accepted) < most:
			p.Accepted = append(p.Accepted, briefFinding(f, r.detection(f.Detection)))
		default:
			p.Left++
		}
	}
}

// A matrix counts findings by detection and severity.
type matrix struct {
	Severities []string // those that occur, worst first
	Rows       []matrixRow
}

type matrixRow struct {
	What   string
	Method string
	Counts []int
}

func newMatrix(r *Report) *matrix {
	if len(openFindings(r)) == 0 {
		return nil
	}
	var by [detect.Critical + 1]int
	for _, f := range openFindings(r) {
		by[f.Severity]++
	}
	m := &matrix{}
	column := map[detect.Severity]int{}
	for s := range by {
		s := detect.Critical - detect.Severity(s)
		if by[s] > 0 {
			column[s] = len(m.Severities)
			m.Severities = append(m.Severities, s.String())
		}
	}
	at := map[string]int{}
	row := func(name string) *matrixRow {
		i, ok := at[name]
		if !ok {
			i = len(m.Rows)
			at[name] = i
			v := matrixRow{What: title(name, r.detection(name)), Counts: make([]int, len(m.Severities))}
			if r.detection(name) != nil {
				v.Method = "how-" + name
			}
			m.Rows = append(m.Rows, v)
		}
		return &m.Rows[i]
	}
	for _, d := range r.Detections {
		row(d.Name)
	}
	for _, f := range openFindings(r) {
		row(f.Detection).Counts[column[f.Severity]]++
	}
	return m
}

type domain struct {
	Domain   shown
	Source   shown
	Day      string
	Queries  cell
	Names    cell
	Bytes    cell
	Busiest  cell
	At       string
	Entropy  cell
	Longest  cell
	Rare     cell
	NX       cell
	Examples []shown
	Finding  string // id of the section, if there is one
}

// domains shows the domains whose names carried most data: an upper bound that no
// tunnel can escape.
func (p *page) domains(all *top[detect.Row]) {
	sections := map[string]string{}
	for _, c := range p.Cards {
		for _, step := range c.Steps {
			if at := step.Day + " " + step.Who.Text + " " + step.Where.Text; sections[at] == "" {
				sections[at] = step.ID
			}
		}
	}
	p.DomainsLeft = int(all.of) - len(all.rows)
	for _, d := range all.rows {
		v := domain{
			Domain: where(d.Object), Source: show(d.Who(), maxName), Day: d.Day.String(),
			Queries: countCell(d.Events), Names: countCell(d.Names), Bytes: byteCell(d.NameBytes),
			Busiest: countCell(d.WindowEvents), Entropy: cell{number(d.MaxEntropy), string(appendFloat(nil, d.MaxEntropy))},
			Longest: countCell(d.MaxLength),
			Rare:    cell{percent(d.Rare, d.Events), strconv.FormatInt(d.Rare, 10)}, NX: cell{percent(d.NXDomain, d.Events), strconv.FormatInt(d.NXDomain, 10)},
		}
		v.Finding = sections[v.Day+" "+v.Source.Text+" "+v.Domain.Text]
		if d.WindowAt != 0 {
			v.At = utc(d.WindowAt).Format("15:04")
		}
		for _, e := range d.Examples[:min(len(d.Examples), 2)] {
			v.Examples = append(v.Examples, show(defang(e), maxName))
		}
		p.Domains = append(p.Domains, v)
	}
}

// An input is one object, or all objects of a feed, format and table.
type input struct {
	Name    shown
	Feed    shown
	Format  string
	Table   string
	Objects cell
	Size    cell
	Rows    cell
	Outside cell
	Other   cell
	Kinds   shown // of Other
	Skipped cell
	Errors  cell
	Status  string // why the object is incomplete; "" if it is not
	Seen    string
	Known   []known
	Trouble []shown
}

// A known says how complete a column is.
type known struct {
	Column string
	Share  string
	None   bool
}

// maxKinds is how many kinds of other records a row of the table of inputs names.
const maxKinds = 4

// coverageColumns are the columns without which detections are blind.
var coverageColumns = []columnar.Col{columnar.User, columnar.BytesOut, columnar.BytesIn}

func (p *page) inputs(r *Report) {
	type kind struct{ feed, format, table string }
	others := map[kind]map[string]int64{}
	sums := map[kind]*Input{}
	objects := map[kind]int64{}
	errors := map[kind]int64{}
	var kinds []kind
	var troubled []*Input
	for i := range r.Inputs {
		in := &r.Inputs[i]
		if in.Status == NoLog {
			continue // shown in a line of its own
		}
		k := kind{in.Feed, in.Format, in.Table}
		sum := sums[k]
		if sum == nil {
			sum = &Input{Feed: in.Feed, Format: in.Format, Table: in.Table, Known: map[columnar.Col]int64{}}
			sums[k] = sum
			others[k] = map[string]int64{}
			kinds = append(kinds, k)
		}
		objects[k]++
		for _, other := range in.Kinds {
			others[k][other.Name] += other.Count
		}
		if in.Status.Incomplete() {
			errors[k]++
		}
		sum.add(in)
		if in.Status != Read || in.Skipped > 0 {
			troubled = append(troubled, in)
		}
	}
	// Objects that were not read come before objects with a few malformed records.
	slices.SortStableFunc(troubled, func(a, b *Input) int {
		switch {
		case a.Status.Incomplete() == b.Status.Incomplete():
			return 0
		case a.Status.Incomplete():
			return -1
		}
		return 1
	})
	for i, in := range troubled {
		if i == maxInputs {
			p.TroubledLeft = len(troubled) - i
			break
		}
		p.Troubled = append(p.Troubled, newInput(in))
	}
	slices.SortFunc(kinds, func(a, b kind) int {
		return cmp.Or(cmp.Compare(a.feed, b.feed), cmp.Compare(a.format, b.format), cmp.Compare(a.table, b.table))
	})
	for _, k := range kinds {
		sums[k].Kinds = byCount(others[k])
		v := newInput(sums[k])
		v.Objects, v.Errors = countCell(objects[k]), countCell(errors[k])
		p.Feeds = append(p.Feeds, v)
	}
}

func (in *Input) add(other *Input) {
	in.Size += other.Size
	in.Records += other.Records
	in.Rows += other.Rows
	in.Outside += other.Outside
	in.Other += other.Other
	in.Skipped += other.Skipped
	in.Unattributed.Add(other.Unattributed)
	in.Unplaced.Add(other.Unplaced)
	if other.First != 0 && (in.First == 0 || other.First < in.First) {
		in.First = other.First
	}
	in.Last = max(in.Last, other.Last)
	for _, c := range coverageColumns {
		if n, ok := other.Known[c]; ok {
			in.Known[c] += n
		}
	}
}

func newInput(in *Input) input {
	format, _ := cut(in.Format, maxName)
	table, _ := cut(in.Table, maxName)
	v := input{
		Name: show(in.Name, maxPlace), Feed: show(cmp.Or(in.Feed, "not known"), maxName), Format: cmp.Or(format, "not known"), Table: cmp.Or(table, "none"),
		Size: byteCell(in.Size), Rows: countCell(in.Rows), Outside: countCell(in.Outside),
		Other: countCell(in.Other), Skipped: countCell(in.Skipped), Errors: countCell(0),
	}
	if in.First != 0 {
		v.Seen = span(in.First, in.Last)
	}
	for _, c := range coverageColumns {
		if n, of, ok := coverage(in, c); ok {
			v.Known = append(v.Known, known{c.String(), percent(n, of), n == 0})
		}
	}
	if u := in.Unattributed; u.BytesOut > 0 {
		v.Known = append(v.Known, known{"no entity:", byteSize(float64(u.BytesOut)), true})
	} else if u.Rows > 0 {
		v.Known = append(v.Known, known{"no entity:", counted(int(u.Rows), "row", "rows"), true})
	}
	if u := in.Unplaced; u.Rows > 0 {
		v.Known = append(v.Known, known{"no destination:", byteSize(float64(u.BytesOut)), true})
	}
	v.Kinds = show(listKinds(in.Kinds, maxKinds), maxPlace)
	if in.Status.Incomplete() {
		v.Errors = countCell(1)
		v.Status = statuses[in.Status].phrase
	}
	if in.Error != "" {
		v.Trouble = append(v.Trouble, show(in.Error, maxSentence))
	} else if in.Status == Unnamed {
		v.Trouble = append(v.Trouble, show(in.fault(), maxSentence))
	}
	for _, reason := range in.Reasons[:min(len(in.Reasons), 3)] {
		v.Trouble = append(v.Trouble, show(reason, maxPlace))
	}
	return v
}

type blind struct {
	What   string
	Feed   shown
	Rows   string
	Why    shown
	Remedy shown
}

func (p *page) notes(r *Report) {
	spots := alike(r.Blind)
	for i, b := range spots {
		if i == maxNotes {
			p.BlindLeft = len(spots) - i
			break
		}
		what, _ := cut(b.Detection, maxName)
		v := blind{What: what, Feed: show(b.Feed, maxName), Why: show(b.Why, maxSentence), Remedy: show(b.Remedy, maxSentence)}
		if b.Rows > 0 {
			v.Rows = counted(int(b.Rows), "row", "rows")
		}
		p.Blind = append(p.Blind, v)
	}
	for i, w := range r.Warnings {
		if i == maxNotes {
			p.WarningsLeft = len(r.Warnings) - i
			break
		}
		w, _ := cut(w, maxSentence)
		p.Warnings = append(p.Warnings, w)
	}
}

type method struct {
	ID         string
	Title      string
	Name       string
	Doc        []string
	Technique  detect.Technique
	Tactic     string
	Impact     int
	Confidence int
	Thresholds []setting
}

// A setting is a threshold with the value it had when the detection ran.
type setting struct {
	Name, Value, Unit, Doc string
}

func (p *page) methods(r *Report) {
	p.AttackNote = "MITRE ATT&CK " + detect.AttackVersion
	judging := r.judgedBy()
	for _, d := range r.Detections {
		t := detect.TechniqueOf(d.Technique)
		m := method{
			ID: "how-" + d.Name, Title: title(d.Name, d), Name: d.Name, Doc: Paragraphs(d.Doc),
			Technique: t, Tactic: detect.TacticName(t.Tactic), Impact: d.Impact, Confidence: d.Confidence,
			Thresholds: settings(d.Options),
		}
		p.Methods = append(p.Methods, m)
		if judging[d.Name] {
			p.Judging = append(p.Judging, m)
		}
	}
}

// settings lists the fields of a detection's options: the name from the yaml tag,
// and unit and meaning from the tags unit and doc.
func settings(options any) []setting {
	v := reflect.Indirect(reflect.ValueOf(options))
	if v.Kind() != reflect.Struct {
		return nil
	}
	var out []setting
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		s := setting{Name: cmp.Or(name, snake(f.Name)), Value: settingValue(v.Field(i)), Unit: f.Tag.Get("unit"), Doc: f.Tag.Get("doc")}
		if s.Unit == "B" || s.Unit == "bytes" {
			if n, ok := bytesOf(v.Field(i)); ok {
				s.Value, s.Unit = byteSize(n), ""
			}
		}
		out = append(out, s)
	}
	return out
}

func bytesOf(v reflect.Value) (float64, bool) {
	switch {
	case v.CanInt():
		return float64(v.Int()), true
	case v.CanFloat():
		return v.Float(), true
	}
	return 0, false
}

func settingValue(v reflect.Value) string {
	switch {
	case v.CanInt():
		return count(v.Int())
	case v.CanFloat():
		return strconv.FormatFloat(v.Float(), 'f', -1, 64) // the value used, not rounded
	case v.Kind() == reflect.Bool && v.Bool():
		return "yes"
	case v.Kind() == reflect.Bool:
		return "no"
	case v.Kind() == reflect.Slice:
		parts := make([]string, min(v.Len(), 20))
		for i := range parts {
			parts[i] = settingValue(v.Index(i))
		}
		if v.Len() > len(parts) {
			parts = append(parts, "…")
		}
		return strings.Join(parts, ", ")
	case v.Kind() == reflect.String:
		s, _ := cut(v.String(), maxPlace)
		return s
	}
	return ""
}

// snake writes a Go name in snake_case. The letters of an abbreviation stay
// together.
func snake(name string) string {
	upper := func(i int) bool { return i < len(name) && name[i] >= 'A' && name[i] <= 'Z' }
	var b strings.Builder
	for i := range len(name) {
		if upper(i) && i > 0 && (!upper(i-1) || i+1 < len(name) && !upper(i+1)) {
			b.WriteByte('_')
		}
		b.WriteString(strings.ToLower(name[i : i+1]))
	}
	return b.String()
}
