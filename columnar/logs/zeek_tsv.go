package logs

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"outflow/columnar/scan"
)

// Zeek's lines with separators: their header, and their cells.

// A zeekTSV is the TSV header in force.
type zeekTSV struct {
	sep, setSep byte
	fault       string // why lines cannot be read
	empty       []byte
	unset       []byte
	path        []byte
	fields      int
	at          [numZeekFields]int // where a field stands, -1 if it does not

	signed string // the log that alone has one of the fields; "": none has

	log     zeekLog
	kind    string     // that lines of zeekOther are counted under
	unknown string     // why lines of zeekOther have no kind
	plan    []zeekCell // what is read of a line
	ends    []int32    // of the fields up to the last that is read
	ready   bool       // log, kind and plan are made
}

type zeekCell struct {
	at    int32
	field zeekField
}

// zeekLongest is how long a header line may be, in bytes; longer ones are taken
// for comments. The widest logs have 2 KiB of names; as the header in force is
// copied at each header line, a hostile one could cost minutes.
const zeekLongest = 1 << 16

const (
	zeekNoFields = "no #fields line before this line"
	zeekSepLong  = "#separator of more than one byte"
	zeekNoSep    = "#fields are not separated as #separator says"
)

func (h *zeekTSV) reset() {
	*h = zeekTSV{sep: '\t', setSep: ',', empty: []byte("(empty)"), unset: []byte("-"), fault: zeekNoFields, plan: h.plan, ends: h.ends}
}

// directive takes a header line.
func (h *zeekTSV) directive(line []byte) {
	name, arg := zeekDirective(line)
	h.ready = false
	switch string(name) {
	case "#separator":
		h.reset()
		if sep := zeekUnescape(nil, arg); len(sep) == 1 {
			h.sep = sep[0]
		} else {
			h.fault = zeekSepLong
		}
	case "#close":
		h.reset()
	case "#set_separator":
		if sep := zeekUnescape(nil, arg); len(sep) == 1 {
			h.setSep = sep[0]
		}
	case "#empty_field":
		h.empty = bytes.Clone(arg)
	case "#unset_field":
		h.unset = bytes.Clone(arg)
	case "#path":
		h.path = bytes.Clone(arg)
	case "#fields":
		if h.fault == zeekSepLong {
			return
		}
		h.fault, h.fields, h.signed = "", 0, ""
		if bytes.IndexByte(arg, h.sep) < 0 && bytes.IndexByte(arg, ' ') >= 0 {
			h.fault = zeekNoSep // tabs that a terminal or an editor made spaces
		}
		for f := range h.at {
			h.at[f] = -1
		}
		for name := range bytes.SplitSeq(arg, []byte{h.sep}) {
			if f, ok := zeekFieldNamed(name); ok {
				h.at[f] = h.fields
			}
			if log := zeekLogOfField(name, nil); log != "" {
				h.signed = log
			}
			h.fields++
		}
	}
}

// zeekDirective splits a header line at the first space, tab or whatever byte
// ends its name.
func zeekDirective(line []byte) (name, arg []byte) {
	if len(line) > zeekLongest {
		return nil, nil
	}
	i := 1
	for i < len(line) && (line[i]|0x20-'a' < 26 || line[i] == '_') {
		i++
	}
	return line[:i], line[min(i+1, len(line)):]
}

// zeekHeader is Zeek.Header: the header lines in force, each with its newline.
func zeekHeader(prev, p []byte) []byte {
	header := prev
	for at := 0; at < len(p); {
		if p[at] != '#' {
			next := bytes.Index(p[at:], []byte("\n#"))
			if next < 0 {
				break
			}
			at += next + 1
		}
		line, rest := scan.CutLine(p[at:])
		header = zeekWith(header, line)
		at = len(p) - len(rest)
	}
	return header
}

// zeekWith returns header after one more header line, in memory of its own.
func zeekWith(header, line []byte) []byte {
	name, _ := zeekDirective(line)
	var with []byte
	switch string(name) {
	case "#separator":
		return append(append(with, line...), '\n')
	case "#close":
		return nil
	case "#set_separator", "#empty_field", "#unset_field", "#path", "#fields":
	default:
		return header
	}
	for have, rest := scan.CutLine(header); len(have) > 0; have, rest = scan.CutLine(rest) {
		if other, _ := zeekDirective(have); !bytes.Equal(other, name) {
			with = append(append(with, have...), '\n')
		}
	}
	return append(append(with, line...), '\n')
}

// split notes where the fields end that are read, and returns how many fields
// the line has.
func (h *zeekTSV) split(line []byte) int {
	n, further := 0, 0
	ends := h.ends
	for i := 0; i < len(line); i += 64 {
		m := byteMask(line[i:], h.sep)
		for ; m != 0 && n < len(ends); m &= m - 1 {
			ends[n] = int32(i + bits.TrailingZeros64(m))
			n++
		}
		further += bits.OnesCount64(m)
	}
	if n < len(ends) {
		ends[n] = int32(len(line))
	}
	return n + further + 1
}

// byteMask marks where c stands in the first 64 bytes of b.
func byteMask(b []byte, c byte) (m uint64) {
	if cap(b) < 64 {
		for i := range b {
			if b[i] == c {
				m |= 1 << i
			}
		}
		return m
	}
	// Within the block it is cheaper to look at what follows b, and to cut it
	// off, than to stop.
	words, pattern := b[:64], uint64(c)*scan.EachByte
	for i := 0; i < 64; i += 8 {
		m |= scan.EqualBytes(binary.LittleEndian.Uint64(words[i:]), pattern) << i
	}
	if len(b) < 64 {
		m &= 1<<len(b) - 1
	}
	return m
}

// zeekUnescape appends a value without Zeek's escapes: \xHH is the byte HH, and
// \\ a backslash.
func zeekUnescape(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' && i+1 < len(s) {
			switch s[i+1] {
			case '\\':
				i++
			case 'x':
				if i+3 < len(s) {
					h, ok1 := scan.HexDigit(s[i+2])
					l, ok2 := scan.HexDigit(s[i+3])
					if ok1 && ok2 {
						c = h<<4 | l
						i += 3
					}
				}
			}
		}
		dst = append(dst, c)
	}
	return dst
}
