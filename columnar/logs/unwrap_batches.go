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
}

// batchForms lists the forms.
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
	{ // what a query answers: columns, and rows of values
		marks:   []string{"columns", "Columns", "fields", "rowType", "results"},
		arrays:  []string{"rows", "Rows", "values", "data", "results"},
		context: []string{"columns", "Columns", "fields", "rowType"},
		append:  appendRow,
	},
	{ // Elasticsearch, several searches or one that runs in the background: responses[].hits.hits[]
		marks:  []string{"responses", "response", "rawResponse"},
		arrays: []string{"hits"},
		append: appendObject,
	},
	{ // BigQuery: rows[].f[].v
		marks:   []string{"kind", "schema"},
		arrays:  []string{"rows"},
		context: []string{"schema"},
		append:  appendBigQueryRow,
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
	return nil
}

// A batchReader reads batches as one record a line. A malformed record becomes a line
// that no decoder accepts, so that it is counted; so does an object without records.
type batchReader struct {
	*batchForm
	made
	src     io.Reader
	in      []byte
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
	isRow   bool   // that value is a record
	long    bool   // and longer than MaxRecord
	value   []byte
	shared  []byte // the context of the records
	table   *tableHead
	scratch []byte
	copied  []byte
	cells   [][]byte
}

func (b *batchReader) Read(p []byte) (int, error) {
	return b.read(p, func() error {
		if b.in == nil {
			b.in = make([]byte, headSize)
		}
		n, err := b.src.Read(b.in)
		b.shape(b.in[:n])
		if err == io.EOF && len(b.open) > 0 {
			b.damaged()
		}
		return err
	})
}

// shape adds the records that end in text to out.
func (b *batchReader) shape(text []byte) {
	for i := 0; i < len(text); {
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
			if i = end + 1; end == len(text) {
				return
			}
			if b.text = false; text[end] == '\n' {
				b.damaged()
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
}

// begin begins an object or array.
func (b *batchReader) begin(bracket byte) {
	is := func(keys []string) bool {
		return b.keyed && slices.ContainsFunc(keys, func(k string) bool { return string(b.key) == k })
	}
	switch depth := len(b.open); {
	case b.capture > 0:
	case b.array > 0 && depth == b.array:
		b.capture, b.isRow, b.value, b.long = depth+1, true, b.value[:0], false
	case is(b.arrays) && bracket == '[':
		b.array, b.within = depth+1, true
	case is(b.context):
		b.capture, b.isRow, b.value, b.long = depth+1, false, b.value[:0], false
	}
	b.open = append(b.open, bracket)
	b.keyed = false
	b.keep([]byte{bracket})
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
	case b.capture == depth && b.isRow:
		b.capture = 0
		b.row()
	case b.capture == depth:
		b.capture = 0
		b.shared, b.table = append(b.shared[:0], b.value...), nil
	case b.array == depth:
		b.array = 0
	case depth == 1:
		if !b.within {
			b.malformed()
		}
		b.within, b.shared, b.table = false, b.shared[:0], nil
	}
}

// keep adds text to the value that is kept.
func (b *batchReader) keep(text []byte) {
	if b.capture == 0 || b.long {
		return
	}
	if b.long = len(b.value)+len(text) > MaxRecord; !b.long {
		b.value = append(b.value, text...)
	}
}

// row hands on the record that is kept.
func (b *batchReader) row() {
	begin := len(b.out)
	var out []byte
	if !b.long {
		out = b.append(b, b.out, b.value)
	}
	if out == nil {
		b.out = b.out[:begin]
		b.malformed()
		return
	}
	flatten(out[begin:])
	b.out = append(out, '\n')
	b.records++
}

// malformed hands on a line that no decoder accepts.
func (b *batchReader) malformed() { b.out = append(b.out, malformedBlock...) }

// damaged begins anew behind broken JSON.
func (b *batchReader) damaged() {
	b.malformed()
	b.open, b.array, b.capture, b.within, b.keyed, b.text, b.escape = b.open[:0], 0, 0, false, false, false, false
	b.shared, b.table = b.shared[:0], nil
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

// appendRow appends a row as an object: of values, whose columns the context names, or of
// objects that name their column.
func appendRow(b *batchReader, dst, element []byte) []byte {
	if element[0] != '[' {
		return nil
	}
	b.cells, b.scratch = b.cells[:0], b.scratch[:0]
	var names []string // of cells that name themselves
	var w scan.Walker
	for w.Open(element); w.Next(); {
		v := w.Val
		if v.Is('{') {
			if field := memberOf(v, "field"); field.Is('"') && memberOf(v, "value") != nil {
				names = append(names, string(field.Text(&b.scratch)))
				v = memberOf(v, "value")
			}
		}
		text := []byte(v)
		if !v.Is('{') && !v.Is('[') {
			text = v.Text(&b.scratch)
		}
		b.cells = append(b.cells, text)
	}
	if !w.Done() || len(b.cells) == 0 {
		return nil
	}
	if len(names) == len(b.cells) {
		b.table = &tableHead{}
		b.table.name(names)
	}
	if b.table == nil {
		if names = columnNames(b.shared); len(names) == 0 {
			return nil
		}
		b.table = &tableHead{}
		b.table.name(names)
	}
	if b.table.columns != len(b.cells) {
		return nil
	}
	cell := func(column int) []byte { return b.cells[column] }
	return append(b.table.object(append(dst, '{'), &b.table.root, cell), '}')
}

// appendObject appends an element that is an object.
func appendObject(_ *batchReader, dst, element []byte) []byte {
	if element[0] != '{' {
		return nil
	}
	return append(dst, element...)
}

// appendBigQueryRow appends a row as an object of the columns that the schema names.
func appendBigQueryRow(b *batchReader, dst, element []byte) []byte {
	return appendRecord(dst, memberOf(b.shared, "fields"), element, 0)
}

// appendRecord appends what BigQuery's API writes as {"f":[{"v":…},…]}, by the fields of its schema.
// Without a schema, and where records are too deep in each other, it is nil.
func appendRecord(dst, fields, record []byte, depth int) []byte {
	if depth > scan.MaxDepth {
		return nil
	}
	var names, cells scan.Walker
	names.Open(fields)
	cells.Open(memberOf(record, "f"))
	dst = append(dst, '{')
	for n := 0; names.InArray() && names.Next(); n++ {
		name := memberOf(names.Val, "name")
		if !name.Is('"') || !cells.InArray() || !cells.Next() {
			return nil
		}
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, name...), ':')
		if dst = appendCell(dst, memberOf(names.Val, "fields"), memberOf(cells.Val, "v"), depth); dst == nil {
			return nil
		}
	}
	if !names.Done() || cells.Next() || !cells.Done() {
		return nil
	}
	return append(dst, '}')
}

// appendCell appends the value of a column: a record if it has fields, or an array of such.
func appendCell(dst, fields []byte, value scan.Value, depth int) []byte {
	switch {
	case depth > scan.MaxDepth:
		return nil
	case value == nil:
		return append(dst, "null"...)
	case value.Is('['):
		var w scan.Walker
		dst = append(dst, '[')
		w.Open(value)
		for n := 0; w.Next(); n++ {
			if n > 0 {
				dst = append(dst, ',')
			}
			if dst = appendCell(dst, fields, memberOf(w.Val, "v"), depth+1); dst == nil {
				return nil
			}
		}
		return append(dst, ']')
	case value.Is('{'):
		return appendRecord(dst, fields, value, depth+1)
	}
	return append(dst, value...)
}

// columnNames returns the names of columns: texts, or objects that have one.
func columnNames(columns []byte) (names []string) {
	var w scan.Walker
	var scratch []byte
	for w.Open(columns); w.InArray() && w.Next(); {
		v := w.Val
		if v.Is('{') {
			v = memberOf(v, "name", "ColumnName", "Name", "columnName")
		}
		if !v.Is('"') {
			return nil
		}
		names = append(names, string(v.Text(&scratch)))
	}
	if !w.Done() {
		return nil
	}
	return names
}
