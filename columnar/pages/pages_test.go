package pages

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// TestPageSize checks that a page gets the memory that its header declares only if the
// compressed bytes can hold that much.
func TestPageSize(t *testing.T) {
	var c Codec
	var buf []byte
	if _, err := c.Decompress(format.Zstd, &buf, make([]byte, 1000), 200<<20); err == nil || cap(buf) > 0 {
		t.Errorf("got error %v and %d bytes for a page of 200 MiB in 1,000 bytes", err, cap(buf))
	}
	for codec, most := range map[format.CompressionCodec]int{format.Snappy: 32, format.Lz4Raw: 255, format.Gzip: 1032, format.Brotli: 0} {
		src := make([]byte, 1000)
		if _, err := c.Decompress(codec, &buf, src, 1001*most+most); err == nil || cap(buf) > 0 {
			t.Errorf("%s: got error %v and %d bytes for a page of %d bytes in 1,000", codec, err, cap(buf), 1001*most+most)
		}
	}
	zeros := make([]byte, 64<<20)
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Decompress(format.Zstd, &buf, w.EncodeAll(zeros, nil), len(zeros)-1); err == nil || cap(buf) > 0 {
		t.Errorf("got error %v and %d bytes for a page that tells another size", err, cap(buf))
	}
	deflated := func() []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(zeros)
		z.Close()
		return b.Bytes()
	}
	var packed lz4.Compressor
	block := make([]byte, lz4.CompressBlockBound(len(zeros)))
	n, err := packed.CompressBlock(zeros, block)
	if err != nil {
		t.Fatal(err)
	}
	for _, codec := range []struct {
		format.CompressionCodec
		page []byte
	}{{format.Zstd, w.EncodeAll(zeros, nil)}, {format.Snappy, snappy.Encode(nil, zeros)}, {format.Gzip, deflated()}, {format.Lz4Raw, block[:n]}} {
		if out, err := c.Decompress(codec.CompressionCodec, &buf, codec.page, len(zeros)); err != nil || !bytes.Equal(out, zeros) {
			t.Errorf("%s: got error %v for a page of zeros in %d bytes", codec, err, len(codec.page))
		}
	}
}

// hybrids reads n numbers in several reads. some returns the size of the next one.
func hybrids(data []byte, width uint, n int, some func(left int) int) ([]uint32, error) {
	all := make([]uint32, n)
	h, err := NewHybrid(data, width)
	for left := all; len(left) > 0 && err == nil; {
		k := some(len(left))
		err = h.Read(left[:k])
		left = left[k:]
	}
	return all, err
}

func TestHybrid(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for width := uint(0); width <= 32; width++ {
		for range 20 {
			// Groups of 8 packed by hand, least significant bit first.
			groups := 1 + r.IntN(9)
			want := make([]uint32, groups*8)
			packed := make([]byte, groups*int(width))
			for i := range want {
				want[i] = uint32(r.Uint64() & (1<<width - 1))
				for k := range width {
					bit := uint(i)*width + k
					packed[bit>>3] |= byte(want[i]>>k&1) << (bit & 7)
				}
			}
			data := append([]byte{byte(groups<<1 | 1)}, packed...)
			run := uint32(r.Uint64() & (1<<width - 1))
			data = append(data, 5<<1)
			for k := uint(0); k < width; k += 8 {
				data = append(data, byte(run>>k))
			}
			want = append(want, run, run, run, run, run)
			for _, n := range []int{len(want), r.IntN(len(want))} {
				got, err := hybrids(data, width, n, func(left int) int { return 1 + r.IntN(left) })
				if err != nil || !slices.Equal(got, want[:n]) {
					t.Fatalf("width %d: got %v, %v, want %v", width, got, err, want[:n])
				}
			}
			if _, err := hybrids(data, width, len(want)+1, func(left int) int { return left }); err == nil {
				t.Fatalf("width %d: no error for a missing number", width)
			}
		}
	}
}

// What is written must read back, also by the library. Cut off or changed, it must
// give an error or other numbers, never a panic.
func TestNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	for range 500 {
		width := uint(r.IntN(33))
		want := make([]uint32, r.IntN(300))
		ints := make([]int64, len(want))
		for i := range want {
			if i == 0 || r.IntN(4) == 0 {
				want[i] = uint32(r.Uint64() & (1<<width - 1))
			} else {
				want[i] = want[i-1]
			}
			ints[i] = int64(want[i]) << r.IntN(32)
		}
		whole := func(int) int { return len(want) }
		b := AppendHybrid(nil, want, width)
		if got, err := hybrids(b, width, len(want), whole); err != nil || !slices.Equal(got, want) {
			t.Fatalf("width %d: got %v, %v, want %v", width, got, err, want)
		}
		for range 20 {
			c := bytes.Clone(b[:r.IntN(len(b)+1)])
			if len(c) > 0 {
				c[r.IntN(len(c))] = byte(r.Uint32())
			}
			hybrids(c, width, len(want), whole)
		}
		d := AppendDelta(nil, ints)
		if n, ok := DeltaCount(d); !ok || n != uint64(len(ints)) {
			t.Fatalf("got %d numbers, want %d", n, len(ints))
		}
		if got, err := parquet.DeltaBinaryPacked.DecodeInt64(nil, d); err != nil || !slices.Equal(got, ints) {
			t.Fatalf("got %v, %v, want %v", got, err, ints)
		}
	}
}

// A footer that is missing or cut off gives an error that says what is wrong.
func TestFooter(t *testing.T) {
	file, err := AppendFooter([]byte(Magic), &format.FileMetaData{NumRows: 7, Schema: []format.SchemaElement{{Name: "row"}}})
	if err != nil {
		t.Fatal(err)
	}
	meta, err := ReadFooter(bytes.NewReader(file), int64(len(file)))
	if err != nil || meta.NumRows != 7 {
		t.Fatalf("got %+v, %v", meta, err)
	}
	long := bytes.Clone(file)
	binary.LittleEndian.PutUint32(long[len(long)-8:], 1<<30)
	for name, bad := range map[string][]byte{"empty": nil, "cut off": file[:len(file)-1], "a footer beyond the file": long, "no footer": bytes.Replace(file, []byte("row"), []byte{0xff, 0xff, 0xff}, 1)[:len(file)-2]} {
		if _, err := ReadFooter(bytes.NewReader(bad), int64(len(bad))); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	for at := range file {
		for bit := range 8 {
			bad := bytes.Clone(file)
			bad[at] ^= 1 << bit
			ReadFooter(bytes.NewReader(bad), int64(len(bad)))
		}
	}
}
