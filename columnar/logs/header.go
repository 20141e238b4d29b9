package logs

import (
	"bytes"
	"slices"
	"strings"

	"outflow/columnar/scan"
)

// The lines that name the columns of csv and of W3C logs.

// csvDelimiters are tried in this order.
const csvDelimiters = ",\t;|"

// csvPreamble returns the size of the lines before the header: blank ones, the
// type that PowerShell's Export-Csv writes, Excel's declaration of the separator, and
// titles and comments, in which nothing separates, but behind them as spreadsheets save them. Splunk's only
// column is no title.
func csvPreamble(p []byte) int {
	rest := bytes.TrimPrefix(p, utf8BOM)
	whole := len(rest)
	for len(rest) > 0 {
		line, after, _ := bytes.Cut(rest, eol)
		line = bare(bytes.TrimSuffix(line, carriage))
		if string(line) == "_raw" || bytes.ContainsAny(bytes.TrimRight(line, csvDelimiters), csvDelimiters) && !bytes.HasPrefix(line, []byte("#TYPE ")) && !(len(line) == 5 && bytes.HasPrefix(line, []byte("sep="))) {
			break
		}
		rest = after
	}
	if len(rest) == whole {
		return 0
	}
	return len(p) - len(rest)
}

// countHeader counts the lines before the header that are not blank.
func countHeader(preamble []byte, t *Tally) {
	for len(preamble) > 0 {
		var line []byte
		if line, preamble = scan.CutLine(preamble); !scan.Blank(line) {
			t.Known("header")
		}
	}
}

// csvHeader is the header line in force behind p: the last one.
func csvHeader(prev, p []byte) []byte {
	if prev == nil {
		if p = p[csvPreamble(p):]; len(p) == 0 {
			return nil
		}
		end := separatedEnd(p)
		prev, p = slices.Clone(p[:end]), p[end:]
	}
	for {
		at, end := nextHeader(p, prev)
		if at < 0 {
			return prev
		}
		prev, p = slices.Clone(p[at:end]), p[end:]
	}
}

// nextHeader returns where in p a line stands that is a header as header is: the same, or
// one that names other columns, too, or with another separator, as in files put one after another and where a program
// was changed. at is -1 if there is none. p begins with a record. A line within quotes is
// none: who writes a field must not name the columns.
func nextHeader(p, header []byte) (at, end int) {
	var h headerNames
	quotes, counted := 0, 0
	line := headerLine(header)
	named := beginsName(line)
	for ; at < len(p) && len(line) > 0; at = end {
		if named { // else a header may begin as records do
			if at = scan.OddLine(p, at); at == len(p) {
				break
			}
		}
		end = scan.LineEnd(p, at)
		if !beginsName(p[at:end]) && p[at] != line[0] {
			continue
		}
		if h.names == nil {
			h = namesOf(header)
		}
		if !h.again(p[at:end]) {
			continue
		}
		if quotes += bytes.Count(p[counted:at], quote); quotes%2 == 0 {
			return at, end
		}
		counted = at
	}
	return -1, 0
}

// headerNames are the names of a header and what stands between them.
type headerNames struct {
	line   []byte
	sep    byte
	anySep bool // another header may have another separator
	names  []string
}

func namesOf(header []byte) (h headerNames) {
	h.line = headerLine(header)
	h.names, h.sep = csvColumns(h.line)
	h.anySep = true
	return h
}

// headerLine returns a header without what may stand around it.
func headerLine(header []byte) []byte {
	header = bytes.TrimPrefix(header, utf8BOM)
	n := len(header)
	for n > 0 && (header[n-1] == '\n' || header[n-1] == '\r') {
		n--
	}
	return header[:n]
}

// again reports whether a line is the header again, or has two of the names, and half of
// those that this or that header has. Its fields may then not begin as numbers do: records
// have times.
func (h *headerNames) again(line []byte) bool {
	if line = headerLine(line); bytes.Equal(line, h.line) {
		return true
	}
	if !allNames(line, h.sep) {
		return false
	}
	names := csvNames(line, h.sep)
	if h.anySep && len(names) == 1 && len(h.names) > 1 {
		var sep byte
		if names, sep = csvColumns(line); !allNames(line, sep) {
			return false
		}
	}
	same := 0
	for _, name := range names {
		if name != "" && slices.ContainsFunc(h.names, func(have string) bool { return strings.EqualFold(have, name) }) {
			same++
		}
	}
	return same >= 2 && 2*same >= min(len(names), len(h.names))
}

// allNames reports whether all fields of a line that are not empty may be names.
func allNames(line []byte, sep byte) bool {
	for {
		if len(line) > 0 && line[0] != sep && line[0] != '\r' && line[0] != '\n' && !beginsName(line) {
			return false
		}
		i := bytes.IndexByte(line, sep)
		if i < 0 {
			return true
		}
		line = line[i+1:]
	}
}

// beginsName reports whether a line or field may begin with a name.
func beginsName(line []byte) bool {
	for _, c := range line {
		if c != '"' && c != ' ' && c != '#' {
			return c|0x20-'a' < 26 || c == '_' || c == '@' || c >= 0x80
		}
	}
	return false
}

// csvNames returns the column names that a header line gives.
func csvNames(header []byte, sep byte) []string {
	header = bytes.TrimPrefix(header, utf8BOM)
	header = bytes.TrimLeft(bytes.TrimPrefix(header, []byte{'#'}), " ")
	names := separatedFields(header, sep)
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return names
}

// csvColumns returns the column names that a header line gives by the separator that gives most.
func csvColumns(header []byte) (names []string, sep byte) {
	sep = csvDelimiters[0]
	for i := range len(csvDelimiters) {
		if n := csvNames(header, csvDelimiters[i]); len(n) > len(names) {
			names, sep = n, csvDelimiters[i]
		}
	}
	return names, sep
}

var w3cFields = []byte("#Fields:")

// w3cHeader is the last directive #Fields.
func w3cHeader(prev, p []byte) []byte {
	found := lastLine(p, w3cFields, func(line []byte) bool { return bytes.HasPrefix(line, w3cFields) })
	if found == nil {
		return prev
	}
	return slices.Clone(found)
}

// lastLine returns the last line that has the word and for which so reports true, or nil.
// It searches forwards: bytes.LastIndex takes ten times as long.
func lastLine(p, word []byte, so func(line []byte) bool) (last []byte) {
	for at := 0; ; {
		i := bytes.Index(p[at:], word)
		if i < 0 {
			return last
		}
		i += at
		line, _ := scan.CutLine(p[bytes.LastIndexByte(p[:i], '\n')+1:])
		if so(line) {
			last = line
		}
		if at = scan.LineEnd(p, i); at >= len(p) {
			return last
		}
	}
}

// directiveNames returns the columns, maxFields at most, that a directive #Fields names.
func directiveNames(directive []byte) (names []string) {
	for name := range bytes.FieldsSeq(directive[len(w3cFields):]) {
		if names = append(names, string(name)); len(names) == maxFields {
			break
		}
	}
	return names
}
