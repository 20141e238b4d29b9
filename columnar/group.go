package columnar

// Groups numbers distinct pairs of codes: the key of a group-by. Slot 0 is
// reserved for rows that belong to no group, so that measures need no test.
// It is used by one goroutine at a time.
type Groups struct {
	keys  []uint64 // by slot
	table []groupSlot
}

type groupSlot struct {
	key  uint64
	slot int32 // 0 if free
}

// NewGroups returns a Groups with no group but slot 0.
func NewGroups() *Groups {
	return &Groups{keys: make([]uint64, 1), table: make([]groupSlot, 1024)}
}

// Len returns the number of slots, slot 0 included.
func (g *Groups) Len() int { return len(g.keys) }

// Key returns the pair of a slot.
func (g *Groups) Key(slot int32) (a, b uint32) {
	k := g.keys[slot]
	return uint32(k >> 32), uint32(k)
}

// Slot returns the slot of the pair (a, b) and numbers it if it is new.
func (g *Groups) Slot(a, b uint32) int32 {
	key := uint64(a)<<32 | uint64(b)
	mask := uint64(len(g.table) - 1)
	i := mix(key^hashKey0, hashKey1) & mask
	for g.table[i].slot != 0 {
		if g.table[i].key == key {
			return g.table[i].slot
		}
		i = (i + 1) & mask
	}
	slot := int32(len(g.keys))
	g.keys = append(g.keys, key)
	g.table[i] = groupSlot{key, slot}
	if len(g.keys)*2 > len(g.table) {
		g.grow()
	}
	return slot
}

func (g *Groups) grow() {
	old := g.table
	g.table = make([]groupSlot, len(old)*2)
	mask := uint64(len(g.table) - 1)
	for _, s := range old {
		if s.slot == 0 {
			continue
		}
		i := mix(s.key^hashKey0, hashKey1) & mask
		for g.table[i].slot != 0 {
			i = (i + 1) & mask
		}
		g.table[i] = s
	}
}

// A Lookup is a function of a text, computed once per distinct text of a
// dictionary and remembered by code.
type Lookup[T any] struct {
	// Func computes the value of a text; it must not keep the text.
	Func func(text []byte) T

	dict   *Dict
	values []T
}

// Of returns the values by code, for all codes that d has now.
func (l *Lookup[T]) Of(d *Dict) []T {
	if l.dict != d {
		l.dict, l.values = d, l.values[:0]
	}
	for code := len(l.values); code < d.Len(); code++ {
		l.values = append(l.values, l.Func(d.Text(int32(code))))
	}
	return l.values
}
