package jobs

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm"

	"outflow/columnar"
)

// A where selects rows by an expression over their columns: numbers are numbers, with
// NaN for what is unknown, times are times, and all else is text.
type where struct {
	program *vm.Program
	columns []columnar.Col // that the expression reads
	row     map[string]any
	rows    []int
}

// newWhere compiles an expression in the language of expr-lang.org.
func newWhere(text string) (*where, error) {
	w := &where{row: map[string]any{}}
	for c := range columnar.NumCols {
		switch c.Kind() {
		case columnar.Timestamp:
			w.row[c.String()] = time.Time{}
		case columnar.Int64, columnar.Int32:
			w.row[c.String()] = math.NaN()
		default:
			w.row[c.String()] = ""
		}
	}
	names := columnNames{}
	program, err := expr.Compile(text, expr.Env(w.row), expr.AsBool(), expr.Timezone("UTC"), expr.Patch(names))
	if err != nil {
		return nil, badConfig("--where: %s", strings.TrimSpace(err.Error()))
	}
	w.program = program
	clear(w.row)
	for c := range columnar.NumCols {
		if names[c.String()] {
			w.columns = append(w.columns, c)
		}
	}
	return w, nil
}

// columnNames collects the names that an expression reads.
type columnNames map[string]bool

// Visit is part of ast.Visitor.
func (n columnNames) Visit(node *ast.Node) {
	if name, ok := (*node).(*ast.IdentifierNode); ok {
		n[name.Value] = true
	}
}

// check reports a column of the expression that a table does not have.
func (w *where) check(t *columnar.Table) error {
	for _, c := range w.columns {
		if !t.Set().Has(c) {
			return badConfig("--where: the table %s has no column %s; see outflow list columns", t.Name, c)
		}
	}
	return nil
}

// of returns those of the rows for which the expression is true. They are valid until the
// next call.
func (w *where) of(b *columnar.Batch, rows []int) ([]int, error) {
	w.rows = w.rows[:0]
	for _, row := range rows {
		for _, c := range w.columns {
			w.row[c.String()] = valueOf(b, c, row)
		}
		found, err := expr.Run(w.program, w.row)
		if err != nil {
			return nil, badConfig("--where: %s", strings.TrimSpace(err.Error()))
		}
		if found.(bool) { // expr.AsBool
			w.rows = append(w.rows, row)
		}
	}
	return w.rows, nil
}

func valueOf(b *columnar.Batch, c columnar.Col, row int) any {
	switch c.Kind() {
	case columnar.Timestamp:
		return time.UnixMicro(b.Int64(c)[row]).UTC()
	case columnar.Dictionary:
		codes, dict := b.Codes(c)
		return string(dict.Text(codes[row]))
	case columnar.Text:
		offsets, text := b.Texts(c)
		return string(text[offsets[row]:offsets[row+1]])
	}
	if b.Valid(c).Bit(row) == 0 {
		return math.NaN()
	}
	if c.Kind() == columnar.Int32 {
		return float64(b.Int32(c)[row])
	}
	return float64(b.Int64(c)[row])
}

// columnsOf returns the columns of a table that have these names.
func columnsOf(t *columnar.Table, names []string) ([]columnar.Col, error) {
	var out []columnar.Col
	for _, name := range names {
		c, ok := columnar.ColNamed(name)
		if !ok || !t.Set().Has(c) {
			return nil, badConfig("--columns: the table %s has no column %q: want some of %s", t.Name, name, strings.Join(texts(t.Cols, columnar.Col.String), ", "))
		}
		if slices.Contains(out, c) {
			return nil, badConfig("--columns: %s stands twice", name)
		}
		out = append(out, c)
	}
	return out, nil
}
