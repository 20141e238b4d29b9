package logs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	gocmp "github.com/google/go-cmp/cmp"
)

// asJSON returns a value as JSON, as engines write it.
func asJSON(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// listed returns what one makes of each element, as an array.
func listed[T any](all []T, one func(T) string) string {
	texts := make([]string, len(all))
	for i, v := range all {
		texts[i] = one(v)
	}
	return "[" + strings.Join(texts, ",") + "]"
}

// An answer is what a query answers in the tests.
type answer struct {
	names []string
	rows  [][]any
}

func (a *answer) lines() string {
	var b strings.Builder
	for _, row := range a.rows {
		b.WriteString(a.object(row) + "\n")
	}
	return b.String()
}

// object returns a row as an object.
func (a *answer) object(row []any) string {
	members := make([]string, len(row))
	for i, v := range row {
		members[i] = asJSON(a.names[i]) + ":" + asJSON(v)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// as returns the names, each in a text for %s.
func (a *answer) as(format string) string {
	return listed(a.names, func(name string) string { return fmt.Sprintf(format, asJSON(name)) })
}

// types returns a type for each column.
func (a *answer) types(of string) string {
	return listed(a.names, func(string) string { return asJSON(of) })
}

func (a *answer) values() string {
	return listed(a.rows, func(row []any) string { return asJSON(row) })
}

// cells returns the rows, with each value as one makes it, in what wraps them.
func (a *answer) cells(wrap string, one func(any) string) string {
	return listed(a.rows, func(row []any) string { return fmt.Sprintf(wrap, listed(row, one)) })
}

// columns returns what one makes of each column, as members of an object.
func (a *answer) columns(one func(column []any) string) string {
	members := make([]string, len(a.names))
	for i, name := range a.names {
		members[i] = asJSON(name) + ":" + one(a.column(i))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func (a *answer) column(i int) (values []any) {
	for _, row := range a.rows {
		values = append(values, row[i])
	}
	return values
}

// numbered returns values as an object with their numbers for keys.
func numbered[T any](values []T, one func(T) string) string {
	members := make([]string, len(values))
	for i, v := range values {
		members[i] = asJSON(strconv.Itoa(i)) + ":" + one(v)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// asText returns a value as engines write it whose answers have only texts.
func asText(v any) string {
	switch v.(type) {
	case nil, string:
		return asJSON(v)
	}
	return asJSON(asJSON(v))
}

// ofAmazon returns a value as the interfaces for data of Amazon write it.
func ofAmazon(v any) string {
	switch v.(type) {
	case nil:
		return `{"isNull":true}`
	case int:
		return `{"longValue":` + asJSON(v) + `}`
	case bool:
		return `{"booleanValue":` + asJSON(v) + `}`
	}
	return `{"stringValue":` + asText(v) + `}`
}

func ofAthena(v any) string {
	if v == nil {
		return "{}"
	}
	return `{"VarCharValue":` + asText(v) + `}`
}

// anyJSON returns a value as it is.
func anyJSON(v any) string { return asJSON(v) }

// answerForms are the ways in which engines write answers.
var answerForms = []struct {
	name  string
	write func(a *answer) string
}{
	{"Defender", func(a *answer) string {
		return `{"Stats":{"ExecutionTime":0.1},"Schema":` + a.as(`{"Name":%s,"Type":"String"}`) + `,"Results":` + listed(a.rows, a.object) + `}`
	}},
	{"Graph", func(a *answer) string {
		return `{"@odata.context":"https://graph.example/$metadata#x","schema":` + a.as(`{"name":%s,"type":"String"}`) + `,"results":` + listed(a.rows, a.object) + `}`
	}},
	{"Log Analytics", func(a *answer) string {
		return `{"tables":[{"name":"PrimaryResult","columns":` + a.as(`{"name":%s,"type":"string"}`) + `,"rows":` + a.values() + `}]}`
	}},
	{"Log Analytics, batch", func(a *answer) string {
		return `{"responses":[{"id":"1","status":200,"headers":{"Age":"0"},"body":{"tables":[{"name":"PrimaryResult","columns":` + a.as(`{"name":%s,"type":"string"}`) + `,"rows":` + a.values() + `}]}}]}`
	}},
	{"Kusto v1", func(a *answer) string {
		return `{"Tables":[{"TableName":"Table_0","Columns":` + a.as(`{"ColumnName":%s,"DataType":"String","ColumnType":"string"}`) + `,"Rows":` + a.values() + `}]}`
	}},
	{"Kusto v2", func(a *answer) string {
		return `[{"FrameType":"DataSetHeader","IsProgressive":false,"Version":"v2.0"},
{"FrameType":"DataTable","TableId":0,"TableKind":"QueryProperties","TableName":"@ExtendedProperties","Columns":[{"ColumnName":"TableId","ColumnType":"int"},{"ColumnName":"Key","ColumnType":"string"}],"Rows":[[1,"Visualization"]]},
{"FrameType":"DataTable","TableId":1,"TableKind":"PrimaryResult","TableName":"PrimaryResult","Columns":` + a.as(`{"ColumnName":%s,"ColumnType":"string"}`) + `,"Rows":` + a.values() + `},
{"FrameType":"DataTable","TableId":2,"TableKind":"QueryCompletionInformation","Columns":[{"ColumnName":"Timestamp","ColumnType":"datetime"},{"ColumnName":"ClientRequestId","ColumnType":"string"}],"Rows":[["2026-11-20T10:00:00Z","x"]]},
{"FrameType":"DataSetCompletion","HasErrors":false,"Cancelled":false}]`
	}},
	{"Kusto v2, progressive", func(a *answer) string {
		first, rest := &answer{a.names, a.rows[:1]}, &answer{a.names, a.rows[1:]}
		return `[{"FrameType":"DataSetHeader","IsProgressive":true,"Version":"v2.0"},
{"FrameType":"TableHeader","TableId":1,"TableKind":"PrimaryResult","TableName":"PrimaryResult","Columns":` + a.as(`{"ColumnName":%s,"ColumnType":"string"}`) + `},
{"FrameType":"TableFragment","TableFragmentType":"DataAppend","TableId":1,"Rows":` + first.values() + `},
{"FrameType":"TableProgress","TableId":1,"TableProgress":50},
{"FrameType":"TableFragment","TableFragmentType":"DataAppend","TableId":1,"Rows":` + rest.values() + `},
{"FrameType":"TableCompletion","TableId":1,"RowCount":3},{"FrameType":"DataSetCompletion","HasErrors":false}]`
	}},
	{"Elasticsearch SQL", func(a *answer) string {
		return `{"columns":` + a.as(`{"name":%s,"type":"keyword"}`) + `,"rows":` + a.values() + `,"cursor":"x=="}`
	}},
	{"OpenSearch SQL", func(a *answer) string {
		return `{"schema":` + a.as(`{"name":"field","alias":%s,"type":"keyword"}`) + `,"total":3,"datarows":` + a.values() + `,"size":3,"status":200}`
	}},
	{"OpenSearch SQL, keys in order", func(a *answer) string {
		return `{"datarows":` + a.values() + `,"schema":` + a.as(`{"name":%s,"type":"keyword"}`) + `,"size":3,"status":200}`
	}},
	{"ClickHouse JSON", func(a *answer) string {
		return `{"meta":` + a.as(`{"name":%s,"type":"String"}`) + `,"data":` + listed(a.rows, a.object) + `,"rows":3,"statistics":{"elapsed":0.001}}`
	}},
	{"ClickHouse JSONCompact", func(a *answer) string {
		return `{"meta":` + a.as(`{"name":%s,"type":"String"}`) + `,"data":` + a.values() + `,"rows":3,"statistics":{"elapsed":0.001}}`
	}},
	{"ClickHouse JSONCompactEachRowWithNames", func(a *answer) string {
		text := asJSON(a.names)
		for _, row := range a.rows {
			text += "\n" + asJSON(row)
		}
		return text + "\n"
	}},
	{"ClickHouse JSONCompactEachRowWithNamesAndTypes", func(a *answer) string {
		text := asJSON(a.names) + "\n" + a.types("LowCardinality(String)")
		for _, row := range a.rows {
			text += "\n" + asJSON(row)
		}
		return text + "\n"
	}},
	{"ClickHouse JSONColumns", func(a *answer) string { return a.columns(func(v []any) string { return asJSON(v) }) }},
	{"ClickHouse JSONColumnsWithMetadata", func(a *answer) string {
		return `{"meta":` + a.as(`{"name":%s,"type":"String"}`) + `,"data":` + a.columns(func(v []any) string { return asJSON(v) }) + `,"rows":3}`
	}},
	{"Pinot", func(a *answer) string {
		return `{"resultTable":{"dataSchema":{"columnNames":` + asJSON(a.names) + `,"columnDataTypes":` + a.types("STRING") + `},"rows":` + a.values() + `},"exceptions":[],"numServersQueried":1}`
	}},
	{"Databricks", func(a *answer) string {
		return `{"statement_id":"01ef","status":{"state":"SUCCEEDED"},"manifest":{"format":"JSON_ARRAY","schema":{"column_count":5,"columns":` + a.as(`{"name":%s,"type_text":"STRING","position":0}`) +
			`},"chunks":[{"chunk_index":0,"row_offset":0,"row_count":3}]},"result":{"chunk_index":0,"row_offset":0,"data_array":` + a.cells("%s", asText) + `}}`
	}},
	{"Athena", func(a *answer) string {
		names := listed(a.names, func(name string) string { return ofAthena(name) })
		rows := strings.TrimPrefix(a.cells(`{"Data":%s}`, ofAthena), "[")
		return `{"UpdateCount":0,"ResultSet":{"Rows":[{"Data":` + names + `},` + rows + `,"ResultSetMetadata":{"ColumnInfo":` + a.as(`{"CatalogName":"hive","SchemaName":"","Name":%s,"Type":"varchar"}`) + `}}}`
	}},
	{"Athena, a later page", func(a *answer) string {
		return `{"ResultSet":{"Rows":` + a.cells(`{"Data":%s}`, ofAthena) + `,"ResultSetMetadata":{"ColumnInfo":` + a.as(`{"Name":%s,"Type":"varchar"}`) + `}}}`
	}},
	{"Timestream", func(a *answer) string {
		return `{"QueryId":"x","Rows":` + a.cells(`{"Data":%s}`, func(v any) string {
			if v == nil {
				return `{"NullValue":true}`
			}
			return `{"ScalarValue":` + asText(v) + `}`
		}) + `,"ColumnInfo":` + a.as(`{"Name":%s,"Type":{"ScalarType":"VARCHAR"}}`) + `}`
	}},
	{"Redshift", func(a *answer) string {
		return `{"Records":` + a.cells("%s", ofAmazon) + `,"ColumnMetadata":` + a.as(`{"label":%s,"name":"x","nullable":1,"typeName":"varchar"}`) + `,"TotalNumRows":3}`
	}},
	{"Snowflake", func(a *answer) string {
		return `{"resultSetMetaData":{"numRows":3,"format":"jsonv2","partitionInfo":[{"rowCount":3}],"rowType":` + a.as(`{"name":%s,"database":"D","schema":"S","table":"T","type":"text","nullable":true}`) + `},"data":` + a.cells("%s", asText) + `,"code":"090001"}`
	}},
	{"BigQuery", func(a *answer) string {
		return `{"kind":"bigquery#queryResponse","schema":{"fields":` + a.as(`{"name":%s,"type":"STRING","mode":"NULLABLE"}`) + `},"totalRows":"3","rows":` + a.cells(`{"f":%s}`, func(v any) string { return `{"v":` + asText(v) + `}` }) + `,"jobComplete":true}`
	}},
	{"Druid, arrays", func(a *answer) string { return "[" + asJSON(a.names) + "," + strings.TrimPrefix(a.values(), "[") }},
	{"Druid, arrays with types", func(a *answer) string {
		return "[" + asJSON(a.names) + "," + a.types("STRING") + "," + a.types("VARCHAR") + "," + strings.TrimPrefix(a.values(), "[")
	}},
	{"Splunk json_rows", func(a *answer) string {
		return `{"preview":false,"init_offset":0,"messages":[],"fields":` + asJSON(a.names) + `,"rows":` + a.values() + `}`
	}},
	{"Splunk json_cols", func(a *answer) string {
		return `{"preview":false,"init_offset":0,"messages":[],"fields":` + a.as(`{"name":%s}`) + `,"columns":` + listed(a.names, func(name string) string { return asJSON(a.column(slices.Index(a.names, name))) }) + `}`
	}},
	{"pandas split", func(a *answer) string {
		return `{"columns":` + asJSON(a.names) + `,"index":[0,1,2],"data":` + a.values() + `}`
	}},
	{"pandas columns", func(a *answer) string { return a.columns(func(v []any) string { return numbered(v, anyJSON) }) }},
	{"pandas index", func(a *answer) string { return numbered(a.rows, a.object) }},
	{"pandas table", func(a *answer) string {
		return `{"schema":{"fields":` + a.as(`{"name":%s,"type":"string"}`) + `,"primaryKey":["index"],"pandas_version":"1.4.0"},"data":` + listed(a.rows, a.object) + `}`
	}},
	{"InfluxDB", func(a *answer) string {
		return `{"results":[{"statement_id":0,"series":[{"name":"log","columns":` + asJSON(a.names) + `,"values":` + a.values() + `}]}]}`
	}},
	{"Trino", func(a *answer) string {
		return `{"id":"20261120_1","infoUri":"http://trino.example/ui","columns":` + a.as(`{"name":%s,"type":"varchar","typeSignature":{"rawType":"varchar","arguments":[{"kind":"LONG","value":2147483647}]}}`) +
			`,"data":` + a.values() + `,"stats":{"state":"FINISHED","nodes":1},"warnings":[]}`
	}},
	{"psql, json_agg", func(a *answer) string {
		text := "  json_agg  \n------------\n"
		for i, row := range a.rows {
			mark := []string{" ", "["}[min(1, max(0, 1-i))]
			text += " " + mark + a.object(row)
			if i < len(a.rows)-1 {
				text += ",  +\n"
			}
		}
		return text + "]\n(1 row)\n\n"
	}},
	{"psql, an object a row", func(a *answer) string {
		return "  row_to_json  \n---------------\n " + strings.ReplaceAll(strings.TrimSpace(a.lines()), "\n", "\n ") + "\n(3 rows)\n\n"
	}},
	{"CloudWatch Insights", func(a *answer) string {
		return `{"results":` + listed(a.rows, func(row []any) string {
			var fields []string // without those that are null
			for i, v := range row {
				if v != nil {
					fields = append(fields, `{"field":`+asJSON(a.names[i])+`,"value":`+asText(v)+`}`)
				}
			}
			return "[" + strings.Join(fields, ",") + "]"
		}) + `,"status":"Complete"}`
	}},
}

// randomAnswer returns an answer of some rows, of calls to a cloud.
func randomAnswer(r *rand.Rand, rows int) *answer {
	a := &answer{names: []string{"time", "user", "src_ip", "operation", "bytes_out", "user_agent", "allowed", "tags"}}
	for i := range rows {
		row := []any{
			fmt.Sprintf("2026-11-20T10:%02d:%02dZ", i/60%60, i%60), pick(r, "ines", `o"sk\ar`, "Jürgen {x}", "a,b]"), fmt.Sprintf("10.2.3.%d", r.IntN(250)), pick(r, "GetObject", "PutObject"), 1 + r.IntN(1<<30),
			any("tool/1 [x]"), r.IntN(2) == 0, map[string]any{"k": []any{1, "v"}},
		}
		for _, null := range []int{3, 5, 6, 7} {
			if r.IntN(4) == 0 {
				row[null] = nil
			}
		}
		a.rows = append(a.rows, row)
	}
	return a
}

// decoded returns the rows of a log, without the numbers of their records, and what was said of it.
func decoded(t *testing.T, stored []byte, size int) *result {
	t.Helper()
	c := &logCase{sniff: true}
	m, r := c.unwrapped(stored, size)
	if r.err != nil {
		t.Fatalf("got %v, %v of\n%.2000s", m.Format, r.err, stored)
	}
	for i := range r.tables {
		r.tables[i].Records = nil
	}
	r.tally.Records = 0
	return r
}

// If this fails, what a query answers depends on how its engine writes it.
func TestQueryForms(t *testing.T) {
	r := rand.New(rand.NewPCG(22, 1))
	for _, f := range answerForms {
		t.Run(f.name, func(t *testing.T) {
			for n := range 3 {
				a, b := randomAnswer(r, 2+40*n), randomAnswer(r, 3)
				want := decoded(t, []byte(a.lines()+b.lines()), wholeBlock)
				if want.rows != int64(len(a.rows)+len(b.rows)) {
					t.Fatalf("got %d rows of JSON lines, %+v", want.rows, want.tally)
				}
				pages := []byte(f.write(a) + "\n" + f.write(b) + "\n")
				printed := pages
				if !strings.Contains(f.name, "EachRow") && !strings.HasPrefix(f.name, "psql") {
					var p bytes.Buffer
					for _, page := range []string{f.write(a), f.write(b)} {
						if err := json.Indent(&p, []byte(page), "", "  "); err != nil {
							t.Fatal(err)
						}
						p.WriteByte('\n')
					}
					printed = p.Bytes()
				}
				joined := []byte(f.write(a) + f.write(b))
				for name, stored := range map[string][]byte{"pages": pages, "printed": printed, "joined": joined, "gzip": []byte(packed(t, string(pages), func(w io.Writer) (io.WriteCloser, error) { return gzipper(w), nil }))} {
					got := decoded(t, stored, wholeBlock)
					if d := gocmp.Diff(want.tables, got.tables); d != "" || want.rows != got.rows || got.tally.Skipped > 0 {
						t.Fatalf("%s: got %d rows, want %d, %+v (-lines +answer):\n%s\n%.3000s", name, got.rows, want.rows, got.tally, d, stored)
					}
				}
				whole, err := io.ReadAll(lines(bufio.NewReaderSize(bytes.NewReader(pages), headSize)))
				bytewise, _ := io.ReadAll(lines(bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(pages)), headSize)))
				if err != nil || !bytes.Equal(whole, bytewise) {
					t.Fatalf("got %v, %s at once, %s byte by byte", err, whole, bytewise)
				}
			}
		})
	}
}

// If this fails, rows are lost without a word, or get the names of other columns.
func TestQueryRows(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, c := range []struct{ name, in, want string }{ // "[?]": a row without a name for each value
		{"more and fewer values", `{"columns":["a","b"],"rows":[[1,2],[1],[1,2,3],[],[3,4]]}`, `{"a":1,"b":2}
[?]
[?]
[?]
{"a":3,"b":4}
`},
		{"values that are null, nested, and in texts", `{"columns":["a","b","c","d"],"rows":[[null,{"x":[1,"]"]},"{\"y\":2}",true],[1.50,[],"7",-3e5]]}`, `{"b":{"x":[1,"]"]},"c":{"y":2},"d":true}
{"a":1.50,"b":[],"c":7,"d":-3e5}
`},
		{"names that are repeated, or missing", `{"columns":["a",null,"a",""],"rows":[[1,2,3,4]]}`, `{"a":1,"a":3}
`},
		{"names behind the rows", `{"data":[[1,2],[3,4]],"schema":[{"name":"a"},{"name":"b"}]}{"data":[[5,6]],"schema":[{"name":"b"},{"name":"c"}]}`, `{"a":1,"b":2}
{"a":3,"b":4}
{"b":5,"c":6}
`},
		{"later pages without names", `{"columns":["a","b"],"rows":[[1,2]]}` + "\n" + `{"rows":[[3,4],[5]]}` + "\n" + `{"columns":["c","b"],"rows":[[6,7]]}`, `{"a":1,"b":2}
{"a":3,"b":4}
[?]
{"c":6,"b":7}
`},
		{"pages in an array", `[{"columns":["a","b"],"rows":[[1,2]]},{"rows":[[3,4]],"columns":["b","c"]}]`, `{"a":1,"b":2}
{"b":3,"c":4}
`},
		{"names of types, of an index and of columns", `{"types":["x","y"],"index":["p","q"],"columns":["a","b"],"rows":[[1,2],[3,4]]}`, `{"a":1,"b":2}
{"a":3,"b":4}
`},
		{"names as the first row", `[["who","n"],["x",1],["y"],["who","n"],["z",2]]`, `{"who":"x","n":1}
[?]
{"who":"z","n":2}
`},
		{"columns", `{"a":[1,null,3],"b":["x","y","z"]}{"a":[1],"b":["x","y"]}{"a":[4],"c":[5]}`, `{"a":1,"b":"x"}
{"b":"y"}
{"a":3,"b":"z"}
{"a":1,"b":"x"}
[?]
{"a":4,"c":5}
`},
		{"a numbered row that is no object", `{"0":{"a":1},"1":{"a":2}}{"0":[1],"1":{"a":3}}`, `{"a":1}
{"a":2}
{
{"a":3}
`},
		{"rows that wait at the end", `{"Records":[[{"stringValue":"x"},{"longValue":1}],[{"stringValue":"y"}`, `{
[?]
`},
		{"cut off", `{"columns":["a","b"],"rows":[[1,2],[3,`, `{"a":1,"b":2}
{
`},
		{"another object", `{"columns":["a","b"],"rows":[[1,2]]}` + "\n" + `{"error":{"type":"x"}}`, `{"a":1,"b":2}
{
`},
		{"a long row", `{"columns":["a","b"],"rows":[[1,2],["` + strings.Repeat(long, 4) + `",3],[4,5]]}`, `{"a":1,"b":2}
{
{"a":4,"b":5}
`},
		{"many rows before their names", `{"Records":[` + strings.Repeat(`[{"stringValue":"`+long[:1<<10]+`"},{"longValue":1}],`, 17<<10) + `[{"isNull":true},{"longValue":2}]],"ColumnMetadata":[{"label":"a"},{"label":"b"}]}`, strings.Repeat("[?]\n", 17<<10) + "[?]\n"},
		{"columns that are too long to turn", `{"a":["` + strings.Repeat(long[:1<<10]+`","`, 17<<10) + `"],"b":[` + strings.Repeat("1,", 17<<10) + `2]}`, "[?]\n"},
	} {
		form := batchFormOf([]byte(c.in)[:min(len(c.in), headSize)])
		if form == nil || form.query == nil {
			t.Errorf("%s: got no form", c.name)
			continue
		}
		for _, src := range []io.Reader{strings.NewReader(c.in), iotest.DataErrReader(strings.NewReader(c.in))} {
			got, err := io.ReadAll(&batchReader{batchForm: form, src: src})
			if string(got) != c.want || err != nil {
				t.Errorf("%s: got %v\n%.900s\nwant\n%.900s", c.name, err, got, c.want)
			}
		}
	}
}

// If this fails, records are taken for what a query answers.
func TestNoQuery(t *testing.T) {
	for _, in := range []string{
		`{"Records":[{"eventName":"x","resources":[{"name":"a"},{"name":"b"}],"requestParameters":{"columns":["a","b"]}}]}`,
		`{"user":"x","labels":{"a":["p"],"b":["q"]}}`, `{"a":1,"geo":{"coordinates":[[1,2],[3,4]]}}`, `{"fields":["a"],"rows":[{"b":1}]}`,
		`{"name":"x","Parameters":[{"Name":"a","Value":"b"}],"Results":[]}`, `["a","b"]` + "\n" + `["c"]`, `[1,2]` + "\n" + `[3,4]`, `[[1,2],[3,4]]`,
		`{"query":"select","details":{"columns":["a","b"],"rows":[[1,2]]},"text":"` + strings.Repeat("x", 1000) + `"}`, `{"0":{"a":1},"x":2}`, "[[", `{"a":`, `[[]]`, `{"a":[]}`,
	} {
		if f := queryFormOf([]byte(in)); f != nil {
			t.Errorf("%.200s: got %+v", in, *f)
		}
	}
}

// If this fails, a few bytes become gigabytes in memory: rows of short values below long names.
func TestQueryBomb(t *testing.T) {
	names := make([]string, 64)
	for i := range names {
		names[i] = strconv.Itoa(i) + strings.Repeat("n", 1000)
	}
	row := "[" + strings.TrimSuffix(strings.Repeat("1,", len(names)), ",") + "],"
	rows := strings.Repeat(row, 1<<12)
	in := `{"rows":[` + rows[:len(rows)-1] + `],"columns":` + asJSON(names) + `}`
	b := &batchReader{batchForm: batchFormOf([]byte(in)[:headSize]), src: strings.NewReader(in)}
	n, err := io.Copy(io.Discard, b)
	if err != nil || n < 200<<20 || cap(b.out) > 1<<20 {
		t.Errorf("got %d bytes, %v, with %d in memory", n, err, cap(b.out))
	}
}
