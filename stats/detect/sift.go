package detect

import "math"

// A Sifter is a Folder of an aggregate that leaves out keys with few bytes, and
// that can tell most of them before the tables of all workers are merged: then
// they need not be drained. Tables are weighed before they are drained; when all
// have been, those that are left are sifted.
type Sifter interface {
	Folder
	// Weigh adds what the table holds to w.
	Weigh(w *Weights)
	// Sift takes out of the table the keys that w shows are to be left out, once
	// everything that is folded has been added to it.
	Sift(w *Weights)
}

// Weights bound from above how many bytes keys have: a sum for each of many
// hashes, to which all keys of that hash add. Bytes only become more, so that a key
// whose sum is small is small itself. The zero value is empty.
type Weights struct{ sums []uint32 }

// weightSums is how many sums there are: 4 MiB. With fewer, more of a day's small
// keys share a sum that is not small; more fall out of the processor's cache.
const weightSums = 1 << 20

// add adds bytes, which are not negative, to a key. A sum stays at its end.
func (w *Weights) add(hash uint64, n int64) {
	if w.sums == nil {
		w.sums = make([]uint32, weightSums)
	}
	sum := &w.sums[hash%weightSums]
	*sum = uint32(min(int64(*sum)+min(n, math.MaxUint32), math.MaxUint32))
}

// most returns how many bytes a key has at most, or math.MaxUint32 if that is not
// known.
func (w *Weights) most(hash uint64) uint32 {
	if w.sums == nil {
		return 0
	}
	return w.sums[hash%weightSums]
}
