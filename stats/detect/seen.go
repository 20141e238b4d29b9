package detect

import (
	"encoding/binary"
	"math"
	"slices"

	"outflow/columnar"
)

// Seen keeps which destinations each entity used in a day.
//
// An entity has one row without an object for a day, with its bytes and the names of all
// its destinations. It sorts before the rows of the entity's larger destinations, so a
// detection reads first what the entity did, and then where its bytes went.
//
// Note: the names of a day are one list, and not a row each. With 10,000 users and 300
// destinations a day, 90 days are 273 million pairs. As rows they take 13 bytes each in
// the state, and 1,850 ns each to merge: over 8 minutes a night, or a cached index
// that must be kept right. As lists they take 4 bytes and 150 ns: 40 seconds, and no index.
var Seen = &Aggregate{
	Name: "seen",
	Doc: "The destinations that each entity used in a UTC day, whatever the request and however few the bytes, as a list " +
		"in a row without an object that has the bytes to all of them; and the bytes by destination, for destinations " +
		"that got at least 1 MB. Destinations are those of user_destination_day. Blocked events are no use.",
	Rev:     1,
	Joins:   true,
	Tables:  []*columnar.Table{columnar.API, columnar.HTTP, columnar.Network},
	Reads:   volumeColumns | columnar.ColSet(columnar.Resource, columnar.URLHost, columnar.DstHost),
	Wants:   volumeWants,
	Depends: func(o *FoldOptions) []any { return []any{o.CountBlocked} },
	New:     func(o *FoldOptions) Folder { return newUsed(o) },
	Merger: func(*FoldOptions) Merger {
		return &usedMerger{volumeMerger: newVolumeMerger(func(object string, c *volume) bool {
			return object == "" || c.out >= minDestinationBytes
		})}
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

// used is the table of Seen.
type used struct {
	*uploads
	weights *Weights // of all tables; nil while they are not known
}

func newUsed(o *FoldOptions) *used {
	u := &used{uploads: newUploads(o)}
	u.object = newDestinations(u.volumes.objects).of
	return u
}

// Sift implements Sifter. The names of small destinations are needed, so it only notes
// which of them have no record.
func (u *used) Sift(w *Weights) (more bool, err error) {
	u.weights = w
	return false, nil
}

// Drain implements Folder. The records of an entity are those without an object, whose
// value is what appendVolume writes and then the names, and one for each destination
// that may be large.
func (u *used) Drain(w *RunWriter) {
	v := u.volumes
	order := newKeyOrder(v.entities, v.objects, v.sections.groups(func(p *volumeSection) *columnar.Groups { return p.groups }))
	for _, at := range v.sections.sorted() {
		p := v.sections.all[at]
		d := &usedDrain{used: u, w: w, at: at, p: p, hash: u.hash(at, p)}
		for slots := order.slots(p.groups); len(slots) > 0; {
			first, _ := p.groups.Key(slots[0])
			n, twins := 1, false
			for ; n < len(slots); n++ {
				who, _ := p.groups.Key(slots[n])
				if who != first && (!order.twins || order.entities.of[who] != order.entities.of[first]) {
					break
				}
				twins = twins || who != first
			}
			d.entity(slots[:n], twins)
			slots = slots[n:]
		}
		v.sections.drop(at)
	}
}

// A usedDrain drains a section.
type usedDrain struct {
	*used
	w          *RunWriter
	at         sectionKey
	p          *volumeSection
	hash       func(slot int32) uint64
	key, value []byte
}

// entity writes the records of an entity with these slots, which are in the order of
// their objects. twins says that the entity has several spellings.
func (d *usedDrain) entity(slots []int32, twins bool) {
	who, _ := d.p.groups.Key(slots[0])
	d.key = d.volumes.entities.appendKey(d.key[:0], d.at, who)
	before := len(d.key)
	d.key = appendKeyText(d.key, nil)
	if !twins {
		d.whole(slots)
	} else {
		bySpelling := slices.Clone(slots)
		spelling := func(slot int32) uint32 { who, _ := d.p.groups.Key(slot); return who }
		slices.SortStableFunc(bySpelling, func(a, b int32) int { return int(int64(spelling(a)) - int64(spelling(b))) })
		for len(bySpelling) > 0 {
			n := 1
			for n < len(bySpelling) && spelling(bySpelling[n]) == spelling(bySpelling[0]) {
				n++
			}
			d.whole(bySpelling[:n])
			bySpelling = bySpelling[n:]
		}
	}
	for _, slot := range slots {
		if d.weights != nil && d.weights.most(d.hash(slot)) < minDestinationBytes {
			continue
		}
		who, what := d.p.groups.Key(slot)
		d.key = appendKeyText(d.key[:before], d.volumes.objects.Text(int32(what)))
		c := d.p.cell(slot, d.at.day)
		d.value = d.appendVolume(d.value[:0], &c, d.at.day, d.p.refusedOf(slot), d.volumes.entities.shown(who))
		d.w.record(d.key, 0, d.value)
	}
}

// whole writes the record of all destinations of an entity, as one spelling names it.
func (d *usedDrain) whole(slots []int32) {
	who, _ := d.p.groups.Key(slots[0])
	all := volume{counts: counts{first: math.MaxInt64, last: math.MinInt64}}
	var blocked refused
	for _, slot := range slots {
		c := d.p.cell(slot, d.at.day)
		all.counts.merge(&c.counts)
		offer(d.places, &all, c)
		blocked.merge(d.p.refusedOf(slot))
	}
	d.value = d.appendVolume(d.value[:0], &all, d.at.day, blocked, d.volumes.entities.shown(who))
	n := 0
	var last []byte
	for _, slot := range slots {
		_, what := d.p.groups.Key(slot)
		name := d.volumes.objects.Text(int32(what))
		if len(name) > maxDestination || d.p.events(slot) == d.p.refusedOf(slot).rows {
			continue
		}
		if n++; n > maxDestinations {
			break
		}
		shared := commonPrefix(last, name)
		d.value = binary.AppendUvarint(d.value, uint64(shared))
		d.value = appendBytes(d.value, name[shared:])
		last = name
	}
	d.w.record(d.key, 0, d.value)
}

// A usedMerger merges what used drains.
type usedMerger struct {
	*volumeMerger
	names []string
}

// Add implements Merger.
func (m *usedMerger) Add(day Day, _ uint64, value []byte) error {
	d := decoder{b: value}
	m.add(day, &d)
	var names []string
	var name []byte
	for len(d.b) > 0 {
		shared := d.uvarint()
		if shared > uint64(len(name)) {
			return errRun
		}
		name = append(name[:shared], d.bytes()...)
		names = append(names, string(name))
	}
	if d.bad {
		return errRun
	}
	m.names = allOf(m.names, names)
	return nil
}

// Row implements Merger.
func (m *usedMerger) Row(r *Row) bool {
	more := m.volumeMerger.Row(r)
	r.Destinations, m.names = m.names, nil
	return more
}

// allOf returns the names of both lists, which are sorted, without repetition: the first
// maxDestinations.
func allOf(a, b []string) []string {
	if len(b) == 0 {
		return a
	}
	if len(a) == 0 {
		return b
	}
	out := make([]string, 0, min(len(a)+len(b), maxDestinations))
	for len(out) < maxDestinations && (len(a) > 0 || len(b) > 0) {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0] < b[0]:
			out, a = append(out, a[0]), a[1:]
		case len(a) > 0 && a[0] == b[0]:
			a = a[1:]
		default:
			out, b = append(out, b[0]), b[1:]
		}
	}
	return out
}
