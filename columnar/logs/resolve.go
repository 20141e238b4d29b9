package logs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// How the columns of a source are found by its names: those of a mapping, else the
// well-known ones.

// A reading is how the text of a source becomes the value of a column.
type reading uint8

const (
	readText   reading = iota
	readTime           // ISO 8601, epoch or layout
	readNumber         // × scale, not negative
	readHost           // host of a URL, or a host
	readPath           // path of a URL, or a path
	readQuery          // DNS name; gives domain too
	readQueryType
	readRcode
	readKept // a field that rules read: as it is, or a part of a URI
)

// A field is one column of a plan.
type field struct {
	col   columnar.Col
	src   int // index of the source's name; -1: text
	text  []byte
	read  reading
	scale float64      // readNumber: what one unit is in units of the column
	unit  string       // readTime: Source.Time
	name  string       // readKept: of the field
	part  scan.URIPart // readKept
	// joined says that the value reaches to the end of the source's next name, as a
	// date and the time of day behind it.
	joined bool
	// Reasons to skip a record, made once.
	bad, negative string
}

// A plan says which of an object's names become which columns of which table.
// It does not change, so workers may share it.
type plan struct {
	table  *columnar.Table
	tells  []int   // indexes of the names that told the table; none if the mapping did, or for api
	fields []field // by src
	names  []string
	where  int // index of the name that equals is about; -1: none
	equals []byte
}

// wanted returns the fields that anyone reads.
func (p *plan) wanted(b *columnar.Builder) []field {
	var out []field
	for _, f := range p.fields {
		if f.col == columnar.Time || b.Wants(f.col) || f.read == readQuery && b.Wants(columnar.Domain) {
			out = append(out, f)
		}
	}
	return append(out, p.kept(b.FieldNames())...)
}

// kept returns how fields that rules read are found: under their own name, however it
// is spelt; parts of a URI where that stands.
func (p *plan) kept(fields []string) (out []field) {
	if len(fields) == 0 {
		return nil
	}
	spelt := map[string]int{}
	for i, name := range slices.Backward(p.names) {
		spelt[keptName(name)] = i
	}
	for _, name := range fields {
		part, isPart := uriPartNamed(name)
		f := field{src: -1, read: readKept, name: name}
		if i, ok := spelt[keptName(name)]; ok {
			f.src = i
		}
		if f.src < 0 && isPart && p.table == columnar.HTTP {
			for _, u := range p.fields {
				if u.src >= 0 && (u.read == readPath || u.read == readHost && f.src < 0) {
					f.src, f.part = u.src, part
				}
			}
		}
		if f.src >= 0 {
			out = append(out, f)
		}
	}
	return out
}

// keptName is the form in which fields that rules read are compared with names.
func keptName(name string) string {
	name = squash(name)
	for _, prefix := range []string{"cs", "c", "http"} {
		switch rest := strings.TrimPrefix(name, prefix); rest {
		case "referer", "referrer":
			return "referrer"
		case "uri", "uriquery", "uriextension":
			return rest
		}
	}
	return name
}

// hasDeed reports whether rows say what was done, or how many bytes went.
func (p *plan) hasDeed() bool {
	return p.table != columnar.API || slices.ContainsFunc(p.fields, func(f field) bool {
		switch f.col {
		case columnar.Operation, columnar.BytesOut, columnar.BytesIn:
			return true
		}
		return false
	})
}

// hasEntity reports whether rows can be somebody's.
func (p *plan) hasEntity() bool {
	return slices.ContainsFunc(p.fields, func(f field) bool {
		switch f.col {
		case columnar.User, columnar.SrcIP, columnar.Host, columnar.Query:
			return true
		}
		return false
	})
}

// resolve makes the plan for an object with these names. m may be nil.
func resolve(m *Mapping, names []string) (*plan, error) {
	if m == nil {
		m = &Mapping{}
	}
	r := resolver{m: m, names: names, known: make(map[string]int, len(names)), taken: make(map[int]bool)}
	for i, name := range names {
		if s := squash(name); s != "" {
			if _, dup := r.known[s]; !dup {
				r.known[s] = i
			}
		}
	}
	p := &plan{names: names, where: -1}
	if m.Where.Name != "" {
		i, ok := r.named(m.Where.Name)
		if !ok {
			return nil, fmt.Errorf("mapping.where: no column %q: has %s", m.Where.Name, list(names))
		}
		p.where, p.equals = i, []byte(m.Where.Equals)
		r.taken[i] = true
	}
	for c := range columnar.NumCols {
		if s, ok := m.Columns[c]; ok && s.Name != "" {
			i, ok := r.named(s.Name)
			if !ok {
				return nil, fmt.Errorf("mapping.columns.%s: no column %q: has %s", c, s.Name, list(names))
			}
			r.taken[i] = true
		}
	}
	if p.table = m.Table; p.table == nil {
		var told []columnar.Col
		p.table, told = r.table()
		for _, c := range told {
			if i, ok := r.source(c); ok {
				p.tells = append(p.tells, i)
			}
		}
	}
	for c := range m.Columns {
		switch {
		case c == columnar.Domain:
			return nil, fmt.Errorf("mapping.columns.domain: domain is derived from query; name that instead")
		case !p.table.Set().Has(c):
			return nil, fmt.Errorf("mapping.columns.%s: table %s has no such column; set mapping.table", c, p.table.Name)
		}
	}
	if _, ok := r.source(columnar.Time); !ok {
		return nil, fmt.Errorf("no column for time: has %s; name it in mapping.columns.time", list(names))
	}
	for _, c := range p.table.Cols {
		i, ok := r.source(c)
		if !ok {
			continue
		}
		f := newField(c, i)
		if s, ok := m.Columns[c]; ok {
			if err := f.as(s); err != nil {
				return nil, fmt.Errorf("mapping.columns.%s: %w", c, err)
			}
		}
		p.fields = append(p.fields, f)
	}
	if p.table == columnar.HTTP {
		r.hostOfServer(p)
	}
	slices.SortStableFunc(p.fields, func(a, b field) int { return a.src - b.src })
	return p, nil
}

type resolver struct {
	m     *Mapping
	names []string
	known map[string]int // squashed name → index
	taken map[int]bool   // named in the mapping: not to be guessed with
}

// named finds a name that the mapping gives.
func (r *resolver) named(name string) (int, bool) {
	if i := slices.Index(r.names, name); i >= 0 {
		return i, true
	}
	i := slices.IndexFunc(r.names, func(s string) bool { return strings.EqualFold(s, name) })
	return i, i >= 0
}

// source returns where the column's values stand; -1 is Source.Const.
func (r *resolver) source(c columnar.Col) (int, bool) {
	if s, ok := r.m.Columns[c]; ok {
		if s.Name == "" {
			return -1, true
		}
		return r.named(s.Name)
	}
	if r.m.Only {
		return 0, false
	}
	for _, name := range wellKnown[c] {
		if i, ok := r.known[name]; ok && !r.taken[i] {
			return i, true
		}
	}
	return 0, false
}

// table infers what kind of event the names describe. A record with a value in
// none of the told columns is of another kind, where a log has several.
func (r *resolver) table() (t *columnar.Table, told []columnar.Col) {
	has := func(cols ...columnar.Col) bool {
		return slices.ContainsFunc(cols, func(c columnar.Col) bool { _, ok := r.source(c); return ok })
	}
	switch {
	case has(columnar.Query):
		return columnar.DNS, []columnar.Col{columnar.Query}
	case has(columnar.CmdLine, columnar.ParentPath):
		return columnar.Process, []columnar.Col{columnar.CmdLine, columnar.ParentPath}
	case (has(columnar.DstIP) && has(columnar.DstPort) || has(columnar.BytesOut, columnar.BytesIn) && has(columnar.DstIP, columnar.DstPort)) &&
		!has(columnar.Service, columnar.Method) && !r.hasURL():
		return columnar.Network, []columnar.Col{columnar.DstIP, columnar.DstPort}
	case has(columnar.Method) || r.hasURL():
		return columnar.HTTP, []columnar.Col{columnar.Method, columnar.URLHost}
	}
	return columnar.API, nil
}

// hasURL reports whether a name is one of url_host or a URL; that of a server
// alone (dst_host) is found in connections too.
func (r *resolver) hasURL() bool {
	if i, ok := r.source(columnar.URLHost); ok {
		j, ok := r.source(columnar.DstHost)
		return !ok || i != j
	}
	return false
}

// hostOfServer turns host into url_host in requests that name no other: next to
// a method and a path it is the Host header, not the client's machine.
func (r *resolver) hostOfServer(p *plan) {
	if _, ok := r.source(columnar.URLHost); ok {
		return
	}
	if _, ok := r.m.Columns[columnar.Host]; ok {
		return
	}
	for i := range p.fields {
		if f := &p.fields[i]; f.col == columnar.Host {
			if name := squash(r.names[f.src]); name == "host" || name == "hostname" {
				*f = newField(columnar.URLHost, f.src)
			}
		}
	}
}

// list quotes the names for an error. They come from the log.
func list(names []string) string {
	const most, longest = 24, 64
	if len(names) == 0 {
		return "no columns"
	}
	var b strings.Builder
	for i, name := range names {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(names)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		if len(name) > longest {
			name = name[:longest] + "…"
		}
		b.WriteString(strconv.Quote(name))
	}
	return b.String()
}

func newField(c columnar.Col, src int) field {
	f := field{col: c, src: src, scale: 1, bad: "bad " + c.String(), negative: "negative " + c.String()}
	switch c {
	case columnar.Time:
		f.read = readTime
	case columnar.URLHost:
		f.read = readHost
	case columnar.URLPath:
		f.read = readPath
	case columnar.Query:
		f.read = readQuery
	case columnar.QueryType:
		f.read = readQueryType
	case columnar.Rcode:
		f.read = readRcode
	default:
		if c.Kind() >= columnar.Int64 {
			f.read = readNumber
		}
	}
	return f
}
