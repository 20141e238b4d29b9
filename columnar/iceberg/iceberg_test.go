package iceberg

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"
)

func newAvroBlocks(t testing.TB, file []byte, meta *map[string][]byte) *bufio.Reader {
	t.Helper()
	in := bufio.NewReader(bytes.NewReader(file))
	m, _, err := avroHeader(in)
	if err != nil {
		t.Fatal(err)
	}
	*meta = m
	return in
}

const testSchema = `{"type": "struct", "schema-id": 1, "fields": [
	{"id": 1, "name": "time", "required": false, "type": "timestamptz"},
	{"id": 2, "name": "account", "required": false, "type": "string"},
	{"id": 3, "name": "at", "required": false, "type": "long"},
	{"id": 4, "name": "src", "required": false, "type": {"type": "struct", "fields": [
		{"id": 5, "name": "ip", "required": false, "type": "string"},
		{"id": 6, "name": "seen", "required": true, "type": "timestamp"}]}},
	{"id": 7, "name": "tags", "required": false, "type": {"type": "list", "element-id": 8, "element-required": false, "element": {"type": "struct", "fields": [
		{"id": 9, "name": "uid", "required": false, "type": "string"}]}}},
	{"id": 10, "name": "eventDay", "required": false, "type": "string"},
	{"id": 11, "name": "born", "required": true, "type": "date"},
	{"id": 12, "name": "local", "required": true, "type": "timestamp", "initial-default": "2020-01-01T00:00:00"}]}`

// firstTime takes the column time, then at, for the time.
var firstTime = Times{
	Columns: func(names []string) (out []int) {
		for _, want := range []string{"time", "at"} {
			for i, name := range names {
				if name == want {
					out = append(out, i)
				}
			}
		}
		return out
	},
	Micros: func(v int64) (int64, bool) { return v * 1000, v > 0 },
}

func TestSchema(t *testing.T) {
	s, err := parseSchema(json.RawMessage(testSchema))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range s.Columns {
		got = append(got, fmt.Sprintf("%d:%s:%s:%v:%s", c.ID, c.Name, c.Type, c.Required, c.Default))
	}
	want := "1:time:timestamptz:false: 2:account:string:false: 3:at:long:false: 5:src.ip:string:false: 6:src.seen:timestamp:false: " +
		"10:eventDay:string:false: 11:born:date:true: 12:local:timestamp:true:2020-01-01T00:00:00"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
	for id, want := range map[int]string{4: "src", 7: "tags", 8: "element", 9: "uid"} {
		if name, ok := s.Name(id); !ok || name != want {
			t.Errorf("name of %d: got %q, %v, want %q", id, name, ok, want)
		}
	}
	if _, ok := s.Name(99); ok {
		t.Error("99 has a name")
	}
}

// If this fails, a file with rows of a day is not read, or many without are.
func TestPrune(t *testing.T) {
	s, err := parseSchema(json.RawMessage(testSchema))
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) int64 {
		v, err := time.Parse("2006-01-02T15:04", text)
		if err != nil {
			t.Fatal(err)
		}
		return v.UnixMicro()
	}
	long := func(v int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v)) }
	bounds := func(id int, from, to string, scale int64) fileBounds {
		return fileBounds{lower: map[int][]byte{id: long(at(from) / scale)}, upper: map[int][]byte{id: long(at(to) / scale)}}
	}
	noNulls := func(f fileBounds, id int) fileBounds {
		f.values, f.nulls = map[int]int64{id: 10}, map[int]int64{id: 0}
		return f
	}
	allNull := fileBounds{values: map[int]int64{1: 10}, nulls: map[int]int64{1: 10}}
	const day = 20411 // 2025-11-19, as `date -d 2025-11-19 +%s` / 86400
	for name, c := range map[string]struct {
		transform string // of the time, or of account or eventDay
		source    int
		value     any
		file      fileBounds
		times     string
		zone      time.Duration
		want      bool
	}{
		"nothing known":        {want: true},
		"same day":             {transform: "day", source: 1, value: int64(day), want: true},
		"next day, null time":  {transform: "day", source: 1, value: int64(day + 1), want: true}, // at, the second, is not known
		"next day":             {transform: "day", source: 1, value: int64(day + 1), times: "time", want: false},
		"day before":           {transform: "day", source: 1, value: int64(day - 1), times: "time", want: false},
		"first hour":           {transform: "hour", source: 1, value: int64(day * 24), times: "time", want: true},
		"hour before":          {transform: "hour", source: 1, value: int64(day*24 - 1), times: "time", want: false},
		"last hour":            {transform: "hour", source: 1, value: int64(day*24 + 23), times: "time", want: true},
		"hour after":           {transform: "hour", source: 1, value: int64(day*24 + 24), times: "time", want: false},
		"month":                {transform: "month", source: 1, value: int64(55*12 + 10), times: "time", want: true},
		"month before":         {transform: "month", source: 1, value: int64(55*12 + 9), times: "time", want: false},
		"year":                 {transform: "year", source: 1, value: int64(55), times: "time", want: true},
		"year after":           {transform: "year", source: 1, value: int64(56), times: "time", want: false},
		"year before 1970":     {transform: "year", source: 1, value: int64(-1), times: "time", want: false},
		"absurd hour":          {transform: "hour", source: 1, value: int64(1 << 62), times: "time", want: true},
		"bucket":               {transform: "bucket[16]", source: 1, value: int64(3), times: "time", want: true},
		"truncate":             {transform: "truncate[4]", source: 2, value: "abcd", times: "time", want: true},
		"null partition":       {transform: "day", source: 1, value: nil, times: "time", want: true},
		"identity account":     {transform: "identity", source: 2, value: "20200101", times: "time", want: true},
		"day column":           {transform: "identity", source: 10, value: "20251119", want: true},
		"day column, dashes":   {transform: "identity", source: 10, value: "2025-11-19", want: true},
		"another day column":   {transform: "identity", source: 10, value: "20251120", want: false},
		"day column, no day":   {transform: "identity", source: 10, value: "today", want: true},
		"day of other column":  {transform: "day", source: 6, value: int64(day + 9), times: "time", want: true},
		"bounds":               {file: bounds(1, "2025-11-18T23:00", "2025-11-19T00:00", 1), times: "time", want: true},
		"bounds before":        {file: bounds(1, "2025-11-18T20:00", "2025-11-18T23:59", 1), times: "time", want: false},
		"bounds after":         {file: bounds(1, "2025-11-20T00:00", "2025-11-20T23:59", 1), times: "time", want: false},
		"bounds, second known": {file: noNulls(bounds(1, "2025-11-20T00:00", "2025-11-20T23:59", 1), 1), want: false},
		"all null, second":     {file: allNull, times: "time", want: false},
		"ms":                   {file: bounds(3, "2025-11-19T10:00", "2025-11-19T11:00", 1000), times: "at", want: true},
		"ms before":            {file: bounds(3, "2025-11-17T10:00", "2025-11-18T11:00", 1000), times: "at", want: false},
		"two units":            {file: fileBounds{lower: map[int][]byte{3: long(1)}, upper: map[int][]byte{3: long(at("2025-11-18T11:00") / 1000)}}, times: "at", want: true},
		"zero among ms":        {file: fileBounds{lower: map[int][]byte{3: long(0)}, upper: map[int][]byte{3: long(at("2025-11-18T11:00") / 1000)}}, times: "at", want: true},
		"short bound":          {file: fileBounds{lower: map[int][]byte{1: {1}}, upper: map[int][]byte{1: {2}}}, times: "time", want: true},
		"date":                 {file: fileBounds{lower: map[int][]byte{11: {0xbb, 0x4f, 0, 0}}, upper: map[int][]byte{11: {0xbb, 0x4f, 0, 0}}}, times: "born", want: true},
		"date before":          {file: fileBounds{lower: map[int][]byte{11: {0xba, 0x4f, 0, 0}}, upper: map[int][]byte{11: {0xba, 0x4f, 0, 0}}}, times: "born", want: false},
		"local":                {file: bounds(12, "2025-11-18T11:00", "2025-11-18T12:00", 1), times: "local", want: false},
		"local, zone":          {file: bounds(12, "2025-11-18T11:00", "2025-11-18T12:00", 1), times: "local", zone: 15 * time.Hour, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			times := firstTime
			if times.Zone = c.zone; c.times != "" {
				times.Columns = func(names []string) (out []int) {
					for i, n := range names {
						if n == c.times {
							out = append(out, i)
						}
					}
					return out
				}
			}
			q := newQuestion(s, []time.Time{time.Date(2025, 11, 19, 5, 0, 0, 0, time.UTC)}, times)
			sp := &spec{}
			var values []any
			if c.transform != "" {
				sp.Fields = []partitionField{{Source: c.source, ID: 1000, Transform: c.transform}}
				values = []any{c.value}
			}
			narrowed := map[int]span{}
			got := q.partitioned(sp, s, values, narrowed) && q.wants(&c.file, narrowed)
			if got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// A testFile is an entry of a manifest of the test.
type testFile struct {
	status   int64
	sequence any // nil or int64
	content  int64
	path     string
	format   string
	account  string
	low      string // of the path, of deletes
	high     string
	records  int64
}

const manifestSchema = `{"type": "record", "name": "manifest_entry", "fields": [
	{"name": "status", "field-id": 0, "type": "int"},
	{"name": "sequence_number", "field-id": 3, "type": ["null", "long"]},
	{"name": "data_file", "field-id": 2, "type": {"type": "record", "name": "r2", "fields": [
		{"name": "content", "field-id": 134, "type": "int"},
		{"name": "file_path", "field-id": 100, "type": "string"},
		{"name": "file_format", "field-id": 101, "type": "string"},
		{"name": "partition", "field-id": 102, "type": {"type": "record", "name": "r102", "fields": [%s]}},
		{"name": "record_count", "field-id": 103, "type": "long"},
		{"name": "lower_bounds", "field-id": 125, "type": ["null", {"type": "array", "logicalType": "map", "items": {"type": "record", "name": "k126", "fields": [
			{"name": "key", "field-id": 126, "type": "int"}, {"name": "value", "field-id": 127, "type": "bytes"}]}}]},
		{"name": "upper_bounds", "field-id": 128, "type": ["null", {"type": "array", "logicalType": "map", "items": {"type": "record", "name": "k129", "fields": [
			{"name": "key", "field-id": 129, "type": "int"}, {"name": "value", "field-id": 130, "type": "bytes"}]}}]}]}}]}`

func putText(b []byte, s string) []byte { return append(binary.AppendVarint(b, int64(len(s))), s...) }

// manifest is a manifest of a table that is partitioned by account, unless nullFirst is 2.
func manifest(nullFirst int, files ...testFile) []byte {
	field := []string{`{"name": "account", "field-id": 1000, "type": ["string", "null"]}`, `{"name": "account", "field-id": 1000, "type": ["null", "string"]}`, ""}[nullFirst]
	var b []byte
	bound := func(s string) {
		if s == "" {
			b = append(b, 0)
			return
		}
		b = append(b, 2, 4)                // an array of two
		b = putText(append(b, 2), "other") // of column 1
		b = binary.AppendVarint(b, pathID) // and of the path
		b = append(putText(b, s), 0)
	}
	for _, f := range files {
		b = binary.AppendVarint(b, f.status)
		if n, ok := f.sequence.(int64); ok {
			b = binary.AppendVarint(append(b, 2), n)
		} else {
			b = append(b, 0)
		}
		b = binary.AppendVarint(b, f.content)
		b = putText(putText(b, f.path), f.format)
		if field != "" {
			b = putText(append(b, byte(2*nullFirst)), f.account)
		}
		b = binary.AppendVarint(b, f.records)
		bound(f.low)
		bound(f.high)
	}
	return avroFile(fmt.Sprintf(manifestSchema, field), "null", int64(len(files)), int64(len(b)), b)
}

func manifestList(entries ...manifestFile) []byte {
	var b []byte
	for _, m := range entries {
		b = putText(b, m.path)
		b = binary.AppendVarint(b, int64(m.spec))
		content := int64(0)
		if m.deletes {
			content = 1
		}
		b = binary.AppendVarint(binary.AppendVarint(b, content), m.sequence)
	}
	return avroFile(`{"type": "record", "name": "manifest_file", "fields": [{"name": "manifest_path", "type": "string"},
		{"name": "partition_spec_id", "type": "int"}, {"name": "content", "type": "int"}, {"name": "sequence_number", "type": "long"}]}`,
		"null", int64(len(entries)), int64(len(b)), b)
}

const testMetadata = `{"format-version": 2, "location": "s3://lake/t", "current-schema-id": 1, "schemas": [` + testSchema + `],
	"partition-specs": [{"spec-id": 0, "fields": [{"source-id": 2, "field-id": 1000, "name": "account", "transform": "identity"}]}, {"spec-id": 1, "fields": []}],
	"current-snapshot-id": 7, "snapshots": [{"snapshot-id": 6, "manifest-list": "old"}, {"snapshot-id": 7, "manifest-list": "list"}]}`

func filesOf(t *testing.T, metadata string, content map[string][]byte) ([]*File, error) {
	t.Helper()
	table, err := Parse(strings.NewReader(metadata))
	if err != nil {
		return nil, err
	}
	return table.Files(t.Context(), func(_ context.Context, path string) (io.ReadCloser, error) {
		b, ok := content[path]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return io.NopCloser(bytes.NewReader(b)), nil
	}, nil, Times{})
}

func text(files []*File) string {
	var b strings.Builder
	for _, f := range files {
		fmt.Fprintf(&b, "%s %s %v", f.Path, f.Constants[2], f.Deletes)
		if f.Err != nil {
			fmt.Fprintf(&b, " %v", f.Err)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// If this fails, rows that were deleted count, or rows that were not do not.
func TestDeletes(t *testing.T) {
	data := func(path string, sequence any, account string) testFile {
		return testFile{status: 1, sequence: sequence, path: path, format: "PARQUET", account: account, records: 10}
	}
	gone := data("gone", int64(1), "a")
	gone.status = 2
	existing := data("existing", int64(1), "a")
	existing.status = 0
	orc := data("orc", nil, "a")
	orc.format = "ORC"
	positions := func(path string, sequence any, account, low, high string) testFile {
		return testFile{status: 1, sequence: sequence, content: 1, path: path, format: "PARQUET", account: account, low: low, high: high}
	}
	equality := func(path string, sequence any, account string) testFile {
		return testFile{status: 1, sequence: sequence, content: 2, path: path, format: "PARQUET", account: account}
	}
	vector := positions("dv", int64(9), "d", "", "")
	vector.format = "PUFFIN"
	got, err := filesOf(t, testMetadata, map[string][]byte{
		"list": manifestList(manifestFile{path: "data", sequence: 4}, manifestFile{path: "deletes", sequence: 5, deletes: true},
			manifestFile{path: "data", sequence: 4}, manifestFile{path: "plain", spec: 1, sequence: 6}, manifestFile{path: "global", spec: 1, sequence: 8, deletes: true}),
		"data": manifest(0, gone, existing, data("inherits", nil, "a"), data("newer", int64(6), "a"), data("other", int64(1), "b"), orc,
			data("equal", int64(1), "c"), data("equal8", int64(8), "c"), data("vector", nil, "d"), data("newest", int64(20), "d")),
		"deletes": manifest(1, positions("p5", nil, "a", "", ""), positions("p4", int64(4), "a", "", ""), positions("p3", int64(3), "a", "", ""),
			positions("range", int64(30), "a", "f", "m"), positions("only", int64(30), "a", "newer", "newer"), vector),
		"plain":  manifest(2, data("free", nil, "")),
		"global": manifest(2, equality("eq", int64(8), "")),
	})
	if err != nil {
		t.Fatal(err)
	}
	const refused = " has rows that eq deletes by their values (an equality delete), which is not read: have the table compacted"
	want := "existing a [p5 p4 p3]" + refused + "\n" +
		"inherits a [p5 p4 range]" + refused + "\n" +
		"newer a [only]" + refused + "\n" +
		"other b []" + refused + "\n" +
		"orc a [p5 p4] is a data file in orc: of tables only Parquet is read\n" +
		"equal c []" + refused + "\n" +
		"equal8 c []\n" +
		"vector d [] has rows that dv deletes, a deletion vector or a file in puffin, which is not read: have the table compacted\n" +
		"newest d []\n" +
		"free  []" + refused + "\n"
	if got := text(got); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// If this fails, damaged or hostile metadata are read as if they were whole.
func TestBadMetadata(t *testing.T) {
	plain := manifestList(manifestFile{path: "m"})
	data := testFile{status: 1, path: "x", format: "parquet", account: "a"}
	without := data
	without.path = ""
	unknown := data
	unknown.content = 5
	replace := func(old, new string) string {
		if !strings.Contains(testMetadata, old) {
			t.Fatalf("no %q in the metadata", old)
		}
		return strings.Replace(testMetadata, old, new, 1)
	}
	long := data
	long.path = strings.Repeat("x", maxPath+1)
	for name, c := range map[string]struct {
		metadata string
		content  map[string][]byte
		want     string
	}{
		"no JSON":          {metadata: "x", want: "not the metadata of an Iceberg table"},
		"another JSON":     {metadata: "{}", want: "not the metadata of an Iceberg table"},
		"version 4":        {metadata: replace(`"format-version": 2`, `"format-version": 4`), want: "format version 4, which is not read"},
		"no snapshot":      {metadata: replace(`"current-snapshot-id": 7`, `"current-snapshot-id": 8`), want: "snapshot 8 is not among"},
		"no list":          {metadata: replace(`, "manifest-list": "list"`, ``), want: "snapshot 7 has no manifest list"},
		"no schema":        {metadata: replace(`"current-schema-id": 1`, `"current-schema-id": 3`), want: "schema 3 is not among"},
		"bad id":           {metadata: replace(`"id": 1,`, `"id": -1,`), want: `column "time" has the id -1`},
		"deep":             {metadata: replace(`"type": "date"`, `"type": `+strings.Repeat(`{"type": "list", "element-id": 90, "element": `, 200)+`"int"`+strings.Repeat("}", 200)), want: "nested more than"},
		"list is missing":  {metadata: testMetadata, want: "manifest list list: file does not exist"},
		"list of itself":   {metadata: testMetadata, content: map[string][]byte{"list": manifestList(manifestFile{path: "list"})}, want: "not a manifest"},
		"list is manifest": {metadata: testMetadata, content: map[string][]byte{"list": manifest(0, data)}, want: "not a manifest list"},
		"manifest missing": {metadata: testMetadata, content: map[string][]byte{"list": plain}, want: "manifest m: file does not exist"},
		"manifest cut off": {metadata: testMetadata, content: map[string][]byte{"list": plain, "m": manifest(0, data)[:1780]}, want: "manifest m: avro"},
		"other spec":       {metadata: testMetadata, content: map[string][]byte{"list": manifestList(manifestFile{path: "m", spec: 9}), "m": manifest(0, data)}, want: "partition spec 9"},
		"no path":          {metadata: testMetadata, content: map[string][]byte{"list": plain, "m": manifest(0, without)}, want: "without data_file.file_path"},
		"long path":        {metadata: testMetadata, content: map[string][]byte{"list": plain, "m": manifest(0, long)}, want: "at most 4096 are read"},
		"unknown content":  {metadata: testMetadata, content: map[string][]byte{"list": plain, "m": manifest(0, unknown)}, want: "content 5"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := filesOf(t, c.metadata, c.content); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
	for _, none := range []string{`"current-snapshot-id": -1`, `"current-snapshot-id": null`} {
		if got, err := filesOf(t, replace(`"current-snapshot-id": 7`, none), nil); err != nil || len(got) != 0 {
			t.Errorf("%s: got %d files, %v, want none", none, len(got), err)
		}
	}
}

// FuzzParse reads anything as a metadata file.
func FuzzParse(f *testing.F) {
	f.Add([]byte(testMetadata))
	f.Fuzz(func(t *testing.T, b []byte) { Parse(bytes.NewReader(b)) })
}
