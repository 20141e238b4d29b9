package logs

import (
	"bytes"
	"math/bits"
	"slices"
	"time"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// How a source's fields become the values of a column: times, numbers and texts.

// spansOf finds the texts of a field that is in place, into d.spans, and returns what they
// stand in. It returns false if they do not stand in one text.
func (d *sourceDecoder) spansOf(f *sourceField, records []int32) (data []byte, ok bool) {
	w := d.w
	d.spans = slices.Grow(d.spans[:0], len(records))[:len(records)]
	if w.columns != nil {
		if len(f.slots) > 1 || w.columns[f.slots[0]] == nil {
			return nil, false
		}
		data = w.columns[f.slots[0]].spansOf(d.spans, records, w.from)
	} else {
		if data = w.data; len(f.slots) == 1 && !f.named { // most
			cells := w.cells[f.slots[0]:]
			for k, i := range records {
				s := cells[int(i)*w.slots]
				if s.Begin&inSide != 0 {
					return nil, false
				}
				if scan.Unknown(data[s.Begin:s.End]) {
					s = columnar.Span{}
				}
				d.spans[k] = s
			}
		} else if !d.firstSpans(f, records) {
			return nil, false
		}
	}
	if !f.direct {
		for k, s := range d.spans {
			if s.Begin < s.End {
				text := data[s.Begin:s.End]
				if f.part == partUser && scan.EscapedUser(text) {
					return nil, false
				}
				d.spans[k] = spanOf(data, d.within(f, text))
			}
		}
	}
	return data, true
}

// firstSpans finds the first texts of a field's slots that say something, as spansOf.
func (d *sourceDecoder) firstSpans(f *sourceField, records []int32) bool {
	w := d.w
	for k, i := range records {
		cells := w.cells[int(i)*w.slots:][:w.slots]
		d.spans[k] = columnar.Span{}
		for _, slot := range f.slots {
			s := cells[slot]
			if s.Begin&inSide != 0 {
				return false
			}
			if text := w.data[s.Begin:s.End]; !scan.Unknown(text) && !(f.named && columnar.IsNobody(text)) {
				d.spans[k] = s
				break
			}
		}
	}
	return true
}

// times reads the times of the selected records into d.ints, skips those without one,
// and returns the others.
func (d *sourceDecoder) times(t *Tally) []int32 {
	d.ints = d.ints[:0]
	kept := d.selected[:0]
	f, same := d.sameField(columnar.Time)
	for _, i := range d.selected {
		if !same {
			f = d.fieldOf(columnar.Time, i)
		}
		us, reason := d.time(f, int(i))
		if reason != "" {
			t.Skip(d.w.records[i], reason)
			continue
		}
		kept = append(kept, i)
		d.ints = append(d.ints, us)
	}
	return kept
}

func (d *sourceDecoder) time(f *sourceField, i int) (us int64, reason string) {
	if v, ok := d.number(f, i); ok && v >= 0 {
		if us, ok := d.set.clock.EpochOf(v); ok {
			return us, ""
		}
	}
	text, _ := d.textOf(f, i)
	var date []byte
	if f.dateSlot >= 0 {
		date = d.w.text(i, f.dateSlot)
	}
	zoned := false
	if f.zoneSlot >= 0 && lacksZone(text) {
		if zone := d.w.text(i, f.zoneSlot); !scan.Unknown(zone) {
			d.joined = append(d.joined[:0], text...)
			if zoned = zone[0]|0x20-'a' < 26; zoned { // its name
				d.joined = append(d.joined, ' ')
			}
			d.joined = append(d.joined, zone...)
			text = d.joined
		}
	}
	if f.unit == "" {
		us, ok := d.set.clock.UTC(text)
		if !ok && date != nil {
			us, ok = d.set.clock.DateAndTime(date, text)
		}
		if ok {
			return us, ""
		}
	}
	// Records of one second follow each other.
	if len(d.lastTime) > 0 && date == nil && bytes.Equal(text, d.lastTime) {
		return d.lastUS, ""
	}
	if us, ok := d.sameDay(f, text); ok && date == nil {
		d.lastTime, d.lastUS = append(d.lastTime[:0], text...), us
		return us, ""
	}
	us, reason = d.set.timeOf(&f.field, text, date)
	if own := bytes.LastIndexByte(text, ' '); reason != "" && zoned && own > 0 {
		us, reason = d.set.timeOf(&f.field, text[:own], date)
	}
	if reason != "" && reason != withoutTime {
		us, reason = d.plainTime(text, reason)
	}
	if reason == "" {
		d.lastTime, d.lastOf, d.lastUS = append(d.lastTime[:0], text...), f, us
	}
	if date != nil {
		d.lastTime = d.lastTime[:0]
	}
	us, reason = d.set.orOuter(d.w.records[i], us, reason)
	return us, reason
}

// lacksZone reports whether a text has a time of day, and no zone behind it.
func lacksZone(text []byte) bool {
	clock := bytes.IndexByte(text, ':')
	return clock >= 0 && !bytes.ContainsAny(text[clock:], "+-Zz")
}

// sameDay reads a time that differs from the last one in nothing but the time of day.
func (d *sourceDecoder) sameDay(f *sourceField, text []byte) (us int64, ok bool) {
	at, behind := f.clockAt, f.clockAt+len("15:04:05")
	if at < 0 || f != d.lastOf || len(text) != len(d.lastTime) || len(text) < behind || !f.zoned && d.set.clock.Zone != nil && d.set.clock.Zone != time.UTC {
		return 0, false
	}
	if !bytes.Equal(text[:at], d.lastTime[:at]) || !bytes.Equal(text[behind:], d.lastTime[behind:]) || text[at+6] > '5' {
		return 0, false
	}
	day, ok1 := scan.TimeOfDay(text[at:])
	last, ok2 := scan.TimeOfDay(d.lastTime[at:])
	us = d.lastUS + day - last
	return us, ok1 && ok2 && day < scan.Day && d.set.clock.Within(us) // layouts have no 24:00:00
}

// plainTime reads a time that is not written as the source says, but as an epoch, in
// ISO 8601 or with the name of its month: what a vendor's feed writes may be set. Else it returns reason.
func (d *sourceDecoder) plainTime(text []byte, reason string) (int64, string) {
	us, ok := d.set.clock.ISO(text)
	if n, isInt := scan.Int(text); isInt {
		us, ok = d.set.clock.EpochOf(n)
	}
	if !ok && namesMonth(text) {
		us, ok = d.set.clock.Any(text)
	}
	if !ok {
		return 0, reason
	}
	return us, ""
}

// namesMonth reports whether a time may have the name of a month, which tells it from the day: 20/Nov/2026.
func namesMonth(text []byte) bool {
	letters := 0
	for _, c := range text {
		if letters++; c|0x20-'a' >= 26 {
			letters = 0
		}
		if letters == len("Nov") {
			return true
		}
	}
	return false
}

// number returns the number of a column in record i, if it has one that needs no look at
// its text.
func (d *sourceDecoder) number(f *sourceField, i int) (v int64, ok bool) {
	if f == nil || !f.numbers || len(f.where) > 0 {
		return 0, false
	}
	for _, slot := range f.slots {
		if v, ok = d.w.columns[slot].number(d.w.from + i); ok {
			break
		}
	}
	return v, ok
}

// textOf returns the text of a column in record i, nil if it has none, and whether it is
// a part of window.data which reaches as far.
func (d *sourceDecoder) textOf(f *sourceField, i int) (text []byte, inData bool) {
	for ; f != nil; f = f.otherwise {
		if w := d.w; f.direct && w.columns == nil && len(f.where) == 0 && len(f.slots) > 0 { // most
			for _, s := range f.slots {
				s := w.cells[i*w.slots+s]
				if s.Begin&inSide == 0 {
					text, inData = w.data[s.Begin:s.End], true
				} else {
					text, inData = w.side[s.Begin&^inSide:s.End&^inSide], false
				}
				if !f.lacks(text) {
					return text, inData
				}
			}
			continue
		}
		if len(f.where) > 0 && !allHold(f.where, d.w, i) {
			continue
		}
		if text, inData = d.ownText(f, i); f.otherwise == nil || !f.lacks(text) {
			return text, inData
		}
	}
	return nil, false
}

// ownText is textOf without what the field says of other records.
func (d *sourceDecoder) ownText(f *sourceField, i int) (text []byte, inData bool) {
	w := d.w
	inData = true
	switch {
	case len(f.slots) > 0:
		for _, slot := range f.slots {
			if text, inData = w.cell(i, slot); !f.lacks(text) && !f.null(text) {
				break
			}
			text = nil
		}
	case len(f.join) > 0:
		inData = false
		d.joined = d.join(d.joined[:0], f, i)
		text = d.joined
	default:
		text, inData = f.text, false
	}
	if f.direct || len(text) == 0 {
		return text, inData
	}
	for _, slot := range f.unlike {
		if bytes.Equal(text, w.text(i, slot)) {
			return nil, false
		}
	}
	text, mapped := d.read(f, text)
	return text, inData && !mapped
}

// read reads a field from a text of its slots. own is nil if the field has no value there. mapped
// says that own is one of column.Texts, valid until the next call, and not a part of the text.
func (d *sourceDecoder) read(f *sourceField, text []byte) (own []byte, mapped bool) {
	if text = d.within(f, text); text == nil {
		return nil, false
	}
	if f.part == partUser && scan.EscapedUser(text) {
		d.set.scratch = scan.UnescapeUser(d.set.scratch[:0], text)
		return d.set.scratch, true
	}
	to, mapped := f.column.Texts[string(text)]
	if mapped {
		d.joined = append(d.joined[:0], to...)
		return d.joined, true
	}
	return text, false
}

// within returns the part of a text that a field is, nil if there is none.
func (d *sourceDecoder) within(f *sourceField, text []byte) []byte {
	if f.match != nil {
		m := f.match.FindSubmatchIndex(text)
		if m == nil || m[2] < 0 {
			return nil
		}
		text = text[m[2]:m[3]]
	}
	if f.column.Word > 0 {
		text = word(f.column.Word, text)
	}
	if text = partOf(f.part, text); scan.Unknown(text) {
		return nil
	}
	if f.column.Without != "" {
		if k := len(text) - len(f.column.Without); k >= 0 && string(text[k:]) == f.column.Without {
			text = text[:k]
		}
	}
	return text
}

// null reports whether a text is one that says nothing in this column.
func (f *sourceField) null(text []byte) bool {
	for _, s := range f.column.Null {
		if string(text) == s {
			return true
		}
	}
	return false
}

// join puts texts together, those that say something, behind dst.
func (d *sourceDecoder) join(dst []byte, f *sourceField, i int) []byte {
	separator := f.column.Separator
	if separator == "" {
		separator = " "
	}
	begin := len(dst)
	for _, slot := range f.join {
		if text := d.w.text(i, slot); !scan.Unknown(text) {
			if len(dst) > begin {
				dst = append(dst, separator...)
			} else {
				dst = append(dst, f.column.Before...)
			}
			dst = append(dst, text...)
		}
	}
	return dst
}

// integers puts a number of the records.
func (d *sourceDecoder) integers(b *columnar.Builder, c columnar.Col, records []int32, t *Tally) {
	f, same := d.sameField(c)
	if same && f == nil {
		return
	}
	d.values = slices.Grow(d.values[:0], len(records))[:len(records)]
	values := d.values
	if d.parquet != nil && d.columnNumbers(values, c, records, t) {
		b.PutInts(c, values)
		return
	}
	if same && f.inPlace && !f.numbers && f.scale == 1 {
		if data, ok := d.spansOf(f, records); ok {
			f.numbersOf(values, data, d.spans, func(k int) int64 { return d.w.records[records[k]] }, t)
			b.PutInts(c, values)
			return
		}
	}
	for k, i := range records {
		values[k] = d.integer(d.fieldOf(c, i), i, t)
	}
	b.PutInts(c, values)
}

// integer returns the number of a field in a record, columnar.Null if it has none.
func (d *sourceDecoder) integer(f *sourceField, i int32, t *Tally) int64 {
	if f == nil {
		return columnar.Null
	}
	v := d.ownInteger(f, i, t)
	if f.times < 0 || v == columnar.Null {
		return v
	}
	text := d.w.text(int(i), f.times)
	n, ok := scan.Int(text)
	if !ok || n <= 1 {
		return v
	}
	high, product := bits.Mul64(uint64(v), uint64(n))
	if high != 0 || product > uint64(f.most) {
		t.Unread(d.w.records[i], f.col, text, f.bad)
		return columnar.Null
	}
	return int64(product)
}

// ownInteger is integer without what multiplies it.
func (d *sourceDecoder) ownInteger(f *sourceField, i int32, t *Tally) int64 {
	v, ok := d.number(f, int(i))
	switch {
	case ok && 0 <= v && v <= f.most && f.scale == 1:
		return v
	case !ok && f.numbers && len(f.where) == 0 && f.otherwise == nil:
		return columnar.Null
	}
	text, _ := d.textOf(f, int(i))
	if scan.Unknown(text) {
		return columnar.Null
	}
	if v, ok := scan.Int(text); ok && 0 <= v && v <= f.most && f.scale == 1 {
		return v
	}
	v, reason := f.number(text)
	if reason != "" {
		t.Unread(d.w.records[i], f.col, text, reason)
		return columnar.Null
	}
	return v
}

// texts puts a text of the records.
func (d *sourceDecoder) texts(b *columnar.Builder, c columnar.Col, records []int32, t *Tally) {
	f, same := d.sameField(c)
	switch {
	case same && f == nil:
		return
	case d.parquet != nil && d.codes(b, c, records, t):
		return
	case same && f.direct && len(f.slots) == 0 && len(f.where) == 0 && f.otherwise == nil && f.read == readText: // a constant
		d.spans = slices.Grow(d.spans[:0], len(records))[:len(records)]
		for k := range d.spans {
			d.spans[k] = columnar.Span{End: uint32(len(f.text))}
		}
		b.PutTexts(c, f.text, d.spans)
		return
	case same && f.joined && len(f.where) == 0 && f.otherwise == nil && f.read == readText:
		d.spans, d.copied = slices.Grow(d.spans[:0], len(records))[:len(records)], d.copied[:0]
		for k, i := range records {
			begin := uint32(len(d.copied))
			if d.copied = d.join(d.copied, f, int(i)); scan.Unknown(d.copied[begin:]) {
				d.copied = d.copied[:begin]
			}
			d.spans[k] = columnar.Span{Begin: begin, End: uint32(len(d.copied))}
		}
		b.PutTexts(c, d.copied, d.spans)
		return
	case same && f.inPlace && f.read != readQueryType && f.read != readRcode:
		data, ok := d.spansOf(f, records)
		if !ok {
			break
		}
		switch f.read {
		case readHost:
			for k, s := range d.spans {
				d.spans[k] = spanOf(data, d.host(c, data[s.Begin:s.End], records[k], t))
			}
		case readPath:
			for k, s := range d.spans {
				d.spans[k] = spanOf(data, scan.URLPath(data[s.Begin:s.End]))
			}
		}
		d.put(b, c, f.read, data)
		return
	}
	d.spans = slices.Grow(d.spans[:0], len(records))[:len(records)]
	d.copied = d.copied[:0]
	data := d.w.data
	copies := false
	read := readText
	for k, i := range records {
		f := d.fieldOf(c, i)
		text, inData := d.textOf(f, int(i))
		if f != nil {
			read = f.read
		}
		switch {
		case len(text) == 0:
			d.spans[k] = columnar.Span{}
			continue
		case read == readHost:
			text = d.host(c, text, i, t)
		case read == readPath:
			text = scan.URLPath(text)
		case read == readQueryType, read == readRcode:
			text, inData = d.set.text(&f.field, text), false
		}
		if inData && !copies {
			d.spans[k] = spanOf(data, text)
			continue
		}
		if !copies {
			copies = true
			for j, s := range d.spans[:k] {
				d.spans[j] = d.copy(data[s.Begin:s.End])
			}
		}
		d.spans[k] = d.copy(text)
	}
	if copies {
		data = d.copied
	}
	d.put(b, c, read, data)
}

// host returns the host of a URL, for column c of record i of the window.
func (d *sourceDecoder) host(c columnar.Col, text []byte, i int32, t *Tally) []byte {
	host := scan.URLHost(text)
	if len(host) == 0 && !scan.Unknown(text) && text[0] != '/' {
		t.Unread(d.w.records[i], c, text, withoutHost)
	}
	return host
}

// put puts the texts of d.spans in data.
func (d *sourceDecoder) put(b *columnar.Builder, c columnar.Col, read reading, data []byte) {
	switch read {
	case readHost:
		b.PutLower(c, data, d.spans)
	case readQuery:
		b.PutQueries(data, d.spans)
	default:
		b.PutTexts(c, data, d.spans)
	}
}

func (d *sourceDecoder) copy(text []byte) columnar.Span {
	begin := uint32(len(d.copied))
	d.copied = append(d.copied, text...)
	return columnar.Span{Begin: begin, End: uint32(len(d.copied))}
}
