package detect

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"unsafe"

	"outflow/columnar"
)

// This file makes rows of the records that Connections hold.

// A Joiner joins connections, one part at a time, in bounded memory: if a part needs
// more, it is read again for each half of its connections, and so on. A Joiner is used
// by one goroutine at a time; several may read the same Connections, which do not
// change any more.
type Joiner struct {
	o      *FoldOptions
	all    []*Connections
	memory int
	out    columnar.Out
	places []columnar.Place

	objects  *columnar.Dict
	objectOf []int32 // by index in logs

	logs  []connectionLog // of all Connections, sorted
	ranks [][]uint32      // by Connections, and then code: index in logs
	feeds []uint32        // by index in logs: index of its feed's first log

	table []int32 // indexes in found by hash; 0 is free
	found []connection
	// deltas are the records of connections that have several, whose bytes are added.
	deltas map[deltaRecord]struct{}
	texts  []byte // of found
	waste  int    // bytes of texts that nothing refers to
	block  []byte

	// Of the rows that are put.
	times, sent, received, ports  []int64
	clients, servers, names, more []columnar.Span
}

// A connection is what is known of a connection on one day.
type connection struct {
	hash                  uint32
	log                   uint32
	out, in, time, record int64 // of the record that counts; bytes that are not known are -1
	day                   Day
	// The sums of bytes of all records that are deltas; -1: unknown.
	deltaOut, deltaIn int64
	// In Joiner.texts: the texts of that record, which begin with the key, and the name.
	texts, key, src, dst, more, name columnar.Span
	port                             uint16
	ofName                           nameRank
	disputed                         bool // records disagree about the name
	network                          bool // the record that counts is a row of network, else a request
	delta                            bool // its bytes are added
}

// A deltaRecord is a record of a connection whose bytes are added. One with the same time
// and bytes is the same, delivered again.
type deltaRecord struct {
	of            int32 // index in found
	time, out, in int64
}

// A nameRank says how much a name is worth. A greater one wins.
type nameRank uint8

const (
	noName nameRank = iota
	requestName
	earlierName // as serverName, but of the day before
	serverName  // sent by the client to open the connection
)

// NewJoiner returns a Joiner of what all workers kept. It hands its rows to sink, with
// the columns of want, and takes about memory bytes.
func NewJoiner(o *FoldOptions, all []*Connections, want columnar.Cols, memory int, sink func(*columnar.Batch)) *Joiner {
	j := &Joiner{o: o, all: all, memory: min(memory, 1<<30), found: make([]connection, 1), deltas: map[deltaRecord]struct{}{}, table: make([]int32, 1<<10), objects: columnar.NewDict()}
	j.out.Want = want &^ columnar.ColSet(columnar.UID)
	j.out.Sink = func(b *columnar.Batch) {
		b.Objects, b.Places = j.objects, j.places
		sink(b)
		j.places = j.places[:0]
	}
	known := map[connectionLog]uint32{}
	for _, c := range all {
		for _, log := range c.logs {
			known[log] = 0
		}
	}
	j.logs = slices.SortedFunc(maps.Keys(known), func(a, b connectionLog) int {
		return cmp.Or(cmp.Compare(a.feed, b.feed), cmp.Compare(a.object, b.object))
	})
	for i, log := range j.logs {
		known[log] = uint32(i)
		feed := uint32(i)
		if i > 0 && j.logs[i-1].feed == log.feed {
			feed = j.feeds[i-1]
		}
		j.feeds = append(j.feeds, feed)
		j.objectOf = append(j.objectOf, j.objects.Code([]byte(log.object)))
	}
	for _, c := range all {
		ranks := make([]uint32, len(c.logs))
		for i, log := range c.logs {
			ranks[i] = known[log]
		}
		j.ranks = append(j.ranks, ranks)
	}
	return j
}

// Join joins the connections of a part.
func (j *Joiner) Join(part int) error {
	if err := j.join(part, connectionBits, uint32(part)); err != nil {
		return fmt.Errorf("join connections: %w", err)
	}
	return nil
}

// join joins the connections of a part whose hashes begin with the width bits of prefix.
func (j *Joiner) join(part, width int, prefix uint32) error {
	fits, err := j.read(part, width, prefix)
	if err != nil {
		return err
	}
	if !fits {
		if err := j.join(part, width+1, prefix<<1); err != nil {
			return err
		}
		return j.join(part, width+1, prefix<<1|1)
	}
	j.rows()
	return nil
}

// read finds the connections of a part whose hashes begin with the width bits of prefix. It
// returns false if they take more than the memory.
func (j *Joiner) read(part, width int, prefix uint32) (fits bool, err error) {
	clear(j.table)
	clear(j.deltas)
	j.found, j.texts, j.waste = j.found[:1], j.texts[:0], 0
	var r connectionRecord
	for worker, c := range j.all {
		for block, err := range c.kept.blocks(part, &j.block) {
			if err != nil {
				return false, err
			}
			for rest := block; len(rest) > 0; {
				n := r.parse(rest, j.ranks[worker])
				if n == 0 {
					return false, errRun
				}
				rest = rest[n:]
				if r.hash>>(32-width) == prefix {
					j.add(&r)
				}
			}
			if j.size() > j.memory && j.waste > len(j.texts)/2 {
				j.tidy()
			}
			if j.size() > j.memory && width < 32 && len(j.found) > 2 {
				return false, nil
			}
		}
	}
	return true, nil
}

func (j *Joiner) size() int {
	return len(j.texts) + len(j.found)*int(unsafe.Sizeof(connection{})) + 4*len(j.table) + len(j.deltas)*deltaMemory
}

// deltaMemory is what a deltaRecord takes in a map, in bytes.
const deltaMemory = 2 * int(unsafe.Sizeof(deltaRecord{}))

// add adds a record to its connection.
func (j *Joiner) add(r *connectionRecord) {
	c, slot := j.find(r.hash, r.day, j.feeds[r.log], r.id)
	if c != nil && !j.repeats(c, r, j.table[slot]) {
		c.deltaOut, c.deltaIn = addKnown(c.deltaOut, r.deltaOut), addKnown(c.deltaIn, r.deltaIn)
	}
	if c != nil {
		r.deltaOut, r.deltaIn = c.deltaOut, c.deltaIn
	}
	switch {
	case c == nil:
		j.keep(r, uint32(len(j.texts)))
		j.found = append(j.found, r.connection)
		c = &j.found[len(j.found)-1]
		j.table[slot] = int32(len(j.found) - 1)
		if 2*len(j.found) > len(j.table) {
			j.grow()
		}
	case r.outranks(c):
		r.name, r.ofName, r.disputed = c.name, c.ofName, c.disputed
		old, at := c.texts, uint32(len(j.texts))
		if int(old.End-old.Begin) >= len(r.begin)+len(r.rest) {
			at = old.Begin
		}
		j.keep(r, at)
		j.waste += int(old.End - old.Begin)
		if at == old.Begin {
			j.waste -= int(r.texts.End - r.texts.Begin)
		}
		*c = r.connection
	}
	switch {
	case len(r.said) == 0 || r.rank < c.ofName:
	case r.rank > c.ofName:
		j.waste += int(c.name.End - c.name.Begin)
		c.name.Begin = uint32(len(j.texts))
		j.texts = append(j.texts, r.said...)
		c.name.End = uint32(len(j.texts))
		c.ofName, c.disputed = r.rank, false
	default:
		c.disputed = c.disputed || string(r.said) != string(j.text(c.name))
	}
}

// repeats reports whether the bytes of a record of c, which is found[of], were added before.
func (j *Joiner) repeats(c *connection, r *connectionRecord, of int32) bool {
	if c.delta && r.network { // c may be the first, which was not looked up here
		j.deltas[deltaRecord{of, c.time, c.out, c.in}] = struct{}{}
	}
	if !r.delta {
		return false
	}
	n := len(j.deltas)
	j.deltas[deltaRecord{of, r.time, r.out, r.in}] = struct{}{}
	return len(j.deltas) == n
}

// keep puts the texts of a record but for its name at a place in texts: at its end, or
// over texts that are at least as long.
func (j *Joiner) keep(r *connectionRecord, at uint32) {
	if int(at) == len(j.texts) {
		j.texts = append(append(j.texts, r.begin...), r.rest...)
	} else {
		copy(j.texts[at:], r.begin)
		copy(j.texts[int(at)+len(r.begin):], r.rest)
	}
	r.key = columnar.Span{Begin: at, End: at + uint32(len(r.id))}
	r.src.Begin = at + uint32(lengthSize(len(r.client)))
	r.src.End = r.src.Begin + uint32(len(r.client))
	r.dst.End = at + uint32(len(r.begin))
	r.dst.Begin = r.dst.End - uint32(len(r.server))
	r.more = columnar.Span{Begin: r.dst.End, End: r.dst.End + uint32(len(r.rest))}
	r.texts = columnar.Span{Begin: at, End: r.more.End}
}

// lengthSize returns how many bytes the length of a text takes.
func lengthSize(n int) int { return (bits.Len(uint(n)|1) + 6) / 7 }

func (j *Joiner) text(s columnar.Span) []byte { return j.texts[s.Begin:s.End] }

// outranks reports whether n counts and not c, both of one connection and day. It is a
// total order of records, so it does not matter in which order they come.
func (n *connection) outranks(c *connection) bool {
	switch {
	case n.network != c.network:
		return n.network
	case n.out != c.out:
		return n.out > c.out
	case n.in != c.in:
		return n.in > c.in
	case n.time != c.time:
		return n.time > c.time
	case n.log != c.log:
		return n.log < c.log
	}
	return n.record < c.record
}

// tidy drops the texts that nothing refers to.
func (j *Joiner) tidy() {
	old := j.texts
	j.texts, j.waste = make([]byte, 0, len(old)-j.waste), 0
	for i := 1; i < len(j.found); i++ {
		c := &j.found[i]
		by := uint32(len(j.texts)) - c.texts.Begin // modulo 2^32
		j.texts = append(j.texts, old[c.texts.Begin:c.texts.End]...)
		for _, s := range [...]*columnar.Span{&c.texts, &c.key, &c.src, &c.dst, &c.more} {
			s.Begin, s.End = s.Begin+by, s.End+by
		}
		name := old[c.name.Begin:c.name.End]
		c.name.Begin = uint32(len(j.texts))
		j.texts = append(j.texts, name...)
		c.name.End = uint32(len(j.texts))
	}
}

// find returns a connection and its place in table, or nil and a free place for it.
func (j *Joiner) find(hash uint32, day Day, feed uint32, key []byte) (c *connection, slot uint32) {
	mask := uint32(len(j.table) - 1)
	i := hash & mask
	for ; j.table[i] != 0; i = (i + 1) & mask {
		c := &j.found[j.table[i]]
		if c.hash == hash && c.day == day && j.feeds[c.log] == feed && bytes.Equal(j.text(c.key), key) {
			return c, i
		}
	}
	return nil, i
}

func (j *Joiner) grow() {
	j.table = make([]int32, 2*len(j.table))
	mask := uint32(len(j.table) - 1)
	for k := 1; k < len(j.found); k++ {
		i := j.found[k].hash & mask
		for j.table[i] != 0 {
			i = (i + 1) & mask
		}
		j.table[i] = int32(k)
	}
}

// joinedRows is how many rows are put at once.
const joinedRows = 1 << 10

// rows hands out the rows of the connections found.
func (j *Joiner) rows() {
	b := j.out.Table(columnar.Network)
	for feed, of := range j.feeds {
		if int(of) != feed {
			continue // it is not the first log of its feed
		}
		j.out.Feed = j.logs[feed].feed
		for i := 1; i < len(j.found); {
			most := min(joinedRows, b.Room())
			j.times, j.sent, j.received, j.ports = j.times[:0], j.sent[:0], j.received[:0], j.ports[:0]
			j.clients, j.servers, j.names, j.more = j.clients[:0], j.servers[:0], j.names[:0], j.more[:0]
			further := false
			for ; i < len(j.found) && len(j.times) < most; i++ {
				c := &j.found[i]
				if !c.network || j.feeds[c.log] != of {
					continue
				}
				j.times = append(j.times, c.time)
				j.sent = append(j.sent, known(max(c.out, c.deltaOut)))
				j.received = append(j.received, known(max(c.in, c.deltaIn)))
				port := int64(c.port)
				if port == 0 {
					port = columnar.Null
				}
				j.ports = append(j.ports, port)
				j.clients = append(j.clients, c.src)
				j.servers = append(j.servers, c.dst)
				if c.disputed {
					j.names = append(j.names, columnar.Span{})
				} else {
					j.names = append(j.names, c.name)
				}
				j.more = append(j.more, c.more)
				further = further || c.more.Begin < c.more.End
				j.places = append(j.places, columnar.Place{Object: j.objectOf[c.log], Record: c.record})
			}
			b.PutTimes(j.times)
			b.PutInts(columnar.BytesOut, j.sent)
			b.PutInts(columnar.BytesIn, j.received)
			b.PutInts(columnar.DstPort, j.ports)
			b.PutTexts(columnar.SrcIP, j.texts, j.clients)
			b.PutTexts(columnar.DstIP, j.texts, j.servers)
			b.PutTexts(columnar.DstHost, j.texts, j.names)
			if further {
				j.putMore(b)
			}
			b.NextRows(zeros[:len(j.times)])
		}
		j.out.Flush()
	}
}

// zeros are the numbers of records of rows that have Places.
var zeros [joinedRows]int64

// addKnown adds counts of bytes; -1 is unknown.
func addKnown(a, b int64) int64 {
	switch {
	case a < 0:
		return b
	case b < 0:
		return a
	}
	return addBytes(a, b)
}

func known(bytes int64) int64 {
	if bytes < 0 {
		return columnar.Null
	}
	return bytes
}

// putMore puts connectionTexts of the rows.
func (j *Joiner) putMore(b *columnar.Builder) {
	for _, col := range connectionTexts {
		for i, s := range j.more {
			j.names[i] = columnar.Span{}
			if s.Begin == s.End {
				continue
			}
			size, n := binary.Uvarint(j.texts[s.Begin:s.End])
			begin := s.Begin + uint32(n)
			j.names[i] = columnar.Span{Begin: begin, End: begin + uint32(size)}
			j.more[i].Begin = j.names[i].End
		}
		b.PutTexts(col, j.texts, j.names)
	}
}
