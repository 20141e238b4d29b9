package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// This file holds what the stages of a run share. A run that is too large for one machine is
// planned, folded in tasks, merged in shards and judged, by processes on any machines that
// reach one work folder. What happens in each is what happens in a run on one machine, so
// the results are the same.

// planVersion is the version of plan.json and of the objects beside it.
const planVersion = 3

const planName = "plan.json"

// A stagePlan is plan.json: what all stages of a run must agree on.
type stagePlan struct {
	Version int    `json:"version"`
	Program string `json:"program"` // version of outflow
	Run     string `json:"run"`     // names the work folder
	Config  string `json:"config"`  // Config.digest
	Seed    uint64 `json:"seed,string"`
	// The days to judge, as of a night.
	First  string        `json:"first"`
	Last   string        `json:"last"`
	Named  bool          `json:"named,omitempty"`
	Shards int           `json:"shards"`
	Folds  []plannedFold `json:"folds"`
	Tasks  []plannedTask `json:"tasks"`
}

// A plannedFold is a span of days that is folded at once.
type plannedFold struct {
	Days       []string `json:"days"`
	Aggregates []string `json:"aggregates"`
	Resolve    bool     `json:"resolve"` // see foldOptions
	// Joins is the number of parts in which what several logs tell of one connection is
	// joined. 0: no two logs do.
	Joins int `json:"joins,omitempty"`
}

// A plannedTask is a part of the objects of a fold.
type plannedTask struct {
	Fold int `json:"fold"`
	// EachLog says that copies of events are found within a log alone.
	EachLog bool            `json:"each_log,omitempty"`
	Objects []plannedObject `json:"objects"`
}

// A plannedObject is an object as it was listed.
type plannedObject struct {
	Place int    `json:"place"` // among the sources of the fold
	Feed  string `json:"feed"`
	URI   string `json:"uri"`
	Size  int64  `json:"size"`
	ETag  string `json:"etag"`
	// Written is when it was last written, in ns UTC.
	Written int64  `json:"written,omitempty"`
	Account string `json:"account,omitempty"`
	Format  string `json:"format,omitempty"` // "": each log in it is recognised
	// Table says that it is a data file of a table, which tells more of it.
	Table bool `json:"table,omitempty"`
	// Unlisted says why the input that it stands for could not be listed.
	Unlisted string   `json:"unlisted,omitempty"`
	Copies   []copyOf `json:"copies,omitempty"`
}

// A foldTask says what a Fold that folds a part of a run must know of the whole run.
type foldTask struct {
	eachLog bool
	shards  int
	joins   int // see plannedFold; 0: it joins itself what it has
	copies  *decidedCopies
}

func (p *program) stageCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "stage",
		Short: "run the nightly job in stages, on many machines",
		Long: "stage runs the nightly job in stages: plan, then fold for each task, then join for each part, then merge for each\n" +
			"shard, then judge. The stages may run on different machines that reach one work folder, and have the same configuration.\n" +
			"Tasks, parts and shards may run at the same time, in any order, and again. State and reports are those of run nightly.",
		Example: "  outflow stage plan --config outflow.yaml --work /mnt/outflow/stages --as json",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(p.stagePlanCommand(), p.stageFoldCommand(), p.stageJoinCommand(), p.stageMergeCommand(), p.stageJudgeCommand(), p.stageRunCommand())
	return c
}

// A stage is what a stage works on.
type stage struct {
	p      *program
	config *Config
	work   store.Store
	at     string // URI of work
	plan   *stagePlan
}

// bindPlan adds --plan to a stage. It returns a function that reads the plan.
func (p *program) bindPlan(c *cobra.Command) func(*Config) (*stage, error) {
	uri := c.Flags().String("plan", "", "`URI` of the plan that stage plan made")
	c.MarkFlagRequired("plan")
	return func(config *Config) (*stage, error) { return p.openPlan(config, *uri) }
}

// openPlan reads a plan.
func (p *program) openPlan(config *Config, uri string) (*stage, error) {
	folder, name, ok := cutLast(absolute(uri))
	if !ok || name != planName {
		return nil, badConfig("--plan %q: want the URI that stage plan printed, which ends in /%s", uri, planName)
	}
	work, err := p.open(config, "work folder", folder)
	if err != nil {
		return nil, err
	}
	t := &stage{p: p, config: config, work: work, at: folder, plan: &stagePlan{}}
	if err := t.read(p.ctx, planName, t.plan); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, badConfig("--plan %s: there is no plan", uri)
		}
		return nil, configError{err}
	}
	return t, t.check()
}

// check refuses a plan that this process would not have made.
func (t *stage) check() error {
	plan := t.plan
	_, folder, _ := cutLast(t.at)
	switch {
	case folder != plan.Run: // judge removes the folder
		return badConfig("the plan %s was moved: want it in the folder %s, where stage plan put it", t.at, plan.Run)
	case plan.Version != planVersion:
		return badConfig("the plan %s has version %d, want %d: plan the run with this version of outflow", t.at, plan.Version, planVersion)
	case plan.Program != version():
		return badConfig("the plan %s was made by outflow %s, and this is %s: all stages of a run need the same version", t.at, plan.Program, version())
	case plan.Config != t.config.digest():
		return badConfig("the plan %s was made with another configuration, other rules or other lists of people: all stages of a run need the same ones", t.at)
	}
	if err := plan.valid(); err != nil {
		return badConfig("the plan %s is not one that stage plan wrote: %w: plan the run again", t.at, err)
	}
	return nil
}

// valid reports what no plan has.
func (plan *stagePlan) valid() error {
	if plan.Shards < 1 || plan.Shards > maxShards {
		return fmt.Errorf("it has %d shards, want 1 to %d", plan.Shards, maxShards)
	}
	if _, err := dayRange(plan.First, plan.Last, 0); err != nil {
		return err
	}
	for i := range plan.Folds {
		if joins := plan.Folds[i].Joins; joins < 0 || joins > maxShards {
			return fmt.Errorf("fold %d has %d joins, want at most %d", i, joins, maxShards)
		}
		days, err := parseDays(plan.Folds[i].Days)
		if err != nil {
			return err
		}
		if !slices.IsSorted(days) {
			return fmt.Errorf("the days of fold %d do not ascend", i)
		}
	}
	for i := range plan.Tasks {
		task := &plan.Tasks[i]
		if task.Fold < 0 || task.Fold >= len(plan.Folds) {
			return fmt.Errorf("task %d is of fold %d, and there are %d", i, task.Fold, len(plan.Folds))
		}
		for k := range task.Objects {
			if task.Objects[k].Size < 0 {
				return fmt.Errorf("an object of task %d has %d bytes", i, task.Objects[k].Size)
			}
		}
	}
	return nil
}

// read reads an object of the work folder that write wrote.
func (t *stage) read(ctx context.Context, name string, v any) error {
	text, err := store.ReadChecked(ctx, t.work, name)
	if err == nil {
		err = store.DecodeChecked(text, v)
	}
	if err != nil {
		return fmt.Errorf("read %s of %s: %w", name, t.at, err)
	}
	return nil
}

// write writes an object of the work folder as JSON.
func (t *stage) write(ctx context.Context, name string, v any) error {
	text, err := store.EncodeChecked(v)
	if err != nil {
		return err
	}
	return t.put(ctx, name, text)
}

// failed says that the work folder lacks what another stage should have written.
func (t *stage) failed(what string, err error) error {
	if t.p.ctx.Err() != nil {
		return err
	}
	return exit{exitEnvironment, fmt.Errorf("%s is not done: %w: run outflow stage %[1]s of this plan again", what, err)}
}

// fold returns the options of a planned fold, its aggregates and its days.
func (t *stage) fold(f *plannedFold) (o detect.FoldOptions, aggregates []*detect.Aggregate, days []detect.Day, err error) {
	if days, err = parseDays(f.Days); err != nil {
		return o, nil, nil, err
	}
	for _, a := range t.config.aggregates() {
		if slices.Contains(f.Aggregates, a.Name) {
			aggregates = append(aggregates, a)
		}
	}
	o = t.config.foldOptions()
	o.From, o.To = days[0].Time().UnixMicro(), (days[len(days)-1] + 1).Time().UnixMicro()
	o.Seed, o.Resolve = t.plan.Seed, f.Resolve
	return o, aggregates, days, nil
}

func parseDays(texts []string) (days []detect.Day, err error) {
	for _, text := range texts {
		day, err := detect.ParseDay(text)
		if err != nil {
			return nil, err
		}
		days = append(days, day)
	}
	if len(days) == 0 {
		return nil, errors.New("the plan has a fold without days")
	}
	return days, nil
}

// bindIndex adds a flag for the number of a task or shard to a stage. It returns a function
// that returns the number, one of the first n.
func (p *program) bindIndex(c *cobra.Command, name, what string) func(n int) (int, error) {
	const variable = "JOB_COMPLETION_INDEX"
	text := c.Flags().String(name, "", "`number` of the "+what+", from 0 ("+variable+")")
	return func(n int) (int, error) {
		from := "--" + name
		given := *text
		if !c.Flags().Changed(name) {
			from = variable
			given, _ = p.env(variable)
		}
		if given == "" {
			return 0, badConfig("no %s: give --%s, or set %s", what, name, variable)
		}
		i, err := strconv.Atoi(given)
		if err != nil || i < 0 || i >= n {
			return 0, badConfig("%s %q: the plan has %s, numbered from 0", from, given, counted(n, what))
		}
		return i, nil
	}
}

// bindPart adds what fold, join and merge have: --plan, the flag for the number of a part of the
// plan, the configuration and --as. It returns a function that opens the stage, and says
// which part to do and whether to print JSON.
func (p *program) bindPart(c *cobra.Command, part string, parts func(*stagePlan) int) func() (t *stage, i int, json bool, err error) {
	open := p.bindPlan(c)
	index := p.bindIndex(c, part, part)
	load := p.withConfig(c, except("state", "out", "reports", "fail_on", "keep", "workers", "wait", "strict", "require_input")...)
	form := bindAs(c, "text", "json")
	return func() (*stage, int, bool, error) {
		as, err := form()
		if err != nil {
			return nil, 0, false, err
		}
		config, err := load()
		if err != nil {
			return nil, 0, false, err
		}
		t, err := open(config)
		if err != nil {
			return nil, 0, false, err
		}
		i, err := index(parts(t.plan))
		return t, i, as == "json", err
	}
}

// absolute returns a URI that means the same from every folder.
func absolute(uri string) string {
	uri = strings.TrimSuffix(uri, "/")
	if strings.Contains(uri, "://") {
		return uri
	}
	if path, err := filepath.Abs(uri); err == nil {
		return filepath.ToSlash(path)
	}
	return cmp.Or(uri, ".")
}
