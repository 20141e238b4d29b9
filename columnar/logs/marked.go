package logs

import (
	"bufio"
	"bytes"
	"slices"
)

// Tables for spreadsheets, whose cells have a mark that keeps the spreadsheet from reading them as
// numbers or dates: ="10.0.0.5", "=""10.0.0.5""", or '10.0.0.5.

// markedTable returns how the table that head begins with is read; nil if it has no marks. Those of
// texts, which may be a part of what a cell says, stand in all cells of the first records.
func markedTable(head []byte) *markedReader {
	const look, most = 4 << 10, 4
	start := head[:min(len(head), look)]
	if len(start) == 0 || bytes.IndexByte([]byte("{[<"), start[0]) >= 0 || !bytes.Contains(start, []byte(`="`)) && !bytes.Contains(start, []byte("\n'")) {
		return nil
	}
	start = start[csvPreamble(start):]
	header := start[:separatedEnd(start)]
	names, sep := csvColumns(trimEOL(header))
	if len(names) < 3 || slices.ContainsFunc(names, notColumn) {
		return nil
	}
	r := &markedReader{sep: sep}
	formulas, cells, texts := 0, 0, 0
	rest := start[len(header):]
	for n := 0; n < most && bytes.IndexByte(rest, '\n') >= 0; n++ {
		end := separatedEnd(rest)
		fields := separatedFields(r.plain(nil, rest[:end]), sep)
		if len(fields) != len(names) {
			return nil
		}
		formulas += bytes.Count(rest[:end], []byte(`="`))
		for _, field := range fields {
			if field != "" {
				cells++
				if field[0] == '\'' && field[len(field)-1] != '\'' {
					texts++
				}
			}
		}
		rest = rest[end:]
	}
	if r.texts = texts > 0 && texts == cells; !r.texts && formulas == 0 {
		return nil
	}
	return r
}

// A markedReader drops the marks of a table. Of a cell over several lines, the second may lose one that is
// its own, and lines longer than a buffer keep theirs.
type markedReader struct {
	made
	src   *bufio.Reader
	sep   byte
	texts bool // cells begin with '
	long  bool // in a line that is longer than src holds
}

func (r *markedReader) Read(p []byte) (int, error) {
	return r.read(p, func() error {
		line, err := r.src.ReadSlice('\n')
		whole := !r.long
		if r.long = err == bufio.ErrBufferFull; r.long {
			whole, err = false, nil
		}
		if whole {
			r.out = r.plain(r.out, line)
		} else {
			r.out = append(r.out, line...)
		}
		return err
	})
}

// plain appends a record without the marks.
func (r *markedReader) plain(dst, record []byte) []byte {
	begins, within := true, false // a cell begins; in quotes
	for i := 0; i < len(record); i++ {
		c := record[i]
		rest := record[i:]
		switch {
		case begins && !within && r.texts && c == '\'':
			begins = false
			continue
		case begins && !within && bytes.HasPrefix(rest, []byte(`="`)):
			continue // the quote behind it begins the cell
		case begins && !within && bytes.HasPrefix(rest, []byte(`"=""`)):
			if end := r.formulaEnd(rest); end > 0 { // ""10.0.0.5""" in quotes
				dst = append(append(append(dst, '"'), rest[len(`"=""`):end-len(`"""`)]...), '"')
				i += end - 1
				begins = false
				continue
			}
		}
		if c == '"' {
			within = !within
		}
		begins = !within && c == r.sep
		dst = append(dst, c)
	}
	return dst
}

// formulaEnd returns the size of the cell "=""…""" that text begins with, 0 if it is none. No quote stands in it, so
// that the cells of a line are read once.
func (r *markedReader) formulaEnd(text []byte) int {
	start := len(`"=""`)
	end := start + bytes.IndexByte(text[start:], '"')
	if end < start || !bytes.HasPrefix(text[end:], []byte(`"""`)) {
		return 0
	}
	end += len(`"""`)
	if end < len(text) && text[end] != r.sep && text[end] != '\r' && text[end] != '\n' {
		return 0
	}
	return end
}
