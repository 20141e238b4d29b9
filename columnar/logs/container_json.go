package logs

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"outflow/columnar/scan"
)

// JSON objects, one a line, as containers of vendors' records.

var jsonContainer = &container{
	name:   "json",
	doc:    "JSON objects: one a line, in arrays, in envelopes, or printed over lines",
	keyed:  true,
	begins: inObject,
	open: func(p *sourcePlan) (recordReader, error) {
		r := &jsonReader{}
		for i, s := range p.slots {
			if err := r.add(p.source, i, s); err != nil {
				return nil, fmt.Errorf("name %q: %w", s.name, err)
			}
		}
		r.root.open()
		if r.each != nil {
			r.each.open()
		}
		return r, nil
	},
}

// A jsonReader reads one object after another.
type jsonReader struct {
	root, each *jsonNode // each: what an element of Source.Each has; nil: no such
}

func (r *jsonReader) use([]byte) error { return nil }

func (r *jsonReader) read(data []byte, w *window, t *Tally) []byte {
	return eachLine(data, w, func(line []byte, record int64) {
		w.begin(record)
		if !r.root.read(line, w, true) {
			w.back()
			t.Skip(record, malformedJSON)
			return
		}
		if r.each != nil {
			r.elements(w, t)
		}
	})
}

// elements makes a record of each element of the array that Source.Each names. One
// without elements stays a record.
func (r *jsonReader) elements(w *window, t *Tally) {
	array := r.root.each
	r.root.each = nil
	if array == nil {
		return
	}
	start := slices.Clone(w.cells[(w.n-1)*w.slots:])
	record, n := w.records[w.n-1], 0
	eachElement(array, w, func(element scan.Value, inData bool) {
		if n++; n > 1 {
			w.begin(record)
			copy(w.cells[(w.n-1)*w.slots:], start)
		}
		r.each.value(element, w, inData)
	})
}

// eachElement calls one for the elements of an array, and of arrays in it; for a value
// that is none, with that.
func eachElement(v scan.Value, w *window, one func(v scan.Value, inData bool)) {
	if !v.Is('[') {
		one(v, true)
		return
	}
	var elements scan.Walker
	for elements.Open(v); elements.InArray() && elements.Next(); {
		if elements.Val.Is('[') {
			eachElement(elements.Val, w, one)
		} else {
			one(elements.Val, true)
		}
	}
}

// A jsonNode is what is read of an object, of all elements of an array, or of the JSON in a
// text.
type jsonNode struct {
	paths  []jsonPath
	shapes []*scan.Shape // each of 64 paths at most
	values [64]scan.Value
	each   scan.Value // the array that Source.Each names, of the last object
	copied []byte
}

// A jsonPath is a way of keys from an object, and what is done with what stands there.
type jsonPath struct {
	name  string
	slots []int     // that it gives
	any   bool      // slot.any
	kept  string    // slot.kept
	each  bool      // it is the array that Source.Each names
	text  *jsonNode // it is a text that holds JSON
	// Elements of the array that it is, by their number, or by what a member of theirs
	// says.
	elements []jsonElement
}

// A jsonElement says which elements of an array are read, and what of them.
type jsonElement struct {
	index int    // -1: not by number
	key   string // the member that tells them; "": all, the first that has it
	is    string
	node  *jsonNode
}

// add makes the reader read a slot.
func (r *jsonReader) add(s *Source, slot int, is slot) error {
	if r.root == nil {
		r.root = &jsonNode{}
	}
	name := is.name
	if s.Each != "" {
		if rest, ok := strings.CutPrefix(name, s.Each); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			if r.each == nil {
				r.each = &jsonNode{}
				r.root.path(s.Each).each = true
			}
			return r.each.add(s, strings.TrimPrefix(rest, "."), slot, is)
		}
	}
	return r.root.add(s, name, slot, is)
}

// add makes the node read a slot under name, "" for the value itself.
func (n *jsonNode) add(s *Source, name string, slot int, is slot) error {
	for _, e := range s.Embedded {
		// What is embedded may itself stand in an element of Each.
		e = strings.TrimPrefix(strings.TrimPrefix(e, s.Each), ".")
		if rest, ok := strings.CutPrefix(name, e+"."); ok && e != "" {
			p := n.path(e)
			if p.text == nil {
				p.text = &jsonNode{}
			}
			inner := *s
			inner.Embedded = nil
			return p.text.add(&inner, rest, slot, is)
		}
	}
	array, rest, ok := strings.Cut(name, "[")
	if !ok {
		p := n.path(name)
		p.slots, p.any = append(p.slots, slot), p.any || is.any
		if is.kept != "" {
			p.kept = is.kept
		}
		return nil
	}
	which, rest, ok := strings.Cut(rest, "]")
	if !ok || rest != "" && rest[0] != '.' && rest[0] != '[' {
		return fmt.Errorf("want [n], [], or [key=text], and a dot behind it")
	}
	e := jsonElement{index: -1}
	if which != "" {
		if i, err := strconv.Atoi(which); err == nil && i >= 0 {
			e.index = i
		} else if e.key, e.is, ok = strings.Cut(which, "="); !ok || e.key == "" {
			return fmt.Errorf("[%s]: want a number, nothing, or key=text", which)
		}
	}
	p := n.path(array)
	at := slices.IndexFunc(p.elements, func(have jsonElement) bool {
		return have.index == e.index && have.key == e.key && have.is == e.is
	})
	if at < 0 {
		at = len(p.elements)
		e.node = &jsonNode{}
		p.elements = append(p.elements, e)
	}
	return p.elements[at].node.add(s, strings.TrimPrefix(rest, "."), slot, is)
}

// path returns the path of a name, which it adds if there is none.
func (n *jsonNode) path(name string) *jsonPath {
	for i := range n.paths {
		if n.paths[i].name == name {
			return &n.paths[i]
		}
	}
	n.paths = append(n.paths, jsonPath{name: name})
	return &n.paths[len(n.paths)-1]
}

// shapePaths is how many paths a shape can have.
const shapePaths = 64

// open makes the shapes of the node and of those below it.
func (n *jsonNode) open() {
	for first := 0; first < len(n.paths); first += shapePaths {
		paths := n.paths[first:min(first+shapePaths, len(n.paths))]
		n.shapes = append(n.shapes, scan.NewPlaces(&scan.Places{
			Of: func(name string, depth int) (places []scan.Place) {
				for i := range paths {
					p := &paths[i]
					rank := 0
					switch {
					case p.name == name:
					case strings.EqualFold(p.name, name), p.kept != "" && keptName(p.name) == keptName(name):
						rank = 1
					default:
						continue
					}
					places = append(places, scan.Place{Field: i, Rank: rank, Any: p.any || p.each || p.text != nil || p.elements != nil})
				}
				return places
			},
			Leads: func(name string, depth int) bool {
				return depth < jsonDepth && slices.ContainsFunc(paths, func(p jsonPath) bool {
					return len(p.name) > len(name) && strings.EqualFold(p.name[:len(name)], name) && p.name[len(name)] == '.' ||
						p.kept != "" && strings.HasPrefix(squash(p.name), squash(name))
				})
			},
		}, func([]byte) int { return -1 }))
	}
	for i := range n.paths {
		p := &n.paths[i]
		if p.text != nil {
			p.text.open()
		}
		for _, e := range p.elements {
			e.node.open()
		}
	}
}

// value reads what stands under the paths of a value: an object, or for the path "" any.
func (n *jsonNode) value(v scan.Value, w *window, inData bool) {
	if v.Is('{') {
		n.read(v, w, inData)
	}
	for i := range n.paths {
		if p := &n.paths[i]; p.name == "" {
			n.found(p, v, w, inData)
		}
	}
}

// read gives the last record of the window what the object says, and reports whether that
// is sound.
func (n *jsonNode) read(object []byte, w *window, inData bool) (ok bool) {
	n.each = nil
	for k, s := range n.shapes {
		has, escaped, sound := s.Read(object, n.values[:])
		if !sound {
			return false
		}
		paths := n.paths[k*shapePaths:]
		for i := 0; has != 0; i, has, escaped = i+1, has>>1, escaped>>1 {
			if has&1 == 0 {
				continue
			}
			v := n.values[i]
			if v.Is('"') && escaped&1 == 0 && inData && paths[i].text == nil && paths[i].elements == nil {
				for _, slot := range paths[i].slots {
					if !w.has(w.n-1, slot) {
						w.set(slot, v[1:len(v)-1])
					}
				}
				continue
			}
			n.found(&paths[i], v, w, inData)
		}
	}
	return len(n.shapes) > 0 || soundObject(object)
}

// soundObject reports whether a line is a sound object.
func soundObject(line []byte) bool {
	var w scan.Walker
	for w.Open(line); w.Next(); {
	}
	return w.DoneObject()
}

// found gives the last record of the window what stands at a path.
func (n *jsonNode) found(p *jsonPath, v scan.Value, w *window, inData bool) {
	if p.each {
		n.each = v
	}
	if len(p.slots) > 0 {
		n.copied = n.copied[:0]
		text := []byte(v)
		if !v.Is('{') && !v.Is('[') {
			text = v.Text(&n.copied)
		}
		for _, slot := range p.slots {
			switch {
			case w.has(w.n-1, slot): // the first that says it counts
			case inData && len(text) > 0 && within(v, text):
				w.set(slot, text)
			default:
				w.put(slot, text)
			}
		}
	}
	if p.text != nil {
		inner, innerInData := []byte(v), inData
		if v.Is('"') {
			n.copied = n.copied[:0]
			inner = v.Text(&n.copied)
			innerInData = inData && within(v, inner)
		}
		if inner = bytes.TrimSpace(inner); len(inner) > 0 && inner[0] == '{' {
			p.text.read(inner, w, innerInData)
		}
	}
	if len(p.elements) > 0 {
		n.elementsOf(p, v, w, inData)
	}
}

// within reports whether text is a part of v rather than a copy.
func within(v, text []byte) bool {
	return len(text) == 0 || cap(text) <= cap(v) && &v[:cap(v)][cap(v)-1] == &text[:cap(text)][cap(text)-1]
}

// elementsOf reads the elements of an array.
func (n *jsonNode) elementsOf(p *jsonPath, v scan.Value, w *window, inData bool) {
	if !v.Is('[') {
		for _, e := range p.elements {
			if e.key == "" && e.index <= 0 {
				e.node.value(v, w, inData)
			}
		}
		return
	}
	var elements scan.Walker
	i := 0
	for elements.Open(v); elements.InArray() && elements.Next(); i++ {
		for _, e := range p.elements {
			if e.index >= 0 && e.index != i || e.key != "" && !memberIs(elements.Val, e.key, e.is) {
				continue
			}
			e.node.value(elements.Val, w, inData)
		}
	}
}

// memberIs reports whether a member of an object is a text.
func memberIs(object scan.Value, key, is string) bool {
	if !object.Is('{') {
		return false
	}
	var w scan.Walker
	for w.Open(object); w.Next(); {
		if string(w.Key) == key {
			return w.Val.Is('"') && !w.Escaped && string(w.Val[1:len(w.Val)-1]) == is
		}
	}
	return false
}
