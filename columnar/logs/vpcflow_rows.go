package logs

import (
	"bytes"
	"slices"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Records of flow logs, put as rows column by column.

// vpcRunSize is how many records are put in one go. What is read of more would not fit into
// the first-level cache.
const vpcRunSize = 256

// A vpcRun is records that have as many fields as the header names.
type vpcRun struct {
	begins  []uint32 // where they begin in the scanner's Pos
	records []int64

	// What is read of them. The cells of a field are the zero Span where a record says "-".
	cells   [numVPCFields][]columnar.Span
	times   []int64
	ingress []bool
	client  []columnar.Span // address
	server  []columnar.Span
	out, in []int64
	codes   []int32 // of protocols
	name    []byte  // of one
}

func (r *vpcRun) add(begin int, record int64) {
	r.begins, r.records = append(r.begins, uint32(begin)), append(r.records, record)
}

// span returns where the cell of a field stands in a record that has it: the zero Span if
// the record says "-".
func (d *vpcFlow) span(data []byte, begin uint32, at int) columnar.Span {
	p := d.scanner.Pos[int(begin)+at:][:2]
	lo, hi := p[0]+1, p[1]
	if at == d.columns-1 && lo < hi && data[hi-1] == '\r' {
		hi--
	}
	if hi-lo == 1 && data[lo] == '-' {
		return columnar.Span{}
	}
	return columnar.Span{Begin: lo, End: hi}
}

// column finds the cells of a field in the run. They are nil if the log has no such field.
func (d *vpcFlow) column(data []byte, f int) []columnar.Span {
	at := d.at[f]
	if at < 0 {
		return nil
	}
	r := &d.run
	cells := slices.Grow(r.cells[f][:0], vpcRunSize)[:len(r.begins)]
	r.cells[f] = cells
	for i, begin := range r.begins {
		cells[i] = d.span(data, begin, at)
	}
	return cells
}

// firstOf returns the cells of one field, and where these say nothing those of another.
func (d *vpcFlow) firstOf(data []byte, f, other int) []columnar.Span {
	cells, others := d.column(data, f), d.column(data, other)
	if cells == nil {
		return others
	}
	for i, s := range others {
		if cells[i] == (columnar.Span{}) {
			cells[i] = s
		}
	}
	return cells
}

// put puts the records of the run as rows, and empties it.
func (d *vpcFlow) put(b *columnar.Builder, data []byte, t *Tally) {
	r := &d.run
	if len(r.begins) == 0 {
		return
	}
	d.choose(data, t)
	b.PutTimes(r.times)
	b.PutTexts(columnar.SrcIP, data, r.client)
	b.PutTexts(columnar.DstIP, data, r.server)
	for _, c := range []struct {
		col       columnar.Col
		field, or int
	}{{columnar.Host, vpcInstance, vpcInterface}, {columnar.Action, vpcAction, vpcAction}, {columnar.Account, vpcAccount, vpcAccount}} {
		if b.Wants(c.col) {
			b.PutTexts(c.col, data, d.firstOf(data, c.field, c.or))
		}
	}
	if b.Wants(columnar.Protocol) {
		d.putProtocols(b, data, t)
	}
	d.putCounts(b, data, t)
	b.NextRows(r.records)
	n := int64(len(r.records))
	t.Records, t.Rows = t.Records+n, t.Rows+n
	r.begins, r.records = r.begins[:0], r.records[:0]
}

// choose keeps the records that become rows, and reads their times and ends.
func (d *vpcFlow) choose(data []byte, t *Tally) {
	r := &d.run
	r.times, r.ingress, r.client, r.server = r.times[:0], r.ingress[:0], r.client[:0], r.server[:0]
	status, start, direction := d.column(data, vpcStatus), d.column(data, vpcStart), d.column(data, vpcDirection)
	sources, destinations := d.firstOf(data, vpcPacketSource, vpcSource), d.firstOf(data, vpcPacketDestination, vpcDestination)
	behind := d.at[vpcPacketSource] >= 0 || d.at[vpcPacketDestination] >= 0
	kept := 0
	for i, record := range r.records {
		if s := textAt(data, status, i); string(s) == "NODATA" || string(s) == "SKIPDATA" {
			t.Known(string(s))
			continue
		}
		way := textAt(data, direction, i)
		if behind && d.through(data, r.begins[i], way) {
			t.Known("through a gateway")
			continue
		}
		us, ok := d.time(data, spanAt(start, i), record)
		if !ok {
			t.Skip(record, d.clock.Fault("bad time"))
			continue
		}
		client, server := spanAt(sources, i), spanAt(destinations, i)
		ingress := string(way) == "ingress"
		if !ingress && string(way) != "egress" && scan.IsInternal(data[server.Begin:server.End]) {
			ingress = !scan.IsInternal(data[client.Begin:client.End]) || d.fromFileServer(data, r.begins[i])
		}
		if ingress {
			client, server = server, client
		}
		r.client, r.server = append(r.client, client), append(r.server, server)
		r.times, r.ingress = append(r.times, us), append(r.ingress, ingress)
		r.begins[kept], r.records[kept] = r.begins[i], record
		kept++
	}
	r.begins, r.records = r.begins[:kept], r.records[:kept]
}

// fromFileServer reports whether the record is of what a file server sends back.
func (d *vpcFlow) fromFileServer(data []byte, begin uint32) bool {
	source, destination := d.at[vpcSourcePort], d.at[vpcDestinationPort]
	if source < 0 || destination < 0 {
		return false
	}
	from, to := d.span(data, begin, source), d.span(data, begin, destination)
	return scan.FromFileServer(data[from.Begin:from.End], data[to.Begin:to.End])
}

// time reads the start of a record.
func (d *vpcFlow) time(data []byte, start columnar.Span, record int64) (us int64, ok bool) {
	if n, ok := scan.Digits(data, start.Begin, start.End); ok && n < 1<<40 { // the product must fit; Within does the rest
		if us = n * scan.Second; d.clock.Within(us) {
			return us, true
		}
	}
	text := data[start.Begin:start.End]
	if us, ok = d.clock.Epoch(text); !ok {
		us, ok = d.outer.of(record, text)
	}
	return us, ok
}

// through reports whether the record is a gateway's, which packets from or to an outside
// end met on their way: its own address, to which they came or from which they went on,
// stands in place of that end. The instance that sent or got them logs them, too.
func (d *vpcFlow) through(data []byte, begin uint32, direction []byte) bool {
	cell := func(f int) (s columnar.Span) {
		if at := d.at[f]; at >= 0 {
			s = d.span(data, begin, at)
		}
		return s
	}
	instead := func(address, end int) bool {
		s := cell(end)
		if s == (columnar.Span{}) {
			return false
		}
		e := data[s.Begin:s.End]
		s = cell(address)
		a := data[s.Begin:s.End]
		return !bytes.Equal(a, e) && scan.IsInternal(a) && !scan.IsInternal(e)
	}
	return string(direction) != "egress" && instead(vpcDestination, vpcPacketDestination) ||
		string(direction) != "ingress" && instead(vpcSource, vpcPacketSource)
}

// putProtocols puts the names of the protocols. A log has few.
func (d *vpcFlow) putProtocols(b *columnar.Builder, data []byte, t *Tally) {
	cells := d.column(data, vpcProtocol)
	if cells == nil {
		return
	}
	r, names := &d.run, b.Dict(columnar.Protocol)
	var last []byte
	code := int32(0) // of the name of last
	r.codes = r.codes[:0]
	for i, s := range cells {
		if text := data[s.Begin:s.End]; !bytes.Equal(text, last) {
			last, code = text, 0
			if n, ok := scan.Int(text); ok {
				r.name = append(r.name[:0], scan.ProtocolName(n)...)
				code = names.Code(r.name)
			}
		}
		if code == 0 && !scan.Unknown(last) {
			t.Clear(r.records[i], "bad protocol")
		}
		r.codes = append(r.codes, code)
	}
	b.PutCodes(columnar.Protocol, r.codes)
}

// putCounts puts the port of the server and the bytes.
func (d *vpcFlow) putCounts(b *columnar.Builder, data []byte, t *Tally) {
	r := &d.run
	if b.Wants(columnar.DstPort) {
		ports := d.column(data, vpcDestinationPort)
		sources := d.column(data, vpcSourcePort)
		r.out = r.out[:0]
		for i, ingress := range r.ingress {
			port := spanAt(ports, i)
			if ingress {
				port = spanAt(sources, i)
			}
			r.out = append(r.out, count(columnar.DstPort, data, port, r.records[i], "bad port", t))
		}
		b.PutInts(columnar.DstPort, r.out)
	}
	if b.Wants(columnar.BytesOut) || b.Wants(columnar.BytesIn) {
		r.out, r.in = r.out[:0], r.in[:0]
		sizes := d.column(data, vpcBytes)
		for i, ingress := range r.ingress {
			out, in := int64(columnar.Null), int64(columnar.Null)
			if ingress {
				in = count(columnar.BytesIn, data, spanAt(sizes, i), r.records[i], "bad bytes of ingress", t)
			} else {
				out = count(columnar.BytesOut, data, spanAt(sizes, i), r.records[i], "bad bytes", t)
			}
			r.out, r.in = append(r.out, out), append(r.in, in)
		}
		b.PutInts(columnar.BytesOut, r.out)
		b.PutInts(columnar.BytesIn, r.in)
	}
}

// count reads the cell of a count; columnar.Null if it says none, or cannot be read.
func count(c columnar.Col, data []byte, cell columnar.Span, record int64, bad string, t *Tally) int64 {
	n, ok := scan.Digits(data, cell.Begin, cell.End)
	if !ok {
		text := data[cell.Begin:cell.End]
		if n, ok = scan.Count(text); n < 0 && ok || !ok && scan.Unknown(text) {
			return columnar.Null
		}
	}
	if !ok || n > greatestOf(c) {
		t.Unread(record, c, data[cell.Begin:cell.End], bad)
		return columnar.Null
	}
	return n
}

// spanAt returns the cell of a record; there are none of a field that the log does not have.
func spanAt(cells []columnar.Span, i int) (s columnar.Span) {
	if cells != nil {
		s = cells[i]
	}
	return s
}

func textAt(data []byte, cells []columnar.Span, i int) []byte {
	s := spanAt(cells, i)
	return data[s.Begin:s.End]
}
