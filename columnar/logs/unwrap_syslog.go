package logs

import (
	"bytes"

	"outflow/columnar/scan"
)

// Headers of syslog, times alone, and words before an object, as layers around a record.

// A syslogLayer is a header of syslog. Lines without one are left as they are.
type syslogLayer struct {
	line syslogLine
	data bool // the record is the structured data, even if a message stands behind it
}

func (l *syslogLayer) unwrap(record []byte, e *envelope) ([]byte, bool, string) {
	s := &l.line
	if !s.parse(record) {
		return record, false, ""
	}
	e.opened = true
	if s.stamp != nil {
		e.stamp = s.stamp
	}
	e.host, e.program, e.pid = s.host, s.program, s.pid
	if l.data && s.data != nil {
		return s.data, false, ""
	}
	return bytes.TrimPrefix(s.message, ceeCookie), false, ""
}

// ceeCookie stands before a message that is JSON, as Suricata, rsyslog and others write it.
var ceeCookie = []byte("@cee:")

// A stampLayer is a time alone before each line, as kubectl logs --timestamps and
// docker logs write them.
type stampLayer struct{}

func (stampLayer) unwrap(record []byte, e *envelope) ([]byte, bool, string) {
	if !isStampISO(record) {
		return record, false, ""
	}
	e.opened = true
	e.stamp, record = scan.CutWord(record)
	return record, false, ""
}

// A wordsLayer is what a program's logger writes before a record that is an object:
//
//	2026-11-20 20:25:30,123 INFO [http-1] example.Access - {"a":1}
//	2026/11/20 20:25:30 INFO record={"a":1}
//
// Lines without an object are left as they are.
type wordsLayer struct{}

func (wordsLayer) unwrap(record []byte, e *envelope) ([]byte, bool, string) {
	words, object, ok := cutWords(record)
	if !ok {
		return record, false, ""
	}
	e.opened = true
	if stamp, rest := scan.CutWord(words); len(stamp) == 10 && len(rest) > 8 && rest[2] == ':' { // the date alone
		clock, _ := scan.CutWord(rest)
		e.stamp = words[:len(stamp)+1+len(clock)]
	} else if len(stamp) > 10 {
		e.stamp = stamp
	}
	return object, false, ""
}

// cutWords cuts a line into words and an object behind them.
func cutWords(line []byte) (words, object []byte, ok bool) {
	line = bytes.TrimRight(line, " \r")
	at := bytes.Index(line, []byte(`{"`))
	if at < 1 || line[at-1] != ' ' && line[at-1] != '=' || line[len(line)-1] != '}' {
		return nil, nil, false
	}
	first, rest := scan.CutWord(line[:at])
	if rest = bytes.TrimSpace(rest); isTag(rest) || len(rest) == 0 && isTag(first) {
		return nil, nil, false // a header of syslog without its time
	}
	return line[:at], line[at:], true
}
