package logs

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// JSONLines decodes JSON objects with any keys, one a line.
var JSONLines = &Format{
	Name:  "jsonl",
	Title: "JSON lines with any keys",
	Doc: `Reads any JSON objects that have a time. Keys become columns by a mapping, or
by well-known names (timestamp, user.name, sourceIPAddress, bytes_out, …), as for
csv. A nested value is named by the path of its keys with dots: user.email is the
email in the object user; a key that holds the dots itself (id.orig_h) goes first.
Arrays have no name; one of the client's addresses gives the first, as each proxy adds
the one that it sees behind it. Each record is read for itself: keys may come in any order
and turn up anywhere; where several hold one column, such as user.name and email,
the first in order of preference that says something counts. So does the table, if
the mapping names none: one log may have logins, requests and DNS queries.

Where an event is wrapped, {"event": {…}}, and the inner object says when or who,
its keys are read as if they were not; the time of the wrapper counts if it has none.
What counts bytes itself, or says who and holds an event without bytes, is no wrapper.
Other wrappings need a mapping with paths; JSON inside a string is not looked into.
A record is skipped if it has no time that can be read, or if it says neither who
acted, what was done, nor how many bytes went: it needs a mapping then. Any other
value that cannot be read is left out of its row, and counted. Objects under equal
keys are merged. Numbers may stand in strings.`,
	Tables:   columnar.Tables[:],
	Outer:    true,
	Generic:  true,
	Remedies: mappingRemedies,
	Sniff: func(head []byte) bool {
		line, rest := scan.CutLine(bytes.TrimLeft(head, " \t\r\n"))
		if len(line) < 2 || line[0] != '{' {
			return false
		}
		var w scan.Walker
		members := 0
		for w.Open(line); w.Next(); members++ {
		}
		return w.Done() || members > 0 && len(rest) == 0
	},
	New: newJSONLines,
}

type jsonLines struct {
	mapping *Mapping // never nil
	// A record, and the event that it may wrap, each with a shape of its own.
	record, event jsonRecord
	cols          columnar.Cols // those that anyone reads, and jsonTells
	constant      columnar.Cols // those that the mapping says the same of for every record
	kept          []string      // fields that rules read: field jsonKept+i
	further       []jsonRecord  // the record again, for fields from jsonFields on
	tables        [columnar.NumTables]jsonTable
	lastHas       uint64 // what the last record had, and its table; all at first
	lastTable     *columnar.Table
	noTime        string // reasons to skip a record, besides malformedJSON and bad times
	nothing       string
	set           setter
	answers       answerList
}

// A jsonRecord is an object as its shape has read it.
type jsonRecord struct {
	shape   *scan.Shape
	values  [jsonFields]scan.Value
	has     uint64
	scratch []byte
}

// A jsonTable is what becomes of the records of one table.
type jsonTable struct {
	builder *columnar.Builder // that fields are for; nil: none yet
	fields  []field           // src is the field of the shape; -1: text
	reads   uint64            // the columns that are read by name, of jsonRecord.has
	always  []field           // those that rules read of all records
	kept    []field           // and of the calls asked for
	asked   askedCalls
}

// jsonFields is how many fields a shape can have.
const jsonFields = 64

// The fields of a record: first the columns by their numbers, then these.
const (
	jsonServer = int(columnar.NumCols) + iota // a host that is the server in a request, see resolver.hostOfServer
	jsonClient                                // one that is the client's machine
	jsonDate                                  // the date of a time that is a time of day
	jsonWhere
	jsonSent     // bytes of bytesSent and bytesReceived
	jsonReceived //
	jsonEvent    // the object that a wrapper holds
	jsonKept     // and all behind it: fields that rules read
)

// jsonTells are the columns that tell the table of a record, or that it is a row.
const jsonTells = 1<<columnar.Time | 1<<columnar.User | 1<<columnar.SrcIP | 1<<columnar.Host | 1<<columnar.Service | 1<<columnar.Operation |
	1<<columnar.BytesOut | 1<<columnar.BytesIn | 1<<columnar.Method | 1<<columnar.URLHost | 1<<columnar.DstIP | 1<<columnar.Query |
	1<<columnar.DstHost | 1<<columnar.DstPort | 1<<columnar.Protocol | 1<<columnar.CmdLine | 1<<columnar.ParentPath

// eventKey is the key of wrapped events.
const eventKey = "event"

func newJSONLines(o *Options) (Decoder, error) {
	d := &jsonLines{mapping: o.Mapping, lastHas: ^uint64(0), set: setter{clock: o.clock()}}
	if d.mapping == nil {
		d.mapping = &Mapping{}
	}
	if d.cols = o.Want | jsonTells; o.Want == 0 {
		d.cols = ^columnar.Cols(0)
	}
	if err := d.mapping.check(d.mapping.Table); err != nil {
		return nil, err
	}
	for c := range columnar.NumCols {
		s, ok := d.mapping.Columns[c]
		if !ok {
			continue
		}
		f := newField(c, -1)
		if err := f.as(s); err != nil {
			return nil, fmt.Errorf("mapping.columns.%s: %w", c, err)
		}
		if len(s.names()) == 0 {
			d.constant |= columnar.ColSet(c)
		}
	}
	for _, t := range columnar.Tables {
		if d.mapping.Table == nil && t != columnar.Event || d.mapping.Table == t {
			wanted := o.WantFields[t.ID]
			for _, name := range append(wanted.Always().Names(), wanted.Names()...) { // the first are read of more records
				if !slices.Contains(d.kept, name) {
					d.kept = append(d.kept, name)
				}
			}
		}
	}
	for i := jsonKept + len(d.kept); i > jsonFields; i -= jsonFields {
		d.further = append(d.further, jsonRecord{})
	}
	meanings := d.meanings()
	for i := range d.further {
		d.further[i].shape = scan.NewPlaces(meanings.names((i+1)*jsonFields), func([]byte) int { return -1 })
	}
	names := meanings.names(0)
	d.record.shape = scan.NewPlaces(names, func(key []byte) int {
		if string(key) == eventKey {
			return jsonEvent
		}
		return -1
	})
	d.event.shape = scan.NewPlaces(names, func([]byte) int { return -1 })
	d.explain(o.Head)
	return d, nil
}

// explain words the reasons to skip a record. If the first record of the object lacks what
// they are about, they say what it has instead: few logs have it later then.
func (d *jsonLines) explain(head []byte) {
	d.noTime, d.nothing = withoutTime, "no user, operation or bytes under a known name: name them in a source file (outflow sources new)"
	line, _ := scan.CutLine(bytes.TrimLeft(head, " \t\r\n"))
	r := &d.record
	if !r.read(line) {
		return
	}
	if r.has>>jsonEvent&1 != 0 && r.values[jsonEvent].Is('{') && d.unwraps() {
		r = &d.event
	}
	has := func() string { return list(jsonNamesOf(nil, line, "", 1)) }
	switch {
	case (r.has|d.record.has)>>columnar.Time&1 == 0:
		d.noTime = "no time under a known name: has " + has() + "; name it in mapping.columns.time"
	case d.tableOf(r) == nil:
		d.nothing = "no user, operation or bytes under a known name: has " + has() + "; name them in a source file (outflow sources new)"
	}
}

// jsonNamesOf appends the names in an object.
func jsonNamesOf(names []string, object []byte, prefix string, depth int) []string {
	var w scan.Walker
	for w.Open(object); w.InObject() && w.Next(); {
		switch name := prefix + string(w.Key); {
		case w.Val.Is('{') && depth < jsonDepth:
			names = jsonNamesOf(names, w.Val, name+".", depth+1)
		case !w.Val.Is('{') && !w.Val.Is('['):
			names = append(names, name)
		}
	}
	return names
}

// names returns what names mean for a shape that has the fields from first on.
func (n *jsonNames) names(first int) *scan.Places {
	return &scan.Places{
		Of: func(name string, depth int) (places []scan.Place) {
			for _, p := range n.places(name, depth) {
				if p.Field -= first; p.Field >= 0 && p.Field < jsonFields {
					places = append(places, p)
				}
			}
			return places
		},
		Leads: n.leads,
	}
}

// jsonNames says what the names in records mean. Records can have new names without end, so
// a name is looked up, and not compared with all those that are known.
type jsonNames struct {
	mapped  []jsonMapped
	only    bool                             // Mapping.Only
	known   map[string][]scan.Place          // by well-known names, as squash has them
	kept    map[string][]scan.Place          // fields that rules read, by keptName
	leading struct{ mapped, known []string } // names in lower case, and as squash has them; sorted
}

// A jsonMapped is a field that the mapping names.
type jsonMapped struct {
	field  int
	any    bool
	names  []string               // in order of preference
	nobody func(text []byte) bool // scan.Place.Nobody
}

// meanings returns the names of the columns that the mapping finds, of the well-known
// others, and of the fields that rules read.
func (d *jsonLines) meanings() *jsonNames {
	m := d.mapping
	n := &jsonNames{only: m.Only, known: map[string][]scan.Place{}, kept: make(map[string][]scan.Place, len(d.kept))}
	nobody := func(field int) func(text []byte) bool {
		if field < int(columnar.NumCols) && namingColumns.Has(columnar.Col(field)) {
			return columnar.IsNobody
		}
		return nil
	}
	by := func(field int, any bool, names ...string) {
		if len(names) > 0 {
			n.mapped = append(n.mapped, jsonMapped{field, any, names, nobody(field)})
		}
		for _, name := range names {
			n.leading.mapped = append(n.leading.mapped, strings.ToLower(name))
		}
	}
	for c := range columnar.NumCols {
		by(int(c), false, m.Columns[c].names()...)
		n.leading.known = append(n.leading.known, wellKnown[c]...)
		if !d.cols.Has(c) || m.names(c) {
			continue
		}
		for i, name := range wellKnown[c] {
			n.known[name] = append(n.known[name], scan.Place{Field: int(c), Rank: i, Any: c == columnar.Answers, List: c == columnar.SrcIP, Nobody: nobody(int(c))})
			if c == columnar.Host {
				field := jsonClient
				if slices.Contains(serverNames, name) && !m.names(columnar.URLHost) {
					field = jsonServer
				}
				n.known[name] = append(n.known[name], scan.Place{Field: field, Rank: i})
			}
		}
	}
	for i, of := range []sentBytes{bytesSent, bytesReceived} {
		field := jsonSent + i
		n.leading.known = append(n.leading.known, of.names...)
		if !d.cols.Has(of.col) || m.names(of.col) {
			continue
		}
		for rank, name := range of.names {
			n.known[name] = append(n.known[name], scan.Place{Field: field, Rank: rank})
		}
	}
	by(jsonDate, false, m.Columns[columnar.Time].Date)
	if by(jsonWhere, true, m.Where.Name); m.Where.Name == "" {
		for rank, name := range responseFlags {
			n.known[name] = append(n.known[name], scan.Place{Field: jsonWhere, Rank: rank, Any: true})
		}
		n.leading.known = append(n.leading.known, responseFlags...)
	}
	n.leading.known = append(n.leading.known, dateNames...)
	if !m.names(columnar.Time) {
		for i, name := range dateNames {
			n.known[name] = append(n.known[name], scan.Place{Field: jsonDate, Rank: i})
		}
	}
	for i, field := range d.kept {
		name := keptName(field)
		n.kept[name] = append(n.kept[name], scan.Place{Field: jsonKept + i})
		n.leading.known = append(n.leading.known, squash(field))
	}
	slices.Sort(n.leading.mapped)
	slices.Sort(n.leading.known)
	return n
}

// places returns what a name can be: a column that the mapping finds under it, else by
// well-known names; a field that rules read.
func (n *jsonNames) places(name string, depth int) (places []scan.Place) {
	for _, m := range n.mapped {
		for i, s := range m.names {
			if strings.EqualFold(s, name) { // exact letters go first
				rank := 2 * i
				if s != name {
					rank++
				}
				places = append(places, scan.Place{Field: m.field, Rank: rank, Any: m.any, Nobody: m.nobody})
				break
			}
		}
	}
	if depth <= jsonDepth {
		field := untyped(name)
		if places == nil && !n.only {
			places = append(places, n.known[squash(field)]...)
		}
		if of, ok := strings.CutSuffix(field, ".seconds"); ok && places == nil && !n.only { // and nanos, of protocol buffers
			for _, p := range n.known[squash(of)] {
				if p.Field == int(columnar.Time) {
					places = append(places, p)
				}
			}
		}
		places = append(places, n.kept[keptName(name)]...)
	}
	return places
}

// leads reports whether longer names can be something.
func (n *jsonNames) leads(name string, depth int) bool {
	return begun(n.leading.mapped, strings.ToLower(name)+".") || depth < jsonDepth && begun(n.leading.known, squash(untyped(name)))
}

// untyped returns the name of the field whose value stands under a name, as MongoDB exports it:
// {"$date":{"$numberLong":"1795165200000"}}.
func untyped(name string) string {
	for {
		at := strings.LastIndex(name, ".$")
		if at <= 0 || name[at+2:] != "date" && !strings.HasPrefix(name[at+2:], "number") {
			return name
		}
		name = name[:at]
	}
}

// begun reports whether one of the sorted names has the prefix.
func begun(names []string, prefix string) bool {
	i, _ := slices.BinarySearch(names, prefix)
	return i < len(names) && strings.HasPrefix(names[i], prefix)
}

func (d *jsonLines) Decode(b *Block, out *columnar.Out, t *Tally) error {
	record := b.First
	d.set.outer = b.outer()
	for data := b.Data; len(data) > 0; record++ {
		var line []byte
		line, data = scan.CutLine(data)
		d.line(line, record, out, t)
	}
	return nil
}

// line decodes a record.
func (d *jsonLines) line(line []byte, record int64, out *columnar.Out, t *Tally) {
	if scan.Blank(line) {
		return
	}
	r := &d.record
	if !r.read(line) {
		t.Skip(record, notObject(line))
		return
	}
	line = r.shape.Object()
	if r.has>>jsonEvent&1 != 0 && r.values[jsonEvent].Is('{') && d.unwraps() {
		r, line = &d.event, r.values[jsonEvent]
	}
	if m := d.mapping; m.Where.Name != "" && string(r.text(jsonWhere)) != m.Where.Equals {
		t.Known(leftOut)
		return
	}
	table := d.tableOf(r)
	if table == nil {
		reason := d.nothing
		if (r.has|d.record.has)>>columnar.Time&1 == 0 {
			reason = d.noTime
		}
		t.Skip(record, reason)
		return
	}
	if table == columnar.DNS && d.mapping.Where.Name == "" && r.has>>jsonWhere&1 != 0 && tellsResponse(r.text(jsonWhere)) {
		t.Known(response)
		return
	}
	b := out.Table(table)
	to := &d.tables[table.ID]
	if to.builder != b {
		d.open(to, b, table)
	}
	served := table == columnar.HTTP && r.has>>columnar.URLHost&1 == 0 && r.has>>jsonServer&1 != 0
	flow := false
	if r.has&(1<<jsonSent|1<<jsonReceived) != 0 {
		if flow = table == columnar.Network && r.has>>columnar.SrcIP&r.has>>columnar.DstIP&1 != 0; !flow && r.has>>columnar.BytesOut&1 == 0 && table.Set().Has(columnar.BytesOut) {
			t.Clear(record, doubtfulBytes)
		}
	}
	moved := served || flow
	for i := range to.fields {
		f := &to.fields[i]
		text, src := f.text, f.src
		if moved {
			src = r.moved(f, served)
		}
		if src >= 0 {
			if r.has>>src&1 == 0 && f.read != readTime {
				continue
			}
			text = r.text(src)
		}
		switch f.read {
		case readText:
			if f.col == columnar.Answers && src >= 0 {
				switch v := r.shape.Value(src); {
				case v.Is('['):
					text = d.answers.of(v)
				case v.Is('{'):
					t.Clear(record, "object as answers, left out")
				}
			}
			b.SetText(f.col, text)
		case readTime:
			us, ok := d.set.clock.UTC(text)
			if !ok || f.unit != "" {
				var reason string
				if us, reason = d.time(r, f, text, record); reason != "" {
					if reason == withoutTime {
						reason = d.noTime
					}
					b.Drop()
					t.Skip(record, reason)
					return
				}
			}
			b.SetTime(us)
		default:
			if f.scale == 1 && f.read == readNumber { // most numbers
				if v, ok := scan.Int(text); ok && 0 <= v && v <= f.most {
					b.SetInt(f.col, v)
					continue
				}
			}
			if reason := d.set.set(b, f, text); reason != "" {
				t.Unread(record, f.col, text, reason)
			}
		}
	}
	if len(r.shape.Misfits()) > 0 {
		r.misfits(to.reads, record, t)
	}
	d.keep(to.always, r, line, b, served)
	if len(to.kept) > 0 && to.asked.has(r.text(int(columnar.Operation))) {
		d.keep(to.kept, r, line, b, served)
	}
	b.Next(record)
	t.Row()
}

// misfits counts the columns that names of the record would give, were their values texts
// or numbers, or stood once.
func (r *jsonRecord) misfits(reads uint64, record int64, t *Tally) {
	for _, m := range r.shape.Misfits() {
		for set := m.Fields & reads; set != 0; set &= set - 1 {
			switch c := columnar.Col(bits.TrailingZeros64(set)); {
			case m.Twice:
				t.Clear(record, "key for "+c.String()+" stands twice: the last counts")
			case r.has&set&-set == 0:
				t.Unread(record, c, nil, "list or object as "+c.String()+", left out")
			}
		}
	}
}

// keep sets the fields that rules read of a record.
func (d *jsonLines) keep(fields []field, r *jsonRecord, line []byte, b *columnar.Builder, served bool) {
	read := 0 // of further
	for i := range fields {
		f := &fields[i]
		src := f.src
		if served {
			src = f.served()
		}
		of := r
		if src >= jsonFields {
			for ; read < src/jsonFields; read++ {
				d.further[read].read(line)
			}
			of, src = &d.further[src/jsonFields-1], src%jsonFields
		}
		if of.has>>src&1 != 0 {
			d.set.set(b, f, of.text(src))
		}
	}
}

// served returns where a column stands in a request that names no server but as host.
func (f *field) served() int {
	switch f.src {
	case int(columnar.URLHost):
		return jsonServer
	case int(columnar.Host):
		return jsonClient
	}
	return f.src
}

// moved returns where a column stands in a request that names no server but as host, or in a connection whose
// bytes are named as those of the first address.
//
//go:noinline
func (r *jsonRecord) moved(f *field, served bool) int {
	if served {
		return f.served()
	}
	return r.ofFlow(f)
}

// ofFlow returns where a column stands in a connection whose bytes are named as those of the first address.
func (r *jsonRecord) ofFlow(f *field) int {
	switch {
	case f.src < 0 || r.has>>f.src&1 != 0:
	case f.src == int(columnar.BytesOut):
		return jsonSent
	case f.src == int(columnar.BytesIn):
		return jsonReceived
	}
	return f.src
}

// time reads the time of a record: its own, else that of the record that wraps it.
func (d *jsonLines) time(r *jsonRecord, f *field, text []byte, record int64) (us int64, reason string) {
	us, reason = d.set.timeOf(f, text, r.text(jsonDate))
	if reason == withoutTime && r == &d.event {
		us, reason = d.set.timeOf(f, d.record.text(f.src), d.record.text(jsonDate))
	}
	return d.set.orOuter(record, us, reason)
}

// unwraps reads the event that a record holds, and reports whether it is the record that
// counts: if it says when or who, unless the mapping finds a time outside of it. A record
// that counts bytes or names an entity is not a wrapper, unless only the event counts
// bytes: what an application notes as the event may be its client's own words.
func (d *jsonLines) unwraps() bool {
	const bytes = 1<<columnar.BytesOut | 1<<columnar.BytesIn
	has := columnar.Cols(d.record.has)
	if has&bytes != 0 || d.mapping.names(columnar.Time) && has.Has(columnar.Time) || !d.event.read(d.record.values[jsonEvent]) {
		return false
	}
	event := columnar.Cols(d.event.has)
	if has.Has(columnar.User) && event&bytes == 0 {
		return false
	}
	return event&columnar.ColSet(columnar.Time, columnar.User, columnar.SrcIP, columnar.Query) != 0
}

// tableOf returns the table of a record; nil if too little is known of it to be a row.
func (d *jsonLines) tableOf(r *jsonRecord) *columnar.Table {
	if d.mapping.Table != nil {
		return d.mapping.Table
	}
	has := columnar.Cols(r.has)&(1<<columnar.NumCols-1) | d.constant
	both := has.Has(columnar.URLHost) && has.Has(columnar.DstHost) // perhaps from one name
	if r.has == d.lastHas && !both {
		return d.lastTable
	}
	d.lastHas, d.lastTable = r.has, d.inferred(has, has.Has(columnar.URLHost) && !(both && r.same(columnar.URLHost, columnar.DstHost)))
	return d.lastTable
}

// inferred returns the table of records that have some columns, as tableOf.
func (d *jsonLines) inferred(has columnar.Cols, url bool) *columnar.Table {
	table := tableOf(has, url)
	if table == columnar.API && d.mapping.Columns == nil && has&columnar.ColSet(columnar.User, columnar.Operation, columnar.BytesOut, columnar.BytesIn) == 0 {
		return nil
	}
	return table
}

// open makes the fields of a table.
func (d *jsonLines) open(to *jsonTable, b *columnar.Builder, t *columnar.Table) {
	p := plan{table: t}
	for _, c := range t.Cols {
		f := newField(c, int(c))
		if s, ok := d.mapping.Columns[c]; ok {
			f.as(s) // newJSONLines has tried
			if len(s.names()) == 0 {
				f.src = -1
			}
		}
		p.fields = append(p.fields, f)
	}
	to.builder, to.fields, to.always, to.kept, to.reads = b, p.wantedColumns(b), nil, nil, 0
	fields := b.WantedFields()
	to.asked = newAskedCalls(fields)
	always := fields.Always().Names()
	for _, f := range to.fields {
		if f.src >= 0 {
			to.reads |= 1 << f.src
		}
	}
	// Parts of a URI stand first: a key of the field's own name overrides them.
	for _, name := range fields.Names() {
		of := &to.kept
		if d.constant.Has(columnar.Operation) || slices.Contains(always, name) {
			of = &to.always
		}
		if part, ok := uriPartNamed(name); ok && t == columnar.HTTP {
			for _, c := range []columnar.Col{columnar.URLHost, columnar.URLPath} {
				*of = append(*of, field{src: int(c), read: readKept, name: name, part: part})
			}
		}
		if i := slices.Index(d.kept, name); i >= 0 {
			*of = append(*of, field{src: jsonKept + i, read: readKept, name: name})
		}
	}
}

// read reads an object and reports whether it is sound.
func (r *jsonRecord) read(object []byte) (ok bool) {
	r.scratch = r.scratch[:0]
	r.has, _, ok = r.shape.Read(object, r.values[:])
	return ok
}

// text returns the text of a field; nil if the record has none.
func (r *jsonRecord) text(field int) []byte {
	return r.shape.Text(field, &r.scratch)
}

// same reports whether both columns have their value from one place.
func (r *jsonRecord) same(a, b columnar.Col) bool {
	both := columnar.ColSet(a, b)
	return columnar.Cols(r.has)&both == both && &r.values[a][0] == &r.values[b][0]
}
