package logs

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"outflow/columnar"
)

// JSONLines decodes JSON objects with any keys, one a line.
var JSONLines = &Format{
	Name:  "jsonl",
	Title: "JSON lines with any keys",
	Doc: `Reads any JSON objects that have a time. Keys become columns by a mapping, or
by well-known names (timestamp, user.name, sourceIPAddress, bytes_out, …), as for
csv. A nested value is named by the path of its keys with dots: user.email is the
email in the object user; a key that holds the dots itself (id.orig_h) goes first.
Arrays have no name. Which keys there are is told by the records at the start of
the object; a key that a mapping names may turn up later. The table is the
mapping's, or the one that the names fit.

Where the events are wrapped, {"event": {…}}, and the inner object has the time,
its keys are read as if they were not. Other wrappings need a mapping with paths;
JSON inside a string is read if it tells more than what is around it, and then a
record without a time has that of its wrapper. Others without one are skipped.
Where the names told the table, records without the query of a dns log, the
command of a process log and the like are of other kinds. A log without any key
that says what was done, or how many bytes went, is not read: it needs a mapping.
Of equal keys the last one counts; objects under equal keys are merged. Numbers may stand in strings.`,
	Tables: columnar.Tables[:],
	Outer:  true,
	Sniff: func(head []byte) bool {
		line, rest := cutLine(bytes.TrimLeft(head, " \t\r\n"))
		if len(line) < 2 || line[0] != '{' {
			return false
		}
		var w walker
		members := 0
		for w.open(line); w.next(); members++ {
		}
		return w.done() || members > 0 && len(rest) == 0
	},
	New: newJSONLines,
}

type jsonLines struct {
	plan    *plan
	shape   *shape
	wrapped bool
	slots   []int8 // by index of the plan's names: the field of the shape; -1: nobody reads it

	fields  []field
	builder *columnar.Builder // that fields are for
	set     setter
	values  [64]value
	scratch []byte
}

// jsonEvent is the field of the event in a wrapped record.
const jsonEvent = 63

// jsonKeys are the keys, in objects of some depth, that lead to names.
type jsonKeys struct {
	at   int // the field that ends here; -1: none
	next map[string]*jsonKeys
}

// jsonTail is what is left of a name below some keys.
type jsonTail struct {
	at   int
	path string
}

// newJSONKeys returns the ways to all names: a dot may end a key or be part of it.
func newJSONKeys(tails []jsonTail) *jsonKeys {
	k := &jsonKeys{at: -1}
	below := map[string][]jsonTail{}
	for _, t := range tails {
		if t.path == "" {
			k.at = t.at
			continue
		}
		below[t.path] = append(below[t.path], jsonTail{at: t.at})
		for i := range len(t.path) - 1 {
			if t.path[i] == '.' && i > 0 {
				below[t.path[:i]] = append(below[t.path[:i]], jsonTail{t.at, t.path[i+1:]})
			}
		}
	}
	if len(below) > 0 {
		k.next = make(map[string]*jsonKeys, len(below))
	}
	for key, tails := range below {
		k.next[key] = newJSONKeys(tails)
	}
	return k
}

const (
	// jsonNames is how many names are looked for. More would cost start-up time
	// for each worker; no known source has more than a few hundred.
	jsonNames = 1024
	// jsonDepth is how many keys, or parts between dots, a name that is found by
	// itself may have. The ways to a name double with each; known sources have
	// five at most.
	jsonDepth = 8
)

// eventKey is the key of wrapped events.
const eventKey = "event"

func newJSONLines(o *Options) (Decoder, error) {
	d := &jsonLines{set: setter{clock: clock{zone: o.Zone}}}
	outer, inner := jsonNamesOf(o.Head)
	names := outer
	if d.wrapped = hasTime(o.Mapping, inner) && !(o.Mapping != nil && hasTime(o.Mapping, outer)); d.wrapped {
		names = inner
	}
	// A key that the mapping names may be rare.
	for _, name := range mappedNames(o.Mapping) {
		if !slices.ContainsFunc(names, func(s string) bool { return strings.EqualFold(s, name) }) {
			names = append(names, name)
		}
	}
	var err error
	if d.plan, err = resolve(o.Mapping, names, o.Outer); err != nil {
		return nil, err
	}
	if o.Mapping == nil && !d.plan.hasDeed() {
		return nil, fmt.Errorf("no key says what was done, or how many bytes went: has %s; name some in a mapping", list(names))
	}
	d.slots = slices.Repeat([]int8{-1}, len(names))
	var tails []jsonTail
	add := func(at int) {
		if at >= 0 && d.slots[at] < 0 {
			d.slots[at] = int8(len(tails))
			tails = append(tails, jsonTail{len(tails), names[at]})
		}
	}
	add(d.plan.where)
	for _, f := range d.plan.fields {
		add(f.src)
	}
	for _, f := range d.plan.kept(o.WantFields[d.plan.table.ID]) {
		if len(tails) < jsonEvent {
			add(f.src)
		}
	}
	d.shape = jsonShape(newJSONKeys(tails), 1)
	if d.wrapped {
		event := d.shape
		event.fields = 1<<len(tails) - 1
		d.shape = shapeOf(jsonEvent, eventKey)
		d.shape.within(eventKey, event)
	}
	d.shape.line.ranks = make([]uint8, len(d.values))
	return d, nil
}

// jsonShape returns the shape of the objects that have some keys. The fewer keys
// lead to a name, the more dots are in them: an exact key wins. Objects under
// equal keys are merged.
func jsonShape(keys *jsonKeys, rank uint8) *shape {
	s := newShape(func(key []byte) int {
		if below := keys.next[string(key)]; below != nil {
			return below.at
		}
		return -1
	})
	s.rank = rank
	for key, below := range keys.next {
		if below.next != nil {
			s.within(key, jsonShape(below, rank+1))
		}
	}
	return s
}

// mappedNames returns the names that a mapping gives, in a fixed order.
func mappedNames(m *Mapping) []string {
	if m == nil {
		return nil
	}
	var names []string
	for c := range columnar.NumCols {
		if name := m.Columns[c].Name; name != "" {
			names = append(names, name)
		}
	}
	if m.Where.Name != "" {
		names = append(names, m.Where.Name)
	}
	return names
}

// hasTime reports whether there is a name for time: the mapping's, else a
// well-known one.
func hasTime(m *Mapping, names []string) bool {
	if m != nil && m.Columns[columnar.Time].Name != "" {
		name := m.Columns[columnar.Time].Name
		return slices.ContainsFunc(names, func(s string) bool { return strings.EqualFold(s, name) })
	}
	return slices.ContainsFunc(names, func(s string) bool {
		return slices.Contains(wellKnown[columnar.Time], squash(s))
	})
}

// jsonNamesOf returns the names in the records of head in the order of their
// first appearance; inner are those below the event of wrapped records.
func jsonNamesOf(head []byte) (outer, inner []string) {
	var all jsonNameSet
	var event jsonNameSet
	for len(head) > 0 {
		var line []byte
		line, head = cutLine(head)
		all.walk(line, "", 1)
		var w walker
		for w.open(line); w.next(); {
			if string(w.key) == eventKey && w.val.is('{') {
				event.walk(w.val, "", 1)
			}
		}
	}
	return all.names, event.names
}

type jsonNameSet struct {
	names []string
	seen  map[string]bool
}

// walk adds the names in an object, as far as it is sound: the last record of
// head may be cut.
func (s *jsonNameSet) walk(b []byte, prefix string, depth int) {
	var w walker
	for w.open(b); w.close == '}' && len(s.names) < jsonNames && w.next(); {
		name := prefix + string(w.key)
		switch {
		case w.val.is('{'):
			if depth < jsonDepth {
				s.walk(w.val, name+".", depth+1)
			}
		case !w.val.is('[') && !s.seen[name] && strings.Count(name, ".") < jsonDepth:
			if s.seen == nil {
				s.seen = map[string]bool{}
			}
			s.seen[name] = true
			s.names = append(s.names, name)
		}
	}
}

func (d *jsonLines) Decode(b *Block, out *columnar.Out, t *Tally) error {
	if builder := out.Table(d.plan.table); builder != d.builder {
		d.builder, d.fields = builder, d.plan.wanted(builder)
	}
	record := b.First
	for data := b.Data; len(data) > 0; record++ {
		var line []byte
		if line, data = cutLine(data); blank(line) {
			continue
		}
		d.set.outer = b.Times != nil && b.Times[record-b.First] != NoTime
		if d.set.outer {
			d.builder.SetTime(b.Times[record-b.First])
		}
		row, reason := d.line(line)
		switch {
		case row:
			d.builder.Next(record)
			t.Row()
		case reason != "":
			d.builder.Drop()
			t.Skip(record, reason)
		default:
			d.builder.Drop()
			t.Pass()
		}
	}
	return nil
}

// line sets the cells of a record. If it is no row, reason says why it is
// malformed, or is "" if it is not.
func (d *jsonLines) line(line []byte) (row bool, reason string) {
	d.scratch = d.scratch[:0]
	if _, _, ok := d.shape.read(line, d.values[:]); !ok {
		return false, malformedJSON
	}
	if d.wrapped && !d.shape.value(jsonEvent).is('{') {
		return false, "no event object"
	}
	if p := d.plan; p.where >= 0 && !bytes.Equal(d.text(p.where), p.equals) {
		return false, ""
	}
	if p := d.plan; len(p.tells) > 0 && !slices.ContainsFunc(p.tells, func(i int) bool { return i < 0 || len(d.text(i)) > 0 }) {
		return false, ""
	}
	for i := range d.fields {
		f := &d.fields[i]
		text := f.text
		if f.src >= 0 {
			text = d.text(f.src)
		}
		if reason = d.set.set(d.builder, f, text); reason != "" {
			return false, reason
		}
	}
	return true, ""
}

// text returns the text of a name; nil if the record has none.
func (d *jsonLines) text(name int) []byte {
	if slot := d.slots[name]; slot >= 0 {
		return d.shape.text(int(slot), &d.scratch)
	}
	return nil
}
