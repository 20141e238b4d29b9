package detect

import (
	"encoding/binary"
	"slices"

	"outflow/columnar"
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

// An uploadShelf is what uploads have shelved: the numbers of entity and object, and an only
// as it is, or what appendVolume writes of a cell.
type uploadShelf struct {
	spool  Spool
	memory int
	blocks []shelvedBlock
	buf    []byte
	onlys  []byte
	left   []bool // of the onlys of a block
}

// A shelvedBlock has whole records of a section.
type shelvedBlock struct {
	spooledBlock
	of    sectionKey
	onlys bool // its records are onlys
}

const (
	// shelfBlock is about how many bytes are written at once.
	shelfBlock = 64 << 10
	// shelvedOnly is the size of an only with its numbers, in bytes.
	shelvedOnly = 28
)

// Names implements Shelver.
func (u *uploads) Names() int { return u.volumes.names() }

// Shelve implements Shelver.
func (u *uploads) Shelve(spool Spool, memory int) error {
	s := &u.shelf
	s.spool, s.memory = spool, memory
	for _, at := range u.sections.sorted() {
		p := u.sections.all[at]
		for slot := int32(1); int(slot) < p.groups.Len(); slot++ {
			who, what := p.groups.Key(slot)
			if o := p.onlys.at(slot); o.cell == 0 {
				if s.onlys = o.append(s.onlys, who, what); len(s.onlys) < shelfBlock {
					continue
				}
			} else {
				s.buf = binary.AppendUvarint(binary.AppendUvarint(s.buf, uint64(who)), uint64(what))
				c := p.cells.at(o.cell)
				if s.buf = u.appendVolume(s.buf, c, p.partsOf(slot, c), at.day, nil); len(s.buf) < shelfBlock {
					continue
				}
			}
			if err := s.flush(at); err != nil {
				return err
			}
		}
		if err := s.flush(at); err != nil {
			return err
		}
		p.resetCells()
	}
	return nil
}

// flush writes what was shelved of a section.
func (s *uploadShelf) flush(at sectionKey) error {
	for _, b := range [...]struct {
		buf   *[]byte
		onlys bool
	}{{&s.buf, false}, {&s.onlys, true}} {
		if len(*b.buf) == 0 {
			continue
		}
		s.blocks = append(s.blocks, shelvedBlock{spooledBlock{s.spool.Size(), len(*b.buf)}, at, b.onlys})
		if _, err := s.spool.Write(*b.buf); err != nil {
			return err
		}
		*b.buf = (*b.buf)[:0]
	}
	return nil
}

// append appends an only of an entity and an object.
func (o *only) append(b []byte, who, what uint32) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(columnar.PairOf(who, what)))
	b = binary.LittleEndian.AppendUint64(b, uint64(columnar.PairOf(o.out, o.in)))
	b = binary.LittleEndian.AppendUint32(b, o.record)
	return binary.LittleEndian.AppendUint64(b, o.when)
}

// shelved reads what append wrote.
func (o *only) shelved(b *[shelvedOnly]byte) (who, what uint32) {
	who, what = columnar.Pair(binary.LittleEndian.Uint64(b[:])).Codes()
	o.out, o.in = columnar.Pair(binary.LittleEndian.Uint64(b[8:])).Codes()
	o.record, o.when = binary.LittleEndian.Uint32(b[16:]), binary.LittleEndian.Uint64(b[20:])
	return who, what
}

// Unshelve implements Shelver.
func (u *uploads) Unshelve() (more bool, err error) {
	return u.unshelve(func(sectionKey) *sieve { return nil })
}

// unshelve takes back what was shelved. What the sieve of a section leaves out only counts in the
// totals; nil leaves out nothing.
func (u *uploads) unshelve(of func(at sectionKey) *sieve) (more bool, err error) {
	s := &u.shelf
	if len(s.blocks) == 0 {
		return false, nil
	}
	full := u.Size() + s.memory
	for first := true; len(s.blocks) > 0 && (first || u.Size() < full); first = false {
		b := s.blocks[0]
		s.blocks = s.blocks[1:]
		s.buf = slices.Grow(s.buf[:0], b.size)[:b.size]
		if _, err := s.spool.ReadAt(s.buf, b.at); err != nil {
			return false, err
		}
		take := u.takeCells
		if b.onlys {
			take = u.takeOnlys
		}
		if !take(u.sections.of(b.of), s.buf, b.of.day, of(b.of)) {
			return false, errRun
		}
	}
	s.buf = s.buf[:0]
	return len(s.blocks) > 0, nil
}

// has reports whether the numbers of an entity and an object are known.
func (u *uploads) has(who, what uint32) bool {
	return int(what) < u.volumes.objects.Len() && u.volumes.entities.has(who)
}

// takeCells takes back the cells of a block, and returns false if it is damaged.
func (u *uploads) takeCells(p *volumeSection, block []byte, day Day, s *sieve) bool {
	d := decoder{b: block}
	for len(d.b) > 0 {
		who, what := uint32(d.uvarint()), uint32(d.uvarint())
		if d.bad || !u.has(who, what) {
			return false
		}
		var t *total
		left := s != nil && s.out(who, what)
		if left {
			t = p.total(who)
		} else {
			t = &total{}
		}
		midnight := int64(day) * dayMicros
		n, more := u.places.volume(&d, midnight)
		rest, ok := more.read(u.places, midnight, &t.hourly)
		if d.bad || !ok {
			return false
		}
		t.refused.merge(more.refused)
		if left {
			u.merge(t, &n, &rest)
			continue
		}
		t.volume, t.rest = n, rest
		u.takeBack(p, who, what, t, day)
	}
	return true
}

// takeOnlys is takeCells for onlys.
//
// Note: it first finds out which are left out, so that they do not wait for each other's memory.
func (u *uploads) takeOnlys(p *volumeSection, block []byte, day Day, s *sieve) bool {
	left := u.shelf.left[:0]
	for rest := block; len(rest) > 0; rest = rest[shelvedOnly:] {
		if len(rest) < shelvedOnly {
			return false
		}
		who, what := columnar.Pair(binary.LittleEndian.Uint64(rest)).Codes()
		if !u.has(who, what) {
			return false
		}
		left = append(left, s != nil && s.out(who, what))
	}
	u.shelf.left = left
	for i := range left {
		var o only
		who, what := o.shelved((*[shelvedOnly]byte)(block[i*shelvedOnly:]))
		if left[i] {
			u.addOnly(p.total(who), &o, day)
			continue
		}
		if slot := p.groups.Slot(who, what); int(slot) == p.onlys.n {
			p.onlys.add(o)
			continue
		}
		t := newTotal()
		u.addOnly(t, &o, day)
		u.takeBack(p, who, what, t, day)
	}
	return true
}

// addOnly adds an only.
func (u *uploads) addOnly(t *total, o *only, day Day) {
	c := o.volume(int64(day) * dayMicros)
	u.merge(t, &c, &others{})
	sum := &t.hourly[c.hourlyAt.hour()]
	*sum = addBytes(*sum, c.out)
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
