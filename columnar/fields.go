package columnar

import (
	"slices"
	"strings"
	"unsafe"
)

// Wanted says what a run reads of events: columns, fields that no column holds (by
// the table of the events), and kinds of events of the table event.
type Wanted struct {
	Cols Cols
	// Of are more columns, by table, and Served more columns of http from logs of
	// servers of the company's own, which few runs have: a proxy's log is not read for
	// columns that only those need.
	Of     [NumTables]Cols
	Served Cols
	Fields [NumTables]WantedFields
	Events []EventKind
}

// And returns everything that w or v reads.
func (w Wanted) And(v Wanted) Wanted {
	w.Cols |= v.Cols
	w.Served |= v.Served
	for i, cols := range v.Of {
		w.Of[i] |= cols
	}
	for i, fields := range v.Fields {
		w.Fields[i] = slices.Concat(w.Fields[i], fields)
	}
	w.Events = slices.Concat(w.Events, v.Events)
	return w
}

// An EventKind is a kind of events of the table event. Its events share an origin,
// a log (Windows' Channel), and a number or type in that log (Windows' EventID, the
// type of an audit record). "" stands for any, in the event and in the kind. Case
// does not matter, except in the origin.
type EventKind struct {
	Origin
	Channel, ID string
}

// A WantedField is a field that no column holds. Rules read it in some logs and events;
// decoders may leave it out of others.
type WantedField struct {
	Name string
	Origin
	// Operations are those of the calls in the table api, in lower case. None: all events.
	Operations []string
	// Least is how many bytes a text has that anyone asks about: a shorter one may be left out.
	Least int
}

// WantedFields are fields of one table. A name may stand there several times.
type WantedFields []WantedField

// Of returns the fields that somebody may read of logs of an origin.
func (w WantedFields) Of(o Origin) (out WantedFields) {
	for _, f := range w {
		if f.Fits(o) {
			out = append(out, f)
		}
	}
	return out
}

// Always returns those that are read of all events.
func (w WantedFields) Always() (out WantedFields) {
	for _, f := range w {
		if len(f.Operations) == 0 {
			out = append(out, f)
		}
	}
	return out
}

// Names returns the names, each once, in the order of the fields.
func (w WantedFields) Names() (names []string) {
	seen := map[string]bool{}
	for _, f := range w {
		if !seen[f.Name] {
			seen[f.Name] = true
			names = append(names, f.Name)
		}
	}
	return names
}

// AnyEvent stands for all events.
var AnyEvent = []EventKind{{}}

// eventsWanted remembers which kinds of events are wanted.
type eventsWanted struct {
	known map[string]bool
	key   []byte
}

// eventsKnown is the number of kinds of events that are remembered. It is more than
// the numbers in a system's logs, and bounded so that hostile logs do not fill the
// memory.
const eventsKnown = 1 << 12

// WantsEvent reports whether anything reads an event that no other table holds. If
// so, the event is a row of the table event; if not, it is counted as other.
func (o *Out) WantsEvent(channel, id []byte) bool {
	if len(o.WantEvents) == 0 {
		return false
	}
	e := &o.events
	e.key = append(append(append(append(e.key[:0], o.Product...), 0), o.Service...), 0)
	e.key = append(append(append(e.key, channel...), 0), id...)
	wanted, ok := e.known[string(e.key)]
	if !ok {
		for _, k := range o.WantEvents {
			if k.holds(o.Origin, string(channel), string(id)) {
				wanted = true
				break
			}
		}
		if e.known == nil {
			e.known = map[string]bool{}
		}
		if len(e.known) < eventsKnown && len(e.key) < 256 {
			e.known[string(e.key)] = wanted
		}
	}
	return wanted
}

func (k *EventKind) holds(of Origin, channel, id string) bool {
	one := func(a, b string) bool { return a == "" || b == "" || strings.EqualFold(a, b) }
	return k.Fits(of) && one(k.Channel, channel) && one(k.ID, id)
}

// A field is a value of events that no column holds. It is kept because a rule
// names it. Its name is the one in the source.
type field struct {
	name  string
	least int     // of texts that are kept, in bytes
	codes []int32 // nil until an event has the field; from the row being built on, what that has
	dict  *Dict
}

// fieldsMaxSize is how many bytes the dictionaries of all fields of a builder may
// take before they are replaced. Rules name hundreds of fields, and many of these
// always have new texts.
const fieldsMaxSize = 8 << 20

// Message is the field with the whole event as text, for rules with keywords.
const Message = "message"

// ListMark begins the text of a field that has several values, and stands between
// them. Rules test each value of such a list.
const ListMark = 0x1f // ASCII's unit separator: JSON, CSV and XML have it in no text that people write

// AppendList adds a value to a list, which is empty at first.
func AppendList(list, value []byte) []byte {
	return append(append(list, ListMark), value...)
}

// The codes of a field that do not stand for a text.
const (
	FieldAbsent = 0 // the event does not have the field
	FieldEmpty  = 1 // the event has the field, without a text
)

// Field returns a field of the events, one of Out.WantFields of the table: a code
// for each row, and the texts. Both are nil if the field is not wanted, or if no
// event so far had it.
func (b *Batch) Field(name string) ([]int32, *Dict) {
	i, ok := b.b.fieldAt[name]
	if !ok || b.b.fields[i].codes == nil {
		return nil, nil
	}
	f := &b.b.fields[i]
	return f.codes[:b.Len()], f.dict
}

// SetField sets a field of the row's event. name is the name in the source. A field
// that is not wanted costs a look-up; if no field is wanted, the call costs
// nothing.
func (b *Builder) SetField(name, v []byte) {
	if b.fields == nil {
		return
	}
	if i, ok := b.fieldAt[string(name)]; ok {
		b.setField(&b.fields[i], b.n, v)
	}
}

// PutFieldOf sets a field of the ith of the rows that are put column by column, as
// SetField does.
func (b *Builder) PutFieldOf(i int, name string, v []byte) {
	if at, ok := b.fieldAt[name]; ok {
		b.setField(&b.fields[at], b.n+i, v)
	}
}

func (b *Builder) setField(f *field, row int, v []byte) {
	if f.codes == nil {
		f.codes, f.dict = make([]int32, b.rows), newFieldDict()
	}
	f.codes[row] = FieldEmpty
	switch {
	case len(v) == 0:
	case len(v) < f.least:
		f.codes[row] = FieldAbsent
	default:
		known := f.dict.Len()
		f.codes[row] = f.dict.Code(v)
		if f.dict.Len() > known {
			b.fieldsSize += len(v) + 2*int(unsafe.Sizeof(dictSlot{}))
			b.full = b.full || b.fieldsSize > fieldsMaxSize
		}
	}
}

// PutField sets a field of rows that are put column by column. Row i has the text
// of spans[i] in data; if that is empty, the event does not have the field.
func (b *Builder) PutField(name string, data []byte, spans []Span) {
	i, ok := b.fieldAt[name]
	if !ok || !slices.ContainsFunc(spans, func(s Span) bool { return s.Begin < s.End }) {
		return
	}
	f := &b.fields[i]
	if f.codes == nil {
		f.codes, f.dict = make([]int32, b.rows), newFieldDict()
	}
	codes := f.codes[b.n : b.n+len(spans)]
	known, size := f.dict.Len(), f.dict.size()
	if f.least == 0 {
		f.dict.Codes(codes, data, spans)
	} else {
		for k, s := range spans {
			codes[k] = FieldAbsent
			if int(s.End-s.Begin) >= f.least {
				codes[k] = f.dict.Code(data[s.Begin:s.End])
			}
		}
	}
	b.fieldsSize += f.dict.size() - size + (f.dict.Len()-known)*2*int(unsafe.Sizeof(dictSlot{}))
	b.full = b.full || b.fieldsSize > fieldsMaxSize
}

// WantedFields returns the fields that are wanted of the source at hand (Out.Origin).
func (b *Builder) WantedFields() WantedFields { return b.out.WantFields[b.table.ID].Of(b.out.Origin) }

// FieldNames returns the names of the fields that are wanted of the source at hand.
func (b *Builder) FieldNames() []string { return b.WantedFields().Names() }

// WantsFields reports whether any field is wanted, of whatever source.
func (b *Builder) WantsFields() bool { return b.fields != nil }

// WantsField reports whether the field of that name is wanted, of whatever source.
func (b *Builder) WantsField(name string) bool {
	_, ok := b.fieldAt[name]
	return ok
}

// Fields calls yield for every table and every field that an event of it has had.
func (o *Out) Fields(yield func(t *Table, field string)) {
	for b := range o.each {
		for i := range b.fields {
			if b.fields[i].codes != nil {
				yield(b.table, b.fields[i].name)
			}
		}
	}
}

func (b *Builder) makeFields(wanted WantedFields) {
	b.fieldAt = map[string]int{}
	for _, w := range wanted {
		i, ok := b.fieldAt[w.Name]
		if !ok {
			i = len(b.fields)
			b.fieldAt[w.Name] = i
			b.fields = append(b.fields, field{name: w.Name, least: w.Least})
		}
		b.fields[i].least = min(b.fields[i].least, w.Least)
	}
}

// newFieldDict returns a dictionary that never assigns the code FieldEmpty. The
// code of the empty text is FieldAbsent.
func newFieldDict() *Dict {
	d := NewDict()
	d.ends = append(d.ends, d.ends[d.Len()])
	return d
}

// clearFields takes the fields away from the rows from lo to hi.
func (b *Builder) clearFields(lo, hi int) {
	for i := range b.fields {
		if codes := b.fields[i].codes; codes != nil {
			clear(codes[lo:hi])
		}
	}
}

func (b *Builder) renewFields() {
	b.fieldsSize = 0
	for i := range b.fields {
		if f := &b.fields[i]; f.dict != nil {
			f.dict = newFieldDict()
		}
	}
}
