package detect

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// PairTimes keeps when each machine talked to each destination in a day.
//
// A beat is a span of time in which a pair talks without a pause of beatGap: loading a
// page, a flow that is logged piece by piece. Almost all of a day's requests go into a
// beat that is there already, so a night of browsing takes little room. Beats are the
// connected parts of the events' times, so they do not depend on how the events are split.
var PairTimes = &Aggregate{
	Name: "pair_times",
	Doc: "When each machine (address, else user, else host) talked to each destination in a UTC day, and how much it sent each time: " +
		"the destination is the host name, for DNS the registered domain, and the address where no log has a name. Internal destinations and mails (port 25) are left out, and " +
		"so are pairs that talked fewer than 3 times or whose times are too irregular for a clock.",
	Rev:    2, // 2: mails are left out
	Tables: []*columnar.Table{columnar.HTTP, columnar.DNS, columnar.Network},
	Joins:  true,
	Reads: entityReads | columnar.ColSet(columnar.Time, columnar.URLHost, columnar.Domain, columnar.DstHost, columnar.DstIP,
		columnar.DstPort, columnar.BytesOut, columnar.BytesIn, columnar.Duration, columnar.Action),
	Wants:  volumeWants,
	New:    func(o *FoldOptions) Folder { return newPairTimes(o) },
	Merger: func(*FoldOptions) Merger { return newPairMerger() },
}

const (
	// beatGap is the least pause between two beats, in seconds. With more, a beacon of 10 s
	// that strays by half its period would melt into one beat. With less, the requests of
	// one page or of one check-in become beats a second apart.
	beatGap = 4
	// minBeats is how often a pair must talk in a day to be kept. With more, a clock of four
	// hours that misses a beat is lost. With less, most of what people look up once or twice
	// is kept.
	minBeats = 3
	// maxTimes is the most beats of a day that are kept one by one. A clock of a quarter of
	// an hour has as many; of more beats, one day alone says enough, and their statistics
	// take less room.
	maxTimes = 96
	// flowSpan is how long, in seconds, a record of a cloud's flow log without its length
	// lasts. Such logs cut a connection into pieces of up to a minute. Each begins
	// with its first packet, so a connection that is kept alive would look like a clock. With
	// less, the pieces of a quiet connection fall apart. With more, beacons of minutes are lost.
	flowSpan = 90
	// maxPairNames is how many bytes of names an empty table keeps. With less, names come
	// again and again. With more, they take the room of the pairs.
	maxPairNames = 1 << 20
)

// pairTimes is the table of a worker. Most pairs talk once or twice a day and are left out
// in the end. So the first rows of a pair are set aside, and only what comes after them
// needs a place in the table; see pairAside.
type pairTimes struct {
	o        *FoldOptions
	entities *entities
	objects  *columnar.Dict
	names    columnar.Lookup[pairTarget]
	ips      columnar.Lookup[pairTarget]
	people   [4]columnar.Lookup[uint64] // by kind and spelling: the hash of the entity's canonical name
	hashes   columnar.Lookup[uint64]    // of objects
	internal columnar.Lookup[bool]
	blockers *blockers
	places   *placer
	sections sections[pairSection]
	aside    pairAside
	targets  [columnar.BatchRows]pairDest // by row of the batch

	// By row that is folded now: its index in the batch, the hash of its pair, and in the table its pair
	// and the pair's slot.
	rows      [foldRows]int32
	hash      [foldRows]uint64
	who, what [foldRows]uint32
	slots     [foldRows]int32
}

// A pairTarget is what is known of the text of a destination.
type pairTarget struct {
	hash uint64 // 0: there is none, or one inside
	code uint32 // in objects; 0 until it is needed
}

// A pairDest is the destination of a row: a text of a dictionary.
type pairDest struct {
	hash   uint64 // as in pairTarget
	code   int32  // of the text
	isName bool   // the text is a name, else an address
}

func newPairTimes(o *FoldOptions) *pairTimes {
	f := &pairTimes{
		o: o, places: newPlacer(1), blockers: newBlockers(), internal: columnar.Lookup[bool]{Func: scan.IsInternal},
		sections: newSections(func() *pairSection {
			return &pairSection{groups: columnar.NewGroups(), cells: chunksFrom1[pairCell](), rest: chunksFrom1[others]()}
		}, (*pairSection).reset),
	}
	f.forget()
	return f
}

// forget gives up the names that f has met. The table must be empty.
func (f *pairTimes) forget() {
	f.entities, f.objects = newEntities(f.o, addressEntity, userEntity, hostEntity), columnar.NewDict()
	f.hashes = columnar.Lookup[uint64]{Func: func(text []byte) uint64 { return f.o.hash(text) | 1 }}
	outside := func(text []byte) pairTarget {
		if isInside(text) {
			return pairTarget{}
		}
		return pairTarget{hash: f.hashes.Func(text)}
	}
	f.names, f.ips = columnar.Lookup[pairTarget]{Func: outside}, columnar.Lookup[pairTarget]{Func: outside}
	for kind, spelt := range f.entities.spelt {
		f.people[kind] = columnar.Lookup[uint64]{Func: func(text []byte) uint64 {
			return f.o.hash(f.entities.name(uint32(spelt.Code(text))<<2 | uint32(kind)))
		}}
	}
}

// A pairHasher hashes the pairs of a section, in each process with the same FoldOptions.Seed alike.
type pairHasher struct {
	section uint64
	people  [4][]uint64 // as pairTimes.people
}

func (f *pairTimes) hasher(at sectionKey) pairHasher {
	h := pairHasher{section: f.o.hash(binary.BigEndian.AppendUint32([]byte(at.feed), uint32(at.day)))}
	for kind, spelt := range f.entities.spelt {
		if spelt != nil {
			h.people[kind] = f.people[kind].Of(spelt)
		}
	}
	return h
}

// of returns the hash of an entity and a destination, whose own hash is given.
func (h *pairHasher) of(who uint32, target uint64) uint64 {
	high, low := bits.Mul64(h.section^h.people[who&3][who>>2], target)
	return high ^ low
}

// isInside reports whether a name or address can only be the network's own: one label, a
// local zone, a reverse look-up, or an internal address.
func isInside(name []byte) bool {
	if len(name) == 0 {
		return true
	}
	if last := name[len(name)-1]; last-'0' < 10 || last == ':' || bytes.IndexByte(name, ':') >= 0 {
		return scan.IsInternal(name)
	}
	dot := bytes.LastIndexByte(name, '.')
	return dot < 0 || insideZones[string(name[dot+1:])]
}

// insideZones are the top-level domains of the network's own names.
var insideZones = func() map[string]bool {
	zones := map[string]bool{"arpa": true}
	for _, zone := range strings.Fields(columnar.LocalZones) {
		zones[zone] = true
	}
	return zones
}()

// A pairSection is one feed's day.
type pairSection struct {
	groups *columnar.Groups
	cells  chunks[pairCell] // by slot
	rest   chunks[others]   // evidence after the peak, by pairCell.rest
	beats  chunks[pairBeat]
}

func (p *pairSection) reset() {
	p.groups.Reset()
	p.cells.cut(1)
	p.rest.cut(1)
	p.beats.cut(0)
}

// A pairCell counts the rows of a pair.
type pairCell struct {
	in              int64
	first           int64 // µs since midnight of the first row; its place
	at              columnar.Place
	rows, blocked   uint32
	knownOut, known uint32   // rows with a count of bytes out, and of bytes in
	port            int32    // see samePort
	rest            int32    // index of its other evidence in a section; 0: it has none
	open            pairBeat // the beat that was met last
	peak            sight    // of a row's bytes out and one more, and µs since midnight
	below           int64    // rows with so few bytes, and one more, are not evidence
}

// A pairBeat is a beat of a pair, or a part of one that is met apart from the rest.
type pairBeat struct {
	at    uint64 // from the highest bit: 28 bits of slot, then 18 of the first second of the day and 18 of the last
	bytes uint64 // bytes out + 1; 0 if no row of it has a count
}

const (
	secondBits = 18 // a day of a job with a window of its own has up to 93,600 s
	secondMask = 1<<secondBits - 1
)

func (b pairBeat) slot() int32   { return int32(b.at >> (2 * secondBits)) }
func (b pairBeat) begin() uint32 { return uint32(b.at>>secondBits) & secondMask }
func (b pairBeat) end() uint32   { return uint32(b.at) & secondMask }

// meets reports whether b and c are one beat. c must not begin before b.
func (b pairBeat) meets(c pairBeat) bool { return c.begin() < b.end()+beatGap }

// span makes b last until the end of c too.
func (b *pairBeat) span(c pairBeat) {
	b.at = b.at&^secondMask | uint64(max(b.end(), c.end()))
	b.bytes = addCounts(b.bytes, c.bytes)
}

// addCounts adds counts, each plus 1, or 0 if it is not known.
func addCounts(a, b uint64) uint64 {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a-1+b, math.MaxInt64)
}

// severalPorts stands for ports that differ.
const severalPorts = -1

// samePort merges ports: 0 is not known.
func samePort[T int32 | int64](a, b T) T {
	switch {
	case b == 0 || a == b:
		return a
	case a == 0:
		return b
	}
	return severalPorts
}

// pairFeed returns the feed of a batch. A sensor sees a look-up, a connection and the
// requests within it, which would mix the times of one beacon.
func pairFeed(b *columnar.Batch) string {
	if b.Table == columnar.DNS {
		return b.Feed + "/dns"
	}
	return feedOf(b)
}

// pairName is the column with the names of destinations.
func pairName(t *columnar.Table) columnar.Col {
	switch t {
	case columnar.HTTP:
		return columnar.URLHost
	case columnar.DNS:
		return columnar.Domain
	}
	return columnar.DstHost
}

// destinationsOf returns the destination of each row.
func (f *pairTimes) destinationsOf(b *columnar.Batch) []pairDest {
	targets := f.targets[:b.Len()]
	name := pairName(b.Table)
	codes, dict := b.Codes(name)
	names := f.names.Of(dict)
	for i, code := range codes {
		targets[i] = pairDest{names[code].hash, code, true}
	}
	if b.Table == columnar.DNS || b.Known(columnar.DstIP) == 0 {
		return targets
	}
	ips, ipDict := b.Codes(columnar.DstIP)
	if b.Known(name) < b.Len() {
		addresses := f.ips.Of(ipDict)
		for i, code := range codes {
			if code == 0 {
				targets[i] = pairDest{hash: addresses[ips[i]].hash, code: ips[i]}
			}
		}
	}
	if b.Table == columnar.Network {
		inside := f.internal.Of(ipDict)
		uids, _ := b.Texts(columnar.UID)
		parts := b.Known(columnar.UID) > 0
		for i, ip := range ips {
			if inside[ip] || parts && uids[i] < uids[i+1] {
				targets[i].hash = 0 // within the company, or it comes again, joined
			}
		}
	}
	return targets
}

// text returns the text of a destination.
func (d pairDest) text(b *columnar.Batch) []byte {
	col := columnar.DstIP
	if d.isName {
		col = pairName(b.Table)
	}
	_, dict := b.Codes(col)
	return dict.Text(d.code)
}

// object returns the code of a destination in objects.
func (f *pairTimes) object(b *columnar.Batch, d pairDest) uint32 {
	col, lookup := columnar.DstIP, &f.ips
	if d.isName {
		col, lookup = pairName(b.Table), &f.names
	}
	_, dict := b.Codes(col)
	target := &lookup.Of(dict)[d.code]
	if target.code == 0 {
		target.code = uint32(f.objects.Code(dict.Text(d.code)))
	}
	return target.code
}

// isCloudFlow reports whether the rows of a batch are those of a cloud's flow log without
// their length.
func isCloudFlow(b *columnar.Batch) bool {
	if b.Table != columnar.Network || !b.Lacks.Has(columnar.Duration) {
		return false
	}
	return b.Product == "aws" || b.Product == "azure" || b.Product == "gcp"
}

// A pairRow is what a row adds to its pair.
type pairRow struct {
	at      int64    // µs since midnight
	open    pairBeat // without a slot; its bytes are those of the row
	in      uint64   // bytes in + 1; 0 if they are not known
	place   columnar.Place
	port    int32
	repeat  bool // it was counted before
	blocked bool
}

// mailPort is the port at which mail servers take mails of other servers. They come in bulk, and
// again at fixed times from a queue: their times say nothing about a program that calls home.
const mailPort = 25

// Fold implements Folder. Rows of network with a uid are left out: they come again, joined.
// So are mails.
func (f *pairTimes) Fold(b *columnar.Batch) {
	if b.Server || b.Table == columnar.Network && b.Known(columnar.UID) == b.Len() {
		return
	}
	who, targets := f.entities.of(b), f.destinationsOf(b)
	times := b.Int64(columnar.Time)
	out, in, durations := b.Int64(columnar.BytesOut), b.Int64(columnar.BytesIn), b.Int64(columnar.Duration)
	outValid, inValid := b.Valid(columnar.BytesOut), b.Valid(columnar.BytesIn)
	var ports []int32
	if b.Table == columnar.Network {
		ports = b.Int32(columnar.DstPort)
	}
	actions, blocked := f.blockers.of(b)
	f.places.begin(b)
	f.aside.seen.reserve()
	feed, flow := pairFeed(b), isCloudFlow(b)
	f.sections.days(b, feed, f.o, func(p *pairSection, from, to int) {
		at := sectionKey{feed, f.o.dayOf(times[from])}
		midnight := int64(at.day) * dayMicros
		hasher := f.hasher(at)
		row := func(i int) pairRow {
			r := pairRow{at: times[i] - midnight, place: f.places.of(b, i)}
			begin, end := max(0, r.at-max(0, durations[i])), r.at
			if flow { // its time is that of its begin
				end = max(r.at, min(r.at+flowSpan*1e6, dayMicros-1))
			}
			r.open.at = uint64(begin/1e6)<<secondBits | uint64(end/1e6)
			if ports != nil {
				r.port = ports[i]
			}
			r.repeat = b.Repeats(i)
			r.blocked = blocked != nil && blocked[actions[i]]
			if outValid.Bit(i) != 0 {
				r.open.bytes = uint64(max(0, out[i])) + 1
			}
			if inValid.Bit(i) != 0 {
				r.in = uint64(max(0, in[i])) + 1
			}
			return r
		}
		n := 0
		for i := from; i < to; i++ {
			id, target := who[i], targets[i]
			if id == 0 || target.hash == 0 || ports != nil && ports[i] == mailPort {
				continue
			}
			f.rows[n], f.hash[n] = int32(i), hasher.of(id, target.hash)
			n++
		}
		f.aside.seen.load(f.hash[:n])
		all := f.rows[:n]
		n = 0
		for k, i := range all {
			id, target := who[i], targets[i]
			if hash := f.hash[k]; f.aside.seen.add(hash) {
				f.rows[n], f.who[n], f.what[n] = i, id, f.object(b, target)
				n++
			} else {
				r := row(int(i))
				f.aside.put(at, f.places.logs.Text(r.place.Object), hash, &r, id&3, f.entities.spelling(id), target.text(b))
			}
		}
		p.groups.Slots(f.slots[:n], f.who[:n], f.what[:n])
		p.load(f.slots[:n])
		for k, slot := range f.slots[:n] {
			r := row(int(f.rows[k]))
			f.add(p, slot, &r)
		}
	})
}

// load brings the cells of rows into the cache.
func (p *pairSection) load(slots []int32) {
	touch(slots, func(slot int32) int64 {
		if int(slot) >= p.cells.n {
			return 0 // add makes it
		}
		c := p.cells.at(slot)
		return c.in + c.below
	})
	touch(slots, func(slot int32) int64 { // what the cells refer to
		if int(slot) >= p.cells.n {
			return 0
		}
		return int64(p.rest.at(p.cells.at(slot).rest).n)
	})
}

// add adds a row to the pair of a slot, which may be the next one.
func (f *pairTimes) add(p *pairSection, slot int32, r *pairRow) {
	beat := pairBeat{at: uint64(slot)<<(2*secondBits) | r.open.at}
	if int(slot) == p.cells.n {
		p.cells.add(pairCell{first: r.at, at: r.place, open: beat})
	}
	c := p.cells.at(slot)
	if r.at < c.first || r.at == c.first && f.places.compare(r.place, c.at) < 0 {
		c.first, c.at = r.at, r.place
	}
	if beat.begin() >= c.open.begin() && c.open.meets(beat) {
		c.open.span(beat)
	} else {
		p.beats.add(c.open)
		c.open = beat
	}
	c.port = samePort(c.port, r.port)
	n := sight{bytes: 1, time: r.at, at: r.place}
	if r.open.bytes > 0 && !r.blocked {
		n.bytes = int64(min(r.open.bytes, math.MaxInt64))
	}
	if n.bytes > c.below {
		f.see(p, c, n)
	}
	if r.repeat {
		return
	}
	c.rows++
	if r.blocked {
		c.blocked++
		return
	}
	if r.open.bytes > 0 {
		c.knownOut++
		c.open.bytes = addCounts(c.open.bytes, r.open.bytes)
	}
	if r.in > 0 {
		c.known++
		c.in = addBytes(c.in, int64(r.in-1))
	}
}

// see takes a row as evidence of a pair.
func (f *pairTimes) see(p *pairSection, c *pairCell, n sight) {
	other, ok := f.places.take(&c.peak, n)
	if !ok || other.bytes == 0 {
		return
	}
	if c.rest == 0 {
		c.rest = int32(p.rest.n)
		p.rest.add(others{})
	}
	o := p.rest.at(c.rest)
	f.places.offer(o, other)
	if o.n == len(o.of) {
		c.below = o.of[o.n-1].bytes - 1
	}
}

// Size implements Folder.
func (f *pairTimes) Size() int {
	n := f.namesSize() + len(f.aside.buf)
	for _, p := range f.sections.all {
		if p.groups.Len() > 1<<(64-2*secondBits)-columnar.BatchRows {
			return math.MaxInt // the slots are used up
		}
		n += p.groups.Size() + p.cells.size() + p.rest.size() + p.beats.size()
	}
	return n
}

func (f *pairTimes) namesSize() int {
	return f.entities.size() + f.objects.Memory() + f.places.logs.Memory()
}

// Drain implements Folder. The value of a record is the numbers of its pairCell, the
// spelling of the entity, the evidence, the log of its place, and then of each beat: seconds since the end of
// the one before, its length, and bytes as in pairBeat.
func (f *pairTimes) Drain(w *RunWriter) {
	if f.aside.spool == nil {
		_ = f.replayHeld(func(uint64) bool { return true }) // memory has no errors
	}
	order := newKeyOrder(f.entities, f.objects, f.sections.groups(func(p *pairSection) *columnar.Groups { return p.groups }))
	var value []byte
	for _, at := range f.sections.sorted() {
		p := f.sections.all[at]
		hasher, hashes := f.hasher(at), f.hashes.Of(f.objects)
		beats, ends := p.beatsBySlot()
		for slot, k := range order.keys(at, p.groups) {
			c := p.cells.at(slot)
			value = value[:0]
			for _, n := range [...]int64{c.in, c.first, c.at.Record, int64(c.rows), int64(c.blocked), int64(c.knownOut), int64(c.known), int64(c.port - severalPorts)} {
				value = binary.AppendUvarint(value, uint64(n))
			}
			value = appendBytes(value, k.shown)
			value = f.places.append(value, c.peak, p.rest.at(c.rest), 0)
			value = f.places.appendLog(value, c.at.Object, c.peak.at.Object)
			before := uint32(0)
			for _, b := range joinBeats(beats[ends[slot-1]:ends[slot]]) {
				value = binary.AppendUvarint(value, uint64(b.begin()-before))
				value = binary.AppendUvarint(value, uint64(b.end()-b.begin()))
				value = binary.AppendUvarint(value, b.bytes)
				before = b.end()
			}
			w.record(k.key, 0, value)
			if f.aside.to != nil {
				who, what := p.groups.Key(slot)
				f.aside.to[f.shardOf(k.key[:entityEnd(k.key)])].met(hasher.of(who, hashes[what]))
			}
		}
		f.sections.drop(at)
	}
	for i := range f.aside.to {
		f.aside.to[i].flush()
		w.err = cmp.Or(w.err, f.aside.to[i].err)
	}
	if f.namesSize() > maxPairNames {
		f.forget()
		f.places = newPlacer(1)
	}
}

// beatsBySlot ends the beats and sorts them as bySlot does. It gives up their chunks on the way, and does
// not call a function for each of them, which would take half as long again.
func (p *pairSection) beatsBySlot() (beats []pairBeat, ends []int32) {
	for slot := int32(1); int(slot) < p.cells.n; slot++ {
		p.beats.add(p.cells.at(slot).open)
	}
	ends = make([]int32, p.cells.n+1)
	for chunk := range p.beats.slices() {
		for _, b := range chunk {
			ends[b.slot()+1]++
		}
	}
	for slot := range p.cells.n {
		ends[slot+1] += ends[slot]
	}
	beats = make([]pairBeat, p.beats.n)
	for chunk := range p.beats.drain() {
		for _, b := range chunk {
			beats[ends[b.slot()]] = b
			ends[b.slot()]++
		}
	}
	return beats, ends
}

// joinBeats sorts the beats of a pair and joins those that are one. It changes its
// argument.
func joinBeats(beats []pairBeat) []pairBeat {
	compare := func(a, b pairBeat) int { return cmp.Compare(a.at, b.at) }
	if !slices.IsSortedFunc(beats, compare) {
		slices.SortFunc(beats, compare)
	}
	out := beats[:0]
	for _, b := range beats {
		if n := len(out); n > 0 && out[n-1].meets(b) {
			out[n-1].span(b)
		} else {
			out = append(out, b)
		}
	}
	return out
}

// A pairMerger merges the beats of a pair.
type pairMerger struct {
	day    Day
	c      pairCell
	begun  bool
	places *placer
	rest   others
	spelt  spelling
	beats  []pairBeat
	// Buffers for Row.
	between []float64
	text    []byte
}

func newPairMerger() *pairMerger { return &pairMerger{places: newPlacer(1)} }

// Add implements Merger.
func (m *pairMerger) Add(day Day, _ uint64, value []byte) error {
	m.day = day
	d := decoder{b: value}
	n := pairCell{in: int64(d.uvarint()), first: int64(d.uvarint())}
	n.at.Record = int64(d.uvarint())
	n.rows, n.blocked, n.knownOut, n.known = uint32(d.uvarint()), uint32(d.uvarint()), uint32(d.uvarint()), uint32(d.uvarint())
	n.port = int32(d.uvarint()) + severalPorts
	m.spelt.offer(n.first, d.bytes())
	peak, rest := m.places.evidence(&d, 0)
	n.peak = peak
	n.at.Object = m.places.logOf(&d, peak.at.Object)
	at := uint64(0)
	for len(d.b) > 0 {
		begin := at + d.uvarint()
		at = begin + d.uvarint()
		if begin > secondMask || at > secondMask {
			return errRun
		}
		m.beats = append(m.beats, pairBeat{at: begin<<secondBits | at, bytes: d.uvarint()})
	}
	if d.bad {
		return errRun
	}
	if len(m.beats) > dayMicros/1e6 { // more than a day can have
		m.beats = joinBeats(m.beats)
	}
	c := &m.c
	if !m.begun {
		m.begun, *c, m.rest = true, n, rest
		return nil
	}
	if n.first < c.first || n.first == c.first && m.places.compare(n.at, c.at) < 0 {
		c.first, c.at = n.first, n.at
	}
	c.in = addBytes(c.in, n.in)
	c.rows, c.blocked, c.knownOut, c.known = c.rows+n.rows, c.blocked+n.blocked, c.knownOut+n.knownOut, c.known+n.known
	c.port = samePort(c.port, n.port)
	m.places.merge(&c.peak, &m.rest, peak, &rest)
	return nil
}

// Row implements Merger.
func (m *pairMerger) Row(r *Row) bool {
	if !m.begun {
		return false
	}
	beats, spelt, c := joinBeats(m.beats), m.spelt, &m.c
	m.begun, m.beats, m.spelt = false, m.beats[:0], spelling{}
	if len(beats) < minBeats || !mayBeat(beats, &m.between) {
		return false
	}
	midnight := int64(m.day) * dayMicros
	s := Summary{
		Events: int64(c.rows), BytesIn: c.in, KnownOut: int64(c.knownOut), KnownIn: int64(c.known), Blocked: int64(c.blocked),
		First: midnight + c.first, Last: midnight + int64(beats[len(beats)-1].end())*1e6, Spelling: spelt.of(r.Entity),
		Evidence: m.places.text(c.at), Beats: int64(len(beats)), Port: int64(c.port),
	}
	s.Last = max(s.Last, s.First)
	for _, b := range beats {
		s.Hours |= hourBit(int64(b.begin()) * 1e6)
		if b.bytes > 0 {
			s.BytesOut = addBytes(s.BytesOut, int64(b.bytes-1))
		}
	}
	m.text = appendRhythm(m.text[:0], beats)
	s.Rhythm = string(m.text)
	s.Places = m.places.textsAfter(c.peak, &m.rest, midnight)
	r.Summary = s
	return true
}
