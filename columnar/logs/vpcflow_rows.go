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
	return cellBetween(data, d.scanner.Pos[int(begin)+at:], at == d.columns-1)
}

// cellBetween is span for the cell between the first two of pos, which may be the last of its line.
func cellBetween(data []byte, pos []uint32, last bool) columnar.Span {
	lo, hi := pos[0]+1, pos[1]
	if last && lo < hi && data[hi-1] == '\r' {
		hi--
	}
	if hi-lo == 1 && data[lo] == '-' {
		return columnar.Span{}
	}
	return columnar.Span{Begin: lo, End: hi}
}

// column finds the cells of a field in the run, the zero Span if the log has no such field.
func (d *vpcFlow) column(data []byte, f int) []columnar.Span {
	r, at := &d.run, d.at[f]
	cells := slices.Grow(r.cells[f][:0], vpcRunSize)[:len(r.begins)]
	r.cells[f] = cells
	if at < 0 {
		clear(cells)
		return cells
	}
	pos, last := d.scanner.Pos[at:], at == d.columns-1
	for i, begin := range r.begins {
		cells[i] = cellBetween(data, pos[begin:][:2], last)
	}
	return cells
}

// firstOf returns the cells of one field, and where these say nothing those of another.
func (d *vpcFlow) firstOf(data []byte, f, other int) []columnar.Span {
	if d.at[f] < 0 || f == other {
		return d.column(data, other)
	}
	cells, others := d.column(data, f), d.column(data, other)
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
	text := func(s columnar.Span) []byte { return data[s.Begin:s.End] }
	kept := 0
	for i, record := range r.records {
		if s := text(status[i]); string(s) == "NODATA" || string(s) == "SKIPDATA" {
			t.Known(string(s))
			continue
		}
		way := text(direction[i])
		if behind && d.through(data, r.begins[i], way) {
			t.Known("through a gateway")
			continue
		}
		us, ok := d.time(data, start[i], record)
		if !ok {
			t.Skip(record, d.clock.Fault("bad time"))
			continue
		}
		client, server := sources[i], destinations[i]
		ingress := string(way) == "ingress"
		if !ingress && string(way) != "egress" && scan.IsInternal(text(server)) {
			ingress = !scan.IsInternal(text(client)) || d.fromFileServer(data, r.begins[i])
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
	n := len(r.records)
	r.out, r.in = slices.Grow(r.out[:0], n)[:n], slices.Grow(r.in[:0], n)[:n]
	if b.Wants(columnar.DstPort) {
		ports, sources := d.column(data, vpcDestinationPort), d.column(data, vpcSourcePort)
		for i, ingress := range r.ingress {
			if ingress {
				ports[i] = sources[i]
			}
		}
		digits(r.out, data, ports)
		for i, port := range r.out {
			if uint64(port) > 1<<16-1 {
				r.out[i] = count(columnar.DstPort, data, ports[i], r.records[i], "bad port", t)
			}
		}
		b.PutInts(columnar.DstPort, r.out)
	}
	if b.Wants(columnar.BytesOut) || b.Wants(columnar.BytesIn) {
		sizes := d.column(data, vpcBytes)
		digits(r.out, data, sizes)
		for i, ingress := range r.ingress {
			r.in[i] = columnar.Null
			c, bad := columnar.BytesOut, "bad bytes"
			if ingress {
				c, bad = columnar.BytesIn, "bad bytes of ingress"
			}
			if r.out[i] < 0 {
				r.out[i] = count(c, data, sizes[i], r.records[i], bad, t)
			}
			if ingress {
				r.out[i], r.in[i] = columnar.Null, r.out[i]
			}
		}
		b.PutInts(columnar.BytesOut, r.out)
		b.PutInts(columnar.BytesIn, r.in)
	}
}

// count reads the cell of a count that is no plain number; columnar.Null if it says none, or cannot be read.
func count(c columnar.Col, data []byte, cell columnar.Span, record int64, bad string, t *Tally) int64 {
	text := data[cell.Begin:cell.End]
	n, ok := scan.Count(text)
	if n < 0 && ok || !ok && scan.Unknown(text) {
		return columnar.Null
	}
	if !ok || n > greatestOf(c) {
		t.Unread(record, c, text, bad)
		return columnar.Null
	}
	return n
}
