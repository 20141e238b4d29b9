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
	"slices"

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
		Long: "merge reads one shard of what every task has folded and every join has joined, and writes it as files of partitions to\n" +
			"the work folder. It ends with an error if one is not done, or if what it wrote is damaged. It may be run again.",
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

// runsDone reads what a part says that it has written.
func (t *stage) runsDone(ctx context.Context, part *runsPart) (*taskDone, error) {
	done := &taskDone{}
	name := part.name(doneName)
	err := t.read(ctx, name, done)
	if err == nil && (done.Run != t.plan.Run || done.Task != part.index || len(done.Shards) != t.plan.Shards || len(done.Joins) != part.joins || !done.valid()) {
		err = fmt.Errorf("%s is not that of this plan", name)
	}
	if err != nil {
		return nil, t.failed(part.again, err)
	}
	return done, nil
}

// valid reports whether the shards and joins, and the runs in each, are one after another.
func (d *taskDone) valid() bool {
	end := int64(0)
	for _, s := range slices.Concat(d.Shards, d.Joins) {
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

// runsParts returns the tasks, and then the parts of the joins.
func (t *stage) runsParts() (out []*runsPart) {
	for i := range t.plan.Tasks {
		out = append(out, t.task(i))
	}
	for i := range t.plan.joins() {
		out = append(out, t.joinPart(i))
	}
	return out
}

// A shardRun is a storedRun in a spool.
type shardRun struct {
	fold     int
	kind     string
	from, to int64
}

// mergeShard merges a shard.
func (t *stage) mergeShard(ctx context.Context, shard int) (*shardForm, error) {
	// One file, as many tasks have too many to be open.
	spool := store.NewSpool(spoolBytes)
	defer spool.Close()
	var runs []shardRun
	for _, part := range t.runsParts() {
		done, err := t.runsDone(ctx, part)
		if err == nil {
			err = t.readRuns(ctx, part, &done.Shards[shard], spool, &runs)
		}
		if err != nil {
			return nil, err
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
			of := func(kind string) (in []io.Reader) {
				for _, r := range runs {
					if r.fold == k && r.kind == kind {
						in = append(in, io.NewSectionReader(spool, r.from, r.to-r.from))
					}
				}
				return in
			}
			in, err := siftSent(a, &o, func() io.Reader { return io.MultiReader(of(sentAside(a))...) }, spool, int64(t.config.Memory))
			if err != nil {
				return nil, err
			}
			in = append(in, of(a.Name)...)
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

// siftSent folds what the tasks have set aside of an aggregate and is not to be left out. It
// returns its runs, which it writes to a spool.
func siftSent(a *detect.Aggregate, o *detect.FoldOptions, sent func() io.Reader, spool *store.Spool, memory int64) (in []io.Reader, err error) {
	f, ok := a.New(o).(detect.Deferrer)
	if !ok {
		return nil, nil
	}
	if err := f.Take(sent, int(memory/tableShare/2)); err != nil {
		return nil, err
	}
	w := &worker{o: &foldOptions{aggregates: []*detect.Aggregate{a}, FoldOptions: *o}, folders: []detect.Folder{f}, shards: 1, spool: spool,
		scales: &scales{weights: make([]detect.Weights, 1)}}
	w.weigh(0)
	w.empty(0)
	for i := range w.runs {
		in = append(in, w.runs[i].reader(spool))
	}
	return in, w.err
}

// readRuns adds what a part has of a shard to a spool, and its runs to those in it.
func (t *stage) readRuns(ctx context.Context, part *runsPart, s *taskShard, to *store.Spool, runs *[]shardRun) error {
	if s.End == s.From {
		return nil
	}
	name := part.name(runsName)
	failed := func(err error) error {
		return t.failed(part.again, fmt.Errorf("read %s of %s: %w", name, t.at, err))
	}
	begin, by := s.From, to.Size()-s.From
	for _, r := range s.Runs {
		*runs = append(*runs, shardRun{part.fold, r.Kind, begin + by, r.End + by})
		begin = r.End
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
