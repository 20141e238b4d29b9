package detect

import (
	"math"

	"outflow/columnar"
)

// An only is the only event of a pair, or has the index of the cell of all its events.
// Most pairs of an entity and an object have one event, which takes a quarter of the
// memory this way.
type only struct {
	out, in, record uint32
	cell            int32  // index in cells; 0: there is no cell yet
	when            uint64 // from the highest bit: 37 bits of µs since midnight, 24 of log, then whether it is repeated, bytes in are known, bytes out are known
}

// onlyOf returns an event as an only, and false if it does not fit. The event must not
// have been blocked.
func (v *volumes) onlyOf(b *columnar.Batch, i int, midnight int64) (only, bool) {
	at := v.places.of(b, i)
	out, in := v.out.of[i], v.in.of[i]
	if uint64(out|in|at.Record) > math.MaxUint32 || at.Object >= 1<<24 {
		return only{}, false
	}
	when := uint64(b.Int64(columnar.Time)[i]-midnight)<<27 | uint64(at.Object)<<3 |
		uint64(v.in.known.Bit(i))<<1 | uint64(v.out.known.Bit(i))
	if b.Repeats(i) {
		when |= 1 << 2
	}
	return only{out: uint32(out), in: uint32(in), record: uint32(at.Record), when: when}, true
}

// volume returns the cell that add would have made for the event.
func (o *only) volume(midnight int64) volume {
	us := midnight + int64(o.when>>27)
	c := volume{counts: counts{first: us, last: us, hours: hourBit(us)}, hourlyAt: hourList(hourOf(us))}
	if o.when&4 == 0 {
		c.events, c.out, c.in = 1, int64(o.out), int64(o.in)
		c.knownOut, c.knownIn = int64(o.when&1), int64(o.when>>1&1)
	}
	if o.out > 0 {
		c.peak = sight{int64(o.out), us, columnar.Place{Object: int32(o.when >> 3 & (1<<24 - 1)), Record: int64(o.record)}}
		c.below = min(c.peak.bytes, minPlaceBytes) - 1
	}
	return c
}
