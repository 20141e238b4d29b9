package logs

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"

	"outflow/columnar"
)

// A Writer writes the batches of one canonical table. It keeps nothing of a
// batch. Close ends what is written, but does not close what it is written to.
type Writer interface {
	// Write writes the rows of b that are named, in ascending order; nil: all.
	Write(b *columnar.Batch, rows []int) error
	Close() error
}

// NewWriter returns a writer of table t, which may have fewer columns than the batches, as
//
//	csv      RFC 4180 with LF and a header; times RFC 3339 UTC; unknown is empty;
//	         safe to open in a spreadsheet and to show in a terminal
//	csv-raw  the same, but texts as they are
//	jsonl    an object a line, without what is unknown
//	arrow    an Arrow IPC stream
//	parquet  zstd, with statistics
//
// Bytes that are not UTF-8 become U+FFFD in all but arrow.
func NewWriter(as string, w io.Writer, t *columnar.Table) (Writer, error) {
	switch as {
	case "csv":
		return &textWriter{form: newCSVForm(t, guardCell), table: t, w: w}, nil
	case "csv-raw":
		return &textWriter{form: newCSVForm(t, appendUTF8), table: t, w: w}, nil
	case "jsonl":
		return &textWriter{form: newJSONForm(t), table: t, w: w}, nil
	case "arrow":
		// A dictionary grows from batch to batch: only what is new is written.
		schema := t.Schema()
		return &arrowWriter{ipc.NewWriter(w, ipc.WithSchema(schema), ipc.WithDictionaryDeltas(true)), t, schema}, nil
	case "parquet":
		return newParquetWriter(w, t), nil
	}
	return nil, fmt.Errorf("no output format %q: want csv, csv-raw, jsonl, arrow or parquet", as)
}

// rightTable reports a batch that a writer of table t cannot write.
func rightTable(b *columnar.Batch, t *columnar.Table) error {
	if b.Table.ID != t.ID {
		return fmt.Errorf("write table %s: got a batch of %s", t.Name, b.Table.Name)
	}
	return nil
}

type arrowWriter struct {
	ipc    *ipc.Writer
	table  *columnar.Table
	schema *arrow.Schema
}

func (w *arrowWriter) Write(b *columnar.Batch, rows []int) error {
	if err := rightTable(b, w.table); err != nil {
		return err
	}
	whole := b.Arrow()
	defer whole.Release()
	columns := make([]arrow.Array, len(w.table.Cols))
	for i, c := range w.table.Cols {
		columns[i] = whole.Column(slices.Index(b.Table.Cols, c))
	}
	record := array.NewRecord(w.schema, columns, int64(b.Len()))
	defer record.Release()
	for from, to := range runs(rows, b.Len()) {
		part := record.NewSlice(int64(from), int64(to))
		err := w.ipc.Write(part)
		part.Release()
		if err != nil {
			return fmt.Errorf("write arrow: %w", err)
		}
	}
	return nil
}

// runs yields the ranges of numbers that follow each other; of nil, all below n.
func runs(rows []int, n int) iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		if rows == nil {
			yield(0, n)
			return
		}
		for i := 0; i < len(rows); {
			from := i
			for i++; i < len(rows) && rows[i] == rows[i-1]+1; i++ {
			}
			if !yield(rows[from], rows[i-1]+1) {
				return
			}
		}
	}
}

func (w *arrowWriter) Close() error {
	if err := w.ipc.Close(); err != nil {
		return fmt.Errorf("write arrow: %w", err)
	}
	return nil
}

// A textForm says how a table is written as text.
type textForm struct {
	head  string // before the first row
	begin string // of a row
	// names[i] comes before the value of column i, without its first byte, a
	// comma, before the first value of the row.
	names   []string
	end     string // of a row
	unknown bool   // unknown values are written, as nothing
	quoted  string // around times
	// text appends a text value.
	text func(dst, text []byte) []byte
	// words holds the dictionary columns' texts, as appended, by column.
	words []columnar.Lookup[[]byte]
}

func newTextForm(t *columnar.Table, text func(dst, text []byte) []byte) textForm {
	f := textForm{text: text, end: "\n", words: make([]columnar.Lookup[[]byte], len(t.Cols)), names: make([]string, len(t.Cols))}
	for i := range f.words {
		f.words[i].Func = func(word []byte) []byte { return text(nil, word) }
	}
	return f
}

func newCSVForm(t *columnar.Table, clean func(dst, text []byte) []byte) textForm {
	f := newTextForm(t, func(dst, text []byte) []byte { return quoteCell(dst, text, clean) })
	f.unknown = true
	for i, c := range t.Cols {
		f.names[i] = ","
		f.head += "," + c.String()
	}
	f.head = f.head[1:] + "\n"
	return f
}

func newJSONForm(t *columnar.Table) textForm {
	f := newTextForm(t, appendJSON)
	f.begin, f.end, f.quoted = "{", "}\n", `"`
	for i, c := range t.Cols {
		f.names[i] = `,"` + c.String() + `":`
	}
	return f
}

// A textWriter writes a form, a batch at a time.
type textWriter struct {
	form    textForm
	table   *columnar.Table
	w       io.Writer
	buf     []byte
	started bool
}

func (w *textWriter) Write(b *columnar.Batch, rows []int) error {
	if err := rightTable(b, w.table); err != nil {
		return err
	}
	w.start()
	columns := make([]textColumn, len(w.table.Cols))
	for i, c := range w.table.Cols {
		columns[i] = newTextColumn(b, c, &w.form.words[i])
	}
	for from, to := range runs(rows, b.Len()) {
		for row := from; row < to; row++ {
			w.row(columns, row)
		}
	}
	return w.flush()
}

// row appends a row.
func (w *textWriter) row(columns []textColumn, row int) {
	w.buf = append(w.buf, w.form.begin...)
	first := true
	for i := range columns {
		known := columns[i].known(row)
		if !known && !w.form.unknown {
			continue
		}
		name := w.form.names[i]
		if first {
			name, first = name[1:], false
		}
		w.buf = append(w.buf, name...)
		if known {
			w.buf = columns[i].append(w.buf, row, &w.form)
		}
	}
	w.buf = append(w.buf, w.form.end...)
}

func (w *textWriter) Close() error {
	w.start()
	return w.flush()
}

func (w *textWriter) start() {
	if !w.started {
		w.buf = append(w.buf, w.form.head...)
		w.started = true
	}
}

func (w *textWriter) flush() error {
	_, err := w.w.Write(w.buf)
	w.buf = w.buf[:0]
	if err != nil {
		return fmt.Errorf("write table %s: %w", w.table.Name, err)
	}
	return nil
}

// A textColumn is a column of a batch, ready to be written.
type textColumn struct {
	kind    columnar.Kind
	ints    []int64
	int32s  []int32
	valid   columnar.Bitmap
	codes   []int32
	words   [][]byte
	offsets []int32
	text    []byte
}

func newTextColumn(b *columnar.Batch, c columnar.Col, words *columnar.Lookup[[]byte]) textColumn {
	col := textColumn{kind: c.Kind()}
	switch col.kind {
	case columnar.Timestamp:
		col.ints = b.Int64(c)
	case columnar.Int64:
		col.ints, col.valid = b.Int64(c), b.Valid(c)
	case columnar.Int32:
		col.int32s, col.valid = b.Int32(c), b.Valid(c)
	case columnar.Dictionary:
		codes, dict := b.Codes(c)
		col.codes, col.words = codes, words.Of(dict)
	case columnar.Text:
		col.offsets, col.text = b.Texts(c)
	}
	return col
}

func (c *textColumn) known(row int) bool {
	switch c.kind {
	case columnar.Timestamp:
		return true
	case columnar.Dictionary:
		return c.codes[row] != 0
	case columnar.Text:
		return c.offsets[row] != c.offsets[row+1]
	}
	return c.valid.Bit(row) != 0
}

func (c *textColumn) append(dst []byte, row int, f *textForm) []byte {
	switch c.kind {
	case columnar.Timestamp:
		dst = append(dst, f.quoted...)
		dst = time.UnixMicro(c.ints[row]).UTC().AppendFormat(dst, "2006-01-02T15:04:05.999999Z07:00")
		return append(dst, f.quoted...)
	case columnar.Dictionary:
		return append(dst, c.words[c.codes[row]]...)
	case columnar.Text:
		return f.text(dst, c.text[c.offsets[row]:c.offsets[row+1]])
	case columnar.Int32:
		return strconv.AppendInt(dst, int64(c.int32s[row]), 10)
	}
	return strconv.AppendInt(dst, c.ints[row], 10)
}

// quoteCell appends a cell of a CSV, which clean appends, in quotes if it needs
// them.
func quoteCell(dst, text []byte, clean func(dst, text []byte) []byte) []byte {
	start := len(dst)
	dst = clean(dst, text)
	needed := len(dst) > start && (dst[start] == ' ' || dst[len(dst)-1] == ' ')
	for _, c := range dst[start:] {
		switch c {
		case '"', ',', '\n', '\r', '\t':
			needed = true
		}
	}
	if !needed {
		return dst
	}
	cell := string(dst[start:])
	dst = append(dst[:start], '"')
	for i := range len(cell) {
		if cell[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, cell[i])
	}
	return append(dst, '"')
}

// guardCell appends text so that a spreadsheet takes it for text and a terminal
// shows it: a quote comes before what a formula could begin with, control characters
// other than tab and line ends become U+FFFD, among them a carriage return that ends no
// line and would hide what is before it, and characters that hide or turn text
// around become escapes, as in \u202e.
func guardCell(dst, text []byte) []byte {
	first, _ := utf8.DecodeRune(text)
	switch first {
	case '=', '+', '-', '@', '\t', '\r', '\n', 0, '＝', '＋', '－', '＠':
		dst = append(dst, '\'')
	}
	start := len(dst)
	dst = appendUTF8(dst, text)
	plain := true
	for _, c := range dst[start:] {
		plain = plain && c >= ' ' && c < 0x7f
	}
	if plain {
		return dst
	}
	cell := string(dst[start:])
	dst = dst[:start]
	for i, r := range cell {
		switch {
		case r < ' ' && r != '\t' && r != '\n' && (r != '\r' || cell[i+1:] == "" || cell[i+1] != '\n') || 0x7f <= r && r < 0xa0:
			dst = utf8.AppendRune(dst, utf8.RuneError)
		case r >= 0xa0 && columnar.Invisible(r) && !unicode.Is(unicode.Zs, r): // blanks have at least room
			dst = columnar.AppendJSONEscape(dst, r)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// appendUTF8 appends text with U+FFFD in place of each byte that is not UTF-8.
func appendUTF8(dst, text []byte) []byte {
	if utf8.Valid(text) {
		return append(dst, text...)
	}
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		dst = utf8.AppendRune(dst, r)
		text = text[n:]
	}
	return dst
}

// appendJSON appends text as a JSON string. Characters without a shape are escaped, so
// that a terminal is safe.
func appendJSON(dst, text []byte) []byte {
	dst = append(dst, '"')
	for len(text) > 0 {
		c := text[0]
		if ' ' <= c && c < 0x7f && c != '"' && c != '\\' {
			dst = append(dst, c)
			text = text[1:]
			continue
		}
		r, n := utf8.DecodeRune(text)
		text = text[n:]
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', c)
		case columnar.Invisible(r):
			dst = columnar.AppendJSONEscape(dst, r)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
