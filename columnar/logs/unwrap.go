package logs

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Logs come wrapped: each record behind a header of syslog or a container runtime, as
// a string in a JSON object, as a cell of an exported table. An unwrapper takes the
// layers off, so that decoders and their Sniff see the records as they were written.
// A record stays at its line: one that does not unwrap, or the first parts of one that
// is stored in parts, leaves a blank line, which no decoder counts.

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
	opened             bool // a layer was there
}

// recognised is how a member is read: what its records are wrapped in, outermost first,
// and the format of what is inside.
type recognised struct {
	format  *Format
	layers  []wrapping
	headers bool   // records get the header of syslog that the format expects
	head    []byte // of what is inside
}

// recognise returns how a member that begins with head is read. What a dialect reads as
// it stands is not looked into, unless it is plainly wrapped or gives no row.
func (r *reader) recognise(head []byte) (recognised, error) {
	if len(head) == 0 {
		return recognised{}, ErrEmpty
	}
	known := recognised{format: r.Format, head: head}
	if r.Format == nil {
		known.format = sniff(head)
	}
	if wrapped, plainly := wrappings(head); len(wrapped) > 0 {
		told := worth{}
		if known.format != nil {
			told = r.worth(known.format, head, false)
		}
		// All records of a vendor's log may be of other kinds.
		vendor := known.format != nil && known.format.Vendor != nil && told.other > 0
		if plainly || prioritised(head) || told.rows == 0 && !vendor || known.format.Generic {
			known = r.lookInside(known, head, told, plainly)
		}
	}
	known.format = r.mapped(head, known.format)
	switch {
	case known.format == nil:
		return recognised{}, ErrUnknown
	case known.format.Split != nil:
		return recognised{}, fmt.Errorf("is %s inside a compressed object: decompress it first", known.format.Name)
	}
	return known, nil
}

// lookInside returns a better reading than the known one of what begins with head, if
// there is one within wrappers. told is what the known one tells, and plainly says that
// no dialect reads the wrapper.
func (r *reader) lookInside(known recognised, head []byte, told worth, plainly bool) recognised {
	generic := known.format == nil || known.format.Generic
	least := int64(1)
	if !generic && !plainly {
		least = max(least, told.rows)
	}
	inside := r.search(head, maxLayers)
	var best recognised
	var most worth
	for _, n := range inside {
		f := r.fits(n.head)
		if f == nil {
			continue
		}
		n.format = f
		w := r.worth(f, n.head, true)
		if w.rows < least || cmp.Or(cmp.Compare(w.rows, most.rows), cmp.Compare(w.cells, most.cells), cmp.Compare(w.timed, most.timed)) <= 0 {
			continue // what it lacks may be in the wrapper
		}
		best, most = n.recognised, w
		if f.Syslog { // the wrapper may tell a machine
			if headed := n.headed(r, f); r.worth(f, headed.head, true).more(w) {
				best = headed
			}
		}
	}
	if best.format != nil {
		return best
	}
	for _, n := range slices.Backward(inside) { // the innermost first
		if headed := n.headed(r, nil); len(headed.head) > 0 {
			f := r.fits(headed.head)
			if f != nil && f.Syslog && r.worth(f, headed.head, true).rows >= least {
				headed.format = f
				return headed
			}
		}
	}
	if !generic && told.rows > 0 {
		return known
	}
	for _, n := range inside { // all its records may be of other kinds
		if f := r.fits(n.head); f != nil && !f.Syslog && generic {
			n.format = f
			return n.recognised
		}
	}
	if r.Format != nil && !r.Format.Generic {
		return known
	}
	// Records with any names: the reading that tells most.
	if plainly {
		told = worth{}
	}
	for _, n := range inside {
		f := cmp.Or(r.Format, r.mapped(n.head, sniff(n.head)))
		if f == nil || f.Split != nil {
			continue
		}
		w := r.worth(f, n.head, true)
		if w.cells > told.cells || w.cells == told.cells && known.layers != nil && w.timed > told.timed {
			n.format, told, known = f, w, n.recognised
			known.format = f
		}
	}
	return known
}

// fits returns the format that recognises what was inside a wrapper: the one that is
// asked for, or any; nil if that is a generic one, to which all is alike.
func (r *reader) fits(head []byte) *Format {
	if f := r.Format; f != nil {
		if !f.Generic && (sniffs(f, head) || r.worth(f, head, true).rows > 0) {
			return f
		}
		return nil
	}
	for range sniffLines {
		if len(head) == 0 {
			break
		}
		if f := sniff(head); f != nil && !f.Generic && f.Split == nil {
			return f
		}
		_, head = scan.CutLine(head)
	}
	return nil
}

// sniffLines is how many lines of other programs, as a start-up message, may stand
// before what a format recognises inside a wrapper.
const sniffLines = 16

// An insideOf is what begins with head within layers, and within outer without the last
// of them.
type insideOf struct {
	recognised
	outer []byte
}

// headed returns n with headers of syslog.
func (n *insideOf) headed(r *reader, f *Format) recognised {
	return recognised{format: f, layers: n.layers, headers: true, head: r.peel(n.outer, n.layers[len(n.layers)-1], true)}
}

// search returns all that may be inside of head, at most depth layers down; what is
// within a layer follows it.
func (r *reader) search(head []byte, depth int) []insideOf {
	var found []insideOf
	wrapped, _ := wrappings(head)
	for _, w := range wrapped {
		under := r.peel(head, w, false)
		if under == nil {
			continue
		}
		found = append(found, insideOf{recognised{layers: []wrapping{w}, head: under}, head})
		if depth == 1 {
			continue
		}
		for _, n := range r.search(under, depth-1) {
			n.layers = append([]wrapping{w}, n.layers...)
			found = append(found, n)
		}
	}
	return found
}

// sniff returns the first format that recognises head, nil if none does.
func sniff(head []byte) *Format {
	for _, f := range All() {
		if sniffs(f, head) {
			return f
		}
	}
	return nil
}

func sniffs(f *Format, head []byte) bool { return f.Sniff != nil && f.Sniff(head) }

// peel returns the whole lines of head without a layer, nil if no line has it.
func (r *reader) peel(head []byte, w wrapping, headers bool) []byte {
	head = wholeLines(head)
	u := newUnwrapper(bytes.NewReader(head), &recognised{layers: []wrapping{w}, headers: headers}, &r.ReadOptions)
	text, _ := io.ReadAll(u)
	if u.opened == 0 || len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	return text[:min(len(text), headSize)]
}

// A worth is how much a text tells as a format: the rows, how many cells they have beside
// the time, and how many have a time that is not the wrapper's; and the records of other
// kinds.
type worth struct{ rows, cells, timed, other int64 }

// more reports whether w tells more of the same rows.
func (w worth) more(than worth) bool { return w.rows == than.rows && w.cells > than.cells }

func (r *reader) worth(f *Format, head []byte, wrapped bool) (w worth) {
	if f.New == nil || len(head) == 0 {
		return w
	}
	options := r.Options
	options.Head = head
	d, err := f.New(&options)
	if err != nil {
		return w
	}
	out := &columnar.Out{Want: ^columnar.Cols(0), WantEvents: columnar.AnyEvent, Sink: func(b *columnar.Batch) {
		w.rows += int64(b.Len())
		for _, c := range b.Table.Cols {
			if c != columnar.Time {
				w.cells += int64(b.Known(c))
			}
		}
		for _, us := range b.Int64(columnar.Time) {
			if us != anyTime {
				w.timed++
			}
		}
	}}
	var t Tally
	b := &Block{Data: slices.Clone(wholeLines(head)), First: 1}
	if wrapped && f.Outer { // any time does
		b.Times = slices.Repeat([]int64{anyTime}, int(countLines(b.Data)))
	}
	if d.Decode(b, out, &t) != nil {
		return worth{}
	}
	out.Flush()
	w.other = t.Other
	return w
}

// wholeLines returns head without a last line that may be cut.
func wholeLines(head []byte) []byte {
	if at := bytes.LastIndexByte(head, '\n'); at >= 0 {
		return head[:at+1]
	}
	return head
}

// prioritised reports whether one of the first lines of head has a priority of syslog.
func prioritised(head []byte) bool {
	for lines := 0; len(head) > 0 && lines < 2*sniffLines; lines++ {
		var line []byte
		if line, head = scan.CutLine(head); len(scan.WithoutPriority(line)) < len(line) {
			return true
		}
	}
	return false
}

// wrappings returns the layers that the first lines of head may be wrapped in. plainly
// says that most have one that no dialect reads.
func wrappings(head []byte) (found []wrapping, plainly bool) {
	if c := splunkColumns(head); c != nil {
		found, plainly = append(found, func() layer { return &splunkLayer{splunkCells: *c} }), true
	}
	var fields uint64
	var syslog, stamped, docker bool
	var s syslogLine
	cri, lines := 0, 0
	for probe := newJSONLayer(0, false); len(head) > 0 && lines < 2*sniffLines; lines++ {
		var line []byte
		line, head = scan.CutLine(head)
		if len(line) == 0 {
			continue
		}
		if line[0] == '{' {
			has, ends := probe.messages(line)
			fields |= has
			docker = docker || ends
			continue
		}
		if _, _, _, ok := cutCRI(line); ok {
			cri++
		}
		syslog = syslog || s.parse(line)
		stamped = stamped || isStampISO(line)
	}
	for field := jsonMessage; field <= jsonTrailEvent; field++ {
		if fields>>field&1 != 0 {
			found = append(found, func() layer { return newJSONLayer(field, docker) })
		}
	}
	if cri > 0 {
		found = append(found, func() layer { return &criLayer{} })
		plainly = plainly || cri > lines/2
	}
	if stamped {
		found = append(found, func() layer { return stampLayer{} })
	}
	if syslog {
		found = append(found, func() layer { return &syslogLayer{} })
	}
	return found, plainly
}

// anyTime is the time of records that are only looked at, in 2020.
const anyTime = 50 * 366 * scan.Day

// NoTime stands for the time of a record whose wrapper says none, in Block.Times: no
// event is that old.
const NoTime = 0

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

func newUnwrapper(src io.Reader, known *recognised, ro *ReadOptions) *unwrapper {
	u := &unwrapper{src: src, headed: known.headers, maxRecord: ro.MaxRecord, in: make([]byte, headSize)}
	u.timed = known.format != nil && known.format.Outer
	u.clock.syslog = scan.SyslogClock{Clock: ro.Options.clock(), Written: ro.Options.Written}
	for _, w := range known.layers {
		u.layers = append(u.layers, w())
	}
	_, u.table = u.layers[0].(*splunkLayer)
	return u
}

func (u *unwrapper) Read(p []byte) (int, error) {
	for u.read == len(u.out) {
		if u.err != nil {
			return 0, u.err
		}
		u.fill()
	}
	n := copy(p, u.out[u.read:])
	u.read += n
	return n, nil
}

// fill reads on, and unwraps the records that are whole.
func (u *unwrapper) fill() {
	u.out, u.read = u.out[:0], 0
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
			u.skip(fmt.Sprintf("record longer than %d KiB", u.maxRecord>>10), 1)
		}
		u.lost, p = true, nil
	}
	u.n = copy(u.in, p)
	if err == io.EOF {
		for _, l := range u.layers {
			if j, ok := l.(interface{ open() bool }); ok && j.open() {
				u.skipped = append(u.skipped, Reason{"the last part of the record is missing", 1, u.record})
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
	lines := max(1, bytes.Count(record, eol)) // more than one in a table
	text := trimEOL(record)
	if len(text) == 0 {
		u.blank(lines)
		return
	}
	u.e = envelope{}
	for _, l := range u.layers {
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
	because(&u.skipped, Reason{why, 1, u.record + 1})
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
		return nil, false, fmt.Sprintf("record longer than %d KiB", MaxRecord>>10)
	}
	return whole, false, ""
}

// open reports whether the last part of a record is missing.
func (j *joiner) open() bool { return len(j.parts[0])+len(j.parts[1]) > 0 }

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
	return s.message, false, ""
}

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

// A criLayer is the header that container runtimes give a line: "TIME stdout F ". Lines
// without one are left as they are.
type criLayer struct{ joiner }

func (l *criLayer) unwrap(record []byte, e *envelope) ([]byte, bool, string) {
	stamp, stream, text, ok := cutCRI(record)
	if !ok {
		return record, false, ""
	}
	e.opened, e.stamp = true, stamp
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

// Fields of a JSON object that wraps a record: where the record may be, in the order
// in which it is looked for, then what is said of it. Of several times the first
// counts.
const (
	jsonMessage     = iota // of shippers
	jsonLog                // of container runtimes
	jsonMsg                //
	jsonRaw                // of Splunk
	jsonJournal            // of journald
	jsonOriginal           // of Elastic
	jsonEventText          // of Splunk's collector, Zscaler
	jsonDetail             // of EventBridge
	jsonEventData          // of CloudTrail Lake
	jsonTrailEvent         // of CloudTrail's lookup-events
	jsonTimestamp          // the first time
	_                      // time
	_                      // timestamp
	_                      // _time
	jsonJournalTime        // the last time
	jsonStream
	jsonHost
	jsonHostName
	jsonJournalHost
	jsonProgram
	jsonPID
)

// newWrapperShape returns the shape of objects that wrap a record.
func newWrapperShape() *scan.Shape {
	s := scan.ShapeOf(0, "message", "log", "msg", "_raw", "MESSAGE", "event.original", "event", "detail", "eventData", "CloudTrailEvent",
		"@timestamp", "time", "timestamp", "_time", "__REALTIME_TIMESTAMP",
		"stream", "host", "hostname", "_HOSTNAME", "SYSLOG_IDENTIFIER", "_PID")
	s.Within("event", scan.ShapeOf(jsonOriginal, "original"))
	s.Within("host", scan.ShapeOf(jsonHostName, "name"))
	result := scan.ShapeOf(jsonRaw, "_raw") // of Splunk's export
	s.Within("result", result)
	return s
}

// A jsonLayer is a JSON object that has the record under a key.
type jsonLayer struct {
	joiner
	field   int
	docker  bool // a text that ends without a newline goes on
	shape   *scan.Shape
	values  [64]scan.Value
	scratch []byte
}

func newJSONLayer(field int, docker bool) *jsonLayer {
	return &jsonLayer{field: field, docker: docker && field == jsonLog, shape: newWrapperShape()}
}

// messages returns the fields of an object that may be a record, as a set, and
// whether the line of a container runtime ends with a newline.
func (l *jsonLayer) messages(record []byte) (fields uint64, ends bool) {
	if _, _, ok := l.shape.Read(record, l.values[:]); !ok {
		return 0, false
	}
	for field := jsonMessage; field <= jsonTrailEvent; field++ {
		if l.holds(field) {
			fields |= 1 << field
		}
	}
	return fields, bytes.HasSuffix(l.shape.Value(jsonLog), []byte(`\n"`))
}

// holds reports whether a field of the object may be a record.
func (l *jsonLayer) holds(field int) bool {
	v := l.shape.Value(field)
	return v.Is('"') || v.Is('{') && (field == jsonEventText || field == jsonDetail || field == jsonEventData)
}

func (l *jsonLayer) unwrap(record []byte, e *envelope) ([]byte, bool, string) {
	s := l.shape
	if _, _, ok := s.Read(record, l.values[:]); !ok {
		return nil, false, malformedJSON
	}
	if !l.holds(l.field) {
		return nil, false, "no message in the JSON object that the others are wrapped in"
	}
	l.scratch = l.scratch[:0]
	e.opened = true
	for field := jsonTimestamp; field <= jsonJournalTime; field++ {
		if t := s.Text(field, &l.scratch); len(t) > 0 {
			e.stamp = t
			break
		}
	}
	for field := jsonHost; field <= jsonJournalHost; field++ {
		if t := s.Text(field, &l.scratch); len(t) > 0 {
			e.host = t
		}
	}
	if t := s.Text(jsonProgram, &l.scratch); len(t) > 0 {
		e.program, e.pid = t, s.Text(jsonPID, &l.scratch)
	}
	text := []byte(s.Value(l.field))
	if text[0] == '"' {
		text = s.Text(l.field, &l.scratch)
	}
	if !l.docker {
		return text, false, ""
	}
	stream := 0
	if string(s.Text(jsonStream, &l.scratch)) == "stderr" {
		stream = 1
	}
	return l.join(text, stream, len(text) == 0 || text[len(text)-1] != '\n')
}

// splunkCells say where the record and its time are in a table that Splunk exported.
type splunkCells struct {
	header    []byte
	raw, time int // the columns; -1: none
}

// splunkColumns returns nil if head is no such table.
func splunkColumns(head []byte) *splunkCells {
	line, _ := scan.CutLine(head)
	if !bytes.Contains(line, []byte("_raw")) || line[0] == '{' {
		return nil
	}
	names := separatedFields(line, ',')
	c := splunkCells{bytes.Clone(line), slices.Index(names, "_raw"), slices.Index(names, "_time")}
	if c.raw < 0 {
		return nil
	}
	return &c
}

// A splunkLayer is a table of CSV that has the record in a column.
type splunkLayer struct {
	splunkCells
	scratch, stamp []byte
}

func (l *splunkLayer) unwrap(record []byte, e *envelope) ([]byte, bool, string) {
	if bytes.Equal(record, l.header) {
		return nil, true, ""
	}
	var raw []byte
	found := false
	for column, rest := 0, record; ; column++ {
		var cell []byte
		cell, rest = cutCell(rest)
		switch column {
		case l.raw:
			l.scratch = slices.Grow(l.scratch[:0], len(cell))
			raw, found = unquote(cell, l.scratch), true
		case l.time:
			l.stamp = slices.Grow(l.stamp[:0], len(cell))
			e.stamp = unquote(cell, l.stamp)
		}
		if rest == nil {
			break
		}
	}
	if !found {
		return nil, false, "no _raw among the fields of the exported table"
	}
	e.opened = true
	return raw, false, ""
}

// cutCell cuts the first cell off a record of CSV; rest is nil behind the last.
func cutCell(p []byte) (cell, rest []byte) {
	quoted := false
	for i, c := range p {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return p[:i], p[i+1:]
		}
	}
	return p, nil
}
