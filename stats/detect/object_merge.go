package detect

import (
	"math/bits"
	"slices"

	"outflow/columnar"
)

// This file merges what workers have drained of downloads to one row for each key and day.

// A downloadMerger merges what downloads drained.
type downloadMerger struct {
	placer  *placer
	begun   bool
	day     Day
	c       downloadCell
	rest    others
	hourly  hourly // of bytes in
	spelt   spelling
	clients [numClientKinds][]uint64
	names   [clientAccount][]string
	// The objects of the first records, and how many of them are counted; those of the
	// records with the sequence number seq; and the counts, in all and by hour.
	few, part []objectRead
	counted   int
	seq       uint64
	objects   int64
	byHour    [24]int64
}

// Add implements Merger.
func (m *downloadMerger) Add(day Day, seq uint64, value []byte) error {
	d := decoder{b: value}
	if seq != m.seq {
		m.count(seq)
	}
	if seq > 1<<hashBits {
		return errRun
	}
	m.seq, m.day = seq, day
	if seq == 0 {
		m.add(&d)
	}
	to := &m.few
	if seq > 0 {
		to = &m.part
	}
	for len(d.b) > 0 {
		*to = append(*to, objectRead{key: d.uint64(), hours: uint32(d.uvarint())})
	}
	if d.bad {
		return errRun
	}
	return nil
}

// add takes the measures of a first record.
func (m *downloadMerger) add(d *decoder) {
	midnight := int64(m.day) * dayMicros
	n := downloadCell{counts: d.counts(midnight)}
	d.hourly(&m.hourly, n.hours, n.in)
	n.failed, n.signed = int64(d.uvarint()), int64(d.uvarint())
	peak, rest := m.placer.evidence(d, midnight)
	n.peak = peak
	m.spelt.offer(n.first, d.bytes())
	for kind := range m.clients {
		for left := d.uvarint(); left > 0 && !d.bad; left-- {
			m.clients[kind] = append(m.clients[kind], d.uint64())
		}
		if kind == clientAccount {
			continue
		}
		for left := d.uvarint(); left > 0 && !d.bad; left-- {
			m.names[kind] = append(m.names[kind], string(d.bytes()))
		}
		m.names[kind] = least(m.names[kind])
	}
	if !m.begun {
		m.begun, m.c, m.rest = true, n, rest
		return
	}
	m.c.merge(&n.counts)
	m.c.failed += n.failed
	m.c.signed += n.signed
	m.placer.merge(&m.c.peak, &m.rest, peak, &rest)
}

// least returns the least maxClients of names, without copies.
func least(names []string) []string {
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(len(names), maxClients)]
}

// count counts the objects of the records before the one with the sequence number next.
// Few whose hashes begin with later bits are left for the records of those.
func (m *downloadMerger) count(next uint64) {
	if m.seq == 0 {
		slices.SortFunc(m.few, compareReads)
	}
	for ; m.counted < len(m.few) && 1+m.few[m.counted].key>>(64-hashBits) < next; m.counted++ {
		m.part = append(m.part, m.few[m.counted])
	}
	slices.SortFunc(m.part, compareReads)
	for i := 0; i < len(m.part); {
		r := m.part[i]
		for i++; i < len(m.part) && m.part[i].key == r.key; i++ {
			r.hours |= m.part[i].hours
		}
		m.objects++
		for hours := r.hours & (1<<24 - 1); hours != 0; hours &= hours - 1 {
			m.byHour[bits.TrailingZeros32(hours)]++
		}
	}
	m.part = m.part[:0]
}

// reset makes m ready for the next key and keeps its memory.
func (m *downloadMerger) reset() {
	next := downloadMerger{placer: m.placer, few: m.few[:0], part: m.part[:0]}
	for kind, hashes := range m.clients {
		next.clients[kind] = hashes[:0]
	}
	for kind, names := range m.names {
		next.names[kind] = names[:0]
	}
	*m = next
}

// Row implements Merger.
func (m *downloadMerger) Row(r *Row) bool {
	if !m.begun {
		return false
	}
	m.count(1<<hashBits + 1)
	c := &m.c
	r.Summary = Summary{
		Events: c.events, BytesIn: c.in, KnownIn: c.knownIn, Blocked: c.failed, Signed: c.signed,
		First: c.first, Last: c.last, Hours: c.hours, Spelling: m.spelt.of(r.Entity), Names: m.objects,
	}
	if r.BytesIn >= minHourlyBytes {
		r.Activity = m.hourly.text(r.BytesIn)
	}
	if c.peak.bytes > 0 {
		r.PeakTime, r.Evidence = c.peak.time, m.placer.text(c.peak.at)
		if r.BytesIn >= minPlacesBytes || r.Names >= minPlacesObjects {
			r.Places = m.placer.textsAfter(c.peak, &m.rest, 0) // see downloadCell
		}
	}
	for hour, n := range m.byHour {
		if n > r.WindowNames {
			r.WindowNames, r.WindowAt = n, int64(m.day)*dayMicros+int64(hour)*3600e6
		}
	}
	for kind, number := range [numClientKinds]*int64{&r.Addresses, &r.Agents, &r.Accounts} {
		slices.Sort(m.clients[kind])
		*number = int64(len(slices.Compact(m.clients[kind])))
	}
	r.Clients = slices.Concat(m.names[clientAddress], m.names[clientAgent])
	slices.Sort(r.Clients)
	m.reset()
	return r.EntityType != columnar.SrcIP.String() || r.BytesIn >= minAnonymousBytes || r.Names >= minAnonymousObjects
}
