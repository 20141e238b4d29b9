package logs

import (
	"maps"
	"math/bits"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// keptKeys are the keys of nested JSON objects that lead to fields which rules read,
// named by their paths: requestParameters.bucketName.
type keptKeys struct {
	name []byte // of the field that ends here; nil: none
	next map[string]*keptKeys
	n    int    // texts of list
	list []byte // what the elements of arrays say in the event at hand
}

// wholeKey is the name of the field that is the whole text of an event.
var wholeKey = []byte(columnar.Message)

// newKeptKeys returns the keys that lead to the fields; nil if there are no fields.
func newKeptKeys(names []string) *keptKeys {
	if len(names) == 0 {
		return nil
	}
	top := &keptKeys{}
	for _, name := range names {
		k := top
		for key := range strings.SplitSeq(name, ".") {
			if k.next == nil {
				k.next = map[string]*keptKeys{}
			}
			if k.next[key] == nil {
				k.next[key] = &keptKeys{}
			}
			k = k.next[key]
		}
		k.name = []byte(name)
	}
	return top
}

// askedCalls are the calls that rules with fields ask for by their operation. Such a rule
// cannot hold for others, whose fields need not be read.
type askedCalls struct {
	operations map[string]bool
	lower      []byte
}

func newAskedCalls(fields columnar.WantedFields) askedCalls {
	a := askedCalls{operations: map[string]bool{}}
	for _, f := range fields {
		for _, operation := range f.Operations {
			a.operations[operation] = true
		}
	}
	return a
}

func (a *askedCalls) has(operation []byte) bool {
	if len(a.operations) == 0 {
		return false
	}
	a.lower = columnar.AppendLower(a.lower[:0], operation)
	return a.operations[string(a.lower)]
}

// maxKeptDepth is how deep arrays and objects are looked into: known sources have half
// as many levels.
const maxKeptDepth = 16

// put sets the fields that an event has. An object that is a field itself is its JSON
// text, as is an array. A field of the elements of an array has the texts of all of them.
func (k *keptKeys) put(b *columnar.Builder, event scan.Value, scratch *[]byte) {
	k.object(b, event, 1, false, scratch)
}

func (k *keptKeys) object(b *columnar.Builder, object scan.Value, depth int, inArray bool, scratch *[]byte) {
	var w scan.Walker
	for w.Open(object); w.Next(); {
		below := k
		if w.InObject() {
			if below = k.next[string(w.Key)]; below == nil {
				continue
			}
		}
		nested := w.Val.Is('{') || w.Val.Is('[')
		if below.name != nil && w.InObject() {
			text := []byte(w.Val)
			if !nested {
				text = w.Text(scratch)
			}
			switch {
			case text == nil:
			case inArray:
				below.list = columnar.AppendList(below.list, text)
				below.n++
			default:
				b.SetField(below.name, text)
			}
		}
		if nested && below.next != nil && depth < maxKeptDepth {
			array := w.Val.Is('[')
			below.object(b, w.Val, depth+1, inArray || array, scratch)
			if array && !inArray {
				below.flush(b)
			}
		}
	}
}

// A keptShape reads the fields of events along with the columns, so that an event is walked
// once: each key that leads to a field is a field of the columns' shape itself.
type keptShape struct {
	keys  []*keptKeys // by their number from first on
	depth []int       // how many lead there
	first int
	set   uint64 // of all
}

// within makes shape read the fields, from the number first on; it returns nil if there are
// more than fit.
func (k *keptKeys) within(shape *scan.Shape, first int) *keptShape {
	s := &keptShape{first: first}
	type way struct {
		name  string
		depth int
	}
	places, leads := map[way]int{}, map[way]bool{}
	var follow func(k *keptKeys, to way)
	follow = func(k *keptKeys, to way) {
		if to.depth > 0 {
			places[to] = first + len(s.keys)
			s.keys, s.depth = append(s.keys, k), append(s.depth, to.depth)
			leads[to] = len(k.next) > 0
			to.name += "."
		}
		for _, key := range slices.Sorted(maps.Keys(k.next)) {
			follow(k.next[key], way{to.name + key, to.depth + 1})
		}
	}
	follow(k, way{})
	if first+len(s.keys) > 64 {
		return nil
	}
	s.set = (1<<len(s.keys) - 1) << first
	shape.SetPlaces(&scan.Places{
		Of: func(name string, depth int) []scan.Place {
			if field, ok := places[way{name, depth}]; ok {
				return []scan.Place{{Field: field, Any: true}}
			}
			return nil
		},
		Leads: func(name string, depth int) bool { return depth < maxKeptDepth && leads[way{name, depth}] },
	})
	return s
}

// put sets the fields of the event that shape has read, as keptKeys.put does. It reports
// false, and sets none, if keys stand twice.
func (s *keptShape) put(b *columnar.Builder, shape *scan.Shape, has uint64, scratch *[]byte) bool {
	for _, m := range shape.Misfits() {
		if m.Twice && m.Fields&s.set != 0 {
			return false
		}
	}
	for set := has & s.set; set != 0; set &= set - 1 {
		field := bits.TrailingZeros64(set)
		k, depth, v := s.keys[field-s.first], s.depth[field-s.first], shape.Value(field)
		text := []byte(v)
		if !v.Is('{') && !v.Is('[') {
			text = shape.Text(field, scratch)
		}
		if k.name != nil && text != nil {
			b.SetField(k.name, text)
		}
		if k.next != nil && v.Is('[') && depth < maxKeptDepth {
			k.object(b, v, depth+1, true, scratch)
			k.flush(b)
		}
	}
	return true
}

// flush sets the fields that the elements of an array had.
func (k *keptKeys) flush(b *columnar.Builder) {
	if k.n > 0 {
		list := k.list
		if k.n == 1 {
			list = list[1:]
		}
		b.SetField(k.name, list)
		k.n, k.list = 0, k.list[:0]
	}
	for _, below := range k.next {
		below.flush(b)
	}
}
