package jobs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// This file remembers which nights were judged, and which of them still owe a report.

// A night is one judgement by the nightly job: its days, and its reports.
//
// It is written to the state before the first of its days is folded, and is owed until
// its reports are in place. Until then, whatever stops it, the next nightly run judges it
// anew.
type night struct {
	First string `json:"first"` // day, as 2006-01-02
	Last  string `json:"last"`
	// Late are the days before First that were folded again, since logs came late, and so
	// are judged and reported with it.
	Late []string `json:"late,omitempty"`
	// Again are days between these and First that got new findings from it, and are reported
	// with it, too.
	Again []string `json:"again,omitempty"`
	// New are the UIDs of the findings on Again that no earlier night has reported, or only
	// with a lower severity.
	New []string `json:"new,omitempty"`
	// Named says that the run was given these days. Nights are missed since the last one that
	// was not, or, without one, since the last of these within maxCatchUp days.
	Named bool `json:"named,omitempty"`
	Owed  bool `json:"owed"`

	days []detect.Day // First … Last
}

// name returns the name of the night's folder of reports.
func (n *night) name() string {
	if n.First == n.Last {
		return n.First
	}
	return n.First + "_" + n.Last
}

func nightOf(days []detect.Day) night {
	return night{First: days[0].String(), Last: days[len(days)-1].String(), days: days}
}

// nightOrder is the order of nights: by their last day, then by name.
func nightOrder(a, b night) int {
	return cmp.Or(cmp.Compare(a.Last, b.Last), cmp.Compare(a.name(), b.name()))
}

// nightsName returns the name of the object with the nights of the profile.
func (s *state) nightsName() string {
	return fmt.Sprintf("v%d/%s.json", store.Version, s.config.folder("nights"))
}

// maxCatchUp is how many missed nights a run judges by itself; it names the others. With
// more, the first run after a long pause would take days.
const maxCatchUp = 31

// readNights returns the nights of the state, in nightOrder. If the state has no list of
// them, or a damaged one, each day with findings counts as a night that was reported.
func (s *state) readNights(ctx context.Context) ([]night, error) {
	out, err := s.storedNights(ctx)
	if err == nil || !errors.Is(err, errNoNights) {
		return out, err
	}
	if !errors.Is(err, fs.ErrNotExist) && !s.nightsLost {
		s.nightsLost = true
		s.p.note("%v: nights that have findings count as reported", err)
	}
	days, err := s.findings().List(ctx)
	for _, day := range days {
		out = append(out, night{First: day, Last: day})
	}
	return out, err
}

// A nightList is the list of nights as the state has it.
type nightList struct {
	Nights []night `json:"nights"`
}

// errNoNights says that the state has no list of nights that can be read.
var errNoNights = errors.New("no list of nights")

// storedNights returns the list of nights of the state. The error is errNoNights if there
// is none, or a damaged one.
func (s *state) storedNights(ctx context.Context) ([]night, error) {
	text, err := store.ReadChecked(ctx, s.store, s.nightsName())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(errNoNights, err)
	}
	if err != nil {
		return nil, err
	}
	var stored nightList
	if err = store.DecodeChecked(text, &stored); err == nil && len(stored.Nights) == 0 {
		err = errors.New("it lists no night") // it is another file
	}
	for i := range stored.Nights {
		n := &stored.Nights[i]
		days, derr := dayRange(n.First, n.Last, 0)
		if err = cmp.Or(err, derr); err == nil {
			n.days = days
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s of the state %s: %w", errNoNights, s.nightsName(), s.config.State, err)
	}
	return stored.Nights, nil
}

// reported returns the days of the nights that owe no report and that the state has folded.
// Each has findings, even if there are none. A day without logs is as good without; one that is
// older than keep has nothing left.
func (s *state) reported(ctx context.Context) ([]string, error) {
	all, err := s.storedNights(ctx)
	if errors.Is(err, errNoNights) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	folded := map[string]bool{}
	for _, a := range s.aggregates {
		days, err := s.aggregate(a).List(ctx)
		if err != nil {
			return nil, err
		}
		for _, day := range days {
			folded[day] = true
		}
	}
	var out []string
	for _, n := range all {
		for _, day := range n.days {
			if !n.Owed && folded[day.String()] {
				out = append(out, day.String())
			}
		}
	}
	return out, nil
}

// putNight adds a night to the list of the state, or replaces it there. Nights that no
// history reaches leave the list.
func (s *state) putNight(ctx context.Context, n *night) error {
	all, err := s.readNights(ctx)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(o night) bool {
		last, err := detect.ParseDay(o.Last)
		return o.name() == n.name() || err != nil || last < n.days[len(n.days)-1]-maxHistory
	})
	all = append(all, *n)
	slices.SortFunc(all, nightOrder)
	text, err := store.EncodeChecked(nightList{all})
	if err != nil {
		return err
	}
	return stateError(s.config, s.store.Put(ctx, s.nightsName(), bytes.NewReader(text), store.Always))
}

// late returns the night's days that are judged again because of late logs.
func (n *night) late() []detect.Day {
	var out []detect.Day
	for _, text := range n.Late {
		if day, err := detect.ParseDay(text); err == nil {
			out = append(out, day)
		}
	}
	return out
}

// due returns the nights to judge before and with the night now, in the order of their
// days: those that owe a report, and, if now was not given its days, those that were missed
// since the last such night.
func (s *state) due(all []night, now night) []night {
	today := now.days[0]
	if now.Named { // it may be a day to come
		today = min(today, detect.DayOf(s.p.now().UnixMicro()))
	}
	var out []night
	newest, named := detect.Day(-1), detect.Day(-1)
	judged := map[detect.Day]bool{}
	for _, n := range all {
		last, err := detect.ParseDay(n.Last)
		if err != nil {
			continue
		}
		switch {
		case last >= today:
		case n.Named:
			named = max(named, last)
		default:
			newest = max(newest, last)
		}
		for _, day := range n.days {
			judged[day] = true
		}
		switch {
		case n.name() == now.name():
			now.Late, now.Again, now.New = n.Late, n.Again, n.New // they are reported again, too
			now.Named = now.Named && n.Named
		case n.Owed:
			s.p.note("the night %s was not finished: its reports are made now", n.name())
			out = append(out, n)
		}
	}
	if newest < 0 && named >= today-maxCatchUp { // long before, somebody only looked at old logs
		newest = named
	}
	if newest >= 0 && newest < today-1 {
		missed := []detect.Day{}
		for d := newest + 1; d < today; d++ {
			if !judged[d] {
				missed = append(missed, d)
			}
		}
		catch := missed[max(0, len(missed)-maxCatchUp):]
		if now.Named || !s.config.CatchUp {
			catch = nil
		}
		if left := missed[:len(missed)-len(catch)]; len(left) > 0 {
			s.p.note("%s not judged: %s does that", nightsText(left), s.p.here(fmt.Sprintf("run nightly --from %s --to %s", left[0], left[len(left)-1])))
		}
		if len(catch) > 0 {
			s.p.note("%s missed: judging what was missed first", nightsText(catch))
		}
		for i := range catch {
			out = append(out, nightOf(catch[i:i+1:i+1]))
		}
	}
	out = append(out, now)
	slices.SortStableFunc(out, nightOrder)
	return out
}

func nightsText(days []detect.Day) string {
	if len(days) == 1 {
		return "the night " + spans(days) + " was"
	}
	return "the nights " + spans(days) + " were"
}
