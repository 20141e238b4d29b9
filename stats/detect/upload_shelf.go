package detect

import (
	"encoding/binary"
	"slices"
)

// A Shelver is a Sifter that, when it is full before all tables have been weighed, need not
// be drained: most keys would be written as a run in the order of their keys, and merged,
// only to be left out.
type Shelver interface {
	Sifter
	// Names returns how many bytes of the table the names take, which stay when it is shelved.
	Names() int
	// Shelve writes the keys that the table holds to a spool as they are, to be sifted with
	// the others, and removes them. It has been weighed. What it holds beside them stays. Sift
	// will return each time it has taken back about memory bytes of keys.
	Shelve(spool Spool, memory int) error
	// Unshelve takes back about as much of what was shelved, and reports whether there is
	// more.
	Unshelve() (more bool, err error)
}

// An uploadShelf is the cells that uploads have shelved: the numbers of entity and object, and
// what appendVolume writes.
type uploadShelf struct {
	spool  Spool
	memory int
	blocks []shelvedBlock
	buf    []byte
}

// A shelvedBlock has whole records of a section.
type shelvedBlock struct {
	spooledBlock
	of sectionKey
}

// shelfBlock is about how many bytes are written at once.
const shelfBlock = 64 << 10

// Names implements Shelver.
func (u *uploads) Names() int { return u.volumes.names() }

// Shelve implements Shelver.
func (u *uploads) Shelve(spool Spool, memory int) error {
	s := &u.shelf
	s.spool, s.memory = spool, memory
	for _, at := range u.sections.sorted() {
		p := u.sections.all[at]
		flush := func() error {
			block := spooledBlock{spool.Size(), len(s.buf)}
			if block.size == 0 {
				return nil
			}
			s.blocks = append(s.blocks, shelvedBlock{block, at})
			_, err := spool.Write(s.buf)
			s.buf = s.buf[:0]
			return err
		}
		for slot := int32(1); int(slot) < p.groups.Len(); slot++ {
			who, what := p.groups.Key(slot)
			s.buf = binary.AppendUvarint(binary.AppendUvarint(s.buf, uint64(who)), uint64(what))
			c := p.cell(slot, at.day)
			s.buf = u.appendVolume(s.buf, &c, p.partsOf(slot, &c), at.day, nil)
			if len(s.buf) >= shelfBlock {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		if err := flush(); err != nil {
			return err
		}
		p.resetCells()
	}
	return nil
}

// Unshelve implements Shelver.
func (u *uploads) Unshelve() (more bool, err error) {
	return u.unshelve(func(sectionKey) func(who, what uint32) bool {
		return func(uint32, uint32) bool { return false }
	})
}

// unshelve takes back what was shelved. What is to be left out, as leave tells of a section, only
// counts in the totals.
func (u *uploads) unshelve(leave func(at sectionKey) func(who, what uint32) bool) (more bool, err error) {
	s := &u.shelf
	if len(s.blocks) == 0 {
		return false, nil
	}
	known := uint32(u.volumes.objects.Len())
	full := u.Size() + s.memory
	for first := true; len(s.blocks) > 0 && (first || u.Size() < full); first = false {
		b := s.blocks[0]
		s.blocks = s.blocks[1:]
		s.buf = slices.Grow(s.buf[:0], b.size)[:b.size]
		if _, err := s.spool.ReadAt(s.buf, b.at); err != nil {
			return false, err
		}
		p, out, midnight := u.sections.of(b.of), leave(b.of), int64(b.of.day)*dayMicros
		d := decoder{b: s.buf}
		for len(d.b) > 0 {
			who, what := uint32(d.uvarint()), uint32(d.uvarint())
			if d.bad || what >= known || !u.volumes.entities.has(who) {
				return false, errRun
			}
			var t *total
			left := out(who, what)
			if left {
				t = p.total(who)
			} else {
				t = &total{}
			}
			n, rest, _ := u.places.volume(&d, midnight, &t.volumeParts)
			if d.bad {
				return false, errRun
			}
			if left {
				u.merge(t, &n, &rest)
				continue
			}
			t.volume, t.rest = n, rest
			u.takeBack(p, who, what, t, b.of.day)
		}
	}
	s.buf = s.buf[:0]
	return len(s.blocks) > 0, nil
}

// takeBack adds what was shelved of an entity and an object.
func (u *uploads) takeBack(p *volumeSection, who, what uint32, t *total, day Day) {
	slot := p.groups.Slot(who, what)
	if int(slot) < p.onlys.n {
		u.addSlot(t, p, slot, day)
	} else {
		p.onlys.add(only{})
	}
	c := t.volume
	c.restAt = 0
	if t.rest.n > 0 {
		c.restAt = int32(p.rest.n)
		p.rest.add(t.rest)
	}
	c.hourlyAt = p.hourly.keep(t.hourly, c.out)
	cell := int32(p.cells.n)
	p.onlys.at(slot).cell = cell
	p.cells.add(c)
	if t.refused != (refused{}) {
		p.refused[cell] = t.refused
	}
}

// keep makes a list of sums, which are those of a cell that has counted sum.
func (s *hourSums) keep(h hourly, sum int64) hourList {
	list := hourList(s.all.n)<<hourShift | inAll
	h[list.hour()] -= sum
	s.all.add(h)
	return list
}

// has reports whether id is the number of an entity.
func (e *entities) has(id uint32) bool {
	spelt := e.spelt[id&3]
	return spelt != nil && int(id>>2) < spelt.Len()
}

var _ Shelver = (*uploads)(nil)
