package logs

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"outflow/columnar/scan"
)

// Tables that consoles, queries and collectors export as CSV, each record as an object of
// JSON: so every dialect of JSON reads them, and a column that has the record as it was
// written is a wrapper like any other.

// A tableHead is the header of a table.
type tableHead struct {
	line    []byte // nil: there is none
	sep     byte
	columns int
	root    tableNode
	plain   bool // fields are not quoted, as in RFC 4180
}

// A tableNode is what a column is in the object, or an object that holds several.
type tableNode struct {
	key    []byte // with the quotes and the colon
	column int    // -1: an object
	// text says that the record as it was written may stand there. It stays a text, even if it
	// is JSON.
	text    bool
	utc     bool // the header says that times are UTC
	members []tableNode
}

// tableRecords are the columns that hold a record as it was written, and messages for people.
var tableRecords = []string{"_raw", "@message", "message", "msg", "log", "full_log", "event.original", "rawdata", "textpayload", "syslogmessage", "logmessage", "logentry", "renderedDescription", "line"}

// maxTableHeader is how long a header is, in bytes, and maxTableName the name of a column:
// longer text is not a header, or was made to cost time.
const (
	maxTableHeader = 32 << 10
	maxTableName   = 200
)

// utcMark stands behind the names of times in what Azure's portal exports; or another zone does.
const utcMark = " [UTC]"

// withoutZone returns a column's name without the zone behind it.
func withoutZone(name string) string {
	if at := strings.LastIndex(name, " ["); at > 0 && name[len(name)-1] == ']' {
		return name[:at]
	}
	return name
}

// tableHeadOf returns the header of the table that head begins with, nil if it is none.
func tableHeadOf(head []byte) *tableHead {
	rest := head[csvPreamble(head):]
	end := separatedEnd(rest)
	if end == 0 || end > maxTableHeader || rest[end-1] != '\n' {
		return nil
	}
	line := trimEOL(rest[:end])
	if len(line) == 0 || strings.IndexByte("{[<#", line[0]) >= 0 {
		return nil
	}
	h := &tableHead{line: bytes.Clone(line)}
	var names []string
	names, h.sep = csvColumns(line)
	if len(names) < 2 && names[0] != "_raw" || slices.ContainsFunc(names, notColumn) {
		return nil
	}
	record := bytes.TrimLeft(rest[end:], "\r\n")
	if end = separatedEnd(record); end == 0 || record[end-1] != '\n' {
		return nil
	}
	// The Event Viewer writes the message into a column that its header does not name.
	switch n := len(separatedFields(record[:end], h.sep)); n {
	case len(names):
	case len(names) + 1:
		names = append(names, "Message")
	default:
		return nil
	}
	h.name(names)
	return h
}

// notColumn reports whether a text is not the name of a column: it may be a field of a record
// whose table has no header, or the beginning of a line of another kind. One that is empty may
// be that of a row's number.
func notColumn(name string) bool {
	return len(name) > maxTableName || strings.ContainsAny(name, "={}<>\"\n") || strings.Contains(name, ": ") || len(name) > 0 && name[0]-'0' <= 9
}

// name makes the object of a record of columns of these names. Dots in a name lead into objects,
// unless the object is itself a column.
func (h *tableHead) name(names []string) {
	h.columns, h.root = len(names), tableNode{column: -1}
	has := make(map[string]bool, len(names))
	for _, name := range names {
		has[name] = true
	}
	for column, name := range names {
		bare := withoutZone(name)
		node := tableNode{column: column, utc: strings.HasSuffix(name, utcMark)}
		node.text = slices.ContainsFunc(tableRecords, func(record string) bool { return strings.EqualFold(bare, record) })
		in, rest := &h.root, bare
		for nests(has, bare) {
			first, behind, more := strings.Cut(rest, ".")
			if rest = behind; !more {
				rest = first
				break
			}
			in = in.inside(first)
		}
		node.key = appendKey(nil, rest)
		if bare != "" {
			in.members = append(in.members, node)
		}
	}
}

// nests reports whether the keys of a name lead into objects. names are those of all columns.
func nests(names map[string]bool, name string) bool {
	if strings.Count(name, ".") >= maxKeptDepth {
		return false
	}
	for at := 0; ; at++ {
		next := strings.IndexByte(name[at:], '.')
		if next < 0 {
			return at < len(name)
		}
		if at += next; next == 0 || names[name[:at]] || strings.HasPrefix(name[at:], ". ") {
			return false
		}
	}
}

// inside returns the object under a key, which it adds if there is none.
func (n *tableNode) inside(key string) *tableNode {
	quoted := appendKey(nil, key)
	for i := range n.members {
		if m := &n.members[i]; m.column < 0 && bytes.Equal(m.key, quoted) {
			return m
		}
	}
	n.members = append(n.members, tableNode{key: quoted, column: -1})
	return &n.members[len(n.members)-1]
}

// A tableLayer makes an object of each record of a table.
type tableLayer struct {
	*tableHead
	begun   bool // the header has come
	fields  scan.Fields
	record  []byte
	cellOf  func(dst []byte, m *tableNode) []byte
	out     []byte
	scratch []byte
}

func (l *tableLayer) unwrap(record []byte, e *envelope) ([]byte, bool, string) {
	if l.line != nil && (!l.begun || bytes.Equal(record, l.line)) {
		l.begun = l.begun || bytes.Equal(record, l.line)
		return nil, true, ""
	}
	other := byte('"')
	if l.plain {
		other = 0
	}
	l.fields.Reset(record, l.sep, other)
	if !l.fields.Next() {
		return nil, true, ""
	}
	switch n := l.fields.Ends[0]; {
	case n < l.columns && l.line != nil:
		return nil, false, tooFew
	case n > l.columns:
		return nil, false, tooMany
	}
	e.opened = true
	if l.record = record; l.cellOf == nil {
		l.cellOf = l.cell
	}
	l.out = append(l.object(append(l.out[:0], '{'), &l.root, l.cellOf), '}')
	return l.out, false, ""
}

// object appends the members that a record has of a node. cell appends the value of a column, nothing
// if the record has none.
func (h *tableHead) object(dst []byte, n *tableNode, cell func(dst []byte, m *tableNode) []byte) []byte {
	for i := range n.members {
		m := &n.members[i]
		begin := len(dst)
		if dst[begin-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(dst, m.key...)
		value := len(dst)
		if m.column < 0 {
			dst = h.object(append(dst, '{'), m, cell)
			if len(dst) == value+1 {
				dst = dst[:begin]
				continue
			}
			dst = append(dst, '}')
			continue
		}
		if dst = cell(dst, m); len(dst) == value {
			dst = dst[:begin]
		}
	}
	return dst
}

// cell appends what a field of the record at hand says.
func (l *tableLayer) cell(dst []byte, m *tableNode) []byte {
	if m.column >= l.fields.Ends[0] {
		return m.value(dst, nil)
	}
	cell := l.record[l.fields.Pos[m.column]+1 : l.fields.Pos[m.column+1]]
	if !l.plain {
		l.scratch = slices.Grow(l.scratch[:0], len(cell))
		cell = unquote(cell, l.scratch)
	}
	return m.value(dst, cell)
}

// value appends what a cell says, nothing if it is empty.
func (n *tableNode) value(dst, cell []byte) []byte {
	switch {
	case n.text: // no record is a record like any other
	case len(cell) == 0:
		return dst
	case cell[0] == '{' || cell[0] == '[':
		if isJSON(cell) {
			return append(dst, cell...)
		}
		if bytes.HasPrefix(cell, []byte("[{")) || cell[0] == '{' { // an address may stand in brackets
			if out, rest, ok := appendPrinted(dst, cell, 0); ok && len(rest) == 0 {
				return out
			}
		}
	case isNumber(cell):
		return append(dst, cell...)
	case isGrouped(cell):
		for _, c := range cell {
			if c != ',' {
				dst = append(dst, c)
			}
		}
		return dst
	}
	dst = appendString(dst, cell)
	if n.utc && len(cell) > 0 && (cell[len(cell)-1]-'0' <= 9 || cell[len(cell)-1] == 'M') {
		dst = append(dst[:len(dst)-1], ` UTC"`...)
	}
	return dst
}

// isNumber reports whether a text is a whole number as JSON writes it.
func isNumber(text []byte) bool {
	if len(text) > 15 || text[0] == '0' && len(text) > 1 {
		return false
	}
	for _, c := range text {
		if c-'0' > 9 {
			return false
		}
	}
	return true
}

// isGrouped reports whether a text is a whole number as Kibana shows it: 5,368,709,120.
func isGrouped(text []byte) bool {
	first := bytes.IndexByte(text, ',')
	if first < 1 || first > 3 || text[0] == '0' || (len(text)-first)%4 != 0 {
		return false
	}
	for i, c := range text {
		if c-'0' > 9 && (c != ',' || (i-first)%4 != 0) || c-'0' <= 9 && i >= first && (i-first)%4 == 0 {
			return false
		}
	}
	return true
}

// isJSON reports whether a text is a sound object or array.
func isJSON(text []byte) bool {
	var w scan.Walker
	for w.Open(text); w.Next(); {
	}
	return w.Done()
}

// maxPrinted is how deep structures nest that a query prints.
const maxPrinted = 8

// appendPrinted appends as JSON a structure as Trino, Athena and Spark print it: {name=value,
// list=[{name=value}], none=null}. Texts have no quotes there: one ends before a comma and
// another name, or the brace. rest is what is behind it.
func appendPrinted(dst, text []byte, depth int) (out, rest []byte, ok bool) {
	if depth == maxPrinted || len(text) == 0 {
		return nil, nil, false
	}
	switch text[0] {
	case '[':
		dst, text = append(dst, '['), text[1:]
		for first := true; len(text) > 0 && text[0] != ']'; first = false {
			if !first {
				if text, ok = bytes.CutPrefix(text, printedComma); !ok {
					return nil, nil, false
				}
				dst = append(dst, ',')
			}
			if len(text) == 0 || text[0] != '{' {
				end := bytes.IndexAny(text, ",]")
				if end < 0 {
					return nil, nil, false
				}
				dst, text = appendString(dst, text[:end]), text[end:]
			} else if dst, text, ok = appendPrinted(dst, text, depth+1); !ok {
				return nil, nil, false
			}
		}
		if len(text) == 0 {
			return nil, nil, false
		}
		return append(dst, ']'), text[1:], true
	case '{':
	default:
		return nil, nil, false
	}
	dst, text = append(dst, '{'), text[1:]
	for len(text) > 0 && text[0] != '}' {
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		size := printedName(text)
		if size == 0 {
			return nil, nil, false
		}
		dst, text = appendKey(dst, string(text[:size])), text[size+1:]
		if len(text) > 0 && (text[0] == '{' || text[0] == '[') {
			if dst, text, ok = appendPrinted(dst, text, depth+1); !ok {
				return nil, nil, false // as a text it would be looked at again at each level
			}
			text = bytes.TrimPrefix(text, printedComma)
			continue
		}
		end := printedEnd(text)
		if end < 0 {
			return nil, nil, false
		}
		if value := text[:end]; string(value) == "null" {
			dst = append(dst, value...)
		} else {
			dst = appendString(dst, value)
		}
		text = bytes.TrimPrefix(text[end:], printedComma)
	}
	if len(text) == 0 {
		return nil, nil, false
	}
	return append(dst, '}'), text[1:], true
}

var printedComma = []byte(", ")

// printedName returns the size of the name that text begins with, 0 if there is none with = behind
// it.
func printedName(text []byte) int {
	for i, c := range text {
		switch {
		case c == '=':
			return i
		case c|0x20-'a' >= 26 && c-'0' > 9 && c != '_' && c != '-':
			return 0
		}
	}
	return 0
}

// printedEnd returns where the value that text begins with ends, -1 if it does not.
func printedEnd(text []byte) int {
	for i, c := range text {
		switch {
		case c == '}', c == ',' && bytes.HasPrefix(text[i:], printedComma) && printedName(text[i+2:]) > 0:
			return i
		}
	}
	return -1
}

func appendKey(dst []byte, name string) []byte { return append(appendString(dst, []byte(name)), ':') }

// appendString appends text as a string of JSON. Bytes that are no UTF-8 stay.
func appendString(dst, text []byte) []byte {
	dst = append(dst, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c < ' ':
			dst = append(append(dst, `\u00`...), hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

const hexDigits = "0123456789abcdef"

// Snare, and what writes as it does, sends events of Windows as fields with tabs between them,
// behind a word that no other log has.

// snareWord stands before the fields, and escapedTab is a tab as rsyslog writes it.
var (
	snareWord  = []byte("MSWinEventLog")
	escapedTab = []byte("#011")
)

// snareHead says what the fields are. Some agents add more.
func snareHead() *tableHead {
	h := &tableHead{sep: '\t', plain: true}
	names := []string{"Criticality", "LogName", "Counter", "EventTime", "EventID", "SourceName", "Account", "AccountType", "EventType", "Computer", "Category", "Data", "Message"}
	for i := range 8 {
		names = append(names, "Further"+strconv.Itoa(i))
	}
	h.name(names)
	return h
}

// A snareLayer makes an object of an event. Other lines are left as they are.
type snareLayer struct {
	tableLayer
	tabs []byte
}

func (l *snareLayer) unwrap(record []byte, e *envelope) ([]byte, bool, string) {
	fields, ok := cutSnare(record)
	if !ok {
		return record, false, ""
	}
	if bytes.HasPrefix(fields, escapedTab) {
		l.tabs = append(l.tabs[:0], bytes.ReplaceAll(fields, escapedTab, []byte{'\t'})...)
		fields = l.tabs
	}
	return l.tableLayer.unwrap(fields[1:], e)
}

// cutSnare returns the fields of an event with the tab before them.
func cutSnare(line []byte) (fields []byte, ok bool) {
	at := bytes.Index(line, snareWord)
	if at < 0 {
		return nil, false
	}
	fields = line[at+len(snareWord):]
	return fields, bytes.HasPrefix(fields, escapedTab) || len(fields) > 0 && fields[0] == '\t'
}
