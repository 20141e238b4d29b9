package detect

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"iter"
	"maps"
	"slices"

	"outflow/columnar"
)

// What the folds share: the order of their keys, and days cut into parts.

// sizeOf is about how many bytes a dictionary takes.
func sizeOf(d *columnar.Dict) int { return d.Size() + 40*d.Len() }

// sortedCodes returns the used codes of a dictionary in the order of their texts.
func sortedCodes(d *columnar.Dict, used []bool) []int32 {
	type item struct {
		prefix uint64 // most texts differ here: comparing them need not look further
		code   int32
	}
	var items []item
	for code, used := range used {
		if used {
			var prefix [8]byte
			copy(prefix[:], d.Text(int32(code)))
			items = append(items, item{binary.BigEndian.Uint64(prefix[:]), int32(code)})
		}
	}
	slices.SortFunc(items, func(a, b item) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		return bytes.Compare(d.Text(a.code), d.Text(b.code))
	})
	codes := make([]int32, len(items))
	for i := range items {
		codes[i] = items[i].code
	}
	return codes
}

// A keyOrder is the order of a fold's keys: the ranks of their entities and of
// their objects, by number.
type keyOrder struct {
	entities, objects ranks
	twins             bool // entities have several spellings, so that several slots may have one key
}

type ranks struct {
	of []uint32
	n  int
}

// newKeyOrder orders the keys of groups.
func newKeyOrder(e *entities, objects *columnar.Dict, groups iter.Seq[*columnar.Groups]) *keyOrder {
	var used [4][]bool // of each kind of entities, their spellings
	for kind, spelt := range e.spelt {
		if spelt != nil {
			used[kind] = make([]bool, spelt.Len())
		}
	}
	usedObjects := make([]bool, objects.Len())
	for g := range groups {
		for slot := int32(1); int(slot) < g.Len(); slot++ {
			who, what := g.Key(slot)
			used[who&3][who>>2] = true
			usedObjects[what] = true
		}
	}
	o := &keyOrder{}
	rank := 0
	for _, kind := range [...]entityKind{groupEntity, hostEntity, addressEntity, userEntity} { // by their names
		if e.spelt[kind] == nil {
			continue
		}
		rank += o.rank(e, kind, used[kind], rank)
	}
	for rank, code := range sortedCodes(objects, usedObjects) {
		o.objects.set(uint32(code), rank)
	}
	return o
}

// rank ranks the used spellings of a kind of entities by the entities' names, from a
// rank on, and returns how many entities there are.
func (o *keyOrder) rank(e *entities, kind entityKind, used []bool, from int) int {
	usedNames := used
	if e.folded[kind] != e.spelt[kind] {
		foldOf := e.foldOf[kind].Of(e.spelt[kind])
		usedNames = make([]bool, e.folded[kind].Len())
		for code, used := range used {
			if used {
				o.twins = o.twins || usedNames[foldOf[code]]
				usedNames[foldOf[code]] = true
			}
		}
	}
	rankOf := make([]int, len(usedNames))
	names := sortedCodes(e.folded[kind], usedNames)
	for rank, code := range names {
		rankOf[code] = from + rank
	}
	for code, used := range used {
		if used {
			id := uint32(code)<<2 | uint32(kind)
			o.entities.set(id, rankOf[e.foldedCode(id)])
		}
	}
	return len(names)
}

func (r *ranks) set(id uint32, rank int) {
	if int(id) >= len(r.of) {
		r.of = append(r.of, make([]uint32, int(id)+1-len(r.of))...)
	}
	r.of[id] = uint32(rank)
	r.n = max(r.n, rank+1)
}

// slots returns the slots of groups, which are pairs of an entity and an object,
// in the order of their keys; those of one key follow each other.
func (o *keyOrder) slots(groups *columnar.Groups) []int32 {
	slots := make([]int32, groups.Len()-1)
	for i := range slots {
		slots[i] = int32(i + 1)
	}
	slots = o.objects.sort(slots, func(slot int32) uint32 { _, object := groups.Key(slot); return object })
	return o.entities.sort(slots, func(slot int32) uint32 { who, _ := groups.Key(slot); return who })
}

// sort returns the slots in the order of the ranks of what of gives, those of one
// rank in the order in which they stand: a counting sort, as ranks are dense.
func (r *ranks) sort(slots []int32, of func(slot int32) uint32) []int32 {
	next := make([]int32, r.n+1)
	for _, slot := range slots {
		next[r.of[of(slot)]+1]++
	}
	for rank := range r.n {
		next[rank+1] += next[rank]
	}
	out := make([]int32, len(slots))
	for _, slot := range slots {
		rank := r.of[of(slot)]
		out[next[rank]] = slot
		next[rank]++
	}
	return out
}

// A partKey names one part of a fold: what one feed saw of one day.
type partKey struct {
	feed string
	day  Day
}

// parts holds a fold's table for each feed and day.
type parts[P any] struct {
	all   map[partKey]*P
	make  func() *P
	reset func(p *P) // empties a part and keeps its memory
	free  *P         // for a day to come: a table that grows anew takes twice the memory while it does
}

func newParts[P any](make func() *P, reset func(p *P)) parts[P] {
	return parts[P]{all: map[partKey]*P{}, make: make, reset: reset}
}

func (ps *parts[P]) of(k partKey) *P {
	p := ps.all[k]
	if p == nil {
		if p, ps.free = ps.free, nil; p == nil {
			p = ps.make()
		}
		ps.all[k] = p
	}
	return p
}

// groups yields the groups of all parts.
func (ps *parts[P]) groups(of func(*P) *columnar.Groups) iter.Seq[*columnar.Groups] {
	return func(yield func(*columnar.Groups) bool) {
		for _, p := range ps.all {
			if !yield(of(p)) {
				return
			}
		}
	}
}

// drop empties a part.
func (ps *parts[P]) drop(k partKey) {
	p := ps.all[k]
	delete(ps.all, k)
	ps.reset(p)
	ps.free = p // the last day drained is the one that goes on
}

// days calls fold for each run of rows of one day within the options' bounds.
func (ps *parts[P]) days(b *columnar.Batch, feed string, o *FoldOptions, fold func(p *P, from, to int)) {
	times := b.Int64(columnar.Time)
	for i := 0; i < len(times); {
		day := o.dayOf(times[i])
		low := max(int64(day)*dayMicros, o.From)
		high := min(int64(day+1)*dayMicros, o.To)
		if o.OneDay {
			low, high = o.From, o.To
		}
		j := i
		for j < len(times) && times[j] >= low && times[j] < high {
			j++
		}
		if j == i {
			i++ // out of bounds
			continue
		}
		fold(ps.of(partKey{feed, day}), i, j)
		i = j
	}
}

// dayOf returns the day that an event within the bounds is folded for.
func (o *FoldOptions) dayOf(us int64) Day {
	if o.OneDay {
		return DayOf(o.From)
	}
	return DayOf(us)
}

// sorted returns the parts' keys, by day and then feed.
func (ps *parts[P]) sorted() []partKey {
	return slices.SortedFunc(maps.Keys(ps.all), func(a, b partKey) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.feed, b.feed))
	})
}

// feedOf returns the feed that a batch's bytes are counted under. A sensor that
// logs both connections and the requests within them sees the same bytes twice,
// so connections are a feed of their own.
func feedOf(b *columnar.Batch) string {
	if b.Table == columnar.Network {
		return b.Feed + "/network"
	}
	return b.Feed
}

// hourBit returns the bit of Summary.Hours for a time.
func hourBit(us int64) int64 { return 1 << (us / 3600e6 % 24) }

// lastTwoLabels is the registered domain as profile seed has it.
func lastTwoLabels(name []byte) []byte {
	if i := bytes.LastIndexByte(name, '.'); i > 0 {
		return name[bytes.LastIndexByte(name[:i], '.')+1:]
	}
	return name
}
