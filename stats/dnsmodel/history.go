package dnsmodel

import "math/bits"

// depth is the number of earlier events in a History, as in the seed's rank < 10.
const depth = 10

// A History sums up the earlier events of one source and registered domain: the
// last 10 that were added. Events must be added in order of time. The zero value is
// an empty history.
//
// Events of the same time must be added in an order that does not depend on the
// order of the input: callers sort by time and then by name.
type History struct {
	events   [depth]event
	next     uint8 // where the next event goes
	n        uint8
	distinct uint8  // number of distinct names
	rare, nx uint8  // numbers of events
	bytes    uint16 // of the distinct names
	sums     [len(averaged)]uint16
}

type event struct {
	at       int64 // µs UTC
	f        Features
	rare, nx bool
}

// averaged are the features whose mean over the history is an input.
var averaged = [...]uint8{length, longest, entropy, digits, surprise, excess, longestBits, vowels}

// The inputs that come from a history, and from comparing a query with it. They
// follow the features of the name. All but the last are 0 if the history is empty.
const (
	earlier = nameInputs + iota // number of events, in 1/25
	means                       // of the features in averaged, one after another
)
const (
	maxExcess = means + len(averaged) + iota // of the earlier names
	minExcess
	lengthOff     // distance of the length from the mean
	excessOff     // distance of the excess from the mean
	distinctShare // share of distinct names
	repeats       // share of events with the same name as the query
	sameFirst     // share with the same first label
	sameLast      // share with the same last label
	sameShape     // share with the same shape
	nameBytes     // bytes of the distinct names, in units of 8
	sinceLast     // log2 of the time since the last event in ms, in 1/8
	meanGap       // log2 of the mean time between events in ms, in 1/8
	rareShare     // share of events with a rare type
	nxShare       // share of events for names that do not exist
	rareQuery     // 255 if the query's type is rare
	inputCount
)

// Len returns the number of events in the history, at most 10.
func (h *History) Len() int { return int(h.n) }

// Add adds an event: a query's features, its time (µs UTC), whether few clients ask
// for its type (TXT, NULL, KEY, MX, CNAME, SRV, PRIVATE), and whether the name did
// not exist.
func (h *History) Add(f Features, at int64, rare, nx bool) {
	slot, filled := &h.events[h.next], int(h.n)
	if filled == depth {
		for i, k := range averaged {
			h.sums[i] -= uint16(slot.f[k])
		}
		if !h.others(&slot.f, filled) {
			h.distinct--
			h.bytes -= uint16(slot.f[length])
		}
		h.rare -= one(slot.rare)
		h.nx -= one(slot.nx)
		h.n--
	}
	if !h.others(&f, filled) {
		h.distinct++
		h.bytes += uint16(f[length])
	}
	*slot = event{at: at, f: f, rare: rare, nx: nx}
	for i, k := range averaged {
		h.sums[i] += uint16(f[k])
	}
	h.rare += one(rare)
	h.nx += one(nx)
	h.n++
	if h.next++; h.next == depth {
		h.next = 0
	}
}

// others reports whether one of the first filled events, other than the one at
// next, has the name of f.
func (h *History) others(f *Features, filled int) bool {
	for i := range filled {
		if i != int(h.next) && sameNames(&h.events[i].f, f) {
			return true
		}
	}
	return false
}

// sameNames reports whether two names are equal, by 24 bits: a hash of 16 and the
// length. With 10 names in the history, one query in a million is wrongly taken for
// a repetition.
func sameNames(a, b *Features) bool {
	return a[nameHash] == b[nameHash] && a[nameHash2] == b[nameHash2] && a[length] == b[length]
}

func one(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// An Input is the input of the network.
type Input [inputCount]uint8

// Input returns the network's input for a query.
func (h *History) Input(f *Features, at int64, rare bool) (x Input) {
	copy(x[:nameInputs], f[:nameInputs])
	x[rareQuery] = 255 * one(rare)
	n := int(h.n)
	if n == 0 {
		return x
	}
	x[earlier] = uint8(25 * n)
	for i := range averaged {
		x[means+i] = uint8(int(h.sums[i]) / n)
	}
	var names, firsts, lasts, shapes int
	most, least := uint8(0), uint8(255)
	for i := range n {
		e := &h.events[i].f
		names += int(one(sameNames(e, f)))
		firsts += int(one(e[firstHash] == f[firstHash] && e[first] == f[first]))
		lasts += int(one(e[lastHash] == f[lastHash] && e[last] == f[last]))
		shapes += int(one(e[shapeHash] == f[shapeHash]))
		most, least = max(most, e[excess]), min(least, e[excess])
	}
	x[maxExcess], x[minExcess] = most, least
	x[lengthOff] = off(f[length], x[means+0])
	x[excessOff] = off(f[excess], x[means+5])
	x[distinctShare] = share(int(h.distinct), n)
	x[repeats], x[sameFirst], x[sameLast], x[sameShape] = share(names, n), share(firsts, n), share(lasts, n), share(shapes, n)
	x[nameBytes] = uint8(min(255, h.bytes/8))
	newest, oldest := int(h.next)-1, int(h.next)
	if newest < 0 {
		newest = depth - 1
	}
	if n < depth {
		oldest = 0
	}
	x[sinceLast] = logTime(at - h.events[newest].at)
	x[meanGap] = logTime((at - h.events[oldest].at) / int64(n))
	x[rareShare], x[nxShare] = share(int(h.rare), n), share(int(h.nx), n)
	return x
}

func off(a, b uint8) uint8 { return max(a, b) - min(a, b) }

// logTime returns 8·log2(1 + t in ms), rounded to an eighth of an octave and at
// most 255, which is 49 days. A negative t counts as 0.
func logTime(t int64) uint8 {
	ms := uint64(max(0, t)/1000) + 1
	octave := bits.Len64(ms) - 1
	eighth := ms << 3 >> octave & 7
	return uint8(min(255, 8*uint64(octave)+eighth))
}

// Slow changes the timing inputs of a query with a faster history: events are then
// gap µs apart on average, with the same relative jitter.
func Slow(x *Input, gap int64) {
	if more := int(logTime(gap)) - int(x[meanGap]); more > 0 {
		x[sinceLast], x[meanGap] = uint8(min(255, int(x[sinceLast])+more)), uint8(min(255, int(x[meanGap])+more))
	}
}

// WithoutHistory clears the inputs about earlier queries, to measure what they
// contribute.
func WithoutHistory(x *Input) { clear(x[earlier:rareQuery]) }

// WithoutLanguage clears the inputs that the language model gives for the name and
// for earlier names.
func WithoutLanguage(x *Input) {
	for _, i := range [...]int{surprise, excess, longestBits, lastBits, means + 4, means + 5, means + 6, maxExcess, minExcess, excessOff} {
		x[i] = 0
	}
}

// LengthAndEntropy returns what the seed reads beside characters: length and
// entropy of the name, and their means over the history.
func LengthAndEntropy(x *Input) (l, e, meanLength, meanEntropy uint8) {
	return x[length], x[entropy], x[means], x[means+2]
}
