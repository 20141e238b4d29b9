package logs

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"outflow/columnar"
	"outflow/columnar/bounded"
)

// Vendors as data: what a source file says. How it is compiled is in source_plan.go, how its
// logs are recognised in source_sniff.go, how records become
// rows in source_rows.go, how they are found in container.go.

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
// Where Embedded names a, a is a text that holds JSON, and a.b is in there; keyvalue, cef and
// leef refuse it. Where Each names a, a stands for one element of the array at a time. In csv
// and space, $1 is the first field, whatever it is called. In keyvalue, $0 is what stands
// before the first pair.
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
	// that it has. keyvalue may have two: a record is cut at the one that ends its first value.
	Separator string `yaml:"separator"`
	// Assign is what stands between a key and its value in keyvalue. "": =.
	Assign string `yaml:"assign"`
	// Patterns say how lines of words of keyvalue are written: the first that a line fits
	// counts. A line that fits none is pairs.
	Patterns []string `yaml:"patterns"`
	// Layouts are the columns of csv and space without a header: the first that fits a
	// record counts. None, in csv: the first line is a header.
	Layouts []Layout `yaml:"layouts"`
	// Sniff are the ways in which an object is recognised, in YAML one or a list.
	Sniff SniffList `yaml:"sniff"`
	// Server says that the log is one of a server of the company's own, whose clients may
	// be anybody: what they sent to it has not left. Bytes keep the clients' direction.
	Server bool `yaml:"server"`
	// Deltas says that the bytes of records with one uid add up. Otherwise they are totals so far.
	Deltas bool `yaml:"deltas"`
	// UTC says that times without a zone are UTC, whatever the input's zone is.
	UTC      bool     `yaml:"utc"`
	Embedded []string `yaml:"embedded"`
	RulesIn  RulesIn  `yaml:"rules_in"`
	// Each names an array in JSON whose elements become a record each: events, or
	// flows[].tuples for the arrays tuples in all elements of flows.
	Each string `yaml:"each"`
	// Tuple names the fields of elements that are texts with commas.
	Tuple []string `yaml:"tuple"`
	// Remember is what records say for later ones.
	Remember Remember `yaml:"remember"`
	// Syslog says that lines are read with their header of syslog, as Format.Syslog.
	Syslog bool `yaml:"syslog"`
	// General says that other sources are tried before it.
	General bool `yaml:"general"`
	// Columns are those of all rows, unless a row has its own.
	Columns map[string]Column `yaml:"columns"`
	// Rows say what records become: the first that fits counts. A record that none
	// fits is skipped.
	Rows []SourceRow `yaml:"rows"`
	// Remedies say, by column, how the log can be made to fill it.
	Remedies map[string]string `yaml:"remedies"`

	text    []byte
	outline bool // of an embedded source
	flat    bool // names are those of columns, which have no keys in them
}

// origin returns whose logs the source describes.
func (s *Source) origin() columnar.Origin {
	return columnar.Origin{Product: s.Product, Service: s.Service}
}

// RulesIn says where the fields stand that rules read, if not under the names that rules have for them:
// by what such a name begins with, what takes its place. "" stands before every name: an export has
// the record that rules are written for in one of its columns. In YAML a single name is that of "".
type RulesIn map[string]string

// UnmarshalYAML reads a map, or one name.
func (in *RulesIn) UnmarshalYAML(unmarshal func(any) error) error {
	var one string
	if unmarshal(&one) == nil {
		*in = RulesIn{"": one}
		return nil
	}
	return unmarshal((*map[string]string)(in))
}

// nameOf returns the name of a field that rules read. The longest beginning counts.
func (in RulesIn) nameOf(field string) string {
	for _, there := range in {
		if strings.HasPrefix(field, there+".") {
			return field
		}
	}
	for at := len(field); at > 0; at = strings.LastIndexByte(field[:at], '.') {
		if there, ok := in[field[:at]]; ok {
			return there + field[at:]
		}
	}
	if there, ok := in[""]; ok {
		return there + "." + field
	}
	return field
}

// Text returns the source file that the source was read from, nil if it was not.
func (s *Source) Text() []byte { return s.text }

// A Layout names the fields of records that have a given number of them.
type Layout struct {
	// Fields is how many a record has: "14", "22-24" or "24+". "": as many as Names.
	Fields string              `yaml:"fields"`
	Where  map[string]TextList `yaml:"where"` // and one of some texts that a field has, by $1, $2, …
	// Bracketed is the number of the first field that stands in brackets, in space. It tells
	// records with further fields before it. 0: any.
	Bracketed int `yaml:"bracketed"`
	// Request is the name of the field that is the line of a request, in quotes, in space. The
	// field before it may have spaces: it ends where the request begins. "": none.
	Request string   `yaml:"request"`
	Names   []string `yaml:"names"` // in order; "" or "-" for one that nobody reads

	least, most int
	request     int // the number of the field Request; 0: none
	where       []layoutCondition
}

type layoutCondition struct {
	field int
	texts TextList
}

// A Sniff says how an object is recognised. One record at least, of the first ones of an
// object, must have all that is said.
type Sniff struct {
	Keys   []string            `yaml:"keys"`   // names that it has, whatever they hold
	Values map[string]TextList `yaml:"values"` // names that hold one of some texts
	First  string              `yaml:"first"`  // a regular expression that its text matches
}

// A SniffList is a list of ways to recognise a log. One way must fit. In YAML a single Sniff
// is a list too.
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

func (l TextList) has(text []byte) bool {
	for _, s := range l {
		if string(text) == s {
			return true
		}
	}
	return false
}

// begin reports whether text begins with one of the texts.
func (l TextList) begin(text []byte) bool {
	for _, s := range l {
		if len(text) >= len(s) && string(text[:len(s)]) == s {
			return true
		}
	}
	return false
}

// end reports whether text ends with one of the texts.
func (l TextList) end(text []byte) bool {
	for _, s := range l {
		if len(text) >= len(s) && string(text[len(text)-len(s):]) == s {
			return true
		}
	}
	return false
}

// within reports whether one of the texts is in text.
func (l TextList) within(text []byte) bool {
	for _, s := range l {
		if bytes.Contains(text, []byte(s)) {
			return true
		}
	}
	return false
}

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
	// Where are conditions by name. All must hold.
	Where   map[string]Condition `yaml:"where"`
	Columns map[string]Column    `yaml:"columns"`
	// Swap says when a record of a flow was written from the server's point of view.
	Swap *Swap `yaml:"swap"`
	// Lacks are columns that these records cannot say. They tell the reader of the file; what
	// is blind is told by the rows that were read.
	Lacks []string `yaml:"lacks"`
}

// A Condition is what a text must be: one of Is, if there are any, and begin with one
// of Prefix, end with one of Suffix and have one of Contains in it, if there are any, and
// none of Not; or be there or not, if Present says so; or be an internal address, or another
// text, if Internal says so; or a number around another. In YAML a text or a list is Is.
type Condition struct {
	Is       TextList `yaml:"is"`
	Prefix   TextList `yaml:"prefix"`
	Suffix   TextList `yaml:"suffix"`
	Contains TextList `yaml:"contains"`
	Not      TextList `yaml:"not"`
	Present  *bool    `yaml:"present"`
	// Internal does not hold where nothing is said.
	Internal *bool `yaml:"internal"`
	// Around names another number: the text is a number, and that number with up to maxAround more, as
	// the bytes of a message are those of its body with its header.
	Around string `yaml:"around"`
}

// maxAround is how long the header of a message may be: servers take no longer ones.
const maxAround = 64 << 10

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
	Outside bool                 `yaml:"outside"` // where src_ip is no internal address, and dst_ip is one; or src_ip is a file server inside
	Columns map[string]Column    `yaml:"columns"`
}

// sourceLimits are the limits of a source file: the largest of ours has a twentieth of the
// bytes, and a third of the depth.
var sourceLimits = bounded.Limits{Bytes: 64 << 10, Depth: 16, Values: 1 << 14, Plain: true}

// ParseSource reads a source file and returns it as a format. The error says where and
// what is wrong.
func ParseSource(text []byte) (*Format, error) {
	return formatOf(parseSource(text, sourceLimits.Parse))
}

func formatOf(s *Source, err error) (*Format, error) {
	if err != nil {
		return nil, err
	}
	return s.Format()
}

func parseSource(text []byte, parse func([]byte) (*ast.File, error)) (*Source, error) {
	file, err := parse(text)
	if err != nil {
		return nil, errors.New(yaml.FormatError(err, false, true))
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, errors.New("want one YAML document")
	}
	s := &Source{text: text}
	if err := yaml.NodeToValue(file.Docs[0].Body, s, yaml.Strict()); err != nil {
		return nil, errors.New(yaml.FormatError(err, false, true))
	}
	return s, nil
}

// Format compiles the source.
func (s *Source) Format() (*Format, error) {
	p := &sourcePlan{source: s, byName: map[string]int{}}
	if err := p.compile(); err != nil {
		return nil, err
	}
	f := &Format{
		Name: s.Name, Title: s.Title, Doc: strings.TrimSpace(s.Doc),
		Tables: p.tables(), Lacks: p.lacks(), Vendor: s, Server: s.Server, Deltas: s.Deltas, Outer: true, Syslog: s.Syslog,
		Quoted: p.container.quoted, Header: p.header(),
		New: func(o *Options) (Decoder, error) { return p.decoder(o) },
	}
	if recalled := s.recalled(); recalled != nil {
		f.Header = recalled
	}
	if s.Product != "" || s.Service != "" {
		f.Origins = []columnar.Origin{s.origin()}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Remedies)) {
		c, ok := columnar.ColNamed(name)
		if !ok {
			return nil, fmt.Errorf("remedies: unknown column %q", name)
		}
		f.Remedies = append(f.Remedies, Remedy{Columns: columnar.ColSet(c), Text: s.Remedies[name]})
	}
	if err := s.recognise(f); err != nil {
		return nil, err
	}
	if s.isTable() {
		var err error
		f.Objects, err = s.asObjects().Format()
		return f, err
	}
	return f, nil
}

// isTable reports whether records have the names that a header says.
func (s *Source) isTable() bool { return s.Container == csvContainer.name && len(s.Layouts) == 0 }

// asObjects returns the source of the same records as objects of JSON.
func (s *Source) asObjects() *Source {
	objects := *s
	objects.Container, objects.Separator, objects.flat = jsonContainer.name, "", true
	return &objects
}

// recognise gives f what recognises the source's logs. The layouts are compiled.
func (s *Source) recognise(f *Format) (err error) {
	if f.Sniff, err = s.sniffer(); err == nil && s.Container == jsonContainer.name && s.Each == "" {
		f.Leaves = s.leaves
	}
	return err
}

// ofText reports whether the format is a source of lines of text: what is around them may
// be taken for a part of their first field.
func (f *Format) ofText() bool { return f.Vendor != nil && f.Vendor.Container != jsonContainer.name }

// mayWrap reports whether the records of the format may be wrappers of another's: it reads
// records of any names, or JSON of any vendor.
func (f *Format) mayWrap() bool {
	return f.Generic || f.Vendor != nil && f.Vendor.General && !f.ofText()
}
