package jobs

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// A heap that grows, or is nearly empty, would be collected too often or too late.
func TestGarbage(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{{0, 800}, {8 << 20, 400}, {64 << 20, 50}, {100 << 20, 32}, {1 << 30, 25}} {
		if got := garbagePercent(c.live); got != c.want {
			t.Errorf("with %d bytes in use: got %d %%, want %d", c.live, got, c.want)
		}
	}
	var set atomic.Int64
	p := &program{collect: func(int) int { set.Add(1); return 0 }}
	stop := p.boundGarbage()
	for deadline := time.Now().Add(10 * time.Second); set.Load() < 3; {
		if time.Now().After(deadline) {
			t.Fatalf("got %d settings, want one after each collection", set.Load())
		}
		runtime.GC()
		time.Sleep(time.Millisecond) // finalizers run after a collection
	}
	stop()
}
