package logs

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// How a member is to be read: what its records are wrapped in, and the format of what
// is inside.

// recognised is how a member is read: what its records are wrapped in, outermost first,
// and the format of what is inside.
type recognised struct {
	format  *Format
	layers  []wrapping
	headers bool   // records get the header of syslog that the format expects
	head    []byte // of what is inside
	machine *machine
}

// recognise returns how a member that begins with head is read. What a dialect reads as
// it stands is not looked into, unless it is plainly wrapped or gives no row, or its records
// may span lines: a wrapper would stand within them.
func (r *reader) recognise(head []byte) (recognised, error) {
	if len(head) == 0 {
		return recognised{}, ErrEmpty
	}
	head = mendedHead(head)
	known := recognised{format: r.Format, head: head}
	if f := r.Format; f != nil && f.Objects != nil && inObject(head) {
		known.format = f.Objects
	}
	if r.Format == nil {
		known.format = r.Formats.sniff(head, false)
	}
	if wrapped, plainly := wrappings(head); len(wrapped) > 0 {
		told := worth{}
		// A LogFormat describes lines of text, which objects may seem to be.
		around := inObject(head) && known.format != nil && known.format == FormatOf(r.Options.LogFormat)
		if known.format != nil && !known.format.Generic && !around {
			told = r.worth(known.format, head, false)
		}
		// All records of a vendor's log may be of other kinds.
		vendor := known.format != nil && known.format.Vendor != nil && told.other > 0
		if plainly || prioritised(head) || told.rows == 0 && !vendor || known.format.mayWrap() || known.format.Cut != nil || known.format.ofText() {
			known = r.lookInside(known, head, told, plainly)
		}
	}
	known.format = r.mapped(head, known.format)
	if f := known.format; f != nil && f.Split == nil && (known.layers == nil || known.ofSyslog()) {
		known.machine = r.machineOf(f, head)
	}
	if f := known.format; f == nil || f.Generic && r.Options.LogFormat != "" && r.worth(f, known.head, known.layers != nil).rows == 0 {
		if described, ok := r.described(head); ok {
			return described, nil
		}
	}
	switch {
	case known.format == nil:
		if behind := behindWords(head); behind != nil && !inObject(head) {
			return r.recognise(behind)
		}
		return recognised{}, ErrUnknown
	case known.format.Split != nil:
		return recognised{}, fmt.Errorf("is %s inside a compressed object: decompress it first", known.format.Name)
	}
	return known, nil
}

// described returns how a log that no format recognises, or makes rows of, is read as Options.LogFormat describes it.
func (r *reader) described(head []byte) (known recognised, ok bool) {
	f := FormatOf(r.Options.LogFormat)
	if f == nil || r.Format != nil {
		return known, false
	}
	as := *r
	as.Format = f
	known, err := as.recognise(head)
	return known, err == nil && (known.layers != nil || !inObject(head)) && r.worth(f, known.head, known.layers != nil).rows > 0
}

// laterHeads is how far a log is looked into whose beginning no format knows, in heads.
const laterHeads = 16

// later returns how the log of a machine is read whose programs at its beginning no format knows, as one
// further on is; nil if there is none. head is what text begins with, which is read.
func (r *reader) later(head []byte, text *bufio.Reader) *recognised {
	var s syslogLine
	if first, _ := scan.CutLine(head); !s.parse(first) {
		return nil
	}
	begin := bytes.Clone(wholeLines(head))
	for range laterHeads {
		text.Discard(text.Buffered())
		next, _ := text.Peek(headSize)
		_, next = scan.CutLine(next) // it may be cut
		if len(next) == 0 {
			return nil
		}
		known, err := r.recognise(next)
		if err == nil && known.format.Split == nil && !known.format.Generic && (known.layers == nil || known.ofSyslog()) {
			known.head = bytes.Clone(known.head)
			known.machine = r.machineOf(known.format, append(begin, next...))
			return &known
		}
	}
	return nil
}

// behindWords returns head from its first object of JSON on, if a few lines before it are none: words that a
// program wrote when it started, or the end of an object, as that of a log that was rotated, or cut, within a record;
// nil if there is none.
func behindWords(head []byte) []byte {
	for n := 0; n < sniffLines && len(head) > 0; n++ {
		if _, head = scan.CutLine(head); len(head) > 0 && head[0] == '{' {
			return head
		}
	}
	return nil
}

// ofSyslog reports whether a header of syslog is all that is around the records.
func (k *recognised) ofSyslog() bool {
	if len(k.layers) != 1 {
		return false
	}
	l, ok := k.layers[0]().(*syslogLayer)
	return ok && !l.data
}

// of returns how the lines of a format in the log of a machine are read.
func (k *recognised) of(f *Format) *recognised {
	m := k.machine
	part := *k
	part.format, part.headers, part.machine = f, f.Syslog, nil
	part.layers = []wrapping{func() layer { return &programLayer{machine: m, format: f} }, func() layer { return &syslogLayer{} }}
	return &part
}

// mendedHead returns head with its lines as JSON, if the first is what decoders mend.
func mendedHead(head []byte) []byte {
	line, _ := scan.CutLine(bytes.TrimLeft(head, " \t\r\n"))
	if line = trimEOL(line); len(line) == 0 || line[0] != '{' || len(line) >= headSize/2 || isJSON(line) {
		return head
	}
	var mended []byte
	for line := range bytes.Lines(head) {
		begin := len(mended)
		text := trimEOL(line)
		out, ok := scan.MendJSON(mended, text)
		if !ok || isJSON(text) {
			mended = append(mended[:begin], line...)
			continue
		}
		mended = append(out, '\n')
	}
	return mended
}

// lookInside returns a better reading than the known one of what begins with head, if
// there is one within wrappers. told is what the known one tells, and plainly says that
// no dialect reads the wrapper.
func (r *reader) lookInside(known recognised, head []byte, told worth, plainly bool) recognised {
	generic := known.format == nil || known.format.mayWrap()
	least := int64(1)
	if !generic && !plainly {
		least = max(least, told.rows)
	}
	inside := r.search(head, maxLayers, sniffLines)
	var best recognised
	var most worth
	for i := range inside {
		n := &inside[i]
		if _, ok := n.layers[0]().(*tableLayer); ok && !generic && !plainly && known.format.Vendor != nil && told.rows > 0 {
			continue // a source of its own reads the table
		}
		f := r.fits(n, n.head, false)
		if n.format = f; f == nil {
			continue
		}
		w := r.worth(f, n.head, true)
		if _, ok := n.layers[0]().(*tabsLayer); ok && w.rows <= told.rows {
			continue // the tabs are the log's own
		}
		alike := w.rows == most.rows && ((f.Cut != nil || w.timed+most.timed == 0 || f == best.format && w.timed == most.timed && w.timed < w.rows) && shorter(n.head, best.head) || w.cells > most.cells || w.cells == most.cells && w.timed > most.timed)
		if w.rows == most.rows && w.cells == most.cells && w.timed == most.timed && best.layers != nil && best.isTable() && !n.isTable() {
			alike = true // the table's header is the log's own, behind what each line begins with
		}
		more := w.rows > most.rows || alike
		if f == best.format && (w.rows-most.rows)*(w.timed-most.timed) < 0 {
			more = shorter(n.head, best.head) // what has more rows may have the wrapper's time in place of its own
		}
		if w.rows < least || !more {
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
		if n.isTable() {
			continue
		}
		if headed := n.headed(r, nil); len(headed.head) > 0 {
			f := r.fits(&n, headed.head, true)
			if f != nil && (r.worth(f, headed.head, true).rows >= least || f == known.format && f.Vendor != nil) {
				headed.format = f
				return headed
			}
		}
	}
	if !generic && told.rows > 0 {
		return known
	}
	for _, n := range inside { // all its records may be of other kinds
		if f := n.format; f != nil && !f.Syslog && generic {
			return n.recognised
		}
	}
	if r.Format != nil && !r.Format.Generic {
		return known
	}
	// Records with any names: the reading that tells most. A table is csv, which is faster.
	inside = slices.DeleteFunc(inside, func(n insideOf) bool { return n.isTable() })
	if plainly || len(inside) == 0 {
		told = worth{}
	} else if generic && known.format != nil {
		told = r.worth(known.format, head, false)
	}
	for _, n := range inside {
		f := cmp.Or(r.Format, r.mapped(n.head, n.general))
		if f == nil || f.Split != nil {
			continue
		}
		w := r.worth(f, n.head, true)
		better := w.cells > told.cells
		if known.layers != nil {
			switch { // columns without a time may be those of a wrapper that is still there
			case f == known.format && (w.timed > 0) != (told.timed > 0):
				better = w.timed > 0
			case w.cells == told.cells:
				better = w.timed > told.timed || w.timed == told.timed && w.timed == 0 && shorter(n.head, known.head)
			}
		}
		if better {
			n.format, told, known = f, w, n.recognised
			known.format = f
		}
	}
	return known
}

// shorter reports whether less is around the first record of a than of b.
func shorter(a, b []byte) bool {
	line, _ := scan.CutLine(bytes.TrimLeft(a, "\n"))
	than, _ := scan.CutLine(bytes.TrimLeft(b, "\n"))
	return len(line) < len(than)
}

// fits returns the format that recognises head, which is n's or that with headers: the one that is
// asked for, or any; nil if that is a generic one, to which all is alike, which n notes. It may
// recognise one of the first lines. syslog says that only those count that read headers.
func (r *reader) fits(n *insideOf, head []byte, syslog bool) *Format {
	if f := r.Format; f != nil {
		if !f.Generic && (f.Syslog || !syslog) && (f.sniffs(head, true) || r.worth(f, head, true).rows > 0) {
			return f
		}
		return nil
	}
	head = bytes.TrimLeft(head, "\n")
	for line := 0; line < n.lines && len(head) > 0; line++ {
		f := r.Formats.first(func(f *Format) bool { return (f.Syslog || !syslog) && f.sniffs(head, true) })
		if f != nil && !f.Generic && f.Split == nil {
			return f
		}
		if !syslog && (line == 0 || n.general == nil && inObject(head)) { // words may stand before objects
			n.general = f
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
	outer   []byte
	lines   int     // how many lines fits looks at
	general *Format // that recognises the first, if format is nil
}

// isTable reports whether the innermost layer is that of a table.
func (k *recognised) isTable() bool {
	_, ok := k.layers[len(k.layers)-1]().(*tableLayer)
	return ok
}

// headed returns n with headers of syslog.
func (n *insideOf) headed(r *reader, f *Format) recognised {
	return recognised{format: f, layers: n.layers, headers: true, head: r.peel(n.outer, true, n.layers[len(n.layers)-1])}
}

// tableLines is as sniffLines for what is in a column that need not hold records.
const tableLines = 2

// recordLike reports whether text may begin with a record of a log, rather than with words for
// people. To ask all dialects takes as long as reading a small log.
func recordLike(text []byte) bool {
	line, _ := scan.CutLine(bytes.TrimLeft(text, "\n"))
	return len(line) > 0 && line[0]-'0' <= 9 || bytes.ContainsAny(line, "{<[=|\"#@")
}

// search returns all that may be inside of head, at most depth layers down; what is
// within a layer follows it. lines is how many lines fits looks at.
func (r *reader) search(head []byte, depth, lines int) []insideOf {
	var found []insideOf
	wrapped, plainly := wrappings(head)
	for _, w := range wrapped {
		under := r.peel(head, false, w)
		if under == nil || lines == tableLines && !recordLike(under) {
			continue
		}
		n, below := insideOf{recognised{layers: []wrapping{w}, head: under}, head, lines, nil}, lines
		if n.isTable() {
			under = firstLines(withoutBlank(under), sniffRecords) // to know all would take longer than to read a small log
			n.head, n.lines = under, 1                            // the records are alike
			if !plainly {
				below = tableLines
			}
		}
		found = append(found, n)
		if scan.AnyLine(under, opensPrinted) {
			printed := func() layer { return &printedLayer{} }
			if whole := r.peel(head, false, w, printed); whole != nil {
				found = append(found, insideOf{recognised{layers: []wrapping{w, printed}, head: withoutBlank(whole)}, under, lines, nil})
			}
		}
		if depth == 1 {
			continue
		}
		for _, n := range r.search(under, depth-1, below) {
			n.layers = append([]wrapping{w}, n.layers...)
			found = append(found, n)
		}
	}
	return found
}

// withoutBlank returns text without empty lines.
func withoutBlank(text []byte) []byte {
	out := text[:0]
	for line := range bytes.Lines(text) {
		if len(trimEOL(line)) > 0 {
			out = append(out, line...)
		}
	}
	return out
}

// sniff returns the first format that recognises head, nil if none does. inside says
// that head was inside a wrapper.
func (formats Formats) sniff(head []byte, inside bool) *Format {
	return formats.first(func(f *Format) bool { return f.sniffs(head, inside) })
}

func (f *Format) sniffs(head []byte, inside bool) bool {
	if inside && f.SniffInside != nil {
		return f.SniffInside(head)
	}
	return f.Sniff != nil && f.Sniff(head)
}

// peel returns the whole lines of head without some layers, nil if no line has any.
func (r *reader) peel(head []byte, headers bool, layers ...wrapping) []byte {
	head = wholeLines(head)
	u := newUnwrapper(bytes.NewReader(head), &recognised{layers: layers, headers: headers}, &r.ReadOptions)
	text, _ := io.ReadAll(u)
	if u.opened == 0 || len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	return mendedHead(text[:min(len(text), headSize)])
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
	options := r.Options.of(f)
	options.Head, options.Inside = head, wrapped
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

// A machine is the log of a machine, or of a collector: what writes in it that formats read, each by
// its own.
type machine struct {
	formats []*Format          // the one that the log has as a whole first
	of      map[string]*Format // by syslogLine.writer; nil: no format reads its lines
}

// mostPrograms is how many of them are recognised, those that write most.
const mostPrograms = 16

// machineOf returns the programs of the log that begins with head and has a format as a whole; nil if
// that reads all, or the log was said to have one.
func (r *reader) machineOf(whole *Format, head []byte) *machine {
	var s syslogLine
	if first, _ := scan.CutLine(head); r.Format != nil || whole.Generic || whole.Cut != nil || !s.parse(first) && productOf(s.message) == nil {
		return nil
	}
	written := map[string][]byte{}
	for line := range bytes.Lines(wholeLines(head)) {
		s.parse(trimEOL(line))
		if writer := s.writer(); writer != nil {
			written[string(writer)] = append(written[string(writer)], line...)
		}
	}
	if len(written) < 2 {
		return nil
	}
	names := slices.SortedFunc(maps.Keys(written), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(written[b]), len(written[a])), cmp.Compare(a, b))
	})
	m := &machine{formats: []*Format{whole}, of: map[string]*Format{}}
	own, unread := false, false
	for _, name := range names[:min(len(names), mostPrograms)] {
		f := r.formatOf(whole, written[name])
		m.of[name] = f
		own, unread = own || f == whole, unread || f == nil
		if f != nil && !slices.Contains(m.formats, f) {
			m.formats = append(m.formats, f)
		}
	}
	if !own || len(m.formats) == 1 && (!unread || whole.Shared) {
		return nil
	}
	return m
}

// formatOf returns the format of a program's lines in the log of a machine, nil if none knows them. It
// is rather the one of the whole log.
func (r *reader) formatOf(whole *Format, lines []byte) *Format {
	alone := func() layer { return &syslogLayer{} }
	headed, bare := r.peel(lines, true, alone), r.peel(lines, false, alone)
	text := func(f *Format) []byte {
		if f.Syslog {
			return headed
		}
		return bare
	}
	told := r.worth(whole, text(whole), true)
	anyVendor := whole.Vendor != nil && whole.Vendor.General
	if told.rows > 0 && !anyVendor {
		return whole
	}
	f := r.Formats.first(func(f *Format) bool { return f.sniffs(text(f), true) })
	if f != nil && !f.Generic && f.Split == nil && r.worth(f, text(f), true).rows > 0 {
		return f
	}
	if told.rows > 0 || (told.other > 0 || productOf(bare) != nil) && !whole.Shared {
		return whole
	}
	return nil
}

// writer returns what wrote a line: in CEF and LEEF the product, since a collector's log has many, else the
// program without the part of it that wrote, as postfix of postfix/smtpd; nil if neither is said.
func (s *syslogLine) writer() []byte {
	if product := productOf(s.message); product != nil || s.program == nil {
		return product
	}
	family, _, _ := bytes.Cut(s.program, []byte{'/'})
	return family
}

// productOf returns the head of a message in CEF or LEEF as far as it names the vendor and the product;
// nil if it is none.
func productOf(message []byte) []byte {
	message = bytes.TrimLeft(message, " ")
	if !bytes.HasPrefix(message, []byte("CEF:")) && !bytes.HasPrefix(message, []byte("LEEF:")) {
		return nil
	}
	rest := message
	for range 3 { // the version of the format, the vendor, the product
		var ok bool
		if _, rest, ok = cutHead(rest); !ok {
			return nil
		}
	}
	return message[:len(message)-len(rest)]
}

// A programLayer leaves the lines of the programs that a format of a machine's log reads; for the
// first format also those of programs that were not looked at, and those that none reads if it knows
// them for such. The others are blank.
type programLayer struct {
	*machine
	format *Format
	line   syslogLine
	others int64 // lines that none reads
}

func (l *programLayer) unwrap(record []byte, _ *envelope) ([]byte, bool, string) {
	first := l.format == l.formats[0]
	l.line.parse(record)
	writer := l.line.writer()
	if writer == nil {
		return record, !first, ""
	}
	f, looked := l.of[string(writer)]
	if f == l.format || first && (!looked || f == nil && l.format.Shared) {
		return record, false, ""
	}
	if first && f == nil {
		l.others++
	}
	return nil, true, ""
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
	if table := tableHeadOf(head); table != nil {
		found = append(found, func() layer { return &tableLayer{tableHead: table} })
		plainly = bytes.Contains(table.line, []byte("_raw"))
	}
	var fields uint64
	var syslog, structured, stamped, docker, snare, fluent, prefixed, parts bool
	packed := isPacked(head)
	var s syslogLine
	cri, words, plain, tabs, pairs, texts, lines := 0, 0, 0, 0, 0, 0, 0
	for probe := newJSONLayer(0, false, false); len(head) > 0 && lines < 2*sniffLines; lines++ {
		var line []byte
		line, head = scan.CutLine(head)
		if len(line) == 0 {
			continue
		}
		if line[0] == '{' {
			has, ends := probe.messages(line)
			fields |= has
			docker = docker || ends
			parts = parts || bytes.Contains(line, partialLast) || bytes.Contains(line, logTag)
			continue
		}
		if _, _, _, ok := cutCRI(line); ok {
			cri++
		}
		_, isSnare := cutSnare(line)
		snare = snare || isSnare
		_, _, _, isFluent := cutFluent(line)
		fluent = fluent || isFluent
		stamp, _, _, isPrefixed := cutPrefix(line)
		if prefixed = prefixed || isPrefixed; isPrefixed && isPlainPrefix(stamp, line) {
			plain++
		}
		syslog = s.parse(line) || syslog
		structured = structured || s.data != nil
		stamped = stamped || isStampISO(line)
		if _, _, ok := cutWords(line); ok {
			words++
		}
		if bytes.IndexByte(line, '\t') >= 0 {
			tabs++
		}
		if hasPairCells(line) {
			pairs++
		}
		if isString(trimEOL(line)) {
			texts++
		}
	}
	for field := jsonMessage; field < jsonTimestamp; field++ {
		if fields>>field&1 != 0 {
			found = append(found, func() layer { return newJSONLayer(field, docker, parts) })
		}
	}
	if cri > 0 {
		found = append(found, func() layer { return &criLayer{} })
		plainly = plainly || cri > lines/2
	}
	if snare {
		head := snareHead()
		found = append(found, func() layer { return &snareLayer{tableLayer: tableLayer{tableHead: head}} })
	}
	if packed {
		found = append(found, func() layer { return &packedLayer{} })
	}
	if fluent {
		found = append(found, func() layer { return &fluentLayer{} })
	}
	if prefixed {
		found = append(found, func() layer { return prefixLayer{} })
		plainly = plainly || plain > lines/2
	}
	if stamped {
		found = append(found, func() layer { return stampLayer{} })
	}
	if syslog {
		found = append(found, func() layer { return &syslogLayer{} })
	}
	if structured {
		found = append(found, func() layer { return &syslogLayer{data: true} })
	}
	if found == nil && words > lines/2 {
		found = append(found, func() layer { return wordsLayer{} })
	}
	if found == nil && texts > lines/2 {
		found = append(found, func() layer { return &textLayer{} })
	}
	if pairs > lines/2 {
		found = append(found, func() layer { return &pairsLayer{} })
	}
	if found == nil && tabs > lines/2 {
		found = append(found, func() layer { return &tabsLayer{} })
	}
	return found, plainly
}

// anyTime is the time of records that are only looked at, in 2020.
const anyTime = 50 * 366 * scan.Day
