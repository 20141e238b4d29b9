package jobs

import (
	"context"
	"encoding/csv"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"outflow/columnar"
	"outflow/columnar/logs"
	"outflow/columnar/store"
	"outflow/stats/detect"
)

// If this fails, a table is read otherwise than pyiceberg reads it: files that are not of
// its snapshot count, or files and rows that are do not. The tables are made by
// fixtures/oracle/iceberg.py; see make iceberg.
func TestOracleIceberg(t *testing.T) {
	folder := os.Getenv("OUTFLOW_ICEBERG_ORACLE")
	if folder == "" {
		t.Skip("make iceberg makes the tables, and sets OUTFLOW_ICEBERG_ORACLE to their folder")
	}
	f, err := os.Open(filepath.Join(folder, "want.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines[1:] {
		name, uri, day := line[0], line[1], line[2]
		wantRows, _ := strconv.ParseInt(line[3], 10, 64)
		wantBytes, _ := strconv.ParseInt(line[4], 10, 64)
		t.Run(name+"/"+day, func(t *testing.T) {
			var days []detect.Day
			if day != "" && day != "refused" {
				d, err := detect.ParseDay(day)
				if err != nil {
					t.Fatal(err)
				}
				days = append(days, d)
			}
			got := readTable(t, uri, days)
			if day == "refused" {
				if len(got.errors) != 1 || !strings.Contains(got.errors[0], "equality delete") || !strings.Contains(got.errors[0], "equal.parquet") {
					t.Errorf("got the errors %q, want one that names the file equal.parquet", got.errors)
				}
				return
			}
			if len(got.errors) > 0 {
				t.Fatalf("errors: %q", got.errors)
			}
			if got.rows != wantRows || got.bytes != wantBytes {
				t.Errorf("got %d rows, %d bytes out, want %d, %d, from %d objects", got.rows, got.bytes, wantRows, wantBytes, got.objects)
			}
			t.Logf("%d objects, %d deleted rows", got.objects, got.deleted)
		})
	}
}

// A tableRead is what was read of the objects of a table.
type tableRead struct {
	objects              int
	rows, bytes, deleted int64
	errors               []string
}

// readTable reads what a URI names, and counts the rows of the days, all without days.
func readTable(t *testing.T, uri string, days []detect.Day) (got tableRead) {
	t.Helper()
	p := &program{ctx: t.Context(), now: time.Now, env: func(string) (string, bool) { return "", false }, stderr: io.Discard}
	sources, _, err := p.glob(uri, days, store.Options{}, &logs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if len(days) > 0 {
		from, to = days[0].Time().UnixMicro(), (days[len(days)-1] + 1).Time().UnixMicro()
	}
	got.objects = len(sources)
	o := &foldOptions{workers: 2, tap: func(b *columnar.Batch) {
		out := b.Int64(columnar.BytesOut)
		for i, us := range b.Int64(columnar.Time) {
			if us >= from && us < to {
				got.rows++
				if out[i] != columnar.Null {
					got.bytes += out[i]
				}
			}
		}
	}}
	o.want.Cols = columnar.ColSet(columnar.Time, columnar.User, columnar.BytesOut, columnar.BytesIn, columnar.SrcIP, columnar.Host, columnar.Account)
	result, err := Fold(context.Background(), sources, o)
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	for _, in := range result.inputs {
		if in.Error != "" {
			got.errors = append(got.errors, in.Name+": "+in.Error)
		}
		if in.Records != in.Rows+in.Other+in.Skipped {
			t.Errorf("%s: %d records, but %d rows, %d other, %d skipped", in.Name, in.Records, in.Rows, in.Other, in.Skipped)
		}
		if in.Skipped > 0 || len(in.Reasons) > 0 {
			t.Errorf("%s: skipped %d: %q", in.Name, in.Skipped, in.Reasons)
		}
		for _, k := range in.Kinds {
			if k.Name == "deleted rows of the table" {
				got.deleted += k.Count
			}
		}
	}
	slices.Sort(got.errors)
	return got
}
