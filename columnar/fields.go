package columnar

import (
	"slices"
	"strings"
	"unsafe"
)

// Wanted is what anyone reads of events: columns, fields that no column holds by the
// table of the events, and which events of the table event.
type Wanted struct {
	Cols   Cols
	Fields [NumTables][]string
	Events []EventKind
}

// And returns what either reads.
func (w Wanted) And(v Wanted) Wanted {
	w.Cols |= v.Cols
	for i, fields := range v.Fields {
		w.Fields[i] = slices.Concat(w.Fields[i], fields)
	}
	w.Events = slices.Concat(w.Events, v.Events)
	return w
}

// An EventKind is events of the table event that are alike: of an origin, of a log of it
// (Windows' Channel), of one number or type there (Windows' EventID, the type of an audit
// record). "" stands for any, in the event as in the kind. Case does not count, but in the
// origin.
type EventKind struct {
	Origin
	Channel, ID string
}

// AnyEvent is every event.
var AnyEvent = []EventKind{{}}

// eventsWanted remembers which kinds of events are wanted.
type eventsWanted struct {
	known map[string]bool
	key   []byte
}

// eventsKnown is how many kinds of events are remembered, more than the numbers of a
// system's logs: hostile logs must not fill the memory.
const eventsKnown = 1 << 12

// WantsEvent reports whether anyone reads an event that no other table holds. If not,
// it is to be counted as other; if so, it is a row of the table event.
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
// names it, as the source names it.
type field struct {
	name  string
	codes []int32 // nil until an event has the field
	dict  *Dict
	set   bool // in the row being built
}

// fieldsMaxSize is how many bytes the dictionaries of all fields of a builder may
// take before they are replaced. Rules name hundreds of fields, of which many hold
// ever new texts.
const fieldsMaxSize = 8 << 20

// Message is the field that holds the whole event as text, for rules with keywords.
const Message = "message"

// What the codes of a field mean beside its texts.
const (
	FieldAbsent = 0 // the event does not have the field
	FieldEmpty  = 1 // it has it, without a text
)

// Field returns a field of the events, one of Out.WantFields of the table: a code for
// each row, and the texts. Both are nil if nobody wants the field, or no event so far had it.
func (b *Batch) Field(name string) ([]int32, *Dict) {
	i, ok := b.b.fieldAt[name]
	if !ok || b.b.fields[i].codes == nil {
		return nil, nil
	}
	f := &b.b.fields[i]
	return f.codes[:b.Len()], f.dict
}

// SetField sets a field of the row's event, named as the source names it. One that
// nobody wants costs a look-up; if no field is wanted, nothing.
func (b *Builder) SetField(name, v []byte) {
	if b.fields == nil {
		return
	}
	i, ok := b.fieldAt[string(name)]
	if !ok {
		return
	}
	f := &b.fields[i]
	if f.codes == nil {
		f.codes, f.dict = make([]int32, BatchRows), newFieldDict()
	}
	f.codes[b.n], f.set = FieldEmpty, true
	if len(v) > 0 {
		known := f.dict.Len()
		f.codes[b.n] = f.dict.Code(v)
		if f.dict.Len() > known {
			b.fieldsSize += len(v) + 2*int(unsafe.Sizeof(dictSlot{}))
			b.full = b.full || b.fieldsSize > fieldsMaxSize
		}
	}
}

// PutField sets a field of rows that are put column by column: row i has the text of
// spans[i] in data; an empty one is of an event that does not have the field.
func (b *Builder) PutField(name string, data []byte, spans []Span) {
	i, ok := b.fieldAt[name]
	if !ok || !slices.ContainsFunc(spans, func(s Span) bool { return s.Begin < s.End }) {
		return
	}
	f := &b.fields[i]
	if f.codes == nil {
		f.codes, f.dict = make([]int32, BatchRows), newFieldDict()
	}
	f.set = true
	for k, s := range spans {
		code := int32(FieldAbsent)
		if s.Begin < s.End {
			known := f.dict.Len()
			code = f.dict.Code(data[s.Begin:s.End])
			if f.dict.Len() > known {
				b.fieldsSize += int(s.End-s.Begin) + 2*int(unsafe.Sizeof(dictSlot{}))
			}
		}
		f.codes[b.n+k] = code
	}
	b.full = b.full || b.fieldsSize > fieldsMaxSize
}

// FieldNames returns the names of the fields that anyone reads.
func (b *Builder) FieldNames() []string {
	names := make([]string, len(b.fields))
	for i := range b.fields {
		names[i] = b.fields[i].name
	}
	return names
}

// WantsFields reports whether anyone reads a field.
func (b *Builder) WantsFields() bool { return b.fields != nil }

// WantsField reports whether anyone reads the field of that name.
func (b *Builder) WantsField(name string) bool {
	_, ok := b.fieldAt[name]
	return ok
}

// Fields calls yield for every table and field that an event of it has had.
func (o *Out) Fields(yield func(t *Table, field string)) {
	for _, b := range o.builders {
		if b == nil {
			continue
		}
		for i := range b.fields {
			if b.fields[i].codes != nil {
				yield(b.table, b.fields[i].name)
			}
		}
	}
}

func (b *Builder) makeFields(names []string) {
	b.fieldAt = map[string]int{}
	for _, name := range names {
		if _, ok := b.fieldAt[name]; !ok {
			b.fieldAt[name] = len(b.fields)
			b.fields = append(b.fields, field{name: name})
		}
	}
}

// newFieldDict returns a dictionary whose code FieldEmpty is never given out: Code
// of no text is FieldAbsent.
func newFieldDict() *Dict {
	d := NewDict()
	d.ends = append(d.ends, d.ends[d.Len()])
	return d
}

// endFields ends rows from lo to hi: events without a field get the code for that.
func (b *Builder) endFields(lo, hi int) {
	for i := range b.fields {
		f := &b.fields[i]
		if !f.set && f.codes != nil {
			clear(f.codes[lo:hi])
		}
		f.set = false
	}
}

func (b *Builder) boundFields() {
	if b.fieldsSize <= fieldsMaxSize {
		return
	}
	b.fieldsSize = 0
	for i := range b.fields {
		if f := &b.fields[i]; f.dict != nil {
			f.dict = newFieldDict()
		}
	}
}
