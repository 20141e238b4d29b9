package inflate

import (
	"bufio"
	"bytes"
	stdflate "compress/flate"
	stdgzip "compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unsafe"

	"github.com/klauspost/compress/gzip"
)

// texts are texts to compress: some that logs have, and some that they do not.
func texts() map[string][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 120_000)
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	digits := make([]byte, 100_000)
	for i := range digits {
		digits[i] = "0123456789.,-T"[rnd.IntN(14)]
	}
	// Matches of every distance up to 40, and of every length.
	var short []byte
	for distance := range 40 {
		for length := range 270 {
			short = append(short, noise[length:length+distance+1]...)
			for range length {
				short = append(short, short[len(short)-distance-1])
			}
		}
	}
	// Matches as far away as they can be, and one byte farther.
	far := slices.Concat(noise[:history], noise[:history+1], noise[:history])
	return map[string][]byte{
		"nothing": {}, "a byte": {'x'}, "log": logText(200_000), "noise": noise, "digits": digits,
		"zeros": make([]byte, 300_000), "short distances": short, "far": far,
	}
}

// logText returns made-up text that compresses as well as the log of a proxy.
func logText(size int) []byte {
	rnd := rand.New(rand.NewPCG(3, 4))
	hosts := make([]string, 300)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("%s%d.%s.example", []string{"cdn", "api", "mail", "files"}[rnd.IntN(4)], rnd.IntN(90), []string{"blue", "green", "north"}[rnd.IntN(3)])
	}
	var b bytes.Buffer
	for at := 1_790_000_000_000; b.Len() < size; at += rnd.IntN(40) {
		host := hosts[min(rnd.IntN(300), rnd.IntN(300))]
		fmt.Fprintf(&b, "%d.%03d\t%x\t10.%d.%d.%d\t%d\t%s\t%s\t/v1/%x\t%d\t%d\tF\n", at/1000, at%1000, rnd.Uint64(), rnd.IntN(4), rnd.IntN(64), rnd.IntN(250),
			1024+rnd.IntN(60_000), []string{"GET", "GET", "POST"}[rnd.IntN(3)], host, rnd.Uint32()>>uint(rnd.IntN(32)), rnd.IntN(1<<rnd.IntN(20)+1), rnd.IntN(2000))
	}
	return b.Bytes()[:size]
}

// read reads all of a gzip stream, with buffers of odd sizes.
func read(in io.Reader) ([]byte, error) {
	z, err := NewGzipReader(bufio.NewReader(in))
	if err != nil {
		return nil, err
	}
	return readAll(z)
}

func readAll(z io.Reader) ([]byte, error) {
	var out []byte
	buf := make([]byte, 7777)
	for i := 0; ; i++ {
		n, err := z.Read(buf[:1+i*997%len(buf)])
		if out = append(out, buf[:n]...); err == io.EOF {
			return out, nil
		} else if err != nil {
			return out, err
		}
	}
}

func deflated(t testing.TB, text []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := stdflate.NewWriter(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(text)
	w.Close()
	return b.Bytes()
}

func gzipped(t testing.TB, text []byte) []byte {
	t.Helper()
	return member(text, deflated(t, text, 6))
}

// member returns a gzip member with a DEFLATE stream of text.
func member(text, stream []byte) []byte {
	b := append([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), stream...)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(text))
	return binary.LittleEndian.AppendUint32(b, uint32(len(text)))
}

// If this fails, a sound stream is misread.
func TestRoundTrip(t *testing.T) {
	type writer interface {
		io.WriteCloser
		Flush() error
	}
	compress := func(w writer, text []byte, flush int) {
		for rest := text; len(rest) > 0; {
			n := min(flush, len(rest))
			w.Write(rest[:n])
			w.Flush()
			rest = rest[n:]
		}
		w.Close()
	}
	for name, text := range texts() {
		for level := gzip.StatelessCompression; level <= gzip.BestCompression; level++ {
			// When flushed often, blocks are small: stored, or with fixed codes.
			flush := len(text) + 1
			if level%3 == 0 {
				flush = 2_000
			}
			var streams [2]bytes.Buffer
			w, err := gzip.NewWriterLevel(&streams[0], level)
			if err != nil {
				t.Fatal(err)
			}
			compress(w, text, flush)
			if level >= stdgzip.HuffmanOnly {
				w, err := stdgzip.NewWriterLevel(&streams[1], level)
				if err != nil {
					t.Fatal(err)
				}
				compress(w, text, flush)
			}
			for i := range streams {
				if streams[i].Len() == 0 {
					continue
				}
				got, err := read(&streams[i])
				if err != nil || !bytes.Equal(got, text) {
					t.Errorf("%s, writer %d, level %d: got %d bytes, %v, want %d", name, i, level, len(got), err, len(text))
				}
			}
		}
	}
}

// If this fails, the result depends on how the input is divided.
func TestChunks(t *testing.T) {
	text := logText(100_000)
	stored := append(gzipped(t, text), gzipped(t, text)...)
	text = append(text, text...)
	for name, in := range map[string]io.Reader{
		"bytes":            iotest.OneByteReader(bytes.NewReader(stored)),
		"halves":           iotest.HalfReader(bytes.NewReader(stored)),
		"the end with it":  iotest.DataErrReader(bytes.NewReader(stored)),
		"a tiny buffer":    bufio.NewReaderSize(bytes.NewReader(stored), 16),
		"a tiny buffer, 2": bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(stored)), 16),
		"a large buffer":   bufio.NewReaderSize(bytes.NewReader(stored), 1<<20),
	} {
		got, err := read(in)
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: got %d bytes, %v, want %d", name, len(got), err, len(text))
		}
	}
}

// If this fails, an error of the disk or the network is taken for the end of a log.
func TestReadError(t *testing.T) {
	stored := gzipped(t, logText(10_000))
	failed := errors.New("connection reset")
	for n := range len(stored) {
		in := io.MultiReader(bytes.NewReader(stored[:n]), iotest.ErrReader(failed))
		if _, err := read(in); err != failed {
			t.Fatalf("after %d bytes: got %v, want %v", n, err, failed)
		}
	}
	in := io.MultiReader(bytes.NewReader(stored), iotest.ErrReader(failed))
	if got, err := read(in); err != failed || len(got) != 10_000 {
		t.Errorf("behind the last member: got %d bytes, %v, want %v", len(got), err, failed)
	}
}

// bitString returns a stream of fields. Each field is given as its value and its
// number of bits, and is written lowest bit first.
func bitString(fields ...uint) []byte {
	var out []byte
	n := uint(0)
	for i := 0; i < len(fields); i += 2 {
		for j := range fields[i+1] {
			if n%8 == 0 {
				out = append(out, 0)
			}
			out[n/8] |= byte(fields[i]>>j&1) << (n % 8)
			n++
		}
	}
	return out
}

// dynamic returns the beginning of a last block with its own codes. pre has one
// digit for each width of the width code, in their order.
func dynamic(litLens, dists uint, pre string, rest ...uint) []byte {
	fields := []uint{1, 1, 2, 2, litLens - 257, 5, dists - 1, 5, uint(len(pre)) - 4, 4}
	for _, c := range pre {
		fields = append(fields, uint(c-'0'), 3)
	}
	return bitString(append(fields, rest...)...)
}

// If this fails, a stream that RFC 1951 allows is refused, or one that it forbids
// is read. The expected results were found by hand, and compress/flate agrees.
func TestStreams(t *testing.T) {
	// Symbols 1 and 18 have codes of one bit: bit 0 means a width of 1, and bit 1
	// with 7 more bits means 11–138 zeros. The order of the width code is 16 17 18
	// 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1.
	const oneAnd18 = "001000000000000001"
	zeros := func(n uint) []uint { return []uint{1, 1, n - 11, 7} }
	join := func(parts ...[]uint) (all []uint) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	ninety := bytes.Repeat([]byte("abc"), 30)
	for _, test := range []struct {
		name   string
		stream []byte
		want   string
		err    error
	}{
		{"no byte", nil, "", io.ErrUnexpectedEOF},
		{"half a header", []byte{}, "", io.ErrUnexpectedEOF},
		{"empty, fixed", bitString(1, 1, 1, 2, 0, 7), "", nil},
		{"empty, stored", []byte("\x01\x00\x00\xff\xff"), "", nil},
		{"stored", []byte("\x01\x03\x00\xfc\xffabc"), "abc", nil},
		{"stored, then fixed", append([]byte("\x00\x03\x00\xfc\xffabc"), bitString(1, 1, 1, 2, 0, 7)...), "abc", nil},
		{"stored, cut off", []byte("\x01\x03\x00\xfc\xffab"), "ab", io.ErrUnexpectedEOF},
		{"stored, length cut off", []byte("\x01\x03\x00\xfc"), "", io.ErrUnexpectedEOF},
		{"stored, wrong complement", []byte("\x01\x03\x00\xfd\xffabc"), "", errLength},
		{"kind 3", []byte{7}, "", errKind},
		{"not the last, then nothing", bitString(0, 1, 1, 2, 0, 7), "", io.ErrUnexpectedEOF},
		// Codes of a fixed block are written highest bit first.
		{"fixed, a match", bitString(1, 1, 1, 2, 0x89, 8, 0x40, 7, 0, 5, 0, 7), "aaaa", nil},
		{"fixed, the longest match", bitString(1, 1, 1, 2, 0x89, 8, 0xa3, 8, 0, 5, 0, 7), strings.Repeat("a", 259), nil},
		{"fixed, before the stream", bitString(1, 1, 1, 2, 0x89, 8, 0x40, 7, 0x10, 5, 0, 7), "a", errDistance},
		{"fixed, distance 30", bitString(1, 1, 1, 2, 0x89, 8, 0x40, 7, 0x0f, 5, 0, 7), "a", errSymbol},
		{"fixed, distance 31", bitString(1, 1, 1, 2, 0x89, 8, 0x40, 7, 0x1f, 5, 0, 7), "a", errSymbol},
		{"fixed, length 286", bitString(1, 1, 1, 2, 0x89, 8, 0x63, 8, 0, 5, 0, 7), "a", errSymbol},
		{"fixed, length 287", bitString(1, 1, 1, 2, 0x89, 8, 0xe3, 8, 0, 5, 0, 7), "a", errSymbol},
		{"fixed, cut in a literal", bitString(1, 1, 1, 2, 0x89, 8, 0x9, 5), "a", io.ErrUnexpectedEOF},
		{"fixed, cut in a length", bitString(1, 1, 1, 2, 0x89, 8, 0x40, 5), "a", io.ErrUnexpectedEOF},
		{"fixed, cut in a distance", bitString(1, 1, 1, 2, 0x13, 9, 0x13, 9, 0x40, 7), "\x90\x90", io.ErrUnexpectedEOF},
		{"codes, only the end of the block", dynamic(257, 1, oneAnd18, join(zeros(138), zeros(118), []uint{0, 1}, []uint{0, 1}, []uint{0, 1})...), "", nil},
		{"codes, a bit that is no code", dynamic(257, 1, oneAnd18, join(zeros(138), zeros(118), []uint{0, 1}, []uint{0, 1}, []uint{1, 1})...), "", errSymbol},
		{"codes, two literals of one bit and no end", dynamic(258, 1, oneAnd18, join(zeros(97), []uint{0, 1, 0, 1}, zeros(138), zeros(20), []uint{1, 1, 0, 7}, []uint{0, 1})...), "", errCode},
		{"codes, more widths than symbols", dynamic(257, 1, oneAnd18, join(zeros(138), zeros(138))...), "", errCode},
		{"codes, three of one bit", dynamic(257, 1, oneAnd18, join([]uint{0, 1, 0, 1, 0, 1}, zeros(138), zeros(116), []uint{0, 1})...), "", errCode},
		{"codes, none of a literal", dynamic(257, 1, oneAnd18, join(zeros(138), zeros(120))...), "", errSymbol},
		{"codes, 287 symbols", dynamic(287, 1, oneAnd18), "", errCode},
		{"codes, 31 distances", dynamic(257, 31, oneAnd18), "", errCode},
		{"codes, incomplete code of widths", dynamic(257, 1, "0020000000000000002"), "", errCode},
		{"codes, three widths of one bit", dynamic(257, 1, "1110"), "", errCode},
		{"codes, no code of widths", dynamic(257, 1, "0000"), "", errSymbol},
		{"codes, repeats nothing", dynamic(257, 1, "1100", 0, 1), "", errCode},
		{"codes, cut off", dynamic(257, 1, oneAnd18)[:4], "", io.ErrUnexpectedEOF},
		{"all that there is", deflated(t, ninety, 9), string(ninety), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := readAll(NewReader(bufio.NewReader(bytes.NewReader(test.stream))))
			if string(got) != test.want || err != test.err {
				t.Errorf("got %q, %v, want %q, %v", got, err, test.want, test.err)
			}
			z := stdflate.NewReader(bytes.NewReader(test.stream))
			if std, stdErr := io.ReadAll(z); !bytes.Equal(std, got) || (stdErr == nil) != (err == nil) || errors.Is(stdErr, io.ErrUnexpectedEOF) != (err == io.ErrUnexpectedEOF) {
				t.Errorf("got %q, %v, compress/flate %q, %v", got, err, std, stdErr)
			}
		})
	}
}

// If this fails, the header or trailer of a gzip member is misread.
func TestMembers(t *testing.T) {
	one, none := gzipped(t, []byte("one\n")), gzipped(t, nil)
	body := one[10:]
	header := func(flags byte, fields string, check bool) []byte {
		b := append([]byte{0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 3}, fields...)
		if check {
			b = binary.LittleEndian.AppendUint16(b, uint16(crc32.ChecksumIEEE(b)))
		}
		return append(b, body...)
	}
	wrong := func(at int) []byte {
		b := bytes.Clone(one)
		b[(at+len(b))%len(b)] ^= 1
		return b
	}
	var many []byte
	for range 300 {
		many = slices.Concat(many, one, none)
	}
	// The second member begins with a match that reaches into the first.
	reaching := append(bytes.Clone(one), member(nil, bitString(1, 1, 1, 2, 0x40, 7, 0, 5, 0, 7))...)
	for _, test := range []struct {
		name   string
		stored []byte
		want   string
		err    error
	}{
		{"nothing", nil, "", io.EOF},
		{"one byte", one[:1], "", io.ErrUnexpectedEOF},
		{"a header cut off", one[:9], "", io.ErrUnexpectedEOF},
		{"one", one, "one\n", nil},
		{"none", none, "", nil},
		{"many", many, strings.Repeat("one\n", 300), nil},
		{"a name", header(gzipName, "a.log\x00", false), "one\n", nil},
		{"a name and a comment", header(gzipName|gzipComment, "a.log\x00\xe4\x00", false), "one\n", nil},
		{"extra", header(gzipExtra, "\x02\x00xy", false), "one\n", nil},
		{"all of them, and a check", header(gzipExtra|gzipName|gzipComment|gzipCheck, "\x02\x00xya\x00b\x00", true), "one\n", nil},
		{"a wrong check", header(gzipName|gzipCheck, "a\x00xy", false), "", errHeader},
		{"a long name", header(gzipName, strings.Repeat("n", maxText-1)+"\x00", false), "one\n", nil},
		{"too long a name", header(gzipName, strings.Repeat("n", maxText)+"\x00", false), "", errHeader},
		{"a name without an end", header(gzipName, "", false)[:12], "", io.ErrUnexpectedEOF},
		{"another compression", []byte("\x1f\x8b\x07\x00\x00\x00\x00\x00\x00\xff"), "", errHeader},
		{"wrong sum", wrong(-8), "one\n", ErrChecksum},
		{"wrong size", wrong(-1), "one\n", ErrChecksum},
		{"trailer cut off", one[:len(one)-1], "one\n", io.ErrUnexpectedEOF},
		{"garbage behind", append(bytes.Clone(one), "not a header"...), "one\n", errHeader},
		{"little garbage behind", append(bytes.Clone(one), "garbage"...), "one\n", io.ErrUnexpectedEOF},
		{"zeros behind", append(bytes.Clone(one), make([]byte, 512)...), "one\n", nil},
		{"few zeros behind", append(bytes.Clone(one), 0), "one\n", nil},
		{"zeros and garbage behind", append(bytes.Clone(one), "\x00\x00not a header"...), "one\n", errHeader},
		{"a match before the member", reaching, "one\n", errDistance},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := read(bytes.NewReader(test.stored))
			if string(got) != test.want || err != test.err {
				t.Errorf("got %q, %v, want %q, %v", got, err, test.want, test.err)
			}
			agree(t, test.stored, stdGzip, oursGzip)
		})
	}
}

// A stream is decoded to its end, and no byte after it is taken: zip relies on it.
func TestRestIsLeft(t *testing.T) {
	for _, text := range texts() {
		for _, level := range []int{0, 6} {
			in := bufio.NewReader(io.MultiReader(bytes.NewReader(deflated(t, text, level)), strings.NewReader("rest")))
			got, err := readAll(NewReader(in))
			rest, _ := io.ReadAll(in)
			if err != nil || !bytes.Equal(got, text) || string(rest) != "rest" {
				t.Errorf("got %d bytes of %d, %v, and %q behind", len(got), len(text), err, rest)
			}
		}
	}
}

// If this fails, a log that was cut off loses more bytes than the missing ones, or
// is taken for a whole one.
func TestTruncated(t *testing.T) {
	text := logText(2_500)
	for _, level := range []int{-2, 0, 1, 6, 9} {
		stored := member(text, deflated(t, text, level))
		last := 0
		for n := range stored {
			got, err := agree(t, stored[:n], stdGzip, oursGzip)
			if n > 0 && err != io.ErrUnexpectedEOF || !bytes.HasPrefix(text, got) || len(got) < last {
				t.Fatalf("level %d, %d bytes of %d: got %d bytes, %v", level, n, len(stored), len(got), err)
			}
			last = len(got)
		}
		if last != len(text) {
			t.Errorf("level %d: got %d bytes without the last byte of the trailer, want %d", level, last, len(text))
		}
	}
}

// If this fails, damage is taken for a log, or stops the program.
func TestFlippedBits(t *testing.T) {
	text := logText(400)
	for _, level := range []int{-2, 0, 1, 6} {
		stored := member(text, deflated(t, text, level))
		for i := range len(stored) * 8 {
			stored[i/8] ^= 1 << (i % 8)
			got, err := agree(t, stored, stdGzip, oursGzip)
			// The time, the system and the padding in the last byte of the stream
			// mean nothing.
			if err == nil && !bytes.Equal(got, text) {
				t.Fatalf("level %d, bit %d flipped: got %d bytes, %v", level, i, len(got), err)
			}
			stored[i/8] ^= 1 << (i % 8)
		}
	}
}

// The readers that must agree.
func oursGzip(in io.Reader) ([]byte, error) { return read(in) }
func ours(in io.Reader) ([]byte, error)     { return readAll(NewReader(bufio.NewReader(in))) }
func stdDeflate(in io.Reader) ([]byte, error) {
	return readAll(stdflate.NewReader(in))
}
func stdGzip(in io.Reader) ([]byte, error) {
	z, err := stdgzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	return readAll(z)
}

// agree returns the result of ours. It checks that the two readers fail alike and
// return the same bytes. There is one difference: compress/flate waits for as many
// bits as the end of a block has before it tries a shorter code. Where it says that
// a stream is cut off, ours may return more bytes, or find the fault in the bits
// that are there.
func agree(t *testing.T, stored []byte, std, ours func(io.Reader) ([]byte, error)) ([]byte, error) {
	t.Helper()
	want, wantErr := std(bytes.NewReader(stored))
	got, err := ours(bytes.NewReader(stored))
	cut := errors.Is(wantErr, io.ErrUnexpectedEOF)
	if bytes.Equal(got, want) && wantErr != nil && (err == nil && stored[len(stored)-1] == 0 || cut && errors.Is(err, errHeader)) {
		return got, err // ours allows zeros after a member, and takes other bytes after them for a bad header
	}
	switch {
	case cut && bytes.HasPrefix(got, want) && len(got)-len(want) <= maxWidth*258:
	case !bytes.Equal(got, want):
		t.Fatalf("%x: got %d bytes, %v, want %d, %v", stored, len(got), err, len(want), wantErr)
	}
	if (err == nil) != (wantErr == nil) || errors.Is(err, io.ErrUnexpectedEOF) && !cut || errors.Is(err, io.EOF) != errors.Is(wantErr, io.EOF) ||
		errors.Is(err, errHeader) != errors.Is(wantErr, stdgzip.ErrHeader) || errors.Is(err, ErrChecksum) != errors.Is(wantErr, stdgzip.ErrChecksum) {
		t.Fatalf("%x: got error %v, want %v", stored, err, wantErr)
	}
	return got, err
}

// FuzzInflate compares with the standard library for any input: as gzip, as
// DEFLATE, and as DEFLATE inside a member that is otherwise sound.
func FuzzInflate(f *testing.F) {
	for _, text := range texts() {
		text = text[:min(len(text), 3_000)]
		for _, level := range []int{-2, 0, 1, 6, 9} {
			stream := deflated(f, text, level)
			f.Add(stream)
			f.Add(member(text, stream))
			f.Add(append(member(text, stream), member(nil, deflated(f, nil, level))...))
		}
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		agree(t, stored, stdDeflate, ours)
		agree(t, stored, stdGzip, oursGzip)
		chunked := func(in io.Reader) ([]byte, error) {
			return readAll(NewReader(bufio.NewReaderSize(iotest.HalfReader(in), 16)))
		}
		agree(t, stored, stdDeflate, chunked)
	})
}

// A reader's memory is its window and tables, however large the stream is and
// however many members it has.
func TestMemory(t *testing.T) {
	if got := unsafe.Sizeof(GzipReader{}); got > 112<<10 {
		t.Errorf("got a reader of %d bytes, want at most 112 KiB", got)
	}
	stored := bytes.Repeat(gzipped(t, logText(200_000)), 20)
	source := bytes.NewReader(stored)
	in := bufio.NewReader(source)
	buf := make([]byte, 1<<16)
	got := testing.AllocsPerRun(3, func() {
		source.Reset(stored)
		in.Reset(source)
		z, err := NewGzipReader(in)
		for err == nil {
			_, err = z.Read(buf)
		}
		if err != io.EOF {
			t.Error(err)
		}
	})
	if got > 1 {
		t.Errorf("got %v allocations for a stream, want that of the reader", got)
	}
}

// The throughput is that of the compressed input. Compare with
//
//	go test -run '^$' -bench . -cpu 1 -count 10 | benchstat -col /lib -
func BenchmarkRead(b *testing.B) {
	libs := []struct {
		name string
		open func(*bufio.Reader) (io.Reader, error)
	}{
		{"inflate", func(in *bufio.Reader) (io.Reader, error) { return NewGzipReader(in) }},
		{"klauspost", func(in *bufio.Reader) (io.Reader, error) { return gzip.NewReader(in) }},
		{"std", func(in *bufio.Reader) (io.Reader, error) { return stdgzip.NewReader(in) }},
	}
	text := logText(8 << 20)
	noise := texts()["noise"]
	var members, files []byte
	for rest := text; len(rest) > 0; rest = rest[min(60_000, len(rest)):] {
		files = append(files, gzipped(b, rest[:min(60_000, len(rest))])...)
	}
	for rest := text[:1<<20]; len(rest) > 0; rest = rest[min(1_000, len(rest)):] {
		members = append(members, gzipped(b, rest[:min(1_000, len(rest))])...)
	}
	for _, test := range []struct {
		name   string
		stored []byte
	}{
		{"log-1", member(text, deflated(b, text, 1))},
		{"log-6", member(text, deflated(b, text, 6))},
		{"log-9", member(text, deflated(b, text, 9))},
		{"huffman", member(text, deflated(b, text, stdflate.HuffmanOnly))},
		{"members-60000", files},
		{"members-1000", members},
		{"noise", member(noise, deflated(b, noise, 6))},
		{"stored", member(text, deflated(b, text, 0))},
	} {
		for _, lib := range libs {
			b.Run("of="+test.name+"/lib="+lib.name, func(b *testing.B) {
				buf := make([]byte, 1<<20)
				source := bytes.NewReader(nil)
				in := bufio.NewReaderSize(source, 64<<10)
				for b.Loop() {
					source.Reset(test.stored)
					in.Reset(source)
					z, err := lib.open(in)
					size := 0
					for err == nil {
						var n int
						n, err = z.Read(buf)
						size += n
					}
					if err != io.EOF {
						b.Fatal(err)
					}
					b.SetBytes(int64(size))
				}
			})
		}
	}
}
