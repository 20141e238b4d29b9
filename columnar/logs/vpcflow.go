package logs

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// VPCFlow decodes Amazon VPC flow logs in text.
var VPCFlow = &Format{
	Name:  "vpcflow",
	Title: "Amazon VPC flow logs, versions 2 to 8, as text",
	Doc: `Columns are found by the header line that each object begins with, in any order. Without one, as CloudWatch Logs
has them, logformat says what the fields are (${version} ${srcaddr} …). Without that, too, the 14 fields of the
default format are read, and of the fields behind them those that a value tells: flow-direction, instance-id, and
pkt-srcaddr with pkt-dstaddr behind it.

A record counts the bytes of one direction. The instance is the client, whichever end it is: flow-direction says
so, else addresses do. From an internal address to one outside, the bytes are bytes_out; from outside to an
internal address they are bytes_in, of the internal address; between two of a kind they are bytes_out of the
sender, and with flow-direction ingress, or without a direction from the port of a file server (SMB, NFS, AFP), bytes_in
of the receiver. Both ends within a VPC log a flow. Behind a load balancer or a NAT gateway
pkt-srcaddr and pkt-dstaddr are the ends. The gateway logs such a flow once more, as it comes from or goes to the
instance: that record is of another kind (through a gateway).

The time is start. instance-id, else interface-id, is host; the number of the protocol gives its name.
Records of intervals without traffic, or that were not captured (NODATA, SKIPDATA), are of other kinds.`,
	Tables:   []*columnar.Table{columnar.Network},
	Lacks:    columnar.ColSet(columnar.User, columnar.DstHost, columnar.Duration, columnar.UID),
	Origins:  []columnar.Origin{{Product: "aws", Service: "vpcflow"}},
	Remedies: []Remedy{{Columns: columnar.ColSet(columnar.SrcIP, columnar.DstIP, columnar.BytesOut, columnar.BytesIn), Text: "Add the field to the flow log's format; srcaddr, dstaddr, bytes and start are the least that is needed."}},
	Sniff: func(head []byte) bool {
		line, _ := scan.CutLine(head)
		if isVPCHeader(line) {
			return true
		}
		return isVPCRecord(bytes.Split(line, []byte{' '}))
	},
	Header: vpcHeader,
	Outer:  true,
	New: func(o *Options) (Decoder, error) {
		d := &vpcFlow{clock: o.clock(), bare: bareVPC(o.Head)}
		if isVPCHeader([]byte(o.LogFormat)) {
			d.bare = []byte(o.LogFormat)
		}
		return d, nil
	},
}

var vpcDefault = []byte("version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status")

// isVPCRecord reports whether a record without a header begins with the fields of vpcDefault.
func isVPCRecord(words [][]byte) bool {
	switch n := len(vpcDefaultNames); {
	case len(words) < n || !bytes.HasPrefix(words[2], []byte("eni-")):
		return false
	case len(words) == n:
		return true
	}
	action, status := string(words[12]), string(words[13])
	return (action == "ACCEPT" || action == "REJECT" || action == "-") && (status == "OK" || status == "NODATA" || status == "SKIPDATA")
}

var vpcDefaultNames = bytes.Fields(vpcDefault)

// bareVPC returns a header for an object without one: vpcDefault, and the fields behind it
// whose values tell their names in one of the first records.
func bareVPC(head []byte) []byte {
	var names [][]byte
	for n := 0; n < 100 && len(head) > 0; n++ {
		var line []byte
		line, head = scan.CutLine(head)
		words := bytes.Split(line, []byte{' '})
		switch {
		case names == nil && (len(words) == len(vpcDefaultNames) || isVPCHeader(line)):
			return vpcDefault
		case !isVPCRecord(words):
			continue
		case names == nil:
			names = slices.Grow(slices.Clone(vpcDefaultNames), len(words)-len(vpcDefaultNames))
			for range len(words) - len(vpcDefaultNames) {
				names = append(names, []byte("unknown"))
			}
		}
		for i := len(vpcDefaultNames); i < min(len(words), len(names)); i++ {
			switch word := string(words[i]); {
			case word == "ingress" || word == "egress":
				names[i] = []byte("flow-direction")
			case strings.HasPrefix(word, "i-"):
				names[i] = []byte("instance-id")
			case i+1 < min(len(words), len(names)) && isAddress(words[i]) && isAddress(words[i+1]):
				names[i], names[i+1] = []byte("pkt-srcaddr"), []byte("pkt-dstaddr")
			}
		}
	}
	if names == nil {
		return vpcDefault
	}
	return bytes.Join(names, []byte{' '})
}

func isAddress(text []byte) bool {
	_, err := netip.ParseAddr(string(text))
	return err == nil
}

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

// vpcNames returns the names of the fields that a line has: with - or _ in them, or as
// ${name}, as the format is written where it is configured; nil if it has other words.
func vpcNames(line []byte) [][]byte {
	words := bytes.Fields(line)
	for i, word := range words {
		if bytes.HasPrefix(word, []byte("${")) {
			word = bytes.TrimSuffix(word[2:], []byte("}"))
		}
		word = bytes.ReplaceAll(word, []byte("_"), []byte("-"))
		words[i] = word
		if bytes.ContainsFunc(word, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }) {
			return nil
		}
	}
	return words
}

// isVPCHeader reports whether a line names the fields: no value of a record has
// such names in it.
func isVPCHeader(line []byte) bool {
	words := vpcNames(line)
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

// A vpcFlow decodes flow logs. It reads runs of records column by column, as separated does.
type vpcFlow struct {
	clock     scan.Clock
	outer     outerTimes
	bare      []byte // the header of objects without one
	header    []byte
	columns   int               // how many fields header names
	separator byte              // between fields
	at        [numVPCFields]int // which of them each field is; -1: none
	scanner   scan.Fields
	run       vpcRun
}

// use reads the records that follow by a header line. Of a name that stands twice the
// last counts.
func (d *vpcFlow) use(header []byte) {
	if bytes.Equal(header, d.header) {
		return
	}
	d.header, d.columns, d.separator = slices.Clone(header), 0, ' '
	if bytes.IndexByte(header, '\t') >= 0 {
		d.separator = '\t'
	}
	for i := range d.at {
		d.at[i] = -1
	}
	for _, name := range vpcNames(header) {
		if f := slices.Index(vpcFields[:], string(name)); f >= 0 {
			d.at[f] = d.columns
		}
		d.columns++
	}
}

func (d *vpcFlow) Decode(b *Block, out *columnar.Out, t *Tally) error {
	if d.use(d.bare); b.Header != nil {
		d.use(b.Header)
	}
	d.outer = b.outer()
	rows, record := out.Table(columnar.Network), b.First
	for data := b.Data; len(data) > 0; {
		data, record = d.decode(rows, data, record, t)
	}
	return nil
}

// decode reads records up to a header line whose fields have another separator, and returns
// what is behind it and the number of its first record.
func (d *vpcFlow) decode(rows *columnar.Builder, data []byte, record int64, t *Tally) ([]byte, int64) {
	if line, _ := scan.CutLine(data); isVPCHeader(line) {
		d.use(line)
	}
	r, s := &d.run, &d.scanner
	for s.Reset(data, d.separator, d.separator); s.Next(); {
		begin := 0
		for _, end := range s.Ends {
			if end-begin == d.columns && data[s.Pos[begin]+1]-'0' <= 9 {
				r.add(begin, record)
			} else {
				d.put(rows, data, t)
				line, _ := scan.CutLine(data[s.Pos[begin]+1 : s.Pos[end]])
				switch {
				case scan.Blank(line):
				case (line[0] >= 'a' || line[0] == '$') && isVPCHeader(line):
					before := d.separator
					d.use(line)
					t.Known("header")
					if d.separator != before {
						return data[min(int(s.Pos[end])+1, len(data)):], record + 1
					}
				case end-begin != d.columns:
					t.Skip(record, "not as many fields as the header")
				default:
					r.add(begin, record)
				}
			}
			if len(r.begins) == min(vpcRunSize, rows.Room()) {
				d.put(rows, data, t)
			}
			begin = end
			record++
		}
		d.put(rows, data, t) // the next window has other places
	}
	return nil, record
}
