package detect

import (
	"bytes"
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// This file merges the queries of a pair into a row of dns_pair.

// maxExamples is how many queries a Summary shows: enough to see what they look like.
const maxExamples = 3

// moreTelling orders subdomains as examples: longer ones first, then by text.
func moreTelling(a, b []byte) int {
	return cmp.Or(cmp.Compare(len(b), len(a)), bytes.Compare(a, b))
}

// A dnsMerger puts the queries of a pair in the order of time. Queries of the same
// time are ordered by a hash of their names, which is arbitrary but always the same.
type dnsMerger struct {
	day   Day
	spelt spelling
	s     Summary
	names []mergedName
	table []uint32 // names by hash: index+1, 0 if free
	local []uint32 // by name of the record: its index in names
	// examples holds the best examples met so far, followed by buffers for more. text
	// is a buffer for the examples of the row.
	examples [maxExamples][]byte
	met      int
	text     []byte
	// pending are the queries that later records may still precede. recent are the
	// queries of the last five minutes before them; the first gone of them have left
	// the sliding window.
	pending []mergedQuery
	recent  []mergedQuery
	mixed   []mergedQuery // buffer for mix
	gone    int
	inside  int64 // distinct names in the sliding window
	bytes   int64 // of their subdomains
	minutes []minuteCount
	places  *placer
	peak    sight // as in dnsProof
	rest    others
	scorer  *dnsScorer // nil: no scores are needed
	// most is how many names are held before some are set aside, and hold is that number
	// for the pair. spool takes them, aside says where they are, and err is why it failed.
	most, hold int
	spool      Spool
	aside      *spooled // nil: there are none
	err        error
}

// A minuteCount is how many queries there were in a minute, counted from midnight.
type minuteCount struct{ minute, queries int32 }

// newDNSMerger returns a merger that scores names, if model is not nil, and with rows
// makes a row for each.
func newDNSMerger(model *ModelOptions, rows bool) *dnsMerger {
	m := &dnsMerger{places: newPlacer(1), most: heldNames, hold: heldNames}
	if model != nil {
		m.scorer = newDNSScorer(m, *model, rows)
	}
	return m
}

type mergedName struct {
	hash   uint64
	order  uint64 // rank among queries of the same time
	within int32  // its queries in the sliding window
	size   uint16
	odd    bool
}

type mergedQuery struct {
	time  int64 // µs since midnight
	name  uint32
	flags uint8 // rareQuery, nxQuery
}

// Bits of mergedQuery.flags, as a record has them.
const (
	nxQuery = 1 << iota
	rareQuery
)

// Add implements Merger.
func (m *dnsMerger) Add(day Day, seq uint64, value []byte) error {
	m.day = day
	m.slide(int64(seq))
	if len(m.names) >= m.hold {
		m.setAside()
	}
	d := decoder{b: value}
	m.s.MaxEntropy = max(m.s.MaxEntropy, math.Float64frombits(d.uint64()))
	m.spelt.offer(int64(seq), d.bytes())
	if peak, rest := m.places.evidence(&d, 0); peak.bytes > 0 {
		m.places.merge(&m.peak, &m.rest, peak, &rest)
	}
	m.local = m.local[:0]
	before := len(m.pending)
	time := int64(seq)
	for len(d.b) > 0 {
		gap := d.uvarint()
		time += int64(gap >> 2)
		n := d.uvarint()
		switch {
		case n == 0:
			hash, size := d.uint64(), d.uvarint()
			m.local = append(m.local, m.name(hash, d.take(size>>1), size&1 != 0))
			n = uint64(len(m.local))
		case n > uint64(len(m.local)):
			return errRun
		}
		m.pending = append(m.pending, mergedQuery{time, m.local[n-1], uint8(gap & 3)})
	}
	if d.bad {
		return errRun
	}
	m.mix(before)
	if m.scorer != nil {
		return m.scorer.added()
	}
	return nil
}

// mix merges the pending queries from n on into those before them. Both ranges are in
// the order of time.
func (m *dnsMerger) mix(n int) {
	p := m.pending
	if n == 0 || n == len(p) || p[n-1].time <= p[n].time {
		return
	}
	m.mixed = append(m.mixed[:0], p[n:]...)
	i, j := n-1, len(m.mixed)-1
	for at := len(p) - 1; j >= 0; at-- {
		if i >= 0 && p[i].time > m.mixed[j].time {
			p[at], i = p[i], i-1
		} else {
			p[at], j = m.mixed[j], j-1
		}
	}
}

// offer makes sub one of the examples if it is more telling than one of them.
func (m *dnsMerger) offer(sub []byte) {
	if m.met == maxExamples && len(sub) < len(m.examples[maxExamples-1]) {
		return
	}
	i, found := slices.BinarySearchFunc(m.examples[:m.met], sub, moreTelling)
	if found || i == maxExamples {
		return
	}
	m.met = min(m.met+1, maxExamples)
	room := m.examples[m.met-1]
	copy(m.examples[i+1:m.met], m.examples[i:])
	m.examples[i] = append(room[:0], sub...)
}

// smallNames is how many names are searched one by one: most pairs have only one.
const smallNames = 8

// name returns the index of a name.
func (m *dnsMerger) name(hash uint64, sub []byte, odd bool) uint32 {
	if len(m.names) <= smallNames {
		for i := range m.names {
			if m.names[i].hash == hash {
				return uint32(i)
			}
		}
	} else {
		mask := uint64(len(m.table) - 1)
		i := hash & mask
		for ; m.table[i] != 0; i = (i + 1) & mask {
			if n := m.table[i] - 1; m.names[n].hash == hash {
				return n
			}
		}
		m.table[i] = uint32(len(m.names) + 1)
	}
	n := mergedName{hash: hash, order: orderOf(sub), size: uint16(min(len(sub), math.MaxUint16)), odd: odd}
	m.names = append(m.names, n)
	m.s.Names++
	m.s.NameBytes += int64(n.size)
	m.s.MaxLength = max(m.s.MaxLength, int64(n.size))
	m.offer(sub)
	if m.scorer != nil {
		m.scorer.name(sub)
	}
	if len(m.names) > smallNames && len(m.names)*2 > len(m.table) || len(m.names) == smallNames+1 {
		m.grow()
	}
	return uint32(len(m.names) - 1)
}

// orderOf is the 64-bit FNV-1a hash of a name.
func orderOf(sub []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range sub {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

func (m *dnsMerger) grow() {
	size := 1 << bits.Len(uint(max(32, len(m.names)*2))) // more than twice the names
	if cap(m.table) >= size {
		m.table = m.table[:size]
		clear(m.table)
	} else {
		m.table = make([]uint32, size)
	}
	mask := uint64(size - 1)
	for n := range m.names {
		i := m.names[n].hash & mask
		for m.table[i] != 0 {
			i = (i + 1) & mask
		}
		m.table[i] = uint32(n + 1)
	}
}

// slide moves the sliding window over the pending queries before the time until. No
// later record can add a query before that time.
func (m *dnsMerger) slide(until int64) {
	ready, ordered := 0, 0
	for ; ready < len(m.pending) && m.pending[ready].time < until; ready++ {
		if ready >= ordered {
			ordered = m.order(ready)
		}
		q := m.pending[ready]
		n := &m.names[q.name]
		if n.odd {
			m.s.Odd++
		}
		m.s.Rare += int64(q.flags / rareQuery)
		m.s.NXDomain += int64(q.flags & nxQuery)
		if n.within++; n.within == 1 {
			m.inside++
			m.bytes += int64(n.size)
		}
		m.recent = append(m.recent, q)
		for q.time-m.recent[m.gone].time >= slidingWindow {
			left := &m.names[m.recent[m.gone].name]
			if left.within--; left.within == 0 {
				m.inside--
				m.bytes -= int64(left.size)
			}
			m.gone++
		}
		start := m.recent[m.gone].time
		if n := int64(len(m.recent) - m.gone); n > m.s.WindowEvents {
			m.s.WindowEvents, m.s.WindowAt = n, start
		}
		m.s.WindowNames = max(m.s.WindowNames, m.inside)
		if m.bytes > m.s.WindowBytes {
			m.s.WindowBytes, m.s.BytesAt = m.bytes, start
		}
		if m.s.Events++; m.s.Events == 1 {
			m.s.First = q.time
		}
		m.s.Last = q.time
		if minute := int32(q.time / 60e6); len(m.minutes) > 0 && m.minutes[len(m.minutes)-1].minute == minute {
			m.minutes[len(m.minutes)-1].queries++
		} else {
			m.minutes = append(m.minutes, minuteCount{minute, 1})
		}
		m.s.Hours |= 1 << (q.time / 3600e6)
		if m.scorer != nil {
			m.scorer.ask(q)
		}
	}
	m.pending = m.pending[:copy(m.pending, m.pending[ready:])]
	if m.gone > len(m.recent)/2 {
		m.recent = m.recent[:copy(m.recent, m.recent[m.gone:])]
		m.gone = 0
	}
	if m.scorer != nil {
		m.scorer.forget()
	}
}

// order sorts the pending queries that have the time of query n, and returns where
// they end.
func (m *dnsMerger) order(n int) int {
	end := n + 1
	for end < len(m.pending) && m.pending[end].time == m.pending[n].time {
		end++
	}
	if end == n+1 {
		return end
	}
	compare := func(a, b mergedQuery) int {
		return cmp.Or(cmp.Compare(m.names[a.name].order, m.names[b.name].order), cmp.Compare(a.flags, b.flags))
	}
	if of := m.pending[n:end]; !slices.IsSortedFunc(of, compare) {
		slices.SortFunc(of, compare)
	}
	return end
}

// Row implements Merger.
func (m *dnsMerger) Row(r *Row) bool {
	if m.scorer != nil && m.scorer.rows != nil {
		return m.scorer.row(r)
	}
	if len(m.names) == 0 {
		return false
	}
	m.slide(math.MaxInt64)
	if m.err = m.countNames(); m.err != nil {
		return false
	}
	midnight := int64(m.day) * dayMicros
	m.s.First += midnight
	m.s.Last += midnight
	m.s.WindowAt += midnight
	if m.s.WindowBytes > 0 {
		m.s.BytesAt += midnight
	}
	// One text holds all the examples.
	var ends [maxExamples + 1]int
	m.text = m.text[:0]
	for i, sub := range m.examples[:m.met] {
		m.text = appendName(m.text, sub, r.Object)
		ends[i+1] = len(m.text)
	}
	text := string(m.text)
	m.s.Examples = make([]string, m.met)
	for i := range m.s.Examples {
		m.s.Examples[i] = text[ends[i]:ends[i+1]]
	}
	if m.scorer != nil {
		m.scorer.sum(r.Object)
	}
	if m.s.mayTunnel() {
		m.s.Activity = m.activity()
		if m.peak.bytes > 0 {
			m.s.PeakTime, m.s.Evidence = m.peak.time+midnight, m.places.text(m.peak.at)
			m.s.Places = m.places.textsAfter(m.peak, &m.rest, midnight)
		}
	}
	r.Summary = m.s
	r.Spelling = m.spelt.of(r.Entity)
	m.reset()
	return true
}

// mayTunnel reports whether a detection of DNS may find a row, with thresholds down to a
// tenth of the usual ones. Most rows have fewer queries, and need no evidence.
func (s *Summary) mayTunnel() bool {
	return s.NameBytes >= 250 || s.WindowEvents >= 50 || s.Odd >= 5
}

// activity returns the queries by minute as Summary.Activity has them. An hour after
// midnight counts as that of the day.
func (m *dnsMerger) activity() string {
	if m.minutes[len(m.minutes)-1].minute >= minutesOfDay {
		var of [minutesOfDay]int32
		for _, c := range m.minutes {
			of[c.minute%minutesOfDay] += c.queries
		}
		m.minutes = m.minutes[:0]
		for minute, n := range of {
			if n > 0 {
				m.minutes = append(m.minutes, minuteCount{int32(minute), n})
			}
		}
	}
	m.text = append(m.text[:0], byMinute)
	last := -1
	for _, c := range m.minutes {
		m.text, last = appendCount(m.text, last, int(c.minute), int64(c.queries)), int(c.minute)
	}
	return string(m.text)
}

// appendName appends a name of a domain.
func appendName(b, sub []byte, domain string) []byte {
	b = append(b, sub...)
	if domain == noTopLevel {
		return b
	}
	if len(sub) > 0 {
		b = append(b, '.')
	}
	return append(b, domain...)
}

// reset makes the merger ready for another pair.
func (m *dnsMerger) reset() {
	m.s, m.met, m.names, m.pending, m.recent = Summary{}, 0, m.names[:0], m.pending[:0], m.recent[:0]
	m.gone, m.inside, m.bytes, m.spelt, m.minutes = 0, 0, 0, spelling{}, m.minutes[:0]
	m.peak, m.rest.n = sight{}, 0
	m.aside, m.hold = nil, m.most
	if m.scorer != nil {
		m.scorer.reset()
	}
}
