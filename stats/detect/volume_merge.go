package detect

import (
	"encoding/binary"
	"slices"
)

// Volumes in the records of a run, and how they are merged.

// appendVolume appends a volume of an entity and its parts, and what shown returns for the
// entity. What only rows with many bytes keep is apart: most rows need not decode it.
func (v *volumes) appendVolume(b []byte, c *volume, parts *volumeParts, day Day, shown []byte) []byte {
	midnight := int64(day) * dayMicros
	b = v.places.appendPeak(c.counts.append(b, midnight), c.peak, &parts.rest, midnight)
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(parts.refused.rows)), uint64(parts.refused.out))
	v.apart = v.places.appendOthers(parts.hourly.append(v.apart[:0], c.hours, c.out), c.peak, &parts.rest, midnight)
	return appendBytes(appendBytes(b, shown), v.apart)
}

// volume reads what appendVolume wrote.
func (p *placer) volume(d *decoder, midnight int64) (c volume, more volumeMore) {
	c.counts = d.counts(midnight)
	more.places, c.peak = p.peak(d, midnight)
	more.refused = refused{int64(d.uvarint()), int64(d.uvarint())}
	more.shown = d.bytes()
	more.hours, more.out, more.peak, more.apart = c.hours, c.out, c.peak, d.bytes()
	return c, more
}

// volumeMore is what a record has beside a volume.
type volumeMore struct {
	refused refused
	shown   []byte
	// What is apart, and what it takes to read it.
	apart      []byte
	hours, out int64
	peak       sight
	places     int // rows that are evidence
}

// read reads what is apart: the evidence after the peak, and the bytes by hour, which it adds to byHour.
func (m *volumeMore) read(p *placer, midnight int64, byHour *hourly) (rest others, ok bool) {
	d := decoder{b: m.apart}
	d.hourly(byHour, m.hours, m.out)
	p.others(&d, &rest, m.places-1, m.peak, midnight)
	return rest, !d.bad && len(d.b) == 0
}

// A volumeMerger merges volumes.
type volumeMerger struct {
	// keep reports whether there is to be a row. Nil: of all.
	keep func(object string, c *volume) bool
	// placesFrom is how many bytes out a row needs to keep several places.
	placesFrom int64

	places *placer
	c      volume
	volumeParts
	spelt  spelling
	came   []uint64     // hashes of addresses
	held   []volumeMore // of the key's records, as long as it has too few bytes to need what is apart
	aparts []byte       // of held
	begun  bool
}

func newVolumeMerger(keep func(object string, c *volume) bool) *volumeMerger {
	return &volumeMerger{keep: keep, placesFrom: minPlacesBytes, places: newPlacer(minPlaceBytes)}
}

// Add implements Merger.
func (m *volumeMerger) Add(day Day, _ uint64, value []byte) error {
	d := decoder{b: value}
	n, more := m.places.volume(&d, int64(day)*dayMicros)
	for len(d.b) > 0 {
		m.came = append(m.came, d.uint64())
	}
	if d.bad {
		return errRun
	}
	m.spelt.offer(n.first, more.shown)
	m.refused.merge(more.refused)
	if !m.begun {
		m.begun, m.c, m.hourly, m.rest.n = true, n, hourly{}, 0
	} else {
		m.c.merge(&n.counts)
	}
	from := len(m.aparts)
	m.aparts = append(m.aparts, more.apart...)
	more.apart = m.aparts[from:]
	m.held = append(m.held, more)
	if m.c.out < min(minHourlyBytes, m.placesFrom) {
		m.places.take(&m.c.peak, n.peak) // what gives way is held
	} else {
		for i := range m.held {
			rest, ok := m.held[i].read(m.places, int64(day)*dayMicros, &m.hourly)
			if !ok {
				return errRun
			}
			m.places.merge(&m.c.peak, &m.rest, m.held[i].peak, &rest)
		}
		m.held, m.aparts = m.held[:0], m.aparts[:0]
	}
	return nil
}

// Row implements Merger.
func (m *volumeMerger) Row(r *Row) bool {
	if !m.begun {
		return false
	}
	c := &m.c
	spelt, blocked := m.spelt, m.refused
	m.begun, m.spelt, m.refused = false, spelling{}, refused{}
	m.held, m.aparts = m.held[:0], m.aparts[:0]
	slices.Sort(m.came)
	addresses := len(slices.Compact(m.came))
	m.came = m.came[:0]
	if m.keep != nil && !m.keep(r.Object, c) {
		return false
	}
	r.Summary = Summary{
		Events: c.events, BytesOut: c.out, BytesIn: c.in, KnownOut: c.knownOut, KnownIn: c.knownIn,
		First: c.first, Last: c.last, Hours: c.hours, PeakOut: c.peak.bytes, PeakTime: c.peak.time,
		Addresses: int64(addresses), Blocked: blocked.rows, BlockedOut: blocked.out, Spelling: spelt.of(r.Entity),
	}
	if c.out >= minHourlyBytes {
		r.Activity = m.hourly.text(c.out)
	}
	if c.peak.bytes > 0 {
		r.Evidence = m.places.text(c.peak.at)
		if c.out >= m.placesFrom {
			r.Places = m.places.texts(c.peak, &m.rest)
		}
	}
	return true
}
