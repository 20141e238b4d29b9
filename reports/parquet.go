package reports

import (
	"io"

	"github.com/parquet-go/parquet-go"
)

// Parquet writes findings for DuckDB, Athena, Spark and pandas. The tables of each day
// are in the state in that form.
var Parquet = &Format{
	Name:  "parquet",
	Title: "findings as a Parquet table",
	Files: []File{
		{"findings.parquet", "a row per finding, worst first, with the columns of findings.csv: times are timestamps, lists are lists, and a number that is not known is null", writeParquet},
	},
}

// parquetRows is how many rows are written at once.
const parquetRows = 1024

func writeParquet(w io.Writer, r *Report) error {
	out := parquet.NewGenericWriter[Record](w, parquet.Compression(&parquet.Zstd), parquet.CreatedBy("outflow", r.Version, ""))
	rows := make([]Record, 0, parquetRows)
	for i := range r.Findings {
		rows = append(rows, NewRecord(&r.Findings[i]))
		if len(rows) < parquetRows && i < len(r.Findings)-1 {
			continue
		}
		if _, err := out.Write(rows); err != nil {
			return err
		}
		rows = rows[:0]
	}
	return out.Close()
}
