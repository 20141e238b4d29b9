package logs

import (
	"bytes"
	"slices"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// VPCFlow decodes Amazon VPC flow logs in text.
var VPCFlow = &Format{
	Name:  "vpcflow",
	Title: "Amazon VPC flow logs, versions 2 to 8, as text",
	Doc: `Columns are found by the header line that each object begins with, in any order; without one the
default format of version 2 is read (14 fields, as CloudWatch Logs has them).

A record counts the bytes of one direction. The instance is the client, whichever end it is: flow-direction says
so, else addresses do. From an internal address to one outside, the bytes are bytes_out; from outside to an
internal address they are bytes_in, of the internal address; between two of a kind they are bytes_out of the
sender, and with flow-direction ingress bytes_in of the receiver. Behind a load balancer or a NAT gateway
pkt-srcaddr and pkt-dstaddr are the ends. The gateway logs such a flow once more, as it comes from or goes to the
instance: that record is of another kind (through a gateway).

The time is start. instance-id, else interface-id, is host; the number of the protocol gives its name.
Records of intervals without traffic, or that were not captured (NODATA, SKIPDATA), are of other kinds.`,
	Tables:   []*columnar.Table{columnar.Network},
	Lacks:    columnar.ColSet(columnar.User, columnar.DstHost, columnar.Duration, columnar.UID),
	Origins:  []columnar.Origin{{Product: "aws", Service: "vpcflow"}},
	Remedies: []Remedy{{Columns: columnar.ColSet(columnar.SrcIP, columnar.DstIP, columnar.BytesOut, columnar.BytesIn), Text: "Add the field to the flow log's format; srcaddr, dstaddr, bytes and start are the least that is needed."}},
	Sniff: func(head []byte) bool {
		line, rest := scan.CutLine(head)
		if isVPCHeader(line) {
			return true
		}
		d := &vpcFlow{}
		d.use(vpcDefault)
		return len(rest) > 0 && d.split(line) && bytes.HasPrefix(d.cells[vpcInterface], []byte("eni-"))
	},
	Header: vpcHeader,
	Outer:  true,
	New:    func(o *Options) (Decoder, error) { return &vpcFlow{clock: o.clock()}, nil },
}

var vpcDefault = []byte("version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status")

// The fields that are read.
const (
	vpcInterface = iota
	vpcInstance
	vpcSource
	vpcDestination
	vpcPacketSource
	vpcPacketDestination
	vpcSourcePort
	vpcDestinationPort
	vpcProtocol
	vpcBytes
	vpcStart
	vpcDirection
	vpcAction
	vpcAccount
	vpcStatus
	numVPCFields
)

var vpcFields = [numVPCFields]string{"interface-id", "instance-id", "srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr", "srcport", "dstport",
	"protocol", "bytes", "start", "flow-direction", "action", "account-id", "log-status"}

// isVPCHeader reports whether a line names the fields: no value of a record has
// such names in it.
func isVPCHeader(line []byte) bool {
	words := bytes.Fields(line)
	for _, word := range words {
		if bytes.ContainsFunc(word, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }) {
			return false
		}
	}
	has := func(name string) bool {
		return slices.ContainsFunc(words, func(w []byte) bool { return string(w) == name })
	}
	return (has("srcaddr") || has("pkt-srcaddr")) && (has("bytes") || has("packets"))
}

// vpcHeader is the last header line.
func vpcHeader(prev, p []byte) []byte {
	found := lastLine(p, []byte("srcaddr"), isVPCHeader)
	if found == nil {
		return prev
	}
	return slices.Clone(found)
}

type vpcFlow struct {
	clock  scan.Clock
	outer  outerTimes
	header []byte
	fields []int // what each column is: a field, or -1
	cells  [numVPCFields][]byte
	name   [20]byte // of a protocol
}

// use reads the records that follow by a header line.
func (d *vpcFlow) use(header []byte) {
	if bytes.Equal(header, d.header) {
		return
	}
	d.header, d.fields = slices.Clone(header), d.fields[:0]
	for _, name := range bytes.Fields(header) {
		d.fields = append(d.fields, slices.Index(vpcFields[:], string(name)))
	}
}

// split cuts a line into its cells, and reports whether it has as many as the
// header. "-" is an empty cell.
func (d *vpcFlow) split(line []byte) bool {
	clear(d.cells[:])
	n := 0
	for ; n < len(d.fields) && line != nil; n++ {
		var word []byte
		if word, line = scan.CutWord(line); d.fields[n] >= 0 && string(word) != "-" {
			d.cells[d.fields[n]] = word
		}
	}
	return n == len(d.fields) && line == nil
}

func (d *vpcFlow) Decode(b *Block, out *columnar.Out, t *Tally) error {
	if d.use(vpcDefault); b.Header != nil {
		d.use(b.Header)
	}
	rows := out.Table(columnar.Network)
	record := b.First
	d.outer = b.outer()
	for data := b.Data; len(data) > 0; record++ {
		var line []byte
		line, data = scan.CutLine(data)
		switch {
		case scan.Blank(line):
		case line[0] >= 'a' && isVPCHeader(line):
			d.use(line)
			t.Known("header")
		case !d.split(line):
			t.Skip(record, "not as many fields as the header")
		case string(d.cells[vpcStatus]) == "NODATA", string(d.cells[vpcStatus]) == "SKIPDATA":
			t.Known(string(d.cells[vpcStatus]))
		case d.through():
			t.Known("through a gateway")
		default:
			if reason := d.row(recordRow{rows, t, record}); reason != "" {
				rows.Drop()
				t.Skip(record, reason)
				continue
			}
			rows.Next(record)
			t.Row()
		}
	}
	return nil
}

// row sets the cells of a row, or says why there is none.
func (d *vpcFlow) row(b recordRow) (reason string) {
	us, ok := d.clock.Epoch(d.cells[vpcStart])
	if !ok {
		if us, ok = d.outer.of(b.record, d.cells[vpcStart]); !ok {
			return d.clock.Fault("bad time")
		}
	}
	source, destination := d.cells[vpcPacketSource], d.cells[vpcPacketDestination]
	if source == nil {
		source = d.cells[vpcSource]
	}
	if destination == nil {
		destination = d.cells[vpcDestination]
	}
	port, bytesCol := d.cells[vpcDestinationPort], columnar.BytesOut
	if d.ingress(source, destination) {
		source, destination = destination, source
		port, bytesCol = d.cells[vpcSourcePort], columnar.BytesIn
	}
	b.SetTime(us)
	b.SetText(columnar.SrcIP, source)
	b.SetText(columnar.DstIP, destination)
	if host := d.cells[vpcInstance]; host != nil {
		b.SetText(columnar.Host, host)
	} else {
		b.SetText(columnar.Host, d.cells[vpcInterface])
	}
	b.SetText(columnar.Action, d.cells[vpcAction])
	b.SetText(columnar.Account, d.cells[vpcAccount])
	if n, ok := scan.Int(d.cells[vpcProtocol]); ok {
		b.SetText(columnar.Protocol, append(d.name[:0], scan.ProtocolName(n)...))
	}
	if n := b.count(port, "bad port"); n <= 65535 {
		setCount(b.Builder, columnar.DstPort, n)
	} else {
		b.tally.Clear(b.record, "bad port")
	}
	b.setCount(bytesCol, d.cells[vpcBytes], "bad bytes")
	return ""
}

// through reports whether the record is a gateway's, which packets from or to an outside
// end met on their way: its own address, to which they came or from which they went on,
// stands in place of that end. The instance that sent or got them logs them, too.
func (d *vpcFlow) through() bool {
	instead := func(address, end []byte) bool {
		return end != nil && !bytes.Equal(address, end) && scan.IsInternal(address) && !scan.IsInternal(end)
	}
	direction := d.cells[vpcDirection]
	return string(direction) != "egress" && instead(d.cells[vpcDestination], d.cells[vpcPacketDestination]) ||
		string(direction) != "ingress" && instead(d.cells[vpcSource], d.cells[vpcPacketSource])
}

// ingress reports whether the record counts what came to the instance.
func (d *vpcFlow) ingress(source, destination []byte) bool {
	switch string(d.cells[vpcDirection]) {
	case "ingress":
		return true
	case "egress":
		return false
	}
	return scan.IsInternal(destination) && !scan.IsInternal(source)
}
