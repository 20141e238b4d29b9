package logs

import "bytes"

// JSON objects that are printed over several lines, when each line is wrapped.

// A printedLayer brings the lines of a printed object together: "{" alone, indented lines,
// and "}" alone. Whatever begins otherwise is a record of its own, and may stand between. The
// row has the number of the last line.
//
// Programs that write at once have their lines mixed. Those that the wrapper tells apart
// are put together apart. Where an object begins within another of the same writer, nobody
// can say which lines are whose: both are skipped, and all that this writer prints later.
type printedLayer struct {
	writers []printedBy
	size    int // of the texts, in bytes
}

// A printedBy is what one writer has printed.
type printedBy struct {
	host, program, pid, file []byte
	stream                   int
	text                     []byte
	open                     bool // text is the beginning of an object
	mixed, long              bool // see printedLayer; text is longer than MaxRecord
}

// printedWriters is how many writers are told apart. More at once than that are not found in
// one log; the lines of further ones stay as they are.
const printedWriters = 64

// printedMixed is a reason to skip printed objects.
const printedMixed = "JSON printed over lines among those of another record"

func (l *printedLayer) unwrap(record []byte, e *envelope) (text []byte, held bool, why string) {
	if len(record) == 0 {
		return record, false, ""
	}
	begins := opensPrinted(record)
	w := l.writer(e, begins)
	switch {
	case w == nil:
		return record, false, ""
	case begins && w.open:
		w.mixed = true
		l.cut(w)
		return nil, false, printedMixed
	case begins:
		w.open = true
		l.add(w, record)
		return nil, true, ""
	case !w.open:
		return record, false, ""
	case record[0] == ' ' || record[0] == '\t':
		l.add(w, record)
		return nil, true, ""
	case record[0] != '}' || len(bytes.TrimRight(record, " \t\r\n,")) > 1:
		return record, false, ""
	}
	w.open = false
	whole := append(w.text, '}')
	l.cut(w)
	switch {
	case w.mixed:
		return nil, false, printedMixed
	case w.long:
		w.long = false
		return nil, false, tooLong(MaxRecord)
	}
	e.opened = true
	return whole, false, ""
}

// opensPrinted reports whether a printed object begins with the line.
func opensPrinted(line []byte) bool {
	return len(line) > 0 && line[0] == '{' && len(bytes.TrimRight(line, " \t\r\n")) == 1
}

// writer returns who wrote a record; nil if that is nobody who prints.
func (l *printedLayer) writer(e *envelope, begins bool) *printedBy {
	var free *printedBy
	for i := range l.writers {
		w := &l.writers[i]
		if w.stream == e.stream && bytes.Equal(w.pid, e.pid) && bytes.Equal(w.program, e.program) && bytes.Equal(w.file, e.file) && bytes.Equal(w.host, e.host) {
			return w
		}
		if !w.open && !w.mixed {
			free = w
		}
	}
	switch {
	case !begins:
		return nil
	case len(l.writers) < printedWriters:
		l.writers = append(l.writers, printedBy{})
		free = &l.writers[len(l.writers)-1]
	case free == nil:
		return nil
	}
	free.stream = e.stream
	free.host, free.program = append(free.host[:0], e.host...), append(free.program[:0], e.program...)
	free.pid, free.file = append(free.pid[:0], e.pid...), append(free.file[:0], e.file...)
	return free
}

// add appends a line, unless what is open of all writers becomes longer than a record may.
func (l *printedLayer) add(w *printedBy, line []byte) {
	line = trimEOL(line)
	if l.size+len(line)+1 > MaxRecord {
		w.long = true
		l.cut(w)
	}
	if !w.mixed && !w.long {
		w.text = append(append(w.text, line...), ' ')
		l.size += len(line) + 1
	}
}

// cut drops the text of an object.
func (l *printedLayer) cut(w *printedBy) {
	l.size -= len(w.text)
	w.text = w.text[:0]
}

// open returns how many objects have no end.
func (l *printedLayer) open() (n int64) {
	for i := range l.writers {
		if l.writers[i].open {
			n++
		}
	}
	return n
}
