package detect

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"outflow/columnar"
)

// This file counts by the time of day: bytes by hour, and queries by minute.

// hoursOfDay and minutesOfDay are how many hours and minutes there are of a day. A job with
// a window of its own counts an hour after midnight as that of the day.
const (
	hoursOfDay   = 24
	minutesOfDay = 24 * 60
)

// minHourlyBytes is how many bytes a row needs to keep them by hour. No detection finds less,
// and nobody looks at a picture of less. Hours take a third of such a row in the state: with
// half as many bytes, most days of most people would have them.
const minHourlyBytes = 20e6

// Summary.Activity begins with one of these, which says what the counts are of.
const (
	byHour   = 'h'
	byMinute = 'm'
)

// A hourSum is an hour with its sum, in a list. The first of a list is the current hour. Its
// sum lacks what the cell has counted: until the hour changes, a row is added to the cell
// alone.
type hourSum struct {
	sum  int64
	next int32 // index of the next; 0: it is the last
	hour uint8
	size uint8 // of the list that it is the first of
}

// hourSums has the sums by hour of the cells of a section. A cell has them only if it has
// counted something in several hours; else what it counted is of its hour. They are a list
// while there are few: most cells have no more, and a list of all hours would be read from
// one end to the other for each row where rows come in no order of time.
type hourSums struct {
	few  chunks[hourSum] // the lists; the first element belongs to none
	free int32           // the first of the elements that have become free, by next
	all  chunks[hourly]  // of cells with more; the sum of the current hour lacks what the cell has counted
}

// A hourList says where the sums of a cell are: the hour that is counted now, whether they are
// in hourSums.all, and from bit hourShift the index there, or that of the first element of
// their list; 0: there are none.
type hourList uint32

const (
	inAll       = 1 << 5
	hourShift   = 6
	maxHourSums = 1 << (32 - hourShift)
	// longestHourList is how many hours are in a list at most. With more, lists take longer
	// to read than all hours; with fewer, they take less memory in fewer cells.
	longestHourList = 4
)

func (l hourList) hour() int64 { return int64(l & (inAll - 1)) }

func newHourSums() hourSums { return hourSums{few: chunksFrom1[hourSum]()} }

// reset drops all sums and keeps their memory.
func (s *hourSums) reset() {
	s.few.cut(1)
	s.all.cut(0)
	s.free = 0
}

// size returns how many bytes the sums take.
func (s *hourSums) size() int { return s.few.size() + s.all.size() }

// full reports whether the indexes are used up but for those of a batch.
func (s *hourSums) full() bool { return s.few.n > maxHourSums-2*columnar.BatchRows }

// An hourTurn is a change of the hour that a cell counts: until then it had counted sum, and
// met tells whether it had events in the hour that comes.
type hourTurn struct {
	sum      int64
	cell     int32
	from, to uint8
	met      bool
}

// begin makes another hour that which is counted, and returns the change for hourSums.turn.
func (l *hourList) begin(cell int32, hour, sum int64, met bool) hourTurn {
	t := hourTurn{sum: sum, cell: cell, from: uint8(l.hour()), to: uint8(hour), met: met}
	*l = *l&^(inAll-1) | hourList(hour)
	return t
}

// load reads of the sums of a cell what turn will.
func (s *hourSums) load(list hourList, t *hourTurn) int64 {
	if list&inAll != 0 {
		h := s.all.at(int32(list >> hourShift))
		return h[t.from] + h[t.to]
	}
	return s.few.at(int32(list >> hourShift)).sum
}

// add adds an element and returns its index.
func (s *hourSums) add(e hourSum) int32 {
	i := s.free
	if i == 0 {
		i = int32(s.few.n)
		s.few.add(e)
		return i
	}
	free := s.few.at(i)
	s.free = free.next
	*free = e
	return i
}

// turn keeps the sums of a cell apart whose hour has changed. The changes of a cell come in
// their order, and may come after the cell has counted more.
func (s *hourSums) turn(list *hourList, t *hourTurn) {
	sum, hour, met := t.sum, t.to, t.met
	if *list&inAll != 0 {
		h := s.all.at(int32(*list >> hourShift))
		h[t.from] += sum
		h[hour] -= sum
		return
	}
	head, now := int32(*list>>hourShift), *list&(inAll-1)
	switch {
	case head != 0:
		s.few.at(head).sum += sum
	case sum == 0:
		return
	default:
		met = false
		head = s.add(hourSum{sum: sum, hour: t.from, size: 1})
	}
	first := s.few.at(head)
	if met {
		for i := first.next; i != 0; {
			e := s.few.at(i)
			if e.hour == hour {
				first.hour, e.hour = e.hour, first.hour
				first.sum, e.sum = e.sum-sum, first.sum
				*list = hourList(head)<<hourShift | now
				return
			}
			i = e.next
		}
	}
	if first.size < longestHourList {
		head = s.add(hourSum{sum: -sum, next: head, hour: hour, size: first.size + 1})
		*list = hourList(head)<<hourShift | now
		return
	}
	*list = hourList(s.all.n)<<hourShift | inAll | now
	var h hourly
	for i := head; i != 0; {
		e := s.few.at(i)
		h[e.hour] += e.sum
		i, e.next, s.free = e.next, s.free, i
	}
	h[hour] -= sum
	s.all.add(h)
}

// hourCounts has events by hour of the day, by slot. Most slots have few in an hour, so their counts
// take a byte; what does not fit is in a list of all hours.
type hourCounts struct {
	few  chunks[fewHours]
	more chunks[[hoursOfDay]uint32] // by fewHours.more: what few lacks, in 256ths
}

// fewHours has the lowest bits of counts.
type fewHours struct {
	counts [hoursOfDay]uint8
	more   int32 // index of the others in hourCounts; 0: they are 0
}

func newHourCounts() hourCounts {
	return hourCounts{few: chunksFrom1[fewHours](), more: chunksFrom1[[hoursOfDay]uint32]()}
}

// reset drops all counts and keeps their memory.
func (c *hourCounts) reset() {
	c.few.cut(1)
	c.more.cut(1)
}

// size returns how many bytes the counts take.
func (c *hourCounts) size() int { return c.few.size() + c.more.size() }

// reserve makes room for a slot, which may be the next one.
func (c *hourCounts) reserve(slot int32) {
	if int(slot) == c.few.n {
		c.few.add(fewHours{})
	}
}

// add adds events of an hour.
func (c *hourCounts) add(slot, hour int32, events uint32) {
	f := c.few.at(slot)
	n := uint64(f.counts[hour]) + uint64(events)
	f.counts[hour] = uint8(n)
	if n >>= 8; n == 0 {
		return
	}
	if f.more == 0 {
		f.more = int32(c.more.n)
		c.more.add([hoursOfDay]uint32{})
	}
	c.more.at(f.more)[hour] += uint32(n)
}

// addTo adds the counts of a slot.
func (c *hourCounts) addTo(hours *[hoursOfDay]uint64, slot int32) {
	f := c.few.at(slot)
	for h, n := range f.counts {
		hours[h] += uint64(n)
	}
	if f.more != 0 {
		for h, n := range c.more.at(f.more) {
			hours[h] += uint64(n) << 8
		}
	}
}

// A hourly has sums by hour of the day.
type hourly [hoursOfDay]int64

// addTo adds the sums of a cell that has counted sum.
func (s *hourSums) addTo(h *hourly, list hourList, sum int64) {
	now := &h[list.hour()]
	switch head := int32(list >> hourShift); {
	case list&inAll != 0:
		for hour, n := range s.all.at(head) {
			if int64(hour) == list.hour() {
				sum += n
			} else {
				h[hour] = addBytes(h[hour], n)
			}
		}
	case head != 0:
		first := s.few.at(head)
		sum += first.sum
		for i := first.next; i != 0; {
			e := s.few.at(i)
			h[e.hour] = addBytes(h[e.hour], e.sum)
			i = e.next
		}
	}
	*now = addBytes(*now, sum)
}

// several reports whether more than one bit of hours is set.
func several(hours int64) bool { return hours&(hours-1) != 0 }

// append appends h to the value of a record that has the hours and the sum already. If
// there are several hours, these are a mask of those with a sum, how many bytes each sum
// takes, and the sums.
func (h *hourly) append(b []byte, hours, sum int64) []byte {
	if sum == 0 || !several(hours) {
		return b
	}
	mask, all := uint64(0), int64(0)
	for i, n := range h {
		if all |= n; n > 0 {
			mask |= 1 << i
		}
	}
	size := (bits.Len64(uint64(all)) + 7) / 8
	b = append(binary.AppendUvarint(b, mask), byte(size))
	for ; mask != 0; mask &= mask - 1 {
		b = binary.LittleEndian.AppendUint64(b, uint64(h[bits.TrailingZeros64(mask)]))
		b = b[:len(b)-8+size]
	}
	return b
}

// hourly adds what append wrote to h.
func (d *decoder) hourly(h *hourly, hours, sum int64) {
	if sum == 0 {
		return
	}
	if !several(hours) {
		if uint64(hours) >= 1<<hoursOfDay || hours == 0 {
			d.bad = true
			return
		}
		i := bits.TrailingZeros64(uint64(hours))
		h[i] = addBytes(h[i], sum)
		return
	}
	mask := d.uvarint()
	if mask >= 1<<hoursOfDay || len(d.b) == 0 || d.b[0] > 8 || bits.OnesCount64(mask)*int(d.b[0]) >= len(d.b) {
		d.bad = true
		return
	}
	size := int(d.b[0])
	d.b = d.b[1:]
	for ; mask != 0; mask &= mask - 1 {
		var n uint64
		if len(d.b) >= 8 {
			n = binary.LittleEndian.Uint64(d.b) & (1<<(8*size) - 1)
		} else {
			for i, c := range d.b[:size] {
				n |= uint64(c) << (8 * i)
			}
		}
		d.b = d.b[size:]
		i := bits.TrailingZeros64(mask)
		h[i] = addBytes(h[i], int64(n))
	}
}

// text returns h as Summary.Activity has it; "" if the sum of all is too large to be known.
func (h *hourly) text(sum int64) string {
	if sum == math.MaxInt64 {
		return ""
	}
	b := []byte{byHour}
	last := -1
	for i, n := range h {
		if n > 0 {
			b, last = appendCount(b, last, i, n), i
		}
	}
	return activityText(b)
}

// activityText returns the text of counts; "" if there are none.
func activityText(b []byte) string {
	if len(b) == 1 {
		return ""
	}
	return string(b)
}

// appendCount appends the count of an hour or a minute. It names the time unless that
// follows the last one.
func appendCount(b []byte, last, at int, n int64) []byte {
	if len(b) > 1 {
		b = append(b, ' ')
	}
	if at != last+1 {
		b = append(strconv.AppendInt(b, int64(at), 10), ':')
	}
	return strconv.AppendInt(b, n, 10)
}

// activity parses Summary.Activity. It returns nil if the text is none.
func activity(text string) []int64 {
	if text == "" {
		return nil
	}
	var counts []int64
	switch text[0] {
	case byHour:
		counts = make([]int64, hoursOfDay)
	case byMinute:
		counts = make([]int64, minutesOfDay)
	default:
		return nil
	}
	at := -1
	for field := range strings.FieldsSeq(text[1:]) {
		at++
		if time, rest, ok := strings.Cut(field, ":"); ok {
			n, err := strconv.Atoi(time)
			if err != nil || n < at {
				return nil
			}
			at, field = n, rest
		}
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil || n <= 0 || at >= len(counts) {
			return nil
		}
		counts[at] = n
	}
	return counts
}

// mergeActivity adds texts of Summary.Activity that count the same. The sum of one that is
// not known and another is not known either, unless there was nothing to count.
func mergeActivity(a, b string) string {
	if b == "" {
		return a
	}
	if a == "" {
		return b
	}
	sums, more := activity(a), activity(b)
	if len(sums) != len(more) {
		return ""
	}
	text, last := []byte{a[0]}, -1
	for i, n := range sums {
		if n = addBytes(n, more[i]); n > 0 {
			text, last = appendCount(text, last, i, n), i
		}
	}
	return activityText(text)
}

// Hourly returns what the row counts, by hour of the day in UTC: bytes out, of downloads
// bytes in, of DNS queries, and of pair_times beats. It returns nil if that is not known, or
// of fewer than nine tenths of the bytes: rows that are merged may lack theirs.
func (s *Summary) Hourly() []int64 {
	if s.Rhythm != "" {
		if r, ok := rhythmOf(&Row{Summary: *s}); ok {
			counts := make([]int64, hoursOfDay)
			for i, n := range r.hours {
				counts[i] = int64(n)
			}
			return counts
		}
	}
	counts := activity(s.Activity)
	if len(counts) == minutesOfDay {
		hours := make([]int64, hoursOfDay)
		for minute, n := range counts {
			hours[minute/60] += n
		}
		return hours
	}
	total := int64(0)
	for _, n := range counts {
		total = addBytes(total, n)
	}
	if all := cmp.Or(s.BytesOut, s.BytesIn); total < all-all/10 || total > all {
		return nil
	}
	return counts
}

// PerMinute returns how many DNS queries there were in each of the 1,440 minutes of the day
// in UTC. It returns nil of other rows, and of those that no detection finds.
func (s *Summary) PerMinute() []int64 {
	if counts := activity(s.Activity); len(counts) == minutesOfDay {
		return counts
	}
	return nil
}
