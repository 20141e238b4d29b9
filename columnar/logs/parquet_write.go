package logs

import (
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"

	"outflow/columnar"
)

// parquetGroupRows is how many rows a row group of newParquetWriter has. More
// would be memory in every reader and writer; less would make dictionaries and
// statistics weigh more.
const parquetGroupRows = 1 << 20

// A parquetWriter writes batches of one table as a Parquet file: zstd, texts
// that repeat in dictionaries, minima and maxima for each row group, times as
// TIMESTAMP(µs, UTC).
type parquetWriter struct {
	table  *columnar.Table
	w      *parquet.GenericWriter[any]
	values []parquet.Value
	rows   int // of the row group
}

func newParquetWriter(w io.Writer, t *columnar.Table) *parquetWriter {
	schema := parquet.NewSchema(t.Name, parquetTable{parquetNodes(t), t})
	return &parquetWriter{table: t, w: parquet.NewGenericWriter[any](w, schema,
		parquet.Compression(&parquet.Zstd), parquet.DataPageStatistics(true), parquet.CreatedBy("outflow", "", ""))}
}

// A parquetTable is a group whose fields stand in the order of the table.
type parquetTable struct {
	parquet.Group
	table *columnar.Table
}

func (p parquetTable) Fields() []parquet.Field {
	fields := p.Group.Fields()
	place := func(f parquet.Field) int {
		return slices.IndexFunc(p.table.Cols, func(c columnar.Col) bool { return c.String() == f.Name() })
	}
	slices.SortFunc(fields, func(a, b parquet.Field) int { return place(a) - place(b) })
	return fields
}

func parquetNodes(t *columnar.Table) parquet.Group {
	nodes := parquet.Group{}
	for _, c := range t.Cols {
		var n parquet.Node
		switch c.Kind() {
		case columnar.Timestamp:
			n = parquet.Timestamp(parquet.Microsecond)
		case columnar.Dictionary:
			n = parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
		case columnar.Text:
			n = parquet.String()
		case columnar.Int32:
			n = parquet.Optional(parquet.Leaf(parquet.Int32Type))
		default:
			n = parquet.Optional(parquet.Leaf(parquet.Int64Type))
		}
		nodes[c.String()] = n
	}
	return nodes
}

// Write writes rows of b, which must be of the writer's table.
func (p *parquetWriter) Write(b *columnar.Batch, rows []int) error {
	columns, n := p.w.ColumnWriters(), b.Len()
	for i, c := range p.table.Cols {
		p.values = appendParquet(p.values[:0], b, c, i)
		if rows != nil {
			n = len(rows)
			for to, from := range rows {
				p.values[to] = p.values[from]
			}
			p.values = p.values[:n]
		}
		if _, err := columns[i].WriteRowValues(p.values); err != nil {
			return fmt.Errorf("write %s: %w", c, err)
		}
	}
	if p.rows += n; p.rows >= parquetGroupRows {
		p.rows = 0
		return p.w.Flush()
	}
	return nil
}

// Close writes what is left and the footer.
func (p *parquetWriter) Close() error { return p.w.Close() }

// appendParquet appends the values of column c, the i-th of the file. Texts stay
// those of the batch.
func appendParquet(values []parquet.Value, b *columnar.Batch, c columnar.Col, i int) []parquet.Value {
	switch c.Kind() {
	case columnar.Timestamp:
		for _, v := range b.Int64(c) {
			values = append(values, parquet.Int64Value(v).Level(0, 0, i))
		}
	case columnar.Dictionary:
		codes, dict := b.Codes(c)
		for _, code := range codes {
			values = append(values, parquet.ByteArrayValue(dict.Text(code)).Level(0, 0, i))
		}
	case columnar.Text:
		offsets, text := b.Texts(c)
		for row := range b.Len() {
			values = append(values, parquet.ByteArrayValue(text[offsets[row]:offsets[row+1]]).Level(0, 0, i))
		}
	default:
		valid := b.Valid(c)
		for row := range b.Len() {
			v := parquet.NullValue().Level(0, 0, i)
			if valid[row>>3]>>(row&7)&1 != 0 {
				if c.Kind() == columnar.Int32 {
					v = parquet.Int32Value(b.Int32(c)[row]).Level(0, 1, i)
				} else {
					v = parquet.Int64Value(b.Int64(c)[row]).Level(0, 1, i)
				}
			}
			values = append(values, v)
		}
	}
	return values
}
