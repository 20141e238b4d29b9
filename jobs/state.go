package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"sync"

	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// A state is the partitions of the state folder, and what this run did to them.
type state struct {
	p          *program
	config     *Config
	store      store.Store
	marks      *store.Marks
	aggregates []*detect.Aggregate
	options    detect.FoldOptions
	close      func() // gives the state to other runs
	// distrusted are partitions that were found to be damaged when their rows were read.
	distrusted map[partitionKey]*store.DamagedError

	writers sync.Pool // *store.Writer[detect.Row], of the partitions that this run makes

	planner *planner // folds are only planned; nil: they are done
	stages  *stages  // what stages have folded; nil: nothing

	nightsLost bool // it was said that the list of nights is damaged

	// Of one night:
	folded map[detect.Day]bool
	// incomplete are days whose partitions stay as they are, since some of their logs no
	// longer exist.
	incomplete map[detect.Day]bool
	read       map[string]readObject // the objects that this run has read, by name
	late       map[string]bool       // those of them that lookBack has found
	left       map[string]bool       // those that days lack which stay as they are, see leave
	owed       map[string]string     // ETags of those that earlier nights owe, see otherObject, by name
	owes       []string              // those that this night owes
	uncompared []uncompared          // objects that were taken for copies
	tables     map[string]bool       // the feeds that are tables: their listings depend on the days
	inputs     []reports.Input
	seen       fieldSet
	warnings   []string
	// lacking says in a line that logs of the history were not read; "": all were.
	lacking string
}

// A readObject is an object that this run has read.
type readObject struct {
	*objectTally
	source *source
	etag   string
	// before names the object from which an earlier run read the same log; "": none.
	before string
}

func (c *Config) store() store.Options {
	return store.Options{EndpointURL: c.S3.EndpointURL, Region: c.S3.Region}
}

// open opens the store at a URI, which an error calls what.
func (p *program) open(config *Config, what, uri string) (store.Store, error) {
	s, err := store.Open(p.ctx, uri, config.store())
	if err != nil {
		return nil, configError{fmt.Errorf("open the %s: %w", what, err)}
	}
	if p.wrap != nil {
		s = p.wrap(s)
	}
	return s, nil
}

// noInputs says how to name inputs. A configuration that lies about is not taken unasked:
// in a folder of somebody else's it would say where to write.
func (p *program) noInputs() string {
	const usual = "outflow.yaml"
	if p.configuration() == "" {
		if _, err := os.Stat(usual); err == nil {
			return "to use the " + usual + " of this folder, add --config " + usual
		}
	}
	return "name your logs in a configuration file (outflow config init writes one) or use outflow scan"
}

// openState opens a state to write it, as the run what. The caller must close it.
func (p *program) openState(config *Config, what string) (*state, error) {
	if len(config.Inputs) == 0 {
		return nil, badConfig("no inputs: %s", p.noInputs())
	}
	s, err := p.openOwned(config, what)
	if err != nil {
		return nil, err
	}
	if err := s.upgrade(p.ctx); err != nil {
		s.close()
		return nil, stateError(config, err)
	}
	return s, nil
}

// openStored opens a state to read it: no inputs are needed.
func (p *program) openStored(config *Config) (*state, error) {
	at, err := p.open(config, "state", config.State)
	if err != nil {
		return nil, err
	}
	if err := store.CheckVersion(p.ctx, at); err != nil {
		return nil, configError{fmt.Errorf("open the state: %w", err)}
	}
	s := &state{p: p, config: config, store: at, marks: &store.Marks{}, options: config.foldOptions(), aggregates: config.aggregates(), distrusted: map[partitionKey]*store.DamagedError{}}
	s.begin()
	return s, nil
}

// begin forgets what the run did, for the next night.
func (s *state) begin() {
	s.folded, s.incomplete = map[detect.Day]bool{}, map[detect.Day]bool{}
	s.read, s.late, s.left = map[string]readObject{}, map[string]bool{}, map[string]bool{}
	s.tables, s.seen, s.owed, s.owes = map[string]bool{}, fieldSet{}, map[string]string{}, nil
	s.inputs, s.uncompared, s.warnings, s.lacking = nil, nil, nil, ""
}

// mine reports whether a folder of the state belongs to the profile of this run.
func (s *state) mine(folder string) bool {
	return strings.HasPrefix(folder, "seed_") == s.config.seed()
}

// upgrade moves a state of an earlier version on.
func (s *state) upgrade(ctx context.Context) error {
	done, err := store.Upgrade(ctx, s.store, s.mine)
	if err != nil {
		return err
	}
	if done.Moved > 0 {
		s.p.note("moved %s of the state %s to version %d; older programs cannot read them any more", counted(done.Moved, "partition"), s.config.State, store.Version)
	}
	for _, d := range done.Damaged {
		s.p.note("%v: it was left behind; if its logs are there, %s makes it again", d, s.mend(d.Folder)(d.Day))
	}
	return nil
}

// partitionsOf returns the partitions of a folder of the state.
func partitionsOf[T any](s *state, folder string) store.Partitions[T] {
	p := store.Partitions[T]{Store: s.store, Folder: folder, Marks: s.marks, Mend: s.mend(folder)}
	if folder == s.config.folder("findings") {
		p.Expect = s.reported
	}
	return p
}

// mend returns which command makes a partition of a folder again. backfill makes neither
// findings nor what only judged days have.
func (s *state) mend(folder string) func(day string) string {
	judged := strings.HasSuffix(folder, s.config.folder("findings"))
	for _, a := range detect.Aggregates {
		judged = judged || a.JudgedOnly && strings.HasSuffix(folder, "="+a.Name)
	}
	return func(day string) string {
		if judged {
			return s.p.here("run nightly --day " + day)
		}
		return s.p.here(fmt.Sprintf("backfill --from %s --to %[1]s", day))
	}
}

// folder returns the name of a folder of the state. The profiles have separate
// folders, since the results of one are no history for the other.
func (c *Config) folder(name string) string {
	if c.seed() {
		return "seed_" + name
	}
	return name
}

func (s *state) aggregate(a *detect.Aggregate) store.Partitions[detect.Row] {
	return partitionsOf[detect.Row](s, s.config.folder("aggregate")+"="+a.Name)
}

func (s *state) findings() store.Partitions[findingRow] {
	return partitionsOf[findingRow](s, s.config.folder("findings"))
}

// foldOptions returns the fold options of the configuration.
func (c *Config) foldOptions() detect.FoldOptions {
	o := detect.FoldFor(c.detections, c.seed())
	o.From, o.To = math.MinInt64, math.MaxInt64
	o.Rules = c.rules.set
	o.Names = c.names
	return o
}

// aggregates lists the aggregates that the detections read and the reports show.
func (c *Config) aggregates() []*detect.Aggregate {
	var out []*detect.Aggregate
	for _, a := range detect.Aggregates {
		read := a == detect.UserDay && !c.onlyDNS || a == detect.DNSPair || a == detect.AddressUser && !c.onlyDNS && !c.seed() ||
			a == detect.DNSScore && slices.Contains(c.Reports, reports.DNSScores.Name)
		for _, d := range c.detections {
			read = read || d.Aggregate == a
		}
		if a == detect.RuleDay {
			read = c.runsRules()
		}
		if read {
			out = append(out, a)
		}
	}
	return out
}

// A span is the range of days on which an object is known to have events.
type span struct {
	first, last detect.Day
	store.InputRef
}

// matters is objectTally.matters.
func (s *span) matters(first, last detect.Day) bool {
	if s.NamesNext {
		first--
	}
	return s.first <= last && s.last >= first
}

// recorded calls each with the objects that partitions of the days from … to were folded
// from, except those of the days in without. If a URI has no date, every run lists all logs
// that exist, and all partitions are consulted.
func (s *state) recorded(ctx context.Context, from, to detect.Day, without []detect.Day, each func(*store.InputRef)) error {
	around := map[detect.Day]bool{}
	for day := from; day <= to; day++ {
		around[day] = true
	}
	if slices.ContainsFunc(s.config.Inputs, func(in *Input) bool { return !in.daily() }) {
		for _, a := range s.aggregates {
			all, err := s.aggregate(a).List(ctx)
			if err != nil {
				return err
			}
			for _, text := range all {
				if day, err := detect.ParseDay(text); err == nil {
					around[day] = true
				}
			}
		}
	}
	for _, day := range slices.Sorted(maps.Keys(around)) {
		if slices.Contains(without, day) {
			continue
		}
		all, err := s.stored(ctx, day)
		if err != nil {
			return err
		}
		inputs, _ := s.inputsOf(all)
		for i := range inputs {
			each(&inputs[i])
		}
	}
	return nil
}

// known returns what partitions say about objects that exist, by name. Partitions of days,
// which are to be replaced, do not count.
func (s *state) known(ctx context.Context, days []detect.Day, objects []source) (map[string]span, error) {
	there := make(map[string]bool, len(objects))
	for i := range objects {
		there[objects[i].object.Name] = true
	}
	out := map[string]span{}
	from, to := s.reach(days)
	return out, s.recorded(ctx, from, to, days, func(in *store.InputRef) {
		if !there[in.Name] {
			return
		}
		first, err1 := detect.ParseDay(in.First)
		last, err2 := detect.ParseDay(in.Last)
		if err1 == nil && err2 == nil {
			out[in.Name] = span{first, last, *in}
		}
	})
}

// reach returns the first and the last day whose partitions tell about the logs of days
// and of the history that they are judged by.
func (s *state) reach(days []detect.Day) (from, to detect.Day) {
	return days[0] - detect.Day(s.config.horizon()) - 2, days[len(days)-1] + 1
}

// remember keeps what the run has read of sources. before is the result of readBefore.
func (s *state) remember(sources []source, result *folded, before map[string]string) {
	for i := range sources {
		src := &sources[i]
		if o := result.objects[src.object.Name]; o != nil {
			s.read[src.object.Name] = readObject{o, src, src.etag, before[src.object.Name]}
		}
	}
}

// account adds to the inputs of the run. An object that was read for several spans of
// days, which do not overlap, is one input: rows outside one span may be inside
// another.
func (s *state) account(inputs []reports.Input) {
	type line struct{ name, feed, table string }
	at := map[line]int{}
	for i := range s.inputs {
		in := &s.inputs[i]
		at[line{in.Name, in.Feed, in.Table}] = i
	}
	for _, in := range inputs {
		i, ok := at[line{in.Name, in.Feed, in.Table}]
		if !ok {
			s.inputs = append(s.inputs, in)
			continue
		}
		if before := &s.inputs[i]; before.Rows == in.Rows {
			in.Outside -= in.Rows - before.Outside
			in.Unattributed.Add(before.Unattributed)
			in.Unplaced.Add(before.Unplaced)
		}
		s.inputs[i] = in
	}
}

// inputsOn lists the objects with events on a day.
func inputsOn(day detect.Day, sources []source, result *folded) []store.InputRef {
	var inputs []store.InputRef
	listed := map[string]bool{}
	for _, src := range sources {
		name := src.object.Name
		o := result.objects[name]
		if o == nil || !o.meets(day, day) || listed[name] {
			continue
		}
		listed[name] = true
		inputs = append(inputs, o.ref(&src))
	}
	return inputs
}

// ref returns the entry for an object with events in the inputs of a partition.
func (o *objectTally) ref(src *source) store.InputRef {
	in := store.InputRef{Name: src.object.Name, Size: src.object.Size, ETag: src.etag, Rows: o.rows, Skipped: o.skipped,
		Feed: src.feed, Content: o.content, CopyOf: o.copyOf, NamesNext: o.namesNext}
	if o.whole { // otherwise the days of the rest are unknown
		in.First, in.Last = o.first.String(), o.last.String()
	}
	return in
}

func stateError(c *Config, err error) error {
	if err == nil || errors.Is(err, store.ErrLocked) || errors.Is(err, context.Canceled) {
		return err
	}
	return configError{fmt.Errorf("write the state to %s: %w", c.State, err)}
}

// history opens the judged days and the days that they are compared with. The caller
// must close it, also after an error.
func (s *state) history(ctx context.Context, days []detect.Day) (*history, error) {
	h := newHistory()
	h.seen, h.trace = s.seen, s.p.trace
	first, last := days[0], days[len(days)-1]
	for day := first - detect.Day(s.config.horizon()); day <= last; day++ {
		all, err := s.stored(ctx, day)
		if err != nil {
			return h, err
		}
		judged := slices.Contains(days, day)
		folded := slices.ContainsFunc(all, func(k storedDay) bool { return k.fresh })
		for i, a := range s.aggregates {
			k := &all[i]
			switch {
			case k.fresh && (judged || !a.JudgedOnly || day >= first-detect.Day(s.config.reads(a))):
				rows := s.rows(ctx, h, a, day)
				h.tables[a] = append(h.tables[a], &partition{day, k.Feeds, feedsOn(k.Inputs, day), k.Rows, rows(nil), rows})
			case judged && folded:
				h.unread[a] = true
				s.warnings = append(s.warnings, fmt.Sprintf("There is no %s of %s, because the logs of that day no longer exist: detections that read it find nothing.", a.Name, day))
			}
		}
		if !folded {
			continue
		}
		if judged {
			continue // judged again by this run
		}
		found, err := s.findingsOf(ctx, day)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if damaged, ok := errors.AsType[*store.DamagedError](err); ok {
			s.warnings = append(s.warnings, fmt.Sprintf("The findings of %s are damaged, so the day counts as normal: %v.", day, damaged))
			continue
		}
		if err != nil {
			return h, err
		}
		if day < days[0] {
			h.earlierDays = append(h.earlierDays, day)
		}
		for _, f := range found {
			if f.Allowed == "" {
				h.flag(&f)
			}
			h.earlier = append(h.earlier, f)
		}
	}
	return h, nil
}

// rows reads columns of the rows of a partition; nil means all. It opens the partition on first
// use, since most aggregates are not read for most days, and h closes it.
func (s *state) rows(ctx context.Context, h *history, a *detect.Aggregate, day detect.Day) func(only []string) rowBlocks {
	open := sync.OnceValues(func() (*store.Part[detect.Row], error) {
		p, err := s.aggregate(a).Open(ctx, day.String())
		if err == nil {
			h.mu.Lock()
			h.closers = append(h.closers, p)
			h.mu.Unlock()
		}
		return p, err
	})
	return func(only []string) rowBlocks {
		return func(yield func([]detect.Row, error) bool) {
			part, err := open()
			if err != nil {
				yield(nil, err)
				return
			}
			files := make([]*partition, part.Files())
			for i := range files {
				files[i] = &partition{day: day, rows: inBlocks(part.File(i, only), day)}
			}
			merged(files)(yield)
		}
	}
}

// inBlocks yields the rows of a day in blocks.
func inBlocks(rows iter.Seq2[*detect.Row, error], day detect.Day) rowBlocks {
	return func(yield func([]detect.Row, error) bool) {
		block := make([]detect.Row, 0, blockRows)
		for r, err := range rows {
			if err != nil {
				yield(nil, err)
				return
			}
			block = append(block, *r)
			block[len(block)-1].Day = day
			if len(block) == blockRows {
				if !yield(block, nil) {
					return
				}
				block = block[:0]
			}
		}
		if len(block) > 0 {
			yield(block, nil)
		}
	}
}

// commitFindings writes the findings of a day.
func (s *state) commitFindings(ctx context.Context, day detect.Day, findings []detect.Finding) error {
	rows := func(yield func(*findingRow, error) bool) {
		for i := range findings {
			if findings[i].Day == day {
				if r := toFinding(&findings[i]); !yield(&r, nil) {
					return
				}
			}
		}
	}
	return stateError(s.config, s.findings().Commit(ctx, day.String(), rows, &store.Done{Rev: findingsRev}))
}

// sources lists the objects of the configured inputs for the days first … last.
func (p *program) sources(config *Config, first, last detect.Day) ([]source, error) {
	return p.sourcesOf(config, config.Inputs, first, last)
}

// sourcesOf is sources of some of the inputs. An input that cannot be listed on disk is one
// source that cannot be read, unless there is no other.
func (p *program) sourcesOf(config *Config, inputs []*Input, first, last detect.Day) ([]source, error) {
	var out []source
	var days []detect.Day
	for d := first; d <= last; d++ {
		days = append(days, d)
	}
	var closed error
	listed := false
	for _, in := range inputs {
		found, left, err := p.glob(in.URI, days, config.store(), &in.options)
		if err != nil {
			err = configError{fmt.Errorf("input %s: %w", in.Name, err)}
			if !store.IsClosed(err) {
				return nil, err
			}
			closed = cmp.Or(closed, err)
			found = []source{closedSource(in.URI, err)}
			found[0].unlisted, found[0].closed = true, err
		} else {
			listed, in.left = true, left
		}
		for _, src := range found {
			src.feed = in.Name
			src.decode(in.format, config.formats, in.options)
			out = append(out, src)
		}
	}
	if !listed && closed != nil && len(inputs) == len(config.Inputs) {
		return nil, closed
	}
	return out, nil
}
