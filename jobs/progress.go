package jobs

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
)

// quietInterval is how often a run without a terminal prints its progress.
const quietInterval = 30 * time.Second

// fold is Fold for a command: it shows the progress of reading, and records in the trace what
// it does.
func (p *program) fold(ctx context.Context, what string, sources []source, o *foldOptions) (*folded, error) {
	var total int64
	for i := range sources {
		total += sources[i].object.Size
	}
	var read atomic.Int64
	o.read, o.trace = &read, p.trace
	defer p.watch(what, total, &read)()
	return Fold(ctx, sources, o)
}

// watch shows the progress of reading until stop is called: a bar on a terminal,
// otherwise a line every half minute.
func (p *program) watch(what string, total int64, read *atomic.Int64) (stop func()) {
	if p.quiet {
		return func() {}
	}
	interval := cmp.Or(p.interval, quietInterval)
	var bar *progressbar.ProgressBar
	if p.tty && p.logFormat != "json" {
		interval = 100 * time.Millisecond
		bar = progressbar.NewOptions64(max(total, 1), progressbar.OptionSetWriter(p.stderr),
			progressbar.OptionSetDescription(what), progressbar.OptionShowBytes(true),
			progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
		bar.RenderBlank()
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if bar != nil {
					bar.Set64(min(read.Load(), max(total, 1)))
				} else {
					p.say(slog.LevelInfo, fmt.Sprintf("%s: %d of %d MB read", what, read.Load()/1e6, total/1e6), "read_bytes", read.Load(), "total_bytes", total)
				}
			case <-done:
				if bar != nil {
					bar.Finish()
				}
				return
			}
		}
	}()
	return func() { close(done); <-stopped }
}
