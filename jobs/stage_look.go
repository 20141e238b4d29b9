package jobs

import (
	"errors"
	"fmt"
	"slices"

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
func (p *program) look(sources []source) ([]looked, error) {
	last := map[int]bool{}
	for {
		c := newContents(sources, last)
		out := make([]looked, len(sources))
		stop := c.begin(p.ctx, func() {})
		// Readers wait for those before them in the order, so each takes the next place.
		err := together(lookers, len(sources), func(place int) error {
			defer c.over(place)
			i := c.at(place)
			out[i] = p.lookAt(c, place, &sources[i])
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

func (p *program) lookAt(c *contents, place int, s *source) (out looked) {
	check := c.copyCheck(p.ctx, place, s)
	known := map[*logs.Member]bool{}
	options := &logs.ReadOptions{Format: s.format, Formats: s.formats, Options: s.options}
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
			out.add(s.format, &s.options, x.Start)
			return errLooked
		}
		return nil
	}
	members := logs.Read(&s.object, options, func(m *logs.Member, b *logs.Block) error {
		if !known[m] {
			known[m] = true
			out.add(m.Format, m.Options, m.Options.Head)
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
func (l *looked) add(f *logs.Format, o *logs.Options, head []byte) {
	l.event = l.event || f.MayFill(columnar.EventUID, head, o.Mapping)
	l.uid = l.uid || f.MayFill(columnar.UID, head, o.Mapping)
	l.answers = l.answers || f.Answers || f.MayFill(columnar.Answers, head, o.Mapping)
	connections := slices.Contains(f.Tables, columnar.Network) && (o.Mapping == nil || o.Mapping.Table == nil || o.Mapping.Table == columnar.Network)
	l.network = l.network || connections && (f.MayFill(columnar.DstIP, head, o.Mapping) || f.MayFill(columnar.DstHost, head, o.Mapping))
}
