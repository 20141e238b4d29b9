package logs

import (
	"fmt"
	"path/filepath"
	"testing"

	"outflow/columnar"
)

// If this fails, logs that depend on one another are read apart: a log has ids, answers or
// servers where nobody looks for them.
func TestMayFill(t *testing.T) {
	filled := map[columnar.Col]bool{}
	for _, c := range readCases(t) {
		if c.format.New == nil {
			continue
		}
		check := func(m *Member, b *Block) error {
			d, err := m.Format.New(m.Options)
			if err != nil {
				return err
			}
			out := columnar.Out{Want: columnar.Cols(^uint64(0)), Origin: m.Format.Origin(), Sink: func(rows *columnar.Batch) {
				for _, col := range []columnar.Col{columnar.EventUID, columnar.UID, columnar.Answers, columnar.DstIP, columnar.DstHost} {
					if !rows.Table.Set().Has(col) || rows.Known(col) == 0 {
						continue
					}
					filled[col] = true
					if !m.Format.MayFill(col, m.Options.Head, m.Options.Mapping) {
						t.Errorf("%s: %s fills %v, and MayFill denies it", filepath.Base(c.file), m.Format.Name, col)
					}
				}
			}}
			var tally Tally
			err = b.Decode(d, &out, &tally)
			out.Flush()
			return err
		}
		Read(object("test", c.in), &ReadOptions{Format: c.format, Options: c.options}, check)
	}
	if len(filled) != 5 {
		t.Errorf("the cases fill %s only", fmt.Sprint(filled))
	}
	if CSV.MayFill(columnar.EventUID, []byte("time,user,bytes_out\n"), nil) || !CSV.MayFill(columnar.EventUID, []byte("time;Event-UID\n"), nil) {
		t.Error("a column of CSV is not found by its name")
	}
}
