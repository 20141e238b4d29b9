package logs

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"outflow/columnar"
	"outflow/columnar/scan/scantest"
)

// plain is a format of lines. quoted is one with records in which newlines may be quoted.
var (
	plain  = &Format{Name: "plain"}
	quoted = &Format{Name: "quoted", Quoted: true}
)

type bytesAt struct{ *bytes.Reader }

func (bytesAt) Close() error { return nil }

func object(name string, stored []byte) *Object {
	return &Object{
		Name: name, Size: int64(len(stored)), Written: time.Date(2026, 12, 31, 5, 6, 7, 0, time.UTC),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(stored)), nil },
		At:   func() (ReaderAtCloser, error) { return bytesAt{bytes.NewReader(stored)}, nil },
	}
}

// A readResult is what reading an object gives. text joins all blocks, after a check that
// they are numbered and cut correctly.
type readResult struct {
	text    string
	skipped []Reason
	members []*Member
	blocks  int
}

func read(t *testing.T, o *Object, ro *ReadOptions) *readResult {
	t.Helper()
	r := &readResult{}
	next := map[*Member]int64{}
	r.members = Read(o, ro, func(m *Member, b *Block) error {
		r.blocks++
		r.text += string(b.Data)
		r.skipped = append(r.skipped, b.Skipped...)
		if want := next[m] + int64(len(b.Skipped)) + 1; b.First != want {
			t.Errorf("block %d begins with record %d, want %d", r.blocks, b.First, want)
		}
		next[m] = b.First - 1 + int64(bytes.Count(b.Data, eol))
		if len(b.Data) > 0 && b.Data[len(b.Data)-1] != '\n' {
			next[m]++
		}
		b.Release()
		return nil
	})
	for _, m := range r.members {
		if next[m] != m.LastRecord {
			t.Errorf("%s: got %d as the last record, want %d", m.Name, m.LastRecord, next[m])
		}
	}
	return r
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstandard(t *testing.T, text string) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll([]byte(text), nil)
}

func utf16Text(text string, big bool) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
		if big {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return out
}

// bzip2Hello is "one\ntwo\n" as bzip2 1.0 compresses it.
const bzip2Hello = "QlpoOTFBWSZTWacUK3cAAALBgAAQAgGEgCAAIYAMAjj1G4u5IpwoSFOKFbuA"

func TestReadStored(t *testing.T) {
	bz, err := base64.StdEncoding.DecodeString(bzip2Hello)
	if err != nil {
		t.Fatal(err)
	}
	const text = "one\ntwo\n"
	for _, test := range []struct {
		name   string
		stored []byte
		want   string
	}{
		{"plain", []byte(text), text},
		{"no final newline", []byte("one\ntwo"), "one\ntwo"},
		{"CRLF", []byte("one\r\ntwo\r\n"), "one\r\ntwo\r\n"},
		{"NUL within", []byte("o\x00ne\n\x00two\x00\n"), "o\x00ne\n\x00two\x00\n"},
		{"NUL padding", append([]byte(text), make([]byte, 3<<20)...), text},
		{"NUL padding in a line", []byte("one\ntw\x00\x00\x00"), "one\ntw"},
		{"UTF-8 mark", []byte("\xef\xbb\xbf" + text), text},
		{"UTF-16LE", utf16Text("oné\n😀two\r\n", false), "oné\n😀two\r\n"},
		{"UTF-16BE", utf16Text("oné\n😀two\r\n", true), "oné\n😀two\r\n"},
		{"counted messages", []byte("9 <13>a\nb c13 <13>d 8 <13>e7 <13>fgh"), "<13>a b c\n<13>d 8 <13>e\n<13>fgh\n"},
		{"counted messages, one cut", []byte("6 <13>ab6 <13>cd9 <13>ef"), "<13>ab\n<13>cd\n<13>ef"},
		{"counted messages, one wrong", []byte("6 <13>ab6 <13>cd3 <13>ef\n6 <13>gh\n"), "<13>ab\n<13>cd\n<13\n>ef\n6 <13>gh\n"},
		{"counted lines", []byte("7 <13>ab\n7 <13>cd\n"), "7 <13>ab\n7 <13>cd\n"},
		{"UTF-16 cut in a pair", utf16Text("one\n😀", false)[:12], "one\n\ufffd"},
		{"gzip", gzipped(t, text), text},
		{"gzip of two members", append(gzipped(t, "one\n"), gzipped(t, "two\n")...), text},
		{"gzip of UTF-16", gzipped(t, string(utf16Text(text, false))), text},
		{"zstd", zstandard(t, text), text},
		{"zstd of two frames, one skippable", append([]byte("\x53\x2a\x4d\x18\x02\x00\x00\x00ab"), append(zstandard(t, "one\n"), zstandard(t, "two\n")...)...), text},
		{"bzip2", bz, text},
		{"bzip2 of two streams", slices.Concat(bz, bz), text + text},
		{"JSON envelope in gzip", gzipped(t, `{"Records":[{"a":1},{"a":2}]}`), "{\"a\":1}\n{\"a\":2}\n"},
		{"JSON array in UTF-16", utf16Text(`[{"a":"é"}]`, false), "{\"a\":\"é\"}\n"},
		{"JSON lines", []byte("{\"a\":\t1}\n\n{\"a\":2}"), "{\"a\":\t1}\n\n{\"a\":2}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, size := range []int{1, 7, BlockSize} {
				r := read(t, object("o", test.stored), &ReadOptions{Format: plain, Buffers: NewBuffers(1, size)})
				m := r.members[0]
				if r.text != test.want || m.Err != nil || len(r.skipped) > 0 || m.Size != int64(len(test.want)) {
					t.Errorf("blocks of %d bytes: got %.80q, %d bytes, %v, skipped %v, want %q", size, r.text, m.Size, m.Err, r.skipped, test.want)
				}
			}
		})
	}
}

func TestReadRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		stored []byte
		format *Format
		want   string
	}{
		{"empty", nil, plain, "is empty"},
		{"only padding", make([]byte, 100), plain, "is empty"},
		{"only a mark", []byte("\xef\xbb\xbf"), plain, "is empty"},
		{"empty gzip", gzipped(t, ""), plain, "is empty"},
		{"unknown", []byte("\x01\x02\x03\n"), nil, "unrecognised format: try --format, or describe it in a source file (outflow sources new)"},
		{"compress", []byte("\x1f\x9d......"), nil, "compress (.Z) is not supported: decompress it first, or use gzip, zstd, xz, bzip2 or zip"},
		{"damaged xz", []byte("\xfd7zXZ\x00......"), nil, "xz stream: xz: damaged"},
		{"damaged lz4", []byte("\x04\x22\x4d\x18......"), nil, "lz4 stream ends early at byte 10: unexpected EOF; 0 records were read"},
		{"damaged snappy", []byte("\xff\x06\x00\x00sNaPpY......"), nil, "snappy stream cannot be read on at byte 16: s2: unsupported input; 0 records were read"},
		{"damaged zip", []byte("PK\x03\x04......"), nil, "zip archive: zip: not a valid zip file"},
		{"damaged gzip header", []byte("\x1f\x8bxx"), nil, "gzip stream: unexpected EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := read(t, object("o", test.stored), &ReadOptions{Format: test.format})
			if err := r.members[0].Err; err == nil || err.Error() != test.want || r.blocks != 0 {
				t.Errorf("got %v and %d blocks, want %s", err, r.blocks, test.want)
			}
		})
	}
	r := read(t, object("o", nil), &ReadOptions{})
	if !errors.Is(r.members[0].Err, ErrEmpty) {
		t.Errorf("got %v, want ErrEmpty", r.members[0].Err)
	}
	failed := errors.New("access denied")
	members := Read(&Object{Name: "o", Open: func() (io.ReadCloser, error) { return nil, failed }}, &ReadOptions{}, nil)
	if !errors.Is(members[0].Err, failed) {
		t.Errorf("got %v, want %v", members[0].Err, failed)
	}
}

// What was decompressed before the cut is read. The line with the cut must not count as a
// whole one.
func TestReadTruncated(t *testing.T) {
	var text strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&text, "line %d of a log that ends early\n", i*7919%200_000)
	}
	for _, test := range []struct {
		name, compression string
		stored            []byte
	}{
		{"gzip", "gzip", gzipped(t, text.String())},
		{"zstd", "zstd", zstandard(t, text.String())},
	} {
		t.Run(test.name, func(t *testing.T) {
			stored := test.stored[:len(test.stored)*2/3]
			r := read(t, object("o", stored), &ReadOptions{Format: plain})
			if len(r.text) < text.Len()/2 || !strings.HasPrefix(text.String(), r.text) || r.text[len(r.text)-1] != '\n' {
				t.Errorf("got %d bytes of %d, want most of the whole lines", len(r.text), text.Len())
			}
			m := r.members[0]
			if n := int64(strings.Count(r.text, "\n")) + int64(len(r.skipped)); m.LastRecord != n {
				t.Errorf("got %d as the last record, want %d", m.LastRecord, n)
			}
			want := fmt.Sprintf("%s stream ends early at byte %d: unexpected EOF; %d records were read", test.compression, len(stored), m.LastRecord)
			if m.Err == nil || m.Err.Error() != want || !errors.Is(m.Err, io.ErrUnexpectedEOF) {
				t.Errorf("got %v, want %s", m.Err, want)
			}
			for _, s := range r.skipped {
				if s.First != m.LastRecord || s.Text != "record cut off where the object ends early" {
					t.Errorf("skipped %v", s)
				}
			}
		})
	}
	t.Run("a JSON envelope", func(t *testing.T) {
		stored := gzipped(t, string(scantest.CloudTrailLike(8<<20)))
		r := read(t, object("o", stored[:len(stored)/2]), &ReadOptions{Format: plain})
		if r.members[0].Err == nil || len(r.skipped) > 1 || strings.Count(r.text, "\n") < 1000 || !strings.HasSuffix(r.text, "}\n") {
			t.Errorf("got %d bytes, %v, skipped %v", len(r.text), r.members[0].Err, r.skipped)
		}
	})
	t.Run("checksum", func(t *testing.T) {
		stored := gzipped(t, "one\ntwo\n")
		stored[len(stored)-6] ^= 1
		r := read(t, object("o", stored), &ReadOptions{Format: plain})
		want := fmt.Sprintf("gzip stream cannot be read on at byte %d: gzip: invalid checksum; 2 records were read", len(stored))
		if err := r.members[0].Err; err == nil || err.Error() != want || r.text != "one\ntwo\n" {
			t.Errorf("got %q, %v, want %s", r.text, err, want)
		}
	})
}

func zipped(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	names := []string{}
	for name := range files {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return -cmp.Compare(a, b) })
	for _, name := range names {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		f.Write(files[name])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadZip(t *testing.T) {
	stored := zipped(t, map[string][]byte{
		"b/": nil, "b/two.log.gz": gzipped(t, "two\n"), "a.log": []byte("one\n"), "c.log": nil, "d.json": []byte(`[{"a":1}]`),
		"__MACOSX/._a.log": []byte("x"), "e.zip": zipped(t, nil), "f.zip": zipped(t, map[string][]byte{"x": nil}),
	})
	r := read(t, object("o.zip", stored), &ReadOptions{Format: plain})
	var got []string
	for _, m := range r.members {
		got = append(got, fmt.Sprintf("%s %d %v", m.Name, m.LastRecord, m.Err))
	}
	want := []string{
		"o.zip!a.log 1 <nil>", "o.zip!b/two.log.gz 1 <nil>", "o.zip!c.log 0 is empty", "o.zip!d.json 1 <nil>",
		"", "o.zip!f.zip 0 zip inside another archive is not supported: decompress it first, or use gzip, zstd, xz, bzip2 or zip",
	}
	want[4] = strings.ReplaceAll(want[5], "f.zip", "e.zip")
	if d := gocmp.Diff(want, got); d != "" || r.text != "one\ntwo\n{\"a\":1}\n" {
		t.Errorf("got text %q, members (-want +got):\n%s", r.text, d)
	}
	t.Run("format of ranges", func(t *testing.T) {
		r := read(t, object("o.zip", zipped(t, map[string][]byte{"a": []byte("one\n")})), &ReadOptions{Format: Parquet})
		const want = "is parquet inside a compressed object: decompress it first"
		if err := r.members[0].Err; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
	t.Run("empty", func(t *testing.T) {
		r := read(t, object("o.zip", zipped(t, nil)), &ReadOptions{Format: plain})
		if err := r.members[0].Err; !errors.Is(err, ErrEmpty) {
			t.Errorf("got %v, want ErrEmpty", err)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		stop := errors.New("enough")
		members := Read(object("o.zip", stored), &ReadOptions{Format: plain}, func(*Member, *Block) error { return stop })
		if len(members) != 1 || !errors.Is(members[0].Err, stop) {
			t.Errorf("got %v, want one member that was stopped", members)
		}
	})
}

// A line of 64 MiB takes no more memory than the limit, and costs no other line.
func TestReadLongRecord(t *testing.T) {
	long := strings.Repeat("x", 64<<20)
	for _, test := range []struct {
		name, in, want string
		skipped        []Reason
	}{
		{"in the middle", "one\n" + long + "\nthree\n", "one\nthree\n", []Reason{{Text: "record longer than 4096 KiB", Count: 1, First: 2}}},
		{"at the start", long + "\ntwo", "two", []Reason{{Text: "record longer than 4096 KiB", Count: 1, First: 1}}},
		{"at the end", "one\n" + long, "one\n", []Reason{{Text: "record longer than 4096 KiB", Count: 1, First: 2}}},
		{"alone", long, "", []Reason{{Text: "record longer than 4096 KiB", Count: 1, First: 1}}},
		{"within the limit", "one\n" + long[:MaxRecord-1] + "\n", "one\n" + long[:MaxRecord-1] + "\n", nil},
		{"over by one", long[:MaxRecord] + "\ntwo\n", "two\n", []Reason{{Text: "record longer than 4096 KiB", Count: 1, First: 1}}},
		{"padding", "one\n" + strings.Repeat("\x00", 64<<20), "one\n", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, f := range []*Format{plain, quoted} {
				r := read(t, object("o", []byte(test.in)), &ReadOptions{Format: f, Buffers: NewBuffers(1, BlockSize)})
				if r.text != test.want || r.members[0].Err != nil || gocmp.Diff(test.skipped, r.skipped) != "" {
					t.Errorf("%s: got %d bytes, skipped %v, %v, want %d bytes, skipped %v", f.Name, len(r.text), r.skipped, r.members[0].Err, len(test.want), test.skipped)
				}
			}
		})
	}
}

// Blocks of every size put every block edge at every offset: no record may be
// cut, wherever its quotes and newlines stand.
func TestReadQuoted(t *testing.T) {
	records := []string{"a,b\n", "\"x\ny\",1\n", "\"\n\n\",\"\"\"\n\"\"\"\n", "c,d\r\n", "\"e\"\"f\",\"\n,\n\"\n", "last,\"one\n\""}
	in := strings.Join(records, "")
	starts := map[int]bool{}
	at := 0
	for _, r := range records {
		starts[at] = true
		at += len(r)
	}
	for size := 1; size <= len(in)+1; size++ {
		at := 0
		var got strings.Builder
		Read(object("o", []byte(in)), &ReadOptions{Format: quoted, Buffers: NewBuffers(1, size)}, func(m *Member, b *Block) error {
			if !starts[at] {
				t.Errorf("size %d: a block begins at offset %d, in a record", size, at)
			}
			if want := int64(1 + strings.Count(in[:at], "\n")); b.First != want {
				t.Errorf("size %d: the block at offset %d begins with record %d, want line %d", size, at, b.First, want)
			}
			at += len(b.Data)
			got.Write(b.Data)
			b.Release()
			return nil
		})
		if got.String() != in {
			t.Errorf("size %d: got %q, want %q", size, got.String(), in)
		}
	}
}

// A quote that is never closed costs its own line, not the lines after it.
func TestReadStrayQuote(t *testing.T) {
	tail := strings.Repeat("a,b\n", 3<<20/4)
	in := "one,\"stray\n" + tail + tail + tail
	r := read(t, object("o", []byte(in)), &ReadOptions{Format: quoted, Buffers: NewBuffers(1, BlockSize)})
	if r.text != in || len(r.skipped) > 0 {
		t.Errorf("got %d bytes, skipped %v, want %d", len(r.text), r.skipped, len(in))
	}
	first := true
	Read(object("o", []byte(in)), &ReadOptions{Format: quoted}, func(m *Member, b *Block) error {
		if first && string(b.Data) != "one,\"stray\n" {
			t.Errorf("got a first block of %d bytes, want the line alone", len(b.Data))
		}
		first = false
		return nil
	})
}

// A block gets the last header before its lines, and tells whether it has another.
func TestReadHeader(t *testing.T) {
	f := &Format{Name: "headed", Header: func(prev, p []byte) []byte {
		for line := range bytes.Lines(p) {
			if line[0] == '#' {
				prev = bytes.Clone(line)
			}
		}
		return prev
	}}
	in := "#a\n1\n2\n#b\n3\n#b\n4\n"
	for size := 1; size <= len(in); size++ {
		at := 0
		Read(object("o", []byte(in)), &ReadOptions{Format: f, Buffers: NewBuffers(1, size)}, func(m *Member, b *Block) error {
			want := f.Header(nil, []byte(in[:at]))
			if !bytes.Equal(b.Header, want) {
				t.Errorf("size %d: block at %d: got header %q, want %q", size, at, b.Header, want)
			}
			if want := b.Header != nil && !bytes.Contains(b.Data, []byte("#")); b.Plain != want {
				t.Errorf("size %d: block at %d: got Plain %t, want %t", size, at, b.Plain, want)
			}
			at += len(b.Data)
			b.Release()
			return nil
		})
	}
}

// The consumer may hold all blocks but one: readers must not wait for two.
func TestBuffers(t *testing.T) {
	in := strings.Repeat("line\n", 1000)
	buffers := NewBuffers(2, 64)
	var held *Block
	blocks := 0
	Read(object("o", []byte(in)), &ReadOptions{Format: plain, Buffers: buffers}, func(m *Member, b *Block) error {
		blocks++
		if held == nil {
			held = b
		} else {
			b.Release()
		}
		return nil
	})
	if string(held.Data[:5]) != "line\n" || len(buffers.free) != 1 {
		t.Errorf("got %q and %d free buffers, want the held block whole and 1 free", held.Data, len(buffers.free))
	}
	held.Release()
	held.Release()
	if len(buffers.free) != 2 {
		t.Errorf("got %d free buffers, want 2", len(buffers.free))
	}
}

func TestBlockDecode(t *testing.T) {
	b := &Block{Skipped: []Reason{{Text: "record longer than 4096 KiB", Count: 1, First: 3}}}
	var tally Tally
	if err := b.Decode(nil, &columnar.Out{}, &tally); err != nil || tally.Skipped != 1 || tally.Records != 1 {
		t.Errorf("got %+v, %v, want one skipped record", tally, err)
	}
}

// BenchmarkRead reads a file of short lines, from the page cache.
func BenchmarkRead(b *testing.B) {
	name := filepath.Join(b.TempDir(), "log")
	line := "1772000000.123    120 10.0.0.1 TCP_MISS/200 1234 GET http://example.com/ alice HIER_DIRECT/192.0.2.1 text/html\n"
	if err := os.WriteFile(name, []byte(strings.Repeat(line, 256<<20/len(line))), 0o666); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		b.Fatal(err)
	}
	o := &Object{Name: name, Size: info.Size(), Open: func() (io.ReadCloser, error) { return os.Open(name) }}
	for _, f := range []*Format{plain, quoted} {
		b.Run(f.Name, func(b *testing.B) {
			b.SetBytes(info.Size())
			for b.Loop() {
				Read(o, &ReadOptions{Format: f}, func(*Member, *Block) error { return nil })
			}
		})
	}
}

// Lines that a format reads would count as those of another program, or as malformed, in the log of a
// machine whose programs write one file.
func TestMachine(t *testing.T) {
	const squid = "Nov 20 10:00:00 gw squid[1]: 1795168800.123 200 10.0.0.5 TCP_MISS/200 900 POST http://files.example/u amy HIER_DIRECT/192.0.2.7 text/html\n"
	const query = "Nov 20 10:00:01 gw dnsmasq[70]: query[A] a.files.example from 10.0.0.5\n"
	const shell = "Nov 20 10:00:01 gw sshd[9]: Accepted publickey for amy from 10.0.0.5 port 4 ssh2\n"
	const mail = "Nov 20 10:00:02 gw postfix/qmgr[72]: A00001: from=<amy@corp.example>, size=5000, nrcpt=1 (queue active)\n" +
		"Nov 20 10:00:03 gw postfix/smtp[73]: A00001: to=<x@mega.example>, relay=mx.mega.example[192.0.2.8]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)\n"
	for _, c := range []struct{ in, want string }{ // records in "", rows, other, skipped: a member each
		{query + shell + query, "[o dnsmasq 2 1 0]"},
		{query + squid + shell + squid, "[o dnsmasq 1 1 0 o!squid squid 2 0 0]"},
		{squid + shell + squid, "[o squid 2 1 0]"},
		{squid + mail + shell + query, "[o dnsmasq 1 1 0 o!postfix postfix 1 1 0 o!squid squid 1 0 0]"},
		{squid + squid, "[o squid 2 0 0]"},
	} {
		for name, stored := range map[string][]byte{"plain": []byte(c.in), "gzip": gzipped(t, c.in)} {
			var got []any
			tallies := map[*Member]*Tally{}
			ro := &ReadOptions{Options: Options{Want: ^columnar.Cols(0)}}
			for _, m := range Read(object("o", stored), ro, func(m *Member, b *Block) error {
				d, err := m.Format.New(m.Options)
				if err != nil {
					return err
				}
				if tallies[m] == nil {
					tallies[m] = &Tally{}
				}
				return b.Decode(d, &columnar.Out{Want: ^columnar.Cols(0), Sink: func(b *columnar.Batch) {
					lines := strings.Split(c.in, "\n")
					for i := range b.Len() {
						n := b.First + int64(b.Record[i])
						if line := lines[n-1]; !strings.Contains(line, m.Format.Name) {
							t.Errorf("%s: record %d of %s is %q", name, n, m.Name, line)
						}
					}
				}}, tallies[m])
			}) {
				if m.Err != nil {
					t.Fatal(m.Name, m.Err)
				}
				got = append(got, m.Name, m.Format.Name, tallies[m].Rows, tallies[m].Other, tallies[m].Skipped)
			}
			if fmt.Sprint(got) != c.want {
				t.Errorf("%s: %q: got %v, want %s", name, c.in, got, c.want)
			}
		}
	}
	var archive bytes.Buffer // a file in it cannot be read twice
	w := tar.NewWriter(&archive)
	in := query + squid + shell
	w.WriteHeader(&tar.Header{Name: "messages", Mode: 0o644, Size: int64(len(in))})
	w.Write([]byte(in))
	w.Close()
	var tally Tally
	Read(object("o", archive.Bytes()), &ReadOptions{}, func(m *Member, b *Block) error {
		d, err := m.Format.New(m.Options)
		if err != nil {
			return err
		}
		return b.Decode(d, &columnar.Out{Sink: func(*columnar.Batch) {}}, &tally)
	})
	const want = "[line of another program; some are of squid: log each program apart (2, first at record 1)]"
	if fmt.Sprint(tally.Reasons) != want || tally.Rows != 1 {
		t.Errorf("in an archive: got %+v", tally)
	}
}

// What one vendor writes would be skipped, or be read by the words of another, in what a collector stores of
// several.
func TestCollector(t *testing.T) {
	const shell = "Nov 20 10:00:01 gw sshd[9]: Accepted publickey for amy from 10.0.0.5 port 4 ssh2\n"
	const query = "Nov 20 10:00:01 gw dnsmasq[70]: query[A] a.files.example from 10.0.0.5\n"
	fortinet := func(header string) string {
		return header + "CEF:0|Fortinet|Fortigate|v7.2.4|00013|traffic:forward close|3|FTNTFGTeventtime=1795205646000000000 FTNTFGTlogid=0000000013 cat=traffic:forward src=10.20.4.17 dst=203.0.113.11 dpt=443 externalId=51722 proto=6 act=close suser=amy out=5368709120 in=10000000\n"
	}
	paloalto := func(header string) string {
		return header + "LEEF:2.0|Palo Alto Networks|PAN-OS Syslog Integration|10.2|allow|^|cat=TRAFFIC^devTime=Nov 20 2026 10:00:01 GMT^src=10.4.0.5^dst=203.0.113.90^usrName=bob^srcBytes=2000^dstBytes=20^Subtype=end^SessionID=5\n"
	}
	const other = "<13>Nov 20 10:00:02 h CEF:0|Example|Gate|1|7|web|3|rt=1795168800000 src=10.9.1.5 suser=eve request=https://drop.example/u requestMethod=POST out=1000 in=10\n"
	const relay = "<189>Nov 20 10:00:00 gw "
	for _, c := range []struct {
		in, want string // a member each: name, format, rows
		skipped  int64
	}{
		{fortinet("") + fortinet(""), "[o fortinet-cef 2]", 0},
		{fortinet(relay) + other + fortinet(relay), "[o fortinet-cef 2 o!cef cef 1]", 0},
		{other + other + fortinet(relay), "[o fortinet-cef 1 o!cef cef 2]", 0},
		{fortinet(relay) + paloalto(relay), "[o fortinet-cef 1 o!paloalto-leef paloalto-leef 1]", 0},
		{strings.Repeat(shell, headSize/len(shell)+1) + query + shell + query, "[o dnsmasq 2]", 0},
	} {
		tallies := map[*Member]*Tally{}
		var got []any
		for _, m := range Read(object("o", []byte(c.in)), &ReadOptions{}, func(m *Member, b *Block) error {
			d, err := m.Format.New(m.Options)
			if err != nil {
				return err
			}
			if tallies[m] == nil {
				tallies[m] = &Tally{}
			}
			return b.Decode(d, &columnar.Out{Want: ^columnar.Cols(0), Sink: func(*columnar.Batch) {}}, tallies[m])
		}) {
			if m.Err != nil {
				t.Fatal(m.Name, m.Err)
			}
			got = append(got, m.Name, m.Format.Name, tallies[m].Rows)
			if tallies[m].Skipped != c.skipped {
				t.Errorf("%.80q: %s: skipped %v", c.in, m.Name, tallies[m].Reasons)
			}
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%.80q: got %v, want %s", c.in, got, c.want)
		}
	}
}

// A mark between files that were put one after another would be a part of the first field of its line.
func TestMarks(t *testing.T) {
	const mark = "\ufeff"
	in := mark + "a\n" + mark + "b" + mark + "\n" + mark + mark + "c\n\xef\xbb\n\xef"
	const want = "a\nb" + mark + "\nc\n\xef\xbb\n\xef"
	for size := 1; size < len(in); size++ {
		got, err := io.ReadAll(asUTF8(bufio.NewReaderSize(&slowly{[]byte(in), size}, 1<<10)))
		if err != nil || string(got) != want {
			t.Errorf("%d bytes at once: got %q, %v, want %q", size, got, err, want)
		}
	}
}

// slowly hands on so many bytes at once.
type slowly struct {
	text []byte
	size int
}

func (r *slowly) Read(p []byte) (int, error) {
	if len(r.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.text[:min(r.size, len(r.text))])
	r.text = r.text[n:]
	return n, nil
}
