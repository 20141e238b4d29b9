package detect

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"unsafe"

	"outflow/columnar"
)

// ObjectDay counts what each entity downloaded from each place in a day.
var ObjectDay = &Aggregate{
	Name: "object_day",
	Doc: "Downloads of each entity (user, else address, else host) and UTC day from each place of the company's own: a bucket, a site, an " +
		"organisation's repositories, a web server, a machine that shares files by SMB, NFS or AFP, the sessions of a VPN: calls, distinct objects, bytes in, addresses, applications, accounts, and the busiest hour " +
		"of the clock. Failed calls are counted separately. Of addresses without a user, places are left out from which they had " +
		"less than 1 MB and fewer than 10 objects.",
	// 2: mails and files that Microsoft Graph hands out, and what endpoint DLP saw taken; 3: functions,
	// images and lists of AWS, secrets of Google Cloud, mail folders, reports of Power BI, projects of GitLab,
	// spaces of Confluence, what applications read with a token, and connections to file servers inside; 4: results and
	// tables of more databases, projects of CodeCommit, passwords of 1Password and Bitwarden, and what Windows saw taken; 5: sessions of a VPN; 6: exports
	// from Dynamics 365; 7: services and operations in any case, and what sessions of Teleport brought.
	Rev:     7,
	Tables:  []*columnar.Table{columnar.API, columnar.HTTP, columnar.Network},
	Serving: true,
	Joins:   true,
	Reads: entityReads | columnar.ColSet(columnar.Time, columnar.Service, columnar.Operation, columnar.Resource, columnar.Status,
		columnar.BytesIn, columnar.EventUID, columnar.DstIP, columnar.DstHost, columnar.DstPort, columnar.Protocol, columnar.Action),
	Wants: func(o *FoldOptions) (w columnar.Wanted) {
		w = volumeWants(o)
		w.Of[columnar.API.ID] = columnar.ColSet(columnar.UserAgent)
		for _, name := range signedFields {
			w.Fields[columnar.API.ID] = append(w.Fields[columnar.API.ID], columnar.WantedField{Name: name})
		}
		w.Served = columnar.ColSet(columnar.Method, columnar.URLHost, columnar.URLPath, columnar.StatusCode, columnar.UserAgent)
		return w
	},
	Depends: func(o *FoldOptions) []any { return []any{o.CountBlocked} },
	Past:    []string{"events", "bytes_in", "known_in", "names", "window_names", "addresses", "agents", "signed", "clients"},
	New:     func(o *FoldOptions) Folder { return newDownloads(o) },
	Merger:  func(*FoldOptions) Merger { return &downloadMerger{placer: newPlacer(1)} },
}

const (
	// maxClients is how many addresses and how many applications of an entity are kept by
	// name. People have a few. An entity with more has new ones every day, and nobody could
	// tell which of them matter.
	maxClients = 8
	// An address that nobody is known by needs minAnonymousBytes or minAnonymousObjects
	// from a place to be kept: the visitors of a public site are without number.
	minAnonymousBytes   = 1e6
	minAnonymousObjects = 10
	// minPlacesObjects is as minPlacesBytes: no detection finds fewer objects unusual.
	minPlacesObjects = 50
)

// downloads folds downloads by entity and place.
type downloads struct {
	o        *FoldOptions
	entities *entities
	objects  *columnar.Dict // the places
	find     *downloader
	placer   *placer
	sections sections[downloadSection]
	blockers *blockers // nil: failed calls count as downloads
	signed   []columnar.Lookup[bool]
	clients  [numClientKinds]clientKind
	slots    [columnar.BatchRows]int32
	named    [foldRows]objectRead // of the rows at hand
}

// The kinds of what an entity came from or used.
const (
	clientAddress = iota
	clientAgent
	clientAccount
	numClientKinds
)

// A clientKind numbers the texts of a column.
type clientKind struct {
	col     columnar.Col
	texts   *columnar.Dict
	numbers columnar.Lookup[uint32]
}

type downloadSection struct {
	groups *columnar.Groups
	cells  chunks[downloadCell] // by slot
	reads  []objectRead
	rest   chunks[others]                 // evidence after the peak, by downloadCell.rest
	hourly hourSums                       // of bytes in, by downloadCell.hourly
	table  []uint32                       // reads by their keys, see place; 0 if free
	used   [numClientKinds]columnar.Pairs // of a slot and a text of the kind
	loaded uint32                         // lets the loads of read not be left out
}

// A downloadCell has the measures of a place. Its peak is the bytes in of a row and one
// more, so that a row without any has one too.
type downloadCell struct {
	counts
	peak           sight
	failed, signed int64
	recent         [numClientKinds]uint32 // the texts of the row before
	rest           int32                  // index of its other evidence in a section; 0: it has none
	hourly         hourList               // its list in a section
}

// An objectRead says in which hours of the day an object was read. The key is the hash
// of the object's name and the slot: two objects of an entity are mistaken for one if
// 64 bits agree, by a chance of one in 10^7 among a million.
type objectRead struct {
	key   uint64
	slot  int32
	hours uint32
}

func newDownloads(o *FoldOptions) *downloads {
	objects := columnar.NewDict()
	d := &downloads{
		o:        o,
		entities: newEntities(o, userEntity, addressEntity, hostEntity),
		objects:  objects,
		find:     newDownloader(objects),
		placer:   newPlacer(1),
		sections: newSections(newDownloadSection, (*downloadSection).reset),
		signed:   make([]columnar.Lookup[bool], len(signedFields)),
	}
	if !o.CountBlocked {
		d.blockers = newBlockers()
	}
	for i := range d.signed {
		d.signed[i].Func = signedBy
	}
	for kind, col := range [numClientKinds]columnar.Col{columnar.SrcIP, columnar.UserAgent, columnar.Account} {
		texts := columnar.NewDict()
		d.clients[kind] = clientKind{col: col, texts: texts}
		d.clients[kind].numbers.Func = func(text []byte) uint32 {
			if kind == clientAgent {
				text = application(text)
			}
			return uint32(texts.Code(text))
		}
	}
	return d
}

func newDownloadSection() *downloadSection {
	return &downloadSection{groups: columnar.NewGroups(), cells: chunksFrom1[downloadCell](), rest: chunksFrom1[others](), hourly: newHourSums(), table: make([]uint32, 256)}
}

func (p *downloadSection) reset() {
	p.groups.Reset()
	p.cells.cut(1)
	p.rest.cut(1)
	p.hourly.reset()
	p.reads = p.reads[:0]
	clear(p.table)
	for kind := range p.used {
		p.used[kind].Reset()
	}
}

// Fold implements Folder.
func (d *downloads) Fold(b *columnar.Batch) {
	if b.Table == columnar.HTTP && !b.Server || b.Table == columnar.Network && b.Server {
		return // what a client fetched through a proxy came from anywhere
	}
	what, names := d.find.of(b)
	if !slices.ContainsFunc(what, func(code uint32) bool { return code != 0 }) {
		return
	}
	who := d.entities.of(b)
	d.placer.begin(b)
	d.sections.days(b, feedOf(b), d.o, func(p *downloadSection, from, to int) {
		d.place(p, b, who, what, from, to)
		d.add(p, b, names, from, to)
		for kind := range d.clients {
			d.use(p, b, kind, who, from, to)
		}
		d.sign(p, b, from, to)
	})
}

// place finds the cells of rows; 0 means a row to leave out.
func (d *downloads) place(p *downloadSection, b *columnar.Batch, who, what []uint32, from, to int) {
	times := b.Int64(columnar.Time)
	for i := from; i < to; i++ {
		if d.slots[i] = 0; who[i] == 0 || what[i] == 0 {
			continue
		}
		slot := p.groups.Slot(who[i], what[i])
		if int(slot) == p.cells.n {
			p.cells.add(downloadCell{counts: counts{first: times[i], last: times[i]}})
		}
		d.slots[i] = slot
	}
}

// add adds the measures of rows to their cells.
func (d *downloads) add(p *downloadSection, b *columnar.Batch, names columnar.Col, from, to int) {
	var statuses []int32 // of requests
	var codes []int32
	var failures []bool
	if b.Table == columnar.HTTP {
		statuses = b.Int32(columnar.StatusCode)
	} else if d.blockers != nil {
		codes, failures = d.blockers.of(b)
	}
	times := b.Int64(columnar.Time)
	in, inValid := b.Int64(columnar.BytesIn), b.Valid(columnar.BytesIn)
	var offsets, callEnds []int32 // of the names of objects, which connections do not have
	var texts, calls []byte
	if b.Table != columnar.Network {
		offsets, texts = b.Texts(names)
		callEnds, calls = offsets, texts
	}
	if b.Table == columnar.API {
		callEnds, calls = b.Texts(columnar.EventUID)
	}
	named := d.named[:0]
	for i := from; i < to; i++ {
		slot := d.slots[i]
		if slot == 0 {
			continue
		}
		c := p.cells.at(slot)
		failed := failures != nil && failures[codes[i]] || statuses != nil && refusedAnswer(statuses[i])
		hour, hours := hourOf(times[i]), c.hours
		c.hours |= 1 << hour
		if !b.Repeats(i) {
			c.events++
			if failed {
				c.failed++
			} else {
				if in[i] > 0 && hour != c.hourly.hour() {
					turn := c.hourly.begin(slot, hour, c.in, hours>>hour&1 != 0)
					p.hourly.turn(&c.hourly, &turn)
				}
				c.in = addBytes(c.in, in[i])
			}
			c.knownIn += int64(inValid.Bit(i))
		}
		c.first = min(c.first, times[i])
		c.last = max(c.last, times[i])
		if failed {
			continue
		}
		d.see(p, c, sight{min(max(in[i], 0), math.MaxInt64-1) + 1, times[i], d.placer.of(b, i)})
		if offsets == nil {
			continue
		}
		name := texts[offsets[i]:offsets[i+1]]
		if d.find.pages[i] {
			name = calls[callEnds[i]:callEnds[i+1]]
		}
		if len(name) > 0 && (statuses == nil || isObject(name)) {
			named = append(named, objectRead{nameKey(d.o.hash(name), uint32(slot)), slot, uint32(hourBit(times[i]))})
		}
	}
	p.read(named)
}

// see takes a row as evidence of a cell.
func (d *downloads) see(p *downloadSection, c *downloadCell, n sight) {
	other, ok := d.placer.take(&c.peak, n)
	if !ok || other.bytes < d.placer.least {
		return
	}
	if c.rest == 0 {
		c.rest = int32(p.rest.n)
		p.rest.add(others{})
	}
	d.placer.offer(p.rest.at(c.rest), other)
}

// read adds the hours of objects that were read.
//
// Note: it first loads the places of all, so that they do not wait for each other's memory.
func (p *downloadSection) read(named []objectRead) {
	mask := uint64(len(p.table) - 1)
	var loaded uint32
	for i := range named {
		loaded |= p.table[named[i].key&mask]
	}
	p.loaded = loaded
	for i := range named {
		n := &named[i]
		at, known := p.place(n)
		if known {
			p.reads[p.table[at]&p.indexes()-1].hours |= n.hours
			continue
		}
		p.reads = append(p.reads, *n)
		p.enter(at, n.key, len(p.reads))
		if len(p.reads)*2 > len(p.table) {
			p.table = make([]uint32, 2*len(p.table))
			for index := range p.reads {
				r := &p.reads[index]
				mask := uint64(len(p.table) - 1)
				i := r.key & mask
				for p.table[i] != 0 {
					i = (i + 1) & mask
				}
				p.enter(i, r.key, index+1)
			}
		}
	}
}

// indexes returns the bits of an entry of the table that are the index of a read, from 1: the table
// is at most half full. The others are the first bits of its key, so that few reads of other keys
// are looked at.
func (p *downloadSection) indexes() uint32 { return uint32(len(p.table) - 1) }

func (p *downloadSection) enter(at, key uint64, index int) {
	p.table[at] = uint32(key>>32)&^p.indexes() | uint32(index)
}

// place returns the place of an object in the table, and whether it is known.
func (p *downloadSection) place(n *objectRead) (at uint64, known bool) {
	indexes, tag := p.indexes(), uint32(n.key>>32)
	for at = n.key & uint64(indexes); p.table[at] != 0; at = (at + 1) & uint64(indexes) {
		if entry := p.table[at]; (entry^tag)&^indexes == 0 {
			if r := &p.reads[entry&indexes-1]; r.key == n.key && r.slot == n.slot {
				return at, true
			}
		}
	}
	return at, false
}

// use records the addresses, applications or accounts of entities.
func (d *downloads) use(p *downloadSection, b *columnar.Batch, kind int, who []uint32, from, to int) {
	k := &d.clients[kind]
	if b.Known(k.col) == 0 {
		return
	}
	codes, dict := b.Codes(k.col)
	numbers := k.numbers.Of(dict)
	var slots, used [foldRows]uint32
	n := 0
	for i := from; i < to; i++ {
		slot, text := d.slots[i], numbers[codes[i]]
		if slot == 0 || text == 0 || kind == clientAddress && entityKind(who[i]&3) == addressEntity {
			continue
		}
		if recent := &p.cells.at(slot).recent[kind]; *recent != text {
			*recent = text
			slots[n], used[n] = uint32(slot), text
			n++
		}
	}
	p.used[kind].Add(slots[:n], used[:n])
}

// sign counts the calls that a link allowed.
func (d *downloads) sign(p *downloadSection, b *columnar.Batch, from, to int) {
	if b.Table != columnar.API {
		return
	}
	for f, name := range signedFields {
		codes, dict := b.Field(name)
		if codes == nil {
			continue
		}
		signed := d.signed[f].Of(dict)
		for i := from; i < to; i++ {
			if d.slots[i] != 0 && signed[codes[i]] && !b.Repeats(i) {
				p.cells.at(d.slots[i]).signed++
			}
		}
	}
}

// Size implements Folder.
func (d *downloads) Size() int {
	n := d.entities.size() + d.objects.Memory() + d.placer.logs.Memory()
	for kind := range d.clients {
		n += d.clients[kind].texts.Memory()
	}
	for _, p := range d.sections.all {
		if p.hourly.full() {
			return math.MaxInt
		}
		n += p.groups.Size() + p.cells.size() + len(p.reads)*int(unsafe.Sizeof(objectRead{})) + 4*len(p.table) + p.rest.size() + p.hourly.size()
		for kind := range p.used {
			n += p.used[kind].Size()
		}
	}
	return n
}

// hashBits is how many bits of an object's hash divide the objects of a busy key into
// records, so that a Merger need not hold all of them at once.
const hashBits = 8

// fewObjects is how many objects stay in a key's first record. With fewer, most records of a
// busy day would have one or two; with more, a Merger would hold many times 16 kB.
const fewObjects = 1 << 10

// Drain implements Folder. The records of a key are, by their sequence numbers,
//
//	0    the counts, bytes in by hour, failed and signed; the evidence; the spelling of the entity; of
//	     each kind of clients their number
//	     and hashes, and of addresses and applications the number of the least
//	     maxClients and these; and the objects, if they are few
//	1+h  the objects whose hashes begin with the bits h
//
// Objects are hashes with hours.
func (d *downloads) Drain(w *RunWriter) {
	order := newKeyOrder(d.entities, d.objects, d.sections.groups(func(p *downloadSection) *columnar.Groups { return p.groups }))
	var hashes [numClientKinds][]uint64
	for kind := range d.clients {
		texts := d.clients[kind].texts
		for code := range texts.Len() {
			hashes[kind] = append(hashes[kind], d.o.hash(texts.Text(int32(code))))
		}
	}
	var value []byte
	var twins twinRecords
	record := w.record
	if order.twins {
		record = twins.record
	}
	for _, at := range d.sections.sorted() {
		p := d.sections.all[at]
		ends, reads := p.readsBySlot()
		var used [numClientKinds][]columnar.Pair
		var usedEnds [numClientKinds][]int32
		for kind := range p.used {
			usedEnds[kind], used[kind] = textsBySlot(&p.used[kind], p.groups.Len())
		}
		for slot, k := range order.keys(at, p.groups) {
			if order.twins {
				twins.next(w, k.key)
			}
			value = d.appendCell(value[:0], p, slot, at.day)
			value = appendBytes(value, k.shown)
			for kind := range used {
				value = d.appendClients(value, kind, used[kind][usedEnds[kind][slot-1]:usedEnds[kind][slot]], hashes[kind])
			}
			objects := reads[ends[slot-1]:ends[slot]]
			if len(objects) <= fewObjects {
				record(k.key, 0, appendObjects(value, objects))
				continue
			}
			record(k.key, 0, value)
			for len(objects) > 0 {
				h := objects[0].key >> (64 - hashBits)
				n, _ := slices.BinarySearchFunc(objects, h+1, func(r objectRead, h uint64) int { return cmp.Compare(r.key>>(64-hashBits), h) })
				value = appendObjects(value[:0], objects[:n])
				record(k.key, 1+h, value)
				objects = objects[n:]
			}
		}
		twins.end(w)
		d.sections.drop(at)
	}
}

// readsBySlot brings the objects in the order of their slots, those of a slot from
// ends[slot-1] to ends[slot] and by their hashes, which take the place of the keys. They
// change places: a second list of them would be the most that a run needs at a time.
func (p *downloadSection) readsBySlot() (ends []int32, reads []objectRead) {
	ends = make([]int32, p.groups.Len()+1)
	for i := range p.reads {
		r := &p.reads[i]
		r.key = nameKey(r.key, uint32(r.slot)) // twice gives the hash back
		ends[r.slot+1]++
	}
	for slot := range p.groups.Len() {
		ends[slot+1] += ends[slot]
	}
	reads = p.reads
	limits := slices.Clone(ends[1:])
	for slot := range int32(p.groups.Len()) { // until ends[slot] is the end of its objects
		for ends[slot] < limits[slot] {
			at := ends[slot]
			if of := reads[at].slot; of != slot {
				reads[at], reads[ends[of]] = reads[ends[of]], reads[at]
				ends[of]++
			} else {
				ends[slot]++
			}
		}
	}
	for slot := 1; slot < p.groups.Len(); slot++ {
		slices.SortFunc(reads[ends[slot-1]:ends[slot]], compareReads)
	}
	return ends, reads
}

func compareReads(a, b objectRead) int { return cmp.Compare(a.key, b.key) }

func (d *downloads) appendCell(b []byte, p *downloadSection, slot int32, day Day) []byte {
	midnight := int64(day) * dayMicros
	c := p.cells.at(slot)
	b = c.counts.append(b, midnight)
	var h hourly
	p.hourly.addTo(&h, c.hourly, c.in)
	b = h.append(b, c.hours, c.in)
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(c.failed)), uint64(c.signed))
	return d.placer.append(b, c.peak, p.rest.at(c.rest), midnight)
}

func (d *downloads) appendClients(b []byte, kind int, used []columnar.Pair, hashes []uint64) []byte {
	b = binary.AppendUvarint(b, uint64(len(used)))
	for _, pair := range used {
		_, code := pair.Codes()
		b = binary.LittleEndian.AppendUint64(b, hashes[code])
	}
	if kind == clientAccount {
		return b
	}
	var least [maxClients + 1][]byte // and one to be dropped
	n := 0
	for _, pair := range used {
		_, code := pair.Codes()
		text := d.clients[kind].texts.Text(int32(code))
		at := n
		for at > 0 && bytes.Compare(text, least[at-1]) < 0 {
			least[at] = least[at-1]
			at--
		}
		if at < maxClients {
			least[at] = text
			n = min(n+1, maxClients)
		}
	}
	b = binary.AppendUvarint(b, uint64(n))
	for _, text := range least[:n] {
		b = appendBytes(b, text)
	}
	return b
}

func appendObjects(b []byte, objects []objectRead) []byte {
	for _, r := range objects {
		b = binary.AppendUvarint(binary.LittleEndian.AppendUint64(b, r.key), uint64(r.hours))
	}
	return b
}
