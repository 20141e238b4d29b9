package logs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

// The frames of zstd (RFC 8878, section 3.1).
//
// Note: the library takes a window of any allowed size as soon as it has read the header of a
// frame, and tells nobody how large it is. So frames are found here, and handed to it one by one.

// maxZstd is the largest window that the format's own program makes: zstd --ultra --long=31.
const maxZstd = 1 << 31

// A zstdReader decompresses the frames of a stream one after another.
type zstdReader struct {
	frame  zstdFrame
	z      *zstd.Decoder
	window streamWindow
	err    error // io.EOF at the end
}

// A zstdFrame is the bytes of one frame.
type zstdFrame struct {
	in   *bufio.Reader
	left int  // bytes of the header, or of the block
	sum  bool // a checksum follows the last block
	last bool // the block is the last
}

func openZstd(in *bufio.Reader, w *windows) (io.Reader, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstd))
	if err != nil {
		return nil, err
	}
	r := &zstdReader{frame: zstdFrame{in: in}, z: z, window: streamWindow{of: w}}
	if err := r.next(); err != nil {
		r.Close()
		if err != io.EOF {
			return nil, err
		}
		r.err = err
	}
	return r, nil
}

// Close gives up the window. Whoever takes it next must find the memory free, even while others
// still hold r.
func (r *zstdReader) Close() error {
	r.z.Close()
	r.z, r.err = nil, os.ErrClosed
	r.window.free()
	return nil
}

// next goes to the next frame that holds text; io.EOF if there is none.
func (r *zstdReader) next() error {
	in := r.frame.in
	for {
		head, err := in.Peek(zstd.HeaderMaxSize)
		if len(head) == 0 {
			return err
		}
		var h zstd.Header
		switch bad := h.Decode(head); {
		case bad != nil && len(head) < zstd.HeaderMaxSize:
			return noEOF(err)
		case bad != nil:
			return bad
		}
		if h.Skippable {
			if n, err := in.Discard(h.HeaderSize + int(h.SkippableSize)); n < h.HeaderSize+int(h.SkippableSize) {
				return noEOF(err)
			}
			continue
		}
		size := h.WindowSize
		if h.SingleSegment {
			size = h.FrameContentSize
		}
		if size > maxZstd {
			return fmt.Errorf("needs a window of %d MiB, more than %d MiB: decompress it first", size>>20, maxZstd>>20)
		}
		if err := r.window.grow(int64(size)); err != nil {
			return err
		}
		r.frame = zstdFrame{in: in, left: h.HeaderSize, sum: h.HasCheckSum}
		return r.z.Reset(&r.frame)
	}
}

func (r *zstdReader) Read(p []byte) (n int, err error) {
	for n == 0 && r.err == nil && len(p) > 0 {
		if n, err = r.z.Read(p); err == io.EOF {
			err = r.next()
		}
		r.err = err
	}
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

var errZstdBlock = errors.New("zstd: damaged block")

func (f *zstdFrame) Read(p []byte) (int, error) {
	for f.left == 0 {
		if f.last {
			return 0, io.EOF
		}
		const size = 3
		b, err := f.in.Peek(size)
		if err != nil {
			return 0, noEOF(err)
		}
		head := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		f.left = size + head>>3
		switch kind := head >> 1 & 3; kind {
		case 1: // one byte, many times
			f.left = size + 1
		case 3:
			return 0, errZstdBlock
		}
		if f.last = head&1 != 0; f.last && f.sum {
			f.left += 4
		}
	}
	n, err := f.in.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, noEOF(err)
}
