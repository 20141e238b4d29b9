package logs

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/deprecated"

	"outflow/columnar"
)

// decodeParquet decodes a file, each row group with a decoder of its own.
func decodeParquet(data []byte, o Options) *result {
	r := &result{}
	out := r.collect()
	r.err = Parquet.Split(bytes.NewReader(data), int64(len(data)), &o, func(b *Block) error {
		d, err := Parquet.New(&o)
		if err != nil {
			return err
		}
		return d.Decode(b, out, &r.tally)
	})
	out.Flush()
	return r
}

// column returns the cells of a column.
func (r *result) column(t *columnar.Table, c columnar.Col) []string {
	if r.tables[t.ID].Cells == nil {
		return nil
	}
	return r.tables[t.ID].Cells[slices.Index(t.Cols, c)]
}

type event struct {
	Time   int64   `parquet:"time,timestamp(microsecond)"`
	User   *string `parquet:"user,optional"`
	Out    *int64  `parquet:"bytes_out,optional"`
	In     int32   `parquet:"bytes_in"`
	Source string  `parquet:"src_ip"`
	Object string  `parquet:"object"`
}

func events(n int) []event {
	r := rand.New(rand.NewPCG(5, 6))
	all := make([]event, n)
	for i := range all {
		e := &all[i]
		*e = event{Time: 1767225600_000000 + int64(i)*1_500, In: int32(r.IntN(1 << 20)), Source: fmt.Sprintf("10.0.0.%d", r.IntN(200)),
			Object: strings.Repeat("x", r.IntN(20)) + fmt.Sprint(i)}
		if r.IntN(3) > 0 {
			user := fmt.Sprintf("user%d", r.IntN(5000))
			e.User = &user
		}
		if r.IntN(4) > 0 || i < n/2 {
			out := int64(r.IntN(1 << 40))
			e.Out = &out
		}
	}
	return all
}

func wantEvents(all []event) map[columnar.Col][]string {
	want := map[columnar.Col][]string{}
	add := func(c columnar.Col, s string) { want[c] = append(want[c], s) }
	for _, e := range all {
		add(columnar.Time, time.UnixMicro(e.Time).UTC().Format("2006-01-02T15:04:05.999999Z07:00"))
		user, out := "", ""
		if e.User != nil {
			user = *e.User
		}
		if e.Out != nil {
			out = fmt.Sprint(*e.Out)
		}
		add(columnar.User, user)
		add(columnar.BytesOut, out)
		add(columnar.BytesIn, fmt.Sprint(e.In))
		add(columnar.SrcIP, e.Source)
		add(columnar.Resource, e.Object)
	}
	return want
}

// TestParquetPages reads what the library writes, in every codec, encoding and
// page format, with pages that differ between columns.
func TestParquetPages(t *testing.T) {
	all := events(9_000)
	want := wantEvents(all)
	encoded := map[string]parquet.Node{}
	plain := parquet.SchemaOf(event{})
	for _, f := range plain.Fields() {
		encoded[f.Name()] = f
	}
	delta := parquet.Group{}
	dictionary := parquet.Group{}
	for name, node := range encoded {
		dictionary[name] = parquet.Encoded(node, &parquet.RLEDictionary)
		switch name {
		case "user", "object":
			delta[name] = parquet.Encoded(node, &parquet.DeltaByteArray)
		case "src_ip":
			delta[name] = parquet.Encoded(node, &parquet.DeltaLengthByteArray)
		default:
			delta[name] = parquet.Encoded(node, &parquet.DeltaBinaryPacked)
		}
	}
	for _, schema := range []struct {
		name   string
		schema *parquet.Schema
	}{{"plain", plain}, {"dictionary", parquet.NewSchema("event", dictionary)}, {"delta", parquet.NewSchema("event", delta)}} {
		for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Snappy, &parquet.Gzip, &parquet.Zstd} {
			for version := 1; version <= 2; version++ {
				t.Run(fmt.Sprintf("%s/%s/v%d", schema.name, codec, version), func(t *testing.T) {
					var file bytes.Buffer
					w := parquet.NewGenericWriter[event](&file, schema.schema, parquet.Compression(codec),
						parquet.DataPageVersion(version), parquet.PageBufferSize(3_000), parquet.MaxRowsPerRowGroup(4_000))
					if _, err := w.Write(all); err != nil {
						t.Fatal(err)
					}
					if err := w.Close(); err != nil {
						t.Fatal(err)
					}
					r := decodeParquet(file.Bytes(), Options{})
					if r.err != nil {
						t.Fatal(r.err)
					}
					if err := r.check(); err != nil || r.rows != int64(len(all)) {
						t.Fatalf("got %d rows, %v, want %d", r.rows, err, len(all))
					}
					for c, cells := range want {
						if got := r.column(columnar.API, c); !slices.Equal(got, cells) {
							i := 0
							for got[i] == cells[i] {
								i++
							}
							t.Errorf("%s of row %d: got %q, want %q", c, i, got[i], cells[i])
						}
					}
					records := r.tables[columnar.API.ID].Records
					if records[0] != 1 || records[len(records)-1] != int64(len(all)) {
						t.Errorf("got records %d to %d, want 1 to %d", records[0], records[len(records)-1], len(all))
					}
				})
			}
		}
	}
}

// TestParquetOddRows checks that rows are the same whether they are put by columns
// or, because a row among them has no sound time, one by one.
func TestParquetOddRows(t *testing.T) {
	type request struct {
		Time   string   `parquet:"time"`
		User   *string  `parquet:"user,optional"`
		Src    int32    `parquet:"src_ip"`
		Method string   `parquet:"method"`
		URL    string   `parquet:"url"`
		Agent  *string  `parquet:"user_agent,optional"`
		Status string   `parquet:"status_code"`
		Out    *float64 `parquet:"bytes_out,optional"`
		In     string   `parquet:"bytes_in"`
		Kind   *string  `parquet:"kind,optional"`
	}
	type question struct {
		Time   float64 `parquet:"time"`
		Src    *string `parquet:"src_ip,optional"`
		Query  *string `parquet:"query,optional"`
		Type   int32   `parquet:"qtype"`
		Rcode  *string `parquet:"rcode,optional"`
		Count  *int64  `parquet:"ancount,optional"`
		Cached bool    `parquet:"host"`
	}
	r := rand.New(rand.NewPCG(7, 7))
	pick := func(of ...string) string { return one(r, of...) }
	maybe := func(of ...string) *string {
		if r.IntN(3) == 0 {
			return nil
		}
		s := pick(of...)
		return &s
	}
	const rows, stretch = 6_000, 700 // some stretches have no null, and are longer than a page
	var requests []request
	var questions []question
	for i := range rows {
		id := fmt.Sprint(r.IntN(300))
		q := request{Time: fmt.Sprintf("2026-01-02T03:%02d:%02d%s", i/60%60, i%60, pick("Z", ".5Z", "+01:00")), User: maybe("amy", "bo"+id, "-", ""),
			Src: int32(i % 77), Method: pick("GET", "POST", "null"), URL: pick("https://A.example/x"+id+"?k=secret", "b.example:443", "/path", "-"),
			Agent: maybe("curl", "N/A", strings.Repeat("agent ", 20)+id), Status: pick("200", "-", " 404"), In: pick("12", "1.5", "", "7e3"), Kind: maybe("up", "down")}
		if r.IntN(4) > 0 {
			out := one(r, 0, 12.5, 1e9, math.NaN())
			q.Out = &out
		}
		n := question{Time: 1767225600.25 + float64(i), Src: maybe("10.0.0."+id, "-"), Type: int32(r.IntN(70)), Rcode: maybe("noerror", "3", "NXDOMAIN", ""),
			Query: maybe("WWW.example.com.", id+".x.example.co.uk", "10.1.2.3", "com", "-", "..", strings.Repeat("a", 30)+".t.example.net"), Cached: i%3 == 0}
		if count := int64(r.IntN(9)) - 1; count != 0 {
			n.Count = &count
		}
		if i/stretch%2 == 1 {
			q.User, q.Agent, q.Kind, q.Out = &q.Method, &q.URL, &q.Method, new(float64)
			n.Src, n.Query, n.Rcode, n.Count = &q.Method, &q.URL, &q.Method, new(int64)
		}
		requests, questions = append(requests, q), append(questions, n)
	}
	const every = 300 // fewer than a window has
	oddRequests, oddQuestions := withOdd(requests, every, request{Time: "soon"}), withOdd(questions, every, question{Time: -1})
	up := &Mapping{Where: Where{Name: "kind", Equals: "up"}, Columns: map[columnar.Col]Column{
		columnar.DstIP: {Const: "9.9.9.9"}, columnar.BytesOut: {Name: "bytes_out", Unit: "KiB"}}}
	for _, encoding := range []string{"plain", "dictionary"} {
		for _, size := range []int{1_000, 100_000} {
			o := []parquet.WriterOption{parquet.PageBufferSize(size), parquet.MaxRowsPerRowGroup(3_500), parquet.Compression(&parquet.Snappy)}
			for _, c := range []struct {
				name        string
				table       *columnar.Table
				mapping     *Mapping
				plain, odds []byte
			}{
				{"requests", columnar.HTTP, nil, write(t, requests, encodedAs[request](encoding, o)...), write(t, oddRequests, encodedAs[request](encoding, o)...)},
				{"uploads", columnar.HTTP, up, write(t, requests, encodedAs[request](encoding, o)...), write(t, oddRequests, encodedAs[request](encoding, o)...)},
				{"questions", columnar.DNS, nil, write(t, questions, encodedAs[question](encoding, o)...), write(t, oddQuestions, encodedAs[question](encoding, o)...)},
			} {
				t.Run(fmt.Sprintf("%s/%s/%d", c.name, encoding, size), func(t *testing.T) {
					want, got := decodeParquet(c.odds, Options{Mapping: c.mapping}), decodeParquet(c.plain, Options{Mapping: c.mapping})
					for _, r := range []*result{want, got} {
						if err := r.check(); err != nil || r.err != nil {
							t.Fatal(err, r.err)
						}
					}
					odd := want.tally.Skipped + want.tally.Other - got.tally.Other
					if want.tally.Rows != got.tally.Rows || got.tally.Rows < rows/10 || got.tally.Skipped != 0 || odd != rows/every {
						t.Errorf("got %+v, with odd rows %+v", got.tally, want.tally)
					}
					for i, col := range c.table.Cols {
						if d := cmp.Diff(want.tables[c.table.ID].Cells[i], got.tables[c.table.ID].Cells[i]); d != "" {
							t.Errorf("%s (-one by one +by columns):\n%.1000s", col, d)
						}
					}
				})
			}
		}
	}
}

func one[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// withOdd inserts the row odd after each group of every rows.
func withOdd[T any](rows []T, every int, odd T) []T {
	var all []T
	for part := range slices.Chunk(rows, every) {
		all = append(append(all, part...), odd)
	}
	return all
}

// encodedAs adds the schema of T, with all columns in that encoding.
func encodedAs[T any](encoding string, o []parquet.WriterOption) []parquet.WriterOption {
	var row T
	schema := parquet.SchemaOf(row)
	if encoding == "dictionary" {
		columns := parquet.Group{}
		for _, f := range schema.Fields() {
			columns[f.Name()] = parquet.Encoded(f, &parquet.RLEDictionary)
		}
		schema = parquet.NewSchema("row", columns)
	}
	return append(slices.Clone(o), schema)
}

// write returns a file of the rows.
func write[T any](t testing.TB, rows []T, o ...parquet.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, o...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestParquetTimes reads a time in each form in which writers store it.
func TestParquetTimes(t *testing.T) {
	oslo, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		t.Fatal(err)
	}
	type milli struct {
		Time int64 `parquet:"time,timestamp(millisecond)"`
	}
	type nano struct {
		Time int64 `parquet:"time,timestamp(nanosecond)"`
	}
	type local struct {
		Time int64 `parquet:"time,timestamp(microsecond:local)"`
	}
	type date struct {
		Time int32 `parquet:"time,date"`
	}
	type apart struct {
		Date int32 `parquet:"date,date"`
		Time int64 `parquet:"time,time(microsecond)"`
	}
	type apartMilli struct {
		Time int32 `parquet:"time,time(millisecond)"`
		Date int32 `parquet:"date,date"`
	}
	type number struct {
		Time int64 `parquet:"time"`
	}
	type float struct {
		Time float64 `parquet:"time"`
	}
	type text struct {
		Time string `parquet:"time"`
	}
	type int96 struct {
		Time deprecated.Int96 `parquet:"time"`
	}
	const us = 1767225600_123456
	for _, c := range []struct {
		name string
		file []byte
		unit string // or the name of the date
		want []string
	}{
		{"ms", write(t, []milli{{us / 1000}}), "", []string{"2026-01-01T00:00:00.123Z"}},
		{"ns", write(t, []nano{{us * 1000}}), "", []string{"2026-01-01T00:00:00.123456Z"}},
		{"local", write(t, []local{{us}}), "", []string{"2025-12-31T23:00:00.123456Z"}},
		{"date", write(t, []date{{20454}}), "", []string{"2025-12-31T23:00:00Z"}},
		{"date and time of day", write(t, []apart{{20454, 3600_123456}, {20453, 82800_000000}}), "date", []string{"2026-01-01T00:00:00.123456Z", "2025-12-31T22:00:00Z"}},
		{"time of day in ms and date", write(t, []apartMilli{{3600_123, 20454}}), "date", []string{"2026-01-01T00:00:00.123Z"}},
		{"number", write(t, []number{{us / 1000000}, {us / 1000}, {us}, {us * 1000}, {20260101}, {-1}}), "",
			[]string{"2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123Z", "2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00.123456Z", "2025-12-31T23:00:00Z"}},
		{"number in ms", write(t, []number{{978_307_200_000}, {86400_000}, {1 << 62}}), "ms", []string{"2001-01-01T00:00:00Z"}},
		{"float", write(t, []float{{us / 1e6}, {us / 1e3}, {0}}), "", []string{"2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00.123456Z"}},
		{"text", write(t, []text{{"2026-01-01T00:00:00Z"}, {"2026-01-01 00:00:00"}, {"soon"}, {""}}), "", []string{"2026-01-01T00:00:00Z", "2025-12-31T23:00:00Z"}},
		// 2,461,042 is the Julian day of 2026-01-01.
		{"int96", write(t, []int96{{deprecated.Int96{123456000, 0, 2461042}}}), "", []string{"2026-01-01T00:00:00.123456Z"}},
		{"int96 whose time of day is none", write(t, []int96{{deprecated.Int96{0, 1 << 31, 2461042}}}), "", nil},
		// A day so far in the future that its µs, modulo 2^64, are a time in 2021.
		{"int96 too large", write(t, []int96{{deprecated.Int96{0, 0, 215_963_552}}}), "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			when := Column{Name: "time", Time: c.unit}
			if c.unit == "date" {
				when = Column{Name: "time", Date: "date"}
			}
			o := Options{Zone: oslo, Mapping: &Mapping{Columns: map[columnar.Col]Column{columnar.Time: when}}}
			r := decodeParquet(c.file, o)
			if r.err != nil {
				t.Fatal(r.err)
			}
			if err := r.check(); err != nil {
				t.Error(err)
			}
			if d := cmp.Diff(c.want, r.column(columnar.API, columnar.Time)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestParquetNested reads OCSF-like paths, leaves out lists, and turns numbers
// into the texts that columns want.
func TestParquetNested(t *testing.T) {
	type endpoint struct {
		IP   *string `parquet:"ip,optional"`
		Port int32   `parquet:"port"`
	}
	type query struct {
		Hostname string `parquet:"hostname,dict"`
		Type     int32  `parquet:"type"`
	}
	type row struct {
		Time    int64     `parquet:"time"`
		Src     *endpoint `parquet:"Src_Endpoint,optional"`
		Query   query     `parquet:"query"`
		Answers []string  `parquet:"answers,list"`
		Rcode   string    `parquet:"rcode"`
		Reply   bool      `parquet:"reply"`
		User    int64     `parquet:"user"`
		Seen    float64   `parquet:"ancount"`
	}
	ip := "10.1.1.1"
	file := write(t, []row{
		{1767225600123, &endpoint{&ip, 53}, query{"WWW.Example.co.uk.", 1}, []string{"a", "b"}, "NoError", false, 7, 2},
		{1767225600124, &endpoint{nil, 53}, query{"a.t.example.net", 16}, nil, "NXDomain", false, 8, 0},
		{1767225600125, nil, query{"WWW.Example.co.uk.", 1}, []string{"c"}, "-", false, 7, 1},
		{1767225600126, nil, query{"x.example", 1}, nil, "", true, 7, 1},
	})
	m := &Mapping{Where: Where{Name: "Reply", Equals: "false"}, Columns: map[columnar.Col]Column{
		columnar.QueryType: {Name: "query.type"}, columnar.DstIP: {Const: "9.9.9.9"}}}
	r := decodeParquet(file, Options{Mapping: m})
	if r.err != nil {
		t.Fatal(r.err)
	}
	if r.tally.Rows != 3 || r.tally.Other != 1 {
		t.Errorf("got %+v, want 3 rows and 1 other", r.tally)
	}
	if err := r.check(); err != nil {
		t.Error(err)
	}
	for c, want := range map[columnar.Col][]string{
		columnar.SrcIP:      {"10.1.1.1", "", ""},
		columnar.Query:      {"WWW.Example.co.uk", "a.t.example.net", "WWW.Example.co.uk"},
		columnar.Domain:     {"example.co.uk", "example.net", "example.co.uk"},
		columnar.QueryType:  {"A", "TXT", "A"},
		columnar.Rcode:      {"NOERROR", "NXDOMAIN", ""},
		columnar.User:       {"7", "8", "7"},
		columnar.AnswersLen: {"2", "0", "1"},
		columnar.DstIP:      {"9.9.9.9", "9.9.9.9", "9.9.9.9"},
	} {
		if d := cmp.Diff(want, r.column(columnar.DNS, c)); d != "" {
			t.Errorf("%s (-want +got):\n%s", c, d)
		}
	}
}

// TestParquetDecimals reads what databases unload numbers as.
func TestParquetDecimals(t *testing.T) {
	type row struct {
		Time   int64    `parquet:"time,decimal(3:18)"`
		User   []string `parquet:"user,list"`
		Client string   `parquet:"src_ip"`
		Out    int64    `parquet:"bytes_out,decimal(0:18)"`
		In     int32    `parquet:"bytes_in,decimal(2:9),dict"`
	}
	rows := []row{{1767225600_123, []string{"amy"}, "10.0.0.5", 1 << 40, 79900}, {1767225601_000, nil, "10.0.0.5", -1, 100}}
	r := decodeParquet(write(t, rows), Options{})
	if r.err != nil || r.check() != nil {
		t.Fatal(r.err, r.check())
	}
	for c, want := range map[columnar.Col][]string{
		columnar.Time:     {"2026-01-01T00:00:00.123Z", "2026-01-01T00:00:01Z"},
		columnar.User:     {"", ""},
		columnar.BytesOut: {"1099511627776", ""},
		columnar.BytesIn:  {"799", "1"},
	} {
		if d := cmp.Diff(want, r.column(columnar.API, c)); d != "" {
			t.Errorf("%s (-want +got):\n%s", c, d)
		}
	}
	want := []Reason{{Text: `column "user" left out: it is a list, which cannot be user`, Count: 2, First: 1, Col: columnar.User},
		{Text: "negative bytes_out, left empty", Count: 1, First: 2, Col: columnar.BytesOut, Sample: "-1"}}
	slices.SortFunc(r.tally.Cleared, func(a, b Reason) int { return strings.Compare(a.Text, b.Text) })
	if d := cmp.Diff(want, r.tally.Cleared); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, c := range []struct {
		bytes string
		want  float64
	}{{"", 0}, {"\x00\x00\x03\xe8", 1000}, {"\xff", -1}, {"\xff\x00", -256}, {"\x7f\xff", 32767},
		{"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x2b\xbb\x0c\x00", 733678592}} {
		if got := bigEndian([]byte(c.bytes)); got != c.want {
			t.Errorf("bigEndian(%q): got %v, want %v", c.bytes, got, c.want)
		}
	}
}

// TestParquetBad checks that bad values are skipped, and that the error of an unreadable
// file says why.
func TestParquetBad(t *testing.T) {
	type row struct {
		Time int64   `parquet:"time,timestamp(millisecond)"`
		User string  `parquet:"user"`
		Out  float64 `parquet:"bytes_out"`
	}
	sound := []row{{1767225600123, "amy", 1.9}, {-5, "amy", 1}, {1767225600123, "amy", -1}, {1767225600123, "amy", 1e300}}
	r := decodeParquet(write(t, sound), Options{})
	want := Tally{Records: 4, Rows: 3, Skipped: 1, Reasons: []Reason{{Text: "bad time", Count: 1, First: 2}},
		Cleared: []Reason{
			{Text: "negative bytes_out, left empty", Count: 1, First: 3, Col: columnar.BytesOut, Sample: "-1"},
			{Text: "bad bytes_out, left empty", Count: 1, First: 4, Col: columnar.BytesOut, Sample: "100000000000000000000000"}}}
	if d := cmp.Diff(want, r.tally); d != "" || r.err != nil {
		t.Errorf("%v (-want +got):\n%s", r.err, d)
	}
	type list struct {
		Time []int64 `parquet:"time,list"`
		User string  `parquet:"user"`
	}
	type alone struct {
		Time int64  `parquet:"time,timestamp(millisecond)"`
		Text string `parquet:"line"`
	}
	encrypted := append([]byte("PARE"), write(t, sound)[4:]...)
	copy(encrypted[len(encrypted)-4:], "PARE")
	type untimed struct {
		When string `parquet:"when"`
		Who  string `parquet:"who"`
	}
	file := write(t, events(5000), parquet.PageBufferSize(4000))
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "not a whole Parquet file: 0 bytes"},
		{"cut in half", file[:len(file)/2], "not a whole Parquet file: it does not end in PAR1; cut off, or still being written"},
		{"long footer", append([]byte("PAR1"), "\xff\xff\xff\x7fPAR1"...), "damaged Parquet file: a footer of 2147483647 bytes in a file of 12"},
		{"brotli", write(t, sound, parquet.Compression(&parquet.Brotli)), `row group 0: column "time": compressed with BROTLI, which is not read: write the file with zstd, snappy or gzip`},
		{"list", write(t, []list{{[]int64{1}, "amy"}}), `column "time" is a list, which cannot be time`},
		{"time alone", write(t, []alone{{1, "a"}}), `no column but that of the time has a known name: has "time", "line"; name them in mapping.columns or in a source file (outflow sources new)`},
		{"encrypted", encrypted, "the Parquet file is encrypted, which is not read: write it without encryption"},
		{"no time", write(t, []untimed{{"a", "b"}}), `no column for time: has "when", "who"; name it in mapping.columns.time`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := decodeParquet(c.file, Options{})
			if r.err == nil || r.err.Error() != c.want {
				t.Errorf("got error %v, want %s", r.err, c.want)
			}
		})
	}
}

// TestParquetDamage flips bytes all over a file. Nothing may panic, and each row must be
// accounted for, or its row group refused.
func TestParquetDamage(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Snappy, &parquet.Zstd} {
		file := write(t, events(600), parquet.PageBufferSize(1000), parquet.Compression(codec), parquet.MaxRowsPerRowGroup(200))
		refused := 0
		for range 400 {
			bad := slices.Clone(file)
			for range 1 + r.IntN(3) {
				bad[r.IntN(len(bad))] = byte(r.Uint32())
			}
			if r.IntN(4) == 0 { // the footer is a small part
				bad[len(bad)-1-r.IntN(min(len(bad), 2000))] ^= byte(1 + r.IntN(255))
			}
			res := decodeParquet(bad, Options{})
			if err := res.check(); err != nil && res.err == nil {
				t.Fatal(err)
			}
			if res.err != nil || res.tally.Skipped > 0 {
				refused++
			}
		}
		if refused < 40 {
			t.Errorf("%s: only %d of 400 damaged files were noticed", codec, refused)
		}
	}
}

// TestParquetLatePage checks that a damaged page in the middle of a row group costs only
// the rows from there on.
func TestParquetLatePage(t *testing.T) {
	all := events(5000)
	file := write(t, all, parquet.PageBufferSize(4000), parquet.Compression(&parquet.Snappy))
	f, err := openParquet(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	meta := f.Metadata().RowGroups[0].Columns[0].MetaData
	bad := slices.Clone(file)
	clear(bad[meta.DataPageOffset+meta.TotalCompressedSize/2:][:50])
	r := decodeParquet(bad, Options{})
	if r.err != nil {
		t.Fatal(r.err)
	}
	if err := r.check(); err != nil {
		t.Error(err)
	}
	if r.tally.Records != 5000 || r.tally.Rows < 1000 || r.tally.Skipped < 1000 || len(r.tally.Reasons) != 1 {
		t.Errorf("got %+v, want about half of 5000 rows", r.tally)
	}
}

// TestParquetWriter writes the rows of a CSV log as Parquet, and reads them again.
func TestParquetWriter(t *testing.T) {
	for _, table := range columnar.Tables {
		t.Run(table.Name, func(t *testing.T) {
			var names, row, nulls []string
			for i, c := range table.Cols {
				names = append(names, c.String())
				v, null := fmt.Sprintf("v%d.example", i), "-"
				switch {
				case c == columnar.Time:
					v, null = "2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:06Z"
				case c.Kind() >= columnar.Int64:
					v = fmt.Sprint(i)
				}
				row, nulls = append(row, v), append(nulls, null)
			}
			in := strings.Join(names, ",") + "\n" + strings.Repeat(strings.Join(row, ",")+"\n"+strings.Join(nulls, ",")+"\n", 1_000)
			c := logCase{format: CSV, options: Options{Mapping: &Mapping{Table: table}}}
			if table == columnar.DNS {
				c.options.Mapping = nil // domain is derived
			}
			want := c.decode(whole([]byte(in)))
			if want.err != nil || want.rows != 2_000 {
				t.Fatalf("got %d rows, %v, want 2000", want.rows, want.err)
			}
			var file bytes.Buffer
			w := newParquetWriter(&file, table)
			out := &columnar.Out{Want: ^columnar.Cols(0), Sink: func(b *columnar.Batch) {
				if err := w.Write(b, nil); err != nil {
					t.Fatal(err)
				}
			}}
			d, _ := CSV.New(&c.options)
			if err := d.Decode(&Block{Data: []byte(in), First: 1}, out, &Tally{}); err != nil {
				t.Fatal(err)
			}
			out.Flush()
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if dir := os.Getenv("OUTFLOW_KEEP"); dir != "" {
				os.WriteFile(filepath.Join(dir, table.Name+".parquet"), file.Bytes(), 0o666)
			}
			got := decodeParquet(file.Bytes(), c.options)
			if got.err != nil {
				t.Fatal(got.err)
			}
			if d := cmp.Diff(want.tables[table.ID].Cells, got.tables[table.ID].Cells); d != "" {
				t.Errorf("(-csv +parquet):\n%.2000s", d)
			}
		})
	}
}

// BenchmarkDecodeParquet decodes what the fold of user_day reads. The environment
// may name a file; its first row groups are decoded.
func BenchmarkDecodeParquet(b *testing.B) {
	want := columnar.ColSet(columnar.Time, columnar.User, columnar.SrcIP, columnar.BytesOut, columnar.BytesIn)
	bench := func(b *testing.B, file io.ReaderAt, size int64) {
		o := &Options{Want: want}
		var blocks []Block
		if err := Parquet.Split(file, size, o, func(block *Block) error {
			if len(blocks) < 4 {
				blocks = append(blocks, *block)
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		benchBlocks(b, Parquet, o, blocks)
	}
	if name := os.Getenv("OUTFLOW_BENCH_PARQUET"); name != "" {
		f, err := os.Open(name)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		s, err := f.Stat()
		if err != nil {
			b.Fatal(err)
		}
		bench(b, f, s.Size())
		return
	}
	all := events(1 << 18)
	for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Snappy, &parquet.Zstd} {
		for _, encoding := range []string{"plain", "dictionary"} {
			b.Run(fmt.Sprintf("codec=%s/encoding=%s", codec, encoding), func(b *testing.B) {
				file := write(b, all, encodedAs[event](encoding, []parquet.WriterOption{parquet.Compression(codec), parquet.PageBufferSize(1 << 20)})...)
				bench(b, bytes.NewReader(file), int64(len(file)))
			})
		}
	}
}
