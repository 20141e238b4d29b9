package logs

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"

	"outflow/columnar"
	"outflow/columnar/iceberg"
	"outflow/columnar/pages"
	"outflow/columnar/scan"
)

// This file reads Parquet files that belong to a table: by the table's current columns, and
// without the rows that it has deleted.

// An InTable says what a table knows of one of its data files.
type InTable struct {
	Schema *iceberg.Schema
	File   *iceberg.File
	// Deletes are the files that may list deleted rows of it. The decoder that opens
	// them closes them.
	Deletes []func() (SizedReaderAt, error)
}

// A SizedReaderAt is a ReaderAtCloser that knows how many bytes it has.
type SizedReaderAt interface {
	ReaderAtCloser
	Size() int64
}

// TimesOf says for a table which of its columns the decoder takes for the time.
func TimesOf(o *Options) iceberg.Times {
	m := o.Mapping
	if m == nil {
		m = &Mapping{}
	}
	t := iceberg.Times{
		Columns: func(names []string) []int {
			sources := newResolver(m, names).sources(columnar.Time)
			return slices.DeleteFunc(sources, func(i int) bool { return i < 0 })
		},
		Micros: func(v int64) (int64, bool) {
			var clock scan.Clock
			ints := []int64{v}
			toMicros(ints, m.Columns[columnar.Time].Time, &clock)
			return ints[0], ints[0] != noTime && clock.Within(ints[0])
		},
	}
	if o.Zone != nil && o.Zone != time.UTC {
		t.Zone = farthestZone
	}
	return t
}

// farthestZone is how far from UTC clocks are set, at most.
const farthestZone = 15 * time.Hour

// inTable returns the columns of the table that a file belongs to: those of the file,
// which it knows by their ids, under their current names, and those that the file lacks.
// Columns that the table has dropped are not among them.
func inTable(leaves []parquetLeaf, root *parquet.Column, t *InTable) []parquetLeaf {
	if t == nil {
		return leaves
	}
	names := t.namesOf(root)
	out := leaves[:0]
	has := map[string]bool{}
	for _, leaf := range leaves {
		name, ok := names[leaf.index]
		if !ok {
			continue
		}
		leaf.name = name
		has[name] = true
		out = append(out, leaf)
	}
	for _, c := range t.Schema.Columns {
		if has[c.Name] {
			continue
		}
		leaf := parquetLeaf{name: c.Name, index: -1, kind: parquet.ByteArray}
		if text, ok := t.File.Constants[c.ID]; ok {
			leaf.constant = []byte(text)
		} else if c.HasDefault {
			leaf.constant = []byte(c.Default)
		}
		out = append(out, leaf)
	}
	return out
}

// namesOf returns the current names of those columns of a file that the table has, by index.
func (t *InTable) namesOf(root *parquet.Column) map[int]string {
	w := tableWalk{schema: t.Schema, names: map[int]string{}}
	w.byName = !hasIDs(root) && !t.Schema.HasMapping()
	w.walk(root, "", "")
	return w.names
}

// hasIDs reports whether a file says the ids of its columns.
func hasIDs(c *parquet.Column) bool {
	for _, child := range c.Columns() {
		if child.ID() > 0 || hasIDs(child) {
			return true
		}
	}
	return false
}

// A tableWalk finds the current names of the columns of a file.
type tableWalk struct {
	schema *iceberg.Schema
	byName bool
	names  map[int]string // by index of the column
}

func (w *tableWalk) walk(c *parquet.Column, path, current string) {
	for _, child := range c.Columns() {
		id, name, ok := child.ID(), child.Name(), true
		in := path + child.Name()
		switch {
		case w.byName:
		case id > 0:
			name, ok = w.schema.Name(id)
		default:
			if id, ok = w.schema.Mapped(in); ok {
				name, ok = w.schema.Name(id)
			} else if ok = !child.Leaf(); ok { // a wrapper of a list or map
				name = child.Name()
			}
		}
		if !ok {
			continue
		}
		if child.Leaf() {
			w.names[child.Index()] = current + name
		} else {
			w.walk(child, in+".", current+name+".")
		}
	}
}

// deletedRows is the name of the rows that a table has deleted, among the other records.
const deletedRows = "deleted rows of the table"

// maxDeletable is how many rows a file may have if its table has deleted some of them: a bit
// is kept for each row. Writers make files of a few million rows.
const maxDeletable = 1 << 28

// A rowSet is a set of rows of a file, by position; nil is empty.
type rowSet []uint64

func (s rowSet) has(row int64) bool {
	return row>>6 < int64(len(s)) && s[row>>6]>>(row&63)&1 != 0
}

// any reports whether any of n rows is in the set.
func (s rowSet) any(from, n int64) bool {
	for row := from; row < from+n && row>>6 < int64(len(s)); {
		if w := s[row>>6] >> (row & 63); w != 0 {
			return int64(bits.TrailingZeros64(w)) < from+n-row
		}
		row = (row | 63) + 1
	}
	return false
}

// deleted reads which of the rows of a data file the table has deleted.
func (t *InTable) deleted(rows int64) (rowSet, error) {
	if t == nil || len(t.Deletes) == 0 {
		return nil, nil
	}
	if rows > maxDeletable {
		return nil, fmt.Errorf("has %d rows, and the table has deleted some of them: files with deleted rows are read up to %d rows", rows, maxDeletable)
	}
	var set rowSet
	for i, open := range t.Deletes {
		at, err := open()
		if err == nil {
			set, err = t.readDeletes(at, set, rows)
			at.Close()
		}
		if err != nil {
			return nil, fmt.Errorf("deletes in %s: %w", t.File.Deletes[i], err)
		}
	}
	return set, nil
}

// readDeletes adds the rows that a file of deletes lists of the data file.
func (t *InTable) readDeletes(file SizedReaderAt, set rowSet, rows int64) (_ rowSet, err error) {
	defer pages.Recovered("read deletes", &err)
	f, err := openParquet(file, file.Size())
	if err != nil {
		return nil, err
	}
	part := parquetPart{file: file, size: file.Size(), plan: &plan{}, leaves: appendLeaves(nil, f.Root())}
	path, position := -1, -1
	columns := 0
	for i := range part.leaves {
		l := &part.leaves[i]
		columns = max(columns, l.index+1)
		switch {
		case l.name == "file_path" && l.kind == parquet.ByteArray:
			path = i
		case l.name == "pos" && l.kind == parquet.Int64:
			position = i
		}
	}
	if path < 0 || position < 0 {
		return nil, errors.New("want the columns file_path and pos")
	}
	want := []byte(t.File.Path)
	var codec pages.Codec
	var paths, positions parquetColumn
	groups := f.Metadata().RowGroups
	for i := range groups {
		part.group, part.index = &groups[i], i
		if len(part.group.Columns) < columns {
			return nil, fmt.Errorf("row group %d: %w", i, pages.ErrDamaged)
		}
		paths.open(&part, path, nil)
		positions.open(&part, position, nil)
		for left := part.group.NumRows; left > 0; {
			for _, c := range []*parquetColumn{&paths, &positions} {
				if c.rows == 0 {
					if err := c.nextPage(&codec); err != nil {
						return nil, err
					}
				}
			}
			n := int(min(left, parquetWindow, int64(paths.rows), int64(positions.rows)))
			for _, c := range []*parquetColumn{&paths, &positions} {
				if err := c.load(n, nil); err != nil {
					return nil, err
				}
				if c.valid != nil {
					return nil, fmt.Errorf("%s is null: %w", c.leaf.name, pages.ErrDamaged)
				}
			}
			for k := range n {
				if !bytes.Equal(paths.textAt(k), want) {
					continue
				}
				row := positions.ints[k]
				if row < 0 || row >= rows {
					return nil, fmt.Errorf("row %d of a file of %d rows", row, rows)
				}
				if set == nil {
					set = make(rowSet, (rows+63)/64)
				}
				set[row>>6] |= 1 << (row & 63)
			}
			left -= int64(n)
		}
	}
	return set, nil
}

// textAt returns the text of a value.
func (c *parquetColumn) textAt(value int) []byte {
	span := columnar.Span{}
	if c.held == heldIndexes {
		span = c.dict.spans[c.indexes[value]]
	} else {
		span = c.spans[value]
	}
	return c.text[span.Begin:span.End]
}
