package logs

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"io"

	"outflow/columnar/inflate"
	"outflow/columnar/scan"
)

// Packed records: several in one text, as queues and functions of clouds hand them on. The text is
// base64, mostly of gzip; or it is JSON with many records in an array.

// A packedLayer takes records out of such texts. It returns them as lines; other texts are left as
// they are.
type packedLayer struct{ decoded, plain []byte }

func (l *packedLayer) unwrap(record []byte, e *envelope) ([]byte, bool, string) {
	text, ok := l.open(record)
	if !ok {
		return record, false, ""
	}
	if len(text) > MaxRecord {
		return nil, false, tooLong(MaxRecord)
	}
	e.opened = true
	return text, false, ""
}

// open returns what is packed in a text. What is longer than MaxRecord is cut behind that.
func (l *packedLayer) open(text []byte) (records []byte, ok bool) {
	if isBase64(text) {
		if l.decoded, ok = appendBase64(l.decoded[:0], text); !ok {
			return nil, false
		}
		if text = l.decoded; bytes.HasPrefix(text, []byte("\x1f\x8b")) {
			z, err := inflate.NewGzipReader(bufio.NewReader(bytes.NewReader(text)))
			if err != nil {
				return nil, false
			}
			if l.plain, err = io.ReadAll(io.LimitReader(z, MaxRecord+1)); err != nil {
				return nil, false
			}
			text = l.plain
		}
		if len(text) == 0 || bytes.IndexByte(text, 0) >= 0 {
			return nil, false
		}
		ok = true
	}
	if shaped := shapedJSON(text); shaped != nil {
		records, _ = io.ReadAll(io.LimitReader(shaped, MaxRecord+1)) // reading memory
		return records, true
	}
	return text, ok
}

// shapedJSON returns a reader of a text as one record a line, nil if it is that already.
func shapedJSON(text []byte) io.Reader {
	if len(text) == 0 || text[0] != '{' && text[0] != '[' {
		return nil
	}
	if form := batchFormOf(text); form != nil {
		return &batchReader{batchForm: form, src: bytes.NewReader(text)}
	}
	if bytes.IndexByte(text, '[') >= 0 && scan.NeedsJSONLines(text, MaxRecord) {
		return scan.JSONLines(bytes.NewReader(text))
	}
	return nil
}

// isPacked reports whether the first line of head holds packed records.
func isPacked(head []byte) bool {
	line, _ := scan.CutLine(bytes.TrimLeft(head, "\n"))
	line = trimEOL(line)
	if isBase64(line) {
		_, ok := new(packedLayer).open(line)
		return ok
	}
	return shapedJSON(line) != nil
}

// leastPacked is how long base64 is that holds a record, in bytes.
const leastPacked = 32

// isBase64 reports whether a text is base64 alone.
func isBase64(text []byte) bool {
	if len(text) < leastPacked {
		return false
	}
	for i, c := range text {
		switch {
		case c|0x20-'a' < 26, c-'0' <= 9, c == '+', c == '/', c == '-', c == '_':
		case c == '=' && i >= len(text)-2:
		default:
			return false
		}
	}
	return true
}

// appendBase64 appends what base64 says, in either alphabet, padded or not.
func appendBase64(dst, text []byte) (out []byte, ok bool) {
	text = bytes.TrimRight(text, "=")
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	out, err := encoding.AppendDecode(dst, text)
	return out, err == nil
}

// Fluentd and Fluent Bit write a time, a tag and an object a line:
//
//	2026-11-20T20:25:30+00:00<tab>tag<tab>{"log":"…"}      Fluentd's out_file
//	tag: [1795206330.123, {"log":"…"}]                     Fluent Bit's out_file
//	[0] tag: [[1795206330.123, {}], {"log"=>"…"}]          and its output to a terminal

// A fluentLayer takes the time and the tag off. Other lines are left as they are.
type fluentLayer struct{ mended []byte }

func (l *fluentLayer) unwrap(record []byte, e *envelope) ([]byte, bool, string) {
	stamp, tag, text, ok := cutFluent(record)
	if !ok {
		return record, false, ""
	}
	e.opened, e.stamp, e.file = true, stamp, tag
	if !isJSON(text) {
		if l.mended, ok = scan.MendJSON(l.mended[:0], text); !ok {
			return nil, false, malformedJSON
		}
		text = l.mended
	}
	return text, false, ""
}

// cutFluent cuts a line into its time, its tag and its object.
func cutFluent(line []byte) (stamp, tag, text []byte, ok bool) {
	if len(line) == 0 || line[len(line)-1] != '}' && line[len(line)-1] != ']' {
		return nil, nil, nil, false
	}
	if line[len(line)-1] == '}' {
		stamp, text, _ = bytes.Cut(line, []byte{'\t'})
		if len(stamp) < 19 || !isStampISO(append(bytes.Clone(stamp), ' ')) {
			return nil, nil, nil, false
		}
		tag, text, ok = bytes.Cut(text, []byte{'\t'})
		return stamp, tag, text, ok && len(text) > 0 && text[0] == '{'
	}
	rest := line
	if rest[0] == '[' { // its number
		number, behind, ok := bytes.Cut(rest[1:], []byte("] "))
		if _, isNumber := scan.Int(number); !ok || !isNumber {
			return nil, nil, nil, false
		}
		rest = behind
	}
	tag, rest, ok = bytes.Cut(rest, []byte(": ["))
	if !ok || len(tag) == 0 || bytes.IndexByte(tag, ' ') >= 0 {
		return nil, nil, nil, false
	}
	stamp, text, ok = bytes.Cut(rest, []byte(", {"))
	if nested, isNested := bytes.CutPrefix(stamp, []byte{'['}); isNested { // with metadata
		stamp = nested
		if _, text, ok = bytes.Cut(text, []byte("}], {")); !ok {
			return nil, nil, nil, false
		}
	}
	if _, isTime := scan.Decimal(stamp, 1); !ok || !isTime {
		return nil, nil, nil, false
	}
	text = line[len(line)-len(text)-1 : len(line)-1] // with the brace
	return stamp, tag, text, true
}
