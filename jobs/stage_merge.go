package jobs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/spf13/cobra"

	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// This file merges one shard of a planned run.

// A shardDone is shard=J/_done.json: it says which files a shard has. It is written last.
type shardDone struct {
	Run   string       `json:"run"`
	Shard int          `json:"shard"`
	Parts []mergedPart `json:"parts"`
}

// A mergedPart is a file of a partition: what a shard has of an aggregate and day.
type mergedPart struct {
	Fold      int           `json:"fold"`
	Aggregate string        `json:"aggregate"`
	Day       string        `json:"day"`
	Feeds     []string      `json:"feeds"`
	Part      store.PartRef `json:"part"`
}

func (m *mergedPart) name(shard int) string {
	return fmt.Sprintf("fold=%d/aggregate=%s/date=%s/part-%d.parquet", m.Fold, m.Aggregate, m.Day, shard)
}

func shardName(shard int) string { return fmt.Sprintf("shard=%d/%s", shard, doneName) }

// A shardForm is what stage merge prints as JSON.
type shardForm struct {
	Shard int   `json:"shard"`
	Tasks int   `json:"tasks"`
	Rows  int64 `json:"rows"`
	Bytes int64 `json:"bytes"`
}

func (p *program) stageMergeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "merge --plan URI [--shard N]",
		Short: "merge one shard of what the tasks of a plan have folded",
		Long: "merge reads one shard of what every task has folded, and writes it as files of partitions to the work folder. It\n" +
			"ends with an error if a task is not done, or if what it wrote is damaged. It may be run again.",
		Example: "  outflow stage merge --config outflow.yaml --plan s3://company-outflow/stages/nightly-2026-11-20-1a2b3c4d/plan.json --shard 0",
		Args:    cobra.NoArgs,
	}
	open := p.bindPart(c, "shard", func(plan *stagePlan) int { return plan.Shards })
	c.RunE = func(*cobra.Command, []string) error {
		t, shard, json, err := open()
		if err != nil {
			return err
		}
		out, err := t.mergeShard(p.ctx, shard)
		if err != nil {
			return err
		}
		if json {
			return p.printJSON(out)
		}
		fmt.Fprintf(p.stdout, "shard %d: %s of %s (%s)\n", shard, counted(int(out.Rows), "row"), counted(out.Tasks, "task"), reports.ByteSize(float64(out.Bytes)))
		return nil
	}
	return c
}

// taskDone reads what a task says that it has written.
func (t *stage) taskDone(ctx context.Context, task int) (*taskDone, error) {
	done := &taskDone{}
	err := t.read(ctx, taskName(task, doneName), done)
	if err == nil && (done.Run != t.plan.Run || done.Task != task || len(done.Shards) != t.plan.Shards || !done.valid()) {
		err = fmt.Errorf("%s is not that of this plan", taskName(task, doneName))
	}
	if err != nil {
		return nil, t.failed(fmt.Sprintf("fold --task %d", task), err)
	}
	return done, nil
}

// valid reports whether the shards, and the runs in each, are one after another.
func (d *taskDone) valid() bool {
	end := int64(0)
	for i := range d.Shards {
		s := &d.Shards[i]
		if s.From != end {
			return false
		}
		for _, r := range s.Runs {
			if r.End < end {
				return false
			}
			end = r.End
		}
		if s.End != end {
			return false
		}
	}
	return d.Size == end
}

// A shardRun is a run of an aggregate in a spool.
type shardRun struct {
	fold      int
	aggregate string
	from, to  int64
}

// mergeShard merges a shard.
func (t *stage) mergeShard(ctx context.Context, shard int) (*shardForm, error) {
	// One file, as many tasks have too many to be open.
	spool := store.NewSpool(spoolBytes)
	defer spool.Close()
	var runs []shardRun
	for i := range t.plan.Tasks {
		done, err := t.taskDone(ctx, i)
		if err != nil {
			return nil, err
		}
		s := &done.Shards[shard]
		by := spool.Size() - s.From
		if err := t.readRuns(ctx, i, s, spool); err != nil {
			return nil, err
		}
		at := s.From
		for _, r := range s.Runs {
			runs = append(runs, shardRun{t.plan.Tasks[i].Fold, r.Aggregate, at + by, r.End + by})
			at = r.End
		}
	}
	out := &shardForm{Shard: shard, Tasks: len(t.plan.Tasks)}
	done := shardDone{Run: t.plan.Run, Shard: shard, Parts: []mergedPart{}}
	writer := &store.Writer[detect.Row]{}
	for k := range t.plan.Folds {
		o, aggregates, _, err := t.fold(&t.plan.Folds[k])
		if err != nil {
			return nil, err
		}
		for _, a := range aggregates {
			var in []io.Reader
			for _, r := range runs {
				if r.fold == k && r.aggregate == a.Name {
					in = append(in, io.NewSectionReader(spool, r.from, r.to-r.from))
				}
			}
			for day, rows := range byDay(detect.Merge(a, &o, in, spool)) {
				part := mergedPart{Fold: k, Aggregate: a.Name, Day: day.String()}
				size, err := t.putPart(ctx, writer, &part, shard, rows)
				if err != nil {
					return nil, err
				}
				out.Rows += part.Part.Rows
				out.Bytes += size
				done.Parts = append(done.Parts, part)
			}
		}
	}
	return out, t.write(ctx, shardName(shard), &done)
}

// readRuns adds the runs of a task to a spool.
func (t *stage) readRuns(ctx context.Context, task int, s *taskShard, to *store.Spool) error {
	if s.End == s.From {
		return nil
	}
	name := taskName(task, runsName)
	failed := func(err error) error {
		return t.failed(fmt.Sprintf("fold --task %d", task), fmt.Errorf("read %s of %s: %w", name, t.at, err))
	}
	file, err := t.work.OpenAt(ctx, name)
	if err != nil {
		return failed(err)
	}
	defer file.Close()
	sum := sha256.New()
	buf := make([]byte, runRead)
	for at := s.From; at < s.End; {
		n, err := file.ReadAt(buf[:min(int64(len(buf)), s.End-at)], at)
		if n == 0 {
			return failed(cmp.Or(err, io.ErrUnexpectedEOF))
		}
		sum.Write(buf[:n])
		if _, err := to.Write(buf[:n]); err != nil {
			return err
		}
		at += int64(n)
	}
	if hex.EncodeToString(sum.Sum(nil)) != s.SHA256 {
		return failed(errors.New("it is not as it was written"))
	}
	return nil
}

// runRead is how many bytes of runs are read at once. With less, S3 has more requests to
// answer; with more, merging has less memory.
const runRead = 8 << 20

// putPart writes the rows of a day.
func (t *stage) putPart(ctx context.Context, w *store.Writer[detect.Row], part *mergedPart, shard int, rows iter.Seq2[*detect.Row, error]) (int64, error) {
	file, ref, err := w.File(ctx, func(yield func(*detect.Row, error) bool) {
		for r, err := range rows {
			if err == nil {
				part.Feeds = withFeed(part.Feeds, r.Feed)
			}
			if !yield(r, err) {
				return
			}
		}
	})
	if err != nil {
		return 0, err
	}
	defer file.Close()
	part.Part = ref
	return file.Size(), t.putFrom(ctx, part.name(shard), file.Reader())
}

// byDay yields the rows of each day, which must come by day. The rows of a day must be read
// before the next step.
func byDay(all iter.Seq2[*detect.Row, error]) iter.Seq2[detect.Day, iter.Seq2[*detect.Row, error]] {
	return func(yield func(detect.Day, iter.Seq2[*detect.Row, error]) bool) {
		next, stop := iter.Pull2(all)
		defer stop()
		row, err, more := next()
		for more {
			day := detect.Day(0)
			if err == nil {
				day = row.Day
			}
			if !yield(day, func(yield func(*detect.Row, error) bool) {
				for ; more && (err != nil || row.Day == day); row, err, more = next() {
					if !yield(row, err) || err != nil {
						return
					}
				}
			}) {
				return
			}
		}
	}
}
