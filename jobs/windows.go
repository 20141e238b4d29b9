package jobs

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
)

// Windows of decompressors within the memory of the run.
//
// Most streams have windows of up to 8 MiB, and nobody waits for them. zstd --long=27 and
// xz -9 make windows of 128 and 64 MiB: objects that have such a window are read one at a
// time, and the tables are smaller meanwhile.

const (
	// windowShare: the window of a reader that need not wait may have 1/windowShare of the memory,
	// over the number of readers: 8 MiB of 256 for two. With more, many readers take too much.
	windowShare = 16
	// leastWindow is what needs no turn in any case: what zstd makes unasked, of large files.
	leastWindow = 2 << 20
	// mostWindows: an object that has its turn may have 1/mostWindows of the memory. With
	// more, nothing is left for the tables and the garbage.
	mostWindows = 2
)

// windows are the turns of the readers of a run.
type windows struct {
	memory, share int64
	turn          chan struct{} // full: somebody has it
	held          atomic.Int64  // bytes of the windows of the one who has it
	freed         bool          // windows may wait to be collected; of the one who has the turn
}

func newWindows(memory int64, readers int) *windows {
	return &windows{memory: memory, share: max(memory/windowShare/int64(readers), leastWindow), turn: make(chan struct{}, 1)}
}

// budget returns the size of the tables of one of workers while somebody has the turn. An eighth
// is left for them in any case: with less, they are written for every few blocks.
func (w *windows) budget(budget, workers int) int {
	if held := int(w.held.Load()); held > 0 {
		return max(budget-held/workers, budget/8)
	}
	return budget
}

// A windowClaim is what one reader takes: of the object that it reads, and of those that it compares
// that one with.
type windowClaim struct {
	ctx  context.Context
	of   *windows
	wait func()  // until this reader waits for no other, which may want the turn
	took []int64 // by object, the one that is read first
	has  bool    // the turn
}

// claim returns the claim of the reader of the source at a place.
func (w *windows) claim(ctx context.Context, c *contents, place int) *windowClaim {
	return &windowClaim{ctx: ctx, of: w, wait: func() { c.await(ctx, place) }}
}

// part returns a logs.ReadOptions.Windows for one more object.
func (c *windowClaim) part() func(total int64) error {
	i := len(c.took)
	c.took = append(c.took, 0)
	return func(total int64) error { return c.take(i, total) }
}

// take has the object i take total bytes.
func (c *windowClaim) take(i int, total int64) error {
	was := c.took[i]
	c.took[i] = total
	var sum int64
	for _, n := range c.took {
		sum += n
	}
	if total > was && slices.Max(c.took) > c.of.share {
		if sum > c.of.memory/mostWindows {
			c.took[i] = was
			return &windowError{sum, c.of.memory}
		}
		if !c.has {
			if i == 0 { // else it is being compared, and those before it can be waited for
				c.wait()
			}
			select {
			case c.of.turn <- struct{}{}:
				c.has = true
				if c.of.freed {
					// Go makes room for what is large before it collects.
					runtime.GC()
					c.of.freed = false
				}
			case <-c.ctx.Done():
				c.took[i] = was
				return context.Cause(c.ctx)
			}
		}
	}
	switch {
	case !c.has:
	case slices.Max(c.took) > c.of.share:
		c.of.held.Store(sum)
	default:
		c.has, c.of.freed = false, true
		c.of.held.Store(0)
		<-c.of.turn
	}
	return nil
}

// A windowError says that windows are larger than the memory of the run allows.
type windowError struct{ size, memory int64 }

func (e *windowError) Error() string {
	const mib = 1 << 20
	need := (e.size*mostWindows + mib - 1) / mib
	return fmt.Sprintf("needs a window of %d MiB to be decompressed, more than 1/%d of --memory %dMiB: give --memory %dMiB, or compress it anew with a smaller window",
		(e.size+mib-1)/mib, mostWindows, e.memory/mib, need)
}
