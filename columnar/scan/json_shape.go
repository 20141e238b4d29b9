package scan

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
)

// JSON objects that are alike, with all members read at once.

// A Shape reads objects that are alike, such as the lines of one log. It is faster
// than a Walker: it reads all members at once, and recognises most keys without a
// scan or a look-up, because they follow each other as in the last object. It
// accepts the same input as a Walker. It must not be used by several goroutines at
// once.
//
// An object within the object may have a shape of its own. Its fields are noted as
// if they were fields of the outer object:
//
//	s := ShapeOf(outerFields, "time", "dns")
//	s.Within("dns", ShapeOf(dnsFields, "name"))
//	if _, _, ok := s.Read(line, values); ok {
//		name := s.Text(dnsFields, &scratch)
//	}
type Shape struct {
	field  func(key []byte) int // the field of a key, below 64; -1 if it is none
	inner  map[string]*Shape
	Fields uint64               // those that an equal key behind its object takes back, of what is within too
	Nested uint64               // those whose values may be objects and arrays
	places *Places              // nil: a key is one field at most
	path   string               // the keys that lead here, each with a dot behind it
	depth  int                  // how many
	first  *shapeKey            // stands for the beginning of an object
	keys   map[string]*shapeKey // by raw
	line   shapeRead
	mended []byte
	mends  bool
}

// A shapeRead is the result of reading one line.
type shapeRead struct {
	jsonText
	values []Value // by field; undefined for fields that are not in has
	// has and escaped are sets of fields: the fields that the object has, and those
	// that are strings with escapes.
	has, escaped uint64
	from         [64]*placing // by field, of those that a place has set
	misfits      []Misfit
}

// A Misfit is a key whose values a shape has not all read.
type Misfit struct {
	Key    string // with the keys that lead to it, and dots between them
	Fields uint64 // that it gives
	// Twice says that an equal key has stood before, with another value. Else Value is an
	// object or an array, not an empty one, in place of a text or a number, or it is no
	// object in place of one.
	Twice bool
	Value Value // its first byte
}

// Places make a shape one of objects in which several names can give one field, at
// any depth. The name that goes first in the object at hand wins, in whatever order
// they stand there.
type Places struct {
	// Of returns the fields that a name can give; Leads says that names which begin
	// with it can. A name is the keys that lead to a value, with dots between them:
	// a key may hold dots itself. depth is how many keys there are.
	Of    func(name string, depth int) []Place
	Leads func(name string, depth int) bool
}

// A Place says how a name gives a field. Among the names that an object has, the one with
// the lowest rank gives the field, then the one with the fewest keys, then the least by
// bytes; of equal keys the last. A name whose value is null, an object, an array or
// Unknown gives none, unless Any is set. If List is, an array gives its first element if
// that is a text that says something.
type Place struct {
	Field int // below 64
	Rank  int
	Any   bool
	List  bool
	// Nobody, if set, reports whether a text names nobody: then any other name goes first.
	Nobody func(text []byte) bool
}

// A placing is a place of a key.
type placing struct {
	Place
	name  string
	depth int
}

// before reports whether p goes first, or has the same key.
func (p *placing) before(q *placing) bool {
	return cmp.Or(cmp.Compare(p.Rank, q.Rank), cmp.Compare(p.depth, q.depth), cmp.Compare(p.name, q.name)) <= 0
}

// goesFirst reports whether p gives the field in place of q, which has given another value.
func (p *placing) goesFirst(q *placing, v, has Value) bool {
	if p.Nobody != nil && v[0] == '"' && has[0] == '"' {
		if nobody := p.Nobody(v[1 : len(v)-1]); nobody != p.Nobody(has[1:len(has)-1]) {
			return !nobody
		}
	}
	return p.before(q)
}

// A shapeKey is a key of an object and its place: after '{' or after a comma.
type shapeKey struct {
	raw   string // the text from the end of the previous value up to the key's own value
	name  string // as in Misfit
	field int
	texts uint64    // the fields that it gives if its value is neither an object nor an array
	whole bool      // only an object gives anything
	inner *Shape    // the shape of objects under the key; nil if they are ordinary values
	next  *shapeKey // the key that followed the last time

	placings []placing
	only     *placing // if there is one

	// The first 16 bytes of raw as words, and masks of those that it has. Others
	// are zero; a key with one that is not comes at no place.
	head, masks [2]uint64
	tail        uint64 // the last 8 bytes of raw, if it has more than 16
	idle        bool   // it gives nothing
}

// shapeKeys is the number of keys that a shape remembers, and shapeKeyLen their
// greatest length in bytes. Sound logs have fewer and shorter keys; hostile logs
// must not fill the memory.
const (
	shapeKeys   = 512
	shapeKeyLen = 256
)

// noKey matches at no place.
var noKey = &shapeKey{head: [2]uint64{1}}

// NewShape returns the shape of objects whose keys are mapped to fields by field: a
// number below 64, or -1 for a key that is not read. field is called once for each
// key, or a few times.
func NewShape(field func(key []byte) int) *Shape {
	return &Shape{field: field, first: &shapeKey{field: -1, next: noKey}, keys: map[string]*shapeKey{}}
}

// ShapeOf returns the shape of objects whose keys are the fields from first on.
func ShapeOf(first int, keys ...string) *Shape {
	return shapeOf(first, keys, func(a, b string) bool { return a == b })
}

// FoldedShapeOf is ShapeOf for keys in any case.
func FoldedShapeOf(first int, keys ...string) *Shape { return shapeOf(first, keys, strings.EqualFold) }

func shapeOf(first int, keys []string, same func(a, b string) bool) *Shape {
	s := NewShape(func(key []byte) int {
		if i := slices.IndexFunc(keys, func(k string) bool { return same(k, string(key)) }); i >= 0 {
			return first + i
		}
		return -1
	})
	s.Fields = (1<<len(keys) - 1) << first
	return s
}

// NewPlaces returns the shape of objects whose names can give fields. Keys may be fields
// besides, as NewShape has them.
func NewPlaces(p *Places, field func(key []byte) int) *Shape {
	s := NewShape(field)
	s.places = p
	return s
}

// Within sets the shape of objects under a key. First set the shapes within inner.
func (s *Shape) Within(key string, inner *Shape) {
	if s.inner == nil {
		s.inner = map[string]*Shape{}
	}
	s.inner[key] = inner
	s.Fields |= inner.Fields
	inner.lead(key + ".")
}

// SetPlaces lets names give fields besides, of the shape and of those within it. It must be
// called before anything is read.
func (s *Shape) SetPlaces(p *Places) {
	s.places = p
	for _, inner := range s.inner {
		inner.SetPlaces(p)
	}
}

// lead notes what leads to the shape, and to those within.
func (s *Shape) lead(keys string) {
	s.path = keys + s.path
	s.depth++
	for _, inner := range s.inner {
		inner.lead(keys)
	}
}

// Read notes the values of the object in b by field. If keys are equal, the last
// value counts. has and escaped are sets of fields: the fields that the object has,
// and those that are strings with escapes. If ok is false, the object is malformed. One
// that MendJSON takes is mended: its values stay valid until the next Read.
func (s *Shape) Read(b []byte, values []Value) (has, escaped uint64, ok bool) {
	has, escaped, ok = s.read(b, values)
	if s.mends = false; ok {
		return has, escaped, true
	}
	if s.mended, s.mends = MendJSON(s.mended[:0], b); !s.mends {
		return 0, 0, false
	}
	return s.read(s.mended, values)
}

// Mended reports whether the values of the last object read are not parts of it, since it was
// mended.
func (s *Shape) Mended() bool { return s.mends }

// Object returns the text of the last object read, mended or not.
func (s *Shape) Object() []byte { return s.line.b }

func (s *Shape) read(b []byte, values []Value) (has, escaped uint64, ok bool) {
	r := &s.line
	r.mark(b)
	r.values, r.has, r.escaped, r.misfits = values, 0, 0, r.misfits[:0]
	i := SkipSpace(b, 0)
	if i == len(b) || b[i] != '{' {
		return 0, 0, false
	}
	i = s.object(r, i, MaxDepth)
	return r.has, r.escaped, i >= 0 && Blank(b[i:])
}

// Misfits returns the keys of the last object read that do not fit the shape, in their
// order. It is valid until the next Read.
func (s *Shape) Misfits() []Misfit { return s.line.misfits }

// Value returns the value of a field of the last object read, or nil if it has
// none.
func (s *Shape) Value(field int) Value {
	if s.line.has>>field&1 == 0 {
		return nil
	}
	return s.line.values[field]
}

// Text returns the text of a field of the last object read; see Value.Text.
func (s *Shape) Text(field int, scratch *[]byte) []byte {
	v := s.Value(field)
	if !v.Is('"') {
		return v.Text(scratch)
	}
	v = v[1 : len(v)-1]
	if s.line.escaped>>field&1 == 0 {
		return v
	}
	start := len(*scratch)
	*scratch = appendUnescaped(*scratch, v)
	return (*scratch)[start:]
}

// object notes the values of the object that begins at b[i], and returns its end.
// The end is -1 if the object is malformed or nests deeper than depth levels.
func (s *Shape) object(r *shapeRead, i, depth int) int {
	if depth == 0 {
		return -1
	}
	b, stops := r.b, r.stops
	wide := b[:cap(b)] // bytes after the text do not affect the result
	last := s.first
	for {
		k := last.next
		if i+16 <= len(wide) &&
			(binary.LittleEndian.Uint64(wide[i:])&k.masks[0]^k.head[0])|(binary.LittleEndian.Uint64(wide[i+8:])&k.masks[1]^k.head[1]) == 0 &&
			(len(k.raw) <= 16 || k.restAt(b, i)) {
			if i += len(k.raw); i < len(b) && b[i] <= ' ' {
				i = SkipSpace(b, i) // more space than the last time
			}
		} else if k, i = s.slowKey(b, i, last); k == nil {
			return i
		}
		last = k
		if i >= len(b) {
			return -1
		}
		if k.inner != nil {
			if again := r.has & k.inner.Fields; again != 0 {
				r.misfits = append(r.misfits, Misfit{k.name, again, true, nil})
				r.has &^= again
			}
			if k.whole && b[i] != '{' && b[i] != '[' && b[i] != 'n' {
				r.misfits = append(r.misfits, Misfit{k.name, k.inner.Fields, false, b[i : i+1]})
			}
		}
		end, slashed := 0, false
		switch c := b[i]; {
		case c == '"':
			from := i + 1
			if at := from >> 3; at+8 <= len(stops) {
				m := binary.LittleEndian.Uint64(stops[at:]) >> (from & 7)
				end = from + bits.TrailingZeros64(m)
				if end < len(b) && b[end] == '"' && m != 0 {
					end++
					break
				}
			}
			end, slashed = r.stringEnd(i + 1)
			end++
		case c-'0' <= 9:
			if i+8 <= len(wide) {
				// Few numbers are longer than this; see digitsEnd.
				w := binary.LittleEndian.Uint64(wide[i:]) ^ '0'*EachByte
				m := (w + (0x80-10)*EachByte | w) & HighBits
				end = i + bits.TrailingZeros64(m)>>3
				if m != 0 && wide[end] == ',' && (c != '0' || end == i+1) {
					break
				}
			}
			end = numberEnd(b, i)
		case c == '{' && k.inner != nil:
			end = k.inner.object(r, i, depth-1)
		case c == '[' || c == '{':
			if end = r.nestedEnd(i, depth-1); k.texts != 0 && end-i > len("[]") { // an empty one says nothing
				if from, to, escaped := r.soleOf(i, end); to > 0 && !k.whole {
					r.set(k, b[from:to], escaped)
					i = end
					continue
				}
				r.misfits = append(r.misfits, Misfit{k.name, k.texts, false, b[i : i+1]})
			}
		case c == '-':
			end = numberEnd(b, i)
		default:
			end = literalEnd(b, i)
		}
		if end <= 0 {
			return -1
		}
		if k.idle {
			i = end
			continue
		}
		if k.placings == nil {
			// It is a field alone, or leads to some.
		} else if p := k.only; p != nil && r.has>>(p.Field&63)&1 == 0 && (b[i]-'0' <= 9 || b[i] == '"' && end-i > len(`"(null)"`)) {
			// As place would: the value says something, and is the first.
			r.from[p.Field&63] = p
			r.note(p.Field, b[i:end], slashed)
		} else {
			r.place(k.placings, b[i:end], slashed)
		}
		if k.field >= 0 {
			if r.has>>k.field&1 != 0 && k.again(b, r.values[k.field], b[i:end]) {
				r.misfits = append(r.misfits, Misfit{k.name, 1 << k.field, true, nil})
			}
			r.note(k.field, b[i:end], slashed)
		}
		i = end
	}
}

// set sets what a key gives to a value.
func (r *shapeRead) set(k *shapeKey, v Value, slashed bool) {
	r.place(k.placings, v, slashed)
	if k.field >= 0 {
		r.note(k.field, v, slashed)
	}
}

// note sets a field to a value.
func (r *shapeRead) note(field int, v Value, slashed bool) {
	bit := uint64(1) << (field & 63)
	r.values[field] = v
	r.has |= bit
	r.escaped &^= bit
	if slashed {
		r.escaped |= bit
	}
}

// soleOf returns where the text or number stands that is alone in the sound array b[i:end], and
// whether it has escapes: databases and collectors write any value as a list of one. Else to is 0.
func (t *jsonText) soleOf(i, end int) (from, to int, escaped bool) {
	b := t.b
	if from = SkipSpace(b, i+1); b[i] != '[' || b[from] != '"' && b[from]-'0' > 9 && b[from] != '-' {
		return 0, 0, false
	}
	if b[from] == '"' {
		to, escaped = t.stringEnd(from + 1)
		to++
	} else {
		to = numberEnd(b, from)
	}
	if SkipSpace(b, to) != end-1 {
		return 0, 0, false
	}
	return from, to, escaped
}

// place sets the fields that a value gives by its places.
func (r *shapeRead) place(placings []placing, v Value, slashed bool) {
	unknown := len(v) <= len(`"(null)"`) && v[0] == '"' && Unknown(v[1:len(v)-1]) || v[0] == '{' || v[0] == '[' || v[0] == 'n'
	for i := range placings {
		p := &placings[i]
		bit := uint64(1) << (p.Field & 63)
		from := &r.from[p.Field&63]
		v, unknown, slashed := v, unknown, slashed
		if p.List && v[0] == '[' {
			if first := firstText(v); first != nil {
				v, unknown, slashed = first, false, bytes.IndexByte(first, '\\') >= 0
			}
		}
		if unknown && !p.Any || *from != p && r.has&bit != 0 && !p.goesFirst(*from, v, r.values[p.Field]) {
			continue
		}
		if r.has&bit != 0 && *from == p && !bytes.Equal(r.values[p.Field], v) {
			r.misfits = append(r.misfits, Misfit{p.name, bit, true, nil})
		}
		*from = p
		r.note(p.Field, v, slashed)
	}
}

// firstText returns the first element of an array if it is a text that says something, else
// nil.
func firstText(array Value) Value {
	v := bytes.TrimLeft(array[1:], " \t\r\n")
	if len(v) == 0 || v[0] != '"' {
		return nil
	}
	for i := 1; i < len(v); i++ {
		switch v[i] {
		case '\\':
			i++
		case '"':
			if Unknown(v[1:i]) {
				return nil
			}
			return v[:i+1]
		}
	}
	return nil
}

// again reports whether a value of b that gave the key's field stood behind an equal key,
// and differs from the value that gives it now.
func (k *shapeKey) again(b []byte, before, now Value) bool {
	const space = " \t\r\n"
	lead := bytes.TrimRight(b[:cap(b)-cap(before)], space)
	lead = bytes.TrimRight(bytes.TrimSuffix(lead, []byte(":")), space)
	return !bytes.Equal(before, now) && bytes.HasSuffix(lead, []byte(strings.Trim(k.raw, space+",{:")))
}

// restAt reports whether the bytes of raw after its head are at b[i+16:], too.
func (k *shapeKey) restAt(b []byte, i int) bool {
	n := len(k.raw)
	return i+n <= len(b) && binary.LittleEndian.Uint64(b[i+n-8:]) == k.tail && (n <= 24 || string(b[i+16:i+n]) == k.raw[16:])
}

// slowKey reads any key, or the end of the object, and notes that it followed the
// last key. It returns the key and the place of its value. At the end of the object
// it returns nil and that end, and for malformed text nil and -1.
func (s *Shape) slowKey(b []byte, i int, last *shapeKey) (k *shapeKey, at int) {
	from := i
	if i = SkipSpace(b, i); i >= len(b) {
		return nil, -1
	}
	switch {
	case b[i] == '}' && last != s.first:
		return nil, i + 1
	case b[i] == ',' && last != s.first, b[i] == '{' && last == s.first:
		i = SkipSpace(b, i+1)
	default:
		return nil, -1
	}
	if last == s.first && i < len(b) && b[i] == '}' {
		return nil, i + 1
	}
	if i == len(b) || b[i] != '"' {
		return nil, -1
	}
	quote, escaped := stringEnd(b, i+1)
	if quote < 0 {
		return nil, -1
	}
	end := colonEnd(b, quote+1)
	if end < 0 {
		return nil, -1
	}
	raw := b[from:end]
	k, known := s.keys[string(raw)]
	if !known {
		key := b[i+1 : quote]
		if escaped {
			key = appendUnescaped(nil, key)
		}
		k = newShapeKey(string(raw), s.field(key))
		k.name = s.path + string(key)
		k.inner = s.inner[string(key)]
		k.whole = k.inner != nil && k.field < 0
		switch {
		case k.field >= 0:
			k.texts = 1 << k.field &^ s.Nested
		case k.inner != nil:
			k.texts = k.inner.Fields
		}
		if s.places != nil {
			s.setPlaces(k)
		}
		k.idle = k.field < 0 && k.inner == nil && k.placings == nil
		if len(s.keys) == shapeKeys || len(raw) > shapeKeyLen {
			k.next = last.next
			return k, end
		}
		s.keys[k.raw] = k
	}
	last.next = k
	return k, end
}

// setPlaces sets what a key gives, and how an object under it is read.
func (s *Shape) setPlaces(k *shapeKey) {
	name, depth := k.name, s.depth+1
	for _, p := range s.places.Of(name, depth) {
		k.placings = append(k.placings, placing{p, name, depth})
		if !p.Any {
			k.texts |= 1 << (p.Field & 63)
		}
	}
	if len(k.placings) == 1 {
		k.only = &k.placings[0]
	}
	if k.inner == nil && s.places.Leads(name, depth) {
		k.inner = NewPlaces(s.places, func([]byte) int { return -1 })
		k.inner.path, k.inner.depth = name+".", depth
	}
}

func newShapeKey(raw string, field int) *shapeKey {
	k := &shapeKey{raw: raw, field: field, next: noKey}
	if len(raw) > 16 {
		k.tail = binary.LittleEndian.Uint64([]byte(raw[len(raw)-8:]))
	}
	var words, masks [16]byte
	n := copy(words[:], raw)
	copy(masks[:], bytes.Repeat([]byte{0xff}, n))
	for i := range k.head {
		k.head[i] = binary.LittleEndian.Uint64(words[8*i:])
		k.masks[i] = binary.LittleEndian.Uint64(masks[8*i:])
	}
	return k
}
