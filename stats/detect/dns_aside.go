package detect

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// This file keeps apart most names of a pair that has very many, so that a client that
// never asks for a name twice does not fill the memory.
//
// Once a query has left the sliding window and dns_model has scored its name, the name
// matters only to the number of distinct names and their bytes. It is set aside, by its
// hash and size. If it is queried again, it is met like a new name, and may be set aside
// again: Row counts names that have the same hash once.

// heldNames is how many names of a pair a dnsMerger holds before it sets some aside. With
// their table they take 32 MiB. With fewer, it would have to wait all the same until
// dns_model has scored its names.
const heldNames = maxScored

// asideNameSize is the size of a name set aside: its hash and its size.
const asideNameSize = 8 + 2

// Spill implements Spiller.
func (m *dnsMerger) Spill(spool Spool) { m.spool = spool }

// Err implements Spiller.
func (m *dnsMerger) Err() error { return m.err }

// setAside sets aside the names that no query of the sliding window and no pending one
// has. Without a spool it sets nothing aside. It must not be called while a record is added.
func (m *dnsMerger) setAside() {
	if m.spool == nil {
		return
	}
	stay, count := 0, true // the first names that stay; whether the others are counted
	if s := m.scorer; s != nil {
		switch {
		case !s.full:
			return
		case s.rows != nil:
			stay, count = len(s.names), false
		default:
			s.names, s.texts, s.spare = nil, nil, nil
		}
	}
	to := m.table[:len(m.names)] // by name: its new index. The table is made anew.
	clear(to)
	for _, q := range m.pending {
		to[q.name] = 1
	}
	held := m.names[:0]
	for i, n := range m.names {
		if i >= stay && n.within == 0 && to[i] == 0 {
			if count {
				m.putAside(n)
			}
			continue
		}
		to[i] = uint32(len(held))
		held = append(held, n)
	}
	for _, queries := range [][]mergedQuery{m.pending, m.recent[m.gone:]} {
		for i := range queries {
			queries[i].name = to[queries[i].name]
		}
	}
	m.names = held
	m.hold = max(m.most, 2*len(held)) // else each call would find few names to set aside
	m.grow()
}

func (m *dnsMerger) putAside(n mergedName) {
	if m.aside == nil {
		aside := newSpooled(m.spool, 1<<20)
		m.aside = &aside
	}
	p := m.aside.part(n.hash)
	m.aside.put(p, binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint64(p.buf, n.hash), n.size))
}

// countNames counts each name of the pair once, if names were set aside.
func (m *dnsMerger) countNames() error {
	if m.aside == nil {
		return nil
	}
	for _, n := range m.names {
		m.putAside(n)
	}
	if err := m.aside.close("names"); err != nil {
		return err
	}
	m.s.Names, m.s.NameBytes = 0, 0
	var block []byte
	for part := range ConnectionParts {
		names := m.names[:0]
		for b, err := range m.aside.blocks(part, &block) {
			if err != nil {
				return err
			}
			for ; len(b) > 0; b = b[asideNameSize:] {
				names = append(names, mergedName{hash: binary.LittleEndian.Uint64(b), size: binary.LittleEndian.Uint16(b[8:])})
			}
		}
		slices.SortFunc(names, func(a, b mergedName) int { return cmp.Compare(a.hash, b.hash) })
		for i, n := range names {
			if i == 0 || n.hash != names[i-1].hash {
				m.s.Names++
				m.s.NameBytes += int64(n.size)
			}
		}
		m.names = names
	}
	return nil
}
