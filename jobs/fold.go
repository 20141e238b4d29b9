package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"outflow/columnar"
	"outflow/columnar/logs"
	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// A source is one log object of a feed.
type source struct {
	feed    string // "": the name of its format
	object  logs.Object
	format  *logs.Format // nil: sniffed
	options logs.Options
	etag    string
}

// foldOptions say what Fold does with the sources.
type foldOptions struct {
	aggregates []*detect.Aggregate
	detect.FoldOptions
	workers int
	// memory is what the run may take, in bytes; 0: defaultMemory.
	memory int64
	// want is read besides what the aggregates read; Fold adds that.
	want columnar.Wanted
	// tap, if set, is called with every batch, by one goroutine at a time.
	tap func(*columnar.Batch)
	// read is raised by the stored bytes that were read.
	read *atomic.Int64
}

// folded is what Fold makes of its sources.
type folded struct {
	options *detect.FoldOptions
	workers []*worker
	inputs  []reports.Input // sorted by name, table
	// objects by name, whatever their events' days.
	objects map[string]*objectTally
	// seen are the fields that rules read and events have, by table.
	seen fieldSet
}

// A fieldSet is a set of fields of tables.
type fieldSet map[tableField]bool

type tableField struct {
	table *columnar.Table
	field string
}

func (s fieldSet) add(t *columnar.Table, field string) { s[tableField{t, field}] = true }

// An objectTally is what was read of one object, all its members together.
type objectTally struct {
	first, last   detect.Day // of its events; meaningless without rows
	rows, skipped int64
	whole         bool // it was read to its end
	// copyOf names an object whose log this one holds a copy of, if it holds nothing
	// else; its days are those of that object. content is what it holds, if all is known.
	copyOf  string
	content store.Content
	// inputs account for it where it has no rows: then it is of no day, and of any.
	inputs []reports.Input
}

// Rows yields the rows of an aggregate by day and then key; see detect.Merge.
func (f *folded) Rows(a *detect.Aggregate) iter.Seq2[*detect.Row, error] {
	shards := make([]iter.Seq2[*detect.Row, error], shardsOf(f.workers))
	for i := range shards {
		var runs []io.Reader
		for _, w := range f.workers {
			for _, r := range w.runs {
				if r.aggregate == a && r.shard == i {
					runs = append(runs, r.reader(w.spool))
				}
			}
		}
		shards[i] = detect.Merge(a, f.options, runs)
	}
	return ahead(shards)
}

// shardsOf returns how many shards of the runs are merged side by side. With more
// than four, they would only wait for who takes the rows.
func shardsOf(workers []*worker) int { return min(len(workers), 4) }

// aheadRows is how many rows are handed over at once: handing over is seen no
// more, and the rows stay in the cache.
const aheadRows = 256

// A merging is one of several that rows come from, in a goroutine of its own.
type merging struct {
	full chan []detect.Row // closed after the last
	free chan []detect.Row
	err  error // after all rows; to be read when full is closed

	rows []detect.Row // those at hand
	at   int
}

// run hands the rows over until stop is closed.
func (m *merging) run(rows iter.Seq2[*detect.Row, error], stop <-chan struct{}) {
	defer close(m.full)
	room := make([]detect.Row, 0, aheadRows)
	for row, err := range rows {
		if m.err = err; err != nil {
			break
		}
		if room = append(room, *row); len(room) < cap(room) {
			continue
		}
		select {
		case m.full <- room:
		case <-stop:
			return
		}
		select {
		case room = <-m.free:
		case <-stop:
			return
		}
	}
	if len(room) > 0 {
		select {
		case m.full <- room:
		case <-stop:
		}
	}
}

// next goes to the next row, and reports whether there is one.
func (m *merging) next() bool {
	if m.at++; m.at < len(m.rows) {
		return true
	}
	if m.rows != nil {
		m.free <- m.rows[:0]
	}
	m.rows, m.at = <-m.full, 0
	return m.rows != nil
}

// ahead yields the rows of all shards by day and then key, each merged by a
// goroutine of its own: whoever takes merged rows encodes or judges them, which
// takes as long as merging. No two shards have a key in common.
func ahead(shards []iter.Seq2[*detect.Row, error]) iter.Seq2[*detect.Row, error] {
	return func(yield func(*detect.Row, error) bool) {
		stop := make(chan struct{})
		var working sync.WaitGroup
		defer working.Wait()
		defer close(stop)
		var all []*merging
		for _, rows := range shards {
			m := &merging{full: make(chan []detect.Row), free: make(chan []detect.Row, 2)}
			m.free <- make([]detect.Row, 0, aheadRows)
			working.Go(func() { m.run(rows, stop) })
			all = append(all, m)
		}
		tree := newLosers(len(all), func(i, j int) bool {
			m, n := all[i], all[j]
			if m.rows == nil || n.rows == nil {
				return m.rows != nil
			}
			a, b := &m.rows[m.at], &n.rows[n.at]
			return a.Day < b.Day || a.Day == b.Day && a.Key.Compare(b.Key) < 0
		})
		for i, m := range all {
			if !m.next() && m.err != nil {
				yield(nil, m.err)
				return
			}
			tree.play(i)
		}
		for len(all) > 0 {
			least := all[tree.winner()]
			if least.rows == nil || !yield(&least.rows[least.at], nil) {
				return
			}
			if !least.next() && least.err != nil {
				yield(nil, least.err)
				return
			}
			tree.play(tree.winner())
		}
	}
}

// Close frees what Rows reads.
func (f *folded) Close() error {
	var errs []error
	for _, w := range f.workers {
		errs = append(errs, w.spool.Close())
	}
	return errors.Join(errs...)
}

// meets reports whether the object may have events of the days first … last.
func (o *objectTally) meets(first, last detect.Day) bool {
	return (o.rows > 0 || o.copyOf != "") && o.first <= last && o.last >= first
}

// blockBuffers is how many blocks a worker may have waiting: enough that reading
// goes on while it decodes, few enough to stay in the cache.
const blockBuffers = 3

// Fold reads, decodes and folds the sources, concurrently: as many readers cut
// objects into blocks as workers decode and fold them, each worker with tables of
// its own. A table that grows over its budget, and every table in the end, is
// written as a run, less what can be sifted out, and reading the result merges the
// runs. Merging is exact, so the result does not depend on who did what when.
//
// An object that cannot be read becomes an input with an error. Fold itself
// fails only when ctx ends or there is no place for the runs.
func Fold(ctx context.Context, sources []source, o *foldOptions) (*folded, error) {
	for _, a := range o.aggregates {
		o.want.Cols |= a.Reads
		if a.Wants != nil {
			o.want = o.want.And(a.Wants(&o.FoldOptions))
		}
	}
	if len(o.aggregates) == 0 { // what only shows logs shows copies too
		return fold(ctx, sources, nil, o)
	}
	last := map[int]bool{}
	for {
		out, err := fold(ctx, sources, newContents(sources, last), o)
		if !errors.Is(err, errAgain) {
			return out, err
		}
		if o.read != nil {
			o.read.Store(0)
		}
	}
}

// fold is a pass of Fold. It is errAgain if c found that the sources have to be read
// in another order. Nil c: copies are not looked for.
func fold(ctx context.Context, sources []source, c *contents, o *foldOptions) (*folded, error) {
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	decoding, again := context.WithCancelCause(reading)
	defer again(nil)
	workers := make([]*worker, max(1, o.workers))
	buffers := logs.NewBuffers((blockBuffers+2)*len(workers), logs.BlockSize)
	blocks := make(chan *work, len(workers))

	var readers, working sync.WaitGroup
	var next atomic.Int64
	members := make([][]*member, len(sources))
	defer c.begin(reading, func() { again(errAgain) })()
	for range workers {
		readers.Go(func() {
			for {
				place := int(next.Add(1)) - 1
				if place >= len(sources) || reading.Err() != nil {
					return
				}
				i := c.at(place)
				members[i] = read(decoding, &sources[i], buffers, c.shower(reading, place, &sources[i]), o, blocks)
				c.over(place)
			}
		})
	}
	memory := cmp.Or(o.memory, defaultMemory)
	budget := int(memory / tableShare / int64(len(workers)))
	var tap sync.Mutex
	shared := &scales{weights: make([]detect.Weights, len(o.aggregates))}
	for i := range workers {
		w := newWorker(o, &tap)
		w.scales, w.shards = shared, shardsOf(workers)
		w.budget, w.spool = budget, store.NewSpool(budget/2)
		workers[i] = w
		working.Go(func() {
			for b := range blocks {
				if w.decode(b); w.err != nil {
					cancel() // there is no place for more
				}
			}
			w.out.Fields(w.seen.add)
			w.out, w.member, w.decoder = columnar.Out{}, nil, nil
			for i := range w.folders {
				w.weigh(i)
			}
		})
	}
	readers.Wait()
	close(blocks)
	working.Wait()
	if c.void() {
		return nil, errors.Join(errAgain, (&folded{workers: workers}).Close())
	}
	for _, w := range workers {
		working.Go(func() {
			for i, f := range w.folders {
				if s, ok := f.(detect.Sifter); ok {
					s.Sift(&shared.weights[i])
				}
				if w.err == nil {
					w.drain(i)
				}
				w.folders[i] = nil // merging needs the memory
			}
			w.scales = nil
		})
	}
	working.Wait()
	all := slices.Concat(members...)
	settle(all)
	out := account(workers, all, o)
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

const (
	// defaultMemory is what a run may take unless it is told otherwise. A night of
	// a company of 10,000 fits without a temporary file; more than this buys
	// little speed.
	defaultMemory = 256 << 20
	// programBytes is what the program itself takes of the memory.
	programBytes = 36 << 20
	// tableShare is which part of the memory the tables of all workers may take
	// together. Beside them are the next tables that they grow into, what the
	// collector has not freed yet, and the blocks and batches in work.
	tableShare = 3
)

// A runOf is what a table of one aggregate held of one shard, in the spool of its
// worker.
type runOf struct {
	aggregate *detect.Aggregate
	shard     int
	pieces    []piece
}

// A piece is a range of a spool.
type piece struct{ from, to int64 }

// reader returns a reader of the run.
func (r *runOf) reader(spool *store.Spool) io.Reader {
	pieces := make([]io.Reader, len(r.pieces))
	for i, p := range r.pieces {
		pieces[i] = io.NewSectionReader(spool, p.from, p.to-p.from)
	}
	return io.MultiReader(pieces...)
}

// A runShard writes a run to a spool that other runs are written to in turn.
type runShard struct {
	runOf
	spool *store.Spool
}

func (r *runShard) Write(p []byte) (int, error) {
	from := r.spool.Size()
	n, err := r.spool.Write(p)
	if k := len(r.pieces); k > 0 && r.pieces[k-1].to == from {
		r.pieces[k-1].to += int64(n)
	} else if n > 0 {
		r.pieces = append(r.pieces, piece{from, from + int64(n)})
	}
	return n, err
}

// scales hold what all workers fold, by aggregate, where tables are detect.Sifters.
type scales struct {
	mu      sync.Mutex
	weights []detect.Weights
}

// weigh weighs a table that is a detect.Sifter.
func (w *worker) weigh(i int) {
	if s, ok := w.folders[i].(detect.Sifter); ok {
		w.scales.mu.Lock()
		defer w.scales.mu.Unlock()
		s.Weigh(&w.scales.weights[i])
	}
}

// spill drains tables and begins them anew, the largest first, until the rest
// takes no more than the budget.
func (w *worker) spill() {
	sizes := make([]int, len(w.folders))
	total := 0
	for i, f := range w.folders {
		sizes[i] = min(f.Size(), math.MaxInt/len(w.folders))
		total += sizes[i]
	}
	for total > w.budget && w.err == nil {
		i := slices.Index(sizes, slices.Max(sizes))
		w.weigh(i)
		w.drain(i)
		if w.folders[i].Size() > w.budget/(4*len(w.folders)) { // of names
			w.folders[i] = w.o.aggregates[i].New(&w.o.FoldOptions)
		}
		total -= sizes[i]
		sizes[i] = 0
	}
}

// drain writes a table as a run.
func (w *worker) drain(i int) {
	a := w.o.aggregates[i]
	shards := make([]runShard, w.shards)
	writers := make([]io.Writer, w.shards)
	for i := range shards {
		shards[i] = runShard{runOf{aggregate: a, shard: i}, w.spool}
		writers[i] = &shards[i]
	}
	run := detect.NewRunWriter(writers...)
	w.folders[i].Drain(run)
	if err := run.Close(); err != nil {
		w.err = fmt.Errorf("make room in memory for %s: %w", a.Name, err)
	}
	for _, s := range shards {
		if len(s.pieces) > 0 {
			w.runs = append(w.runs, s.runOf)
		}
	}
}

// A work is a block to decode.
type work struct {
	member *member
	block  *logs.Block
}

// A member is one log, as the reader and the workers share it.
type member struct {
	*logs.Member
	source  *source
	feed    string
	failed  atomic.Pointer[error] // the first error of a decoder
	content *content              // nil: not shown
	events  eventSet
	users   atomic.Int32 // the reader, and the blocks that are not decoded yet
}

// leave frees what only reading and decoding need, when it is over: a night has
// many thousand logs.
func (m *member) leave() {
	if m.users.Add(-1) == 0 {
		m.Options = nil
		m.events.seen = nil
	}
}

// An eventSet holds the ids of the events of one log, by their hash: in a log of
// a million events the chance that two share one is 1 in 40 million.
type eventSet struct {
	mu   sync.Mutex
	seen map[uint64]struct{}
	cut  bool // there were events beyond maxEvents
}

// eventSeed is of this process: who does not know it cannot make ids that are
// taken for one.
var eventSeed = maphash.MakeSeed()

// maxEvents bounds the ids that are remembered of one log: only its first so many
// records are looked at. Logs with copies are delivered in small objects.
const maxEvents = 1 << 20

// mark marks the rows of b whose event was seen before, and returns how many.
func (s *eventSet) mark(b *columnar.Batch) (repeated int64) {
	offsets, ids := b.Texts(columnar.EventUID)
	marks := make([]byte, (b.Len()+7)/8)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[uint64]struct{}{}
	}
	for i := range b.Len() {
		id := ids[offsets[i]:offsets[i+1]]
		if len(id) == 0 {
			continue
		}
		if b.First+int64(b.Record[i]) > maxEvents {
			s.cut = true
			break
		}
		h := maphash.Bytes(eventSeed, id)
		if _, ok := s.seen[h]; ok {
			marks[i>>3] |= 1 << (i & 7)
			repeated++
		}
		s.seen[h] = struct{}{}
	}
	if repeated > 0 {
		b.Repeat = marks
	}
	return repeated
}

// read cuts one source into blocks and sends them, but for the logs that show says
// are copies.
func read(ctx context.Context, s *source, buffers *logs.Buffers, show shower, o *foldOptions, blocks chan<- *work) (out []*member) {
	defer func() {
		if p := recover(); p != nil {
			err := fmt.Errorf("read: %v (a fault in outflow: please report it)", p)
			out = append(out, &member{Member: &logs.Member{Name: s.object.Name, Err: err}, source: s, feed: s.feed})
		}
	}()
	object := s.object
	object.Open = func() (io.ReadCloser, error) {
		r, err := s.object.Open()
		return &countingReader{r, o.read}, err
	}
	options := &logs.ReadOptions{Format: s.format, Options: s.options, Buffers: buffers}
	options.Options.Want |= o.want.Cols
	options.Options.WantFields = o.want.Fields
	shared := map[*logs.Member]*member{}
	of := func(m *logs.Member) *member {
		if shared[m] == nil {
			feed := s.feed
			if feed == "" && m.Format != nil {
				feed = m.Format.Name
			}
			shared[m] = &member{Member: m, source: s, feed: feed}
			shared[m].users.Add(1)
		}
		return shared[m]
	}
	contents := map[*logs.Member]*content{}
	if show != nil {
		options.Content = func(m *logs.Member, x *logs.Content) (err error) {
			contents[m], err = show(m, x)
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
	folders []detect.Folder // as o.aggregates
	tallies map[*member]*tally
	scales  *scales
	budget  int // of the tables, in bytes
	spool   *store.Spool
	shards  int // of runs
	runs    []runOf
	err     error // of writing runs
	seen    fieldSet
	// Which users and hosts are nobody; blank says that some text is which is not empty.
	nobody [2]columnar.Lookup[bool]
	blank  bool

	member  *member // of the block being decoded
	decoder logs.Decoder
}

// A tally is what one worker counted of one member.
type tally struct {
	logs.Tally
	tables [columnar.NumTables]*tableTally // nil: no rows
}

type tableTally struct {
	rows, outside int64
	repeated      int64
	first, last   int64
	known         [columnar.NumCols]int64
	// See reports.Input.
	unattributed, unplaced reports.Volume
}

func newWorker(o *foldOptions, tap *sync.Mutex) *worker {
	w := &worker{o: o, tallies: map[*member]*tally{}, seen: fieldSet{}}
	w.out = columnar.Out{Want: o.want.Cols, WantFields: o.want.Fields, WantEvents: o.want.Events}
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
		w.spill()
	}
	return w
}

func (w *worker) decode(b *work) {
	defer b.member.leave()
	defer b.block.Release()
	if b.member.failed.Load() != nil || w.err != nil {
		return
	}
	if err := w.try(b); err != nil {
		b.member.failed.CompareAndSwap(nil, &err)
	}
}

func (w *worker) try(b *work) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decode the records from %d on: %v (a fault in outflow: please report it)", b.block.First, p)
			w.member, w.decoder = nil, nil
			w.out.Fields(w.seen.add)
			w.out = columnar.Out{Want: w.out.Want, WantFields: w.out.WantFields, WantEvents: w.out.WantEvents, Sink: w.out.Sink} // what it holds is of the broken block
		}
	}()
	if w.member != b.member {
		w.member, w.decoder = b.member, nil
		if w.decoder, err = b.member.Format.New(b.member.Options); err != nil {
			w.member = nil
			return err
		}
	}
	t := w.tallies[b.member]
	if t == nil {
		t = &tally{}
		w.tallies[b.member] = t
	}
	w.out.Feed, w.out.Object = b.member.feed, b.member.Name
	w.out.Origin, w.out.Lacks = b.member.Format.Origin(), b.member.Format.Lacks
	err = b.block.Decode(w.decoder, &w.out, &t.Tally)
	w.out.Flush()
	return err
}

func (w *worker) count(b *columnar.Batch) {
	at := &w.tallies[w.member].tables[b.Table.ID]
	if *at == nil {
		*at = &tableTally{}
	}
	t := *at
	times := b.Int64(columnar.Time)
	for _, us := range times {
		if us < w.o.From || us >= w.o.To {
			t.outside++
		}
	}
	low, high := slices.Min(times), slices.Max(times)
	if t.rows == 0 {
		t.first, t.last = low, high
	}
	t.first, t.last = min(t.first, low), max(t.last, high)
	t.rows += int64(len(times))
	if b.Known(columnar.EventUID) > 0 && w.o.tap == nil {
		t.repeated += w.member.events.mark(b)
	}
	for _, c := range b.Table.Cols {
		t.known[c] += int64(b.Known(c))
	}
	w.countNobody(b, &t.unattributed)
	// Calls of a cloud API need not name a place: most are the company's own use of it.
	switch {
	case b.Known(columnar.BytesOut) == 0:
	case b.Table == columnar.HTTP && w.lacking(b, columnar.URLHost):
		w.countLacking(b, &t.unplaced, 1, [3][]bool{}, columnar.URLHost)
	case b.Table == columnar.Network && w.lacking(b, columnar.DstIP, columnar.DstHost):
		w.countLacking(b, &t.unplaced, 1, [3][]bool{}, columnar.DstIP, columnar.DstHost)
	}
}

// countNobody adds the rows within the bounds that are nobody's.
func (w *worker) countNobody(b *columnar.Batch, v *reports.Volume) {
	entity := [...]columnar.Col{columnar.User, columnar.Host, columnar.SrcIP}
	if b.Known(columnar.SrcIP) == b.Len() {
		return
	}
	var nobody [len(entity)][]bool
	for i := range w.nobody {
		if w.o.want.Cols.Has(entity[i]) {
			_, dict := b.Codes(entity[i])
			nobody[i] = w.nobody[i].Of(dict)
		}
	}
	if w.blank || w.lacking(b, entity[:]...) {
		w.countLacking(b, v, 0, nobody, entity[:]...)
	}
}

// lacking reports whether some row may have no value in any of the columns, all of
// which are read.
func (w *worker) lacking(b *columnar.Batch, columns ...columnar.Col) bool {
	for _, c := range columns {
		if b.Known(c) == b.Len() || !w.o.want.Cols.Has(c) {
			return false
		}
	}
	return true
}

// countLacking adds the rows within the bounds that have no value in any of the
// columns, which are Dictionary columns, and sent at least so many bytes. Where none
// has codes of a column, those are its values that count as none.
func (w *worker) countLacking(b *columnar.Batch, v *reports.Volume, least int64, none [3][]bool, columns ...columnar.Col) {
	out, in := b.Int64(columnar.BytesOut), b.Int64(columnar.BytesIn)
	var codes [3][]int32
	for i, c := range columns {
		codes[i], _ = b.Codes(c)
	}
rows:
	for i, us := range b.Int64(columnar.Time) {
		for k, c := range codes[:len(columns)] {
			if code := c[i]; code != 0 && (none[k] == nil || !none[k][code]) { // 0 is ""
				continue rows
			}
		}
		repeated := b.Repeat != nil && b.Repeat[i>>3]>>(i&7)&1 != 0
		if us >= w.o.From && us < w.o.To && out[i] >= least && !repeated {
			v.Add(reports.Volume{Rows: 1, BytesOut: out[i], BytesIn: in[i]})
		}
	}
}

// account brings the workers' counts together.
func account(workers []*worker, members []*member, o *foldOptions) *folded {
	out := &folded{options: &o.FoldOptions, workers: workers, objects: map[string]*objectTally{}}
	for _, m := range members {
		var t tally
		for _, w := range workers {
			if u := w.tallies[m]; u != nil {
				t.add(u)
			}
		}
		inputs := m.inputs(&t)
		out.inputs = append(out.inputs, inputs...)
		o := out.objects[m.source.object.Name]
		if o == nil {
			o = &objectTally{whole: true}
			out.objects[m.source.object.Name] = o
		}
		if o.add(m, &t); o.rows == 0 {
			o.inputs = append(o.inputs, inputs...)
		} else {
			o.inputs = nil
		}
	}
	for _, w := range workers {
		w.tallies = nil
	}
	slices.SortFunc(out.inputs, func(a, b reports.Input) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Feed, b.Feed), cmp.Compare(a.Table, b.Table))
	})
	return out
}

// add adds what was read of a member.
func (o *objectTally) add(m *member, t *tally) {
	switch status, _ := m.status(t); status {
	case reports.Unreadable, reports.Damaged:
		o.whole = false
	}
	o.skipped += t.Skipped
	for _, tt := range t.tables {
		if tt == nil {
			continue
		}
		first, last := detect.DayOf(tt.first), detect.DayOf(tt.last)
		if o.rows == 0 {
			o.first, o.last = first, last
		}
		o.first, o.last = min(o.first, first), max(o.last, last)
		o.rows += tt.rows
	}
}

func (t *tally) add(u *tally) {
	t.Tally.Add(&u.Tally)
	for i, b := range u.tables {
		a := t.tables[i]
		if a == nil || b == nil {
			t.tables[i] = cmp.Or(a, b)
			continue
		}
		a.first, a.last = min(a.first, b.first), max(a.last, b.last)
		a.rows += b.rows
		a.outside += b.outside
		a.repeated += b.repeated
		a.unattributed.Add(b.unattributed)
		a.unplaced.Add(b.unplaced)
		for c := range a.known {
			a.known[c] += b.known[c]
		}
	}
}

// status says how far a member was understood, and why it was not.
func (m *member) status(t *tally) (s reports.Status, err error) {
	err = m.Err
	if failed := m.failed.Load(); failed != nil {
		err = *failed
	}
	var noLog logs.NotLog
	switch {
	case errors.As(err, &noLog):
		return reports.NoLog, err
	case errors.Is(err, logs.ErrEmpty):
		return reports.Empty, err
	case errors.Is(err, logs.ErrUnknown):
		return reports.Unknown, err
	case err != nil && t.Records > 0:
		return reports.Damaged, err
	case err != nil:
		return reports.Unreadable, err
	case t.Skipped > 0 && t.Skipped >= t.Records-t.Skipped:
		return reports.Malformed, nil
	case t.Other > 0 && t.Rows == 0 && len(t.Kinds) == 0:
		return reports.Unnamed, nil
	}
	return reports.Read, nil
}

// kinds returns the kinds of other records of a member, most first; those for which
// there was no room are "other".
func kinds(t *logs.Tally) []reports.Kind {
	var out []reports.Kind
	for _, k := range t.Kinds {
		out = append(out, reports.Kind(k))
	}
	slices.SortStableFunc(out, func(a, b reports.Kind) int { return cmp.Compare(b.Count, a.Count) })
	if t.Unlisted > 0 {
		out = append(out, reports.Kind{Name: "other", Count: t.Unlisted})
	}
	return out
}

// inputs returns a member's lines of inputs.csv: one for each table it has rows
// of, by name, the first with all that is not of a table.
func (m *member) inputs(t *tally) []reports.Input {
	first := reports.Input{Name: m.Name, Feed: m.feed, Size: m.Size, Records: t.Records, Other: t.Other, Skipped: t.Skipped, Masked: t.Masked, Kinds: kinds(&t.Tally)}
	if m.Format != nil {
		first.Format = m.Format.Name
	}
	var err error
	if m.failed.Load() != nil && t.Records == 0 {
		first.Size = 0 // how much was read until a decoder refused it is chance
	}
	if first.Status, err = m.status(t); err != nil {
		first.Error = strings.TrimPrefix(err.Error(), m.Name+": ")
		var noLog logs.NotLog
		if errors.As(err, &noLog) {
			first.NoLog = string(noLog)
		}
	}
	if k := m.content; k != nil && k.of != nil {
		of, _ := k.root()
		first.CopyOf = of.member.Name
		first.Reasons = append(first.Reasons, k.what())
	} else if k != nil && k.holds != nil {
		first.Reasons = append(first.Reasons, "begins with all of "+k.holds.member.Name+", which counts too")
	}
	for _, reasons := range [][]logs.Reason{t.Reasons, t.Cleared} {
		slices.SortFunc(reasons, func(a, b logs.Reason) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.First, b.First), cmp.Compare(a.Text, b.Text))
		})
		for _, r := range reasons[:min(len(reasons), maxReasons)] {
			first.Reasons = append(first.Reasons, r.String())
		}
	}
	if m.events.cut {
		first.Reasons = append(first.Reasons, fmt.Sprintf("copies of events are looked for in the first %d records only", maxEvents))
	}
	var out []reports.Input
	for i, tt := range t.tables {
		if tt == nil {
			continue
		}
		in := reports.Input{Name: m.Name, Feed: m.feed, Format: first.Format, Size: m.Size, Table: columnar.Tables[i].Name, Status: first.Status}
		in.Unattributed, in.Unplaced = tt.unattributed, tt.unplaced
		in.Rows, in.Outside, in.Repeated, in.First, in.Last = tt.rows, tt.outside, tt.repeated, tt.first, tt.last
		in.Known = map[columnar.Col]int64{}
		for _, c := range columnar.Tables[i].Cols {
			in.Known[c] = tt.known[c]
		}
		out = append(out, in)
	}
	if len(out) == 0 {
		return []reports.Input{first}
	}
	slices.SortFunc(out, func(a, b reports.Input) int { return cmp.Compare(a.Table, b.Table) })
	out[0].Records, out[0].Other, out[0].Skipped, out[0].Masked = first.Records, first.Other, first.Skipped, first.Masked
	out[0].Reasons, out[0].Error, out[0].Kinds = first.Reasons, first.Error, first.Kinds
	return out
}

// maxReasons is how many reasons for skipped records an input names, and how many for
// cells that were left empty. More would
// make the report unreadable; one alone can hide the one that matters.
const maxReasons = 3
