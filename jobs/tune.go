package jobs

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// This file replays the nights of the state under other thresholds, with and without
// injected exfiltration, which injection.go makes.

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
)

// A trial is a detection with one option at a value, and what it found.
type trial struct {
	*detect.Detection
	option  string
	value   string // as the configuration writes it
	current bool
	group   *detectionGroup
	flagged flags // as history.flagged

	nights, findings int
	outcomes         []outcome // by victim
}

// An outcome is what became of an injection.
type outcome int8

const (
	foundBefore outcome = iota - 1 // the victim is found without the injection, as soon as with it
	unmeasured                     // the detection reads nothing of it
	missed
	found // on any of its nights
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
		Short: "try other thresholds on past nights, with injected exfiltration",
		Long: "tune judges the nights of the state again, for several values of one threshold at a time, as they are and with\n" +
			"exfiltration added to a few entities drawn by chance: uploads to a bucket that nobody used; a drip of 100 MB a day for 14\n" +
			"days, which counts if any of its nights finds it; DNS tunnels of 60 queries in an hour, 600 in an hour and\n" +
			"3,000 in ten minutes; 50 MB to a host of no known service; and, if the state has what shows them, bulk downloads from a new place of the service that they\n" +
			"use, and beacons of a minute and of a quarter of an hour. It prints how many findings a night each value gives as the\n" +
			"nights are, and which share of each kind it finds (-: the detection reads nothing of it), and then, for the\n" +
			"configuration, the values that find most within the budget. Findings that a report joins count apart. tune reads no logs\n" +
			"and writes neither the state nor reports.",
		Example: "  outflow tune --config outflow.yaml\n  outflow tune --config outflow.yaml --detection upload_zscore --write suggested.yaml",
		Args:    cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&o.from, "from", "", "first `day` to judge (default: the last 30 nights of the state)")
	f.StringVar(&o.to, "to", "", "last `day` to judge")
	f.StringSliceVar(&o.detections, "detection", nil, "tune this detection; may be repeated (default: all)")
	f.Float64Var(&o.budget, "budget", 0, "`findings` a night of all tuned detections together (default: 20 for 10,000 entities, at least 5)")
	f.Uint64Var(&o.seed, "seed", 1, "`number` that draws the entities: the same number gives the same output")
	f.StringVar(&o.file, "write", "", "write the configuration to this `file`, which must not exist, and not to stdout")
	checkPeriod(c)
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
	var earlier, nights []detect.Day
	h, done, err := snapshot(s, "tune", func(ctx context.Context) (*history, error) {
		var err error
		if earlier, nights, err = s.nights(ctx, trials, o); err != nil {
			return nil, err
		}
		return s.history(ctx, slices.Concat(earlier, nights))
	})
	defer done()
	defer h.close()
	if err != nil {
		return err
	}
	t := &replay{p: p, config: config, state: s, h: h, seed: o.seed}
	all := slices.Concat(earlier, nights)
	if err := t.prepare(trials, all, nights); err != nil {
		return err
	}
	p.note("judging %s for %s", counted(len(all), "night"), counted(len(trials), "value"))
	told := p.now()
	for i, night := range all {
		if err := p.ctx.Err(); err != nil {
			return err
		}
		if now := p.now(); now.Sub(told) >= quietInterval {
			p.note("judged %d of %s", i, counted(len(all), "night"))
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
	marked := best
	if !ok {
		marked = now
	}
	if err := t.table(nights, now, marked); err != nil {
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
// earlier are the days before them on which an injection may begin that ends on one of them.
func (s *state) nights(ctx context.Context, trials []*trial, o *tuning) (earlier, nights []detect.Day, err error) {
	first, last := detect.Day(math.MinInt32), detect.Day(math.MaxInt32-1)
	if o.from != "" {
		days, err := dayRange(o.from, o.to, 0)
		if err != nil {
			return nil, nil, err
		}
		first, last = days[0], days[len(days)-1]
	}
	var aggregates []*detect.Aggregate
	for _, x := range trials {
		aggregates = append(aggregates, x.Aggregate)
	}
	there := map[detect.Day]bool{}
	for _, a := range slices.Compact(aggregates) {
		all, err := s.aggregate(a).List(ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, text := range all {
			if day, err := detect.ParseDay(text); err == nil {
				there[day] = true
			}
		}
	}
	all := slices.Sorted(maps.Keys(there))
	from, _ := slices.BinarySearch(all, first)
	to, _ := slices.BinarySearch(all, last+1)
	switch {
	case len(all) == 0:
		return nil, nil, badConfig("the state %s has no days: fold some with outflow backfill --from DAY --to DAY, or let the nightly job run for %s",
			s.config.State, counted(leastPast+leastNights, "night"))
	case from == to:
		return nil, nil, badConfig("the state %s has no days from %s to %s: fold them with %s", s.config.State, first, last, s.p.here(fmt.Sprintf("backfill --from %s --to %s", first, last)))
	}
	if o.from == "" {
		from = max(from, to-tuneNights)
	}
	begin, _ := slices.BinarySearch(all, all[to-1]-before())
	return all[min(begin, from):from], all[from:to], nil
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
	first   detect.Day // the first night that counts: those before are judged for injections only
	last    detect.Day
	victims []victim                             // of all nights
	kinds   []int                                // the injections to make
	rows    map[*detect.Aggregate][][]detect.Row // by injection, of all nights
	people  int                                  // the most entities of a night
}

// prepare groups the trials by what they read, and folds what to inject. nights are those of
// all that count.
func (t *replay) prepare(trials []*trial, all, nights []detect.Day) error {
	t.trials, t.first, t.last = trials, nights[0], nights[len(nights)-1]
	tuned := *t.config
	tuned.detections = nil
	for _, x := range trials {
		if d := t.config.detection(x.Name); !slices.Contains(tuned.detections, d) {
			tuned.detections = append(tuned.detections, d)
		}
	}
	t.groups = t.h.detectionGroups(&tuned, all[0], t.last)
	var aggregates []*detect.Aggregate
	for _, g := range t.groups {
		if !slices.Contains(aggregates, g.detections[0].Aggregate) {
			aggregates = append(aggregates, g.detections[0].Aggregate)
		}
		for _, x := range trials {
			if slices.Contains(g.detections, t.config.detection(x.Name)) {
				x.group, x.flagged = g, maps.Clone(t.h.flagged[x.Name])
				if x.flagged == nil {
					x.flagged = flags{}
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
	if err := t.h.holdAll(t.groups, int64(t.config.Memory)/tableShare); err != nil {
		return err
	}
	return t.fold(aggregates, all)
}

// enough reports whether a group can judge a night: it has rows of it, and of enough days
// before it.
func (t *replay) enough(g *detectionGroup, night detect.Day) bool {
	a := g.detections[0].Aggregate
	of := t.h.between(a, night, night)
	return len(of) > 0 && of[0].count > 0 &&
		(g.history == 0 || len(t.h.between(a, g.first(night), night-1)) >= leastPast)
}

// short reports whether the days before a night are too few for a trial to find anything.
func (t *replay) short(x *trial, night detect.Day) bool {
	partitions := t.h.partitions(x.group, night)
	return shortOn(x.Detection, t.h.input(t.config, x.Detection, partitions, night), partitions)
}

// judge judges a night with each trial, as it is and with injections.
func (t *replay) judge(night detect.Day) error {
	drawn, err := t.draw(night)
	if err != nil {
		return err
	}
	t.victims = append(t.victims, drawn...)
	plain, hits := make([][]detect.Finding, len(t.trials)), make([][]detect.Finding, len(t.trials))
	whose := make([]map[detect.Key]int, len(t.groups))
	if err := together(t.config.Workers, len(t.groups), func(at int) error {
		g := t.groups[at]
		if !t.enough(g, night) {
			return nil
		}
		added, of := t.inject(g, night)
		whose[at] = of
		partitions := t.h.partitions(g, night)
		var consumers []consumer
		for i, x := range t.trials {
			if x.group != g || t.short(x, night) {
				continue
			}
			judge := func(rows seriesByKey) []detect.Finding {
				in := t.h.input(t.config, x.Detection, partitions, night)
				in.Flagged = x.flagged.has()
				in.Series = rows
				return detect.RaiseBeacons([]*detect.Detection{x.Detection}, detect.Judge(x.Detection, in))
			}
			consumers = append(consumers,
				func(series seriesFor) { plain[i] = judge(series.of(x.Detection, night)(detect.Pass{})) },
				func(series seriesFor) {
					hits[i] = slices.DeleteFunc(judge(withInjected(series.of(x.Detection, night)(detect.Pass{}), added)), func(f detect.Finding) bool {
						_, ok := of[act(x.Aggregate, f.Key)]
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
	for i, x := range t.trials {
		x.outcomes = append(x.outcomes, make([]outcome, len(drawn))...)
		of := whose[slices.Index(t.groups, x.group)]
		if of == nil || t.short(x, night) {
			continue
		}
		better := func(key detect.Key, o outcome) {
			if at, ok := of[act(x.Aggregate, key)]; ok && x.outcomes[at] != foundBefore {
				x.outcomes[at] = max(x.outcomes[at], o)
			}
		}
		for _, f := range x.count(night, lists[i], night >= t.first) {
			if at, ok := of[act(x.Aggregate, f.key)]; ok && x.outcomes[at] != found {
				x.outcomes[at] = foundBefore
			}
		}
		for key := range of {
			better(key, missed)
		}
		for _, f := range lists[len(t.trials)+i] {
			if f.Allowed == "" {
				better(f.Key, found)
			}
		}
	}
	return nil
}

// count flags the findings of a night without injections, and returns what it flagged.
// They enter the rate if the night counts.
func (x *trial) count(night detect.Day, findings []detect.Finding, counts bool) (flagged []flag) {
	if counts {
		x.nights++
	}
	keys := store.ColumnsOf[detect.Key]()
	for i := range findings {
		if f := &findings[i]; f.Allowed == "" {
			keys.Detach(&f.Key) // as in history.judge
			x.flagged.add(f.Key, night)
			if counts {
				x.findings++
			}
			flagged = append(flagged, flag{f.Key, night})
		}
	}
	return flagged
}

// A choice is a value for each detection. One option of each is changed at most: nothing was
// measured of two together. Detections do not depend on one another.
type choice []*trial

// rate returns the findings a night.
func (p choice) rate() (sum float64) {
	for _, x := range p {
		sum += float64(x.findings) / float64(max(1, x.nights))
	}
	return sum
}

// recall returns the share of the injections of each kind that the detections find, NaN for a
// kind that they cannot see, and the mean.
func (t *replay) recall(p choice) (kinds []float64, mean float64) {
	hit, all := make([]int, len(injections)), make([]int, len(injections))
	for i, v := range t.victims {
		best := unmeasured
		for _, x := range p {
			best = max(best, x.outcomes[i])
		}
		if best != unmeasured {
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
func (t *replay) suggest(budget float64) (now, best choice, ok bool) {
	at := map[string]int{}
	for _, x := range t.trials {
		if _, known := at[x.Name]; x.current && !known && x.nights >= leastNights {
			at[x.Name] = len(now)
			now = append(now, x)
		}
	}
	best = now
	for {
		rate, next := best.rate(), choice(nil)
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
func (t *replay) table(nights []detect.Day, now, best choice) error {
	c := &catalogue{columns: []string{"detection", "option", "value", "", "nights", "findings/night"}}
	for _, k := range t.kinds {
		c.columns = append(c.columns, injections[k].name)
	}
	line := func(p choice, cells ...string) {
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
		if x.nights < leastNights {
			few[x.Name] = true
		}
		if x.nights == 0 {
			continue
		}
		line(choice{x}, x.Name, x.option, x.value, mark, strconv.Itoa(x.nights))
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

// snippet returns the configuration of the best choice; ok says that it is in the budget.
func snippet(heading string, now, best choice, ok bool) string {
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
