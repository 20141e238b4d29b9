package jobs

import (
	"cmp"
	"sync"
	"sync/atomic"
)

// together calls f(0) … f(n-1), up to workers at a time, and returns the error of the
// lowest index that failed.
func together(workers, n int, f func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var working sync.WaitGroup
	for range min(max(1, workers), n) {
		working.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = f(i)
			}
		})
	}
	working.Wait()
	return cmp.Or(errs...)
}
