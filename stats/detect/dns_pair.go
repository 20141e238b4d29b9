package detect

import (
	"cmp"
	"slices"
	"sort"
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
	New: func(o *FoldOptions) Folder {
		p := &dnsPairs{
			o:        o,
			entities: newEntities(addressEntity, userEntity, hostEntity),
			domains:  columnar.NewDict(),
			rare:     columnar.Lookup[bool]{Func: rareType},
			nxdomain: columnar.Lookup[bool]{Func: func(rcode []byte) bool { return string(rcode) == "NXDOMAIN" }},
		}
		p.domain.Func = func(text []byte) uint32 { return uint32(p.domains.Code(text)) }
		p.parts = newParts(func() *dnsPart {
			return &dnsPart{groups: columnar.NewGroups(), cells: make([]dnsCell, 1), names: newNameSet()}
		})
		return p
	},
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

// A dnsPart is one feed's day. Sliding windows can be exact under any split of
// the input only if no query is forgotten before the end: 12 bytes a query.
type dnsPart struct {
	groups *columnar.Groups
	cells  []dnsCell // by slot
	names  *nameSet
	times  []int64  // of each query
	asked  []uint32 // of each query, its name in names
}

type dnsCell struct {
	events, first, last, hours int64
	names, nameBytes           int64
	odd, maxLength             int64
	rare, nxdomain             int64
	maxEntropy                 float64
	examples                   []string
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
	d.parts.days(b, b.Feed, d.o, func(p *dnsPart, from, to int) {
		for i := from; i < to; i++ {
			query := queries[offsets[i]:offsets[i+1]]
			if who[i] == 0 || len(query) == 0 {
				continue
			}
			domain := domains[codes[i]]
			size := len(dict.Text(codes[i]))
			if d.o.TwoLabels {
				text := d.fold(lastTwoLabels(query))
				domain, size = uint32(d.domains.Code(text)), len(text)
			}
			slot := p.groups.Slot(who[i], domain)
			if int(slot) == len(p.cells) {
				p.cells = append(p.cells, dnsCell{first: times[i], last: times[i]})
			}
			c := &p.cells[slot]
			c.events++
			c.first = min(c.first, times[i])
			c.last = max(c.last, times[i])
			c.hours |= hourBit(times[i])
			if rare[types[i]] {
				c.rare++
			}
			if nxdomain[rcodes[i]] {
				c.nxdomain++
			}
			sub := d.fold(query[:max(0, len(query)-size-1)])
			name, new := p.names.add(slot, columnar.Hash(sub), len(sub))
			if new {
				d.meet(c, &p.names.all[name], sub, query)
			}
			if p.names.all[name].odd {
				c.odd++
			}
			p.times = append(p.times, times[i])
			p.asked = append(p.asked, name)
		}
	})
}

// fold returns text in lower case: resolvers and clients vary the case of names
// (0x20), which makes no new name.
func (d *dnsPairs) fold(text []byte) []byte {
	d.lower = append(d.lower[:0], text...)
	for i, c := range d.lower {
		if c-'A' < 26 {
			d.lower[i] = c | 0x20
		}
	}
	return d.lower
}

// meet measures a name that the pair has not asked before.
func (d *dnsPairs) meet(c *dnsCell, n *dnsName, sub, query []byte) {
	entropy := d.entropy.Bits(sub)
	n.odd = entropy > d.o.Entropy || len(sub) > d.o.Length
	c.names++
	c.nameBytes += int64(len(sub))
	c.maxEntropy = max(c.maxEntropy, entropy)
	c.maxLength = max(c.maxLength, int64(len(sub)))
	if len(c.examples) < maxExamples || len(query) >= len(c.examples[len(c.examples)-1]) {
		c.examples = withExample(c.examples, strings.ToLower(string(query)))
	}
}

// maxExamples is how many queries a Summary shows: enough to see the shape.
const maxExamples = 3

// withExample adds a query to the longest ones, which are kept in order: longer
// first, then by text.
func withExample(examples []string, query string) []string {
	i, found := slices.BinarySearchFunc(examples, query, func(a, b string) int {
		if c := cmp.Compare(len(b), len(a)); c != 0 {
			return c
		}
		return cmp.Compare(a, b)
	})
	if found {
		return examples
	}
	examples = slices.Insert(examples, i, query)
	return examples[:min(len(examples), maxExamples)]
}

// Merge implements Folder.
func (d *dnsPairs) Merge(other Folder) {
	e := other.(*dnsPairs)
	for k, from := range e.parts.all {
		p := d.parts.of(k)
		slots := make([]int32, from.groups.Len())
		for slot := int32(1); int(slot) < len(slots); slot++ {
			who, domain := from.groups.Key(slot)
			s := p.groups.Slot(d.entities.adopt(e.entities, who), uint32(d.domains.Code(e.domains.Text(int32(domain)))))
			slots[slot] = s
			n := &from.cells[slot]
			if int(s) == len(p.cells) {
				p.cells = append(p.cells, dnsCell{first: n.first, last: n.last})
			}
			c := &p.cells[s]
			c.events += n.events
			c.first = min(c.first, n.first)
			c.last = max(c.last, n.last)
			c.hours |= n.hours
			c.odd += n.odd
			c.maxLength = max(c.maxLength, n.maxLength)
			c.maxEntropy = max(c.maxEntropy, n.maxEntropy)
			c.rare += n.rare
			c.nxdomain += n.nxdomain
			for _, query := range n.examples {
				c.examples = withExample(c.examples, query)
			}
		}
		names := make([]uint32, len(from.names.all))
		for i, n := range from.names.all {
			name, new := p.names.add(slots[n.slot], n.hash, int(n.size))
			if new {
				p.names.all[name].odd = n.odd
				c := &p.cells[slots[n.slot]]
				c.names++
				c.nameBytes += int64(n.size)
			}
			names[i] = name
		}
		p.times = append(p.times, from.times...)
		for _, name := range from.asked {
			p.asked = append(p.asked, names[name])
		}
		*from = dnsPart{} // frees the larger half while the rest is merged
	}
}

// Rows implements Folder.
func (d *dnsPairs) Rows() []Row {
	return d.parts.sorted(func(p *dnsPart, k partKey, rows []Row) []Row {
		peaks := p.peaks()
		for slot := int32(1); int(slot) < p.groups.Len(); slot++ {
			c, peak := &p.cells[slot], &peaks[slot]
			who, domain := p.groups.Key(slot)
			r := Row{Day: k.day, Key: Key{Feed: k.feed, Object: string(d.domains.Text(int32(domain)))}, Summary: Summary{
				Events: c.events, First: c.first, Last: c.last, Hours: c.hours,
				Names: c.names, NameBytes: c.nameBytes,
				WindowEvents: peak.events, WindowAt: peak.eventsAt, WindowBytes: peak.bytes, BytesAt: peak.bytesAt,
				Odd: c.odd, MaxEntropy: c.maxEntropy, MaxLength: c.maxLength, Rare: c.rare, NXDomain: c.nxdomain,
				Examples: slices.Clone(c.examples),
			}}
			r.EntityType, r.Entity = d.entities.key(who)
			rows = append(rows, r)
		}
		return rows
	})
}

type dnsPeak struct{ events, eventsAt, bytes, bytesAt int64 }

// peaks returns, for each slot, the fullest sliding windows.
func (p *dnsPart) peaks() []dnsPeak {
	// The queries of each slot, in the order of time.
	ends := make([]int, p.groups.Len()+1)
	for _, name := range p.asked {
		ends[p.names.all[name].slot+1]++
	}
	for slot := 1; slot < len(ends); slot++ {
		ends[slot] += ends[slot-1]
	}
	byTime := make([]int32, len(p.asked))
	next := slices.Clone(ends)
	for i, name := range p.asked {
		slot := p.names.all[name].slot
		byTime[next[slot]] = int32(i)
		next[slot]++
	}
	peaks := make([]dnsPeak, p.groups.Len())
	within := make([]int32, len(p.names.all)) // how often a name is in the window
	for slot := range peaks {
		queries := byTime[ends[slot]:ends[slot+1]]
		earlier := func(i, j int) bool { return p.times[queries[i]] < p.times[queries[j]] }
		if !sort.SliceIsSorted(queries, earlier) {
			sort.Slice(queries, earlier)
		}
		peak := &peaks[slot]
		var size int64
		left := 0
		for right, q := range queries {
			if within[p.asked[q]]++; within[p.asked[q]] == 1 {
				size += int64(p.names.all[p.asked[q]].size)
			}
			for p.times[q]-p.times[queries[left]] >= window {
				gone := p.asked[queries[left]]
				if within[gone]--; within[gone] == 0 {
					size -= int64(p.names.all[gone].size)
				}
				left++
			}
			if n := int64(right - left + 1); n > peak.events {
				peak.events, peak.eventsAt = n, p.times[queries[left]]
			}
			if size > peak.bytes {
				peak.bytes, peak.bytesAt = size, p.times[queries[left]]
			}
		}
		for _, q := range queries[left:] {
			within[p.asked[q]] = 0
		}
	}
	return peaks
}

// A nameSet holds the distinct names of each slot by their hash. Two names of
// one slot that share all 64 bits would count as one: a chance of one in 10^12
// for a client that asks a million names of a domain.
type nameSet struct {
	all   []dnsName
	table []uint32 // index+1 in all, 0 if free
}

type dnsName struct {
	hash uint64
	slot int32
	size uint16 // bytes of the subdomain
	odd  bool
}

func newNameSet() *nameSet { return &nameSet{table: make([]uint32, 1024)} }

// add returns the index of a name, and whether it is new.
func (s *nameSet) add(slot int32, hash uint64, size int) (index uint32, new bool) {
	mask := uint64(len(s.table) - 1)
	i := (hash ^ uint64(slot)*0x9E3779B97F4A7C15) & mask
	for s.table[i] != 0 {
		if n := &s.all[s.table[i]-1]; n.hash == hash && n.slot == slot {
			return s.table[i] - 1, false
		}
		i = (i + 1) & mask
	}
	s.all = append(s.all, dnsName{hash: hash, slot: slot, size: uint16(min(size, 1<<16-1))})
	s.table[i] = uint32(len(s.all))
	if len(s.all)*2 > len(s.table) {
		s.grow()
	}
	return uint32(len(s.all) - 1), true
}

func (s *nameSet) grow() {
	s.table = make([]uint32, len(s.table)*2)
	mask := uint64(len(s.table) - 1)
	for index, n := range s.all {
		i := (n.hash ^ uint64(n.slot)*0x9E3779B97F4A7C15) & mask
		for s.table[i] != 0 {
			i = (i + 1) & mask
		}
		s.table[i] = uint32(index + 1)
	}
}
