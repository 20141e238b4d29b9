package detect

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"math"
	"math/bits"
	"slices"

	"outflow/columnar"
	"outflow/stats"
)

// DNSPair measures what each client asked of each registered domain in a day.
var DNSPair = &Aggregate{
	Name: "dns_pair",
	Doc: "DNS queries of each client (address, else user, else host) to each registered domain and UTC day: how many, " +
		"how many distinct names, their bytes, the busiest 5 minutes, how many look random, how many dns_model takes for data. " +
		"Names whose top-level domain does not exist are together under " + noTopLevel + ".",
	// 2: the scores of dns_model; 3: the most distinct names in 5 minutes, names under no
	// top-level domain in one group, and names of entities folded
	Rev:    3,
	Tables: []*columnar.Table{columnar.DNS},
	Reads:  entityReads | columnar.ColSet(columnar.Time, columnar.Query, columnar.Domain, columnar.QueryType, columnar.Rcode),
	Depends: func(o *FoldOptions) []any {
		depends := []any{o.Entropy, o.Length, o.TwoLabels}
		if o.Model != nil {
			depends = append(depends, *o.Model)
		}
		return depends
	},
	New:    func(o *FoldOptions) Folder { return newDNSPairs(o) },
	Merger: func(o *FoldOptions) Merger { return newDNSMerger(o, false) },
}

// noTopLevel stands for the domain of names whose top-level domain does not exist; see
// columnar.Domains.Asked. No name of a log can be taken for it: those of one label that
// are as long are of this group themselves.
const noTopLevel = "(no such top-level domain)"

// window is how long the sliding windows of WindowEvents and WindowBytes are.
const window = 5 * 60 * 1e6 // µs

// rareType tells whether ordinary clients seldom ask for records of a type. That
// which iodine calls PRIVATE has no name: resolvers and our decoders write its number.
func rareType(queryType []byte) bool {
	switch string(queryType) {
	case "TXT", "NULL", "KEY", "MX", "CNAME", "SRV", "PRIVATE", "TYPE65399", "query-65399": // the last is Zeek's
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
	piece    dnsPiece
}

func newDNSPairs(o *FoldOptions) *dnsPairs {
	d := &dnsPairs{
		o:        o,
		entities: newEntities(o, addressEntity, userEntity, hostEntity),
		domains:  columnar.NewDict(),
		rare:     columnar.Lookup[bool]{Func: rareType},
		nxdomain: columnar.Lookup[bool]{Func: func(rcode []byte) bool { return string(rcode) == "NXDOMAIN" }},
		parts:    newParts(newDNSPart, (*dnsPart).reset),
	}
	d.domain.Func = func(text []byte) uint32 {
		if len(text) == 0 {
			return uint32(d.domains.Code([]byte(noTopLevel)))
		}
		return uint32(d.domains.Code(text))
	}
	return d
}

// A dnsPart is one feed's day. Sliding windows can be exact under any split of
// the input only if no query is forgotten before all have been seen: 8 bytes each.
type dnsPart struct {
	groups  *columnar.Groups
	most    []float64 // entropy of a name, by slot
	arena   []byte    // the names' subdomains
	names   []dnsName
	table   []uint64 // of names, by their hash and entity: 39 bits of the hash, and index+1; 0 if free
	queries [][]dnsQuery
	count   int // of queries
}

// A dnsName is a name that an entity has asked.
type dnsName struct {
	key  uint64 // of the name and the entity
	slot int32
	text uint32 // where in the arena the subdomain is, behind its length, <<1; the lowest bit is set if it is odd
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
		groups: columnar.NewGroups(), most: make([]float64, 1), table: make([]uint64, 1024),
	}
}

func (p *dnsPart) reset() {
	p.groups.Reset()
	p.most, p.arena, p.names, p.queries, p.count = p.most[:1], p.arena[:0], p.names[:0], p.queries[:0], 0
	clear(p.table)
}

// hashSeed is of this process: who does not know it cannot make names that are
// taken for one. What is kept and reported does not depend on it, but for the
// chance of one in 10^5 that name speaks of.
var hashSeed = maphash.MakeSeed()

// foldRows is how many rows are folded at once. What they look up in tables that
// are larger than the processor's caches is loaded for all of them before any of it
// is used, so that loads need not wait for each other; more rows would only take
// room in the first-level cache.
const foldRows = 128

// A dnsPiece is room for what is known of rows that are folded at once.
type dnsPiece struct {
	keys, found [foldRows]uint64 // of each row's name, and what stands in its place in the table
	// The rest is of the rows with a new name.
	rows        [foldRows]int32
	who, domain [foldRows]uint32
	slots       [foldRows]int32
	subs        [foldRows][]byte
	entropies   [foldRows]float64
}

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
	piece := &d.piece
	d.parts.days(b, b.Feed, d.o, func(p *dnsPart, from, to int) {
		midnight := int64(DayOf(times[from])) * dayMicros
		if d.o.OneDay {
			midnight = int64(DayOf(d.o.From)) * dayMicros
		}
		for ; from < to; from += foldRows {
			n := min(foldRows, to-from)
			// Resolvers and clients vary the case of names (0x20), which makes no
			// new name.
			begin := offsets[from]
			text := columnar.Lower(queries[begin:offsets[from+n]], &d.lower)
			for i, who := range who[from:][:n] {
				name := text[offsets[from+i]-begin : offsets[from+i+1]-begin]
				piece.keys[i] = nameKey(maphash.Bytes(hashSeed, name), who)
			}
			p.reserve(n)
			mask := uint64(len(p.table) - 1)
			for i, key := range piece.keys[:n] {
				piece.found[i] = p.table[key&mask]
			}
			met := 0 // new names
			for i, key := range piece.keys[:n] {
				row := from + i
				if who[row] == 0 || offsets[row] == offsets[row+1] {
					continue
				}
				name := int(piece.found[i]&maxNames) - 1
				if name < 0 || (piece.found[i]^key)&^maxNames != 0 {
					var new bool
					if name, new = p.name(key); new {
						p.names = append(p.names, dnsName{key: key})
						piece.rows[met] = int32(row)
						met++
					}
				}
				q := dnsQuery(times[row]-midnight)<<(nameBits+2) | dnsQuery(name)
				if rare[types[row]] {
					q |= 1 << (nameBits + 1)
				}
				if nxdomain[rcodes[row]] {
					q |= 1 << nameBits
				}
				p.add(q)
			}
			for i, row := range piece.rows[:met] {
				name := text[offsets[row]-begin : offsets[row+1]-begin]
				domain, size := domains[codes[row]], len(dict.Text(codes[row]))
				if d.o.TwoLabels {
					text := lastTwoLabels(name)
					domain, size = uint32(d.domains.Code(text)), len(text)
				}
				piece.who[i], piece.domain[i] = who[row], domain
				piece.subs[i] = name
				if size > 0 {
					piece.subs[i] = name[:max(0, len(name)-size-1)]
				}
			}
			p.groups.Slots(piece.slots[:met], piece.who[:met], piece.domain[:met])
			d.meet(p, piece.slots[:met], piece.subs[:met])
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

func nameKey(hash uint64, who uint32) uint64 { return hash ^ uint64(who)*0x9E3779B97F4A7C15 }

// name returns the index of a name that an entity asks, given its key, and whether
// it is new: then it is the next one, and must be appended.
//
// Two names of an entity are taken for one if their hashes agree in the 39 bits
// that the table keeps and, to some 15 to 25 bits, in their place: for an entity
// that asks a million names, a chance of one in 10^5.
func (p *dnsPart) name(key uint64) (index int, new bool) {
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

// meet takes up the last names: subdomains of their slots' domains.
func (d *dnsPairs) meet(p *dnsPart, slots []int32, subs [][]byte) {
	for len(p.most) < p.groups.Len() {
		p.most = append(p.most, 0)
	}
	names := p.names[len(p.names)-len(slots):]
	entropies := d.piece.entropies[:len(slots)]
	for i, sub := range subs {
		entropy := d.entropy.Bits(sub)
		entropies[i] = entropy
		names[i].slot, names[i].text = slots[i], uint32(len(p.arena))<<1
		if entropy > d.o.Entropy || len(sub) > d.o.Length {
			names[i].text |= 1
		}
		p.arena = appendBytes(p.arena, sub)
	}
	for i, slot := range slots {
		p.most[slot] = max(p.most[slot], entropies[i])
	}
}

// reserve makes room in the table for n names.
func (p *dnsPart) reserve(n int) {
	if (len(p.names)+n)*3 <= len(p.table)*2 {
		return
	}
	p.table = make([]uint64, len(p.table)*2)
	mask := uint64(len(p.table) - 1)
	for index := range p.names {
		key := p.names[index].key
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

// subdomain returns what stands in the arena at the place of a name's text.
func (p *dnsPart) subdomain(text uint32) []byte {
	at := text >> 1
	size, n := binary.Uvarint(p.arena[at:])
	return p.arena[int(at)+n:][:size]
}

// Size implements Folder.
func (d *dnsPairs) Size() int {
	n := d.entities.size() + sizeOf(d.domains)
	for _, p := range d.parts.all {
		if len(p.names) > maxNames-columnar.BatchRows || len(p.arena) > math.MaxUint32/4 || p.count > math.MaxUint32/2 {
			return math.MaxInt // no number is left for another name or query
		}
		n += p.groups.Size() + len(p.most)*8 + len(p.arena) + len(p.names)*(16+16) + p.count*8
	}
	return n
}

// Drain implements Folder. A record's value is
//
//	greatest entropy of a name of the pair
//	how the entity is spelt
//	per query: µs since the one before, <<2, and two bits: whether its type is rare,
//	and whether there was no such name; then its name
//
// where the sequence number is the µs since midnight of the first query, and
// name is the number of a name that the record has introduced, from 1, or 0 and
// then a new one: its hash, and its subdomain's bytes and, lowest bit, whether
// it is odd, and then the subdomain.
func (d *dnsPairs) Drain(w *RunWriter) {
	order := newKeyOrder(d.entities, d.domains, d.parts.groups(func(p *dnsPart) *columnar.Groups { return p.groups }))
	var key, value, shown []byte
	var twins twinRecords
	record := w.record
	if order.twins {
		record = twins.record
	}
	var pairs [foldRows]dnsPair
	for _, at := range d.parts.sorted() {
		p := d.parts.all[at]
		slots := order.slots(p.groups)
		o := p.inOrder(slots)
		var last uint32 // entity, and how many bytes of the key are before the object
		var entity int
		for rank := 0; rank < len(slots); rank += len(pairs) {
			n := min(len(pairs), len(slots)-rank)
			for i, slot := range slots[rank:][:n] {
				pairs[i].who, pairs[i].domain = p.groups.Key(slot)
				pairs[i].entropy = p.most[slot]
			}
			for i := range n {
				pairs[i].object = d.domains.Text(int32(pairs[i].domain))
			}
			o.load(o.names[rank], o.names[rank+n])
			for i := range n {
				c := &pairs[i]
				if c.who != last {
					kind, name := d.entities.key(c.who)
					key = appendKey(key[:0], at.day, at.feed, kind, name)
					shown = d.entities.shown(c.who)
					last, entity = c.who, len(key)
				}
				key = appendKeyText(key[:entity], c.object)
				if order.twins {
					twins.next(w, key)
				}
				for rest := o.queries[o.ends[rank+i]:o.ends[rank+i+1]]; len(rest) > 0; {
					n := min(len(rest), maxRecordQueries)
					value = binary.LittleEndian.AppendUint64(value[:0], math.Float64bits(c.entropy))
					value = appendBytes(value, shown)
					value = o.appendQueries(value, c.who, o.names[rank+i], rest[:n])
					record(key, uint64(rest[0]>>(nameBits+2)), value)
					rest = rest[n:]
				}
			}
		}
		twins.end(w)
		d.parts.drop(at)
	}
}

// A dnsPair is what is written of a pair beside its names and queries.
type dnsPair struct {
	who, domain uint32
	entropy     float64
	object      []byte
}

// maxRecordQueries is how many queries a record has at most, which bounds what a
// Merger must hold at once.
const maxRecordQueries = 4096

// A dnsOrder holds the names and queries of a part by pair, the pairs by rank, so
// that they are written from end to end.
type dnsOrder struct {
	part    *dnsPart
	names   []uint32   // by rank: the first of the pair's names
	keys    []uint64   // of the names
	texts   []uint32   // of the names
	ends    []uint32   // by rank: the first of the pair's queries, and thus where those of the rank before end
	queries []dnsQuery // of a pair by time, with the number of the name among the pair's
	numbers []uint32   // of a pair's names: their numbers in the record, above base
	base    uint32
	loaded  uint8 // what load has read: of no use, but it must be used
}

// inOrder returns the names and queries, given the slots in the order of their
// ranks. It takes the memory of the part, which can only be reset then.
func (p *dnsPart) inOrder(slots []int32) *dnsOrder {
	o := &dnsOrder{
		part: p, names: make([]uint32, len(slots)+1), keys: p.table[:len(p.names)], texts: make([]uint32, len(p.names)),
		ends: make([]uint32, len(slots)+1), queries: make([]dnsQuery, p.count),
	}
	rankOf := make([]uint32, len(slots)+1)
	for rank, slot := range slots {
		rankOf[slot] = uint32(rank)
	}
	for i := range p.names {
		o.names[rankOf[p.names[i].slot]+1]++
	}
	most := uint32(0)
	for rank := range slots {
		most = max(most, o.names[rank+1])
		o.names[rank+1] += o.names[rank]
	}
	next := slices.Clone(o.names)
	for i := range p.names {
		n := &p.names[i]
		rank := rankOf[n.slot]
		at := next[rank]
		next[rank]++
		o.keys[at], o.texts[at] = n.key, n.text
		n.key = uint64(rank)<<32 | uint64(at-o.names[rank]) // for its queries
	}
	for _, chunk := range p.queries {
		for _, q := range chunk {
			o.ends[p.names[q&maxNames].key>>32+1]++
		}
	}
	for rank := range slots {
		o.ends[rank+1] += o.ends[rank]
	}
	copy(next, o.ends)
	for i, chunk := range p.queries {
		for _, q := range chunk {
			key := p.names[q&maxNames].key
			at := &next[key>>32]
			o.queries[*at] = q&^maxNames | dnsQuery(key&maxNames)
			*at++
		}
		p.queries[i] = nil
	}
	for rank := range slots {
		if of := o.queries[o.ends[rank]:o.ends[rank+1]]; !slices.IsSorted(of) {
			slices.Sort(of)
		}
	}
	o.numbers = make([]uint32, most)
	return o
}

// load brings the subdomains of names into the cache, all at once: they stand where
// the log had them.
func (o *dnsOrder) load(from, to uint32) {
	for _, text := range o.texts[from:to] {
		o.loaded += o.part.arena[text>>1]
	}
}

// appendQueries appends queries of a pair, whose names begin at names.
func (o *dnsOrder) appendQueries(b []byte, who, names uint32, queries []dnsQuery) []byte {
	before := queries[0] >> (nameBits + 2)
	met := o.base
	for _, q := range queries {
		b = binary.AppendUvarint(b, uint64((q>>(nameBits+2)-before)<<2|q>>nameBits&3))
		before = q >> (nameBits + 2)
		n := &o.numbers[q&maxNames]
		if *n > o.base {
			b = binary.AppendUvarint(b, uint64(*n-o.base))
			continue
		}
		met++
		*n = met
		name := names + uint32(q&maxNames)
		sub := o.part.subdomain(o.texts[name])
		b = binary.LittleEndian.AppendUint64(append(b, 0), nameKey(o.keys[name], who))
		b = binary.AppendUvarint(b, uint64(len(sub))<<1|uint64(o.texts[name]&1))
		b = append(b, sub...)
	}
	o.base = met
	return b
}

// A dnsMerger puts the queries of a pair in the order of time; those of the same
// time in that of a hash of their names, which is arbitrary and always the same.
type dnsMerger struct {
	day   Day
	spelt spelling
	s     Summary
	names []mergedName
	table []uint32 // of names by hash: index+1, 0 if free
	local []uint32 // of the record's names, their indexes in names
	// examples are those met so far, and behind them room for more; text is room
	// for those of the row.
	examples [maxExamples][]byte
	met      int
	text     []byte
	// pending are queries that those to come may stand between; recent those of
	// the last five minutes before them, of which the first are gone from the window.
	pending []mergedQuery
	recent  []mergedQuery
	mixed   []mergedQuery // room for mix
	gone    int
	inside  int64      // distinct names in the window
	bytes   int64      // of these
	scorer  *dnsScorer // nil: nobody wants scores
}

func newDNSMerger(o *FoldOptions, rows bool) *dnsMerger {
	m := &dnsMerger{}
	if o.Model != nil {
		m.scorer = newDNSScorer(m, *o.Model, rows)
	}
	return m
}

type mergedName struct {
	hash   uint64
	order  uint64 // among queries of one time
	within int32  // how often it is in the window
	size   uint16
	odd    bool
}

type mergedQuery struct {
	time  int64 // µs since midnight
	name  uint32
	flags uint8 // rareQuery, nxQuery
}

// Bits of mergedQuery.flags, as a record has them.
const (
	nxQuery = 1 << iota
	rareQuery
)

// Add implements Merger.
func (m *dnsMerger) Add(day Day, seq uint64, value []byte) error {
	m.day = day
	m.slide(int64(seq))
	d := decoder{b: value}
	m.s.MaxEntropy = max(m.s.MaxEntropy, math.Float64frombits(d.uint64()))
	m.spelt.offer(int64(seq), d.bytes())
	m.local = m.local[:0]
	before := len(m.pending)
	time := int64(seq)
	for len(d.b) > 0 {
		gap := d.uvarint()
		time += int64(gap >> 2)
		n := d.uvarint()
		switch {
		case n == 0:
			hash, size := d.uint64(), d.uvarint()
			m.local = append(m.local, m.name(hash, d.take(size>>1), size&1 != 0))
			n = uint64(len(m.local))
		case n > uint64(len(m.local)):
			return errRun
		}
		m.pending = append(m.pending, mergedQuery{time, m.local[n-1], uint8(gap & 3)})
	}
	if d.bad {
		return errRun
	}
	m.mix(before)
	if m.scorer != nil {
		return m.scorer.added()
	}
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

// offer makes sub one of the examples if it is more telling than one of them.
func (m *dnsMerger) offer(sub []byte) {
	if m.met == maxExamples && len(sub) < len(m.examples[maxExamples-1]) {
		return
	}
	i, found := slices.BinarySearchFunc(m.examples[:m.met], sub, moreTelling)
	if found || i == maxExamples {
		return
	}
	m.met = min(m.met+1, maxExamples)
	room := m.examples[m.met-1]
	copy(m.examples[i+1:m.met], m.examples[i:])
	m.examples[i] = append(room[:0], sub...)
}

// smallNames is how many names are found by looking at each: most pairs have one.
const smallNames = 8

// name returns the index of a name.
func (m *dnsMerger) name(hash uint64, sub []byte, odd bool) uint32 {
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
	n := mergedName{hash: hash, order: orderOf(sub), size: uint16(min(len(sub), math.MaxUint16)), odd: odd}
	m.names = append(m.names, n)
	m.s.Names++
	m.s.NameBytes += int64(n.size)
	m.s.MaxLength = max(m.s.MaxLength, int64(n.size))
	m.offer(sub)
	if m.scorer != nil {
		m.scorer.name(sub)
	}
	if len(m.names) > smallNames && len(m.names)*2 > len(m.table) || len(m.names) == smallNames+1 {
		m.grow()
	}
	return uint32(len(m.names) - 1)
}

// orderOf is the 64-bit FNV-1a hash of a name.
func orderOf(sub []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range sub {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
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
	ready, ordered := 0, 0
	for ; ready < len(m.pending) && m.pending[ready].time < until; ready++ {
		if ready >= ordered {
			ordered = m.order(ready)
		}
		q := m.pending[ready]
		n := &m.names[q.name]
		if n.odd {
			m.s.Odd++
		}
		m.s.Rare += int64(q.flags / rareQuery)
		m.s.NXDomain += int64(q.flags & nxQuery)
		if n.within++; n.within == 1 {
			m.inside++
			m.bytes += int64(n.size)
		}
		m.recent = append(m.recent, q)
		for q.time-m.recent[m.gone].time >= window {
			left := &m.names[m.recent[m.gone].name]
			if left.within--; left.within == 0 {
				m.inside--
				m.bytes -= int64(left.size)
			}
			m.gone++
		}
		start := m.recent[m.gone].time
		if n := int64(len(m.recent) - m.gone); n > m.s.WindowEvents {
			m.s.WindowEvents, m.s.WindowAt = n, start
		}
		m.s.WindowNames = max(m.s.WindowNames, m.inside)
		if m.bytes > m.s.WindowBytes {
			m.s.WindowBytes, m.s.BytesAt = m.bytes, start
		}
		if m.s.Events++; m.s.Events == 1 {
			m.s.First = q.time
		}
		m.s.Last = q.time
		m.s.Hours |= 1 << (q.time / 3600e6)
		if m.scorer != nil {
			m.scorer.ask(q)
		}
	}
	m.pending = m.pending[:copy(m.pending, m.pending[ready:])]
	if m.gone > len(m.recent)/2 {
		m.recent = m.recent[:copy(m.recent, m.recent[m.gone:])]
		m.gone = 0
	}
	if m.scorer != nil {
		m.scorer.forget()
	}
}

// order puts the pending queries from n on that are of one time in their order, and
// returns where they end.
func (m *dnsMerger) order(n int) int {
	end := n + 1
	for end < len(m.pending) && m.pending[end].time == m.pending[n].time {
		end++
	}
	if end == n+1 {
		return end
	}
	compare := func(a, b mergedQuery) int {
		return cmp.Or(cmp.Compare(m.names[a.name].order, m.names[b.name].order), cmp.Compare(a.flags, b.flags))
	}
	if of := m.pending[n:end]; !slices.IsSortedFunc(of, compare) {
		slices.SortFunc(of, compare)
	}
	return end
}

// Row implements Merger.
func (m *dnsMerger) Row(r *Row) bool {
	if m.scorer != nil && m.scorer.rows != nil {
		return m.scorer.row(r)
	}
	if len(m.names) == 0 {
		return false
	}
	m.slide(math.MaxInt64)
	midnight := int64(m.day) * dayMicros
	m.s.First += midnight
	m.s.Last += midnight
	m.s.WindowAt += midnight
	if m.s.WindowBytes > 0 {
		m.s.BytesAt += midnight
	}
	// One text holds all the examples.
	var ends [maxExamples + 1]int
	m.text = m.text[:0]
	for i, sub := range m.examples[:m.met] {
		m.text = appendName(m.text, sub, r.Object)
		ends[i+1] = len(m.text)
	}
	text := string(m.text)
	m.s.Examples = make([]string, m.met)
	for i := range m.s.Examples {
		m.s.Examples[i] = text[ends[i]:ends[i+1]]
	}
	if m.scorer != nil {
		m.scorer.sum(r.Object)
	}
	r.Summary = m.s
	r.Spelling = m.spelt.of(&r.Key)
	m.reset()
	return true
}

// appendName appends a name of a domain.
func appendName(b, sub []byte, domain string) []byte {
	b = append(b, sub...)
	if domain == noTopLevel {
		return b
	}
	if len(sub) > 0 {
		b = append(b, '.')
	}
	return append(b, domain...)
}

// reset makes the merger ready for another pair.
func (m *dnsMerger) reset() {
	m.s, m.met, m.names, m.pending, m.recent = Summary{}, 0, m.names[:0], m.pending[:0], m.recent[:0]
	m.gone, m.inside, m.bytes, m.spelt = 0, 0, 0, spelling{}
	if m.scorer != nil {
		m.scorer.reset()
	}
}
