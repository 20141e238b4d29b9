package jobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"outflow/columnar"
	"outflow/columnar/logs"
	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// This file folds one task of a planned run.

// A taskDone is task=I/_done.json, or join=I/_done.json: it says what a task, or a part of the
// joins, has written. It is written last.
type taskDone struct {
	Run     string      `json:"run"`
	Task    int         `json:"task"`
	Objects int         `json:"objects"`
	Bytes   int64       `json:"bytes"` // stored
	Rows    int64       `json:"rows"`
	Skipped int64       `json:"skipped"`
	Inputs  string      `json:"inputs"` // SHA-256 of task=I/inputs.gob
	Size    int64       `json:"size"`   // of task=I/runs
	Shards  []taskShard `json:"shards"`
	// Joins is what the task has for each part of the joins, after the shards.
	Joins []taskShard `json:"joins,omitempty"`
}

// A taskShard is what task=I/runs has of a shard, or of a part of the joins. They are one
// object, one after another: with an object for each, a night of 10 TB would write millions.
type taskShard struct {
	From   int64       `json:"from"`
	End    int64       `json:"end"`
	SHA256 string      `json:"sha256"`
	Runs   []storedRun `json:"runs"`
}

// A storedRun is a spooledRun, and where it ends in task=I/runs.
type storedRun struct {
	Kind string `json:"kind"`
	End  int64  `json:"end"`
}

// A taskForm is what stage fold prints as JSON.
type taskForm struct {
	Task     int   `json:"task"`
	Objects  int   `json:"objects"`
	Bytes    int64 `json:"bytes"`
	Rows     int64 `json:"rows"`
	Skipped  int64 `json:"skipped"`
	RunBytes int64 `json:"run_bytes"`
}

// A runsPart is a part of the plan that writes runs: a task, or a part of the joins.
type runsPart struct {
	folder string
	index  int
	fold   int    // of the plan
	joins  int    // how many parts of the joins it writes for
	again  string // runs it again
}

// task returns a task.
func (t *stage) task(i int) *runsPart {
	fold := t.plan.Tasks[i].Fold
	return &runsPart{fmt.Sprintf("task=%d", i), i, fold, t.plan.Folds[fold].Joins, fmt.Sprintf("fold --task %d", i)}
}

func (r *runsPart) name(file string) string { return r.folder + "/" + file }

const (
	doneName   = "_done.json"
	inputsName = "inputs.gob"
	runsName   = "runs"
)

func (p *program) stageFoldCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "fold --plan URI [--task N]",
		Short: "fold the logs of one task of a plan",
		Long: "fold reads the logs of one task, and writes what it has folded of them to the work folder. It may be run again:\n" +
			"the same task gives the same bytes, and one that is done is not read again. It decodes on one CPU.",
		Example: "  outflow stage fold --config outflow.yaml --plan s3://company-outflow/stages/nightly-2026-11-20-1a2b3c4d/plan.json --task 0",
		Args:    cobra.NoArgs,
	}
	open := p.bindPart(c, "task", func(plan *stagePlan) int { return len(plan.Tasks) })
	c.RunE = func(*cobra.Command, []string) error {
		t, task, json, err := open()
		if err != nil {
			return err
		}
		done, err := t.foldTask(p.ctx, task)
		if err != nil {
			return err
		}
		out := taskForm{done.Task, done.Objects, done.Bytes, done.Rows, done.Skipped, done.Size}
		if json {
			return p.printJSON(out)
		}
		fmt.Fprintf(p.stdout, "task %d: %s of %s (%s): %s of runs\n", task, counted(int(out.Rows), "row"), counted(out.Objects, "object"),
			reports.ByteSize(float64(out.Bytes)), reports.ByteSize(float64(out.RunBytes)))
		return nil
	}
	return c
}

// foldTask folds a task, unless it is done.
func (t *stage) foldTask(ctx context.Context, index int) (*taskDone, error) {
	part := t.task(index)
	if done, err := t.runsDone(ctx, part); err == nil && t.whole(ctx, part, done) && t.verify(ctx, part.name(inputsName), done.Inputs) == nil {
		return done, nil
	}
	task := &t.plan.Tasks[index]
	f := &t.plan.Folds[task.Fold]
	o, aggregates, days, err := t.fold(f)
	if err != nil {
		return nil, err
	}
	sources, err := t.sources(task, days)
	if err != nil {
		return nil, err
	}
	decided := newDecided()
	done := &taskDone{Run: t.plan.Run, Task: index, Objects: len(sources)}
	for i := range task.Objects {
		object := &task.Objects[i]
		done.Bytes += object.Size
		for k := range object.Copies {
			decided.of[feedLog{object.Feed, object.Copies[k].logName}] = &object.Copies[k]
		}
	}
	// Blocks that several workers share out would give other runs, though of the same meaning.
	result, err := t.p.fold(ctx, fmt.Sprintf("fold task %d", index), sources, &foldOptions{aggregates: aggregates, FoldOptions: o,
		workers: 1, memory: int64(t.config.Memory), task: &foldTask{task.EachLog, t.plan.Shards, f.Joins, decided}})
	if err != nil {
		return nil, err
	}
	defer result.Close() // it was only read
	if err := t.putRuns(ctx, part, done, result.workers[0]); err != nil {
		return nil, err
	}
	for _, in := range result.inputs {
		done.Rows += in.Rows
		done.Skipped += in.Skipped
	}
	text, err := encodeFolded(result)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	done.Inputs = hex.EncodeToString(sum[:])
	if err := t.put(ctx, part.name(inputsName), text); err != nil {
		return nil, err
	}
	return done, t.write(ctx, part.name(doneName), done)
}

// putRuns writes the runs of a worker, shard by shard, and what it sent, part by part.
func (t *stage) putRuns(ctx context.Context, part *runsPart, done *taskDone, w *worker) error {
	spool := store.NewSpool(spoolBytes)
	defer spool.Close()
	done.Shards, done.Joins = make([]taskShard, t.plan.Shards), make([]taskShard, part.joins)
	for _, of := range [...]struct {
		shards []taskShard
		runs   []spooledRun
	}{{done.Shards, appendRuns(w.runs, w.asides)}, {done.Joins, w.sent}} {
		for i := range of.shards {
			s, sum := &of.shards[i], sha256.New()
			to := io.MultiWriter(spool, sum)
			s.From = spool.Size()
			for k := range of.runs {
				r := &of.runs[k]
				if r.shard != i {
					continue
				}
				if _, err := io.Copy(to, r.reader(w.spool)); err != nil {
					return err
				}
				s.Runs = append(s.Runs, storedRun{r.kind, spool.Size()})
			}
			s.End, s.SHA256 = spool.Size(), hex.EncodeToString(sum.Sum(nil))
		}
	}
	done.Size = spool.Size()
	return t.putFrom(ctx, part.name(runsName), spool.Reader())
}

// whole reports whether the runs of a part are there as they were written.
func (t *stage) whole(ctx context.Context, part *runsPart, done *taskDone) bool {
	runs, _, err := store.ReadHashed(ctx, t.work, part.name(runsName))
	if err != nil {
		return false
	}
	defer runs.Close()
	for _, s := range slices.Concat(done.Shards, done.Joins) {
		sum := sha256.New()
		if _, err := io.Copy(sum, io.NewSectionReader(runs, s.From, s.End-s.From)); err != nil || hex.EncodeToString(sum.Sum(nil)) != s.SHA256 {
			return false
		}
	}
	return true
}

func (t *stage) put(ctx context.Context, name string, text []byte) error {
	return t.putFrom(ctx, name, bytes.NewReader(text))
}

func (t *stage) putFrom(ctx context.Context, name string, body io.ReadSeeker) error {
	if err := t.work.Put(ctx, name, body, store.Always); err != nil {
		return fmt.Errorf("write %s of %s: %w", name, t.at, err)
	}
	return nil
}

// sources returns the objects of a task as they were listed when it was planned.
func (t *stage) sources(task *plannedTask, days []detect.Day) ([]source, error) {
	out := make([]source, len(task.Objects))
	var plain []store.Object
	var at []int // by index in plain: that in out
	tables := map[string]map[string]source{}
	for i := range task.Objects {
		o := &task.Objects[i]
		in := t.input(o.Feed)
		if in == nil {
			return nil, badConfig("the plan %s has an input %q, and the configuration has not", t.at, o.Feed)
		}
		switch {
		case o.Unlisted != "":
			out[i] = closedSource(o.URI, errors.New(o.Unlisted))
			out[i].unlisted = true
		case o.Table:
			if tables[o.Feed] == nil {
				var err error
				if tables[o.Feed], err = t.listTable(in, days); err != nil {
					return nil, err
				}
			}
			if out[i] = tables[o.Feed][o.URI]; out[i].etag != o.ETag {
				return nil, exit{exitEnvironment, fmt.Errorf("the table of input %s has changed since the run was planned: plan it again", o.Feed)}
			}
		default:
			if ok, err := store.Matches(in.URI, o.URI); err != nil || !ok {
				return nil, badConfig("the plan %s has the object %s for the input %s, which reads %s: plan the run again", t.at, printable(o.URI), in.Name, in.URI)
			}
			object := store.Object{URI: o.URI, Account: o.Account, Entry: store.Entry{Size: o.Size, ETag: o.ETag}}
			if o.Written != 0 {
				object.Written = time.Unix(0, o.Written).UTC()
			}
			plain, at = append(plain, object), append(at, i)
		}
	}
	if err := store.Locate(t.p.ctx, plain, t.config.store()); err != nil {
		return nil, configError{err}
	}
	for k, i := range at {
		out[i] = t.p.source(plain[k])
	}
	for i := range out {
		in := t.input(task.Objects[i].Feed)
		out[i].feed = in.Name
		out[i].decode(in.format, t.config.formats, in.options)
	}
	return out, nil
}

// closedSource returns a source that cannot be read.
func closedSource(uri string, why error) source {
	return source{object: logs.Object{Name: uri,
		Open: func() (io.ReadCloser, error) { return nil, why },
		At:   func() (logs.ReaderAtCloser, error) { return nil, why }}}
}

// input returns the input of that name, or nil.
func (t *stage) input(name string) *Input {
	for _, in := range t.config.Inputs {
		if in.Name == name {
			return in
		}
	}
	return nil
}

// listTable lists the data files of a table again, by URI: what the table knows of them is
// needed too.
func (t *stage) listTable(in *Input, days []detect.Day) (map[string]source, error) {
	all, err := t.p.sourcesOf(t.config, []*Input{in}, days[0]-1, days[len(days)-1]+1)
	out := map[string]source{}
	for _, s := range all {
		out[s.object.Name] = s
	}
	return out, err
}

// A taskFolded is what a task passes on beside its runs: inputs.gob. Note: JSON would change
// texts of logs that are not UTF-8.
type taskFolded struct {
	EachLog bool
	Inputs  []taskInput
	Objects []taskObject
	Seen    []seenField
}

// A taskInput is a reports.Input. Its Known is a list, as the order of a map is chance.
type taskInput struct {
	reports.Input
	Columns []columnar.Col
	Values  []int64
}

// A taskObject is an objectTally.
type taskObject struct {
	Name          string
	First, Last   detect.Day
	Rows, Skipped int64
	Whole, Fault  bool
	CopyOf        string
	Content       store.Content
	NamesNext     bool
	Inputs        []taskInput
}

type seenField struct {
	Table string
	Field string
}

func toTaskInputs(inputs []reports.Input) (out []taskInput) {
	for _, in := range inputs {
		t := taskInput{Input: in}
		t.Known = nil
		t.Columns = slices.Sorted(maps.Keys(in.Known))
		for _, c := range t.Columns {
			t.Values = append(t.Values, in.Known[c])
		}
		out = append(out, t)
	}
	return out
}

func fromTaskInputs(inputs []taskInput) (out []reports.Input) {
	for _, t := range inputs {
		in := t.Input
		if len(t.Columns) > 0 {
			in.Known = map[columnar.Col]int64{}
		}
		for i, c := range t.Columns {
			in.Known[c] = t.Values[i]
		}
		out = append(out, in)
	}
	return out
}

func encodeFolded(f *folded) ([]byte, error) {
	out := taskFolded{EachLog: f.eachLog, Inputs: toTaskInputs(f.inputs)}
	for _, name := range slices.Sorted(maps.Keys(f.objects)) {
		o := f.objects[name]
		out.Objects = append(out.Objects, taskObject{name, o.first, o.last, o.rows, o.skipped, o.whole, o.fault, o.copyOf, o.content, o.namesNext, toTaskInputs(o.inputs)})
	}
	for at := range f.seen {
		out.Seen = append(out.Seen, seenField{at.table.Name, at.field})
	}
	slices.SortFunc(out.Seen, func(a, b seenField) int {
		return slices.Compare([]string{a.Table, a.Field}, []string{b.Table, b.Field})
	})
	var text bytes.Buffer
	err := gob.NewEncoder(&text).Encode(&out)
	return text.Bytes(), err
}

// decodeFolded adds what encodeFolded wrote to f, whose inputs are not sorted.
func decodeFolded(text []byte, f *folded) (eachLog map[string]bool, err error) {
	var in taskFolded
	if err := gob.NewDecoder(bytes.NewReader(text)).Decode(&in); err != nil {
		return nil, err
	}
	all := [][]taskInput{in.Inputs}
	for i := range in.Objects {
		all = append(all, in.Objects[i].Inputs)
	}
	for _, inputs := range all {
		for i := range inputs {
			t := &inputs[i]
			if len(t.Columns) != len(t.Values) || slices.ContainsFunc(t.Columns, func(c columnar.Col) bool { return c >= columnar.NumCols }) {
				return nil, errors.New("it has a column that is unknown or has no value")
			}
		}
	}
	inputs := fromTaskInputs(in.Inputs)
	f.inputs = append(f.inputs, inputs...)
	eachLog = map[string]bool{}
	for i := range inputs {
		eachLog[inputs[i].Feed] = in.EachLog
	}
	for _, o := range in.Objects {
		f.objects[o.Name] = &objectTally{o.First, o.Last, o.Rows, o.Skipped, o.Whole, o.Fault, o.CopyOf, o.Content, o.NamesNext, fromTaskInputs(o.Inputs)}
	}
	for _, at := range in.Seen {
		i := slices.IndexFunc(columnar.Tables[:], func(t *columnar.Table) bool { return t.Name == at.Table })
		if i < 0 {
			return nil, errors.New("it has a field of an unknown table " + strconv.Quote(at.Table))
		}
		f.seen.add(columnar.Tables[i], at.Field)
	}
	return eachLog, nil
}
