package logs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"outflow/columnar"
	"outflow/columnar/bounded"
)

// How a source is compiled: to the names that it reads, and the rows that records become.

// A sourcePlan is a compiled source. It does not change, so workers may share it.
type sourcePlan struct {
	source    *Source
	container *container
	// slots are the names that are read, each once; a record has a text in each.
	slots  []slot
	byName map[string]int
	rows   []sourceRow
	choice *rowChoice // nil: rows are tried one after another
}

// A slot is a name that a source reads.
type slot struct {
	name string
	any  bool   // a value that says nothing, an object or an array counts too
	kept string // not "": a field that rules read, which any spelling of its name gives
}

// header returns Format.Header.
func (p *sourcePlan) header() func(prev, line []byte) []byte {
	if p.container == csvContainer && len(p.source.Layouts) == 0 {
		return csvHeader
	}
	return p.container.header
}

// slotOf returns the slot of a name.
func (p *sourcePlan) slotOf(name string, any bool) int {
	i, ok := p.byName[name]
	if !ok {
		i = len(p.slots)
		p.byName[name] = i
		p.slots = append(p.slots, slot{name: name})
	}
	p.slots[i].any = p.slots[i].any || any
	return i
}

func (p *sourcePlan) slotsOf(names []string) (slots []int) {
	for _, name := range names {
		slots = append(slots, p.slotOf(name, false))
	}
	return slots
}

// maxSlots is how many names a source may read: with more, a record would cost too much.
const maxSlots = 256

func (p *sourcePlan) compile() error {
	s := p.source
	if s.Name == "" || strings.ContainsFunc(s.Name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	}) {
		return fmt.Errorf("name: %q: want lower-case letters, digits and -", s.Name)
	}
	if s.Title == "" {
		return errors.New("title: want a few words")
	}
	// What is shown must not drive a terminal.
	shown := []string{s.Title, s.Product, s.Service, strings.ReplaceAll(s.Doc, "\n", "")}
	for _, r := range s.Rows {
		shown = append(shown, r.Other)
	}
	for _, text := range append(shown, slices.Collect(maps.Values(s.Remedies))...) {
		if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			return fmt.Errorf("%.40q has characters that cannot be shown", text[i:])
		}
	}
	if p.container = containerNamed(s.Container); p.container == nil {
		return fmt.Errorf("container: %q is none of %s", s.Container, strings.Join(containerNames(), ", "))
	}
	if len(s.Tuple) > 0 && s.Each == "" {
		return errors.New("tuple: want each, the array of texts whose fields it names")
	}
	if i := slices.IndexFunc(s.Layouts, func(l Layout) bool { return l.Bracketed != 0 }); i >= 0 && (p.container != spaceContainer || s.Layouts[i].Bracketed < 0) {
		return fmt.Errorf("layouts[%d].bracketed: want the number of a field of container space", i)
	}
	for i := range s.Layouts {
		l := &s.Layouts[i]
		if l.Request == "" {
			continue
		}
		if l.request = slices.Index(l.Names, l.Request); l.request < 1 || p.container != spaceContainer {
			return fmt.Errorf("layouts[%d].request: want one of its names but the first, of container space", i)
		}
	}
	if len(s.Separator) > 1 && len(s.Layouts) == 0 && (p.container != keyvalueContainer || len(s.Separator) > 2) {
		return fmt.Errorf("separator: %q: want one byte", s.Separator)
	}
	if len(s.Assign) > 1 {
		return fmt.Errorf("assign: %q: want one byte", s.Assign)
	}
	if len(s.Patterns) > 0 && p.container != keyvalueContainer {
		return fmt.Errorf("patterns: only keyvalue has them, not %s", s.Container)
	}
	if err := s.compileLayouts(); err != nil {
		return err
	}
	if len(s.Rows) == 0 {
		return errors.New("rows: want one at least")
	}
	for i := range s.Rows {
		row, err := p.row(&s.Rows[i])
		if err != nil {
			return fmt.Errorf("rows[%d].%w", i, err)
		}
		p.rows = append(p.rows, row)
	}
	for _, e := range s.Embedded {
		if !p.container.embeds {
			return fmt.Errorf("embedded: %s: the container %s holds no JSON in its values", e, s.Container)
		}
		if _, err := p.embeddedNode(e, nil); err != nil {
			return fmt.Errorf("embedded: %w", err)
		}
	}
	if err := s.Remember.check(p); err != nil {
		return fmt.Errorf("remember: %w", err)
	}
	if len(p.slots) > maxSlots {
		return fmt.Errorf("rows: read %d names, at most %d can be", len(p.slots), maxSlots)
	}
	p.choice = newRowChoice(p.rows, len(p.slots))
	_, err := p.container.open(p)
	return err
}

// row compiles what becomes of some records.
func (p *sourcePlan) row(r *SourceRow) (row sourceRow, err error) {
	if row.where, err = p.conditions(r.Where); err != nil {
		return row, fmt.Errorf("where.%w", err)
	}
	for _, name := range r.Lacks {
		if _, ok := columnar.ColNamed(name); !ok {
			return row, fmt.Errorf("lacks: unknown column %q", name)
		}
	}
	if row.other = r.Other; row.other != "" {
		if r.Table != "" || len(r.Columns) > 0 {
			return row, errors.New("other: a record of another kind has neither table nor columns")
		}
		return row, nil
	}
	if row.table = columnar.TableNamed(r.Table); row.table == nil {
		return row, fmt.Errorf("table: %q: want api, http, dns, network, process or event, or other instead", r.Table)
	}
	columns := maps.Clone(r.Columns)
	if columns == nil {
		columns = map[string]Column{}
	}
	for name, c := range p.source.Columns {
		col, ok := columnar.ColNamed(name)
		if !ok {
			return row, fmt.Errorf("columns: unknown column %q", name)
		}
		if _, own := columns[name]; !own && row.table.Set().Has(col) {
			columns[name] = c
		}
	}
	if row.fields, err = p.fields(row.table, columns); err != nil {
		return row, err
	}
	for name := range p.source.Columns {
		c, _ := columnar.ColNamed(name)
		if _, own := r.Columns[name]; own || row.fields[c] == nil {
			continue
		}
		// One field for all rows of a table: a window is read at once then.
		for i := range p.rows {
			if other := &p.rows[i]; other.table == row.table && other.inherited.Has(c) {
				row.fields[c] = other.fields[c]
				break
			}
		}
		row.inherited |= columnar.ColSet(c)
	}
	if row.fields[columnar.Time] == nil {
		return row, errors.New("columns: want time")
	}
	if r.Swap != nil {
		if row.swapped, err = p.fields(row.table, r.Swap.Columns); err != nil {
			return row, fmt.Errorf("swap.%w", err)
		}
		if row.swap, err = p.conditions(r.Swap.Where); err != nil {
			return row, fmt.Errorf("swap.where.%w", err)
		}
		row.outside = r.Swap.Outside
		for _, pair := range swapPairs {
			if row.fields[pair[0]] == nil && row.fields[pair[1]] == nil {
				continue
			}
			for i := range pair {
				if row.swapped[pair[i]] == nil {
					row.swapped[pair[i]] = row.fields[pair[1-i]].of(pair[i])
				}
			}
		}
	}
	return row, nil
}

// swapPairs are the columns that change places where the source of a flow is the server.
var swapPairs = [][2]columnar.Col{{columnar.SrcIP, columnar.DstIP}, {columnar.BytesOut, columnar.BytesIn}}

// fields compiles columns.
func (p *sourcePlan) fields(t *columnar.Table, columns map[string]Column) (fields [columnar.NumCols]*sourceField, err error) {
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		c, ok := columnar.ColNamed(name)
		switch {
		case !ok:
			return fields, fmt.Errorf("columns: unknown column %q", name)
		case c == columnar.Domain:
			return fields, errors.New("columns.domain: domain is derived from query; name that instead")
		case !t.Set().Has(c):
			return fields, fmt.Errorf("columns.%s: table %s has no such column", name, t.Name)
		}
		if fields[c], err = p.field(c, columns[name]); err != nil {
			return fields, fmt.Errorf("columns.%s: %w", name, err)
		}
	}
	return fields, nil
}

// field compiles a column.
func (p *sourcePlan) field(c columnar.Col, column Column) (*sourceField, error) {
	f := &sourceField{field: newField(c, -1), column: column, dateSlot: -1, zoneSlot: -1, times: -1}
	if err := f.as(column); err != nil {
		return nil, err
	}
	f.clockAt, f.zoned = clockIn(f.unit), strings.Contains(f.unit, "07")
	f.slots = p.slotsOf(column.names())
	for _, name := range column.Join {
		f.join = append(f.join, p.slotOf(name, false))
	}
	if column.Date != "" {
		f.dateSlot = p.slotOf(column.Date, false)
	}
	f.unlike = p.slotsOf(column.Unlike)
	if column.Zone != "" {
		f.zoneSlot = p.slotOf(column.Zone, false)
	}
	if column.Times != "" {
		if c != columnar.BytesOut && c != columnar.BytesIn {
			return nil, fmt.Errorf("times: %q: only byte counts are multiplied", column.Times)
		}
		f.times = p.slotOf(column.Times, false)
	}
	if ways := min(len(f.slots), 1) + min(len(f.join), 1) + min(len(column.Const), 1); ways != 1 {
		return nil, errors.New("want one of name or first, join, const")
	}
	if column.Match != "" {
		re, err := bounded.Regexp(column.Match)
		if err != nil {
			return nil, fmt.Errorf("match: %w", err)
		}
		if re.NumSubexp() != 1 {
			return nil, fmt.Errorf("match: %q: want one group, which is what counts", column.Match)
		}
		f.match = re
	}
	if column.Part != "" {
		if f.part = slices.Index(partNames[:], column.Part) + 1; f.part == 0 {
			return nil, fmt.Errorf("part: %q is none of %s", column.Part, strings.Join(partNames[:], ", "))
		}
	}
	if column.Word < 0 {
		return nil, fmt.Errorf("word: %d: want 1 or more", column.Word)
	}
	if column.Before != "" && len(column.Join) == 0 {
		return nil, fmt.Errorf("before: %q: only texts that are joined have one", column.Before)
	}
	var err error
	if f.where, err = p.conditions(column.Where); err != nil {
		return nil, fmt.Errorf("where.%w", err)
	}
	if e := column.Else; e != nil {
		if e.Unit != "" || e.Times != "" || e.Time != "" || e.Date != "" {
			return nil, errors.New("else: has no unit, times, time and date of its own")
		}
		if f.otherwise, err = p.field(c, *e); err != nil {
			return nil, fmt.Errorf("else: %w", err)
		}
	}
	f.named = f.named && (len(f.slots) > 1 || f.otherwise != nil) // else nothing can stand in
	whole := f.times < 0 && f.unlike == nil && f.match == nil && f.part == 0 && column.Word == 0 && column.Without == "" && len(column.Texts) == 0 && len(column.Null) == 0
	f.direct, f.joined = whole && len(f.join) == 0, whole && len(f.join) > 0
	f.inPlace = len(f.slots) > 0 && f.times < 0 && f.unlike == nil && len(column.Texts) == 0 && len(column.Null) == 0 && len(f.where) == 0 && f.otherwise == nil
	return f, nil
}

// clockIn returns where a time of day stands in texts of a layout, -1 if what is before it may
// be of any length.
func clockIn(layout string) int {
	before, _, ok := strings.Cut(layout, "15:04:05")
	rest := strings.NewReplacer("2006", "", "01", "", "02", "", "_2", "", "January", "x", "Monday", "x", "Jan", "", "Mon", "").Replace(before)
	if !ok || strings.ContainsFunc(rest, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		return -1
	}
	return len(before)
}

// conditions compiles conditions, in order of their names.
func (p *sourcePlan) conditions(where map[string]Condition) (out []condition, err error) {
	for _, name := range slices.Sorted(maps.Keys(where)) {
		c := where[name]
		if len(c.Is)+len(c.Prefix)+len(c.Suffix)+len(c.Contains)+len(c.Not) == 0 && c.Present == nil && c.Internal == nil && c.Around == "" {
			return nil, fmt.Errorf("%s: want a text, a list, is, prefix, suffix, contains, not, present, internal or around", name)
		}
		of := condition{slot: p.slotOf(name, true), Condition: c, needs: c.Around != "" || !c.meets(nil)}
		if c.Around != "" {
			of.inner = p.slotOf(c.Around, true)
		}
		out = append(out, of)
	}
	return out, nil
}

// tables returns the tables of the rows.
func (p *sourcePlan) tables() (tables []*columnar.Table) {
	for _, t := range columnar.Tables {
		if slices.ContainsFunc(p.rows, func(r sourceRow) bool { return r.table == t }) {
			tables = append(tables, t)
		}
	}
	return tables
}

// lacks returns the columns that no row can have.
func (p *sourcePlan) lacks() (lacks columnar.Cols) {
	for _, t := range p.tables() {
		lacks |= t.Set()
	}
	for _, r := range p.rows {
		for c := range columnar.NumCols {
			if r.fields[c] != nil || r.swapped[c] != nil || c == columnar.Domain && r.fields[columnar.Query] != nil {
				lacks &^= columnar.ColSet(c)
			}
		}
	}
	return lacks
}

// compile reads the number of fields and the conditions of a layout.
func (s *Source) compileLayouts() error {
	for i := range s.Layouts {
		if err := s.Layouts[i].compile(); err != nil {
			return fmt.Errorf("layouts[%d]: %w", i, err)
		}
	}
	return nil
}

func (l *Layout) compile() error {
	l.least, l.most = len(l.Names), len(l.Names)
	if l.Fields != "" {
		least, most, isRange := strings.Cut(l.Fields, "-")
		open := strings.TrimSuffix(l.Fields, "+")
		var err error
		if open != l.Fields {
			least, most, isRange = open, strconv.Itoa(anyFields), true
		}
		if !isRange {
			most = least
		}
		if l.least, err = strconv.Atoi(least); err == nil {
			l.most, err = strconv.Atoi(most)
		}
		if err != nil || l.least < 1 || l.most < l.least {
			return fmt.Errorf("fields: %q: want a number, as 14, 22-24 or 24+", l.Fields)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.Where)) {
		n, ok := fieldNumber(name)
		if !ok {
			return fmt.Errorf("where: %q: want a field by its number, as $4", name)
		}
		l.where = append(l.where, layoutCondition{n, l.Where[name]})
	}
	return nil
}

// fieldNumber reads the name of a field by its number: $1 is 0.
func fieldNumber(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, "$")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n - 1, err == nil && n > 0 && n < 1<<16
}
