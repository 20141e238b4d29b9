package logs

import (
	"bufio"
	"bytes"
	"io"
	"slices"
	"time"

	"outflow/columnar/scan"
)

// Records that a tool prints over several lines, each as one line of JSON. The wrappers' turn
// comes later: nobody wraps the lines of such a tool.

// A blockForm is how a tool prints records.
type blockForm struct {
	begins func(line []byte) bool // whether a record begins with the line
	// appendJSON appends a record as an object. ok is false if it is malformed.
	appendJSON func(dst, record []byte) (out []byte, ok bool)
}

// blockFormOf returns how the records are printed that head begins with, nil if nobody prints
// them so.
func blockFormOf(head []byte) *blockForm {
	for len(head) > 0 {
		var line []byte
		if line, head = scan.CutLine(head); scan.Blank(line) {
			continue
		}
		switch line = trimEOL(line); {
		case isDocumentEnd(line):
		case bytes.Equal(line, dnstapBegin):
			return &blockForm{func(line []byte) bool { return bytes.Equal(line, dnstapBegin) }, appendYAML}
		case bytes.HasPrefix(line, auditFile):
			return &blockForm{isAuditTime, appendAudit}
		case isEventHead(line):
			return &blockForm{isEventHead, appendEventText}
		case isListed(line) && scan.AnyLine(head, func(line []byte) bool { return bytes.HasPrefix(line, []byte("Message ")) && isListed(line) }):
			first := bytes.Clone(listedName(line))
			return &blockForm{func(line []byte) bool { return isListed(line) && bytes.Equal(listedName(line), first) }, appendListed}
		default:
			return nil
		}
	}
	return nil
}

// A blockReader reads such records. One that is malformed, or too long, becomes a line that no
// decoder accepts, so that it is counted. Text before the first record does not count.
type blockReader struct {
	*blockForm
	made
	src    *bufio.Reader
	record []byte // what was read of the record at hand
	open   bool
	long   bool
	within bool // the line at hand goes on
}

// malformedBlock stands for a record that could not be read.
const malformedBlock = "{\n"

func (r *blockReader) Read(p []byte) (int, error) { return r.read(p, r.line) }

// line reads a line, and hands on the record that ends before it.
func (r *blockReader) line() error {
	line, err := r.src.ReadSlice('\n')
	whole := !r.within
	if r.within = err == bufio.ErrBufferFull; r.within {
		err = nil
	} else if whole && r.begins(trimEOL(line)) { // no record begins within a line
		r.end()
		r.open = true
	}
	if len(r.record)+len(line) > MaxRecord {
		r.record, r.long = r.record[:0], true
	}
	if r.open && !r.long {
		r.record = append(r.record, line...)
	}
	if err != nil {
		r.long = r.long || err != io.EOF // the record may go on
		r.end()
	}
	return err
}

// end hands on the record at hand.
func (r *blockReader) end() {
	if r.open {
		at := len(r.out)
		out, ok := r.appendJSON(r.out, r.record)
		if ok && !r.long {
			r.out = append(out, '\n')
		} else {
			r.out = append(r.out[:at], malformedBlock...)
		}
	}
	r.record, r.open, r.long = r.record[:0], false, false
}

// Events of Windows as wevtutil /f:text prints them: a head, names and values, and the message
// for people at the end.

var eventHead = []byte("Event[")

// isEventHead reports whether an event begins with the line: "Event[0]:", without the colon in
// some releases.
func isEventHead(line []byte) bool {
	number, ok := bytes.CutPrefix(line, eventHead)
	if !ok {
		return false
	}
	number, ok = bytes.CutSuffix(bytes.TrimSuffix(number, []byte{':'}), []byte{']'})
	_, isNumber := scan.Int(number)
	return ok && isNumber
}

func appendEventText(dst, record []byte) ([]byte, bool) {
	_, record = scan.CutLine(record)
	dst = append(dst, '{')
	for len(record) > 0 {
		line, rest := scan.CutLine(record)
		name, value, ok := bytes.Cut(bytes.TrimLeft(trimEOL(line), " "), []byte{':'})
		switch {
		case !ok && scan.Blank(line):
			record = rest
			continue
		case !ok || line[0] != ' ':
			return nil, false
		}
		switch value = bytes.TrimSpace(value); string(name) {
		case "User", "User Name": // the account that wrote the event into the log
			record = rest
			continue
		case "Description":
			name, value, rest = []byte("Message"), bytes.TrimSpace(slices.Concat(value, eol, rest)), nil
		}
		dst, record = appendMember(dst, string(name), value), rest
	}
	return append(dst, '}'), true
}

// Events as PowerShell's Format-List prints them: names padded to one width, a colon, and values
// whose further lines are indented as far.

// isListed reports whether a line begins with a name and the colon.
func isListed(line []byte) bool {
	switch string(listedName(line)) {
	case "TimeCreated", "TimeGenerated", "ProviderName", "Id", "InstanceId", "EventID", "Message", "MachineName", "LogName", "RecordId", "Index", "EntryType", "Source", "LevelDisplayName":
		return true
	}
	return false
}

// listedName returns the name that a line begins with, nil if no colon is behind it.
func listedName(line []byte) []byte {
	name, _, ok := bytes.Cut(line, []byte(" : "))
	if !ok {
		if name, ok = bytes.CutSuffix(trimEOL(line), []byte(" :")); !ok {
			return nil
		}
	}
	if len(name) > 0 && name[0] == ' ' {
		return nil
	}
	return bytes.TrimRight(name, " ")
}

func appendListed(dst, record []byte) ([]byte, bool) {
	dst = append(dst, '{')
	var name, value []byte
	add := func() {
		if name != nil {
			dst = appendMember(dst, string(name), bytes.TrimSpace(value))
		}
	}
	indent := bytes.IndexByte(record, ':') + len(": ")
	for len(record) > 0 {
		var line []byte
		line, record = scan.CutLine(record)
		if next := listedName(line); next != nil && bytes.IndexByte(line, ':')+len(": ") == indent {
			add()
			name, value = next, append(bytes.Clone(line[min(indent, len(line)):]), '\n')
			continue
		}
		for n := 0; n < indent && len(line) > 0 && line[0] == ' '; n++ {
			line = line[1:]
		}
		value = append(append(value, line...), '\n')
	}
	add()
	return append(dst, '}'), true
}

// appendMember appends a member to the object that dst ends with.
func appendMember(dst []byte, name string, value []byte) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return appendString(appendKey(dst, name), value)
}

// Frames of dnstap as YAML: maps, lists of texts, and blocks of text.

var dnstapBegin = []byte("type: MESSAGE")

// isDocumentEnd reports whether a line stands between two documents.
func isDocumentEnd(line []byte) bool { return string(line) == "---" || string(line) == "..." }

// A yamlLevel is a map or list that is open.
type yamlLevel struct {
	indent int
	list   bool
}

// maxYAML is how deep maps nest. Frames of dnstap have four levels.
const maxYAML = 16

func appendYAML(dst, record []byte) ([]byte, bool) {
	var open []yamlLevel
	pending := -1 // the indent of a key that has no value so far
	end := func() {
		if open[len(open)-1].list {
			dst = append(dst, ']')
		} else {
			dst = append(dst, '}')
		}
		open = open[:len(open)-1]
	}
	for len(record) > 0 {
		var line []byte
		line, record = scan.CutLine(record)
		line = bytes.TrimRight(line, " \r\n")
		text := bytes.TrimLeft(line, " ")
		if len(text) == 0 || text[0] == '#' || isDocumentEnd(line) {
			continue
		}
		indent := len(line) - len(text)
		item, isItem := bytes.CutPrefix(text, []byte("- "))
		switch {
		case pending >= 0 && (indent > pending || isItem && indent == pending), len(open) == 0:
			if len(open) == maxYAML {
				return nil, false
			}
			open = append(open, yamlLevel{indent, isItem})
			if isItem {
				dst = append(dst, '[')
			} else {
				dst = append(dst, '{')
			}
		default:
			if pending >= 0 {
				dst = append(dst, "null"...)
			}
			for len(open) > 1 && (open[len(open)-1].indent > indent || open[len(open)-1] == yamlLevel{indent, true} && !isItem) {
				end()
			}
			dst = append(dst, ',')
		}
		if pending = -1; open[len(open)-1] != (yamlLevel{indent, isItem}) {
			return nil, false
		}
		if isItem {
			dst = appendScalar(dst, item)
			continue
		}
		key, value, ok := bytes.Cut(text, []byte{':'})
		if !ok || len(value) > 0 && value[0] != ' ' {
			return nil, false
		}
		dst = appendKey(dst, string(key))
		switch value = bytes.TrimLeft(value, " "); {
		case len(value) == 0:
			pending = indent
		case value[0] == '|' && len(value) <= 2:
			var block []byte
			block, record = yamlBlock(record, indent)
			dst = appendString(dst, block)
		default:
			dst = appendScalar(dst, value)
		}
	}
	if pending >= 0 {
		dst = append(dst, "null"...)
	}
	for len(open) > 0 {
		end()
	}
	return dst, len(dst) > 0
}

// yamlBlock cuts a block of text off the lines behind its key: those with more indent.
func yamlBlock(record []byte, indent int) (block, rest []byte) {
	for len(record) > 0 {
		line, behind := scan.CutLine(record)
		text := bytes.TrimLeft(line, " ")
		if !scan.Blank(line) && len(line)-len(text) <= indent {
			break
		}
		block, record = append(append(block, trimEOL(text)...), '\n'), behind
	}
	return block, record
}

// appendScalar appends a text, which may stand in quotes or have a tag.
func appendScalar(dst, text []byte) []byte {
	if text[0] == '!' {
		_, text = scan.CutWord(text)
	}
	if n := len(text); n >= 2 && text[0] == text[n-1] && (text[0] == '"' || text[0] == '\'') {
		text = text[1 : n-1]
	}
	return appendString(dst, text)
}

// Records of Oracle's audit files: a line with the time, and names whose values have their
// length before them, as in ACTION :[7] 'CONNECT'.

// auditFile begins such a file, before what it says of the database and its release.
var auditFile = []byte("Audit file ")

const auditTime = "Mon Jan _2 15:04:05 2006"

// isAuditTime reports whether a record begins with the line: "Fri Nov 20 21:14:06 2026 +00:00",
// without the zone in old releases.
func isAuditTime(line []byte) bool {
	_, _, ok := auditTimeOf(line)
	return ok
}

func auditTimeOf(line []byte) (when time.Time, zone []byte, ok bool) {
	if len(line) < len(auditTime) || len(line) > len(auditTime)+len(" +00:00") {
		return time.Time{}, nil, false
	}
	when, err := time.Parse(auditTime, string(line[:len(auditTime)]))
	return when, bytes.TrimLeft(line[len(auditTime):], " "), err == nil
}

func appendAudit(dst, record []byte) ([]byte, bool) {
	line, record := scan.CutLine(record)
	when, zone, _ := auditTimeOf(trimEOL(line))
	dst = appendMember(append(dst, '{'), "timestamp", append(when.AppendFormat(nil, "2006-01-02T15:04:05"), zone...))
	for record = bytes.TrimSpace(record); len(record) > 0; record = bytes.TrimLeft(record, " \r\n") {
		name, rest, ok := bytes.Cut(record, []byte{':'})
		if !ok || len(name) > 64 {
			return nil, false
		}
		rest = bytes.TrimLeft(rest, " ")
		size := -1
		if number, behind, ok := bytes.Cut(rest, []byte{']'}); ok && rest[0] == '[' {
			n, isNumber := scan.Int(number[1:])
			if !isNumber || n < 0 || n > MaxRecord {
				return nil, false
			}
			size, rest = int(n), bytes.TrimLeft(behind, " ")
		}
		if len(rest) < 2 || rest[0] != '"' && rest[0] != '\'' {
			return nil, false
		}
		quote := rest[0]
		if rest = rest[1:]; size < 0 {
			size = bytes.IndexByte(rest, quote)
		}
		if size < 0 || size >= len(rest) || rest[size] != quote {
			return nil, false
		}
		dst, record = appendMember(dst, string(bytes.TrimSpace(name)), rest[:size]), rest[size+1:]
	}
	return append(dst, '}'), true
}
