package detect

// This file keeps the most that anyone had, so that a day can be compared with all others.

// A topTwo is the highest of several values, and the highest of all but its owner's.
type topTwo[K comparable] struct {
	highest int64
	by      K
	second  int64 // the highest of all others
}

// add adds a value of k.
func (t *topTwo[K]) add(k K, x int64) {
	switch {
	case t.by == k:
		t.highest = max(t.highest, x)
	case x > t.highest:
		t.highest, t.by, t.second = x, k, t.highest
	default:
		t.second = max(t.second, x)
	}
}

// without returns the highest value without those of k.
func (t topTwo[K]) without(k K) int64 {
	if t.by == k {
		return t.second
	}
	return t.highest
}

// A peerMax is the highest value of the entities that use a destination. Nil stands for none.
type peerMax struct {
	topTwo[Key]     // by entities: keys without an object
	users       int // entities
	last        Key // the entity that was added last
}

// add adds a value of an entity. The values of an entity come one after another.
func (m *peerMax) add(k Key, x int64) {
	k.Object = ""
	if m.last != k {
		m.users++
		m.last = k
	}
	m.topTwo.add(k, x)
}

// without returns the highest value of all entities but one.
func (m *peerMax) without(k Key) int64 {
	if m == nil {
		return 0
	}
	k.Object = ""
	return m.topTwo.without(k)
}

// all returns the highest value of all entities.
func (m *peerMax) all() int64 {
	if m == nil {
		return 0
	}
	return m.highest
}
