package logs

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// cloudCSV returns a log of n calls as cloud services export them.
func cloudCSV(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	b.WriteString("timestamp,user,src_ip,service,action,bytes_uploaded,bytes_downloaded,object\n")
	for i := range n {
		sec := i / 8 % 86400
		object := fmt.Sprintf("/sites/team%d/report_%d.docx", r.IntN(30), r.IntN(20000))
		if r.IntN(50) == 0 {
			object = fmt.Sprintf("\"/sites/a, b/\"\"v%d\"\".pdf\"", r.IntN(100))
		}
		fmt.Fprintf(&b, "2026-01-%02dT%02d:%02d:%02d.%03dZ,first.last%d@corp.example.com,10.%d.%d.%d,SharePoint,FileAccessed,%d,%d,%s\n",
			1+i/8/86400%28, sec/3600, sec/60%60, sec%60, r.IntN(1000), r.IntN(5000), r.IntN(4), r.IntN(50), r.IntN(100),
			r.IntN(1<<r.IntN(30)+1), r.IntN(1<<r.IntN(24)+1), object)
	}
	return b.Bytes()
}

func BenchmarkDecodeCSV(b *testing.B) {
	data := benchLog(b, "OUTFLOW_BENCH_CSV", func() []byte { return cloudCSV(200_000) })
	want := columnar.ColSet(columnar.Time, columnar.User, columnar.SrcIP, columnar.BytesOut, columnar.BytesIn)
	b.Run("format=csv", func(b *testing.B) { benchDecode(b, CSV, data, want) })
}

// benchLog returns the start of the log that the environment names. Without one, it
// returns the result of made.
func benchLog(b *testing.B, env string, made func() []byte) []byte {
	name := os.Getenv(env)
	if name == "" {
		return made()
	}
	f, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 256<<20))
	if err != nil {
		b.Fatal(err)
	}
	return data[:bytes.LastIndexByte(data, '\n')+1]
}

// benchDecode decodes a log block by block, as a worker does.
func benchDecode(b *testing.B, format *Format, data []byte, want columnar.Cols) {
	benchBlocks(b, format, &Options{Head: data[:min(len(data), headSize)], Want: want}, blocksOf(format, data))
	b.SetBytes(int64(len(data)))
}

// blocksOf cuts a log into blocks, as Read does.
func blocksOf(format *Format, data []byte) (blocks []Block) {
	var header []byte
	for rest, first := data, int64(1); len(rest) > 0; {
		n := min(len(rest), BlockSize)
		n += bytes.IndexByte(rest[n-1:], '\n')
		blocks = append(blocks, Block{Data: rest[:n:n], Header: header, First: first})
		first += int64(bytes.Count(rest[:n], eol))
		if format.Header != nil {
			header = format.Header(header, rest[:n])
		}
		rest = rest[n:]
	}
	return blocks
}

// benchBlocks decodes blocks as a worker does.
func benchBlocks(b *testing.B, format *Format, o *Options, blocks []Block) {
	var rows int64
	out := &columnar.Out{Want: o.Want, Sink: func(*columnar.Batch) {}}
	b.ReportAllocs()
	for b.Loop() {
		d, err := format.New(o)
		if err != nil {
			b.Fatal(err)
		}
		var t Tally
		for i := range blocks {
			if err := d.Decode(&blocks[i], out, &t); err != nil {
				b.Fatal(err)
			}
		}
		out.Flush()
		if t.Skipped > 0 {
			b.Fatal(t.Reasons)
		}
		rows += t.Rows
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/row")
}

// cells splits data with the scanner that the decoder uses.
func cells(data []byte, sep byte) [][]string {
	var records [][]string
	var s scan.Fields
	s.Reset(data, sep, '"')
	for s.Next() {
		begin := 0
		for _, end := range s.Ends {
			var record []string
			for i := begin; i < end; i++ {
				cell := data[s.Pos[i]+1 : s.Pos[i+1]]
				if i == end-1 {
					cell = bytes.TrimSuffix(cell, carriage)
				}
				record = append(record, string(unquote(cell, nil)))
			}
			if len(record) > 1 || record[0] != "" || data[s.Pos[begin]+1] == '"' {
				records = append(records, record)
			}
			begin = end
		}
	}
	return records
}

// FuzzCSVCells compares the scanner with encoding/csv, on texts in which that finds no
// error.
func FuzzCSVCells(f *testing.F) {
	f.Add([]byte("a,b\n1,\"x\ny\"\n"), byte(','))
	f.Add([]byte("\"a\"\"b\",\"\"\r\n\n,\n"), byte(','))
	f.Add([]byte("a;\"b;c\"\nd;e"), byte(';'))
	f.Add(append(bytes.Repeat([]byte("x,\"y,\n\"\"\",z\n"), 5000), "a,b,\"c\""...), byte(','))
	f.Add(bytes.Repeat([]byte(`"""",`), 40), byte(','))
	f.Fuzz(func(t *testing.T, data []byte, sep byte) {
		if !strings.Contains(csvDelimiters, string(rune(sep))) {
			return
		}
		got := cells(data, sep)
		r := csv.NewReader(bytes.NewReader(data))
		r.Comma, r.FieldsPerRecord = rune(sep), -1
		want, err := r.ReadAll()
		if err != nil || bytes.Contains(data, []byte("\r")) && bytes.Contains(data, []byte(`"`)) {
			return // encoding/csv turns \r\n into \n inside quotes
		}
		if d := cmp.Diff(want, got, cmpEmpty); d != "" {
			t.Errorf("sep %q (-encoding/csv +got):\n%s", sep, d)
		}
	})
}

var cmpEmpty = cmp.Transformer("empty", func(s []string) []string { return append([]string{}, s...) })

// TestCSVCellsMatch is FuzzCSVCells on random well-formed logs whose fields sit
// on every offset of the 64-byte blocks and of the windows.
func TestCSVCellsMatch(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		var want [][]string
		var b bytes.Buffer
		for b.Len() < r.IntN(3*scan.Window) {
			var record []string
			for i := range 1 + r.IntN(6) {
				cell := strings.Repeat("v", r.IntN(40))
				quoted := r.IntN(4) == 0
				if quoted {
					for range r.IntN(6) {
						cell += []string{",", "\n", "\"", "\"\"", "é", strings.Repeat("w", r.IntN(200))}[r.IntN(6)]
					}
				}
				if cell == "" || quoted {
					quoted = true
				}
				record = append(record, cell)
				if i > 0 {
					b.WriteByte(',')
				}
				if quoted {
					b.WriteString("\"" + strings.ReplaceAll(cell, "\"", "\"\"") + "\"")
				} else {
					b.WriteString(cell)
				}
			}
			b.WriteString([]string{"\n", "\r\n"}[r.IntN(2)])
			want = append(want, record)
		}
		var s scan.Fields
		s.Reset(b.Bytes(), ',', '"')
		for s.Next() {
		}
		if s.Careful {
			t.Fatalf("the scanner takes sound quoting for broken:\n%.300q", b.Bytes())
		}
		if d := cmp.Diff(want, cells(b.Bytes(), ',')); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
	}
}

// If this fails, a quote that RFC 4180 does not allow costs other records.
func TestCSVStrayQuotes(t *testing.T) {
	sound := strings.Repeat("2026-01-01T00:00:00Z,amy,1\n", 3000)
	for _, c := range []struct {
		name, in string
		want     [][]string
	}{
		{"inside fields", "a,5\" disk,b\nc,d,e\nf,3\" disk,g\n", [][]string{{"a", "5\" disk", "b"}, {"c", "d", "e"}, {"f", "3\" disk", "g"}}},
		{"never closed", "a,\"b\nc,d\n", [][]string{{"a", "\"b"}, {"c", "d"}}},
		{"closes inside", "a,\"b\"c\nd,e\n", [][]string{{"a", "\"b\"c"}, {"d", "e"}}},
		{"quote at the end", "a,b\"\nc,d", [][]string{{"a", "b\""}, {"c", "d"}}},
		{"sound after broken", "a,\"b\nc,\"d\ne\"\n", [][]string{{"a", "\"b"}, {"c", "d\ne"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, cells([]byte(c.in), ',')); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			got := cells([]byte(sound+c.in), ',')
			if want := 3000 + len(c.want); len(got) != want {
				t.Errorf("after sound records: got %d records, want %d", len(got), want)
			}
		})
	}
}

func TestDigits(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for n := 1; n <= 16; n++ {
		for range 100 {
			text := make([]byte, n)
			for i := range text {
				text[i] = byte('0' + r.IntN(10))
			}
			want, _ := scan.Int(text)
			data := append([]byte("2026,x,\xff\x00 99,,"), text...)
			if got, ok := scan.Digits(data, uint32(len(data)-n), uint32(len(data))); !ok || got != want {
				t.Fatalf("digits(%s): got %d, %v, want %d", text, got, ok, want)
			}
			bad := slices.Clone(data)
			bad[len(bad)-1-r.IntN(n)] = []byte("/:-. a\xb1\x00")[r.IntN(8)]
			if got, ok := scan.Digits(bad, uint32(len(data)-n), uint32(len(data))); ok {
				t.Fatalf("digits(%q): got %d, want none", bad[len(bad)-n:], got)
			}
		}
	}
}

func TestSniffCSV(t *testing.T) {
	for _, c := range []struct {
		in   string
		want bool
	}{
		{"timestamp,user,bytes_uploaded\n2026-01-01,amy,1\n", true},
		{"timestamp,user,bytes_uploaded\n", true}, // a day without events
		{"\xef\xbb\xbfTime;User;Bytes Out\r\n2026-01-01;amy;1\r\n", true},
		{"#TYPE Selected.Object\r\n\"Time\",\"User\"\r\n\"2026-01-01\",\"amy\"\r\n", true},
		{"#ts\tsrc\tqname\n1\t10.0.0.1\ta.example\n", true},
		{"sep=;\r\ntime;user\r\n2026-01-01;amy\r\n", true},
		{"timestamp,user,bytes_uploaded", false}, // cut inside the header
		{"", false},
		{"timestamp,value\n2026-01-01,1\n", false},
		{"user,bytes\namy,1\n", false},
		{"At that time, the user, who was new, left.\nNobody saw it, or her.\n", false},
		{"time, user\nis what we want, and more, and more\nanother line\nand another\n", false},
		{`{"time":"2026-01-01","user":"amy"}` + "\n", false},
		{"1609459200.123    45 10.0.0.1 TCP_MISS/200 512 GET http://a.example/ - DIRECT/- text/html\n", false},
	} {
		if got := sniffCSV([]byte(c.in), false); got != c.want {
			t.Errorf("sniffCSV(%.60q): got %v, want %v", c.in, got, c.want)
		}
	}
}

// TestCSVWhere checks that a condition leaves out records without losing count.
func TestCSVWhere(t *testing.T) {
	in := []byte("#ts\tsrc\tqr\tqtype\trcode\tqname\n" +
		"1700000000.5\t10.0.0.1\t0\t16\t0\tA.Tunnel.Example.COM.\n" +
		"1700000000.6\t10.0.0.2\t1\t16\t3\tA.Tunnel.Example.COM.\n")
	c := logCase{format: CSV, options: Options{Head: in, Mapping: &Mapping{Where: Where{Name: "QR", Equals: "0"}}}}
	r := c.decode(whole(in))
	if r.err != nil {
		t.Fatal(r.err)
	}
	if r.tally.Records != 3 || r.tally.Rows != 1 || r.tally.Other != 2 {
		t.Errorf("got %+v, want 1 row and 2 other of 3", r.tally)
	}
	var got []string
	for i := range columnar.DNS.Cols {
		got = append(got, r.tables[columnar.DNS.ID].Cells[i][0])
	}
	want := []string{"2023-11-14T22:13:20.5Z", "", "10.0.0.1", "", "", "A.Tunnel.Example.COM", "example.com", "TXT", "NOERROR", "", "", ""}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestCSVErrors(t *testing.T) {
	for _, c := range []struct {
		in, want string
		m        *Mapping
	}{
		{"when,who,n\n1,2,3\n", `no column for time: has "when", "who", "n"; name it in mapping.columns.time`, nil},
		{"time,user\n", `mapping.delimiter: '"' cannot separate fields; want an ASCII character other than a quote`, &Mapping{Delimiter: '"'}},
		{"time,user,bytes_out" + strings.Repeat(",", anyFields) + "\n", "more than 65536 columns", nil}, // 4 MB of them took 487 MiB
	} {
		_, err := CSV.New(&Options{Head: []byte(c.in), Mapping: c.m})
		if err == nil || err.Error() != c.want {
			t.Errorf("New(%.60q): got error %v, want %s", c.in, err, c.want)
		}
	}
}

// TestCSVPackets reads real DNS packets, one a line, from the folder that
// OUTFLOW_DATA names, and counts queries only.
func TestCSVPackets(t *testing.T) {
	dir := os.Getenv("OUTFLOW_DATA")
	if dir == "" {
		t.Skip("OUTFLOW_DATA names no folder")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "dns-*", "*.[ct]sv.gz"))
	if len(files) == 0 {
		t.Fatalf("no dns-*/*.tsv.gz in %s", dir)
	}
	header := strings.Fields("capture ts src sport dst dport frame_len dns_len txid qr opcode rcode qtype qname ancount answers_rdata_len")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data := gunzip(t, file)
			m := &Mapping{Columns: map[columnar.Col]Column{}}
			lines, queries := int64(bytes.Count(data, eol)), int64(-1)
			headers := int64(0)
			switch {
			case strings.Contains(file, "isp-ziza"):
				m.Columns[columnar.Query] = Column{Name: "text"}
				m.Columns[columnar.Time] = Column{Const: "2026-01-01"}
				headers = 1
			case strings.Contains(file, "netrack"):
				m.Header = []string{"label", "qname"}
				m.Columns[columnar.Time] = Column{Const: "2026-01-01"}
			default:
				m.Where = Where{Name: "qr", Equals: "0"}
				column := 8
				if bytes.HasPrefix(data, []byte("#ts\t")) {
					headers = 1
				} else {
					m.Header, column = header, 9
				}
				queries = 0
				for line := range bytes.Lines(data) {
					if string(bytes.Split(line, []byte("\t"))[column]) == "0" {
						queries++
					}
				}
			}
			if queries < 0 {
				queries = lines - headers
			}
			c := logCase{format: CSV, options: Options{Mapping: m, Head: data[:min(len(data), 64<<10)]}}
			r := c.decode(whole(data))
			if r.err != nil {
				t.Fatal(r.err)
			}
			if err := r.check(); err != nil {
				t.Error(err)
			}
			t.Logf("lines %d: rows %d other %d skipped %d %v", lines, r.tally.Rows, r.tally.Other, r.tally.Skipped, r.tally.Reasons)
			if r.tally.Records != lines || r.tally.Rows != queries || r.tally.Skipped != 0 {
				t.Errorf("got %+v, want %d queries of %d lines", r.tally, queries, lines)
			}
		})
	}
}

func gunzip(t *testing.T, file string) []byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
