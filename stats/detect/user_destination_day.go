package detect

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"iter"
	"maps"
	"math"
	"math/bits"
	"slices"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// UserDestinationDay sums what each entity uploaded to each destination in a day, and
// keeps which destinations it used.
//
// An entity has one row without an object for a day, with what it uploaded to all
// destinations and the names of all that it used. It sorts before the rows of its larger
// destinations, so a detection reads first what the entity did, and then where its
// uploads went.
//
// Note: the names of a day are one list, and not a row each. With 10,000 users and 300
// destinations a day, 90 days are 273 million pairs. As rows they take 13 bytes each in
// the state, and 1,850 ns each to merge: over 8 minutes a night, or a cached index
// that must be kept right. As lists they take 4 bytes and 150 ns: 40 seconds, and no index.
//
// Note: requests that do not upload are not counted by destination. To count them too
// doubles the time that a proxy's log takes.
var UserDestinationDay = &Aggregate{
	Name: "user_destination_day",
	Doc: "Bytes of each entity and UTC day by destination: the host of a known cloud service, else the registered " +
		"domain, else the address; the bucket of an S3 call. HTTP requests count only with an uploading method. Destinations " +
		"that are not a known cloud service and got less than 1 MB from an entity in a day are left out. A row without an " +
		"object has the bytes to all destinations, and the list of those that the entity used with whatever request; " +
		"blocked requests are no use. Without a detection that reads the list, it is empty, and there is no row of who uploaded nothing. " +
		"An address goes under the name that the same client asked DNS for on that day, if that is only one.",
	Rev:    7, // 7: an address in place of a host is canonical; 6: addresses go under names by DNS; 5: rows without an object list the destinations that the entity used
	Joins:  true,
	Tables: []*columnar.Table{columnar.API, columnar.HTTP, columnar.Network},
	Reads: volumeColumns | columnar.ColSet(columnar.Resource, columnar.Method, columnar.URLHost,
		columnar.DstHost),
	Wants:   volumeWants,
	Depends: func(o *FoldOptions) []any { return []any{o.Uploads, o.CountBlocked} },
	Without: func(o *FoldOptions) string {
		if o.Destinations {
			return ""
		}
		return "destinations"
	},
	New: func(o *FoldOptions) Folder { return newUploads(o) },
	Merger: func(*FoldOptions) Merger {
		m := newVolumeMerger(func(object string, c *volume) bool {
			return object == "" || c.out >= minDestinationBytes || isCloudHost([]byte(object))
		})
		m.placesFrom = minDestinationPlacesBytes
		return &uploadMerger{volumeMerger: m}
	},
}

const (
	// maxDestinations is the most names that are kept of an entity's day, the first in
	// their order. Only crawlers and scanners use more. With more, one of them could fill
	// the memory of every later night.
	maxDestinations = 1 << 14
	// maxDestination is the length of the longest name of a host, in bytes. Longer texts
	// name no host, and are not kept.
	maxDestination = 253
)

func isCloudHost(name []byte) bool {
	_, known := CloudHost(name)
	return known
}

// uploads are volumes by destination. Almost all of them are left out in the end.
type uploads struct {
	*volumes
	known   columnar.Lookup[bool]      // objects that are never left out
	names   [4]columnar.Lookup[uint64] // by spelling: the hash of the entity's canonical name
	objects columnar.Lookup[uint64]
	shelf   uploadShelf
}

func newUploads(o *FoldOptions) *uploads {
	u := &uploads{volumes: newVolumes(o)}
	u.object = newDestinations(u.volumes.objects).of
	uploading := columnar.Lookup[bool]{Func: func(method []byte) bool { return slices.Contains(o.Uploads, string(method)) }}
	u.counted = func(b *columnar.Batch) ([]int32, []bool) {
		if b.Table != columnar.HTTP {
			return nil, nil
		}
		codes, dict := b.Codes(columnar.Method)
		return codes, uploading.Of(dict)
	}
	if o.Resolve {
		u.external = &columnar.Lookup[bool]{Func: externalAddress}
	}
	u.listUsed = o.Destinations
	u.known.Func = isCloudHost
	u.objects.Func = hashText
	e := u.volumes.entities
	for kind, spelt := range e.spelt {
		u.names[kind].Func = func(text []byte) uint64 {
			return hashText(e.name(uint32(spelt.Code(text))<<2 | uint32(kind)))
		}
	}
	return u
}

func hashText(text []byte) uint64 { return maphash.Bytes(hashSeed, text) }

// A keyHash hashes the keys of a section.
type keyHash struct {
	section uint64
	names   [4][]uint64 // by spelling
	objects []uint64
}

func (u *uploads) hash(at sectionKey) *keyHash {
	h := &keyHash{section: maphash.Comparable(hashSeed, at), objects: u.objects.Of(u.volumes.objects)}
	for kind, spelt := range u.volumes.entities.spelt {
		if spelt != nil {
			h.names[kind] = u.names[kind].Of(spelt)
		}
	}
	return h
}

// of returns the hash of an entity and an object.
func (h *keyHash) of(who, what uint32) uint64 {
	high, low := bits.Mul64(h.section^h.names[who&3][who>>2], h.objects[what])
	return high ^ low
}

// A sieve tells which keys of a section are left out.
type sieve struct {
	*keyHash
	weights *Weights
	known   []bool // by object
}

func (s *sieve) out(who, what uint32) bool {
	return !s.known[what] && s.weights.most(s.of(who, what)) < minDestinationBytes
}

// Weigh implements Sifter.
func (u *uploads) Weigh(w *Weights) {
	for at, p := range u.sections.all {
		hash := u.hash(at)
		for slot := int32(1); int(slot) < p.groups.Len(); slot++ {
			w.add(hash.of(p.groups.Key(slot)), p.out(slot))
		}
	}
}

// Ask implements Asker.
func (u *uploads) Ask(a *Answers) {
	if u.external == nil {
		return
	}
	v := u.volumes
	nameless := u.external.Of(v.objects)
	var key []byte
	for _, at := range v.sections.sorted() { // a task asks in the same order each time
		p := v.sections.all[at]
		if !p.asks {
			continue
		}
		keyOf := func(who uint32) []byte {
			key = appendKeyText(v.entities.appendKey(key[:0], at, who), nil)
			return key
		}
		for slot := int32(1); int(slot) < p.groups.Len(); slot++ {
			who, what := p.groups.Key(slot)
			if nameless[what] && entityKind(who&3) == addressEntity {
				c := p.cell(slot, at.day)
				a.ask(c.last, keyOf(who), v.entities.name(who), v.objects.Text(int32(what)))
			}
		}
		for pair := int32(1); int(pair) < p.met.Len(); pair++ {
			slot, client := p.met.Key(pair)
			who, what := p.groups.Key(int32(slot))
			a.ask(*p.lastMet.at(pair), keyOf(who), v.addresses.Text(int32(client)), v.objects.Text(int32(what)))
		}
	}
}

// A total is what an entity uploaded to all destinations, as one spelling names it.
type total struct {
	volume
	volumeParts
}

func newTotal() *total {
	return &total{volume: volume{counts: counts{first: math.MaxInt64, last: math.MinInt64}}}
}

// total returns the total of an entity.
func (p *volumeSection) total(who uint32) *total {
	t := p.totals[who]
	if t == nil {
		t = newTotal()
		p.totals[who] = t
	}
	return t
}

// addTotal adds the volume of a slot to the total of its entity.
func (u *uploads) addTotal(p *volumeSection, slot int32, day Day) {
	who, _ := p.groups.Key(slot)
	u.addSlot(p.total(who), p, slot, day)
}

// addSlot adds the volume of a slot.
func (u *uploads) addSlot(t *total, p *volumeSection, slot int32, day Day) {
	o := p.onlys.at(slot)
	if o.cell == 0 {
		u.addOnly(t, o, day)
		return
	}
	c := p.cells.at(o.cell)
	u.merge(t, c, p.rest.at(c.restAt))
	t.refused.merge(p.refusedOf(slot))
	p.hourly.addTo(&t.hourly, c.hourlyAt, c.out)
}

// merge adds a volume and its evidence.
func (u *uploads) merge(t *total, c *volume, rest *others) {
	t.counts.merge(&c.counts)
	if c.peak.bytes >= min(t.peak.bytes, minPlaceBytes) { // else it is no evidence
		u.places.merge(&t.peak, &t.rest, c.peak, rest)
	}
}

// Sift implements Sifter. What is left out stays in the totals.
func (u *uploads) Sift(w *Weights) (more bool, err error) {
	known := u.known.Of(u.volumes.objects)
	sieve := func(at sectionKey) *sieve { return &sieve{u.hash(at), w, known} }
	for at, p := range u.sections.all {
		left := sieve(at)
		p.leave(func(slot int32) bool {
			if !left.out(p.groups.Key(slot)) {
				return false
			}
			u.addTotal(p, slot, at.day)
			return true
		})
	}
	return u.unshelve(sieve)
}

// The sequence numbers of records.
const (
	volumeRecord  = iota // what appendVolume writes
	namesRecord          // the names that an entity used, in their order; its key has no object
	addressRecord        // the name of an address that an entity used, see Resolver.record; its key has no object
)

// Drain implements Folder. The records of an entity are its total for each spelling and
// the names, without an object, and then a volume for each destination.
func (u *uploads) Drain(w *RunWriter) {
	v := u.volumes
	sections := v.sections.sorted()
	lists := make([][]columnar.Pair, 2*len(sections)) // of each section: entities with totals, and what was used
	for i, at := range sections {
		p := v.sections.all[at]
		for slot := int32(1); int(slot) < p.groups.Len(); slot++ {
			u.addTotal(p, slot, at.day)
		}
		for _, who := range slices.Sorted(maps.Keys(p.totals)) {
			lists[2*i] = append(lists[2*i], columnar.PairOf(who, 0))
		}
		lists[2*i+1] = p.used.List()
	}
	order := newKeyOrder(v.entities, v.objects, v.sections.groups(func(p *volumeSection) *columnar.Groups { return p.groups }), lists...)
	d := &uploadDrain{uploads: u, w: w}
	for i, at := range sections {
		d.at, d.p = at, v.sections.all[at]
		slots, totals, used := order.slots(d.p.groups), order.pairs(lists[2*i]), order.pairs(lists[2*i+1])
		lists[2*i], lists[2*i+1] = nil, nil
		ofSlot := func(slot int32) uint32 { who, _ := d.p.groups.Key(slot); return order.entities.of[who] }
		ofPair := func(p columnar.Pair) uint32 { who, _ := p.Codes(); return order.entities.of[who] }
		for len(totals) > 0 || len(used) > 0 {
			entity := uint32(math.MaxUint32)
			for _, list := range [...][]columnar.Pair{totals, used} {
				if len(list) > 0 {
					entity = min(entity, ofPair(list[0]))
				}
			}
			l, m, n := first(totals, entity, ofPair), first(used, entity, ofPair), first(slots, entity, ofSlot)
			d.entity(totals[:l], used[:m], slots[:n])
			totals, used, slots = totals[l:], used[m:], slots[n:]
		}
		v.sections.drop(at)
	}
}

// first returns how many of the first elements belong to an entity.
func first[T any](all []T, entity uint32, of func(T) uint32) int {
	n := 0
	for n < len(all) && of(all[n]) == entity {
		n++
	}
	return n
}

// An uploadDrain drains a section.
type uploadDrain struct {
	*uploads
	w          *RunWriter
	at         sectionKey
	p          *volumeSection
	key, value []byte
}

// entity writes the records of an entity: its totals, the pairs that it used and its
// slots, all in the order of their objects.
func (d *uploadDrain) entity(totals, used []columnar.Pair, slots []int32) {
	v := d.volumes
	one := used
	if len(totals) > 0 {
		one = totals
	}
	who, _ := one[0].Codes()
	d.key = v.entities.appendKey(d.key[:0], d.at, who)
	before := len(d.key)
	d.key = appendKeyText(d.key, nil)
	for _, pair := range totals {
		who, _ := pair.Codes()
		t := d.p.totals[who]
		d.value = v.appendVolume(d.value[:0], &t.volume, &t.volumeParts, d.at.day, v.entities.shown(who))
		d.w.record(d.key, volumeRecord, d.value)
	}
	if len(used) > 0 {
		d.names(used)
	}
	for _, slot := range slots {
		who, what := d.p.groups.Key(slot)
		d.key = appendKeyText(d.key[:before], v.objects.Text(int32(what)))
		c := d.p.cell(slot, d.at.day)
		d.value = v.appendVolume(d.value[:0], &c, d.p.partsOf(slot, &c), d.at.day, v.entities.shown(who))
		d.w.record(d.key, volumeRecord, d.value)
	}
}

// names writes the names that an entity used: for each the length of what it shares with
// the name before, and the rest.
func (d *uploadDrain) names(used []columnar.Pair) {
	d.value = d.value[:0]
	n := 0
	var last []byte
	var lastCode uint32 // of an object: 0 is none
	for _, pair := range used {
		_, what := pair.Codes()
		name := d.volumes.objects.Text(int32(what))
		if what == lastCode || len(name) > maxDestination {
			continue // by another spelling, or no host
		}
		if n++; n > maxDestinations {
			break
		}
		shared := commonPrefix(last, name)
		d.value = binary.AppendUvarint(d.value, uint64(shared))
		d.value = appendBytes(d.value, name[shared:])
		last, lastCode = name, what
	}
	if n > 0 {
		d.w.record(d.key, namesRecord, d.value)
	}
}

// An uploadMerger merges what uploads drain.
type uploadMerger struct {
	*volumeMerger
	used []string
	text []byte // of the names of a record, one after another
	ends []int
	// The names of addresses of the entity whose key is merged, and of that of the last row
	// without an object. Nil: none.
	named, settled map[string]*addressName
	domains        columnar.Domains
}

// Add implements Merger.
func (m *uploadMerger) Add(day Day, seq uint64, value []byte) error {
	d := decoder{b: value}
	switch seq {
	case volumeRecord:
		return m.volumeMerger.Add(day, seq, value)
	case addressRecord:
		address, name := d.addressName()
		if d.bad || len(d.b) > 0 {
			return errRun
		}
		if m.named == nil {
			m.named = map[string]*addressName{}
		}
		if m.named[address] == nil {
			m.named[address] = &addressName{}
		}
		m.named[address].merge(name)
		return nil
	}
	m.text, m.ends = m.text[:0], m.ends[:0]
	last := 0
	for len(d.b) > 0 {
		shared := d.uvarint()
		rest := d.bytes()
		if d.bad || shared > uint64(len(m.text)-last) {
			return errRun
		}
		from := len(m.text)
		m.text = append(append(m.text, m.text[last:last+int(shared)]...), rest...)
		m.ends = append(m.ends, len(m.text))
		last = from
	}
	text, from := string(m.text), 0
	names := make([]string, len(m.ends))
	for i, end := range m.ends {
		names[i], from = text[from:end], end
	}
	m.used = union(m.used, names, maxDestinations)
	return nil
}

// Row implements Merger.
func (m *uploadMerger) Row(r *Row) bool {
	more := m.volumeMerger.Row(r) || m.used != nil
	r.Destinations, m.used = m.used, nil
	if more {
		m.settled = m.named
	}
	m.named = nil
	if r.Object == "" {
		r.Places = nil // those of the destinations show more
	}
	return more
}

// Settle implements Settler: it puts the names of addresses into the rows of each entity.
// It holds the rows of an entity that has some.
func (m *uploadMerger) Settle(rows iter.Seq2[*Row, error]) iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		var held []Row
		var names map[string]*addressName
		flush := func() bool {
			named := held
			if len(held) > 0 {
				named = m.rename(held, names)
			}
			held = held[:0]
			for i := range named {
				if !yield(&named[i], nil) {
					return false
				}
			}
			return true
		}
		for row, err := range rows {
			switch {
			case err != nil:
				yield(nil, err)
				return
			case row.Object != "" && len(held) > 0:
				held = append(held, *row) // the row without an object comes first
				continue
			case !flush():
				return
			}
			if row.Object == "" && m.settled != nil {
				names = m.settled
				held = append(held, *row)
			} else if !yield(row, nil) {
				return
			}
		}
		flush()
	}
}

// rename gives the destinations of an entity and day their names. The first row has no object.
func (m *uploadMerger) rename(rows []Row, names map[string]*addressName) []Row {
	first, rest := &rows[0], rows[1:]
	for i, address := range first.Destinations {
		if n := names[address]; n != nil {
			if to, ok := n.destination(&m.domains); ok {
				first.Destinations[i] = to
			}
		}
	}
	slices.Sort(first.Destinations)
	first.Destinations = slices.Compact(first.Destinations)
	for i := range rest {
		r := &rest[i]
		if n := names[r.Object]; n != nil {
			if to, ok := n.destination(&m.domains); ok {
				r.Object, r.AnswerTime, r.AnswerTo = to, n.time, n.client
			}
		}
	}
	slices.SortStableFunc(rest, func(a, b Row) int { return cmp.Compare(a.Object, b.Object) })
	out := rows[:1]
	for _, r := range rest {
		if last := &out[len(out)-1]; len(out) > 1 && last.Object == r.Object {
			last.Summary = last.Summary.Merge(r.Summary)
		} else {
			out = append(out, r)
		}
	}
	return out
}

// minDestinationBytes is what an unknown destination must get from an entity in a day
// to be kept. With less, each web site that a user visits becomes a row of every day's
// state. With more, data that trickles out over weeks is not seen.
const minDestinationBytes = 1e6

// destinations finds the destination of each row of a batch.
type destinations struct {
	names      *columnar.Dict
	domains    *columnar.Domains // of the batch
	hosts      columnar.Lookup[uint32]
	ips        columnar.Lookup[uint32]
	parentDict *columnar.Dict
	parents    []uint32 // by parent of hosts in parentDict: their registered domain in names; 0: each host is its own
	bucket     []byte
	address    []byte // of a host, canonical
	ids        [columnar.BatchRows]uint32
}

func newDestinations(names *columnar.Dict) *destinations {
	d := &destinations{names: names}
	d.ips.Func = func(ip []byte) uint32 { return uint32(names.Code(ip)) }
	d.hosts.All = d.ofHosts
	return d
}

// ofHosts appends the destinations of the hosts of a dictionary that have none yet, many at a
// time: the day of a busy proxy has hundreds of thousands, and most share their parents.
func (d *destinations) ofHosts(of []uint32, hosts *columnar.Dict) []uint32 {
	var codes, parents [64]int32
	var spans [64]columnar.Span
	for len(of) < hosts.Len() {
		n, data := 0, []byte(nil)
		for n < len(codes) && len(of) < hosts.Len() {
			text, s := hosts.Span(int32(len(of)))
			host := scan.TrimDot(text[s.Begin:s.End])
			s.End = s.Begin + uint32(len(host))
			whole := false // it has no registered domain to look for
			if scan.AddressLike(host) {
				d.address = columnar.AppendAddress(d.address[:0], host)
				whole = bytes.IndexByte(host, ':') >= 0 || !bytes.Equal(d.address, host)
				host = d.address
			} else {
				_, whole = CloudHost(host)
			}
			if whole {
				of = append(of, uint32(d.names.Code(host)))
				continue
			}
			data, codes[n], spans[n] = text, int32(len(of)), s
			of = append(of, 0)
			n++
		}
		if of := d.domains.Parents(parents[:n], data, spans[:n]); of != d.parentDict {
			d.parents, d.parentDict = d.parents[:0], of
		}
		for i, parent := range parents[:n] {
			code := d.ofParent(parent)
			if code == 0 {
				code = uint32(d.names.Code(data[spans[i].Begin:spans[i].End]))
			}
			of[codes[i]] = code
		}
	}
	return of
}

// ofParent returns the destination of the hosts with a parent, or 0 if each is its own.
func (d *destinations) ofParent(parent int32) uint32 {
	for code := int32(len(d.parents)); code <= parent; code++ {
		of := uint32(0)
		if domain := d.domains.OfParent(code); domain != nil {
			of = uint32(d.names.Code(domain))
		}
		d.parents = append(d.parents, of)
	}
	return d.parents[parent]
}

var bucketARN = []byte("arn:aws:s3:::")

func (d *destinations) of(b *columnar.Batch) []uint32 {
	ids := d.ids[:b.Len()]
	d.domains = b.Domains()
	switch b.Table {
	case columnar.API:
		// In a cloud API only a bucket is a destination: the rest is the company's own
		// use of the service.
		clear(ids)
		if b.Known(columnar.Resource) == 0 {
			break
		}
		offsets, resources := b.Texts(columnar.Resource)
		for i := range ids {
			if rest, ok := bytes.CutPrefix(resources[offsets[i]:offsets[i+1]], bucketARN); ok {
				bucket, _, _ := bytes.Cut(rest, []byte("/"))
				d.bucket = append(append(d.bucket[:0], bucket...), ".s3.amazonaws.com"...)
				ids[i] = uint32(d.names.Code(d.bucket))
			}
		}
	case columnar.HTTP:
		codes, dict := b.Codes(columnar.URLHost)
		names := d.hosts.Of(dict)
		for i, code := range codes {
			ids[i] = names[code]
		}
	case columnar.Network:
		codes, dict := b.Codes(columnar.DstHost)
		names := d.hosts.Of(dict)
		ips, ipDict := b.Codes(columnar.DstIP)
		addresses := d.ips.Of(ipDict)
		for i, code := range codes {
			if ids[i] = names[code]; code == 0 {
				ids[i] = addresses[ips[i]]
			}
		}
	}
	return ids
}
