package logs

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// How the columns of a source are found by its names: those of a mapping, else the
// well-known ones.

// jsonDepth is how many keys a name that is found by itself may have; known sources have
// five at most.
const jsonDepth = 8

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
	readW3CUser // a user name without the escapes of W3C logs
	readKept    // a field that rules read: as it is, or a part of a URI
)

// A field is one column of a plan.
type field struct {
	col  columnar.Col
	src  int // index of the source's name; -1: text
	text []byte
	// others are the indexes of further names, in order of preference, for records in
	// which src says nothing.
	others []int
	named  bool // it tells who somebody is: of nobody's words (see columnar.IsNobody) another name goes first
	date   int  // of a time: index of the name of its date; -1: none
	read   reading
	scale  float64      // readNumber: what one unit is in units of the column
	most   int64        // readNumber: greatestOf the column
	unit   string       // readTime: Column.Time
	name   string       // readKept: of the field
	part   scan.URIPart // readKept
	// Reasons to leave a cell empty, or to skip a record for its time; made once.
	bad, negative string
}

// A plan maps an object's names to the columns of a table.
// It does not change, so workers may share it.
type plan struct {
	table  *columnar.Table
	fields []field // the time first, then by src
	names  []string
	where  selection
	utc    bool // the name of the time says that it is in UTC
	// doubtful says that there are doubtfulBytes.
	doubtful bool
}

// A selection says which records are rows.
type selection struct {
	src    int    // index of the name that it is about; -1: all are
	equals []byte // what stands there; nil: anything that does not tell a response
	kind   string // what the others count as
}

// responseFlags are the names under which tables of DNS packets and messages say whether one
// is a query or a response. A response repeats the query, and comes from the server.
var responseFlags = []string{"qr", "dnsqr", "dnsflagsresponse", "isresponse"}

const response = "response"

// tellsResponse reports whether the text of a flag is that of a response.
func tellsResponse(text []byte) bool {
	switch strings.ToLower(string(text)) {
	case "1", "true", "r", "response", "reply":
		return true
	}
	return false
}

func (s *selection) holds(text []byte) bool {
	if s.equals == nil {
		return !tellsResponse(text)
	}
	return bytes.Equal(text, s.equals)
}

// wanted returns the fields that anyone reads.
func (p *plan) wanted(b *columnar.Builder) []field {
	return append(p.wantedColumns(b), p.kept(b.FieldNames())...)
}

// wantedColumns returns the columns that anyone reads.
func (p *plan) wantedColumns(b *columnar.Builder) (out []field) {
	for _, f := range p.fields {
		if f.col == columnar.Time || b.Wants(f.col) || f.read == readQuery && b.Wants(columnar.Domain) {
			out = append(out, f)
		}
	}
	return out
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
					f.src, f.others, f.part = u.src, u.others, part
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

// tellsMuch reports whether rows can be somebody's, or say how many bytes went: then they
// are worth a word even if they belong to nobody.
func (p *plan) tellsMuch() bool {
	return slices.ContainsFunc(p.fields, func(f field) bool {
		switch f.col {
		case columnar.User, columnar.SrcIP, columnar.Host, columnar.Query, columnar.BytesOut, columnar.BytesIn:
			return true
		}
		return false
	})
}

// resolve makes the plan for an object with these names. m may be nil. inside says that a
// wrapper may tell the times: then none of the names needs to.
func resolve(m *Mapping, names []string, inside bool) (*plan, error) {
	if len(names) > anyFields {
		return nil, fmt.Errorf("more than %d columns", anyFields)
	}
	if m == nil {
		m = &Mapping{}
	}
	r := newResolver(m, names)
	p := &plan{names: names, where: selection{src: -1}}
	if m.Where.Name != "" {
		i, ok := r.named(m.Where.Name)
		if !ok {
			return nil, fmt.Errorf("mapping.where: no column %q: has %s", m.Where.Name, list(names))
		}
		p.where = selection{i, []byte(m.Where.Equals), leftOut}
		r.taken[i] = true
	}
	for c := range columnar.NumCols {
		s := m.Columns[c]
		if wanted := s.names(); len(wanted) > 0 && len(r.sources(c)) == 0 {
			return nil, fmt.Errorf("mapping.columns.%s: no column %s: has %s", c, strings.ReplaceAll(list(wanted), ", ", " or "), list(names))
		}
		if s.Date != "" {
			i, ok := r.named(s.Date)
			if !ok {
				return nil, fmt.Errorf("mapping.columns.%s.date: no column %q: has %s", c, s.Date, list(names))
			}
			r.taken[i] = true
		}
		for _, i := range r.sources(c) {
			r.taken[i] = r.taken[i] || m.names(c)
		}
	}
	if p.table = m.Table; p.table == nil {
		var has columnar.Cols
		for c := range columnar.NumCols {
			if len(r.sources(c)) > 0 {
				has |= columnar.ColSet(c)
			}
		}
		p.table = tableOf(has, r.hasURL())
	}
	if err := m.check(p.table); err != nil {
		return nil, err
	}
	if found := r.found(columnar.Query, responseFlags); p.table == columnar.DNS && p.where.src < 0 && !m.Only && len(found) > 0 {
		p.where = selection{found[0], nil, response}
	}
	timeless := len(r.sources(columnar.Time)) == 0
	if timeless && !inside {
		return nil, fmt.Errorf("no column for time: has %s; name it in mapping.columns.time", list(names))
	}
	for _, c := range p.table.Cols {
		sources := r.sources(c)
		if len(sources) == 0 {
			continue
		}
		f := r.field(p, c, sources)
		if s, ok := m.Columns[c]; ok {
			if err := f.as(s); err != nil {
				return nil, fmt.Errorf("mapping.columns.%s: %w", c, err)
			}
		}
		if c == columnar.Time {
			r.setDate(&f)
		}
		p.fields = append(p.fields, f)
	}
	if timeless {
		p.fields = append(p.fields, newField(columnar.Time, -1))
	}
	if p.table == columnar.HTTP {
		r.hostOfServer(p)
	}
	r.bytesSent(p)
	p.sort()
	return p, nil
}

// sort puts the fields into their order.
func (p *plan) sort() {
	slices.SortStableFunc(p.fields, func(a, b field) int {
		if a.col == columnar.Time || b.col == columnar.Time {
			return cmp.Compare(a.col, b.col)
		}
		return cmp.Compare(a.src, b.src)
	})
}

// names reports whether the mapping says where a column stands, if only that it is
// constant.
func (m *Mapping) names(c columnar.Col) bool {
	_, ok := m.Columns[c]
	return ok
}

// check reports a column that cannot be mapped to the table; nil is any table.
func (m *Mapping) check(t *columnar.Table) error {
	for c := range columnar.NumCols {
		switch {
		case !m.names(c):
		case c == columnar.Domain:
			return errors.New("mapping.columns.domain: domain is derived from query; name that instead")
		case t != nil && !t.Set().Has(c):
			return fmt.Errorf("mapping.columns.%s: table %s has no such column; set mapping.table", c, t.Name)
		}
	}
	return nil
}

type resolver struct {
	m     *Mapping
	names []string
	known map[string][]int // squashed name → indexes
	// measured is known of names that say a unit, without it; units are these by index.
	measured map[string][]int
	units    map[int]string
	taken    map[int]bool // named in the mapping: not to be guessed with
}

func newResolver(m *Mapping, names []string) *resolver {
	r := &resolver{m: m, names: names, known: make(map[string][]int, len(names)), measured: map[string][]int{}, units: map[int]string{}, taken: make(map[int]bool)}
	for i, name := range names {
		if s := squash(withoutZone(name)); s != "" {
			r.known[s] = append(r.known[s], i)
		}
		if bare, unit := measured(name); unit != "" {
			r.units[i] = unit
			r.measured[squash(bare)] = append(r.measured[squash(bare)], i)
		}
	}
	for _, indexes := range []map[string][]int{r.known, r.measured} {
		for _, same := range indexes { // no matter in what order they stand
			slices.SortStableFunc(same, func(a, b int) int { return cmp.Compare(names[a], names[b]) })
		}
	}
	return r
}

// found returns the indexes of the names of a column that are, squashed, one of those that are
// known; also where a unit that the column may have stands behind it.
func (r *resolver) found(c columnar.Col, known []string) (indexes []int) {
	for _, name := range known {
		for _, i := range r.known[name] {
			if !r.taken[i] && !slices.Contains(indexes, i) {
				indexes = append(indexes, i)
			}
		}
		for _, i := range r.measured[name] {
			_, ofBytes := units[r.units[i]]
			if !r.taken[i] && !slices.Contains(indexes, i) && (ofBytes && (c == columnar.BytesOut || c == columnar.BytesIn) || !ofBytes && c == columnar.Time) {
				indexes = append(indexes, i)
			}
		}
	}
	return indexes
}

// unitWords are units as names of columns say them, in lower case.
var unitWords = map[string]string{
	"b": "B", "byte": "B", "bytes": "B", "octets": "B", "kb": "KB", "kbyte": "KB", "kbytes": "KB", "kilobytes": "KB", "mb": "MB", "mbyte": "MB", "mbytes": "MB",
	"megabytes": "MB", "gb": "GB", "gbytes": "GB", "gigabytes": "GB", "kib": "KiB", "mib": "MiB", "gib": "GiB", "utc": unitUTC, "gmt": unitUTC,
}

// unitUTC is the unit of times that are in UTC.
const unitUTC = "UTC"

// measured returns the name of a column without the unit at its end, and the unit: Bytes Out (KB),
// bytes_out_kb, Timestamp [UTC]. unit is "" if it has none.
func measured(name string) (bare, unit string) {
	name = strings.TrimRight(name, ")] ")
	at := strings.LastIndexAny(name, "([ _.-") + 1
	if unit = unitWords[strings.ToLower(name[at:])]; at < 2 || unit == "" {
		return "", ""
	}
	return name[:at], unit
}

// named finds a name that the mapping gives.
func (r *resolver) named(name string) (int, bool) {
	if i := slices.Index(r.names, name); i >= 0 {
		return i, true
	}
	i := slices.IndexFunc(r.names, func(s string) bool { return strings.EqualFold(s, name) })
	return i, i >= 0
}

// sources returns where the column's values stand, in order of preference; -1 is
// Column.Const.
func (r *resolver) sources(c columnar.Col) (sources []int) {
	if s, ok := r.m.Columns[c]; ok {
		names := s.names()
		if len(names) == 0 {
			return []int{-1}
		}
		for _, name := range names {
			if i, ok := r.named(name); ok && !slices.Contains(sources, i) {
				sources = append(sources, i)
			}
		}
		return sources
	}
	if r.m.Only {
		return nil
	}
	return r.found(c, wellKnown[c])
}

// setDate finds the date of a time that may be a time of day.
func (r *resolver) setDate(f *field) {
	if s := r.m.Columns[columnar.Time]; s.Date != "" {
		f.date, _ = r.named(s.Date)
		return
	}
	if r.m.names(columnar.Time) || r.m.Only {
		return
	}
	for _, name := range dateNames {
		for _, i := range r.known[name] {
			if !r.taken[i] && i != f.src && f.date < 0 {
				f.date = i
			}
		}
	}
}

// tableOf infers what kind of event has values in some columns. url says that one of
// them is a URL or the host of one.
func tableOf(has columnar.Cols, url bool) *columnar.Table {
	any := func(cols ...columnar.Col) bool { return has&columnar.ColSet(cols...) != 0 }
	web := any(columnar.Method) || url
	server := any(columnar.DstIP) && any(columnar.DstPort)
	switch {
	case any(columnar.Query) && !any(columnar.Method) && !(any(columnar.BytesOut, columnar.BytesIn) && (url || any(columnar.Operation))):
		// Of a request it is a part of the URL, and what a client asks a service for may
		// be called so too: their bytes must not go where no column holds them.
		return columnar.DNS
	case any(columnar.CmdLine, columnar.ParentPath):
		return columnar.Process
	case web:
		return columnar.HTTP
	case server && (any(columnar.Protocol) || !any(columnar.Service)),
		any(columnar.BytesOut, columnar.BytesIn) && any(columnar.DstIP, columnar.DstPort) && !any(columnar.Service):
		return columnar.Network
	}
	return columnar.API
}

// hasURL reports whether a name is one of url_host or a URL; that of a server
// alone (dst_host) is found in connections too.
func (r *resolver) hasURL() bool {
	if r.m.names(columnar.URLHost) {
		return true
	}
	servers := r.sources(columnar.DstHost)
	return slices.ContainsFunc(r.sources(columnar.URLHost), func(i int) bool { return !slices.Contains(servers, i) })
}

// hostOfServer turns host into url_host in requests that name no other: next to
// a method and a path it is the Host header, not the client's machine.
func (r *resolver) hostOfServer(p *plan) {
	if len(r.sources(columnar.URLHost)) > 0 || r.m.names(columnar.Host) {
		return
	}
	at := slices.IndexFunc(p.fields, func(f field) bool { return f.col == columnar.Host })
	if at < 0 {
		return
	}
	var servers, clients []int
	for _, i := range append([]int{p.fields[at].src}, p.fields[at].others...) {
		if slices.Contains(serverNames, squash(r.names[i])) {
			servers = append(servers, i)
		} else {
			clients = append(clients, i)
		}
	}
	p.fields = slices.Delete(p.fields, at, at+1)
	r.add(p, columnar.URLHost, servers)
	r.add(p, columnar.Host, clients)
}

// bytesSent finds the bytes of a connection under names that in other logs may be those of a
// server: between two addresses, what was sent is what the first one did. In other tables it notes that
// there are some.
func (r *resolver) bytesSent(p *plan) {
	if r.m.Only {
		return
	}
	flow := p.table == columnar.Network && len(r.sources(columnar.SrcIP)) > 0 && len(r.sources(columnar.DstIP)) > 0
	for _, of := range []sentBytes{bytesSent, bytesReceived} {
		if r.m.names(of.col) || len(r.sources(of.col)) > 0 || !p.table.Set().Has(of.col) {
			continue
		}
		found := r.found(of.col, of.names)
		if flow {
			r.add(p, of.col, found)
		} else {
			p.doubtful = p.doubtful || len(found) > 0
		}
	}
}

// add adds the field of a column to a plan, if it has sources.
func (r *resolver) add(p *plan, c columnar.Col, sources []int) {
	if len(sources) > 0 {
		p.fields = append(p.fields, r.field(p, c, sources))
	}
}

// field returns the field of a column with sources, in the unit of the first: those in another one
// cannot stand in for it.
func (r *resolver) field(p *plan, c columnar.Col, sources []int) field {
	f := newField(c, sources[0])
	f.others = sources[1:]
	if c == columnar.Time {
		p.utc = f.src >= 0 && r.units[f.src] == unitUTC
	}
	if !r.m.names(c) && (c == columnar.BytesOut || c == columnar.BytesIn) {
		f.scale = units[r.units[f.src]]
		f.others = slices.DeleteFunc(f.others, func(i int) bool { return units[r.units[i]] != f.scale })
	}
	return f
}

// serverNames are those names of host that mean the server in a request.
var serverNames = []string{"host", "hostname"}

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

// namingColumns tell who somebody is.
var namingColumns = columnar.ColSet(columnar.User, columnar.Host, columnar.SrcIP)

// lacks reports whether a text says nothing where f may stand elsewhere, too.
func (f *field) lacks(text []byte) bool {
	return scan.Unknown(text) || f.named && columnar.IsNobody(text)
}

func newField(c columnar.Col, src int) field {
	f := field{col: c, src: src, named: namingColumns.Has(c), date: -1, scale: 1, most: greatestOf(c), bad: "bad " + c.String() + ", left empty", negative: "negative " + c.String() + ", left empty"}
	switch c {
	case columnar.Time:
		f.read, f.bad = readTime, "bad time"
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
