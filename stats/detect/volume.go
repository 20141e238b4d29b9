package detect

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"unsafe"

	"outflow/columnar"
)

// volumes folds bytes by entity and object: the table behind user_day and
// user_destination_day.
type volumes struct {
	o        *FoldOptions
	entities *entities
	objects  *columnar.Dict // code 0: no object
	logs     *columnar.Dict // names of log objects, for evidence
	parts    parts[volumePart]

	// object returns each row's object as a code of objects, 0 for a row that
	// does not belong here. Nil: every row belongs, under no object.
	object   func(b *columnar.Batch) []uint32
	internal columnar.Lookup[bool]
}

type volumePart struct {
	groups *columnar.Groups
	cells  []volume // by slot
}

// volume is the part of a Summary that volumes measures, in integers.
type volume struct {
	events, out, in    int64
	knownOut, knownIn  int64
	first, last, hours int64
	peak, peakTime     int64
	peakRecord         int64
	peakLog            int32
}

func newVolumes(o *FoldOptions) *volumes {
	return &volumes{
		o:        o,
		entities: newEntities(userEntity, addressEntity, hostEntity),
		objects:  columnar.NewDict(),
		logs:     columnar.NewDict(),
		parts:    newParts(func() *volumePart { return &volumePart{columnar.NewGroups(), make([]volume, 1)} }),
		internal: columnar.Lookup[bool]{Func: internal},
	}
}

// Fold implements Folder.
func (v *volumes) Fold(b *columnar.Batch) {
	who := v.entities.of(b)
	var what []uint32
	if v.object != nil {
		what = v.object(b)
	}
	if b.Table == columnar.Network && b.Known(columnar.DstIP) > 0 {
		// What goes to an internal address has not left.
		codes, dict := b.Codes(columnar.DstIP)
		inside := v.internal.Of(dict)
		for i, code := range codes {
			if inside[code] {
				who[i] = 0
			}
		}
	}
	log := v.logs.Code([]byte(b.Object))
	v.parts.days(b, feedOf(b), v.o, func(p *volumePart, from, to int) { v.add(p, b, who, what, log, from, to) })
}

func (v *volumes) add(p *volumePart, b *columnar.Batch, who, what []uint32, log int32, from, to int) {
	times := b.Int64(columnar.Time)
	out, outValid := b.Int64(columnar.BytesOut), b.Valid(columnar.BytesOut)
	in, inValid := b.Int64(columnar.BytesIn), b.Valid(columnar.BytesIn)
	for i := from; i < to; i++ {
		if who[i] == 0 {
			continue
		}
		var object uint32
		if what != nil {
			if object = what[i]; object == 0 {
				continue
			}
		}
		slot := p.groups.Slot(who[i], object)
		if int(slot) == len(p.cells) {
			p.cells = append(p.cells, volume{first: times[i], last: times[i]})
		}
		c := &p.cells[slot]
		if b.Repeat == nil || b.Repeat[i>>3]>>(i&7)&1 == 0 {
			c.events++
			c.out = addBytes(c.out, out[i])
			c.in = addBytes(c.in, in[i])
			c.knownOut += int64(outValid[i>>3] >> (i & 7) & 1)
			c.knownIn += int64(inValid[i>>3] >> (i & 7) & 1)
		}
		// The rest is the same however often a row is seen, so that it does not
		// matter which of an event's copies is the one that counts.
		c.first = min(c.first, times[i])
		c.last = max(c.last, times[i])
		c.hours |= hourBit(times[i])
		if out[i] >= c.peak && out[i] > 0 {
			offer(v.logs, c, volume{peak: out[i], peakTime: times[i], peakRecord: b.First + int64(b.Record[i]), peakLog: log})
		}
	}
}

// addBytes adds counts of bytes, neither negative. A sum beyond int64 stays at its
// end, in whatever order it is made: two false counts in a log must not turn a
// day's upload into a small or negative one.
func addBytes(a, b int64) int64 {
	if a += b; a < 0 {
		return math.MaxInt64
	}
	return a
}

// offer makes n's peak that of c if it is larger, or as large and earlier.
func offer(logs *columnar.Dict, c *volume, n volume) {
	if n.peak < c.peak || n.peak == 0 {
		return
	}
	if n.peak == c.peak {
		if n.peakTime > c.peakTime {
			return
		}
		if n.peakTime == c.peakTime {
			if o := bytes.Compare(logs.Text(n.peakLog), logs.Text(c.peakLog)); o > 0 || o == 0 && n.peakRecord >= c.peakRecord {
				return
			}
		}
	}
	c.peak, c.peakTime, c.peakRecord, c.peakLog = n.peak, n.peakTime, n.peakRecord, n.peakLog
}

// Size implements Folder.
func (v *volumes) Size() int {
	n := v.entities.size() + sizeOf(v.objects) + sizeOf(v.logs)
	for _, p := range v.parts.all {
		n += p.groups.Size() + cap(p.cells)*int(unsafe.Sizeof(volume{}))
	}
	return n
}

// Drain implements Folder.
func (v *volumes) Drain(w *RunWriter) {
	order := newKeyOrder(v.entities, v.objects)
	var key, value []byte
	for _, at := range v.parts.sorted() {
		p := v.parts.all[at]
		for _, slot := range order.slots(p.groups) {
			who, what := p.groups.Key(slot)
			kind, name := v.entities.key(who)
			key = appendKey(key[:0], at.day, at.feed, kind, name, string(v.objects.Text(int32(what))))
			value = v.appendVolume(value[:0], &p.cells[slot], at.day)
			w.record(key, 0, value)
		}
		delete(v.parts.all, at)
	}
}

func (v *volumes) appendVolume(b []byte, c *volume, day Day) []byte {
	midnight := int64(day) * dayMicros
	for _, n := range [...]int64{c.events, c.out, c.in, c.knownOut, c.knownIn, c.first - midnight, c.last - midnight, c.hours, c.peak} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	if c.peak > 0 {
		b = binary.AppendUvarint(b, uint64(c.peakTime-midnight))
		b = binary.AppendUvarint(b, uint64(c.peakRecord))
		b = appendBytes(b, v.logs.Text(c.peakLog))
	}
	return b
}

// A volumeMerger adds volumes up.
type volumeMerger struct {
	// keep reports whether there is to be a row. Nil: of all.
	keep  func(object string, c *volume) bool
	logs  *columnar.Dict // as in volumes
	c     volume
	begun bool
}

func newVolumeMerger(keep func(object string, c *volume) bool) *volumeMerger {
	return &volumeMerger{keep: keep, logs: columnar.NewDict()}
}

// Add implements Merger.
func (m *volumeMerger) Add(day Day, _ uint64, value []byte) error {
	d := decoder{b: value}
	midnight := int64(day) * dayMicros
	var n volume
	for _, field := range [...]*int64{&n.events, &n.out, &n.in, &n.knownOut, &n.knownIn, &n.first, &n.last, &n.hours, &n.peak} {
		*field = int64(d.uvarint())
	}
	n.first += midnight
	n.last += midnight
	if n.peak > 0 {
		n.peakTime = int64(d.uvarint()) + midnight
		n.peakRecord = int64(d.uvarint())
		n.peakLog = m.logs.Code(d.bytes())
	}
	if d.bad {
		return errRun
	}
	c := &m.c
	if !m.begun {
		m.begun, *c = true, n
		return nil
	}
	c.events += n.events
	c.out = addBytes(c.out, n.out)
	c.in = addBytes(c.in, n.in)
	c.knownOut += n.knownOut
	c.knownIn += n.knownIn
	c.first = min(c.first, n.first)
	c.last = max(c.last, n.last)
	c.hours |= n.hours
	offer(m.logs, c, n)
	return nil
}

// Row implements Merger.
func (m *volumeMerger) Row(r *Row) bool {
	c := &m.c
	m.begun = false
	if m.keep != nil && !m.keep(r.Object, c) {
		return false
	}
	r.Summary = Summary{
		Events: c.events, BytesOut: c.out, BytesIn: c.in, KnownOut: c.knownOut, KnownIn: c.knownIn,
		First: c.first, Last: c.last, Hours: c.hours, PeakOut: c.peak, PeakTime: c.peakTime,
	}
	if c.peak > 0 {
		r.Evidence = string(m.logs.Text(c.peakLog)) + ":" + strconv.FormatInt(c.peakRecord, 10)
	}
	return true
}
