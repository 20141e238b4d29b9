package detect

import (
	"math"
	"strconv"

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
	object func(b *columnar.Batch) []uint32
	// keep reports whether Rows is to have a row. Nil: all.
	keep     func(object string, c *volume) bool
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
			v.offer(c, volume{peak: out[i], peakTime: times[i], peakRecord: b.First + int64(b.Record[i]), peakLog: log})
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
func (v *volumes) offer(c *volume, n volume) {
	if n.peak < c.peak || n.peak == 0 {
		return
	}
	if n.peak == c.peak {
		if n.peakTime > c.peakTime {
			return
		}
		if n.peakTime == c.peakTime {
			have, offered := string(v.logs.Text(c.peakLog)), string(v.logs.Text(n.peakLog))
			if offered > have || offered == have && n.peakRecord >= c.peakRecord {
				return
			}
		}
	}
	c.peak, c.peakTime, c.peakRecord, c.peakLog = n.peak, n.peakTime, n.peakRecord, n.peakLog
}

// Merge implements Folder.
func (v *volumes) Merge(other Folder) {
	w := other.(*volumes)
	for k, from := range w.parts.all {
		p := v.parts.of(k)
		for slot := int32(1); int(slot) < from.groups.Len(); slot++ {
			n := from.cells[slot]
			n.peakLog = v.logs.Code(w.logs.Text(n.peakLog))
			who, what := from.groups.Key(slot)
			s := p.groups.Slot(v.entities.adopt(w.entities, who), uint32(v.objects.Code(w.objects.Text(int32(what)))))
			if int(s) == len(p.cells) {
				p.cells = append(p.cells, n)
				continue
			}
			c := &p.cells[s]
			c.events += n.events
			c.out = addBytes(c.out, n.out)
			c.in = addBytes(c.in, n.in)
			c.knownOut += n.knownOut
			c.knownIn += n.knownIn
			c.first = min(c.first, n.first)
			c.last = max(c.last, n.last)
			c.hours |= n.hours
			v.offer(c, n)
		}
	}
}

// Rows implements Folder.
func (v *volumes) Rows() []Row {
	return v.parts.sorted(func(p *volumePart, k partKey, rows []Row) []Row {
		for slot := int32(1); int(slot) < p.groups.Len(); slot++ {
			c := &p.cells[slot]
			who, what := p.groups.Key(slot)
			object := string(v.objects.Text(int32(what)))
			if v.keep != nil && !v.keep(object, c) {
				continue
			}
			r := Row{Day: k.day, Key: Key{Feed: k.feed, Object: object}, Summary: Summary{
				Events: c.events, BytesOut: c.out, BytesIn: c.in, KnownOut: c.knownOut, KnownIn: c.knownIn,
				First: c.first, Last: c.last, Hours: c.hours, PeakOut: c.peak, PeakTime: c.peakTime,
			}}
			r.EntityType, r.Entity = v.entities.key(who)
			if c.peak > 0 {
				r.Evidence = string(v.logs.Text(c.peakLog)) + ":" + strconv.FormatInt(c.peakRecord, 10)
			}
			rows = append(rows, r)
		}
		return rows
	})
}
