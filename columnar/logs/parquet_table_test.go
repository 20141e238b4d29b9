package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"outflow/columnar"
	"outflow/columnar/iceberg"
)

// tableSchema is the schema of a table whose columns are given as "id name type", with the
// properties of the table.
func tableSchema(t testing.TB, columns, properties string) *iceberg.Schema {
	t.Helper()
	var fields []string
	for _, c := range strings.Split(columns, ", ") {
		f := strings.SplitN(c, " ", 3)
		fields = append(fields, fmt.Sprintf(`{"id": %s, "name": %q, "required": false, "type": %s}`, f[0], f[1], f[2]))
	}
	table, err := iceberg.Parse(strings.NewReader(fmt.Sprintf(`{"format-version": 2, "location": "t", "current-schema-id": 0,
		"schemas": [{"type": "struct", "schema-id": 0, "fields": [%s]}], "properties": {%s}}`, strings.Join(fields, ", "), properties)))
	if err != nil {
		t.Fatal(err)
	}
	return table.Schema
}

// An idEvent is a row of a file that knows its columns by ids.
type idEvent struct {
	Time    int64   `parquet:"old_time,id(1),timestamp(microsecond)"`
	User    string  `parquet:"user,id(2)"`
	Out     int32   `parquet:"uploaded,id(3)"`
	Dropped string  `parquet:"host,id(4)"`
	In      float32 `parquet:"bytes_in,id(5)"`
	Src     struct {
		IP string `parquet:"address,id(7)"`
	} `parquet:"from,id(6)"`
}

func idEvents(n int) []idEvent {
	all := make([]idEvent, n)
	for i := range all {
		all[i] = idEvent{Time: 1767225600_000000 + int64(i)*1000, User: fmt.Sprintf("user%d", i%7), Out: int32(i), Dropped: "no", In: float32(i) * 2}
		all[i].Src.IP = fmt.Sprintf("10.0.0.%d", i%200)
	}
	return all
}

// If this fails, a file that was written before a table's columns were renamed, dropped,
// added again or widened is read under wrong names, or not at all.
func TestTableColumns(t *testing.T) {
	file := write(t, idEvents(3))
	const current = `1 time "timestamptz", 2 user "string", 3 bytes_out "long", 9 host "string", 10 account "string", ` +
		`5 bytes_in "double", 6 src_endpoint {"type":"struct","fields":[{"id":7,"name":"ip","required":false,"type":"string"}]}`
	for name, c := range map[string]struct {
		file   []byte
		schema *iceberg.Schema
		data   *iceberg.File
		o      Options
		want   map[columnar.Col][]string
		err    string
	}{
		"by id": {file: file, schema: tableSchema(t, current, ""), data: &iceberg.File{Constants: map[int]string{10: "111122223333"}},
			want: map[columnar.Col][]string{
				columnar.User: {"user0", "user1", "user2"}, columnar.BytesOut: {"0", "1", "2"}, columnar.BytesIn: {"0", "2", "4"},
				columnar.SrcIP: {"10.0.0.0", "10.0.0.1", "10.0.0.2"}, columnar.Host: {"", "", ""},
				columnar.Account: {"111122223333", "111122223333", "111122223333"},
			}},
		"a constant that the file has": {file: file, schema: tableSchema(t, current, ""), data: &iceberg.File{Constants: map[int]string{2: "not this"}},
			want: map[columnar.Col][]string{columnar.User: {"user0", "user1", "user2"}}},
		"a mapping of a column that the file lacks": {file: file, schema: tableSchema(t, current, ""), data: &iceberg.File{},
			o:    Options{Mapping: &Mapping{Columns: map[columnar.Col]Column{columnar.Resource: {Name: "host"}, columnar.Time: {Name: "time"}}}},
			want: map[columnar.Col][]string{columnar.Resource: {"", "", ""}, columnar.User: {"user0", "user1", "user2"}}},
		"a constant time and number": {file: file, schema: tableSchema(t, `20 time "string", 21 bytes_out "long", 2 user "string"`, ""),
			data: &iceberg.File{Constants: map[int]string{20: "2026-01-01T05:00:00Z", 21: "77"}},
			want: map[columnar.Col][]string{columnar.Time: {"2026-01-01T05:00:00Z", "2026-01-01T05:00:00Z", "2026-01-01T05:00:00Z"}, columnar.BytesOut: {"77", "77", "77"}}},
		"no time": {file: file, schema: tableSchema(t, `2 user "string", 3 bytes_out "long"`, ""), data: &iceberg.File{}, err: "no column for time"},
		"without ids, by names": {file: write(t, events(2)), schema: tableSchema(t, `1 time "timestamptz", 2 user "string", 3 bytes_in "int"`, ""), data: &iceberg.File{},
			want: map[columnar.Col][]string{columnar.BytesIn: {fmt.Sprint(events(2)[0].In), fmt.Sprint(events(2)[1].In)}}},
		"without ids, mapped": {file: write(t, events(2)), schema: tableSchema(t, `1 time "timestamptz", 2 actor "string", 3 bytes_out "int"`,
			`"schema.name-mapping.default": `+jsonText(`[{"field-id": 1, "names": ["time"]}, {"field-id": 3, "names": ["other", "bytes_in"]}]`)), data: &iceberg.File{},
			want: map[columnar.Col][]string{columnar.BytesOut: {fmt.Sprint(events(2)[0].In), fmt.Sprint(events(2)[1].In)}, columnar.User: {"", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Table = &InTable{Schema: c.schema, File: c.data}
			got := decodeParquet(c.file, c.o)
			if c.err != "" {
				if got.err == nil || !strings.Contains(got.err.Error(), c.err) {
					t.Errorf("got %v, want an error with %q", got.err, c.err)
				}
				return
			}
			if got.err != nil {
				t.Fatal(got.err)
			}
			table := slices.IndexFunc(columnar.Tables[:], func(x *columnar.Table) bool { return len(got.tables[x.ID].Cells) > 0 })
			for col, want := range c.want {
				if d := cmp.Diff(want, got.column(columnar.Tables[table], col)); d != "" {
					t.Errorf("%s (-want +got):\n%s", col, d)
				}
			}
			if len(got.tally.Reasons)+len(got.tally.Cleared) > 0 {
				t.Errorf("reasons: %v %v", got.tally.Reasons, got.tally.Cleared)
			}
		})
	}
}

func jsonText(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// A position is a row of a file of deletes.
type position struct {
	Path string `parquet:"file_path"`
	Pos  int64  `parquet:"pos"`
}

type sizedFile struct{ *bytes.Reader }

func (sizedFile) Close() error { return nil }

func openSized(b []byte) func() (SizedReaderAt, error) {
	return func() (SizedReaderAt, error) { return sizedFile{bytes.NewReader(b)}, nil }
}

// If this fails, rows that a table has deleted count, rows that it has not do not, or
// records are not rows, others and skipped.
func TestDeletedRows(t *testing.T) {
	const n = 5000
	all := events(n)
	oddTime := slices.Clone(all)
	for _, i := range []int{10, 2000, 2001, 4999} {
		oddTime[i].Time = -5
	}
	sets := map[string][]int64{
		"none": {}, "one": {0}, "last": {n - 1}, "edges": {63, 64, 1023, 1024, 2047, 2048},
		"odd too": {10, 2000}, "twice": {7, 7}, "window": nil, "all": nil,
	}
	for i := range int64(n) {
		sets["all"] = append(sets["all"], i)
		if i >= 1024 && i < 3072 {
			sets["window"] = append(sets["window"], i)
		}
	}
	user := "user1"
	all[5].User, oddTime[5].User = &user, &user
	schema := tableSchema(t, `1 time "timestamptz", 2 user "string", 3 bytes_out "long", 4 src_ip "string", 5 bytes_in "long"`, "")
	for name, set := range sets {
		for _, encoding := range []string{"plain", "dictionary"} {
			for _, rows := range [][]event{all, oddTime} {
				for _, where := range []bool{false, true} {
					file := write(t, rows, parquet.MaxRowsPerRowGroup(1500))
					deletes := []position{{"other.parquet", 1}}
					for _, at := range set {
						deletes = append(deletes, position{"data.parquet", at}, position{"later.parquet", at + 1})
					}
					half := len(deletes) / 2
					one := write(t, deletes[:half+1], encodedAs[position](encoding, nil)...)
					two := write(t, deletes[half:], encodedAs[position](encoding, []parquet.WriterOption{parquet.MaxRowsPerRowGroup(100)})...)
					o := Options{}
					if where {
						o.Mapping = &Mapping{Where: Where{Name: "user", Equals: "user1"}}
					}
					before := decodeParquet(file, o)
					o.Table = &InTable{Schema: schema, File: &iceberg.File{Path: "data.parquet", Deletes: []string{"one", "two"}},
						Deletes: []func() (SizedReaderAt, error){openSized(one), openSized(two)}}
					got := decodeParquet(file, o)
					if before.err != nil || got.err != nil {
						t.Fatal(before.err, got.err)
					}
					deleted := map[int64]bool{}
					for _, at := range set {
						deleted[at] = true
					}
					var want []int64
					for _, record := range before.tables[columnar.API.ID].Records {
						if !deleted[record-1] {
							want = append(want, record)
						}
					}
					if d := cmp.Diff(want, got.tables[columnar.API.ID].Records); d != "" {
						t.Fatalf("%s, %s, where %v: records (-want +got):\n%.500s", name, encoding, where, d)
					}
					kinds := map[string]int64{}
					for _, k := range got.tally.Kinds {
						kinds[k.Name] = k.Count
					}
					ty := &got.tally
					if kinds[deletedRows] != int64(len(deleted)) || ty.Records != n || ty.Records != ty.Rows+ty.Other+ty.Skipped || ty.Other != kinds[deletedRows]+kinds[leftOut] {
						t.Errorf("%s, %s, where %v: got %d deleted, %+v, want %d", name, encoding, where, kinds[deletedRows], ty, len(deleted))
					}
				}
			}
		}
	}
}

// If this fails, a file is read although what is deleted of it cannot be told.
func TestBadDeletes(t *testing.T) {
	file := write(t, events(100))
	good := write(t, []position{{"data.parquet", 1}})
	type other struct {
		Path string `parquet:"file_path"`
		Pos  string `parquet:"pos"`
	}
	type optional struct {
		Path *string `parquet:"file_path,optional"`
		Pos  *int64  `parquet:"pos,optional"`
	}
	for name, c := range map[string]struct {
		open func() (SizedReaderAt, error)
		want string
	}{
		"cut off":   {openSized(good[:len(good)-9]), "not a whole Parquet file"},
		"text":      {openSized([]byte("file_path,pos\ndata.parquet,1\n")), "not a whole Parquet file"},
		"no column": {openSized(file), "want the columns file_path and pos"},
		"kind":      {openSized(write(t, []other{{"data.parquet", "1"}})), "want the columns file_path and pos"},
		"null":      {openSized(write(t, []optional{{nil, nil}})), "is null"},
		"negative":  {openSized(write(t, []position{{"data.parquet", -1}})), "row -1 of a file of 100 rows"},
		"beyond":    {openSized(write(t, []position{{"data.parquet", 100}})), "row 100 of a file of 100 rows"},
		"missing":   {func() (SizedReaderAt, error) { return nil, io.ErrUnexpectedEOF }, "unexpected EOF"},
	} {
		o := Options{Table: &InTable{Schema: tableSchema(t, `1 time "timestamptz"`, ""), File: &iceberg.File{Path: "data.parquet", Deletes: []string{"s3://b/deletes"}},
			Deletes: []func() (SizedReaderAt, error){c.open}}}
		got := decodeParquet(file, o)
		if got.err == nil || !strings.Contains(got.err.Error(), c.want) || !strings.Contains(got.err.Error(), "s3://b/deletes") || got.tally.Records > 0 {
			t.Errorf("%s: got %v and %d records, want an error with %q", name, got.err, got.tally.Records, c.want)
		}
	}
	for i := range good {
		damaged := bytes.Clone(good)
		damaged[i] ^= 0x55
		o := Options{Table: &InTable{Schema: tableSchema(t, `1 time "timestamptz"`, ""), File: &iceberg.File{Path: "data.parquet", Deletes: []string{"d"}},
			Deletes: []func() (SizedReaderAt, error){openSized(damaged)}}}
		decodeParquet(file, o) // does not panic
	}
}

// If this fails, a data file that is no Parquet is read as some other log.
func TestTableOfText(t *testing.T) {
	o := &Object{Name: "x.parquet", Table: &InTable{Schema: tableSchema(t, `1 time "long"`, ""), File: &iceberg.File{}},
		Open: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("time,user,bytes_out\n2026-01-01T00:00:00Z,anna,5\n")), nil
		}}
	members := Read(o, &ReadOptions{}, func(*Member, *Block) error { return errors.New("a block") })
	if len(members) != 1 || members[0].Err == nil || !strings.Contains(members[0].Err.Error(), "is not Parquet") {
		t.Errorf("got %v, want an error", members[0].Err)
	}
}

// If this fails, files of a table are left out by a column that is not the time of its rows.
func TestTimesOf(t *testing.T) {
	names := []string{"metadata.uid", "time_dt", "ingested", "time", "eventDay"}
	for name, c := range map[string]struct {
		o    Options
		want []int
	}{
		"well-known":    {Options{}, []int{3, 1}},
		"a mapping":     {Options{Mapping: &Mapping{Columns: map[columnar.Col]Column{columnar.Time: {Name: "ingested"}}}}, []int{2}},
		"several":       {Options{Mapping: &Mapping{Columns: map[columnar.Col]Column{columnar.Time: {First: []string{"none", "ingested", "time"}}}}}, []int{2, 3}},
		"constant time": {Options{Mapping: &Mapping{Columns: map[columnar.Col]Column{columnar.Time: {Const: "2026-01-01T00:00:00Z"}}}}, []int{}},
	} {
		if got := TimesOf(&c.o).Columns(names); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	micros := TimesOf(&Options{}).Micros
	for v, want := range map[int64]int64{1767225600: 1767225600_000000, 1767225600_123: 1767225600_123000, 1767225600_123456: 1767225600_123456, 0: 0, -7: 0, 12: 0} {
		if got, ok := micros(v); got != want && ok || ok != (want != 0) {
			t.Errorf("%d: got %d, %v, want %d", v, got, ok, want)
		}
	}
	unit := TimesOf(&Options{Mapping: &Mapping{Columns: map[columnar.Col]Column{columnar.Time: {Name: "t", Time: "ms"}}}}).Micros
	if got, ok := unit(1767225600_123); got != 1767225600_123000 || !ok {
		t.Errorf("ms: got %d, %v", got, ok)
	}
}
