package logs

import (
	"bytes"
	"errors"
	"fmt"

	"outflow/columnar/scan"
)

// What records of a source say for later ones: the sender and the size of a mail stand in
// one line and each recipient in another, the user of a session at its beginning alone.

// Remember says which names of a record count for later records of the same act too: those
// whose names By have the same texts.
type Remember struct {
	By   TextList `yaml:"by"`
	Keep TextList `yaml:"keep"`
}

// rememberBytes bounds the lines that a block remembers of those before it, to some
// thousand acts. With more, each block would cost more; with less, a busy server's
// deliveries would lose their senders.
const rememberBytes = 512 << 10

// check returns what is wrong with it.
func (r *Remember) check(p *sourcePlan) error {
	switch {
	case len(r.By)+len(r.Keep) == 0:
		return nil
	case len(r.By) == 0 || len(r.Keep) == 0:
		return errors.New("want by, the names of the id, and keep, the names that later records get")
	case p.container.quoted || p.header() != nil:
		return fmt.Errorf("the container %s has a header", p.container.name)
	}
	p.slotsOf(r.By)
	p.slotsOf(r.Keep)
	return nil
}

// recalled returns Format.Header of a source with Remember: the lines before a block that
// later ones may need, the last rememberBytes of them. Nil: it has none.
func (s *Source) recalled() func(prev, p []byte) []byte {
	if len(s.Remember.By) == 0 {
		return nil
	}
	return func(prev, p []byte) []byte {
		plan := &sourcePlan{source: s, container: containerNamed(s.Container), byName: map[string]int{}}
		m := newRemembered(plan)
		reader, err := plan.container.open(plan)
		if err != nil {
			return prev
		}
		w, t := newWindow(len(plan.slots)), &Tally{}
		lines := bytes.Clone(prev)
		for len(p) > 0 {
			end := scan.LineEnd(p, 0)
			w.reset(p[:end], 1, t)
			reader.read(p[:end], w, t)
			if w.n > 0 && m.says(w, 0) {
				if lines = append(lines, p[:end]...); len(lines) > 2*rememberBytes {
					lines = lastLines(lines, rememberBytes)
				}
			}
			p = p[end:]
		}
		return lastLines(lines, rememberBytes)
	}
}

// lastLines returns the whole lines among the last n bytes of p, in memory of their own.
func lastLines(p []byte, n int) []byte {
	if len(p) > n {
		p = p[len(p)-n:]
		p = p[scan.LineEnd(p, 0):]
	}
	return bytes.Clone(p)
}

// A remembered is what the records of a block and those before it said.
type remembered struct {
	by, keep []int // slots
	said     map[string][]byte
	id       []byte
}

func newRemembered(p *sourcePlan) *remembered {
	r := &p.source.Remember
	return &remembered{by: p.slotsOf(r.By), keep: p.slotsOf(r.Keep), said: map[string][]byte{}}
}

// says reports whether record i of w has an id, and something to remember.
func (m *remembered) says(w *window, i int) bool {
	for _, slot := range m.by {
		if len(w.text(i, slot)) == 0 {
			return false
		}
	}
	for _, slot := range m.keep {
		if w.has(i, slot) {
			return true
		}
	}
	return false
}

// recall gives the records of w what earlier ones said, and remembers what they say.
func (m *remembered) recall(w *window) {
	for i := range w.n {
		m.id = m.id[:0]
		for _, slot := range m.by {
			text := w.text(i, slot)
			if len(text) == 0 {
				m.id = m.id[:0]
				break
			}
			m.id = append(append(m.id, text...), 0)
		}
		if len(m.id) == 0 {
			continue
		}
		for k, slot := range m.keep {
			at := len(m.id)
			m.id = append(m.id, byte(k))
			if w.has(i, slot) {
				m.keepText(w.text(i, slot))
			} else if text, ok := m.said[string(m.id)]; ok {
				w.putIn(i, slot, text)
			}
			m.id = m.id[:at]
		}
	}
}

// keepText remembers a text of the name at hand.
func (m *remembered) keepText(text []byte) {
	if have, ok := m.said[string(m.id)]; !ok || !bytes.Equal(have, text) {
		m.said[string(m.id)] = bytes.Clone(text)
	}
}

// recallFrom makes what is remembered that of the lines before a block.
func (d *sourceDecoder) recallFrom(lines []byte) {
	clear(d.said.said)
	var t Tally
	w := newWindow(len(d.slots))
	w.reset(lines, 1, &t)
	w.drain = func() { d.said.recall(w) }
	for len(lines) > 0 {
		lines = d.reader.read(lines, w, &t)
		w.drain()
		w.empty()
	}
}
