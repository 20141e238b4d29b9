package scan

import "bytes"

// JSON that is not quite JSON, as loggers write it that paste texts together or print the objects
// of their language.

// MendJSON appends an object or array as JSON. It is for what JSON does not allow and means
// one thing only:
//
//	{'user': 'anna', 'ok': True, 'x': None}     Python's repr, and u'', b''
//	{"ua":"a\x22b", "path":"C:\Windows"}        escapes that JSON does not have
//	{"bytes":-, "rate":NaN, "time":}            no value, which becomes null
//	{"host":10.0.0.5, user:"anna", "n":007}     words and numbers without quotes
//	{"a"=>"b", "c"=>nil}                        Ruby's maps
//	{"a":1,}                                    a comma before the end
//
// and control characters within texts. ok is false if it is anything else: a quote within a
// text that nothing escapes, text behind the end, or no end.
func MendJSON(dst, b []byte) (out []byte, ok bool) {
	m := mender{dst, b, 0}
	m.space()
	if m.at() != '{' && m.at() != '[' || !m.value(MaxDepth, false) {
		return nil, false
	}
	m.space()
	return m.out, m.i == len(m.b)
}

type mender struct {
	out []byte
	b   []byte
	i   int
}

// at returns the byte at the place, 0 at the end.
func (m *mender) at() byte {
	if m.i < len(m.b) {
		return m.b[m.i]
	}
	return 0
}

func (m *mender) space() { m.i = SkipSpace(m.b, m.i) }

// skip goes behind a text if it stands here.
func (m *mender) skip(text string) bool {
	if !bytes.HasPrefix(m.b[m.i:], []byte(text)) {
		return false
	}
	m.i += len(text)
	return true
}

// value appends a value. empty says that it may be missing.
func (m *mender) value(depth int, empty bool) bool {
	if depth == 0 {
		return false
	}
	switch c := m.at(); c {
	case '{':
		return m.list('{', '}', func() bool {
			if !m.key() {
				return false
			}
			if m.space(); !m.skip("=>") && !m.skip(":") {
				return false
			}
			m.out = append(m.out, ':')
			m.space()
			return m.value(depth-1, true)
		})
	case '[':
		return m.list('[', ']', func() bool { return m.value(depth-1, false) })
	case '(': // Python's tuples
		return m.list('[', ')', func() bool { return m.value(depth-1, false) })
	case '"', '\'':
		return m.text(c)
	case 'b', 'u', 'r':
		if m.i+1 < len(m.b) && (m.b[m.i+1] == '\'' || m.b[m.i+1] == '"') {
			m.i++
			return m.text(m.at())
		}
	}
	return m.word(empty)
}

// list appends the members of an object or array up to end.
func (m *mender) list(begin, end byte, member func() bool) bool {
	m.i++
	m.out = append(m.out, begin)
	for first := true; ; first = false {
		if m.space(); m.at() == end {
			m.i++
			m.out = append(m.out, begin+2) // in ASCII, a bracket's partner
			return true
		}
		if !first {
			m.out = append(m.out, ',')
		}
		if !member() {
			return false
		}
		if m.space(); m.at() == ',' {
			m.i++
		} else if m.at() != end {
			return false
		}
	}
}

func (m *mender) key() bool {
	switch c := m.at(); {
	case c == '"', c == '\'':
		return m.text(c)
	case (c == 'u' || c == 'b') && m.i+1 < len(m.b) && m.b[m.i+1] == '\'':
		m.i++
		return m.text('\'')
	}
	begin := m.i
	for m.i < len(m.b) && (isLetter(m.b[m.i:]) || m.b[m.i] == '_' || m.b[m.i] == '$' || m.b[m.i] == '@' || m.i > begin && (m.b[m.i]-'0' <= 9 || m.b[m.i] == '.' || m.b[m.i] == '-')) {
		m.i++
	}
	m.out = append(append(append(m.out, '"'), m.b[begin:m.i]...), '"')
	return m.i > begin
}

// word appends what stands without quotes.
func (m *mender) word(empty bool) bool {
	begin := m.i
	for m.i < len(m.b) && bytes.IndexByte([]byte(" \t\r\n,]})\"'{[=\\"), m.b[m.i]) < 0 && m.b[m.i] >= ' ' {
		m.i++
	}
	word := m.b[begin:m.i]
	switch string(word) {
	case "":
		if !empty {
			return false
		}
		m.out = append(m.out, "null"...)
	case "-", "NaN", "nan", "Infinity", "-Infinity", "inf", "-inf", "None", "nil", "undefined", "NULL", "Null":
		m.out = append(m.out, "null"...)
	case "True", "TRUE":
		m.out = append(m.out, "true"...)
	case "False", "FALSE":
		m.out = append(m.out, "false"...)
	case "true", "false", "null":
		m.out = append(m.out, word...)
	default:
		if IsDigits(word) {
			for len(word) > 1 && word[0] == '0' {
				word = word[1:]
			}
		}
		if c := word[0]; (c == '-' || c-'0' <= 9) && numberEnd(word, 0) == len(word) {
			m.out = append(m.out, word...)
		} else {
			m.out = append(append(append(m.out, '"'), word...), '"')
		}
	}
	return true
}

// text appends a text in quotes.
func (m *mender) text(quote byte) bool {
	m.out = append(m.out, '"')
	for m.i++; m.i < len(m.b); m.i++ {
		c := m.b[m.i]
		switch {
		case c == quote:
			m.i++
			m.out = append(m.out, '"')
			return true
		case c != '\\':
			m.char(c)
		case m.i+1 == len(m.b):
			return false
		default:
			m.i++
			m.escape(m.b[m.i])
		}
	}
	return false
}

// escape appends what a backslash and the byte behind it say.
func (m *mender) escape(c byte) {
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		m.out = append(m.out, '\\', c)
		return
	case '\'':
		m.out = append(m.out, c)
		return
	case 'u':
		if _, ok := hex4(m.b[m.i+1:]); ok {
			m.out = append(m.out, `\u`...)
			return
		}
	case 'x':
		if m.i+2 < len(m.b) {
			high, ok1 := HexDigit(m.b[m.i+1])
			low, ok2 := HexDigit(m.b[m.i+2])
			if ok1 && ok2 {
				m.i += 2
				m.char(byte(high<<4 | low))
				return
			}
		}
	}
	m.out = append(m.out, `\\`...) // it stands for itself
	m.char(c)
}

// char appends a byte of a text.
func (m *mender) char(c byte) {
	switch {
	case c == '"' || c == '\\':
		m.out = append(m.out, '\\', c)
	case c < ' ':
		const digits = "0123456789abcdef"
		m.out = append(append(m.out, `\u00`...), digits[c>>4], digits[c&15])
	default:
		m.out = append(m.out, c)
	}
}
