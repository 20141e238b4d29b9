package logs

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/zlib"
	"fmt"
	"io"

	"github.com/klauspost/compress/snappy"
	"github.com/pierrec/lz4/v4"

	"outflow/columnar/inflate"
)

// Compressed streams: which there are, and how they are opened.

// maxWindow is the largest window or dictionary that a stream may have unless
// ReadOptions.Windows says otherwise: 128 MiB is what zstd itself accepts unasked.
const maxWindow = 128 << 20

// windows are the windows and dictionaries of the decompressors of an object. They take as much
// memory as the streams say, of a few bytes too.
type windows struct {
	total int64                   // bytes
	allow func(total int64) error // ReadOptions.Windows
}

// A streamWindow is that of one decompressor.
type streamWindow struct {
	of   *windows
	size int64 // bytes, as far as allowed
}

// grow asks for a window of size bytes, if it is smaller. A decompressor keeps its memory from
// frame to frame, so it never shrinks.
func (w *streamWindow) grow(size int64) error {
	if size <= w.size {
		return nil
	}
	if w.of.allow == nil {
		if size > maxWindow {
			return fmt.Errorf("needs a window of %d MiB, more than %d MiB: decompress it first", size>>20, maxWindow>>20)
		}
	} else if err := w.of.allow(w.of.total + size - w.size); err != nil {
		return err
	}
	w.of.total += size - w.size
	w.size = size
	return nil
}

// free gives the window up.
func (w *streamWindow) free() {
	w.of.total -= w.size
	if w.size > 0 && w.of.allow != nil {
		w.of.allow(w.of.total) // less is always allowed
	}
	w.size = 0
}

// compressions that are recognised, by their first bytes. Names of objects lie:
// HTTP layers decompress on the way.
var compressions = []struct {
	at    int // where magic stands
	magic string
	name  string
	open  func(*bufio.Reader, *windows) (io.Reader, error) // nil: not supported
}{
	{0, "\x1f\x8b", "gzip", openGzip},
	{0, "\x28\xb5\x2f\xfd", "zstd", openZstd},
	{1, "\x2a\x4d\x18", "zstd", openZstd}, // a skippable frame, of any of 16 kinds
	{0, "BZh", "bzip2", func(in *bufio.Reader, _ *windows) (io.Reader, error) { return bzip2.NewReader(in), nil }},
	{0, "\x04\x22\x4d\x18", "lz4", oneByOne(openLZ4)},
	{0, "\x02\x21\x4c\x18", "lz4", oneByOne(openLZ4)}, // frames of before 2014
	{0, "\xff\x06\x00\x00sNaPpY", "snappy", func(in *bufio.Reader, _ *windows) (io.Reader, error) { return snappy.NewReader(in), nil }},
	{0, "\x78\x01", "zlib", oneByOne(openZlib)},
	{0, "\x78\x9c", "zlib", oneByOne(openZlib)},
	{0, "\x78\xda", "zlib", oneByOne(openZlib)},
	{0, xzMagic, "xz", openXZ},
	{0, "\x1f\x9d", "compress (.Z)", nil},
	{0, "7z\xbc\xaf\x27\x1c", "7-Zip", nil},
	{0, "PK\x03\x04", "zip inside another archive", nil},
	{0, "PK\x05\x06", "zip inside another archive", nil},
}

func openGzip(in *bufio.Reader, _ *windows) (io.Reader, error) { return inflate.NewGzipReader(in) }

func openLZ4(in *bufio.Reader) (io.Reader, error) { return lz4.NewReader(in), nil }

func openZlib(in *bufio.Reader) (io.Reader, error) { return zlib.NewReader(in) }

// A streamReader reads streams that follow one another, each by a reader that ends with
// its stream.
type streamReader struct {
	in   *bufio.Reader
	open func(*bufio.Reader) (io.Reader, error)
	src  io.Reader
	err  error
}

func oneByOne(open func(*bufio.Reader) (io.Reader, error)) func(*bufio.Reader, *windows) (io.Reader, error) {
	return func(in *bufio.Reader, _ *windows) (io.Reader, error) {
		src, err := open(in)
		return &streamReader{in: in, open: open, src: src}, err
	}
}

func (r *streamReader) Read(p []byte) (n int, err error) {
	for n == 0 && r.err == nil {
		if n, err = r.src.Read(p); err == io.EOF {
			if _, err = r.in.Peek(1); err == nil {
				r.src, err = r.open(r.in)
			}
		}
		r.err = err
	}
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

// decompress returns the decompressed stream and the name of its compression,
// "" if there is none.
func decompress(in *bufio.Reader, w *windows) (io.Reader, string, error) {
	head, _ := in.Peek(16)
	for _, c := range compressions {
		if len(head) < c.at || !bytes.HasPrefix(head[c.at:], []byte(c.magic)) {
			continue
		}
		if c.open == nil {
			return nil, "", fmt.Errorf("%s is not supported: decompress it first, or use gzip, zstd, xz, bzip2 or zip", c.name)
		}
		src, err := c.open(in, w)
		if err != nil {
			return nil, "", fmt.Errorf("%s stream: %w", c.name, err)
		}
		return src, c.name, nil
	}
	return in, "", nil
}
