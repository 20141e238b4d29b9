package logs

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// WinXML decodes Windows events as XML.
var WinXML = &Format{
	Name:    "winxml",
	Origins: []columnar.Origin{ofWindows, ofLinuxSysmon},
	Title:   "Windows events as XML, and Sysmon for Linux",
	Doc: winDoc + `

Reads <Event> elements, one after another, on one line or on many, in a root
element or not: what wevtutil, ToXml() and the Event Viewer write, also as UTF-16;
and the lines that Sysmon for Linux sends to syslog. What stands between events is
passed over.`,
	Tables: winTables,
	Lacks:  winLacks,
	Sniff: func(head []byte) bool {
		if at := bytes.Index(head, eventOpen); at > 0 && bytes.Contains(head[bytes.LastIndexByte(head[:at], '\n')+1:at], []byte(`{"`)) {
			return false // what a string of JSON holds has its escapes
		}
		event, _, _, _ := cutEvent(head, true)
		if event == nil {
			return false
		}
		system := bytes.Index(event, []byte("<System>"))
		return system >= 0 && system < 256 // Event has an attribute or two
	},
	Cut: func(p []byte, all bool) (end int, records int64) {
		for end < len(p) {
			_, n, lost, ok := cutEvent(p[end:], all)
			if n == 0 {
				break
			}
			records += lost
			if ok {
				records++
			}
			end += n
		}
		if end == 0 && !bytes.Contains(p, eventOpen) {
			end = bytes.LastIndexByte(p, '\n') + 1 // lines of other programs
		}
		return end, records
	},
	New: func(o *Options) (Decoder, error) {
		return &winXML{event: winEvent{clock: o.clock()}, names: nameSet{}}, nil
	},
}

var (
	eventOpen  = []byte("<Event")
	eventClose = []byte("</Event>")
)

// cutEvent cuts p behind the first event, which may have anything before it. lost
// counts the events before it that do not end, or the end of one that does not
// begin. n is 0 if the event does not end in p, unless p is all.
func cutEvent(p []byte, all bool) (event []byte, n int, lost int64, ok bool) {
	end := bytes.Index(p, eventClose)
	switch {
	case end >= 0:
		n = end + len(eventClose)
	case !all:
		return nil, 0, 0, false
	default:
		n = len(p)
	}
	for from := 0; ; {
		i := bytes.Index(p[from:n], eventOpen)
		if i < 0 {
			break
		}
		from += i
		if next := from + len(eventOpen); next < n && (p[next] == '>' || p[next] <= ' ') {
			if event != nil {
				lost++
			}
			event = p[from:n]
		}
		from += len(eventOpen)
	}
	switch {
	case end >= 0 && event == nil:
		lost++
	case end < 0 && event != nil:
		lost++
		return event, n, lost, false
	}
	return event, n, lost, event != nil
}

type winXML struct {
	event   winEvent
	names   nameSet
	scratch []byte
}

func (d *winXML) Decode(b *Block, out *columnar.Out, t *Tally) error {
	record := b.First
	for data := b.Data; len(data) > 0; {
		event, n, lost, ok := cutEvent(data, true)
		data = data[n:]
		for ; lost > 0; lost-- {
			t.Skip(record, "event that does not begin or end")
			record++
		}
		if !ok {
			continue
		}
		if d.flatten(event) {
			if of := d.event.origin(); of != out.Origin {
				out.Flush()
				out.Origin = of
			}
			d.event.put(record, out, t)
		} else {
			t.Skip(record, "malformed XML")
		}
		record++
	}
	return nil
}

// maxXMLDepth is how deep elements may nest. Sound events have about six levels.
const maxXMLDepth = 64

// flatten turns an event into fields; false if it is malformed. What has no place
// in an event, such as a document type that defines entities, is malformed.
func (d *winXML) flatten(p []byte) bool {
	e := &d.event
	e.reset()
	d.scratch = d.scratch[:0]
	var open [maxXMLDepth][]byte
	depth := 0
	text := 0 // where in scratch the text of the element begins
	plain := []byte(nil)
	for len(p) > 0 {
		at := bytes.IndexByte(p, '<')
		if at < 0 {
			return false
		}
		if at > 0 {
			if depth == 0 {
				return false
			}
			// Most texts have no second part, and need not be copied.
			if plain == nil && text == len(d.scratch) && bytes.IndexByte(p[:at], '&') < 0 && bytes.IndexByte(p[:at], '\r') < 0 {
				plain = p[:at]
			} else {
				d.scratch = append(d.scratch, plain...)
				plain = nil
				if !d.unescape(p[:at]) {
					return false
				}
			}
			p = p[at:]
		}
		switch {
		case bytes.HasPrefix(p, []byte("</")):
			end := bytes.IndexByte(p, '>')
			if end < 0 || depth == 0 || !bytes.Equal(bytes.TrimRight(p[2:end], " \t\r\n"), open[depth-1]) {
				return false
			}
			if plain == nil {
				plain = d.scratch[text:]
			}
			e.content(plain)
			e.end()
			p, plain, text = p[end+1:], nil, len(d.scratch)
			if depth--; depth == 0 {
				return len(p) == 0 && e.section != winNowhere
			}
		case bytes.HasPrefix(p, []byte("<!--")):
			end := bytes.Index(p, []byte("-->"))
			if end < 0 {
				return false
			}
			p = p[end+3:]
		case bytes.HasPrefix(p, []byte("<![CDATA[")):
			end := bytes.Index(p, []byte("]]>"))
			if end < 0 {
				return false
			}
			d.scratch = append(append(d.scratch, plain...), p[len("<![CDATA["):end]...)
			plain = nil
			p = p[end+3:]
		case bytes.HasPrefix(p, []byte("<?")):
			end := bytes.Index(p, []byte("?>"))
			if end < 0 {
				return false
			}
			p = p[end+2:]
		default:
			name, rest, empty, ok := d.tag(p, depth)
			if !ok {
				return false
			}
			p, plain, text = rest, nil, len(d.scratch)
			if empty {
				e.end()
				break
			}
			open[depth] = name
			depth++
		}
	}
	return false
}

// tag reads the tag that begins an element.
func (d *winXML) tag(p []byte, depth int) (name, rest []byte, empty, ok bool) {
	i := 1
	for i < len(p) && !xmlDelimiter(p[i]) {
		i++
	}
	name = p[1:i]
	if len(name) == 0 || depth == maxXMLDepth {
		return nil, nil, false, false
	}
	d.event.start(d.names.of(name))
	for {
		i = scan.SkipSpace(p, i)
		switch {
		case i == len(p):
			return nil, nil, false, false
		case p[i] == '>':
			return name, p[i+1:], false, true
		case p[i] == '/':
			return name, p[min(i+2, len(p)):], true, i+1 < len(p) && p[i+1] == '>'
		}
		from := i
		for i < len(p) && !xmlDelimiter(p[i]) {
			i++
		}
		key := p[from:i]
		i = scan.SkipSpace(p, i)
		if len(key) == 0 || i == len(p) || p[i] != '=' {
			return nil, nil, false, false
		}
		if i = scan.SkipSpace(p, i+1); i == len(p) || p[i] != '"' && p[i] != '\'' {
			return nil, nil, false, false
		}
		end := bytes.IndexByte(p[i+1:], p[i])
		if end < 0 {
			return nil, nil, false, false
		}
		value := p[i+1 : i+1+end]
		i += end + 2
		if bytes.IndexByte(value, '<') >= 0 {
			return nil, nil, false, false
		}
		if bytes.IndexByte(value, '&') >= 0 {
			start := len(d.scratch)
			if !d.unescape(value) {
				return nil, nil, false, false
			}
			value = d.scratch[start:]
		}
		d.event.attribute(d.names.of(key), value, d.names.of)
	}
}

func xmlDelimiter(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n', '=', '/', '>', '<', '"', '\'', '&':
		return true
	}
	return false
}

// unescape appends text to d.scratch: references as what they stand for, line ends
// as newlines.
func (d *winXML) unescape(s []byte) bool {
	for len(s) > 0 {
		i := bytes.IndexAny(s, "&\r")
		if i < 0 {
			i = len(s)
		}
		d.scratch = append(d.scratch, s[:i]...)
		if s = s[i:]; len(s) == 0 {
			break
		}
		if s[0] == '\r' {
			if s = s[1:]; len(s) == 0 || s[0] != '\n' {
				d.scratch = append(d.scratch, '\n')
			}
			continue
		}
		end := bytes.IndexByte(s[:min(len(s), 12)], ';')
		if end < 0 {
			return false
		}
		switch ref := s[1:end]; string(ref) {
		case "amp":
			d.scratch = append(d.scratch, '&')
		case "lt":
			d.scratch = append(d.scratch, '<')
		case "gt":
			d.scratch = append(d.scratch, '>')
		case "quot":
			d.scratch = append(d.scratch, '"')
		case "apos":
			d.scratch = append(d.scratch, '\'')
		default:
			digits, base := bytes.TrimPrefix(ref, []byte("#")), 10
			if len(digits) == len(ref) {
				return false
			}
			if len(digits) > 0 && digits[0] == 'x' {
				digits, base = digits[1:], 16
			}
			r, err := strconv.ParseUint(string(digits), base, 21)
			if err != nil {
				return false
			}
			d.scratch = utf8.AppendRune(d.scratch, rune(r))
		}
		s = s[end+1:]
	}
	return true
}
