package detect

import (
	"encoding/binary"
	"math"
	"slices"

	"outflow/columnar"
)

// This file writes and reads the records that Connections hold.

// A record of a connection begins with numbers, little endian:
//
//	4  hash of src_ip and uid; its highest bits are the part
//	4  log, and in the lowest bits the flags
//	2  dst_port; 0 if it is not known
//	8  time
//	8  number of the record in the log
//	8  bytes out, or math.MaxUint64
//	8  bytes in, or math.MaxUint64
//
// The last three take 4 bytes if none needs more, as almost always. Texts with their
// lengths follow: src_ip, uid, dst_ip, name, and if a flag says so connectionTexts.
// Note: numbers of variable length take three times as long to read.
const (
	connectionHead   = 18 + 3*8
	connectionNarrow = 18 + 3*4
)

// The flags of a record.
const (
	connectionNetwork = 1 << iota // it is a row of network, not a request
	connectionMore                // it has connectionTexts
	connectionWide                // it has numbers of 8 bytes
	connectionEarlier             // it is a row of network of the day before, for its name
	connectionDelta               // its bytes are added to those of the other records
	connectionFlags   = iota      // number of flags
)

// connectionTexts are texts of a record that Zeek and Suricata seldom have.
var connectionTexts = [...]columnar.Col{columnar.User, columnar.Host, columnar.Account, columnar.Action}

// A connectionRow is a row of a batch from which a record is made.
type connectionRow struct {
	hash, log, flags      uint32
	port                  uint16
	time, record, out, in int64 // bytes that are not known are -1
	client, uid           []byte
	server, name          []byte
	more                  [len(connectionTexts)][]byte
}

// append appends the record of a row, with flags of its own.
func (r *connectionRow) append(b []byte, flags uint32) []byte {
	begin := len(b)
	b = slices.Grow(b, connectionHead)
	head := b[begin : begin+connectionHead]
	flags |= r.log << connectionFlags
	if uint64(r.record) <= math.MaxUint32 && uint64(r.out+1) <= math.MaxUint32 && uint64(r.in+1) <= math.MaxUint32 {
		binary.LittleEndian.PutUint32(head[18:], uint32(r.record))
		binary.LittleEndian.PutUint32(head[22:], uint32(r.out))
		binary.LittleEndian.PutUint32(head[26:], uint32(r.in))
		head = head[:connectionNarrow]
	} else {
		flags |= connectionWide
		binary.LittleEndian.PutUint64(head[18:], uint64(r.record))
		binary.LittleEndian.PutUint64(head[26:], uint64(r.out))
		binary.LittleEndian.PutUint64(head[34:], uint64(r.in))
	}
	binary.LittleEndian.PutUint32(head, r.hash)
	binary.LittleEndian.PutUint32(head[4:], flags)
	binary.LittleEndian.PutUint16(head[8:], r.port)
	binary.LittleEndian.PutUint64(head[10:], uint64(r.time))
	b = b[:begin+len(head)]
	for _, text := range [...][]byte{r.client, r.uid, r.server, r.name} {
		b = appendBytes(b, text)
	}
	if flags&connectionMore != 0 {
		for _, text := range r.more {
			b = appendBytes(b, text)
		}
	}
	return b
}

// A connectionRecord is a record as it was read, with its texts.
type connectionRecord struct {
	connection
	begin, id, client, server []byte // what comes before the name, and what of it is the key, src_ip and dst_ip
	said                      []byte // the name
	rank                      nameRank
	rest                      []byte // what comes after the name
}

// parse reads the record at the begin of b, written by a worker with those ranks. It
// returns its length, or 0 if it is damaged.
func (r *connectionRecord) parse(b []byte, ranks []uint32) (size int) {
	if len(b) < connectionNarrow {
		return 0
	}
	log, flags := binary.LittleEndian.Uint32(b[4:])>>connectionFlags, b[4]
	r.connection = connection{hash: binary.LittleEndian.Uint32(b), time: int64(binary.LittleEndian.Uint64(b[10:])), port: binary.LittleEndian.Uint16(b[8:]), network: flags&connectionNetwork != 0}
	r.day = DayOf(r.time)
	switch {
	case r.network:
		r.rank = serverName
	case flags&connectionEarlier != 0:
		r.rank = earlierName
		r.day++
	default:
		r.rank = requestName
	}
	head := connectionNarrow
	if flags&connectionWide == 0 {
		r.record = int64(binary.LittleEndian.Uint32(b[18:]))
		r.out = int64(binary.LittleEndian.Uint32(b[22:])+1) - 1
		r.in = int64(binary.LittleEndian.Uint32(b[26:])+1) - 1
	} else if head = connectionHead; len(b) >= head {
		r.record = int64(binary.LittleEndian.Uint64(b[18:]))
		r.out = int64(binary.LittleEndian.Uint64(b[26:]))
		r.in = int64(binary.LittleEndian.Uint64(b[34:]))
	} else {
		return 0
	}
	r.deltaOut, r.deltaIn = -1, -1
	if flags&(connectionNetwork|connectionDelta) == connectionNetwork|connectionDelta {
		r.delta, r.deltaOut, r.deltaIn = true, r.out, r.in
	}
	d := decoder{b: b[head:]}
	r.client = d.bytes()
	d.bytes() // uid
	r.id = b[head : len(b)-len(d.b)]
	r.server = d.bytes()
	r.begin = b[head : len(b)-len(d.b)]
	r.said = d.bytes()
	r.rest = d.b
	if flags&connectionMore != 0 {
		for range connectionTexts {
			d.bytes()
		}
	}
	r.rest = r.rest[:len(r.rest)-len(d.b)]
	if d.bad || log >= uint32(len(ranks)) {
		return 0
	}
	r.log = ranks[log]
	return len(b) - len(d.b)
}
