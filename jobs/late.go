package jobs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"

	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// This file finds logs that came after the night of their day, as far back as the history
// goes, and has their days folded and judged again.
//
// A log is late if the listing has it and no partition was folded from it, or from another
// version of it. It is read once, to learn which days it has events of, and whether it is a
// copy of a log that counts. These days are then folded again, each from all of its logs in
// one pass. So copies, events with ids and records of connections count as if no log had
// been late.

// lookBack reads the late logs that lie beside those of days which the folds of the night
// did not list.
func (s *state) lookBack(ctx context.Context, n *night) error {
	sources, err := s.lateSources(ctx, n)
	if err != nil || len(sources) == 0 {
		return err
	}
	return s.look(ctx, n, sources)
}

// lateSources lists what lookBack reads.
func (s *state) lateSources(ctx context.Context, n *night) ([]source, error) {
	others, _, err := s.readOthers(ctx)
	if err != nil {
		return nil, err
	}
	looked := map[string]string{} // ETag by name
	for i := range others {
		switch o := &others[i]; {
		case o.Owed:
			s.owed[o.Name] = o.ETag
		case !o.Late || o.Night != n.name(): // a night that runs again says the same
			looked[o.Name] = o.ETag
		}
	}
	var daily, tables []*Input
	for _, in := range s.config.Inputs {
		switch {
		case in.daily():
			daily = append(daily, in)
		case s.listsByDay(in):
			tables = append(tables, in)
		}
	}
	first := n.days[0]
	from, to := first-detect.Day(s.config.horizon()), first-2
	late := map[string]source{}
	some := false
	for day := from; day <= to; day++ {
		has, err := s.has(ctx, day)
		if err != nil {
			return nil, err
		}
		if !has {
			continue // history that is missing is looked for anyway
		}
		some = true
		if err := s.unread(ctx, n, daily, day, day, looked, late); err != nil {
			return nil, err
		}
	}
	if some {
		if err := s.unread(ctx, n, tables, from, to, looked, late); err != nil {
			return nil, err
		}
	}
	if err := s.owedSources(first, late); err != nil {
		return nil, err
	}
	var sources []source
	for _, name := range slices.Sorted(maps.Keys(late)) {
		sources = append(sources, late[name])
	}
	return sources, nil
}

// listsByDay reports whether the listing of an input depends on the days of the run.
func (s *state) listsByDay(in *Input) bool {
	return strings.Contains(in.URI, "{") || s.tables[in.Name]
}

// has reports whether the state has a day that is not to be folded anew, or whether the day
// was judged.
func (s *state) has(ctx context.Context, day detect.Day) (bool, error) {
	all, err := s.stored(ctx, day)
	if err != nil {
		return false, err
	}
	if _, ok := s.inputsOf(all); ok {
		return true, nil
	}
	return s.wasJudged(ctx, day)
}

// wasJudged reports whether a night has judged a day.
func (s *state) wasJudged(ctx context.Context, day detect.Day) (bool, error) {
	_, err := s.findings().Done(ctx, day.String())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if _, damaged := errors.AsType[*store.DamagedError](err); damaged {
		return true, nil
	}
	return err == nil, err
}

// unread adds to late the objects of inputs for the days from … to that no partition was
// folded from and no run has looked at.
func (s *state) unread(ctx context.Context, n *night, inputs []*Input, from, to detect.Day, looked map[string]string, late map[string]source) error {
	if len(inputs) == 0 {
		return nil
	}
	all, err := s.p.sourcesOf(s.config, inputs, from, to)
	if err != nil {
		return err
	}
	found := map[string]*source{}
	for i := range all {
		src := &all[i]
		name := src.object.Name
		if looked[name] != src.etag && s.read[name].etag != src.etag {
			found[name] = src
		}
	}
	forget := func(in *store.InputRef) {
		if src := found[in.Name]; src != nil && src.etag == in.ETag && s.owed[in.Name] != in.ETag {
			delete(found, in.Name)
		}
	}
	// Nearly all are known to the days around.
	if err := s.recorded(ctx, from-1, to+1, nil, forget); err != nil || len(found) == 0 {
		return err
	}
	first, last := s.reach(n.days)
	if err := s.recorded(ctx, first, last, nil, forget); err != nil {
		return err
	}
	for name, src := range found {
		late[name] = *src
	}
	return nil
}

// look reads sources only to learn their days, and whether they are copies.
func (s *state) look(ctx context.Context, n *night, sources []source) error {
	o := s.options
	o.From, o.To = 0, 0 // all rows are outside, until a fold finds where they belong
	result, err := s.p.fold(ctx, "look at "+counted(len(sources), "late object"), sources,
		&foldOptions{aggregates: s.aggregates, look: true, FoldOptions: o, workers: s.config.Workers, memory: int64(s.config.Memory)})
	if err != nil {
		return err
	}
	defer result.Close()
	before, err := s.readBefore(ctx, n.days, nil, sources, sources, result)
	if err != nil {
		return err
	}
	s.account(result.inputs)
	s.remember(sources, result, before)
	for i := range sources {
		s.late[sources[i].object.Name] = true
	}
	return nil
}

// foldLate folds again the days before the night whose logs came late, and those for which
// that was so when the night was judged before: their logs, too, are inputs of the report.
// A day stays as it is if some of its logs are gone.
func (s *state) foldLate(ctx context.Context, n *night) error {
	first := n.days[0]
	var due []detect.Day
	for day := first - detect.Day(s.config.horizon()); day < first; day++ {
		late, err := s.hasLate(ctx, day)
		if err != nil {
			return err
		}
		if late && !slices.Contains(n.Late, day.String()) {
			due = append(due, day)
		}
	}
	now, later, err := s.afford(ctx, n, due)
	if err != nil {
		return err
	}
	again := append(slices.Clone(n.Late), texts(now, detect.Day.String)...)
	if slices.Sort(again); !slices.Equal(again, n.Late) {
		n.Late = again
		if err := s.putNight(ctx, n); err != nil {
			return err
		}
	}
	clear(s.incomplete)
	for days := range inARow(n.late(), s.config.chunk()) {
		gaps, err := s.gapsOf(ctx, days)
		if err != nil {
			return err
		}
		if err := s.fold(ctx, days, s.aggregates, gaps); err != nil {
			return err
		}
	}
	var judged, history, left []detect.Day
	for _, day := range n.late() {
		was, err := s.wasJudged(ctx, day)
		switch {
		case err != nil:
			return err
		case s.incomplete[day]:
			left = append(left, day)
		case was || day == first-1:
			judged = append(judged, day)
		default:
			history = append(history, day)
		}
	}
	s.warnLate(judged, "the day was folded and judged again", "the days were folded and judged again")
	s.warnLate(history, "the day, which no night had judged, was folded again for the baselines", "the days, which no night had judged, were folded again for the baselines")
	if len(left) > 0 {
		each := ""
		if len(left) > 1 {
			each = ", and so on for each of these days"
		}
		s.warnings = append(s.warnings, fmt.Sprintf("Logs of %s arrived late, but others of the same days no longer exist: what was folded of these days stays, and the late logs were not judged. "+
			"Restore the others, or judge the days by the logs that are left: outflow run nightly --day %s%s.", spans(left), left[0], each))
	}
	if len(later) > 0 {
		s.warnings = append(s.warnings, fmt.Sprintf("Logs of %s arrived late, too. One night reads at most %s again because of late logs (late_bytes): the next nights fold and judge these days, the newest first.",
			spans(later), reports.ByteSize(float64(s.lateBytes(n)))))
	}
	if _, err := s.leave(ctx, left); err != nil {
		return err
	}
	if s.owes, err = s.leave(ctx, later); err != nil {
		return err
	}
	if err := s.keepOthers(ctx, n); err != nil {
		return err
	}
	return s.tooLate(ctx, first)
}

// leave notes which late logs the days do not have, since the days stay as they are. Their
// inputs make the run incomplete, and so does every run until the days have them. It returns
// their names.
func (s *state) leave(ctx context.Context, days []detect.Day) (names []string, err error) {
	for _, day := range days {
		all, err := s.stored(ctx, day)
		if err != nil {
			return nil, err
		}
		has := map[string]string{} // ETag by name
		inputs, _ := s.inputsOf(all)
		for _, in := range inputs {
			has[in.Name] = in.ETag
		}
		for name, r := range s.read {
			if r.copyOf == "" && r.before == "" && r.meets(day, day) && has[name] != r.etag {
				s.left[name] = true
				names = append(names, name)
			}
		}
	}
	for i := range s.inputs {
		in := &s.inputs[i]
		name, _, _ := strings.Cut(in.Name, "!")
		if (s.left[in.Name] || s.left[name]) && !in.Status.Incomplete() {
			in.Status = reports.Left
		}
	}
	return names, nil
}

// warnLate says that logs of days, if there are any, arrived late, and what was done.
func (s *state) warnLate(days []detect.Day, one, several string) {
	if len(days) > 1 {
		one = several
	}
	if len(days) > 0 {
		s.warnings = append(s.warnings, fmt.Sprintf("Logs of %s arrived late: %s.", spans(days), one))
	}
}

// hasLate reports whether the run has read logs of a day before the night that came after
// the day was folded, or after it was judged without any log.
func (s *state) hasLate(ctx context.Context, day detect.Day) (bool, error) {
	if s.folded[day] {
		return false, nil
	}
	all, err := s.stored(ctx, day)
	if err != nil {
		return false, err
	}
	inputs, ok := s.inputsOf(all)
	if !ok {
		if judged, err := s.wasJudged(ctx, day); err != nil || !judged {
			return false, err
		}
		for _, r := range s.read {
			if r.copyOf == "" && r.before == "" && r.meets(day, day) {
				return true, nil
			}
		}
		return false, nil
	}
	listed := map[string]store.InputRef{}
	folded := map[store.Content]bool{}
	for _, in := range inputs {
		listed[in.Name] = in
		folded[in.Content] = true
	}
	there := map[store.Content]bool{}
	for _, r := range s.read {
		there[r.content] = true
	}
	delete(folded, store.Content{})
	delete(there, store.Content{})
	for name, r := range s.read {
		in, ok := listed[name]
		switch {
		case r.copyOf != "", // has nothing that its original does not have
			r.before != "" && (folded[r.content] || !ok),
			ok && there[in.Content] && !r.meets(day, day): // the object was renamed
		case !ok && r.meets(day, day), // new
			ok && in.ETag != r.etag,            // changed
			ok && r.whole && in.Rows != r.rows: // was not read to the end the last time
			return true, nil
		}
	}
	return false, nil
}

// lateInputs names the inputs of a partition that arrived after the day was first
// folded.
func lateInputs(before, now *store.Done) []string {
	first := map[string]bool{}
	late := map[string]bool{}
	for _, name := range before.Late {
		late[name] = true
	}
	for _, in := range before.Inputs {
		first[in.Name] = !late[in.Name]
	}
	for _, name := range before.Unread {
		first[name] = !late[name]
	}
	var out []string
	for _, in := range now.Inputs {
		if !first[in.Name] && in.CopyOf == "" {
			out = append(out, in.Name)
		}
	}
	return out
}

// tooLate warns of logs with events on days of the state that no history reaches.
func (s *state) tooLate(ctx context.Context, first detect.Day) error {
	from := first - detect.Day(s.config.horizon())
	objects, oldest, last := 0, first, detect.Day(0)
	for name, r := range s.read {
		if r.before != "" || r.copyOf != "" || !r.meets(math.MinInt32, from-1) || s.folded[r.first] {
			continue
		}
		all, err := s.stored(ctx, r.first)
		if err != nil {
			return err
		}
		inputs, ok := s.inputsOf(all)
		if !ok || slices.ContainsFunc(inputs, func(in store.InputRef) bool { return in.Name == name && in.ETag == r.etag }) {
			continue // it is not missing from the state
		}
		objects++
		oldest, last = min(oldest, r.first), max(last, min(r.last, from-1))
	}
	if objects > 0 {
		s.warnings = append(s.warnings, fmt.Sprintf("%s arrived later than the history goes back, with events from %s on: those before %s are in no baseline, and were not judged. Put the objects beside the logs of their day and run outflow backfill --from %s --to %s.",
			counted(objects, "object"), oldest, from, oldest, last))
	}
	return nil
}

// strays returns the sources with events on days that are not in all, the listing for the
// days: late logs, which lie beside those of other days.
func (s *state) strays(ctx context.Context, days []detect.Day, all []source) ([]source, error) {
	there := map[string]bool{}
	for i := range all {
		there[all[i].object.Name] = true
	}
	first, last := days[0], days[len(days)-1]
	var out []source
	for _, name := range slices.Sorted(maps.Keys(s.read)) {
		if r := s.read[name]; !there[name] && r.matters(first, last) {
			there[name] = true
			out = append(out, *r.source)
		}
	}
	missing := map[string]bool{}
	if err := s.recorded(ctx, first, last, nil, func(in *store.InputRef) {
		if !there[in.Name] && in.First != "" && in.First <= last.String() && in.Last >= first.String() {
			missing[in.Name] = true
		}
	}); err != nil || len(missing) == 0 {
		return out, err
	}
	newest, err := s.newest(ctx)
	if err != nil {
		return nil, err
	}
	inputs := slices.DeleteFunc(slices.Clone(s.config.Inputs), func(in *Input) bool { return !s.listsByDay(in) })
	for day := last + 2; day <= newest+1 && len(missing) > 0; day++ {
		beside, err := s.p.sourcesOf(s.config, inputs, day, day)
		if err != nil {
			return nil, err
		}
		for _, src := range beside {
			if missing[src.object.Name] {
				delete(missing, src.object.Name)
				out = append(out, src)
			}
		}
	}
	return out, nil
}

// newest returns the newest day of the state.
func (s *state) newest(ctx context.Context) (detect.Day, error) {
	newest := detect.Day(0)
	for _, a := range s.aggregates {
		all, err := s.aggregate(a).List(ctx)
		if err != nil {
			return 0, err
		}
		if len(all) > 0 {
			if day, err := detect.ParseDay(all[len(all)-1]); err == nil {
				newest = max(newest, day)
			}
		}
	}
	return newest, nil
}

// find returns the source of an object that a partition was folded from. It is nil if the
// object is not beside the logs of its days.
func (s *state) find(in *store.InputRef) (*source, error) {
	first, err1 := detect.ParseDay(in.First)
	last, err2 := detect.ParseDay(in.Last)
	i := slices.IndexFunc(s.config.Inputs, func(input *Input) bool { return input.Name == in.Feed })
	if err1 != nil || err2 != nil || i < 0 {
		return nil, nil
	}
	all, err := s.p.sourcesOf(s.config, s.config.Inputs[i:i+1], first-1, last+1)
	for i := range all {
		if all[i].object.Name == in.Name {
			return &all[i], err
		}
	}
	return nil, err
}

// An otherObject is an object that a night has read, and that no partition was folded from:
// it has no events, or none that count, or is damaged. The search for late logs
// need not read it again.
type otherObject struct {
	Name  string `json:"name"` // URI
	ETag  string `json:"etag"`
	Night string `json:"night"`          // the night's name
	Late  bool   `json:"late,omitempty"` // it was found by that search
	// Owed says that it has events of days that were not folded again with it, since the night
	// had read enough. Partitions of other days may be folded from it.
	Owed bool `json:"owed,omitempty"`
}

type otherList struct {
	Objects []otherObject `json:"objects"`
}

// othersName returns the name of the object with the others of the profile.
func (s *state) othersName() string {
	return fmt.Sprintf("v%d/%s.json", store.Version, s.config.folder("others"))
}

// readOthers returns the others of the state, by name, and whether it has a list of them. One
// that cannot be used costs reading its objects again.
func (s *state) readOthers(ctx context.Context) (all []otherObject, there bool, err error) {
	text, err := store.ReadChecked(ctx, s.store, s.othersName())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	var list otherList
	if err := store.DecodeChecked(text, &list); err != nil {
		s.p.note("%s of the state %s: %v: what it lists is read again", s.othersName(), s.config.State, err)
		return nil, true, nil
	}
	return list.Objects, true, nil
}

// keepOthers adds to the others what this night has read. Those that no later night will
// list leave.
func (s *state) keepOthers(ctx context.Context, n *night) error {
	before, there, err := s.readOthers(ctx)
	if err != nil {
		return err
	}
	byDay := map[string]bool{}
	for _, in := range s.config.Inputs {
		byDay[in.Name] = s.listsByDay(in)
	}
	first, last := s.reach(n.days)
	all := map[string]otherObject{}
	for _, o := range before {
		_, to, _ := strings.Cut(o.Night, "_")
		if read, err := detect.ParseDay(cmp.Or(to, o.Night)); err == nil && read >= first {
			all[o.Name] = o
		}
	}
	for name, r := range s.read {
		later := r.rows > 0 && r.last >= last // a night to come needs it
		if byDay[r.source.feed] && !later && !r.fault && !s.left[name] && all[name].ETag != r.etag {
			all[name] = otherObject{name, r.etag, n.name(), s.late[name], false}
		}
		if all[name].Owed && !r.fault { // it was read, and so its days were folded, or are owed anew
			delete(all, name)
		}
	}
	if err := s.recorded(ctx, first, last, nil, func(in *store.InputRef) {
		if o, ok := all[in.Name]; ok && o.ETag == in.ETag && !o.Owed {
			delete(all, in.Name)
		}
	}); err != nil {
		return err
	}
	for _, name := range s.owes {
		all[name] = otherObject{name, s.read[name].etag, n.name(), s.late[name], true}
	}
	list := otherList{slices.SortedFunc(maps.Values(all), func(a, b otherObject) int { return cmp.Compare(a.Name, b.Name) })}
	switch {
	case len(list.Objects) == 0 && there:
		return stateError(s.config, s.store.Delete(ctx, s.othersName()))
	case slices.Equal(list.Objects, before):
		return nil
	}
	text, err := store.EncodeChecked(list)
	if err != nil {
		return err
	}
	return stateError(s.config, s.store.Put(ctx, s.othersName(), bytes.NewReader(text), store.Always))
}

// judgedAgain returns the days before the night that are judged with it: those whose logs
// came late, and the later ones, whose baselines have changed. A day that no night judged
// is left out, unless it is the last one before the night.
func (s *state) judgedAgain(ctx context.Context, n *night) ([]detect.Day, error) {
	late := n.late()
	if len(late) == 0 || s.config.seed() { // profile seed has no baselines
		return late, nil
	}
	var out []detect.Day
	for day := late[0]; day < n.days[0]; day++ {
		came := slices.Contains(late, day)
		was, err := s.wasJudged(ctx, day)
		if err != nil {
			return nil, err
		}
		if !was && !(came && day == n.days[0]-1) {
			continue
		}
		all, err := s.stored(ctx, day)
		if err != nil {
			return nil, err
		}
		stale := slices.ContainsFunc(all, func(k storedDay) bool { return !k.fresh })
		if came || !stale { // what is stale may be all that its findings rest on: they stay
			out = append(out, day)
		}
	}
	return out, nil
}

// tell decides which of the judged days are reported: those of the night, those that no
// night has judged, and those that have findings now which they did not have, or had with
// a lower severity. It returns the others. A day is reported with its findings of before,
// which it marks, but a log that comes late every night does not bring them back every night.
func (s *state) tell(ctx context.Context, n *night, judged []detect.Day, found []detect.Finding) (untold map[detect.Day]bool, err error) {
	type what struct {
		detection string
		key       detect.Key
	}
	untold = map[detect.Day]bool{}
	again, fresh := slices.Clone(n.Again), slices.Clone(n.New)
	for _, day := range judged {
		if slices.Contains(n.days, day) {
			continue
		}
		was, err := s.wasJudged(ctx, day)
		if err != nil {
			return nil, err
		}
		before, err := s.findingsOf(ctx, day)
		if _, damaged := errors.AsType[*store.DamagedError](err); err != nil && !damaged && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		had := map[what]detect.Severity{}
		for _, f := range before {
			had[what{f.Detection, f.Key}] = f.Severity
		}
		has := len(fresh)
		for i := range found {
			f := &found[i]
			severity, ok := had[what{f.Detection, f.Key}]
			if f.Day == day && f.Allowed == "" && (!ok || f.Severity > severity) {
				fresh = append(fresh, f.UID)
			}
		}
		switch text := day.String(); {
		case slices.Contains(again, text):
		case len(fresh) > has:
			again = append(again, text)
		case was:
			untold[day] = true
		}
	}
	slices.Sort(again)
	slices.Sort(fresh)
	fresh = slices.Compact(fresh)
	for i := range found {
		f := &found[i]
		_, isNew := slices.BinarySearch(fresh, f.UID)
		f.Reported = !isNew && slices.Contains(again, f.Day.String())
	}
	if !slices.Equal(again, n.Again) || !slices.Equal(fresh, n.New) {
		n.Again, n.New = again, fresh
		return untold, s.putNight(ctx, n)
	}
	return untold, nil
}
