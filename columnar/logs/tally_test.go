package logs

import (
	"fmt"
	"math/rand/v2"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// If this fails, a log with ever new kinds of records fills the memory, or the kinds that
// a report names depend on which worker decoded which block.
func TestKinds(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var want Tally
	for range 20 {
		workers := make([]Tally, 1+rnd.IntN(4))
		order := rnd.Perm(3 * 200)
		for _, i := range order {
			workers[rnd.IntN(len(workers))].Known(fmt.Sprintf("kind %03d", i/3))
		}
		workers[0].Known("")
		workers[0].Known("")
		var sum Tally
		for i := range workers {
			sum.Add(&workers[i])
		}
		if len(sum.Kinds) != maxKinds || sum.Kinds[0] != (Kind{"kind 000", 3}) || sum.Kinds[maxKinds-1] != (Kind{fmt.Sprintf("kind %03d", maxKinds-1), 3}) {
			t.Fatalf("got %v, want 3 records of each of the first %d kinds", sum.Kinds, maxKinds)
		}
		if sum.Unlisted != 3*(200-maxKinds) || sum.Other != 602 || sum.Records != 602 {
			t.Fatalf("got %d unlisted, %d other, %d records, want %d, 602, 602", sum.Unlisted, sum.Other, sum.Records, 3*(200-maxKinds))
		}
		if want.Records == 0 {
			want = sum
		}
		if d := gocmp.Diff(want, sum); d != "" {
			t.Fatalf("another order gives another tally:\n%s", d)
		}
	}
	long := make([]byte, 1000)
	var tally Tally
	if n := testing.AllocsPerRun(100, func() { tally.Known("alert") }); n != 0 {
		t.Errorf("got %v allocations for a kind that is known, want none", n)
	}
	tally.Known(string(long))
	if got := len(tally.Kinds[0].Name); got != maxKindName {
		t.Errorf("got a name of %d bytes, want %d", got, maxKindName)
	}
}
