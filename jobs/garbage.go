package jobs

import (
	"runtime"
	"runtime/metrics"
	"sync/atomic"
)

// How much garbage the heap may hold.

// garbage is how many bytes of garbage gather before the heap is collected. Go's GOGC lets
// garbage grow in proportion to the memory in use instead: the small heap of a start, or
// of rows that stream through, would be collected dozens of times, and the large one of
// full tables would be a third garbage when the memory is scarcest.
const (
	garbage = 32 << 20
	// leastGarbage is in percent of the memory in use: with much less, tables of several
	// times garbage would be marked again and again while they grow.
	leastGarbage = 25
)

// boundGarbage keeps the garbage of the heap at those sizes until stop is called: after
// each collection it sets the percentage for the next.
func (p *program) boundGarbage() (stop func()) {
	var stopped atomic.Bool
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	type cycle struct{ _ *cycle } // with a pointer, as what has none may be freed late
	var watch func(*cycle)
	watch = func(*cycle) {
		if stopped.Load() {
			return
		}
		metrics.Read(live)
		p.collect(garbagePercent(live[0].Value.Uint64()))
		runtime.SetFinalizer(new(cycle), watch)
	}
	watch(nil)
	return func() { stopped.Store(true) }
}

// garbagePercent returns the percentage of garbage for a heap with that many bytes in use.
// It is for 4 MB at least, since the smallest heap that Go collects is that percentage of them.
func garbagePercent(live uint64) int {
	return int(max(leastGarbage, 100*garbage/max(live, 4<<20)))
}
