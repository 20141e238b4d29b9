package columnar

// Groups assigns slots to distinct pairs of codes, the keys of a group-by. Slot 0
// is reserved for rows that belong to no group, so that measures need no test. It
// must not be used by several goroutines at once.
type Groups struct {
	keys  []uint64 // by slot
	table []int32  // slots by the hash of their key, 0 if free
}

// NewGroups returns a Groups with no group but slot 0.
func NewGroups() *Groups {
	return &Groups{keys: make([]uint64, 1), table: make([]int32, 256)}
}

// Len returns the number of slots, slot 0 included.
func (g *Groups) Len() int { return len(g.keys) }

// Reset empties g and keeps its memory.
func (g *Groups) Reset() {
	g.keys = g.keys[:1]
	clear(g.table)
}

// Size returns roughly how many bytes of memory the groups use.
func (g *Groups) Size() int { return 16 * len(g.keys) }

// Key returns the pair of a slot.
func (g *Groups) Key(slot int32) (a, b uint32) {
	k := g.keys[slot]
	return uint32(k >> 32), uint32(k)
}

// Slot returns the slot of the pair (a, b). A new pair gets a new slot.
func (g *Groups) Slot(a, b uint32) int32 {
	key := uint64(a)<<32 | uint64(b)
	mask := uint64(len(g.table) - 1)
	i := mix(key^hashKey0, hashKey1) & mask
	for g.table[i] != 0 {
		if slot := g.table[i]; g.keys[slot] == key {
			return slot
		}
		i = (i + 1) & mask
	}
	slot := int32(len(g.keys))
	g.keys = append(g.keys, key)
	g.table[i] = slot
	if len(g.keys)*3 > len(g.table)*2 {
		g.grow()
	}
	return slot
}

// Slots sets slots[i] to the slot of the pair (a[i], b[i]), like calls of Slot in
// this order.
//
// Note: it first reads the table places and then the keys of all pairs, so that
// they do not wait for each other's memory.
func (g *Groups) Slots(slots []int32, a, b []uint32) {
	var keys [64]uint64
	for len(slots) > 0 {
		n := min(len(slots), len(keys))
		mask := uint64(len(g.table) - 1)
		for i := range n {
			keys[i] = uint64(a[i])<<32 | uint64(b[i])
			slots[i] = g.table[mix(keys[i]^hashKey0, hashKey1)&mask]
		}
		for i, slot := range slots[:n] {
			keys[i] ^= g.keys[slot]
		}
		for i := range n {
			if slots[i] == 0 || keys[i] != 0 {
				slots[i] = g.Slot(a[i], b[i])
			}
		}
		slots, a, b = slots[n:], a[n:], b[n:]
	}
}

func (g *Groups) grow() {
	g.table = make([]int32, len(g.table)*2)
	mask := uint64(len(g.table) - 1)
	for slot := 1; slot < len(g.keys); slot++ {
		i := mix(g.keys[slot]^hashKey0, hashKey1) & mask
		for g.table[i] != 0 {
			i = (i + 1) & mask
		}
		g.table[i] = int32(slot)
	}
}

// A Pair is a pair of codes. The zero Pair is in no set.
type Pair uint64

// PairOf returns the pair (a, b).
func PairOf(a, b uint32) Pair { return Pair(a)<<32 | Pair(b) }

// Codes returns the codes of the pair.
func (p Pair) Codes() (a, b uint32) { return uint32(p >> 32), uint32(p) }

// Pairs is a set of pairs of codes. It takes less memory than Groups, and finding a pair
// reads one place of it. The zero Pairs is empty. It must not be used by several
// goroutines at once.
type Pairs struct {
	table []Pair // by their hash, 0 if free
	n     int
}

// Add adds the pairs (a[i], b[i]). A pair with a code 0 is none.
//
// Note: it first reads the table places of many pairs, so that they do not wait for each
// other's memory.
func (s *Pairs) Add(a, b []uint32) {
	if len(s.table) == 0 {
		s.grow()
	}
	var pairs, found [64]Pair
	for len(a) > 0 {
		n := min(len(a), len(pairs))
		mask := uint64(len(s.table) - 1)
		for i := range n {
			pairs[i] = PairOf(a[i], b[i])
			found[i] = s.table[mix(uint64(pairs[i])^hashKey0, hashKey1)&mask]
		}
		for i, p := range pairs[:n] {
			if p != found[i] && a[i] != 0 && b[i] != 0 {
				s.add(p)
			}
		}
		a, b = a[n:], b[n:]
	}
}

func (s *Pairs) add(p Pair) {
	mask := uint64(len(s.table) - 1)
	i := mix(uint64(p)^hashKey0, hashKey1) & mask
	for s.table[i] != 0 {
		if s.table[i] == p {
			return
		}
		i = (i + 1) & mask
	}
	s.table[i] = p
	if s.n++; s.n*3 > len(s.table)*2 {
		s.grow()
	}
}

func (s *Pairs) grow() {
	old := s.table
	s.table = make([]Pair, max(256, 2*len(old)))
	mask := uint64(len(s.table) - 1)
	for _, p := range old {
		if p != 0 {
			i := mix(uint64(p)^hashKey0, hashKey1) & mask
			for s.table[i] != 0 {
				i = (i + 1) & mask
			}
			s.table[i] = p
		}
	}
}

// List returns the pairs, in no order.
func (s *Pairs) List() []Pair {
	list := make([]Pair, 0, s.n)
	for _, p := range s.table {
		if p != 0 {
			list = append(list, p)
		}
	}
	return list
}

// Reset empties s and keeps its memory.
func (s *Pairs) Reset() {
	clear(s.table)
	s.n = 0
}

// Size returns how many bytes of memory the pairs use.
func (s *Pairs) Size() int { return 8 * len(s.table) }

// A Lookup is a function of a text. It is computed once for each distinct text of a
// dictionary, and remembered by code.
type Lookup[T any] struct {
	// Func computes the value of a text. It must not keep the text.
	Func func(text []byte) T
	// All, if it is set in place of Func, appends the values of the texts of a dictionary from
	// the code len(values) on.
	All func(values []T, d *Dict) []T

	// By table, as batches of several come in turn: its dictionary, and the values for its texts.
	of [NumTables]struct {
		dict   *Dict
		values []T
	}
}

// Of returns the values by code, for all codes that d has now. Texts whose codes Code
// never returns have the zero value.
func (l *Lookup[T]) Of(d *Dict) []T {
	of := &l.of[d.table]
	if of.dict != d {
		of.dict, of.values = d, of.values[:0]
	}
	if l.All != nil {
		of.values = l.All(of.values, d)
	}
	for code := len(of.values); code < d.Len(); code++ {
		var v T
		if !d.isAlias(int32(code)) {
			v = l.Func(d.Text(int32(code)))
		}
		of.values = append(of.values, v)
	}
	return of.values
}
