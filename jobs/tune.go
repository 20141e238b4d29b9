package jobs

import (
	"cmp"
	"encoding/base32"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"outflow/columnar/logs"
	"outflow/columnar/store"
	"outflow/stats/detect"
)

// This file replays the nights of the state under other thresholds, with and without
// injected exfiltration. What is injected is folded from logs that are made here, and
// added to copies of rows: neither the state nor a report ever has it.

const (
	// tuneNights is how many nights are replayed if none are named. Each is judged once
	// with and once without injections for every value.
	tuneNights = 30
	// leastPast is how many days of history a night needs for a detection that reads
	// history: with fewer, upload_zscore has another rule.
	leastPast = 7
	// leastNights is how many nights a suggestion needs: a week has all its weekdays.
	leastNights = 7
	// The default budget: what a large company, and what a small one, can look at.
	budgetPeople = 20.0 / 10_000 // findings a night and entity
	leastBudget  = 5.0
	// Of each night's entities at most 1/injectedShare get an injection, and drawnMost for
	// each kind: if 30 % of its peers rise, upload_zscore takes a rise for a crowd's.
	injectedShare = 5
	drawnMost     = 20
)

// An injection is a kind of exfiltration.
type injection struct {
	name    string
	victims string // the aggregate whose entities of the night it may happen to
	table   string // of the header of its log
	days    int    // how many days it lasts; recall is that of the last
	// log writes a day of it, with src_ip as the client.
	log func(w io.Writer, day detect.Day, src string, r *rand.Rand)
}

// injections are the kinds of exfiltration that outflow tune injects.
var injections = []injection{
	{"+50MB", "user_day", "http", 1, sends(50e6)},
	{"+200MB", "user_day", "http", 1, sends(200e6)},
	{"+1GB", "user_day", "http", 1, sends(1e9)},
	{"+5GB", "user_day", "http", 1, sends(5e9)},
	{"drip", "user_day", "http", 14, sends(100e6)},
	{"dns 1/min", "dns_pair", "dns", 1, tunnels(60, 60, 40)},
	{"dns 10/min", "dns_pair", "dns", 1, tunnels(600, 6, 60)},
	{"dns 5/s", "dns_pair", "dns", 1, tunnels(3000, 0.2, 120)},
	{"bulk 1GB", "object_day", "api", 1, reads(500, 2e6)},
}

var injectedHeader = map[string]string{
	"http": "time,src_ip,method,url_host,bytes_out,bytes_in\n",
	"dns":  "time,src_ip,query,query_type\n",
	"api":  "time,src_ip,service,operation,resource,bytes_out,bytes_in\n",
}

// at formats a time some seconds after nine o'clock, when people are at work.
func at(day detect.Day, seconds float64) string {
	return stamp(day.Time().UnixMicro() + int64((9*3600+seconds)*1e6))
}

// sends returns a log of ten uploads, of size bytes together, to somebody's bucket.
func sends(size int64) func(io.Writer, detect.Day, string, *rand.Rand) {
	return func(w io.Writer, day detect.Day, src string, _ *rand.Rand) {
		for i := range 10 {
			fmt.Fprintf(w, "%s,%s,PUT,outflow-tune.s3.amazonaws.com,%d,2000\n", at(day, float64(i)*300), src, size/10)
		}
	}
}

// tunnels returns a log of queries, one every so many seconds, for names with that many
// bytes of base32 before the domain.
func tunnels(queries int, every float64, bytes int) func(io.Writer, detect.Day, string, *rand.Rand) {
	const label = 60 // bytes; DNS allows 63
	return func(w io.Writer, day detect.Day, src string, r *rand.Rand) {
		data := make([]byte, (bytes*5+7)/8)
		for i := range queries {
			for j := range data {
				data[j] = byte(r.Uint32())
			}
			text := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(data))[:bytes]
			var labels []string
			for part := range slices.Chunk([]byte(text), label) {
				labels = append(labels, string(part))
			}
			fmt.Fprintf(w, "%s,%s,%s.outflow-tune.example,TXT\n", at(day, float64(i)*every), src, strings.Join(labels, "."))
		}
	}
}

// reads returns a log of downloads of different objects of a size from a bucket.
func reads(objects, size int) func(io.Writer, detect.Day, string, *rand.Rand) {
	return func(w io.Writer, day detect.Day, src string, _ *rand.Rand) {
		for i := range objects {
			fmt.Fprintf(w, "%s,%s,s3.amazonaws.com,GetObject,outflow-tune/%d,0,%d\n", at(day, float64(i)*5), src, i, size)
		}
	}
}

// A trial is a detection with one option at a value, and what it found.
type trial struct {
	*detect.Detection
	option  string
	value   string // as the configuration writes it
	current bool
	group   *detectionGroup
	flagged map[flag]bool // as history.flagged

	nights, findings int
	outcomes         []outcome // by victim
}

// An outcome is what became of an injection.
type outcome byte

const (
	unseen outcome = iota // the detection reads nothing of it, or finds the victim without it
	missed
	found
)

// tuning are the options of outflow tune.
type tuning struct {
	from, to   string
	detections []string
	budget     float64 // findings a night; 0: the default
	seed       uint64
	file       string
}

func (p *program) tuneCommand() *cobra.Command {
	var o tuning
	c := &cobra.Command{
		Use:   "tune",
		Short: "try other thresholds on the nights of the state, with injected exfiltration",
		Long: "tune judges the nights of the state again, for several values of one threshold at a time, as they are and with\n" +
			"exfiltration added to a few entities drawn by chance: uploads to a bucket that nobody used; a drip of 100 MB a day for 14\n" +
			"days, judged on the last as if nobody had noticed the others; DNS tunnels of 60 queries in an hour, 600 in an hour and\n" +
			"3,000 in ten minutes; and bulk downloads if the state counts downloads. It prints how many findings a night each value\n" +
			"gives as the nights are, and which share of each kind it finds (-: the detection reads nothing of it), and then, for the\n" +
			"configuration, the values that find most within the budget. Findings that a report joins count apart. tune reads no logs\n" +
			"and writes neither the state nor reports.",
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&o.from, "from", "", "first `day` to judge (default: the last 30 nights of the state)")
	f.StringVar(&o.to, "to", "", "last `day` to judge")
	f.StringSliceVar(&o.detections, "detection", nil, "tune this detection; may be repeated (default: all)")
	f.Float64Var(&o.budget, "budget", 0, "`findings` a night of all tuned detections together (default: 20 for 10,000 entities, at least 5)")
	f.Uint64Var(&o.seed, "seed", 1, "`number` that draws the entities: the same number gives the same output")
	f.StringVar(&o.file, "write", "", "write the configuration to this `file`, which must not exist, and not to stdout")
	c.MarkFlagsRequiredTogether("from", "to")
	c.RegisterFlagCompletionFunc("detection", cobra.FixedCompletions(detectionNames(detect.All()), cobra.ShellCompDirectiveNoFileComp))
	load := p.withConfig(c)
	c.RunE = func(*cobra.Command, []string) error {
		config, err := load()
		if err != nil {
			return err
		}
		if config.seed() {
			return badConfig("profile seed: the original rules have no thresholds to tune")
		}
		if !(o.budget >= 0) {
			return badConfig("--budget %v: want a number of findings, not negative", o.budget)
		}
		return p.tune(config, &o)
	}
	return c
}

func (p *program) tune(config *Config, o *tuning) error {
	trials, err := trialsOf(config, o.detections)
	if err != nil {
		return err
	}
	s, err := p.openStored(config)
	if err != nil {
		return err
	}
	nights, err := s.nights(trials, o)
	if err != nil {
		return err
	}
	p.collect(judgingGarbage)
	h, err := s.history(p.ctx, nights)
	defer h.close()
	if err != nil {
		return err
	}
	t := &replay{p: p, config: config, state: s, h: h, seed: o.seed}
	if err := t.prepare(trials, nights); err != nil {
		return err
	}
	p.note("judging %s for %s", counted(len(nights), "night"), counted(len(trials), "value"))
	told := p.now()
	for i, night := range nights {
		if err := p.ctx.Err(); err != nil {
			return err
		}
		if now := p.now(); now.Sub(told) >= quietInterval {
			p.note("judged %d of %s", i, counted(len(nights), "night"))
			told = now
		}
		if err := t.judge(night); err != nil {
			return err
		}
	}
	budget := o.budget
	if budget == 0 {
		budget = max(leastBudget, math.Round(budgetPeople*float64(t.people)))
	}
	now, best, ok := t.suggest(budget)
	if err := t.table(nights, now, best); err != nil {
		return err
	}
	heading := fmt.Sprintf("outflow tune, %s, seed %d, budget %s a night", spanOf(nights), o.seed, strconv.FormatFloat(budget, 'g', -1, 64))
	text := snippet(heading, now, best, ok)
	if o.file == "" {
		_, err := io.WriteString(p.stdout, text)
		return err
	}
	return writeNew(o.file, text)
}

// trialsOf returns the values to try of the detections with these names, of all if there
// are none.
func trialsOf(config *Config, names []string) ([]*trial, error) {
	for _, name := range names {
		d := config.detection(name)
		if d == nil {
			return nil, badConfig("--detection %q: want one of %s", name, strings.Join(detectionNames(config.detections), ", "))
		}
		if !slices.ContainsFunc(detect.Options(d), func(o detect.Option) bool { return len(o.Tune) > 0 }) {
			return nil, badConfig("--detection %s: it has no threshold to tune", name)
		}
	}
	var out []*trial
	for _, d := range config.detections {
		if len(names) > 0 && !slices.Contains(names, d.Name) {
			continue
		}
		for i, option := range detect.Options(d) {
			if len(option.Tune) == 0 {
				continue
			}
			values := map[float64]*trial{}
			for _, text := range append(option.Tune, option.Value) {
				e, err := detect.With(d, option.Key, text)
				if err != nil {
					return nil, err
				}
				now := detect.Options(e)[i].Value
				value, err := strconv.ParseFloat(now, 64)
				if err != nil {
					return nil, fmt.Errorf("%s.%s: %w", d.Name, option.Key, err)
				}
				values[value] = &trial{Detection: e, option: option.Key, value: written(option.Unit, now), current: now == option.Value}
			}
			for _, value := range slices.Sorted(maps.Keys(values)) {
				out = append(out, values[value])
			}
		}
	}
	return out, nil
}

// written returns the value of an option as a person would write it: 200 MB.
func written(unit, value string) string {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || !strings.HasPrefix(unit, "B/") {
		return value
	}
	for _, u := range []struct {
		name string
		size int64
	}{{" GB", 1e9}, {" MB", 1e6}, {" kB", 1e3}} {
		if n >= u.size && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return value
}

// nights returns the days to judge: those of the state between from and to, or its last.
func (s *state) nights(trials []*trial, o *tuning) ([]detect.Day, error) {
	first, last := detect.Day(math.MinInt32), detect.Day(math.MaxInt32)
	if o.from != "" {
		days, err := dayRange(o.from, o.to, 0)
		if err != nil {
			return nil, err
		}
		first, last = days[0], days[len(days)-1]
	}
	var aggregates []*detect.Aggregate
	for _, x := range trials {
		aggregates = append(aggregates, x.Aggregate)
	}
	there := map[detect.Day]bool{}
	some := false
	for _, a := range slices.Compact(aggregates) {
		all, err := s.aggregate(a).List(s.p.ctx)
		if err != nil {
			return nil, err
		}
		for _, text := range all {
			if day, err := detect.ParseDay(text); err == nil {
				some = true
				if first <= day && day <= last {
					there[day] = true
				}
			}
		}
	}
	switch {
	case !some:
		return nil, badConfig("the state %s has no days: fold some with outflow backfill --from DAY --to DAY, or let the nightly job run for %s",
			s.config.State, counted(leastPast+leastNights, "night"))
	case len(there) == 0:
		return nil, badConfig("the state %s has no days from %s to %s: fold them with outflow backfill --from %[2]s --to %[3]s", s.config.State, first, last)
	}
	nights := slices.Sorted(maps.Keys(there))
	if o.from == "" {
		nights = nights[max(0, len(nights)-tuneNights):]
	}
	return nights, nil
}

// A replay judges nights.
type replay struct {
	p      *program
	config *Config
	state  *state
	h      *history
	seed   uint64

	trials  []*trial
	groups  []*detectionGroup
	victims []victim                             // of all nights
	kinds   []int                                // the injections to make
	rows    map[*detect.Aggregate][][]detect.Row // by injection, of all nights
	people  int                                  // the most entities of a night
}

// prepare groups the trials by what they read, and folds what to inject.
func (t *replay) prepare(trials []*trial, nights []detect.Day) error {
	t.trials = trials
	tuned := *t.config
	tuned.detections = nil
	for _, x := range trials {
		if d := t.config.detection(x.Name); !slices.Contains(tuned.detections, d) {
			tuned.detections = append(tuned.detections, d)
		}
	}
	t.groups = t.h.detectionGroups(&tuned, nights[0], nights[len(nights)-1])
	var aggregates []*detect.Aggregate
	for _, g := range t.groups {
		if !slices.Contains(aggregates, g.detections[0].Aggregate) {
			aggregates = append(aggregates, g.detections[0].Aggregate)
		}
		for _, x := range trials {
			if slices.Contains(g.detections, t.config.detection(x.Name)) {
				x.group, x.flagged = g, maps.Clone(t.h.flagged[x.Name])
				if x.flagged == nil {
					x.flagged = map[flag]bool{}
				}
			}
		}
	}
	if !slices.ContainsFunc(nights, func(night detect.Day) bool {
		return slices.ContainsFunc(t.groups, func(g *detectionGroup) bool { return t.enough(g, night) })
	}) {
		return badConfig("the history in %s is too short: none of the nights %s has %d days before it that this version can use; fold more with outflow backfill --from DAY --to DAY",
			t.config.State, spanOf(nights), leastPast)
	}
	if err := holdAll(t.groups, int64(t.config.Memory)/tableShare); err != nil {
		return err
	}
	return t.fold(aggregates, nights)
}

// fold folds the logs of the injections on the nights and the days before them that the
// longest lasts.
func (t *replay) fold(aggregates []*detect.Aggregate, nights []detect.Day) error {
	var sources []source
	for k, in := range injections {
		if !slices.ContainsFunc(t.state.aggregates, func(a *detect.Aggregate) bool { return a.Name == in.victims }) {
			continue
		}
		days := map[detect.Day]bool{}
		for _, night := range nights {
			for i := range in.days {
				days[night-detect.Day(i)] = true
			}
		}
		for _, day := range slices.Sorted(maps.Keys(days)) {
			sources = append(sources, source{feed: "tune", object: logs.Object{Name: fmt.Sprintf("tune/%d/%s", k, day),
				Open: func() (io.ReadCloser, error) {
					var b strings.Builder
					b.WriteString(injectedHeader[in.table])
					in.log(&b, day, injectedClient(k), rand.New(rand.NewPCG(t.seed, uint64(day)<<8|uint64(k))))
					return io.NopCloser(strings.NewReader(b.String())), nil
				}}})
		}
	}
	result, err := Fold(t.p.ctx, sources, &foldOptions{aggregates: aggregates, FoldOptions: t.state.options, workers: t.config.Workers, memory: int64(t.config.Memory)})
	if err != nil {
		return err
	}
	defer result.Close() // it was only read
	t.rows = map[*detect.Aggregate][][]detect.Row{}
	some := make([]bool, len(injections))
	for _, a := range aggregates {
		t.rows[a] = make([][]detect.Row, len(injections))
		for r, err := range result.Rows(a) {
			if err != nil {
				return err
			}
			for k := range injections {
				if r.Entity == injectedClient(k) {
					t.rows[a][k] = append(t.rows[a][k], *r)
					some[k] = true
				}
			}
		}
	}
	for k := range injections {
		if some[k] {
			t.kinds = append(t.kinds, k)
		}
	}
	return nil
}

// injectedClient returns the address under which an injection is folded, before its rows
// get a victim.
func injectedClient(k int) string { return fmt.Sprintf("192.0.2.%d", k+1) }

// A victim is an entity that gets an injection on a night.
type victim struct {
	detect.Key
	kind int
}

// draw returns the victims of a night.
func (t *replay) draw(night detect.Day) ([]victim, error) {
	var out []victim
	for _, a := range t.state.aggregates {
		var kinds []int
		for _, k := range t.kinds {
			if injections[k].victims == a.Name {
				kinds = append(kinds, k)
			}
		}
		if len(kinds) == 0 {
			continue
		}
		r := rand.New(rand.NewPCG(t.seed, uint64(night)))
		var drawn []detect.Key // each entity as probable as the others
		var last detect.Key
		seen := 0
		for row, err := range t.h.rows(a, []detect.Day{night}) {
			if err != nil {
				return nil, err
			}
			key := row.Key
			key.Object = ""
			if key == last || a == detect.UserDay && row.KnownOut == 0 { // no bytes are known in that log
				continue
			}
			last = key
			seen++
			if most := drawnMost * len(kinds); len(drawn) < most {
				drawn = append(drawn, key)
			} else if at := r.IntN(seen); at < most {
				drawn[at] = key
			}
		}
		if a == detect.UserDay {
			t.people = max(t.people, seen)
		}
		r.Shuffle(len(drawn), func(i, j int) { drawn[i], drawn[j] = drawn[j], drawn[i] })
		n := min(len(drawn), len(kinds)*max(1, min(drawnMost, seen/injectedShare/len(kinds))))
		for i, key := range drawn[:n] {
			// If there are fewer entities than kinds, the kinds take turns.
			out = append(out, victim{key, kinds[(i+int(night))%len(kinds)]})
		}
	}
	return out, nil
}

// inject returns the series to add to those of an aggregate, by key, and whose they are.
// The destinations of each victim are its own: what many use is not unusual.
func (t *replay) inject(g *detectionGroup, night detect.Day, victims []victim) (added [][]detect.Row, whose map[detect.Key]int) {
	whose = map[detect.Key]int{}
	of := map[detect.Key][]detect.Row{}
	feeds := map[string]bool{} // that log what the aggregate reads
	for _, p := range t.h.partitions(g, night) {
		for _, feed := range p.feeds {
			feeds[feed] = true
		}
	}
	for i, v := range victims {
		if !feeds[v.Feed] {
			continue
		}
		first := max(g.first(night), night-detect.Day(injections[v.kind].days-1))
		for _, r := range t.rows[g.detections[0].Aggregate][v.kind] {
			if r.Day < first || r.Day > night {
				continue
			}
			key := v.Key
			if r.Object != "" {
				key.Object = fmt.Sprintf("%d-%s", i, r.Object)
			}
			r.Key = key
			of[key] = append(of[key], r)
			whose[key] = i
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(of), detect.Key.Compare) {
		added = append(added, of[key])
	}
	return added, whose
}

// injected yields the series with those of added, which is in the order of its keys.
// Rows of the same key and day become one.
func injected(rows seriesByKey, added [][]detect.Row) seriesByKey {
	return func(yield func(detect.Key, []detect.Row) bool) {
		rest := added
		for key, series := range rows {
			for ; len(rest) > 0 && rest[0][0].Key.Compare(key) < 0; rest = rest[1:] {
				if !yield(rest[0][0].Key, rest[0]) {
					return
				}
			}
			if len(rest) > 0 && rest[0][0].Key == key {
				series, rest = withRows(series, rest[0]), rest[1:]
			}
			if !yield(key, series) {
				return
			}
		}
		for _, series := range rest {
			if !yield(series[0].Key, series) {
				return
			}
		}
	}
}

// withRows merges two series of a key.
func withRows(a, b []detect.Row) []detect.Row {
	out := slices.Concat(a, b)
	slices.SortStableFunc(out, func(x, y detect.Row) int { return cmp.Compare(x.Day, y.Day) })
	n := 0
	for i := range out {
		if n > 0 && out[n-1].Day == out[i].Day {
			out[n-1].Summary = out[n-1].Summary.Merge(out[i].Summary)
			continue
		}
		out[n] = out[i]
		n++
	}
	return out[:n]
}

// enough reports whether a group can judge a night: it has rows of it, and of enough days
// before it.
func (t *replay) enough(g *detectionGroup, night detect.Day) bool {
	a := g.detections[0].Aggregate
	return len(t.h.between(a, night, night)) > 0 &&
		(g.detections[0].History == 0 || len(t.h.between(a, g.first(night), night-1)) >= leastPast)
}

// judge judges a night with each trial, as it is and with injections.
func (t *replay) judge(night detect.Day) error {
	victims, err := t.draw(night)
	if err != nil {
		return err
	}
	plain, hits := make([][]detect.Finding, len(t.trials)), make([][]detect.Finding, len(t.trials))
	whose := make([]map[detect.Key]int, len(t.groups))
	if err := together(t.config.Workers, len(t.groups), func(at int) error {
		g := t.groups[at]
		if !t.enough(g, night) {
			return nil
		}
		added, of := t.inject(g, night, victims)
		whose[at] = of
		partitions := t.h.partitions(g, night)
		var consumers []consumer
		for i, x := range t.trials {
			if x.group != g {
				continue
			}
			judge := func(rows seriesByKey) []detect.Finding {
				in := t.h.input(t.config, x.Detection, partitions, night)
				in.Flagged = func(k detect.Key, day detect.Day) bool { return x.flagged[flag{k, day}] }
				in.Series = rows
				return detect.Judge(x.Detection, in)
			}
			consumers = append(consumers,
				func(rows seriesByKey) { plain[i] = judge(rows) },
				func(rows seriesByKey) {
					hits[i] = slices.DeleteFunc(judge(injected(rows, added)), func(f detect.Finding) bool {
						_, ok := of[f.Key]
						return !ok
					})
				})
		}
		return g.consume(partitions, night, consumers)
	}); err != nil {
		return err
	}
	lists := slices.Concat(plain, hits)
	all := slices.Concat(lists...)
	if err := detect.Attribute(all, t.config.identities, t.h.rows(detect.AddressUser, []detect.Day{night})); err != nil {
		return err
	}
	allow(t.config.Allow, all)
	for i, list := range lists {
		lists[i], all = all[:len(list)], all[len(list):]
	}
	t.victims = append(t.victims, victims...)
	for i, x := range t.trials {
		outcomes := make([]outcome, len(victims))
		if of := whose[slices.Index(t.groups, x.group)]; of != nil {
			for _, at := range of {
				outcomes[at] = missed
			}
			for _, f := range lists[len(t.trials)+i] {
				if f.Allowed == "" {
					outcomes[of[f.Key]] = found
				}
			}
			for _, f := range x.count(night, lists[i]) {
				if at, ok := of[f.key]; ok {
					outcomes[at] = unseen // it is found without the injection
				}
			}
		}
		x.outcomes = append(x.outcomes, outcomes...)
	}
	return nil
}

// count counts the findings of a night without injections, and returns what it flagged.
func (x *trial) count(night detect.Day, findings []detect.Finding) (flagged []flag) {
	x.nights++
	keys := store.ColumnsOf[detect.Key]()
	for i := range findings {
		if f := &findings[i]; f.Allowed == "" {
			keys.Detach(&f.Key) // as in history.judge
			x.flagged[flag{f.Key, night}] = true
			x.findings++
			flagged = append(flagged, flag{f.Key, night})
		}
	}
	return flagged
}

// A plan is a value for each detection. One option of each is changed at most: nothing was
// measured of two together. Detections do not depend on one another.
type plan []*trial

// rate returns the findings a night.
func (p plan) rate() (sum float64) {
	for _, x := range p {
		sum += float64(x.findings) / float64(max(1, x.nights))
	}
	return sum
}

// recall returns which share of the injections of each kind any of the detections finds,
// NaN where there is none that they see, and the mean.
func (t *replay) recall(p plan) (kinds []float64, mean float64) {
	hit, all := make([]int, len(injections)), make([]int, len(injections))
	for i, v := range t.victims {
		best := unseen
		for _, x := range p {
			best = max(best, x.outcomes[i])
		}
		if best != unseen {
			all[v.kind]++
		}
		if best == found {
			hit[v.kind]++
		}
	}
	n := 0.0
	for k := range injections {
		kinds = append(kinds, float64(hit[k])/float64(all[k]))
		if all[k] > 0 {
			mean, n = mean+kinds[k], n+1
		}
	}
	return kinds, mean / max(1, n)
}

// leastGain is how much more of the injections a change must find: less is chance.
const leastGain = 0.02

// suggest returns the current values, and those to suggest: from the current ones it makes
// one change after another. While there are more findings than budget, the change that
// loses the least recall for each finding fewer; then the one that finds most within the
// budget. ok is false if no change leads into the budget.
func (t *replay) suggest(budget float64) (now, best plan, ok bool) {
	at := map[string]int{}
	for _, x := range t.trials {
		if _, known := at[x.Name]; x.current && !known && x.nights >= leastNights {
			at[x.Name] = len(now)
			now = append(now, x)
		}
	}
	best = now
	for {
		rate, next := best.rate(), plan(nil)
		_, recall := t.recall(best)
		most := leastGain
		if rate > budget {
			most = math.Inf(-1)
		}
		for _, x := range t.trials {
			i, known := at[x.Name]
			if !known {
				continue
			}
			p := slices.Clone(best)
			p[i] = x
			_, gain := t.recall(p)
			gain -= recall
			fewer := rate - p.rate()
			switch {
			case rate > budget && fewer > 0:
				gain /= fewer
			case rate > budget || rate-fewer > budget:
				continue
			}
			if gain > most || gain == most && next != nil && p.rate() < next.rate() {
				next, most = p, gain
			}
		}
		if next == nil {
			return now, best, rate <= budget
		}
		best = next
	}
}

// table prints what each value finds, and those of both plans together.
func (t *replay) table(nights []detect.Day, now, best plan) error {
	c := &catalogue{columns: []string{"detection", "option", "value", "", "nights", "findings/night"}}
	for _, k := range t.kinds {
		c.columns = append(c.columns, injections[k].name)
	}
	line := func(p plan, cells ...string) {
		cells = append(cells, fmt.Sprintf("%.2f", p.rate()))
		recall, _ := t.recall(p)
		for _, k := range t.kinds {
			cell := "-"
			if !math.IsNaN(recall[k]) {
				cell = fmt.Sprintf("%.2f", recall[k])
			}
			cells = append(cells, cell)
		}
		c.rows = append(c.rows, cells)
	}
	few := map[string]bool{}
	for _, x := range t.trials {
		mark := ""
		switch {
		case x.current:
			mark = "current"
		case slices.Contains(best, x):
			mark = "suggested"
		}
		line(plan{x}, x.Name, x.option, x.value, mark, strconv.Itoa(x.nights))
		if x.nights < leastNights {
			few[x.Name] = true
		}
	}
	if len(now) > 0 {
		line(now, "together", "", "", "current", "")
	}
	if !slices.Equal(now, best) {
		line(best, "together", "", "", "suggested", "")
	}
	if err := c.text(t.p.stdout, t.p.width); err != nil {
		return err
	}
	var counts []string
	for _, k := range t.kinds {
		n := 0
		for _, v := range t.victims {
			if v.kind == k {
				n++
			}
		}
		counts = append(counts, fmt.Sprintf("%s %d", injections[k].name, n))
	}
	fmt.Fprintf(t.p.stdout, "\nNights %s, seed %d. Injected: %s.\n", spanOf(nights), t.seed, strings.Join(counts, ", "))
	if len(few) > 0 {
		fmt.Fprintf(t.p.stdout, "Nothing is suggested for %s: the state has fewer than %s that can be judged, for detections with a history those with %d days before them. "+
			"Judge earlier days with outflow run nightly --from DAY --to DAY while their logs exist, or wait.\n",
			strings.Join(slices.Sorted(maps.Keys(few)), ", "), counted(leastNights, "night"), leastPast)
	}
	_, err := fmt.Fprintln(t.p.stdout)
	return err
}

// snippet returns the configuration of the best plan; ok says that it is in the budget.
func snippet(heading string, now, best plan, ok bool) string {
	var changes strings.Builder
	for _, x := range best {
		if !x.current {
			fmt.Fprintf(&changes, "  %s: {%s: %s}\n", x.Name, x.option, x.value)
		}
	}
	said := fmt.Sprintf("%.2f findings a night, and %.2f with the values of now.\ndetections:\n%s", best.rate(), now.rate(), &changes)
	switch {
	case len(now) == 0:
		said = "There were too few nights to suggest a value.\n"
	case !ok:
		said = fmt.Sprintf("No value that was tried leads into the budget: the fewest are %.2f findings a night.\n", best.rate())
	case changes.Len() == 0:
		said = fmt.Sprintf("No other value is better: %.2f findings a night.\n", now.rate())
	}
	return "# " + heading + "\n# " + said
}
