package logs

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// JSON objects, one a line, as containers of vendors' records.

// jsonContainer reads JSON objects: one a line, in arrays, in envelopes, or printed over
// lines.
var jsonContainer = &container{
	name:   "json",
	keyed:  true,
	embeds: true,
	begins: inObject,
	open: func(p *sourcePlan) (recordReader, error) {
		r := &jsonReader{root: &jsonNode{}}
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
	root, each *jsonNode       // each: what an element of Source.Each has; nil: no such
	tuple      []layoutSlot    // what a text has that is an element of Source.Each
	arrays     []scan.Value    // that Source.Each names, of the record at hand
	start      []columnar.Span // of the texts that all elements share
	copied     []byte
}

func (r *jsonReader) use([]byte) error { return nil }

func (r *jsonReader) read(data []byte, w *window, t *Tally) []byte {
	return eachLine(data, w, func(line []byte, record int64) {
		w.begin(record)
		r.arrays = r.arrays[:0]
		if !r.root.read(line, w, true) {
			w.back()
			t.Skip(record, notObject(line))
			return
		}
		if r.each != nil {
			r.elements(w, t)
		}
	})
}

// elements makes a record of each element of the arrays that Source.Each names. One
// without elements stays a record.
func (r *jsonReader) elements(w *window, t *Tally) {
	r.start = append(r.start[:0], w.cells[(w.n-1)*w.slots:]...)
	record, n, side := w.records[w.n-1], 0, len(w.side)
	for _, array := range r.arrays {
		eachElement(array, w, r.root.lent, func(element scan.Value, inData bool) {
			if n++; n > 1 {
				if n == 2 && r.dropLong(w) {
					t.Clear(record, fmt.Sprintf("text longer than %d bytes that all elements share, left out", maxShared))
				}
				w.spill(side)
				w.begin(record)
				copy(w.cells[(w.n-1)*w.slots:], r.start)
			}
			if len(r.tuple) > 0 && element.Is('"') {
				r.fields(element, w)
			} else {
				r.each.value(element, w, inData)
			}
		})
	}
}

// maxShared is how long a text may be that all elements of a record share, in bytes: a
// record has tens of thousands of elements at most, and each reads it.
const maxShared = 1 << 10

// dropLong drops texts longer than maxShared from what elements share, and from the last
// record of the window, and reports whether there are any.
func (r *jsonReader) dropLong(w *window) (any bool) {
	first := w.cells[(w.n-1)*w.slots:]
	for slot, s := range r.start {
		if s.End-s.Begin > maxShared {
			r.start[slot], first[slot], any = columnar.Span{}, columnar.Span{}, true
		}
	}
	return any
}

// fields gives the last record of the window the fields of a text, which have commas
// between them.
func (r *jsonReader) fields(element scan.Value, w *window) {
	r.copied = r.copied[:0]
	rest := element.Text(&r.copied)
	inData := r.root.lent && within(element, rest)
	for field, more := 0, true; more; field++ {
		var text []byte
		text, rest, more = cutByte(rest, ',')
		for _, s := range r.tuple {
			switch {
			case s.field != field:
			case inData:
				w.set(s.slot, text)
			default:
				w.put(s.slot, text)
			}
		}
	}
}

// eachElement calls one for the elements of an array, and of arrays in it. A value that is
// not an array is its only element.
func eachElement(v scan.Value, w *window, inData bool, one func(v scan.Value, inData bool)) {
	if !v.Is('[') {
		one(v, inData)
		return
	}
	var elements scan.Walker
	for elements.Open(v); elements.InArray() && elements.Next(); {
		if elements.Val.Is('[') {
			eachElement(elements.Val, w, inData, one)
		} else {
			one(elements.Val, inData)
		}
	}
}

// closedJSON cuts the first part of a long object at its last comma and closes what is open
// there. So a record that is longer than the head of its log can be sniffed.
func closedJSON(head []byte) []byte {
	end := 0
	if _, whole := openBrackets(head, func(comma int) { end = comma }); whole > 0 {
		return head
	}
	open, _ := openBrackets(head[:end], func(int) {})
	for i := range open {
		open[i] += 2 // in ASCII, a bracket's partner
	}
	slices.Reverse(open)
	return append(slices.Clone(head[:end]), open...)
}

// openBrackets returns the brackets that are open at the end of head, and calls comma for
// each comma outside of texts. end is where the first value ends, 0 if that is not in head.
func openBrackets(head []byte, comma func(at int)) (open []byte, end int) {
	for i := 0; i < len(head); i++ {
		switch head[i] {
		case '"':
			for i++; i < len(head) && head[i] != '"'; i++ {
				if head[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			open = append(open, head[i])
		case '}', ']':
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
			if len(open) == 0 {
				return nil, i + 1
			}
		case ',':
			comma(i)
		}
	}
	return open, 0
}

// A jsonNode is what is read of an object, of all elements of an array, or of the JSON in a
// text.
type jsonNode struct {
	paths  []jsonPath
	many   bool        // it is each of an array's elements that a name may mean
	lent   bool        // the values of the last object are in the window's data
	shapes []jsonShape // each of 64 paths at most
	values [64]scan.Value
	copied []byte
}

// A jsonShape reads up to 64 of a node's paths.
type jsonShape struct {
	*scan.Shape
	plain uint64    // those that give one slot and nothing else
	slots [64]int32 // that they give
}

// A jsonPath is a way of keys from an object, and what is done with what stands there.
type jsonPath struct {
	name  string
	slots []int         // that it gives; the first text counts
	lists []int         // that it gives, as lists of all texts
	any   bool          // slot.any
	kept  string        // slot.kept
	each  *[]scan.Value // not nil: it is an array that Source.Each names, and goes there
	text  *jsonNode     // it is a text that holds JSON
	// Elements of the array that it is, by their number, or by what a member of theirs
	// says.
	elements []jsonElement
	chosen   []*jsonChoice
}

// A jsonElement says which elements of an array are read, and what of them.
type jsonElement struct {
	index int    // -1: not by number
	key   string // the member that tells them; "": all, the first that has it
	is    string
	node  *jsonNode
}

// A jsonChoice is those elements of an array that a member of theirs tells, all by one
// key: each element is looked into once, however many texts there are.
type jsonChoice struct {
	key    string
	shape  *scan.Shape // key is its field 0
	values [64]scan.Value
	nodes  map[string][]*jsonNode // by the text of key
}

// of returns what is read of an element.
func (c *jsonChoice) of(element scan.Value) []*jsonNode {
	if !element.Is('{') {
		return nil
	}
	has, escaped, ok := c.shape.Read(element, c.values[:])
	v := c.values[0]
	if len(c.shape.Misfits()) > 0 { // of equal keys the first counts
		v, escaped = firstMember(element, c.key)
	}
	if !ok || has == 0 || escaped != 0 || !v.Is('"') {
		return nil
	}
	return c.nodes[string(v[1:len(v)-1])]
}

// firstMember returns the first member of an object that has a key, and 1 if it is a text
// with escapes.
func firstMember(object scan.Value, key string) (v scan.Value, escaped uint64) {
	var w scan.Walker
	for w.Open(object); w.Next(); {
		if string(w.Key) == key {
			if w.Escaped {
				escaped = 1
			}
			return w.Val, escaped
		}
	}
	return nil, 0
}

// add makes the reader read a slot.
func (r *jsonReader) add(s *Source, slot int, is slot) error {
	name := is.name
	if field := slices.Index(s.Tuple, name); field >= 0 {
		r.tuple = append(r.tuple, layoutSlot{field: field, slot: slot})
		r.open(s)
		return nil
	}
	if s.Each != "" {
		if rest, ok := strings.CutPrefix(name, s.Each); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			r.open(s)
			return r.each.add(s, strings.TrimPrefix(rest, "."), slot, is)
		}
	}
	return r.root.add(s, name, slot, is)
}

// open makes the reader look for what Source.Each names.
func (r *jsonReader) open(s *Source) {
	if r.each != nil {
		return
	}
	r.each = &jsonNode{}
	n, name := r.root, s.Each
	for {
		array, rest, nested := strings.Cut(name, "[].")
		p := n.path(array)
		if !nested {
			p.each = &r.arrays
			return
		}
		n, name = p.element(jsonElement{index: -1}), rest
	}
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
			return p.text.add(s.within(e), rest, slot, is)
		}
	}
	array, rest, ok := strings.Cut(name, "[")
	if s.flat {
		name, ok = withoutZone(name), false
	}
	if !ok {
		p := n.path(name)
		p.any = p.any || is.any
		if is.kept != "" {
			p.kept = is.kept
		}
		if n.many && is.kept != "" {
			p.lists = append(p.lists, slot)
		} else {
			p.slots = append(p.slots, slot)
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
	element := n.path(array).element(e)
	element.many = n.many || e.index < 0
	return element.add(s, strings.TrimPrefix(rest, "."), slot, is)
}

// element returns what is read of some elements of the path's array.
func (p *jsonPath) element(e jsonElement) *jsonNode {
	for _, have := range p.elements {
		if have.index == e.index && have.key == e.key && have.is == e.is {
			return have.node
		}
	}
	e.node = &jsonNode{}
	p.elements = append(p.elements, e)
	return e.node
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
		squashed, kept := make([]string, len(paths)), make([]string, len(paths)) // of fields that rules read
		reads := false
		for i, p := range paths {
			if p.kept != "" {
				squashed[i], kept[i] = squash(p.name), keptName(p.name)
				reads = true
			}
		}
		n.shapes = append(n.shapes, jsonShape{Shape: scan.NewPlaces(&scan.Places{
			Of: func(name string, depth int) (places []scan.Place) {
				keptAs := ""
				if reads {
					keptAs = keptName(name)
				}
				for i := range paths {
					p := &paths[i]
					rank := 0
					switch {
					case p.name == name:
					case strings.EqualFold(p.name, name), p.kept != "" && kept[i] == keptAs:
						rank = 1
					default:
						continue
					}
					places = append(places, scan.Place{Field: i, Rank: rank, Any: p.any || p.each != nil || p.text != nil || p.elements != nil})
				}
				return places
			},
			Leads: func(name string, depth int) bool {
				if depth >= jsonDepth {
					return false
				}
				begin := ""
				if reads {
					begin = squash(name)
				}
				for i := range paths {
					p := &paths[i]
					if len(p.name) > len(name) && strings.EqualFold(p.name[:len(name)], name) && p.name[len(name)] == '.' ||
						p.kept != "" && strings.HasPrefix(squashed[i], begin) {
						return true
					}
				}
				return false
			},
		}, func([]byte) int { return -1 })})
	}
	for i := range n.paths {
		p := &n.paths[i]
		if len(p.slots) == 1 && p.lists == nil && p.text == nil && p.elements == nil && p.each == nil {
			s := &n.shapes[i/shapePaths]
			s.plain |= 1 << (i % shapePaths)
			s.slots[i%shapePaths] = int32(p.slots[0])
		}
		if p.text != nil {
			p.text.open()
		}
		for _, e := range p.elements {
			e.node.open()
			if e.key != "" {
				c := p.choice(e.key)
				c.nodes[e.is] = append(c.nodes[e.is], e.node)
			}
		}
	}
}

// choice returns the choice by a key.
func (p *jsonPath) choice(key string) *jsonChoice {
	for _, c := range p.chosen {
		if c.key == key {
			return c
		}
	}
	c := &jsonChoice{key: key, shape: scan.ShapeOf(0, key), nodes: map[string][]*jsonNode{}}
	p.chosen = append(p.chosen, c)
	return c
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
	for k := range n.shapes {
		s := &n.shapes[k]
		has, escaped, sound := s.Read(object, n.values[:])
		if !sound {
			return false
		}
		inData = inData && !s.Mended()
		n.lent = inData
		if inData { // most stand in the window's data as they are
			cells, end := w.cells[(w.n-1)*w.slots:][:w.slots], uint32(cap(w.data))
			for left := has & s.plain &^ escaped; left != 0; left &= left - 1 {
				i := bits.TrailingZeros64(left) & 63
				v := n.values[i]
				begin := end - uint32(cap(v))
				text := columnar.Span{Begin: begin, End: begin + uint32(len(v))}
				switch v[0] {
				case '{', '[', 'n':
					continue
				case '"':
					text.Begin, text.End = text.Begin+1, text.End-1
				}
				has &^= 1 << i
				if cell := &cells[s.slots[i]]; *cell == (columnar.Span{}) { // the first that says it counts
					*cell = text
				}
			}
		}
		for ; has != 0; has &= has - 1 {
			i := bits.TrailingZeros64(has) & 63
			n.found(&n.paths[k*shapePaths+i], n.values[i], w, inData)
		}
	}
	return len(n.shapes) > 0 || soundObject(object)
}

// embedded gives the last record of the window what the object in a text says.
func (n *jsonNode) embedded(text []byte, w *window, inData bool) {
	text = bytes.TrimSpace(text)
	if !scan.Unknown(text) && !n.read(text, w, inData) {
		w.clear("field that should be a JSON object and is none, left out")
	}
}

// embeddedNode returns the reader of the JSON in what Source.Embedded calls e, nil if nothing of
// it is read. read says which slots are; nil: all.
func (p *sourcePlan) embeddedNode(e string, read []bool) (n *jsonNode, err error) {
	inner := p.source.within(e)
	for slot, s := range p.slots {
		rest, ok := strings.CutPrefix(s.name, e+".")
		if !ok || read != nil && !read[slot] {
			continue
		}
		if n == nil {
			n = &jsonNode{}
		}
		if err := n.add(inner, rest, slot, s); err != nil {
			return nil, fmt.Errorf("name %q: %w", s.name, err)
		}
	}
	if n != nil {
		n.open()
	}
	return n, nil
}

// within returns the source as it is inside the text that Source.Embedded calls e: what is embedded
// there has names from there on.
func (s *Source) within(e string) *Source {
	inner := *s
	inner.Embedded, inner.flat = nil, false
	for _, deeper := range s.Embedded {
		if rest, ok := strings.CutPrefix(deeper, e+"."); ok {
			inner.Embedded = append(inner.Embedded, rest)
		}
	}
	return &inner
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
	if p.each != nil {
		*p.each = append(*p.each, v)
	}
	if len(p.slots)+len(p.lists) > 0 {
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
		for _, slot := range p.lists {
			w.add(slot, text)
		}
	}
	if p.text != nil && (v.Is('"') || v.Is('{')) {
		inner, innerInData := []byte(v), inData
		if v.Is('"') {
			n.copied = n.copied[:0]
			inner = v.Text(&n.copied)
			innerInData = inData && within(v, inner)
		}
		p.text.embedded(inner, w, innerInData)
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
			if e.key == "" && (e.index < 0 || e.index == i) {
				e.node.value(elements.Val, w, inData)
			}
		}
		for _, c := range p.chosen {
			for _, node := range c.of(elements.Val) {
				node.value(elements.Val, w, inData)
			}
		}
	}
}
