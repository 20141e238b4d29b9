package logs

import (
	"bytes"
	"io"
	"slices"
)

// Tables whose separators have a space behind them, before fields in quotes: a, "b, c", d. RFC 4180
// would take such a quote for a character, and the commas behind it for separators.

// spacedSeparator returns the separator of the table that head begins with, if it has such spaces; else
// 0. A few records must have as many fields as the header, without them.
func spacedSeparator(head []byte) byte {
	const look, records = 4 << 10, 4
	start := head[:min(len(head), look)]
	if len(start) == 0 || bytes.IndexByte([]byte("{[<"), start[0]) >= 0 || !bytes.Contains(start, []byte(` "`)) {
		return 0
	}
	for _, sep := range []byte(csvDelimiters) {
		if !bytes.Contains(start, []byte{sep, ' ', '"'}) {
			continue
		}
		r := spacedReader{sep: sep, behind: true}
		plain := r.append(nil, start)
		plain = plain[csvPreamble(plain):]
		header := plain[:separatedEnd(plain)]
		names := csvNames(trimEOL(header), sep)
		if len(names) < 3 || !r.dropped || slices.ContainsFunc(names, notColumn) {
			continue
		}
		n, rest := 0, plain[len(header):]
		for ; n < records && len(rest) > 0; n++ {
			end := separatedEnd(rest)
			if rest[end-1] != '\n' {
				break
			}
			if len(separatedFields(rest[:end], sep)) != len(names) {
				return 0
			}
			rest = rest[end:]
		}
		if n > 0 {
			return sep
		}
	}
	return 0
}

// A spacedReader drops these spaces.
type spacedReader struct {
	made
	src     io.Reader
	sep     byte
	within  bool // in quotes
	behind  bool // a separator, or the end of a record
	spaces  int  // behind it, held back
	dropped bool // there were some before a quote
	in      []byte
}

func (r *spacedReader) Read(p []byte) (int, error) {
	return r.read(p, func() error {
		if r.in == nil {
			r.in = make([]byte, headSize)
		}
		n, err := r.src.Read(r.in)
		r.out = r.append(r.out, r.in[:n])
		return err
	})
}

// append appends text without the spaces.
func (r *spacedReader) append(dst, text []byte) []byte {
	for _, c := range text {
		switch {
		case r.within:
			r.within = c != '"'
		case r.behind && c == ' ':
			r.spaces++
			continue
		case r.behind && c == '"':
			r.dropped = r.dropped || r.spaces > 0
			r.within, r.behind, r.spaces = true, false, 0
		default:
			for ; r.spaces > 0; r.spaces-- {
				dst = append(dst, ' ')
			}
			r.behind = c == r.sep || c == '\n'
		}
		dst = append(dst, c)
	}
	return dst
}
