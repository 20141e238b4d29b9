package jobs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"outflow/columnar/store"
)

// This file runs all stages in processes that something starts side by side, and that know of
// each other only how many they are, such as the pods of an Indexed Job.

const (
	sharedName = "run.json"
	// lookInterval is how long a process waits before it looks again whether another one has
	// done its part. A look is two requests.
	lookInterval = 5 * time.Second
)

// A sharedRun is run.json of the folder that the processes share.
type sharedRun struct {
	Plan string `json:"plan"` // URI
	// Over says that the plan was judged, so that a process that is started again has nothing
	// left to do.
	Over bool `json:"over"`
}

func (p *program) stageRunCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run --work URI --of N [--index I]",
		Short: "run one process's share of all stages",
		Long: "run is one of N processes that run all stages together, such as the pods of an Indexed Job of Kubernetes. Each folds\n" +
			"every Nth task, waits until all tasks are done, and so does every Nth join and shard. Process 0 plans before and judges after\n" +
			"that. A process that ends with an error can be started again. The work folder must be new for each run.",
		Example: "  outflow stage run --config outflow.yaml --work s3://security/outflow/stages/2026-11-20 --of 8 --index 0",
		Args:    cobra.NoArgs,
	}
	request := p.bindRequest(c)
	of := c.Flags().Int("of", 0, "`number` of processes that share the run")
	c.MarkFlagRequired("of")
	index := p.bindIndex(c, "index", "share")
	load := p.withConfig(c)
	p.withVerbose(c)
	c.RunE = func(*cobra.Command, []string) error {
		config, err := load()
		if err != nil {
			return err
		}
		if *of < 1 {
			return badConfig("--of %d: want the number of processes", *of)
		}
		i, err := index(*of)
		if err != nil {
			return err
		}
		r, err := request()
		if err != nil {
			return err
		}
		folder, err := p.open(config, "work folder", r.work)
		if err != nil {
			return err
		}
		s := &share{stage: &stage{p: p, config: config, work: folder, at: r.work}, index: i, of: *of}
		return s.run(p.ctx, r)
	}
	return c
}

// A share is what one of several processes does of a run. Its stage is the folder that they
// share.
type share struct {
	*stage
	index, of int
}

// An indexedStage is a stage that runs for each task, each part of the joins, or each shard.
type indexedStage struct {
	name string // up to the index
	n    int
	done func(i int) error // fs.ErrNotExist: it has to run for i
	do   func(i int) error
}

// errOver says that the run was judged, so that nothing is left to do.
var errOver = errors.New("the run was judged")

func (s *share) run(ctx context.Context, r *planRequest) error {
	shared, err := s.begin(ctx, r)
	if err != nil {
		return err
	}
	if shared.Over {
		return s.end(ctx, shared)
	}
	t, err := s.p.openPlan(s.config, shared.Plan)
	if err != nil {
		return err
	}
	tasks := indexedStage{"fold --task", len(t.plan.Tasks),
		func(i int) error { _, err := t.runsDone(ctx, t.task(i)); return err },
		func(i int) error { _, err := t.foldTask(ctx, i); return err }}
	joins := indexedStage{"join --part", t.plan.joins(),
		func(i int) error { _, err := t.runsDone(ctx, t.joinPart(i)); return err },
		func(i int) error { _, err := t.joinRuns(ctx, i); return err }}
	shards := indexedStage{"merge --shard", t.plan.Shards,
		func(i int) error { _, err := t.shardDone(ctx, i); return err },
		func(i int) error { _, err := t.mergeShard(ctx, i); return err }}
	err = s.stages(ctx, &tasks, &joins, &shards)
	if s.index > 0 || err != nil {
		if errors.Is(err, errOver) {
			return nil
		}
		return err
	}
	judged, err := t.judge()
	if !judged {
		return err
	}
	shared.Over = true
	if werr := s.write(ctx, sharedName, shared); werr != nil {
		return cmp.Or(err, werr)
	}
	return cmp.Or(err, s.end(ctx, shared))
}

// begin returns the plan of the run. Process 0 makes it, unless it had done so before it was
// started again.
func (s *share) begin(ctx context.Context, r *planRequest) (*sharedRun, error) {
	shared := &sharedRun{}
	for said := false; ; said = true {
		err := s.read(ctx, sharedName, shared)
		if err == nil {
			return shared, s.checkPlace(shared)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, configError{err}
		}
		if s.index > 0 {
			if err := s.wait(ctx, said, "the plan of process 0"); err != nil {
				return nil, err
			}
			continue
		}
		form, err := s.p.makePlan(s.config, r)
		if err != nil {
			return nil, err
		}
		text, err := store.EncodeChecked(&sharedRun{Plan: form.Plan})
		if err != nil {
			return nil, err
		}
		// Should an earlier process 0 still be there, the first plan holds.
		if err := s.work.Put(ctx, sharedName, bytes.NewReader(text), store.IfAbsent); err != nil && !errors.Is(err, store.ErrExists) {
			return nil, fmt.Errorf("write %s of %s: %w", sharedName, s.at, err)
		}
	}
}

// checkPlace refuses a plan of another work folder: process 0 removes the folder of the plan.
func (s *share) checkPlace(shared *sharedRun) error {
	folder, name, _ := cutLast(shared.Plan)
	if above, run, ok := cutLast(folder); !ok || above != s.at || run == ".." || name != planName {
		return badConfig("%s of %s names the plan %s, which is not in this folder: give --work a new folder", sharedName, s.at, shared.Plan)
	}
	return nil
}

// stages does this process's share of the stages, each when the one before has run for all
// indexes. Process 0 returns when the last has.
func (s *share) stages(ctx context.Context, all ...*indexedStage) error {
	for i, stage := range all {
		if err := s.do(ctx, stage); err != nil {
			return err
		}
		if i == len(all)-1 && s.index > 0 {
			return nil
		}
		if err := s.await(ctx, stage); err != nil {
			return err
		}
	}
	return nil
}

// do runs a stage for the indexes that are this process's, unless it has run for them.
func (s *share) do(ctx context.Context, w *indexedStage) error {
	for i := s.index; i < w.n; i += s.of {
		done, err := s.has(ctx, w, i)
		if err == nil && !done {
			err = w.do(i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// await waits until a stage has run for all indexes.
func (s *share) await(ctx context.Context, w *indexedStage) error {
	for i := range w.n {
		for said := false; ; said = true {
			done, err := s.has(ctx, w, i)
			if err != nil {
				return err
			}
			if done {
				break
			}
			if err := s.wait(ctx, said, fmt.Sprintf("%s %d", w.name, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// has reports whether a stage has run for an index. errOver: it did, and what it wrote is no longer there.
func (s *share) has(ctx context.Context, w *indexedStage, i int) (bool, error) {
	err := w.done(i)
	if !errors.Is(err, fs.ErrNotExist) {
		return err == nil, err
	}
	shared := &sharedRun{}
	if err := s.read(ctx, sharedName, shared); err != nil {
		return false, err
	}
	if shared.Over {
		return false, errOver
	}
	return false, nil
}

// wait waits before the next look, and says once for what.
func (s *share) wait(ctx context.Context, said bool, what string) error {
	if !said {
		s.p.note("waiting for %s", what)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(lookInterval):
		return nil
	}
}

// end removes the work folder of a run that is over. What is left of it is run.json, which
// keeps a process that is started again from running it once more.
func (s *share) end(ctx context.Context, shared *sharedRun) error {
	if s.index > 0 {
		return nil
	}
	folder, _, _ := cutLast(shared.Plan)
	t := &stage{p: s.p, config: s.config, at: folder}
	return t.remove(ctx)
}
