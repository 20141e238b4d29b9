package detect

import (
	"encoding/binary"
	"math"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// volumes folds bytes by entity and object. It is the table of user_day and
// user_destination_day.
type volumes struct {
	o        *FoldOptions
	entities *entities
	objects  *columnar.Dict // code 0: no object
	places   *placer        // for evidence
	sections sections[volumeSection]

	// object returns each row's object as a code of objects, 0 for a row to leave out.
	// Nil: every row counts, without an object.
	object func(b *columnar.Batch) []uint32
	// counted tells which rows with an object count: those for whose code it is true. The
	// others only use the object. A nil result: all rows of the batch count. Nil: all rows
	// count.
	counted func(b *columnar.Batch) (codes []int32, is []bool)
	// addresses are the addresses that users and hosts came from.
	addresses *columnar.Dict
	address   columnar.Lookup[uint32] // number in addresses
	internal  columnar.Lookup[bool]
	served    *served    // nil: what servers sent to clients outside does not count
	out, in   byteCounts // of the batch
	blockers  *blockers  // nil: blocked rows count as sent
	// The blocked rows of the batch, as blockers.of returns them.
	actions []int32
	blocked []bool
	// external tells which objects are addresses outside, if DNS may name them; else nil.
	// nameless is what it says of the objects of the batch, and clients are the addresses
	// that its rows came from. Both are nil if the rows ask for no names.
	external *columnar.Lookup[bool]
	nameless []bool
	clients  []uint32
	used     [columnar.BatchRows]uint32 // by row of the batch: the object that it used
	stride   volumeStride
	turns    [foldRows]hourTurn // by rows of the stride that change the hour of their cell
	seen     [foldRows]int32    // its rows that may be evidence

	countAddresses bool
	listUsed       bool // keep which objects each entity used

	apart []byte // for appendVolume
}

// A volumeStride has the rows of a section that are folded at once. These are rows that count:
// of a proxy's log a third has uploads, and as many of them as of other rows are to wait for
// memory together.
type volumeStride struct {
	n         int
	rows      [foldRows]int32
	who, what [foldRows]uint32
	slots     [foldRows]int32 // of the pairs of who and what
	cells     [foldRows]int32 // the indexes of what is added to; 0: the row is taken already
}

type volumeSection struct {
	groups *columnar.Groups
	cells  chunks[volume]    // by slot, or by only.cell
	onlys  chunks[only]      // by slot, if there are objects
	came   columnar.Pairs    // of a slot and an address that its entity came from, if its cell has no room for it
	alone  []int32           // slots by entity, if there are no objects: needs no hash
	used   columnar.Pairs    // of an entity and an object that it used, if that is kept
	totals map[uint32]*total // by entity: of slots that were left out
	asks   bool              // its rows ask DNS for names
	// met are pairs of a slot whose object has no name and an address that its entity came
	// from, unless that is the entity. lastMet is when it last did, by pair.
	met     *columnar.Groups
	lastMet chunks[int64]
	parts   volumeParts // what partsOf returned last
	// refused is what was blocked, by index in cells. Most cells have none, and a cell
	// that had it too would take more of the cache.
	refused map[int32]refused
	rest    chunks[others] // evidence after the peak, by volume.restAt
	hourly  hourSums       // of bytes out, by volume.hourlyAt
}

// refused counts rows that were blocked, and the bytes out that they name.
type refused struct{ rows, out int64 }

func (r *refused) merge(n refused) {
	r.rows += n.rows
	r.out = addBytes(r.out, n.out)
}

func newVolumeSection() *volumeSection {
	return &volumeSection{
		groups: columnar.NewGroups(), cells: chunksFrom1[volume](), onlys: chunksFrom1[only](), rest: chunksFrom1[others](), hourly: newHourSums(),
		met: columnar.NewGroups(), lastMet: chunksFrom1[int64](), refused: map[int32]refused{}, totals: map[uint32]*total{},
	}
}

func (p *volumeSection) reset() {
	p.resetCells()
	p.came.Reset()
	p.used.Reset()
	clear(p.totals)
	p.asks = false
	clear(p.alone)
}

// resetCells empties what the section has of cells.
func (p *volumeSection) resetCells() {
	p.groups.Reset()
	p.met.Reset()
	p.lastMet.cut(1)
	p.cells.cut(1)
	p.onlys.cut(1)
	p.rest.cut(1)
	p.hourly.reset()
	clear(p.refused)
}

// A volume has the measures of a Summary that volumes takes.
type volume struct {
	counts
	peak      sight
	below     int64     // rows with so few bytes out are not evidence
	restAt    int32     // index of its other evidence in a section; 0: it has none
	hourlyAt  hourList  // its list in a section
	addresses [4]uint32 // the last that the entity came from; 0: fewer
}

// volumeParts are what most volumes have little of, apart from their cells.
type volumeParts struct {
	rest    others
	refused refused
	hourly  hourly
}

// counts are the measures that are only added up.
type counts struct {
	events, out, in    int64
	knownOut, knownIn  int64
	first, last, hours int64
}

// merge adds the counts of other rows.
func (c *counts) merge(n *counts) {
	c.events += n.events
	c.out = addBytes(c.out, n.out)
	c.in = addBytes(c.in, n.in)
	c.knownOut += n.knownOut
	c.knownIn += n.knownIn
	c.first = min(c.first, n.first)
	c.last = max(c.last, n.last)
	c.hours |= n.hours
}

// append appends c to the value of a record.
func (c *counts) append(b []byte, midnight int64) []byte {
	for _, n := range [...]int64{c.events, c.out, c.in, c.knownOut, c.knownIn, c.first - midnight, c.last - midnight, c.hours} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

// counts reads what append wrote.
func (d *decoder) counts(midnight int64) (c counts) {
	for _, field := range [...]*int64{&c.events, &c.out, &c.in, &c.knownOut, &c.knownIn, &c.first, &c.last, &c.hours} {
		*field = int64(d.uvarint())
	}
	c.first += midnight
	c.last += midnight
	return c
}

func newVolumes(o *FoldOptions) *volumes {
	v := &volumes{
		o:         o,
		entities:  newEntities(o, userEntity, addressEntity, hostEntity),
		objects:   columnar.NewDict(),
		places:    newPlacer(minPlaceBytes),
		addresses: columnar.NewDict(),
		sections:  newSections(newVolumeSection, (*volumeSection).reset),
		internal:  columnar.Lookup[bool]{Func: scan.IsInternal},
	}
	v.address.Func = func(text []byte) uint32 { return uint32(v.addresses.Code(text)) }
	if !o.CountBlocked {
		v.blockers = newBlockers()
	}
	return v
}

// Fold implements Folder. Rows of network with a uid are left out: they come again, joined.
func (v *volumes) Fold(b *columnar.Batch) {
	if b.Server {
		return
	}
	parts := 0 // rows that are parts of connections
	if b.Table == columnar.Network {
		parts = b.Known(columnar.UID)
	}
	if parts == b.Len() {
		return
	}
	who := v.entities.of(b)
	if parts > 0 {
		ends, _ := b.Texts(columnar.UID)
		for i, end := range ends[1:] {
			if end > ends[i] {
				who[i] = 0
			}
		}
	}
	var what []uint32
	if v.object != nil {
		what = v.object(b)
	}
	if v.blockers != nil {
		v.actions, v.blocked = v.blockers.of(b)
	}
	v.out, v.in = bytesOf(b, columnar.BytesOut), bytesOf(b, columnar.BytesIn)
	if b.Table == columnar.Network && b.Known(columnar.DstIP) > 0 {
		v.inwards(b, who)
	}
	if v.nameless = nil; v.external != nil && b.Table == columnar.Network {
		v.askers(b)
	}
	v.places.begin(b)
	var codes []int32
	var counted []bool
	if v.counted != nil {
		codes, counted = v.counted(b)
	}
	v.sections.runs(b, feedOf(b), v.o, func(p *volumeSection, from, to int) {
		if v.listUsed {
			v.use(p, who[from:to], what[from:to], from)
		}
		for from < to {
			if what != nil {
				from = v.stride.gather(who, what, codes, counted, from, to)
				v.placePairs(p, b)
			} else {
				from = v.place(p, b, who, from, to)
			}
			v.load(p)
			v.add(p, b)
			if v.countAddresses {
				v.came(p, b)
			}
		}
	})
}

// inwards leaves out the rows to internal addresses, as bytes sent there have not left, but for
// those of what is served.
func (v *volumes) inwards(b *columnar.Batch, who []uint32) {
	codes, dict := b.Codes(columnar.DstIP)
	inside := v.internal.Of(dict)
	if v.served != nil {
		v.served.find(b, who, codes, inside)
	}
	for i, code := range codes {
		if inside[code] {
			who[i] = 0
		}
	}
	if v.served != nil && len(v.served.rows) > 0 {
		v.out, v.in = v.served.turn(b, who)
	}
}

// place takes rows into the stride, finds their cells, and returns the row after them.
func (v *volumes) place(p *volumeSection, b *columnar.Batch, who []uint32, from, to int) int {
	times := b.Int64(columnar.Time)
	s, n := &v.stride, 0
	to = min(to, from+foldRows)
	for i := from; i < to; i++ {
		if who[i] == 0 {
			continue
		}
		slot := int32(0)
		if int(who[i]) < len(p.alone) {
			slot = p.alone[who[i]]
		}
		if slot == 0 {
			slot = p.groups.Slot(who[i], 0)
			if n := int(who[i]) + 1 - len(p.alone); n > 0 {
				p.alone = append(p.alone, make([]int32, n)...)
			}
			p.alone[who[i]] = slot
			if int(slot) == p.cells.n {
				p.cells.add(volume{counts: counts{first: times[i], last: times[i]}})
			}
		}
		s.rows[n], s.who[n], s.cells[n] = int32(i), who[i], slot
		n++
	}
	s.n = n
	return to
}

// gather takes the rows that count into the stride, until it is full, and returns the row after
// them.
func (s *volumeStride) gather(who, what []uint32, codes []int32, counted []bool, from, to int) int {
	n := 0
	for ; from < to && n < foldRows; from++ {
		counts := min(who[from], what[from], 1) // without a jump that the processor could not foretell
		if counted != nil {
			is := uint32(0)
			if counted[codes[from]] {
				is = 1
			}
			counts &= is
		}
		s.rows[n], s.who[n], s.what[n] = int32(from), who[from], what[from]
		n += int(counts)
	}
	s.n = n
	return from
}

// load brings the cells of rows into the cache.
func (v *volumes) load(p *volumeSection) {
	touch(v.stride.cells[:v.stride.n], func(cell int32) int64 {
		c := p.cells.at(cell)
		return c.events + c.below
	})
}

// placePairs finds the cells of the rows in the stride, of a table with objects. The first row of
// a pair becomes an only if it fits, and then needs no cell.
func (v *volumes) placePairs(p *volumeSection, b *columnar.Batch) {
	s := &v.stride
	if s.n == 0 {
		return
	}
	times := b.Int64(columnar.Time)
	midnight := int64(v.o.dayOf(times[s.rows[0]])) * dayMicros
	slots := s.slots[:s.n]
	p.groups.Slots(slots, s.who[:s.n], s.what[:s.n])
	touch(slots, func(slot int32) int64 {
		if int(slot) >= p.onlys.n {
			return 0 // made below
		}
		return int64(p.onlys.at(slot).cell)
	})
	for k, slot := range slots {
		i := int(s.rows[k])
		s.cells[k] = 0
		if v.nameless != nil && v.nameless[s.what[k]] {
			p.asks = true
			if entityKind(s.who[k]&3) != addressEntity && v.clients[i] != 0 {
				p.meet(slot, v.clients[i], times[i])
			}
		}
		if int(slot) == p.onlys.n {
			first, ok := v.onlyOf(b, i, midnight)
			if ok = ok && !v.isBlocked(i); !ok {
				first = only{cell: int32(p.cells.n)}
				p.cells.add(volume{counts: counts{first: times[i], last: times[i]}})
			}
			p.onlys.add(first)
			if ok {
				continue
			}
		}
		o := p.onlys.at(slot)
		if o.cell == 0 {
			o.cell = int32(p.cells.n)
			p.cells.add(o.volume(midnight))
		}
		s.cells[k] = o.cell
	}
}

// use records which objects the entities of rows used. from is the first row.
func (v *volumes) use(p *volumeSection, who, what []uint32, from int) {
	if v.blocked != nil {
		used := v.used[:len(what)]
		for i, action := range v.actions[from:][:len(what)] {
			used[i] = what[i]
			if v.blocked[action] {
				used[i] = 0
			}
		}
		what = used
	}
	p.used.Add(who, what)
}

// askers finds which objects have no name, and the clients of the rows of a batch.
func (v *volumes) askers(b *columnar.Batch) {
	v.nameless = v.external.Of(v.objects)
	v.clients = append(v.clients[:0], make([]uint32, b.Len())...)
	if b.Known(columnar.SrcIP) > 0 {
		codes, dict := b.Codes(columnar.SrcIP)
		addresses := v.address.Of(dict)
		for i, code := range codes {
			v.clients[i] = addresses[code]
		}
	}
}

// meet records that the entity of a slot came from an address.
func (p *volumeSection) meet(slot int32, client uint32, us int64) {
	pair := p.met.Slot(uint32(slot), client)
	if int(pair) == p.lastMet.n {
		p.lastMet.add(us)
	}
	last := p.lastMet.at(pair)
	*last = max(*last, us)
}

// isBlocked reports whether a row of the batch was blocked.
func (v *volumes) isBlocked(row int) bool { return v.blocked != nil && v.blocked[v.actions[row]] }

func (v *volumes) add(p *volumeSection, b *columnar.Batch) {
	times := b.Int64(columnar.Time)
	out, outValid := v.out.of, v.out.known
	in, inValid := v.in.of, v.in.known
	actions, blockedBy := v.actions, v.blocked
	s := &v.stride
	turns, seen := v.turns[:0], v.seen[:0]
	for k, cell := range s.cells[:s.n] {
		if cell == 0 {
			continue
		}
		i := int(s.rows[k])
		c := p.cells.at(cell)
		blocked := blockedBy != nil && blockedBy[actions[i]]
		hour, hours := hourOf(times[i]), c.hours
		c.hours |= 1 << hour
		if !b.Repeats(i) {
			c.events++
			if blocked {
				n := p.refused[cell]
				n.merge(refused{1, out[i]})
				p.refused[cell] = n
			} else {
				if out[i] > 0 && hour != c.hourlyAt.hour() {
					turns = append(turns, c.hourlyAt.begin(cell, hour, c.out, hours>>hour&1 != 0))
				}
				c.out = addBytes(c.out, out[i])
				c.in = addBytes(c.in, in[i])
			}
			c.knownOut += int64(outValid.Bit(i))
			c.knownIn += int64(inValid.Bit(i))
		}
		// The rest does not depend on how often a row is seen, so it does not matter
		// which copy of an event is the one that counts.
		c.first = min(c.first, times[i])
		c.last = max(c.last, times[i])
		if out[i] > c.below && !blocked {
			seen = append(seen, int32(k))
		}
	}
	// What cells refer to is another load, which few rows need.
	touch(turns, func(t hourTurn) int64 { return p.hourly.load(p.cells.at(t.cell).hourlyAt, &t) })
	touch(seen, func(k int32) int64 {
		o := p.rest.at(p.cells.at(s.cells[k]).restAt)
		return int64(o.n) + o.of[len(o.of)-1].bytes
	})
	for k := range turns {
		p.hourly.turn(&p.cells.at(turns[k].cell).hourlyAt, &turns[k])
	}
	for _, k := range seen {
		i := int(s.rows[k])
		if c := p.cells.at(s.cells[k]); out[i] > c.below {
			v.see(p, c, sight{out[i], times[i], v.places.of(b, i)})
		}
	}
}

// came records the addresses that users and hosts came from.
func (v *volumes) came(p *volumeSection, b *columnar.Batch) {
	if b.Known(columnar.SrcIP) == 0 {
		return
	}
	s, from := &v.stride, 0
	for from < s.n && entityKind(s.who[from]&3) == addressEntity {
		from++
	}
	if from == s.n {
		return // as in flow logs: the addresses need no numbers
	}
	codes, dict := b.Codes(columnar.SrcIP)
	address := v.address.Of(dict)
	var slots, addresses [foldRows]uint32 // addresses that leave their cell for another one
	n := 0
	for k := from; k < s.n; k++ {
		a, slot := address[codes[s.rows[k]]], s.cells[k]
		if a == 0 || entityKind(s.who[k]&3) == addressEntity {
			continue
		}
		// Most users come from a few addresses, in no order that the processor could foretell:
		// one jump says whether a is any of them. No product of two numbers that are not 0 is 0.
		known := &p.cells.at(slot).addresses
		if min(uint64(a^known[0])*uint64(a^known[1]), uint64(a^known[2])*uint64(a^known[3])) != 0 {
			slots[n], addresses[n] = uint32(slot), known[3]
			n += int(min(known[3], 1))
			copy(known[1:], known[:])
			known[0] = a
		}
	}
	p.came.Add(slots[:n], addresses[:n])
}

// see takes a row as evidence of a cell, if it is among those with the most bytes.
func (v *volumes) see(p *volumeSection, c *volume, n sight) {
	other, ok := v.places.take(&c.peak, n)
	if ok && other.bytes >= minPlaceBytes {
		if c.restAt == 0 {
			c.restAt = int32(p.rest.n)
			p.rest.add(others{})
		}
		v.places.offer(p.rest.at(c.restAt), other)
	}
	c.below = min(c.peak.bytes, minPlaceBytes) - 1
	if o := p.rest.at(c.restAt); o.n == len(o.of) {
		c.below = o.of[o.n-1].bytes - 1
	}
}

// names returns the bytes that the names take.
func (v *volumes) names() int {
	return v.entities.size() + v.objects.Memory() + v.places.logs.Memory() + v.addresses.Memory()
}

// Size implements Folder.
func (v *volumes) Size() int {
	n := v.names()
	for _, p := range v.sections.all {
		if p.hourly.full() {
			return math.MaxInt
		}
		n += p.groups.Size() + p.came.Size() + p.met.Size() + p.lastMet.size() + p.used.Size() + 4*len(p.alone) + p.cells.size() + p.onlys.size() + p.rest.size() + p.hourly.size() + 48*len(p.refused)
	}
	return n
}

// Drain implements Folder. A record's value is what appendVolume writes, and then the
// hash of each address, in any order and sometimes twice.
func (v *volumes) Drain(w *RunWriter) {
	order := newKeyOrder(v.entities, v.objects, v.sections.groups(func(p *volumeSection) *columnar.Groups { return p.groups }))
	hashes := make([]uint64, v.addresses.Len())
	for code := range hashes {
		hashes[code] = v.o.hash(v.addresses.Text(int32(code)))
	}
	var value []byte
	for _, at := range v.sections.sorted() {
		p := v.sections.all[at]
		ends, came := textsBySlot(&p.came, p.groups.Len()) // those that are in no cell
		for slot, k := range order.keys(at, p.groups) {
			c := p.cell(slot, at.day)
			value = v.appendVolume(value[:0], &c, p.partsOf(slot, &c), at.day, k.shown)
			for _, code := range c.addresses {
				if code != 0 {
					value = binary.LittleEndian.AppendUint64(value, hashes[code])
				}
			}
			for _, pair := range came[ends[slot-1]:ends[slot]] {
				_, code := pair.Codes()
				value = binary.LittleEndian.AppendUint64(value, hashes[code])
			}
			w.record(k.key, 0, value)
		}
		v.sections.drop(at)
	}
}

// cell returns the cell of a slot.
func (p *volumeSection) cell(slot int32, day Day) volume {
	if p.onlys.n == 1 {
		return *p.cells.at(slot)
	}
	o := p.onlys.at(slot)
	if o.cell == 0 {
		return o.volume(int64(day) * dayMicros)
	}
	return *p.cells.at(o.cell)
}

// refusedOf returns what was blocked of a slot.
func (p *volumeSection) refusedOf(slot int32) refused {
	if len(p.refused) == 0 {
		return refused{}
	}
	if p.onlys.n > 1 {
		slot = p.onlys.at(slot).cell
	}
	return p.refused[slot]
}

// partsOf returns what the section has of a cell, which is that of a slot.
func (p *volumeSection) partsOf(slot int32, c *volume) *volumeParts {
	parts := &p.parts
	parts.refused, parts.rest, parts.hourly = p.refusedOf(slot), *p.rest.at(c.restAt), hourly{}
	p.hourly.addTo(&parts.hourly, c.hourlyAt, c.out)
	return parts
}

// out returns the bytes out of a slot, if there are objects.
func (p *volumeSection) out(slot int32) int64 {
	switch o := p.onlys.at(slot); {
	case o.cell != 0:
		return p.cells.at(o.cell).out
	case o.when&4 == 0:
		return int64(o.out)
	}
	return 0
}

// leave removes the slots for which out returns true, if there are objects.
func (p *volumeSection) leave(out func(slot int32) bool) {
	groups := columnar.NewGroups()
	for slot := int32(1); int(slot) < p.groups.Len(); slot++ {
		if !out(slot) {
			*p.onlys.at(groups.Slot(p.groups.Key(slot))) = *p.onlys.at(slot)
		}
	}
	p.groups = groups
	p.onlys.cut(groups.Len())
	p.met.Reset() // its slots are gone
	p.lastMet.cut(1)
}
