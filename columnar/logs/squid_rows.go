package logs

import (
	"bytes"
	"slices"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Squid's lines, put as rows column by column.

// squidRun is how many lines are gathered to be put column by column, which uses one
// dictionary at a time. More lines would not fit into the first-level cache.
const squidRun = 256

// A squidKept is a field that rules read beside columns, and where a line has it.
type squidKept struct {
	name  string
	field squidField
	part  scan.URIPart
}

// squidRows are lines that are to be put.
type squidRows struct {
	n       int
	records [squidRun]int64
	time    [squidRun]int64
	status  [squidRun]int64 // columnar.Null: none
	out, in [squidRun]int64 // columnar.Null: not said
	// texts[f][i] is where field f of line i stands in the block, for the fields
	// that are wanted.
	texts  [numSquidFields][]columnar.Span
	wanted []squidField
	kept   []squidKept
	cells  [squidRun]columnar.Span
	spans  []columnar.Span // of a kept field
	text   []byte          // cells that are not in the block as they are
}

// want finds out which texts the wanted columns are made of.
func (d *squid) want(b *columnar.Builder) {
	r := &d.rows
	r.wanted, r.kept = r.wanted[:0], r.kept[:0]
	want := func(f squidField) {
		if !slices.Contains(r.wanted, f) {
			r.wanted = append(r.wanted, f)
			r.texts[f] = slices.Grow(r.texts[f][:0], squidRun)[:squidRun]
		}
	}
	for _, name := range b.FieldNames() {
		part, ok := uriPartNamed(name)
		field := squidURL
		switch {
		case ok && !d.layout.hasURL:
			field = squidPath
		case isReferrer(name):
			field = squidReferrer
		case !ok:
			continue
		}
		want(field)
		r.kept = append(r.kept, squidKept{name, field, part})
	}
	for _, w := range []struct {
		col    columnar.Col
		fields []squidField
	}{
		{columnar.User, []squidField{squidUser}},
		{columnar.SrcIP, []squidField{squidClient}},
		{columnar.Host, []squidField{squidClient, squidClientName}},
		{columnar.Method, []squidField{squidMethod}},
		{columnar.URLHost, []squidField{squidURL, squidHost}},
		{columnar.URLPath, []squidField{squidURL, squidPath}},
		{columnar.UserAgent, []squidField{squidAgent}},
		{columnar.DstIP, []squidField{squidServer, squidHierarchy}},
		{columnar.Action, []squidField{squidAction}},
	} {
		if !b.Wants(w.col) {
			continue
		}
		for _, f := range w.fields {
			want(f)
		}
	}
}

// gather keeps the line that was parsed.
func (d *squid) gather(row *squidRow, record int64) {
	r := &d.rows
	n := r.n & (squidRun - 1)
	r.records[n], r.time[n], r.status[n], r.out[n], r.in[n] = record, row.time, row.status, row.out, row.in
	for _, f := range r.wanted {
		s := d.spans[f]
		r.texts[f][n] = columnar.Span{Begin: uint32(s >> 32), End: uint32(s)}
	}
	r.n++
}

// put puts the lines that were gathered.
func (d *squid) put(b *columnar.Builder, data []byte) {
	r := &d.rows
	n := r.n
	r.n = 0
	b.PutTimes(r.time[:n])
	b.PutInts(columnar.StatusCode, r.status[:n])
	b.PutInts(columnar.BytesOut, r.out[:n])
	b.PutInts(columnar.BytesIn, r.in[:n])
	for _, f := range r.wanted {
		if f == squidHierarchy { // whose "-" is not to be taken for no such field
			continue
		}
		for i, s := range r.texts[f][:n] {
			if s.End == s.Begin+1 && data[s.Begin] == '-' { // not said
				r.texts[f][i].End = s.Begin
			}
		}
	}
	if b.Wants(columnar.Host) {
		for i, client := range r.texts[squidClient][:n] {
			name := r.texts[squidClientName][i]
			switch {
			case name.Begin < name.End && !scan.AddressLike(data[name.Begin:name.End]):
			case !scan.AddressLike(data[client.Begin:client.End]):
				name = client // log_fqdn
			default:
				name.End = name.Begin
			}
			r.cells[i] = name
		}
		b.PutTexts(columnar.Host, data, r.cells[:n])
	}
	if b.Wants(columnar.SrcIP) {
		for i, client := range r.texts[squidClient][:n] {
			if !scan.AddressLike(data[client.Begin:client.End]) {
				client.End = client.Begin
			}
			r.cells[i] = client
		}
		b.PutTexts(columnar.SrcIP, data, r.cells[:n])
	}
	if b.Wants(columnar.User) {
		b.PutTexts(columnar.User, r.unescaped(data, r.texts[squidUser][:n], '%', scan.UnescapePercent), r.texts[squidUser][:n])
	}
	if b.Wants(columnar.Method) {
		b.PutTexts(columnar.Method, data, r.texts[squidMethod][:n])
	}
	if b.Wants(columnar.Action) {
		b.PutTexts(columnar.Action, data, r.texts[squidAction][:n])
	}
	if b.Wants(columnar.DstIP) {
		for i, ip := range r.texts[squidServer][:n] {
			hierarchy := r.texts[squidHierarchy][i]
			if !scan.AddressLike(data[ip.Begin:ip.End]) || !direct(data[hierarchy.Begin:hierarchy.End]) {
				ip.End = ip.Begin
			}
			r.cells[i] = ip
		}
		b.PutTexts(columnar.DstIP, data, r.cells[:n])
	}
	if b.Wants(columnar.UserAgent) {
		b.PutTexts(columnar.UserAgent, r.unescaped(data, r.texts[squidAgent][:n], '\\', unescapeQuotes), r.texts[squidAgent][:n])
	}
	for _, k := range r.kept {
		spans, text := append(r.spans[:0], r.texts[k.field][:n]...), data
		if k.field == squidReferrer {
			text = r.unescaped(data, spans, '\\', unescapeQuotes)
		} else if k.part != scan.URIWhole {
			for i, s := range spans {
				spans[i] = spanOf(data, k.part.Of(data[s.Begin:s.End]))
			}
		}
		b.PutField(k.name, text, spans)
		r.spans = spans
	}
	if b.Wants(columnar.URLHost) || b.Wants(columnar.URLPath) {
		d.putURLs(b, data, n)
	}
	b.NextRows(r.records[:n])
}

// unescaped returns the text in which the cells stand when they have been
// unescaped, and changes them to that. Cells without mark need not be.
func (r *squidRows) unescaped(data []byte, cells []columnar.Span, mark byte, unescape func(dst, b []byte) []byte) []byte {
	if len(cells) == 0 || bytes.IndexByte(data[cells[0].Begin:cells[len(cells)-1].End], mark) < 0 {
		return data // nor is one between them, which is most cheaply found
	}
	if !slices.ContainsFunc(cells, func(s columnar.Span) bool { return bytes.IndexByte(data[s.Begin:s.End], mark) >= 0 }) {
		return data
	}
	r.text = r.text[:0]
	for i, s := range cells {
		begin := uint32(len(r.text))
		r.text = unescape(r.text, data[s.Begin:s.End])
		cells[i] = columnar.Span{Begin: begin, End: uint32(len(r.text))}
	}
	return r.text
}

func (d *squid) putURLs(b *columnar.Builder, data []byte, n int) {
	r := &d.rows
	hosts, paths := r.cells[:n], r.texts[squidPath]
	if d.layout.hasURL {
		paths = r.texts[squidURL]
		for i, s := range paths[:n] {
			if host, path, ok := scan.UsualURL(data, scan.Span(s)); ok {
				hosts[i], paths[i] = columnar.Span(host), columnar.Span(path)
				continue
			}
			host, path := scan.SplitURL(data[s.Begin:s.End])
			hosts[i], paths[i] = spanOf(data, host), spanOf(data, path)
		}
	} else {
		for i := range hosts {
			hosts[i] = columnar.Span{}
			if b.Wants(columnar.URLHost) {
				s := r.texts[squidHost][i]
				hosts[i] = spanOf(data, scan.HostOf(data[s.Begin:s.End]))
			}
			if b.Wants(columnar.URLPath) {
				s := paths[i]
				paths[i].End = s.Begin + uint32(len(scan.WithoutQuery(data[s.Begin:s.End])))
			}
		}
	}
	b.PutLower(columnar.URLHost, data, hosts)
	if b.Wants(columnar.URLPath) {
		b.PutTexts(columnar.URLPath, data, paths[:n])
	}
}

// direct reports whether a hierarchy code says that Squid went to the server
// itself, or the log has no such code.
func direct(code []byte) bool {
	return len(code) == 0 || string(code) == "HIER_DIRECT" || bytes.Contains(code, []byte("DIRECT")) || bytes.Contains(code, []byte("ORIGINAL_DST")) || bytes.Contains(code, []byte("PINNED"))
}

// unescapeQuotes appends b without the backslashes that escape.
func unescapeQuotes(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) && (b[i+1] == '"' || b[i+1] == '\\') {
			i++
		}
		dst = append(dst, b[i])
	}
	return dst
}
