package detect

import "slices"

// A LoserTree merges ordered sequences, which the caller keeps and numbers from 0. It
// knows the sequence with the least first element and, for each node between its leaf
// and the root, the sequence that lost to it there. So the next winner takes one
// comparison for each level.
type LoserTree struct {
	nodes  []int // [0] is the winner; -1 where no sequence has played
	before func(i, j int) bool
}

// NewLoserTree returns a tree of n sequences. Each has to play once before there is a
// winner. before reports whether the first element of i comes before that of j; a
// sequence that has ended comes last. Of two elements that are compared, each either
// lost to the last winner or follows it in its sequence.
func NewLoserTree(n int, before func(i, j int) bool) *LoserTree {
	return &LoserTree{slices.Repeat([]int{-1}, n), before}
}

// Winner returns the sequence with the least first element.
func (t *LoserTree) Winner() int { return t.nodes[0] }

// Play updates the tree after sequence i got another first element. Except for the
// first time, i must be the winner.
func (t *LoserTree) Play(i int) {
	for node := (i + len(t.nodes)) / 2; node > 0; node /= 2 {
		switch loser := t.nodes[node]; {
		case loser < 0:
			t.nodes[node] = i // waits for its opponent
			return
		case t.before(loser, i):
			t.nodes[node], i = i, loser
		}
	}
	t.nodes[0] = i
}
