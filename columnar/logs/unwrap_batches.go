package logs

import (
	"bytes"
	"encoding/base64"
	"io"
	"slices"

	"outflow/columnar/scan"
)

// Batches: JSON objects in which a collector or a query hands over many records, below what
// they share. Each record becomes an object on a line of its own, which is a wrapper like any
// other: so all dialects are read in batches.

// A batchForm is how batches are written.
type batchForm struct {
	marks   []string // one is a key near the beginning
	arrays  []string // keys of arrays whose elements are records
	context []string // keys of what the records share
	// append appends what an element is as an object, nil if it is none.
	append func(b *batchReader, dst, element []byte) []byte
	query  *queryForm // batches are what a query answers; else nil
}

// batchForms lists the forms, but for those of queries.
var batchForms = []*batchForm{
	{ // OpenTelemetry: resourceLogs[].scopeLogs[].logRecords[]
		marks:   []string{"resourceLogs", "resource_logs"},
		arrays:  []string{"logRecords", "log_records"},
		context: []string{"resource"},
		append:  appendLogRecord,
	},
	{ // Loki: streams[].values[], each a time in ns and a line
		marks:   []string{"streams", "resultType"},
		arrays:  []string{"values", "entries"},
		context: []string{"stream", "labels"},
		append:  appendLokiLine,
	},
	{ // Elasticsearch, several searches or one that runs in the background: responses[].hits.hits[]
		marks:  []string{"responses", "response", "rawResponse"},
		arrays: []string{"hits"},
		append: appendObject,
	},
	{ // Datadog: data[].attributes
		marks:  []string{"data"},
		arrays: []string{"data"},
		append: func(_ *batchReader, dst, element []byte) []byte {
			if m := memberOf(element, "attributes"); m.Is('{') && string(memberOf(element, "type")) == `"log"` {
				return append(dst, m...)
			}
			return nil
		},
	},
	{ // Sumo Logic: messages[].map; Graylog: messages[].message
		marks:   []string{"messages"},
		arrays:  []string{"messages"},
		context: nil,
		append: func(_ *batchReader, dst, element []byte) []byte {
			if m := memberOf(element, "map", "message"); m.Is('{') {
				return append(dst, m...)
			}
			return nil
		},
	},
}

// markWithin is how near the beginning a mark stands, and tryWithin how much of an object is
// read to find the first record of its batch, in bytes.
const (
	markWithin = 512
	tryWithin  = 16 << 10
)

// batchFormOf returns the form of the batches that head begins with, nil if it is none.
func batchFormOf(head []byte) *batchForm {
	start := bytes.TrimLeft(head, " \t\r\n")
	if len(start) == 0 || start[0] != '{' && start[0] != '[' {
		return nil
	}
	for _, f := range batchForms {
		if !slices.ContainsFunc(f.marks, func(mark string) bool {
			at := bytes.Index(start[:min(len(start), markWithin)], []byte(mark))
			return at > 0 && start[at-1] == '"' && len(start) > at+len(mark) && start[at+len(mark)] == '"'
		}) {
			continue
		}
		b := batchReader{batchForm: f}
		if b.shape(head[:min(len(head), tryWithin)]); b.records > 0 {
			return f
		}
	}
	if f := queryFormOf(head); f != nil {
		return &batchForm{query: f}
	}
	return nil
}

// A batchReader reads batches as one record a line. A malformed record becomes a line
// that no decoder accepts, so that it is counted; so does an object without records.
type batchReader struct {
	*batchForm
	made
	src     io.Reader
	in      []byte
	rest    []byte // of in, not looked at yet
	ended   error  // of src
	records int64

	open    []byte // brackets around the place, outermost first
	array   int    // how many are open within the array of records; 0: in none
	within  bool   // the object at hand has had an array of records
	stray   bool   // in a line that is no JSON
	keyed   bool   // a key has come, and its value follows
	text    bool   // in a string
	escape  bool   // behind a backslash
	key     []byte // the last key
	capture int    // how many brackets are open around the value that is kept; 0: none is
	taken   taking // what that value is
	long    bool   // and longer than it may be
	value   []byte
	shared  []byte // the context of the records
	copied  []byte
	answer  query
}

// A taking is what a value that is kept is.
type taking uint8

const (
	takeRow     taking = iota // a record
	takeContext               // what records share
	takeNames                 // the names of columns
	takeColumns               // columns
)

func (b *batchReader) Read(p []byte) (int, error) {
	return b.read(p, func() error {
		if b.in == nil {
			b.in = make([]byte, headSize)
		}
		for len(b.out) < headSize {
			switch {
			case b.answer.waits():
				b.hand()
			case len(b.rest) > 0:
				b.rest = b.rest[b.shape(b.rest):]
			case b.ended == io.EOF && len(b.open) > 0:
				b.damaged()
			case b.ended != nil:
				return b.ended
			default:
				var n int
				n, b.ended = b.src.Read(b.in)
				b.rest = b.in[:n]
			}
		}
		return nil
	})
}

// shape adds the records that end in text to out, and returns how much of it was looked at: not all if much
// is to be handed on first.
func (b *batchReader) shape(text []byte) int {
	for i := 0; i < len(text); {
		if len(b.out) >= headSize || b.answer.waits() {
			return i
		}
		c := text[i]
		if b.text {
			end := i
			for end < len(text) && (b.escape || text[end] != '"' && text[end] != '\n') {
				b.escape = !b.escape && text[end] == '\\'
				end++
			}
			b.keep(text[i:min(end+1, len(text))])
			if !b.keyed && b.capture == 0 && len(b.key)+end-i <= maxKeyLen {
				b.key = append(b.key, text[i:end]...)
			}
			if b.keyed && b.query != nil {
				b.answer.says(b.key, text[i:end])
			}
			if i = end + 1; end == len(text) {
				return end
			}
			if b.text = false; text[end] == '\n' {
				b.damaged()
			} else if b.keyed {
				b.answer.said(len(b.open))
			}
			continue
		}
		i++
		if c == '\n' {
			b.stray = false
			continue
		}
		if b.stray {
			continue
		}
		if len(b.open) == 0 && bytes.IndexByte([]byte(" \t\r,{["), c) < 0 { // a line that is no JSON
			b.stray = true
			b.malformed()
			continue
		}
		switch c {
		case ' ', '\t', '\r':
			continue
		case '"':
			b.text = true
			if !b.keyed && b.capture == 0 {
				b.key = b.key[:0]
			}
		case ':':
			b.keyed = true
		case ',':
			b.keyed = false
		case '{', '[':
			b.begin(c)
			continue
		case '}', ']':
			b.keep(text[i-1 : i])
			b.close(c)
			continue
		}
		b.keep(text[i-1 : i])
	}
	return len(text)
}

// begin begins an object or array.
func (b *batchReader) begin(bracket byte) {
	is := func(keys []string) bool {
		return b.keyed && slices.ContainsFunc(keys, func(k string) bool { return string(b.key) == k })
	}
	switch depth := len(b.open); {
	case b.capture > 0:
	case b.array > 0 && depth == b.array:
		b.take(takeRow)
	case b.query != nil:
		b.beginQuery(bracket)
	case is(b.arrays) && bracket == '[':
		b.array, b.within = depth+1, true
	case is(b.context):
		b.take(takeContext)
	}
	b.open = append(b.open, bracket)
	b.keyed = false
	b.keep([]byte{bracket})
}

// take begins to keep the value that begins.
func (b *batchReader) take(as taking) {
	b.capture, b.taken, b.value, b.long = len(b.open)+1, as, b.value[:0], false
}

// close ends an object or array.
func (b *batchReader) close(bracket byte) {
	depth := len(b.open)
	if depth == 0 || b.open[depth-1] != bracket-2 { // in ASCII, a bracket's partner
		b.damaged()
		return
	}
	b.keyed = false
	b.open = b.open[:depth-1]
	switch {
	case b.capture == depth:
		b.capture = 0
		if b.kept(); depth > 1 {
			return
		}
	case b.capture > 0:
		return
	case b.array == depth:
		b.array = 0
	}
	if depth == 1 {
		if !b.within {
			b.malformed()
		}
		b.within, b.shared = false, b.shared[:0]
	}
	if b.query != nil && (depth == 1 || b.open[depth-2] == '[') {
		b.left(depth - 1)
	}
}

// kept does what a value that was kept is for.
func (b *batchReader) kept() {
	switch b.taken {
	case takeRow:
		b.row()
	case takeContext:
		b.shared = append(b.shared[:0], b.value...)
	case takeNames:
		b.named(b.value)
	case takeColumns:
		b.columns(b.value)
	}
}

// keep adds text to the value that is kept.
func (b *batchReader) keep(text []byte) {
	if b.capture == 0 || b.long {
		return
	}
	most := MaxRecord
	if b.taken == takeColumns {
		most = maxHeld
	}
	if b.long = len(b.value)+len(text) > most; !b.long {
		b.value = append(b.value, text...)
	}
}

// row hands on the record that is kept.
func (b *batchReader) row() {
	switch {
	case b.long:
		b.malformed()
	case b.query != nil:
		b.queryRow(b.value)
	default:
		out := b.append(b, b.out, b.value)
		b.record(out, out != nil)
	}
}

// record hands on what was appended to out as a record.
func (b *batchReader) record(out []byte, sound bool) {
	if !sound {
		b.malformed()
		return
	}
	flatten(out[len(b.out):])
	b.out = append(out, '\n')
	b.records++
}

// malformed hands on a line that no decoder accepts.
func (b *batchReader) malformed() { b.out = append(b.out, malformedBlock...) }

// damaged begins anew behind broken JSON.
func (b *batchReader) damaged() {
	b.malformed()
	b.left(0)
	b.open, b.array, b.capture, b.within, b.keyed, b.text, b.escape = b.open[:0], 0, 0, false, false, false, false
	b.shared = b.shared[:0]
}

// memberOf returns the value of an object's first member with one of these keys, in their order;
// nil if it has none.
func memberOf(object []byte, keys ...string) (found scan.Value) {
	at := len(keys)
	var w scan.Walker
	for w.Open(object); w.InObject() && w.Next(); {
		for i, key := range keys[:at] {
			if string(w.Key) == key && !w.Val.Is('n') {
				found, at = w.Val, i
				break
			}
		}
	}
	return found
}

// appendMembers appends the members of an object to the one that dst ends with.
func appendMembers(dst []byte, object []byte) []byte {
	if inner := bytes.TrimSpace(object[1 : len(object)-1]); len(inner) > 0 {
		return append(append(dst, inner...), ',')
	}
	return dst
}

func appendLokiLine(b *batchReader, dst, element []byte) []byte {
	dst = append(dst, '{')
	if len(b.shared) > 0 && b.shared[0] == '{' && isJSON(b.shared) {
		dst = appendMembers(dst, b.shared)
	}
	stamp, line := memberOf(element, "ts", "timestamp"), memberOf(element, "line")
	if element[0] == '[' {
		var w scan.Walker
		for i := 0; i < 2; i++ {
			if i == 0 {
				w.Open(element)
			}
			if !w.Next() {
				return nil
			}
			if i == 0 {
				stamp = w.Val
			} else {
				line = w.Val
			}
		}
	}
	if !stamp.Is('"') || !line.Is('"') {
		return nil
	}
	dst = append(append(dst, `"timestamp":`...), stamp...)
	return append(append(append(dst, `,"message":`...), line...), '}')
}

// appendLogRecord appends a record of OpenTelemetry: its attributes, and what was logged as the
// message.
func appendLogRecord(b *batchReader, dst, element []byte) []byte {
	if !isJSON(element) {
		return nil
	}
	dst = append(dst, '{')
	if len(b.shared) > 0 && isJSON(b.shared) {
		var w scan.Walker
		for w.Open(memberOf(b.shared, "attributes")); w.InArray() && w.Next(); {
			if key := memberOf(w.Val, "key"); string(key) == `"host.name"` {
				dst = appendOTLP(append(dst, `"host":`...), memberOf(w.Val, "value"), 0)
				dst = append(dst, ',')
			}
		}
	}
	if inner := appendOTLP(b.copied[:0], scan.Value(`{"kvlistValue":{"values":`+string(memberOf(element, "attributes"))+`}}`), 0); isJSON(inner) {
		b.copied = inner
		dst = appendMembers(dst, inner)
	}
	stamp := memberOf(element, "timeUnixNano", "time_unix_nano")
	if len(stamp) == 0 || string(stamp) == `"0"` || string(stamp) == "0" {
		stamp = memberOf(element, "observedTimeUnixNano", "observed_time_unix_nano")
	}
	if len(stamp) > 0 {
		dst = append(append(append(dst, `"timestamp":`...), stamp...), ',')
	}
	if body := memberOf(element, "body"); len(body) > 0 {
		return append(appendOTLP(append(dst, `"message":`...), body, 0), '}')
	}
	if dst[len(dst)-1] == ',' {
		dst = dst[:len(dst)-1]
	}
	return append(dst, '}')
}

// appendOTLP appends a value of OpenTelemetry, which is an object that says its type.
func appendOTLP(dst []byte, v scan.Value, depth int) []byte {
	const null = "null"
	if depth == maxPrinted || !v.Is('{') {
		return append(dst, null...)
	}
	var w scan.Walker
	if w.Open(v); !w.Next() {
		return append(dst, null...)
	}
	switch string(w.Key) {
	case "arrayValue", "array_value":
		dst = append(dst, '[')
		begin := len(dst)
		for w.Open(memberOf(w.Val, "values")); w.InArray() && w.Next(); {
			if len(dst) > begin {
				dst = append(dst, ',')
			}
			dst = appendOTLP(dst, w.Val, depth+1)
		}
		return append(dst, ']')
	case "kvlistValue", "kvlist_value":
		dst = append(dst, '{')
		begin := len(dst)
		for w.Open(memberOf(w.Val, "values")); w.InArray() && w.Next(); {
			key := memberOf(w.Val, "key")
			if !key.Is('"') {
				continue
			}
			if len(dst) > begin {
				dst = append(dst, ',')
			}
			dst = appendOTLP(append(append(dst, key...), ':'), memberOf(w.Val, "value"), depth+1)
		}
		return append(dst, '}')
	case "bytesValue", "bytes_value":
		var scratch []byte
		text, err := base64.StdEncoding.DecodeString(string(w.Text(&scratch)))
		if err == nil {
			return appendString(dst, text)
		}
	}
	if w.Val.Is('{') || w.Val.Is('[') {
		return append(dst, null...)
	}
	return append(dst, w.Val...)
}

// appendObject appends an element that is an object.
func appendObject(_ *batchReader, dst, element []byte) []byte {
	if element[0] != '{' {
		return nil
	}
	return append(dst, element...)
}
