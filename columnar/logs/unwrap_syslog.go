package logs

import (
	"bytes"

	"outflow/columnar/scan"
)

// Headers of syslog, and times alone, as layers around a record.

// A syslogLayer is a header of syslog. Lines without one are left as they are.
type syslogLayer struct{ line syslogLine }

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
