package logs

import (
	"bytes"
	"math/bits"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Lines of either form are read in runs, column by column, which is several times as fast
// as line by line: one dictionary, and one kind of cell, at a time. A line in which
// anything is odd ends the run and is read separately, by zeek.line, which decides about
// it.

// zeekRun is the most lines of a run. A window rarely has more.
const zeekRun = 1 << 9

// zeekRows is the run of lines that is being read.
type zeekRows struct {
	scanner scan.Fields
	begins  []uint32 // where lines begin in scanner.Pos
	records []int64
	most    int // how many lines the next run may have

	// Of a run of JSON, which has none of begins: where lines end, and their cells.
	json  bool
	reads uint64 // the fields that cells has
	ends  []int
	cells [numZeekFields][]columnar.Span

	// What was read of the lines. Each column of a log has a place here.
	ints  [6][]int64
	spans [4][]columnar.Span
	text  []byte // cells that are not in the block as they are
}

// table decodes lines until the separator changes, and returns how many bytes
// and lines that were.
func (d *zeek) table(data []byte, first int64, t *Tally) (size int, lines int64) {
	r, s := &d.rows, &d.rows.scanner
	r.begin(false)
	sep, record := d.tsv.sep, first
	s.Reset(data, sep, '\\')
	for s.Next() {
		begin := 0 // in s.Pos, of the next line
		for next := 0; next < len(s.Ends); {
			n, odd := d.run(data, s.Ends[next:], begin, record, t)
			if n > 0 {
				next += n
				begin, record = s.Ends[next-1], record+int64(n)
			}
			if !odd {
				r.most = min(2*r.most, zeekRun)
				continue
			}
			// All that was read behind the odd line was for nothing.
			r.most = max(n, 8)
			line := data[s.Pos[begin]+1 : s.Pos[s.Ends[next]]]
			d.count(bytes.TrimSuffix(line, carriage), record, t)
			begin, record = s.Ends[next], record+1
			next++
			if d.tsv.sep != sep {
				return min(int(s.Pos[begin])+1, len(data)), record - first
			}
		}
	}
	return len(data), record - first
}

func (r *zeekRows) begin(json bool) {
	r.json = json
	if r.most > 0 {
		return
	}
	r.most = zeekRun
	for i := range r.ints {
		r.ints[i] = make([]int64, zeekRun)
	}
	for i := range r.spans {
		r.spans[i] = make([]columnar.Span, zeekRun)
	}
}

// objects decodes the first lines if they are JSON of one log, and returns how
// many bytes and lines that were; none if the first one is odd.
func (d *zeek) objects(data []byte, record int64, t *Tally) (size, n int) {
	r := &d.rows
	r.begin(true)
	r.ends, r.records = r.ends[:0], r.records[:0]
	var b *columnar.Builder
	var log zeekLog
	most, odd := r.most, false
	for at := 0; len(r.ends) < most && at < len(data) && data[at] == '{'; {
		line, rest := scan.CutLine(data[at:])
		l, plain := d.object(data, line, len(r.ends))
		if odd = !plain || len(r.ends) > 0 && l != log; odd {
			break
		}
		if b == nil {
			log, b = l, d.out.Table(l.table())
			r.reads = d.wants(l)
			most = min(most, b.Room())
		}
		at = len(data) - len(rest)
		r.ends = append(r.ends, at)
		r.records = append(r.records, record)
		record++
	}
	found := len(r.ends)
	if found == 0 {
		return 0, 0
	}
	n = d.put(b, data, log, found)
	t.Records += int64(n)
	t.Rows += int64(n)
	switch {
	case n < found: // what was read behind the odd line was for nothing
		r.most = max(n, 8)
	case !odd:
		r.most = min(2*r.most, zeekRun)
	}
	if n == 0 {
		return 0, 0
	}
	return r.ends[n-1], n
}

// object notes the cells of a JSON line, the i-th of its run. plain is false if
// it belongs to no log, is malformed, or has a cell that is not as it is written.
func (d *zeek) object(data, line []byte, i int) (log zeekLog, plain bool) {
	has, escaped, ok := d.shape.Read(line, d.values[:])
	if !ok || d.shape.Mended() || len(d.shape.Misfits()) > 0 {
		return zeekOther, false
	}
	log = d.logOf(has)
	if has>>zeekPath&1 != 0 {
		path := d.values[zeekPath]
		if !path.Is('"') {
			return zeekOther, false
		}
		log = d.logNamed(path[1 : len(path)-1])
	}
	if log == zeekOther || log.ofEvents() || escaped&(d.wants(log)|1<<zeekPath) != 0 {
		return zeekOther, false
	}
	if has>>zeekAnswers&1 != 0 && d.values[zeekAnswers][0] != '[' {
		return zeekOther, false
	}
	for set := d.wants(log); set != 0; set &= set - 1 {
		f := bits.TrailingZeros64(set)
		if d.rows.cells[f] == nil {
			d.rows.cells[f] = make([]columnar.Span, zeekRun)
		}
		var cell []byte
		if has>>f&1 != 0 {
			switch v := d.values[f]; {
			case string(v) == zeekUnset:
			case v[0] == '"':
				cell = v[1 : len(v)-1]
			case v[0] != 'n' && v[0] != '{' && v[0] != '[' || f == int(zeekAnswers):
				cell = v
			}
		}
		d.rows.cells[f][i] = spanOf(data, cell)
	}
	return log, true
}

// run decodes the first lines. The first begins at begin in scanner.Pos. It returns
// how many, and whether the line after them is odd.
func (d *zeek) run(data []byte, ends []int, begin int, record int64, t *Tally) (n int, odd bool) {
	h, r, s := &d.tsv, &d.rows, &d.rows.scanner
	if !h.ready {
		d.makePlan()
		clear(d.cells[:])
	}
	if h.fault != "" || h.unknown != "" || h.fields < 2 || h.sep == '\r' || h.log.ofEvents() {
		return 0, true
	}
	most := min(len(ends), r.most)
	var b *columnar.Builder
	if h.log != zeekOther {
		b = d.out.Table(h.log.table())
		most = min(most, b.Room())
	}
	r.begins, r.records = r.begins[:0], r.records[:0]
	for _, end := range ends[:most] {
		line := s.Pos[begin] + 1
		odd = end-begin != h.fields || data[line] == '#' || data[line] == '{' ||
			s.Noted && bytes.IndexByte(data[line:s.Pos[end]], s.Other) >= 0
		if odd {
			break
		}
		r.begins = append(r.begins, uint32(begin))
		r.records = append(r.records, record)
		record++
		begin = end
	}
	found := len(r.begins)
	if found == 0 {
		return 0, odd
	}
	if h.log == zeekOther {
		t.known(h.kind, int64(found))
		return found, odd
	}
	n = d.put(b, data, h.log, found)
	t.Records += int64(n)
	t.Rows += int64(n)
	return n, odd || n < found
}

// put puts the first n lines of the run, up to one that is odd, and returns how
// many that were.
func (d *zeek) put(b *columnar.Builder, data []byte, log zeekLog, n int) int {
	switch log {
	case zeekDNS:
		n = d.dnsRows(b, data, n)
	case zeekHTTP:
		n = d.httpRows(b, data, n)
	case zeekConn:
		n = d.connRows(b, data, n)
	default:
		n = d.nameRows(b, data, log, n)
	}
	for _, k := range d.kept[log] {
		if k.field == zeekPath {
			name, spans := zeekLogNames[log], d.rows.spans[0][:n]
			for i := range spans {
				spans[i] = columnar.Span{End: uint32(len(name))}
			}
			b.PutField(k.name, []byte(name), spans)
			continue
		}
		spans := d.column(d.rows.spans[0], data, k.field, n)
		if k.part != scan.URIWhole {
			for i, s := range spans {
				spans[i] = spanOf(data, k.part.Of(data[s.Begin:s.End]))
			}
		}
		b.PutField(k.name, data, spans)
	}
	b.NextRows(d.rows.records[:n])
	return n
}

// column finds the cells of a field in the first n lines: the cell of line i is spans[i]
// of the block. A missing or empty cell is an empty span.
func (d *zeek) column(spans []columnar.Span, data []byte, f zeekField, n int) []columnar.Span {
	h := &d.tsv
	spans = spans[:n]
	if d.rows.json {
		if d.rows.reads>>f&1 != 0 {
			copy(spans, d.rows.cells[f])
		} else {
			clear(spans)
		}
		return spans
	}
	at := h.at[f]
	if at < 0 {
		clear(spans)
		return spans
	}
	pos, last := d.rows.scanner.Pos[at:], at == h.fields-1
	for i, begin := range d.rows.begins[:n] {
		p := pos[begin : begin+2]
		lo, hi := p[0]+1, p[1]
		if last && lo < hi && data[hi-1] == '\r' {
			hi--
		}
		if lo < hi && (isText(data[lo:hi], h.unset) || isText(data[lo:hi], h.empty)) {
			hi = lo
		}
		spans[i] = columnar.Span{Begin: lo, End: hi}
	}
	return spans
}

// isText reports whether b, which is not empty, is text.
func isText(b, text []byte) bool {
	return len(b) == len(text) && b[0] == text[0] && string(b) == string(text)
}

// times reads the times of the first n lines, up to one that is odd.
func (d *zeek) times(us []int64, data []byte, n int) int {
	for i, s := range d.column(d.rows.spans[0], data, zeekTS, n) {
		t, ok := d.time(data[s.Begin:s.End])
		if !ok {
			return i
		}
		us[i] = t
	}
	return n
}

// counts reads a count of the first n lines, up to one that is odd. What is not
// said is columnar.Null.
func (d *zeek) counts(v []int64, data []byte, f zeekField, n int) int {
	for i, s := range d.column(d.rows.spans[0], data, f, n) {
		x, ok := scan.Digits(data, s.Begin, s.End)
		if !ok {
			x = columnar.Null
			if s.Begin < s.End {
				if x, ok = scan.Count(data[s.Begin:s.End]); !ok {
					return i
				}
			}
		}
		v[i] = x
	}
	return n
}

// texts puts the texts of a field in the first n lines.
func (d *zeek) texts(b *columnar.Builder, c columnar.Col, data []byte, f zeekField, n int) {
	if b.Wants(c) {
		b.PutTexts(c, data, d.column(d.rows.spans[0], data, f, n))
	}
}

func (d *zeek) dnsRows(b *columnar.Builder, data []byte, n int) int {
	r := &d.rows
	us, answers, names := r.ints[0], r.ints[1], r.spans[1]
	n = d.times(us, data, n)
	for i, s := range d.column(names, data, zeekQuery, n) {
		if s.Begin < s.End && data[s.End-1] == '.' {
			s.End--
			names[i] = s
		}
		if s.Begin == s.End {
			n = i
			break
		}
	}
	b.PutTimes(us[:n])
	b.PutQueries(data, names[:n])
	d.texts(b, columnar.SrcIP, data, zeekOrigHost, n)
	d.texts(b, columnar.DstIP, data, zeekRespHost, n)
	if b.Wants(columnar.QueryType) {
		text, codes := d.codes(data, zeekQtypeName, zeekQtype, n, scan.QueryTypeName)
		b.PutTexts(columnar.QueryType, text, codes)
	}
	if b.Wants(columnar.Answers) {
		text, spans := d.answersText(data, r.spans[0][:n])
		b.PutTexts(columnar.Answers, text, spans)
	}
	if !b.Wants(columnar.Rcode) && !b.Wants(columnar.AnswersLen) {
		return n
	}
	text, codes := d.codes(data, zeekRcodeName, zeekRcode, n, scan.RcodeName)
	b.PutTexts(columnar.Rcode, text, codes)
	if !b.Wants(columnar.AnswersLen) {
		return n
	}
	for i, code := range codes {
		answers[i] = columnar.Null
		if code.Begin < code.End {
			answers[i] = 0 // a reply without any, if they are unset
		}
		raw, said := d.rawAnswers(data, i)
		switch {
		case r.json:
			if n, ok := scan.Value(raw).Length(); ok {
				answers[i] = int64(n)
			}
		case said && len(raw) == 0:
			answers[i] = 0
		case said:
			answers[i] = int64(bytes.Count(raw, []byte{d.tsv.setSep})) + 1
		}
	}
	b.PutInts(columnar.AnswersLen, answers[:n])
	return n
}

// rawAnswers returns the cell of the answers in the i-th line of the run, and whether it
// is set.
func (d *zeek) rawAnswers(data []byte, i int) (raw []byte, said bool) {
	r := &d.rows
	if r.json {
		s := r.cells[zeekAnswers][i]
		return data[s.Begin:s.End], s.Begin < s.End
	}
	at := d.tsv.at[zeekAnswers]
	if at < 0 {
		return nil, false
	}
	p := r.scanner.Pos[int(r.begins[i])+at:]
	raw = data[p[0]+1 : p[1]]
	if at == d.tsv.fields-1 {
		raw = bytes.TrimSuffix(raw, carriage)
	}
	switch {
	case string(raw) == string(d.tsv.unset):
		return nil, false
	case string(raw) == string(d.tsv.empty):
		raw = nil
	}
	return raw, true
}

// answersText finds the answers in the first lines: those of line i are spans[i] of text.
func (d *zeek) answersText(data []byte, spans []columnar.Span) (text []byte, of []columnar.Span) {
	text = d.rows.text[:0]
	for i := range spans {
		raw, _ := d.rawAnswers(data, i)
		begin := uint32(len(text))
		text = d.appendAnswers(text, raw, d.rows.json)
		spans[i] = columnar.Span{Begin: begin, End: uint32(len(text))}
	}
	d.rows.text = text
	return text, spans
}

// codes finds the names of a DNS code in the first n lines, as zeek.code: that of
// line i is spans[i] of text.
func (d *zeek) codes(data []byte, name, number zeekField, n int, named func(int64) string) (text []byte, spans []columnar.Span) {
	names := d.column(d.rows.spans[0], data, name, n)
	plain := true
	for _, s := range names {
		plain = plain && s.Begin < s.End && data[s.Begin] != 'q' && data[s.Begin] != 'r' && data[s.Begin] != '*'
	}
	if plain {
		return data, names
	}
	numbers := d.column(d.rows.spans[1], data, number, n)
	text = d.rows.text[:0]
	d.scratch = d.scratch[:0]
	for i, s := range names {
		begin := uint32(len(text))
		text = append(text, d.code(data[s.Begin:s.End], data[numbers[i].Begin:numbers[i].End], named)...)
		names[i] = columnar.Span{Begin: begin, End: uint32(len(text))}
	}
	d.rows.text = text
	return text, names
}

func (d *zeek) httpRows(b *columnar.Builder, data []byte, n int) int {
	r := &d.rows
	us, request, response, status := r.ints[0], r.ints[1], r.ints[2], r.ints[3]
	n = d.times(us, data, n)
	n = d.counts(request, data, zeekRequestLen, n)
	n = d.counts(response, data, zeekResponseLen, n)
	n = atMostOf(columnar.StatusCode, status[:d.counts(status, data, zeekStatusCode, n)])
	methods := d.column(r.spans[1], data, zeekMethod, n)
	for i, s := range methods {
		if string(data[s.Begin:s.End]) == "CONNECT" {
			request[i], response[i] = columnar.Null, columnar.Null // see http
		}
	}
	b.PutTimes(us[:n])
	b.PutInts(columnar.BytesOut, request[:n])
	b.PutInts(columnar.BytesIn, response[:n])
	b.PutInts(columnar.StatusCode, status[:n])
	b.PutTexts(columnar.Method, data, methods)
	d.texts(b, columnar.UID, data, zeekUID, n)
	d.texts(b, columnar.SrcIP, data, zeekOrigHost, n)
	d.texts(b, columnar.DstIP, data, zeekRespHost, n)
	d.texts(b, columnar.User, data, zeekUsername, n)
	d.texts(b, columnar.UserAgent, data, zeekUserAgent, n)
	if !b.Wants(columnar.URLHost) && !b.Wants(columnar.URLPath) {
		return n
	}
	hosts, paths := d.column(r.spans[2], data, zeekHost, n), d.column(r.spans[3], data, zeekURI, n)
	for i, uri := range paths {
		method := data[methods[i].Begin:methods[i].End]
		host, path := scan.RequestTarget(method, data[uri.Begin:uri.End])
		if len(host) == 0 {
			host = scan.URLHost(data[hosts[i].Begin:hosts[i].End])
		}
		hosts[i], paths[i] = spanOf(data, host), spanOf(data, path)
	}
	b.PutLower(columnar.URLHost, data, hosts)
	b.PutTexts(columnar.URLPath, data, paths)
	return n
}

func (d *zeek) connRows(b *columnar.Builder, data []byte, n int) int {
	r := &d.rows
	us, out, in, seen, duration := r.ints[0], r.ints[1], r.ints[2], r.ints[3], r.ints[4]
	n = d.times(us, data, n)
	n = d.counts(out, data, zeekOrigBytes, n)
	n = d.counts(seen, data, zeekOrigIPBytes, n)
	atMost(out[:n], seen)
	n = d.counts(in, data, zeekRespBytes, n)
	n = d.counts(seen, data, zeekRespIPBytes, n)
	atMost(in[:n], seen)
	for i, s := range d.column(r.spans[0], data, zeekDuration, n) {
		duration[i] = columnar.Null
		if s.Begin < s.End {
			v, ok := scan.Number(data[s.Begin:s.End], 1e6)
			if !ok || v < 0 || !scan.Plausible(us[i]+v) {
				n = i
				break
			}
			duration[i] = v
			us[i] += v
		}
	}
	n = d.portRows(b, data, n)
	b.PutTimes(us[:n])
	b.PutInts(columnar.BytesOut, out[:n])
	b.PutInts(columnar.BytesIn, in[:n])
	b.PutInts(columnar.Duration, duration[:n])
	if b.Wants(columnar.Protocol) {
		services, protos := d.column(r.spans[0], data, zeekService, n), d.column(r.spans[1], data, zeekProto, n)
		for i, s := range services {
			if s.Begin == s.End {
				services[i] = protos[i]
			}
		}
		b.PutLower(columnar.Protocol, data, services)
	}
	return n
}

// atMostOf returns how many of the first counts a column can hold.
func atMostOf(c columnar.Col, counts []int64) int {
	most := greatestOf(c)
	for i, v := range counts {
		if v > most {
			return i
		}
	}
	return len(counts)
}

// atMost bounds values that are known by bounds that are.
func atMost(v, bounds []int64) {
	for i := range v {
		if bound := bounds[i]; bound != columnar.Null && bound < v[i] {
			v[i] = bound
		}
	}
}

func (d *zeek) nameRows(b *columnar.Builder, data []byte, log zeekLog, n int) int {
	r := &d.rows
	us := r.ints[0]
	n = d.times(us, data, n)
	n = d.portRows(b, data, n)
	b.PutTimes(us[:n])
	if b.Wants(columnar.DstHost) {
		names := d.column(r.spans[0], data, zeekServerName, n)
		for i, s := range names {
			if s.Begin < s.End && data[s.End-1] == '.' {
				names[i].End--
			}
		}
		b.PutLower(columnar.DstHost, data, names)
	}
	protocols := r.spans[0][:n]
	for i := range protocols {
		protocols[i] = columnar.Span{End: uint32(len(zeekLogNames[log]))}
	}
	b.PutTexts(columnar.Protocol, []byte(zeekLogNames[log]), protocols)
	return n
}

// portRows puts the addresses and the port of the first n lines, up to one whose
// port is odd.
func (d *zeek) portRows(b *columnar.Builder, data []byte, n int) int {
	port := d.rows.ints[5]
	n = atMostOf(columnar.DstPort, port[:d.counts(port, data, zeekRespPort, n)])
	b.PutInts(columnar.DstPort, port[:n])
	d.texts(b, columnar.UID, data, zeekUID, n)
	d.texts(b, columnar.SrcIP, data, zeekOrigHost, n)
	d.texts(b, columnar.DstIP, data, zeekRespHost, n)
	return n
}
