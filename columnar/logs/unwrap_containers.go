package logs

import (
	"bytes"

	"outflow/columnar/scan"
)

// Headers that container runtimes give a line, and records that they store in parts.

// A criLayer is the header that container runtimes give a line: "TIME stdout F ". Lines
// without one are left as they are.
type criLayer struct{ joiner }

func (l *criLayer) unwrap(record []byte, e *envelope) ([]byte, bool, string) {
	stamp, stream, text, ok := cutCRI(record)
	if !ok {
		return record, false, ""
	}
	e.opened, e.stamp, e.stream = true, stamp, 1+stream>>1
	return l.join(text, stream>>1, stream&1 != 0)
}

// cutCRI cuts the header off a line. stream has bit 1 for standard errors, bit 0 if
// the record goes on.
func cutCRI(line []byte) (stamp []byte, stream int, text []byte, ok bool) {
	if !isStampISO(line) {
		return nil, 0, nil, false
	}
	stamp, rest := scan.CutWord(line)
	rest, isOut := bytes.CutPrefix(rest, []byte("stdout "))
	if !isOut {
		if rest, ok = bytes.CutPrefix(rest, []byte("stderr ")); !ok {
			return nil, 0, nil, false
		}
		stream = 2
	}
	tags, text := scan.CutWord(rest)
	switch {
	case len(tags) == 0 || len(tags) > 1 && tags[1] != ':':
		return nil, 0, nil, false
	case tags[0] == 'P':
		stream |= 1
	case tags[0] != 'F':
		return nil, 0, nil, false
	}
	return stamp, stream, text, true
}

// A joiner brings records that are stored in parts together.
type joiner struct {
	parts [2][]byte // of standard output and errors
	long  [2]bool
}

// join returns the whole record, if text is its last part.
func (j *joiner) join(text []byte, stream int, more bool) (whole []byte, held bool, why string) {
	if !more && len(j.parts[stream]) == 0 && !j.long[stream] {
		return text, false, ""
	}
	if len(j.parts[stream])+len(text) > MaxRecord {
		j.parts[stream], j.long[stream] = j.parts[stream][:0], true
	}
	if !j.long[stream] {
		j.parts[stream] = append(j.parts[stream], text...)
	}
	if more {
		return nil, true, ""
	}
	whole, j.parts[stream] = j.parts[stream], j.parts[stream][:0]
	if j.long[stream] {
		j.long[stream] = false
		return nil, false, tooLong(MaxRecord)
	}
	return whole, false, ""
}

// open returns how many records lack their last part.
func (j *joiner) open() (n int64) {
	for _, part := range j.parts {
		if len(part) > 0 {
			n++
		}
	}
	return n
}
