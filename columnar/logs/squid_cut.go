package logs

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"

	"outflow/columnar/scan"
)

// Squid's lines, cut into fields.

// squidWindow is how much of a block is looked at in one go, as scan.Window.
const squidWindow = 32 << 10

// squidBehind is how many bytes there must be behind a line for usual, which reads as
// many where it looks for a byte.
const squidBehind = 32

// look makes a window that begins with the line at i, and finds the lines in it. If
// there is none that usual can look at, it returns false, and the line at i is all.
func (d *squid) look(i int) (usual bool) {
	d.window = i
	text := d.data[i:min(i+squidWindow, len(d.data))]
	d.marks = scan.MarkText(d.marks, text, ' ', '"')
	n := len(d.marks)
	d.spaces, d.quotes = slices.Grow(d.spaces[:0], n+1)[:n+1], slices.Grow(d.quotes[:0], n+1)[:n+1]
	d.spaces[n], d.quotes[n] = 0, 0
	lines := 0
	for k, m := range d.marks {
		d.spaces[k], d.quotes[k] = m.Sep|m.Line, m.Other|m.Line
		d.behind = slices.Grow(d.behind[:lines], 64)[:lines+64]
		// Whether there is one in 64 bytes is not to be foreseen, more than two are rare.
		at, behind := i+64*k+1, (*[64]int)(d.behind[lines:])
		behind[0] = at + bits.TrailingZeros64(m.Line)
		rest := m.Line & (m.Line - 1)
		behind[1] = at + bits.TrailingZeros64(rest)
		for n := 2; rest&(rest-1) != 0; n++ {
			rest &= rest - 1
			behind[n] = at + bits.TrailingZeros64(rest)
		}
		lines += bits.OnesCount64(m.Line)
	}
	for lines > 0 && d.behind[lines-1]+squidBehind > len(d.data) {
		lines--
	}
	if lines == 0 {
		d.behind = append(d.behind[:0], scan.LineEnd(d.data, i))
		return false
	}
	d.behind = d.behind[:lines]
	return true
}

// fits reports whether the fields are where they should be: the method and
// Squid's own codes, such as TCP_MISS_ABORTED and HIER_DIRECT, look like ones.
func (d *squid) fits() bool {
	m := d.value(squidMethod)
	return (len(m) == 0 || m[0] < '0' || m[0] > '9') && d.resultCode(squidAction) && d.resultCode(squidHierarchy)
}

// resultCode reports whether a field has only bytes that are in Squid's codes.
// Note: these are short, and a loop over bytes costs more to leave than to run.
func (d *squid) resultCode(f squidField) bool {
	s := d.spans[f]
	b := d.data[s>>32 : uint32(s)]
	switch end := uint32(s); {
	case len(b) > 8:
		odd := notInCode(binary.LittleEndian.Uint64(b[len(b)-8:]))
		for ; len(b) > 8; b = b[8:] {
			odd |= notInCode(binary.LittleEndian.Uint64(b))
		}
		return odd == 0
	case end >= 8:
		return notInCode(binary.LittleEndian.Uint64(d.data[end-8:]))>>(64-8*len(b)) == 0
	}
	for _, c := range b {
		if (c < 'A' || c > 'Z') && c != '_' && c != '-' && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// notInCode marks the bytes of w that are in none of Squid's codes by their high
// bits.
func notInCode(w uint64) uint64 {
	seven := w & scan.LowBits
	capital := (seven + (0x80-'A')*scan.EachByte) &^ (seven + (0x80-'Z'-1)*scan.EachByte)
	digit := (seven + (0x80-'0')*scan.EachByte) &^ (seven + (0x80-'9'-1)*scan.EachByte)
	other := ^((seven ^ '_'*scan.EachByte) + scan.LowBits) | ^((seven ^ '-'*scan.EachByte) + scan.LowBits)
	return (^(capital | digit | other) | w) & scan.HighBits
}

// usual cuts the line from i to behind, its newline included, into fields as match
// does, or returns false. It cuts none with escaped quotes, or more than 8 spaces
// before a field.
//
// Note: a search through the text is a jump that depends on it, and a dozen of
// those in a line cost more than all else. So the end of a field is found in bitmaps,
// and a newline ends each of them: no field can run into the next line.
func (d *squid) usual(i, behind int) bool {
	l, text := d.layout, d.data[d.window:]
	at := i - d.window
	if len(l.steps) == 0 || !bytes.HasPrefix(text[at:], []byte(l.lead)) {
		return false
	}
	at = d.cut(at + len(l.lead))
	if at < 0 {
		return false
	}
	if text[at] == '\r' {
		at++
	}
	return d.window+at+1 == behind
}

// cutGo is cut, on any machine.
func (d *squid) cutGo(at int) (end int) {
	text := d.data[d.window:]
	window := uint64(d.window)<<32 | uint64(d.window)
	for k := range d.layout.steps {
		f := &d.layout.steps[k]
		if f.padded {
			at += bits.TrailingZeros64(binary.LittleEndian.Uint64(text[at:])^' '*scan.EachByte) >> 3
		}
		var end int
		switch f.end {
		case squidToSpace:
			if end = scan.NextMark(d.spaces, at); end == at {
				return -1
			}
		case squidToQuote:
			end = scan.NextMark(d.quotes, at)
			if f.quoted {
				if text[end-1] == '\\' {
					return -1
				}
			} else if end == at || text[at] == ' ' {
				return -1
			}
		case squidToByte:
			size := scan.IndexNear(text[at:scan.NextMark(d.spaces, at)], byte(f.word))
			if size <= 0 {
				return -1
			}
			end = at + size
		case squidToSize:
			if scan.MarksFrom(d.spaces, at)&(1<<squidDateSize-1) != 1<<20 || text[at+20] != ' ' {
				return -1
			}
			end = at + squidDateSize
		case squidToEnd:
			end = scan.NextMark(d.spaces, at)
			if end > at && text[end-1] == '\r' {
				end--
			}
			if end == at || text[end-1] == '\r' {
				return -1
			}
		}
		if (binary.LittleEndian.Uint64(text[end:])^f.word)&f.mask != 0 {
			return -1
		}
		d.spans[f.field] = uint64(at)<<32 + uint64(end) + window
		at = end + int(f.size)
	}
	return at
}

// match cuts the line from start to end into fields from the left: each ends
// where the text that follows it first stands.
func (d *squid) match(start, end int) bool {
	l, line := d.layout, d.data[start:end]
	if !bytes.HasPrefix(line, []byte(l.lead)) {
		return false
	}
	at := len(l.lead)
	for i := range l.fields {
		f := &l.fields[i]
		if !f.quoted { // padding
			for at < len(line) && line[at] == ' ' {
				at++
			}
		}
		size := 0
		switch {
		case f.field == squidDate:
			size = squidDateSize
		case f.quoted:
			size = unescapedQuote(line[at:])
		case f.after == "":
			size = len(line) - at
			if space := bytes.IndexByte(line[at:], ' '); space >= 0 && l.tail == "" {
				return false
			} else if space >= 0 {
				size = space
			}
		default:
			size = scan.IndexNear(line[at:], f.after[0])
		}
		end := at + size
		if size < 0 || size == 0 && !f.quoted || len(line) < end+len(f.after) || string(line[end:end+len(f.after)]) != f.after {
			return false
		}
		d.span(f.field, start, at, end)
		at = end + len(f.after)
	}
	return (at == len(line) || l.tail != "" && bytes.HasPrefix(line[at:], []byte(l.tail))) && d.fits()
}

// span notes where a field is in the line that begins at start.
func (d *squid) span(f squidField, start, begin, end int) {
	d.spans[f] = uint64(start+begin)<<32 | uint64(start+end)
}

// matchEnds cuts the line from both ends; the URL, which nothing else can be
// confused with then, is what is left in the middle.
func (d *squid) matchEnds(first, behind int) bool {
	l, line := d.layout, d.data[first:behind]
	tail := l.fields[len(l.fields)-1].after
	if l.open < 0 || l.tail != "" || len(line) < len(l.lead)+len(tail) || !bytes.HasPrefix(line, []byte(l.lead)) || !bytes.HasSuffix(line, []byte(tail)) {
		return false
	}
	start, end := len(l.lead), len(line)-len(tail)
	for i := range l.fields[:l.open] {
		f := &l.fields[i]
		for start < end && line[start] == ' ' {
			start++
		}
		size := bytes.Index(line[start:end], []byte(f.after))
		if f.field == squidDate {
			size = squidDateSize
		}
		if size <= 0 || end-start < size || !bytes.HasPrefix(line[start+size:end], []byte(f.after)) {
			return false
		}
		d.span(f.field, first, start, start+size)
		start += size + len(f.after)
	}
	for i := len(l.fields) - 1; i > l.open; i-- {
		before := l.fields[i-1].after
		for start < end && line[end-1] == ' ' {
			end--
		}
		at := bytes.LastIndex(line[start:end], []byte(before))
		if at <= 0 || start+at+len(before) == end {
			return false
		}
		d.span(l.fields[i].field, first, start+at+len(before), end)
		end = start + at
	}
	d.span(l.fields[l.open].field, first, start, end)
	return start < end && d.fits()
}

// unescapedQuote returns where the first quote stands that no backslash
// escapes, -1 if none does.
func unescapedQuote(p []byte) int {
	for from := 0; ; {
		at := bytes.IndexByte(p[from:], '"')
		if at < 0 {
			return -1
		}
		at += from
		slashes := 0
		for slashes < at && p[at-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return at
		}
		from = at + 1
	}
}
