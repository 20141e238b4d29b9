package detect

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"iter"
	"slices"

	"outflow/columnar"
)

// This file orders the keys of a fold for its run.

// sortedCodes returns the used codes of a dictionary in the order of their texts.
func sortedCodes(d *columnar.Dict, used []bool) []int32 {
	type item struct {
		first, second uint64 // most texts differ here, so comparing rarely needs the rest
		code          int32
	}
	var items []item
	for code, used := range used {
		if used {
			var prefix [16]byte
			copy(prefix[:], d.Text(int32(code)))
			items = append(items, item{binary.BigEndian.Uint64(prefix[:]), binary.BigEndian.Uint64(prefix[8:]), int32(code)})
		}
	}
	slices.SortFunc(items, func(a, b item) int {
		switch {
		case a.first != b.first:
			return cmp.Compare(a.first, b.first)
		case a.second != b.second:
			return cmp.Compare(a.second, b.second)
		}
		return bytes.Compare(d.Text(a.code), d.Text(b.code))
	})
	codes := make([]int32, len(items))
	for i := range items {
		codes[i] = items[i].code
	}
	return codes
}

// A keyOrder is the order of a fold's keys: the ranks of their entities and of their
// objects, by number.
type keyOrder struct {
	who               *entities
	what              *columnar.Dict
	entities, objects ranks
	twins             bool // an entity has several spellings, so several slots may have one key
}

type ranks struct {
	of []uint32
	n  int
}

// newKeyOrder orders the keys of groups and of lists of pairs.
func newKeyOrder(e *entities, objects *columnar.Dict, groups iter.Seq[*columnar.Groups], lists ...[]columnar.Pair) *keyOrder {
	var used [4][]bool // by kind of entity: the spellings in use
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
	for _, list := range lists {
		for _, pair := range list {
			who, what := pair.Codes()
			used[who&3][who>>2] = true
			usedObjects[what] = true
		}
	}
	o := &keyOrder{who: e, what: objects}
	rank := 0
	for _, kind := range [...]entityKind{groupEntity, hostEntity, addressEntity, userEntity} { // in the order of the names of the types
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

// rank ranks the used spellings of a kind by the canonical names of their entities,
// starting at from, and returns how many entities there are.
func (o *keyOrder) rank(e *entities, kind entityKind, used []bool, from int) int {
	usedNames := used
	if e.named[kind] != e.spelt[kind] {
		nameOf := e.nameOf[kind].Of(e.spelt[kind])
		usedNames = make([]bool, e.named[kind].Len())
		for code, used := range used {
			if used {
				o.twins = o.twins || usedNames[nameOf[code]]
				usedNames[nameOf[code]] = true
			}
		}
	}
	rankOf := make([]int, len(usedNames))
	names := sortedCodes(e.named[kind], usedNames)
	for rank, code := range names {
		rankOf[code] = from + rank
	}
	for code, used := range used {
		if used {
			id := uint32(code)<<2 | uint32(kind)
			o.entities.set(id, rankOf[e.nameCode(id)])
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

// slots returns the slots of groups, each a pair of an entity and an object, in the
// order of their keys. Slots with the same key are adjacent.
func (o *keyOrder) slots(groups *columnar.Groups) []int32 {
	slots := make([]int32, groups.Len()-1)
	for i := range slots {
		slots[i] = int32(i + 1)
	}
	slots = sortBy(&o.objects, slots, func(slot int32) uint32 { _, object := groups.Key(slot); return object })
	return sortBy(&o.entities, slots, func(slot int32) uint32 { who, _ := groups.Key(slot); return who })
}

// A slotKey is the key of a slot, as appendKey and appendKeyText make it.
type slotKey struct {
	key   []byte
	shown []byte // what entities.shown returns
}

// keys yields the slots of a section's groups in the order of their keys. A key is valid
// until the next step.
func (o *keyOrder) keys(at sectionKey, groups *columnar.Groups) iter.Seq2[int32, slotKey] {
	return func(yield func(int32, slotKey) bool) {
		var k slotKey
		var last uint32 // the entity, and the length of the key without the object
		var entity int
		for _, slot := range o.slots(groups) {
			who, what := groups.Key(slot)
			if who != last {
				k = slotKey{o.who.appendKey(k.key[:0], at, who), o.who.shown(who)}
				last, entity = who, len(k.key)
			}
			k.key = appendKeyText(k.key[:entity], o.what.Text(int32(what)))
			if !yield(slot, k) {
				return
			}
		}
	}
}

// pairs returns pairs of an entity and an object in the order of their keys.
func (o *keyOrder) pairs(list []columnar.Pair) []columnar.Pair {
	list = sortBy(&o.objects, list, func(p columnar.Pair) uint32 { _, object := p.Codes(); return object })
	return sortBy(&o.entities, list, func(p columnar.Pair) uint32 { who, _ := p.Codes(); return who })
}

// sortBy returns slots or pairs ordered by the rank of what of returns for them. It is
// stable.
func sortBy[T any](r *ranks, all []T, of func(T) uint32) []T {
	_, sorted := bySlot(r.n, all, func(x T) uint32 { return r.of[of(x)] })
	return sorted
}

// bySlot returns values in the order of their slots, stably, and where each slot ends: a slot's values are
// sorted[ends[slot-1]:ends[slot]], those of slot 0 begin at 0. It is a counting sort, as slots are dense.
func bySlot[T any](slots int, all []T, slot func(T) uint32) (ends []int32, sorted []T) {
	ends = make([]int32, slots+1)
	for _, v := range all {
		ends[slot(v)+1]++
	}
	for s := range slots {
		ends[s+1] += ends[s]
	}
	sorted = make([]T, len(all))
	for _, v := range all {
		end := &ends[slot(v)]
		sorted[*end] = v
		*end++
	}
	return ends, sorted
}

// textsBySlot is bySlot for a set of pairs of a slot and a text. Those of a slot are ordered by the codes of their
// texts: a set has another order in each process, and what a task writes must not.
func textsBySlot(pairs *columnar.Pairs, slots int) (ends []int32, sorted []columnar.Pair) {
	ends, sorted = bySlot(slots, pairs.List(), func(p columnar.Pair) uint32 { slot, _ := p.Codes(); return slot })
	for slot := 1; slot < slots; slot++ {
		slices.Sort(sorted[ends[slot-1]:ends[slot]])
	}
	return ends, sorted
}
