package detect

import "math"

// A Sifter is a Folder of an aggregate that leaves out keys with few bytes, and that
// can find most of them before the tables of all workers are merged, so they need not
// be drained. Every table is weighed before it is drained. When all tables have been
// weighed, those not yet drained are sifted.
type Sifter interface {
	Folder
	// Weigh adds what the table holds to w.
	Weigh(w *Weights)
	// Sift removes the keys that are to be left out according to w, to which all
	// tables have been added. If it returns more, the table is to be drained and sifted
	// again.
	Sift(w *Weights) (more bool, err error)
}

// Weights are upper bounds on the bytes of keys: one sum for each of many hashes,
// shared by all keys with that hash. Bytes only grow, so a key whose sum is small is
// small itself. The zero value is empty.
type Weights struct {
	sums  []uint32
	pairs pairCounts // rows, for pair_times
}

// weightSums is the number of sums; they take 4 MiB. With fewer, more of a day's small
// keys share a sum that is not small. With more, more of them fall out of the
// processor's cache.
const weightSums = 1 << 20

// add adds n bytes, not negative, to a key. A sum stops at math.MaxUint32.
func (w *Weights) add(hash uint64, n int64) {
	if w.sums == nil {
		w.sums = make([]uint32, weightSums)
	}
	sum := &w.sums[hash%weightSums]
	*sum = uint32(min(int64(*sum)+min(n, math.MaxUint32), math.MaxUint32))
}

// most returns the most bytes that a key can have, or math.MaxUint32 if there is no
// known bound.
func (w *Weights) most(hash uint64) uint32 {
	if w.sums == nil {
		return 0
	}
	return w.sums[hash%weightSums]
}
