package logs

import (
	"bytes"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/pages"
)

// What a row group of a Parquet file can be of a source: columns that are the same in all its
// rows leave few kinds of rows, and often one.

// narrow leaves those rows of the source, and what they read, that a row group can have: a
// file mostly has one class of events, and half of the columns that others have.
func (p *parquetRows) narrow(d *sourceDecoder, part *parquetPart) (err error) {
	defer pages.Recovered("row group", &err)
	g := &groupSlots{has: make([]bool, len(d.slots)), same: make([][]byte, len(d.slots))}
	for slot, s := range d.slots {
		at := part.leafOf(s)
		if at < 0 {
			g.has[slot] = part.mayHold(d.source, s.name)
			continue
		}
		text, null := p.constant(part, at)
		g.has[slot], g.same[slot] = !null, text
	}
	d.rows = nil
	for _, row := range p.rows {
		var ok bool
		if row.where, ok = g.conditions(row.where); !ok {
			continue
		}
		if len(row.swap) > 0 {
			var swaps bool
			row.swap, swaps = g.conditions(row.swap)
			switch {
			case !swaps:
				row.swap, row.outside = nil, false
			case len(row.swap) == 0 && !row.outside: // all are swapped
				for c, f := range row.swapped {
					if f != nil {
						row.fields[c] = f
					}
				}
			}
		}
		g.fields(&row.fields)
		g.fields(&row.swapped)
		d.rows = append(d.rows, row)
		if len(row.where) == 0 {
			break // it is the first that fits
		}
	}
	for i := range d.tables {
		d.tables[i] = sourceTable{} // their columns are those of the rows
	}
	return nil
}

// groupSlots are the slots of a source as a row group can fill them.
type groupSlots struct {
	has  []bool
	same [][]byte // the text that all rows have in a slot; nil: they differ
}

// conditions returns those that some rows may meet and others not. ok says that a row may
// meet all.
func (g *groupSlots) conditions(where []condition) (left []condition, ok bool) {
	for _, c := range where {
		same := g.same[c.slot]
		switch {
		case g.has[c.slot] && same == nil:
			left = append(left, c)
		case !c.meets(same):
			return nil, false
		}
	}
	return left, true
}

// fields leaves of fields what a row group can have.
func (g *groupSlots) fields(fields *[columnar.NumCols]*sourceField) {
	for c, f := range fields {
		if f == nil {
			continue
		}
		var first, last *sourceField
		for ; f != nil; f = f.otherwise {
			where, ok := g.conditions(f.where)
			if !ok {
				continue
			}
			own := *f
			own.where, own.otherwise = where, nil
			own.slots = g.filled(f.slots)
			own.join = g.filled(f.join)
			if len(own.slots)+len(own.join) == 0 && len(f.slots)+len(f.join) > 0 {
				continue
			}
			if last == nil {
				first = &own
			} else {
				last.otherwise = &own
			}
			last = &own
		}
		if first == nil {
			first = (*sourceField)(nil).of(columnar.Col(c))
		}
		fields[c] = first
	}
}

func (g *groupSlots) filled(slots []int) (out []int) {
	for _, slot := range slots {
		if g.has[slot] {
			out = append(out, slot)
		}
	}
	return out
}

// leafOf returns which leaf stands in a slot, -1 if none does. Letter case does not matter
// where no name has the exact letters.
func (part *parquetPart) leafOf(s slot) int {
	found, rank := -1, 3
	for i := range part.leaves {
		name := part.leaves[i].name
		r := 3
		switch {
		case name == s.name:
			r = 0
		case strings.EqualFold(name, s.name):
			r = 1
		case s.kept != "" && keptName(name) == keptName(s.kept):
			r = 2
		}
		if r < rank {
			found, rank = i, r
		}
	}
	return found
}

// mayHold reports whether a name may be that of an element, or stand in embedded JSON.
func (part *parquetPart) mayHold(s *Source, name string) bool {
	for i := range part.leaves {
		leaf := &part.leaves[i]
		if leaf.element != "" {
			list := leaf.element[:strings.IndexAny(leaf.element, "[{")]
			if len(name) > len(list) && strings.EqualFold(name[:len(list)], list) && (name[len(list)] == '[' || name[len(list)] == '.') {
				return true
			}
		}
		for _, e := range s.Embedded {
			if strings.EqualFold(e, leaf.name) && strings.HasPrefix(name, e+".") {
				return true
			}
		}
	}
	return false
}

// constant returns the text that all rows of the group have in a column, nil if it is not
// one; null says that none has any. What statistics say is looked at in the pages, which
// are small then: they do not tell whether rows lack the column.
func (p *parquetRows) constant(part *parquetPart, leaf int) (text []byte, null bool) {
	l := &part.leaves[leaf]
	if l.index < 0 {
		return l.constant, l.constant == nil
	}
	s := &part.group.Columns[l.index].MetaData.Statistics
	if l.repeats || !bytes.Equal(s.MinValue, s.MaxValue) || l.sourceField().read == readTime {
		return nil, false
	}
	var c parquetColumn
	c.open(part, leaf, nil)
	for c.left > 0 {
		if c.nextPage(&p.codec) != nil {
			return nil, false // reading the column says why
		}
		highest := uint32(l.levels)
		switch {
		case c.stored == storedIndexes && c.dict.size == 1 && (highest == 0 || c.levels.All(c.rows, highest)):
			if null {
				return nil, false
			}
		case highest > 0 && c.levels.All(c.rows, 0) && text == nil:
			null = true
			continue
		default:
			return nil, false
		}
		c.held, c.indexes, c.values.text = heldIndexes, []uint32{0}, c.dict.text
		switch c.dict.held {
		case heldInts:
			text = l.appendInt(nil, c.dict.ints[0])
		case heldTexts:
			text = bytes.Clone(c.textAt(0))
		default:
			return nil, false
		}
	}
	return text, null
}

// slotsRead returns which slots anyone reads: those of conditions and of wanted columns.
func (d *sourceDecoder) slotsRead(out *columnar.Out) []bool {
	read := make([]bool, len(d.slots))
	conditions := func(where []condition) {
		for _, c := range where {
			read[c.slot] = true
			if c.Around != "" {
				read[c.inner] = true
			}
		}
	}
	fields := func(row *sourceRow, b *columnar.Builder, fields *[columnar.NumCols]*sourceField) {
		for c, f := range fields {
			c := columnar.Col(c)
			ends := row.outside && (c == columnar.SrcIP || c == columnar.DstIP || c == columnar.DstPort)
			if c != columnar.Time && !ends && !b.Wants(c) && !(c == columnar.Query && b.Wants(columnar.Domain)) {
				continue
			}
			for ; f != nil; f = f.otherwise {
				conditions(f.where)
				for _, slot := range slices.Concat(f.slots, f.join, f.unlike, []int{f.dateSlot, f.zoneSlot, f.times}) {
					if slot >= 0 {
						read[slot] = true
					}
				}
			}
		}
	}
	for i := range d.rows {
		row := &d.rows[i]
		conditions(row.where)
		conditions(row.swap)
		if row.table == nil {
			continue
		}
		b := out.Table(row.table)
		fields(row, b, &row.fields)
		fields(row, b, &row.swapped)
		for slot, s := range d.slots {
			read[slot] = read[slot] || s.kept != "" && b.WantsField(s.kept)
		}
	}
	return read
}
