package detect

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Over TLS a sensor logs the bytes of a connection in one record (Zeek's conn,
// Suricata's flow, a firewall's session) and the server's name in another (ssl, tls,
// quic, a firewall's request), in any order and in any file. The records of a connection have the same feed, client address and uid.
// Workers keep them here while they decode; then a Joiner makes one row of each
// connection and day.
//
// The rules, per day, so that the rows of a day do not depend on which days are folded
// together:
//
//   - A connection is the record with the most bytes. Records of one uid are running
//     totals or copies, so they are not added, unless the source says that they are
//     deltas: of these, only those with the same time and bytes are copies. Without any
//     bytes, as where the sensor logs only names, it is one event without bytes.
//   - Its name is that of its records of network (ssl, tls, quic), else that of those
//     which are at most connectionLookback older than the day, since bytes are logged
//     when a connection ends and names when it begins, else that of its requests (http).
//   - Records that disagree about the name, as do requests that share a connection to
//     a proxy, give none. A connection without a name keeps its address.
//   - Names of a uid that has no connection stay what they were: events without bytes.

// connectionLookback is how long before midnight, in µs, a connection may have begun to
// get its name from the day before. With more, more logs of that day must be read again.
// With less, uploads that began in the evening lose their destination.
const connectionLookback = 6 * 3600e6

// ConnectionParts is the number of parts into which connections are divided, by a hash
// of client address and uid. A Joiner reads one part at a time. More would need more
// buffers; fewer would not fit into memory and be read several times.
const ConnectionParts = 1 << connectionBits

const connectionBits = 8

// Connections holds the records of connections that one worker has met. Its methods
// are called from one goroutine at a time.
type Connections struct {
	o     *FoldOptions
	kept  spooled
	logs  []connectionLog
	codes map[connectionLog]uint32 // in logs
	late  []bool                   // by log: it has names that the next day may need

	inside  columnar.Lookup[bool]   // servers
	outside columnar.Lookup[bool]   // clients
	clients columnar.Lookup[uint64] // hashes
}

// A connectionLog is a log object of a feed.
type connectionLog struct{ feed, object string }

// NewConnections returns Connections that keep about memory bytes in memory and the
// rest in a spool.
func NewConnections(o *FoldOptions, spool Spool, memory int) *Connections {
	c := &Connections{o: o, kept: newSpooled(spool, memory), codes: map[connectionLog]uint32{}}
	c.inside.Func, c.outside.Func, c.clients.Func = scan.IsInternal, externalAddress, o.hash
	return c
}

// Add keeps the rows of a batch that have a uid, if they may matter. A connection to a server
// inside matters if it goes to a file server, or if the client is outside and received bytes.
func (c *Connections) Add(b *columnar.Batch) {
	if b.Server {
		return
	}
	var name columnar.Col
	var flags uint32
	switch {
	case b.Known(columnar.UID) == 0:
		return
	case b.Table == columnar.Network:
		if name, flags = columnar.DstHost, connectionNetwork; b.Deltas {
			flags |= connectionDelta
		}
	case b.Table == columnar.HTTP && b.Known(columnar.URLHost) > 0:
		name = columnar.URLHost
	default:
		return
	}
	code := c.code(connectionLog{b.Feed, b.Object})
	from := c.o.From
	if flags&connectionNetwork != 0 && from > math.MinInt64+connectionLookback {
		from -= connectionLookback
	}
	uidEnds, uids := b.Texts(columnar.UID)
	sources, sourceTexts := b.Codes(columnar.SrcIP)
	clients := c.clients.Of(sourceTexts)
	names, nameTexts := b.Codes(name)
	servers, serverTexts := b.Codes(columnar.DstIP)
	inside, outside := c.inside.Of(serverTexts), c.outside.Of(sourceTexts)
	var more [len(connectionTexts)][]int32
	var moreTexts [len(connectionTexts)]*columnar.Dict
	if flags&connectionNetwork != 0 {
		for i, col := range connectionTexts {
			if b.Known(col) > 0 {
				more[i], moreTexts[i] = b.Codes(col)
				flags |= connectionMore
			}
		}
	}
	out, in := b.Int64(columnar.BytesOut), b.Int64(columnar.BytesIn)
	outValid, inValid := b.Valid(columnar.BytesOut), b.Valid(columnar.BytesIn)
	var ports []int32
	if flags&connectionNetwork != 0 {
		ports = b.Int32(columnar.DstPort)
	}
	last := -1 // the request before
	for i, us := range b.Int64(columnar.Time) {
		uid := uids[uidEnds[i]:uidEnds[i+1]]
		if len(uid) == 0 || us < from || us >= c.o.To || inside[servers[i]] && (ports == nil || !scan.SharesFiles(int64(ports[i])) && (!outside[sources[i]] || inValid.Bit(i) == 0)) {
			continue
		}
		sent, received := int64(-1), int64(-1)
		late := false
		if flags&connectionNetwork != 0 {
			if outValid.Bit(i) != 0 {
				sent = out[i]
			}
			if inValid.Bit(i) != 0 {
				received = in[i]
			}
			if names[i] != 0 {
				midnight := (int64(DayOf(us)) + 1) * dayMicros
				late = us >= midnight-connectionLookback && midnight < c.o.To
				c.late[code] = c.late[code] || us >= midnight-connectionLookback
			}
		} else {
			if names[i] == 0 || last >= 0 && names[last] == names[i] && sources[last] == sources[i] &&
				string(uids[uidEnds[last]:uidEnds[last+1]]) == string(uid) {
				continue // it says nothing new
			}
			last = i
		}
		if us < c.o.From && !late {
			continue
		}
		r := connectionRow{
			hash: uint32((c.o.hash(uid) ^ clients[sources[i]]) >> 32), log: code, flags: flags,
			time: us, record: b.First + int64(b.Record[i]), out: sent, in: received,
			client: sourceTexts.Text(sources[i]), uid: uid, server: serverTexts.Text(servers[i]), name: nameTexts.Text(names[i]),
		}
		if b.Repeats(i) {
			r.flags &^= connectionDelta
		}
		if ports != nil && uint32(ports[i]) <= math.MaxUint16 {
			r.port = uint16(ports[i])
		}
		if flags&connectionMore != 0 {
			for k, t := range moreTexts {
				if t != nil {
					r.more[k] = t.Text(more[k][i])
				}
			}
		}
		p := &c.kept.parts[r.hash>>(32-connectionBits)]
		buf := p.buf
		if late { // for the day after, which needs the name alone
			buf = r.append(buf, r.flags&^(connectionNetwork|connectionMore)|connectionEarlier)
		}
		if us >= c.o.From {
			buf = r.append(buf, r.flags)
		}
		c.kept.put(p, buf)
	}
}

// code returns the number of a log in logs.
func (c *Connections) code(log connectionLog) uint32 {
	code, ok := c.codes[log]
	if !ok {
		code = uint32(len(c.logs))
		c.codes[log] = code
		c.logs, c.late = append(c.logs, log), append(c.late, false)
	}
	return code
}

// Late calls yield for each log with names that connections of the next day may need,
// and for its feed.
func (c *Connections) Late(yield func(feed, object string)) {
	for code, late := range c.late {
		if late {
			yield(c.logs[code].feed, c.logs[code].object)
		}
	}
}

// Close ends adding: it writes what is not written yet, and returns the first error.
func (c *Connections) Close() error { return c.kept.close("connections") }

// Send divides the records between writers, for Take: those of a client go to one writer,
// which FoldOptions.Seed and the client decide. It is called after Close.
func (c *Connections) Send(to []io.Writer) error {
	var logs []byte
	same := make([]uint32, len(c.logs)) // the logs keep their numbers
	for i, log := range c.logs {
		logs = appendBytes(appendBytes(logs, []byte(log.feed)), []byte(log.object))
		same[i] = uint32(i)
	}
	var r connectionRecord
	err := c.kept.send(to, logs, func(b []byte) (int, uint64) { return r.parse(b, same), c.o.hash(r.client) })
	if err != nil {
		return fmt.Errorf("send connections: %w", err)
	}
	return nil
}

// Take adds what Send wrote to one writer, in a process with the same FoldOptions.
func (c *Connections) Take(in io.Reader) error {
	var codes []uint32 // by number of the sender: here
	var r connectionRecord
	first := true
	for frame, err := range sent(in) {
		if err == nil && first {
			d := decoder{b: frame}
			for len(d.b) > 0 && !d.bad {
				feed := string(d.bytes())
				codes = append(codes, c.code(connectionLog{feed, string(d.bytes())}))
			}
			if d.bad {
				err = errRun
			}
		} else if err == nil {
			err = c.kept.take(frame, func(b []byte) (int, *spooledPart) {
				n := r.parse(b, codes)
				if n > 0 {
					binary.LittleEndian.PutUint32(b[4:], r.log<<connectionFlags|uint32(b[4])&(1<<connectionFlags-1))
				}
				return n, &c.kept.parts[r.hash>>(32-connectionBits)]
			})
		}
		if err != nil {
			return fmt.Errorf("read connections: %w", err)
		}
		first = false
	}
	return nil
}
