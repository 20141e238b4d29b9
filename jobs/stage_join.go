package jobs

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"

	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// This file joins what several logs of a planned run tell of one connection, if they may be in
// several tasks: its records, and the DNS answers that name its server. All of it belongs to
// the address of one client, so a hash of that address decides the part. Each task writes what it
// has for each part; a part joins it and folds the rows, as a run on one machine does with its
// own parts.

// The kinds of what is sent to the joins.
const (
	sentConnections = "connections" // detect.Connections
	sentAnswers     = "answers"     // detect.Answers
	sentQuestions   = "questions"   // what tables ask these
)

// sends reports whether joins are those of another stage.
func (o *foldOptions) sends() bool { return o.task != nil && o.task.joins > 0 }

// send writes what the worker has kept for the joins to its spool.
func (w *worker) send() {
	if w.connections != nil && w.err == nil {
		w.err = w.sendTo(sentConnections, w.connections.Send)
	}
	if w.answers != nil && w.err == nil {
		w.err = w.sendTo(sentAnswers, func(answers []io.Writer) error {
			return w.sendTo(sentQuestions, func(questions []io.Writer) error { return w.answers.Send(answers, questions) })
		})
	}
}

// sendTo calls send with a writer for each part of the joins.
func (w *worker) sendTo(kind string, send func(to []io.Writer) error) error {
	parts, writers := w.spoolWriters(kind, w.o.task.joins)
	err := send(writers)
	w.sent = appendRuns(w.sent, parts)
	return err
}

// A joinForm is what stage join prints as JSON.
type joinForm struct {
	Part     int   `json:"part"`
	Tasks    int   `json:"tasks"`
	Rows     int64 `json:"rows"`  // of joined connections
	Bytes    int64 `json:"bytes"` // that tasks have written for it
	RunBytes int64 `json:"run_bytes"`
}

func (p *program) stageJoinCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "join --plan URI [--part N]",
		Short: "join one part of the connections that the tasks of a plan have met",
		Long: "join reads what every task has for one part of the joins: records of connections, and DNS answers to their clients. It joins\n" +
			"them, and writes what it has folded of them to the work folder. It may be run again. A plan whose logs need no joins has\n" +
			"no parts.",
		Example: "  outflow stage join --config outflow.yaml --plan s3://company-outflow/stages/nightly-2026-11-20-1a2b3c4d/plan.json --part 0",
		Args:    cobra.NoArgs,
	}
	open := p.bindPart(c, "part", (*stagePlan).joins)
	c.RunE = func(*cobra.Command, []string) error {
		t, part, json, err := open()
		if err != nil {
			return err
		}
		done, err := t.joinRuns(p.ctx, part)
		if err != nil {
			return err
		}
		out := joinForm{part, done.Objects, done.Rows, done.Bytes, done.Size}
		if json {
			return p.printJSON(out)
		}
		fmt.Fprintf(p.stdout, "part %d: %s of %s: %s of runs\n", part, counted(int(out.Rows), "connection"), counted(out.Tasks, "task"),
			reports.ByteSize(float64(out.RunBytes)))
		return nil
	}
	return c
}

// joins returns the number of parts of the joins of all folds.
func (plan *stagePlan) joins() (n int) {
	for i := range plan.Folds {
		n += plan.Folds[i].Joins
	}
	return n
}

// joinPart returns a part of the joins. Those of one fold follow those of the fold before.
func (t *stage) joinPart(i int) *runsPart {
	part := &runsPart{folder: fmt.Sprintf("join=%d", i), index: i, again: fmt.Sprintf("join --part %d", i)}
	part.fold, _ = t.plan.joinOf(i)
	return part
}

// joinOf returns the fold of a part of the joins, and its number among those of the fold.
func (plan *stagePlan) joinOf(i int) (fold, part int) {
	for i >= plan.Folds[fold].Joins {
		i -= plan.Folds[fold].Joins
		fold++
	}
	return fold, i
}

// joinRuns joins a part, unless it is done.
func (t *stage) joinRuns(ctx context.Context, index int) (*taskDone, error) {
	part := t.joinPart(index)
	if done, err := t.runsDone(ctx, part); err == nil && t.whole(ctx, part, done) {
		return done, nil
	}
	fold, of := t.plan.joinOf(index)
	f := &t.plan.Folds[fold]
	options, aggregates, _, err := t.fold(f)
	if err != nil {
		return nil, err
	}
	o := &foldOptions{aggregates: aggregates, FoldOptions: options, workers: 1, task: &foldTask{shards: t.plan.Shards}}
	o.setWant()
	done := &taskDone{Run: t.plan.Run, Task: index}
	spool := store.NewSpool(spoolBytes)
	defer spool.Close()
	var runs []shardRun
	for i := range t.plan.Tasks {
		if t.plan.Tasks[i].Fold != fold {
			continue
		}
		task := t.task(i)
		wrote, err := t.runsDone(ctx, task)
		if err == nil {
			err = t.readRuns(ctx, task, &wrote.Joins[of], spool, &runs)
		}
		if err != nil {
			return nil, err
		}
		done.Objects++
	}
	done.Bytes = spool.Size()
	w, err := o.joined(ctx, runs, spool, int64(t.config.Memory))
	if err != nil {
		return nil, err
	}
	defer (&folded{workers: []*worker{w}}).Close() // it was only read
	done.Rows = w.joined
	if err := t.putRuns(ctx, part, done, w); err != nil {
		return nil, err
	}
	return done, t.write(ctx, part.name(doneName), done)
}

// joined joins and folds what tasks have sent, which is in a spool. It returns the worker that
// has the runs.
func (o *foldOptions) joined(ctx context.Context, sent []shardRun, in *store.Spool, memory int64) (*worker, error) {
	w := newWorker(o, &sync.Mutex{})
	w.budget, w.shards = int(memory/tableShare), o.task.shards
	w.spool, w.scales = store.NewSpool(w.budget/2), &scales{weights: make([]detect.Weights, len(w.folders))}
	w.openAside()
	w.openConnections()
	w.openAnswers()
	take := map[string]func(io.Reader) error{}
	if w.connections != nil {
		take[sentConnections] = w.connections.Take
	}
	if w.answers != nil {
		take[sentAnswers], take[sentQuestions] = w.answers.TakeAnswers, w.answers.TakeQuestions
	}
	for _, r := range sent {
		f := take[r.kind]
		if f == nil {
			w.err = fmt.Errorf("what tasks have for the joins has an unknown kind %q", r.kind)
		} else if w.err == nil {
			w.err = f(io.NewSectionReader(in, r.from, r.to-r.from))
		}
	}
	w.closeConnections()
	var part, answered atomic.Int64
	all := []*worker{w}
	w.join(ctx, all, &part)
	w.freeConnections()
	for i := range w.folders {
		w.weigh(i)
	}
	w.closeAnswers()
	for i := range w.folders {
		w.empty(i)
	}
	w.resolve(ctx, all, &answered)
	if w.err == nil {
		w.err = ctx.Err()
	}
	if w.err != nil {
		(&folded{workers: all}).Close()
		return nil, w.err
	}
	return w, nil
}
