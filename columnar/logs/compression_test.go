package logs

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

// packed returns text as a writer packs it.
func packed(t testing.TB, text string, open func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := open(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func xzPacked(t testing.TB, text string, c xz.WriterConfig) []byte {
	c.DictCap = max(c.DictCap, 1<<16)
	return packed(t, text, func(w io.Writer) (io.WriteCloser, error) { return c.NewWriter(w) })
}

func lz4Packed(t testing.TB, text string, options ...lz4.Option) []byte {
	return packed(t, text, func(out io.Writer) (io.WriteCloser, error) {
		w := lz4.NewWriter(out)
		return w, w.Apply(options...)
	})
}

// packers are the compressions, each by a writer that is not ours.
var packers = []struct {
	name  string
	magic int  // bytes that say which compression it is
	blind bool // no check sum tells what a damage changed
	joins bool // streams may follow one another
	pack  func(t testing.TB, text string) []byte
}{
	{"gzip", 2, false, true, func(t testing.TB, text string) []byte { return gzipped(t.(*testing.T), text) }},
	{"zstd", 4, false, true, func(t testing.TB, text string) []byte { return zstandard(t.(*testing.T), text) }},
	{"zlib", 2, false, true, func(t testing.TB, text string) []byte {
		return packed(t, text, func(w io.Writer) (io.WriteCloser, error) { return zlib.NewWriter(w), nil })
	}},
	{"lz4", 4, false, true, func(t testing.TB, text string) []byte { return lz4Packed(t, text) }},
	{"lz4 with sums of blocks", 4, false, true, func(t testing.TB, text string) []byte {
		return lz4Packed(t, text, lz4.BlockChecksumOption(true), lz4.BlockSizeOption(lz4.Block64Kb), lz4.SizeOption(uint64(len(text))))
	}},
	{"lz4 of before 2014", 4, true, true, func(t testing.TB, text string) []byte { return lz4Packed(t, text, lz4.LegacyOption(true)) }},
	{"snappy", 10, false, true, func(t testing.TB, text string) []byte {
		return packed(t, text, func(w io.Writer) (io.WriteCloser, error) { return snappy.NewBufferedWriter(w), nil })
	}},
	{"xz", 6, false, true, func(t testing.TB, text string) []byte { return xzPacked(t, text, xz.WriterConfig{}) }},
	{"xz with CRC-32", 6, false, true, func(t testing.TB, text string) []byte {
		return xzPacked(t, text, xz.WriterConfig{CheckSum: xz.CRC32})
	}},
	{"xz with SHA-256 and several blocks", 6, false, true, func(t testing.TB, text string) []byte {
		return xzPacked(t, text, xz.WriterConfig{CheckSum: xz.SHA256, BlockSize: max(8, int64(len(text)/3))})
	}},
	{"xz without check sum", 6, true, true, func(t testing.TB, text string) []byte {
		return xzPacked(t, text, xz.WriterConfig{NoCheckSum: true})
	}},
}

// If this fails, a sound object of some compression is not read, or not as a whole.
func TestDecompress(t *testing.T) {
	const first, second = "one\ntwo\n", "three\n"
	var long strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&long, "line %d\n", i*7919%100_000)
	}
	for _, p := range packers {
		for name, test := range map[string]struct {
			stored []byte
			want   string
		}{
			"one":   {p.pack(t, first), first},
			"long":  {p.pack(t, long.String()), long.String()},
			"empty": {append(p.pack(t, ""), p.pack(t, first)...), first},
			"two":   {append(p.pack(t, first), p.pack(t, second)...), first + second},
		} {
			if !p.joins && (name == "two" || name == "empty") {
				continue
			}
			r := read(t, object("o", test.stored), &ReadOptions{Format: plain})
			if err := r.members[0].Err; err != nil || r.text != test.want {
				t.Errorf("%s, %s: got %d bytes, %v, want %d", p.name, name, len(r.text), err, len(test.want))
			}
		}
	}
	padded := append(append(xzPacked(t, first, xz.WriterConfig{}), make([]byte, 8)...), xzPacked(t, second, xz.WriterConfig{})...)
	if r := read(t, object("o", padded), &ReadOptions{Format: plain}); r.members[0].Err != nil || r.text != first+second {
		t.Errorf("xz with zeros between streams: got %q, %v", r.text, r.members[0].Err)
	}
}

// If this fails, a log that is damaged or cut off passes for a whole one.
func TestDecompressDamaged(t *testing.T) {
	const text = "one two three\nfour two three\nfive, six, seven, eight\n"
	check := func(name string, stored []byte, at int, blind bool) {
		r := read(t, object("o", stored), &ReadOptions{Format: plain})
		err := r.members[0].Err
		if err == nil && r.text != text && !blind {
			t.Errorf("%s, at %d of %d: got %q without an error", name, at, len(stored), r.text)
		}
	}
	for _, p := range packers {
		stored := p.pack(t, text)
		for at := p.magic; at < len(stored); at++ {
			damaged := bytes.Clone(stored)
			damaged[at] ^= 1 << (at % 8)
			check(p.name+" with a bit flipped", damaged, at, p.blind)
			check(p.name+" cut off", stored[:at], at, false)
		}
		follows := append(bytes.Clone(stored), "more\n"...)
		if r := read(t, object("o", follows), &ReadOptions{Format: plain}); r.members[0].Err == nil {
			t.Errorf("%s: got %q without an error, with other bytes behind the stream", p.name, r.text)
		}
	}
	stored, err := base64.StdEncoding.DecodeString(bzip2Hello)
	if err != nil {
		t.Fatal(err)
	}
	for at := 4; at < len(stored); at++ { // the size of its blocks may be another
		damaged := bytes.Clone(stored)
		damaged[at] ^= 1 << (at % 8)
		for _, s := range [][]byte{damaged, stored[:at]} {
			if r := read(t, object("o", s), &ReadOptions{Format: plain}); r.members[0].Err == nil && r.text != "one\ntwo\n" {
				t.Errorf("bzip2, at %d: got %q without an error", at, r.text)
			}
		}
	}
}

// If this fails, a report says that a log is damaged that only has to be fetched again.
func TestDecompressCutOff(t *testing.T) {
	text := strings.Repeat("a line of a log\n", 50_000)
	for _, p := range packers {
		stored := p.pack(t, text)
		r := read(t, object("o", stored[:len(stored)*2/3]), &ReadOptions{Format: plain})
		// The reader of snappy calls a cut a damage.
		if err := r.members[0].Err; !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, snappy.ErrCorrupt) {
			t.Errorf("%s: got %v, want %v", p.name, err, io.ErrUnexpectedEOF)
		}
	}
}

// withDictionary returns the stream with another size of the dictionary in the header of
// its first block, which has no sizes.
func withDictionary(stored []byte, bits byte) []byte {
	out := bytes.Clone(stored)
	header := out[12 : 12+4*int(out[12])+4]
	header[4] = bits
	binary.LittleEndian.PutUint32(header[len(header)-4:], crc32.ChecksumIEEE(header[:len(header)-4]))
	return out
}

// If this fails, an object of a few bytes takes 4 GiB of memory, or one that xz -9 made
// is refused.
func TestXZDictionary(t *testing.T) {
	const text = "one\ntwo\n"
	stored := xzPacked(t, text, xz.WriterConfig{})
	for bits, want := range map[byte]string{
		28: "",
		30: "",
		31: "xz stream cannot be read on at byte 64: needs a window of 192 MiB, more than 128 MiB: decompress it first; 0 records were read",
		40: "xz stream cannot be read on at byte 64: needs a window of 4096 MiB, more than 128 MiB: decompress it first; 0 records were read",
		41: "xz stream cannot be read on at byte 64: xz: damaged; 0 records were read",
	} {
		r := read(t, object("o", withDictionary(stored, bits)), &ReadOptions{Format: plain})
		got := ""
		if err := r.members[0].Err; err != nil {
			got = err.Error()
		}
		if got != want || got == "" && r.text != text {
			t.Errorf("%d: got %q, %q, want %q", bits, r.text, got, want)
		}
	}
	// The second of two is looked at, too.
	both := append(bytes.Clone(stored), withDictionary(stored, 40)...)
	if r := read(t, object("o", both), &ReadOptions{Format: plain}); r.members[0].Err == nil || r.text != text {
		t.Errorf("got %q, %v, want the first stream and an error", r.text, r.members[0].Err)
	}
}

// FuzzXZ compares with the library's own reader of the container.
func FuzzXZ(f *testing.F) {
	for _, c := range []xz.WriterConfig{{}, {CheckSum: xz.CRC32}, {CheckSum: xz.SHA256, BlockSize: 8}, {NoCheckSum: true}} {
		stored := xzPacked(f, "one\ntwo\nthree\n", c)
		f.Add(stored)
		f.Add(append(append(stored, 0, 0, 0, 0), stored...))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		src, err := openXZ(bufio.NewReader(bytes.NewReader(in)), new(windows))
		if err != nil {
			return
		}
		got, err := io.ReadAll(io.LimitReader(src, 1<<20))
		if err != nil || len(got) == 1<<20 {
			return
		}
		reference, err := xz.NewReader(bytes.NewReader(in))
		if err != nil {
			t.Fatalf("got %q, and %v of the library", got, err)
		}
		want, err := io.ReadAll(reference)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %q, want %q, %v", got, want, err)
		}
	})
}

// BenchmarkXZ reads a log of Squid. The unit is the decompressed text.
func BenchmarkXZ(b *testing.B) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "1772000000.%03d %6d 10.0.0.%d TCP_MISS/200 %d GET http://h%d.example.com/%x ann HIER_DIRECT/192.0.2.1 text/html\n",
			i%1000, i*7919%500, i%250, i*104729%99999, i%3000, uint32(i)*2654435761)
	}
	stored := xzPacked(b, text.String(), xz.WriterConfig{DictCap: 8 << 20})
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		src, err := openXZ(bufio.NewReaderSize(bytes.NewReader(stored), headSize), new(windows))
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, src); n != int64(text.Len()) || err != nil {
			b.Fatal(n, err)
		}
	}
}
