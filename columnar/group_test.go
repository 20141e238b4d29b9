package columnar

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// If this fails, rows are counted in another row's group when their groups are
// looked up together.
func TestGroupsSlots(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	together, alone := NewGroups(), NewGroups()
	for range 500 {
		n := r.IntN(200) // as many as it takes at once, more, and fewer
		a, b := make([]uint32, n), make([]uint32, n)
		slots, want := make([]int32, n), make([]int32, n)
		for i := range n {
			a[i], b[i] = r.Uint32N(60), r.Uint32N(60) // some again within the call
			want[i] = alone.Slot(a[i], b[i])
		}
		if together.Slots(slots, a, b); !slices.Equal(slots, want) {
			t.Fatalf("slots of %v, %v: got %v, want %v", a, b, slots, want)
		}
	}
}

func TestGroups(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	g := NewGroups()
	slots := map[[2]uint32]int32{}
	for range 200_000 {
		a, b := r.Uint32()>>r.IntN(32), r.Uint32()>>r.IntN(32)
		want, seen := slots[[2]uint32{a, b}]
		if !seen {
			want = int32(len(slots) + 1)
			slots[[2]uint32{a, b}] = want
		}
		if got := g.Slot(a, b); got != want {
			t.Fatalf("Slot(%d, %d): got %d, want %d", a, b, got, want)
		}
	}
	if g.Len() != len(slots)+1 {
		t.Errorf("got %d slots, want %d", g.Len(), len(slots)+1)
	}
	for key, slot := range slots {
		if a, b := g.Key(slot); a != key[0] || b != key[1] {
			t.Fatalf("Key(%d): got %d, %d, want %v", slot, a, b, key)
		}
	}
	if g.Slot(0, 0) == 0 {
		t.Error("the pair (0, 0) got slot 0, which is for rows of no group")
	}
}
