package jobs

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"outflow/columnar"
	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats"
	"outflow/stats/detect"
)

// A history is the data of the days up to and including the judged ones.
type history struct {
	// tables has the partitions of each aggregate, by ascending day.
	tables map[*detect.Aggregate][]*partition
	// found has the findings of the judged days, and untold those of these days that the
	// report leaves out.
	found  []detect.Finding
	untold map[detect.Day]bool
	// earlier has the findings of days before the judged ones, and earlierDays the days
	// for which the state has findings or says that there were none.
	earlier     []detect.Finding
	earlierDays []detect.Day
	// flagged has, by detection, the findings so far that were not allowed.
	flagged map[string]flags
	// baselines has the baselines of upload_zscore: a record for each row of user_day
	// on the judged days, in the order of the rows. Empty if upload_zscore does not
	// run.
	baselines *store.Spool
	trace     *trace
	// beacons are the pairs that talk by the clock on the judged days, by day, the worst
	// first.
	beacons []detect.Beacon
	mu      sync.Mutex // guards closers
	closers []io.Closer
	// unread are the aggregates that the state lacks for a judged day, although it has others.
	unread map[*detect.Aggregate]bool
	seen   fieldSet // see folded
	window [2]int64 // see detect.Input
}

type flag struct {
	key detect.Key
	day detect.Day
}

// flags are the days of flags by key.
type flags map[detect.Key][]detect.Day

// add adds a flag. Clones do not get it.
func (f flags) add(k detect.Key, day detect.Day) {
	if !slices.Contains(f[k], day) {
		f[k] = append(slices.Clip(f[k]), day)
	}
}

// has returns a function that reports whether there is a flag. It is asked for the days of
// one key after another, and not by several goroutines at once.
func (f flags) has() func(k detect.Key, day detect.Day) bool {
	var last detect.Key
	days := f[last]
	return func(k detect.Key, day detect.Day) bool {
		if k != last {
			last, days = k, f[k]
		}
		return slices.Contains(days, day)
	}
}

// flag records a finding, or those that it was joined from.
func (h *history) flag(f *detect.Finding) {
	parts := f.Parts
	if len(parts) == 0 {
		parts = []detect.Part{{Detection: f.Detection, Key: f.Key}}
	}
	for _, p := range parts {
		if h.flagged[p.Detection] == nil {
			h.flagged[p.Detection] = flags{}
		}
		h.flagged[p.Detection].add(p.Key, f.Day)
	}
}

func newHistory() *history {
	h := &history{tables: map[*detect.Aggregate][]*partition{}, flagged: map[string]flags{}, unread: map[*detect.Aggregate]bool{}, baselines: store.NewSpool(spoolBytes)}
	h.closers = append(h.closers, h.baselines)
	return h
}

// close closes everything that was opened for reading. The rows of the report must not
// be used afterwards.
func (h *history) close() {
	if h == nil {
		return
	}
	for _, c := range h.closers {
		c.Close() // errors do not matter: the files were only read, or are thrown away
	}
}

// between returns the partitions of an aggregate for the days first … last.
func (h *history) between(aggregate *detect.Aggregate, first, last detect.Day) []*partition {
	partitions := h.tables[aggregate]
	from, _ := slices.BinarySearchFunc(partitions, first, func(p *partition, d detect.Day) int { return cmp.Compare(p.day, d) })
	to, _ := slices.BinarySearchFunc(partitions, last+1, func(p *partition, d detect.Day) int { return cmp.Compare(p.day, d) })
	return partitions[from:to]
}

// days returns the days for which there is anything, ascending: rows of a table, or
// the first or last row of a log, which need not be in any table.
func (h *history) days(inputs []reports.Input) []detect.Day {
	days := map[detect.Day]bool{}
	for _, in := range inputs {
		if in.Rows > 0 {
			days[detect.DayOf(in.First)], days[detect.DayOf(in.Last)] = true, true
		}
	}
	for _, partitions := range h.tables {
		for _, p := range partitions {
			days[p.day] = true
		}
	}
	return slices.Sorted(maps.Keys(days))
}

// rows yields the rows of an aggregate on days, which must ascend.
func (h *history) rows(a *detect.Aggregate, days []detect.Day) iter.Seq2[*detect.Row, error] {
	var partitions []*partition
	for _, day := range days {
		partitions = append(partitions, h.between(a, day, day)...)
	}
	return rowsOf(partitions)
}

// A detectionGroup is the detections that read the rows of one aggregate.
type detectionGroup struct {
	detections []*detect.Detection
	history    detect.Day   // days before the judged one, the most that any of them reads
	partitions []*partition // for all judged days
	held       *heldRows    // the rows of the partitions, if several days are judged and they fit
	sorts      bool         // several days are judged, and the rows do not fit
	room       int64        // for sorted, in bytes
	sorted     *sortedRows  // the rows for some of the judged days; nil: of none yet
	whole      bool         // the last day judges the rows of all days, as profile seed has it
}

// judges reports whether there is anything to judge on a day: rows of it.
func (r *detectionGroup) judges(day detect.Day) bool {
	return r.whole || slices.ContainsFunc(r.partitions, func(p *partition) bool { return p.day == day })
}

// detectionGroups returns the groups of detections that judge the days first … last.
func (h *history) detectionGroups(c *Config, first, last detect.Day) []*detectionGroup {
	var all []*detectionGroup
	for _, d := range c.detections {
		i := slices.IndexFunc(all, func(r *detectionGroup) bool { return r.detections[0].Aggregate == d.Aggregate })
		if i < 0 {
			i = len(all)
			all = append(all, &detectionGroup{whole: c.seed()})
		}
		all[i].detections = append(all[i].detections, d)
		all[i].history = max(all[i].history, detect.Day(d.History))
	}
	for _, r := range all {
		r.partitions = h.between(r.detections[0].Aggregate, r.first(first), last)
	}
	return all
}

// judge runs the detections on each day in turn. A day with a finding does not train
// the baseline of the next days. Detections do not depend on one another, so groups
// that read different rows run in parallel. The allow-list comes after the persons,
// whom its entries name, and before joining, so that what is allowed adds no risk.
func (h *history) judge(c *Config, days []detect.Day) ([]detect.Finding, error) {
	if len(days) == 0 {
		return nil, nil
	}
	judged := days
	if c.seed() {
		judged = days[len(days)-1:] // profile seed judges the whole log at once
	}
	groups := h.detectionGroups(c, judged[0], judged[len(judged)-1])
	var again []*detectionGroup // a single day reads its history at most twice
	for _, r := range groups {
		days := 0
		for _, day := range judged {
			if r.judges(day) {
				days++
			}
		}
		if days > 1 {
			again = append(again, r)
		}
	}
	if err := h.holdAll(again, int64(c.Memory)/tableShare); err != nil { // the memory that the tables of the folds had
		return nil, err
	}
	w := bufio.NewWriter(h.baselines)
	keys, summaries := store.ColumnsOf[detect.Key](), store.ColumnsOf[detect.Summary]()
	var all []detect.Finding
	for _, day := range judged {
		found := make([][]detect.Finding, len(groups))
		order := h.longestFirst(groups, day)
		if err := together(c.Workers, len(order), func(n int) (err error) {
			i := order[n]
			defer h.trace.task("score " + groups[i].detections[0].Aggregate.Name)()
			found[i], err = h.judgeDay(c, groups[i], day, w)
			return err
		}); err != nil {
			return nil, err
		}
		findings := slices.Concat(found...)
		if !c.seed() { // profile seed knows no persons
			if err := detect.Attribute(findings, c.identities, h.rows(detect.AddressUser, []detect.Day{day})); err != nil {
				return nil, err
			}
			if err := detect.Locate(findings, h.rows(detect.UserDestinationDay, []detect.Day{day})); err != nil {
				return nil, err
			}
		}
		allow(c.Allow, findings)
		findings = detect.RaiseBeacons(c.detections, findings)
		for i := range findings {
			f := &findings[i]
			if f.Detection == "sigma_rule" { // its sentence and its examples quote the log
				f.Why = reports.Masked(f.Why)
				f.Summary.Examples = slices.Clone(f.Summary.Examples) // held rows share them
				for i, text := range f.Summary.Examples {
					f.Summary.Examples[i] = reports.Masked(text)
				}
			}
			// The strings of a row keep all rows in memory that were read with it.
			keys.Detach(&f.Key)
			summaries.Detach(&f.Summary)
			if f.Allowed == "" {
				h.flag(f)
			}
		}
		all = append(all, findings...)
	}
	if d := c.detection("upload_zscore"); d != nil && c.seed() {
		for _, day := range days {
			partitions := h.between(d.Aggregate, day-detect.Day(d.History), day)
			in := h.input(c, d, partitions, day)
			in.Baseline = keepBaseline(w)
			if err := sideBySide(func(store.Needed[detect.Row]) rowBlocks { return merged(partitions) }, []consumer{func(series seriesFor) {
				in.Series = series.of(d, day)(detect.Pass{})
				detect.UploadBaselines(d, in)
			}}); err != nil {
				return nil, err
			}
		}
	}
	return detect.Join(all), w.Flush()
}

// longestFirst returns the indexes of the groups that have something to judge on a day, those
// that read the most rows first, so that no long one is alone at the end.
func (h *history) longestFirst(groups []*detectionGroup, day detect.Day) (order []int) {
	rows := make([]int64, len(groups))
	for i, r := range groups {
		if !r.judges(day) {
			continue
		}
		order = append(order, i)
		for _, p := range h.partitions(r, day) {
			rows[i] += p.count
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(rows[j], rows[i]) })
	return order
}

// holdAll holds the rows of the groups for which there is room, in bytes. The others will be
// sorted; most of their columns are not read.
func (h *history) holdAll(groups []*detectionGroup, room int64) (err error) {
	sorts := 0
	for _, r := range groups {
		if r.past() == nil {
			if r.held, err = hold(r.partitions, room); err != nil {
				return err
			}
			room -= r.held.size()
		}
		if r.sorts = r.held == nil && r.history > 0; r.sorts {
			h.closers = append(h.closers, r)
			sorts++
		}
	}
	for _, r := range groups {
		r.room = room / int64(max(1, sorts))
	}
	return nil
}

// sort makes sure that r.sorted has the rows to judge a day by. It sorts those for as many
// days as are judged by rows of the day: each is then read at most twice as often as needed.
func (r *detectionGroup) sort(day detect.Day) error {
	if r.sorted != nil && r.sorted.from <= day && day <= r.sorted.to {
		return nil
	}
	r.Close()
	r.sorted = newSortedRows(r.past(), r.room)
	r.sorted.from, r.sorted.to = day, day+r.history
	return r.sorted.add(slices.DeleteFunc(slices.Clone(r.partitions), func(p *partition) bool { return p.day < r.first(day) || p.day > day+r.history }))
}

// Close frees what sort has made.
func (r *detectionGroup) Close() (err error) {
	if r.sorted != nil {
		err = r.sorted.scratch.Close()
		r.sorted = nil
	}
	return err
}

// past returns the columns that the detections of the group read of days before the judged
// one; nil means all.
func (r *detectionGroup) past() []string {
	if a := r.detections[0].Aggregate; !r.whole && a.Past != nil {
		return append(store.ColumnsOf[detect.Key]().Names(), a.Past...)
	}
	return nil
}

// judgeDay runs the detections of a group on a day.
func (h *history) judgeDay(c *Config, r *detectionGroup, day detect.Day, baselines io.Writer) ([]detect.Finding, error) {
	partitions := h.partitions(r, day)
	found := make([][]detect.Finding, len(r.detections))
	var consumers []consumer
	for i, d := range r.detections {
		in := h.input(c, d, partitions, day)
		if shortOn(d, in, partitions) {
			continue
		}
		if !c.seed() {
			in.Baseline = keepBaseline(baselines)
		}
		in.Beacons = func(b *detect.Beacon) { h.beacons = append(h.beacons, *b) }
		consumers = append(consumers, func(series seriesFor) {
			in.Over = series.of(d, day)
			in.Series = in.Over(detect.Pass{})
			found[i] = detect.Judge(d, in)
		})
	}
	if len(consumers) == 0 {
		return nil, nil
	}
	err := r.consume(partitions, day, consumers)
	return slices.Concat(found...), err
}

// shortOn reports whether all feeds of the judged day, the last of partitions, have too few days of
// history for a detection to find anything.
func shortOn(d *detect.Detection, in *detect.Input, partitions []*partition) bool {
	if d.Short == nil {
		return false
	}
	judged := partitions[len(partitions)-1]
	return judged.day == in.Day && !slices.ContainsFunc(judged.feeds, func(feed string) bool { return d.Short(in.Covered(feed), in.Day) == "" })
}

// partitions returns what a group reads to judge a day.
func (h *history) partitions(r *detectionGroup, day detect.Day) []*partition {
	return h.between(r.detections[0].Aggregate, r.first(day), day)
}

// first returns the first day of the history of a judged day.
func (r *detectionGroup) first(day detect.Day) detect.Day {
	return day - r.history
}

// consume runs consumers of the rows for a judged day, which partitions have.
func (r *detectionGroup) consume(partitions []*partition, day detect.Day, consumers []consumer) error {
	switch {
	case r.held != nil:
		for _, consume := range consumers {
			consume(r.held.series)
		}
		return nil
	case r.sorts:
		if err := r.sort(day); err != nil {
			return err
		}
		return sideBySide(r.sorted.on(partitions[len(partitions)-1]), consumers)
	}
	return sideBySide(func(needed store.Needed[detect.Row]) rowBlocks {
		past := r.past()
		if past == nil {
			return merged(partitions)
		}
		if needed.NoLists {
			past = slices.DeleteFunc(past, store.ColumnsOf[detect.Row]().IsList)
		}
		read := slices.Clone(partitions)
		for i, p := range read {
			if p.day < day && p.part != nil {
				read[i] = &partition{day: p.day, rows: p.part(past)}
			}
		}
		return merged(read)
	}, consumers)
}

// input returns the input of a detection on a day, without the rows.
func (h *history) input(c *Config, d *detect.Detection, partitions []*partition, day detect.Day) *detect.Input {
	covered := map[string][]detect.Day{}
	for _, p := range partitions {
		if day-detect.Day(d.History) <= p.day && p.day < day {
			feeds := p.feeds
			if d.Aggregate.JudgedOnly { // a day without a match is quiet, not missing
				feeds = p.read
			}
			for _, feed := range feeds {
				covered[feed] = append(covered[feed], p.day)
			}
		}
	}
	return &detect.Input{
		Day: day, Window: h.window, Own: c.own, Group: c.group, Rules: c.rules.set,
		Covered: func(feed string) []detect.Day { return covered[feed] },
		Flagged: h.flagged[d.Name].has(),
	}
}

// keepBaseline returns a function that writes a baseline as a record of four numbers.
// A write error shows when w is flushed.
func keepBaseline(w io.Writer) func(detect.UploadBaseline) {
	var record []byte
	return func(b detect.UploadBaseline) {
		record = binary.LittleEndian.AppendUint64(record[:0], uint64(b.Days))
		for _, v := range [...]float64{b.Median, b.Upper, b.Z} {
			record = binary.LittleEndian.AppendUint64(record, math.Float64bits(v))
		}
		w.Write(record)
	}
}

func readBaseline(r io.Reader) (b detect.UploadBaseline, err error) {
	var record [4 * 8]byte
	if _, err := io.ReadFull(r, record[:]); err != nil {
		return b, fmt.Errorf("read the baselines of the run: %w", err)
	}
	b.Days = int(binary.LittleEndian.Uint64(record[:]))
	for i, v := range [...]*float64{&b.Median, &b.Upper, &b.Z} {
		*v = math.Float64frombits(binary.LittleEndian.Uint64(record[8+8*i:]))
	}
	return b, nil
}

// ownName returns a value of own as destinations are compared with it, or the network that
// it is. One that no destination can match is an error: uploads there would stay findings.
func ownName(text string) (string, netip.Prefix, error) {
	if network, err := netip.ParsePrefix(strings.TrimSpace(text)); err == nil {
		return network.Masked().String(), network.Masked(), nil
	}
	name := string(columnar.AppendAddress(nil, []byte(strings.TrimSpace(text))))
	if _, err := netip.ParseAddr(name); err == nil {
		return name, netip.Prefix{}, nil
	}
	name = strings.Trim(strings.TrimPrefix(name, "*."), ".")
	if name == "" || strings.ContainsAny(name, "*?:/\\@ ") {
		return "", netip.Prefix{}, fmt.Errorf("%q matches no destination: want a host, domain, address, network or bucket, as in backup.corp.example or 203.0.113.0/24", text)
	}
	return name, netip.Prefix{}, nil
}

// own reports whether a host is the company's own: it, a domain above it or its network is
// listed, or its first label is listed as a bucket or tenant.
func (c *Config) own(host string) bool {
	bucket, _, _ := strings.Cut(host, ".")
	for _, name := range c.Own {
		if below(host, name) || name == bucket && !strings.Contains(name, ".") {
			return true
		}
	}
	if len(c.networks) == 0 {
		return false
	}
	address, err := netip.ParseAddr(host)
	return err == nil && slices.ContainsFunc(c.networks, func(n netip.Prefix) bool { return n.Contains(address) })
}

// userDays yields the user_day rows of the judged days with their baselines, but those of
// h.untold.
func (h *history) userDays(days []detect.Day) iter.Seq2[*reports.UserDay, error] {
	return func(yield func(*reports.UserDay, error) bool) {
		baselines := bufio.NewReader(h.baselines.Reader())
		for row, err := range h.rows(detect.UserDay, days) {
			u := reports.UserDay{Row: row, Ratio: math.NaN()}
			b := detect.UploadBaseline{Median: math.NaN(), Upper: math.NaN(), Z: math.NaN()}
			if err == nil && h.baselines.Size() > 0 {
				b, err = readBaseline(baselines)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			u.BaselineDays, u.BaselineMedian, u.BaselineUpper, u.Z = b.Days, math.Round(b.Median), math.Round(b.Upper), b.Z
			if row.KnownOut > 0 && row.KnownIn > 0 {
				u.Ratio = stats.Ratio(row.BytesOut, row.BytesIn)
			}
			if !h.untold[row.Day] && !yield(&u, nil) {
				return
			}
		}
	}
}

// storage yields the user_destination_day rows whose object is cloud storage or file
// sharing and not the company's own. For profile seed it yields the rows that the
// original rule searches for, own or not.
func (h *history) storage(c *Config, days []detect.Day) iter.Seq2[*detect.Row, error] {
	is := func(host string) bool {
		if c.seed() {
			return detect.SeedHost(host)
		}
		service, _ := detect.CloudHost([]byte(host))
		return (service.Kind == "storage" || service.Kind == "sharing" || service.Kind == "anonymous") && !c.own(host)
	}
	return func(yield func(*detect.Row, error) bool) {
		for row, err := range h.rows(detect.UserDestinationDay, days) {
			if (err != nil || is(row.Object)) && !yield(row, err) {
				return
			}
		}
	}
}

// daysBefore returns how many days of history there are before the first judged day.
func (h *history) daysBefore(days []detect.Day) int {
	if len(days) == 0 {
		return 0
	}
	before := map[detect.Day]bool{}
	for _, partitions := range h.tables {
		for _, p := range partitions {
			if p.day < days[0] && len(p.feeds) > 0 {
				before[p.day] = true
			}
		}
	}
	return min(len(before), 30)
}
