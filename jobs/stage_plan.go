package jobs

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// This file plans the stages of a run.

const (
	// taskBytes is how many stored bytes a task has. More make the last task to end keep the
	// others waiting; fewer make more runs to merge.
	taskBytes = "512MiB"
	// eventBytes is how many stored bytes the logs of one feed with ids of events may have to
	// be one task. With more, a run on one machine, too, would have too many events to find
	// copies in other logs: of 1.4 kB each, compressed or not, they would be 3 million.
	eventBytes = 4 << 30
	// lookers is how many logs are looked at at once. Most of the time they wait for the store.
	lookers = 16
	// shardBytes is how many stored bytes of logs a shard stands for: 0.2 to 0.5 GB of runs if
	// the logs are plain text, some 4 GB if they are gzip. More take longer to merge than a
	// task to fold, and more room in TMPDIR; fewer make more requests.
	shardBytes = 1 << 30
	// mostShards is the most shards that plan chooses. fold has a buffer of 64 KiB for each, and
	// merge reads of each task where the runs of all shards are.
	mostShards = 1024
	// maxShards is how many shards may be asked for. Each task holds a checksum and a writer for each.
	maxShards = 1 << 16
)

// A planForm is what stage plan prints as JSON.
type planForm struct {
	Plan     string `json:"plan"`
	Run      string `json:"run"`
	Tasks    int    `json:"tasks"`
	Joins    int    `json:"joins"`
	Shards   int    `json:"shards"`
	First    string `json:"first"` // day that is judged
	Last     string `json:"last"`
	Objects  int    `json:"objects"`
	Bytes    int64  `json:"bytes"`
	Together int    `json:"together"` // objects that depend on others of their task
}

func (p *program) stagePlanCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "plan --work URI",
		Short: "divide a nightly run into tasks and shards",
		Long: "plan lists the logs of the days and divides them into tasks. It writes plan.json into a new folder of the work\n" +
			"folder, and prints where it is and how many tasks and shards there are. It changes neither state nor reports.",
		Example: "  outflow stage plan --config outflow.yaml --work s3://company-outflow/stages --as json",
		Args:    cobra.NoArgs,
	}
	request := p.bindRequest(c)
	load := p.withConfig(c, except("out", "reports", "fail_on", "keep", "memory", "strict", "require_input")...)
	form := bindAs(c, "text", "json")
	c.RunE = func(*cobra.Command, []string) error {
		as, err := form()
		if err != nil {
			return err
		}
		config, err := load()
		if err != nil {
			return err
		}
		r, err := request()
		if err != nil {
			return err
		}
		form, err := p.makePlan(config, r)
		if err != nil {
			return err
		}
		if as == "json" {
			return p.printJSON(form)
		}
		fmt.Fprintf(p.stdout, "%s: %s with %s, %s and %s (%s)\n%s\n", form.Run, counted(form.Objects, "object"), counted(form.Tasks, "task"),
			counted(form.Joins, "join"), counted(form.Shards, "shard"), reports.ByteSize(float64(form.Bytes)), form.Plan)
		return nil
	}
	return c
}

// A planRequest says what to plan.
type planRequest struct {
	work   string // URI of the work folder
	night  night
	size   int64 // of a task, in stored bytes
	shards int   // 0: by the bytes of the logs
}

// bindRequest adds flags that say what to plan. It returns a function that reads them.
func (p *program) bindRequest(c *cobra.Command) func() (*planRequest, error) {
	var work, day, from, to, at, size string
	var shards int
	c.Flags().StringVar(&work, "work", "", "`URI` of a folder that all stages reach")
	c.MarkFlagRequired("work")
	c.Flags().StringVar(&day, "day", "", "judge this `day`, as in 2026-11-20")
	c.Flags().StringVar(&from, "from", "", "judge from this `day` on")
	c.Flags().StringVar(&to, "to", "", "judge up to this `day`")
	c.Flags().StringVar(&at, "at", "", "plan as if it were this `time` (RFC 3339): the day before it is judged")
	c.Flags().StringVar(&size, "task-size", taskBytes, "stored `bytes` of a task, as in 1GiB")
	c.Flags().IntVar(&shards, "shards", 0, "number of shards, and of joins if there are any; 0: by the bytes of the logs")
	checkPeriod(c)
	return func() (*planRequest, error) {
		var most detect.Bytes
		if err := most.UnmarshalText([]byte(size)); err != nil || most < 1 {
			return nil, badConfig("--task-size %q: want a size like 512MiB", size)
		}
		if shards < 0 || shards > maxShards {
			return nil, badConfig("--shards %d: want at most %d, or 0", shards, maxShards)
		}
		now := p.now()
		if at != "" {
			var err error
			if now, err = time.Parse(time.RFC3339, at); err != nil {
				return nil, badConfig("--at %q: want a time like 2026-11-21T02:00:00Z", at)
			}
		}
		days, err := p.daysNamed(cmp.Or(day, from), cmp.Or(day, to), detect.DayOf(now.UnixMicro())-1)
		if err != nil {
			return nil, err
		}
		n := nightOf(days)
		n.Named = day != "" || from != ""
		return &planRequest{absolute(work), n, int64(most), shards}, nil
	}
}

// makePlan plans a run and writes the plan.
func (p *program) makePlan(config *Config, r *planRequest) (*planForm, error) {
	if len(config.Inputs) == 0 {
		return nil, badConfig("no inputs: %s", p.noInputs())
	}
	t, err := p.newStage(config, r.work, &r.night)
	if err != nil {
		return nil, err
	}
	pl := &planner{stage: t, size: r.size, shards: r.shards}
	s, err := p.openStored(config)
	if err != nil {
		return nil, err
	}
	s.planner = pl
	_, done, err := snapshot(s, "stage plan "+spanOf(r.night.days), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.planNights(ctx, r.night)
	})
	defer done()
	if err != nil {
		return nil, err
	}
	form := pl.finish()
	if err := t.write(p.ctx, planName, t.plan); err != nil {
		return nil, configError{err}
	}
	return &form, nil
}

// newStage returns the stage of a new plan.
func (p *program) newStage(config *Config, work string, n *night) (*stage, error) {
	var random [12]byte
	rand.Read(random[:])
	plan := &stagePlan{Version: planVersion, Program: version(), Run: "nightly-" + n.name() + "-" + hex.EncodeToString(random[8:]), Config: config.digest(),
		Seed: max(binary.LittleEndian.Uint64(random[:]), 1), First: n.First, Last: n.Last, Named: n.Named, Folds: []plannedFold{}, Tasks: []plannedTask{}}
	at := work + "/" + plan.Run
	if err := checkWork(config, at); err != nil {
		return nil, err
	}
	folder, err := p.open(config, "work folder", at)
	if err != nil {
		return nil, err
	}
	return &stage{p, config, folder, at, plan}, nil
}

// checkWork refuses a folder for stages that is in the state or in the reports, or whose files
// an input would read.
func checkWork(config *Config, at string) error {
	for _, of := range [...]struct{ key, uri string }{{"state", config.State}, {"out", config.Out}} {
		if of.uri != "" && store.Within(of.uri, at) {
			return badConfig("--work %s is in %s (%s), where other files lie: give it a folder of its own", cutRun(at), of.key, of.uri)
		}
	}
	for _, in := range config.Inputs {
		for _, pattern := range stagedFiles {
			read, err := store.Matches(absolute(in.URI), at+"/"+strings.ReplaceAll(pattern, "*", "0"))
			if err == nil && read {
				return badConfig("--work %s is in the input %s (%s), which would read what the stages write: give it a folder of its own", cutRun(at), in.Name, in.URI)
			}
		}
	}
	return nil
}

// cutRun returns the work folder of a run's folder.
func cutRun(at string) string {
	work, _, _ := cutLast(at)
	return work
}

// planNights plans the nights that a run of the night now would judge.
func (s *state) planNights(ctx context.Context, now night) error {
	all, err := s.readNights(ctx)
	if err != nil {
		return err
	}
	for _, n := range s.due(all, now) {
		s.begin()
		if err := s.foldNight(ctx, &n, n.name() != now.name()); err != nil {
			return err
		}
	}
	return nil
}

// A planner plans the folds of a run in place of folding.
type planner struct {
	*stage
	size     int64 // of a task, in bytes
	shards   int   // 0: by the bytes of the logs
	together int
	planned  map[partitionKey]bool // what the folds so far will fold
}

// has reports whether a fold before will fold a partition.
func (pl *planner) has(a *detect.Aggregate, day detect.Day) bool {
	return pl != nil && pl.planned[partitionKey{a.Name, day.String()}]
}

// add plans a fold.
func (pl *planner) add(f *foldSpan) error {
	if len(f.sources) == 0 {
		return nil // nothing to wait for
	}
	o := &foldOptions{aggregates: f.aggregates, FoldOptions: pl.config.foldOptions()}
	o.Resolve = resolves(f.sources, o)
	fold := plannedFold{Days: texts(f.days, detect.Day.String), Aggregates: texts(f.aggregates, aggregateName), Resolve: o.Resolve}
	if pl.planned == nil {
		pl.planned = map[partitionKey]bool{}
	}
	for _, day := range fold.Days {
		for _, a := range fold.Aggregates {
			pl.planned[partitionKey{a, day}] = true
		}
	}
	looks, err := pl.p.look(f.sources, int64(pl.config.Memory))
	if err != nil {
		return err
	}
	contents := make([][]*content, len(looks))
	for i := range looks {
		contents[i] = looks[i].contents
	}
	objects := make([]plannedObject, len(f.sources))
	for i, of := range copies(contents) {
		objects[i] = plannedOf(&f.sources[i])
		objects[i].Place, objects[i].Copies = i, of
	}
	if joined := joinedBytes(objects, looks, fold.Resolve); joined >= 0 {
		fold.Joins = pl.shardsOf(joined)
	}
	b := newBonds(len(objects))
	eachLog := b.tie(objects, looks, eventBytes)
	pl.cut(len(pl.plan.Folds), objects, b, eachLog)
	pl.plan.Folds = append(pl.plan.Folds, fold)
	return nil
}

func plannedOf(s *source) plannedObject {
	o := plannedObject{Feed: s.feed, URI: s.object.Name, Size: s.object.Size, ETag: s.etag, Account: s.options.Account, Table: s.object.Table != nil}
	if !s.object.Written.IsZero() {
		o.Written = s.object.Written.UnixNano()
	}
	if s.format != nil {
		o.Format = s.format.Name
	}
	if s.unlisted {
		if _, err := s.object.Open(); err != nil {
			o.Unlisted = err.Error()
		}
	}
	return o
}

// cut divides the objects of a fold into tasks, in their order, but what is bound together.
func (pl *planner) cut(fold int, objects []plannedObject, b *bonds, eachLog map[string]bool) {
	groups := b.groups()
	open := map[bool]*plannedTask{}
	bytes := map[bool]int64{}
	end := func(each bool) {
		if t := open[each]; t != nil {
			slices.SortFunc(t.Objects, func(a, b plannedObject) int { return cmp.Compare(a.Place, b.Place) })
			pl.plan.Tasks = append(pl.plan.Tasks, *t)
		}
		open[each], bytes[each] = nil, 0
	}
	for _, group := range groups {
		var size int64
		each := true
		for _, i := range group {
			size += objects[i].Size
			each = each && eachLog[objects[i].Feed]
		}
		if len(group) > 1 {
			pl.together += len(group)
		}
		if bytes[each]+size > pl.size {
			end(each)
		}
		if open[each] == nil {
			open[each] = &plannedTask{Fold: fold, EachLog: each}
		}
		for _, i := range group {
			open[each].Objects = append(open[each].Objects, objects[i])
		}
		bytes[each] += size
	}
	end(false)
	end(true)
}

// finish decides the number of shards and returns what to print.
func (pl *planner) finish() planForm {
	form := planForm{Plan: pl.at + "/" + planName, Run: pl.plan.Run, Tasks: len(pl.plan.Tasks), First: pl.plan.First, Last: pl.plan.Last, Together: pl.together}
	for _, t := range pl.plan.Tasks {
		form.Objects += len(t.Objects)
		for i := range t.Objects {
			form.Bytes += t.Objects[i].Size
		}
	}
	pl.plan.Shards = pl.shardsOf(form.Bytes)
	form.Joins, form.Shards = pl.plan.joins(), pl.plan.Shards
	return form
}

// shardsOf returns the number of shards for logs of so many bytes.
func (pl *planner) shardsOf(bytes int64) int {
	if pl.shards > 0 {
		return pl.shards
	}
	return int(min(1+bytes/shardBytes, mostShards))
}

// Bonds are ties between the objects of a fold: what is tied is folded in one task.
type bonds struct{ to []int }

func newBonds(n int) *bonds {
	b := &bonds{to: make([]int, n)}
	for i := range b.to {
		b.to[i] = i
	}
	return b
}

func (b *bonds) root(i int) int {
	for b.to[i] != i {
		b.to[i] = b.to[b.to[i]]
		i = b.to[i]
	}
	return i
}

// join ties two objects. The first of a group is its root.
func (b *bonds) join(i, j int) {
	i, j = b.root(i), b.root(j)
	b.to[max(i, j)] = min(i, j)
}

// groups returns the groups, in the order of their first objects.
func (b *bonds) groups() (out [][]int) {
	at := map[int]int{}
	for i := range b.to {
		root := b.root(i)
		if i == root {
			at[root] = len(out)
			out = append(out, nil)
		}
		out[at[root]] = append(out[at[root]], i)
	}
	return out
}

// tie ties the objects that depend on one another. It returns the feeds whose logs have ids of
// events and more than most bytes: these are not tied, and copies of events are found within
// a log alone.
//
//   - An object of several feeds is one object.
//   - A copy and its original are decided together, and so are a log and one that it begins with.
//   - Events with ids may be delivered again in another log of their feed.
func (b *bonds) tie(objects []plannedObject, looks []looked, most int64) (eachLog map[string]bool) {
	byURI := map[string]int{}
	for i := range objects {
		o := &objects[i]
		if first, ok := byURI[o.URI]; ok {
			b.join(first, i)
		} else {
			byURI[o.URI] = i
		}
	}
	for i := range objects {
		for _, c := range objects[i].Copies {
			for _, other := range []*logName{c.Of, c.Holds} {
				if other != nil {
					b.join(i, byURI[other.Object])
				}
			}
		}
	}
	together := func(of func(i int) bool) {
		first := -1
		for i := range objects {
			switch {
			case !of(i):
			case first < 0:
				first = i
			default:
				b.join(first, i)
			}
		}
	}
	eachLog = map[string]bool{}
	bytes := map[string]int64{}
	var feeds []string
	for i := range objects {
		if !slices.Contains(feeds, objects[i].Feed) {
			feeds = append(feeds, objects[i].Feed)
		}
		if looks[i].event || looks[i].unsure {
			bytes[objects[i].Feed] += objects[i].Size
		}
	}
	for _, feed := range feeds {
		if eachLog[feed] = bytes[feed] > most; !eachLog[feed] {
			together(func(i int) bool { return objects[i].Feed == feed && (looks[i].event || looks[i].unsure) })
		}
	}
	return eachLog
}

// joinedBytes returns how many bytes the objects have that may tell of connections together, or
// -1 if none do:
//
//   - The records of a connection may be in several logs of a feed.
//   - An answer of DNS may name an address of a connection, in whatever feed, if there are both.
func joinedBytes(objects []plannedObject, looks []looked, resolve bool) int64 {
	names := resolve && slices.ContainsFunc(looks, func(l looked) bool { return l.answers || l.unsure }) &&
		slices.ContainsFunc(looks, func(l looked) bool { return l.network || l.unsure })
	bytes, found := int64(0), false
	for i, l := range looks {
		if l.uid || l.unsure || names && (l.answers || l.network) {
			bytes, found = bytes+objects[i].Size, true
		}
	}
	if !found {
		return -1
	}
	return bytes
}
