package detect

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"slices"
	"unsafe"

	"outflow/columnar"
	"outflow/stats"
)

// DNSPair measures what each client queried in each registered domain in a day.
var DNSPair = &Aggregate{
	Name: "dns_pair",
	Doc: "DNS queries of each client (address, else user, else host) to each registered domain and UTC day: how many, " +
		"how many distinct names, their bytes, the busiest 5 minutes, how many look random, how many dns_model classifies as data. " +
		"Names whose top-level domain does not exist are grouped under " + noTopLevel + ".",
	// 2: scores of dns_model; 3: the most distinct names in 5 minutes, names without
	// an existing top-level domain in one group, and canonical names of entities
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
	Merger: func(o *FoldOptions) Merger { return newDNSMerger(o.Model, false) },
}

// noTopLevel stands for the domain of names whose top-level domain does not exist; see
// columnar.Domains.Asked. A name in a log cannot be mistaken for it, because a name of
// one label of that length belongs to this group itself.
const noTopLevel = "(no such top-level domain)"

// slidingWindow is the length of the sliding windows of WindowEvents and WindowBytes.
const slidingWindow = 5 * 60 * 1e6 // µs

// rareType reports whether ordinary clients seldom ask for records of a type. iodine's
// type PRIVATE has no name: resolvers and our decoders write its number.
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
	places   *placer
	lower    []byte
	sections sections[dnsSection]
	stride   dnsStride
}

func newDNSPairs(o *FoldOptions) *dnsPairs {
	d := &dnsPairs{
		o:        o,
		entities: newEntities(o, addressEntity, userEntity, hostEntity),
		domains:  columnar.NewDict(),
		rare:     columnar.Lookup[bool]{Func: rareType},
		nxdomain: columnar.Lookup[bool]{Func: func(rcode []byte) bool { return string(rcode) == "NXDOMAIN" }},
		places:   newPlacer(1),
		sections: newSections(newDNSSection, (*dnsSection).reset),
	}
	d.domain.Func = func(text []byte) uint32 {
		if len(text) == 0 {
			return uint32(d.domains.Code([]byte(noTopLevel)))
		}
		return uint32(d.domains.Code(text))
	}
	return d
}

// Renew implements Renewer.
func (d *dnsPairs) Renew() Folder {
	n := newDNSPairs(d.o)
	n.sections.free = d.sections.free
	return n
}

// A dnsSection is one feed's day. Sliding windows are exact under any split of the
// input only if no query is forgotten before all of them are merged. A query takes 8
// bytes.
type dnsSection struct {
	groups  *columnar.Groups
	most    []float64 // by slot: the greatest entropy of a name
	arena   []byte    // the names' subdomains
	names   []dnsName
	runs    []dnsRun // where the queries stand, by their order
	next    columnar.Place
	table   []uint64 // names by the hash of name and entity: 39 bits of the hash, and index+1; 0 if free
	queries chunks[dnsQuery]
}

// A dnsName is a name that an entity queried.
type dnsName struct {
	key  uint64 // of the name and the entity
	slot int32
	text uint32 // offset in the arena of the subdomain's length and then the subdomain, <<1; bit 0 is set if the subdomain is odd
}

// A dnsQuery packs, from the highest bit: 37 bits of µs since midnight, whether its
// type is rare, whether the name did not exist, and 25 bits of index in names. Queries
// order by time.
type dnsQuery uint64

// A dnsRun is queries one after another whose records are too.
type dnsRun struct {
	from   uint32 // how many queries come before
	object int32
	record int64 // of the first
}

const (
	nameBits = 25
	maxNames = 1<<nameBits - 1
)

func newDNSSection() *dnsSection {
	return &dnsSection{
		groups: columnar.NewGroups(), most: make([]float64, 1), table: make([]uint64, 1024),
	}
}

func (p *dnsSection) reset() {
	p.groups.Reset()
	p.most, p.arena, p.names, p.runs = p.most[:1], p.arena[:0], p.names[:0], p.runs[:0]
	p.queries.cut(0)
	p.next = columnar.Place{}
	clear(p.table)
}

// hashSeed is that of the hashes that stay in this process. Nobody who does not know it
// can make names whose hashes collide. No result depends on it.
var hashSeed = maphash.MakeSeed()

// A dnsStride is a buffer for the rows that are folded at once.
type dnsStride struct {
	keys, found [foldRows]uint64 // by row: the key of its name, and the entry at its place in the table
	// By row with a new name.
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
	stride := &d.stride
	d.places.begin(b)
	d.sections.days(b, b.Feed, d.o, func(p *dnsSection, from, to int) {
		midnight := int64(d.o.dayOf(times[from])) * dayMicros
		n := to - from
		// Resolvers and clients vary the case of names (0x20); that makes no new
		// name.
		begin := offsets[from]
		text := columnar.Lower(queries[begin:offsets[from+n]], &d.lower)
		for i, who := range who[from:][:n] {
			name := text[offsets[from+i]-begin : offsets[from+i+1]-begin]
			stride.keys[i] = nameKey(d.o.hash(name), who)
		}
		p.reserve(n)
		mask := uint64(len(p.table) - 1)
		for i, key := range stride.keys[:n] {
			stride.found[i] = p.table[key&mask]
		}
		met := 0 // new names
		for i, key := range stride.keys[:n] {
			row := from + i
			if who[row] == 0 || offsets[row] == offsets[row+1] {
				continue
			}
			name := int(stride.found[i]&maxNames) - 1
			if name < 0 || (stride.found[i]^key)&^maxNames != 0 {
				var new bool
				if name, new = p.name(key); new {
					p.names = append(p.names, dnsName{key: key})
					stride.rows[met] = int32(row)
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
			p.add(q, d.places.of(b, row))
		}
		for i, row := range stride.rows[:met] {
			name := text[offsets[row]-begin : offsets[row+1]-begin]
			domain, size := domains[codes[row]], len(dict.Text(codes[row]))
			if d.o.TwoLabels {
				text := lastTwoLabels(name)
				domain, size = uint32(d.domains.Code(text)), len(text)
			}
			stride.who[i], stride.domain[i] = who[row], domain
			stride.subs[i] = name
			if size > 0 {
				stride.subs[i] = name[:max(0, len(name)-size-1)]
			}
		}
		p.groups.Slots(stride.slots[:met], stride.who[:met], stride.domain[:met])
		d.meet(p, stride.slots[:met], stride.subs[:met])
	})
}

func (p *dnsSection) add(q dnsQuery, at columnar.Place) {
	if at != p.next || p.queries.n == 0 {
		p.runs = append(p.runs, dnsRun{uint32(p.queries.n), at.Object, at.Record})
	}
	p.next = columnar.Place{Object: at.Object, Record: at.Record + 1}
	p.queries.add(q)
}

func nameKey(hash uint64, who uint32) uint64 { return hash ^ uint64(who)*0x9E3779B97F4A7C15 }

// name returns the index of the name with the given key, and whether it is new. A new
// name has the next index and must be appended by the caller.
//
// Two names of an entity are mistaken for one if their hashes agree in the 39 bits
// that the table keeps and, to some 15 to 25 bits, in their place. For an entity that
// queries a million names, the chance is one in 10^5.
func (p *dnsSection) name(key uint64) (index int, new bool) {
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

// meet completes the last names, given the slots of their pairs and their subdomains.
func (d *dnsPairs) meet(p *dnsSection, slots []int32, subs [][]byte) {
	for len(p.most) < p.groups.Len() {
		p.most = append(p.most, 0)
	}
	names := p.names[len(p.names)-len(slots):]
	entropies := d.stride.entropies[:len(slots)]
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
func (p *dnsSection) reserve(n int) {
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

// subdomain returns the subdomain of a dnsName.text.
func (p *dnsSection) subdomain(text uint32) []byte {
	at := text >> 1
	size, n := binary.Uvarint(p.arena[at:])
	return p.arena[int(at)+n:][:size]
}

// Size implements Folder.
func (d *dnsPairs) Size() int {
	n := d.entities.size() + d.domains.Memory() + d.places.logs.Memory()
	for _, p := range d.sections.all {
		if len(p.names) > maxNames-columnar.BatchRows || len(p.arena) > math.MaxUint32/4 || p.queries.n > math.MaxUint32/2 {
			return math.MaxInt // the indexes are used up
		}
		n += p.groups.Size() + len(p.most)*8 + len(p.arena) + len(p.names)*(16+16) + p.queries.size() + len(p.runs)*int(unsafe.Sizeof(dnsRun{}))
	}
	return n
}

// Drain implements Folder. The value of a record is
//
//	greatest entropy of a name of the pair
//	the spelling of the entity
//	the evidence, if it is the pair's first record
//	per query: µs since the query before, <<2, and two bits: whether its type is
//	rare, and whether the name did not exist; then its name
//
// The sequence number is the µs since midnight of the first query. A name is the
// number, from 1, of a name that the record introduced before; or 0, followed by a new
// name: its hash, the length of its subdomain <<1 with bit 0 set if it is odd, and the
// subdomain.
func (d *dnsPairs) Drain(w *RunWriter) {
	order := newKeyOrder(d.entities, d.domains, d.sections.groups(func(p *dnsSection) *columnar.Groups { return p.groups }))
	var key, value, shown []byte
	var twins twinRecords
	record := w.record
	if order.twins {
		record = twins.record
	}
	var pairs [foldRows]dnsPair
	for _, at := range d.sections.sorted() {
		p := d.sections.all[at]
		slots := order.slots(p.groups)
		o := p.inOrder(slots, d.places)
		var last uint32 // the entity, and the length of the key without the object
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
			o.load(pairs[:n], o.names[rank], o.names[rank+n])
			for i := range n {
				c := &pairs[i]
				if c.who != last {
					key = d.entities.appendKey(key[:0], at, c.who)
					shown = d.entities.shown(c.who)
					last, entity = c.who, len(key)
				}
				key = appendKeyText(key[:entity], c.object)
				if order.twins {
					twins.next(w, key)
				}
				proof := o.proofs[o.proof[rank+i]]
				for rest := o.queries[o.ends[rank+i]:o.ends[rank+i+1]]; len(rest) > 0; {
					n := min(len(rest), maxRecordQueries)
					value = binary.LittleEndian.AppendUint64(value[:0], math.Float64bits(c.entropy))
					value = appendBytes(value, shown)
					value = d.places.append(value, proof.peak, &o.rest[proof.rest], 0)
					proof = dnsProof{}
					value = o.appendQueries(value, c.who, o.names[rank+i], rest[:n])
					record(key, uint64(rest[0]>>(nameBits+2)), value)
					rest = rest[n:]
				}
			}
		}
		twins.end(w)
		d.sections.drop(at)
	}
}

// A dnsPair is what is written of a pair besides its names and queries.
type dnsPair struct {
	who, domain uint32
	entropy     float64
	object      []byte
}

// maxRecordQueries is the most queries of one record. It bounds what a Merger must
// hold at once.
const maxRecordQueries = 4096

// A dnsOrder holds the names and queries of a section by pair, and the pairs by rank,
// so that they are written in sequence.
type dnsOrder struct {
	section *dnsSection
	names   []uint32       // by rank: index of the pair's first name
	texts   []dnsText      // of the names
	of      []dnsNamePlace // by the index of a name in the section
	ends    []uint32       // by rank: index of the pair's first query, which is the end of the pair before
	queries []dnsQuery     // of a pair by time, each with the index of its name among the pair's names
	places  *placer
	proof   []int32 // by rank: index in proofs; 0: there is none
	proofs  []dnsProof
	rest    []others // evidence after the peak, by dnsProof.rest
	chunk   [chunkLen]dnsNamePlace
	shown   []int32  // indexes of a chunk's queries that may be evidence
	numbers []uint32 // by name of a pair: its number in the record, plus base
	base    uint32
}

// A dnsText is the key and the text of a dnsName. It takes 12 bytes, as its name does in the
// table of the section.
type dnsText struct {
	high, low uint32 // of the key
	text      uint32
}

// A dnsNamePlace packs, from the highest bit: the rank of a name's pair, the length of its
// subdomain in 14 bits, and its index among the pair's names.
type dnsNamePlace uint64

const (
	sizeBits = 64 - 2*nameBits
	maxSize  = 1<<sizeBits - 1 // stands for all lengths from it on
)

func (p dnsNamePlace) rank() uint32 { return uint32(p >> (nameBits + sizeBits)) }
func (p dnsNamePlace) size() int    { return int(p >> nameBits & maxSize) }

// A dnsProof is the evidence of a pair: its queries with the longest subdomains, whose bytes
// and one more stand for the bytes of the rows. Their times are from midnight.
type dnsProof struct {
	peak sight
	rest int32 // index in dnsOrder.rest
}

// proves reports whether a query may be evidence. Of short names that is one query of 16,
// which the time of the query chooses: they are the names of sites, and would take room for
// each pair. A pair with so many short names that a detection finds it has some.
func proves(size int, us uint64) bool { return size >= 20 || us*0x9E3779B97F4A7C15>>60 == 0 }

// prove takes a query as evidence of the pair with a rank.
func (o *dnsOrder) prove(rank uint32, n sight) {
	if o.proof[rank] == 0 {
		o.proof[rank] = int32(len(o.proofs))
		o.proofs = append(o.proofs, dnsProof{peak: n})
		return
	}
	proof := &o.proofs[o.proof[rank]]
	other, ok := o.places.take(&proof.peak, n)
	if !ok {
		return
	}
	if proof.rest == 0 {
		proof.rest = int32(len(o.rest))
		o.rest = append(o.rest, others{})
	}
	o.places.offer(&o.rest[proof.rest], other)
}

// inOrder returns the names and queries in the order of the given slots. It takes over
// the memory of the section, which can only be reset afterwards.
func (p *dnsSection) inOrder(slots []int32, places *placer) *dnsOrder {
	// A table is two thirds full at most, so that its memory has room for the texts. The
	// places of names take half of the memory of the names.
	o := &dnsOrder{
		section: p, names: make([]uint32, len(slots)+1), places: places,
		texts: unsafe.Slice((*dnsText)(unsafe.Pointer(unsafe.SliceData(p.table))), len(p.names)),
		of:    unsafe.Slice((*dnsNamePlace)(unsafe.Pointer(unsafe.SliceData(p.names))), len(p.names)),
		ends:  make([]uint32, len(slots)+1), queries: make([]dnsQuery, p.queries.n),
		proof: make([]int32, len(slots)), proofs: make([]dnsProof, 1), rest: make([]others, 1),
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
		n := p.names[i]
		rank := rankOf[n.slot]
		at := next[rank]
		next[rank]++
		o.texts[at] = dnsText{uint32(n.key >> 32), uint32(n.key), n.text}
		size := min(len(p.subdomain(n.text)), maxSize)
		o.of[i] = dnsNamePlace(rank)<<(nameBits+sizeBits) | dnsNamePlace(size)<<nameBits | dnsNamePlace(at-o.names[rank])
	}
	for chunk := range p.queries.slices() {
		o.count(chunk)
	}
	for rank := range slots {
		o.ends[rank+1] += o.ends[rank]
	}
	copy(next, o.ends)
	runs, met := p.runs, uint32(0) // the run of the first query that may be evidence
	for chunk := range p.queries.drain() {
		o.place(chunk, next)
		for _, i := range o.shown {
			for len(runs) > 1 && runs[1].from <= met+uint32(i) {
				runs = runs[1:]
			}
			at, name := columnar.Place{Object: runs[0].object, Record: runs[0].record + int64(met+uint32(i)-runs[0].from)}, o.chunk[i]
			size := name.size()
			if size == maxSize {
				size = len(p.subdomain(o.texts[o.names[name.rank()]+uint32(name&maxNames)].text))
			}
			o.prove(name.rank(), sight{int64(size) + 1, int64(chunk[i] >> (nameBits + 2)), at})
		}
		met += uint32(len(chunk))
	}
	for rank := range slots {
		if of := o.queries[o.ends[rank]:o.ends[rank+1]]; !slices.IsSorted(of) {
			slices.Sort(of)
		}
	}
	o.numbers = make([]uint32, most)
	return o
}

// count adds the queries of a chunk to the ends of the pairs after theirs.
func (o *dnsOrder) count(chunk []dnsQuery) {
	of, ends := o.of, o.ends[1:]
	for _, q := range chunk {
		ends[of[q&maxNames].rank()]++
	}
}

// place puts the queries of a chunk where next has their pair's next one, and those that
// may be evidence into shown.
//
// Note: a branch on what is not in the cache holds up the loads behind it, so there is none
// before all is loaded.
func (o *dnsOrder) place(chunk []dnsQuery, next []uint32) {
	of, queries, names := o.of, o.queries, o.chunk[:len(chunk)]
	for i, q := range chunk {
		names[i] = of[q&maxNames]
	}
	for i, q := range chunk {
		at := &next[names[i].rank()]
		queries[*at] = q&^maxNames | dnsQuery(names[i]&maxNames)
		*at++
	}
	o.shown = o.shown[:0]
	for i, q := range chunk {
		if proves(names[i].size(), uint64(q>>(nameBits+2))) {
			o.shown = append(o.shown, int32(i))
		}
	}
	touch(o.shown, func(i int32) int64 { return int64(o.proof[names[i].rank()]) })
}

// load brings the domains of pairs and the subdomains of their names into the cache, all at
// once. They lie in the order of the log.
func (o *dnsOrder) load(pairs []dnsPair, from, to uint32) {
	touch(pairs, func(pair dnsPair) int64 {
		if len(pair.object) == 0 {
			return 0
		}
		return int64(pair.object[0])
	})
	touch(o.texts[from:to], func(name dnsText) int64 { return int64(o.section.arena[name.text>>1]) })
}

// appendQueries appends queries of a pair whose first name has the index names.
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
		name := o.texts[names+uint32(q&maxNames)]
		sub := o.section.subdomain(name.text)
		b = binary.LittleEndian.AppendUint64(append(b, 0), nameKey(uint64(name.high)<<32|uint64(name.low), who))
		b = binary.AppendUvarint(b, uint64(len(sub))<<1|uint64(name.text&1))
		b = append(b, sub...)
	}
	o.base = met
	return b
}
