package logs

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"outflow/columnar"
)

// A namedRow is a record whose columns have several names.
type namedRow struct {
	Time      *string  `parquet:"time,optional" json:"time,omitempty"`
	Timestamp *string  `parquet:"timestamp,optional,dict" json:"timestamp,omitempty"`
	Day       *string  `parquet:"date,optional" json:"date,omitempty"`
	User      *string  `parquet:"user,optional,dict" json:"user,omitempty"`
	Email     *string  `parquet:"email,optional" json:"email,omitempty"`
	Actor     *int64   `parquet:"actor,optional" json:"actor,omitempty"`
	Operation string   `parquet:"operation,dict" json:"operation,omitempty"`
	Out       *int64   `parquet:"bytes_out,optional" json:"bytes_out,omitempty"`
	Size      *string  `parquet:"upload_size,optional" json:"upload_size,omitempty"`
	Rate      *float64 `parquet:"request_bytes,optional" json:"request_bytes,omitempty"`
}

func randomNamed(r *rand.Rand, n int) []namedRow {
	or := func(values ...string) *string {
		if s := pick(r, append(values, "", "")...); s != "" {
			return &s
		}
		return nil
	}
	rows := make([]namedRow, n)
	for i := range rows {
		at := fmt.Sprintf("%02d:%02d:%02d", r.IntN(24), r.IntN(60), r.IntN(60))
		rows[i] = namedRow{
			Time: or("2026-11-20T"+at+"Z", at, "-"), Timestamp: or(fmt.Sprint(1795165200+r.IntN(1000)), "-", "soon"), Day: or("2026-11-20", "-"),
			User: or("-", "N/A", fmt.Sprintf("user%d", r.IntN(50))), Email: or(fmt.Sprintf("user%d@corp.example", r.IntN(50)), "(null)"),
			Operation: "put", Size: or("12", "-", "many", "-3"),
		}
		if r.IntN(2) == 0 {
			v := r.Int64N(1000)
			rows[i].Actor = &v
		}
		if r.IntN(3) == 0 {
			v := r.Int64N(1000) - 100
			rows[i].Out = &v
		}
		if r.IntN(3) == 0 {
			v := float64(r.IntN(1000)) / 4
			rows[i].Rate = &v
		}
	}
	return rows
}

// TestNamesAlike checks that JSON, CSV and Parquet give the same rows of records whose
// columns have several names.
func TestNamesAlike(t *testing.T) {
	rows := randomNamed(rand.New(rand.NewPCG(3, 4)), 3000)
	var lines, table bytes.Buffer
	w := csv.NewWriter(&table)
	var names []string
	for i, row := range rows {
		line, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
		var cells []string
		var object map[string]json.RawMessage
		if err := json.Unmarshal(line, &object); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			for _, field := range parquet.SchemaOf(row).Fields() {
				names = append(names, field.Name())
			}
			w.Write(names)
		}
		for _, name := range names {
			cells = append(cells, strings.Trim(string(object[name]), `"`))
		}
		w.Write(cells)
	}
	w.Flush()
	want := account((&logCase{format: JSONLines, options: Options{Want: ^columnar.Cols(0)}}).anew(lines.Bytes()))
	if len(want) < 1000 || !slices.Contains(want, "negative bytes_out, left empty: "+fmt.Sprint(countNegative(rows))) {
		t.Errorf("got few rows, or another count of negative bytes: %q", want[len(want)-10:])
	}
	for _, c := range []struct {
		name string
		got  []string
	}{
		{"csv", account((&logCase{format: CSV, options: Options{Want: ^columnar.Cols(0)}}).anew(table.Bytes()))},
		{"parquet", account(decodeParquet(write(t, rows, parquet.PageBufferSize(700)), Options{}))},
		{"parquet, one page", account(decodeParquet(write(t, rows), Options{}))},
	} {
		got := slices.DeleteFunc(c.got, func(s string) bool { return s == "other: 1" }) // the header
		want := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return s == "other: 0" })
		got = slices.DeleteFunc(got, func(s string) bool { return s == "other: 0" })
		if d := gocmp.Diff(want, got); d != "" {
			t.Errorf("%s (-jsonl +got):\n%.3000s", c.name, d)
		}
	}
}

// countNegative returns the number of rows with a time whose first size is negative.
func countNegative(rows []namedRow) (n int) {
	said := func(s *string) bool { return s != nil && *s != "-" }
	for _, row := range rows {
		timed := said(row.Day)
		switch {
		case said(row.Time):
			timed = timed || len(*row.Time) > len("15:04:05")
		case said(row.Timestamp):
			timed = *row.Timestamp != "soon"
		}
		if timed && (row.Out != nil && *row.Out < 0 || row.Out == nil && said(row.Size) && *row.Size == "-3") {
			n++
		}
	}
	return n
}

// TestParquetUnread checks that a column of an unsupported type is left out and named,
// and that the other columns are read.
func TestParquetUnread(t *testing.T) {
	type row struct {
		Time   int64    `parquet:"time,timestamp(microsecond)"`
		User   string   `parquet:"user"`
		ID     [16]byte `parquet:"src_ip,uuid"`
		Out    int64    `parquet:"bytes_out,decimal(2:18)"`
		In     int64    `parquet:"bytes_in,brotli"`
		Size   *int64   `parquet:"response_size,optional"`
		Fixed  [20]byte `parquet:"service"`
		Tags   []string `parquet:"operation,list"`
		Nested []struct {
			Host string `parquet:"host"`
		} `parquet:"nested"`
	}
	size := int64(7)
	rows := []row{{Time: 1795165200_000000, User: "dora", Out: 5, In: 6, Size: &size}, {Time: 1795165201_000000, User: "egon", In: 8}}
	got := account(decodeParquet(write(t, rows, parquet.MaxRowsPerRowGroup(1)), Options{}))
	want := []string{
		"api|2026-11-20T09:00:00Z|dora|||||||||0|7|",
		"api|2026-11-20T09:00:01Z|egon|||||||||0||",
		`column "bytes_in" left out: compressed with BROTLI, which is not read: write the file with zstd, snappy or gzip: 2`,
		`column "operation" left out: it is a list, which cannot be operation: 2`,
		`column "service" left out: it is FIXED_LEN_BYTE_ARRAY, which cannot be service: 2`,
		`column "src_ip" left out: it is UUID, which cannot be src_ip: 2`,
		"other: 0", "skipped: 0",
	}
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestParquetLZ4 checks that a file compressed with LZ4_RAW gives the same rows as one
// that is not compressed.
func TestParquetLZ4(t *testing.T) {
	rows := events(5000)
	want := account(decodeParquet(write(t, rows), Options{}))
	if d := gocmp.Diff(want, account(decodeParquet(write(t, rows, parquet.Compression(&parquet.Lz4Raw)), Options{}))); d != "" {
		t.Errorf("(-want +got):\n%.2000s", d)
	}
}
