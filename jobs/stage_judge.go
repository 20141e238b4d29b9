package jobs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"outflow/columnar"
	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// This file ends a planned run: it commits what the stages have folded and judges it, as a
// run on one machine does.

func (p *program) stageJudgeCommand() *cobra.Command {
	var keep bool
	c := &cobra.Command{
		Use:   "judge --plan URI",
		Short: "commit what the stages have folded, judge it and write the reports",
		Long: "judge checks that all tasks and shards of a plan are done. Then it does what is left of the nightly run: it adds\n" +
			"the days to the state, judges them, writes the reports, and removes the work folder of the plan.",
		Example: "  outflow stage judge --config outflow.yaml --plan s3://company-outflow/stages/nightly-2026-11-20-1a2b3c4d/plan.json",
		Args:    cobra.NoArgs,
	}
	open := p.bindPlan(c)
	c.Flags().BoolVar(&keep, "keep-work", false, "keep the work folder of the plan")
	load := p.withConfig(c)
	p.withVerbose(c)
	form := bindAs(c, "text", "json")
	c.RunE = func(*cobra.Command, []string) error {
		as, err := form()
		if err != nil {
			return err
		}
		p.json = as == "json"
		config, err := load()
		if err != nil {
			return err
		}
		t, err := open(config)
		if err != nil {
			return err
		}
		over, err := t.judge()
		if keep || !over {
			return err
		}
		return cmp.Or(err, t.remove(p.ctx))
	}
	return c
}

// judge commits and judges what the stages have folded. over says that nobody needs the work
// folder any more, whatever the error.
func (t *stage) judge() (over bool, err error) {
	days, err := dayRange(t.plan.First, t.plan.Last, 0)
	if err != nil {
		return false, err
	}
	staged, err := t.readFolded(t.p.ctx)
	if err != nil {
		return false, err
	}
	n := nightOf(days)
	n.Named = t.plan.Named
	err = t.p.nightly(t.config, n, staged)
	code := t.p.exitCode(err)
	return err == nil || code == exitFindings || code == exitPartial || code == exitNoInput, err
}

// there reports an error if the plan was judged since this process read it.
func (t *stage) there(ctx context.Context) error {
	err := t.read(ctx, planName, &stagePlan{})
	if errors.Is(err, fs.ErrNotExist) {
		return badConfig("the plan %s was judged by another process", t.at)
	}
	return err
}

// remove removes what the stages have written, and the work folder of the plan unless it has
// other files.
func (t *stage) remove(ctx context.Context) error {
	above, run, _ := cutLast(t.at)
	from, err := t.p.open(t.config, "work folder", above)
	if err != nil {
		return err
	}
	// What a killed stage was writing is in no list, and keeps its folder.
	if _, err := from.Tidy(ctx, run+"/", store.Deep); err != nil {
		return fmt.Errorf("remove %s: %w", t.at, err)
	}
	folders := map[string]bool{run: true} // of a disk
	others := false
	var names []string
	for e, err := range from.List(ctx, run+"/", store.Deep) {
		if err != nil {
			return fmt.Errorf("remove %s: %w", t.at, err)
		}
		if !isStaged(strings.TrimPrefix(e.Name, run+"/")) {
			others = true
			continue
		}
		names = append(names, e.Name)
		for folder := path.Dir(e.Name); folder != run; folder = path.Dir(folder) {
			folders[folder] = true
		}
	}
	// Without its plan, nobody begins with what is left.
	if i := slices.Index(names, run+"/"+planName); i > 0 {
		names[0], names[i] = names[i], names[0]
	}
	for _, name := range names {
		if err := from.Delete(ctx, name); err != nil {
			return fmt.Errorf("remove %s: %w", t.at, err)
		}
	}
	if !store.Remote(t.at) {
		inner := slices.Sorted(maps.Keys(folders))
		slices.Reverse(inner) // those within a folder go before it
		for _, folder := range inner {
			others = from.Delete(ctx, folder) != nil || others // it is not empty
		}
	}
	if others {
		t.p.note("the work folder %s is still there: it has files that no stage wrote", t.at)
	}
	return nil
}

// stagedFiles match the names of what the stages write to the work folder of a plan.
var stagedFiles = [...]string{planName, "task=*/" + runsName, "task=*/" + inputsName, "task=*/" + doneName, "join=*/" + runsName, "join=*/" + doneName, "shard=*/" + doneName,
	"fold=*/aggregate=*/date=*/part-*.parquet"}

func isStaged(name string) bool {
	return slices.ContainsFunc(stagedFiles[:], func(pattern string) bool { ok, _ := path.Match(pattern, name); return ok })
}

// cutLast cuts a URI before and behind its last slash.
func cutLast(uri string) (before, after string, ok bool) {
	i := strings.LastIndexByte(uri, '/')
	if i < 0 {
		return "", uri, false
	}
	return uri[:i], uri[i+1:], true
}

// shardDone reads what a shard says that it has written.
func (t *stage) shardDone(ctx context.Context, shard int) (*shardDone, error) {
	done := &shardDone{}
	err := t.read(ctx, shardName(shard), done)
	if err == nil && (done.Run != t.plan.Run || done.Shard != shard || !t.plan.planned(done.Parts)) {
		err = fmt.Errorf("%s is not that of this plan", shardName(shard))
	}
	if err != nil {
		return nil, t.failed(fmt.Sprintf("merge --shard %d", shard), err)
	}
	return done, nil
}

// planned reports whether the parts were folded under the plan.
func (plan *stagePlan) planned(parts []mergedPart) bool {
	for i := range parts {
		part := &parts[i]
		if part.Fold < 0 || part.Fold >= len(plan.Folds) {
			return false
		}
		f := &plan.Folds[part.Fold]
		if !slices.Contains(f.Aggregates, part.Aggregate) || !slices.Contains(f.Days, part.Day) {
			return false
		}
	}
	return true
}

// stages are what the stages of a run have folded.
type stages struct {
	*stage
	folds []stagedFold // as plan.Folds
}

// A stagedFold is what tasks and shards have made of a planned fold.
type stagedFold struct {
	folded
	objects []plannedObject // in the order of their places
}

// A partMade is a file of a partition.
type partMade struct {
	store.MadePart
	feeds []string
}

// readFolded reads what the tasks and shards have written.
func (t *stage) readFolded(ctx context.Context) (*stages, error) {
	out := &stages{stage: t, folds: make([]stagedFold, len(t.plan.Folds))}
	for i := range out.folds {
		out.folds[i].folded = folded{objects: map[string]*objectTally{}, parts: map[partitionKey][]partMade{}, seen: fieldSet{}}
	}
	eachLog := make([]map[string]bool, len(out.folds))
	for i := range t.plan.Tasks {
		task := &t.plan.Tasks[i]
		part := t.task(i)
		done, err := t.runsDone(ctx, part)
		if err != nil {
			return nil, err
		}
		text, err := store.ReadAll(ctx, t.work, part.name(inputsName))
		if sum := sha256.Sum256(text); err == nil && hex.EncodeToString(sum[:]) != done.Inputs {
			err = fmt.Errorf("%s is not as it was written", part.name(inputsName))
		}
		f := &out.folds[task.Fold]
		var each map[string]bool
		if err == nil {
			each, err = decodeFolded(text, &f.folded)
		}
		if err != nil {
			return nil, t.failed(part.again, err)
		}
		if eachLog[task.Fold] == nil {
			eachLog[task.Fold] = map[string]bool{}
		}
		for feed, is := range each {
			eachLog[task.Fold][feed] = eachLog[task.Fold][feed] || is
		}
		f.objects = append(f.objects, task.Objects...)
	}
	for i := range out.folds {
		f := &out.folds[i]
		slices.SortFunc(f.inputs, inputOrder)
		sayEachLog(f.inputs, func(feed string) bool { return eachLog[i][feed] })
		slices.SortFunc(f.objects, func(a, b plannedObject) int { return cmp.Compare(a.Place, b.Place) })
	}
	for shard := range t.plan.Shards {
		done, err := t.shardDone(ctx, shard)
		if err != nil {
			return nil, err
		}
		for i := range done.Parts {
			part := &done.Parts[i]
			if err := t.verify(ctx, part.name(shard), part.Part.SHA256); err != nil { // all, before any is committed
				return nil, t.failed(fmt.Sprintf("merge --shard %d", shard), err)
			}
			parts := out.folds[part.Fold].parts
			at := partitionKey{part.Aggregate, part.Day}
			parts[at] = append(parts[at], partMade{store.MadePart{PartRef: part.Part, From: t.work, Path: part.name(shard)}, part.Feeds})
		}
	}
	return out, nil
}

// verify reads an object of the work folder and compares it with its checksum.
func (t *stage) verify(ctx context.Context, name, sum string) error {
	file, got, err := store.ReadHashed(ctx, t.work, name)
	if err != nil {
		return fmt.Errorf("read %s of %s: %w", name, t.at, err)
	}
	defer file.Close()
	if got != sum {
		return fmt.Errorf("%s of %s is not as it was written", name, t.at)
	}
	return nil
}

// result returns what the stages have folded of a span, or nil if they have not, or not all
// of it. The sources of the span are then those that the stages have read: what was written
// later is read by a later run.
func (t *stages) result(s *state, f *foldSpan) *folded {
	for i := range t.folds {
		if !t.plan.Folds[i].is(f) {
			continue
		}
		fold := &t.folds[i]
		if t.plan.Folds[i].Joins == 0 && slices.ContainsFunc(fold.inputs, func(in reports.Input) bool { return in.Known[columnar.UID] > 0 }) {
			t.p.note("logs of %s have connections that they did not begin with, and no stage joined them: this process folds the days", spanOf(f.days))
			return nil
		}
		listed := map[feedLog]*source{}
		for i := range f.all {
			listed[feedLog{f.all[i].feed, logName{Object: f.all[i].object.Name}}] = &f.all[i]
		}
		var sources []source
		planned := map[string]bool{}
		for i := range fold.objects {
			o := &fold.objects[i]
			planned[o.URI] = true
			sources = append(sources, o.source(listed[feedLog{o.Feed, logName{Object: o.URI}}]))
		}
		for i := range f.sources {
			if name := f.sources[i].object.Name; !planned[name] && f.strays[name] { // no other run would find it
				t.p.note("%s has events of %s, and was not planned to be read for it: this process folds the days", printable(name), spanOf(f.days))
				return nil
			}
		}
		out := fold.folded
		out.inputs = slices.Clone(out.inputs)
		first, last := f.days[0], f.days[len(f.days)-1]
		f.sources = slices.DeleteFunc(sources, func(src source) bool { // as list does
			r, ok := s.read[src.object.Name]
			if ok = ok && r.etag == src.etag && r.whole && !r.matters(first, last); ok {
				out.inputs = slices.DeleteFunc(out.inputs, func(in reports.Input) bool { return in.Feed == src.feed && isOf(in.Name, src.object.Name) })
			}
			return ok
		})
		return &out
	}
	if len(f.sources) > 0 {
		t.p.note("%s was not planned to be folded: this process does so", spanOf(f.days))
	}
	return nil
}

// isOf reports whether a log is an object, or a file in it.
func isOf(log, object string) bool {
	rest, ok := strings.CutPrefix(log, object)
	return ok && (rest == "" || rest[0] == '!')
}

// is reports whether a planned fold is that of a span.
func (p *plannedFold) is(f *foldSpan) bool {
	return slices.Equal(p.Days, texts(f.days, detect.Day.String)) && slices.Equal(p.Aggregates, texts(f.aggregates, aggregateName))
}

func aggregateName(a *detect.Aggregate) string { return a.Name }

// source returns the object as a source. listed is what the listing has now, or nil.
func (o *plannedObject) source(listed *source) source {
	var s source
	if listed != nil {
		s = *listed
	} else {
		s = closedSource(o.URI, fmt.Errorf("open %s: %w", o.URI, fs.ErrNotExist))
		s.feed, s.unlisted = o.Feed, o.Unlisted != ""
	}
	s.etag, s.object.Size = o.ETag, o.Size
	return s
}
