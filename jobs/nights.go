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
	Owed bool     `json:"owed"`

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

// nights are the nights of a state, by their last day and name.
type nights []night

// The state of each profile has an object with its nights.
func (s *state) nightsName() string {
	return fmt.Sprintf("v%d/%s.json", store.Version, s.config.folder("nights"))
}

// maxCatchUp is how many missed nights a run judges by itself. More would make a run that
// is started again after a long time take days; the others are named.
const maxCatchUp = 31

// readNights returns the nights of the state. Without a list of them, or with a damaged
// one, the days that have findings were judged.
func (s *state) readNights(ctx context.Context) (nights, error) {
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

// errNoNights says that the state has no list of nights that can be read.
var errNoNights = errors.New("no list of nights")

// storedNights returns the list of nights of the state.
func (s *state) storedNights(ctx context.Context) (nights, error) {
	text, err := store.ReadAll(ctx, s.store, s.nightsName())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(errNoNights, err)
	}
	if err != nil {
		return nil, err
	}
	var stored struct {
		Nights nights `json:"nights"`
	}
	err = store.DecodeChecked(text, &stored)
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

// keep writes a night to the state, in the place of what the state has of it.
func (s *state) keep(ctx context.Context, n *night) error {
	all, err := s.readNights(ctx)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(o night) bool {
		last, err := detect.ParseDay(o.Last)
		return o.name() == n.name() || err != nil || last < n.days[len(n.days)-1]-maxHistory
	})
	all = append(all, *n)
	slices.SortFunc(all, func(a, b night) int { return cmp.Or(cmp.Compare(a.Last, b.Last), cmp.Compare(a.name(), b.name())) })
	text, err := store.EncodeChecked(struct {
		Nights nights `json:"nights"`
	}{all})
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
// days: those that owe a report, and, if now is scheduled, those that were missed since the
// last one.
func (s *state) due(all nights, now night, scheduled bool) []night {
	today := now.days[0]
	var out []night
	newest := detect.Day(-1)
	for _, n := range all {
		last, err := detect.ParseDay(n.Last)
		if err != nil {
			continue
		}
		if last < today {
			newest = max(newest, last)
		}
		switch {
		case n.name() == now.name():
			now.Late = n.Late // they are reported again, too
		case n.Owed:
			s.p.note("the night %s was not finished: its reports are made now", n.name())
			out = append(out, n)
		}
	}
	if newest >= 0 && newest < today-1 {
		missed := []detect.Day{}
		for d := newest + 1; d < today; d++ {
			missed = append(missed, d)
		}
		catch := missed[max(0, len(missed)-maxCatchUp):]
		if !scheduled || !s.config.CatchUp {
			catch = nil
		}
		if left := missed[:len(missed)-len(catch)]; len(left) > 0 {
			s.p.note("%s not judged: outflow run nightly --from %s --to %s does that", nightsText(left), left[0], left[len(left)-1])
		}
		if len(catch) > 0 {
			s.p.note("%s missed: judging what was missed first", nightsText(catch))
		}
		for i := range catch {
			out = append(out, nightOf(catch[i:i+1:i+1]))
		}
	}
	out = append(out, now)
	slices.SortStableFunc(out, func(a, b night) int { return cmp.Or(cmp.Compare(a.Last, b.Last), cmp.Compare(a.name(), b.name())) })
	return out
}

func nightsText(days []detect.Day) string {
	if len(days) == 1 {
		return "the night " + spanOf(days) + " was"
	}
	return "the nights " + spanOf(days) + " were"
}
