package logs

import (
	"bytes"
	"slices"
)

// The text of an event's message, for people, where a log has no more of the event.

// forget drops what was found so far for the event's own fields: it belongs to the record.
func (e *winEvent) forget() {
	clear(e.slots[winUtcTime:])
	e.twice = false
}

// parseMessage adds the fields that a message has in lines "Name: value", in sections or
// not. Any other line continues the value before it. yaml says that values may stand in single
// quotes, as in YAML.
func (e *winEvent) parseMessage(p []byte, nameOf func([]byte) string, yaml bool) {
	e.forget()
	if bytes.IndexByte(p, '\n') < 0 {
		p = spreadMessage(p)
	}
	var section, name string
	from, to := 0, 0 // the value of name
	add := func() {
		if name != "" {
			value := bytes.TrimRight(p[from:to], " \t\r\n")
			if n := len(value); yaml && n >= 2 && value[0] == '\'' && value[n-1] == '\'' {
				value = bytes.ReplaceAll(value[1:n-1], []byte("''"), []byte("'"))
			}
			e.add(false, name, value)
			name = ""
		}
	}
	for at := 0; at < len(p); {
		end := bytes.IndexByte(p[at:], '\n')
		if end < 0 {
			end = len(p) - at
		}
		end += at
		line := bytes.TrimSpace(p[at:end])
		key, value, ok := bytes.Cut(line, []byte(":"))
		switch {
		case len(line) == 0:
			add()
		case ok && messageKey(key) && (len(value) == 0 || value[0] == ' ' || value[0] == '\t'):
			add()
			if value = bytes.TrimSpace(value); len(value) == 0 && bytes.IndexByte(key, ' ') >= 0 || string(key) == "Subject" {
				section = nameOf(key)
				break
			}
			e.joined = append(e.joined[:0], key...)
			name = messageName(section, nameOf(e.joined))
			to = end
			from = end - len(bytes.TrimLeft(p[at+bytes.IndexByte(p[at:end], ':')+1:end], " \t"))
		case name != "":
			to = end
		}
		at = end + 1
	}
	add()
	if string(e.slots[winEventID]) == "4688" && e.slots[winNewProcessName] == nil {
		e.parseByOrder(p)
	}
}

// spreadMessage gives each field of a message that stands on one line, as Snare and others
// send it, a line of its own. Their ends of lines became blanks, two or more in a row.
func spreadMessage(p []byte) []byte {
	var out []byte
	from := 0
	for i := 0; i < len(p); {
		if !isBlank(p[i]) {
			i++
			continue
		}
		end := i
		for end < len(p) && isBlank(p[end]) {
			end++
		}
		if end-i > 1 && (beginsField(p[end:]) || bytes.HasPrefix(p[end:], afterFields)) {
			out = append(append(out, p[from:i]...), '\n')
			if p[end] == afterFields[0] && bytes.HasPrefix(p[end:], afterFields) {
				out = append(out, '\n') // no part of the last value
			}
			from = end
		}
		i = end
	}
	if out == nil {
		return p
	}
	return append(out, p[from:]...)
}

// afterFields begins what the message of 4688 explains behind its fields.
var afterFields = []byte("Token Elevation Type indicates")

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// beginsField reports whether text begins with the name of a field and a colon.
func beginsField(text []byte) bool {
	colon := bytes.IndexByte(text[:min(len(text), maxMessageKey)], ':')
	return colon > 0 && messageKey(text[:colon]) && !bytes.Contains(text[:colon], []byte("  ")) && (colon+1 == len(text) || isBlank(text[colon+1]))
}

// maxMessageKey is how long the name of a field in a message is at most, in bytes.
const maxMessageKey = 40

// messageKey reports whether a text can be the name of a field in a message.
func messageKey(b []byte) bool {
	for _, c := range b {
		if c|0x20-'a' >= 26 && c != ' ' {
			return false
		}
	}
	return len(b) > 0 && len(b) < maxMessageKey
}

// messageName returns the name of a field by what a message calls it.
func messageName(section, name string) string {
	switch name {
	case "AccountName", "AccountDomain":
		who := "Subject"
		if section == "TargetSubject" {
			who = "Target"
		}
		if name == "AccountName" {
			return who + "UserName"
		}
		return who + "DomainName"
	case "NewProcessID":
		return "NewProcessId"
	case "CreatorProcessName":
		return "ParentProcessName"
	case "CreatorProcessID":
		return "ProcessId"
	case "ProcessCommandLine":
		return "CommandLine"
	}
	return name
}

// orders4688 are the fields of the message of 4688, in the order of its lines, which is that of
// all languages: since Windows 10, with the account that the process acts as, and before.
var orders4688 = [...][]string{
	{"", "SubjectUserName", "SubjectDomainName", "", "", "TargetUserName", "TargetDomainName", "", "NewProcessId", "NewProcessName", "", "", "ProcessId", "ParentProcessName", "CommandLine"},
	{"", "SubjectUserName", "SubjectDomainName", "", "NewProcessId", "NewProcessName", "", "ProcessId", "CommandLine"},
}

// parseByOrder adds the fields of a message of 4688 whose names are not English: indented lines
// with a tab behind the name. The command line is the last, so that no line in it counts.
func (e *winEvent) parseByOrder(p []byte) {
	var values [][]byte
	for line := range bytes.Lines(p) {
		if !isBlank(line[0]) {
			continue
		}
		if name, value, ok := bytes.Cut(line, []byte(":\t")); ok && len(bytes.TrimSpace(name)) > 0 {
			values = append(values, bytes.TrimSpace(value))
		}
	}
	for _, order := range orders4688 {
		id := slices.Index(order, "NewProcessId")
		if len(values) < len(order) || !bytes.HasPrefix(values[id], []byte("0x")) {
			continue
		}
		e.forget()
		for i, name := range order {
			if name != "" {
				e.add(false, name, values[i])
			}
		}
		return
	}
}
