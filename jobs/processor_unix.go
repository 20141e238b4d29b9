//go:build unix

package jobs

import (
	"syscall"
	"time"
)

// processorTime returns the processor time that the process has used, of the system
// too.
func processorTime() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
