package jobs

import (
	"cmp"
	"errors"
	"fmt"
	"path"

	"outflow/columnar"
	"outflow/columnar/logs"
)

// This file looks at the begin of logs, to tell which of them depend on one another.

// A looked is what the begin of a source's logs shows.
type looked struct {
	contents []*content
	// unsure says that not all logs in it could be recognised.
	unsure bool
	// event, uid and answers say that its rows may have ids of events, ids of connections, and
	// DNS answers; network, that they may be connections.
	event, uid, answers, network bool
}

// look reads the begin of the logs of sources, in the order in which a fold would, and
// decides which are copies.
func (p *program) look(sources []source, memory int64) ([]looked, error) {
	last := map[int]bool{}
	for {
		c := newContents(sources, last)
		out := make([]looked, len(sources))
		stop := c.begin(p.ctx, func() {})
		windows := newWindows(cmp.Or(memory, defaultMemory), lookers)
		// Readers wait for those before them in the order, so each takes the next place.
		err := together(lookers, len(sources), func(place int) error {
			defer c.over(place)
			i := c.at(place)
			out[i] = p.lookAt(c, windows.claim(p.ctx, c, place), place, &sources[i])
			return p.ctx.Err()
		})
		stop()
		if err != nil || !c.void() {
			return out, err
		}
	}
}

// errLooked ends a log when enough of it was read.
var errLooked = fmt.Errorf("enough was read: %w", logs.ErrSkip)

func (p *program) lookAt(c *contents, claim *windowClaim, place int, s *source) (out looked) {
	check := c.copyCheck(claim, place, s)
	known := map[*logs.Member]bool{}
	options := &logs.ReadOptions{Format: s.format, Formats: s.formats, Options: s.options, Windows: claim.part()}
	options.Content = func(m *logs.Member, x *logs.Content) error {
		k, err := check(m, x)
		if k != nil {
			out.contents = append(out.contents, k)
		}
		switch {
		case errors.Is(err, errCopy): // its original tells
			known[m] = true
			return err
		case err != nil:
			return err
		case s.format != nil && s.format.Split == nil && s.format.Leaves == nil:
			known[m] = true
			o := s.options
			o.Head, o.Name = x.Start, path.Base(m.Name)
			out.add(s.format, &o)
			return errLooked
		}
		return nil
	}
	members := logs.Read(&s.object, options, func(m *logs.Member, b *logs.Block) error {
		if !known[m] {
			known[m] = true
			out.add(m.Format, m.Options)
		}
		return errLooked
	})
	for _, m := range members {
		var notLog logs.NotLog
		if !known[m] && !errors.Is(m.Err, logs.ErrEmpty) && !errors.As(m.Err, &notLog) {
			out.unsure = true
		}
	}
	return out
}

// add adds what a log of a format may have.
func (l *looked) add(f *logs.Format, o *logs.Options) {
	l.event = l.event || f.MayFill(columnar.EventUID, o)
	l.uid = l.uid || f.MayFill(columnar.UID, o)
	l.answers = l.answers || f.Answers || f.MayFill(columnar.Answers, o)
	l.network = l.network || f.MayHave(columnar.Network, o) && (f.MayFill(columnar.DstIP, o) || f.MayFill(columnar.DstHost, o))
}
