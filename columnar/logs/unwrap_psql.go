package logs

import (
	"bufio"
	"bytes"

	"outflow/columnar/scan"
)

// What psql prints of a query with one column of JSON: json_agg, or an object a row.
//
//	          json_agg
//	----------------------------
//	 [{"user":"ines","n":1},   +
//	  {"user":"oskar","n":2}]
//	(1 row)

// isPsql reports whether head begins with such a table.
func isPsql(head []byte) bool {
	_, rest := scan.CutLine(head)
	ruler, rest := scan.CutLine(rest)
	return isRuler(ruler) && len(rest) > 1 && rest[0] == ' ' && (rest[1] == '{' || rest[1] == '[')
}

// isRuler reports whether a line stands between a name and its values.
func isRuler(line []byte) bool {
	line = trimEOL(line)
	return len(line) > 2 && len(bytes.Trim(line, "-")) == 0
}

// A psqlReader leaves the values of such tables.
type psqlReader struct {
	made
	src    *bufio.Reader
	values bool // below a ruler
	within bool // in a line that is longer than src holds
}

func (r *psqlReader) Read(p []byte) (int, error) {
	return r.read(p, func() error {
		line, err := r.src.ReadSlice('\n')
		begins := !r.within
		r.within = err == bufio.ErrBufferFull
		switch {
		case begins && !r.values:
			r.values = isRuler(line)
		case begins && len(line) > 0 && line[0] != ' ':
			r.values = false
		case r.values && r.within:
			r.out = append(r.out, line...)
		case r.values && len(line) > 0: // a + goes on; no value ends so
			line = bytes.TrimRight(trimEOL(line), " ")
			r.out = append(append(r.out, bytes.TrimSuffix(line, []byte{'+'})...), '\n')
		}
		if r.within {
			return nil
		}
		return err
	})
}
