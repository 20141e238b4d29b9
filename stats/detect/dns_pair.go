package detect

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/stats"
)

// DNSPair measures what each client asked of each registered domain in a day.
var DNSPair = &Aggregate{
	Name: "dns_pair",
	Doc: "DNS queries of each client (address, else user, else host) to each registered domain and UTC day: how many, " +
		"how many distinct names, their bytes, the busiest 5 minutes, how many look random.",
	Rev:    1,
	Tables: []*columnar.Table{columnar.DNS},
	Reads: columnar.ColSet(columnar.Time, columnar.User, columnar.SrcIP, columnar.Host, columnar.Query,
		columnar.Domain, columnar.QueryType, columnar.Rcode),
	New:    func(o *FoldOptions) Folder { return newDNSPairs(o) },
	Merger: func(*FoldOptions) Merger { return &dnsMerger{} },
}

// window is how long the sliding windows of WindowEvents and WindowBytes are.
const window = 5 * 60 * 1e6 // µs

func rareType(queryType []byte) bool {
	switch string(queryType) {
	case "TXT", "NULL", "KEY", "MX", "CNAME", "SRV", "PRIVATE":
		return true
	}
	return false
}

type dnsPairs struct {
	o        *FoldOptions
	entities *entities
	domains  *columnar.Dict
	domain   columnar.Lookup[uint32]
	rare     columnar.Lookup[bool]
	nxdomain columnar.Lookup[bool]
	entropy  stats.Entropy
	lower    []byte
	parts    parts[dnsPart]
}

func newDNSPairs(o *FoldOptions) *dnsPairs {
	d := &dnsPairs{
		o:        o,
		entities: newEntities(addressEntity, userEntity, hostEntity),
		domains:  columnar.NewDict(),
		rare:     columnar.Lookup[bool]{Func: rareType},
		nxdomain: columnar.Lookup[bool]{Func: func(rcode []byte) bool { return string(rcode) == "NXDOMAIN" }},
		parts:    newParts(newDNSPart, (*dnsPart).reset),
	}
	d.domain.Func = func(text []byte) uint32 { return uint32(d.domains.Code(text)) }
	return d
}

// A dnsPart is one feed's day. Sliding windows can be exact under any split of
// the input only if no query is forgotten before all have been seen: 8 bytes each.
type dnsPart struct {
	groups  *columnar.Groups
	cells   []dnsCell // by slot
	arena   []byte    // the cells' examples
	names   []dnsName
	table   []uint64 // of names, by their hash and entity: 39 bits of the hash, and index+1; 0 if free
	queries [][]dnsQuery
	count   int // of queries
}

// A dnsCell is what cannot be told from the names and queries of a pair.
type dnsCell struct {
	maxEntropy float64
	examples   [maxExamples]uint32 // where in the arena subdomains are, behind their length; 0: none
	shortest   uint16              // bytes of the last example once all are there: what is shorter is none,
	first      byte                // and so is what is as long and begins with a greater byte than this, its first
}

// A dnsName is a name that an entity has asked.
type dnsName struct {
	hash uint64 // of the name
	slot int32
	size uint16 // bytes of the subdomain
	odd  bool
}

// A dnsQuery is, from the highest bit: 37 bits of µs since midnight, whether its
// type is rare, whether there was no such name, and 25 bits of index in names.
// Its order is that of time.
type dnsQuery uint64

const (
	nameBits = 25
	maxNames = 1<<nameBits - 1
)

func newDNSPart() *dnsPart {
	return &dnsPart{
		groups: columnar.NewGroups(), cells: make([]dnsCell, 1), arena: make([]byte, 1), table: make([]uint64, 1024),
	}
}

func (p *dnsPart) reset() {
	p.groups.Reset()
	p.cells, p.arena, p.names, p.queries, p.count = p.cells[:1], p.arena[:1], p.names[:0], p.queries[:0], 0
	clear(p.table)
}

// hashSeed is of this process: who does not know it cannot make names that are
// taken for one. What is kept and reported does not depend on it, but for the
// chance of one in 10^5 that name speaks of.
var hashSeed = maphash.MakeSeed()

// Fold implements Folder.
func (d *dnsPairs) Fold(b *columnar.Batch) {
	who := d.entities.of(b)
	offsets, queries := b.Texts(columnar.Query)
	codes, dict := b.Codes(columnar.Domain)
	domains := d.domain.Of(dict)
	types, typeDict := b.Codes(columnar.QueryType)
	rare := d.rare.Of(typeDict)
	rcodes, rcodeDict := b.Codes(columnar.Rcode)
	nxdomain := d.nxdomain.Of(rcodeDict)
	times := b.Int64(columnar.Time)
	d.parts.days(b, b.Feed, d.o, func(p *dnsPart, from, to int) {
		midnight := int64(DayOf(times[from])) * dayMicros
		for i := from; i < to; i++ {
			query := queries[offsets[i]:offsets[i+1]]
			if who[i] == 0 || len(query) == 0 {
				continue
			}
			// Resolvers and clients vary the case of names (0x20), which makes no
			// new name.
			query = columnar.Lower(query, &d.lower)
			hash := maphash.Bytes(hashSeed, query)
			name, new := p.name(hash, who[i])
			if new {
				domain, size := domains[codes[i]], len(dict.Text(codes[i]))
				if d.o.TwoLabels {
					text := lastTwoLabels(query)
					domain, size = uint32(d.domains.Code(text)), len(text)
				}
				d.meet(p, hash, p.groups.Slot(who[i], domain), query[:max(0, len(query)-size-1)])
			}
			q := dnsQuery(times[i]-midnight)<<(nameBits+2) | dnsQuery(name)
			if rare[types[i]] {
				q |= 1 << (nameBits + 1)
			}
			if nxdomain[rcodes[i]] {
				q |= 1 << nameBits
			}
			p.add(q)
		}
	})
}

// queryChunk is how many queries are held in one piece: a list that grew as a
// whole would be copied, and be there twice meanwhile.
const queryChunk = 1 << 15

func (p *dnsPart) add(q dnsQuery) {
	if p.count%queryChunk == 0 {
		p.queries = append(p.queries, nil)
	}
	last := &p.queries[len(p.queries)-1]
	if len(*last) == cap(*last) { // most parts have few: they grow
		*last = slices.Grow(*last, min(queryChunk-len(*last), max(64, p.count)))
	}
	*last = append(*last, q)
	p.count++
}

// key is what a name of an entity is found by.
func (n *dnsName) key(p *dnsPart) uint64 {
	who, _ := p.groups.Key(n.slot)
	return nameKey(n.hash, who)
}

func nameKey(hash uint64, who uint32) uint64 { return hash ^ uint64(who)*0x9E3779B97F4A7C15 }

// name returns the index of a name that an entity asks, and whether it is new:
// then it is the next one, and must be met.
//
// Two names of an entity are taken for one if their hashes agree in the 39 bits
// that the table keeps and, to some 15 to 25 bits, in their place: for an entity
// that asks a million names, a chance of one in 10^5.
func (p *dnsPart) name(hash uint64, who uint32) (index int, new bool) {
	key := nameKey(hash, who)
	mask := uint64(len(p.table) - 1)
	for i := key & mask; ; i = (i + 1) & mask {
		switch e := p.table[i]; {
		case e == 0:
			p.table[i] = key&^maxNames | uint64(len(p.names)+1)
			return len(p.names), true
		case (e^key)&^maxNames == 0:
			return int(e&maxNames) - 1, false
		}
	}
}

// meet takes up the name that is next: a subdomain of the slot's domain.
func (d *dnsPairs) meet(p *dnsPart, hash uint64, slot int32, sub []byte) {
	if int(slot) == len(p.cells) {
		p.cells = append(p.cells, dnsCell{})
	}
	c := &p.cells[slot]
	entropy := d.entropy.Bits(sub)
	c.maxEntropy = max(c.maxEntropy, entropy)
	p.names = append(p.names, dnsName{
		hash: hash, slot: slot, size: uint16(min(len(sub), math.MaxUint16)),
		odd: entropy > d.o.Entropy || len(sub) > d.o.Length,
	})
	if len(p.names)*3 > len(p.table)*2 {
		p.grow()
	}
	p.offer(c, sub)
}

func (p *dnsPart) grow() {
	p.table = make([]uint64, len(p.table)*2)
	mask := uint64(len(p.table) - 1)
	for index := range p.names {
		key := p.names[index].key(p)
		i := key & mask
		for p.table[i] != 0 {
			i = (i + 1) & mask
		}
		p.table[i] = key&^maxNames | uint64(index+1)
	}
}

// maxExamples is how many queries a Summary shows: enough to see the shape.
const maxExamples = 3

// moreTelling orders subdomains as examples: longer ones first, then by text.
func moreTelling(a, b []byte) int {
	return cmp.Or(cmp.Compare(len(b), len(a)), bytes.Compare(a, b))
}

// offer makes sub one of the examples if it is more telling than one of them.
func (p *dnsPart) offer(c *dnsCell, sub []byte) {
	if len(sub) < int(c.shortest) || len(sub) == int(c.shortest) && len(sub) > 0 && sub[0] > c.first {
		return
	}
	i := len(c.examples)
	for i > 0 && (c.examples[i-1] == 0 || moreTelling(sub, p.example(c.examples[i-1])) < 0) {
		i--
	}
	if i == len(c.examples) {
		return
	}
	copy(c.examples[i+1:], c.examples[i:])
	c.examples[i] = uint32(len(p.arena))
	p.arena = appendBytes(p.arena, sub)
	if last := c.examples[maxExamples-1]; last != 0 {
		text := p.example(last)
		c.shortest, c.first = uint16(min(len(text), math.MaxUint16)), math.MaxUint8
		if len(text) > 0 {
			c.first = text[0]
		}
	}
}

func (p *dnsPart) example(at uint32) []byte {
	size, n := binary.Uvarint(p.arena[at:])
	return p.arena[int(at)+n:][:size]
}

// Size implements Folder.
func (d *dnsPairs) Size() int {
	n := d.entities.size() + sizeOf(d.domains)
	for _, p := range d.parts.all {
		if len(p.names) > maxNames-columnar.BatchRows || len(p.arena) > math.MaxUint32/2 {
			return math.MaxInt // no number is left for another name
		}
		n += p.groups.Size() + len(p.cells)*24 + len(p.arena) + len(p.names)*(16+16) + p.count*8
	}
	return n
}

// Drain implements Folder. A record's value is
//
//	how many examples; if any: entropy, and the examples' subdomains
//	queries of rare types, queries of names that do not exist
//	per query: µs since the one before, name
//
// where the sequence number is the µs since midnight of the first query, and
// name is the number of a name that the record has introduced, from 1, or 0 and
// then a new one: its hash, and its subdomain's bytes and, lowest bit, whether
// it is odd. The first record of a pair has its examples.
func (d *dnsPairs) Drain(w *RunWriter) {
	order := newKeyOrder(d.entities, d.domains, func(yield func(*columnar.Groups) bool) {
		for _, p := range d.parts.all {
			if !yield(p.groups) {
				return
			}
		}
	})
	var key, value []byte
	for _, at := range d.parts.sorted() {
		p := d.parts.all[at]
		queries, ends := p.bySlot()
		local := make([]uint32, len(p.names)) // its number in the record, above base
		base := uint32(0)
		for _, slot := range order.slots(p.groups) {
			who, domain := p.groups.Key(slot)
			kind, name := d.entities.key(who)
			key = appendKey(key[:0], at.day, at.feed, kind, name, string(d.domains.Text(int32(domain))))
			c := &p.cells[slot]
			for rest := queries[ends[slot-1]:ends[slot]]; len(rest) > 0; c = nil {
				n := min(len(rest), maxRecordQueries)
				value, base = p.appendRecord(value[:0], c, rest[:n], local, base)
				w.record(key, uint64(rest[0]>>(nameBits+2)), value)
				rest = rest[n:]
			}
		}
		d.parts.drop(at)
	}
}

// maxRecordQueries is how many queries a record has at most, which bounds what a
// Merger must hold at once.
const maxRecordQueries = 4096

// bySlot returns the queries by slot and then time: those of a slot are
// queries[ends[slot-1]:ends[slot]].
func (p *dnsPart) bySlot() (queries []dnsQuery, ends []int) {
	ends = make([]int, p.groups.Len()+1)
	for _, chunk := range p.queries {
		for _, q := range chunk {
			ends[p.names[q&maxNames].slot+1]++
		}
	}
	for slot := 1; slot < len(ends); slot++ {
		ends[slot] += ends[slot-1]
	}
	queries = make([]dnsQuery, p.count)
	for i, chunk := range p.queries {
		for _, q := range chunk {
			slot := p.names[q&maxNames].slot
			queries[ends[slot]] = q
			ends[slot]++
		}
		p.queries[i] = nil
	}
	for slot := 1; slot < p.groups.Len(); slot++ {
		if of := queries[ends[slot-1]:ends[slot]]; !slices.IsSorted(of) {
			slices.Sort(of)
		}
	}
	return queries, ends
}

func (p *dnsPart) appendRecord(b []byte, c *dnsCell, queries []dnsQuery, local []uint32, base uint32) ([]byte, uint32) {
	examples := 0
	for c != nil && examples < len(c.examples) && c.examples[examples] != 0 {
		examples++
	}
	b = binary.AppendUvarint(b, uint64(examples))
	if examples > 0 {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(c.maxEntropy))
		for _, at := range c.examples[:examples] {
			b = appendBytes(b, p.example(at))
		}
	}
	var rare, nxdomain uint64
	for _, q := range queries {
		rare += uint64(q >> (nameBits + 1) & 1)
		nxdomain += uint64(q >> nameBits & 1)
	}
	b = binary.AppendUvarint(binary.AppendUvarint(b, rare), nxdomain)
	before := queries[0] >> (nameBits + 2)
	met := base
	for _, q := range queries {
		b = binary.AppendUvarint(b, uint64(q>>(nameBits+2)-before))
		before = q >> (nameBits + 2)
		n := &local[q&maxNames]
		if *n > base {
			b = binary.AppendUvarint(b, uint64(*n-base))
			continue
		}
		met++
		*n = met
		name := &p.names[q&maxNames]
		b = binary.LittleEndian.AppendUint64(append(b, 0), name.hash)
		size := uint64(name.size) << 1
		if name.odd {
			size |= 1
		}
		b = binary.AppendUvarint(b, size)
	}
	return b, met
}

// A dnsMerger puts the queries of a pair in the order of time.
type dnsMerger struct {
	day      Day
	s        Summary
	examples [][]byte
	names    []mergedName
	table    []uint32 // of names by hash: index+1, 0 if free
	local    []uint32 // of the record's names, their indexes in names
	// pending are queries that those to come may stand between; recent those of
	// the last five minutes before them, of which the first are gone from the window.
	pending []mergedQuery
	recent  []mergedQuery
	mixed   []mergedQuery // room for mix
	gone    int
	bytes   int64 // of the distinct names in the window
}

type mergedName struct {
	hash   uint64
	size   uint16
	odd    bool
	within int32 // how often it is in the window
}

type mergedQuery struct {
	time int64 // µs since midnight
	name uint32
}

// Add implements Merger.
func (m *dnsMerger) Add(day Day, seq uint64, value []byte) error {
	m.day = day
	m.slide(int64(seq))
	d := decoder{b: value}
	if n := d.uvarint(); n > 0 {
		m.s.MaxEntropy = max(m.s.MaxEntropy, math.Float64frombits(d.uint64()))
		for range min(n, maxExamples) {
			m.offer(d.bytes())
		}
	}
	m.s.Rare += int64(d.uvarint())
	m.s.NXDomain += int64(d.uvarint())
	m.local = m.local[:0]
	before := len(m.pending)
	time := int64(seq)
	for len(d.b) > 0 {
		time += int64(d.uvarint())
		n := d.uvarint()
		switch {
		case n == 0:
			hash, size := d.uint64(), d.uvarint()
			m.local = append(m.local, m.name(hash, size))
			n = uint64(len(m.local))
		case n > uint64(len(m.local)):
			return errRun
		}
		m.pending = append(m.pending, mergedQuery{time, m.local[n-1]})
	}
	if d.bad {
		return errRun
	}
	m.mix(before)
	return nil
}

// mix brings the pending queries from n on, which are in the order of time, in
// line with those before them, which are so too.
func (m *dnsMerger) mix(n int) {
	p := m.pending
	if n == 0 || n == len(p) || p[n-1].time <= p[n].time {
		return
	}
	m.mixed = append(m.mixed[:0], p[n:]...)
	i, j := n-1, len(m.mixed)-1
	for at := len(p) - 1; j >= 0; at-- {
		if i >= 0 && p[i].time > m.mixed[j].time {
			p[at], i = p[i], i-1
		} else {
			p[at], j = m.mixed[j], j-1
		}
	}
}

// offer is dnsPart.offer for copies.
func (m *dnsMerger) offer(sub []byte) {
	i, found := slices.BinarySearchFunc(m.examples, sub, moreTelling)
	if found || i == maxExamples {
		return
	}
	m.examples = slices.Insert(m.examples, i, bytes.Clone(sub))
	m.examples = m.examples[:min(len(m.examples), maxExamples)]
}

// smallNames is how many names are found by looking at each: most pairs have one.
const smallNames = 8

// name returns the index of a name.
func (m *dnsMerger) name(hash, size uint64) uint32 {
	if len(m.names) <= smallNames {
		for i := range m.names {
			if m.names[i].hash == hash {
				return uint32(i)
			}
		}
	} else {
		mask := uint64(len(m.table) - 1)
		i := hash & mask
		for ; m.table[i] != 0; i = (i + 1) & mask {
			if n := m.table[i] - 1; m.names[n].hash == hash {
				return n
			}
		}
		m.table[i] = uint32(len(m.names) + 1)
	}
	m.names = append(m.names, mergedName{hash: hash, size: uint16(size >> 1), odd: size&1 != 0})
	m.s.Names++
	m.s.NameBytes += int64(size >> 1)
	m.s.MaxLength = max(m.s.MaxLength, int64(size>>1))
	if len(m.names) > smallNames && len(m.names)*2 > len(m.table) || len(m.names) == smallNames+1 {
		m.grow()
	}
	return uint32(len(m.names) - 1)
}

func (m *dnsMerger) grow() {
	size := max(64, len(m.names)*4)
	size = 1 << bits.Len(uint(size-1))
	if cap(m.table) >= size {
		m.table = m.table[:size]
		clear(m.table)
	} else {
		m.table = make([]uint32, size)
	}
	mask := uint64(size - 1)
	for n := range m.names {
		i := m.names[n].hash & mask
		for m.table[i] != 0 {
			i = (i + 1) & mask
		}
		m.table[i] = uint32(n + 1)
	}
}

// slide moves the window over the pending queries before the time until, after
// which none can come between them.
func (m *dnsMerger) slide(until int64) {
	ready := 0
	for ; ready < len(m.pending) && m.pending[ready].time < until; ready++ {
		q := m.pending[ready]
		n := &m.names[q.name]
		if n.odd {
			m.s.Odd++
		}
		if n.within++; n.within == 1 {
			m.bytes += int64(n.size)
		}
		m.recent = append(m.recent, q)
		for q.time-m.recent[m.gone].time >= window {
			left := &m.names[m.recent[m.gone].name]
			if left.within--; left.within == 0 {
				m.bytes -= int64(left.size)
			}
			m.gone++
		}
		start := m.recent[m.gone].time
		if n := int64(len(m.recent) - m.gone); n > m.s.WindowEvents {
			m.s.WindowEvents, m.s.WindowAt = n, start
		}
		if m.bytes > m.s.WindowBytes {
			m.s.WindowBytes, m.s.BytesAt = m.bytes, start
		}
		if m.s.Events++; m.s.Events == 1 {
			m.s.First = q.time
		}
		m.s.Last = q.time
		m.s.Hours |= 1 << (q.time / 3600e6)
	}
	m.pending = m.pending[:copy(m.pending, m.pending[ready:])]
	if m.gone > len(m.recent)/2 {
		m.recent = m.recent[:copy(m.recent, m.recent[m.gone:])]
		m.gone = 0
	}
}

// Row implements Merger.
func (m *dnsMerger) Row(r *Row) bool {
	m.slide(dayMicros)
	midnight := int64(m.day) * dayMicros
	m.s.First += midnight
	m.s.Last += midnight
	m.s.WindowAt += midnight
	if m.s.WindowBytes > 0 {
		m.s.BytesAt += midnight
	}
	// One text holds all the examples.
	var text strings.Builder
	var ends [maxExamples]int
	for i, sub := range m.examples {
		text.Write(sub)
		if len(sub) > 0 {
			text.WriteByte('.')
		}
		text.WriteString(r.Object)
		ends[i] = text.Len()
	}
	m.s.Examples = make([]string, len(m.examples))
	for i, from := range append([]int{0}, ends[:len(m.examples)]...)[:len(m.examples)] {
		m.s.Examples[i] = text.String()[from:ends[i]]
	}
	r.Summary = m.s
	m.s, m.examples, m.names, m.pending, m.recent = Summary{}, m.examples[:0], m.names[:0], m.pending[:0], m.recent[:0]
	m.gone, m.bytes = 0, 0
	return true
}
