package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"outflow/columnar"
	"outflow/columnar/logs"
	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// A source is one log object of a feed, and how to read it.
type source struct {
	feed    string // "": the name of its format
	object  logs.Object
	format  *logs.Format // nil: sniffed
	formats logs.Formats // as what; nil: logs.All
	options logs.Options
	etag    string
	// unlisted says that it stands for an input that could not be listed.
	unlisted bool
	// closed says why it cannot be read, if that is known beforehand.
	closed error
	// sent knows which bytes came. Nil: no network lies between, or nobody needs to know.
	sent *transfer
}

// foldOptions are the options of Fold.
type foldOptions struct {
	aggregates []*detect.Aggregate
	detect.FoldOptions
	workers int
	// memory is how many bytes the run may use; 0: defaultMemory.
	memory int64
	// events is how many events with ids the run remembers; 0: as many as its memory allows.
	events int
	// look says to read the sources as for the aggregates, but to fold nothing: only to learn
	// what they are.
	look bool
	// want is read in addition to what the aggregates read; Fold adds theirs to it.
	want columnar.Wanted
	// tap, if set, is called with every batch, by one goroutine at a time.
	tap   func(*columnar.Batch)
	trace *trace // nil: what Fold does when is not recorded
	// read counts the stored bytes that were read.
	read *atomic.Int64
	// task, if set, says that the sources are a part of those of a run.
	task *foldTask
}

// A folded is the result of Fold.
type folded struct {
	options *detect.FoldOptions
	trace   *trace
	workers []*worker
	inputs  []reports.Input // sorted by name, table
	// objects has all objects by name, whatever the days of their events.
	objects map[string]*objectTally
	// parts are the files of the partitions, if stages have made them, instead of workers.
	parts map[partitionKey][]partMade
	// eachLog says that copies of events were found within a log alone.
	eachLog bool
	// seen has the fields that rules read and that events have, by table.
	seen fieldSet
}

// A fieldSet is a set of fields of tables.
type fieldSet map[tableField]bool

type tableField struct {
	table *columnar.Table
	field string
}

func (s fieldSet) add(t *columnar.Table, field string) { s[tableField{t, field}] = true }

// Close frees the runs that Rows reads.
func (f *folded) Close() error {
	var errs []error
	for _, w := range f.workers {
		errs = append(errs, w.spool.Close(), w.aside.Close())
		if w.connections != nil {
			errs = append(errs, w.records.Close())
		}
		if w.answers != nil {
			errs = append(errs, w.answered.Close())
		}
	}
	return errors.Join(errs...)
}

// blockBuffers is how many blocks may wait for each worker: enough that reading goes
// on while it decodes, few enough to stay in the cache.
const blockBuffers = 3

// Fold reads, decodes and folds the sources, concurrently. There are as many readers,
// which cut objects into blocks, as workers, which decode and fold the blocks, each
// with tables of its own. A table over its budget is written as a run; so is every
// table at the end, without the keys that can be sifted out. Reading the result merges
// the runs. Merging is exact, so the result does not depend on timing.
//
// An object that cannot be read becomes an input with an error. Fold itself fails only
// when ctx ends or the runs cannot be written.
func Fold(ctx context.Context, sources []source, o *foldOptions) (*folded, error) {
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	if o.task == nil {
		o.Resolve = resolves(sources, o)
	}
	o.setWant()
	if o.look {
		o.aggregates = nil
	}
	if len(o.aggregates) == 0 && !o.look { // a command that prints logs prints copies too
		return fold(ctx, sources, nil, true, o)
	}
	last := map[int]bool{}
	eachLog := o.task != nil && o.task.eachLog // the run has too many events to find copies in other logs
	for {
		c := newContents(sources, last)
		if o.task != nil {
			c.decided = o.task.copies
		}
		out, err := fold(ctx, sources, c, eachLog, o)
		if !errors.Is(err, errAgain) {
			return out, err
		}
		eachLog = eachLog || errors.Is(err, errTooMany)
		if o.read != nil {
			o.read.Store(0)
		}
	}
}

// setWant adds to want what the aggregates read.
func (o *foldOptions) setWant() {
	for _, a := range o.aggregates {
		o.want.Cols |= a.Reads
		if a.Wants != nil {
			o.want = o.want.And(a.Wants(&o.FoldOptions))
		}
	}
	if o.Resolve {
		o.want.Cols |= detect.AnswerColumns
	}
}

// fold is one pass of Fold. It returns errAgain if the sources must be read again: in
// another order, according to c, or with eachLog, if the error is errTooMany too. A nil c
// does not look for copies of logs. With eachLog, copies of events are found within a log.
func fold(ctx context.Context, sources []source, c *contents, eachLog bool, o *foldOptions) (*folded, error) {
	readCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	decoding, again := context.WithCancelCause(readCtx)
	defer again(nil)
	endFold := o.trace.stage(foldStage)
	workers := make([]*worker, max(1, o.workers))
	buffers := logs.NewBuffers((blockBuffers+2)*len(workers), logs.BlockSize)
	blocks := make(chan *work, len(workers))

	memory := cmp.Or(o.memory, defaultMemory)
	windows := newWindows(memory, len(workers))
	var readers, working sync.WaitGroup
	var next atomic.Int64
	logsRead := make([][]*sharedLog, len(sources))
	defer c.begin(readCtx, func() { again(errAgain) })()
	for range workers {
		readers.Go(func() {
			for {
				place := int(next.Add(1)) - 1
				if place >= len(sources) || readCtx.Err() != nil {
					return
				}
				i := c.at(place)
				claim := windows.claim(readCtx, c, place)
				logsRead[i] = read(decoding, i, &sources[i], &readingOf{buffers, claim, c.copyCheck(claim, place, &sources[i])}, o, blocks)
				c.over(place)
			}
		})
	}
	budget := int(memory / tableShare / int64(len(workers)))
	var events *eventSet
	var over atomic.Bool
	if !eachLog {
		events = newEventSet(memory)
		events.limit = cmp.Or(o.events, events.limit)
	}
	var tap sync.Mutex
	shared := &scales{weights: make([]detect.Weights, len(o.aggregates))}
	for i := range workers {
		w := newWorker(o, &tap)
		w.scales, w.shards = shared, o.shards(workers)
		w.budget, w.spool = budget, store.NewSpool(budget/runSpool)
		w.room = func() int { return windows.budget(budget, len(workers)) }
		w.openAside()
		w.openConnections()
		w.openAnswers()
		w.events, w.tooMany = events, func() { over.Store(true); again(errAgain) }
		workers[i] = w
		working.Go(func() {
			for b := range blocks {
				if w.decode(b); w.err != nil {
					cancel() // no further run can be written
				}
			}
			w.out.Fields(w.seen.add)
			w.out, w.log, w.decoder = columnar.Out{}, nil, nil
			w.closeConnections()
		})
	}
	readers.Wait()
	close(blocks)
	working.Wait()
	endFold()
	if events != nil { // merging needs its memory
		events.hashes, events.of = nil, nil
	}
	if c.void() || over.Load() {
		why := errAgain
		if over.Load() {
			why = errors.Join(errAgain, errTooMany)
		}
		return nil, errors.Join(why, (&folded{workers: workers}).Close())
	}
	defer o.trace.stage(drainStage)()
	drain(readCtx, workers, o)
	all := slices.Concat(logsRead...)
	if err := c.link(); err != nil {
		return nil, errors.Join(err, (&folded{workers: workers}).Close())
	}
	settle(all)
	findNames(workers, all)
	out := account(workers, all, eachLog && c != nil, o)
	out.print(all)
	out.seen = fieldSet{}
	for _, w := range workers {
		maps.Copy(out.seen, w.seen)
	}
	err := ctx.Err()
	for _, w := range workers {
		err = cmp.Or(err, w.err)
	}
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// drain has the workers join what they hold apart, and write their tables as runs.
func drain(ctx context.Context, workers []*worker, o *foldOptions) {
	var working sync.WaitGroup
	var part, answered atomic.Int64
	for _, w := range workers {
		working.Go(func() {
			defer o.trace.task("join and weigh")()
			if !o.sends() {
				w.join(ctx, workers, &part)
			}
			for i := range w.folders {
				w.weigh(i)
			}
			w.closeAnswers()
		})
	}
	working.Wait()
	for _, w := range workers {
		working.Go(func() {
			if o.sends() {
				w.send()
			}
			w.freeConnections()
			for i := range w.folders {
				end := o.trace.task("drain " + o.aggregates[i].Name)
				w.empty(i)
				end()
			}
			defer o.trace.task("resolve")()
			if !o.sends() {
				w.resolve(ctx, workers, &answered)
			}
			w.err = cmp.Or(w.err, w.aside.Close())
			w.scales = nil
		})
	}
	working.Wait()
}

// A work is a block to decode, with its log.
type work struct {
	log   *sharedLog
	block *logs.Block
}

// A sharedLog is one log, shared by its reader and the workers.
type sharedLog struct {
	*logs.Member
	source  *source
	feed    string
	failed  atomic.Pointer[error] // the first error of a decoder
	content *content              // nil: not checked
	rank    [2]int                // the index of its source, and its own among the logs of that
	// events are its events where the run has too many. eventLog and repeated belong to the
	// set that its events are in: its index there, and how many are copies, by table.
	events   eventSet
	eventLog uint32
	repeated [columnar.NumTables]int64
	users    atomic.Int32 // the reader, and the blocks that are not yet decoded
	// namesNext says that it has names of connections that may end on the day after its
	// last.
	namesNext bool
}

// leave drops one user. The last one frees what only reading and decoding need, since
// a night has many thousand logs.
func (m *sharedLog) leave() {
	if m.users.Add(-1) == 0 {
		m.Options = nil
		m.events.hashes, m.events.of = nil, nil
	}
}

// before reports whether m comes before o in the order of sources, and of the logs in one.
func (m *sharedLog) before(o *sharedLog) bool {
	return m.rank[0] < o.rank[0] || m.rank[0] == o.rank[0] && m.rank[1] < o.rank[1]
}

// A readingOf is what the reader of a source shares with the others.
type readingOf struct {
	buffers *logs.Buffers
	claim   *windowClaim
	check   copyCheck // nil: copies are not looked for
}

// read cuts one source into blocks and sends them, except for the logs that are copies.
func read(ctx context.Context, index int, s *source, with *readingOf, o *foldOptions, blocks chan<- *work) (out []*sharedLog) {
	defer func() {
		if p := recover(); p != nil {
			err := fmt.Errorf("read: %v (a fault in outflow: please report it)", p)
			out = append(out, &sharedLog{Member: &logs.Member{Name: s.object.Name, Err: err}, source: s, feed: s.feed})
		}
	}()
	object := s.object
	object.Open = func() (io.ReadCloser, error) {
		r, err := s.object.Open()
		return &countingReader{r, o.read}, err
	}
	options := &logs.ReadOptions{Format: s.format, Formats: s.formats, Options: s.options, Buffers: with.buffers, Windows: with.claim.part()}
	options.Options.Want |= o.want.Cols
	for _, cols := range o.want.Of {
		options.Options.Want |= cols
	}
	options.Options.WantFields = o.want.Fields
	shared := map[*logs.Member]*sharedLog{}
	of := func(m *logs.Member) *sharedLog {
		if shared[m] == nil {
			feed := s.feed
			if feed == "" && m.Format != nil {
				feed = m.Format.Name
			}
			shared[m] = &sharedLog{Member: m, source: s, feed: feed, rank: [2]int{index, len(shared)}}
			shared[m].users.Add(1)
		}
		return shared[m]
	}
	contents := map[*logs.Member]*content{}
	if with.check != nil {
		options.Content = func(m *logs.Member, x *logs.Content) (err error) {
			contents[m], err = with.check(m, x)
			return err
		}
	}
	for _, m := range logs.Read(&object, options, func(m *logs.Member, b *logs.Block) error {
		shared := of(m)
		if shared.failed.Load() != nil {
			b.Release()
			return logs.ErrSkip
		}
		shared.users.Add(1)
		select {
		case blocks <- &work{shared, b}:
			return nil
		case <-ctx.Done():
			shared.leave()
			b.Release()
			return context.Cause(ctx)
		}
	}) {
		of(m).content = contents[m]
		out = append(out, of(m))
		of(m).leave()
	}
	return out
}

type countingReader struct {
	io.ReadCloser
	n *atomic.Int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if r.n != nil {
		r.n.Add(int64(n))
	}
	return n, err
}

// A worker decodes and folds blocks, with tables of its own.
type worker struct {
	o       *foldOptions
	out     columnar.Out
	folders []detect.Folder       // as o.aggregates
	tallies map[*sharedLog]*tally // by log
	scales  *scales
	budget  int // for the tables, in bytes
	// room is what of budget the tables may take for now. Nil: all of it.
	room   func() int
	spool  *store.Spool
	shards int // number of shards of a run
	runs   []spooledRun
	err    error // from writing runs
	// sent is what other stages join; see send.
	sent []spooledRun
	// asides are where the detect.Deferrer of a task writes.
	asides []spoolWriter
	seen   fieldSet
	// connections are the records of connections, which it keeps in records until those
	// of all workers are joined. Nil: nobody counts connections.
	connections *detect.Connections
	records     *store.Spool
	joined      int64 // rows that it made of them
	// answers are DNS answers and what the tables ask, which it keeps in answered until the
	// addresses asked for are named. Nil: nobody asks.
	answers  *detect.Answers
	answered *store.Spool
	// aside has what the detect.Deferrer sets aside. A run has one Deferrer at most.
	aside *store.Spool
	// nobody tells which users and hosts name nobody; blank says that a text which is
	// not empty does.
	nobody [2]columnar.Lookup[bool]
	blank  bool

	log     *sharedLog // the log of the block being decoded
	decoder logs.Decoder

	events  *eventSet // of the run; nil: each log has its own
	tooMany func()    // ends the pass, since events has too many
	hashes  []uint64
}

func newWorker(o *foldOptions, tap *sync.Mutex) *worker {
	w := &worker{o: o, tallies: map[*sharedLog]*tally{}, seen: fieldSet{}}
	w.out = w.emptyOut()
	for _, a := range o.aggregates {
		w.folders = append(w.folders, a.New(&o.FoldOptions))
	}
	for i := range w.nobody {
		w.nobody[i].Func = func(text []byte) bool {
			nobody := o.Names.Nobody(text)
			w.blank = w.blank || nobody && len(text) > 0
			return nobody
		}
	}
	w.out.Sink = func(b *columnar.Batch) {
		w.count(b)
		if o.tap != nil {
			tap.Lock()
			o.tap(b)
			tap.Unlock()
		}
		for i, a := range o.aggregates {
			if slices.Contains(a.Tables, b.Table) {
				w.folders[i].Fold(b)
			}
		}
		if w.connections != nil {
			w.connections.Add(b)
		}
		if w.answers != nil {
			w.answers.Add(b)
		}
		w.spill()
	}
	return w
}

// emptyOut returns an Out without rows, for what the run reads.
func (w *worker) emptyOut() columnar.Out {
	want := &w.o.want
	return columnar.Out{Want: want.Cols, WantOf: want.Of, WantServed: want.Served, WantFields: want.Fields, WantEvents: want.Events}
}

func (w *worker) decode(b *work) {
	defer b.log.leave()
	defer b.block.Release()
	defer w.o.trace.task(b.log.Name)()
	if b.log.failed.Load() != nil || w.err != nil {
		return
	}
	if err := w.try(b); err != nil {
		b.log.failed.CompareAndSwap(nil, &err)
	}
}

func (w *worker) try(b *work) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decode the records from %d on: %v (a fault in outflow: please report it)", b.block.First, p)
			w.log, w.decoder = nil, nil
			w.out.Fields(w.seen.add)
			sink, answer := w.out.Sink, w.out.Answer
			w.out = w.emptyOut() // drop the rows of the broken block
			w.out.Sink, w.out.Answer = sink, answer
		}
	}()
	if w.log != b.log {
		w.log, w.decoder = b.log, nil
		if w.decoder, err = b.log.Format.New(b.log.Options); err != nil {
			w.log = nil
			return err
		}
	}
	t := w.tallies[b.log]
	if t == nil {
		t = &tally{}
		w.tallies[b.log] = t
	}
	w.out.Feed, w.out.Object = b.log.feed, b.log.Name
	w.out.Origin, w.out.Lacks = b.log.Format.Origin(), b.log.Format.Lacks
	w.out.Server, w.out.Deltas = b.log.Format.Server, b.log.Format.Deltas
	if w.out.Account = b.log.Options.Account; w.out.Account != "" {
		w.out.Lacks &^= columnar.ColSet(columnar.Account)
	}
	err = b.block.Decode(w.decoder, &w.out, &t.Tally)
	w.out.Flush()
	return err
}
