package logs

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"outflow/columnar"
	"outflow/columnar/pages"
	"outflow/columnar/scan"
)

// Rows of Parquet files as records of a source: the columns of the file that a source names
// fill its window.

// leaves reports whether the source recognises a file by the names of its columns: one sniff
// of the source must find all its keys. A sniff that asks for more than keys never does; such
// files are read if --format or the input's format names the source.
func (s *Source) leaves(names []string) bool {
	return slices.ContainsFunc(s.Sniff, func(sniff Sniff) bool {
		return len(sniff.Keys) > 0 && len(sniff.Values) == 0 && sniff.First == "" && !slices.ContainsFunc(sniff.Keys, func(key string) bool {
			return !slices.ContainsFunc(names, func(name string) bool {
				return strings.EqualFold(name, key) || len(name) > len(key) && strings.EqualFold(name[:len(key)], key) && name[len(key)] == '.'
			})
		})
	})
}

// parquet returns the format of a Parquet file, and what takes the place of Format.Split.
func (r *reader) parquet(at io.ReaderAt) (*Format, func(*Options, func(*Block) error) error) {
	file, err := openParquet(at, r.object.Size)
	if err != nil {
		return Parquet, func(*Options, func(*Block) error) error { return err }
	}
	format, split := r.ofColumns(file), splitSource
	if format == Parquet {
		split = splitFile
	}
	return format, func(o *Options, yield func(*Block) error) error { return split(file, at, o, yield) }
}

// ofColumns returns the format of a Parquet file: the source that is asked for, or one whose
// columns it has, else Parquet.
func (r *reader) ofColumns(file *parquet.File) *Format {
	switch {
	case r.Format != nil && r.Format.Leaves != nil:
		return r.Format
	case r.Format != nil || r.Options.Mapping != nil:
		return Parquet
	}
	var names []string
	for _, leaf := range sourceLeaves(file, r.object.Table) {
		names = append(names, leaf.name)
	}
	return cmp.Or(r.Formats.first(func(f *Format) bool { return f.Leaves != nil && f.Leaves(names) }), Parquet)
}

// splitSource is splitFile for a source.
func splitSource(f *parquet.File, r io.ReaderAt, o *Options, yield func(*Block) error) error {
	return splitGroups(f, &parquetPart{file: r, size: f.Size(), leaves: sourceLeaves(f, o.Table)}, o, yield)
}

// sourceLeaves returns the columns of a file: those in lists and maps behind the others.
func sourceLeaves(f *parquet.File, t *InTable) []parquetLeaf {
	leaves := inTable(appendLeaves(nil, f.Root()), f.Root(), t)
	var names map[int]string
	if t != nil {
		names = t.namesOf(f.Root())
	}
	for _, l := range appendLists(nil, f.Root()) {
		path := strings.Split(l.name, ".")
		if t != nil {
			name, ok := names[l.index]
			if path = strings.Split(name, "."); !ok {
				continue
			}
		}
		if len(path) < l.after { // names with dots, which nobody can tell from paths
			continue
		}
		l.element = strings.Join(path[:l.before], ".") + l.kind
		rest := path[l.after:]
		if l.nested = l.inner > 0; l.nested {
			rest = rest[:min(l.inner-l.after, len(rest))]
		}
		if len(rest) > 0 {
			l.element += "." + strings.Join(rest, ".")
		}
		if l.nested {
			l.element += "[]"
		}
		l.parquetLeaf.name = l.element
		leaves = append(leaves, l.parquetLeaf)
	}
	return leaves
}

// A listLeaf is a column of the elements of a list or map: of its path the first before
// names lead to that, and those from after on are within an element.
type listLeaf struct {
	parquetLeaf
	before, after int
	inner         int    // not 0: so many names lead to a list that is in this one, whose columns are not read
	kind          string // "[]", or of a map "{key}" and "{}"
}

// appendLists appends the leaves below c that are in one list or map.
func appendLists(lists []listLeaf, c *parquet.Column) []listLeaf {
	for _, child := range c.Columns() {
		if !child.Repeated() {
			lists = appendLists(lists, child)
			continue
		}
		depth := len(child.Path())
		in := listLeaf{before: depth, after: depth, kind: "[]"} // a repeated field
		switch within := child.Columns(); {
		case len(within) == 2 && len(c.Columns()) == 1 && within[0].Name() == "key" && within[1].Name() == "value":
			in = listLeaf{before: depth - 1, after: depth + 1, kind: "{}"}
		case len(within) == 1 && len(c.Columns()) == 1 && child.Name() != "array":
			in = listLeaf{before: depth - 1, after: depth + 1, kind: "[]"} // a.list.element
		case len(c.Columns()) == 1 && slices.Contains([]string{"array", "list", "bag"}, child.Name()):
			in = listLeaf{before: depth - 1, after: depth, kind: "[]"} // a.array
		}
		if in.before > 0 {
			lists = in.below(lists, child)
		}
	}
	return lists
}

// below appends the leaves below an element that have one value in each, and for each list
// in it one leaf that stands for that.
func (in listLeaf) below(lists []listLeaf, c *parquet.Column) []listLeaf {
	if c.MaxRepetitionLevel() > 1 {
		in.inner = len(c.Path())
		if slices.Contains([]string{"list", "bag", "array", "key_value"}, c.Name()) {
			in.inner--
		}
		for !c.Leaf() {
			if len(c.Columns()) == 0 {
				return lists
			}
			c = c.Columns()[0]
		}
		in.parquetLeaf = leafOf(c)
		return append(lists, in)
	}
	if c.Leaf() {
		in.parquetLeaf = leafOf(c)
		if in.kind == "{}" && c.Name() == "key" && len(c.Path()) == in.after {
			in.kind = "{key}"
		}
		return append(lists, in)
	}
	for _, child := range c.Columns() {
		lists = in.below(lists, child)
	}
	return lists
}

// parquetRows reads the rows of row groups into a source's window.
type parquetRows struct {
	codec   pages.Codec
	columns []*rowColumn
	lists   []*rowList
	celled  bool // lists or JSON fill cells of the window
	unread  []Reason
	rows    []sourceRow // those of the source, for any file
	places  []int32     // of the rows of the window: which record, -1 if the row is deleted
	windows uint32      // how many there have been
	side    *window     // records one by one
}

// A rowList is a map, or a list. Some elements of a list stand in slots.
type rowList struct {
	values, keys elements // keys: of a map
	isMap        bool
	wants        []listSlot   // of a map: those of one key next to each other
	known        []keyedWants // by value of the dictionary of keys
}

// keyedWants are which wants of a map have a key.
type keyedWants struct {
	looked   bool // else it is not known yet
	from, to int32
}

// A listSlot wants an element of a list, or of a map.
type listSlot struct {
	slot  int
	index int    // -1: the first that says something
	key   string // of a map
}

// elements are the values of a column in lists, one after another.
type elements struct {
	parquetColumn
	levels   []uint32 // of repetition
	at, many int      // of those that are loaded
}

// sourceWindow is how many rows a window has at most if they have cells, as those of lists do:
// as many as records of text.
const sourceWindow = windowRecords

// group decodes a row group.
func (d *sourceDecoder) group(b *Block, out *columnar.Out, t *Tally) error {
	part, first := b.Part.(*parquetPart), b.First
	if d.parquet == nil {
		d.parquet = &parquetRows{side: newWindow(d.w.slots), rows: d.rows}
	}
	if err := d.parquet.narrow(d, part); err != nil {
		return fmt.Errorf("row group %d: %w", part.index, err)
	}
	var done int64
	err := d.groupRows(part, first, &done, out, t)
	return part.finish(first, done, d.parquet.unread, err, t)
}

func (d *sourceDecoder) groupRows(part *parquetPart, first int64, done *int64, out *columnar.Out, t *Tally) error {
	d.set.outer = outerTimes{}
	if err := d.parquet.open(d, part, first, out); err != nil {
		return err
	}
	for *done < part.group.NumRows {
		n, err := d.parquet.window(d, part, first+*done, part.group.NumRows-*done, t)
		if err != nil {
			return err
		}
		d.rowsOfWindow(out, t)
		*done += int64(n)
	}
	return nil
}

// rowsOfWindow is rowsOf, which copies texts, of a bounded amount of text at a time: many
// rows can share one text of a dictionary.
func (d *sourceDecoder) rowsOfWindow(out *columnar.Out, t *Tally) {
	if d.parquet.textSize(d.w) <= parquetWindowText {
		d.rowsOf(out, t)
		return
	}
	all := d.w
	one := d.parquet.side
	one.data, one.side, one.columns, one.n = all.data, all.side, all.columns, 1
	d.w = one
	for i := range all.n {
		one.records, one.from = all.records[i:i+1], i
		if one.cells = nil; len(all.cells) > 0 {
			one.cells = all.cells[i*all.slots : (i+1)*all.slots]
		}
		d.rowsOf(out, t)
	}
	d.w = all
}

// textSize returns how much text the records of the window have, in bytes. Unless that is too
// much, it may return more.
func (p *parquetRows) textSize(w *window) (size int) {
	most := w.longest * len(w.cells)
	for _, c := range p.columns {
		most += c.mostText(w.n)
	}
	if most <= parquetWindowText {
		return most
	}
	for _, c := range p.columns {
		for i := range w.n {
			size += len(c.textOf(i))
		}
	}
	for _, c := range w.cells {
		size += int(c.End - c.Begin)
	}
	return size
}

// open makes those columns of a row group ready that anyone reads.
func (p *parquetRows) open(d *sourceDecoder, part *parquetPart, first int64, out *columnar.Out) (err error) {
	defer pages.Recovered("row group", &err)
	p.columns, p.lists, p.unread, p.celled = p.columns[:0], p.lists[:0], p.unread[:0], false
	read := d.slotsRead(out)
	w := d.w
	w.columns = slices.Grow(w.columns[:0], len(d.slots))[:len(d.slots)]
	clear(w.columns)
	for i, leaf := range part.leaves {
		if leaf.element != "" {
			p.openList(d, part, i, read, first)
			continue
		}
		n := len(p.columns)
		p.columns = slices.Grow(p.columns, 1)[:n+1]
		if p.columns[n] == nil {
			p.columns[n] = new(rowColumn)
		}
		c := p.columns[n] // with the buffers that it has from other row groups
		p.columns = p.columns[:n]
		c.json, c.isNew = nil, true
		used := false
		for slot, s := range d.slots {
			if read[slot] && part.leafOf(s) == i {
				w.columns[slot], used = c, true
			}
		}
		for _, e := range d.source.Embedded {
			if !strings.EqualFold(e, leaf.name) {
				continue
			}
			if c.json, err = d.embeddedNode(e, read); err != nil {
				return err
			}
		}
		if !used && c.json == nil {
			continue
		}
		p.celled = p.celled || c.json != nil
		c.parquetColumn.open(part, i, leaf.sourceField())
		p.columns = p.columns[:n+1]
		if leaf.index < 0 {
			continue
		}
		if _, isNull := leaf.logical.(*format.NullType); isNull {
			c.openEmpty(part.group.NumRows)
		} else if err := leaf.readable(leaf.sourceField()); err != nil {
			p.leaveOut(&c.parquetColumn, err, part.group.NumRows, first)
		}
	}
	p.celled = p.celled || len(p.lists) > 0
	d.readByColumns(part)
	return nil
}

// sourceField returns how the values of a leaf are loaded: times as such, the others as
// they are.
func (l *parquetLeaf) sourceField() *field {
	switch l.logical.(type) {
	case *format.TimestampType, *format.DateType:
		f := newField(columnar.Time, -1)
		return &f
	}
	if l.kind == parquet.Int96 {
		f := newField(columnar.Time, -1)
		return &f
	}
	f := newField(columnar.User, -1)
	return &f
}

// openList makes a column of a list ready, or of a map, if anyone reads it.
func (p *parquetRows) openList(d *sourceDecoder, part *parquetPart, i int, read []bool, first int64) {
	leaf := &part.leaves[i]
	list, isMap := strings.CutSuffix(leaf.element, "{}")
	l := &rowList{isMap: isMap}
	var why error // something that a slot wants is not read
	for slot, s := range d.slots {
		if !read[slot] {
			continue
		}
		if isMap {
			if len(s.name) > len(list) && strings.EqualFold(s.name[:len(list)], list) && s.name[len(list)] == '.' {
				l.wants = append(l.wants, listSlot{slot: slot, index: -1, key: s.name[len(list)+1:]})
			}
			continue
		}
		name, which := elementOf(s.name)
		index, err := -1, error(nil)
		if which != "" {
			index, err = strconv.Atoi(which)
		}
		switch {
		case leaf.nested:
			if len(name) >= len(leaf.element) && strings.EqualFold(name[:len(leaf.element)], leaf.element) {
				why = errors.New("a list in a list")
			}
		case !strings.EqualFold(name, leaf.element):
		case err != nil:
			why = errors.New("a list whose elements are found by their number alone")
		default:
			l.wants = append(l.wants, listSlot{slot: slot, index: index})
		}
	}
	keys := -1
	if isMap {
		keys = slices.IndexFunc(part.leaves, func(k parquetLeaf) bool { return k.element == list+"{key}" })
	}
	switch err := leaf.readable(leaf.sourceField()); {
	case len(l.wants) == 0:
	case err != nil:
		why, l.wants = err, nil
	case isMap && (keys < 0 || part.leaves[keys].kind != parquet.ByteArray):
		why, l.wants = errors.New("a map whose keys are no texts"), nil
	}
	if why != nil {
		p.unreadColumn(leaf, why, part.group.NumRows, first)
	}
	if len(l.wants) == 0 {
		return
	}
	l.values.open(part, i, leaf.sourceField())
	if isMap {
		slices.SortStableFunc(l.wants, func(a, b listSlot) int { return strings.Compare(a.key, b.key) })
		l.keys.open(part, keys, nil)
	}
	p.lists = append(p.lists, l)
}

// leaveOut makes a column one without a value, as parquetDecoder.leaveOut.
func (p *parquetRows) leaveOut(c *parquetColumn, why error, rows, first int64) {
	p.unreadColumn(c.leaf, why, rows, first)
	c.openEmpty(rows)
}

// unreadColumn says that values of a column are not read, from row first on.
func (p *parquetRows) unreadColumn(leaf *parquetLeaf, why error, rows, first int64) {
	p.unread = append(p.unread, Reason{Text: "column " + strconv.Quote(leaf.name) + " left out: it is " + why.Error(), Count: rows, First: first})
}

// elementOf returns the name of a leaf in a list for that of a slot, and which element the slot
// wants: for a[2].b a[].b and 2.
func elementOf(name string) (leaf, which string) {
	before, rest, ok := strings.Cut(name, "[")
	if !ok {
		return name, ""
	}
	which, rest, _ = strings.Cut(rest, "]")
	rest, _ = elementOf(rest)
	return before + "[]" + rest, which
}

// window reads the next rows of a row group into the window of d and returns how many they
// are. The group has left more rows.
func (p *parquetRows) window(d *sourceDecoder, part *parquetPart, record, left int64, t *Tally) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", pages.ErrDamaged, r)
		}
	}()
	if n = int(min(left, parquetWindow)); p.celled {
		n = min(n, sourceWindow)
	}
	for _, c := range p.columns {
		if c.rows == 0 {
			err := c.nextPage(&p.codec)
			if errors.Is(err, pages.ErrUnread) {
				p.leaveOut(&c.parquetColumn, err, left, record)
			} else if err != nil {
				return 0, fmt.Errorf("column %q: %w", c.leaf.name, err)
			}
		}
		n = min(n, c.rows)
	}
	p.windows++
	w := d.w
	w.reset(nil, record, t)
	w.side = append(w.side, 0) // no text begins at 0
	w.longest = 0
	p.places = p.places[:0]
	deleted := 0
	if part.deleted == nil || !part.deleted.any(record-1, int64(n)) {
		for i := range n {
			p.places = append(p.places, int32(i))
		}
		w.beginMany(record, n, p.celled)
	} else {
		for i := range n {
			if part.deleted.has(record - 1 + int64(i)) {
				p.places = append(p.places, -1)
				deleted++
				continue
			}
			p.places = append(p.places, int32(w.n))
			w.begin(record + int64(i))
		}
	}
	for _, c := range p.columns {
		if err := c.load(n, &d.set.clock); err != nil {
			return 0, fmt.Errorf("column %q: %w", c.leaf.name, err)
		}
		c.take(p.places, w.n)
		if c.json != nil {
			c.readJSON(w, p.places, p.windows)
		}
	}
	for i := 0; i < len(p.lists); i++ {
		l := p.lists[i]
		err := l.fill(w, p.places, &p.codec, &d.set.clock)
		if errors.Is(err, pages.ErrUnread) {
			p.unreadColumn(l.values.leaf, err, left, record)
			p.lists = slices.Delete(p.lists, i, i+1)
			i--
		} else if err != nil {
			return 0, fmt.Errorf("column %q: %w", l.values.leaf.name, err)
		}
	}
	w.data = w.side
	if deleted > 0 {
		t.known(deletedRows, int64(deleted))
	}
	return n, nil
}

// readJSON gives the records of the window what stands in the column's texts, which are JSON.
func (c *rowColumn) readJSON(w *window, places []int32, window uint32) {
	if c.shared && len(c.memo) < c.dict.size {
		c.memo = slices.Grow(c.memo, c.dict.size-len(c.memo))[:c.dict.size]
	}
	value := -1
	for i, place := range places {
		if c.valid != nil && !c.valid[i] {
			continue
		}
		if value++; place < 0 {
			continue
		}
		var span columnar.Span
		if c.shared {
			m := &c.memo[c.indexes[value]]
			if m.window != window {
				m.window, m.span = window, w.hold(&c.parquetColumn, value)
			}
			span = m.span
		} else {
			span = w.hold(&c.parquetColumn, value)
		}
		// Note: what is put goes behind the text, which may move.
		n := w.n
		w.n = int(place) + 1
		c.json.embedded(w.side[span.Begin:span.End], w, false)
		w.n = n
	}
}

// hold copies a value of a column into the window as text. Its span is one of what
// becomes window.data once all columns are in: texts that stand there need no copy.
func (w *window) hold(c *parquetColumn, value int) columnar.Span {
	begin := uint32(len(w.side))
	w.side = c.appendText(w.side, value)
	w.longest = max(w.longest, len(w.side)-int(begin))
	return columnar.Span{Begin: begin, End: uint32(len(w.side))}
}

// appendText appends a value as text.
func (c *parquetColumn) appendText(dst []byte, value int) []byte {
	switch c.held {
	case heldIndexes, heldTexts:
		return append(dst, c.textAt(value)...)
	}
	return c.values.appendNumber(dst, c.leaf, value)
}

// appendNumber appends a value that is not a text; a time as µs, which clocks know by their
// size.
func (v *values) appendNumber(dst []byte, leaf *parquetLeaf, value int) []byte {
	switch v.held {
	case heldFloats:
		return strconv.AppendFloat(dst, v.floats[value], 'f', -1, 64)
	case heldTimes:
		if v.ints[value] == noTime {
			return dst
		}
		return strconv.AppendInt(dst, v.ints[value], 10)
	}
	return leaf.appendInt(dst, v.ints[value])
}

// more reports whether an element follows, and whether it begins a row.
func (e *elements) more(codec *pages.Codec, clock *scan.Clock) (more, begins bool, err error) {
	if e.at == e.many {
		if e.rows == 0 {
			if e.left == 0 {
				return false, false, nil
			}
			if err := e.nextPage(codec); err != nil {
				return false, false, err
			}
		}
		e.at, e.many = 0, min(e.rows, sourceWindow)
		e.levels = slices.Grow(e.levels[:0], e.many)[:e.many]
		if err := e.repeats.Read(e.levels); err != nil {
			return false, false, fmt.Errorf("repetition levels: %w", err)
		}
		if err := e.load(e.many, clock); err != nil {
			return false, false, err
		}
	}
	return true, e.levels[e.at] == 0, nil
}

// fill gives the records of the window the elements that are wanted.
func (l *rowList) fill(w *window, places []int32, codec *pages.Codec, clock *scan.Clock) error {
	for _, place := range places {
		for k := 0; ; k++ {
			more, begins, err := l.values.more(codec, clock)
			if err == nil && l.isMap {
				keyed, alike, keyErr := l.keys.more(codec, clock)
				if err = keyErr; err == nil && (keyed != more || alike != begins) {
					err = fmt.Errorf("%w: keys without values", pages.ErrDamaged)
				}
			}
			if err != nil {
				return err
			}
			if k > 0 && (!more || begins) {
				break
			}
			if !more || !begins && k == 0 {
				return fmt.Errorf("%w: a row without its list", pages.ErrDamaged)
			}
			l.values.at++
			value, key := l.values.take(), -1
			if l.isMap {
				l.keys.at++
				if key = l.keys.take(); key < 0 {
					continue
				}
			}
			if value < 0 || place < 0 {
				continue
			}
			l.put(w, int(place), k, value, key)
		}
	}
	return nil
}

// wanted returns the slots that want an element. For an element of a map, key is the place of
// its key in keys.
func (l *rowList) wanted(key int) []listSlot {
	if !l.isMap {
		return l.wants
	}
	var k keyedWants
	if l.keys.held != heldIndexes {
		k = l.keyed(key)
		return l.wants[k.from:k.to]
	}
	if more := l.keys.dict.size - len(l.known); more > 0 {
		l.known = append(l.known, make([]keyedWants, more)...)
	}
	if k = l.known[l.keys.indexes[key]]; !k.looked {
		k = l.keyed(key)
		l.known[l.keys.indexes[key]] = k
	}
	return l.wants[k.from:k.to]
}

// keyed finds which wants have a key.
func (l *rowList) keyed(key int) keyedWants {
	text := l.keys.textAt(key)
	from := slices.IndexFunc(l.wants, func(want listSlot) bool { return want.key == string(text) })
	to := max(from, 0)
	from = to
	for to < len(l.wants) && l.wants[to].key == string(text) {
		to++
	}
	return keyedWants{true, int32(from), int32(to)}
}

// put gives a record the kth element of its list where that is wanted.
func (l *rowList) put(w *window, record, k, value, key int) {
	for _, want := range l.wanted(key) {
		at := record*w.slots + want.slot
		if w.cells[at] != (columnar.Span{}) || want.index >= 0 && want.index != k {
			continue
		}
		span := w.hold(&l.values.parquetColumn, value)
		if want.index < 0 && scan.Unknown(w.side[span.Begin:span.End]) {
			w.side = w.side[:span.Begin]
			continue
		}
		w.cells[at] = span
	}
}
