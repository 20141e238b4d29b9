package evtx

import (
	"encoding/binary"
	"io"
	"unicode/utf8"
)

// Limits of an event. Sound events stay far below them, because a record has less
// than 64 KiB. They bound what a hostile chunk can expand to: values and templates
// in it can refer to each other.
const (
	maxDepth  = 64      // nesting of elements
	maxNested = 16      // nesting of binary XML in values
	maxTokens = 1 << 16 // of an event
	maxText   = 1 << 20 // bytes of all texts of an event
	maxName   = 512     // characters
	maxSteps  = 1 << 17 // tokens of binary XML that are read in a chunk; each template counts once
	maxRun    = 1 << 16 // steps that an event runs, plus its values in sixteenths
	maxWork   = 1 << 21 // steps that a chunk's events run, plus their texts' bytes and their tokens in sixteenths
	maxNames  = 1 << 12 // names that are kept from chunk to chunk
)

// A Kind says what a Token is.
type Kind uint8

const (
	Start     Kind = iota // an element begins; its attributes follow
	Attribute             // an attribute of the element that began last
	Text                  // text in the open element; never twice in a row
	End                   // the open element ends
)

// A Token is a part of an event, in the order of the XML.
type Token struct {
	Kind Kind
	Name string // of Start, End and Attribute
	Text []byte // of Attribute and Text
}

// A Record is an event of a chunk.
type Record struct {
	ID      uint64
	Written int64 // the time at which it was written, µs since 1970 UTC
	// Event holds whole elements, usually one. Attributes and elements whose value
	// is optional and null are left out. An element that contains just an array is
	// repeated for each item. Event is valid until the next call of Next or Open.
	Event []Token
}

// A Reader reads the records of chunks. The zero value is ready for use. One Reader
// should be used for many chunks, because it keeps its memory. It must not be used
// by several goroutines at once.
type Reader struct {
	walk  walk
	want  int64 // number of records by the chunk's header, -1 if unknown
	found int64

	program   []step
	templates map[uint32]template // by their offset in the chunk
	literals  []byte
	steps     int // counts towards maxSteps
	names     map[string]string
	name      []byte // scratch

	record Record
	text   []byte
	values []value
	ran    int // counts towards maxRun
	work   int // counts towards maxWork, up to the last record
}

// A step is an instruction compiled from a token of binary XML.
type step struct {
	op    op
	index uint16 // of the value
	name  string
	text  []byte
}

type op uint8

const (
	opStart op = iota
	opAttribute
	opContent // the attributes have ended
	opText
	opValue    // a value is inserted here
	opOptional // a value is inserted here; if it is null, its attribute is left out
	opEnd
)

// A template is a range of the program; the end of a faulty one is negative.
type template struct{ first, end int }

// A value is a part of the chunk that is inserted into a template.
type value struct {
	kind   uint8
	at, to int
}

// Open starts reading a piece of a file. The piece must not change until the last
// record has been used. An error says what is wrong with the piece as a whole; its
// intact records can still be read. A header has no records and gives no error.
func (r *Reader) Open(piece []byte) error {
	r.walk.open(piece)
	r.program, r.literals, r.steps, r.work = r.program[:0], r.literals[:0], 0, 0
	if r.templates == nil || len(r.templates) > maxNames {
		r.templates = map[uint32]template{}
	}
	clear(r.templates)
	if r.names == nil || len(r.names) > maxNames {
		r.names = map[string]string{}
	}
	r.found, r.want = 0, -1
	if IsHeader(piece) {
		return nil
	}
	var err error
	r.want, err = r.walk.check()
	return err
}

// Next returns the next record, or io.EOF if there is none. Any other error stands
// for one or more lost records, and Next may be called again.
func (r *Reader) Next() (*Record, error) {
	record, ok, err := r.walk.next()
	if !ok {
		return nil, io.EOF
	}
	r.found++
	if err != nil {
		return nil, err
	}
	r.record.ID = binary.LittleEndian.Uint64(record[8:])
	r.record.Written = (int64(binary.LittleEndian.Uint64(record[16:])>>1) - epoch/2) / 5
	r.record.Event = r.record.Event[:0]
	if r.text == nil {
		r.text = make([]byte, 0, 4096) // an empty text is not nil
	}
	r.text, r.values, r.ran = r.text[:0], r.values[:0], 0
	// Offsets in binary XML count from the start of the chunk.
	end := r.walk.at - 4
	err = errLimit
	if r.work < maxWork {
		err = r.fragment(r.walk.at-len(record)+recordHeader, end, 0)
	}
	r.work += r.ran + (len(r.text)+len(r.record.Event))/16
	if err != nil {
		return nil, err
	}
	return &r.record, nil
}

// Missing returns how many records of the chunk's header Next did not return,
// neither as a record nor as an error: records lost to damage that Next reported as
// one error. Call it after io.EOF.
func (r *Reader) Missing() int64 { return max(0, r.want-r.found) }

// The tokens of binary XML, without the bit that says that more follows.
const (
	tokenEOF = iota
	tokenStart
	tokenCloseStart
	tokenCloseEmpty
	tokenEnd
	tokenValue
	tokenAttribute
	tokenCDATA
	tokenCharRef
	tokenEntityRef
	tokenPITarget
	tokenPIData
	tokenTemplate
	tokenSubstitution
	tokenOptional
	tokenFragment

	tokenMore = 0x40
)

// fragment adds the binary XML in chunk[at:end] to the event.
func (r *Reader) fragment(at, end, nested int) error {
	if nested == maxNested {
		return errLimit
	}
	c := r.walk.chunk
	for at < end {
		if r.ran++; r.ran > maxRun {
			return errLimit
		}
		switch c[at] &^ tokenMore {
		case tokenEOF:
			return nil
		case tokenFragment:
			at += 4
		case tokenTemplate:
			var err error
			if at, err = r.instance(at, end, nested); err != nil {
				return err
			}
		case tokenStart:
			first := len(r.program)
			next, err := r.compile(at, end, false)
			if err != nil {
				return err
			}
			if err := r.run(template{first, len(r.program)}, len(r.values), nested); err != nil {
				return err
			}
			at = next
		case tokenPITarget, tokenPIData:
			next, err := r.instruction(at, end)
			if err != nil {
				return err
			}
			at = next
		default:
			return errXML
		}
	}
	return nil
}

// instance runs the template that chunk[at] names, with the values that follow it.
func (r *Reader) instance(at, end, nested int) (next int, err error) {
	c := r.walk.chunk
	if at+10 > end {
		return 0, errXML
	}
	offset := binary.LittleEndian.Uint32(c[at+6:])
	at += 10
	const definition = 24 // next offset, GUID, size
	if int64(offset)+definition > int64(len(c)) {
		return 0, errXML
	}
	t, known := r.templates[offset]
	body := int(offset) + definition
	size := binary.LittleEndian.Uint32(c[body-4:])
	if int64(body)+int64(size) > int64(len(c)) {
		return 0, errXML
	}
	if int(offset) == at {
		at = body + int(size)
	}
	if !known {
		t.first = len(r.program)
		from := body
		if from < len(c) && c[from] == tokenFragment {
			from += 4
		}
		if _, err := r.compile(from, body+int(size), true); err != nil {
			r.templates[offset] = template{end: -1}
			return 0, err
		}
		t.end = len(r.program)
		r.templates[offset] = t
	}
	if t.end < 0 {
		return 0, errXML
	}
	if at+4 > end {
		return 0, errXML
	}
	n := int64(binary.LittleEndian.Uint32(c[at:]))
	at += 4
	if n > int64(end-at)/4 {
		return 0, errXML
	}
	if r.ran += int(n) / 16; r.ran > maxRun {
		return 0, errLimit
	}
	first := len(r.values)
	to := at + 4*int(n)
	for ; n > 0; n-- {
		size := int(binary.LittleEndian.Uint16(c[at:]))
		if size > end-to {
			return 0, errXML
		}
		r.values = append(r.values, value{c[at+2], to, to + size})
		to += size
		at += 4
	}
	err = r.run(t, first, nested)
	r.values = r.values[:first]
	return to, err
}

// instruction returns the end of a processing instruction.
func (r *Reader) instruction(at, end int) (next int, err error) {
	if r.walk.chunk[at]&^tokenMore == tokenPITarget {
		_, next, err = r.nameAt(at+1, end)
		return next, err
	}
	_, next, err = r.counted(at+1, end)
	return next, err
}

// nameAt returns the name that the offset at chunk[at] refers to, and the place
// after that offset. If the name itself is stored there, it returns the place after
// the name.
func (r *Reader) nameAt(at, end int) (name string, next int, err error) {
	c := r.walk.chunk
	if at < 0 || at+4 > end {
		return "", 0, errXML
	}
	offset := int64(binary.LittleEndian.Uint32(c[at:]))
	at += 4
	const header = 8 // next offset, hash, count
	if offset+header > int64(len(c)) {
		return "", 0, errXML
	}
	from := int(offset) + header
	n := int(binary.LittleEndian.Uint16(c[from-2:]))
	to := from + 2*n
	if n == 0 || n > maxName || to+2 > len(c) {
		return "", 0, errXML
	}
	if int(offset) == at {
		if at = to + 2; at > end { // a NUL ends it
			return "", 0, errXML
		}
	}
	r.name = appendUTF16(r.name[:0], c[from:to])
	name, known := r.names[string(r.name)]
	if !known {
		name = string(r.name)
		r.names[name] = name
	}
	return name, at, nil
}

// inline reports whether the name whose offset is at chunk[at] is stored right
// after that offset.
func (r *Reader) inline(at, end int) bool {
	return at+4 <= end && int64(binary.LittleEndian.Uint32(r.walk.chunk[at:])) == int64(at)+4
}

// counted returns the counted string at chunk[at], as it is written, and its end.
func (r *Reader) counted(at, end int) (text []byte, next int, err error) {
	c := r.walk.chunk
	if at+2 > end {
		return nil, 0, errXML
	}
	n := 2 * int(binary.LittleEndian.Uint16(c[at:]))
	if at += 2; at+n > end {
		return nil, 0, errXML
	}
	return c[at : at+n], at + n, nil
}

// stringAt returns the counted string at chunk[at] and its end.
func (r *Reader) stringAt(at, end int) (text []byte, next int, err error) {
	raw, next, err := r.counted(at, end)
	if err != nil {
		return nil, 0, err
	}
	start := len(r.literals)
	r.literals = appendUTF16(r.literals, raw)
	return r.literals[start:], next, nil
}

// compile adds the element at chunk[at] to the program, and returns the element's
// end. It adds nothing if there is an error. depends says whether elements have a dependency
// number, as the elements of templates do.
func (r *Reader) compile(at, end int, depends bool) (next int, err error) {
	program, literals := len(r.program), len(r.literals)
	defer func() {
		if err != nil {
			r.program, r.literals = r.program[:program], r.literals[:literals]
		}
	}()
	c := r.walk.chunk
	var open [maxDepth]string
	depth := 0
	tag := false // in the start tag of an element
	for at < end {
		if r.steps++; r.steps > maxSteps {
			return 0, errLimit
		}
		token := c[at] &^ tokenMore
		if tag {
			switch token {
			case tokenAttribute, tokenValue, tokenCharRef, tokenEntityRef, tokenSubstitution, tokenOptional, tokenCloseStart, tokenCloseEmpty:
			default:
				return 0, errXML
			}
		}
		switch token {
		case tokenStart:
			from := at + 5 // after the size
			if depends {
				from += 2
			}
			if other := 2*at + 12 - from; !r.inline(from, end) && r.inline(other, end) {
				depends, from = !depends, other // writers differ
			}
			name, to, err := r.nameAt(from, end)
			if err != nil {
				return 0, err
			}
			if depth == maxDepth {
				return 0, errLimit
			}
			open[depth] = name
			depth++
			tag = true
			r.program = append(r.program, step{op: opStart, name: name})
			if c[at]&tokenMore != 0 {
				to += 4 // size of the attributes
			}
			at = to
		case tokenAttribute:
			name, to, err := r.nameAt(at+1, end)
			if err != nil || !tag {
				return 0, errXML
			}
			r.program = append(r.program, step{op: opAttribute, name: name})
			at = to
		case tokenCloseStart:
			if !tag {
				return 0, errXML
			}
			tag = false
			r.program = append(r.program, step{op: opContent})
			at++
		case tokenCloseEmpty, tokenEnd:
			if tag != (token == tokenCloseEmpty) || depth == 0 {
				return 0, errXML
			}
			tag = false
			depth--
			r.program = append(r.program, step{op: opEnd, name: open[depth]})
			if at++; depth == 0 {
				return at, nil
			}
		case tokenValue:
			if at+2 > end || c[at+1] != typeString {
				return 0, errXML
			}
			text, to, err := r.stringAt(at+2, end)
			if err != nil {
				return 0, err
			}
			r.program = append(r.program, step{op: opText, text: text})
			at = to
		case tokenCDATA:
			text, to, err := r.stringAt(at+1, end)
			if err != nil {
				return 0, err
			}
			r.program = append(r.program, step{op: opText, text: text})
			at = to
		case tokenCharRef:
			if at+3 > end {
				return 0, errXML
			}
			start := len(r.literals)
			r.literals = utf8.AppendRune(r.literals, rune(binary.LittleEndian.Uint16(c[at+1:])))
			r.program = append(r.program, step{op: opText, text: r.literals[start:]})
			at += 3
		case tokenEntityRef:
			name, to, err := r.nameAt(at+1, end)
			if err != nil {
				return 0, err
			}
			r.program = append(r.program, step{op: opText, text: entity(name)})
			at = to
		case tokenPITarget, tokenPIData:
			if at, err = r.instruction(at, end); err != nil {
				return 0, err
			}
		case tokenSubstitution, tokenOptional:
			if at+4 > end {
				return 0, errXML
			}
			s := step{op: opValue, index: binary.LittleEndian.Uint16(c[at+1:])}
			if token == tokenOptional {
				s.op = opOptional
			}
			r.program = append(r.program, s)
			at += 4
		default:
			return 0, errXML
		}
	}
	return 0, errXML
}

// entity returns the text of an entity reference.
func entity(name string) []byte {
	switch name {
	case "amp":
		return []byte("&")
	case "lt":
		return []byte("<")
	case "gt":
		return []byte(">")
	case "quot":
		return []byte(`"`)
	case "apos":
		return []byte("'")
	}
	return []byte("&" + name + ";")
}

// run adds the tokens of a template to the event; its values are r.values[first:].
func (r *Reader) run(t template, first, nested int) error {
	n := len(r.values) - first
	attribute := false // an attribute is open
	element := 0       // where the open element begins in the event
	for i := t.first; i < t.end; i++ {
		s := &r.program[i]
		if r.ran++; r.ran > maxRun || len(r.record.Event) > maxTokens || len(r.text) > maxText {
			return errLimit
		}
		switch s.op {
		case opStart:
			attribute = false
			element = len(r.record.Event)
			r.record.Event = append(r.record.Event, Token{Kind: Start, Name: s.name})
		case opAttribute:
			r.dropNull(attribute)
			attribute = true
			r.record.Event = append(r.record.Event, Token{Kind: Attribute, Name: s.name})
		case opContent:
			r.dropNull(attribute)
			attribute = false
		case opEnd:
			r.dropNull(attribute)
			attribute = false
			r.record.Event = append(r.record.Event, Token{Kind: End, Name: s.name})
		case opText:
			r.say(s.text, attribute)
		case opValue, opOptional:
			var v value
			if int(s.index) < n {
				v = r.values[first+int(s.index)]
			}
			raw := r.walk.chunk[v.at:v.to]
			switch {
			case v.kind == typeNull:
				switch {
				case s.op == opValue && attribute:
					r.say(nil, true)
				case s.op == opOptional && !attribute && i > t.first && r.program[i-1].op == opContent && r.program[i+1].op == opEnd:
					// Leave out an element whose only content would be this null
					// value.
					r.record.Event = r.record.Event[:element]
					i++
				}
			case v.kind == typeXML && !attribute:
				if err := r.fragment(v.at, v.to, nested+1); err != nil {
					return err
				}
			case v.kind&typeArray != 0:
				if err := r.array(v.kind&^typeArray, raw, attribute, element, i+1 < t.end && r.program[i+1].op == opEnd); err != nil {
					return err
				}
			default:
				start := len(r.text)
				r.text = appendValue(r.text, v.kind, raw)
				r.said(start, attribute)
			}
		}
	}
	return nil
}

// dropNull removes the open attribute if it has no value at all.
func (r *Reader) dropNull(attribute bool) {
	if last := len(r.record.Event) - 1; attribute && r.record.Event[last].Text == nil {
		r.record.Event = r.record.Event[:last]
	}
}

// array adds the items of an array. If the array is the only content of the
// element, which begins at token element of the event, the element is repeated for
// each item. Otherwise the items are joined with commas.
func (r *Reader) array(kind uint8, items []byte, attribute bool, element int, last bool) error {
	event := r.record.Event
	repeat := !attribute && last && len(event) > 0
	for i := element + 1; i < len(event); i++ {
		repeat = repeat && event[i].Kind == Attribute
	}
	tag := len(event)
	for first := true; len(items) > 0; first = false {
		var item []byte
		item, items = cutItem(kind, items)
		switch {
		case first:
		case repeat:
			r.record.Event = append(r.record.Event, Token{Kind: End, Name: event[element].Name})
			r.record.Event = append(r.record.Event, r.record.Event[element:tag]...)
		default:
			r.say([]byte(", "), attribute)
		}
		start := len(r.text)
		r.text = appendValue(r.text, kind, item)
		r.said(start, attribute)
		if len(r.record.Event) > maxTokens || len(r.text) > maxText {
			return errLimit
		}
	}
	return nil
}

// say adds text to the open attribute, or to the element.
func (r *Reader) say(text []byte, attribute bool) {
	start := len(r.text)
	r.text = append(r.text, text...)
	r.said(start, attribute)
}

// said adds r.text[start:] in the same way.
func (r *Reader) said(start int, attribute bool) {
	event := r.record.Event
	last := len(event) - 1
	switch {
	case last >= 0 && (attribute || event[last].Kind == Text):
		// The previous text ends where this one begins.
		start -= len(event[last].Text)
		event[last].Text = r.text[start:]
	case start < len(r.text):
		r.record.Event = append(event, Token{Kind: Text, Text: r.text[start:]})
	}
}
