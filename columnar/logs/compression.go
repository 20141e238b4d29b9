package logs

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/zlib"
	"fmt"
	"io"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"outflow/columnar/inflate"
)

// Compressed streams: which there are, and how they are opened.

// zstdWindow is the largest window that is accepted, which is the memory that
// one stream can take: 128 MiB is what zstd itself accepts unasked.
const zstdWindow = 128 << 20

// compressions that are recognised, by their first bytes. Names of objects lie:
// HTTP layers decompress on the way.
var compressions = []struct {
	at    int // where magic stands
	magic string
	name  string
	open  func(*bufio.Reader) (io.Reader, error) // nil: not supported
}{
	{0, "\x1f\x8b", "gzip", openGzip},
	{0, "\x28\xb5\x2f\xfd", "zstd", openZstd},
	{1, "\x2a\x4d\x18", "zstd", openZstd}, // a skippable frame, of any of 16 kinds
	{0, "BZh", "bzip2", func(in *bufio.Reader) (io.Reader, error) { return bzip2.NewReader(in), nil }},
	{0, "\x04\x22\x4d\x18", "lz4", func(in *bufio.Reader) (io.Reader, error) { return lz4.NewReader(in), nil }},
	{0, "\xff\x06\x00\x00sNaPpY", "snappy", func(in *bufio.Reader) (io.Reader, error) { return snappy.NewReader(in), nil }},
	{0, "\x78\x01", "zlib", openZlib},
	{0, "\x78\x9c", "zlib", openZlib},
	{0, "\x78\xda", "zlib", openZlib},
	{0, "\xfd7zXZ\x00", "xz", nil},
	{0, "\x1f\x9d", "compress (.Z)", nil},
	{0, "7z\xbc\xaf\x27\x1c", "7-Zip", nil},
	{0, "PK\x03\x04", "zip inside another archive", nil},
	{0, "PK\x05\x06", "zip inside another archive", nil},
}

func openGzip(in *bufio.Reader) (io.Reader, error) { return inflate.NewGzipReader(in) }

func openZstd(in *bufio.Reader) (io.Reader, error) {
	z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
	if err != nil {
		return nil, err
	}
	return z.IOReadCloser(), nil
}

func openZlib(in *bufio.Reader) (io.Reader, error) { return zlib.NewReader(in) }

// decompress returns the decompressed stream and the name of its compression,
// "" if there is none.
func decompress(in *bufio.Reader) (io.Reader, string, error) {
	head, _ := in.Peek(16)
	for _, c := range compressions {
		if len(head) < c.at || !bytes.HasPrefix(head[c.at:], []byte(c.magic)) {
			continue
		}
		if c.open == nil {
			return nil, "", fmt.Errorf("%s is not supported: decompress it first, or use gzip, zstd, bzip2 or zip", c.name)
		}
		src, err := c.open(in)
		if err != nil {
			return nil, "", fmt.Errorf("%s stream: %w", c.name, err)
		}
		return src, c.name, nil
	}
	return in, "", nil
}
