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
// type that PowerShell's Export-Csv writes, and Excel's declaration of the
// separator.
func csvPreamble(p []byte) int {
	rest := bytes.TrimPrefix(p, utf8BOM)
	for len(rest) > 0 {
		line, after, _ := bytes.Cut(rest, eol)
		line = bytes.TrimSuffix(line, carriage)
		if len(line) > 0 && !bytes.HasPrefix(line, []byte("#TYPE ")) && !(len(line) == 5 && bytes.HasPrefix(line, []byte("sep="))) {
			break
		}
		rest = after
	}
	if len(rest) == len(bytes.TrimPrefix(p, utf8BOM)) {
		return 0
	}
	return len(p) - len(rest)
}

// csvHeader is the header line in force. The first stays in force: see Doc.
func csvHeader(prev, p []byte) []byte {
	if prev != nil {
		return prev
	}
	p = p[csvPreamble(p):]
	if len(p) == 0 {
		return nil
	}
	return slices.Clone(p[:separatedEnd(p)])
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
