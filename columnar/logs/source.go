package logs

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Vendors as data: what a source file says, and how it is checked. How records become
// rows is in source_rows.go, how they are found in container.go.

// A Source is the log of a vendor as a YAML file describes it: the container that the
// records stand in, how an object is recognised, and which records become rows. Compiled
// it is a Format like any other.
//
// Rows of a Parquet file are records of JSON, whose paths are those of its columns, unless
// Each is set; elements of arrays are found there by their number alone.
//
// Names are paths in JSON (actor.alternateId), else the names of columns, keys or
// directives. Letter case does not matter where no name has the exact letters. In JSON,
//
//	a.b              is the member b of the object a, or the key "a.b"
//	a[0].b           b in the first element of the array a
//	a[].b            b in the first element that has it
//	a[name=size].b   b in the element whose member name is the text size
//
// Where Embedded names a, a is a text that holds JSON, and a.b is in there. Where Each
// names a, a stands for one element of the array at a time. In csv and space, $1 is the
// first field, whatever it is called. In keyvalue, $0 is what stands before the first pair.
type Source struct {
	Name  string `yaml:"name"`  // as Format.Name
	Title string `yaml:"title"` // as Format.Title
	Doc   string `yaml:"doc"`   // what turns it on, where its objects stand, what it cannot say
	// Product and Service are what Sigma rules call the log.
	Product string `yaml:"product"`
	Service string `yaml:"service"`

	Container string `yaml:"container"` // one of containers
	// Separator of the fields of csv, or of the pairs of keyvalue or leef. "": comma,
	// space, tab. csv without a header may have several: a record is cut at the first
	// that it has.
	Separator string `yaml:"separator"`
	// Layouts are the columns of csv and space without a header: the first that fits a
	// record counts. None, in csv: the first line is a header.
	Layouts []Layout `yaml:"layouts"`
	// Sniff are the ways in which an object is recognised, in YAML one or a list.
	Sniff SniffList `yaml:"sniff"`
	// Server says that the log is one of a server of the company's own, whose clients may
	// be anybody: what they sent to it has not left. Bytes keep the clients' direction.
	Server bool `yaml:"server"`
	// UTC says that times without a zone are UTC, whatever the input's zone is.
	UTC      bool     `yaml:"utc"`
	Embedded []string `yaml:"embedded"`
	// Each names an array in JSON whose elements become a record each: events, or
	// flows[].tuples for the arrays tuples in all elements of flows.
	Each string `yaml:"each"`
	// Tuple names the fields of elements that are texts with commas.
	Tuple []string `yaml:"tuple"`
	// Columns are those of all rows, unless a row has its own.
	Columns map[string]Column `yaml:"columns"`
	// Rows say what records become: the first that fits counts. A record that none
	// fits is skipped.
	Rows []SourceRow `yaml:"rows"`
	// Remedies say, by column, how the log can be made to fill it.
	Remedies map[string]string `yaml:"remedies"`

	text []byte
}

// Text returns the source file that the source was read from, nil if it was not.
func (s *Source) Text() []byte { return s.text }

// A Layout names the fields of records that have a given number of them.
type Layout struct {
	// Fields is how many a record has: "14", "22-24" or "24+". "": as many as Names.
	Fields string              `yaml:"fields"`
	Where  map[string]TextList `yaml:"where"` // and one of some texts that a field has, by $1, $2, …
	Names  []string            `yaml:"names"` // in order; "" or "-" for one that nobody reads

	least, most int
	where       []layoutCondition
}

type layoutCondition struct {
	field int
	texts TextList
}

// holds reports whether one of fields has one of the texts.
func (c *layoutCondition) holds(fields [][]byte) bool {
	if c.field >= len(fields) {
		return false
	}
	text := bare(fields[c.field])
	for _, s := range c.texts {
		if string(text) == s {
			return true
		}
	}
	return false
}

// A Sniff says how an object is recognised. One record at least, of the first ones of an
// object, must have all that is said.
type Sniff struct {
	Keys   []string            `yaml:"keys"`   // names that it has, whatever they hold
	Values map[string]TextList `yaml:"values"` // names that hold one of some texts
	First  string              `yaml:"first"`  // a regular expression that its text matches
}

// A SniffList is a Sniff or a list of them, one of which must fit.
type SniffList []Sniff

// UnmarshalYAML reads a list, or one.
func (l *SniffList) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal((*[]Sniff)(l)) == nil {
		return nil
	}
	var one Sniff
	err := unmarshal(&one)
	*l = SniffList{one}
	return err
}

// A TextList is a text or a list of texts.
type TextList []string

// UnmarshalYAML reads a list, or one text.
func (l *TextList) UnmarshalYAML(unmarshal func(any) error) error {
	var one string
	if unmarshal(&one) == nil {
		*l = TextList{one}
		return nil
	}
	return unmarshal((*[]string)(l))
}

// A SourceRow says which records become rows of which table, or are of another kind that
// is known.
type SourceRow struct {
	Table string `yaml:"table"`
	Other string `yaml:"other"` // the name of the kind, instead of Table
	// Where are conditions by name, all of which must hold.
	Where   map[string]Condition `yaml:"where"`
	Columns map[string]Column    `yaml:"columns"`
	// Swap says when a record of a flow was written from the server's point of view.
	Swap *Swap `yaml:"swap"`
	// Lacks are columns that these records cannot say, so that a detection that needs
	// them is blind on them.
	Lacks []string `yaml:"lacks"`
}

// A Condition is what a text must be: one of Is, if there are any, and begin with one
// of Prefix, if there are any, and none of Not; or be there or not, if Present says so.
// In YAML a text or a list is Is.
type Condition struct {
	Is      TextList `yaml:"is"`
	Prefix  TextList `yaml:"prefix"`
	Not     TextList `yaml:"not"`
	Present *bool    `yaml:"present"`
}

// UnmarshalYAML reads a text, a list, or a map.
func (c *Condition) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&c.Is) == nil {
		return nil
	}
	type plain Condition
	return unmarshal((*plain)(c))
}

// A Swap says when a flow's source is the server: src_ip and dst_ip change places then,
// bytes_out and bytes_in too, and Columns take the place of the row's.
type Swap struct {
	Where   map[string]Condition `yaml:"where"`
	Outside bool                 `yaml:"outside"` // where src_ip is no internal address, and dst_ip is one
	Columns map[string]Column    `yaml:"columns"`
}

//go:embed sources
var sourceFiles embed.FS

// vendors are the embedded sources as formats, in order of their names.
var vendors = sync.OnceValue(func() []*Format {
	files, err := sourceFiles.ReadDir("sources")
	if err != nil {
		panic(err) // they are part of the program
	}
	var all []*Format
	for _, file := range files {
		if path.Ext(file.Name()) != ".yaml" {
			continue
		}
		text, err := sourceFiles.ReadFile("sources/" + file.Name())
		if err != nil {
			panic(err)
		}
		f, err := ParseSource(text)
		if err != nil {
			panic(fmt.Errorf("sources/%s: %w", file.Name(), err))
		}
		all = append(all, f)
	}
	return all
})

// maxSourceSize is how large a source file may be, in bytes. It bounds what parsing one
// can take; the largest of ours has a twentieth.
const maxSourceSize = 64 << 10

// ParseSource reads a source file and returns it as a format. The error says where and
// what is wrong.
func ParseSource(text []byte) (f *Format, err error) {
	defer func() {
		// Note: a panic of the parser is reported as a fault of the file.
		if r := recover(); r != nil {
			f, err = nil, fmt.Errorf("the YAML parser cannot read this: %v", r)
		}
	}()
	if len(text) > maxSourceSize {
		return nil, fmt.Errorf("a source file must not be larger than %d bytes", maxSourceSize)
	}
	tokens := lexer.Tokenize(string(text))
	if err := checkNesting(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, errors.New(yaml.FormatError(err, false, true))
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, errors.New("want one YAML document")
	}
	var s Source
	if err := yaml.NodeToValue(file.Docs[0].Body, &s, yaml.Strict()); err != nil {
		return nil, errors.New(yaml.FormatError(err, false, true))
	}
	s.text = text
	return s.Format()
}

// maxNesting is how deep the lists and maps of a source file may be nested; ours have a
// third.
const maxNesting = 16

// checkNesting refuses what makes the parser slow: values nested deep, and aliases, by
// which a small file stands for a large one.
func checkNesting(tokens token.Tokens) error {
	flow, line, dashes := 0, 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.AnchorType, token.AliasType:
			return fmt.Errorf("line %d: a source file has no anchors and aliases", t.Position.Line)
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType:
			if t.Position.Line != line {
				line, dashes = t.Position.Line, 0
			}
			dashes++
		}
		if flow > maxNesting || dashes > maxNesting || t.Type == token.MappingValueType && t.Position.Column > 1<<10 {
			return fmt.Errorf("line %d: nested more than %d deep", t.Position.Line, maxNesting)
		}
	}
	return nil
}

// Format compiles the source.
func (s *Source) Format() (*Format, error) {
	p := &sourcePlan{source: s, byName: map[string]int{}}
	if err := p.compile(); err != nil {
		return nil, err
	}
	f := &Format{
		Name: s.Name, Title: s.Title, Doc: strings.TrimSpace(s.Doc),
		Tables: p.tables(), Lacks: p.lacks(), Vendor: s, Server: s.Server, Outer: true,
		Quoted: p.container.quoted, Header: p.header(),
		New: func(o *Options) (Decoder, error) { return p.decoder(o) },
	}
	if s.Product != "" || s.Service != "" {
		f.Origins = []columnar.Origin{{Product: s.Product, Service: s.Service}}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Remedies)) {
		c, ok := columnar.ColNamed(name)
		if !ok {
			return nil, fmt.Errorf("remedies: unknown column %q", name)
		}
		f.Remedies = append(f.Remedies, Remedy{Columns: columnar.ColSet(c), Text: s.Remedies[name]})
	}
	sniff, err := s.sniffer()
	if err != nil {
		return nil, err
	}
	f.Sniff = sniff
	if p.container == jsonContainer && s.Each == "" {
		f.Leaves = s.leaves
	}
	return f, nil
}

// ofText reports whether the format is a source of lines of text: what is around them may
// be taken for a part of their first field.
func (f *Format) ofText() bool { return f.Vendor != nil && f.Vendor.Container != jsonContainer.name }

// A sourcePlan is a compiled source. It does not change, so workers may share it.
type sourcePlan struct {
	source    *Source
	container *container
	// slots are the names that are read, each once; a record has a text in each.
	slots  []slot
	byName map[string]int
	rows   []sourceRow
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
	if len(s.Separator) > 1 && len(s.Layouts) == 0 {
		return fmt.Errorf("separator: %q: want one byte", s.Separator)
	}
	for i := range s.Layouts {
		if err := s.Layouts[i].compile(); err != nil {
			return fmt.Errorf("layouts[%d]: %w", i, err)
		}
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
	if len(p.slots) > maxSlots {
		return fmt.Errorf("rows: read %d names, at most %d can be", len(p.slots), maxSlots)
	}
	_, err := p.container.open(p)
	return err
}

// row compiles what becomes of some records.
func (p *sourcePlan) row(r *SourceRow) (row sourceRow, err error) {
	if row.where, err = p.conditions(r.Where); err != nil {
		return row, fmt.Errorf("where.%w", err)
	}
	for _, name := range r.Lacks {
		c, ok := columnar.ColNamed(name)
		if !ok {
			return row, fmt.Errorf("lacks: unknown column %q", name)
		}
		row.lacks |= columnar.ColSet(c)
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
	f := &sourceField{field: newField(c, -1), column: column, dateSlot: -1, zoneSlot: -1}
	if err := f.as(column); err != nil {
		return nil, err
	}
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
	if ways := min(len(f.slots), 1) + min(len(f.join), 1) + min(len(column.Const), 1); ways != 1 {
		return nil, errors.New("want one of name or first, join, const")
	}
	if column.Match != "" {
		re, err := compilePattern(column.Match)
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
		if e.Unit != "" || e.Time != "" || e.Date != "" {
			return nil, errors.New("else: has no unit, time and date of its own")
		}
		if f.otherwise, err = p.field(c, *e); err != nil {
			return nil, fmt.Errorf("else: %w", err)
		}
	}
	f.direct = f.unlike == nil && f.match == nil && f.part == 0 && column.Word == 0 && column.Without == "" && len(column.Texts) == 0 && len(column.Null) == 0 && len(f.join) == 0
	return f, nil
}

// maxPattern is how many steps a regular expression may have: each byte of a text may
// take as many. Ours have a tenth.
const maxPattern = 2000

// compilePattern compiles a regular expression.
func compilePattern(expr string) (*regexp.Regexp, error) {
	tooLarge := fmt.Errorf("a regular expression of more than %d steps: repeat less in it", maxPattern)
	if len(expr) > maxPattern {
		return nil, tooLarge
	}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, err
	}
	if len(program.Inst) > maxPattern {
		return nil, tooLarge
	}
	return regexp.Compile(expr)
}

// conditions compiles conditions, in order of their names.
func (p *sourcePlan) conditions(where map[string]Condition) (out []condition, err error) {
	for _, name := range slices.Sorted(maps.Keys(where)) {
		c := where[name]
		if len(c.Is)+len(c.Prefix)+len(c.Not) == 0 && c.Present == nil {
			return nil, fmt.Errorf("%s: want a text, a list, is, prefix, not or present", name)
		}
		out = append(out, condition{slot: p.slotOf(name, true), Condition: c})
	}
	return out, nil
}

// tables returns the tables that rows are of.
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
func (l *Layout) compile() error {
	l.least, l.most = len(l.Names), len(l.Names)
	if l.Fields != "" {
		least, most, isRange := strings.Cut(l.Fields, "-")
		open := strings.TrimSuffix(l.Fields, "+")
		var err error
		if open != l.Fields {
			least, most, isRange = open, strconv.Itoa(1<<16), true
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

// sniffer returns Format.Sniff: nil if the source can only be named.
func (s *Source) sniffer() (func(head []byte) bool, error) {
	var plans []*sniffPlan
	for i := range s.Sniff {
		p, err := s.sniffPlan(&s.Sniff[i])
		if err != nil {
			return nil, fmt.Errorf("sniff.%w", err)
		}
		if p != nil {
			plans = append(plans, p)
		}
	}
	if plans == nil {
		return nil, nil
	}
	return func(head []byte) bool {
		return slices.ContainsFunc(plans, func(p *sniffPlan) bool { return p.fits(head) })
	}, nil
}

// A sniffPlan is a compiled Sniff. Its slots are the names that it asks for.
type sniffPlan struct {
	sourcePlan
	sniff  *Sniff
	first  *regexp.Regexp
	values []string // names of Sniff.Values, in order
	// words are what stands in every head of the source: looking for them is a
	// thousand times cheaper than reading records.
	words [][]byte
}

// sniffPlan compiles a Sniff: nil if it says nothing.
func (s *Source) sniffPlan(sniff *Sniff) (*sniffPlan, error) {
	if len(sniff.Keys)+len(sniff.Values) == 0 && sniff.First == "" {
		return nil, nil
	}
	p := &sniffPlan{sourcePlan: sourcePlan{source: s, container: containerNamed(s.Container), byName: map[string]int{}}, sniff: sniff}
	for _, name := range sniff.Keys {
		p.slotOf(name, true)
	}
	p.values = slices.Sorted(maps.Keys(sniff.Values))
	for _, name := range p.values {
		p.slotOf(name, true)
	}
	if sniff.First != "" {
		var err error
		if p.first, err = compilePattern(sniff.First); err != nil {
			return nil, fmt.Errorf("first: %w", err)
		}
	}
	if _, err := p.container.open(&p.sourcePlan); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if p.container.keyed {
		for _, slot := range p.slots {
			p.words = append(p.words, []byte(lastKey(slot.name)))
		}
	}
	return p, nil
}

// sniffRecords is how many records of an object are looked at.
const sniffRecords = 32

// fits reports whether a record of head has what the Sniff says.
func (p *sniffPlan) fits(head []byte) bool {
	if p.container.begins != nil && !p.container.begins(head) {
		return false
	}
	if !p.container.quoted {
		head = firstLines(head, sniffRecords)
	}
	for _, word := range p.words {
		if !bytes.Contains(head, word) {
			return false
		}
	}
	if head = wholeLines(head); p.container == jsonContainer && bytes.IndexByte(head, '\n') < 0 {
		head = closedJSON(head)
	}
	reader, err := p.container.open(&p.sourcePlan)
	if err != nil {
		return false
	}
	var t Tally
	w := newWindow(len(p.slots))
	if header := p.header(); header != nil {
		if h := header(nil, head); h != nil && reader.use(h) != nil {
			return false
		}
	}
	for n := 0; len(head) > 0 && n < sniffRecords; n++ {
		end := scan.LineEnd(head, 0)
		if p.container.quoted && bytes.IndexByte(head[:end], '"') >= 0 {
			end = separatedEnd(head)
		}
		record := head[:end]
		if head = head[end:]; p.first != nil && !p.first.Match(bytes.TrimRight(record, "\r\n")) {
			continue
		}
		w.reset(record, 1)
		reader.read(record, w, &t)
		for i := range w.n {
			if p.sniffed(w, i) {
				return true
			}
		}
	}
	return false
}

// firstLines returns the first n lines of head.
func firstLines(head []byte, n int) []byte {
	end := 0
	for ; n > 0 && end < len(head); n-- {
		end = scan.LineEnd(head, end)
	}
	return head[:end]
}

func (p *sniffPlan) sniffed(w *window, i int) bool {
	for slot := range p.slots {
		if !w.has(i, slot) {
			return false
		}
	}
	for _, name := range p.values {
		if !slices.Contains(p.sniff.Values[name], string(w.text(i, p.byName[name]))) {
			return false
		}
	}
	return true
}

// lastKey returns the last key of a path.
func lastKey(name string) string {
	if i := strings.LastIndexAny(name, ".]"); i >= 0 && i < len(name)-1 {
		return name[i+1:]
	}
	return strings.TrimRight(strings.SplitN(name, "[", 2)[0], ".")
}
