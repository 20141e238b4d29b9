package logs

import (
	"bytes"
	"io"
	"slices"

	"outflow/columnar/scan"
)

// Logs come wrapped: each record behind a header of syslog or a container runtime, as
// a string in a JSON object, as a cell of an exported table. An unwrapper takes the
// layers off, so that decoders and their Sniff see the records as they were written.
// A record stays at its line: one that does not unwrap, or the first parts of one that
// is stored in parts, leaves a blank line, which no decoder counts. Only packed records, of
// which a line holds several, get lines of their own.

// maxLayers is how many layers may be around a record: a message of syslog, in the
// JSON of a container runtime, in that of a shipper, in an event of a collector.
const maxLayers = 4

// A layer takes one layer off records. It is used by one goroutine, on the records of
// one member in their order.
type layer interface {
	// unwrap returns the text that is inside and notes in e what the layer says
	// of it. why says why the record does not unwrap. The text is valid until the
	// next call. held says that the record goes on in a later one.
	unwrap(record []byte, e *envelope) (text []byte, held bool, why string)
}

// A wrapping makes the layers of one kind.
type wrapping func() layer

// An envelope is what the layers around a record say of it. The innermost that says
// something counts.
type envelope struct {
	stamp              []byte // its time, as the layer writes it
	host, program, pid []byte
	file               []byte // or container that it was written to
	stream             int    // 0: not said; 1: standard output; 2: errors
	opened             bool   // a layer was there
}

// An unwrapper reads the records of a wrapped log, one a line.
type unwrapper struct {
	src       io.Reader
	layers    []layer
	headed    bool
	table     bool // records are of CSV, and may span lines
	timed     bool // times are wanted
	maxRecord int
	clock     stamper

	in     []byte // in[:n] was read, and not yet looked at
	n      int
	own    []byte // the memory of out, if it is not the reader's
	out    []byte // unwrapped
	read   int    // out[:read] was handed out
	err    error
	lost   bool  // the rest of a record that is too long comes in
	record int64 // number of the last record
	size   int64 // bytes read
	opened int64 // records that a layer was around

	skipped []Reason
	times   []int64 // of the lines in out
	e       envelope
}

// unwrapSize is how much is unwrapped at once. With this much room behind a record that is
// not whole, text need not be copied through the buffers of the readers below.
const unwrapSize = 2 * headSize

func newUnwrapper(src io.Reader, known *recognised, ro *ReadOptions) *unwrapper {
	u := &unwrapper{src: src, headed: known.headers, maxRecord: ro.MaxRecord, in: make([]byte, unwrapSize)}
	u.timed = known.format != nil && known.format.Outer
	u.clock.syslog = scan.SyslogClock{Clock: ro.Options.clock(), Written: ro.Options.Written}
	for _, w := range known.layers {
		l := w()
		if j, ok := l.(*jsonLayer); ok {
			j.objects = known.format.readsObjects()
		}
		u.layers = append(u.layers, l)
	}
	_, u.table = u.layers[0].(*tableLayer)
	return u
}

func (u *unwrapper) Read(p []byte) (int, error) {
	for u.read == len(u.out) {
		if u.err != nil {
			return 0, u.err
		}
		if len(p) < 2*len(u.in) {
			u.fill(u.own)
			u.own = u.out[:cap(u.out)]
			continue
		}
		// There is room in p for what most records hold, so it need not be copied.
		u.fill(p)
		if len(u.out) <= len(p) {
			n := len(u.out)
			u.out = nil
			if n > 0 {
				return n, nil
			}
		}
	}
	n := copy(p, u.out[u.read:])
	u.read += n
	return n, nil
}

// fill reads on, and unwraps the records that are whole into memory, if they fit.
func (u *unwrapper) fill(memory []byte) {
	u.out, u.read = memory[:0:len(memory)], 0
	if u.n == len(u.in) {
		u.in = append(u.in, make([]byte, min(len(u.in), max(u.maxRecord-len(u.in), headSize)))...)
	}
	m, err := u.src.Read(u.in[u.n:])
	u.size += int64(m)
	u.n += m
	u.err = err
	p := u.in[:u.n]
	for len(p) > 0 {
		end := u.recordEnd(p)
		if end == 0 {
			break
		}
		if u.lost {
			u.lost = false
		} else {
			u.unwrap(p[:end])
		}
		p = p[end:]
	}
	switch {
	case len(p) > 0 && err != nil && err != io.EOF && !u.lost:
		u.skip("record cut off where the object ends early", 1)
		p = nil
	case len(p) >= u.maxRecord:
		if !u.lost {
			u.skip(tooLong(u.maxRecord), 1)
		}
		u.lost, p = true, nil
	}
	u.n = copy(u.in, p)
	if err == io.EOF {
		for _, l := range u.layers {
			if j, ok := l.(interface{ open() int64 }); ok && j.open() > 0 {
				u.skipped = append(u.skipped, Reason{Text: "the last part of the record is missing", Count: j.open(), First: u.record})
			}
		}
	}
}

// recordEnd returns where the record that p begins with ends; 0 if more has to be read
// first.
func (u *unwrapper) recordEnd(p []byte) int {
	if u.table && !u.lost {
		end := separatedEnd(p)
		if p[end-1] == '\n' && bytes.Count(p[:end], quote)%2 == 0 || u.err == io.EOF || len(p) >= u.maxRecord {
			return end
		}
		return 0
	}
	end := bytes.IndexByte(p, '\n') + 1
	if end == 0 && u.err == io.EOF {
		return len(p)
	}
	return end
}

// unwrap appends what is inside a record to out.
func (u *unwrapper) unwrap(record []byte) {
	lines := 1
	if u.table {
		lines = max(1, bytes.Count(record, eol))
	}
	text := trimEOL(record)
	if len(text) == 0 {
		u.blank(lines)
		return
	}
	u.e = envelope{}
	u.through(u.layers, text, lines)
}

// through takes layers off a text that stands at some lines, and appends what is inside to out.
func (u *unwrapper) through(layers []layer, text []byte, lines int) {
	for i, l := range layers {
		var held bool
		var why string
		if text, held, why = l.unwrap(text, &u.e); why != "" {
			u.skip(why, lines)
			return
		}
		if held {
			u.blank(lines)
			return
		}
		if _, ok := l.(*packedLayer); ok && i+1 < len(layers) || ok && bytes.IndexByte(trimEOL(text), '\n') >= 0 {
			around := u.e
			for line := range bytes.Lines(text) {
				u.e = around
				u.through(layers[i+1:], trimEOL(line), 1)
			}
			return
		}
	}
	if u.e.opened {
		u.opened++
	}
	us := int64(NoTime)
	if u.timed {
		if t, ok := u.clock.time(u.e.stamp); ok {
			us = t
		}
	}
	if text = trimEOL(text); u.headed && len(text) > 0 {
		u.header()
	}
	from := len(u.out)
	u.out = append(u.out, text...)
	flatten(u.out[from:])
	u.end(us)
	u.record++
	u.blank(lines - 1)
}

// header writes what the layers say of a record as a header of syslog.
func (u *unwrapper) header() {
	stamp := u.clock.iso(u.e.stamp)
	if stamp == nil {
		return
	}
	u.out = append(append(u.out, stamp...), ' ')
	if len(u.e.program) == 0 {
		return
	}
	// Without a host, what looks like a program may be the first word of a message.
	if len(u.e.host) > 0 {
		u.out = append(append(u.out, u.e.host...), ' ')
	}
	u.out = append(u.out, u.e.program...)
	if len(u.e.pid) > 0 {
		u.out = append(append(append(u.out, '['), u.e.pid...), ']')
	}
	u.out = append(u.out, ": "...)
}

// skip leaves blank lines for a record that is counted as skipped.
func (u *unwrapper) skip(why string, lines int) {
	because(&u.skipped, Reason{Text: why, Count: 1, First: u.record + 1})
	u.blank(lines)
}

func (u *unwrapper) blank(lines int) {
	for range lines {
		u.end(NoTime)
	}
	u.record += int64(lines)
}

// end ends a line. us is the time that the wrapper gives its record.
func (u *unwrapper) end(us int64) {
	u.out = append(u.out, '\n')
	if u.timed {
		u.times = append(u.times, us)
	}
}

// take returns what is known of the next lines.
func (u *unwrapper) take(lines int64) (times []int64, skipped []Reason) {
	if u.timed {
		times = slices.Clone(u.times[:lines])
		u.times = u.times[:copy(u.times, u.times[lines:])]
	}
	skipped, u.skipped = u.skipped, nil
	return times, skipped
}

// trimEOL returns text without the ends of line behind it.
func trimEOL(text []byte) []byte {
	for len(text) > 0 && (text[len(text)-1] == '\n' || text[len(text)-1] == '\r') {
		text = text[:len(text)-1]
	}
	return text
}

// flatten makes one line of a record: an event of XML, or JSON spread over lines.
func flatten(text []byte) {
	for {
		at := bytes.IndexByte(text, '\n')
		if at < 0 {
			return
		}
		text[at] = ' '
		if at > 0 && text[at-1] == '\r' {
			text[at-1] = ' '
		}
		text = text[at+1:]
	}
}
