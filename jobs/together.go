package jobs

import (
	"cmp"
	"fmt"
	"runtime/debug"
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
				errs[i] = guarded(i, f)
			}
		})
	}
	working.Wait()
	return cmp.Or(errs...)
}

// guarded calls f(i). A panic of a goroutine would end the process with the exit code of
// wrong usage, and in the middle of a night.
func guarded(i int, f func(i int) error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%v (a fault in outflow: please report it)\n%s", fault, debug.Stack())
		}
	}()
	return f(i)
}
