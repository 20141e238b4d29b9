package iceberg

import (
	"encoding/json"
	"errors"
	"io"
	"iter"
	"math"
	"strconv"
)

// AvroLines reads the records of an Avro object container file as JSON objects, one a line. Bytes are
// read as text, an enum as the number of its symbol.
func AvroLines(src io.Reader) io.ReadCloser {
	next, stop := iter.Pull2(func(yield func([]byte, error) bool) {
		var line []byte
		if err := readAvro(src, func(r *avroReader, t *avroType, _ map[string][]byte) error {
			line = append(r.appendJSON(line[:0], t), '\n')
			if r.err == nil && !yield(line, nil) {
				return errClosed
			}
			return nil
		}); err != nil && err != errClosed {
			yield(nil, err)
		}
	})
	return &avroLines{next: next, stop: stop}
}

var errClosed = errors.New("closed")

type avroLines struct {
	next func() ([]byte, error, bool)
	stop func()
	line []byte
	err  error
}

func (l *avroLines) Read(p []byte) (int, error) {
	for len(l.line) == 0 {
		if l.err != nil {
			return 0, l.err
		}
		var more bool
		if l.line, l.err, more = l.next(); !more {
			l.err = io.EOF
		} else if errors.Is(l.err, errTruncated) {
			l.err = io.ErrUnexpectedEOF
		}
	}
	n := copy(p, l.line)
	l.line = l.line[n:]
	return n, nil
}

func (l *avroLines) Close() error {
	l.stop()
	return nil
}

// appendJSON appends a value as JSON.
func (r *avroReader) appendJSON(dst []byte, t *avroType) []byte {
	list := func(begin, end byte, each func(func(read func()))) []byte {
		dst = append(dst, begin)
		first := true
		each(func(read func()) {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			read()
		})
		return append(dst, end)
	}
	switch t.kind {
	case "union":
		if !r.step() {
			return dst
		}
		if t = r.branch(t); t == nil {
			return dst
		}
		return r.appendJSON(dst, t)
	case "record":
		return list('{', '}', func(member func(func())) {
			r.record(t, func(f *avroField) {
				member(func() { dst = r.appendJSON(appendText(dst, f.name, ':'), f.avroType) })
			})
		})
	case "array":
		return list('[', ']', func(member func(func())) {
			r.array(t, func(t *avroType) { member(func() { dst = r.appendJSON(dst, t) }) })
		})
	case "map":
		return list('{', '}', func(member func(func())) {
			r.items(func() {
				member(func() { dst = r.appendJSON(appendText(dst, string(r.take(r.long())), ':'), t.items) })
			})
		})
	}
	switch v := r.value(t).(type) {
	case bool:
		return strconv.AppendBool(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return strconv.AppendFloat(dst, v, 'g', -1, 64)
		}
	case string:
		return appendText(dst, v)
	case []byte:
		return appendText(dst, string(v))
	}
	return append(dst, "null"...)
}

// appendText appends a text as JSON, and what is behind it.
func appendText(dst []byte, text string, behind ...byte) []byte {
	quoted, _ := json.Marshal(text) // a text can always be
	return append(append(dst, quoted...), behind...)
}
